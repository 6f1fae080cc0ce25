/*
 * Draining a server: what is still accepted, who is told, who is disconnected, and the deadline.
 */
#include "scene.h"

#include "balance.h"
#include "server/server.h"

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

static uint64_t now(void)
{
    return berth_loop_now(world_loop());
}

static void pass(uint64_t milliseconds)
{
    uint64_t start = now();
    while (now() - start < milliseconds)
        world_turn();
}

/* Times of a real kernel are longer, since the machine may be busy. */
static uint32_t ample(uint32_t milliseconds)
{
    return world_is_simulated() ? milliseconds : 5 * milliseconds;
}

static void drain(berth_drain plan)
{
    ck_assert(berth_server_drain(host->server, &plan));
}

static berth_drain_state state_of_host(void)
{
    return berth_server_drain_state(host->server);
}

static bool is_draining(void)
{
    return state_of_host() == BERTH_DRAIN_DRAINING;
}

/* One that is told, and does nothing about it. */
static struct actor *told_actor(struct peer **ret_peer)
{
    struct actor *actor = host_connect(host, "s", ret_peer);
    actor_be_told(actor);
    return actor;
}

static void disconnect(struct actor *actor)
{
    berth_socket_disconnect_from_host(actor->socket);
}

/* ---- the course ------------------------------------------------------------------------------ */

CASE(drain_of_a_server_without_connections, "drain",
     "emptied comes once, never inside the call; then the server may listen again")
{
    host = host_listening("h");
    ck_assert_int_eq(state_of_host(), BERTH_DRAIN_NONE);
    ck_assert(berth_server_drain(host->server, NULL));
    ck_assert_int_eq(state_of_host(), BERTH_DRAIN_GRACE);
    ck_assert(berth_server_is_listening(host->server));
    ck_assert_uint_eq(host->emptied, 0);
    UNTIL(host->emptied == 1);
    ck_assert(!host->forced);
    ck_assert(!berth_server_is_listening(host->server));
    ck_assert_uint_eq(berth_server_port(host->server), 0);
    ck_assert(berth_server_drain(host->server, NULL));
    world_settle();
    ck_assert_uint_eq(host->emptied, 1);
    host_listen(host);
    ck_assert_int_eq(state_of_host(), BERTH_DRAIN_NONE);
    struct peer *peer;
    struct actor *actor = told_actor(&peer);
    actor->on_draining = disconnect;
    drain((berth_drain){0});
    UNTIL(host->emptied == 2);
    ck_assert(peer_saw_end(peer));
}

CASE(drain_of_a_server_that_does_not_listen, "drain", "its state and emptied are the same")
{
    host = host_new("h");
    drain((berth_drain){.grace = 20});
    ck_assert_int_eq(state_of_host(), BERTH_DRAIN_GRACE);
    UNTIL(host->emptied == 1);
    berth_server_close(host->server);
    ck_assert_int_eq(state_of_host(), BERTH_DRAIN_NONE);
}

