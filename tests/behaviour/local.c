/*
 * Unix sockets as servers and sockets have them: names, users, limits, headers, options, ends.
 * Their paths and files are in local_paths.c.
 */
#include "scene.h"

#include "backend/sim.h"

#include <berth/local.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "children.h"

static const char *path;

static struct host *host_at_path(void)
{
    struct host *host = host_new("h");
    path = world_path("a");
    ck_assert(berth_server_listen_local(host->server, path, NULL));
    return host;
}

static struct actor *take_from(struct host *host, struct peer **ret_peer)
{
    *ret_peer = world_connect_local(path);
    struct actor *actor = host_take_actor(host, "s");
    trace_clear();
    return actor;
}

/* Connected to a peer of the test, by its own connect. */
static struct actor *actor_at_path(struct peer **ret_peer)
{
    path = world_path("a");
    world_loop();
    world_listen_local(path, 5);
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_connect_to_local(actor->socket, path));
    UNTIL(actor->connects == 1);
    *ret_peer = world_accept_local(path);
    ck_assert_ptr_nonnull(*ret_peer);
    trace_clear();
    return actor;
}

static void settled_error(const struct actor *actor, berth_error error, const char *text)
{
    char expected[256];
    snprintf(expected, sizeof expected, text, path);
    ck_assert_int_eq(berth_socket_error(actor->socket), error);
    ck_assert_str_eq(berth_socket_error_string(actor->socket), expected);
}

static void make_pair(int ends[2])
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    world_note(ends[0]);
    world_note(ends[1]);
}

/* ---- names ----------------------------------------------------------------------------------- */

CASE(names_of_local_connections, "Unix",
     "the server has a path, the client's peer a name, both none")
{
    struct host *host = host_at_path();
    ck_assert(berth_server_is_listening(host->server));
    ck_assert_str_eq(berth_server_local_path(host->server), path);
    ck_assert_int_eq(berth_server_address(host->server).family, BERTH_ADDRESS_FAMILY_LOCAL);
    ck_assert_uint_eq(berth_server_port(host->server), 0);
    struct actor *client = actor_new("c");
    ck_assert(berth_socket_connect_to_local(client->socket, path));
    ck_assert_int_eq(berth_socket_state(client->socket), BERTH_STATE_CONNECTING);
    ck_assert_uint_eq(client->connects, 0);
    struct actor *served = host_take_actor(host, "s");
    UNTIL(client->connects == 1);
    ck_assert_str_eq(berth_socket_peer_name(client->socket), path);
    berth_socket *both[] = {client->socket, served->socket};
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(berth_socket_peer_address(both[i]).family, BERTH_ADDRESS_FAMILY_LOCAL);
        ck_assert_int_eq(berth_socket_local_address(both[i]).family, BERTH_ADDRESS_FAMILY_LOCAL);
        ck_assert_int_eq(berth_socket_transport_peer_address(both[i]).family,
                         BERTH_ADDRESS_FAMILY_LOCAL);
        ck_assert_uint_eq(berth_socket_peer_port(both[i]), 0);
        ck_assert_uint_eq(berth_socket_local_port(both[i]), 0);
    }
    actor_say(client, "hello");
    UNTIL(actor_has(served, "hello"));
    actor_say(served, "answer");
    UNTIL(actor_has(client, "answer"));
    berth_socket_disconnect_from_host(client->socket);
    UNTIL(client->disconnects == 1 && served->disconnects == 1);
    ck_assert_int_eq(served->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
    berth_server_close(host->server);
    ck_assert_str_eq(berth_server_local_path(host->server), "");
    ck_assert_int_eq(berth_server_address(host->server).family, BERTH_ADDRESS_FAMILY_NULL);
}

CASE(credentials_of_the_peer, "Unix", "while there is a connection, the last handler included")
{
    struct peer *peer;
    berth_credentials who = {.pid = -1};
    struct actor *actor = take_from(host_at_path(), &peer);
    ck_assert(berth_socket_peer_credentials(actor->socket, &who));
    ck_assert_int_eq(who.pid, (int)getpid());
    ck_assert_uint_eq(who.uid, getuid());
    ck_assert_uint_eq(who.gid, getgid());
    int32_t pid = -1;
    ck_assert(
        berth_socket_peer_credentials_sized(actor->socket, (berth_credentials *)&pid, sizeof pid));
    ck_assert_int_eq(pid, (int)getpid());
    peer_close(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert(!berth_socket_peer_credentials(actor->socket, &who));
    settled_error(actor, BERTH_ERROR_UNSUPPORTED_OPERATION,
                  "cannot get the credentials of the peer: not connected");
    actor = host_connect(host_listening("t"), "t", &peer);
    ck_assert(!berth_socket_peer_credentials(actor->socket, &who));
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_UNSUPPORTED_OPERATION);
}

