/*
 * The main loop of the example servers: one loop, which SIGINT and SIGTERM stop, and the two lines
 * that say where the server listens.
 *
 * A program has one such loop, since the signal handler has to find it. On failure these functions
 * end the program as options.h describes.
 */
#ifndef BERTH_EXAMPLES_MAIN_LOOP_H
#define BERTH_EXAMPLES_MAIN_LOOP_H

#include <berth/berth.h>

/* Makes the loop. From now on the signals stop it, even before it runs. */
berth_loop *main_loop_open(const char *program);

/* Prints the address, port and backend of a listening server. */
void main_loop_announce(const berth_server *server);

/* Runs the loop until a signal stops it, and frees it with all that belongs to it. */
void main_loop_run(const char *program);

#endif
