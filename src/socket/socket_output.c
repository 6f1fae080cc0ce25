/*
 * Output of a connection: the calls that put it, and how it is sent and announced.
 *
 * Writing copies into the chain. One send is started when the handler of a delivery returns, or at
 * the end of the turn for what was written elsewhere, of all that is queued; when it has ended,
 * which can be at once, the next follows in the next turn. A long write goes to the kernel inside
 * the call, with the output before it, and only what that does not take is copied. So does all
 * output when a write would go beyond the limit of output: that is for what the kernel has not
 * taken, so it is asked before it is judged. A send that fails means that the connection is dead:
 * input that came before is still delivered, and its end then announces the error. Output that was
 * ended by the user (shut) is followed by the end of this direction once it is sent. Memory that is
 * borrowed and files are in the same chain as blocks (blocks.h), so all keeps its order.
 *
 * Handlers called here: bytes_written, not within itself, drained, and those of the end (socket.c).
 */
#include "socket.h"

#include "base/memory.h"
#include "base/system_error.h"
#include "blocks.h"
#include "secure.h"

#include <errno.h>
#include <stdint.h>

enum {
    THROUGH = 16384,     /* bytes from which on a copy costs more than a system call of its own */
    PIECES = 64,         /* that the kernel is given in one call, */
    MANY_PIECES = 1024,  /* and of the program's where nothing precedes them: IOV_MAX */
    LONG_PIECE = 512,    /* bytes from which on a copy is thought to cost more, see 0094 */
    SEALED = 65536,      /* bytes that are encrypted at once beyond the limit of output */
    MOST_GIVEN = 1 << 29 /* bytes that may wait to be announced, and in one call */
};

/* ---- sending --------------------------------------------------------------------------------- */

/* Starts a send of up to `most` bytes if there is output and none is in flight. Returns its result
 * if it has ended at once; else 0. `ending`: after this output there is only the end, in the same
 * turn; see 0054. */
static inline ptrdiff_t start_send(berth_socket *socket, size_t most, bool ending)
{
    berth__stream *stream = socket->stream;
    if (stream == NULL || stream->sending || socket->outcome == BERTH__OUTCOME_BROKEN)
        return 0;
    /* A bound socket has its descriptor before it is connected. */
    if (socket->state != BERTH_STATE_CONNECTED && socket->state != BERTH_STATE_CLOSING)
        return 0;
    const berth__chunk *first = socket->output.first;
    if (most == 0 || (first == NULL && !stream->ready.secured))
        return 0;
    if (stream->ready.secured)
        return berth__secure_send(socket, most, ending);
    berth__backend *backend = socket->object.loop->backend;
    size_t size = first->size;
    if (size > most) {
        size = most;
        ending = false;
    }
    if (ending)
        socket->corked = true;
    return backend->operations->send(backend, stream, first, size,
                                     ending ? BERTH__SEND_LAST : BERTH__SEND_ONLY);
}

/* Whether a handler runs between the last output and the end, and may take its time: the kernel
 * must not hold the output back for that long. */
static bool is_watched(const berth_socket *socket)
{
    return BERTH__SOCKET_SLOT(socket, bytes_written) != NULL ||
           (socket->drains && BERTH__SOCKET_SLOT(socket, drained) != NULL);
}

static void announce_output(berth_socket *socket, size_t bytes)
{
    if (socket->in_bytes_written || socket->object.freed ||
        BERTH__SOCKET_SLOT(socket, bytes_written) == NULL)
        return;
    socket->in_bytes_written = true;
    socket->handlers->bytes_written(socket, bytes, socket->user);
    socket->in_bytes_written = false;
}

/* Whether a failed send means that the connection is over; else it is this side's own failure (no
 * memory), of which the input knows nothing. */
static bool is_over(int error)
{
    return error == EPIPE || error == ECONNRESET || error == ETIMEDOUT;
}

/* Ends the connection because a send has failed. */
static void end_by_send(berth_socket *socket, int error)
{
    socket->was_reset = berth__socket_is_reset(error);
    /* The peer's end was announced, and a failure of what was still to be sent is a part of it; or
     * that of TLS, and only an alert was. */
    bool closed = socket->input_ended && socket->error == BERTH_ERROR_REMOTE_HOST_CLOSED;
    if ((is_over(error) && closed) || berth__secure_has_failed(socket)) {
        berth__socket_end(socket);
        return;
    }
    berth__socket_end_by_error(socket, berth__class_of(error), error, BERTH__ATTEMPT_WRITE);
}

