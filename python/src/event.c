/*
 * The queue: a singly linked list, in the sequence of posting.
 */
#include "event.h"

#include <stddef.h>

void bpy_events_init(bpy_events *events)
{
    *events = (bpy_events){.end = &events->first};
}

static void append(bpy_events *events, bpy_event *event)
{
    event->next = NULL;
    event->sequence = ++events->sequence;
    *events->end = event;
    events->end = &event->next;
}

void bpy_events_add(bpy_events *events, bpy_event *event, int depth)
{
    event->depth = depth;
    append(events, event);
}

static bool is_due(const bpy_event *event, int depth)
{
    return !event->kind->deferred || event->depth > depth || (event->depth == 0 && depth > 0);
}

/* Whether an event may run at this depth. */
bool bpy_events_due(const bpy_events *events, int depth)
{
    for (const bpy_event *event = events->first; event != NULL; event = event->next) {
        if (is_due(event, depth))
            return true;
    }
    return false;
}

static bool is_selected(const bpy_event *event, int depth, bpy_selection selection)
{
    switch (selection) {
    case BPY_CALLS:
        return !event->kind->deferred;
    case BPY_DELETIONS:
        return event->kind->deferred && (event->depth == depth || is_due(event, depth));
    case BPY_DEFERRED:
        return event->kind->deferred;
    case BPY_FINAL:
        return event->kind->final;
    case BPY_ALL:
        return true;
    case BPY_DUE:
    default:
        return is_due(event, depth);
    }
}

/* Takes out the first event of an owner, or of any if that is NULL, that is selected and was posted
 * up to `last`; NULL if there is none. */
bpy_event *bpy_events_take(bpy_events *events, bpy_cursor *cursor, uint64_t last, int depth,
                           const void *owner, bpy_selection selection)
{
    bool known = cursor->link != NULL && cursor->losses == events->losses;
    bpy_event **link = known ? cursor->link : &events->first;
    for (; *link != NULL; link = &(*link)->next) {
        bpy_event *event = *link;
        if (event->sequence > last)
            return NULL;
        if ((owner != NULL && event->owner != owner) || !is_selected(event, depth, selection))
            continue;
        *link = event->next;
        if (event->next == NULL)
            events->end = link;
        *cursor = (bpy_cursor){.link = link, .losses = ++events->losses};
        return event;
    }
    return NULL;
}

/* Moves the events of an owner behind those of another thread. */
void bpy_events_move(bpy_events *from, const void *owner, bpy_events *to)
{
    bpy_event **link = &from->first;
    from->losses++;
    while (*link != NULL) {
        bpy_event *event = *link;
        if (event->owner != owner) {
            link = &event->next;
            continue;
        }
        *link = event->next;
        append(to, event);
    }
    from->end = link;
}

/* Empties the queue; returns its events as a list for bpy_events_attach. */
bpy_event *bpy_events_detach(bpy_events *events)
{
    bpy_event *first = events->first;
    events->losses++;
    events->first = NULL;
    events->end = &events->first;
    return first;
}

/* Only for an empty queue. */
void bpy_events_attach(bpy_events *events, bpy_event *first)
{
    events->first = first;
    while (*events->end != NULL)
        events->end = &(*events->end)->next;
}
