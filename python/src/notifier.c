/*
 * QSocketNotifier: a berth_watch that emits activated.
 *
 * The watch is made by the first start, in the thread that the object then belongs to. It is
 * started for one call of its handler, and started again after the slots, so that inside them there
 * is no copy of the descriptor: a slot that closes it ends the pipe.
 *
 * A server or socket of the same loop may have the descriptor already, as in
 * QSocketNotifier(socket.socketDescriptor(), ...). Then a duplicate is watched, which belongs to
 * the notifier. Of a file that is always ready the kernel reports nothing: a timer does then.
 */
#include "known_signals.h"
#include "parts.h"
#include "qobject.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

typedef struct notifier {
    bpy_object object;
    berth_watch *watch;
    berth_timer *always; /* in place of the watch, for what is always ready */
    PyObject *kind;      /* QSocketNotifier.Type; NULL before __init__ */
    int descriptor;
    int duplicate; /* -1: there is none */
    int events;    /* of berth_watch; 0 for exceptions, which never happen here */
    bool enabled;
} notifier;

static PyTypeObject notifier_type;

static bool start(notifier *self);

/* ---- events ---- */

static void activated(notifier *self)
{
    bool entered = bpy_enter();
    PyObject *descriptor = PyLong_FromLong(self->descriptor);
    Py_INCREF(self);
    if (descriptor != NULL)
        bpy_emit_two(&self->object, BPY_ACTIVATED, descriptor, self->kind);
    Py_XDECREF(descriptor);
    if (self->enabled && !self->object.destroying && !start(self))
        bpy_print_error();
    Py_DECREF(self);
    bpy_leave(entered);
}

static void on_ready(berth_watch *Py_UNUSED(watch), unsigned Py_UNUSED(events), void *user)
{
    activated(user);
}

static void on_always(berth_timer *Py_UNUSED(timer), void *user)
{
    activated(user);
}

/* ---- the native ---- */

static void release(bpy_object *object)
{
    notifier *self = (notifier *)object;
    berth_watch *watch = self->watch;
    berth_timer *always = self->always;
    self->enabled = false;
    self->watch = NULL;
    self->always = NULL;
    berth_watch_free(watch);
    berth_timer_free(always);
    if (self->duplicate >= 0)
        close(self->duplicate);
    self->duplicate = -1;
}

static bool busy(bpy_object *object)
{
    return ((notifier *)object)->enabled;
}

/* Enabled again by the program: the descriptor may belong to the other thread then. */
static bool movable(bpy_object *object)
{
    if (!busy(object))
        return true;
    PyErr_SetString(PyExc_RuntimeError, "cannot move an enabled QSocketNotifier to another "
                                        "thread; disable it before");
    return false;
}

static void move(bpy_object *object, bpy_thread *Py_UNUSED(to))
{
    release(object);
}

static int traverse(bpy_object *object, visitproc visit, void *arg)
{
    Py_VISIT(((notifier *)object)->kind);
    return 0;
}

static void clear(bpy_object *object)
{
    Py_CLEAR(((notifier *)object)->kind);
}

static const bpy_kind notifier_kind = {
    .release = release,
    .busy = busy,
    .movable = movable,
    .move = move,
    .traverse = traverse,
    .clear = clear,
};

static bool make(notifier *self)
{
    berth_loop *loop = self->object.home->loop;
    self->watch = berth_watch_new(loop, self->descriptor, on_ready, self);
    if (self->watch == NULL && errno == EEXIST) {
        self->duplicate = fcntl(self->descriptor, F_DUPFD_CLOEXEC, 0);
        if (self->duplicate >= 0)
            self->watch = berth_watch_new(loop, self->duplicate, on_ready, self);
    }
    if (self->watch == NULL && errno == EPERM)
        self->always = berth_timer_new(loop, on_always, self);
    return self->watch != NULL || self->always != NULL;
}

