/*
 * A QTcpSocket as its files see it: socket.c (connecting, states, waits), socket_device.c (reading
 * and writing), socket_virtual.c (what programs override) and socket_proxy.c (asking for
 * credentials).
 */
#ifndef BPY_SOCKET_H
#define BPY_SOCKET_H

#include "endpoint.h"

enum {
    READ_ONLY = 1,
    WRITE_ONLY = 2,
    READ_WRITE = 3,
    UNBUFFERED = 32,
    READ_AT_ONCE = 16384 /* what an override of readData() is asked for, as in Qt */
};

/* What a socket that is closed by an override of disconnectFromHost() does. */
typedef enum bpy_ending {
    BPY_DISCONNECTS,
    BPY_CLOSES,
    BPY_ABORTS
} bpy_ending;

enum {
    BPY_OVERRIDES_READ = 1,
    BPY_OVERRIDES_WRITE = 2,
    BPY_OVERRIDES_DISCONNECT = 4
};

typedef struct bpy_socket {
    bpy_endpoint end;
    berth_socket *native; /* NULL until it is needed */
    const char *timeout_text;
    unsigned overrides; /* of the functions that the socket itself calls */
    bpy_ending ending;
    int mode;        /* 0: not open */
    uint16_t port;   /* of the target */
    bool caching;    /* the proxy cannot connect, only cache */
    bool asking;     /* for the proxy's credentials, or connecting again with them */
    bool given_up;   /* by the slot that was asked: the failure is not announced */
    bool unbinding;  /* bound only, and closing for the program */
    bool on_the_way; /* to a connection, as it was announced */
    bool announced;  /* input, and nothing was read since: matters to an unbuffered socket */
    bool silent;     /* nothing is told of output that is sent */
    bool peer_ended; /* the peer has, and state CLOSING follows */
    bool lent;       /* the native's proxy has other credentials than the program's */
} bpy_socket;

extern PyTypeObject bpy_device_type, bpy_socket_type, bpy_tcp_socket_type;

/* socket.c */
PyObject *bpy_socket_make(void);
bool bpy_socket_is_fresh(PyObject *object);
void bpy_socket_take(PyObject *object, berth_socket *native, bpy_object *parent);
berth_socket *bpy_socket_native(PyObject *object);
void bpy_socket_is_broken(bpy_socket *self);

/* tls.c */
struct berth_tls_problem;
void bpy_socket_on_encrypted(berth_socket *native, void *user);
bool bpy_socket_on_problem(berth_socket *native, const struct berth_tls_problem *problem,
                           void *user);

/* server.c */
berth_socket *bpy_server_take_arrival(int descriptor);

/* socket_device.c */
extern PyMethodDef bpy_device_methods[];

/* socket_options.c */
PyObject *bpy_socket_option(PyObject *object, PyObject *args);
PyObject *bpy_socket_set_option(PyObject *object, PyObject *args);

/* socket_virtual.c */
int bpy_socket_virtual_ready(void);
void bpy_socket_find_overrides(bpy_socket *self);
int bpy_socket_set_attribute(PyObject *object, PyObject *name, PyObject *value);
void bpy_socket_end_by_override(bpy_socket *self, bpy_ending ending);
PyObject *bpy_socket_write_by_override(bpy_socket *self, PyObject *data);
PyObject *bpy_socket_read_by_override(bpy_socket *self, PyObject *bytes, Py_ssize_t size);

/* socket_proxy.c */
bool bpy_socket_ask(bpy_socket *self);
bool bpy_socket_own_proxy(bpy_socket *self);

#endif
