/*
 * How streams of the io_uring backend send.
 *
 * A send is an entry that the next wait or submission hands over, of several chunks where there are
 * such; its completion is taken in by uring.c. Where only the end is to follow, the bytes go by a
 * system call of their own, so that closing need not wait for another turn. So does much output: in
 * the ring that of all connections would wait for the end of the turn, and a burst to many would
 * take more memory than the pool and the caches of the processor have. Whoever cannot wait for
 * the completion asks for it (finish_send): what is prepared is handed over, and the completions
 * are taken in as a wait would, without the rest of what a wait does. A submission outside of a
 * wait may have run a send whose completion was not taken in yet; that is done before bytes are
 * read without the ring, which may be the answer, and before an end of the input is reported, since
 * the send may have taken the error that makes it a reset. No event is called here.
 *
 * A file is sent by sendfile, inside the call; where there is no room for it a poll takes the place
 * of the send, and ends it with 0. So does await_room.
 *
 * Failures: no room for an entry is ENOMEM; what the kernel answers is the result.
 */
#include "uring.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#ifdef BERTH_FAULTS
#include <stdatomic.h>
#endif
#include <sys/socket.h>

#include "base/memory.h"
#include "base/system.h"
#include "inet.h"

#ifdef BERTH_FAULTS
#include "base/fault.h"

/* What the last send was to fail with that was handed over with no descriptor for that purpose. */
static atomic_int injected;

static int descriptor_for_send(const berth__stream *stream)
{
    if (!berth__fault_operation("ring_send"))
        return stream->descriptor;
    atomic_store(&injected, errno);
    return -1;
}

int berth__uring_send_result(int result)
{
    return result == -EBADF ? -atomic_load(&injected) : result;
}
#else
static inline int descriptor_for_send(const berth__stream *stream)
{
    return stream->descriptor;
}
#endif

enum {
    AT_ONCE = 65536,       /* bytes from which on they cost more while they wait than a call does */
    ROUNDS = 64,           /* of looking for a send where the completions have run over */
    LARGEST_SEND = 1 << 30 /* the kernel refuses an entry of 2 GiB or more; results are int32_t */
};

/* What one entry says of a gathered send. The kernel copies it when the entry is submitted. */
struct uring_gathered {
    struct msghdr message;
    struct iovec pieces[BERTH__INET_PIECES];
};

enum {
    GATHERED = 8 /* entries of that kind between two submissions */
};

/* Whether there is a place for what one more entry says; else the first chunk goes alone. */
BERTH__RARE static bool can_gather(uring_backend *uring)
{
    if (uring->gathered == NULL)
        uring->gathered = berth__allocate(GATHERED * sizeof *uring->gathered);
    if (uring->gathered == NULL)
        return false;
    if (uring->gathered_count == GATHERED)
        (void)berth__ring_submit(&uring->ring);
    if (!berth__ring_has_entries(&uring->ring))
        uring->gathered_count = 0;
    return uring->gathered_count < GATHERED;
}

BERTH__RARE static void prepare_gathered(uring_backend *uring, struct io_uring_sqe *sqe,
                                         const berth__stream *stream, const berth__chunk *first,
                                         size_t size, int flags)
{
    struct uring_gathered *place = &uring->gathered[uring->gathered_count++];
    place->message = (struct msghdr){.msg_iov = place->pieces};
    place->message.msg_iovlen = berth__inet_pieces(first, size, place->pieces);
    io_uring_prep_sendmsg(sqe, descriptor_for_send(stream), &place->message, (unsigned)flags);
}

ptrdiff_t berth__uring_await_room(berth__backend *backend, berth__stream *stream)
{
    uring_backend *uring = (uring_backend *)backend;
    assert(!stream->sending && !stream->closing);
    if (!berth__uring_poll(uring, stream->descriptor, POLLOUT, stream, OF_SEND))
        return -ENOMEM;
    stream->sending = true;
    stream->flags |= ROOM;
    stream->in_flight++;
    return 0;
}

