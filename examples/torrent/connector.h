/*
 * Whom to dial: the addresses that a torrent has heard of, and when each may be tried again.
 *
 * At most --connecting attempts are under way at once, 10 s each. An address that failed is tried
 * again after 30 s, doubled up to an hour; one that was connected, 30 s after its end. At most
 * 2,000 addresses are known; further ones take the place of such as have failed.
 */
#ifndef TORRENT_CONNECTOR_H
#define TORRENT_CONNECTOR_H

#include <berth/address.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct connector connector;
struct torrent;

connector *connector_new(struct torrent *owner);
void connector_free(connector *self);

/* An address at which a peer may listen. */
void connector_heard(connector *self, berth_address address, uint16_t port);
/* The same of a name, which is dialled as it is (and resolved by the library, or by the proxy). */
void connector_given(connector *self, const char *host, uint16_t port);

/* Dials as many as may be. Called when one is heard of, when a place is free, and each second. */
void connector_go(connector *self);

/* How an attempt went, by the place that peer_dial was given. */
void connector_connected(connector *self, uint32_t place);
void connector_ended(connector *self, uint32_t place, bool was_connected);
/* It is this process itself, or a banned address: never again. */
void connector_never(connector *self, uint32_t place);

#endif
