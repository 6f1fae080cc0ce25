/*
 * The class QObject: its constructor, its methods, and the end of an object.
 *
 * An object ends by deleteLater, with its parent, or with the last reference to it if it has no
 * parent. In each case bpy_qobject_destroy ends it, once, in the thread of the object: the native
 * is released (which may emit its last signals), destroyed is emitted, the children end,
 * connections are removed, and the parent drops its reference. The garbage collector may run in
 * any thread; if it finalizes an object with a native or with children in a foreign thread, the
 * object's own thread destroys it.
 *
 * A subclass with __del__ replaces tp_finalize; its own calls __del__, which finds the object as it
 * was, and then ends the object if nobody refers to it again. That is before the interpreter drops
 * the object's slots, whose destructors must not find it by its children, connections or natives.
 * What the collector deletes is ended by tp_clear.
 *
 * The collector finds cycles through slots (a slot that refers to its own object) only of inactive
 * objects. While a socket is connected, a server listens or a timer runs, the object does not
 * report its slots to the collector, which then assumes a reference from outside.
 */
#include "qobject.h"
#include "connection.h"
#include "known_signals.h"
#include "metatype.h"
#include "parts.h"

#include <stddef.h>
#include <structmember.h>

/* The collector may run in any thread, and a native can be asked in its own thread only. Elsewhere
 * it counts as active; a later collection in its own thread finds out. */
static bool object_busy(bpy_object *self)
{
    if (self->kind->busy == NULL || self->destroyed)
        return false;
    return (self->homed && !bpy_thread_is_current(self->home)) || self->kind->busy(self);
}

/* ---- making ---- */

static const bpy_kind plain_kind;

static PyObject *object_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                            PyObject *Py_UNUSED(kwargs))
{
    return bpy_object_new(type, &plain_kind);
}

/* A keyword of a constructor connects a signal or sets a property. */
static int configure_one(PyObject *self, PyObject *key, PyObject *value)
{
    PyObject *member = PyObject_GetAttr(self, key), *result = NULL;
    if (member != NULL && Py_IS_TYPE(member, &bpy_signal_instance_type)) {
        result = PyObject_CallMethod(member, "connect", "O", value);
    } else if (member != NULL) {
        const char *name = PyUnicode_AsUTF8(key);
        PyObject *setter = name == NULL || *name == '\0'
                               ? NULL
                               : PyUnicode_FromFormat("set%c%s", Py_TOUPPER(name[0]), name + 1);
        if (setter != NULL && PyObject_HasAttr(self, setter))
            result = PyObject_CallMethodObjArgs(self, setter, value, NULL);
        Py_XDECREF(setter);
    }
    if (result == NULL && (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_AttributeError)))
        PyErr_Format(bpy_pyqt ? PyExc_TypeError : PyExc_AttributeError,
                     "%s.__init__(): '%U()' is not a Qt property or a signal",
                     Py_TYPE(self)->tp_name, key);
    Py_XDECREF(member);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* From a copy, which the code that runs here cannot change. */
static int configure_all(PyObject *self, PyObject *kwargs)
{
    PyObject *names = PyDict_Copy(kwargs), *key, *value;
    Py_ssize_t place = 0;
    int status = names != NULL ? 0 : -1;
    while (status == 0 && PyDict_Next(names, &place, &key, &value)) {
        if (PyUnicode_CompareWithASCIIString(key, "parent") != 0)
            status = configure_one(self, key, value);
    }
    Py_XDECREF(names);
    return status;
}

static bool set_first_parent(bpy_object *self, PyObject *parent)
{
    if (!PyObject_TypeCheck(parent, &bpy_object_type)) {
        PyErr_Format(PyExc_TypeError,
                     "'%s.__init__' called with wrong argument types: the parent must be a "
                     "QObject or None, not %s",
                     Py_TYPE(self)->tp_name, Py_TYPE(parent)->tp_name);
        return false;
    }
    if (!bpy_object_check(parent))
        return false;
    if (((bpy_object *)parent)->home != self->home) {
        PyErr_SetString(PyExc_RuntimeError, "the parent lives in another thread");
        return false;
    }
    bpy_object_adopt(self, (bpy_object *)parent);
    return true;
}

