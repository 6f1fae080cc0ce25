/*
 * Running a program: the setting up, the steps, the traps, and the coming to rest at the end.
 *
 * When the last step is done the kernel is made kind again and everybody reads: then every
 * connection has to come to its end, or to rest with all of its bytes on the other side, every peer
 * that waits has to be accepted, and a socket that closes has to have closed. That finds what was
 * lost on the way, a completion or a wake, which no single moment shows. Then all is freed, and
 * neither a descriptor nor memory may be left.
 */
#include "calls.h"
#include "model.h"
#include "world.h"

#include "base/fault.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REST_ROUNDS 400
#define RECOVERY_MILLISECONDS 1500
#define HANDSHAKES 20000    /* milliseconds for them, where few bytes move at once */
#define REAL_PATIENCE 20000 /* milliseconds without a movement, on a real kernel */
#define REAL_NUDGE 1500

static bool telling;
static unsigned patience = REAL_PATIENCE;
static struct sim_verdict *report;

/* ---- memory ---------------------------------------------------------------------------------- */

/* tests/support counts too, but can do so inside a case only. */
static long blocks;

static void *allocate(size_t size)
{
    void *memory = malloc(size);
    blocks += memory != NULL;
    return memory;
}

static void *reallocate(void *memory, size_t size)
{
    void *moved = realloc(memory, size);
    blocks += memory == NULL && moved != NULL;
    return moved;
}

static void release(void *memory)
{
    blocks -= memory != NULL;
    free(memory);
}

static const berth_allocator counting = {allocate, reallocate, release};

/* ---- telling --------------------------------------------------------------------------------- */

void sim_program_tell(bool tell)
{
    telling = tell;
}

void sim_program_patience(unsigned milliseconds)
{
    patience = milliseconds;
}

void sim_program_report_to(struct sim_verdict *verdict)
{
    report = verdict;
}

/* Who the innermost handler was called for. */
static void tell_place(void)
{
    printf("step %zu", sim.step);
    for (unsigned i = 0; i < sim.depth; i++) {
        const struct frame *frame = &sim.frames[i];
        printf(", in %s", sim_handler_names[frame->handler]);
        if (frame->socket != NULL)
            printf(" of socket %td", frame->socket - sim.sockets);
        if (frame->server != NULL)
            printf(" of server %td", frame->server - sim.servers);
    }
}

void sim_say(const char *format, ...)
{
    if (!telling)
        return;
    tell_place();
    printf(": ");
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
}

