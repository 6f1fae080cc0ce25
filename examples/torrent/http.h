/*
 * One HTTP GET over a berth_socket, as trackers need it: HTTP/1.0 and 1.1, Content-Length, chunked
 * and close, three redirects, 30 s, 1 MiB, basic authentication from the URL. With https the server
 * has to prove that it is the host of the URL, and a redirect to http is refused: what was to be
 * kept secret would go in the clear.
 */
#ifndef TORRENT_HTTP_H
#define TORRENT_HTTP_H

#include <berth/berth.h>

#include "route.h"

#define HTTP_MOST_BODY (1024 * 1024u)
#define HTTP_TIME 30000 /* milliseconds for everything */

typedef struct http_get http_get;

/* The end: called exactly once and not inside http_get_new, unless http_get_free came first. `body`
 * is NULL on failure, and `error` a line then. The request must be freed, inside or later. */
typedef void (*http_handler)(http_get *self, void *user, const void *body, size_t size,
                             const char *error);

#ifdef WITHOUT_TLS
#define HTTP_SCHEMES "only http is"
#else
#define HTTP_SCHEMES "only http and https are"
#endif

/* NULL with errno set: EINVAL for a malformed URL, ENOTSUP for one of another scheme, ENOMEM. `way`
 * must live as long. */
http_get *http_get_new(berth_loop *loop, const char *url, const char *user_agent, route *way,
                       http_handler handler, void *user);
void http_get_free(http_get *self); /* cancels; NULL is ignored */

/* This side's address of the last connection; the null address if there was none. */
berth_address http_get_local_address(const http_get *self);

#endif
