/*
 * What the files of the Python module share: the objects' common part, threads, signals, and the
 * few helpers that would otherwise be written in each file.
 *
 * Every object that Python sees as a QObject begins with bpy_object. An object lives in one thread
 * (its home): the natives of Berth behind it belong to that thread's loop and are touched there
 * only. Parents own children; an object without a parent is owned by Python. Destroying and
 * deallocating are two things: a destroyed object is an empty shell of which every method raises
 * RuntimeError, for as long as somebody holds it.
 *
 * The interpreter lock guards all of this. It is given up in bpy_thread_turn and in blocking waits,
 * and Berth's handlers take it back (bpy_enter, bpy_leave).
 */
#ifndef BPY_MODULE_H
#define BPY_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

#include <berth/berth.h>

#include "event.h"

/* What Python 3.9 does not have yet. */
#if PY_VERSION_HEX < 0x030a0000
#define Py_TPFLAGS_DISALLOW_INSTANTIATION 0
static inline PyObject *Py_NewRef(PyObject *object)
{
    Py_INCREF(object);
    return object;
}
#endif

/* What 3.13 made public. */
#if PY_VERSION_HEX < 0x030d0000
#define PyLong_AsInt _PyLong_AsInt
#endif

typedef struct bpy_object bpy_object;
typedef struct bpy_thread bpy_thread;
typedef struct bpy_signal bpy_signal;
typedef struct bpy_connection bpy_connection;
typedef struct bpy_listeners bpy_listeners;
typedef struct bpy_run bpy_run;

/* ---- objects (object.c) ---- */

/* What differs between the kinds of objects; each slot may be NULL. */
typedef struct bpy_kind {
    void (*release)(bpy_object *self);              /* frees the natives, with signals */
    bool (*busy)(bpy_object *self);                 /* something may still call its slots */
    bool (*move)(bpy_object *self, bpy_thread *to); /* takes the natives along, or refuses */
    int (*traverse)(bpy_object *self, visitproc visit, void *arg);
    void (*clear)(bpy_object *self);
} bpy_kind;

struct bpy_object {
    PyObject_HEAD PyObject *dict;
    PyObject *weakrefs;
    const bpy_kind *kind;
    bpy_thread *home;
    bpy_object *parent; /* owns this one, by a reference */
    bpy_object *first, *last;
    bpy_object *before, *after;  /* among the children of the parent */
    bpy_object *earlier, *later; /* among those at home with natives */
    PyObject *name;
    bpy_listeners *listeners;
    bpy_connection *incoming;
    bool ready; /* __init__ was called */
    bool destroying;
    bool destroyed;
    bool blocked;
    bool homed; /* in the list of its home */
};

extern PyTypeObject bpy_object_type;
PyObject *bpy_object_new(PyTypeObject *type, const bpy_kind *kind);
bpy_object *bpy_object_make(PyTypeObject *type, const bpy_kind *kind, bpy_object *parent);
int bpy_object_init(PyObject *self, PyObject *args, PyObject *kwargs);
int bpy_object_configure(bpy_object *self, PyObject *parent, PyObject *kwargs);
void bpy_object_dealloc(PyObject *object);
int bpy_object_traverse(PyObject *object, visitproc visit, void *arg);
int bpy_object_clear(PyObject *object);
void bpy_object_finalize(PyObject *object);
void bpy_object_destroy(bpy_object *self);
void bpy_object_adopt(bpy_object *self, bpy_object *parent);
bool bpy_object_check(PyObject *self);
void bpy_object_settle(bpy_object *self); /* into the list of its home: it has natives now */
void bpy_object_unsettle(bpy_object *self);
bool bpy_object_here(bpy_object *self); /* raises RuntimeError when called in a wrong thread */
bool bpy_object_usable(PyObject *self); /* both */
int bpy_object_ready_types(PyObject *module);

/* ---- sockets and servers (endpoint.c) ---- */

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
 * unreachable", written into `memory`; and whether it was tried through a proxy. */