/* The input that came before, and then its end, will report it to the user; unless this side does
 * not receive it, or has nothing to report. In a queue there is nobody to report it to: it ends
 * when it was taken, and of a failure of this side's own receives no more until then. */
static void send_failed(berth_socket *socket, int error)
{
    bool shakes = berth__secure_shakes(socket);
    bool waits = socket->pending && socket->state == BERTH_STATE_CONNECTED && !shakes;
    berth__socket_set_outcome(socket, BERTH__OUTCOME_BROKEN);
    socket->stream->ready.result = -error;
    berth__chain_clear(&socket->output, &socket->object.loop->pool);
    if (waits && !berth__secure_has_failed(socket)) {
        socket->holed = socket->holed || !is_over(error);
        berth__socket_pace(socket);
        return;
    }
    if (!is_over(error) || !berth__socket_listens(socket) || berth__secure_has_failed(socket))
        end_by_send(socket, error);
}

BERTH__RARE static void end_broken(berth_socket *socket)
{
    if (socket->stream == NULL || !berth__socket_is_cut_off(socket))
        return;
    berth__enter(&socket->object);
    end_by_send(socket, -socket->stream->ready.result);
    berth__leave(&socket->object);
}

/* After output was announced: starts what is to follow it. */
static void go_on(berth_socket *socket)
{
    bool closing = socket->state == BERTH_STATE_CLOSING;
    if (socket->output.first != NULL && closing)
        berth__socket_send_rest(socket);
    else if (socket->output.first != NULL && !socket->stream->sending)
        berth__loop_flush_later(socket->object.loop, &socket->flush);
    else if (berth__socket_has_output(socket))
        return; /* it is in flight, or in the list to be announced */
    else if (closing)
        berth__socket_end(socket);
    else if (socket->shut)
        berth__socket_end_direction(socket);
}

/* A handler is about to be called, and may turn the loop: the rest goes there too, and the time
 * that it may take when closing runs. */
static void send_in_turns_inside(berth_socket *socket)
{
    if (socket->state == BERTH_STATE_CLOSING)
        berth__socket_send_rest(socket);
    else
        berth__loop_flush_later(socket->object.loop, &socket->flush);
}

/* Announces what the kernel has taken: bytes of the chain, and others inside writes. */
static void written(berth_socket *socket, size_t queued, size_t others)
{
    uint32_t endings = socket->endings;
    socket->sent = socket->spoken = true;
    berth__socket_count_sent(socket, queued + others);
    berth__rates_spend(socket, queued + others, BERTH__FLOW_OUTPUT);
    if (!socket->stream->ready.secured)
        berth__limits_moved(socket, queued + others);
    berth__chain_consume(&socket->output, &socket->object.loop->pool, queued);
    if (socket->output.first != NULL && !socket->stream->sending && is_watched(socket))
        send_in_turns_inside(socket);
    if (socket->endings == endings)
        announce_output(socket, queued + others);
    if (socket->endings == endings && socket->drains &&
        berth__socket_unwritten(socket) <= socket->write_low) {
        socket->drains = false;
        BERTH__CALL(socket, drained, socket);
    }
    if (socket->endings == endings)
        go_on(socket);
}

/* Output at a rate has found no room. It keeps no tokens: many such could be sent at once, when
 * their peers read, what the burst does not allow. */
BERTH__RARE static ptrdiff_t wait_for_room(berth_socket *socket)
{
    berth__backend *backend = socket->object.loop->backend;
    berth__flow *flow = berth__rates_flow(socket, BERTH__FLOW_OUTPUT);
    if (flow != NULL)
        berth__flow_leave(flow, true);
    return backend->operations->await_room(backend, socket->stream);
}

void berth__socket_sent(berth__stream *stream, ptrdiff_t result)
{
    berth_socket *socket = stream->ready.owner;
    berth__enter(&socket->object);
    bool blocked = result == -EAGAIN;
    if (blocked)
        result = wait_for_room(socket);
    if (result < 0)
        send_failed(socket, (int)-result);
    else if (result > 0)
        written(socket, (size_t)result, 0);
    else if (!blocked)
        go_on(socket);
    berth__leave(&socket->object);
}