static void ask_while_connecting(struct actor *actor)
{
    berth_credentials who;
    if (actor->disconnects > 1)
        return;
    ck_assert(berth_socket_peer_credentials(actor->socket, &who));
    ck_assert(berth_socket_connect_to_local(actor->socket, path));
    ck_assert(!berth_socket_peer_credentials(actor->socket, &who));
}

CASE(credentials_after_connecting_again, "Unix", "inside `disconnected`: there is no peer yet")
{
    struct peer *peer;
    struct actor *actor = take_from(host_at_path(), &peer);
    actor->on_disconnected = ask_while_connecting;
    peer_close(peer);
    UNTIL(actor->connects == 1);
    berth_credentials who;
    ck_assert(berth_socket_peer_credentials(actor->socket, &who));
}

CASE(local_addresses_lead_nowhere, "Unix", "listen, bind and connect by address are refused")
{
    berth_address local = {.family = BERTH_ADDRESS_FAMILY_LOCAL};
    struct host *host = host_new("h");
    struct actor *actor = actor_new("c");
    ck_assert(!berth_server_listen(host->server, local, 0));
    ck_assert_str_eq(berth_server_error_string(host->server),
                     "cannot listen on the address of a Unix socket: a path is needed");
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert(!berth_socket_bind(actor->socket, local, 0));
    ck_assert_int_eq(actor->error, BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert(!berth_socket_connect_to_address(actor->socket, local, 0));
    ck_assert_int_eq(actor->error, BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_UNCONNECTED);
    ck_assert(!berth_address_is_null(local));
    ck_assert(!berth_address_is_loopback(local));
    ck_assert(!berth_address_is_global(local));
    char text[BERTH_ENDPOINT_TEXT_SIZE];
    ck_assert_str_eq(berth_endpoint_format(local, 7, text, sizeof text), "local");
}

/* ---- limits and headers ---------------------------------------------------------------------- */

static struct peer *connect_as(uint32_t uid)
{
    int error;
    struct peer *peer = world_connect_local(path);
    if (uid == getuid())
        return peer;
    peer_close(peer);
    ck_assert_ptr_nonnull(berth__sim_connect_local(world_sim(), path, uid, &error));
    return NULL;
}

CASE(users_count_as_addresses, "Unix", "one connection of each, whatever the prefixes are")
{
    berth_server_counts counts;
    struct host *host = host_at_path();
    berth_accept_limits limits = {.per_address = 1, .ipv4_prefix = 1, .ipv6_prefix = 1};
    berth_server_set_accept_limits(host->server, &limits);
    struct peer *first = connect_as(getuid());
    struct actor *actor = host_take_actor(host, "s");
    struct peer *second = connect_as(getuid());
    ck_assert(peer_saw_either(second));
    berth_server_statistics(host->server, &counts);
    ck_assert_uint_eq(counts.rejected_address, 1);
    peer_close(first);
    UNTIL(actor->disconnects == 1);
    connect_as(getuid());
    host_take(host);
    if (!world_is_simulated())
        return;
    connect_as(getuid() + (1u << 24));
    UNTIL(host->new_connections >= 3);
    berth_server_statistics(host->server, &counts);
    scene_assert_balance(&counts);
}

#define LINE "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"

CASE(local_header_is_asked_for, "Unix PROXY", "else it is what the peer says, whatever subnets are")
{
    berth_subnet all[2] = {{.address.family = BERTH_ADDRESS_FAMILY_IPV4},
                           {.address.family = BERTH_ADDRESS_FAMILY_IPV6}};
    struct peer *peer;
    struct host *host = host_at_path();
    ck_assert(berth_server_set_proxy_protocol(host->server, all, 2, 0));
    struct actor *actor = take_from(host, &peer);
    peer_say(peer, LINE);
    UNTIL(actor_has(actor, LINE));
    ck_assert(berth_server_set_local_proxy_protocol(host->server, true, 0));
    peer = world_connect_local(path);
    peer_say(peer, LINE "hello");
    actor = host_take_actor(host, "t");
    UNTIL(actor_has(actor, "hello"));
    char text[BERTH_ADDRESS_TEXT_SIZE];
    berth_credentials who;
    berth_address_format(berth_socket_peer_address(actor->socket), text, sizeof text);
    ck_assert_str_eq(text, "192.0.2.1");
    ck_assert_uint_eq(berth_socket_peer_port(actor->socket), 56324);
    ck_assert_int_eq(berth_socket_transport_peer_address(actor->socket).family,
                     BERTH_ADDRESS_FAMILY_LOCAL);
    ck_assert(berth_socket_peer_credentials(actor->socket, &who));
    ck_assert_uint_eq(who.uid, getuid());
    peer = world_connect_local(path);
    peer_say(peer, "GET / HTTP/1.1\r\n");
    ck_assert(peer_saw_either(peer));
    const char *said = berth_server_error_string(host->server);
    ck_assert_ptr_nonnull(strstr(said, "cannot accept a connection of a balancer on "));
    ck_assert_ptr_nonnull(strstr(said, path));
    ck_assert_ptr_nonnull(strstr(said, ": no valid PROXY header"));
    ck_assert(berth_server_set_local_proxy_protocol(host->server, false, 0));
    actor = take_from(host, &peer);
    peer_say(peer, "hello");
    UNTIL(actor_has(actor, "hello"));
}

CASE(header_to_a_path, "Unix PROXY", "goes in front of what is written")
{
    path = world_path("a");
    world_loop();
    world_listen_local(path, 5);
    struct actor *actor = actor_new("c");
    berth_proxy_header header = {.version = 1, .source_port = 7, .destination_port = 8};
    header.source = header.destination = BERTH_ADDRESS_LOOPBACK;
    ck_assert(berth_socket_set_proxy_header(actor->socket, &header));
    ck_assert(berth_socket_connect_to_local(actor->socket, path));
    berth_socket_write(actor->socket, "hello", 5);
    UNTIL(actor->connects == 1);
    ck_assert(peer_hears(world_accept_local(path), "PROXY TCP4 127.0.0.1 127.0.0.1 7 8\r\nhello"));
}

/* ---- what there is not ----------------------------------------------------------------------- */

CASE(options_of_tcp_are_refused, "Unix", "with a text, before, while and after connecting")
{
    int value;
    struct peer *peer;
    struct actor *actor = take_from(host_at_path(), &peer);
    for (int which = 0; which <= BERTH_OPTION_USER_TIMEOUT; which++) {
        bool has =
            which == BERTH_OPTION_SEND_BUFFER_SIZE || which == BERTH_OPTION_RECEIVE_BUFFER_SIZE;
        berth_socket_option option = (berth_socket_option)which;
        ck_assert_int_eq(berth_socket_set_option(actor->socket, option, 1), has);
        ck_assert_int_eq(berth_socket_get_option(actor->socket, option, &value), has);
    }
    settled_error(actor, BERTH_ERROR_UNSUPPORTED_OPERATION,
                  "cannot get USER_TIMEOUT of the connection to the peer of a Unix socket: a Unix "
                  "socket has no such option");
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
    struct actor *client = actor_new("c");
    ck_assert(berth_socket_set_option(client->socket, BERTH_OPTION_KEEP_ALIVE, 1));
    ck_assert(!berth_socket_connect_to_local(client->socket, path));
    settled_error(client, BERTH_ERROR_UNSUPPORTED_OPERATION,
                  "cannot connect to %s: an option is set that a Unix socket does not have");
    client = actor_new("d");
    ck_assert(berth_socket_set_option(client->socket, BERTH_OPTION_SEND_BUFFER_SIZE, 30000));
    ck_assert(berth_socket_connect_to_local(client->socket, path));
    ck_assert(berth_socket_set_option(client->socket, BERTH_OPTION_LOW_DELAY, 1));
    UNTIL(client->connects == 1);
    ck_assert_int_eq(berth_socket_error(client->socket), BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert(berth_socket_get_option(client->socket, BERTH_OPTION_SEND_BUFFER_SIZE, &value));
    ck_assert_int_eq(value, 60000);
}

CASE(no_proxy_leads_to_a_path, "Unix", "one's own is refused, the application's does not count")
{
    berth_proxy proxy = {.type = BERTH_PROXY_SOCKS5, .host = "127.0.0.1", .port = 1};
    struct host *host = host_at_path();
    struct host *other = host_new("i");
    struct actor *actor = actor_new("c");
    ck_assert(berth_proxy_set_application(&proxy));
    ck_assert(berth_socket_connect_to_local(actor->socket, path));
    UNTIL(actor->connects == 1);
    berth_socket_abort(actor->socket);
    ck_assert(berth_socket_set_proxy(actor->socket, &proxy));
    ck_assert(!berth_socket_connect_to_local(actor->socket, path));
    settled_error(actor, BERTH_ERROR_UNSUPPORTED_OPERATION,
                  "cannot connect to %s: no proxy leads to a Unix socket");
    ck_assert(berth_server_set_proxy(other->server, &proxy));
    ck_assert(!berth_server_listen_local(other->server, world_path("b"), NULL));
    ck_assert_int_eq(berth_server_error(other->server), BERTH_ERROR_UNSUPPORTED_OPERATION);
    proxy.type = BERTH_PROXY_NONE;
    ck_assert(berth_socket_set_proxy(actor->socket, &proxy));
    ck_assert(berth_socket_connect_to_local(actor->socket, path));
    UNTIL(actor->connects == 2);
    ck_assert(berth_proxy_set_application(NULL));
    berth_server_close(host->server);
}

CASE(bound_socket_and_a_path, "Unix", "a bound socket does not connect there, and is free again")
{
    struct host *host = host_at_path();
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_bind(actor->socket, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert(!berth_socket_connect_to_local(actor->socket, path));
    settled_error(actor, BERTH_ERROR_UNSUPPORTED_OPERATION,
                  "cannot connect to %s: a bound socket cannot connect to a path");
    berth_socket_abort(actor->socket);
    ck_assert(berth_socket_connect_to_local(actor->socket, path));
    ck_assert(!berth_socket_connect_to_local(actor->socket, path));
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_OPERATION);
    UNTIL(actor->connects == 1);
    berth_server_close(host->server);
}

/* ---- a full backlog -------------------------------------------------------------------------- */

CASE(full_backlog_is_waited_for, "Unix", "the connect is tried again until somebody accepts")
{
    path = world_path("a");
    world_loop();
    world_listen_local(path, 0);
    world_connect_local(path);
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_connect_to_local(actor->socket, path));
    berth_socket_write(actor->socket, "hello", 5);
    world_settle();
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTING);
    world_accept_local(path);
    UNTIL(actor->connects == 1);
    ck_assert(peer_hears(world_accept_local(path), "hello"));
}

