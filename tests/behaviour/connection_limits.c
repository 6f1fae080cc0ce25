/*
 * How long a connection may go on: first byte, idle, lifetime, rate, and the bytes of its output.
 */
#include "scene.h"

#include "backend/sim.h"
#include "balance.h"
#include "base/fault.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Milliseconds by which an end may come late where the clock is simulated. */
#define TICK ((uint64_t)BERTH_LIMIT_TICK)

static berth_server_counts counts_of(const struct host *host)
{
    berth_server_counts counts;
    berth_server_statistics(host->server, &counts);
    scene_assert_balance(&counts);
    return counts;
}

static uint64_t now(void)
{
    return berth_loop_now(world_loop());
}

static struct host *limited(berth_connection_limits limits)
{
    struct host *host = host_listening("h");
    berth_server_set_connection_limits(host->server, &limits);
    return host;
}

static void set(const struct actor *actor, berth_connection_limits limits)
{
    ck_assert(berth_socket_set_limits(actor->socket, &limits));
}

/* Turns until the connection has ended; that was not before `milliseconds` after `start`, and in a
 * simulated kernel not much later. */
static void expect_end(const struct actor *actor, uint64_t start, uint64_t milliseconds,
                       const char *text)
{
    UNTIL(actor->disconnects > 0);
    uint64_t took = now() - start;
    ck_assert_uint_ge(took + 1, milliseconds); /* both ends of it were rounded down */
    if (world_is_simulated())
        ck_assert_uint_le(took, milliseconds + TICK);
    ck_assert_uint_eq(actor->errors, 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actor->socket), text));
}

/* Lets about as many milliseconds pass, with turns. */
static void pass(uint64_t milliseconds)
{
    uint64_t start = now();
    while (now() - start < milliseconds)
        world_turn();
}

/* ---- the times ------------------------------------------------------------------------------- */

CASE(silent_from_the_beginning, "D20 reliability 8", "no first byte in time: an error, and the end")
{
    struct host *host = limited((berth_connection_limits){.first_byte = 200});
    struct peer *silent;
    struct peer *speaker;
    struct actor *other = host_connect(host, "t", &speaker);
    other->quiet = true;
    peer_say(speaker, "x");
    UNTIL(other->received == 1);
    uint64_t start = now();
    struct actor *actor = host_connect(host, "s", &silent);
    trace_clear();
    expect_end(actor, start, 200, "first byte");
    assert_trace("s error SOCKET_TIMEOUT, s state UNCONNECTED, s finished, s disconnected");
    ck_assert(peer_saw_end(silent));
    ck_assert_uint_eq(other->disconnects, 0);
    ck_assert_uint_eq(counts_of(host).closed_first_byte, 1);
    ck_assert_uint_eq(counts_of(host).live, 1);
}

CASE(idle_is_since_the_last_byte, "D20", "each byte, either way, begins the time anew")
{
    struct host *host = limited((berth_connection_limits){.idle = 300});
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    uint64_t last = 0;
    for (size_t i = 1; i <= 6; i++) {
        pass(100);
        last = now();
        if (i % 2 == 0) {
            peer_say(peer, "x");
            UNTIL(actor->received == i / 2);
        } else {
            actor_say(actor, "y");
            UNTIL(actor->written == (i + 1) / 2);
        }
        ck_assert_uint_eq(actor->disconnects, 0);
    }
    expect_end(actor, last, 300, "idle");
    ck_assert_uint_eq(counts_of(host).closed_idle, 1);
}

CASE(lifetime_is_for_the_busy_too, "D20", "a connection that never rests ends all the same")
{
    struct host *host = limited((berth_connection_limits){.lifetime = 250, .idle = 10000});
    struct peer *peer;
    uint64_t start = now();
    struct actor *actor = host_connect(host, "s", &peer);
    for (uint64_t next = start; actor->disconnects == 0 && now() - start < 5000;) {
        if (now() >= next) {
            peer_send_some(peer, "x", 1);
            next = now() + 10;
        }
        world_turn();
    }
    expect_end(actor, start, 250, "maximum lifetime");
    ck_assert_uint_eq(counts_of(host).closed_lifetime, 1);
    ck_assert_uint_ge(actor->received, 2);
}

