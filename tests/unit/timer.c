/*
 * Timers through the public functions, on the simulated backend, whose clock moves in waits only
 * (and by a trifle each time), so that every expiry has a known time.
 *
 * A random walk starts, stops, restarts and frees fifty timers and compares each expiry with a
 * plain array of deadlines.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include <berth/berth.h>

#include "backend/sim.h"
#include "base/fault.h"
#include "loop/deadlines.h"

enum {
    CROWD = 1000,
    WALKERS = 50,
    ROUNDING = 1 /* millisecond: a timer is started between two of them */
};

static berth_loop *loop;
static int fired;

static void begin(void)
{
    const berth_loop_options options = {.backend = "sim"};
    loop = berth_loop_new(&options);
    ck_assert_ptr_nonnull(loop);
    ck_assert_str_eq(berth_loop_backend_name(loop), "sim");
    fired = 0;
}

static void end(void)
{
    berth__fault_clear();
    berth_loop_free(loop);
}

static void count(berth_timer *timer, void *user)
{
    (void)timer;
    (void)user;
    fired++;
}

static berth_timer *new_timer(berth_timer_handler handler, void *user)
{
    berth_timer *timer = berth_timer_new(loop, handler, user);
    ck_assert_ptr_nonnull(timer);
    ck_assert(!berth_timer_is_active(timer));
    return timer;
}

/* Turns the loop until that much virtual time has passed. */
static void pass(uint64_t milliseconds)
{
    uint64_t until = berth_loop_now(loop) + milliseconds;
    do {
        int left = (int)(until - berth_loop_now(loop));
        (void)berth_loop_turn(loop, left);
    } while (berth_loop_now(loop) < until);
}

/* Moves the clock without a turn, as a handler does that takes long. */
static void be_busy(uint64_t milliseconds)
{
    berth__sim_advance(berth__sim_last(), milliseconds * 1000000);
}

START_TEST(not_early_and_once)
{
    berth_timer *timer = new_timer(count, NULL);
    pass(500);
    ck_assert_int_eq(fired, 0);
    berth_timer_start(timer, 100, 0);
    ck_assert(berth_timer_is_active(timer));
    pass(99);
    ck_assert_int_eq(fired, 0);
    pass(1);
    ck_assert_int_eq(fired, 1);
    ck_assert(!berth_timer_is_active(timer));
    pass(1000);
    ck_assert_int_eq(fired, 1);
    berth_timer_free(timer);
}
END_TEST

START_TEST(zero_is_the_next_turn)
{
    berth_timer *timer = new_timer(count, NULL);
    uint64_t now = berth_loop_now(loop);
    berth_timer_start(timer, 0, 0);
    ck_assert_int_eq(fired, 0);
    ck_assert(berth_loop_turn(loop, -1));
    ck_assert_int_eq(fired, 1);
    ck_assert_uint_eq(berth_loop_now(loop), now);
    berth_timer_free(timer);
}
END_TEST

START_TEST(repeats_until_stopped)
{
    berth_timer *timer = new_timer(count, NULL);
    berth_timer_start(timer, 5, 10);
    pass(4);
    ck_assert_int_eq(fired, 0);
    for (int i = 1; i <= 10; i++) {
        pass(i == 1 ? 1 : 10);
        ck_assert_int_eq(fired, i);
        ck_assert(berth_timer_is_active(timer));
    }
    berth_timer_stop(timer);
    ck_assert(!berth_timer_is_active(timer));
    pass(100);
    ck_assert_int_eq(fired, 10);
    berth_timer_stop(timer);
    berth_timer_free(timer);
}
END_TEST

START_TEST(missed_expiries_are_not_made_up_for)
{
    berth_timer *timer = new_timer(count, NULL);
    berth_timer_start(timer, 10, 10);
    be_busy(1000);
    (void)berth_loop_turn(loop, 0);
    ck_assert_int_eq(fired, 1);
    (void)berth_loop_turn(loop, 0);
    ck_assert_int_eq(fired, 1);
    pass(10);
    ck_assert_int_eq(fired, 2);
    berth_timer_free(timer);
}
END_TEST

