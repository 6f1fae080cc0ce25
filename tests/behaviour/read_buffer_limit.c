/*
 * A limited input: the peer has to wait, and nothing is lost.
 */
#include "scene.h"

#include "server/server.h"

#include <stdlib.h>

#define SIZE ((size_t)1 << 20)

static struct actor *limited(struct peer **ret_peer, size_t limit)
{
    struct host *host = host_listening("h");
    struct actor *actor = host_connect(host, "s", ret_peer);
    actor->reads = false;
    berth_socket_set_read_buffer_size(actor->socket, limit);
    ck_assert_uint_eq(berth_socket_read_buffer_size(actor->socket), limit);
    return actor;
}

CASE(limit_gives_back_pressure, "S3.23",
     "the input stays within its limit, and the peer cannot send without end")
{
    struct peer *peer;
    struct actor *actor = limited(&peer, 1000);
    static uint8_t bytes[65536];
    size_t sent = 0;
    for (int tries = 0; tries < 2000; tries++) {
        sent += peer_send_some(peer, bytes, sizeof bytes);
        if (tries % 20 == 0)
            berth_loop_turn(world_loop(), 0);
    }
    ck_assert_uint_ge(berth_socket_bytes_available(actor->socket), 1000);
    ck_assert_uint_le(berth_socket_bytes_available(actor->socket), 1000);
    ck_assert_uint_lt(sent, 2000 * sizeof bytes / 4);
}

CASE(limit_loses_nothing, "S3.23 T41", "read bit by bit, all of it comes in order")
{
    struct peer *peer;
    struct actor *actor = limited(&peer, 5000);
    uint8_t *bytes = scene_pattern(SIZE, 9);
    uint8_t *heard = malloc(SIZE);
    size_t sent = 0;
    size_t received = 0;
    for (int turns = 0; turns < 20 * WORLD_TURNS && received < SIZE; turns++) {
        sent += peer_send_some(peer, bytes + sent, SIZE - sent);
        world_turn();
        ck_assert_uint_le(berth_socket_bytes_available(actor->socket), 5000);
        ptrdiff_t some = berth_socket_read(actor->socket, heard + received, 3333);
        received += some > 0 ? (size_t)some : 0;
    }
    ck_assert_uint_eq(received, SIZE);
    ck_assert_mem_eq(heard, bytes, SIZE);
    free(bytes);
    free(heard);
}

CASE(full_input_hides_the_end, "S3.23", "the end is noticed when there is room again")
{
    struct peer *peer;
    struct actor *actor = limited(&peer, 10);
    uint8_t *bytes = scene_pattern(200000, 10);
    size_t sent = peer_send_some(peer, bytes, 200000);
    UNTIL(berth_socket_bytes_available(actor->socket) >= 10);
    sent += peer_send_some(peer, bytes + sent, 200000 - sent);
    peer_shutdown(peer);
    world_settle();
    ck_assert_uint_eq(actor->disconnects, 0);
    uint8_t *heard = malloc(200000);
    size_t received = 0;
    for (int turns = 0; turns < 20 * WORLD_TURNS && received < sent; turns++) {
        ptrdiff_t some = berth_socket_read(actor->socket, heard + received, 200000 - received);
        received += some > 0 ? (size_t)some : 0;
        world_turn();
    }
    ck_assert_uint_eq(received, sent);
    ck_assert_mem_eq(heard, bytes, sent);
    UNTIL(actor->disconnects == 1);
    free(bytes);
    free(heard);
}

CASE(limit_is_raised, "S3.23 T41", "a raised limit lets more in, without a read")
{
    struct peer *peer;
    struct actor *actor = limited(&peer, 256);
    uint8_t *bytes = scene_pattern(SIZE, 11);
    size_t sent = 0;
    for (int turns = 0; turns < 200; turns++) {
        sent += peer_send_some(peer, bytes + sent, SIZE - sent);
        berth_loop_turn(world_loop(), 0);
    }
    size_t before = berth_socket_bytes_available(actor->socket);
    ck_assert_uint_ge(before, 256);
    size_t raised = before + 20000;
    if (sent < raised)
        case_skip("the delivery was bigger than what the kernel keeps");
    berth_socket_set_read_buffer_size(actor->socket, raised);
    UNTIL(berth_socket_bytes_available(actor->socket) >= raised);
    berth_socket_set_read_buffer_size(actor->socket, 0);
    for (int turns = 0; turns < 20 * WORLD_TURNS && sent < SIZE; turns++) {
        sent += peer_send_some(peer, bytes + sent, SIZE - sent);
        world_turn();
    }
    UNTIL(berth_socket_bytes_available(actor->socket) == SIZE);
    uint8_t *heard = malloc(SIZE);
    ck_assert_int_eq(berth_socket_read(actor->socket, heard, SIZE), (ptrdiff_t)SIZE);
    ck_assert_mem_eq(heard, bytes, SIZE);
    free(bytes);
    free(heard);
}

CASE(limit_below_what_is_there, "socket.h", "a lowered limit drops nothing")
{
    struct peer *peer;
    struct actor *actor = limited(&peer, 0);
    peer_say(peer, "0123456789");
    UNTIL(berth_socket_bytes_available(actor->socket) == 10);
    berth_socket_set_read_buffer_size(actor->socket, 3);
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 10);
    char bytes[16];
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, 16), 10);
    ck_assert_mem_eq(bytes, "0123456789", 10);
    peer_say(peer, "ab");
    UNTIL(berth_socket_bytes_available(actor->socket) == 2);
}

