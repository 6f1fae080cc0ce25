/*
 * SignalInstance: a signal on an object, which is connected, disconnected and emitted.
 *
 * An instance stands for one overload of the signal, instance[type] for another. It holds its
 * object, which knows its instances as long as they exist: taken twice, a signal is the same.
 * emit() checks the number of arguments and converts them to the declared types as PySide2 does: a
 * float is truncated to an int, and a value of a wrong type becomes zero or empty.
 *
 * QAbstractSocket.error is both a signal and a method: calling the signal calls the method.
 */
#include "connection_handle.h"
#include "known_signals.h"
#include "metatype.h"
#include "parts.h"

PyObject *bpy_signal_instance_make(bpy_object *source, bpy_signal *signal, Py_ssize_t overload)
{
    bpy_signal_instance *self = source->instances;
    for (; self != NULL; self = self->other) {
        if (self->signal == signal && self->overload == overload)
            return Py_NewRef((PyObject *)self);
    }
    self = PyObject_GC_New(bpy_signal_instance, &bpy_signal_instance_type);
    if (self == NULL)
        return NULL;
    self->source = source;
    self->signal = signal;
    self->overload = overload;
    self->other = source->instances;
    source->instances = self;
    Py_INCREF(source);
    Py_INCREF(signal);
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static void instance_dealloc(PyObject *object)
{
    bpy_signal_instance *self = (bpy_signal_instance *)object;
    bpy_signal_instance **link = &self->source->instances;
    PyObject_GC_UnTrack(object);
    while (*link != self)
        link = &(*link)->other;
    *link = self->other;
    Py_DECREF(self->source);
    Py_DECREF(self->signal);
    PyObject_GC_Del(self);
}

/* No tp_clear: the source, which is in every cycle with the instance, breaks it. */
static int instance_traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT((PyObject *)((bpy_signal_instance *)object)->source);
    Py_VISIT((PyObject *)((bpy_signal_instance *)object)->signal);
    return 0;
}

static const bpy_overload *overload_of(const bpy_signal_instance *self)
{
    return &self->signal->overloads[self->overload];
}

/* The arguments of connect, by hand: it is called for every connection that a server takes. */
static bool parse_connect(PyObject *const *args, Py_ssize_t count, PyObject *names,
                          PyObject **ret_slot, int *ret_type)
{
    PyObject *found[2] = {count > 0 ? args[0] : NULL, count > 1 ? args[1] : NULL};
    Py_ssize_t named = names != NULL ? PyTuple_GET_SIZE(names) : 0;
    bool good = count + named >= 1 && count <= 2;
    for (Py_ssize_t i = 0; good && i < named; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        int place = PyUnicode_CompareWithASCIIString(name, "type") == 0 ? 1 : 0;
        good = found[place] == NULL &&
               (place == 1 || PyUnicode_CompareWithASCIIString(name, "slot") == 0);
        found[place] = args[count + i];
    }
    *ret_slot = found[0];
    if (!good || found[0] == NULL) {
        PyErr_SetString(PyExc_TypeError,
                        "wrong arguments; expected connect(slot, type=Qt.AutoConnection)");
        return false;
    }
    *ret_type = found[1] != NULL ? PyLong_AsInt(found[1]) : 0;
    return *ret_type != -1 || !PyErr_Occurred();
}

static PyObject *instance_connect(PyObject *object, PyObject *const *args, Py_ssize_t count,
                                  PyObject *names)
{
    bpy_signal_instance *self = (bpy_signal_instance *)object;
    PyObject *slot;
    int type;
    if (!parse_connect(args, count, names, &slot, &type))
        return NULL;
    if ((type & 0x7f) > 2 || type < 0)
        return PyErr_Format(PyExc_ValueError, "connect() does not support blocking queued "
                                              "connections");
    if (!bpy_object_check((PyObject *)self->source))
        return NULL;
    bpy_connection *made = bpy_connect(self->source, self->signal, self->overload, slot, type);
    if (PyErr_Occurred())
        return NULL;
    if (bpy_pyqt && made != NULL)
        return bpy_connection_handle_make(made);
    return PyBool_FromLong(made != NULL);
}

