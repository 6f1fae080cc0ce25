/*
 * close: by itself, with connections, and inside handlers.
 */
#include "scene.h"

CASE(close_with_pending_connections, "S1.28 S1.30",
     "pending sockets are ended and freed; taken ones live on")
{
    struct host *host = host_listening("h");
    struct peer *live_peer;
    struct actor *live = host_connect(host, "s", &live_peer);
    struct peer *pending[3];
    for (int i = 0; i < 3; i++)
        pending[i] = world_connect(host->port);
    UNTIL(host->new_connections == 4);
    berth_server_close(host->server);
    ck_assert(!berth_server_has_pending_connections(host->server));
    ck_assert_ptr_null(berth_server_next_pending_connection(host->server));
    for (int i = 0; i < 3; i++)
        ck_assert(peer_saw_end(pending[i]));
    actor_say(live, "still here");
    ck_assert(peer_hears(live_peer, "still here"));
    peer_say(live_peer, "me too");
    UNTIL(actor_has(live, "me too"));
}

CASE(close_with_unread_pending_connections, "S1.30",
     "a peer that has spoken to nobody sees a reset, wherever its bytes were by then")
{
    struct host *host = host_listening("h");
    for (int turns = 0; turns < 6; turns++) {
        struct peer *peer = world_connect(host->port);
        peer_send_some(peer, "is there anybody?", 17);
        UNTIL(host->new_connections == (unsigned)turns + 1);
        for (int i = 0; i < turns; i++)
            world_turn();
        berth_server_close(host->server);
        ck_assert(peer_saw_reset(peer));
        host_listen(host);
    }
}

CASE(close_with_a_backlog, "S1.30", "peers in the kernel's queue see an end, new ones are refused")
{
    struct host *host = host_listening("h");
    berth_server_pause_accepting(host->server);
    struct peer *waiting = world_connect(host->port);
    world_settle();
    berth_server_close(host->server);
    ck_assert(peer_saw_either(waiting));
    ck_assert_ptr_null(world_connect_to(BERTH_ADDRESS_LOOPBACK, host->port));
    world_settle();
    ck_assert_uint_eq(host->new_connections, 0);
}

CASE(getters_after_close, "S1.29",
     "afterwards everything answers as before listen, but settings and error stay")
{
    struct host *host = host_listening("h");
    berth_server_set_max_pending_connections(host->server, 5);
    ck_assert(!berth_server_listen(host->server, BERTH_ADDRESS_LOOPBACK, 0));
    berth_server_close(host->server);
    ck_assert(!berth_server_is_listening(host->server));
    ck_assert_uint_eq(berth_server_port(host->server), 0);
    ck_assert(berth_address_is_null(berth_server_address(host->server)));
    ck_assert_int_eq(berth_server_descriptor(host->server), -1);
    ck_assert_int_eq(berth_server_max_pending_connections(host->server), 5);
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_OPERATION);
    ck_assert(!berth_server_wait_for_new_connection(host->server, 10, NULL));
}

CASE(listen_again_on_the_same_port, "S1.12", "the port is free right after close")
{
    struct host *host = host_listening("h");
    for (unsigned rounds = 1; rounds <= 5; rounds++) {
        struct peer *peer = world_connect(host->port);
        UNTIL(host->new_connections == rounds);
        (void)peer;
        berth_server_close(host->server);
        ck_assert(berth_server_listen(host->server, BERTH_ADDRESS_LOOPBACK, host->port));
    }
}

static void close_now(struct host *host)
{
    berth_server_close(host->server);
}

CASE(close_inside_new_connection, "S1.31", "the burst stops after the handler")
{
    struct host *host = host_listening("h");
    host->on_new_connection = close_now;
    struct peer *peers[5];
    for (int i = 0; i < 5; i++)
        peers[i] = world_connect(host->port);
    UNTIL(host->new_connections == 1);
    world_settle();
    assert_trace("h new_connection");
    for (int i = 0; i < 5; i++)
        ck_assert(peer_saw_either(peers[i]));
}

static void close_once_and_listen(struct host *host)
{
    if (host->new_connections > 1)
        return;
    uint16_t port = host->port;
    berth_server_close(host->server);
    ck_assert(berth_server_listen(host->server, BERTH_ADDRESS_LOOPBACK, port));
}

CASE(close_and_listen_inside_new_connection, "S1.32", "the server goes on with the new descriptor")
{
    struct host *host = host_listening("h");
    host->on_new_connection = close_once_and_listen;
    world_connect(host->port);
    UNTIL(host->new_connections == 1);
    ck_assert(berth_server_is_listening(host->server));
    for (int i = 0; i < 3; i++)
        world_connect(host->port);
    UNTIL(host->new_connections == 4);
    ck_assert(berth_server_has_pending_connections(host->server));
}

static unsigned incoming;

static void close_with_descriptor(berth_server *server, int descriptor, void *user)
{
    (void)user;
    incoming++;
    berth_server_close(server);
    berth_server_base_incoming_connection(server, descriptor);
}

static void count_new_connection(berth_server *server, void *user)
{
    (void)server;
    (*(unsigned *)user)++;
}

CASE(close_inside_incoming_connection, "S1.31 S1.44",
     "new_connection still comes for that descriptor, then the burst stops")
{
    static const berth_server_handlers handlers = {
        .incoming_connection = close_with_descriptor,
        .new_connection = count_new_connection,
    };
    unsigned announced = 0;
    berth_server *server = berth_server_new(world_loop(), &handlers, &announced);
    ck_assert_ptr_nonnull(server);
    ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    uint16_t port = berth_server_port(server);
    for (int i = 0; i < 4; i++)
        world_connect(port);
    UNTIL(announced == 1);
    world_settle();
    ck_assert_uint_eq(announced, 1);
    ck_assert_uint_eq(incoming, 1);
    /* It came into the queue after the close, so it is there to be taken. */
    ck_assert_ptr_nonnull(berth_server_next_pending_connection(server));
}

CASE(close_inside_accept_error, "S1.31",
     "close inside accept_error is safe, and no further error comes")
{
    struct host *host = host_listening("h");
    host->on_accept_error = close_now;
    world_connect(host->port);
    world_exhaust(0);
    UNTIL(host->accept_errors == 1);
    world_settle();
    ck_assert_uint_eq(host->accept_errors, 1);
    world_relieve();
    ck_assert(!berth_server_is_listening(host->server));
    host_listen(host);
    host->on_accept_error = NULL;
    world_connect(host->port);
    UNTIL(host->new_connections == 1);
}

CASE(pending_output_is_lost_with_close, "S1.30",
     "what was written on a pending socket need not arrive, and nothing leaks")
{
    struct host *host = host_listening("h");
    world_connect(host->port);
    UNTIL(host->new_connections == 1);
    berth_socket *socket = berth_server_next_pending_connection(host->server);
    ck_assert_ptr_nonnull(socket);
    ck_assert_int_eq(berth_socket_write(socket, "lost", 4), 4);
    berth_server_add_pending_connection(host->server, socket);
    berth_server_close(host->server);
    world_settle();
}
