#include "processor.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    NOTES = 64
};

static struct {
    uint64_t at;
    uint64_t awaited;
} notes[NOTES];
static unsigned next;

uint64_t processor_awaited(void)
{
    static int file = -2;
    char text[80];
    if (file == -2)
        file = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    ssize_t size = file >= 0 ? pread(file, text, sizeof text - 1, 0) : 0;
    if (size <= 0)
        return 0;
    text[size] = '\0';
    const char *second = strchr(text, ' ');
    return second != NULL ? strtoull(second, NULL, 10) / 1000 : 0;
}

void processor_note(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    notes[next].awaited = processor_awaited();
    notes[next].at = (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
    next = (next + 1) % NOTES;
}

uint64_t processor_awaited_since(uint64_t moment)
{
    uint64_t now = processor_awaited();
    unsigned i = next;
    do {
        i = (i + NOTES - 1) % NOTES;
        if (notes[i].at == 0)
            return 0;
        if (notes[i].at <= moment)
            return now - notes[i].awaited;
    } while (i != next);
    return 0;
}
