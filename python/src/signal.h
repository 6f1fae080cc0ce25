/*
 * Signals in their class, and on an object.
 */
#ifndef BPY_SIGNAL_H
#define BPY_SIGNAL_H

#include "object.h"

typedef struct bpy_overload {
    PyObject *types;     /* tuple */
    PyObject *signature; /* str, as "acceptError(int)" */
} bpy_overload;

/* A signal in its class. */
typedef struct bpy_signal {
    PyObject_VAR_HEAD PyObject *name;
    PyObject *method; /* of the same name, called when the signal is called; mostly NULL */
    unsigned heard;   /* its bit in objects; 0 if the module does not emit it */
    bpy_overload overloads[1];
} bpy_signal;

/* One overload of a signal of an object. */
typedef struct bpy_signal_instance {
    PyObject_HEAD bpy_object *source;
    bpy_signal *signal;
    Py_ssize_t overload;
    struct bpy_signal_instance *other; /* the next one of the same source */
} bpy_signal_instance;

enum {
    BPY_MOST_ARGUMENTS = 16
};

extern PyTypeObject bpy_signal_type;
extern PyTypeObject bpy_signal_instance_type; /* in signal_instance.c */
PyObject *bpy_signal_instance_make(bpy_object *source, bpy_signal *signal, Py_ssize_t overload);

#endif
