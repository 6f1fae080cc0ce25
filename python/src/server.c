/*
 * QTcpServer: a berth_server with signals and virtual functions.
 *
 * An override of incomingConnection is called with each accepted descriptor. Without one, Berth
 * makes the sockets, and nextPendingConnection makes the Python object, as a child of the server.
 * Sockets that the program adds to the queue have theirs already; close() destroys all that is
 * pending, and takes each out of the queue first, so that the native is freed by one of both. Who
 * asks for the server's children sees the pending sockets too: then each gets its object.
 *
 * Errors have Qt's numbers and texts. listen() on a listening server returns False and leaves the
 * error unchanged, as in Qt.
 */
#include "server.h"
#include "host_address.h"
#include "known_signals.h"
#include "override.h"
#include "parts.h"
#include "proxy.h"
#include "proxy_text.h"
#include "qobject.h"
#include "socket.h"
#include "values.h"

#include <berth/tls.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

typedef struct server {
    bpy_endpoint end;
    berth_server *native;           /* NULL until it is needed */
    berth_server_handlers handlers; /* of the native */
    int limit;
    int backlog;
    unsigned accepted; /* connections, for waits to detect new ones */
    bool listened;     /* by listen() or setSocketDescriptor(), and not closed */
    bool taken;        /* by an override, which announces itself what it queues */
} server;

static PyTypeObject server_type;
static PyObject *name_socket_class; /* "_socket_class" */
static bpy_virtual incoming = {.text = "incomingConnection", .type = &server_type};

static server *to_server(bpy_object *object)
{
    return (server *)object;
}

/* ---- errors ---- */

static const char *text_of(const server *self, berth_error error, char *memory, size_t size)
{
    const char *text = berth_server_error_string(self->native);
    const char *of_proxy = bpy_proxy_text(error, text);
    if (of_proxy != NULL)
        return of_proxy;
    switch (error) {
    case BERTH_ERROR_ADDRESS_IN_USE:
        return "The bound address is already in use";
    case BERTH_ERROR_ADDRESS_NOT_AVAILABLE:
        return "The address is not available";
    case BERTH_ERROR_SOCKET_ACCESS:
        return "The address is protected";
    case BERTH_ERROR_HOST_NOT_FOUND:
        return "Host not found";
    case BERTH_ERROR_SOCKET_RESOURCE:
        return "Out of resources";
    case BERTH_ERROR_SOCKET_TIMEOUT:
    case BERTH_ERROR_PROXY_CONNECTION_TIMEOUT:
        return "Network operation timed out";
    case BERTH_ERROR_UNSUPPORTED_OPERATION:
        return "Unsupported socket operation";
    case BERTH_ERROR_UNKNOWN:
    case BERTH_ERROR_NONE:
        return "Unknown error";
    default:
        return bpy_reason(text, memory, size);
    }
}

static void note_native(server *self)
{
    char memory[BPY_REASON_SIZE];
    berth_error error = berth_server_error(self->native);
    bpy_endpoint_fail(&self->end, bpy_error_number(error),
                      text_of(self, error, memory, sizeof memory));
}

/* ---- handlers ---- */

static void on_new_connection(berth_server *native, void *user)
{
    server *self = user;
    (void)native;
    bool entered = bpy_enter();
    self->accepted++;
    Py_INCREF(self);
    if (!self->taken)
        bpy_emit(&self->end.object, BPY_PENDING_CONNECTION_AVAILABLE, NULL);
    self->taken = false;
    bpy_emit(&self->end.object, BPY_NEW_CONNECTION, NULL);
    Py_DECREF(self);
    bpy_leave(entered);
}

static void on_accept_error(berth_server *native, berth_error error, void *user)
{
    server *self = user;
    (void)native;
    bool entered = bpy_enter();
    char memory[BPY_REASON_SIZE];
    Py_INCREF(self);
    bpy_endpoint_fail(&self->end, bpy_error_number(error),
                      text_of(self, error, memory, sizeof memory));
    PyObject *number = bpy_enum_value(BPY_ENUM_ERROR, self->end.error);
    if (number == NULL)
        bpy_print_error();
    else
        bpy_emit(&self->end.object, BPY_ACCEPT_ERROR, number);
    Py_XDECREF(number);
    Py_DECREF(self);
    bpy_leave(entered);
}

