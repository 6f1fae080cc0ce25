/*
 * Jobs on a pool of workers: who runs them, in what order they start, and that `done` comes exactly
 * once and on the loop's thread, whatever is cancelled, stopped, freed or forked meanwhile.
 *
 * A job that is to run for long waits at a gate, which the case opens.
 */
#include "base/fault.h"
#include "children.h"
#include "scene.h"
#include "soon.h"

#include "loop/loop.h"
#include "loop/task.h"
#include "workers/workers.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

enum {
    MOST = 2000
};

/* What a job leaves behind. */
static struct {
    atomic_uint begun; /* jobs at their gate, or past it */
    atomic_uint worked;
    unsigned done;
    unsigned cancelled;
    unsigned starts[MOST]; /* numbers of jobs, in the order of their starts, of one worker */
    unsigned ends[MOST];   /* likewise of their ends */
    atomic_uint wrong;     /* things that must not be */
    atomic_bool gate;      /* closed: jobs wait */
    pthread_t loop_thread;
} seen;

static void must(bool condition)
{
    if (!condition)
        atomic_fetch_add(&seen.wrong, 1);
}

static void *number(unsigned value)
{
    return (void *)(uintptr_t)value;
}

static void work(berth_job *job, void *user)
{
    must(!pthread_equal(pthread_self(), seen.loop_thread));
    must(berth_worker_loop(berth_job_worker(job)) == berth_loop_current());
    unsigned place = atomic_fetch_add(&seen.begun, 1);
    seen.starts[place % MOST] = (unsigned)(uintptr_t)user;
    SOON(!atomic_load(&seen.gate));
    atomic_fetch_add(&seen.worked, 1);
}

static void done(berth_job *job, bool cancelled, void *user)
{
    must(job != NULL);
    must(pthread_equal(pthread_self(), seen.loop_thread));
    seen.ends[seen.done % MOST] = (unsigned)(uintptr_t)user;
    seen.done++;
    seen.cancelled += cancelled;
}

/* A pool without handlers. */
static berth_workers *pool_of(int count)
{
    real_kernel_only();
    seen.loop_thread = pthread_self();
    berth_workers *workers = berth_workers_new(count, NULL, NULL);
    ck_assert_ptr_nonnull(workers);
    ck_assert_msg(berth_workers_start(workers), "%s", berth_workers_error_string(workers));
    return workers;
}

static berth_job *submit(berth_workers *workers, unsigned value)
{
    berth_job *job = berth_workers_submit(workers, world_loop(), work, done, number(value));
    ck_assert_ptr_nonnull(job);
    return job;
}

static void pool_ended(berth_workers *workers)
{
    berth_workers_free(workers);
    ck_assert_uint_eq(atomic_load(&seen.wrong), 0);
}

/* ---- running --------------------------------------------------------------------------------- */

CASE(job_comes_back, "workers.h", "work on a worker's thread, done in a turn of the loop")
{
    berth_workers *workers = pool_of(1);
    submit(workers, 7);
    SOON(atomic_load(&seen.worked) == 1);
    ck_assert_uint_eq(seen.done, 0);
    while (seen.done == 0)
        berth_loop_turn(world_loop(), -1);
    ck_assert_uint_eq(seen.ends[0], 7);
    ck_assert_uint_eq(seen.cancelled, 0);
    ck_assert_uint_eq(berth_workers_waiting_jobs(workers), 0);
    pool_ended(workers);
}

static void stop_when_last(berth_job *job, bool cancelled, void *user)
{
    done(job, cancelled, user);
    if (seen.done == 100)
        berth_loop_stop(world_loop(), 5);
}

