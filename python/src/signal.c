/*
 * Signals as Python sees them: Signal in a class, SignalInstance on an object.
 *
 * A signal has one or several overloads, each a tuple of types; an instance stands for one of them,
 * and instance[type] for another. emit() checks the number of arguments and turns them into the
 * declared types as PySide2 does: a float for an int is cut, what does not fit becomes zero or
 * empty.
 *
 * The signals that the module itself emits are in the table below. QAbstractSocket.error is both a
 * signal and a method: calling the signal calls the method.
 */
#include "module.h"

#include <stddef.h>

typedef struct instance {
    PyObject_HEAD bpy_object *source;
    bpy_signal *signal;
    Py_ssize_t overload;
} instance;

static const struct known {
    const char *name;
    const char *signature;
    int arguments;
} table[BPY_SIGNALS] = {
    [BPY_DESTROYED] = {"destroyed", "destroyed(QObject*)", 1},
    [BPY_OBJECT_NAME_CHANGED] = {"objectNameChanged", "objectNameChanged(QString)", 1},
    [BPY_TIMEOUT] = {"timeout", "timeout()", 0},
    [BPY_STARTED] = {"started", "started()", 0},
    [BPY_FINISHED] = {"finished", "finished()", 0},
    [BPY_ABOUT_TO_CLOSE] = {"aboutToClose", "aboutToClose()", 0},
    [BPY_BYTES_WRITTEN] = {"bytesWritten", "bytesWritten(qlonglong)", 1},
    [BPY_READY_READ] = {"readyRead", "readyRead()", 0},
    [BPY_READ_CHANNEL_FINISHED] = {"readChannelFinished", "readChannelFinished()", 0},
    [BPY_CONNECTED] = {"connected", "connected()", 0},
    [BPY_DISCONNECTED] = {"disconnected", "disconnected()", 0},
    [BPY_ERROR] = {"error", "error(QAbstractSocket::SocketError)", 1},
    [BPY_ERROR_OCCURRED] = {"errorOccurred", "errorOccurred(QAbstractSocket::SocketError)", 1},
    [BPY_HOST_FOUND] = {"hostFound", "hostFound()", 0},
    [BPY_STATE_CHANGED] = {"stateChanged", "stateChanged(QAbstractSocket::SocketState)", 1},
    [BPY_PROXY_AUTHENTICATION_REQUIRED] =
        {"proxyAuthenticationRequired",
         "proxyAuthenticationRequired(QNetworkProxy,QAuthenticator*)", 2},
    [BPY_NEW_CONNECTION] = {"newConnection", "newConnection()", 0},
    [BPY_ACCEPT_ERROR] = {"acceptError", "acceptError(QAbstractSocket::SocketError)", 1},
    [BPY_ABOUT_TO_QUIT] = {"aboutToQuit", "aboutToQuit()", 0},
};

static bpy_signal *known[BPY_SIGNALS];

void bpy_emit(bpy_object *sender, bpy_known_signal which, PyObject *argument)
{
    if (sender->listeners != NULL)
        bpy_emit_signal(sender, known[which], 0, &argument, argument != NULL);
}

bool bpy_has_listeners(const bpy_object *sender, bpy_known_signal which)
{
    return sender->listeners != NULL && bpy_receivers((bpy_object *)sender, known[which], 0) > 0;
}

/* ---- Signal ---- */

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

