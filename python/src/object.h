/*
 * What every object that Python sees as a QObject begins with.
 *
 * An object lives in one thread, its home: the natives of Berth behind it belong to that thread's
 * loop and are touched there only. Parents own children; an object without a parent is owned by
 * Python.
 *
 * Destroying and deallocating are two things: a destroyed object is an empty shell of which every
 * method raises RuntimeError, for as long as somebody holds it.
 */
#ifndef BPY_OBJECT_H
#define BPY_OBJECT_H

#include "thread.h"

typedef struct bpy_object bpy_object;

/* What differs between the kinds of objects; each slot may be NULL. */
typedef struct bpy_kind {
    void (*release)(bpy_object *self);              /* frees the natives, with signals */
    bool (*busy)(bpy_object *self);                 /* something may still call its slots */
    bool (*move)(bpy_object *self, bpy_thread *to); /* takes the natives along, or refuses */
    int (*traverse)(bpy_object *self, visitproc visit, void *arg);
    void (*clear)(bpy_object *self);
} bpy_kind;

struct bpy_object {
    PyObject_HEAD PyObject *dict;
    PyObject *weakrefs;
    const bpy_kind *kind;
    bpy_thread *home;
    bpy_object *parent; /* owns this one, by a reference */
    bpy_object *first, *last;
    bpy_object *before, *after;  /* among the children of the parent */
    bpy_object *earlier, *later; /* among those at home with natives */
    PyObject *name;
    struct bpy_listeners *listeners; /* connection.c: of its signals */
    struct bpy_connection *incoming; /* connection.c: those with its slots */
    bool ready;                      /* __init__ was called */
    bool destroying;
    bool destroyed;
    bool blocked;
    bool homed; /* in the list of its home */
};

extern PyTypeObject bpy_object_type; /* in qobject.c */
PyObject *bpy_object_new(PyTypeObject *type, const bpy_kind *kind);
bpy_object *bpy_object_make(PyTypeObject *type, const bpy_kind *kind, bpy_object *parent);
void bpy_object_adopt(bpy_object *self, bpy_object *parent);
void bpy_object_settle(bpy_object *self); /* into the list of its home: it has natives now */
void bpy_object_unsettle(bpy_object *self);
bool bpy_object_check(PyObject *self);
bool bpy_object_here(bpy_object *self); /* raises RuntimeError when called in a wrong thread */
bool bpy_object_usable(PyObject *self); /* both */

#endif
