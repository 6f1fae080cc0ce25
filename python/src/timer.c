/*
 * QTimer: a berth_timer that emits timeout.
 *
 * The native timer is made by the first start, in the thread that the object then belongs to. An
 * interval of 0 fires in every turn. singleShot makes a timer that holds a reference to itself
 * until it has fired.
 *
 * A timer does not fire again while its slots run, if they turn the loop, unless they have started
 * it again. What was missed is left out.
 */
#include "known_signals.h"
#include "override.h"
#include "parts.h"
#include "qobject.h"

#include <limits.h>
#include <stddef.h>

typedef struct timer {
    bpy_object object;
    berth_timer *native;
    uint64_t due; /* on the loop's clock, while active */
    int interval;
    int id;           /* of the last start */
    unsigned starts;  /* counts them */
    unsigned firing;  /* the start whose slots run, or 0 */
    bool asleep;      /* active; the native waits until the slots have returned */
    bool restarting;  /* active; moved, and started by an event in its new thread */
    bool announced;   /* to its new thread, by an event that has not run yet */
    bpy_event moving; /* that event, which holds a reference */
    bool single;
    bool own; /* of singleShot: holds a reference to itself until it fires */
} timer;

static PyTypeObject timer_type;
static bpy_virtual on_event = {.text = "timerEvent", .type = &timer_type};
static int last_id; /* of all timers */

static bool is_active(const timer *self)
{
    return self->asleep || self->restarting ||
           (self->native != NULL && berth_timer_is_active(self->native));
}

static void stop(timer *self)
{
    self->asleep = self->restarting = false;
    if (self->native != NULL)
        berth_timer_stop(self->native);
}

static void arm(timer *self)
{
    if (self->interval < 0) { /* as in Qt, active and silent */
        berth_timer_stop(self->native);
        self->asleep = true;
        return;
    }
    uint64_t interval = (uint64_t)self->interval;
    self->due = berth_loop_now(self->object.home->loop) + interval;
    berth_timer_start(self->native, interval, self->single ? 0 : interval);
}

/* For Berth, a repetition of 0 is none. An override of timerEvent() finds a single shot active; it
 * is stopped by the function of the class. */
static void prepare_next(timer *self, bool overridden)
{
    if (self->single && !overridden)
        stop(self);
    else if (self->single || (self->interval == 0 && self->firing == self->starts))
        self->asleep = true;
    else if (self->interval == 0)
        arm(self);
    else
        self->due += (uint64_t)self->interval;
}

static bool is_overridden(timer *self)
{
    bool plain = Py_IS_TYPE((PyObject *)self, &timer_type) && self->object.dict == NULL;
    return !plain && bpy_is_override(&on_event, (PyObject *)self);
}

static void deliver(timer *self, bool overridden)
{
    if (!overridden) {
        bpy_emit(&self->object, BPY_TIMEOUT, NULL);
        return;
    }
    PyObject *result = PyObject_CallMethod((PyObject *)self, "_deliver", "i", self->id);
    if (result == NULL)
        bpy_print_error();
    Py_XDECREF(result);
}

static void fire(timer *self, bool overridden)
{
    unsigned outer = self->firing;
    self->firing = self->starts;
    deliver(self, overridden);
    self->firing = outer;
    if (self->asleep && bpy_thread_is_current(self->object.home)) { /* it may have been moved */
        self->asleep = false;
        arm(self);
    }
}

static void expired(berth_timer *Py_UNUSED(native), void *user)
{
    timer *self = user;
    bool entered = bpy_enter();
    Py_INCREF(self);
    bool overridden = is_overridden(self);
    if (self->native != NULL) {
        prepare_next(self, overridden);
        if (self->firing != self->starts)
            fire(self, overridden);
    }
    if (self->own) {
        self->own = false;
        Py_DECREF(self);
    }
    Py_DECREF(self);
    bpy_leave(entered);
}

static void timer_release(bpy_object *object)
{
    timer *self = (timer *)object;
    stop(self);
    berth_timer_free(self->native);
    self->native = NULL;
    if (self->own) {
        self->own = false;
        Py_DECREF(self);
    }
}