int bpy_qobject_configure(bpy_object *self, PyObject *parent, PyObject *kwargs)
{
    if (self->ready) {
        PyErr_SetString(PyExc_RuntimeError, "You can't initialize an object twice!");
        return -1;
    }
    PyObject *named = kwargs != NULL ? PyDict_GetItemString(kwargs, "parent") : NULL;
    parent = named != NULL ? named : parent;
    if (parent != NULL && parent != Py_None && !set_first_parent(self, parent))
        return -1;
    self->ready = true;
    if (kwargs == NULL || PyDict_GET_SIZE(kwargs) == 0)
        return 0;
    int status = configure_all((PyObject *)self, kwargs);
    if (status < 0 && !self->destroying)
        bpy_object_adopt(self, NULL);
    return status;
}

int bpy_qobject_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *parent = NULL;
    if (!PyArg_ParseTuple(args, "|O", &parent))
        return -1;
    return bpy_qobject_configure((bpy_object *)self, parent, kwargs);
}

/* ---- the end ---- */

static void begin_end(bpy_object *self, bpy_object *above)
{
    Py_INCREF(self);
    self->destroying = true;
    self->above = above;
    if (self->kind->release != NULL)
        self->kind->release(self);
    self->ending = false;
    if (self->homed)
        bpy_thread_hand_over(self->home);
    bpy_object_unsettle(self);
    self->blocked = false; /* as in Qt: destroyed is always emitted */
    if (self->ready && bpy_has_listeners(self, BPY_DESTROYED))
        bpy_emit(self, BPY_DESTROYED, (PyObject *)self);
}

/* Returns what is to go on with. */
static bpy_object *finish_end(bpy_object *self)
{
    bpy_object *above = self->above;
    self->destroyed = true;
    bpy_connections_sever(self);
    bpy_object_adopt(self, NULL);
    Py_DECREF(self);
    return above;
}

/* The first child begins to end. Returns it, or NULL if it does so already. */
static bpy_object *begin_child(bpy_object *self)
{
    bpy_object *child = self->first;
    bool last = Py_REFCNT(child) == 1;
    Py_INCREF(child);
    if (last && Py_TYPE(child)->tp_finalize != bpy_qobject_finalize)
        PyObject_CallFinalizer((PyObject *)child); /* its __del__ finds it alive */
    bool begins = !child->destroying;
    if (begins)
        begin_end(child, self);
    else if (child->parent == self)
        bpy_object_adopt(child, NULL);
    Py_DECREF(child);
    return begins ? child : NULL;
}

/* Not recursive: a chain of parents may be of any length. */
void bpy_qobject_destroy(bpy_object *self)
{
    if (self->destroying)
        return;
    begin_end(self, NULL);
    for (bpy_object *at = self; at != NULL;) {
        bpy_object *child = at->first != NULL ? begin_child(at) : NULL;
        if (child != NULL)
            at = child;
        else if (at->first == NULL)
            at = finish_end(at);
    }
}

typedef struct deletion {
    bpy_event event;
    bpy_object *target; /* a reference */
} deletion;

static void run_deletion(bpy_event *event)
{
    bpy_object *target = ((deletion *)event)->target;
    /* As with PySide, where only what Python has made is forgotten before it ends. */
    target->ending = target->made_inside && !target->destroying;
    bpy_qobject_destroy(target);
}

static void drop_deletion(bpy_event *event)
{
    deletion *self = (deletion *)event;
    Py_DECREF(self->target);
    PyMem_Free(self);
}

static const bpy_event_kind deletion_kind = {
    .run = run_deletion, .drop = drop_deletion, .deferred = true, .final = true};

