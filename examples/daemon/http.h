/*
 * The HTTP of daemon_server: answers the requests in the input of a socket, one after the other, by
 * what a function makes of their paths. On http_wire.h, which does the parsing.
 */
#ifndef BERTH_EXAMPLES_DAEMON_HTTP_H
#define BERTH_EXAMPLES_DAEMON_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include <berth/berth.h>

#include "http_wire.h"

typedef struct daemon_answer {
    int status; /* of HTTP */
    const char *body;
    size_t size;
} daemon_answer;

/* Makes the answer to a GET of a path, which has no slash in front. The body is copied at once. */
typedef daemon_answer (*daemon_answerer)(berth_socket *socket, const char *path, void *user);

/* Answers the requests that are there. `last`: the answer says that the connection ends, and it
 * does so; a client that has been told loses no request. It is called in ready_read and in drained:
 * a client that does not read its answers is not read either. */
void daemon_serve(berth_socket *socket, bool last, daemon_answerer answerer, void *user);

/* Sets what daemon_serve needs: marks and sizes. */
void daemon_http_begin(berth_socket *socket);

#endif
