/*
 * Input of a connection: what the backend reports of it, and the calls that take it.
 *
 * The backend delivers a view, which is lent to the input while ready_read is called, so that bytes
 * are taken straight out of it. What is left of it then is copied. When receiving is stopped, and
 * how much may be delivered, is in socket_pace.c.
 *
 * Handlers called here: ready_read, not within itself, and those of the end (socket.c).
 */
#include "socket.h"

#include "base/memory.h"
#include "base/probe.h"
#include "base/system_error.h"
#include "secure.h"

#include <errno.h>

/* ---- input: what the backend reports --------------------------------------------------------- */

static void announce_input(berth_socket *socket)
{
    if (socket->in_ready_read || socket->object.freed)
        return;
    if (BERTH__SOCKET_SLOT(socket, ready_read) == NULL)
        return;
    socket->in_ready_read = true;
    socket->handlers->ready_read(socket, socket->user);
    socket->in_ready_read = false;
}

void berth__socket_end_by_error(berth_socket *socket, berth_error error, int number,
                                berth__attempt attempt)
{
    uint32_t endings = socket->endings;
    if (berth__secure_fail_guest(socket, error, berth__reason_of(number)))
        return;
    berth__socket_note_peer(socket);
    berth__socket_fail(socket, error, number, attempt);
    if (socket->endings == endings)
        berth__socket_end(socket);
}

/* No byte may follow those that were lost, also where a handler waits for some. In a queue there is
 * nobody to report it to: it ends when it was taken. */
void berth__socket_end_by_hole(berth_socket *socket)
{
    socket->holed = true;
    berth__socket_pace(socket);
    bool shakes = berth__secure_shakes(socket);
    bool waits = socket->pending && socket->state == BERTH_STATE_CONNECTED && !shakes;
    socket->end_held = socket->end_held || waits;
    if (!waits)
        berth__socket_end_by_error(socket, BERTH_ERROR_SOCKET_RESOURCE, ENOMEM,
                                   BERTH__ATTEMPT_READ);
}

/* The usual case of berth__socket_pace: all was read, and more is wanted. */
static bool reads_on(const berth_socket *socket)
{
    return socket->input.first == NULL && socket->state == BERTH_STATE_CONNECTED &&
           !socket->holed && socket->stream->receiving;
}

static void received(berth__stream *stream, const void *data, size_t size)
{
    berth_socket *socket = stream->ready.owner;
    uint32_t endings = socket->endings;
    BERTH__PROBE3(delivery, socket, stream->descriptor, size);
    socket->received = socket->heard = true;
    socket->object.loop->counts.bytes_in += size;
    berth__rates_spend(socket, size, BERTH__FLOW_INPUT);
    berth__limits_moved(socket, size);
    if (socket->closed || socket->holed)
        return;
    berth__enter(&socket->object);
    berth_loop *loop = socket->object.loop;
    berth__pool *pool = &loop->pool;
    bool listed = socket->flush.link != NULL;
    berth__flush *outer = loop->answering;
    if (outer != NULL) /* of a handler that waits for this: a turn in there knows the inner one */
        berth__loop_list_answer(loop);
    loop->answering = listed ? NULL : &socket->flush;
    /* Inside a nested wait the view of the outer delivery is still there; order wants it first. */
    bool whole = berth__chain_end_loan(&socket->input, pool);
    if (whole) {
        berth__chunk view;
        berth__chain_lend(&socket->input, &view, data, size);
        if (stream->limited) /* a turn inside the handler brings no more than there is room for */
            berth__socket_pace(socket);
        announce_input(socket);
        whole = berth__chain_end_loan(&socket->input, pool);
    }
    loop->answering = outer;
    if (socket->endings == endings && whole && !reads_on(socket))
        berth__socket_pace(socket);
    else if (socket->endings == endings && !whole)
        berth__socket_end_by_hole(socket);
    /* What the handler has written goes now, while its bytes are in the cache; not if others have
     * written too, and may go on: all that goes out together. What has gone already is announced
     * before more comes, which may answer it. */
    if (!listed && (socket->output.first != NULL || socket->flush.link != NULL))
        berth__socket_answer(socket);
    else if (listed)
        berth__socket_announce_given(socket);
    berth__leave(&socket->object);
}