/* Of an object whose last reference was dropped in another thread: at once. */
static const bpy_event_kind end_kind = {.run = run_deletion, .drop = drop_deletion, .final = true};

/* False if the thread of the object has ended, or with an exception. */
static bool destroy_later(bpy_object *self, const bpy_event_kind *kind)
{
    if (!self->home->alive)
        return false;
    deletion *later = PyMem_Malloc(sizeof *later);
    if (later == NULL) {
        PyErr_NoMemory();
        return false;
    }
    Py_INCREF(self);
    *later = (deletion){.event = {.kind = kind, .owner = self}, .target = self};
    bpy_thread_post(self->home, &later->event);
    return true;
}

/* The last reference is dropped. */
void bpy_qobject_finalize(PyObject *object)
{
    bpy_object *self = (bpy_object *)object;
    if (self->destroying || self->home == NULL)
        return;
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    bool elsewhere = (self->homed || self->first != NULL) && self->home != bpy_thread_current() &&
                     self->home->running;
    if (!elsewhere || !destroy_later(self, &end_kind))
        bpy_qobject_destroy(self);
    PyErr_Restore(type, value, trace);
}

static destructor call_del; /* the interpreter's tp_finalize of classes with __del__ */

static void finalize_with_del(PyObject *object)
{
    call_del(object);
    if (Py_REFCNT(object) == 1)
        bpy_qobject_finalize(object);
}

/* For the metatype: a class was made, or got another __del__. */
static void finalize_after_del(PyTypeObject *type)
{
    if (!PyType_IsSubtype(type, &bpy_object_type) || type->tp_finalize == bpy_qobject_finalize ||
        type->tp_finalize == finalize_with_del)
        return;
    call_del = type->tp_finalize;
    type->tp_finalize = finalize_with_del;
}

/* At the end of tp_dealloc: what tp_finalize has not done if __del__ has kept the object before, or
 * was given to the class in another way. False if somebody refers to the object again. */
