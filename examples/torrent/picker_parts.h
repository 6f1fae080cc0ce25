/*
 * What the two files of the picker share: picker.c keeps the pieces, blocks and peers; choose.c
 * decides what a peer is asked for.
 */
#ifndef TORRENT_PICKER_PARTS_H
#define TORRENT_PICKER_PARTS_H

#include "picker.h"

#define NOBODY UINT16_MAX
#define NO_PIECE UINT32_MAX
#define MOST_ASKERS 3
#define RANDOM_PIECES 4u /* the first ones of a download */

typedef enum piece_state {
    PIECE_UNTOUCHED,
    PIECE_STARTED,
    PIECE_HAD
} piece_state;

typedef struct piece {
    uint32_t place; /* in `order` or `started` */
    uint16_t peers; /* that have it, but for seeds */
    uint8_t state;
} piece;

typedef struct block {
    uint16_t askers[MOST_ASKERS]; /* peers; NOBODY behind the last one */
    bool stored;
} block;

typedef struct started {
    uint32_t index;
    uint32_t count;  /* of blocks */
    uint32_t stored; /* blocks that have come */
    uint32_t unasked;
    uint32_t hint;  /* no block before it is unasked */
    uint16_t alone; /* the peer on parole that gets it; NOBODY: all peers do */
    block blocks[];
} started;

typedef struct picker_peer {
    picker_block *ring; /* what it was asked for; NULL: nothing */
    uint32_t room;      /* of the ring: a power of two */
    uint32_t head;
    uint32_t count;
    uint32_t current;   /* the piece that it was asked for last */
    uint32_t witness;   /* a piece that it has and we want, as far as is known; or NO_PIECE */
    uint32_t cursor;    /* the search for a witness: where it goes on */
    uint32_t behind;    /* the first have before that; NO_PIECE: none */
    uint32_t dry;       /* `returned` when it had no untouched piece */
    uint32_t own_count; /* pieces that it gets alone */
    bool seed;
    bool known; /* the place is taken */
#ifndef NDEBUG
    uint64_t asked; /* in flight = asked - ended */
    uint64_t ended;
#endif
} picker_peer;

struct picker {
    const metainfo *info;
    const bits *have;
    piece *pieces;
    uint32_t *order; /* untouched pieces */
    uint32_t *first; /* of each number of peers; the last entry is the end */
    uint32_t levels; /* entries of `first` but for the last */
    started **started;
    uint32_t started_count;
    uint32_t started_room;
    uint32_t open;     /* so many of `started`, the first ones, have unasked blocks */
    uint32_t begun;    /* pieces that were had or started at some time, up to RANDOM_PIECES */
    uint32_t left;     /* pieces that are not had */
    uint32_t returned; /* changes when a piece becomes untouched again */
    picker_peer *peers;
    uint32_t peer_room;
    uint32_t victim;  /* whose blocks are looked at next in the end game */
    uint64_t unasked; /* blocks that nobody was asked for, of all pieces */
    uint64_t missing;
    uint64_t random;
};

static inline started *started_of(const picker *self, uint32_t index)
{
    return self->started[self->pieces[index].place];
}

static inline picker_block *in_ring(const picker_peer *asked, uint32_t at)
{
    return &asked->ring[(asked->head + at) & (asked->room - 1)];
}

static inline uint32_t asker_count(const block *it)
{
    uint32_t count = 0;
    while (count < MOST_ASKERS && it->askers[count] != NOBODY)
        count++;
    return count;
}

static inline bool is_asker(const block *it, uint32_t number)
{
    for (uint32_t i = 0; i < MOST_ASKERS; i++)
        if (it->askers[i] == number)
            return true;
    return false;
}

/* Starts an untouched piece; NULL when out of memory. Its blocks were unasked and are. */
started *picker_start(picker *self, uint32_t index);

/* Adds to, or takes from, the number of its unasked blocks. */
void picker_change_unasked(picker *self, started *it, int32_t change);

/* Counts a block as asked of a peer. False when out of memory. */
bool picker_ask(picker *self, uint32_t peer, picker_block which);

#endif
