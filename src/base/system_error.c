/*
 * The one table of errno values that the library meets, with the class and the words for each.
 *
 * The words are our own rather than strerror's, so that they are the same on every C library and in
 * every locale.
 */
#include "system_error.h"

#include <errno.h>
#include <stddef.h>

typedef struct entry {
    int error;
    berth_error class;
    const char *reason;
} entry;

static const entry entries[] = {
    {ECONNREFUSED, BERTH_ERROR_CONNECTION_REFUSED, "connection refused"},
    {ECONNRESET, BERTH_ERROR_REMOTE_HOST_CLOSED, "connection reset by the remote host"},
    {EPIPE, BERTH_ERROR_REMOTE_HOST_CLOSED, "the remote host accepts no more data"},
    {EACCES, BERTH_ERROR_SOCKET_ACCESS, "permission denied"},
    {EPERM, BERTH_ERROR_SOCKET_ACCESS, "operation not permitted"},
    {EMFILE, BERTH_ERROR_SOCKET_RESOURCE, "the process has no file descriptor left"},
    {ENFILE, BERTH_ERROR_SOCKET_RESOURCE, "the system has no file descriptor left"},
    {ENOBUFS, BERTH_ERROR_SOCKET_RESOURCE, "no buffer space left"},
    {ENOMEM, BERTH_ERROR_SOCKET_RESOURCE, "out of memory"},
    {ETIMEDOUT, BERTH_ERROR_NETWORK, "connection timed out"},
    {ENETUNREACH, BERTH_ERROR_NETWORK, "network unreachable"},
    {EHOSTUNREACH, BERTH_ERROR_NETWORK, "host unreachable"},
    {ENETDOWN, BERTH_ERROR_NETWORK, "network down"},
    {EHOSTDOWN, BERTH_ERROR_NETWORK, "host down"},
    {ECONNABORTED, BERTH_ERROR_NETWORK, "connection aborted"},
    {ENETRESET, BERTH_ERROR_NETWORK, "connection reset by the network"},
    {EBADMSG, BERTH_ERROR_NETWORK, "the peer ended the connection without close_notify"},
    {EADDRINUSE, BERTH_ERROR_ADDRESS_IN_USE, "address already in use"},
    {EADDRNOTAVAIL, BERTH_ERROR_ADDRESS_NOT_AVAILABLE, "address not available on this host"},
    {EBADF, BERTH_ERROR_UNSUPPORTED_OPERATION, "not an open descriptor"},
    {ENOTSOCK, BERTH_ERROR_UNSUPPORTED_OPERATION, "not a socket"},
    {EINVAL, BERTH_ERROR_UNSUPPORTED_OPERATION, "invalid for this socket or address"},
    {EOPNOTSUPP, BERTH_ERROR_UNSUPPORTED_OPERATION, "operation not supported"},
    {ENOTCONN, BERTH_ERROR_UNSUPPORTED_OPERATION, "not connected"},
    {EAFNOSUPPORT, BERTH_ERROR_UNSUPPORTED_OPERATION, "address family not supported"},
    {EPROTONOSUPPORT, BERTH_ERROR_UNSUPPORTED_OPERATION, "protocol not supported"},
    {EPROTOTYPE, BERTH_ERROR_UNSUPPORTED_OPERATION, "not a TCP socket"},
    {ESHUTDOWN, BERTH_ERROR_OPERATION, "this side has ended its output"},
    {ENODEV, BERTH_ERROR_UNSUPPORTED_OPERATION, "no such network interface"},
    {EPROTO, BERTH_ERROR_UNSUPPORTED_OPERATION, "protocol error"},
    {ENOSYS, BERTH_ERROR_UNSUPPORTED_OPERATION, "not provided by this kernel"},
    {ENOSPC, BERTH_ERROR_SOCKET_RESOURCE, "limit of watched descriptors reached"},
    {EEXIST, BERTH_ERROR_OPERATION, "an object of this loop uses that descriptor"},
    {EBUSY, BERTH_ERROR_OPERATION, "busy"},
    {EMSGSIZE, BERTH_ERROR_OPERATION, "more bytes than can be counted"},
    {ENODATA, BERTH_ERROR_OPERATION, "the file ends before the bytes that were to be sent"},
    {ESPIPE, BERTH_ERROR_OPERATION, "not a regular file"},
    {EIO, BERTH_ERROR_OPERATION, "the file cannot be read"},
    {ECHILD, BERTH_ERROR_OPERATION,
     "after fork it belongs to the parent until berth_loop_after_fork is called"},
};

static const entry *find(int error)
{
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        if (entries[i].error == error)
            return &entries[i];
    }
    return NULL;
}

berth_error berth__class_of(int error)
{
    const entry *found = find(error);
    if (found != NULL)
        return found->class;
    return error == 0 ? BERTH_ERROR_NONE : BERTH_ERROR_UNKNOWN;
}

const char *berth__reason_of(int error)
{
    const entry *found = find(error);
    return found != NULL ? found->reason : "unknown error";
}

bool berth__is_exhaustion(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}