void sim_fail(const char *format, ...)
{
    char reason[sizeof report->reason];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (report != NULL)
        memcpy(report->reason, reason, sizeof reason);
    if (report == NULL || telling) {
        tell_place();
        printf(": FAILED: %s\n", reason);
        fflush(stdout);
    }
    abort();
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void act(uint64_t word)
{
    if (sim_choose(&word, 5) < 2)
        sim_deed(word);
    else
        sim_call(word);
}

static void set_trap(uint64_t word)
{
    struct trap *trap = &sim.traps[sim_choose(&word, SIM_TRAPS)];
    trap->set = true;
    trap->waits = false;
    bool with_tls = (sim.topics >> TOPIC_TLS & 1) != 0;
    trap->handler = (enum handler)sim_choose(&word, with_tls ? HANDLERS : IN_ENCRYPTED);
    trap->word = word;
    sim_say("a trap is set in the next %s", sim_handler_names[trap->handler]);
}

void sim_spring(enum handler handler, struct socket_model *socket, struct server_model *server,
                struct timer_model *timer)
{
    sim_time_handler();
    sim_peers_flood();
    if (sim.depth == SIM_DEPTH)
        return;
    sim.frames[sim.depth++] = (struct frame){handler, socket, server, timer};
    for (size_t i = 0; i < SIM_TRAPS; i++) {
        struct trap *trap = &sim.traps[i];
        if (!trap->set || trap->handler != handler)
            continue;
        trap->set = false;
        if (!trap->waits)
            act(trap->word);
        else if (!sim_wait_for_peers(trap->word))
            trap->set = true; /* until there is something to wait for */
        if (!sim.leaving)
            sim_note_unread();
    }
    sim.depth--;
    sim.inside++;
    sim_look();
    sim.inside--;
}

static void make_step(uint64_t word)
{
    if (report != NULL)
        report->step = sim.step;
    if (sim_choose(&word, 4) == 0)
        set_trap(word);
    else
        act(word);
    sim_look();
    for (size_t i = 0; i < SIM_SOCKETS; i++)
        sim_check(sim.sockets[i].socket == NULL || sim.sockets[i].owed == 0,
                  "`disconnected` of socket %zu was not called", i);
}

/* ---- the beginning --------------------------------------------------------------------------- */

static void set_up(uint64_t word)
{
    uint64_t program_word = word;
    static const size_t transfers[] = {0, 0, 1, 7, 100, 4000};
    static const size_t buffers[] = {65536, 65536, 3000, 100, 5};
    static const uint64_t delays[] = {0, 0, 1000, 1000000, 20000000};
    memset(&sim, 0, offsetof(struct sim, connections));
    memset(&sim.connection_count, 0, sizeof sim - offsetof(struct sim, connection_count));
    berth__fault_clear();
    struct terms terms;
    terms.max_transfer = transfers[sim_choose(&word, 6)];
    terms.buffer_size = buffers[sim_choose(&word, 5)];
    terms.max_delay = delays[sim_choose(&word, 5)];
    sim.may_lose = sim_choose(&word, 4) == 0;
    for (unsigned topic = 0; topic < TOPIC_HEADERS; topic++)
        sim.topics |= (unsigned)(sim_choose(&word, 3) == 0) << topic;
    uint32_t costs = sim_choose(&word, 6);
    terms.call_cost = costs > 2 ? 2000 : 0;
    terms.handler_cost = costs > 4 ? 5000000 : 0;
    terms.accept_noise = sim_choose(&word, 4) == 0 ? 3 : 0;
    sim.costs = costs > 2;
    sim_say("the kernel moves %zu bytes at once, has buffers of %zu bytes, delays by %llu ns",
            terms.max_transfer, terms.buffer_size, (unsigned long long)terms.max_delay);
    terms.seed = word;
    sim.topics |= (unsigned)(sim_choose(&word, 4) == 0) << TOPIC_HEADERS;
    sim.topics |= (unsigned)(sim_choose(&word, 8) == 0) << TOPIC_WATCHES;
    sim.topics |= (unsigned)(sim_choose(&word, 6) == 0) << TOPIC_DRAIN;
    sim.topics |= (unsigned)(sim_choose(&word, 5) == 0) << TOPIC_LOCAL;
    sim.loop = world->begin(&terms);
    sim_check(sim.loop != NULL, "no loop can be made");
    sim_check(world->listen(&sim.port, 3), "no listener can be made");
    sim_ends_begin();
    sim_loops_begin();
    sim_time_begin();
    sim_proxies_begin();
    sim_meanwhile_begin();
    sim_pace_begin();
    sim_watches_begin();
    sim_local_begin(word);
    sim_tls_begin(program_word);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* Bytes that are on their way, which take their time where few fit at once. */
static uint64_t outstanding(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < sim.connection_count; i++) {
        for (unsigned side = 0; side < 2; side++) {
            const struct way *way = &sim.connections[i].way[side];
            sum += way->put > way->got ? way->put - way->got : 0;
        }
    }
    for (size_t i = 0; i < SIM_SOCKETS; i++) /* whose connection is not there yet */
        sum += sim.sockets[i].connection == NULL ? sim.sockets[i].early.put : 0;
    return sum;
}

static void be_kind(void)
{
    (void)sim_lossy();
    berth__fault_clear();
    world->be_kind();
    sim_time_be_kind();
    sim_meanwhile_be_kind();
    sim_pace_be_kind(outstanding());
    sim_tls_be_kind();
    memset(sim.traps, 0, sizeof sim.traps);
    for (size_t i = 0; i < SIM_SERVERS; i++) {
        struct server_model *model = &sim.servers[i];
        if (model->server == NULL)
            continue;
        model->incoming = INCOMING_BASE;
        /* Only what is needed: each of these calls would hide that accepting has come to a stop. */
        if (model->paused || model->stopped)
            berth_server_resume_accepting(model->server);
        model->paused = model->stopped = false;
        if (berth_server_max_pending_connections(model->server) < 30)
            berth_server_set_max_pending_connections(model->server, 30);
        if (model->has_trusted || !sim_accepts_all(&model->accepts)) {
            berth_server_set_accept_limits(model->server, NULL);
            model->accepts = (berth_accept_limits){0};
        }
        berth_server_set_connection_limits(model->server, NULL);
        model->limits = (berth_connection_limits){0};
    }
    sim_watches_be_kind();
}

/* One round: everybody takes what there is. */
static void take_all(void)
{
    sim_headers_finish();
    sim_tls_finish();
    sim_peers_read();
    sim_proxies_serve(SIZE_MAX);
    for (size_t i = 0; i < SIM_SERVERS; i++) {
        while (sim.servers[i].server != NULL && sim_take(&sim.servers[i]))
            continue;
    }
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        struct socket_model *model = &sim.sockets[i];
        if (model->socket == NULL)
            continue;
        if (berth_socket_in_transaction(model->socket))
            berth_socket_commit_transaction(model->socket);
        /* A limit stays where bytes come in good time all the same. */
        if (!world->is_simulated || berth_socket_read_buffer_size(model->socket) < 10)
            berth_socket_set_read_buffer_size(model->socket, 0);
        /* Setting it lets it begin anew; and it has to end two that close and do not read. */
        if (berth_socket_close_timeout(model->socket) != BERTH_DEFAULT_CLOSE_TIMEOUT)
            sim_clock_close(model, BERTH_DEFAULT_CLOSE_TIMEOUT);
        if (sim_is_limited(&model->limits) && berth_socket_set_limits(model->socket, NULL))
            model->limits = (berth_connection_limits){0};
        while (berth_socket_bytes_available(model->socket) > 0)
            sim_read(model, SIZE_MAX);
    }
    sim_look();
}

