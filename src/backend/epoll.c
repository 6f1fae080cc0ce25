/*
 * The backend on epoll: try, park on would-block, complete.
 *
 * Owns an epoll instance and an eventfd for wake. Everything else is in the records: nothing here
 * is allocated per object.
 *
 * Normal course of a stream: receive_start puts it on a list, and the next wait registers it, edge
 * triggered, once and for good; a stream that is sent to and closed in one turn is never
 * registered. An edge is remembered in the record (READABLE) and puts it into the ready list while
 * receiving is started; run reads into one buffer of the backend until a short read says that the
 * kernel has no more. A send is tried inside the call, which returns its result; if it would block
 * it is parked until the edge that says writable, and tried again in run. So an echo is epoll_wait,
 * recv and send.
 *
 * Listeners are level triggered. Where an event comes and nothing can be done about it (no credit,
 * or the record still waits in the ready list because a blocking wait runs only others) the
 * interest is taken away, else wait would return for it for ever; credit or run give it back.
 * Watches are registered for one event and then removed.
 *
 * Failures: a registration that fails ends the receive or the send it was for with its errno. A
 * short read does not mean "drained" when the peer has ended or sent urgent data; then reading goes
 * on until the kernel says so (PAST_SHORT).
 *
 * Inside events everything may be called, nested turns too. The buffer may then be in use; the
 * inner run takes another. Records may be freed in `closed` by an inner run while an outer one is
 * inside an event of the same record: see struct frame.
 */
#include "../backend.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../memory.h"
#include "inet.h"
#include "system.h"

enum {
    EVENTS = 256,          /* of one epoll_wait */
    EMERGENCY = 1024,      /* bytes of stack to read into when memory is out */
    LARGEST_SEND = 1 << 30 /* results are int32_t */
};

/* A parked send can be tried again: the backend's own bit of pending. */
enum {
    READY_WRITABLE = BERTH__READY_PRIVATE
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
    BROKEN = 1 << 8, /* could not be registered: stream->error */
    ENABLED = 1 << 9 /* a listener whose interest is not taken away */
};

/* A run of a stream that is inside an event. An inner run that reports `closed` marks the outer
 * ones of the same stream, whose record may be gone when the event returns. */
struct frame {
    struct frame *outer;
    berth__stream *stream;
    bool gone;
};

typedef struct epoll_backend {
    berth__backend base;
    int epoll;
    int bell;
    berth__stream *unregistered;
    berth__stream **unregistered_last;
    struct frame *frame;
    uint8_t *buffer; /* BERTH__RECEIVE_BUDGET bytes */
    bool buffer_used;
} epoll_backend;

static epoll_backend *of(berth__backend *backend)
{
    return (epoll_backend *)backend;
}

static berth__stream *stream_of(berth__ready *ready)
{
    return (berth__stream *)ready; /* the head is the first member of each record */
}

static int control(epoll_backend *epoll, int operation, int descriptor, uint32_t events,
                   void *record)
{
    struct epoll_event event = {.events = events, .data.ptr = record};
    int failed = BERTH__SYSTEM("epoll_ctl", epoll_ctl(epoll->epoll, operation, descriptor, &event));
    return failed < 0 ? errno : 0;
}

static bool take_bit(berth__ready *ready, unsigned bit)
{
    bool set = (ready->pending & bit) != 0;
    ready->pending = (uint8_t)(ready->pending & ~bit);
    return set;
}

/* ---- registration of streams ----------------------------------------------------------------- */

static void list_unregistered(epoll_backend *epoll, berth__stream *stream)
{
    stream->flags |= UNREGISTERED;
    stream->own.next = NULL;
    *epoll->unregistered_last = stream;
    epoll->unregistered_last = &stream->own.next;
}

/* The list holds what began to receive since the last wait, so that walking it is cheap. */
static void unlist_unregistered(epoll_backend *epoll, berth__stream *stream)
{
    if (!(stream->flags & UNREGISTERED))
        return;
    stream->flags &= (uint16_t)~UNREGISTERED;
    berth__stream **link = &epoll->unregistered;
    while (*link != stream)
        link = &(*link)->own.next;
    *link = stream->own.next;
    if (epoll->unregistered_last == &stream->own.next)
        epoll->unregistered_last = link;
}

