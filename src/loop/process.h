/*
 * A loop belongs to the process that made it. Fork copies it, and what it shares with the kernel
 * (an epoll set, a ring, open connections) is then shared by two processes, each of which would
 * take the other's events.
 *
 *     fork -> the child's copy is INHERITED: it only closes descriptors, and every other call fails
 *             with ECHILD -> berth_loop_after_fork makes it the child's own
 *
 * The handlers of pthread_atfork mark each loop of the child, so that asking costs one look at a
 * member of the loop, and no system call. A child that does not run them (vfork, _Fork, clone) must
 * not use the library before it calls exec.
 */
#ifndef BERTH_SRC_PROCESS_H
#define BERTH_SRC_PROCESS_H

#include <berth/loop.h>

#include <pthread.h>
#include <stdbool.h>

/* Puts a new loop among those that fork marks; false when out of memory. */
bool berth__process_join(berth_loop *loop);

/* Takes it out, before it is freed. */
void berth__process_leave(berth_loop *loop);

/* Has fork call the handlers; false when out of memory. */
bool berth__process_watch(void);

/* Has fork wait for a lock of an upper layer, one at most, so that what it guards is whole in a
 * child, and no thread holds it that the child does not have. Without memory for that it is as it
 * was. Any thread. */
void berth__process_guard(pthread_mutex_t *mutex);

/* How many forks have led from the process that first asked for it to this one: what remembers the
 * number knows whether it was made here. */
unsigned berth__process_forks(void);

#endif