CASE(full_backlog_and_the_limit, "Unix", "of time: then it has failed, in a blocking wait too")
{
    path = world_path("a");
    world_loop();
    world_listen_local(path, 0);
    world_connect_local(path);
    struct actor *actor = actor_new("c");
    berth_socket_set_connect_timeout(actor->socket, 30);
    ck_assert(berth_socket_connect_to_local(actor->socket, path));
    UNTIL(actor->errors == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
    ck_assert(berth_socket_connect_to_local(actor->socket, path));
    ck_assert(!berth_socket_wait_for_connected(actor->socket, world_for_ever()));
    ck_assert_uint_eq(actor->errors, 2);
    ck_assert(berth_socket_connect_to_local(actor->socket, path));
    world_turn();
    berth_socket_abort(actor->socket);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_UNCONNECTED);
    ck_assert(berth_socket_connect_to_local(actor->socket, path));
    world_unlisten_local(path);
    UNTIL(actor->errors == 3);
    ck_assert_int_eq(actor->error, BERTH_ERROR_CONNECTION_REFUSED);
    settled_error(actor, BERTH_ERROR_CONNECTION_REFUSED,
                  "cannot connect to %s: connection refused");
}

CASE(blocking_calls_to_a_path, "Unix waits", "connect, serve, read and write without a loop")
{
    struct host *host = host_at_path();
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_connect_to_local(actor->socket, path));
    ck_assert(berth_socket_wait_for_connected(actor->socket, 5000));
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
    struct actor *served = actor_on("s", berth_server_next_pending_connection(host->server));
    actor_say(actor, "hello");
    ck_assert(berth_socket_wait_for_bytes_written(actor->socket, 5000));
    ck_assert(berth_socket_wait_for_ready_read(served->socket, 5000));
    ck_assert(actor_has(served, "hello"));
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert(berth_socket_wait_for_disconnected(served->socket, 5000));
    ck_assert(!berth_server_wait_for_new_connection(host->server, 0, NULL));
    char expected[256];
    snprintf(expected, sizeof expected, "no new connection on %s: the wait timed out", path);
    ck_assert_str_eq(berth_server_error_string(host->server), expected);
}

