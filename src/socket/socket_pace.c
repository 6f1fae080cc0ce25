/*
 * When a connection receives, and how much: the limit of unread input, pauses, and rates.
 *
 * Where the unread input has a limit no delivery goes beyond it, and receiving is stopped while it
 * is reached; a socket that nobody has taken yet has a limit of its own, so that a peer cannot fill
 * the memory of a server that is slow to take connections. A pause stops receiving until it is
 * ended, and keeps an end back that has come already. With a rate, receiving is stopped when input
 * is there and no tokens are, which the backend finds by asking for the room; the rate starts it
 * again.
 *
 * Whatever the reason, the backend keeps what comes meanwhile: nothing is lost, and nothing is
 * delivered inside these calls. They call no handlers.
 */
#include "secure.h"

#include "base/memory.h"

#include <errno.h>

static size_t read_limit(const berth_socket *socket)
{
    size_t own = socket->read_limit;
    if (!socket->pending)
        return own;
    size_t pending = socket->owner->pending_read_limit;
    return own == 0 || (pending != 0 && pending < own) ? pending : own;
}

size_t berth__socket_input_room(berth__stream *stream)
{
    berth_socket *socket = stream->ready.owner;
    size_t limit = read_limit(socket);
    size_t unread = berth__chain_size(&socket->input);
    size_t room = SIZE_MAX;
    assert((limit == 0 || unread < limit) && "while there is no room receiving is stopped");
    if (limit != 0)
        room = unread < limit ? limit - unread : 1;
    berth__flow *flow = berth__rates_flow(socket, BERTH__FLOW_INPUT);
    if (flow == NULL)
        return room;
    room = berth__flow_take(flow, room);
    if (room == 0)
        socket->object.loop->backend->operations->receive_stop(socket->object.loop->backend,
                                                               stream);
    return room;
}

/* One that has had its turn, and no input, keeps no tokens: many such could receive at once what
 * the burst does not allow. */
void berth__socket_room_unused(berth__stream *stream)
{
    berth__flow *flow = berth__rates_flow(stream->ready.owner, BERTH__FLOW_INPUT);
    if (flow != NULL)
        berth__flow_leave(flow, true);
}

/* Whether more input is wanted now, but for want of tokens. */
static bool wants_input(const berth_socket *socket, size_t limit)
{
    bool room = limit == 0 || berth__chain_size(&socket->input) < limit;
    if (socket->stream->ready.secured && berth__secure_shakes(socket))
        return true;
    /* A connection that this side is ending reads no more. */
    return room && socket->state != BERTH_STATE_CLOSING && !socket->holed && !socket->paused;
}

bool berth__socket_listens(const berth_socket *socket)
{
    return socket->stream != NULL && !socket->stream->ended &&
           wants_input(socket, read_limit(socket));
}

/* An end that is held back comes by itself, unless it waits for the end of a pause. */
bool berth__socket_is_cut_off(const berth_socket *socket)
{
    return socket->outcome == BERTH__OUTCOME_BROKEN && socket->state == BERTH_STATE_CONNECTED &&
           !berth__socket_listens(socket) && !socket->pending &&
           (socket->paused || !socket->end_held);
}

/* Of an encrypted connection bytes may be there already, or the end of the stream behind them. */
BERTH__RARE static void pace_owed(berth_socket *socket)
{
    bool wanted = wants_input(socket, read_limit(socket)) &&
                  !berth__flow_waits(berth__rates_flow(socket, BERTH__FLOW_INPUT));
    if (!wanted || !berth__secure_owes(socket))
        return;
    berth__loop_flush_later(socket->object.loop, &socket->flush);
    berth__loop_touch(socket->object.loop);
}

size_t berth__socket_room_of(berth_socket *socket, size_t most)
{
    berth__backend *backend = socket->object.loop->backend;
    size_t limit = read_limit(socket);
    size_t unread = berth__chain_size(&socket->input);
    berth__flow *flow = berth__rates_flow(socket, BERTH__FLOW_INPUT);
    if (!wants_input(socket, limit))
        return 0;
    if (limit != 0 && limit - unread < most)
        most = limit - unread;
    if (flow == NULL)
        return most;
    most = berth__flow_take(flow, most);
    if (most == 0 && socket->stream->receiving)
        backend->operations->receive_stop(backend, socket->stream);
    return most;
}

void berth__socket_pace(berth_socket *socket)
{
    berth__stream *stream = socket->stream;
    if (stream != NULL && stream->ready.secured && socket->end_held)
        pace_owed(socket);
    if (stream != NULL && berth__socket_is_cut_off(socket))
        berth__loop_flush_later(socket->object.loop, &socket->flush);
    if (stream == NULL || stream->ended)
        return;
    /* Bound, and not connected yet: the kernel would answer a receive with ENOTCONN. */
    if (socket->remote != NULL && socket->remote->bound)
        return;
    const berth__backend_operations *operations = socket->object.loop->backend->operations;
    size_t limit = read_limit(socket);
    berth__flow *flow = berth__rates_flow(socket, BERTH__FLOW_INPUT);
    bool limited = limit != 0 || flow != NULL;
    bool begins = limited && !stream->limited;
    stream->limited = limited;
    bool wanted = wants_input(socket, limit);
    if (flow != NULL && !wanted)
        berth__flow_leave(flow, true);
    wanted = wanted && !berth__flow_waits(flow);
    if (wanted == stream->receiving && !(wanted && begins))
        return;
    if (wanted) {
        bool resumes = !stream->receiving;
        operations->receive_start(socket->object.loop->backend, stream);
        if (socket->limits != NULL && resumes)
            berth__limits_resume(socket);
        berth__loop_touch(socket->object.loop);
    } else {
        operations->receive_stop(socket->object.loop->backend, stream);
    }
}

