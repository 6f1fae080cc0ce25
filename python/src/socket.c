/*
 * QAbstractSocket and QTcpSocket: a berth_socket with signals.
 *
 * The native socket is made when it is first needed (to connect, bind or adopt), in the thread that
 * the object then belongs to. Before that, the getters return the values of a new socket. A socket
 * of a server gets its Python object in nextPendingConnection.
 *
 * The object keeps its own error, with Qt's number and text, because programs compare and show
 * them. Where Qt's text comes from the system, it is the reason in Berth's text.
 *
 * An address is passed to Berth as text, so that the state is HostLookupState first and peerName is
 * set, as in Qt.
 */
#include "socket.h"
#include "host_address.h"
#include "known_signals.h"
#include "parts.h"
#include "proxy.h"
#include "proxy_text.h"
#include "qobject.h"
#include "values.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

static bpy_socket *to_socket(bpy_object *object)
{
    return (bpy_socket *)object;
}

/* ---- errors ---- */

static const char text_of_operation[] = "Trying to connect while connection is in progress";

static bool is_through_http(const bpy_socket *self)
{
    if (self->native == NULL)
        return false;
    berth_proxy_type type = berth_socket_proxy(self->native).type;
    if (type == BERTH_PROXY_DEFAULT &&
        !berth_address_is_loopback(berth_socket_peer_address(self->native)))
        type = berth_proxy_application(NULL).type;
    return type == BERTH_PROXY_HTTP;
}

static const char *text_of(const bpy_socket *self, berth_error error, char *memory, size_t size)
{
    const char *text = self->native != NULL ? berth_socket_error_string(self->native) : "";
    const char *of_proxy = bpy_proxy_text(error, text);
    if (of_proxy != NULL)
        return of_proxy;
    switch (error) {
    case BERTH_ERROR_CONNECTION_REFUSED:
        return "Connection refused";
    case BERTH_ERROR_REMOTE_HOST_CLOSED:
        return is_through_http(self) ? "Remote host closed"
                                     : "The remote host closed the connection";
    case BERTH_ERROR_HOST_NOT_FOUND:
        return "Host not found";
    case BERTH_ERROR_SOCKET_RESOURCE:
        return "Out of resources";
    case BERTH_ERROR_SOCKET_TIMEOUT:
        return self->timeout_text != NULL ? self->timeout_text : "Connection timed out";
    case BERTH_ERROR_ADDRESS_IN_USE:
        return "The bound address is already in use";
    case BERTH_ERROR_ADDRESS_NOT_AVAILABLE:
        return "The address is not available";
    case BERTH_ERROR_OPERATION:
        return text_of_operation;
    case BERTH_ERROR_UNSUPPORTED_OPERATION:
        return "Unsupported socket operation";
    case BERTH_ERROR_UNKNOWN:
    case BERTH_ERROR_NONE:
        return "Unknown error";
    default:
        return bpy_reason(text, memory, size);
    }
}

static void note_error(bpy_socket *self, berth_error error)
{
    char memory[BPY_REASON_SIZE];
    bpy_endpoint_fail(&self->end, bpy_error_number(error),
                      text_of(self, error, memory, sizeof memory));
}

/* ---- handlers ---- */

static void emit_number(bpy_socket *self, bpy_known_signal which, PyObject *number)
{
    if (number == NULL)
        bpy_print_error();
    else
        bpy_emit(&self->end.object, which, number);
    Py_XDECREF(number);
}

/* Both signals of the error that was noted. */
static void emit_error(bpy_socket *self)
{
    int number = self->end.error;
    Py_INCREF(self);
    emit_number(self, BPY_ERROR, bpy_enum_value(BPY_ENUM_ERROR, number));
    emit_number(self, BPY_ERROR_OCCURRED, bpy_enum_value(BPY_ENUM_ERROR, number));
    Py_DECREF(self);
}

static void announce_input(bpy_socket *self)
{
    Py_INCREF(self);
    bpy_emit(&self->end.object, BPY_READY_READ, NULL);
    if (bpy_has_listeners(&self->end.object, BPY_CHANNEL_READY_READ))
        emit_number(self, BPY_CHANNEL_READY_READ, PyLong_FromLong(0));
    Py_DECREF(self);
}

