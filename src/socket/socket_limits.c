/*
 * A socket under its limits: looking at them when one is due, ending the connection, its place
 * among those of its server and its address, and the public functions that set limits.
 *
 * The object is made when a socket gets its first limit, and stays until the socket is freed;
 * between connections it only keeps the limits. A connection that a limit ends: it is counted, and
 * leaves the queue if it was there; error_occurred; then the end, by a reset if output was left,
 * since the kernel would keep what it has of it for as long as the peer likes. One that was in the
 * queue is freed. Any handler inside may free the socket, or begin another connection.
 *
 * The only failure is want of memory, when limits are set or a connection is accepted.
 */
#include "secure.h"

#include "base/count.h"
#include "base/probe.h"
#include "base/sized.h"
#include "connection_limits.h"

#include <errno.h>

#define TICK ((uint64_t)BERTH_LIMIT_TICK * BERTH__MILLISECOND)
#define NEVER UINT64_MAX

/* ---- ending by a limit ----------------------------------------------------------------------- */

static void count_close(berth_loop *loop, berth__owner *owner, berth__limit limit)
{
    loop->counts.limits_ended += limit != BERTH__LIMIT_DRAIN;
    if (owner == NULL)
        return;
    berth_server_counts *counts = &owner->counts;
    uint64_t *const slots[] = {
        [BERTH__LIMIT_FIRST_BYTE] = &counts->closed_first_byte,
        [BERTH__LIMIT_IDLE] = &counts->closed_idle,
        [BERTH__LIMIT_LIFETIME] = &counts->closed_lifetime,
        [BERTH__LIMIT_RATE] = &counts->closed_rate,
        [BERTH__LIMIT_OUTPUT] = &counts->closed_output,
        [BERTH__LIMIT_DRAIN] = &counts->closed_drain,
    };
    BERTH__COUNT(*slots[limit]);
}

static int descriptor_of(const berth_socket *socket)
{
    return socket->stream != NULL ? socket->stream->descriptor : -1;
}

void berth__limits_close(berth_socket *socket, berth__limit limit)
{
    berth__owner *queue = socket->pending ? socket->owner : NULL;
    berth_error class =
        limit == BERTH__LIMIT_OUTPUT ? BERTH_ERROR_SOCKET_RESOURCE : BERTH_ERROR_SOCKET_TIMEOUT;
    BERTH__PROBE3(limit, socket, descriptor_of(socket), (int)limit);
    count_close(socket->object.loop, socket->owner, limit);
    berth__enter(&socket->object);
    uint32_t endings = socket->endings;
    if (queue != NULL) {
        uint64_t *why =
            limit == BERTH__LIMIT_DRAIN ? &queue->counts.dropped : &queue->counts.closed_pending;
        BERTH__COUNT(*why);
        queue->left_queue(queue, socket);
    }
    berth__socket_note_peer(socket);
    berth__socket_fail(socket, class, (int)limit, BERTH__ATTEMPT_KEEP);
    bool resets = socket->output.first != NULL || limit == BERTH__LIMIT_DRAIN;
    if (socket->endings == endings && !resets && socket->stream->ready.secured)
        (void)berth__secure_say_end(socket); /* as far as there is room: it is not waited for */
    if (socket->endings == endings)
        berth__socket_drop(socket, resets ? BERTH__CLOSE_RESET : BERTH__CLOSE_NORMAL);
    if (queue != NULL)
        berth_socket_free(socket);
    berth__leave(&socket->object);
}

/* ---- looking at them ------------------------------------------------------------------------- */

/* Whether nothing can come because this side does not take it, which is not the peer's fault. */
static bool is_held_up(const berth_socket *socket)
{
    const berth__stream *stream = socket->stream;
    if (socket->pending && socket->holed) /* its send has failed: nothing will come any more */
        return false;
    return socket->end_held || socket->paused ||
           (socket->state == BERTH_STATE_CONNECTED && !stream->receiving && !stream->ended);
}

/* Whether nothing can go either: output that waits is the peer's affair, but for want of tokens. */
static bool is_standing(const berth_socket *socket)
{
    return berth__flow_waits(berth__rates_flow(socket, BERTH__FLOW_OUTPUT)) ||
           (is_held_up(socket) && socket->output.first == NULL);
}

