/*
 * The format of a fortune on the wire: a block of bytes, the same as in Qt's Fortune examples.
 *
 *     00 00 00 28   00 59  00 6f  00 75 ...
 *     |             |
 *     |             the text in UTF-16, big-endian, with no terminator
 *     number of bytes that follow, 32 bits, big-endian
 *
 * The programs use UTF-8. Invalid text becomes U+FFFD, the replacement character, in either
 * direction. Characters beyond U+FFFF are sent as surrogate pairs.
 *
 * These functions handle bytes in memory only: no sockets, no files.
 */
#ifndef BERTH_EXAMPLES_FORTUNE_WIRE_H
#define BERTH_EXAMPLES_FORTUNE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Size of the number at the beginning of a block, in bytes. */
#define FORTUNE_HEADER ((size_t)4)

/* Maximum size of the text in a block, in bytes; greater numbers are refused. */
#define FORTUNE_MOST ((size_t)1 << 20)

/*
 * Makes the block for `length` bytes of UTF-8. The caller frees it.
 *
 * Returns NULL with errno set: EMSGSIZE if it were longer than FORTUNE_MOST, or ENOMEM.
 */
uint8_t *fortune_block_new(const char *text, size_t length, size_t *ret_size);

/*
 * Reads the number at the beginning of a block. ffffffff, which Qt sends for a null string, is read
 * as 0.
 *
 * Returns false if it is invalid: greater than FORTUNE_MOST, or odd, since UTF-16 has two bytes a
 * unit.
 */
bool fortune_header_read(const uint8_t header[FORTUNE_HEADER], uint32_t *ret_count);

/*
 * Makes the UTF-8 text of the bytes after the number. The caller frees it.
 *
 * Returns NULL when out of memory.
 */
char *fortune_text_new(const uint8_t *bytes, size_t size, size_t *ret_length);

#endif
