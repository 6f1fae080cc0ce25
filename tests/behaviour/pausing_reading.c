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
    descriptor = berth_socket_release(actor->socket);
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
