/*
 * Connections in the core's own hand, for both kernel backends: dial, dialled, take, put.
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
#include <unistd.h>

#include "system.h"

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

static ptrdiff_t send_bytes(int descriptor, const void *data, size_t size, int flags)
{
    ssize_t count;
    do {
        count = BERTH__SYSTEM("send", send(descriptor, data, size, flags));
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

static ptrdiff_t send_pieces(int descriptor, struct iovec *pieces, size_t number, int flags)
{
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = number};
    ssize_t count;
    do {
        count = BERTH__SYSTEM("sendmsg", sendmsg(descriptor, &message, flags));
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

unsigned berth__inet_pieces(const berth__chunk *first, size_t size,
                            struct iovec pieces[BERTH__INET_PIECES])
{
    unsigned count = 0;
    for (const berth__chunk *chunk = first; size > 0 && count < BERTH__INET_PIECES;
         chunk = chunk->next) {
        size_t here = chunk->end - chunk->start;
        here = here < size ? here : size;
        pieces[count++] = (struct iovec){chunk->bytes + chunk->start, here};
        size -= here;
    }
    return count;
}

ptrdiff_t berth__inet_send(int descriptor, const berth__chunk *first, size_t size, bool more)
{
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    if (size <= first->end - first->start)
        return send_bytes(descriptor, first->bytes + first->start, size, flags);
    struct iovec pieces[BERTH__INET_PIECES];
    return send_pieces(descriptor, pieces, berth__inet_pieces(first, size, pieces), flags);
}

ptrdiff_t berth__inet_put(berth__backend *backend, int descriptor, const berth_piece *pieces,
                          size_t count)
{
    (void)backend;
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    if (count == 1)
        return send_bytes(descriptor, pieces[0].data, pieces[0].size, flags);
    struct iovec gathered[BERTH__INET_PIECES];
    count = count < BERTH__INET_PIECES ? count : BERTH__INET_PIECES;
    for (size_t i = 0; i < count; i++)
        gathered[i] = (struct iovec){(void *)(uintptr_t)pieces[i].data, pieces[i].size};
    return send_pieces(descriptor, gathered, count, flags);
}
