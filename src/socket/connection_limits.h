/*
 * The limits of one connection (berth_connection_limits): when each is due. What becomes of the
 * connection then is the socket's affair, see socket_limits.c.
 *
 * Only a socket that has one of them, or a rate, has this object, so the others pay a pointer and a
 * test. It has one deadline in the loop's heap, for the earliest of its limits. Bytes that go do
 * not touch the heap: they leave their time in the limits, and when the deadline comes it is
 * computed anew from that, and started again if it lies ahead.
 *
 * The kernel accepts output again only when a third of its buffer is free, which takes a slow peer
 * long. So it is asked how much the peer has not acknowledged, where bytes have gone at all: when
 * the idle limit is due, and at each end of a window of the rate. Less than at the last look is
 * progress. Before the rate ends a connection the kernel is asked how much input is still there: a
 * turn receives so much of it, and what it leaves is no fault of the peer. A look is good for the
 * idle limit as long as nothing moves after it; where there is none, the time begins anew with this
 * one.
 *
 * The lifetime is held against the clock, whatever the peer does. The limits that depend on bytes
 * are held against loop->time, when the kernel was last asked for news: bytes that came while a
 * handler was busy must have had their chance to be seen. For the same reason a connection that has
 * something in the ready list is let off until that has run, but only once: a peer that always has
 * more to say, and still too little, is no exception. Deadlines are rounded up to BERTH_LIMIT_TICK,
 * so that many connections wake the loop together.
 */
#ifndef BERTH_SRC_CONNECTION_LIMITS_H
#define BERTH_SRC_CONNECTION_LIMITS_H

#include <berth/limits.h>
#include <berth/socket.h>

#include "base/address_counts.h"
#include "loop/deadlines.h"

/* What a connection was ended by; kept in berth_socket.error_number with BERTH__ATTEMPT_KEEP. */
typedef enum berth__limit {
    BERTH__LIMIT_NONE,
    BERTH__LIMIT_FIRST_BYTE,
    BERTH__LIMIT_IDLE,
    BERTH__LIMIT_LIFETIME,
    BERTH__LIMIT_RATE,
    BERTH__LIMIT_OUTPUT,
    BERTH__LIMIT_ADDRESS, /* of the server's: such a connection has no socket */
    BERTH__LIMIT_DRAIN    /* the deadline of its server's drain */
} berth__limit;

typedef struct berth__socket_limits {
    berth_socket *socket;
    berth_connection_limits given;
    berth__deadline deadline;
    uint64_t began;                /* the connection, or the setting; nanoseconds, as those below */
    uint64_t active;               /* when a byte went last */
    uint64_t listens;              /* since when a first byte could come */
    uint64_t window;               /* when the present window of the rate began */
    uint64_t bytes;                /* that went in it */
    uint32_t transit;              /* bytes not acknowledged at the last look, or UNKNOWN */
    bool looked;                   /* `active` is the time of that look: nothing has moved since */
    bool spared;                   /* a limit is over, but what is in the ready list may count */
    berth__address_count *address; /* of the socket's server; NULL if not counted by address */
    berth_socket **pending_link;   /* what points to the socket in a queue; NULL: not known */
    struct berth__rates *rates;    /* NULL: it never had one */
} berth__socket_limits;

/* What has to be known about the connection besides. */
typedef struct berth__limits_view {
    bool silent;    /* no byte has come, and the peer may still send one */
    bool held_up;   /* nothing can come because this side does not take it */
    bool stands;    /* no byte can go either way because of this side */
    bool unsent;    /* there is output that the kernel has not been offered yet */
    bool owes;      /* output waits */
    bool spoken;    /* bytes have gone */
    uint64_t clock; /* now; those below are given the time of the last wait */
} berth__limits_view;

const char *berth__limit_text(berth__limit limit);

bool berth__limits_none(const berth_connection_limits *limits);

/* The connection, or the setting, begins; bytes may go again after this side has held them up.
 * `transit`: bytes that the peer has not acknowledged by then. */
void berth__limits_start(berth__socket_limits *limits, size_t transit, uint64_t now);
void berth__limits_go_on(berth__socket_limits *limits, uint64_t now);

/* When the lifetime is over; UINT64_MAX: never. */
uint64_t berth__lifetime_due(const berth__socket_limits *limits);

/* Whether it matters now how many bytes the peer has not acknowledged; and what they are. */
bool berth__limits_asks(const berth__socket_limits *limits, const berth__limits_view *view,
                        uint64_t now);
void berth__limits_look(berth__socket_limits *limits, const berth__limits_view *view,
                        size_t transit, uint64_t now);

/* Whether a window of the rate that is over would have had enough with the bytes that have come,
 * and wait for this side to take them: then the next one begins, and the earliest limit is another
 * or later. */
bool berth__limits_makes_up(berth__socket_limits *limits, size_t input, uint64_t clock);

/* The earliest limit and when it is due: NONE and UINT64_MAX if there is none. */
berth__limit berth__limits_earliest(berth__socket_limits *limits, const berth__limits_view *view,
                                    uint64_t now, uint64_t *ret_due);

#endif
