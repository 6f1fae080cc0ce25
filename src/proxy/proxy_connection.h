/*
 * The way through a proxy: a connection to it, and the handshake that turns that connection into
 * one with the target, or into one with a peer that comes.
 *
 *     start -> dial the addresses (dial.h) -> handshake -> [bound] -> opened
 *                                                       \-> failed
 *
 * It holds a bare descriptor and takes from it exactly what belongs to the handshake, so that the
 * descriptor it ends with can be adopted or handed to another thread. It belongs to one connector
 * or server, has no deadline of its own, and runs in the blocking waits of its owner. An event is
 * called from the loop, never inside start; each may cancel, and the last one has ended the proxy
 * connection.
 */
#ifndef BERTH_PROXY_CONNECTION_H
#define BERTH_PROXY_CONNECTION_H

#include <berth/error.h>

#include "backend/backend.h"
#include "proxy.h"

struct berth_loop;

typedef struct berth__proxy_connection berth__proxy_connection;

typedef struct berth__proxy_connection_events {
    /* The proxy listens (S6.12); only if `listens`. */
    void (*bound)(void *owner, berth_address address, uint16_t port);

    /* The descriptor is the owner's now. The names are those of the last reply: where the proxy has
     * connected from, or who has come; null if it did not say. */
    void (*opened)(void *owner, int descriptor, berth_address address, uint16_t port);

    /* `number` is an errno or a refusal. */
    void (*failed)(void *owner, berth_error class, int number);
} berth__proxy_connection_events;

typedef struct berth__proxy_connection_plan {
    const berth_proxy *proxy;       /* copied with its texts; SOCKS5 or HTTP */
    const berth_address *addresses; /* of the proxy, to be tried as dial.h does; copied */
    size_t count;
    const char *name; /* of the target, in ASCII, borrowed; NULL: `address` */
    berth_address address;
    uint16_t port;
    bool listens;                  /* SOCKS5 only: BIND */
    bool authorized;               /* HTTP only: the proxy has asked for the credentials before */
    const berth__options *options; /* of the descriptor, borrowed; NULL: none */
} berth__proxy_connection_plan;

/* Begins. NULL with an errno in *ret_error if that is not possible: no memory, no descriptor, no
 * address that can be dialled. `owner` is also whose blocking wait runs it. */
berth__proxy_connection *berth__proxy_connection_start(struct berth_loop *loop,
                                                       const berth__proxy_connection_plan *plan,
                                                       const berth__proxy_connection_events *events,
                                                       void *owner, int *ret_error);

/* While waiting for the peer of a BIND: whether to take it when it comes. At first it is not.
 * Returns an errno if that cannot be watched for; it may be tried again. */
int berth__proxy_connection_admit(berth__proxy_connection *connection, bool admit);

/* In a wait that runs no timers: does what is due, as berth__dial_step. */
uint64_t berth__proxy_connection_step(berth__proxy_connection *connection);

/* Drops the connection, without a word. */
void berth__proxy_connection_cancel(berth__proxy_connection *connection);

#endif