/* What is returned where nothing has failed. */
static PyObject *done(void)
{
    return Py_NewRef(bpy_pyqt ? Py_None : Py_True);
}

static PyObject *instance_disconnect(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    bpy_signal_instance *self = (bpy_signal_instance *)object;
    if (count > 1)
        return PyErr_Format(PyExc_TypeError, "disconnect() takes at most one argument");
    if (!bpy_object_check((PyObject *)self->source))
        return NULL;
    PyObject *slot = count == 1 && args[0] != Py_None ? args[0] : NULL;
    Py_ssize_t severed = slot != NULL && bpy_connection_handle_check(slot)
                             ? bpy_connection_handle_sever(slot)
                             : bpy_disconnect(self->source, self->signal, self->overload, slot);
    if (severed < 0)
        return NULL;
    if (severed == 0)
        return PyErr_Format(bpy_pyqt ? PyExc_TypeError : PyExc_RuntimeError,
                            "Failed to disconnect signal %U.", overload_of(self)->signature);
    return done();
}

/* One argument as its declared type has it; owned. */
static PyObject *convert(PyObject *type, PyObject *value)
{
    if (type == (PyObject *)&PyLong_Type) {
        if (PyLong_CheckExact(value))
            return Py_NewRef(value);
        return PyNumber_Check(value) ? PyNumber_Long(value) : PyLong_FromLong(0);
    }
    if (type == (PyObject *)&PyUnicode_Type)
        return PyUnicode_Check(value) ? Py_NewRef(value) : PyUnicode_FromString("");
    if (type == (PyObject *)&PyFloat_Type)
        return PyNumber_Check(value) ? PyNumber_Float(value) : PyFloat_FromDouble(0);
    if (type == (PyObject *)&PyBool_Type) {
        int truth = PyObject_IsTrue(value);
        return truth < 0 ? NULL : PyBool_FromLong(truth);
    }
    return Py_NewRef(value);
}

static PyObject *instance_emit(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    bpy_signal_instance *self = (bpy_signal_instance *)object;
    const bpy_overload *overload = overload_of(self);
    Py_ssize_t wanted = PyTuple_GET_SIZE(overload->types);
    if (!bpy_object_check((PyObject *)self->source))
        return NULL;
    if (count > wanted)
        return PyErr_Format(PyExc_TypeError, "%U only accepts %zd argument(s), %zd given!",
                            overload->signature, wanted, count);
    if (count < wanted)
        return PyErr_Format(PyExc_TypeError, "%U needs %zd argument(s), %zd given!",
                            overload->signature, wanted, count);
    PyObject *values[BPY_MOST_ARGUMENTS];
    Py_ssize_t made = 0;
    while (made < count) {
        values[made] = convert(PyTuple_GET_ITEM(overload->types, made), args[made]);
        if (values[made] == NULL)
            break;
        made++;
    }
    if (made == count && bpy_object_check((PyObject *)self->source))
        bpy_emit_signal(self->source, self->signal, self->overload, values, count);
    while (made > 0)
        Py_DECREF(values[--made]);
    return PyErr_Occurred() ? NULL : done();
}

/* Whether a key may mean an overload whose types it does not repeat: an enumeration where the
 * signal is declared with object, or a type by its name in C++. */
static bool resembles(PyObject *types, PyObject *key)
{
    bool alike = PyTuple_GET_SIZE(types) == PyTuple_GET_SIZE(key);
    for (Py_ssize_t i = 0; alike && i < PyTuple_GET_SIZE(key); i++) {
        PyObject *declared = PyTuple_GET_ITEM(types, i), *given = PyTuple_GET_ITEM(key, i);
        bool plain = given == (PyObject *)&PyLong_Type || given == (PyObject *)&PyUnicode_Type ||
                     given == (PyObject *)&PyFloat_Type || given == (PyObject *)&PyBool_Type;
        alike = declared == given || PyUnicode_Check(given) ||
                (declared == (PyObject *)&PyBaseObject_Type && !plain);
    }
    return alike;
}

