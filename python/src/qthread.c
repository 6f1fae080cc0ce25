/*
 * QThread: a thread with an event loop of its own.
 *
 * The QThread object belongs to the thread that made it, as in Qt. Objects that are moved to it, or
 * made in run(), belong to the thread that it starts. That thread emits started, calls run() (which
 * runs the event loop unless overridden), emits finished, runs deferred deletions, and releases the
 * lock that wait() waits for. A running thread holds a reference to its QThread. It can be started
 * again: objects that belong to it and events for them stay. start() waits for the old thread if
 * that has begun to finish, which needs the interpreter's lock for it.
 *
 * The main thread and threads made by Python get a QThread when it is first asked for.
 */
#include "qthread.h"
#include "known_signals.h"
#include "parts.h"
#include "qobject.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

enum {
    LONGEST = 1000000000, /* seconds */
    MOST_PAUSES = 2000    /* milliseconds */
};

typedef enum thread_state {
    FRESH,
    RUNNING,
    FINISHING, /* finished is emitted, or was; the thread is still there */
    FINISHED
} thread_state;

typedef struct qthread {
    bpy_object object;
    bpy_thread *thread;      /* owned; made before the start, so that objects can be moved to it */
    PyThread_type_lock done; /* held while running */
    thread_state state;
    bool foreign;  /* not started here */
    bool quitting; /* exit() came before the loop ran */
    bool interruption;
    int code;
} qthread;

static PyTypeObject qthread_type;

/* ---- the thread ---- */

static int entering; /* threads that were started and do not have the interpreter's lock yet */

/* A thread that has not entered when the interpreter ends would enter what is freed; one that has
 * ends by itself. Not for ever: in a child of a fork there may be no such thread. */
void bpy_qthreads_enter(void)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < MOST_PAUSES && entering > 0; i++) {
        Py_BEGIN_ALLOW_THREADS nanosleep(&pause, NULL);
        Py_END_ALLOW_THREADS
    }
}

static void call_run(qthread *self)
{
    PyObject *result = PyObject_CallMethod((PyObject *)self, "run", NULL);
    if (result == NULL)
        bpy_print_error();
    Py_XDECREF(result);
}

static void thread_main(void *user)
{
    PyGILState_STATE lock = PyGILState_Ensure();
    entering--;
    qthread *self = user;
    bpy_thread *thread = bpy_thread_ref(self->thread);
    bpy_thread_assume(thread);
    bpy_emit(&self->object, BPY_STARTED, NULL);
    call_run(self);
    self->state = FINISHING;
    bpy_emit(&self->object, BPY_FINISHED, NULL);
    bpy_thread_rest(thread);
    self->state = FINISHED;
    PyThread_release_lock(self->done);
    Py_DECREF(self);
    bpy_thread_assume(NULL);
    bpy_thread_unref(thread);
    PyGILState_Release(lock);
}

