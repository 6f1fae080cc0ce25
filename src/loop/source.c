/*
 * The tables of a loop's sources, called one after the other. See source.h.
 */
#include "source.h"

#include <assert.h>
#include <stddef.h>

void berth__source_join(berth__sources *sources, const berth__source *source)
{
    for (unsigned i = 0; i < sources->count; i++) {
        if (sources->tables[i] == source)
            return;
    }
    assert(sources->count < BERTH__MOST_SOURCES);
    sources->tables[sources->count++] = source;
}

bool berth__sources_pending(const berth__sources *sources, const struct berth_loop *loop)
{
    for (unsigned i = 0; i < sources->count; i++) {
        if (sources->tables[i]->pending != NULL && sources->tables[i]->pending(loop))
            return true;
    }
    return false;
}

bool berth__sources_run(const berth__sources *sources, struct berth_loop *loop)
{
    bool any = false;
    for (unsigned i = 0; i < sources->count; i++) {
        if (sources->tables[i]->run != NULL)
            any = sources->tables[i]->run(loop) || any;
    }
    return any;
}

uint64_t berth__sources_step(const berth__sources *sources, struct berth_loop *loop)
{
    uint64_t again = UINT64_MAX;
    for (unsigned i = 0; i < sources->count; i++) {
        uint64_t next =
            sources->tables[i]->step != NULL ? sources->tables[i]->step(loop) : UINT64_MAX;
        again = next < again ? next : again;
    }
    return again;
}

void berth__sources_renew(const berth__sources *sources, struct berth_loop *loop)
{
    for (unsigned i = 0; i < sources->count; i++) {
        if (sources->tables[i]->renew != NULL)
            sources->tables[i]->renew(loop);
    }
}

void berth__sources_release(const berth__sources *sources, struct berth_loop *loop)
{
    for (unsigned i = 0; i < sources->count; i++) {
        if (sources->tables[i]->release != NULL)
            sources->tables[i]->release(loop);
    }
}

void berth__sources_end(const berth__sources *sources, struct berth_loop *loop)
{
    for (unsigned i = 0; i < sources->count; i++) {
        if (sources->tables[i]->end != NULL)
            sources->tables[i]->end(loop);
    }
}
