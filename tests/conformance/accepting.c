/*
 * Laws 5, 7 and 8 for listeners: credit, budget, failure, closing.
 */
#include "kit.h"

#include "base/fault.h"

#include "backend/sim.h"

#include <fcntl.h>

static void connect_many(uint16_t port, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        world_connect(port);
}

CASE(no_credit_no_connection, "8", "without credit connections stay in the kernel")
{
    kit_listener *listener = kit_listen("l");
    connect_many(listener->port, 3);
    world_settle();
    ck_assert_uint_eq(listener->count, 0);
    kit_credit(listener, 2);
    UNTIL(listener->count == 2);
    world_settle();
    ck_assert_uint_eq(listener->count, 2);
    kit_credit(listener, 5);
    UNTIL(listener->count == 3);
}

CASE(connection_that_waits, "has_connection", "told whether one waits to be accepted")
{
    kit_listener *listener = kit_listen("l");
    ck_assert(!kit()->operations->has_connection(kit(), &listener->listener));
    connect_many(listener->port, 2);
    world_settle();
    for (unsigned expected = 1; expected <= 2; expected++) {
        ck_assert(kit()->operations->has_connection(kit(), &listener->listener));
        kit_credit(listener, 1);
        UNTIL(listener->count == expected);
    }
    ck_assert(!kit()->operations->has_connection(kit(), &listener->listener));
}

CASE(credit_of_one, "8", "credit 1 gives one connection, however many wait")
{
    kit_listener *listener = kit_listen("l");
    kit_credit(listener, 1);
    connect_many(listener->port, 5);
    for (unsigned expected = 1; expected <= 5; expected++) {
        UNTIL(listener->count == expected);
        world_settle();
        ck_assert_uint_eq(listener->count, expected);
        ck_assert_uint_eq(listener->listener.credit, 0);
        kit_credit(listener, 1);
    }
}

CASE(credit_counts_down, "8", "the credit that is left is what the core can read")
{
    kit_listener *listener = kit_listen("l");
    kit_credit(listener, 10);
    connect_many(listener->port, 4);
    UNTIL(listener->count == 4);
    world_settle();
    ck_assert_uint_eq(listener->listener.credit, 6);
}

static void renew(kit_listener *listener)
{
    kit_credit(listener, 1);
}

CASE(credit_is_renewed_inside_accepted, "8",
     "credit given inside accepted goes on at once, and is not added up")
{
    kit_listener *listener = kit_listen("l");
    listener->inside_accepted = renew;
    kit_credit(listener, 1);
    connect_many(listener->port, 20);
    UNTIL(listener->count == 20);
    world_settle();
    ck_assert_uint_eq(listener->listener.credit, 1);
}

static void revoke(kit_listener *listener)
{
    kit_credit(listener, 0);
}

CASE(credit_is_revoked_inside_accepted, "8", "credit 0 inside accepted stops the batch at once")
{
    kit_listener *listener = kit_listen("l");
    listener->inside_accepted = revoke;
    kit_credit(listener, 10);
    connect_many(listener->port, 5);
    UNTIL(listener->count == 1);
    world_settle();
    ck_assert_uint_eq(listener->count, 1);
    listener->inside_accepted = NULL;
    kit_credit(listener, 10);
    UNTIL(listener->count == 5);
}

CASE(credit_is_revoked_before_run, "8",
     "credit 0 holds even for connections that are in the ready list already")
{
    kit_listener *listener = kit_listen("l");
    kit_credit(listener, 10);
    connect_many(listener->port, 3);
    ck_assert_int_eq(kit_wait(50), 0);
    kit_credit(listener, 0);
    kit_run_ready(NULL);
    world_settle();
    ck_assert_uint_eq(listener->count, 0);
    kit_credit(listener, 10);
    UNTIL(listener->count == 3);
}

/* The budget itself is held by the kit, run by run. */
CASE(forty_connections_come_in_batches, "5 8",
     "more connections than a batch: all come, none twice")
{
    kit_listener *listener = kit_listen("l");
    kit_credit(listener, 100);
    connect_many(listener->port, 40);
    UNTIL(listener->count == 40);
    for (unsigned i = 0; i < 40; i++) {
        for (unsigned j = 0; j < i; j++)
            ck_assert_int_ne(listener->descriptors[i], listener->descriptors[j]);
    }
    world_settle();
    ck_assert_uint_eq(listener->count, 40);
}

