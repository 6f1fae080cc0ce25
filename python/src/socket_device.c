/*
 * Reading and writing: the methods that QTcpSocket inherits from QIODevice.
 *
 * Input is copied from Berth's buffer into the bytes object that the program gets. Output is copied
 * from any object with the buffer protocol. A socket that is not open has no input, and write()
 * returns -1, as in Qt but without a warning.
 *
 * An unbuffered socket passes what is written to the kernel at once, and takes nothing before it is
 * connected. Its input is buffered all the same, but announced only once until something is read.
 */
#include "byte_array.h"
#include "socket.h"
#include "values.h"

static bool readable(const bpy_socket *self)
{
    return (self->mode & READ_ONLY) != 0 && self->native != NULL;
}

/* The socket of a method's call; NULL with an exception. */
static bpy_socket *checked(PyObject *object)
{
    return bpy_object_usable(object) ? (bpy_socket *)object : NULL;
}

/* The only argument as a size; -1 with an exception, or if it is negative. */
static Py_ssize_t to_size(PyObject *value)
{
    Py_ssize_t size = PyLong_AsSsize_t(value);
    return size < 0 ? -1 : size;
}

/* Up to `size` bytes as a new bytes object. */
static PyObject *take(bpy_socket *self, Py_ssize_t size, bool keep)
{
    size_t available = readable(self) ? berth_socket_bytes_available(self->native) : 0;
    if ((size_t)size > available)
        size = (Py_ssize_t)available;
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, size);
    if (bytes == NULL || size == 0)
        return bytes;
    char *memory = PyBytes_AS_STRING(bytes);
    self->announced = self->announced && keep;
    if (keep)
        berth_socket_peek(self->native, memory, (size_t)size);
    else
        berth_socket_read(self->native, memory, (size_t)size);
    return bytes;
}

static PyObject *device_read(PyObject *object, PyObject *value)
{
    bpy_socket *self = checked(object);
    Py_ssize_t size = self != NULL ? to_size(value) : -1;
    if (self == NULL || (size < 0 && PyErr_Occurred()))
        return NULL;
    PyObject *bytes = take(self, size < 0 ? 0 : size, false);
    if ((self->overrides & BPY_OVERRIDES_READ) != 0 && bytes != NULL && readable(self))
        bytes = bpy_socket_read_by_override(self, bytes, size - PyBytes_GET_SIZE(bytes));
    return bpy_byte_array_make(bytes);
}

static PyObject *device_peek(PyObject *object, PyObject *value)
{
    bpy_socket *self = checked(object);
    Py_ssize_t size = self != NULL ? to_size(value) : -1;
    if (self == NULL || (size < 0 && PyErr_Occurred()))
        return NULL;
    return bpy_byte_array_make(take(self, size < 0 ? 0 : size, true));
}

static PyObject *device_read_all(PyObject *object, PyObject *Py_UNUSED(none))
{
    bpy_socket *self = checked(object);
    if (self == NULL)
        return NULL;
    PyObject *bytes = take(self, PY_SSIZE_T_MAX, false);
    if ((self->overrides & BPY_OVERRIDES_READ) == 0)
        return bpy_byte_array_make(bytes);
    Py_ssize_t before = -1;
    while (bytes != NULL && readable(self) && PyBytes_GET_SIZE(bytes) != before) {
        before = PyBytes_GET_SIZE(bytes);
        bytes = bpy_socket_read_by_override(self, bytes, READ_AT_ONCE);
    }
    return bpy_byte_array_make(bytes);
}

static PyObject *device_skip(PyObject *object, PyObject *value)
{
    bpy_socket *self = checked(object);
    Py_ssize_t size = self != NULL ? to_size(value) : -1;
    if (self == NULL || (size < 0 && PyErr_Occurred()))
        return NULL;
    if (size < 0 || !readable(self))
        return PyLong_FromLong(-1);
    if (berth_socket_bytes_available(self->native) == 0 &&
        berth_socket_state(self->native) != BERTH_STATE_CONNECTED)
        return PyLong_FromLong(-1);
    self->announced = false;
    ptrdiff_t skipped = berth_socket_skip(self->native, (size_t)size);
    return PyLong_FromSsize_t(skipped);
}

