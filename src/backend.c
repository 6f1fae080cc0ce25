/*
 * Records and the ready list of the backend contract.
 *
 * The list is a singly linked queue of records that are embedded in their objects, each in it at
 * most once. Taking the first is constant; taking the first of one owner, which only blocking waits
 * do, walks the list.
 */
#include "backend.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static void init_head(berth__ready *ready, berth__ready_kind kind, void *owner)
{
    ready->kind = (uint8_t)kind;
    ready->owner = owner;
    ready->shared = owner == NULL;
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

void berth__ready_list_init(berth__ready_list *list)
{
    list->first = NULL;
    list->last = &list->first;
    list->count = 0;
}

static void unlink_at(berth__ready_list *list, berth__ready **link)
{
    berth__ready *ready = *link;
    *link = ready->next;
    if (list->last == &ready->next)
        list->last = link;
    ready->next = NULL;
    ready->queued = false;
    list->count--;
}

berth__ready *berth__ready_take_of(berth__ready_list *list, const void *owner)
{
    for (berth__ready **link = &list->first; *link != NULL; link = &(*link)->next) {
        berth__ready *ready = *link;
        if (!ready->shared && ready->owner != owner)
            continue;
        unlink_at(list, link);
        return ready;
    }
    return NULL;
}

void berth__ready_remove(berth__ready_list *list, berth__ready *ready)
{
    if (!ready->queued)
        return;
    for (berth__ready **link = &list->first; *link != NULL; link = &(*link)->next) {
        if (*link != ready)
            continue;
        unlink_at(list, link);
        return;
    }
    assert(false && "a queued record is in the list");
}
