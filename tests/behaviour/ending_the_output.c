/*
 * This side ends its direction and goes on reading.
 */
#include "scene.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER ((size_t)3 << 20)

static uint8_t *pattern;

static void answer_at_length(struct actor *actor)
{
    if (!actor_has(actor, "question"))
        return;
    ck_assert_int_eq(berth_socket_write(actor->socket, pattern, ANSWER), (ptrdiff_t)ANSWER);
    berth_socket_disconnect_from_host(actor->socket);
}

/* A client of the library, and the host's end of it as an actor. */
static struct actor *client_of(struct host *host)
{
    host->takes = true;
    struct actor *client = actor_new("c");
    ck_assert(berth_socket_connect_to_address(client->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    UNTIL(client->connects == 1 && host->count == 1);
    host->taken[0]->quiet = true;
    trace_clear();
    return client;
}

CASE(client_shuts_down_first, "reliability 7",
     "question, end of the client's direction, the whole answer, the usual end")
{
    struct host *host = host_listening("h");
    struct actor *client = client_of(host);
    struct actor *server = host->taken[0];
    pattern = scene_pattern(ANSWER, 5);
    berth_socket_set_half_close(server->socket, true);
    server->on_finished = answer_at_length;
    actor_say(client, "question");
    berth_socket_shutdown_send(client->socket);
    ck_assert_int_eq(berth_socket_state(client->socket), BERTH_STATE_CONNECTED);
    UNTIL(client->disconnects == 1 && server->disconnects == 1);
    ck_assert_uint_eq(client->received, ANSWER);
    ck_assert_mem_eq(client->input, pattern, ANSWER);
    assert_trace("c written, c ready_read, c error REMOTE_HOST_CLOSED, c state CLOSING, c state "
                 "UNCONNECTED, c finished, c disconnected");
    ck_assert_uint_eq(server->errors, 0);
    free(pattern);
}

CASE(server_shuts_down_first, "reliability 7",
     "the mirror: greeting, end of the server's direction, and the client says all it has to say")
{
    struct host *host = host_listening("h");
    struct actor *client = client_of(host);
    struct actor *server = host->taken[0];
    pattern = scene_pattern(ANSWER, 6);
    berth_socket_set_half_close(client->socket, true);
    client->on_finished = answer_at_length;
    actor_say(server, "question");
    berth_socket_shutdown_send(server->socket);
    UNTIL(client->disconnects == 1 && server->disconnects == 1);
    ck_assert_uint_eq(server->received, ANSWER);
    ck_assert_mem_eq(server->input, pattern, ANSWER);
    ck_assert_int_eq(server->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
    ck_assert_uint_eq(server->errors, 1);
    ck_assert_uint_eq(client->errors, 0);
    free(pattern);
}

CASE(
    big_output_before_the_end, "reliability 7",
    "megabytes that are queued go first, in order; then the peer sees the end, and can still speak")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    uint8_t *bytes = scene_pattern(ANSWER, 7);
    uint8_t *heard = malloc(ANSWER);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, ANSWER), (ptrdiff_t)ANSWER);
    berth_socket_shutdown_send(actor->socket);
    ck_assert_int_eq(berth_socket_write(actor->socket, "x", 1), -1);
    ck_assert_uint_eq(peer_receive(peer, heard, ANSWER), ANSWER);
    ck_assert_mem_eq(heard, bytes, ANSWER);
    ck_assert(peer_saw_end(peer));
    ck_assert_uint_eq(actor->written, ANSWER);
    peer_say(peer, "and yet");
    UNTIL(actor_has(actor, "and yet"));
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
    free(bytes);
    free(heard);
}

CASE(write_after_the_end_of_output, "socket.h",
     "-1, class OPERATION with a text that says why; nothing is called, calls may be repeated")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    for (int times = 0; times < 3; times++) {
        berth_socket_shutdown_send(actor->socket);
        ck_assert_int_eq(berth_socket_write(actor->socket, "x", 1), -1);
    }
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_OPERATION);
    ck_assert_ptr_nonnull(
        strstr(berth_socket_error_string(actor->socket), "this side has ended its output"));
    world_settle();
    assert_trace("");
    ck_assert(peer_saw_end(peer));
    ck_assert(!berth_socket_wait_for_bytes_written(actor->socket, 0));
}

CASE(output_is_ended_while_connecting, "socket.h", "remembered: early output goes, then the end")
{
    world_loop();
    uint16_t port = world_listen(5);
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    actor_say(actor, "early");
    berth_socket_shutdown_send(actor->socket);
    ck_assert_int_eq(berth_socket_write(actor->socket, "x", 1), -1);
    struct peer *peer = world_accept(port);
    ck_assert(peer_hears(peer, "early"));
    ck_assert(peer_saw_end(peer));
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
    peer_say(peer, "answer");
    UNTIL(actor_has(actor, "answer"));
    peer_close(peer);
    UNTIL(actor->disconnects == 1);
}

