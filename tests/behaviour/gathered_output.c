/*
 * Output in pieces: several at once, and what is written behind what was written before.
 */
#include "base/fault.h"
#include "scene.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_PIECES = 1100,
    LONG = 100000
};

static berth_piece pieces[MOST_PIECES];

/* Cuts bytes into pieces, every third of them empty. Returns how many bytes these have. */
static size_t cut(const uint8_t *bytes, size_t count, size_t size)
{
    size_t done = 0;
    for (size_t i = 0; i < count; i++) {
        bool empty = i % 3 == 2;
        pieces[i] = (berth_piece){empty ? NULL : bytes + done, empty ? 0 : size};
        done += pieces[i].size;
    }
    return done;
}

static void expect_pieces(size_t count, size_t size)
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    uint8_t *bytes = scene_pattern(count * size + 1, 5);
    uint8_t *heard = malloc(count * size + 1);
    size_t total = cut(bytes, count, size);
    ck_assert_int_eq(berth_socket_write_pieces(actor->socket, pieces, count), (ptrdiff_t)total);
    ck_assert_uint_eq(berth_socket_bytes_to_write(actor->socket), total);
    ck_assert_uint_eq(actor->written, 0);
    ck_assert_uint_eq(peer_receive(peer, heard, total), total);
    ck_assert_mem_eq(heard, bytes, total);
    UNTIL(actor->written == total);
    free(heard);
    free(bytes);
}

CASE(one_piece, "S3.27", "is a write")
{
    expect_pieces(1, 100);
}

CASE(short_pieces, "S3.27 S3.28", "they are copied, and arrive in order; empty ones are allowed")
{
    expect_pieces(9, 100);
}

CASE(thousand_pieces, "S3.27 S3.28", "any number of pieces is written")
{
    expect_pieces(1000, 50);
}

CASE(long_pieces, "S3.27 S3.28", "what the kernel does not take inside the call follows in order")
{
    expect_pieces(12, LONG);
}

CASE(many_long_pieces, "S3.27 S3.28", "they go by one call, and what is left of them in order")
{
    expect_pieces(200, 2000);
}

CASE(more_long_pieces_than_the_kernel_takes, "S3.27 S3.28", "they are copied")
{
    expect_pieces(MOST_PIECES, 1000);
}

CASE(no_pieces, "S3.27", "nothing is written, and that is no failure")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    ck_assert_int_eq(berth_socket_write_pieces(actor->socket, NULL, 0), 0);
    cut(NULL, 3, 0);
    ck_assert_int_eq(berth_socket_write_pieces(actor->socket, pieces, 3), 0);
    world_settle();
    ck_assert_uint_eq(actor->errors, 0);
    ck_assert_uint_eq(berth_socket_bytes_to_write(actor->socket), 0);
}

CASE(pieces_without_a_connection, "S3.27", "refused with -1 and class OPERATION")
{
    struct actor *actor = actor_new("s");
    pieces[0] = (berth_piece){"x", 1};
    ck_assert_int_eq(berth_socket_write_pieces(actor->socket, pieces, 1), -1);
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_OPERATION);
}

CASE(pieces_whose_sizes_overflow, "D16", "refused with -1 and class OPERATION; nothing is written")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    pieces[0] = (berth_piece){"x", 1};
    pieces[1] = (berth_piece){"y", PTRDIFF_MAX};
    ck_assert_int_eq(berth_socket_write_pieces(actor->socket, pieces, 2), -1);
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_OPERATION);
    pieces[1].size = SIZE_MAX;
    ck_assert_int_eq(berth_socket_write_pieces(actor->socket, pieces, 2), -1);
    ck_assert_uint_eq(berth_socket_bytes_to_write(actor->socket), 0);
    ck_assert_int_eq(berth_socket_write(actor->socket, "ok", 2), 2);
    ck_assert(peer_hears(peer, "ok"));
}

CASE(pieces_beyond_the_high_mark, "D16",
     "the mark is applied once, and cuts in the middle of a piece")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    uint8_t heard[1000];
    uint8_t *bytes = scene_pattern(1200, 6);
    berth_socket_set_write_marks(actor->socket, 10, sizeof heard);
    pieces[0] = (berth_piece){bytes, 600};
    pieces[1] = (berth_piece){bytes + 600, 600};
    ck_assert_int_eq(berth_socket_write_pieces(actor->socket, pieces, 2), sizeof heard);
    ck_assert_int_eq(berth_socket_write_pieces(actor->socket, pieces, 2), 0);
    ck_assert_uint_eq(peer_receive(peer, heard, sizeof heard), sizeof heard);
    ck_assert_mem_eq(heard, bytes, sizeof heard);
    UNTIL(actor->written == sizeof heard);
    free(bytes);
}

