/*
 * A QTcpServer as other files see it.
 */
#ifndef BPY_SERVER_H
#define BPY_SERVER_H

#include "interpreter.h"

#include <berth/berth.h>

berth_server *bpy_server_native(PyObject *object);
PyObject *bpy_server_listened(PyObject *object, bool good); /* notes the outcome of a listen */

#endif
