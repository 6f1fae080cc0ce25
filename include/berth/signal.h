/*
 * Signals as events of a loop.
 *
 * Berth leaves signals alone unless the program asks. berth_signal_new has a loop call a function
 * when the process gets a signal: on the loop's thread, in the completion phase of a turn (see
 * loop.h), where everything may be called. A signal ends the loop's wait for events; blocking waits
 * of servers and sockets go on, and the handler is called in the next turn after them.
 *
 * As in the kernel, signals of one number that come before the handler is called count as one. One
 * number may have several handlers, in one loop or in the loops of several threads; each is called
 * for signals that come after it was made.
 * The kernel delivers a signal on any thread that has not blocked it. The threads of workers block
 * all, so a number that the program's other threads have blocked never comes.
 *
 * With the first handler of a number Berth installs a signal handler with sigaction(2). One that
 * the program had installed before is called too, at once, as if it were alone: chained. When the
 * last handler of the number is freed, what was there before is installed again, unless the program
 * has installed something else meanwhile, which stays. The program should not change a number with
 * sigaction while it has a handler here; a handler of its own that it installs then should call the
 * one that sigaction has returned. While there is a handler here the default action of the signal,
 * such as ending the process, does not happen.
 *
 * A chained handler runs with the mask, and with SA_NODEFER, SA_ONSTACK and SA_RESTART as the
 * program has installed it. One with SA_RESETHAND is called for one signal only; from then on there
 * is the default action in its place, also when the last handler here is freed. What cannot be had:
 * sigaction shows Berth's signal handler meanwhile, after the one call of such a handler too; and a
 * handler that is chained by one that the program has installed over Berth's runs with that one's
 * mask and flags.
 *
 * In a child of fork a signal has the effect that it would have without Berth until
 * berth_loop_after_fork has taken over the loop: its handlers are called then for signals of the
 * child. exec resets signals to their default action.
 *
 * All functions must be called on the loop's thread.
 */
#ifndef BERTH_SIGNAL_H
#define BERTH_SIGNAL_H

#include <berth/export.h>
#include <berth/loop.h>

BERTH_BEGIN_DECLARATIONS

/** A handler of a signal. Opaque; belongs to one loop and its thread. */
typedef struct berth_signal berth_signal;

/** Called when the signal has come, in a turn of the loop. The object may be freed inside. */
typedef void (*berth_signal_handler)(berth_signal *signal, void *user);

/**
 * Has a loop call a function whenever the process gets a signal.
 *
 * @param loop     the loop whose turns call it; NULL for the calling thread's own
 * @param number   SIGTERM, SIGHUP, SIGUSR1 and so on, real-time signals too
 * @param handler  called when it has come; NULL for none, which only prevents the default action
 * @param user     passed to the handler
 * @return the object. Free it with berth_signal_free; freeing the loop frees it too. NULL with
 *         errno set: EINVAL (no such signal; SIGKILL and SIGSTOP, which cannot be handled; SIGABRT,
 *         SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS and SIGTRAP, after which the program cannot go
 *         on), EBUSY (the program has replaced Berth's signal handler too often), ENOMEM, ECHILD
 *         (the loop is the parent's, see berth_loop_after_fork), or that of the thread's own loop,
 *         which cannot be made.
 */
BERTH_API berth_signal *berth_signal_new(berth_loop *loop, int number, berth_signal_handler handler,
                                         void *user);

/** Frees the object: its handler is not called again, even if a signal has come already. Allowed
 * inside any handler. NULL is ignored. */
BERTH_API void berth_signal_free(berth_signal *signal);

/** Returns the number that the object was made with. */
BERTH_API int berth_signal_number(const berth_signal *signal);

BERTH_END_DECLARATIONS

#endif
