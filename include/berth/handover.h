/*
 * Hot restart: a running process hands its listeners, and blobs of its own, over to its successor.
 *
 * The listening sockets themselves pass through a Unix socket, with the connections that wait in
 * their backlogs. Nobody is refused and no connection is lost, since there is no moment at which
 * nobody listens. Connections that are open stay with the old process, which ends them in its time.
 *
 *     old process                                 new process
 *     berth_handover_offer
 *     berth_handover_add for each server
 *                         <--- connects ---       berth_handover_take
 *     `taking`            --- listeners, blobs -> listens on them, by name; gets ready
 *     still serves                                still serves nobody, or serves too
 *                         <--- ready -------      berth_handover_ready
 *     `succeeded`         --- done ----------->   true: it serves alone
 *     drains its servers, ends                    berth_handover_offer, for the next one
 *
 * Until the new process says that it is ready, the old one serves as before. If the new process
 * ends, stalls or breaks the protocol before that, nothing has changed: `failed` is called, and
 * another may come. From berth_server_listen_inherited on both processes may accept, which is
 * right: there is one backlog, and each connection comes to one of them.
 *
 * The new process asks for its listeners by name, in the list that also has those of systemd:
 *
 *     char text[256];
 *     berth_inheritance *inheritance = berth_handover_take(path, 5000, text, sizeof text);
 *     if (inheritance == NULL)
 *         log("starts without a predecessor", text);
 *     bool listens = berth_inherited_left("http") > 0
 *                        ? berth_server_listen_inherited(server, "http")
 *                        : berth_server_listen(server, BERTH_ADDRESS_ANY, 80);
 *     ...
 *     if (inheritance != NULL && !berth_handover_ready(inheritance))
 *         exit(1);                                    the old process goes on
 *     handover = berth_handover_offer(NULL, path, &handlers, NULL);
 *
 * Only processes of the same effective user can take over from each other. Whoever can write to the
 * file of the path can connect, and any user to an abstract name ("@name"); others are refused. The
 * peers of a hand-over have the protocol in common, not the version of the library.
 *
 * Functions of a hand-over must be called on the thread of its loop. In a child of fork an offer
 * remains the parent's; the child can only free its copy.
 */
#ifndef BERTH_HANDOVER_H
#define BERTH_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/export.h>
#include <berth/inherited.h>
#include <berth/loop.h>
#include <berth/server.h>
#include <berth/workers.h>

BERTH_BEGIN_DECLARATIONS

/** What a process offers to its successor. Opaque; belongs to one loop and its thread. */
typedef struct berth_handover berth_handover;

/** What a process has taken from its predecessor. Opaque; belongs to no loop. */
typedef struct berth_inheritance berth_inheritance;

/** Maximum size of all blobs of a hand-over together, in bytes: names, and 8 bytes for each, are
 * counted. */
#define BERTH_MOST_HANDOVER_BYTES 1048576

/** Default of berth_handover_set_time_limit, in milliseconds. */
#define BERTH_DEFAULT_HANDOVER_TIME_LIMIT 60000

/** How far a hand-over has come. */
typedef enum berth_handover_state {
    BERTH_HANDOVER_OFFERED = 0,  /**< nobody has come; or whoever came has failed */
    BERTH_HANDOVER_TAKING = 1,   /**< a process has connected, and is being sent what it takes */
    BERTH_HANDOVER_TAKEN = 2,    /**< it has everything, and is not ready yet */
    BERTH_HANDOVER_SUCCEEDED = 3 /**< it is ready: the old process is done with accepting */
} berth_handover_state;

/**
 * Handlers of a hand-over, called on the thread of its loop. Every slot may be NULL. The struct is
 * not copied and must live as long as the hand-over. Slots may be added at the end.
 */
