/*
 * Draining a pool: each worker drains its server, and the last to be empty has it announced.
 *
 *     OFF -> the times are set, and each worker owes its end -> the last has gone: OVER
 *
 * Whoever drains, on any thread, only sets the times under the lock, and wakes the workers; a
 * worker compares the number of the round between two turns or in a task, and then drains its
 * server with what is left of the times. So the deadline is the same for all, and a worker that was
 * busy meanwhile has less time, not more.
 *
 * A worker owes its end until its server is empty and nothing is in its inbox; from then on nothing
 * can be handed over to it. What is handed over in between is drained as what came before; but
 * from the deadline on it is refused, and what is in an inbox then is reset as it comes out: else
 * more could come in each turn than the drain's share of it can reset, without an end. If the
 * program closes the server, and thereby ends the server's drain, that is drained again. A worker
 * whose loop breaks owes nothing any more.
 *
 * The end is announced by a record that was made with the threads, so that no drain can fail for
 * want of memory. It is awaited by the loop that is to announce it (loop/task.h), and changes hands
 * by one atomic state:
 *
 *     OPEN -> ENDED, by the last worker -> TOLD, by the loop
 *       \  \     \______________________-> ABANDONED, by whoever stops the pool
 *        \  \_____________________________/
 *         \-> WITHDRAWN, by a loop that is freed
 *
 * Whoever takes it from OPEN posts it to the loop, so that it comes there once; only TOLD calls the
 * program. Its memory goes with the second of its two holders, the pool and the loop.
 */
#include "workers.h"

#include "base/memory.h"
#include "base/sized.h"
#include "loop/loop.h"
#include "loop/process.h"
#include "server/server.h"

#include <errno.h>
#include <time.h>

#define NEVER UINT64_MAX

typedef enum end_state {
    OPEN,
    ENDED,
    TOLD,
    ABANDONED,
    WITHDRAWN
} end_state;

struct berth__drain_end {
    berth__awaited awaited; /* first: it is found by it */
    berth_workers *workers;
    berth_workers_drained drained;
    void *user;
    bool forced;
    unsigned forks;
    atomic_int state; /* end_state */
    atomic_int holders;
};

static uint64_t now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t after(uint64_t time, uint32_t milliseconds)
{
    return time + (uint64_t)milliseconds * BERTH__MILLISECOND;
}

/* ---- the announcement ------------------------------------------------------------------------ */

static bool take(berth__drain_end *end, end_state from, end_state to)
{
    int expected = (int)from;
    return atomic_compare_exchange_strong(&end->state, &expected, (int)to);
}

static void let_go(berth__drain_end *end)
{
    if (atomic_fetch_sub(&end->holders, 1) == 1)
        berth__release(end);
}

/* On the loop's thread. In a child of fork the pool is the parent's. */
static void tell(void *user)
{
    berth__drain_end *end = user;
    bool own = !end->awaited.loop->inherited && end->forks == berth__process_forks();
    if (own && take(end, ENDED, TOLD))
        end->drained(end->workers, end->forced, end->user);
    let_go(end);
}

static bool withdraw(berth__awaited *awaited)
{
    return take((berth__drain_end *)awaited, OPEN, WITHDRAWN);
}

/* ---- what is owed ---------------------------------------------------------------------------- */

/* One less; the last has the end announced. To be called without the lock. */
static void pay(berth_workers *workers, berth_worker *worker, bool forced)
{
    berth__pool_drain *drain = &workers->drain;
    pthread_mutex_lock(&drain->lock);
    bool owes = worker == NULL || worker->owes;
    if (worker != NULL)
        worker->owes = false;
    drain->forced |= owes && forced;
    bool last = owes && --drain->owed == 0;
    berth__drain_end *end = last ? drain->end : NULL;
    if (last)
        atomic_store(&drain->over, true);
    if (end != NULL)
        end->forced = drain->forced;
    /* Once the lock is released the pool may be stopped; the loop's hold keeps the record. */
    if (end != NULL && (end->drained == NULL || !take(end, OPEN, ENDED)))
        end = NULL;
    pthread_mutex_unlock(&drain->lock);
    if (end != NULL)
        berth__awaited_end(&end->awaited);
}

void berth__worker_drained(berth_worker *worker)
{
    if (berth__pool_is_copy(worker->workers))
        return; /* the lock may be held by a thread that is no more */
    worker->drains = false;
    pay(worker->workers, worker, worker->forced);
}

