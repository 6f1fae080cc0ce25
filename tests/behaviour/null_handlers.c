/*
 * Nobody listens: NULL handlers, and structs with every slot NULL.
 */
#include "scene.h"

static void live_in_silence(const berth_server_handlers *server_handlers,
                            const berth_socket_handlers *socket_handlers)
{
    berth_server *server = berth_server_new(world_loop(), server_handlers, NULL);
    ck_assert_ptr_nonnull(server);
    ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    struct peer *peers[3];
    for (int i = 0; i < 3; i++) {
        peers[i] = world_connect(berth_server_port(server));
        peer_say(peers[i], "hello");
        UNTIL(berth_server_has_pending_connections(server));
        berth_socket *socket = berth_server_next_pending_connection(server);
        ck_assert_ptr_nonnull(socket);
        berth_socket_set_handlers(socket, socket_handlers, NULL);
        UNTIL(berth_socket_bytes_available(socket) == 5);
        ck_assert_int_eq(berth_socket_write(socket, "world", 5), 5);
        ck_assert(peer_hears(peers[i], "world"));
        if (i == 0)
            peer_close(peers[i]);
        if (i == 1)
            peer_reset(peers[i]);
        if (i == 2)
            berth_socket_disconnect_from_host(socket);
        UNTIL(berth_socket_state(socket) == BERTH_STATE_UNCONNECTED);
        ck_assert_uint_eq(berth_socket_bytes_available(socket), 5);
    }
    berth_socket *client = berth_socket_new(world_loop(), socket_handlers, NULL);
    ck_assert_ptr_nonnull(client);
    ck_assert(
        berth_socket_connect_to_address(client, BERTH_ADDRESS_LOOPBACK, berth_server_port(server)));
    UNTIL(berth_socket_state(client) == BERTH_STATE_CONNECTED);
    berth_socket_abort(client);
    uint16_t nobody = world_free_port();
    berth_socket_connect_to_address(client, BERTH_ADDRESS_LOOPBACK, nobody);
    UNTIL(berth_socket_state(client) == BERTH_STATE_UNCONNECTED);
    ck_assert_int_eq(berth_socket_error(client), BERTH_ERROR_CONNECTION_REFUSED);
    world_connect(berth_server_port(server));
    world_exhaust(0);
    world_settle();
    world_relieve();
    berth_server_free(server);
}

CASE(no_handlers, "S1.65", "NULL instead of a struct of handlers, through a whole life")
{
    live_in_silence(NULL, NULL);
}

CASE(empty_handlers, "S1.65", "a struct with every slot NULL, through a whole life")
{
    static const berth_server_handlers server_handlers;
    static const berth_socket_handlers socket_handlers;
    live_in_silence(&server_handlers, &socket_handlers);
}

CASE(handlers_are_taken_away, "S3.19", "set to NULL in the middle of a life, inside a handler too")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    peer_say(peer, "x");
    UNTIL(actor->received == 1);
    trace_clear();
    berth_socket_set_handlers(actor->socket, NULL, NULL);
    peer_say(peer, "y");
    UNTIL(berth_socket_bytes_available(actor->socket) == 1);
    peer_close(peer);
    UNTIL(berth_socket_state(actor->socket) == BERTH_STATE_UNCONNECTED);
    assert_trace("");
}

CASE(short_handlers, "design 1", "a struct from an older header, with fewer slots, is understood")
{
    static const berth_socket_handlers handlers;
    struct host *host = host_listening("h");
    struct peer *peer = world_connect(host->port);
    berth_socket *socket = host_take(host);
    berth_socket_set_handlers_sized(socket, &handlers, sizeof(void *), NULL);
    peer_say(peer, "x");
    UNTIL(berth_socket_bytes_available(socket) == 1);
    peer_close(peer);
    UNTIL(berth_socket_state(socket) == BERTH_STATE_UNCONNECTED);
}