typedef struct berth_handover_handlers {
    /** The successor is ready. The servers that were handed over still listen: drain them
     * (berth_server_drain, berth_workers_drain), without a grace. That leaves the backlog to the
     * successor. The path is free for the successor's own offer already. */
    void (*succeeded)(berth_handover *handover, void *user);

    /** A successor has failed: it has ended, said nothing within the limits, or broken the
     * protocol. The state is OFFERED again; nothing else has changed. `text` says which process and
     * why, until the handler returns. */
    void (*failed)(berth_handover *handover, const char *text, void *user);

    /** A successor begins to take: the last moment to renew what it gets, by berth_handover_add and
     * berth_handover_add_blob. */
    void (*taking)(berth_handover *handover, void *user);
} berth_handover_handlers;

/* ---- the old process ------------------------------------------------------------------------- */

/**
 * Offers a hand-over at a path. The file is made with mode 0600; one that a process has left there
 * which no longer listens is replaced, and nothing else ever is. Processes that begin to offer
 * exclude each other by a lock on an empty file PATH.lock, which is made and left there.
 *
 * @param loop      the loop that it belongs to; NULL for the calling thread's own
 * @param path      1 to 107 bytes, or '@' and an abstract name of up to 107 bytes. A relative path
 *                  means the working directory, now and when the offer ends.
 * @param handlers  const berth_handover_handlers *, not copied; NULL for none
 * @param user      passed to the handlers
 * @return the hand-over. Free it with berth_handover_free; freeing the loop frees it too. NULL with
 *         errno set: EADDRINUSE (a process offers there, or something else is in the place), EINVAL
 *         or ENAMETOOLONG (the path), ENOENT, EACCES (the directory), EMFILE, ENFILE, ENOMEM, or
 *         why there is no loop.
 */
#define berth_handover_offer(loop, path, handlers, user) \
    berth_handover_offer_sized((loop), (path), (handlers), sizeof(berth_handover_handlers), (user))

/** The function behind berth_handover_offer. `size` is the size of the handlers struct that the
 * caller was compiled with. */
BERTH_API berth_handover *berth_handover_offer_sized(berth_loop *loop, const char *path,
                                                     const berth_handover_handlers *handlers,
                                                     size_t size, void *user);

/**
 * Ends the offer and frees it. A successor that is not ready yet is told so, and fails, if this
 * process goes on to serve: if a server or pool that was added listens and does not drain.
 * Otherwise the successor may become ready: it finds that this process has ended.
 *
 * No handler is called. The file is removed if it is still the one that was made. Allowed inside
 * any handler. NULL is ignored. Freeing the loop does the same, and ends its servers.
 */
BERTH_API void berth_handover_free(berth_handover *handover);

/** Returns the user pointer that was given with the handlers. */
BERTH_API void *berth_handover_user(const berth_handover *handover);

/**
 * Adds the listener of a server, under the name by which the successor asks for it. What the server
 * listens on when a successor comes is handed over, so it may close and listen again meanwhile; if
 * it does not listen then, or through a proxy, nothing is. A server that is freed is left out. The
 * file of a Unix socket is not removed while a successor has the listener, nor after a hand-over:
 * what listens there anew some day needs berth_local_options.replace_stale.
 *
 * @param name    up to BERTH_MOST_INHERITED_NAME bytes; several may have the same
 * @param server  of the same loop
 * @return false with errno set: EINVAL (the name is too long or NULL, or the server is of another
 *         loop), EEXIST (it was added before, or to another offer that has not succeeded), ENOMEM,
 *         ESHUTDOWN (the hand-over has succeeded) or ECHILD
 */
BERTH_API bool berth_handover_add(berth_handover *handover, const char *name, berth_server *server);

/**
 * Adds all listeners of a pool, under one name. The successor's pool takes them with
 * berth_workers_listen_inherited, whatever its number of workers is.
 *
 * @param name     as berth_handover_add
 * @param workers  left out once it is freed, which must be done on this thread as long as the
 *                 hand-over exists
 * @return as berth_handover_add
 */
BERTH_API bool berth_handover_add_workers(berth_handover *handover, const char *name,
                                          berth_workers *workers);

