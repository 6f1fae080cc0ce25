/*
 * Who owns what: server and sockets, queue and sockets, loop and everything.
 */
#include "scene.h"

#include "balance.h"

#include <stdio.h>

CASE(freeing_a_server_frees_its_sockets, "S1.3 S5.2",
     "pending and taken ones are ended, with their handlers; unsent output is lost")
{
    struct host *host = host_listening("h");
    struct peer *peers[2];
    struct actor *taken = host_connect(host, "s", &peers[0]);
    peers[1] = world_connect(host->port);
    UNTIL(host->new_connections == 2);
    trace_clear();
    actor_say(taken, "lost");
    berth_server_free(host->server);
    assert_trace("s state UNCONNECTED, s finished, s disconnected");
    ck_assert(peer_saw_end(peers[0]));
    ck_assert(peer_saw_end(peers[1]));
}

CASE(detached_socket_survives_its_server, "S5.1", "a detached socket goes on without its server")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    berth_socket_detach(actor->socket);
    berth_socket_detach(actor->socket);
    berth_server_free(host->server);
    assert_trace("");
    actor_say(actor, "still here");
    ck_assert(peer_hears(peer, "still here"));
    peer_say(peer, "fine");
    UNTIL(actor_has(actor, "fine"));
}

static struct actor *other_of_two; /* the actor in question, in the handler of another one */

static void detach_other(struct actor *actor)
{
    (void)actor;
    berth_socket_detach(other_of_two->socket);
}

CASE(detached_while_its_server_is_freed, "S5.1 S5.2",
     "in a handler of another socket that goes with the server: it goes on without it")
{
    struct host *host = host_listening("h");
    struct peer *peers[2];
    struct actor *first = host_connect(host, "s", &peers[0]);
    struct actor *second = host_connect(host, "t", &peers[1]);
    /* The one that is freed first keeps the other one. */
    other_of_two = first;
    second->on_disconnected = detach_other;
    berth_server_free(host->server);
    ck_assert_uint_eq(second->disconnects, 1);
    ck_assert_uint_eq(first->disconnects, 0);
    ck_assert(peer_saw_end(peers[1]));
    actor_say(first, "still here");
    ck_assert(peer_hears(peers[0], "still here"));
    peer_close(peers[0]);
    UNTIL(first->disconnects == 1);
}

static void listen_again(struct actor *actor)
{
    (void)berth_server_listen(actor->host->server, BERTH_ADDRESS_LOOPBACK, 0);
    actor->host->port = berth_server_port(actor->host->server);
}

static void drain_again(struct actor *actor)
{
    (void)berth_server_drain(actor->host->server, &(berth_drain){.grace = 1});
}

static void begin_anew(struct actor *actor)
{
    listen_again(actor);
    berth_server_add_pending_connection(actor->host->server, other_of_two->socket);
}

CASE(server_begins_anew_while_it_is_freed, "S1.28 S5.2",
     "twice, in handlers of the sockets that go with it: nothing is left of it")
{
    static const actor_hook again[] = {listen_again, drain_again};
    for (int i = 0; i < 2; i++) {
        struct host *host = host_listening("h");
        struct peer *peers[2];
        struct actor *taken = host_connect(host, "s", &peers[0]);
        struct actor *added = actor_connected("t", &peers[1]);
        taken->host = added->host = host;
        other_of_two = added;
        taken->on_disconnected = begin_anew;
        added->on_disconnected = again[i];
        berth_server_free(host->server);
        taken->on_disconnected = added->on_disconnected = NULL;
        ck_assert_uint_eq(taken->disconnects, 1);
        ck_assert_uint_eq(added->disconnects, 1);
        ck_assert(peer_saw_end(peers[0]));
        ck_assert(peer_saw_end(peers[1]));
        world_settle();
        ck_assert_ptr_null(world_connect_to(BERTH_ADDRESS_LOOPBACK, host->port));
        ck_assert_uint_eq(host->emptied, 0);
    }
}

CASE(freeing_a_socket_leaves_the_server, "S5.5",
     "a delivered socket that is freed leaves the server alone")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor_free_socket(actor);
    ck_assert(peer_saw_end(peer));
    world_connect(host->port);
    UNTIL(host->new_connections == 2);
}

CASE(pending_socket_is_freed, "Q9 S5.5", "a pending socket that is freed leaves no dangling entry")
{
    struct host *host = host_listening("h");
    struct peer *peers[3];
    berth_socket *sockets[3];
    for (int i = 0; i < 3; i++) {
        peers[i] = world_connect(host->port);
        sockets[i] = host_take(host);
    }
    for (int i = 0; i < 3; i++)
        berth_server_add_pending_connection(host->server, sockets[i]);
    berth_socket_free(sockets[1]);
    ck_assert_ptr_eq(berth_server_next_pending_connection(host->server), sockets[0]);
    ck_assert_ptr_eq(berth_server_next_pending_connection(host->server), sockets[2]);
    ck_assert_ptr_null(berth_server_next_pending_connection(host->server));
    ck_assert(peer_saw_end(peers[1]));
}

