/*
 * Freeing anything inside anything: the own object, its server, its loop.
 *
 * Each case runs one connection through its life with a hook in one handler. After a free nothing
 * may be called for the object any more; the sanitizers and the balance of memory and descriptors
 * see the rest.
 */
#include "scene.h"

#include <stddef.h>

static bool done;

static void free_socket(struct actor *actor)
{
    if (done)
        return;
    done = true;
    actor_free_socket(actor);
    trace_clear();
}

static void free_server(struct actor *actor)
{
    if (done)
        return;
    done = true;
    berth_server_free(actor->host->server);
    actor->host->server = NULL;
    actor->socket = NULL; /* its server owns it */
    trace_clear();
}

static void free_socket_then_server(struct actor *actor)
{
    struct host *host = actor->host;
    free_socket(actor);
    if (host->server != NULL)
        berth_server_free(host->server);
    host->server = NULL;
    trace_clear();
}

static void abort_it(struct actor *actor)
{
    if (!done)
        berth_socket_abort(actor->socket);
    done = true;
}

static void close_it(struct actor *actor)
{
    if (!done)
        berth_socket_close(actor->socket);
    done = true;
}

static void disconnect_it(struct actor *actor)
{
    if (!done)
        berth_socket_disconnect_from_host(actor->socket);
    done = true;
}

/* Which handler the deed is done in. */
static void hook(struct actor *actor, size_t handler, actor_hook deed)
{
    *(actor_hook *)((char *)actor + handler) = deed;
}

#define HANDLER(name) offsetof(struct actor, name)

/* Every handler of a delivered socket is reached: bytes come, bytes go, the peer ends. */
static void live_through(size_t handler, actor_hook deed)
{
    done = false;
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    hook(actor, handler, deed);
    actor_say(actor, "hello");
    peer_say(peer, "world");
    for (int turns = 0; turns < WORLD_TURNS && !done && actor->received < 5; turns++)
        world_turn();
    for (int turns = 0; turns < WORLD_TURNS && !done && actor->written < 5; turns++)
        world_turn();
    peer_close(peer);
    UNTIL(done);
    world_settle();
}

static void live_through_all(actor_hook deed)
{
    static const size_t handlers[] = {
        HANDLER(on_ready_read), HANDLER(on_written),  HANDLER(on_error),
        HANDLER(on_state),      HANDLER(on_finished), HANDLER(on_disconnected),
    };
    for (unsigned i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        live_through(handlers[i], deed);
        world_free_loop();
    }
}

CASE(free_socket_inside_ready_read, "S5.3", "nothing is called for it afterwards")
{
    live_through(HANDLER(on_ready_read), free_socket);
    assert_trace("");
}

CASE(free_socket_inside_bytes_written, "S5.3", "nothing is called for it afterwards")
{
    live_through(HANDLER(on_written), free_socket);
    assert_trace("");
}

CASE(free_socket_inside_error, "S5.3 T37", "freed in the error of a remote close")
{
    live_through(HANDLER(on_error), free_socket);
    assert_trace("");
}

CASE(free_socket_inside_state_changed, "S5.3",
     "freed in the first change of state of a remote close")
{
    live_through(HANDLER(on_state), free_socket);
    assert_trace("");
}

CASE(free_socket_inside_finished, "S5.3", "freed in read_channel_finished")
{
    live_through(HANDLER(on_finished), free_socket);
    assert_trace("");
}

CASE(free_socket_inside_disconnected, "S5.3", "freed where it is usual")
{
    live_through(HANDLER(on_disconnected), free_socket);
    assert_trace("");
}

CASE(free_server_inside_socket_handlers, "S5.4",
     "the server, and the socket with it, freed in each handler of the socket")
{
    live_through_all(free_server);
}

CASE(free_socket_then_server_inside_handlers, "S5.4", "both, one after the other")
{
    live_through_all(free_socket_then_server);
}

CASE(abort_inside_handlers, "S3.37", "abort in each handler: disconnected comes once")
{
    live_through_all(abort_it);
}

CASE(close_inside_handlers, "S3.37 T36", "close in each handler: disconnected comes once")
{
    live_through_all(close_it);
}

CASE(disconnect_inside_handlers, "S3.37",
     "disconnect_from_host in each handler: disconnected comes once")
{
    live_through_all(disconnect_it);
}

CASE(close_inside_ready_read, "S3.37 S5.3",
     "the end comes once, and the bytes that came before were read")
{
    live_through(HANDLER(on_ready_read), close_it);
    ck_assert_uint_eq(trace_times("s disconnected"), 1);
}

static void free_actor_inside(struct actor *actor)
{
    done = true;
    actor_free_socket(actor);
    trace_clear();
}

CASE(free_socket_inside_connected, "S5.3", "a client freed in connected")
{
    world_loop();
    uint16_t port = world_listen(5);
    struct actor *actor = actor_new("c");
    actor->on_connected = free_actor_inside;
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    UNTIL(done);
    world_settle();
    assert_trace("");
    ck_assert(peer_saw_either(world_accept(port)));
}

CASE(free_socket_inside_failed_connect, "S5.3", "a client freed in the error of a refused attempt")
{
    world_loop();
    uint16_t port = world_free_port();
    struct actor *actor = actor_new("c");
    actor->on_error = free_actor_inside;
    berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port);
    UNTIL(done);
    world_settle();
    assert_trace("");
}

/* The state changes inside the call itself, so the socket goes while the function is still running.
 */
