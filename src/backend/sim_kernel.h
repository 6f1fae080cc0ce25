/*
 * The kernel that backend/sim.c runs on: descriptors, listening ports, connections, chance. For the
 * files sim*.c only.
 *
 * A connection is two ends, each with the bytes that its owner has sent and the other end has not
 * got, and those that wait for its owner. An end belongs to a record of the library (and has a
 * descriptor), or to the test, or waits in a port's backlog, or has been closed and goes on by
 * itself until all that was sent has arrived. What its going means for the other one is written
 * into the other one (`input_ended`, `error`), so that nobody ever looks at an end that has gone.
 *
 * An attempt to connect that finds no room has no other end yet (sim_connect.c).
 *
 *      connect_to --> in a backlog --accept--> with a descriptor --adopt--> with a stream
 * --close--> gone |                          ^
 *                          +--- close of the port --> gone
 */
#ifndef BERTH_BACKEND_SIM_KERNEL_H
#define BERTH_BACKEND_SIM_KERNEL_H

#include "sim.h"

#include <stdatomic.h>

typedef struct berth__kernel berth__kernel;
typedef struct berth__kernel_port berth__kernel_port;
typedef struct berth__kernel_name berth__kernel_name;
typedef struct berth__kernel_frame berth__kernel_frame;
typedef struct berth__kernel_cursor berth__kernel_cursor;

/* Bytes in order. A limit may be set below the size. */
typedef struct berth__kernel_queue {
    uint8_t *bytes;
    size_t start;
    size_t size;
    size_t space;
    size_t limit;
} berth__kernel_queue;

struct berth__sim_end {
    berth__sim_end *next; /* in the list of all ends */
    berth__sim_end **link;
    berth__sim_end *next_queued;
    berth__kernel *kernel;
    berth__sim_end *other; /* NULL once that one has gone */
    berth__stream *stream;
    berth__kernel_port *queued; /* whose backlog it waits in */
    uint64_t retry_at;          /* an attempt: when it asks again; 0: it is none */
    unsigned segments;          /* that it has sent */
    bool local;                 /* of a Unix socket */
    bool established;
    bool addressed;    /* bytes of the other one have come */
    bool input_ended;  /* the end of the other one's output has come */
    bool output_ended; /* by its owner; the other one may not know yet */
    bool orphan;       /* closed, and not at its end yet */
    bool dead;         /* a reset has been noticed, or is certain */
    int error;         /* pending, reported once */
    size_t lost;       /* of the output, by a reset: it counts as in transit still */
    bool lost_unsent;  /* and some of it as unsent */
    int connect_error;
    uint32_t checksum; /* of the send in flight */
    unsigned whole;    /* sends of little, see berth__sim_whole_sends */
    bool parted;       /* the last send was not taken whole */
    bool more;         /* its hint */
    int options[BERTH__OPTIONS];
    berth_credentials peer_credentials; /* of a local one */
    berth_address local_address;
    berth_address peer_address;
    uint16_t local_port;
    uint16_t peer_port;
    uint16_t pair; /* of both ends of a local connection, from 1 on; else 0 */
    berth__kernel_queue input;
    berth__kernel_queue output;
    uint64_t move_due;   /* when the next of the output moves; 0: it does not */
    uint64_t held_until; /* by MORE; 0: not */
};

struct berth__kernel_port {
    berth__kernel_port *next;
    berth__listener *listener; /* NULL: the test's, or not adopted yet */
    berth_address address;
    uint16_t number;
    size_t backlog;
    const uint8_t *greeting; /* bytes that whoever connects finds waiting */
    size_t greeting_size;
    bool shared;              /* with others that want to share it */
    bool shut;                /* listens no longer */
    bool told;                /* and the listener knows */
    berth__kernel_name *name; /* of a Unix socket, while it is in the file system; or NULL */
    berth__sim_end *queue;
    size_t queued;
};

typedef enum berth__kernel_entry_kind {
    ENTRY_FREE,
    ENTRY_PORT,
    ENTRY_END,
    ENTRY_EVENT,
    ENTRY_CLOSING /* the stream was closed; `closed` has not been called yet */
} berth__kernel_entry_kind;

enum {
    DUE_INPUT,
    DUE_SEND,
    DUE_CONNECT,
    DUE_CLOSE,
    DUE_COUNT
};

/* What a descriptor refers to. */
typedef struct berth__kernel_entry {
    berth__kernel_entry_kind kind;
    union {
        berth__kernel_port *port;
        berth__sim_end *end;
        berth__stream *closing;
        unsigned events;
    } of;
    uint64_t due[DUE_COUNT]; /* when a condition that holds is reported; 0: it does not hold */
} berth__kernel_entry;

typedef struct berth__kernel_watch {
    berth__watch *watch;
    uint64_t due;
} berth__kernel_watch;

typedef struct berth__kernel_candidate {
    berth__ready *ready;
    unsigned bits;
} berth__kernel_candidate;

