/*
 * What sockets and servers begin with.
 */
#ifndef BPY_ENDPOINT_H
#define BPY_ENDPOINT_H

#include "object.h"

typedef struct bpy_endpoint {
    bpy_object object;
    PyObject *proxy;      /* a QNetworkProxy or NULL */
    PyObject *error_text; /* str or NULL */
    int error;            /* Qt's number */
} bpy_endpoint;

enum {
    BPY_REASON_SIZE = 200
};
/* The reason at the end of a text of the library, such as "cannot connect to 10.0.0.1:80: network
 * unreachable", written into `memory`. */
const char *bpy_reason(const char *text, char *memory, size_t size);
long bpy_shown_descriptor(long descriptor);
void bpy_endpoint_fail(bpy_endpoint *self, int error, const char *text);
PyObject *bpy_endpoint_error_string(const bpy_endpoint *self, const char *otherwise);
void bpy_endpoint_keep_proxy(bpy_endpoint *self, PyObject *proxy);
PyObject *bpy_endpoint_proxy(const bpy_endpoint *self);
int bpy_endpoint_traverse(bpy_object *object, visitproc visit, void *arg);
void bpy_endpoint_clear(bpy_object *object);

#endif
