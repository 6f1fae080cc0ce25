/*
 * Free lists of equal blocks. The bound keeps a burst of connections from holding its peak of
 * memory for ever.
 */
#include "free_list.h"

#include "memory.h"

#include <string.h>

#define KEPT_BLOCKS 256u

void *berth__free_list_take(berth__free_list *free_list, size_t size)
{
    void *block = free_list->first;
    if (block == NULL)
        return berth__allocate_zero(size);
    memcpy(&free_list->first, block, sizeof(void *));
    free_list->count--;
    memset(block, 0, size);
    return block;
}

void berth__free_list_give(berth__free_list *free_list, void *block)
{
    if (free_list->count >= KEPT_BLOCKS) {
        berth__release(block);
        return;
    }
    memcpy(block, &free_list->first, sizeof(void *));
    free_list->first = block;
    free_list->count++;
}

void berth__free_list_clear(berth__free_list *free_list)
{
    while (free_list->first != NULL) {
        void *block = free_list->first;
        memcpy(&free_list->first, block, sizeof(void *));
        berth__release(block);
    }
    free_list->count = 0;
}
