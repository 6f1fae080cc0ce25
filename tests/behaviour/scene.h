/*
 * Servers and sockets that say what happens to them: what the cases on the public API are written
 * with.
 *
 * A host is a server with handlers that write into the trace and then call the case's hook; an
 * actor is the same for a socket. The trace words are "NAME event": "h new_connection", "h
 * accept_error SOCKET_RESOURCE", "s ready_read", "s written", "s connected", "s disconnected", "s
 * error REMOTE_HOST_CLOSED", "s state CLOSING", "s finished". How many pieces bytes come and go in
 * is the kernel's business, so ready_read and written are traced once when they follow themselves.
 *
 * Hosts and actors live until the process ends; their objects are the library's matter. A host or
 * actor whose object was freed has to be told (`socket = NULL`), or not to be used any more.
 */
#ifndef BERTH_TESTS_SCENE_H
#define BERTH_TESTS_SCENE_H

#include "case.h"
#include "trace.h"
#include "world.h"

#include <berth/berth.h>

struct actor;
struct host;

typedef void (*actor_hook)(struct actor *actor);
typedef void (*host_hook)(struct host *host);
typedef berth_tls *(*host_chooser)(struct host *host, const berth_tls_hello *hello);

struct actor {
    const char *name;
    berth_socket *socket;
    struct host *host; /* whose socket it is, or whatever a case wants */
    bool reads;        /* takes all input in ready_read; set by default */
    bool quiet;        /* only counts, does not trace */
    uint8_t *input;    /* what it took */
    size_t received;
    size_t capacity;
    unsigned ready_reads;
    size_t written;
    unsigned connects;
    unsigned disconnects;
    unsigned errors;
    berth_error error; /* the last one */
    unsigned finishes;
    unsigned encryptions;
    unsigned problems; /* with the peer's certificates */
    bool trusts;       /* ignores them */
    unsigned tellings; /* that its server is drained, if it is an actor that is told */
    berth_state state; /* the last one announced */
    actor_hook on_ready_read;
    actor_hook on_written;
    actor_hook on_connected;
    actor_hook on_disconnected;
    actor_hook on_error;
    actor_hook on_state;
    actor_hook on_finished;
    actor_hook on_draining;
    actor_hook on_encrypted;
    actor_hook on_problem;
};

#define HOST_MOST 64

struct host {
    const char *name;
    berth_server *server;
    uint16_t port;
    bool takes; /* takes each connection in new_connection, as an actor called "s" */
    unsigned new_connections;
    unsigned accept_errors;
    berth_error error;
    unsigned emptied;
    bool forced;
    struct actor *taken[HOST_MOST];
    unsigned count; /* of taken */
    host_hook on_new_connection;
    host_hook on_accept_error;
    host_hook on_emptied;
    /* of TLS */
    unsigned arrivals; /* calls of pending_connection_available */
    unsigned failures; /* of handshake_failed */
    berth_error failure;
    char failure_text[160];
    char failure_name[256];
    berth_address failure_peer;
    uint16_t failure_port;
    host_hook on_arrival;
    host_hook on_failure;
    host_chooser chooses; /* of a host that chooses */
};

/* A server that does not listen yet, and one that listens on 127.0.0.1 with a port of the kernel's
 * choice. */
struct host *host_new(const char *name);
struct host *host_listening(const char *name);
struct host *host_choosing(const char *name, host_chooser chooses); /* listens; has client_hello */
void host_listen(struct host *host);

/* Turns until a connection is pending, and takes it: raw, or as an actor. */
berth_socket *host_take(struct host *host);
struct actor *host_take_actor(struct host *host, const char *name);

/* Connects a peer and takes the connection. */
struct actor *host_connect(struct host *host, const char *name, struct peer **ret_peer);

struct actor *actor_new(const char *name); /* with an unconnected socket */
struct actor *actor_on(const char *name,
                       berth_socket *socket); /* takes over the socket's handlers */
void actor_be_told(struct actor *actor);      /* that its server is drained */
struct actor *actor_connected(
    const char *name, struct peer **ret_peer); /* to a peer of the test, by its own connect */
bool actor_has(const struct actor *actor, const char *text); /* whether exactly that was received */
void actor_say(struct actor *actor, const char *text);       /* writes; the loop sends */
void actor_free_socket(struct actor *actor);                 /* a hook: frees its socket */

/* Bytes that tell their place. */
uint8_t *scene_pattern(size_t size, uint32_t seed);

const char *state_name(berth_state state);

/* What came is what became of it; see statistics.h. */
void scene_assert_balance(const berth_server_counts *counts);

#endif
