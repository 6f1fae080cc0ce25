/*
 * The loop: one turn and its phases, blocking waits, tasks from other threads, and what the objects
 * of a loop share.
 *
 *     wait -> completions -> due timers -> posted tasks -> flush of sockets with fresh output ->
 *     pacing of marked servers -> garbage
 *
 * A turn may be nested inside a handler. Completions are those in the ready list when the phase
 * begins, so that a busy stream cannot keep timers from running; the same goes for the flush. Both
 * end early when a timer has been due for LATE: peers can make many records ready, and each may
 * take long. When something is left of either (also by a stream over its budget, or of output in
 * several chunks) a turn goes without waiting, but not twice in a row, so that events of the kernel
 * are always taken in. In the timer phase all runs that was due when it began.
 *
 * A blocking wait turns the same machine for one owner: it runs that owner's records and nobody's,
 * no timers and no tasks, and leaves the records of others in the ready list. It looks at its time
 * after every few records, so that a peer that always sends cannot keep it.
 */
#ifndef BERTH_SRC_LOOP_H
#define BERTH_SRC_LOOP_H

#include <berth/loop.h>
#include <berth/statistics.h>

#include "backend/backend.h"
#include "base/buffer.h"
#include "base/free_list.h"
#include "base/numbers.h"
#include "deadlines.h"
#include "object.h"
#include "source.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

struct berth__task;
struct berth__awaited;

/* The place of an object in the list of those with fresh output; embedded in it. */
typedef struct berth__flush {
    struct berth__flush *next;
    struct berth__flush **link; /* NULL when it is not to be flushed */
} berth__flush;

/* One call of berth_loop_stop; at most one for each run on the stack. */
typedef struct berth__stop {
    atomic_int state; /* 0: none; then it is being written; then it is there */
    int exit_code;
    unsigned number; /* of all stops of the loop, in their order */
} berth__stop;

/* A connection whose end is being announced: names can still be asked for. In a list of the loop,
 * innermost first. */
typedef struct berth__parting {
    struct berth__parting *outer;
    const void *owner; /* NULL once it has begun the next one */
    berth__stream *stream;
} berth__parting;

/* How a turn asks the kernel for news. A turn that has something to run first SKIPs it, but never
 * two in a row. */
typedef enum berth__turn_wait {
    BERTH__TURN_SLEEPS, /* for as long as nothing happens */
    BERTH__TURN_POLLS,  /* there is something to run already */
    BERTH__TURN_SKIPS   /* likewise; the kernel is not asked */
} berth__turn_wait;

/* LIVE -> ENDING, by berth_loop_free; LIVE -> FREED -> ENDING where that is called inside a turn or
 * a handler: the last of these to return destroys the loop. */
typedef enum berth__loop_life {
    BERTH__LOOP_LIVE,
    BERTH__LOOP_FREED, /* to be destroyed */
    BERTH__LOOP_ENDING /* being destroyed */
} berth__loop_life;

#define BERTH__STOPS 8u /* runs within runs that each have their own */

struct berth_loop {
    berth__backend *backend;
    berth__pool pool;
    berth__deadlines deadlines;
    berth__free_list sockets;     /* memory of berth_socket */
    berth__free_list streams;     /* memory of berth__stream */
    berth__free_list remotes;     /* memory of berth__remote */
    berth__free_list free_limits; /* memory of berth__socket_limits */
    berth__free_list blocks;      /* memory of berth__block */

    berth__numbers numbers; /* descriptors of servers and sockets */

    const berth__kind *kinds[BERTH__KINDS]; /* of those there are objects of */
    berth__object *objects;                 /* those that no other object owns */
    berth__object *garbage;
    berth__walk *walks;          /* through lists of objects */
    unsigned depth;              /* turns and waits on the stack */
    berth__turn_wait last_wait;  /* of the last turn */
    bool embedded;               /* lives inside another event loop */
    berth_wait_check wait_check; /* asked in blocking waits; or NULL */
    void *wait_check_user;
    unsigned frames; /* of objects on the stack: handlers are called outside turns too */
    berth__loop_life life;
    unsigned failures;     /* waits that have failed in a row */
    bool broken;           /* the backend's wait has failed */
    bool inherited;        /* this process is a child of the one whose loop it is; see process.h */
    bool abandoned;        /* and its thread is none of this process */
    bool held;             /* fork holds `lock` */
    berth_loop *next_loop; /* of the process */
    berth_loop **loop_link;

