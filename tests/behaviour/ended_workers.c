/*
 * A worker whose loop breaks while the pool asks it for something: the pool goes on without it.
 *
 * A number that the worker alone writes is looked at from here, to know where it is; so this is not
 * among the tests with threads, which are built with a sanitizer that forbids that.
 */
#include "children.h"
#include "pool.h"
#include "scene.h"

#include "loop/loop.h"
#include "workers/workers.h"

#include <pthread.h>

static berth_workers *asked;
static atomic_uint listens_on;

static void note_listening(berth_worker *worker, void *user)
{
    (void)user;
    if (berth_server_is_listening(berth_worker_server(worker)))
        atomic_fetch_add(&listens_on, 1);
}

static void break_loop(void *user)
{
    berth_worker *worker = user;
    worker->loop->broken = true;
}

static void *ask_to_listen(void *user)
{
    (void)user;
    pool_must(!berth_workers_listen(asked, BERTH_ADDRESS_LOOPBACK, 0));
    return NULL;
}

static bool has_request(berth_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    bool has = worker->request != NULL;
    pthread_mutex_unlock(&worker->lock);
    return has;
}

static bool has_looked(const berth_worker *worker, unsigned round)
{
    return __atomic_load_n(&worker->drain_round, __ATOMIC_RELAXED) == round;
}

/* The worker is past its last look at what it is asked, and is kept from ending by a lock. */
static void end_while_asked(void)
{
    static const berth_workers_handlers handlers = {.stopping = note_listening};
    asked = world_pool(berth_workers_new(1, &handlers, NULL));
    ck_assert_ptr_nonnull(asked);
    ck_assert(berth_workers_start(asked));
    berth_worker *worker = asked->workers[0];
    pthread_mutex_lock(&asked->drain.lock);
    unsigned round = atomic_fetch_add(&asked->drain.round, 1) + 1;
    bool breaks = berth_loop_post(worker->loop, break_loop, worker);
    for (time_t begin = soon_now(); breaks && !has_looked(worker, round);)
        breaks = soon_waits(begin);
    pthread_t thread;
    bool asks = breaks && pthread_create(&thread, NULL, ask_to_listen, NULL) == 0;
    bool is_asked = asks;
    for (time_t begin = soon_now(); is_asked && !has_request(worker);)
        is_asked = soon_waits(begin);
    pthread_mutex_unlock(&asked->drain.lock);
    if (asks)
        pthread_join(thread, NULL);
    ck_assert(is_asked);
    world_free_pool(asked);
}

CASE(worker_ends_while_it_is_asked_to_listen, "workers.h",
     "it does nothing of that afterwards, when nobody waits for it")
{
    real_kernel_only();
    for (int i = 0; i < 30; i++)
        end_while_asked();
    ck_assert_uint_eq(atomic_load(&listens_on), 0);
    ck_assert_uint_eq(atomic_load(&pool_seen.wrong), 0);
}
