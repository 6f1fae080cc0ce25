/*
 * Sockets that have a descriptor but no connection yet: bound ones, and bound ones on their way.
 *
 * Nothing may be started on such a descriptor: the kernel would answer that it is not connected,
 * and that would end the socket.
 */
#include "scene.h"

static struct host *queue; /* a server of the same loop */
static struct actor *taken;

static void lower_the_limit(berth_socket *socket)
{
    berth_socket_set_read_buffer_size(socket, 1000);
}

static void raise_the_limit(berth_socket *socket)
{
    berth_socket_set_read_buffer_size(socket, 1);
    berth_socket_set_read_buffer_size(socket, 0);
}

static void put_back_and_skip(berth_socket *socket)
{
    char bytes[3];
    berth_socket_set_read_buffer_size(socket, 2);
    ck_assert(berth_socket_unget(socket, "abc", 3));
    berth_socket_start_transaction(socket);
    ck_assert_int_eq(berth_socket_read(socket, bytes, 3), 3);
    berth_socket_commit_transaction(socket);
    berth_socket_set_read_buffer_size(socket, 0);
}

static void go_through_a_queue(berth_socket *socket)
{
    berth_server_add_pending_connection(queue->server, socket);
    berth_server_set_pending_read_limit(queue->server, 17);
    world_settle();
    ck_assert_ptr_eq(berth_server_next_pending_connection(queue->server), socket);
}

static void limit_it(berth_socket *socket)
{
    berth_connection_limits limits = {.first_byte = 60000, .idle = 60000, .output = 100000};
    ck_assert(berth_socket_set_limits(socket, &limits));
}

static void end_and_flush(berth_socket *socket)
{
    ck_assert_int_eq(berth_socket_write(socket, "x", 1), -1);
    ck_assert(!berth_socket_flush(socket));
    ck_assert(!berth_socket_wait_for_ready_read(socket, 0));
    ck_assert(!berth_socket_wait_for_bytes_written(socket, 0));
    berth_socket_set_close_timeout(socket, 1);
    berth_socket_set_half_close(socket, true);
    berth_socket_set_half_close(socket, false);
}

static void (*const calls[])(berth_socket *socket) = {
    lower_the_limit,    raise_the_limit, put_back_and_skip,
    go_through_a_queue, limit_it,        end_and_flush,
};

#define CALLS (sizeof calls / sizeof calls[0])

static void connect_and_talk(struct actor *actor, uint16_t port)
{
    char bytes[8];
    UNTIL(actor->connects == 1);
    struct peer *peer = world_accept(port);
    ck_assert_ptr_nonnull(peer);
    peer_say(peer, "hello");
    actor_say(actor, "world");
    UNTIL(actor->received == 5);
    ck_assert(peer_hears(peer, "world"));
    peer_shutdown(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, sizeof bytes), -1);
}

CASE(calls_that_leave_a_bound_socket_bound, "S3.17",
     "settings and a queue start nothing on a descriptor that is not connected")
{
    queue = host_new("h");
    uint16_t port = world_listen(5);
    for (size_t i = 0; i < CALLS; i++) {
        struct actor *actor = actor_new("c");
        ck_assert(berth_socket_bind(actor->socket, BERTH_ADDRESS_LOOPBACK, 0));
        calls[i](actor->socket);
        world_settle();
        ck_assert_msg(berth_socket_state(actor->socket) == BERTH_STATE_BOUND, "call %zu", i);
        unsigned errors = actor->errors;
        ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
        connect_and_talk(actor, port);
        ck_assert_uint_eq(actor->errors, errors + 1); /* the peer's end */
        actor_free_socket(actor);
    }
}

static void make_all_calls(struct actor *actor)
{
    if (actor->state != BERTH_STATE_HOST_LOOKUP && actor->state != BERTH_STATE_CONNECTING)
        return;
    lower_the_limit(actor->socket);
    raise_the_limit(actor->socket);
    put_back_and_skip(actor->socket);
    berth_server_add_pending_connection(queue->server, actor->socket);
    berth_server_next_pending_connection(queue->server);
}

CASE(
    calls_on_the_way_of_a_bound_socket, "S3.14 S3.17",
    "the same inside the handlers of HOST_LOOKUP and CONNECTING, where the descriptor is the bound "
    "one still")
{
    queue = host_new("h");
    uint16_t port = world_listen(5);
    struct actor *actor = actor_new("c");
    actor->on_state = make_all_calls;
    ck_assert(berth_socket_bind(actor->socket, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    world_settle();
    connect_and_talk(actor, port);
    ck_assert_uint_eq(actor->errors, 1);
}

CASE(bound_socket_that_stays_in_a_queue, "S5.5 S3.17",
     "connects from there, is taken then, and has what came")
{
    queue = host_new("h");
    uint16_t port = world_listen(5);
    taken = actor_new("c");
    ck_assert(berth_socket_bind(taken->socket, BERTH_ADDRESS_LOOPBACK, 0));
    berth_server_add_pending_connection(queue->server, taken->socket);
    world_settle();
    ck_assert(berth_socket_connect_to_address(taken->socket, BERTH_ADDRESS_LOOPBACK, port));
    UNTIL(taken->connects == 1);
    ck_assert_ptr_eq(berth_server_next_pending_connection(queue->server), taken->socket);
    connect_and_talk(taken, port);
}

CASE(port_of_a_bound_socket, "S3.17 T23",
     "left open by the bind, chosen when it is asked for, and kept through the connect")
{
    struct host *host = host_listening("h");
    uint16_t port = host->port;
    host->takes = true;
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_bind(actor->socket, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert(
        berth_address_equal(berth_socket_local_address(actor->socket), BERTH_ADDRESS_LOOPBACK));
    int descriptor = berth_socket_descriptor(actor->socket);
    uint16_t own = berth_socket_local_port(actor->socket);
    ck_assert_uint_ne(own, 0);
    ck_assert_uint_eq(berth_socket_local_port(actor->socket), own);
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    UNTIL(actor->connects == 1);
    ck_assert_uint_eq(berth_socket_local_port(actor->socket), own);
    ck_assert_int_eq(berth_socket_descriptor(actor->socket), descriptor);
    UNTIL(host->count == 1);
    ck_assert_uint_eq(berth_socket_peer_port(host->taken[0]->socket), own);
    struct actor *other = actor_new("o");
    ck_assert(berth_socket_bind(other->socket, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert(berth_socket_connect_to_address(other->socket, BERTH_ADDRESS_LOOPBACK, port));
    UNTIL(other->connects == 1);
    ck_assert_uint_ne(berth_socket_local_port(other->socket), 0);
    ck_assert_uint_ne(berth_socket_local_port(other->socket), own);
}