/* Whether a peer tries to connect still: the kernel lets it ask again after seconds only. One that
 * has failed to is over. */
static bool asks_again(void)
{
    for (size_t i = 0; i < SIM_ALL_PEERS; i++) {
        const struct peer_model *peer = &sim.peers[i];
        if (peer->end != NULL && !peer->over && !world->is_established(peer->end))
            return true;
    }
    return false;
}

/* Whether a socket is on its way. It must get there without the help of a time-out. */
static bool on_the_way(void)
{
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        berth_state state = sim.sockets[i].state;
        if (sim.sockets[i].socket != NULL &&
            (state == BERTH_STATE_CLOSING || state == BERTH_STATE_CONNECTING))
            return true;
    }
    return false;
}

/* Whether anybody is on a side. A socket that was given up before it was connected is not. */
static bool is_held(const struct connection *connection, int side)
{
    bool held = false;
    for (size_t i = 0; i < SIM_SOCKETS; i++)
        held = held || (sim.sockets[i].connection == connection && sim.sockets[i].side == side);
    for (size_t i = 0; i < SIM_ALL_PEERS; i++)
        held = held || (sim.peers[i].connection == connection && sim.peers[i].side == side);
    return held;
}

/* Every complaint about the rest, or false if it is only looked at. */
#define REST_CHECK(condition, ...)     \
    do {                               \
        if (!(condition)) {            \
            if (judge)                 \
                sim_fail(__VA_ARGS__); \
            return false;              \
        }                              \
    } while (0)

