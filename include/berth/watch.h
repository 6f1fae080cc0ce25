/*
 * Watches: descriptors of the program's own in a loop.
 *
 * A watch calls a function when a descriptor can be read from or written to: a pipe, a socket that
 * is not Berth's, an eventfd, a timerfd, a signalfd, an inotify descriptor, the descriptor of
 * another library's event loop. The program does the reading and writing, and the descriptor stays
 * its own: Berth neither reads from it nor closes it.
 *
 *     berth_watch_new -> inactive -> berth_watch_start -> active -> berth_watch_stop -> inactive
 *
 * Handlers are called in the completion phase of a turn (see loop.h), and not in blocking waits.
 * Readiness is a level: while the descriptor is ready and the watch is active, the handler is
 * called again and again, in each turn as a rule. A handler therefore reads until there is nothing
 * more, or as much as it wants, and is called again for the rest. The descriptor should be
 * non-blocking. Do not count turns: after a watch was stopped, or started for other events, a turn
 * may return at once without having called it, and the next one calls it.
 *
 * While a watch is active Berth holds a copy of the descriptor (one more descriptor of the
 * process). So several watches, in one loop or in several, may have the same descriptor, and a
 * descriptor that is closed too early confuses nothing. But its file stays open as long as there is
 * a copy: the other end of a pipe sees the end only then. So stop or free the watch first, and
 * close the descriptor, or give it to a socket or server, afterwards. Inside the handler of a watch
 * that was started once, and after berth_watch_stop or berth_watch_free has returned, there is no
 * copy.
 *
 * All functions must be called on the loop's thread. In a child of fork the watches of a loop
 * continue when it has been taken over by berth_loop_after_fork; before that they can only be
 * stopped and freed.
 */
#ifndef BERTH_WATCH_H
#define BERTH_WATCH_H

#include <stdbool.h>

#include <berth/export.h>
#include <berth/loop.h>

BERTH_BEGIN_DECLARATIONS

/** A watch. Opaque; belongs to one loop and its thread. */
typedef struct berth_watch berth_watch;

/** What a watch waits for; the values may be combined with |. */
enum {
    /** The descriptor has something to read, or its end. */
    BERTH_WATCH_READ = 1,
    /** It has room for something to be written. */
    BERTH_WATCH_WRITE = 2
};

/**
 * Called when the descriptor is ready. The watch may be started, stopped and freed inside, and the
 * descriptor closed once it is. A handler that turns the loop is not called inside itself, unless
 * it has started the watch again.
 *
 * @param events  what it is ready for, of what the watch waits for: at least one BERTH_WATCH_
 *                value. After an error or a hang-up it is ready for everything: reading or writing
 *                reports what has happened.
 */
typedef void (*berth_watch_handler)(berth_watch *watch, unsigned events, void *user);

/**
 * Makes a watch that is not active.
 *
 * @param loop        the loop that it belongs to; NULL for the calling thread's own
 * @param descriptor  any descriptor that poll(2) waits for. It stays the program's.
 * @param handler     called when it is ready; must not be NULL
 * @param user        passed to the handler
 * @return the watch. Free it with berth_watch_free; freeing the loop frees it too. NULL with errno
 *         set: EBADF (not open), EPERM (it is always ready: a regular file or a directory), EEXIST
 *         (a server or socket of this loop has it), EINVAL (no handler, or it is the one of
 *         berth_loop_descriptor), EMFILE or ENFILE (no descriptor left), ENOMEM, ECHILD (the loop
 *         is the parent's, see berth_loop_after_fork), or that of the thread's own loop, which
 *         cannot be made.
 */
BERTH_API berth_watch *berth_watch_new(berth_loop *loop, int descriptor,
                                       berth_watch_handler handler, void *user);

/** Stops and frees a watch. Allowed inside any handler. NULL is ignored. */
BERTH_API void berth_watch_free(berth_watch *watch);

/**
 * Starts a watch: the handler is called whenever the descriptor is ready, until berth_watch_stop.
 * An active watch then waits for the new events.
 *
 * @param events  BERTH_WATCH_READ, BERTH_WATCH_WRITE or both
 * @return true if it is active; else it is inactive, and errno is set as by berth_watch_new, to
 *         EINVAL also for other events, or to ENOSPC (max_user_watches of epoll(7))
 */
BERTH_API bool berth_watch_start(berth_watch *watch, unsigned events);

/** Starts a watch like berth_watch_start, for one call of the handler: the watch is inactive then,
 * also inside the handler, until it is started again. */
BERTH_API bool berth_watch_start_once(berth_watch *watch, unsigned events);

/** Stops a watch: the handler is not called again until it is started. No effect when inactive. */
BERTH_API void berth_watch_stop(berth_watch *watch);

/** Returns whether the watch is active. */
BERTH_API bool berth_watch_is_active(const berth_watch *watch);

/** Returns the descriptor that the watch was made with. */
BERTH_API int berth_watch_descriptor(const berth_watch *watch);

BERTH_END_DECLARATIONS

#endif