static int register_stream(epoll_backend *epoll, berth__stream *stream, bool writable)
{
    uint32_t events = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET;
    if (writable || (stream->flags & WITH_OUT))
        events |= EPOLLOUT;
    int operation = stream->flags & REGISTERED ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    int error = control(epoll, operation, stream->descriptor, events, stream);
    if (error != 0)
        return error;
    stream->flags |= REGISTERED;
    if (writable)
        stream->flags |= WITH_OUT;
    return 0;
}

/* Returns whether one has failed, so that there is something to run. */
static bool register_listed(epoll_backend *epoll)
{
    bool failed = false;
    while (epoll->unregistered != NULL) {
        berth__stream *stream = epoll->unregistered;
        unlist_unregistered(epoll, stream);
        if ((stream->flags & REGISTERED) || !stream->receiving)
            continue;
        int error = register_stream(epoll, stream, false);
        if (error == 0)
            continue;
        stream->error = (int16_t)error;
        stream->flags |= BROKEN | READABLE;
        if (stream->receiving)
            berth__ready_add(&epoll->base.ready, &stream->ready, BERTH__READY_RECEIVE);
        failed = true;
    }
    return failed;
}

/* ---- streams: operations --------------------------------------------------------------------- */

static int adopt(berth__backend *backend, berth__stream *stream, int descriptor, bool accepted)
{
    (void)backend;
    int error = accepted ? 0 : berth__inet_check_stream(descriptor);
    if (error != 0)
        return error;
    stream->descriptor = descriptor;
    return 0;
}

static int bind_stream(berth__backend *backend, berth__stream *stream, const berth_address *address,
                       uint16_t port)
{
    (void)backend;
    return berth__inet_bind(address, port, &stream->descriptor);
}

static int connect_stream(berth__backend *backend, berth__stream *stream,
                          const berth_address *address, uint16_t port)
{
    epoll_backend *epoll = of(backend);
    int error = berth__inet_connect(address, port, &stream->descriptor);
    if (error != 0 && error != EINPROGRESS)
        return error;
    stream->flags |= CONNECTING;
    if (error == 0) {
        berth__ready_add(&backend->ready, &stream->ready, BERTH__READY_CONNECTED);
        return 0;
    }
    error = register_stream(epoll, stream, true);
    if (error == 0)
        return 0;
    berth__inet_close(stream->descriptor, BERTH__CLOSE_NORMAL);
    stream->descriptor = -1;
    stream->flags = 0;
    return error;
}

static void receive_start(berth__backend *backend, berth__stream *stream)
{
    if (stream->receiving || stream->closing || stream->ended)
        return;
    stream->receiving = true;
    if (stream->flags & READABLE)
        berth__ready_add(&backend->ready, &stream->ready, BERTH__READY_RECEIVE);
    else if (!(stream->flags & (REGISTERED | UNREGISTERED)))
        list_unregistered(of(backend), stream);
}

static void receive_stop(berth__backend *backend, berth__stream *stream)
{
    (void)backend;
    stream->receiving = false;
}

/* Returns whether the send has ended; its result is then in the record. */
static bool try_send(berth__stream *stream)
{
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (stream->flags & MORE ? MSG_MORE : 0);
    ssize_t sent;
    do {
        sent = BERTH__SYSTEM("send", send(stream->descriptor, stream->data, stream->size, flags));
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno == EAGAIN)
        return false;
    stream->ready.result = sent < 0 ? -errno : (int32_t)sent;
    return true;
}

/* Leaves the send in flight, to be tried again at the next edge. */
BERTH__RARE static ptrdiff_t park_send(epoll_backend *epoll, berth__stream *stream)
{
    stream->sending = true;
    stream->flags |= PARKED;
    int error = stream->flags & WITH_OUT ? 0 : register_stream(epoll, stream, true);
    if (error == 0)
        return 0;
    stream->sending = false;
    stream->flags &= (uint16_t)~PARKED;
    return -error;
}