ptrdiff_t berth__uring_send(berth__backend *backend, berth__stream *stream,
                            const berth__chunk *first, size_t size, berth__send_hint hint)
{
    assert(!stream->sending && !stream->closing);
    uring_backend *uring = (uring_backend *)backend;
    ptrdiff_t result = -EAGAIN;
    size = size < LARGEST_SEND ? size : LARGEST_SEND;
    size_t here = first->end - first->start;
    bool has_file = first->bytes == NULL || (size > here && berth__inet_has_file(first, size));
    bool at_once = hint == BERTH__SEND_LAST || has_file || size >= AT_ONCE;
    if (at_once)
        result = berth__inet_send(stream->descriptor, first, size, hint == BERTH__SEND_LAST);
    if (result < 0 && result != -EAGAIN)
        berth__uring_send_failed(uring, stream);
    else
        berth__uring_checked(uring, stream);
    if (result != -EAGAIN || (at_once && stream->ready.paced))
        return result;
    if (has_file) /* there is no operation for sendfile: its call follows once there is room */
        return berth__uring_await_room(backend, stream);
    bool gathers = size > here && can_gather(uring); /* this may submit, so before the entry */
    struct io_uring_sqe *sqe = berth__ring_entry(&uring->ring);
    if (sqe == NULL)
        return -ENOMEM;
    stream->sending = true;
    uring->urgent = true;
    int flags = MSG_NOSIGNAL | (hint != BERTH__SEND_ONLY ? MSG_MORE : 0) |
                (stream->ready.paced ? MSG_DONTWAIT : 0);
    if (gathers)
        prepare_gathered(uring, sqe, stream, first, size, flags);
    else
        io_uring_prep_send(sqe, descriptor_for_send(stream), first->bytes + first->start,
                           size < here ? size : here, flags);
    io_uring_sqe_set_data64(sqe, berth__uring_label(stream, OF_SEND));
    stream->in_flight++;
    return 0;
}

/* Takes in what there is, all of it, since a search for one completion among the others would cost
 * as much each time. A wake among them is kept for the next wait. */
static void look_for_send(uring_backend *uring, const berth__stream *stream)
{
    berth__uring_reap(uring);
    bool found = (stream->ready.pending & BERTH__READY_SENT) != 0;
    if (found || !(berth__ring_has_entries(&uring->ring) || berth__ring_has_work(&uring->ring)))
        return;
    uring->urgent = false;
    /* The first hands it over too, if that was still to come. A ring that has run over gives as
     * many as it has room for each time. */
    for (int round = 0; !found && round < ROUNDS; round++) {
        (void)berth__ring_turn(&uring->ring);
        berth__uring_reap(uring);
        found = (stream->ready.pending & BERTH__READY_SENT) != 0 ||
                !berth__ring_overflowed(&uring->ring);
    }
}

void berth__uring_catch_up(uring_backend *uring, const berth__stream *stream)
{
    if (!(stream->ready.pending & BERTH__READY_SENT))
        berth__uring_reap(uring);
    if (!(stream->ready.pending & BERTH__READY_SENT) && berth__ring_overflowed(&uring->ring))
        look_for_send(uring, stream);
}

ptrdiff_t berth__uring_finish_send(berth__backend *backend, berth__stream *stream)
{
    if (!(stream->ready.pending & BERTH__READY_SENT))
        look_for_send((uring_backend *)backend, stream);
    if (!(stream->ready.pending & BERTH__READY_SENT))
        return 0;
    stream->ready.pending &= (uint8_t)~BERTH__READY_SENT;
    stream->sending = false;
    return stream->ready.result;
}

int berth__uring_shutdown_send(berth__backend *backend, berth__stream *stream)
{
    (void)backend;
    return BERTH__SYSTEM("shutdown", shutdown(stream->descriptor, SHUT_WR)) < 0 ? errno : 0;
}
