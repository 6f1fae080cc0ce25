/*
 * The slots that replace the base behaviour of a server.
 */
#include "scene.h"

#include <sys/socket.h>
#include <unistd.h>

static struct actor *adopted[8];
static unsigned adopted_count;

static void announce(berth_server *server, void *user)
{
    (void)server;
    (void)user;
    trace("new_connection");
}

static void adopt_incoming(berth_server *server, int descriptor, void *user)
{
    (void)user;
    trace("incoming");
    struct actor *actor = actor_new("s");
    ck_assert(berth_socket_set_descriptor(actor->socket, descriptor));
    adopted[adopted_count++] = actor;
    if (adopted_count % 2 == 0)
        berth_server_add_pending_connection(server, actor->socket);
}

static berth_server *server_with(const berth_server_handlers *handlers)
{
    berth_server *server = berth_server_new(world_loop(), handlers, NULL);
    ck_assert_ptr_nonnull(server);
    ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    return server;
}

CASE(incoming_connection_adopts, "S1.43 S1.44 S1.46",
     "the handler adopts by itself; new_connection follows each time")
{
    static const berth_server_handlers handlers = {
        .incoming_connection = adopt_incoming,
        .new_connection = announce,
    };
    berth_server *server = server_with(&handlers);
    struct peer *peers[2];
    for (int i = 0; i < 2; i++)
        peers[i] = world_connect(berth_server_port(server));
    UNTIL(adopted_count == 2);
    assert_trace("incoming, s state CONNECTED, new_connection, "
                 "incoming, s state CONNECTED, new_connection");
    ck_assert_ptr_eq(berth_server_next_pending_connection(server), adopted[1]->socket);
    ck_assert_ptr_null(berth_server_next_pending_connection(server));
    actor_say(adopted[0], "hello");
    ck_assert(peer_hears(peers[0], "hello"));
    /* They are not the server's. */
    berth_server_free(server);
    actor_say(adopted[1], "still here");
    ck_assert(peer_hears(peers[1], "still here"));
}

static unsigned dropped;

static void drop_incoming(berth_server *server, int descriptor, void *user)
{
    (void)server;
    (void)user;
    world_close_descriptor(descriptor);
    dropped++;
}

CASE(incoming_connection_drops, "S1.44 S1.47 D1",
     "a handler that closes the descriptor is never limited, and announced all the same")
{
    static const berth_server_handlers handlers = {
        .incoming_connection = drop_incoming,
        .new_connection = announce,
    };
    berth_server *server = server_with(&handlers);
    berth_server_set_max_pending_connections(server, 1);
    struct peer *peers[10];
    for (int i = 0; i < 10; i++)
        peers[i] = world_connect(berth_server_port(server));
    UNTIL(dropped == 10);
    for (int i = 0; i < 10; i++)
        ck_assert(peer_saw_end(peers[i]));
    ck_assert_uint_eq(trace_times("new_connection"), 10);
    ck_assert_ptr_null(berth_server_next_pending_connection(server));
}

static void refuse_all_but_third(berth_server *server, int descriptor, void *user)
{
    (void)user;
    if (++dropped == 3)
        berth_server_base_incoming_connection(server, descriptor);
    else
        world_close_descriptor(descriptor);
}

CASE(incoming_connection_calls_the_base, "S1.43", "the base behaviour is callable by name")
{
    static const berth_server_handlers handlers = {.incoming_connection = refuse_all_but_third};
    berth_server *server = server_with(&handlers);
    struct peer *third = NULL;
    for (int i = 1; i <= 5; i++) {
        struct peer *peer = world_connect(berth_server_port(server));
        third = i == 3 ? peer : third;
    }
    UNTIL(dropped == 5);
    berth_socket *socket = berth_server_next_pending_connection(server);
    ck_assert_ptr_nonnull(socket);
    ck_assert_uint_eq(berth_socket_peer_port(socket), peer_port(third));
}

static void serve_blocking(berth_server *server, int descriptor, void *user)
{
    (void)server;
    (void)user;
    char byte = 0;
    /* Blocking: the byte comes from a peer that has sent it before it was accepted. */
    ck_assert_int_eq(recv(descriptor, &byte, 1, MSG_WAITALL), 1);
    ck_assert_int_eq(byte, '?');
    ck_assert_int_eq(send(descriptor, "!", 1, MSG_NOSIGNAL), 1);
    ck_assert_int_eq(close(descriptor), 0);
    dropped++;
}

CASE(incoming_connection_blocks, "S1.48 S5.7 T14", "the raw descriptor is good for blocking calls")
{
    if (world_is_simulated())
        case_skip("needs descriptors of the real kernel");
    static const berth_server_handlers handlers = {.incoming_connection = serve_blocking};
    berth_server *server = server_with(&handlers);
    struct peer *peer = world_connect(berth_server_port(server));
    ck_assert_uint_eq(peer_send_some(peer, "?", 1), 1);
    UNTIL(dropped == 1);
    ck_assert(peer_hears(peer, "!"));
    ck_assert(peer_saw_end(peer));
}

CASE(incoming_connection_inside_a_wait, "T14 S4.7",
     "the handler takes the descriptor inside a blocking wait, which succeeds")
{
    static const berth_server_handlers handlers = {.incoming_connection = drop_incoming};
    berth_server *server = server_with(&handlers);
    world_connect(berth_server_port(server));
    ck_assert(berth_server_wait_for_new_connection(server, 5000, NULL));
    ck_assert_uint_eq(dropped, 1);
    ck_assert(!berth_server_has_pending_connections(server));
}

static bool hide(berth_server *server, void *user)
{
    (void)user;
    trace("asked");
    return !berth_server_base_has_pending_connections(server);
}

static berth_socket *take_second(berth_server *server, void *user)
{
    (void)user;
    berth_socket *first = berth_server_base_next_pending_connection(server);
    berth_socket *second = berth_server_base_next_pending_connection(server);
    if (second == NULL)
        return first;
    berth_server_add_pending_connection(server, first);
    return second;
}

CASE(pending_questions_are_overridden, "S1.35 S1.37",
     "has and next ask the slots; the base versions are callable by name")
{
    static const berth_server_handlers handlers = {
        .has_pending_connections = hide,
        .next_pending_connection = take_second,
        .new_connection = announce,
    };
    berth_server *server = server_with(&handlers);
    ck_assert(berth_server_has_pending_connections(server));
    assert_trace("asked");
    struct peer *peers[2];
    for (int i = 0; i < 2; i++)
        peers[i] = world_connect(berth_server_port(server));
    UNTIL(trace_times("new_connection") == 2);
    ck_assert(!berth_server_has_pending_connections(server));
    ck_assert(berth_server_base_has_pending_connections(server));
    berth_socket *socket = berth_server_next_pending_connection(server);
    ck_assert_ptr_nonnull(socket);
    ck_assert_uint_eq(berth_socket_peer_port(socket), peer_port(peers[1]));
    socket = berth_server_next_pending_connection(server);
    ck_assert_ptr_nonnull(socket);
    ck_assert_uint_eq(berth_socket_peer_port(socket), peer_port(peers[0]));
    ck_assert_ptr_null(berth_server_next_pending_connection(server));
}
