/*
 * Finding overrides of methods.
 *
 * An object whose class is the module's own and that has no dictionary is answered at once. Looking
 * for an override may run Python code, since keys of dictionaries are compared and metaclasses may
 * have methods: the caller looks at everything again afterwards.
 */
#include "override.h"
#include "object.h"

/* After the type is ready, and before Python code can replace its methods. */
int bpy_virtual_ready(bpy_virtual *self)
{
    self->name = PyUnicode_InternFromString(self->text);
    if (self->name == NULL)
        return -1;
    self->base = PyObject_GetAttr((PyObject *)self->type, self->name);
    return self->base != NULL ? 0 : -1;
}

/* What the object's own dictionary has; owned. */
static PyObject *own_override(const bpy_virtual *self, PyObject *object)
{
    PyObject *dict = ((bpy_object *)object)->dict;
    if (dict == NULL)
        return NULL;
    Py_INCREF(dict);
    PyObject *own = PyDict_GetItemWithError(dict, self->name);
    Py_XINCREF(own);
    Py_DECREF(dict);
    if (own == NULL)
        PyErr_Clear();
    return own;
}

/* The override, bound; owned. NULL if there is none, or if it cannot be had. */
PyObject *bpy_override(const bpy_virtual *self, PyObject *object)
{
    PyObject *own = own_override(self, object);
    if (own != NULL)
        return own;
    PyObject *function = PyObject_GetAttr((PyObject *)Py_TYPE(object), self->name);
    Py_XDECREF(function);
    if (function != NULL && function != self->base)
        function = PyObject_GetAttr(object, self->name);
    else
        function = NULL;
    PyErr_Clear();
    return function;
}

bool bpy_is_override(const bpy_virtual *self, PyObject *object)
{
    PyObject *found = bpy_override(self, object);
    Py_XDECREF(found);
    return found != NULL;
}
