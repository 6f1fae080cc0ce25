/*
 * Laws 9, 10 and 12: watches, wake and submit; and the clock.
 */
#include "kit.h"

#include "base/fault.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

CASE(watch_fires_once, "9", "a watch ends when its descriptor is ready, and not again by itself")
{
    kit_watch *watch = kit_watch_new(NULL);
    int event = world_event_descriptor();
    ck_assert_int_eq(kit_watch_start(watch, event, BERTH__WATCH_READ), 0);
    world_settle();
    ck_assert_uint_eq(watch->fires, 0);
    world_raise(event, BERTH__WATCH_READ);
    UNTIL(watch->fires == 1);
    ck_assert_uint_eq(watch->found & BERTH__WATCH_READ, BERTH__WATCH_READ);
    ck_assert(!watch->watch.active);
    world_settle();
    ck_assert_uint_eq(watch->fires, 1);
    world_close_descriptor(event);
}

CASE(watch_is_started_again, "9",
     "a watch may be started again after it has fired, on what is still ready too")
{
    kit_watch *watch = kit_watch_new(NULL);
    int event = world_event_descriptor();
    world_raise(event, BERTH__WATCH_READ);
    for (unsigned fires = 1; fires <= 3; fires++) {
        ck_assert_int_eq(kit_watch_start(watch, event, BERTH__WATCH_READ), 0);
        UNTIL(watch->fires == fires);
    }
    world_raise(event, 0);
    ck_assert_int_eq(kit_watch_start(watch, event, BERTH__WATCH_READ), 0);
    world_settle();
    ck_assert_uint_eq(watch->fires, 3);
    kit_watch_close(watch);
    UNTIL(watch->closed);
    world_close_descriptor(event);
}

CASE(watch_of_an_unconnected_socket, "9",
     "a socket without a connection has hung up: both events, also where one was asked for")
{
    int descriptor = world_unconnected_descriptor();
    for (unsigned events = BERTH__WATCH_READ; events <= BERTH__WATCH_WRITE; events++) {
        kit_watch *watch = kit_watch_new(NULL);
        ck_assert_int_eq(kit_watch_start(watch, descriptor, events), 0);
        UNTIL(watch->fires == 1);
        ck_assert_uint_eq(watch->found, BERTH__WATCH_READ | BERTH__WATCH_WRITE);
        kit_watch_close(watch);
        UNTIL(watch->closed);
    }
    world_close_descriptor(descriptor);
}

static int again_on;

static void start_again(kit_watch *watch)
{
    if (watch->fires < 5)
        ck_assert_int_eq(kit_watch_start(watch, again_on, BERTH__WATCH_READ), 0);
}

CASE(watch_is_started_inside_its_event, "9", "a watch may be started again inside fired")
{
    kit_watch *watch = kit_watch_new(NULL);
    again_on = world_event_descriptor();
    watch->inside_fired = start_again;
    world_raise(again_on, BERTH__WATCH_READ);
    ck_assert_int_eq(kit_watch_start(watch, again_on, BERTH__WATCH_READ), 0);
    UNTIL(watch->fires == 5);
    world_settle();
    ck_assert_uint_eq(watch->fires, 5);
    world_close_descriptor(again_on);
}

CASE(watch_for_writing, "9", "a connected stream can be written at once")
{
    struct peer *peer;
    kit();
    int descriptor = world_stream_descriptor(&peer);
    kit_watch *watch = kit_watch_new(NULL);
    ck_assert_int_eq(kit_watch_start(watch, descriptor, BERTH__WATCH_WRITE), 0);
    UNTIL(watch->fires == 1);
    ck_assert_uint_eq(watch->found & BERTH__WATCH_WRITE, BERTH__WATCH_WRITE);
    world_close_descriptor(descriptor);
}

