/*
 * Listeners from outside: descriptors that another process has opened and passed to this one.
 *
 * There are two sources:
 *
 * - The parent that started the program, usually systemd or systemd-socket-activate, passes them by
 *   the environment variables LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES.
 * - A process that hands over to this one passes them through a Unix socket; see handover.h.
 *
 * Both put them into one list of the process, in which each has a name. A program asks for a name
 * and needs not know the source:
 *
 *     if (berth_inherited_left("http") > 0)
 *         listens = berth_server_listen_inherited(server, "http");
 *     else
 *         listens = berth_server_listen(server, BERTH_ADDRESS_ANY, 80);
 *
 * Several descriptors may have the same name. Each call takes the next of them.
 *
 * The environment is read by the first call of any function here, and the variables are unset, so
 * that programs started later do not take them for theirs. As unsetenv is not safe beside other
 * threads that use the environment, make this call at the start of the program. It sets
 * close-on-exec on the descriptors. What is not right is left out:
 *
 * - LISTEN_PID is another process, or not a number: nothing was passed.
 * - LISTEN_FDS is not a number from 1 to BERTH_MOST_INHERITED: nothing was passed.
 * - LISTEN_FDNAMES is missing: each name is "unknown", as with sd_listen_fds_with_names.
 * - LISTEN_FDNAMES has another number of names, or one that is too long: each name is "unknown",
 *   since a listener with a wrong name would serve the wrong peers.
 * - A descriptor is not open: it has its place and name, and cannot be taken.
 *
 * The kind of a descriptor is checked when a server adopts it.
 *
 * A descriptor that nobody takes stays open as long as the process; but berth_handover_ready closes
 * those that were handed over and not taken.
 *
 * Where it is not said otherwise, any thread. In a child of fork the list is the child's own, with
 * copies of the descriptors that had not been taken.
 */
#ifndef BERTH_INHERITED_H
#define BERTH_INHERITED_H

#include <stdbool.h>
#include <stddef.h>

#include <berth/export.h>
#include <berth/server.h>
#include <berth/workers.h>

BERTH_BEGIN_DECLARATIONS

/** Maximum number of descriptors from one source. */
#define BERTH_MOST_INHERITED 4096

/** Maximum length of a name, in bytes. */
#define BERTH_MOST_INHERITED_NAME 255

/** Returns the number of descriptors that were passed to this process, those that have been taken
 * included. */
BERTH_API size_t berth_inherited_count(void);

/**
 * Returns the name of a descriptor.
 *
 * @param index  from 0, in the order in which they were passed; those of a hand-over follow those
 *               of the environment. Never changes for a descriptor.
 * @return the name, which may be "", valid as long as the process; NULL for an invalid index
 */
BERTH_API const char *berth_inherited_name(size_t index);

/**
 * Returns how many descriptors of a name can still be taken.
 *
 * @param name  "" or NULL counts all, whatever their name
 */
BERTH_API size_t berth_inherited_left(const char *name);

/**
 * Takes the next descriptor of a name, whatever kind it is. It is close-on-exec.
 *
 * @param name  "" or NULL for the next of any name
 * @return the descriptor, which the caller owns from now on; -1 with errno ENOENT if there is none
 */
BERTH_API int berth_inherited_take(const char *name);

/**
 * Listens on the next descriptor of a name, as berth_server_set_descriptor does. On success the
 * server owns it. To be called on the thread of the server's loop.
 *
 * @param name  "" or NULL for the next of any name
 * @return false on failure, with class and text set; the descriptor can still be taken then.
 *         ADDRESS_NOT_AVAILABLE: there is none of this name, or all have been taken. Otherwise as
 *         berth_server_set_descriptor.
 */
BERTH_API bool berth_server_listen_inherited(berth_server *server, const char *name);

/**
 * Makes a pool listen on all descriptors of a name that are left, as berth_workers_set_descriptors
 * does. On success the pool owns them.
 *
 * @param name  "" or NULL for all of any name
 * @return false on failure, with class and text set; the descriptors can still be taken then.
 *         ADDRESS_NOT_AVAILABLE: there is none of this name, or all have been taken.
 *         SOCKET_RESOURCE: out of memory. Otherwise as berth_workers_set_descriptors.
 */
BERTH_API bool berth_workers_listen_inherited(berth_workers *workers, const char *name);

BERTH_END_DECLARATIONS

#endif
