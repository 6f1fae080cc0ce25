/*
 * The arithmetic of pieces, as metainfo.c has it, for tests of parts that need a layout but no
 * .torrent file; and random numbers that are the same in every run.
 */
#ifndef BERTH_TESTS_UNIT_TORRENT_PIECES_H
#define BERTH_TESTS_UNIT_TORRENT_PIECES_H

#include "../../examples/torrent/metainfo.h"

static inline metainfo pieces_of(uint64_t length, uint32_t piece_length)
{
    return (metainfo){.length = length,
                      .piece_length = piece_length,
                      .piece_count = (uint32_t)((length - 1) / piece_length + 1)};
}

uint32_t metainfo_piece_size(const metainfo *self, uint32_t index)
{
    uint64_t rest = self->length - (uint64_t)index * self->piece_length;
    return rest < self->piece_length ? (uint32_t)rest : self->piece_length;
}

uint32_t metainfo_block_count(const metainfo *self, uint32_t index)
{
    return (metainfo_piece_size(self, index) - 1) / BLOCK_SIZE + 1;
}

uint32_t metainfo_block_size(const metainfo *self, uint32_t index, uint32_t block)
{
    uint32_t rest = metainfo_piece_size(self, index) - block * BLOCK_SIZE;
    return rest < BLOCK_SIZE ? rest : BLOCK_SIZE;
}

static inline uint32_t draw_below(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 33) % below);
}

#endif
