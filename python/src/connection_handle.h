/*
 * A connection as an object of Python.
 */
#ifndef BPY_CONNECTION_HANDLE_H
#define BPY_CONNECTION_HANDLE_H

#include "connection.h"

PyObject *bpy_connection_handle_make(bpy_connection *connection);
bool bpy_connection_handle_check(PyObject *object);
bool bpy_connection_handle_sever(PyObject *object); /* false if it has ended */

#endif
