/*
 * Blocking use of a socket: each wait turns the loop for this socket alone until something has
 * happened to it.
 *
 * Before each sleep the output is handed to the backend, so that every wait also sends. Where
 * output waits for the kernel, that is asked for room even if input is there already: else a peer
 * that sends without a pause would never get what it is answered by one wait after the other.
 * Handlers of this socket run inside, and may do anything, freeing it included; the wait then
 * returns false. A time-out is an error like others: class, text and error_occurred; only the
 * attempt to connect is ended by it.
 *
 * When bytes and the end of the peer come together the end is kept for the next wait, or turn of
 * the loop: so both are announced to the program, and it may answer the bytes in between. Only a
 * wait for the end takes it as it comes.
 *
 * What a wait waits for leaves a mark in the socket (connected, received, sent). A wait begins
 * without marks, and gives those back that the wait around it had, since a handler may wait too.
 */
#include "connecting.h"
#include "secure.h"

typedef struct watched {
    berth_socket *socket;
    uint32_t endings; /* of the connection that is waited for */
} watched;

typedef struct marks {
    bool connected, received, sent;
} marks;

static uint64_t go_on(void *object)
{
    watched *waiting = object;
    berth_socket *socket = waiting->socket;
    if (socket->object.freed)
        return UINT64_MAX;
    bool told = socket->end_held && (!socket->paused || berth__secure_shakes(socket)) &&
                (!socket->awaited || berth__secure_owes(socket));
    told = told || (socket->end_held && socket->holed);
    if (berth__socket_has_output(socket) || berth__socket_unsent(socket) || told ||
        socket->overflowed || berth__socket_is_cut_off(socket))
        berth__socket_settle(socket);
    uint64_t due = socket->object.freed ? UINT64_MAX : berth__limits_step(socket);
    uint64_t close = socket->object.freed ? UINT64_MAX : berth__socket_close_step(socket);
    if (socket->object.freed)
        return UINT64_MAX;
    uint64_t connect = berth__connect_step(berth__socket_connector(socket));
    uint64_t tokens = berth__rates_step(socket);
    uint64_t shaking = berth__secure_step(socket);
    if (socket->object.freed)
        return UINT64_MAX;
    tokens = shaking < tokens ? shaking : tokens;
    if (berth__socket_unsent(socket))
        return 0;
    due = close < due ? close : due;
    due = tokens < due ? tokens : due;
    return connect < due ? connect : due;
}

static berth__stream *ready_stream(void *object)
{
    const watched *waiting = object;
    const berth_socket *socket = waiting->socket;
    if (socket->object.freed)
        return NULL;
    berth__stream *stream = socket->stream;
    bool ready = stream != NULL && stream->ready.queued && stream->ready.pending != 0;
    return ready ? stream : berth__connect_stream(berth__socket_connector(socket));
}

static bool over(const watched *waiting)
{
    return waiting->socket->object.freed || waiting->socket->endings != waiting->endings;
}

static bool connecting(const berth_socket *socket)
{
    return socket->state == BERTH_STATE_HOST_LOOKUP || socket->state == BERTH_STATE_CONNECTING;
}

static bool no_longer_connecting(void *object)
{
    watched *waiting = object;
    return over(waiting) || !connecting(waiting->socket);
}

static bool has_received(void *object)
{
    watched *waiting = object;
    const berth_socket *socket = waiting->socket;
    return over(waiting) || socket->received ||
           (socket->input_ended && !berth__socket_is_held_back(socket));
}

static bool has_sent(void *object)
{
    watched *waiting = object;
    return over(waiting) || waiting->socket->sent ||
           waiting->socket->outcome == BERTH__OUTCOME_BROKEN;
}

static bool has_ended(void *object)
{
    return over(object);
}

static bool is_over(void *object)
{
    return over(object);
}

/* Returns whether `done` came before the time ran out. To be called between enter and leave. */
static bool run(berth_socket *socket, bool (*done)(void *object), int milliseconds)
{
    watched waiting = {.socket = socket, .endings = socket->endings};
    berth__wait wait = {.owner = berth__connect_runs(berth__socket_connector(socket)),
                        .object = &waiting,
                        .done = done,
                        .stream = ready_stream,
                        .prepare = go_on,
                        .asks = socket->stream != NULL && socket->stream->sending};
    bool outer = socket->awaited;
    socket->awaited = done != has_ended;
    bool in_time = berth__loop_wait(socket->object.loop, &wait, milliseconds);
    socket->awaited = outer;
    return in_time;
}

/* Sends and receives what can be, without waiting. */
static void look(berth_socket *socket)
{
    (void)run(socket, is_over, 0);
}

static marks enter(berth_socket *socket)
{
    marks outer = {socket->connected, socket->received, socket->sent};
    berth__enter(&socket->object);
    socket->connected = socket->received = socket->sent = false;
    return outer;
}

static bool leave(berth_socket *socket, marks outer, bool result)
{
    berth_loop *loop = socket->object.loop;
    socket->connected = socket->connected || outer.connected;
    socket->received = socket->received || outer.received;
    socket->sent = socket->sent || outer.sent;
    if (socket->end_held && !socket->awaited && !socket->object.freed)
        berth__loop_flush_later(loop, &socket->flush); /* for the next wait or turn */
    loop->depth++; /* else the loop might be freed twice, by both */
    bool alive = berth__leave(&socket->object);
    loop->depth--;
    berth__loop_leave(loop);
    return alive && result;
}

static void timed_out(berth_socket *socket)
{
    if (berth__socket_is_copy(socket, BERTH__ATTEMPT_WAIT))
        return;
    berth__socket_fail(socket, BERTH_ERROR_SOCKET_TIMEOUT, 0, BERTH__ATTEMPT_WAIT);
}

