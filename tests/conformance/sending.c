/*
 * Laws 3, 6 and 7 for sending and closing.
 */
#include "kit.h"

#include <stdlib.h>
#include <string.h>

#define BULK ((size_t)1 << 20)

/* Sends until the kernel takes no more: a send stays in flight. The memory is the caller's. */
static void fill(kit_stream *stream, const uint8_t *bytes, size_t size)
{
    for (int sends = 0; sends < WORLD_TURNS && !stream->stream.sending; sends++) {
        kit_send(stream, bytes, size);
        for (int turns = 0; turns < 10 && stream->stream.sending; turns++)
            kit_turn(1);
    }
    ck_assert_msg(stream->stream.sending, "the kernel takes without end");
}

CASE(bulk_is_sent_in_order, "3 6", "a mebibyte arrives as it was sent, over short sends")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    uint8_t *bytes = kit_pattern(BULK, 9);
    uint8_t *heard = malloc(BULK);
    size_t done = 0;
    size_t received = 0;
    for (int turns = 0; turns < 4 * WORLD_TURNS && received < BULK; turns++) {
        if (done < BULK && !stream->stream.sending && stream->sent_sum == done)
            kit_send(stream, bytes + done, BULK - done);
        kit_turn(1);
        done = stream->sent_sum;
        received += peer_receive_some(peer, heard + received, BULK - received);
    }
    ck_assert_uint_eq(received, BULK);
    ck_assert_uint_eq(stream->sent_sum, BULK);
    ck_assert_mem_eq(heard, bytes, BULK);
    free(heard);
    free(bytes);
}

CASE(send_is_parked_until_there_is_room, "6",
     "a full connection keeps the send; it ends when the peer reads")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    enum {
        SIZE = 200000
    };
    uint8_t *bytes = kit_pattern(SIZE, 10);
    uint8_t *heard = malloc(SIZE);
    fill(stream, bytes, SIZE);
    unsigned before = stream->sents;
    world_settle();
    ck_assert_uint_eq(stream->sents, before);
    for (int turns = 0; turns < WORLD_TURNS && stream->sents == before; turns++) {
        peer_receive_some(peer, heard, SIZE);
        world_turn();
    }
    ck_assert_uint_eq(stream->sents, before + 1);
    ck_assert_int_gt(stream->sent, 0);
    free(heard);
    free(bytes);
}

CASE(paced_send_does_not_wait, "6",
     "without room a send of a paced stream ends with EAGAIN; await_room ends when there is some")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    enum {
        SIZE = 200000
    };
    uint8_t *bytes = kit_pattern(SIZE, 10);
    uint8_t *heard = malloc(SIZE);
    stream->stream.ready.paced = true;
    for (unsigned sends = 1; sends < 1000 && stream->sent != -EAGAIN; sends++) {
        kit_send(stream, bytes, sends % 2 == 0 ? SIZE : 20000);
        UNTIL(stream->sents == sends);
    }
    ck_assert_int_eq(stream->sent, -EAGAIN);
    ck_assert_int_eq(kit_await_room(stream), 0);
    unsigned before = stream->sents;
    size_t sum = stream->sent_sum;
    world_settle();
    ck_assert_uint_eq(stream->sents, before);
    ck_assert(stream->stream.sending);
    for (int turns = 0; turns < WORLD_TURNS && stream->sents == before; turns++) {
        peer_receive_some(peer, heard, SIZE);
        world_turn();
    }
    ck_assert_uint_eq(stream->sents, before + 1);
    ck_assert_int_eq(stream->sent, 0);
    ck_assert_uint_eq(stream->sent_sum, sum);
    kit_send(stream, bytes, SIZE);
    UNTIL(stream->sents == before + 2);
    ck_assert_int_gt(stream->sent, 0);
    free(heard);
    free(bytes);
}

CASE(send_is_taken_in_a_wait, "1", "a send that `taken` is content with is over: no sent follows")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    stream->content = true;
    for (unsigned sends = 1; sends <= 3; sends++) {
        kit_send(stream, "x", 1);
        UNTIL(stream->sents == sends);
        world_settle();
        ck_assert_uint_eq(stream->sents, sends);
        ck_assert(!stream->stream.sending);
    }
    ck_assert(peer_hears(peer, "xxx"));
    unsigned asked = stream->asked;
    stream->content = false;
    kit_send(stream, "x", 1);
    kit_close(stream);
    UNTIL(stream->closed);
    assert_trace("a sent, a sent, a sent, a sent, a closed");
    ck_assert_uint_eq(stream->asked, asked);
}

CASE(send_to_a_reset_peer_fails, "6",
     "a send after a reset ends with an error, and without SIGPIPE")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    peer_reset(peer);
    for (int sends = 1; sends <= 10 && stream->sent >= 0; sends++) {
        kit_send(stream, "x", 1);
        UNTIL(stream->sents == (unsigned)sends);
    }
    ck_assert(stream->sent == -ECONNRESET || stream->sent == -EPIPE);
}

