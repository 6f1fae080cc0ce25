/*
 * The ClientHello: the first message of a TLS client, as RFC 8446 and those before it have it. It
 * is read only, so that a server can choose a configuration before anything is made for the
 * connection; whoever shakes hands then gets the same bytes.
 *
 *     begin -> RECEIVE, with `input` as bytes come -> DONE     `read` says what it asks for
 *                                                     REFUSED  `refusal` says why
 *
 * The message may be cut into records at any place. It has at most BERTH__CLIENT_HELLO_SIZE bytes,
 * the heads of its records included. The first bytes of something else are told apart: a request of
 * plain HTTP, whatever is no record of TLS, and a record that has something else in it.
 *
 * `read` looks at all of the message, and refuses it when a length in it is wrong. Of the
 * extensions it knows two, the server's name and the application protocols; both once at most. A
 * name is read by the rules of base/server_name.h; an address instead of one counts as none.
 */
#ifndef BERTH_HANDSHAKE_CLIENT_HELLO_H
#define BERTH_HANDSHAKE_CLIENT_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/server_name.h"
#include "handshake.h"

/* The longest that is read. The bound is ours: one record, while the protocol has 16 MiB. */
#define BERTH__CLIENT_HELLO_SIZE (16384u + 5u)

/* Protocols that are told; those that follow are left out. Ours, public as
 * BERTH_TLS_MOST_PROTOCOLS. */
#define BERTH__MOST_PROTOCOLS 64u

typedef struct berth__client_hello {
    uint8_t step;      /* a berth__handshake: RECEIVE, DONE, REFUSED */
    uint8_t filled;    /* bytes of `head` */
    uint8_t head[5];   /* of the record */
    bool begun;        /* a record has begun, so it is TLS */
    uint16_t refusal;  /* 0 unless refused */
    uint16_t used;     /* bytes so far */
    uint16_t record;   /* bytes that its record still has */
    uint16_t message;  /* bytes of the message so far */
    uint32_t expected; /* bytes that it has, once the first four have come */
} berth__client_hello;

/* What one asks for. */
typedef struct berth__client_hello_values {
    char name[BERTH__SERVER_NAME_SIZE];               /* in small letters; "" if there is none */
    const char *protocols[BERTH__MOST_PROTOCOLS + 1]; /* ended by NULL */
} berth__client_hello_values;

void berth__client_hello_begin(berth__client_hello *hello);

/* Takes input; returns how many bytes were used. */
size_t berth__client_hello_input(berth__client_hello *hello, const uint8_t *data, size_t size);

/* Reads a message that is DONE. `input` is all that was used for it, and is changed: protocols are
 * texts in it. One that has a zero byte inside is left out. Returns 0 or a refusal. */
int berth__client_hello_read(uint8_t *input, size_t size, berth__client_hello_values *ret_values);

#endif