struct berth__kernel {
    berth__backend backend; /* first */
    berth__kernel *older;   /* of this thread */
    berth__sim_settings settings;
    uint64_t random;
    uint64_t now;
    uint64_t slept;  /* by waits */
    uint64_t events; /* called */
    uint64_t accepts_failed;
    size_t attempts; /* to connect, that wait for room */
    unsigned barren; /* waits in a row that neither slept nor were woken, and nothing has moved */
    atomic_bool woken;
    int bell; /* an eventfd: ends a real wait */
    berth__kernel_entry *entries;
    size_t entry_count;
    unsigned open;
    unsigned copies; /* of descriptors, by `copy`: they have the same number here */
    berth__kernel_watch *watches;
    size_t watch_count;
    berth__kernel_candidate *candidates;
    size_t candidate_count;
    berth__kernel_port *ports;
    berth__kernel_name *names; /* of Unix sockets, and what else is in the file system */
    uint64_t inodes;           /* so far */
    uint16_t pairs;            /* likewise */
    berth__sim_end *ends;
    unsigned next_port;
    int accept_error;
    unsigned accept_failures;
    int send_error;
    unsigned send_failures;
    berth__sim_passes *passes; /* the test's, whenever time passes */
    void *passes_user;
    uint64_t passes_next;          /* when it wants to be called */
    bool passing;                  /* it is being called */
    berth__kernel_cursor *cursors; /* of walks through the ends, innermost first */
    berth__kernel_frame *frames;   /* calls of `run` on the stack, innermost first */
};

static inline berth__kernel *kernel_of(berth__backend *backend)
{
    return (berth__kernel *)backend;
}

/* Aborts for NULL: a test cannot go on without memory. */
void *berth__kernel_must(void *memory);

uint64_t berth__kernel_chance(berth__kernel *kernel, uint64_t below);
uint64_t berth__kernel_delay(berth__kernel *kernel);

/* NULL for a number that is not open; entries move when one is opened. */
berth__kernel_entry *berth__kernel_entry_of(berth__kernel *kernel, int descriptor);
int berth__kernel_open_entry(berth__kernel *kernel, berth__kernel_entry_kind kind);
void berth__kernel_close_entry(berth__kernel *kernel, int descriptor);
void berth__kernel_tell_closed(berth__kernel *kernel);
bool berth__kernel_at_limit(const berth__kernel *kernel);
/* Why a number is no descriptor here: EBADF, or ENOTSOCK for an open one of the real kernel. */
int berth__kernel_not_ours(int descriptor);

/* Takes as many of `size` bytes as chance lets through; how many. */
size_t berth__kernel_portion(berth__kernel *kernel, size_t size);

/* In sim_transport.c: */
berth__sim_end *berth__kernel_new_end(berth__kernel *kernel);
void berth__kernel_free_end(berth__sim_end *end); /* as it is; the other one is not notified */
void berth__kernel_close_end(berth__sim_end *end, bool reset);
/* Whether it has never been connected, and is not about to be. */
static inline bool berth__kernel_unconnected(const berth__sim_end *end)
{
    return !end->established && end->retry_at == 0;
}
bool berth__kernel_readable(const berth__sim_end *end);
bool berth__kernel_writable(const berth__sim_end *end);
/* The first bytes of the input, taken or only shown. */
void berth__kernel_get(berth__sim_end *end, uint8_t *data, size_t size);
void berth__kernel_look(const berth__sim_end *end, uint8_t *data, size_t size);
/* What recv(2) says when the bytes are used up: an errno, or 0 for the end. */
int berth__kernel_end_of_input(berth__sim_end *end);
/* The pending error, reported once; 0: none. */
int berth__kernel_take_error(berth__sim_end *end);
/* What send(2) says, with MSG_MORE or without: a count or a negative errno, EAGAIN included. */
ptrdiff_t berth__kernel_write(berth__sim_end *end, const void *data, size_t size, bool more);
void berth__kernel_end_output(berth__sim_end *end);
/* Whether shutdown(2) finds a connection. */
bool berth__kernel_can_end_output(const berth__sim_end *end);
bool berth__kernel_is_over(const berth__sim_end *end); /* ended both ways, and both have arrived */
void berth__kernel_set_option(berth__sim_end *end, berth_socket_option which, int value);
void berth__kernel_copy_options(berth__sim_end *end, const berth__sim_end *from);
/* Moves what is due of one output, or of all; the second notes when the next is due. */
void berth__kernel_push(berth__sim_end *end);
void berth__kernel_move(berth__kernel *kernel, uint64_t *earliest);

bool berth__kernel_is_wildcard(const berth_address *address);
uint16_t berth__kernel_free_port(berth__kernel *kernel, const berth_address *address);
bool berth__kernel_is_ours(const berth_address *address);
int berth__kernel_bind_error(berth__kernel *kernel, const berth_address *address, uint16_t number,
                             bool shared);
berth__kernel_port *berth__kernel_open_port(berth__kernel *kernel, const berth_address *address,
                                            uint16_t number, int backlog);
void berth__kernel_close_port(berth__kernel *kernel, berth__kernel_port *gone);
/* The port that serves this place, or NULL. */
berth__kernel_port *berth__kernel_find_port(berth__kernel *kernel, const berth_address *address,
                                            uint16_t number);
