/*
 * The backend on io_uring.
 *
 * Owns a ring with its buffers (uring_ring.h), an eventfd for wake, and where the loop lives inside
 * another one an eventfd for that to poll. Everything is started by preparing entries; `wait`
 * submits them all, and sleeps in the same system call, which is the only one that an echo costs.
 *
 * Normal course of a stream: receive_start has the next wait prepare one receive for its whole life
 * (uring_receive.c). A send is prepared when it is asked for (uring_send.c). Completions become
 * bits of the record in the ready list; wait goes through those that are there before it sleeps,
 * and does not sleep if there was one.
 *
 * `closed` comes when the kernel has let go of the record (uring_end.c). user_data is a record's
 * address with the operation in its low bits, safe because no record is freed before. Entries with
 * no use for a completion have user_data 0.
 *
 * Listeners are polled, one shot at a time, while there is credit, and accepted from by system
 * calls. Closing one takes its poll back inside the call, since that would hold the port.
 *
 * Failures: an operation for which the kernel takes no entry ends with ENOMEM; wait returns an
 * errno only for a broken ring. Inside events everything may be called; for records that are freed
 * by a nested run see berth__frame.
 */
#include "uring.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/system.h"
#include "inet.h"

enum {
    ROUNDS = 4,       /* of one wait, before the bell has it called again */
    QUIET = 20000000, /* nanoseconds without news after which missed resets are looked for */
    SLEEPS = 16,      /* after which they are looked for in any case */
    REST = 1,         /* milliseconds of a rest */
    LOOKS = 256       /* of a wait when time is over */
};

/* A poll of a record that was closed is still to be cancelled: the backend's own bit of pending. */
enum {
    READY_CANCEL = BERTH__READY_PRIVATE
};

static uring_backend *of(berth__backend *backend)
{
    return (uring_backend *)backend;
}

/* ---- completions ----------------------------------------------------------------------------- */

static void on_send(uring_backend *uring, berth__stream *stream, int result)
{
    stream->in_flight--;
    result = berth__uring_send_result(result);
    if (result > 0 && (stream->flags & ROOM)) /* a poll, not a send */
        result = 0;
    stream->flags &= (uint16_t)~ROOM;
    if (uring->waiting && result > 0 && !stream->closing && stream->events->taken != NULL) {
        stream->sending = false;
        uring->news = true; /* somebody may wait for just that */
        if (stream->events->taken(stream, result))
            return;
        stream->sending = true;
    }
    stream->ready.result = result;
    berth__uring_announce(uring, &stream->ready, BERTH__READY_SENT);
    if (result < 0 && result != -EAGAIN)
        berth__uring_send_failed(uring, stream);
    berth__uring_finish(uring, stream);
}

static void on_connect(uring_backend *uring, berth__stream *stream)
{
    stream->in_flight--;
    stream->flags &= (uint16_t)~POLLED;
    if (!stream->closing)
        berth__uring_announce(uring, &stream->ready, BERTH__READY_CONNECTED);
    berth__uring_finish(uring, stream);
}

static void on_listener(uring_backend *uring, berth__listener *listener, int result)
{
    listener->flags &= ~(uint32_t)POLLED;
    if (listener->closing) {
        berth__uring_announce(uring, &listener->ready, BERTH__READY_CLOSED);
        return;
    }
    if (result < 0)
        listener->error = (int16_t)-result;
    else if (result & (POLLHUP | POLLERR | POLLNVAL))
        listener->error = EINVAL;
    if (listener->credit == 0 && listener->error == 0)
        listener->flags |= READABLE;
    else
        berth__uring_announce(uring, &listener->ready, BERTH__READY_ACCEPT);
}

