/*
 * The interpreter, for every file: its header, what its older versions lack, and common helpers.
 */
#ifndef BPY_INTERPRETER_H
#define BPY_INTERPRETER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

/* Added in Python 3.10. */
#if PY_VERSION_HEX < 0x030a0000
#define Py_TPFLAGS_DISALLOW_INSTANTIATION 0
static inline PyObject *Py_NewRef(PyObject *object)
{
    Py_INCREF(object);
    return object;
}
#endif

/* Public since 3.13. */
#if PY_VERSION_HEX < 0x030d0000
#define PyLong_AsInt _PyLong_AsInt
#endif

#define BPY_METHOD(function) ((PyCFunction)(void (*)(void))(function))

extern bool bpy_pyqt; /* the program imports PyQt (berth/_pyqt.py) */

int bpy_add_type(PyObject *module, PyTypeObject *type);
int bpy_add_methods(PyTypeObject *type, PyMethodDef *methods);
void bpy_print_error(void);
const char *bpy_text_of(PyObject *string);

#endif
