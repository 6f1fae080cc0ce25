/*
 * The class of the module's classes.
 *
 * Programs derive metaclasses from type(QObject) and another one, which the language allows only if
 * it is a class of its own, as PySide2's is.
 *
 * Functions can be set in the classes of C (interpreter.c). Three attributes cannot: the
 * interpreter keeps them in a struct that only classes of Python have.
 */
#include "metatype.h"

void (*bpy_class_changed)(PyTypeObject *type);

static PyObject *meta_new(PyTypeObject *meta, PyObject *args, PyObject *kwargs)
{
    PyObject *made = PyType_Type.tp_new(meta, args, kwargs);
    if (made != NULL && PyType_Check(made) && bpy_class_changed != NULL)
        bpy_class_changed((PyTypeObject *)made);
    return made;
}

static bool is_fixed(const PyTypeObject *type, PyObject *name)
{
    if ((type->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0 || !PyUnicode_Check(name))
        return false;
    return PyUnicode_CompareWithASCIIString(name, "__name__") == 0 ||
           PyUnicode_CompareWithASCIIString(name, "__qualname__") == 0 ||
           PyUnicode_CompareWithASCIIString(name, "__bases__") == 0;
}

/* Of a class and those that are derived from it; false with an exception. */
static bool tell_of_end(PyObject *type)
{
    if (bpy_class_changed != NULL)
        bpy_class_changed((PyTypeObject *)type);
    PyObject *derived = PyObject_CallMethod((PyObject *)&PyType_Type, "__subclasses__", "O", type);
    bool good = derived != NULL;
    for (Py_ssize_t i = 0; good && i < PyList_GET_SIZE(derived); i++)
        good = tell_of_end(PyList_GET_ITEM(derived, i));
    Py_XDECREF(derived);
    return good;
}

static int meta_set_attribute(PyObject *type, PyObject *name, PyObject *value)
{
    if (is_fixed((PyTypeObject *)type, name)) {
        PyErr_Format(PyExc_TypeError, "cannot set '%U' attribute of type '%s'", name,
                     ((PyTypeObject *)type)->tp_name);
        return -1;
    }
    if (PyType_Type.tp_setattro(type, name, value) < 0)
        return -1;
    if (PyUnicode_CompareWithASCIIString(name, "__del__") == 0 && !tell_of_end(type))
        return -1;
    return 0;
}

PyTypeObject bpy_metatype = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "berth.QtCore.ObjectType",
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_base = &PyType_Type,
    .tp_new = meta_new,
    .tp_setattro = meta_set_attribute,
};