static PyObject *signal_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    bool several = false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); i++) {
        PyObject *one = PyTuple_GET_ITEM(args, i);
        several |= PyTuple_Check(one) || PyList_Check(one);
    }
    Py_ssize_t count = several ? PyTuple_GET_SIZE(args) : 1;
    bpy_signal *self = (bpy_signal *)type->tp_alloc(type, count);
    if (self == NULL)
        return NULL;
    PyObject *name = kwargs != NULL ? PyDict_GetItemString(kwargs, "name") : NULL;
    PyObject *unnamed = PyUnicode_FromString("");
    bool good = unnamed != NULL && set_types(self, args, several) &&
                set_name(self, name != NULL ? name : unnamed);
    Py_XDECREF(unnamed);
    if (!good)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void signal_dealloc(PyObject *object)
{
    bpy_signal *self = (bpy_signal *)object;
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

static PyObject *make_instance(bpy_object *source, bpy_signal *signal, Py_ssize_t overload)
{
    instance *self = PyObject_New(instance, &bpy_signal_instance_type);
    if (self == NULL)
        return NULL;
    self->source = source;
    self->signal = signal;
    self->overload = overload;
    Py_INCREF(source);
    Py_INCREF(signal);
    return (PyObject *)self;
}

static PyObject *signal_get(PyObject *self, PyObject *object, PyObject *Py_UNUSED(type))
{
    if (object == NULL || object == Py_None || !PyObject_TypeCheck(object, &bpy_object_type))
        return Py_NewRef(self);
    if (!bpy_object_check(object))
        return NULL;
    return make_instance((bpy_object *)object, (bpy_signal *)self, 0);
}

static PyObject *signal_str(PyObject *object)
{
    return Py_NewRef(((bpy_signal *)object)->overloads[0].signature);
}

static PyMethodDef signal_methods[] = {
    {"__set_name__", signal_set_name, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

PyTypeObject bpy_signal_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "berth.QtCore.Signal",
    .tp_doc = "Signal(*types): declares a signal in a class; Signal((int,), (str,)) one with two "
              "overloads",
    .tp_basicsize = offsetof(bpy_signal, overloads),
    .tp_itemsize = sizeof(bpy_overload),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = signal_new,
    .tp_dealloc = signal_dealloc,
    .tp_str = signal_str,
    .tp_descr_get = signal_get,
    .tp_methods = signal_methods,
};

/* ---- SignalInstance ---- */

void bpy_signal_reach(PyObject *object, bpy_object **ret_source, bpy_signal **ret_signal,
                      Py_ssize_t *ret_overload)
{
    const instance *self = (const instance *)object;
    *ret_source = self->source;
    *ret_signal = self->signal;
    *ret_overload = self->overload;
}

static void instance_dealloc(PyObject *object)
{
    instance *self = (instance *)object;
    Py_DECREF(self->source);
    Py_DECREF(self->signal);
    PyObject_Free(self);
}

static const bpy_overload *overload_of(const instance *self)
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
        PyErr_SetString(PyExc_TypeError, "connect(slot, type=Qt.AutoConnection): wrong arguments");
        return false;
    }
    *ret_type = found[1] != NULL ? PyLong_AsInt(found[1]) : 0;
    return *ret_type != -1 || !PyErr_Occurred();
}

static PyObject *instance_connect(PyObject *object, PyObject *const *args, Py_ssize_t count,
                                  PyObject *names)
{
    instance *self = (instance *)object;
    PyObject *slot;
    int type;
    if (!parse_connect(args, count, names, &slot, &type))
        return NULL;
    if ((type & 0x7f) > 2 || type < 0)
        return PyErr_Format(PyExc_ValueError, "connect(): a blocking queued connection is not "
                                              "supported");
    if (!bpy_object_check((PyObject *)self->source))
        return NULL;
    bool made = bpy_connect(self->source, self->signal, self->overload, slot, type);
    return PyErr_Occurred() ? NULL : PyBool_FromLong(made);
}

static PyObject *instance_disconnect(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    instance *self = (instance *)object;
    if (count > 1)
        return PyErr_Format(PyExc_TypeError, "disconnect() takes at most one argument");
    if (!bpy_object_check((PyObject *)self->source))
        return NULL;
    PyObject *slot = count == 1 && args[0] != Py_None ? args[0] : NULL;
    Py_ssize_t severed = bpy_disconnect(self->source, self->signal, self->overload, slot);
    if (severed < 0)
        return NULL;
    if (severed == 0)
        return PyErr_Format(PyExc_RuntimeError, "Failed to disconnect signal %U.",
                            overload_of(self)->signature);
    Py_RETURN_TRUE;
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
    instance *self = (instance *)object;
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
    if (made == count)
        bpy_emit_signal(self->source, self->signal, self->overload, values, count);
    while (made > 0)
        Py_DECREF(values[--made]);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_True);
}

