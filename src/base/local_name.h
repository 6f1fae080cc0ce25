/*
 * Names of Unix-domain sockets: paths of the file system, and abstract names, which the kernel
 * keeps with a zero byte in front and which are written with '@' instead.
 *
 * A name is a value and owns nothing. The kernel has 108 bytes for it. It would take a path of that
 * length without a terminator, which most programs could not read; one of ours has 107 at most.
 */
#ifndef BERTH_SRC_LOCAL_NAME_H
#define BERTH_SRC_LOCAL_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/error.h>

#include <sys/socket.h>
#include <sys/un.h>

enum {
    BERTH__LOCAL_NAME_SIZE = 108,
    BERTH__LOCAL_TEXT_SIZE = BERTH__LOCAL_NAME_SIZE + 1,
    BERTH__LOCAL_ESCAPED_SIZE = 160 /* of one in a text for people, where a long one may be cut */
};

typedef struct berth__local_name {
    uint8_t size; /* bytes of it, without a terminator; 0: none */
    char bytes[BERTH__LOCAL_NAME_SIZE];
} berth__local_name;

/* Reads "PATH" or "@NAME". Returns an errno: EINVAL for one that is empty or NULL, ENAMETOOLONG. */
int berth__local_name_read(const char *text, berth__local_name *ret_name);

/* Writes it in the same form; a zero byte inside an abstract name becomes '@' too. */
char *berth__local_name_write(const berth__local_name *name, char text[BERTH__LOCAL_TEXT_SIZE]);

/* Its address, for the system; returns the size of that. */
socklen_t berth__local_name_address(const berth__local_name *name, struct sockaddr_un *ret_address);

/* The address of "PATH" or "@NAME"; an errno as berth__local_name_read. */
int berth__local_address(const char *text, struct sockaddr_un *ret_address, socklen_t *ret_size);

static inline bool berth__local_is_abstract(const berth__local_name *name)
{
    return name->size > 0 && name->bytes[0] == '\0';
}

/* What an errno means where a name is looked up or made; as in system_error.h. */
berth_error berth__local_class_of(int error);
const char *berth__local_reason_of(int error);

#endif