static bool socket_rests(size_t i, bool judge)
{
    const struct socket_model *model = &sim.sockets[i];
    if (model->socket == NULL)
        return true;
    /* Where time is not virtual, that of an end or a handshake is not waited for: of what is broken
     * for one side alone, or had begun with bytes that are no TLS. */
    bool wrong = model->connection != NULL && model->connection->wrong && !model->encrypted;
    bool stuck = !world->is_simulated && (sim.broken || wrong);
    REST_CHECK(model->state != BERTH_STATE_CLOSING || stuck, "socket %zu does not end", i);
    REST_CHECK(model->state != BERTH_STATE_CONNECTING && model->state != BERTH_STATE_HOST_LOOKUP,
               "socket %zu does not get connected", i);
    if (model->state != BERTH_STATE_CONNECTED || model->connection == NULL || sim_lossy())
        return true;
    const struct way *in = &model->connection->way[1 - model->side];
    const struct way *out = &model->connection->way[model->side];
    /* Who took it up behind the end of its output does not know that it is over, of which the
     * kernel says no more. */
    if (in->reset && in->ended && out->ended && model->half_open)
        return true;
    REST_CHECK(!in->reset, "socket %zu has not noticed a reset", i);
    /* Who took it up behind the end of its output can say no word of a handshake. */
    REST_CHECK(!model->connection->tls || model->encrypted || in->cut || out->ended ||
                   !is_held(model->connection, 1 - model->side),
               "socket %zu never becomes encrypted", i);
    REST_CHECK(in->cut || in->got == in->put, "socket %zu has got %llu of %llu bytes", i,
               (unsigned long long)in->got, (unsigned long long)in->put);
    REST_CHECK(out->cut || out->got == out->put || !is_held(model->connection, 1 - model->side),
               "of socket %zu only %llu of %llu bytes come", i, (unsigned long long)out->got,
               (unsigned long long)out->put);
    REST_CHECK(!in->ended || in->cut || model->finished, "socket %zu has not noticed the end", i);
    REST_CHECK(!in->ended || in->cut || !model->shut, "socket %zu goes on after both ends", i);
    REST_CHECK(!model->drains || berth_socket_bytes_to_write(model->socket) > 0,
               "socket %zu was not told that there is room", i);
    return true;
}

static bool peer_rests(size_t i, bool judge)
{
    const struct peer_model *peer = &sim.peers[i];
    for (size_t j = 0; j < SIM_SERVERS && peer->end != NULL && peer->port != 0; j++) {
        const struct server_model *model = &sim.servers[j];
        REST_CHECK(model->server == NULL || sim_port(model) != peer->port ||
                       peer->connection->accepted || peer->connection->way[peer->side].cut ||
                       peer->over,
                   "peer %zu was never accepted", i);
        REST_CHECK(model->server == NULL || sim_port(model) != peer->port ||
                       !peer->connection->lies || peer->over,
                   "peer %zu has no header, and goes on", i);
    }
    REST_CHECK(peer->end == NULL || !peer->connection->tls || !peer->connection->accepted ||
                   peer->over || peer->ended || sim_tls_is_open(peer) ||
                   sim_tls_may_fail(peer->connection),
               "peer %zu does not come to the end of its handshake", i);
    return true;
}

/* Whether everything has come to where it has to come. */
static bool all_rest(bool judge)
{
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        if (!socket_rests(i, judge))
            return false;
    }
    REST_CHECK(sim_headers_awaited() == 0, "headers or handshakes are awaited for ever");
    for (size_t i = 0; i < SIM_ALL_PEERS; i++) {
        if (!peer_rests(i, judge))
            return false;
    }
    return true;
}

/* Bytes that have come out, and connections; and what records were made of. */
static uint64_t movement(void)
{
    uint64_t sum = sim_tls_moved();
    for (size_t i = 0; i < sim.connection_count; i++)
        sum += sim.connections[i].way[0].got + sim.connections[i].way[1].got + i;
    return sum;
}

/* Timers that run again and again would end each wait for what comes after seconds. */
static void stop_repeating_timers(void)
{
    for (size_t i = 0; i < SIM_TIMERS; i++) {
        struct timer_model *model = &sim.timers[i];
        if (model->timer == NULL || model->repeat == 0)
            continue;
        berth_timer_stop(model->timer);
        model->active = false;
    }
}

