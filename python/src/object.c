/*
 * What all objects share: how they are made, what every method checks first, the list of objects
 * with natives that a thread keeps, and parents.
 *
 * An object enters that list when it gets a native, and leaves it when the native is freed. A
 * thread that ends releases the natives of those that are still in it, for a native cannot outlive
 * its loop.
 */
#include "object.h"

/* ---- making ---- */

PyObject *bpy_object_new(PyTypeObject *type, const bpy_kind *kind)
{
    bpy_object *self = (bpy_object *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->kind = kind;
    self->home = bpy_thread_ref(bpy_thread_current());
    return (PyObject *)self;
}

/* An object that C makes: without __init__. */
bpy_object *bpy_object_make(PyTypeObject *type, const bpy_kind *kind, bpy_object *parent)
{
    bpy_object *self = (bpy_object *)bpy_object_new(type, kind);
    if (self == NULL)
        return NULL;
    self->ready = true;
    if (parent != NULL)
        bpy_object_adopt(self, parent);
    return self;
}

/* ---- checks at the beginning of every method ---- */

/* The slots of an object's last signals cannot use it any more, as with PySide2: a native that they
 * made would not be released. */
bool bpy_object_check(PyObject *object)
{
    const bpy_object *self = (const bpy_object *)object;
    if (self->destroying && !self->ending) {
        PyErr_Format(PyExc_RuntimeError, "Internal C++ object (%s) already deleted.",
                     Py_TYPE(object)->tp_name);
        return false;
    }
    if (!self->ready) {
        PyErr_Format(PyExc_RuntimeError,
                     "'__init__' method of object's base class (%s) not called.",
                     Py_TYPE(object)->tp_name);
        return false;
    }
    return true;
}

/* Whether it is being deallocated: it must not be referred to again. Only destructors of what is
 * in __slots__ can find it then, if its __del__ has kept it before. */
bool bpy_object_is_ending(const bpy_object *self)
{
    return Py_REFCNT((PyObject *)self) == 0;
}

bool bpy_object_here(bpy_object *self)
{
    if (self->home == bpy_thread_current())
        return true;
    PyErr_Format(PyExc_RuntimeError, "%s used outside the thread that it belongs to",
                 Py_TYPE(self)->tp_name);
    return false;
}

bool bpy_object_usable(PyObject *object)
{
    return bpy_object_check(object) && bpy_object_here((bpy_object *)object);
}

void bpy_object_unsettle(bpy_object *self)
{
    if (!self->homed)
        return;
    self->homed = false;
    if (self->later != NULL)
        self->later->earlier = self->earlier;
    if (self->earlier != NULL)
        self->earlier->later = self->later;
    else
        self->home->natives = self->later;
    self->earlier = self->later = NULL;
}

/* At the end of a thread. */
static void release_natives(bpy_thread *thread)
{
    while (thread->natives != NULL) {
        bpy_object *object = thread->natives;
        Py_INCREF(object);
        bpy_object_unsettle(object);
        bool blocked = object->blocked;
        object->blocked = true; /* slots are not called */
        if (object->kind->release != NULL)
            object->kind->release(object);
        object->blocked = blocked;
        Py_DECREF(object);
    }
}

void bpy_object_settle(bpy_object *self)
{
    if (self->homed)
        return;
    self->homed = true;
    self->earlier = NULL;
    self->later = self->home->natives;
    if (self->later != NULL)
        self->later->earlier = self;
    self->home->natives = self;
    self->home->release_natives = release_natives;
}

/* ---- parents ---- */

static void let_go(bpy_object *self)
{
    bpy_object *parent = self->parent;
    if (parent == NULL)
        return;
    *(self->before != NULL ? &self->before->after : &parent->first) = self->after;
    *(self->after != NULL ? &self->after->before : &parent->last) = self->before;
    self->parent = self->before = self->after = NULL;
    Py_DECREF(self);
}

/* Walks an object and all below it, each before its children; NULL after the last. */
bpy_object *bpy_object_next(const bpy_object *at, const bpy_object *root)
{
    if (at->first != NULL)
        return at->first;
    while (at != root && at->after == NULL)
        at = at->parent;
    return at != root ? at->after : NULL;
}

/* Gives an object another parent, or none. */
void bpy_object_adopt(bpy_object *self, bpy_object *parent)
{
    Py_INCREF(self);
    let_go(self);
    if (parent != NULL) {
        Py_INCREF(self);
        self->parent = parent;
        self->before = parent->last;
        *(parent->last != NULL ? &parent->last->after : &parent->first) = self;
        parent->last = self;
    }
    Py_DECREF(self);
}
