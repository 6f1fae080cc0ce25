/*
 * Connecting: how an attempt ends, and what comes after.
 */
#include "kit.h"

CASE(connect_succeeds, "1",
     "an attempt ends once with success, and the stream carries bytes both ways")
{
    uint16_t port = world_listen(5);
    kit_stream *stream = kit_stream_new("a", NULL);
    ck_assert_int_eq(kit_connect(stream, port), 0);
    ck_assert_uint_eq(stream->connects, 0);
    UNTIL(stream->connects == 1);
    ck_assert_int_eq(stream->connect_error, 0);
    struct peer *peer = world_accept(port);
    ck_assert_ptr_nonnull(peer);
    kit_receive_start(stream);
    peer_say(peer, "hello");
    UNTIL(stream->received == 5);
    kit_send_all(stream, "world", 5);
    ck_assert(peer_hears(peer, "world"));
    ck_assert_uint_eq(stream->connects, 1);
}

CASE(connect_needs_no_accept, "1", "an attempt succeeds as soon as the backlog has taken it")
{
    uint16_t port = world_listen(5);
    kit_stream *stream = kit_stream_new("a", NULL);
    ck_assert_int_eq(kit_connect(stream, port), 0);
    UNTIL(stream->connects == 1);
    kit_send_all(stream, "early", 5);
    kit_close(stream);
    UNTIL(stream->closed);
    struct peer *peer = world_accept(port);
    ck_assert_ptr_nonnull(peer);
    ck_assert(peer_hears(peer, "early"));
    ck_assert(peer_saw_end(peer));
}

CASE(connect_is_refused, "1", "nobody listens: ECONNREFUSED, reported by the event")
{
    uint16_t port = world_free_port();
    kit_stream *stream = kit_stream_new("a", NULL);
    int error = kit_connect(stream, port);
    if (error == 0) {
        UNTIL(stream->connects == 1);
        error = stream->connect_error;
    }
    ck_assert_int_eq(error, ECONNREFUSED);
}

CASE(connect_with_a_full_backlog_waits, "1",
     "no room in the backlog: the attempt stays open until there is, or until close")
{
    uint16_t port = world_listen(0);
    world_connect(port);
    struct peer *second = world_connect_begin(port);
    (void)second;
    kit_stream *streams[4];
    unsigned waiting = 0;
    for (unsigned i = 0; i < 4; i++) {
        streams[i] = kit_stream_new("a", NULL);
        ck_assert_int_eq(kit_connect(streams[i], port), 0);
    }
    world_settle();
    for (unsigned i = 0; i < 4; i++)
        waiting += streams[i]->connects == 0;
    ck_assert_uint_ge(waiting, 1);
    for (unsigned i = 0; i < 4; i++)
        kit_close(streams[i]);
    for (unsigned i = 0; i < 4; i++)
        UNTIL(streams[i]->closed);
}

CASE(connect_takes_a_later_segment, "1",
     "room that is made later is found when the attempt asks again, after a second")
{
    uint16_t port = world_listen(0);
    kit_stream *last = NULL;
    unsigned taken = 0;
    uint64_t start = 0;
    for (; last == NULL || last->connects > 0; taken++) {
        ck_assert_uint_lt(taken, 10);
        start = kit()->operations->now(kit());
        last = kit_stream_new("a", NULL);
        ck_assert_int_eq(kit_connect(last, port), 0);
        world_settle();
    }
    for (; taken > 1; taken--)
        ck_assert_ptr_nonnull(world_accept(port));
    UNTIL(last->connects == 1);
    ck_assert_int_eq(last->connect_error, 0);
    ck_assert_uint_ge(kit()->operations->now(kit()) - start, UINT64_C(500000000));
    ck_assert_ptr_nonnull(world_accept(port));
}

CASE(close_while_connecting, "7", "close right after connect: closed, and never connected")
{
    uint16_t port = world_listen(5);
    kit_stream *stream = kit_stream_new("a", NULL);
    ck_assert_int_eq(kit_connect(stream, port), 0);
    kit_close(stream);
    UNTIL(stream->closed);
    world_settle();
    assert_trace("a closed");
}

CASE(both_ends_in_one_backend, "1 8", "a stream connects to a listener of the same backend")
{
    kit_listener *listener = kit_listen("l");
    kit_credit(listener, 1);
    kit_stream *near = kit_stream_new("near", NULL);
    ck_assert_int_eq(kit_connect(near, listener->port), 0);
    UNTIL(near->connects == 1 && listener->count == 1);
    kit_stream *far = kit_adopt("far", listener->descriptors[0]);
    kit_receive_start(near);
    kit_receive_start(far);
    kit_send_all(near, "ping", 4);
    UNTIL(far->received == 4);
    kit_send_all(far, "pong", 4);
    UNTIL(near->received == 4);
    kit_close(near);
    UNTIL(far->ends == 1);
    ck_assert_int_eq(far->end_error, 0);
}

CASE(connect_without_descriptors, "connect",
     "no descriptor left: the call says EMFILE, and closed is not owed")
{
    uint16_t port = world_listen(5);
    kit_stream *stream = kit_stream_new("a", NULL);
    world_exhaust(0);
    ck_assert_int_eq(kit_connect(stream, port), EMFILE);
    world_relieve();
    ck_assert_int_eq(stream->stream.descriptor, -1);
    ck_assert_int_eq(kit_connect(stream, port), 0);
    UNTIL(stream->connects == 1);
}
