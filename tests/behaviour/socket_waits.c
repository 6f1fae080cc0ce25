/*
 * The blocking waits of sockets: what ends them, what is called inside, what waits outside.
 */
#include "scene.h"

#include <signal.h>
#include <sys/time.h>

#include <stdlib.h>
#include <unistd.h>

static struct actor *accepted(const char *name, struct peer **ret_peer)
{
    struct host *host = host_listening("h");
    return host_connect(host, name, ret_peer);
}

/* ---- connected ---------------------------------------------------------------------------------
 */

CASE(wait_for_connected, "S4.11",
     "true when connected, with connected called inside; true at once afterwards")
{
    world_loop();
    uint16_t port = world_listen(5);
    struct actor *actor = actor_new("c");
    ck_assert(!berth_socket_wait_for_connected(actor->socket, 10));
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    ck_assert(berth_socket_wait_for_connected(actor->socket, 5000));
    assert_trace("c state HOST_LOOKUP, c state CONNECTING, c state CONNECTED, c connected");
    ck_assert(berth_socket_wait_for_connected(actor->socket, 0));
    world_settle();
    ck_assert_uint_eq(actor->connects, 1);
}

CASE(wait_for_connected_refused, "S4.11 S3.13",
     "false when nobody listens, with the error called inside")
{
    world_loop();
    uint16_t port = world_free_port();
    struct actor *actor = actor_new("c");
    berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port);
    ck_assert(!berth_socket_wait_for_connected(actor->socket, 5000));
    assert_trace(
        "c state HOST_LOOKUP, c state CONNECTING, c state UNCONNECTED, c error CONNECTION_REFUSED");
    ck_assert(!berth_socket_wait_for_connected(actor->socket, 5000));
}

CASE(wait_for_connected_times_out, "Q16 T26",
     "a time-out ends the attempt, with an error; another attempt may follow")
{
    world_loop();
    uint16_t port = world_listen(0);
    struct actor *actors[5];
    struct actor *late = NULL;
    /* A backlog of 0 has room for one or two; one of the next attempts stays open. */
    for (int i = 0; i < 5 && late == NULL; i++) {
        actors[i] = actor_new("c");
        trace_clear();
        ck_assert(berth_socket_connect_to_address(actors[i]->socket, BERTH_ADDRESS_LOOPBACK, port));
        if (!berth_socket_wait_for_connected(actors[i]->socket, 30))
            late = actors[i];
    }
    ck_assert_ptr_nonnull(late);
    assert_trace(
        "c state HOST_LOOKUP, c state CONNECTING, c state UNCONNECTED, c error SOCKET_TIMEOUT");
    world_unlisten(port);
    port = world_listen(5);
    ck_assert(berth_socket_connect_to_address(late->socket, BERTH_ADDRESS_LOOPBACK, port));
    ck_assert(berth_socket_wait_for_connected(late->socket, 5000));
}

CASE(wait_for_connected_leaves_a_greeting, "S4.11 S4.12",
     "what the peer says at once is new to the wait for it, whatever was done in between")
{
    world_loop();
    uint16_t port = world_listen(5);
    world_greet(port, "welcome", 7);
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    if (!world_is_simulated())
        usleep(20000); /* for the greeting to be there; without it the case says less */
    ck_assert(berth_socket_wait_for_connected(actor->socket, 5000));
    ck_assert_uint_eq(actor->ready_reads, 0);
    while (!actor_has(actor, "welcome"))
        ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
}

/* ---- ready_read --------------------------------------------------------------------------------
 */

CASE(wait_for_ready_read, "S4.12", "true when bytes come, with ready_read called inside")
{
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    peer_send_some(peer, "hello", 5);
    ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
    ck_assert_uint_ge(actor->ready_reads, 1);
    UNTIL(actor_has(actor, "hello"));
}

CASE(wait_for_ready_read_ignores_old_bytes, "S4.12", "unread old bytes do not end the wait")
{
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    actor->reads = false;
    peer_say(peer, "old");
    UNTIL(berth_socket_bytes_available(actor->socket) == 3);
    ck_assert(!berth_socket_wait_for_ready_read(actor->socket, 10));
    peer_send_some(peer, "new", 3);
    ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
    ck_assert_uint_gt(berth_socket_bytes_available(actor->socket), 3);
}

