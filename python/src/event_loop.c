/*
 * QCoreApplication and QEventLoop: running the loop of a thread.
 *
 * exec_ turns the thread's loop until exit() or quit(); event loops can be nested. A system signal
 * ends a turn, and an exception of its Python handler (KeyboardInterrupt) ends exec_.
 *
 * There is at most one application. It belongs to the thread that made it, and ends with the last
 * reference to it.
 */
#include "known_signals.h"
#include "parts.h"
#include "qobject.h"

typedef struct event_loop {
    bpy_object object;
    bpy_run run;
    bool running;
} event_loop;

/* Not a plain bpy_object: no class can then have both this one and another kind as its base. */
typedef struct core_application {
    bpy_object object;
    bool made; /* by its constructor: it is the application */
} core_application;

static PyTypeObject event_loop_type, application_type;
static bpy_object *application; /* not owned */

static const bpy_kind plain_kind;

/* ---- QEventLoop ---- */

static PyObject *event_loop_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                                PyObject *Py_UNUSED(kwargs))
{
    return bpy_object_new(type, &plain_kind);
}

static PyObject *event_loop_exec(PyObject *object, PyObject *args)
{
    event_loop *self = (event_loop *)object;
    int flags = 0;
    if (!PyArg_ParseTuple(args, "|i:exec_", &flags))
        return NULL;
    if (!bpy_object_check(object) || !bpy_object_here(&self->object))
        return NULL;
    if (self->running)
        return PyLong_FromLong(-1);
    self->run = (bpy_run){.stop = false};
    self->running = true;
    Py_INCREF(self);
    int code = bpy_thread_run(self->object.home, &self->run);
    self->running = false;
    Py_DECREF(self);
    return PyErr_Occurred() ? NULL : PyLong_FromLong(code);
}

static PyObject *event_loop_exit(PyObject *object, PyObject *args)
{
    event_loop *self = (event_loop *)object;
    int code = 0;
    if (!PyArg_ParseTuple(args, "|i:exit", &code) || !bpy_object_check(object))
        return NULL;
    self->run.stop = true;
    self->run.code = code;
    bpy_thread_wake(self->object.home);
    Py_RETURN_NONE;
}

static PyObject *event_loop_quit(PyObject *object, PyObject *Py_UNUSED(none))
{
    PyObject *empty = PyTuple_New(0);
    PyObject *result = empty != NULL ? event_loop_exit(object, empty) : NULL;
    Py_XDECREF(empty);
    return result;
}

static PyObject *event_loop_is_running(PyObject *object, PyObject *Py_UNUSED(none))
{
    return bpy_object_check(object) ? PyBool_FromLong(((event_loop *)object)->running) : NULL;
}

static PyObject *event_loop_wake_up(PyObject *object, PyObject *Py_UNUSED(none))
{
    if (!bpy_object_check(object))
        return NULL;
    bpy_thread_wake(((event_loop *)object)->object.home);
    Py_RETURN_NONE;
}

enum {
    WAIT_FOR_MORE_EVENTS = 4
};

/* Types of events, by Qt's numbers. */
enum {
    META_CALL = 43,
    DEFERRED_DELETE = 52
};

/* processEvents(flags=AllEvents, milliseconds=None): runs what is ready; with a time limit, until
 * it is reached or nothing is ready. Returns whether anything ran; -1 with an exception. */
static int process(PyObject *args)
{
    int flags = 0, milliseconds = -1;
    if (!PyArg_ParseTuple(args, "|ii:processEvents", &flags, &milliseconds))
        return -1;
    bpy_thread *thread = bpy_thread_current();
    if (!bpy_thread_loop(thread))
        return -1;
    uint64_t end = berth_loop_now(thread->loop) + (uint64_t)(milliseconds > 0 ? milliseconds : 0);
    bool wait = (flags & WAIT_FOR_MORE_EVENTS) != 0;
    int ran = bpy_thread_turn(thread, wait ? -1 : 0);
    while (ran > 0 && milliseconds > 0 && berth_loop_now(thread->loop) < end) {
        int more = bpy_thread_turn(thread, 0);
        if (more <= 0)
            return more < 0 ? -1 : ran;
    }
    return ran;
}

