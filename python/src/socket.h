/*
 * A QTcpSocket as its two files see it: socket.c (connecting, states, waits) and device.c (reading
 * and writing).
 */
#ifndef BPY_SOCKET_H
#define BPY_SOCKET_H

#include "module.h"

enum {
    READ_ONLY = 1,
    WRITE_ONLY = 2,
    READ_WRITE = 3
};

typedef struct bpy_socket {
    bpy_object object;
    berth_socket *native; /* NULL until it is needed */
    PyObject *proxy;      /* a QNetworkProxy or NULL */
    PyObject *error_text; /* str, or NULL for the general text of the error */
    const char *timeout_text;
    int error;    /* Qt's number */
    int mode;     /* 0: not open */
    bool caching; /* the proxy cannot connect, only cache */
} bpy_socket;

void bpy_socket_fail(bpy_socket *self, int error, const char *text);
void bpy_socket_leave_device(
    bpy_socket *self); /* aboutToClose, and closed for reading and writing */

#endif
