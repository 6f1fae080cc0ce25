/*
 * Receiving of the io_uring backend: from completions to `received`.
 *
 * Normal course: receive_start lists the stream, and the next wait (maintain) prepares one receive
 * that goes on for the stream's life. A completion puts a view of the kernel's buffer into the
 * record and the record into the ready list; run hands the view to `received` and gives the buffer
 * back. What follows in the same buffer makes the view longer; what does not becomes a piece behind
 * it, and short pieces are delivered as one. A stream that sends before it has ever received is
 * given one wait to be closed in, so that one which only greets never has a receive to cancel.
 *
 * Bytes that must not keep their buffer, because receiving is stopped, are copied to `held`; beyond
 * HELD_LIMIT the receive is cancelled, and the rest stays in the kernel. Held bytes are always
 * older than views.
 *
 * A stream whose receive finds no buffer reads by itself: its runs call recv, into one buffer that
 * all such streams share, until the kernel has no more; then the ring receives for it again. So
 * streams that have much to read are read as on epoll, through memory that stays in the cache, and
 * it does not matter who keeps the buffers: nobody waits for them. A limited stream always reads by
 * itself, since the ring would take all that has come out of the kernel; in place of a receive it
 * has a poll in flight, which goes on to the ring's receive only by what it finds to read.
 *
 * The kernel (6.18 and before) forgets a reset that has come together with the bytes before it:
 * both wake the receive once, it takes the bytes, and is never woken again. A stream that has
 * received is therefore `unchecked` until it sends, which fails then, or until a poll(2) of all
 * such streams when nothing has come for 20 ms, or after 16 sleeps; one that has an error is
 * received from anew, which looks first.
 *
 * Of a Unix socket it forgets an end that is there, behind bytes, when the receive begins: it
 * believes the socket, which says that no more bytes are left (from 6.17 on), and waits for news.
 * That cannot be left to a look now and then, since whoever has ended its direction waits for the
 * answer. So each has a poll in flight for the end of its input. That reports it once, at any time:
 * while receiving is stopped, while the stream reads by itself, or while there are bytes that a
 * receive begun anew would take, and forget the end again. So it is kept in the record (ENDS), the
 * receive is ended, and from then on the stream reads by itself, which finds bytes or the end, and
 * never has to wait.
 *
 * Failures: where there is no memory to hold bytes, or no entry to begin with, the stream ends with
 * ENOMEM. Inside `received` everything may be called: the view is the run's own then, so that
 * nested waits and runs find the record free.
 */
#include "uring.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "base/system.h"
#include "inet.h"

#define HELD_LIMIT ((size_t)65536)

enum {
    SHORT = 4096,    /* bytes at most that are put together, if they lie in more than one buffer */
    DEEP = 4,        /* nested runs from which on views are copied, lest they hold all buffers */
    EMERGENCY = 1024 /* bytes of stack to read into when memory is out */
};

_Static_assert((BERTH__URING_PIECES & (BERTH__URING_PIECES - 1)) == 0, "a mask for numbers");
_Static_assert(BERTH__URING_UNCHECKED <= UINT8_MAX + 1 && BERTH__URING_DEFERRED <= UINT8_MAX + 1,
               "berth__stream.place holds any");

/* ---- lists of streams --------------------------------------------------------------------- */

static void queue_init(struct uring_queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
}

static void queue_add(struct uring_queue *queue, berth__stream *stream)
{
    stream->own.next = NULL;
    *queue->last = stream;
    queue->last = &stream->own.next;
}

static berth__stream *queue_take(struct uring_queue *queue)
{
    berth__stream *stream = queue->first;
    if (stream == NULL)
        return NULL;
    queue->first = stream->own.next;
    if (queue->first == NULL)
        queue->last = &queue->first;
    return stream;
}

/* Has the next wait see whether the stream's receive is as it should be. */
void berth__uring_list(uring_backend *uring, berth__stream *stream)
{
    if ((stream->flags & LISTED) || berth__uring_input(stream) == INPUT_DEFERRED)
        return;
    stream->flags |= LISTED;
    queue_add(&uring->listed, stream);
}

