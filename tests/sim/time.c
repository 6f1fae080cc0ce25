/*
 * What has to hold of time.
 *
 * A wait returns when its time is over, but for one bounded run of the loop. On the simulated
 * kernel the time that a wait has slept is known apart from the time that work has taken, so that
 * the first can be judged to the millisecond, and the second by what has run: after the end of a
 * wait there come few handlers more.
 *
 * A turn has cause. It sleeps as long as it may, or something has run: an event, a task, a timer.
 * And what was due when it began has run when it ends, nested or not: timers, and the limits of
 * connections, attempts and ends.
 *
 * Limits that depend on bytes are held against the time of the loop's last wait, and let a
 * connection off that has news, once. So they have some turns more. When bytes have gone is noted
 * after each step and each handler, which is never before they went: what is overdue here has been
 * so in the library.
 *
 * Nor may they end a connection whose peer takes what the kernel has for it, within the time. How
 * much that is can be seen in the simulated kernel only, and not whether it was taken, or lost by a
 * reset, when nothing is left. The library looks when the time is over, so once bytes have gone an
 * end may come within twice the time.
 *
 * Accepting that fails stops with one accept_error, until a connection has come, or the program has
 * resumed; and is tried again less and less often.
 */
#include "calls.h"
#include "world.h"

#include <string.h>

#define MILLISECOND UINT64_C(1000000)

/* Two phases of a wait count their rest in whole milliseconds. */
#define ROUNDING (2 * MILLISECOND)
/* A blocking wait runs a few records past its time, each of which may call 64 times; and so once
 * more, after it has asked the kernel for the last time. */
#define LATE_HANDLERS 640u
#define IDLE_TURNS 5u /* memory that is not used is given back in turns of their own */
/* Turns that a limit of bytes may wait for: one without a look at the kernel, one in which it lets
 * the connection off, and one more. */
#define OVERDUE_TURNS 4u
/* Those of an end: one without a look at the kernel, and one in which it says what it has taken. */
#define CLOSING_TURNS 2u
/* Those of an attempt: likewise, and two more, since what has come for it may be behind others in
 * the list, of which a turn with late timers runs a few. */
#define CONNECTING_TURNS 4u
#define DRAINING_TURNS 3u
#define SHORTEST_PAUSE 5u
#define LONGEST_PAUSE 1000u
#define ENOUGH_TO_BE_TOLD 40u /* milliseconds of the loop, while accepting fails */
#define ON_THE_WAY 100u       /* milliseconds, for news of the kernel */
#define BACKLOG_TURNS 10u     /* likewise */
#define LOOKS 10u             /* at the kernel, until it is heard what it has taken */

static struct sim_stay *innermost;
static unsigned idle;
static bool woken;
static unsigned long timers_ran;
static unsigned long handlers_ran;

void sim_time_begin(void)
{
    innermost = NULL;
    idle = 0;
    woken = false;
    timers_ran = handlers_ran = 0;
}

/* ---- waits ----------------------------------------------------------------------------------- */

void sim_stay_begin(struct sim_stay *stay, int milliseconds, bool blocking)
{
    /* What the program has read just now, in the same handler, makes room for more. */
    sim_note_unread();
    *stay = (struct sim_stay){.outer = innermost,
                              .start = berth_loop_now(sim.loop),
                              .slept = world->slept(),
                              .move = ++sim.moves,
                              .milliseconds = milliseconds,
                              .blocking = blocking};
    innermost = stay;
}

/* Nanoseconds that the wait itself has slept. */
uint64_t sim_stay_end(struct sim_stay *stay)
{
    innermost = stay->outer;
    if (sim.leaving)
        return 0;
    uint64_t slept = world->slept() - stay->slept;
    if (stay->outer != NULL)
        stay->outer->inner += slept;
    slept -= stay->inner;
    if (stay->milliseconds < 0)
        return slept;
    uint64_t most = (uint64_t)stay->milliseconds;
    uint64_t took = berth_loop_now(sim.loop) - stay->start;
    if (world->is_simulated)
        sim_check(slept <= most * MILLISECOND + ROUNDING, "a wait of %d ms sleeps for %llu ms",
                  stay->milliseconds, (unsigned long long)(slept / MILLISECOND));
    else
        sim_check(sim.moves != stay->move || took <= most + world->allowance(),
                  "a wait of %d ms has taken %llu ms", stay->milliseconds,
                  (unsigned long long)took);
    return slept;
}

