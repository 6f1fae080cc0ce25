/*
 * Inside a pool of workers.
 *
 * A worker's life, changed in one function (move_on), under its lock:
 *
 *     IDLE -> STARTING -> READY -> ENDED -> IDLE
 *                  \______________/
 *
 * STARTING is set before the thread is made, READY and ENDED by the thread, IDLE when it is joined.
 * Descriptors can be put into the inbox while it is READY, and as long as that holds under the
 * lock, the worker's loop exists: the thread says ENDED before it frees anything.
 *
 * A job is a function that may block, called on the thread of whichever worker is free first, whose
 * end comes back to a loop:
 *
 *     WAITING -> RUNNING -> its end is posted
 *         \_________________/
 *
 * WAITING is left by a worker that takes the job, or by whoever withdraws it: its canceller, a loop
 * that is freed, or the pool that stops; under the lock of the jobs. The job's memory is the
 * loop's, which releases it after `done`.
 */
#ifndef BERTH_SRC_WORKERS_H
#define BERTH_SRC_WORKERS_H

#include <berth/local.h>
#include <berth/workers.h>

#include "loop/process.h"
#include "loop/task.h"
#include "server/server.h"

#include <pthread.h>
#include <stdatomic.h>

/* Bytes that two processors never write to at the same time without disturbing each other; two
 * lines, as they are fetched in pairs. */
#define BERTH__LINE 128

typedef enum berth__worker_state {
    BERTH__WORKER_IDLE,
    BERTH__WORKER_STARTING,
    BERTH__WORKER_READY,
    BERTH__WORKER_ENDED
} berth__worker_state;

/* Descriptors that were handed over. */
typedef struct berth__inbox {
    int *descriptors;
    size_t first; /* those before it have been adopted */
    size_t count;
    size_t capacity;
} berth__inbox;

struct berth_worker {
    berth_workers *workers;
    int number;
    pthread_t thread;

    /* Written by those who hand over. */
    char before_given[BERTH__LINE];
    atomic_size_t given; /* connections so far */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* the state, or the request */
    atomic_int state;       /* berth__worker_state */
    berth__inbox inbox;
    berth_server *counted;    /* the server, from when it is made to when it is freed; or NULL */
    berth_server_counts past; /* of the servers before: a pool can be started again */
    void (*request)(berth_worker *worker); /* to be done on its thread; NULL: nothing */

    /* Written by the worker's thread. */
    char before_ended[BERTH__LINE];
    atomic_size_t ended; /* connections that have ended */
    berth__inbox taken;  /* those being adopted: the inbox of before, swapped */
    berth_loop *loop;
    berth_server *server;
    void *user;
    int start_error;      /* errno */
    bool asleep;          /* it has put itself among the idle */
    bool answering;       /* the request is being done */
    bool drains;          /* its server is drained, and it owes the end of that */
    bool forced;          /* that has ended a connection */
    unsigned drain_round; /* the one it knows of */
    char after_ended[BERTH__LINE];

    /* Under the lock of the pool's jobs. */
    berth_worker *next_idle;
    berth_worker **idle_link; /* NULL: it is not among the idle */

    bool owes;           /* under the lock of the pool's drain: the end of its own */
    atomic_bool emptied; /* changed under its lock: in a drain, nothing is handed over any more */
};

struct berth_job {
    berth__awaited awaited; /* first: a job is found by it */
    berth_workers *workers; /* exists while the job is open */
    berth_worker *worker;   /* that runs it; or NULL */
    berth_job *next;        /* among those that wait */
    berth_job **link;       /* NULL: it does not wait */
    berth_job_work work;
    berth_job_done done; /* or NULL */
    void *user;
    atomic_bool unwanted; /* cancelled while it runs */
};

/* Those of a pool. */
typedef struct berth__jobs {
    pthread_mutex_t lock; /* taken after a loop's, never before */
    berth_job *first;
    berth_job **end;
    berth_worker *idle;    /* workers that sleep, the last to fall asleep first */
    int takers;            /* workers that are ready */
    atomic_size_t waiting; /* jobs */
    atomic_bool used;      /* there has been a job: workers look for them before they sleep */
} berth__jobs;

/* The drain of a pool; see draining.c. Times are nanoseconds of the monotonic clock. */
typedef struct berth__drain_end berth__drain_end;

typedef struct berth__pool_drain {
    pthread_mutex_t lock;  /* taken before a worker's and a loop's */
    berth__drain_end *end; /* NULL: the pool cannot be drained */
    uint64_t closes;       /* when the grace is over */
    uint32_t idle;         /* milliseconds */
    int owed;              /* ends of workers */
    bool forced;
    _Atomic uint64_t ends; /* the deadline; UINT64_MAX: none. Counts once `begun` is set */
    atomic_uint round;     /* grows with each call */
    atomic_bool begun;
    atomic_bool over;
    _Atomic uint64_t accepts_until;
} berth__pool_drain;

