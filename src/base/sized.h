/*
 * Value structs that may grow: what a program was compiled with can be shorter or longer than what
 * the library knows. What one side does not know is zero for the other, or left out.
 */
#ifndef BERTH_SRC_SIZED_H
#define BERTH_SRC_SIZED_H

#include <stddef.h>
#include <string.h>

/* Copies as much as fits, and zeroes the rest. */
static inline void berth__sized_put(void *to, size_t to_size, const void *from, size_t from_size)
{
    size_t common = to_size < from_size ? to_size : from_size;
    memcpy(to, from, common);
    memset((unsigned char *)to + common, 0, to_size - common);
}

/* The same from a program's pointer, which may be NULL: all zero. */
static inline void berth__sized_get(void *to, size_t to_size, const void *from, size_t from_size)
{
    const unsigned char nothing = 0;
    berth__sized_put(to, to_size, from != NULL ? from : &nothing, from != NULL ? from_size : 0);
}

#endif
