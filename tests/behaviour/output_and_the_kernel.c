/*
 * The limit of output is for what the kernel has not taken: it is asked before a connection ends.
 */
#include "scene.h"

#include "backend/sim.h"
#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    LIMIT = 65536,
    PIECE = 1000,
    PIECES = 66,
    GUESTS = 8,
    SENDERS = 5,
    ROUNDS = 60
};

static struct host *roomy_host(size_t limit)
{
    const berth_connection_limits limits = {.output = limit};
    struct host *host = host_listening("h");
    if (world_is_simulated()) /* about what a real one has */
        berth__sim_settings_of(world_sim())->buffer_size = 1 << 20;
    berth_server_set_connection_limits(host->server, &limits);
    return host;
}

static uint8_t *pattern;

static void write_pieces(struct actor *actor)
{
    for (size_t i = 0; i < PIECES; i++)
        ck_assert_int_eq(berth_socket_write(actor->socket, pattern + i * PIECE, PIECE), PIECE);
}

static void expect_pattern(struct peer *peer, size_t size)
{
    uint8_t *heard = malloc(size);
    ck_assert_uint_eq(peer_receive(peer, heard, size), size);
    ck_assert_mem_eq(heard, pattern, size);
    free(heard);
}

CASE(output_beyond_the_limit_to_an_idle_peer, "D16",
     "many writes in one handler: the kernel takes them all, and nothing ends")
{
    struct host *host = roomy_host(LIMIT);
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->quiet = true;
    pattern = scene_pattern(PIECES * PIECE, 7);
    actor->on_ready_read = write_pieces;
    peer_say(peer, "x");
    UNTIL(actor->received == 1);
    expect_pattern(peer, PIECES * PIECE);
    UNTIL(actor->written == PIECES * PIECE);
    ck_assert_uint_eq(actor->errors, 0);
    free(pattern);
}

CASE(output_beyond_the_limit_while_a_send_is_under_way, "D16",
     "what the kernel has taken of that does not count, whether it was announced or not")
{
    struct host *host = roomy_host(LIMIT);
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->quiet = true;
    pattern = scene_pattern((size_t)10 * 60000, 5);
    for (size_t i = 0; i < 10; i++) {
        ck_assert_int_eq(berth_socket_write(actor->socket, pattern + i * 60000, 6000), 6000);
        for (size_t j = 6; j < 60; j++) /* too short to go by themselves */
            ck_assert_int_eq(
                berth_socket_write(actor->socket, pattern + i * 60000 + j * PIECE, PIECE), PIECE);
        if (i % 3 == 1)
            berth_socket_flush(actor->socket);
        berth_loop_turn(world_loop(), 0);
    }
    expect_pattern(peer, (size_t)10 * 60000);
    UNTIL(actor->written == (size_t)10 * 60000);
    ck_assert_uint_eq(actor->errors, 0);
    free(pattern);
}

CASE(one_long_write_beyond_the_limit, "D16", "counts by what the kernel leaves of it")
{
    struct host *host = roomy_host(PIECE);
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    pattern = scene_pattern(30000, 5);
    ck_assert_int_eq(berth_socket_write(actor->socket, pattern, 10), 10);
    ck_assert_int_eq(berth_socket_write(actor->socket, pattern + 10, 29990), 29990);
    expect_pattern(peer, 30000);
    UNTIL(actor->written == 30000);
    ck_assert_uint_eq(actor->errors, 0);
    free(pattern);
}

CASE(output_beyond_the_limit_to_a_peer_that_has_gone, "D16",
     "is no slow peer: its last words are read, and then the reset is told that the write has met")
{
    struct actor *actor = actor_new("s");
    struct peer *peer;
    ck_assert(berth_socket_set_descriptor(actor->socket, world_local_descriptor(&peer)));
    berth_socket_set_limits(actor->socket, &(berth_connection_limits){.output = 4});
    peer_say(peer, "farewell");
    peer_close(peer);
    ck_assert_int_eq(berth_socket_write(actor->socket, "too much", 8), -1);
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_REMOTE_HOST_CLOSED);
    ck_assert_int_eq(berth_socket_write(actor->socket, "too much", 8), -1);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->received, 8);
    ck_assert_uint_eq(actor->errors, 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
    ck_assert(berth_socket_was_reset(actor->socket));
}

