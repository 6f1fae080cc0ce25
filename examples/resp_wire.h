/*
 * RESP2, the protocol of Redis: a parser of commands, and lengths of replies. It uses no socket.
 *
 * A command is an array of bulk strings, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", or a line of words. The
 * caller passes all bytes since the beginning of the command, again whenever more have arrived; the
 * parser remembers how far it has got and does not scan an argument twice. Announced lengths are
 * not trusted: memory is allocated only for what has arrived.
 */
#ifndef BERTH_EXAMPLES_RESP_WIRE_H
#define BERTH_EXAMPLES_RESP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESP_MOST_ARGUMENTS (1024 * 1024)
#define RESP_MOST_COMMAND (64u << 20) /* bytes, an argument with them */
#define RESP_MOST_INLINE 65536        /* bytes of a line of words */

#define RESP_MOST_NUMBER 24 /* bytes of a line with a number */

/* Bytes; not terminated. */
typedef struct resp_text {
    const char *data;
    size_t size;
} resp_text;

typedef struct resp_part {
    uint32_t offset; /* since the beginning of the command */
    uint32_t size;
} resp_part;

/* The state of one command. Zeroed at first. */
typedef struct resp_parser {
    size_t at;         /* bytes that have been used */
    size_t left;       /* arguments that have not arrived */
    size_t length;     /* of the next argument, if it is known */
    bool in_array;     /* the length of the array is known */
    bool in_bulk;      /* the length of the next argument is known */
    const char *wrong; /* why the input is not a command */
    size_t count;      /* arguments that have arrived */
    size_t room;
    resp_part *parts;
} resp_parser;

typedef enum resp_result {
    RESP_MORE,    /* it is incomplete */
    RESP_COMMAND, /* it is complete, in `at` bytes; one without arguments is to be ignored */
    RESP_WRONG    /* it is malformed, and so the next one cannot be found: see `wrong` */
} resp_result;

/* Continues to parse the command that `data` begins with. */
resp_result resp_parse(resp_parser *parser, const char *data, size_t size);

/* An argument of a complete command. */
resp_text resp_argument(const resp_parser *parser, const char *data, size_t number);

/* Begins the next command. */
void resp_next(resp_parser *parser);

/* Frees the parser's memory; the parser can be used again. */
void resp_clear(resp_parser *parser);

/* Whether the text is that word, in letters of either case. */
bool resp_same(resp_text given, const char *word);

/* Writes a mark, a number and the end of the line, such as "$3\r\n", without the cost of snprintf.
 * Returns the size. */
size_t resp_write_number(char text[RESP_MOST_NUMBER], char mark, uint64_t number);

/* Parses an integer in its canonical form: no '+', no leading zeros, no blanks. */
bool resp_integer(resp_text given, int64_t *ret_number);

#endif
