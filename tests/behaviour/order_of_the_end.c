/*
 * The handlers at the end of a connection, and their order, for every way it can end.
 */
#include "scene.h"

#include <string.h>

static struct host *host;

static struct actor *accepted(struct peer **ret_peer)
{
    host = host_listening("h");
    return host_connect(host, "s", ret_peer);
}

static void check_names(struct actor *actor)
{
    ck_assert_uint_ne(berth_socket_peer_port(actor->socket), 0);
    ck_assert_uint_eq(berth_socket_local_port(actor->socket), host->port);
    ck_assert(
        berth_address_equal(berth_socket_peer_address(actor->socket), BERTH_ADDRESS_LOOPBACK));
}

static void check_error(struct actor *actor)
{
    check_names(actor);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
}

/* CLOSING still has its connection, since output may go out in it. */
static void check_gone(struct actor *actor)
{
    check_names(actor);
    bool closing = berth_socket_state(actor->socket) == BERTH_STATE_CLOSING;
    ck_assert_int_eq(berth_socket_descriptor(actor->socket) == -1, !closing);
}

CASE(order_at_remote_close, "S3.31",
     "bytes, error in CONNECTED, CLOSING, UNCONNECTED, finished, disconnected")
{
    struct peer *peer;
    struct actor *actor = accepted(&peer);
    check_names(actor);
    actor->on_error = check_error;
    actor->on_state = check_gone;
    actor->on_finished = check_gone;
    actor->on_disconnected = check_gone;
    ck_assert_uint_eq(peer_send_some(peer, "bye", 3), 3);
    peer_close(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->received, 3);
    assert_trace("s ready_read, s error REMOTE_HOST_CLOSED, s state CLOSING, s state UNCONNECTED, "
                 "s finished, s disconnected");
    ck_assert_uint_eq(berth_socket_peer_port(actor->socket), 0);
    ck_assert(berth_address_is_null(berth_socket_peer_address(actor->socket)));
    ck_assert_uint_eq(berth_socket_local_port(actor->socket), 0);
    world_settle();
    ck_assert_uint_eq(actor->disconnects, 1);
}

CASE(order_at_remote_reset, "S3.31", "a reset is the same as an end, bytes included")
{
    struct peer *peer;
    struct actor *actor = accepted(&peer);
    ck_assert_uint_eq(peer_send_some(peer, "bye", 3), 3);
    peer_reset(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->received, 3);
    assert_trace("s ready_read, s error REMOTE_HOST_CLOSED, s state CLOSING, s state UNCONNECTED, "
                 "s finished, s disconnected");
}

CASE(order_of_disconnect_without_output, "S3.33", "all of it inside the call")
{
    struct peer *peer;
    struct actor *actor = accepted(&peer);
    actor->on_disconnected = check_names;
    berth_socket_disconnect_from_host(actor->socket);
    assert_trace("s state CLOSING, s state UNCONNECTED, s finished, s disconnected");
    ck_assert(peer_saw_end(peer));
    world_settle();
    ck_assert_uint_eq(trace_count(), 4);
    ck_assert_uint_eq(actor->errors, 0);
}

CASE(order_of_disconnect_with_output, "S3.33",
     "CLOSING inside the call; the output, then the rest from the loop")
{
    struct peer *peer;
    struct actor *actor = accepted(&peer);
    actor_say(actor, "goodbye");
    berth_socket_disconnect_from_host(actor->socket);
    assert_trace("s state CLOSING");
    ck_assert(berth_socket_is_valid(actor->socket));
    UNTIL(actor->disconnects == 1);
    assert_trace("s state CLOSING, s written, s state UNCONNECTED, s finished, s disconnected");
    ck_assert(peer_hears(peer, "goodbye"));
    ck_assert(peer_saw_end(peer));
}