/* ---- ends ------------------------------------------------------------------------------------ */

CASE(local_abort_keeps_what_was_sent, "Unix",
     "the peer reads it, then a reset for its unread bytes")
{
    struct peer *peer;
    struct actor *actor = take_from(host_at_path(), &peer);
    actor->reads = false;
    berth_socket_set_read_buffer_size(actor->socket, 1);
    actor_say(actor, "answer");
    UNTIL(actor->written == 6);
    peer_say(peer, "more than one byte");
    world_settle();
    berth_socket_reset(actor->socket);
    ck_assert(peer_hears(peer, "answer"));
    ck_assert(peer_saw_reset(peer));
    ck_assert_uint_eq(actor->disconnects, 1);
}

CASE(local_reset_of_an_idle_one, "Unix", "is an end for the peer")
{
    struct peer *peer;
    struct actor *actor = take_from(host_at_path(), &peer);
    berth_socket_reset(actor->socket);
    ck_assert(peer_saw_end(peer));
}

CASE(local_peer_resets, "Unix", "it closes with input unread: was_reset, once all input was read")
{
    struct peer *peer;
    struct actor *actor = take_from(host_at_path(), &peer);
    actor_say(actor, "unread");
    UNTIL(actor->written == 6);
    peer_say(peer, "last words");
    peer_close(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert(actor_has(actor, "last words"));
    ck_assert(berth_socket_was_reset(actor->socket));
    ck_assert_int_eq(actor->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
    settled_error(
        actor, BERTH_ERROR_REMOTE_HOST_CLOSED,
        "cannot read from the peer of a Unix socket: connection reset by the remote host");
}

CASE(local_write_to_nobody, "Unix", "the peer has closed: its last words come, and one end")
{
    struct peer *peer;
    struct actor *actor = take_from(host_at_path(), &peer);
    peer_say(peer, "last words");
    peer_close(peer);
    actor_say(actor, "nobody reads this");
    UNTIL(actor->disconnects == 1);
    ck_assert(actor_has(actor, "last words"));
    ck_assert_uint_eq(actor->errors, 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
}

CASE(local_graceful_end, "Unix", "a peer that goes on sending gets all output, and the end")
{
    struct peer *peer;
    struct actor *actor = take_from(host_at_path(), &peer);
    peer_say(peer, "request");
    UNTIL(actor_has(actor, "request"));
    actor_say(actor, "answer");
    berth_socket_disconnect_from_host(actor->socket);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(peer_send_some(peer, "more", 4), 4);
    world_settle();
    ck_assert_uint_eq(peer_send_some(peer, "more", 4), 4);
    ck_assert(peer_hears(peer, "answer"));
    ck_assert(peer_saw_end(peer));
}

CASE(local_half_close, "Unix", "each direction ends by itself")
{
    struct peer *peer;
    struct actor *actor = actor_at_path(&peer);
    berth_socket_set_half_close(actor->socket, true);
    peer_shutdown(peer);
    UNTIL(actor->finishes == 1);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
    actor_say(actor, "answer");
    berth_socket_shutdown_send(actor->socket);
    ck_assert(peer_hears(peer, "answer"));
    ck_assert(peer_saw_end(peer));
    UNTIL(actor->disconnects == 1);
    actor = actor_at_path(&peer);
    berth_socket_shutdown_send(actor->socket);
    ck_assert(peer_saw_end(peer));
    peer_say(peer, "still here");
    UNTIL(actor_has(actor, "still here"));
    peer_close(peer);
    UNTIL(actor->disconnects == 1);
}

CASE(local_output_beyond_the_buffer, "Unix", "waits for the peer to read, and is all there")
{
    struct peer *peer;
    size_t size = 1000000;
    uint8_t *bytes = scene_pattern(size, 5);
    uint8_t *got = malloc(size);
    struct actor *actor = take_from(host_at_path(), &peer);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, size), (ptrdiff_t)size);
    berth_socket_disconnect_from_host(actor->socket);
    world_settle();
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CLOSING);
    ck_assert_uint_eq(peer_receive(peer, got, size), size);
    ck_assert_mem_eq(got, bytes, size);
    ck_assert(peer_saw_end(peer));
    UNTIL(actor->disconnects == 1);
    free(bytes);
    free(got);
}