void sim_time_handler(void)
{
    world->work();
    handlers_ran++;
    struct sim_stay *stay = innermost;
    if (stay == NULL || !stay->blocking || stay->milliseconds < 0 || !world->is_simulated)
        return;
    uint64_t end = stay->start + (uint64_t)stay->milliseconds;
    stay->late += berth_loop_now(sim.loop) > end;
    sim_check(stay->late <= LATE_HANDLERS, "a wait of %d ms goes on and on", stay->milliseconds);
}

/* ---- limits of time -------------------------------------------------------------------------- */

static bool is_valid(const struct socket_model *model)
{
    return model->state == BERTH_STATE_CONNECTED || model->state == BERTH_STATE_CLOSING;
}

static bool is_connecting(const struct socket_model *model)
{
    return model->state == BERTH_STATE_CONNECTING || model->state == BERTH_STATE_HOST_LOOKUP;
}

void sim_clock_restart(struct socket_model *model)
{
    struct sim_clock *clock = &model->clock;
    clock->began = clock->active = clock->window = berth_loop_now(sim.loop);
    clock->listens = clock->began;
    clock->moved = 0;
    clock->overdue = 0;
    clock->owed = clock->taken = clock->taken_enough = 0;
}

void sim_clock_resume(struct socket_model *model)
{
    struct sim_clock *clock = &model->clock;
    clock->active = clock->window = clock->listens = berth_loop_now(sim.loop);
    clock->moved = 0;
}

/* Sets it; what it has waited so far does not count any more. */
void sim_clock_close(struct socket_model *model, uint32_t milliseconds)
{
    const berth_socket *socket = model->socket;
    model->calls++;
    berth_socket_set_close_timeout(model->socket, milliseconds);
    model->calls--;
    if (model->socket == socket)
        model->clock.progress = berth_loop_now(sim.loop);
}

void sim_clock_state(struct socket_model *model, berth_state before)
{
    struct sim_clock *clock = &model->clock;
    uint64_t now = berth_loop_now(sim.loop);
    if (is_connecting(model) && before != BERTH_STATE_HOST_LOOKUP) {
        clock->attempt = now;
        clock->patience = berth_socket_connect_timeout(model->socket);
    }
    clock->progress = now;
    clock->handed = false;
    if (model->state != BERTH_STATE_CONNECTED)
        return;
    sim_clock_restart(model);
    clock->heard = clock->flowed = false;
    clock->sealed = 0;
}

static uint64_t window_of(const berth_connection_limits *limits)
{
    return limits->rate_window > 0 ? limits->rate_window : BERTH_DEFAULT_RATE_WINDOW;
}

static bool is_enough(const berth_connection_limits *limits, uint64_t bytes)
{
    return bytes * 1000 >= limits->minimum_rate * window_of(limits);
}

/* What the kernel has that the other side's has not taken. */
static uint64_t owed_by_kernel(const struct socket_model *model)
{
    if (world->end_of == NULL || world->under_way == NULL)
        return 0;
    const struct end *end = world->end_of(berth_socket_descriptor(model->socket));
    return end != NULL ? world->under_way(end) : 0;
}

/* What the other side's kernel has taken of what the kernel had, since the last look. */
static void look_at_taken(struct socket_model *model, const berth_connection_limits *limits)
{
    struct sim_clock *clock = &model->clock;
    uint64_t owed = owed_by_kernel(model);
    uint64_t taken = owed < clock->owed ? clock->owed - owed : 0;
    clock->owed = owed;
    if (taken == 0)
        return;
    clock->moved += taken;
    clock->active = clock->progress = berth_loop_now(sim.loop);
    if (owed > 0)
        clock->taken = clock->looked;
    if (owed > 0 && is_enough(limits, taken))
        clock->taken_enough = clock->looked;
}

/* Whether the limit that the text names may be over, for what the peer has taken: when he has taken
 * all of it, nobody can know since when. */