static bool prepare(qthread *self)
{
    if (self->done == NULL)
        self->done = PyThread_allocate_lock();
    if (self->thread == NULL)
        self->thread = bpy_thread_new();
    if (self->done == NULL || self->thread == NULL)
        PyErr_NoMemory();
    else
        self->thread->qthread = (PyObject *)self;
    return self->done != NULL && self->thread != NULL;
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* Whether it has ended; false with an exception of a system signal's handler too. */
static bool wait_for(qthread *self, double milliseconds)
{
    PyLockStatus status;
    PY_TIMEOUT_T microseconds = milliseconds < 0 ? -1 : (PY_TIMEOUT_T)(milliseconds * 1000);
    int64_t end = now() + microseconds;
    do {
        Py_BEGIN_ALLOW_THREADS status = PyThread_acquire_lock_timed(self->done, microseconds, 1);
        if (status == PY_LOCK_ACQUIRED)
            PyThread_release_lock(self->done);
        Py_END_ALLOW_THREADS if (microseconds > 0) microseconds = end > now() ? end - now() : 0;
    } while (status == PY_LOCK_INTR && PyErr_CheckSignals() == 0);
    return status == PY_LOCK_ACQUIRED;
}

static PyObject *qthread_start(PyObject *object, PyObject *Py_UNUSED(args))
{
    qthread *self = (qthread *)object;
    if (!bpy_object_check(object))
        return NULL;
    while (self->state == FINISHING) {
        if (self->thread == bpy_thread_current())
            Py_RETURN_NONE; /* it cannot wait for itself */
        /* Not for the next run, if another thread starts it first. */
        if (!wait_for(self, 20) && PyErr_Occurred())
            return NULL;
    }
    if (!bpy_object_check(object) || !prepare(self))
        return NULL;
    if (self->state == RUNNING)
        Py_RETURN_NONE;
    self->quitting = self->interruption = false;
    self->state = RUNNING;
    Py_INCREF(self); /* of thread_main */
    PyThread_acquire_lock(self->done, WAIT_LOCK);
    entering++;
    if (PyThread_start_new_thread(thread_main, self) == PYTHREAD_INVALID_THREAD_ID) {
        entering--;
        self->state = FRESH;
        PyThread_release_lock(self->done);
        Py_DECREF(self);
        return PyErr_Format(PyExc_RuntimeError, "cannot start a thread");
    }
    Py_RETURN_NONE;
}

/* ---- waiting and ending ---- */

/* Milliseconds, or a QDeadlineTimer; -1 for ever. False with an exception. */
static bool time_of(PyObject *value, double *ret_milliseconds)
{
    if (value == NULL)
        return true;
    PyObject *rest = PyObject_HasAttrString(value, "remainingTime")
                         ? PyObject_CallMethod(value, "remainingTime", NULL)
                         : Py_NewRef(value);
    if (rest != NULL)
        *ret_milliseconds = PyFloat_AsDouble(rest);
    Py_XDECREF(rest);
    return !PyErr_Occurred();
}

static PyObject *qthread_wait(PyObject *object, PyObject *args)
{
    qthread *self = (qthread *)object;
    PyObject *value = NULL;
    double milliseconds = -1;
    if (!PyArg_ParseTuple(args, "|O:wait", &value) || !time_of(value, &milliseconds) ||
        !bpy_object_check(object))
        return NULL;
    if (self->thread == bpy_thread_current() || self->foreign)
        Py_RETURN_FALSE; /* a thread cannot wait for itself */
    if (self->done == NULL)
        Py_RETURN_TRUE;
    if (!(milliseconds < 4294967295.0)) /* ULONG_MAX: for ever */
        milliseconds = -1;
    Py_INCREF(self);
    bool ended = wait_for(self, milliseconds);
    Py_DECREF(self);
    return PyErr_Occurred() ? NULL : PyBool_FromLong(ended);
}

static void leave(qthread *self, int code)
{
    self->quitting = true;
    self->code = code;
    if (self->thread != NULL)
        bpy_thread_stop(self->thread, code);
}

static PyObject *qthread_exit(PyObject *object, PyObject *args)
{
    int code = 0;
    if (!PyArg_ParseTuple(args, "|i:exit", &code) || !bpy_object_check(object))
        return NULL;
    leave((qthread *)object, code);
    Py_RETURN_NONE;
}

static PyObject *qthread_quit(PyObject *object, PyObject *Py_UNUSED(none))
{
    if (!bpy_object_check(object))
        return NULL;
    leave((qthread *)object, 0);
    Py_RETURN_NONE;
}

static PyObject *qthread_exec(PyObject *object, PyObject *Py_UNUSED(none))
{
    qthread *self = (qthread *)object;
    if (!bpy_object_check(object))
        return NULL;
    if (self->thread != bpy_thread_current())
        return PyErr_Format(PyExc_RuntimeError, "exec_() can be called only in the thread itself");
    bpy_run run = {.stop = self->quitting, .code = self->code};
    self->quitting = false;
    int code = bpy_thread_run(self->thread, &run);
    return PyErr_Occurred() ? NULL : PyLong_FromLong(code);
}

static PyObject *qthread_request_interruption(PyObject *object, PyObject *Py_UNUSED(none))
{
    if (!bpy_object_check(object))
        return NULL;
    ((qthread *)object)->interruption = true;
    Py_RETURN_NONE;
}

#define GETTERS(X)                          \
    X(isRunning, self->state == RUNNING)    \
    X(isFinished, self->state >= FINISHING) \
    X(isInterruptionRequested, self->interruption)

#define GETTER(name, value)                                                  \
    static PyObject *get_##name(PyObject *object, PyObject *Py_UNUSED(none)) \
    {                                                                        \
        const qthread *self = (const qthread *)object;                       \
        return bpy_object_check(object) ? PyBool_FromLong(value) : NULL;     \
    }
#define ENTRY(name, value) {#name, get_##name, METH_NOARGS, #name "() -> bool"},

GETTERS(GETTER)

/* ---- any thread ---- */

static PyObject *pause_for(PyObject *args, double unit)
{
    double amount;
    if (!PyArg_ParseTuple(args, "d", &amount))
        return NULL;
    double seconds = amount > 0 ? amount * unit : 0;
    int64_t end = now() + (int64_t)((seconds < LONGEST ? seconds : LONGEST) * 1e6);
    struct timespec time = {.tv_sec = end / 1000000, .tv_nsec = (long)(end % 1000000) * 1000};
    int status;
    do { /* to the end, unless the handler of a signal raises */
        Py_BEGIN_ALLOW_THREADS status =
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
        Py_END_ALLOW_THREADS if (status == EINTR && PyErr_CheckSignals() < 0) return NULL;
    } while (status == EINTR);
    Py_RETURN_NONE;
}

static PyObject *qthread_sleep(PyObject *Py_UNUSED(none), PyObject *args)
{
    return pause_for(args, 1);
}

static PyObject *qthread_msleep(PyObject *Py_UNUSED(none), PyObject *args)
{
    return pause_for(args, 1e-3);
}

static PyObject *qthread_usleep(PyObject *Py_UNUSED(none), PyObject *args)
{
    return pause_for(args, 1e-6);
}

static PyObject *qthread_current(PyObject *Py_UNUSED(none), PyObject *Py_UNUSED(nothing))
{
    PyObject *object = bpy_qthread_for(bpy_thread_current());
    if (object == NULL && PyErr_Occurred())
        return NULL;
    return Py_NewRef(object != NULL ? object : Py_None);
}

static PyObject *qthread_ideal(PyObject *Py_UNUSED(none), PyObject *Py_UNUSED(nothing))
{
    return PyLong_FromLong(sysconf(_SC_NPROCESSORS_ONLN));
}

static PyObject *qthread_yield(PyObject *Py_UNUSED(none), PyObject *args)
{
    (void)args;
    Py_BEGIN_ALLOW_THREADS sched_yield();
    Py_END_ALLOW_THREADS Py_RETURN_NONE;
}

/* ---- the type ---- */

/* When the interpreter ends, other threads do not run any more. */
static bool is_over(void)
{
#if PY_VERSION_HEX >= 0x030d0000
    return Py_IsFinalizing() != 0;
#else
    return _Py_IsFinalizing() != 0;
#endif
}

static void qthread_release(bpy_object *object)
{
    qthread *self = (qthread *)object;
    if (self->state == RUNNING && !self->foreign)
        leave(self, 0);
    /* All slots of finished are called, also if one of them has deleted it. */
    while (self->state == FINISHING && self->thread != bpy_thread_current() && !is_over()) {
        if (!wait_for(self, 20) && PyErr_Occurred())
            bpy_print_error();
    }
}

static bool qthread_busy(bpy_object *object)
{
    return ((qthread *)object)->state == RUNNING;
}

static void qthread_dispose(bpy_object *object)
{
    qthread *self = (qthread *)object;
    if (self->thread != NULL) {
        if (self->thread->qthread == (PyObject *)object)
            self->thread->qthread = NULL;
        if (!self->foreign) { /* it is never started again */
            self->thread->alive = false;
            bpy_thread_drop_events(self->thread);
        }
        bpy_thread_unref(self->thread);
    }
    if (self->done != NULL)
        PyThread_free_lock(self->done);
}

static const bpy_kind qthread_kind = {
    .release = qthread_release, .busy = qthread_busy, .dispose = qthread_dispose};

static PyObject *qthread_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                             PyObject *Py_UNUSED(kwargs))
{
    return bpy_object_new(type, &qthread_kind);
}