/* A line of any length: the native call stops at the size it is given. */
static PyObject *device_read_line(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    bpy_socket *self = checked(object);
    if (self == NULL)
        return NULL;
    if (count > 1)
        return PyErr_Format(PyExc_TypeError, "readLine() takes at most one argument");
    Py_ssize_t most = count == 1 ? PyLong_AsSsize_t(args[0]) : 0;
    if (most == -1 && PyErr_Occurred())
        return NULL;
    size_t available = readable(self) ? berth_socket_bytes_available(self->native) : 0;
    if (most > 0)
        most--; /* Qt counts a terminator */
    if (most <= 0 || (size_t)most > available)
        most = (Py_ssize_t)available;
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, most);
    if (bytes == NULL || most == 0)
        return bpy_byte_array_make(bytes);
    self->announced = false;
    ptrdiff_t got =
        berth_socket_read_line(self->native, PyBytes_AS_STRING(bytes), (size_t)most + 1);
    _PyBytes_Resize(&bytes, got > 0 ? got : 0);
    return bpy_byte_array_make(bytes);
}

static PyObject *device_can_read_line(PyObject *object, PyObject *Py_UNUSED(none))
{
    bpy_socket *self = checked(object);
    if (self == NULL)
        return NULL;
    return PyBool_FromLong(readable(self) && berth_socket_can_read_line(self->native));
}

/* ---- writing ---- */

static bool may_write(bpy_socket *self)
{
    if ((self->mode & WRITE_ONLY) == 0)
        return false;
    berth_state state =
        self->native != NULL ? berth_socket_state(self->native) : BERTH_STATE_UNCONNECTED;
    bool unbuffered = (self->mode & UNBUFFERED) != 0;
    if (unbuffered ? state == BERTH_STATE_CONNECTED
                   : state != BERTH_STATE_UNCONNECTED && state != BERTH_STATE_BOUND)
        return true;
    bpy_endpoint_fail(&self->end, -1, "Socket is not connected");
    return false;
}

/* Sends what the kernel takes and announces that. Returns whether something was sent. A connection
 * that turns out to be broken is aborted. */
static bool send_now(bpy_socket *self)
{
    if (self->native == NULL)
        return false;
    Py_INCREF(self); /* slots may let go of it */
    ptrdiff_t sent = berth_socket_flush_and_announce(self->native);
    if (sent < 0 && self->native != NULL &&
        berth_socket_state(self->native) == BERTH_STATE_CONNECTED)
        bpy_socket_is_broken(self);
    bpy_thread_hand_over(self->end.object.home);
    Py_DECREF(self);
    return sent > 0;
}

static Py_ssize_t put(bpy_socket *self, const void *data, Py_ssize_t size)
{
    if (!may_write(self))
        return -1;
    ptrdiff_t written = berth_socket_write(self->native, data, (size_t)size);
    if ((self->mode & UNBUFFERED) != 0) {
        self->silent = true;
        (void)send_now(self);
        self->silent = false;
    }
    return written;
}

static PyObject *device_write(PyObject *object, PyObject *data)
{
    bpy_socket *self = checked(object);
    if (self == NULL)
        return NULL;
    if (PyObject_TypeCheck(data, &bpy_byte_array_type))
        data = bpy_byte_array_bytes(data);
    if ((self->overrides & BPY_OVERRIDES_WRITE) != 0)
        return bpy_socket_write_by_override(self, data);
    if (PyBytes_Check(data)) {
        Py_INCREF(data); /* a slot may change the array */
        Py_ssize_t written = put(self, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data));
        Py_DECREF(data);
        return PyLong_FromSsize_t(written);
    }
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        PyErr_Format(PyExc_TypeError,
                     "'QIODevice.write' called with wrong argument types: write(%s); a QByteArray "
                     "or bytes is required",
                     Py_TYPE(data)->tp_name);
        return NULL;
    }
    Py_ssize_t written = put(self, view.buf, view.len);
    PyBuffer_Release(&view);
    return PyLong_FromSsize_t(written);
}

/* ---- what overrides call ---- */

/* writeData(data[, size]), of bytes or of the text that PySide2 gives an override. */
static PyObject *device_write_data(PyObject *object, PyObject *args)
{
    bpy_socket *self = checked(object);
    Py_buffer view;
    Py_ssize_t size = PY_SSIZE_T_MAX;
    if (self == NULL || !PyArg_ParseTuple(args, "s*|n:writeData", &view, &size))
        return NULL;
    if (size > view.len)
        size = view.len;
    Py_ssize_t written = put(self, view.buf, size > 0 ? size : 0);
    PyBuffer_Release(&view);
    return PyLong_FromSsize_t(written);
}

static PyObject *device_read_data(PyObject *object, PyObject *value)
{
    bpy_socket *self = checked(object);
    Py_ssize_t size = self != NULL ? to_size(value) : -1;
    if (self == NULL || (size < 0 && PyErr_Occurred()))
        return NULL;
    return take(self, size < 0 ? 0 : size, false);
}

