/*
 * Encrypted connections that break: the kernel reports an error of the connection once, and what
 * the engine sends of its own may meet it before the input does. The engine is a toy
 * (support/toy_engine.h).
 */
#include "encrypted.h"

#include "backend/sim.h"
#include "base/fault.h"

#include <errno.h>

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
