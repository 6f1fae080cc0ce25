/*
 * Unix-domain sockets of the two kernel backends: making sockets that connect and listen, and what
 * can be asked of them. Where they listen is base/local_place.h.
 *
 * Failures are errno values, of listening with the step; nothing stays open.
 */
#include "common.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/system.h"
#include "inet.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* from Linux 6.16 on */
#endif

/* ---- questions ------------------------------------------------------------------------------- */

static int get(int descriptor, int name, int *ret_value)
{
    socklen_t length = sizeof *ret_value;
    *ret_value = 0;
    return BERTH__SYSTEM("getsockopt",
                         getsockopt(descriptor, SOL_SOCKET, name, ret_value, &length));
}

bool berth__inet_is_local(int descriptor)
{
    int domain = AF_UNSPEC;
    return get(descriptor, SO_DOMAIN, &domain) == 0 && domain == AF_UNIX;
}

/* The kernel ends a receive behind bytes that came with descriptors, and between writers if it is
 * to say who they were. */
bool berth__inet_is_parcelled(int descriptor)
{
    int rights = 1, credentials = 1;
    return get(descriptor, SO_PASSRIGHTS, &rights) < 0 || rights != 0 ||
           get(descriptor, SO_PASSCRED, &credentials) < 0 || credentials != 0;
}

bool berth__inet_was_shut(int descriptor)
{
    struct pollfd asked = {.fd = descriptor, .events = POLLRDHUP};
    return BERTH__SYSTEM("poll", poll(&asked, 1, 0)) > 0 && (asked.revents & POLLRDHUP) != 0;
}

void berth__inet_cut_input(int descriptor)
{
    if (berth__inet_is_local(descriptor))
        (void)BERTH__SYSTEM("shutdown", shutdown(descriptor, SHUT_RD));
}

int berth__common_local_name(berth__backend *backend, int descriptor, berth__local_name *ret_name)
{
    (void)backend;
    struct sockaddr_un address = {.sun_family = AF_UNSPEC};
    socklen_t length = sizeof address;
    if (BERTH__SYSTEM("getsockname",
                      getsockname(descriptor, (struct sockaddr *)&address, &length)) < 0)
        return errno;
    if (address.sun_family != AF_UNIX)
        return EAFNOSUPPORT;
    size_t size = length > offsetof(struct sockaddr_un, sun_path)
                      ? length - offsetof(struct sockaddr_un, sun_path)
                      : 0;
    size = size < sizeof address.sun_path ? size : sizeof address.sun_path;
    if (size > 0 && address.sun_path[0] != '\0')
        size = strnlen(address.sun_path, size); /* a path counts with its terminator */
    *ret_name = (berth__local_name){.size = (uint8_t)size};
    memcpy(ret_name->bytes, address.sun_path, size);
    return 0;
}

int berth__common_credentials(berth__backend *backend, int descriptor,
                              berth_credentials *ret_credentials)
{
    (void)backend;
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (!berth__inet_is_local(descriptor))
        return EOPNOTSUPP;
    if (BERTH__SYSTEM("getsockopt",
                      getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length)) < 0)
        return errno;
    *ret_credentials = (berth_credentials){.pid = peer.pid, .uid = peer.uid, .gid = peer.gid};
    return 0;
}

/* ---- making sockets -------------------------------------------------------------------------- */

static int open_socket(bool *ret_parcelled)
{
    int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    int descriptor = BERTH__SYSTEM("socket", socket(AF_UNIX, type, 0));
    int off = 0;
    /* Nobody would take the descriptors. What is accepted inherits it. */
    if (descriptor >= 0)
        *ret_parcelled =
            BERTH__SYSTEM("setsockopt",
                          setsockopt(descriptor, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof off)) < 0;
    return descriptor;
}

int berth__inet_connect_local(const berth__local_name *name, const berth__options *options,
                              int *ret_descriptor, bool *ret_parcelled)
{
    int descriptor = open_socket(ret_parcelled);
    if (descriptor < 0)
        return errno;
    int error = berth__inet_set_options(descriptor, options);
    if (error == 0)
        error = berth__local_connect(descriptor, name);
    if (error == 0)
        *ret_descriptor = descriptor;
    else
        (void)close(descriptor);
    return error;
}

int berth__common_listen_local(berth__listener *listener, const berth__local_listen *options,
                               int *ret_descriptor, berth__local_file *ret_file,
                               berth__local_step *ret_step)
{
    *ret_file = (berth__local_file){0};
    *ret_step = BERTH__LOCAL_CREATE;
    int descriptor = open_socket(&listener->parcelled);
    if (descriptor < 0)
        return errno;
    int error = berth__local_place_take(descriptor, options, ret_file, ret_step);
    if (error != 0) {
        (void)close(descriptor);
        return error;
    }
    listener->local = true;
    *ret_descriptor = descriptor;
    return 0;
}

void berth__common_remove_local(berth__backend *backend, const berth__local_name *name,
                                const berth__local_file *file)
{
    (void)backend;
    berth__local_place_leave(name, file);
}
