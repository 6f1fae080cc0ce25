/*
 * Clients: attempts that succeed, fail, or are given up.
 */
#include "scene.h"

#include <stdio.h>
#include <string.h>

CASE(connect_to_a_listener, "S3.8 S3.9",
     "HOST_LOOKUP and CONNECTING inside the call, never CONNECTED; then CONNECTED and connected "
     "from the loop")
{
    world_loop();
    uint16_t port = world_listen(5);
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    assert_trace("c state HOST_LOOKUP, c state CONNECTING");
    ck_assert(!berth_socket_is_valid(actor->socket));
    UNTIL(actor->connects == 1);
    assert_trace("c state HOST_LOOKUP, c state CONNECTING, c state CONNECTED, c connected");
    ck_assert(berth_socket_is_valid(actor->socket));
    ck_assert_uint_eq(berth_socket_peer_port(actor->socket), port);
    ck_assert_uint_ne(berth_socket_local_port(actor->socket), 0);
    ck_assert_ptr_nonnull(world_accept(port));
}

static void check_unconnected(struct actor *actor)
{
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_UNCONNECTED);
}

CASE(connect_to_nobody, "S3.13 T39",
     "UNCONNECTED, then CONNECTION_REFUSED once; disconnected does not come")
{
    world_loop();
    uint16_t port = world_free_port();
    struct actor *actor = actor_new("c");
    actor->on_error = check_unconnected;
    berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port);
    UNTIL(actor->errors == 1);
    world_settle();
    assert_trace(
        "c state HOST_LOOKUP, c state CONNECTING, c state UNCONNECTED, c error CONNECTION_REFUSED");
}

static uint16_t second_port;

static void try_again(struct actor *actor)
{
    actor->on_error = NULL;
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, second_port));
}

CASE(connect_again_inside_the_error, "S3.13",
     "a new attempt may begin inside the error of the last one")
{
    world_loop();
    uint16_t port = world_free_port();
    second_port = world_listen(5);
    struct actor *actor = actor_new("c");
    actor->on_error = try_again;
    berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port);
    UNTIL(actor->connects == 1);
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_NONE);
}

static void try_again_unconnected(struct actor *actor)
{
    if (actor->state != BERTH_STATE_UNCONNECTED)
        return;
    actor->on_state = NULL;
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_CONNECTION_REFUSED);
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, second_port));
}

CASE(connect_again_inside_unconnected, "S3.13 S3.39",
     "a new attempt begun in state_changed is not told the error of the one before")
{
    world_loop();
    uint16_t port = world_free_port();
    second_port = world_listen(5);
    struct actor *actor = actor_new("c");
    berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port);
    actor->on_state = try_again_unconnected;
    UNTIL(actor->connects == 1);
    ck_assert_uint_eq(actor->errors, 0);
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_NONE);
}

