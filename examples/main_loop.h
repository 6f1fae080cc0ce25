/*
 * The course of an example that serves until it is told to stop: one loop, which SIGINT and SIGTERM
 * end, and the two lines that say where it listens.
 *
 * Each program has one such loop, since a signal handler has to find it. What fails ends the
 * program as options.h says.
 */
#ifndef BERTH_EXAMPLES_MAIN_LOOP_H
#define BERTH_EXAMPLES_MAIN_LOOP_H

#include <berth/berth.h>

/* Makes the loop. From here on the signals stop it, even before it runs. */
berth_loop *main_loop_open(const char *program);

/* Prints address, port and backend of a server that listens. */
void main_loop_announce(const berth_server *server);

/* Runs the loop until a signal, and frees it with all that belongs to it. */
void main_loop_run(const char *program);

#endif