static inline void settle_up_to(berth_socket *socket, size_t most)
{
    bool ending = (socket->shut || socket->state == BERTH_STATE_CLOSING) && !is_watched(socket);
    size_t others = berth__socket_given(socket);
    if (others > 0) {
        berth__socket_set_outcome(socket, BERTH__OUTCOME_NONE);
        socket->stream->ready.given = false;
    }
    ptrdiff_t result = socket->outcome == BERTH__OUTCOME_FAILED ? socket->stream->ready.result
                                                                : start_send(socket, most, ending);
    if (result == -EAGAIN)
        result = wait_for_room(socket);
    if (result == 0 && others == 0) {
        if (socket->outcome == BERTH__OUTCOME_BROKEN)
            end_broken(socket);
        return;
    }
    berth__enter(&socket->object);
    if (result < 0 && others > 0)
        berth__socket_count_sent(socket, others); /* not announced any more */
    if (result < 0)
        send_failed(socket, (int)-result);
    else
        written(socket, (size_t)result, others);
    berth__leave(&socket->object);
}

/* Whether output needs tokens, so that nothing is given to the kernel inside a call. */
static bool is_paced(const berth_socket *socket)
{
    return socket->paced && berth__flow_is_limited(berth__rates_flow(socket, BERTH__FLOW_OUTPUT));
}

/* Bytes of the output that may be sent now; 0: it waits for tokens. What waits for a handshake
 * needs none: they would be the peer's to hold. */
static size_t paced_size(berth_socket *socket)
{
    const berth__stream *stream = socket->stream;
    berth__flow *flow = berth__rates_flow(socket, BERTH__FLOW_OUTPUT);
    bool sends = stream != NULL && !stream->sending && socket->output.first != NULL &&
                 !berth__socket_cannot_send(socket) && berth_socket_is_valid(socket);
    if (!sends || flow == NULL || berth__secure_shakes(socket))
        return SIZE_MAX;
    if (berth__socket_given(socket) > 0) /* for that are the tokens that are granted */
        return 0;
    size_t output = berth__chain_size(&socket->output);
    size_t size = berth__flow_take(flow, output < MOST_GIVEN ? output : MOST_GIVEN);
    if (size > 0)
        berth__flow_reserve(flow, size);
    return size;
}

/* The rare cases of berth__socket_settle: an end, and output with a rate. The time that closing may
 * take is the peer's to use up, so it does not run while tokens are waited for. */
BERTH__RARE static void settle_specially(berth_socket *socket)
{
    if ((socket->overflowed || socket->end_held) && !berth__socket_settle_end(socket))
        return;
    size_t most = paced_size(socket);
    if (socket->stream != NULL && !socket->stream->sending)
        socket->stream->ready.paced = is_paced(socket);
    berth__enter(&socket->object);
    if (most == 0)
        berth__socket_stop_limit(socket);
    settle_up_to(socket, most);
    bool runs = socket->remote != NULL && socket->remote->limit.place != 0;
    if (socket->state == BERTH_STATE_CLOSING && socket->stream->sending && !runs)
        berth__socket_send_rest(socket);
    berth__leave(&socket->object);
}

void berth__socket_settle(berth_socket *socket)
{
    if (socket->overflowed || socket->end_held || socket->paced)
        settle_specially(socket);
    else
        settle_up_to(socket, SIZE_MAX);
}

/* Whether a result of that size is all that there is to an ordinary connection, and nobody waits to
 * be told: then nothing is to be called, and nothing follows. */
static inline bool is_plain(const berth_socket *socket, ptrdiff_t result)
{
    const berth__chunk *first = socket->output.first;
    return first->next == NULL && (size_t)result == first->size && socket->unusual == 0 &&
           socket->state == BERTH_STATE_CONNECTED && socket->limits == NULL && !socket->drains &&
           !is_watched(socket) && !first->block;
}

static inline void finish_plainly(berth_socket *socket, ptrdiff_t result)
{
    berth_loop *loop = socket->object.loop;
    socket->sent = socket->spoken = true;
    berth__socket_count_sent(socket, (size_t)result);
    berth__chain_consume(&socket->output, &loop->pool, (size_t)result);
}

void berth__socket_announce_given(berth_socket *socket)
{
    size_t given = berth__socket_given(socket);
    if (given == 0)
        return;
    berth__socket_set_outcome(socket, BERTH__OUTCOME_NONE);
    socket->stream->ready.given = false;
    berth__enter(&socket->object);
    written(socket, 0, given);
    berth__leave(&socket->object);
}

bool berth__socket_taken_whole(berth__stream *stream, ptrdiff_t result)
{
    berth_socket *socket = stream->ready.owner;
    if (!is_plain(socket, result))
        return false;
    finish_plainly(socket, result);
    return true;
}