START_TEST(starting_again_counts_from_now)
{
    berth_timer *timer = new_timer(count, NULL);
    berth_timer_start(timer, 100, 0);
    pass(90);
    berth_timer_start(timer, 100, 0);
    pass(99);
    ck_assert_int_eq(fired, 0);
    pass(1);
    ck_assert_int_eq(fired, 1);
    berth_timer_start(timer, 100, 50);
    berth_timer_start(timer, 5, 0); /* without the repeat */
    pass(500);
    ck_assert_int_eq(fired, 2);
    berth_timer_free(timer);
}
END_TEST

START_TEST(a_delay_without_end_never_comes)
{
    berth_timer *timer = new_timer(count, NULL);
    berth_timer_start(timer, UINT64_MAX, UINT64_MAX);
    pass(1000000000);
    ck_assert_int_eq(fired, 0);
    ck_assert(berth_timer_is_active(timer));
    ck_assert_int_gt(berth_loop_timeout(loop), 0);
    berth_timer_free(timer);
}
END_TEST

START_TEST(loop_timeout_is_the_nearest_deadline)
{
    berth_timer *near = new_timer(count, NULL);
    berth_timer *far = new_timer(count, NULL);
    ck_assert_int_eq(berth_loop_timeout(loop), -1);
    berth_timer_start(far, 300, 0);
    ck_assert_int_eq(berth_loop_timeout(loop), 300);
    berth_timer_start(near, 20, 0);
    ck_assert_int_eq(berth_loop_timeout(loop), 20);
    be_busy(50);
    ck_assert_int_eq(berth_loop_timeout(loop), 0);
    berth_timer_stop(near);
    ck_assert_int_eq(berth_loop_timeout(loop), 250);
    berth_timer_free(far);
    ck_assert_int_eq(berth_loop_timeout(loop), -1);
    berth_timer_free(near);
}
END_TEST

/* ---- what handlers may do ---- */

static void free_itself(berth_timer *timer, void *user)
{
    (void)user;
    fired++;
    berth_timer_free(timer);
    berth_timer_free(NULL);
}

START_TEST(free_inside_its_own_handler)
{
    for (int i = 0; i < 10; i++)
        berth_timer_start(new_timer(free_itself, NULL), 10, i % 2 ? 10 : 0);
    pass(100);
    ck_assert_int_eq(fired, 10);
}
END_TEST

static void free_the_other(berth_timer *timer, void *user)
{
    berth_timer **pair = user;
    berth_timer *other = pair[0] == timer ? pair[1] : pair[0];
    fired++;
    berth_timer_free(other);
}

/* Both are due in the same turn; the second must not be called any more. */
START_TEST(free_another_that_is_due)
{
    berth_timer *pair[2];
    for (int i = 0; i < 2; i++)
        pair[i] = new_timer(free_the_other, pair);
    berth_timer_start(pair[1], 10, 0);
    berth_timer_start(pair[0], 10, 0);
    pass(100);
    ck_assert_int_eq(fired, 1);
    berth_timer_free(pair[1]);
}
END_TEST

static void stop_the_user(berth_timer *timer, void *user)
{
    (void)timer;
    fired++;
    berth_timer_stop(user);
}

START_TEST(stop_another_that_is_due)
{
    berth_timer *second = new_timer(count, NULL);
    berth_timer *first = new_timer(stop_the_user, second);
    berth_timer_start(first, 10, 0);
    berth_timer_start(second, 10, 10);
    pass(100);
    ck_assert_int_eq(fired, 1);
    ck_assert(!berth_timer_is_active(second));
    berth_timer_free(first);
    berth_timer_free(second);
}
END_TEST

static void start_itself_at_once(berth_timer *timer, void *user)
{
    (void)user;
    fired++;
    ck_assert(!berth_timer_is_active(timer));
    berth_timer_start(timer, 0, 0);
}

/* A timer that restarts itself with no delay gets one call a turn, and does not hold the loop. */
START_TEST(restart_at_once_inside_the_handler)
{
    berth_timer *timer = new_timer(start_itself_at_once, NULL);
    berth_timer_start(timer, 0, 0);
    for (int i = 1; i <= 5; i++) {
        (void)berth_loop_turn(loop, 0);
        ck_assert_int_eq(fired, i);
    }
    berth_timer_free(timer);
}
END_TEST

static void stop_itself(berth_timer *timer, void *user)
{
    (void)user;
    fired++;
    berth_timer_stop(timer);
}