CASE(pending_connection_is_added, "S1.46 T22",
     "any socket of the loop, past the limit, without new_connection, not listening too")
{
    struct host *host = host_new("h");
    struct actor *actor = actor_new("s");
    berth_server_set_max_pending_connections(host->server, 0);
    berth_server_add_pending_connection(host->server, actor->socket);
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_NONE);
    berth_server_add_pending_connection(host->server, actor->socket);
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_OPERATION);
    ck_assert_str_eq(berth_server_error_string(host->server),
                     "cannot queue a connection of a server that does not listen: the socket is "
                     "already pending");
    char expected[120];
    host_listen(host);
    snprintf(expected, sizeof expected,
             "cannot queue a connection on 127.0.0.1:%u: the socket is NULL", host->port);
    berth_server_add_pending_connection(host->server, NULL);
    ck_assert_str_eq(berth_server_error_string(host->server), expected);
    ck_assert(berth_server_has_pending_connections(host->server));
    assert_trace("");
    ck_assert_ptr_eq(berth_server_next_pending_connection(host->server), actor->socket);
    ck_assert_ptr_null(berth_server_next_pending_connection(host->server));
}

CASE(added_socket_goes_with_close, "server.h",
     "a socket that was added is freed by close like any pending one")
{
    struct host *host = host_listening("h");
    struct actor *actor = actor_new("s");
    berth_server_add_pending_connection(host->server, actor->socket);
    actor->socket = NULL;
    berth_server_close(host->server);
    ck_assert(!berth_server_has_pending_connections(host->server));
}

CASE(socket_in_one_queue_only, "server.h",
     "a socket that is in a queue already is not put into another")
{
    struct host *one = host_new("1");
    struct host *two = host_new("2");
    struct actor *actor = actor_new("s");
    berth_server_add_pending_connection(one->server, actor->socket);
    berth_server_add_pending_connection(two->server, actor->socket);
    ck_assert(!berth_server_has_pending_connections(two->server));
    ck_assert_ptr_eq(berth_server_next_pending_connection(one->server), actor->socket);
    berth_server_add_pending_connection(two->server, actor->socket);
    ck_assert_ptr_eq(berth_server_next_pending_connection(two->server), actor->socket);
}

CASE(added_socket_outlives_nothing, "server.h",
     "a client's socket in a queue: freeing the server frees it")
{
    struct host *host = host_listening("h");
    struct host *other = host_new("o");
    struct peer *peer = world_connect(host->port);
    berth_socket *socket = host_take(host);
    berth_socket_detach(socket);
    berth_server_add_pending_connection(other->server, socket);
    berth_server_free(other->server);
    ck_assert(peer_saw_end(peer));
}

CASE(freeing_the_loop_frees_everything, "loop.h",
     "servers, sockets and timers go with the loop, with their handlers called")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    struct actor *client = actor_new("c");
    ck_assert(berth_socket_connect_to_address(client->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    UNTIL(client->connects == 1);
    berth_timer *timer = berth_timer_new(world_loop(), NULL, NULL);
    ck_assert_ptr_nonnull(timer);
    berth_timer_start(timer, 1000, 1000);
    (void)actor;
    trace_clear();
    world_free_loop();
    ck_assert_uint_eq(trace_times("s disconnected"), 1);
    ck_assert_uint_eq(trace_times("c disconnected"), 1);
    ck_assert_int_eq(balance_blocks(), 0);
}

CASE(loop_is_freed_at_once, "loop.h",
     "with connections that nobody has looked at, and output that was not sent")
{
    struct host *host = host_listening("h");
    struct actor *client = actor_new("c");
    ck_assert(berth_socket_connect_to_address(client->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    actor_say(client, "lost");
    world_connect(host->port);
    world_free_loop();
    ck_assert_uint_eq(client->connects, 0);
    ck_assert_uint_eq(client->disconnects, 0);
}

CASE(two_loops_on_one_thread, "loop.h", "objects belong to the loop that they were made for")
{
    struct host *host = host_listening("h");
    berth_loop *second = world_second_loop();
    if (world_is_simulated())
        return; /* each loop has a kernel of its own there */
    berth_socket *client = berth_socket_new(second, NULL, NULL);
    ck_assert_ptr_nonnull(client);
    ck_assert_ptr_eq(berth_socket_loop(client), second);
    ck_assert(berth_socket_connect_to_address(client, BERTH_ADDRESS_LOOPBACK, host->port));
    for (int turns = 0; turns < WORLD_TURNS && berth_socket_state(client) != BERTH_STATE_CONNECTED;
         turns++)
        berth_loop_turn(second, 5);
    ck_assert_uint_eq(host->new_connections, 0);
    UNTIL(host->new_connections == 1);
    world_free_second_loop();
    berth_socket *far = berth_server_next_pending_connection(host->server);
    ck_assert_ptr_nonnull(far);
    UNTIL(!berth_socket_is_valid(far));
}

CASE(memory_comes_back, "design 5",
     "two hundred connections leave the loop's memory as fifty have left it")
{
    struct host *host = host_listening("h");
    unsigned long after_fifty = 0;
    for (unsigned i = 0; i < 200; i++) {
        struct peer *peer = world_connect(host->port);
        berth_socket *socket = host_take(host);
        ck_assert_int_eq(berth_socket_write(socket, "hello", 5), 5);
        ck_assert(peer_hears(peer, "hello"));
        peer_close(peer);
        UNTIL(!berth_socket_is_valid(socket));
        berth_socket_free(socket);
        trace_clear();
        world_turn();
        if (i == 50)
            after_fifty = balance_requests();
    }
    /* The free lists carry it: no allocation a connection any more. */
    ck_assert_uint_le(balance_requests() - after_fifty, 20);
}