CASE(parked_send_ends_by_a_reset, "6", "a reset ends a send that waits for room")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    enum {
        SIZE = 200000
    };
    uint8_t *bytes = kit_pattern(SIZE, 11);
    fill(stream, bytes, SIZE);
    peer_reset(peer);
    UNTIL(!stream->stream.sending);
    ck_assert_int_lt(stream->sent, 0);
    free(bytes);
}

CASE(close_ends_a_parked_send_first, "6 7",
     "close with a send in flight: sent, then closed, and no other event")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    enum {
        SIZE = 200000
    };
    uint8_t *bytes = kit_pattern(SIZE, 12);
    kit_receive_start(stream);
    fill(stream, bytes, SIZE);
    trace_clear();
    peer_send_some(peer, "x", 1);
    kit_close(stream);
    UNTIL(stream->closed);
    assert_trace("a sent, a closed");
    free(bytes);
}

CASE(close_right_after_a_send, "6 7", "a send that was just started is answered before closed")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_send(stream, "x", 1);
    kit_close(stream);
    UNTIL(stream->closed);
    assert_trace("a sent, a closed");
}

CASE(close_gives_the_end, "7", "the peer of a closed stream sees the end, after all bytes")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    kit_send_all(stream, "goodbye", 7);
    kit_close(stream);
    ck_assert(peer_hears(peer, "goodbye"));
    ck_assert(peer_saw_end(peer));
    UNTIL(stream->closed);
}

CASE(close_twice, "7", "the second close has no effect")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    kit_close(stream);
    kit_close(stream);
    UNTIL(stream->closed);
    world_settle();
    assert_trace("a closed");
    ck_assert(peer_saw_end(peer));
}

CASE(close_drops_what_was_not_run, "7",
     "what is in the ready list when close is called is not reported any more")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    peer_send_some(peer, "x", 1);
    ck_assert_int_eq(kit_wait(50), 0);
    kit_close(stream);
    UNTIL(stream->closed);
    ck_assert_uint_eq(stream->received, 0);
    assert_trace("a closed");
}

CASE(close_without_ever_receiving, "7", "a stream that never did anything closes")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_close(stream);
    UNTIL(stream->closed);
    ck_assert(peer_saw_end(peer));
}

CASE(close_after_the_end, "7", "a stream whose input has ended, or was reset, closes")
{
    struct peer *peers[2];
    kit_stream *ended = kit_pair("ended", NULL, &peers[0]);
    kit_stream *reset = kit_pair("reset", NULL, &peers[1]);
    kit_receive_start(ended);
    kit_receive_start(reset);
    peer_close(peers[0]);
    peer_reset(peers[1]);
    UNTIL(ended->ends == 1 && reset->ends == 1);
    kit_close(ended);
    kit_close(reset);
    UNTIL(ended->closed && reset->closed);
}

CASE(close_by_reset, "7", "a stream closed by a reset gives its peer a reset")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    world_settle();
    kit_close_by_reset(stream);
    UNTIL(stream->closed);
    ck_assert(peer_saw_reset(peer));
}

CASE(close_with_unread_input_resets, "7", "input that nobody has read turns the end into a reset")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    peer_send_some(peer, "unread", 6);
    world_settle();
    kit_close(stream);
    UNTIL(stream->closed);
    ck_assert(peer_saw_reset(peer));
}

CASE(close_tells_that_a_descriptor_is_free, "7",
     "the core hears of every descriptor that the backend has closed")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    int descriptor = stream->stream.descriptor;
    ck_assert(world_is_open(descriptor));
    unsigned before = kit_descriptors_closed();
    kit_close(stream);
    UNTIL(stream->closed);
    ck_assert(!world_is_open(descriptor));
    ck_assert_uint_eq(kit_descriptors_closed(), before + 1);
}

CASE(many_streams_close_at_once, "7", "a hundred streams with input under way close, each once")
{
    enum {
        COUNT = 100
    };
    struct peer *peers[COUNT];
    kit_stream *streams[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        streams[i] = kit_pair("s", NULL, &peers[i]);
        kit_receive_start(streams[i]);
        peer_send_some(peers[i], "x", 1);
        kit_send(streams[i], "y", 1);
    }
    kit_turn(1);
    for (unsigned i = 0; i < COUNT; i++)
        kit_close(streams[i]);
    for (unsigned i = 0; i < COUNT; i++)
        UNTIL(streams[i]->closed);
    ck_assert_uint_eq(trace_times("s closed"), COUNT);
    ck_assert_uint_eq(trace_times("s sent"), COUNT);
}