/* Gives a stream that is sending a wait's time; false when it has had it, or there is no room. */
static bool defer(uring_backend *uring, berth__stream *stream)
{
    if (!stream->sending || (stream->flags & ARMED_ONCE) ||
        uring->deferred_count == BERTH__URING_DEFERRED)
        return false;
    stream->flags |= ARMED_ONCE;
    berth__uring_set_input(stream, INPUT_DEFERRED);
    stream->place = (uint8_t)uring->deferred_count;
    uring->deferred[uring->deferred_count++] = stream;
    return true;
}

static void list_deferred(uring_backend *uring)
{
    unsigned count = uring->deferred_count;
    uring->deferred_count = 0;
    for (unsigned i = 0; i < count; i++) {
        berth__stream *stream = uring->deferred[i];
        if (stream == NULL)
            continue; /* closed meanwhile */
        berth__uring_set_input(stream, INPUT_NONE);
        berth__uring_list(uring, stream);
    }
}

/* ---- views -------------------------------------------------------------------------------- */

/* Makes the last view longer if that is where the bytes are. */
static bool extend_view(uring_backend *uring, berth__stream *stream, const uint8_t *bytes,
                        uint32_t size)
{
    uint16_t last = stream->piece;
    const uint8_t *data = last != 0 ? uring->pieces[last].data : stream->data;
    uint32_t *length = last != 0 ? &uring->pieces[last].size : &stream->size;
    if (data + *length != bytes || !berth__ring_same_buffer(&uring->ring, data, bytes))
        return false;
    *length += size;
    berth__ring_give(&uring->ring, bytes); /* the view has a reference already */
    return true;
}

/* Returns false if there is no piece left. */
static bool add_view(uring_backend *uring, berth__stream *stream, const uint8_t *bytes,
                     uint32_t size)
{
    if (!(stream->flags & VIEW)) {
        stream->flags |= VIEW;
        stream->data = bytes;
        stream->size = size;
        return true;
    }
    if (extend_view(uring, stream, bytes, size))
        return true;
    uint16_t number = uring->free_piece;
    if (number == 0)
        return false;
    struct uring_piece *piece = &uring->pieces[number];
    uring->free_piece = piece->next;
    uint16_t last = stream->piece;
    *piece = (struct uring_piece){.data = bytes, .size = size, .next = number};
    if (last != 0) {
        piece->next = uring->pieces[last].next;
        uring->pieces[last].next = number;
    }
    stream->piece = number & (BERTH__URING_PIECES - 1); /* as it is: lest a compiler warn */
    return true;
}

/* Takes the first view out: its bytes, whose reference is the caller's. */
static const uint8_t *take_view(uring_backend *uring, berth__stream *stream, uint32_t *ret_size)
{
    const uint8_t *bytes = stream->data;
    *ret_size = stream->size;
    uint16_t last = stream->piece;
    if (last == 0) {
        stream->flags &= (uint16_t)~VIEW;
        return bytes;
    }
    uint16_t first = uring->pieces[last].next;
    struct uring_piece *piece = &uring->pieces[first];
    stream->data = piece->data;
    stream->size = piece->size;
    if (first == last)
        stream->piece = 0;
    else
        uring->pieces[last].next = piece->next;
    piece->next = uring->free_piece;
    uring->free_piece = first;
    return bytes;
}

/* ---- receiving: the kernel's side --------------------------------------------------------- */

static void end_by(uring_backend *uring, berth__stream *stream, int error)
{
    if (stream->flags & END)
        return;
    stream->flags |= END;
    stream->error = (int16_t)error;
    if (stream->receiving)
        berth__uring_announce(uring, &stream->ready, BERTH__READY_RECEIVE);
}

