/*
 * What tests of parts of the Torrent example share: a torrent that is nothing but its pieces,
 * random numbers that are the same in every run, and a cheap assertion.
 */
#ifndef BERTH_TESTS_UNIT_TORRENT_PIECES_H
#define BERTH_TESTS_UNIT_TORRENT_PIECES_H

#include "../../examples/torrent/metainfo.h"

/* ck_assert writes to a file each time, which is too slow in long loops. */
#define HOLDS(condition)                    \
    do {                                    \
        if (!(condition))                   \
            ck_abort_msg("%s", #condition); \
    } while (0)

static inline metainfo pieces_of(uint64_t length, uint32_t piece_length)
{
    return (metainfo){.length = length,
                      .piece_length = piece_length,
                      .piece_count = (uint32_t)((length - 1) / piece_length + 1)};
}

static inline uint32_t draw_below(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 33) % below);
}

#endif
