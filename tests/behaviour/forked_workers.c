/*
 * A worker of a pool that forks in a handler, and a child that takes over its loop: the pool is the
 * parent's, and threads that the child does not have may have held its locks.
 */
#include "children.h"
#include "pool.h"
#include "scene.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static berth_workers *pool;
static atomic_int forked;
static atomic_bool asks;

static void *ask_again_and_again(void *unused)
{
    (void)unused;
    while (atomic_load(&asks)) {
        berth_server_counts counts;
        berth_workers_statistics(pool, &counts);
    }
    return NULL;
}

/* The child's: its loop turns for as long as it gets here again. */
static void expired(berth_timer *timer, void *user)
{
    (void)timer;
    unsigned *turns = user;
    if (++*turns == 3)
        _exit(0);
}

/* The handler returns into the worker, whose thread is the only one. */
static void take_over(berth_worker *worker)
{
    static unsigned turns;
    MUST(berth_loop_after_fork(NULL));
    berth_timer *again = berth_timer_new(berth_worker_loop(worker), expired, &turns);
    MUST(again != NULL);
    berth_timer_start(again, 1, 1);
}

static void fork_and_go_on(berth_worker *worker, berth_socket *socket, void *user)
{
    (void)user;
    pid_t child = begin_child();
    berth_socket_free(socket);
    if (child == 0)
        take_over(worker);
    else
        atomic_store(&forked, child);
}

CASE(worker_forks_and_its_child_takes_its_loop_over, "reliability 23",
     "the child does not wait for a lock of the pool, which is the parent's")
{
    static const berth_workers_handlers handlers = {.connection = fork_and_go_on};
    real_kernel_only();
    pool = berth_workers_new(1, &handlers, NULL);
    ck_assert(berth_workers_start(pool));
    ck_assert(berth_workers_listen(pool, BERTH_ADDRESS_LOOPBACK, 0));
    pthread_t thread;
    atomic_store(&asks, true);
    ck_assert_int_eq(pthread_create(&thread, NULL, ask_again_and_again, NULL), 0);
    for (int i = 0; i < 40; i++) {
        int client = dial(berth_workers_port(pool));
        while (atomic_load(&forked) == 0)
            usleep(1000);
        end_child(atomic_exchange(&forked, 0));
        close(client);
    }
    atomic_store(&asks, false);
    pthread_join(thread, NULL);
    berth_workers_free(pool);
}

static atomic_uint given;
static atomic_bool gate;

/* The first waits until all are in the inbox, so that the second, whose handler forks, is taken out
 * of it together with a third. */
static void fork_for_the_second(berth_worker *worker, berth_socket *socket, void *user)
{
    static bool child_goes_on;
    (void)user;
    MUST(!child_goes_on);
    berth_socket_free(socket);
    unsigned number = atomic_fetch_add(&given, 1);
    while (number == 0 && !atomic_load(&gate))
        usleep(1000);
    if (number != 1)
        return;
    pid_t child = begin_child();
    child_goes_on = child == 0;
    if (child == 0)
        take_over(worker);
    else
        atomic_store(&forked, child);
}

CASE(worker_forks_between_connections_that_were_handed_over, "reliability 23",
     "the child is not given those that the parent's worker serves")
{
    static const berth_workers_handlers handlers = {.connection = fork_for_the_second};
    real_kernel_only();
    pool = berth_workers_new(1, &handlers, NULL);
    ck_assert(berth_workers_start(pool));
    int clients[3];
    ck_assert(berth_workers_hand_over(pool, pool_pair(&clients[0])));
    while (atomic_load(&given) == 0)
        usleep(1000);
    ck_assert(berth_workers_hand_over(pool, pool_pair(&clients[1])));
    ck_assert(berth_workers_hand_over(pool, pool_pair(&clients[2])));
    atomic_store(&gate, true);
    while (atomic_load(&forked) == 0)
        usleep(1000);
    end_child(atomic_load(&forked));
    while (atomic_load(&given) < 3)
        usleep(1000);
    for (int i = 0; i < 3; i++)
        close(clients[i]);
    berth_workers_free(pool);
}
