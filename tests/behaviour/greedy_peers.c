/*
 * Peers that send as fast as they are read, beside timers, limits of time and blocking waits, all
 * of which have to keep their times. How late they may be is judged where the clock is simulated;
 * on a real kernel only orders of magnitude are.
 */
#include "scene.h"

#include "backend/sim.h"

#include <time.h>

enum {
    WELL_OVER = 5000, /* milliseconds: on a real kernel, that something never comes in time */
    GIVE_UP = 20000   /* deliveries after which a flood ends, lest a case last for ever */
};

static struct peer *flooder;
static unsigned deliveries;

static uint64_t now(void)
{
    return berth_loop_now(world_loop());
}

/* What a handler does that takes half a millisecond. */
static void be_busy(void)
{
    static const struct timespec half = {.tv_nsec = 500000};
    if (world_is_simulated())
        berth__sim_advance(world_sim(), 500000);
    else
        (void)nanosleep(&half, NULL);
}

/* More than one run of a stream delivers. */
static void refill(void)
{
    static uint8_t bytes[100000];
    while (peer_send_some(flooder, bytes, sizeof bytes) == sizeof bytes)
        continue;
}

static void send_on(struct actor *actor)
{
    (void)actor;
    be_busy();
    if (++deliveries < GIVE_UP)
        refill();
    else if (deliveries == GIVE_UP)
        peer_close(flooder);
}

/* A connection whose peer floods it from now on. */
static struct actor *flooded(struct host *host)
{
    struct actor *actor = host_connect(host, "s", &flooder);
    actor->quiet = true;
    actor->reads = true;
    actor->on_ready_read = send_on;
    refill();
    return actor;
}

static void expect_soon(uint64_t start, uint64_t milliseconds)
{
    uint64_t took = now() - start;
    ck_assert_uint_ge(took + 1, milliseconds);
    ck_assert_uint_le(took,
                      world_is_simulated() ? milliseconds + BERTH_LIMIT_TICK + 10 : WELL_OVER);
}

static void tick(berth_timer *timer, void *user)
{
    (void)timer;
    ++*(unsigned *)user;
}

CASE(lifetime_beside_a_flood, "D20 reliability 21",
     "the lifetime ends a connection that always has more to say, and no timer starves")
{
    struct host *host = host_listening("h");
    berth_connection_limits limits = {.lifetime = 300, .idle = 50};
    berth_server_set_connection_limits(host->server, &limits);
    unsigned ticks = 0;
    berth_timer *timer = berth_timer_new(world_loop(), tick, &ticks);
    ck_assert_ptr_nonnull(timer);
    uint64_t start = now();
    struct actor *actor = flooded(host);
    berth_timer_start(timer, 10, 10);
    while (actor->disconnects == 0 && now() - start < WELL_OVER)
        world_turn();
    ck_assert_uint_eq(actor->disconnects, 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
    expect_soon(start, 300);
    ck_assert_uint_ge(ticks, world_is_simulated() ? 27 : 3);
    berth_timer_free(timer);
}

CASE(limits_of_others_beside_a_flood, "D20 reliability 21",
     "a silent connection is ended at its time while another floods")
{
    struct host *host = host_listening("h");
    (void)flooded(host);
    struct peer *silent;
    berth_connection_limits limits = {.idle = 200};
    berth_server_set_connection_limits(host->server, &limits);
    uint64_t start = now();
    struct actor *actor = host_connect(host, "t", &silent);
    while (actor->disconnects == 0 && now() - start < WELL_OVER)
        world_turn();
    ck_assert_uint_eq(actor->disconnects, 1);
    expect_soon(start, 200);
}

CASE(rate_of_a_flood, "D20 reliability 21",
     "a limit that ends a connection with more to say waits for what is at hand, once")
{
    struct host *host = host_listening("h");
    berth_connection_limits limits = {.minimum_rate = UINT32_MAX, .rate_window = 200};
    berth_server_set_connection_limits(host->server, &limits);
    uint64_t start = now();
    struct actor *actor = flooded(host);
    while (actor->disconnects == 0 && now() - start < WELL_OVER)
        world_turn();
    ck_assert_uint_eq(actor->disconnects, 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
    expect_soon(start, 200);
}

CASE(wait_beside_its_own_flood, "S4.2 reliability 21",
     "a wait with a time-out returns although the peer never stops sending")
{
    struct host *host = host_listening("h");
    struct actor *actor = flooded(host);
    uint64_t start = now();
    ck_assert(!berth_socket_wait_for_disconnected(actor->socket, 200));
    expect_soon(start, 200);
    ck_assert_uint_lt(deliveries, GIVE_UP);
    ck_assert_int_gt(berth_socket_write(actor->socket, world_zeros(), 8000000), 0);
    while (berth_socket_wait_for_bytes_written(actor->socket, 100))
        continue;
    ck_assert_uint_lt(deliveries, GIVE_UP);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
}

CASE(lifetime_in_a_wait_beside_a_flood, "D20 reliability 21",
     "the limits of the connection that is waited for hold in the wait")
{
    struct host *host = host_listening("h");
    berth_connection_limits limits = {.lifetime = 200};
    berth_server_set_connection_limits(host->server, &limits);
    uint64_t start = now();
    struct actor *actor = flooded(host);
    ck_assert(berth_socket_wait_for_disconnected(actor->socket, WELL_OVER));
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
    expect_soon(start, 200);
}

static struct actor *asked;

/* Asks somebody else for each message, as a relay does that knows nothing of handlers. */
static void ask(struct actor *actor)
{
    static const uint8_t more[10];
    (void)actor;
    deliveries++;
    (void)peer_send_some(flooder, more, sizeof more);
    (void)berth_socket_wait_for_ready_read(asked->socket, 1);
}

CASE(waits_inside_a_delivery, "law 5",
     "a run ends although each of its handlers waits, and the peer sends meanwhile")
{
    struct host *host = host_listening("h");
    struct peer *other;
    asked = host_connect(host, "a", &other);
    asked->quiet = true;
    struct actor *actor = host_connect(host, "s", &flooder);
    actor->quiet = true;
    unsigned ticks = 0;
    berth_timer *timer = berth_timer_new(world_loop(), tick, &ticks);
    ck_assert_ptr_nonnull(timer);
    berth_timer_start(timer, 10, 10);
    actor->on_ready_read = ask;
    peer_say(flooder, "x");
    while (ticks < 5 && deliveries < 2000)
        world_turn();
    ck_assert_uint_eq(ticks, 5);
    actor->on_ready_read = NULL;
    berth_timer_free(timer);
}
