/*
 * Counting descriptors and heap blocks.
 *
 * The allocator counts blocks in use, atomically, because tasks are posted from other threads.
 * Descriptors are those of /proc/self/fd, without the one that reads it.
 */
#include "balance.h"

#include <berth/memory.h>

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SCANNED = 1024
};

static atomic_long blocks;
static atomic_ulong requests;
static unsigned descriptors_before;
static char links_before[4096];
static bool inheritable_before[SCANNED];

static void *count_allocate(size_t size)
{
    atomic_fetch_add(&requests, 1);
    void *memory = malloc(size);
    if (memory != NULL)
        atomic_fetch_add(&blocks, 1);
    return memory;
}

static void *count_reallocate(void *memory, size_t size)
{
    atomic_fetch_add(&requests, 1);
    bool fresh = memory == NULL;
    void *moved = realloc(memory, size);
    if (fresh && moved != NULL)
        atomic_fetch_add(&blocks, 1);
    return moved;
}

static void count_release(void *memory)
{
    if (memory != NULL)
        atomic_fetch_sub(&blocks, 1);
    free(memory);
}

long balance_blocks(void)
{
    return atomic_load(&blocks);
}

unsigned long balance_requests(void)
{
    return atomic_load(&requests);
}

/* Also writes what each descriptor is, since a number alone says nothing about who has leaked it.
 */
static unsigned describe(char *text, size_t size)
{
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL) { /* not an expectation: this is called outside of tests too */
        perror("/proc/self/fd");
        _exit(EXIT_FAILURE);
    }
    unsigned count = 0;
    size_t used = 0;
    text[0] = '\0';
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(directory))
            continue;
        count++;
        char target[128];
        ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
        target[length < 0 ? 0 : length] = '\0';
        if (used < size)
            used += (size_t)snprintf(text + used, size - used, " %s:%s", entry->d_name, target);
    }
    closedir(directory);
    return count;
}

unsigned balance_descriptors(void)
{
    char text[4096];
    return describe(text, sizeof text);
}

static bool is_inheritable(int descriptor)
{
    int flags = fcntl(descriptor, F_GETFD);
    return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

/* One by one: a case may have left no descriptor for the directory of those that are open. */
void balance_assert_private(void)
{
    for (int i = 0; i < SCANNED; i++) {
        if (inheritable_before[i] || !is_inheritable(i))
            continue;
        char name[32];
        char target[128] = "";
        snprintf(name, sizeof name, "/proc/self/fd/%d", i);
        if (readlink(name, target, sizeof target - 1) < 0)
            target[0] = '\0';
        ck_abort_msg("a program that is executed would have descriptor %d: %s", i, target);
    }
}

void balance_begin(void)
{
    static const berth_allocator counting = {
        .allocate = count_allocate,
        .reallocate = count_reallocate,
        .release = count_release,
    };
    berth_set_allocator(&counting);
    descriptors_before = describe(links_before, sizeof links_before);
    for (int i = 0; i < SCANNED; i++)
        inheritable_before[i] = is_inheritable(i);
}

bool balance_is_kept(char *ret_text, size_t size)
{
    char links[4096];
    unsigned descriptors = describe(links, sizeof links);
    if (descriptors != descriptors_before)
        snprintf(ret_text, size, "descriptors left open: before%s, after%s", links_before, links);
    else
        snprintf(ret_text, size, "%ld blocks of memory left", balance_blocks());
    return descriptors == descriptors_before && balance_blocks() == 0;
}

void balance_end(void)
{
    char text[9000];
    bool kept = balance_is_kept(text, sizeof text);
    ck_assert_msg(kept, "%s", text);
}
