/*
 * The jobs of a pool: one queue for all its workers, and how their ends come back.
 *
 * A worker that is free takes the first job of the queue; so no job waits behind a long one while a
 * worker sleeps. Before a worker sleeps it puts itself into the list of the idle, under the lock
 * under which it found the queue empty. Who submits takes one out of the list and wakes it. A wake
 * is kept by the loop until its next wait, so that none is lost in between. The worker leaves the
 * list as soon as its wait has ended, whatever ended it: it may be long in a handler then. If it
 * was taken out for a job just before, it wakes the next of the list in its stead. Workers of a
 * pool that has never had a job do nothing of this.
 *
 * After a job its end is posted to its loop, where it is a task (loop/task.h); so many ends cost
 * one wake, and `done` runs among the posted tasks.
 *
 * Ending: a pool that stops, or whose last worker has ended, takes no more jobs, and cancels those
 * that wait; a job that runs is waited for, since its worker is joined.
 *
 * Ways to fail: no memory for a job, or no worker; both are reported when it is submitted.
 */
#include "workers.h"

#include "base/memory.h"
#include "loop/loop.h"

#include <errno.h>

/* A worker runs jobs for so long before it looks at its loop; longer only if one job takes longer.
 */
#define WHILE BERTH__MILLISECOND

void berth__jobs_init(berth__jobs *jobs)
{
    pthread_mutex_init(&jobs->lock, NULL);
    jobs->end = &jobs->first;
}

void berth__jobs_clear(berth__jobs *jobs, bool copy)
{
    if (!copy) /* else threads that are no more may hold it */
        pthread_mutex_destroy(&jobs->lock);
}

/* ---- the queue, under the lock --------------------------------------------------------------- */

static void enqueue(berth__jobs *jobs, berth_job *job)
{
    job->next = NULL;
    job->link = jobs->end;
    *jobs->end = job;
    jobs->end = &job->next;
    atomic_fetch_add_explicit(&jobs->waiting, 1, memory_order_relaxed);
}

static void dequeue(berth__jobs *jobs, berth_job *job)
{
    *job->link = job->next;
    if (job->next != NULL)
        job->next->link = job->link;
    else
        jobs->end = job->link;
    job->link = NULL;
    atomic_fetch_sub_explicit(&jobs->waiting, 1, memory_order_relaxed);
}

static void fall_asleep(berth__jobs *jobs, berth_worker *worker)
{
    assert(worker->idle_link == NULL);
    worker->next_idle = jobs->idle;
    worker->idle_link = &jobs->idle;
    if (jobs->idle != NULL)
        jobs->idle->idle_link = &worker->next_idle;
    jobs->idle = worker;
}

static void rise(berth_worker *worker)
{
    if (worker->idle_link == NULL)
        return;
    *worker->idle_link = worker->next_idle;
    if (worker->next_idle != NULL)
        worker->next_idle->idle_link = worker->idle_link;
    worker->idle_link = NULL;
}

/* Takes an idle worker out of the list, if there is one, and keeps its loop from being destroyed
 * until it is woken. */
static berth_worker *rouse(berth__jobs *jobs)
{
    berth_worker *worker = jobs->idle;
    if (worker == NULL)
        return NULL;
    rise(worker);
    atomic_fetch_add(&worker->loop->stoppers, 1);
    return worker;
}

/* Without the lock, else the worker would run into it at once. */
static void wake(berth_worker *worker)
{
    berth_loop *loop = worker->loop;
    loop->backend->operations->wake(loop->backend);
    atomic_fetch_sub(&loop->stoppers, 1);
}

/* ---- submitting and cancelling --------------------------------------------------------------- */

/* On the job's loop. A copy of the loop by fork releases the job, and nothing else. */
static void end(void *user)
{
    berth_job *job = user;
    if (!job->awaited.loop->inherited && job->done != NULL)
        job->done(job, job->awaited.cancelled, job->user);
    berth__release(job);
}

static bool withdraw(berth__awaited *awaited)
{
    berth_job *job = (berth_job *)awaited;
    berth__jobs *jobs = &job->workers->jobs;
    pthread_mutex_lock(&jobs->lock);
    bool waits = job->link != NULL;
    if (waits)
        dequeue(jobs, job);
    else
        atomic_store(&job->unwanted, true);
    pthread_mutex_unlock(&jobs->lock);
    return waits;
}

/* The workers sleep without having looked for jobs. */
static void wake_all(berth_workers *workers)
{
    for (int i = 0; i < workers->count; i++) {
        berth_worker *worker = workers->workers[i];
        pthread_mutex_lock(&worker->lock);
        if (atomic_load(&worker->state) == BERTH__WORKER_READY)
            berth_loop_wake(worker->loop);
        pthread_mutex_unlock(&worker->lock);
    }
}

static bool put(berth_workers *workers, berth_job *job)
{
    berth__jobs *jobs = &workers->jobs;
    berth_worker *idle = NULL;
    pthread_mutex_lock(&jobs->lock);
    bool open = jobs->takers > 0 && !atomic_load(&workers->leaving);
    if (open) {
        enqueue(jobs, job);
        idle = rouse(jobs);
    }
    /* Once it is released the job may be taken, and end. */
    bool first = open && !atomic_exchange(&jobs->used, true);
    pthread_mutex_unlock(&jobs->lock);
    if (idle != NULL)
        wake(idle);
    if (first)
        wake_all(workers);
    return open;
}

