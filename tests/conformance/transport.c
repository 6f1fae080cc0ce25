/*
 * What happens to bytes between the two ends of a connection: the kernel's part, which the
 * simulated one has to play as Linux does.
 *
 * The sizes of real buffers are Linux's business; the cases only know that each end has one, and
 * fill both.
 */
#include "kit.h"

#include <stdlib.h>
#include <string.h>

#include "backend/sim.h"

#define CHUNK 20000
#define BULK ((size_t)1 << 20)
#define MOST_BYTES ((size_t)CHUNK * 2001) /* what kit_overfill sends, and some */

static size_t in_transit(kit_stream *stream)
{
    return kit()->operations->in_transit(kit(), &stream->stream);
}

static bool has_unsent(kit_stream *stream)
{
    return kit()->operations->has_unsent(kit(), &stream->stream);
}

static void set_option(kit_stream *stream, berth_socket_option which, int value)
{
    int descriptor = stream->stream.descriptor;
    ck_assert_int_eq(kit()->operations->option(kit(), descriptor, which, &value, true), 0);
}

static int option(kit_stream *stream, berth_socket_option which)
{
    int value = -1;
    int descriptor = stream->stream.descriptor;
    ck_assert_int_eq(kit()->operations->option(kit(), descriptor, which, &value, false), 0);
    return value;
}

/* All that there is for it, and that comes while it reads. */
static size_t receive_all(struct peer *peer)
{
    uint8_t *bytes = malloc(MOST_BYTES);
    ck_assert_ptr_nonnull(bytes);
    size_t received = peer_receive(peer, bytes, MOST_BYTES);
    free(bytes);
    return received;
}

/* And then the reset. */
static void assert_gets_a_beginning(struct peer *peer, size_t sent)
{
    size_t received = receive_all(peer);
    ck_assert_uint_gt(received, 0);
    ck_assert_uint_lt(received, sent);
    ck_assert(peer_saw_reset(peer));
}

CASE(output_lies_in_a_queue_of_its_own, "12",
     "what the peer has no room for is in transit and unsent; it arrives as the peer reads")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    size_t sent = kit_overfill(stream);
    ck_assert_int_eq(kit_shutdown(stream), 0);
    world_settle();
    ck_assert(has_unsent(stream));
    ck_assert_uint_gt(in_transit(stream), 0);
    ck_assert_uint_eq(receive_all(peer), sent);
    ck_assert(peer_saw_end(peer));
    UNTIL(in_transit(stream) == 0);
    ck_assert(!has_unsent(stream));
}

CASE(closed_stream_goes_on_sending, "7 12",
     "what a closed stream has sent still goes to the peer, followed by the end")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    size_t sent = kit_overfill(stream);
    kit_close(stream);
    UNTIL(stream->closed);
    world_settle();
    ck_assert_uint_eq(receive_all(peer), sent);
    ck_assert(peer_saw_end(peer));
}

CASE(input_after_close_discards_output, "7 12",
     "bytes that come to a closed stream are answered by a reset, and what it has left is lost")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    size_t sent = kit_overfill(stream);
    kit_close(stream);
    UNTIL(stream->closed);
    ck_assert_uint_eq(peer_send_some(peer, "x", 1), 1);
    world_settle();
    size_t received = receive_all(peer);
    ck_assert_uint_gt(received, 0);
    ck_assert_uint_lt(received, sent);
    ck_assert(peer_saw_reset(peer));
}

CASE(unread_input_discards_output, "7 12",
     "a close with unread input is a reset: what has come is read, what is unsent is lost")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    size_t sent = kit_overfill(stream);
    ck_assert_uint_eq(peer_send_some(peer, "x", 1), 1);
    world_settle();
    kit_close(stream);
    UNTIL(stream->closed);
    assert_gets_a_beginning(peer, sent);
}

CASE(reset_discards_output, "7 12",
     "a reset takes along what is unsent, and leaves what has come to be read before the error")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    size_t sent = kit_overfill(stream);
    kit_close_by_reset(stream);
    UNTIL(stream->closed);
    assert_gets_a_beginning(peer, sent);
}

