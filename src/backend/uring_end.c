/*
 * How streams of the io_uring backend end.
 *
 * Closing shows the peer the end inside the call, as the mode has it, whoever else holds a copy of
 * the descriptor; it then prepares the end of what is in flight and the close of the descriptor,
 * which go in one submission. Where that close is all the end there is (BERTH__CLOSE_COPY, of a
 * connection of which nobody has a copy), the peer sees it with that submission; the core asks for
 * one at once outside of turns, and in a turn it comes with the next wait. `closed` comes when the
 * kernel has let go of the record, which is at once if nothing was in flight.
 *
 * Giving a descriptor away is the same without the end; what the ring has received must not be
 * lost, so the end of the receive is waited for inside the call.
 */
#include "uring.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "base/system.h"
#include "inet.h"

enum {
    ROUNDS = 8 /* of waiting for the end of a receive, which takes one */
};

/* ---- closing --------------------------------------------------------------------------------- */

/* The kernel closes it with the next submission; at once if somebody is waiting for a descriptor.
 */
static void close_descriptor(uring_backend *uring, int descriptor, bool is_end)
{
    if (!berth__ring_prepare_close(&uring->ring, descriptor, is_end))
        berth__inet_close(descriptor, BERTH__CLOSE_COPY);
    uring->closes++;
    uring->urgent = true;
    if (!uring->starving)
        return;
    (void)berth__ring_submit(&uring->ring);
    berth__uring_tell_closes(uring);
}

static void cancel_all(uring_backend *uring, berth__stream *stream)
{
    bool cancelled = true;
    if (berth__uring_goes_on(stream))
        cancelled = berth__uring_cancel(uring, stream, OF_RECEIVE);
    if (stream->sending && !(stream->ready.pending & BERTH__READY_SENT))
        cancelled = berth__uring_cancel(uring, stream, OF_SEND) && cancelled;
    if (stream->flags & POLLED)
        cancelled = berth__uring_cancel(uring, stream, OF_CONNECT) && cancelled;
    if (berth__uring_input(stream) == INPUT_AWAITED)
        cancelled = berth__uring_cancel(uring, stream, OF_INPUT) && cancelled;
    if (!cancelled)
        (void)BERTH__SYSTEM("shutdown",
                            shutdown(stream->descriptor, SHUT_RDWR)); /* ends them too */
}

void berth__uring_close(berth__backend *backend, berth__stream *stream, berth__close_mode mode)
{
    if (stream->closing)
        return;
    uring_backend *uring = (uring_backend *)backend;
    stream->closing = true;
    stream->receiving = false;
    stream->ready.pending &= BERTH__READY_SENT;
    bool unread = berth__uring_has_older(stream);
    berth__uring_leave(uring, stream);
    int descriptor = stream->descriptor;
    if (descriptor >= 0) {
        if (stream->sending)
            (void)berth__ring_submit(&uring->ring); /* it was sent before the end */
        cancel_all(uring, stream);
        if (mode == BERTH__CLOSE_NORMAL && unread)
            mode = BERTH__CLOSE_RESET; /* as if the kernel still had it */
        berth__inet_end(descriptor, mode, stream->lingers);
        stream->descriptor = -1;
        close_descriptor(uring, descriptor, mode == BERTH__CLOSE_COPY);
    }
    if (stream->in_flight > 0 || (stream->flags & LISTED))
        berth__uring_list_leaving(uring, stream);
    berth__uring_finish(uring, stream);
}

/* ---- giving a descriptor away ---------------------------------------------------------------- */

/* Takes back what the kernel has of a stream that neither sends nor receives any more. */
static bool take_back(uring_backend *uring, berth__stream *stream)
{
    for (int round = 0; round < ROUNDS && stream->in_flight > 0; round++) {
        if (berth__uring_goes_on(stream) && berth__uring_cancel(uring, stream, OF_RECEIVE))
            berth__uring_set_input(stream, INPUT_CANCELLED);
        if ((stream->flags & POLLED) && round == 0)
            (void)berth__uring_cancel(uring, stream, OF_BREAK);
        if (berth__uring_input(stream) == INPUT_AWAITED && round == 0)
            (void)berth__uring_cancel(uring, stream, OF_INPUT);
        (void)berth__ring_turn(&uring->ring);
        berth__uring_reap(uring);
    }
    return stream->in_flight == 0;
}

int berth__uring_release(berth__backend *backend, berth__stream *stream, berth__chain *input)
{
    uring_backend *uring = (uring_backend *)backend;
    assert(!stream->sending && !stream->closing);
    bool received = stream->receiving;
    berth__uring_receive_stop(backend, stream);
    int error = take_back(uring, stream) ? 0 : EBUSY;
    if (error == 0 && (stream->flags & END))
        error = stream->error;
    if (error != 0 && received)
        berth__uring_receive_start(backend, stream);
    if (error != 0)
        return -error;
    berth__chain_join(input, &stream->held);
    berth__uring_leave(uring, stream);
    int descriptor = stream->descriptor;
    stream->closing = true;
    stream->descriptor = -1;
    stream->ready.pending = 0;
    if (stream->flags & LISTED)
        berth__uring_list_leaving(uring, stream);
    berth__uring_finish(uring, stream);
    return descriptor;
}
