/*
 * The client's side of a tunnel through an HTTP proxy: CONNECT of RFC 9110, with Basic credentials
 * by RFC 7617.
 *
 *     request -> header -> 200: done
 *                          407: [body ->] request with credentials -> header -> ...
 *                          1xx: the next header
 *
 * Credentials are not sent before the proxy asks for them. A 407 whose body has a length and whose
 * connection stays is answered on the same connection; with another one the handshake ends in
 * AGAIN, and berth__http_connect_again begins it on a new connection, with credentials from the
 * start.
 *
 * It fails with any status but 200 (which is in the refusal), with a 407 when there are no
 * credentials or they were sent already, and with what is not HTTP/1 or has a header of more than
 * 64 KiB in all.
 */
#ifndef BERTH_HANDSHAKE_HTTP_CONNECT_H
#define BERTH_HANDSHAKE_HTTP_CONNECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/address.h>

#include "handshake.h"

/* What is asked for. The strings are borrowed; NULL is empty. */
typedef struct berth__http_request {
    const char *name; /* of the target; NULL: `address` is asked for */
    berth_address address;
    uint16_t port;
    const char *user;
    const char *password;
    bool authorized; /* the credentials go with the first request */
} berth__http_request;

/* Bytes that hold every output: the target twice, the credentials in base 64, the fixed lines. */
#define BERTH__HTTP_OUTPUT_SIZE 1536u

/* Bytes of all headers together. HTTP has no bound; this one is ours. */
#define BERTH__HTTP_MOST_HEADER 65536u

/* The beginning of a line that is kept, by a bound of ours; what is longer is skipped, unless it is
 * the first. */
#define BERTH__HTTP_LINE_SIZE 512u

typedef struct berth__http_connect {
    berth__http_request request;
    berth__handshake step;
    int refusal;     /* of step REFUSED */
    uint8_t stage;   /* what is received next */
    bool authorized; /* credentials are in the request */
    bool keeps;      /* the proxy keeps the connection open */
    bool sized;      /* the body has a length, */
    bool coded;      /* or a coding of its own, which goes before it */
    bool basic;      /* Basic is among the ways to authenticate */
    uint16_t status;
    uint32_t header;    /* bytes of headers so far */
    uint64_t body;      /* bytes of the body to come */
    uint16_t line_size; /* bytes of the line that were kept */
    char line[BERTH__HTTP_LINE_SIZE];
} berth__http_connect;

void berth__http_connect_begin(berth__http_connect *http, const berth__http_request *request);

/* In step AGAIN: begins on a new connection. */
void berth__http_connect_again(berth__http_connect *http);

/* In step SEND: writes what is to be sent now and goes on to RECEIVE. Returns its size. */
size_t berth__http_connect_output(berth__http_connect *http,
                                  uint8_t output[BERTH__HTTP_OUTPUT_SIZE]);

/* Takes input; returns how many bytes were used. */
size_t berth__http_connect_input(berth__http_connect *http, const uint8_t *data, size_t size);

#endif
