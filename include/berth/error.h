/*
 * The classes of errors.
 *
 * Every failing function stores a class and a text on the object it was called on: the class is for
 * the program to decide by (berth_server_error, berth_socket_error), the text for a person to read
 * (berth_server_error_string, berth_socket_error_string). The classes are those of Qt's
 * QAbstractSocket::SocketError; a class other than NONE and UNKNOWN is Qt's number plus one, so
 * that zero can mean "no error" as usual in C.
 */
#ifndef BERTH_ERROR_H
#define BERTH_ERROR_H

#include <berth/export.h>

BERTH_BEGIN_DECLARATIONS

/** The one table of classes: X(name, value, text). */
#define BERTH_ERROR_LIST(X)                                                   \
    X(NONE, 0, "no error")                                                    \
    X(CONNECTION_REFUSED, 1, "connection refused")                            \
    X(REMOTE_HOST_CLOSED, 2, "the remote host closed the connection")         \
    X(HOST_NOT_FOUND, 3, "host not found")                                    \
    X(SOCKET_ACCESS, 4, "permission denied")                                  \
    X(SOCKET_RESOURCE, 5, "out of resources")                                 \
    X(SOCKET_TIMEOUT, 6, "operation timed out")                               \
    X(DATAGRAM_TOO_LARGE, 7, "datagram too large")                            \
    X(NETWORK, 8, "network error")                                            \
    X(ADDRESS_IN_USE, 9, "address already in use")                            \
    X(ADDRESS_NOT_AVAILABLE, 10, "address not available on this host")        \
    X(UNSUPPORTED_OPERATION, 11, "operation not supported")                   \
    X(UNFINISHED_OPERATION, 12, "the last operation has not finished yet")    \
    X(PROXY_AUTHENTICATION_REQUIRED, 13, "the proxy requires authentication") \
    X(TLS_HANDSHAKE_FAILED, 14, "TLS handshake failed")                       \
    X(PROXY_CONNECTION_REFUSED, 15, "connection to the proxy refused")        \
    X(PROXY_CONNECTION_CLOSED, 16, "the proxy closed the connection early")   \
    X(PROXY_CONNECTION_TIMEOUT, 17, "the proxy did not answer in time")       \
    X(PROXY_NOT_FOUND, 18, "proxy not found")                                 \
    X(PROXY_PROTOCOL, 19, "the proxy broke its protocol")                     \
    X(OPERATION, 20, "operation not allowed in this state")                   \
    X(TLS_INTERNAL, 21, "internal error of the TLS library")                  \
    X(TLS_INVALID_USER_DATA, 22, "invalid certificate or key")                \
    X(TEMPORARY, 23, "temporary error")                                       \
    X(UNKNOWN, 24, "unknown error")

/** Class of an error. */
typedef enum berth_error {
#define BERTH_ERROR_MEMBER(name, value, text) BERTH_ERROR_##name = value,
    BERTH_ERROR_LIST(BERTH_ERROR_MEMBER)
#undef BERTH_ERROR_MEMBER
} berth_error;

/**
 * Name of a class as it stands in the source, such as "ADDRESS_IN_USE".
 *
 * @return a static string; "UNKNOWN" for a value that is no class. Any thread.
 */
BERTH_API const char *berth_error_name(berth_error error);

/**
 * General text of a class, such as "address already in use".
 *
 * The text on an object says more: what was tried, on what, and why it failed.
 *
 * @return a static string; the text of UNKNOWN for a value that is no class. Any thread.
 */
BERTH_API const char *berth_error_text(berth_error error);

BERTH_END_DECLARATIONS

#endif
