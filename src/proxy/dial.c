/*
 * dial.h over the descriptor operations of the backend: one watch for each attempt, for writing,
 * and one deadline for the next attempt.
 *
 * An attempt is a record of its own, freed when its watch is closed; the dial is freed when it is
 * over, which is inside an event at the earliest, so nothing of it is touched after one.
 *
 * An attempt that cannot begin (no memory, no descriptor, no such address) counts as one that has
 * failed.
 */
#include "dial.h"

#include <errno.h>

#include "base/memory.h"
#include "loop/loop.h"
#include "loop/resolver.h"

typedef struct attempt {
    berth__watch watch; /* first */
    berth_loop *loop;
    berth__dial *dial;
    int descriptor;
    size_t index;
} attempt;

struct berth__dial {
    berth_loop *loop;
    const berth__dial_events *events;
    void *owner;
    void *core;
    berth__dial_plan plan;
    int error; /* of the last attempt that has failed */
    size_t next;
    size_t running;
    attempt *attempts[BERTH__MOST_ADDRESSES]; /* NULL when not running */
    berth__deadline stagger;
};

static berth__backend *backend_of(const berth__dial *dial)
{
    return dial->loop->backend;
}

bool berth__met_itself(berth_loop *loop, int descriptor, uint16_t port, berth_address *ret_local,
                       uint16_t *ret_port)
{
    const berth__backend_operations *operations = loop->backend->operations;
    berth_address peer;
    uint16_t peer_port;
    *ret_local = BERTH_ADDRESS_NULL;
    if (operations->name_of(loop->backend, descriptor, BERTH__LOCAL, ret_local, ret_port) != 0)
        *ret_local = BERTH_ADDRESS_NULL;
    if (berth_address_is_null(*ret_local) || *ret_port != port ||
        ret_local->family == BERTH_ADDRESS_FAMILY_LOCAL)
        return false;
    return operations->name_of(loop->backend, descriptor, BERTH__PEER, &peer, &peer_port) == 0 &&
           peer_port == port && berth_address_equal(peer, *ret_local);
}

/* ---- one attempt ----------------------------------------------------------------------------- */

static void closed(berth__watch *watch)
{
    attempt *gone = (attempt *)watch;
    gone->loop->live--;
    berth__release(gone);
}

/* Takes it out of the dial; the descriptor is the caller's. The record goes when its watch has
 * closed, which any wait may see to. */
static int take(berth__dial *dial, size_t index)
{
    attempt *taken = dial->attempts[index];
    int descriptor = taken->descriptor;
    dial->attempts[index] = NULL;
    dial->running--;
    taken->dial = NULL;
    berth__ready_share(&taken->watch.ready);
    backend_of(dial)->operations->watch_close(backend_of(dial), &taken->watch);
    berth__loop_touch(dial->loop);
    return descriptor;
}

static void drop(berth__dial *dial, size_t index)
{
    backend_of(dial)->operations->discard(backend_of(dial), take(dial, index));
}

static void fired(berth__watch *watch, unsigned events);

