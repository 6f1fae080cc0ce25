/*
 * Reading and writing names of Unix-domain sockets, and what errors mean for them. See
 * local_name.h. Pure: no system call, no allocation.
 */
#include "local_name.h"

#include "system_error.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

int berth__local_name_read(const char *text, berth__local_name *ret_name)
{
    if (text == NULL || text[0] == '\0' || strcmp(text, "@") == 0)
        return EINVAL;
    size_t size = strnlen(text, BERTH__LOCAL_NAME_SIZE + 1);
    bool abstract = text[0] == '@';
    if (size > BERTH__LOCAL_NAME_SIZE - (abstract ? 0u : 1u))
        return ENAMETOOLONG;
    *ret_name = (berth__local_name){.size = (uint8_t)size};
    memcpy(ret_name->bytes, text, size);
    if (abstract)
        ret_name->bytes[0] = '\0';
    return 0;
}

char *berth__local_name_write(const berth__local_name *name, char text[BERTH__LOCAL_TEXT_SIZE])
{
    memcpy(text, name->bytes, name->size);
    for (size_t i = 0; i < name->size; i++) {
        if (text[i] == '\0')
            text[i] = '@';
    }
    text[name->size] = '\0';
    return text;
}

/* A path has a zero behind it, an abstract name none. */
socklen_t berth__local_name_address(const berth__local_name *name, struct sockaddr_un *ret_address)
{
    _Static_assert(sizeof ret_address->sun_path == BERTH__LOCAL_NAME_SIZE, "it holds each name");
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret_address->sun_path, name->bytes, name->size);
    size_t zero = berth__local_is_abstract(name) ? 0 : 1;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name->size + zero);
}

int berth__local_address(const char *text, struct sockaddr_un *ret_address, socklen_t *ret_size)
{
    berth__local_name name;
    int error = berth__local_name_read(text, &name);
    if (error == 0)
        *ret_size = berth__local_name_address(&name, ret_address);
    return error;
}

/* What the file system says, and what the same number means elsewhere. */
static const struct {
    int error;
    berth_error class;
    const char *reason;
} entries[] = {
    {ENOENT, BERTH_ERROR_ADDRESS_NOT_AVAILABLE, "no such file or directory"},
    {ENOTDIR, BERTH_ERROR_ADDRESS_NOT_AVAILABLE, "a part of the path is not a directory"},
    {ELOOP, BERTH_ERROR_ADDRESS_NOT_AVAILABLE,
     "too many symbolic links, or a link in place of a file"},
    {EROFS, BERTH_ERROR_ADDRESS_NOT_AVAILABLE, "the file system is read-only"},
    {EISDIR, BERTH_ERROR_ADDRESS_NOT_AVAILABLE, "it is a directory"},
    {ENAMETOOLONG, BERTH_ERROR_ADDRESS_NOT_AVAILABLE, "the path has more than 107 bytes"},
    {EINVAL, BERTH_ERROR_UNSUPPORTED_OPERATION, "the path is empty"},
    {EPROTOTYPE, BERTH_ERROR_UNSUPPORTED_OPERATION, "the socket there is not a stream socket"},
    {ENOSPC, BERTH_ERROR_SOCKET_RESOURCE, "no space left on the device"},
    {EDQUOT, BERTH_ERROR_SOCKET_RESOURCE, "the user's quota of disk space is used up"},
};

berth_error berth__local_class_of(int error)
{
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        if (entries[i].error == error)
            return entries[i].class;
    }
    return berth__class_of(error);
}

const char *berth__local_reason_of(int error)
{
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        if (entries[i].error == error)
            return entries[i].reason;
    }
    return berth__reason_of(error);
}