bool sim_clock_is_due(const struct socket_model *model, const char *text)
{
    const struct sim_clock *clock = &model->clock;
    uint64_t now = berth_loop_now(sim.loop);
    bool owes = owed_by_kernel(model) > 0 || berth_socket_bytes_to_write(model->socket) > 0;
    if (clock->went == 0 || !owes)
        return true;
    if (strstr(text, "idle for") != NULL)
        return now >= clock->taken + model->limits.idle;
    if (strstr(text, "minimum rate") != NULL)
        return now >= clock->taken_enough + window_of(&model->limits);
    if (strstr(text, "cannot send the rest of the output") != NULL)
        return now >= clock->taken + berth_socket_close_timeout(model->socket);
    return true;
}

/* Bytes that have gone, though none of the program's may be whole: those of a handshake are its own
 * alone. */
static uint64_t flowed_since(struct socket_model *model)
{
    struct sim_clock *clock = &model->clock;
    uint64_t sealed = berth_socket_encrypted_bytes_to_write(model->socket);
    uint64_t gone = sealed < clock->sealed ? clock->sealed - sealed : 0;
    clock->sealed = sealed;
    clock->flowed = clock->flowed || gone > 0;
    return gone;
}

/* Bytes that have gone either way, and how long the end has stood still. */
void sim_clock_look(struct socket_model *model)
{
    struct sim_clock *clock = &model->clock;
    const struct way *in = sim_way_in(model);
    uint64_t came = in != NULL ? in->got + model->seen : 0;
    uint64_t rest = berth_socket_bytes_to_write(model->socket);
    uint64_t put = sim_way_out(model)->put;
    uint64_t went = put > rest ? put - rest : 0;
    uint32_t timeout = berth_socket_close_timeout(model->socket);
    if (!is_valid(model))
        return;
    uint64_t now = berth_loop_now(sim.loop);
    uint64_t flowed = flowed_since(model);
    if (went != clock->went || flowed > 0 || timeout != clock->close_timeout ||
        model->rates[1] != NULL)
        clock->progress = now;
    clock->heard = clock->heard || came > 0;
    size_t limit = berth_socket_read_buffer_size(model->socket);
    bool full = limit > 0 && model->seen >= limit;
    /* What was read in an open transaction takes room still, how much is not known here. */
    bool open = limit > 0 && berth_socket_in_transaction(model->socket);
    bool stopped = full || model->paused;
    bool paced = model->rates[0] != NULL || model->rates[1] != NULL;
    /* Output that waits is the peer's affair, from when it begins to. */
    bool held = (stopped && (rest == 0 || clock->waiting == 0)) || (clock->stopped && !stopped) ||
                open || paced || model->finished || model->queued_in != NULL ||
                (in != NULL && in->ended);
    bool moved = came != clock->came || went != clock->went || flowed > 0;
    if (came > clock->came)
        clock->moved += came - clock->came;
    if (went > clock->went)
        clock->moved += went - clock->went;
    clock->moved += flowed;
    if (moved || held) {
        clock->active = now;
        clock->overdue = 0;
    }
    clock->offered = clock->offered && rest + clock->sealed > 0;
    if (paced || model->paused)
        clock->listens = now;
    berth_connection_limits limits;
    berth_socket_limits(model->socket, &limits);
    look_at_taken(model, &limits);
    /* One that nobody looked at is none. */
    bool unwatched = now >= clock->looked + window_of(&limits);
    clock->looked = now;
    if (held || unwatched || is_enough(&limits, clock->moved)) {
        clock->window = now;
        clock->moved = 0;
    }
    clock->came = came;
    clock->went = went;
    clock->waiting = rest;
    clock->stopped = stopped;
    clock->close_timeout = timeout;
}

/* The later of that time and when the peer has read, after which its kernel may take more. */
static uint64_t last_taken(const struct socket_model *model, uint64_t time)
{
    const struct connection *connection = model->connection;
    uint64_t read_at = connection != NULL ? connection->way[model->side].read_at : 0;
    return read_at > time ? read_at : time;
}