/* Whether a limit that is over waits for what is in the ready list: until that has run, once. */
static bool spares(berth__socket_limits *limits)
{
    bool runs = berth__ready_spares(&limits->socket->stream->ready, limits->spared);
    limits->spared = limits->spared || runs;
    return runs;
}

/* Bytes that the peer has not acknowledged. */
static size_t in_transit(const berth_socket *socket)
{
    berth__backend *backend = socket->object.loop->backend;
    return socket->stream != NULL ? backend->operations->in_transit(backend, socket->stream) : 0;
}

/* Bytes of the peer that this side has not been free to take. */
static size_t unread(const berth_socket *socket)
{
    berth__backend *backend = socket->object.loop->backend;
    return backend->operations->input(backend, socket->stream);
}

/* Ends the connection if a limit is due, else sees to it that the next one is looked at. */
static void look(berth__socket_limits *limits)
{
    berth_socket *socket = limits->socket;
    berth_loop *loop = socket->object.loop;
    if (!berth_socket_is_valid(socket) || socket->stream == NULL)
        return;
    if (limits->given.lifetime > 0 && berth__lifetime_due(limits) <= berth__loop_clock(loop)) {
        berth__limits_close(socket, BERTH__LIMIT_LIFETIME);
        return;
    }
    bool stands = is_standing(socket);
    berth__limits_view view = {
        .silent = !socket->heard && socket->state == BERTH_STATE_CONNECTED,
        .held_up = stands || is_held_up(socket),
        .stands = stands,
        .unsent = berth__socket_unsent(socket),
        .owes = socket->output.first != NULL,
        .spoken = socket->spoken,
        .clock = berth__loop_clock(loop),
    };
    if (berth__limits_asks(limits, &view, loop->time))
        berth__limits_look(limits, &view, in_transit(socket), loop->time);
    uint64_t due;
    berth__limit limit = berth__limits_earliest(limits, &view, loop->time, &due);
    bool over;
    while ((over = due <= loop->time) && !spares(limits)) {
        /* While it closes nobody will take what has come. */
        bool sends = limit == BERTH__LIMIT_RATE && !view.held_up && socket->stream->receiving;
        if (!sends || !berth__limits_makes_up(limits, unread(socket), view.clock)) {
            berth__limits_close(socket, limit);
            return;
        }
        limit = berth__limits_earliest(limits, &view, loop->time, &due);
    }
    if (!over)
        limits->spared = false;
    if (due == NEVER)
        return;
    uint64_t rounded_up = (due + TICK - 1) / TICK * TICK;
    berth__deadline_start(&loop->deadlines, &limits->deadline, rounded_up);
}

static void expired(berth__deadline *deadline)
{
    look((berth__socket_limits *)((char *)deadline - offsetof(berth__socket_limits, deadline)));
}

uint64_t berth__limits_step(berth_socket *socket)
{
    berth__socket_limits *limits = socket->limits;
    if (limits == NULL || limits->deadline.place == 0)
        return NEVER;
    if (limits->deadline.time <= socket->object.loop->time) {
        berth__deadline_stop(&socket->object.loop->deadlines, &limits->deadline);
        look(limits);
        if (socket->object.freed || limits->deadline.place == 0)
            return NEVER;
    }
    return limits->deadline.time;
}

uint64_t berth__limits_step_lifetime(berth_socket *socket)
{
    berth__socket_limits *limits = socket->limits;
    uint64_t due = limits != NULL ? berth__lifetime_due(limits) : NEVER;
    if (due > berth__loop_clock(socket->object.loop))
        return due;
    berth__limits_close(socket, BERTH__LIMIT_LIFETIME);
    return NEVER;
}

/* ---- life ------------------------------------------------------------------------------------ */