CASE(jobs_start_in_their_order, "workers.h", "the queue is first in, first out; a run waits for it")
{
    berth_workers *workers = pool_of(1);
    for (unsigned i = 0; i < 100; i++)
        ck_assert_ptr_nonnull(
            berth_workers_submit(workers, world_loop(), work, stop_when_last, number(i)));
    ck_assert_int_eq(berth_loop_run(world_loop()), 5);
    ck_assert_uint_eq(seen.done, 100);
    for (unsigned i = 0; i < 100; i++) {
        ck_assert_uint_eq(seen.starts[i], i);
        ck_assert_uint_eq(seen.ends[i], i);
    }
    pool_ended(workers);
}

static void pass_gate(berth_job *job, void *user)
{
    (void)job;
    must(user == NULL);
    atomic_fetch_add(&seen.worked, 1);
}

CASE(job_does_not_wait_behind_a_long_one, "workers.h", "while one worker is busy, another takes it")
{
    berth_workers *workers = pool_of(2);
    atomic_store(&seen.gate, true);
    submit(workers, 0);
    SOON(atomic_load(&seen.begun) == 1);
    for (unsigned i = 0; i < 50; i++) {
        ck_assert_ptr_nonnull(berth_workers_submit(workers, world_loop(), pass_gate, NULL, NULL));
        SOON(atomic_load(&seen.worked) == i + 1);
    }
    ck_assert_uint_eq(seen.done, 0);
    atomic_store(&seen.gate, false);
    UNTIL(seen.done == 1);
    pool_ended(workers);
}

static berth_loop *loops_of_workers[2];

static bool note_loop(berth_worker *worker, void *user)
{
    must(user == NULL);
    loops_of_workers[berth_worker_number(worker)] = berth_worker_loop(worker);
    return true;
}

static void wait_at_the_gate(void *user)
{
    must(user == NULL);
    atomic_fetch_add(&seen.begun, 1);
    SOON(!atomic_load(&seen.gate));
    atomic_fetch_add(&seen.worked, 1);
}

CASE(job_does_not_wait_behind_a_handler, "workers.h", "the worker that still sleeps takes it")
{
    static const berth_workers_handlers handlers = {.started = note_loop};
    real_kernel_only();
    seen.loop_thread = pthread_self();
    berth_workers *workers = berth_workers_new(2, &handlers, NULL);
    ck_assert(berth_workers_start(workers));
    for (unsigned i = 0; i < 20; i++) {
        unsigned before = atomic_load(&seen.worked);
        unsigned begun = atomic_load(&seen.begun);
        submit(workers, i); /* workers that have had a job look for the next */
        UNTIL(seen.done == i + 1);
        atomic_store(&seen.gate, true);
        ck_assert(berth_loop_post(loops_of_workers[i % 2], wait_at_the_gate, NULL));
        SOON(atomic_load(&seen.begun) == begun + 2);
        ck_assert_ptr_nonnull(berth_workers_submit(workers, world_loop(), pass_gate, NULL, NULL));
        SOON(atomic_load(&seen.worked) == before + 2);
        atomic_store(&seen.gate, false);
        SOON(atomic_load(&seen.worked) == before + 3);
    }
    pool_ended(workers);
}

/* The worker that is woken for the next job, once both sleep and have had the time to do so in the
 * kernel. */
static unsigned next_woken(berth_workers *workers)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    for (;;) {
        pthread_mutex_lock(&workers->jobs.lock);
        const berth_worker *first = workers->jobs.idle;
        const berth_worker *second = first != NULL ? first->next_idle : NULL;
        pthread_mutex_unlock(&workers->jobs.lock);
        (void)nanosleep(&pause, NULL);
        if (second != NULL)
            return (unsigned)berth_worker_number(first);
    }
}

