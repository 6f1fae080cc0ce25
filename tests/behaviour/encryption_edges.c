/*
 * Encrypted connections at their edges: what the engine sends of its own when nobody takes it, or
 * when this side has ended, pauses from before the handshake, and turns of the loop inside
 * handlers. The engine is a toy (support/toy_engine.h).
 */
#include "scene.h"
#include "toy_engine.h"

#include "base/fault.h"

/* A server's end whose peer is played by hand; its handshake is complete. */
CASE(handshake_of_a_paused_client, "tls.h", "goes on: a pause is of what is read")
{
    for (unsigned i = 0; i < 2; i++) {
        struct toy *toy = toy_new(false);
        struct toy *server_toy = toy_new(true);
        struct host *host = host_listening("h");
        struct actor *client = actor_new("c");
        if (i == 0)
            ck_assert(berth_socket_set_tls(client->socket, &toy->tls, NULL));
        berth_socket_pause_reading(client->socket);
        ck_assert(
            berth_socket_connect_to_address(client->socket, BERTH_ADDRESS_LOOPBACK, host->port));
        struct actor *server = host_take_actor(host, "s");
        ck_assert(berth_socket_start_server_encryption(server->socket, &server_toy->tls));
        UNTIL(client->connects == 1);
        if (i == 1)
            ck_assert(berth_socket_start_client_encryption(client->socket, &toy->tls, NULL));
        UNTIL(client->encryptions == 1 && server->encryptions == 1);
        actor_say(server, "later");
        world_settle();
        ck_assert_uint_eq(client->ready_reads, 0);
        berth_socket_resume_reading(client->socket);
        UNTIL(actor_has(client, "later"));
        berth_tls_release(&toy->tls);
        berth_tls_release(&server_toy->tls);
    }
}

CASE(wait_of_a_paused_client, "tls.h", "sends its hello, without a loop")
{
    struct toy *toy = toy_new(false);
    struct peer *peer;
    struct actor *client = actor_connected("c", &peer);
    uint8_t hello[600];
    berth_socket_pause_reading(client->socket);
    ck_assert(berth_socket_start_client_encryption(client->socket, &toy->tls, "x"));
    ck_assert(!berth_socket_wait_for_encrypted(client->socket, 1));
    ck_assert_uint_eq(peer_receive_some(peer, hello, sizeof hello), toy_hello("x", NULL, hello));
    berth_tls_release(&toy->tls);
}