/* Somebody else's pointer to a pool, which becomes NULL when that is freed: on the same thread.
 * Embedded there. */
typedef struct berth__workers_ref {
    berth_workers *workers;
    struct berth__workers_ref *next;
    struct berth__workers_ref **link;
} berth__workers_ref;

struct berth_workers {
    const berth_workers_handlers *handlers;
    size_t handlers_size;
    void *user;
    int count;
    bool started;
    atomic_bool leaving; /* the workers have to end */

    berth__jobs jobs;
    unsigned forks; /* of the process that made it; see process.h */
    berth__pool_drain drain;
    bool listening;
    uint16_t port; /* listened on; 0 for none */

    /* For the workers too, each in its turn, while listening waits for it. */
    berth_address address;
    uint16_t wanted;
    const int *passed; /* descriptors to listen on */
    size_t passed_count;
    const char *path; /* of the Unix socket to listen on */
    berth_local_options local_options;
    int made;    /* the first worker's descriptor of it */
    bool failed; /* one of them could not listen */
    berth_error error;
    char text[320];
    berth__workers_ref *refs;
    berth_worker *workers[]; /* count of them */
};

/* Sets the error of the pool, on its thread or while that waits. */
void berth__workers_set_error(berth_workers *workers, berth_error error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void berth__workers_remember(berth__workers_ref *ref, berth_workers *workers);
void berth__workers_forget(berth__workers_ref *ref);

/* The worker whose thread this is, or NULL. */
const berth_worker *berth__worker_here(void);

/* Whether this is the thread of one of its workers, which cannot wait for itself; sets errno. */
bool berth__workers_is_own_thread(const berth_workers *workers);

/* Whether a fork has copied the pool: it is the parent's, and a thread that is no more may hold any
 * of its locks. That is so too where the child has taken over a worker's loop. */
static inline bool berth__pool_is_copy(const berth_workers *workers)
{
    return workers->forks != berth__process_forks();
}

/* The same; sets the error. */
bool berth__workers_is_copy(berth_workers *workers, const char *what);

static inline berth__worker_state berth__worker_state_of(const berth_worker *worker)
{
    return (berth__worker_state)atomic_load_explicit(&worker->state, memory_order_relaxed);
}

/* A task of a worker, its user: does what the pool's thread has asked for. */
void berth__worker_answer(void *user);

/* Whether one of the workers listens. Needs no memory. Any thread. */
bool berth__workers_listen(const berth_workers *workers);

/* berth__server_succeed for all servers. Any thread. */
void berth__workers_succeed(berth_workers *workers, berth__succession from, berth__succession to);

/* Closes the child's copies of the listeners after fork. */
void berth__workers_close_copies(berth_workers *workers);

/* The server will be freed, and its counts are to be kept. To be called when it has no more
 * connections, on the worker's thread. */
void berth__worker_keep_counts(berth_worker *worker);

/* ---- draining ---------------------------------------------------------------------------------
 */

void berth__pool_drain_init(berth_workers *workers);
void berth__pool_drain_clear(berth_workers *workers, bool copy);

/* What announces the end of a drain, NULL when out of memory; and drains are possible from now on.
 */
berth__drain_end *berth__pool_drain_new_end(berth_workers *workers);
void berth__pool_drain_allow(berth_workers *workers, berth__drain_end *end);

/* The pool stops: the end of a drain will not be announced. And it has stopped. */
void berth__pool_drain_abandon(berth_workers *workers);
void berth__pool_drain_reset(berth_workers *workers);

/* Whether the deadline is over: nothing is handed over any more. Any thread. */
bool berth__pool_drain_is_late(const berth_workers *workers);

/* A task of a worker, its user, also run between two turns: drains its server if that is wanted. */
void berth__worker_drain(void *user);

/* A handler of its server. */
void berth__worker_emptied(berth_server *server, bool forced, void *user);

/* The worker has no connection, and will have none. */
void berth__worker_drained(berth_worker *worker);

/* ---- jobs -------------------------------------------------------------------------------------
 */

void berth__jobs_init(berth__jobs *jobs);

/* `copy`: fork has copied the pool. */
void berth__jobs_clear(berth__jobs *jobs, bool copy);

/* The worker takes jobs from now on. To be called with its loop made. */
void berth__jobs_join(berth_worker *worker);

/* And no longer; the last of a pool cancels those that wait. */
void berth__jobs_leave(berth_worker *worker);

/* Before a worker's turn: runs jobs for a while. Returns how long the turn may wait, as
 * berth_loop_turn takes it. */
int berth__jobs_run(berth_worker *worker);

/* Cancels all jobs that wait. The pool takes no more: it is leaving, or has no worker. */
void berth__jobs_cancel_all(berth_workers *workers);

#endif
