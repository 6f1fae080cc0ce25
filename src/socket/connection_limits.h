/*
 * The limits of one connection (berth_connection_limits), and its place among those of its address.
 *
 * Only a socket that has one of them has this object, so the others pay a pointer and a test. It
 * has one deadline in the loop's heap, for the earliest of its limits. Bytes that go do not touch
 * the heap: they leave their time in the limits, and when the deadline comes it is computed anew
 * from that, and started again if it lies ahead.
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

#include "base/address_counts.h"
#include "loop/deadlines.h"
#include "socket.h"

typedef struct berth__socket_limits berth__socket_limits;

/* What a connection was ended by; kept in berth_socket.error_number with BERTH__ATTEMPT_KEEP. */
typedef enum berth__limit {
    BERTH__LIMIT_NONE,
    BERTH__LIMIT_FIRST_BYTE,
    BERTH__LIMIT_IDLE,
    BERTH__LIMIT_LIFETIME,
    BERTH__LIMIT_RATE,
    BERTH__LIMIT_OUTPUT
} berth__limit;

struct berth__socket_limits {
    berth_socket *socket;
    berth_connection_limits given;
    berth__deadline deadline;
    uint64_t began;                /* the connection, or the setting; nanoseconds, as those below */
    uint64_t active;               /* when a byte went last */
    uint64_t window;               /* when the present window of the rate began */
    uint64_t bytes;                /* that went in it */
    bool spared;                   /* a limit is over, but what is in the ready list may count */
    berth__address_count *address; /* of the socket's server; NULL if not counted by address */
    berth_socket **pending_link;   /* what points to the socket in a queue; NULL: not known */
};

const char *berth__limit_text(berth__limit limit);

/* Gives a socket the limits; false when out of memory, all is as it was then. They begin to run if
 * there is a connection. */
bool berth__limits_set(berth_socket *socket, const berth_connection_limits *given);

bool berth__limits_none(const berth_connection_limits *limits);

/* The connection begins; it leaves its server; it ends. All are allowed without limits. */
void berth__limits_begin(berth_socket *socket);
void berth__limits_uncount(berth_socket *socket);

/* Takes the connection's place in the roll of its server out of the socket, which is about to end:
 * for as long as there is a descriptor. None if it is not counted. */
berth__place berth__limits_take_place(berth_socket *socket);
void berth__limits_end(berth_socket *socket);

/* The socket takes input again; the socket is freed. It has limits. */
void berth__limits_resume(berth_socket *socket);
void berth__limits_free(berth_socket *socket);

/* Whether `size` more bytes of output are too many. */
bool berth__limits_exceeded(const berth_socket *socket, size_t size);

/* Ends the connection by a limit, handlers included. */
void berth__limits_close(berth_socket *socket, berth__limit limit);

/* In a blocking wait, where no timer runs: ends the connection if that is due. Returns when it
 * wants to be called again. */
uint64_t berth__limits_step(berth_socket *socket);
/* The same for one whose input this wait does not run: only its lifetime can be judged. */
uint64_t berth__limits_step_lifetime(berth_socket *socket);

static inline void berth__limits_moved(berth_socket *socket, size_t bytes)
{
    struct berth__socket_limits *limits = socket->limits;
    if (limits == NULL)
        return;
    limits->bytes += bytes;
    /* Not the time of the last wait: since then a handler, or the program between two turns, may
     * have taken longer than the limit. */
    limits->active = berth__loop_clock(socket->object.loop);
}

#endif
