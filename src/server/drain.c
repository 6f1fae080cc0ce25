/*
 * Draining: see server.h for the phases.
 *
 * A run takes steps (advance) until there is nothing to do at the moment, or its time is over. Then
 * it sets the deadline for the next run. Every step may call handlers of the program. A handler may
 * close or free the server, drain it again, or turn the loop: then the next run of the same drain
 * takes place inside this one, and inside that one the deadline is kept. Therefore the record
 * holds the whole state of the drain, no step touches it after a handler, and a run ends when
 * `number` has changed.
 *
 * When `draining` is called: the walk of LEAVING visits all sockets that the server had when it
 * stopped listening. A pending socket has no handlers yet. When it is taken it joins the list
 * `fresh`, by the link that the queue used, and its handler is called in the next run. object.own
 * of each socket holds its drain_mark.
 *
 * A socket is idle if it has no output, no unread input here or in the kernel, and has received
 * nothing for the idle time. Each walk clears `received` of the socket, which a blocking wait uses
 * too. A socket that is in use on the stack is busy: a wait there may need that flag. The time
 * between two walks is a quarter of the idle time, and a socket counts the quarters.
 *
 * Nothing here can fail.
 */
#include "base/count.h"
#include "base/sized.h"
#include "loop/loop.h"
#include "server.h"
#include "socket/connection_limits.h"
#include "socket/socket.h"

#define NEVER UINT64_MAX

/* Steps in one run, and steps between two looks at the clock. */
#define MOST_STEPS 64u
#define PACE 8u

/* What LAST accepts at most, since a flood might never end; and how long it waits, in milliseconds,
 * while the queue is full. */
#define MOST_LAST ((uint64_t)4096)
#define LAST_TIME ((uint64_t)1000)

#define QUARTERS 4u

/* In object.own of a socket. */
typedef enum drain_mark {
    UNSEEN,
    FRESH, /* in the list of that name */
    TOLD,
    QUIET /* nothing has come since the last walk; and for so many quarters more */
} drain_mark;

_Static_assert(QUIET + QUARTERS < 16, "object.own has four bits");

static berth_server *server_of(berth__owner *owner)
{
    return (berth_server *)((char *)owner - offsetof(berth_server, owner));
}