/* The peer has ended its direction, and that ends the connection: output that was written by now is
 * sent first. */
static void end_by_peer(berth_socket *socket)
{
    uint32_t endings = socket->endings;
    berth__socket_fail(socket, BERTH_ERROR_REMOTE_HOST_CLOSED, 0, BERTH__ATTEMPT_READ);
    if (socket->endings != endings)
        return;
    if (socket->state == BERTH_STATE_CONNECTED)
        berth__socket_set_state(socket, BERTH_STATE_CLOSING);
    if (socket->endings != endings)
        return;
    if (!berth__socket_has_output(socket) || socket->outcome == BERTH__OUTCOME_BROKEN)
        berth__socket_end(socket);
    else
        berth__socket_send_rest(socket);
}

/* EPIPE: a reset that was reported before, or that followed the peer's end. */
bool berth__socket_is_reset(int error)
{
    return error == ECONNRESET || error == EPIPE;
}

/* A reset, or another error of the connection. */
static void end_by_failure(berth_socket *socket, int error)
{
    uint32_t endings = socket->endings;
    berth_error class = berth__class_of(error);
    socket->was_reset = berth__socket_is_reset(error);
    berth__socket_note_peer(socket);
    berth__socket_fail(socket, class, error, BERTH__ATTEMPT_READ);
    if (socket->endings != endings)
        return;
    if (socket->state == BERTH_STATE_CONNECTED)
        berth__socket_set_state(socket, BERTH_STATE_CLOSING);
    if (socket->endings == endings)
        berth__socket_end(socket);
}

int berth__socket_error_of_send(const berth_socket *socket)
{
    const berth__stream *stream = socket->stream;
    bool ended = stream->sending && (stream->ready.pending & BERTH__READY_SENT);
    bool known = berth__socket_cannot_send(socket) || ended;
    int error = known && stream->ready.result < 0 ? -stream->ready.result : 0;
    if (error == EAGAIN) /* no room, and no tokens are kept for it */
        return 0;
    return error == EPIPE ? ECONNRESET : error;
}

/* The end of the input, after all of it; or a reset behind that end, of which no more can come than
 * what was announced with it where the output is already on its way out. */
void berth__socket_input_ended(berth_socket *socket, int error)
{
    if (error == 0)
        error = berth__socket_error_of_send(socket);
    if (error != 0 && socket->state == BERTH_STATE_CLOSING &&
        socket->error == BERTH_ERROR_REMOTE_HOST_CLOSED) {
        socket->was_reset = berth__socket_is_reset(error); /* behind the end: output is lost */
        berth__socket_end(socket);
    } else if (error != 0)
        end_by_failure(socket, error);
    else if (socket->half_close && socket->shut && !berth__socket_has_output(socket))
        berth_socket_disconnect_from_host(socket);
    else if (socket->half_close)
        berth__socket_finish_reading(socket);
    else if (socket->state == BERTH_STATE_CONNECTED)
        end_by_peer(socket);
    /* else: the output of a local disconnect goes on; the peer only has no more to say */
}

/* Returns whether the connection goes on. */
static bool announce_held_end(berth_socket *socket)
{
    uint32_t endings = socket->endings;
    socket->end_held = false;
    berth__enter(&socket->object);
    if (berth__secure_fails(socket))
        berth__secure_announce_failure(socket);
    else if (socket->holed && !berth__socket_cannot_send(socket))
        berth__socket_end_by_error(socket, BERTH_ERROR_SOCKET_RESOURCE, ENOMEM,
                                   BERTH__ATTEMPT_READ);
    else
        berth__socket_input_ended(socket, socket->stream->error);
    bool goes_on = socket->endings == endings;
    return berth__leave(&socket->object) && goes_on;
}

