/*
 * The allocator of the whole library, and its public side.
 *
 * The normal course: the program sets its functions, if it wants its own, before its first other
 * call; from then on they do not change, so that reading them needs no lock. A request for zero
 * bytes is made a request for one, because malloc may answer NULL to it, and NULL here means one
 * thing only: out of memory.
 *
 * An incomplete set of functions would free memory with the wrong one; it is taken as "none given".
 *
 * In test builds (BERTH_FAULTS) every allocation first asks whether it is the one that has to fail.
 * May be called on any thread; berth_set_allocator only before there are any others.
 */
#include "memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#ifdef BERTH_FAULTS
bool berth__fault_memory(void); /* in fault.c: whether this allocation must fail */
#define MUST_FAIL() berth__fault_memory()
#else
#define MUST_FAIL() 0
#endif

static const berth_allocator c_library = {
    .allocate = malloc,
    .reallocate = realloc,
    .release = free,
};

static berth_allocator allocator = {
    .allocate = malloc,
    .reallocate = realloc,
    .release = free,
};

void berth_set_allocator(const berth_allocator *functions)
{
    bool complete = functions && functions->allocate && functions->reallocate && functions->release;
    allocator = complete ? *functions : c_library;
}

void *berth__allocate(size_t size)
{
    if (MUST_FAIL())
        return NULL;
    return allocator.allocate(size ? size : 1);
}

void *berth__allocate_zero(size_t size)
{
    void *memory = berth__allocate(size);
    if (memory)
        memset(memory, 0, size);
    return memory;
}

void *berth__reallocate(void *memory, size_t size)
{
    if (MUST_FAIL())
        return NULL;
    return allocator.reallocate(memory, size ? size : 1);
}

void berth__release(void *memory)
{
    if (memory)
        allocator.release(memory);
}

void berth__trim(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

char *berth__copy_text(const char *text)
{
    const char *source = text ? text : "";
    size_t size = strlen(source) + 1;
    char *copy = berth__allocate(size);
    if (copy)
        memcpy(copy, source, size);
    return copy;
}
