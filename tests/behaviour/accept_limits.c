/*
 * What a server bears: connections of one address, connections in a second, and what becomes of
 * those that wait in the kernel.
 */
#include "scene.h"

#include "backend/sim.h"

#include <string.h>

static berth_server_counts counts_of(const struct host *host)
{
    berth_server_counts counts;
    berth_server_statistics(host->server, &counts);
    scene_assert_balance(&counts);
    return counts;
}

static struct host *limited(const char *name, berth_accept_limits limits)
{
    struct host *host = host_listening(name);
    berth_server_set_accept_limits(host->server, &limits);
    return host;
}

/* ---- connections of one address -------------------------------------------------------------- */

CASE(address_limit, "D20", "the third connection of an address is closed as it is accepted")
{
    struct host *host = limited("h", (berth_accept_limits){.per_address = 2});
    struct peer *peers[4];
    for (int i = 0; i < 4; i++)
        peers[i] = world_connect(host->port);
    UNTIL(counts_of(host).rejected_address == 2);
    ck_assert_uint_eq(host->new_connections, 2);
    ck_assert(peer_saw_either(peers[2]));
    ck_assert(peer_saw_either(peers[3]));
    ck_assert_uint_eq(counts_of(host).accepted, 4);
    ck_assert_uint_eq(counts_of(host).pending, 2);
    ck_assert_uint_eq(counts_of(host).live, 2);
    peer_say(peers[0], "still there");
    struct actor *first = host_take_actor(host, "s");
    UNTIL(first->received == strlen("still there"));
}

CASE(address_limit_makes_room, "D20", "an address whose connection has ended may have another")
{
    struct host *host = limited("h", (berth_accept_limits){.per_address = 1});
    struct peer *peer;
    for (unsigned i = 1; i <= 5; i++) {
        struct actor *actor = host_connect(host, "s", &peer);
        ck_assert_uint_eq(counts_of(host).live, 1);
        peer_close(peer);
        UNTIL(actor->disconnects == 1);
        ck_assert_uint_eq(counts_of(host).live, 0);
    }
    ck_assert_uint_eq(counts_of(host).rejected_address, 0);
    /* Whatever way it ends: freed in the queue, reset by us, detached. */
    world_connect(host->port);
    UNTIL(counts_of(host).pending == 1);
    berth_socket_free(host_take(host));
    berth_socket *detached = NULL;
    world_connect(host->port);
    detached = host_take(host);
    berth_socket_detach(detached);
    ck_assert_uint_eq(counts_of(host).live, 0);
    host_connect(host, "s", &peer);
    ck_assert_uint_eq(counts_of(host).rejected_address, 0);
    world_connect(host->port);
    UNTIL(counts_of(host).rejected_address == 1);
}

static void keep(berth_server *server, int descriptor, void *user)
{
    (void)server;
    int *kept = user;
    *kept = world_note(descriptor);
}

CASE(address_limit_and_override, "D20",
     "a descriptor that incoming_connection keeps is handed over, and takes nobody's place")
{
    static const berth_server_handlers handlers = {.incoming_connection = keep};
    int kept = -1;
    berth_server *server = berth_server_new(world_loop(), &handlers, &kept);
    ck_assert_ptr_nonnull(server);
    const berth_accept_limits limits = {.per_address = 1};
    berth_server_set_accept_limits(server, &limits);
    ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    berth_server_counts counts;
    for (unsigned i = 1; i <= 3; i++) {
        kept = -1;
        world_connect(berth_server_port(server));
        UNTIL(kept >= 0);
        berth_server_statistics(server, &counts);
        scene_assert_balance(&counts);
        ck_assert_uint_eq(counts.handed_over, i);
        world_close_descriptor(kept);
    }
    ck_assert_uint_eq(counts.rejected_address, 0);
    berth_server_free(server);
}

CASE(address_limit_set_late, "D20", "connections from before the limit do not count")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    host_connect(host, "s", &peer);
    const berth_accept_limits limits = {.per_address = 1, .ipv4_prefix = 200, .ipv6_prefix = 255};
    berth_server_set_accept_limits(host->server, &limits);
    host_connect(host, "s", &peer);
    world_connect(host->port);
    UNTIL(counts_of(host).rejected_address == 1);
    berth_server_set_accept_limits(host->server, NULL);
    host_connect(host, "s", &peer);
    ck_assert_uint_eq(counts_of(host).rejected_address, 1);
}

CASE(address_limit_and_a_peer_that_went, "reliability 5 D20",
     "a peer that has reset before it was accepted does no harm")
{
    struct host *host = limited("h", (berth_accept_limits){.per_address = 1});
    for (int i = 0; i < 20; i++)
        peer_reset(world_connect(host->port));
    struct peer *peer = world_connect(host->port);
    UNTIL(counts_of(host).accepted > 0);
    world_settle();
    while (berth_server_has_pending_connections(host->server))
        actor_on("s", berth_server_next_pending_connection(host->server));
    world_settle();
    peer_close(peer);
    world_settle();
    host_connect(host, "s", &peer);
    counts_of(host);
}