CASE(local_peer_reads_no_more, "Unix", "but stays: a write ends the connection behind its input")
{
    real_kernel_only();
    int ends[2];
    struct actor *actor = actor_new("c");
    make_pair(ends);
    ck_assert(berth_socket_set_descriptor(actor->socket, ends[0]));
    ck_assert_int_eq(send(ends[1], "last words", 10, MSG_NOSIGNAL), 10);
    ck_assert_int_eq(shutdown(ends[1], SHUT_RD), 0);
    UNTIL(actor_has(actor, "last words"));
    actor_say(actor, "nobody reads this");
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
    close(ends[1]);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

CASE(local_descriptors_are_adopted, "Unix", "a connection, and one that was released before")
{
    struct peer *peer;
    struct actor *actor = actor_new("c");
    world_loop();
    ck_assert(berth_socket_set_descriptor(actor->socket, world_local_descriptor(&peer)));
    ck_assert_int_eq(berth_socket_peer_address(actor->socket).family, BERTH_ADDRESS_FAMILY_LOCAL);
    peer_say(peer, "hello");
    UNTIL(actor_has(actor, "hello"));
    int descriptor = world_note(berth_socket_release(actor->socket));
    ck_assert_int_ge(descriptor, 0);
    ck_assert_uint_eq(actor->disconnects, 1);
    peer_say(peer, "again");
    struct actor *next = actor_new("d");
    ck_assert(berth_socket_set_descriptor(next->socket, descriptor));
    UNTIL(actor_has(next, "again"));
    actor_say(next, "answer");
    ck_assert(peer_hears(peer, "answer"));
    peer_close(peer);
    UNTIL(next->disconnects == 1);
}

CASE(local_incoming_is_adopted, "Unix", "by the base behaviour, as of another process")
{
    struct peer *peer;
    struct host *host = host_listening("h");
    berth_server_base_incoming_connection(host->server, world_local_descriptor(&peer));
    struct actor *actor = host_take_actor(host, "s");
    peer_say(peer, "hello");
    UNTIL(actor_has(actor, "hello"));
    ck_assert(!berth_socket_set_option(actor->socket, BERTH_OPTION_LOW_DELAY, 1));
}

static void send_with_descriptor(int socket_, const char *text, ssize_t expected)
{
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec bytes = {(void *)(uintptr_t)text, strlen(text)};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control};
    message.msg_controllen = sizeof control;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &socket_, sizeof socket_);
    ck_assert_int_eq(sendmsg(socket_, &message, MSG_NOSIGNAL), expected);
}