CASE(job_does_not_wait_behind_what_came_before, "workers.h",
     "a worker that is woken for it, and has a handler to call first, leaves it to another")
{
    static const berth_workers_handlers handlers = {.started = note_loop};
    real_kernel_only();
    seen.loop_thread = pthread_self();
    berth_workers *workers = berth_workers_new(2, &handlers, NULL);
    ck_assert(berth_workers_start(workers));
    submit(workers, 0); /* workers that have had a job look for the next */
    UNTIL(seen.done == 1);
    for (unsigned i = 0; i < 20; i++) {
        unsigned before = atomic_load(&seen.worked);
        unsigned first = next_woken(workers);
        atomic_store(&seen.gate, true);
        ck_assert(berth_loop_post(loops_of_workers[first], wait_at_the_gate, NULL));
        ck_assert_ptr_nonnull(berth_workers_submit(workers, world_loop(), pass_gate, NULL, NULL));
        SOON(atomic_load(&seen.worked) == before + 1);
        atomic_store(&seen.gate, false);
        SOON(atomic_load(&seen.worked) == before + 2);
    }
    pool_ended(workers);
}

static const int signals_of_workers[2] = {SIGUSR1, SIGUSR2};
static berth__backend_operations slow_operations;
static int (*backends_wait)(berth__backend *backend, int64_t timeout);
static atomic_bool held; /* workers stay in their waits */

static int wait_and_stay(berth__backend *backend, int64_t timeout)
{
    int error = backends_wait(backend, timeout);
    SOON(!atomic_load(&held));
    return error;
}

static void wait_in_signal(berth_signal *signal, void *user)
{
    must(signal != NULL);
    wait_at_the_gate(user);
}

static bool stay_for_signals(berth_worker *worker, void *user)
{
    berth_loop *loop = berth_worker_loop(worker);
    int number = signals_of_workers[berth_worker_number(worker)];
    must(berth_signal_new(loop, number, wait_in_signal, NULL) != NULL);
    loop->backend->operations = &slow_operations;
    return note_loop(worker, user);
}

CASE(job_does_not_wait_behind_a_signal, "workers.h signal.h",
     "a worker that is woken for it, and for a signal as well, leaves it to another")
{
    static const berth_workers_handlers handlers = {.started = stay_for_signals};
    real_kernel_only();
    seen.loop_thread = pthread_self();
    slow_operations = *world_loop()->backend->operations;
    backends_wait = slow_operations.wait;
    slow_operations.wait = wait_and_stay;
    berth_workers *workers = berth_workers_new(2, &handlers, NULL);
    ck_assert(berth_workers_start(workers));
    submit(workers, 0); /* workers that have had a job look for the next */
    UNTIL(seen.done == 1);
    for (unsigned i = 0; i < 5; i++) {
        unsigned before = atomic_load(&seen.worked);
        unsigned first = next_woken(workers);
        atomic_store(&seen.gate, true);
        atomic_store(&held, true);
        ck_assert_int_eq(raise(signals_of_workers[first]), 0);
        ck_assert_ptr_nonnull(berth_workers_submit(workers, world_loop(), pass_gate, NULL, NULL));
        atomic_store(&held, false);
        SOON(atomic_load(&seen.worked) == before + 1);
        atomic_store(&seen.gate, false);
        SOON(atomic_load(&seen.worked) == before + 2);
    }
    pool_ended(workers);
}

CASE(waiting_jobs_are_counted, "workers.h", "not those that run, nor those that were cancelled")
{
    berth_workers *workers = pool_of(1);
    atomic_store(&seen.gate, true);
    submit(workers, 0);
    SOON(atomic_load(&seen.begun) == 1);
    ck_assert_uint_eq(berth_workers_waiting_jobs(workers), 0);
    submit(workers, 1);
    berth_job *second = submit(workers, 2);
    ck_assert_uint_eq(berth_workers_waiting_jobs(workers), 2);
    ck_assert(berth_job_cancel(second));
    ck_assert_uint_eq(berth_workers_waiting_jobs(workers), 1);
    atomic_store(&seen.gate, false);
    UNTIL(seen.done == 3);
    ck_assert_uint_eq(berth_workers_waiting_jobs(workers), 0);
    pool_ended(workers);
}

