/*
 * The loops of the process, and what fork does to them. See process.h.
 *
 * Before fork the list is locked, and so are the tasks of the loops of the thread that forks, which
 * is the only one that the child will have: their lists are whole in the child then. Loops of other
 * threads may be anywhere in the middle of something. They stay in the list for ever, where tools
 * that look for lost memory find them, and are never touched.
 *
 * Threads may fork at the same time, and each then has to wait while the kernel copies for another:
 * tens of milliseconds for a large process. A signal handler that forks may have interrupted
 * whoever holds a lock, on the same thread; so a lock is not waited for without end. If what it has
 * interrupted is a fork, it takes what that has not taken yet, and leaves all to that: the outer
 * one releases it in the parent, and the inner one in its child.
 */
#include "process.h"

#include "disposition.h"
#include "loop.h"
#include "task.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

enum {
    YIELDS = 1000,
    PAUSES = 1000 /* of a millisecond */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool watched; /* fork calls the handlers */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool holding; /* this thread has `lock` */
static _Thread_local bool locked;  /* for the fork that it is in */
static berth_loop *loops;
static unsigned forks;
static _Atomic(pthread_mutex_t *) guarded; /* the lock of an upper layer */
static _Thread_local bool guards;          /* this thread has that, for the fork that it is in */
static _Thread_local unsigned nested;      /* forks that it is in */

static bool take(pthread_mutex_t *mutex)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int attempt = 0; attempt < YIELDS + PAUSES; attempt++) {
        if (pthread_mutex_trylock(mutex) == 0)
            return true;
        if (attempt < YIELDS)
            sched_yield();
        else
            (void)nanosleep(&pause, NULL);
    }
    return false;
}

static void lock_list(void)
{
    holding = true; /* before: a signal handler may fork in between */
    pthread_mutex_lock(&lock);
}

static void unlock_list(void)
{
    pthread_mutex_unlock(&lock);
    holding = false;
}

static void guard(void)
{
    pthread_mutex_t *mutex = atomic_load(&guarded);
    if (mutex != NULL && !guards && take(mutex))
        guards = true;
}

static void guard_no_more(bool child)
{
    pthread_mutex_t *mutex = atomic_load(&guarded);
    if (guards)
        pthread_mutex_unlock(mutex);
    else if (child && mutex != NULL) /* a thread may have it that the child does not have */
        *mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    guards = false;
}

static void before(void)
{
    /* Not only when it is done: other threads end connections while the kernel copies. */
    berth__note_copies();
    nested++;
    berth__dispositions_before_fork(take);
    guard();
    if (!locked && !holding && take(&lock))
        locked = holding = true;
    if (!locked)
        return;
    for (berth_loop *loop = loops; loop != NULL; loop = loop->next_loop) {
        const berth__backend_operations *operations = loop->backend->operations;
        if (!pthread_equal(loop->thread, pthread_self()))
            continue;
        if (!loop->held && take(&loop->lock))
            loop->held = true;
        if (nested == 1 && operations->before_fork != NULL)
            operations->before_fork(loop->backend);
    }
}

static void release(berth_loop *loop)
{
    if (loop->held)
        pthread_mutex_unlock(&loop->lock);
    loop->held = false;
}

static void in_parent(void)
{
    if (nested > 0 && --nested > 0)
        return;
    berth__dispositions_in_parent();
    guard_no_more(false);
    if (!locked)
        return;
    for (berth_loop *loop = loops; loop != NULL; loop = loop->next_loop)
        release(loop);
    locked = false;
    unlock_list();
}

/* Those that other threads were writing are not there. */
static void keep_whole_stops(berth_loop *loop)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < BERTH__STOPS; i++) {
        atomic_int *state = &loop->stops[i].state;
        if (atomic_load(state) == 2)
            kept++;
        else
            atomic_store(state, 0);
    }
    atomic_store(&loop->stops_kept, kept);
}

/* A loop that is simulated has nothing to share. */
static void inherit(berth_loop *loop)
{
    if (loop->backend->operations->inherit == NULL)
        return;
    loop->inherited = true;
    loop->abandoned = !loop->held;
    loop->deadlines.halted = true;
    atomic_store(&loop->stoppers, 0);
    keep_whole_stops(loop);
    if (!loop->abandoned)
        loop->backend->operations->inherit(loop->backend);
}

static void in_child(void)
{
    nested -= nested > 0;
    berth__dispositions_in_child();
    guard_no_more(true);
    forks++;
    for (berth_loop *loop = loops; loop != NULL; loop = loop->next_loop) {
        inherit(loop);
        release(loop);
    }
    if (locked)
        unlock_list();
    else if (!holding) /* another thread has it, which the child does not have */
        lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    locked = false;
}

static void watch(void)
{
    watched = pthread_atfork(before, in_parent, in_child) == 0;
}

bool berth__process_watch(void)
{
    pthread_once(&once, watch);
    return watched;
}

void berth__process_guard(pthread_mutex_t *mutex)
{
    (void)berth__process_watch();
    atomic_store(&guarded, mutex);
}

unsigned berth__process_forks(void)
{
    return forks;
}

bool berth__process_join(berth_loop *loop)
{
    if (!berth__process_watch())
        return false;
    lock_list();
    loop->next_loop = loops;
    loop->loop_link = &loops;
    if (loops != NULL)
        loops->loop_link = &loop->next_loop;
    loops = loop;
    unlock_list();
    return true;
}

void berth__process_leave(berth_loop *loop)
{
    lock_list();
    *loop->loop_link = loop->next_loop;
    if (loop->next_loop != NULL)
        loop->next_loop->loop_link = loop->loop_link;
    unlock_list();
}

/* ---- the child's own ---------------------------------------------------------------------------
 */

bool berth_loop_after_fork(berth_loop *loop)
{
    loop = loop != NULL ? loop : berth__loop_of_thread();
    if (loop == NULL || !loop->inherited)
        return loop != NULL || berth_loop_current() != NULL;
    if (loop->abandoned || loop->life == BERTH__LOOP_ENDING) {
        errno = ECHILD;
        return false;
    }
    int error = loop->backend->inherited->renew(loop->backend);
    if (error != 0) {
        errno = error;
        return false;
    }
    loop->inherited = false;
    loop->deadlines.halted = false;
    for (berth__parting *parting = loop->partings; parting != NULL; parting = parting->outer) {
        if (parting->stream != NULL)
            loop->backend->operations->renew_stream(loop->backend, parting->stream);
    }
    berth__sources_renew(&loop->sources, loop);
    berth__objects_renew(loop->objects);
    berth__awaited_renew(loop);
    /* A wake or a stop that came meanwhile is not lost. */
    loop->backend->operations->wake(loop->backend);
    return true;
}
