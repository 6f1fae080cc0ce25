/*
 * The functions of a socket that a program may override, and that the socket calls: writeData() for
 * what is written, readData() when more is read than has arrived, and disconnectFromHost() when the
 * program closes or aborts an open connection.
 *
 * What is overridden is looked up when a socket is made, and when one of the names is set in it, so
 * that sockets without overrides pay nothing when they read and write. The device's helpers in
 * Python (berth/_device.py) call the overrides with what the program's binding has them get.
 */
#include "override.h"
#include "socket.h"

static bpy_virtual virtuals[] = {
    {.text = "readData", .type = &bpy_socket_type},
    {.text = "writeData", .type = &bpy_socket_type},
    {.text = "disconnectFromHost", .type = &bpy_socket_type},
};

static bpy_plain_types plain_types;

enum {
    COUNT = sizeof virtuals / sizeof virtuals[0]
};

int bpy_socket_virtual_ready(void)
{
    for (int i = 0; i < COUNT; i++) {
        if (bpy_virtual_ready(&virtuals[i]) < 0)
            return -1;
    }
    return 0;
}

/* May run Python code. */
void bpy_socket_find_overrides(bpy_socket *self)
{
    unsigned found = 0;
    if (bpy_has_no_override(virtuals, COUNT, (PyObject *)self, &plain_types)) {
        self->overrides = 0;
        return;
    }
    for (unsigned i = 0; i < COUNT; i++)
        found |= bpy_is_override(&virtuals[i], (PyObject *)self) ? 1U << i : 0;
    self->overrides = found;
}

int bpy_socket_set_attribute(PyObject *object, PyObject *name, PyObject *value)
{
    int status = PyObject_GenericSetAttr(object, name, value);
    for (int i = 0; status == 0 && i < COUNT; i++) {
        if (PyUnicode_Compare(name, virtuals[i].name) == 0)
            bpy_socket_find_overrides((bpy_socket *)object);
    }
    return status;
}

/* Has the override end the connection; what it raises is printed. The socket's own function, if it
 * is called, then ends it as the program has asked for. */
void bpy_socket_end_by_override(bpy_socket *self, bpy_ending ending)
{
    bpy_ending before = self->ending;
    Py_INCREF(self);
    self->ending = ending;
    PyObject *result = PyObject_CallMethod((PyObject *)self, "disconnectFromHost", NULL);
    if (result == NULL)
        bpy_print_error();
    Py_XDECREF(result);
    self->ending = before;
    Py_DECREF(self);
}

/* A whole write by the override: what it returns, as QIODevice.write() has it. */
PyObject *bpy_socket_write_by_override(bpy_socket *self, PyObject *data)
{
    PyObject *bytes = PyBytes_FromObject(data);
    if (bytes == NULL)
        return NULL;
    PyObject *result = (self->mode & WRITE_ONLY) == 0
                           ? PyLong_FromLong(-1)
                           : PyObject_CallMethod((PyObject *)self, "_written", "O", bytes);
    Py_DECREF(bytes);
    return result;
}

/* Adds to `bytes`, which it takes over, what the override gives: up to that many bytes. It is asked
 * for more, as in Qt; what is too much becomes input. */
PyObject *bpy_socket_read_by_override(bpy_socket *self, PyObject *bytes, Py_ssize_t size)
{
    if (bytes == NULL || size <= 0)
        return bytes;
    PyObject *more = PyObject_CallMethod((PyObject *)self, "_more", "n",
                                         size > READ_AT_ONCE ? size : READ_AT_ONCE);
    Py_ssize_t got = more != NULL ? PyBytes_GET_SIZE(more) : 0;
    if (got > size) {
        const char *data = PyBytes_AS_STRING(more);
        if (self->native != NULL)
            berth_socket_unget(self->native, data + size, (size_t)(got - size));
        Py_SETREF(more, PyBytes_FromStringAndSize(data, size));
    }
    PyBytes_ConcatAndDel(&bytes, more); /* clears `bytes` if there is nothing to add */
    return bytes;
}
