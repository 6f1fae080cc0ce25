/*
 * What the files of calls share: whom a call goes to, and what a wait has to keep to.
 *
 * There is a file of calls for each topic, with one function that sim_call knows, which takes the
 * rest of the choice from its word. The topics beyond the first file (calls.c) change what the
 * model can expect of everything else, limits above all; so each program has some of them only, by
 * its first word.
 */
#ifndef BERTH_TESTS_SIM_CALLS_H
#define BERTH_TESTS_SIM_CALLS_H

#include "model.h"

/* Half of the calls inside a handler go to the object that the handler was called for. NULL: there
 * is none. */
const struct frame *sim_innermost(void);
struct socket_model *sim_some_socket(uint64_t *word);
struct server_model *sim_some_server(uint64_t *word);
size_t sim_number_of(const struct socket_model *model);
size_t sim_index_of(const struct server_model *model);

/* A former connection is left behind: what is left of it will not be read. */
void sim_leave_connection(struct socket_model *model);

/* The port that a connection to `port` goes to: that of the socket's proxy, if it has one. */
uint16_t sim_target(const struct socket_model *model, uint16_t port);

/* Gives a descriptor to a socket, as one side of a connection. */
void sim_adopt(struct socket_model *model, struct connection *connection, int side, int descriptor);

/* A blocking wait: 0 connected, 1 ready_read, 2 bytes_written, 3 disconnected. */
void sim_wait(struct socket_model *model, uint32_t what, int milliseconds);

/* Whether it is known that a whole line is there. */
void sim_check_line(struct socket_model *model);

void sim_try_socket(uint64_t word); /* calls_ends.c: to read on trial */

/* calls_output.c: the output is longer, or its marks are others. */
void sim_mind_marks(struct socket_model *model);

void sim_use_timer(uint64_t word); /* calls_time.c */

/* The topics. */
void sim_write_socket(uint64_t word);    /* calls_output.c */
void sim_outputs_end(void);              /* likewise: the loop has been freed */
void sim_call_of_ends(uint64_t word);    /* calls_ends.c */
void sim_call_of_time(uint64_t word);    /* calls_time.c */
void sim_call_of_options(uint64_t word); /* calls_options.c */
void sim_call_of_loops(uint64_t word);   /* calls_loops.c */
void sim_call_of_limits(uint64_t word);  /* calls_limits.c */
void sim_call_of_names(uint64_t word);   /* calls_names.c */
void sim_call_of_pace(uint64_t word);    /* calls_pace.c */

void sim_make_server(struct server_model *model); /* calls.c: it does not listen yet */
void sim_new_server(uint64_t word);               /* likewise: it listens */
void sim_call_of_proxies(uint64_t word);          /* calls_proxy.c */
void sim_call_of_headers(uint64_t word);          /* calls_headers.c */
void sim_limit_accepting(uint64_t word);          /* calls_limits.c */

void sim_call_of_drain(uint64_t word); /* calls_drain.c */

/* calls_local.c */
void sim_call_of_local(uint64_t word);
bool sim_local_wanted(void); /* a server or socket is to listen or connect at a path */
bool sim_local_listen(struct server_model *model);
bool sim_local_adopt_listener(struct server_model *model);
void sim_local_connect(struct socket_model *model);
unsigned sim_local_on_the_way(void); /* sockets, that a new server may find without a header */

void sim_call_of_tls(uint64_t word); /* calls_tls.c */

/* calls.c: a socket is about to connect. False: it cannot have the header or the encryption that it
 * needs. */
bool sim_prepare(struct socket_model *model, uint16_t port);

/* calls_watches.c */
void sim_call_of_watches(uint64_t word);
void sim_watches_be_kind(void);
void sim_watches_free(void);
void sim_watches_end(void); /* the loop has been freed */

/* calls_loops.c: runs the loop until a task stops it. */
void sim_run(int code);

#endif
