/*
 * The event loop of one thread.
 *
 * A loop owns a backend (io_uring or epoll) and the timers and buffers of its objects. It belongs
 * to the thread that made it, and so do its objects. From other threads only these functions may be
 * called: berth_loop_post, berth_loop_stop and berth_loop_wake; berth_workers_submit, which names
 * the loop that calls `done`; and berth_server_loop and berth_socket_loop to get the loop for them.
 * Builds with assertions abort the program when another one is called. Where a function takes a
 * loop, NULL means the calling thread's own loop, which is made on first use and freed when the
 * thread ends.
 *
 * The phases of a turn:
 *
 * 1. wait for events,
 * 2. handle completions,
 * 3. run expired timers,
 * 4. run posted tasks,
 * 5. send what has been written,
 * 6. release what has been freed.
 *
 * Handlers are called in a turn or inside a blocking wait, and nowhere else unless a function says
 * so. Any object may be closed and freed inside any handler, including the object that called it.
 *
 * Operations that are started outside of a turn, for example an abort, reach the kernel in the next
 * turn or blocking wait. A program that does other work for a long time calls berth_loop_turn(loop,
 * 0) first: afterwards no started operation is left behind. The same holds when berth_loop_run or a
 * blocking wait has returned. berth_socket_flush passes output to the kernel at once.
 */
#ifndef BERTH_LOOP_H
#define BERTH_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/export.h>
#include <berth/statistics.h>

BERTH_BEGIN_DECLARATIONS

/** An event loop. Opaque; belongs to one thread. */
typedef struct berth_loop berth_loop;

/** A task posted to a loop with berth_loop_post. */
typedef void (*berth_task)(void *user);

/** Options of a loop. A zeroed value has the defaults. Slots may be added at the end. */
typedef struct berth_loop_options {
    /** "io_uring" or "epoll": that backend or failure. NULL or "auto": the backend that the
     * environment variable BERTH_BACKEND names if it is set and not empty; otherwise io_uring if it
     * works, else epoll.
     *
     * With io_uring a loop takes 16 KiB of the user's locked memory (RLIMIT_MEMLOCK). If none is
     * left, making the loop waits for it, because the kernel returns the memory of freed loops
     * late: for up to 127 ms, and for up to two seconds if this process has freed a loop within
     * the last five. */
    const char *backend;
} berth_loop_options;

/**
 * Makes a loop for the calling thread.
 *
 * @param options  const berth_loop_options *, copied; NULL for the defaults
 * @return the loop, to be freed with berth_loop_free on the same thread. NULL on failure with errno
 *         set: ENOMEM, EMFILE or ENFILE (no descriptor left), EINVAL (no such backend), or, for a
 *         backend that was requested by name, the kernel's error, ENOSYS if the library was built
 *         without it.
 *
 * berth_loop_backend_available says why in words, also if it is the environment that is wrong:
 *
 *     char reason[160];
 *     if (!loop && !berth_loop_backend_available(options.backend, reason, sizeof reason))
 *         fprintf(stderr, "cannot make a loop: %s\n", reason);
 */
#define berth_loop_new(options) berth_loop_new_sized((options), sizeof(berth_loop_options))

/** The function behind berth_loop_new. `size` is the size of the options struct that the caller was
 * compiled with. */
BERTH_API berth_loop *berth_loop_new_sized(const berth_loop_options *options, size_t size);

/**
 * Frees a loop with every server, socket and timer that still belongs to it. Their handlers are
 * called as by the functions that free them. Posted tasks are run first; tasks that are posted
 * meanwhile are run too, until there are none (see berth_loop_post). The loop's jobs are cancelled,
 * those that run are waited for without limit, and `done` is called for each (see
 * berth_workers_submit). Inside a turn of the same loop the loop is stopped, and freed when its
 * outermost run returns. NULL is ignored: a thread's own loop is freed when the thread ends.
 *
 * Connections that have ended gracefully may linger (see berth_socket_disconnect_from_host): if
 * they were closed now, a reset could destroy the last bytes sent. This call therefore waits until
 * their peers have ended too, but at most berth_loop_linger_time.
 */
BERTH_API void berth_loop_free(berth_loop *loop);

/** Default of berth_loop_linger_time, in milliseconds. */
#define BERTH_DEFAULT_LINGER_TIME 50