CASE(input_while_closing, "S3.33", "input that was there stays readable; no more is read")
{
    struct peer *peer;
    struct actor *actor = accepted(&peer);
    actor->reads = false;
    peer_say(peer, "here");
    UNTIL(berth_socket_bytes_available(actor->socket) == 4);
    berth_socket_disconnect_from_host(actor->socket);
    char bytes[8];
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, 8), 4);
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, 8), -1);
}

CASE(order_of_close, "S3.34", "close drops the input at once, then as disconnect")
{
    struct peer *peer;
    struct actor *actor = accepted(&peer);
    actor->reads = false;
    peer_say(peer, "unread");
    UNTIL(berth_socket_bytes_available(actor->socket) == 6);
    trace_clear();
    actor_say(actor, "bye");
    berth_socket_close(actor->socket);
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 0);
    UNTIL(actor->disconnects == 1);
    assert_trace("s state CLOSING, s written, s state UNCONNECTED, s finished, s disconnected");
    ck_assert(peer_hears(peer, "bye"));
}

CASE(order_of_abort, "S3.35",
     "UNCONNECTED, finished, disconnected inside the call; output and input are lost")
{
    struct peer *peer;
    struct actor *actor = accepted(&peer);
    actor_say(actor, "lost");
    berth_socket_abort(actor->socket);
    assert_trace("s state UNCONNECTED, s finished, s disconnected");
    ck_assert_uint_eq(berth_socket_bytes_to_write(actor->socket), 0);
    ck_assert(peer_saw_end(peer));
    berth_socket_abort(actor->socket);
    berth_socket_close(actor->socket);
    berth_socket_disconnect_from_host(actor->socket);
    world_settle();
    ck_assert_uint_eq(trace_count(), 3);
}

CASE(order_of_abort_while_closing, "S3.37",
     "abort after disconnect_from_host with output: the rest, once")
{
    struct peer *peer;
    struct actor *actor = accepted(&peer);
    actor_say(actor, "lost");
    berth_socket_disconnect_from_host(actor->socket);
    trace_clear();
    berth_socket_abort(actor->socket);
    assert_trace("s state UNCONNECTED, s finished, s disconnected");
    ck_assert(peer_saw_either(peer));
}

CASE(order_of_free, "S3.38", "freeing a connected socket calls what abort calls, and nothing later")
{
    struct peer *peer;
    struct actor *actor = accepted(&peer);
    actor_say(actor, "lost");
    actor_free_socket(actor);
    assert_trace("s state UNCONNECTED, s finished, s disconnected");
    ck_assert(peer_saw_end(peer));
    world_settle();
    ck_assert_uint_eq(trace_count(), 3);
}

CASE(abort_with_unread_input_resets, "S3.35",
     "the peer sees a reset if the kernel held bytes that nobody has read")
{
    struct peer *peer;
    struct actor *actor = accepted(&peer);
    actor->reads = false;
    berth_socket_set_read_buffer_size(actor->socket, 1);
    uint8_t bytes[30000] = {0};
    peer_send_some(peer, bytes, sizeof bytes);
    UNTIL(berth_socket_bytes_available(actor->socket) > 0);
    peer_send_some(peer, bytes, sizeof bytes);
    world_settle();
    peer_send_some(peer, bytes, sizeof bytes);
    berth_socket_abort(actor->socket);
    ck_assert(peer_saw_reset(peer));
}

static void abort_now(struct actor *actor)
{
    berth_socket_abort(actor->socket);
}

CASE(abort_in_the_error_of_a_remote_close, "S3.37", "no CLOSING, the rest once")
{
    struct peer *peer;
    struct actor *actor = accepted(&peer);
    actor->on_error = abort_now;
    peer_close(peer);
    UNTIL(actor->disconnects == 1);
    world_settle();
    assert_trace("s error REMOTE_HOST_CLOSED, s state UNCONNECTED, s finished, s disconnected");
}

