/*
 * Connections between signals and slots, and calls of slots.
 *
 * A sender has a list of connections for each signal that is connected, so that emitting a signal
 * without connections costs one comparison. If the slot is a method of a QObject, that object is
 * the receiver. The end of the sender or of the receiver removes the connection.
 *
 * A connection does not keep its receiver alive. Of a bound method it holds the function; if the
 * object is no QObject, also a weak reference to it. It holds any other callable.
 *
 * While a list is walked it only grows. Removed connections are marked and unlinked afterwards; new
 * connections are not called by an emission in progress. Slots, comparisons and the destructors of
 * slots may do anything, so whoever calls one of them holds the sender, with which the list lives,
 * and has the list marked as walked; it looks again at the connection before using it.
 *
 * If a slot raises, its traceback is printed and the emission continues. KeyboardInterrupt is
 * raised again where the interpreter next checks for signals, so that it ends exec_().
 */
#include "connection.h"

#include <stddef.h>

typedef struct bpy_listeners bpy_listeners;

struct bpy_connection {
    Py_ssize_t references;
    bpy_listeners *list;
    bpy_connection *next;
    bpy_object *receiver; /* not owned */
    bpy_thread *home;     /* owned: the thread that made it, which calls slots without receiver */
    bpy_connection *incoming_before, *incoming_after;
    PyObject *function;  /* owned; called with the receiver in front if there is one */
    PyCFunction method;  /* instead of a function: one of the receiver's class that takes nothing */
    PyObject *self;      /* owned: a weak reference to the object of another class, or NULL */
    bpy_signal *forward; /* owned: a signal of the receiver instead of a function */
    Py_ssize_t overload;
    Py_ssize_t most;  /* arguments the slot takes; -1: any number */
    Py_ssize_t calls; /* that wait in queues */
    int type;
    bool dead; /* not called any more, except by calls that wait */
};

struct bpy_listeners {
    bpy_listeners *next;
    bpy_object *sender; /* which owns the list */
    bpy_signal *signal; /* owned */
    Py_ssize_t overload;
    int depth; /* walks in progress */
    bool dirty;
    bpy_connection *first, *last;
};

struct bpy_frame {
    struct bpy_frame *outer;
    bpy_object *sender, *receiver;
};

enum {
    DIRECT = 1,
    QUEUED = 2,
    BLOCKING_QUEUED = 3,
    UNIQUE = 0x80
};

/* ---- life of a connection ---- */

static void unref(bpy_connection *connection)
{
    if (--connection->references > 0)
        return;
    bpy_thread_unref(connection->home);
    PyMem_Free(connection);
}

static void link_incoming(bpy_connection *connection)
{
    bpy_object *receiver = connection->receiver;
    connection->incoming_after = receiver->incoming;
    if (receiver->incoming != NULL)
        receiver->incoming->incoming_before = connection;
    receiver->incoming = connection;
}

static void unlink_incoming(bpy_connection *connection)
{
    bpy_object *receiver = connection->receiver;
    if (receiver == NULL)
        return;
    if (connection->incoming_after != NULL)
        connection->incoming_after->incoming_before = connection->incoming_before;
    if (connection->incoming_before != NULL)
        connection->incoming_before->incoming_after = connection->incoming_after;
    else
        receiver->incoming = connection->incoming_after;
    connection->incoming_before = connection->incoming_after = NULL;
    connection->receiver = NULL;
}

/* Unlinks dead connections, unless somebody walks the list. */
static void purge(bpy_listeners *list)
{
    if (list->depth > 0 || !list->dirty)
        return;
    list->dirty = false;
    bpy_connection **link = &list->first;
    list->last = NULL;
    while (*link != NULL) {
        bpy_connection *connection = *link;
        if (connection->dead) {
            *link = connection->next;
            unref(connection);
        } else {
            list->last = connection;
            link = &connection->next;
        }
    }
}

/* Drops what a connection holds. Their destructors may end the connection, which is not used any
 * more here. */
static void empty(bpy_connection *connection)
{
    PyObject *function = connection->function, *self = connection->self;
    PyObject *forward = (PyObject *)connection->forward;
    connection->function = connection->self = NULL;
    connection->forward = NULL;
    connection->method = NULL;
    Py_XDECREF(function);
    Py_XDECREF(self);
    Py_XDECREF(forward);
}

static void let_go(bpy_connection *connection)
{
    unlink_incoming(connection);
    empty(connection);
}

/* What was emitted before it ended, or before its sender did, is still delivered: a worker's last
 * signal is, whose receiver lives in another thread. */
