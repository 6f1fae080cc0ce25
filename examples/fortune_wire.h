/*
 * How a fortune travels: a block of bytes that Qt's Fortune examples write and read too.
 *
 *     00 00 00 28   00 59  00 6f  00 75 ...
 *     |             |
 *     |             the text in UTF-16, big-endian, with no terminator
 *     number of bytes that follow, 32 bits, big-endian
 *
 * Our side of the wire is UTF-8. Text that is not valid there becomes U+FFFD, the replacement
 * character, in either direction; characters beyond U+FFFF travel as surrogate pairs.
 *
 * Only bytes in memory are handled here: no socket, no file.
 */
#ifndef BERTH_EXAMPLES_FORTUNE_WIRE_H
#define BERTH_EXAMPLES_FORTUNE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the count that a block begins with. */
#define FORTUNE_HEADER ((size_t)4)

/* Most bytes of text in a block: a longer count is taken for a lie. */
#define FORTUNE_MOST ((size_t)1 << 20)

/*
 * Makes the block of a text of `length` bytes of UTF-8. The caller frees it.
 *
 * Returns NULL with errno set: EMSGSIZE if it would be longer than FORTUNE_MOST, or ENOMEM.
 */
uint8_t *fortune_block_new(const char *text, size_t length, size_t *ret_size);

/*
 * Reads the count that a block begins with. The count ffffffff, by which Qt sends a null string, is
 * read as 0.
 *
 * Returns false if it cannot be one: more than FORTUNE_MOST, or odd, which no UTF-16 text is.
 */
bool fortune_header_read(const uint8_t header[FORTUNE_HEADER], uint32_t *ret_count);

/*
 * Makes the UTF-8 text of what follows the count. The caller frees it.
 *
 * Returns NULL when out of memory.
 */
char *fortune_text_new(const uint8_t *bytes, size_t size, size_t *ret_length);

#endif
