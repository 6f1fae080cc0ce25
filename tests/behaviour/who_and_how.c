/*
 * Who a connection was with, and how it has ended: the peer's name after a reset, in handlers and
 * in texts, and what tells a reset from a graceful end.
 */
#include "case.h"
#include "fault.h"
#include "scene.h"

#include <berth/berth.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static unsigned looks;

/* The peer of the case, from the outside. */
static char peer_text[BERTH_ENDPOINT_TEXT_SIZE];
static uint16_t port_of_peer;

static void note(struct peer *peer)
{
    port_of_peer = peer_port(peer);
    snprintf(peer_text, sizeof peer_text, "127.0.0.1:%u", (unsigned)port_of_peer);
    looks = 0;
}

static void look(struct actor *actor)
{
    berth_address here = BERTH_ADDRESS_LOOPBACK;
    ck_assert(berth_address_equal(berth_socket_peer_address(actor->socket), here));
    ck_assert_uint_eq(berth_socket_peer_port(actor->socket), port_of_peer);
    looks++;
}

static struct actor *take(struct host *host)
{
    struct actor *actor = host_take_actor(host, "s");
    actor->on_error = actor->on_disconnected = look;
    return actor;
}

static void expect_text(const struct actor *actor, const char *what, const char *why)
{
    char text[200];
    snprintf(text, sizeof text, "cannot %s %s: %s", what, peer_text, why);
    ck_assert_str_eq(berth_socket_error_string(actor->socket), text);
}

CASE(reset_has_a_peer, "S3.31", "address, port and text of who has reset, which is told apart")
{
    struct host *host = host_listening("h");
    struct peer *peer = world_connect(host->port);
    note(peer);
    struct actor *actor = take(host);
    ck_assert(!berth_socket_was_reset(actor->socket));
    peer_say(peer, "hello");
    UNTIL(actor->received == 5);
    peer_reset(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(looks, 2);
    ck_assert_int_eq(actor->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
    ck_assert(berth_socket_was_reset(actor->socket));
    expect_text(actor, "read from", "connection reset by the remote host");
}

CASE(reset_that_a_flush_is_told_of, "S3.31", "the kernel tells once, and it is no end for that")
{
    struct host *host = host_listening("h");
    struct peer *peer = world_connect(host->port);
    note(peer);
    struct actor *actor = take(host);
    peer_reset(peer);
    ck_assert_int_eq(berth_socket_write(actor->socket, "x", 1), 1);
    ck_assert(berth_socket_flush(actor->socket));
    /* Finds that the input has ended, and leaves it to the loop. */
    (void)berth_server_wait_for_new_connection(host->server, 20, NULL);
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
    ck_assert(berth_socket_was_reset(actor->socket));
    expect_text(actor, "read from", "connection reset by the remote host");
}

CASE(reset_before_it_was_taken, "S2.9", "a reset in the queue has a peer as well")
{
    struct host *host = host_listening("h");
    struct peer *peer = world_connect(host->port);
    note(peer);
    UNTIL(host->new_connections == 1);
    peer_reset(peer);
    world_settle();
    struct actor *actor = take(host);
    look(actor);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(looks, 3);
    ck_assert(berth_socket_was_reset(actor->socket));
}

CASE(graceful_end_is_no_reset, "S3.31", "the same class, another text, and not reset")
{
    struct host *host = host_listening("h");
    struct peer *peer = world_connect(host->port);
    note(peer);
    struct actor *actor = take(host);
    peer_close(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(looks, 2);
    ck_assert_int_eq(actor->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
    ck_assert(!berth_socket_was_reset(actor->socket));
    expect_text(actor, "read from", "the remote host closed the connection");
}

CASE(own_end_is_no_reset, "S3.31", "nor is an end by this side, with or without a reset")
{
    struct host *host = host_listening("h");
    for (int i = 0; i < 2; i++) {
        struct peer *peer = world_connect(host->port);
        struct actor *actor = host_take_actor(host, "s");
        if (i == 0)
            berth_socket_disconnect_from_host(actor->socket);
        else
            berth_socket_reset(actor->socket);
        UNTIL(actor->disconnects == 1);
        ck_assert(!berth_socket_was_reset(actor->socket));
        peer_close(peer);
    }
}

CASE(reset_told_by_a_write, "S3.31", "writing into a reset connection ends as one that was reset")
{
    struct host *host = host_listening("h");
    struct peer *peer = world_connect(host->port);
    note(peer);
    struct actor *actor = take(host);
    actor_say(actor, "unread");
    world_settle();
    peer_reset(peer);
    for (int i = 0; i < 3 && actor->disconnects == 0; i++)
        actor_say(actor, "more");
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(looks, 2);
    ck_assert(berth_socket_was_reset(actor->socket));
}

CASE(limit_names_the_peer, "S3.18", "the text of a limit too, also when it is read later")
{
    struct host *host = host_new("h");
    berth_connection_limits limits = {.first_byte = 20};
    berth_server_set_connection_limits(host->server, &limits);
    host_listen(host);
    struct peer *peer = world_connect(host->port);
    note(peer);
    struct actor *actor = take(host);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(looks, 2);
    ck_assert(!berth_socket_was_reset(actor->socket));
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actor->socket), peer_text));
}

CASE(next_connection_forgets_the_reset, "S3.31", "getter and text belong to the last connection")
{
    struct host *host = host_listening("h");
    struct peer *peer = world_connect(host->port);
    struct actor *actor = host_take_actor(host, "s");
    peer_reset(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert(berth_socket_was_reset(actor->socket));
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    ck_assert(!berth_socket_was_reset(actor->socket));
    ck_assert_str_eq(berth_socket_error_string(actor->socket), "");
    UNTIL(actor->connects == 1);
    berth_socket_abort(actor->socket);
}

CASE(no_local_port_is_left, "S3.18", "the text says what was missing, which is not the target")
{
    if (world_is_simulated())
        case_skip("the simulated kernel connects without a system call");
    uint16_t port = world_listen(1);
    struct actor *actor = actor_new("s");
    char text[200];
    berth__fault_set_system(0, 1, EADDRNOTAVAIL, "connect");
    (void)berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port);
    UNTIL(actor->errors == 1);
    berth__fault_clear();
    ck_assert_int_eq(actor->error, BERTH_ERROR_NETWORK);
    snprintf(text, sizeof text,
             "cannot connect to 127.0.0.1:%u: no local address or port is left for it",
             (unsigned)port);
    ck_assert_str_eq(berth_socket_error_string(actor->socket), text);
}