/* ---- on the worker's thread ------------------------------------------------------------------ */

/* At least a millisecond, since nothing means no deadline. */
static uint32_t milliseconds_until(uint64_t time, uint64_t from)
{
    uint64_t left = time > from ? (time - from + BERTH__MILLISECOND - 1) / BERTH__MILLISECOND : 1;
    return left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
}

static void drain_server(berth_worker *worker)
{
    berth__pool_drain *drain = &worker->workers->drain;
    pthread_mutex_lock(&drain->lock);
    uint64_t from = now();
    berth_drain plan = {.idle = drain->idle};
    if (drain->closes > from)
        plan.grace = milliseconds_until(drain->closes, from);
    if (drain->ends != NEVER)
        plan.deadline = milliseconds_until(drain->ends, from);
    pthread_mutex_unlock(&drain->lock);
    if (berth_server_drain_state(worker->server) == BERTH_DRAIN_EMPTY)
        berth_server_close(worker->server); /* of an earlier drain, or it was given more since */
    (void)berth_server_drain(worker->server, &plan);
}

void berth__worker_drain(void *user)
{
    berth_worker *worker = user;
    berth__pool_drain *drain = &worker->workers->drain;
    unsigned round = atomic_load(&drain->round);
    if (berth__pool_is_copy(worker->workers) || worker->server == NULL)
        return;
    if (round != worker->drain_round) {
        worker->drain_round = round;
        pthread_mutex_lock(&drain->lock);
        worker->drains = worker->owes;
        pthread_mutex_unlock(&drain->lock);
        if (worker->drains)
            drain_server(worker);
        return;
    }
    berth_drain_state state =
        worker->drains ? berth_server_drain_state(worker->server) : BERTH_DRAIN_GRACE;
    if (state == BERTH_DRAIN_NONE || state == BERTH_DRAIN_EMPTY)
        drain_server(worker);
}

void berth__worker_emptied(berth_server *server, bool forced, void *user)
{
    berth_worker *worker = user;
    (void)server;
    if (!worker->drains || berth__pool_is_copy(worker->workers))
        return;
    worker->forced |= forced;
    pthread_mutex_lock(&worker->lock);
    bool more = worker->inbox.count > 0 || worker->taken.first < worker->taken.count;
    if (!more)
        atomic_store(&worker->emptied, true);
    pthread_mutex_unlock(&worker->lock);
    if (!more)
        berth__worker_drained(worker); /* else it is drained again behind what comes of that */
}

/* ---- draining -------------------------------------------------------------------------------- */

static void wake(berth_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    if (berth__worker_state_of(worker) == BERTH__WORKER_READY &&
        !berth_loop_post(worker->loop, berth__worker_drain, worker))
        berth_loop_wake(worker->loop);
    pthread_mutex_unlock(&worker->lock);
}

/* Under the lock. One more is owed than by the workers: by the caller. */
static void begin(berth_workers *workers)
{
    berth__pool_drain *drain = &workers->drain;
    drain->closes = NEVER;
    atomic_store(&drain->ends, NEVER);
    atomic_store(&drain->accepts_until,
                 NEVER); /* else whoever asks meanwhile sees the last one's */
    drain->idle = BERTH_DEFAULT_DRAIN_IDLE;
    drain->forced = false;
    drain->owed = 1;
    for (int i = 0; i < workers->count; i++) {
        berth_worker *worker = workers->workers[i];
        worker->owes = berth__worker_state_of(worker) == BERTH__WORKER_READY;
        drain->owed += worker->owes;
    }
}

/* Under the lock. The times of the plan where they are shorter. */
static void shorten(berth__pool_drain *drain, const berth_drain *plan, bool first)
{
    uint64_t from = now();
    drain->closes = earlier(drain->closes, after(from, plan->grace));
    if (plan->deadline > 0)
        atomic_store(&drain->ends, earlier(drain->ends, after(from, plan->deadline)));
    if (plan->idle > 0 && (first || plan->idle < drain->idle))
        drain->idle = plan->idle;
    atomic_store(&drain->accepts_until, earlier(drain->closes, drain->ends));
    atomic_fetch_add(&drain->round, 1);
}