CASE(descriptors_sent_along, "Unix", "are closed, and the bytes around them come without delay")
{
    real_kernel_only();
    int ends[2];
    struct actor *actor = actor_new("c");
    make_pair(ends);
    ck_assert(berth_socket_set_descriptor(actor->socket, ends[0]));
    for (int i = 0; i < 3; i++) {
        send_with_descriptor(ends[1], "a", 1);
        ck_assert_int_eq(send(ends[1], "b", 1, MSG_NOSIGNAL), 1);
        send_with_descriptor(ends[1], "c", 1);
        UNTIL(actor->received == 3u * (unsigned)(i + 1));
    }
    ck_assert(actor_has(actor, "abcabcabc"));
    close(ends[1]);
    UNTIL(actor->disconnects == 1);
}

CASE(local_urgent_bytes, "Unix", "are left out, and nothing waits for them")
{
    real_kernel_only();
    int ends[2];
    struct actor *actor = actor_new("c");
    make_pair(ends);
    ck_assert(berth_socket_set_descriptor(actor->socket, ends[0]));
    ck_assert_int_eq(send(ends[1], "ab", 2, MSG_NOSIGNAL), 2);
    if (send(ends[1], "!", 1, MSG_OOB | MSG_NOSIGNAL) < 0)
        case_skip("the kernel has no urgent bytes of Unix sockets");
    ck_assert_int_eq(send(ends[1], "cd", 2, MSG_NOSIGNAL), 2);
    UNTIL(actor_has(actor, "abcd"));
    ck_assert_int_eq(send(ends[1], "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
    world_settle();
    ck_assert_int_eq(send(ends[1], "ef", 2, MSG_NOSIGNAL), 2);
    UNTIL(actor_has(actor, "abcdef"));
    close(ends[1]);
    UNTIL(actor->disconnects == 1);
}
