/*
 * Counts the allocations of a program that it is preloaded into (LD_PRELOAD), and prints the count
 * when the program ends by _exit, as the benchmark servers do, with the bytes that it held then:
 * "allocations N, bytes N" on standard error. The bytes are those of the C library's blocks, with
 * the 8 in front of each.
 *
 * malloc, calloc, realloc and free are those of the C library, by the names that glibc has for
 * them; the counts are atomic, since a server may have threads.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);
size_t malloc_usable_size(void *memory); /* malloc.h has other names for our parameters */

static atomic_ulong allocations;
static atomic_ulong bytes;

static size_t size_of(void *memory)
{
    return memory != NULL ? malloc_usable_size(memory) + 8 : 0;
}

static void *counted(void *memory)
{
    allocations++;
    bytes += size_of(memory);
    return memory;
}

void *malloc(size_t size)
{
    return counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return counted(__libc_calloc(count, size));
}

void *realloc(void *memory, size_t size)
{
    bytes -= size_of(memory);
    return counted(__libc_realloc(memory, size));
}

void free(void *memory)
{
    bytes -= size_of(memory);
    __libc_free(memory);
}

void _exit(int status)
{
    char text[96];
    int length = snprintf(text, sizeof(text), "allocations %lu, bytes %lu\n",
                          (unsigned long)allocations, (unsigned long)bytes);
    if (length > 0)
        (void)!write(STDERR_FILENO, text, (size_t)length);
    for (;;)
        syscall(SYS_exit_group, status);
}
