/*
 * What sockets and servers have in common: the last error with its text, and the proxy.
 *
 * The error has Qt's number, -1 before the first error. The text is Qt's; if it is NULL the caller
 * of bpy_endpoint_error_string supplies one. The proxy is the program's QNetworkProxy; the native
 * has a copy of its value.
 */
#include "endpoint.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

/* A descriptor that the program gets: it does not block, as in Qt (decision 0124). */
long bpy_shown_descriptor(long descriptor)
{
    int on = 1;
    if (descriptor >= 0)
        (void)ioctl((int)descriptor, FIONBIO, &on);
    return descriptor;
}

/* The reason follows the first colon and space; an address does not contain both. */
const char *bpy_reason(const char *text, char *memory, size_t size)
{
    const char *colon = strstr(text, ": ");
    snprintf(memory, size, "%s", colon != NULL ? colon + 2 : text);
    memory[0] = (char)toupper((unsigned char)memory[0]);
    return memory;
}

void bpy_endpoint_fail(bpy_endpoint *self, int error, const char *text)
{
    self->error = error;
    Py_XSETREF(self->error_text, text != NULL ? PyUnicode_FromString(text) : NULL);
    PyErr_Clear();
}

PyObject *bpy_endpoint_error_string(const bpy_endpoint *self, const char *otherwise)
{
    return self->error_text != NULL ? Py_NewRef(self->error_text) : PyUnicode_FromString(otherwise);
}

void bpy_endpoint_keep_proxy(bpy_endpoint *self, PyObject *proxy)
{
    Py_INCREF(proxy);
    Py_XSETREF(self->proxy, proxy);
}

/* The proxy as set, or None. */
PyObject *bpy_endpoint_proxy(const bpy_endpoint *self)
{
    return Py_NewRef(self->proxy != NULL ? self->proxy : Py_None);
}

int bpy_endpoint_traverse(bpy_object *object, visitproc visit, void *arg)
{
    Py_VISIT(((bpy_endpoint *)object)->proxy);
    return 0;
}

void bpy_endpoint_clear(bpy_object *object)
{
    bpy_endpoint *self = (bpy_endpoint *)object;
    Py_CLEAR(self->proxy);
    Py_CLEAR(self->error_text);
}
