/*
 * A thread's queue of events: slots to be called, objects to be destroyed.
 *
 * An event carries a pair of functions, `run` and `drop`, and is embedded in a struct with what
 * they need. So the queue knows neither connections nor objects. `drop` frees the event; it is
 * called once for each event, after `run` or instead of it.
 *
 * Events run in the sequence in which they were posted. A deferred event waits until control is
 * back in the event loop under which it was posted, as deleteLater does in Qt. The depth of a
 * thread is the number of event loops, turns and events that it is inside of.
 */
#ifndef BPY_EVENT_H
#define BPY_EVENT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct bpy_event bpy_event;

typedef struct bpy_event_kind {
    void (*run)(bpy_event *event);
    void (*drop)(bpy_event *event);
    bool deferred; /* waits for its loop */
    bool final;    /* still runs when its thread ends */
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
    unsigned losses;   /* counts the times that events left the queue */
} bpy_events;

/* Where one caller has come to; begins with zeros. What was not selected before is not looked at
 * again, unless another caller has taken events meanwhile. */
typedef struct bpy_cursor {
    bpy_event **link;
    unsigned losses;
} bpy_cursor;

/* Which events are meant. */
typedef enum bpy_selection {
    BPY_DUE,       /* all that may run at this depth */
    BPY_CALLS,     /* those that are not deferred */
    BPY_DELETIONS, /* the deferred ones, also those that are not due yet at their own depth */
    BPY_DEFERRED,  /* the deferred ones of every depth */
    BPY_FINAL,
    BPY_ALL
} bpy_selection;

void bpy_events_init(bpy_events *events);
void bpy_events_add(bpy_events *events, bpy_event *event, int depth);
bool bpy_events_due(const bpy_events *events, int depth);
bpy_event *bpy_events_take(bpy_events *events, bpy_cursor *cursor, uint64_t last, int depth,
                           const void *owner, bpy_selection selection);
void bpy_events_move(bpy_events *from, const void *owner, bpy_events *to);
bpy_event *bpy_events_detach(bpy_events *events);
void bpy_events_attach(bpy_events *events, bpy_event *first);

#endif
