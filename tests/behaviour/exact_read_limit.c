/*
 * A limit of the unread input holds to the byte, while a delivery is being handled too.
 */
#include "scene.h"

#include "server/server.h"

#include <stdlib.h>

static size_t most; /* bytes that were unread at one time */
static struct actor *nested;

static size_t available(struct actor *actor)
{
    size_t now = berth_socket_bytes_available(actor->socket);
    most = now > most ? now : most;
    return now;
}

static void look(struct actor *actor)
{
    (void)available(actor);
}

static struct actor *limited(struct peer **ret_peer, size_t limit)
{
    struct host *host = host_listening("h");
    struct actor *actor = host_connect(host, "s", ret_peer);
    actor->reads = false;
    actor->on_ready_read = look;
    berth_socket_set_read_buffer_size(actor->socket, limit);
    most = 0;
    return actor;
}

CASE(read_limit_is_followed, "S3.23 T41",
     "512 bytes: 256, then 384, then all, by raising the limit")
{
    struct peer *peer;
    struct actor *actor = limited(&peer, 256);
    uint8_t *bytes = scene_pattern(512, 3);
    peer_send(peer, bytes, 512);
    UNTIL(available(actor) == 256);
    world_settle();
    ck_assert_uint_eq(available(actor), 256);
    berth_socket_set_read_buffer_size(actor->socket, 384);
    UNTIL(available(actor) == 384);
    world_settle();
    ck_assert_uint_eq(available(actor), 384);
    ck_assert_uint_eq(most, 384);
    berth_socket_set_read_buffer_size(actor->socket, 1024);
    UNTIL(available(actor) == 512);
    peer_send(peer, bytes, 512);
    UNTIL(available(actor) == 1024);
    peer_send(peer, bytes, 512);
    world_settle();
    ck_assert_uint_eq(most, 1024);
    berth_socket_set_read_buffer_size(actor->socket, 0);
    UNTIL(available(actor) == 1536);
    uint8_t heard[1536];
    ck_assert_int_eq(berth_socket_read(actor->socket, heard, sizeof heard), 1536);
    for (size_t i = 0; i < 3; i++)
        ck_assert_mem_eq(heard + i * 512, bytes, 512);
    free(bytes);
}

static void read_some(struct actor *actor)
{
    uint8_t bytes[100];
    (void)available(actor);
    ptrdiff_t count = berth_socket_read(actor->socket, bytes, sizeof bytes);
    actor->received += count > 0 ? (size_t)count : 0;
}

CASE(read_limit_while_reading, "S3.23", "a flood that is read piece by piece never exceeds it")
{
    enum {
        SIZE = 1 << 17
    };
    struct peer *peer;
    struct actor *actor = limited(&peer, 1000);
    actor->on_ready_read = read_some;
    uint8_t *bytes = scene_pattern(SIZE, 4);
    size_t sent = 0;
    for (int turns = 0; turns < 20 * WORLD_TURNS && actor->received < SIZE; turns++) {
        sent += peer_send_some(peer, bytes + sent, SIZE - sent);
        world_turn();
        read_some(actor);
    }
    ck_assert_uint_eq(actor->received, SIZE);
    ck_assert_uint_le(most, 1000);
    free(bytes);
}

static void turn_inside(struct actor *actor)
{
    static int depth;
    (void)available(actor);
    if (depth++ == 0) {
        for (int i = 0; i < 10; i++)
            world_turn();
        nested = actor;
    }
    depth--;
    (void)available(actor);
}

CASE(read_limit_and_turns_inside_ready_read, "S3.23", "what is lent counts, in a nested turn too")
{
    struct peer *peer;
    struct actor *actor = limited(&peer, 300);
    actor->on_ready_read = turn_inside;
    uint8_t *bytes = scene_pattern(5000, 5);
    peer_send(peer, bytes, 100);
    peer_send(peer, bytes + 100, 4900);
    UNTIL(nested == actor && available(actor) == 300);
    ck_assert_uint_eq(most, 300);
    uint8_t heard[5000];
    size_t received = 0;
    for (int turns = 0; turns < WORLD_TURNS && received < 5000; turns++) {
        ptrdiff_t some = berth_socket_read(actor->socket, heard + received, 5000 - received);
        received += some > 0 ? (size_t)some : 0;
        world_turn();
    }
    ck_assert_mem_eq(heard, bytes, 5000);
    ck_assert_uint_le(most, 300);
    free(bytes);
}

CASE(read_limit_of_a_stream_that_flows, "S3.23", "set in the middle of a flood, and lifted again")
{
    enum {
        SIZE = 1 << 18
    };
    struct peer *peer;
    struct actor *actor = limited(&peer, 0);
    uint8_t *bytes = scene_pattern(SIZE, 6);
    uint8_t *heard = malloc(SIZE);
    size_t sent = 0;
    size_t received = 0;
    for (int turns = 0; turns < 20 * WORLD_TURNS && received < SIZE; turns++) {
        sent += peer_send_some(peer, bytes + sent, SIZE - sent);
        if (turns % 8 == 3)
            berth_socket_set_read_buffer_size(actor->socket, 2000);
        if (turns % 8 == 7)
            berth_socket_set_read_buffer_size(actor->socket, 0);
        world_turn();
        ptrdiff_t some = berth_socket_read(actor->socket, heard + received, 5000);
        received += some > 0 ? (size_t)some : 0;
    }
    ck_assert_uint_eq(received, SIZE);
    ck_assert_mem_eq(heard, bytes, SIZE);
    free(bytes);
    free(heard);
}

CASE(read_limit_leaves_the_rest_in_the_kernel, "S3.23 S1.30",
     "an end with bytes that were never received is a reset for the peer")
{
    struct peer *peer;
    struct actor *actor = limited(&peer, 10);
    peer_say(peer, "0123456789 and more");
    UNTIL(available(actor) == 10);
    char bytes[16];
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, 5), 5);
    UNTIL(available(actor) == 10);
    berth_socket_abort(actor->socket);
    ck_assert(peer_saw_reset(peer));
}

CASE(read_limit_of_one_byte, "S3.23", "each byte is announced, and the end comes after the last")
{
    struct peer *peer;
    struct actor *actor = limited(&peer, 1);
    actor->on_ready_read = read_some;
    for (int i = 0; i < 10; i++)
        peer_say(peer, "0123456789");
    peer_shutdown(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->received, 100);
    ck_assert_uint_eq(most, 1);
}

CASE(pending_limit_is_exact, "design 5", "of a connection that nobody has taken")
{
    struct host *host = host_listening("h");
    berth_server_set_pending_read_limit(host->server, 1000);
    struct peer *peer = world_connect(host->port);
    uint8_t *bytes = scene_pattern(3000, 7);
    peer_send(peer, bytes, 3000);
    UNTIL(host->new_connections == 1);
    berth_socket *socket = host->server->pending;
    ck_assert_ptr_nonnull(socket);
    UNTIL(berth_socket_bytes_available(socket) == 1000);
    world_settle();
    ck_assert_uint_eq(berth_socket_bytes_available(socket), 1000);
    berth_server_set_pending_read_limit(host->server, 1500);
    UNTIL(berth_socket_bytes_available(socket) == 1500);
    struct actor *actor = host_take_actor(host, "s");
    UNTIL(actor->received == 3000);
    ck_assert_mem_eq(actor->input, bytes, 3000);
    peer_say(peer, "more");
    UNTIL(actor->received == 3004);
    free(bytes);
}
