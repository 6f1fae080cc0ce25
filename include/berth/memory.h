/*
 * The allocator of the library.
 *
 * By default the library uses malloc, realloc and free of the C library. A program that counts,
 * pools or limits memory sets its own functions once, before it calls anything else.
 */
#ifndef BERTH_MEMORY_H
#define BERTH_MEMORY_H

#include <stddef.h>

#include <berth/export.h>

BERTH_BEGIN_DECLARATIONS

/** Memory functions. Each behaves like malloc, realloc or free, and may be called on any thread.
 * The layout is fixed. */
typedef struct berth_allocator {
    /** As malloc: NULL when out of memory. */
    void *(*allocate)(size_t size);
    /** As realloc: NULL when out of memory, `memory` is unchanged then. */
    void *(*reallocate)(void *memory, size_t size);
    /** As free: NULL is ignored. */
    void (*release)(void *memory);
} berth_allocator;

/**
 * Sets the memory functions of the library. Must be called before any object of the library is
 * made, and while no other thread calls the library.
 *
 * @param allocator  copied; NULL, or one with a NULL function, restores those of the C library
 */
BERTH_API void berth_set_allocator(const berth_allocator *allocator);

BERTH_END_DECLARATIONS

#endif
