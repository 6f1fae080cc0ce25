/*
 * Timers of a loop.
 *
 * A timer calls a function once or repeatedly, on the thread of its loop, in the timer phase of a
 * turn. Times are milliseconds of the loop's monotonic clock. A timer never expires early. Blocking
 * waits do not run timers. All functions must be called on the loop's thread.
 */
#ifndef BERTH_TIMER_H
#define BERTH_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include <berth/export.h>
#include <berth/loop.h>

BERTH_BEGIN_DECLARATIONS

/** A timer. Opaque; belongs to one loop and its thread. */
typedef struct berth_timer berth_timer;

/** Called when a timer expires. The timer may be started, stopped and freed inside. */
typedef void (*berth_timer_handler)(berth_timer *timer, void *user);

/**
 * Makes a timer that is not running.
 *
 * @param loop     the loop that it belongs to; NULL for the calling thread's own
 * @param handler  called at each expiry; NULL for none
 * @param user     passed to the handler
 * @return the timer. Free it with berth_timer_free; freeing the loop frees it too. NULL with errno
 *         set when out of memory or when the thread's own loop cannot be made.
 */
BERTH_API berth_timer *berth_timer_new(berth_loop *loop, berth_timer_handler handler, void *user);

/** Stops and frees a timer. Allowed inside any handler. NULL is ignored. */
BERTH_API void berth_timer_free(berth_timer *timer);

/**
 * Starts a timer; a running timer is restarted. Never fails.
 *
 * @param delay   milliseconds until the first expiry; 0 expires in the next timer phase, not in the
 *                present one
 * @param repeat  milliseconds between later expiries; 0 for a single expiry. Expiries that were
 *                missed because the loop was busy are skipped.
 */
BERTH_API void berth_timer_start(berth_timer *timer, uint64_t delay, uint64_t repeat);

/** Stops a timer: the handler is not called again until it is started. No effect when not running.
 */
BERTH_API void berth_timer_stop(berth_timer *timer);

/** Returns whether the timer is running and will expire. */
BERTH_API bool berth_timer_is_active(const berth_timer *timer);

BERTH_END_DECLARATIONS

#endif