CASE(rate_of_a_dripping_peer, "D20 reliability 8",
     "a byte now and then is too slow, a stream is not")
{
    const berth_connection_limits limits = {.minimum_rate = 1000, .rate_window = 200};
    struct host *host = limited(limits);
    struct peer *slow;
    struct peer *quick;
    static const char block[1024];
    struct actor *steady = host_connect(host, "t", &quick);
    steady->quiet = true;
    uint64_t start = now();
    struct actor *actor = host_connect(host, "s", &slow);
    uint64_t next = start;
    while (actor->disconnects == 0 && now() - start < 5000) {
        if (now() >= next) {
            peer_send_some(slow, "x", 1);
            peer_send_some(quick, block, sizeof block);
            next = now() + 10;
        }
        world_turn();
    }
    expect_end(actor, start, 200, "minimum rate");
    ck_assert_uint_eq(steady->disconnects, 0);
    ck_assert_uint_eq(counts_of(host).closed_rate, 1);
    /* The window in which it stopped began when the first was seen to be over. */
    expect_end(steady, start, 400 + BERTH_LIMIT_TICK, "minimum rate");
}

CASE(rate_of_long_writes, "D20", "what the kernel takes inside a call is counted as what it is")
{
    struct host *host =
        limited((berth_connection_limits){.minimum_rate = 100000000, .rate_window = 100});
    static char block[50000];
    struct peer *peer;
    uint64_t start = now();
    struct actor *actor = host_connect(host, "s", &peer);
    for (uint64_t next = start; actor->disconnects == 0 && now() - start < 5000;) {
        if (now() >= next) {
            berth_socket_write(actor->socket, block, sizeof block);
            next = now() + 20;
        }
        peer_receive_some(peer, block, sizeof block);
        world_turn();
    }
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actor->socket), "minimum rate"));
    ck_assert_uint_ge(actor->written, sizeof block);
    ck_assert_uint_eq(counts_of(host).closed_rate, 1);
}

CASE(limits_of_a_client, "D20", "a socket that connects has the limits it was given, from then on")
{
    struct peer *peer;
    uint64_t start = now();
    struct actor *actor = actor_connected("s", &peer);
    set(actor, (berth_connection_limits){.first_byte = 150});
    expect_end(actor, start, 150, "first byte");
    /* They hold for the next connection too, from its beginning. */
    uint16_t port = world_listen(4);
    pass(200);
    start = now();
    berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port);
    UNTIL(actor->disconnects == 2);
    ck_assert_uint_ge(now() - start + 1, 150);
}

static bool late;

static void note_late(berth_timer *timer, void *user)
{
    (void)timer;
    (void)user;
    late = true;
}

static void busy_from_the_beginning(struct actor *actor)
{
    if (berth_socket_state(actor->socket) != BERTH_STATE_CONNECTED)
        return;
    berth_timer *timer = berth_timer_new(world_loop(), note_late, NULL);
    ck_assert_ptr_nonnull(timer);
    berth_timer_start(timer, 400, 0);
    if (world_is_simulated())
        berth__sim_advance(world_sim(), UINT64_C(350000000));
    else
        usleep(350000);
}

static void expect_in_time(struct actor *actor)
{
    (void)actor;
    ck_assert(!late);
}

CASE(limits_beside_a_busy_beginning, "D20",
     "those of a client begin with the connection, not when state_changed has returned")
{
    struct actor *actor = actor_new("s");
    actor->on_state = busy_from_the_beginning;
    actor->on_error = expect_in_time;
    set(actor, (berth_connection_limits){.lifetime = 200});
    late = false;
    berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, world_listen(4));
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
}

