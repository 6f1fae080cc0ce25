/*
 * Time in the simulated kernel: what passes with it, and what takes it beside waiting, operations
 * and handlers; and errors of accept that pass.
 *
 * Without settings an operation takes no time, and the moments of a case can be foretold. With them
 * each takes some by chance, so that what was due at the end of a call, of a handler or of a turn
 * is not what was due at its beginning.
 */
#include "sim_kernel.h"

#include <errno.h>
#include <limits.h>

#include "base/system.h"

void berth__kernel_pass(berth__kernel *kernel, uint64_t nanoseconds)
{
    uint64_t never = UINT64_MAX;
    kernel->now += nanoseconds;
    if (kernel->passes != NULL && !kernel->passing) {
        kernel->passing = true;
        uint64_t next = kernel->passes(kernel->passes_user, kernel->now);
        kernel->passes_next = next > kernel->now ? next : kernel->now + 1;
        kernel->passing = false;
    }
    berth__kernel_move(kernel, &never);
    berth__kernel_look_at_attempts(kernel, &never);
}

void berth__kernel_sleep_until(berth__kernel *kernel, uint64_t time)
{
    uint64_t passed = time - kernel->now;
    kernel->slept += passed;
    berth__kernel_pass(kernel, passed);
}

void berth__kernel_operate(berth__kernel *kernel)
{
    if (kernel->settings.call_cost > 0)
        berth__kernel_pass(kernel, berth__kernel_chance(kernel, kernel->settings.call_cost + 1));
}

/* Which takes no system call. */
void berth__kernel_look_at_clock(berth__kernel *kernel)
{
    if (kernel->settings.call_cost > 0)
        kernel->now += berth__kernel_chance(kernel, kernel->settings.call_cost / 16 + 1);
}

void berth__kernel_handle(berth__kernel *kernel)
{
    kernel->events++;
    kernel->barren = 0;
    if (kernel->settings.handler_cost == 0)
        return;
    /* Most handlers are quick. */
    uint64_t most = berth__kernel_chance(kernel, 8) == 0 ? kernel->settings.handler_cost
                                                         : kernel->settings.handler_cost / 1000;
    berth__kernel_pass(kernel, berth__kernel_chance(kernel, most + 1));
}

/* One of those that berth__is_passing knows. */
static int passing_error(berth__kernel *kernel)
{
    static const int errors[] = {EINTR,       ECONNABORTED, EPROTO, ENETDOWN,
                                 ENOPROTOOPT, EHOSTDOWN,    ENONET, EHOSTUNREACH,
                                 ENETUNREACH, ETIMEDOUT,    EPERM};
    return errors[berth__kernel_chance(kernel, sizeof errors / sizeof errors[0])];
}

int berth__kernel_accept_error(berth__kernel *kernel)
{
    if (berth__fault_system("accept4"))
        return errno;
    if (kernel->accept_failures > 0) {
        kernel->accept_failures -= kernel->accept_failures != UINT_MAX;
        kernel->accepts_failed++;
        return kernel->accept_error;
    }
    if (kernel->settings.accept_noise > 0 &&
        berth__kernel_chance(kernel, kernel->settings.accept_noise) == 0)
        return passing_error(kernel);
    if (!berth__kernel_at_limit(kernel))
        return 0;
    kernel->accepts_failed++;
    return EMFILE;
}

/* ---- the test's hand ------------------------------------------------------------------------- */

void berth__sim_advance(berth__backend *backend, uint64_t nanoseconds)
{
    berth__kernel_pass(kernel_of(backend), nanoseconds);
}

void berth__sim_on_passing(berth__backend *backend, berth__sim_passes *passes, void *user)
{
    kernel_of(backend)->passes = passes;
    kernel_of(backend)->passes_user = user;
    kernel_of(backend)->passes_next = passes != NULL ? kernel_of(backend)->now : UINT64_MAX;
}

uint64_t berth__sim_slept(berth__backend *backend)
{
    return kernel_of(backend)->slept;
}

uint64_t berth__sim_events(berth__backend *backend)
{
    return kernel_of(backend)->events;
}

uint64_t berth__sim_accepts_failed(berth__backend *backend)
{
    return kernel_of(backend)->accepts_failed;
}

void berth__sim_work(berth__backend *backend)
{
    berth__kernel *kernel = kernel_of(backend);
    uint64_t events = kernel->events;
    unsigned barren = kernel->barren;
    berth__kernel_handle(kernel);
    kernel->events = events;
    kernel->barren = barren;
}
