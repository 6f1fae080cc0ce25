/*
 * set_descriptor of servers and sockets: what is taken over, and what is refused.
 */
#include "scene.h"

#include "base/fault.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct host *host;
static struct actor *actor;

/* Both kinds of object refuse it, say so, stay usable, and leave it open. */
static void both_refuse(int descriptor)
{
    ck_assert(!berth_server_set_descriptor(host->server, descriptor));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert_str_ne(berth_server_error_string(host->server), "");
    ck_assert(!berth_server_is_listening(host->server));
    ck_assert_int_eq(berth_server_descriptor(host->server), -1);
    ck_assert(!berth_socket_set_descriptor(actor->socket, descriptor));
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert_str_ne(berth_socket_error_string(actor->socket), "");
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_UNCONNECTED);
    ck_assert_int_eq(berth_socket_descriptor(actor->socket), -1);
}

static void prepare(void)
{
    host = host_new("h");
    actor = actor_new("s");
}

static void real_kernel_only(void)
{
    if (world_is_simulated())
        case_skip("needs descriptors of the real kernel");
    prepare();
}

CASE(closed_number_is_refused, "S1.59 S3.5 T11 T24", "numbers that are not open")
{
    prepare();
    both_refuse(-1);
    both_refuse(-5);
    both_refuse(42);
    both_refuse(1 << 30);
    host_listen(host);
    world_connect(host->port);
    UNTIL(host->new_connections == 1);
}

/* Given to the base behaviour out of the blue, it is closed, and nothing is queued. */
static void base_refuses(int descriptor)
{
    berth_server_counts before;
    berth_server_counts counts;
    berth_server_statistics(host->server, &before);
    berth_server_base_incoming_connection(host->server, descriptor);
    ck_assert(!berth_server_has_pending_connections(host->server));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_UNSUPPORTED_OPERATION);
    char expected[80];
    snprintf(expected, sizeof expected,
             "cannot serve the connection of descriptor %d: ", descriptor);
    ck_assert_ptr_nonnull(strstr(berth_server_error_string(host->server), expected));
    ck_assert(!world_is_open(descriptor));
    berth_server_statistics(host->server, &counts);
    ck_assert_uint_eq(counts.failed, before.failed + 1);
    scene_assert_balance(&counts);
}

CASE(incoming_is_no_connection, "S5.8 Q7",
     "the base behaviour checks what was not accepted a moment ago, and the next one is served")
{
    uint16_t port;
    struct peer *peer;
    prepare();
    base_refuses(-1);
    base_refuses(4000);
    base_refuses(world_listener_descriptor(&port));
    base_refuses(world_event_descriptor());
    berth_server_base_incoming_connection(host->server, world_stream_descriptor(&peer));
    peer_say(peer, "hello");
    actor = host_take_actor(host, "s");
    UNTIL(actor_has(actor, "hello"));
}

CASE(incoming_is_a_pipe, "S5.8 Q7", "or a socket without a connection, or of packets")
{
    int ends[2];
    real_kernel_only();
    ck_assert_int_eq(pipe(ends), 0);
    world_note(ends[0]);
    world_note(ends[1]);
    base_refuses(ends[0]);
    close(ends[1]);
    base_refuses(world_unconnected_descriptor());
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    world_note(ends[0]);
    world_note(ends[1]);
    base_refuses(ends[0]);
    close(ends[1]);
}

CASE(pipe_is_refused, "Q7 S1.60", "a descriptor that is no socket")
{
    int ends[2];
    prepare();
    ck_assert_int_eq(pipe(ends), 0);
    world_note(ends[0]);
    world_note(ends[1]);
    both_refuse(ends[0]);
    both_refuse(ends[1]);
    ck_assert_int_eq(close(ends[0]), 0);
    ck_assert_int_eq(close(ends[1]), 0);
}

CASE(unbound_socket_is_refused, "Q7 S1.60", "a stream socket that is neither bound nor connected")
{
    prepare();
    int descriptor = world_unconnected_descriptor();
    both_refuse(descriptor);
    world_close_descriptor(descriptor);
}

CASE(bound_socket_is_refused, "Q7 S1.60", "a stream socket that is bound, but does not listen")
{
    real_kernel_only();
    int descriptor = world_unconnected_descriptor();
    struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_eq(bind(descriptor, (struct sockaddr *)&self, sizeof self), 0);
    both_refuse(descriptor);
    ck_assert_int_eq(close(descriptor), 0);
}

