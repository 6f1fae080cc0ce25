/*
 * Waits of a case for what another thread or another process does.
 */
#ifndef BERTH_TESTS_SOON_H
#define BERTH_TESTS_SOON_H

#include <stdbool.h>
#include <time.h>

#define SOON_SECONDS 100

/* Ends the process, on whatever thread, if it does not come true; a run with a fault, in order. */
#define SOON(expression)                                         \
    do {                                                         \
        time_t begin_ = soon_now();                              \
        while (!(expression))                                    \
            soon_go_on(begin_, __FILE__, __LINE__, #expression); \
    } while (0)

/* For what has to be let go of before the case ends: whether to wait on, after a while that is
 * over. */
bool soon_waits(time_t begin);

static inline time_t soon_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

void soon_go_on(time_t begin, const char *file, int line, const char *expression);

#endif
