/*
 * The heap of deadlines and the public timers on top of it.
 *
 * A binary heap in an array with places from 1: the children of place p are 2p and 2p + 1. Each
 * deadline knows its place, so that it can be stopped without a search. Due deadlines are run one
 * by one from the top, and each is stopped before it is called, so a handler may do anything to any
 * timer. Deadlines started by handlers wait for the next phase, even those that are due at once:
 * else a timer that restarts itself would never let the loop go on. They are given a time just
 * after the phase's, so that in the heap they are behind all that the phase still has to run.
 */
#include "timer.h"

#include "base/memory.h"
#include "loop.h"

#include <assert.h>
#include <stdint.h>

struct berth_timer {
    berth__object object;
    berth__deadline deadline;
    berth_timer_handler handler;
    void *user;
    uint64_t repeat; /* milliseconds */
};

static bool earlier(const berth__deadline *a, const berth__deadline *b)
{
    return a->time != b->time ? a->time < b->time : a->sequence < b->sequence;
}

static void put(berth__timers *timers, size_t place, berth__deadline *deadline)
{
    timers->heap[place] = deadline;
    deadline->place = place;
}

static void rise(berth__timers *timers, berth__deadline *deadline, size_t place)
{
    while (place > 1 && earlier(deadline, timers->heap[place / 2])) {
        put(timers, place, timers->heap[place / 2]);
        place /= 2;
    }
    put(timers, place, deadline);
}

static void sink(berth__timers *timers, berth__deadline *deadline, size_t place)
{
    for (;;) {
        size_t child = place * 2;
        if (child > timers->count)
            break;
        if (child < timers->count && earlier(timers->heap[child + 1], timers->heap[child]))
            child++;
        if (!earlier(timers->heap[child], deadline))
            break;
        put(timers, place, timers->heap[child]);
        place = child;
    }
    put(timers, place, deadline);
}

bool berth__timers_reserve(berth__timers *timers)
{
    if (timers->reserved + 1 >= timers->capacity) {
        size_t capacity = timers->capacity == 0 ? 16 : timers->capacity * 2;
        berth__deadline **heap =
            berth__reallocate(timers->heap, capacity * sizeof(berth__deadline *));
        if (heap == NULL)
            return false;
        timers->heap = heap;
        timers->capacity = capacity;
    }
    timers->reserved++;
    return true;
}

void berth__timers_unreserve(berth__timers *timers)
{
    assert(timers->reserved > 0);
    timers->reserved--;
}

void berth__timers_clear(berth__timers *timers)
{
    berth__release(timers->heap);
    timers->heap = NULL;
    timers->count = timers->reserved = timers->capacity = 0;
}

void berth__deadline_start(berth__timers *timers, berth__deadline *deadline, uint64_t time)
{
    berth__deadline_stop(timers, deadline);
    assert(timers->count < timers->reserved);
    deadline->time = time > timers->phase ? time : timers->phase + 1;
    deadline->sequence = ++timers->sequence;
    timers->count++;
    rise(timers, deadline, timers->count);
}

void berth__deadline_stop(berth__timers *timers, berth__deadline *deadline)
{
    size_t place = deadline->place;
    if (place == 0)
        return;
    deadline->place = 0;
    berth__deadline *last = timers->heap[timers->count];
    timers->count--;
    if (last == deadline)
        return;
    if (place > 1 && earlier(last, timers->heap[place / 2]))
        rise(timers, last, place);
    else
        sink(timers, last, place);
}

size_t berth__timers_run(berth__timers *timers, uint64_t now)
{
    uint64_t outer = timers->phase; /* of a turn around this one */
    size_t ran = 0;
    timers->phase = now;
    while (timers->count > 0 && !timers->halted && timers->heap[1]->time <= now) {
        berth__deadline *deadline = timers->heap[1];
        berth__deadline_stop(timers, deadline);
        ran++;
        deadline->expired(deadline);
    }
    timers->phase = outer;
    return ran;
}

bool berth__timers_next(const berth__timers *timers, uint64_t *ret_time)
{
    if (timers->count == 0)
        return false;
    *ret_time = timers->heap[1]->time;
    return true;
}

uint64_t berth__after(uint64_t now, uint64_t milliseconds)
{
    if (milliseconds > (UINT64_MAX / 2 - now) / BERTH__MILLISECOND)
        return UINT64_MAX / 2;
    return now + milliseconds * BERTH__MILLISECOND;
}

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
        berth__deadline_start(&loop->timers, deadline, next);
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
    if (!berth__timers_reserve(&loop->timers)) {
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
    berth__timers_unreserve(&timer->object.loop->timers);
    berth__discard(&timer->object);
}

void berth_timer_start(berth_timer *timer, uint64_t delay, uint64_t repeat)
{
    berth_loop *loop = timer->object.loop;
    BERTH__OWN_THREAD(loop);
    if (timer->object.freed)
        return;
    timer->repeat = repeat;
    berth__deadline_start(&loop->timers, &timer->deadline,
                          berth__after(berth__loop_clock(loop), delay));
    berth__loop_touch(loop);
}

void berth_timer_stop(berth_timer *timer)
{
    BERTH__OWN_THREAD(timer->object.loop);
    timer->repeat = 0;
    berth__deadline_stop(&timer->object.loop->timers, &timer->deadline);
}

bool berth_timer_is_active(const berth_timer *timer)
{
    BERTH__OWN_THREAD(timer->object.loop);
    return timer->deadline.place != 0;
}
