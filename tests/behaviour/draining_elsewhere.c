/*
 * Draining and the rest of the library: proxies, PROXY headers, descriptors and sockets that go
 * elsewhere, blocking waits, many connections, fork.
 */
#include "children.h"
#include "scene.h"

#include "balance.h"

#include <stdlib.h>
#include <string.h>

static struct host *host;

static berth_server_counts counts_of_host(void)
{
    berth_server_counts counts;
    berth_server_statistics(host->server, &counts);
    scene_assert_balance(&counts);
    return counts;
}

static void drain(berth_drain plan)
{
    ck_assert(berth_server_drain(host->server, &plan));
}

static bool is_draining(void)
{
    return berth_server_drain_state(host->server) == BERTH_DRAIN_DRAINING;
}

static struct actor *told_actor(struct peer **ret_peer)
{
    struct actor *actor = host_connect(host, "s", ret_peer);
    actor_be_told(actor);
    return actor;
}

/* ---- proxies and balancers ------------------------------------------------------------------- */

#define BOUND "\5\0\0\1\x0a\0\0\1\x23\x28"  /* 10.0.0.1:9000 */
#define COME "\5\0\0\1\xc6\x33\x64\7\xdc\4" /* 198.51.100.7:56324 */

CASE(drain_of_a_server_behind_socks5, "drain S6.16",
     "the grace goes on with another BIND; then the proxy sees the end of that, and connections go "
     "on")
{
    world_loop();
    uint16_t proxy_port = world_listen(10);
    berth_proxy value = {.type = BERTH_PROXY_SOCKS5, .host = "127.0.0.1", .port = proxy_port};
    char asked[11];
    host = host_new("h");
    ck_assert(berth_server_set_proxy(host->server, &value));
    world_greet(proxy_port, "\5\0" BOUND, 12);
    ck_assert(berth_server_listen(host->server, BERTH_ADDRESS_ANY, 9000));
    struct peer *first = world_accept(proxy_port);
    ck_assert_uint_eq(peer_receive(first, asked, 3), 3);
    drain((berth_drain){.grace = world_is_simulated() ? 200 : 1000});
    ck_assert_uint_eq(peer_receive(first, asked, 10), 10);
    peer_send(first, COME, 10);
    struct actor *actor = host_take_actor(host, "s");
    actor_be_told(actor);
    struct peer *second = world_accept(proxy_port);
    ck_assert_ptr_nonnull(second);
    UNTIL(is_draining());
    ck_assert(!berth_server_is_listening(host->server));
    while (peer_receive(second, asked, sizeof asked) > 0)
        continue;
    ck_assert(peer_saw_either(second));
    UNTIL(actor->tellings == 1);
    peer_say(first, "hello");
    UNTIL(actor_has(actor, "hello"));
    actor_say(actor, "welcome");
    ck_assert(peer_hears(first, "welcome"));
    peer_close(first);
    UNTIL(host->emptied == 1);
    ck_assert_uint_eq(host->accept_errors, 0);
}

#define HEADER "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"

static void trust_all(uint32_t milliseconds)
{
    berth_subnet subnet;
    host = host_listening("h");
    ck_assert(berth_subnet_parse("127.0.0.0/8", &subnet));
    ck_assert(berth_server_set_proxy_protocol(host->server, &subnet, 1, milliseconds));
}

CASE(headers_that_come_while_draining, "drain PROXY header",
     "connections that await their header go on when the listener is closed, for their own time")
{
    trust_all(world_is_simulated() ? 500 : 1500);
    struct peer *late = world_connect(host->port);
    struct peer *never = world_connect(host->port);
    UNTIL(counts_of_host().awaiting_header == 2);
    berth_server_pause_accepting(host->server);
    drain((berth_drain){0});
    UNTIL(is_draining());
    ck_assert_uint_eq(counts_of_host().awaiting_header, 2);
    peer_say(late, HEADER "hello");
    struct actor *actor = host_take_actor(host, "s");
    actor_be_told(actor);
    ck_assert_uint_eq(berth_socket_peer_port(actor->socket), 56324);
    UNTIL(actor->tellings == 1);
    berth_socket_disconnect_from_host(actor->socket);
    UNTIL(host->emptied == 1);
    ck_assert(!host->forced);
    ck_assert_uint_eq(counts_of_host().rejected_header, 1);
    ck_assert(peer_saw_either(never));
}

CASE(headers_that_do_not_come_before_the_deadline, "drain PROXY header",
     "the connections are closed and count as dropped; so they are if the server is closed")
{
    trust_all(60000);
    struct peer *peer = world_connect(host->port);
    UNTIL(counts_of_host().awaiting_header == 1);
    drain((berth_drain){.deadline = 50});
    UNTIL(host->emptied == 1);
    ck_assert(host->forced);
    ck_assert_uint_eq(counts_of_host().dropped, 1);
    ck_assert_uint_eq(counts_of_host().closed_drain, 1);
    ck_assert(peer_saw_either(peer));
    host_listen(host);
    world_connect(host->port);
    UNTIL(counts_of_host().awaiting_header == 1);
    drain((berth_drain){0});
    UNTIL(is_draining());
    berth_server_close(host->server);
    ck_assert_uint_eq(counts_of_host().awaiting_header, 0);
    ck_assert_uint_eq(counts_of_host().dropped, 2);
    world_settle();
    ck_assert_uint_eq(host->emptied, 1);
}

