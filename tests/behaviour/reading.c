/*
 * Reading: what comes out of the input, and what is said when there is nothing.
 */
#include "scene.h"

#include <stdlib.h>
#include <string.h>

/* A connection whose input is left in the socket. */
static struct actor *reader(struct peer **ret_peer)
{
    struct host *host = host_listening("h");
    struct actor *actor = host_connect(host, "s", ret_peer);
    actor->reads = false;
    return actor;
}

static void arrive(struct actor *actor, struct peer *peer, const char *text)
{
    size_t expected = berth_socket_bytes_available(actor->socket) + strlen(text);
    peer_say(peer, text);
    UNTIL(berth_socket_bytes_available(actor->socket) == expected);
}

CASE(read_more_than_there_is, "S3.22 T38",
     "a read gives what there is; 0 when there is nothing; -1 at the end")
{
    struct peer *peer;
    struct actor *actor = reader(&peer);
    char bytes[64];
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, sizeof bytes), 0);
    arrive(actor, peer, "hello");
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, 0), 0);
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, 2), 2);
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes + 2, 62), 3);
    ck_assert_mem_eq(bytes, "hello", 5);
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, sizeof bytes), 0);
    peer_close(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, sizeof bytes), -1);
    ck_assert_int_eq(berth_socket_peek(actor->socket, bytes, sizeof bytes), -1);
    ck_assert_int_eq(berth_socket_skip(actor->socket, 1), -1);
    ck_assert_int_eq(berth_socket_write(actor->socket, "x", 1), -1);
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_OPERATION);
}

CASE(input_stays_readable_after_the_end, "S3.31",
     "bytes that were received before the end can be read after it")
{
    struct peer *peer;
    struct actor *actor = reader(&peer);
    char bytes[64];
    peer_say(peer, "one two");
    peer_close(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 7);
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, 4), 4);
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes + 4, 60), 3);
    ck_assert_mem_eq(bytes, "one two", 7);
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, 1), -1);
}

CASE(unread_bytes_are_not_announced_again, "S3.19", "ready_read comes for arrivals only")
{
    struct peer *peer;
    struct actor *actor = reader(&peer);
    arrive(actor, peer, "hello");
    unsigned before = actor->ready_reads;
    world_settle();
    ck_assert_uint_eq(actor->ready_reads, before);
    char byte;
    ck_assert_int_eq(berth_socket_read(actor->socket, &byte, 1), 1);
    world_settle();
    ck_assert_uint_eq(actor->ready_reads, before);
    arrive(actor, peer, "x");
    ck_assert_uint_eq(actor->ready_reads, before + 1);
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 5);
}

CASE(short_messages_come_whole, "S3.19",
     "a short message is announced once, wherever the buffers of the backend end")
{
    if (world_is_simulated() && getenv("BERTH_SIM_SEED") != NULL)
        case_skip("with a seed the simulated network cuts what is sent");
    if (getenv("BERTH_RING_BUFFERS") != NULL)
        case_skip("without a second buffer a message may be cut");
    struct peer *peer;
    struct actor *actor = reader(&peer);
    char message[701], bytes[701];
    memset(message, 'm', sizeof message);
    message[700] = '\0';
    for (unsigned number = 0; number < 300; number++) {
        unsigned before = actor->ready_reads;
        arrive(actor, peer, message);
        ck_assert_uint_eq(actor->ready_reads, before + 1);
        ck_assert_int_eq(berth_socket_read(actor->socket, bytes, sizeof bytes), 700);
        ck_assert_mem_eq(bytes, message, 700);
    }
}

CASE(peek_leaves_the_input, "S3.21 T17", "peeking twice shows the same bytes, over pieces too")
{
    struct peer *peer;
    struct actor *actor = reader(&peer);
    char bytes[64];
    arrive(actor, peer, "abc\n");
    ck_assert_int_eq(berth_socket_peek(actor->socket, bytes, sizeof bytes), 4);
    arrive(actor, peer, "def\n");
    ck_assert_int_eq(berth_socket_peek(actor->socket, bytes, sizeof bytes), 8);
    arrive(actor, peer, "ghi\n");
    ck_assert_int_eq(berth_socket_peek(actor->socket, bytes, sizeof bytes), 12);
    ck_assert_int_eq(berth_socket_peek(actor->socket, bytes, 6), 6);
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 12);
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, sizeof bytes), 12);
    ck_assert_mem_eq(bytes, "abc\ndef\nghi\n", 12);
    ck_assert_int_eq(berth_socket_peek(actor->socket, bytes, sizeof bytes), 0);
}