static bool announce_end(berth_socket *socket)
{
    if (socket->overflowed && berth_socket_is_valid(socket)) {
        berth__limits_close(socket, BERTH__LIMIT_OUTPUT);
        return false;
    }
    if (socket->end_held && !socket->holed && berth__secure_owes(socket))
        return (socket->paused && !berth__secure_shakes(socket)) || berth__secure_deliver(socket);
    bool kept = socket->pending || socket->awaited || socket->paused;
    kept = kept && (socket->pending || !socket->holed);
    return !socket->end_held || kept || announce_held_end(socket);
}

BERTH__RARE bool berth__socket_settle_end(berth_socket *socket)
{
    berth_loop *loop = socket->object.loop;
    if (berth__socket_has_output(socket) || berth__socket_unsent(socket))
        berth__loop_flush_later(loop, &socket->flush); /* in a turn inside a handler, too */
    bool goes_on = announce_end(socket);
    if (goes_on)
        berth__loop_flush_not(loop, &socket->flush);
    return goes_on;
}

static void receive_ended(berth__stream *stream, int error)
{
    berth_socket *socket = stream->ready.owner;
    socket->input_ended = true;
    if (socket->limits != NULL && socket->limits->rates != NULL)
        berth__flow_leave(&socket->limits->rates->flows[BERTH__FLOW_INPUT], true);
    /* Nobody listens yet. The end is announced when the socket is taken, so that its `disconnected`
     * comes in any case, which is where programs free; the error is kept by the stream. And where a
     * wait has brought bytes, the program may answer them before that. */
    if (socket->pending || (socket->awaited && socket->received)) {
        socket->end_held = true;
        if (!socket->pending)
            berth__loop_flush_later(socket->object.loop, &socket->flush);
        return;
    }
    berth__enter(&socket->object);
    berth__socket_input_ended(socket, error);
    berth__leave(&socket->object);
}

static void never_connected(berth__stream *stream, int error)
{
    assert(false && "an attempt to connect is the connector's");
    (void)stream;
    (void)error;
}

/* ---- input: what the user takes -------------------------------------------------------------- */

void berth__socket_drop_input(berth_socket *socket)
{
    berth__chain_clear(&socket->input, &socket->object.loop->pool);
    socket->in_transaction = false;
}

/* Bytes at the front that were read in the open transaction. */
static size_t kept(const berth_socket *socket)
{
    return socket->input.first != NULL ? socket->input.first->kept : 0;
}

static void keep(berth_socket *socket, size_t size)
{
    if (socket->input.first != NULL)
        socket->input.first->kept = size;
}

size_t berth_socket_bytes_available(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    return berth__chain_size(&socket->input) - kept(socket);
}

/* What a read returns that has found nothing. */
static ptrdiff_t nothing(const berth_socket *socket)
{
    bool ended = socket->state == BERTH_STATE_UNCONNECTED || socket->state == BERTH_STATE_BOUND ||
                 socket->input_ended || socket->closed;
    return ended ? -1 : 0;
}

ptrdiff_t berth_socket_peek(const berth_socket *socket, void *data, size_t size)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (berth_socket_bytes_available(socket) == 0)
        return nothing(socket);
    return (ptrdiff_t)berth__chain_copy(&socket->input, kept(socket), data, size);
}

/* Drops bytes at the front for good. */
static void drop(berth_socket *socket, size_t size)
{
    berth__chain_consume(&socket->input, &socket->object.loop->pool, size);
    if (socket->read_limit > 0 || socket->pending)
        berth__socket_pace(socket);
}

BERTH__RARE static ptrdiff_t skip_any(berth_socket *socket, size_t size)
{
    if (berth__socket_is_copy(socket, BERTH__ATTEMPT_READ))
        return -1;
    size_t available = berth_socket_bytes_available(socket);
    if (available == 0)
        return nothing(socket);
    if (size > available)
        size = available;
    if (socket->in_transaction)
        keep(socket, kept(socket) + size);
    else
        drop(socket, size);
    return (ptrdiff_t)size;
}

