/*
 * Sets of pieces: one bit each, in the order of the protocol (the highest bit of the first byte is
 * piece 0), so that a set can be sent and received as it is.
 */
#ifndef TORRENT_BITS_H
#define TORRENT_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct bits {
    uint8_t *bytes; /* bits_size(count) of them; spare bits are zero */
    uint32_t count; /* of pieces */
    uint32_t set;   /* how many are in the set */
} bits;

/* Makes an empty set; false when out of memory. */
bool bits_open(bits *self, uint32_t count);
void bits_close(bits *self);

size_t bits_size(uint32_t count); /* in bytes */
bool bits_has(const bits *self, uint32_t index);
void bits_add(bits *self, uint32_t index);    /* no effect if it is in the set */
void bits_remove(bits *self, uint32_t index); /* no effect if it is not */
void bits_fill(bits *self);
void bits_clear(bits *self);
bool bits_full(const bits *self);

/* Takes over a set that came from outside. False, and unchanged, if the size is wrong or a spare
 * bit is set. */
bool bits_read(bits *self, const void *data, size_t size);

#endif