CASE(output_is_ended_while_connecting_without_any, "socket.h", "the same without output")
{
    world_loop();
    uint16_t port = world_listen(5);
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    berth_socket_shutdown_send(actor->socket);
    struct peer *peer = world_accept(port);
    ck_assert(peer_saw_end(peer));
    peer_say(peer, "answer");
    UNTIL(actor_has(actor, "answer"));
}

static uint16_t port_of_peer;
static bool end_came;

static void turn_until_the_end(struct actor *actor)
{
    if (actor->state != BERTH_STATE_CONNECTED || end_came)
        return;
    struct peer *peer = world_accept(port_of_peer);
    ck_assert_ptr_nonnull(peer);
    for (int turns = 0; turns < 500 && !end_came; turns++) {
        berth_loop_turn(berth_socket_loop(actor->socket), 1);
        end_came = peer_sees_either(peer);
    }
}

CASE(output_is_ended_in_a_turn_inside_connected, "socket.h", "though nothing is there to be sent")
{
    world_loop();
    port_of_peer = world_listen(5);
    struct actor *actor = actor_new("c");
    actor->on_connected = turn_until_the_end;
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port_of_peer));
    berth_socket_shutdown_send(actor->socket);
    UNTIL(actor->connects == 1);
    ck_assert(end_came);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
}

CASE(output_is_ended_in_a_turn_inside_state_changed, "socket.h", "likewise")
{
    world_loop();
    port_of_peer = world_listen(5);
    struct actor *actor = actor_new("c");
    actor->on_state = turn_until_the_end;
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port_of_peer));
    berth_socket_shutdown_send(actor->socket);
    UNTIL(actor->connects == 1);
    ck_assert(end_came);
}

CASE(output_is_ended_without_a_connection, "socket.h",
     "no effect before a connection, when bound and after the end; the next connection writes")
{
    world_loop();
    uint16_t port = world_listen(5);
    struct actor *actor = actor_new("c");
    berth_socket_shutdown_send(actor->socket);
    ck_assert(berth_socket_bind(actor->socket, BERTH_ADDRESS_LOOPBACK, 0));
    berth_socket_shutdown_send(actor->socket);
    for (unsigned round = 1; round <= 2; round++) {
        ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
        actor_say(actor, "hello");
        struct peer *peer = world_accept(port);
        ck_assert(peer_hears(peer, "hello"));
        UNTIL(actor->connects == round);
        berth_socket_shutdown_send(actor->socket);
        ck_assert(peer_saw_end(peer));
        peer_close(peer);
        UNTIL(actor->disconnects == round);
        berth_socket_shutdown_send(actor->socket);
    }
}

CASE(output_is_ended_after_the_peers, "socket.h",
     "the peer was first and half-close is allowed: the connection is over, inside the call")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    berth_socket_set_half_close(actor->socket, true);
    peer_shutdown(peer);
    UNTIL(actor->finishes == 1);
    berth_socket_shutdown_send(actor->socket);
    assert_trace("s finished, s state CLOSING, s state UNCONNECTED, s disconnected");
    ck_assert(peer_saw_end(peer));
    ck_assert_uint_eq(actor->errors, 0);
}

CASE(output_is_ended_after_the_peers_with_output, "socket.h",
     "the same with output left: it goes first, and the end comes from the loop")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    berth_socket_set_half_close(actor->socket, true);
    peer_shutdown(peer);
    UNTIL(actor->finishes == 1);
    actor_say(actor, "last words");
    berth_socket_shutdown_send(actor->socket);
    assert_trace("s finished");
    UNTIL(actor->disconnects == 1);
    assert_trace("s finished, s written, s state CLOSING, s state UNCONNECTED, s disconnected");
    ck_assert(peer_hears(peer, "last words"));
    ck_assert(peer_saw_end(peer));
}

CASE(peer_ends_second_where_allowed, "socket.h",
     "both have ended, the peer second, half-close allowed: as disconnect, without an error")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    berth_socket_set_half_close(actor->socket, true);
    berth_socket_shutdown_send(actor->socket);
    peer_say(peer, "bye");
    peer_shutdown(peer);
    UNTIL(actor->disconnects == 1);
    assert_trace("s ready_read, s state CLOSING, s state UNCONNECTED, s finished, s disconnected");
    ck_assert(peer_saw_end(peer));
}