static void kill(bpy_connection *connection)
{
    if (connection->dead)
        return;
    connection->dead = true;
    connection->list->dirty = true;
    if (connection->calls == 0)
        let_go(connection);
}

/* Nothing is delivered to a receiver that ends. */
static void lose_receiver(bpy_connection *connection)
{
    connection->dead = true;
    connection->list->dirty = true;
    let_go(connection);
}

/* Between these two, Python code may run. */
static void begin_walk(bpy_listeners *list)
{
    Py_INCREF(list->sender);
    list->depth++;
}

static void end_walk(bpy_listeners *list)
{
    list->depth--;
    purge(list);
    Py_DECREF(list->sender);
}

/* Ends all connections of an object, in both directions. */
void bpy_connections_sever(bpy_object *object)
{
    while (object->incoming != NULL) {
        bpy_listeners *list = object->incoming->list;
        begin_walk(list);
        lose_receiver(object->incoming);
        end_walk(list);
    }
    for (bpy_listeners *list = object->listeners; list != NULL; list = list->next) {
        list->depth++;
        for (bpy_connection *one = list->first; one != NULL; one = one->next)
            kill(one);
        list->depth--;
        purge(list);
    }
}

void bpy_connections_free(bpy_object *object)
{
    while (object->listeners != NULL) {
        bpy_listeners *list = object->listeners;
        object->listeners = list->next;
        Py_DECREF(list->signal);
        PyMem_Free(list);
    }
}

int bpy_connections_traverse(bpy_object *object, visitproc visit, void *arg)
{
    for (bpy_listeners *list = object->listeners; list != NULL; list = list->next) {
        Py_VISIT((PyObject *)list->signal);
        for (bpy_connection *one = list->first; one != NULL; one = one->next)
            Py_VISIT(one->function);
    }
    return 0;
}

/* ---- what a slot is ---- */

static Py_ssize_t arguments_of(PyObject *function, bool bound)
{
    int flags = 0;
    if (PyFunction_Check(function)) {
        const PyCodeObject *code = (const PyCodeObject *)PyFunction_GET_CODE(function);
        return (code->co_flags & CO_VARARGS) != 0 ? -1 : code->co_argcount - (bound ? 1 : 0);
    }
    if (PyCFunction_Check(function))
        flags = PyCFunction_GET_FLAGS(function);
    else if (Py_IS_TYPE(function, &PyMethodDescr_Type))
        flags = ((PyMethodDescrObject *)function)->d_method->ml_flags;
    return (flags & METH_NOARGS) != 0 ? 0 : (flags & METH_O) != 0 ? 1 : -1;
}

/* Whether it may be the receiver of a connection. A destroyed object is none: its methods are then
 * slots like other functions. */
static bool is_receiver(PyObject *object)
{
    return PyObject_TypeCheck(object, &bpy_object_type) && !((bpy_object *)object)->destroying;
}

/* The object of a bound method of C, borrowed; NULL for everything else. */
static PyObject *object_of(PyObject *slot)
{
    PyObject *self = PyCFunction_Check(slot) ? PyCFunction_GET_SELF(slot) : NULL;
    return self != NULL && is_receiver(self) ? self : NULL;
}

/* Of a bound method: its object and function, both owned. Else false. */
static bool unbind(PyObject *slot, PyObject **ret_self, PyObject **ret_function)
{
    if (PyMethod_Check(slot)) {
        *ret_self = Py_NewRef(PyMethod_GET_SELF(slot));
        *ret_function = Py_NewRef(PyMethod_GET_FUNCTION(slot));
        return true;
    }
    PyObject *self = object_of(slot);
    if (self == NULL)
        return false;
    const char *name = ((PyCFunctionObject *)slot)->m_ml->ml_name;
    *ret_function = PyObject_GetAttrString((PyObject *)Py_TYPE(self), name);
    if (*ret_function == NULL) {
        PyErr_Clear();
        return false;
    }
    *ret_self = Py_NewRef(self);
    return true;
}

static bool aim_at_signal(bpy_connection *connection, PyObject *slot)
{
    const bpy_signal_instance *target = (const bpy_signal_instance *)slot;
    if (!bpy_object_check((PyObject *)target->source))
        return false;
    connection->receiver = target->source;
    connection->forward = target->signal;
    connection->overload = target->overload;
    Py_INCREF(connection->forward);
    connection->most = PyTuple_GET_SIZE(connection->forward->overloads[connection->overload].types);
    return true;
}

