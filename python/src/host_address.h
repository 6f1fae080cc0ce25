/*
 * QHostAddress, for the files that make or take one.
 */
#ifndef BPY_HOST_ADDRESS_H
#define BPY_HOST_ADDRESS_H

#include "interpreter.h"

#include <berth/berth.h>

extern PyTypeObject bpy_host_address_type;
PyObject *bpy_host_address_make(berth_address address);
bool bpy_host_address_get(PyObject *object, berth_address *ret_address);      /* raises TypeError */
bool bpy_host_address_bindable(PyObject *object, berth_address *ret_address); /* the same */

#endif
