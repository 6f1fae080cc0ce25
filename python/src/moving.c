/*
 * Objects and their threads: QObject.thread and QObject.moveToThread.
 *
 * An object moves with its children and its events. A native cannot move to another loop: an object
 * with a native moves only if its kind can free the native and make another one later (bpy_kind).
 * All of them are asked before the first one moves.
 */
#include "object.h"
#include "parts.h"
#include "qthread.h"

static PyObject *object_thread(PyObject *self, PyObject *Py_UNUSED(none))
{
    if (!bpy_object_check(self))
        return NULL;
    PyObject *thread = bpy_qthread_for(((bpy_object *)self)->home);
    if (thread == NULL && PyErr_Occurred())
        return NULL;
    return Py_NewRef(thread != NULL ? thread : Py_None);
}

/* Else raises. */
static bool is_movable(bpy_object *self)
{
    if (self->destroying) {
        PyErr_SetString(PyExc_RuntimeError, "cannot move what is being destroyed");
        return false;
    }
    if (self->homed && self->kind->move == NULL) {
        PyErr_Format(PyExc_RuntimeError, "cannot move a %s to another thread while it is active",
                     Py_TYPE(self)->tp_name);
        return false;
    }
    return !self->homed || self->kind->movable == NULL || self->kind->movable(self);
}

static bool all_movable(bpy_object *root)
{
    for (bpy_object *at = root; at != NULL; at = bpy_object_next(at, root)) {
        if (!is_movable(at))
            return false;
    }
    return true;
}

/* No Python code runs here. */
static void move(bpy_object *self, bpy_thread *to)
{
    if (self->homed) {
        self->kind->move(self, to);
        bpy_object_unsettle(self);
    }
    bpy_thread_move_events(self->home, self, to);
    bpy_thread_ref(to);
    bpy_thread_unref(self->home);
    self->home = to;
}

static PyObject *object_move_to_thread(PyObject *object, PyObject *qthread)
{
    bpy_object *self = (bpy_object *)object;
    if (!bpy_object_check(object))
        return NULL;
    bpy_thread *to = bpy_qthread_thread(qthread);
    if (to == NULL)
        return NULL;
    if (self->parent != NULL)
        return PyErr_Format(PyExc_RuntimeError,
                            "cannot move an object with a parent to another thread");
    if (to == self->home)
        Py_RETURN_NONE;
    if (!bpy_object_here(self) || !all_movable(self))
        return NULL;
    for (bpy_object *at = self; at != NULL; at = bpy_object_next(at, self))
        move(at, to);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"thread", object_thread, METH_NOARGS,
     "thread() -> QThread: the thread that the object belongs to"},
    {"moveToThread", object_move_to_thread, METH_O,
     "moveToThread(thread): moves the object and its children to another thread"},
    {NULL, NULL, 0, NULL},
};

int bpy_moving_ready(PyObject *Py_UNUSED(module))
{
    return bpy_add_methods(&bpy_object_type, methods);
}
