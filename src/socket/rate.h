/*
 * Rates: token buckets, and the directions of sockets that take tokens from them.
 *
 * A token is a byte. A flow, one direction of one socket, asks for tokens when it could move bytes,
 * never before: an idle connection takes none. If there are not enough it waits in the bucket's
 * line, and one deadline of the bucket, for the first of the line, gives each in turn a quantum and
 * lets it go on; so all that wait get the same, whatever they have to move. Output takes its tokens
 * before it is sent, and gives back what the kernel has not taken: all of them where there is no
 * room, which it waits for without. Input pays when it is delivered, and gives back what was
 * granted if there is none.
 *
 *     free --take, not enough--> waits --its turn--> granted --spend--> free
 *
 * Going on means to receive, or to be in the list of those to be flushed: no handler of a program
 * is called here, so that a blocking wait of one socket may serve the whole line.
 *
 * The bucket may be freed at any time. It stays in memory as long as flows have it, without a
 * limit.
 */
#ifndef BERTH_SRC_RATE_H
#define BERTH_SRC_RATE_H

#include <berth/rate.h>
#include <berth/socket.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum berth__direction {
    BERTH__FLOW_INPUT,
    BERTH__FLOW_OUTPUT
} berth__direction;

typedef struct berth__flow {
    berth_rate *rate; /* NULL: none */
    struct berth__flow *next;
    struct berth__flow **link; /* NULL: it does not wait */
    berth_socket *socket;
    void (*go_on)(struct berth__flow *flow); /* its turn has come, tokens are granted */
    uint32_t wanted;                         /* tokens that it waits for */
    uint32_t granted;                        /* that it has taken and not spent */
} berth__flow;

/* Of a socket that has, or had, a rate. */
typedef struct berth__rates {
    berth__flow flows[2]; /* by berth__direction */
} berth__rates;

/* Whether a flow, which may be NULL, waits for tokens. */
static inline bool berth__flow_waits(const berth__flow *flow)
{
    return flow != NULL && flow->link != NULL;
}

/* How many of `most` bytes, at least one, may move now; 0: the flow waits. They are reserved for
 * output only, by berth__flow_reserve. */
size_t berth__flow_take(berth__flow *flow, size_t most);
void berth__flow_reserve(berth__flow *flow, size_t bytes);

/* Bytes have moved. */
void berth__flow_spend(berth__flow *flow, size_t bytes);

/* Leaves the line. `unused`: what was granted is given back. */
void berth__flow_leave(berth__flow *flow, bool unused);

/* For a blocking wait, where no deadline runs: when the first of the line that it waits in is due,
 * or UINT64_MAX. Lets go on who is due. */
uint64_t berth__flow_step(berth__flow *flow);

/* Gives a flow another rate, or none. `unused` as in berth__flow_leave. */
void berth__flow_set(berth__flow *flow, berth_rate *rate, bool unused);

/* Whether there is a limit: not of a flow that is NULL, nor where the rate was freed. */
bool berth__flow_is_limited(const berth__flow *flow);

/* The rate of a flow, which may be NULL, unless it was freed; the loop of a rate. */
berth_rate *berth__flow_rate(const berth__flow *flow);
berth_loop *berth__rate_loop(const berth_rate *rate);

/* The connection ends; `sending`: with a send in flight. The socket is freed. */
void berth__rates_end(berth__rates *rates, bool sending);
void berth__rates_free(berth__rates *rates);

#endif
