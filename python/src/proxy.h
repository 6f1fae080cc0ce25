/*
 * QNetworkProxy as it comes from Python.
 */
#ifndef BPY_PROXY_H
#define BPY_PROXY_H

#include "interpreter.h"

#include <berth/berth.h>

bool bpy_proxy_parse(PyObject *args, PyObject **ret_proxy, berth_proxy *ret_value);

#endif
