/*
 * QThread, for moving objects.
 */
#ifndef BPY_QTHREAD_H
#define BPY_QTHREAD_H

#include "thread.h"

PyObject *bpy_qthread_for(bpy_thread *thread);
bpy_thread *bpy_qthread_thread(PyObject *object);

#endif
