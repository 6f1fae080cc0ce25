/*
 * The public handlers of signals: objects of their loop, in the order in which they were made.
 *
 * The signal handler of the process notes numbers in the loop's inbox and rings its bell
 * (disposition.h). Each turn that finds some there marks their objects as due, and calls them one
 * by one; a turn inside one of these goes on with the next. What has come for a loop that was
 * freed, or before a fork in the child, is dropped.
 */
#include <berth/signal.h>

#include "base/memory.h"
#include "disposition.h"
#include "loop.h"

#include <errno.h>

struct berth_signal {
    berth__object object;
    berth_signal *next;
    berth_signal **link;
    int number;
    bool due;
    berth_signal_handler handler;
    void *user;
};

/* Those of a loop. */
typedef struct berth__signals {
    berth__inbox inbox;
    berth_signal *first;
    berth_signal **last;
    size_t due;
} berth__signals;

static void set_due(berth_signal *signal, bool due)
{
    berth__signals *all = signal->object.loop->signals;
    if (due && !signal->due)
        all->due++;
    else if (!due && signal->due)
        all->due--;
    signal->due = due;
}

/* ---- as a source of the loop ----------------------------------------------------------------- */

static bool pending(const berth_loop *loop)
{
    const berth__signals *all = loop->signals;
    return all != NULL && (atomic_load(&all->inbox.any) || all->due > 0);
}

static void note_due(berth__signals *all)
{
    if (!atomic_exchange(&all->inbox.any, false))
        return;
    for (int number = 1; number < BERTH__SIGNALS; number++) {
        if (!atomic_exchange(&all->inbox.come[number], false))
            continue;
        for (berth_signal *each = all->first; each != NULL; each = each->next)
            set_due(each, each->due || each->number == number);
    }
}

static berth_signal *first_due(const berth__signals *all)
{
    berth_signal *signal = all->due > 0 ? all->first : NULL;
    while (signal != NULL && !signal->due)
        signal = signal->next;
    return signal;
}

static bool run(berth_loop *loop)
{
    berth__signals *all = loop->signals;
    berth_signal *signal;
    bool any = false;
    if (all == NULL || loop->inherited)
        return false;
    note_due(all);
    while (!loop->inherited && (signal = first_due(all)) != NULL) {
        any = true;
        set_due(signal, false);
        if (signal->handler == NULL)
            continue;
        berth__enter(&signal->object);
        signal->handler(signal, signal->user);
        berth__leave(&signal->object);
    }
    return any;
}

static void renew_all(berth_loop *loop)
{
    if (loop->signals == NULL)
        return;
    for (berth_signal *each = loop->signals->first; each != NULL; each = each->next)
        set_due(each, false);
    berth__inbox_renew(&loop->signals->inbox);
}

static void release_all(berth_loop *loop)
{
    berth__signals *all = loop->signals;
    if (all == NULL || all->first != NULL)
        return;
    loop->signals = NULL;
    berth__inbox_leave(&all->inbox);
    berth__release(all);
}

static const berth__source source = {
    .pending = pending, .run = run, .renew = renew_all, .release = release_all};

/* ---- life ------------------------------------------------------------------------------------ */

static void free_signal(berth__object *object)
{
    berth_signal_free((berth_signal *)object);
}

static void destroy(berth__object *object)
{
    berth__release(object);
}

static const berth__kind signal_kind = {
    .number = BERTH__KIND_SIGNAL, .free = free_signal, .destroy = destroy};

static bool make_all(berth_loop *loop)
{
    if (loop->signals != NULL)
        return true;
    berth__signals *all = berth__allocate_zero(sizeof *all);
    if (all == NULL)
        return false;
    all->last = &all->first;
    loop->signals = all;
    berth__inbox_join(&all->inbox, loop->backend);
    berth__source_join(&loop->sources, &source);
    return true;
}

berth_signal *berth_signal_new(berth_loop *loop, int number, berth_signal_handler handler,
                               void *user)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL)
        return NULL;
    BERTH__OWN_THREAD(loop);
    if (berth__loop_is_copy(loop))
        return NULL;
    berth_signal *signal = berth__allocate_zero(sizeof *signal);
    int error = signal == NULL || !make_all(loop) ? ENOMEM : 0;
    if (error == 0) {
        note_due(loop->signals); /* what has come before is not for this one */
        error = berth__inbox_want(&loop->signals->inbox, number);
    }
    if (error != 0) {
        berth__release(signal);
        errno = error;
        return NULL;
    }
    signal->number = number;
    signal->handler = handler;
    signal->user = user;
    signal->link = loop->signals->last;
    *signal->link = signal;
    loop->signals->last = &signal->next;
    berth__object_init(&signal->object, &signal_kind, loop, &loop->objects);
    return signal;
}

void berth_signal_free(berth_signal *signal)
{
    if (signal == NULL || signal->object.freed)
        return;
    berth_loop *loop = signal->object.loop;
    BERTH__OWN_THREAD(loop);
    if (loop->abandoned)
        return;
    set_due(signal, false);
    *signal->link = signal->next;
    if (signal->next != NULL)
        signal->next->link = signal->link;
    else
        loop->signals->last = signal->link;
    berth__inbox_want_not(&loop->signals->inbox, signal->number);
    berth__discard(&signal->object);
}

int berth_signal_number(const berth_signal *signal)
{
    BERTH__OWN_THREAD(signal->object.loop);
    return signal->number;
}