CASE(limit_of_one_does_not_stop_output, "T45", "a full input of one byte does not stop the output")
{
    struct peer *peer;
    struct actor *actor = limited(&peer, 1);
    peer_say(peer, "xx");
    UNTIL(berth_socket_bytes_available(actor->socket) >= 1);
    actor_say(actor, "hello");
    ck_assert(berth_socket_wait_for_bytes_written(actor->socket, 5000));
    ck_assert(peer_hears(peer, "hello"));
}

/* A connection that nobody takes, whose peer sends as long as it can. */
static berth_socket *flooded(struct host *host, size_t *ret_sent)
{
    static uint8_t bytes[65536];
    struct peer *peer = world_connect(host->port);
    UNTIL(host->new_connections == 1);
    *ret_sent = 0;
    for (int tries = 0; tries < 400; tries++) {
        *ret_sent += peer_send_some(peer, bytes, sizeof bytes);
        berth_loop_turn(world_loop(), 0);
    }
    ck_assert_ptr_nonnull(host->server->pending);
    return host->server->pending;
}

CASE(pending_input_is_limited, "design 5",
     "what a connection has sent before it is taken stays within the server's limit")
{
    struct host *host = host_listening("h");
    size_t sent;
    ck_assert_uint_eq(berth_server_pending_read_limit(host->server),
                      BERTH_DEFAULT_PENDING_READ_LIMIT);
    berth_server_set_pending_read_limit(host->server, 1000);
    berth_socket *socket = flooded(host, &sent);
    size_t kept = berth_socket_bytes_available(socket);
    ck_assert_uint_ge(kept, 1000);
    ck_assert_uint_le(kept, 1000);
    ck_assert_ptr_eq(berth_server_next_pending_connection(host->server), socket);
    UNTIL(berth_socket_bytes_available(socket) == sent);
}

CASE(pending_limit_is_raised, "design 5", "what is pending is read on at once; 0 is no limit")
{
    struct host *host = host_listening("h");
    size_t sent;
    berth_server_set_pending_read_limit(host->server, 1000);
    berth_socket *socket = flooded(host, &sent);
    if (sent == berth_socket_bytes_available(socket))
        case_skip("the delivery was bigger than what the kernel keeps");
    berth_server_set_pending_read_limit(host->server, 0);
    UNTIL(berth_socket_bytes_available(socket) == sent);
    ck_assert_ptr_eq(host->server->pending, socket);
}

CASE(pending_input_that_is_read, "design 5",
     "who keeps a pending socket may read it, which makes room for more")
{
    struct host *host = host_listening("h");
    size_t sent, got = 0;
    berth_server_set_pending_read_limit(host->server, 1000);
    berth_socket *socket = flooded(host, &sent);
    for (int turn = 0; turn < 20 * WORLD_TURNS && got < sent; turn++) {
        got += berth_socket_bytes_available(socket);
        berth_socket_skip(socket, SIZE_MAX);
        world_turn();
    }
    ck_assert_uint_eq(got, sent);
    ck_assert_ptr_eq(host->server->pending, socket);
}

static void limit_to_ten(struct host *host)
{
    ck_assert_ptr_nonnull(host->server->pending);
    berth_socket_set_read_buffer_size(host->server->pending, 10);
}

CASE(smaller_limit_of_a_pending_socket, "design 5",
     "the socket's own limit holds where it is smaller")
{
    struct host *host = host_listening("h");
    host->on_new_connection = limit_to_ten;
    berth_server_set_pending_read_limit(host->server, (size_t)1 << 30);
    size_t sent;
    berth_socket *socket = flooded(host, &sent);
    size_t kept = berth_socket_bytes_available(socket);
    ck_assert_uint_ge(kept, 10);
    ck_assert_uint_le(kept, 10);
}

CASE(unget_fills_the_input, "S3.23", "bytes that are put back count for the limit at once")
{
    struct peer *peer;
    struct actor *actor = limited(&peer, 4);
    peer_say(peer, "full");
    UNTIL(berth_socket_bytes_available(actor->socket) == 4);
    char bytes[4];
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, 4), 4);
    ck_assert(berth_socket_unget(actor->socket, bytes, 4));
    peer_say(peer, "more");
    world_settle();
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 4);
    berth_socket_skip(actor->socket, 4);
    UNTIL(berth_socket_bytes_available(actor->socket) == 4);
}

CASE(largest_limits, "S3.23", "limits beyond 32 bits are the largest of 32 bits")
{
    struct peer *peer;
    struct actor *actor = limited(&peer, UINT32_MAX);
    size_t more = SIZE_MAX > UINT32_MAX ? (SIZE_MAX ^ UINT32_MAX) | 1 : SIZE_MAX;
    berth_socket_set_read_buffer_size(actor->socket, more);
    ck_assert_uint_eq(berth_socket_read_buffer_size(actor->socket), UINT32_MAX);
    berth_socket_set_write_marks(actor->socket, 0, more);
    ck_assert_int_eq(berth_socket_write(actor->socket, "12345", 5), 5);
    berth_socket_set_write_marks(actor->socket, more, more);
    ck_assert_int_eq(berth_socket_write(actor->socket, "67890", 5), 5);
    ck_assert(peer_hears(peer, "1234567890"));
}