CASE(connect_while_connected, "S3.14",
     "class OPERATION in any state but UNCONNECTED; the connection goes on")
{
    struct host *host = host_listening("h");
    host->takes = true;
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    ck_assert(!berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    ck_assert_int_eq(actor->error, BERTH_ERROR_OPERATION);
    UNTIL(actor->connects == 1 && host->count == 1);
    ck_assert(!berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    ck_assert_uint_eq(actor->errors, 2);
    actor_say(actor, "hello");
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CLOSING);
    ck_assert(!berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    ck_assert_uint_eq(actor->errors, 3);
    UNTIL(actor->disconnects == 1 && host->taken[0]->disconnects == 1);
    ck_assert(actor_has(host->taken[0], "hello"));
    ck_assert_uint_eq(host->new_connections, 1);
}

CASE(write_while_connecting, "S3.15 T49", "taken at once, sent after connected")
{
    world_loop();
    uint16_t port = world_listen(5);
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    actor_say(actor, "early");
    ck_assert_uint_eq(berth_socket_bytes_to_write(actor->socket), 5);
    UNTIL(actor->written == 5);
    assert_trace(
        "c state HOST_LOOKUP, c state CONNECTING, c state CONNECTED, c connected, c written");
    ck_assert(peer_hears(world_accept(port), "early"));
}

CASE(disconnect_while_connecting, "S3.16 T29",
     "remembered: connected, early output sent, then the usual end")
{
    world_loop();
    uint16_t port = world_listen(5);
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    actor_say(actor, "early");
    berth_socket_disconnect_from_host(actor->socket);
    UNTIL(actor->disconnects == 1);
    assert_trace("c state HOST_LOOKUP, c state CONNECTING, c state CONNECTED, c connected, c state "
                 "CLOSING, c written, "
                 "c state UNCONNECTED, c finished, c disconnected");
    struct peer *peer = world_accept(port);
    ck_assert(peer_hears(peer, "early"));
    ck_assert(peer_saw_end(peer));
}

CASE(disconnect_while_connecting_without_output, "S3.16 T29", "the same without output")
{
    world_loop();
    uint16_t port = world_listen(5);
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    berth_socket_close(actor->socket);
    UNTIL(actor->disconnects == 1);
    assert_trace(
        "c state HOST_LOOKUP, c state CONNECTING, c state CONNECTED, c connected, c state CLOSING, "
        "c state UNCONNECTED, c finished, c disconnected");
}

CASE(abort_while_connecting, "S3.16",
     "UNCONNECTED and finished at once, no disconnected, nothing later")
{
    world_loop();
    uint16_t port = world_listen(5);
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    trace_clear();
    berth_socket_abort(actor->socket);
    assert_trace("c state UNCONNECTED, c finished");
    world_settle();
    assert_trace("c state UNCONNECTED, c finished");
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    UNTIL(actor->connects == 1);
}

CASE(free_while_connecting, "S3.16", "a client freed in its attempt leaves nothing behind")
{
    world_loop();
    uint16_t port = world_listen(5);
    for (int i = 0; i < 4; i++) {
        struct actor *actor = actor_new("c");
        ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
        if (i % 2 == 0)
            berth_loop_turn(world_loop(), 0);
        actor_free_socket(actor);
    }
    world_settle();
}

CASE(connect_to_a_wildcard, "socket.h", "a wildcard stands for this host")
{
    struct host *host = host_new("h");
    ck_assert(berth_server_listen(host->server, BERTH_ADDRESS_ANY_IPV4, 0));
    uint16_t port = berth_server_port(host->server);
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_ANY_IPV4, port));
    UNTIL(actor->connects == 1 && host->new_connections == 1);
    char text[BERTH_ADDRESS_TEXT_SIZE];
    berth_address_format(berth_socket_peer_address(actor->socket), text, sizeof text);
    ck_assert_str_eq(text, "127.0.0.1");
}