ptrdiff_t berth_socket_skip(berth_socket *socket, size_t size)
{
    BERTH__OWN_THREAD(socket->object.loop);
    const berth__chunk *first = socket->input.first;
    bool whole = first != NULL && first->lent && size >= first->size;
    if (!whole || socket->in_transaction || socket->read_limit > 0 || socket->pending ||
        socket->object.loop->inherited)
        return skip_any(socket, size);
    socket->input.first = NULL; /* all of a delivery, whose memory is the backend's */
    return (ptrdiff_t)first->size;
}

ptrdiff_t berth_socket_read(berth_socket *socket, void *data, size_t size)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (berth__socket_is_copy(socket, BERTH__ATTEMPT_READ))
        return -1;
    ptrdiff_t count = berth_socket_peek(socket, data, size);
    if (count > 0)
        berth_socket_skip(socket, (size_t)count);
    return count;
}

bool berth_socket_unget(berth_socket *socket, const void *data, size_t size)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (socket->object.freed || berth__socket_is_copy(socket, BERTH__ATTEMPT_READ))
        return false;
    berth__pool *pool = &socket->object.loop->pool;
    /* In a transaction they go behind what was read in it. */
    if (berth__chain_insert(&socket->input, pool, kept(socket), data, size)) {
        if (socket->read_limit > 0 || socket->pending)
            berth__socket_pace(socket);
        return true;
    }
    berth__socket_set_error(socket, BERTH_ERROR_SOCKET_RESOURCE, ENOMEM, BERTH__ATTEMPT_READ);
    return false;
}

void berth_socket_start_transaction(berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    socket->in_transaction = !socket->object.freed;
}

void berth_socket_commit_transaction(berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    size_t read = kept(socket);
    socket->in_transaction = false;
    keep(socket, 0);
    drop(socket, read);
}

void berth_socket_rollback_transaction(berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    socket->in_transaction = false;
    keep(socket, 0);
    berth__chain_forget_search(&socket->input); /* which began behind what was read */
}

bool berth_socket_in_transaction(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    return socket->in_transaction;
}

const void *berth_socket_view(const berth_socket *socket, size_t *ret_size)
{
    BERTH__OWN_THREAD(socket->object.loop);
    return berth__chain_at(&socket->input, kept(socket), ret_size);
}

/* Where the first line ends, counted from 1; 0 if no whole line is there. */
static size_t line_length(const berth_socket *socket)
{
    size_t place = kept(socket);
    size_t found = berth__chain_find(&socket->input, place, '\n');
    return found < berth__chain_size(&socket->input) ? found + 1 - place : 0;
}

bool berth_socket_can_read_line(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    return line_length(socket) > 0;
}

ptrdiff_t berth_socket_read_line(berth_socket *socket, char *line, size_t size)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (size < 2)
        return 0;
    size_t length = line_length(socket);
    if (length == 0 || length > size - 1)
        length = size - 1;
    ptrdiff_t count = berth_socket_read(socket, line, length);
    line[count > 0 ? count : 0] = '\0';
    return count;
}

void berth_socket_set_half_close(berth_socket *socket, bool allowed)
{
    BERTH__OWN_THREAD(socket->object.loop);
    socket->half_close = allowed;
}

static void never_closed(berth__stream *stream)
{
    assert(false && "a stream is closed only after its socket has let go of it");
    (void)stream;
}

const berth__stream_events berth__socket_events = {
    .connected = never_connected,
    .received = received,
    .receive_ended = receive_ended,
    .room = berth__socket_input_room,
    .room_unused = berth__socket_room_unused,
    .sent = berth__socket_sent,
    .closed = never_closed,
    .taken = berth__socket_taken_whole,
};
