/*
 * Unix sockets of servers and sockets: what QLocalServer and QLocalSocket (berth/_local.py), which
 * have a server or socket inside, are made of.
 */
#include "parts.h"
#include "server.h"
#include "socket.h"

#include <berth/local.h>

static PyObject *listen_local(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *server;
    const char *path;
    berth_local_options options = {.mode = 0};
    if (!PyArg_ParseTuple(args, "OsI:listen_local", &server, &path, &options.mode))
        return NULL;
    berth_server *native = bpy_server_native(server);
    if (native == NULL)
        return NULL;
    return bpy_server_listened(server, berth_server_listen_local(native, path, &options));
}

static PyObject *local_path(PyObject *Py_UNUSED(module), PyObject *server)
{
    berth_server *native = bpy_server_native(server);
    return native != NULL ? PyUnicode_DecodeFSDefault(berth_server_local_path(native)) : NULL;
}

static PyObject *connect_local(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *socket;
    const char *path;
    int mode;
    if (!PyArg_ParseTuple(args, "Osi:connect_local", &socket, &path, &mode))
        return NULL;
    berth_socket *native = bpy_socket_native(socket);
    if (native == NULL)
        return NULL;
    ((bpy_socket *)socket)->mode = mode & READ_WRITE;
    bool begun = berth_socket_connect_to_local(native, path);
    bpy_thread_hand_over(((bpy_object *)socket)->home);
    return PyErr_Occurred() ? NULL : PyBool_FromLong(begun);
}

static PyMethodDef functions[] = {
    {"listen_local", listen_local, METH_VARARGS,
     "listen_local(server, path, permissions) -> bool: makes a QTcpServer listen on a path"},
    {"local_path", local_path, METH_O, "local_path(server) -> str: what it listens on, or ''"},
    {"connect_local", connect_local, METH_VARARGS,
     "connect_local(socket, path, mode) -> bool: connects a QTcpSocket to a path"},
    {NULL, NULL, 0, NULL},
};

int bpy_local_ready(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