CASE(limits_are_changed, "D20",
     "longer, shorter, and none; what began before counts from the change")
{
    struct host *host = limited((berth_connection_limits){.idle = 100});
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    set(actor, (berth_connection_limits){.idle = 60000, .lifetime = 60000});
    pass(300);
    ck_assert_uint_eq(actor->disconnects, 0);
    berth_connection_limits limits;
    berth_socket_limits(actor->socket, &limits);
    ck_assert_uint_eq(limits.idle, 60000);
    set(actor, (berth_connection_limits){.idle = 50});
    ck_assert(berth_socket_set_limits(actor->socket, NULL));
    pass(300);
    ck_assert_uint_eq(actor->disconnects, 0);
    berth_socket_limits(actor->socket, &limits);
    ck_assert_uint_eq(limits.idle, 0);
    uint64_t start = now();
    set(actor, (berth_connection_limits){.lifetime = 50});
    expect_end(actor, start, 50, "maximum lifetime");
    ck_assert_uint_eq(counts_of(host).closed_lifetime, 1);
}

CASE(limits_of_a_detached_socket, "D20", "it keeps them when it leaves its server")
{
    struct host *host = limited((berth_connection_limits){.idle = 100});
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    uint64_t start = now();
    berth_socket_detach(actor->socket);
    berth_server_free(host->server);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_le(start, now());
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
    berth_socket_free(actor->socket);
}

static void advance(struct actor *actor)
{
    actor->on_ready_read = NULL;
    berth__sim_advance(world_sim(), UINT64_C(1000000000));
}

CASE(bytes_behind_a_busy_handler, "D20",
     "what came while a handler was busy counts, though it was seen only after the time")
{
    if (!world_is_simulated())
        case_skip("only a simulated clock can be moved on in a handler");
    struct host *host = limited((berth_connection_limits){.idle = 500});
    struct peer *one;
    struct peer *other;
    struct actor *busy = host_connect(host, "t", &one);
    struct actor *actor = host_connect(host, "s", &other);
    busy->on_ready_read = advance;
    pass(300);
    peer_say(one, "x");
    UNTIL(busy->on_ready_read == NULL);
    peer_say(other, "y");
    pass(100);
    ck_assert_uint_eq(actor->disconnects, 0);
    ck_assert_uint_eq(actor->received, 1);
    UNTIL(actor->disconnects == 1 && busy->disconnects == 1);
}

CASE(rate_behind_a_busy_program, "limits.h",
     "what came after a window, and was seen before its end was, is not all that the next one has")
{
    if (!world_is_simulated())
        case_skip("needs a clock that stands still");
    struct host *host =
        limited((berth_connection_limits){.minimum_rate = 1000, .rate_window = 1000});
    struct peer *peer;
    static const char block[1024];
    struct actor *actor = host_connect(host, "s", &peer);
    actor->quiet = true;
    peer_send_some(peer, block, sizeof block);
    UNTIL(actor->received == sizeof block);
    berth__sim_advance(world_sim(), UINT64_C(1500000000));
    peer_send_some(peer, block, sizeof block);
    berth__sim_advance(world_sim(), UINT64_C(100000000));
    uint64_t look = now();
    UNTIL(actor->received == 2 * sizeof block);
    expect_end(actor, look, 1000, "minimum rate");
}

CASE(unread_input_is_not_idle, "D20", "a peer that is not read from is not at fault")
{
    struct host *host =
        limited((berth_connection_limits){.idle = 100, .minimum_rate = 1000, .rate_window = 100});
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->reads = false;
    berth_socket_set_read_buffer_size(actor->socket, 4);
    peer_say(peer, "full");
    UNTIL(berth_socket_bytes_available(actor->socket) == 4);
    pass(500);
    ck_assert_uint_eq(actor->disconnects, 0);
    uint64_t start = now();
    char bytes[4];
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, 4), 4);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_ge(now() - start + 1, 100);
}

CASE(deaf_peer_is_idle, "reliability 9", "output that nobody reads: idle, and a reset")
{
    struct host *host = limited((berth_connection_limits){.idle = 200});
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    static const uint8_t block[1 << 16];
    for (int i = 0; i < 400; i++)
        berth_socket_write(actor->socket, block, sizeof block);
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
    static uint8_t heard[sizeof block];
    while (peer_receive(peer, heard, sizeof heard) > 0)
        continue;
    ck_assert(peer_saw_reset(peer));
    ck_assert_uint_eq(counts_of(host).closed_idle, 1);
}

