/*
 * The signals that the module itself emits.
 */
#ifndef BPY_KNOWN_SIGNALS_H
#define BPY_KNOWN_SIGNALS_H

#include "signal.h"

typedef enum bpy_known_signal {
    BPY_DESTROYED,
    BPY_OBJECT_NAME_CHANGED,
    BPY_TIMEOUT,
    BPY_STARTED,
    BPY_FINISHED,
    BPY_ABOUT_TO_CLOSE,
    BPY_BYTES_WRITTEN,
    BPY_READY_READ,
    BPY_CHANNEL_READY_READ,
    BPY_CHANNEL_BYTES_WRITTEN,
    BPY_READ_CHANNEL_FINISHED,
    BPY_CONNECTED,
    BPY_DISCONNECTED,
    BPY_ERROR,
    BPY_ERROR_OCCURRED,
    BPY_HOST_FOUND,
    BPY_STATE_CHANGED,
    BPY_PROXY_AUTHENTICATION_REQUIRED,
    BPY_NEW_CONNECTION,
    BPY_PENDING_CONNECTION_AVAILABLE,
    BPY_ACCEPT_ERROR,
    BPY_ABOUT_TO_QUIT,
    BPY_ACTIVATED,
    BPY_SIGNALS
} bpy_known_signal;

int bpy_signal_add_to(PyTypeObject *type, bpy_known_signal first, bpy_known_signal last);
bool bpy_signal_is_known(const bpy_signal *signal);
bool bpy_is_heard(const bpy_object *sender, bpy_known_signal which);
void bpy_emit(bpy_object *sender, bpy_known_signal which, PyObject *argument);
void bpy_emit_two(bpy_object *sender, bpy_known_signal which, PyObject *first, PyObject *second);
bool bpy_has_listeners(const bpy_object *sender, bpy_known_signal which);

#endif