void berth__socket_answer(berth_socket *socket)
{
    if (socket->flush.link != NULL) {
        berth__loop_flush_not(socket->object.loop, &socket->flush);
        berth__socket_settle(socket);
        return;
    }
    if (socket->unusual != 0) {
        if (berth__socket_unsent(socket))
            berth__socket_settle(socket);
        return;
    }
    ptrdiff_t result =
        start_send(socket, SIZE_MAX, socket->state == BERTH_STATE_CLOSING && !is_watched(socket));
    if (result == 0)
        return;
    if (is_plain(socket, result)) {
        finish_plainly(socket, result);
        return;
    }
    berth__enter(&socket->object);
    if (result < 0)
        send_failed(socket, (int)-result);
    else
        written(socket, (size_t)result, 0);
    berth__leave(&socket->object);
}

bool berth__socket_unsent(const berth_socket *socket)
{
    bool waits = berth__socket_has_output(socket) && socket->stream != NULL;
    bool held_up = berth__flow_waits(berth__rates_flow(socket, BERTH__FLOW_OUTPUT));
    if (socket->stream != NULL && socket->stream->ready.secured)
        waits = berth__secure_unsent(socket) || socket->outcome == BERTH__OUTCOME_GIVEN;
    return waits && !held_up && !socket->stream->sending &&
           socket->outcome != BERTH__OUTCOME_BROKEN;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Connected, or on the way. */
static bool has_peer(const berth_socket *socket)
{
    return socket->state != BERTH_STATE_UNCONNECTED && socket->state != BERTH_STATE_BOUND;
}

static bool writable(const berth_socket *socket)
{
    return has_peer(socket) && !socket->closed && !socket->shut &&
           socket->outcome != BERTH__OUTCOME_BROKEN && !socket->overflowed &&
           !socket->object.freed && !berth__secure_has_said(socket);
}

/* Notes what the kernel has taken inside a call, or how that failed: the list is to announce it.
 * Returns how much it was. */
static size_t note_given(berth_socket *socket, ptrdiff_t result)
{
    size_t before = berth__socket_given(socket);
    if (result < 0 && before > 0)
        berth__socket_count_sent(socket, before); /* not announced any more */
    berth__socket_set_outcome(socket, result < 0 ? BERTH__OUTCOME_FAILED : BERTH__OUTCOME_GIVEN);
    socket->stream->ready.result = (int32_t)(result > 0 ? (ptrdiff_t)before + result : result);
    if (result < 0)
        return 0;
    socket->spoken = socket->stream->ready.given = true;
    return (size_t)result;
}

void berth__socket_note_failure(berth_socket *socket, ptrdiff_t result)
{
    (void)note_given(socket, result);
    berth__loop_flush_later(socket->object.loop, &socket->flush);
}

/* Pieces that a program writes, and how many of their bytes are to be written. */
typedef struct write_job {
    const berth_piece *pieces;
    size_t count;
    size_t size;
    bool whole; /* all of their bytes */
} write_job;

/* Gives the kernel a part of the file that is first in the output. */
BERTH__RARE static size_t give_file(berth_socket *socket, bool *ret_whole)
{
    berth_loop *loop = socket->object.loop;
    const berth__chunk *first = socket->output.first;
    ptrdiff_t result = loop->backend->operations->put_chunks(
        loop->backend, socket->stream->descriptor, first, first->size);
    size_t taken = result == -EAGAIN || result == 0 ? 0 : note_given(socket, result);
    *ret_whole = taken > 0;
    berth__chain_consume(&socket->output, &loop->pool, taken);
    return taken;
}

/* Whether a long write goes to the kernel from where it lies, and not just a part of it. */
static bool goes_through(const berth_socket *socket, const write_job *job)
{
    if (job->size < THROUGH || job->count <= PIECES / 2)
        return job->size >= THROUGH;
    return socket->output.first == NULL && job->whole && job->count <= MANY_PIECES &&
           job->size / job->count >= LONG_PIECE && job->size <= MOST_GIVEN;
}

/* Gives the kernel all of the program's pieces by one call. Nothing precedes them. */
BERTH__RARE static size_t give_many(berth_socket *socket, const write_job *job, bool *ret_whole)
{
    berth_loop *loop = socket->object.loop;
    ptrdiff_t result = loop->backend->operations->put(loop->backend, socket->stream->descriptor,
                                                      job->pieces, job->count);
    size_t taken = result == -EAGAIN || result == 0 ? 0 : note_given(socket, result);
    *ret_whole = taken == job->size;
    return taken;
}

/* Gives the kernel the output and what is being written behind it, as far as one call takes them,
 * and consumes the output. Returns how many bytes it has taken; `ret_whole`: all that it was
 * offered. */
static size_t give(berth_socket *socket, const write_job *job, bool *ret_whole)
{
    berth_loop *loop = socket->object.loop;
    berth_piece pieces[PIECES];
    size_t number = 0;
    size_t offered = 0;
    const berth__chunk *chunk = socket->output.first;
    *ret_whole = false;
    if (berth__socket_given(socket) > MOST_GIVEN)
        return 0;
    if (chunk != NULL && chunk->bytes == NULL)
        return give_file(socket, ret_whole);
    if (job->count > PIECES && goes_through(socket, job))
        return give_many(socket, job, ret_whole);
    for (; chunk != NULL && chunk->bytes != NULL && number < PIECES && offered < MOST_GIVEN;
         chunk = chunk->next) {
        size_t size = chunk->end - chunk->start;
        size = size < MOST_GIVEN - offered ? size : MOST_GIVEN - offered;
        pieces[number++] = (berth_piece){chunk->bytes + chunk->start, size};
        offered += size;
    }
    size_t left = MOST_GIVEN - offered; /* none behind a part of a chunk */
    left = job->size < left ? job->size : left;
    left = chunk == NULL ? left : 0;
    for (const berth_piece *piece = job->pieces; left > 0 && number < PIECES; piece++) {
        pieces[number] = *piece;
        pieces[number].size = piece->size < left ? piece->size : left;
        left -= pieces[number].size;
        offered += pieces[number].size;
        number += piece->size > 0;
    }
    ptrdiff_t result =
        loop->backend->operations->put(loop->backend, socket->stream->descriptor, pieces, number);
    size_t taken = result == -EAGAIN || result == 0 ? 0 : note_given(socket, result);
    *ret_whole = taken == offered;
    berth__chain_consume(&socket->output, &loop->pool, taken);
    return taken;
}

/* Writes without a copy, behind the output, if the kernel may take it. Not when it has been shown
 * since the last turn that it takes no more. Returns how many bytes of the pieces. */
BERTH__RARE static size_t write_through(berth_socket *socket, const write_job *job)
{
    const berth__stream *stream = socket->stream;
    size_t before = berth__chain_size(&socket->output);
    bool whole;
    bool full = socket->outcome == BERTH__OUTCOME_GIVEN && before > 0;
    if (stream == NULL || stream->sending || stream->ready.secured || full || is_paced(socket) ||
        berth__socket_cannot_send(socket) || !berth_socket_is_valid(socket))
        return 0;
    size_t taken = give(socket, job, &whole);
    return taken > before ? taken - before : 0;
}

/* The same of an encrypted connection, unless some records are on their way. */
static void offer_records(berth_socket *socket)
{
    berth_loop *loop = socket->object.loop;
    bool may = !socket->stream->sending && !is_paced(socket) &&
               !berth__socket_cannot_send(socket) && berth__socket_given(socket) <= MOST_GIVEN;
    ptrdiff_t result = may ? berth__secure_put(socket, MOST_GIVEN) : 0;
    if (socket->stream->sending) /* in a handler, too */
        loop->backend->operations->submit(loop->backend);
    berth__chain_consume(&socket->output, &loop->pool,
                         result != 0 ? note_given(socket, result) : 0);
    if (socket->outcome == BERTH__OUTCOME_GIVEN || socket->outcome == BERTH__OUTCOME_FAILED)
        berth__loop_flush_later(loop, &socket->flush);
}

/* Gives the kernel all that it takes of the output; calls nothing. */
BERTH__RARE static void offer_output(berth_socket *socket)
{
    static const write_job nothing_more = {0};
    berth__stream *stream = socket->stream;
    berth_loop *loop = socket->object.loop;
    if (stream == NULL || !berth_socket_is_valid(socket))
        return;
    if (stream->ready.secured) {
        offer_records(socket);
        return;
    }
    /* First what is under way, or has failed. */
    bool failed = socket->outcome == BERTH__OUTCOME_FAILED;
    ptrdiff_t result = failed ? stream->ready.result : 0;
    if (stream->sending)
        result = loop->backend->operations->finish_send(loop->backend, stream);
    if (result == -EAGAIN)
        result = wait_for_room(socket);
    berth__chain_consume(&socket->output, &loop->pool,
                         result != 0 ? note_given(socket, result) : 0);
    bool whole = true;
    while (whole && socket->output.first != NULL && !stream->sending && !is_paced(socket) &&
           !berth__socket_cannot_send(socket))
        (void)give(socket, &nothing_more, &whole);
    if (socket->outcome == BERTH__OUTCOME_GIVEN || socket->outcome == BERTH__OUTCOME_FAILED)
        berth__loop_flush_later(loop, &socket->flush);
}

static bool is_beyond_limit(const berth_socket *socket, size_t size)
{
    return socket->limits != NULL && berth__limits_exceeded(socket, size);
}

/* Appends what is behind the first `done` bytes. Returns how many these are: fewer than there are
 * when out of memory. */
static size_t append(berth_socket *socket, const write_job *job, size_t done)
{
    size_t end = done;
    size_t place = 0; /* of the piece, in all of them */
    for (const berth_piece *piece = job->pieces; end < job->size; piece++) {
        size_t stop = piece->size < job->size - place ? place + piece->size : job->size;
        const uint8_t *data = piece->data;
        if (end < stop && !berth__chain_append(&socket->output, &socket->object.loop->pool,
                                               data + (end - place), stop - end))
            break;
        end = end < stop ? stop : end;
        place += piece->size;
    }
    return end - done;
}

/* Encrypts a write that is beyond the limit of output, piece by piece, and gives the kernel what it
 * takes; when it takes no more none follows. Returns how much is in the output or has gone. */
BERTH__RARE static size_t write_records(berth_socket *socket, const write_job *job)
{
    write_job part = *job;
    size_t done = 0;
    for (size_t more = 1; more > 0 && done < job->size; done += more) {
        if (berth__limits_exceeded(socket, 0) || berth__socket_cannot_send(socket))
            break;
        part.size = job->size - done > SEALED ? done + SEALED : job->size;
        more = append(socket, &part, done);
        offer_output(socket);
    }
    return done;
}

/* Gives the kernel what it takes of a long write, or of one that is beyond the limit of output
 * else. Returns how much that is. */
static size_t write_first(berth_socket *socket, const write_job *job)
{
    bool exceeds = is_beyond_limit(socket, job->size);
    if (exceeds)
        offer_output(socket);
    if (exceeds && socket->stream != NULL && socket->stream->ready.secured)
        return write_records(socket, job);
    return exceeds || goes_through(socket, job) ? write_through(socket, job) : 0;
}

static ptrdiff_t fail(berth_socket *socket, int error)
{
    berth__socket_set_error(socket, berth__class_of(error), error, BERTH__ATTEMPT_WRITE);
    return -1;
}

/* The connection is not ended here: a program that writes twice does not expect its socket to be
 * freed between. A peer that has gone is not slow: that ends it, behind the input. */
static ptrdiff_t overflow(berth_socket *socket)
{
    berth__loop_flush_later(socket->object.loop, &socket->flush);
    if (socket->outcome == BERTH__OUTCOME_FAILED)
        return fail(socket, -socket->stream->ready.result);
    socket->overflowed = true;
    berth__socket_set_error(socket, BERTH_ERROR_SOCKET_RESOURCE, (int)BERTH__LIMIT_OUTPUT,
                            BERTH__ATTEMPT_KEEP);
    return -1;
}

static bool may_write(berth_socket *socket)
{
    if (berth__socket_is_copy(socket, BERTH__ATTEMPT_WRITE))
        return false;
    if (writable(socket)) {
        if (socket->limits != NULL && socket->output.first == NULL)
            berth__limits_output_begins(socket);
        return true;
    }
    bool ended = has_peer(socket) && (socket->shut || berth__secure_has_said(socket));
    int number = ended ? ESHUTDOWN : ENOTCONN;
    berth__socket_set_error(socket, BERTH_ERROR_OPERATION, number, BERTH__ATTEMPT_WRITE);
    return false;
}

#define NO_MARK UINT32_MAX /* the high mark beside a low one that stands alone */

/* Bytes that the high mark leaves. */
static size_t room_below_mark(const berth_socket *socket)
{
    size_t queued = berth__socket_unwritten(socket);
    if (socket->write_high == 0 || socket->write_high == NO_MARK)
        return SIZE_MAX;
    return queued < socket->write_high ? socket->write_high - queued : 0;
}

/* The output is longer, or the marks are others. */
static void mind_low_mark(berth_socket *socket)
{
    bool above = berth__socket_unwritten(socket) > socket->write_low;
    socket->drains = socket->write_high > 0 && (socket->drains || above);
}

/* A write with all its limits and ways to fail. */
BERTH__RARE static ptrdiff_t write_carefully(berth_socket *socket, write_job *job)
{
    berth_loop *loop = socket->object.loop;
    if (!may_write(socket))
        return -1;
    size_t room = room_below_mark(socket);
    job->whole = job->size <= room;
    job->size = job->whole ? job->size : room;
    if (job->size == 0)
        return 0;
    size_t done = write_first(socket, job);
    size_t left = job->size - done;
    if (is_beyond_limit(socket, left))
        return overflow(socket);
    done += append(socket, job, done);
    if (done < job->size)
        berth__socket_set_error(socket, BERTH_ERROR_SOCKET_RESOURCE, ENOMEM, BERTH__ATTEMPT_WRITE);
    mind_low_mark(socket);
    bool told_later = done > 0 || socket->outcome == BERTH__OUTCOME_FAILED;
    if (told_later && socket->stream != NULL && !socket->stream->sending)
        berth__loop_flush_later(loop, &socket->flush);
    return done > 0 ? (ptrdiff_t)done : -1;
}

BERTH__RARE static ptrdiff_t write_all(berth_socket *socket, const void *data, size_t size)
{
    const berth_piece piece = {data, size};
    write_job job = {.pieces = &piece, .count = 1, .size = size};
    return write_carefully(socket, &job);
}

/* Connected, with nothing set that a short write would have to mind. */
static inline bool writes_freely(const berth_socket *socket, size_t size)
{
    bool freely =
        socket->unusual == 0 && socket->state == BERTH_STATE_CONNECTED && socket->limits == NULL &&
        size < THROUGH &&
        (socket->write_high == 0 || berth__socket_unwritten(socket) + size <= socket->write_low);
    assert(!freely || !socket->object.freed);
    return freely;
}

/* Has a write sent: when the handler returns that it answers in, or at the end of the turn. */
static inline void send_soon(berth_socket *socket)
{
    berth_loop *loop = socket->object.loop;
    if (loop->answering != &socket->flush && !socket->stream->sending)
        berth__loop_flush_later(loop, &socket->flush);
}

ptrdiff_t berth_socket_write(berth_socket *socket, const void *data, size_t size)
{
    berth_loop *loop = socket->object.loop;
    BERTH__OWN_THREAD(loop);
    bool usual = writes_freely(socket, size) && size > 0 && !loop->inherited;
    if (!usual || !berth__chain_append(&socket->output, &loop->pool, data, size))
        return write_all(socket, data, size);
    send_soon(socket);
    return (ptrdiff_t)size;
}

ptrdiff_t berth_socket_write_pieces(berth_socket *socket, const berth_piece *pieces, size_t count)
{
    berth_loop *loop = socket->object.loop;
    BERTH__OWN_THREAD(loop);
    write_job job = {.pieces = pieces, .count = count};
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].size > PTRDIFF_MAX - job.size)
            return fail(socket, EMSGSIZE);
        job.size += pieces[i].size;
    }
    bool usual = writes_freely(socket, job.size) && !loop->inherited;
    if (!usual)
        return write_carefully(socket, &job);
    size_t done = append(socket, &job, 0);
    if (done < job.size)
        berth__socket_set_error(socket, BERTH_ERROR_SOCKET_RESOURCE, ENOMEM, BERTH__ATTEMPT_WRITE);
    if (done > 0)
        send_soon(socket);
    return done < job.size && done == 0 ? -1 : (ptrdiff_t)done;
}

