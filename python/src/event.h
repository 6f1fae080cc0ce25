/*
 * The queue of what a thread has to do later: slots to be called, objects to be destroyed.
 *
 * An event is embedded in whatever its poster needs to keep, and carries a pair of functions: `run`
 * does it, `drop` frees it. `drop` always follows, with or without `run` before it. So the queue
 * knows neither connections nor objects.
 *
 * Events run in the sequence in which they were posted. A deferred event waits until control is
 * back in the event loop under which it was posted: Qt's rule for deleteLater. A depth counts the
 * event loops, turns and events that a thread is inside of.
 */
#ifndef BPY_EVENT_H
#define BPY_EVENT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct bpy_event bpy_event;

typedef struct bpy_event_kind {
    void (*run)(bpy_event *event);
    void (*drop)(bpy_event *event);
    bool deferred; /* also: still runs when its thread ends; the others are dropped then */
} bpy_event_kind;

struct bpy_event {
    const bpy_event_kind *kind; /* set by the poster, as is the owner */
    const void *owner;          /* the event moves to another thread with it; only compared */
    bpy_event *next;
    uint64_t sequence;
    int depth; /* of its thread when it was posted there; 0 if it was posted by another one */
};

typedef struct bpy_events {
    bpy_event *first, **end;
    uint64_t sequence; /* of the last event */
} bpy_events;

void bpy_events_init(bpy_events *events);
void bpy_events_add(bpy_events *events, bpy_event *event, int depth);
bool bpy_events_due(const bpy_events *events, int depth);
bpy_event *bpy_events_take(bpy_events *events, uint64_t last, int depth, bool at_end);
void bpy_events_move(bpy_events *from, const void *owner, bpy_events *to);
bpy_event *bpy_events_detach(bpy_events *events);
void bpy_events_attach(bpy_events *events, bpy_event *first);

#endif
