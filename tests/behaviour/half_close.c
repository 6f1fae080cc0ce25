/*
 * The peer ends its direction and goes on listening.
 */
#include "scene.h"

#include <stdlib.h>
#include <string.h>

static void answer(struct actor *actor)
{
    actor_say(actor, "the whole answer");
}

CASE(answer_to_a_half_closed_peer, "Q13 reliability 7",
     "what is written in the ready_read of the last bytes arrives, then the end")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->on_ready_read = answer;
    ck_assert_uint_eq(peer_send_some(peer, "question", 8), 8);
    peer_shutdown(peer);
    ck_assert(peer_hears(peer, "the whole answer"));
    while (actor->ready_reads > 1 && actor->ready_reads-- > 1)
        ck_assert(peer_hears(peer, "the whole answer"));
    ck_assert(peer_saw_end(peer));
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
}

CASE(big_answer_to_a_half_closed_peer, "Q13 T42",
     "megabytes that were written before the peer's end was noticed arrive complete")
{
    enum {
        SIZE = 4 << 20
    };
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    uint8_t *bytes = scene_pattern(SIZE, 4);
    uint8_t *heard = malloc(SIZE);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, SIZE), SIZE);
    peer_shutdown(peer);
    ck_assert_uint_eq(peer_receive(peer, heard, SIZE), SIZE);
    ck_assert_mem_eq(heard, bytes, SIZE);
    ck_assert(peer_saw_end(peer));
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->written, SIZE);
    ck_assert_uint_eq(actor->errors, 1);
    free(bytes);
    free(heard);
}

CASE(reset_behind_the_end_of_a_half_closed_peer, "Q13 T42",
     "is noticed without a write, and ends the connection")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    berth_socket_set_half_close(actor->socket, true);
    peer_say(peer, "question");
    peer_shutdown(peer);
    UNTIL(actor->finishes == 1);
    world_settle();
    ck_assert_uint_eq(actor->disconnects, 0);
    peer_reset(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->errors, 1);
    ck_assert(actor_has(actor, "question"));
}

CASE(reset_together_with_the_end_of_a_peer, "Q13 T42",
     "the end and the reset behind it, found at the same time")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    berth_socket_set_half_close(actor->socket, true);
    world_settle();
    peer_shutdown(peer);
    peer_reset(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->errors, 1);
}

CASE(reset_of_a_half_closed_peer_in_the_queue, "Q13 S2.9", "whoever takes the socket is told")
{
    struct host *host = host_listening("h");
    struct peer *peer = world_connect(host->port);
    UNTIL(host->new_connections == 1);
    peer_shutdown(peer);
    world_settle();
    peer_reset(peer);
    world_settle();
    struct actor *actor = host_take_actor(host, "s");
    berth_socket_set_half_close(actor->socket, true);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->errors, 1);
}

CASE(own_end_behind_that_of_the_peer, "Q13 0024", "both directions ended in order are no error")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    berth_socket_set_half_close(actor->socket, true);
    peer_shutdown(peer);
    UNTIL(actor->finishes == 1);
    actor_say(actor, "answer");
    berth_socket_shutdown_send(actor->socket);
    ck_assert(peer_hears(peer, "answer"));
    ck_assert(peer_saw_end(peer));
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->errors, 0);
}

CASE(order_of_a_half_close_with_output, "S3.31 Q13",
     "error, CLOSING, the output goes, UNCONNECTED, finished, disconnected")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor_say(actor, "x");
    actor->on_error = answer;
    peer_shutdown(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert(peer_hears(peer, "xthe whole answer"));
    ck_assert(peer_saw_end(peer));
    ck_assert_str_eq(strrchr(trace_text(), ',') + 2, "s disconnected");
    ck_assert_uint_eq(trace_times("s state CLOSING"), 1);
    ck_assert_uint_eq(trace_times("s state UNCONNECTED"), 1);
    ck_assert_uint_eq(trace_times("s finished"), 1);
    ck_assert_uint_eq(actor->errors, 1);
}

CASE(half_close_is_allowed, "socket.h",
     "with set_half_close only read_channel_finished is called, and the connection stays")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    berth_socket_set_half_close(actor->socket, true);
    peer_send_some(peer, "question", 8);
    peer_shutdown(peer);
    UNTIL(actor->finishes == 1);
    world_settle();
    assert_trace("s ready_read, s finished");
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
    ck_assert_uint_eq(actor->received, 8);
    char byte;
    ck_assert_int_eq(berth_socket_read(actor->socket, &byte, 1), -1);
    actor_say(actor, "one ");
    world_settle();
    actor_say(actor, "two");
    ck_assert(peer_hears(peer, "one two"));
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert(peer_saw_end(peer));
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->errors, 0);
    ck_assert_uint_eq(actor->finishes, 1);
}

CASE(half_closed_peer_goes, "socket.h",
     "a half-closed peer that resets later: an error and the end, finished not twice")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    berth_socket_set_half_close(actor->socket, true);
    peer_shutdown(peer);
    UNTIL(actor->finishes == 1);
    peer_reset(peer);
    for (int writes = 0; writes < 50 && actor->disconnects == 0; writes++) {
        berth_socket_write(actor->socket, "x", 1);
        world_turn();
    }
    ck_assert_uint_eq(actor->disconnects, 1);
    ck_assert_uint_eq(actor->finishes, 1);
    ck_assert_uint_eq(actor->errors, 1);
}

CASE(abort_of_a_half_closed_socket, "S3.35", "abort after the peer's end: disconnected once")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    berth_socket_set_half_close(actor->socket, true);
    peer_shutdown(peer);
    UNTIL(actor->finishes == 1);
    trace_clear();
    berth_socket_abort(actor->socket);
    assert_trace("s state UNCONNECTED, s disconnected");
    ck_assert(peer_saw_end(peer));
}
