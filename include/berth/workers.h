/*
 * Workers: a pool of threads that serve connections, or run jobs. Each has a loop.
 *
 * Make a pool, start it, and bring it connections in one of two ways, or both:
 *
 * - A server accepts, and its incoming_connection hands each descriptor to the worker with the
 *   fewest connections (berth_workers_hand_over). This distributes connections evenly.
 * - Every worker listens: on the same port (berth_workers_listen), or on listening sockets made
 *   elsewhere (berth_workers_set_descriptors). The kernel distributes the connections. This accepts
 *   on all threads.
 *
 * In both cases `connection` is called on the worker's thread with a connected socket of the
 * worker's loop. Stopping the pool ends the connections and joins the threads.
 *
 *     static void hand_over(berth_server *server, int descriptor, void *user)
 *     {
 *         if (!berth_workers_hand_over(user, descriptor))
 *             close(descriptor);
 *     }
 *
 * A job is a function that may take long or block its thread: to hash, to read a file, to ask a
 * database. berth_workers_submit has a worker of the pool call `work`, and when it has returned,
 * the loop that the job was submitted for calls `done`:
 *
 *     static void hash(berth_job *job, void *user);                  on a worker's thread
 *     static void hashed(berth_job *job, bool cancelled, void *user); on this thread, in a turn
 *
 *     if (berth_workers_submit(workers, NULL, hash, hashed, file) == NULL)
 *         refuse(file);
 *
 * - A pool has one queue. Jobs start in the order in which they were submitted, each as soon as a
 *   worker has nothing else to do; they end in any order.
 * - While a job runs, its worker does nothing else. Connections should therefore be served by
 *   another pool than the one that runs the jobs.
 * - `user` belongs to the job from berth_workers_submit to `done`, which is called exactly once,
 *   also for a job that is cancelled; so `done` is the place to free it.
 * - The queue has no limit. A program that submits what peers ask for compares
 *   berth_workers_waiting_jobs with a limit of its own, and pauses reading from them.
 * - A program without a running loop waits for its jobs by turning it:
 *   `while (!finished) berth_loop_turn(NULL, -1);`
 *
 * The loop of a worker is its thread's own loop, so NULL means that loop there. The pool runs and
 * frees it. berth_loop_stop ends only a berth_loop_run that a handler called there; stopping the
 * pool ends it too. All signals are blocked on the threads of workers, so that the program's other
 * threads receive them. The threads are named "berth-0", "berth-1" and so on, by the number of the
 * worker, for ps, top and debuggers; `started` may name its thread otherwise.
 *
 * A pool does not belong to a loop. Functions of a pool may be called on any one thread at a time
 * that is not a worker's; those described with "any thread" may be called on all threads at the
 * same time. Starting, listening, closing, stopping and freeing on a thread of a worker of the same
 * pool would wait for that thread itself: there these functions do nothing and set errno to
 * EDEADLK.
 * Functions of a worker must be called on the worker's thread.
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
#include <berth/statistics.h>

BERTH_BEGIN_DECLARATIONS

/** A pool of workers. Opaque. */
typedef struct berth_workers berth_workers;

/** One worker of a pool. Opaque; exists as long as its thread. */
typedef struct berth_worker berth_worker;

/**
 * Handlers of a worker, called on its thread. Every slot may be NULL. `user` is the worker's user
 * pointer: the pool's until berth_worker_set_user. The struct is not copied and must live as long
 * as the pool. Slots may be added at the end.
 */
