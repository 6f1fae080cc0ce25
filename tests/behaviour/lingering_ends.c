/*
 * Connections that have ended gracefully while their peers may still be sending: they have no
 * socket any more, but a descriptor, and so they count.
 */
#include "scene.h"

#define LIMIT 5

static berth_server_counts counts_of(const struct host *host)
{
    berth_server_counts counts;
    berth_server_statistics(host->server, &counts);
    scene_assert_balance(&counts);
    return counts;
}

static berth_loop_counts counts_of_loop(void)
{
    berth_loop_counts counts;
    berth_loop_statistics(world_loop(), &counts);
    return counts;
}

static void answer_and_end(struct actor *actor)
{
    actor_say(actor, "answer");
    berth_socket_disconnect_from_host(actor->socket);
}

/* One that speaks, is answered, and stays. */
static struct peer *linger(struct host *host)
{
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->on_ready_read = answer_and_end;
    actor->on_disconnected = actor_free_socket;
    peer_say(peer, "x");
    UNTIL(actor->disconnects == 1);
    return peer;
}

CASE(lingering_counts_for_its_address, "D20 reliability 22",
     "until the peer ends too; one more of the same address is rejected")
{
    const berth_accept_limits limits = {.per_address = LIMIT};
    struct host *host = host_listening("h");
    berth_server_set_accept_limits(host->server, &limits);
    struct peer *peers[LIMIT];
    for (int i = 0; i < LIMIT; i++)
        peers[i] = linger(host);
    ck_assert_uint_eq(counts_of(host).live, 0);
    ck_assert_uint_eq(counts_of(host).lingering, LIMIT);
    ck_assert_uint_eq(counts_of_loop().lingering, LIMIT);
    struct peer *rejected = world_connect(host->port);
    UNTIL(counts_of(host).rejected_address == 1);
    ck_assert(peer_saw_either(rejected));
    for (int i = 0; i < LIMIT; i++) {
        ck_assert(peer_hears(peers[i], "answer"));
        peer_close(peers[i]);
    }
    UNTIL(counts_of(host).lingering == 0);
    host_connect(host, "t", &rejected);
    ck_assert_uint_eq(counts_of(host).rejected_address, 1);
}

/* Answers in place of another socket, and ends. */
static void take_up_and_end(int descriptor)
{
    ck_assert_int_ge(world_note(descriptor), 0);
    struct actor *actor = actor_new("o");
    ck_assert(berth_socket_set_descriptor(actor->socket, descriptor));
    actor_say(actor, "answer");
    UNTIL(actor->written == 6);
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert_uint_eq(actor->disconnects, 1);
}

CASE(lingering_after_a_change_of_hands, "0063 0064",
     "the peer has spoken to another socket before: the one that ends lingers for it")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    take_up_and_end(berth_socket_release(actor->socket));
    ck_assert_uint_eq(counts_of_loop().lingering, 0);
    ck_assert(peer_hears(peer, "answer"));
    actor = host_connect(host, "t", &peer);
    peer_say(peer, "x");
    UNTIL(actor->received == 1);
    take_up_and_end(berth_socket_release(actor->socket));
    ck_assert_uint_eq(counts_of_loop().lingering, 1);
    ck_assert(peer_hears(peer, "answer"));
    peer_close(peer);
    UNTIL(counts_of_loop().lingering == 0);
}

CASE(lingering_gives_up_its_descriptor, "S2.6 reliability 22",
     "accepting finds none left: the oldest is closed, and nobody is told of a lack")
{
    struct host *host = host_listening("h");
    for (int i = 0; i < 20; i++)
        linger(host);
    ck_assert_uint_eq(counts_of(host).lingering, 20);
    struct peer *peer = world_connect(host->port);
    world_exhaust(0);
    UNTIL(host->new_connections == 21);
    world_relieve();
    ck_assert_uint_eq(host->accept_errors, 0);
    ck_assert_uint_ge(counts_of_loop().lingers_cut, 1);
    ck_assert_uint_lt(counts_of(host).lingering, 20);
    host_take_actor(host, "t");
    peer_close(peer);
}

CASE(server_goes_before_what_lingers, "D20 reliability 22", "its counts are left to nobody")
{
    const berth_accept_limits limits = {.per_address = LIMIT};
    struct host *host = host_listening("h");
    berth_server_set_accept_limits(host->server, &limits);
    struct peer *first = linger(host);
    struct peer *second = linger(host);
    berth_server_free(host->server);
    ck_assert_uint_eq(counts_of_loop().lingering, 2);
    ck_assert(peer_hears(first, "answer"));
    peer_close(first);
    UNTIL(counts_of_loop().lingering == 1);
    ck_assert(peer_hears(second, "answer"));
    peer_close(second);
    UNTIL(counts_of_loop().lingering == 0);
}
