/*
 * Pauses of reading: nothing is delivered in one, nothing is lost by one, and all that ends a
 * connection but its peer's words still does.
 */
#include "scene.h"

#include <stdlib.h>
#include <string.h>

#define SIZE ((size_t)200000)

static struct actor *paused(struct peer **ret_peer)
{
    struct host *host = host_listening("h");
    struct actor *actor = host_connect(host, "s", ret_peer);
    ck_assert(!berth_socket_is_reading_paused(actor->socket));
    berth_socket_pause_reading(actor->socket);
    ck_assert(berth_socket_is_reading_paused(actor->socket));
    return actor;
}

CASE(pause_keeps_bytes, "socket.h", "what comes in a pause is delivered after it, in order")
{
    struct peer *peer;
    struct actor *actor = paused(&peer);
    peer_say(peer, "one");
    world_settle();
    peer_say(peer, "two");
    world_settle();
    ck_assert_uint_eq(actor->ready_reads, 0);
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 0);
    berth_socket_pause_reading(actor->socket); /* they do not add up */
    berth_socket_resume_reading(actor->socket);
    ck_assert_uint_eq(actor->ready_reads, 0);
    UNTIL(actor_has(actor, "onetwo"));
    berth_socket_resume_reading(actor->socket);
    actor_say(actor, "hello");
    ck_assert(peer_hears(peer, "hello"));
}

CASE(pause_lets_output_go, "socket.h", "output is sent and announced as always")
{
    struct peer *peer;
    struct actor *actor = paused(&peer);
    peer_say(peer, "more");
    actor_say(actor, "hello");
    ck_assert(peer_hears(peer, "hello"));
    UNTIL(actor->written == 5);
    ck_assert_uint_eq(actor->ready_reads, 0);
}

static void pause_it(struct actor *actor)
{
    berth_socket_pause_reading(actor->socket);
}

CASE(pause_inside_ready_read, "socket.h",
     "behind a pause in the handler no more is delivered; what was can be read")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->reads = false;
    actor->on_ready_read = pause_it;
    uint8_t *bytes = scene_pattern(SIZE, 3);
    uint8_t *heard = malloc(SIZE);
    size_t sent = peer_send_some(peer, bytes, SIZE);
    size_t received = 0;
    for (int turns = 0; turns < 20 * WORLD_TURNS && received < SIZE; turns++) {
        unsigned before = actor->ready_reads;
        UNTIL(actor->ready_reads == before + 1);
        size_t available = berth_socket_bytes_available(actor->socket);
        sent += peer_send_some(peer, bytes + sent, SIZE - sent);
        for (int i = 0; i < 3; i++)
            berth_loop_turn(world_loop(), 0);
        ck_assert_uint_eq(actor->ready_reads, before + 1);
        ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), available);
        ck_assert_int_eq(berth_socket_read(actor->socket, heard + received, available),
                         (ptrdiff_t)available);
        received += available;
        berth_socket_resume_reading(actor->socket);
    }
    ck_assert_uint_eq(received, SIZE);
    ck_assert_mem_eq(heard, bytes, SIZE);
    free(bytes);
    free(heard);
}

CASE(pause_hides_the_end, "socket.h", "the end comes after the pause, behind the bytes")
{
    struct peer *peer;
    struct actor *actor = paused(&peer);
    peer_say(peer, "bye");
    peer_shutdown(peer);
    world_settle();
    ck_assert_uint_eq(actor->errors, 0);
    ck_assert_uint_eq(actor->finishes, 0);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
    actor_say(actor, "hello");
    ck_assert(peer_hears(peer, "hello"));
    berth_socket_resume_reading(actor->socket);
    UNTIL(actor->disconnects == 1);
    ck_assert(actor_has(actor, "bye"));
    ck_assert_int_eq(actor->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
}

CASE(pause_after_an_end_in_a_wait, "socket.h",
     "an end that a wait has kept back is kept back by a pause, too")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    peer_say(peer, "bye");
    peer_shutdown(peer);
    ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
    berth_socket_pause_reading(actor->socket);
    world_settle();
    ck_assert_uint_eq(actor->errors, 0);
    ck_assert(!berth_socket_wait_for_ready_read(actor->socket, 20));
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
    ck_assert_uint_eq(actor->finishes, 0);
    berth_socket_resume_reading(actor->socket);
    ck_assert_uint_eq(actor->finishes, 0);
    UNTIL(actor->disconnects == 1);
    ck_assert(actor_has(actor, "bye"));
}