typedef struct berth_workers_handlers {
    /** The worker is ready. If the result is false, berth_workers_start fails and `stopping` is not
     * called for this worker. */
    bool (*started)(berth_worker *worker, void *user);

    /** The worker stops. This is the last call: no more connections come, and those that are open
     * are ended afterwards as by berth_server_free. */
    void (*stopping)(berth_worker *worker, void *user);

    /** A connection. The worker's server owns the socket: set its handlers, and free it when done.
     * If this slot is NULL, connections are closed. If the server encrypts (berth_server_set_tls in
     * `started`), it is called when the handshake is complete. */
    void (*connection)(berth_worker *worker, berth_socket *socket, void *user);

    /** A descriptor was closed because it could not be served or is not a connection; or accepting
     * failed, as in accept_error of a server; or a TLS handshake, if handshake_failed is NULL.
     * berth_server_error_string(berth_worker_server(worker)) returns the text. */
    void (*failed)(berth_worker *worker, berth_error error, void *user);

    /** Chooses the configuration of a connection, as client_hello of a server does. NULL: that of
     * the worker's server for the name that the client asks for. */
    struct berth_tls *(*client_hello)(berth_worker *worker, const struct berth_tls_hello *hello,
                                      void *user);

    /** No handshake has come of a connection, as in handshake_failed of a server. NULL: `failed` is
     * called instead. */
    void (*handshake_failed)(berth_worker *worker, const struct berth_tls_failure *failure,
                             void *user);
} berth_workers_handlers;

/** Maximum number of workers of a pool. */
#define BERTH_MOST_WORKERS 1024

/**
 * Makes a pool. Its threads are not started.
 *
 * @param count     number of workers, 1 to BERTH_MOST_WORKERS
 * @param handlers  const berth_workers_handlers *, not copied; NULL for none
 * @param user      passed to the handlers
 * @return the pool, to be freed with berth_workers_free; NULL with errno set: EINVAL (count out of
 *         range) or ENOMEM
 */
#define berth_workers_new(count, handlers, user) \
    berth_workers_new_sized((count), (handlers), sizeof(berth_workers_handlers), (user))

/** The function behind berth_workers_new. `size` is the size of the handlers struct that the caller
 * was compiled with. */
BERTH_API berth_workers *berth_workers_new_sized(int count, const berth_workers_handlers *handlers,
                                                 size_t size, void *user);

/** Stops the pool as berth_workers_stop does, and frees it. No other thread may use it any more;
 * servers that hand connections over to it count as users. NULL is ignored. */
BERTH_API void berth_workers_free(berth_workers *workers);

/**
 * Starts the threads, and returns when every worker is ready. A stopped pool can be started again.
 * With io_uring each worker's loop takes 16 KiB of the user's locked memory (RLIMIT_MEMLOCK). A
 * worker that gets none uses epoll; berth_loop_backend_reason, in `started`, returns why.
 *
 * @return false on failure, with class, text and errno set, and all threads ended. SOCKET_RESOURCE:
 *         no thread, memory or descriptor available. OPERATION: already started, or `started`
 *         returned false. Otherwise the class of the reason why a loop cannot be made.
 */
BERTH_API bool berth_workers_start(berth_workers *workers);

/**
 * Makes each worker listen on the same address and port, on a socket for each (SO_REUSEPORT). Set
 * their backlog size in `started`, on berth_worker_server. The call waits until every worker
 * listens. Each starts in a turn of its loop, which may be one nested in a handler.
 *
 * If anybody listens there already, the call fails with ADDRESS_IN_USE, also if that is another
 * pool of the same user: the kernel would distribute the connections among both, and nobody would
 * notice. (Programs of the same user that set SO_REUSEPORT themselves may still join later.) To
 * share the port, call berth_server_set_reuse_port on each berth_worker_server in `started`, in all
 * programs that share it. A process that replaces another takes its listeners over instead: see
 * handover.h.
 *
 * @param address  as berth_server_listen
 * @param port     0 to have the system choose one port for all
 * @return false on failure, with class and text set, and no worker listening. OPERATION: not
 *         started, being drained, or listening already. SOCKET_RESOURCE: out of memory. Otherwise
 *         as berth_server_listen.
 */
BERTH_API bool berth_workers_listen(berth_workers *workers, berth_address address, uint16_t port);