CASE(many_ends_come_in_one_turn, "workers.h", "what has ended meanwhile costs the loop one wake")
{
    berth_workers *workers = pool_of(2);
    for (unsigned i = 0; i < MOST; i++)
        submit(workers, i);
    SOON(atomic_load(&seen.worked) == MOST);
    SOON(berth__awaited_count(world_loop()) == 0);
    berth_loop_counts before;
    berth_loop_counts after;
    berth_loop_statistics(world_loop(), &before);
    ck_assert(berth_loop_turn(world_loop(), -1));
    berth_loop_statistics(world_loop(), &after);
    ck_assert_uint_eq(seen.done, MOST);
    ck_assert_uint_eq(after.turns, before.turns + 1);
    pool_ended(workers);
}

static berth_workers *pool;

static void submit_once_more(berth_job *job, bool cancelled, void *user)
{
    done(job, cancelled, user);
    if (seen.done < 20)
        must(berth_workers_submit(pool, world_loop(), work, submit_once_more, user) != NULL);
}

CASE(done_submits_the_next, "workers.h", "one after the other, each in a turn of its own")
{
    pool = pool_of(2);
    ck_assert_ptr_nonnull(
        berth_workers_submit(pool, world_loop(), work, submit_once_more, number(3)));
    UNTIL(seen.done == 20);
    ck_assert_uint_eq(atomic_load(&seen.worked), 20);
    pool_ended(pool);
}

static atomic_uint inner_done;

static void inner_ended(berth_job *job, bool cancelled, void *user)
{
    berth_worker *worker = user;
    must(job != NULL && !cancelled);
    must(berth_worker_loop(worker) == berth_loop_current());
    atomic_fetch_add(&inner_done, 1);
}

static void inner_work(berth_job *job, void *user)
{
    must(berth_job_worker(job) != NULL && user != NULL);
}

static void submit_inside(berth_job *job, void *user)
{
    must(user == NULL);
    /* To the worker's own loop: its thread's. */
    must(berth_workers_submit(pool, NULL, inner_work, inner_ended, berth_job_worker(job)) != NULL);
}

CASE(work_submits_to_its_own_loop, "workers.h", "NULL means the worker's loop there, which turns")
{
    pool = pool_of(2);
    for (int i = 0; i < 10; i++)
        ck_assert_ptr_nonnull(berth_workers_submit(pool, world_loop(), submit_inside, done, NULL));
    UNTIL(seen.done == 10);
    SOON(atomic_load(&inner_done) == 10);
    pool_ended(pool);
}

static void *submit_many(void *workers)
{
    for (unsigned i = 0; i < MOST / 4; i++)
        must(berth_workers_submit(workers, world_loop(), work, done, number(i)) != NULL);
    return NULL;
}

CASE(threads_submit_at_once, "workers.h", "each job is worked once and ends once")
{
    berth_workers *workers = pool_of(3);
    pthread_t threads[4];
    world_loop();
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, submit_many, workers), 0);
    while (seen.done < MOST)
        berth_loop_turn(world_loop(), -1);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(atomic_load(&seen.worked), MOST);
    pool_ended(workers);
}

/* ---- refusing -------------------------------------------------------------------------------- */

CASE(job_is_refused, "workers.h", "a pool that is not started, or stopped; no work")
{
    real_kernel_only();
    berth_workers *workers = berth_workers_new(1, NULL, NULL);
    errno = 0;
    ck_assert_ptr_null(berth_workers_submit(workers, world_loop(), work, done, NULL));
    ck_assert_int_eq(errno, ESHUTDOWN);
    ck_assert(berth_workers_start(workers));
    ck_assert_ptr_null(berth_workers_submit(workers, world_loop(), NULL, done, NULL));
    ck_assert_int_eq(errno, EINVAL);
    berth_workers_stop(workers);
    errno = 0;
    ck_assert_ptr_null(berth_workers_submit(workers, world_loop(), work, done, NULL));
    ck_assert_int_eq(errno, ESHUTDOWN);
    ck_assert(berth_workers_start(workers));
    seen.loop_thread = pthread_self();
    submit(workers, 1);
    UNTIL(seen.done == 1);
    pool_ended(workers);
}