CASE(grace_goes_on_accepting, "drain",
     "new connections come in the grace and are told like others when it is over, once")
{
    host = host_listening("h");
    struct peer *peers[3];
    struct actor *first = told_actor(&peers[0]);
    uint64_t start = now();
    drain((berth_drain){.grace = ample(200)});
    struct actor *second = told_actor(&peers[1]);
    ck_assert_int_eq(state_of_host(), BERTH_DRAIN_GRACE);
    ck_assert_uint_eq(first->tellings + second->tellings, 0);
    ck_assert(!berth_server_listen(host->server, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_OPERATION);
    UNTIL(is_draining());
    ck_assert_uint_ge(now() - start + 1, ample(200));
    if (world_is_simulated())
        ck_assert_uint_le(now() - start, 201);
    UNTIL(second->tellings == 1 && first->tellings == 1);
    ck_assert_ptr_null(world_connect_to(BERTH_ADDRESS_LOOPBACK, host->port));
    actor_say(first, "goodbye");
    ck_assert(peer_hears(peers[0], "goodbye"));
    peer_say(peers[1], "one more question");
    UNTIL(actor_has(second, "one more question"));
    pass(100);
    ck_assert_uint_eq(first->tellings, 1);
    ck_assert_uint_eq(second->tellings, 1);
    disconnect(first);
    world_settle();
    ck_assert_uint_eq(host->emptied, 0);
    peer_close(peers[1]);
    UNTIL(host->emptied == 1);
    ck_assert(!host->forced);
    ck_assert(peer_saw_end(peers[0]));
    ck_assert_uint_eq(counts_of_host().closed_drain, 0);
}

CASE(listen_while_draining, "drain", "OPERATION, whatever is to be listened on")
{
    host = host_listening("h");
    struct peer *peer;
    struct actor *actor = told_actor(&peer);
    drain((berth_drain){0});
    UNTIL(actor->tellings == 1);
    ck_assert(!berth_server_listen(host->server, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_OPERATION);
    ck_assert_ptr_nonnull(strstr(berth_server_error_string(host->server), "drained"));
    uint16_t port;
    int descriptor = world_listener_descriptor(&port);
    ck_assert(!berth_server_set_descriptor(host->server, descriptor));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_OPERATION);
    world_close_descriptor(descriptor);
    ck_assert(!berth_server_wait_for_new_connection(host->server, 0, NULL));
    disconnect(actor);
    UNTIL(host->emptied == 1);
}

CASE(backlog_is_accepted_before_a_drain, "drain",
     "who was in the kernel's queue is served, although accepting was paused")
{
    host = host_listening("h");
    berth_server_pause_accepting(host->server);
    struct peer *peers[20];
    for (unsigned i = 0; i < 20; i++) {
        peers[i] = world_connect(host->port);
        peer_say(peers[i], "hello");
    }
    world_settle();
    ck_assert_uint_eq(host->new_connections, 0);
    drain((berth_drain){0});
    UNTIL(is_draining());
    ck_assert_uint_eq(host->new_connections, 20);
    ck_assert_uint_eq(counts_of_host().pending, 20);
    for (unsigned i = 0; i < 20; i++) {
        struct actor *actor = host_take_actor(host, "s");
        actor_be_told(actor);
        ck_assert_uint_eq(actor->tellings, 0);
        UNTIL(actor->received + berth_socket_bytes_available(actor->socket) == 5);
        UNTIL(actor->tellings == 1);
        actor_say(actor, "welcome");
        disconnect(actor);
        ck_assert(peer_hears(peers[i], "welcome"));
        ck_assert(peer_saw_end(peers[i]));
        ck_assert_uint_eq(host->emptied, i == 19);
    }
}

static void take_one(berth_timer *timer, void *user)
{
    (void)user;
    berth_socket *socket = berth_server_next_pending_connection(host->server);
    if (socket == NULL)
        return;
    berth_socket_disconnect_from_host(socket);
    berth_timer_start(timer, 5, 0);
}

CASE(backlog_behind_a_full_queue, "drain", "the drain waits for room in the queue, for a while")
{
    host = host_listening("h");
    berth_server_set_max_pending_connections(host->server, 2);
    struct peer *peers[8];
    for (unsigned i = 0; i < 8; i++)
        peers[i] = world_connect(host->port);
    UNTIL(host->new_connections == 2);
    drain((berth_drain){0});
    berth_timer *timer = berth_timer_new(world_loop(), take_one, NULL);
    ck_assert_ptr_nonnull(timer);
    berth_timer_start(timer, 30, 0);
    UNTIL(host->emptied == 1);
    ck_assert_uint_eq(host->new_connections, 8);
    for (unsigned i = 0; i < 8; i++)
        ck_assert(peer_saw_end(peers[i]));
}

CASE(backlog_that_nobody_takes, "drain", "the listener is closed after a second all the same")
{
    host = host_listening("h");
    berth_server_set_max_pending_connections(host->server, 2);
    struct peer *peers[4];
    for (unsigned i = 0; i < 4; i++)
        peers[i] = world_connect(host->port);
    UNTIL(host->new_connections == 2);
    uint64_t start = now();
    drain((berth_drain){.deadline = 2000});
    UNTIL(is_draining());
    ck_assert_uint_ge(now() - start + 1, 1000);
    ck_assert(peer_saw_either(peers[3]));
    ck_assert_uint_eq(counts_of_host().pending, 2);
    UNTIL(host->emptied == 1);
    ck_assert(host->forced);
    ck_assert_uint_eq(counts_of_host().closed_drain, 2);
    ck_assert_uint_eq(counts_of_host().dropped, 2);
    ck_assert(peer_saw_reset(peers[0]) && peer_saw_reset(peers[1]));
}

CASE(backlog_that_was_handed_over, "drain", "is left to the successor, who has the listener too")
{
    host = host_listening("h");
    berth_server_pause_accepting(host->server);
    world_connect(host->port);
    world_settle();
    host->server->succession = BERTH__LISTENERS_HANDED_OVER;
    drain((berth_drain){0});
    UNTIL(host->emptied == 1);
    ck_assert_uint_eq(host->new_connections, 0);
}

/* ---- who is idle ----------------------------------------------------------------------------- */

CASE(idle_connections_end_gracefully, "drain",
     "without the handler: after the idle time, with all output, and no reset")
{
    host = host_listening("h");
    struct peer *peers[2];
    struct actor *idle = host_connect(host, "s", &peers[0]);
    struct actor *busy = host_connect(host, "t", &peers[1]);
    peer_say(peers[0], "request");
    UNTIL(actor_has(idle, "request"));
    const size_t size = 16000000; /* more than any kernel takes */
    uint8_t *answer = scene_pattern(size, 1);
    ck_assert_int_eq(berth_socket_write(busy->socket, answer, size), (ptrdiff_t)size);
    uint64_t start = now();
    drain((berth_drain){.idle = 200});
    UNTIL(idle->disconnects == 1);
    ck_assert_uint_ge(now() - start + 1, 200);
    if (world_is_simulated())
        ck_assert_uint_le(now() - start, 262);
    ck_assert_uint_eq(idle->errors, 0);
    ck_assert(peer_saw_end(peers[0]));
    pass(500);
    ck_assert_uint_eq(busy->disconnects, 0);
    uint8_t *got = scene_pattern(size, 2);
    ck_assert_uint_eq(peer_receive(peers[1], got, size), size);
    ck_assert_mem_eq(got, answer, size);
    UNTIL(busy->disconnects == 1);
    ck_assert(peer_saw_end(peers[1]));
    UNTIL(host->emptied == 1);
    ck_assert(!host->forced);
    free(answer);
    free(got);
}

CASE(grace_counts_as_idle_time, "drain", "who was silent for the grace goes when it is over")
{
    host = host_listening("h");
    struct peer *peers[2];
    struct actor *old = host_connect(host, "s", &peers[0]);
    drain((berth_drain){.grace = ample(300), .idle = ample(200)});
    pass(ample(250));
    struct actor *young = host_connect(host, "t", &peers[1]);
    uint64_t start = now();
    UNTIL(old->disconnects == 1);
    if (world_is_simulated())
        ck_assert_uint_le(now() - start, 60);
    ck_assert_uint_eq(young->disconnects, 0);
    UNTIL(young->disconnects == 1);
    ck_assert_uint_ge(now() - start + 1, ample(200));
    UNTIL(host->emptied == 1);
}

CASE(bytes_and_unread_input_keep_a_connection, "drain",
     "each byte begins the idle time anew; what nobody has read, and what a pause keeps out, is "
     "waited for")
{
    host = host_listening("h");
    struct peer *peers[3];
    struct actor *talks = host_connect(host, "s", &peers[0]);
    struct actor *unread = host_connect(host, "t", &peers[1]);
    struct actor *paused = host_connect(host, "u", &peers[2]);
    unread->reads = false;
    peer_say(peers[1], "read me");
    UNTIL(unread->ready_reads == 1);
    berth_socket_pause_reading(paused->socket);
    peer_say(peers[2], "me too");
    drain((berth_drain){.idle = ample(200)});
    for (unsigned i = 0; i < 13; i++) {
        pass(100);
        peer_say(peers[0], ".");
        world_turn();
    }
    ck_assert_uint_eq(talks->disconnects + unread->disconnects + paused->disconnects, 0);
    uint64_t start = now();
    UNTIL(talks->disconnects == 1);
    ck_assert_uint_ge(now() - start + 50, ample(200));
    char text[16];
    ck_assert_int_eq(berth_socket_read(unread->socket, text, sizeof text), 7);
    berth_socket_resume_reading(paused->socket);
    UNTIL(actor_has(paused, "me too"));
    UNTIL(unread->disconnects == 1 && paused->disconnects == 1 && host->emptied == 1);
    ck_assert(peer_saw_end(peers[1]));
    ck_assert_uint_eq(counts_of_host().closed_drain, 0);
}

CASE(wait_inside_a_drain, "drain", "a socket that is waited for on the stack is not idle")
{
    host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    drain((berth_drain){.idle = ample(50)});
    UNTIL(is_draining());
    ck_assert(!berth_socket_wait_for_ready_read(actor->socket, (int)ample(50) + 100));
    ck_assert_uint_eq(actor->disconnects, 0);
    UNTIL(actor->disconnects == 1 && host->emptied == 1);
}

/* ---- the deadline ---------------------------------------------------------------------------- */

CASE(deadline_of_a_drain, "drain",
     "who never reads, always writes, is paused, has a rate, is closing or pending is reset and "
     "counted")
{
    host = host_listening("h");
    struct peer *peers[6];
    struct actor *actors[5];
    for (unsigned i = 0; i < 5; i++)
        actors[i] = i % 2 == 0 ? told_actor(&peers[i]) : host_connect(host, "t", &peers[i]);
    peers[5] = world_connect(host->port);
    UNTIL(host->new_connections == 6);
    enum {
        SIZE = 8000000
    };
    uint8_t *bytes = scene_pattern(SIZE, 1);
    for (unsigned i = 0; i < 5; i++)
        actors[i]->quiet = true;
    ck_assert_int_gt(berth_socket_write(actors[0]->socket, bytes, SIZE), 0);
    berth_socket_pause_reading(actors[2]->socket);
    peer_send_some(peers[2], bytes, 1000);
    berth_rate *rate = berth_rate_new(world_loop(), 1000, 0);
    ck_assert(berth_socket_set_write_rate(actors[3]->socket, rate));
    ck_assert_int_gt(berth_socket_write(actors[3]->socket, bytes, 100000), 0);
    ck_assert_int_gt(berth_socket_write(actors[4]->socket, bytes, SIZE), 0);
    disconnect(actors[4]);
    uint64_t start = now();
    drain((berth_drain){.grace = 100, .deadline = 400, .idle = 10000});
    for (uint64_t next = start; host->emptied == 0 && now() - start < 3000;) {
        if (now() >= next && actors[1]->disconnects == 0) {
            peer_send_some(peers[1], bytes, 1000);
            next = now() + 10;
        }
        world_turn();
    }
    ck_assert_uint_eq(host->emptied, 1);
    ck_assert(host->forced);
    ck_assert_uint_ge(now() - start + 1, 400);
    if (world_is_simulated())
        ck_assert_uint_le(now() - start, 400 + BERTH_LIMIT_TICK);
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_uint_eq(actors[i]->disconnects, 1);
        ck_assert_uint_eq(actors[i]->errors, 1);
        ck_assert_int_eq(actors[i]->error, BERTH_ERROR_SOCKET_TIMEOUT);
        ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actors[i]->socket), "drained"));
    }
    ck_assert_uint_eq(actors[0]->tellings, 1);
    ck_assert_uint_eq(actors[4]->tellings, 0); /* it was closing already */
    for (unsigned i = 0; i < 6; i++) {
        while (peer_receive(peers[i], bytes, SIZE) > 0)
            continue;
        ck_assert(peer_saw_reset(peers[i]));
    }
    ck_assert_uint_eq(counts_of_host().closed_drain, 6);
    ck_assert_uint_eq(counts_of_host().live, 0);
    berth_rate_free(rate);
    free(bytes);
}

