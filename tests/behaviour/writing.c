/*
 * Writing: what is taken, when it goes, what is said.
 */
#include "base/fault.h"
#include "scene.h"

#include "backend/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

CASE(write_is_buffered, "S3.27",
     "nothing goes out inside write; the loop sends it, and says how much")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    char bytes[8];
    ck_assert_int_eq(berth_socket_write(actor->socket, "hello", 5), 5);
    ck_assert_int_eq(berth_socket_write(actor->socket, "", 0), 0);
    ck_assert_uint_eq(berth_socket_bytes_to_write(actor->socket), 5);
    ck_assert_uint_eq(peer_receive_some(peer, bytes, sizeof bytes), 0);
    assert_trace("");
    UNTIL(actor->written == 5);
    ck_assert_uint_eq(berth_socket_bytes_to_write(actor->socket), 0);
    ck_assert(peer_hears(peer, "hello"));
    assert_trace("s written");
}

static void all_was_announced(struct actor *actor)
{
    ck_assert_uint_eq(actor->written, 2);
}

CASE(answer_to_what_was_written, "S3.28 tls.h",
     "comes behind its bytes_written, which may begin to encrypt, whatever handlers wait for")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct peer *silent;
    struct actor *actor = host_connect(host, "s", &peer);
    struct actor *other = host_connect(host, "o", &silent);
    char heard[2];
    size_t size = 0;
    actor->on_ready_read = all_was_announced;
    other->quiet = true;
    actor_say(actor, "go");
    for (int waits = 0; waits < WORLD_TURNS && size < 2; waits++) {
        if (waits == 1) /* where a wait for another sends nothing of this one */
            berth_loop_turn(world_loop(), 0);
        ck_assert(!berth_socket_wait_for_ready_read(other->socket, 1));
        size += peer_receive_some(peer, heard + size, 2 - size);
    }
    ck_assert_uint_eq(peer_send_some(peer, "hi", 2), 2);
    ck_assert(!berth_socket_wait_for_ready_read(other->socket, 1));
    UNTIL(actor_has(actor, "hi"));
}

static struct {
    struct peer *peer;
    struct actor *other;
    unsigned writes;
    size_t heard; /* by the peer, before it answers */
} answering;

/* A handler's question goes and is answered while it waits for another. */
static void asks_and_waits_for_another(struct actor *actor)
{
    char heard[2];
    size_t size = 0;
    if (actor->ready_reads > 1) {
        all_was_announced(actor);
        return;
    }
    ck_assert_int_eq(berth_socket_write(actor->socket, "go", 2), 2);
    berth_loop_turn(world_loop(), 0);
    for (int waits = 0; waits < WORLD_TURNS && size < 2; waits++) {
        ck_assert(!berth_socket_wait_for_ready_read(answering.other->socket, 1));
        size += peer_receive_some(answering.peer, heard + size, 2 - size);
    }
    ck_assert_uint_eq(peer_send_some(answering.peer, "hi", 2), 2);
    ck_assert(!berth_socket_wait_for_ready_read(answering.other->socket, 1));
}

CASE(answer_to_what_a_waiting_handler_wrote, "S3.28 tls.h",
     "comes behind bytes_written, also with a limited input")
{
    struct host *host = host_listening("h");
    for (int limited = 0; limited < 2; limited++) {
        struct peer *silent;
        struct actor *actor = host_connect(host, "s", &answering.peer);
        answering.other = host_connect(host, "o", &silent);
        answering.other->quiet = true;
        actor->on_ready_read = asks_and_waits_for_another;
        if (limited)
            berth_socket_set_read_buffer_size(actor->socket, 100);
        ck_assert_uint_eq(peer_send_some(answering.peer, "y", 1), 1);
        UNTIL(actor_has(actor, "yhi"));
    }
}

