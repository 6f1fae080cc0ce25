/*
 * What signals do in this process: the signal handler, which loops it rings, and what was installed
 * before.
 *
 * Each loop that wants signals has an inbox. The signal handler runs on any thread, between any two
 * instructions, and may interrupt whoever holds a lock: so it takes none. It walks the list of
 * inboxes, notes the number in each that wants it, and rings the bell of the loop. Whoever takes an
 * inbox out of the list waits until no signal handler walks, which is a moment; it cannot be kept
 * waiting by one that it has interrupted itself, since that has come to its end when it goes on.
 *
 * What was installed before is called by the signal handler (chained), and comes back with the end
 * of the last handler of its number. If the program has installed its own over ours in the meantime
 * that stays, and may call ours at any time: so ours then does what the one before would have done.
 * A further installation uses another entry, lest the two call each other in a circle: each number
 * has LEVELS of them, and is EBUSY when they are used up.
 *
 * In a child of fork the inboxes are those of another process, and the signal handler passes them
 * by, which leaves what was there before: a chained handler or the default action.
 */
#ifndef BERTH_SRC_DISPOSITION_H
#define BERTH_SRC_DISPOSITION_H

#include "backend/backend.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    BERTH__SIGNALS = NSIG /* numbers from 1 to one less */
};

typedef struct berth__inbox {
    _Atomic(struct berth__inbox *) next;
    berth__backend *backend; /* of the loop, whose bell is rung */
    atomic_int process;      /* whose it is */
    atomic_bool any;         /* there may be one that has come */
    atomic_bool wanted[BERTH__SIGNALS];
    atomic_bool come[BERTH__SIGNALS];
    uint32_t handlers[BERTH__SIGNALS]; /* that want it */
} berth__inbox;

/* Puts an inbox, zeroed, into the list, and takes it out: it may be freed then. */
void berth__inbox_join(berth__inbox *inbox, berth__backend *backend);
void berth__inbox_leave(berth__inbox *inbox);

/* For each handler: installs ours with the first of the process. Returns an errno. */
int berth__inbox_want(berth__inbox *inbox, int number);
void berth__inbox_want_not(berth__inbox *inbox, int number);

/* In a child whose own the loop has become: it is empty, and gets the child's signals. */
void berth__inbox_renew(berth__inbox *inbox);

/* Around fork, on the thread that forks. `take` waits for a lock, but not without end, since fork
 * may have interrupted whoever holds it; it returns whether it has it. */
void berth__dispositions_before_fork(bool (*take)(pthread_mutex_t *mutex));
void berth__dispositions_in_parent(void);
void berth__dispositions_in_child(void);

#endif
