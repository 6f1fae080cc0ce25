/*
 * Which backend a loop gets, and why.
 *
 * Normal course: a name given by the program beats the environment variable BERTH_BACKEND, which
 * beats "auto". Auto takes io_uring where it can be set up and passes its self-test, and epoll
 * elsewhere: not by the kernel's version, since containers, seccomp filters and sysctls forbid
 * io_uring on any. A library that was built without io_uring refuses it too (no_uring.c). An empty
 * variable counts as none.
 *
 * Failures: an unknown name is EINVAL, with a reason that names it. A backend that was forced fails
 * rather than being replaced, with the errno of the step that failed. Auto falls back for any
 * reason, lack of resources included (epoll needs fewer), and fails only if epoll cannot be had
 * either. A reason is written in every case, for berth_loop_backend_reason.
 *
 * With epoll asked for by name no io_uring system call is made: there are sandboxes that kill for
 * one.
 */
#include "backend.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REASON = 160
};

typedef berth__backend *maker(berth__pool *pool, char *ret_reason, size_t size);

#ifdef BERTH_SIMULATED
berth__backend *berth__sim_new(berth__pool *pool, char *ret_reason, size_t size);
#endif

static maker *maker_of(const char *name)
{
    if (strcmp(name, "epoll") == 0)
        return berth__epoll_new;
    if (strcmp(name, "io_uring") == 0)
        return berth__uring_new;
#ifdef BERTH_SIMULATED
    if (strcmp(name, "sim") == 0)
        return berth__sim_new;
#endif
    return NULL;
}

static berth__backend *choose_forced(const char *name, const char *by, berth__pool *pool,
                                     char *ret_reason, size_t size)
{
    maker *make = maker_of(name);
    if (make == NULL) {
        char text[41];
        (void)snprintf(ret_reason, size, "unknown backend \"%s\" (forced by %s); " BERTH__BACKENDS,
                       berth__escape(name, text, sizeof text), by);
        errno = EINVAL;
        return NULL;
    }
    char refusal[REASON] = "";
    berth__backend *backend = make(pool, refusal, sizeof refusal);
    int error = errno;
    if (backend != NULL)
        (void)snprintf(ret_reason, size, "forced by %s", by);
    else
        (void)snprintf(ret_reason, size, "%s (forced by %s) refused: %s", name, by, refusal);
    errno = error;
    return backend;
}

static berth__backend *choose_best(berth__pool *pool, char *ret_reason, size_t size)
{
    char refusal[REASON] = "";
    berth__backend *backend = berth__uring_new(pool, refusal, sizeof refusal);
    if (backend != NULL) {
        (void)snprintf(ret_reason, size, "io_uring passed its self-test");
        return backend;
    }
    char second[REASON] = "";
    backend = berth__epoll_new(pool, second, sizeof second);
    int error = errno;
    if (backend != NULL)
        (void)snprintf(ret_reason, size, "io_uring refused: %s", refusal);
    else
        (void)snprintf(ret_reason, size, "io_uring refused: %s; epoll refused: %s", refusal,
                       second);
    errno = error;
    return backend;
}

static bool forces(const char *name)
{
    return name != NULL && *name != '\0' && strcmp(name, "auto") != 0;
}

berth__backend *berth__backend_choose(const char *name, berth__pool *pool, char *ret_reason,
                                      size_t size)
{
    if (forces(name))
        return choose_forced(name, "the program", pool, ret_reason, size);
    const char *variable = getenv("BERTH_BACKEND");
    if (forces(variable))
        return choose_forced(variable, "BERTH_BACKEND", pool, ret_reason, size);
    return choose_best(pool, ret_reason, size);
}

bool berth__backend_variable_is_wrong(void)
{
    const char *variable = getenv("BERTH_BACKEND");
    return forces(variable) && maker_of(variable) == NULL;
}