/** Returns how long berth_loop_free waits for lingering connections, in milliseconds. Default:
 * BERTH_DEFAULT_LINGER_TIME. 0 if the thread's own loop cannot be made. */
BERTH_API uint32_t berth_loop_linger_time(berth_loop *loop);

/**
 * Sets how long berth_loop_free waits for lingering connections. It matters at the end of a program
 * or thread only: while the loop runs, connections linger for up to a minute and block nothing.
 *
 * @param loop          NULL for the calling thread's own loop
 * @param milliseconds  0 closes them at once: a peer that has not received everything by then may
 *                      get a reset instead of the last bytes
 */
BERTH_API void berth_loop_set_linger_time(berth_loop *loop, uint32_t milliseconds);

/** Returns the calling thread's own loop, and makes it if there is none. NULL with errno set if it
 * cannot be made. */
BERTH_API berth_loop *berth_loop_current(void);

/**
 * Takes over a loop, with all its servers, sockets and timers, in a child of fork. For a daemon,
 * whose parent exits, and for processes that share a listener.
 *
 * After fork the child has copies of loops and objects that belong to the parent. With these copies
 * the child can only close descriptors: the functions that free, close, abort and disconnect do
 * that, call no handler, and the peers notice nothing. Functions that only return a value work. All
 * others fail with errno ECHILD, or with class OPERATION and a text that names fork. If a handler
 * forks and returns, the run of the loop ends in the child (-1, ECHILD). NULL for a loop means a
 * new loop in the child. This function is not needed before exec: every descriptor of the library
 * is close-on-exec.
 *
 * A listener may be shared: each process that has taken over the loop accepts connections. A
 * connection must continue in one process only:
 *
 * - Connections that the child must not serve are freed in the child before this call
 *   (berth_server_drop_copies for those that are pending in a server).
 * - Connections that the child serves are given up in the parent with berth_socket_release, since
 *   ending them there would end them for both.
 *
 * In the child received input and written output continue, whether or not the kernel has accepted
 * the output. Timers continue, also those that have expired meanwhile. Names that are being
 * resolved may take some seconds longer. berth_loop_descriptor returns another descriptor.
 *
 * Must be called in the child, on the thread that forked, which must be the loop's thread; inside a
 * handler too. Tasks posted before the fork run in both processes; jobs that had not ended are
 * cancelled in the child. Forking in a signal handler, _Fork and clone are not supported: they do
 * not run the handlers of pthread_atfork.
 *
 * @param loop  NULL for the loop that this thread had before the fork, unless it has a new one
 * @return true if the loop belongs to this process, also if it did before. False with errno set
 *         otherwise: ECHILD for a loop of a thread that does not exist in this process; else as
 *         berth_loop_new, and the call may be repeated.
 */
BERTH_API bool berth_loop_after_fork(berth_loop *loop);

/**
 * Runs the loop until berth_loop_stop is called. If that was called while the loop was not running,
 * the next run returns at once. Runs may be nested inside handlers.
 *
 * @param loop  NULL for the calling thread's own loop
 * @return the exit code given to berth_loop_stop; -1 with errno set if the loop cannot be made or
 *         its backend fails
 */
BERTH_API int berth_loop_run(berth_loop *loop);

/**
 * Runs one turn of the loop.
 *
 * @param loop          NULL for the calling thread's own loop
 * @param milliseconds  how long to wait for events: 0 does not wait, a negative value waits without
 *                      limit. The turn behind a berth_loop_stop does not wait.
 * @return whether anything ran: a completion, a timer or a task
 */
BERTH_API bool berth_loop_turn(berth_loop *loop, int milliseconds);

/**
 * Makes the innermost berth_loop_run return after the present turn; if the loop is not running, the
 * next one.
 *
 * Each stop ends one run. If two stops are called before the inner of two nested runs has returned,
 * they end both runs, the inner one with the first exit code. Further stops than there are runs are
 * ignored. At most eight stops are stored.
 *
 * May be called on any thread and in a signal handler while the loop exists. Before the loop is
 * freed, the program must make sure that no signal handler uses it any more.
 *
 * @param loop       NULL for the calling thread's own loop (not in a signal handler)
 * @param exit_code  the result of berth_loop_run
 */
