/*
 * Engines: what encrypts a connection, as a machine of bytes.
 *
 * An engine has no descriptor and no loop. It is given what the peer has sent and gives back what
 * is to be sent, and the plaintext of both directions goes through it: so it is the same over every
 * backend, and can be tested with any cut of the bytes. The core knows the tables below only; a
 * library beside it (libberth-tls) and the tests have engines to give.
 *
 * An engine is one end of one connection. It is made by `begin`, and then
 *
 *     SHAKING -> OPEN -> (ended by the peer, ended by this side)
 *        \________\____> FAILED
 *
 * A call never blocks, and never calls the program but by `verify`, inside `advance`. Whoever calls
 * an engine has to keep it until the call returns. What `emit` is given is to be sent in that
 * order, whatever the call returns: alerts too.
 *
 * The program's berth_tls is a configuration, made by whoever has the engines and never changed
 * but for its keys of tickets, which is atomic. It is counted, and any thread may use it.
 */
#ifndef BERTH_SRC_ENGINE_H
#define BERTH_SRC_ENGINE_H

#include <berth/error.h>
#include <berth/tls.h>

#include "base/server_name.h" /* for engines: a client's name is read by these rules */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The plaintext of one record, as TLS bounds it: what `advance` needs room for to decrypt without a
 * copy, and what `seal` takes at most in one call. */
#define BERTH__ENGINE_RECORD ((size_t)16384)

typedef struct berth__engine berth__engine;

typedef struct berth__engine_operations berth__engine_operations;

/* The head of every berth_tls. */
struct berth_tls {
    const berth__engine_operations *operations;
    atomic_size_t holders;
    bool server;             /* for accepted connections; else for those that this side begins */
    bool stop_at_truncation; /* of the options; it is for the core */
};

/* What goes in and out of one call. */
typedef struct berth__engine_io {
    /* What the peer has sent; moved on past what was used. */
    const uint8_t *input;
    size_t input_size;
    /* Where plaintext goes, and how much of it may come, 1 at least; then how much has come. */
    uint8_t *plain;
    size_t room;
    size_t plain_size;
    /* Takes what is to be sent. False when out of memory: the engine then fails. */
    bool (*emit)(void *sink, const void *data, size_t size);
    void *sink;
} berth__engine_io;

typedef enum berth__engine_result {
    BERTH__ENGINE_MORE,   /* all input is used; more is needed for anything else */
    BERTH__ENGINE_PLAIN,  /* there are plain_size bytes, 1 at least. To be called again */
    BERTH__ENGINE_OPENED, /* the handshake is complete: from here on `seal` works. Once. To be
                             called again */
    BERTH__ENGINE_ENDED,  /* the peer has ended its direction orderly (close_notify): there is no
                             plaintext any more. Output goes on. What follows is not looked at */
    BERTH__ENGINE_FAILED  /* see `failure`. Nothing but `free` and questions is called any more */
} berth__engine_result;

/* Why an engine has failed. */
typedef struct berth__engine_failure {
    berth_error class;
    char text[160]; /* why, in the library's words: what follows the colon of an error's text */
} berth__engine_failure;

/* How an end of a connection begins. */
typedef struct berth__engine_setup {
    /* Of a client: the name that it asks for (SNI) and that the certificate has to be for, or an
     * address as text, which is no SNI; NULL: none is asked for and none is checked. Copied. */
    const char *name;
    /* Of a client: from berth_socket_set_tls_session; NULL: none. Copied. */
    const void *session;
    size_t session_size;
    /* Called for each problem of the peer's certificates, inside `advance`; true: it is to be
     * ignored. NULL: none is. */
    bool (*verify)(void *context, const berth_tls_problem *problem);
    void *context;
} berth__engine_setup;

struct berth__engine_operations {
    size_t size; /* of this struct: both libraries have to be of one version */
    const char *name;

    /* The last holder of a configuration is gone. */
    void (*destroy)(berth_tls *tls);

    /* Makes one end of a connection. NULL when out of memory. It keeps nothing of `tls`: the core
     * holds that as long as the engine. */
    berth__engine *(*begin)(berth_tls *tls, const berth__engine_setup *setup);
    void (*free)(berth__engine *engine);

    /* Uses input, and goes as far as it leads: to the first of the results. Plaintext for which
     * there was no room stays inside, and comes with the next call, which needs no input. A client
     * is called without input first. */
    berth__engine_result (*advance)(berth__engine *engine, berth__engine_io *io);

    /* Encrypts bytes of the output, in one record, at most BERTH__ENGINE_RECORD of them. Returns
     * how many, or -1 when it has failed. Only when open. */
    ptrdiff_t (*seal)(berth__engine *engine, const void *data, size_t size, berth__engine_io *io);

    /* Ends the output orderly (close_notify), once. Also allowed while shaking, and then it may
     * emit nothing. */
    void (*end)(berth__engine *engine, berth__engine_io *io);

    /* Gives up memory that it can have again: the connection is quiet. */
    void (*relax)(berth__engine *engine);

    /* Whether there is plaintext inside. */
    bool (*has_plain)(const berth__engine *engine);

    const berth__engine_failure *(*failure)(const berth__engine *engine);

    /* Questions; texts are constant or live as long as the engine. The values before it is open are
     * those of a connection that is not encrypted. */
    berth_tls_version (*version)(const berth__engine *engine);
    const char *(*cipher)(const berth__engine *engine);   /* "" if unknown */
    const char *(*protocol)(const berth__engine *engine); /* of ALPN; "" for none */
    /* Of SNI; "" for none, and of a server for what the core would refuse. */
    const char *(*server_name)(const berth__engine *engine);
    bool (*resumed)(const berth__engine *engine);
    bool (*peer_verified)(const berth__engine *engine);
    /* The peer's certificate in DER; NULL and 0 if it has shown none. */
    const void *(*peer_certificate)(const berth__engine *engine, size_t *ret_size);
    /* Of a client: what a later connection may be resumed with. Returns its size, and writes it if
     * it fits; 0: there is none yet. */
    size_t (*session)(const berth__engine *engine, void *data, size_t size);
};

#endif