/* The peer hears "go", and answers; no turn of the loop is between. */
static void answer_unseen(struct peer *peer, struct actor *other)
{
    char heard[2];
    size_t size = 0;
    for (int waits = 0; waits < WORLD_TURNS && size < 2; waits++) {
        size += peer_receive_some(peer, heard + size, 2 - size);
        ck_assert(!berth_socket_wait_for_ready_read(other->socket, 1));
    }
    ck_assert_uint_eq(size, 2);
    ck_assert_uint_eq(peer_send_some(peer, "hi", 2), 2);
    ck_assert(!berth_socket_wait_for_ready_read(other->socket, 1));
}

CASE(answer_to_what_a_call_has_sent, "S3.28 tls.h",
     "comes behind bytes_written, though no turn was between, and where more waits to be sent")
{
    struct host *host = host_listening("h");
    for (int more = 0; more < 2; more++) {
        struct peer *peer;
        struct peer *silent;
        struct actor *actor = host_connect(host, "s", &peer);
        struct actor *other = host_connect(host, "o", &silent);
        other->quiet = true;
        actor->on_ready_read = all_was_announced;
        ck_assert_int_eq(berth_socket_write(actor->socket, "go", 2), 2);
        ck_assert(berth_socket_flush(actor->socket));
        answer_unseen(peer, other);
        if (more)
            ck_assert_int_eq(berth_socket_write(actor->socket, "on", 2), 2);
        UNTIL(actor_has(actor, "hi"));
    }
}

/* A question that is sent and answered inside the handler, while more of the input is delivered. */
static void asks_and_is_answered(struct actor *actor)
{
    if (actor->ready_reads == 1) {
        ck_assert_int_eq(berth_socket_write(actor->socket, "go", 2), 2);
        ck_assert(berth_socket_flush(actor->socket));
        ck_assert_uint_eq(peer_send_some(answering.peer, "hi", 2), 2);
    } else if (actor->received > 8) {
        ck_assert_uint_ge(actor->written, 2);
    }
}

/* So that the turn is to flush the other when that runs. */
static void tells_the_other(struct actor *actor)
{
    (void)actor;
    ck_assert_int_eq(berth_socket_write(answering.other->socket, "x", 1), 1);
}

CASE(answer_in_the_run_that_asks, "S3.28 tls.h",
     "comes behind bytes_written, also of a socket that the turn is to flush")
{
    struct host *host = host_listening("h");
    struct peer *before;
    struct actor *teller = host_connect(host, "t", &before);
    struct actor *actor = host_connect(host, "s", &answering.peer);
    answering.other = actor;
    teller->on_ready_read = tells_the_other;
    actor->on_ready_read = asks_and_is_answered;
    berth_socket_set_read_buffer_size(actor->socket, 4);
    ck_assert_uint_eq(peer_send_some(before, "t", 1), 1);
    ck_assert_uint_eq(peer_send_some(answering.peer, "12345678", 8), 8);
    UNTIL(actor_has(actor, "12345678hi"));
}

static void asks_the_other(struct actor *actor)
{
    (void)actor;
    ck_assert_int_eq(berth_socket_write(answering.other->socket, "go", 2), 2);
    ck_assert(berth_socket_flush(answering.other->socket));
}

/* A question to one whose input is in the list already, which is answered before that runs. */
static void asks_the_other_and_is_answered(struct actor *actor)
{
    char heard[4];
    asks_the_other(actor);
    answering.heard = peer_receive_some(answering.peer, heard, sizeof heard);
    ck_assert(world_is_simulated() || answering.heard > 0); /* that one may take parts */
    ck_assert_uint_eq(peer_send_some(answering.peer, "hi", 2), 2);
}

static void has_heard_of_all(struct actor *actor)
{
    if (actor->received > 1)
        ck_assert_uint_ge(actor->written, answering.heard);
}

