/*
 * A proxy: the host that connections are made or listened for through.
 *
 * A proxy can be set for a server (berth_server_set_proxy), for a socket (berth_socket_set_proxy),
 * and for the whole process. Which one counts is decided once, when a server listens or a socket
 * connects:
 *
 *   a server  none, if the address is a loopback address; else its own; else the process's
 *   a socket  its own, for every target; else the process's, but none for loopback addresses,
 *             "localhost" and names that begin with "localhost."
 *
 * where "its own" is one of a type other than DEFAULT. A connection to a proxy does not go through
 * a proxy itself.
 */
#ifndef BERTH_PROXY_H
#define BERTH_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/address.h>
#include <berth/export.h>

BERTH_BEGIN_DECLARATIONS

/** Kind of a proxy. */
typedef enum berth_proxy_type {
    BERTH_PROXY_DEFAULT = 0, /**< the proxy of the process, if it has one */
    BERTH_PROXY_SOCKS5 = 1,  /**< SOCKS version 5: connects and listens */
    BERTH_PROXY_NONE = 2,    /**< none, whatever the process has */
    BERTH_PROXY_HTTP = 3     /**< an HTTP proxy with CONNECT: connects only */
} berth_proxy_type;

/** What can be done through a proxy: the bits of berth_proxy_capabilities. */
typedef enum berth_proxy_capability {
    BERTH_PROXY_CAN_CONNECT = 1 << 0,
    BERTH_PROXY_CAN_LISTEN = 1 << 1,
    BERTH_PROXY_CAN_LOOK_UP_NAMES = 1 << 2 /**< names go to the proxy as they are */
} berth_proxy_capability;

/** Most bytes of each text of a proxy, terminator not included. */
#define BERTH_PROXY_MOST_TEXT 255

/** A proxy: a value with borrowed strings; the functions that set a proxy copy it. A zeroed value
 * is the default proxy. */
typedef struct berth_proxy {
    berth_proxy_type type;
    uint16_t port;
    const char *host;     /**< name or address; NULL is empty */
    const char *user;     /**< NULL is empty */
    const char *password; /**< NULL is empty */
} berth_proxy;

/** Capabilities of proxies of a type: berth_proxy_capability bits; 0 for a value that is no type.
 * DEFAULT and NONE stand for a direct connection. Any thread. */
BERTH_API unsigned berth_proxy_capabilities(berth_proxy_type type);

/**
 * Sets the proxy of the process, for every server that listens and every socket that connects from
 * now on and has none of its own. Any thread.
 *
 * @param proxy  copied; NULL, DEFAULT and NONE mean none, which is so at first
 * @return false if the type is none of the above, or a text is longer than BERTH_PROXY_MOST_TEXT;
 *         nothing changes then
 */
BERTH_API bool berth_proxy_set_application(const berth_proxy *proxy);

/** Room for the texts of a proxy. */
typedef struct berth_proxy_texts {
    char host[BERTH_PROXY_MOST_TEXT + 1];
    char user[BERTH_PROXY_MOST_TEXT + 1];
    char password[BERTH_PROXY_MOST_TEXT + 1];
} berth_proxy_texts;

/**
 * The proxy of the process; type NONE if there is none. Any thread.
 *
 * @param ret_texts  where its strings are copied to and the value points to; NULL: the value has no
 *                   strings
 */
BERTH_API berth_proxy berth_proxy_application(berth_proxy_texts *ret_texts);

/** What a PROXY header says, of a connection that goes on behind it: who the client is and what it
 * was connected to. See berth_socket_set_proxy_header. */
typedef struct berth_proxy_header {
    int version;          /**< 1 (a line of text) or 2 (binary, with a checksum) */
    berth_address source; /**< the client's; null: the header says that it is this host's own */
    uint16_t source_port;
    berth_address destination; /**< of the same family */
    uint16_t destination_port;
} berth_proxy_header;

BERTH_END_DECLARATIONS

#endif