static ptrdiff_t send_stream(berth__backend *backend, berth__stream *stream, const void *data,
                             size_t size, berth__send_hint hint)
{
    assert(!stream->sending && !stream->closing);
    stream->data = data;
    stream->size = (uint32_t)(size < LARGEST_SEND ? size : LARGEST_SEND);
    stream->flags &= (uint16_t)~MORE;
    if (hint != BERTH__SEND_ONLY)
        stream->flags |= MORE;
    return try_send(stream) ? stream->ready.result : park_send(of(backend), stream);
}

static int shutdown_send(berth__backend *backend, berth__stream *stream)
{
    (void)backend;
    return BERTH__SYSTEM("shutdown", shutdown(stream->descriptor, SHUT_WR)) < 0 ? errno : 0;
}

static void descriptor_closed(berth__backend *backend)
{
    if (backend->descriptor_closed != NULL)
        backend->descriptor_closed(backend->core);
}

static void close_stream(berth__backend *backend, berth__stream *stream, berth__close_mode mode)
{
    if (stream->closing)
        return;
    epoll_backend *epoll = of(backend);
    stream->closing = true;
    stream->receiving = false;
    unlist_unregistered(epoll, stream);
    /* Closing removes a registration only with the last descriptor of the file, and a copy can be
     * anywhere: a child between fork and exec is enough. Its events would then come for a record
     * that is no more. */
    if (stream->flags & REGISTERED)
        (void)control(epoll, EPOLL_CTL_DEL, stream->descriptor, 0, NULL);
    if (stream->flags & PARKED) {
        stream->ready.result = -ECANCELED;
        stream->ready.pending |= BERTH__READY_SENT;
    }
    stream->ready.pending &= BERTH__READY_SENT;
    stream->flags = 0;
    int descriptor = stream->descriptor;
    stream->descriptor = -1;
    berth__ready_add(&backend->ready, &stream->ready, BERTH__READY_CLOSED);
    if (descriptor < 0)
        return;
    berth__inet_close(descriptor, mode);
    descriptor_closed(backend);
}

/* ---- streams: runs --------------------------------------------------------------------------- */

static void run_connected(epoll_backend *epoll, berth__stream *stream)
{
    (void)epoll;
    int error = 0;
    socklen_t length = sizeof error;
    if (BERTH__SYSTEM("getsockopt",
                      getsockopt(stream->descriptor, SOL_SOCKET, SO_ERROR, &error, &length)) < 0)
        error = errno;
    int off = 0; /* as every stream: the descriptor may be handed out */
    if (error == 0)
        (void)BERTH__SYSTEM("ioctl", ioctl(stream->descriptor, FIONBIO, &off));
    stream->flags &= (uint16_t)~CONNECTING;
    stream->error = (int16_t)error;
    stream->events->connected(stream, error);
}

static void end_receive(berth__stream *stream, int error)
{
    stream->receiving = false;
    stream->ended = true;
    stream->error = (int16_t)error;
    stream->events->receive_ended(stream, error);
}

/* Delivers until the kernel has no more, receiving is stopped, or the budget is used up. */
static void receive_into(epoll_backend *epoll, berth__stream *stream, const struct frame *frame,
                         uint8_t *buffer, size_t size)
{
    size_t budget = BERTH__RECEIVE_BUDGET;
    while (stream->receiving && (stream->flags & READABLE)) {
        if (stream->flags & BROKEN) {
            end_receive(stream, stream->error);
            return;
        }
        if (budget == 0) {
            berth__ready_add(&epoll->base.ready, &stream->ready, BERTH__READY_RECEIVE);
            return;
        }
        size_t room = size < budget ? size : budget;
        ssize_t got = BERTH__SYSTEM("recv", recv(stream->descriptor, buffer, room, MSG_DONTWAIT));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN) {
            stream->flags &= (uint16_t) ~(READABLE | PAST_SHORT);
            return;
        }
        if (got <= 0) {
            end_receive(stream, got < 0 ? errno : 0);
            return;
        }
        budget -= (size_t)got;
        /* Before the event: an edge that a nested turn sees must not be forgotten after it. */
        if ((size_t)got < room && !(stream->flags & PAST_SHORT))
            stream->flags &= (uint16_t)~READABLE;
        stream->events->received(stream, buffer, (size_t)got);
        if (frame->gone)
            return;
    }
}