/* For QSslServer (_ssl.py), the only class that encrypts. */
static void on_handshake_failed(berth_server *native, const berth_tls_failure *failure, void *user)
{
    server *self = user;
    (void)native;
    bool entered = bpy_enter();
    Py_INCREF(self);
    PyObject *peer = bpy_host_address_make(failure->peer);
    PyObject *result = peer != NULL
                           ? PyObject_CallMethod((PyObject *)self, "_on_handshake_failed", "isOi",
                                                 bpy_error_number(failure->error), failure->text,
                                                 peer, (int)failure->peer_port)
                           : NULL;
    if (result == NULL)
        bpy_print_error();
    Py_XDECREF(result);
    Py_XDECREF(peer);
    Py_DECREF(self);
    bpy_leave(entered);
}

/* A connection that an override is being called with. */
typedef struct arrival {
    server *server;
    int descriptor;
    struct arrival *outer; /* of a turn around this one */
} arrival;

static __thread arrival *arriving;

static void on_incoming(berth_server *native, int descriptor, void *user)
{
    server *self = user;
    bool entered = bpy_enter();
    Py_INCREF(self);
    PyObject *function = bpy_override(&incoming, (PyObject *)self);
    arrival here = {self, descriptor, arriving};
    arriving = &here;
    self->taken = function != NULL;
    if (function == NULL) {
        if (self->native == native)
            berth_server_base_incoming_connection(native, descriptor);
        else
            close(descriptor); /* looking for the override has ended the server */
    } else {
        PyObject *result = PyObject_CallFunction(function, "i", descriptor);
        if (result == NULL)
            bpy_print_error();
        Py_XDECREF(result);
        Py_DECREF(function);
    }
    arriving = here.outer;
    Py_DECREF(self);
    bpy_leave(entered);
}

