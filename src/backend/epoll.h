/*
 * What the parts of the epoll backend share: epoll.c (streams, waiting), epoll_listen.c (listeners
 * and watches) and epoll_fork.c (children).
 */
#ifndef BERTH_BACKEND_EPOLL_H
#define BERTH_BACKEND_EPOLL_H

#include "backend.h"
#include "common.h"

#include <errno.h>
#include <sys/epoll.h>

#include "base/system.h"

/* The backend's own bits of pending. */
enum {
    READY_WRITABLE = BERTH__READY_PRIVATE,   /* a parked send can be tried again */
    READY_BROKEN = BERTH__READY_PRIVATE << 1 /* after the end of the input an error has come */
};

/* Flags of a stream; REGISTERED and ENABLED are those of listeners too. */
enum {
    REGISTERED = 1 << 0,   /* in the epoll instance */
    UNREGISTERED = 1 << 1, /* in the list of those that wait will register */
    READABLE = 1 << 2,     /* the kernel may have bytes, an end or an error */
    PAST_SHORT = 1 << 3,   /* a short read is not the last one */
    WITH_OUT = 1 << 4,     /* registered for writability too */
    PARKED = 1 << 5,       /* the send waits for writability */
    MORE = 1 << 6,         /* MSG_MORE for that send */
    CONNECTING = 1 << 7,
    BROKEN = 1 << 8,  /* could not be registered: stream->error */
    ENABLED = 1 << 9, /* a listener whose interest is not taken away */
    FAILED = 1 << 10, /* the kernel has reported an error, or the end of both directions */
    ROOM = 1 << 11    /* what is PARKED is no send: it ends with 0 */
};

/* Flags of a watch: REGISTERED, and for which of BERTH__WATCH_ from this bit on. */
enum {
    WATCH_EVENTS = 16
};

typedef struct epoll_backend {
    berth__backend base;
    int epoll;
    int bell;
    berth__stream *unregistered;
    berth__stream **unregistered_last;
    berth__frame *frame;
    uint8_t *buffer; /* BERTH__RECEIVE_BUDGET bytes */
    bool buffer_used;
} epoll_backend;

static inline epoll_backend *of(berth__backend *backend)
{
    return (epoll_backend *)backend;
}

static inline berth__stream *stream_of(berth__ready *ready)
{
    return (berth__stream *)ready; /* the head is the first member of each record */
}

static inline int control(epoll_backend *epoll, int operation, int descriptor, uint32_t events,
                          void *record)
{
    struct epoll_event event = {.events = events, .data.ptr = record};
    int failed = BERTH__SYSTEM("epoll_ctl", epoll_ctl(epoll->epoll, operation, descriptor, &event));
    return failed < 0 ? errno : 0;
}

/* What is in the set comes out of it, which cannot fail; nor does a test have it fail, since the
 * record may go at once, while others hold the description. */
static inline void berth__epoll_remove(epoll_backend *epoll, int descriptor)
{
    struct epoll_event none = {0};
    (void)epoll_ctl(epoll->epoll, EPOLL_CTL_DEL, descriptor, &none);
}

/* Of a watch, in the set. */
static inline uint32_t berth__epoll_watch_bits(const berth__watch *watch, unsigned events)
{
    return berth__common_poll_bits(events) | (watch->kept ? 0u : (uint32_t)EPOLLONESHOT);
}

static inline void descriptor_closed(berth__backend *backend)
{
    if (backend->descriptor_closed != NULL)
        backend->descriptor_closed(backend->core);
}

/* ---- epoll.c ------------------------------------------------------------------------------- */

/* Has the next wait register a stream, if it receives then. */
void berth__epoll_list(epoll_backend *epoll, berth__stream *stream);

/* Registers a stream whose connection is being made. */
void berth__epoll_await_connect(epoll_backend *epoll, berth__stream *stream);

/* Registers a stream whose input has ended, so that a reset behind the end is noticed. */
void berth__epoll_await_break(epoll_backend *epoll, berth__stream *stream);

/* ---- epoll_listen.c ------------------------------------------------------------------------ */

int berth__epoll_listen(berth__backend *backend, berth__listener *listener,
                        const berth__listen_options *options, berth__listen_step *ret_step);
int berth__epoll_listen_local(berth__backend *backend, berth__listener *listener,
                              const berth__local_listen *options, berth__local_file *ret_file,
                              berth__local_step *ret_step);
int berth__epoll_adopt_listener(berth__backend *backend, berth__listener *listener, int descriptor);
void berth__epoll_accept_credit(berth__backend *backend, berth__listener *listener,
                                unsigned credit);
void berth__epoll_close_listener(berth__backend *backend, berth__listener *listener);
int berth__epoll_watch_start(berth__backend *backend, berth__watch *watch, int descriptor,
                             unsigned events);
void berth__epoll_watch_close(berth__backend *backend, berth__watch *watch);

/* What epoll_wait has reported of a record. */
void berth__epoll_note_listener(epoll_backend *epoll, berth__listener *listener, uint32_t events);
void berth__epoll_note_watch(epoll_backend *epoll, berth__watch *watch, uint32_t events);

void berth__epoll_run_listener(epoll_backend *epoll, berth__listener *listener);

/* ---- epoll_fork.c -------------------------------------------------------------------------- */

void berth__epoll_inherit(berth__backend *backend);
int berth__epoll_renew(berth__backend *backend);
void berth__epoll_renew_stream(berth__backend *backend, berth__stream *stream);
void berth__epoll_forget(berth__backend *backend, berth__stream *stream);

#endif
