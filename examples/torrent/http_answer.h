/*
 * The answer to an HTTP request, as bytes: no socket. It takes its input in pieces of any size.
 *
 *     STATUS --> HEADERS --> LENGTH ------------------> DONE
 *       ^           |  |                                 ^
 *       +-- 1xx ----+  +--> CLOSE -------- end ----------+
 *                   |  +--> CHUNK_SIZE --0--> TRAILERS --+
 *                   |         |   ^                      |
 *                   |   CHUNK_DATA, CHUNK_END            |
 *                   +-- of another status than 200 ------+
 *
 * A line has 8 KiB at most, all headers 64 KiB, the body what is given. Only a 200 has a body that
 * is of interest.
 */
#ifndef TORRENT_HTTP_ANSWER_H
#define TORRENT_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_MOST_LINE 8192

typedef enum http_answer_state {
    HTTP_STATUS,
    HTTP_HEADERS,
    HTTP_LENGTH,
    HTTP_CLOSE,
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK_DATA,
    HTTP_CHUNK_END, /* the end of the line behind it */
    HTTP_TRAILERS,
    HTTP_DONE,
    HTTP_BROKEN
} http_answer_state;

typedef struct http_answer {
    http_answer_state state;
    const char *why; /* BROKEN */
    int status;      /* for example 200 */
    char *location;  /* of a redirect; NULL if there is none */
    uint8_t *body;
    size_t size;
    size_t most; /* bytes that the body may have */

    size_t room;
    uint64_t left; /* of the body, or of the chunk */
    bool chunked;
    bool has_length;
    size_t headers; /* bytes so far */
    size_t line_size;
    char line[HTTP_MOST_LINE];
} http_answer;

void http_answer_open(http_answer *self, size_t most_body);
void http_answer_close(http_answer *self);

/* Takes bytes. Bytes behind the end are ignored. */
void http_answer_take(http_answer *self, const void *data, size_t size);
/* The connection has ended: the state is DONE or BROKEN afterwards. */
void http_answer_end(http_answer *self);

#endif