CASE(closing_has_limits_too, "reliability 9 S3.36", "the end of a deaf peer does not last for ever")
{
    struct host *host = limited((berth_connection_limits){.idle = 200, .first_byte = 100});
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    static const uint8_t block[1 << 16];
    for (int i = 0; i < 400; i++)
        berth_socket_write(actor->socket, block, sizeof block);
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CLOSING);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(counts_of(host).closed_idle, 1);
    ck_assert_uint_eq(counts_of(host).closed_first_byte, 0);
}

/* ---- in the queue, and in blocking waits ----------------------------------------------------- */

CASE(limit_in_the_queue, "D20",
     "nobody takes it and nothing comes: it leaves the queue, and is freed")
{
    struct host *host = limited((berth_connection_limits){.first_byte = 100});
    struct peer *peers[3];
    berth_server_set_max_pending_connections(host->server, 2);
    for (int i = 0; i < 3; i++)
        peers[i] = world_connect(host->port);
    peer_say(peers[1], "I am here");
    UNTIL(host->new_connections == 3);
    UNTIL(counts_of(host).closed_pending == 2);
    ck_assert_uint_eq(counts_of(host).closed_first_byte, 2);
    ck_assert_uint_eq(counts_of(host).pending, 1);
    ck_assert_uint_eq(counts_of(host).live, 1);
    ck_assert(peer_saw_end(peers[0]));
    ck_assert(peer_saw_end(peers[2]));
    struct actor *actor = host_take_actor(host, "s");
    UNTIL(actor_has(actor, "I am here") || berth_socket_bytes_available(actor->socket) == 9);
}

CASE(limit_in_the_queue_leaves_nothing, "D20", "however many end there, no memory stays behind")
{
    struct host *host = limited((berth_connection_limits){.first_byte = 20});
    long blocks = 0;
    for (uint64_t round = 1; round <= 5; round++) {
        struct peer *peers[4];
        for (int i = 0; i < 4; i++)
            peers[i] = world_connect(host->port);
        UNTIL(counts_of(host).closed_pending == 4 * round);
        for (int i = 0; i < 4; i++)
            peer_close(peers[i]);
        world_settle();
        if (round == 1)
            blocks = balance_blocks();
    }
    /* Of a later round more may be open, or closing, at once; but 16 have ended since. */
    ck_assert_int_lt(balance_blocks(), blocks + 16);
}

CASE(limits_in_a_blocking_read, "D20", "no loop runs: the wait itself ends the connection in time")
{
    struct host *host = limited((berth_connection_limits){.idle = 150});
    struct peer *peer = world_connect(host->port);
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
    uint64_t start = now();
    struct actor *actor = actor_on("s", berth_server_next_pending_connection(host->server));
    ck_assert(!berth_socket_wait_for_ready_read(actor->socket, world_for_ever()));
    expect_end(actor, start, 150, "idle");
    ck_assert(peer_saw_end(peer));
    ck_assert_uint_eq(counts_of(host).closed_idle, 1);
}

CASE(limits_in_other_blocking_waits, "D20", "waits for output and for the end keep them as well")
{
    struct host *host = limited((berth_connection_limits){.lifetime = 150});
    struct peer *peer = world_connect(host->port);
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
    struct actor *actor = actor_on("s", berth_server_next_pending_connection(host->server));
    ck_assert(berth_socket_wait_for_disconnected(actor->socket, 60000));
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
    (void)peer;
    world_connect(host->port);
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
    actor = actor_on("s", berth_server_next_pending_connection(host->server));
    static const uint8_t block[1 << 16];
    for (int i = 0; i < 400; i++)
        berth_socket_write(actor->socket, block, sizeof block);
    while (berth_socket_wait_for_bytes_written(actor->socket, 60000))
        continue;
    ck_assert_uint_eq(actor->disconnects, 1);
    ck_assert_uint_eq(counts_of(host).closed_lifetime, 2);
}

