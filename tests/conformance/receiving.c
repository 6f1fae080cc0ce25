/*
 * Laws 3, 4 and 5 for receiving: order, starting and stopping, the end, the budget.
 */
#include "kit.h"

#include <stdlib.h>
#include <string.h>

#define BULK ((size_t)1 << 20)

CASE(bytes_come_in_order, "4", "a mebibyte arrives as it was sent")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    uint8_t *bytes = kit_pattern(BULK, 3);
    kit_receive_start(stream);
    peer_send(peer, bytes, BULK);
    UNTIL(stream->received == BULK);
    ck_assert_mem_eq(stream->bytes, bytes, BULK);
    free(bytes);
}

CASE(streams_do_not_mix, "4 5", "eight streams at once, each with its own bytes")
{
    enum {
        COUNT = 8,
        SIZE = 200000
    };
    struct peer *peers[COUNT];
    kit_stream *streams[COUNT];
    uint8_t *bytes[COUNT];
    size_t sent[COUNT] = {0};
    for (unsigned i = 0; i < COUNT; i++) {
        streams[i] = kit_pair("s", NULL, &peers[i]);
        bytes[i] = kit_pattern(SIZE, 100 + i);
        kit_receive_start(streams[i]);
    }
    size_t done = 0;
    for (int turns = 0; turns < WORLD_TURNS && done < COUNT * (size_t)SIZE; turns++) {
        for (unsigned i = 0; i < COUNT; i++) {
            size_t some = peer_send_some(peers[i], bytes[i] + sent[i], SIZE - sent[i]);
            sent[i] += some;
            done += some;
        }
        world_turn();
    }
    for (unsigned i = 0; i < COUNT; i++) {
        UNTIL(streams[i]->received == SIZE);
        ck_assert_mem_eq(streams[i]->bytes, bytes[i], SIZE);
        free(bytes[i]);
    }
}

CASE(bound_stream_receives_nothing, "4", "a stream that is bound is not connected: ENOTCONN")
{
    berth_address here = BERTH_ADDRESS_LOOPBACK;
    kit_stream *stream = kit_stream_new("a", NULL);
    ck_assert_int_eq(kit()->operations->bind(kit(), &stream->stream, &here, 0, NULL), 0);
    kit_receive_start(stream);
    UNTIL(stream->ends == 1);
    ck_assert_int_eq(stream->end_error, ENOTCONN);
}

CASE(unconnected_descriptor_gives_nothing, "take", "nor is one that has no name yet: ENOTCONN")
{
    uint8_t byte;
    int descriptor = world_unconnected_descriptor();
    ck_assert_int_eq(kit()->operations->take(kit(), descriptor, &byte, 1, false), -ENOTCONN);
    ck_assert_int_eq(kit_put(descriptor, "x", 1), -EPIPE);
    world_close_descriptor(descriptor);
}

CASE(nothing_is_received_unless_started, "4", "bytes wait until receiving is started")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    peer_say(peer, "early");
    world_settle();
    ck_assert_uint_eq(stream->received, 0);
    kit_receive_start(stream);
    UNTIL(stream->received == 5);
    ck_assert_mem_eq(stream->bytes, "early", 5);
}

CASE(receive_stop_keeps_bytes, "4",
     "bytes that come while receiving is off are delivered when it is on again")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    peer_say(peer, "one");
    UNTIL(stream->received == 3);
    kit_receive_stop(stream);
    peer_say(peer, "two");
    world_settle();
    ck_assert_uint_eq(stream->received, 3);
    kit_receive_start(stream);
    UNTIL(stream->received == 6);
    peer_say(peer, "three");
    UNTIL(stream->received == 11);
    ck_assert_mem_eq(stream->bytes, "onetwothree", 11);
}

CASE(receive_stop_before_run, "4", "a stop holds even for what is in the ready list already")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    peer_send_some(peer, "x", 1);
    ck_assert_int_eq(kit_wait(50), 0);
    kit_receive_stop(stream);
    kit_run_ready(NULL);
    world_settle();
    ck_assert_uint_eq(stream->received, 0);
    kit_receive_start(stream);
    UNTIL(stream->received == 1);
}

static void stop(kit_stream *stream)
{
    kit_receive_stop(stream);
}

