/*
 * Rates: how fast bytes go, in which shares, and that nothing is lost by waiting for tokens.
 *
 * The simulated clock judges the speed; on a real kernel, which is shared with others, only its
 * order is.
 */
#include "scene.h"

#include "loop/loop.h"

#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define SPEED 100000u /* bytes a second */
#define SECONDS 5u
#define PLENTY ((size_t)8 << 20)
#define MOST 8u

/* Connections of a server, all of one rate. */
struct crowd {
    berth_rate *rate;
    struct actor *actors[MOST];
    struct peer *peers[MOST];
    size_t moved[MOST];
    unsigned count;
};

static berth_rate *rate_new(uint64_t speed, uint64_t burst)
{
    berth_rate *rate = berth_rate_new(world_loop(), speed, burst);
    ck_assert_ptr_nonnull(rate);
    return rate;
}

static struct crowd crowd_new(unsigned count, uint64_t speed)
{
    struct crowd crowd = {.rate = rate_new(speed, 0), .count = count};
    struct host *host = host_listening("h");
    for (unsigned i = 0; i < count; i++) {
        crowd.actors[i] = host_connect(host, "s", &crowd.peers[i]);
        crowd.actors[i]->quiet = true;
    }
    return crowd;
}

static size_t crowd_moved(const struct crowd *crowd)
{
    size_t all = 0;
    for (unsigned i = 0; i < crowd->count; i++)
        all += crowd->moved[i];
    return all;
}

static size_t crowd_written(const struct crowd *crowd)
{
    size_t all = 0;
    for (unsigned i = 0; i < crowd->count; i++)
        all += crowd->actors[i]->written;
    return all;
}

static void crowd_count(struct crowd *crowd)
{
    for (unsigned i = 0; i < crowd->count; i++)
        crowd->moved[i] = crowd->actors[i]->received;
}

static void crowd_turn(struct crowd *crowd, uint64_t milliseconds)
{
    uint64_t end = berth_loop_now(world_loop()) + milliseconds;
    while (berth_loop_now(world_loop()) < end)
        world_turn();
    crowd_count(crowd);
}

/* Runs the loop for that long, with peers that take and send whatever can be. */
static void crowd_run(struct crowd *crowd, uint64_t milliseconds, bool reads)
{
    static uint8_t taken[65536];
    uint64_t end = berth_loop_now(world_loop()) + milliseconds;
    while (berth_loop_now(world_loop()) < end) {
        for (unsigned i = 0; i < crowd->count; i++) {
            if (reads)
                (void)peer_send_some(crowd->peers[i], world_zeros(), sizeof taken);
            else
                crowd->moved[i] += peer_receive_some(crowd->peers[i], taken, sizeof taken);
        }
        world_turn();
    }
    if (reads)
        crowd_count(crowd);
}

static uint64_t long_enough(void)
{
    return world_is_simulated() ? SECONDS * 1000 : 500;
}

/* What came is what the rate says, to 3 percent where the clock is simulated. */
static void check_speed(size_t moved, uint64_t speed, uint64_t milliseconds)
{
    uint64_t expected = speed * milliseconds / 1000;
    uint64_t burst = speed / 10;
    if (world_is_simulated()) {
        ck_assert_uint_ge(moved, expected * 97 / 100);
        ck_assert_uint_le(moved, expected * 103 / 100);
    } else {
        ck_assert_uint_ge(moved, expected / 4);
        ck_assert_uint_le(moved, 4 * (expected + burst));
    }
}

CASE(output_at_a_rate, "rate.h", "output goes as fast as its rate")
{
    struct crowd crowd = crowd_new(1, SPEED);
    ck_assert(berth_socket_set_write_rate(crowd.actors[0]->socket, crowd.rate));
    ck_assert_ptr_eq(berth_socket_write_rate(crowd.actors[0]->socket), crowd.rate);
    ck_assert_ptr_null(berth_socket_read_rate(crowd.actors[0]->socket));
    ck_assert_int_eq(berth_socket_write(crowd.actors[0]->socket, world_zeros(), PLENTY), PLENTY);
    crowd_run(&crowd, long_enough(), false);
    check_speed(crowd.moved[0], SPEED, long_enough());
}