CASE(second_drain_only_shortens, "drain", "a longer plan changes nothing, a deadline of 1 ends all")
{
    host = host_listening("h");
    struct peer *peer;
    struct actor *actor = told_actor(&peer);
    uint64_t start = now();
    drain((berth_drain){.grace = 300, .deadline = 600});
    drain((berth_drain){.grace = 10000, .deadline = 10000, .idle = 10000});
    UNTIL(is_draining());
    if (world_is_simulated())
        ck_assert_uint_le(now() - start, 301);
    UNTIL(host->emptied == 1);
    if (world_is_simulated())
        ck_assert_uint_le(now() - start, 601);
    ck_assert_uint_eq(actor->disconnects, 1);

    host_listen(host);
    actor = told_actor(&peer);
    start = now();
    drain((berth_drain){.grace = 60000});
    world_settle();
    ck_assert_int_eq(state_of_host(), BERTH_DRAIN_GRACE);
    drain((berth_drain){.grace = 60000});
    world_settle();
    ck_assert_int_eq(state_of_host(), BERTH_DRAIN_GRACE);
    ck_assert(berth_server_drain(host->server, NULL));
    UNTIL(actor->tellings == 1);
    world_settle();
    ck_assert_uint_eq(host->emptied, 1);
    drain((berth_drain){.deadline = 1});
    UNTIL(host->emptied == 2);
    ck_assert(host->forced);
    ck_assert_uint_lt(now() - start, 30000);
    ck_assert(peer_saw_reset(peer));
}

