/*
 * What the parts of the io_uring backend share: uring.c (the ring's life, waiting, listeners,
 * watches), uring_receive.c (receiving: views, held bytes, buffers that run out), uring_send.c,
 * uring_end.c (ends: closing, giving a descriptor away, resets behind an end) and uring_fork.c
 * (children).
 */
#ifndef BERTH_BACKEND_URING_H
#define BERTH_BACKEND_URING_H

#include "backend.h"

#include <assert.h>
#include <stdatomic.h>

#include "common.h"
#include "uring_ring.h"

enum {
    BERTH__URING_DEFERRED = 64,   /* streams that can be given a wait before they receive */
    BERTH__URING_UNCHECKED = 256, /* streams whose receive may have missed a reset */
    BERTH__URING_PIECES = 512     /* views beyond the first of a stream */
};

/* Low bits of user_data. */
enum {
    OF_NOTHING,
    OF_RECEIVE,
    OF_SEND,
    OF_CONNECT,
    OF_LISTENER,
    OF_WATCH,
    OF_BELL,
    OF_INPUT,
    OF_BREAK = OF_CONNECT, /* of a stream whose input has ended */
    OF_ANY = 7             /* the mask */
};

/* The backend's own bit of pending: after the end of the input an error has come. */
enum {
    READY_BROKEN = BERTH__READY_PRIVATE
};

/* How the input of a stream comes in; in the low bits of its flags, changed by
 * berth__uring_set_input only.
 *
 *     CONNECTING -> NONE -> [DEFERRED -> NONE] -> ARMED -> [RENEWED] -> [CANCELLED] -> NONE
 *                    |                              \---------\------------\-> READS -> NONE
 *                    |-> AWAITED -> READS or NONE, of a limited stream
 *                    \-> READS, of a Unix socket whose end is there
 *
 * In a child every operation in flight is the parent's: from any of them to NONE. */
enum uring_input {
    INPUT_NONE,      /* nothing was asked of the kernel */
    INPUT_DEFERRED,  /* has a place among the deferred */
    INPUT_ARMED,     /* the receive is in flight */
    INPUT_RENEWED,   /* likewise, and is to be ended, so that another is begun */
    INPUT_CANCELLED, /* likewise, and was asked to end */
    INPUT_READS,     /* its runs read: the kernel found no buffer, it is limited, or it ends */
    INPUT_AWAITED,   /* of a limited stream: a poll for input is in flight */
    INPUT_CONNECTING,
    INPUT_STATE = 7 /* the mask */
};

/* Flags of a stream, of which each may be set in any of these states; POLLED is that of listeners
 * and watches too. */
enum {
    LISTED = 1 << 3,     /* in the list that the next wait goes through */
    ARMED_ONCE = 1 << 4, /* has been in flight before, or was deferred */
    POLLED = 1 << 5,     /* a poll is in flight: of a stream for connecting, an end or a reset */
    VIEW = 1 << 6,       /* `data` and `size` are the first of the views not yet run */
    END = 1 << 7,        /* the input has ended with `error`; not yet reported */
    UNCHECKED = 1 << 8,  /* has a place among the unchecked */
    LEAVING = 1 << 9,    /* closed, and in the list of those that are */
    READABLE = 1 << 10,  /* a listener that has something, found while there was no credit */
    STARVES = 1 << 11,   /* a listener whose last accept has found no descriptor left */
    ROOM = 1 << 12,      /* the send in flight is a poll: it, or a file, waits for room */
    ENDS = 1 << 13       /* of a Unix socket: behind the bytes in the kernel the input ends */
};

/* A view beyond the first of a stream. Those of one stream are a ring, of which the stream knows
 * the last. */
struct uring_piece {
    const uint8_t *data;
    uint32_t size;
    uint16_t next;
};

/* A queue of streams, linked by own.next. */
struct uring_queue {
    berth__stream *first;
    berth__stream **last;
};

