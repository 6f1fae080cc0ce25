/*
 * Every public call of servers and sockets, as a table that is walked.
 *
 * calls.c and calls_servers.c have a CALL for each function that server.h and socket.h declare;
 * scripts/check-calls holds that none is missing. A call is made on the stage's server or socket
 * with arguments that are allowed, checks that what it returns is defined, and ignores whether it
 * succeeded: the state decides that. The function itself is called before any other of the
 * library's, for foreign_threads.c.
 */
#ifndef BERTH_TESTS_CALLS_H
#define BERTH_TESTS_CALLS_H

#include "scene.h"

#include <stdbool.h>

/* What is called on. A pointer is NULL from when the docs do not allow it to be used any more:
 * after the object was freed, but inside a handler of its own only after that has returned. */
struct stage {
    berth_server *server;
    berth_socket *socket;
    uint16_t server_port; /* somebody to connect to; 0 for nobody */
    unsigned in_server;   /* handlers of the server that are on the stack */
    unsigned in_socket;
    bool server_freed;
    bool socket_freed;
};

extern struct stage stage;

struct call {
    const char *name;
    void (*make)(void);
    struct call *next;
};

extern struct call *all_calls;
void call_register(struct call *call);

#define CALL(name)                                                 \
    static void call_##name(void);                                 \
    static struct call entry_##name = {#name, call_##name, NULL};  \
    __attribute__((constructor)) static void register_##name(void) \
    {                                                              \
        call_register(&entry_##name);                              \
    }                                                              \
    static void call_##name(void)

/* Makes one call, if the stage has what it is made on, and looks at both objects afterwards. */
void call_make(const struct call *call);

/* To be called when a handler of an object has returned: forgets what has been freed inside. */
void stage_tidy(void);

/* The calls that can free, keeping the books. */
void stage_close_server(void);
void stage_free_server(void);
void stage_free_socket(void);

#endif
