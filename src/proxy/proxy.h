/*
 * Proxies as values of the library: a copy with its texts, the one of the process, and which of
 * them a server or a socket uses.
 */
#ifndef BERTH_SRC_PROXY_H
#define BERTH_SRC_PROXY_H

#include <berth/address.h>
#include <berth/proxy.h>

/* A proxy with its strings. `value` points into `texts`, so it must not be copied as a struct. */
typedef struct berth__proxy {
    berth_proxy value;
    berth_proxy_texts texts;
} berth__proxy;

/* Copies a proxy (NULL: DEFAULT). Returns an errno: EINVAL if a text is too long or the type is
 * none. */
int berth__proxy_copy(berth__proxy *copy, const berth_proxy *proxy);

/* A copy of its own, for an object that has been given a proxy; *ret_copy is NULL for DEFAULT.
 * Returns an errno: EINVAL, ENOMEM. */
int berth__proxy_keep(const berth_proxy *proxy, berth__proxy **ret_copy);

/* Whether a proxy is to be used, which is then written. `own` may be NULL; so may `name`, for a
 * target that is an address. */
bool berth__proxy_for_server(const berth__proxy *own, berth_address address,
                             berth__proxy *ret_proxy);
bool berth__proxy_for_socket(const berth__proxy *own, const char *name, berth_address address,
                             berth__proxy *ret_proxy);

/* "SOCKS5 proxy host:port"; returns `text`. */
const char *berth__proxy_describe(const berth_proxy *proxy, char *text, size_t size);

#define BERTH__PROXY_TEXT_SIZE (BERTH_PROXY_MOST_TEXT + 32)

#endif