typedef struct uring_backend {
    berth__backend base;
    berth__ring ring;
    int bell;
    atomic_int signal; /* an eventfd that an outer loop polls; -1 while nobody does */
    bool bell_armed;
    bool waiting;      /* in wait: the core is told of sends that have ended */
    bool news;         /* this wait has found something to run */
    bool rung;         /* a wake was found that no wait has ended for */
    bool urgent;       /* sends or closes are prepared */
    bool refused;      /* the kernel has refused something for want of what may come back */
    unsigned starving; /* listeners that lack a descriptor: others have to be closed at once */
    bool buffer_used;
    uint8_t *buffer; /* BERTH__RECEIVE_BUDGET bytes for streams that read; made on first use */
    struct uring_gathered *gathered; /* for sends of several chunks; made on first use */
    unsigned gathered_count;         /* since the last submission, or more */
    unsigned closes;                 /* prepared, and not yet reported by descriptor_closed */
    struct uring_queue listed;
    berth__stream *closing; /* closed, with operations in flight; linked by next and link */
    berth__frame *frame;
    unsigned deferred_count; /* places in use, empty ones included; of `unchecked` alike */
    unsigned unchecked_count;
    unsigned unchecked_live; /* places not empty */
    unsigned sleeps;         /* with such, since they were looked at */
    uint16_t free_piece;     /* 0: none */
    berth__stream *deferred[BERTH__URING_DEFERRED];
    berth__stream *unchecked[BERTH__URING_UNCHECKED];
    struct uring_piece pieces[BERTH__URING_PIECES];
} uring_backend;

static inline uint64_t berth__uring_label(const void *record, unsigned operation)
{
    return (uint64_t)(uintptr_t)record | operation;
}

/* Sets a bit; what was not known before is news, for which wait does not sleep. */
static inline void berth__uring_announce(uring_backend *uring, berth__ready *ready, unsigned bit)
{
    if ((ready->pending & bit) == 0)
        uring->news = true;
    berth__ready_add(&uring->base.ready, ready, bit);
}

/* What a completed send says, in test builds that have it fail (fault.h, "ring_send"). */
#ifdef BERTH_FAULTS
int berth__uring_send_result(int result);
#else
static inline int berth__uring_send_result(int result)
{
    return result;
}
#endif

/* Prepares a poll of one shot; false if the kernel takes no more. */
static inline bool berth__uring_poll(uring_backend *uring, int descriptor, unsigned events,
                                     const void *record, unsigned operation)
{
    return berth__ring_prepare_poll(&uring->ring, descriptor, events,
                                    berth__uring_label(record, operation));
}

/* Prepares the end of an operation; false if the kernel takes no more, and in a child, where the
 * entries lie in the parent's memory. */
static inline bool berth__uring_cancel(uring_backend *uring, const void *record, unsigned operation)
{
    return uring->base.inherited == NULL &&
           berth__ring_prepare_cancel(&uring->ring, berth__uring_label(record, operation));
}

static inline enum uring_input berth__uring_input(const berth__stream *stream)
{
    return (enum uring_input)(stream->flags & INPUT_STATE);
}

/* Whether a receive is in flight, and has not been told to end. */
static inline bool berth__uring_goes_on(const berth__stream *stream)
{
    enum uring_input input = berth__uring_input(stream);
    return input == INPUT_ARMED || input == INPUT_RENEWED;
}

/* Whether a receive is in flight. */
static inline bool berth__uring_in_flight(const berth__stream *stream)
{
    return berth__uring_goes_on(stream) || berth__uring_input(stream) == INPUT_CANCELLED;
}

static inline bool berth__uring_may_become(enum uring_input input, enum uring_input next)
{
    switch (next) {
    case INPUT_DEFERRED:
    case INPUT_ARMED:
    case INPUT_AWAITED:
    case INPUT_CONNECTING:
        return input == INPUT_NONE;
    case INPUT_RENEWED:
    case INPUT_CANCELLED:
        return input == INPUT_ARMED || input == INPUT_RENEWED;
    case INPUT_READS:
        return (input >= INPUT_ARMED && input <= INPUT_CANCELLED) || input == INPUT_AWAITED ||
               input == INPUT_NONE;
    default:
        return next == INPUT_NONE;
    }
}

static inline void berth__uring_set_input(berth__stream *stream, enum uring_input next)
{
    assert(berth__uring_may_become(berth__uring_input(stream), next));
    stream->flags = (uint16_t)((stream->flags & ~(unsigned)INPUT_STATE) | (unsigned)next);
}

/* ---- uring_stream.c ----------------------------------------------------------------------- */

/* Notes a closed stream of which the kernel still has something. */
void berth__uring_list_leaving(uring_backend *uring, berth__stream *stream);

/* Announces `closed` of a stream that was closed, if nothing refers to the record any more. */
void berth__uring_finish_closed(uring_backend *uring, berth__stream *stream);

static inline void berth__uring_finish(uring_backend *uring, berth__stream *stream)
{
    if (stream->closing)
        berth__uring_finish_closed(uring, stream);
}

/* The input has ended without error, and the stream stays: looks out for a reset. */
void berth__uring_await_break(uring_backend *uring, berth__stream *stream);