CASE(input_at_a_rate, "rate.h", "input comes as fast as its rate")
{
    struct crowd crowd = crowd_new(1, SPEED);
    ck_assert(berth_socket_set_read_rate(crowd.actors[0]->socket, crowd.rate));
    ck_assert_ptr_eq(berth_socket_read_rate(crowd.actors[0]->socket), crowd.rate);
    crowd_run(&crowd, long_enough(), true);
    check_speed(crowd.moved[0], SPEED, long_enough());
}

/* None has much more than another, but for the burst, which is who comes first's; on a real clock,
 * of which a slow kernel makes long ticks, half of it and twice as much. */
static void check_shares(const struct crowd *crowd, uint64_t speed)
{
    size_t share = crowd_moved(crowd) / crowd->count;
    size_t least = world_is_simulated() ? share * 9 / 10 : share / 2;
    size_t most = world_is_simulated() ? share * 11 / 10 : share * 2;
    for (unsigned i = 0; i < crowd->count; i++) {
        ck_assert_uint_ge(crowd->moved[i], least - speed / 10 / crowd->count);
        ck_assert_uint_le(crowd->moved[i], most + speed / 10);
    }
}

CASE(shared_output, "rate.h", "those that share a rate get the same of it, however they write")
{
    struct crowd crowd = crowd_new(5, 5 * SPEED);
    size_t deadlines = world_loop()->deadlines.count;
    for (unsigned i = 0; i < crowd.count; i++) {
        size_t size = PLENTY >> i;
        ck_assert(berth_socket_set_write_rate(crowd.actors[i]->socket, crowd.rate));
        ck_assert_int_eq(berth_socket_write(crowd.actors[i]->socket, world_zeros(), size),
                         (ptrdiff_t)size);
    }
    world_turn();
    world_turn();
    ck_assert_uint_eq(world_loop()->deadlines.count, deadlines + 1);
    crowd_run(&crowd, long_enough() / 2, false);
    check_speed(crowd_moved(&crowd), 5 * SPEED, long_enough() / 2 + 50);
    check_shares(&crowd, 5 * SPEED);
}

CASE(shared_input, "rate.h", "those that share a rate get the same of it, and both directions may")
{
    struct crowd crowd = crowd_new(4, 4 * SPEED);
    for (unsigned i = 0; i < crowd.count; i++)
        ck_assert(berth_socket_set_read_rate(crowd.actors[i]->socket, crowd.rate));
    crowd_run(&crowd, long_enough(), true);
    check_speed(crowd_moved(&crowd), 4 * SPEED, long_enough());
    check_shares(&crowd, 4 * SPEED);
}

CASE(idle_ones_take_nothing, "rate.h", "only those that could move bytes share")
{
    struct crowd crowd = crowd_new(6, SPEED);
    for (unsigned i = 0; i < crowd.count; i++) {
        ck_assert(berth_socket_set_read_rate(crowd.actors[i]->socket, crowd.rate));
        ck_assert(berth_socket_set_write_rate(crowd.actors[i]->socket, crowd.rate));
    }
    ck_assert_int_eq(berth_socket_write(crowd.actors[0]->socket, world_zeros(), PLENTY), PLENTY);
    crowd_run(&crowd, long_enough(), false);
    check_speed(crowd.moved[0], SPEED, long_enough());
}

