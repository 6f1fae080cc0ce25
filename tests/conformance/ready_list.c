/*
 * Law 2: a record is in the ready list at most once, and the records of other owners keep their
 * place and their events while somebody waits for his own.
 */
#include "kit.h"

#include <stdlib.h>

static int owner_a;
static int owner_b;

static unsigned listed(const berth__ready *ready)
{
    unsigned count = 0;
    for (int line = 0; line < BERTH__LINES; line++) {
        const berth__ready *each = kit()->ready.lines[line].first;
        for (; each != NULL; each = each->next)
            count += each == ready;
    }
    return count;
}

CASE(record_is_listed_once, "2", "several things to report put a record into the list once")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    kit_send(stream, "x", 1);
    peer_send_some(peer, "x", 1);
    for (int turns = 0; turns < 10; turns++) {
        ck_assert_int_eq(kit_wait(2), 0);
        ck_assert_uint_le(listed(&stream->stream.ready), 1);
        peer_send_some(peer, "x", 1);
    }
    ck_assert_uint_eq(listed(&stream->stream.ready), 1);
    kit_run_ready(NULL);
    UNTIL(stream->received == 11 && stream->sents == 1);
}

CASE(foreign_records_wait_in_order, "2",
     "only the owner's records run in his wait; the others follow later, in order")
{
    struct peer *peers[3];
    kit_stream *first = kit_pair("first", &owner_b, &peers[0]);
    kit_stream *own = kit_pair("own", &owner_a, &peers[1]);
    kit_stream *second = kit_pair("second", &owner_b, &peers[2]);
    kit_receive_start(first);
    kit_receive_start(own);
    kit_receive_start(second);
    world_settle();
    peer_close(peers[0]);
    for (int turns = 0; turns < WORLD_TURNS && listed(&first->stream.ready) == 0; turns++)
        kit_turn_for(&owner_a, 1);
    peer_close(peers[2]);
    for (int turns = 0; turns < WORLD_TURNS && listed(&second->stream.ready) == 0; turns++)
        kit_turn_for(&owner_a, 1);
    peer_close(peers[1]);
    for (int turns = 0; turns < WORLD_TURNS && own->ends == 0; turns++)
        kit_turn_for(&owner_a, 1);
    assert_trace("own ended 0");
    UNTIL(first->ends == 1 && second->ends == 1);
    assert_trace("own ended 0, first ended 0, second ended 0");
}

CASE(foreign_events_are_not_lost, "2",
     "what others received during an owner's wait is delivered afterwards, complete")
{
    struct peer *mine;
    struct peer *theirs;
    kit_stream *own = kit_pair("own", &owner_a, &mine);
    kit_stream *other = kit_pair("other", &owner_b, &theirs);
    kit_receive_start(own);
    kit_receive_start(other);
    uint8_t *bytes = kit_pattern(30000, 2);
    size_t sent = 0;
    for (int turns = 0; turns < 30; turns++) {
        sent += peer_send_some(theirs, bytes + sent, 1000);
        kit_turn_for(&owner_a, 1);
    }
    peer_shutdown(theirs);
    peer_send_some(mine, "x", 1);
    for (int turns = 0; turns < WORLD_TURNS && own->received == 0; turns++)
        kit_turn_for(&owner_a, 1);
    ck_assert_uint_eq(other->received, 0);
    ck_assert_uint_eq(other->ends, 0);
    UNTIL(other->ends == 1);
    ck_assert_uint_eq(other->received, sent);
    ck_assert_mem_eq(other->bytes, bytes, sent);
    free(bytes);
}

CASE(wait_sleeps_beside_foreign_records, "2",
     "a record of another owner in the list does not end every wait")
{
    struct peer *peer;
    kit_stream *other = kit_pair("other", &owner_b, &peer);
    kit_receive_start(other);
    peer_send_some(peer, "x", 1);
    for (int turns = 0; turns < WORLD_TURNS && listed(&other->stream.ready) == 0; turns++)
        kit_turn_for(&owner_a, 1);
    /* A few early returns are allowed, one for each wait would be a busy loop. */
    unsigned early = 0;
    for (int turns = 0; turns < 20; turns++) {
        uint64_t before = kit()->operations->now(kit());
        kit_turn_for(&owner_a, 4);
        early += kit()->operations->now(kit()) - before < 3000000;
    }
    ck_assert_uint_le(early, 3);
    UNTIL(other->received == 1);
}

CASE(listener_of_another_owner_waits, "2 8",
     "connections for another owner's listener are announced afterwards")
{
    kit_listener *listener = kit_listener_new("l", &owner_b);
    ck_assert_int_eq(kit_listen_at(listener, BERTH_ADDRESS_LOOPBACK, 0), 0);
    kit_credit(listener, 5);
    for (int i = 0; i < 3; i++)
        world_connect(listener->port);
    for (int turns = 0; turns < 20; turns++)
        kit_turn_for(&owner_a, 1);
    ck_assert_uint_eq(listener->count, 0);
    UNTIL(listener->count == 3);
}

CASE(close_by_a_foreign_owner_waits, "2 7",
     "closed of another owner's record is kept for later, and comes")
{
    struct peer *peer;
    kit_stream *other = kit_pair("other", &owner_b, &peer);
    kit_receive_start(other);
    kit_close(other);
    for (int turns = 0; turns < 20; turns++)
        kit_turn_for(&owner_a, 1);
    ck_assert(!other->closed);
    UNTIL(other->closed);
    ck_assert(peer_saw_end(peer));
}
