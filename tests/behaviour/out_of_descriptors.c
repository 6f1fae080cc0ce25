/*
 * The process is out of descriptors: one error an episode, old connections go on, recovery by
 * itself.
 */
#include "scene.h"

/* A server with one live connection, and `waiting` peers that cannot be accepted. */
static struct actor *starving_host(struct host *host, struct peer **ret_live, unsigned waiting)
{
    struct actor *live = host_connect(host, "s", ret_live);
    for (unsigned i = 0; i < waiting; i++)
        world_connect(host->port);
    world_exhaust(0);
    UNTIL(host->accept_errors == 1);
    return live;
}

CASE(one_error_an_episode, "S2.6 Q4 reliability 1",
     "accept_error once, however often accepting is tried")
{
    struct host *host = host_listening("h");
    struct peer *live_peer;
    starving_host(host, &live_peer, 3);
    ck_assert_int_eq(host->error, BERTH_ERROR_SOCKET_RESOURCE);
    ck_assert(berth_server_is_listening(host->server));
    for (int turns = 0; turns < 60; turns++)
        berth_loop_turn(world_loop(), 10);
    ck_assert_uint_eq(host->accept_errors, 1);
    ck_assert_uint_eq(host->new_connections, 1);
    world_relieve();
}

CASE(some_before_the_error, "S2.7",
     "two descriptors left and four peers: two connections, then the error")
{
    struct host *host = host_listening("h");
    for (int i = 0; i < 4; i++)
        world_connect(host->port);
    berth_loop_turn(world_loop(), 0);
    if (host->new_connections > 0)
        case_skip("the first turn was too quick");
    world_exhaust(2);
    UNTIL(host->accept_errors == 1);
    assert_trace("h new_connection, h new_connection, h accept_error SOCKET_RESOURCE");
    world_relieve();
    UNTIL(host->new_connections == 4);
}

CASE(old_connections_go_on, "reliability 1", "while nothing can be accepted the others are served")
{
    struct host *host = host_listening("h");
    struct peer *live_peer;
    struct actor *live = starving_host(host, &live_peer, 2);
    for (int i = 0; i < 5; i++) {
        peer_say(live_peer, "ping");
        UNTIL(live->received == 4 * (size_t)(i + 1));
        actor_say(live, "pong");
        ck_assert(peer_hears(live_peer, "pong"));
    }
    ck_assert_uint_eq(host->accept_errors, 1);
    world_relieve();
}

CASE(recovery_by_our_own_close, "S2.6 reliability 1",
     "a descriptor that the library closes lets the next peer in at once")
{
    struct host *host = host_listening("h");
    struct peer *live_peer;
    struct actor *live = starving_host(host, &live_peer, 2);
    actor_free_socket(live);
    UNTIL(host->new_connections == 2);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 2);
    world_relieve();
    UNTIL(host->new_connections == 3);
}

CASE(recovery_does_not_wait_for_the_retry, "reliability 1",
     "the retries have become rare, and our own close still lets the next peer in at once")
{
    struct host *host = host_listening("h");
    struct peer *live_peer;
    struct actor *live = starving_host(host, &live_peer, 1);
    /* The pauses between retries double: after these the next one is hundreds of turns away. */
    for (int turns = 0; turns < 80; turns++)
        berth_loop_turn(world_loop(), 10);
    actor_free_socket(live);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 2);
}

CASE(recovery_by_a_foreign_close, "reliability 1",
     "a descriptor that somebody else closes is noticed by the retries")
{
    struct host *host = host_listening("h");
    struct peer *live_peer;
    starving_host(host, &live_peer, 2);
    world_relieve();
    UNTIL(host->new_connections == 3);
    ck_assert_uint_eq(host->accept_errors, 1);
}

CASE(second_episode, "Q4",
     "after recovery the next shortage is a new episode, with an error of its own")
{
    struct host *host = host_listening("h");
    struct peer *live_peer;
    starving_host(host, &live_peer, 1);
    world_relieve();
    UNTIL(host->new_connections == 2);
    world_connect(host->port);
    world_exhaust(0);
    UNTIL(host->accept_errors == 2);
    world_relieve();
    UNTIL(host->new_connections == 3);
    ck_assert_uint_eq(host->accept_errors, 2);
}

CASE(shortage_and_pause, "D4", "a pause during the shortage holds after it")
{
    struct host *host = host_listening("h");
    struct peer *live_peer;
    starving_host(host, &live_peer, 1);
    berth_server_pause_accepting(host->server);
    world_relieve();
    for (int turns = 0; turns < 60; turns++)
        berth_loop_turn(world_loop(), 10);
    ck_assert_uint_eq(host->new_connections, 1);
    berth_server_resume_accepting(host->server);
    UNTIL(host->new_connections == 2);
}

CASE(shortage_and_close, "S1.28",
     "a starving server is closed, listens again, and is as good as new")
{
    struct host *host = host_listening("h");
    struct peer *live_peer;
    starving_host(host, &live_peer, 1);
    berth_server_close(host->server);
    world_relieve();
    host_listen(host);
    world_connect(host->port);
    UNTIL(host->new_connections == 2);
    ck_assert_uint_eq(host->accept_errors, 1);
}

CASE(shortage_and_free, "S5.4", "a starving server is freed; nothing is retried for it")
{
    struct host *host = host_listening("h");
    struct peer *live_peer;
    starving_host(host, &live_peer, 1);
    berth_server_free(host->server);
    world_relieve();
    world_settle();
}

CASE(two_starving_servers, "reliability 1", "each has its own error, and both recover")
{
    struct host *one = host_listening("1");
    struct host *two = host_listening("2");
    world_connect(one->port);
    world_connect(two->port);
    world_exhaust(0);
    UNTIL(one->accept_errors == 1 && two->accept_errors == 1);
    world_relieve();
    UNTIL(one->new_connections == 1 && two->new_connections == 1);
    ck_assert_uint_eq(one->accept_errors + two->accept_errors, 2);
}

CASE(shortage_in_a_blocking_wait, "S2.14 S4.7",
     "accept_error is called inside the wait, which returns true")
{
    struct host *host = host_listening("h");
    world_connect(host->port);
    world_exhaust(0);
    bool timed_out = true;
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, &timed_out));
    ck_assert(!timed_out);
    ck_assert_uint_eq(host->accept_errors, 1);
    ck_assert(!berth_server_has_pending_connections(host->server));
    world_relieve();
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, &timed_out));
}