CASE(connections_come_in_order, "8", "accepted in the order in which they were made")
{
    enum {
        COUNT = 10
    };
    kit_listener *listener = kit_listen("l");
    uint16_t ports[COUNT];
    for (unsigned i = 0; i < COUNT; i++)
        ports[i] = peer_port(world_connect(listener->port));
    kit_credit(listener, COUNT);
    UNTIL(listener->count == COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        berth_address address;
        uint16_t port;
        ck_assert_int_eq(kit()->operations->name_of(kit(), listener->descriptors[i], BERTH__PEER,
                                                    &address, &port),
                         0);
        ck_assert_uint_eq(port, ports[i]);
    }
}

CASE(accepted_descriptors_are_plain, "8", "what is accepted is blocking and closed on exec")
{
    if (world_is_simulated())
        case_skip("simulated descriptors have no flags");
    kit_listener *listener = kit_listen("l");
    kit_credit(listener, 1);
    world_connect(listener->port);
    UNTIL(listener->count == 1);
    ck_assert_int_ne(fcntl(listener->descriptors[0], F_GETFD) & FD_CLOEXEC, 0);
    ck_assert_int_eq(fcntl(listener->descriptors[0], F_GETFL) & O_NONBLOCK, 0);
}

CASE(accepted_stream_works, "8",
     "an accepted connection is adopted without a check, and carries bytes")
{
    kit_listener *listener = kit_listen("l");
    kit_credit(listener, 1);
    struct peer *peer = world_connect(listener->port);
    UNTIL(listener->count == 1);
    kit_stream *stream = kit_adopt("a", listener->descriptors[0]);
    kit_receive_start(stream);
    peer_say(peer, "hello");
    UNTIL(stream->received == 5);
    kit_send_all(stream, "world", 5);
    ck_assert(peer_hears(peer, "world"));
}

CASE(accept_fails_without_descriptors, "8",
     "no descriptor left: one report, credit taken; new credit goes on when there is one")
{
    kit_listener *listener = kit_listen("l");
    connect_many(listener->port, 3);
    kit_turn(0);
    world_exhaust(1);
    kit_credit(listener, 10);
    UNTIL(listener->fails == 1);
    ck_assert_int_eq(listener->fail_error, EMFILE);
    ck_assert_uint_eq(listener->count, 1);
    world_settle();
    ck_assert_uint_eq(listener->fails, 1);
    ck_assert_uint_eq(listener->listener.credit, 0);
    world_relieve();
    world_settle();
    ck_assert_uint_eq(listener->count, 1);
    kit_credit(listener, 10);
    UNTIL(listener->count == 3);
    ck_assert_uint_eq(listener->fails, 1);
}

CASE(accept_fails_again, "8", "credit that comes too early is answered by another report")
{
    kit_listener *listener = kit_listen("l");
    world_connect(listener->port);
    kit_turn(0);
    world_exhaust(0);
    for (unsigned fails = 1; fails <= 5; fails++) {
        kit_credit(listener, 1);
        UNTIL(listener->fails == fails);
    }
    ck_assert_uint_eq(listener->count, 0);
    world_relieve();
    kit_credit(listener, 1);
    UNTIL(listener->count == 1);
}

CASE(close_while_a_listener_starves, "7 8",
     "is done inside the call: somebody is waiting for the descriptor")
{
    if (world_is_simulated())
        case_skip("its descriptors are closed with their records");
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    int descriptor = stream->stream.descriptor;
    kit_listener *listener = kit_listen("l");
    world_connect(listener->port);
    kit_turn(0);
    world_exhaust(0);
    kit_credit(listener, 1);
    UNTIL(listener->fails == 1);
    unsigned before = kit_descriptors_closed();
    kit_close(stream);
    ck_assert(!world_is_open(descriptor));
    ck_assert_uint_eq(kit_descriptors_closed(), before + 1);
    kit_credit(listener, 1);
    UNTIL(listener->count == 1);
}

static void renew_after_failure(kit_listener *listener)
{
    world_relieve();
    kit_credit(listener, 5);
}

CASE(credit_inside_accept_failed, "8", "new credit inside accept_failed counts")
{
    kit_listener *listener = kit_listen("l");
    connect_many(listener->port, 2);
    kit_turn(0);
    listener->inside_failed = renew_after_failure;
    world_exhaust(0);
    kit_credit(listener, 5);
    UNTIL(listener->count == 2);
    ck_assert_uint_eq(listener->fails, 1);
}