/* Takes all pending sockets; their number, -1 with an exception. */
static Py_ssize_t take_all(berth_server *native, berth_socket ***ret_sockets)
{
    Py_ssize_t count = 0;
    *ret_sockets = NULL;
    while (berth_server_base_has_pending_connections(native)) {
        berth_socket **more = PyMem_Realloc(*ret_sockets, (size_t)(count + 1) * sizeof(void *));
        if (more == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        *ret_sockets = more;
        more[count++] = berth_server_base_next_pending_connection(native);
    }
    return count;
}

/* The native for a descriptor that a server which listens through a proxy is calling an override
 * with: the addresses are those that the proxy has reported, which only the server's own way knows.
 * NULL for any other descriptor, or with an exception. */
berth_socket *bpy_server_take_arrival(int descriptor)
{
    if (arriving == NULL || arriving->descriptor != descriptor)
        return NULL;
    berth_server *native = arriving->server->native;
    if (native == NULL || berth_server_descriptor(native) >= 0)
        return NULL;
    berth_socket **pending;
    Py_ssize_t count = take_all(native, &pending);
    berth_socket *taken = NULL;
    if (count >= 0) {
        berth_server_base_incoming_connection(native, descriptor);
        taken = berth_server_base_next_pending_connection(native);
    }
    for (Py_ssize_t i = 0; i < count; i++)
        berth_server_add_pending_connection(native, pending[i]);
    PyMem_Free(pending);
    return taken;
}

/* Without an override the native is spared the way through the handler. */
static void choose_handlers(server *self)
{
    bool plain =
        Py_IS_TYPE((PyObject *)self, &server_type) && !bpy_is_override(&incoming, (PyObject *)self);
    self->handlers = (berth_server_handlers){
        .new_connection = on_new_connection,
        .accept_error = on_accept_error,
        .handshake_failed = on_handshake_failed,
        .incoming_connection = plain ? NULL : on_incoming,
    };
}

/* An override may also be put into a server that is listening. */
static int server_set_attribute(PyObject *object, PyObject *name, PyObject *value)
{
    int status = PyObject_GenericSetAttr(object, name, value);
    if (status == 0 && PyUnicode_Compare(name, incoming.name) == 0)
        choose_handlers((server *)object);
    return status;
}

/* ---- the native server ---- */

static bool need_native(server *self)
{
    bpy_object *object = &self->end.object;
    if (!bpy_object_check((PyObject *)self) || !bpy_object_here(object))
        return false;
    if (self->native != NULL)
        return true;
    if (!bpy_thread_loop(object->home))
        return false;
    choose_handlers(self); /* which may run Python code */
    if (self->native != NULL)
        return true;
    if (!bpy_object_check((PyObject *)self) || !bpy_object_here(object))
        return false;
    self->native = berth_server_new(object->home->loop, &self->handlers, self);
    if (self->native == NULL) {
        PyErr_NoMemory();
        return false;
    }
    berth_server_set_max_pending_connections(self->native, self->limit);
    berth_server_set_listen_backlog_size(self->native, self->backlog);
    bpy_object_settle(object);
    return true;
}

/* The native of a server object; NULL with an exception. */
berth_server *bpy_server_native(PyObject *object)
{
    if (!PyObject_TypeCheck(object, &server_type)) {
        PyErr_Format(PyExc_TypeError, "a QTcpServer is required, not %s", Py_TYPE(object)->tp_name);
        return NULL;
    }
    server *self = (server *)object;
    return need_native(self) ? self->native : NULL;
}

static bool pending(const server *self)
{
    return self->native != NULL && berth_server_base_has_pending_connections(self->native);
}

/* Slots are called meanwhile, and may do the same. */
static void destroy_pending(server *self)
{
    berth_socket *native;
    while (self->native != NULL &&
           (native = berth_server_base_next_pending_connection(self->native)) != NULL) {
        bpy_object *socket = berth_socket_user(native);
        if (socket == NULL) {
            berth_socket_free(native);
            continue;
        }
        Py_INCREF(socket);
        bpy_qobject_destroy(socket);
        Py_DECREF(socket);
    }
}

static void server_release(bpy_object *object)
{
    server *self = to_server(object);
    destroy_pending(self);
    berth_server *native = self->native;
    self->native = NULL;
    self->listened = false;
    berth_server_free(native);
}

static bool server_busy(bpy_object *object)
{
    const server *self = to_server(object);
    return self->native != NULL && berth_server_is_listening(self->native);
}

static bool server_movable(bpy_object *object)
{
    if (!server_busy(object) && !pending(to_server(object)))
        return true;
    PyErr_SetString(PyExc_RuntimeError, "cannot move a listening server or one with pending "
                                        "connections to another thread; move it before listen()");
    return false;
}

static void server_move(bpy_object *object, bpy_thread *Py_UNUSED(to))
{
    server_release(object);
}

static const bpy_kind server_kind = {
    .release = server_release,
    .busy = server_busy,
    .movable = server_movable,
    .move = server_move,
    .traverse = bpy_endpoint_traverse,
    .clear = bpy_endpoint_clear,
};

static PyObject *server_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                            PyObject *Py_UNUSED(kwargs))
{
    server *self = (server *)bpy_object_new(type, &server_kind);
    if (self == NULL)
        return NULL;
    self->end.error = -1;
    self->limit = BERTH_DEFAULT_MAX_PENDING_CONNECTIONS;
    self->backlog = BERTH_DEFAULT_LISTEN_BACKLOG_SIZE;
    return (PyObject *)self;
}

/* ---- listening ---- */

static PyObject *listened(server *self, bool good)
{
    if (good)
        self->listened = true;
    else
        note_native(self);
    return PyBool_FromLong(good);
}

PyObject *bpy_server_listened(PyObject *object, bool good)
{
    return listened((server *)object, good);
}

static PyObject *server_listen(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"address", "port", NULL};
    server *self = (server *)object;
    PyObject *where = NULL;
    uint16_t port = 0;
    berth_address address = BERTH_ADDRESS_ANY;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO&:listen", names, &where, bpy_port_convert,
                                     &port))
        return NULL;
    if ((where != NULL && !bpy_host_address_bindable(where, &address)) || !need_native(self))
        return NULL;
    if (self->listened)
        Py_RETURN_FALSE;
    /* It waits for a proxy, which may be another thread of this interpreter. */
    bpy_thread *thread = self->end.object.home;
    bool before;
    Py_INCREF(self);
    bpy_block(thread, true, &before);
    bool good = berth_server_listen(self->native, address, port);
    bpy_unblock(thread, before);
    PyObject *result = NULL;
    if (!bpy_interrupted(thread))
        result = self->native != NULL ? listened(self, good) : Py_NewRef(Py_False);
    Py_DECREF(self);
    return result;
}

