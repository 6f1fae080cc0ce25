/*
 * Listening on a name of a Unix socket: the file, and who may replace it.
 *
 * Servers on a path and offers of a hand-over take their places by this. It knows the kernel, not
 * the library's objects.
 */
#ifndef BERTH_SRC_LOCAL_PLACE_H
#define BERTH_SRC_LOCAL_PLACE_H

#include "local_name.h"

#include <berth/local.h>

#include <sys/types.h>

enum {
    BERTH__DYING_MOMENT = 200 /* milliseconds that a ring outlives its process by */
};

/* How to listen on a name. */
typedef struct berth__local_listen {
    berth__local_name name;
    int backlog;
    bool waits; /* for an abstract name too, if its process has just ended */
    berth_local_options options;
} berth__local_listen;

/* A file that was made, to be known again. All zero: none. */
typedef struct berth__local_file {
    uint64_t device;
    uint64_t inode;
} berth__local_file;

/* Which step of that has failed. */
typedef enum berth__local_step {
    BERTH__LOCAL_CREATE,
    BERTH__LOCAL_LOCK,   /* EWOULDBLOCK: another has it; EEXIST: it is no plain file */
    BERTH__LOCAL_BIND,   /* EADDRINUSE: there is something, and it is not to be replaced */
    BERTH__LOCAL_PLACE,  /* what is there; EEXIST: it is no socket */
    BERTH__LOCAL_PROBE,  /* EADDRINUSE: somebody listens there */
    BERTH__LOCAL_REMOVE, /* EADDRINUSE: it was replaced meanwhile */
    BERTH__LOCAL_GROUP,
    BERTH__LOCAL_MODE,
    BERTH__LOCAL_LISTEN,
    BERTH__LOCAL_ATTACH /* the backend's */
} berth__local_step;

/* Has a socket, of any type, listen there. Returns an errno; then no file of it is left. An
 * abstract name has no file. */
int berth__local_place_take(int descriptor, const berth__local_listen *how,
                            berth__local_file *ret_file, berth__local_step *ret_step);

/* Removes the file if it still is the one that was made. To be called before the listener is
 * closed: until then nobody takes the place, and no other file gets the number of this one. */
void berth__local_place_leave(const berth__local_name *name, const berth__local_file *file);

/* Connects, again if interrupted. Returns an errno. */
int berth__local_connect(int descriptor, const berth__local_name *name);

/* Whether nobody has taken a fresh connection, or ever will, since the process that listened has
 * ended. If that is so, waits for up to so many milliseconds until the kernel shows it. */
bool berth__local_is_dying(int connection, int milliseconds);

/* Whether a process has ended, or does so within so many milliseconds. One that nobody has waited
 * for yet has ended, though its number is still there. */
bool berth__local_has_ended(pid_t number, int milliseconds);

#endif