static void hold(uring_backend *uring, berth__stream *stream, const uint8_t *bytes, size_t size)
{
    /* Bytes that are lost end the stream there: nothing behind the gap is delivered, and an end
     * that the kernel has reported already is not graceful any more. */
    bool lost = (stream->flags & END) && stream->error == ENOMEM;
    if (!lost && !berth__chain_append(&stream->held, uring->base.pool, bytes, size)) {
        end_by(uring, stream, ENOMEM);
        stream->error = ENOMEM;
    }
    berth__ring_give(&uring->ring, bytes);
    if (berth__chain_size(&stream->held) >= HELD_LIMIT)
        berth__uring_list(uring, stream);
}

static void hold_views(uring_backend *uring, berth__stream *stream)
{
    while (stream->flags & VIEW) {
        uint32_t size;
        const uint8_t *bytes = take_view(uring, stream, &size);
        hold(uring, stream, bytes, size);
    }
}

static bool wants_receive(const berth__stream *stream)
{
    enum uring_input input = berth__uring_input(stream);
    return stream->receiving && !(stream->flags & END) && input != INPUT_CONNECTING &&
           input != INPUT_READS && berth__chain_size(&stream->held) < HELD_LIMIT;
}

static void arm(uring_backend *uring, berth__stream *stream)
{
    struct io_uring_sqe *sqe = berth__ring_entry(&uring->ring);
    if (sqe == NULL) {
        end_by(uring, stream, ENOMEM);
        return;
    }
    berth__ring_prepare_receive(&uring->ring, sqe, stream->descriptor);
    io_uring_sqe_set_data64(sqe, berth__uring_label(stream, OF_RECEIVE));
    stream->flags |= ARMED_ONCE;
    berth__uring_set_input(stream, INPUT_ARMED);
    stream->in_flight++;
    if (stream->ready.local && !berth__uring_await_end(uring, stream))
        end_by(uring, stream, ENOMEM);
}

/* The same for a limited stream. */
BERTH__RARE static void await_input(uring_backend *uring, berth__stream *stream)
{
    if (!berth__uring_poll(uring, stream->descriptor, POLLIN | EPOLLRDHUP, stream, OF_INPUT)) {
        end_by(uring, stream, ENOMEM);
        return;
    }
    stream->flags |= ARMED_ONCE;
    berth__uring_set_input(stream, INPUT_AWAITED);
    stream->in_flight++;
}

static void begin(uring_backend *uring, berth__stream *stream)
{
    if (stream->flags & ENDS) {
        berth__uring_set_input(stream, INPUT_READS);
        berth__uring_announce(uring, &stream->ready, BERTH__READY_RECEIVE);
    } else if (stream->limited) {
        await_input(uring, stream);
    } else {
        arm(uring, stream);
    }
}

static void update_receive(uring_backend *uring, berth__stream *stream)
{
    if (stream->closing) {
        berth__uring_finish(uring, stream);
        return;
    }
    bool wanted = wants_receive(stream);
    bool limited = stream->limited;
    if (wanted && berth__uring_input(stream) == INPUT_NONE && !defer(uring, stream))
        begin(uring, stream);
    if ((wanted && !limited && berth__uring_input(stream) != INPUT_RENEWED) ||
        !berth__uring_goes_on(stream))
        return;
    if (berth__uring_cancel(uring, stream, OF_RECEIVE))
        berth__uring_set_input(stream, INPUT_CANCELLED);
    else
        berth__uring_list(uring, stream);
}

/* ---- reading without the ring -------------------------------------------------------------- */

/* What recv has found but bytes: returns whether the stream is done with reading by itself. */
static bool stops_reading(uring_backend *uring, berth__stream *stream, int error)
{
    if (error == EINTR)
        return false;
    berth__uring_set_input(stream, INPUT_NONE);
    if (error == EAGAIN) {
        berth__uring_list(uring, stream);
        return true;
    }
    stream->flags |= END;
    stream->error = (int16_t)error;
    return true;
}