const char *bpy_reason(const char *text, char *memory, size_t size);
bool bpy_is_through_proxy(const char *text);
void bpy_endpoint_fail(bpy_endpoint *self, int error, const char *text);
PyObject *bpy_endpoint_error_string(const bpy_endpoint *self, const char *otherwise);
void bpy_endpoint_keep_proxy(bpy_endpoint *self, PyObject *proxy);
PyObject *bpy_endpoint_proxy(const bpy_endpoint *self);
int bpy_endpoint_traverse(bpy_object *object, visitproc visit, void *arg);
void bpy_endpoint_clear(bpy_object *object);

/* ---- threads (thread.c) ---- */

/* One thread as the module knows it. */
struct bpy_thread {
    Py_ssize_t references;
    berth_loop *loop;
    PyThreadState *saved; /* set while the lock is given up */
    bool waiting;         /* handlers give it up again */
    bool alive;
    int level; /* running event loops */
    int scope; /* turns and events on their way */
    bpy_run *runs;
    bpy_events events;
    berth_loop *inherited;       /* what the loop was before fork; the parent's */
    bpy_event *inherited_events; /* likewise */

    /* What the layers above keep here. */
    bpy_object *natives; /* object.c: objects with natives on this loop */
    void (*release_natives)(bpy_thread *thread);
    struct bpy_frame *frame; /* connection.c: the slot that is running */
    PyObject *qthread;       /* qthread.c: the thread's QThread */
    bool owns_qthread;       /* as with threads that no QThread has started */
};

/* One call of exec_; lives on the stack. */
struct bpy_run {
    bpy_run *outer;
    bool stop;
    int code;
};

bpy_thread *bpy_thread_new(void);
void bpy_thread_assume(bpy_thread *thread);
bpy_thread *bpy_thread_current(void);
bool bpy_thread_is_current(const bpy_thread *thread);
bpy_thread *bpy_thread_ref(bpy_thread *thread);
void bpy_thread_unref(bpy_thread *thread);
bool bpy_thread_loop(bpy_thread *thread); /* makes its loop if there is none; raises on failure */
int bpy_thread_turn(bpy_thread *thread, int milliseconds);
int bpy_thread_run(bpy_thread *thread, bpy_run *run);
void bpy_thread_stop(bpy_thread *thread, int code);
void bpy_thread_wake(bpy_thread *thread);
void bpy_thread_post(bpy_thread *thread, bpy_event *event);
void bpy_thread_move_events(bpy_thread *from, const void *owner, bpy_thread *to);
void bpy_thread_deliver(bpy_thread *thread, bool at_end);
void bpy_thread_hand_over(bpy_thread *thread);
void bpy_thread_finish(bpy_thread *thread);
PyObject *bpy_thread_forked(PyObject *module, PyObject *none);
PyObject *bpy_thread_after_fork(PyObject *module, PyObject *none);
void bpy_block(bpy_thread *thread, bool waiting, bool *ret_before);
void bpy_unblock(bpy_thread *thread, bool before);
bool bpy_enter(void);
void bpy_leave(bool entered);
int bpy_thread_ready_types(PyObject *module);

/* ---- signals (signal.c, connection.c) ---- */

typedef struct bpy_overload {
    PyObject *types;     /* tuple */
    PyObject *signature; /* str, as "acceptError(int)" */
} bpy_overload;

/* A signal as it stands in its class. */
struct bpy_signal {
    PyObject_VAR_HEAD PyObject *name;
    PyObject *method; /* of the same name, called when the signal is called; mostly NULL */
    bpy_overload overloads[1];
};

/* The signals that the module itself emits; the table is in signal.c. */
typedef enum bpy_known_signal {
    BPY_DESTROYED,
    BPY_OBJECT_NAME_CHANGED,
    BPY_TIMEOUT,
    BPY_STARTED,
    BPY_FINISHED,
    BPY_ABOUT_TO_CLOSE,
    BPY_BYTES_WRITTEN,
    BPY_READY_READ,
    BPY_READ_CHANNEL_FINISHED,
    BPY_CONNECTED,
    BPY_DISCONNECTED,
    BPY_ERROR,
    BPY_ERROR_OCCURRED,
    BPY_HOST_FOUND,
    BPY_STATE_CHANGED,
    BPY_PROXY_AUTHENTICATION_REQUIRED,
    BPY_NEW_CONNECTION,
    BPY_ACCEPT_ERROR,
    BPY_ABOUT_TO_QUIT,
    BPY_SIGNALS
} bpy_known_signal;

