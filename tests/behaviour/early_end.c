/*
 * Peers that are gone before anybody has looked at them.
 */
#include "scene.h"

#include <string.h>

static void ends_before_accept(void (*end)(struct peer *), bool says)
{
    struct host *host = host_listening("h");
    struct peer *peer = world_connect(host->port);
    if (says)
        ck_assert_uint_eq(peer_send_some(peer, "last words", 10), 10);
    end(peer);
    UNTIL(host->new_connections == 1);
    world_settle();
    ck_assert_uint_eq(host->accept_errors, 0);
    berth_socket *socket = berth_server_next_pending_connection(host->server);
    ck_assert_ptr_nonnull(socket);
    UNTIL(berth_socket_state(socket) == BERTH_STATE_UNCONNECTED);
    char bytes[32];
    if (says) {
        ck_assert_uint_eq(berth_socket_bytes_available(socket), 10);
        ck_assert_int_eq(berth_socket_read(socket, bytes, sizeof bytes), 10);
        ck_assert_mem_eq(bytes, "last words", 10);
    }
    ck_assert_int_eq(berth_socket_read(socket, bytes, sizeof bytes), -1);
    ck_assert_int_eq(berth_socket_error(socket), BERTH_ERROR_REMOTE_HOST_CLOSED);
    /* The server is as good as before. */
    world_connect(host->port);
    UNTIL(host->new_connections == 2);
}

CASE(peer_closes_before_accept, "S2.9 S1.41",
     "accepted like any other, then disconnected; its data stay readable")
{
    ends_before_accept(peer_close, true);
}

CASE(silent_peer_closes_before_accept, "S2.9", "the same without data")
{
    ends_before_accept(peer_close, false);
}

CASE(peer_resets_before_accept, "S2.9", "a reset before accept, with data that stay readable")
{
    ends_before_accept(peer_reset, true);
}

CASE(silent_peer_resets_before_accept, "S2.9", "a reset before accept, without data")
{
    ends_before_accept(peer_reset, false);
}

CASE(fifty_resets_before_accept, "reliability 5",
     "a storm of resets leaks nothing and stops nothing")
{
    struct host *host = host_listening("h");
    host->takes = true;
    for (unsigned i = 0; i < 45; i++)
        peer_reset(world_connect(host->port));
    UNTIL(host->new_connections == 45);
    for (unsigned i = 0; i < 45; i++) {
        UNTIL(host->taken[i]->disconnects == 1);
        actor_free_socket(host->taken[i]);
    }
    struct peer *peer = world_connect(host->port);
    UNTIL(host->count == 46);
    actor_say(host->taken[45], "hello");
    ck_assert(peer_hears(peer, "hello"));
}

CASE(gone_while_pending, "S2.9 S1.41",
     "a peer that goes while its socket is pending leaves it in the queue; who takes it is told")
{
    struct host *host = host_listening("h");
    struct peer *peer = world_connect(host->port);
    UNTIL(host->new_connections == 1);
    peer_say(peer, "x");
    peer_close(peer);
    world_settle();
    ck_assert(berth_server_has_pending_connections(host->server));
    struct actor *actor = actor_on("s", berth_server_next_pending_connection(host->server));
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 1);
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_UNCONNECTED);
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 1);
}

/* The socket of a peer that has half-closed while nobody had taken it, with the end held back. */
static berth_socket *taken_after_the_end(struct peer **ret_peer)
{
    struct host *host = host_listening("h");
    *ret_peer = world_connect(host->port);
    UNTIL(host->new_connections == 1);
    peer_shutdown(*ret_peer);
    world_settle();
    return berth_server_next_pending_connection(host->server);
}

CASE(answer_to_a_half_close_while_pending, "S3.32 S2.9",
     "what is written on taking a socket whose peer has half-closed is sent")
{
    struct peer *peer;
    struct actor *actor = actor_on("s", taken_after_the_end(&peer));
    berth_socket_set_half_close(actor->socket, true);
    actor_say(actor, "answer");
    ck_assert(peer_hears(peer, "answer"));
    ck_assert_uint_eq(actor->finishes, 1);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
}

CASE(disconnect_on_taking_after_the_end, "S3.33 S2.9",
     "output and a disconnect on taking a socket whose peer has ended: it is sent, then the end")
{
    struct peer *peer;
    struct actor *actor = actor_on("s", taken_after_the_end(&peer));
    actor_say(actor, "answer");
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert(peer_hears(peer, "answer"));
    UNTIL(actor->disconnects == 1);
}

static void reset_while_writing(bool turns_before)
{
    static char much[100000];
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor_say(actor, "x");
    ck_assert(peer_hears(peer, "x"));
    peer_reset(peer);
    for (unsigned i = 0; actor->disconnects == 0 && i < 200; i++) {
        berth_socket_write(actor->socket, much, sizeof much);
        if (turns_before)
            berth_loop_turn(world_loop(), 1);
    }
    UNTIL(actor->disconnects == 1);
    world_settle();
    ck_assert_uint_eq(actor->errors, 1);
}

CASE(reset_before_a_write, "S3.30",
     "a write that runs into a reset ends the connection with one error")
{
    reset_while_writing(false);
}

CASE(reset_between_writes, "S3.30", "the same where the program writes on in each turn")
{
    reset_while_writing(true);
}
