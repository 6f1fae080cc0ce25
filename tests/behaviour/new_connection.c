/*
 * Connections arrive: announced once each, in order, by the loop and not before.
 */
#include "scene.h"

#include <fcntl.h>

CASE(nothing_is_accepted_without_a_turn, "S2.1",
     "peers that came before the loop ran are served then, and not earlier")
{
    struct host *host = host_listening("h");
    for (int i = 0; i < 3; i++)
        world_connect(host->port);
    ck_assert(!berth_server_has_pending_connections(host->server));
    assert_trace("");
    UNTIL(host->new_connections == 3);
    world_settle();
    assert_trace("h new_connection, h new_connection, h new_connection");
}

CASE(connections_come_in_arrival_order, "S2.3 S1.37",
     "taken in the order in which the peers connected")
{
    enum {
        COUNT = 12
    };
    struct host *host = host_listening("h");
    struct peer *peers[COUNT];
    for (unsigned i = 0; i < COUNT; i++)
        peers[i] = world_connect(host->port);
    UNTIL(host->new_connections == COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        berth_socket *socket = berth_server_next_pending_connection(host->server);
        ck_assert_ptr_nonnull(socket);
        ck_assert_uint_eq(berth_socket_peer_port(socket), peer_port(peers[i]));
    }
    ck_assert_ptr_null(berth_server_next_pending_connection(host->server));
    ck_assert(!berth_server_has_pending_connections(host->server));
}

CASE(a_delivered_socket, "S1.38", "what is taken is connected, has names and no error")
{
    struct host *host = host_listening("h");
    struct peer *peer = world_connect(host->port);
    berth_socket *socket = host_take(host);
    ck_assert_int_eq(berth_socket_state(socket), BERTH_STATE_CONNECTED);
    ck_assert(berth_socket_is_valid(socket));
    ck_assert_int_ge(berth_socket_descriptor(socket), 0);
    ck_assert_int_eq(berth_socket_error(socket), BERTH_ERROR_NONE);
    ck_assert_str_eq(berth_socket_error_string(socket), "");
    ck_assert(berth_address_equal(berth_socket_peer_address(socket), BERTH_ADDRESS_LOOPBACK));
    ck_assert(berth_address_equal(berth_socket_local_address(socket), BERTH_ADDRESS_LOOPBACK));
    ck_assert_uint_eq(berth_socket_peer_port(socket), peer_port(peer));
    ck_assert_uint_eq(berth_socket_local_port(socket), host->port);
    ck_assert_ptr_eq(berth_socket_loop(socket), world_loop());
    if (!world_is_simulated())
        ck_assert_int_ne(fcntl(berth_socket_descriptor(socket), F_GETFD) & FD_CLOEXEC, 0);
}

CASE(pending_sockets_read_already, "S2.10", "a socket in the queue collects what its peer sends")
{
    struct host *host = host_listening("h");
    struct peer *peer = world_connect(host->port);
    peer_say(peer, "early");
    UNTIL(host->new_connections == 1);
    world_settle();
    berth_socket *socket = berth_server_next_pending_connection(host->server);
    ck_assert_ptr_nonnull(socket);
    char bytes[8];
    ck_assert_int_eq(berth_socket_read(socket, bytes, sizeof bytes), 5);
    ck_assert_mem_eq(bytes, "early", 5);
}

CASE(one_connection_after_another, "T21",
     "a connection is announced though the last accept said would-block")
{
    struct host *host = host_listening("h");
    for (unsigned i = 1; i <= 5; i++) {
        world_connect(host->port);
        UNTIL(host->new_connections == i);
        world_settle();
    }
    ck_assert_uint_eq(host->accept_errors, 0);
}

static void run_inner(struct host *host)
{
    if (host->new_connections != 1)
        return;
    trace("in");
    for (int turns = 0; turns < 20; turns++)
        berth_loop_turn(world_loop(), 1);
    trace("out");
}

CASE(inner_loop_inside_new_connection, "S2.13",
     "an inner loop goes on with the burst; none is lost, none comes twice")
{
    struct host *host = host_listening("h");
    host->on_new_connection = run_inner;
    struct peer *peers[5];
    for (unsigned i = 0; i < 5; i++)
        peers[i] = world_connect(host->port);
    UNTIL(host->new_connections == 5);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 5);
    for (unsigned i = 0; i < 5; i++) {
        berth_socket *socket = berth_server_next_pending_connection(host->server);
        ck_assert_ptr_nonnull(socket);
        ck_assert_uint_eq(berth_socket_peer_port(socket), peer_port(peers[i]));
    }
    ck_assert_uint_eq(trace_times("in"), 1);
    ck_assert_uint_eq(trace_times("out"), 1);
}

CASE(two_servers_do_not_mix, "S2.3", "each server announces its own peers")
{
    struct host *one = host_listening("1");
    struct host *two = host_listening("2");
    for (int i = 0; i < 3; i++)
        world_connect(one->port);
    world_connect(two->port);
    UNTIL(one->new_connections == 3 && two->new_connections == 1);
    world_settle();
    ck_assert_uint_eq(one->new_connections, 3);
    ck_assert_uint_eq(two->new_connections, 1);
}

CASE(sixty_connections_one_by_one, "S2.3",
     "descriptors and memory do not grow with the number of past connections")
{
    struct host *host = host_listening("h");
    host->takes = true;
    for (unsigned i = 0; i < 60; i++) {
        struct peer *peer = world_connect(host->port);
        UNTIL(host->count == i + 1);
        peer_close(peer);
        UNTIL(host->taken[i]->disconnects == 1);
        actor_free_socket(host->taken[i]);
        trace_clear();
    }
}