CASE(reset_behind_the_end_is_read_as_the_end, "4 7",
     "a peer that resets after its end: the stream gets the bytes, the end, and the reset")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    peer_say(peer, "bye");
    peer_shutdown(peer);
    UNTIL(stream->ends == 1);
    ck_assert_uint_eq(stream->received, 3);
    ck_assert_int_eq(stream->end_error, 0);
    peer_reset(peer);
    UNTIL(stream->ends == 2);
    ck_assert_int_eq(stream->end_error, ECONNRESET);
}

CASE(reset_after_both_ends_is_nothing, "7", "a connection that has ended both ways cannot break")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    peer_shutdown(peer);
    UNTIL(stream->ends == 1);
    ck_assert_int_eq(kit_shutdown(stream), 0);
    world_settle();
    peer_reset(peer);
    world_settle();
    ck_assert_uint_eq(stream->ends, 1);
    ck_assert_int_eq(stream->end_error, 0);
}

/* ---- MORE ------------------------------------------------------------------------------------ */

static void send_more(kit_stream *stream)
{
    unsigned before = stream->sents;
    ptrdiff_t result = kit()->operations->send(
        kit(), &stream->stream, kit_chunks(stream, "short", 5, 1), 5, BERTH__SEND_MORE);
    for (int turns = 0; result == 0 && turns < WORLD_TURNS && stream->sents == before; turns++)
        world_turn();
}

/* Whether a short segment is kept, at least once: a busy machine may let the 200 ms pass. */
static kit_stream *keep_short(struct peer **ret_peer)
{
    for (unsigned tries = 0; tries < 10; tries++) {
        kit_stream *stream = kit_pair("a", NULL, ret_peer);
        char heard[8];
        send_more(stream);
        if (peer_receive_some(*ret_peer, heard, sizeof heard) == 0)
            return stream;
    }
    ck_abort_msg("a short segment with MORE is never kept");
}

CASE(more_keeps_a_short_segment, "12", "a short segment with MORE leaves with the next send")
{
    struct peer *peer;
    kit_stream *stream = keep_short(&peer);
    kit_send(stream, "!", 1);
    ck_assert(peer_hears(peer, "short!"));
}

CASE(more_ends_with_the_output, "12", "a short segment with MORE leaves with the end")
{
    struct peer *peer;
    kit_stream *stream = keep_short(&peer);
    ck_assert_int_eq(kit_shutdown(stream), 0);
    ck_assert(peer_hears(peer, "short"));
    ck_assert(peer_saw_end(peer));
    stream = keep_short(&peer);
    kit_close(stream);
    ck_assert(peer_hears(peer, "short"));
    ck_assert(peer_saw_end(peer));
}

CASE(more_ends_by_time, "12", "a short segment with MORE leaves by itself, though late")
{
    struct peer *peer;
    (void)keep_short(&peer);
    ck_assert(peer_hears(peer, "short"));
}

/* ---- options --------------------------------------------------------------------------------- */

CASE(buffer_sizes_are_doubled, "12", "buffers are said to have twice the size set, and a least one")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    set_option(stream, BERTH_OPTION_SEND_BUFFER_SIZE, 5000);
    set_option(stream, BERTH_OPTION_RECEIVE_BUFFER_SIZE, 5000);
    ck_assert_int_eq(option(stream, BERTH_OPTION_SEND_BUFFER_SIZE), 10000);
    ck_assert_int_eq(option(stream, BERTH_OPTION_RECEIVE_BUFFER_SIZE), 10000);
    set_option(stream, BERTH_OPTION_SEND_BUFFER_SIZE, 1);
    set_option(stream, BERTH_OPTION_RECEIVE_BUFFER_SIZE, 1);
    ck_assert_int_eq(option(stream, BERTH_OPTION_SEND_BUFFER_SIZE), 4608);
    ck_assert_int_eq(option(stream, BERTH_OPTION_RECEIVE_BUFFER_SIZE), 2304);
}

