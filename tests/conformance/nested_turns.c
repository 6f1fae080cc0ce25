/*
 * A handler of the user may run the loop again. For a backend that means: wait and run inside an
 * event, of the same record too. Nothing may hang, be lost or come twice, and bytes stay in order.
 */
#include "kit.h"

#include <stdlib.h>
#include <string.h>

static kit_listener *listener;
static kit_stream *stream;
static struct peer *peer;

static void turn_until_all_accepted(kit_listener *self)
{
    if (self->count == 1)
        UNTIL(self->count == 5);
}

CASE(turn_inside_accepted, "1 8", "turns inside accepted announce the rest of the batch")
{
    kit_allow_nesting();
    listener = kit_listen("l");
    listener->inside_accepted = turn_until_all_accepted;
    kit_credit(listener, 10);
    for (int i = 0; i < 5; i++)
        world_connect(listener->port);
    UNTIL(listener->count == 5);
    world_settle();
    ck_assert_uint_eq(listener->count, 5);
    ck_assert_uint_eq(listener->listener.credit, 5);
    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < i; j++)
            ck_assert_int_ne(listener->descriptors[i], listener->descriptors[j]);
    }
}

static void turn_inside_each(kit_listener *self)
{
    unsigned expected = self->count + 1;
    if (expected <= 12)
        UNTIL(self->count >= expected);
}

CASE(turn_inside_each_accepted, "1 8", "twelve deep")
{
    kit_allow_nesting();
    listener = kit_listen("l");
    listener->inside_accepted = turn_inside_each;
    kit_credit(listener, 100);
    for (int i = 0; i < 12; i++)
        world_connect(listener->port);
    UNTIL(listener->count == 12);
    world_settle();
    ck_assert_uint_eq(listener->count, 12);
}

static void close_by_nested_turn(kit_listener *self)
{
    kit_close_listener(self);
    UNTIL(self->closed);
}

CASE(listener_is_closed_by_a_nested_turn, "7 8",
     "close inside accepted, and closed by a turn there: the outer run does not touch the record")
{
    kit_allow_nesting();
    listener = kit_listen("l");
    listener->inside_accepted = close_by_nested_turn;
    kit_credit(listener, 10);
    for (int i = 0; i < 5; i++)
        world_connect(listener->port);
    UNTIL(listener->closed);
    world_settle();
    assert_trace("l accepted, l closed");
}

static uint8_t *bytes;
static const size_t size = 300000;
static size_t sent;

static void turn_for_more(kit_stream *self)
{
    size_t before = self->received;
    if (self->deliveries > 40 || sent == size)
        return;
    sent += peer_send_some(peer, bytes + sent, size - sent < 5000 ? size - sent : 5000);
    UNTIL(self->received > before);
}

CASE(turn_inside_received, "1 4",
     "turns inside received deliver what follows, forty deep, in order")
{
    kit_allow_nesting();
    stream = kit_pair("a", NULL, &peer);
    bytes = kit_pattern(size, 20);
    stream->inside_received = turn_for_more;
    kit_receive_start(stream);
    sent = peer_send_some(peer, bytes, 5000);
    UNTIL(stream->deliveries > 40);
    while (sent < size) {
        sent += peer_send_some(peer, bytes + sent, size - sent);
        world_turn();
    }
    UNTIL(stream->received == size);
    ck_assert_mem_eq(stream->bytes, bytes, size);
    free(bytes);
}

static void close_and_turn(kit_stream *self)
{
    kit_close(self);
    UNTIL(trace_has("a closed"));
}

CASE(stream_is_closed_by_a_nested_turn, "7",
     "close inside received, closed and freed by a turn there: the outer run does not touch the "
     "record")
{
    kit_allow_nesting();
    stream = kit_pair("a", NULL, &peer);
    stream->inside_received = close_and_turn;
    stream->inside_closed = kit_forget;
    kit_receive_start(stream);
    peer_say(peer, "x");
    UNTIL(trace_has("a closed"));
    world_settle();
    assert_trace("a closed");
}