/* ---- without a copy -------------------------------------------------------------------------- */

static void send_later(berth_socket *socket)
{
    mind_low_mark(socket);
    if (socket->stream != NULL && !socket->stream->sending)
        berth__loop_flush_later(socket->object.loop, &socket->flush);
}

/* What is left of a block that the kernel has taken `done` bytes of. */
static void append_block(berth_socket *socket, berth__block *block, size_t done)
{
    berth_loop *loop = socket->object.loop;
    block->chunk.start = (uint32_t)done;
    if (done < block->size)
        berth__chain_append_block(&socket->output, &block->chunk);
    else
        berth__pool_put_block(&loop->pool, &block->chunk);
    send_later(socket);
    berth__loop_touch(loop);
}

ptrdiff_t berth_socket_write_borrowed(berth_socket *socket, const void *data, size_t size,
                                      berth_release_handler release, void *user)
{
    berth_loop *loop = socket->object.loop;
    BERTH__OWN_THREAD(loop);
    const berth_piece piece = {data, size};
    const write_job job = {.pieces = &piece, .count = 1, .size = size};
    if (!may_write(socket))
        return -1;
    if (size == 0 || room_below_mark(socket) == 0) /* taken whole where there is any */
        return 0;
    if (size > UINT32_MAX)
        return fail(socket, EMSGSIZE);
    berth__block *block = berth__block_new(loop, data, size, release, user);
    if (block == NULL)
        return fail(socket, ENOMEM);
    size_t done = write_first(socket, &job);
    if (is_beyond_limit(socket, size - done)) {
        berth__block_free(loop, block);
        return overflow(socket);
    }
    if (done == 0 && size < THROUGH) {
        done = append(socket, &job, 0);
        if (done == 0) {
            berth__block_free(loop, block);
            return fail(socket, ENOMEM);
        }
    }
    append_block(socket, block, done);
    return (ptrdiff_t)size;
}

