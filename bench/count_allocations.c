/*
 * Counts the allocations of a program that it is preloaded into (LD_PRELOAD), and prints the count
 * when the program ends by _exit, as the benchmark servers do: "allocations N" on standard error.
 *
 * malloc, calloc and realloc are those of the C library, by the names that glibc has for them; the
 * count is atomic, since a server may have threads. Releases are not counted.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

static atomic_ulong allocations;

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    allocations++;
    return __libc_realloc(memory, size);
}

void _exit(int status)
{
    char text[64];
    int length = snprintf(text, sizeof(text), "allocations %lu\n", (unsigned long)allocations);
    if (length > 0)
        (void)!write(STDERR_FILENO, text, (size_t)length);
    for (;;)
        syscall(SYS_exit_group, status);
}