/* ---- what goes elsewhere --------------------------------------------------------------------- */

CASE(sockets_that_leave_a_draining_server, "drain",
     "detached, released, added to another server: none of them is waited for")
{
    host = host_listening("h");
    struct peer *peers[3];
    struct actor *actors[3];
    for (unsigned i = 0; i < 3; i++)
        actors[i] = told_actor(&peers[i]);
    struct host *other = host_new("o");
    drain((berth_drain){.deadline = 5000});
    UNTIL(actors[0]->tellings + actors[1]->tellings + actors[2]->tellings == 3);
    berth_socket_detach(actors[0]->socket);
    int descriptor = world_note(berth_socket_release(actors[1]->socket));
    ck_assert_int_ge(descriptor, 0);
    world_settle();
    ck_assert_uint_eq(host->emptied, 0);
    berth_server_add_pending_connection(other->server, actors[2]->socket);
    UNTIL(host->emptied == 1);
    ck_assert(!host->forced);
    berth_server_free(host->server); /* whose child it is still */
    actor_say(actors[0], "still here");
    ck_assert(peer_hears(peers[0], "still here"));
    world_close_descriptor(descriptor);
}

static int kept = -1;

static void keep_descriptor(berth_server *server, int descriptor, void *user)
{
    (void)server;
    (void)user;
    kept = world_note(descriptor);
}

static void count_emptied(berth_server *server, bool forced, void *user)
{
    (void)server;
    (void)forced;
    ++*(unsigned *)user;
}

CASE(descriptors_handed_over_in_the_grace, "drain", "are nobody's to wait for")
{
    static const berth_server_handlers handlers = {.incoming_connection = keep_descriptor,
                                                   .emptied = count_emptied};
    unsigned emptied = 0;
    berth_server *server = berth_server_new(world_loop(), &handlers, &emptied);
    ck_assert_ptr_nonnull(server);
    ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    uint16_t port = berth_server_port(server);
    berth_drain plan = {.grace = 100};
    ck_assert(berth_server_drain(server, &plan));
    world_connect(port);
    UNTIL(kept >= 0);
    UNTIL(emptied == 1);
    /* A server without a listener can still be given connections; these are not drained. */
    berth_server_base_incoming_connection(server, kept);
    berth_socket *socket = berth_server_next_pending_connection(server);
    ck_assert_ptr_nonnull(socket);
    world_settle();
    ck_assert_uint_eq(emptied, 1);
    ck_assert_int_eq(berth_socket_state(socket), BERTH_STATE_CONNECTED);
}

CASE(descriptors_given_to_a_draining_server, "drain",
     "count, and are told once they were taken; so is one that was put back into the queue")
{
    host = host_listening("h");
    struct peer *peer;
    struct actor *actor = told_actor(&peer);
    drain((berth_drain){0});
    UNTIL(actor->tellings == 1);
    struct peer *given;
    int descriptor = world_stream_descriptor(&given);
    berth_server_base_incoming_connection(host->server, descriptor);
    berth_socket_abort(actor->socket);
    world_settle();
    ck_assert_uint_eq(host->emptied, 0);
    struct actor *second = host_take_actor(host, "t");
    actor_be_told(second);
    berth_server_add_pending_connection(host->server, second->socket);
    world_settle();
    ck_assert_uint_eq(second->tellings, 0);
    ck_assert_ptr_eq(berth_server_next_pending_connection(host->server), second->socket);
    UNTIL(second->tellings == 1);
    berth_server_add_pending_connection(host->server, second->socket);
    ck_assert_ptr_eq(berth_server_next_pending_connection(host->server), second->socket);
    world_settle();
    ck_assert_uint_eq(second->tellings, 1);
    berth_socket *taken = second->socket;
    berth_server_add_pending_connection(host->server, taken);
    berth_socket_free(taken);
    UNTIL(host->emptied == 1);
}

CASE(freed_between_taking_and_telling, "drain", "a socket that was just taken may go in any order")
{
    host = host_listening("h");
    for (unsigned i = 0; i < 6; i++)
        world_connect(host->port);
    UNTIL(host->new_connections == 6);
    drain((berth_drain){0});
    UNTIL(is_draining());
    berth_socket *sockets[6];
    for (unsigned i = 0; i < 6; i++)
        sockets[i] = host_take(host);
    berth_socket_free(sockets[2]);
    berth_socket_free(sockets[0]);
    berth_socket_detach(sockets[5]);
    berth_server_add_pending_connection(host->server, sockets[3]);
    berth_socket_abort(sockets[1]);
    struct actor *last = actor_on("s", sockets[4]);
    actor_be_told(last);
    UNTIL(last->tellings == 1);
    berth_socket_free(sockets[4]);
    berth_socket_free(sockets[3]);
    UNTIL(host->emptied == 1);
}

