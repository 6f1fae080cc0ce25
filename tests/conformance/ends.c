/*
 * What the kernel says of a connection that has ended one way, both ways, or by a reset: the states
 * in which calls come late.
 */
#include "kit.h"

#include <errno.h>
#include <stdlib.h>

#include "backend/sim.h"

#define CHUNK 20000

static int name_of(kit_stream *stream, berth__side side)
{
    berth_address address;
    uint16_t port;
    return kit()->operations->name_of(kit(), stream->stream.descriptor, side, &address, &port);
}

static bool has_input(kit_stream *stream)
{
    return kit()->operations->input(kit(), &stream->stream) > 0;
}

static size_t in_transit(kit_stream *stream)
{
    return kit()->operations->in_transit(kit(), &stream->stream);
}

static bool has_unsent(kit_stream *stream)
{
    return kit()->operations->has_unsent(kit(), &stream->stream);
}

static kit_stream *after_a_reset(struct peer **ret_peer)
{
    kit_stream *stream = kit_pair("a", NULL, ret_peer);
    kit_receive_start(stream);
    peer_reset(*ret_peer);
    UNTIL(stream->ends == 1);
    ck_assert_int_eq(stream->end_error, ECONNRESET);
    return stream;
}

CASE(second_shutdown_is_nothing, "7", "the output is ended twice: the peer sees one end")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    ck_assert_int_eq(kit_shutdown(stream), 0);
    ck_assert_int_eq(kit_shutdown(stream), 0);
    ck_assert(peer_saw_end(peer));
    kit_receive_start(stream);
    peer_say(peer, "still here");
    UNTIL(stream->received == 10);
}

CASE(shutdown_after_both_ends_fails, "7", "the output is ended again, and so was the input")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    peer_shutdown(peer);
    UNTIL(stream->ends == 1);
    ck_assert_int_eq(kit_shutdown(stream), 0);
    world_settle();
    ck_assert_int_eq(kit_shutdown(stream), ENOTCONN);
}

CASE(shutdown_after_a_reset_fails, "7", "nobody is there to be shown the end")
{
    struct peer *peer;
    kit_stream *stream = after_a_reset(&peer);
    ck_assert_int_eq(kit_shutdown(stream), ENOTCONN);
}

CASE(names_after_a_reset, "name_of", "the names of a connection outlast it")
{
    struct peer *peer;
    kit_stream *stream = after_a_reset(&peer);
    ck_assert_int_eq(name_of(stream, BERTH__PEER), 0);
    ck_assert_int_eq(name_of(stream, BERTH__LOCAL), 0);
}

CASE(names_after_both_ends, "name_of", "likewise, once both ends have arrived")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    peer_shutdown(peer);
    UNTIL(stream->ends == 1);
    ck_assert_int_eq(name_of(stream, BERTH__PEER), 0);
    ck_assert_int_eq(kit_shutdown(stream), 0);
    world_settle();
    ck_assert_int_eq(name_of(stream, BERTH__PEER), 0);
    ck_assert_int_eq(name_of(stream, BERTH__LOCAL), 0);
}

CASE(what_a_reset_destroys_is_still_counted, "12", "as in transit, and as unsent")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    (void)kit_overfill(stream);
    peer_reset(peer);
    kit_receive_start(stream);
    UNTIL(stream->ends == 1);
    ck_assert_int_eq(stream->end_error, ECONNRESET);
    ck_assert_uint_gt(in_transit(stream), 0);
    ck_assert(has_unsent(stream));
}

CASE(end_is_no_input, "has_input", "an end alone is not counted as input, nor is a reset")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    peer_shutdown(peer);
    world_settle();
    ck_assert(!has_input(stream));
    stream = kit_pair("b", NULL, &peer);
    peer_reset(peer);
    world_settle();
    ck_assert(!has_input(stream));
}

CASE(both_ends_behind_full_buffers, "12",
     "each side ends behind output that the other has no room for")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    size_t sent = kit_overfill(stream);
    uint8_t *bytes = calloc(1, sent);
    ck_assert_ptr_nonnull(bytes);
    size_t said = 0;
    for (size_t some = 1; some > 0; said += some)
        some = peer_send_some(peer, bytes, CHUNK);
    ck_assert_int_eq(kit_shutdown(stream), 0);
    peer_shutdown(peer);
    world_settle();
    ck_assert_uint_eq(peer_receive(peer, bytes, sent), sent);
    ck_assert(peer_saw_end(peer));
    kit_receive_start(stream);
    UNTIL(stream->ends == 1);
    ck_assert_uint_eq(stream->received, said);
    ck_assert_int_eq(stream->end_error, 0);
    free(bytes);
}

CASE(peer_closes_with_unread_input, "4", "its last bytes come, and then the reset")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_send(stream, "question", 8);
    UNTIL(stream->sents == 1);
    world_settle();
    peer_say(peer, "bye");
    world_settle();
    peer_close(peer);
    kit_receive_start(stream);
    UNTIL(stream->ends == 1);
    ck_assert_uint_eq(stream->received, 3);
    ck_assert_int_eq(stream->end_error, ECONNRESET);
}

CASE(linger_and_unread_input, "7", "unread input resets, however long the close may linger")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    int seconds = 1;
    int descriptor = stream->stream.descriptor;
    ck_assert_int_eq(
        kit()->operations->option(kit(), descriptor, BERTH_OPTION_LINGER, &seconds, true), 0);
    stream->stream.lingers = true;
    ck_assert_uint_eq(peer_send_some(peer, "x", 1), 1);
    world_settle();
    kit_close(stream);
    UNTIL(stream->closed);
    ck_assert(peer_saw_reset(peer));
}

CASE(watches_of_an_end, "9", "an end is something to read; after a reset there is all of it")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_watch *watch = kit_watch_new(NULL);
    peer_shutdown(peer);
    ck_assert_int_eq(kit_watch_start(watch, stream->stream.descriptor, BERTH__WATCH_READ), 0);
    UNTIL(watch->fires == 1);
    ck_assert(watch->found & BERTH__WATCH_READ);
    peer_reset(peer);
    world_settle();
    ck_assert_int_eq(kit_watch_start(watch, stream->stream.descriptor, BERTH__WATCH_WRITE), 0);
    UNTIL(watch->fires == 2);
    ck_assert(watch->found & BERTH__WATCH_WRITE);
    kit_watch_close(watch);
    UNTIL(watch->closed);
}