CASE(sender_is_closed_by_a_nested_turn, "7", "the same inside sent")
{
    kit_allow_nesting();
    stream = kit_pair("a", NULL, &peer);
    stream->inside_sent = close_and_turn;
    stream->inside_closed = kit_forget;
    kit_receive_start(stream);
    kit_send(stream, "x", 1);
    peer_send_some(peer, "y", 1);
    UNTIL(trace_has("a closed"));
    world_settle();
}

static void close_it(kit_stream *self)
{
    kit_close(self);
}

CASE(sender_that_is_answered_is_closed, "6 7",
     "inside sent, where the answer is known too: it is not delivered, nor is a record touched")
{
    kit_allow_nesting();
    for (int i = 0; i < 6; i++) {
        bool limited = i & 1, turns = i & 2, stops = i & 4;
        char heard[2];
        size_t count = 0;
        stream = kit_pair("a", NULL, &peer);
        stream->inside_sent = stops ? kit_receive_stop : turns ? close_and_turn : close_it;
        stream->inside_closed = turns ? kit_forget : NULL;
        stream->stream.limited = limited;
        stream->room = 100;
        kit_receive_start(stream);
        world_settle();
        trace_clear();
        kit_send(stream, "go", 2);
        for (int waits = 0; waits < WORLD_TURNS && count < 2; waits++) {
            ck_assert_int_eq(kit_wait(1), 0);
            count += peer_receive_some(peer, heard + count, 2 - count);
        }
        ck_assert_uint_eq(peer_send_some(peer, "hi", 2), 2);
        ck_assert_int_eq(kit_wait(1), 0);
        if (!stops)
            UNTIL(trace_has("a closed"));
        world_settle();
        if (stops)
            ck_assert_uint_eq(stream->received, 0);
        peer_close(peer);
    }
}

CASE(ended_stream_is_closed_by_a_nested_turn, "7", "the same inside receive_ended")
{
    kit_allow_nesting();
    stream = kit_pair("a", NULL, &peer);
    stream->inside_ended = close_and_turn;
    stream->inside_closed = kit_forget;
    kit_receive_start(stream);
    peer_close(peer);
    UNTIL(trace_has("a closed"));
    world_settle();
}

CASE(failed_stream_is_closed_by_a_nested_turn, "7", "the same inside connected")
{
    kit_allow_nesting();
    uint16_t port = world_listen(5);
    stream = kit_stream_new("a", NULL);
    stream->inside_connected = close_and_turn;
    stream->inside_closed = kit_forget;
    ck_assert_int_eq(kit_connect(stream, port), 0);
    UNTIL(trace_has("a closed"));
    world_settle();
}

static kit_watch *watch;

static void close_watch_and_turn(kit_watch *self)
{
    kit_watch_close(self);
    UNTIL(self->closed);
}

CASE(watch_is_closed_by_a_nested_turn, "7 9", "the same inside fired")
{
    kit_allow_nesting();
    watch = kit_watch_new(NULL);
    int event = world_event_descriptor();
    watch->inside_fired = close_watch_and_turn;
    world_raise(event, BERTH__WATCH_READ);
    ck_assert_int_eq(kit_watch_start(watch, event, BERTH__WATCH_READ), 0);
    UNTIL(watch->closed);
    world_settle();
    world_close_descriptor(event);
}

static void turn_until_received(kit_stream *self)
{
    if (self->sents == 1)
        UNTIL(self->received == 5);
}

CASE(turn_inside_sent, "1",
     "turns inside sent deliver what comes meanwhile, also if it was ready in the same run")
{
    kit_allow_nesting();
    stream = kit_pair("a", NULL, &peer);
    stream->inside_sent = turn_until_received;
    kit_receive_start(stream);
    peer_send_some(peer, "hello", 5);
    kit_send(stream, "x", 1);
    UNTIL(stream->sents == 1 && stream->received == 5);
}