CASE(watch_closes_while_active, "7 9", "a watch that is closed does not fire, but says closed")
{
    kit_watch *watch = kit_watch_new(NULL);
    int event = world_event_descriptor();
    ck_assert_int_eq(kit_watch_start(watch, event, BERTH__WATCH_READ), 0);
    kit_turn(1);
    kit_watch_close(watch);
    kit_watch_close(watch);
    world_raise(event, BERTH__WATCH_READ);
    UNTIL(watch->closed);
    world_settle();
    ck_assert_uint_eq(watch->fires, 0);
    world_close_descriptor(event);
}

CASE(watch_closes_before_run, "7 9",
     "close holds even for a watch that is in the ready list already")
{
    kit_watch *watch = kit_watch_new(NULL);
    int event = world_event_descriptor();
    world_raise(event, BERTH__WATCH_READ);
    ck_assert_int_eq(kit_watch_start(watch, event, BERTH__WATCH_READ), 0);
    ck_assert_int_eq(kit_wait(50), 0);
    kit_watch_close(watch);
    UNTIL(watch->closed);
    ck_assert_uint_eq(watch->fires, 0);
    world_close_descriptor(event);
}

static void close_the_watch(kit_watch *watch)
{
    kit_watch_close(watch);
}

CASE(watch_closes_inside_its_event, "7 9", "close inside fired: closed follows")
{
    kit_watch *watch = kit_watch_new(NULL);
    int event = world_event_descriptor();
    watch->inside_fired = close_the_watch;
    world_raise(event, BERTH__WATCH_READ);
    ck_assert_int_eq(kit_watch_start(watch, event, BERTH__WATCH_READ), 0);
    UNTIL(watch->closed);
    ck_assert_uint_eq(watch->fires, 1);
    world_close_descriptor(event);
}

/* ---- watches that are kept ------------------------------------------------------------------- */

static kit_watch *kept_watch(int descriptor)
{
    kit_watch *watch = kit_watch_new(NULL);
    watch->watch.kept = true;
    again_on = kit()->operations->copy(kit(), descriptor);
    ck_assert_int_ge(again_on, 0);
    return watch;
}

/* Its end, in whichever state it is. */
static void end_kept(kit_watch *watch)
{
    kit_watch_close(watch);
    kit()->operations->close_copy(kit(), again_on);
    unsigned fires = watch->fires;
    UNTIL(watch->closed);
    world_settle();
    ck_assert_uint_eq(watch->fires, fires);
}

CASE(kept_watch_goes_on, "9", "started again and again, it fires as often, and not by itself")
{
    int event = world_event_descriptor();
    kit_watch *watch = kept_watch(event);
    watch->inside_fired = start_again;
    world_raise(event, BERTH__WATCH_READ);
    ck_assert_int_eq(kit_watch_start(watch, again_on, BERTH__WATCH_READ), 0);
    UNTIL(watch->fires == 5);
    world_settle();
    ck_assert_uint_eq(watch->fires, 5);
    ck_assert_int_eq(kit_watch_start(watch, again_on, BERTH__WATCH_READ), 0);
    UNTIL(watch->fires == 6);
    world_raise(event, 0);
    ck_assert_int_eq(kit_watch_start(watch, again_on, BERTH__WATCH_READ), 0);
    world_settle();
    ck_assert_uint_eq(watch->fires, 6);
    world_raise(event, BERTH__WATCH_READ);
    UNTIL(watch->fires == 7);
    end_kept(watch);
    world_close_descriptor(event);
}