static PyObject *event_loop_process(PyObject *object, PyObject *args)
{
    if (!bpy_object_check(object) || !bpy_object_here((bpy_object *)object))
        return NULL;
    int ran = process(args);
    return ran < 0 ? NULL : PyBool_FromLong(ran);
}

static PyMethodDef event_loop_methods[] = {
    {"exec_", event_loop_exec, METH_VARARGS,
     "exec_(flags=AllEvents) -> int: runs the loop; returns the code passed to exit()"},
    {"exec", event_loop_exec, METH_VARARGS, "exec(flags=AllEvents) -> int"},
    {"exit", event_loop_exit, METH_VARARGS, "exit(code=0)"},
    {"quit", event_loop_quit, METH_NOARGS, "quit(): exit(0)"},
    {"isRunning", event_loop_is_running, METH_NOARGS, "isRunning() -> bool"},
    {"wakeUp", event_loop_wake_up, METH_NOARGS, "wakeUp()"},
    {"processEvents", event_loop_process, METH_VARARGS,
     "processEvents(flags=AllEvents, milliseconds=None) -> bool: whether anything ran"},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject event_loop_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "berth.QtCore.QEventLoop",
    .tp_doc = "QEventLoop(parent=None): an event loop, which can be nested in a slot",
    .tp_basicsize = sizeof(event_loop),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_base = &bpy_object_type,
    .tp_new = event_loop_new,
    .tp_init = bpy_qobject_init,
    .tp_dealloc = bpy_qobject_dealloc,
    .tp_finalize = bpy_qobject_finalize,
    .tp_traverse = bpy_qobject_traverse,
    .tp_clear = bpy_qobject_clear,
    .tp_methods = event_loop_methods,
};

/* ---- QCoreApplication ---- */

static void application_release(bpy_object *self)
{
    if (((core_application *)self)->made)
        application = NULL;
}

static const bpy_kind application_kind = {.release = application_release};

static PyObject *application_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                                 PyObject *Py_UNUSED(kwargs))
{
    if (application != NULL)
        return PyErr_Format(PyExc_RuntimeError,
                            "Please destroy the QCoreApplication singleton before creating a new "
                            "QCoreApplication instance.");
    return bpy_object_new(type, &application_kind);
}

static int application_init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    bpy_object *self = (bpy_object *)object;
    PyObject *arguments = NULL;
    if (!PyArg_ParseTuple(args, "|O:QCoreApplication", &arguments))
        return -1;
    if (arguments != NULL && !PySequence_Check(arguments)) {
        PyErr_SetString(PyExc_TypeError, "QCoreApplication() takes a list of arguments");
        return -1;
    }
    PyObject *list = arguments != NULL ? PySequence_List(arguments) : PyList_New(0);
    int status = list != NULL ? bpy_qobject_configure(self, NULL, kwargs) : -1;
    if (status == 0)
        status = PyObject_SetAttrString(object, "_arguments", list);
    Py_XDECREF(list);
    if (status == 0 && (application != NULL || self->destroying)) { /* by what ran meanwhile */
        PyErr_SetString(PyExc_RuntimeError, "another QCoreApplication was made");
        status = -1;
    }
    if (status == 0) {
        application = self;
        ((core_application *)self)->made = true;
    }
    return status;
}

static PyObject *application_instance(PyObject *Py_UNUSED(none), PyObject *Py_UNUSED(nothing))
{
    bool there = application != NULL && !bpy_object_is_ending(application);
    return Py_NewRef(there ? (PyObject *)application : Py_None);
}

static bool needs_application(void)
{
    if (application == NULL)
        PyErr_SetString(PyExc_RuntimeError, "there is no QCoreApplication");
    return application != NULL;
}

