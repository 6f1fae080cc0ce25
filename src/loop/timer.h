/*
 * The timers of a loop: a heap ordered by deadline, then by the order of starting.
 *
 * A timer is a record embedded in its object (a berth_timer, a server's retry). Room in the heap is
 * reserved when the object is made, so that starting a timer never fails. Starting, stopping and
 * expiring cost O(log n); nothing else depends on how many timers there are.
 */
#ifndef BERTH_SRC_TIMER_H
#define BERTH_SRC_TIMER_H

#include <berth/timer.h>

#include "object.h"

#include <stddef.h>
#include <stdint.h>

typedef struct berth__deadline berth__deadline;

struct berth__deadline {
    void (*expired)(berth__deadline *deadline); /* it is stopped then, and may be started again */
    uint64_t time;                              /* nanoseconds of the backend's clock */
    uint64_t sequence;                          /* of the start: earlier first at the same time */
    size_t place; /* in the heap from 1 on; 0 when it is not running */
};

typedef struct berth__timers {
    berth__deadline **heap; /* from place 1 on */
    size_t count;
    size_t reserved; /* deadlines that may be running at once */
    size_t capacity;
    uint64_t sequence;
    uint64_t phase; /* the time whose deadlines are being run; 0 between phases */
    bool halted;    /* nothing expires: the loop is the parent's, see process.h */
} berth__timers;

/* Makes room for one more deadline; false when out of memory. Undone by unreserve. */
bool berth__timers_reserve(berth__timers *timers);
void berth__timers_unreserve(berth__timers *timers);
void berth__timers_clear(berth__timers *timers);

/* Starts or restarts. `time` is absolute; inside a phase it is moved behind the phase. */
void berth__deadline_start(berth__timers *timers, berth__deadline *deadline, uint64_t time);
void berth__deadline_stop(berth__timers *timers, berth__deadline *deadline);

/* Runs all that is due at `now`, but for what is started meanwhile. Returns how many ran. */
size_t berth__timers_run(berth__timers *timers, uint64_t now);

/* The earliest deadline: false if none is running. */
bool berth__timers_next(const berth__timers *timers, uint64_t *ret_time);

/* now + milliseconds, without running over. */
uint64_t berth__after(uint64_t now, uint64_t milliseconds);

#define BERTH__MILLISECOND ((uint64_t)1000000)

#endif