static void on_watch(uring_backend *uring, berth__watch *watch, int result)
{
    watch->flags &= ~(uint32_t)POLLED;
    if (watch->closing) {
        berth__uring_announce(uring, &watch->ready, BERTH__READY_CLOSED);
        return;
    }
    watch->events = 0;
    if (result >= 0 && (result & (POLLIN | EPOLLRDHUP)))
        watch->events |= BERTH__WATCH_READ;
    if (result >= 0 && (result & POLLOUT))
        watch->events |= BERTH__WATCH_WRITE;
    if (result < 0 || (result & (POLLERR | POLLHUP | POLLNVAL)))
        watch->events = BERTH__WATCH_READ | BERTH__WATCH_WRITE;
    berth__uring_announce(uring, &watch->ready, BERTH__READY_FIRED);
}

void berth__uring_on_completion(uring_backend *uring, const struct io_uring_cqe *cqe)
{
    uint64_t user_data = cqe->user_data;
    /* NOLINTNEXTLINE: an address of ours */
    void *record = (void *)(uintptr_t)(user_data & ~(uint64_t)OF_ANY);
    switch (user_data & OF_ANY) {
    case OF_RECEIVE:
        berth__uring_on_receive(uring, record, cqe);
        return;
    case OF_SEND:
        on_send(uring, record, cqe->res);
        return;
    case OF_CONNECT:
        if (((berth__stream *)record)->ended || ((berth__stream *)record)->ready.local)
            berth__uring_on_break(uring, record, cqe);
        else
            on_connect(uring, record);
        return;
    case OF_INPUT:
        berth__uring_on_input(uring, record, cqe->res);
        return;
    case OF_LISTENER:
        on_listener(uring, record, cqe->res);
        return;
    case OF_WATCH:
        on_watch(uring, record, cqe->res);
        return;
    case OF_BELL:
        uring->refused = uring->refused || cqe->res < 0;
        uring->bell_armed = (cqe->flags & IORING_CQE_F_MORE) != 0;
        uring->rung = true; /* the wait must not sleep, wherever the completion was found */
        uring->news = true;
        return;
    default:
        return;
    }
}

BERTH__RARE static void reap_aside(uring_backend *uring)
{
    for (unsigned i = 0; i < uring->ring.aside_count; i++)
        berth__uring_on_completion(uring, &uring->ring.aside[i]);
    uring->ring.aside_count = 0;
}

