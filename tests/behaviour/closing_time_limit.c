/*
 * A peer that does not read holds up the end of a connection, but not for ever.
 */
#include "scene.h"

#include "backend/sim.h"
#include "base/fault.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define MUCH WORLD_ZEROS /* more than the kernel takes */
#define SECOND ((uint64_t)1000000000)

/* A connection with output that its peer does not read. */
static struct actor *blocked(struct peer **ret_peer)
{
    struct host *host = host_listening("h");
    struct actor *actor = host_connect(host, "s", ret_peer);
    ck_assert_int_eq(berth_socket_write(actor->socket, world_zeros(), MUCH), (ptrdiff_t)MUCH);
    world_settle();
    trace_clear();
    return actor;
}

/* The trace but for "written": the kernel may take some more at any time. */
static void check_trace(const char *expected)
{
    char text[1024] = "";
    const char *word = "s written, ";
    for (const char *place = trace_text(); *place != '\0';) {
        if (strncmp(place, word, strlen(word)) == 0)
            place += strlen(word);
        else
            strncat(text, place++, 1);
    }
    ck_assert_str_eq(text, expected);
}

static void check_text(struct actor *actor)
{
    const char *text = berth_socket_error_string(actor->socket);
    const char *begin = "cannot send the rest of the output to 127.0.0.1:";
    ck_assert_msg(strncmp(text, begin, strlen(begin)) == 0, "%s", text);
    ck_assert_ptr_nonnull(strstr(text, "timed out"));
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CLOSING);
}

CASE(peer_does_not_read_while_closing, "Q24 S3.36",
     "the time passes without progress: SOCKET_TIMEOUT in CLOSING, then the end, once")
{
    struct peer *peer;
    struct actor *actor = blocked(&peer);
    berth_socket_set_close_timeout(actor->socket, 20);
    actor->on_error = check_text;
    berth_socket_disconnect_from_host(actor->socket);
    UNTIL(actor->disconnects == 1);
    check_trace("s state CLOSING, s error SOCKET_TIMEOUT, s state UNCONNECTED, s finished, s "
                "disconnected");
    ck_assert_uint_eq(berth_socket_bytes_to_write(actor->socket), 0);
    world_settle();
    ck_assert_uint_eq(actor->disconnects, 1);
    ck_assert_int_eq(berth_loop_timeout(world_loop()), -1);
}

CASE(peer_does_not_read_in_a_wait, "Q24 S4.17", "the same where no timers run")
{
    struct peer *peer;
    struct actor *actor = blocked(&peer);
    berth_socket_set_close_timeout(actor->socket, 20);
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert(berth_socket_wait_for_disconnected(actor->socket, world_for_ever()));
    check_trace("s state CLOSING, s error SOCKET_TIMEOUT, s state UNCONNECTED, s finished, s "
                "disconnected");
}

CASE(peer_ends_and_does_not_read, "Q24 S3.31",
     "the peer has ended its direction, and does not read what was written by then: the same limit")
{
    struct peer *peer;
    struct actor *actor = blocked(&peer);
    berth_socket_set_close_timeout(actor->socket, 20);
    peer_shutdown(peer);
    UNTIL(actor->disconnects == 1);
    check_trace("s error REMOTE_HOST_CLOSED, s state CLOSING, s error SOCKET_TIMEOUT, s state "
                "UNCONNECTED, s finished, s disconnected");
}

CASE(limit_is_set_while_closing, "Q24", "0 ends the limit, another one begins at once")
{
    struct peer *peer;
    struct actor *actor = blocked(&peer);
    ck_assert_uint_eq(berth_socket_close_timeout(actor->socket), BERTH_DEFAULT_CLOSE_TIMEOUT);
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert_int_gt(berth_loop_timeout(world_loop()), 0);
    berth_socket_set_close_timeout(actor->socket, 0);
    ck_assert_int_eq(berth_loop_timeout(world_loop()), -1);
    world_settle();
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CLOSING);
    berth_socket_set_close_timeout(actor->socket, 10);
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
}

CASE(closing_without_a_limit, "S3.36", "0: as long as the peer")
{
    struct peer *peer;
    struct actor *actor = blocked(&peer);
    berth_socket_set_close_timeout(actor->socket, 0);
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert_int_eq(berth_loop_timeout(world_loop()), -1);
    if (world_is_simulated())
        berth__sim_advance(world_sim(), 1000000 * SECOND);
    world_settle();
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CLOSING);
    berth_socket_abort(actor->socket);
}