CASE(job_without_memory, "workers.h", "is refused when it is submitted, and needs none afterwards")
{
    berth_workers *workers = pool_of(1);
    world_loop();
    berth__fault_set_memory(0, 1);
    errno = 0;
    ck_assert_ptr_null(berth_workers_submit(workers, world_loop(), work, done, NULL));
    ck_assert_int_eq(errno, ENOMEM);
    berth__fault_set_memory(1, 1000);
    berth_job *job = berth_workers_submit(workers, world_loop(), work, done, NULL);
    while (job != NULL && seen.done == 0)
        berth_loop_turn(world_loop(), -1);
    long failed = berth__fault_memory_failed();
    berth__fault_clear();
    ck_assert_ptr_nonnull(job);
    ck_assert_int_eq(failed, 0);
    pool_ended(workers);
}

/* ---- cancelling ------------------------------------------------------------------------------ */

CASE(waiting_job_is_cancelled, "workers.h", "work is not called, and done comes in a turn")
{
    berth_workers *workers = pool_of(1);
    atomic_store(&seen.gate, true);
    submit(workers, 0);
    berth_job *job = submit(workers, 1);
    SOON(atomic_load(&seen.begun) == 1);
    ck_assert(berth_job_cancel(job));
    ck_assert_uint_eq(seen.done, 0);
    ck_assert(!berth_job_cancel(job));
    UNTIL(seen.done == 1);
    ck_assert_uint_eq(seen.cancelled, 1);
    ck_assert_uint_eq(seen.ends[0], 1);
    atomic_store(&seen.gate, false);
    UNTIL(seen.done == 2);
    ck_assert_uint_eq(seen.cancelled, 1);
    ck_assert_uint_eq(atomic_load(&seen.worked), 1);
    pool_ended(workers);
}

static void work_until_asked(berth_job *job, void *user)
{
    must(user == NULL);
    atomic_fetch_add(&seen.begun, 1);
    SOON(berth_job_cancel_requested(job));
    atomic_fetch_add(&seen.worked, 1);
}

CASE(running_job_is_asked_to_end, "workers.h", "a job that runs is finished, and may ask whether")
{
    berth_workers *workers = pool_of(1);
    berth_job *job = berth_workers_submit(workers, world_loop(), work_until_asked, done, NULL);
    SOON(atomic_load(&seen.begun) == 1);
    ck_assert(!berth_job_cancel(job));
    UNTIL(seen.done == 1);
    ck_assert_uint_eq(seen.cancelled, 0);
    pool_ended(workers);
}

static berth_job *jobs[MOST];

CASE(jobs_are_cancelled_while_they_start, "workers.h", "each is worked or cancelled, and ends once")
{
    berth_workers *workers = pool_of(2);
    unsigned withdrawn = 0;
    for (unsigned i = 0; i < MOST; i++) {
        jobs[i] = submit(workers, i);
        /* No turn in between: all of them exist. */
        withdrawn += berth_job_cancel(jobs[i / 2 + i % 2]);
    }
    while (seen.done < MOST)
        berth_loop_turn(world_loop(), -1);
    ck_assert_uint_eq(seen.cancelled, withdrawn);
    ck_assert_uint_eq(atomic_load(&seen.worked), MOST - withdrawn);
    pool_ended(workers);
}

/* ---- the end of the pool, and of the loop ---------------------------------------------------- */

static void *open_gate(void *waits)
{
    SOON(atomic_load(&seen.begun) == 1);
    berth_workers *workers = waits;
    SOON(workers == NULL || berth_workers_waiting_jobs(workers) == 0);
    atomic_store(&seen.gate, false);
    return NULL;
}

