/*
 * What was begun reaches the peer although nothing of the library is called for long afterwards.
 */
#include "scene.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct actor *connection(struct host **host, const char *name, struct peer **ret_peer)
{
    if (world_is_simulated() && getenv("BERTH_SIM_SEED") != NULL)
        case_skip("with a seed the simulated network takes its time");
    if (*host == NULL)
        *host = host_listening("h");
    return host_connect(*host, name, ret_peer);
}

/* Without a turn. What has left one end of a connection is not at the other one at once where the
 * kernel leaves that to a thread of its own, as a busy Linux 6.1 does. */
static bool goes_on(int *rounds)
{
    enum {
        MOST_ROUNDS = 5000
    };
    const struct timespec millisecond = {.tv_nsec = 1000000};
    if (world_is_simulated() || ++*rounds > MOST_ROUNDS)
        return false;
    nanosleep(&millisecond, NULL);
    return true;
}

static void expect(struct peer *peer, const char *text)
{
    char heard[64];
    int rounds = 0;
    size_t size = 0;
    do
        size += peer_receive_some(peer, heard + size, sizeof heard - size);
    while (size < strlen(text) && goes_on(&rounds));
    ck_assert_uint_eq(size, strlen(text));
    ck_assert_mem_eq(heard, text, size);
}

static void expect_end(struct peer *peer)
{
    int rounds = 0;
    while (!peer_sees_either(peer))
        ck_assert_msg(goes_on(&rounds), "the end does not come");
}

CASE(nothing_is_left_by_a_wait, "S4.17",
     "the last bytes and the end have left when the wait returns")
{
    struct host *host = NULL;
    struct peer *peer;
    struct actor *actor = connection(&host, "s", &peer);
    actor_say(actor, "hello");
    berth_socket_disconnect_from_host(actor->socket);
    peer_shutdown(peer);
    ck_assert(berth_socket_wait_for_disconnected(actor->socket, 5000));
    expect(peer, "hello");
    expect_end(peer);
}

CASE(nothing_is_left_by_a_turn, "loop.h",
     "a turn of 0 leaves nothing behind that was begun before it")
{
    struct host *host = NULL;
    struct peer *peer, *other;
    struct actor *actor = connection(&host, "a", &peer);
    struct actor *aborted = connection(&host, "b", &other);
    world_settle();
    actor_say(actor, "hello");
    berth_socket_abort(aborted->socket);
    berth_loop_turn(world_loop(), 0);
    expect(peer, "hello");
    expect_end(other);
}

static void stop(struct actor *actor)
{
    (void)actor;
    berth_loop_stop(world_loop(), 0);
}

CASE(nothing_is_left_by_a_run, "loop.h",
     "nor does a run that is stopped by the end of a connection")
{
    struct host *host = NULL;
    struct peer *peer;
    struct actor *actor = connection(&host, "s", &peer);
    actor->on_disconnected = stop;
    actor_say(actor, "hello");
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert_int_eq(world_run(), 0);
    expect(peer, "hello");
    expect_end(peer);
}

CASE(flush_leaves_a_wake, "loop.h S3.29",
     "a flush hands over, and asks for the send in flight: a wake is for the turn")
{
    enum {
        MUCH = 8 << 20
    };
    struct host *host = NULL;
    struct peer *peer;
    struct actor *actor = connection(&host, "s", &peer);
    uint8_t *bytes = scene_pattern(MUCH, 1);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, MUCH), MUCH);
    free(bytes);
    world_settle();
    ck_assert_uint_gt(berth_socket_bytes_to_write(actor->socket), 0);
    berth_loop_wake(world_loop());
    ck_assert(berth_socket_flush(actor->socket));
    berth_loop_turn(world_loop(), world_for_ever());
}

CASE(end_behind_that_of_the_peer_is_shown, "socket.h S3.33",
     "a graceful end after the peer's own is there when the call returns, without a turn")
{
    struct host *host = NULL;
    struct peer *peer;
    struct actor *actor = connection(&host, "s", &peer);
    berth_socket_set_half_close(actor->socket, true);
    peer_shutdown(peer);
    UNTIL(actor->finishes == 1);
    world_settle();
    actor_say(actor, "hello");
    ck_assert(berth_socket_flush(actor->socket));
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert_uint_eq(actor->disconnects, 1);
    expect(peer, "hello");
    expect_end(peer);
}

CASE(farewell_behind_a_send_in_flight, "S3.33",
     "write, flush and disconnect end inside the call although an earlier send is in flight")
{
    struct host *host = NULL;
    struct peer *peer;
    struct actor *actor = connection(&host, "s", &peer);
    berth_socket_set_half_close(actor->socket, true);
    peer_say(peer, "hello");
    peer_shutdown(peer);
    while (!actor_has(actor, "hello"))
        ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
    actor_say(actor, "reply");
    ck_assert(!berth_socket_wait_for_ready_read(actor->socket, 5000));
    ck_assert_uint_eq(actor->finishes, 1);
    actor_say(actor, "again");
    ck_assert(berth_socket_flush(actor->socket));
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert_uint_eq(actor->disconnects, 1);
    ck_assert_uint_eq(actor->written, 10);
    expect(peer, "replyagain");
    expect_end(peer);
}

CASE(flush_leaves_events_of_others, "loop.h S3.29",
     "input of another connection that a flush has come across is for the turn")
{
    enum {
        MUCH = 8 << 20
    };
    struct host *host = NULL;
    struct peer *peer;
    struct peer *other_peer;
    struct actor *actor = connection(&host, "a", &peer);
    struct actor *other = connection(&host, "b", &other_peer);
    uint8_t *bytes = scene_pattern(MUCH, 1);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, MUCH), MUCH);
    free(bytes);
    world_settle();
    ck_assert_uint_eq(peer_send_some(other_peer, "hello", 5), 5);
    ck_assert(berth_socket_flush(actor->socket));
    ck_assert(berth_socket_flush(actor->socket));
    ck_assert_uint_eq(other->ready_reads, 0);
    UNTIL(actor_has(other, "hello"));
}