/* Each sends exactly what it gets in turns, so that its last turn finds no input. */
CASE(idle_ones_keep_nothing, "rate.h", "a turn that finds no input does not count for later")
{
    enum {
        FAST = 20000,
        AT_ONCE = 2000,
        TURN = 1000
    };
    struct crowd crowd = crowd_new(MOST, FAST);
    size_t expected = MOST * 2 * TURN;
    berth_rate_set(crowd.rate, FAST, AT_ONCE);
    for (unsigned i = 0; i < crowd.count; i++) {
        ck_assert(berth_socket_set_read_rate(crowd.actors[i]->socket, crowd.rate));
        peer_send(crowd.peers[i], world_zeros(), 2 * TURN);
    }
    for (int i = 0; i < 100 && crowd_moved(&crowd) < expected; i++)
        crowd_turn(&crowd, 100);
    ck_assert_uint_eq(crowd_moved(&crowd), expected);
    crowd_turn(&crowd, 700); /* all who wait get their turn, and the burst is there again */
    uint64_t begin = berth_loop_now(world_loop());
    for (unsigned i = 0; i < crowd.count; i++)
        peer_send(crowd.peers[i], world_zeros(), TURN);
    for (int turns = 0; turns < 5; turns++)
        world_turn();
    crowd_count(&crowd);
    uint64_t passed = berth_loop_now(world_loop()) + 1 - begin;
    ck_assert_uint_le(crowd_moved(&crowd) - expected, AT_ONCE + FAST * passed / 1000);
}

/* Each has output that waits for its peer, which then reads. */
CASE(blocked_ones_keep_nothing, "rate.h",
     "output that finds no room does not count for later: the burst holds when all peers read")
{
    enum {
        SLOW = 20000,
        AT_ONCE = 2000
    };
    struct crowd crowd = crowd_new(MOST, 10000 * SPEED);
    for (unsigned i = 0; i < crowd.count; i++) {
        struct actor *actor = crowd.actors[i];
        ck_assert(berth_socket_set_write_rate(actor->socket, crowd.rate));
        ck_assert_int_eq(
            berth_socket_write_borrowed(actor->socket, world_zeros(), PLENTY, NULL, NULL), PLENTY);
    }
    size_t after = 0;
    crowd_turn(&crowd, 300);
    berth_rate_set(crowd.rate, SLOW, AT_ONCE);
    uint64_t begin = berth_loop_now(world_loop());
    size_t before = crowd_written(&crowd);
    for (int i = 0; i < 20 && after <= before; i++) {
        crowd_run(&crowd, 200, false);
        after = crowd_written(&crowd);
    }
    ck_assert_uint_lt(before, MOST * PLENTY);
    ck_assert_uint_gt(after, before);
    uint64_t passed = berth_loop_now(world_loop()) + 1 - begin;
    ck_assert_uint_le(after - before, AT_ONCE + SLOW * passed / 1000);
}

CASE(peer_that_does_not_read, "rate.h",
     "one whose peer does not read leaves the rate to the others")
{
    struct crowd crowd = crowd_new(3, SPEED);
    for (unsigned i = 0; i < crowd.count; i++) {
        ck_assert(berth_socket_set_write_rate(crowd.actors[i]->socket, crowd.rate));
        ck_assert_int_eq(berth_socket_write(crowd.actors[i]->socket, world_zeros(), PLENTY),
                         PLENTY);
    }
    crowd.count = 2;
    crowd_run(&crowd, long_enough(), false);
    size_t third = crowd.actors[2]->written;
    check_speed(crowd_moved(&crowd) + third, SPEED, long_enough());
    check_shares(&crowd, SPEED);
}