static PyObject *instance_item(PyObject *object, PyObject *key)
{
    instance *self = (instance *)object;
    PyObject *types = PyTuple_Check(key) ? Py_NewRef(key) : PyTuple_Pack(1, key);
    if (types == NULL)
        return NULL;
    Py_ssize_t found = self->signal->method != NULL ? 0 : -1; /* error[...] has one overload */
    for (Py_ssize_t i = 0; i < Py_SIZE(self->signal) && found < 0; i++) {
        int same = PyObject_RichCompareBool(self->signal->overloads[i].types, types, Py_EQ);
        found = same > 0 ? i : found;
    }
    Py_DECREF(types);
    for (int i = 0; i < BPY_SIGNALS && found < 0; i++)
        found = self->signal == known[i] ? 0 : found;
    if (found < 0)
        return PyErr_Format(PyExc_IndexError, "Signature %R not found for signal: %U", key,
                            self->signal->name);
    return make_instance(self->source, self->signal, found);
}

static PyObject *instance_call(PyObject *object, PyObject *args, PyObject *kwargs)
{
    instance *self = (instance *)object;
    if (self->signal->method == NULL)
        return PyErr_Format(PyExc_TypeError, "native Qt signal is not callable");
    PyObject *bound = PyObject_CallMethod(self->signal->method, "__get__", "O", self->source);
    PyObject *result = bound != NULL ? PyObject_Call(bound, args, kwargs) : NULL;
    Py_XDECREF(bound);
    return result;
}

static PyObject *instance_str(PyObject *object)
{
    return Py_NewRef(overload_of((const instance *)object)->signature);
}

static PyObject *instance_receivers(PyObject *object, PyObject *Py_UNUSED(none))
{
    const instance *self = (const instance *)object;
    return PyLong_FromSsize_t(bpy_receivers(self->source, self->signal, self->overload));
}

static PyMethodDef instance_methods[] = {
    {"connect", BPY_METHOD(instance_connect), METH_FASTCALL | METH_KEYWORDS,
     "connect(slot, type=Qt.AutoConnection) -> bool"},
    {"disconnect", BPY_METHOD(instance_disconnect), METH_FASTCALL,
     "disconnect(slot=None): severs the connection with a slot, or all"},
    {"emit", BPY_METHOD(instance_emit), METH_FASTCALL, "emit(*arguments)"},
    {"receivers", instance_receivers, METH_NOARGS, "receivers() -> int"},
    {NULL, NULL, 0, NULL},
};

static PyMappingMethods instance_mapping = {.mp_subscript = instance_item};

PyTypeObject bpy_signal_instance_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "berth.QtCore.SignalInstance",
    .tp_doc = "A signal of one object.",
    .tp_basicsize = sizeof(instance),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = instance_dealloc,
    .tp_call = instance_call,
    .tp_str = instance_str,
    .tp_as_mapping = &instance_mapping,
    .tp_methods = instance_methods,
};

/* ---- the signals of the module ---- */

static bpy_signal *make_known(const struct known *entry)
{
    PyObject *types = PyTuple_New(entry->arguments);
    for (int i = 0; types != NULL && i < entry->arguments; i++)
        PyTuple_SET_ITEM(types, i, Py_NewRef((PyObject *)&PyBaseObject_Type));
    bpy_signal *signal =
        types != NULL ? (bpy_signal *)bpy_signal_type.tp_alloc(&bpy_signal_type, 1) : NULL;
    if (signal == NULL) {
        Py_XDECREF(types);
        return NULL;
    }
    signal->overloads[0].types = types;
    signal->name = PyUnicode_FromString(entry->name);
    signal->overloads[0].signature = PyUnicode_FromString(entry->signature);
    if (signal->name == NULL || signal->overloads[0].signature == NULL)
        Py_CLEAR(signal);
    return signal;
}

/* Puts known signals into a type; a method of the same name becomes what calling the signal does.
 */
int bpy_signal_add_to(PyTypeObject *type, bpy_known_signal first, bpy_known_signal last)
{
    for (unsigned i = first; i <= (unsigned)last; i++) {
        bpy_signal *signal = known[i] != NULL ? known[i] : make_known(&table[i]);
        if (signal == NULL)
            return -1;
        known[i] = signal;
        PyObject *method = PyDict_GetItemWithError(type->tp_dict, signal->name);
        if (method != NULL)
            signal->method = Py_NewRef(method);
        if (PyDict_SetItem(type->tp_dict, signal->name, (PyObject *)signal) < 0)
            return -1;
    }
    PyType_Modified(type);
    return 0;
}

int bpy_signal_ready_types(PyObject *module)
{
    if (bpy_add_type(module, &bpy_signal_type) < 0)
        return -1;
    return bpy_add_type(module, &bpy_signal_instance_type);
}
