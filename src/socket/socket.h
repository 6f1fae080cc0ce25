/*
 * Inside a socket, for the files socket*.c and server*.c.
 *
 * A berth_socket is what the user holds; a berth__stream is one connection of the backend. The
 * socket has a stream from the beginning of a connection until its end; then the stream is given to
 * the loop, which sees to its closing, while the socket may be used for another connection or be
 * freed at once.
 *
 * Input: while ready_read is being called, the last of `input` is what the backend has just
 * delivered, still in the backend's memory; what the handler leaves is copied. Bytes that were read
 * in an open transaction stay at the front of `input`, whose first chunk counts them. Output:
 * `output` is sent chunk by chunk; while a send is in flight its bytes are the first of the first
 * chunk.
 */
#ifndef BERTH_SRC_SOCKET_H
#define BERTH_SRC_SOCKET_H

#include <berth/server.h>
#include <berth/socket.h>

#include "backend/backend.h"
#include "base/address_counts.h"
#include "base/probe.h"
#include "connection_limits.h"
#include "loop/loop.h"
#include "loop/object.h"
#include "rate.h"

#include <stdatomic.h>

/* What was tried when the last error came. */
typedef enum berth__attempt {
    BERTH__ATTEMPT_NOTHING,
    BERTH__ATTEMPT_BIND,
    BERTH__ATTEMPT_CONNECT,
    BERTH__ATTEMPT_ADOPT,
    BERTH__ATTEMPT_READ,
    BERTH__ATTEMPT_WRITE,
    BERTH__ATTEMPT_WAIT,
    BERTH__ATTEMPT_OPTION,
    BERTH__ATTEMPT_RELEASE,
    BERTH__ATTEMPT_RATE,
    BERTH__ATTEMPT_CLOSE,
    BERTH__ATTEMPT_CREDENTIALS,
    BERTH__ATTEMPT_ENCRYPT,
    BERTH__ATTEMPT_DECRYPT, /* once the handshake is complete */
    BERTH__ATTEMPT_KEEP     /* the connection: the number is a berth__limit */
} berth__attempt;

/* What has become of output that was sent inside a call, where no handler may be called: the list
 * of those to be flushed is to announce it.
 *
 *     NONE <-> GIVEN -> FAILED -> BROKEN -> NONE, with the next connection
 *        \------------/----------/
 *
 * While no send is in flight, `result` of the stream is what goes with it. */
typedef enum berth__outcome {
    BERTH__OUTCOME_NONE,
    BERTH__OUTCOME_GIVEN,  /* the kernel took bytes: how many */
    BERTH__OUTCOME_FAILED, /* a send has failed: the errno, negative */
    BERTH__OUTCOME_BROKEN  /* that was announced, or came from the backend; nothing is sent any more
                            */
} berth__outcome;

struct berth__connector;
typedef struct berth__secure berth__secure;
typedef struct berth__encryption berth__encryption;
struct berth__engine_failure;

/* What accepted connections belong to, and wait in the queue of: their server, as far as they know
 * it. They count what becomes of them. */
typedef struct berth__owner {
    berth_loop *loop;
    berth__object *children; /* the sockets it owns */
    /* Takes a socket out of the queue that was freed or ended by a limit while it waited. */
    void (*left_queue)(struct berth__owner *owner, berth_socket *socket);
    /* While the owner is drained, else NULL: one of its connections is not counted any more. */
    void (*left)(struct berth__owner *owner, berth_socket *socket);
    /* The handshake of a socket that was begun for the owner is over: it is complete, or it has
     * failed, and then the socket has no connection any more. The owner may free it. */
    void (*shaken)(struct berth__owner *owner, berth_socket *socket,
                   const struct berth__engine_failure *failure);
    size_t pending_read_limit;                 /* bytes of each in the queue; 0: none */
    bool local;                                /* those that are accepted are Unix sockets */
    bool parcelled;                            /* likewise: see berth__ready */
    berth_connection_limits connection_limits; /* of those that are accepted */
    bool limits_connections;                   /* these are not all zero */
    berth__roll *roll;                         /* its connections by address */
    berth_server_counts counts;
} berth__owner;