CASE(all_comes_in_time, "rate.h", "nothing is lost by a rate, in either direction")
{
    struct crowd crowd = crowd_new(1, 50 * SPEED);
    struct actor *actor = crowd.actors[0];
    size_t size = 300000;
    uint8_t *pattern = scene_pattern(size, 5);
    uint8_t *heard = malloc(size);
    ck_assert(berth_socket_set_read_rate(actor->socket, crowd.rate));
    ck_assert(berth_socket_set_write_rate(actor->socket, crowd.rate));
    ck_assert_int_eq(berth_socket_write(actor->socket, pattern, size), (ptrdiff_t)size);
    size_t sent = 0;
    size_t got = 0;
    for (int turns = 0; turns < 20 * WORLD_TURNS && (got < size || actor->received < size);
         turns++) {
        sent += peer_send_some(crowd.peers[0], pattern + sent, size - sent);
        got += peer_receive_some(crowd.peers[0], heard + got, size - got);
        world_turn();
    }
    ck_assert_uint_eq(got, size);
    ck_assert_mem_eq(heard, pattern, size);
    ck_assert_uint_eq(actor->received, size);
    ck_assert_mem_eq(actor->input, pattern, size);
    UNTIL(actor->written == size);
    peer_shutdown(crowd.peers[0]);
    UNTIL(actor->disconnects == 1);
    free(pattern);
    free(heard);
}

CASE(rate_is_freed, "rate.h", "those that wait for a rate that is freed go on without one")
{
    struct crowd crowd = crowd_new(3, 100);
    for (unsigned i = 0; i < crowd.count; i++) {
        ck_assert(berth_socket_set_write_rate(crowd.actors[i]->socket, crowd.rate));
        ck_assert(berth_socket_set_read_rate(crowd.actors[i]->socket, crowd.rate));
        ck_assert_int_eq(berth_socket_write(crowd.actors[i]->socket, world_zeros(), 5000), 5000);
        peer_send(crowd.peers[i], world_zeros(), 5000);
    }
    world_settle();
    ck_assert_uint_lt(crowd.actors[0]->written, 5000);
    ck_assert_uint_lt(crowd.actors[1]->received, 5000);
    berth_rate_free(crowd.rate);
    ck_assert_ptr_null(berth_socket_write_rate(crowd.actors[0]->socket));
    for (unsigned i = 0; i < crowd.count; i++) {
        UNTIL(crowd.actors[i]->written == 5000);
        UNTIL(crowd.actors[i]->received == 5000);
    }
    berth_rate *other = rate_new(SPEED, 0);
    ck_assert(berth_socket_set_write_rate(crowd.actors[0]->socket, other));
    ck_assert(berth_socket_set_write_rate(crowd.actors[1]->socket, NULL));
    actor_say(crowd.actors[0], "hello");
    UNTIL(crowd.actors[0]->written == 5005);
    berth_rate_free(NULL);
}

CASE(tokens_for_all_before_a_file, "rate.h", "it is sent at once, though the file has to wait")
{
    struct crowd crowd = crowd_new(1, 1);
    struct actor *actor = crowd.actors[0];
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    world_note(fileno(file));
    ck_assert_uint_eq(fwrite(world_zeros(), 1, 100, file), 100);
    ck_assert_int_eq(fflush(file), 0);
    berth_rate_free(crowd.rate);
    ck_assert(berth_socket_set_write_rate(actor->socket, rate_new(1, 20000)));
    ck_assert_int_eq(berth_socket_write(actor->socket, world_zeros(), 100), 100);
    ck_assert_int_eq(berth_socket_write_borrowed(actor->socket, world_zeros(), 19900, NULL, NULL),
                     19900);
    ck_assert_int_eq(berth_socket_write_file(actor->socket, fileno(file), 0, 100), 100);
    ck_assert_int_eq(fclose(file), 0);
    UNTIL(actor->written == 20000);
    int held = 0;
    if (!world_is_simulated())
        ck_assert_int_eq(ioctl(berth_socket_descriptor(actor->socket), SIOCOUTQNSD, &held), 0);
    ck_assert_int_eq(held, 0);
}

static void check_writes_at_once(struct actor *actor)
{
    const berth_connection_limits limits = {.output = 1000};
    ck_assert(berth_socket_set_limits(actor->socket, &limits));
    ck_assert_int_eq(berth_socket_write(actor->socket, world_zeros(), 5000), 5000);
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_NONE);
    UNTIL(actor->written == 5000);
}

