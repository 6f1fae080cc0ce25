/*
 * The module berth._berth: registers its types with Python.
 *
 * The files, lowest first; each includes files above it in this list only:
 *
 *   interpreter, metatype, values, event  helpers, the classes' class, the queue of a thread
 *   thread                               loops, the interpreter's lock, running events
 *   object                               what all objects share
 *   byte_array, host_address, proxy      values
 *   signal, connection                   signals in classes, slots, emitting
 *   known_signals, signal_instance       the module's own signals, signals on objects
 *   override                             what programs have in place of methods
 *   qobject                              the class QObject, and the end of an object
 *   qthread, moving                      threads, and moving objects between them
 *   timer, notifier, event_loop          QTimer, QSocketNotifier, QEventLoop, QCoreApplication
 *   endpoint, socket*, server            sockets and servers
 *   local, tls                           Unix sockets, encrypted ones
 *
 * Classes and methods that do not handle data are written in Python (berth/_enums.py, _core.py,
 * _network.py); install() adds them to the types. At exit shutdown() frees the objects of the main
 * thread, while slots can still be called.
 */
#include "metatype.h"
#include "parts.h"
#include "qthread.h"
#include "thread.h"

static PyObject *install(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyTypeObject *type;
    PyObject *members;
    if (!PyArg_ParseTuple(args, "O!O!:install", &PyType_Type, &type, &PyDict_Type, &members))
        return NULL;
    if (PyDict_Update(type->tp_dict, members) < 0)
        return NULL;
    PyType_Modified(type);
    Py_RETURN_NONE;
}

static PyObject *use_pyqt(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    bpy_pyqt = true;
    Py_RETURN_NONE;
}

static PyObject *shut_down(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    bpy_qthreads_enter();
    bpy_thread_finish(bpy_thread_current());
    Py_RETURN_NONE;
}

static PyObject *backend_name(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    bpy_thread *thread = bpy_thread_current();
    if (!bpy_thread_loop(thread))
        return NULL;
    return PyUnicode_FromString(berth_loop_backend_name(thread->loop));
}

static PyMethodDef functions[] = {
    {"install", install, METH_VARARGS, "install(type, members): adds members to a type"},
    {"use_pyqt", use_pyqt, METH_NOARGS, "use_pyqt(): follows PyQt's conventions from now on"},
    {"shutdown", shut_down, METH_NOARGS, "shutdown(): frees the objects of this thread"},
    {"after_fork", bpy_thread_after_fork, METH_NOARGS,
     "after_fork(): takes over the parent's objects in a child of os.fork"},
    {"_forked", bpy_thread_forked, METH_NOARGS, "_forked(): for os.register_at_fork"},
    {"backend", backend_name, METH_NOARGS, "backend() -> str: the backend of this thread's loop"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "berth._berth",
    .m_doc = "The part of berth that is written in C; use berth.QtCore and berth.QtNetwork.",
    .m_size = 0, /* the interpreter asks again for what it has made */
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__berth(void);

PyMODINIT_FUNC PyInit__berth(void)
{
    static int (*const parts[])(PyObject *) = {
        bpy_proxy_ready,           bpy_values_ready,       bpy_signal_ready,
        bpy_signal_instance_ready, bpy_thread_ready,       bpy_qobject_ready,
        bpy_byte_array_ready,      bpy_host_address_ready, bpy_timer_ready,
        bpy_event_loop_ready,      bpy_qthread_ready,      bpy_moving_ready,
        bpy_socket_ready,          bpy_server_ready,       bpy_notifier_ready,
        bpy_local_ready,           bpy_tls_ready,          bpy_connection_handle_ready,
    };
    static PyObject *made;
    if (PyInterpreterState_Get() != PyInterpreterState_Main())
        return PyErr_Format(PyExc_ImportError, "berth is for the main interpreter only");
    if (made != NULL)
        return Py_NewRef(made);
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL || PyType_Ready(&bpy_metatype) < 0) {
        Py_XDECREF(module);
        return NULL;
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i](module) < 0) {
            Py_DECREF(module);
            return NULL;
        }
    }
    if (PyModule_AddStringConstant(module, "version", berth_version()) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    made = Py_NewRef(module);
    return module;
}