ptrdiff_t berth_socket_write_file(berth_socket *socket, int descriptor, uint64_t offset,
                                  size_t size)
{
    berth_loop *loop = socket->object.loop;
    BERTH__OWN_THREAD(loop);
    if (!may_write(socket))
        return -1;
    if (size == 0 || room_below_mark(socket) == 0) /* taken whole where there is any */
        return 0;
    int file = berth__blocks_open_file(loop, descriptor, offset, &size);
    if (file < 0)
        return fail(socket, -file);
    bool beyond = is_beyond_limit(socket, size);
    bool appended =
        size > 0 && berth__blocks_append_file(loop, &socket->output, file, offset, size);
    if (!appended) {
        loop->backend->operations->close_file(loop->backend, file);
        return size > 0 ? fail(socket, ENOMEM) : 0;
    }
    if (beyond) /* the file, too: what the kernel takes of it does not count */
        offer_output(socket);
    if (beyond && is_beyond_limit(socket, 0))
        return overflow(socket);
    send_later(socket);
    return (ptrdiff_t)size;
}

/* ---- marks and flushing ---------------------------------------------------------------------- */

void berth_socket_set_write_marks(berth_socket *socket, size_t low, size_t high)
{
    BERTH__OWN_THREAD(socket->object.loop);
    socket->write_high = high == 0 && low > 0 ? NO_MARK : berth__socket_bounded(high);
    socket->write_low = low < socket->write_high ? (uint32_t)low
                        : socket->write_high > 0 ? socket->write_high - 1
                                                 : 0;
    mind_low_mark(socket);
}

