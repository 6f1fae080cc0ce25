/*
 * Enumerations, error numbers and ports, between Python and C.
 */
#ifndef BPY_VALUES_H
#define BPY_VALUES_H

#include "interpreter.h"

#include <berth/berth.h>

/* Enumerations that come from C; the classes are made by Python (berth/_enums.py). */
typedef enum bpy_enum {
    BPY_ENUM_STATE,
    BPY_ENUM_ERROR,
    BPY_ENUM_PROTOCOL,
    BPY_ENUM_OPEN_MODE,
    BPY_ENUMS
} bpy_enum;

PyObject *bpy_enum_value(bpy_enum which, int value);
int bpy_error_number(berth_error error); /* Qt's */
int bpy_port_convert(PyObject *object, void *ret_port);

#endif
