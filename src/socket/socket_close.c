/*
 * Ending gracefully: one direction alone, and how long the rest of the output may take.
 *
 * One direction. berth_socket_shutdown_send marks the output as ended (shut). When what was written
 * before is sent, the backend ends the direction; the state stays CONNECTED, and reading goes on. A
 * connection whose two directions have ended is over, whichever ended first.
 *
 * The limit. A socket that is CLOSING with output left waits for its peer to read. Its deadline is
 * set anew whenever the kernel has taken some, so that it measures stalling and not slowness. A
 * slow peer may take longer than that to make the third of the buffer free from which on the kernel
 * takes more: so when the deadline expires, the kernel is asked how much the peer has not
 * acknowledged. Less than at the last look is progress, and the time begins anew. So it does where
 * no look precedes this one: the first is when the deadline is started while output waits for the
 * kernel already, to keep a system call out of ends that wait for nothing; and it is void when the
 * kernel takes more. What it has taken while a handler was busy is heard of when the kernel is
 * asked next, and by then as much may wait as before: so an end whose time is over waits for that.
 *
 * Else, when it expires: error_occurred with SOCKET_TIMEOUT, then the end, and the output is lost.
 * It is the same, with SOCKET_RESOURCE, if there is no memory for the deadline: a limit that is
 * promised must hold.
 *
 * Where a send of a handshake has failed, the end waits for the input to say why, and the limit
 * runs on, also one that is set then: the input might say nothing.
 *
 * Most connections that close with output left have just got their only answer, which leaves in the
 * same turn; for them no deadline is started, see berth__socket_send_rest.
 *
 * In a blocking wait, where no timers run, berth__socket_close_step replaces them. Handlers called
 * here: those of the end.
 */
#include "secure.h"

#include <errno.h>

/* ---- one direction --------------------------------------------------------------------------- */

void berth__socket_end_direction(berth_socket *socket)
{
    berth__backend *backend = socket->object.loop->backend;
    if (socket->input_ended && !socket->end_held) {
        berth_socket_disconnect_from_host(socket);
        return;
    }
    if (socket->stream->ready.secured) {
        int result = berth__secure_shakes(socket) ? EINPROGRESS : berth__secure_say_end(socket);
        if (result < 0)
            berth__socket_note_failure(socket, result);
        if (result != 0) /* it follows, or has failed */
            return;
    }
    /* It fails if the connection is broken, which the input will report. */
    (void)backend->operations->shutdown_send(backend, socket->stream);
}

void berth_socket_shutdown_send(berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    bool none = socket->state == BERTH_STATE_UNCONNECTED || socket->state == BERTH_STATE_BOUND;
    if (none || socket->shut || berth__socket_is_copy(socket, BERTH__ATTEMPT_CLOSE))
        return;
    socket->shut = true;
    if (socket->state != BERTH_STATE_CONNECTED || socket->output.first != NULL)
        return; /* it follows the output */
    berth__enter(&socket->object);
    berth__socket_end_direction(socket);
    berth__leave(&socket->object);
}

/* ---- the limit ------------------------------------------------------------------------------- */

void berth__socket_stop_limit(berth_socket *socket)
{
    berth__deadlines *deadlines = &socket->object.loop->deadlines;
    if (socket->remote == NULL || socket->remote->limit.place == 0)
        return;
    berth__deadline_stop(deadlines, &socket->remote->limit);
    berth__deadlines_unreserve(deadlines);
}

static void begin_time(berth__remote *remote)
{
    berth_socket *socket = remote->socket;
    berth_loop *loop = socket->object.loop;
    remote->spared = false;
    berth__deadline_start(&loop->deadlines, &remote->limit,
                          berth__after(berth__loop_clock(loop), socket->close_timeout));
}

/* Asks what the peer has not acknowledged. Returns whether it is less than at the last look, or
 * there was none. */
static bool look(berth__remote *remote)
{
    berth_socket *socket = remote->socket;
    berth__backend *backend = socket->object.loop->backend;
    size_t transit = backend->operations->in_transit(backend, socket->stream);
    bool less = !remote->looked || transit < remote->transit;
    remote->transit = berth__socket_bounded(transit);
    remote->looked = true;
    return less;
}

