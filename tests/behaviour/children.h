/*
 * Child processes of a case, and connections that the case holds as bare descriptors: a parent that
 * must not turn its loop speaks to its child with these.
 *
 * A child does its part and ends with a status; one that hangs is ended by its alarm.
 */
#ifndef BERTH_TESTS_CHILDREN_H
#define BERTH_TESTS_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#define PATIENCE 20 /* seconds */

/* In a child, whose failure is its status. */
#define MUST(expression)                                                                   \
    do {                                                                                   \
        if (!(expression)) {                                                               \
            fprintf(stderr, "%s:%d: in the child: " #expression "\n", __FILE__, __LINE__); \
            _exit(1);                                                                      \
        }                                                                                  \
    } while (0)

/* Skips the case on the simulated kernel. */
void real_kernel_only(void);

pid_t begin_child(void); /* 0 in the child */
/* Waits for its end, which must be a good one. */
void end_child(pid_t child);
/* A child that only holds its copies, but that of `client`. */
pid_t begin_holder(int client);
/* Ends a child that only holds its copies; what was to come beside it has not come from its end. */
void kill_child(pid_t child);
/* Has a child do something, and waits for its end. */
void have_child(void (*part)(void));

/* A blocking connection to a port of 127.0.0.1, and a pipe. */
int dial(uint16_t port);
void begin_pipe(int ret_ends[2]);
void say(int descriptor, const char *text);
/* recv, again if interrupted. */
ssize_t receive(int descriptor, void *data, size_t size);
/* Whether this is what comes next; prints what came in its place. */
bool hears(int descriptor, const char *text);

#endif
