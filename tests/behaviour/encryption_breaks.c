/*
 * Encrypted connections that break: the kernel reports an error of the connection once, and what
 * the engine sends of its own may meet it before the input does. The engine is a toy
 * (support/toy_engine.h).
 */
#include "encrypted.h"

#include "backend/sim.h"
#include "base/fault.h"

#include <errno.h>
#include <string.h>

static void assert_reset(struct actor *server)
{
    UNTIL(server->disconnects == 1);
    ck_assert_uint_eq(server->errors, 1);
    ck_assert_int_eq(server->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
    ck_assert(berth_socket_was_reset(server->socket));
}

CASE(end_of_output_meets_a_reset, "tls.h", "which is told as one, with half-close or not")
{
    for (unsigned i = 0; i < 4; i++) {
        struct peer *peer;
        uint8_t bytes[16];
        bool early = i >= 2; /* the end follows the handshake */
        struct actor *server = early ? greeted_by(toy_new(true), &peer) : encrypted_with(&peer);
        berth_socket_set_half_close(server->socket, i % 2 == 1);
        if (early) {
            berth_socket_shutdown_send(server->socket);
            peer_send(peer, bytes, toy_record('c', "client", 6, bytes));
        }
        peer_reset(peer);
        berth_socket_shutdown_send(server->socket);
        ck_assert_uint_eq(server->errors, 0);
        assert_reset(server);
    }
}

CASE(end_of_output_that_cannot_be_sent, "tls.h", "is told: the peer takes it for a truncation")
{
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    if (world_is_simulated())
        berth__sim_fail_send(world_sim(), ENOBUFS, 1);
    else
        berth__fault_set_system(0, 1, ENOBUFS, "send");
    berth_socket_shutdown_send(server->socket);
    berth__fault_clear();
    ck_assert_uint_eq(server->errors, 0);
    UNTIL(server->disconnects == 1);
    ck_assert_uint_eq(server->errors, 1);
    ck_assert_int_eq(server->error, BERTH_ERROR_SOCKET_RESOURCE);
    ck_assert(!berth_socket_was_reset(server->socket));
    ck_assert(peer_saw_either(peer));
}

CASE(output_meets_a_reset_behind_the_orderly_end, "tls.h", "which is told, though the end was")
{
    struct peer *peer;
    uint8_t bytes[16];
    struct actor *server = encrypted_with(&peer);
    berth_socket_set_half_close(server->socket, true);
    peer_send(peer, bytes, toy_record('e', "", 0, bytes));
    UNTIL(server->finishes == 1);
    peer_reset(peer);
    actor_say(server, "answer");
    (void)berth_socket_flush(server->socket);
    assert_reset(server);
}

/* A client whose hello has gone in part, to a kernel that has room for no more of it. */
static struct actor *choked(struct peer **ret_peer)
{
    struct toy *toy = toy_new(false);
    world_loop();
    berth__sim_settings_of(world_sim())->buffer_size = 5;
    struct actor *client = actor_connected("c", ret_peer);
    berth_socket_set_connect_timeout(client->socket, 0);
    ck_assert(berth_socket_start_client_encryption(client->socket, &toy->tls, "x"));
    berth_tls_release(&toy->tls);
    world_settle();
    return client;
}

/* There is room for more of the hello, and its send fails. Nothing comes of that in the input. */
static void break_output(struct peer *peer)
{
    uint8_t bytes[5];
    berth__sim_fail_send(world_sim(), ECONNRESET, 1);
    ck_assert_uint_eq(peer_receive_some(peer, bytes, sizeof bytes), sizeof bytes);
    world_settle();
}

CASE(reset_behind_a_failed_handshake, "tls.h", "ends the wait for what is left of it to go")
{
    if (!world_is_simulated())
        case_skip("the buffers are too large");
    struct peer *peer;
    uint8_t bytes[4];
    struct actor *client = choked(&peer);
    berth_socket_set_close_timeout(client->socket, 0);
    peer_send(peer, bytes, toy_record('a', "", 0, bytes));
    UNTIL(client->errors == 1);
    ck_assert_uint_eq(client->disconnects, 0);
    break_output(peer);
    ck_assert_uint_eq(client->disconnects, 1);
    ck_assert_uint_eq(client->errors, 1);
}

/* The time begins anew where no look precedes it. */
static void let_pass(uint64_t milliseconds)
{
    for (int i = 0; i < 4; i++) {
        berth__sim_advance(world_sim(), milliseconds * 1000000);
        world_settle();
    }
}

CASE(limit_of_closing_behind_a_failed_send, "tls.h", "is kept when another is set")
{
    if (!world_is_simulated())
        case_skip("the time is virtual");
    struct peer *peer;
    struct actor *client = choked(&peer);
    berth_socket_disconnect_from_host(client->socket);
    break_output(peer);
    ck_assert_uint_eq(client->disconnects, 0);
    berth_socket_set_close_timeout(client->socket, 1000);
    let_pass(60000);
    ck_assert_uint_eq(client->disconnects, 1);
}

CASE(limit_of_closing_set_behind_a_failed_send, "tls.h",
     "is that from then on, though there was none or a longer one")
{
    if (!world_is_simulated())
        case_skip("the time is virtual");
    for (unsigned i = 0; i < 2; i++) {
        struct peer *peer;
        struct actor *client = choked(&peer);
        berth_socket_set_close_timeout(client->socket, i * 60000);
        berth_socket_disconnect_from_host(client->socket);
        break_output(peer);
        ck_assert_uint_eq(client->disconnects, 0);
        berth_socket_set_close_timeout(client->socket, 1000);
        let_pass(1001);
        ck_assert_uint_eq(client->disconnects, 1);
        ck_assert_int_eq(client->error, BERTH_ERROR_SOCKET_TIMEOUT);
    }
}

/* A server's end for which a stream without the orderly end is an error. */
static struct actor *strict(struct peer **ret_peer)
{
    struct toy *toy = toy_new(true);
    toy->tls.stop_at_truncation = true;
    return encrypted_by(toy, ret_peer);
}

CASE(output_meets_a_reset_where_truncation_is_an_error, "tls.h", "which is told as the reset it is")
{
    for (unsigned i = 0; i < 2; i++) {
        struct peer *peer;
        struct actor *server = strict(&peer);
        peer_reset(peer);
        if (i == 0) {
            actor_say(server, "answer");
            (void)berth_socket_flush(server->socket);
        } else {
            berth_socket_shutdown_send(server->socket);
        }
        assert_reset(server);
        ck_assert(berth_socket_tls_was_truncated(server->socket));
        ck_assert_ptr_null(strstr(berth_socket_error_string(server->socket), "close_notify"));
    }
}

CASE(hello_meets_a_reset, "tls.h",
     "and the text says so, not that the peer has ended the connection")
{
    struct peer *peer;
    struct toy *toy = toy_new(false);
    world_loop();
    struct actor *client = actor_connected("c", &peer);
    peer_reset(peer);
    ck_assert(berth_socket_start_client_encryption(client->socket, &toy->tls, "x"));
    berth_tls_release(&toy->tls);
    (void)berth_socket_flush(client->socket);
    UNTIL(client->disconnects == 1);
    ck_assert_int_eq(client->error, BERTH_ERROR_TLS_HANDSHAKE_FAILED);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(client->socket), "was reset"));
}

static void turn_inside(struct actor *actor)
{
    actor->on_error = NULL;
    world_turn();
}

CASE(turn_inside_the_error_of_a_late_handshake, "tls.h", "announces no end that has not come")
{
    if (!world_is_simulated())
        case_skip("the time is virtual");
    struct peer *peer;
    struct toy *toy = toy_new(false);
    world_loop();
    struct actor *client = actor_connected("c", &peer);
    client->on_error = turn_inside;
    ck_assert(berth_socket_start_client_encryption(client->socket, &toy->tls, "x"));
    berth_tls_release(&toy->tls);
    berth__sim_advance(world_sim(), UINT64_C(60000000000));
    UNTIL(client->disconnects == 1);
    ck_assert_uint_eq(client->errors, 1);
    ck_assert_int_eq(client->error, BERTH_ERROR_SOCKET_TIMEOUT);
}