CASE(answer_to_what_another_handler_has_sent, "S3.28 tls.h",
     "comes behind bytes_written, though what was sent before has just been announced")
{
    struct host *host = host_listening("h");
    struct peer *before;
    struct peer *behind;
    struct actor *first = host_connect(host, "a", &before);
    struct actor *actor = host_connect(host, "s", &answering.peer);
    struct actor *last = host_connect(host, "z", &behind);
    answering.other = actor;
    first->on_ready_read = asks_the_other;
    actor->on_ready_read = has_heard_of_all;
    last->on_ready_read = asks_the_other_and_is_answered;
    ck_assert_uint_eq(peer_send_some(before, "a", 1), 1);
    ck_assert_uint_eq(peer_send_some(answering.peer, "x", 1), 1);
    ck_assert_uint_eq(peer_send_some(behind, "z", 1), 1);
    UNTIL(actor_has(actor, "xhi"));
}

/* Writes on as fast as its peer reads; when it has been enough, no more. */
static void writes_on(struct actor *actor)
{
    static char heard[1 << 16];
    while (peer_receive_some(answering.peer, heard, sizeof heard) > 0)
        continue;
    if (++answering.writes < 1000)
        ck_assert_int_eq(berth_socket_write(actor->socket, heard, 20000), 20000);
}

CASE(output_that_a_handler_renews, "S3.28", "keeps neither input nor the loop from going on")
{
    static const char first[20000];
    struct host *host = host_listening("h");
    struct actor *actor = host_connect(host, "s", &answering.peer);
    actor->quiet = true;
    actor->on_written = writes_on;
    ck_assert_int_eq(berth_socket_write(actor->socket, first, sizeof first), sizeof first);
    ck_assert_uint_eq(peer_send_some(answering.peer, "x", 1), 1);
    for (int turns = 0; turns < 20 && actor->received == 0; turns++)
        berth_loop_turn(world_loop(), 0);
    ck_assert_uint_lt(answering.writes, 200);
    ck_assert_uint_eq(actor->received, 1);
}

CASE(many_small_writes, "S3.28", "the sum of bytes_written is what was written, and order is kept")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    enum {
        COUNT = 2000
    };
    uint8_t *bytes = scene_pattern(COUNT, 1);
    uint8_t heard[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        ck_assert_int_eq(berth_socket_write(actor->socket, bytes + i, 1), 1);
        if (i % 97 == 0)
            berth_loop_turn(world_loop(), 0);
    }
    ck_assert_uint_eq(peer_receive(peer, heard, COUNT), COUNT);
    ck_assert_mem_eq(heard, bytes, COUNT);
    UNTIL(actor->written == COUNT);
    free(bytes);
}

CASE(caller_keeps_its_memory, "S3.27",
     "what is written is copied: the caller may change its bytes at once")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    char bytes[] = "hello";
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, 5), 5);
    memset(bytes, 'x', 5);
    ck_assert(peer_hears(peer, "hello"));
}

CASE(write_without_a_connection, "S3.27",
     "refused with -1 and class OPERATION, before and after a connection")
{
    struct actor *actor = actor_new("s");
    ck_assert_int_eq(berth_socket_write(actor->socket, "x", 1), -1);
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_OPERATION);
    ck_assert_str_ne(berth_socket_error_string(actor->socket), "");
    ck_assert_uint_eq(berth_socket_bytes_to_write(actor->socket), 0);
}

CASE(write_after_the_end, "S3.27 T38", "after the peer's end a write gives -1")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    peer_close(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(berth_socket_write(actor->socket, "x", 1), -1);
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_OPERATION);
}

CASE(write_while_closing, "S3.33",
     "what is written after disconnect_from_host, but before the end, is sent too")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor_say(actor, "one ");
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CLOSING);
    actor_say(actor, "two");
    ck_assert(peer_hears(peer, "one two"));
    ck_assert(peer_saw_end(peer));
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(berth_socket_write(actor->socket, "x", 1), -1);
}

CASE(write_after_close, "S3.34",
     "after close nothing more can be written, but what was written goes out")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor_say(actor, "one");
    berth_socket_close(actor->socket);
    ck_assert_int_eq(berth_socket_write(actor->socket, "two", 3), -1);
    ck_assert(peer_hears(peer, "one"));
    ck_assert(peer_saw_end(peer));
    UNTIL(actor->disconnects == 1);
}

