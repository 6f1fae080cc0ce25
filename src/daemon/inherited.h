/*
 * The list of descriptors that other processes have passed to this one.
 *
 * The list is made of batches, one for the environment and one for each hand-over. A batch is built
 * by one thread, then added, and from then on only the descriptors in it change: whoever takes one
 * exchanges it for -1, atomically, and whoever cannot use it puts it back. So there is no lock that
 * a fork could copy locked, and names are valid for ever.
 */
#ifndef BERTH_SRC_INHERITED_H
#define BERTH_SRC_INHERITED_H

#include <berth/inherited.h>

#include <stdatomic.h>

typedef struct berth__passed {
    atomic_int descriptor; /* -1: taken, or not open */
    int number;            /* what it was; -1: not open */
    char name[BERTH_MOST_INHERITED_NAME + 1];
} berth__passed;

typedef struct berth__batch {
    _Atomic(struct berth__batch *) next;
    size_t count;
    berth__passed passed[];
} berth__batch;

/* Room for that many; NULL when out of memory. All of them are not open, and have no name. */
berth__batch *berth__batch_new(size_t count);

/* Sets one of them. The name has BERTH_MOST_INHERITED_NAME bytes at most. */
void berth__batch_set(berth__batch *batch, size_t index, int descriptor, const char *name,
                      size_t size);

/* Has others see the batch from now on, which lives as long as the process. */
void berth__batch_add(berth__batch *batch);

/* Closes what can still be taken. */
void berth__batch_close(berth__batch *batch);

/* Closes and frees one that was not added. NULL is ignored. */
void berth__batch_drop(berth__batch *batch);

/* Takes the next of a name, NULL or "" for any; NULL if there is none. */
berth__passed *berth__inherited_take(const char *name, int *ret_descriptor);
void berth__inherited_put_back(berth__passed *passed, int descriptor);

/* The reason why there is none, in words. */
const char *berth__inherited_reason(const char *name);

/* For tests: closes what can be taken and forgets it all; the environment is read again. */
void berth__inherited_forget(void);

#endif