/* ---- connections in a second ----------------------------------------------------------------- */

CASE(rate_paces, "D20",
     "what is too fast waits in the kernel, and comes in at the pace that is set")
{
    struct host *host = host_listening("h");
    const berth_accept_limits limits = {.per_second = 20, .burst = 3};
    uint64_t start = berth_loop_now(world_loop());
    berth_server_set_accept_limits(host->server, &limits);
    for (int i = 0; i < 10; i++)
        world_connect(host->port);
    UNTIL(host->new_connections == 10);
    /* Three at once, and seven more, 50 ms each. */
    uint64_t took = berth_loop_now(world_loop()) - start;
    ck_assert_uint_ge(took + 1, 350);
    if (world_is_simulated())
        ck_assert_uint_le(took, 351);
    berth_server_counts counts = counts_of(host);
    ck_assert_uint_ge(counts.paced, 1);
    ck_assert_uint_eq(counts.accepted, 10);
    ck_assert_uint_eq(counts.pending, 10);
}

CASE(rate_allows_a_burst, "D20",
     "after a silence as many as the burst come in at once, and no more")
{
    if (!world_is_simulated())
        case_skip("only a simulated clock stands still");
    struct host *host = limited("h", (berth_accept_limits){.per_second = 1, .burst = 5});
    for (int i = 0; i < 12; i++)
        world_connect(host->port);
    berth_loop_turn(world_loop(), 0);
    berth_loop_turn(world_loop(), 0);
    ck_assert_uint_eq(host->new_connections, 5);
    berth__sim_advance(world_sim(), UINT64_C(100000000000));
    for (int i = 0; i < 4; i++)
        berth_loop_turn(world_loop(), 0);
    ck_assert_uint_eq(host->new_connections, 10);
}

CASE(rate_is_changed, "D20", "a limit that is lifted lets those who wait in at once")
{
    struct host *host = limited("h", (berth_accept_limits){.per_second = 1, .burst = 1});
    for (int i = 0; i < 6; i++)
        world_connect(host->port);
    UNTIL(host->new_connections == 1);
    uint64_t start = berth_loop_now(world_loop());
    const berth_accept_limits quick = {.per_second = UINT32_MAX, .burst = UINT32_MAX};
    berth_server_set_accept_limits(host->server, &quick);
    UNTIL(host->new_connections == 6);
    if (world_is_simulated())
        ck_assert_uint_le(berth_loop_now(world_loop()) - start, 100);
}

CASE(rate_in_a_blocking_wait, "D20 S2.14", "waits keep the pace, and go on when it allows")
{
    struct host *host = limited("h", (berth_accept_limits){.per_second = 50, .burst = 1});
    for (int i = 0; i < 5; i++)
        world_connect(host->port);
    uint64_t start = berth_loop_now(world_loop());
    for (unsigned i = 1; i <= 5; i++) {
        bool timed_out = true;
        ck_assert(berth_server_wait_for_new_connection(host->server, 20000, &timed_out));
        ck_assert(!timed_out);
        ck_assert_uint_eq(host->new_connections, i);
    }
    ck_assert_uint_ge(berth_loop_now(world_loop()) - start + 1, 80);
}

CASE(rate_and_close, "D20 S1.28", "a server that is closed while it paces listens again as new")
{
    struct host *host = limited("h", (berth_accept_limits){.per_second = 10, .burst = 1});
    world_connect(host->port);
    world_connect(host->port);
    UNTIL(host->new_connections == 1);
    berth_server_close(host->server);
    counts_of(host);
    host_listen(host);
    world_connect(host->port);
    UNTIL(host->new_connections == 2);
    world_connect(host->port);
    berth_server_free(host->server);
    world_settle();
}

/* ---- rejecting ------------------------------------------------------------------------------- */

CASE(reject_some, "D2", "as many as asked for are closed, without a socket or a handler")
{
    struct host *host = host_listening("h");
    struct peer *peers[5];
    ck_assert_uint_eq(berth_server_reject(host->server, 7, BERTH_REJECT_CLOSE), 0);
    berth_server_pause_accepting(host->server);
    world_settle();
    for (int i = 0; i < 5; i++)
        peers[i] = world_connect(host->port);
    ck_assert_uint_eq(berth_server_reject(host->server, 2, BERTH_REJECT_CLOSE), 2);
    ck_assert(peer_saw_end(peers[0]));
    ck_assert(peer_saw_end(peers[1]));
    ck_assert_uint_eq(berth_server_reject(host->server, 1, BERTH_REJECT_RESET), 1);
    ck_assert(peer_saw_reset(peers[2]));
    ck_assert_uint_eq(host->new_connections, 0);
    berth_server_resume_accepting(host->server);
    UNTIL(host->new_connections == 2);
    ck_assert_uint_eq(counts_of(host).rejected_call, 3);
    ck_assert_uint_eq(counts_of(host).accepted, 5);
}