CASE(flush_hands_over_at_once, "S3.29",
     "flush gives output to the kernel without a turn; nothing is announced inside")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    ck_assert(!berth_socket_flush(actor->socket));
    actor_say(actor, "hello");
    ck_assert(berth_socket_flush(actor->socket));
    assert_trace("");
    ck_assert(peer_hears(peer, "hello"));
    UNTIL(actor->written == 5);
    ck_assert(!berth_socket_flush(actor->socket));
}

CASE(flush_and_announce, "S3.29", "what the kernel has taken is announced inside the call")
{
    if (world_is_simulated())
        case_skip("the simulated kernel takes what it likes");
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    ck_assert_int_eq(berth_socket_flush_and_announce(actor->socket), 0);
    actor_say(actor, "hello");
    peer_say(peer, "not read inside");
    ck_assert_int_eq(berth_socket_flush_and_announce(actor->socket), 5);
    assert_trace("s written");
    ck_assert_uint_eq(actor->written, 5);
    ck_assert_uint_eq(berth_socket_bytes_to_write(actor->socket), 0);
    ck_assert_int_eq(berth_socket_flush_and_announce(actor->socket), 0);
    ck_assert(peer_hears(peer, "hello"));
    UNTIL(actor_has(actor, "not read inside"));
    ck_assert_uint_eq(actor->written, 5);
}

CASE(flush_and_announce_behind_a_reset, "S3.30", "says that the connection is broken")
{
    if (world_is_simulated())
        case_skip("the simulated kernel takes what it likes");
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    peer_reset(peer);
    actor_say(actor, "to nobody");
    ck_assert_int_eq(berth_socket_flush_and_announce(actor->socket), -1);
    ck_assert_int_eq(berth_socket_write(actor->socket, "more", 4), -1);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->written, 0);
}

static struct peer *leaving;

/* Its end comes while the handler turns the loop. */
static void see_it_leave(struct actor *actor)
{
    (void)actor;
    if (leaving == NULL)
        return;
    peer_shutdown(leaving);
    leaving = NULL;
    world_settle();
}

CASE(end_inside_flush_and_announce, "S3.29 S3.30",
     "an end that comes in a turn inside bytes_written is announced when the call has returned")
{
    struct host *host = host_listening("h");
    struct actor *actor = host_connect(host, "s", &leaving);
    struct peer *peer = leaving;
    peer_say(peer, "hello");
    UNTIL(actor_has(actor, "hello"));
    actor->on_written = see_it_leave;
    actor_say(actor, "welcome");
    (void)berth_socket_flush_and_announce(actor->socket);
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
    ck_assert(peer_hears(peer, "welcome"));
}

CASE(flush_outside_of_turns, "S3.29", "flushed output reaches the peer although no turn follows")
{
    if (world_is_simulated() && getenv("BERTH_SIM_SEED") != NULL)
        case_skip("with a seed the simulated network takes its time");
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor_say(actor, "hello");
    ck_assert(berth_socket_flush(actor->socket));
    char bytes[8];
    ck_assert_uint_eq(peer_receive_some(peer, bytes, sizeof bytes), 5);
    ck_assert_mem_eq(bytes, "hello", 5);
    ck_assert_uint_eq(actor->written, 0); /* handlers are the turn's */
    UNTIL(actor->written == 5);
}

static void write_more(struct actor *actor)
{
    if (actor->written < 10)
        actor_say(actor, "y");
}

CASE(write_inside_bytes_written, "S3.28", "the handler may write on; it is not called recursively")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->on_written = write_more;
    actor_say(actor, "x");
    ck_assert(peer_hears(peer, "xyyyyyyyyy"));
    UNTIL(actor->written == 10);
}

static void write_for_ever(struct actor *actor)
{
    actor_say(actor, "y");
}

CASE(writing_on_lets_the_turn_end, "S3.28",
     "a handler that writes on each time cannot keep the turn from ending, so that the others get "
     "theirs")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->on_written = write_for_ever;
    actor_say(actor, "x");
    for (int turns = 0; turns < WORLD_TURNS && actor->written < 10; turns++) {
        size_t before = actor->written;
        berth_loop_turn(world_loop(), 1);
        /* for a send that was in flight, and for the one that the flush begins */
        ck_assert_uint_le(actor->written, before + 2);
    }
    ck_assert_uint_ge(actor->written, 10);
}