CASE(deadline_within_the_grace, "drain", "ends all, and who waits in the kernel is not accepted")
{
    host = host_listening("h");
    struct peer *peer;
    struct actor *actor = told_actor(&peer);
    drain((berth_drain){.grace = 10000, .deadline = 50});
    UNTIL(host->emptied == 1);
    ck_assert(host->forced);
    ck_assert_uint_eq(actor->tellings, 0);
    ck_assert_uint_eq(actor->disconnects, 1);
}

/* ---- handlers that do everything ------------------------------------------------------------- */

static void free_server_of(struct actor *actor)
{
    (void)actor;
    berth_server_free(host->server);
}

static void close_server_of(struct actor *actor)
{
    (void)actor;
    berth_server_close(host->server);
}

static void drain_again(struct actor *actor)
{
    (void)actor;
    ck_assert(berth_server_drain(host->server, NULL));
}

static void listen_again(struct host *which)
{
    if (which->emptied == 1)
        host_listen(which);
}

static void free_host(struct host *which)
{
    berth_server_free(which->server);
}

static void drain_host(struct host *which)
{
    ck_assert(berth_server_drain(which->server, NULL));
}

static struct actor *told_many(struct peer *peers[], unsigned count)
{
    struct actor *actor = NULL;
    for (unsigned i = 0; i < count; i++)
        actor = told_actor(&peers[i]);
    return actor;
}

