/*
 * Jobs on a pool of workers, and fork: a child has no workers, so its jobs end as cancelled if it
 * takes over the loop, and not at all if it only frees its copy.
 *
 * A job that is to run for long waits at a gate, which the case opens.
 */
#include "children.h"
#include "scene.h"
#include "soon.h"

#include "loop/task.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

static berth_workers *pool;

static struct {
    atomic_uint begun;
    atomic_uint worked;
    atomic_bool gate; /* closed: jobs wait */
    unsigned done;
    unsigned cancelled;
    unsigned ends[8]; /* numbers of jobs, in the order of their ends */
} seen;

static void *number(unsigned value)
{
    return (void *)(uintptr_t)value;
}

static void work(berth_job *job, void *user)
{
    (void)job;
    (void)user;
    atomic_fetch_add(&seen.begun, 1);
    SOON(!atomic_load(&seen.gate));
    atomic_fetch_add(&seen.worked, 1);
}

static void done(berth_job *job, bool cancelled, void *user)
{
    (void)job;
    seen.ends[seen.done++ % 8] = (unsigned)(uintptr_t)user;
    seen.cancelled += cancelled;
}

static void start_pool(int count)
{
    real_kernel_only();
    pool = berth_workers_new(count, NULL, NULL);
    ck_assert_ptr_nonnull(pool);
    ck_assert(berth_workers_start(pool));
}

static berth_job *submit(unsigned value)
{
    berth_job *job = berth_workers_submit(pool, world_loop(), work, done, number(value));
    ck_assert_ptr_nonnull(job);
    return job;
}

/* One has ended, one runs at its gate, and two wait. */
static berth_job *four_jobs(void)
{
    submit(0);
    SOON(atomic_load(&seen.worked) == 1);
    SOON(berth__awaited_count(world_loop()) == 0);
    atomic_store(&seen.gate, true);
    submit(1);
    SOON(atomic_load(&seen.begun) == 2);
    submit(2);
    return submit(3);
}

static void four_jobs_end(void)
{
    atomic_store(&seen.gate, false);
    UNTIL(seen.done == 4);
    ck_assert_uint_eq(seen.cancelled, 0);
    berth_workers_free(pool);
}

static void end_as_cancelled(berth_job *job)
{
    MUST(berth_loop_after_fork(world_loop()));
    MUST(!berth_job_cancel(job));
    for (int i = 0; i < 10; i++)
        berth_loop_turn(world_loop(), 0);
    MUST(seen.done == 4 && seen.cancelled == 3);
    for (unsigned i = 0; i < 4; i++)
        MUST(seen.ends[i] == i);
    errno = 0;
    MUST(berth_workers_submit(pool, world_loop(), work, done, NULL) == NULL && errno == ECHILD);
    berth_workers_free(pool);

    atomic_store(&seen.gate, false);
    pool = berth_workers_new(1, NULL, NULL);
    MUST(berth_workers_start(pool));
    MUST(berth_workers_submit(pool, world_loop(), work, done, number(4)) != NULL);
    while (seen.done < 5)
        berth_loop_turn(world_loop(), -1);
    MUST(seen.cancelled == 3);
    berth_workers_free(pool);
}

CASE(child_takes_over_a_loop_with_jobs, "reliability 23",
     "jobs that had not ended are cancelled there, and go on in the parent")
{
    start_pool(1);
    berth_job *job = four_jobs();
    pid_t child = begin_child();
    if (child == 0) {
        end_as_cancelled(job);
        _exit(0);
    }
    end_child(child);
    four_jobs_end();
}

CASE(child_frees_a_loop_with_jobs, "reliability 23", "no handler is called, and nothing waited for")
{
    start_pool(1);
    berth_job *job = four_jobs();
    pid_t child = begin_child();
    if (child == 0) {
        MUST(!berth_job_cancel(job) && errno == ECHILD);
        MUST(berth_workers_submit(pool, world_loop(), work, done, NULL) == NULL);
        berth_loop_free(world_loop());
        berth_workers_free(pool);
        MUST(seen.done == 0);
        _exit(0);
    }
    end_child(child);
    four_jobs_end();
}

static atomic_int forked;

/* The stacks of the threads that it does not have are no place to look for lost memory from. */
static void exit_unexamined(void)
{
    _exit(0);
}

static void fork_in_work(berth_job *job, void *user)
{
    pid_t child = begin_child();
    if (child == 0) {
        MUST(job != NULL && user == NULL);
        MUST(berth_workers_submit(pool, NULL, work, done, NULL) == NULL);
        MUST(atexit(exit_unexamined) == 0);
        return; /* which ends the child's only thread */
    }
    atomic_store(&forked, child);
}

CASE(work_forks_and_returns, "reliability 23", "the job ends in the parent only")
{
    start_pool(2);
    ck_assert_ptr_nonnull(berth_workers_submit(pool, world_loop(), fork_in_work, done, NULL));
    UNTIL(seen.done == 1);
    end_child(atomic_load(&forked));
    submit(1);
    UNTIL(seen.done == 2);
    berth_workers_free(pool);
}