/* The QThread of any thread, borrowed; made if there is none. NULL if it has ended, or with an
 * exception. */
PyObject *bpy_qthread_for(bpy_thread *thread)
{
    if (thread->qthread != NULL && Py_REFCNT(thread->qthread) == 0)
        return NULL; /* it is being deallocated, and a destructor asks */
    if (thread->qthread != NULL || !thread->alive)
        return thread->qthread;
    qthread *self = (qthread *)bpy_object_make(&qthread_type, &qthread_kind, NULL);
    if (self == NULL)
        return NULL;
    self->foreign = true;
    self->state = RUNNING;
    self->thread = bpy_thread_ref(thread);
    thread->qthread = (PyObject *)self;
    thread->owns_qthread = true;
    return thread->qthread;
}

bpy_thread *bpy_qthread_thread(PyObject *object)
{
    if (!PyObject_TypeCheck(object, &qthread_type)) {
        PyErr_Format(PyExc_TypeError, "a QThread is required, not %s", Py_TYPE(object)->tp_name);
        return NULL;
    }
    qthread *self = (qthread *)object;
    if (!bpy_object_check(object))
        return NULL;
    if (!self->foreign && !prepare(self))
        return NULL;
    return self->thread;
}

static PyMethodDef qthread_methods[] = {
    GETTERS(ENTRY){"start", qthread_start, METH_VARARGS,
                   "start(): starts the thread, which calls run()"},
    {"run", qthread_exec, METH_NOARGS,
     "run(): the body of the thread; runs the event loop unless overridden"},
    {"exec_", qthread_exec, METH_NOARGS, "exec_() -> int: runs the thread's event loop"},
    {"exec", qthread_exec, METH_NOARGS, "exec() -> int"},
    {"exit", qthread_exit, METH_VARARGS, "exit(code=0): ends the thread's event loops"},
    {"quit", qthread_quit, METH_NOARGS, "quit(): exit(0)"},
    {"wait", qthread_wait, METH_VARARGS, "wait(milliseconds=None) -> bool: whether it has ended"},
    {"requestInterruption", qthread_request_interruption, METH_NOARGS, "requestInterruption()"},
    {"sleep", qthread_sleep, METH_VARARGS | METH_STATIC, "sleep(seconds)"},
    {"msleep", qthread_msleep, METH_VARARGS | METH_STATIC, "msleep(milliseconds)"},
    {"usleep", qthread_usleep, METH_VARARGS | METH_STATIC, "usleep(microseconds)"},
    {"currentThread", qthread_current, METH_NOARGS | METH_STATIC, "currentThread() -> QThread"},
    {"idealThreadCount", qthread_ideal, METH_NOARGS | METH_STATIC, "idealThreadCount() -> int"},
    {"yieldCurrentThread", qthread_yield, METH_NOARGS | METH_STATIC, "yieldCurrentThread()"},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject qthread_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "berth.QtCore.QThread",
    .tp_doc = "QThread(parent=None): a thread with an event loop",
    .tp_basicsize = sizeof(qthread),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_base = &bpy_object_type,
    .tp_new = qthread_new,
    .tp_init = bpy_qobject_init,
    .tp_dealloc = bpy_qobject_dealloc,
    .tp_finalize = bpy_qobject_finalize,
    .tp_traverse = bpy_qobject_traverse,
    .tp_clear = bpy_qobject_clear,
    .tp_methods = qthread_methods,
};

int bpy_qthread_ready(PyObject *module)
{
    if (bpy_add_type(module, &qthread_type) < 0)
        return -1;
    return bpy_signal_add_to(&qthread_type, BPY_STARTED, BPY_FINISHED);
}
