/*
 * Threads: a loop of Berth each, a queue of events, and when the interpreter's lock is released.
 *
 * A thread gets its bpy_thread when it first makes an object. The thread's state in the interpreter
 * owns it, so that it ends with the thread: natives are released and the loop is freed on the
 * thread that they belong to.
 *
 * bpy_thread_turn runs the thread's events before it waits: those that are in the queue when it
 * begins, in the sequence in which they were posted (event.h).
 *
 * bpy_block releases the lock before a call of Berth that waits. The first handler inside takes it
 * again (bpy_enter). In a turn it is then kept, because nothing waits after that; in a blocking
 * wait, which may continue, bpy_leave releases it. Handlers called by a function that does not wait
 * find the lock held and change nothing.
 */
#include "thread.h"
#include "parts.h"

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

/* A thread that has not started. Objects can belong to it already. */
bpy_thread *bpy_thread_new(void)
{
    bpy_thread *thread = PyMem_RawCalloc(1, sizeof *thread);
    if (thread == NULL)
        return NULL;
    thread->references = 1;
    thread->alive = true;
    bpy_events_init(&thread->events);
    return thread;
}

/* Makes it the record of the calling thread, which must call bpy_thread_rest. */
void bpy_thread_assume(bpy_thread *thread)
{
    current = thread;
    if (thread != NULL)
        thread->running = true;
}

/* Never NULL: out of memory is fatal here. */
bpy_thread *bpy_thread_current(void)
{
    if (current != NULL)
        return current;
    bpy_thread *thread = bpy_thread_new();
    if (thread == NULL)
        Py_FatalError("out of memory for a thread");
    bpy_thread_assume(thread);
    PyObject *dict = PyThreadState_GetDict();
    PyObject *capsule = PyCapsule_New(thread, "berth.thread", holder_dealloc);
    if (capsule == NULL || dict == NULL || PyDict_SetItemString(dict, "berth.thread", capsule) < 0)
        PyErr_Clear(); /* it then remains until the process ends */
    else
        Py_DECREF(capsule);
    return thread;
}

/* For the garbage collector, which must not make a record. */
bool bpy_thread_is_current(const bpy_thread *thread)
{
    return thread == current;
}

void bpy_thread_wake(bpy_thread *thread)
{
    if (thread->loop != NULL && thread != current)
        berth_loop_wake(thread->loop);
}

/* Releases the natives and the loop of a thread that ends. Its objects are deleted that are to be;
 * other events stay, for a QThread can start the thread again. */
void bpy_thread_rest(bpy_thread *thread)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    if (thread->running)
        bpy_thread_deliver(thread, NULL, BPY_FINAL);
    thread->running = false;
    if (thread->release_natives != NULL)
        thread->release_natives(thread);
    bpy_thread_deliver(thread, NULL, BPY_FINAL);
    berth_loop *loop = thread->loop;
    berth_loop *inherited = thread->inherited;
    thread->loop = thread->inherited = NULL;
    if (loop != NULL || inherited != NULL) {
        Py_BEGIN_ALLOW_THREADS berth_loop_free(loop);
        berth_loop_free(inherited);
        Py_END_ALLOW_THREADS
    }
    PyErr_Restore(type, value, trace);
}

/* A thread that ends for ever. */
void bpy_thread_finish(bpy_thread *thread)
{
    bpy_thread_rest(thread);
    thread->alive = false;
    bpy_thread_drop_events(thread);
    if (thread->owns_qthread) {
        thread->owns_qthread = false;
        Py_CLEAR(thread->qthread);
    }
}

/* ---- the interpreter's lock ---- */

/* Whether the handler of a system signal has raised, which ends a wait. The exception waits until
 * the wait has returned: slots may be called before. */
static bool check_signals(void *user)
{
    bpy_thread *thread = user;
    bool entered = bpy_enter();
    bool raised = PyErr_CheckSignals() < 0;
    if (raised) {
        Py_XDECREF(thread->interruption[0]);
        Py_XDECREF(thread->interruption[1]);
        Py_XDECREF(thread->interruption[2]);
        PyErr_Fetch(&thread->interruption[0], &thread->interruption[1], &thread->interruption[2]);
    }
    bpy_leave(entered);
    return raised;
}