CASE(no_limit_needs_no_tokens, "rate.h socket.h",
     "the kernel is asked before the limit of output, also where a rate has none, or was freed")
{
    struct crowd crowd = crowd_new(2, 0);
    for (unsigned i = 0; i < crowd.count; i++)
        ck_assert(berth_socket_set_write_rate(crowd.actors[i]->socket, crowd.rate));
    check_writes_at_once(crowd.actors[0]);
    berth_rate_set(crowd.rate, 1, 0);
    berth_rate_free(crowd.rate);
    check_writes_at_once(crowd.actors[1]);
}

CASE(sockets_are_freed, "rate.h", "one that is freed while it waits leaves its place to the next")
{
    struct crowd crowd = crowd_new(4, SPEED);
    for (unsigned i = 0; i < crowd.count; i++) {
        ck_assert(berth_socket_set_write_rate(crowd.actors[i]->socket, crowd.rate));
        ck_assert_int_eq(berth_socket_write(crowd.actors[i]->socket, world_zeros(), 40000), 40000);
    }
    world_turn();
    world_turn();
    berth_socket_free(crowd.actors[0]->socket);
    crowd.actors[0]->socket = NULL;
    berth_socket_abort(crowd.actors[2]->socket);
    crowd_run(&crowd, 1500, false);
    UNTIL(crowd.actors[1]->written == 40000);
    UNTIL(crowd.actors[3]->written == 40000);
}

CASE(rate_changes_at_once, "rate.h", "a change counts at once, for those that wait too")
{
    struct crowd crowd = crowd_new(1, 10);
    struct actor *actor = crowd.actors[0];
    ck_assert(berth_socket_set_write_rate(actor->socket, crowd.rate));
    ck_assert_int_eq(berth_socket_write(actor->socket, world_zeros(), 50000), 50000);
    world_settle();
    ck_assert_uint_lt(actor->written, 5000);
    berth_rate_set(crowd.rate, 10 * SPEED, 1000);
    UNTIL(actor->written >= 20000);
    berth_rate_set(crowd.rate, 1, 1);
    world_turn();
    world_turn();
    size_t written = actor->written;
    world_settle();
    ck_assert_uint_le(actor->written, written + 20);
    berth_rate_set(crowd.rate, 0, 0);
    UNTIL(actor->written == 50000);
    berth_rate_set(crowd.rate, UINT64_MAX, UINT64_MAX);
    actor_say(actor, "hello");
    UNTIL(actor->written == 50005);
}

static void wait_for_tokens(bool pauses)
{
    struct crowd crowd = crowd_new(2, SPEED);
    struct actor *actor = crowd.actors[0];
    uint32_t shorter_than_a_wait = 5;
    uint32_t limit = world_is_simulated() ? shorter_than_a_wait : 10000; /* a machine may be busy */
    berth_rate_set(crowd.rate, SPEED / 2, 1000);
    berth_socket_set_close_timeout(actor->socket, limit);
    ck_assert(berth_socket_set_write_rate(actor->socket, crowd.rate));
    const berth_connection_limits limits = {.idle = limit};
    ck_assert(berth_socket_set_limits(actor->socket, &limits));
    ck_assert_int_eq(berth_socket_write(actor->socket, world_zeros(), 20000), 20000);
    if (pauses)
        berth_socket_pause_reading(actor->socket);
    else
        berth_socket_disconnect_from_host(actor->socket);
    for (int i = 0; i < 20 && crowd.moved[0] < 20000; i++)
        crowd_run(&crowd, 500, false);
    ck_assert_uint_eq(crowd.moved[0], 20000);
    if (!pauses)
        UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->errors, 0);
}

CASE(rate_and_a_graceful_end, "rate.h socket.h",
     "the time that closing may take does not run while the output waits for tokens")
{
    wait_for_tokens(false);
}