/* Time is virtual, so that all of it can be given. */
static void rest_simulated(void)
{
    uint64_t moved = 0;
    unsigned quiet = 0;
    bool waits = false;
    uint64_t start = berth_loop_now(sim.loop);
    uint64_t most = REST_ROUNDS * 100 + outstanding();
    for (uint64_t round = 0; round < most && quiet < 20; round++) {
        sim.settling = round > REST_ROUNDS / 8;
        take_all();
        sim_turn(waits ? 500 : 10);
        uint64_t sum = movement();
        bool recovering = berth_loop_now(sim.loop) < start + RECOVERY_MILLISECONDS;
        bool paced = sim_pace_waits();
        waits = sum == moved && !recovering &&
                (on_the_way() || asks_again() || sim_headers_awaited() > 0 || sim_anybody_waits() ||
                 paced || (berth_loop_now(sim.loop) < start + HANDSHAKES && sim_tls_waits()));
        if (waits || !recovering) /* rounds that they end would be too short to be quiet */
            stop_repeating_timers();
        quiet = sum == moved && !recovering && !waits ? quiet + 1 : 0;
        moved = sum;
    }
    sim_check(quiet > 0, "the bytes do not come to an end");
    stop_repeating_timers();
    for (unsigned round = 0; round < REST_ROUNDS && sim_ends_linger(); round++) {
        take_all();
        sim_turn(500);
    }
}

/* Waits for what is on its way: as long as something moves, and a while longer. */
static void rest_real(void)
{
    uint64_t moved = 0;
    unsigned quiet = 0;
    uint64_t start = berth_loop_now(sim.loop);
    uint64_t last = start;
    uint64_t now = start;
    while (quiet < 5 && now < last + patience && now < start + 4 * patience) {
        sim.settling = now > start + 100;
        take_all();
        sim_turn(2);
        now = berth_loop_now(sim.loop);
        uint64_t sum = movement();
        if (sum != moved)
            last = now;
        if (now > last + REAL_NUDGE)
            sim_peers_nudge();
        quiet = sum == moved && all_rest(false) ? quiet + 1 : 0;
        moved = sum;
    }
    sim_check(now < start + 4 * patience, "the bytes do not come to an end");
}

static void free_all(void)
{
    for (size_t i = 0; i < SIM_SERVERS; i++) {
        if (sim.servers[i].server != NULL)
            sim_free_server(&sim.servers[i]);
    }
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        if (sim.sockets[i].socket != NULL)
            sim_free_socket(&sim.sockets[i]);
    }
    for (size_t i = 0; i < SIM_TIMERS; i++)
        berth_timer_free(sim.timers[i].timer);
    for (size_t i = 0; i < SIM_ALL_PEERS; i++) {
        if (sim.peers[i].end != NULL)
            world->close(sim.peers[i].end);
    }
    world->unlisten(sim.port);
    sim_local_end();
    sim_proxies_end();
    sim_watches_free();
    for (unsigned turns = 0; turns < REST_ROUNDS && world->open_descriptors() > 0; turns++)
        berth_loop_turn(sim.loop, world->is_simulated ? 100 : 10);
    sim_check(world->open_descriptors() == 0, "%u descriptors are left open",
              world->open_descriptors());
}

void sim_program_run(const struct sim_program *program)
{
    if (program->count == 0)
        return;
    berth_set_allocator(&counting);
    set_up(program->words[0]);
    for (sim.step = 1; sim.step < program->count; sim.step++)
        make_step(program->words[sim.step]);
    bool at_once = (program->words[0] & 7) == 7;
    sim_say("the end: %s", at_once ? "the loop is freed" : "everything comes to rest");
    be_kind();
    if (!at_once) {
        if (world->is_simulated)
            rest_simulated();
        else
            rest_real();
        all_rest(true);
        for (size_t i = 0; i < SIM_SERVERS; i++)
            sim_drain_rests(&sim.servers[i]);
        sim_ends_rest();
        free_all();
    }
    sim.leaving = true;
    berth_loop_free(sim.loop);
    sim_outputs_end();
    sim_watches_end();
    sim_tls_end_all();
    world->end();
    sim_check(sim.ran == sim.posted, "%lu of %lu tasks were run", sim.ran, sim.posted);
    sim_check(blocks == 0, "%ld blocks of memory are left", blocks);
}
