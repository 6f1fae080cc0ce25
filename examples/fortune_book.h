/*
 * The sayings of the Fortune servers, read from a file or built in. Each is stored as the block of
 * bytes that is sent (fortune_wire.h).
 *
 * Sayings that cannot be read, or a file without any, end the program as options.h describes. A
 * filled book is only read, so threads may share it.
 */
#ifndef BERTH_EXAMPLES_FORTUNE_BOOK_H
#define BERTH_EXAMPLES_FORTUNE_BOOK_H

#include <stddef.h>
#include <stdint.h>

/* One saying, ready to be sent. */
typedef struct fortune {
    uint8_t *block;
    size_t size;
} fortune;

typedef struct book {
    fortune *fortunes;
    size_t count;
} book;

/* Fills an empty book: from a file in UTF-8 with sayings separated by lines with a single '%' or,
 * if `file` is NULL, with the built-in sayings. */
void book_open(book *sayings, const char *program, const char *file);

void book_free(book *sayings);

/* Returns the index of a random saying; all are equally likely. Not thread-safe. */
size_t book_pick(const book *sayings);

#endif
