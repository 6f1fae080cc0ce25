/*
 * The tables of a loop's sources, called one after the other. See source.h.
 */
#include "source.h"

#include "loop.h"

#include <assert.h>

void berth__source_join(berth_loop *loop, const berth__source *source)
{
    for (unsigned i = 0; i < loop->source_count; i++) {
        if (loop->sources[i] == source)
            return;
    }
    assert(loop->source_count < BERTH__MOST_SOURCES);
    loop->sources[loop->source_count++] = source;
}

bool berth__sources_pending(const berth_loop *loop)
{
    for (unsigned i = 0; i < loop->source_count; i++) {
        if (loop->sources[i]->pending != NULL && loop->sources[i]->pending(loop))
            return true;
    }
    return false;
}

bool berth__sources_run(berth_loop *loop)
{
    bool any = false;
    for (unsigned i = 0; i < loop->source_count; i++) {
        if (loop->sources[i]->run != NULL)
            any = loop->sources[i]->run(loop) || any;
    }
    return any;
}

uint64_t berth__sources_step(berth_loop *loop)
{
    uint64_t again = UINT64_MAX;
    for (unsigned i = 0; i < loop->source_count; i++) {
        uint64_t next = loop->sources[i]->step != NULL ? loop->sources[i]->step(loop) : UINT64_MAX;
        again = next < again ? next : again;
    }
    return again;
}

void berth__sources_renew(berth_loop *loop)
{
    for (unsigned i = 0; i < loop->source_count; i++) {
        if (loop->sources[i]->renew != NULL)
            loop->sources[i]->renew(loop);
    }
}

void berth__sources_release(berth_loop *loop)
{
    for (unsigned i = 0; i < loop->source_count; i++) {
        if (loop->sources[i]->release != NULL)
            loop->sources[i]->release(loop);
    }
}

void berth__sources_end(berth_loop *loop)
{
    for (unsigned i = 0; i < loop->source_count; i++) {
        if (loop->sources[i]->end != NULL)
            loop->sources[i]->end(loop);
    }
}