/**
 * Makes the pool listen on sockets that were made elsewhere, for example by systemd, a parent
 * process, or the process that this one replaces. Waits as berth_workers_listen does. On success
 * the pool owns the descriptors: each worker listens on copies, and the descriptors passed are
 * closed.
 *
 * Every socket is accepted from, so that no connection of any backlog is lost. If there are fewer
 * sockets than workers, workers share them: a connection may then wake several workers, of which
 * one gets it, and a busy pool accepts better on a socket for each worker (SO_REUSEPORT). If there
 * are more, a worker's server accepts from several: berth_server_port and berth_server_descriptor
 * return the first, and its limits on accepting apply to all of them together.
 *
 * @param descriptors  listening stream sockets, as for berth_server_set_descriptor
 * @param count        how many
 * @return false on failure, with class and text set, and no worker listening. The caller still owns
 *         all descriptors then, and their backlogs are as they were. OPERATION: not started, being
 *         drained, listening already, a count of 0, or a descriptor passed twice. Otherwise as
 *         berth_server_set_descriptor.
 */
BERTH_API bool berth_workers_set_descriptors(berth_workers *workers, const int *descriptors,
                                             size_t count);

/** Returns the port that the pool listens on, of descriptors passed to it the first one's; 0 if it
 * does not listen, or no longer because it is being drained. */
BERTH_API uint16_t berth_workers_port(const berth_workers *workers);

/**
 * Copies the descriptors that the workers' servers listen on, one for each socket, to pass them to
 * another process. All must be passed on: connections that wait in the backlog of one are served by
 * whoever accepts from that. Any thread.
 *
 * @param ret_descriptors  receives the copies, which are close-on-exec; the caller closes them. May
 *                         be NULL if `size` is 0.
 * @param size             number of elements
 * @param ret_count        receives the number of sockets, also if that is more than `size`
 * @return false with errno set, and no copies: ERANGE (`size` is too small), EMFILE, ENFILE, ENOMEM
 *         or ECHILD (the pool belongs to the parent)
 */
BERTH_API bool berth_workers_descriptors(const berth_workers *workers, int *ret_descriptors,
                                         size_t size, size_t *ret_count);

/** Stops listening on all workers, as berth_server_close does, and waits until all have. They
 * continue to serve their connections, and those that are handed over. The pool may listen again.
 * No effect if no worker listens. */
BERTH_API void berth_workers_close(berth_workers *workers);

/**
 * Hands a connection to the worker with the fewest connections. Any thread, workers' included.
 *
 * @param descriptor  a connected descriptor, as incoming_connection gets it. On success the pool
 *                    owns it: it is served, or closed exactly once, also if the pool is stopped
 *                    before. The worker checks it as berth_socket_set_descriptor does; if it is not
 *                    a connection, it is closed and `failed` is called.
 * @return false with errno set: ESHUTDOWN (no worker is running, or the pool was drained and has
 *         no connection any more, or the deadline of that is over), ENOMEM, or EBADF (negative).
 *         The caller still owns the descriptor then.
 */
BERTH_API bool berth_workers_hand_over(berth_workers *workers, int descriptor);

/** A job of a pool. Opaque. It exists from berth_workers_submit until its `done` has returned, or,
 * without `done`, until it has ended. */
typedef struct berth_job berth_job;

/**
 * The work of a job, called once on the thread of a worker, outside of its loop's turns. It may
 * block. All signals are blocked on this thread. It may use what other threads do not use
 * meanwhile, submit jobs, and use the worker's loop. It must not wait for another job of the same
 * pool, which may be waiting for this worker.
 *
 * @param user  as given to berth_workers_submit
 */
typedef void (*berth_job_work)(berth_job *job, void *user);

/**
 * The end of a job, called once on the thread of the loop that it was submitted for, as a posted
 * task is. What `work` has written can be read here. It may submit jobs.
 *
 * @param cancelled  true if `work` was not called (in a child of fork: or has not returned)
 * @param user       as given to berth_workers_submit
 */
typedef void (*berth_job_done)(berth_job *job, bool cancelled, void *user);

