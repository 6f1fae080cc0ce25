/*
 * A peer that reads all the time, but so slowly that the kernel does not take more within the time
 * of a limit: it takes more only when a third of its buffer is free. No limit ends it for that.
 */
#include "scene.h"

#include "backend/sim.h"

#include <stdlib.h>
#include <string.h>

enum {
    MUCH = 16 << 20, /* more than the kernel takes */
    LIMIT = 400,     /* milliseconds */
    PERIOD = 16,     /* between two reads: there are 25 in the time of the limit, */
    LASTING = 1600,  /* and this is long enough for several limits */
    SIM_BUFFER = 65536,
    SIM_STEP = SIM_BUFFER / 100, /* so a quarter of the buffer in that time, */
    STEP = 32768                 /* and of 4 MiB hardly more than a sixth */
};

typedef void (*turn_fn)(struct actor *actor);

static size_t step(void)
{
    return world_is_simulated() ? SIM_STEP : STEP;
}

static void turn(struct actor *actor)
{
    (void)actor;
    world_turn();
}

static void wait_instead(struct actor *actor)
{
    (void)berth_socket_wait_for_disconnected(actor->socket, PERIOD / 4);
}

/* A connection with output that its peer has only begun to read. */
static struct actor *slow(berth_connection_limits limits, struct peer **ret_peer)
{
    struct host *host = host_listening("h");
    berth_server_set_connection_limits(host->server, &limits);
    struct actor *actor = host_connect(host, "s", ret_peer);
    uint8_t *much = scene_pattern(MUCH, 1);
    actor->quiet = true;
    ck_assert_int_eq(berth_socket_write(actor->socket, much, MUCH), (ptrdiff_t)MUCH);
    free(much);
    return actor;
}

/* Reads now and then for so many milliseconds, or until the connection has ended. */
static void read_slowly(const struct actor *actor, struct peer *peer, uint64_t milliseconds,
                        turn_fn turn_once)
{
    static uint8_t heard[STEP];
    uint64_t start = berth_loop_now(world_loop());
    uint64_t last = start;
    uint64_t now = start;
    for (uint64_t next = start; actor->disconnects == 0 && now < start + milliseconds;) {
        turn_once((struct actor *)actor);
        now = berth_loop_now(world_loop());
        if (now < next)
            continue;
        if (now > last + LIMIT / 4)
            case_skip("the machine is too busy to read steadily");
        (void)peer_receive_some(peer, heard, step());
        last = now;
        next = now + PERIOD;
    }
}

/* The peer reads no more: that ends the connection, and in a simulated kernel in twice the time. */
static void expect_end(const struct actor *actor, const char *text)
{
    uint64_t start = berth_loop_now(world_loop());
    UNTIL(actor->disconnects == 1);
    uint64_t took = berth_loop_now(world_loop()) - start;
    if (world_is_simulated())
        ck_assert_uint_le(took, 2 * LIMIT + BERTH_LIMIT_TICK);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actor->socket), text));
}

static void expect_patience(berth_connection_limits limits, const char *text)
{
    struct peer *peer;
    struct actor *actor = slow(limits, &peer);
    read_slowly(actor, peer, LASTING, turn);
    ck_assert_uint_eq(actor->errors, 0);
    expect_end(actor, text);
}

CASE(slow_reader_is_not_idle, "limits.h", "what its kernel acknowledges counts as transferred")
{
    expect_patience((berth_connection_limits){.idle = LIMIT}, "idle");
}

CASE(slow_reader_has_a_rate, "limits.h", "what its kernel acknowledges counts for the rate")
{
    expect_patience((berth_connection_limits){.minimum_rate = 1000, .rate_window = LIMIT},
                    "minimum rate");
}

CASE(slow_reader_under_both, "limits.h", "neither look takes away what the other needs")
{
    expect_patience((berth_connection_limits){.idle = LIMIT,
                                              .minimum_rate = 1000,
                                              .rate_window = LIMIT * 3 / 4},
                    "");
}

CASE(slow_reader_while_closing, "socket.h Q24", "all the time that it needs, while it reads")
{
    struct peer *peer;
    struct actor *actor = slow((berth_connection_limits){0}, &peer);
    berth_socket_set_close_timeout(actor->socket, LIMIT);
    berth_socket_disconnect_from_host(actor->socket);
    read_slowly(actor, peer, LASTING, turn);
    ck_assert_uint_eq(actor->errors, 0);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CLOSING);
    expect_end(actor, "cannot send the rest of the output");
}

CASE(slow_reader_in_waits, "socket.h Q24", "the same where no timers run")
{
    struct peer *peer;
    struct actor *actor = slow((berth_connection_limits){.idle = LIMIT}, &peer);
    berth_socket_set_close_timeout(actor->socket, LIMIT);
    berth_socket_disconnect_from_host(actor->socket);
    read_slowly(actor, peer, LASTING, wait_instead);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CLOSING);
    ck_assert(berth_socket_wait_for_disconnected(actor->socket, 60000));
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
}

