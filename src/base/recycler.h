/*
 * A free list for the memory of objects of one size, so that a steady coming and going of
 * connections allocates nothing.
 */
#ifndef BERTH_RECYCLER_H
#define BERTH_RECYCLER_H

#include <stddef.h>

typedef struct berth__recycler {
    void *first; /* each free block begins with a pointer to the next */
    unsigned count;
} berth__recycler;

/* A zeroed block, or NULL when out of memory. `size` must be the same at every call, and at least
 * that of a pointer. */
void *berth__recycler_take(berth__recycler *recycler, size_t size);

/* Keeps the block for the next, up to a bound, past which it is released. */
void berth__recycler_give(berth__recycler *recycler, void *block);

void berth__recycler_clear(berth__recycler *recycler);

#endif
