/*
 * The io_uring backend in a child: what fork has left of it, and how it becomes the child's own.
 *
 * The ring is shared with the parent: its queues lie in memory of the kernel that both see, and
 * only the parent may submit. The buffers are the child's own copy. So before fork the parent
 * submits what was prepared, that both may know what has been sent, and copies the completions that
 * wait in the queue for the child; everything else in flight is the parent's.
 *
 * To make the backend the child's own a new ring is set up, with the old one's buffers, since views
 * lie in them; polls are begun anew, and receives with the next wait.
 *
 * Records that wait for the end of an operation, their descriptors closed, are in lists (`closing`
 * for streams, those of the backend for others), since nobody else knows them; in the child they
 * end at once.
 */
#include "uring.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/system.h"

void berth__uring_before_fork(berth__backend *backend)
{
    berth__ring_before_fork(&((uring_backend *)backend)->ring);
}

static void take_completions(uring_backend *uring)
{
    unsigned count;
    const struct io_uring_cqe *completions = berth__ring_inherit(&uring->ring, &count);
    for (unsigned i = 0; i < count; i++)
        berth__uring_on_completion(uring, &completions[i]);
}

static void end_closing(uring_backend *uring)
{
    for (berth__stream *stream; (stream = uring->closing) != NULL;) {
        stream->in_flight = 0;
        berth__uring_finish(uring, stream);
    }
    for (berth__listener *each = uring->base.listeners; each != NULL; each = each->next) {
        if (each->closing)
            berth__ready_add(&uring->base.ready, &each->ready, BERTH__READY_CLOSED);
    }
    for (berth__watch *each = uring->base.watches; each != NULL; each = each->next) {
        if (each->closing)
            berth__ready_add(&uring->base.ready, &each->ready, BERTH__READY_CLOSED);
    }
}

void berth__uring_inherit(berth__backend *backend)
{
    uring_backend *uring = (uring_backend *)backend;
    berth__common_end_runs(backend, uring->frame);
    berth__inherit(backend);
    take_completions(uring);
    berth__uring_unlist_all(uring);
    end_closing(uring);
}

static void poll_watch(uring_backend *uring, berth__watch *watch)
{
    if (watch->closing || !watch->active || (watch->ready.pending & BERTH__READY_FIRED))
        return;
    unsigned wanted = berth__common_poll_bits(watch->events);
    if (berth__uring_poll(uring, watch->descriptor, wanted, watch, OF_WATCH))
        watch->flags |= POLLED;
    else
        berth__uring_announce(uring, &watch->ready, BERTH__READY_FIRED);
}

static void poll_all(uring_backend *uring)
{
    for (berth__listener *each = uring->base.listeners; each != NULL; each = each->next) {
        each->flags &= ~(uint32_t)POLLED;
        berth__uring_poll_listener(uring, each);
        if (each->ready.pending != 0)
            berth__ready_add(&uring->base.ready, &each->ready, 0);
    }
    for (berth__watch *each = uring->base.watches; each != NULL; each = each->next) {
        each->flags &= ~(uint32_t)POLLED;
        poll_watch(uring, each);
        if (each->ready.pending != 0)
            berth__ready_add(&uring->base.ready, &each->ready, 0);
    }
}

int berth__uring_renew(berth__backend *backend)
{
    uring_backend *uring = (uring_backend *)backend;
    int bell = BERTH__SYSTEM("eventfd", eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (bell < 0)
        return errno;
    int error = berth__ring_renew(&uring->ring);
    if (error != 0) {
        (void)close(bell);
        return error;
    }
    (void)close(uring->bell);
    uring->bell = bell;
    uring->bell_armed = false;
    if (uring->signal >= 0) /* it is the parent's; the next question makes another */
        (void)close(uring->signal);
    uring->signal = -1;
    uring->news = true;
    uring->urgent = false;
    uring->closes = 0;
    backend->operations = backend->inherited;
    backend->inherited = NULL;
    poll_all(uring);
    return 0;
}

void berth__uring_renew_stream(berth__backend *backend, berth__stream *stream)
{
    uring_backend *uring = (uring_backend *)backend;
    stream->in_flight = 0;
    bool connecting = berth__uring_input(stream) == INPUT_CONNECTING;
    stream->flags &= INPUT_STATE | ARMED_ONCE | VIEW | END | UNCHECKED;
    if (!connecting && berth__uring_input(stream) != INPUT_READS)
        berth__uring_set_input(stream, INPUT_NONE);
    if (connecting && !(stream->ready.pending & BERTH__READY_CONNECTED) &&
        berth__uring_poll(uring, stream->descriptor, POLLOUT, stream, OF_CONNECT)) {
        stream->flags |= POLLED;
        stream->in_flight++;
    }
    if (stream->ended && stream->error == 0)
        berth__uring_await_break(uring, stream);
    if (stream->receiving) {
        stream->receiving = false;
        berth__uring_receive_start(backend, stream);
    }
    if (stream->ready.pending != 0)
        berth__ready_add(&backend->ready, &stream->ready, 0);
}

void berth__uring_forget(berth__backend *backend, berth__stream *stream)
{
    berth__uring_leave((uring_backend *)backend, stream);
}