CASE(slow_reader_in_a_pause, "limits.h", "the idle limit runs in a pause, and not against it")
{
    struct peer *peer;
    struct actor *actor = slow((berth_connection_limits){.idle = LIMIT}, &peer);
    berth_socket_pause_reading(actor->socket);
    read_slowly(actor, peer, LASTING, turn);
    ck_assert_uint_eq(actor->errors, 0);
    expect_end(actor, "idle");
}

/* A connection whose output is all in the buffers of a simulated kernel: one that is full and, at
 * the writer's end, half of one. */
static struct actor *in_the_kernel(berth_connection_limits limits, struct peer **ret_peer)
{
    if (!world_is_simulated())
        case_skip("the size of the buffers is not known");
    struct host *host = host_listening("h");
    berth_server_set_connection_limits(host->server, &limits);
    struct actor *actor = host_connect(host, "s", ret_peer);
    const size_t size = SIM_BUFFER + SIM_BUFFER / 2;
    uint8_t *bytes = scene_pattern(size, 1);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, size), (ptrdiff_t)size);
    free(bytes);
    UNTIL(berth_socket_bytes_to_write(actor->socket) == 0);
    return actor;
}

CASE(slow_reader_of_what_the_kernel_holds, "limits.h",
     "no output waits in the socket: what the kernel has accepted and not delivered counts too")
{
    struct peer *peer;
    struct actor *actor = in_the_kernel((berth_connection_limits){.idle = LIMIT}, &peer);
    read_slowly(actor, peer, LIMIT * 3 / 2, turn); /* which leaves an eighth of the buffer */
    ck_assert_uint_eq(actor->errors, 0);
    expect_end(actor, "idle");
}

CASE(rate_of_what_the_kernel_holds, "limits.h", "the first window has the writing, no other")
{
    const uint32_t half = SIM_STEP * 1000 / PERIOD;
    struct peer *peer;
    struct actor *actor = in_the_kernel(
        (berth_connection_limits){.minimum_rate = 2 * half, .rate_window = LIMIT}, &peer);
    read_slowly(actor, peer, LIMIT * 3 / 2, turn);
    ck_assert_uint_eq(actor->errors, 0);
    read_slowly(actor, peer, LIMIT, turn);
    ck_assert_uint_eq(actor->disconnects, 1);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actor->socket), "minimum rate"));
}

CASE(reader_behind_a_busy_program, "limits.h",
     "what was acknowledged after a window, before its end was seen, does not count for it alone")
{
    if (!world_is_simulated())
        case_skip("needs a clock that stands still");
    static uint8_t heard[2 * SIM_STEP];
    const uint64_t half = (uint64_t)LIMIT / 2 * 1000000;
    struct peer *peer;
    struct actor *actor =
        in_the_kernel((berth_connection_limits){.minimum_rate = 1000, .rate_window = LIMIT}, &peer);
    uint64_t begin = berth_loop_now(world_loop()); /* the first window ends with the first look */
    UNTIL(berth_loop_now(world_loop()) - begin > LIMIT + 2 * BERTH_LIMIT_TICK);
    berth__sim_advance(world_sim(), 2 * half);
    (void)peer_receive_some(peer, heard, sizeof heard);
    berth__sim_advance(world_sim(), half);
    uint64_t late = berth_loop_now(world_loop());
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_ge(berth_loop_now(world_loop()) - late + 1, LIMIT);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actor->socket), "minimum rate"));
}

CASE(reader_below_the_rate, "limits.h", "acknowledged bytes are counted, and once")
{
    if (!world_is_simulated())
        case_skip("the time is virtual");
    const uint32_t half = SIM_STEP * 1000 / PERIOD;
    struct peer *peer;
    struct actor *actor =
        slow((berth_connection_limits){.minimum_rate = 2 * half, .rate_window = LIMIT}, &peer);
    read_slowly(actor, peer, LASTING, turn);
    ck_assert_uint_eq(actor->disconnects, 1);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actor->socket), "minimum rate"));
}

CASE(deaf_peer_that_has_sent, "limits.h",
     "ends for the rate while the connection closes: what nobody will read makes up for nothing")
{
    static const uint8_t words[30000];
    struct peer *peer;
    struct actor *actor =
        slow((berth_connection_limits){.minimum_rate = 1000, .rate_window = LIMIT / 4}, &peer);
    berth_socket_set_close_timeout(actor->socket, 0);
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CLOSING);
    ck_assert_uint_gt(peer_send_some(peer, words, sizeof words), LIMIT);
    UNTIL(actor->disconnects == 1);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actor->socket), "minimum rate"));
}