    berth__flush *flush; /* with fresh output, first to last */
    berth__flush **flush_end;
    size_t flush_count;
    void (*settle)(berth__flush *flush);       /* flushes one, which has left the list */
    bool (*unsent)(const berth__flush *flush); /* whether one has fresh output */
    void (*announce)(berth__ready *ready);     /* says what calls have sent of a stream */
    berth__flush *answering; /* of the socket whose handler runs: what that writes is flushed when
                                it returns, without the list; NULL for none */
    /* The last socket that refused an option or a local address in a call, and what that was: for
     * its text, without a place in every socket. */
    struct {
        const void *socket;
        int number; /* of the error */
        int option;
        int value;
        bool set;
        uint16_t port;
        berth_address address;
    } refused;
    berth__sources sources;
    struct berth__resolver *resolver;           /* made on first use */
    struct berth__signals *signals;             /* likewise */
    struct berth__secure_memory *secure_memory; /* of encrypted connections, likewise */
    struct berth__lingering *lingering; /* streams whose peers may still be sending, oldest first */
    struct berth__lingering **lingering_end;
    uint32_t linger_time; /* milliseconds that freeing the loop waits for them */
    berth__parting *partings;
    atomic_size_t *ended; /* of the worker whose loop it is: counts its connections that have ended;
                             or NULL */
    void (*awake)(berth_loop *loop); /* a worker's: in each turn, when it has waited; or NULL */
    void *awake_user;
    berth__mark *starving;    /* to be run when a descriptor is closed */
    berth__mark *marked;      /* to be run before the next sleep */
    size_t live;              /* streams and listeners that have not been closed yet */
    size_t limited;           /* that need `time`: sockets with limits, and the like */
    uint64_t time;            /* of the last wait, while there are such; see connection_limits.h */
    berth_loop_counts counts; /* but for the backend's */

    pthread_t thread;
    pthread_mutex_t lock; /* of the tasks, and of what is awaited */
    struct berth__task *tasks;
    struct berth__task **tasks_end;
    size_t task_count;
    atomic_bool tasks_waiting;
    struct berth__awaited *awaited; /* open, in the order in which they came; see task.h */
    struct berth__awaited **awaited_end;
    atomic_size_t awaited_count;
    atomic_bool stopping; /* there may be a stop */
    atomic_uint runs;     /* on the stack */
    berth__stop stops[BERTH__STOPS];
    atomic_uint stops_kept;   /* those that have a place in it, or will have */
    atomic_uint stops_number; /* of the next one */
    atomic_bool quitting;     /* a stop ends every run, not the innermost only */
    atomic_uint stoppers;     /* calls on other threads that may still touch the loop */

    char reason[160]; /* for the choice of the backend */
    char text[768];   /* of the last berth_socket_error_string */
};

/* In debug builds, catches calls on a foreign thread; the message names the call, so every public
 * function has its own. A server's or socket's loop is set once, so it may be asked for anywhere.
 */
#define BERTH__OWN_THREAD(loop)                                                    \
    assert((pthread_equal((loop)->thread, pthread_self()) || (loop)->abandoned) && \
           "called on another thread than the loop's")

/* Whether the loop is the parent's, of which this process has a copy by fork: then it and its
 * objects only close descriptors. */
static inline bool berth__loop_inherited(const berth_loop *loop)
{
    return loop->inherited;
}

/* Marks a frame that uses the object while handlers run. */
static inline void berth__enter(berth__object *object)
{
    object->frames++;
    object->loop->frames++;
}

/* Ends it. Returns whether the object is still alive; if not it must not be touched any more. */
static inline bool berth__leave(berth__object *object)
{
    assert(object->frames > 0);
    object->frames--;
    object->loop->frames--;
    return object->loop->depth > 0 ? !object->freed : berth__leave_last(object);
}

berth_loop *berth__loop_or_current(berth_loop *loop);

/* The words for the errno of an object that could not be made; static. The thread's own loop is
 * made with its first object, so that EINVAL can mean the environment. */
const char *berth__reason_of_none(int error);

/* This thread's own loop, if there is one; in a child it may be an inherited one. */
berth_loop *berth__loop_of_thread(void);

/* Whether fork has made the loop, so that nothing can be done with it; sets errno then. */
bool berth__loop_is_copy(const berth_loop *loop);

/* Nanoseconds of the backend's clock, now. */
uint64_t berth__loop_clock(berth_loop *loop);

/* To be called where something was started outside a turn: informs an outer event loop that a turn
 * is wanted. */
