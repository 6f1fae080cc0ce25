/*
 * How this program's connections leave it: through a proxy, or from the address that it listens on
 * if that is a certain one, so that others see the address at which it can be reached. And whom
 * those to https trackers trust, which is read when it is needed first.
 */
#ifndef TORRENT_ROUTE_H
#define TORRENT_ROUTE_H

#include <berth/berth.h>

typedef struct route {
    const berth_proxy *proxy; /* NULL: none */
    berth_address from;       /* null: any. Not used with a proxy. */
    const char *authorities;  /* of certificates, a PEM file or folder; NULL: the system's */
    berth_tls *tls;           /* NULL: not read yet */
} route;

/* Prepares a socket that is about to connect to an address, or to a name if that is null. False
 * with the socket's error. */
bool route_prepare(const route *self, berth_socket *socket, berth_address to);

#define ROUTE_TEXT_SIZE 256

/* Reads the authorities, if that was not done. False with a line of ROUTE_TEXT_SIZE bytes. */
bool route_trust(route *self, char *text);

/* Has the socket encrypt its next connection, to whom proves by a certificate to be the host that
 * it connects to. False as route_trust. */
bool route_encrypt(route *self, berth_socket *socket, char *text);

void route_close(route *self);

#endif
