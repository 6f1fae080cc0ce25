/*
 * Timers: order, repeating, and everything inside their handlers.
 */
#include "scene.h"

#include <unistd.h>

struct ticking {
    berth_timer *timer;
    const char *name;
    unsigned count;
    unsigned stop_after;
    bool free_inside;
    uint64_t started;
    uint64_t delay;
};

static void tick(berth_timer *timer, void *user)
{
    struct ticking *self = user;
    ck_assert_ptr_eq(timer, self->timer);
    ck_assert_uint_ge(berth_loop_now(world_loop()), self->started + self->delay);
    self->count++;
    trace("%s", self->name);
    if (self->stop_after != 0 && self->count == self->stop_after) {
        if (self->free_inside)
            berth_timer_free(timer);
        else
            berth_timer_stop(timer);
    }
}

static void begin(struct ticking *self, const char *name, uint64_t delay, uint64_t repeat)
{
    self->name = name;
    if (self->timer == NULL)
        self->timer = berth_timer_new(world_loop(), tick, self);
    ck_assert_ptr_nonnull(self->timer);
    self->started = berth_loop_now(world_loop());
    self->delay = delay;
    berth_timer_start(self->timer, delay, repeat);
    ck_assert(berth_timer_is_active(self->timer));
}

CASE(timers_come_in_order, "timer.h",
     "whatever the order of starting; none is early; equal ones in order of starting")
{
    struct ticking timers[6] = {0};
    begin(&timers[0], "30", 30, 0);
    begin(&timers[1], "10", 10, 0);
    begin(&timers[2], "20a", 20, 0);
    begin(&timers[3], "20b", 20, 0);
    begin(&timers[4], "5", 5, 0);
    begin(&timers[5], "0", 0, 0);
    UNTIL(trace_count() == 6);
    assert_trace("0, 5, 10, 20a, 20b, 30");
    for (int i = 0; i < 6; i++)
        ck_assert(!berth_timer_is_active(timers[i].timer));
}

CASE(timer_repeats, "timer.h", "until it is stopped inside its handler")
{
    struct ticking timer = {.stop_after = 5};
    begin(&timer, "t", 1, 2);
    UNTIL(timer.count == 5);
    ck_assert(!berth_timer_is_active(timer.timer));
    world_settle();
    ck_assert_uint_eq(timer.count, 5);
}

CASE(timer_is_freed_inside, "timer.h", "freed in its own handler, once and repeating")
{
    struct ticking once = {.stop_after = 1, .free_inside = true};
    struct ticking repeating = {.stop_after = 3, .free_inside = true};
    begin(&once, "1", 1, 0);
    begin(&repeating, "r", 1, 1);
    UNTIL(once.count == 1 && repeating.count == 3);
    world_settle();
    ck_assert_uint_eq(once.count + repeating.count, 4);
}

static unsigned zero_count;

static void start_again(berth_timer *timer, void *user)
{
    (void)user;
    if (++zero_count < 100000)
        berth_timer_start(timer, 0, 0);
}

CASE(zero_delay, "timer.h",
     "a delay of 0 is the next timer phase, not this one: a timer that starts itself lets others "
     "live")
{
    berth_timer *timer = berth_timer_new(world_loop(), start_again, NULL);
    ck_assert_ptr_nonnull(timer);
    berth_timer_start(timer, 0, 0);
    berth_loop_turn(world_loop(), 100);
    ck_assert_uint_eq(zero_count, 1);
    berth_loop_turn(world_loop(), 100);
    ck_assert_uint_eq(zero_count, 2);
    struct host *host = host_listening("h");
    world_connect(host->port);
    UNTIL(host->new_connections == 1);
    ck_assert_uint_lt(zero_count, 100000);
    berth_timer_free(timer);
}

