/* The parser of RESP2 commands; resp_wire.h describes each function. */
#include "resp_wire.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PARTS_KEPT 64 /* of the array, between two commands */

bool resp_same(resp_text given, const char *word)
{
    return given.size == strlen(word) && strncasecmp(given.data, word, given.size) == 0;
}

bool resp_integer(resp_text given, int64_t *ret_number)
{
    bool negative = given.size > 0 && given.data[0] == '-';
    size_t at = negative ? 1 : 0;
    uint64_t number = 0;
    if (at == given.size || given.size > 20 || (given.data[at] == '0' && given.size > 1))
        return false;
    for (; at < given.size; at++) {
        if (given.data[at] < '0' || given.data[at] > '9')
            return false;
        uint64_t digit = (uint64_t)(given.data[at] - '0');
        if (number > ((uint64_t)INT64_MAX + negative - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret_number = negative ? (int64_t)(0 - number) : (int64_t)number;
    return true;
}

size_t resp_write_number(char text[RESP_MOST_NUMBER], char mark, uint64_t number)
{
    size_t digits = 1;
    for (uint64_t rest = number; rest >= 10; rest /= 10)
        digits++;
    text[0] = mark;
    for (size_t at = digits; at > 0; at--, number /= 10)
        text[at] = (char)('0' + number % 10);
    memcpy(text + 1 + digits, "\r\n", 2);
    return digits + 3;
}

static resp_result refuse(resp_parser *parser, const char *why)
{
    parser->wrong = why;
    return RESP_WRONG;
}

/* Notes an argument; false when out of memory. */
static bool add(resp_parser *parser, size_t offset, size_t size)
{
    if (parser->count == parser->room) {
        size_t room = parser->room > 0 ? 2 * parser->room : 8;
        resp_part *parts = realloc(parser->parts, room * sizeof(*parts));
        if (!parts)
            return false;
        parser->parts = parts;
        parser->room = room;
    }
    parser->parts[parser->count++] = (resp_part){(uint32_t)offset, (uint32_t)size};
    return true;
}

static bool is_blank(char letter)
{
    return letter == ' ' || letter == '\t' || letter == '\r';
}

static resp_result parse_words(resp_parser *parser, const char *data, size_t size)
{
    size_t seen = size < RESP_MOST_INLINE ? size : RESP_MOST_INLINE;
    const char *end = memchr(data, '\n', seen);
    if (!end)
        return seen < RESP_MOST_INLINE ? RESP_MORE : refuse(parser, "too big inline request");
    size_t length = (size_t)(end - data);
    for (size_t at = 0; at < length;) {
        size_t begin = at;
        while (at < length && !is_blank(data[at]))
            at++;
        if (at > begin && !add(parser, begin, at - begin))
            return refuse(parser, "out of memory");
        at += at == begin;
    }
    parser->at = length + 1;
    return RESP_COMMAND;
}

/* The number of a line such as "*2" or "$3". */
static resp_result parse_length(resp_parser *parser, const char *data, size_t size, size_t most,
                                const char *wrong, size_t *ret_length)
{
    size_t first = parser->at + 1; /* digit */
    size_t at = first;
    size_t length = 0;
    for (; at < size && data[at] >= '0' && data[at] <= '9'; at++) {
        length = 10 * length + (size_t)(data[at] - '0');
        if (length > most || (data[first] == '0' && at > first))
            return refuse(parser, wrong);
    }
    if (at == size || (at + 1 == size && data[at] == '\r'))
        return RESP_MORE;
    if (at == first || data[at] != '\r' || data[at + 1] != '\n')
        return refuse(parser, wrong);
    parser->at = at + 2;
    *ret_length = length;
    return RESP_COMMAND;
}

/* The next argument of an array. */
static resp_result parse_bulk(resp_parser *parser, const char *data, size_t size)
{
    if (!parser->in_bulk) {
        if (parser->at == size)
            return RESP_MORE;
        if (data[parser->at] != '$')
            return refuse(parser, "expected '$'");
        resp_result result = parse_length(parser, data, size, RESP_MOST_COMMAND,
                                          "invalid bulk length", &parser->length);
        if (result != RESP_COMMAND)
            return result;
        parser->in_bulk = true;
    }
    if (parser->length > RESP_MOST_COMMAND - parser->at)
        return refuse(parser, "too big command");
    if (size - parser->at < parser->length + 2)
        return RESP_MORE;
    const char *end = data + parser->at + parser->length;
    if (end[0] != '\r' || end[1] != '\n')
        return refuse(parser, "invalid bulk length");
    if (!add(parser, parser->at, parser->length))
        return refuse(parser, "out of memory");
    parser->at += parser->length + 2;
    parser->in_bulk = false;
    parser->left--;
    return RESP_COMMAND;
}

resp_result resp_parse(resp_parser *parser, const char *data, size_t size)
{
    if (size == 0)
        return RESP_MORE;
    if (data[0] != '*')
        return parse_words(parser, data, size);
    if (!parser->in_array) {
        resp_result result = parse_length(parser, data, size, RESP_MOST_ARGUMENTS,
                                          "invalid multibulk length", &parser->left);
        if (result != RESP_COMMAND)
            return result;
        parser->in_array = true;
    }
    while (parser->left > 0) {
        resp_result result = parse_bulk(parser, data, size);
        if (result != RESP_COMMAND)
            return result;
        if (parser->at > RESP_MOST_COMMAND)
            return refuse(parser, "too big command");
    }
    return RESP_COMMAND;
}

resp_text resp_argument(const resp_parser *parser, const char *data, size_t number)
{
    const resp_part *part = &parser->parts[number];
    return (resp_text){data + part->offset, part->size};
}

void resp_next(resp_parser *parser)
{
    resp_parser fresh = {.room = parser->room, .parts = parser->parts};
    if (parser->room > PARTS_KEPT)
        resp_clear(parser);
    else
        *parser = fresh;
}

void resp_clear(resp_parser *parser)
{
    free(parser->parts);
    *parser = (resp_parser){0};
}