CASE(kept_watch_waits_for_other_events, "9", "each start says what for")
{
    struct peer *peer;
    kit();
    int descriptor = world_stream_descriptor(&peer);
    kit_watch *watch = kept_watch(descriptor);
    for (unsigned i = 1; i <= 3; i++) {
        ck_assert_int_eq(kit_watch_start(watch, again_on, BERTH__WATCH_WRITE), 0);
        UNTIL(watch->fires == 2 * i - 1);
        ck_assert_uint_eq(watch->found, BERTH__WATCH_WRITE);
        ck_assert_int_eq(kit_watch_start(watch, again_on, BERTH__WATCH_READ), 0);
        world_settle();
        ck_assert_uint_eq(watch->fires, 2 * i - 1);
        peer_send_some(peer, "x", 1);
        UNTIL(watch->fires == 2 * i);
        ck_assert_uint_eq(watch->found, BERTH__WATCH_READ);
        char byte;
        ck_assert_int_eq(kit()->operations->take(kit(), descriptor, &byte, 1, false), 1);
    }
    end_kept(watch);
    world_close_descriptor(descriptor);
}

CASE(kept_watch_closes_in_each_state, "7 9", "under way, fired but not run, and after its event")
{
    for (int state = 0; state < 4; state++) {
        int event = world_event_descriptor();
        kit_watch *watch = kept_watch(event);
        if (state > 0)
            ck_assert_int_eq(kit_watch_start(watch, again_on, BERTH__WATCH_READ), 0);
        kit_turn(1);
        if (state > 1)
            world_raise(event, BERTH__WATCH_READ);
        if (state == 2)
            ck_assert_int_eq(kit_wait(50), 0);
        if (state == 3)
            UNTIL(watch->fires == 1);
        end_kept(watch);
        world_close_descriptor(event);
    }
}

CASE(kept_watch_waits_in_the_list, "2 9",
     "a wait for others does not return again and again for it")
{
    int event = world_event_descriptor();
    kit_watch *watch = kept_watch(event);
    world_raise(event, BERTH__WATCH_READ);
    ck_assert_int_eq(kit_watch_start(watch, again_on, BERTH__WATCH_READ), 0);
    for (int i = 0; i < 10 && kit()->ready.count == 0; i++)
        ck_assert_int_eq(kit_wait(10), 0);
    unsigned early = 0;
    for (int i = 0; i < 5; i++) {
        uint64_t before = kit()->operations->now(kit());
        ck_assert_int_eq(kit_wait(10), 0);
        early += kit()->operations->now(kit()) - before < 9000000;
    }
    ck_assert_uint_le(early, 2);
    ck_assert_uint_gt(kit_run_ready(NULL), 0);
    ck_assert_uint_eq(watch->fires, 1);
    end_kept(watch);
    world_close_descriptor(event);
}

CASE(kept_watch_holds_no_file, "9",
     "when it is closed, what is closed after it has its end at once")
{
    if (world_is_simulated())
        case_skip("its descriptors are no files");
    int ends[2];
    char bytes[4096] = {0};
    kit();
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    kit_watch *watch = kept_watch(ends[1]);
    while (write(ends[1], bytes, sizeof bytes) > 0)
        continue;
    ck_assert_int_eq(kit_watch_start(watch, again_on, BERTH__WATCH_WRITE), 0);
    kit_turn(1);
    kit_watch_close(watch);
    kit()->operations->close_copy(kit(), again_on);
    close(ends[1]);
    ssize_t got;
    while ((got = read(ends[0], bytes, sizeof bytes)) > 0)
        continue;
    ck_assert_int_eq(got, 0);
    close(ends[0]);
    UNTIL(watch->closed);
}

CASE(copies_refused, "9", "what is not open has no copy")
{
    kit();
    ck_assert_int_eq(kit()->operations->copy(kit(), -1), -EBADF);
    ck_assert_int_eq(kit()->operations->copy(kit(), 1 << 30), -EBADF);
}

/* ---- wakes and the rest ---------------------------------------------------------------------- */

CASE(wake_before_the_wait, "10", "a wake is kept for the next wait, once")
{
    kit();
    kit_turn(0);
    kit()->operations->wake(kit());
    kit()->operations->wake(kit());
    ck_assert_int_eq(kit()->operations->wait(kit(), -1), 0);
    ck_assert_uint_eq(kit_run_ready(NULL), 0);
    /* The two were one: the next wait has its full time. A single early return is forgiven. */
    unsigned early = 0;
    for (int turns = 0; turns < 4; turns++) {
        uint64_t before = kit()->operations->now(kit());
        kit_turn(10);
        early += kit()->operations->now(kit()) - before < 9000000;
    }
    ck_assert_uint_le(early, 1);
}

