/*
 * Options of sockets: socketOption() and setSocketOption().
 */
#include "socket.h"

/* By Qt's numbers; -1: not of TCP. */
static const int options[] = {
    BERTH_OPTION_LOW_DELAY,
    BERTH_OPTION_KEEP_ALIVE,
    -1,
    -1,
    BERTH_OPTION_TYPE_OF_SERVICE,
    BERTH_OPTION_SEND_BUFFER_SIZE,
    BERTH_OPTION_RECEIVE_BUFFER_SIZE,
    -1,
};

static int option_of(int which)
{
    bool known = which >= 0 && which < (int)(sizeof options / sizeof options[0]);
    return known ? options[which] : -1;
}

/* In Qt a socket has no descriptor before an address is found, and ignores options until then. */
static bool has_options(const bpy_socket *self)
{
    berth_state state =
        self->native != NULL ? berth_socket_state(self->native) : BERTH_STATE_UNCONNECTED;
    return state != BERTH_STATE_UNCONNECTED && state != BERTH_STATE_HOST_LOOKUP;
}

PyObject *bpy_socket_set_option(PyObject *object, PyObject *args)
{
    bpy_socket *self = (bpy_socket *)object;
    int which, value;
    if (!PyArg_ParseTuple(args, "ii:setSocketOption", &which, &value) || !bpy_object_usable(object))
        return NULL;
    if (has_options(self) && option_of(which) >= 0)
        berth_socket_set_option(self->native, (berth_socket_option)option_of(which), value);
    Py_RETURN_NONE;
}

PyObject *bpy_socket_option(PyObject *object, PyObject *args)
{
    bpy_socket *self = (bpy_socket *)object;
    int which, value = 0;
    if (!PyArg_ParseTuple(args, "i:socketOption", &which) || !bpy_object_usable(object))
        return NULL;
    int option = option_of(which);
    if (!has_options(self) || option < 0)
        Py_RETURN_NONE;
    /* What is off in a new descriptor is off while Berth has none yet. */
    bool off = berth_socket_state(self->native) == BERTH_STATE_CONNECTING &&
               (option == BERTH_OPTION_LOW_DELAY || option == BERTH_OPTION_KEEP_ALIVE ||
                option == BERTH_OPTION_TYPE_OF_SERVICE);
    if (!berth_socket_get_option(self->native, (berth_socket_option)option, &value) && !off)
        Py_RETURN_NONE;
    return PyLong_FromLong(value);
}