/* Those of one connection, each as accept(2) names it. */
static const int transient[] = {EINTR,       ECONNABORTED, EPROTO, ENETDOWN,
                                ENOPROTOOPT, EHOSTDOWN,    ENONET, EHOSTUNREACH,
                                ENETUNREACH, ETIMEDOUT,    EPERM};
#define TRANSIENT (sizeof transient / sizeof transient[0])

CASE(transient_errors_are_not_reported, "8", "errors of one connection pass in silence")
{
    kit_listener *listener = kit_listen("l");
    kit_credit(listener, 20);
    for (unsigned i = 0; i < TRANSIENT; i++) {
        berth__fault_set_system(0, 2, transient[i], "accept4");
        world_connect(listener->port);
        UNTIL(listener->count == i + 1);
        ck_assert_int_eq(berth__fault_system_failed(), 2);
    }
    berth__fault_clear();
    ck_assert_uint_eq(listener->fails, 0);
    ck_assert_uint_eq(listener->listener.credit, 20 - TRANSIENT);
}

CASE(spurious_readiness_is_not_reported, "8", "nor is EAGAIN")
{
    if (!world_is_simulated())
        case_skip("only the simulated kernel does that on demand");
    kit_listener *listener = kit_listen("l");
    kit_credit(listener, 1);
    berth__sim_fail_accept(kit(), EAGAIN, 2);
    world_connect(listener->port);
    UNTIL(listener->count == 1);
    ck_assert_uint_eq(listener->fails, 0);
}

CASE(transient_errors_by_chance, "8",
     "one accept of two fails, of any kind, and nobody hears of it")
{
    if (!world_is_simulated())
        case_skip("only the simulated kernel fails by chance");
    kit_listener *listener = kit_listen("l");
    berth__sim_settings_of(kit())->accept_noise = 2;
    kit_credit(listener, 40);
    connect_many(listener->port, 40);
    UNTIL(listener->count == 40);
    ck_assert_uint_eq(listener->fails, 0);
}

CASE(rejecting_survives_transient_errors, "8", "where connections are turned away as well")
{
    kit_listener *listener = kit_listen("l");
    int none = -1;
    for (unsigned i = 0; i < TRANSIENT; i++) {
        world_connect(listener->port);
        world_settle();
        berth__fault_set_system(0, 2, transient[i], "accept4");
        ck_assert_uint_eq(
            kit()->operations->reject(kit(), &listener->listener, 1, BERTH__CLOSE_NORMAL, &none),
            1);
    }
    berth__fault_clear();
}

static void close_now(kit_listener *listener)
{
    kit_close_listener(listener);
}

CASE(listener_closes_inside_accepted, "7 8", "close inside accepted: nothing but closed follows")
{
    kit_listener *listener = kit_listen("l");
    listener->inside_accepted = close_now;
    kit_credit(listener, 10);
    connect_many(listener->port, 5);
    UNTIL(listener->closed);
    world_settle();
    assert_trace("l accepted, l closed");
}

CASE(listener_closes_inside_accept_failed, "7 8", "close inside accept_failed: closed follows")
{
    kit_listener *listener = kit_listen("l");
    listener->inside_failed = close_now;
    world_connect(listener->port);
    kit_turn(0);
    world_exhaust(0);
    kit_credit(listener, 1);
    UNTIL(listener->closed);
    assert_trace("l failed, l closed");
}

static size_t reject(kit_listener *listener, size_t most, berth__close_mode mode, int *spare)
{
    return kit()->operations->reject(kit(), &listener->listener, most, mode, spare);
}

CASE(waiting_connections_are_rejected, "8",
     "as many as asked for, at once, in a mode, without an event")
{
    kit_listener *listener = kit_listen("l");
    struct peer *peers[4];
    int none = -1;
    ck_assert_uint_eq(reject(listener, 3, BERTH__CLOSE_NORMAL, &none), 0);
    for (int i = 0; i < 4; i++)
        peers[i] = world_connect(listener->port);
    world_settle();
    unsigned before = world_descriptors();
    ck_assert_uint_eq(reject(listener, 1, BERTH__CLOSE_NORMAL, &none), 1);
    ck_assert_uint_eq(reject(listener, 2, BERTH__CLOSE_RESET, &none), 2);
    ck_assert_uint_eq(world_descriptors(), before);
    ck_assert(peer_saw_end(peers[0]));
    ck_assert(peer_saw_reset(peers[1]));
    ck_assert(peer_saw_reset(peers[2]));
    ck_assert_uint_eq(listener->count + listener->fails, 0);
    kit_credit(listener, 9);
    UNTIL(listener->count == 1);
}