CASE(server_freed_inside_draining, "drain", "nobody else is told, and emptied does not come")
{
    host = host_listening("h");
    host->takes = true;
    struct peer *peers[5];
    for (unsigned i = 0; i < 5; i++)
        peers[i] = world_connect(host->port);
    UNTIL(host->count == 5);
    for (unsigned i = 0; i < 5; i++) {
        actor_be_told(host->taken[i]);
        host->taken[i]->on_draining = free_server_of;
    }
    drain((berth_drain){0});
    UNTIL(peer_sees_either(peers[0]));
    world_settle();
    unsigned tellings = 0;
    for (unsigned i = 0; i < 5; i++)
        tellings += host->taken[i]->tellings;
    ck_assert_uint_eq(tellings, 1);
    ck_assert_uint_eq(host->emptied, 0);
}

CASE(server_closed_inside_draining, "drain",
     "the drain is over without emptied, and may begin anew")
{
    host = host_listening("h");
    struct peer *peers[3];
    struct actor *last = told_many(peers, 3);
    last->on_draining = close_server_of;
    drain((berth_drain){0});
    UNTIL(last->tellings == 1);
    ck_assert_int_eq(state_of_host(), BERTH_DRAIN_NONE);
    host_listen(host);
    last->on_draining = drain_again;
    drain((berth_drain){0});
    UNTIL(last->tellings == 2);
    pass(50);
    ck_assert_uint_eq(last->tellings, 2);
    ck_assert_uint_eq(host->emptied, 0);
    for (unsigned i = 0; i < 3; i++)
        peer_close(peers[i]);
    UNTIL(host->emptied == 1);
}