CASE(pause_before_a_connection, "socket.h", "a connection that begins in a pause is paused")
{
    uint16_t port = world_listen(5);
    world_greet(port, "welcome", 7);
    struct actor *actor = actor_new("s");
    berth_socket_pause_reading(actor->socket);
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    UNTIL(actor->connects == 1);
    struct peer *peer = world_accept(port);
    ck_assert_ptr_nonnull(peer);
    world_settle();
    ck_assert_uint_eq(actor->ready_reads, 0);
    berth_socket_resume_reading(actor->socket);
    UNTIL(actor_has(actor, "welcome"));
}

CASE(pause_of_a_descriptor, "socket.h", "it lasts when the socket adopts one, and when it gives it")
{
    struct peer *peer;
    int descriptor = world_stream_descriptor(&peer);
    struct actor *actor = actor_new("s");
    berth_socket_pause_reading(actor->socket);
    ck_assert(berth_socket_set_descriptor(actor->socket, descriptor));
    peer_say(peer, "hello");
    world_settle();
    ck_assert_uint_eq(actor->ready_reads, 0);
    descriptor = world_note(berth_socket_release(actor->socket));
    ck_assert_int_ge(descriptor, 0);
    ck_assert(berth_socket_is_reading_paused(actor->socket));
    char heard[8] = {0};
    ptrdiff_t received = berth_socket_read(actor->socket, heard, 5);
    received = received > 0 ? received : 0;
    struct actor *other = actor_new("t");
    ck_assert(berth_socket_set_descriptor(other->socket, descriptor));
    peer_say(peer, "!");
    UNTIL((size_t)received + other->received == 6);
    memcpy(heard + received, other->input, other->received);
    ck_assert_str_eq(heard, "hello!");
}

CASE(pause_in_a_queue, "socket.h", "one that waits in a queue stays paused when it is taken")
{
    struct host *host = host_listening("h");
    struct peer *peer = world_connect(host->port);
    berth_socket *socket = host_take(host);
    berth_socket_pause_reading(socket);
    berth_server_add_pending_connection(host->server, socket);
    peer_say(peer, "hello");
    peer_shutdown(peer);
    world_settle();
    ck_assert_ptr_eq(berth_server_next_pending_connection(host->server), socket);
    struct actor *actor = actor_on("s", socket);
    world_settle();
    ck_assert_uint_eq(berth_socket_bytes_available(socket), 0);
    ck_assert_uint_eq(actor->finishes, 0);
    berth_socket_resume_reading(socket);
    UNTIL(actor->disconnects == 1);
    ck_assert(actor_has(actor, "hello"));
}

CASE(reset_in_a_pause, "socket.h", "a write finds that the peer has reset the connection")
{
    struct peer *peer;
    struct actor *actor = paused(&peer);
    peer_reset(peer);
    for (int turns = 0; turns < WORLD_TURNS && actor->disconnects == 0; turns++) {
        (void)berth_socket_write(actor->socket, "x", 1);
        world_turn();
    }
    ck_assert_uint_eq(actor->disconnects, 1);
    ck_assert(berth_socket_was_reset(actor->socket));
}

CASE(own_end_in_a_pause, "socket.h", "this side can end the connection")
{
    struct peer *peer;
    struct actor *actor = paused(&peer);
    peer_say(peer, "more");
    world_settle();
    actor_say(actor, "bye");
    berth_socket_disconnect_from_host(actor->socket);
    UNTIL(actor->disconnects == 1);
    ck_assert(peer_hears(peer, "bye"));
    ck_assert_uint_eq(actor->received, 0);
}

CASE(limits_in_a_pause, "socket.h limits.h",
     "the peer is not called idle for what this side does not take; its life is as long as ever")
{
    struct peer *peer;
    struct actor *actor = paused(&peer);
    const berth_connection_limits limits = {
        .first_byte = 30, .idle = 30, .minimum_rate = 1000, .rate_window = 30, .lifetime = 400};
    ck_assert(berth_socket_set_limits(actor->socket, &limits));
    uint64_t start = berth_loop_now(world_loop());
    while (berth_loop_now(world_loop()) < start + 200)
        world_turn();
    ck_assert_uint_eq(actor->errors, 0);
    UNTIL(actor->disconnects == 1);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actor->socket), "lifetime"));
}

CASE(output_unread_in_a_pause, "socket.h limits.h",
     "a peer that does not read what waits for it is idle in a pause too, for one that does not")
{
    enum {
        MUCH = 16 << 20, /* more than the kernel takes */
        IDLE = 200
    };
    struct peer *peer;
    struct actor *actor = paused(&peer);
    uint8_t *much = scene_pattern(MUCH, 1);
    actor->quiet = true;
    const berth_connection_limits limits = {.idle = IDLE};
    ck_assert(berth_socket_set_limits(actor->socket, &limits));
    uint64_t start = berth_loop_now(world_loop());
    while (berth_loop_now(world_loop()) < start + 3 * IDLE)
        world_turn();
    ck_assert_uint_eq(actor->errors, 0);
    start = berth_loop_now(world_loop());
    ck_assert_int_eq(berth_socket_write(actor->socket, much, MUCH), MUCH);
    for (int turns = 0; actor->disconnects == 0 && turns < 100000; turns++) {
        world_turn();
        ck_assert_uint_lt(berth_loop_now(world_loop()), start + 20 * IDLE);
    }
    ck_assert_uint_ge(berth_loop_now(world_loop()) + 1, start + IDLE);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actor->socket), "idle"));
    free(much);
}

