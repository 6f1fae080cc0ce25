/*
 * numbers.h: growing, and the end. Memory that cannot be had is no failure: what is beyond is not
 * noted.
 */
#include "numbers.h"

#include <string.h>

#include "memory.h"

#define MOST_WORDS ((size_t)1 << 18) /* 16 million descriptors in 2 MiB */

void berth__numbers_init(berth__numbers *numbers)
{
    memset(numbers->first, 0, sizeof numbers->first);
    numbers->words = numbers->first;
    numbers->count = sizeof numbers->first / sizeof numbers->first[0];
}

void berth__numbers_grow(berth__numbers *numbers, size_t word)
{
    size_t count = numbers->count;
    while (count <= word && count < MOST_WORDS)
        count *= 2;
    if (word >= count)
        return;
    bool own = numbers->words != numbers->first;
    uint64_t *larger = berth__reallocate(own ? numbers->words : NULL, count * sizeof *larger);
    if (larger == NULL)
        return;
    if (!own)
        memcpy(larger, numbers->first, sizeof numbers->first);
    memset(larger + numbers->count, 0, (count - numbers->count) * sizeof *larger);
    numbers->words = larger;
    numbers->count = count;
}

void berth__numbers_clear(berth__numbers *numbers)
{
    if (numbers->words != numbers->first)
        berth__release(numbers->words);
    berth__numbers_init(numbers);
}
