/*
 * Guards: computing the next deadline, ending a connection by a limit, and the public functions
 * that set limits. See guard.h for the rules.
 *
 * A guard is made when a socket gets its first limit, and stays until the socket is freed; between
 * connections it only keeps the limits. A connection that a limit ends: it is counted, and leaves
 * the queue if it was there; error_occurred; then the end, by a reset if output was left, since the
 * kernel would keep what it has of it for as long as the peer likes. One that was in the queue is
 * freed. Any handler inside may free the socket, or begin another connection.
 *
 * The only failure is want of memory, when limits are set or a connection is accepted.
 */
#include "guard.h"

#include "base/sized.h"

#include <errno.h>

#define TICK ((uint64_t)BERTH_LIMIT_TICK * BERTH__MILLISECOND)
#define NEVER UINT64_MAX

const char *berth__limit_text(berth__limit limit)
{
    static const char *const texts[] = {
        [BERTH__LIMIT_NONE] = "a limit",
        [BERTH__LIMIT_FIRST_BYTE] = "its first byte did not come in time",
        [BERTH__LIMIT_IDLE] = "idle for too long",
        [BERTH__LIMIT_LIFETIME] = "it has lasted as long as it may",
        [BERTH__LIMIT_RATE] = "slower than the minimum rate",
        [BERTH__LIMIT_OUTPUT] = "more output than it may keep",
    };
    return texts[limit];
}

/* ---- ending by a limit ----------------------------------------------------------------------- */

static void count_close(berth_loop *loop, berth__owner *owner, berth__limit limit)
{
    loop->counts.limits_ended++;
    if (owner == NULL)
        return;
    berth_server_counts *counts = &owner->counts;
    uint64_t *const slots[] = {
        [BERTH__LIMIT_FIRST_BYTE] = &counts->closed_first_byte,
        [BERTH__LIMIT_IDLE] = &counts->closed_idle,
        [BERTH__LIMIT_LIFETIME] = &counts->closed_lifetime,
        [BERTH__LIMIT_RATE] = &counts->closed_rate,
        [BERTH__LIMIT_OUTPUT] = &counts->closed_output,
    };
    ++*slots[limit];
}

void berth__guard_close(berth_socket *socket, berth__limit limit)
{
    berth__owner *queue = socket->pending ? socket->owner : NULL;
    berth_error class =
        limit == BERTH__LIMIT_OUTPUT ? BERTH_ERROR_SOCKET_RESOURCE : BERTH_ERROR_SOCKET_TIMEOUT;
    count_close(socket->object.loop, socket->owner, limit);
    berth__enter(&socket->object);
    uint32_t endings = socket->endings;
    if (queue != NULL) {
        queue->counts.closed_pending++;
        queue->left_queue(queue, socket);
    }
    berth__socket_note_peer(socket);
    berth__socket_fail(socket, class, (int)limit, BERTH__ATTEMPT_KEEP);
    if (socket->endings == endings)
        berth__socket_drop(socket,
                           socket->output.first != NULL ? BERTH__CLOSE_RESET : BERTH__CLOSE_NORMAL);
    if (queue != NULL)
        berth_socket_free(socket);
    berth__leave(&socket->object);
}

/* ---- times ----------------------------------------------------------------------------------- */

/* Whether nothing can come because this side does not take it, which is not the peer's fault. */
static bool is_held_up(const berth_socket *socket)
{
    const berth__stream *stream = socket->stream;
    return socket->end_held ||
           (socket->state == BERTH_STATE_CONNECTED && !stream->receiving && !stream->ended);
}

/* Goes on to the next window of the rate if this one is over and has had enough. Returns when it is
 * due: in the past if it has not. */
static uint64_t rate_due(berth__guard *guard, uint64_t now)
{
    uint64_t length = guard->limits.rate_window > 0 ? guard->limits.rate_window
                                                    : (uint64_t)BERTH_DEFAULT_RATE_WINDOW;
    uint64_t due = berth__after(guard->window, length);
    if (due > now || guard->bytes < (guard->limits.minimum_rate * length + 999) / 1000)
        return due;
    /* At the time it was due, lest windows grow; but one that nobody looked at is no window. */
    uint64_t next = berth__after(due, length);
    guard->window = next > now ? due : now;
    guard->bytes = 0;
    return berth__after(guard->window, length);
}