static unsigned depth;

static void flush_inside(struct actor *actor)
{
    ck_assert_uint_eq(depth, 0);
    depth++;
    if (actor->written < 5) {
        actor_say(actor, "z");
        berth_socket_flush(actor->socket);
        for (int turns = 0; turns < 10; turns++)
            berth_loop_turn(world_loop(), 1);
    }
    depth--;
}

CASE(bytes_written_is_not_recursive, "S3.28", "an inner flush and an inner loop send in silence")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->on_written = flush_inside;
    actor_say(actor, "x");
    ck_assert(peer_hears(peer, "xz"));
    world_settle();
}

CASE(write_to_a_reset_peer, "S3.30",
     "a reset is an error REMOTE_HOST_CLOSED and the end, without SIGPIPE")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    peer_reset(peer);
    berth_socket_write(actor->socket, "x", 1);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->errors, 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
}

CASE(output_beyond_the_kernel, "S3.27", "output has no limit; it goes as the peer reads")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    /* The simulated one keeps less, and may move a few bytes at a time. */
    const size_t size = (size_t)(world_is_simulated() ? 1 : 8) << 20;
    uint8_t *bytes = scene_pattern(size, 2);
    uint8_t *heard = malloc(size);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, size), (ptrdiff_t)size);
    world_settle();
    ck_assert_uint_gt(berth_socket_bytes_to_write(actor->socket), 0);
    ck_assert_uint_eq(peer_receive(peer, heard, size), size);
    ck_assert_mem_eq(heard, bytes, size);
    UNTIL(actor->written == size);
    ck_assert_uint_eq(berth_socket_bytes_to_write(actor->socket), 0);
    free(bytes);
    free(heard);
}

/* ---- long writes, which the kernel may take inside the call ------------------------------------
 */

enum {
    LONG = 40000
};

/* The bytes are gone when it returns. */
static void write_long(struct actor *actor)
{
    uint8_t *bytes = scene_pattern(LONG, 3);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, LONG), LONG);
    free(bytes);
}

static void expect_long(struct peer *peer)
{
    uint8_t *bytes = scene_pattern(LONG, 3);
    uint8_t heard[LONG];
    ck_assert_uint_eq(peer_receive(peer, heard, LONG), LONG);
    ck_assert_mem_eq(heard, bytes, LONG);
    free(bytes);
}

CASE(long_write_is_announced_later, "S3.27 S3.28",
     "nothing is called inside a long write, and it counts as waiting until it is announced")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    write_long(actor);
    ck_assert_uint_eq(berth_socket_bytes_to_write(actor->socket), LONG);
    assert_trace("");
    expect_long(peer);
    UNTIL(actor->written == LONG);
    ck_assert_uint_eq(berth_socket_bytes_to_write(actor->socket), 0);
    assert_trace("s written");
}

CASE(long_and_short_writes_keep_their_order, "S3.28",
     "what is written around a long write arrives around it")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    enum {
        ROUNDS = 40,
        ROUND = 3 + LONG + LONG + 3
    };
    uint8_t *bytes = scene_pattern((size_t)ROUNDS * ROUND, 4);
    uint8_t *heard = malloc((size_t)ROUNDS * ROUND);
    const uint8_t *next = bytes;
    for (unsigned i = 0; i < ROUNDS; i++) {
        static const size_t sizes[] = {3, LONG, LONG, 3};
        for (unsigned part = 0; part < 4; part++) {
            size_t size = sizes[i % 2 == 0 ? part : (part + 1) % 4];
            ck_assert_int_eq(berth_socket_write(actor->socket, next, size), (ptrdiff_t)size);
            next += size;
        }
        if (i % 3 == 0)
            berth_loop_turn(world_loop(), 0);
        if (i % 5 == 0)
            berth_socket_flush(actor->socket);
    }
    ck_assert_uint_eq(peer_receive(peer, heard, (size_t)ROUNDS * ROUND), (size_t)ROUNDS * ROUND);
    ck_assert_mem_eq(heard, bytes, (size_t)ROUNDS * ROUND);
    UNTIL(actor->written == (size_t)ROUNDS * ROUND);
    free(bytes);
    free(heard);
}