void berth__loop_touch(berth_loop *loop);

/* Sends what this turn has brought so far, instead of at its end, before something takes long. In a
 * deadline. Calls handlers of sockets. */
void berth__loop_send(berth_loop *loop);

/* Hands what was started to the kernel now, if no turn is on its way that will; calls nothing. */
void berth__loop_submit(berth_loop *loop);

/* What a blocking wait waits for. */
typedef struct berth__wait {
    const void *owner; /* of listeners and watches that it runs; NULL: of none */
    void *object;
    bool (*done)(void *object);
    /* One of the object's streams that has something to report, or NULL. May be NULL. */
    berth__stream *(*stream)(void *object);
    /* Called before each wait: starts what is due. Returns the time when it wants to be called
     * again, or UINT64_MAX. May be NULL. */
    uint64_t (*prepare)(void *object);
    /* Whether the kernel is asked before what is ready already, which may be all that is waited
     * for. */
    bool asks;
} berth__wait;

/* To be called last in a function that has turned the loop or waited: collects garbage, and frees
 * the loop if that was asked for inside. */
void berth__loop_leave(berth_loop *loop);

/* Waits until done: false when `milliseconds` have passed (negative: no limit) or the backend is
 * broken. */
bool berth__loop_wait(berth_loop *loop, const berth__wait *wait, int milliseconds);

/* From one to the other `time` is kept, and is now to begin with. What it is for are limits of time
 * that are judged by what the kernel had to say when they were over: until it was asked then they
 * wait, see 0161. */
static inline void berth__loop_time_begin(berth_loop *loop)
{
    if (loop->limited++ == 0)
        loop->time = loop->backend->operations->now(loop->backend);
}

static inline void berth__loop_time_end(berth_loop *loop)
{
    loop->limited--;
}

/* Runs a record that is out of the list. What calls have sent is announced before what has come,
 * which may be the answer: a handler is called there that may close the stream, so the record is in
 * the list again meanwhile, in front of others, whose handlers may write to it; and false is
 * returned. Once for each run: a handler may write on each time, as fast as its peer reads. A limit
 * that waits for the record to run still does. */
static inline bool berth__loop_run_record(berth_loop *loop, berth__ready *ready)
{
    if (ready->given && !ready->announced && !loop->inherited) {
        berth__ready_put_back(&loop->backend->ready, ready);
        ready->overdue = ready->announced = true;
        loop->announce(ready);
        return false;
    }
    ready->announced = false;
    loop->backend->operations->run(loop->backend, ready);
    return true;
}

/* The same, and behind an announcement at once: if it has not run in there, and may be gone. */
static inline void berth__loop_run_whole(berth_loop *loop, berth__ready *ready)
{
    berth__ready_list *list = &loop->backend->ready;
    berth__ready_line *line = &list->lines[BERTH__LINE_STREAMS];
    if (!berth__loop_run_record(loop, ready) && line->first == ready && !loop->inherited)
        (void)berth__loop_run_record(loop, berth__ready_take_first(list, line));
}

/* Puts an object into the list of those to be flushed at the end of the turn, by loop->settle. */
void berth__loop_flush_later(berth_loop *loop, berth__flush *flush);

/* Takes it out again, if it is in it. */
void berth__loop_flush_not(berth_loop *loop, berth__flush *flush);

/* Puts the socket into it whose handler `answering` is about, if that has written. To be called
 * where it turns the loop before it has returned: its output goes like that of others. */
void berth__loop_list_answer(berth_loop *loop);

/* A new stream, or NULL when out of memory. It is given back by berth__loop_close_stream, or by
 * berth__loop_drop_stream if it has never been the backend's. */
berth__stream *berth__loop_new_stream(berth_loop *loop, const berth__stream_events *events,
                                      void *object);
void berth__loop_drop_stream(berth_loop *loop, berth__stream *stream);

/* Makes a stream nobody's: whatever it still reports is dropped. To be called as soon as its socket
 * lets go of it, since handlers that run before it is closed may turn the loop. `leased`: chunks of
 * a send in flight, or NULL. */
void berth__loop_orphan_stream(berth_loop *loop, berth__stream *stream, berth__chunk *leased);

/* Closes a stream that its socket has let go of; it lives on by itself until it is closed.
 * `leased`: chunks of a send in flight, or NULL. */
void berth__loop_close_stream(berth_loop *loop, berth__stream *stream, berth__chunk *leased,
                              berth__close_mode mode);

#endif