static void on_ready_read(berth_socket *native, void *user)
{
    bpy_socket *self = user;
    bool entered = bpy_enter();
    bool again = self->announced && (self->mode & UNBUFFERED) != 0;
    self->announced = true;
    if ((self->mode & READ_ONLY) != 0 && !again)
        announce_input(self);
    else if (!again)
        berth_socket_skip(native, SIZE_MAX);
    bpy_leave(entered);
}

static void announce_channel(bpy_socket *self, size_t bytes)
{
    PyObject *channel = PyLong_FromLong(0), *number = PyLong_FromSize_t(bytes);
    if (channel == NULL || number == NULL)
        bpy_print_error();
    else
        bpy_emit_two(&self->end.object, BPY_CHANNEL_BYTES_WRITTEN, channel, number);
    Py_XDECREF(channel);
    Py_XDECREF(number);
}

static void on_bytes_written(berth_socket *native, size_t bytes, void *user)
{
    bpy_socket *self = user;
    (void)native;
    if (!bpy_is_heard(&self->end.object, BPY_BYTES_WRITTEN) &&
        !bpy_is_heard(&self->end.object, BPY_CHANNEL_BYTES_WRITTEN))
        return; /* without having waited for the interpreter */
    bool entered = bpy_enter();
    Py_INCREF(self);
    if (!self->silent && bpy_has_listeners(&self->end.object, BPY_BYTES_WRITTEN))
        emit_number(self, BPY_BYTES_WRITTEN, PyLong_FromSize_t(bytes));
    if (!self->silent && bpy_has_listeners(&self->end.object, BPY_CHANNEL_BYTES_WRITTEN))
        announce_channel(self, bytes);
    Py_DECREF(self);
    bpy_leave(entered);
}

static void on_error(berth_socket *native, berth_error error, void *user)
{
    bpy_socket *self = user;
    (void)native;
    bool entered = bpy_enter();
    bool waits = self->end.object.home->interruption[0] == NULL;
    bool reported = !self->given_up && waits;
    self->given_up = false;
    self->peer_ended = error == BERTH_ERROR_REMOTE_HOST_CLOSED;
    if (reported) {
        note_error(self, error);
        emit_error(self); /* after which the socket may be deleted */
    }
    bpy_leave(entered);
}

/* Whether a change belongs to asking for a proxy's credentials (socket_proxy.c), and is not
 * announced. Then the native may be freed. */
static bool hidden(bpy_socket *self, const berth_socket *native, berth_state state)
{
    bool refused = state == BERTH_STATE_UNCONNECTED && self->native == native &&
                   berth_socket_error(native) == BERTH_ERROR_PROXY_AUTHENTICATION_REQUIRED;
    if (refused && bpy_socket_ask(self))
        return true;
    bool on_the_way = state == BERTH_STATE_HOST_LOOKUP || state == BERTH_STATE_CONNECTING;
    self->asking = self->asking && on_the_way;
    return self->asking;
}

static void on_host_found(berth_socket *native, void *user)
{
    bpy_socket *self = user;
    (void)native;
    bool entered = bpy_enter();
    if (!self->asking)
        bpy_emit(&self->end.object, BPY_HOST_FOUND, NULL);
    bpy_leave(entered);
}

static void announce_state(bpy_socket *self, const berth_socket *native, berth_state state)
{
    berth_error error = berth_socket_error(native);
    bool failed = state == BERTH_STATE_UNCONNECTED && self->on_the_way;
    self->on_the_way = state == BERTH_STATE_HOST_LOOKUP || state == BERTH_STATE_CONNECTING;
    if (failed && error != BERTH_ERROR_NONE && !self->given_up)
        note_error(self, error); /* the slot may ask already */
    if (bpy_is_heard(&self->end.object, BPY_STATE_CHANGED))
        emit_number(self, BPY_STATE_CHANGED, bpy_enum_value(BPY_ENUM_STATE, (int)state));
}

static void on_state_changed(berth_socket *native, berth_state state, void *user)
{
    bpy_socket *self = user;
    if (state != BERTH_STATE_CLOSING)
        self->peer_ended = false;
    if (state != BERTH_STATE_HOST_LOOKUP && state != BERTH_STATE_CONNECTING && !self->on_the_way &&
        !self->asking && !bpy_is_heard(&self->end.object, BPY_STATE_CHANGED))
        return; /* nobody asks, and it was no attempt to connect */
    bool entered = bpy_enter();
    Py_INCREF(self); /* slots may let go of it */
    if (!hidden(self, native, state))
        announce_state(self, native, state);
    Py_DECREF(self);
    bpy_leave(entered);
}