/* For a run inside an event of another, which uses the buffer. */
BERTH__RARE static void receive_aside(epoll_backend *epoll, berth__stream *stream,
                                      const struct frame *frame)
{
    uint8_t emergency[EMERGENCY];
    uint8_t *other = berth__allocate(BERTH__RECEIVE_BUDGET);
    if (other == NULL)
        receive_into(epoll, stream, frame, emergency, sizeof emergency);
    else
        receive_into(epoll, stream, frame, other, BERTH__RECEIVE_BUDGET);
    berth__release(other);
}

static void run_receive(epoll_backend *epoll, berth__stream *stream, const struct frame *frame)
{
    if (epoll->buffer_used) {
        receive_aside(epoll, stream, frame);
        return;
    }
    epoll->buffer_used = true;
    receive_into(epoll, stream, frame, epoll->buffer, BERTH__RECEIVE_BUDGET);
    epoll->buffer_used = false;
}

/* One step for each bit, in the order in which things have happened. An event may have closed the
 * stream, put it into the list again (then what is left is for that run), or run it to its end in a
 * nested turn. */
static void run_stream(epoll_backend *epoll, berth__stream *stream, struct frame *frame)
{
    if (take_bit(&stream->ready, BERTH__READY_CONNECTED))
        run_connected(epoll, stream);
    if (!frame->gone && take_bit(&stream->ready, BERTH__READY_RECEIVE))
        run_receive(epoll, stream, frame);
    if (frame->gone || stream->ready.pending == 0)
        return;
    if (take_bit(&stream->ready, READY_WRITABLE) && (stream->flags & PARKED) && try_send(stream)) {
        stream->flags &= (uint16_t)~PARKED;
        stream->ready.pending |= BERTH__READY_SENT;
    }
    if (!frame->gone && take_bit(&stream->ready, BERTH__READY_SENT)) {
        stream->sending = false;
        stream->events->sent(stream, stream->ready.result);
    }
    if (frame->gone || stream->ready.queued || !take_bit(&stream->ready, BERTH__READY_CLOSED))
        return;
    for (struct frame *outer = frame->outer; outer != NULL; outer = outer->outer)
        outer->gone = outer->gone || outer->stream == stream;
    stream->events->closed(stream);
}

/* ---- listeners ------------------------------------------------------------------------------- */

static int attach_listener(epoll_backend *epoll, berth__listener *listener, int descriptor)
{
    int error = control(epoll, EPOLL_CTL_ADD, descriptor, 0, listener);
    if (error != 0)
        return error;
    listener->descriptor = descriptor;
    listener->flags = REGISTERED;
    return 0;
}

static int listen_on(berth__backend *backend, berth__listener *listener,
                     const berth__listen_options *options, berth__listen_step *ret_step)
{
    int descriptor;
    int error = berth__inet_listen(options, &descriptor, ret_step);
    if (error != 0)
        return error;
    error = attach_listener(of(backend), listener, descriptor);
    if (error == 0)
        return 0;
    *ret_step = BERTH__LISTEN_ATTACH;
    berth__inet_close(descriptor, BERTH__CLOSE_NORMAL);
    return error;
}

static int adopt_listener(berth__backend *backend, berth__listener *listener, int descriptor)
{
    int error = berth__inet_check_listener(descriptor);
    return error != 0 ? error : attach_listener(of(backend), listener, descriptor);
}

/* Gives the interest back. Should that fail, the ready list is the way back to here. */
static void enable_listener(epoll_backend *epoll, berth__listener *listener)
{
    if (listener->closing || listener->credit == 0 || (listener->flags & ENABLED))
        return;
    if (control(epoll, EPOLL_CTL_MOD, listener->descriptor, EPOLLIN, listener) == 0)
        listener->flags |= ENABLED;
    else
        berth__ready_add(&epoll->base.ready, &listener->ready, BERTH__READY_ACCEPT);
}

static void disable_listener(epoll_backend *epoll, berth__listener *listener)
{
    if (control(epoll, EPOLL_CTL_MOD, listener->descriptor, 0, listener) == 0)
        listener->flags &= ~(uint32_t)ENABLED;
}