/* Takes bytes for a delivery, the oldest first. Returns what recv does. */
static ssize_t take_bytes(uring_backend *uring, berth__stream *stream, uint8_t *buffer, size_t room)
{
    if (stream->held.first == NULL)
        return BERTH__SYSTEM("recv", recv(stream->descriptor, buffer, room, MSG_DONTWAIT));
    size_t taken = berth__chain_copy(&stream->held, 0, buffer, room);
    berth__chain_consume(&stream->held, uring->base.pool, taken);
    return (ssize_t)taken;
}

bool berth__uring_has_older(const berth__stream *stream)
{
    return stream->held.first != NULL || (stream->flags & VIEW);
}

size_t berth__uring_older(const berth__stream *stream)
{
    return berth__chain_size(&stream->held) + (stream->flags & VIEW ? stream->size : 0);
}

/* Whether a stream goes on reading. A wait inside an event may have the ring receive again, and
 * find it out of buffers once more; a limited stream takes what that has brought too. */
static bool reads_on(uring_backend *uring, berth__stream *stream)
{
    if (!stream->receiving)
        return false;
    if (!stream->limited)
        return berth__uring_input(stream) == INPUT_READS && !berth__uring_has_older(stream);
    hold_views(uring, stream);
    return berth__uring_input(stream) == INPUT_READS || stream->held.first != NULL;
}

/* Whether a send has gone that is to be reported first. A call may find the answer before the
 * completion was looked at. */
static bool gone_meanwhile(uring_backend *uring, berth__stream *stream)
{
    if (stream->sending)
        berth__uring_catch_up(uring, stream);
    return berth__stream_has_gone(stream);
}

static void read_into(uring_backend *uring, berth__stream *stream, const berth__frame *frame,
                      size_t budget, uint8_t *buffer, size_t size)
{
    unsigned calls = BERTH__RECEIVE_CALLS;
    while (!gone_meanwhile(uring, stream) && reads_on(uring, stream)) {
        if (budget == 0 || calls-- == 0) {
            berth__ready_add(&uring->base.ready, &stream->ready, BERTH__READY_RECEIVE);
            return;
        }
        bool held = stream->held.first != NULL;
        size_t room = size < budget ? size : budget;
        if (stream->limited && (room = berth__stream_room(stream, room)) == 0)
            return;
        ssize_t got = take_bytes(uring, stream, buffer, room);
        if (got <= 0) {
            int error = got < 0 ? errno : 0;
            if (error == EAGAIN)
                berth__stream_room_unused(stream);
            if (stops_reading(uring, stream, error))
                return;
            continue;
        }
        budget -= (size_t)got;
        if (!held && (size_t)got < room)
            (void)stops_reading(uring, stream, EAGAIN);
        stream->events->received(stream, buffer, (size_t)got);
        if (frame->gone)
            return;
    }
}

/* For a run inside an event of another that reads, and for want of memory. */
BERTH__RARE static void read_aside(uring_backend *uring, berth__stream *stream,
                                   const berth__frame *frame, size_t budget)
{
    uint8_t emergency[EMERGENCY];
    uint8_t *other = berth__allocate(BERTH__RECEIVE_BUDGET);
    if (other == NULL)
        read_into(uring, stream, frame, budget, emergency, sizeof emergency);
    else
        read_into(uring, stream, frame, budget, other, BERTH__RECEIVE_BUDGET);
    berth__release(other);
}

static void read_itself(uring_backend *uring, berth__stream *stream, const berth__frame *frame,
                        size_t budget)
{
    if (uring->buffer == NULL)
        uring->buffer = berth__allocate(BERTH__RECEIVE_BUDGET);
    if (uring->buffer == NULL || uring->buffer_used) {
        read_aside(uring, stream, frame, budget);
        return;
    }
    uring->buffer_used = true;
    read_into(uring, stream, frame, budget, uring->buffer, BERTH__RECEIVE_BUDGET);
    uring->buffer_used = false;
}

/* ---- missed resets ------------------------------------------------------------------------ */

