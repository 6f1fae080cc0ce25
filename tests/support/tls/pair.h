/*
 * Two engines against each other, in memory: what one emits is given to the other, in pieces of any
 * size. Nothing is sent but by pair_pass and pair_run.
 *
 * An engine gets its input in memory of exactly that size, so that a sanitizer sees a byte too
 * much.
 */
#ifndef BERTH_TESTS_PAIR_H
#define BERTH_TESTS_PAIR_H

#include "engine/engine.h"

struct bytes {
    uint8_t *data;
    size_t size;
    size_t room;
};

/* One end, and what was seen of it. */
struct end {
    berth__engine *engine;
    const berth__engine_operations *operations;
    struct bytes wire;  /* emitted, and not yet given to the other */
    struct bytes plain; /* decrypted */
    size_t room;        /* of one call; 0: of a whole record, which is the most */
    size_t passed;      /* bytes of input so far */
    long emits_left;    /* then `emit` fails; negative: never */
    unsigned opened;    /* how often */
    bool ended;
    bool failed;
};

struct pair {
    struct end client;
    struct end server;
};

/* Begins both; a setup may be NULL. False when out of memory. */
bool pair_begin(struct pair *pair, berth_tls *client, const berth__engine_setup *client_setup,
                berth_tls *server, const berth__engine_setup *server_setup);
void pair_end(struct pair *pair);

bool end_begin(struct end *end, berth_tls *tls, const berth__engine_setup *setup);
void end_free(struct end *end);

/* Gives it bytes, and lets it go on until it wants more or is over. Returns how many it has used.
 */
size_t end_feed(struct end *end, const void *data, size_t size);

/* Seals all of it, as a socket would. False when it has failed. */
bool end_send(struct end *end, const void *data, size_t size);
void end_close(struct end *end); /* close_notify */

/* Hands at most `most` bytes of what `from` has emitted to `to`. Returns how many. */
size_t pair_pass(struct end *from, struct end *to, size_t most);

/* Until neither has anything to say, in pieces of at most that size. */
void pair_run(struct pair *pair, size_t to_server, size_t to_client);

/* What was received is this; and forgets it. */
bool end_got(struct end *end, const void *data, size_t size);

const char *end_text(const struct end *end); /* of its failure */

#endif