CASE(bytes_that_came_before_a_blocking_wait, "D20",
     "what lies in the kernel when the wait begins is seen before the time is held against it")
{
    if (!world_is_simulated())
        case_skip("only a simulated clock can be moved on");
    struct host *host = limited((berth_connection_limits){.idle = 100});
    struct peer *peer = world_connect(host->port);
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
    struct actor *actor = actor_on("s", berth_server_next_pending_connection(host->server));
    peer_send_some(peer, "x", 1);
    berth__sim_advance(world_sim(), UINT64_C(10000000000));
    ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
    ck_assert_uint_eq(actor->received, 1);
    ck_assert_uint_eq(actor->disconnects, 0);
}

CASE(limit_in_the_queue_in_a_blocking_wait, "D20",
     "a server that only waits gets rid of silent connections that nobody took")
{
    struct host *host = limited((berth_connection_limits){.first_byte = 100});
    for (int i = 0; i < 3; i++)
        world_connect(host->port);
    while (host->new_connections < 3)
        ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
    bool timed_out = false;
    ck_assert(!berth_server_wait_for_new_connection(host->server, 400, &timed_out));
    ck_assert(timed_out);
    ck_assert_uint_eq(counts_of(host).closed_pending, 3);
    ck_assert(!berth_server_has_pending_connections(host->server));
}

/* ---- handlers -------------------------------------------------------------------------------- */

CASE(limit_of_nobody_in_a_blocking_wait, "D20",
     "what was due for a connection that has gone since it was taken does not keep a wait awake")
{
    struct host *host = limited((berth_connection_limits){.lifetime = 30});
    (void)world_connect(host->port);
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
    berth_socket_free(host_take(host));
    berth_loop_counts before, after;
    berth_loop_statistics(world_loop(), &before);
    ck_assert(!berth_server_wait_for_new_connection(host->server, 100, NULL));
    berth_loop_statistics(world_loop(), &after);
    ck_assert_uint_lt(after.waits - before.waits, 20);
}

CASE(free_at_a_limit, "D20 S5.4", "error_occurred frees the socket")
{
    struct host *host = limited((berth_connection_limits){.first_byte = 50});
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->on_error = actor_free_socket;
    UNTIL(actor->disconnects == 1);
    ck_assert(peer_saw_end(peer));
    ck_assert_uint_eq(counts_of(host).live, 0);
    ck_assert_uint_eq(counts_of(host).closed_first_byte, 1);
}

static void reset(struct actor *actor)
{
    berth_socket_reset(actor->socket);
}

CASE(reset_at_a_limit, "D20", "error_occurred ends the connection itself: that is the one end")
{
    struct host *host = limited((berth_connection_limits){.first_byte = 50});
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->on_error = reset;
    UNTIL(actor->disconnects == 1);
    ck_assert(peer_saw_reset(peer));
    world_settle();
    ck_assert_uint_eq(actor->disconnects, 1);
}

CASE(many_connections_with_limits, "D20 reliability 8",
     "each ends in its time, and all are counted")
{
    enum {
        MANY = 500
    };
    struct host *host = host_new("h");
    const berth_connection_limits limits = {.first_byte = 400, .idle = 600};
    berth_server_set_connection_limits(host->server, &limits);
    berth_server_set_listen_backlog_size(host->server, MANY);
    berth_server_set_max_pending_connections(host->server, MANY);
    host_listen(host);
    static struct peer *peers[MANY];
    for (int i = 0; i < MANY; i++) {
        peers[i] = world_connect(host->port);
        if (i % 5 == 0)
            peer_send_some(peers[i], "x", 1);
        if (i % 20 == 0)
            world_turn();
    }
    UNTIL(counts_of(host).accepted == MANY);
    UNTIL(counts_of(host).live == 0);
    berth_server_counts counts = counts_of(host);
    ck_assert_uint_eq(counts.closed_first_byte, MANY - MANY / 5);
    ck_assert_uint_eq(counts.closed_idle, MANY / 5);
    ck_assert_uint_eq(counts.closed_pending, MANY);
}

/* ---- output ---------------------------------------------------------------------------------- */

