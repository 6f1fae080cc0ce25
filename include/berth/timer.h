/*
 * Timers of a loop.
 *
 * A timer is called back on its loop's thread, once or repeatedly, in the timer phase of a turn.
 * Times are milliseconds of the loop's monotonic clock; a timer is never early. Blocking waits do
 * not run timers.
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

/** Called when a timer is due. The timer may be started, stopped and freed inside. */
typedef void (*berth_timer_handler)(berth_timer *timer, void *user);

/**
 * Makes a timer that is not running.
 *
 * @param loop     the loop it belongs to; NULL for this thread's own
 * @param handler  called at each expiry; NULL for none
 * @param user     passed to the handler
 * @return the timer, to be freed with berth_timer_free (freeing the loop frees it too); NULL when
 *         out of memory or when this thread's own loop cannot be made, with errno set
 */
BERTH_API berth_timer *berth_timer_new(berth_loop *loop, berth_timer_handler handler, void *user);

/** Stops and frees a timer. Legal inside any handler; NULL is ignored. */
BERTH_API void berth_timer_free(berth_timer *timer);

/**
 * Starts a timer; one that is running is started anew. Never fails.
 *
 * @param delay   milliseconds until the first expiry; 0 is the next timer phase, not this one
 * @param repeat  milliseconds between expiries after the first, 0 for one expiry only. Expiries
 *                that were missed because the loop was busy are not made up for.
 */
BERTH_API void berth_timer_start(berth_timer *timer, uint64_t delay, uint64_t repeat);

/** Stops a timer: the handler is not called again until it is started. Allowed when not running. */
BERTH_API void berth_timer_stop(berth_timer *timer);

/** Whether the timer is running, that is, will expire. */
BERTH_API bool berth_timer_is_active(const berth_timer *timer);

BERTH_END_DECLARATIONS

#endif
