/*
 * Faults on purpose: the n-th system call or the n-th allocation fails. Only in test builds
 * (BERTH_FAULTS).
 *
 * system.h asks berth__fault_system before each system call of the library, memory.c asks
 * berth__fault_memory before each allocation. A test arms a countdown, runs its scenario, and asks
 * how often it was asked; a test that wants "every n" starts at 0 and goes on until the countdown
 * was not reached. The environment can arm both too, so that a whole suite runs in that mode:
 * BERTH_FAULT_MEMORY=N, and BERTH_FAULT_SYSTEM=N:ERRNO[:CALL], both failing the N-th (from 0) once.
 *
 * Everything here may be called from any thread.
 */
#ifndef BERTH_SRC_FAULT_H
#define BERTH_SRC_FAULT_H

#include <stdbool.h>

/* Whether this system call has to fail; sets errno if so. */
bool berth__fault_system(const char *call);

/* The same of an operation that is no call of its own: it is counted only if it is the one named.
 */
bool berth__fault_operation(const char *operation);

/* Whether this allocation has to fail; sets errno to ENOMEM if so. */
bool berth__fault_memory(void);

/*
 * Lets `after` calls pass and fails the next `times` with `error`. `only` names the one call that
 * counts (a string that lives on), or is NULL for all of them. A negative `after` disarms.
 */
void berth__fault_set_system(long after, long times, int error, const char *only);

/* The same for allocations. */
void berth__fault_set_memory(long after, long times);

/* Disarms both and zeroes the counters. */
void berth__fault_clear(void);

/* How many calls (that counted) and allocations were seen since they were armed, and how many
 * failed. */
long berth__fault_system_seen(void);
long berth__fault_system_failed(void);
long berth__fault_memory_seen(void);
long berth__fault_memory_failed(void);

#endif
