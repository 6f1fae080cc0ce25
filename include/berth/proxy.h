/*
 * A proxy, a value: the host through which connections are made or accepted.
 *
 * A proxy can be set for a server (berth_server_set_proxy), for a socket (berth_socket_set_proxy),
 * and for the whole process (berth_proxy_set_application). Which one is used is decided when a
 * server starts listening or a socket starts connecting:
 *
 * - a server: none, if the address is a loopback address; else its own; else the process's
 * - a socket: its own, for every target; else the process's, but none for loopback addresses,
 *   "localhost" and names that begin with "localhost."
 *
 * "Its own" is a proxy of a type other than DEFAULT. A connection to a proxy does not itself go
 * through a proxy.
 */
#ifndef BERTH_PROXY_H
#define BERTH_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/address.h>
#include <berth/export.h>

BERTH_BEGIN_DECLARATIONS

/** Type of a proxy. */
typedef enum berth_proxy_type {
    BERTH_PROXY_DEFAULT = 0, /**< the proxy of the process, if it has one */
    BERTH_PROXY_SOCKS5 = 1,  /**< SOCKS version 5: connects and listens */
    BERTH_PROXY_NONE = 2,    /**< no proxy, even if the process has one */
    BERTH_PROXY_HTTP = 3     /**< an HTTP proxy with CONNECT: connects only */
} berth_proxy_type;

/** Capabilities of a proxy; flags. */
typedef enum berth_proxy_capability {
    BERTH_PROXY_CAN_CONNECT = 1 << 0,
    BERTH_PROXY_CAN_LISTEN = 1 << 1,
    BERTH_PROXY_CAN_LOOK_UP_NAMES = 1 << 2 /**< the proxy resolves names */
} berth_proxy_capability;

/** Maximum length of each string of a proxy in bytes, without the terminator. */
#define BERTH_PROXY_MOST_TEXT 255

/** A proxy. The strings are borrowed: functions that set a proxy copy them. A zeroed value is the
 * default proxy. The layout is fixed. */
typedef struct berth_proxy {
    berth_proxy_type type; /**< DEFAULT: that of the process */
    uint16_t port;         /**< in host order */
    const char *host;      /**< name or address; NULL for "" */
    const char *user;      /**< NULL for "" */
    const char *password;  /**< NULL for "" */
} berth_proxy;

/** Returns the capabilities of a type of proxy, a combination of berth_proxy_capability; for
 * DEFAULT and NONE those of a direct connection; 0 for a value that is not a type. Any thread. */
BERTH_API unsigned berth_proxy_capabilities(berth_proxy_type type);

/**
 * Sets the proxy of the process, for every server that listens and every socket that connects from
 * now on without a proxy of its own. Any thread.
 *
 * @param proxy  copied; NULL, DEFAULT and NONE mean no proxy, which is the default
 * @return false if the type is not a berth_proxy_type or if a string is longer than
 *         BERTH_PROXY_MOST_TEXT; nothing changes then
 */
BERTH_API bool berth_proxy_set_application(const berth_proxy *proxy);

/** Buffers for the strings of a proxy. The layout is fixed. */
typedef struct berth_proxy_texts {
    char host[BERTH_PROXY_MOST_TEXT + 1];     /**< of the proxy */
    char user[BERTH_PROXY_MOST_TEXT + 1];     /**< or "" */
    char password[BERTH_PROXY_MOST_TEXT + 1]; /**< or "" */
} berth_proxy_texts;

/**
 * Returns the proxy of the process; type NONE if there is none. Any thread.
 *
 * @param ret_texts  the strings are copied there, and the result points there; NULL for a result
 *                   without strings
 */
BERTH_API berth_proxy berth_proxy_application(berth_proxy_texts *ret_texts);

/** Contents of a PROXY header that is sent: who the client is and what it was connected to. See
 * berth_socket_set_proxy_header. The layout is fixed. */
typedef struct berth_proxy_header {
    int version;               /**< 1 (a line of text) or 2 (binary, with a checksum) */
    berth_address source;      /**< the client's; null: the connection is this host's own */
    uint16_t source_port;      /**< in host order */
    berth_address destination; /**< of the same family */
    uint16_t destination_port; /**< in host order */
} berth_proxy_header;

BERTH_END_DECLARATIONS

#endif
