/*
 * QThread, for moving objects.
 */
#ifndef BPY_QTHREAD_H
#define BPY_QTHREAD_H

#include "thread.h"

PyObject *bpy_qthread_for(bpy_thread *thread);
void bpy_qthreads_enter(void); /* before the interpreter ends */
bpy_thread *bpy_qthread_thread(PyObject *object);

#endif