CASE(long_write_then_disconnect, "S3.28 S3.33",
     "the bytes are announced before the end, although the kernel has had them all")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    write_long(actor);
    berth_socket_disconnect_from_host(actor->socket);
    expect_long(peer);
    ck_assert(peer_saw_end(peer));
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->written, LONG);
    ck_assert_uint_eq(actor->errors, 0);
}

CASE(long_write_then_end_of_output, "S3.28", "ending the output alone waits for the announcement")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    write_long(actor);
    berth_socket_shutdown_send(actor->socket);
    expect_long(peer);
    ck_assert(peer_saw_end(peer));
    UNTIL(actor->written == LONG);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
}

CASE(flush_after_a_long_write, "S3.29", "there is something to announce: flush says so, once")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    write_long(actor);
    ck_assert(berth_socket_flush(actor->socket));
    ck_assert_uint_eq(actor->written, 0);
    expect_long(peer);
    UNTIL(actor->written == LONG);
    ck_assert(!berth_socket_flush(actor->socket));
}

CASE(waiting_for_a_long_write, "S4.16", "the wait announces what the kernel has taken already")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    write_long(actor);
    ck_assert(berth_socket_wait_for_bytes_written(actor->socket, 5000));
    ck_assert_uint_gt(actor->written, 0);
}

CASE(long_write_against_the_marks, "S3.27",
     "what the kernel has taken in this turn counts for them beyond its share")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    if (world_is_simulated())
        berth__sim_settings_of(world_sim())->buffer_size = 1 << 20;
    struct actor *actor = host_connect(host, "s", &peer);
    uint8_t *bytes = scene_pattern((size_t)5 * LONG, 9);
    berth_socket_set_write_marks(actor->socket, 10, LONG);
    size_t done = 0;
    for (ptrdiff_t count = LONG; count == LONG && done < (size_t)4 * LONG; done += (size_t)count)
        count = berth_socket_write(actor->socket, bytes + done, LONG);
    ck_assert_uint_ge(done, LONG);
    ck_assert_uint_le(done, 65536 + 2 * LONG);
    uint8_t *heard = malloc(done);
    ck_assert_uint_eq(peer_receive(peer, heard, done), done);
    ck_assert_mem_eq(heard, bytes, done);
    UNTIL(actor->written == done);
    free(heard);
    free(bytes);
}

static void count_drained(berth_socket *socket, void *user)
{
    (void)socket;
    ++*(unsigned *)user;
}

CASE(failed_write_is_not_cut, "S3.27",
     "a write beyond the high mark that finds no memory has failed, and `drained` does not follow")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    static const berth_socket_handlers handlers = {.drained = count_drained};
    unsigned drained = 0;
    uint8_t *bytes = scene_pattern(LONG, 1);
    berth_socket_set_handlers(actor->socket, &handlers, &drained);
    berth_socket_set_write_marks(actor->socket, 10, 12000);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, 4), 4);
    berth__fault_set_memory(0, 1000);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, 15000), -1);
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_SOCKET_RESOURCE);
    berth__fault_clear();
    UNTIL(berth_socket_bytes_to_write(actor->socket) == 0);
    ck_assert_uint_eq(drained, 0);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, 15000), 12000);
    uint8_t heard[4 + 12000];
    ck_assert_uint_eq(peer_receive(peer, heard, sizeof heard), sizeof heard);
    UNTIL(drained == 1);
    free(bytes);
}

