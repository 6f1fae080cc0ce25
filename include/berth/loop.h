/*
 * The event loop of one thread.
 *
 * A loop owns a backend (io_uring or epoll), the timers and the buffers of everything that belongs
 * to it. It belongs to the thread that made it, and so do its objects: of all functions, only
 * berth_loop_post, berth_loop_stop and berth_loop_wake may be called from other threads, and
 * berth_server_loop and berth_socket_loop to get the loop for them. Builds with assertions end a
 * program that calls another. Wherever a function takes a loop, NULL stands for this thread's own
 * loop, which is made on first use and freed when the thread ends.
 *
 * One turn: wait for something to happen, run what has completed, run due timers, run posted tasks,
 * send what was written, free what was freed. Handlers run in a turn or inside a blocking wait,
 * never elsewhere but where a function says so. Everything may be closed and freed inside any
 * handler, the calling object included.
 *
 * What is begun outside of a turn, an abort for example, reaches the kernel with the next turn or
 * blocking wait at the latest. A program that does something else for long first calls
 * berth_loop_turn(loop, 0), which leaves nothing behind that was begun; nor do berth_loop_run and
 * blocking waits when they return. Output can be handed over by berth_socket_flush.
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

/** A task posted to a loop. */
typedef void (*berth_task)(void *user);

/** How a loop is to be made; a zeroed value is the default. Slots may be added at the end. */
typedef struct berth_loop_options {
    /** "io_uring" or "epoll" to have that or fail; NULL or "auto" for the environment variable
     * BERTH_BACKEND if it is set and not empty, else io_uring where it works and epoll elsewhere.
     * With io_uring a loop takes 16 KiB of the user's locked memory (RLIMIT_MEMLOCK); where that is
     * used up it is waited for, up to 127 ms, since the kernel gives back late what freed loops
     * had. */
    const char *backend;
} berth_loop_options;

/**
 * Makes a loop for the calling thread.
 *
 * @param options  NULL for the defaults
 * @return the loop, to be freed with berth_loop_free on the same thread; NULL on failure with errno
 *         set: ENOMEM, EMFILE or ENFILE (no descriptor left), EINVAL (no backend of that name), or
 *         what the kernel answered to the forced backend (berth_loop_backend_available tells more)
 */
#define berth_loop_new(options) berth_loop_new_sized((options), sizeof(berth_loop_options))

/** What berth_loop_new calls; `size` is the size of the options the caller was compiled with. */
BERTH_API berth_loop *berth_loop_new_sized(const berth_loop_options *options, size_t size);

/**
 * Frees a loop with every server, socket and timer that still belongs to it (their handlers are
 * called as by their own free functions). Tasks already posted are run first, and so are those that
 * come while the loop is being freed, until there are none: see berth_loop_post. Inside a turn of
 * the same loop the loop is stopped, and freed when its outermost run returns. NULL is ignored: a
 * thread's own loop is freed when the thread ends.
 *
 * Connections that have ended gracefully while their peers may still be sending are given time to
 * end without a reset, which could destroy the last bytes sent: this call then lasts until the
 * peers have ended too, but at most berth_loop_linger_time.
 */
BERTH_API void berth_loop_free(berth_loop *loop);

/** Default of berth_loop_linger_time, in milliseconds. */
#define BERTH_DEFAULT_LINGER_TIME 50

/**
 * How long berth_loop_free waits, in milliseconds, for peers of connections that have ended
 * gracefully; BERTH_DEFAULT_LINGER_TIME at first. 0 if this thread's own loop cannot be made.
 */
BERTH_API uint32_t berth_loop_linger_time(berth_loop *loop);

/**
 * Sets that time. It is for the end of a program, or of a thread: while the loop runs, connections
 * that have ended have up to a minute (see berth_socket_disconnect_from_host) and hold nobody up.
 *
 * @param loop          NULL for this thread's own loop
 * @param milliseconds  0 closes them at once: a peer that has not read all then may get a reset
 *                      instead of the last bytes
 */
BERTH_API void berth_loop_set_linger_time(berth_loop *loop, uint32_t milliseconds);

/**
 * This thread's own loop, made if there is none.
 *
 * @return NULL with errno set when it cannot be made
 */
BERTH_API berth_loop *berth_loop_current(void);

/**
 * Makes a loop that this process has inherited by fork its own, with all its servers, sockets and
 * timers: for a daemon, whose parent ends, and for processes that share a listener.
 *
 * After fork, the child's copies of loops and of what belongs to them are still the parent's. There
 * they only close descriptors, by their free, close, abort and disconnect functions, of which the
 * peers notice nothing and by which no handler is called; questions are answered. Everything else
 * fails, with ECHILD or an error of the class OPERATION whose text names fork, and a handler that
 * forks and returns ends the run of the loop in the child (-1, ECHILD). NULL for a loop stands for
 * a new one in the child. None of this is needed before exec: every descriptor of the library is
 * close-on-exec.
 *
 * A listener may be shared: each process that has made the loop its own accepts from it. A
 * connection must go on in one process only: what the child is not to have it frees before this
 * call, while that is only a copy (berth_server_drop_copies for those that wait in a server); and
 * what the child takes over the parent gives up with berth_socket_release, since its own end would
 * be the connection's. Input that was received and output that was written before the fork goes on
 * in the child, whether or not the kernel has taken it yet. Timers go on, also those that have
 * become due. Names that are being looked up may take some seconds longer. berth_loop_descriptor
 * has another descriptor.
 *
 * To be called in the child, on the thread that has forked, which must be the loop's; in a handler
 * too. Tasks posted before the fork run in both processes. Fork in a signal handler is not provided
 * for, nor are _Fork and clone, which do not call the handlers of pthread_atfork.
 *
 * @param loop  NULL for the loop that this thread had, unless it has got another one since
 * @return true if the loop is this process's own, also if it was before; false with errno set if
 *         not: ECHILD for a loop of a thread that this process does not have, else as
 *         berth_loop_new, and it may be tried again
 */
