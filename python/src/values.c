/*
 * Enumerations, error numbers and ports, between Python and C.
 *
 * The classes of the enumerations are written in Python (berth/_enums.py), which registers them
 * here with their members by number. Numbers start at -1, as Qt's errors do.
 */
#include "values.h"
#include "parts.h"

enum {
    MOST = 40
};

static PyObject *values[BPY_ENUMS][MOST];
static PyObject *classes[BPY_ENUMS];

/* The member with that number; a plain int if there is none. */
PyObject *bpy_enum_value(bpy_enum which, int value)
{
    int place = value + 1;
    if (place >= 0 && place < MOST && values[which][place] != NULL)
        return Py_NewRef(values[which][place]);
    if (classes[which] != NULL)
        return PyObject_CallFunction(classes[which], "i", value);
    return PyLong_FromLong(value);
}

/* Qt has one number for "none yet" and "unknown". */
int bpy_error_number(berth_error error)
{
    return error == BERTH_ERROR_NONE || error == BERTH_ERROR_UNKNOWN ? -1 : (int)error - 1;
}

/* For PyArg_Parse's O&: a port, into a uint16_t. */
int bpy_port_convert(PyObject *object, void *ret_port)
{
    long port = PyLong_AsLong(object);
    if (port == -1 && PyErr_Occurred())
        return 0;
    if (port < 0 || port > UINT16_MAX) {
        PyErr_SetString(PyExc_OverflowError, "a port must be from 0 to 65535");
        return 0;
    }
    *(uint16_t *)ret_port = (uint16_t)port;
    return 1;
}

static PyObject *set_enum(PyObject *Py_UNUSED(module), PyObject *args)
{
    int which;
    PyObject *class, *members;
    if (!PyArg_ParseTuple(args, "iOO!:set_enum", &which, &class, &PyList_Type, &members))
        return NULL;
    if (which < 0 || which >= BPY_ENUMS)
        return PyErr_Format(PyExc_ValueError, "no such enumeration");
    Py_INCREF(class);
    Py_XSETREF(classes[which], class);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(members); i++) {
        PyObject *member = PyList_GET_ITEM(members, i);
        long place = PyLong_AsLong(member) + 1;
        if (PyErr_Occurred())
            return NULL;
        if (place >= 0 && place < MOST)
            Py_XSETREF(values[which][place], Py_NewRef(member));
    }
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"set_enum", set_enum, METH_VARARGS, "set_enum(number, class, members)"},
    {NULL, NULL, 0, NULL},
};

int bpy_values_ready(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