CASE(pieces_beyond_the_limit_of_output, "D16", "the limit is applied to all of them together")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    berth_connection_limits limits = {.output = LONG};
    uint8_t *bytes = scene_pattern(64 * LONG, 7);
    ck_assert(berth_socket_set_limits(actor->socket, &limits));
    for (size_t i = 0; i < 64; i++)
        pieces[i] = (berth_piece){bytes + i * LONG, LONG};
    ck_assert_int_eq(berth_socket_write_pieces(actor->socket, pieces, 64), -1);
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_RESOURCE);
    free(bytes);
}

CASE(no_memory_for_a_piece, "S3.27 reliability 13",
     "the pieces before it are written, and the call returns how much that was")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    uint8_t heard[10000];
    uint8_t *bytes = scene_pattern(sizeof heard, 8);
    pieces[0] = (berth_piece){bytes, 1000};
    pieces[1] = (berth_piece){bytes + 1000, 9000};
    berth__fault_set_memory(1, 1000000);
    ptrdiff_t taken = berth_socket_write_pieces(actor->socket, pieces, 2);
    berth__fault_clear();
    ck_assert(taken == 1000 || taken == -1);
    if (taken == 1000) {
        ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_SOCKET_RESOURCE);
        ck_assert_uint_eq(peer_receive(peer, heard, 1000), 1000);
        ck_assert_mem_eq(heard, bytes, 1000);
        UNTIL(actor->written == 1000);
    }
    free(bytes);
}

/* ---- behind one another ---------------------------------------------------------------------- */

CASE(long_write_behind_a_header, "S3.27 S3.28", "the header goes first, whoever takes the rest")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    uint8_t *bytes = scene_pattern(12 * LONG, 9);
    uint8_t *heard = malloc(12 * LONG);
    size_t done = 0;
    while (done < 12 * LONG) {
        size_t size = done % 7 == 0 ? 20000 : 130;
        size = size < 12 * LONG - done ? size : 12 * LONG - done;
        ck_assert_int_eq(berth_socket_write(actor->socket, bytes + done, size), (ptrdiff_t)size);
        done += size;
        ck_assert_uint_eq(berth_socket_bytes_to_write(actor->socket), done);
    }
    ck_assert_uint_eq(peer_receive(peer, heard, done), done);
    ck_assert_mem_eq(heard, bytes, done);
    UNTIL(actor->written == done);
    free(heard);
    free(bytes);
}

CASE(writes_while_a_send_waits, "S3.27 S3.28",
     "what is appended behind a send that waits for room follows it")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    uint8_t *bytes = scene_pattern(80 * LONG, 10);
    uint8_t *heard = malloc(80 * LONG);
    size_t done = 0;
    for (size_t i = 0; i < 80; i++) {
        for (size_t part = 0; part < LONG; part += 1000, done += 1000)
            ck_assert_int_eq(berth_socket_write(actor->socket, bytes + done, 1000), 1000);
        berth_loop_turn(world_loop(), 0);
    }
    ck_assert_uint_eq(peer_receive(peer, heard, done), done);
    ck_assert_mem_eq(heard, bytes, done);
    UNTIL(actor->written == done);
    free(heard);
    free(bytes);
}

CASE(free_while_several_chunks_are_sent, "reliability 3", "their memory lives as long as the send")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    uint8_t *bytes = scene_pattern(80 * LONG, 11);
    for (size_t done = 0; done < 80 * LONG; done += 10000)
        ck_assert_int_eq(berth_socket_write(actor->socket, bytes + done, 10000), 10000);
    berth_loop_turn(world_loop(), 0);
    actor_free_socket(actor);
    free(bytes);
    world_settle();
    peer_close(peer);
}

CASE(long_write_after_a_reset, "S3.27 S3.28",
     "accepted: the kernel takes nothing of it, and of what was written before")
{
    struct host *host = host_listening("h");
    uint8_t *bytes = scene_pattern(LONG, 12);
    for (size_t before = 0; before <= 3; before += 3) {
        struct peer *peer;
        struct actor *actor = host_connect(host, "s", &peer);
        peer_reset(peer);
        ck_assert_int_eq(berth_socket_write(actor->socket, bytes, before), (ptrdiff_t)before);
        ck_assert_int_eq(berth_socket_write(actor->socket, bytes, LONG), LONG);
        ck_assert_uint_eq(berth_socket_bytes_to_write(actor->socket), before + LONG);
        UNTIL(actor->disconnects == 1);
        ck_assert_uint_eq(actor->written, 0);
    }
    free(bytes);
}