static PyObject *server_set_descriptor(PyObject *object, PyObject *value)
{
    server *self = (server *)object;
    long descriptor = PyLong_AsLong(value);
    if ((descriptor == -1 && PyErr_Occurred()) || !need_native(self))
        return NULL;
    if (self->listened)
        Py_RETURN_FALSE;
    if (descriptor >= 0 && descriptor <= INT_MAX &&
        berth_server_set_descriptor(self->native, (int)descriptor))
        return listened(self, true);
    if (descriptor == -1)
        bpy_endpoint_fail(&self->end, -1, "Unknown error");
    else
        bpy_endpoint_fail(&self->end, bpy_error_number(BERTH_ERROR_UNSUPPORTED_OPERATION),
                          "Invalid socket descriptor");
    Py_RETURN_FALSE;
}

static PyObject *server_close(PyObject *object, PyObject *Py_UNUSED(none))
{
    server *self = (server *)object;
    if (!bpy_object_check(object) || !bpy_object_here(&self->end.object))
        return NULL;
    self->listened = false;
    destroy_pending(self);
    if (self->native != NULL)
        berth_server_close(self->native);
    bpy_thread_hand_over(self->end.object.home);
    Py_RETURN_NONE;
}

static PyObject *switch_accepting(PyObject *object, void (*function)(berth_server *server))
{
    server *self = (server *)object;
    if (!need_native(self))
        return NULL;
    function(self->native);
    Py_RETURN_NONE;
}

static PyObject *server_pause(PyObject *object, PyObject *Py_UNUSED(none))
{
    return switch_accepting(object, berth_server_pause_accepting);
}

static PyObject *server_resume(PyObject *object, PyObject *Py_UNUSED(none))
{
    return switch_accepting(object, berth_server_resume_accepting);
}

/* ---- connections ---- */

/* What the server delivers: a QTcpSocket, or what its _socket_class makes. */
static PyObject *make_socket(server *self)
{
    if (Py_IS_TYPE((PyObject *)self, &server_type))
        return bpy_socket_make();
    PyObject *class = PyObject_GetAttr((PyObject *)self, name_socket_class);
    if (class == NULL)
        return NULL;
    PyObject *made = class != Py_None ? PyObject_CallNoArgs(class) : bpy_socket_make();
    Py_DECREF(class);
    if (made != NULL && !bpy_socket_is_fresh(made)) {
        Py_DECREF(made);
        return PyErr_Format(PyExc_TypeError, "_socket_class makes something else");
    }
    return made;
}

/* The oldest pending socket; NULL if there is none, or with an exception. */
static PyObject *take_next(server *self)
{
    if (!pending(self))
        return NULL;
    PyObject *socket = make_socket(self); /* the collector may run, and the queue change */
    if (socket == NULL || !pending(self)) {
        Py_XDECREF(socket);
        return NULL;
    }
    berth_socket *native = berth_server_base_next_pending_connection(self->native);
    PyObject *own = berth_socket_user(native);
    if (own != NULL) {
        Py_INCREF(own);
        Py_DECREF(socket);
        return own;
    }
    bpy_socket_take(socket, native, &self->end.object);
    return socket;
}

static PyObject *server_next(PyObject *object, PyObject *Py_UNUSED(none))
{
    server *self = (server *)object;
    if (!bpy_object_check(object) || !bpy_object_here(&self->end.object))
        return NULL;
    PyObject *socket = take_next(self);
    return socket != NULL || PyErr_Occurred() ? socket : Py_NewRef(Py_None);
}

/* Makes the objects of all pending sockets, which are children of the server. */
static bool make_pending(server *self)
{
    PyObject *sockets = PyList_New(0), *socket;
    while (sockets != NULL && (socket = take_next(self)) != NULL) {
        if (PyList_Append(sockets, socket) < 0)
            Py_CLEAR(sockets);
        Py_DECREF(socket);
    }
    for (Py_ssize_t i = 0; sockets != NULL && i < PyList_GET_SIZE(sockets); i++) {
        berth_socket *native = bpy_socket_native(PyList_GET_ITEM(sockets, i));
        if (native == NULL || self->native == NULL)
            break;
        berth_server_add_pending_connection(self->native, native);
    }
    Py_XDECREF(sockets);
    return !PyErr_Occurred();
}

static PyObject *server_children(PyObject *object, PyObject *Py_UNUSED(none))
{
    server *self = (server *)object;
    bool here = self->end.object.home == bpy_thread_current();
    if (here && pending(self) && !make_pending(self))
        return NULL;
    return bpy_qobject_children(object, NULL);
}

