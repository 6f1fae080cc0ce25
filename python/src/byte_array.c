/*
 * QByteArray: a mutable byte string.
 *
 * It holds a bytes object, which is shared until the array changes: data() and reads from a socket
 * copy nothing. The methods that handle data often are here; the others are written in Python
 * (_byte_array.py) with data() and _assign().
 */
#include "byte_array.h"
#include "metatype.h"
#include "parts.h"

typedef struct byte_array {
    PyObject_HEAD PyObject *bytes;
} byte_array;

static PyObject *bytes_of(PyObject *self)
{
    return ((byte_array *)self)->bytes;
}

PyObject *bpy_byte_array_bytes(PyObject *self)
{
    return bytes_of(self);
}

/* Takes the reference. */
PyObject *bpy_byte_array_make(PyObject *bytes)
{
    if (bytes == NULL)
        return NULL;
    byte_array *self = PyObject_New(byte_array, &bpy_byte_array_type);
    if (self == NULL)
        Py_DECREF(bytes);
    else
        self->bytes = bytes;
    return (PyObject *)self;
}

/* The bytes of a bytes-like object, owned; of a str only if `strings`. Raises TypeError. */
static PyObject *to_bytes(PyObject *value, bool strings)
{
    if (PyBytes_CheckExact(value))
        return Py_NewRef(value);
    if (PyObject_TypeCheck(value, &bpy_byte_array_type))
        return Py_NewRef(bytes_of(value));
    if (strings && PyUnicode_Check(value))
        return PyUnicode_AsUTF8String(value);
    if (PyBytes_Check(value) || PyByteArray_Check(value) || PyMemoryView_Check(value))
        return PyBytes_FromObject(value);
    PyErr_Format(PyExc_TypeError, "a bytes, bytearray or QByteArray is required, not %s",
                 Py_TYPE(value)->tp_name);
    return NULL;
}

/* ---- making ---- */

static PyObject *filled(PyObject *size, PyObject *character)
{
    Py_ssize_t count = PyLong_AsSsize_t(size);
    long byte = -1;
    if (count == -1 && PyErr_Occurred())
        return NULL;
    if (PyUnicode_Check(character) && PyUnicode_GET_LENGTH(character) == 1)
        byte = (long)PyUnicode_READ_CHAR(character, 0);
    else if (PyBytes_Check(character) && PyBytes_GET_SIZE(character) == 1)
        byte = (unsigned char)PyBytes_AS_STRING(character)[0];
    else if (PyLong_Check(character)) {
        byte = PyLong_AsLong(character);
        if (byte == -1 && PyErr_Occurred())
            return NULL;
        byte &= 0xff;
    }
    if (byte < 0 || byte > 255) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "QByteArray(int, character) takes one character");
        return NULL;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, count < 0 ? 0 : count);
    if (bytes != NULL)
        memset(PyBytes_AS_STRING(bytes), (int)byte, (size_t)PyBytes_GET_SIZE(bytes));
    return bytes;
}

static PyObject *array_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *first = NULL, *second = NULL, *bytes;
    bool plain = type == &bpy_byte_array_type;
    if (plain && kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0)
        return PyErr_Format(PyExc_TypeError, "QByteArray() takes no keyword arguments");
    if (!PyArg_ParseTuple(args, "|OO:QByteArray", &first, &second))
        return NULL;
    if (second != NULL && PyLong_Check(first))
        bytes = filled(first, second);
    else if (first == NULL || first == Py_None)
        bytes = PyBytes_FromStringAndSize(NULL, 0);
    else
        bytes = to_bytes(first, false);
    byte_array *self = bytes != NULL ? (byte_array *)type->tp_alloc(type, 0) : NULL;
    if (self == NULL)
        Py_XDECREF(bytes);
    else
        self->bytes = bytes;
    return (PyObject *)self;
}

static void array_dealloc(PyObject *self)
{
    Py_XDECREF(bytes_of(self));
    Py_TYPE(self)->tp_free(self);
}

/* ---- as a sequence ---- */

static Py_ssize_t array_length(PyObject *self)
{
    return PyBytes_GET_SIZE(bytes_of(self));
}