/* Looks out for the end of the input of a Unix socket, and for a reset; false if the kernel takes
 * no more. */
bool berth__uring_await_end(uring_backend *uring, berth__stream *stream);

/* Takes a completion of that; runs what it has found. */
void berth__uring_on_break(uring_backend *uring, berth__stream *stream,
                           const struct io_uring_cqe *cqe);
void berth__uring_run_break(berth__stream *stream);

/* ---- uring.c ------------------------------------------------------------------------------ */

void berth__uring_on_completion(uring_backend *uring, const struct io_uring_cqe *cqe);

/* Polls a listener, if it has credit and is not polled. */
void berth__uring_poll_listener(uring_backend *uring, berth__listener *listener);

/* Takes in the completions that are there; calls no event. */
void berth__uring_reap(uring_backend *uring);

/* Calls descriptor_closed for the closes that were prepared. */
void berth__uring_tell_closes(uring_backend *uring);

/* ---- uring_send.c ------------------------------------------------------------------------- */

ptrdiff_t berth__uring_send(berth__backend *backend, berth__stream *stream,
                            const berth__chunk *first, size_t size, berth__send_hint hint);
ptrdiff_t berth__uring_await_room(berth__backend *backend, berth__stream *stream);
ptrdiff_t berth__uring_finish_send(berth__backend *backend, berth__stream *stream);
int berth__uring_shutdown_send(berth__backend *backend, berth__stream *stream);

/* Before input that the ring has not received, or the end of the input, is reported while a send is
 * in flight: takes in what that has come to. */
void berth__uring_catch_up(uring_backend *uring, const berth__stream *stream);

/* ---- uring_end.c -------------------------------------------------------------------------- */

void berth__uring_close(berth__backend *backend, berth__stream *stream, berth__close_mode mode);
int berth__uring_release(berth__backend *backend, berth__stream *stream, berth__chain *input);

/* ---- uring_receive.c ---------------------------------------------------------------------- */

/* Bytes that the ring has received, which are older than those in the kernel. */
bool berth__uring_has_older(const berth__stream *stream);
size_t berth__uring_older(const berth__stream *stream); /* how many */

void berth__uring_receive_init(uring_backend *uring);
/* Takes all streams out of what the next wait goes through, in a child. */
void berth__uring_unlist_all(uring_backend *uring);

void berth__uring_receive_start(berth__backend *backend, berth__stream *stream);
void berth__uring_receive_stop(berth__backend *backend, berth__stream *stream);

/* Has the next wait see whether the stream's receive is as it should be. */
void berth__uring_list(uring_backend *uring, berth__stream *stream);

/* Takes a stream that ends out of what can be left at once, and drops its input. */
void berth__uring_leave(uring_backend *uring, berth__stream *stream);

/* Puts streams whose runs are inside an event, and have more to deliver, into the ready list. */
void berth__uring_list_outer(uring_backend *uring);

/* Prepares receives and their ends as listed; then, whether there is more to prepare. */
void berth__uring_maintain(uring_backend *uring);
bool berth__uring_unsettled(const uring_backend *uring);

/* Looks whether streams that have received and been silent since have missed a reset. */
void berth__uring_check(uring_backend *uring);

/* No longer unchecked: a send begins, whose end would show it, or the stream ends. */
void berth__uring_checked(uring_backend *uring, berth__stream *stream);

/* Ends the receive, so that it is begun anew, and looks first. */
void berth__uring_receive_anew(uring_backend *uring, berth__stream *stream);

/* A send has reported a reset: the receive has to look for it. */
void berth__uring_send_failed(uring_backend *uring, berth__stream *stream);

/* Take a completion: of a receive, of a poll for input. */
void berth__uring_on_receive(uring_backend *uring, berth__stream *stream,
                             const struct io_uring_cqe *cqe);
void berth__uring_on_input(uring_backend *uring, berth__stream *stream, int result);

/* Delivers. Returns whether the input has ended, which is still to be reported. */
bool berth__uring_run_receive(uring_backend *uring, berth__stream *stream,
                              const berth__frame *frame);

/* ---- uring_fork.c ------------------------------------------------------------------------- */

void berth__uring_before_fork(berth__backend *backend);
void berth__uring_inherit(berth__backend *backend);
int berth__uring_renew(berth__backend *backend);
void berth__uring_renew_stream(berth__backend *backend, berth__stream *stream);
void berth__uring_forget(berth__backend *backend, berth__stream *stream);

#endif
