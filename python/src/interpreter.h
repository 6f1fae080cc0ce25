/*
 * The interpreter as every file sees it: its header, what its older versions lack, and what would
 * otherwise be written in each file.
 */
#ifndef BPY_INTERPRETER_H
#define BPY_INTERPRETER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

/* What Python 3.9 does not have yet. */
#if PY_VERSION_HEX < 0x030a0000
#define Py_TPFLAGS_DISALLOW_INSTANTIATION 0
static inline PyObject *Py_NewRef(PyObject *object)
{
    Py_INCREF(object);
    return object;
}
#endif

/* What 3.13 made public. */
#if PY_VERSION_HEX < 0x030d0000
#define PyLong_AsInt _PyLong_AsInt
#endif

#define BPY_METHOD(function) ((PyCFunction)(void (*)(void))(function))

int bpy_add_type(PyObject *module, PyTypeObject *type);
int bpy_add_methods(PyTypeObject *type, PyMethodDef *methods);
void bpy_print_error(void);
const char *bpy_text_of(PyObject *string);

#endif