CASE(reject_all, "D2", "a full server turns away all who wait")
{
    struct host *host = host_listening("h");
    berth_server_set_max_pending_connections(host->server, 1);
    for (int i = 0; i < 8; i++)
        world_connect(host->port);
    UNTIL(host->new_connections == 1);
    ck_assert_uint_eq(berth_server_reject(host->server, SIZE_MAX, BERTH_REJECT_CLOSE), 7);
    host_take(host);
    struct peer *peer = world_connect(host->port);
    UNTIL(host->new_connections == 2);
    peer_say(peer, "in");
    ck_assert_uint_eq(counts_of(host).rejected_call, 7);
    berth_server_close(host->server);
    ck_assert_uint_eq(berth_server_reject(host->server, 1, BERTH_REJECT_CLOSE), 0);
}

static void reject_rest(struct host *host)
{
    berth_server_reject(host->server, SIZE_MAX, BERTH_REJECT_RESET);
    counts_of(host);
}

CASE(reject_in_a_handler, "D2", "new_connection turns away the rest of the burst")
{
    struct host *host = host_listening("h");
    host->on_new_connection = reject_rest;
    for (int i = 0; i < 6; i++)
        world_connect(host->port);
    UNTIL(counts_of(host).accepted == 6);
    world_settle();
    ck_assert_uint_eq(counts_of(host).rejected_call + host->new_connections, 6);
    ck_assert_uint_ge(counts_of(host).rejected_call, 1);
}

/* ---- out of descriptors ---------------------------------------------------------------------- */

CASE(shed_when_exhausted, "D1",
     "those who come without a descriptor left are closed, not kept waiting")
{
    struct host *host = limited("h", (berth_accept_limits){.shed = true});
    struct peer *live;
    struct actor *actor = host_connect(host, "s", &live);
    struct peer *peers[40];
    for (int i = 0; i < 40; i++)
        peers[i] = world_connect(host->port);
    world_exhaust(0);
    UNTIL(counts_of(host).rejected_shed == 40);
    for (int i = 0; i < 40; i++)
        ck_assert(peer_saw_either(peers[i]));
    ck_assert_uint_eq(host->accept_errors, 1);
    ck_assert_int_eq(host->error, BERTH_ERROR_SOCKET_RESOURCE);
    ck_assert_uint_eq(counts_of(host).exhaustions, 1);
    peer_say(live, "ping");
    UNTIL(actor->received == 4);
    world_relieve();
    world_connect(host->port);
    UNTIL(host->new_connections == 2);
    ck_assert_uint_eq(host->accept_errors, 1);
}

CASE(shed_without_a_spare, "D1",
     "set when there is no descriptor left, it waits until it can have one")
{
    struct host *host = host_listening("h");
    world_connect(host->port);
    world_exhaust(0);
    UNTIL(host->accept_errors == 1);
    const berth_accept_limits limits = {.shed = true};
    berth_server_set_accept_limits(host->server, &limits);
    for (int turns = 0; turns < 10; turns++)
        berth_loop_turn(world_loop(), 10);
    ck_assert_uint_eq(counts_of(host).rejected_shed, 0);
    ck_assert_uint_eq(host->accept_errors, 1);
    world_relieve();
    UNTIL(host->new_connections == 1);
    berth_server_set_accept_limits(host->server, &limits);
    world_connect(host->port);
    world_exhaust(0);
    UNTIL(counts_of(host).rejected_shed == 1);
    world_relieve();
}

CASE(shed_keeps_one_descriptor, "D1", "while it listens, and only then")
{
    struct host *host = host_new("h");
    const berth_accept_limits limits = {.shed = true};
    world_settle();
    unsigned before = world_descriptors();
    berth_server_set_accept_limits(host->server, &limits);
    ck_assert_uint_eq(world_descriptors(), before);
    host_listen(host);
    ck_assert_uint_eq(world_descriptors(), before + 2);
    berth_server_set_accept_limits(host->server, NULL);
    ck_assert_uint_eq(world_descriptors(), before + 1);
    berth_server_set_accept_limits(host->server, &limits);
    ck_assert_uint_eq(world_descriptors(), before + 2);
    berth_server_close(host->server);
    world_settle();
    ck_assert_uint_eq(world_descriptors(), before);
}

CASE(shed_in_a_blocking_wait, "D1 S2.14", "the wait hears of the shortage once, and sheds")
{
    struct host *host = limited("h", (berth_accept_limits){.shed = true});
    struct peer *peers[3];
    for (int i = 0; i < 3; i++)
        peers[i] = world_connect(host->port);
    world_exhaust(0);
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
    ck_assert_uint_eq(host->accept_errors, 1);
    ck_assert_uint_eq(counts_of(host).rejected_shed, 3);
    ck_assert(peer_saw_either(peers[2]));
    world_relieve();
}

CASE(reject_with_the_spare, "D2 D1", "a call to reject needs no descriptor that is free")
{
    struct host *host = limited("h", (berth_accept_limits){.shed = true});
    berth_server_pause_accepting(host->server);
    world_settle();
    for (int i = 0; i < 3; i++)
        world_connect(host->port);
    world_exhaust(0);
    ck_assert_uint_eq(berth_server_reject(host->server, 3, BERTH_REJECT_RESET), 3);
    world_relieve();
}
