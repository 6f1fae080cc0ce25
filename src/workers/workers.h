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
 */
#ifndef BERTH_SRC_WORKERS_H
#define BERTH_SRC_WORKERS_H

#include <berth/workers.h>

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
    void (*request)(berth_worker *worker); /* to be done on its thread; NULL: nothing */

    /* Written by the worker's thread. */
    char before_ended[BERTH__LINE];
    atomic_size_t ended; /* connections that have ended */
    berth__inbox taken;  /* those being adopted: the inbox of before, swapped */
    berth_loop *loop;
    berth_server *server;
    void *user;
    int start_error; /* errno */
    bool answering;  /* the request is being done */
    char after_ended[BERTH__LINE];
};

struct berth_workers {
    const berth_workers_handlers *handlers;
    size_t handlers_size;
    void *user;
    int count;
    bool started;
    atomic_bool leaving; /* the workers have to end */

    unsigned forks; /* of the process that made it; see process.h */
    uint16_t port;  /* listened on; 0 for none */

    /* For the workers too, each in its turn, while berth_workers_listen waits for it. */
    berth_address address;
    uint16_t wanted;
    bool failed; /* one of them could not listen */
    berth_error error;
    char text[320];
    berth_worker *workers[]; /* count of them */
};

#endif
