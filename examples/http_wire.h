/*
 * The parts of HTTP/1.1 that a server of files needs: requests, ranges, and the texts of answers.
 * These functions do not use sockets: they take bytes and return how many they have used.
 *
 * Parsing is strict, because a request that two programs parse differently can be used for request
 * smuggling: lines end with CR LF, there is no blank before a colon and no continued line, HTTP/1.1
 * has one Host, and a request with a body is refused.
 */
#ifndef BERTH_EXAMPLES_HTTP_WIRE_H
#define BERTH_EXAMPLES_HTTP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define HTTP_MOST_HEADER 16384 /* maximum size of a request in bytes, its empty line included */
#define HTTP_MOST_FIELDS 100
#define HTTP_MOST_PATH 1024 /* maximum size in bytes, decoded, terminator included */
#define HTTP_DATE_SIZE 32

/* Bytes of a request, not terminated. `data` is NULL if the request does not have them. */
typedef struct http_text {
    const char *data;
    size_t size;
} http_text;

typedef struct http_request {
    int status; /* 0; otherwise the request is invalid: the answer, after which the connection ends
                 */
    bool head;  /* HEAD instead of GET */
    bool keep_alive;
    bool old;                  /* HTTP/1.0 */
    char path[HTTP_MOST_PATH]; /* decoded, without leading slashes and without the query */
    http_text raw_path;        /* the same, not decoded */
    http_text query;           /* after the '?', not decoded */
    http_text method, host, range, if_range, if_none_match, if_modified_since;
} http_request;

/* Parses the first request in the input. Returns its size in bytes; 0 if it is not complete. Its
 * texts point into `data`. The result does not depend on the bytes that follow. */
size_t http_request_parse(const char *data, size_t size, http_request *ret_request);

/* Parses the range of `whole` bytes that a Range field requests. Returns 206; 416 if there is no
 * such range; 200 for all bytes, also if the field has several ranges or is invalid. */
int http_range_parse(http_text range, uint64_t whole, uint64_t *ret_offset, uint64_t *ret_size);

/* Whether the text equals the word, regardless of case. */
bool http_same(http_text given, const char *word);

/* Whether a list such as "keep-alive, upgrade" contains the word. */
bool http_lists(http_text value, const char *word);

/* Returns the text of a status; "" for an unknown one. */
const char *http_reason_of(int status);

/* Returns the media type of a file, by the end of its name. */
const char *http_type_of(const char *path);

/* Formats a date for a header field, in HTTP_DATE_SIZE bytes; "" for an invalid date. */
void http_date_format(time_t when, char *text);

#endif
