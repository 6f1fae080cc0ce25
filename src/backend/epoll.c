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
 * Listeners and watches are in epoll_listen.c.
 *
 * Failures: a registration that fails ends the receive or the send it was for with its errno. A
 * short read does not mean "drained" when the peer has ended or sent urgent data, nor where what it
 * sends comes in parcels; then reading goes on until the kernel says so (PAST_SHORT).
 *
 * Inside events everything may be called, nested turns too. The buffer may then be in use; the
 * inner run takes another. Records may be freed in `closed` by an inner run while an outer one is
 * inside an event of the same record: see berth__frame.
 */
#include "epoll.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "inet.h"

enum {
    EVENTS = 256,          /* of one epoll_wait */
    ROUNDS = 16,           /* of epoll_wait in one wait */
    EMERGENCY = 1024,      /* bytes of stack to read into when memory is out */
    LARGEST_SEND = 1 << 30 /* results are int32_t */
};

/* ---- registration of streams ----------------------------------------------------------------- */

void berth__epoll_list(epoll_backend *epoll, berth__stream *stream)
{
    stream->flags |= UNREGISTERED;
    stream->own.next = NULL;
    stream->link = epoll->unregistered_last;
    *epoll->unregistered_last = stream;
    epoll->unregistered_last = &stream->own.next;
}