#define PLAIN_HANDLERS(X)             \
    X(connected, BPY_CONNECTED)       \
    X(disconnected, BPY_DISCONNECTED) \
    X(read_channel_finished, BPY_READ_CHANNEL_FINISHED)

#define PLAIN_HANDLER(name, signal)                         \
    static void on_##name(berth_socket *native, void *user) \
    {                                                       \
        bpy_socket *self = user;                            \
        (void)native;                                       \
        if (!bpy_is_heard(&self->end.object, signal))       \
            return;                                         \
        bool entered = bpy_enter();                         \
        bpy_emit(&self->end.object, signal, NULL);          \
        bpy_leave(entered);                                 \
    }
#define PLAIN_SLOT(name, signal) .name = on_##name,

PLAIN_HANDLERS(PLAIN_HANDLER)

static const berth_socket_handlers handlers = {
    PLAIN_HANDLERS(PLAIN_SLOT).ready_read = on_ready_read,
    .bytes_written = on_bytes_written,
    .error_occurred = on_error,
    .state_changed = on_state_changed,
    .host_found = on_host_found,
    .encrypted = bpy_socket_on_encrypted,
    .verify_peer = bpy_socket_on_problem,
};

/* ---- the native socket ---- */

static berth_state state_of(const bpy_socket *self)
{
    if (self->asking) /* whatever the native is between two attempts */
        return BERTH_STATE_CONNECTING;
    if (self->unbinding)
        return BERTH_STATE_CLOSING;
    return self->native != NULL ? berth_socket_state(self->native) : BERTH_STATE_UNCONNECTED;
}

static bool need_native(bpy_socket *self)
{
    bpy_object *object = &self->end.object;
    if (!bpy_object_check((PyObject *)self) || !bpy_object_here(object))
        return false;
    if (self->native != NULL)
        return true;
    if (!bpy_thread_loop(object->home))
        return false;
    self->native = berth_socket_new(object->home->loop, &handlers, self);
    if (self->native == NULL) {
        PyErr_NoMemory();
        return false;
    }
    bpy_object_settle(object);
    return true;
}

/* For servers: the native of a socket object; NULL with an exception. */
berth_socket *bpy_socket_native(PyObject *object)
{
    if (!PyObject_TypeCheck(object, &bpy_socket_type)) {
        PyErr_Format(PyExc_TypeError, "a QTcpSocket is required, not %s", Py_TYPE(object)->tp_name);
        return NULL;
    }
    bpy_socket *self = (bpy_socket *)object;
    return need_native(self) ? self->native : NULL;
}

/* aboutToClose: the socket leaves its open mode. */
static void leave_device(bpy_socket *self)
{
    if (self->mode == 0)
        return;
    bpy_emit(&self->end.object, BPY_ABOUT_TO_CLOSE, NULL);
}

static void socket_release(bpy_object *object)
{
    bpy_socket *self = to_socket(object);
    if (self->native != NULL && berth_socket_state(self->native) != BERTH_STATE_UNCONNECTED) {
        leave_device(self);
        self->mode = 0;
        if (object->ending && self->native != NULL)
            berth_socket_abort(self->native); /* while slots still find it */
    }
    object->ending = false;
    berth_socket *native = self->native; /* slots have been called */
    self->native = NULL;
    self->asking = false;
    berth_socket_free(native);
}

static bool socket_busy(bpy_object *object)
{
    return state_of(to_socket(object)) != BERTH_STATE_UNCONNECTED;
}

static bool socket_movable(bpy_object *object)
{
    if (!socket_busy(object))
        return true;
    PyErr_SetString(PyExc_RuntimeError, "cannot move a socket with a connection to another "
                                        "thread; pass its descriptor instead");
    return false;
}

static void socket_move(bpy_object *object, bpy_thread *Py_UNUSED(to))
{
    socket_release(object);
}

static const bpy_kind socket_kind = {
    .release = socket_release,
    .busy = socket_busy,
    .movable = socket_movable,
    .move = socket_move,
    .traverse = bpy_endpoint_traverse,
    .clear = bpy_endpoint_clear,
};

static PyObject *socket_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                            PyObject *Py_UNUSED(kwargs))
{
    bpy_socket *self = (bpy_socket *)bpy_object_new(type, &socket_kind);
    if (self != NULL) {
        self->end.error = -1;
        bpy_socket_find_overrides(self);
    }
    return (PyObject *)self;
}

