/*
 * A free list for the memory of objects of one size, so that a steady coming and going of
 * connections allocates nothing.
 */
#ifndef BERTH_FREE_LIST_H
#define BERTH_FREE_LIST_H

#include <stddef.h>

typedef struct berth__free_list {
    void *first; /* each free block begins with a pointer to the next */
    unsigned count;
} berth__free_list;

/* A zeroed block, or NULL when out of memory. `size` must be the same at every call, and at least
 * that of a pointer. */
void *berth__free_list_take(berth__free_list *free_list, size_t size);

/* Keeps the block for the next, up to a bound, past which it is released. */
void berth__free_list_give(berth__free_list *free_list, void *block);

void berth__free_list_clear(berth__free_list *free_list);

#endif
