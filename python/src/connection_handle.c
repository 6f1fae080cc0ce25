/*
 * QMetaObject.Connection: what connect() returns to programs for PyQt, for disconnect().
 *
 * It keeps neither the sender nor the slot alive.
 */
#include "connection_handle.h"
#include "parts.h"

typedef struct handle {
    PyObject_HEAD bpy_connection *connection; /* a reference */
} handle;

static PyTypeObject handle_type;

PyObject *bpy_connection_handle_make(bpy_connection *connection)
{
    handle *self = PyObject_New(handle, &handle_type);
    if (self == NULL)
        return NULL;
    self->connection = connection;
    bpy_connection_ref(connection);
    return (PyObject *)self;
}

bool bpy_connection_handle_check(PyObject *object)
{
    return Py_IS_TYPE(object, &handle_type);
}

bool bpy_connection_handle_sever(PyObject *object)
{
    return bpy_connection_sever(((handle *)object)->connection);
}

static PyObject *handle_disconnect(PyObject *object, PyObject *Py_UNUSED(none))
{
    return PyBool_FromLong(bpy_connection_handle_sever(object));
}

static int handle_bool(PyObject *object)
{
    return bpy_connection_is_alive(((handle *)object)->connection);
}

static void handle_dealloc(PyObject *object)
{
    bpy_connection_unref(((handle *)object)->connection);
    PyObject_Free(object);
}

static PyNumberMethods handle_number = {.nb_bool = handle_bool};

static PyMethodDef handle_methods[] = {
    {"_disconnect", handle_disconnect, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject handle_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "berth.QtCore.Connection",
    .tp_doc = "A connection of a signal, true until it ends.",
    .tp_basicsize = sizeof(handle),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = handle_dealloc,
    .tp_as_number = &handle_number,
    .tp_methods = handle_methods,
};

int bpy_connection_handle_ready(PyObject *module)
{
    return bpy_add_type(module, &handle_type);
}
