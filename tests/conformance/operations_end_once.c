/*
 * Law 1: an operation ends exactly once, and no event is called inside the call that started it.
 *
 * That nothing is called inside a call or inside another event is watched by the kit in every case,
 * and so is a send, which ends either by what it returns or by its event, and never by both;
 * the cases here create the occasions: operations that could end at once, and operations that are
 * started inside events.
 */
#include "kit.h"

#include <stdlib.h>

CASE(send_ends_once, "1 6",
     "a send that the kernel takes at once is answered once, by its result or from run")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    static const char hello[] = "hello";
    kit_send(stream, hello, 5);
    ck_assert_uint_eq(stream->sents, stream->stream.sending ? 0 : 1);
    UNTIL(stream->sents == 1);
    ck_assert_int_eq(stream->sent, 5);
    ck_assert(peer_hears(peer, "hello"));
    world_settle();
    ck_assert_uint_eq(stream->sents, 1);
}

CASE(nothing_happens_without_run, "1", "a wait alone calls no event, whatever is ready")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_listener *listener = kit_listen("l");
    kit_credit(listener, 3);
    kit_receive_start(stream);
    static const char hello[] = "hello";
    kit_send(stream, hello, 5);
    world_connect(listener->port);
    peer_send_some(peer, "x", 1);
    trace_clear(); /* the send may have ended by its result */
    for (int turns = 0; turns < 5; turns++)
        ck_assert_int_eq(kit_wait(2), 0);
    ck_assert_str_eq(trace_text(), "");
    ck_assert_uint_eq(stream->received, 0);
    UNTIL(stream->sents == 1 && stream->received == 1 && listener->count == 1);
}

static void send_again(kit_stream *stream)
{
    static const char more[] = "0123456789";
    if (stream->sents < 10)
        kit_send(stream, more + stream->sents, 1);
}

CASE(send_inside_sent, "1 3", "the next send may be started inside the end of the last one")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    stream->inside_sent = send_again;
    kit_send(stream, "0", 1);
    UNTIL(stream->sents == 10);
    ck_assert(peer_hears(peer, "0123456789"));
}

static void echo(kit_stream *stream)
{
    if (!stream->stream.sending)
        kit_send(stream, "y", 1);
}

CASE(send_inside_received, "1", "a send may be started inside received")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    stream->inside_received = echo;
    kit_receive_start(stream);
    peer_say(peer, "x");
    ck_assert(peer_hears(peer, "y"));
    UNTIL(stream->sents == 1);
}

static void close_it(kit_stream *stream)
{
    kit_close(stream);
}

CASE(close_inside_received, "1 7", "close inside received: nothing but closed follows")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    stream->inside_received = close_it;
    kit_receive_start(stream);
    uint8_t *bytes = kit_pattern(40000, 1);
    peer_send_some(peer, bytes, 40000);
    UNTIL(stream->closed);
    ck_assert_uint_eq(stream->deliveries, 1);
    assert_trace("a closed");
    free(bytes);
}

CASE(close_inside_sent, "1 7", "close inside sent: closed follows")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    stream->inside_sent = close_it;
    kit_send(stream, "bye", 3);
    UNTIL(stream->closed);
    assert_trace("a sent, a closed");
    ck_assert(peer_hears(peer, "bye"));
    ck_assert(peer_saw_end(peer));
}

CASE(close_inside_receive_ended, "1 7", "close inside receive_ended: closed follows")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    stream->inside_ended = close_it;
    kit_receive_start(stream);
    peer_close(peer);
    UNTIL(stream->closed);
    assert_trace("a ended 0, a closed");
}

CASE(close_inside_connected, "1 7", "close inside connected: closed follows")
{
    uint16_t port = world_listen(5);
    kit_stream *stream = kit_stream_new("a", NULL);
    stream->inside_connected = close_it;
    ck_assert_int_eq(kit_connect(stream, port), 0);
    UNTIL(stream->closed);
    assert_trace("a connected 0, a closed");
}

CASE(record_is_freed_inside_closed, "7",
     "the record may go inside closed, and nobody looks at it again")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    stream->inside_closed = kit_forget;
    kit_receive_start(stream);
    kit_send(stream, "bye", 3);
    peer_send_some(peer, "x", 1);
    kit_close(stream);
    UNTIL(trace_has("a closed"));
    world_settle();
}