CASE(wait_for_ready_read_times_out, "S4.13 T33",
     "false, class SOCKET_TIMEOUT, error called; the connection stays")
{
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    ck_assert(!berth_socket_wait_for_ready_read(actor->socket, 10));
    assert_trace("s error SOCKET_TIMEOUT");
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
    ck_assert(!berth_socket_wait_for_ready_read(actor->socket, 0));
    peer_say(peer, "x");
    UNTIL(actor->received == 1);
}

CASE(wait_for_ready_read_at_the_end, "S4.14",
     "bytes and the end: the first wait says true, the second false")
{
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    actor->reads = false;
    peer_send_some(peer, "bye", 3);
    peer_close(peer);
    ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
    int more = 0;
    while (more < 10 && berth_socket_wait_for_ready_read(actor->socket, 5000))
        more++;
    ck_assert_int_lt(more, 3);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_UNCONNECTED);
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 3);
    ck_assert_uint_eq(actor->disconnects, 1);
}

CASE(reply_between_bytes_and_end, "S4.14",
     "what came together with the end can be answered before the end is announced")
{
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    for (int i = 0; i < 3; i++)
        world_turn();
    peer_send_some(peer, "question", 8);
    peer_shutdown(peer);
    ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
    while (!actor_has(actor, "question"))
        ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
    ck_assert_uint_eq(actor->errors, 0);
    ck_assert_int_eq(berth_socket_write(actor->socket, "reply", 5), 5);
    ck_assert(!berth_socket_wait_for_ready_read(actor->socket, 5000));
    ck_assert_uint_eq(actor->errors, 1);
    ck_assert(peer_hears(peer, "reply"));
    ck_assert(peer_saw_end(peer));
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
}

CASE(reply_between_bytes_and_end_by_another_wait, "S4.14 S4.16",
     "the wait for the reply to be written leaves the end to the next one")
{
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    peer_send_some(peer, "question", 8);
    peer_shutdown(peer);
    while (!actor_has(actor, "question"))
        ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
    berth_socket_write(actor->socket, "reply", 5);
    ck_assert(berth_socket_wait_for_bytes_written(actor->socket, 5000));
    ck_assert(peer_hears(peer, "reply"));
    ck_assert(actor->disconnects == 1 || berth_socket_wait_for_disconnected(actor->socket, 5000));
}

CASE(end_kept_by_a_wait_comes_by_the_loop, "S4.14", "nobody waits again: a turn announces it")
{
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    peer_send_some(peer, "question", 8);
    peer_shutdown(peer);
    while (!actor_has(actor, "question"))
        ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->errors, 1);
}

CASE(wait_for_bytes_written_reads, "S4.16",
     "a program that waits for nothing else hears what the peer has to say")
{
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    peer_send_some(peer, "hello", 5);
    for (int tries = 0; tries < 50 && actor->received < 5; tries++) {
        berth_socket_write(actor->socket, "x", 1);
        ck_assert(berth_socket_wait_for_bytes_written(actor->socket, 5000));
    }
    ck_assert(actor_has(actor, "hello"));
}

CASE(wait_for_ready_read_sends, "S4.12", "output goes out meanwhile")
{
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    actor_say(actor, "question");
    ck_assert(!berth_socket_wait_for_ready_read(actor->socket, 20));
    char bytes[16];
    size_t heard = 0;
    for (int tries = 0; tries < 200 && heard < 8; tries++) {
        heard += peer_receive_some(peer, bytes + heard, 8 - heard);
        if (heard < 8)
            berth_socket_wait_for_ready_read(actor->socket, 1);
    }
    ck_assert_uint_eq(heard, 8);
    ck_assert_mem_eq(bytes, "question", 8);
}

CASE(wait_for_ready_read_sends_beside_input, "S4.12",
     "output goes out to a peer that reads late, and sends without a pause")
{
    enum {
        SIZE = 12 << 20
    };
    static uint8_t bytes[1 << 16];
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    size_t before;
    ck_assert_int_eq(berth_socket_write(actor->socket, world_zeros(), SIZE), SIZE);
    do {
        before = actor->written;
        world_settle();
    } while (actor->written > before);
    for (int i = 0; i < 100 && actor->written == before; i++) {
        while (peer_send_some(peer, bytes, sizeof bytes) > 0)
            continue;
        while (i > 0 && peer_receive_some(peer, bytes, sizeof bytes) > 0)
            continue; /* not before there is input that has not been looked at */
        ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
    }
    ck_assert_uint_gt(actor->written, before);
}