static uint64_t clock_of(const berth_server *server)
{
    return berth__loop_clock(server->object.loop);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void mark(berth_socket *socket, unsigned value)
{
    socket->object.own = value & 15u;
}

static bool is_empty(const berth_server *server)
{
    const berth_server_counts *counts = &server->owner.counts;
    return counts->live == 0 && counts->at_hand == 0 && server->pending_count == 0 &&
           server->awaiting == 0 && server->greeting == 0;
}

static void run_at(berth_server *server, uint64_t time)
{
    berth__deadline_start(&server->object.loop->deadlines, &server->drain.timer, time);
    berth__loop_touch(server->object.loop);
}

/* Now, not at an earlier time: the loop would try to catch up. */
static void run_soon(berth_server *server)
{
    run_at(server, clock_of(server));
}

/* ---- sockets that were taken ----------------------------------------------------------------- */

static void forget_fresh(berth_server *server, berth_socket *socket)
{
    berth__drain *drain = &server->drain;
    berth__server_unlink(&drain->fresh, &drain->fresh_end, socket);
    mark(socket, UNSEEN);
}

void berth__drain_taken(berth_server *server, berth_socket *socket)
{
    if (socket->object.own == TOLD)
        return;
    mark(socket, FRESH);
    berth__server_append(&server->drain.fresh_end, socket);
    run_soon(server);
}

void berth__drain_requeued(berth_server *server, berth_socket *socket)
{
    if (socket->object.own == FRESH)
        forget_fresh(server, socket);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void settle(berth_server *server, berth__drain_phase phase)
{
    berth__drain *drain = &server->drain;
    drain->phase = phase;
    drain->number++;
    while (drain->fresh != NULL)
        forget_fresh(server, drain->fresh);
    server->owner.left = NULL;
    berth__walk_end(&drain->walk);
    berth__deadline_stop(&server->object.loop->deadlines, &drain->timer);
}

void berth__drain_stop(berth_server *server)
{
    if (server->drain.phase != BERTH__DRAIN_OFF)
        settle(server, BERTH__DRAIN_OFF);
}

static void finish(berth_server *server)
{
    bool forced = server->drain.forced;
    settle(server, BERTH__DRAIN_OVER);
    if (BERTH__SLOT(server->handlers, server->object.handlers_size, berth_server_handlers,
                    emptied) != NULL)
        server->handlers->emptied(server, forced, server->user);
}

/* ---- one connection -------------------------------------------------------------------------- */

static bool is_busy(const berth_socket *socket)
{
    const berth__stream *stream = socket->stream;
    berth__backend *backend = socket->object.loop->backend;
    return socket->object.frames > 0 || berth__socket_has_output(socket) ||
           berth__chain_size(&socket->input) > 0 || socket->received ||
           (stream->ready.queued && (stream->ready.pending & BERTH__READY_RECEIVE)) ||
           backend->operations->input(backend, stream) > 0;
}

static void look_at(berth_server *server, berth_socket *socket)
{
    (void)server;
    mark(socket, socket->counted && !socket->pending ? QUIET : UNSEEN);
    if (socket->object.frames == 0)
        socket->received = false;
}

/* Whether it was quiet for the idle time, which begins again when it is busy, and begins with the
 * first walk that visits it. */
static bool is_idle(berth_server *server, berth_socket *socket)
{
    const berth__drain *drain = &server->drain;
    uint64_t quarters = 0;
    if (socket->object.own >= QUIET && !is_busy(socket))
        quarters = socket->object.own - QUIET + (clock_of(server) - drain->looked) / drain->quarter;
    if (socket->object.frames == 0)
        socket->received = false;
    mark(socket, QUIET + (unsigned)earlier(quarters, QUARTERS));
    return quarters >= QUARTERS;
}

static void set_next(berth_server *server, uint64_t from)
{
    uint64_t tick = BERTH_LIMIT_TICK * BERTH__MILLISECOND;
    server->drain.next = from + (server->drain.quarter > tick ? server->drain.quarter : tick);
}

/* Calls `draining`; false if it has no such handler. */
static bool tell(berth_socket *socket)
{
    if (BERTH__SOCKET_SLOT(socket, draining) == NULL)
        return false;
    mark(socket, TOLD);
    berth__enter(&socket->object);
    BERTH__CALL(socket, draining, socket);
    berth__leave(&socket->object);
    return true;
}

static void see_off(berth_server *server, berth_socket *socket)
{
    unsigned own = socket->object.own;
    if (!socket->counted || socket->pending || socket->state != BERTH_STATE_CONNECTED ||
        own == TOLD || own == FRESH || tell(socket))
        return;
    if (is_idle(server, socket))
        berth_socket_disconnect_from_host(socket);
    else if (server->drain.next == NEVER)
        set_next(server, clock_of(server));
}

static void greet(berth_server *server, berth_socket *socket)
{
    forget_fresh(server, socket);
    if (socket->state != BERTH_STATE_CONNECTED)
        return; /* it is being ended already */
    if (!tell(socket) && server->drain.next == NEVER)
        set_next(server, clock_of(server)); /* that walk comes by for the first time */
}

static void force(berth_server *server, berth_socket *socket)
{
    if (socket->owner != &server->owner)
        return; /* neither counted nor in the queue, or in another's */
    server->drain.forced = true;
    if (berth_socket_is_valid(socket)) {
        berth__limits_close(socket, BERTH__LIMIT_DRAIN);
        return;
    }
    BERTH__COUNT(server->owner.counts.closed_drain);
    berth_socket_free(socket); /* in the queue, and without a connection */
}

/* Ends those that have not come into the queue. Returns whether there were any. */
static bool force_early(berth_server *server)
{
    if (server->awaiting + server->greeting == 0)
        return false;
    server->drain.forced = true;
    BERTH__COUNT_MANY(server->owner.counts.closed_drain, server->awaiting + server->greeting);
    berth__server_drop_awaiting(server);
    berth__server_drop_greetings(server);
    return true;
}

bool berth__drain_force_pending(berth_server *server)
{
    berth_socket *first = server->pending;
    if (first == NULL)
        return force_early(server);
    force(server, first);
    return true;
}

/* ---- the steps: whether another may follow at once ------------------------------------------- */

static void begin_walk(berth_server *server)
{
    server->drain.next = NEVER;
    berth__walk_begin(&server->drain.walk, server->object.loop, server->owner.children);
}

/* Visits the next socket; false at the end of the walk. */
static bool walk_on(berth_server *server, void (*visit)(berth_server *, berth_socket *))
{
    berth__object *object = berth__walk_on(&server->drain.walk);
    if (object != NULL)
        visit(server, (berth_socket *)object);
    return object != NULL;
}

static bool look_on(berth_server *server)
{
    berth__drain *drain = &server->drain;
    if (walk_on(server, look_at))
        return true;
    drain->looked = clock_of(server);
    drain->phase = BERTH__DRAIN_GRACE;
    return true;
}

static void leave(berth_server *server)
{
    server->drain.phase = BERTH__DRAIN_LEAVING;
    begin_walk(server);
    /* Whoever has said nothing keeps nobody waiting for longer than an idle connection does. */
    berth__server_drain_greetings(server);
    berth__server_stop_accepting(server);
    berth__server_pace(server); /* nothing is paused any more */
}

static bool grace_is_over(berth_server *server)
{
    berth__drain *drain = &server->drain;
    uint64_t now = clock_of(server);
    if (now < drain->closes && now < drain->ends)
        return false;
    bool handed_over = atomic_load(&server->succession) == BERTH__LISTENERS_HANDED_OVER;
    if (server->listener == NULL || handed_over || server->paused_by_error) {
        leave(server);
        return true;
    }
    drain->phase = BERTH__DRAIN_LAST;
    drain->last = now;
    drain->accepted = server->owner.counts.accepted;
    berth__server_pace(server);
    return true;
}

/* Whether a connection waits in the kernel. */
static bool is_waited_for(const berth_server *server)
{
    berth__backend *backend = server->object.loop->backend;
    for (berth__listener *one = server->listener; one != NULL; one = one->other) {
        if (backend->operations->has_connection(backend, one))
            return true;
    }
    return false;
}

/* Whether LAST has accepted all that there is, or all that it may. */
static bool has_accepted(berth_server *server)
{
    const berth__drain *drain = &server->drain;
    uint64_t now = clock_of(server);
    return server->listener == NULL || server->paused_by_error || server->limit <= 0 ||
           now >= drain->ends || now >= berth__after(drain->last, LAST_TIME) ||
           server->owner.counts.accepted - drain->accepted >= MOST_LAST || !is_waited_for(server);
}

static bool accept_last(berth_server *server)
{
    if (!has_accepted(server))
        return false;
    leave(server);
    return true;
}

static bool see_off_next(berth_server *server)
{
    berth__drain *drain = &server->drain;
    uint64_t now = clock_of(server);
    if (now >= drain->ends) {
        drain->phase = BERTH__DRAIN_FORCING;
        begin_walk(server);
        return true;
    }
    if (is_empty(server)) {
        finish(server);
        return false;
    }
    if (drain->fresh != NULL) {
        greet(server, drain->fresh);
        return true;
    }
    bool walks = drain->walk.link != NULL;
    if (!walks && now < drain->next)
        return false;
    if (!walks)
        begin_walk(server);
    if (walk_on(server, see_off))
        return true;
    drain->looked = clock_of(server);
    if (drain->next != NEVER)
        set_next(server, drain->looked);
    return true;
}

static bool force_next(berth_server *server)
{
    if (walk_on(server, force))
        return true;
    if (server->pending != NULL) { /* of other servers, or without a connection */
        force(server, server->pending);
        return true;
    }
    if (force_early(server))
        return true;
    if (is_empty(server)) {
        finish(server);
        return false;
    }
    begin_walk(server); /* the program has added some */
    return server->owner.counts.live > 0;
}

static bool advance(berth_server *server)
{
    switch (server->drain.phase) {
    case BERTH__DRAIN_LOOKING:
        return look_on(server);
    case BERTH__DRAIN_GRACE:
        return grace_is_over(server);
    case BERTH__DRAIN_LAST:
        return accept_last(server);
    case BERTH__DRAIN_LEAVING:
        return see_off_next(server);
    case BERTH__DRAIN_FORCING:
        return force_next(server);
    case BERTH__DRAIN_OFF:
    case BERTH__DRAIN_OVER:
        break;
    }
    return false;
}

/* ---- time ------------------------------------------------------------------------------------ */

/* When the next run is due. In FORCING only a connection at hand is left, whose end is noticed
 * without a timer. */
static uint64_t next_time(const berth_server *server)
{
    const berth__drain *drain = &server->drain;
    uint64_t next = NEVER;
    if (drain->phase == BERTH__DRAIN_GRACE)
        next = drain->closes;
    else if (drain->phase == BERTH__DRAIN_LAST && server->listener->credit > 0)
        next = clock_of(server); /* after the next turn's connections */
    else if (drain->phase == BERTH__DRAIN_LAST)
        next = berth__after(clock_of(server), BERTH_LIMIT_TICK);
    else if (drain->phase == BERTH__DRAIN_LEAVING)
        next = drain->next;
    else
        return NEVER;
    return next < drain->ends ? next : drain->ends;
}

/* What is due while a handler turns the loop. In a run inside another nothing but the deadline is,
 * and not while that is at work: else handlers which all turn the loop would pile up. */
static void arm_for_handlers(berth_server *server)
{
    const berth__drain *drain = &server->drain;
    if (!drain->runs)
        run_soon(server);
    else if (drain->phase != BERTH__DRAIN_FORCING && drain->ends != NEVER)
        run_at(server, drain->ends);
}

static void arm_for_next(berth_server *server, bool more)
{
    uint64_t next = more ? clock_of(server) : next_time(server);
    if (next != NEVER)
        run_at(server, next);
    else
        berth__deadline_stop(&server->object.loop->deadlines, &server->drain.timer);
}

static void run(berth_server *server)
{
    berth_loop *loop = server->object.loop;
    berth__drain *drain = &server->drain;
    uint32_t number = drain->number;
    uint64_t enough = berth__after(clock_of(server), 1);
    bool inside = drain->runs;
    bool more = true;
    berth__enter(&server->object);
    arm_for_handlers(server);
    drain->runs = true;
    for (unsigned steps = 0; more && steps < MOST_STEPS && !loop->inherited; steps++) {
        if (steps % PACE == PACE - 1 && clock_of(server) >= enough)
            break;
        more = advance(server) && drain->number == number;
    }
    if (drain->number == number)
        arm_for_next(server, more);
    drain->runs = inside;
    berth__leave(&server->object);
}

static void expired(berth__deadline *deadline)
{
    run((berth_server *)((char *)deadline - offsetof(berth_server, drain.timer)));
}

uint64_t berth__drain_step(berth_server *server)
{
    berth__deadline *timer = &server->drain.timer;
    if (timer->place == 0)
        return NEVER;
    if (timer->time <= clock_of(server)) {
        berth__deadline_stop(&server->object.loop->deadlines, timer);
        run(server);
    }
    return !server->object.freed && timer->place != 0 ? timer->time : NEVER;
}

void berth__drain_look(berth_server *server)
{
    berth__drain_phase phase = server->drain.phase;
    if (phase == BERTH__DRAIN_LAST || phase == BERTH__DRAIN_FORCING ||
        (phase == BERTH__DRAIN_LEAVING && is_empty(server)))
        run_soon(server);
}

uint64_t berth__drain_idle(const berth_server *server)
{
    return server->drain.phase == BERTH__DRAIN_LEAVING ? QUARTERS * server->drain.quarter : NEVER;
}

static void left(berth__owner *owner, berth_socket *socket)
{
    berth_server *server = server_of(owner);
    if (socket->object.own == FRESH)
        forget_fresh(server, socket);
    mark(socket, UNSEEN);
    berth__drain_look(server);
}

/* ---- beginning ------------------------------------------------------------------------------- */

void berth__drain_init(berth_server *server)
{
    server->drain.fresh_end = &server->drain.fresh;
    server->drain.timer.expired = expired;
}

bool berth__drain_forbids(const berth_server *server)
{
    return server->drain.phase != BERTH__DRAIN_OFF && server->drain.phase != BERTH__DRAIN_OVER;
}

void berth__drain_forget(berth_server *server)
{
    assert(!berth__drain_forbids(server));
    server->drain.phase = BERTH__DRAIN_OFF;
}

/* The times of a drain: those of the plan where they are shorter. */
static void shorten(berth_server *server, const berth_drain *plan)
{
    berth__drain *drain = &server->drain;
    uint64_t now = clock_of(server);
    drain->closes = earlier(drain->closes, berth__after(now, plan->grace));
    if (plan->deadline > 0)
        drain->ends = earlier(drain->ends, berth__after(now, plan->deadline));
    if (plan->idle == 0)
        return;
    uint64_t quarter = (uint64_t)plan->idle * BERTH__MILLISECOND / QUARTERS;
    drain->quarter = earlier(drain->quarter, quarter);
    if (drain->next != NEVER)
        set_next(server, drain->looked);
    if (drain->phase == BERTH__DRAIN_LEAVING)
        berth__server_hurry_silent(server);
}

static void begin(berth_server *server)
{
    berth__drain *drain = &server->drain;
    drain->phase = BERTH__DRAIN_LOOKING;
    drain->number++;
    drain->forced = false;
    drain->closes = drain->ends = drain->next = drain->quarter = NEVER;
    server->owner.left = left;
    begin_walk(server);
}

bool berth_server_drain_sized(berth_server *server, const berth_drain *plan, size_t size)
{
    BERTH__OWN_THREAD(server->object.loop);
    if (server->object.freed || berth__server_is_copy(server, "drain the server"))
        return false;
    if (server->drain.phase == BERTH__DRAIN_OVER)
        return true;
    berth_drain known;
    berth__sized_get(&known, sizeof known, plan, size);
    if (server->drain.phase == BERTH__DRAIN_OFF) {
        begin(server);
        known.idle = known.idle > 0 ? known.idle : BERTH_DEFAULT_DRAIN_IDLE;
    }
    shorten(server, &known);
    run_soon(server);
    return true;
}

berth_drain_state berth_server_drain_state(const berth_server *server)
{
    static const berth_drain_state states[] = {
        [BERTH__DRAIN_OFF] = BERTH_DRAIN_NONE,
        [BERTH__DRAIN_LOOKING] = BERTH_DRAIN_GRACE,
        [BERTH__DRAIN_GRACE] = BERTH_DRAIN_GRACE,
        [BERTH__DRAIN_LAST] = BERTH_DRAIN_GRACE,
        [BERTH__DRAIN_LEAVING] = BERTH_DRAIN_DRAINING,
        [BERTH__DRAIN_FORCING] = BERTH_DRAIN_DRAINING,
        [BERTH__DRAIN_OVER] = BERTH_DRAIN_EMPTY,
    };
    BERTH__OWN_THREAD(server->object.loop);
    return states[server->drain.phase];
}

/* ---- each socket ----------------------------------------------------------------------------- */

void berth_server_each_socket(berth_server *server, berth_socket_visitor visitor, void *user)
{
    BERTH__OWN_THREAD(server->object.loop);
    if (server->object.freed)
        return;
    berth__walk walk = {0};
    berth__enter(&server->object);
    berth__walk_begin(&walk, server->object.loop, server->owner.children);
    for (berth__object *object; (object = berth__walk_on(&walk)) != NULL;) {
        berth_socket *socket = (berth_socket *)object;
        if (!socket->pending)
            visitor(socket, user);
    }
    berth__leave(&server->object);
}
