/*
 * What takes part in a loop's turns besides its backend and its timers, and is there only once it
 * is needed: the resolver, the streams that linger, the blocks of output, and signals.
 *
 * Each gives the loop a table of functions when it is first used, and keeps what it has in a member
 * of the loop. A slot may be NULL. The loop calls the tables one after the other, each function in
 * one place: `run` after the completions of a turn, `step` before each sleep of a blocking wait.
 */
#ifndef BERTH_SOURCE_H
#define BERTH_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

struct berth_loop;

#define BERTH__MOST_SOURCES 4u

typedef struct berth__source {
    /* Whether there is something to be run, so that the turn must not sleep. */
    bool (*pending)(const struct berth_loop *loop);
    /* Returns whether there was something. */
    bool (*run)(struct berth_loop *loop);
    /* In a blocking wait, where no timer runs: does what is due. Returns when it wants to be called
     * again, or UINT64_MAX. */
    uint64_t (*step)(struct berth_loop *loop);
    /* The loop was inherited by fork, and is the process's own now. */
    void (*renew)(struct berth_loop *loop);
    /* The loop is being freed, and its objects are: gives away what is not in use. */
    void (*release)(struct berth_loop *loop);
    /* And the time for graceful ends is over, or the backend broken: ends the rest at once. */
    void (*end)(struct berth_loop *loop);
} berth__source;

/* Those of one loop. */
typedef struct berth__sources {
    const berth__source *tables[BERTH__MOST_SOURCES];
    unsigned count;
} berth__sources;

/* Has the loop call the source from now on; once more changes nothing. */
void berth__source_join(berth__sources *sources, const berth__source *source);

/* Call the function of that name of all sources: whether of any; the earliest time. */
bool berth__sources_pending(const berth__sources *sources, const struct berth_loop *loop);
bool berth__sources_run(const berth__sources *sources, struct berth_loop *loop);
uint64_t berth__sources_step(const berth__sources *sources, struct berth_loop *loop);
void berth__sources_renew(const berth__sources *sources, struct berth_loop *loop);
void berth__sources_release(const berth__sources *sources, struct berth_loop *loop);
void berth__sources_end(const berth__sources *sources, struct berth_loop *loop);

#endif
