/*
 * Workers: a pool of threads with a loop each, which serve connections.
 *
 * The course: make the pool, start it, and bring it connections in one of two ways, or both. Either
 * a server accepts, and its incoming_connection hands each descriptor over to the worker that has
 * the fewest connections (berth_workers_hand_over); or every worker listens by itself on one port
 * that they share (berth_workers_listen), and the kernel shares the connections out. The first
 * spreads them evenly; the second accepts on all threads. In both, `connection` is called on the
 * worker's thread with a connected socket of the worker's loop. Stopping ends what is served and
 * joins the threads.
 *
 *     static void hand_over(berth_server *server, int descriptor, void *user)
 *     {
 *         if (!berth_workers_hand_over(user, descriptor))
 *             close(descriptor);
 *     }
 *
 * The loop of a worker is its thread's own: NULL stands for it there. It is run by the pool:
 * berth_loop_stop ends only a run that was nested in it, as stopping the pool does, and it may not
 * be freed. A worker's threads block all signals, so that they come to the threads of the program.
 *
 * The pool is no object of a loop. Its functions are for one thread at a time, which is not a
 * worker's, but for those that say "any thread". A worker of the pool that starts, listens, stops
 * or frees would wait for itself: on its thread these do nothing, with errno EDEADLK. Functions of
 * a worker are for the worker's thread.
 */
#ifndef BERTH_WORKERS_H
#define BERTH_WORKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/address.h>
#include <berth/error.h>
#include <berth/export.h>
#include <berth/loop.h>
#include <berth/server.h>
#include <berth/socket.h>

BERTH_BEGIN_DECLARATIONS

/** A pool of workers. Opaque. */
typedef struct berth_workers berth_workers;

/** One worker of a pool. Opaque; exists as long as its thread. */
typedef struct berth_worker berth_worker;

/**
 * What a worker calls, always on its own thread. Every slot may be NULL. `user` is the worker's
 * user pointer: that of the pool, until berth_worker_set_user. The struct must live as long as the
 * pool. Slots may be added at the end.
 */
typedef struct berth_workers_handlers {
    /** The worker is about to begin. False: it cannot, and berth_workers_start fails; `stopping` is
     * then not called for it. */
    bool (*started)(berth_worker *worker, void *user);

    /** The last call: no connection comes any more, and those that stand are ended afterwards as by
     * berth_server_free. */
    void (*stopping)(berth_worker *worker, void *user);

    /** A connection, whose socket the worker's server owns: set its handlers, and free it when
     * done. NULL: connections are closed. */
    void (*connection)(berth_worker *worker, berth_socket *socket, void *user);

    /** A connection could not be served, or was none, and was closed; or accepting has failed, as
     * accept_error of a server says. berth_server_error_string(berth_worker_server(worker)) has the
     * text. */
    void (*failed)(berth_worker *worker, berth_error error, void *user);
} berth_workers_handlers;

/** Most workers of a pool. */
#define BERTH_MOST_WORKERS 1024

/**
 * Makes a pool whose threads have not been started.
 *
 * @param count     number of workers, 1 to BERTH_MOST_WORKERS
 * @param handlers  const berth_workers_handlers *, or NULL for none
 * @param user      passed to the handlers
 * @return the pool, to be freed with berth_workers_free; NULL with errno: EINVAL for the count,
 *         ENOMEM
 */
#define berth_workers_new(count, handlers, user) \
    berth_workers_new_sized((count), (handlers), sizeof(berth_workers_handlers), (user))

/** What berth_workers_new calls; `size` is the size of the handlers struct the caller was compiled
 * with. */
BERTH_API berth_workers *berth_workers_new_sized(int count, const berth_workers_handlers *handlers,
                                                 size_t size, void *user);

/** Stops the pool as berth_workers_stop does, and frees it. No other thread may use it any more,
 * the servers that hand over to it included. NULL is ignored. */
BERTH_API void berth_workers_free(berth_workers *workers);

/**
 * Starts the threads; returns when every worker is ready. Can be started again after a stop. Each
 * worker's loop takes 16 KiB of the user's locked memory for io_uring; one that gets none runs on
 * epoll, which berth_loop_backend_reason says in `started`.
 *
 * @return false with class and text set, and no thread left: SOCKET_RESOURCE (no thread, memory or
 *         descriptor to be had), OPERATION (started already, or refused by `started`), or the class
 *         of whatever keeps a loop from being made; errno is set too
 */
BERTH_API bool berth_workers_start(berth_workers *workers);

/**
 * Has each worker listen on the same address and port, with servers that share it
 * (berth_server_set_reuse_port). Their backlog is set in `started`, on berth_worker_server. Waits
 * until each has done so in a turn of its loop, be it one that a handler has begun.
 *
 * @param port  0 to have the system choose one for all
 * @return false with class and text set, and no worker listening: OPERATION (not started, or
 *         listening already), SOCKET_RESOURCE (out of memory), or as berth_server_listen
 */
BERTH_API bool berth_workers_listen(berth_workers *workers, berth_address address, uint16_t port);

/** The port listened on by berth_workers_listen; 0 if there is none. */
BERTH_API uint16_t berth_workers_port(const berth_workers *workers);

/**
 * Gives a connection to the worker with the fewest. Any thread, a worker's too.
 *
 * @param descriptor  connected, as incoming_connection is given it. On success it is the pool's:
 *                    served, or closed exactly once, also if the pool is stopped before it came to
 *                    that. The worker checks it as berth_socket_set_descriptor does; one that is no
 *                    connection is closed, and `failed` called.
 * @return false with errno set, the descriptor still the caller's: ESHUTDOWN (no worker runs),
 *         ENOMEM, EBADF (negative)
 */
BERTH_API bool berth_workers_hand_over(berth_workers *workers, int descriptor);

/** Ends all workers and joins their threads: `stopping` is called, what was handed over and is not
 * served yet is closed, sockets are freed as by berth_server_free. Nothing if not started. */
BERTH_API void berth_workers_stop(berth_workers *workers);

/** The number of workers. Any thread. */
BERTH_API int berth_workers_count(const berth_workers *workers);

/** The connections of a worker: those handed over to it or accepted by it whose sockets have not
 * been freed or detached. A moment's reading; any thread.
 *
 * @param number  from 0
 * @return 0 for a number that is none */
BERTH_API size_t berth_workers_connections(const berth_workers *workers, int number);

/** Class of the last failure of a function of the pool; no success clears it. */
BERTH_API berth_error berth_workers_error(const berth_workers *workers);

/** Its text; "" if there was none. Valid until the next failure. */
BERTH_API const char *berth_workers_error_string(const berth_workers *workers);

/** The number of a worker in its pool, from 0. Any thread. */
BERTH_API int berth_worker_number(const berth_worker *worker);

/** The loop of a worker, for its own objects. */
BERTH_API berth_loop *berth_worker_loop(const berth_worker *worker);

/** The server that owns a worker's connections, and that listens if the pool does. To be set up in
 * `started`; the pool frees it. */
BERTH_API berth_server *berth_worker_server(const berth_worker *worker);

/** The user pointer of a worker. */
BERTH_API void *berth_worker_user(const berth_worker *worker);

/** Sets what the handlers of this worker get from now on: usually in `started`, to what `stopping`
 * frees. */
BERTH_API void berth_worker_set_user(berth_worker *worker, void *user);

BERTH_END_DECLARATIONS

#endif
