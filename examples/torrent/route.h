/*
 * How this program's connections leave it: through a proxy, or from the address that it listens on
 * if that is a certain one, so that others see the address at which it can be reached.
 */
#ifndef TORRENT_ROUTE_H
#define TORRENT_ROUTE_H

#include <berth/berth.h>

typedef struct route {
    const berth_proxy *proxy; /* NULL: none */
    berth_address from;       /* null: any. Not used with a proxy. */
} route;

/* Prepares a socket that is about to connect to an address, or to a name if that is null. False
 * with the socket's error. */
bool route_prepare(const route *self, berth_socket *socket, berth_address to);

#endif
