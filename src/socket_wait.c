/*
 * Blocking use of a socket: each wait turns the loop for this socket alone until something has
 * happened to it.
 *
 * Before each sleep the output is handed to the backend, so that every wait also sends. Handlers of
 * this socket run inside, and may do anything, freeing it included; the wait then returns false. A
 * time-out is an error like others: class, text and error_occurred; only the attempt to connect is
 * ended by it.
 */
#include "connect.h"
#include "guard.h"
#include "socket.h"

typedef struct watched {
    berth_socket *socket;
    uint32_t endings; /* of the connection that is waited for */
    uint32_t received;
    uint32_t sent;
} watched;

static uint64_t go_on(void *object)
{
    watched *waiting = object;
    berth_socket *socket = waiting->socket;
    if (socket->object.freed)
        return UINT64_MAX;
    if (socket->output.first != NULL || socket->end_held || socket->overflowed)
        berth__socket_settle(socket);
    uint64_t due = socket->object.freed ? UINT64_MAX : berth__guard_step(socket);
    uint64_t close = socket->object.freed ? UINT64_MAX : berth__socket_close_step(socket);
    if (socket->object.freed)
        return UINT64_MAX;
    uint64_t connect = berth__connect_step(socket);
    if (berth__socket_unsent(socket))
        return 0;
    due = close < due ? close : due;
    return connect < due ? connect : due;
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
    return over(waiting) || waiting->socket->received != waiting->received ||
           waiting->socket->input_ended;
}

static bool has_sent(void *object)
{
    watched *waiting = object;
    return over(waiting) || waiting->socket->sent != waiting->sent || waiting->socket->send_failed;
}

static bool has_ended(void *object)
{
    return over(object);
}

/* Returns whether the time has not run out before `done`. The caller stands between enter and
 * leave. */
static bool run(berth_socket *socket, watched *waiting, bool (*done)(void *object),
                int milliseconds)
{
    waiting->socket = socket;
    waiting->endings = socket->endings;
    waiting->received = socket->received;
    waiting->sent = socket->sent;
    berth__wait wait = {.owner = socket, .object = waiting, .done = done, .prepare = go_on};
    return berth__loop_wait(socket->object.loop, &wait, milliseconds);
}

static bool leave(berth_socket *socket, bool result)
{
    berth_loop *loop = socket->object.loop;
    loop->depth++; /* else the loop might be freed twice, by both */
    bool alive = berth__leave(&socket->object);
    loop->depth--;
    berth__loop_leave(loop);
    return alive && result;
}

static void timed_out(berth_socket *socket)
{
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
    watched waiting;
    uint32_t connections = socket->connections;
    if (!run(socket, &waiting, no_longer_connecting, milliseconds))
        berth__socket_connect_failed(socket, BERTH_ERROR_SOCKET_TIMEOUT, 0);
    return socket->connections != connections;
}

bool berth_socket_wait_for_connected(berth_socket *socket, int milliseconds)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (socket->object.freed || !connecting(socket))
        return !socket->object.freed && socket->state == BERTH_STATE_CONNECTED;
    berth__enter(&socket->object);
    return leave(socket, finish_connecting(socket, milliseconds));
}

bool berth_socket_wait_for_ready_read(berth_socket *socket, int milliseconds)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (socket->object.freed || socket->state == BERTH_STATE_UNCONNECTED)
        return false;
    berth_loop *loop = socket->object.loop;
    uint64_t start = berth__loop_clock(loop);
    uint32_t received = socket->received;
    berth__enter(&socket->object);
    if (!finish_connecting(socket, milliseconds))
        return leave(socket, false);
    if (socket->end_held)
        berth__socket_settle(socket);
    /* Bytes may come together with the connection. With a full input buffer, or after the peer's
     * end, nothing can come. */
    if (socket->received != received || socket->stream == NULL || !socket->stream->receiving)
        return leave(socket, socket->received != received);
    watched waiting;
    if (!run(socket, &waiting, has_received, remaining(loop, start, milliseconds)))
        timed_out(socket);
    return leave(socket, socket->received != received);
}

bool berth_socket_wait_for_bytes_written(berth_socket *socket, int milliseconds)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (socket->object.freed || socket->state == BERTH_STATE_UNCONNECTED ||
        socket->output.first == NULL)
        return false;
    berth_loop *loop = socket->object.loop;
    uint64_t start = berth__loop_clock(loop);
    berth__enter(&socket->object);
    if (!finish_connecting(socket, milliseconds))
        return leave(socket, false);
    if (socket->stream == NULL || socket->output.first == NULL)
        return leave(socket, false);
    watched waiting;
    if (!run(socket, &waiting, has_sent, remaining(loop, start, milliseconds)))
        timed_out(socket);
    return leave(socket, socket->sent != waiting.sent);
}

bool berth_socket_wait_for_disconnected(berth_socket *socket, int milliseconds)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (socket->object.freed || socket->state == BERTH_STATE_UNCONNECTED ||
        socket->state == BERTH_STATE_BOUND)
        return false;
    berth_loop *loop = socket->object.loop;
    uint64_t start = berth__loop_clock(loop);
    berth__enter(&socket->object);
    if (!finish_connecting(socket, milliseconds))
        return leave(socket, false);
    watched waiting;
    bool ended = socket->stream == NULL ||
                 run(socket, &waiting, has_ended, remaining(loop, start, milliseconds));
    if (!ended)
        timed_out(socket);
    return leave(socket, ended);
}