START_TEST(stop_a_repeating_one_inside_its_handler)
{
    berth_timer *timer = new_timer(stop_itself, NULL);
    berth_timer_start(timer, 1, 1);
    pass(50);
    ck_assert_int_eq(fired, 1);
    berth_timer_free(timer);
}
END_TEST

START_TEST(a_timer_without_a_handler)
{
    berth_timer *timer = new_timer(NULL, NULL);
    berth_timer_start(timer, 10, 0);
    pass(20);
    ck_assert(!berth_timer_is_active(timer));
    berth_timer_free(timer);
}
END_TEST

START_TEST(the_loop_frees_those_that_are_left)
{
    for (int i = 0; i < 40; i++) {
        berth_timer *timer = new_timer(count, NULL);
        if (i % 2)
            berth_timer_start(timer, 10, 10);
    }
}
END_TEST

/* ---- order ---- */

typedef struct entrant {
    berth_timer *timer;
    uint64_t due;
    int place; /* in the order of starting */
} entrant;

static const entrant *previous;

static void finish(berth_timer *timer, void *user)
{
    const entrant *now = user;
    ck_assert_ptr_eq(now->timer, timer);
    ck_assert_uint_eq(berth_loop_now(loop), now->due);
    if (previous)
        ck_assert(previous->due < now->due ||
                  (previous->due == now->due && previous->place < now->place));
    previous = now;
    fired++;
    berth_timer_free(timer);
}

START_TEST(by_deadline_then_by_start)
{
    static entrant crowd[CROWD];
    srandom((unsigned)_i);
    previous = NULL;
    for (int i = 0; i < CROWD; i++) {
        uint64_t delay = (uint64_t)random() % 200;
        crowd[i] = (entrant){new_timer(finish, &crowd[i]), berth_loop_now(loop) + delay, i};
        berth_timer_start(crowd[i].timer, delay, 0);
    }
    pass(200);
    ck_assert_int_eq(fired, CROWD);
}
END_TEST

/* due: 0 when it is not running */
static entrant walkers[WALKERS];

static void arrive(berth_timer *timer, void *user)
{
    entrant *walker = user;
    ck_assert_ptr_eq(walker->timer, timer);
    ck_assert_uint_le(walker->due, berth_loop_now(loop));
    ck_assert_uint_ge(walker->due + ROUNDING, berth_loop_now(loop));
    walker->due = 0;
    fired++;
}

static void step(entrant *walker)
{
    uint64_t delay = (uint64_t)random() % 100 + 1;
    switch (random() % 6) {
    case 0:
        berth_timer_stop(walker->timer);
        walker->due = 0;
        break;
    case 1:
        berth_timer_free(walker->timer);
        *walker = (entrant){.timer = new_timer(arrive, walker)};
        break;
    default:
        berth_timer_start(walker->timer, delay, 0);
        walker->due = berth_loop_now(loop) + delay;
    }
}

START_TEST(random_walk)
{
    srandom((unsigned)_i);
    for (int i = 0; i < WALKERS; i++)
        walkers[i] = (entrant){.timer = new_timer(arrive, &walkers[i])};
    for (int i = 0; i < 20000; i++) {
        step(&walkers[(size_t)random() % WALKERS]);
        if (random() % 4 == 0)
            pass((uint64_t)random() % 5);
        const entrant *walker = &walkers[(size_t)random() % WALKERS];
        ck_assert(berth_timer_is_active(walker->timer) == (walker->due != 0));
        ck_assert(walker->due == 0 || walker->due + ROUNDING >= berth_loop_now(loop));
    }
    ck_assert_int_gt(fired, 1000);
}
END_TEST

/* ---- failure, and waits ---- */

START_TEST(out_of_memory)
{
    int failures = 0;
    for (int i = 0; i < 100; i++) {
        berth_timer *timer = NULL;
        for (long n = 0; !timer; n++) {
            errno = 0;
            berth__fault_set_memory(n, 1);
            timer = berth_timer_new(loop, count, NULL);
            berth__fault_clear();
            if (timer)
                break;
            ck_assert_int_eq(errno, ENOMEM);
            failures++;
            ck_assert_int_lt(n, 10);
        }
        berth_timer_start(timer, 10, 0);
    }
    ck_assert_int_ge(failures, 100);
    berth__fault_set_memory(0, 1000000); /* from here on nothing needs any */
    pass(10);
    ck_assert_int_eq(berth__fault_memory_seen(), 0);
    ck_assert_int_eq(fired, 100);
}
END_TEST