/* Takes the reference of the function. */
static void aim_at_method(bpy_connection *connection, PyObject *slot, PyObject *self,
                          PyObject *function)
{
    connection->most = arguments_of(function, true);
    connection->function = function;
    if (is_receiver(self)) {
        connection->receiver = (bpy_object *)self;
        return;
    }
    bool dead = PyObject_TypeCheck(self, &bpy_object_type);
    connection->self = dead ? NULL : PyWeakref_NewRef(self, NULL);
    if (connection->self == NULL) { /* its class does not support them */
        PyErr_Clear();
        Py_SETREF(connection->function, Py_NewRef(slot));
    }
}

/* Fills in receiver, function and the rest for a slot. */
static bool aim(bpy_connection *connection, PyObject *slot)
{
    PyObject *self, *function;
    if (Py_IS_TYPE(slot, &bpy_signal_instance_type))
        return aim_at_signal(connection, slot);
    PyObject *object = object_of(slot);
    if (object != NULL && PyCFunction_GET_FLAGS(slot) == METH_NOARGS) { /* such as deleteLater */
        connection->receiver = (bpy_object *)object;
        connection->method = PyCFunction_GET_FUNCTION(slot);
        return true;
    }
    if (unbind(slot, &self, &function)) {
        aim_at_method(connection, slot, self, function);
        Py_DECREF(self);
        return true;
    }
    if (!PyCallable_Check(slot)) {
        PyErr_Format(PyExc_TypeError, "connect() takes a callable or a signal, not %s",
                     Py_TYPE(slot)->tp_name);
        return false;
    }
    connection->function = Py_NewRef(slot);
    connection->most = arguments_of(slot, false);
    return true;
}

/* The object of a weak reference, owned; NULL if it is deleted. */
static PyObject *referent(PyObject *weak)
{
    PyObject *object = NULL;
#if PY_VERSION_HEX >= 0x030d0000
    if (PyWeakref_GetRef(weak, &object) < 0)
        PyErr_Clear();
#else
    object = PyWeakref_GetObject(weak);
    if (object == Py_None)
        return NULL;
    Py_INCREF(object);
#endif
    return object;
}

static bool same_object(PyObject *a, PyObject *b)
{
    PyObject *first = referent(a), *second = referent(b);
    bool same = first != NULL && first == second;
    Py_XDECREF(first);
    Py_XDECREF(second);
    return same;
}

/* The comparison may end connection a; it then has another slot. */
static bool same_function(const bpy_connection *a, PyObject *other)
{
    PyObject *function = a->function;
    if (function == other)
        return true;
    if (function == NULL || other == NULL)
        return false;
    Py_INCREF(function);
    int same = PyObject_RichCompareBool(function, other, Py_EQ);
    Py_DECREF(function);
    if (same < 0)
        PyErr_Clear();
    return same > 0 && !a->dead;
}

/* Whether connection a, of a list that is walked, has the slot of b. */
static bool same_slot(const bpy_connection *a, const bpy_connection *b)
{
    if (a->dead || a->receiver != b->receiver || a->forward != b->forward ||
        a->overload != b->overload || a->method != b->method)
        return false;
    if (a->self != NULL || b->self != NULL) {
        return a->self != NULL && b->self != NULL && a->function == b->function &&
               same_object(a->self, b->self);
    }
    return same_function(a, b->function);
}

/* ---- connecting ---- */

static bpy_listeners *find(const bpy_object *sender, const bpy_signal *signal, Py_ssize_t overload)
{
    bpy_listeners *list = sender->listeners;
    while (list != NULL && (list->signal != signal || list->overload != overload))
        list = list->next;
    return list;
}

