/*
 * Dialling: a connection in the core's own hand (backend.h) to the first of several addresses that
 * answers.
 *
 *     start -> attempts that overlap -> dialled
 *                                   \-> failed
 *
 * As RFC 8305 has it: the next attempt begins when one has failed, or after 250 ms; the first that
 * is connected wins, and the others are dropped. There is no limit of time here; whoever dials has
 * one over all. An event is called from the loop, never inside start; each may cancel, and each has
 * ended the dial.
 */
#ifndef BERTH_DIAL_H
#define BERTH_DIAL_H

#include "backend/backend.h"

struct berth_loop;

#define BERTH__STAGGER ((uint64_t)250) /* milliseconds between attempts */

typedef struct berth__dial berth__dial;

typedef struct berth__dial_events {
    /* The descriptor is the owner's now. `index` is the address's. */
    void (*dialled)(void *core, int descriptor, size_t index);
    void (*failed)(void *core, int error); /* of the last attempt */
} berth__dial_events;

typedef struct berth__dial_plan {
    const berth_address *addresses; /* borrowed until an event, at most BERTH__MOST_ADDRESSES */
    size_t count;
    uint16_t port;
    const berth__options *options; /* borrowed likewise; NULL: none */
} berth__dial_plan;

/* Begins. `owner` is whose blocking wait runs it, `core` what the events get. NULL with an errno in
 * *ret_error if no attempt could begin, or for want of memory. */
berth__dial *berth__dial_start(struct berth_loop *loop, const berth__dial_plan *plan,
                               const berth__dial_events *events, void *owner, void *core,
                               int *ret_error);

/* Drops all attempts, without a word. */
void berth__dial_cancel(berth__dial *dial);

/* In a wait that runs no timers: begins the next attempt if that is due. Returns when it wants to
 * be called again, or UINT64_MAX; 0: something has happened, and the dial may be over. */
uint64_t berth__dial_step(berth__dial *dial);

/* Whether a connection to `port` has met itself: its own port was chosen, or bound, to be the one
 * it went to. Nobody listens there then, and it would keep whoever wants to from it. Writes the
 * local name, null if that is not known. */
bool berth__met_itself(struct berth_loop *loop, int descriptor, uint16_t port,
                       berth_address *ret_local, uint16_t *ret_port);

#endif