CASE(wait_for_ready_read_connects_first, "S4.12",
     "a wait while connecting connects, then waits for bytes")
{
    struct host *host = host_listening("h");
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    ck_assert(!berth_socket_wait_for_ready_read(actor->socket, 30));
    ck_assert_uint_eq(actor->connects, 1);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
}

/* ---- bytes_written -----------------------------------------------------------------------------
 */

CASE(wait_for_bytes_written, "S4.16",
     "true when the kernel has taken some; false at once without output")
{
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    ck_assert(!berth_socket_wait_for_bytes_written(actor->socket, -1));
    assert_trace("");
    actor_say(actor, "hello");
    ck_assert(berth_socket_wait_for_bytes_written(actor->socket, 5000));
    ck_assert_uint_gt(actor->written, 0);
    ck_assert(peer_hears(peer, "hello"));
}

CASE(wait_for_bytes_written_times_out, "S4.16",
     "a peer that does not read: false and SOCKET_TIMEOUT in the end")
{
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    enum {
        SIZE = 16 << 20
    };
    uint8_t *bytes = scene_pattern(SIZE, 3);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, SIZE), SIZE);
    int waits = 0;
    while (waits < 10000 && berth_socket_wait_for_bytes_written(actor->socket, 20))
        waits++;
    ck_assert_int_lt(waits, 10000);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
    ck_assert_uint_eq(actor->written + berth_socket_bytes_to_write(actor->socket), SIZE);
    free(bytes);
}

CASE(wait_for_bytes_written_receives, "S4.16", "input is received meanwhile")
{
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    peer_send_some(peer, "x", 1);
    actor_say(actor, "y");
    ck_assert(berth_socket_wait_for_bytes_written(actor->socket, 5000));
    for (int i = 0; i < 100 && actor->received == 0; i++)
        berth_socket_wait_for_ready_read(actor->socket, 50);
    ck_assert_uint_eq(actor->received, 1);
}

/* ---- disconnected ------------------------------------------------------------------------------
 */

CASE(wait_for_disconnected_by_the_peer, "S4.17",
     "true when the peer ends it; what it sent stays readable")
{
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    actor->reads = false;
    peer_send_some(peer, "bye", 3);
    peer_close(peer);
    ck_assert(berth_socket_wait_for_disconnected(actor->socket, 5000));
    ck_assert_uint_eq(actor->disconnects, 1);
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 3);
    ck_assert(!berth_socket_wait_for_disconnected(actor->socket, 5000));
}

CASE(wait_for_disconnected_by_us, "S4.17",
     "after disconnect_from_host the rest is sent; true, error unchanged")
{
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    actor_say(actor, "goodbye");
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert(berth_socket_wait_for_disconnected(actor->socket, 5000));
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_NONE);
    ck_assert(peer_hears(peer, "goodbye"));
    ck_assert(peer_saw_end(peer));
}

CASE(wait_for_disconnected_times_out, "S4.17 T33", "false, SOCKET_TIMEOUT, still connected")
{
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    ck_assert(!berth_socket_wait_for_disconnected(actor->socket, 10));
    assert_trace("s error SOCKET_TIMEOUT");
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
}

/* ---- others, and freeing -----------------------------------------------------------------------
 */

CASE(others_wait_their_turn, "design 4 S4.19",
     "handlers of other sockets are not called in a wait, but later, in order")
{
    struct host *host = host_listening("h");
    struct peer *peers[3];
    struct actor *first = host_connect(host, "1", &peers[0]);
    struct actor *own = host_connect(host, "own", &peers[1]);
    struct actor *second = host_connect(host, "2", &peers[2]);
    peer_send_some(peers[0], "a", 1);
    berth_socket_wait_for_ready_read(own->socket, 10);
    peer_send_some(peers[2], "b", 1);
    berth_socket_wait_for_ready_read(own->socket, 10);
    peer_send_some(peers[1], "c", 1);
    trace_clear();
    ck_assert(berth_socket_wait_for_ready_read(own->socket, 5000));
    assert_trace("own ready_read");
    ck_assert_uint_eq(first->ready_reads + second->ready_reads, 0);
    UNTIL(first->received == 1 && second->received == 1);
    assert_trace("own ready_read, 1 ready_read, 2 ready_read");
}

static void count_expiry(berth_timer *timer, void *user)
{
    (void)timer;
    (*(unsigned *)user)++;
}