CASE(receive_stop_inside_received, "4",
     "a stop inside received: one delivery for each start, and nothing is lost")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    stream->inside_received = stop;
    uint8_t *bytes = kit_pattern(BULK, 4);
    size_t sent = 0;
    unsigned starts = 0;
    for (int turns = 0; turns < 8 * WORLD_TURNS && stream->received < BULK; turns++) {
        sent += peer_send_some(peer, bytes + sent, BULK - sent);
        if (!stream->stream.receiving) {
            kit_receive_start(stream);
            starts++;
        }
        world_turn();
        ck_assert_uint_le(stream->deliveries, starts);
    }
    ck_assert_uint_eq(stream->received, BULK);
    ck_assert_mem_eq(stream->bytes, bytes, BULK);
    free(bytes);
}

static void stop_and_start(kit_stream *stream)
{
    kit_receive_stop(stream);
    kit_receive_start(stream);
}

CASE(receiving_is_toggled_inside_received, "4",
     "stop and start inside each delivery change nothing")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    stream->inside_received = stop_and_start;
    uint8_t *bytes = kit_pattern(BULK, 5);
    kit_receive_start(stream);
    peer_send(peer, bytes, BULK);
    UNTIL(stream->received == BULK);
    ck_assert_mem_eq(stream->bytes, bytes, BULK);
    free(bytes);
}

CASE(receiving_is_toggled_outside, "4",
     "start and stop between turns, at any moment, lose and double nothing")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    uint8_t *bytes = kit_pattern(BULK, 6);
    size_t sent = 0;
    for (int turns = 0; turns < 8 * WORLD_TURNS && stream->received < BULK; turns++) {
        if (turns % 3 != 2)
            kit_receive_start(stream);
        else
            kit_receive_stop(stream);
        sent += peer_send_some(peer, bytes + sent, BULK - sent);
        kit_wait(1);
        if (turns % 2 != 0)
            kit_receive_stop(stream);
        kit_run_ready(NULL);
    }
    ck_assert_uint_eq(stream->received, BULK);
    ck_assert_mem_eq(stream->bytes, bytes, BULK);
    free(bytes);
}

CASE(end_comes_after_all_bytes, "4", "bytes and end at once: bytes first, then the end, once")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    uint8_t *bytes = kit_pattern(50000, 7);
    size_t sent = peer_send_some(peer, bytes, 50000);
    peer_shutdown(peer);
    kit_receive_start(stream);
    UNTIL(stream->ends == 1);
    ck_assert_int_eq(stream->end_error, 0);
    ck_assert_uint_eq(stream->received, sent);
    ck_assert_mem_eq(stream->bytes, bytes, sent);
    ck_assert(stream->stream.ended);
    world_settle();
    ck_assert_uint_eq(stream->ends, 1);
    free(bytes);
}

CASE(end_is_reported_only_while_started, "4",
     "an end that comes while receiving is off waits for the start")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    peer_say(peer, "x");
    UNTIL(stream->received == 1);
    kit_receive_stop(stream);
    peer_close(peer);
    world_settle();
    ck_assert_uint_eq(stream->ends, 0);
    kit_receive_start(stream);
    UNTIL(stream->ends == 1);
}

CASE(stop_inside_the_last_delivery, "4", "a stop inside the last delivery holds the end back too")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    stream->inside_received = stop;
    peer_say(peer, "last");
    peer_close(peer);
    kit_receive_start(stream);
    UNTIL(stream->received == 4);
    world_settle();
    ck_assert_uint_eq(stream->ends, 0);
    stream->inside_received = NULL;
    kit_receive_start(stream);
    UNTIL(stream->ends == 1);
    ck_assert_uint_eq(stream->received, 4);
}

CASE(receiving_is_over_after_the_end, "4", "a start after the end brings nothing")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    peer_close(peer);
    UNTIL(stream->ends == 1);
    kit_receive_start(stream);
    world_settle();
    ck_assert_uint_eq(stream->ends, 1);
}

CASE(reset_is_noticed, "4", "a reset ends receiving with ECONNRESET")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    world_settle();
    peer_reset(peer);
    UNTIL(stream->ends == 1);
    ck_assert_int_eq(stream->end_error, ECONNRESET);
}

