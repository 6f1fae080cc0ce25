/*
 * An engine without cryptography, for tests of what is around engines.
 *
 * Its handshake looks like that of TLS from outside. A client begins with a valid ClientHello, in
 * one record, with the name and the protocols that it was given; a server answers with a record,
 * the client with another, and the server with a last one (a ticket). After that there are records
 * of data, of an orderly end, of an alert, and those that are answered with a ticket (u):
 *
 *     type, 1 byte: s, c, t, d, e, a, u  length, 2 bytes     data ^ 0x5a     their sum, 1 byte
 *
 * A configuration can be told to fail.
 */
#ifndef BERTH_TESTS_TOY_ENGINE_H
#define BERTH_TESTS_TOY_ENGINE_H

#include "engine/engine.h"

#include <stdatomic.h>
#include <stddef.h>

struct toy {
    berth_tls tls;     /* first */
    bool refuses;      /* the peer's first flight: with an alert */
    bool mistrusts;    /* a client: there is a problem with the server's certificate */
    bool lacks_memory; /* begin fails */
    bool gives_none;   /* a server: no ticket at the end of the handshake */
    bool breaks;       /* the next record of data of anybody, once */
    unsigned seals;    /* the engine fails at that record of its output; 0: at none */
    const char *suite; /* what it says of itself: "TOY" */
    /* If not NULL, told when a server's end has completed its handshake, with the name that the
     * client has asked for; and when a record was broken, of either end. */
    void (*opened)(const struct toy *toy, const char *name);
    void (*broke)(const struct toy *toy, const char *name);
    const char *protocol;  /* of a client: what it offers */
    atomic_size_t engines; /* there are now */
    atomic_size_t relaxed; /* calls of `relax` */
};

/* A configuration that is held once. Freed with its last holder. */
struct toy *toy_new(bool server);

/* A record, for peers that are played by hand. Returns its size; `record` has size + 4 bytes. */
size_t toy_record(uint8_t type, const void *data, size_t size, uint8_t *record);

/* A ClientHello in one record. Returns its size; there have to be 512 bytes. */
size_t toy_hello(const char *name, const char *protocol, uint8_t *record);

/* Turns the data of a whole record back. Returns whether its sum is right. */
bool toy_decode(uint8_t *record, size_t size);

/* How many records of data there were so far, of all engines that sealed. */
extern atomic_size_t toy_sealed_records;

#endif