/* ---- output that waits in a pause ------------------------------------------------------------ */

static uint64_t now(void)
{
    return berth_loop_now(world_loop());
}

static void pass(uint64_t milliseconds)
{
    uint64_t start = now();
    while (now() - start < milliseconds)
        world_turn();
}

static void say_much(const struct actor *actor)
{
    static const uint8_t block[1 << 16];
    for (int i = 0; i < 400; i++)
        ck_assert_int_eq(berth_socket_write(actor->socket, block, sizeof block), sizeof block);
}

static void expect_end(const struct actor *actor, uint64_t start, uint64_t milliseconds,
                       const char *text)
{
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_ge(now() - start + 1, milliseconds);
    if (world_is_simulated()) /* twice: the first look at the peer only begins the time */
        ck_assert_uint_le(now() - start, 2 * milliseconds + BERTH_LIMIT_TICK + 100);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actor->socket), text));
}

static void set_limits(const struct actor *actor, berth_connection_limits limits)
{
    ck_assert(berth_socket_set_limits(actor->socket, &limits));
}

CASE(deaf_peer_in_a_pause, "socket.h limits.h",
     "a peer that takes nothing is idle, from when output begins to wait")
{
    struct peer *peer;
    struct actor *actor = paused(&peer);
    set_limits(actor, (berth_connection_limits){.idle = 300});
    pass(550); /* the time that is being measured would end while output waits */
    ck_assert_uint_eq(actor->disconnects, 0);
    uint64_t start = now();
    say_much(actor);
    expect_end(actor, start, 300, "idle");
}

/* The peer reads until the kernel accepts more output. */
static void take_some(const struct actor *actor, struct peer *peer)
{
    static uint8_t heard[1 << 16];
    size_t before = actor->written;
    for (int i = 0; i < 20 * WORLD_TURNS && actor->written == before; i++) {
        (void)peer_receive_some(peer, heard, sizeof heard);
        berth_loop_turn(world_loop(), 0);
    }
    ck_assert_uint_gt(actor->written, before);
}

CASE(slow_peer_in_a_pause, "socket.h limits.h", "each byte that it takes begins the time anew")
{
    struct peer *peer;
    struct actor *actor = paused(&peer);
    set_limits(actor, (berth_connection_limits){.idle = 1500});
    say_much(actor);
    uint64_t last = now();
    for (int i = 0; i < 4; i++) {
        pass(500);
        last = now();
        take_some(actor, peer);
    }
    ck_assert_uint_eq(actor->errors, 0);
    expect_end(actor, last, 1500, "idle");
}

CASE(output_that_went_in_a_pause, "socket.h limits.h",
     "when all output has gone the peer owes nothing again")
{
    struct peer *peer;
    struct actor *actor = paused(&peer);
    set_limits(actor,
               (berth_connection_limits){.idle = 100, .minimum_rate = 1000, .rate_window = 100});
    actor_say(actor, "hello");
    ck_assert(peer_hears(peer, "hello"));
    pass(500);
    ck_assert_uint_eq(actor->disconnects, 0);
    uint64_t start = now();
    berth_socket_resume_reading(actor->socket);
    expect_end(actor, start, 100, "");
}

CASE(pause_while_output_waits, "socket.h limits.h", "a pause does not give it more time")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    set_limits(actor, (berth_connection_limits){.idle = 300});
    uint64_t start = now();
    say_much(actor);
    pass(200);
    ck_assert_uint_eq(actor->disconnects, 0);
    berth_socket_pause_reading(actor->socket);
    expect_end(actor, start, 300, "idle");
}

CASE(too_slow_in_a_pause, "socket.h limits.h",
     "the minimum rate is that of the output, while some waits")
{
    struct peer *peer;
    struct actor *actor = paused(&peer);
    set_limits(actor, (berth_connection_limits){.minimum_rate = 1 << 30, .rate_window = 200});
    pass(500);
    ck_assert_uint_eq(actor->disconnects, 0);
    uint64_t start = now();
    say_much(actor);
    expect_end(actor, start, 200, "minimum rate");
}