/* For servers: the object of a connection, and then its native. Only the first can run Python code.
 */
PyObject *bpy_socket_make(void)
{
    bpy_socket *self = (bpy_socket *)bpy_object_make(&bpy_tcp_socket_type, &socket_kind, NULL);
    if (self != NULL) {
        self->end.error = -1;
        bpy_socket_find_overrides(self);
        self->end.object.made_inside = true;
    }
    return (PyObject *)self;
}

/* Whether it is a socket of this thread that bpy_socket_take can be called with. */
bool bpy_socket_is_fresh(PyObject *object)
{
    if (!PyObject_TypeCheck(object, &bpy_socket_type))
        return false;
    const bpy_object *self = (bpy_object *)object;
    return self->ready && !self->destroying && ((bpy_socket *)object)->native == NULL &&
           bpy_thread_is_current(self->home);
}

void bpy_socket_take(PyObject *object, berth_socket *native, bpy_object *parent)
{
    bpy_socket *self = (bpy_socket *)object;
    self->mode = READ_WRITE;
    self->native = native;
    berth_socket_detach(native);
    berth_socket_set_handlers(native, &handlers, self);
    bpy_object_settle(&self->end.object);
    bpy_object_adopt(&self->end.object, parent);
}

/* ---- connecting ---- */

static PyObject *refuse(bpy_socket *self, berth_error error, const char *text)
{
    bpy_endpoint_fail(&self->end, bpy_error_number(error), text);
    emit_error(self);
    Py_RETURN_NONE;
}

static PyObject *socket_connect(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"host", "port", "mode", "protocol", NULL};
    bpy_socket *self = (bpy_socket *)object;
    PyObject *target;
    const char *host;
    uint16_t port;
    int mode = READ_WRITE, protocol = 2;
    berth_address address;
    char text[BERTH_ADDRESS_TEXT_SIZE];
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO&|ii:connectToHost", names, &target,
                                     bpy_port_convert, &port, &mode, &protocol))
        return NULL;
    if (!need_native(self))
        return NULL;
    if (PyUnicode_Check(target))
        host = bpy_text_of(target);
    else if (bpy_host_address_get(target, &address))
        host = berth_address_format(address, text, sizeof text);
    else
        return NULL;
    if (host == NULL)
        return NULL;
    berth_state state = state_of(self);
    if (self->asking)
        return refuse(self, BERTH_ERROR_OPERATION, text_of_operation);
    if (!bpy_socket_own_proxy(self) || !need_native(self))
        return NULL;
    if (state == BERTH_STATE_UNCONNECTED || state == BERTH_STATE_BOUND) {
        bpy_endpoint_fail(&self->end, -1, NULL);
        self->mode = mode & (READ_WRITE | UNBUFFERED);
        self->port = port;
        self->announced = false;
    }
    self->timeout_text = NULL;
    self->given_up = false;
    if (self->caching)
        return refuse(self, BERTH_ERROR_UNSUPPORTED_OPERATION,
                      "Operation on socket is not supported");
    berth_socket_connect_to_host(self->native, host, port);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

/* bind(address, port=0, mode=...) and bind(port=0, mode=...). */
static PyObject *socket_bind(PyObject *object, PyObject *args)
{
    bpy_socket *self = (bpy_socket *)object;
    PyObject *first = NULL, *second = NULL, *mode = NULL;
    berth_address address = BERTH_ADDRESS_ANY;
    uint16_t port = 0;
    if (!PyArg_ParseTuple(args, "|OOO:bind", &first, &second, &mode))
        return NULL;
    bool is_port = first != NULL && PyLong_CheckExact(first);
    if (is_port)
        second = first;
    else if (first != NULL && !bpy_host_address_bindable(first, &address))
        return NULL;
    if ((second != NULL && !bpy_port_convert(second, &port)) || !need_native(self))
        return NULL;
    if (state_of(self) == BERTH_STATE_BOUND) {
        Py_XDECREF(refuse(self, BERTH_ERROR_UNKNOWN, "Unknown error"));
        Py_RETURN_FALSE;
    }
    return PyBool_FromLong(berth_socket_bind(self->native, address, port));
}