/**
 * Submits a job to the workers of a pool. Any thread, workers' included; in `work` and `done` too.
 *
 * `done` is called in a turn of the loop, never inside this call, and at the latest when the loop
 * is freed: berth_loop_free cancels the loop's jobs that have not started, waits until those that
 * run have ended, and calls `done` for each. Like berth_loop_post this call needs a loop that
 * exists. A child of fork that takes over the loop (berth_loop_after_fork) gets `done` there too,
 * as cancelled, for each job that had not ended.
 *
 * @param loop  the loop that calls `done`; NULL for the calling thread's own loop
 * @param work  called on the thread of a worker
 * @param done  called on the loop's thread; NULL for nothing
 * @param user  passed to both
 * @return the job, which the library frees. On another thread than the loop's it may have ended
 *         already: use the result only as success there. NULL with errno set, and nothing is
 *         called: ESHUTDOWN (no worker is running, or the pool is being stopped), ENOMEM, EINVAL
 *         (`work` is NULL), ECHILD (the pool or the loop belongs to the parent); or why the
 *         thread's own loop cannot be made.
 */
BERTH_API berth_job *berth_workers_submit(berth_workers *workers, berth_loop *loop,
                                          berth_job_work work, berth_job_done done, void *user);

/**
 * Cancels a job. If it has not started, `work` is not called, and `done` is called with `cancelled`
 * in a turn of the loop. If it is running, berth_job_cancel_requested returns true from now on, and
 * `done` is called when `work` has returned, as without this call. Any thread while the job exists.
 *
 * @return whether the job had not started
 */
BERTH_API bool berth_job_cancel(berth_job *job);

/** Returns whether `work` should return early, if it can: the job was cancelled, its pool is being
 * stopped, or its loop freed. To be called in `work`. `done` gets `cancelled` false then, since
 * `work` was called: what `work` has left undone it notes itself. */
BERTH_API bool berth_job_cancel_requested(const berth_job *job);

/** Returns the worker that runs the job, for example to get its user pointer. To be called in
 * `work`. */
BERTH_API berth_worker *berth_job_worker(const berth_job *job);

/** Returns the number of jobs that have not started. A snapshot. Any thread. */
BERTH_API size_t berth_workers_waiting_jobs(const berth_workers *workers);

/** Stops all workers and joins their threads. Jobs that have not started are cancelled, and those
 * that run are waited for; their loops call `done` in their next turns, those of a worker before it
 * calls `stopping`. Each worker calls `stopping`, closes what was handed
 * over and is not served yet, and frees its sockets as berth_server_free does. No effect if the
 * pool is not started. */
BERTH_API void berth_workers_stop(berth_workers *workers);

/**
 * The end of a pool's drain: no worker has a connection any more. Called on the thread of the loop
 * that berth_workers_drain was given, as a posted task is. It may stop and free the pool.
 *
 * @param forced  whether the deadline had to end a connection
 * @param user    as given to berth_workers_drain
 */
typedef void (*berth_workers_drained)(berth_workers *workers, bool forced, void *user);

/**
 * Ends serving without breaking connections: each worker's server is drained as by
 * berth_server_drain, with the same times for all, and `drained` is called once when the last
 * connection of the last worker has gone. The pool can then be stopped without cutting anything
 * off, but its threads run until that. The call does not wait. Any thread, workers' included.
 *
 * - What is handed over while the pool is being drained is served, and drained like the rest, so
 *   that a server that accepts for the pool can be drained at the same time. After the last
 *   connection, and from the deadline on, berth_workers_hand_over fails with ESHUTDOWN. A worker
 *   that has none left gets no further ones even before that.
 * - What was handed over before the deadline, and comes to its worker after it, is reset without a
 *   call of `connection`, and counts as `closed_drain`.
 * - Detached sockets do not count: berth_workers_stop ends them.
 * - Jobs are not affected. They may be submitted, run, and may outlast the drain; stopping the pool
 *   then cancels those that wait. A worker that runs a job, or is in a handler, reaches its
 *   connections when that has returned: they may then end later than the deadline.
 * - A further call can only make times shorter, as for a server, and has no effect when the last
 *   connection has gone. `drained`, `loop` and `user` of the first call that has a `drained` count;
 *   those of others are ignored.
 * - The pool cannot listen from then on. berth_workers_close and berth_server_close of a worker's
 *   server stop listening at once, and the drain continues.
 * - Stopping or freeing the pool ends the drain, and `drained` is not called then, nor if its loop
 *   is freed, nor in a child of fork. A pool that is started again is not being drained.
 *
 * @param plan     const berth_drain *, copied; NULL for a zeroed one
 * @param loop     the loop that calls `drained`; NULL for the calling thread's own. On the loop of
 *                 one of the pool's workers the pool cannot be stopped.
 * @param drained  NULL for nothing; `loop` is not used then
 * @param user     passed to `drained`
 * @return false with errno set, and nothing happens: ESHUTDOWN (the pool is not started, or is
 *         being stopped), ECHILD (the pool or the loop belongs to the parent), or why the thread's
 *         own loop cannot be made
 */
