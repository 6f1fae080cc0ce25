/*
 * QByteArray, for the files that make or take one.
 */
#ifndef BPY_BYTE_ARRAY_H
#define BPY_BYTE_ARRAY_H

#include "interpreter.h"

extern PyTypeObject bpy_byte_array_type;
PyObject *bpy_byte_array_make(PyObject *bytes); /* takes the reference; NULL is passed on */
PyObject *bpy_byte_array_bytes(PyObject *self); /* borrowed */

#endif
