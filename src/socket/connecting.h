/*
 * The way to a connection: a name looked up, addresses tried, the first that answers taken.
 *
 *     start -> [lookup] -> attempt, after 250 ms or a failure the next, ... -> the first
 *     connection, or the last error
 *
 * As RFC 8305 has it, attempts overlap: a second address does not have to wait for the first one's
 * time-out. A connector exists from the beginning of a connect until its end, and owns its
 * attempts. It belongs to one socket, which it knows by a plan and a table of events only. An event
 * is called from the loop or in berth__connect_begin, never inside start; before the last one,
 * `opened` or `failed`, the connector has ended and is released.
 */
#ifndef BERTH_CONNECTING_H
#define BERTH_CONNECTING_H

#include <berth/error.h>
#include <berth/proxy.h>

#include "backend/backend.h"

struct berth_loop;

typedef struct berth__connector berth__connector;

typedef struct berth__connect_events {
    /* The attempts are about to begin; `found`: with addresses of the target. Returns whether the
     * connector still exists, since a handler may cancel it, or wait until it has ended. */
    bool (*announce)(void *owner, bool found);

    /* A stream for an attempt, which owns it from here on: bound if the local name is asked for.
     * Returns an errno. */
    int (*stream)(void *owner, berth__stream **ret_stream);

    /* Connected: the name of an end. The peer's only if it is not that of the descriptor. */
    void (*named)(void *owner, berth__side side, berth_address address, uint16_t port);

    /* Whether the owner is announcing a failure already: what fails inside the call that began it
     * is reported from the loop then. */
    bool (*reports_later)(void *owner);

    /* The stream is the owner's now; its events and its owner have to be set. */
    void (*opened)(void *owner, berth__stream *stream);

    /* `number` is an errno or a refusal. */
    void (*failed)(void *owner, berth_error class, int number);
} berth__connect_events;

/* What is pointed to by a pointer to a pointer may be made or changed while connecting. All but the
 * proxy is borrowed until the end. */
typedef struct berth__connect_plan {
    const char *name; /* of the target: to be looked up, or left to the proxy; NULL: `address` */
    berth_address address; /* of the target */
    uint16_t port;
    const berth__local_name *local; /* of a Unix socket, copied, instead of an address; or NULL */
    uint32_t timeout;               /* milliseconds for all of it; 0: none */
    const berth_proxy *proxy;       /* copied with its texts; NULL: connects directly */
    berth__options *const *options; /* of each attempt; NULL there: none */
    berth_proxy_header *const *header; /* to be sent first; NULL there: none */
    bool authorized;                   /* an HTTP proxy has asked for the credentials before */
} berth__connect_plan;

/* Begins a lookup, or has an address to be tried. NULL with an errno in *ret_error if that is not
 * possible. */
berth__connector *berth__connect_start(struct berth_loop *loop, const berth__connect_plan *plan,
                                       const berth__connect_events *events, void *owner,
                                       int *ret_error);

/* Begins the attempts; to be called once after berth__connect_start. While the name of the target
 * is being looked up it does nothing; while that of a proxy is, connecting is announced already,
 * since the target is not what is looked up. */
void berth__connect_begin(berth__connector *connector);

/* Each of these allows NULL, for none. */

/* Drops every attempt, without a word, and releases the connector. */
void berth__connect_cancel(berth__connector *connector);

/* The loop was inherited by fork, and is the process's own now. */
void berth__connect_renew(berth__connector *connector);

/* In a blocking wait of the owner: one of the attempts that has something to report, or NULL. */
berth__stream *berth__connect_stream(const berth__connector *connector);

/* What a blocking wait has to name as the owner of what it runs, for the way through a proxy; NULL
 * if there is none. */
const void *berth__connect_runs(const berth__connector *connector);

/* In a blocking wait of the owner, where no timer runs: does what is due. Returns when it wants to
 * be called again; the connector may have ended. */
uint64_t berth__connect_step(berth__connector *connector);

#endif
