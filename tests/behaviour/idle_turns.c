/*
 * No turn without a cause: states in which a loop could turn for ever though nothing can come of
 * it. Each is held for a while, and the turns are counted.
 */
#include "scene.h"

#include "base/fault.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#define FEW 200u /* a loop that spins makes as many in a millisecond, of 300 */

static berth_loop_counts loop_counts(void)
{
    berth_loop_counts counts;
    berth_loop_statistics(world_loop(), &counts);
    return counts;
}

static void stop(berth_timer *timer, void *user)
{
    (void)timer;
    (void)user;
    berth_loop_stop(world_loop(), 0);
}

/* Runs the loop for 300 milliseconds; how many turns it has made. */
static uint64_t turns_of_a_while(void)
{
    berth_timer *timer = berth_timer_new(world_loop(), stop, NULL);
    ck_assert_ptr_nonnull(timer);
    berth_timer_start(timer, 300, 0);
    uint64_t before = loop_counts().turns;
    ck_assert_int_eq(berth_loop_run(world_loop()), 0);
    berth_timer_free(timer);
    return loop_counts().turns - before;
}

/* ---- a listener that another holder has shut down -------------------------------------------- */

static void check_dead(struct host *host)
{
    ck_assert_uint_eq(host->accept_errors, 1);
    ck_assert_int_eq(host->error, BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert(!berth_server_is_listening(host->server));
    ck_assert_uint_eq(berth_server_port(host->server), 0);
    ck_assert_int_eq(berth_server_descriptor(host->server), -1);
    ck_assert_uint_lt(turns_of_a_while(), FEW);
    ck_assert_uint_eq(host->accept_errors, 1);
    host_listen(host);
    unsigned before = host->new_connections;
    world_connect(host->port);
    UNTIL(host->new_connections == before + 1);
}

CASE(shut_listener, "S1.66 design 4", "one accept_error, and the server does not listen any more")
{
    struct host *host = host_listening("h");
    world_turn();
    world_shut_listener(berth_server_descriptor(host->server));
    UNTIL(host->accept_errors == 1);
    check_dead(host);
}

CASE(shut_listener_with_a_queue, "S1.66", "connections that are pending stay, and can be taken")
{
    struct host *host = host_listening("h");
    struct peer *peer = world_connect(host->port);
    UNTIL(host->new_connections == 1);
    world_shut_listener(berth_server_descriptor(host->server));
    UNTIL(host->accept_errors == 1);
    struct actor *actor = host_take_actor(host, "s");
    peer_say(peer, "still here");
    UNTIL(actor_has(actor, "still here"));
    check_dead(host);
}

CASE(shut_listener_while_paused, "design 4",
     "no turns in vain, and the error by the resume at last")
{
    struct host *host = host_listening("h");
    berth_server_pause_accepting(host->server);
    world_turn();
    world_shut_listener(berth_server_descriptor(host->server));
    ck_assert_uint_lt(turns_of_a_while(), FEW);
    berth_server_resume_accepting(host->server);
    UNTIL(host->accept_errors == 1);
    check_dead(host);
}

CASE(shut_listener_while_full, "design 4", "likewise, by the room at last")
{
    struct host *host = host_listening("h");
    berth_server_set_max_pending_connections(host->server, 1);
    world_connect(host->port);
    UNTIL(host->new_connections == 1);
    world_shut_listener(berth_server_descriptor(host->server));
    ck_assert_uint_lt(turns_of_a_while(), FEW);
    ck_assert_ptr_nonnull(berth_server_next_pending_connection(host->server));
    UNTIL(host->accept_errors == 1);
    check_dead(host);
}

CASE(shut_listener_beside_a_wait, "design 4", "a blocking wait of another object sleeps")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    world_turn();
    world_shut_listener(berth_server_descriptor(host->server));
    uint64_t before = loop_counts().waits;
    ck_assert(!berth_socket_wait_for_ready_read(actor->socket, 300));
    ck_assert_uint_lt(loop_counts().waits - before, FEW);
    UNTIL(host->accept_errors == 1);
    check_dead(host);
}

static void listen_anew(struct host *host)
{
    host_listen(host);
}

CASE(shut_listener_is_replaced_inside_accept_error, "S1.66", "the handler may listen again")
{
    struct host *host = host_listening("h");
    host->on_accept_error = listen_anew;
    world_turn();
    world_shut_listener(berth_server_descriptor(host->server));
    UNTIL(host->accept_errors == 1);
    ck_assert(berth_server_is_listening(host->server));
    world_connect(host->port);
    UNTIL(host->new_connections == 1);
}

static void free_server(struct host *host)
{
    berth_server_free(host->server);
}

CASE(shut_listener_is_freed_inside_accept_error, "S5.4", "the handler may free the server")
{
    struct host *host = host_listening("h");
    host->on_accept_error = free_server;
    world_turn();
    ck_assert_uint_eq(host->accept_errors, 0);
    world_shut_listener(berth_server_descriptor(host->server));
    UNTIL(host->accept_errors == 1);
    ck_assert_uint_lt(turns_of_a_while(), FEW);
}

