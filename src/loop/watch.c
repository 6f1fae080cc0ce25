/*
 * The public watches: each is an object of its loop, and while it is active it has a record of the
 * backend with a copy of the descriptor.
 *
 * The record has a memory of its own, since the kernel may refer to it after the watch was stopped
 * and started again: it is given up then, and goes when it is closed. The backend's watches fire
 * once; one that goes on is started again when its handler has returned, and not before, so that a
 * handler which turns the loop does not run inside itself.
 *
 * Ways to fail: a start says so. Starting again after the handler cannot; it is tried again a
 * little later, until it succeeds or the watch is stopped. In a child of fork it is left to the
 * taking over of the loop.
 */
#include <berth/watch.h>

#include "base/memory.h"
#include "loop.h"

#include <errno.h>

enum {
    EVENTS = BERTH_WATCH_READ | BERTH_WATCH_WRITE,
    PAUSE = 10 /* milliseconds until a start that has failed is tried again */
};

_Static_assert((unsigned)BERTH_WATCH_READ == (unsigned)BERTH__WATCH_READ &&
                   (unsigned)BERTH_WATCH_WRITE == (unsigned)BERTH__WATCH_WRITE,
               "passed on as they are");

typedef struct record {
    berth__watch watch;
    berth_watch *owner; /* NULL: it was given up */
    berth_loop *loop;
    int copy;
} record;

struct berth_watch {
    berth__object object;
    record *record; /* while it is active */
    berth_watch_handler handler;
    void *user;
    int descriptor;
    unsigned events;
    bool once;
    berth__deadline again;
};

static const berth__backend_operations *operations_of(const berth_loop *loop)
{
    return loop->backend->operations;
}

/* ---- records --------------------------------------------------------------------------------- */

static void closed(berth__watch *watch)
{
    record *gone = (record *)watch;
    gone->loop->live--;
    berth__release(gone);
}

static void fired(berth__watch *watch, unsigned events);

/* NULL with errno set. */
static record *new_record(berth_watch *owner)
{
    berth_loop *loop = owner->object.loop;
    int copy = operations_of(loop)->copy(loop->backend, owner->descriptor);
    record *made = copy < 0 ? NULL : berth__allocate_zero(sizeof *made);
    if (made == NULL) {
        if (copy >= 0)
            operations_of(loop)->close_copy(loop->backend, copy);
        errno = copy < 0 ? -copy : ENOMEM;
        return NULL;
    }
    berth__watch_init(&made->watch, made, loop);
    made->watch.ready.line = BERTH__LINE_TURNS;
    made->watch.kept = true;
    made->watch.fired = fired;
    made->watch.closed = closed;
    made->owner = owner;
    made->loop = loop;
    made->copy = copy;
    loop->live++;
    return made;
}

/* Gives the record up. Any wait may see to its end. */
static void let_go(berth_watch *watch)
{
    berth_loop *loop = watch->object.loop;
    record *gone = watch->record;
    if (gone == NULL)
        return;
    watch->record = NULL;
    berth__deadline_stop(&loop->deadlines, &watch->again);
    gone->owner = NULL;
    berth__ready_share(&gone->watch.ready);
    operations_of(loop)->watch_close(loop->backend, &gone->watch);
    operations_of(loop)->close_copy(loop->backend, gone->copy);
    berth__loop_touch(loop);
}

/* Returns an errno. */
static int arm(berth_watch *watch)
{
    berth_loop *loop = watch->object.loop;
    record *mine = watch->record;
    int error =
        operations_of(loop)->watch_start(loop->backend, &mine->watch, mine->copy, watch->events);
    berth__loop_touch(loop);
    return error;
}

static void arm_again(berth_watch *watch)
{
    berth_loop *loop = watch->object.loop;
    if (watch->record == NULL || watch->record->watch.active || loop->inherited)
        return;
    if (arm(watch) != 0)
        berth__deadline_start(&loop->deadlines, &watch->again,
                              berth__after(berth__loop_clock(loop), PAUSE));
}

static void paused(berth__deadline *deadline)
{
    arm_again((berth_watch *)((char *)deadline - offsetof(berth_watch, again)));
}