static bpy_listeners *find_or_add(bpy_object *sender, bpy_signal *signal, Py_ssize_t overload)
{
    bpy_listeners *list = find(sender, signal, overload);
    if (list != NULL)
        return list;
    list = PyMem_Calloc(1, sizeof *list);
    if (list == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    list->sender = sender;
    list->signal = signal;
    Py_INCREF(signal);
    list->overload = overload;
    list->next = sender->listeners;
    sender->listeners = list;
    atomic_fetch_or_explicit(&sender->heard, signal->heard, memory_order_relaxed);
    return list;
}

/* The next connection in a walk that began when `last` was the last one. */
static bpy_connection *after(const bpy_connection *one, const bpy_connection *last)
{
    return one != last ? one->next : NULL;
}

static bool is_there(bpy_listeners *list, const bpy_connection *wanted)
{
    const bpy_connection *last = list->last;
    bool there = false;
    begin_walk(list);
    for (bpy_connection *one = list->first; one != NULL && !there; one = after(one, last))
        there = same_slot(one, wanted);
    end_walk(list);
    return there;
}

/* Aims a connection; looks for another one with its slot if it is to be unique. Python code may run
 * here: whether its ends are still there is asked at last. False also with an exception. */
static bool prepare(bpy_connection *connection, bpy_object *sender, PyObject *slot, bool unique)
{
    if (!aim(connection, slot))
        return false;
    if (unique && is_there(connection->list, connection))
        return false;
    if (!bpy_object_check((PyObject *)sender))
        return false;
    return connection->receiver == NULL || !connection->receiver->destroying ||
           bpy_object_check((PyObject *)connection->receiver);
}

/* The new connection, not owned; NULL if there is one already that is to be the only one, or with
 * an exception. The caller holds the sender and the slot. */
bpy_connection *bpy_connect(bpy_object *sender, bpy_signal *signal, Py_ssize_t overload,
                            PyObject *slot, int type)
{
    bpy_listeners *list = find_or_add(sender, signal, overload);
    bpy_connection *connection = list == NULL ? NULL : PyMem_Calloc(1, sizeof *connection);
    if (connection == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    connection->references = 1;
    connection->home = bpy_thread_ref(bpy_thread_current());
    connection->list = list;
    connection->type = type & ~UNIQUE;
    if (!prepare(connection, sender, slot, (type & UNIQUE) != 0)) {
        empty(connection);
        unref(connection);
        return NULL;
    }
    if (connection->receiver != NULL)
        link_incoming(connection);
    *(list->last != NULL ? &list->last->next : &list->first) = connection;
    list->last = connection;
    return connection;
}

/* ---- one connection, for who keeps it ---- */

void bpy_connection_ref(bpy_connection *connection)
{
    connection->references++;
}

void bpy_connection_unref(bpy_connection *connection)
{
    unref(connection);
}

/* With the end of its sender a connection is dead. */
bool bpy_connection_is_alive(const bpy_connection *connection)
{
    return !connection->dead;
}

/* Ends it; false if it has ended. */
bool bpy_connection_sever(bpy_connection *connection)
{
    if (connection->dead)
        return false;
    bpy_listeners *list = connection->list;
    begin_walk(list);
    kill(connection);
    end_walk(list);
    return true;
}

static Py_ssize_t sever_in(bpy_listeners *list, const bpy_connection *wanted)
{
    const bpy_connection *last = list->last;
    Py_ssize_t count = 0;
    begin_walk(list);
    for (bpy_connection *one = list->first; one != NULL; one = after(one, last)) {
        if (one->dead || (wanted != NULL && !same_slot(one, wanted)))
            continue;
        kill(one);
        count++;
        if (wanted != NULL)
            break;
    }
    end_walk(list);
    return count;
}

/* Removes one connection with a slot, or all if it is NULL. Returns their number, or -1 with an
 * exception. The caller holds the sender and the slot. */
Py_ssize_t bpy_disconnect(bpy_object *sender, bpy_signal *signal, Py_ssize_t overload,
                          PyObject *slot)
{
    bpy_connection wanted = {.references = 1};
    bpy_listeners *list = find(sender, signal, overload);
    if (slot != NULL && !aim(&wanted, slot))
        return -1;
    Py_ssize_t count = list != NULL ? sever_in(list, slot != NULL ? &wanted : NULL) : 0;
    empty(&wanted);
    return count;
}

Py_ssize_t bpy_receivers(bpy_object *sender, bpy_signal *signal, Py_ssize_t overload)
{
    const bpy_listeners *list = find(sender, signal, overload);
    Py_ssize_t count = 0;
    for (const bpy_connection *one = list != NULL ? list->first : NULL; one != NULL;
         one = one->next)
        count += !one->dead;
    return count;
}

/* ---- emitting ---- */

static void finish_call(PyObject *result)
{
    if (result == NULL)
        bpy_print_error();
    Py_XDECREF(result);
}

/* Signals may be connected in a circle. */
static void forward(const bpy_connection *connection, bpy_object *target, PyObject *const *args,
                    Py_ssize_t count)
{
    bpy_signal *signal = connection->forward;
    if (Py_EnterRecursiveCall(" while emitting a signal") != 0) {
        bpy_print_error();
        return;
    }
    Py_INCREF(signal);
    bpy_emit_signal(target, signal, connection->overload, args, count);
    Py_DECREF(signal);
    Py_LeaveRecursiveCall();
}

/* Calls the slot now, on this thread. */
static void call_slot(bpy_connection *connection, bpy_object *sender, PyObject *const *args,
                      Py_ssize_t count)
{
    PyObject *stack[BPY_MOST_ARGUMENTS + 1], *self = NULL;
    if (connection->most >= 0 && connection->most < count)
        count = connection->most;
    if (connection->receiver != NULL)
        self = Py_NewRef((PyObject *)connection->receiver);
    else if (connection->self != NULL && (self = referent(connection->self)) == NULL) {
        kill(connection);
        return;
    }
    bpy_thread *thread = bpy_thread_current();
    struct bpy_frame frame = {thread->frame, sender, connection->receiver};
    thread->frame = &frame;
    if (connection->forward != NULL && self != NULL) {
        forward(connection, (bpy_object *)self, args, count);
    } else if (connection->method != NULL) {
        finish_call(connection->method(self, NULL));
    } else if (connection->function != NULL) {
        Py_ssize_t first = self != NULL;
        stack[0] = self;
        for (Py_ssize_t i = 0; i < count; i++)
            stack[first + i] = args[i];
        PyObject *function = Py_NewRef(connection->function);
        finish_call(PyObject_Vectorcall(function, stack, (size_t)(first + count), NULL));
        Py_DECREF(function);
    }
    Py_XDECREF(self);
    thread->frame = frame.outer;
}

/* A receiver that is being destroyed is not called, as in Qt, where it is no longer of its class.
 */
static bool is_reachable(const bpy_connection *connection)
{
    const bpy_object *receiver = connection->receiver;
    return receiver == NULL || !(receiver->destroying || bpy_object_is_ending(receiver));
}

/* A slot to be called on another thread, or later on this one. */
typedef struct call {
    bpy_event event;
    bpy_connection *connection; /* a reference, as are the others */
    bpy_object *sender;
    PyObject *args; /* a tuple */
} call;

static void run_call(bpy_event *event)
{
    const call *self = (const call *)event;
    if (is_reachable(self->connection))
        call_slot(self->connection, self->sender, PySequence_Fast_ITEMS(self->args),
                  PyTuple_GET_SIZE(self->args));
}

static void drop_call(bpy_event *event)
{
    call *self = (call *)event;
    if (--self->connection->calls == 0 && self->connection->dead)
        let_go(self->connection);
    unref(self->connection);
    Py_DECREF(self->args);
    Py_DECREF(self->sender);
    PyMem_Free(self);
}

static const bpy_event_kind call_kind = {.run = run_call, .drop = drop_call};

static bpy_thread *home_of(const bpy_connection *connection)
{
    return connection->receiver != NULL ? connection->receiver->home : connection->home;
}

static void queue(bpy_connection *connection, bpy_object *sender, PyObject *const *args,
                  Py_ssize_t count)
{
    PyObject *tuple = PyTuple_New(count);
    call *self = tuple != NULL ? PyMem_Malloc(sizeof *self) : NULL;
    if (self == NULL) {
        Py_XDECREF(tuple);
        PyErr_NoMemory();
        bpy_print_error();
        return;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[i]));
    bpy_thread *home = home_of(connection); /* the collector may have run */
    if (connection->dead || !is_reachable(connection) || !home->alive) { /* it would never run */
        Py_DECREF(tuple);
        PyMem_Free(self);
        return;
    }
    Py_INCREF(sender);
    connection->references++;
    connection->calls++;
    *self = (call){.event = {.kind = &call_kind, .owner = connection->receiver},
                   .connection = connection,
                   .sender = sender,
                   .args = tuple};
    bpy_thread_post(home, &self->event);
}

static void emit_to(bpy_listeners *list, bpy_object *sender, PyObject *const *args,
                    Py_ssize_t count)
{
    const bpy_connection *last = list->last;
    begin_walk(list);
    for (bpy_connection *one = list->first; one != NULL; one = after(one, last)) {
        if (!one->dead && is_reachable(one)) {
            bool queued = one->type == QUEUED ||
                          (one->type != DIRECT && home_of(one) != bpy_thread_current());
            if (queued)
                queue(one, sender, args, count);
            else
                call_slot(one, sender, args, count);
        }
    }
    end_walk(list);
}

void bpy_emit_signal(bpy_object *sender, bpy_signal *signal, Py_ssize_t overload,
                     PyObject *const *args, Py_ssize_t count)
{
    bpy_listeners *list = find(sender, signal, overload);
    if (list != NULL && list->first != NULL && !sender->blocked)
        emit_to(list, sender, args, count);
}

PyObject *bpy_sender(bpy_object *self)
{
    const struct bpy_frame *frame = bpy_thread_current()->frame;
    bool known = frame != NULL && frame->receiver == self && !frame->sender->destroyed;
    return Py_NewRef(known ? (PyObject *)frame->sender : Py_None);
}
