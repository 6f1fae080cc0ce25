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

/* Prints the address, port and backend of a listening server; `name` is what it is. */
void main_loop_announce(const char *name, const berth_server *server);

/* Listens and announces the server, or fails. */
void main_loop_listen(const char *program, const char *name, berth_server *server,
                      berth_address address, uint16_t port);

/* The same on a Unix socket; one that nobody listens at any more is replaced. */
void main_loop_listen_local(const char *program, const char *name, berth_server *server,
                            const char *path);

/* An accept_error handler: prints the error on standard error; the server continues. */
void main_loop_report(berth_server *server, berth_error error, void *user);

/* Runs the loop until a signal stops it. */
void main_loop_run(const char *program);

/* Frees the server and its sockets first, so that their handlers can still use everything else, and
 * then the loop with all that belongs to it. */
void main_loop_close(berth_server *server);

#endif