CASE(peer_resets_after_our_end, "S3.31", "a reset is reported as ever")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    berth_socket_set_half_close(actor->socket, true);
    berth_socket_shutdown_send(actor->socket);
    ck_assert(peer_saw_end(peer));
    peer_reset(peer);
    UNTIL(actor->disconnects == 1);
    assert_trace("s error REMOTE_HOST_CLOSED, s state CLOSING, s state UNCONNECTED, s finished, s "
                 "disconnected");
}

CASE(ends_after_the_end_of_output, "S3.33 S3.35",
     "disconnect ends at once, with output after it; abort ends at once")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    berth_socket_shutdown_send(actor->socket);
    berth_socket_disconnect_from_host(actor->socket);
    assert_trace("s state CLOSING, s state UNCONNECTED, s finished, s disconnected");
    ck_assert(peer_saw_end(peer));

    actor = host_connect(host, "s", &peer);
    trace_clear();
    actor_say(actor, "all of it");
    berth_socket_shutdown_send(actor->socket);
    berth_socket_disconnect_from_host(actor->socket);
    UNTIL(actor->disconnects == 1);
    assert_trace("s state CLOSING, s written, s state UNCONNECTED, s finished, s disconnected");
    ck_assert(peer_hears(peer, "all of it"));
    ck_assert(peer_saw_end(peer));

    actor = host_connect(host, "s", &peer);
    trace_clear();
    berth_socket_shutdown_send(actor->socket);
    berth_socket_abort(actor->socket);
    assert_trace("s state UNCONNECTED, s finished, s disconnected");
    ck_assert(peer_saw_end(peer));
}

CASE(output_is_ended_while_closing, "socket.h", "only refuses what is written afterwards")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor_say(actor, "one ");
    berth_socket_disconnect_from_host(actor->socket);
    actor_say(actor, "two");
    berth_socket_shutdown_send(actor->socket);
    ck_assert_int_eq(berth_socket_write(actor->socket, "three", 5), -1);
    ck_assert(peer_hears(peer, "one two"));
    ck_assert(peer_saw_end(peer));
    UNTIL(actor->disconnects == 1);
}

CASE(end_of_output_in_waits, "S4.12 S4.16 S4.17",
     "without a loop: output and end go in a wait, the answer comes, the end of the peer ends it")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor_say(actor, "question");
    berth_socket_shutdown_send(actor->socket);
    ck_assert(berth_socket_wait_for_bytes_written(actor->socket, 5000));
    char heard[16];
    ck_assert_uint_eq(peer_receive_some(peer, heard, sizeof heard), 8);
    ck_assert_uint_eq(peer_receive_some(peer, heard, sizeof heard), 0);
    ck_assert(peer_saw_end(peer));
    ck_assert_uint_eq(peer_send_some(peer, "answer", 6), 6);
    ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
    ck_assert(actor_has(actor, "answer"));
    peer_close(peer);
    ck_assert(berth_socket_wait_for_disconnected(actor->socket, 5000));
    ck_assert_uint_eq(actor->disconnects, 1);
}

static berth_socket *pending;

static void keep_pending(struct host *host)
{
    pending = berth_server_next_pending_connection(host->server);
    ck_assert_ptr_nonnull(pending);
    berth_server_add_pending_connection(host->server, pending);
}

CASE(output_of_a_pending_socket_is_ended, "S2.9",
     "nobody has taken it, and its peer has ended: the end is still announced to whoever takes it")
{
    struct host *host = host_listening("h");
    host->on_new_connection = keep_pending;
    struct peer *peer = world_connect(host->port);
    UNTIL(host->new_connections == 1);
    peer_shutdown(peer);
    world_settle();
    ck_assert_ptr_nonnull(pending);
    berth_socket_set_half_close(pending, true);
    berth_socket_shutdown_send(pending);
    ck_assert(peer_saw_end(peer));
    ck_assert_int_eq(berth_socket_state(pending), BERTH_STATE_CONNECTED);
    struct actor *actor = host_take_actor(host, "s");
    trace_clear();
    UNTIL(actor->disconnects == 1);
    assert_trace("s state CLOSING, s state UNCONNECTED, s finished, s disconnected");
}

static void free_it(struct actor *actor)
{
    actor_free_socket(actor);
}

CASE(freed_by_the_end_of_both, "S3.38", "a handler of the end inside the call frees the socket")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    berth_socket_set_half_close(actor->socket, true);
    actor->on_disconnected = free_it;
    peer_shutdown(peer);
    UNTIL(actor->finishes == 1);
    ck_assert_uint_eq(actor->disconnects, 0);
    berth_socket_shutdown_send(actor->socket);
    ck_assert_uint_eq(actor->disconnects, 1);
    ck_assert(peer_saw_end(peer));
}