/* A blocking wait runs no timers: they come with the next turn. */
START_TEST(not_inside_a_blocking_wait)
{
    bool timed_out = false;
    berth_timer *timer = new_timer(count, NULL);
    berth_server *server = berth_server_new(loop, NULL, NULL);
    ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    berth_timer_start(timer, 10, 0);
    ck_assert(!berth_server_wait_for_new_connection(server, 100, &timed_out));
    ck_assert(timed_out);
    ck_assert_int_eq(fired, 0);
    (void)berth_loop_turn(loop, 0);
    ck_assert_int_eq(fired, 1);
    berth_server_free(server);
    berth_timer_free(timer);
}
END_TEST

/* A loop that counts in whole milliseconds and begins with the one that it is in. */
START_TEST(loop_timeout_suits_whole_milliseconds)
{
    berth__backend *kernel = berth__sim_last();
    berth_timer *timer = new_timer(count, NULL);
    for (int step = 0; step < 50; step++) {
        berth__sim_advance(kernel, 77000);
        berth_timer_start(timer, 7, 0);
        uint64_t due = berth_loop_now(loop) + (uint64_t)berth_loop_timeout(loop);
        ck_assert_uint_le(due, berth_loop_now(loop) + 8);
        berth__sim_advance(kernel, due * 1000000 - kernel->operations->now(kernel));
        fired = 0;
        (void)berth_loop_turn(loop, 0);
        ck_assert_int_eq(fired, 1);
    }
    berth_timer_free(timer);
}
END_TEST

static berth__deadlines heap;
static berth__deadline own[3];
static unsigned runs[3];

static void run_own(berth__deadline *deadline)
{
    runs[deadline - own]++;
    /* As a limit does that lets a connection off: it wants to be looked at again at once. */
    if (deadline == &own[0])
        berth__deadline_start(&heap, deadline, 5);
}

START_TEST(started_in_the_past_inside_the_phase)
{
    for (int i = 0; i < 3; i++) {
        ck_assert(berth__deadlines_reserve(&heap));
        own[i].expired = run_own;
        berth__deadline_start(&heap, &own[i], 10 + (uint64_t)i);
    }
    for (unsigned phase = 1; phase <= 3; phase++) {
        ck_assert_uint_eq(berth__deadlines_run(&heap, 20 + phase), phase == 1 ? 3 : 1);
        ck_assert_uint_eq(runs[0], phase);
        ck_assert_uint_eq(runs[1], 1);
        ck_assert_uint_eq(runs[2], 1);
    }
    berth__deadline_stop(&heap, &own[0]);
    for (int i = 0; i < 3; i++)
        berth__deadlines_unreserve(&heap);
    berth__deadlines_clear(&heap);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("timer");
    TCase *tests = tcase_create("timer");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, not_early_and_once);
    tcase_add_test(tests, zero_is_the_next_turn);
    tcase_add_test(tests, repeats_until_stopped);
    tcase_add_test(tests, missed_expiries_are_not_made_up_for);
    tcase_add_test(tests, starting_again_counts_from_now);
    tcase_add_test(tests, a_delay_without_end_never_comes);
    tcase_add_test(tests, loop_timeout_is_the_nearest_deadline);
    tcase_add_test(tests, free_inside_its_own_handler);
    tcase_add_test(tests, free_another_that_is_due);
    tcase_add_test(tests, stop_another_that_is_due);
    tcase_add_test(tests, restart_at_once_inside_the_handler);
    tcase_add_test(tests, stop_a_repeating_one_inside_its_handler);
    tcase_add_test(tests, a_timer_without_a_handler);
    tcase_add_test(tests, the_loop_frees_those_that_are_left);
    tcase_add_loop_test(tests, by_deadline_then_by_start, 0, 5);
    tcase_add_loop_test(tests, random_walk, 0, 3);
    tcase_add_test(tests, out_of_memory);
    tcase_add_test(tests, not_inside_a_blocking_wait);
    tcase_add_test(tests, loop_timeout_suits_whole_milliseconds);
    tcase_add_test(tests, started_in_the_past_inside_the_phase);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