CASE(bytes_before_a_reset_are_read, "4",
     "what came before a reset is delivered before it is reported")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    peer_say(peer, "last words");
    peer_reset(peer);
    kit_receive_start(stream);
    UNTIL(stream->ends == 1);
    ck_assert_int_eq(stream->end_error, ECONNRESET);
    ck_assert_uint_eq(stream->received, 10);
    ck_assert_mem_eq(stream->bytes, "last words", 10);
}

CASE(quiet_stream_stays_quiet, "4", "an idle stream has no events and does not end a wait")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    world_settle();
    unsigned early = 0;
    for (int turns = 0; turns < 10; turns++) {
        uint64_t before = kit()->operations->now(kit());
        ck_assert_uint_eq(kit_turn_for(NULL, 4), 0);
        early += kit()->operations->now(kit()) - before < 3000000;
    }
    ck_assert_uint_le(early, 2);
    ck_assert_uint_eq(stream->received, 0);
}

/* The budget itself is held by the kit, run by run. */
CASE(busy_stream_lets_others_through, "5",
     "beside a stream with much to read another one gets its turn")
{
    struct peer *busy_peer;
    struct peer *calm_peer;
    kit_stream *busy = kit_pair("busy", NULL, &busy_peer);
    kit_stream *calm = kit_pair("calm", NULL, &calm_peer);
    uint8_t *bytes = kit_pattern(BULK, 8);
    size_t sent = 0;
    for (int tries = 0; tries < 64; tries++)
        sent += peer_send_some(busy_peer, bytes + sent, BULK - sent);
    peer_send_some(calm_peer, "x", 1);
    kit_receive_start(busy);
    kit_receive_start(calm);
    for (int runs = 0; runs < WORLD_TURNS && calm->received == 0; runs++) {
        kit_wait(0);
        if (!kit_run_one())
            kit_wait(5);
        ck_assert_uint_le(busy->received, 4 * BERTH__RECEIVE_BUDGET);
    }
    ck_assert_uint_eq(calm->received, 1);
    UNTIL(busy->received == sent);
    ck_assert_mem_eq(busy->bytes, bytes, sent);
    free(bytes);
}

CASE(limited_stream, "4", "no delivery is longer than there is room; what is left stays in order")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    uint8_t *bytes = kit_pattern(BULK / 4, 8);
    stream->stream.limited = true;
    stream->room = 777;
    kit_receive_start(stream);
    peer_send(peer, bytes, BULK / 4);
    UNTIL(stream->received == BULK / 4);
    ck_assert_mem_eq(stream->bytes, bytes, BULK / 4);
    peer_shutdown(peer);
    UNTIL(stream->ends == 1);
    ck_assert_int_eq(stream->end_error, 0);
    free(bytes);
}

static void switch_limit(kit_stream *stream)
{
    if (stream->deliveries % 5 == 4) {
        stream->stream.limited = !stream->stream.limited;
        stream->room = 100 + stream->received % 1000;
        kit_receive_start(stream);
    }
}

CASE(limit_comes_and_goes, "4", "set and cleared inside received, while bytes flow")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    uint8_t *bytes = kit_pattern(BULK, 9);
    stream->inside_received = switch_limit;
    kit_receive_start(stream);
    peer_send(peer, bytes, BULK);
    UNTIL(stream->received == BULK);
    ck_assert_mem_eq(stream->bytes, bytes, BULK);
    free(bytes);
}

CASE(limited_stream_is_closed, "4 7", "while it waits for input")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    stream->stream.limited = true;
    stream->room = 2;
    kit_receive_start(stream);
    world_settle();
    peer_say(peer, "abc");
    UNTIL(stream->received == 3);
    world_settle();
    ck_assert(!stream->owed);
    peer_say(peer, "defg"); /* the last room is filled, and one more is asked for in vain */
    UNTIL(stream->received == 7);
    world_settle();
    ck_assert(!stream->owed);
    kit_close(stream);
    UNTIL(stream->closed);
    ck_assert(peer_saw_end(peer));
}

CASE(limited_stream_is_reset, "4", "the error comes after the bytes")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    stream->stream.limited = true;
    stream->room = 2;
    kit_receive_start(stream);
    world_settle();
    peer_reset(peer);
    UNTIL(stream->ends == 1);
    ck_assert_int_eq(stream->end_error, ECONNRESET);
}
