/*
 * What a server has for TLS, for server_tls.c (configurations) and server_greeting.c (connections).
 * It is made when a server first gets a configuration, and stays until the server is freed.
 */
#ifndef BERTH_SRC_GREETING_H
#define BERTH_SRC_GREETING_H

#include <berth/tls.h>

#include "awaiting.h"
#include "engine/engine.h"
#include "guests.h"

/* A host that has a configuration of its own. */
typedef struct berth__tls_host {
    char *name; /* in small letters; or with "*." in front */
    berth_tls *tls;
} berth__tls_host;

typedef struct berth__greeter {
    berth_server *server;
    berth_tls *tls; /* NULL: none. Of a server that does not encrypt any more, that of the
                       connections that are still here */
    bool encrypts;
    berth__tls_host *hosts; /* in the order of their names */
    size_t host_count;

    berth__awaiting_list silent; /* whose hello has not come; oldest first */
    berth__awaiting_list held;   /* of these, whose watch has fired in a pause: no time runs */
    berth__awaiting_list whole;  /* whose hello is there, in the order in which it came */
    berth__awaiting_list unread; /* whose hello may be, behind those */
    size_t whole_count;          /* of both */
    unsigned taken;              /* hellos that were read since some were answered */
    struct berth__handshake_record *handshakes;
    struct berth__choice *choice; /* innermost call of client_hello */
    berth__guests guests;         /* all but those held: the next to be due first */
    uint64_t answered;            /* when the last of the hellos was, before this turn */
    berth__deadline deadline;     /* of the first; or now, for hellos that can be answered */
} berth__greeter;

/* The greeter of a server, made if there is none; NULL when out of memory. */
berth__greeter *berth__server_greeter(berth_server *server);

/* Whose configuration a client gets that asks for a name; "" for none. */
berth_tls *berth__greeter_find(const berth__greeter *greeter, const char *name);

/* The last connection that may need it has gone: gives up a configuration that was taken away. */
void berth__greeter_forget(berth__greeter *greeter);

/* Sets the error of a server whose client was not encrypted. */
void berth__server_explain(berth_server *server, const berth_tls_failure *failure);

/* From server_greeting.c. */
void berth__greeter_init(berth__greeter *greeter);

#endif