/**
 * Adds bytes that the successor needs: keys of session tickets, for example. They are copied, and
 * the copy is overwritten with zeros before it is freed. Bytes that were added under the same name
 * are replaced.
 *
 * @param name   up to BERTH_MOST_INHERITED_NAME bytes
 * @param bytes  may be NULL if `size` is 0
 * @return false with errno set, and nothing has changed: EINVAL (the name is too long or NULL),
 *         EMSGSIZE (more than BERTH_MOST_HANDOVER_BYTES), ENOMEM, ESHUTDOWN or ECHILD
 */
BERTH_API bool berth_handover_add_blob(berth_handover *handover, const char *name,
                                       const void *bytes, size_t size);

/** Sets how long a successor may take from the moment when it has everything until it is ready. A
 * new limit counts for the next successor. Time for the transfer itself is 5000 ms.
 *
 * @param milliseconds  0 for no limit
 */
BERTH_API void berth_handover_set_time_limit(berth_handover *handover, uint32_t milliseconds);

/** Returns how far it has come. */
BERTH_API berth_handover_state berth_handover_current_state(const berth_handover *handover);

/** Returns the process that is the successor, or was the last one to try; 0 if none has come, or if
 * its number is not visible in this one's namespace. */
BERTH_API int64_t berth_handover_successor(const berth_handover *handover);

/** Returns the text of the last failure; "" if there was none. Valid until the next one. Of NULL,
 * for an offer that could not be made, it says what errno means. */
BERTH_API const char *berth_handover_error_string(const berth_handover *handover);

/* ---- the new process ------------------------------------------------------------------------- */

/**
 * Takes what another process offers. Blocks until everything is here. The listeners are then in the
 * list of berth_inherited_count, behind those that are there already; on failure nothing is. Needs
 * no loop. Any thread.
 *
 * @param path          as berth_handover_offer
 * @param milliseconds  time limit, also for berth_handover_ready; negative for none
 * @param ret_text      receives what was tried and why it failed, "" on success; NULL if not wanted
 * @param size          of ret_text
 * @return the inheritance, to be freed with berth_inheritance_free; NULL with errno set: ENOENT or
 *         ECONNREFUSED (nobody offers there), ETIMEDOUT, EBUSY (refused: another process is taking,
 *         or the versions differ; or withdrawn), EPERM or EACCES (the offer is another user's),
 *         EPROTO (not this protocol), ECONNRESET (the other process has ended), EMFILE (there are
 *         not enough descriptors), ENOMEM, EINVAL or ENAMETOOLONG (the path)
 */
BERTH_API berth_inheritance *berth_handover_take(const char *path, int milliseconds, char *ret_text,
                                                 size_t size);

/**
 * Says that this process serves from now on. Call it when its servers listen and everything is
 * ready to serve. Blocks until the old process has answered, within the time limit.
 *
 * On success, listeners that were handed over and that nobody has taken are closed: connections
 * that wait there are reset once the old process has closed them too. If the old process has ended
 * by itself, was killed or does not answer in time, the result is true as well, since nobody else
 * serves. So it is if it has drained and freed its offer or its loop. One that did not answer and
 * goes on after all has succeeded then.
 *
 * @return false if the old process does not want this one any more, and continues to serve: the
 *         time limit of berth_handover_set_time_limit is over, or the offer was withdrawn.
 *         berth_inheritance_error_string returns the reason. This process should end then.
 */
BERTH_API bool berth_handover_ready(berth_inheritance *inheritance);

/**
 * Gets a blob.
 *
 * @param name      as berth_handover_add_blob
 * @param ret_size  receives its size, 0 if there is none; NULL if not wanted
 * @return the bytes, valid until berth_inheritance_free; NULL if there is none of that name
 */
BERTH_API const void *berth_inheritance_blob(const berth_inheritance *inheritance, const char *name,
                                             size_t *ret_size);

/** Returns why berth_handover_ready has failed; "" if it has not. */
BERTH_API const char *berth_inheritance_error_string(const berth_inheritance *inheritance);

/** Frees an inheritance, its blobs overwritten with zeros. Without a successful
 * berth_handover_ready before, this gives up: the old process is told by the end of the connection,
 * and listeners that nobody has taken are closed. NULL is ignored. */
BERTH_API void berth_inheritance_free(berth_inheritance *inheritance);

BERTH_END_DECLARATIONS

#endif
