/*
 * Threads: a loop of Berth each, a queue of events, and the giving up of the interpreter's lock.
 *
 * A thread gets its bpy_thread when it first makes an object. The record hangs on the thread's
 * state in the interpreter, so that it is finished with it: natives are released, and the loop is
 * freed, on the thread they belong to.
 *
 * Events are calls of slots from other threads (or queued on purpose) and deferred deletions. They
 * are delivered by bpy_thread_turn before it waits, in order, those present at its beginning. A
 * deferred deletion waits until control is back in the event loop it was ordered under: level and
 * scope are compared as Qt does it.
 *
 * The lock: bpy_block gives it up around a call of Berth that waits. The first handler inside takes
 * it back (bpy_enter). In a turn it is then kept, for nothing waits any more; in a blocking wait,
 * which may go on waiting, bpy_leave gives it up again. Handlers called by a function that does not
 * wait find the lock held and change nothing.
 */
#include "module.h"

#include <stddef.h>

/* A slot's call, a deferred deletion, or a Python function of the target to be called at home. */
typedef enum event_kind {
    CALL,
    DELETE,
    PYTHON
} event_kind;

typedef struct bpy_event {
    struct bpy_event *next;
    event_kind kind;
    int level;
    uint64_t sequence;
    bpy_object *target; /* of a deletion, owned; of a call: the sender, owned */
    bpy_connection *connection;
    PyObject *args; /* of a call: the arguments, a tuple; else the function */
} bpy_event;

static __thread bpy_thread *current;

/* ---- the record of a thread ---- */

static void holder_dealloc(PyObject *capsule)
{
    bpy_thread *thread = PyCapsule_GetPointer(capsule, "berth.thread");
    if (thread == current) {
        bpy_thread_finish(thread);
        current = NULL;
    }
    bpy_thread_unref(thread);
}

bpy_thread *bpy_thread_ref(bpy_thread *thread)
{
    thread->references++;
    return thread;
}

void bpy_thread_unref(bpy_thread *thread)
{
    if (--thread->references == 0)
        PyMem_RawFree(thread);
}

/* A thread that has not begun yet. */
bpy_thread *bpy_thread_new(void)
{
    bpy_thread *thread = PyMem_RawCalloc(1, sizeof *thread);
    if (thread == NULL)
        return NULL;
    thread->references = 1;
    thread->alive = true;
    thread->end = &thread->events;
    return thread;
}

/* Makes a thread the calling one, for as long as that runs; it finishes it by itself. */
void bpy_thread_assume(bpy_thread *thread)
{
    current = thread;
}

/* Never NULL: without memory for this little there is no way to go on. */
bpy_thread *bpy_thread_current(void)
{
    if (current != NULL)
        return current;
    bpy_thread *thread = bpy_thread_new();
    if (thread == NULL)
        Py_FatalError("out of memory for a thread");
    current = thread;
    PyObject *dict = PyThreadState_GetDict();
    PyObject *capsule = PyCapsule_New(thread, "berth.thread", holder_dealloc);
    if (capsule == NULL || dict == NULL || PyDict_SetItemString(dict, "berth.thread", capsule) < 0)
        PyErr_Clear(); /* it then lives until the process ends */
    else
        Py_DECREF(capsule);
    return thread;
}

/* For the collector, inside which no record can be made. */
bool bpy_thread_is_current(const bpy_thread *thread)
{
    return thread == current;
}

bool bpy_thread_loop(bpy_thread *thread)
{
    if (thread->loop != NULL)
        return true;
    if (!thread->alive) {
        PyErr_SetString(PyExc_RuntimeError, "the thread has ended");
        return false;
    }
    thread->loop = berth_loop_new(NULL);
    if (thread->loop == NULL)
        PyErr_SetFromErrno(PyExc_OSError);
    return thread->loop != NULL;
}

void bpy_thread_wake(bpy_thread *thread)
{
    if (thread->loop != NULL && thread != current)
        berth_loop_wake(thread->loop);
}

/* Releases what lives in this thread, which is ending. */
void bpy_thread_finish(bpy_thread *thread)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    if (thread->alive)
        bpy_thread_deliver(thread, true);
    thread->alive = false;
    while (thread->natives != NULL) {
        bpy_object *object = thread->natives;
        Py_INCREF(object);
        bpy_object_unsettle(object);
        object->blocked = true; /* nobody is there to hear of it */
        if (object->kind->release != NULL)
            object->kind->release(object);
        Py_DECREF(object);
    }
    bpy_thread_deliver(thread, true);
    berth_loop *loop = thread->loop;
    berth_loop *inherited = thread->inherited;
    thread->loop = thread->inherited = NULL;
    if (loop != NULL || inherited != NULL) {
        Py_BEGIN_ALLOW_THREADS berth_loop_free(loop);
        berth_loop_free(inherited);
        Py_END_ALLOW_THREADS
    }
    if (thread->owns_qthread) {
        thread->owns_qthread = false;
        Py_CLEAR(thread->qthread);
    }
    PyErr_Restore(type, value, trace);
}