/* What is left of `milliseconds` at `start`. */
static int remaining(berth_loop *loop, uint64_t start, int milliseconds)
{
    if (milliseconds < 0)
        return -1;
    uint64_t passed = (berth__loop_clock(loop) - start) / BERTH__MILLISECOND;
    return passed >= (uint64_t)milliseconds ? 0 : milliseconds - (int)passed;
}

/* Waits for an attempt to connect to end; ends it when the time is over. Returns whether it has
 * succeeded, even if the connection is over again by now: its input can still be read. */
static bool finish_connecting(berth_socket *socket, int milliseconds)
{
    if (!connecting(socket))
        return socket->stream != NULL;
    if (!run(socket, no_longer_connecting, milliseconds))
        berth__socket_connect_failed(socket, BERTH_ERROR_SOCKET_TIMEOUT, 0);
    return socket->connected;
}

bool berth_socket_wait_for_connected(berth_socket *socket, int milliseconds)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (berth__socket_is_copy(socket, BERTH__ATTEMPT_WAIT))
        return false;
    if (socket->object.freed || !connecting(socket))
        return !socket->object.freed && socket->state == BERTH_STATE_CONNECTED;
    marks outer = enter(socket);
    return leave(socket, outer, finish_connecting(socket, milliseconds));
}

static bool no_longer_shaking(void *object)
{
    watched *waiting = object;
    return over(waiting) || !berth__secure_shakes(waiting->socket);
}

static bool finish_handshake(berth_socket *socket, int milliseconds)
{
    berth_loop *loop = socket->object.loop;
    uint64_t start = berth__loop_clock(loop);
    if (!finish_connecting(socket, milliseconds) || socket->stream == NULL)
        return false;
    uint32_t endings = socket->endings;
    if (!run(socket, no_longer_shaking, remaining(loop, start, milliseconds))) {
        timed_out(socket);
        return false;
    }
    return !socket->object.freed && socket->endings == endings && berth_socket_is_encrypted(socket);
}

bool berth_socket_wait_for_encrypted(berth_socket *socket, int milliseconds)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (berth__socket_is_copy(socket, BERTH__ATTEMPT_WAIT))
        return false;
    if (socket->object.freed || (!connecting(socket) && !berth__secure_shakes(socket)))
        return !socket->object.freed && berth_socket_is_encrypted(socket);
    marks outer = enter(socket);
    return leave(socket, outer, finish_handshake(socket, milliseconds));
}

static bool wait_for_input(berth_socket *socket, int milliseconds)
{
    berth_loop *loop = socket->object.loop;
    uint64_t start = berth__loop_clock(loop);
    if (!finish_connecting(socket, milliseconds))
        return false;
    if (socket->end_held && !socket->received) /* of the wait before */
        berth__socket_settle(socket);
    /* Bytes may come together with the connection. With a full input buffer, or after the peer's
     * end, nothing can come; a pause may be ended by a handler. */
    if (socket->received || socket->stream == NULL)
        return socket->received;
    if (!socket->stream->receiving && !berth__socket_is_held_back(socket))
        return false;
    if (!run(socket, has_received, remaining(loop, start, milliseconds)))
        timed_out(socket);
    return socket->received;
}

bool berth_socket_wait_for_ready_read(berth_socket *socket, int milliseconds)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (berth__socket_is_copy(socket, BERTH__ATTEMPT_WAIT))
        return false;
    if (socket->object.freed || socket->state == BERTH_STATE_UNCONNECTED)
        return false;
    marks outer = enter(socket);
    return leave(socket, outer, wait_for_input(socket, milliseconds));
}

static bool wait_for_output(berth_socket *socket, int milliseconds)
{
    berth_loop *loop = socket->object.loop;
    uint64_t start = berth__loop_clock(loop);
    if (!finish_connecting(socket, milliseconds) || socket->stream == NULL ||
        !berth__socket_has_output(socket))
        return false;
    /* The kernel may take all at once, and then nobody would ever read what the peer has to say. */
    uint32_t endings = socket->endings;
    if (socket->stream->receiving)
        look(socket);
    if (!socket->sent && socket->endings == endings && !socket->object.freed &&
        !run(socket, has_sent, remaining(loop, start, milliseconds)))
        timed_out(socket);
    return socket->sent;
}

bool berth_socket_wait_for_bytes_written(berth_socket *socket, int milliseconds)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (berth__socket_is_copy(socket, BERTH__ATTEMPT_WAIT))
        return false;
    if (socket->object.freed || socket->state == BERTH_STATE_UNCONNECTED ||
        !berth__socket_has_output(socket))
        return false;
    marks outer = enter(socket);
    return leave(socket, outer, wait_for_output(socket, milliseconds));
}

static bool wait_for_end(berth_socket *socket, int milliseconds)
{
    berth_loop *loop = socket->object.loop;
    uint64_t start = berth__loop_clock(loop);
    if (!finish_connecting(socket, milliseconds))
        return false;
    bool ended =
        socket->stream == NULL || run(socket, has_ended, remaining(loop, start, milliseconds));
    if (!ended)
        timed_out(socket);
    return ended;
}

bool berth_socket_wait_for_disconnected(berth_socket *socket, int milliseconds)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (berth__socket_is_copy(socket, BERTH__ATTEMPT_WAIT))
        return false;
    if (socket->object.freed || socket->state == BERTH_STATE_UNCONNECTED ||
        socket->state == BERTH_STATE_BOUND)
        return false;
    marks outer = enter(socket);
    return leave(socket, outer, wait_for_end(socket, milliseconds));
}