size_t berth_socket_room(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (!writable(socket) || berth__loop_inherited(socket->object.loop))
        return 0;
    return room_below_mark(socket);
}

size_t berth_socket_bytes_to_write(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    return berth__socket_unwritten(socket);
}

bool berth_socket_flush(berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (!berth__socket_has_output(socket) || socket->stream == NULL ||
        berth__socket_is_copy(socket, BERTH__ATTEMPT_WRITE))
        return false;
    offer_output(socket);
    if (!socket->stream->sending) /* handlers are called from the list, and the rest goes from it */
        berth__loop_flush_later(socket->object.loop, &socket->flush);
    berth__loop_submit(socket->object.loop);
    berth__loop_touch(socket->object.loop);
    return true;
}

ptrdiff_t berth_socket_flush_and_announce(berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    size_t before = berth__socket_unwritten(socket);
    if (!berth_socket_flush(socket))
        return 0;
    uint32_t endings = socket->endings;
    bool held = socket->end_held;
    bool outer = socket->awaited;
    berth__enter(&socket->object);
    /* Input that is held, and the end of the peer, are for the loop to announce. */
    socket->end_held = false;
    socket->awaited = true;
    berth__socket_settle(socket);
    socket->awaited = outer;
    bool broken = socket->outcome == BERTH__OUTCOME_BROKEN;
    bool ended = socket->endings != endings;
    if (!ended)
        socket->end_held = socket->end_held || held;
    if (berth__secure_is_used_up(socket)) /* in a turn inside a handler */
        socket->end_held = false;
    if (socket->end_held && !socket->awaited) /* a turn inside a handler has passed over it */
        berth__loop_flush_later(socket->object.loop, &socket->flush);
    size_t left = ended ? 0 : berth__socket_unwritten(socket);
    if (!berth__leave(&socket->object) || broken)
        return -1;
    return left < before ? (ptrdiff_t)(before - left) : 0;
}