CASE(peer_goes_while_closing, "S3.36",
     "a peer that does not read holds CLOSING; when it resets: error in CLOSING, then the end")
{
    struct peer *peer;
    struct actor *actor = accepted(&peer);
    ck_assert_int_eq(berth_socket_write(actor->socket, world_zeros(), WORLD_ZEROS), WORLD_ZEROS);
    berth_socket_disconnect_from_host(actor->socket);
    world_settle();
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CLOSING);
    ck_assert_uint_eq(actor->disconnects, 0);
    trace_clear();
    peer_reset(peer);
    UNTIL(actor->disconnects == 1);
    const char *text = trace_text();
    if (strncmp(text, "s written, ", 11) == 0)
        text += 11;
    ck_assert_str_eq(text,
                     "s error REMOTE_HOST_CLOSED, s state UNCONNECTED, s finished, s disconnected");
}

static void connect_again(struct actor *actor)
{
    if (actor->disconnects == 1)
        ck_assert(
            berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port));
}

CASE(socket_is_used_again, "S3.39 T36 T28",
     "after any end the object connects again, in disconnected too")
{
    struct peer *peer;
    struct actor *actor = accepted(&peer);
    actor->on_disconnected = connect_again;
    host->takes = true;
    peer_close(peer);
    UNTIL(actor->connects == 1 && host->count == 1);
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_NONE);
    actor_say(actor, "again");
    UNTIL(actor_has(host->taken[0], "again"));
    for (unsigned rounds = 2; rounds <= 5; rounds++) {
        berth_socket_abort(actor->socket);
        ck_assert(
            berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port));
        UNTIL(actor->connects == rounds && host->count == rounds);
    }
}

static uint16_t other_port;

static void connect_elsewhere(struct actor *actor)
{
    if (actor->disconnects > 1)
        return;
    ck_assert_uint_ne(berth_socket_peer_port(actor->socket), 0);
    ck_assert_uint_eq(berth_socket_local_port(actor->socket), host->port);
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, other_port));
    ck_assert(berth_address_is_null(berth_socket_peer_address(actor->socket)));
    ck_assert_uint_eq(berth_socket_peer_port(actor->socket), 0);
    ck_assert_uint_eq(berth_socket_local_port(actor->socket), 0);
    ck_assert_uint_eq(berth_socket_transport_peer_port(actor->socket), 0);
}

CASE(names_after_connecting_again_inside_disconnected, "S3.39 S3.31",
     "are those of the next connection, which has none yet")
{
    struct peer *peer;
    struct actor *actor = accepted(&peer);
    struct host *other = host_listening("o");
    other->takes = true;
    other_port = other->port;
    actor->on_disconnected = connect_elsewhere;
    peer_close(peer);
    UNTIL(actor->connects == 1 && other->count == 1);
    ck_assert_uint_eq(berth_socket_peer_port(actor->socket), other_port);
    ck_assert_uint_ne(berth_socket_local_port(actor->socket), host->port);
    ck_assert_uint_eq(berth_socket_peer_port(other->taken[0]->socket),
                      berth_socket_local_port(actor->socket));
}

CASE(old_input_does_not_mix_with_new, "S3.39",
     "input of the former connection is gone when the next one begins")
{
    struct peer *peer;
    struct actor *actor = accepted(&peer);
    actor->reads = false;
    peer_say(peer, "old");
    peer_close(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 3);
    host->takes = true;
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    UNTIL(actor->connects == 1 && host->count == 1);
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 0);
    actor_say(host->taken[0], "new");
    UNTIL(berth_socket_bytes_available(actor->socket) == 3);
    char bytes[8];
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, 8), 3);
    ck_assert_mem_eq(bytes, "new", 3);
}

CASE(one_byte_and_free, "T43",
     "a server sends one byte and frees its socket once it is out: the peer reads it")
{
    struct peer *peer;
    struct actor *actor = accepted(&peer);
    actor_say(actor, "x");
    UNTIL(actor->written == 1);
    actor_free_socket(actor);
    ck_assert(peer_hears(peer, "x"));
    ck_assert(peer_saw_end(peer));
}