/* Writes a file with that many bytes of the pattern, from a place on. */
static ptrdiff_t write_file(struct actor *actor, size_t size, size_t from)
{
    int file = world_note(memfd_create("file", MFD_CLOEXEC));
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(write(file, pattern, size), (ssize_t)size);
    ptrdiff_t result = berth_socket_write_file(actor->socket, file, from, SIZE_MAX);
    close(file);
    return result;
}

CASE(file_beyond_the_limit_to_a_peer_that_has_gone, "D16 socket.h",
     "as a write: its last words are read, and then the reset is told that the file has met")
{
    struct actor *actor = actor_new("s");
    struct peer *peer;
    pattern = scene_pattern(8, 7);
    ck_assert(berth_socket_set_descriptor(actor->socket, world_local_descriptor(&peer)));
    berth_socket_set_limits(actor->socket, &(berth_connection_limits){.output = 4});
    peer_say(peer, "farewell");
    peer_close(peer);
    ck_assert_int_eq(write_file(actor, 8, 0), -1);
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_REMOTE_HOST_CLOSED);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->received, 8);
    ck_assert_uint_eq(actor->errors, 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
    ck_assert(berth_socket_was_reset(actor->socket));
    free(pattern);
}

CASE(file_beyond_the_limit, "D16 socket.h", "counts by what the kernel leaves of it")
{
    struct host *host = roomy_host(PIECE);
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    pattern = scene_pattern(30000, 5);
    ck_assert_int_eq(berth_socket_write(actor->socket, pattern, 10), 10);
    ck_assert_int_eq(write_file(actor, 30000, 10), 29990);
    expect_pattern(peer, 30000);
    UNTIL(actor->written == 30000);
    ck_assert_uint_eq(actor->errors, 0);
    ck_assert_int_eq(write_file(actor, 30000, 0), 30000);
    expect_pattern(peer, 30000);
    free(pattern);
}

CASE(send_that_fails_in_a_queue, "S1.41 S2.9", "the connection ends when somebody has taken it")
{
    struct host *host = host_listening("h");
    struct actor *actor = actor_new("s");
    struct peer *peer;
    ck_assert(berth_socket_set_descriptor(actor->socket, world_local_descriptor(&peer)));
    peer_say(peer, "farewell");
    peer_close(peer);
    berth_server_add_pending_connection(host->server, actor->socket);
    world_settle();
    ck_assert_int_eq(berth_socket_write(actor->socket, "x", 1), 1);
    world_settle();
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
    ck_assert_uint_eq(actor->disconnects, 0);
    ck_assert_ptr_eq(berth_server_next_pending_connection(host->server), actor->socket);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->received, 8);
    ck_assert_uint_eq(actor->errors, 1);
    ck_assert(berth_socket_was_reset(actor->socket));
}

/* A connection in the queue of `host` whose send has failed, though its peer is there. */
static struct actor *failed_in_a_queue(struct host *host, struct peer **ret_peer)
{
    bool in_ring = strcmp(getenv("BERTH_BACKEND"), "io_uring") == 0;
    struct actor *actor = actor_new("s");
    ck_assert(berth_socket_set_descriptor(actor->socket, world_local_descriptor(ret_peer)));
    berth_server_add_pending_connection(host->server, actor->socket);
    world_settle();
    ck_assert_int_eq(berth_socket_write(actor->socket, "x", 1), 1);
    if (world_is_simulated())
        berth__sim_fail_send(world_sim(), ENOBUFS, 1);
    else
        berth__fault_set_system(0, 1, ENOBUFS, in_ring ? "ring_send" : "send");
    world_settle();
    berth__fault_clear();
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
    ck_assert_uint_eq(actor->disconnects, 0);
    return actor;
}