berth_job *berth_workers_submit(berth_workers *workers, berth_loop *loop, berth_job_work work,
                                berth_job_done done, void *user)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL)
        return NULL;
    if (berth__pool_is_copy(workers) || berth__loop_is_copy(loop)) {
        errno = ECHILD;
        return NULL;
    }
    berth_job *job = work != NULL ? berth__allocate_zero(sizeof *job) : NULL;
    if (job == NULL) {
        errno = work != NULL ? ENOMEM : EINVAL;
        return NULL;
    }
    job->awaited.end.run = end;
    job->awaited.withdraw = withdraw;
    job->workers = workers;
    job->work = work;
    job->done = done;
    job->user = user;
    berth__await(loop, &job->awaited);
    if (put(workers, job))
        return job;
    berth__await_not(&job->awaited);
    berth__release(job);
    errno = ESHUTDOWN;
    return NULL;
}

bool berth_job_cancel(berth_job *job)
{
    return !berth__loop_is_copy(job->awaited.loop) && berth__awaited_cancel(&job->awaited);
}

bool berth_job_cancel_requested(const berth_job *job)
{
    return atomic_load_explicit(&job->unwanted, memory_order_relaxed) ||
           atomic_load_explicit(&job->workers->leaving, memory_order_relaxed);
}

berth_worker *berth_job_worker(const berth_job *job)
{
    return job->worker;
}

size_t berth_workers_waiting_jobs(const berth_workers *workers)
{
    return atomic_load_explicit(&workers->jobs.waiting, memory_order_relaxed);
}

void berth__jobs_cancel_all(berth_workers *workers)
{
    berth__jobs *jobs = &workers->jobs;
    for (;;) {
        pthread_mutex_lock(&jobs->lock);
        berth_job *job = jobs->first;
        if (job != NULL)
            dequeue(jobs, job);
        pthread_mutex_unlock(&jobs->lock);
        if (job == NULL)
            return;
        /* A loop that is freed meanwhile finds it begun, and waits for it. */
        job->awaited.cancelled = true;
        berth__awaited_end(&job->awaited);
    }
}

/* ---- a worker -------------------------------------------------------------------------------- */

/* Whether handlers are called before the worker looks for jobs. */
static bool has_handlers(berth_loop *loop)
{
    uint64_t next;
    return loop->backend->ready.count > 0 || atomic_load(&loop->tasks_waiting) ||
           berth__sources_pending(&loop->sources, loop) ||
           (berth__deadlines_next(&loop->deadlines, &next) && next <= berth__loop_clock(loop));
}

/* The worker's wait has ended, and what comes may take long. If it was woken for a job too, another
 * worker that sleeps takes the job. */
static void awake(berth_loop *loop)
{
    berth_worker *worker = loop->awake_user;
    berth_workers *workers = worker->workers;
    berth__jobs *jobs = &workers->jobs;
    berth_worker *other = NULL;
    if (!worker->asleep || berth__pool_is_copy(workers))
        return;
    worker->asleep = false;
    pthread_mutex_lock(&jobs->lock);
    bool roused = worker->idle_link == NULL;
    rise(worker);
    if (roused && jobs->first != NULL && jobs->idle != NULL && has_handlers(loop))
        other = rouse(jobs);
    pthread_mutex_unlock(&jobs->lock);
    if (other != NULL)
        wake(other);
}

void berth__jobs_join(berth_worker *worker)
{
    berth__jobs *jobs = &worker->workers->jobs;
    worker->loop->awake_user = worker;
    worker->loop->awake = awake;
    pthread_mutex_lock(&jobs->lock);
    jobs->takers++;
    pthread_mutex_unlock(&jobs->lock);
}

void berth__jobs_leave(berth_worker *worker)
{
    berth__jobs *jobs = &worker->workers->jobs;
    if (berth__pool_is_copy(worker->workers))
        return;
    pthread_mutex_lock(&jobs->lock);
    bool last = --jobs->takers == 0;
    pthread_mutex_unlock(&jobs->lock);
    if (last)
        berth__jobs_cancel_all(worker->workers);
}

/* The next job; without one the worker is among the idle. */
static berth_job *take(berth_worker *worker)
{
    berth__jobs *jobs = &worker->workers->jobs;
    pthread_mutex_lock(&jobs->lock);
    berth_job *job = jobs->first;
    if (job != NULL)
        dequeue(jobs, job);
    else
        fall_asleep(jobs, worker);
    pthread_mutex_unlock(&jobs->lock);
    worker->asleep = job == NULL;
    return job;
}

/* The job may free its loop if that is this thread's: not before it has returned, since it would
 * wait for itself. */
static void run(berth_worker *worker, berth_job *job)
{
    berth_loop *loop = job->awaited.loop;
    bool own = pthread_equal(loop->thread, pthread_self()) != 0;
    job->worker = worker;
    if (own)
        loop->frames++;
    job->work(job, job->user);
    if (own)
        loop->frames--;
    if (!berth__pool_is_copy(worker->workers)) /* else it has forked, and the job is the parent's */
        berth__awaited_end(&job->awaited);
    if (own)
        berth__loop_leave(loop);
}

int berth__jobs_run(berth_worker *worker)
{
    berth_workers *workers = worker->workers;
    if (!atomic_load(&workers->jobs.used))
        return -1;
    uint64_t late = 0;
    while (!berth__pool_is_copy(workers) && !worker->loop->inherited) {
        berth_job *job = take(worker);
        if (job == NULL)
            return -1;
        if (late == 0)
            late = berth__loop_clock(worker->loop) + WHILE;
        run(worker, job);
        if (atomic_load(&workers->leaving) || berth__loop_clock(worker->loop) >= late)
            return 0;
    }
    return worker->loop->inherited ? 0 : -1;
}