void berth__uring_checked(uring_backend *uring, berth__stream *stream)
{
    if (!(stream->flags & UNCHECKED))
        return;
    stream->flags &= (uint16_t)~UNCHECKED;
    uring->unchecked[stream->place] = NULL;
    if (--uring->unchecked_live == 0)
        uring->unchecked_count = 0;
}

static void uncheck(uring_backend *uring, berth__stream *stream)
{
    if (stream->flags & UNCHECKED)
        return;
    if (uring->unchecked_count == BERTH__URING_UNCHECKED)
        berth__uring_check(uring);
    stream->flags |= UNCHECKED;
    stream->place = (uint8_t)uring->unchecked_count;
    uring->unchecked[uring->unchecked_count++] = stream;
    uring->unchecked_live++;
}

void berth__uring_receive_anew(uring_backend *uring, berth__stream *stream)
{
    if (!berth__uring_goes_on(stream) || stream->closing)
        return;
    berth__uring_set_input(stream, INPUT_RENEWED);
    berth__uring_list(uring, stream);
}

void berth__uring_send_failed(uring_backend *uring, berth__stream *stream)
{
    if (stream->ready.local && !stream->closing)
        berth__inet_cut_input(stream->descriptor);
    berth__uring_receive_anew(uring, stream);
}

void berth__uring_check(uring_backend *uring)
{
    struct pollfd set[BERTH__URING_UNCHECKED];
    nfds_t count = 0;
    for (unsigned i = 0; i < uring->unchecked_count; i++) {
        berth__stream *stream = uring->unchecked[i];
        if (stream == NULL)
            continue;
        stream->flags &= (uint16_t)~UNCHECKED;
        if (!berth__uring_in_flight(stream))
            continue;
        uring->unchecked[count] = stream;
        set[count++] = (struct pollfd){.fd = stream->descriptor}; /* errors are always reported */
    }
    uring->unchecked_count = 0;
    uring->unchecked_live = 0;
    uring->sleeps = 0;
    int found = count == 0 ? 0 : BERTH__SYSTEM("poll", poll(set, count, 0));
    /* More than the limit of descriptors, as it is now: all of them are asked by a receive. */
    bool all = found < 0 && errno == EINVAL;
    for (nfds_t i = 0; i < count && (all || found > 0); i++) {
        if (!all && set[i].revents == 0)
            continue;
        uring->base.counts.resets_found += !all;
        berth__uring_receive_anew(uring, uring->unchecked[i]);
    }
}

/* ---- completions -------------------------------------------------------------------------- */

static void put_bytes(uring_backend *uring, berth__stream *stream, const struct io_uring_cqe *cqe)
{
    const uint8_t *bytes = berth__ring_take(&uring->ring, cqe);
    uint32_t size = (uint32_t)cqe->res;
    if (stream->closing || stream->ended || (stream->flags & END)) {
        berth__ring_give(&uring->ring, bytes);
        return;
    }
    if (!stream->receiving || !add_view(uring, stream, bytes, size)) {
        hold_views(uring, stream);
        hold(uring, stream, bytes, size);
    }
    if (stream->receiving)
        berth__uring_announce(uring, &stream->ready, BERTH__READY_RECEIVE);
    if (cqe->flags & IORING_CQE_F_MORE)
        uncheck(uring, stream);
}

void berth__uring_on_receive(uring_backend *uring, berth__stream *stream,
                             const struct io_uring_cqe *cqe)
{
    int result = cqe->res;
    if (result > 0)
        put_bytes(uring, stream, cqe);
    if (result <= 0 && (cqe->flags & IORING_CQE_F_BUFFER))
        berth__ring_give(&uring->ring, berth__ring_take(&uring->ring, cqe));
    if (cqe->flags & IORING_CQE_F_MORE)
        return;

    /* Nobody has asked for the end of one that was to go on. */
    if (result > 0 && berth__uring_input(stream) != INPUT_CANCELLED)
        uring->base.counts.receives_renewed++;
    stream->in_flight--;
    berth__uring_set_input(stream, result == -ENOBUFS ? INPUT_READS : INPUT_NONE);
    if (stream->closing) {
        berth__uring_finish(uring, stream);
        return;
    }
    switch (-result) {
    case ENOBUFS:
        uring->base.counts.buffer_shortages++;
        if (stream->receiving)
            berth__uring_announce(uring, &stream->ready, BERTH__READY_RECEIVE);
        return;
    case EAGAIN: { /* somebody has made the descriptor non-blocking */
        int off = 0;
        (void)BERTH__SYSTEM("ioctl", ioctl(stream->descriptor, FIONBIO, &off));
        break;
    }
    case ECANCELED:
    case EINTR:
        break;
    default:
        if (result <= 0)
            end_by(uring, stream, -result);
    }
    if (!(stream->flags & END))
        berth__uring_list(uring, stream);
}

