/*
 * The struct that every QObject begins with.
 *
 * An object belongs to one thread, its home. Its native, the object of Berth behind it, belongs to
 * that thread's loop and is used there only. A parent owns its children; Python owns an object
 * without a parent.
 *
 * An object can be destroyed before it is deallocated. Then every method raises RuntimeError.
 */
#ifndef BPY_OBJECT_H
#define BPY_OBJECT_H

#include "thread.h"

#include <stdatomic.h>

typedef struct bpy_object bpy_object;

/* How the kinds of objects differ; each function may be NULL. */
typedef struct bpy_kind {
    void (*release)(bpy_object *self);              /* frees the native, which may emit signals */
    bool (*busy)(bpy_object *self);                 /* is active: it may still emit signals */
    bool (*movable)(bpy_object *self);              /* with its native; or raises */
    void (*move)(bpy_object *self, bpy_thread *to); /* frees the native; calls no Python code */
    int (*traverse)(bpy_object *self, visitproc visit, void *arg);
    void (*clear)(bpy_object *self);
    void (*dispose)(bpy_object *self); /* the last: frees what the struct itself owns */
} bpy_kind;

struct bpy_object {
    PyObject_HEAD PyObject *dict;
    PyObject *weakrefs;
    const bpy_kind *kind;
    bpy_thread *home;
    bpy_object *parent; /* owns this one, by a reference */
    bpy_object *first, *last;
    bpy_object *before, *after;  /* among the children of the parent */
    bpy_object *above;           /* while it ends: what goes on to end afterwards, or NULL */
    bpy_object *earlier, *later; /* among the objects of its home with natives */
    PyObject *name;
    struct bpy_listeners *listeners;       /* connection.c: connections of its signals */
    atomic_uint heard;                     /* a bit for each known signal ever connected */
    struct bpy_connection *incoming;       /* connection.c: connections to its slots */
    struct bpy_signal_instance *instances; /* signal_instance.c: those that exist; not owned */
    bool ready;                            /* __init__ was called */
    bool destroying;                       /* methods raise; its last signals are emitted */
    bool made_inside;                      /* by a server, not by the program */
    bool ending;                           /* destroying, but its methods can still be called */
    bool destroyed;
    bool blocked;
    bool hidden; /* from the children of its parent: the module's own */
    bool homed;  /* in the list of its home */
};

extern PyTypeObject bpy_object_type; /* in qobject.c */
PyObject *bpy_object_new(PyTypeObject *type, const bpy_kind *kind);
bpy_object *bpy_object_make(PyTypeObject *type, const bpy_kind *kind, bpy_object *parent);
void bpy_object_adopt(bpy_object *self, bpy_object *parent);
bpy_object *bpy_object_next(const bpy_object *at, const bpy_object *root);
void bpy_object_settle(bpy_object *self); /* it has a native now: into the list of its home */
void bpy_object_unsettle(bpy_object *self);
bool bpy_object_check(PyObject *self);
bool bpy_object_is_ending(const bpy_object *self);
bool bpy_object_here(bpy_object *self); /* raises RuntimeError in a wrong thread */
bool bpy_object_usable(PyObject *self); /* both */

#endif