/* Sends without end; what lies in the stream's own queue when it takes no more. */
static size_t queue_of(kit_stream *stream, int buffer_size)
{
    uint8_t *bytes = calloc(1, BULK);
    ck_assert_ptr_nonnull(bytes);
    set_option(stream, BERTH_OPTION_SEND_BUFFER_SIZE, buffer_size);
    for (unsigned still = 0; still < 3; still++) {
        if (!stream->stream.sending) {
            kit_send(stream, bytes, BULK);
            still = 0;
        }
        world_settle();
    }
    size_t queued = in_transit(stream);
    kit_close_by_reset(stream);
    UNTIL(stream->closed);
    free(bytes);
    return queued;
}

CASE(send_buffer_bounds_what_is_in_transit, "12", "a stream keeps about as much as its buffer says")
{
    struct peer *peer;
    size_t little = queue_of(kit_pair("little", NULL, &peer), 5000);
    size_t much = queue_of(kit_pair("much", NULL, &peer), 500000);
    ck_assert_uint_gt(little, 0);
    ck_assert_uint_lt(little, 100000);
    ck_assert_uint_gt(much, 300000);
}

CASE(writable_from_a_third_free, "6 12",
     "a send that waits for room goes on when a third of the buffer is free, not before")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    uint8_t *bytes = calloc(1, BULK);
    ck_assert_ptr_nonnull(bytes);
    if (world_is_simulated())
        berth__sim_settings_of(world_sim())->max_transfer = 0;
    set_option(stream, BERTH_OPTION_SEND_BUFFER_SIZE, 100000);
    for (unsigned still = 0; still < 3; still++) {
        if (!stream->stream.sending) {
            kit_send(stream, bytes, BULK);
            still = 0;
        }
        world_settle();
    }
    size_t full = in_transit(stream);
    unsigned before = stream->sents;
    for (int turns = 0; turns < 100 * WORLD_TURNS && stream->sents == before; turns++) {
        peer_receive_some(peer, bytes, 1000);
        kit_turn(1);
    }
    ck_assert_uint_eq(stream->sents, before + 1);
    ck_assert_uint_gt((size_t)stream->sent, full / 5);
    kit_close_by_reset(stream);
    UNTIL(stream->closed);
    free(bytes);
}

CASE(linger_of_zero_resets, "7", "a graceful close with a linger of 0 is a reset; of 1 it is not")
{
    for (int seconds = 0; seconds < 2; seconds++) {
        struct peer *peer;
        kit_stream *stream = kit_pair("a", NULL, &peer);
        set_option(stream, BERTH_OPTION_LINGER, seconds);
        ck_assert_int_eq(option(stream, BERTH_OPTION_LINGER), seconds);
        stream->stream.lingers = true;
        kit_close(stream);
        UNTIL(stream->closed);
        ck_assert(seconds == 0 ? peer_saw_reset(peer) : peer_saw_end(peer));
    }
}

/* ---- peers that act by themselves ------------------------------------------------------------ */

struct refill {
    struct peer *peer;
    uint64_t next;
    unsigned left;
};

/* Sends a byte every 10 ms, then closes. */
static uint64_t refill(void *user, uint64_t now)
{
    struct refill *self = user;
    while (self->left > 0 && self->next <= now) {
        self->next += 10000000;
        if (--self->left > 0)
            peer_send_some(self->peer, "x", 1);
        else
            peer_close(self->peer);
    }
    return self->left > 0 ? self->next : UINT64_MAX;
}

CASE(peers_act_while_time_passes, "12", "the simulated kernel's peers act in the middle of a wait")
{
    if (kit() == NULL || !world_is_simulated())
        case_skip("real peers need no help");
    struct refill self = {.left = 5};
    kit_stream *stream = kit_pair("a", NULL, &self.peer);
    self.next = kit()->operations->now(kit()) + 10000000;
    berth__sim_on_passing(world_sim(), refill, &self);
    kit_receive_start(stream);
    for (unsigned waits = 1; stream->ends == 0; waits++) {
        ck_assert_uint_le(waits, 20);
        ck_assert_int_eq(kit_wait(1000), 0);
        kit_run_ready(NULL);
    }
    ck_assert_uint_eq(stream->received, 4);
    ck_assert_int_eq(stream->end_error, 0);
    berth__sim_on_passing(world_sim(), NULL, NULL);
}
