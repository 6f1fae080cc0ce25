/*
 * Watches in the simulated kernel: what poll(2) would say of a descriptor, reported once, after
 * a random delay. A copy of a descriptor has the same number here and is only counted.
 */
#include "sim_kernel.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"

static void forget_watch(berth__kernel *kernel, const berth__watch *watch)
{
    for (size_t i = 0; i < kernel->watch_count; i++) {
        if (kernel->watches[i].watch != watch)
            continue;
        memmove(&kernel->watches[i], &kernel->watches[i + 1],
                (kernel->watch_count - i - 1) * sizeof *kernel->watches);
        kernel->watch_count--;
        return;
    }
}

int berth__sim_watch_start(berth__backend *backend, berth__watch *watch, int descriptor,
                           unsigned events)
{
    berth__kernel *kernel = kernel_of(backend);
    if (watch->closing || watch->active)
        return EINVAL;
    if (berth__kernel_entry_of(kernel, descriptor) == NULL)
        return EBADF;
    if (berth__fault_system("epoll_ctl"))
        return errno;
    kernel->watches = berth__kernel_must(
        realloc(kernel->watches, (kernel->watch_count + 1) * sizeof *kernel->watches));
    kernel->watches[kernel->watch_count++] = (berth__kernel_watch){.watch = watch};
    watch->descriptor = descriptor;
    watch->events = events;
    watch->active = true;
    return 0;
}

void berth__sim_watch_close(berth__backend *backend, berth__watch *watch)
{
    if (watch->closing)
        return;
    watch->closing = true;
    watch->active = false;
    forget_watch(kernel_of(backend), watch);
    watch->ready.pending = 0;
    berth__ready_add(&backend->ready, &watch->ready, BERTH__READY_CLOSED);
}

int berth__sim_copy(berth__backend *backend, int descriptor)
{
    berth__kernel *kernel = kernel_of(backend);
    if (berth__kernel_entry_of(kernel, descriptor) == NULL)
        return -EBADF;
    if (berth__kernel_at_limit(kernel))
        return -EMFILE;
    if (berth__fault_system("fcntl"))
        return -errno;
    kernel->copies++;
    return descriptor;
}

void berth__sim_close_copy(berth__backend *backend, int descriptor)
{
    (void)descriptor;
    assert(kernel_of(backend)->copies > 0);
    kernel_of(backend)->copies--;
    berth__kernel_tell_closed(kernel_of(backend));
}

void berth__kernel_run_watch(berth__watch *watch)
{
    unsigned bits = watch->ready.pending;
    watch->ready.pending = 0;
    if ((bits & BERTH__READY_CLOSED) != 0)
        watch->closed(watch);
    else if ((bits & BERTH__READY_FIRED) != 0)
        watch->fired(watch, watch->events);
}

/* What poll(2) would say: of `events`, or both on error or hang-up. */
static unsigned events_at(berth__kernel *kernel, int descriptor, unsigned events)
{
    const unsigned both = BERTH__WATCH_READ | BERTH__WATCH_WRITE;
    berth__kernel_entry *entry = berth__kernel_entry_of(kernel, descriptor);
    if (entry == NULL || entry->kind == ENTRY_CLOSING)
        return both;
    if (entry->kind == ENTRY_EVENT)
        return entry->of.events & events;
    if (entry->kind == ENTRY_PORT)
        return entry->of.port->queue != NULL ? BERTH__WATCH_READ & events : 0;
    berth__sim_end *end = entry->of.end;
    if (end->error != 0 || end->dead || berth__kernel_unconnected(end))
        return both;
    return events & ((berth__kernel_readable(end) ? BERTH__WATCH_READ : 0u) |
                     (berth__kernel_writable(end) && end->established ? BERTH__WATCH_WRITE : 0u));
}

void berth__kernel_look_at_watches(berth__kernel *kernel, uint64_t *earliest)
{
    for (size_t i = kernel->watch_count; i-- > 0;) {
        berth__watch *watch = kernel->watches[i].watch;
        unsigned found = events_at(kernel, watch->descriptor, watch->events);
        if (!berth__kernel_is_due(kernel, &kernel->watches[i].due, found != 0, earliest))
            continue;
        watch->events = found;
        watch->active = false;
        forget_watch(kernel, watch);
        berth__kernel_add_candidate(kernel, &watch->ready, BERTH__READY_FIRED);
    }
}