static void accept_credit(berth__backend *backend, berth__listener *listener, unsigned credit)
{
    if (listener->closing)
        return;
    listener->credit = credit;
    if (!listener->ready.queued) /* else its run will */
        enable_listener(of(backend), listener);
}

static void close_listener(berth__backend *backend, berth__listener *listener)
{
    if (listener->closing)
        return;
    listener->closing = true;
    listener->credit = 0;
    (void)control(of(backend), EPOLL_CTL_DEL, listener->descriptor, 0, NULL);
    listener->ready.pending = 0;
    berth__ready_add(&backend->ready, &listener->ready, BERTH__READY_CLOSED);
    int descriptor = listener->descriptor;
    listener->descriptor = -1;
    berth__inet_close(descriptor, BERTH__CLOSE_NORMAL);
    descriptor_closed(backend);
}

static void run_listener(epoll_backend *epoll, berth__listener *listener)
{
    if (take_bit(&listener->ready, BERTH__READY_CLOSED)) {
        if (listener->own != NULL)
            *(bool *)listener->own = true; /* a batch is waiting for its event to return */
        listener->events->closed(listener);
        return;
    }
    if (!take_bit(&listener->ready, BERTH__READY_ACCEPT) || listener->credit == 0)
        return;
    bool gone = false;
    bool *outer = listener->own;
    listener->own = &gone;
    (void)berth__inet_accept_batch(listener); /* if there is more, the level will say so */
    if (gone) {
        if (outer != NULL)
            *outer = true;
        return;
    }
    listener->own = outer;
    if (!listener->ready.queued)
        enable_listener(epoll, listener);
}

/* ---- watches --------------------------------------------------------------------------------- */

static int watch_start(berth__backend *backend, berth__watch *watch, int descriptor,
                       unsigned events)
{
    assert(!watch->active && !watch->closing);
    uint32_t wanted = EPOLLONESHOT;
    wanted |= events & BERTH__WATCH_READ ? EPOLLIN | EPOLLRDHUP : 0u;
    wanted |= events & BERTH__WATCH_WRITE ? EPOLLOUT : 0u;
    int error = control(of(backend), EPOLL_CTL_ADD, descriptor, wanted, watch);
    if (error != 0)
        return error;
    watch->descriptor = descriptor;
    watch->events = events;
    watch->active = true;
    watch->flags = REGISTERED;
    return 0;
}

/* Whoever owns the descriptor may close it after the event, so that later there may be no way to
 * remove it. */
static void unregister_watch(epoll_backend *epoll, berth__watch *watch)
{
    if (!(watch->flags & REGISTERED))
        return;
    watch->flags = 0;
    (void)control(epoll, EPOLL_CTL_DEL, watch->descriptor, 0, NULL);
}

static void watch_close(berth__backend *backend, berth__watch *watch)
{
    if (watch->closing)
        return;
    unregister_watch(of(backend), watch);
    watch->closing = true;
    watch->active = false;
    watch->ready.pending = 0;
    berth__ready_add(&backend->ready, &watch->ready, BERTH__READY_CLOSED);
}

static void run_watch(berth__watch *watch)
{
    if (take_bit(&watch->ready, BERTH__READY_CLOSED)) {
        watch->closed(watch);
        return;
    }
    if (!take_bit(&watch->ready, BERTH__READY_FIRED))
        return;
    watch->active = false;
    watch->fired(watch, watch->events);
}

/* ---- waiting and running --------------------------------------------------------------------- */

static void note_stream(epoll_backend *epoll, berth__stream *stream, uint32_t events)
{
    const uint32_t over = EPOLLERR | EPOLLHUP;
    if (stream->flags & CONNECTING) {
        if (events & (EPOLLOUT | over))
            berth__ready_add(&epoll->base.ready, &stream->ready, BERTH__READY_CONNECTED);
        if (!(events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP)))
            return;
    }
    if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | over)) {
        stream->flags |= READABLE;
        if (events & (EPOLLPRI | EPOLLRDHUP | over))
            stream->flags |= PAST_SHORT;
        if (stream->receiving)
            berth__ready_add(&epoll->base.ready, &stream->ready, BERTH__READY_RECEIVE);
    }
    if ((events & (EPOLLOUT | over)) && (stream->flags & PARKED))
        berth__ready_add(&epoll->base.ready, &stream->ready, READY_WRITABLE);
}