CASE(default_limit_of_closing, "Q24", "a minute, in virtual time")
{
    if (!world_is_simulated())
        case_skip("the time is virtual");
    struct peer *peer;
    struct actor *actor = blocked(&peer);
    berth_socket_disconnect_from_host(actor->socket);
    world_settle();
    berth__sim_advance(world_sim(), 58 * SECOND);
    world_settle();
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CLOSING);
    berth__sim_advance(world_sim(), 3 * SECOND);
    world_settle();
    ck_assert_uint_eq(actor->disconnects, 1);
}

CASE(slow_peer_gets_all_of_it, "Q24", "each piece of progress begins the time anew")
{
    if (!world_is_simulated())
        case_skip("the time is virtual");
    struct peer *peer;
    struct actor *actor = blocked(&peer);
    static uint8_t heard[MUCH / 64];
    size_t received = 0;
    unsigned steps = 0;
    unsigned turns = 0;
    berth_socket_disconnect_from_host(actor->socket);
    while (received < MUCH && turns++ < 10000) {
        size_t got = peer_receive_some(peer, heard, sizeof heard);
        received += got;
        steps += got > 0;
        world_settle();
        berth__sim_advance(world_sim(), 40 * SECOND);
        world_turn();
    }
    ck_assert_uint_eq(received, MUCH);
    ck_assert_uint_gt(steps, 3); /* so that it took more than the limit */
    ck_assert(peer_saw_end(peer));
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->errors, 0);
}

static struct peer *reader;
static struct actor *busy;

static bool peer_takes_all(struct peer *peer)
{
    static uint8_t heard[MUCH / 16];
    while (peer_receive_some(peer, heard, sizeof heard) > 0)
        continue;
    return true;
}

/* The kernel takes more output, and is asked for something else only. */
static void peer_reads_meanwhile(berth_timer *timer, void *user)
{
    (void)timer;
    (void)user;
    (void)peer_takes_all(reader);
    ck_assert(!berth_socket_wait_for_ready_read(busy->socket, 0));
}

CASE(
    peer_has_read_when_the_limit_is_looked_at, "Q24",
    "the peer reads while a handler is busy beyond the limit, and the kernel has taken more output "
    "in its place: that is progress")
{
    struct peer *peer;
    struct actor *actor = blocked(&reader);
    busy = host_connect(host_listening("other"), "b", &peer);
    berth_timer *timer = berth_timer_new(world_loop(), peer_reads_meanwhile, NULL);
    ck_assert_ptr_nonnull(timer);
    berth_timer_start(timer, 1, 0);
    berth_socket_set_close_timeout(actor->socket, 2);
    berth_socket_disconnect_from_host(actor->socket);
    uint64_t late = berth_loop_now(world_loop()) + 5;
    while (berth_loop_now(world_loop()) < late && !world_is_simulated())
        continue;
    if (world_is_simulated())
        berth__sim_advance(world_sim(), SECOND);
    world_turn(); /* both are due */
    ck_assert_uint_eq(actor->errors, 0);
    berth_socket_set_close_timeout(actor->socket, BERTH_DEFAULT_CLOSE_TIMEOUT);
    UNTIL(peer_takes_all(reader) && actor->disconnects == 1);
    ck_assert_uint_eq(actor->errors, 0);
    berth_timer_free(timer);
}

static bool inside;

static void turn_until_the_end(struct actor *actor)
{
    if (inside)
        return;
    inside = true;
    UNTIL(actor->disconnects == 1);
}

static void wait_for_the_end(struct actor *actor)
{
    if (inside)
        return;
    inside = true;
    ck_assert(berth_socket_wait_for_disconnected(actor->socket, 10000));
}

/* The first and only output, in pieces that are queued: its limit does not run before the kernel
 * has taken some. */