/* Has another native take the place of the present one, whose connection is dropped. */
static void replace_native(bpy_socket *self, berth_socket *native)
{
    berth_socket *before = self->native;
    bool was_connected = berth_socket_state(before) == BERTH_STATE_CONNECTED;
    berth_socket_set_read_buffer_size(native, berth_socket_read_buffer_size(before));
    berth_socket_set_handlers(before, NULL, NULL);
    berth_socket_free(before);
    self->native = native;
    self->given_up = self->announced = false;
    berth_socket_detach(native);
    berth_socket_set_handlers(native, &handlers, self);
    if (!was_connected)
        announce_state(self, native, BERTH_STATE_CONNECTED);
}

static PyObject *socket_adopt(PyObject *object, PyObject *args)
{
    bpy_socket *self = (bpy_socket *)object;
    long descriptor;
    int state = BERTH_STATE_CONNECTED, mode = READ_WRITE;
    if (!PyArg_ParseTuple(args, "l|ii:setSocketDescriptor", &descriptor, &state, &mode) ||
        !need_native(self))
        return NULL;
    int before = self->mode;
    berth_socket *arrived =
        descriptor >= 0 && descriptor <= INT_MAX ? bpy_server_take_arrival((int)descriptor) : NULL;
    if (arrived != NULL) {
        self->mode = mode & (READ_WRITE | UNBUFFERED);
        replace_native(self, arrived);
        Py_RETURN_TRUE;
    }
    if (PyErr_Occurred())
        return NULL;
    self->mode = mode & (READ_WRITE | UNBUFFERED);
    if (descriptor >= 0 && descriptor <= INT_MAX && state == BERTH_STATE_CONNECTED &&
        berth_socket_set_descriptor(self->native, (int)descriptor)) {
        self->given_up = self->announced = false;
        bpy_endpoint_fail(&self->end, -1, NULL);
        bpy_thread_hand_over(self->end.object.home);
        Py_RETURN_TRUE;
    }
    self->mode = before;
    if (descriptor == -1)
        bpy_endpoint_fail(&self->end, -1, "Unknown error");
    else
        bpy_endpoint_fail(&self->end, bpy_error_number(BERTH_ERROR_UNSUPPORTED_OPERATION),
                          "Invalid socket descriptor");
    Py_RETURN_FALSE;
}

/* ---- ending ---- */

static bool usable(bpy_socket *self)
{
    return bpy_object_usable((PyObject *)self);
}

/* Stops asking for a proxy's credentials. Returns whether that ended the attempt: the native has
 * failed already, and its change of state has now been announced. */
static bool gives_up(bpy_socket *self)
{
    bool asked = self->asking && self->native != NULL &&
                 berth_socket_state(self->native) == BERTH_STATE_UNCONNECTED;
    self->asking = false;
    if (asked) {
        self->given_up = true;
        announce_state(self, self->native, BERTH_STATE_UNCONNECTED);
    }
    return asked;
}

/* In Qt a socket that is bound only ends as a connection does. */
static bool unbinds(bpy_socket *self)
{
    if (state_of(self) != BERTH_STATE_BOUND)
        return false;
    self->unbinding = true;
    emit_number(self, BPY_STATE_CHANGED, bpy_enum_value(BPY_ENUM_STATE, (int)BERTH_STATE_CLOSING));
    bool same = self->unbinding; /* a slot has not used it otherwise */
    self->unbinding = false;
    if (!same || self->native == NULL)
        return true;
    berth_socket_close(self->native);
    bpy_emit(&self->end.object, BPY_DISCONNECTED, NULL);
    return true;
}

static void end_connection(bpy_socket *self, bpy_ending ending)
{
    if (ending == BPY_ABORTS)
        self->unbinding = false;
    if (!gives_up(self) && (ending == BPY_ABORTS || !unbinds(self)) && self->native != NULL) {
        if (ending == BPY_ABORTS)
            berth_socket_abort(self->native);
        else if (ending == BPY_CLOSES)
            berth_socket_close(self->native);
        else
            berth_socket_disconnect_from_host(self->native);
    }
    bpy_thread_hand_over(self->end.object.home);
}

/* In Qt, close() and abort() call disconnectFromHost(). */
static void close_and_end(bpy_socket *self, bpy_ending ending)
{
    leave_device(self);
    self->mode = 0;
    if ((self->overrides & BPY_OVERRIDES_DISCONNECT) != 0 &&
        state_of(self) != BERTH_STATE_UNCONNECTED)
        bpy_socket_end_by_override(self, ending);
    else
        end_connection(self, ending);
}

