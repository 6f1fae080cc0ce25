/*
 * The countdowns behind fault.h.
 *
 * One counter counts what was seen, the window [after, after + times) of it fails. All of it is
 * atomic, since other threads may be inside the library when a test arms it; the window's beginning
 * is written last, and first disarmed, so that nobody sees a window of two halves.
 */
#include "fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef struct countdown {
    atomic_long seen;
    atomic_long failed;
    atomic_long after; /* negative: never */
    atomic_long times;
    atomic_int error;
    _Atomic(const char *) only;
} countdown;

static countdown of_system = {.after = -1};
static countdown of_memory = {.after = -1};

static bool due(countdown *down)
{
    if (down->after < 0)
        return false;
    long number = atomic_fetch_add(&down->seen, 1);
    if (number < down->after || number - down->after >= down->times)
        return false;
    atomic_fetch_add(&down->failed, 1);
    errno = down->error;
    return true;
}

static void arm(countdown *down, long after, long times, int error, const char *only)
{
    atomic_store(&down->after, -1);
    atomic_store(&down->seen, 0);
    atomic_store(&down->failed, 0);
    atomic_store(&down->times, times);
    atomic_store(&down->error, error);
    atomic_store(&down->only, only);
    atomic_store(&down->after, after);
}

/* The environment speaks before the first call only, so that a test that arms by itself has the
 * last word. */
static void read_environment(void)
{
    const char *memory = getenv("BERTH_FAULT_MEMORY");
    if (memory != NULL && memory[0] != '\0')
        arm(&of_memory, strtol(memory, NULL, 10), 1, ENOMEM, NULL);

    const char *system = getenv("BERTH_FAULT_SYSTEM");
    if (system == NULL || system[0] == '\0')
        return;
    char *end;
    long after = strtol(system, &end, 10);
    int error = EIO;
    if (*end == ':')
        error = (int)strtol(end + 1, &end, 10);
    arm(&of_system, after, 1, error, *end == ':' ? end + 1 : NULL);
}

static void prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_environment);
}

bool berth__fault_system(const char *call)
{
    prepare();
    if (of_system.only != NULL && strcmp(of_system.only, call) != 0)
        return false;
    return due(&of_system);
}

bool berth__fault_operation(const char *operation)
{
    prepare();
    return of_system.only != NULL && berth__fault_system(operation);
}

bool berth__fault_memory(void)
{
    prepare();
    return due(&of_memory);
}

void berth__fault_set_system(long after, long times, int error, const char *only)
{
    prepare();
    arm(&of_system, after, times, error, only);
}

void berth__fault_set_memory(long after, long times)
{
    prepare();
    arm(&of_memory, after, times, ENOMEM, NULL);
}

void berth__fault_clear(void)
{
    prepare();
    arm(&of_system, -1, 0, 0, NULL);
    arm(&of_memory, -1, 0, 0, NULL);
}

long berth__fault_system_seen(void)
{
    return atomic_load(&of_system.seen);
}

long berth__fault_system_failed(void)
{
    return atomic_load(&of_system.failed);
}

long berth__fault_memory_seen(void)
{
    return atomic_load(&of_memory.seen);
}

long berth__fault_memory_failed(void)
{
    return atomic_load(&of_memory.failed);
}