/* From when the time counts anew, in a turn or wait that began at `start` and is over. */
static uint64_t time_of_look(struct sim_look *look, uint64_t due, uint64_t start)
{
    if (look->due != due)
        *look = (struct sim_look){.due = due};
    if (look->at == 0 && due <= start)
        look->at = berth_loop_now(sim.loop);
    return look->at > due ? look->at : due;
}

/* Whether closing has lasted for longer than it may at that time. */
static bool closes_too_long(struct socket_model *model, uint64_t start, uint64_t now)
{
    struct sim_clock *clock = &model->clock;
    uint64_t timeout = clock->close_timeout;
    return model->state == BERTH_STATE_CLOSING && timeout > 0 &&
           berth_socket_bytes_to_write(model->socket) > 0 &&
           time_of_look(&clock->end_look, last_taken(model, clock->progress) + timeout, start) +
                   timeout + 1 <=
               now;
}

/* Whether anything may have gone: what a handshake or a header has sent is none of the program's.
 */
static bool has_spoken(const struct socket_model *model)
{
    const struct connection *connection = model->connection;
    bool of_its_own = connection != NULL && (connection->tls || connection->version > 0);
    return model->clock.went > 0 || model->clock.flowed || of_its_own;
}

/* Whether a limit that depends on bytes should have ended the connection by `now`. */
static const char *overdue(struct socket_model *model, uint64_t now, bool looked)
{
    struct sim_clock *clock = &model->clock;
    berth_connection_limits limits;
    berth_socket_limits(model->socket, &limits);
    uint64_t window = window_of(&limits);
    uint64_t late = now - BERTH_LIMIT_TICK - 1;
    uint64_t due = last_taken(model, clock->active) + limits.idle;
    bool spoken = has_spoken(model);
    /* The peer's share is looked at when the time is over and rounded up, in a turn that has asked
     * the kernel for news: in another the time of the last wait is that of before. */
    uint64_t since = looked ? now - BERTH_LIMIT_TICK : 0;
    uint64_t looks = spoken ? time_of_look(&clock->idle_look, due, since) : 0;
    uint64_t end = spoken ? looks + limits.idle : due;
    bool unseen = spoken && clock->idle_look.at == 0;
    if (limits.idle > 0 && end <= late && !unseen)
        return "idle";
    if (limits.first_byte > 0 && !clock->heard && model->state == BERTH_STATE_CONNECTED &&
        clock->listens + limits.first_byte <= late)
        return "first byte";
    /* One whole window is in any time that is as long as two. Each begins at the look that has
     * found the one before over, which is up to a tick late. */
    uint64_t windows = (spoken ? 3 : 2) * (window + BERTH_LIMIT_TICK);
    if (limits.minimum_rate > 0 && last_taken(model, clock->window) + windows <= late)
        return "minimum rate";
    return NULL;
}

/* The error is announced before the end. */
static bool is_ending(const struct socket_model *model)
{
    for (unsigned i = 0; i < sim.depth; i++) {
        if (sim.frames[i].socket == model && sim.frames[i].handler == IN_ERROR)
            return true;
    }
    return false;
}

static uint64_t looks_at_kernel(void)
{
    berth_loop_counts counts;
    berth_loop_statistics(sim.loop, &counts);
    return counts.waits;
}

/* `drained` comes with the announcement of what the kernel has taken, which may be for the next
 * turn. */
static void look_at_marks(struct socket_model *model)
{
    /* One that nobody has accepted may be dead, of which a socket in a queue is not told. */
    const struct connection *connection = model->connection;
    bool sound = sim_is_sound(connection);
    bool low = sound && is_valid(model) && model->drains && !model->drains_later &&
               sim.depth == 0 && sim_complete(sim_way_out(model)) &&
               berth_socket_bytes_to_write(model->socket) <= model->low;
    model->low_turns = low ? model->low_turns + 1 : 0;
    sim_check(model->low_turns <= DRAINING_TURNS, "socket %zu is not told that there is room",
              (size_t)(model - sim.sockets));
}

/* Output is the peer's affair from when it was offered to the kernel, in a turn: when that is over,
 * none of it may have gone yet. */
static void note_offer(struct socket_model *model)
{
    struct sim_clock *clock = &model->clock;
    bool waits = is_valid(model) && clock->waiting + clock->sealed > 0;
    if (waits && !clock->offered)
        clock->active = berth_loop_now(sim.loop);
    clock->offered = waits && (clock->offered || sim.depth == 0);
}