static PyObject *server_incoming(PyObject *object, PyObject *value)
{
    server *self = (server *)object;
    long descriptor = PyLong_AsLong(value);
    if ((descriptor == -1 && PyErr_Occurred()) || !need_native(self))
        return NULL;
    bool fits = descriptor >= 0 && descriptor <= INT_MAX;
    self->taken = false;
    berth_server_base_incoming_connection(self->native, fits ? (int)descriptor : -1);
    Py_RETURN_NONE;
}

static PyObject *server_add_pending(PyObject *object, PyObject *socket)
{
    server *self = (server *)object;
    if (!need_native(self))
        return NULL;
    berth_socket *native = bpy_socket_native(socket);
    if (native == NULL)
        return NULL;
    if (((bpy_object *)socket)->home != self->end.object.home)
        return PyErr_Format(PyExc_RuntimeError, "the socket lives in another thread");
    berth_server_add_pending_connection(self->native, native);
    bpy_emit(&self->end.object, BPY_PENDING_CONNECTION_AVAILABLE, NULL);
    Py_RETURN_NONE;
}

/* Waits for a connection, then accepts all that are in the backlog: as Qt does, which accepts in
 * bursts. */
static bool wait_for_burst(server *self, int milliseconds, bool *ret_timed_out)
{
    unsigned before = self->accepted;
    if (!berth_server_wait_for_new_connection(self->native, milliseconds, ret_timed_out))
        return false;
    bool nothing;
    while (self->native != NULL && self->accepted != before) {
        before = self->accepted;
        berth_server_wait_for_new_connection(self->native, 0, &nothing);
    }
    return true;
}

static PyObject *server_wait(PyObject *object, PyObject *args)
{
    server *self = (server *)object;
    int milliseconds;
    bool timed_out = false, before;
    if (!PyArg_ParseTuple(args, "i:waitForNewConnection", &milliseconds))
        return NULL;
    if (!bpy_object_check(object) || !bpy_object_here(&self->end.object))
        return NULL;
    if (self->native == NULL)
        return Py_BuildValue("(OO)", Py_False, Py_False);
    bpy_thread *thread = self->end.object.home;
    Py_INCREF(self);
    bpy_block(thread, true, &before);
    bool result = wait_for_burst(self, milliseconds, &timed_out);
    bpy_unblock(thread, before);
    bool interrupted = bpy_interrupted(thread);
    if (timed_out && self->native != NULL && !interrupted)
        note_native(self);
    Py_DECREF(self);
    if (interrupted)
        return NULL;
    return Py_BuildValue("(NN)", PyBool_FromLong(result), PyBool_FromLong(timed_out));
}

static PyObject *server_set_limit(PyObject *object, PyObject *value)
{
    server *self = (server *)object;
    int limit = PyLong_AsInt(value);
    if ((limit == -1 && PyErr_Occurred()) || !bpy_object_check(object) ||
        !bpy_object_here(&self->end.object))
        return NULL;
    self->limit = limit;
    if (self->native != NULL)
        berth_server_set_max_pending_connections(self->native, limit);
    Py_RETURN_NONE;
}

static PyObject *server_set_backlog(PyObject *object, PyObject *value)
{
    server *self = (server *)object;
    int size = PyLong_AsInt(value);
    if ((size == -1 && PyErr_Occurred()) || !bpy_object_check(object) ||
        !bpy_object_here(&self->end.object))
        return NULL;
    self->backlog = size;
    if (self->native != NULL)
        berth_server_set_listen_backlog_size(self->native, size);
    Py_RETURN_NONE;
}

static PyObject *server_set_proxy(PyObject *object, PyObject *args)
{
    server *self = (server *)object;
    PyObject *proxy;
    berth_proxy value;
    if (!bpy_proxy_parse(args, &proxy, &value) || !need_native(self))
        return NULL;
    if (!berth_server_set_proxy(self->native, &value))
        return PyErr_Format(PyExc_ValueError, "the proxy cannot be set");
    bpy_endpoint_keep_proxy(&self->end, proxy);
    Py_RETURN_NONE;
}

/* ---- getters ---- */

static PyObject *address(const server *self)
{
    return bpy_host_address_make(self->native != NULL ? berth_server_address(self->native)
                                                      : BERTH_ADDRESS_NULL);
}

