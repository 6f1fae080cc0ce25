/*
 * The parts of the module. Each function adds types, methods or functions when the module is
 * imported; it returns 0, or -1 with an exception.
 */
#ifndef BPY_PARTS_H
#define BPY_PARTS_H

#include "interpreter.h"

int bpy_byte_array_ready(PyObject *module);
int bpy_connection_handle_ready(PyObject *module);
int bpy_event_loop_ready(PyObject *module);
int bpy_host_address_ready(PyObject *module);
int bpy_local_ready(PyObject *module);
int bpy_moving_ready(PyObject *module);
int bpy_notifier_ready(PyObject *module);
int bpy_proxy_ready(PyObject *module);
int bpy_qobject_ready(PyObject *module);
int bpy_qthread_ready(PyObject *module);
int bpy_server_ready(PyObject *module);
int bpy_signal_ready(PyObject *module);
int bpy_signal_instance_ready(PyObject *module);
int bpy_socket_ready(PyObject *module);
int bpy_thread_ready(PyObject *module);
int bpy_timer_ready(PyObject *module);
int bpy_tls_ready(PyObject *module);
int bpy_values_ready(PyObject *module);

#endif