/* What was held back goes on. A pause is of what comes, and behind lost input nothing does. */
void berth__socket_taken(berth_socket *socket)
{
    if (socket->end_held && (!socket->paused || socket->holed))
        berth__loop_flush_later(socket->object.loop, &socket->flush);
    else
        berth__socket_pace(socket);
}

size_t berth_socket_read_buffer_size(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    return socket->read_limit;
}

void berth_socket_set_read_buffer_size(berth_socket *socket, size_t bytes)
{
    BERTH__OWN_THREAD(socket->object.loop);
    socket->read_limit = berth__socket_bounded(bytes);
    berth__socket_pace(socket);
}

/* ---- pauses ---------------------------------------------------------------------------------- */

bool berth__socket_is_held_back(const berth_socket *socket)
{
    if (socket->stream == NULL || (socket->stream->ended && !socket->end_held))
        return false;
    return socket->paused || berth__flow_waits(berth__rates_flow(socket, BERTH__FLOW_INPUT));
}

void berth_socket_pause_reading(berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    socket->paused = !socket->object.freed;
    berth__socket_pace(socket);
}

void berth_socket_resume_reading(berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (!socket->paused)
        return;
    bool ends = socket->end_held;
    socket->paused = false;
    if (ends)
        berth__loop_flush_later(socket->object.loop, &socket->flush);
    else
        berth__socket_pace(socket);
    berth__loop_touch(socket->object.loop);
}

bool berth_socket_is_reading_paused(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    return socket->paused;
}

/* ---- rates ----------------------------------------------------------------------------------- */

uint64_t berth__rates_step(berth_socket *socket)
{
    berth__rates *rates = socket->limits != NULL ? socket->limits->rates : NULL;
    if (rates == NULL)
        return UINT64_MAX;
    uint64_t input = berth__flow_step(&rates->flows[BERTH__FLOW_INPUT]);
    uint64_t output = berth__flow_step(&rates->flows[BERTH__FLOW_OUTPUT]);
    return input < output ? input : output;
}

static void receive_on(berth__flow *flow)
{
    berth__socket_pace(flow->socket);
}

static void send_on(berth__flow *flow)
{
    berth_socket *socket = flow->socket;
    berth__limits_resume(socket);
    berth__loop_flush_later(socket->object.loop, &socket->flush);
    berth__loop_touch(socket->object.loop);
}

/* False when out of memory. */
static bool make_rates(berth_socket *socket)
{
    berth__socket_limits *limits = berth__limits_of(socket);
    if (limits == NULL)
        return false;
    if (limits->rates != NULL)
        return true;
    limits->rates = berth__allocate_zero(sizeof *limits->rates);
    if (limits->rates == NULL)
        return false;
    berth__flow *flows = limits->rates->flows;
    flows[BERTH__FLOW_INPUT] = (berth__flow){.socket = socket, .go_on = receive_on};
    flows[BERTH__FLOW_OUTPUT] = (berth__flow){.socket = socket, .go_on = send_on};
    return true;
}

static berth_rate *rate_of(const berth_socket *socket, berth__direction direction)
{
    return berth__flow_rate(berth__rates_flow(socket, direction));
}

static bool set_rate(berth_socket *socket, berth_rate *rate, berth__direction direction)
{
    if (socket->object.freed)
        return false;
    if (rate == NULL && berth__rates_flow(socket, direction) == NULL)
        return true;
    if (rate != NULL && rate == rate_of(socket, direction))
        return true;
    int error = rate != NULL && berth__rate_loop(rate) != socket->object.loop ? EINVAL : 0;
    if (error == 0 && !make_rates(socket))
        error = ENOMEM;
    if (error != 0) {
        berth_error class = error == ENOMEM ? BERTH_ERROR_SOCKET_RESOURCE : BERTH_ERROR_OPERATION;
        berth__socket_set_error(socket, class, error, BERTH__ATTEMPT_RATE);
        return false;
    }
    bool sending =
        direction == BERTH__FLOW_OUTPUT && socket->stream != NULL && socket->stream->sending;
    berth__flow_set(&socket->limits->rates->flows[direction], rate, !sending);
    return true;
}

berth_rate *berth_socket_read_rate(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    return rate_of(socket, BERTH__FLOW_INPUT);
}

berth_rate *berth_socket_write_rate(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    return rate_of(socket, BERTH__FLOW_OUTPUT);
}

bool berth_socket_set_read_rate(berth_socket *socket, berth_rate *rate)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (!set_rate(socket, rate, BERTH__FLOW_INPUT))
        return false;
    berth__socket_pace(socket);
    return true;
}

bool berth_socket_set_write_rate(berth_socket *socket, berth_rate *rate)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (!set_rate(socket, rate, BERTH__FLOW_OUTPUT))
        return false;
    socket->paced = rate != NULL;
    if (socket->stream != NULL && rate == NULL)
        socket->stream->ready.paced = false;
    if (berth__socket_unsent(socket)) {
        berth__loop_flush_later(socket->object.loop, &socket->flush);
        berth__loop_touch(socket->object.loop);
    }
    return true;
}
