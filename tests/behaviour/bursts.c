/*
 * Bursts of connections, and descriptors that get lost on their way.
 */
#include "scene.h"

#include <pthread.h>
#include <string.h>

static void take_one(struct host *host)
{
    berth_socket_free(berth_server_next_pending_connection(host->server));
}

CASE(burst_ends_at_the_limit, "S2.2 S1.63",
     "pairs of calls until the queue is full, in loop and wait")
{
    struct host *host = host_listening("h");
    berth_server_set_max_pending_connections(host->server, 2);
    for (int i = 0; i < 5; i++)
        world_connect(host->port);
    bool timed_out = true;
    for (int waits = 0; waits < 5 && host->new_connections < 2; waits++)
        ck_assert(berth_server_wait_for_new_connection(host->server, 5000, &timed_out));
    ck_assert(!timed_out);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 2);
    host->on_new_connection = take_one;
    take_one(host);
    UNTIL(host->new_connections == 5);
    ck_assert(berth_server_has_pending_connections(host->server));
}

static int lost;

static void lose(berth_server *server, int descriptor, void *user)
{
    (void)server;
    (void)user;
    lost = world_note(descriptor);
}

CASE(descriptor_belongs_to_the_handler, "S1.45",
     "what incoming_connection does not close stays open")
{
    static const berth_server_handlers handlers = {.incoming_connection = lose};
    berth_server *server = berth_server_new(world_loop(), &handlers, NULL);
    ck_assert_ptr_nonnull(server);
    ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    lost = -1;
    struct peer *peer = world_connect(berth_server_port(server));
    UNTIL(lost >= 0);
    berth_server_free(server);
    world_settle();
    ck_assert(world_is_open(lost));
    char byte;
    ck_assert_uint_eq(peer_receive_some(peer, &byte, 1), 0);
    world_close_descriptor(lost);
    ck_assert(peer_saw_end(peer));
}

CASE(descriptor_closed_on_its_way, "S5.8", "a number that was closed meanwhile cannot be adopted")
{
    struct actor *actor = actor_new("s");
    struct peer *peer;
    int descriptor = world_stream_descriptor(&peer);
    world_close_descriptor(descriptor);
    ck_assert(!berth_socket_set_descriptor(actor->socket, descriptor));
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_UNCONNECTED);
}

static void *serve_by_waits(void *unused)
{
    berth_server *server = berth_server_new(NULL, NULL, NULL);
    berth_socket *client = berth_socket_new(NULL, NULL, NULL);
    ck_assert_ptr_nonnull(server);
    ck_assert_ptr_nonnull(client);
    ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert(
        berth_socket_connect_to_address(client, BERTH_ADDRESS_LOOPBACK, berth_server_port(server)));
    ck_assert(!berth_server_has_pending_connections(server));
    ck_assert(berth_server_wait_for_new_connection(server, 5000, NULL));
    berth_socket *far = berth_server_next_pending_connection(server);
    ck_assert_ptr_nonnull(far);
    ck_assert(berth_socket_wait_for_connected(client, 5000));
    ck_assert_int_eq(berth_socket_write(far, "hello", 5), 5);
    berth_socket_disconnect_from_host(far);
    ck_assert(berth_socket_wait_for_disconnected(far, 5000));
    ck_assert(berth_socket_wait_for_ready_read(client, 5000));
    berth_server_free(server);
    berth_socket_free(client);
    return unused;
}

CASE(thread_that_runs_no_loop, "S2.16 S5.9", "nothing is accepted by itself; waits do it all")
{
    if (world_is_simulated())
        case_skip("each thread's simulated kernel is one of its own");
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, serve_by_waits, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
