#include "soon.h"

#include "faults.h"
#include "world.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

bool soon_waits(time_t begin)
{
    (void)sched_yield();
    return soon_now() - begin <= world_seconds(SOON_SECONDS);
}

void soon_go_on(time_t begin, const char *file, int line, const char *expression)
{
    if (soon_waits(begin))
        return;
    (void)fprintf(stderr, "%s:%d: it never came true that %s\n", file, line, expression);
    faults_give_up();
    abort();
}
