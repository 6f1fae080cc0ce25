/*
 * Who a connection was with, and how it has ended: the peer's name after a reset, in handlers and
 * in texts, and what tells a reset from a graceful end.
 */
#include "base/fault.h"
#include "case.h"
#include "scene.h"

#include <berth/berth.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MUCH = 65536,   /* bytes, all that one run receives */
    MORE = 16 << 20 /* bytes, more than the kernel takes */
};

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
    ck_assert(!berth_socket_was_reset(actor->socket)); /* before error_occurred */
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

static unsigned resets_seen; /* in error_occurred */

static void look_for_reset(struct actor *actor)
{
    resets_seen += berth_socket_was_reset(actor->socket);
}

static void expect_reset(struct actor *actor)
{
    ck_assert_int_eq(actor->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
    ck_assert_uint_eq(resets_seen, 1);
    ck_assert(berth_socket_was_reset(actor->socket));
}

CASE(reset_that_a_write_is_told_of, "S3.31", "what the receive finds then is no graceful end")
{
    struct host *host = host_listening("h");
    struct peer *peer = world_connect(host->port);
    note(peer);
    struct actor *actor = take(host);
    actor->on_error = look_for_reset;
    world_settle(); /* its receive is under way */
    peer_reset(peer);
    actor_say(actor, "too late");
    UNTIL(actor->disconnects == 1);
    expect_reset(actor);
    expect_text(actor, "read from", "connection reset by the remote host");
}

CASE(reset_that_a_wait_to_write_is_told_of, "S3.31 S3.23", "also on a connection of its own making")
{
    struct peer *peer;
    struct actor *actor = actor_connected("s", &peer);
    actor->on_error = look_for_reset;
    world_settle();
    peer_reset(peer);
    actor_say(actor, "too late");
    ck_assert(!berth_socket_wait_for_bytes_written(actor->socket, 1000));
    UNTIL(actor->disconnects == 1);
    expect_reset(actor);
}

CASE(reset_that_a_write_is_told_of_where_input_is_limited, "S3.31 S3.13",
     "with all that was sent before it read first")
{
    struct peer *peer;
    struct actor *actor = actor_connected("s", &peer);
    actor->on_error = look_for_reset;
    actor->reads = false;
    berth_socket_set_read_buffer_size(actor->socket, 4);
    peer_say(peer, "12345678");
    UNTIL(berth_socket_bytes_available(actor->socket) == 4);
    peer_reset(peer);
    actor_say(actor, "too late");
    world_settle();
    char text[8];
    while (berth_socket_read(actor->socket, text, sizeof text) > 0)
        world_turn();
    UNTIL(actor->disconnects == 1);
    expect_reset(actor);
}

static void answer_once(struct actor *actor)
{
    actor->on_ready_read = NULL;
    actor_say(actor, "too late");
}

CASE(reset_that_a_submission_is_told_of, "S3.31", "outside of a turn, while a run has more to read")
{
    struct peer *peer;
    struct peer *other_peer;
    struct actor *actor = actor_connected("s", &peer);
    struct actor *other = actor_connected("o", &other_peer);
    actor->on_error = look_for_reset;
    actor->on_ready_read = answer_once;
    berth_socket_set_read_buffer_size(actor->socket, 1 << 20);
    uint8_t *bytes = scene_pattern(MUCH, 7);
    world_settle();
    ck_assert_uint_gt(peer_send_some(peer, bytes, MUCH), 0);
    free(bytes);
    for (int i = 0; i < 1000 && actor->on_ready_read != NULL; i++)
        berth_loop_turn(world_loop(), 1);
    peer_reset(peer);
    actor_say(other, "submits both");
    ck_assert(berth_socket_flush(other->socket));
    (void)berth_socket_wait_for_disconnected(actor->socket, 1000);
    UNTIL(actor->disconnects == 1);
    expect_reset(actor);
}

CASE(reset_that_is_not_announced_yet, "S3.31",
     "a connection that is open was not reset, and what this side ends never was")
{
    struct peer *peer;
    struct actor *actor = actor_connected("s", &peer);
    actor->reads = false;
    berth_socket_set_read_buffer_size(actor->socket, 4);
    peer_say(peer, "12345678");
    UNTIL(berth_socket_bytes_available(actor->socket) == 4);
    peer_reset(peer);
    actor_say(actor, "too late");
    ck_assert(berth_socket_flush(actor->socket));
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
    ck_assert(!berth_socket_was_reset(actor->socket));
    berth_socket_abort(actor->socket);
    ck_assert_uint_eq(actor->errors, 0);
    ck_assert(!berth_socket_was_reset(actor->socket));
}

CASE(reset_behind_the_end_is_known, "S3.31", "whoever finds it: a receive, or a send")
{
    struct host *host = host_listening("h");
    for (int i = 0; i < 2; i++) {
        struct peer *peer = world_connect(host->port);
        note(peer);
        struct actor *actor = take(host);
        uint8_t *bytes = scene_pattern(MORE, 7);
        ck_assert_int_eq(berth_socket_write(actor->socket, bytes, MORE), MORE);
        free(bytes);
        world_settle();
        peer_shutdown(peer);
        UNTIL(berth_socket_state(actor->socket) == BERTH_STATE_CLOSING);
        ck_assert(!berth_socket_was_reset(actor->socket));
        peer_reset(peer);
        if (i == 1)
            (void)berth_socket_flush(actor->socket);
        UNTIL(actor->disconnects == 1);
        ck_assert(berth_socket_was_reset(actor->socket));
        ck_assert_uint_eq(actor->errors, 1);
    }
}

CASE(time_out_that_a_flush_is_told_of, "S3.31", "is no reset, though the input only ends then")
{
    if (world_is_simulated())
        case_skip("the simulated kernel sends without a system call");
    struct peer *peer;
    struct actor *actor = actor_connected("s", &peer);
    actor_say(actor, "too late");
    berth__fault_set_system(0, 1, ETIMEDOUT, "send");
    ck_assert(berth_socket_flush(actor->socket));
    berth__fault_clear();
    peer_close(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_NETWORK);
    ck_assert(!berth_socket_was_reset(actor->socket));
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
    snprintf(text, sizeof text, "cannot connect to 127.0.0.1:%u: no local address or port left",
             (unsigned)port);
    ck_assert_str_eq(berth_socket_error_string(actor->socket), text);
}
