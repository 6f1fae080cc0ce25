/*
 * Output of encrypted connections, where it is passed to the kernel inside a call, and where it can
 * be encrypted no more. The engine is a toy (support/toy_engine.h).
 */
#include "encrypted.h"

#include "backend/sim.h"

/* The kernel takes so much, and all of it at once. */
static void simulate_room(size_t size)
{
    world_loop();
    if (!world_is_simulated())
        return;
    berth__sim_settings *settings = berth__sim_settings_of(world_sim());
    settings->buffer_size = size;
    settings->max_transfer = settings->max_delay = 0;
}

/* The record before that which cannot be encrypted waits for room: of a real kernel it is not known
 * when it does. */
static struct actor *unable_to_go_on(struct peer **ret_peer)
{
    simulate_room(37000);
    if (!world_is_simulated())
        case_skip("of a real kernel it is not known how much there is room for");
    struct toy *toy = toy_new(true);
    struct actor *server = encrypted_by(toy, ret_peer);
    toy->seals = 6; /* in the second batch */
    ck_assert_int_eq(berth_socket_write(server->socket, world_zeros(), 1 << 18), 1 << 18);
    world_settle();
    ck_assert_uint_eq(toy->seals, 0);
    ck_assert_uint_gt(berth_socket_encrypted_bytes_to_write(server->socket), 0);
    ck_assert_uint_eq(server->errors, 0);
    return server;
}

CASE(reset_before_a_failure_to_encrypt, "tls.h", "ends the connection: nothing else would")
{
    struct peer *peer;
    struct actor *server = unable_to_go_on(&peer);
    peer_reset(peer);
    UNTIL(server->disconnects == 1);
    ck_assert_uint_eq(server->errors, 1);
    ck_assert(berth_socket_was_reset(server->socket));
}

CASE(end_before_a_failure_to_encrypt, "tls.h", "and a record that has failed behind the peer's end")
{
    struct peer *peer;
    struct actor *server = unable_to_go_on(&peer);
    peer_shutdown(peer);
    world_settle();
    ck_assert_uint_eq(server->disconnects, 0);
    peer_reset(peer);
    UNTIL(server->disconnects == 1);
    ck_assert_uint_eq(server->errors, 1);
}