bool berth__kernel_has_room(const berth__kernel_port *port);
void berth__kernel_enqueue(berth__kernel_port *port, berth__sim_end *end);
berth__sim_end *berth__kernel_dequeue(berth__kernel_port *port); /* NULL for an empty backlog */

/* In sim_connect.c. The first makes an end that is connected, tries again, or has failed
 * (connect_error); the second lets those ask again whose time has come. */
berth__sim_end *berth__kernel_connect(berth__kernel *kernel, const berth_address *address,
                                      uint16_t number);
void berth__kernel_look_at_attempts(berth__kernel *kernel, uint64_t *earliest);

/* In sim_time.c: time passes (bytes move, peers and attempts act), at work and asleep; an operation
 * begins, somebody looks at the clock, an event is about to be called; what an accept answers that
 * finds a connection (0: it takes it).
 */
void berth__kernel_pass(berth__kernel *kernel, uint64_t nanoseconds);
void berth__kernel_sleep_until(berth__kernel *kernel, uint64_t time);
void berth__kernel_operate(berth__kernel *kernel);
void berth__kernel_look_at_clock(berth__kernel *kernel);
void berth__kernel_handle(berth__kernel *kernel);
int berth__kernel_accept_error(berth__kernel *kernel);

/* Whether a condition is due; gives it a time when it is new, and notes the earliest one that is
 * still to come. */
bool berth__kernel_is_due(berth__kernel *kernel, uint64_t *due, bool holds, uint64_t *earliest);
void berth__kernel_add_candidate(berth__kernel *kernel, berth__ready *ready, unsigned bits);

/* In sim_watch.c: */
int berth__sim_watch_start(berth__backend *backend, berth__watch *watch, int descriptor,
                           unsigned events);
void berth__sim_watch_close(berth__backend *backend, berth__watch *watch);
int berth__sim_copy(berth__backend *backend, int descriptor);
void berth__sim_close_copy(berth__backend *backend, int descriptor);
void berth__kernel_run_watch(berth__watch *watch);
void berth__kernel_look_at_watches(berth__kernel *kernel, uint64_t *earliest);

/* In sim_local.c: a port has gone, and so has the kernel; then operations. */
#define BERTH__SIM_CONNECTING 1u /* in stream->flags */
void berth__kernel_port_closed(berth__kernel *kernel, berth__kernel_port *port);
void berth__kernel_forget_names(berth__kernel *kernel);
int berth__sim_connect_local_stream(berth__backend *backend, berth__stream *stream,
                                    const berth__local_name *name, const berth__options *options);
int berth__sim_listen_local(berth__backend *backend, berth__listener *listener,
                            const berth__local_listen *options, berth__local_file *ret_file,
                            berth__local_step *ret_step);
void berth__sim_remove_local(berth__backend *backend, const berth__local_name *name,
                             const berth__local_file *file);
int berth__sim_local_name(berth__backend *backend, int descriptor, berth__local_name *ret_name);
int berth__sim_credentials(berth__backend *backend, int descriptor,
                           berth_credentials *ret_credentials);

/* The operations of the same names, in sim_bare.c. */
void berth__kernel_set_options(berth__sim_end *end, const berth__options *options);
int berth__sim_dial(berth__backend *backend, const berth_address *address, uint16_t port,
                    const berth__options *options, int *ret_descriptor);
int berth__sim_dialled(berth__backend *backend, int descriptor);
ptrdiff_t berth__sim_take(berth__backend *backend, int descriptor, void *data, size_t size,
                          bool keep);
ptrdiff_t berth__sim_put(berth__backend *backend, int descriptor, const berth_piece *pieces,
                         size_t count);
int berth__sim_open_file(berth__backend *backend, int descriptor, uint64_t *ret_size);
void berth__sim_close_file(berth__backend *backend, int descriptor);
/* Bytes of chunks, as the operation send has them. */
ptrdiff_t berth__sim_take_chunks(berth__sim_end *end, const berth__chunk *first, size_t size);
ptrdiff_t berth__sim_read_file(berth__backend *backend, int descriptor, void *data, size_t size,
                               uint64_t offset);
ptrdiff_t berth__sim_put_chunks(berth__backend *backend, int descriptor, const berth__chunk *first,
                                size_t size);
ptrdiff_t berth__sim_finish_send(berth__backend *backend, berth__stream *stream);
int berth__sim_name_of(berth__backend *backend, int descriptor, berth__side side,
                       berth_address *ret_address, uint16_t *ret_port);
bool berth__sim_has_connection(berth__backend *backend, const berth__listener *listener);
size_t berth__sim_input(berth__backend *backend, const berth__stream *stream);
size_t berth__sim_in_transit(berth__backend *backend, const berth__stream *stream);
bool berth__sim_has_unsent(berth__backend *backend, const berth__stream *stream);
int berth__sim_option(berth__backend *backend, int descriptor, berth_socket_option which,
                      int *value, bool set);

#endif