static PyObject *device_unget(PyObject *object, PyObject *data)
{
    bpy_socket *self = checked(object);
    Py_buffer view;
    if (self == NULL || PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    if (readable(self) && !berth_socket_in_transaction(self->native)) /* as in Qt */
        berth_socket_unget(self->native, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    Py_RETURN_NONE;
}

static PyObject *device_flush(PyObject *object, PyObject *Py_UNUSED(none))
{
    bpy_socket *self = checked(object);
    if (self == NULL)
        return NULL;
    bool sent = send_now(self);
    return PyErr_Occurred() ? NULL : PyBool_FromLong(sent);
}

/* ---- transactions and mode ---- */

#define TRANSACTIONS(X)                                   \
    X(startTransaction, berth_socket_start_transaction)   \
    X(commitTransaction, berth_socket_commit_transaction) \
    X(rollbackTransaction, berth_socket_rollback_transaction)

#define TRANSACTION(name, function)                                         \
    static PyObject *do_##name(PyObject *object, PyObject *Py_UNUSED(none)) \
    {                                                                       \
        bpy_socket *self = checked(object);                                 \
        if (self == NULL)                                                   \
            return NULL;                                                    \
        if (readable(self))                                                 \
            function(self->native);                                         \
        Py_RETURN_NONE;                                                     \
    }
#define TRANSACTION_ENTRY(name, function) {#name, do_##name, METH_NOARGS, #name "()"},

TRANSACTIONS(TRANSACTION)

static PyObject *available(const bpy_socket *self)
{
    return PyLong_FromSize_t(readable(self) ? berth_socket_bytes_available(self->native) : 0);
}

static PyObject *device_set_mode(PyObject *object, PyObject *value)
{
    bpy_socket *self = checked(object);
    long mode = PyLong_AsLong(value);
    if (self == NULL || (mode == -1 && PyErr_Occurred()))
        return NULL;
    self->mode = (int)mode & READ_WRITE;
    Py_RETURN_NONE;
}

#define GETTERS(X)                                                                                \
    X(bytesAvailable, available(self), "int")                                                     \
    X(size, available(self), "int: the same as bytesAvailable()")                                 \
    X(bytesToWrite,                                                                               \
      PyLong_FromSize_t(self->native != NULL ? berth_socket_bytes_to_write(self->native) : 0),    \
      "int")                                                                                      \
    X(atEnd, PyBool_FromLong(!readable(self) || berth_socket_bytes_available(self->native) == 0), \
      "bool")                                                                                     \
    X(isTransactionStarted,                                                                       \
      PyBool_FromLong(self->native != NULL && berth_socket_in_transaction(self->native)), "bool") \
    X(isOpen, PyBool_FromLong(self->mode != 0), "bool")                                           \
    X(isReadable, PyBool_FromLong(self->mode &READ_ONLY), "bool")                                 \
    X(isWritable, PyBool_FromLong(self->mode &WRITE_ONLY), "bool")                                \
    X(openMode, bpy_enum_value(BPY_ENUM_OPEN_MODE, self->mode), "OpenMode")

#define GETTER(name, value, text)                                            \
    static PyObject *get_##name(PyObject *object, PyObject *Py_UNUSED(none)) \
    {                                                                        \
        const bpy_socket *self = (const bpy_socket *)object;                 \
        return bpy_object_usable(object) ? (value) : NULL;                   \
    }
#define GETTER_ENTRY(name, value, text) {#name, get_##name, METH_NOARGS, #name "() -> " text},

GETTERS(GETTER)

PyMethodDef bpy_device_methods[] = {
    TRANSACTIONS(TRANSACTION_ENTRY) GETTERS(GETTER_ENTRY){
        "read", device_read, METH_O, "read(size) -> QByteArray: up to that many bytes"},
    {"peek", device_peek, METH_O,
     "peek(size) -> QByteArray: like read(), but leaves the bytes in the input"},
    {"readAll", device_read_all, METH_NOARGS, "readAll() -> QByteArray"},
    {"readLine", BPY_METHOD(device_read_line), METH_FASTCALL,
     "readLine(size=0) -> QByteArray: a line with its newline; size 0 for any length"},
    {"canReadLine", device_can_read_line, METH_NOARGS, "canReadLine() -> bool"},
    {"skip", device_skip, METH_O,
     "skip(size) -> int: discards up to that many bytes; returns their number"},
    {"write", device_write, METH_O,
     "write(data) -> int: the number of bytes written; -1 if not connected"},
    {"readData", device_read_data, METH_O,
     "readData(size) -> bytes: called when more is read than has arrived; may be overridden"},
    {"writeData", device_write_data, METH_VARARGS,
     "writeData(data, size) -> int: called for what is written; may be overridden"},
    {"flush", device_flush, METH_NOARGS, "flush() -> bool: whether output was sent"},
    {"_unget", device_unget, METH_O, NULL},
    {"_set_mode", device_set_mode, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