CASE(lines_over_pieces, "S3.21 T30", "a line that comes in pieces is one line")
{
    struct peer *peer;
    struct actor *actor = reader(&peer);
    char line[64];
    arrive(actor, peer, "first");
    ck_assert(!berth_socket_can_read_line(actor->socket));
    arrive(actor, peer, " line\nsec");
    ck_assert(berth_socket_can_read_line(actor->socket));
    ck_assert_int_eq(berth_socket_read_line(actor->socket, line, sizeof line), 11);
    ck_assert_str_eq(line, "first line\n");
    ck_assert(!berth_socket_can_read_line(actor->socket));
    arrive(actor, peer, "ond\n\nrest");
    ck_assert_int_eq(berth_socket_read_line(actor->socket, line, sizeof line), 7);
    ck_assert_str_eq(line, "second\n");
    ck_assert_int_eq(berth_socket_read_line(actor->socket, line, sizeof line), 1);
    ck_assert_str_eq(line, "\n");
    ck_assert(!berth_socket_can_read_line(actor->socket));
    ck_assert_int_eq(berth_socket_read_line(actor->socket, line, sizeof line), 4);
    ck_assert_str_eq(line, "rest");
    ck_assert_int_eq(berth_socket_read_line(actor->socket, line, sizeof line), 0);
}

CASE(line_that_does_not_fit, "S3.21",
     "a small buffer gets the line piece by piece, always terminated")
{
    struct peer *peer;
    struct actor *actor = reader(&peer);
    char line[5] = "????";
    arrive(actor, peer, "abcdefg\nx");
    ck_assert_int_eq(berth_socket_read_line(actor->socket, line, 0), 0);
    ck_assert_int_eq(berth_socket_read_line(actor->socket, line, 1), 0);
    ck_assert_int_eq(berth_socket_read_line(actor->socket, line, sizeof line), 4);
    ck_assert_str_eq(line, "abcd");
    ck_assert_int_eq(berth_socket_read_line(actor->socket, line, sizeof line), 4);
    ck_assert_str_eq(line, "efg\n");
    ck_assert_int_eq(berth_socket_read_line(actor->socket, line, 2), 1);
    ck_assert_str_eq(line, "x");
}