CASE(free_socket_inside_its_own_calls, "S3.38",
     "freed in a handler that disconnect, abort or connect calls inside itself")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->on_state = free_actor_inside;
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert(done);
    actor = host_connect(host, "s", &peer);
    actor->on_finished = free_actor_inside;
    berth_socket_abort(actor->socket);
    actor = actor_new("c");
    actor->on_state = free_actor_inside;
    berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port);
    actor = host_connect(host, "s", &peer);
    actor->on_disconnected = free_actor_inside;
    actor_free_socket(actor);
    world_settle();
}

/* ---- handlers of the server --------------------------------------------------------------------
 */

static void free_host(struct host *host)
{
    berth_server_free(host->server);
    host->server = NULL;
    trace("freed");
}

CASE(free_server_inside_new_connection, "S5.4", "the burst stops, and the peers see the end")
{
    struct host *host = host_listening("h");
    host->on_new_connection = free_host;
    struct peer *peers[4];
    for (int i = 0; i < 4; i++)
        peers[i] = world_connect(host->port);
    UNTIL(host->server == NULL);
    world_settle();
    assert_trace("h new_connection, freed");
    for (int i = 0; i < 4; i++)
        ck_assert(peer_saw_either(peers[i]));
}

CASE(free_server_inside_accept_error, "S5.4",
     "nothing is called for it afterwards, and nothing is retried")
{
    struct host *host = host_listening("h");
    host->on_accept_error = free_host;
    world_connect(host->port);
    world_exhaust(0);
    UNTIL(host->server == NULL);
    world_settle();
    world_relieve();
    world_settle();
    assert_trace("h accept_error SOCKET_RESOURCE, freed");
}

static bool server_freed;

static void free_inside_incoming(berth_server *server, int descriptor, void *user)
{
    (void)user;
    trace("incoming");
    berth_server_base_incoming_connection(server, descriptor);
    berth_server_free(server);
    server_freed = true;
}

static void trace_new_connection(berth_server *server, void *user)
{
    (void)server;
    (void)user;
    trace("new_connection");
}

CASE(free_server_inside_incoming_connection, "Q8 S5.4",
     "new_connection does not follow, and the burst stops")
{
    static const berth_server_handlers handlers = {
        .incoming_connection = free_inside_incoming,
        .new_connection = trace_new_connection,
    };
    berth_server *server = berth_server_new(world_loop(), &handlers, NULL);
    ck_assert_ptr_nonnull(server);
    ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    uint16_t port = berth_server_port(server);
    struct peer *peers[3];
    for (int i = 0; i < 3; i++)
        peers[i] = world_connect(port);
    UNTIL(server_freed);
    world_settle();
    assert_trace("incoming");
    for (int i = 0; i < 3; i++)
        ck_assert(peer_saw_either(peers[i]));
}

static bool free_inside_has(berth_server *server, void *user)
{
    (void)user;
    berth_server_free(server);
    return true;
}

static berth_socket *free_inside_next(berth_server *server, void *user)
{
    (void)user;
    berth_server_free(server);
    return NULL;
}

CASE(free_server_inside_its_questions, "S5.4",
     "freed in the slots that answer has_pending and next_pending")
{
    static const berth_server_handlers handlers = {
        .has_pending_connections = free_inside_has,
        .next_pending_connection = free_inside_next,
    };
    berth_server *one = berth_server_new(world_loop(), &handlers, NULL);
    berth_server *two = berth_server_new(world_loop(), &handlers, NULL);
    ck_assert_ptr_nonnull(one);
    ck_assert_ptr_nonnull(two);
    ck_assert(berth_server_listen(two, BERTH_ADDRESS_LOOPBACK, 0));
    world_connect(berth_server_port(two));
    world_settle();
    ck_assert(berth_server_has_pending_connections(one));
    ck_assert_ptr_null(berth_server_next_pending_connection(two));
}

static void free_other(struct host *host)
{
    struct actor *other = host->taken[0];
    if (other->socket != NULL && host->new_connections == 2)
        actor_free_socket(other);
}

CASE(free_another_socket_inside_new_connection, "S5.5",
     "a socket with input under way is freed by its server's handler")
{
    struct host *host = host_listening("h");
    host->takes = true;
    host->on_new_connection = free_other;
    struct peer *first = world_connect(host->port);
    UNTIL(host->count == 1);
    peer_send_some(first, "x", 1);
    world_connect(host->port);
    UNTIL(host->taken[0]->socket == NULL);
    world_settle();
    ck_assert(peer_saw_either(first));
}

static struct actor *victims[8];

static void free_all_victims(struct actor *actor)
{
    (void)actor;
    for (int i = 0; i < 8; i++) {
        if (victims[i]->socket != NULL)
            actor_free_socket(victims[i]);
    }
}

CASE(free_all_sockets_inside_one, "S5.5", "the first of eight that hears something frees all eight")
{
    struct host *host = host_listening("h");
    struct peer *peers[8];
    for (int i = 0; i < 8; i++) {
        victims[i] = host_connect(host, "s", &peers[i]);
        victims[i]->on_ready_read = free_all_victims;
    }
    for (int i = 0; i < 8; i++)
        peer_send_some(peers[i], "x", 1);
    UNTIL(victims[0]->socket == NULL);
    world_settle();
    unsigned calls = 0;
    for (int i = 0; i < 8; i++) {
        calls += victims[i]->ready_reads;
        ck_assert(peer_saw_either(peers[i]));
    }
    ck_assert_uint_eq(calls, 1);
}