/* A turn that began at `start`, after so many looks at the kernel, is over. */
static void look_at_limits(struct socket_model *model, uint64_t start, uint64_t looks_before)
{
    struct sim_clock *clock = &model->clock;
    size_t number = (size_t)(model - sim.sockets);
    if (model->socket == NULL || model->dying)
        return;
    sim_clock_look(model);
    note_offer(model);
    look_at_marks(model);
    if (is_ending(model))
        return;
    bool late = is_connecting(model) && clock->patience > 0 &&
                clock->attempt + clock->patience + 1 <= start;
    clock->attempt_overdue = late ? clock->attempt_overdue + 1 : 0;
    sim_check(clock->attempt_overdue <= CONNECTING_TURNS,
              "socket %zu connects for longer than it may", number);
    /* The limit of an end begins when the first turn has given the kernel what it takes; of a
     * connection that has sent nothing before, when it is heard that the kernel has taken it. */
    uint64_t looks = looks_at_kernel();
    if (!clock->handed)
        clock->handed_at = looks;
    if (!clock->handed || (clock->went == 0 && looks <= clock->handed_at + LOOKS))
        clock->progress = berth_loop_now(sim.loop);
    clock->handed = true;
    clock->end_overdue = closes_too_long(model, start, start) ? clock->end_overdue + 1 : 0;
    sim_check(clock->end_overdue <= CLOSING_TURNS, "socket %zu closes for longer than it may",
              number);
    if (!is_valid(model))
        return;
    berth_connection_limits limits;
    berth_socket_limits(model->socket, &limits);
    sim_check(limits.lifetime == 0 || clock->began + limits.lifetime + BERTH_LIMIT_TICK + 1 > start,
              "socket %zu outlives its lifetime", number);
    const char *limit = overdue(model, start, looks > looks_before);
    clock->overdue = limit != NULL ? clock->overdue + 1 : 0;
    sim_check(clock->overdue <= OVERDUE_TURNS, "socket %zu outlives its limit: %s", number, limit);
}

/* A blocking wait for this socket, in which no timer ran, is over. */
void sim_time_waited(struct socket_model *model, const struct sim_stay *stay)
{
    struct sim_clock *clock = &model->clock;
    uint64_t end = stay->start + (uint64_t)stay->milliseconds;
    if (!is_valid(model) || is_ending(model) || berth_loop_now(sim.loop) < end)
        return;
    sim_clock_look(model);
    sim_check(!clock->handed || clock->went == 0 || !closes_too_long(model, stay->start, end),
              "a wait for a socket that closes goes on for longer than that may take");
    berth_connection_limits limits;
    berth_socket_limits(model->socket, &limits);
    sim_check(limits.lifetime == 0 || clock->began + limits.lifetime + BERTH_LIMIT_TICK + 1 > end,
              "a socket outlives its lifetime in a wait");
}

/* ---- accepting that fails -------------------------------------------------------------------- */

static uint64_t accepted_by(const struct server_model *model)
{
    berth_server_counts counts;
    berth_server_statistics(model->server, &counts);
    return counts.accepted;
}

/* A failure that a new try would only repeat pauses the server, but not a blocking wait. */
void sim_time_accept_error(struct server_model *model, berth_error error)
{
    if (error == BERTH_ERROR_UNSUPPORTED_OPERATION) {
        sim_check(!model->stopped || model->waits > 0,
                  "accept_error comes twice, although accepting has stopped");
        model->stopped = true;
        return;
    }
    uint64_t accepted = accepted_by(model);
    sim_check(!model->troubled || accepted > model->troubled_at,
              "accept_error comes twice, and nobody has come in between");
    model->troubled = model->was_troubled = true;
    model->troubled_at = accepted;
}