CASE(bind_to_what_is_taken, "socket.h", "the text names the address and the port, if there are any")
{
    struct host *host = host_listening("h");
    struct actor *actor = actor_new("c");
    ck_assert(!berth_socket_bind(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    char text[100];
    snprintf(text, sizeof text, "cannot bind 127.0.0.1:%u: address already in use",
             (unsigned)host->port);
    ck_assert_str_eq(berth_socket_error_string(actor->socket), text);
    ck_assert(berth_address_is_null(berth_socket_local_address(actor->socket)));
    ck_assert_uint_eq(berth_socket_local_port(actor->socket), 0);
    ck_assert(!berth_socket_bind(actor->socket, BERTH_ADDRESS_NULL, host->port));
    ck_assert_str_eq(berth_socket_error_string(actor->socket),
                     "cannot bind a local address: invalid for this socket or address");
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    UNTIL(actor->connects == 1);
    ck_assert(!berth_socket_bind(actor->socket, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert_ptr_nonnull(
        strstr(berth_socket_error_string(actor->socket), "cannot bind 127.0.0.1:0: "));
    ck_assert(!berth_socket_set_option(actor->socket, BERTH_OPTION_KEEP_ALIVE_IDLE, -5));
    snprintf(text, sizeof text,
             "cannot set KEEP_ALIVE_IDLE to -5 for the connection to 127.0.0.1:%u",
             (unsigned)host->port);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actor->socket), text));
}

CASE(bind_that_fails_behind_another, "socket.h", "leaves no name of it, nor of the former")
{
    struct host *host = host_listening("h");
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_bind(actor->socket, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert_uint_ne(berth_socket_local_port(actor->socket), 0);
    berth_socket_abort(actor->socket);
    ck_assert(!berth_socket_bind(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    ck_assert(berth_address_is_null(berth_socket_local_address(actor->socket)));
    ck_assert_uint_eq(berth_socket_local_port(actor->socket), 0);
}

CASE(connect_to_an_empty_name, "socket.h", "says so; and so does another attempt meanwhile")
{
    if (world_is_simulated())
        case_skip("names are looked up on the real network");
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_connect_to_host(actor->socket, "", 77));
    ck_assert(!berth_socket_connect_to_host(actor->socket, "", 77));
    ck_assert_str_eq(berth_socket_error_string(actor->socket),
                     "cannot connect to an empty name, port 77: it is connected, or about to be");
    UNTIL(actor->errors == 2);
    ck_assert_str_eq(berth_socket_error_string(actor->socket),
                     "cannot connect to an empty name, port 77: host not found");
}

CASE(connect_to_the_null_address, "socket.h",
     "no address: it cannot begin, the error is called, the state is UNCONNECTED")
{
    struct actor *actor = actor_new("c");
    ck_assert(!berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_NULL, 80));
    ck_assert_uint_eq(actor->errors, 1);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_UNCONNECTED);
    ck_assert_str_eq(
        berth_socket_error_string(actor->socket),
        "cannot connect to the null address, port 80: invalid for this socket or address");
    world_settle();
    ck_assert_uint_eq(actor->errors, 1);
}

CASE(connect_without_descriptors, "S3.13",
     "no descriptor left: class SOCKET_RESOURCE; with one it works")
{
    struct host *host = host_listening("h");
    struct actor *actor = actor_new("c");
    world_exhaust(0);
    berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port);
    UNTIL(actor->errors == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_RESOURCE);
    world_relieve();
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    UNTIL(actor->connects == 1);
}

CASE(peer_refuses_after_connect, "S3.31",
     "the listener goes with the connection in its backlog: an end, not a failed attempt")
{
    world_loop();
    uint16_t port = world_listen(5);
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    UNTIL(actor->connects == 1);
    world_unlisten(port);
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
}

#define TRIES 20000u /* more than a stack would hold */

static unsigned depth;
static unsigned deepest;
static unsigned begun;

static void try_nowhere(struct actor *actor)
{
    depth++;
    deepest = depth > deepest ? depth : deepest;
    if (actor->errors < TRIES)
        begun += berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_NULL, 80);
    depth--;
}

CASE(connect_again_and_again_inside_the_error, "S3.13 design 3",
     "a connect that fails at once, tried again in its error for ever: the loop carries it on")
{
    struct actor *actor = actor_new("c");
    actor->quiet = true;
    actor->on_error = try_nowhere;
    ck_assert(!berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_NULL, 80));
    ck_assert_uint_eq(actor->errors, 1);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTING);
    while (berth_socket_state(actor->socket) == BERTH_STATE_CONNECTING)
        world_turn();
    ck_assert_uint_eq(actor->errors, TRIES);
    ck_assert_uint_eq(begun, TRIES - 1);
    ck_assert_uint_eq(deepest, 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_UNCONNECTED);
}

static void try_again_nowhere(struct actor *actor)
{
    actor->on_error = NULL;
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_NULL, 80));
}