CASE(pool_is_freed_with_jobs, "workers.h",
     "those that wait are cancelled, the one that runs is finished; done comes in the next turn")
{
    berth_workers *workers = pool_of(1);
    pthread_t opener;
    atomic_store(&seen.gate, true);
    for (unsigned i = 0; i < 10; i++)
        submit(workers, i);
    SOON(atomic_load(&seen.begun) == 1);
    ck_assert_int_eq(pthread_create(&opener, NULL, open_gate, workers), 0);
    pool_ended(workers);
    pthread_join(opener, NULL);
    ck_assert_uint_eq(seen.done, 0);
    berth_loop_turn(world_loop(), 0);
    ck_assert_uint_eq(seen.done, 10);
    ck_assert_uint_eq(seen.cancelled, 9);
    ck_assert_uint_eq(atomic_load(&seen.worked), 1);
}

CASE(cancel_after_the_pool_is_freed, "workers.h", "a job whose done is still to come: too late")
{
    berth_workers *workers = pool_of(1);
    berth_job *job = submit(workers, 1);
    SOON(atomic_load(&seen.worked) == 1);
    pool_ended(workers);
    ck_assert(!berth_job_cancel(job));
    UNTIL(seen.done == 1);
    ck_assert_uint_eq(seen.cancelled, 0);
}

CASE(loop_is_freed_with_jobs, "workers.h loop.h",
     "it cancels its jobs, waits for the one that runs, and calls done for each; the pool goes on")
{
    berth_workers *workers = pool_of(1);
    pthread_t opener;
    berth_loop *loop = berth_loop_new(NULL);
    ck_assert_ptr_nonnull(loop);
    atomic_store(&seen.gate, true);
    for (unsigned i = 0; i < 10; i++)
        ck_assert_ptr_nonnull(berth_workers_submit(workers, loop, work, done, number(i)));
    SOON(atomic_load(&seen.begun) == 1);
    ck_assert_int_eq(pthread_create(&opener, NULL, open_gate, workers), 0);
    berth_loop_free(loop);
    pthread_join(opener, NULL);
    ck_assert_uint_eq(seen.done, 10);
    ck_assert_uint_eq(seen.cancelled, 9);
    submit(workers, 11);
    UNTIL(seen.done == 11);
    pool_ended(workers);
}

static void free_loop_in_done(berth_job *job, bool cancelled, void *user)
{
    done(job, cancelled, number(0));
    berth_loop_free(user);
}

CASE(done_frees_the_loop, "workers.h loop.h", "other jobs of it end first")
{
    berth_workers *workers = pool_of(2);
    berth_loop *loop = berth_loop_new(NULL);
    ck_assert_ptr_nonnull(berth_workers_submit(workers, loop, work, free_loop_in_done, loop));
    for (unsigned i = 0; i < 20; i++)
        ck_assert_ptr_nonnull(berth_workers_submit(workers, loop, work, done, number(i)));
    berth_loop_run(loop);
    ck_assert_uint_eq(seen.done, 21);
    pool_ended(workers);
}

static void work_that_frees_its_loop(berth_job *job, void *user)
{
    must(job != NULL);
    berth_loop_free(user);
    atomic_fetch_add(&seen.worked, 1);
}

static void ended_in_free(berth_job *job, bool cancelled, void *user)
{
    must(job != NULL && user != NULL && !cancelled);
    must(atomic_load(&seen.worked) == 1);
    atomic_fetch_add(&inner_done, 1);
}

static bool start_with_a_job(berth_worker *worker, void *user)
{
    (void)user;
    berth_loop *loop = berth_loop_new(NULL);
    return loop != NULL && berth_worker_number(worker) == 0 &&
           berth_workers_submit(pool, loop, work_that_frees_its_loop, ended_in_free, loop) != NULL;
}