/* What only some sockets need: names that were looked up, all about connecting, and the limit on
 * closing. Made on first use. */
typedef struct berth__remote {
    berth_address address[2]; /* by berth__side */
    uint16_t port[2];
    bool known[2];
    bool told;    /* the peer's name is that of the connection that the last error has ended */
    bool bound;   /* the local name was asked for with berth_socket_bind */
    bool by_path; /* `target` is that of a Unix socket */
    char *target; /* what was connected to, as it was given; kept after the end */
    uint16_t target_port;
    bool asked;    /* the proxy wants the credentials of the next attempt with its first request */
    char *through; /* the proxy of that attempt, for texts; NULL for none */
    struct berth__proxy *proxy;        /* as set; NULL: the default one */
    struct berth_proxy_header *header; /* to be written in front of the output; NULL: none */
    berth__options *options;           /* set without a connection; NULL: none */
    uint16_t late_options;             /* bits: those that the attempts at hand may not have */
    bool looked; /* in CLOSING, nothing was accepted since the kernel was asked for `transit` */
    bool spared; /* its time is over, and the kernel is asked once more what it has taken */
    uint32_t transit; /* bytes that the peer had not acknowledged then */
    uint32_t waits;   /* of the loop, when the time was over */
    uint8_t *values;  /* of the PROXY header that has come, or NULL */
    size_t values_size;
    berth__encryption *encryption;      /* NULL if there never was any */
    struct berth__connector *connector; /* while connecting */
    berth_socket *socket;               /* whose closing has a limit */
    berth__deadline limit;              /* runs in CLOSING only */
} berth__remote;

struct berth_socket {
    berth__object object;
    const berth_socket_handlers *handlers;
    void *user;
    berth__stream *stream; /* NULL without a connection */
    berth__remote *remote;
    berth__socket_limits *limits; /* NULL if it never had one */
    berth__owner *owner; /* that counts this connection, or has it in its queue; else NULL */
    berth_socket *pending_next;
    berth__flush flush;
    berth__chain input;
    berth__chain output;
    uint32_t read_limit;      /* 0: none */
    uint32_t write_low;       /* marks of the output */
    uint32_t write_high;      /* 0: none */
    uint32_t connect_timeout; /* milliseconds; 0: none */
    uint32_t close_timeout;   /* likewise */
    uint32_t endings;     /* connections that have ended: shows a caller of handlers whether its own
                             still goes on */
    int16_t error_number; /* of the last error: errno, refusal or limit; 0 if it had none */
    uint8_t state;        /* berth_state */
    uint8_t error : 7;    /* berth_error */
    bool paused : 1;      /* the user wants no input delivered */
    union {
        struct {
            uint8_t outcome : 2; /* berth__outcome; set by berth__socket_set_outcome */
            bool end_held : 1;   /* it has ended while nobody had taken the socket, or in a wait
                                    that has brought bytes: not announced yet */
            bool overflowed : 1; /* a write went beyond the limit of output: the turn ends the
                                    connection */
            bool closed : 1;     /* berth_socket_close: no more writing, input is dropped */
            bool shut : 1;       /* the user has ended the output: no more writing */
            bool holed : 1;      /* input was lost, for want of memory or to TLS that has failed:
                                    none of it may follow */
            bool paced : 1;      /* the output has a rate */
        };
        uint8_t unusual; /* any of these: one test for each message */
    };
    /* Set for each message. */
    bool heard : 1;    /* bytes have come on this connection */
    bool spoken : 1;   /* bytes have gone, or may have gone before it was adopted */
    bool received : 1; /* marks for a wait, as `connected`: what has happened since it began, see
                          socket_wait.c */
    bool sent : 1;
    bool in_ready_read : 1;
    bool in_bytes_written : 1;
    bool in_transaction : 1;
    bool drains : 1; /* there are marks, and output above the low one: `drained` is owed */
    /* And the others. */
    bool connected : 1;
    bool input_ended : 1; /* the peer has ended its direction */
    bool counted : 1;     /* among the live connections of `owner` */
    bool pending : 1;     /* in the queue of `owner`, or shaking hands on the way into it */
    bool of_worker : 1;   /* its loop counts it when it is freed or detached */
    bool half_close : 1;  /* the user lets the peer end its direction */
    bool finished : 1;    /* read_channel_finished was called for this connection */
    bool leaving : 1;     /* disconnect was asked for while connecting */
    bool failing : 1;     /* handlers are called because it could not begin */
    bool was_reset : 1;   /* the peer has reset the connection; until the next begins */
    bool awaited : 1;     /* a wait for something else than the end is on the stack */
    bool corked : 1;      /* the kernel may hold the last segment back, for the end */
    uint8_t attempt : 4;  /* berth__attempt of the last error */
};