CASE(last_connection_ends_inside_draining, "drain", "emptied comes afterwards, not inside")
{
    host = host_listening("h");
    struct peer *peer;
    struct actor *actor = told_actor(&peer);
    actor->on_draining = actor_free_socket;
    drain((berth_drain){0});
    UNTIL(host->emptied == 1);
    assert_trace("s draining, s state UNCONNECTED, s finished, s disconnected, h emptied");
}

CASE(everything_inside_emptied, "drain", "free, close, drain and listen")
{
    host = host_listening("h");
    host->on_emptied = drain_host;
    drain((berth_drain){0});
    UNTIL(host->emptied == 1);
    world_settle();
    ck_assert_uint_eq(host->emptied, 1);
    ck_assert_int_eq(state_of_host(), BERTH_DRAIN_EMPTY);
    host_listen(host);
    host->emptied = 0;
    host->on_emptied = listen_again;
    drain((berth_drain){0});
    UNTIL(host->emptied == 1);
    ck_assert(berth_server_is_listening(host->server));
    ck_assert_int_eq(state_of_host(), BERTH_DRAIN_NONE);
    host->on_emptied = free_host;
    drain((berth_drain){0});
    UNTIL(host->emptied == 2);
    world_settle();
}

CASE(server_freed_at_the_deadline, "drain", "inside the error of the first that is reset")
{
    host = host_listening("h");
    host->takes = true;
    for (unsigned i = 0; i < 5; i++)
        world_connect(host->port);
    UNTIL(host->count == 5);
    for (unsigned i = 0; i < 5; i++)
        host->taken[i]->on_error = free_server_of;
    drain((berth_drain){.deadline = 1});
    for (unsigned errors = 0, turns = 0; errors == 0; turns++) {
        ck_assert_uint_lt(turns, 1000);
        world_turn();
        for (unsigned i = 0; i < 5; i++)
            errors += host->taken[i]->errors;
    }
    world_settle();
    ck_assert_uint_eq(host->emptied, 0);
}

CASE(close_while_draining, "drain", "pending sockets go, others stay, emptied does not come")
{
    host = host_listening("h");
    struct peer *peer;
    struct actor *actor = told_actor(&peer);
    struct peer *pending = world_connect(host->port);
    UNTIL(host->new_connections == 2);
    drain((berth_drain){.deadline = 500});
    UNTIL(actor->tellings == 1);
    berth_server_close(host->server);
    ck_assert(peer_saw_end(pending));
    pass(600);
    ck_assert_uint_eq(host->emptied, 0);
    ck_assert_uint_eq(actor->disconnects, 0);
    actor_say(actor, "still here");
    ck_assert(peer_hears(peer, "still here"));
}

static void run_until_emptied(struct actor *actor)
{
    if (actor->tellings > 1)
        return;
    berth_socket_abort(actor->socket);
    UNTIL(host->emptied == 1);
}

CASE(loop_turned_inside_draining, "drain", "the drain goes on inside the handler, to its end")
{
    host = host_listening("h");
    struct peer *peers[4];
    struct actor *last = told_many(peers, 4); /* is come by first */
    last->on_draining = run_until_emptied;
    drain((berth_drain){.deadline = 100});
    UNTIL(host->emptied == 1);
    ck_assert(host->forced);
    world_settle();
    ck_assert_uint_eq(host->emptied, 1);
}

