/*
 * Reads sayings and picks one: see fortune_book.h.
 */
#include "fortune_book.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fortune_wire.h"
#include "options.h"

static const char built_in[] = "A harbour is known in the storm.\n"
                               "%\n"
                               "Nothing is as permanent as a temporary port.\n"
                               "%\n"
                               "Whoever sails without a chart discovers every rock.\n";

static void book_add(book *sayings, const char *program, const char *file, const char *text,
                     size_t length)
{
    while (length > 0 && text[length - 1] == '\n')
        length--;
    if (length == 0)
        return;
    fortune *more = realloc(sayings->fortunes, (sayings->count + 1) * sizeof(*more));
    if (!more)
        fail(program, "cannot store the fortunes of %s: %s", file, strerror(errno));
    sayings->fortunes = more;
    fortune *added = &more[sayings->count];
    added->block = fortune_block_new(text, length, &added->size);
    if (!added->block)
        fail(program, "cannot use fortune %zu of %s: %s", sayings->count + 1, file,
             strerror(errno));
    sayings->count++;
}

/* Sayings are separated by lines with a single '%'. */
static void book_fill(book *sayings, const char *program, const char *file, const char *text,
                      size_t length)
{
    const char *end = text + length;
    const char *begin = text; /* of the present saying */
    for (const char *line = text; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *next = newline ? newline + 1 : end;
        const char *line_end = newline ? newline : end;
        if (line_end - line == 1 && *line == '%') {
            book_add(sayings, program, file, begin, (size_t)(line - begin));
            begin = next;
        }
        line = next;
    }
    book_add(sayings, program, file, begin, (size_t)(end - begin));
    if (sayings->count == 0)
        fail(program, "%s contains no fortune", file);
}

static void book_read(book *sayings, const char *program, const char *file)
{
    char *text = NULL;
    size_t length = 0;
    size_t size = 0;
    FILE *stream = fopen(file, "r");
    if (!stream)
        fail(program, "cannot open the fortunes %s: %s", file, strerror(errno));
    do {
        size = size ? 2 * size : 65536;
        char *larger = realloc(text, size);
        if (!larger)
            fail(program, "cannot read the fortunes %s: %s", file, strerror(errno));
        text = larger;
        length += fread(text + length, 1, size - length, stream);
    } while (length == size);
    if (ferror(stream))
        fail(program, "cannot read the fortunes %s: %s", file, strerror(errno));
    fclose(stream);
    book_fill(sayings, program, file, text, length);
    free(text);
}

void book_open(book *sayings, const char *program, const char *file)
{
    if (file)
        book_read(sayings, program, file);
    else
        book_fill(sayings, program, "the built-in ones", built_in, sizeof(built_in) - 1);
}

void book_free(book *sayings)
{
    for (size_t i = 0; i < sayings->count; i++)
        free(sayings->fortunes[i].block);
    free(sayings->fortunes);
}

/* Numbers beyond the last whole multiple of `count` would favour the first sayings; they are drawn
 * again. */
size_t book_pick(const book *sayings)
{
    const size_t count = sayings->count;
    const unsigned long numbers = 1ul << 31; /* random() returns 0 to 2^31 - 1 */
    unsigned long number;
    do {
        number = (unsigned long)random();
    } while (number >= numbers - numbers % count);
    return number % count;
}
