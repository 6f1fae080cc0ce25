/*
 * Where the library takes its memory from.
 *
 * By default malloc, realloc and free of the C library. A program that counts, pools or limits
 * memory sets its own functions once, before its first other call of the library.
 */
#ifndef BERTH_MEMORY_H
#define BERTH_MEMORY_H

#include <stddef.h>

#include <berth/export.h>

BERTH_BEGIN_DECLARATIONS

/** Three functions with the contracts of malloc, realloc and free; all may be called on any thread.
 */
typedef struct berth_allocator {
    void *(*allocate)(size_t size); /**< NULL when out of memory */
    void *(*reallocate)(void *memory,
                        size_t size); /**< as realloc; NULL leaves `memory` as it was */
    void (*release)(void *memory);    /**< NULL is ignored */
} berth_allocator;

/**
 * Makes the library use other memory functions.
 *
 * To be called before any object of the library exists, and while no other thread calls the
 * library.
 *
 * @param allocator  copied; NULL, or one in which a function is missing, sets the C library's again
 */
BERTH_API void berth_set_allocator(const berth_allocator *allocator);

BERTH_END_DECLARATIONS

#endif