void berth__uring_reap(uring_backend *uring)
{
    struct io_uring *ring = &uring->ring.ring;
    struct io_uring_cqe *cqe;
    unsigned head;
    unsigned seen = 0;
    uring->ring.reaping = true;
    if (uring->ring.aside_count > 0)
        reap_aside(uring);
    io_uring_for_each_cqe(ring, head, cqe)
    {
        berth__uring_on_completion(uring, cqe);
        seen++;
    }
    if (seen >= ring->cq.ring_entries && berth__ring_overflowed(&uring->ring))
        uring->base.counts.completion_overflows++;
    io_uring_cq_advance(ring, seen);
    uring->ring.reaping = false;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void arm_bell(uring_backend *uring)
{
    struct io_uring_sqe *sqe = uring->bell_armed ? NULL : berth__ring_entry(&uring->ring);
    if (sqe == NULL)
        return;
    io_uring_prep_poll_multishot(sqe, uring->bell, POLLIN); /* each write rings; it is never read */
    io_uring_sqe_set_data64(sqe, OF_BELL);
    uring->bell_armed = true;
}

void berth__uring_tell_closes(uring_backend *uring)
{
    while (uring->closes > 0) {
        uring->closes--;
        if (uring->base.descriptor_closed != NULL)
            uring->base.descriptor_closed(uring->base.core);
    }
}

static bool is_passing(int error)
{
    return error == ETIME || error == EINTR || error == EAGAIN || error == EBUSY || error == ENOMEM;
}

static void wake(berth__backend *backend);

/* Takes in no completion: what it brings out lies in the queue for the next wait. */
static void submit(berth__backend *backend)
{
    uring_backend *uring = of(backend);
    if (!uring->urgent)
        return;
    uring->urgent = false;
    (void)berth__ring_turn(&uring->ring);
}

/* What it has refused it would refuse again at once: lest the loop spin until that has passed. */
BERTH__RARE static void rest(uring_backend *uring)
{
    uring->refused = false;
    (void)poll(NULL, 0, REST);
}

/* Linux gives a ring of this kind some twenty completions at a time. */
BERTH__RARE static void take_the_rest(uring_backend *uring)
{
    for (int look = 0; look < LOOKS && berth__ring_has_work(&uring->ring); look++) {
        if (berth__ring_turn(&uring->ring) != 0)
            return;
        berth__uring_tell_closes(uring);
        berth__uring_reap(uring);
    }
}

static int look_for_completions(berth__backend *backend, int64_t timeout)
{
    uring_backend *uring = of(backend);
    uring->news = uring->rung;
    uring->urgent = false;
    berth__uring_reap(uring);
    berth__uring_list_outer(uring);
    for (int round = 0; round < ROUNDS; round++) {
        arm_bell(uring);
        if (timeout == 0 ? !uring->news : uring->sleeps >= SLEEPS)
            berth__uring_check(uring);
        berth__uring_maintain(uring);
        bool sleeps = timeout != 0 && !uring->news && !berth__uring_unsettled(uring);
        bool briefly = sleeps && uring->unchecked_live > 0;
        bool cut = briefly && (timeout < 0 || timeout > QUIET);
        uring->sleeps += briefly;
        int error = 0;
        if (sleeps)
            error = berth__ring_sleep(&uring->ring, cut ? QUIET : timeout);
        else if (berth__ring_has_entries(&uring->ring) ||
                 (!uring->news && berth__ring_has_work(&uring->ring)))
            error = berth__ring_turn(&uring->ring);
        if (error != 0 && !is_passing(error))
            return error;
        berth__uring_tell_closes(uring);
        berth__uring_reap(uring);
        if (error != 0 && error != ETIME && error != EINTR && !uring->news)
            uring->refused = true;
        if (uring->refused)
            rest(uring);
        if (briefly && error == ETIME && !uring->news) {
            berth__uring_check(uring);
            timeout = timeout < 0 ? timeout : cut ? timeout - QUIET : 0;
            continue;
        }
        if (sleeps || uring->news) {
            if (backend->due != UINT64_MAX && berth__ring_has_work(&uring->ring) &&
                backend->due <= backend->operations->now(backend))
                take_the_rest(uring);
            return 0;
        }
        if (!berth__uring_unsettled(uring) && !berth__ring_has_entries(&uring->ring))
            return 0;
    }
    wake(backend); /* whoever polls the descriptor has to come back */
    return 0;
}

static void raise_signal(const uring_backend *uring)
{
    uint64_t one = 1;
    (void)!write(uring->signal, &one, sizeof one);
}

/* What the signal was raised for has been taken in, but for what has come since. */
BERTH__RARE static void lower_signal(const uring_backend *uring)
{
    uint64_t count;
    (void)!read(uring->signal, &count, sizeof count);
    if (berth__ring_has_completions(&uring->ring) || berth__ring_has_work(&uring->ring))
        raise_signal(uring);
}

static int wait_for_completions(berth__backend *backend, int64_t timeout)
{
    of(backend)->waiting = true;
    int error = look_for_completions(backend, timeout);
    of(backend)->waiting = false;
    of(backend)->rung = false;
    if (of(backend)->signal >= 0)
        lower_signal(of(backend));
    return error;
}

/* ---- streams: operations --------------------------------------------------------------------- */

/* Not by IORING_OP_CONNECT, for which the address would have to be kept somewhere. */
static int connect_stream(berth__backend *backend, berth__stream *stream,
                          const berth_address *address, uint16_t port,
                          const berth__options *options)
{
    int error = berth__inet_connect(address, port, options, &stream->descriptor);
    if (error != 0 && error != EINPROGRESS)
        return error;
    berth__uring_set_input(stream, INPUT_CONNECTING);
    if (error == 0) {
        berth__ready_add(&backend->ready, &stream->ready, BERTH__READY_CONNECTED);
        return 0;
    }
    if (berth__uring_poll(of(backend), stream->descriptor, POLLOUT, stream, OF_CONNECT)) {
        stream->flags |= POLLED;
        stream->in_flight++;
        return 0;
    }
    berth__inet_close(stream->descriptor, BERTH__CLOSE_COPY);
    stream->descriptor = -1;
    berth__uring_set_input(stream, INPUT_NONE);
    return ENOMEM;
}

/* It is connected at once, or not at all. */
static int connect_local(berth__backend *backend, berth__stream *stream,
                         const berth__local_name *name, const berth__options *options)
{
    bool parcelled = false; /* a receive goes on until there is no more in any case */
    int error = berth__inet_connect_local(name, options, &stream->descriptor, &parcelled);
    if (error != 0)
        return error;
    berth__uring_set_input(stream, INPUT_CONNECTING);
    berth__ready_add(&backend->ready, &stream->ready, BERTH__READY_CONNECTED);
    return 0;
}

/* ---- streams: runs --------------------------------------------------------------------------- */

static void run_connected(uring_backend *uring, berth__stream *stream)
{
    int error = 0;
    socklen_t length = sizeof error;
    if (BERTH__SYSTEM("getsockopt",
                      getsockopt(stream->descriptor, SOL_SOCKET, SO_ERROR, &error, &length)) < 0)
        error = errno;
    int off = 0; /* io_uring would answer EAGAIN where it should wait */
    if (error == 0)
        (void)BERTH__SYSTEM("ioctl", ioctl(stream->descriptor, FIONBIO, &off));
    berth__uring_set_input(stream, INPUT_NONE);
    stream->error = (int16_t)error;
    if (stream->receiving)
        berth__uring_list(uring, stream);
    stream->events->connected(stream, error);
}

static void report_end(uring_backend *uring, berth__stream *stream, const berth__frame *frame)
{
    bool in_order = stream->error == 0;
    stream->events->receive_ended(stream, stream->error);
    if (in_order && !frame->gone)
        berth__uring_await_break(uring, stream);
}

/* As in epoll.c: one step for each bit, and whatever an event has changed is found in the record.
 */
static void run_stream(uring_backend *uring, berth__stream *stream, berth__frame *frame)
{
    if (berth__ready_take_bit(&stream->ready, BERTH__READY_CONNECTED))
        run_connected(uring, stream);
    /* The error of a send comes behind the input and its end. */
    if (!frame->gone && berth__stream_has_gone(stream))
        berth__common_run_sent(stream);
    if (!frame->gone && berth__ready_take_bit(&stream->ready, BERTH__READY_RECEIVE) &&
        berth__uring_run_receive(uring, stream, frame))
        report_end(uring, stream, frame);
    if (!frame->gone && !stream->ready.queued &&
        berth__ready_take_bit(&stream->ready, READY_BROKEN))
        berth__uring_run_break(stream);
    berth__common_finish_run(stream, frame);
}

/* ---- listeners ------------------------------------------------------------------------------- */

/* While a listener lacks a descriptor, others are closed at once. */
static void starve(uring_backend *uring, berth__listener *listener, bool starves)
{
    if (((listener->flags & STARVES) != 0) == starves)
        return;
    listener->flags ^= STARVES;
    uring->starving += starves ? 1u : UINT_MAX;
}

void berth__uring_poll_listener(uring_backend *uring, berth__listener *listener)
{
    if (listener->closing || listener->credit == 0 || (listener->flags & POLLED) ||
        (listener->ready.pending & BERTH__READY_ACCEPT))
        return;
    bool readable = (listener->flags & READABLE) != 0;
    listener->flags &= ~(uint32_t)READABLE;
    if (!readable &&
        berth__uring_poll(uring, listener->descriptor, POLLIN, listener, OF_LISTENER)) {
        listener->flags |= POLLED;
        return;
    }
    if (!readable)
        listener->error = ENOMEM;
    berth__ready_add(&uring->base.ready, &listener->ready, BERTH__READY_ACCEPT);
}

static int listen_on(berth__backend *backend, berth__listener *listener,
                     const berth__listen_options *options, berth__listen_step *ret_step)
{
    int error = berth__inet_listen(options, &listener->descriptor, ret_step);
    if (error == 0)
        berth__listener_enlist(backend, listener);
    return error;
}

static int listen_local(berth__backend *backend, berth__listener *listener,
                        const berth__local_listen *options, berth__local_file *ret_file,
                        berth__local_step *ret_step)
{
    int error =
        berth__common_listen_local(listener, options, &listener->descriptor, ret_file, ret_step);
    if (error == 0)
        berth__listener_enlist(backend, listener);
    return error;
}

static int adopt_listener(berth__backend *backend, berth__listener *listener, int descriptor)
{
    int error = berth__inet_check_listener(descriptor, listener);
    if (error != 0)
        return error;
    listener->descriptor = descriptor;
    berth__listener_enlist(backend, listener);
    return 0;
}

static void accept_credit(berth__backend *backend, berth__listener *listener, unsigned credit)
{
    if (listener->closing)
        return;
    listener->credit = credit;
    berth__uring_poll_listener(of(backend), listener);
}

/* Whether the poll's completion is there; it is then made one of nothing. */
static bool find_completion(uring_backend *uring, uint64_t user_data)
{
    struct io_uring_cqe *cqe;
    unsigned head;
    io_uring_for_each_cqe(&uring->ring.ring, head, cqe)
    {
        if (cqe->user_data != user_data)
            continue;
        cqe->user_data = OF_NOTHING;
        return true;
    }
    for (unsigned i = 0; i < uring->ring.aside_count; i++) {
        cqe = &uring->ring.aside[i];
        if (cqe->user_data != user_data)
            continue;
        cqe->user_data = OF_NOTHING;
        return true;
    }
    return false;
}

/* Only when its completion is seen has the kernel given up the poll's reference to the file, and
 * with a listener's, the port. Else the poll goes on: it is taken back by a later run, or its end
 * is still to come. */
static void end_poll(uring_backend *uring, berth__ready *ready, uint32_t *flags, unsigned operation)
{
    if (!(*flags & POLLED))
        return;
    if (!berth__uring_cancel(uring, ready, operation)) {
        berth__ready_add(&uring->base.ready, ready, READY_CANCEL);
        return;
    }
    for (int attempt = 0; attempt < ROUNDS; attempt++) {
        (void)berth__ring_turn(&uring->ring);
        if (!find_completion(uring, berth__uring_label(ready, operation)))
            continue;
        *flags &= ~(uint32_t)POLLED;
        return;
    }
}

static void close_listener(berth__backend *backend, berth__listener *listener)
{
    if (listener->closing)
        return;
    uring_backend *uring = of(backend);
    listener->closing = true;
    listener->credit = 0;
    listener->ready.pending = 0;
    starve(uring, listener, false);
    end_poll(uring, &listener->ready, &listener->flags, OF_LISTENER);
    berth__inet_close(listener->descriptor, BERTH__CLOSE_COPY);
    listener->descriptor = -1;
    uring->closes++;
    berth__uring_tell_closes(uring);
    if (!(listener->flags & POLLED)) /* else when the queue of completions has room for it */
        berth__ready_add(&backend->ready, &listener->ready, BERTH__READY_CLOSED);
}

static void run_listener(uring_backend *uring, berth__listener *listener)
{
    if (berth__ready_take_bit(&listener->ready, READY_CANCEL) && (listener->flags & POLLED)) {
        end_poll(uring, &listener->ready, &listener->flags, OF_LISTENER);
        if (!(listener->flags & POLLED))
            berth__ready_add(&uring->base.ready, &listener->ready, BERTH__READY_CLOSED);
        return;
    }
    if (berth__common_run_closed(listener))
        return;
    if (!berth__ready_take_bit(&listener->ready, BERTH__READY_ACCEPT))
        return;
    int error = listener->error;
    if (listener->credit == 0 && error == 0) {
        listener->flags |= READABLE;
        return;
    }
    /* Before the batch: a nested turn inside `accepted` must know the connections that the batch
     * has not come to. If there is more after it the poll completes at once. */
    if (error == 0)
        berth__uring_poll_listener(uring, listener);
    if (!berth__common_run_batch(listener, error))
        return;
    starve(uring, listener, listener->batch == 0 && !listener->closing);
    berth__uring_poll_listener(uring, listener);
}

/* ---- watches --------------------------------------------------------------------------------- */

static int watch_start(berth__backend *backend, berth__watch *watch, int descriptor,
                       unsigned events)
{
    assert(!watch->active && !watch->closing);
    if (!watch->kept && BERTH__SYSTEM("fcntl", fcntl(descriptor, F_GETFD)) < 0)
        return errno;
    unsigned wanted = berth__common_poll_bits(events);
    if (!berth__uring_poll(of(backend), descriptor, wanted, watch, OF_WATCH))
        return ENOMEM;
    watch->descriptor = descriptor;
    watch->events = events;
    watch->active = true;
    watch->flags |= POLLED;
    berth__watch_enlist(backend, watch);
    return 0;
}

static void end_watch(uring_backend *uring, berth__watch *watch)
{
    if (watch->kept)
        end_poll(uring, &watch->ready, &watch->flags, OF_WATCH);
    if (!(watch->flags & POLLED))
        berth__ready_add(&uring->base.ready, &watch->ready, BERTH__READY_CLOSED);
    else if (!watch->kept && !berth__uring_cancel(uring, watch, OF_WATCH))
        berth__ready_add(&uring->base.ready, &watch->ready, READY_CANCEL);
}

static void watch_close(berth__backend *backend, berth__watch *watch)
{
    if (watch->closing)
        return;
    watch->closing = true;
    watch->active = false;
    watch->ready.pending = 0;
    end_watch(of(backend), watch);
}

static void run_watch(uring_backend *uring, berth__watch *watch)
{
    if (berth__ready_take_bit(&watch->ready, READY_CANCEL) && (watch->flags & POLLED))
        end_watch(uring, watch); /* which may put it into the list again */
    else
        berth__common_run_watch(watch);
}

/* ---- running, waking, questions -------------------------------------------------------------- */

static void run(berth__backend *backend, berth__ready *ready)
{
    uring_backend *uring = of(backend);
    if (ready->kind == BERTH__READY_LISTENER) {
        run_listener(uring, (berth__listener *)ready);
        return;
    }
    if (ready->kind == BERTH__READY_WATCH) {
        run_watch(uring, (berth__watch *)ready);
        return;
    }
    berth__frame frame = {.outer = uring->frame, .stream = (berth__stream *)ready};
    frame.depth = frame.outer != NULL ? frame.outer->depth + 1 : 0;
    uring->frame = &frame;
    run_stream(uring, (berth__stream *)ready, &frame);
    uring->frame = frame.outer;
}

static void wake(berth__backend *backend)
{
    int kept = errno; /* this may be a signal handler */
    uint64_t one = 1;
    ssize_t written = write(of(backend)->bell, &one, sizeof one);
    (void)written; /* the counter being full, it has rung already */
    /* The kernel raises it late or never for what comes of another eventfd. After the bell, lest it
     * be lowered before that can be seen. */
    if (of(backend)->signal >= 0)
        raise_signal(of(backend));
    errno = kept;
}

/* Returns an errno. */
static int open_signal(uring_backend *uring)
{
    int signal = BERTH__SYSTEM("eventfd", eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (signal < 0)
        return errno;
    int error = berth__ring_signal(&uring->ring, signal);
    if (error != 0) {
        (void)close(signal);
        return error;
    }
    uring->signal = signal;
    raise_signal(uring); /* for what there is already */
    return 0;
}

/* Not the ring's: one with DEFER_TASKRUN shows whoever begins to poll it what there is, but wakes
 * nobody (6.18 and before). */
static int descriptor_of(berth__backend *backend)
{
    uring_backend *uring = of(backend);
    int error = uring->signal < 0 ? open_signal(uring) : 0;
    if (error != 0)
        errno = error;
    return uring->signal;
}

static void discard(berth__backend *backend, int descriptor)
{
    berth__inet_close(descriptor, BERTH__CLOSE_NORMAL);
    of(backend)->closes++;
    berth__uring_tell_closes(of(backend));
}

static void close_file(berth__backend *backend, int descriptor)
{
    (void)close(descriptor);
    of(backend)->closes++;
    berth__uring_tell_closes(of(backend));
}

/* ---- life ------------------------------------------------------------------------------------ */

static void destroy(berth__backend *backend)
{
    uring_backend *uring = of(backend);
    if (backend->inherited != NULL)
        berth__ring_drop(&uring->ring);
    else
        berth__ring_close(&uring->ring);
    (void)close(uring->bell);
    if (uring->signal >= 0)
        (void)close(uring->signal);
    berth__release(uring->gathered);
    berth__release(uring->buffer);
    berth__release(uring);
}

/* What the ring has received is the kernel's no longer, and is not held before its completion was
 * taken in. */
static size_t input(berth__backend *backend, const berth__stream *stream)
{
    berth__uring_reap((uring_backend *)backend);
    return berth__uring_older(stream) + berth__inet_input(stream->descriptor);
}

static const berth__backend_operations operations = {
    .name = "io_uring",
    .destroy = destroy,
    .listen = listen_on,
    .adopt_listener = adopt_listener,
    .listen_local = listen_local,
    .remove_local = berth__common_remove_local,
    .accept_credit = accept_credit,
    .close_listener = close_listener,
    .adopt = berth__common_adopt,
    .bind = berth__common_bind,
    .connect = connect_stream,
    .connect_local = connect_local,
    .receive_start = berth__uring_receive_start,
    .receive_stop = berth__uring_receive_stop,
    .send = berth__uring_send,
    .await_room = berth__uring_await_room,
    .finish_send = berth__uring_finish_send,
    .shutdown_send = berth__uring_shutdown_send,
    .close = berth__uring_close,
    .release = berth__uring_release,
    .watch_start = watch_start,
    .watch_close = watch_close,
    .copy = berth__inet_copy,
    .close_copy = close_file,
    .dial = berth__inet_dial,
    .dialled = berth__inet_dialled,
    .take = berth__inet_take,
    .put = berth__inet_put,
    .wake = wake,
    .submit = submit,
    .wait = wait_for_completions,
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
    .before_fork = berth__uring_before_fork,
    .inherit = berth__uring_inherit,
    .renew = berth__uring_renew,
    .renew_stream = berth__uring_renew_stream,
    .forget = berth__uring_forget,
};

berth__backend *berth__uring_new(berth__pool *pool, char *ret_reason, size_t size)
{
    const char *failed = "memory for a ring";
    uring_backend *uring = berth__allocate_zero(sizeof *uring);
    int error = ENOMEM;
    if (uring != NULL) {
        failed = "eventfd";
        uring->signal = -1;
        uring->bell = BERTH__SYSTEM("eventfd", eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        error = uring->bell < 0 ? errno : 0;
    }
    if (uring != NULL && error == 0) {
        failed = berth__ring_open(&uring->ring);
        error = failed != NULL ? errno : 0;
        if (failed != NULL)
            (void)close(uring->bell);
    }
    if (error != 0) {
        berth__ring_explain(failed, error, ret_reason, size);
        berth__release(uring);
        errno = error;
        return NULL;
    }
    uring->base.operations = &operations;
    uring->base.pool = pool;
    berth__uring_receive_init(uring);
    berth__ready_list_init(&uring->base.ready);
    return &uring->base;
}
