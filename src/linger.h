/*
 * The end of a connection whose peer may still be sending.
 *
 * Closing a TCP socket that holds unread input, or that receives more of it, makes the kernel send
 * a reset; at the peer that can destroy output which was sent before but not read yet. So such a
 * stream ends its sending direction, reads and throws away what still comes, and closes when the
 * peer has ended too, or when a bound of time or bytes is reached. Freeing the loop waits for that.
 */
#ifndef BERTH_LINGER_H
#define BERTH_LINGER_H

#include "backend.h"
#include "tally.h"

struct berth_loop;

#define BERTH__LINGER_MILLISECONDS ((uint64_t)2000)
#define BERTH__LINGER_BYTES ((size_t)1 << 20)

/* Sees a stream to its end, whose socket has let go of it with nothing in flight. It keeps its
 * place until then. Out of memory it is closed at once. */
void berth__linger(struct berth_loop *loop, berth__stream *stream, berth__place place);

/* Closes up to so many streams that linger, those first that have lingered longest, because there
 * is a lack of descriptors. Returns how many it were. */
size_t berth__linger_cut(struct berth_loop *loop, size_t most);

/* In a blocking wait, where no timer runs: closes those whose time is over. Returns when the next
 * one is due, or UINT64_MAX. */
uint64_t berth__linger_step(struct berth_loop *loop);

/* Closes all streams that linger, at once: for a loop whose backend is broken. */
void berth__linger_end(struct berth_loop *loop);

/* The loop was inherited by fork, and is the process's own now. */
void berth__linger_renew(berth_loop *loop);

#endif