berth__socket_limits *berth__limits_of(berth_socket *socket)
{
    berth_loop *loop = socket->object.loop;
    if (socket->limits != NULL)
        return socket->limits;
    berth__socket_limits *limits = berth__free_list_take(&loop->free_limits, sizeof *limits);
    if (limits == NULL)
        return NULL;
    if (!berth__deadlines_reserve(&loop->deadlines)) {
        berth__free_list_give(&loop->free_limits, limits);
        return NULL;
    }
    /* From here on each wait leaves its time; nobody has looked at it before. */
    berth__loop_time_begin(loop);
    limits->socket = socket;
    limits->deadline.expired = expired;
    socket->limits = limits;
    return limits;
}

void berth__limits_begin(berth_socket *socket)
{
    berth__socket_limits *limits = socket->limits;
    if (limits == NULL || !berth_socket_is_valid(socket))
        return;
    berth_loop *loop = socket->object.loop;
    berth__limits_start(limits, socket->spoken ? in_transit(socket) : 0, berth__loop_clock(loop));
    berth__deadline_stop(&loop->deadlines, &limits->deadline);
    look(limits);
}

bool berth__limits_set(berth_socket *socket, const berth_connection_limits *given)
{
    berth__socket_limits *limits = berth__limits_of(socket);
    if (limits == NULL)
        return false;
    limits->given = *given;
    berth__limits_begin(socket);
    return true;
}

void berth__limits_output_begins(berth_socket *socket)
{
    if (socket->stream != NULL && is_standing(socket))
        berth__limits_resume(socket);
}

void berth__limits_resume(berth_socket *socket)
{
    berth__limits_go_on(socket->limits, berth__loop_clock(socket->object.loop));
}

void berth__limits_uncount(berth_socket *socket)
{
    berth__owner *owner = socket->owner;
    if (!socket->counted)
        return;
    BERTH__UNCOUNT(owner->counts.live);
    if (socket->limits != NULL && socket->limits->address != NULL) {
        berth__address_counts_remove(&owner->roll->counts, socket->limits->address);
        socket->limits->address = NULL;
    }
    socket->counted = false;
    if (!socket->pending)
        socket->owner = NULL;
    if (owner->left != NULL)
        owner->left(owner, socket);
}

berth__place berth__limits_take_place(berth_socket *socket)
{
    berth__address_count *entry = NULL;
    if (!socket->counted)
        return (berth__place){0};
    if (socket->limits != NULL) {
        entry = socket->limits->address;
        socket->limits->address = NULL;
    }
    return berth__place_take(socket->owner->roll, entry);
}

void berth__limits_end(berth_socket *socket)
{
    if (socket->counted)
        berth__limits_uncount(socket);
    if (socket->limits == NULL)
        return;
    berth__deadline_stop(&socket->object.loop->deadlines, &socket->limits->deadline);
    bool sending = socket->stream != NULL && socket->stream->sending;
    if (socket->limits->rates != NULL)
        berth__rates_end(socket->limits->rates, sending);
}

void berth__limits_free(berth_socket *socket)
{
    berth__socket_limits *limits = socket->limits;
    berth_loop *loop = socket->object.loop;
    berth__deadline_stop(&loop->deadlines, &limits->deadline);
    berth__deadlines_unreserve(&loop->deadlines);
    berth__loop_time_end(loop);
    if (limits->rates != NULL)
        berth__rates_free(limits->rates);
    socket->limits = NULL;
    berth__free_list_give(&loop->free_limits, limits);
}

/* ---- output and settings --------------------------------------------------------------------- */

bool berth__limits_exceeded(const berth_socket *socket, size_t size)
{
    size_t limit = socket->limits->given.output;
    return limit > 0 && (berth__chain_size(&socket->output) > limit ||
                         size > limit - berth__chain_size(&socket->output));
}

bool berth_socket_set_limits_sized(berth_socket *socket, const berth_connection_limits *limits,
                                   size_t size)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (socket->object.freed)
        return false;
    berth_connection_limits known;
    berth__sized_get(&known, sizeof known, limits, size);
    if (berth__limits_none(&known) && socket->limits == NULL)
        return true;
    if (!berth__limits_set(socket, &known)) {
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
    berth__sized_put(ret_limits, size, socket->limits != NULL ? &socket->limits->given : &none,
                     sizeof none);
}
