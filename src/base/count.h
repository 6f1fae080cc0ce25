/*
 * Numbers that one thread changes and others may read: the counts of servers, which the pool whose
 * worker a server belongs to adds up on any thread.
 *
 * Only one thread changes a number, so it can read it plainly and needs no locked instruction.
 * Other threads read each number whole. Two numbers that they read need not be from the same
 * moment.
 */
#ifndef BERTH_SRC_COUNT_H
#define BERTH_SRC_COUNT_H

/* Add one, subtract one, add `many`; on the number's own thread. */
#define BERTH__COUNT(number) BERTH__COUNT_MANY(number, 1u)
#define BERTH__UNCOUNT(number) __atomic_store_n(&(number), (number)-1u, __ATOMIC_RELAXED)
#define BERTH__COUNT_MANY(number, many) \
    __atomic_store_n(&(number), (number) + (many), __ATOMIC_RELAXED)

/* Reads it, on any thread. */
#define BERTH__COUNTED(number) __atomic_load_n(&(number), __ATOMIC_RELAXED)

#endif
