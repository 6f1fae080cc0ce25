/*
 * Rates: how many bytes a second sockets may receive or send.
 *
 * A rate is a bucket of tokens, one for each byte. Tokens come at `bytes_per_second`, and at most
 * `burst` of them are kept; a new rate has them all. Bytes are received and sent as long as there
 * are tokens: in any t seconds `bytes_per_second` * t + `burst` bytes at most. A socket gets a rate
 * by berth_socket_set_read_rate or berth_socket_set_write_rate. Sockets, and directions, that have
 * the same rate share it: those that wait for tokens get them in turn, the same number each.
 *
 * All functions must be called on the thread of the rate's loop.
 */
#ifndef BERTH_RATE_H
#define BERTH_RATE_H

#include <stdint.h>

#include <berth/export.h>
#include <berth/loop.h>

BERTH_BEGIN_DECLARATIONS

/** A rate. Opaque; belongs to one loop and its thread. */
typedef struct berth_rate berth_rate;

/**
 * Makes a rate.
 *
 * @param loop              the loop that it belongs to; NULL for the calling thread's own
 * @param bytes_per_second  0 for no limit; 16 GiB or more count as 16 GiB - 2
 * @param burst             bytes; 0 for a tenth of `bytes_per_second`. Less than a hundredth of
 *                          `bytes_per_second` counts as that, so that the rate is reached although
 *                          timers are late; more than UINT32_MAX (4 GiB - 1) count as that
 * @return the rate. Free it with berth_rate_free; freeing the loop frees it too. NULL with errno
 *         set when out of memory or when the thread's own loop cannot be made.
 */
BERTH_API berth_rate *berth_rate_new(berth_loop *loop, uint64_t bytes_per_second, uint64_t burst);

/** Frees a rate. Sockets that have it, and may be waiting for it, go on without one. Allowed inside
 * any handler. NULL is ignored. */
BERTH_API void berth_rate_free(berth_rate *rate);

/**
 * Changes a rate, also for those that are waiting for it. Tokens that there are remain, at most
 * `burst` of them; where there was no limit it begins with `burst`.
 *
 * @param bytes_per_second  as in berth_rate_new
 * @param burst             as in berth_rate_new
 */
BERTH_API void berth_rate_set(berth_rate *rate, uint64_t bytes_per_second, uint64_t burst);

BERTH_END_DECLARATIONS

#endif