CASE(submit_hands_over, "12", "sends and ends leave with submit, and no wait need follow")
{
    if (world_is_simulated() && getenv("BERTH_SIM_SEED") != NULL)
        case_skip("with a seed the simulated network takes its time");
    struct peer *talked_to, *left;
    kit_stream *talks = kit_pair("talks", NULL, &talked_to),
               *leaves = kit_pair("leaves", NULL, &left);
    kit_turn(0);
    kit_send(talks, "hello", 5);
    kit_close(leaves);
    kit()->operations->submit(kit());
    char heard[8];
    ck_assert_uint_eq(peer_receive_some(talked_to, heard, sizeof heard), 5);
    ck_assert_mem_eq(heard, "hello", 5);
    ck_assert(peer_sees_either(left));
}

static void *wake_soon(void *backend)
{
    /* Whether this comes before or during the wait does not matter: both have to end it. */
    usleep(2000);
    ((berth__backend *)backend)->operations->wake(backend);
    return NULL;
}

CASE(wake_from_another_thread, "10", "another thread ends an endless wait")
{
    pthread_t thread;
    for (int rounds = 0; rounds < 10; rounds++) {
        ck_assert_int_eq(pthread_create(&thread, NULL, wake_soon, kit()), 0);
        ck_assert_int_eq(kit()->operations->wait(kit(), -1), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
    }
}

static void wake_by_signal(int number)
{
    (void)number;
    kit()->operations->wake(kit());
}

static void *signal_soon(void *target)
{
    usleep(2000);
    pthread_kill(*(pthread_t *)target, SIGUSR1);
    return NULL;
}

CASE(wake_from_a_signal_handler, "10", "a signal handler ends an endless wait")
{
    struct sigaction action = {.sa_handler = wake_by_signal};
    pthread_t self = pthread_self();
    pthread_t thread;
    kit();
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, signal_soon, &self), 0);
    ck_assert_int_eq(kit()->operations->wait(kit(), -1), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

CASE(wake_calls_no_event, "10", "a wake alone runs nothing and loses nothing")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    for (int i = 0; i < 20; i++) {
        kit()->operations->wake(kit());
        if (i == 10)
            peer_send_some(peer, "x", 1);
        kit_turn(1);
    }
    UNTIL(stream->received == 1);
    ck_assert_uint_eq(stream->deliveries, 1);
}

CASE(clock_goes_forward, "wait",
     "time never goes back, and a wait of some milliseconds is not early by much")
{
    kit();
    uint64_t before = kit()->operations->now(kit());
    for (int i = 0; i < 5; i++) {
        kit_turn(2);
        uint64_t now = kit()->operations->now(kit());
        ck_assert_uint_ge(now, before);
        before = now;
    }
}

CASE(wait_of_zero_does_not_wait, "wait", "with a time-out of 0 an idle wait returns")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(kit_turn_for(NULL, 0), 0);
    peer_send_some(peer, "x", 1);
    for (int i = 0; i < WORLD_TURNS && stream->received == 0; i++)
        kit_turn(0);
    ck_assert_uint_eq(stream->received, 1);
}

CASE(descriptor_is_pollable, "descriptor",
     "the backend's descriptor becomes readable when there is something to run")
{
    kit();
    int descriptor = kit()->operations->descriptor(kit());
    if (descriptor < 0)
        case_skip("this backend has no descriptor");
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    for (int turns = 0; turns < 10; turns++)
        kit_turn(0); /* hands what was started to the kernel */
    peer_send_some(peer, "x", 1);
    struct pollfd poller = {.fd = descriptor, .events = POLLIN};
    ck_assert_int_eq(poll(&poller, 1, 5000), 1);
    for (int turns = 0; turns < WORLD_TURNS && stream->received == 0; turns++)
        kit_turn(0);
    ck_assert_uint_eq(stream->received, 1);
}

