/*
 * The parser of HTTP answers: see http_answer.h.
 */
#include "http_answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MOST_HEADERS 65536
#define MOST_LINES_OF_CHUNK 16 /* bytes */

void http_answer_open(http_answer *self, size_t most_body)
{
    memset(self, 0, offsetof(http_answer, line));
    self->most = most_body;
}

void http_answer_close(http_answer *self)
{
    free(self->location);
    free(self->body);
    self->location = NULL;
    self->body = NULL;
}

static void break_off(http_answer *self, const char *why)
{
    self->state = HTTP_BROKEN;
    self->why = why;
}

/* ---- the body -------------------------------------------------------------------------------- */

static void append(http_answer *self, const uint8_t *data, size_t size)
{
    if (size > self->most - self->size) {
        break_off(self, "the answer is too long");
        return;
    }
    if (self->size + size > self->room) {
        size_t room = self->room ? self->room : 1024;
        while (room < self->size + size)
            room *= 2;
        uint8_t *body = realloc(self->body, room);
        if (!body) {
            break_off(self, "out of memory");
            return;
        }
        self->body = body;
        self->room = room;
    }
    memcpy(self->body + self->size, data, size);
    self->size += size;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void take_status(http_answer *self, const char *line)
{
    if (strncmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') || line[8] != ' ' ||
        strspn(line + 9, "0123456789") != 3) {
        break_off(self, "the answer is not one of HTTP/1.0 or 1.1");
        return;
    }
    self->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    self->state = HTTP_HEADERS;
}

/* Returns where the digits end; NULL if there are none, or the number is too large. */
static const char *parse_number(const char *text, int base, uint64_t *ret_number)
{
    static const char digits[] = "0123456789abcdef";
    const char *begin = text;
    uint64_t number = 0;
    for (; *text; text++) {
        char lower = *text >= 'A' && *text <= 'F' ? (char)(*text + ('a' - 'A')) : *text;
        const char *digit = memchr(digits, lower, (size_t)base);
        if (!digit)
            break;
        if (number > (UINT64_MAX >> 5))
            return NULL;
        number = number * (uint64_t)base + (uint64_t)(digit - digits);
    }
    *ret_number = number;
    return text > begin ? text : NULL;
}

static void take_length(http_answer *self, const char *value)
{
    uint64_t length = 0;
    const char *end = parse_number(value, 10, &length);
    if (!end || *end != '\0')
        break_off(self, "the length of the answer is not a number");
    else if (self->has_length && length != self->left)
        break_off(self, "the answer has two lengths");
    self->has_length = true;
    self->left = length;
}

static void take_header(http_answer *self, char *line)
{
    char *colon = strchr(line, ':');
    if (!colon)
        return; /* of no interest */
    *colon = '\0';
    char *value = colon + 1;
    value += strspn(value, " \t");
    size_t size = strlen(value);
    while (size > 0 && (value[size - 1] == ' ' || value[size - 1] == '\t'))
        value[--size] = '\0';
    if (strcasecmp(line, "content-length") == 0) {
        take_length(self, value);
    } else if (strcasecmp(line, "transfer-encoding") == 0) {
        if (strcasecmp(value, "chunked") == 0)
            self->chunked = true;
        else if (strcasecmp(value, "identity") != 0)
            break_off(self, "the answer has an unknown transfer encoding");
    } else if (strcasecmp(line, "content-encoding") == 0) {
        if (*value != '\0' && strcasecmp(value, "identity") != 0)
            break_off(self, "the answer is compressed, which was not asked for");
    } else if (strcasecmp(line, "location") == 0 && !self->location) {
        self->location = strdup(value);
        if (!self->location)
            break_off(self, "out of memory");
    }
}

static void end_headers(http_answer *self)
{
    if (self->status / 100 == 1) { /* the answer comes after it */
        self->state = HTTP_STATUS;
        self->has_length = false;
        self->chunked = false;
    } else if (self->status != 200) {
        self->state = HTTP_DONE;
    } else if (self->chunked) {
        self->state = HTTP_CHUNK_SIZE;
    } else if (self->has_length) {
        self->state = self->left > 0 ? HTTP_LENGTH : HTTP_DONE;
        if (self->left > self->most)
            break_off(self, "the answer is too long");
    } else {
        self->state = HTTP_CLOSE;
    }
}

static void take_chunk_size(http_answer *self, const char *line)
{
    const char *end = parse_number(line, 16, &self->left);
    /* There may be an extension behind it. */
    if (!end || (*end != '\0' && *end != ' ' && *end != ';' && *end != '\t'))
        break_off(self, "the size of a chunk is not a number");
    else if (self->left > self->most - self->size)
        break_off(self, "the answer is too long");
    else
        self->state = self->left > 0 ? HTTP_CHUNK_DATA : HTTP_TRAILERS;
}

static void take_line(http_answer *self)
{
    char *line = self->line;
    if (self->line_size > 0 && line[self->line_size - 1] == '\r')
        self->line_size--;
    line[self->line_size] = '\0';
    bool empty = self->line_size == 0;
    self->line_size = 0;
    switch (self->state) {
    case HTTP_STATUS:
        take_status(self, line);
        break;
    case HTTP_HEADERS:
        if (empty)
            end_headers(self);
        else
            take_header(self, line);
        break;
    case HTTP_CHUNK_SIZE:
        take_chunk_size(self, line);
        break;
    case HTTP_CHUNK_END:
        self->state = HTTP_CHUNK_SIZE;
        if (!empty)
            break_off(self, "a chunk is longer than its size says");
        break;
    default:
        if (empty)
            self->state = HTTP_DONE;
        break;
    }
}

/* Takes bytes up to the end of a line, and the line if that has come. Returns how many. */
static size_t collect_line(http_answer *self, const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, '\n', size);
    size_t used = end ? (size_t)(end - data) : size;
    self->headers += end ? used + 1 : used;
    /* Each chunk has a byte at least, and two lines. */
    if (self->line_size + used >= sizeof(self->line) ||
        self->headers > MOST_HEADERS + MOST_LINES_OF_CHUNK * self->size) {
        break_off(self, "the headers of the answer are too long");
        return size;
    }
    memcpy(self->line + self->line_size, data, used);
    self->line_size += used;
    if (!end)
        return used;
    take_line(self);
    return used + 1;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

void http_answer_take(http_answer *self, const void *data, size_t size)
{
    const uint8_t *at = data;
    while (size > 0 && self->state != HTTP_DONE && self->state != HTTP_BROKEN) {
        size_t used = size;
        if (self->state == HTTP_CLOSE) {
            append(self, at, size);
        } else if (self->state == HTTP_LENGTH || self->state == HTTP_CHUNK_DATA) {
            if (used > self->left)
                used = (size_t)self->left;
            append(self, at, used);
            self->left -= used;
            if (self->left == 0 && self->state != HTTP_BROKEN)
                self->state = self->state == HTTP_LENGTH ? HTTP_DONE : HTTP_CHUNK_END;
        } else {
            used = collect_line(self, at, size);
        }
        at += used;
        size -= used;
    }
}

void http_answer_end(http_answer *self)
{
    if (self->state == HTTP_CLOSE)
        self->state = HTTP_DONE;
    else if (self->state != HTTP_DONE && self->state != HTTP_BROKEN)
        break_off(self, "the connection ended before the answer was complete");
}