static PyObject *instance_item(PyObject *object, PyObject *key)
{
    bpy_signal_instance *self = (bpy_signal_instance *)object;
    PyObject *types = PyTuple_Check(key) ? Py_NewRef(key) : PyTuple_Pack(1, key);
    if (types == NULL)
        return NULL;
    Py_ssize_t found = self->signal->method != NULL ? 0 : -1; /* error[...] has one overload */
    for (Py_ssize_t i = 0; i < Py_SIZE(self->signal) && found < 0; i++) {
        int same = PyObject_RichCompareBool(self->signal->overloads[i].types, types, Py_EQ);
        if (same < 0) {
            Py_DECREF(types);
            return NULL;
        }
        found = same > 0 ? i : found;
    }
    for (Py_ssize_t i = 0; i < Py_SIZE(self->signal) && found < 0; i++)
        found = resembles(self->signal->overloads[i].types, types) ? i : found;
    Py_DECREF(types);
    if (found < 0 && bpy_signal_is_known(self->signal))
        found = 0;
    if (found < 0)
        return PyErr_Format(bpy_pyqt ? PyExc_KeyError : PyExc_IndexError,
                            "Signature %R not found for signal: %U", key, self->signal->name);
    return bpy_signal_instance_make(self->source, self->signal, found);
}

static PyObject *instance_call(PyObject *object, PyObject *args, PyObject *kwargs)
{
    bpy_signal_instance *self = (bpy_signal_instance *)object;
    if (self->signal->method == NULL)
        return PyErr_Format(PyExc_TypeError, "native Qt signal is not callable");
    PyObject *bound = PyObject_CallMethod(self->signal->method, "__get__", "O", self->source);
    PyObject *result = bound != NULL ? PyObject_Call(bound, args, kwargs) : NULL;
    Py_XDECREF(bound);
    return result;
}

static PyObject *instance_str(PyObject *object)
{
    return Py_NewRef(overload_of((const bpy_signal_instance *)object)->signature);
}

static PyObject *instance_receivers(PyObject *object, PyObject *Py_UNUSED(none))
{
    const bpy_signal_instance *self = (const bpy_signal_instance *)object;
    return PyLong_FromSsize_t(bpy_receivers(self->source, self->signal, self->overload));
}

/* Of all overloads; for _pyqt.py. */
static PyObject *instance_disconnect_all(PyObject *object, PyObject *Py_UNUSED(none))
{
    const bpy_signal_instance *self = (const bpy_signal_instance *)object;
    for (Py_ssize_t i = 0; i < Py_SIZE(self->signal); i++) {
        if (bpy_disconnect(self->source, self->signal, i, NULL) < 0)
            return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef instance_methods[] = {
    {"connect", BPY_METHOD(instance_connect), METH_FASTCALL | METH_KEYWORDS,
     "connect(slot, type=Qt.AutoConnection) -> bool"},
    {"disconnect", BPY_METHOD(instance_disconnect), METH_FASTCALL,
     "disconnect(slot=None): removes the connection to a slot, or all connections"},
    {"_disconnect_all", instance_disconnect_all, METH_NOARGS, NULL},
    {"emit", BPY_METHOD(instance_emit), METH_FASTCALL, "emit(*arguments)"},
    {"receivers", instance_receivers, METH_NOARGS, "receivers() -> int"},
    {NULL, NULL, 0, NULL},
};

static PyMappingMethods instance_mapping = {.mp_subscript = instance_item};

PyTypeObject bpy_signal_instance_type = {
    PyVarObject_HEAD_INIT(&bpy_metatype, 0).tp_name = "berth.QtCore.SignalInstance",
    .tp_doc = "A signal of one object.",
    .tp_basicsize = sizeof(bpy_signal_instance),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = instance_dealloc,
    .tp_traverse = instance_traverse,
    .tp_call = instance_call,
    .tp_str = instance_str,
    .tp_as_mapping = &instance_mapping,
    .tp_methods = instance_methods,
};

int bpy_signal_instance_ready(PyObject *module)
{
    return bpy_add_type(module, &bpy_signal_instance_type);
}
