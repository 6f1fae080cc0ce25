/*
 * What receiving, sending and ending share of a stream of the io_uring backend: `closed` when the
 * kernel has let go of the record, and the watch for a reset behind the end of the input.
 *
 * After the end of the input nothing is in flight that could fail, so a stream that stays open, for
 * its output, is polled for errors. The poll goes on after its first completion, which comes at
 * once: io_uring always asks for EPOLLRDHUP too, and that has been there since the end.
 */
#include "uring.h"

#include <errno.h>
#include <poll.h>

#include "inet.h"

/* ---- the record ------------------------------------------------------------------------------ */

void berth__uring_finish_closed(uring_backend *uring, berth__stream *stream)
{
    if (stream->in_flight > 0 || (stream->flags & LISTED))
        return;
    if (stream->flags & LEAVING) {
        *stream->link = stream->next;
        if (stream->next != NULL)
            stream->next->link = stream->link;
        stream->flags &= (uint16_t)~LEAVING;
        stream->data = NULL;
        stream->held = (berth__chain){0};
    }
    berth__uring_announce(uring, &stream->ready, BERTH__READY_CLOSED);
}

/* It is closed, and waits for the ends of its operations. */
void berth__uring_list_leaving(uring_backend *uring, berth__stream *stream)
{
    stream->flags |= LEAVING;
    stream->next = uring->closing;
    stream->link = &uring->closing;
    if (uring->closing != NULL)
        uring->closing->link = &stream->next;
    uring->closing = stream;
}

/* ---- resets behind an end -------------------------------------------------------------------- */

/* False if the kernel takes no more. */
static bool await_events(uring_backend *uring, berth__stream *stream, unsigned events)
{
    if (stream->closing || (stream->flags & POLLED))
        return true;
    struct io_uring_sqe *sqe = berth__ring_entry(&uring->ring);
    if (sqe == NULL)
        return false;
    io_uring_prep_poll_multishot(sqe, stream->descriptor, events);
    io_uring_sqe_set_data64(sqe, berth__uring_label(stream, OF_BREAK));
    stream->flags |= POLLED;
    stream->in_flight++;
    return true;
}

void berth__uring_await_break(uring_backend *uring, berth__stream *stream)
{
    (void)await_events(uring, stream, POLLERR); /* else the next send reports it */
}

bool berth__uring_await_end(uring_backend *uring, berth__stream *stream)
{
    return await_events(uring, stream, POLLRDHUP);
}

void berth__uring_on_break(uring_backend *uring, berth__stream *stream,
                           const struct io_uring_cqe *cqe)
{
    if (!(cqe->flags & IORING_CQE_F_MORE)) {
        stream->flags &= (uint16_t)~POLLED;
        stream->in_flight--;
    }
    if (stream->closing)
        berth__uring_finish(uring, stream);
    else if (!stream->ended && cqe->res > 0) {
        if (cqe->res & (POLLRDHUP | POLLHUP))
            stream->flags |= ENDS;
        berth__uring_receive_anew(uring, stream);
    } else if (cqe->res > 0 && (cqe->res & POLLERR))
        berth__uring_announce(uring, &stream->ready, READY_BROKEN);
}

void berth__uring_run_break(berth__stream *stream)
{
    if (stream->closing || stream->error != 0 || berth__inet_error_of(stream->descriptor) == 0)
        return;
    stream->error = ECONNRESET; /* which the kernel calls EPIPE once the input has ended */
    stream->events->receive_ended(stream, ECONNRESET);
}