CASE(work_frees_the_loop_of_its_job, "workers.h loop.h", "after it has returned, not inside")
{
    static const berth_workers_handlers handlers = {.started = start_with_a_job};
    real_kernel_only();
    pool = berth_workers_new(1, &handlers, NULL);
    ck_assert(berth_workers_start(pool));
    SOON(atomic_load(&inner_done) == 1);
    pool_ended(pool);
}

static atomic_bool stopped;

static void stopping(berth_worker *worker, void *user)
{
    (void)worker;
    (void)user;
    atomic_store(&stopped, true);
}

static void ended_before_stopping(berth_job *job, bool cancelled, void *user)
{
    must(job != NULL && user == NULL && cancelled);
    must(!atomic_load(&stopped));
    atomic_fetch_add(&inner_done, 1);
}

static void submit_two_and_wait(berth_job *job, void *user)
{
    must(user == NULL);
    for (int i = 0; i < 2; i++)
        must(berth_workers_submit(pool, NULL, work, ended_before_stopping, NULL) != NULL);
    atomic_fetch_add(&seen.begun, 1);
    SOON(berth_job_cancel_requested(job));
}

CASE(workers_own_jobs_end_before_it_stops, "workers.h", "done comes before `stopping`")
{
    static const berth_workers_handlers handlers = {.stopping = stopping};
    real_kernel_only();
    seen.loop_thread = pthread_self();
    pool = berth_workers_new(1, &handlers, NULL);
    ck_assert(berth_workers_start(pool));
    ck_assert_ptr_nonnull(
        berth_workers_submit(pool, world_loop(), submit_two_and_wait, done, NULL));
    SOON(atomic_load(&seen.begun) == 1);
    pool_ended(pool);
    ck_assert_uint_eq(atomic_load(&inner_done), 2);
    UNTIL(seen.done == 1);
}

static void *submit_until_refused(void *count)
{
    while (berth_workers_submit(pool, world_loop(), work, done, NULL) != NULL)
        atomic_fetch_add((atomic_uint *)count, 1);
    must(errno == ESHUTDOWN);
    return NULL;
}

CASE(pool_stops_while_threads_submit, "workers.h", "each job that was taken ends once")
{
    static atomic_uint taken;
    pool = pool_of(2);
    pthread_t threads[3];
    world_loop();
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, submit_until_refused, &taken), 0);
    SOON(atomic_load(&taken) > 100);
    berth_workers_stop(pool);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    UNTIL(seen.done == atomic_load(&taken));
    ck_assert_uint_eq(atomic_load(&seen.worked), seen.done - seen.cancelled);
    pool_ended(pool);
}

static void yield(berth_job *job, void *user)
{
    must(job != NULL && user == NULL);
    for (int i = 0; i < 20; i++)
        sched_yield();
}

static void count_inner(berth_job *job, bool cancelled, void *user)
{
    (void)cancelled;
    must(job != NULL && user == NULL);
    atomic_fetch_add(&inner_done, 1);
}

static void *submit_and_leave(void *user)
{
    for (int i = 0; i < 20; i++)
        must(berth_workers_submit(user, NULL, yield, count_inner, NULL) != NULL);
    return NULL;
}

CASE(thread_ends_with_jobs, "workers.h loop.h", "its own loop waits for them, and calls done")
{
    berth_workers *workers = pool_of(2);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, submit_and_leave, workers), 0);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(atomic_load(&inner_done), 20);
    pool_ended(workers);
}

/* A loop of its own thread, freed with jobs on their way, while the pool is freed. */
static void *submit_and_free(void *user)
{
    berth_loop *loop = berth_loop_current();
    for (int i = 0; loop != NULL && i < 50; i++)
        must(berth_workers_submit(pool, loop, yield, count_inner, NULL) != NULL);
    atomic_fetch_add((atomic_uint *)user, 1);
    /* No ring is made while another is unmapped, which the thread sanitizer does not see. */
    SOON(atomic_load((atomic_uint *)user) >= 3);
    berth_loop_free(loop);
    return NULL;
}

