/*
 * Free lists of equal blocks. The bound keeps a burst of connections from holding its peak of
 * memory for ever.
 */
#include "recycler.h"

#include "memory.h"

#include <string.h>

#define KEPT_BLOCKS 256u

void *berth__recycler_take(berth__recycler *recycler, size_t size)
{
    void *block = recycler->first;
    if (block == NULL)
        return berth__allocate_zero(size);
    memcpy(&recycler->first, block, sizeof(void *));
    recycler->count--;
    memset(block, 0, size);
    return block;
}

void berth__recycler_give(berth__recycler *recycler, void *block)
{
    if (recycler->count >= KEPT_BLOCKS) {
        berth__release(block);
        return;
    }
    memcpy(block, &recycler->first, sizeof(void *));
    recycler->first = block;
    recycler->count++;
}

void berth__recycler_clear(berth__recycler *recycler)
{
    while (recycler->first != NULL) {
        void *block = recycler->first;
        memcpy(&recycler->first, block, sizeof(void *));
        berth__release(block);
    }
    recycler->count = 0;
}