static void close_inside_bytes_written(actor_hook hook)
{
    struct peer *peer;
    struct actor *actor = host_connect(host_listening("h"), "s", &peer);
    if (world_is_simulated())
        berth__sim_settings_of(world_sim())->max_transfer = 0;
    actor->quiet = true;
    actor->on_written = hook;
    berth_socket_set_close_timeout(actor->socket, 20);
    for (size_t size = 0; size < MUCH; size += 8192)
        ck_assert_int_eq(berth_socket_write(actor->socket, world_zeros(), 8192), 8192);
    berth_socket_disconnect_from_host(actor->socket);
    UNTIL(inside);
    ck_assert_uint_eq(actor->disconnects, 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
}

CASE(turns_inside_bytes_written_while_closing, "Q24",
     "the limit runs while a handler turns the loop, also for the first output of a connection")
{
    close_inside_bytes_written(turn_until_the_end);
}

CASE(wait_inside_bytes_written_while_closing, "Q24", "and while it waits")
{
    close_inside_bytes_written(wait_for_the_end);
}

/* The peer reads until the kernel has taken more output in the place of that. A ring without flags
 * does so inside any system call, and nobody has heard of it then. */
static void be_busy(struct actor *actor)
{
    static uint8_t heard[1 << 16];
    int descriptor = berth_socket_descriptor(actor->socket);
    int before = 0;
    int after;
    berth_socket_set_close_timeout(actor->socket, 1);
    ck_assert_int_eq(ioctl(descriptor, TIOCOUTQ, &after), 0);
    do {
        before = after;
        if (peer_receive_some(reader, heard, sizeof heard) == 0)
            break;
        ck_assert_int_eq(ioctl(descriptor, TIOCOUTQ, &after), 0);
    } while (after <= before);
    uint64_t late = berth_loop_now(world_loop()) + 5;
    while (berth_loop_now(world_loop()) < late)
        continue;
}

static struct actor *closing_now(void)
{
    if (world_is_simulated())
        case_skip("its kernel takes nothing while nobody waits");
    struct actor *actor = blocked(&reader);
    berth_socket_disconnect_from_host(actor->socket);
    return actor;
}

CASE(wait_behind_a_program_that_was_busy, "Q24 S4.17",
     "what the kernel has taken meanwhile is progress, where the time is over when the wait begins")
{
    setenv("BERTH_RING_FLAGS", "0", 1);
    struct actor *actor = closing_now();
    be_busy(actor);
    ck_assert(!berth_socket_wait_for_disconnected(actor->socket, 0));
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CLOSING);
}

static struct actor *is_closing;

static void write_much(struct actor *actor)
{
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(berth_socket_write(actor->socket, world_zeros(), 15000), 15000);
}

static void be_busy_and_write(struct actor *actor)
{
    be_busy(is_closing);
    write_much(actor);
}

CASE(turns_behind_a_handler_that_was_busy, "Q24",
     "also where the next turn has enough to do, and does not ask the kernel")
{
    setenv("BERTH_RING_FLAGS", "0", 1);
    struct peer *peer;
    struct actor *other = host_connect(host_listening("other"), "b", &peer);
    other->on_ready_read = be_busy_and_write;
    other->on_written = write_much;
    other->quiet = true;
    is_closing = closing_now();
    peer_say(peer, "x");
    UNTIL(other->ready_reads > 0);
    world_turn(); /* the one that does not ask */
    world_turn();
    ck_assert_int_eq(berth_socket_state(is_closing->socket), BERTH_STATE_CLOSING);
}

CASE(short_answers_start_no_timer, "design 5",
     "the only output of a connection, small and written before its end: no deadline is started")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor_say(actor, "the answer");
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CLOSING);
    ck_assert_int_eq(berth_loop_timeout(world_loop()), -1);
    ck_assert(peer_hears(peer, "the answer"));
    ck_assert(peer_saw_end(peer));
    UNTIL(actor->disconnects == 1);
}

CASE(long_only_answer_has_a_limit, "Q24",
     "the only output of a connection, but more than the kernel takes: the limit holds")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    ck_assert_int_eq(berth_socket_write(actor->socket, world_zeros(), MUCH), (ptrdiff_t)MUCH);
    berth_socket_set_close_timeout(actor->socket, 20);
    berth_socket_disconnect_from_host(actor->socket);
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
}

CASE(adopted_connection_has_a_limit, "Q24 S3.4",
     "what an adopted descriptor has sent before is not known: its limit begins at once")
{
    struct actor *actor = actor_new("s");
    struct peer *peer;
    ck_assert(berth_socket_set_descriptor(actor->socket, world_stream_descriptor(&peer)));
    actor_say(actor, "hello");
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert_int_gt(berth_loop_timeout(world_loop()), 0);
    ck_assert(peer_hears(peer, "hello"));
    ck_assert(peer_saw_end(peer));
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->errors, 0);
}

static void free_it(struct actor *actor)
{
    actor_free_socket(actor);
}

CASE(freed_at_the_limit, "S3.38", "the handler of the error frees the socket")
{
    struct peer *peer;
    struct actor *actor = blocked(&peer);
    berth_socket_set_close_timeout(actor->socket, 1);
    actor->on_error = free_it;
    berth_socket_disconnect_from_host(actor->socket);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->errors, 1);
}

CASE(no_memory_for_the_limit, "reliability 13",
     "a limit that cannot be kept ends the connection at once: SOCKET_RESOURCE")
{
    struct peer *peer;
    struct actor *actor = blocked(&peer);
    berth__fault_set_memory(0, 1000000);
    berth_socket_disconnect_from_host(actor->socket);
    berth__fault_clear();
    ck_assert_uint_eq(actor->disconnects, 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_RESOURCE);
    check_trace("s state CLOSING, s error SOCKET_RESOURCE, s state UNCONNECTED, s finished, s "
                "disconnected");
}