#define berth_workers_drain(workers, plan, loop, drained, user) \
    berth_workers_drain_sized((workers), (plan), sizeof(berth_drain), (loop), (drained), (user))

/** The function behind berth_workers_drain. `size` is the size of the plan that the caller was
 * compiled with. */
BERTH_API bool berth_workers_drain_sized(berth_workers *workers, const berth_drain *plan,
                                         size_t size, berth_loop *loop,
                                         berth_workers_drained drained, void *user);

/** Returns how far the drain of the pool has come, for probes of readiness: NONE before it and
 * after the pool was stopped; GRACE until the grace is over; EMPTY when all workers' servers are.
 * Any thread. */
BERTH_API berth_drain_state berth_workers_drain_state(const berth_workers *workers);

/** Returns the number of workers. Any thread. */
BERTH_API int berth_workers_count(const berth_workers *workers);

/**
 * Returns the number of connections of a worker: those that were handed over to it or that it
 * accepted, whose sockets have not been freed or detached. A snapshot. Any thread.
 *
 * @param number  of the worker, from 0; for an invalid number the result is 0
 */
BERTH_API size_t berth_workers_connections(const berth_workers *workers, int number);

/**
 * Gets the sum of the counts of the workers' servers: see statistics.h. They include the servers of
 * earlier starts of the pool, also after it has stopped. Does not wait for a worker. Any thread.
 *
 * While workers serve connections, each count is read at a moment of its own, so that connections
 * on their way may appear on one side of the balance only. In a child of fork all are 0.
 *
 * @param ret_counts  berth_server_counts *
 */
#define berth_workers_statistics(workers, ret_counts) \
    berth_workers_statistics_sized((workers), (ret_counts), sizeof(berth_server_counts))

/** The function behind berth_workers_statistics. Writes `size` bytes. */
BERTH_API void berth_workers_statistics_sized(const berth_workers *workers,
                                              berth_server_counts *ret_counts, size_t size);

/** Returns the class of the last error of a function of the pool. Success does not clear it. Of
 * NULL, for a pool that could not be made, the class of errno. */
BERTH_API berth_error berth_workers_error(const berth_workers *workers);

/** Returns the text of that error; "" if there was none. Valid until the next error. Of NULL, for a
 * pool that could not be made, it says what errno means. */
BERTH_API const char *berth_workers_error_string(const berth_workers *workers);

/** Returns the number of a worker in its pool, from 0. Any thread. */
BERTH_API int berth_worker_number(const berth_worker *worker);

/** Returns the loop of a worker. It may be used for further objects, and must not be freed. */
BERTH_API berth_loop *berth_worker_loop(const berth_worker *worker);

/** Returns the server that owns a worker's connections, and that listens if the pool does. Set it
 * up in `started`. The pool frees it. */
BERTH_API berth_server *berth_worker_server(const berth_worker *worker);

/** Returns the user pointer of a worker. */
BERTH_API void *berth_worker_user(const berth_worker *worker);

/** Sets the user pointer that the handlers of this worker get from now on. Usually called in
 * `started`, with an object that `stopping` frees. */
BERTH_API void berth_worker_set_user(berth_worker *worker, void *user);

BERTH_END_DECLARATIONS

#endif