CASE(failed_connect_is_put_off_in_a_wait, "S4.11",
     "the same where no timers run: the wait tells of the failure")
{
    struct actor *actor = actor_new("c");
    actor->on_error = try_again_nowhere;
    ck_assert(!berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_NULL, 80));
    ck_assert(!berth_socket_wait_for_connected(actor->socket, world_for_ever()));
    ck_assert_uint_eq(actor->errors, 2);
    ck_assert_int_eq(actor->error, BERTH_ERROR_UNSUPPORTED_OPERATION);
}

static void bind_wrongly(struct actor *actor)
{
    ck_assert(!berth_socket_bind(actor->socket, BERTH_ADDRESS_NULL, 0));
}

CASE(refused_calls_do_not_recurse, "S3.13 S3.17",
     "a call that is refused inside the error of a refused call says false, and no more")
{
    struct actor *actor = actor_new("c");
    actor->on_error = bind_wrongly;
    ck_assert(!berth_socket_bind(actor->socket, BERTH_ADDRESS_NULL, 0));
    ck_assert_uint_eq(actor->errors, 1);
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_UNSUPPORTED_OPERATION);
    bind_wrongly(actor);
    ck_assert_uint_eq(actor->errors, 2);
}

/* Output before the connection stands must not go out on the descriptor that is only bound. */
static void write_and_turn(struct actor *actor)
{
    if (actor->state != BERTH_STATE_HOST_LOOKUP && actor->state != BERTH_STATE_CONNECTING)
        return;
    actor_say(actor, "early ");
    berth_socket_flush(actor->socket);
    world_turn();
}

CASE(write_of_a_bound_socket_that_connects, "S3.14 S3.17",
     "written and flushed in a turn inside the handlers of connecting, it is sent once connected")
{
    uint16_t port = world_listen(5);
    struct actor *actor = actor_new("s");
    ck_assert(berth_socket_bind(actor->socket, BERTH_ADDRESS_LOOPBACK, 0));
    actor->on_state = write_and_turn;
    berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port);
    struct peer *peer = world_accept(port);
    ck_assert_ptr_nonnull(peer);
    ck_assert(peer_hears(peer, "early early "));
    ck_assert_uint_eq(actor->errors, 0);
}

CASE(connection_with_itself_is_refused, "S3.13",
     "a socket whose own port is the one that it connects to, where nobody listens; the port is "
     "free "
     "at once")
{
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_bind(actor->socket, BERTH_ADDRESS_LOOPBACK, 0));
    uint16_t port = berth_socket_local_port(actor->socket);
    berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port);
    UNTIL(actor->errors == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_CONNECTION_REFUSED);
    ck_assert_uint_eq(actor->connects, 0);
    world_settle();
    struct host *host = host_new("h");
    ck_assert(berth_server_listen(host->server, BERTH_ADDRESS_LOOPBACK, port));
}

CASE(either_family_of_the_wildcard, "socket.h",
     "ANY reaches a server of this host that has one family only, and nobody where there is none")
{
    static const berth_special_address kinds[] = {BERTH_SPECIAL_ANY_IPV4,
                                                  BERTH_SPECIAL_LOOPBACK_IPV6, BERTH_SPECIAL_ANY};
    for (size_t i = 0; i < 3; i++) {
        struct host *host = host_new("h");
        if (!berth_server_listen(host->server, berth_address_special(kinds[i]), 0))
            continue; /* no IPv6 here */
        for (unsigned bound = 0; bound < 2; bound++) {
            struct actor *actor = actor_new("c");
            if (bound == 1)
                ck_assert(berth_socket_bind(actor->socket, BERTH_ADDRESS_ANY, 0));
            ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_ANY,
                                                      berth_server_port(host->server)));
            UNTIL(actor->connects == 1);
            ck_assert(berth_address_is_loopback(berth_socket_peer_address(actor->socket)));
        }
    }
    struct actor *actor = actor_new("c");
    berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_ANY, world_free_port());
    UNTIL(actor->errors == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_CONNECTION_REFUSED);
}
