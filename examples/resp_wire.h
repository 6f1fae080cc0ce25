/*
 * RESP2, the protocol of Redis, as it travels: commands with their arguments. No socket is in here.
 *
 * A command is an array of bulk strings, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", or a line of words. The
 * parser is given the bytes since the beginning of the command, all that there are, as often as
 * there are more of them; it remembers how far it has got and looks at no byte of an argument
 * twice. Lengths are not believed: memory is taken for what has come, never for what was announced.
 */
#ifndef BERTH_EXAMPLES_RESP_WIRE_H
#define BERTH_EXAMPLES_RESP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESP_MOST_ARGUMENTS (1024 * 1024)
#define RESP_MOST_COMMAND (64u << 20) /* bytes, an argument with them */
#define RESP_MOST_INLINE 65536        /* bytes of a line of words */

/* Bytes; not terminated. */
typedef struct resp_text {
    const char *data;
    size_t size;
} resp_text;

typedef struct resp_part {
    uint32_t offset; /* since the beginning of the command */
    uint32_t size;
} resp_part;

/* A command on its way in. Zeroed at first. */
typedef struct resp_parser {
    size_t at;         /* bytes that have been used */
    size_t left;       /* arguments that are still to come */
    size_t length;     /* of the argument that comes next, if it has been told */
    bool in_array;     /* the length of the array has been told */
    bool in_bulk;      /* the length of the next argument has been told */
    const char *wrong; /* why the input is no command */
    size_t count;      /* arguments that have come */
    size_t room;
    resp_part *parts;
} resp_parser;

typedef enum resp_result {
    RESP_MORE,    /* it is not there whole */
    RESP_COMMAND, /* it is, in `at` bytes; it may have no argument, and means nothing then */
    RESP_WRONG    /* what comes behind this cannot be found either: `wrong` says why */
} resp_result;

/* Goes on with the command; `data` begins with it. */
resp_result resp_parse(resp_parser *parser, const char *data, size_t size);

/* An argument of a whole command. */
resp_text resp_argument(const resp_parser *parser, const char *data, size_t number);

/* Begins the next command. */
void resp_next(resp_parser *parser);

/* Frees what the parser has; it is as new then. */
void resp_clear(resp_parser *parser);

/* Whether the text is that word, in letters of either case. */
bool resp_same(resp_text given, const char *word);

/* The integer that a text is, in its only form: no sign but '-', no zero in front, no blank. */
bool resp_integer(resp_text given, int64_t *ret_number);

#endif