/* After a call that waits: whether a signal has ended it; then its exception is raised. */
bool bpy_interrupted(bpy_thread *thread)
{
    if (thread->interruption[0] == NULL)
        return PyErr_CheckSignals() < 0;
    PyErr_Restore(thread->interruption[0], thread->interruption[1], thread->interruption[2]);
    thread->interruption[0] = thread->interruption[1] = thread->interruption[2] = NULL;
    return true;
}

bool bpy_thread_loop(bpy_thread *thread)
{
    if (!thread->running) { /* also while its natives are released */
        PyErr_SetString(PyExc_RuntimeError, "the thread has ended");
        return false;
    }
    if (thread->loop != NULL)
        return true;
    thread->loop = berth_loop_new(NULL);
    if (thread->loop == NULL)
        PyErr_SetFromErrno(PyExc_OSError);
    else
        berth_loop_set_wait_check(thread->loop, check_signals, thread);
    return thread->loop != NULL;
}

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

/* With io_uring, a call outside a turn only prepares its operations. berth_loop_descriptor submits
 * them to the kernel. */
void bpy_thread_hand_over(bpy_thread *thread)
{
    if (thread->loop != NULL && thread->scope == 0)
        (void)berth_loop_descriptor(thread->loop);
}

/* ---- events ---- */

static int depth_of(const bpy_thread *thread)
{
    return thread->level + thread->scope;
}

/* Takes the event over. */
void bpy_thread_post(bpy_thread *thread, bpy_event *event)
{
    bpy_events_add(&thread->events, event, thread == current ? depth_of(thread) : 0);
    bpy_thread_wake(thread);
}

/* Runs events that were posted until now, of one owner or, if that is NULL, of any. */
void bpy_thread_deliver(bpy_thread *thread, const void *owner, bpy_selection selection)
{
    if (thread->events.first == NULL)
        return; /* as in most turns */
    uint64_t last = thread->events.sequence;
    bpy_cursor cursor = {.link = NULL};
    bpy_event *event;
    while ((event = bpy_events_take(&thread->events, &cursor, last, depth_of(thread), owner,
                                    selection)) != NULL) {
        thread->scope++;
        event->kind->run(event);
        thread->scope--;
        event->kind->drop(event);
    }
}

/* Events that never run. Dropping one may post others. */
void bpy_thread_drop_events(bpy_thread *thread)
{
    bpy_cursor cursor = {.link = NULL};
    bpy_event *event;
    while ((event = bpy_events_take(&thread->events, &cursor, UINT64_MAX, 0, NULL, BPY_ALL)) !=
           NULL)
        event->kind->drop(event);
}

void bpy_thread_move_events(bpy_thread *from, const void *owner, bpy_thread *to)
{
    bpy_events_move(&from->events, owner, &to->events);
    bpy_thread_wake(to);
}

/* ---- turning ---- */

static bool has_work(const bpy_thread *thread)
{
    return bpy_events_due(&thread->events, depth_of(thread));
}

/* Delivers events and turns the loop once; does not wait any more if events were delivered, unless
 * it is patient. Returns whether something ran; -1 with an exception. */
static int turn(bpy_thread *thread, int milliseconds, bool patient)
{
    if (!bpy_thread_loop(thread))
        return -1;
    bool ran = has_work(thread), before;
    bpy_thread_deliver(thread, NULL, BPY_DUE);
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

/* In a child of os.fork. The parent's objects stay on the parent's loop; new objects get another
 * loop. Running event loops end. */
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
    thread->inherited_events = bpy_events_detach(&thread->events);
    thread->loop = NULL;
    Py_RETURN_NONE;
}

PyObject *bpy_thread_after_fork(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    bpy_thread *thread = bpy_thread_current();
    if (thread->inherited == NULL)
        Py_RETURN_NONE;
    if (thread->loop != NULL || thread->events.first != NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "after_fork() must be called before this process uses another loop");
        return NULL;
    }
    if (!berth_loop_after_fork(thread->inherited))
        return PyErr_SetFromErrno(PyExc_OSError);
    thread->loop = thread->inherited;
    bpy_events_attach(&thread->events, thread->inherited_events);
    thread->inherited = NULL;
    thread->inherited_events = NULL;
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

int bpy_thread_ready(PyObject *module)
{
    bpy_thread_current();
    return watch_forks(module);
}
