/*
 * Signal: the declaration of a signal in a class.
 *
 * A signal has one or several overloads, each a tuple of types. Taken from an object it gives a
 * SignalInstance for its first overload (signal_instance.c).
 */
#include "signal.h"
#include "byte_array.h"
#include "metatype.h"
#include "parts.h"

#include <stddef.h>

static PyObject *name_of_type(PyObject *type)
{
    static const struct {
        PyTypeObject *type;
        const char *name;
    } names[] = {
        {&PyLong_Type, "int"},
        {&PyUnicode_Type, "QString"},
        {&PyFloat_Type, "double"},
        {&PyBool_Type, "bool"},
        {&bpy_byte_array_type, "QByteArray"},
        {&PyBaseObject_Type, "PyObject"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (type == (PyObject *)names[i].type)
            return PyUnicode_FromString(names[i].name);
    }
    if (PyUnicode_Check(type))
        return Py_NewRef(type);
    return PyUnicode_FromString("PyObject");
}

static PyObject *make_signature(PyObject *name, PyObject *types)
{
    PyObject *names = PyList_New(0), *comma = PyUnicode_FromString(","), *result = NULL;
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(types); i++) {
        PyObject *one = name_of_type(PyTuple_GET_ITEM(types, i));
        if (one == NULL || PyList_Append(names, one) < 0)
            Py_CLEAR(names);
        Py_XDECREF(one);
    }
    PyObject *joined = names != NULL && comma != NULL ? PyUnicode_Join(comma, names) : NULL;
    if (joined != NULL)
        result = PyUnicode_FromFormat("%U(%U)", name, joined);
    Py_XDECREF(joined);
    Py_XDECREF(names);
    Py_XDECREF(comma);
    return result;
}

static bool set_name(bpy_signal *self, PyObject *name)
{
    Py_INCREF(name);
    Py_XSETREF(self->name, name);
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++) {
        Py_XSETREF(self->overloads[i].signature, make_signature(name, self->overloads[i].types));
        if (self->overloads[i].signature == NULL)
            return false;
    }
    return true;
}

static bool set_types(bpy_signal *self, PyObject *args, bool several)
{
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++) {
        PyObject *types = several ? PyTuple_GET_ITEM(args, i) : args;
        if (PyTuple_Check(types) && PyTuple_GET_SIZE(types) == 1 &&
            PyTuple_GET_ITEM(types, 0) == Py_None) /* Signal(None): no argument */
            types = PyTuple_GetSlice(types, 0, 0);
        else
            types = PySequence_Check(types) && !PyUnicode_Check(types) ? PySequence_Tuple(types)
                                                                       : PyTuple_Pack(1, types);
        self->overloads[i].types = types;
        if (types == NULL)
            return false;
        if (PyTuple_GET_SIZE(types) > BPY_MOST_ARGUMENTS) {
            PyErr_Format(PyExc_TypeError, "a signal has at most %d arguments", BPY_MOST_ARGUMENTS);
            return false;
        }
    }
    return true;
}

/* The name among the keywords, or an empty one; owned. */
static PyObject *name_in(PyObject *kwargs)
{
    PyObject *name = kwargs != NULL ? PyDict_GetItemString(kwargs, "name") : NULL;
    if (name == NULL)
        return PyUnicode_FromString("");
    if (PyUnicode_Check(name))
        return Py_NewRef(name);
    return PyErr_Format(PyExc_TypeError, "Signal() argument 'name' must be str, not %s",
                        Py_TYPE(name)->tp_name);
}

static PyObject *signal_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    bool several = false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); i++) {
        PyObject *one = PyTuple_GET_ITEM(args, i);
        several |= PyTuple_Check(one) || PyList_Check(one);
    }
    PyObject *name = name_in(kwargs);
    if (name == NULL)
        return NULL;
    Py_ssize_t count = several ? PyTuple_GET_SIZE(args) : 1;
    bpy_signal *self = (bpy_signal *)type->tp_alloc(type, count);
    if (self == NULL) {
        Py_DECREF(name);
        return NULL;
    }
    if (!set_types(self, args, several) || !set_name(self, name))
        Py_CLEAR(self);
    Py_DECREF(name);
    return (PyObject *)self;
}

/* A type may be the class that the signal is in. */
static int signal_traverse(PyObject *object, visitproc visit, void *arg)
{
    bpy_signal *self = (bpy_signal *)object;
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++)
        Py_VISIT(self->overloads[i].types);
    Py_VISIT(self->method);
    return 0;
}

/* No tp_clear: the class, which is in every cycle with its signal, breaks it. */
static void signal_dealloc(PyObject *object)
{
    bpy_signal *self = (bpy_signal *)object;
    PyObject_GC_UnTrack(object);
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++) {
        Py_XDECREF(self->overloads[i].types);
        Py_XDECREF(self->overloads[i].signature);
    }
    Py_XDECREF(self->name);
    Py_XDECREF(self->method);
    Py_TYPE(object)->tp_free(object);
}

static PyObject *signal_set_name(PyObject *object, PyObject *args)
{
    bpy_signal *self = (bpy_signal *)object;
    PyObject *owner, *name;
    if (!PyArg_ParseTuple(args, "OU", &owner, &name))
        return NULL;
    if (PyUnicode_GET_LENGTH(self->name) == 0 && !set_name(self, name))
        return NULL;
    Py_RETURN_NONE;
}

/* For classes in Python whose signal has the name of a method. */
static PyObject *signal_with(PyObject *object, PyObject *method)
{
    Py_XSETREF(((bpy_signal *)object)->method, Py_NewRef(method));
    return Py_NewRef(object);
}

static PyObject *signal_get(PyObject *self, PyObject *object, PyObject *Py_UNUSED(type))
{
    if (object == NULL || object == Py_None || !PyObject_TypeCheck(object, &bpy_object_type))
        return Py_NewRef(self);
    if (!bpy_object_check(object))
        return NULL;
    return bpy_signal_instance_make((bpy_object *)object, (bpy_signal *)self, 0);
}

static PyObject *signal_str(PyObject *object)
{
    return Py_NewRef(((bpy_signal *)object)->overloads[0].signature);
}

static PyMethodDef signal_methods[] = {
    {"__set_name__", signal_set_name, METH_VARARGS, NULL},
    {"_with", signal_with, METH_O, "_with(method) -> Signal: calling the signal calls the method"},
    {NULL, NULL, 0, NULL},
};

PyTypeObject bpy_signal_type = {
    PyVarObject_HEAD_INIT(&bpy_metatype, 0).tp_name = "berth.QtCore.Signal",
    .tp_doc = "Signal(*types): declares a signal in a class; Signal((int,), (str,)) one with two "
              "overloads",
    .tp_basicsize = offsetof(bpy_signal, overloads),
    .tp_itemsize = sizeof(bpy_overload),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = signal_new,
    .tp_dealloc = signal_dealloc,
    .tp_traverse = signal_traverse,
    .tp_str = signal_str,
    .tp_descr_get = signal_get,
    .tp_methods = signal_methods,
};

int bpy_signal_ready(PyObject *module)
{
    return bpy_add_type(module, &bpy_signal_type);
}