CASE(udp_socket_is_refused, "Q7 S1.60", "a datagram socket")
{
    real_kernel_only();
    int descriptor = world_note(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    both_refuse(descriptor);
    ck_assert_int_eq(close(descriptor), 0);
}

CASE(unix_packets_are_refused, "Q7 S1.60",
     "sockets of the Unix domain that are no streams, connected and listening")
{
    real_kernel_only();
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    world_note(ends[0]);
    world_note(ends[1]);
    both_refuse(ends[0]);
    close(ends[0]);
    close(ends[1]);
    int listening = world_note(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    ck_assert_int_eq(bind(listening, &(struct sockaddr){.sa_family = AF_UNIX}, sizeof(sa_family_t)),
                     0);
    ck_assert_int_eq(listen(listening, 1), 0);
    both_refuse(listening);
    close(listening);
}

CASE(connected_socket_is_no_server, "Q7",
     "a server refuses a connection, a socket refuses a listener")
{
    prepare();
    struct peer *peer;
    uint16_t port;
    int connected = world_stream_descriptor(&peer);
    int listening = world_listener_descriptor(&port);
    ck_assert(!berth_server_set_descriptor(host->server, connected));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert(!berth_socket_set_descriptor(actor->socket, listening));
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert(world_is_open(connected));
    ck_assert(world_is_open(listening));
    ck_assert(berth_socket_set_descriptor(actor->socket, connected));
    ck_assert(berth_server_set_descriptor(host->server, listening));
}

CASE(listener_is_adopted, "S1.57 T11",
     "a listening descriptor is served with what waits in it, and closed with the server")
{
    prepare();
    uint16_t port;
    int descriptor = world_listener_descriptor(&port);
    world_connect(port);
    ck_assert(berth_server_set_descriptor(host->server, descriptor));
    ck_assert(berth_server_is_listening(host->server));
    ck_assert_int_eq(berth_server_descriptor(host->server), descriptor);
    ck_assert_uint_eq(berth_server_port(host->server), port);
    ck_assert(berth_address_equal(berth_server_address(host->server), BERTH_ADDRESS_LOOPBACK));
    assert_trace("");
    UNTIL(host->new_connections == 1);
    world_connect(port);
    UNTIL(host->new_connections == 2);
    berth_server_close(host->server);
    ck_assert(!world_is_open(descriptor));
}

CASE(adoption_while_listening, "S1.58",
     "refused with class OPERATION; the server goes on, the descriptor stays the caller's")
{
    prepare();
    uint16_t port;
    host_listen(host);
    int descriptor = world_listener_descriptor(&port);
    ck_assert(!berth_server_set_descriptor(host->server, descriptor));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_OPERATION);
    ck_assert_uint_eq(berth_server_port(host->server), host->port);
    ck_assert(world_is_open(descriptor));
    world_close_descriptor(descriptor);
    world_connect(host->port);
    UNTIL(host->new_connections == 1);
}

CASE(stream_is_adopted, "S3.4",
     "state_changed inside the call, not connected; bytes in the kernel come by ready_read")
{
    prepare();
    struct peer *peer;
    int descriptor = world_stream_descriptor(&peer);
    ck_assert_uint_eq(peer_send_some(peer, "early", 5), 5);
    ck_assert(berth_socket_set_descriptor(actor->socket, descriptor));
    assert_trace("s state CONNECTED");
    ck_assert_int_eq(berth_socket_descriptor(actor->socket), descriptor);
    ck_assert_uint_eq(berth_socket_peer_port(actor->socket), peer_port(peer));
    UNTIL(actor_has(actor, "early"));
    actor_say(actor, "hello");
    ck_assert(peer_hears(peer, "hello"));
    ck_assert_uint_eq(actor->connects, 0);
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert(peer_saw_end(peer));
}

CASE(adoption_drops_the_old_connection, "S3.4",
     "the former peer sees the end, buffers are empty, no handler is called")
{
    prepare();
    struct peer *old_peer;
    struct peer *new_peer;
    int old = world_stream_descriptor(&old_peer);
    int new = world_stream_descriptor(&new_peer);
    actor->reads = false;
    ck_assert(berth_socket_set_descriptor(actor->socket, old));
    peer_say(old_peer, "unread");
    UNTIL(berth_socket_bytes_available(actor->socket) == 6);
    actor_say(actor, "unsent");
    trace_clear();
    ck_assert(berth_socket_set_descriptor(actor->socket, new));
    assert_trace("");
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 0);
    ck_assert_uint_eq(berth_socket_bytes_to_write(actor->socket), 0);
    ck_assert(peer_saw_either(old_peer));
    actor_say(actor, "hello");
    ck_assert(peer_hears(new_peer, "hello"));
}

CASE(failed_adoption_leaves_the_connection, "S3.5",
     "a refused descriptor leaves the socket as it was")
{
    prepare();
    struct peer *peer;
    ck_assert(berth_socket_set_descriptor(actor->socket, world_stream_descriptor(&peer)));
    trace_clear();
    ck_assert(!berth_socket_set_descriptor(actor->socket, -1));
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
    actor_say(actor, "hello");
    ck_assert(peer_hears(peer, "hello"));
}

