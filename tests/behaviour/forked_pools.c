/*
 * A worker whose handler forks, and a child that takes over the worker's loop or does not: the pool
 * remains the parent's. What was handed over and has not come to the worker yet is the parent's
 * too, and the child waits for no lock, which a thread may hold that it does not have.
 *
 * The first connection forks: two come with it at once, the worker having been kept busy, and one
 * behind it.
 */
#include "children.h"
#include "pool.h"
#include "scene.h"

#include "workers/workers.h"

#include <stdlib.h>

static berth_workers *pool;

static struct {
    bool takes_over; /* the child */
    atomic_bool busy;
    atomic_bool begun; /* the first connection is in its handler, and waits for `go` */
    atomic_bool go;
    atomic_int child;
    atomic_uint served;
    atomic_uint failed;
} seen;

static void be_busy(void *user)
{
    (void)user;
    SOON(atomic_load(&seen.busy));
}

static bool started(berth_worker *worker, void *user)
{
    return berth_loop_post(berth_worker_loop(worker), be_busy, user);
}

static void failed(berth_worker *worker, berth_error error, void *user)
{
    (void)worker;
    (void)error;
    (void)user;
    atomic_fetch_add(&seen.failed, 1);
}

static void assert_of_child(void)
{
    MUST(atomic_load(&seen.served) == 1 && atomic_load(&seen.failed) == 0);
    _exit(0);
}

/* Behind what was posted before, and a few turns later. */
static void see_the_end(void *user)
{
    uintptr_t turns = (uintptr_t)user;
    if (turns == 0)
        assert_of_child();
    MUST(berth_loop_post(berth_loop_current(), see_the_end, (void *)(turns - 1)));
}

static void fork_in_first(berth_worker *worker, berth_socket *socket, void *user)
{
    (void)user;
    if (atomic_fetch_add(&seen.served, 1) > 0) {
        berth_socket_free(socket);
        return;
    }
    atomic_store(&seen.begun, true);
    SOON(atomic_load(&seen.go));
    pid_t child = begin_child();
    berth_socket_free(socket);
    if (child != 0) {
        atomic_store(&seen.child, child);
        return;
    }
    if (seen.takes_over) {
        MUST(berth_loop_after_fork(berth_worker_loop(worker)));
        see_the_end((void *)(uintptr_t)5);
    } else {
        MUST(atexit(assert_of_child) == 0);
    }
    /* It returns into the worker, whose thread is the only one. */
}

static const berth_workers_handlers forking = {
    .started = started, .connection = fork_in_first, .failed = failed};

static int hand_over(void)
{
    int client;
    int near = pool_pair(&client);
    ck_assert(berth_workers_hand_over(pool, near));
    return client;
}

/* `held`: gives a lock of the pool that this thread has while the worker forks; or NULL. */
static void fork_beside(pthread_mutex_t *(*held)(void))
{
    int clients[4];
    real_kernel_only();
    pool = world_pool(berth_workers_new(1, &forking, NULL));
    ck_assert_ptr_nonnull(pool);
    ck_assert(berth_workers_start(pool));
    for (int i = 0; i < 3; i++)
        clients[i] = hand_over();
    atomic_store(&seen.busy, true);
    SOON(atomic_load(&seen.begun));
    clients[3] = hand_over();
    pthread_mutex_t *lock = held();
    if (lock != NULL)
        pthread_mutex_lock(lock);
    atomic_store(&seen.go, true);
    for (time_t begin = soon_now(); atomic_load(&seen.child) == 0 && soon_waits(begin);)
        continue;
    if (lock != NULL) /* whatever came: the pool is freed with the case */
        pthread_mutex_unlock(lock);
    SOON(atomic_load(&seen.child) != 0);
    end_child(atomic_load(&seen.child));
    for (int i = 0; i < 4; i++)
        pool_assert_end(clients[i]);
    ck_assert_uint_eq(atomic_load(&seen.served), 4);
    ck_assert_uint_eq(atomic_load(&seen.failed), 0);
    world_free_pool(pool);
}

static pthread_mutex_t *nothing(void)
{
    return NULL;
}

CASE(child_of_a_worker_returns, "reliability 23", "no handler is called for what had been taken")
{
    fork_beside(nothing);
}

static pthread_mutex_t *of_the_worker(void)
{
    return &pool->workers[0]->lock;
}

CASE(child_takes_over_a_worker_whose_lock_is_held, "reliability 23", "by a thread that it lacks")
{
    seen.takes_over = true;
    fork_beside(of_the_worker);
}

static pthread_mutex_t *of_the_drain(void)
{
    ck_assert(berth_workers_drain(pool, NULL, NULL, NULL, NULL));
    return &pool->drain.lock;
}

CASE(child_takes_over_a_worker_that_drains, "reliability 23",
     "it waits for no lock of the drain, which is the parent's")
{
    seen.takes_over = true;
    fork_beside(of_the_drain);
}
