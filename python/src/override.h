/*
 * Virtual functions of the model that the module calls: what a program has in place of a method, in
 * a class or in the object itself.
 */
#ifndef BPY_OVERRIDE_H
#define BPY_OVERRIDE_H

#include "interpreter.h"

typedef struct bpy_virtual {
    const char *text;
    PyTypeObject *type; /* that has the method */
    PyObject *name;
    PyObject *base; /* the method, before a program could replace it */
} bpy_virtual;

enum {
    BPY_PLAIN_TYPES = 16
};

/* Classes without overrides, by the interpreter's numbers for them; begins with zeros. */
typedef struct bpy_plain_types {
    unsigned versions[BPY_PLAIN_TYPES];
} bpy_plain_types;

int bpy_virtual_ready(bpy_virtual *self);
PyObject *bpy_override(const bpy_virtual *self, PyObject *object);
bool bpy_is_override(const bpy_virtual *self, PyObject *object);
bool bpy_has_no_override(const bpy_virtual *virtuals, int count, PyObject *object,
                         bpy_plain_types *known);

#endif
