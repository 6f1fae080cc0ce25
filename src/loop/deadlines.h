/*
 * The deadlines of a loop: a heap ordered by time, then by the order of starting.
 *
 * A deadline is a record embedded in what waits for it (a timer, a connection's limits, a server's
 * retry). Room in the heap is reserved when that is made, so that starting a deadline never fails.
 * Starting, stopping and expiring cost O(log n); nothing else depends on how many there are.
 */
#ifndef BERTH_DEADLINES_H
#define BERTH_DEADLINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct berth__deadline berth__deadline;

struct berth__deadline {
    void (*expired)(berth__deadline *deadline); /* it is stopped then, and may be started again */
    uint64_t time;                              /* nanoseconds of the backend's clock */
    uint64_t sequence;                          /* of the start: earlier first at the same time */
    size_t place; /* in the heap from 1 on; 0 when it is not running */
};

typedef struct berth__deadlines {
    berth__deadline **heap; /* from place 1 on */
    size_t count;
    size_t reserved; /* deadlines that may be running at once */
    size_t capacity;
    uint64_t sequence;
    uint64_t phase; /* the time whose deadlines are being run; 0 between phases */
    bool halted;    /* nothing expires: the loop is the parent's, see process.h */
} berth__deadlines;

/* Makes room for one more deadline; false when out of memory. Undone by unreserve. */
bool berth__deadlines_reserve(berth__deadlines *deadlines);
void berth__deadlines_unreserve(berth__deadlines *deadlines);
void berth__deadlines_clear(berth__deadlines *deadlines);

/* Starts or restarts. `time` is absolute; inside a phase it is moved behind the phase. */
void berth__deadline_start(berth__deadlines *deadlines, berth__deadline *deadline, uint64_t time);
void berth__deadline_stop(berth__deadlines *deadlines, berth__deadline *deadline);

/* Runs all that is due at `now`, but for what is started meanwhile. Returns how many ran. */
size_t berth__deadlines_run(berth__deadlines *deadlines, uint64_t now);

/* The earliest deadline: false if none is running. */
bool berth__deadlines_next(const berth__deadlines *deadlines, uint64_t *ret_time);

/* now + milliseconds, without running over. */
uint64_t berth__after(uint64_t now, uint64_t milliseconds);

#define BERTH__MILLISECOND ((uint64_t)1000000)

#endif
