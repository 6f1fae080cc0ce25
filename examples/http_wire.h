/*
 * HTTP/1.1 as it travels, as far as a server of files needs it: requests, ranges, and the texts of
 * answers. No socket is in here: bytes come in, and how many of them were used is returned.
 *
 * Read strictly, since what two programs read differently can be used to hide a request: lines end
 * with CR LF, there is no blank before a colon and no continued line, HTTP/1.1 has one Host, and a
 * request with a body is refused.
 */
#ifndef BERTH_EXAMPLES_HTTP_WIRE_H
#define BERTH_EXAMPLES_HTTP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define HTTP_MOST_HEADER 16384 /* bytes of a request, its empty line included */
#define HTTP_MOST_FIELDS 100
#define HTTP_MOST_PATH 1024 /* bytes, decoded, terminator included */
#define HTTP_DATE_SIZE 32

/* Bytes of a request; not terminated. `data` is NULL for what is not there. */
typedef struct http_text {
    const char *data;
    size_t size;
} http_text;

typedef struct http_request {
    int status; /* 0; else the answer to a request that is wrong, and the connection ends with it */
    bool head;  /* HEAD instead of GET */
    bool keep_alive;
    bool old;                  /* HTTP/1.0 */
    char path[HTTP_MOST_PATH]; /* decoded, without the slashes in front and without the query */
    http_text raw_path;        /* the same, not decoded */
    http_text method, host, range, if_range, if_none_match, if_modified_since;
} http_request;

/* Takes a request from the front of the input. Returns how many bytes it has; 0 if it is not there
 * whole. Its texts lie in `data`. The same bytes give the same answer however many follow them. */
size_t http_request_parse(const char *data, size_t size, http_request *ret_request);

/* The part of `whole` bytes that a Range field asks for. Returns 206; 416 if there is no such part;
 * 200 for all of it, which is also the answer to several ranges, and to what is no range. */
int http_range_parse(http_text range, uint64_t whole, uint64_t *ret_offset, uint64_t *ret_size);

/* Whether the text is that word, in letters of either case. */
bool http_same(http_text given, const char *word);

/* Whether a list such as "keep-alive, upgrade" has the word in it. */
bool http_lists(http_text value, const char *word);

/* The text of a status, "" if it is not known here. */
const char *http_reason_of(int status);

/* The type of a file, by the end of its name. */
const char *http_type_of(const char *path);

/* Writes a date as fields have it, in HTTP_DATE_SIZE bytes; "" if there is no such date. */
void http_date_format(time_t when, char *text);

#endif