/* Whether somebody waits for a server that would take him. */
static bool is_wanted(const struct server_model *model)
{
    if (model->server == NULL || model->paused || model->stopped || model->closing > 0 ||
        !berth_server_is_listening(model->server))
        return false;
    if (model->has_trusted) /* whom a header is awaited of does not wait for it */
        return false;
    int limit = berth_server_max_pending_connections(model->server);
    if (limit <= 0 || model->queued - sim_lost_in_queue(model) >= (size_t)limit)
        return false;
    if (model->greeter.on && sim_tls_shaking(model) >= model->greeter.most_greeting)
        return false;
    for (size_t i = 0; i < SIM_PEERS; i++) {
        const struct peer_model *peer = &sim.peers[i];
        if (peer->end == NULL || peer->port != sim_port(model))
            continue;
        bool gone = world->is_queued != NULL && !world->is_queued(peer->end);
        if (!gone && !peer->connection->accepted && world->is_established(peer->end))
            return true;
    }
    return false;
}

bool sim_anybody_waits(void)
{
    bool any = false;
    for (size_t i = 0; i < SIM_SERVERS; i++)
        any = any || is_wanted(&sim.servers[i]);
    return any;
}

/* How long accepting may pause after so many failures in a row. */
static uint64_t pause_after(uint64_t failures)
{
    uint64_t pause = SHORTEST_PAUSE;
    for (; failures > 1 && pause < LONGEST_PAUSE; failures--)
        pause *= 2;
    return failures == 0 ? 0 : pause < LONGEST_PAUSE ? pause : LONGEST_PAUSE;
}

/* Whom a server would take it takes, or fails to, when its pause is over. */
static void look_at_backlog(struct server_model *model, uint64_t start)
{
    struct sim_backlog *backlog = &model->backlog;
    if (!world->is_simulated || sim.depth > 0 || model->server == NULL)
        return;
    berth_server_counts counts;
    berth_server_statistics(model->server, &counts);
    uint64_t came = counts.accepted - counts.rejected_call - counts.rejected_shed;
    bool failed = counts.accept_failures != backlog->failures;
    if (came != backlog->came)
        backlog->before = backlog->failures;
    if (!is_wanted(model) || came != backlog->came || failed) {
        backlog->since = berth_loop_now(sim.loop);
        backlog->turns = 0;
    }
    backlog->came = came;
    backlog->failures = counts.accept_failures;
    uint64_t patience = pause_after(counts.accept_failures - backlog->before) + ON_THE_WAY;
    if (model->accepts.per_second > 0)
        patience += 1000 / model->accepts.per_second + 1;
    backlog->turns += start > backlog->since + patience;
    sim_check(backlog->turns <= BACKLOG_TURNS, "server %zu leaves somebody waiting",
              (size_t)(model - sim.servers));
}

/* ---- turns ----------------------------------------------------------------------------------- */

void sim_time_woken(void)
{
    woken = true;
}

void sim_time_timer_ran(void)
{
    timers_ran++;
}

static void look_at_timers(uint64_t start)
{
    for (size_t i = 0; i < SIM_TIMERS; i++) {
        const struct timer_model *model = &sim.timers[i];
        sim_check(model->timer == NULL || !model->active || model->latest >= start,
                  "timer %zu was missed", i);
    }
}

void sim_turn(int milliseconds)
{
    uint64_t start = berth_loop_now(sim.loop);
    uint64_t events = world->events();
    uint64_t looks = looks_at_kernel();
    unsigned long posted = sim.posted;
    unsigned long ran = sim.ran + timers_ran;
    unsigned long handlers = handlers_ran;
    unsigned long raised[SIM_SIGNALS];
    sim_signals_raised(raised);
    int next = berth_loop_timeout(sim.loop);
    struct sim_stay stay;
    sim_stay_begin(&stay, milliseconds, false);
    bool any = berth_loop_turn(sim.loop, milliseconds);
    uint64_t slept = sim_stay_end(&stay);
    if (sim.leaving)
        return;
    sim_check(sim.ran >= posted, "a task was not run in the turn after it was posted");
    sim_signals_check(raised);
    look_at_timers(start);
    for (size_t i = 0; i < SIM_SOCKETS; i++)
        look_at_limits(&sim.sockets[i], start, looks);
    sim_check_overdue(start);
    for (size_t i = 0; i < SIM_SERVERS; i++) {
        sim_check_queue(&sim.servers[i], start);
        look_at_backlog(&sim.servers[i], start);
    }
    sim_headers_turn(start);
    sim_tls_turn(start);
    if (milliseconds <= 0 || sim.depth > 0 || !world->is_simulated)
        return;
    bool timer = next >= 0 && start + (uint64_t)next <= berth_loop_now(sim.loop) + 1;
    bool caused = world->events() > events || sim.ran + timers_ran > ran || timer || woken;
    /* What has come already may be decrypted when it is wanted. */
    caused = caused || ((sim.topics >> TOPIC_TLS & 1) != 0 && handlers_ran > handlers);
    bool whole = slept + MILLISECOND >= (uint64_t)milliseconds * MILLISECOND;
    sim_check(any || whole || timer || woken || idle < IDLE_TURNS, "a turn ends early for nothing");
    woken = false;
    idle = caused ? 0 : idle + !whole;
    sim_check(idle <= IDLE_TURNS, "the loop turns without a cause");
}

