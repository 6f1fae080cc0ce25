/*
 * The heap of deadlines.
 *
 * A binary heap in an array with places from 1: the children of place p are 2p and 2p + 1. Each
 * deadline knows its place, so that it can be stopped without a search. Due deadlines are run one
 * by one from the top, and each is stopped before it is called, so it may start or stop any of
 * them. Deadlines started meanwhile wait for the next phase, even those that are due at once: else
 * one that starts itself again would never let the loop go on. They are given a time just after the
 * phase's, so that in the heap they are behind all that the phase still has to run.
 */
#include "deadlines.h"

#include "base/memory.h"

#include <assert.h>

static bool earlier(const berth__deadline *a, const berth__deadline *b)
{
    return a->time != b->time ? a->time < b->time : a->sequence < b->sequence;
}

static void put(berth__deadlines *deadlines, size_t place, berth__deadline *deadline)
{
    deadlines->heap[place] = deadline;
    deadline->place = place;
}

static void rise(berth__deadlines *deadlines, berth__deadline *deadline, size_t place)
{
    while (place > 1 && earlier(deadline, deadlines->heap[place / 2])) {
        put(deadlines, place, deadlines->heap[place / 2]);
        place /= 2;
    }
    put(deadlines, place, deadline);
}

static void sink(berth__deadlines *deadlines, berth__deadline *deadline, size_t place)
{
    for (;;) {
        size_t child = place * 2;
        if (child > deadlines->count)
            break;
        if (child < deadlines->count && earlier(deadlines->heap[child + 1], deadlines->heap[child]))
            child++;
        if (!earlier(deadlines->heap[child], deadline))
            break;
        put(deadlines, place, deadlines->heap[child]);
        place = child;
    }
    put(deadlines, place, deadline);
}

bool berth__deadlines_reserve(berth__deadlines *deadlines)
{
    if (deadlines->reserved + 1 >= deadlines->capacity) {
        size_t capacity = deadlines->capacity == 0 ? 16 : deadlines->capacity * 2;
        berth__deadline **heap =
            berth__reallocate(deadlines->heap, capacity * sizeof(berth__deadline *));
        if (heap == NULL)
            return false;
        deadlines->heap = heap;
        deadlines->capacity = capacity;
    }
    deadlines->reserved++;
    return true;
}

void berth__deadlines_unreserve(berth__deadlines *deadlines)
{
    assert(deadlines->reserved > 0);
    deadlines->reserved--;
}

void berth__deadlines_clear(berth__deadlines *deadlines)
{
    assert(deadlines->reserved == 0);
    berth__release(deadlines->heap);
    deadlines->heap = NULL;
    deadlines->count = deadlines->reserved = deadlines->capacity = 0;
}

void berth__deadline_start(berth__deadlines *deadlines, berth__deadline *deadline, uint64_t time)
{
    berth__deadline_stop(deadlines, deadline);
    assert(deadlines->count < deadlines->reserved);
    deadline->time = time > deadlines->phase ? time : deadlines->phase + 1;
    deadline->sequence = ++deadlines->sequence;
    deadlines->count++;
    rise(deadlines, deadline, deadlines->count);
}

void berth__deadline_stop(berth__deadlines *deadlines, berth__deadline *deadline)
{
    size_t place = deadline->place;
    if (place == 0)
        return;
    deadline->place = 0;
    berth__deadline *last = deadlines->heap[deadlines->count];
    deadlines->count--;
    if (last == deadline)
        return;
    if (place > 1 && earlier(last, deadlines->heap[place / 2]))
        rise(deadlines, last, place);
    else
        sink(deadlines, last, place);
}

size_t berth__deadlines_run(berth__deadlines *deadlines, uint64_t now)
{
    uint64_t outer = deadlines->phase; /* of a turn around this one */
    size_t ran = 0;
    deadlines->phase = now;
    while (deadlines->count > 0 && !deadlines->halted && deadlines->heap[1]->time <= now) {
        berth__deadline *deadline = deadlines->heap[1];
        berth__deadline_stop(deadlines, deadline);
        ran++;
        deadline->expired(deadline);
    }
    deadlines->phase = outer;
    return ran;
}

bool berth__deadlines_next(const berth__deadlines *deadlines, uint64_t *ret_time)
{
    if (deadlines->count == 0)
        return false;
    *ret_time = deadlines->heap[1]->time;
    return true;
}

uint64_t berth__after(uint64_t now, uint64_t milliseconds)
{
    if (milliseconds > (UINT64_MAX / 2 - now) / BERTH__MILLISECOND)
        return UINT64_MAX / 2;
    return now + milliseconds * BERTH__MILLISECOND;
}