/* Returns an errno. */
static int begin(berth__dial *dial, size_t index)
{
    berth__backend *backend = backend_of(dial);
    attempt *made = berth__allocate_zero(sizeof *made);
    if (made == NULL)
        return ENOMEM;
    berth__watch_init(&made->watch, dial->owner, made);
    made->watch.fired = fired;
    made->watch.closed = closed;
    made->loop = dial->loop;
    made->dial = dial;
    made->index = index;
    int error = backend->operations->dial(backend, &dial->plan.addresses[index], dial->plan.port,
                                          dial->plan.options, &made->descriptor);
    if (error == 0) {
        error = backend->operations->watch_start(backend, &made->watch, made->descriptor,
                                                 BERTH__WATCH_WRITE);
        if (error != 0)
            backend->operations->discard(backend, made->descriptor);
    }
    if (error != 0) {
        berth__release(made);
        return error;
    }
    dial->attempts[index] = made;
    dial->running++;
    dial->loop->live++;
    berth__loop_touch(dial->loop);
    return 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

void berth__dial_cancel(berth__dial *dial)
{
    berth__deadlines *deadlines = &dial->loop->deadlines;
    for (size_t i = 0; i < dial->next; i++) {
        if (dial->attempts[i] != NULL)
            drop(dial, i);
    }
    berth__deadline_stop(deadlines, &dial->stagger);
    berth__deadlines_unreserve(deadlines);
    berth__release(dial);
}

/* Begins the next attempt that can be begun. Returns whether any is running. */
static bool go_on(berth__dial *dial)
{
    berth_loop *loop = dial->loop;
    berth__deadline_stop(&loop->deadlines, &dial->stagger);
    while (dial->next < dial->plan.count) {
        int error = begin(dial, dial->next++);
        if (error == 0) {
            if (dial->next < dial->plan.count)
                berth__deadline_start(&loop->deadlines, &dial->stagger,
                                      berth__after(berth__loop_clock(loop), BERTH__STAGGER));
            return true;
        }
        dial->error = error;
    }
    return dial->running > 0;
}

static void fail(berth__dial *dial)
{
    const berth__dial_events *events = dial->events;
    void *core = dial->core;
    int error = dial->error;
    berth__dial_cancel(dial);
    events->failed(core, error);
}

/* Returns an errno. */
static int result_of(berth__dial *dial, const attempt *ended)
{
    berth__backend *backend = backend_of(dial);
    berth_address local;
    uint16_t port;
    int none = 0;
    int error = backend->operations->dialled(backend, ended->descriptor);
    if (error != 0 ||
        !berth__met_itself(dial->loop, ended->descriptor, dial->plan.port, &local, &port))
        return error;
    /* Without the wait in which its port would still be taken. */
    (void)backend->operations->option(backend, ended->descriptor, BERTH_OPTION_LINGER, &none, true);
    return ECONNREFUSED;
}

static void fired(berth__watch *watch, unsigned events)
{
    (void)events;
    attempt *ended = (attempt *)watch;
    berth__dial *dial = ended->dial;
    if (dial == NULL)
        return;
    size_t index = ended->index;
    int error = result_of(dial, ended);
    if (error != 0) {
        dial->error = error;
        drop(dial, index);
        if (!go_on(dial))
            fail(dial);
        return;
    }
    const berth__dial_events *told = dial->events;
    void *core = dial->core;
    int descriptor = take(dial, index);
    berth__dial_cancel(dial);
    told->dialled(core, descriptor, index);
}

static void stagger_expired(berth__deadline *deadline)
{
    berth__dial *dial = (berth__dial *)((char *)deadline - offsetof(berth__dial, stagger));
    if (!go_on(dial))
        fail(dial);
}

uint64_t berth__dial_step(berth__dial *dial)
{
    if (dial->stagger.place == 0)
        return UINT64_MAX;
    if (dial->stagger.time > berth__loop_clock(dial->loop))
        return dial->stagger.time;
    berth__deadline_stop(&dial->loop->deadlines, &dial->stagger);
    stagger_expired(&dial->stagger);
    return 0;
}

berth__dial *berth__dial_start(berth_loop *loop, const berth__dial_plan *plan,
                               const berth__dial_events *events, void *owner, void *core,
                               int *ret_error)
{
    berth__dial *dial = berth__allocate_zero(sizeof *dial);
    *ret_error = ENOMEM;
    if (dial == NULL || !berth__deadlines_reserve(&loop->deadlines)) {
        berth__release(dial);
        return NULL;
    }
    dial->loop = loop;
    dial->events = events;
    dial->owner = owner;
    dial->core = core;
    dial->plan = *plan;
    dial->error = EADDRNOTAVAIL;
    dial->stagger.expired = stagger_expired;
    if (go_on(dial))
        return dial;
    *ret_error = dial->error;
    berth__dial_cancel(dial);
    return NULL;
}