static uint64_t lifetime_due(const berth__guard *guard)
{
    uint64_t lifetime = guard->limits.lifetime;
    return lifetime > 0 ? berth__after(guard->began, lifetime) : NEVER;
}

/* The earliest limit and when it is due. */
static berth__limit earliest(berth__guard *guard, uint64_t now, uint64_t *ret_due)
{
    const berth_socket *socket = guard->socket;
    const berth_connection_limits *limits = &guard->limits;
    berth__limit limit = BERTH__LIMIT_NONE;
    uint64_t due[] = {[BERTH__LIMIT_NONE] = NEVER,
                      [BERTH__LIMIT_FIRST_BYTE] = NEVER,
                      [BERTH__LIMIT_IDLE] = NEVER,
                      [BERTH__LIMIT_LIFETIME] = NEVER,
                      [BERTH__LIMIT_RATE] = NEVER};
    if (is_held_up(socket)) {
        guard->active = guard->window = now;
        guard->bytes = 0;
    }
    if (limits->first_byte > 0 && !socket->heard && socket->state == BERTH_STATE_CONNECTED)
        due[BERTH__LIMIT_FIRST_BYTE] = berth__after(guard->began, limits->first_byte);
    if (limits->idle > 0)
        due[BERTH__LIMIT_IDLE] = berth__after(guard->active, limits->idle);
    due[BERTH__LIMIT_LIFETIME] = lifetime_due(guard);
    if (limits->minimum_rate > 0)
        due[BERTH__LIMIT_RATE] = rate_due(guard, now);
    for (int i = BERTH__LIMIT_FIRST_BYTE; i <= BERTH__LIMIT_RATE; i++) {
        if (due[i] < due[limit])
            limit = (berth__limit)i;
    }
    *ret_due = due[limit];
    return limit;
}

/* Whether a limit that is over waits for what is in the ready list: until that has run, once. */
static bool spares(berth__guard *guard)
{
    berth__ready *ready = &guard->socket->stream->ready;
    if (!ready->queued || ready->pending == 0 || (guard->spared && !ready->overdue))
        return false;
    guard->spared = ready->overdue = true;
    return true;
}

/* Ends the connection if a limit is due, else sees to it that the next one is looked at. */
static void look(berth__guard *guard)
{
    berth_socket *socket = guard->socket;
    berth_loop *loop = socket->object.loop;
    if (!berth_socket_is_valid(socket) || socket->stream == NULL)
        return;
    if (guard->limits.lifetime > 0 && lifetime_due(guard) <= berth__loop_clock(loop)) {
        berth__guard_close(socket, BERTH__LIMIT_LIFETIME);
        return;
    }
    uint64_t due;
    berth__limit limit = earliest(guard, loop->time, &due);
    bool over = due <= loop->time;
    if (over && !spares(guard)) {
        berth__guard_close(socket, limit);
        return;
    }
    if (!over)
        guard->spared = false;
    if (due == NEVER)
        return;
    uint64_t rounded_up = (due + TICK - 1) / TICK * TICK;
    berth__deadline_start(&loop->timers, &guard->deadline, rounded_up);
}

static void expired(berth__deadline *deadline)
{
    look((berth__guard *)((char *)deadline - offsetof(berth__guard, deadline)));
}

uint64_t berth__guard_step(berth_socket *socket)
{
    berth__guard *guard = socket->guard;
    if (guard == NULL || guard->deadline.place == 0)
        return NEVER;
    if (guard->deadline.time <= socket->object.loop->time) {
        berth__deadline_stop(&socket->object.loop->timers, &guard->deadline);
        look(guard);
        if (socket->object.freed || guard->deadline.place == 0)
            return NEVER;
    }
    return guard->deadline.time;
}

uint64_t berth__guard_step_lifetime(berth_socket *socket)
{
    berth__guard *guard = socket->guard;
    uint64_t due = guard != NULL ? lifetime_due(guard) : NEVER;
    if (due > berth__loop_clock(socket->object.loop))
        return due;
    berth__guard_close(socket, BERTH__LIMIT_LIFETIME);
    return NEVER;
}

/* ---- life ------------------------------------------------------------------------------------ */