CASE(shut_listener_in_a_wait, "S4.7", "the wait returns true")
{
    struct host *host = host_listening("h");
    world_shut_listener(berth_server_descriptor(host->server));
    bool timed_out = true;
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, &timed_out));
    ck_assert(!timed_out);
    check_dead(host);
}

/* ---- accepting is forbidden -------------------------------------------------------------------
 */

static void forbid(int error)
{
    berth__fault_set_system(0, LONG_MAX, error, "accept4");
}

CASE(accepting_is_forbidden, "design 3.8", "as seccomp does: one error, few tries, and recovery")
{
    struct host *host = host_listening("h");
    world_turn();
    forbid(EPERM);
    world_connect(host->port);
    UNTIL(host->accept_errors == 1);
    ck_assert_int_eq(host->error, BERTH_ERROR_SOCKET_ACCESS);
    ck_assert(berth_server_is_listening(host->server));
    ck_assert_uint_lt(turns_of_a_while(), FEW);
    ck_assert_int_lt(berth__fault_system_failed(), 1000);
    ck_assert_uint_eq(host->accept_errors, 1);
    berth__fault_clear();
    UNTIL(host->new_connections == 1);
    forbid(ENETDOWN);
    world_connect(host->port);
    UNTIL(host->accept_errors == 2);
    ck_assert_int_eq(host->error, BERTH_ERROR_NETWORK);
    berth__fault_clear();
    UNTIL(host->new_connections == 2);
    ck_assert_uint_eq(host->accept_errors, 2);
}

CASE(accepting_is_forbidden_beside_others, "design 3.8",
     "descriptors that the library closes are no reason to try again")
{
    struct host *host = host_listening("h");
    struct host *other = host_listening("o");
    (void)other;
    world_turn();
    forbid(EPERM);
    world_connect(host->port);
    UNTIL(host->accept_errors == 1);
    long before = berth__fault_system_failed();
    for (int i = 0; i < 200; i++) {
        struct peer *peer;
        int descriptor = world_stream_descriptor(&peer);
        berth_socket *socket = berth_socket_new(world_loop(), NULL, NULL);
        ck_assert_ptr_nonnull(socket);
        ck_assert(berth_socket_set_descriptor(socket, descriptor));
        berth_socket_free(socket);
        peer_close(peer);
        berth_loop_turn(world_loop(), 0);
    }
    ck_assert_int_lt(berth__fault_system_failed() - before, 1000);
    berth__fault_clear();
    UNTIL(host->new_connections == 1);
}

CASE(accepting_is_forbidden_in_a_wait, "S4.7", "the wait returns true, and the next waits")
{
    struct host *host = host_listening("h");
    forbid(EPERM);
    world_connect(host->port);
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
    ck_assert_uint_eq(host->accept_errors, 1);
    bool timed_out = false;
    uint64_t before = loop_counts().waits;
    ck_assert(!berth_server_wait_for_new_connection(host->server, 300, &timed_out));
    ck_assert(timed_out);
    ck_assert_uint_lt(loop_counts().waits - before, FEW);
    berth__fault_clear();
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
    ck_assert(berth_server_has_pending_connections(host->server));
}

CASE(few_passing_errors, "law 8", "a few connections that have died are nobody's business")
{
    struct host *host = host_listening("h");
    world_turn();
    berth__fault_set_system(0, 5, ECONNABORTED, "accept4");
    world_connect(host->port);
    UNTIL(host->new_connections == 1);
    ck_assert_uint_eq(host->accept_errors, 0);
    berth__fault_clear();
}

/* ---- a peer that has more to say while a handler waits for another ----------------------------
 */

static struct actor *silent;
static uint64_t waits_inside;

static void wait_for_silent(struct actor *actor)
{
    (void)actor;
    if (waits_inside > 0)
        return;
    uint64_t before = loop_counts().waits;
    ck_assert(!berth_socket_wait_for_ready_read(silent->socket, 300));
    waits_inside = loop_counts().waits - before;
}

static struct actor *beside_silent(struct peer **ret_peer)
{
    struct peer *peer;
    struct host *host = host_listening("h");
    silent = host_connect(host, "q", &peer);
    struct actor *actor = host_connect(host, "s", ret_peer);
    actor->on_ready_read = wait_for_silent;
    waits_inside = 0;
    return actor;
}

CASE(wait_inside_a_delivery_before_the_end, "S4.14 law 2",
     "the peer's end waits, and the wait sleeps")
{
    struct peer *peer;
    struct actor *actor = beside_silent(&peer);
    peer_say(peer, "request");
    peer_shutdown(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert(actor_has(actor, "request"));
    ck_assert_uint_gt(waits_inside, 0);
    ck_assert_uint_lt(waits_inside, FEW);
}

CASE(wait_inside_one_of_many_deliveries, "S4.14 law 2", "more is there to be read, likewise")
{
    enum {
        SIZE = 300000
    };
    struct peer *peer;
    struct actor *actor = beside_silent(&peer);
    uint8_t *bytes = scene_pattern(SIZE, 5);
    size_t sent = peer_send_some(peer, bytes, SIZE);
    UNTIL(actor->received >= sent);
    ck_assert_uint_gt(waits_inside, 0);
    ck_assert_uint_lt(waits_inside, FEW);
    free(bytes);
}
