/*
 * The class QObject, for its subclasses: they share its constructor and its end.
 */
#ifndef BPY_QOBJECT_H
#define BPY_QOBJECT_H

#include "object.h"

int bpy_qobject_init(PyObject *self, PyObject *args, PyObject *kwargs);
int bpy_qobject_configure(bpy_object *self, PyObject *parent, PyObject *kwargs);
PyObject *bpy_qobject_children(PyObject *self, PyObject *none);
void bpy_qobject_destroy(bpy_object *self);
void bpy_qobject_dealloc(PyObject *object);
int bpy_qobject_traverse(PyObject *object, visitproc visit, void *arg);
int bpy_qobject_clear(PyObject *object);
void bpy_qobject_finalize(PyObject *object);

#endif