#define GETTERS(X)                                                                              \
    X(isListening,                                                                              \
      PyBool_FromLong(self->native != NULL && berth_server_is_listening(self->native)), "bool") \
    X(serverPort, PyLong_FromLong(self->native != NULL ? berth_server_port(self->native) : 0),  \
      "int: 0 when not listening")                                                              \
    X(serverAddress, address(self), "QHostAddress: null when not listening")                    \
    X(socketDescriptor,                                                                         \
      PyLong_FromLong(self->native != NULL ? berth_server_descriptor(self->native) : -1),       \
      "int: -1 when not listening")                                                             \
    X(hasPendingConnections, PyBool_FromLong(pending(self)), "bool")                            \
    X(maxPendingConnections, PyLong_FromLong(self->limit), "int")                               \
    X(listenBacklogSize, PyLong_FromLong(self->backlog), "int")                                 \
    X(serverError, bpy_enum_value(BPY_ENUM_ERROR, self->end.error),                             \
      "SocketError: of the last failure")                                                       \
    X(errorString, bpy_endpoint_error_string(&self->end, ""), "str: of the last failure")       \
    X(_proxy, bpy_endpoint_proxy(&self->end), "the proxy that was set, or None")

#define GETTER(name, value, text)                                            \
    static PyObject *get_##name(PyObject *object, PyObject *Py_UNUSED(none)) \
    {                                                                        \
        const server *self = (const server *)object;                         \
        return bpy_object_usable(object) ? (value) : NULL;                   \
    }
#define ENTRY(name, value, text) {#name, get_##name, METH_NOARGS, #name "() -> " text},

GETTERS(GETTER)

static PyMethodDef server_methods[] = {
    GETTERS(ENTRY){"listen", BPY_METHOD(server_listen), METH_VARARGS | METH_KEYWORDS,
                   "listen(address=QHostAddress.Any, port=0) -> bool"},
    {"close", server_close, METH_NOARGS,
     "close(): stops listening and destroys the pending connections"},
    {"setSocketDescriptor", server_set_descriptor, METH_O,
     "setSocketDescriptor(descriptor) -> bool: listens on an existing descriptor"},
    {"pauseAccepting", server_pause, METH_NOARGS,
     "pauseAccepting(): new connections wait in the backlog"},
    {"resumeAccepting", server_resume, METH_NOARGS, "resumeAccepting()"},
    {"nextPendingConnection", server_next, METH_NOARGS,
     "nextPendingConnection() -> QTcpSocket or None: the oldest, a child of the server"},
    {"children", server_children, METH_NOARGS, "children() -> list: the pending sockets too"},
    {"incomingConnection", server_incoming, METH_O,
     "incomingConnection(descriptor): called for each accepted connection; may be overridden"},
    {"addPendingConnection", server_add_pending, METH_O,
     "addPendingConnection(socket): queues a socket; for overrides of incomingConnection"},
    {"waitForNewConnection", server_wait, METH_VARARGS,
     "waitForNewConnection(milliseconds) -> (bool, bool): the result, and whether it timed out"},
    {"setMaxPendingConnections", server_set_limit, METH_O, "setMaxPendingConnections(limit)"},
    {"setListenBacklogSize", server_set_backlog, METH_O,
     "setListenBacklogSize(size): of the kernel's queue, for the next listen()"},
    {"_set_proxy", server_set_proxy, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject server_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "berth.QtNetwork.QTcpServer",
    .tp_doc = "QTcpServer(parent=None): listens and accepts; emits newConnection",
    .tp_basicsize = sizeof(server),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_base = &bpy_object_type,
    .tp_new = server_new,
    .tp_init = bpy_qobject_init,
    .tp_setattro = server_set_attribute,
    .tp_dealloc = bpy_qobject_dealloc,
    .tp_finalize = bpy_qobject_finalize,
    .tp_traverse = bpy_qobject_traverse,
    .tp_clear = bpy_qobject_clear,
    .tp_methods = server_methods,
};

int bpy_server_ready(PyObject *module)
{
    if (bpy_add_type(module, &server_type) < 0 ||
        bpy_signal_add_to(&server_type, BPY_NEW_CONNECTION, BPY_ACCEPT_ERROR) < 0)
        return -1;
    name_socket_class = PyUnicode_InternFromString("_socket_class");
    if (name_socket_class == NULL ||
        PyDict_SetItem(server_type.tp_dict, name_socket_class, Py_None) < 0)
        return -1;
    return bpy_virtual_ready(&incoming);
}
