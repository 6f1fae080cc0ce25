/*
 * A drain after another, and a second plan for the same one: times only get shorter, and nothing of
 * the drain before is left. And what happens on the stack or in the queue at that moment.
 */
#include "scene.h"

static struct host *host;

static void drain(berth_drain plan)
{
    ck_assert(berth_server_drain(host->server, &plan));
}

static bool is_draining(void)
{
    return berth_server_drain_state(host->server) == BERTH_DRAIN_DRAINING;
}

static uint64_t now(void)
{
    return berth_loop_now(world_loop());
}

/* Times of a real kernel are longer, since the machine may be busy. */
static void assert_took(uint64_t start, uint64_t most)
{
    if (world_is_simulated())
        ck_assert_uint_le(now() - start, most);
}

static struct actor *told_actor(struct peer **ret_peer)
{
    struct actor *actor = host_connect(host, "s", ret_peer);
    actor_be_told(actor);
    return actor;
}

CASE(second_drain_shortens_the_idle_time, "drain", "whichever of the two is longer has no effect")
{
    static const uint32_t idle[][2] = {{20000, 40}, {40, 20000}};
    host = host_listening("h");
    for (unsigned i = 0; i < 2; i++) {
        struct peer *peer;
        (void)host_connect(host, "s", &peer);
        uint64_t start = now();
        drain((berth_drain){.idle = idle[i][0]});
        UNTIL(is_draining());
        drain((berth_drain){.idle = idle[i][1]});
        UNTIL(host->emptied == i + 1);
        assert_took(start, 100);
        ck_assert(!host->forced && peer_saw_end(peer));
        host_listen(host);
    }
}

CASE(drain_after_a_forced_one, "drain", "says nothing of the force of the first")
{
    struct peer *peer;
    host = host_listening("h");
    told_actor(&peer);
    drain((berth_drain){.deadline = 10});
    UNTIL(host->emptied == 1);
    ck_assert(host->forced);
    host_listen(host);
    drain((berth_drain){0});
    UNTIL(host->emptied == 2);
    ck_assert(!host->forced);
}

CASE(taken_and_disconnected_while_draining, "drain", "before it was told, which it is not any more")
{
    host = host_listening("h");
    struct peer *peer = world_connect(host->port);
    UNTIL(host->new_connections == 1);
    drain((berth_drain){0});
    UNTIL(is_draining());
    struct actor *actor = actor_on("s", host_take(host));
    actor_be_told(actor);
    actor_say(actor, "goodbye");
    berth_socket_disconnect_from_host(actor->socket);
    UNTIL(host->emptied == 1);
    ck_assert_uint_eq(actor->tellings, 0);
    ck_assert(peer_hears(peer, "goodbye") && peer_saw_end(peer));
}

CASE(closed_between_taking_and_telling, "drain", "the next drain tells those that it has")
{
    host = host_listening("h");
    struct peer *peers[3];
    peers[0] = world_connect(host->port);
    UNTIL(host->new_connections == 1);
    drain((berth_drain){0});
    UNTIL(is_draining());
    struct actor *first = actor_on("s", host_take(host));
    actor_be_told(first);
    berth_server_close(host->server);
    host_listen(host);
    drain((berth_drain){.grace = 200});
    world_settle();
    berth_socket_free(first->socket);
    first->socket = NULL;
    for (unsigned i = 1; i < 3; i++)
        peers[i] = world_connect(host->port);
    UNTIL(host->new_connections == 3);
    UNTIL(is_draining());
    world_settle();
    for (unsigned i = 1; i < 3; i++) {
        struct actor *actor = actor_on("s", host_take(host));
        actor_be_told(actor);
        UNTIL(actor->tellings == 1);
        peer_close(peers[i]);
    }
    UNTIL(host->emptied == 1);
    ck_assert_uint_eq(first->tellings, 0);
}

CASE(deadline_before_the_last_are_accepted, "drain", "nobody waits for room in the queue then")
{
    host = host_listening("h");
    berth_server_set_max_pending_connections(host->server, 1);
    for (unsigned i = 0; i < 3; i++)
        world_connect(host->port);
    UNTIL(host->new_connections == 1);
    uint64_t start = now();
    drain((berth_drain){.deadline = 100});
    UNTIL(host->emptied == 1);
    ck_assert(host->forced);
    assert_took(start, 110);
}

CASE(drain_of_a_server_without_a_queue, "drain", "accepts nobody, and waits for nothing")
{
    host = host_listening("h");
    berth_server_set_max_pending_connections(host->server, 0);
    struct peer *peer = world_connect(host->port);
    world_settle();
    uint64_t start = now();
    drain((berth_drain){0});
    UNTIL(host->emptied == 1);
    assert_took(start, 10);
    ck_assert_uint_eq(host->new_connections, 0);
    ck_assert(peer_saw_either(peer));
}

static void stay_for_a_while(struct actor *actor)
{
    uint64_t start = now();
    while (now() - start < 200)
        world_turn();
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
    actor->on_written = NULL;
}

CASE(handler_is_longer_than_the_idle_time, "drain", "its connection is not idle")
{
    host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->on_written = stay_for_a_while;
    drain((berth_drain){.idle = 20});
    UNTIL(is_draining());
    actor_say(actor, "a long answer");
    UNTIL(host->emptied == 1);
    ck_assert(peer_hears(peer, "a long answer") && peer_saw_end(peer));
    ck_assert_uint_eq(actor->disconnects, 1);
}

CASE(queued_elsewhere_at_the_deadline, "drain", "a socket in another server's queue is left alone")
{
    host = host_listening("h");
    struct host *other = host_new("o");
    struct peer *peers[2];
    berth_socket *moved = host_connect(host, "m", &peers[0])->socket;
    told_actor(&peers[1]);
    berth_server_add_pending_connection(other->server, moved);
    drain((berth_drain){.deadline = 20});
    UNTIL(host->emptied == 1);
    ck_assert(host->forced);
    struct actor *actor = actor_on("a", host_take(other));
    actor_say(actor, "still here");
    ck_assert(peer_hears(peers[0], "still here"));
}
