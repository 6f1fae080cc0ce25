/*
 * The sayings that the Fortune servers send, read from a file or built in, each as the block of
 * bytes that travels (fortune_wire.h).
 *
 * What cannot be read, or holds no saying, ends the program as options.h says. Once it is filled a
 * book is only read, so that threads may share it.
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

/* Fills an empty book: from a file of UTF-8 with texts that are separated by lines of a single '%',
 * or, if that is NULL, with the built-in sayings. */
void book_open(book *sayings, const char *program, const char *file);

void book_free(book *sayings);

/* The index of a saying, each as likely as the others. For one thread at a time. */
size_t book_pick(const book *sayings);

#endif