static unsigned inside;

static void wait_for_the_end(struct actor *actor)
{
    (void)actor;
    inside++;
    UNTIL(host->emptied == 1);
}

CASE(deadline_inside_draining, "drain",
     "others are told inside the handler, and the deadline is kept inside theirs")
{
    host = host_listening("h");
    struct peer *peers[3];
    for (int i = 0; i < 3; i++)
        told_actor(&peers[i])->on_draining = wait_for_the_end;
    uint64_t start = now();
    drain((berth_drain){.deadline = 100});
    UNTIL(host->emptied == 1);
    ck_assert(host->forced);
    ck_assert_uint_eq(inside, 2);
    if (world_is_simulated())
        ck_assert_uint_le(now() - start, 101);
    world_settle();
    ck_assert_uint_eq(counts_of_host().closed_drain, 3);
}

/* ---- each socket ----------------------------------------------------------------------------- */

static unsigned visits;

static void count_visit(berth_socket *socket, void *user)
{
    struct actor *actor = berth_socket_user(socket);
    ck_assert_ptr_eq(actor->socket, socket);
    ck_assert_ptr_eq(user, host);
    actor->written++;
    visits++;
}

static void free_visited(berth_socket *socket, void *user)
{
    (void)user;
    visits++;
    berth_socket_free(socket);
}

static void free_all_visited(berth_socket *socket, void *user)
{
    (void)socket;
    (void)user;
    visits++;
    for (unsigned i = 0; i < host->count; i++) {
        berth_socket_free(host->taken[i]->socket);
        world_turn();
    }
    host->count = 0;
}

static void free_next_and_visit(berth_socket *socket, void *user)
{
    (void)user;
    visits++;
    for (unsigned i = 0; i + 1 < host->count; i++) {
        if (host->taken[i + 1]->socket == socket)
            berth_socket_free(host->taken[i]->socket);
        host->taken[i]->written = 0;
    }
    unsigned outer = visits;
    berth_server_each_socket(host->server, count_visit, host);
    visits = outer;
}

static void close_and_free_server(berth_socket *socket, void *user)
{
    (void)socket;
    (void)user;
    visits++;
    berth_server_free(host->server);
}

static void take_five(void)
{
    host = host_listening("h");
    host->takes = true;
    for (unsigned i = 0; i < 5; i++)
        world_connect(host->port);
    UNTIL(host->count == 5);
    visits = 0;
}

CASE(each_socket_once, "each_socket",
     "those that were taken, connected or not; pending ones are not")
{
    take_five();
    host->takes = false;
    world_connect(host->port);
    UNTIL(host->new_connections == 6);
    berth_socket_abort(host->taken[2]->socket);
    berth_socket_detach(host->taken[3]->socket);
    for (unsigned i = 0; i < 5; i++)
        host->taken[i]->written = 0;
    berth_server_each_socket(host->server, count_visit, host);
    ck_assert_uint_eq(visits, 4);
    for (unsigned i = 0; i < 5; i++)
        ck_assert_uint_eq(host->taken[i]->written, i != 3);
    berth_server_each_socket(host->server, free_visited, NULL);
    ck_assert_uint_eq(visits, 8);
    berth_server_each_socket(host->server, free_visited, NULL);
    ck_assert_uint_eq(visits, 8);
    ck_assert(berth_server_has_pending_connections(host->server));
}

CASE(each_socket_freed_by_the_first, "each_socket", "no other is visited, although turns free them")
{
    take_five();
    berth_server_each_socket(host->server, free_all_visited, NULL);
    ck_assert_uint_eq(visits, 1);
}

CASE(each_socket_inside_each_socket, "each_socket", "and the next one is freed each time")
{
    take_five();
    berth_server_each_socket(host->server, free_next_and_visit, host);
    ck_assert_uint_eq(visits, 3);
}

CASE(each_socket_and_the_server_freed, "each_socket", "the walk is over")
{
    take_five();
    berth_server_each_socket(host->server, close_and_free_server, NULL);
    ck_assert_uint_eq(visits, 1);
}