static PyObject *socket_disconnect(PyObject *object, PyObject *Py_UNUSED(none))
{
    bpy_socket *self = (bpy_socket *)object;
    if (!usable(self))
        return NULL;
    end_connection(self, self->ending);
    Py_RETURN_NONE;
}

static PyObject *socket_close(PyObject *object, PyObject *Py_UNUSED(none))
{
    bpy_socket *self = (bpy_socket *)object;
    if (!usable(self))
        return NULL;
    close_and_end(self, BPY_CLOSES);
    Py_RETURN_NONE;
}

/* A write has found that the peer has gone: the socket closes at once. */
void bpy_socket_is_broken(bpy_socket *self)
{
    note_error(self, BERTH_ERROR_REMOTE_HOST_CLOSED);
    emit_error(self);
    if (self->native == NULL || berth_socket_state(self->native) == BERTH_STATE_UNCONNECTED)
        return;
    leave_device(self);
    self->mode = 0;
    if (self->native != NULL)
        berth_socket_abort(self->native);
}

static PyObject *socket_abort(PyObject *object, PyObject *Py_UNUSED(none))
{
    bpy_socket *self = (bpy_socket *)object;
    if (!usable(self))
        return NULL;
    if (state_of(self) == BERTH_STATE_UNCONNECTED)
        Py_RETURN_NONE;
    close_and_end(self, BPY_ABORTS);
    Py_RETURN_NONE;
}

/* ---- waits ---- */

typedef bool wait_function(berth_socket *socket, int milliseconds);

/* The native's wait ends when the proxy wants credentials; the socket then tries again. */
static bool wait_for_connected(berth_socket *native, int milliseconds)
{
    const bpy_socket *self = berth_socket_user(native);
    berth_loop *loop = self->end.object.home->loop;
    uint64_t end = berth_loop_now(loop) + (uint64_t)milliseconds;
    bool connected = berth_socket_wait_for_connected(native, milliseconds);
    while (!connected && self->asking && self->native == native) {
        uint64_t now = berth_loop_now(loop);
        if (milliseconds >= 0 && now >= end)
            break;
        connected =
            berth_socket_wait_for_connected(native, milliseconds < 0 ? -1 : (int)(end - now));
    }
    return connected;
}

static PyObject *wait_for(PyObject *object, PyObject *args, wait_function *wait, const char *text)
{
    bpy_socket *self = (bpy_socket *)object;
    int milliseconds = 30000;
    if (!PyArg_ParseTuple(args, "|i", &milliseconds))
        return NULL;
    if (!bpy_object_check(object) || !bpy_object_here(&self->end.object))
        return NULL;
    if (self->native == NULL)
        Py_RETURN_FALSE;
    bpy_thread *thread = self->end.object.home;
    const char *outer = self->timeout_text;
    bool before;
    Py_INCREF(self);
    self->timeout_text = text;
    bpy_block(thread, true, &before);
    bool result = wait(self->native, milliseconds);
    bpy_unblock(thread, before);
    /* What answers the peer's last bytes goes out before the end of the connection. */
    if (self->peer_ended && self->native != NULL && state_of(self) == BERTH_STATE_CLOSING)
        (void)berth_socket_flush_and_announce(self->native);
    self->timeout_text = outer;
    Py_DECREF(self);
    return bpy_interrupted(thread) ? NULL : PyBool_FromLong(result);
}

#define NETWORK_TIMEOUT "Network operation timed out"

#define WAITS(X)                                                                 \
    X(waitForConnected, wait_for_connected, "Socket operation timed out")        \
    X(waitForReadyRead, berth_socket_wait_for_ready_read, NETWORK_TIMEOUT)       \
    X(waitForBytesWritten, berth_socket_wait_for_bytes_written, NETWORK_TIMEOUT) \
    X(waitForDisconnected, berth_socket_wait_for_disconnected, NETWORK_TIMEOUT)

#define WAIT(name, function, text)                               \
    static PyObject *do_##name(PyObject *object, PyObject *args) \
    {                                                            \
        return wait_for(object, args, function, text);           \
    }