CASE(rejecting_gives_up_a_spare_descriptor, "8",
     "and takes it back; without one nothing is rejected")
{
    kit_listener *listener = kit_listen("l");
    for (int i = 0; i < 5; i++)
        world_connect(listener->port);
    int spare = kit()->operations->reserve(kit());
    ck_assert_int_ge(spare, 0);
    world_exhaust(0);
    int none = -1;
    ck_assert_int_eq(kit()->operations->reserve(kit()), -1);
    ck_assert_uint_eq(reject(listener, 5, BERTH__CLOSE_NORMAL, &none), 0);
    ck_assert_uint_eq(reject(listener, 3, BERTH__CLOSE_NORMAL, &spare), 3);
    ck_assert_int_ge(spare, 0);
    ck_assert(world_is_open(spare));
    ck_assert_uint_eq(reject(listener, 5, BERTH__CLOSE_NORMAL, &spare), 2);
    world_relieve();
    kit()->operations->discard(kit(), spare);
}

CASE(closing_frees_the_port_at_once, "7", "the port can be listened on right after close_listener")
{
    kit_listener *first = kit_listen("first");
    uint16_t port = first->port;
    kit_credit(first, 10);
    connect_many(port, 2);
    kit_turn(1);
    kit_listener *second = kit_listener_new("second", NULL);
    ck_assert_int_eq(kit_listen_at(second, BERTH_ADDRESS_LOOPBACK, port), EADDRINUSE);
    kit_close_listener(first);
    ck_assert_int_eq(kit_listen_at(second, BERTH_ADDRESS_LOOPBACK, port), 0);
    ck_assert_uint_eq(second->port, port);
    kit_credit(second, 1);
    struct peer *peer = world_connect(port);
    (void)peer;
    UNTIL(second->count == 1 && first->closed);
}

CASE(closing_ends_what_waits, "7",
     "connections that were not announced are ended when the listener closes")
{
    kit_listener *listener = kit_listen("l");
    struct peer *peers[3];
    for (unsigned i = 0; i < 3; i++)
        peers[i] = world_connect(listener->port);
    kit_credit(listener, 0);
    world_settle();
    kit_close_listener(listener);
    UNTIL(listener->closed);
    for (unsigned i = 0; i < 3; i++)
        ck_assert(peer_saw_either(peers[i]));
    ck_assert_uint_eq(listener->count, 0);
}

CASE(closing_ends_what_was_taken, "7",
     "connections that the backend has taken, but not announced, are ended too")
{
    kit_listener *listener = kit_listen("l");
    kit_credit(listener, 10);
    struct peer *peers[3];
    for (unsigned i = 0; i < 3; i++)
        peers[i] = world_connect(listener->port);
    ck_assert_int_eq(kit_wait(50), 0);
    kit_close_listener(listener);
    UNTIL(listener->closed);
    for (unsigned i = 0; i < 3; i++)
        ck_assert(peer_saw_either(peers[i]));
    assert_trace("l closed");
}

CASE(closed_listener_refuses, "7", "after close_listener nobody can connect any more")
{
    kit_listener *listener = kit_listen("l");
    kit_credit(listener, 10);
    kit_turn(1);
    kit_close_listener(listener);
    UNTIL(listener->closed);
    ck_assert_ptr_null(world_connect_to(BERTH_ADDRESS_LOOPBACK, listener->port));
    ck_assert_int_eq(errno, ECONNREFUSED);
}

CASE(listener_closes_twice, "7", "the second close of a listener has no effect")
{
    kit_listener *listener = kit_listen("l");
    kit_close_listener(listener);
    kit_close_listener(listener);
    UNTIL(listener->closed);
    world_settle();
    assert_trace("l closed");
}

CASE(two_listeners, "8", "each listener gets its own connections, within its own credit")
{
    kit_listener *one = kit_listen("one");
    kit_listener *two = kit_listen("two");
    connect_many(one->port, 4);
    connect_many(two->port, 4);
    kit_credit(one, 3);
    kit_credit(two, 1);
    UNTIL(one->count == 3 && two->count == 1);
    world_settle();
    ck_assert_uint_eq(one->count, 3);
    ck_assert_uint_eq(two->count, 1);
}