/* Whether the end waits for what the kernel has to say, until that was asked, or for what it has
 * said. Not every turn asks, nor what a wait does first. */
static bool spares(berth__remote *remote)
{
    const berth__ready *ready = &remote->socket->stream->ready;
    uint32_t waits = (uint32_t)remote->socket->object.loop->counts.waits;
    bool heard = ready->queued && (ready->pending & BERTH__READY_SENT);
    if (!remote->spared)
        remote->waits = waits;
    remote->spared = true;
    return heard || waits == remote->waits;
}

static void expired(berth__deadline *deadline)
{
    berth__remote *remote = (berth__remote *)((char *)deadline - offsetof(berth__remote, limit));
    berth_socket *socket = remote->socket;
    berth_loop *loop = socket->object.loop;
    if (look(remote)) {
        begin_time(remote);
        return;
    }
    if (spares(remote)) {
        berth__deadline_start(&loop->deadlines, &remote->limit, berth__loop_clock(loop));
        return;
    }
    berth__deadlines_unreserve(&loop->deadlines);
    if (socket->stream->ready.secured)
        berth__secure_give_up(socket);
    berth__enter(&socket->object);
    berth__socket_end_by_error(socket, BERTH_ERROR_SOCKET_TIMEOUT, 0, BERTH__ATTEMPT_CLOSE);
    berth__leave(&socket->object);
}

/* False when out of memory. */
static bool start_limit(berth_socket *socket)
{
    berth_loop *loop = socket->object.loop;
    berth__remote *remote = berth__socket_remote(socket);
    if (remote == NULL)
        return false;
    bool starts = remote->limit.place == 0;
    if (starts && !berth__deadlines_reserve(&loop->deadlines))
        return false;
    remote->socket = socket;
    remote->limit.expired = expired;
    remote->looked = false;
    if (starts && socket->stream->sending)
        (void)look(remote);
    begin_time(remote);
    return true;
}

void berth__socket_send_rest(berth_socket *socket)
{
    if (!socket->stream->sending)
        berth__loop_flush_later(socket->object.loop, &socket->flush);
    bool secured = socket->stream->ready.secured;
    bool unsent = socket->output.first != NULL || (secured && socket->stream->sending);
    if (!unsent && !berth__socket_cannot_send(socket))
        return; /* the kernel has it all, and only the announcement is left */
    /* The kernel's buffer of a connection that has sent nothing is empty and takes a part of the
     * output at once, whatever the peer does; if not all, `sent` comes here again. */
    bool certain = !socket->spoken && !socket->stream->sending && !secured;
    if (certain || socket->close_timeout == 0 || start_limit(socket))
        return;
    if (secured)
        berth__secure_give_up(socket);
    berth__socket_end_by_error(socket, BERTH_ERROR_SOCKET_RESOURCE, ENOMEM, BERTH__ATTEMPT_CLOSE);
}

uint64_t berth__socket_close_step(berth_socket *socket)
{
    berth_loop *loop = socket->object.loop;
    if (socket->remote == NULL || socket->remote->limit.place == 0)
        return UINT64_MAX;
    berth__deadline *limit = &socket->remote->limit;
    if (limit->time > berth__loop_clock(loop))
        return limit->time;
    berth__deadline_stop(&loop->deadlines, limit);
    limit->expired(limit);
    return 0;
}

uint32_t berth_socket_close_timeout(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    return socket->close_timeout;
}

void berth_socket_set_close_timeout(berth_socket *socket, uint32_t milliseconds)
{
    BERTH__OWN_THREAD(socket->object.loop);
    socket->close_timeout = milliseconds;
    if (socket->state != BERTH_STATE_CLOSING ||
        (socket->output.first == NULL && !socket->stream->ready.secured))
        return;
    berth__socket_stop_limit(socket);
    if (berth__flow_waits(berth__rates_flow(socket, BERTH__FLOW_OUTPUT)))
        return; /* it begins when there are tokens */
    berth__enter(&socket->object);
    berth__socket_send_rest(socket);
    berth__leave(&socket->object);
}