/* ---- the interpreter's lock ---- */

void bpy_block(bpy_thread *thread, bool waiting, bool *ret_before)
{
    *ret_before = thread->waiting;
    thread->waiting = waiting;
    thread->saved = PyEval_SaveThread();
}

void bpy_unblock(bpy_thread *thread, bool before)
{
    if (thread->saved != NULL) {
        PyEval_RestoreThread(thread->saved);
        thread->saved = NULL;
    }
    thread->waiting = before;
}

bool bpy_enter(void)
{
    bpy_thread *thread = current;
    if (thread->saved == NULL)
        return false;
    PyEval_RestoreThread(thread->saved);
    thread->saved = NULL;
    return thread->waiting;
}

void bpy_leave(bool entered)
{
    if (entered)
        current->saved = PyEval_SaveThread();
}

/* Outside of a turn nobody would hand over to the kernel what a call has begun, with io_uring: the
 * loop does so when it is made to show all that it has by its descriptor. */
void bpy_thread_hand_over(bpy_thread *thread)
{
    if (thread->loop != NULL && thread->scope == 0)
        (void)berth_loop_descriptor(thread->loop);
}

/* ---- events ---- */

static bool post(bpy_thread *thread, bpy_event event)
{
    bpy_event *copy = PyMem_Malloc(sizeof *copy);
    if (copy == NULL) {
        PyErr_NoMemory();
        return false;
    }
    *copy = event;
    copy->next = NULL;
    copy->sequence = ++thread->sequence;
    *thread->end = copy;
    thread->end = &copy->next;
    bpy_thread_wake(thread);
    return true;
}

bool bpy_thread_post_delete(bpy_object *target)
{
    bpy_thread *thread = target->home;
    if (!thread->alive)
        return false;
    int level = thread == current ? thread->level + thread->scope : 0;
    if (!post(thread, (bpy_event){.kind = DELETE, .level = level, .target = target}))
        return false;
    Py_INCREF(target);
    return true;
}

bool bpy_thread_post_call(bpy_thread *thread, bpy_connection *connection, bpy_object *sender,
                          PyObject *args)
{
    if (!thread->alive)
        return true; /* nobody will ever deliver it */
    bpy_event event = {.kind = CALL, .target = sender, .connection = connection, .args = args};
    if (!post(thread, event))
        return false;
    Py_INCREF(sender);
    Py_INCREF(args);
    bpy_connection_ref(connection);
    return true;
}

bool bpy_thread_post_python(bpy_thread *thread, bpy_object *target, PyObject *callable)
{
    if (!post(thread, (bpy_event){.kind = PYTHON, .target = target, .args = callable}))
        return false;
    Py_INCREF(target);
    Py_INCREF(callable);
    return true;
}

static void free_event(bpy_event *event)
{
    if (event->connection != NULL)
        bpy_connection_unref(event->connection);
    Py_XDECREF(event->args);
    Py_XDECREF(event->target);
    PyMem_Free(event);
}

static void deliver_one(bpy_thread *thread, bpy_event *event)
{
    thread->scope++;
    if (event->kind == DELETE) {
        bpy_object_destroy(event->target);
    } else if (event->kind == PYTHON) {
        PyObject *result =
            event->target->destroying ? Py_NewRef(Py_None) : PyObject_CallNoArgs(event->args);
        if (result == NULL)
            bpy_print_error();
        Py_XDECREF(result);
    } else if (!bpy_connection_dead(event->connection)) {
        bpy_connection_call(event->connection, event->target, PySequence_Fast_ITEMS(event->args),
                            PyTuple_GET_SIZE(event->args));
    }
    thread->scope--;
    free_event(event);
}

static bool may_deliver(const bpy_thread *thread, const bpy_event *event)
{
    int now = thread->level + thread->scope;
    return event->kind != DELETE || event->level > now || (event->level == 0 && now > 0);
}

/* Takes the first event out that may be delivered and was posted up to `last`. */
static bpy_event *take(bpy_thread *thread, uint64_t last, bool at_end)
{
    for (bpy_event **link = &thread->events; *link != NULL; link = &(*link)->next) {
        bpy_event *event = *link;
        if (event->sequence > last)
            return NULL;
        if (!at_end && !may_deliver(thread, event))
            continue;
        *link = event->next;
        if (event->next == NULL)
            thread->end = link;
        return event;
    }
    return NULL;
}

/* Delivers what was posted until now; at the end of a thread deletions only, of whatever level. */
void bpy_thread_deliver(bpy_thread *thread, bool at_end)
{
    uint64_t last = thread->sequence;
    bpy_event *event;
    while ((event = take(thread, last, at_end)) != NULL) {
        if (at_end && event->kind != DELETE)
            free_event(event);
        else
            deliver_one(thread, event);
    }
}

