/*
 * The public timers: each is an object of its loop with one deadline.
 *
 * Room for the deadline is reserved when the timer is made, so starting it cannot fail. A timer
 * that repeats is started again before its handler is called, which may stop or free it.
 */
#include <berth/timer.h>

#include "base/memory.h"
#include "loop.h"

struct berth_timer {
    berth__object object;
    berth__deadline deadline;
    berth_timer_handler handler;
    void *user;
    uint64_t repeat; /* milliseconds */
};

static berth_timer *timer_of(berth__deadline *deadline)
{
    return (berth_timer *)((char *)deadline - offsetof(berth_timer, deadline));
}

static void expired(berth__deadline *deadline)
{
    berth_timer *timer = timer_of(deadline);
    berth_loop *loop = timer->object.loop;
    if (timer->repeat > 0) {
        uint64_t now = berth__loop_clock(loop);
        uint64_t next = berth__after(deadline->time, timer->repeat);
        /* A loop that was busy for several periods gets one call, not a burst. */
        if (next <= now)
            next = berth__after(now, timer->repeat);
        berth__deadline_start(&loop->deadlines, deadline, next);
    }
    if (timer->handler == NULL)
        return;
    berth__enter(&timer->object);
    timer->handler(timer, timer->user);
    berth__leave(&timer->object);
}

static void free_timer(berth__object *object)
{
    berth_timer_free((berth_timer *)object);
}

static void destroy(berth__object *object)
{
    berth__release(object);
}

static const berth__kind timer_kind = {
    .number = BERTH__KIND_TIMER, .free = free_timer, .destroy = destroy};

berth_timer *berth_timer_new(berth_loop *loop, berth_timer_handler handler, void *user)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL)
        return NULL;
    BERTH__OWN_THREAD(loop);
    if (berth__loop_is_copy(loop))
        return NULL;
    berth_timer *timer = berth__allocate_zero(sizeof *timer);
    if (timer == NULL)
        return NULL;
    if (!berth__deadlines_reserve(&loop->deadlines)) {
        berth__release(timer);
        return NULL;
    }
    timer->handler = handler;
    timer->user = user;
    timer->deadline.expired = expired;
    berth__object_init(&timer->object, &timer_kind, loop, &loop->objects);
    return timer;
}

void berth_timer_free(berth_timer *timer)
{
    if (timer == NULL || timer->object.freed)
        return;
    BERTH__OWN_THREAD(timer->object.loop);
    if (timer->object.loop->abandoned)
        return;
    berth_timer_stop(timer);
    berth__deadlines_unreserve(&timer->object.loop->deadlines);
    berth__discard(&timer->object);
}

void berth_timer_start(berth_timer *timer, uint64_t delay, uint64_t repeat)
{
    berth_loop *loop = timer->object.loop;
    BERTH__OWN_THREAD(loop);
    if (timer->object.freed)
        return;
    timer->repeat = repeat;
    berth__deadline_start(&loop->deadlines, &timer->deadline,
                          berth__after(berth__loop_clock(loop), delay));
    berth__loop_touch(loop);
}

void berth_timer_stop(berth_timer *timer)
{
    BERTH__OWN_THREAD(timer->object.loop);
    timer->repeat = 0;
    berth__deadline_stop(&timer->object.loop->deadlines, &timer->deadline);
}

bool berth_timer_is_active(const berth_timer *timer)
{
    BERTH__OWN_THREAD(timer->object.loop);
    return timer->deadline.place != 0;
}