#define WAIT_ENTRY(name, function, text) \
    {#name, do_##name, METH_VARARGS, #name "(milliseconds=30000) -> bool"},

WAITS(WAIT)

/* ---- what is set ---- */

static PyObject *socket_set_read_buffer_size(PyObject *object, PyObject *value)
{
    bpy_socket *self = (bpy_socket *)object;
    Py_ssize_t size = PyNumber_AsSsize_t(value, PyExc_OverflowError);
    if ((size == -1 && PyErr_Occurred()) || !need_native(self))
        return NULL;
    berth_socket_set_read_buffer_size(self->native, size > 0 ? (size_t)size : 0);
    Py_RETURN_NONE;
}

static PyObject *socket_set_proxy(PyObject *object, PyObject *args)
{
    bpy_socket *self = (bpy_socket *)object;
    PyObject *proxy;
    berth_proxy value;
    if (!bpy_proxy_parse(args, &proxy, &value) || !need_native(self))
        return NULL;
    if (!berth_socket_set_proxy(self->native, &value))
        return PyErr_Format(PyExc_ValueError, "the proxy cannot be set");
    bpy_endpoint_keep_proxy(&self->end, proxy);
    self->lent = false;
    self->caching = PyLong_AsLong(PyTuple_GET_ITEM(args, 1)) > BERTH_PROXY_HTTP;
    Py_RETURN_NONE;
}

static PyObject *socket_set_error(PyObject *object, PyObject *args)
{
    int error;
    const char *text = NULL;
    if (!PyArg_ParseTuple(args, "i|s", &error, &text) || !bpy_object_usable(object))
        return NULL;
    bpy_endpoint_fail((bpy_endpoint *)object, error, text);
    Py_RETURN_NONE;
}

/* ---- getters ---- */

static bool is_valid(const bpy_socket *self)
{
    return self->native != NULL && (berth_socket_is_valid(self->native) ||
                                    berth_socket_state(self->native) == BERTH_STATE_BOUND);
}

static PyObject *native_address(const bpy_socket *self,
                                berth_address (*get)(const berth_socket *socket))
{
    return bpy_host_address_make(self->native != NULL ? get(self->native) : BERTH_ADDRESS_NULL);
}

static PyObject *native_port(const bpy_socket *self, uint16_t (*get)(const berth_socket *socket))
{
    return PyLong_FromLong(self->native != NULL ? get(self->native) : 0);
}

static PyObject *read_buffer_size(const bpy_socket *self)
{
    return PyLong_FromSize_t(self->native != NULL ? berth_socket_read_buffer_size(self->native)
                                                  : 0);
}

static PyObject *peer_name(const bpy_socket *self)
{
    return PyUnicode_FromString(self->native != NULL ? berth_socket_peer_name(self->native) : "");
}

/* Qt has none any more when it closes because the peer has. */
static PyObject *descriptor(const bpy_socket *self)
{
    bool there =
        self->native != NULL && !(self->peer_ended && state_of(self) == BERTH_STATE_CLOSING);
    return PyLong_FromLong(there ? bpy_shown_descriptor(berth_socket_descriptor(self->native))
                                 : -1);
}

#define GETTERS(X)                                                                             \
    X(state, bpy_enum_value(BPY_ENUM_STATE, (int)state_of(self)), "SocketState")               \
    X(error, bpy_enum_value(BPY_ENUM_ERROR, self->end.error), "SocketError")                   \
    X(errorString, bpy_endpoint_error_string(&self->end, "Unknown error"), "str")              \
    X(isValid, PyBool_FromLong(is_valid(self)), "bool")                                        \
    X(wasReset, PyBool_FromLong(self->native != NULL && berth_socket_was_reset(self->native)), \
      "bool: whether the peer reset the last connection; not in Qt")                           \
    X(socketDescriptor, descriptor(self), "int: -1 without a connection")                      \
    X(peerAddress, native_address(self, berth_socket_peer_address), "QHostAddress")            \
    X(localAddress, native_address(self, berth_socket_local_address), "QHostAddress")          \
    X(peerPort, native_port(self, berth_socket_peer_port), "int")                              \
    X(localPort, native_port(self, berth_socket_local_port), "int")                            \
    X(peerName, peer_name(self), "str: the name or address passed to connectToHost()")         \
    X(readBufferSize, read_buffer_size(self), "int: 0 for no limit")                           \
    X(_proxy, bpy_endpoint_proxy(&self->end), "the proxy that was set, or None")

#define GETTER(name, value, text)                                            \
    static PyObject *get_##name(PyObject *object, PyObject *Py_UNUSED(none)) \
    {                                                                        \
        const bpy_socket *self = (const bpy_socket *)object;                 \
        return bpy_object_usable(object) ? (value) : NULL;                   \
    }
#define GETTER_ENTRY(name, value, text) {#name, get_##name, METH_NOARGS, #name "() -> " text},

GETTERS(GETTER)

static PyMethodDef socket_methods[] = {
    GETTERS(GETTER_ENTRY) WAITS(WAIT_ENTRY){
        "connectToHost", BPY_METHOD(socket_connect), METH_VARARGS | METH_KEYWORDS,
        "connectToHost(host, port, mode=ReadWrite): host is a str or a QHostAddress"},
    {"bind", socket_bind, METH_VARARGS,
     "bind(address=Any, port=0, mode=DefaultForPlatform) -> bool: in every mode the address is "
     "shared with sockets that share it"},
    {"setSocketDescriptor", socket_adopt, METH_VARARGS,
     "setSocketDescriptor(descriptor, state=ConnectedState, mode=ReadWrite) -> bool: adopts a "
     "descriptor"},
    {"disconnectFromHost", socket_disconnect, METH_NOARGS,
     "disconnectFromHost(): closes the connection gracefully, after the output is sent"},
    {"close", socket_close, METH_NOARGS, "close(): like disconnectFromHost(), but drops the input"},
    {"abort", socket_abort, METH_NOARGS,
     "abort(): closes the connection at once and drops the output"},
    {"setSocketOption", bpy_socket_set_option, METH_VARARGS, "setSocketOption(option, value)"},
    {"socketOption", bpy_socket_option, METH_VARARGS, "socketOption(option) -> int or None"},
    {"setReadBufferSize", socket_set_read_buffer_size, METH_O,
     "setReadBufferSize(bytes): limits the input that is buffered; 0 for no limit"},
    {"_set_proxy", socket_set_proxy, METH_VARARGS, NULL},
    {"_set_error", socket_set_error, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

/* ---- the types ---- */

/* QAbstractSocket(type, parent): streams only. */
static int abstract_init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    int type;
    PyObject *parent;
    if (!PyArg_ParseTuple(args, "iO:QAbstractSocket", &type, &parent))
        return -1;
    return bpy_qobject_configure((bpy_object *)object, parent, kwargs);
}

#define SOCKET_TYPE(variable, name, base, init, doc)                               \
    PyTypeObject variable = {                                                      \
        PyVarObject_HEAD_INIT(NULL, 0).tp_name = name,                             \
        .tp_doc = doc,                                                             \
        .tp_basicsize = sizeof(bpy_socket),                                        \
        .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, \
        .tp_base = base,                                                           \
        .tp_new = socket_new,                                                      \
        .tp_init = init,                                                           \
        .tp_setattro = bpy_socket_set_attribute,                                   \
        .tp_dealloc = bpy_qobject_dealloc,                                         \
        .tp_finalize = bpy_qobject_finalize,                                       \
        .tp_traverse = bpy_qobject_traverse,                                       \
        .tp_clear = bpy_qobject_clear,                                             \
    }

SOCKET_TYPE(bpy_device_type, "berth.QtCore.QIODevice", &bpy_object_type, bpy_qobject_init,
            "A device that is read and written; the base class of sockets.");
SOCKET_TYPE(bpy_socket_type, "berth.QtNetwork.QAbstractSocket", &bpy_device_type, abstract_init,
            "The base class of QTcpSocket.");
SOCKET_TYPE(bpy_tcp_socket_type, "berth.QtNetwork.QTcpSocket", &bpy_socket_type, bpy_qobject_init,
            "QTcpSocket(parent=None): a TCP connection");

int bpy_socket_ready(PyObject *module)
{
    bpy_device_type.tp_methods = bpy_device_methods;
    bpy_socket_type.tp_methods = socket_methods;
    if (bpy_add_type(module, &bpy_device_type) < 0 || bpy_add_type(module, &bpy_socket_type) < 0 ||
        bpy_add_type(module, &bpy_tcp_socket_type) < 0 || bpy_socket_virtual_ready() < 0)
        return -1;
    if (bpy_signal_add_to(&bpy_device_type, BPY_ABOUT_TO_CLOSE, BPY_READ_CHANNEL_FINISHED) < 0)
        return -1;
    return bpy_signal_add_to(&bpy_socket_type, BPY_CONNECTED, BPY_PROXY_AUTHENTICATION_REQUIRED);
}