static bool timer_busy(bpy_object *object)
{
    return is_active((timer *)object);
}

static bool start(timer *self)
{
    bpy_thread *home = self->object.home;
    if (!bpy_object_usable((PyObject *)self) || !bpy_thread_loop(home))
        return false;
    if (self->native == NULL) {
        self->native = berth_timer_new(home->loop, expired, self);
        if (self->native == NULL) {
            PyErr_NoMemory();
            return false;
        }
        bpy_object_settle(&self->object);
    }
    self->starts++;
    last_id = last_id < INT_MAX ? last_id + 1 : 1;
    self->id = last_id;
    self->asleep = self->restarting = false;
    arm(self);
    return true;
}

/* ---- moving to another thread ---- */

static timer *timer_of(bpy_event *event)
{
    return (timer *)((char *)event - offsetof(timer, moving));
}

static void run_moved(bpy_event *event)
{
    timer *self = timer_of(event);
    if (self->restarting && !start(self))
        bpy_print_error();
}

static void drop_moved(bpy_event *event)
{
    timer *self = timer_of(event);
    self->restarting = self->announced = false;
    Py_DECREF(self);
}

static const bpy_event_kind moved_kind = {.run = run_moved, .drop = drop_moved};

/* An active timer is started again in the other thread, with its full interval, by an event. */
static void timer_move(bpy_object *object, bpy_thread *to)
{
    timer *self = (timer *)object;
    bool active = is_active(self);
    stop(self);
    berth_timer_free(self->native);
    self->native = NULL;
    if (!active)
        return;
    self->restarting = true;
    if (self->announced)
        return; /* the event of an earlier move, which moves too */
    self->announced = true;
    Py_INCREF(self);
    self->moving = (bpy_event){.kind = &moved_kind, .owner = object};
    bpy_thread_post(to, &self->moving);
}

static const bpy_kind timer_kind = {
    .release = timer_release, .busy = timer_busy, .move = timer_move};

static PyObject *timer_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                           PyObject *Py_UNUSED(kwargs))
{
    return bpy_object_new(type, &timer_kind);
}

/* As PySide2 has it: a float is truncated, and the number has to fit in an int. */
static bool set_interval(timer *self, PyObject *value)
{
    PyObject *whole = PyFloat_Check(value) ? PyNumber_Long(value) : Py_NewRef(value);
    int interval = whole != NULL ? PyLong_AsInt(whole) : -1;
    Py_XDECREF(whole);
    if (interval == -1 && PyErr_Occurred())
        return false;
    self->interval = interval;
    return true;
}

