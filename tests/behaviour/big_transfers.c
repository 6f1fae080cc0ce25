/*
 * Much data: byte for byte, both ways, several sockets at once.
 */
#include "scene.h"

#include <stdlib.h>
#include <string.h>

#define SIZE ((size_t)1 << 20)

CASE(mebibyte_in, "S3.19", "a mebibyte from the peer")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    uint8_t *bytes = scene_pattern(SIZE, 5);
    peer_send(peer, bytes, SIZE);
    UNTIL(actor->received == SIZE);
    ck_assert_mem_eq(actor->input, bytes, SIZE);
    free(bytes);
}

CASE(mebibyte_out, "S3.28", "a mebibyte to the peer, and the end behind it")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    uint8_t *bytes = scene_pattern(SIZE, 6);
    uint8_t *heard = malloc(SIZE);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, SIZE), (ptrdiff_t)SIZE);
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert_uint_eq(peer_receive(peer, heard, SIZE), SIZE);
    ck_assert_mem_eq(heard, bytes, SIZE);
    ck_assert(peer_saw_end(peer));
    UNTIL(actor->disconnects == 1);
    free(bytes);
    free(heard);
}

CASE(mebibyte_left_unread, "S3.31", "a mebibyte that nobody reads until the connection has ended")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->reads = false;
    uint8_t *bytes = scene_pattern(SIZE, 7);
    peer_send(peer, bytes, SIZE);
    peer_close(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), SIZE);
    uint8_t *heard = malloc(SIZE);
    ck_assert_int_eq(berth_socket_peek(actor->socket, heard, SIZE), (ptrdiff_t)SIZE);
    ck_assert_mem_eq(heard, bytes, SIZE);
    memset(heard, 0, SIZE);
    ck_assert_int_eq(berth_socket_read(actor->socket, heard, SIZE), (ptrdiff_t)SIZE);
    ck_assert_mem_eq(heard, bytes, SIZE);
    free(bytes);
    free(heard);
}

enum {
    PAIRS = 6
};

static size_t moved(struct actor *const *ends)
{
    size_t sum = 0;
    for (int i = 0; i < 2 * PAIRS; i++)
        sum += ends[i]->received;
    return sum;
}

CASE(many_pairs_both_ways, "S3.28 design 3", "six pairs in one loop, a mebibyte each way at once")
{
    struct host *host = host_listening("h");
    host->takes = true;
    struct actor *ends[2 * PAIRS];
    uint8_t *bytes[2 * PAIRS];
    for (unsigned i = 0; i < PAIRS; i++) {
        ends[i] = actor_new("c");
        ck_assert(
            berth_socket_connect_to_address(ends[i]->socket, BERTH_ADDRESS_LOOPBACK, host->port));
        UNTIL(ends[i]->connects == 1 && host->count == i + 1);
        ends[PAIRS + i] = host->taken[i];
        ends[i]->quiet = true;
        ends[PAIRS + i]->quiet = true;
    }
    for (unsigned i = 0; i < 2 * PAIRS; i++) {
        bytes[i] = scene_pattern(SIZE, 50 + i);
        ck_assert_int_eq(berth_socket_write(ends[i]->socket, bytes[i], SIZE), (ptrdiff_t)SIZE);
    }
    for (int turns = 0; turns < 20 * WORLD_TURNS && moved(ends) < 2 * PAIRS * SIZE; turns++)
        world_turn();
    for (unsigned i = 0; i < 2 * PAIRS; i++) {
        unsigned other = (i + PAIRS) % (2 * PAIRS);
        ck_assert_uint_eq(ends[i]->received, SIZE);
        ck_assert_mem_eq(ends[i]->input, bytes[other], SIZE);
    }
    for (unsigned i = 0; i < 2 * PAIRS; i++)
        free(bytes[i]);
}

static void echo(struct actor *actor)
{
    ck_assert_int_eq(berth_socket_write(actor->socket, actor->input, actor->received),
                     (ptrdiff_t)actor->received);
    actor->received = 0;
}

CASE(echo_of_a_mebibyte, "S3.20", "what comes is sent back, byte for byte")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->on_ready_read = echo;
    actor->quiet = true;
    uint8_t *bytes = scene_pattern(SIZE, 8);
    uint8_t *heard = malloc(SIZE);
    size_t sent = 0;
    size_t received = 0;
    for (int turns = 0; turns < 20 * WORLD_TURNS && received < SIZE; turns++) {
        sent += peer_send_some(peer, bytes + sent, SIZE - sent);
        received += peer_receive_some(peer, heard + received, SIZE - received);
        world_turn();
    }
    ck_assert_uint_eq(received, SIZE);
    ck_assert_mem_eq(heard, bytes, SIZE);
    free(bytes);
    free(heard);
}
