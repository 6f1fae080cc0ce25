/*
 * Helpers for the interpreter's objects: types, methods, texts, and exceptions that no caller
 * catches.
 */
#include "interpreter.h"

#include <string.h>

bool bpy_pyqt;

/* Readies a type and adds it to the module under the last part of its name. */
int bpy_add_type(PyObject *module, PyTypeObject *type)
{
    if (PyType_Ready(type) < 0)
        return -1;
#if PY_VERSION_HEX >= 0x030a0000
    /* Programs set functions in classes, as qtpy does: QThread.exec_ = ... */
    type->tp_flags &= ~(unsigned long)Py_TPFLAGS_IMMUTABLETYPE;
#endif
    const char *dot = strrchr(type->tp_name, '.');
    Py_INCREF(type);
    if (PyModule_AddObject(module, dot + 1, (PyObject *)type) < 0) {
        Py_DECREF(type);
        return -1;
    }
    return 0;
}

/* Adds methods to a type that is ready. */
int bpy_add_methods(PyTypeObject *type, PyMethodDef *methods)
{
    for (PyMethodDef *one = methods; one->ml_name != NULL; one++) {
        PyObject *method = PyDescr_NewMethod(type, one);
        int status =
            method != NULL ? PyDict_SetItemString(type->tp_dict, one->ml_name, method) : -1;
        Py_XDECREF(method);
        if (status < 0)
            return -1;
    }
    PyType_Modified(type);
    return 0;
}

/* Whether this is the interpreter's main thread; true if that is not known. Keeps an exception. */
static bool is_main_thread(void)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyObject *threading = PyImport_ImportModule("threading");
    PyObject *main = threading != NULL ? PyObject_CallMethod(threading, "main_thread", NULL) : NULL;
    PyObject *ident = main != NULL ? PyObject_GetAttrString(main, "ident") : NULL;
    bool same = ident == NULL || PyLong_AsUnsignedLong(ident) == PyThread_get_thread_ident();
    Py_XDECREF(ident);
    Py_XDECREF(main);
    Py_XDECREF(threading);
    PyErr_Restore(type, value, trace);
    return same;
}

/* Handles an exception that no caller can catch: prints its traceback. SystemExit ends the process.
 * In the main thread, KeyboardInterrupt is raised again where the interpreter next checks for
 * signals; in others it is printed, and SystemExit is ignored, as in Python's own threads: the
 * interpreter cannot be ended there. */
void bpy_print_error(void)
{
    bool interrupts = PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
    bool exits = PyErr_ExceptionMatches(PyExc_SystemExit);
    if ((!interrupts && !exits) || is_main_thread() == exits) {
        PyErr_Print();
        return;
    }
    PyErr_Clear();
    if (interrupts)
        PyErr_SetInterrupt();
}

/* The text of a str; raises ValueError for a NUL in it. */
const char *bpy_text_of(PyObject *string)
{
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(string, &size);
    if (text == NULL || strlen(text) == (size_t)size)
        return text;
    PyErr_SetString(PyExc_ValueError, "embedded null character");
    return NULL;
}
