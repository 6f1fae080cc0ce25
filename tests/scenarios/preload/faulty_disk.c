/*
 * A disk with faults, for scenario 27: preloaded into berth-torrent, whose calls that move the
 * bytes of files it stands before. The variable FAULTY_DISK has words of these forms:
 *
 *     fail=N,E     the Nth pwrite, and each one after it, fails with errno E
 *     read=N,E     the same for reads that may wait
 *     only=TEXT    these happen only to files whose path contains TEXT
 *     short=N      no call moves more than N bytes
 *     slow=N       each pwrite takes N milliseconds longer
 *     cold         no byte is in memory: reads that must not wait fail
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static atomic_long writes;
static atomic_long reads;

static const char *text_of(const char *word)
{
    const char *all = getenv("FAULTY_DISK");
    const char *found = all ? strstr(all, word) : NULL;
    return found ? found + strlen(word) : NULL;
}

static long number_of(const char *word)
{
    const char *text = text_of(word);
    return text ? strtol(text, NULL, 10) : 0;
}

static int is_meant(int descriptor)
{
    char link[64];
    char path[4096];
    char part[256];
    const char *only = text_of("only=");
    if (!only)
        return 1;
    snprintf(part, sizeof(part), "%.*s", (int)strcspn(only, " "), only);
    snprintf(link, sizeof(link), "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(link, path, sizeof(path) - 1);
    path[size > 0 ? size : 0] = '\0';
    return strstr(path, part) != NULL;
}

/* The errno to fail with; 0: none. */
static int fault(const char *word, atomic_long *count, int descriptor)
{
    const char *text = text_of(word);
    char *end;
    if (!text || !is_meant(descriptor))
        return 0;
    long first = strtol(text, &end, 10);
    return atomic_fetch_add(count, 1) + 1 >= first ? (int)strtol(end + 1, NULL, 10) : 0;
}

static size_t cut(size_t size)
{
    size_t most = (size_t)number_of("short=");
    return most > 0 && size > most ? most : size;
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset)
{
    static ssize_t (*real)(int, const void *, size_t, off_t);
    long milliseconds = number_of("slow=");
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pwrite");
    if (milliseconds > 0)
        nanosleep(&time, NULL);
    int why = fault("fail=", &writes, descriptor);
    if (why != 0) {
        errno = why;
        return -1;
    }
    return real(descriptor, data, cut(size), offset);
}

ssize_t preadv2(int descriptor, const struct iovec *parts, int count, off_t offset, int flags)
{
    static ssize_t (*real)(int, const struct iovec *, int, off_t, int);
    struct iovec part = {parts[0].iov_base, cut(parts[0].iov_len)};
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "preadv2");
    int why = 0;
    if (flags & RWF_NOWAIT)
        why = text_of("cold") ? EAGAIN : 0;
    else
        why = fault("read=", &reads, descriptor);
    if (why != 0) {
        errno = why;
        return -1;
    }
    return real(descriptor, count == 1 ? &part : parts, count, offset, flags);
}