CASE(loops_are_freed_while_the_pool_is, "workers.h loop.h", "neither waits for ever")
{
    static atomic_uint submitted;
    for (int round = 0; round < 20; round++) {
        pool = pool_of(2);
        pthread_t threads[3];
        atomic_store(&submitted, 0);
        atomic_store(&inner_done, 0);
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, submit_and_free, &submitted), 0);
        SOON(atomic_load(&submitted) == 3);
        berth_workers_free(pool);
        for (int i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
        ck_assert_uint_eq(atomic_load(&inner_done), 150);
        ck_assert_uint_eq(atomic_load(&seen.wrong), 0);
    }
}

static berth_loop *ending;

static void submit_one_more_at_the_end(berth_job *job, bool cancelled, void *user)
{
    done(job, cancelled, user);
    atomic_store(&seen.gate, true);
    must(berth_workers_submit(pool, ending, work, done, number(2)) != NULL);
    SOON(atomic_load(&seen.begun) == 2);
}

static uint64_t (*now)(berth__backend *backend);

/* The loop, which has found nothing more to do, looks at the time before it looks for what it
 * awaits: in between its last job ends. */
static uint64_t now_and_let_the_job_end(berth__backend *backend)
{
    if (ending->life == BERTH__LOOP_ENDING && seen.done == 0) {
        atomic_store(&seen.gate, false);
        SOON(berth__awaited_count(ending) == 0);
    }
    return now(backend);
}

static void *open_second_gate(void *user)
{
    SOON(atomic_load(&seen.begun) == 2);
    for (int i = 0; i < 1000; i++)
        sched_yield();
    atomic_store(&seen.gate, false);
    return user;
}

CASE(last_done_of_a_freed_loop_submits, "workers.h loop.h", "the loop waits for that job too")
{
    pool = pool_of(1);
    pthread_t opener;
    ending = berth_loop_new(NULL);
    ck_assert_ptr_nonnull(ending);
    berth__backend_operations operations = *ending->backend->operations;
    now = operations.now;
    operations.now = now_and_let_the_job_end;
    ending->backend->operations = &operations;
    atomic_store(&seen.gate, true);
    ck_assert_ptr_nonnull(
        berth_workers_submit(pool, ending, work, submit_one_more_at_the_end, number(1)));
    SOON(atomic_load(&seen.begun) == 1);
    ck_assert_int_eq(pthread_create(&opener, NULL, open_second_gate, NULL), 0);
    berth_loop_free(ending);
    ck_assert_uint_eq(seen.done, 2);
    ck_assert_uint_eq(atomic_load(&seen.worked), 2);
    pthread_join(opener, NULL);
    pool_ended(pool);
}

static bool has_begun(berth__awaited *awaited)
{
    must(awaited != NULL);
    return false;
}

/* What a submit that is refused does at its end. */
static void *await_not(void *awaited)
{
    struct timespec pause = {.tv_nsec = 20000000};
    (void)nanosleep(&pause, NULL);
    berth__await_not(awaited);
    return NULL;
}

CASE(job_not_taken_holds_no_loop, "workers.h task.h",
     "a loop that has seen a job, and waits for it, is woken when that is refused")
{
    real_kernel_only();
    pthread_t refuser;
    berth_loop *loop = berth_loop_new(NULL);
    ck_assert_ptr_nonnull(loop);
    berth__awaited awaited = {.withdraw = has_begun};
    berth__await(loop, &awaited);
    ck_assert_int_eq(pthread_create(&refuser, NULL, await_not, &awaited), 0);
    berth__awaited_settle(loop);
    pthread_join(refuser, NULL);
    ck_assert_uint_eq(berth__awaited_count(loop), 0);
    berth_loop_free(loop);
}