static PyObject *timer_start(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    timer *self = (timer *)object;
    if (!bpy_object_check(object))
        return NULL;
    if (count > 1)
        return PyErr_Format(PyExc_TypeError, "start() takes at most one argument");
    if ((count == 1 && !set_interval(self, args[0])) || !start(self))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *timer_stop(PyObject *object, PyObject *Py_UNUSED(none))
{
    timer *self = (timer *)object;
    if (!bpy_object_check(object) || !bpy_object_here(&self->object))
        return NULL;
    stop(self);
    Py_RETURN_NONE;
}

static PyObject *timer_set_interval(PyObject *object, PyObject *value)
{
    timer *self = (timer *)object;
    if (!bpy_object_usable(object) || !set_interval(self, value))
        return NULL;
    if (is_active(self) && !start(self))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *timer_set_single(PyObject *object, PyObject *value)
{
    int truth = PyObject_IsTrue(value);
    if (truth < 0 || !bpy_object_usable(object))
        return NULL;
    ((timer *)object)->single = truth;
    Py_RETURN_NONE;
}

static int remaining(const timer *self)
{
    if (!is_active(self) || self->interval < 0)
        return -1;
    if (self->restarting)
        return self->interval;
    uint64_t now = berth_loop_now(self->object.home->loop);
    return now < self->due ? (int)(self->due - now) : 0;
}

#define GETTERS(X)                                                                              \
    X(interval, PyLong_FromLong(self->interval), "int: milliseconds")                           \
    X(isActive, PyBool_FromLong(is_active(self)), "bool")                                       \
    X(isSingleShot, PyBool_FromLong(self->single), "bool")                                      \
    X(remainingTime, PyLong_FromLong(remaining(self)), "int: milliseconds; -1 when not active") \
    X(timerId, PyLong_FromLong(is_active(self) ? self->id : -1), "int: -1 when not active")

#define GETTER(name, value, text)                                            \
    static PyObject *get_##name(PyObject *object, PyObject *Py_UNUSED(none)) \
    {                                                                        \
        timer *self = (timer *)object;                                       \
        return bpy_object_usable(object) ? (value) : NULL;                   \
    }
#define ENTRY(name, value, text) {#name, get_##name, METH_NOARGS, #name "() -> " text},

GETTERS(GETTER)

static PyObject *timer_event(PyObject *object, PyObject *event)
{
    timer *self = (timer *)object;
    PyObject *number = PyObject_CallMethod(event, "timerId", NULL);
    long id = number != NULL ? PyLong_AsLong(number) : -1;
    Py_XDECREF(number);
    if ((id == -1 && PyErr_Occurred()) || !bpy_object_usable(object))
        return NULL;
    if (id == self->id) {
        if (self->single)
            stop(self);
        bpy_emit(&self->object, BPY_TIMEOUT, NULL);
    }
    Py_RETURN_NONE;
}

/* singleShot(milliseconds, slot), or with a timer type between them, which is ignored. */
static PyObject *single_shot(PyObject *Py_UNUSED(none), PyObject *args)
{
    PyObject *first, *second, *third = NULL;
    if (!PyArg_ParseTuple(args, "OO|O:singleShot", &first, &second, &third))
        return NULL;
    PyObject *slot = third != NULL ? third : second;
    timer *self = (timer *)bpy_object_make(&timer_type, &timer_kind, NULL);
    if (self == NULL)
        return NULL;
    self->single = true;
    PyObject *signal = PyObject_GetAttrString((PyObject *)self, "timeout");
    PyObject *made = signal != NULL ? PyObject_CallMethod(signal, "connect", "O", slot) : NULL;
    bool good = made != NULL && set_interval(self, first) && start(self);
    Py_XDECREF(made);
    Py_XDECREF(signal);
    if (!good) {
        Py_DECREF(self);
        return NULL;
    }
    self->own = true; /* the reference is kept */
    Py_RETURN_NONE;
}

static PyMethodDef timer_methods[] = {
    GETTERS(ENTRY){"start", BPY_METHOD(timer_start), METH_FASTCALL, "start(milliseconds=None)"},
    {"stop", timer_stop, METH_NOARGS, "stop()"},
    {"timerEvent", timer_event, METH_O, "timerEvent(event): emits timeout; may be overridden"},
    {"setInterval", timer_set_interval, METH_O, "setInterval(milliseconds)"},
    {"setSingleShot", timer_set_single, METH_O, "setSingleShot(single)"},
    {"singleShot", single_shot, METH_VARARGS | METH_STATIC,
     "singleShot(milliseconds, slot): calls the slot once, after that time"},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject timer_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "berth.QtCore.QTimer",
    .tp_doc = "QTimer(parent=None): emits timeout, once or repeatedly",
    .tp_basicsize = sizeof(timer),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_base = &bpy_object_type,
    .tp_new = timer_new,
    .tp_init = bpy_qobject_init,
    .tp_dealloc = bpy_qobject_dealloc,
    .tp_finalize = bpy_qobject_finalize,
    .tp_traverse = bpy_qobject_traverse,
    .tp_clear = bpy_qobject_clear,
    .tp_methods = timer_methods,
};

int bpy_timer_ready(PyObject *module)
{
    if (bpy_add_type(module, &timer_type) < 0)
        return -1;
    if (bpy_virtual_ready(&on_event) < 0)
        return -1;
    return bpy_signal_add_to(&timer_type, BPY_TIMEOUT, BPY_TIMEOUT);
}