CASE(timer_is_started_anew, "timer.h", "a start of a running timer moves it")
{
    struct ticking one = {0};
    struct ticking two = {0};
    begin(&one, "1", 5, 0);
    begin(&two, "2", 10, 0);
    begin(&one, "1", 20, 0);
    UNTIL(trace_count() == 2);
    assert_trace("2, 1");
    world_settle();
    ck_assert_uint_eq(trace_count(), 2);
}

CASE(timer_is_stopped, "timer.h", "a stopped timer does not come, and may be stopped twice")
{
    struct ticking one = {0};
    struct ticking two = {0};
    begin(&one, "1", 2, 2);
    begin(&two, "2", 30, 0);
    berth_timer_stop(one.timer);
    berth_timer_stop(one.timer);
    ck_assert(!berth_timer_is_active(one.timer));
    UNTIL(two.count == 1);
    assert_trace("2");
    begin(&one, "1", 1, 0);
    UNTIL(one.count == 1);
}

static berth_timer *other_timer;

static void stop_other(berth_timer *timer, void *user)
{
    (void)timer;
    trace("stopper");
    if (user != NULL)
        berth_timer_free(other_timer);
    else
        berth_timer_stop(other_timer);
}

static void never(berth_timer *timer, void *user)
{
    (void)timer;
    (void)user;
    trace("never");
}

static void due_together(void *free_it)
{
    berth_timer *first = berth_timer_new(world_loop(), stop_other, free_it);
    other_timer = berth_timer_new(world_loop(), never, NULL);
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(other_timer);
    berth_timer_start(first, 1, 0);
    berth_timer_start(other_timer, 1, 0);
    UNTIL(trace_has("stopper"));
    world_settle();
    assert_trace("stopper");
}

CASE(timer_stops_another_that_is_due, "timer.h",
     "a timer stopped in the same phase does not come any more")
{
    due_together(NULL);
}

CASE(timer_frees_another_that_is_due, "timer.h", "nor one that was freed")
{
    due_together(&other_timer);
}

CASE(missed_expiries_are_not_made_up, "timer.h",
     "a loop that was busy calls a repeating timer once")
{
    struct ticking timer = {0};
    begin(&timer, "t", 1, 1);
    if (world_is_simulated())
        berth_loop_turn(world_loop(), 0);
    else
        usleep(50000);
    unsigned before = timer.count;
    berth_loop_turn(world_loop(), 10);
    ck_assert_uint_le(timer.count, before + 1);
    ck_assert_uint_ge(timer.count, 1);
}

CASE(timer_without_a_handler, "timer.h", "NULL for the handler: it expires in silence")
{
    berth_timer *timer = berth_timer_new(world_loop(), NULL, NULL);
    ck_assert_ptr_nonnull(timer);
    berth_timer_start(timer, 1, 0);
    UNTIL(!berth_timer_is_active(timer));
}

CASE(timer_ends_a_long_wait, "design 3", "a turn without limit ends when a timer is due")
{
    struct ticking timer = {0};
    begin(&timer, "t", 10, 0);
    int turns = 0;
    while (timer.count == 0 && turns < 10) {
        berth_loop_turn(world_loop(), world_for_ever());
        turns++;
    }
    ck_assert_uint_eq(timer.count, 1);
}

CASE(many_timers, "timer.h", "a thousand timers, every third stopped, come in order")
{
    enum {
        COUNT = 1000
    };
    static struct ticking timers[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        timers[i].stop_after = 1;
        timers[i].free_inside = true;
        begin(&timers[i], "t", (i * 7919) % 50, 0);
    }
    unsigned expected = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        if (i % 3 == 0)
            berth_timer_free(timers[i].timer);
        else
            expected++;
    }
    UNTIL(trace_count() == expected);
    for (unsigned i = 0; i < COUNT; i++)
        ck_assert_uint_eq(timers[i].count, i % 3 != 0);
}

CASE(timers_go_with_the_loop, "loop.h", "timers that still run are freed with their loop")
{
    struct ticking timers[3] = {0};
    for (int i = 0; i < 3; i++)
        begin(&timers[i], "t", 10000, 0);
    world_free_loop();
    assert_trace("");
}