/* ---- waits, numbers, processes --------------------------------------------------------------- */

CASE(drain_in_blocking_waits, "drain",
     "a program without a loop that runs is served by its waits for connections")
{
    host = host_listening("h");
    world_connect(host->port);
    drain((berth_drain){.grace = 50, .deadline = 5000});
    ck_assert(berth_server_wait_for_new_connection(host->server, 2000, NULL));
    struct actor *actor = host_take_actor(host, "s");
    while (berth_server_wait_for_new_connection(host->server, 2000, NULL))
        continue;
    ck_assert(is_draining());
    ck_assert(!berth_server_is_listening(host->server));
    berth_socket_free(actor->socket);
    UNTIL(host->emptied == 1);
}

static unsigned told;

static void count_telling(struct actor *actor)
{
    (void)actor;
    told++;
}

CASE(drain_of_more_than_a_run, "drain",
     "many connections are told, some of them in a turn, and ended and reset all the same")
{
    enum {
        MANY = 150,
        MOST_IN_A_TURN = 64
    };
    struct peer *peers[MANY];
    struct actor *actors[MANY];
    for (unsigned round = 0; round < 2; round++) {
        host = host_listening("h");
        for (unsigned i = 0; i < MANY; i++) {
            actors[i] = round == 0 ? told_actor(&peers[i]) : host_connect(host, "t", &peers[i]);
            actors[i]->quiet = true;
            actors[i]->on_draining = count_telling;
        }
        drain((berth_drain){.deadline = round == 0 ? 50 : 60000, .idle = 50});
        for (unsigned turns = 0; round == 0 && host->emptied == 0 && turns < 10; turns++) {
            unsigned before = told;
            berth_loop_turn(world_loop(), 0);
            ck_assert_uint_le(told - before, MOST_IN_A_TURN);
        }
        UNTIL(host->emptied == 1);
        for (unsigned i = 0; i < MANY; i++) {
            ck_assert_uint_eq(actors[i]->disconnects, 1);
            ck_assert_uint_eq(actors[i]->errors, round == 0);
            ck_assert(round == 0 ? peer_saw_reset(peers[i]) : peer_saw_end(peers[i]));
            peer_close(peers[i]);
        }
        ck_assert_uint_eq(counts_of_host().closed_drain, round == 0 ? MANY : 0);
        berth_server_free(host->server);
    }
}

static void drain_copy(void)
{
    MUST(!berth_server_drain(host->server, NULL));
    MUST(berth_server_error(host->server) == BERTH_ERROR_OPERATION);
    MUST(berth_server_drain_state(host->server) == BERTH_DRAIN_GRACE);
    berth_server_free(host->server);
    MUST(host->emptied == 0);
}

CASE(drain_and_fork, "drain reliability 23",
     "a copy cannot be drained and hears nothing; the parent's drain goes on")
{
    real_kernel_only();
    host = host_listening("h");
    struct peer *peer;
    struct actor *actor = told_actor(&peer);
    drain((berth_drain){.grace = 300});
    have_child(drain_copy);
    actor_say(actor, "still here");
    ck_assert(peer_hears(peer, "still here"));
    UNTIL(actor->tellings == 1);
    berth_socket_disconnect_from_host(actor->socket);
    UNTIL(host->emptied == 1);
    ck_assert(peer_saw_end(peer));
}

static pid_t forked; /* in the child its own */

static void fork_and_free(struct actor *actor)
{
    forked = begin_child();
    if (forked != 0)
        return;
    forked = getpid();
    actor_free_socket(actor);
}

CASE(draining_forks, "drain reliability 23",
     "and its child frees the last connection, but hears of no end; the parent's drain goes on")
{
    real_kernel_only();
    host = host_listening("h");
    struct peer *peer;
    struct actor *actor = told_actor(&peer);
    actor->on_draining = fork_and_free;
    pid_t parent = getpid();
    drain((berth_drain){.idle = 60000});
    UNTIL(forked != 0);
    if (getpid() != parent) {
        MUST(host->emptied == 0);
        _exit(0);
    }
    end_child(forked);
    actor_say(actor, "still here");
    ck_assert(peer_hears(peer, "still here"));
    ck_assert_uint_eq(host->emptied, 0);
    berth_socket_free(actor->socket);
    UNTIL(host->emptied == 1);
}

static void go_on_in_child(void)
{
    struct actor *actor = host->taken[0];
    MUST(berth_loop_after_fork(world_loop()));
    UNTIL(actor->tellings == 1);
    berth_socket_free(actor->socket);
    UNTIL(host->emptied == 1);
}

CASE(drain_goes_on_in_a_child, "drain reliability 23", "that has taken over the loop")
{
    real_kernel_only();
    host = host_listening("h");
    host->takes = true;
    world_connect(host->port);
    UNTIL(host->count == 1);
    actor_be_told(host->taken[0]);
    drain((berth_drain){.grace = 50});
    have_child(go_on_in_child);
}
