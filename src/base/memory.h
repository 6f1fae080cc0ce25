/*
 * The allocator that every part of the library uses; berth_set_allocator is its public side. In
 * test builds (BERTH_FAULTS) the n-th allocation can be made to fail.
 */
#ifndef BERTH_SRC_MEMORY_H
#define BERTH_SRC_MEMORY_H

#include <stddef.h>

#include <berth/memory.h>

/* Marks a function that a message or a connection does not usually need, so that it is not inlined
 * into one that each of them does. */
#define BERTH__RARE __attribute__((noinline))

void *berth__allocate(size_t size);      /* NULL when out of memory */
void *berth__allocate_zero(size_t size); /* the same, zeroed */
void *berth__reallocate(void *memory, size_t size);
void berth__release(void *memory);
void berth__trim(void); /* has the allocator give back what it holds of the system's memory */
char *berth__copy_text(const char *text); /* NULL when out of memory; a copy of "" for NULL */

#endif