CASE(waits_run_no_timers, "timer.h", "timers are for the loop")
{
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    unsigned expiries = 0;
    berth_timer *timer = berth_timer_new(world_loop(), count_expiry, &expiries);
    ck_assert_ptr_nonnull(timer);
    berth_timer_start(timer, 1, 0);
    berth_socket_wait_for_ready_read(actor->socket, 20);
    ck_assert_uint_eq(expiries, 0);
    UNTIL(expiries == 1);
}

CASE(freed_inside_a_wait, "socket.h", "a handler frees the socket: the wait says false")
{
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    actor->on_ready_read = actor_free_socket;
    peer_send_some(peer, "x", 1);
    berth_socket *socket = actor->socket;
    ck_assert(!berth_socket_wait_for_ready_read(socket, 5000));
    ck_assert_ptr_null(actor->socket);
    actor = accepted("s", &peer);
    actor->on_disconnected = actor_free_socket;
    peer_close(peer);
    ck_assert(!berth_socket_wait_for_disconnected(actor->socket, 5000));
    ck_assert_ptr_null(actor->socket);
}

static void wait_inside(struct actor *actor)
{
    if (actor->ready_reads == 1)
        actor->errors += berth_socket_wait_for_ready_read(actor->socket, 20);
}

CASE(wait_inside_ready_read, "T35 S3.20",
     "a wait inside ready_read receives, without calling ready_read again inside")
{
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    actor->reads = false;
    actor->on_ready_read = wait_inside;
    peer_send_some(peer, "x", 1);
    ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
    ck_assert_uint_eq(actor->ready_reads, 1);
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 1);
}

CASE(wait_of_a_full_input, "Q17 S4.15",
     "a full limited input: the wait does not burn time for ever, and loses nothing")
{
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    actor->reads = false;
    berth_socket_set_read_buffer_size(actor->socket, 4);
    peer_say(peer, "123456789");
    UNTIL(berth_socket_bytes_available(actor->socket) >= 4);
    world_settle();
    ck_assert(!berth_socket_wait_for_ready_read(actor->socket, 20));
    char heard[9];
    size_t size = 0;
    for (int reads = 0; reads < 100 && size < 9; reads++) {
        ptrdiff_t some = berth_socket_read(actor->socket, heard + size, 9 - size);
        size += some > 0 ? (size_t)some : 0;
        world_turn();
    }
    ck_assert_uint_eq(size, 9);
    ck_assert_mem_eq(heard, "123456789", 9);
}

static unsigned checks;

static bool third_time(void *user)
{
    (void)user;
    return ++checks == 3;
}

static void nothing(int number)
{
    (void)number;
}

CASE(wait_that_a_check_ends, "S4.13",
     "signals interrupt the sleep, and the third one ends the wait")
{
    if (world_is_simulated())
        case_skip("the simulated kernel has no signals");
    struct peer *peer;
    struct actor *actor = accepted("s", &peer);
    struct sigaction action = {.sa_handler = nothing};
    const struct itimerval often = {.it_interval.tv_usec = 5000, .it_value.tv_usec = 5000};
    ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
    berth_loop_set_wait_check(world_loop(), third_time, NULL);
    ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
    ck_assert(!berth_socket_wait_for_ready_read(actor->socket, world_for_ever()));
    ck_assert_uint_eq(checks, 3);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_usec = 0}, NULL);
    peer_say(peer, "hello");
    ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
}

CASE(dialogue_without_a_loop, "S4.9 T31", "question and answer, a hundred times, with waits only")
{
    struct host *host = host_listening("h");
    struct actor *client = actor_new("c");
    client->quiet = true;
    ck_assert(berth_socket_connect_to_address(client->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    ck_assert(berth_socket_wait_for_connected(client->socket, world_for_ever()));
    ck_assert(berth_server_wait_for_new_connection(host->server, world_for_ever(), NULL));
    struct actor *server = actor_on("s", berth_server_next_pending_connection(host->server));
    server->quiet = true;
    for (size_t i = 1; i <= 100; i++) {
        actor_say(client, "?");
        ck_assert(berth_socket_wait_for_bytes_written(client->socket, world_for_ever()));
        ck_assert(berth_socket_wait_for_ready_read(server->socket, world_for_ever()));
        actor_say(server, "!");
        ck_assert(berth_socket_wait_for_bytes_written(server->socket, world_for_ever()));
        ck_assert(berth_socket_wait_for_ready_read(client->socket, world_for_ever()));
        ck_assert_uint_eq(client->received, i);
    }
}