static PyObject *array_item(PyObject *self, Py_ssize_t place)
{
    PyObject *bytes = bytes_of(self);
    if (place < 0 || place >= PyBytes_GET_SIZE(bytes))
        return PyErr_Format(PyExc_IndexError, "index out of bounds");
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(bytes) + place, 1);
}

static PyObject *array_subscript(PyObject *self, PyObject *key)
{
    if (PySlice_Check(key)) {
        PyObject *bytes = Py_NewRef(bytes_of(self)); /* an index may replace it */
        PyObject *part = PyObject_GetItem(bytes, key);
        Py_DECREF(bytes);
        return bpy_byte_array_make(part);
    }
    Py_ssize_t place = PyNumber_AsSsize_t(key, PyExc_IndexError);
    if (place == -1 && PyErr_Occurred())
        return NULL;
    return array_item(self, place < 0 && bpy_pyqt ? place + array_length(self) : place);
}

static PyObject *array_repeat(PyObject *self, Py_ssize_t times)
{
    return bpy_byte_array_make(PySequence_Repeat(bytes_of(self), times));
}

/* Through a bytearray, which does the work. */
static int array_assign(PyObject *self, PyObject *key, PyObject *value)
{
    PyObject *bytes = value != NULL ? to_bytes(value, false) : NULL;
    if (value != NULL && bytes == NULL) {
        PyErr_Clear();
        PyErr_SetString(PyExc_ValueError, "a bytes, bytearray, QByteArray of size 1 is required");
        return -1;
    }
    PyObject *array = PyByteArray_FromObject(bytes_of(self)), *changed = NULL;
    int status = -1;
    if (array != NULL && value == NULL) {
        status = PyObject_DelItem(array, key);
    } else if (array != NULL && PySlice_Check(key)) {
        status = PyObject_SetItem(array, key, bytes);
    } else if (array != NULL && PyBytes_GET_SIZE(bytes) != 1) {
        PyErr_SetString(PyExc_ValueError, "a bytes, bytearray, QByteArray of size 1 is required");
    } else if (array != NULL) {
        PyObject *byte = PyLong_FromLong((unsigned char)PyBytes_AS_STRING(bytes)[0]);
        status = byte != NULL ? PyObject_SetItem(array, key, byte) : -1;
        Py_XDECREF(byte);
    }
    if (status == 0)
        changed = PyBytes_FromObject(array);
    Py_XDECREF(array);
    Py_XDECREF(bytes);
    if (changed == NULL)
        return -1;
    Py_SETREF(((byte_array *)self)->bytes, changed);
    return 0;
}

static PyObject *joined(PyObject *left, PyObject *right)
{
    PyObject *a = to_bytes(left, true), *b = a != NULL ? to_bytes(right, true) : NULL;
    if (b == NULL) {
        Py_XDECREF(a);
        return NULL;
    }
    PyBytes_Concat(&a, b);
    Py_DECREF(b);
    return a;
}

static PyObject *array_add(PyObject *left, PyObject *right)
{
    PyObject *both = joined(left, right);
    if (both == NULL && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Clear();
        Py_RETURN_NOTIMPLEMENTED;
    }
    return bpy_byte_array_make(both);
}

static bool extend(PyObject *self, PyObject *more)
{
    PyObject *bytes = to_bytes(more, true);
    if (bytes == NULL)
        return false;
    byte_array *array = (byte_array *)self;
    PyBytes_Concat(&array->bytes, bytes); /* in place if it is not shared */
    Py_DECREF(bytes);
    if (array->bytes == NULL) {
        array->bytes = PyBytes_FromStringAndSize(NULL, 0);
        return false;
    }
    return true;
}

static PyObject *array_inplace_add(PyObject *self, PyObject *more)
{
    return extend(self, more) ? Py_NewRef(self) : NULL;
}

static int array_bool(PyObject *self)
{
    return array_length(self) > 0;
}