BERTH_API bool berth_loop_after_fork(berth_loop *loop);

/**
 * Turns the loop until berth_loop_stop. A stop that was called while no run was on its way ends the
 * next one at once. May be nested inside a handler.
 *
 * @param loop  NULL for this thread's own loop
 * @return the exit code given to berth_loop_stop; -1 with errno set if the loop cannot be made or
 *         its backend fails
 */
BERTH_API int berth_loop_run(berth_loop *loop);

/**
 * Makes one turn.
 *
 * @param loop          NULL for this thread's own loop
 * @param milliseconds  how long to wait for something to happen: 0 not at all, negative without
 *                      limit
 * @return whether anything ran: a completion, a timer or a task
 */
BERTH_API bool berth_loop_turn(berth_loop *loop, int milliseconds);

/**
 * Makes the innermost berth_loop_run return after the current turn; without one, the next.
 *
 * Each stop ends one run: two that are called before the inner of two nested runs has returned end
 * both, the inner one with the first code. Stops beyond the runs there are change nothing: the
 * first has said how the run ends. (Eight stops are kept at most.)
 *
 * May be called from any thread and from a signal handler, as long as the loop exists: before
 * freeing it, see to it that no signal handler uses it any more.
 *
 * @param loop       NULL for this thread's own loop (not in a signal handler)
 * @param exit_code  what berth_loop_run returns
 */
BERTH_API void berth_loop_stop(berth_loop *loop, int exit_code);

/** Ends the loop's present or next wait without anything having happened. Any thread; signal
 * handlers too. */
BERTH_API void berth_loop_wake(berth_loop *loop);

/**
 * Has a task run on the loop's thread, in the task phase of a turn. Tasks run in the order of
 * posting, each exactly once: at the latest when the loop is freed.
 *
 * May be called from any thread, as long as the loop exists. It does while berth_loop_free has
 * tasks or handlers to run: so a task or a handler may post, also when it runs inside that call,
 * and other threads may until one of these has joined them, or been told by them that they are
 * done. A task that always posts another keeps berth_loop_free from returning.
 *
 * @return false when out of memory; the task will not run
 */
BERTH_API bool berth_loop_post(berth_loop *loop, berth_task task, void *user);

/**
 * A descriptor that becomes readable when the loop wants a turn, for use inside another event loop:
 * when it is readable or berth_loop_timeout has passed, call berth_loop_turn(loop, 0). Do not read
 * from it. It is valid as long as the loop.
 *
 * @return -1 if this thread's own loop cannot be made, or with errno set if there is no descriptor
 *         for it: io_uring takes one at the first call
 */
BERTH_API int berth_loop_descriptor(berth_loop *loop);

/**
 * Milliseconds until the loop wants its next turn even if the descriptor stays quiet; -1 for none.
 *
 * Counted from the beginning of the present millisecond of the monotonic clock, as loops count that
 * read the clock in whole ones: a turn after that time finds the timer due. Ask before every wait.
 */
BERTH_API int berth_loop_timeout(berth_loop *loop);

/** Milliseconds of the monotonic clock that the loop's timers go by. */
BERTH_API uint64_t berth_loop_now(berth_loop *loop);

/** Name of the backend in use: "io_uring" or "epoll". NULL if this thread's own loop cannot be
 * made. */
BERTH_API const char *berth_loop_backend_name(berth_loop *loop);

/**
 * Why that backend is in use, for a log: "io_uring passed its self-test", "forced by
 * BERTH_BACKEND", or the reason why io_uring was refused. Valid as long as the loop; never NULL,
 * except if this thread's own loop cannot be made.
 */
BERTH_API const char *berth_loop_backend_reason(berth_loop *loop);

/** What the loop has done so far, see statistics.h; all zero if this thread's own loop cannot be
 * made. @param ret_counts  berth_loop_counts * */
#define berth_loop_statistics(loop, ret_counts) \
    berth_loop_statistics_sized((loop), (ret_counts), sizeof(berth_loop_counts))

/** What berth_loop_statistics calls; writes `size` bytes. */
BERTH_API void berth_loop_statistics_sized(berth_loop *loop, berth_loop_counts *ret_counts,
                                           size_t size);

/**
 * Tries whether a backend can be used by this process now.
 *
 * @param backend     "io_uring" or "epoll"
 * @param ret_reason  why it can or cannot, always terminated; may be NULL if `size` is 0
 * @param size        bytes at `ret_reason`; 160 is enough
 * @return whether it can. Any thread.
 */
BERTH_API bool berth_loop_backend_available(const char *backend, char *ret_reason, size_t size);

BERTH_END_DECLARATIONS

#endif