static bool finalized(PyObject *object)
{
    if (((bpy_object *)object)->destroying)
        return true;
    Py_SET_REFCNT(object, 1);
    bpy_qobject_finalize(object);
    Py_SET_REFCNT(object, Py_REFCNT(object) - 1);
    if (Py_REFCNT(object) == 0)
        return true;
    if ((Py_TYPE(object)->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0)
        Py_INCREF(Py_TYPE(object)); /* the caller drops the one that the object had */
    return false;
}

int bpy_qobject_traverse(PyObject *object, visitproc visit, void *arg)
{
    bpy_object *self = (bpy_object *)object;
    Py_VISIT(self->dict);
    for (bpy_object *child = self->first; child != NULL; child = child->after)
        Py_VISIT((PyObject *)child);
    if (self->kind != NULL && self->kind->traverse != NULL) {
        int status = self->kind->traverse(self, visit, arg);
        if (status != 0)
            return status;
    }
    return self->kind != NULL && object_busy(self) ? 0 : bpy_connections_traverse(self, visit, arg);
}

int bpy_qobject_clear(PyObject *object)
{
    bpy_object *self = (bpy_object *)object;
    bpy_qobject_finalize(object);
    if (!self->destroying && self->home != NULL)
        return 0; /* its own thread does it */
    bpy_connections_sever(self);
    Py_CLEAR(self->dict);
    if (self->kind != NULL && self->kind->clear != NULL)
        self->kind->clear(self);
    return 0;
}

void bpy_qobject_dealloc(PyObject *object)
{
    bpy_object *self = (bpy_object *)object;
    if (PyObject_CallFinalizerFromDealloc(object) < 0 || !finalized(object))
        return;
    PyObject_GC_UnTrack(object);
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs(object);
    bpy_qobject_clear(object);
    bpy_connections_free(self);
    Py_CLEAR(self->name);
    if (self->kind != NULL && self->kind->dispose != NULL)
        self->kind->dispose(self);
    if (self->home != NULL)
        bpy_thread_unref(self->home);
    Py_TYPE(object)->tp_free(object);
}

/* ---- methods ---- */

static PyObject *object_parent(PyObject *self, PyObject *Py_UNUSED(none))
{
    if (!bpy_object_check(self))
        return NULL;
    bpy_object *parent = ((bpy_object *)self)->parent;
    bool there = parent != NULL && !bpy_object_is_ending(parent);
    return Py_NewRef(there ? (PyObject *)parent : Py_None);
}

static PyObject *object_set_parent(PyObject *object, PyObject *parent)
{
    bpy_object *self = (bpy_object *)object;
    if (!bpy_object_check(object))
        return NULL;
    if (parent != Py_None && !PyObject_TypeCheck(parent, &bpy_object_type)) {
        PyErr_Format(PyExc_TypeError, "setParent() takes a QObject or None, not %s",
                     Py_TYPE(parent)->tp_name);
        return NULL;
    }
    bpy_object *other = parent != Py_None ? (bpy_object *)parent : NULL;
    bool leaf = self->first == NULL && other != self; /* below nothing: chains are built fast */
    for (bpy_object *above = other; above != NULL && !leaf; above = above->parent) {
        if (above == self)
            return PyErr_Format(PyExc_ValueError, "an object cannot be its own ancestor");
    }
    if (other != NULL && !bpy_object_check(parent))
        return NULL;
    if (other != NULL && other->home != self->home)
        return PyErr_Format(PyExc_RuntimeError, "the parent lives in another thread");
    bpy_object_adopt(self, other);
    if (other == NULL)
        self->made_inside = false; /* it is the program's now */
    Py_RETURN_NONE;
}

PyObject *bpy_qobject_children(PyObject *self, PyObject *Py_UNUSED(none))
{
    if (!bpy_object_check(self))
        return NULL;
    PyObject *list = PyList_New(0);
    bpy_object *child = ((bpy_object *)self)->first;
    for (; list != NULL && child != NULL; child = child->after) {
        if (!child->hidden && PyList_Append(list, (PyObject *)child) < 0)
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *object_delete_later(PyObject *self, PyObject *Py_UNUSED(none))
{
    if (!bpy_object_check(self))
        return NULL;
    if (!destroy_later((bpy_object *)self, &deletion_kind) && PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *object_name(PyObject *self, PyObject *Py_UNUSED(none))
{
    if (!bpy_object_check(self))
        return NULL;
    PyObject *name = ((bpy_object *)self)->name;
    return name != NULL ? Py_BuildValue("O", name) : PyUnicode_FromString("");
}

static PyObject *object_set_name(PyObject *object, PyObject *name)
{
    bpy_object *self = (bpy_object *)object;
    if (!bpy_object_check(object))
        return NULL;
    if (!PyUnicode_Check(name))
        return PyErr_Format(PyExc_TypeError, "setObjectName() takes a str, not %s",
                            Py_TYPE(name)->tp_name);
    name = PyUnicode_FromObject(name); /* not of a subclass, which may refer to the object */
    if (name == NULL)
        return NULL;
    bool same = self->name != NULL ? PyUnicode_Compare(self->name, name) == 0
                                   : PyUnicode_GET_LENGTH(name) == 0;
    Py_XSETREF(self->name, Py_NewRef(name));
    if (!same)
        bpy_emit(self, BPY_OBJECT_NAME_CHANGED, name);
    Py_DECREF(name);
    Py_RETURN_NONE;
}

static PyObject *object_block_signals(PyObject *object, PyObject *blocked)
{
    bpy_object *self = (bpy_object *)object;
    int truth = PyObject_IsTrue(blocked);
    if (truth < 0 || !bpy_object_check(object))
        return NULL;
    bool before = self->blocked;
    self->blocked = truth;
    return PyBool_FromLong(before);
}

static PyObject *object_signals_blocked(PyObject *self, PyObject *Py_UNUSED(none))
{
    return bpy_object_check(self) ? PyBool_FromLong(((bpy_object *)self)->blocked) : NULL;
}

static PyObject *object_sender(PyObject *self, PyObject *Py_UNUSED(none))
{
    return bpy_object_check(self) ? bpy_sender((bpy_object *)self) : NULL;
}

static PyObject *object_repr(PyObject *object)
{
    const bpy_object *self = (const bpy_object *)object;
    if (self->name == NULL || PyUnicode_GET_LENGTH(self->name) == 0)
        return PyUnicode_FromFormat("<%s at %p>", Py_TYPE(object)->tp_name, object);
    return PyUnicode_FromFormat("<%s(name = \"%U\") at %p>", Py_TYPE(object)->tp_name, self->name,
                                object);
}

static PyMethodDef object_methods[] = {
    {"parent", object_parent, METH_NOARGS, "parent() -> QObject or None"},
    {"setParent", object_set_parent, METH_O,
     "setParent(parent): makes the parent the owner of this object; None for no owner"},
    {"children", bpy_qobject_children, METH_NOARGS, "children() -> list"},
    {"deleteLater", object_delete_later, METH_NOARGS,
     "deleteLater(): destroys the object when control is back in the event loop"},
    {"objectName", object_name, METH_NOARGS, "objectName() -> str"},
    {"setObjectName", object_set_name, METH_O, "setObjectName(name)"},
    {"blockSignals", object_block_signals, METH_O,
     "blockSignals(blocked) -> bool: whether they were blocked before"},
    {"signalsBlocked", object_signals_blocked, METH_NOARGS, "signalsBlocked() -> bool"},
    {"sender", object_sender, METH_NOARGS,
     "sender() -> QObject: the object whose signal called the running slot of this object"},
    {NULL, NULL, 0, NULL},
};

static PyObject *get_dict(PyObject *object, void *Py_UNUSED(closure))
{
    return PyObject_GenericGetDict(object, NULL);
}

static PyGetSetDef object_members[] = {
    {"__dict__", get_dict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject bpy_object_type = {
    PyVarObject_HEAD_INIT(&bpy_metatype, 0).tp_name = "berth.QtCore.QObject",
    .tp_doc = "QObject(parent=None): signals, slots, and ownership by a parent",
    .tp_basicsize = sizeof(bpy_object),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = object_new,
    .tp_init = bpy_qobject_init,
    .tp_dealloc = bpy_qobject_dealloc,
    .tp_finalize = bpy_qobject_finalize,
    .tp_traverse = bpy_qobject_traverse,
    .tp_clear = bpy_qobject_clear,
    .tp_repr = object_repr,
    .tp_methods = object_methods,
    .tp_getset = object_members,
    .tp_dictoffset = offsetof(bpy_object, dict),
    .tp_weaklistoffset = offsetof(bpy_object, weakrefs),
};

static PyObject *hide(PyObject *Py_UNUSED(module), PyObject *object)
{
    if (!PyObject_TypeCheck(object, &bpy_object_type))
        return PyErr_Format(PyExc_TypeError, "hide() takes a QObject");
    ((bpy_object *)object)->hidden = true;
    return Py_NewRef(object);
}

static PyMethodDef functions[] = {
    {"hide", hide, METH_O, "hide(object): hides a helper from children(); returns it"},
    {NULL, NULL, 0, NULL},
};

int bpy_qobject_ready(PyObject *module)
{
    if (PyModule_AddFunctions(module, functions) < 0)
        return -1;
    bpy_class_changed = finalize_after_del;
    if (bpy_add_type(module, &bpy_object_type) < 0)
        return -1;
    return bpy_signal_add_to(&bpy_object_type, BPY_DESTROYED, BPY_OBJECT_NAME_CHANGED);
}