/* ---- the loop alone -------------------------------------------------------------------------- */

static uint64_t failures_reported(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < SIM_SERVERS; i++) {
        berth_server_counts counts = {0};
        if (sim.servers[i].server != NULL)
            berth_server_statistics(sim.servers[i].server, &counts);
        sum += counts.accept_failures;
    }
    return sum;
}

/* Each report is an event too; and a server that was freed takes its own along. */
static void check_failures(uint64_t failed, uint64_t reported, uint64_t events, uint64_t passed)
{
    if (!world->is_simulated)
        return;
    uint64_t now = failures_reported();
    reported = now > reported ? now - reported : 0;
    uint64_t tries = SIM_SERVERS * 5 + world->events() - events - reported;
    for (uint64_t pause = SHORTEST_PAUSE; pause < passed; pause *= 2)
        tries += SIM_SERVERS;
    sim_check(reported <= tries, "%llu accepts fail in %llu ms", (unsigned long long)reported,
              (unsigned long long)passed);
    sim_check(world->accepts_failed() - failed <= 16 * tries, "accepting is tried without a pause");
}

/* Whether accept_error was called, and nobody has come since: which goes on when the server listens
 * anew, through a proxy or not. */
static bool is_told(const struct server_model *model)
{
    return model->stopped || model->troubled ||
           (model->was_troubled && accepted_by(model) == model->troubled_at);
}

/* For a while there is nobody but the loop: it must not turn again and again for nothing, nor ask
 * again and again for what it does not get. */
void sim_let_time_pass(uint64_t milliseconds)
{
    uint64_t start = berth_loop_now(sim.loop);
    uint64_t failed = world->accepts_failed();
    uint64_t reported = failures_reported();
    uint64_t events = world->events();
    uint64_t slept = world->slept(); /* unlike what a handler lets pass it is the loop's time */
    bool wanted[SIM_SERVERS];
    for (size_t i = 0; i < SIM_SERVERS; i++)
        wanted[i] = sim.accepts_fail && sim.servers[i].accepts.per_second == 0 &&
                    is_wanted(&sim.servers[i]);
    for (unsigned turns = 0; turns < 400 && berth_loop_now(sim.loop) < start + milliseconds;
         turns++) {
        sim_turn(5);
        if (sim.leaving)
            return;
        sim_check(world->barren_waits() < 100, "the loop turns for nothing");
    }
    check_failures(failed, reported, events, berth_loop_now(sim.loop) - start);
    bool enough = world->slept() - slept >= ENOUGH_TO_BE_TOLD * MILLISECOND;
    for (size_t i = 0; i < SIM_SERVERS && world->is_simulated; i++)
        sim_check(!wanted[i] || !sim.accepts_fail || !enough || sim.costs ||
                      !is_wanted(&sim.servers[i]) || is_told(&sim.servers[i]),
                  "accepting fails, and nobody is told");
}

void sim_time_be_kind(void)
{
    const berth_connection_limits none = {0};
    sim.accepts_fail = false;
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        if (sim.sockets[i].socket != NULL)
            berth_socket_set_limits(sim.sockets[i].socket, &none);
        sim.sockets[i].limits = none;
        sim.sockets[i].eager = false;
    }
    for (size_t i = 0; i < SIM_ALL_PEERS; i++)
        sim.peers[i].floods = false;
}
