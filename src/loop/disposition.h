/*
 * What signals do in this process: the signal handler, the loops that it wakes, and what was
 * installed before.
 *
 * Each loop that wants signals has an inbox. The signal handler runs on any thread, between any two
 * instructions, and may interrupt code that holds a lock, so it takes none. It walks the list of
 * inboxes, sets the number in each that wants it, and wakes the loop. Whoever takes an inbox out of
 * the list waits until no signal handler is walking it, which takes a moment. A signal handler that
 * interrupts this wait on the same thread has returned when the wait continues.
 *
 * The signal handler calls the one that was installed before (chained), and that one is installed
 * again when the last handler of its number is freed. If the program has installed its own over
 * ours meanwhile, that stays and may call ours at any time; ours then does what the one before
 * would have done. The next installation uses another entry point, since with the same one the two
 * would call each other for ever. Each number has LEVELS of them; when they are used up, the error
 * is EBUSY.
 *
 * A chained handler is called as the kernel would: ours is installed with its mask and with
 * SA_NODEFER, SA_ONSTACK and SA_RESTART as it has them. One with SA_RESETHAND is called for one
 * signal; from then on it counts as the default action, also when it would be installed again.
 *
 * In a child of fork the inboxes belong to another process, and the signal handler ignores them. It
 * calls the chained handler or does the default action.
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
