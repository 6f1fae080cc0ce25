/*
 * The file of limits that daemon_server reads at its start and on SIGHUP. A line is "NAME NUMBER";
 * empty lines, and those that begin with '#', are ignored. What the file does not name keeps its
 * default. Times are milliseconds, and 0 is no limit:
 *
 *     per-address     connections of one address              0
 *     per-second      connections accepted in a second        0
 *     first-byte      until the first byte of a request       10000
 *     idle            between two bytes                       60000
 *     lifetime        of a connection                         0
 *     grace           of a drain: accepting goes on           0
 *     deadline        of a drain: the end of connections      20000
 *     quiet           of a drain: how long a connection has
 *                     sent nothing when it may be ended       1000
 */
#ifndef BERTH_EXAMPLES_DAEMON_SETTINGS_H
#define BERTH_EXAMPLES_DAEMON_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include <berth/berth.h>

typedef struct daemon_settings {
    berth_accept_limits accepting;
    berth_connection_limits connection;
    berth_drain drain;
} daemon_settings;

/* The defaults. */
daemon_settings daemon_settings_standard(void);

/* Reads the file. False if it cannot be read or is wrong, with a text that says where; the settings
 * have not changed then. */
bool daemon_settings_read(daemon_settings *settings, const char *path, char *ret_text, size_t size);

#endif
