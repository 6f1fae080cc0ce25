/*
 * Connections in the core's own hand, for both kernel backends: dial, dialled, take. What puts
 * bytes into them is in inet_send.c.
 *
 * A handshake that must not take a byte behind its own last one cannot leave the reading to a
 * stream, which delivers what there is. So it holds a bare descriptor, waits for it with a watch,
 * and moves bytes with these. They never wait: the descriptor is blocking once it is connected, as
 * that of every stream, and MSG_DONTWAIT says so for each call.
 *
 * Failures are errno values, negative where a count could be returned.
 */
#include "inet.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "base/system.h"

int berth__inet_dial(berth__backend *backend, const berth_address *address, uint16_t port,
                     const berth__options *options, int *ret_descriptor)
{
    (void)backend;
    int descriptor = -1;
    int error = berth__inet_connect(address, port, options, &descriptor);
    if (error != 0 && error != EINPROGRESS)
        return error;
    *ret_descriptor = descriptor;
    return 0;
}

int berth__inet_error_of(int descriptor)
{
    int error = 0;
    socklen_t length = sizeof error;
    if (BERTH__SYSTEM("getsockopt", getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length)) <
        0)
        return errno;
    return error;
}

int berth__inet_dialled(berth__backend *backend, int descriptor)
{
    (void)backend;
    int off = 0;
    int error = berth__inet_error_of(descriptor);
    if (error == 0 && BERTH__SYSTEM("ioctl", ioctl(descriptor, FIONBIO, &off)) < 0)
        return errno;
    return error;
}

ptrdiff_t berth__inet_take(berth__backend *backend, int descriptor, void *data, size_t size,
                           bool keep)
{
    (void)backend;
    ssize_t count;
    do {
        int flags = MSG_DONTWAIT | (keep ? MSG_PEEK : 0);
        count = BERTH__SYSTEM("recv", recv(descriptor, data, size, flags));
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}
