/* Sets of pieces; bits.h describes each function. */
#include "bits.h"

#include <stdlib.h>
#include <string.h>

static uint8_t mask_of(uint32_t index)
{
    return (uint8_t)(0x80u >> index % 8);
}

/* The bits of the last byte that belong to pieces. */
static uint8_t last_byte(uint32_t count)
{
    return (uint8_t)(count % 8 == 0 ? 0xffu : 0xff00u >> count % 8);
}

size_t bits_size(uint32_t count)
{
    return count / 8 + (count % 8 != 0);
}

bool bits_open(bits *self, uint32_t count)
{
    self->bytes = calloc(count > 0 ? bits_size(count) : 1, 1);
    self->count = self->bytes ? count : 0;
    self->set = 0;
    return self->bytes != NULL;
}

void bits_close(bits *self)
{
    free(self->bytes);
    *self = (bits){0};
}

bool bits_has(const bits *self, uint32_t index)
{
    return index < self->count && (self->bytes[index / 8] & mask_of(index));
}

void bits_add(bits *self, uint32_t index)
{
    if (index >= self->count || bits_has(self, index))
        return;
    self->bytes[index / 8] |= mask_of(index);
    self->set++;
}

void bits_remove(bits *self, uint32_t index)
{
    if (!bits_has(self, index))
        return;
    self->bytes[index / 8] &= (uint8_t)~mask_of(index);
    self->set--;
}

void bits_fill(bits *self)
{
    if (self->count == 0)
        return;
    size_t size = bits_size(self->count);
    memset(self->bytes, 0xff, size);
    self->bytes[size - 1] = last_byte(self->count);
    self->set = self->count;
}

void bits_clear(bits *self)
{
    if (self->count > 0)
        memset(self->bytes, 0, bits_size(self->count));
    self->set = 0;
}

bool bits_full(const bits *self)
{
    return self->set == self->count;
}

/* Of eight bytes at a time: a bit field of a large torrent comes with every peer. */
static uint32_t count_set(const uint8_t *bytes, size_t size)
{
    uint32_t set = 0;
    uint64_t word;
    for (; size >= sizeof(word); bytes += sizeof(word), size -= sizeof(word)) {
        memcpy(&word, bytes, sizeof(word));
        set += (uint32_t)__builtin_popcountll(word);
    }
    for (; size > 0; bytes++, size--)
        set += (uint32_t)__builtin_popcount(*bytes);
    return set;
}

bool bits_read(bits *self, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    if (size != bits_size(self->count))
        return false;
    if (size == 0)
        return true;
    if (bytes[size - 1] & (uint8_t)~last_byte(self->count))
        return false;
    memcpy(self->bytes, bytes, size);
    self->set = count_set(bytes, size);
    return true;
}
