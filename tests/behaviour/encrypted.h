/*
 * What cases of encrypted connections have in common: servers that encrypt, and peers that are
 * played by hand. The engine is a toy (support/toy_engine.h).
 */
#ifndef BERTH_TESTS_ENCRYPTED_H
#define BERTH_TESTS_ENCRYPTED_H

#include "scene.h"
#include "toy_engine.h"

/* Of its server; they have to balance. */
berth_server_counts counts_of(const struct host *host);

/* Has it encrypt; the configuration lives as long as it has that. */
struct toy *encrypt(struct host *host);

/* The client's hello; and what is left of the handshake when that was answered. */
void say_hello(struct peer *peer, const char *name);
void shake(struct peer *peer);

/* Says a record of data whose sum is wrong; makes one, as toy_record does. */
void say_wrong(struct peer *peer);
size_t wrong_record(const char *data, uint8_t *record);

/* A server's end, by a configuration that is given up: the peer has had the answer to its hello;
 * or its handshake is complete. The last one has any configuration. */
struct actor *greeted_by(struct toy *toy, struct peer **ret_peer);
struct actor *encrypted_by(struct toy *toy, struct peer **ret_peer);
struct actor *encrypted_with(struct peer **ret_peer);

/* A client's end that encrypts for the name "x"; and what the peer answers to its hello. */
struct actor *client_of(struct toy *toy, struct peer **ret_peer);
void answer_hello(struct peer *peer);

#endif