CASE(send_that_fails_in_a_queue_for_want_of_memory, "S1.41 S2.9",
     "the connection ends when somebody has taken it, though its peer is there")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = failed_in_a_queue(host, &peer);
    ck_assert_ptr_eq(berth_server_next_pending_connection(host->server), actor->socket);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->errors, 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_RESOURCE);
    ck_assert(!berth_socket_was_reset(actor->socket));
    ck_assert(peer_saw_either(peer));
}

CASE(limits_behind_a_send_that_has_failed_in_a_queue, "limits.h", "run, and end it there")
{
    static const berth_connection_limits limits[] = {
        {.idle = 20}, {.first_byte = 20}, {.minimum_rate = 1000, .rate_window = 20}};
    struct host *host = host_listening("h");
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct peer *peer;
        struct actor *actor = failed_in_a_queue(host, &peer);
        actor->quiet = true;
        ck_assert(berth_socket_set_limits(actor->socket, &limits[i]));
        UNTIL(actor->disconnects == 1);
        ck_assert(!berth_server_has_pending_connections(host->server));
    }
}

CASE(release_behind_a_send_that_has_failed_in_a_queue, "S3.21 0064",
     "names the failure of that send")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = failed_in_a_queue(host, &peer);
    ck_assert_ptr_eq(berth_server_next_pending_connection(host->server), actor->socket);
    ck_assert_int_eq(berth_socket_release(actor->socket), -1);
    ck_assert_ptr_null(strstr(berth_socket_error_string(actor->socket), "input was lost"));
}

/* ---- a chat ---------------------------------------------------------------------------------- */

static struct actor *guests[GUESTS];

/* A hundred messages to every guest. */
static void broadcast(struct actor *sender)
{
    static const char message[PIECE];
    (void)sender;
    for (int i = 0; i < 100; i++) {
        for (int guest = 0; guest < GUESTS; guest++) {
            if (guests[guest]->disconnects == 0)
                (void)berth_socket_write(guests[guest]->socket, message, PIECE);
        }
    }
}

CASE(chat_loses_the_slow_guest_only, "D16 reliability 9",
     "several senders write more than the limit to all guests in a turn")
{
    struct host *host = roomy_host(LIMIT);
    struct peer *peers[GUESTS];
    struct peer *senders[SENDERS];
    for (int i = 0; i < GUESTS; i++) {
        guests[i] = host_connect(host, "g", &peers[i]);
        guests[i]->quiet = true;
    }
    for (int i = 0; i < SENDERS; i++) {
        struct actor *sender = host_connect(host, "s", &senders[i]);
        sender->quiet = true;
        sender->on_ready_read = broadcast;
    }
    size_t each = (size_t)SENDERS * 100 * PIECE;
    char *heard = malloc(each);
    for (int round = 0; round < ROUNDS && guests[0]->disconnects == 0; round++) {
        for (int i = 0; i < SENDERS; i++)
            ck_assert_uint_eq(peer_send_some(senders[i], "x", 1), 1);
        for (int i = 1; i < GUESTS; i++) /* the first reads nothing */
            ck_assert_uint_eq(peer_receive(peers[i], heard, each), each);
    }
    ck_assert_uint_eq(guests[0]->disconnects, 1);
    ck_assert_int_eq(guests[0]->error, BERTH_ERROR_SOCKET_RESOURCE);
    for (int i = 1; i < GUESTS; i++)
        ck_assert_uint_eq(guests[i]->disconnects, 0);
    berth_server_counts counts;
    berth_server_statistics(host->server, &counts);
    ck_assert_uint_eq(counts.closed_output, 1);
    free(heard);
}