CASE(line_at_the_end, "S3.21", "the last line without an end comes, and then -1")
{
    struct peer *peer;
    struct actor *actor = reader(&peer);
    char line[16];
    peer_say(peer, "a\nb");
    peer_close(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(berth_socket_read_line(actor->socket, line, sizeof line), 2);
    ck_assert_int_eq(berth_socket_read_line(actor->socket, line, sizeof line), 1);
    ck_assert_str_eq(line, "b");
    ck_assert_int_eq(berth_socket_read_line(actor->socket, line, sizeof line), -1);
}

CASE(lines_with_zero_bytes, "S3.21", "a zero byte is a byte like any other")
{
    struct peer *peer;
    struct actor *actor = reader(&peer);
    char line[16];
    peer_send(peer, "a\0b\n", 4);
    UNTIL(berth_socket_can_read_line(actor->socket));
    ck_assert_int_eq(berth_socket_read_line(actor->socket, line, sizeof line), 4);
    ck_assert_mem_eq(line, "a\0b\n\0", 5);
}

CASE(skip_and_view, "S3.21", "bytes can be looked at where they lie, and thrown away")
{
    struct peer *peer;
    struct actor *actor = reader(&peer);
    size_t size = 99;
    ck_assert_ptr_null(berth_socket_view(actor->socket, &size));
    ck_assert_uint_eq(size, 0);
    ck_assert_int_eq(berth_socket_skip(actor->socket, 5), 0);
    arrive(actor, peer, "hello world");
    ck_assert_int_eq(berth_socket_skip(actor->socket, 6), 6);
    const char *view = berth_socket_view(actor->socket, &size);
    ck_assert_ptr_nonnull(view);
    ck_assert_uint_ge(size, 1);
    ck_assert_uint_le(size, 5);
    ck_assert_mem_eq(view, "world", size);
    ck_assert_int_eq(berth_socket_skip(actor->socket, 100), 5);
    ck_assert_int_eq(berth_socket_skip(actor->socket, 100), 0);
}

static char viewed[64];
static size_t viewed_size;

static void view_all(struct actor *actor)
{
    for (int pieces = 0; pieces < 100 && berth_socket_bytes_available(actor->socket) > 0;
         pieces++) {
        size_t size;
        const void *view = berth_socket_view(actor->socket, &size);
        ck_assert_ptr_nonnull(view);
        ck_assert_uint_gt(size, 0);
        memcpy(viewed + viewed_size, view, size);
        viewed_size += size;
        ck_assert_int_eq(berth_socket_skip(actor->socket, size), (ptrdiff_t)size);
    }
}

CASE(view_inside_ready_read, "S3.21",
     "the view shows what has just arrived, in order with what was left")
{
    struct peer *peer;
    struct actor *actor = reader(&peer);
    actor->on_ready_read = view_all;
    peer_say(peer, "hello ");
    UNTIL(viewed_size == 6);
    peer_say(peer, "world");
    UNTIL(viewed_size == 11);
    ck_assert_mem_eq(viewed, "hello world", 11);
}

static void read_three(struct actor *actor)
{
    char bytes[3];
    ptrdiff_t size = berth_socket_read(actor->socket, bytes, sizeof bytes);
    ck_assert_int_gt(size, 0);
    memcpy(viewed + viewed_size, bytes, (size_t)size);
    viewed_size += (size_t)size;
}

CASE(partial_reads_keep_order, "T27",
     "a handler that reads a little each time gets everything in order in the end")
{
    struct peer *peer;
    struct actor *actor = reader(&peer);
    actor->on_ready_read = read_three;
    peer_say(peer, "abcdefgh");
    UNTIL(viewed_size + berth_socket_bytes_available(actor->socket) == 8);
    peer_say(peer, "ijklmnop");
    UNTIL(viewed_size + berth_socket_bytes_available(actor->socket) == 16);
    ptrdiff_t rest = berth_socket_read(actor->socket, viewed + viewed_size, 16);
    ck_assert_int_eq(rest, 16 - (ptrdiff_t)viewed_size);
    ck_assert_mem_eq(viewed, "abcdefghijklmnop", 16);
}

static unsigned depth;

static void turn_inside(struct actor *actor)
{
    ck_assert_uint_eq(depth, 0);
    depth++;
    if (actor->ready_reads == 1) {
        for (int turns = 0; turns < 20; turns++)
            berth_loop_turn(world_loop(), 1);
    }
    depth--;
}

CASE(ready_read_is_not_recursive, "S3.20 T34",
     "an inner loop inside ready_read fills the input in silence")
{
    struct peer *peer;
    struct actor *actor = reader(&peer);
    actor->on_ready_read = turn_inside;
    peer_say(peer, "a");
    peer_say(peer, "b");
    UNTIL(actor->ready_reads >= 1);
    peer_say(peer, "c");
    UNTIL(berth_socket_bytes_available(actor->socket) == 3);
}

static struct peer *inner_peer;

static void receive_inside(struct actor *actor)
{
    if (actor->ready_reads > 1)
        return;
    peer_say(inner_peer, " and more");
    UNTIL(berth_socket_bytes_available(actor->socket) == 13);
    ck_assert_uint_eq(actor->ready_reads, 1);
}

CASE(inner_loop_receives, "S3.20",
     "an inner loop inside ready_read waits for more bytes of the same socket, and gets them")
{
    struct actor *actor = reader(&inner_peer);
    actor->on_ready_read = receive_inside;
    ck_assert_uint_eq(peer_send_some(inner_peer, "some", 4), 4);
    UNTIL(berth_socket_bytes_available(actor->socket) == 13);
    char bytes[16];
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, 16), 13);
    ck_assert_mem_eq(bytes, "some and more", 13);
}

CASE(handlers_that_come_late, "S3.19", "handlers set late are not called for what was there before")
{
    struct host *host = host_listening("h");
    struct peer *peer = world_connect(host->port);
    peer_say(peer, "early");
    berth_socket *socket = host_take(host);
    UNTIL(berth_socket_bytes_available(socket) == 5);
    struct actor *actor = actor_on("s", socket);
    actor->reads = false;
    world_settle();
    ck_assert_uint_eq(actor->ready_reads, 0);
    peer_say(peer, "late");
    UNTIL(actor->ready_reads >= 1);
    UNTIL(berth_socket_bytes_available(socket) == 9);
}

CASE(reading_on_trial, "S3.21",
     "a rollback gives back what was read in it, a commit does not, and the rest follows")
{
    struct peer *peer;
    struct actor *actor = reader(&peer);
    char bytes[64];
    arrive(actor, peer, "0123456");
    berth_socket_start_transaction(actor->socket);
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, 3), 3);
    arrive(actor, peer, "789");
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 7);
    ck_assert(berth_socket_unget(actor->socket, "+", 1));
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes + 3, 2), 2);
    ck_assert_mem_eq(bytes, "012+3", 5);
    berth_socket_rollback_transaction(actor->socket);
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 11);
    berth_socket_start_transaction(actor->socket);
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, 4), 4);
    ck_assert_mem_eq(bytes, "012+", 4);
    berth_socket_commit_transaction(actor->socket);
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 7);
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, sizeof bytes), 7);
    ck_assert_mem_eq(bytes, "3456789", 7);
}
