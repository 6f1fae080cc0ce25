/*
 * Counting blocks in an allocator, from any thread, and descriptors by asking for each number below
 * the limit: opening /proc/self/fd would need a descriptor more, and there may be none.
 */
#include "account.h"
#include "processor.h"

#include <berth/memory.h>

#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>

static atomic_long blocks, bytes;
static long descriptors_before;

static void note(void *memory, int sign)
{
    atomic_fetch_add(&blocks, sign);
    atomic_fetch_add(&bytes, sign * (long)malloc_usable_size(memory));
}

static void *allocate(size_t size)
{
    void *memory = malloc(size);
    if (memory != NULL)
        note(memory, 1);
    return memory;
}

static void *reallocate(void *memory, size_t size)
{
    long before = memory != NULL ? (long)malloc_usable_size(memory) : 0;
    void *moved = realloc(memory, size);
    if (moved != NULL && memory == NULL)
        note(moved, 1);
    else if (moved != NULL)
        atomic_fetch_add(&bytes, (long)malloc_usable_size(moved) - before);
    return moved;
}

static void release(void *memory)
{
    if (memory != NULL)
        note(memory, -1);
    free(memory);
}

static long open_now(void)
{
    struct rlimit limit = {0};
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    long count = 0;
    for (int descriptor = 0; descriptor < (int)limit.rlim_cur; descriptor++)
        count += fcntl(descriptor, F_GETFD) >= 0;
    return count;
}

void account_begin(void)
{
    (void)processor_awaited(); /* keeps a descriptor */
    static const berth_allocator counting = {allocate, reallocate, release};
    berth_set_allocator(&counting);
    descriptors_before = open_now();
}

long account_blocks(void)
{
    return atomic_load(&blocks);
}

long account_bytes(void)
{
    return atomic_load(&bytes);
}

long account_descriptors(void)
{
    return open_now() - descriptors_before;
}
