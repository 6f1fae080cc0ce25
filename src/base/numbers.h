/*
 * Which descriptors the objects of a loop have: a bit for each number.
 *
 * A number that is given to a second object would be closed twice, the second time whosever it is
 * then. So whatever adopts a number asks here first. It is a help against mistakes and no more:
 * without memory, and past a bound, numbers are not noted, and other loops have notes of their own.
 */
#ifndef BERTH_SRC_NUMBERS_H
#define BERTH_SRC_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct berth__numbers {
    uint64_t *words;
    size_t count;       /* of the words */
    uint64_t first[16]; /* that need no memory */
} berth__numbers;

void berth__numbers_init(berth__numbers *numbers);
void berth__numbers_grow(berth__numbers *numbers, size_t word);
void berth__numbers_clear(berth__numbers *numbers);

static inline bool berth__numbers_have(const berth__numbers *numbers, int number)
{
    size_t word = (size_t)number / 64;
    return number >= 0 && word < numbers->count && (numbers->words[word] >> number % 64 & 1) != 0;
}

static inline void berth__numbers_add(berth__numbers *numbers, int number)
{
    size_t word = (size_t)number / 64;
    if (word >= numbers->count)
        berth__numbers_grow(numbers, word);
    if (word < numbers->count)
        numbers->words[word] |= (uint64_t)1 << number % 64;
}

static inline void berth__numbers_remove(berth__numbers *numbers, int number)
{
    size_t word = (size_t)number / 64;
    if (number >= 0 && word < numbers->count)
        numbers->words[word] &= ~((uint64_t)1 << number % 64);
}

#endif
