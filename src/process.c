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

#include "connect.h"
#include "linger.h"
#include "resolve.h"
#include "server.h"
#include "socket.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define MOST_ATTEMPTS 10000

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool watched; /* fork calls the handlers */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool locked; /* by fork */
static berth_loop *loops;
static unsigned forks;
static atomic_bool copied; /* somebody may hold copies of what was open then */

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
    /* Not only when it is done: other threads end connections while the kernel copies. */
    atomic_store(&copied, true);
    bool taken = take(&lock);
    if (!taken)
        return;
    locked = true;
    for (berth_loop *loop = loops; loop != NULL; loop = loop->next_loop) {
        const berth__backend_operations *operations = loop->backend->operations;
        if (!pthread_equal(loop->thread, pthread_self()))
            continue;
        loop->held = take(&loop->lock);
        if (operations->before_fork != NULL)
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
    if (!locked)
        return;
    for (berth_loop *loop = loops; loop != NULL; loop = loop->next_loop)
        release(loop);
    locked = false;
    pthread_mutex_unlock(&lock);
}

/* A loop that is simulated has nothing to share. */
static void inherit(berth_loop *loop)
{
    if (loop->backend->operations->inherit == NULL)
        return;
    loop->inherited = true;
    loop->abandoned = !loop->held;
    loop->timers.halted = true;
    atomic_store(&loop->stoppers, 0);
    if (!loop->abandoned)
        loop->backend->operations->inherit(loop->backend);
}

static void in_child(void)
{
    forks++;
    for (berth_loop *loop = loops; loop != NULL; loop = loop->next_loop) {
        inherit(loop);
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

bool berth__process_watch(void)
{
    pthread_once(&once, watch);
    return watched;
}

bool berth__process_copied(void)
{
    return atomic_load_explicit(&copied, memory_order_relaxed);
}

unsigned berth__process_forks(void)
{
    return forks;
}

bool berth__process_join(berth_loop *loop)
{
    if (!berth__process_watch())
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

/* ---- the child's own ---------------------------------------------------------------------------
 */

/* A send that was in flight was the parent's ring's, or waited for the parent's set: the output is
 * still there, and is sent anew. */
static void renew_socket(berth_socket *socket)
{
    berth_loop *loop = socket->object.loop;
    berth__stream *stream = socket->stream;
    berth__connect_renew(socket);
    if (stream == NULL)
        return;
    loop->backend->operations->renew_stream(loop->backend, stream);
    if (stream->sending && !(stream->ready.pending & BERTH__READY_SENT))
        stream->sending = false;
    if (berth__socket_unsent(socket))
        berth__loop_flush_later(loop, socket);
}

static void renew_objects(berth__object *objects)
{
    for (berth__object *object = objects; object != NULL; object = object->next) {
        if (object->kind == BERTH__SOCKET)
            renew_socket((berth_socket *)object);
        else if (object->kind == BERTH__SERVER)
            renew_objects(((berth_server *)object)->children);
    }
}

bool berth_loop_after_fork(berth_loop *loop)
{
    loop = loop != NULL ? loop : berth__loop_of_thread();
    if (loop == NULL || !loop->inherited)
        return loop != NULL || berth_loop_current() != NULL;
    if (loop->abandoned || loop->ending) {
        errno = ECHILD;
        return false;
    }
    int error = loop->backend->inherited->renew(loop->backend);
    if (error != 0) {
        errno = error;
        return false;
    }
    loop->inherited = false;
    loop->timers.halted = false;
    for (berth__parting *parting = loop->partings; parting != NULL; parting = parting->outer) {
        if (parting->stream != NULL)
            loop->backend->operations->renew_stream(loop->backend, parting->stream);
    }
    berth__linger_renew(loop);
    berth__resolver_renew(loop);
    renew_objects(loop->objects);
    /* A wake or a stop that came meanwhile is not lost. */
    loop->backend->operations->wake(loop->backend);
    return true;
}