/* Writes until the kernel takes no more: some output is left then. */
static void stuff(const struct actor *actor)
{
    static const char bytes[60000];
    for (int i = 0; i < 1000 && berth_socket_bytes_to_write(actor->socket) == 0; i++) {
        ck_assert_int_eq(berth_socket_write(actor->socket, bytes, sizeof bytes), sizeof bytes);
        world_settle();
    }
    ck_assert_uint_gt(berth_socket_bytes_to_write(actor->socket), 0);
}

static void limit_output(const struct actor *actor, size_t more)
{
    size_t left = berth_socket_bytes_to_write(actor->socket);
    set(actor, (berth_connection_limits){.output = left + more});
}

/* A real kernel may still have some room when it is asked again. */
static void write_too_much(struct actor *actor)
{
    static const char bytes[1001];
    ptrdiff_t count = 0;
    for (int i = 0; i < 100000 && count >= 0; i++)
        count = berth_socket_write(actor->socket, bytes, sizeof bytes);
    ck_assert_int_eq(count, -1);
}

CASE(output_beyond_the_limit, "D16 reliability 9",
     "the kernel takes none of it: the write takes nothing, and the turn ends the connection")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    static const char bytes[1001];
    struct actor *actor = host_connect(host, "s", &peer);
    stuff(actor);
    limit_output(actor, 1000);
    trace_clear();
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, 600), 600);
    write_too_much(actor);
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_SOCKET_RESOURCE);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, 1), -1);
    ck_assert_uint_eq(actor->disconnects, 0);
    UNTIL(actor->disconnects == 1);
    assert_trace("s error SOCKET_RESOURCE, s state UNCONNECTED, s finished, s disconnected");
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actor->socket), "too much output"));
    char heard[4096];
    while (peer_receive_some(peer, heard, sizeof heard) > 0)
        continue;
    ck_assert(peer_saw_reset(peer));
    ck_assert_uint_eq(counts_of(host).closed_output, 1);
}

CASE(output_limit_above_a_mark, "D16",
     "a high mark that is lower is reached first, and nothing ends")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    static const char bytes[5000];
    struct actor *actor = host_connect(host, "s", &peer);
    stuff(actor);
    limit_output(actor, 1000);
    size_t left = berth_socket_bytes_to_write(actor->socket);
    berth_socket_set_write_marks(actor->socket, 100, left + 900);
    ptrdiff_t count = 5000;
    for (int i = 0; i < 100000 && count > 0; i++)
        count = berth_socket_write(actor->socket, bytes, 5000);
    ck_assert_int_eq(count, 0);
    world_settle();
    ck_assert_uint_eq(actor->disconnects, 0);
}

static void write_twice(struct actor *actor)
{
    write_too_much(actor);
    ck_assert_int_eq(berth_socket_write(actor->socket, "again", 5), -1);
}

CASE(output_beyond_the_limit_in_a_handler, "D16",
     "a handler that writes on finds its socket alive; `disconnected` frees it")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    stuff(actor);
    limit_output(actor, 4);
    actor->on_ready_read = write_twice;
    actor->on_disconnected = actor_free_socket;
    peer_say(peer, "x");
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(counts_of(host).live, 0);
    ck_assert_uint_eq(counts_of(host).closed_output, 1);
}

CASE(output_beyond_the_limit_while_connecting, "D16", "it ends when the connection stands")
{
    uint16_t port = world_listen(4);
    struct actor *actor = actor_new("s");
    if (world_is_simulated()) /* so that it takes some turns */
        berth__sim_settings_of(world_sim())->max_delay = UINT64_C(50000000);
    set(actor, (berth_connection_limits){.output = 4});
    berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port);
    ck_assert_int_eq(berth_socket_write(actor->socket, "too much", 8), -1);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->connects, 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_RESOURCE);
}

CASE(output_beyond_the_limit_in_a_blocking_wait, "D16", "the next wait ends the connection")
{
    struct host *host = host_listening("h");
    world_connect(host->port);
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
    struct actor *actor = actor_on("s", berth_server_next_pending_connection(host->server));
    stuff(actor);
    limit_output(actor, 4);
    write_too_much(actor);
    ck_assert(!berth_socket_wait_for_ready_read(actor->socket, 60000));
    ck_assert_uint_eq(actor->disconnects, 1);
    ck_assert_uint_eq(counts_of(host).closed_output, 1);
}