/* Returns an errno. */
static int drain_pool(berth_workers *workers, const berth_drain *plan, berth_loop *loop,
                      berth_workers_drained drained, void *user)
{
    berth__pool_drain *drain = &workers->drain;
    pthread_mutex_lock(&drain->lock);
    bool first = !atomic_load(&drain->begun);
    bool can = drain->end != NULL;
    if (can && first) {
        begin(workers);
        atomic_store(&drain->begun, true);
    }
    if (can && !atomic_load(&drain->over) && drained != NULL && drain->end->drained == NULL) {
        drain->end->drained = drained;
        drain->end->user = user;
        atomic_fetch_add(&drain->end->holders, 1);
        berth__await(loop, &drain->end->awaited);
    }
    if (can && !atomic_load(&drain->over))
        shorten(drain, plan, first);
    pthread_mutex_unlock(&drain->lock);
    for (int i = 0; i < workers->count && can; i++)
        wake(workers->workers[i]);
    if (can && first)
        pay(workers, NULL, false);
    return can ? 0 : ESHUTDOWN;
}

bool berth_workers_drain_sized(berth_workers *workers, const berth_drain *plan, size_t size,
                               berth_loop *loop, berth_workers_drained drained, void *user)
{
    berth_drain known;
    berth__sized_get(&known, sizeof known, plan, size);
    if (drained != NULL) {
        loop = berth__loop_or_current(loop);
        if (loop == NULL || berth__loop_is_copy(loop))
            return false;
    }
    int error = ECHILD;
    if (!berth__pool_is_copy(workers))
        error = drain_pool(workers, &known, loop, drained, user);
    if (error != 0)
        errno = error;
    return error == 0;
}

berth_drain_state berth_workers_drain_state(const berth_workers *workers)
{
    const berth__pool_drain *drain = &workers->drain;
    if (!atomic_load(&drain->begun))
        return BERTH_DRAIN_NONE;
    if (atomic_load(&drain->over))
        return BERTH_DRAIN_EMPTY;
    return now() < atomic_load(&drain->accepts_until) ? BERTH_DRAIN_GRACE : BERTH_DRAIN_DRAINING;
}

bool berth__pool_drain_is_late(const berth_workers *workers)
{
    const berth__pool_drain *drain = &workers->drain;
    return atomic_load(&drain->begun) && now() >= atomic_load(&drain->ends);
}

/* ---- life of the pool ------------------------------------------------------------------------ */

void berth__pool_drain_init(berth_workers *workers)
{
    pthread_mutex_init(&workers->drain.lock, NULL);
}

void berth__pool_drain_clear(berth_workers *workers, bool copy)
{
    if (!copy)
        pthread_mutex_destroy(&workers->drain.lock);
    else if (workers->drain.end != NULL)
        let_go(workers->drain.end);
}

berth__drain_end *berth__pool_drain_new_end(berth_workers *workers)
{
    berth__drain_end *end = berth__allocate_zero(sizeof *end);
    if (end == NULL)
        return NULL;
    end->awaited.end.run = tell;
    end->awaited.withdraw = withdraw;
    end->workers = workers;
    end->forks = workers->forks;
    atomic_init(&end->holders, 1);
    return end;
}

void berth__pool_drain_allow(berth_workers *workers, berth__drain_end *end)
{
    pthread_mutex_lock(&workers->drain.lock);
    workers->drain.end = end;
    pthread_mutex_unlock(&workers->drain.lock);
}

void berth__pool_drain_abandon(berth_workers *workers)
{
    berth__pool_drain *drain = &workers->drain;
    pthread_mutex_lock(&drain->lock);
    berth__drain_end *end = drain->end;
    drain->end = NULL;
    pthread_mutex_unlock(&drain->lock);
    if (end == NULL)
        return;
    bool awaited = end->drained != NULL;
    if (awaited && take(end, OPEN, ABANDONED))
        berth__awaited_end(&end->awaited);
    else if (awaited)
        (void)take(end, ENDED, ABANDONED);
    let_go(end);
}

void berth__pool_drain_reset(berth_workers *workers)
{
    berth__pool_drain *drain = &workers->drain;
    pthread_mutex_lock(&drain->lock);
    atomic_store(&drain->begun, false);
    atomic_store(&drain->over, false);
    for (int i = 0; i < workers->count; i++) {
        workers->workers[i]->owes = false;
        atomic_store(&workers->workers[i]->emptied, false);
    }
    pthread_mutex_unlock(&drain->lock);
}