static void note_watch(epoll_backend *epoll, berth__watch *watch, uint32_t events)
{
    unsigned found = 0;
    found |= events & (EPOLLIN | EPOLLRDHUP) ? BERTH__WATCH_READ : 0u;
    found |= events & EPOLLOUT ? BERTH__WATCH_WRITE : 0u;
    if (events & (EPOLLERR | EPOLLHUP))
        found = BERTH__WATCH_READ | BERTH__WATCH_WRITE;
    watch->events = found;
    unregister_watch(epoll, watch);
    berth__ready_add(&epoll->base.ready, &watch->ready, BERTH__READY_FIRED);
}

static void note(epoll_backend *epoll, berth__ready *ready, uint32_t events)
{
    if (ready == NULL)
        return; /* the bell */
    switch ((berth__ready_kind)ready->kind) {
    case BERTH__READY_STREAM:
        note_stream(epoll, stream_of(ready), events);
        break;
    case BERTH__READY_LISTENER: {
        berth__listener *listener = (berth__listener *)ready;
        if (listener->credit == 0 || ready->queued)
            disable_listener(epoll, listener);
        else
            berth__ready_add(&epoll->base.ready, ready, BERTH__READY_ACCEPT);
        break;
    }
    case BERTH__READY_WATCH:
        note_watch(epoll, (berth__watch *)ready, events);
        break;
    }
}

static int milliseconds(int64_t timeout)
{
    if (timeout < 0)
        return -1;
    int64_t rounded_up = timeout / 1000000 + (timeout % 1000000 != 0);
    return rounded_up > INT_MAX ? INT_MAX : (int)rounded_up;
}

/* A run inside an event has more to deliver, of which no edge tells a wait in there. Returns
 * whether there is one. */
BERTH__RARE static bool list_outer(epoll_backend *epoll)
{
    bool any = false;
    for (struct frame *frame = epoll->frame; frame != NULL; frame = frame->outer) {
        berth__stream *stream = frame->stream;
        if (frame->gone || !stream->receiving || !(stream->flags & READABLE))
            continue;
        berth__ready_add(&epoll->base.ready, &stream->ready, BERTH__READY_RECEIVE);
        any = true;
    }
    return any;
}

static int wait_for_events(berth__backend *backend, int64_t timeout)
{
    epoll_backend *epoll = of(backend);
    struct epoll_event events[EVENTS];
    if (register_listed(epoll) || (epoll->frame != NULL && list_outer(epoll)))
        timeout = 0;
    int found = BERTH__SYSTEM("epoll_wait",
                              epoll_wait(epoll->epoll, events, EVENTS, milliseconds(timeout)));
    if (found < 0)
        return errno == EINTR ? 0 : errno;
    for (int i = 0; i < found; i++)
        note(epoll, events[i].data.ptr, events[i].events);
    return 0;
}

static void run(berth__backend *backend, berth__ready *ready)
{
    epoll_backend *epoll = of(backend);
    if (ready->kind == BERTH__READY_LISTENER) {
        run_listener(epoll, (berth__listener *)ready);
        return;
    }
    if (ready->kind == BERTH__READY_WATCH) {
        run_watch((berth__watch *)ready);
        return;
    }
    struct frame frame = {.outer = epoll->frame, .stream = stream_of(ready)};
    epoll->frame = &frame;
    run_stream(epoll, stream_of(ready), &frame);
    epoll->frame = frame.outer;
}

/* Everything was done in its call. */
static void submit(berth__backend *backend)
{
    (void)backend;
}

static void wake(berth__backend *backend)
{
    int kept = errno; /* this may be a signal handler */
    uint64_t one = 1;
    ssize_t written = write(of(backend)->bell, &one, sizeof one);
    (void)written; /* the counter being full, there has been an edge already */
    errno = kept;
}

/* ---- questions ------------------------------------------------------------------------------- */

