/*
 * Which block to ask which peer for. No sockets and no clock of its own.
 *
 * The picker knows of each piece: whether we have it, whether it is wanted, how many peers have it,
 * and, of pieces that were begun, the state of each block and who was asked for it. Rules: pieces
 * that were begun come first; of the others the rarest, at random among equals; the first four
 * pieces of a download at random. A piece is on parole for a peer under suspicion, who then gets
 * whole pieces alone (blame.h). At the end, when every missing block was asked for, a block may be
 * asked of up to two more peers, who are cancelled when it comes.
 *
 * A have costs O(1), also with a million pieces: pieces are kept in order of rarity by buckets.
 *
 * A peer is a small number that the caller gives and reuses. Invariant, which every function keeps
 * and a debug build checks: in flight of a peer = asked - received - rejected - given up.
 */
#ifndef TORRENT_PICKER_H
#define TORRENT_PICKER_H

#include "bits.h"
#include "metainfo.h"

typedef struct picker picker;

typedef struct picker_block {
    uint32_t index;
    uint32_t block; /* number in its piece */
} picker_block;

/* What became of a block that came. */
typedef enum picker_outcome {
    PICKER_STORE,     /* wanted: to be written */
    PICKER_REDUNDANT, /* it is there already: another peer was faster */
    PICKER_UNASKED    /* this peer was not asked for it, or not any more */
} picker_outcome;

/* `have`: pieces that are complete; not copied, the caller adds to it after picker_piece_done.
 * `seed` of the random numbers. NULL when out of memory. */
picker *picker_new(const metainfo *info, const bits *have, uint64_t seed);
void picker_free(picker *self);

/* Counts of availability. */
bool picker_add_peer(picker *self, uint32_t peer);                   /* false when out of memory */
void picker_peer_has(picker *self, uint32_t peer, uint32_t index);   /* a have, once each */
void picker_peer_has_all(picker *self, uint32_t peer);               /* a seed: O(1) */
void picker_peer_bits(picker *self, uint32_t peer, const bits *has); /* a bit field */
/* Gives up what the peer was asked for and takes back what it had. */
void picker_remove_peer(picker *self, uint32_t peer, const bits *has, bool has_all);

/* Whether the peer has a piece that we want. O(1) amortised. */
bool picker_interesting(picker *self, uint32_t peer, const bits *has, bool has_all);

/* Picks up to `most` blocks to ask the peer for, and counts them as asked. `alone`: on parole, only
 * whole pieces that nobody else has touched, as long as there are any. `allowed`: only these pieces
 * (allowed fast, while choked); NULL for all. Returns how many. A block that the peer has rejected
 * may be picked for it again. */
uint32_t picker_pick(picker *self, uint32_t peer, const bits *has, bool has_all, bool alone,
                     const bits *allowed, picker_block *ret_blocks, uint32_t most);

/* A block has come. For PICKER_STORE, `ret_others` receives the peers (at most 2) that were asked
 * for it too and must be cancelled; they count as given up. */
picker_outcome picker_received(picker *self, uint32_t peer, picker_block which,
                               uint32_t *ret_others, uint32_t *ret_other_count);

/* The peer will not send it: rejected, or cancelled by us. A piece that was for this peer alone is
 * everybody's again. */
void picker_gave_up(picker *self, uint32_t peer, picker_block which);
/* The same for all that it was asked for: choked, snubbed, gone. */
void picker_gave_up_all(picker *self, uint32_t peer);
uint32_t picker_in_flight(const picker *self, uint32_t peer);

/* Whether all blocks of a piece have come; it is then to be hashed. */
bool picker_piece_complete(const picker *self, uint32_t index);
/* The result of that. Bad: all blocks are wanted again, none is given to the same peers at once if
 * the piece is on parole for one of them. */
void picker_piece_done(picker *self, uint32_t index, bool good);
/* A block could not be stored: it is wanted again. */
void picker_lost(picker *self, picker_block which);

bool picker_end_game(const picker *self);    /* every missing block was asked for */
uint64_t picker_missing(const picker *self); /* bytes not received yet */

#endif