void berth__uring_on_input(uring_backend *uring, berth__stream *stream, int result)
{
    bool failed = result < 0 && result != -ECANCELED;
    stream->in_flight--;
    berth__uring_set_input(stream, failed ? INPUT_NONE : INPUT_READS);
    if (stream->closing) {
        berth__uring_finish(uring, stream);
        return;
    }
    if (failed) {
        end_by(uring, stream, -result);
        return;
    }
    if (stream->receiving)
        berth__uring_announce(uring, &stream->ready, BERTH__READY_RECEIVE);
}

/* ---- what the backend calls --------------------------------------------------------------- */

void berth__uring_receive_init(uring_backend *uring)
{
    queue_init(&uring->listed);
    for (uint16_t number = BERTH__URING_PIECES - 1; number > 0; number--) {
        uring->pieces[number].next = uring->free_piece;
        uring->free_piece = number;
    }
}

/* Whether a run has something to deliver or to report, as far as is known. */
static bool has_more(const berth__stream *stream)
{
    return berth__uring_has_older(stream) || (stream->flags & END) ||
           berth__uring_input(stream) == INPUT_READS;
}

void berth__uring_receive_start(berth__backend *backend, berth__stream *stream)
{
    if ((stream->receiving && !stream->limited) || stream->closing || stream->ended)
        return;
    stream->receiving = true;
    if (has_more(stream))
        berth__ready_add(&backend->ready, &stream->ready, BERTH__READY_RECEIVE);
    bool misfit = stream->limited || !berth__uring_goes_on(stream);
    if (wants_receive(stream) && misfit)
        berth__uring_list((uring_backend *)backend, stream);
}

void berth__uring_receive_stop(berth__backend *backend, berth__stream *stream)
{
    if (!stream->receiving)
        return;
    stream->receiving = false;
    hold_views((uring_backend *)backend, stream); /* it could keep its buffer for ever */
    if (berth__uring_in_flight(stream))
        berth__uring_list((uring_backend *)backend, stream);
}

void berth__uring_leave(uring_backend *uring, berth__stream *stream)
{
    if (berth__uring_input(stream) == INPUT_DEFERRED) {
        uring->deferred[stream->place] = NULL;
        berth__uring_set_input(stream, INPUT_NONE);
    }
    berth__uring_checked(uring, stream);
    while (stream->flags & VIEW) {
        uint32_t size;
        berth__ring_give(&uring->ring, take_view(uring, stream, &size));
    }
    berth__chain_clear(&stream->held, uring->base.pool);
}

void berth__uring_list_outer(uring_backend *uring)
{
    if (uring->frame != NULL && berth__common_list_outer(&uring->base, uring->frame))
        uring->news = true;
    for (berth__frame *frame = uring->frame; frame != NULL; frame = frame->outer) {
        berth__stream *stream = frame->stream;
        if (frame->gone || !stream->receiving)
            continue;
        if (has_more(stream))
            berth__uring_announce(uring, &stream->ready, BERTH__READY_RECEIVE);
    }
}

void berth__uring_maintain(uring_backend *uring)
{
    list_deferred(uring);
    struct uring_queue todo = uring->listed;
    if (todo.first == NULL)
        return;
    queue_init(&uring->listed);
    for (berth__stream *stream; (stream = queue_take(&todo)) != NULL;) {
        stream->flags &= (uint16_t)~LISTED;
        update_receive(uring, stream);
    }
}