/* A socket for a descriptor, a child of the owner. `accepted`: the backend has just accepted it, so
 * it is not checked. `address` is what it is counted as, which the socket takes over, or NULL. NULL
 * with an errno when out of memory, or if it is no connection. */
berth_socket *berth__socket_accept(berth__owner *owner, int descriptor, bool accepted,
                                   berth__address_count *address, int *ret_error);

/* Whether it is a copy that fork has made, which cannot do what was tried; the error says so. */
bool berth__socket_refuse_copy(berth_socket *socket, berth__attempt attempt);

static inline bool berth__socket_is_copy(berth_socket *socket, berth__attempt attempt)
{
    return socket->object.loop->inherited && berth__socket_refuse_copy(socket, attempt);
}

/* Ends the connection at once, output dropped; input that was received can still be read. */
void berth__socket_drop(berth_socket *socket, berth__close_mode mode);

/* Counts an end. Only the thread that the counter belongs to writes to it; others may read. */
void berth__socket_count_end(atomic_size_t *ended);

/* socket_input.c: the end of the input, with its errno; whether that means a reset. */
void berth__socket_input_ended(berth_socket *socket, int error);
/* Announces an end that was held, or one by the limit of output. Returns whether the connection
 * goes on: then whoever settles the socket is to send its output. */
bool berth__socket_settle_end(berth_socket *socket);
/* How the last send has failed, announced or not; 0 if it has not. The kernel reports an error of
 * the connection once: where a send has taken it, a receive finds only the end. */
int berth__socket_error_of_send(const berth_socket *socket);
bool berth__socket_is_reset(int error);

/* socket_output.c: what the backend calls. */
void berth__socket_sent(berth__stream *stream, ptrdiff_t result);
/* Notes a failure, a negative errno, of a send inside a call: the list is to announce it. */
void berth__socket_note_failure(berth_socket *socket, ptrdiff_t result);
bool berth__socket_taken_whole(berth__stream *stream, ptrdiff_t result);