/* Events for an object go along when it moves: those of which it is the receiver. */
void bpy_thread_move_events(bpy_object *target, bpy_thread *to)
{
    bpy_thread *from = target->home;
    bpy_event **link = &from->events;
    while (*link != NULL) {
        bpy_event *event = *link;
        bpy_object *owner =
            event->kind == CALL ? bpy_connection_receiver(event->connection) : event->target;
        if (owner != target) {
            link = &event->next;
            continue;
        }
        *link = event->next;
        event->next = NULL;
        event->sequence = ++to->sequence;
        *to->end = event;
        to->end = &event->next;
    }
    from->end = link;
    bpy_thread_wake(to);
}

/* ---- turning ---- */

static bool has_work(const bpy_thread *thread)
{
    for (const bpy_event *event = thread->events; event != NULL; event = event->next) {
        if (may_deliver(thread, event))
            return true;
    }
    return false;
}

/* Delivers events and turns the loop once; does not wait any more if events were delivered, unless
 * it is patient. Returns whether something ran; -1 with an exception. */
static int turn(bpy_thread *thread, int milliseconds, bool patient)
{
    if (!bpy_thread_loop(thread))
        return -1;
    bool ran = has_work(thread), before;
    bpy_thread_deliver(thread, false);
    bool stopped = thread->runs != NULL && thread->runs->stop;
    int wait = (ran && !patient) || stopped || has_work(thread) ? 0 : milliseconds;
    thread->scope++;
    bpy_block(thread, false, &before);
    ran |= berth_loop_turn(thread->loop, wait);
    bpy_unblock(thread, before);
    thread->scope--;
    return PyErr_CheckSignals() < 0 ? -1 : ran;
}

int bpy_thread_turn(bpy_thread *thread, int milliseconds)
{
    return turn(thread, milliseconds, false);
}

/* Turns until the run is stopped. Returns the code; -1 with an exception. */
int bpy_thread_run(bpy_thread *thread, bpy_run *run)
{
    int status = 0;
    run->outer = thread->runs;
    thread->runs = run;
    thread->level++;
    while (!run->stop && status >= 0)
        status = turn(thread, -1, true);
    thread->level--;
    thread->runs = run->outer;
    return status < 0 ? -1 : run->code;
}

/* Ends every run of a thread. */
void bpy_thread_stop(bpy_thread *thread, int code)
{
    for (bpy_run *run = thread->runs; run != NULL; run = run->outer) {
        run->stop = true;
        run->code = code;
    }
    bpy_thread_wake(thread);
}

/* ---- fork ---- */

/* In a child of os.fork. What the parent has made stays on the parent's loop; what is made from
 * here on gets another. Event loops that are running end. */
PyObject *bpy_thread_forked(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    bpy_thread *thread = current;
    if (thread == NULL || thread->loop == NULL)
        Py_RETURN_NONE;
    for (bpy_run *run = thread->runs; run != NULL; run = run->outer) {
        run->stop = true;
        run->code = -1;
    }
    thread->inherited = thread->loop;
    thread->inherited_events = thread->events;
    thread->loop = NULL;
    thread->events = NULL;
    thread->end = &thread->events;
    Py_RETURN_NONE;
}

PyObject *bpy_thread_after_fork(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    bpy_thread *thread = bpy_thread_current();
    if (thread->inherited == NULL)
        Py_RETURN_NONE;
    if (thread->loop != NULL || thread->events != NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "after fork this process has begun to use another loop");
        return NULL;
    }
    if (!berth_loop_after_fork(thread->inherited))
        return PyErr_SetFromErrno(PyExc_OSError);
    thread->loop = thread->inherited;
    thread->events = thread->inherited_events;
    thread->inherited = NULL;
    thread->inherited_events = NULL;
    while (*thread->end != NULL)
        thread->end = &(*thread->end)->next;
    Py_RETURN_NONE;
}

static int watch_forks(PyObject *module)
{
    PyObject *os = PyImport_ImportModule("os");
    PyObject *watch = os != NULL ? PyObject_GetAttrString(os, "register_at_fork") : NULL;
    PyObject *forked = watch != NULL ? PyObject_GetAttrString(module, "_forked") : NULL;
    PyObject *none = forked != NULL ? PyTuple_New(0) : NULL;
    PyObject *names = none != NULL ? Py_BuildValue("{sO}", "after_in_child", forked) : NULL;
    PyObject *done = names != NULL ? PyObject_Call(watch, none, names) : NULL;
    int status = done != NULL ? 0 : -1;
    Py_XDECREF(done);
    Py_XDECREF(names);
    Py_XDECREF(none);
    Py_XDECREF(forked);
    Py_XDECREF(watch);
    Py_XDECREF(os);
    return status;
}

int bpy_thread_ready_types(PyObject *module)
{
    bpy_thread_current();
    return watch_forks(module);
}