static void unlist_unregistered(epoll_backend *epoll, berth__stream *stream)
{
    if (!(stream->flags & UNREGISTERED))
        return;
    stream->flags &= (uint16_t)~UNREGISTERED;
    *stream->link = stream->own.next;
    if (stream->own.next != NULL)
        stream->own.next->link = stream->link;
    else
        epoll->unregistered_last = stream->link;
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

/* Without a registration only its limit of time would end it. */
void berth__epoll_await_connect(epoll_backend *epoll, berth__stream *stream)
{
    (void)register_stream(epoll, stream, true);
}

/* If it cannot be registered, the next send reports it. */
void berth__epoll_await_break(epoll_backend *epoll, berth__stream *stream)
{
    (void)register_stream(epoll, stream, false);
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

static int connect_stream(berth__backend *backend, berth__stream *stream,
                          const berth_address *address, uint16_t port,
                          const berth__options *options)
{
    epoll_backend *epoll = of(backend);
    int error = berth__inet_connect(address, port, options, &stream->descriptor);
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
    berth__inet_close(stream->descriptor, BERTH__CLOSE_COPY);
    stream->descriptor = -1;
    stream->flags = 0;
    return error;
}

static int adopt(berth__backend *backend, berth__stream *stream, int descriptor, bool accepted)
{
    int error = berth__common_adopt(backend, stream, descriptor, accepted);
    if (stream->ready.parcelled)
        stream->flags |= PAST_SHORT;
    return error;
}

/* It is connected at once, or not at all. */
static int connect_local(berth__backend *backend, berth__stream *stream,
                         const berth__local_name *name, const berth__options *options)
{
    bool parcelled = false;
    int error = berth__inet_connect_local(name, options, &stream->descriptor, &parcelled);
    if (error != 0)
        return error;
    stream->ready.parcelled = parcelled;
    stream->flags |= parcelled ? CONNECTING | PAST_SHORT : CONNECTING;
    berth__ready_add(&backend->ready, &stream->ready, BERTH__READY_CONNECTED);
    return 0;
}

static void receive_start(berth__backend *backend, berth__stream *stream)
{
    if (stream->receiving || stream->closing || stream->ended)
        return;
    stream->receiving = true;
    if (stream->flags & READABLE)
        berth__ready_add(&backend->ready, &stream->ready, BERTH__READY_RECEIVE);
    else if (!(stream->flags & (REGISTERED | UNREGISTERED)))
        berth__epoll_list(of(backend), stream);
}

static void receive_stop(berth__backend *backend, berth__stream *stream)
{
    (void)backend;
    stream->receiving = false;
}

/* Returns whether the send has ended; its result is then in the record. */
static bool try_send(berth__stream *stream)
{
    if (stream->flags & ROOM) {
        stream->ready.result = 0;
        return true;
    }
    ptrdiff_t sent = berth__inet_send(stream->descriptor, stream->output, stream->size,
                                      (stream->flags & MORE) != 0);
    if (sent == -EAGAIN)
        return false;
    stream->ready.result = (int32_t)sent;
    return true;
}

/* Leaves the send in flight, to be tried again at the next edge. `flags`: MORE, ROOM or none. */
BERTH__RARE static ptrdiff_t park_send(epoll_backend *epoll, berth__stream *stream,
                                       const berth__chunk *first, size_t size, unsigned flags)
{
    stream->output = first;
    stream->size = (uint32_t)size;
    stream->sending = true;
    stream->flags &= (uint16_t) ~(MORE | ROOM);
    stream->flags |= (uint16_t)(PARKED | flags);
    int error = stream->flags & WITH_OUT ? 0 : register_stream(epoll, stream, true);
    if (error == 0)
        return 0;
    stream->sending = false;
    stream->flags &= (uint16_t)~PARKED;
    return -error;
}

static ptrdiff_t send_stream(berth__backend *backend, berth__stream *stream,
                             const berth__chunk *first, size_t size, berth__send_hint hint)
{
    assert(!stream->sending && !stream->closing);
    size = size < LARGEST_SEND ? size : LARGEST_SEND;
    ptrdiff_t sent = berth__inet_send(stream->descriptor, first, size, hint != BERTH__SEND_ONLY);
    if (sent != -EAGAIN || stream->ready.paced)
        return sent;
    return park_send(of(backend), stream, first, size, hint != BERTH__SEND_ONLY ? MORE : 0);
}

static ptrdiff_t await_room(berth__backend *backend, berth__stream *stream)
{
    assert(!stream->sending && !stream->closing);
    return park_send(of(backend), stream, NULL, 0, ROOM);
}

static ptrdiff_t finish_send(berth__backend *backend, berth__stream *stream)
{
    (void)backend;
    bool ended = (stream->ready.pending & BERTH__READY_SENT) != 0;
    if (!ended && ((stream->flags & ROOM) || !try_send(stream)))
        return 0;
    stream->ready.pending &= (uint8_t)~BERTH__READY_SENT;
    stream->flags &= (uint16_t)~PARKED;
    stream->sending = false;
    return stream->ready.result;
}

static int shutdown_send(berth__backend *backend, berth__stream *stream)
{
    (void)backend;
    return BERTH__SYSTEM("shutdown", shutdown(stream->descriptor, SHUT_WR)) < 0 ? errno : 0;
}

/* Takes the record out of everything. Returns its descriptor, which is left open. */
static int leave(epoll_backend *epoll, berth__stream *stream)
{
    stream->closing = true;
    stream->receiving = false;
    unlist_unregistered(epoll, stream);
    /* Closing removes a registration only with the last descriptor of the file, and a copy can be
     * anywhere: a child between fork and exec is enough. Its events would then come for a record
     * that is no more. */
    if (stream->flags & REGISTERED)
        berth__epoll_remove(epoll, stream->descriptor);
    if (stream->flags & PARKED) {
        stream->ready.result = -ECANCELED;
        stream->ready.pending |= BERTH__READY_SENT;
    }
    stream->ready.pending &= BERTH__READY_SENT;
    stream->flags = 0;
    int descriptor = stream->descriptor;
    stream->descriptor = -1;
    berth__ready_add(&epoll->base.ready, &stream->ready, BERTH__READY_CLOSED);
    return descriptor;
}

static void close_stream(berth__backend *backend, berth__stream *stream, berth__close_mode mode)
{
    if (stream->closing)
        return;
    int descriptor = leave(of(backend), stream);
    if (descriptor < 0)
        return;
    berth__inet_end(descriptor, mode, stream->lingers);
    berth__inet_close(descriptor, BERTH__CLOSE_COPY);
    descriptor_closed(backend);
}

static int release_stream(berth__backend *backend, berth__stream *stream, berth__chain *input)
{
    assert(!stream->sending && !stream->closing);
    (void)input; /* what was not delivered is in the kernel */
    return leave(of(backend), stream);
}

/* ---- streams: runs --------------------------------------------------------------------------- */

static void run_connected(epoll_backend *epoll, berth__stream *stream)
{
    (void)epoll;
    int error = berth__inet_error_of(stream->descriptor);
    int off = 0; /* as every stream: the descriptor may be handed out */
    if (error == 0)
        (void)BERTH__SYSTEM("ioctl", ioctl(stream->descriptor, FIONBIO, &off));
    stream->flags &= (uint16_t)~CONNECTING;
    stream->error = (int16_t)error;
    stream->events->connected(stream, error);
}

static void end_receive(epoll_backend *epoll, berth__stream *stream, int error)
{
    stream->receiving = false;
    stream->ended = true;
    stream->error = (int16_t)error;
    if (error == 0 && (stream->flags & FAILED))
        berth__ready_add(&epoll->base.ready, &stream->ready, READY_BROKEN);
    stream->events->receive_ended(stream, error);
}

/* After the end of its input: whether there was an error, or only the other direction has ended. */
BERTH__RARE static void run_broken(berth__stream *stream)
{
    if (stream->closing || stream->error != 0 || berth__inet_error_of(stream->descriptor) == 0)
        return;
    stream->error = ECONNRESET; /* which the kernel calls EPIPE once the input has ended */
    stream->events->receive_ended(stream, ECONNRESET);
}

/* Delivers until the kernel has no more, receiving is stopped, or the budget is used up. */
static void receive_into(epoll_backend *epoll, berth__stream *stream, const berth__frame *frame,
                         uint8_t *buffer, size_t size)
{
    size_t budget = BERTH__RECEIVE_BUDGET;
    unsigned calls = BERTH__RECEIVE_CALLS;
    while (stream->receiving && (stream->flags & READABLE)) {
        if (stream->flags & BROKEN) {
            end_receive(epoll, stream, stream->error);
            return;
        }
        if (budget == 0 || calls-- == 0) {
            berth__ready_add(&epoll->base.ready, &stream->ready, BERTH__READY_RECEIVE);
            return;
        }
        size_t room = size < budget ? size : budget;
        if (stream->limited && (room = berth__stream_room(stream, room)) == 0)
            return;
        ssize_t got = BERTH__SYSTEM("recv", recv(stream->descriptor, buffer, room, MSG_DONTWAIT));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN) {
            stream->flags &= (uint16_t)~READABLE;
            if (!stream->ready.parcelled)
                stream->flags &= (uint16_t)~PAST_SHORT;
            berth__stream_room_unused(stream);
            return;
        }
        if (got <= 0) {
            end_receive(epoll, stream, got < 0 ? errno : 0);
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
                                      const berth__frame *frame)
{
    uint8_t emergency[EMERGENCY];
    uint8_t *other = berth__allocate(BERTH__RECEIVE_BUDGET);
    if (other == NULL)
        receive_into(epoll, stream, frame, emergency, sizeof emergency);
    else
        receive_into(epoll, stream, frame, other, BERTH__RECEIVE_BUDGET);
    berth__release(other);
}

static void run_receive(epoll_backend *epoll, berth__stream *stream, const berth__frame *frame)
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
static void run_stream(epoll_backend *epoll, berth__stream *stream, berth__frame *frame)
{
    if (berth__ready_take_bit(&stream->ready, BERTH__READY_CONNECTED)) {
        run_connected(epoll, stream);
        /* What came with the connection is for the next run: a wait that was for the connection
         * alone must not take it, since the next wait would not count it as new. */
        if (frame->gone || stream->ready.queued)
            return;
    }
    if (berth__ready_take_bit(&stream->ready, BERTH__READY_RECEIVE))
        run_receive(epoll, stream, frame);
    if (frame->gone || stream->ready.pending == 0)
        return;
    if (!stream->ready.queued && berth__ready_take_bit(&stream->ready, READY_BROKEN))
        run_broken(stream);
    if (!frame->gone && berth__ready_take_bit(&stream->ready, READY_WRITABLE) &&
        (stream->flags & PARKED) && try_send(stream)) {
        stream->flags &= (uint16_t)~PARKED;
        stream->ready.pending |= BERTH__READY_SENT;
    }
    berth__common_finish_run(stream, frame);
}

/* ---- waiting and running --------------------------------------------------------------------- */

BERTH__RARE static void note_failure(epoll_backend *epoll, berth__stream *stream)
{
    stream->flags |= FAILED;
    if (stream->ended && stream->error == 0)
        berth__ready_add(&epoll->base.ready, &stream->ready, READY_BROKEN);
}

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
        if (events & over)
            note_failure(epoll, stream);
        if (stream->receiving)
            berth__ready_add(&epoll->base.ready, &stream->ready, BERTH__READY_RECEIVE);
    }
    if ((events & (EPOLLOUT | over)) && (stream->flags & PARKED))
        berth__ready_add(&epoll->base.ready, &stream->ready, READY_WRITABLE);
}

/* What note_stream does of EPOLLIN alone, which is all that there is of most messages. */
static inline void note_bytes(epoll_backend *epoll, berth__stream *stream)
{
    stream->flags |= READABLE;
    if (stream->receiving)
        berth__ready_add(&epoll->base.ready, &stream->ready, BERTH__READY_RECEIVE);
}

BERTH__RARE static void note(epoll_backend *epoll, berth__ready *ready, uint32_t events)
{
    if (ready == NULL)
        return; /* the bell */
    switch ((berth__ready_kind)ready->kind) {
    case BERTH__READY_STREAM:
        note_stream(epoll, stream_of(ready), events);
        break;
    case BERTH__READY_LISTENER:
        berth__epoll_note_listener(epoll, (berth__listener *)ready, events);
        break;
    case BERTH__READY_WATCH:
        berth__epoll_note_watch(epoll, (berth__watch *)ready, events);
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

/* A run inside an event has more to deliver, which no edge reports to a wait in there. Returns
 * whether that is news: what is in the list already may have to stay there while others are waited
 * for. */
BERTH__RARE static bool list_outer(epoll_backend *epoll)
{
    bool any = berth__common_list_outer(&epoll->base, epoll->frame);
    for (berth__frame *frame = epoll->frame; frame != NULL; frame = frame->outer) {
        berth__stream *stream = frame->stream;
        if (frame->gone || !stream->receiving || !(stream->flags & READABLE))
            continue;
        any = any || !(stream->ready.pending & BERTH__READY_RECEIVE);
        berth__ready_add(&epoll->base.ready, &stream->ready, BERTH__READY_RECEIVE);
    }
    return any;
}

static int wait_for_events(berth__backend *backend, int64_t timeout)
{
    epoll_backend *epoll = of(backend);
    struct epoll_event events[EVENTS];
    if (register_listed(epoll) || (epoll->frame != NULL && list_outer(epoll)))
        timeout = 0;
    /* Until there is nothing new: what is not seen now would count as not sent
     * (connection_limits.h). */
    int found = EVENTS;
    for (int round = 0; round < ROUNDS && found == EVENTS; round++) {
        found = BERTH__SYSTEM("epoll_wait",
                              epoll_wait(epoll->epoll, events, EVENTS, milliseconds(timeout)));
        if (found < 0)
            return errno == EINTR ? 0 : errno;
        for (int i = 0; i < found; i++) {
            berth__ready *ready = events[i].data.ptr;
            if (events[i].events == EPOLLIN && ready != NULL && ready->kind == BERTH__READY_STREAM)
                note_bytes(epoll, stream_of(ready));
            else
                note(epoll, ready, events[i].events);
        }
        timeout = 0;
    }
    return 0;
}

BERTH__RARE static void run_other(epoll_backend *epoll, berth__ready *ready)
{
    if (ready->kind == BERTH__READY_LISTENER)
        berth__epoll_run_listener(epoll, (berth__listener *)ready);
    else
        berth__common_run_watch((berth__watch *)ready);
}

static void run(berth__backend *backend, berth__ready *ready)
{
    epoll_backend *epoll = of(backend);
    if (ready->kind != BERTH__READY_STREAM) {
        run_other(epoll, ready);
        return;
    }
    berth__frame frame = {.outer = epoll->frame, .stream = stream_of(ready)};
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

static int descriptor_of(berth__backend *backend)
{
    return of(backend)->epoll;
}

static void discard(berth__backend *backend, int descriptor)
{
    berth__inet_close(descriptor, BERTH__CLOSE_NORMAL);
    descriptor_closed(backend);
}

static void close_file(berth__backend *backend, int descriptor)
{
    (void)close(descriptor);
    descriptor_closed(backend);
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

static size_t input(berth__backend *backend, const berth__stream *stream)
{
    (void)backend;
    return berth__inet_input(stream->descriptor);
}

static const berth__backend_operations operations = {
    .name = "epoll",
    .destroy = destroy,
    .listen = berth__epoll_listen,
    .adopt_listener = berth__epoll_adopt_listener,
    .listen_local = berth__epoll_listen_local,
    .remove_local = berth__common_remove_local,
    .accept_credit = berth__epoll_accept_credit,
    .close_listener = berth__epoll_close_listener,
    .adopt = adopt,
    .bind = berth__common_bind,
    .connect = connect_stream,
    .connect_local = connect_local,
    .receive_start = receive_start,
    .receive_stop = receive_stop,
    .send = send_stream,
    .await_room = await_room,
    .finish_send = finish_send,
    .shutdown_send = shutdown_send,
    .close = close_stream,
    .release = release_stream,
    .watch_start = berth__epoll_watch_start,
    .watch_close = berth__epoll_watch_close,
    .copy = berth__inet_copy,
    .close_copy = close_file,
    .dial = berth__inet_dial,
    .dialled = berth__inet_dialled,
    .take = berth__inet_take,
    .put = berth__inet_put,
    .wake = wake,
    .submit = submit,
    .wait = wait_for_events,
    .run = run,
    .now = berth__common_now,
    .descriptor = descriptor_of,
    .name_of = berth__common_name_of,
    .local_name = berth__common_local_name,
    .credentials = berth__common_credentials,
    .has_connection = berth__common_has_connection,
    .input = input,
    .in_transit = berth__common_in_transit,
    .has_unsent = berth__common_has_unsent,
    .option = berth__common_option,
    .put_chunks = berth__inet_put_chunks,
    .read_file = berth__inet_read_file,
    .open_file = berth__inet_open_file,
    .close_file = close_file,
    .discard = discard,
    .reserve = berth__common_reserve,
    .reject = berth__common_reject,
    .inherit = berth__epoll_inherit,
    .renew = berth__epoll_renew,
    .renew_stream = berth__epoll_renew_stream,
    .forget = berth__epoll_forget,
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