CASE(deaf_peer_of_a_full_socket, "socket.h limits.h",
     "a full read buffer spares a peer that takes nothing no more than a pause does")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->reads = false;
    berth_socket_set_read_buffer_size(actor->socket, 4);
    set_limits(actor, (berth_connection_limits){.idle = 300});
    peer_say(peer, "full");
    UNTIL(berth_socket_bytes_available(actor->socket) == 4);
    pass(550);
    ck_assert_uint_eq(actor->disconnects, 0);
    uint64_t start = now();
    say_much(actor);
    expect_end(actor, start, 300, "idle");
}

/* ---- a send that has failed ------------------------------------------------------------------ */

static struct peer *gone;
static actor_hook stop;

/* Answers the first delivery by more than is copied, which the kernel refuses inside the call; and
 * stops reading at the next, since nothing can be written any more. */
static void answer_much(struct actor *actor)
{
    static const uint8_t block[1 << 16];
    if (actor->ready_reads == 1) {
        peer_reset(gone);
        for (int i = 0; i < 400 && berth_socket_room(actor->socket) > 0; i++)
            (void)berth_socket_write(actor->socket, block, sizeof block);
    } else if (berth_socket_room(actor->socket) == 0 && stop != NULL) {
        stop(actor);
    }
}

/* With deliveries of at most so many bytes. */
static struct actor *broken(actor_hook stops, size_t most, berth_rate *rate)
{
    struct host *host = host_listening("h");
    struct actor *actor = host_connect(host, "s", &gone);
    stop = stops;
    berth_socket_set_read_buffer_size(actor->socket, most);
    ck_assert(berth_socket_set_read_rate(actor->socket, rate));
    actor->on_ready_read = answer_much;
    peer_say(gone, "one!two!three!");
    return actor;
}

static void expect_reset(const struct actor *actor, unsigned deliveries)
{
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->ready_reads, deliveries);
    ck_assert_uint_eq(actor->errors, 1);
    ck_assert(berth_socket_was_reset(actor->socket));
}

CASE(pause_after_a_failed_send, "socket.h",
     "who pauses because nothing can be written is told of the end")
{
    struct actor *actor = broken(pause_it, 4, NULL);
    expect_reset(actor, 2);
    ck_assert(actor_has(actor, "one!two!"));
}

static void leave_unread(struct actor *actor)
{
    actor->reads = false;
}

CASE(full_after_a_failed_send, "socket.h", "so is who leaves input unread for that reason")
{
    struct actor *actor = broken(leave_unread, 4, NULL);
    expect_reset(actor, 3);
    ck_assert(actor_has(actor, "one!two!"));
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 4);
}

CASE(all_is_read_after_a_failed_send, "socket.h", "who reads on gets all, and then the end")
{
    struct actor *actor = broken(NULL, 4, NULL);
    expect_reset(actor, 4);
    ck_assert(actor_has(actor, "one!two!three!"));
}

CASE(tokens_after_a_failed_send, "socket.h rate.h",
     "input that waits for tokens is delivered before the end, unless there is a pause")
{
    for (int i = 0; i < 2; i++) {
        berth_rate *rate = berth_rate_new(world_loop(), 100, 4);
        struct actor *actor = broken(i == 0 ? NULL : pause_it, 0, rate);
        UNTIL(actor->disconnects == 1);
        ck_assert(berth_socket_was_reset(actor->socket));
        ck_assert(i == 0 ? actor_has(actor, "one!two!three!") : actor->ready_reads == 2);
    }
}

CASE(wait_after_a_failed_send, "socket.h", "a blocking wait finds the end likewise")
{
    struct actor *actor = broken(pause_it, 4, NULL);
    while (actor->ready_reads < 2 && berth_socket_wait_for_ready_read(actor->socket, 5000))
        continue;
    (void)berth_socket_wait_for_disconnected(actor->socket, 5000);
    expect_reset(actor, 2);
}

CASE(wait_in_a_pause, "socket.h", "a wait for input ends by its time, and finds it after the pause")
{
    struct peer *peer;
    struct actor *actor = paused(&peer);
    peer_say(peer, "hello");
    uint64_t start = berth_loop_now(world_loop());
    ck_assert(!berth_socket_wait_for_ready_read(actor->socket, 50));
    ck_assert_uint_ge(berth_loop_now(world_loop()), start + 50);
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_SOCKET_TIMEOUT);
    ck_assert_uint_eq(actor->ready_reads, 0);
    berth_socket_resume_reading(actor->socket);
    ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
    UNTIL(actor_has(actor, "hello"));
}

static void resume_it(struct actor *actor)
{
    berth_socket_resume_reading(actor->socket);
}

CASE(pause_ended_in_a_wait, "socket.h", "a handler that runs in the wait may end the pause")
{
    struct peer *peer;
    struct actor *actor = paused(&peer);
    actor->on_written = resume_it;
    peer_say(peer, "hello");
    actor_say(actor, "x");
    ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
    UNTIL(actor_has(actor, "hello"));
}
