/*
 * Signals that come on other threads, in a storm, and while loops and handlers come and go.
 */
#include "scene.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_uint calls;

static void count(berth_signal *signal, void *user)
{
    (void)signal;
    (void)user;
    atomic_fetch_add(&calls, 1);
}

static void *raise_here(void *number)
{
    raise(*(int *)number); /* on this thread */
    return NULL;
}

static void have_raised(int number)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, raise_here, &number), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

CASE(signal_comes_on_another_thread, "signal.h", "the loop's handler is called on the loop's")
{
    ck_assert_ptr_nonnull(berth_signal_new(world_loop(), SIGUSR1, count, NULL));
    have_raised(SIGUSR1);
    berth_loop_turn(world_loop(), -1);
    ck_assert_uint_eq(atomic_load(&calls), 1);
}

static void *raise_soon(void *target)
{
    usleep(2000);
    pthread_kill(*(pthread_t *)target, SIGUSR1);
    return NULL;
}

CASE(signal_ends_a_long_wait, "signal.h", "a turn without limit")
{
    pthread_t self = pthread_self();
    ck_assert_ptr_nonnull(berth_signal_new(world_loop(), SIGUSR1, count, NULL));
    for (unsigned i = 1; i <= 5; i++) {
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, raise_soon, &self), 0);
        while (atomic_load(&calls) < i)
            berth_loop_turn(world_loop(), -1);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
    }
}

/* ---- storms ---------------------------------------------------------------------------------- */

enum {
    STORM = 3000,
    ROUNDS = 100
};

static atomic_bool over;

static void *storm(void *unused)
{
    (void)unused;
    for (int i = 0; i < STORM; i++)
        kill(getpid(), i % 2 == 0 ? SIGUSR1 : SIGUSR2);
    atomic_store(&over, true);
    return NULL;
}

/* The thread sanitizer of gcc 12 puts handlers off, and blocks all signals while it calls them. The
 * mask from before it keeps in one place for each thread; if a signal comes just before it blocks
 * them, a handler's system call does the same inside, and the mask that is put back has all of them
 * blocked. Threads inherit it, and a signal that one of them raises is lost with it. Programs
 * without this library lose theirs too. */
static void unblock(void)
{
#ifdef __SANITIZE_THREAD__
    sigset_t none;
    sigemptyset(&none);
    ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &none, NULL), 0);
#endif
}

CASE(storm_of_signals, "signal.h", "two threads send as fast as they can; the last one is not lost")
{
    pthread_t threads[2];
    ck_assert_ptr_nonnull(berth_signal_new(world_loop(), SIGUSR1, count, NULL));
    ck_assert_ptr_nonnull(berth_signal_new(world_loop(), SIGUSR2, count, NULL));
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, storm, NULL), 0);
    while (!atomic_load(&over))
        berth_loop_turn(world_loop(), 1);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    unblock();
    world_settle();
    unsigned before = atomic_load(&calls);
    ck_assert_uint_gt(before, 0);
    have_raised(SIGUSR1);
    UNTIL(atomic_load(&calls) == before + 1);
}

static void *come_and_go(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        /* Not rings: the thread sanitizer does not see that the kernel gives their memory to the
         * next. */
        berth_loop *loop = berth_loop_new(&(berth_loop_options){.backend = "epoll"});
        ck_assert_ptr_nonnull(loop);
        berth_signal *signals[2];
        for (int j = 0; j < 2; j++)
            signals[j] = berth_signal_new(loop, SIGUSR1, count, NULL);
        berth_loop_turn(loop, 0);
        berth_signal_free(signals[0]);
        berth_loop_free(loop);
    }
    return NULL;
}

CASE(loops_come_and_go_in_a_storm, "signal.h", "handlers and loops of other threads end meanwhile")
{
    pthread_t threads[3];
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    if (world_is_simulated())
        case_skip("the peers of a simulated kernel are one thread's");
    ck_assert_int_eq(pthread_create(&threads[0], NULL, storm, NULL), 0);
    for (int i = 1; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    struct sigaction action;
    ck_assert_int_eq(sigaction(SIGUSR1, NULL, &action), 0);
    ck_assert_ptr_eq(action.sa_handler, SIG_IGN);
}

/* ---- workers --------------------------------------------------------------------------------- */

static bool start_worker(berth_worker *worker, void *user)
{
    (void)user;
    return berth_signal_new(berth_worker_loop(worker), SIGUSR1, count, NULL) != NULL;
}

CASE(signal_in_each_worker, "signal.h workers.h", "each has a handler in its own loop")
{
    if (world_is_simulated())
        case_skip("workers have loops of the real kernel");
    static const berth_workers_handlers handlers = {.started = start_worker};
    berth_workers *workers = berth_workers_new(3, &handlers, NULL);
    ck_assert_ptr_nonnull(workers);
    ck_assert(berth_workers_start(workers));
    have_raised(SIGUSR1);
    for (int i = 0; i < 5000 && atomic_load(&calls) < 3; i++)
        usleep(1000);
    ck_assert_uint_eq(atomic_load(&calls), 3);
    berth_workers_free(workers);
}
