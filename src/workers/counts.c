/*
 * The counts of a pool: the sum of those of its workers' servers, on any thread.
 *
 * A worker's thread changes the counts of its server without a lock; they are read one by one
 * (base/count.h). The worker's lock keeps the server from being freed meanwhile. When that is freed
 * its last counts are kept by the worker, and a server after it counts on.
 */
#include "workers.h"

#include "base/sized.h"
#include "server/server.h"

_Static_assert(sizeof(berth_server_counts) % sizeof(uint64_t) == 0, "they are added as an array");

static void add(berth_server_counts *sum, const berth_server_counts *counts)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)counts;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++)
        to[i] += from[i];
}

void berth__worker_keep_counts(berth_worker *worker)
{
    berth_server_counts counts;
    if (berth__pool_is_copy(worker->workers))
        return; /* the lock may be held by a thread that is no more */
    pthread_mutex_lock(&worker->lock);
    berth__server_count(worker->counted, &counts);
    counts.lingering = 0; /* these are the loop's from now on */
    add(&worker->past, &counts);
    worker->counted = NULL;
    pthread_mutex_unlock(&worker->lock);
}

static void add_worker(berth_server_counts *sum, berth_worker *worker)
{
    berth_server_counts counts;
    pthread_mutex_lock(&worker->lock);
    add(sum, &worker->past);
    if (worker->counted != NULL) {
        berth__server_count(worker->counted, &counts);
        add(sum, &counts);
    }
    pthread_mutex_unlock(&worker->lock);
}

void berth_workers_statistics_sized(const berth_workers *workers, berth_server_counts *ret_counts,
                                    size_t size)
{
    berth_server_counts sum = {0};
    bool copy = berth__pool_is_copy(workers);
    for (int i = 0; i < workers->count && !copy; i++)
        add_worker(&sum, workers->workers[i]);
    berth__sized_put(ret_counts, size, &sum, sizeof sum);
}
