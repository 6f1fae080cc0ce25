/*
 * Records and the ready list of the backend contract.
 *
 * The list is a few queues of records that are embedded in their objects, each in one of them at
 * most once. They are singly linked, since a second link would cost every connection eight bytes:
 * so a record inside a queue is not taken out, but run where it is (claim), or found by one who
 * comes along (sweep). Nothing that a peer can multiply is walked.
 */
#include "backend.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

enum {
    SWEEP = 16 /* steps of one call */
};

static atomic_bool copied;

static void init_head(berth__ready *ready, berth__ready_kind kind, void *owner)
{
    ready->kind = (uint8_t)kind;
    ready->owner = owner;
    ready->line = kind == BERTH__READY_STREAM ? BERTH__LINE_STREAMS : BERTH__LINE_OTHERS;
    if (owner == NULL)
        berth__ready_share(ready);
}

void berth__stream_init(berth__stream *stream, const berth__stream_events *events, void *owner)
{
    memset(stream, 0, sizeof *stream);
    init_head(&stream->ready, BERTH__READY_STREAM, owner);
    stream->events = events;
    stream->descriptor = -1;
}

void berth__listener_init(berth__listener *listener, const berth__listener_events *events,
                          void *owner, void *core)
{
    memset(listener, 0, sizeof *listener);
    init_head(&listener->ready, BERTH__READY_LISTENER, owner);
    listener->events = events;
    listener->core = core;
    listener->descriptor = -1;
}

void berth__watch_init(berth__watch *watch, void *owner, void *core)
{
    memset(watch, 0, sizeof *watch);
    init_head(&watch->ready, BERTH__READY_WATCH, owner);
    watch->core = core;
    watch->descriptor = -1;
}

void berth__note_copies(void)
{
    atomic_store(&copied, true);
}

bool berth__copies_exist(void)
{
    return atomic_load_explicit(&copied, memory_order_relaxed);
}

bool berth__is_passing(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
    case EPERM:
        return true;
    default:
        return false;
    }
}

void berth__listener_enlist(berth__backend *backend, berth__listener *listener)
{
    listener->next = backend->listeners;
    listener->link = &backend->listeners;
    if (listener->next != NULL)
        listener->next->link = &listener->next;
    backend->listeners = listener;
}

void berth__listener_delist(berth__listener *listener)
{
    if (listener->link == NULL)
        return;
    *listener->link = listener->next;
    if (listener->next != NULL)
        listener->next->link = listener->link;
    listener->link = NULL;
}

void berth__watch_enlist(berth__backend *backend, berth__watch *watch)
{
    if (watch->link != NULL)
        return;
    watch->next = backend->watches;
    watch->link = &backend->watches;
    if (watch->next != NULL)
        watch->next->link = &watch->next;
    backend->watches = watch;
}

void berth__watch_delist(berth__watch *watch)
{
    if (watch->link == NULL)
        return;
    *watch->link = watch->next;
    if (watch->next != NULL)
        watch->next->link = watch->link;
    watch->link = NULL;
}

void berth__ready_list_init(berth__ready_list *list)
{
    memset(list, 0, sizeof *list);
    for (int i = 0; i < BERTH__LINES; i++) {
        berth__ready_line *line = &list->lines[i];
        line->last = line->swept = &line->first;
    }
}

void berth__ready_put_back(berth__ready_list *list, berth__ready *ready)
{
    berth__ready_line *line = &list->lines[BERTH__LINE_STREAMS];
    if (ready->queued) /* it keeps its place */
        return;
    ready->queued = true;
    ready->next = line->first;
    line->first = ready;
    if (ready->next == NULL)
        line->last = &ready->next;
    list->count++;
}

static berth__ready *take_rare(berth__ready_list *list, berth__ready_line *line)
{
    list->rare--;
    return berth__ready_take_first(list, line);
}

berth__ready *berth__ready_take_in_turn(berth__ready_list *list)
{
    for (;;) {
        berth__ready_line *line = &list->lines[list->next];
        bool rare = list->next != BERTH__LINE_STREAMS;
        list->next = (uint8_t)((list->next + 1) % BERTH__LINES);
        if (line->first != NULL)
            return rare ? take_rare(list, line) : berth__ready_take_first(list, line);
    }
}

bool berth__ready_spares(berth__ready *ready, bool spared)
{
    bool runs = ready->queued && ready->pending != 0 && (!spared || ready->overdue);
    ready->overdue = ready->overdue || runs;
    return runs;
}

/* ---- blocking waits -------------------------------------------------------------------------- */

static berth__ready *unlink_at(berth__ready_list *list, berth__ready_line *line,
                               berth__ready **link)
{
    berth__ready *ready = *link;
    *link = ready->next;
    if (line->last == &ready->next)
        line->last = link;
    if (line->swept == &ready->next)
        line->swept = link;
    ready->next = NULL;
    ready->queued = ready->overdue = false;
    list->count--;
    list->rare -= line != &list->lines[BERTH__LINE_STREAMS];
    return ready;
}

berth__ready *berth__ready_claim(berth__ready_list *list, berth__stream *stream)
{
    berth__ready *ready = &stream->ready;
    berth__ready_line *line = &list->lines[BERTH__LINE_STREAMS];
    if (!ready->queued || ready->pending == 0)
        return NULL;
    assert(ready->line == BERTH__LINE_STREAMS && !stream->closing);
    if (line->first == ready)
        return berth__ready_take_first(list, line);
    ready->overdue = false;
    return ready;
}

static bool runs_for(const berth__ready *ready, const void *owner)
{
    return ready->owner == owner || ready->line == BERTH__LINE_SHARED;
}

berth__ready *berth__ready_take_of(berth__ready_list *list, const void *owner)
{
    berth__ready_line *line = &list->lines[BERTH__LINE_OTHERS];
    berth__ready **link = &line->first;
    while (*link != NULL && !runs_for(*link, owner))
        link = &(*link)->next;
    return *link != NULL ? unlink_at(list, line, link) : NULL;
}

bool berth__ready_has(const berth__ready_list *list, const void *owner)
{
    const berth__ready *ready = list->lines[BERTH__LINE_OTHERS].first;
    while (ready != NULL && !runs_for(ready, owner))
        ready = ready->next;
    return ready != NULL;
}

berth__ready *berth__ready_take_shared(berth__ready_list *list)
{
    berth__ready_line *line = &list->lines[BERTH__LINE_SHARED];
    return line->first != NULL ? take_rare(list, line) : NULL;
}

/* Goes on along a line where it stopped, at its beginning after its end. */
static berth__ready *sweep(berth__ready_list *list, berth__ready_line *line)
{
    for (int steps = 0; steps < SWEEP && line->first != NULL; steps++) {
        berth__ready *ready = *line->swept;
        if (ready == NULL) {
            line->swept = &line->first;
            return NULL;
        }
        if (ready->line == BERTH__LINE_SHARED)
            return unlink_at(list, line, line->swept);
        if (ready->pending == 0)
            (void)unlink_at(list, line, line->swept);
        else
            line->swept = &ready->next;
    }
    return NULL;
}

berth__ready *berth__ready_sweep(berth__ready_list *list)
{
    berth__ready *ready = sweep(list, &list->lines[BERTH__LINE_STREAMS]);
    if (ready == NULL)
        ready = sweep(list, &list->lines[BERTH__LINE_OTHERS]);
    return ready != NULL ? ready : sweep(list, &list->lines[BERTH__LINE_TURNS]);
}
