/*
 * A proxy: the host that connections are made or listened for through.
 *
 * A value with borrowed strings; the functions that set a proxy copy it.
 */
#ifndef BERTH_PROXY_H
#define BERTH_PROXY_H

#include <stdint.h>

#include <berth/export.h>

BERTH_BEGIN_DECLARATIONS

/** Kind of a proxy. */
typedef enum berth_proxy_type {
    BERTH_PROXY_DEFAULT =
        0, /**< whatever the process uses: none, as no process-wide proxy can be set yet */
    BERTH_PROXY_SOCKS5 = 1,
    BERTH_PROXY_NONE = 2,
    BERTH_PROXY_HTTP = 3
} berth_proxy_type;

/** A proxy. A zeroed value is the default proxy. */
typedef struct berth_proxy {
    berth_proxy_type type;
    uint16_t port;
    const char *host;     /**< name or address; NULL is empty */
    const char *user;     /**< NULL is empty */
    const char *password; /**< NULL is empty */
} berth_proxy;

BERTH_END_DECLARATIONS

#endif
