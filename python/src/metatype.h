/*
 * The class of the module's classes.
 */
#ifndef BPY_METATYPE_H
#define BPY_METATYPE_H

#include "interpreter.h"

extern PyTypeObject bpy_metatype;

/* Set by qobject.c: called for a class of this metatype that was made, or got another __del__. */
extern void (*bpy_class_changed)(PyTypeObject *type);

#endif
