/*
 * Encrypted sockets and servers: what QSslSocket and QSslServer (berth/_ssl.py) are made of.
 *
 * A configuration comes in a capsule from berth._tls, which has OpenSSL; so nobody loads that who
 * does not encrypt. Holds on configurations are given up here, by the capsule's destructor.
 *
 * Two handlers of every socket call methods that only QSslSocket has: _on_encrypted(), and
 * _on_problem(depth, number, text, certificate), whose truth ignores the problem.
 */
#include "parts.h"
#include "server.h"
#include "socket.h"

#include <berth/tls.h>

static const char capsule_name[] = "berth.tls";

static void destroy(PyObject *capsule)
{
    berth_tls_release(PyCapsule_GetPointer(capsule, capsule_name));
}

/* For PyArg_Parse's O&: a capsule, or None for NULL. */
static int convert(PyObject *object, void *ret_tls)
{
    berth_tls *tls = object != Py_None ? PyCapsule_GetPointer(object, capsule_name) : NULL;
    *(berth_tls **)ret_tls = tls;
    return tls != NULL || object == Py_None;
}

static PyObject *own_tls(PyObject *Py_UNUSED(module), PyObject *capsule)
{
    berth_tls *tls;
    if (!convert(capsule, &tls) || (tls != NULL && PyCapsule_SetDestructor(capsule, destroy) < 0))
        return NULL;
    return Py_NewRef(capsule);
}

/* ---- handlers ---- */

void bpy_socket_on_encrypted(berth_socket *Py_UNUSED(native), void *user)
{
    bool entered = bpy_enter();
    PyObject *self = Py_NewRef(user);
    PyObject *result = PyObject_CallMethod(self, "_on_encrypted", NULL);
    if (result == NULL)
        bpy_print_error();
    Py_XDECREF(result);
    Py_DECREF(self);
    bpy_leave(entered);
}

bool bpy_socket_on_problem(berth_socket *Py_UNUSED(native), const berth_tls_problem *problem,
                           void *user)
{
    bool entered = bpy_enter();
    PyObject *self = Py_NewRef(user);
    /* First: to look for the method may free the problem. */
    PyObject *values = Py_BuildValue("(iisy#)", problem->depth, problem->number, problem->text,
                                     problem->certificate != NULL ? problem->certificate : "",
                                     (Py_ssize_t)problem->size);
    PyObject *method = values != NULL ? PyObject_GetAttrString(self, "_on_problem") : NULL;
    PyObject *result = method != NULL ? PyObject_CallObject(method, values) : NULL;
    Py_XDECREF(method);
    Py_XDECREF(values);
    int ignored = result != NULL ? PyObject_IsTrue(result) : -1;
    if (ignored < 0)
        bpy_print_error();
    Py_XDECREF(result);
    Py_DECREF(self);
    bpy_leave(entered);
    return ignored > 0;
}

/* ---- sockets ---- */

static PyObject *set_socket_tls(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *socket;
    berth_tls *tls;
    const char *name;
    if (!PyArg_ParseTuple(args, "OO&z:set_socket_tls", &socket, convert, &tls, &name))
        return NULL;
    berth_socket *native = bpy_socket_native(socket);
    return native != NULL ? PyBool_FromLong(berth_socket_set_tls(native, tls, name)) : NULL;
}

static PyObject *start_encryption(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *socket;
    berth_tls *tls;
    int server;
    const char *name;
    if (!PyArg_ParseTuple(args, "OO&pz:start_encryption", &socket, convert, &tls, &server, &name))
        return NULL;
    berth_socket *native = bpy_socket_native(socket);
    if (native == NULL)
        return NULL;
    bool begun = server ? berth_socket_start_server_encryption(native, tls)
                        : berth_socket_start_client_encryption(native, tls, name);
    bpy_thread_hand_over(((bpy_object *)socket)->home);
    if (PyErr_Occurred())
        return NULL;
    bool known = !begun && ((bpy_socket *)socket)->native == native; /* a slot may have ended it */
    return Py_BuildValue("(Ns)", PyBool_FromLong(begun),
                         known ? berth_socket_error_string(native) : "");
}

static PyObject *wait_for_encrypted(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *socket;
    int milliseconds;
    if (!PyArg_ParseTuple(args, "Oi:wait_for_encrypted", &socket, &milliseconds))
        return NULL;
    berth_socket *native = bpy_socket_native(socket);
    if (native == NULL)
        return NULL;
    bpy_thread *thread = ((bpy_object *)socket)->home;
    const char *outer = ((bpy_socket *)socket)->timeout_text;
    bool before;
    Py_INCREF(socket);
    ((bpy_socket *)socket)->timeout_text = "Network operation timed out";
    bpy_block(thread, true, &before);
    bool result = berth_socket_wait_for_encrypted(native, milliseconds);
    bpy_unblock(thread, before);
    ((bpy_socket *)socket)->timeout_text = outer;
    Py_DECREF(socket);
    return bpy_interrupted(thread) ? NULL : PyBool_FromLong(result);
}

static PyObject *tls_state(PyObject *Py_UNUSED(module), PyObject *socket)
{
    const berth_socket *native = bpy_socket_native(socket);
    if (native == NULL)
        return NULL;
    size_t size = 0;
    const void *certificate = berth_socket_peer_certificate(native, &size);
    return Py_BuildValue("(NisssNNy#n)", PyBool_FromLong(berth_socket_is_encrypted(native)),
                         (int)berth_socket_tls_version(native), berth_socket_tls_cipher(native),
                         berth_socket_tls_protocol(native), berth_socket_tls_server_name(native),
                         PyBool_FromLong(berth_socket_tls_was_resumed(native)),
                         PyBool_FromLong(berth_socket_is_peer_verified(native)),
                         certificate != NULL ? certificate : "",
                         (Py_ssize_t)(certificate != NULL ? size : 0),
                         (Py_ssize_t)berth_socket_encrypted_bytes_to_write(native));
}

/* ---- servers ---- */

static PyObject *set_server_tls(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *server;
    berth_tls *tls;
    int milliseconds;
    if (!PyArg_ParseTuple(args, "OO&i:set_server_tls", &server, convert, &tls, &milliseconds))
        return NULL;
    berth_server *native = bpy_server_native(server);
    if (native == NULL)
        return NULL;
    berth_server_set_handshake_timeout(native, milliseconds > 0 ? (uint32_t)milliseconds : 0);
    return PyBool_FromLong(berth_server_set_tls(native, tls));
}

static PyMethodDef functions[] = {
    {"own_tls", own_tls, METH_O, "own_tls(capsule): the configuration ends with the capsule"},
    {"set_socket_tls", set_socket_tls, METH_VARARGS, "set_socket_tls(socket, tls, name) -> bool"},
    {"start_encryption", start_encryption, METH_VARARGS,
     "start_encryption(socket, tls, server, name) -> (bool, text)"},
    {"wait_for_encrypted", wait_for_encrypted, METH_VARARGS,
     "wait_for_encrypted(socket, milliseconds) -> bool"},
    {"tls_state", tls_state, METH_O, "tls_state(socket) -> tuple: of the encrypted connection"},
    {"set_server_tls", set_server_tls, METH_VARARGS,
     "set_server_tls(server, tls, milliseconds) -> bool"},
    {NULL, NULL, 0, NULL},
};

int bpy_tls_ready(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