CASE(rate_and_a_pause, "rate.h limits.h", "nor does a peer count as idle, in a pause or not")
{
    wait_for_tokens(true);
}

CASE(close_timeout_at_a_rate, "rate.h socket.h",
     "one that the peer does not read does not close for ever, with a rate or not")
{
    struct crowd crowd = crowd_new(1, 100 * SPEED);
    struct actor *actor = crowd.actors[0];
    berth_socket_set_close_timeout(actor->socket, 50);
    ck_assert(berth_socket_set_write_rate(actor->socket, crowd.rate));
    ck_assert_int_eq(berth_socket_write(actor->socket, world_zeros(), PLENTY), PLENTY);
    berth_socket_disconnect_from_host(actor->socket);
    for (int turns = 0; turns < 20 * WORLD_TURNS && actor->disconnects == 0; turns++)
        world_turn();
    ck_assert_uint_eq(actor->disconnects, 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
}

CASE(waits_at_a_rate, "rate.h", "blocking waits get tokens without timers")
{
    struct crowd crowd = crowd_new(1, SPEED);
    struct actor *actor = crowd.actors[0];
    berth_rate_set(crowd.rate, SPEED, 1000);
    ck_assert(berth_socket_set_write_rate(actor->socket, crowd.rate));
    ck_assert(berth_socket_set_read_rate(actor->socket, crowd.rate));
    ck_assert_int_eq(berth_socket_write(actor->socket, world_zeros(), 8000), 8000);
    peer_send(crowd.peers[0], world_zeros(), 8000);
    for (int waits = 0; waits < 100 && actor->written < 8000; waits++)
        ck_assert(berth_socket_wait_for_bytes_written(actor->socket, 5000));
    for (int waits = 0; waits < 100 && actor->received < 8000; waits++)
        ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
    ck_assert_uint_eq(actor->written, 8000);
    ck_assert_uint_eq(actor->received, 8000);
    peer_send(crowd.peers[0], world_zeros(), 3000);
    peer_close(crowd.peers[0]);
    ck_assert(berth_socket_wait_for_disconnected(actor->socket, 5000));
}

CASE(rate_and_a_read_limit, "rate.h socket.h", "the stricter of the two holds")
{
    struct crowd crowd = crowd_new(1, 10 * SPEED);
    struct actor *actor = crowd.actors[0];
    actor->reads = false;
    ck_assert(berth_socket_set_read_rate(actor->socket, crowd.rate));
    berth_socket_set_read_buffer_size(actor->socket, 700);
    peer_send(crowd.peers[0], world_zeros(), 5000);
    size_t received = 0;
    for (int turns = 0; turns < 20 * WORLD_TURNS && received < 5000; turns++) {
        world_turn();
        size_t available = berth_socket_bytes_available(actor->socket);
        ck_assert_uint_le(available, 700);
        berth_socket_pause_reading(actor->socket);
        received += available;
        if (available > 0)
            ck_assert_int_eq(berth_socket_skip(actor->socket, available), (ptrdiff_t)available);
        berth_socket_resume_reading(actor->socket);
    }
    ck_assert_uint_eq(received, 5000);
}

CASE(rate_of_another_loop, "rate.h", "a rate and its sockets have one loop")
{
    berth_rate *rate = berth_rate_new(world_second_loop(), SPEED, 0);
    ck_assert_ptr_nonnull(rate);
    struct actor *actor = actor_new("s");
    ck_assert(!berth_socket_set_read_rate(actor->socket, rate));
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_OPERATION);
    ck_assert(!berth_socket_set_write_rate(actor->socket, rate));
    ck_assert_ptr_null(berth_socket_write_rate(actor->socket));
    ck_assert_str_eq(berth_socket_error_string(actor->socket),
                     "cannot set a rate for the connection to the peer: the rate belongs to "
                     "another loop");
}
