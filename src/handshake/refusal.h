/*
 * Why a handshake or a connect has failed, as one number: a class and words for each.
 *
 * The numbers are used where an errno could be (they are greater than every errno), so that whoever
 * keeps the errno of a failure keeps these in the same place. Answers with a code of their own, the
 * reply of a SOCKS5 proxy and the status of an HTTP proxy, carry it inside.
 */
#ifndef BERTH_HANDSHAKE_REFUSAL_H
#define BERTH_HANDSHAKE_REFUSAL_H

#include <stdbool.h>
#include <stddef.h>

#include <berth/error.h>

/* X(name, class, reason) */
#define BERTH__REFUSAL_LIST(X)                                                                     \
    X(PROXY_UNREACHABLE, PROXY_CONNECTION_REFUSED, "connection to the proxy refused")              \
    X(PROXY_NOT_FOUND, PROXY_NOT_FOUND, "proxy host not found")                                    \
    X(PROXY_NAME, PROXY_NOT_FOUND, "no name server has answered in time for the proxy's name")     \
    X(HOST_NAME, HOST_NOT_FOUND, "no name server has answered in time")                            \
    X(PROXY_CLOSED, PROXY_CONNECTION_CLOSED, "the proxy closed the connection early")              \
    X(PROXY_TIMEOUT, PROXY_CONNECTION_TIMEOUT, "the proxy did not answer in time")                 \
    X(SOCKS5_MALFORMED, PROXY_PROTOCOL, "the proxy's answer is not SOCKS version 5")               \
    X(SOCKS5_METHOD, SOCKET_ACCESS,                                                                \
      "the proxy chose an authentication method that was not offered")                             \
    X(CREDENTIALS, PROXY_AUTHENTICATION_REQUIRED, "the proxy rejected the credentials")            \
    X(NO_CREDENTIALS, PROXY_AUTHENTICATION_REQUIRED, "the proxy requires credentials")             \
    X(CREDENTIALS_FORM, UNSUPPORTED_OPERATION,                                                     \
      "invalid credentials: at most 255 bytes each; for HTTP no control byte, no colon in the "    \
      "user")                                                                                      \
    X(NAME_FORM, HOST_NOT_FOUND, "the name cannot be sent in a request to a proxy")                \
    X(BOUND, UNSUPPORTED_OPERATION, "a bound socket cannot connect through a proxy")               \
    X(PORT, ADDRESS_IN_USE, "the proxy did not assign the same port for the next connection")      \
    X(NOT_HTTP, PROXY_PROTOCOL, "the proxy's answer is not HTTP")                                  \
    X(HTTP_HEADER_SIZE, PROXY_PROTOCOL, "the header of the proxy's answer is too long")            \
    X(HTTP_SCHEME, PROXY_PROTOCOL, "the proxy requires an authentication scheme other than Basic") \
    X(HEADER_MALFORMED, PROXY_PROTOCOL, "no valid PROXY header")                                   \
    X(HEADER_SIZE, PROXY_PROTOCOL, "the PROXY header is too long")                                 \
    X(HEADER_CHECKSUM, PROXY_PROTOCOL, "the checksum of the PROXY header is wrong")                \
    X(HEADER_CLOSED, REMOTE_HOST_CLOSED, "the connection ended before its PROXY header")           \
    X(HEADER_TIMEOUT, SOCKET_TIMEOUT, "no PROXY header came in time")                              \
    X(HELLO_NOT_TLS, TLS_HANDSHAKE_FAILED, "the peer does not speak TLS")                          \
    X(HELLO_HTTP, TLS_HANDSHAKE_FAILED, "the peer speaks plain HTTP")                              \
    X(HELLO_MALFORMED, TLS_HANDSHAKE_FAILED, "no valid ClientHello")                               \
    X(HELLO_SIZE, TLS_HANDSHAKE_FAILED, "the ClientHello is too long")                             \
    X(HELLO_NAME, TLS_HANDSHAKE_FAILED, "the server name in the ClientHello is invalid")           \
    X(HELLO_REFUSED, TLS_HANDSHAKE_FAILED, "the server has no configuration for it")               \
    X(HELLO_SIDE, TLS_INVALID_USER_DATA, "the configuration for it is one for clients")            \
    X(HELLO_CLOSED, REMOTE_HOST_CLOSED, "the connection ended before its handshake was complete")  \
    X(HELLO_TIMEOUT, SOCKET_TIMEOUT, "the handshake was not complete in time")                     \
    X(LOCAL_ADDRESS, UNSUPPORTED_OPERATION, "a Unix socket is reached by its path only")           \
    X(LOCAL_BOUND, UNSUPPORTED_OPERATION, "a bound socket cannot connect to a path")               \
    X(LOCAL_PROXY, UNSUPPORTED_OPERATION, "no proxy leads to a Unix socket")                       \
    X(LOCAL_OPTION, UNSUPPORTED_OPERATION, "a Unix socket has no such option")                     \
    X(LOCAL_TCP_OPTION, UNSUPPORTED_OPERATION,                                                     \
      "an option is set that a Unix socket does not have")                                         \
    X(LOCAL_EMPTY, UNSUPPORTED_OPERATION, "the path is empty")                                     \
    X(LOCAL_LENGTH, ADDRESS_NOT_AVAILABLE, "the path has more than 107 bytes")

enum {
    BERTH__REFUSAL_FIRST = 1 << 12, /* behind every errno; all fit 16 bits */
#define BERTH__REFUSAL_MEMBER(name, class, reason) BERTH__REFUSAL_##name,
    BERTH__REFUSAL_LIST(BERTH__REFUSAL_MEMBER)
#undef BERTH__REFUSAL_MEMBER
    BERTH__REFUSAL_SOCKS5 = 2 << 12, /* + reply code; + 256 if the target is a name */
    BERTH__REFUSAL_HTTP = 3 << 12    /* + status */
};

/* Bytes that hold every reason, with its terminator. */
#define BERTH__REFUSAL_TEXT_SIZE 96

/* Whether the number is one of these rather than an errno. */
bool berth__is_refusal(int number);

/* Whether the target was the trouble, rather than the proxy or the way to it: another address of
 * the same target may do better. */
bool berth__refusal_is_of_target(int number);

berth_error berth__refusal_class(int number);

/* Writes the reason in words; returns `text`. */
const char *berth__refusal_reason(int number, char *text, size_t size);

#endif