CASE(output_beyond_the_limit_while_a_wait_connects, "D16",
     "nothing is left to be sent: the wait ends the connection all the same")
{
    struct host *host = host_listening("h");
    struct actor *actor = actor_new("s");
    set(actor, (berth_connection_limits){.output = 4});
    berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port);
    ck_assert_int_eq(berth_socket_write(actor->socket, "too much", 8), -1);
    ck_assert(berth_socket_wait_for_disconnected(actor->socket, 5000));
    ck_assert_uint_eq(actor->connects, 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_RESOURCE);
}

CASE(idle_after_a_long_pause, "D16",
     "what goes after the program was busy for longer than the limit counts from when it went")
{
    struct peer *peer;
    struct actor *actor = host_connect(host_listening("h"), "s", &peer);
    if (!world_is_simulated())
        case_skip("needs a clock that stands still");
    set(actor, (berth_connection_limits){.idle = 100});
    for (unsigned round = 0; round < 4; round++) {
        actor_say(actor, "late");
        berth__sim_advance(world_sim(), UINT64_C(1000000000));
        berth_loop_turn(world_loop(), 0);
        berth_loop_turn(world_loop(), 0);
        ck_assert_uint_eq(actor->disconnects, 0);
    }
    ck_assert(peer_hears(peer, "latelatelatelate"));
}

static void take_a_second(struct actor *actor)
{
    (void)actor;
    berth__sim_advance(world_sim(), UINT64_C(1000000000));
}

CASE(idle_while_output_is_not_offered, "D16",
     "the limit does not run out while a handler of another keeps output from the kernel")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct peer *other_peer;
    struct actor *actor = host_connect(host, "s", &peer);
    struct actor *other = host_connect(host, "o", &other_peer);
    enum {
        MUCH = 1 << 20
    };
    if (!world_is_simulated())
        case_skip("needs a clock that stands still");
    uint8_t *much = scene_pattern(MUCH, 1);
    size_t got = 0;
    actor->quiet = other->quiet = true;
    other->on_written = take_a_second;
    set(actor, (berth_connection_limits){.idle = 100});
    ck_assert_int_eq(berth_socket_write(actor->socket, much, MUCH), MUCH);
    actor_say(other, "x");
    berth_loop_turn(world_loop(), 0);
    other->on_written = NULL;
    for (int turns = 0; turns < WORLD_TURNS && got < MUCH; turns++) {
        berth_loop_turn(world_loop(), 0);
        ck_assert_uint_eq(actor->disconnects, 0);
        got += peer_receive_some(peer, much, MUCH);
    }
    ck_assert_uint_eq(got, MUCH);
    free(much);
}

CASE(limits_set_after_a_long_pause, "D20",
     "they begin when they are set, also where input is held back, however long ago a turn was")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    enum {
        MUCH = 16 << 20 /* more than the kernel takes */
    };
    uint8_t *much = scene_pattern(MUCH, 1);
    actor->quiet = true;
    actor->reads = false;
    set(actor, (berth_connection_limits){.idle = 60000});
    berth_socket_set_read_buffer_size(actor->socket, 4);
    peer_say(peer, "full");
    UNTIL(berth_socket_bytes_available(actor->socket) == 4);
    ck_assert_int_eq(berth_socket_write(actor->socket, much, MUCH), MUCH);
    world_settle();
    if (world_is_simulated())
        berth__sim_advance(world_sim(), UINT64_C(500000000));
    else
        usleep(500000);
    set(actor, (berth_connection_limits){.idle = 400});
    uint64_t start = now();
    berth_socket_disconnect_from_host(actor->socket);
    expect_end(actor, start, 400, "idle for too long");
    free(much);
}

CASE(limits_before_an_adoption, "D16",
     "limits that a socket has hold for the descriptor that it adopts, from then on")
{
    struct peer *peer;
    struct actor *actor = actor_new("s");
    set(actor, (berth_connection_limits){.lifetime = 50});
    ck_assert(berth_socket_set_descriptor(actor->socket, world_stream_descriptor(&peer)));
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
    ck_assert(berth_socket_set_descriptor(actor->socket, world_stream_descriptor(&peer)));
    UNTIL(actor->disconnects == 2);
}

