/*
 * Connections of signals with slots, and emitting.
 */
#ifndef BPY_CONNECTION_H
#define BPY_CONNECTION_H

#include "signal.h"

typedef struct bpy_connection bpy_connection;

bpy_connection *bpy_connect(bpy_object *sender, bpy_signal *signal, Py_ssize_t overload,
                            PyObject *slot, int type);
void bpy_connection_ref(bpy_connection *connection);
void bpy_connection_unref(bpy_connection *connection);
bool bpy_connection_is_alive(const bpy_connection *connection);
bool bpy_connection_sever(bpy_connection *connection);
Py_ssize_t bpy_disconnect(bpy_object *sender, bpy_signal *signal, Py_ssize_t overload,
                          PyObject *slot);
Py_ssize_t bpy_receivers(bpy_object *sender, bpy_signal *signal, Py_ssize_t overload);
void bpy_emit_signal(bpy_object *sender, bpy_signal *signal, Py_ssize_t overload,
                     PyObject *const *args, Py_ssize_t count);
void bpy_connections_sever(bpy_object *object);
void bpy_connections_free(bpy_object *object); /* of an object that nobody refers to */
int bpy_connections_traverse(bpy_object *object, visitproc visit, void *arg);
PyObject *bpy_sender(bpy_object *self);

#endif