CASE(half_close, "7", "after shutdown_send the peer sees the end and can still be heard")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    kit_send_all(stream, "question", 8);
    ck_assert_int_eq(kit_shutdown(stream), 0);
    ck_assert(peer_hears(peer, "question"));
    ck_assert(peer_saw_end(peer));
    peer_say(peer, "answer");
    UNTIL(stream->received == 6);
    peer_close(peer);
    UNTIL(stream->ends == 1);
    ck_assert_int_eq(stream->end_error, 0);
}

CASE(send_after_the_peers_half_close, "4 6", "the end of the input does not end the output")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    peer_say(peer, "question");
    peer_shutdown(peer);
    UNTIL(stream->ends == 1);
    kit_send_all(stream, "answer", 6);
    ck_assert(peer_hears(peer, "answer"));
    kit_close(stream);
    ck_assert(peer_saw_end(peer));
}

CASE(both_ways_at_once, "3 4 6", "a send and a receive in flight together, both complete")
{
    enum {
        SIZE = 300000
    };
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    uint8_t *out = kit_pattern(SIZE, 13);
    uint8_t *in = kit_pattern(SIZE, 14);
    uint8_t *heard = malloc(SIZE);
    size_t sent = 0;
    size_t received = 0;
    kit_receive_start(stream);
    for (int turns = 0; turns < 4 * WORLD_TURNS; turns++) {
        if (stream->sent_sum < SIZE && !stream->stream.sending)
            kit_send(stream, out + stream->sent_sum, SIZE - stream->sent_sum);
        sent += peer_send_some(peer, in + sent, SIZE - sent);
        received += peer_receive_some(peer, heard + received, SIZE - received);
        if (received == SIZE && stream->received == SIZE)
            break;
        kit_turn(1);
    }
    ck_assert_uint_eq(received, SIZE);
    ck_assert_uint_eq(stream->received, SIZE);
    ck_assert_mem_eq(heard, out, SIZE);
    ck_assert_mem_eq(stream->bytes, in, SIZE);
    UNTIL(!stream->stream.sending);
    free(out);
    free(in);
    free(heard);
}

static void sent_was_reported(kit_stream *stream)
{
    ck_assert_uint_eq(stream->sents, 1);
}

CASE(answer_comes_behind_what_it_answers, "6",
     "a send that has gone is reported before input that has come since")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    char heard[2];
    size_t size = 0;
    stream->inside_received = sent_was_reported;
    kit_receive_start(stream);
    world_settle();
    kit_send(stream, "go", 2);
    for (int waits = 0; waits < WORLD_TURNS && size < 2; waits++) {
        ck_assert_int_eq(kit_wait(1), 0);
        size += peer_receive_some(peer, heard + size, 2 - size);
    }
    ck_assert_uint_eq(peer_send_some(peer, "hi", 2), 2);
    ck_assert_int_eq(kit_wait(1), 0); /* now both are known */
    UNTIL(stream->received == 2);
}

static void sent_was_reported_before_the_answer(kit_stream *stream)
{
    if (stream->received > 1)
        sent_was_reported(stream);
}

CASE(answer_that_a_call_finds, "6",
     "comes behind the send that it answers, though no wait has been since that went")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    char heard[2];
    size_t size = 0;
    stream->inside_received = sent_was_reported_before_the_answer;
    stream->stream.limited = true;
    stream->room = 100;
    kit_receive_start(stream);
    world_settle();
    ck_assert_uint_eq(peer_send_some(peer, "x", 1), 1);
    for (int waits = 0; waits < 5; waits++)
        ck_assert_int_eq(kit_wait(1), 0);
    kit_send(stream, "go", 2);
    for (int looks = 0; looks < WORLD_TURNS && size < 2; looks++) {
        kit()->operations->submit(kit());
        size += peer_receive_some(peer, heard + size, 2 - size);
    }
    ck_assert_uint_eq(peer_send_some(peer, "hi", 2), 2);
    (void)kit_run_ready(NULL);
    UNTIL(stream->received == 3);
}

CASE(end_comes_behind_what_has_gone, "4 6", "as the input that it ends does")
{
    for (int limited = 0; limited < 2; limited++) {
        struct peer *peer;
        kit_stream *stream = kit_pair("a", NULL, &peer);
        char heard[2];
        size_t size = 0;
        stream->inside_ended = sent_was_reported;
        stream->stream.limited = limited;
        stream->room = 100;
        kit_receive_start(stream);
        world_settle();
        kit_send(stream, "go", 2);
        for (int looks = 0; looks < WORLD_TURNS && size < 2; looks++) {
            kit()->operations->submit(kit());
            size += peer_receive_some(peer, heard + size, 2 - size);
        }
        peer_close(peer);
        ck_assert_int_eq(kit_wait(1), 0);
        UNTIL(stream->ends == 1);
    }
}