/* Without a descriptor that can be waited for it is enabled and silent, as in Qt. */
static bool start(notifier *self)
{
    if (!bpy_object_usable((PyObject *)self) || !bpy_thread_loop(self->object.home))
        return false;
    self->enabled = true;
    if (self->events == 0)
        return true;
    if (self->watch == NULL && self->always == NULL) {
        if (!make(self))
            return true;
        bpy_object_settle(&self->object);
    }
    if (self->always != NULL)
        berth_timer_start(self->always, 0, 0);
    else
        (void)berth_watch_start_once(self->watch, (unsigned)self->events);
    bpy_thread_hand_over(self->object.home);
    return true;
}

static void stop(notifier *self)
{
    self->enabled = false;
    if (self->watch != NULL)
        berth_watch_stop(self->watch);
    if (self->always != NULL)
        berth_timer_stop(self->always);
}

/* ---- methods ---- */

static PyObject *notifier_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                              PyObject *Py_UNUSED(kwargs))
{
    notifier *self = (notifier *)bpy_object_new(type, &notifier_kind);
    if (self != NULL)
        self->descriptor = self->duplicate = -1;
    return (PyObject *)self;
}

static int notifier_init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static const int events[] = {BERTH_WATCH_READ, BERTH_WATCH_WRITE, 0};
    notifier *self = (notifier *)object;
    PyObject *socket, *kind, *parent = NULL;
    if (!PyArg_ParseTuple(args, "OO|O:QSocketNotifier", &socket, &kind, &parent))
        return -1;
    long descriptor = PyLong_AsLong(socket), which = PyLong_AsLong(kind);
    if (PyErr_Occurred())
        return -1;
    if (which < 0 || which > 2 || descriptor < INT_MIN || descriptor > INT_MAX) {
        PyErr_SetString(PyExc_ValueError, "QSocketNotifier() takes a descriptor and a Type");
        return -1;
    }
    if (self->kind != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "QSocketNotifier.__init__ was called before");
        return -1;
    }
    self->descriptor = (int)descriptor;
    self->events = events[which];
    self->kind = Py_NewRef(kind);
    if (bpy_qobject_configure(&self->object, parent, kwargs) < 0)
        return -1;
    return start(self) ? 0 : -1;
}

static PyObject *set_enabled(PyObject *object, PyObject *value)
{
    notifier *self = (notifier *)object;
    int truth = PyObject_IsTrue(value);
    if (truth < 0 || !bpy_object_usable(object))
        return NULL;
    if (truth && !self->enabled && !start(self))
        return NULL;
    if (!truth)
        stop(self);
    Py_RETURN_NONE;
}

#define GETTERS(X)                                                      \
    X(isEnabled, PyBool_FromLong(self->enabled), "bool")                \
    X(socket, PyLong_FromLong(self->descriptor), "int: the descriptor") \
    X(type, Py_NewRef(self->kind != NULL ? self->kind : Py_None), "QSocketNotifier.Type")

#define GETTER(name, value, text)                                            \
    static PyObject *get_##name(PyObject *object, PyObject *Py_UNUSED(none)) \
    {                                                                        \
        const notifier *self = (const notifier *)object;                     \
        return bpy_object_usable(object) ? (value) : NULL;                   \
    }
#define ENTRY(name, value, text) {#name, get_##name, METH_NOARGS, #name "() -> " text},

GETTERS(GETTER)

static PyMethodDef notifier_methods[] = {
    GETTERS(ENTRY){"setEnabled", set_enabled, METH_O, "setEnabled(enabled)"},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject notifier_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "berth.QtCore.QSocketNotifier",
    .tp_doc = "QSocketNotifier(descriptor, type, parent=None): emits activated while a descriptor "
              "is ready",
    .tp_basicsize = sizeof(notifier),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_base = &bpy_object_type,
    .tp_new = notifier_new,
    .tp_init = notifier_init,
    .tp_dealloc = bpy_qobject_dealloc,
    .tp_finalize = bpy_qobject_finalize,
    .tp_traverse = bpy_qobject_traverse,
    .tp_clear = bpy_qobject_clear,
    .tp_methods = notifier_methods,
};

int bpy_notifier_ready(PyObject *module)
{
    if (bpy_add_type(module, &notifier_type) < 0)
        return -1;
    return bpy_signal_add_to(&notifier_type, BPY_ACTIVATED, BPY_ACTIVATED);
}
