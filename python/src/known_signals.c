/*
 * The signals that the module itself emits.
 *
 * The table has their names and signatures. Each is made when it is first put into a class; a
 * method of the class that has the same name becomes what calling the signal does.
 */
#include "known_signals.h"
#include "connection.h"

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
    [BPY_CHANNEL_READY_READ] = {"channelReadyRead", "channelReadyRead(int)", 1},
    [BPY_CHANNEL_BYTES_WRITTEN] = {"channelBytesWritten", "channelBytesWritten(int,qlonglong)", 2},
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
    [BPY_PENDING_CONNECTION_AVAILABLE] = {"pendingConnectionAvailable",
                                          "pendingConnectionAvailable()", 0},
    [BPY_ACCEPT_ERROR] = {"acceptError", "acceptError(QAbstractSocket::SocketError)", 1},
    [BPY_ABOUT_TO_QUIT] = {"aboutToQuit", "aboutToQuit()", 0},
    [BPY_ACTIVATED] = {"activated", "activated(QSocketDescriptor,QSocketNotifier::Type)", 2},
};

static bpy_signal *known[BPY_SIGNALS];
_Static_assert(BPY_SIGNALS <= 32, "each has a bit of bpy_object.heard");

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
    signal->heard = 1U << (entry - table);
    signal->overloads[0].types = types;
    signal->name = PyUnicode_FromString(entry->name);
    signal->overloads[0].signature = PyUnicode_FromString(entry->signature);
    if (signal->name == NULL || signal->overloads[0].signature == NULL)
        Py_CLEAR(signal);
    return signal;
}

/* Puts known signals into a type. */
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

/* Whether the module itself emits it. */
bool bpy_signal_is_known(const bpy_signal *signal)
{
    for (int i = 0; i < BPY_SIGNALS; i++) {
        if (known[i] == signal)
            return true;
    }
    return false;
}

/* Whether it was ever connected. May be asked without the interpreter's lock. */
bool bpy_is_heard(const bpy_object *sender, bpy_known_signal which)
{
    return (atomic_load_explicit(&sender->heard, memory_order_relaxed) & 1U << which) != 0;
}

void bpy_emit(bpy_object *sender, bpy_known_signal which, PyObject *argument)
{
    if (bpy_is_heard(sender, which))
        bpy_emit_signal(sender, known[which], 0, &argument, argument != NULL);
}

void bpy_emit_two(bpy_object *sender, bpy_known_signal which, PyObject *first, PyObject *second)
{
    PyObject *const arguments[] = {first, second};
    if (bpy_is_heard(sender, which))
        bpy_emit_signal(sender, known[which], 0, arguments, 2);
}

bool bpy_has_listeners(const bpy_object *sender, bpy_known_signal which)
{
    return bpy_is_heard(sender, which) && bpy_receivers((bpy_object *)sender, known[which], 0) > 0;
}
