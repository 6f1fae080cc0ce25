/*
 * A socket whose proxy refuses its credentials.
 *
 * In Berth the credentials are a part of the proxy's value, and an attempt without them fails. Qt
 * asks the program first, by proxyAuthenticationRequired. If that signal is connected, a socket
 * does so too: when an attempt fails for that reason, it emits the signal. If the slot sets a user
 * or a password, it connects again with them. All this happens inside the native's change of state,
 * which is not announced; for the program the socket remains Connecting. The credentials are for
 * this connect only; the next one uses the program's own proxy.
 *
 * If the slot closes or deletes the socket, it does not connect again.
 */
#include "known_signals.h"
#include "proxy.h"
#include "socket.h"

/* Sets the native's proxy from the arguments of bpy_proxy_parse, of which it takes the reference.
 * The proxy itself is owned by them. */
static bool use(bpy_socket *self, PyObject *args)
{
    PyObject *proxy;
    berth_proxy value;
    bool good = args != NULL && bpy_proxy_parse(args, &proxy, &value);
    good = good && self->native != NULL; /* a number may be of a class of the program */
    if (good && !berth_socket_set_proxy(self->native, &value)) {
        PyErr_SetString(PyExc_ValueError, "the proxy cannot be set");
        good = false;
    }
    Py_XDECREF(args);
    return good;
}

/* Asks the program; returns the proxy to try next, None, or NULL with an exception. */
static PyObject *ask(bpy_socket *self)
{
    berth_proxy tried = berth_socket_proxy(self->native);
    const char *user = tried.user != NULL ? tried.user : "";
    const char *password = tried.password != NULL ? tried.password : "";
    /* First: to look for the method may free the texts. */
    PyObject *values =
        tried.type == BERTH_PROXY_DEFAULT ? PyTuple_New(0) : Py_BuildValue("(ss)", user, password);
    PyObject *method = values != NULL ? PyObject_GetAttrString((PyObject *)self, "_ask") : NULL;
    PyObject *proxy = method != NULL ? PyObject_CallObject(method, values) : NULL;
    Py_XDECREF(method);
    Py_XDECREF(values);
    return proxy;
}

static bool connect_again(bpy_socket *self, PyObject *proxy)
{
    PyObject *name = PyUnicode_FromString(berth_socket_peer_name(self->native));
    const char *host = name != NULL ? PyUnicode_AsUTF8(name) : NULL;
    Py_INCREF(proxy);
    bool good = use(self, proxy) && host != NULL;
    self->lent |= good;
    good = good && self->native != NULL &&
           berth_socket_connect_to_host(self->native, host, self->port);
    Py_XDECREF(name);
    return good;
}

/* An attempt has failed because the proxy refuses the credentials. Returns whether the failure is
 * not announced: the next attempt has begun, here or in the slot, the slot has given up, or the
 * native is freed. */
bool bpy_socket_ask(bpy_socket *self)
{
    if (!bpy_has_listeners(&self->end.object, BPY_PROXY_AUTHENTICATION_REQUIRED))
        return false;
    self->asking = true;
    PyObject *proxy = ask(self);
    bool gone = self->native == NULL, again = false;
    bool begun = !gone && berth_socket_state(self->native) != BERTH_STATE_UNCONNECTED;
    if (proxy != NULL && proxy != Py_None && !gone && self->asking)
        again = connect_again(self, proxy);
    if (PyErr_Occurred())
        bpy_print_error();
    Py_XDECREF(proxy);
    return gone || again || begun || self->given_up;
}

/* Before a connect of the program: restores its own proxy. False with an exception. */
bool bpy_socket_own_proxy(bpy_socket *self)
{
    if (self->lent && !use(self, PyObject_CallMethod((PyObject *)self, "_own_proxy", NULL)))
        return false;
    self->lent = false;
    return true;
}