CASE(drained_without_a_cut, "S3.27 socket.h",
     "`drained` comes whenever the output was above the low mark, though no write was cut short")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    static const berth_socket_handlers handlers = {.drained = count_drained};
    unsigned drained = 0;
    berth_socket_set_handlers(actor->socket, &handlers, &drained);
    ck_assert_uint_eq(berth_socket_room(actor->socket), SIZE_MAX);
    berth_socket_set_write_marks(actor->socket, 4, 10);
    ck_assert_uint_eq(berth_socket_room(actor->socket), 10);
    ck_assert_int_eq(berth_socket_write(actor->socket, "1234", 4), 4);
    ck_assert_uint_eq(berth_socket_room(actor->socket), 6);
    ck_assert(peer_hears(peer, "1234"));
    UNTIL(berth_socket_room(actor->socket) == 10);
    ck_assert_uint_eq(drained, 0);
    ck_assert_int_eq(berth_socket_write(actor->socket, "12345", 5), 5);
    ck_assert(peer_hears(peer, "12345"));
    UNTIL(drained == 1);
    ck_assert_int_eq(berth_socket_write(actor->socket, "1234567890", 10), 10);
    ck_assert_uint_eq(berth_socket_room(actor->socket), 0);
    ck_assert(peer_hears(peer, "1234567890"));
    UNTIL(drained == 2);
    world_settle();
    ck_assert_uint_eq(drained, 2);
}

CASE(low_mark_alone, "S3.27 socket.h",
     "a low mark without a high one cuts no write, however much waits, and `drained` comes")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    static const berth_socket_handlers handlers = {.drained = count_drained};
    unsigned drained = 0;
    berth_socket_set_handlers(actor->socket, &handlers, &drained);
    berth_socket_set_write_marks(actor->socket, 4, 0);
    ck_assert_uint_eq(berth_socket_room(actor->socket), SIZE_MAX);
    ck_assert_int_eq(berth_socket_write(actor->socket, "1234", 4), 4);
    ck_assert_uint_eq(berth_socket_room(actor->socket), SIZE_MAX);
    ck_assert(peer_hears(peer, "1234"));
    world_settle();
    ck_assert_uint_eq(drained, 0);
    ck_assert_int_eq(berth_socket_write(actor->socket, "12345678", 8), 8);
    ck_assert(peer_hears(peer, "12345678"));
    UNTIL(drained == 1);
}

CASE(drained_after_marks_were_set, "S3.27 socket.h",
     "marks that are set below the output count as if it had risen above them")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    static const berth_socket_handlers handlers = {.drained = count_drained};
    unsigned drained = 0;
    berth_socket_set_handlers(actor->socket, &handlers, &drained);
    ck_assert_int_eq(berth_socket_write(actor->socket, "12345", 5), 5);
    berth_socket_set_write_marks(actor->socket, 0, 3);
    ck_assert_uint_eq(berth_socket_room(actor->socket), 0);
    ck_assert(peer_hears(peer, "12345"));
    UNTIL(drained == 1);
    ck_assert_int_eq(berth_socket_write(actor->socket, "1", 1), 1);
    berth_socket_set_write_marks(actor->socket, 0, 0);
    ck_assert(peer_hears(peer, "1"));
    world_settle();
    ck_assert_uint_eq(drained, 1);
    berth_socket_shutdown_send(actor->socket);
    ck_assert_uint_eq(berth_socket_room(actor->socket), 0);
    berth_socket_abort(actor->socket);
    ck_assert_uint_eq(berth_socket_room(actor->socket), 0);
}

CASE(long_write_to_a_reset_peer, "S3.30", "the failure is announced as that of a short one")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    peer_reset(peer);
    write_long(actor);
    ck_assert_uint_eq(actor->errors, 0);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->errors, 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
}

CASE(long_write_fails, "S3.30", "an error that the kernel tells once, inside the write, is kept")
{
    if (world_is_simulated())
        case_skip("the simulated kernel makes no system calls");
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    uint8_t *bytes = scene_pattern(LONG, 11);
    berth__fault_set_system(0, 1, ENOBUFS, "send");
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, LONG), LONG);
    berth__fault_clear();
    ck_assert_uint_eq(actor->errors, 0);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->errors, 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_RESOURCE);
    free(bytes);
}