static int array_contains(PyObject *self, PyObject *value)
{
    PyObject *bytes = to_bytes(value, true);
    if (bytes == NULL)
        return -1;
    int found = PySequence_Contains(bytes_of(self), bytes);
    Py_DECREF(bytes);
    return found;
}

/* ---- as a value ---- */

static PyObject *array_compare(PyObject *self, PyObject *other, int operation)
{
    PyObject *bytes = to_bytes(other, true);
    if (bytes == NULL) {
        PyErr_Clear();
        Py_RETURN_NOTIMPLEMENTED;
    }
    PyObject *result = PyObject_RichCompare(bytes_of(self), bytes, operation);
    Py_DECREF(bytes);
    return result;
}

static Py_hash_t array_hash(PyObject *self)
{
    return PyObject_Hash(bytes_of(self));
}

static PyObject *array_str(PyObject *self)
{
    return PyObject_Repr(bytes_of(self));
}

static PyObject *array_repr(PyObject *self)
{
    return PyUnicode_FromFormat("%s(%R)", Py_TYPE(self)->tp_name, bytes_of(self));
}

static int array_buffer(PyObject *self, Py_buffer *view, int flags)
{
    return PyObject_GetBuffer(bytes_of(self), view, flags);
}

static PyObject *array_data(PyObject *self, PyObject *Py_UNUSED(none))
{
    return Py_NewRef(bytes_of(self));
}

static PyObject *array_size(PyObject *self, PyObject *Py_UNUSED(none))
{
    return PyLong_FromSsize_t(array_length(self));
}

static PyObject *array_append(PyObject *self, PyObject *more)
{
    return extend(self, more) ? Py_NewRef(self) : NULL;
}

static PyObject *array_set(PyObject *self, PyObject *value)
{
    PyObject *bytes = to_bytes(value, true);
    if (bytes == NULL)
        return NULL;
    Py_SETREF(((byte_array *)self)->bytes, bytes);
    return Py_NewRef(self);
}

static PyObject *array_reduce(PyObject *self, PyObject *Py_UNUSED(none))
{
    return Py_BuildValue("O(O)", (PyObject *)Py_TYPE(self), bytes_of(self));
}

static PyMethodDef array_methods[] = {
    {"data", array_data, METH_NOARGS, "data() -> bytes"},
    {"constData", array_data, METH_NOARGS, "constData() -> bytes"},
    {"__bytes__", array_data, METH_NOARGS, NULL},
    {"size", array_size, METH_NOARGS, "size() -> int"},
    {"length", array_size, METH_NOARGS, "length() -> int"},
    {"append", array_append, METH_O, "append(bytes) -> QByteArray: returns this array"},
    {"_assign", array_set, METH_O, NULL},
    {"__reduce__", array_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PySequenceMethods array_sequence = {.sq_length = array_length,
                                           .sq_repeat = array_repeat,
                                           .sq_item = array_item,
                                           .sq_contains = array_contains};
static PyMappingMethods array_mapping = {
    .mp_length = array_length, .mp_subscript = array_subscript, .mp_ass_subscript = array_assign};
static PyNumberMethods array_number = {
    .nb_add = array_add, .nb_inplace_add = array_inplace_add, .nb_bool = array_bool};
static PyBufferProcs array_buffers = {.bf_getbuffer = array_buffer};

PyTypeObject bpy_byte_array_type = {
    PyVarObject_HEAD_INIT(&bpy_metatype, 0).tp_name = "berth.QtCore.QByteArray",
    .tp_doc = "QByteArray(bytes=b''): a mutable byte string; equal to bytes with the same content",
    .tp_basicsize = sizeof(byte_array),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_new = array_new,
    .tp_dealloc = array_dealloc,
    .tp_repr = array_repr,
    .tp_str = array_str,
    .tp_hash = array_hash,
    .tp_richcompare = array_compare,
    .tp_as_sequence = &array_sequence,
    .tp_as_mapping = &array_mapping,
    .tp_as_number = &array_number,
    .tp_as_buffer = &array_buffers,
    .tp_methods = array_methods,
};

int bpy_byte_array_ready(PyObject *module)
{
    return bpy_add_type(module, &bpy_byte_array_type);
}