static berth__guard *guard_of(berth_socket *socket)
{
    berth_loop *loop = socket->object.loop;
    if (socket->guard != NULL)
        return socket->guard;
    berth__guard *guard = berth__recycler_take(&loop->guards, sizeof *guard);
    if (guard == NULL)
        return NULL;
    if (!berth__timers_reserve(&loop->timers)) {
        berth__recycler_give(&loop->guards, guard);
        return NULL;
    }
    /* From here on each wait leaves its time; nobody has looked at it before. */
    if (loop->guarded++ == 0)
        loop->time = berth__loop_clock(loop);
    guard->socket = socket;
    guard->deadline.expired = expired;
    socket->guard = guard;
    return guard;
}

void berth__guard_begin(berth_socket *socket)
{
    berth__guard *guard = socket->guard;
    if (guard == NULL || !berth_socket_is_valid(socket))
        return;
    berth_loop *loop = socket->object.loop;
    guard->began = guard->active = guard->window = berth__loop_clock(loop);
    guard->bytes = 0;
    guard->spared = false;
    berth__deadline_stop(&loop->timers, &guard->deadline);
    look(guard);
}

bool berth__guard_set(berth_socket *socket, const berth_connection_limits *limits)
{
    berth__guard *guard = guard_of(socket);
    if (guard == NULL)
        return false;
    guard->limits = *limits;
    berth__guard_begin(socket);
    return true;
}

void berth__guard_resume(berth_socket *socket)
{
    berth__guard *guard = socket->guard;
    guard->active = guard->window = berth__loop_clock(socket->object.loop);
    guard->bytes = 0;
}

void berth__guard_uncount(berth_socket *socket)
{
    berth__owner *owner = socket->owner;
    if (!socket->counted)
        return;
    owner->counts.live--;
    if (socket->guard != NULL && socket->guard->address != NULL) {
        berth__tally_remove(&owner->roll->tally, socket->guard->address);
        socket->guard->address = NULL;
    }
    socket->counted = false;
    if (!socket->pending)
        socket->owner = NULL;
}

berth__place berth__guard_take_place(berth_socket *socket)
{
    berth__tally_entry *entry = NULL;
    if (!socket->counted)
        return (berth__place){0};
    if (socket->guard != NULL) {
        entry = socket->guard->address;
        socket->guard->address = NULL;
    }
    return berth__place_take(socket->owner->roll, entry);
}

void berth__guard_end(berth_socket *socket)
{
    if (socket->counted)
        berth__guard_uncount(socket);
    if (socket->guard != NULL)
        berth__deadline_stop(&socket->object.loop->timers, &socket->guard->deadline);
}

void berth__guard_free(berth_socket *socket)
{
    berth__guard *guard = socket->guard;
    berth_loop *loop = socket->object.loop;
    berth__deadline_stop(&loop->timers, &guard->deadline);
    berth__timers_unreserve(&loop->timers);
    loop->guarded--;
    socket->guard = NULL;
    berth__recycler_give(&loop->guards, guard);
}

/* ---- output and settings --------------------------------------------------------------------- */

bool berth__guard_exceeded(const berth_socket *socket, size_t size)
{
    size_t limit = socket->guard->limits.output;
    return limit > 0 && (berth__chain_size(&socket->output) > limit ||
                         size > limit - berth__chain_size(&socket->output));
}

bool berth__limits_none(const berth_connection_limits *limits)
{
    return limits->first_byte == 0 && limits->idle == 0 && limits->lifetime == 0 &&
           limits->minimum_rate == 0 && limits->output == 0;
}

bool berth_socket_set_limits_sized(berth_socket *socket, const berth_connection_limits *limits,
                                   size_t size)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (socket->object.freed)
        return false;
    berth_connection_limits known;
    berth__sized_get(&known, sizeof known, limits, size);
    if (berth__limits_none(&known) && socket->guard == NULL)
        return true;
    if (!berth__guard_set(socket, &known)) {
        berth__socket_set_error(socket, BERTH_ERROR_SOCKET_RESOURCE, ENOMEM,
                                BERTH__ATTEMPT_NOTHING);
        return false;
    }
    berth__loop_touch(socket->object.loop);
    return true;
}

void berth_socket_limits_sized(const berth_socket *socket, berth_connection_limits *ret_limits,
                               size_t size)
{
    BERTH__OWN_THREAD(socket->object.loop);
    const berth_connection_limits none = {0};
    berth__sized_put(ret_limits, size, socket->guard != NULL ? &socket->guard->limits : &none,
                     sizeof none);
}