static void fired(berth__watch *watch, unsigned events)
{
    berth_watch *owner = ((record *)watch)->owner;
    if (owner == NULL)
        return;
    events &= owner->events;
    if (events != 0) {
        if (owner->once)
            let_go(owner);
        berth__enter(&owner->object);
        owner->handler(owner, events, owner->user);
        if (!berth__leave(&owner->object))
            return;
    }
    arm_again(owner);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void free_watch(berth__object *object)
{
    berth_watch_free((berth_watch *)object);
}

static void destroy(berth__object *object)
{
    berth__release(object);
}

static void renew(berth__object *object)
{
    arm_again((berth_watch *)object);
}

static const berth__kind watch_kind = {
    .number = BERTH__KIND_WATCH, .free = free_watch, .destroy = destroy, .renew = renew};

/* Why the descriptor cannot be watched; an errno. */
static int refusal_of(berth_loop *loop, int descriptor)
{
    /* A copy of theirs would keep the peer from seeing the end. */
    if (berth__numbers_have(&loop->numbers, descriptor))
        return EEXIST;
    if (loop->embedded && operations_of(loop)->descriptor(loop->backend) == descriptor)
        return EINVAL; /* each turn would call for the next */
    int copy = operations_of(loop)->copy(loop->backend, descriptor);
    if (copy < 0)
        return -copy;
    operations_of(loop)->close_copy(loop->backend, copy);
    return 0;
}

berth_watch *berth_watch_new(berth_loop *loop, int descriptor, berth_watch_handler handler,
                             void *user)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL)
        return NULL;
    BERTH__OWN_THREAD(loop);
    if (berth__loop_is_copy(loop))
        return NULL;
    int error = handler != NULL ? refusal_of(loop, descriptor) : EINVAL;
    if (error != 0) {
        errno = error;
        return NULL;
    }
    berth_watch *watch = berth__allocate_zero(sizeof *watch);
    if (watch == NULL || !berth__deadlines_reserve(&loop->deadlines)) {
        berth__release(watch);
        errno = ENOMEM;
        return NULL;
    }
    watch->descriptor = descriptor;
    watch->handler = handler;
    watch->user = user;
    watch->again.expired = paused;
    berth__object_init(&watch->object, &watch_kind, loop, &loop->objects);
    return watch;
}

void berth_watch_free(berth_watch *watch)
{
    if (watch == NULL || watch->object.freed)
        return;
    BERTH__OWN_THREAD(watch->object.loop);
    if (watch->object.loop->abandoned)
        return;
    let_go(watch);
    berth__deadlines_unreserve(&watch->object.loop->deadlines);
    berth__discard(&watch->object);
}

/* ---- start and stop -------------------------------------------------------------------------- */

/* Returns an errno. */
static int start(berth_watch *watch, unsigned events, bool once)
{
    berth_loop *loop = watch->object.loop;
    if (watch->object.freed || events == 0 || (events & ~(unsigned)EVENTS) != 0)
        return EINVAL;
    if (berth__numbers_have(&loop->numbers, watch->descriptor))
        return EEXIST;
    bool active = watch->record != NULL && watch->record->watch.active;
    watch->once = once;
    if (active && events == watch->events)
        return 0;
    if (active) /* inside its handler it is not, and the record is at hand */
        let_go(watch);
    watch->events = events;
    if (watch->record == NULL)
        watch->record = new_record(watch);
    return watch->record != NULL ? arm(watch) : errno;
}

static bool try_start(berth_watch *watch, unsigned events, bool once)
{
    if (berth__loop_is_copy(watch->object.loop))
        return false;
    int error = start(watch, events, once);
    if (error == 0)
        return true;
    let_go(watch);
    errno = error;
    return false;
}

bool berth_watch_start(berth_watch *watch, unsigned events)
{
    BERTH__OWN_THREAD(watch->object.loop);
    return try_start(watch, events, false);
}

bool berth_watch_start_once(berth_watch *watch, unsigned events)
{
    BERTH__OWN_THREAD(watch->object.loop);
    return try_start(watch, events, true);
}

void berth_watch_stop(berth_watch *watch)
{
    BERTH__OWN_THREAD(watch->object.loop);
    if (!watch->object.loop->abandoned)
        let_go(watch);
}

bool berth_watch_is_active(const berth_watch *watch)
{
    BERTH__OWN_THREAD(watch->object.loop);
    return watch->record != NULL;
}

int berth_watch_descriptor(const berth_watch *watch)
{
    BERTH__OWN_THREAD(watch->object.loop);
    return watch->descriptor;
}
