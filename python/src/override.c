/*
 * Finding overrides of methods.
 *
 * Looking for an override may run Python code, since keys of dictionaries are compared and
 * metaclasses may have methods: the caller looks at everything again afterwards.
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

/* The interpreter's number for what a class has now, with all its bases; no two classes ever have
 * the same, and a class that changes gets another. 0: it has none yet, or a metaclass answers, or
 * the interpreter is an old one, which gives numbers again. */
static unsigned version_of(const PyTypeObject *type)
{
#if PY_VERSION_HEX < 0x030B0000
    return 0;
#elif PY_VERSION_HEX < 0x030C0000
    if ((type->tp_flags & Py_TPFLAGS_VALID_VERSION_TAG) == 0)
        return 0;
#endif
    bool plain = Py_TYPE((PyObject *)type)->tp_getattro == PyType_Type.tp_getattro;
    return plain ? type->tp_version_tag : 0;
}

static bool are_methods_of(PyTypeObject *type, const bpy_virtual *virtuals, int count)
{
    bool same = true;
    for (int i = 0; same && i < count; i++) {
        PyObject *function = PyObject_GetAttr((PyObject *)type, virtuals[i].name);
        Py_XDECREF(function);
        same = function == virtuals[i].base;
    }
    PyErr_Clear();
    return same;
}

/* Whether an object has none of these overrides; false if it is not known at once. What was found
 * of a class is kept in `known`, one for these virtuals, until the class changes. */
bool bpy_has_no_override(const bpy_virtual *virtuals, int count, PyObject *object,
                         bpy_plain_types *known)
{
    PyTypeObject *type = Py_TYPE(object);
    unsigned version = version_of(type);
    if (((bpy_object *)object)->dict != NULL || version == 0)
        return false;
    unsigned *place = &known->versions[version % BPY_PLAIN_TYPES];
    if (*place == version)
        return true;
    if (!are_methods_of(type, virtuals, count))
        return false;
    *place = version; /* as the class was before Python code could run */
    return true;
}