BERTH_API void berth_loop_stop(berth_loop *loop, int exit_code);

/** Ends the present wait of the loop for events, or else the next one. Any thread; also allowed in
 * a signal handler. */
BERTH_API void berth_loop_wake(berth_loop *loop);

/**
 * Posts a task, to be run on the loop's thread in the task phase of a turn. Tasks run in the order
 * in which they were posted, each exactly once, at the latest when the loop is freed.
 *
 * May be called on any thread while the loop exists. The loop exists while berth_loop_free runs
 * tasks and handlers: these may post, and so may other threads until a task or handler has joined
 * them or has learned that they have finished. A task that always posts another one prevents
 * berth_loop_free from returning.
 *
 * @param user  passed to the task
 * @return false when out of memory; the task is not run then
 */
BERTH_API bool berth_loop_post(berth_loop *loop, berth_task task, void *user);

/** Called in a blocking wait (berth_socket_wait_for_..., berth_server_wait_for_new_connection,
 * berth_server_listen through a proxy) each time that the thread has slept and nothing has come for
 * the wait, for example because a signal has interrupted it. Returns true to end the wait as if its
 * time had passed. Must not call functions of the library. */
typedef bool (*berth_wait_check)(void *user);

/**
 * Sets what is asked in blocking waits on the loop, for interpreters and programs whose signals are
 * to end them.
 *
 * @param loop   NULL for the calling thread's own
 * @param check  NULL for none, which is the default
 * @param user   passed to the function
 */
BERTH_API void berth_loop_set_wait_check(berth_loop *loop, berth_wait_check check, void *user);

/**
 * Returns a descriptor that becomes readable when the loop needs a turn, for use inside another
 * event loop. When it is readable, or when berth_loop_timeout has passed, call
 * berth_loop_turn(loop, 0). Do not read from it. It is valid as long as the loop.
 *
 * @return -1 with errno set if the thread's own loop cannot be made, or if no descriptor is left;
 *         io_uring needs one at the first call
 */
BERTH_API int berth_loop_descriptor(berth_loop *loop);

/**
 * Returns the milliseconds until the loop needs its next turn if the descriptor does not become
 * readable; -1 for no limit. Call it before every wait.
 *
 * The time counts from the beginning of the present millisecond of the monotonic clock, as in event
 * loops that read the clock in whole milliseconds. After that time the timer has expired.
 */
BERTH_API int berth_loop_timeout(berth_loop *loop);

/** Returns the time of the loop's timers: milliseconds of the monotonic clock; 0 if the thread's
 * own loop cannot be made. */
BERTH_API uint64_t berth_loop_now(berth_loop *loop);

/** Returns the name of the backend, "io_uring" or "epoll", a static string; NULL if the thread's
 * own loop cannot be made. */
BERTH_API const char *berth_loop_backend_name(berth_loop *loop);

/**
 * Returns why that backend is used, for a log: "io_uring passed its self-test", "forced by
 * BERTH_BACKEND", or why io_uring was refused. Valid as long as the loop. NULL only if the thread's
 * own loop cannot be made.
 */
BERTH_API const char *berth_loop_backend_reason(berth_loop *loop);

/**
 * Gets the counts of the loop: see statistics.h. All zero if the thread's own loop cannot be made.
 *
 * @param ret_counts  berth_loop_counts *
 */
#define berth_loop_statistics(loop, ret_counts) \
    berth_loop_statistics_sized((loop), (ret_counts), sizeof(berth_loop_counts))

/** The function behind berth_loop_statistics. Writes `size` bytes. */
BERTH_API void berth_loop_statistics_sized(berth_loop *loop, berth_loop_counts *ret_counts,
                                           size_t size);

/**
 * Tests whether this process can use a backend now. Any thread.
 *
 * @param backend     as in berth_loop_options: "io_uring" or "epoll"; NULL or "auto" for what a
 * loop gets that is made without options
 * @param ret_reason  receives why it can or cannot, always terminated; may be NULL if `size` is 0
 * @param size        size of the buffer in bytes; 160 is enough
 * @return whether it can
 */
BERTH_API bool berth_loop_backend_available(const char *backend, char *ret_reason, size_t size);

BERTH_END_DECLARATIONS

#endif
