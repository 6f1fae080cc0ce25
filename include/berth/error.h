/*
 * Classes of errors.
 *
 * A function that fails stores a class and a text in the object that it was called on. The class is
 * for the program to decide by (berth_server_error, berth_socket_error). The text is for people
 * (berth_server_error_string, berth_socket_error_string): it says what was tried, on what, and why
 * it failed. Programs should not parse it.
 *
 * The classes are those of Qt's QAbstractSocket::SocketError. Their numbers are Qt's plus one,
 * except for NONE and UNKNOWN, so that 0 means "no error" as is usual in C. Functions that make
 * objects, and those of loops, set errno instead.
 */
#ifndef BERTH_ERROR_H
#define BERTH_ERROR_H

#include <berth/export.h>

BERTH_BEGIN_DECLARATIONS

/** All classes: X(name, value, text). */
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
    X(UNFINISHED_OPERATION, 12, "the last operation is not finished")         \
    X(PROXY_AUTHENTICATION_REQUIRED, 13, "the proxy requires authentication") \
    X(TLS_HANDSHAKE_FAILED, 14, "TLS handshake failed")                       \
    X(PROXY_CONNECTION_REFUSED, 15, "connection to the proxy refused")        \
    X(PROXY_CONNECTION_CLOSED, 16, "the proxy closed the connection early")   \
    X(PROXY_CONNECTION_TIMEOUT, 17, "the proxy did not answer in time")       \
    X(PROXY_NOT_FOUND, 18, "proxy not found")                                 \
    X(PROXY_PROTOCOL, 19, "the proxy violated its protocol")                  \
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
 * Returns the name of a class without its prefix, for example "ADDRESS_IN_USE".
 *
 * @return a static string; "UNKNOWN" for a value that is not a class. Any thread.
 */
BERTH_API const char *berth_error_name(berth_error error);

/**
 * Returns the general text of a class, for example "address already in use". The text that an
 * object stores says more.
 *
 * @return a static string; the text of UNKNOWN for a value that is not a class. Any thread.
 */
BERTH_API const char *berth_error_text(berth_error error);

BERTH_END_DECLARATIONS

#endif
