/*
 * The loops of the process, and what fork does to them. See process.h.
 *
 * Before fork the list is locked, and so are the tasks of the loops of the thread that forks, which
 * is the only one that the child will have: their lists are whole in the child then. Loops of other
 * threads may be anywhere in the middle of something. They stay in the list for ever, where tools
 * that look for lost memory find them, and are never touched.
 *
 * A signal handler that forks may have interrupted whoever holds a lock, on the same thread; so it
 * is not waited for without end.
 */
#include "process.h"

#include "loop.h"

#include <pthread.h>
#include <sched.h>

#define MOST_ATTEMPTS 10000

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool watched; /* fork calls the handlers */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool locked; /* by fork */
static berth_loop *loops;

static bool take(pthread_mutex_t *mutex)
{
    for (int attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
        if (pthread_mutex_trylock(mutex) == 0)
            return true;
        sched_yield();
    }
    return false;
}

static void before(void)
{
    bool taken = take(&lock);
    if (!taken)
        return;
    locked = true;
    for (berth_loop *loop = loops; loop != NULL; loop = loop->next_loop) {
        if (pthread_equal(loop->thread, pthread_self()))
            loop->held = take(&loop->lock);
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
    if (!locked)
        return;
    for (berth_loop *loop = loops; loop != NULL; loop = loop->next_loop)
        release(loop);
    locked = false;
    pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
    for (berth_loop *loop = loops; loop != NULL; loop = loop->next_loop) {
        loop->inherited = true;
        loop->abandoned = !pthread_equal(loop->thread, pthread_self());
        release(loop);
    }
    if (locked)
        pthread_mutex_unlock(&lock);
    locked = false;
}

static void watch(void)
{
    watched = pthread_atfork(before, in_parent, in_child) == 0;
}

bool berth__process_join(berth_loop *loop)
{
    pthread_once(&once, watch);
    if (!watched)
        return false;
    pthread_mutex_lock(&lock);
    loop->next_loop = loops;
    loop->loop_link = &loops;
    if (loops != NULL)
        loops->loop_link = &loop->next_loop;
    loops = loop;
    pthread_mutex_unlock(&lock);
    return true;
}

void berth__process_leave(berth_loop *loop)
{
    pthread_mutex_lock(&lock);
    *loop->loop_link = loop->next_loop;
    if (loop->next_loop != NULL)
        loop->next_loop->loop_link = loop->loop_link;
    pthread_mutex_unlock(&lock);
}