/* ---- memory ---------------------------------------------------------------------------------- */

CASE(each_limit_alone_is_one, "D20", "down to 1; all of them 0 are none, and take no memory")
{
    static const berth_connection_limits each[] = {
        {.first_byte = 1}, {.idle = 1}, {.lifetime = 1}, {.minimum_rate = 1}, {.output = 1}, {0}};
    enum {
        COUNT = sizeof each / sizeof each[0]
    };
    for (size_t i = 0; i < COUNT; i++) {
        struct actor *actor = actor_new("s");
        long before = balance_blocks();
        set(actor, each[i]);
        ck_assert_int_eq(balance_blocks() > before, i + 1 < COUNT);
        berth_connection_limits is;
        berth_socket_limits(actor->socket, &is);
        ck_assert_uint_eq(is.first_byte + is.idle + is.lifetime + is.minimum_rate + is.output,
                          i + 1 < COUNT);
    }
    berth_server_counts counts;
    struct peer *peer;
    struct host *host = limited(each[1]);
    (void)host_connect(host, "s", &peer);
    UNTIL((berth_server_statistics(host->server, &counts), counts.closed_idle == 1));
}

CASE(no_memory_for_limits, "reliability 13",
     "the setting fails, or the connection is counted as failed")
{
    struct actor *actor = actor_new("s");
    const berth_connection_limits limits = {.idle = 60000};
    berth__fault_set_memory(0, 1);
    ck_assert(berth_socket_set_limits(actor->socket, NULL)); /* needs none */
    ck_assert(!berth_socket_set_limits(actor->socket, &limits));
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_SOCKET_RESOURCE);
    berth__fault_clear();
    ck_assert(berth_socket_set_limits(actor->socket, &limits));

    struct host *host = limited(limits);
    const berth_accept_limits both = {.per_address = 100};
    berth_server_set_accept_limits(host->server, &both);
    for (long after = 0; after < 12; after++) {
        struct peer *peer = world_connect(host->port);
        uint64_t accepted = counts_of(host).accepted;
        berth__fault_set_memory(after, 1);
        UNTIL(counts_of(host).accepted > accepted);
        berth__fault_clear();
        world_settle();
        while (berth_server_has_pending_connections(host->server))
            berth_socket_free(berth_server_next_pending_connection(host->server));
        peer_close(peer);
        world_settle();
        ck_assert_uint_eq(counts_of(host).live, 0);
    }
    ck_assert_uint_ge(counts_of(host).failed, 2);
}

static struct peer *bursting;

static void send_and_be_busy(struct actor *actor)
{
    static const char block[1024];
    (void)actor;
    berth__sim_advance(world_sim(), UINT64_C(500000000));
    peer_send_some(bursting, block, sizeof block);
    berth__sim_advance(world_sim(), UINT64_C(500000000));
}

CASE(rate_beside_a_busy_handler, "limits.h",
     "what comes while a handler is busy, behind the look that ends a window, is not for that one")
{
    if (!world_is_simulated())
        case_skip("needs a clock that stands still");
    struct host *host =
        limited((berth_connection_limits){.minimum_rate = 1000, .rate_window = 1000});
    static const char block[1024];
    struct peer *peer;
    struct actor *busy = host_connect(host_listening("busy"), "b", &peer);
    struct actor *actor = host_connect(host, "s", &bursting);
    actor->quiet = true;
    uint64_t begin = now();
    peer_send_some(bursting, block, sizeof block);
    UNTIL(actor->received == sizeof block);
    berth__sim_advance(world_sim(), UINT64_C(1020000000) - (now() - begin) * 1000000);
    busy->on_ready_read = send_and_be_busy;
    peer_say(peer, "x");
    peer_say(bursting, "y");
    UNTIL(busy->ready_reads == 1);
    UNTIL(actor->received > 2 * sizeof block);
    UNTIL(actor->disconnects > 0);
    expect_end(actor, begin, 3020, "minimum rate"); /* the next began behind the handler */
}