static uint64_t now(berth__backend *backend)
{
    (void)backend;
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int descriptor_of(berth__backend *backend)
{
    return of(backend)->epoll;
}

static int name_of(berth__backend *backend, int descriptor, berth__side side,
                   berth_address *ret_address, uint16_t *ret_port)
{
    (void)backend;
    return berth__inet_name_of(descriptor, side, ret_address, ret_port);
}

static void discard(berth__backend *backend, int descriptor)
{
    berth__inet_close(descriptor, BERTH__CLOSE_NORMAL);
    descriptor_closed(backend);
}

static int reserve(berth__backend *backend)
{
    (void)backend;
    return berth__inet_reserve();
}

static size_t reject(berth__backend *backend, berth__listener *listener, size_t most,
                     berth__close_mode mode, int *spare)
{
    (void)backend;
    return berth__inet_reject(listener->descriptor, most, mode, spare);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void destroy(berth__backend *backend)
{
    epoll_backend *epoll = of(backend);
    if (epoll->bell >= 0)
        (void)close(epoll->bell);
    if (epoll->epoll >= 0)
        (void)close(epoll->epoll);
    berth__release(epoll->buffer);
    berth__release(epoll);
}

static int option(berth__backend *backend, int descriptor, berth_socket_option which, int *value,
                  bool set)
{
    (void)backend;
    return berth__inet_option(descriptor, which, value, set);
}

static bool has_input(berth__backend *backend, const berth__stream *stream)
{
    (void)backend;
    return berth__inet_has_input(stream->descriptor);
}

static const berth__backend_operations operations = {
    .name = "epoll",
    .destroy = destroy,
    .listen = listen_on,
    .adopt_listener = adopt_listener,
    .accept_credit = accept_credit,
    .close_listener = close_listener,
    .adopt = adopt,
    .bind = bind_stream,
    .connect = connect_stream,
    .receive_start = receive_start,
    .receive_stop = receive_stop,
    .send = send_stream,
    .shutdown_send = shutdown_send,
    .close = close_stream,
    .watch_start = watch_start,
    .watch_close = watch_close,
    .dial = berth__inet_dial,
    .dialled = berth__inet_dialled,
    .take = berth__inet_take,
    .put = berth__inet_put,
    .wake = wake,
    .submit = submit,
    .wait = wait_for_events,
    .run = run,
    .now = now,
    .descriptor = descriptor_of,
    .name_of = name_of,
    .has_input = has_input,
    .option = option,
    .discard = discard,
    .reserve = reserve,
    .reject = reject,
};

/* Returns the step that failed, or NULL. */
static const char *open_backend(epoll_backend *epoll)
{
    epoll->epoll = BERTH__SYSTEM("epoll_create1", epoll_create1(EPOLL_CLOEXEC));
    if (epoll->epoll < 0)
        return "epoll_create1";
    epoll->bell = BERTH__SYSTEM("eventfd", eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (epoll->bell < 0)
        return "eventfd";
    /* Edge triggered: each write is an edge, so that the counter need never be read. */
    int error = control(epoll, EPOLL_CTL_ADD, epoll->bell, EPOLLIN | EPOLLET, NULL);
    if (error != 0) {
        errno = error;
        return "epoll_ctl";
    }
    epoll->buffer = berth__allocate(BERTH__RECEIVE_BUDGET);
    if (epoll->buffer != NULL)
        return NULL;
    errno = ENOMEM;
    return "a buffer";
}

berth__backend *berth__epoll_new(berth__pool *pool, char *ret_reason, size_t size)
{
    epoll_backend *epoll = berth__allocate_zero(sizeof *epoll);
    if (epoll == NULL) {
        (void)snprintf(ret_reason, size, "epoll: out of memory");
        errno = ENOMEM;
        return NULL;
    }
    epoll->epoll = -1;
    epoll->bell = -1;
    const char *failed = open_backend(epoll);
    if (failed != NULL) {
        int error = errno;
        (void)snprintf(ret_reason, size, "%s: %s", failed, strerror(error));
        destroy(&epoll->base);
        errno = error;
        return NULL;
    }
    epoll->base.operations = &operations;
    epoll->base.pool = pool;
    epoll->unregistered_last = &epoll->unregistered;
    berth__ready_list_init(&epoll->base.ready);
    return &epoll->base;
}
