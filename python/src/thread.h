/*
 * Threads: a loop each, a queue of events, and when the interpreter's lock is released.
 *
 * The lock guards everything in the module. It is released in bpy_thread_turn and in blocking
 * waits, and Berth's handlers take it again (bpy_enter, bpy_leave). This file depends neither on
 * objects nor on connections.
 */
#ifndef BPY_THREAD_H
#define BPY_THREAD_H

#include "event.h"
#include "interpreter.h"

#include <berth/berth.h>

typedef struct bpy_thread bpy_thread;
typedef struct bpy_run bpy_run;

struct bpy_thread {
    Py_ssize_t references;
    berth_loop *loop;
    PyObject *interruption[3]; /* the exception of a signal's handler that has ended a wait */
    PyThreadState *saved;      /* set while the lock is released */
    bool waiting;              /* handlers release it again */
    bool alive;                /* events can be posted; a QThread that is started again runs them */
    bool running;              /* false before a QThread starts it, and from its end on */
    int level;                 /* running event loops */
    int scope;                 /* turns and events in progress */
    bpy_run *runs;
    bpy_events events;
    berth_loop *inherited;       /* in a child of a fork: the parent's loop */
    bpy_event *inherited_events; /* and its events */

    /* For the files above. */
    struct bpy_object *natives; /* object.c: objects with natives on this loop */
    void (*release_natives)(bpy_thread *thread);
    struct bpy_frame *frame; /* connection.c: the slot that is running */
    PyObject *qthread;       /* qthread.c: the thread's QThread */
    bool owns_qthread;       /* in threads that no QThread has started */
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
bool bpy_thread_loop(bpy_thread *thread); /* makes the loop if there is none; raises on failure */
int bpy_thread_turn(bpy_thread *thread, int milliseconds);
int bpy_thread_run(bpy_thread *thread, bpy_run *run);
void bpy_thread_stop(bpy_thread *thread, int code);
void bpy_thread_wake(bpy_thread *thread);
void bpy_thread_post(bpy_thread *thread, bpy_event *event);
void bpy_thread_move_events(bpy_thread *from, const void *owner, bpy_thread *to);
void bpy_thread_deliver(bpy_thread *thread, const void *owner, bpy_selection selection);
void bpy_thread_drop_events(bpy_thread *thread);
void bpy_thread_hand_over(bpy_thread *thread);
void bpy_thread_rest(bpy_thread *thread);
void bpy_thread_finish(bpy_thread *thread);
void bpy_block(bpy_thread *thread, bool waiting, bool *ret_before);
void bpy_unblock(bpy_thread *thread, bool before);
bool bpy_interrupted(bpy_thread *thread); /* raises */
bool bpy_enter(void);
void bpy_leave(bool entered);
PyObject *bpy_thread_forked(PyObject *module, PyObject *none);
PyObject *bpy_thread_after_fork(PyObject *module, PyObject *none);

#endif