static inline uint32_t berth__socket_bounded(size_t bytes)
{
    return bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

/* What a turn does with a socket that is to be flushed: announces an end that was held back, or
 * sends, and announces the result of a send that has ended at once. */
void berth__socket_settle(berth_socket *socket);

/* Announces what calls have given to the kernel, if there is any. */
void berth__socket_announce_given(berth_socket *socket);

/* As settling, after a handler that has answered what came, where the socket was not in the list.
 */
void berth__socket_answer(berth_socket *socket);

/* Whether there is output that berth__socket_settle would send or announce. */
bool berth__socket_unsent(const berth_socket *socket);

static inline void berth__socket_set_outcome(berth_socket *socket, berth__outcome next)
{
    assert(next == BERTH__OUTCOME_NONE || socket->outcome != BERTH__OUTCOME_BROKEN);
    assert(next != BERTH__OUTCOME_GIVEN || socket->outcome != BERTH__OUTCOME_FAILED);
    socket->outcome = (unsigned)next & 3u;
}

/* Bytes that the kernel has taken inside calls, and that are still to be announced. */
static inline size_t berth__socket_given(const berth_socket *socket)
{
    return socket->outcome == BERTH__OUTCOME_GIVEN ? (size_t)socket->stream->ready.result : 0;
}

/* Whether a send has failed, announced or not. */
static inline bool berth__socket_cannot_send(const berth_socket *socket)
{
    return socket->outcome >= BERTH__OUTCOME_FAILED;
}

/* Counts bytes of output that the kernel has taken. */
static inline void berth__socket_count_sent(berth_socket *socket, size_t size)
{
    BERTH__PROBE3(send, socket, socket->stream->descriptor, size);
    socket->object.loop->counts.bytes_out += size;
}

/* Output that was not announced yet: whether there is any; bytes. */
static inline bool berth__socket_has_output(const berth_socket *socket)
{
    return socket->output.first != NULL || socket->outcome == BERTH__OUTCOME_GIVEN;
}

static inline size_t berth__socket_unwritten(const berth_socket *socket)
{
    return berth__chain_size(&socket->output) + berth__socket_given(socket);
}

/* NULL unless it is connecting. */
static inline struct berth__connector *berth__socket_connector(const berth_socket *socket)
{
    return socket->remote != NULL ? socket->remote->connector : NULL;
}

/* The socket was taken out of its owner's queue by the user: what was held back goes on. */
void berth__socket_taken(berth_socket *socket);

/* From socket_pace.c: starts or stops receiving, as limit, pause, rate, state and place in the
 * queue want it. Calls nothing. */
void berth__socket_pace(berth_socket *socket);

/* Whether input is received by and by, as far as tokens allow, and its end. */
bool berth__socket_listens(const berth_socket *socket);

/* Whether a send has failed, and then receiving was stopped. Nothing would report it, and the
 * program may wait for room in the output, of which there will be none: the turn ends it. */
bool berth__socket_is_cut_off(const berth_socket *socket);

/* Bytes of a limited stream that may be delivered now; 0 if receiving was stopped for want of
 * tokens. */
size_t berth__socket_input_room(berth__stream *stream);

/* Bytes of an encrypted connection that may be delivered now, at most `most`; 0: none are wanted.
 */
size_t berth__socket_room_of(berth_socket *socket, size_t most);

/* Nothing was there: tokens for it are given back. */
void berth__socket_room_unused(berth__stream *stream);

/* As berth__limits_step: lets those go on whose tokens are due. */
uint64_t berth__rates_step(berth_socket *socket);

/* Whether nothing comes because this side does not want it now, though there may be something. */
bool berth__socket_is_held_back(const berth_socket *socket);

/* Between the socket's files: */
#define BERTH__SOCKET_SLOT(socket, slot) \
    BERTH__SLOT((socket)->handlers, (socket)->object.handlers_size, berth_socket_handlers, slot)
#define BERTH__CALL(socket, slot, ...)                                      \
    do {                                                                    \
        if (!(socket)->object.freed && !(socket)->object.loop->inherited && \
            BERTH__SOCKET_SLOT(socket, slot) != NULL)                       \
            (socket)->handlers->slot(__VA_ARGS__, (socket)->user);          \
    } while (0)

/* Whether a Unix socket has the option. */
bool berth__socket_is_local_option(unsigned which);
extern const berth__stream_events berth__socket_events;
berth_socket *berth__socket_make(berth_loop *loop, berth__object **list); /* NULL: no memory */
void berth__socket_set_error(berth_socket *socket, berth_error error, int number,
                             berth__attempt attempt);
/* The same, and calls error_occurred. */
void berth__socket_fail(berth_socket *socket, berth_error error, int number,
                        berth__attempt attempt);
/* Looks up the peer of a connection that ends by a failure, so that texts can name it. */
void berth__socket_note_peer(berth_socket *socket);
void berth__socket_set_state(berth_socket *socket, berth_state state);
void berth__socket_end(berth_socket *socket);
/* Announces an error, and ends the connection unless a handler has. */
void berth__socket_end_by_error(berth_socket *socket, berth_error error, int number,
                                berth__attempt attempt);
void berth__socket_end_by_hole(berth_socket *socket); /* input was lost for want of memory */
void berth__socket_finish_reading(berth_socket *socket);
void berth__socket_drop_input(berth_socket *socket);
berth__remote *berth__socket_remote(berth_socket *socket); /* made if need be; NULL: no memory */
/* Gives a connection those options that were set while it was being made. */
void berth__socket_set_late_options(berth_socket *socket);
/* Copies the values of a PROXY header; false when out of memory. */
bool berth__remote_keep_values(berth__remote *remote, const uint8_t *values, size_t size);
/* Forgets what was kept for texts, settings and headers. */
void berth__remote_clear(berth__remote *remote);
/* Takes the connection from the socket, or the way to one, and returns its stream, if there is one,
 * with the chunk that a send in flight still reads. */
berth__stream *berth__socket_let_go(berth_socket *socket, berth__chunk **ret_leased);

/* From socket_close.c: */
void berth__socket_send_rest(berth_socket *socket);      /* CLOSING, and there is output */
void berth__socket_end_direction(berth_socket *socket);  /* shut, and all output is sent */
void berth__socket_stop_limit(berth_socket *socket);     /* allowed when none runs */
uint64_t berth__socket_close_step(berth_socket *socket); /* as berth__connect_step, for the limit */

/* From socket_begin.c: ends a connect that has not come to a connection, and reports it. */
void berth__socket_connect_failed(berth_socket *socket, berth_error error, int number);

/* ---- socket_limits.c ------------------------------------------------------------------------- */

/* The limits of a socket, none are set if it had none; NULL when out of memory. */
berth__socket_limits *berth__limits_of(berth_socket *socket);

/* Gives a socket the limits; false when out of memory, all is as it was then. They begin to run if
 * there is a connection. */
bool berth__limits_set(berth_socket *socket, const berth_connection_limits *given);

/* The connection begins; it leaves its server; it ends. All are allowed without limits. */
void berth__limits_begin(berth_socket *socket);
void berth__limits_uncount(berth_socket *socket);

/* Takes the connection's place in the roll of its server out of the socket, which is about to end:
 * for as long as there is a descriptor. None if it is not counted. */
berth__place berth__limits_take_place(berth_socket *socket);
void berth__limits_end(berth_socket *socket);

/* The socket takes input again, or its output goes on; there was no output, and there will be; the
 * socket is freed. It has limits. */
void berth__limits_resume(berth_socket *socket);
void berth__limits_output_begins(berth_socket *socket);
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

/* A direction that has a rate, else NULL. */
static inline berth__flow *berth__rates_flow(const berth_socket *socket, berth__direction direction)
{
    if (socket->limits == NULL || socket->limits->rates == NULL)
        return NULL;
    berth__flow *flow = &socket->limits->rates->flows[direction];
    return flow->rate != NULL ? flow : NULL;
}

/* The program's bytes have gone that way, for which tokens were taken. */
static inline void berth__rates_spend(berth_socket *socket, size_t bytes,
                                      berth__direction direction)
{
    if (socket->limits != NULL && socket->limits->rates != NULL)
        berth__flow_spend(&socket->limits->rates->flows[direction], bytes);
}

/* The connection has moved bytes. Of encrypted output these are the encrypted ones, and not all of
 * what they are made of may have gone. */
static inline void berth__limits_moved(berth_socket *socket, size_t bytes)
{
    berth__socket_limits *limits = socket->limits;
    if (limits == NULL)
        return;
    limits->bytes += bytes;
    limits->looked = false;
    /* Not the time of the last wait: since then a handler, or the program between two turns, may
     * have taken longer than the limit. */
    limits->active = berth__loop_clock(socket->object.loop);
}

#endif