void berth__uring_unlist_all(uring_backend *uring)
{
    list_deferred(uring);
    for (berth__stream *stream; (stream = queue_take(&uring->listed)) != NULL;) {
        stream->flags &= (uint16_t)~LISTED;
        berth__uring_finish(uring, stream);
    }
}

bool berth__uring_unsettled(const uring_backend *uring)
{
    return uring->listed.first != NULL || uring->deferred_count > 0;
}

/* Returns whether the budget has lasted. */
static bool deliver_held(uring_backend *uring, berth__stream *stream, size_t *budget)
{
    berth__chunk *chunk = stream->held.first;
    size_t size = chunk->end - chunk->start;
    if (size > *budget)
        return false;
    *budget -= size;
    chunk = berth__chain_detach(&stream->held);
    stream->events->received(stream, chunk->bytes + chunk->start, size);
    berth__chunk_release(chunk, uring->base.pool);
    return true;
}

/* A message at the end of a buffer: in two deliveries it would be announced twice, and two answers
 * would be sent. */
BERTH__RARE static void deliver_joined(uring_backend *uring, berth__stream *stream, size_t *budget)
{
    uint8_t joined[SHORT];
    size_t room = *budget < sizeof joined ? *budget : sizeof joined;
    size_t size = 0;
    while ((stream->flags & VIEW) && stream->size <= room - size) {
        uint32_t part;
        const uint8_t *bytes = take_view(uring, stream, &part);
        memcpy(joined + size, bytes, part);
        size += part;
        berth__ring_give(&uring->ring, bytes);
    }
    *budget -= size;
    stream->events->received(stream, joined, size);
}

static bool deliver_view(uring_backend *uring, berth__stream *stream, size_t *budget)
{
    if (stream->size > *budget)
        return false;
    if (stream->piece != 0 && stream->size < SHORT) {
        deliver_joined(uring, stream, budget);
        return true;
    }
    *budget -= stream->size;
    uint32_t size;
    const uint8_t *bytes = take_view(uring, stream, &size);
    stream->events->received(stream, bytes, size);
    berth__ring_give(&uring->ring, bytes);
    return true;
}

bool berth__uring_run_receive(uring_backend *uring, berth__stream *stream,
                              const berth__frame *frame)
{
    size_t budget = BERTH__RECEIVE_BUDGET;
    unsigned calls = BERTH__RECEIVE_CALLS;
    if (frame->depth >= DEEP)
        hold_views(uring, stream);
    while (!frame->gone && stream->receiving && !stream->limited &&
           berth__uring_has_older(stream)) {
        bool lasted = false;
        if (calls-- > 0 && !berth__stream_has_gone(stream))
            lasted = stream->held.first != NULL ? deliver_held(uring, stream, &budget)
                                                : deliver_view(uring, stream, &budget);
        if (lasted)
            continue;
        berth__ready_add(&uring->base.ready, &stream->ready, BERTH__READY_RECEIVE);
        return false;
    }
    if (!frame->gone && stream->receiving &&
        (berth__uring_input(stream) == INPUT_READS || stream->limited))
        read_itself(uring, stream, frame, budget);
    if (frame->gone || !stream->receiving)
        return false;
    bool ends = (stream->flags & END) && stream->error == 0;
    bool gone = ends ? gone_meanwhile(uring, stream) : berth__stream_has_gone(stream);
    if (berth__uring_has_older(stream) || (gone && has_more(stream))) {
        berth__ready_add(&uring->base.ready, &stream->ready, BERTH__READY_RECEIVE);
        return false;
    }
    if (!(stream->flags & END)) {
        if (!berth__uring_in_flight(stream))
            berth__uring_list(uring, stream); /* it was held up by too much input */
        return false;
    }
    stream->receiving = false;
    stream->ended = true;
    return true;
}