CASE(adoption_is_cheap, "Q7",
     "the checks of an adopted stream and the switch to blocking: two calls")
{
    if (world_is_simulated())
        case_skip("it makes no system calls");
    berth_socket *socket = berth_socket_new(world_loop(), NULL, NULL);
    ck_assert_ptr_nonnull(socket);
    struct peer *peer;
    int descriptor = world_stream_descriptor(&peer);
    berth__fault_set_system(1000000, 1, 0, NULL);
    ck_assert(berth_socket_set_descriptor(socket, descriptor));
    long calls = berth__fault_system_seen();
    berth__fault_clear();
    ck_assert_int_eq(calls, 2);
}

static berth_socket *adopter;

static void check_in_use(berth_socket *socket, int descriptor)
{
    berth_state state = berth_socket_state(socket);
    ck_assert(!berth_socket_set_descriptor(socket, descriptor));
    ck_assert_int_eq(berth_socket_error(socket), BERTH_ERROR_OPERATION);
    ck_assert_ptr_nonnull(
        strstr(berth_socket_error_string(socket), "an object of this loop uses that descriptor"));
    ck_assert_int_eq(berth_socket_state(socket), state);
}

CASE(own_descriptor_is_refused, "S3.5 Q7",
     "a socket that is given its own descriptor, or that of another of its loop, goes on as it was")
{
    host = host_listening("h");
    struct peer *peer;
    actor = host_connect(host, "s", &peer);
    struct actor *other = actor_new("o");
    struct actor *client = actor_connected("c", &peer);
    struct actor *bound = actor_new("b");
    ck_assert(berth_socket_bind(bound->socket, BERTH_ADDRESS_LOOPBACK, 0));
    struct actor *owners[] = {actor, client, bound};
    for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++) {
        int descriptor = berth_socket_descriptor(owners[i]->socket);
        check_in_use(owners[i]->socket, descriptor);
        check_in_use(other->socket, descriptor);
        ck_assert(!berth_server_set_descriptor(host_new("x")->server, descriptor));
        ck_assert(world_is_open(descriptor));
    }
    check_in_use(other->socket, berth_server_descriptor(host->server));
    /* It is the caller's again when its owner is through with it. */
    peer_say(peer, "hello");
    UNTIL(actor_has(client, "hello"));
    int descriptor = world_stream_descriptor(&peer);
    ck_assert(berth_socket_set_descriptor(other->socket, descriptor));
    check_in_use(other->socket, descriptor);
    berth_socket_abort(other->socket);
    for (int i = 0; i < 4; i++) {
        world_settle();
        descriptor = world_stream_descriptor(&peer);
        ck_assert(berth_socket_set_descriptor(other->socket, descriptor));
        berth_socket_abort(other->socket);
    }
}

CASE(own_listener_is_refused, "S1.58 S1.59 Q7",
     "a server that is given its own listener, or that of another")
{
    host = host_listening("h");
    struct host *other = host_new("o");
    int descriptor = berth_server_descriptor(host->server);
    ck_assert(!berth_server_set_descriptor(host->server, descriptor));
    ck_assert(!berth_server_set_descriptor(other->server, descriptor));
    ck_assert_int_eq(berth_server_error(other->server), BERTH_ERROR_OPERATION);
    ck_assert_ptr_nonnull(strstr(berth_server_error_string(other->server),
                                 "an object of this loop uses that descriptor"));
    ck_assert(world_is_open(descriptor));
    berth_server_close(host->server);
    world_settle();
    uint16_t port;
    ck_assert(berth_server_set_descriptor(other->server, world_listener_descriptor(&port)));
}

static void adopt_it_twice(berth_server *server, int descriptor, void *user)
{
    (void)user;
    ck_assert(berth_socket_set_descriptor(adopter, descriptor));
    berth_server_base_incoming_connection(server, descriptor);
}

CASE(incoming_is_adopted_twice, "Q7 Q8",
     "the base behaviour leaves alone what a socket has adopted, and whatever else is in use")
{
    static const berth_server_handlers handlers = {.incoming_connection = adopt_it_twice};
    /* Its numbers are beyond those that are noted without memory, for which a fault may be tried.
     */
    if (world_is_simulated())
        case_skip("the descriptors of the simulated kernel are large numbers");
    berth_server *server = berth_server_new(world_loop(), &handlers, NULL);
    ck_assert_ptr_nonnull(server);
    actor = actor_new("s");
    adopter = actor->socket;
    ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    struct peer *peer = world_connect(berth_server_port(server));
    peer_say(peer, "hello");
    UNTIL(actor_has(actor, "hello"));
    ck_assert_int_eq(berth_server_error(server), BERTH_ERROR_OPERATION);
    ck_assert(!berth_server_base_has_pending_connections(server));
    berth_server_base_incoming_connection(server, berth_server_descriptor(server));
    berth_server_base_incoming_connection(server, berth_socket_descriptor(adopter));
    ck_assert(!berth_server_base_has_pending_connections(server));
    actor_say(actor, "world");
    ck_assert(peer_hears(peer, "world"));
    peer = world_connect(berth_server_port(server));
}