#define BPY_MOST_ARGUMENTS 16

extern PyTypeObject bpy_signal_type, bpy_signal_instance_type;
int bpy_signal_add_to(PyTypeObject *type, bpy_known_signal first, bpy_known_signal last);
int bpy_signal_ready_types(PyObject *module);
void bpy_emit(bpy_object *sender, bpy_known_signal which, PyObject *argument);
void bpy_emit_signal(bpy_object *sender, bpy_signal *signal, Py_ssize_t overload,
                     PyObject *const *args, Py_ssize_t count);
bool bpy_has_listeners(const bpy_object *sender, bpy_known_signal which);
bool bpy_connect(bpy_object *sender, bpy_signal *signal, Py_ssize_t overload, PyObject *slot,
                 int type);
Py_ssize_t bpy_disconnect(bpy_object *sender, bpy_signal *signal, Py_ssize_t overload,
                          PyObject *slot);
Py_ssize_t bpy_receivers(bpy_object *sender, bpy_signal *signal, Py_ssize_t overload);
void bpy_connections_sever(bpy_object *object);
int bpy_connections_traverse(bpy_object *object, visitproc visit, void *arg);
PyObject *bpy_sender(bpy_object *self);
void bpy_print_error(void);
void bpy_signal_reach(PyObject *object, bpy_object **ret_source, bpy_signal **ret_signal,
                      Py_ssize_t *ret_overload);

/* ---- values ---- */

/* Enumerations that come from C; the classes are made by Python (enums.py). */
typedef enum bpy_enum {
    BPY_ENUM_STATE,
    BPY_ENUM_ERROR,
    BPY_ENUM_PROTOCOL,
    BPY_ENUM_OPEN_MODE,
    BPY_ENUMS
} bpy_enum;

PyObject *bpy_enum_value(bpy_enum which, int value);
int bpy_enum_ready(PyObject *module);
int bpy_proxy_ready(PyObject *module);

extern PyTypeObject bpy_byte_array_type;
PyObject *bpy_byte_array_make(PyObject *bytes); /* takes the reference; NULL is passed on */
PyObject *bpy_byte_array_bytes(PyObject *self); /* borrowed */
int bpy_byte_array_ready_types(PyObject *module);

extern PyTypeObject bpy_host_address_type;
PyObject *bpy_host_address_make(berth_address address);
bool bpy_host_address_get(PyObject *object, berth_address *ret_address); /* raises TypeError */
int bpy_host_address_ready_types(PyObject *module);

int bpy_error_number(berth_error error); /* Qt's */
int bpy_port_convert(PyObject *object, void *ret_port);
const char *bpy_text_of(PyObject *string); /* of a str; raises ValueError for a NUL in it */
bool bpy_proxy_parse(PyObject *args, PyObject **ret_proxy, berth_proxy *ret_value);

/* ---- the others ---- */

extern PyTypeObject bpy_device_type, bpy_socket_type, bpy_tcp_socket_type, bpy_server_type;
int bpy_timer_ready_types(PyObject *module);
int bpy_event_loop_ready_types(PyObject *module);
int bpy_qthread_ready_types(PyObject *module);
PyObject *bpy_qthread_for(bpy_thread *thread);
bpy_thread *bpy_qthread_thread(PyObject *object);
int bpy_socket_ready_types(PyObject *module);
int bpy_server_ready_types(PyObject *module);
PyObject *bpy_socket_from_native(berth_socket *native, bpy_object *parent);
berth_socket *bpy_socket_native(PyObject *object);
extern PyMethodDef bpy_device_methods[], bpy_socket_methods[];

/* Readies a type and adds it to the module under the last part of its name. */
int bpy_add_type(PyObject *module, PyTypeObject *type);

#define BPY_METHOD(function) ((PyCFunction)(void (*)(void))(function))

#endif