CASE(wake_makes_the_descriptor_readable, "10",
     "a wake is seen by somebody who polls the descriptor")
{
    kit();
    int descriptor = kit()->operations->descriptor(kit());
    if (descriptor < 0)
        case_skip("this backend has no descriptor");
    kit_turn(0);
    kit()->operations->wake(kit());
    struct pollfd poller = {.fd = descriptor, .events = POLLIN};
    ck_assert_int_eq(poll(&poller, 1, 5000), 1);
    kit_turn(0);
}

CASE(nothing_can_ever_happen, "wait", "the simulated kernel refuses to wait for ever")
{
    if (!world_is_simulated())
        case_skip("a real kernel waits for ever");
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    kit_receive_start(stream);
    kit_turn(1);
    ck_assert_int_eq(kit()->operations->wait(kit(), -1), EDEADLK);
}

/* The kernel takes nothing in: entries of the ring run out. */
static void refuse_entries(void)
{
    if (strcmp(kit()->operations->name, "io_uring") != 0)
        case_skip("only io_uring has entries that run out");
    berth__fault_set_system(0, LONG_MAX, EBUSY, "io_uring_enter");
}

static void use_entries_up(int descriptor)
{
    for (int i = 0; i < 2000; i++) {
        kit_watch *other = kit_watch_new(NULL);
        if (kit_watch_start(other, descriptor, BERTH__WATCH_READ) != 0)
            return;
        kit_watch_close(other);
    }
}

CASE(watch_is_closed_without_an_entry, "1 7", "its end comes when the kernel takes entries again")
{
    kit_watch *watch = kit_watch_new(NULL);
    int event = world_event_descriptor();
    int other = world_event_descriptor();
    ck_assert_int_eq(kit_watch_start(watch, event, BERTH__WATCH_READ), 0);
    world_settle();
    refuse_entries();
    use_entries_up(other);
    kit_watch_close(watch);
    berth__fault_clear();
    UNTIL(watch->closed);
    world_close_descriptor(event);
    world_close_descriptor(other);
}

CASE(listener_is_closed_without_an_entry, "1 7", "likewise")
{
    kit_listener *listener = kit_listen("l");
    kit_credit(listener, 1);
    world_settle();
    int event = world_event_descriptor();
    refuse_entries();
    use_entries_up(event);
    kit_close_listener(listener);
    berth__fault_clear();
    UNTIL(listener->closed);
    world_close_descriptor(event);
}

CASE(end_is_looked_for_without_an_entry, "4",
     "of a Unix socket: it is reported, if only as a failure")
{
    struct peer *peer;
    kit_stream *stream = kit_stream_new("a", NULL);
    int descriptor = world_local_descriptor(&peer);
    ck_assert_int_eq(kit()->operations->adopt(kit(), &stream->stream, descriptor, false), 0);
    int event = world_event_descriptor();
    peer_say(peer, "last words");
    peer_shutdown(peer);
    world_settle();
    refuse_entries();
    unsigned room = 0;
    while (kit_watch_start(kit_watch_new(NULL), event, BERTH__WATCH_READ) == 0)
        room++;
    berth__fault_clear();
    world_settle();
    refuse_entries();
    for (unsigned i = 0; i + 1 < room; i++) /* one is left, and two are needed */
        ck_assert_int_eq(kit_watch_start(kit_watch_new(NULL), event, BERTH__WATCH_READ), 0);
    kit_receive_start(stream);
    (void)kit()->operations->wait(kit(), 0);
    berth__fault_clear();
    UNTIL(stream->ends == 1);
    world_close_descriptor(event);
}