static PyObject *application_exec(PyObject *Py_UNUSED(none), PyObject *Py_UNUSED(args))
{
    if (!needs_application() || !bpy_object_here(application))
        return NULL;
    bpy_object *self = application;
    bpy_run run = {.stop = false};
    Py_INCREF(self);
    int code = bpy_thread_run(self->home, &run);
    if (!PyErr_Occurred()) {
        bpy_emit(self, BPY_ABOUT_TO_QUIT, NULL);
        bpy_thread_deliver(self->home, NULL, BPY_DEFERRED);
    }
    Py_DECREF(self);
    return PyErr_Occurred() ? NULL : PyLong_FromLong(code);
}

static PyObject *application_exit(PyObject *Py_UNUSED(none), PyObject *args)
{
    int code = 0;
    if (!PyArg_ParseTuple(args, "|i:exit", &code))
        return NULL;
    if (application != NULL)
        bpy_thread_stop(application->home, code);
    Py_RETURN_NONE;
}

static PyObject *application_quit(PyObject *Py_UNUSED(none), PyObject *Py_UNUSED(nothing))
{
    if (application != NULL)
        bpy_thread_stop(application->home, 0);
    Py_RETURN_NONE;
}

static PyObject *application_process(PyObject *Py_UNUSED(none), PyObject *args)
{
    if (process(args) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* sendPostedEvents(receiver=None, type=0): deletions are sent only if they are asked for by their
 * type, or if they are due. */
static PyObject *application_send_posted(PyObject *Py_UNUSED(none), PyObject *args)
{
    PyObject *receiver = Py_None;
    int type = 0;
    if (!PyArg_ParseTuple(args, "|Oi:sendPostedEvents", &receiver, &type))
        return NULL;
    if (receiver != Py_None && !PyObject_TypeCheck(receiver, &bpy_object_type))
        return PyErr_Format(PyExc_TypeError, "the receiver must be a QObject or None, not %s",
                            Py_TYPE(receiver)->tp_name);
    if (receiver != Py_None && !bpy_object_usable(receiver))
        return NULL;
    if (type == 0 || type == META_CALL || type == DEFERRED_DELETE)
        bpy_thread_deliver(bpy_thread_current(), receiver != Py_None ? receiver : NULL,
                           type == 0 ? BPY_DUE : (type == META_CALL ? BPY_CALLS : BPY_DELETIONS));
    Py_RETURN_NONE;
}

static PyMethodDef application_methods[] = {
    {"instance", application_instance, METH_NOARGS | METH_STATIC,
     "instance() -> QCoreApplication or None"},
    {"exec_", application_exec, METH_VARARGS | METH_STATIC,
     "exec_() -> int: runs the event loop until exit() or quit()"},
    {"exec", application_exec, METH_VARARGS | METH_STATIC, "exec() -> int"},
    {"exit", application_exit, METH_VARARGS | METH_STATIC, "exit(code=0)"},
    {"quit", application_quit, METH_NOARGS | METH_STATIC, "quit(): exit(0)"},
    {"processEvents", application_process, METH_VARARGS | METH_STATIC,
     "processEvents(flags=AllEvents, milliseconds=None)"},
    {"sendPostedEvents", application_send_posted, METH_VARARGS | METH_STATIC,
     "sendPostedEvents(receiver=None, type=0): delivers queued calls, and deletions that are due; "
     "of the type QEvent.DeferredDelete all deletions"},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject application_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "berth.QtCore.QCoreApplication",
    .tp_doc = "QCoreApplication(arguments=[]): the application, which runs the main event loop",
    .tp_basicsize = sizeof(core_application),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_base = &bpy_object_type,
    .tp_new = application_new,
    .tp_init = application_init,
    .tp_dealloc = bpy_qobject_dealloc,
    .tp_finalize = bpy_qobject_finalize,
    .tp_traverse = bpy_qobject_traverse,
    .tp_clear = bpy_qobject_clear,
    .tp_methods = application_methods,
};

int bpy_event_loop_ready(PyObject *module)
{
    if (bpy_add_type(module, &event_loop_type) < 0 || bpy_add_type(module, &application_type) < 0)
        return -1;
    return bpy_signal_add_to(&application_type, BPY_ABOUT_TO_QUIT, BPY_ABOUT_TO_QUIT);
}
