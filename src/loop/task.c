/*
 * The list of tasks, and that of what is awaited. See task.h.
 *
 * Whoever appends the first task wakes the loop, and nobody else: a burst costs one wake. Tasks are
 * taken one by one, since each may run a nested turn that goes on with the next.
 *
 * Ways to fail: a posted task needs memory, and is refused without. An awaited thing needs none.
 */
#include "task.h"

#include "base/memory.h"
#include "loop.h"

#include <pthread.h>

/* ---- tasks ----------------------------------------------------------------------------------- */

static berth__task *take_task(berth_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    berth__task *task = loop->tasks;
    if (task != NULL) {
        loop->tasks = task->next;
        loop->task_count--;
    }
    if (loop->tasks == NULL) {
        loop->tasks_end = &loop->tasks;
        atomic_store(&loop->tasks_waiting, false);
    }
    pthread_mutex_unlock(&loop->lock);
    return task;
}

void berth__tasks_run(berth_loop *loop, size_t most)
{
    for (; most > 0; most--) {
        if (loop->inherited && loop->life != BERTH__LOOP_ENDING)
            return;
        berth__task *task = take_task(loop);
        if (task == NULL)
            return;
        bool embedded = task->embedded;
        if (!loop->inherited || embedded) /* else it is the parent's to run */
            task->run(task->user);
        if (!embedded)
            berth__release(task);
    }
}

bool berth__tasks_run_waiting(berth_loop *loop)
{
    if (!atomic_load(&loop->tasks_waiting))
        return false;
    pthread_mutex_lock(&loop->lock);
    size_t count = loop->task_count;
    pthread_mutex_unlock(&loop->lock);
    berth__tasks_run(loop, count);
    return count > 0;
}

/* Under the lock. Returns whether the loop has to be woken. */
static bool append(berth_loop *loop, berth__task *task)
{
    task->next = NULL;
    *loop->tasks_end = task;
    loop->tasks_end = &task->next;
    loop->task_count++;
    return !atomic_exchange(&loop->tasks_waiting, true);
}

bool berth_loop_post(berth_loop *loop, berth_task task, void *user)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL || task == NULL)
        return false;
    if (berth__loop_is_copy(loop))
        return false;
    berth__task *node = berth__allocate(sizeof *node);
    if (node == NULL)
        return false;
    *node = (berth__task){.run = task, .user = user};
    pthread_mutex_lock(&loop->lock);
    /* Under the lock: once it is released the task may run, and free the loop. */
    if (append(loop, node))
        loop->backend->operations->wake(loop->backend);
    pthread_mutex_unlock(&loop->lock);
    return true;
}

/* ---- what is awaited ------------------------------------------------------------------------- */

void berth__await(berth_loop *loop, berth__awaited *awaited)
{
    awaited->loop = loop;
    awaited->end.user = awaited;
    awaited->end.embedded = true;
    awaited->next = NULL;
    pthread_mutex_lock(&loop->lock);
    awaited->link = loop->awaited_end;
    *loop->awaited_end = awaited;
    loop->awaited_end = &awaited->next;
    atomic_fetch_add(&loop->awaited_count, 1);
    pthread_mutex_unlock(&loop->lock);
}

/* Under the lock. */
static void leave_list(berth__awaited *awaited)
{
    berth_loop *loop = awaited->loop;
    *awaited->link = awaited->next;
    if (awaited->next != NULL)
        awaited->next->link = awaited->link;
    else
        loop->awaited_end = awaited->link;
    awaited->link = NULL;
    atomic_fetch_sub(&loop->awaited_count, 1);
}

/* Ends what began under the lock. The loop is woken without it, else its thread would run into the
 * lock at once; until then the loop is kept from being destroyed. */
static void unlock_and_wake(berth_loop *loop, bool wake)
{
    if (wake)
        atomic_fetch_add(&loop->stoppers, 1);
    pthread_mutex_unlock(&loop->lock);
    if (!wake)
        return;
    loop->backend->operations->wake(loop->backend);
    atomic_fetch_sub(&loop->stoppers, 1);
}

void berth__await_not(berth__awaited *awaited)
{
    berth_loop *loop = awaited->loop;
    pthread_mutex_lock(&loop->lock);
    leave_list(awaited);
    /* The loop may have seen it, and wait for what it awaits. */
    unlock_and_wake(loop, loop->awaited == NULL);
}

/* Under the lock. Returns whether the loop has to be woken. Its task comes first: whoever looks
 * without the lock and finds nothing awaited then finds the task. */
static bool post_end(berth__awaited *awaited)
{
    bool wake = append(awaited->loop, &awaited->end);
    leave_list(awaited);
    return wake;
}

void berth__awaited_end(berth__awaited *awaited)
{
    berth_loop *loop = awaited->loop;
    pthread_mutex_lock(&loop->lock);
    unlock_and_wake(loop, post_end(awaited));
}

bool berth__awaited_cancel(berth__awaited *awaited)
{
    berth_loop *loop = awaited->loop;
    pthread_mutex_lock(&loop->lock);
    bool withdrawn = awaited->link != NULL && awaited->withdraw(awaited);
    if (withdrawn)
        awaited->cancelled = true;
    unlock_and_wake(loop, withdrawn && post_end(awaited));
    return withdrawn;
}

static void end_all(berth_loop *loop, bool begun_too)
{
    berth__awaited *next;
    pthread_mutex_lock(&loop->lock);
    for (berth__awaited *awaited = loop->awaited; awaited != NULL; awaited = next) {
        next = awaited->next;
        if (!begun_too && !awaited->withdraw(awaited))
            continue;
        awaited->cancelled = true;
        (void)post_end(awaited);
    }
    pthread_mutex_unlock(&loop->lock);
}

void berth__awaited_give_up(berth_loop *loop)
{
    if (berth__awaited_count(loop) > 0)
        end_all(loop, loop->inherited);
}

size_t berth__awaited_count(berth_loop *loop)
{
    return atomic_load(&loop->awaited_count);
}

void berth__awaited_settle(berth_loop *loop)
{
    if (berth__awaited_count(loop) == 0 && !atomic_load(&loop->tasks_waiting))
        return;
    while (berth__awaited_count(loop) > 0 && !loop->broken && !loop->inherited) {
        berth__awaited_give_up(loop);
        (void)berth_loop_turn(loop, -1);
    }
    (void)berth_loop_turn(loop, 0);
}

void berth__awaited_renew(berth_loop *loop)
{
    end_all(loop, true);
}
