/*
 * Which block to ask which peer for; picker.h describes each function. Here is what is known of
 * pieces, blocks and peers; choose.c decides.
 *
 * A piece is untouched, started or had. The untouched ones are in one array, `order`, by the number
 * of peers that have them (seeds are not counted: they have all): `first[n]` is where those that n
 * peers have begin. A have moves its piece to the edge of its group and the edge by one. A started
 * piece has memory of its own with the state of each block; those with blocks that nobody was asked
 * for come first in `started`, so that they are found at once. A peer has a ring of what it was
 * asked for, in that order, which is the order in which it answers.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "picker_parts.h"

#define SMALL_RING 16u
#define MOST_PEERS 65535u

/* ---- the order of rarity --------------------------------------------------------------------- */

static void put(picker *self, uint32_t place, uint32_t index)
{
    self->order[place] = index;
    self->pieces[index].place = place;
}

static void swap(picker *self, uint32_t a, uint32_t b)
{
    uint32_t index = self->order[a];
    put(self, a, self->order[b]);
    put(self, b, index);
}

static void raise(picker *self, uint32_t index)
{
    piece *it = &self->pieces[index];
    assert(it->peers + 1u < self->levels);
    if (it->state == PIECE_UNTOUCHED)
        swap(self, it->place, --self->first[it->peers + 1]);
    it->peers++;
}

static void lower(picker *self, uint32_t index)
{
    piece *it = &self->pieces[index];
    assert(it->peers > 0);
    if (it->state == PIECE_UNTOUCHED)
        swap(self, it->place, self->first[it->peers]++);
    it->peers--;
}

/* The gap is closed by the last one of each group behind it. */
static void take_out(picker *self, uint32_t index)
{
    uint32_t gap = self->pieces[index].place;
    for (uint32_t level = self->pieces[index].peers; level < self->levels; level++) {
        uint32_t last = --self->first[level + 1];
        if (last != gap) /* unless the group is empty */
            put(self, gap, self->order[last]);
        gap = last;
    }
}

static void put_in(picker *self, uint32_t index)
{
    uint32_t gap = self->first[self->levels]++;
    for (uint32_t level = self->levels - 1; level > self->pieces[index].peers; level--) {
        if (self->first[level] != gap)
            put(self, gap, self->order[self->first[level]]);
        gap = self->first[level]++;
    }
    put(self, gap, index);
    self->pieces[index].state = PIECE_UNTOUCHED;
    self->returned++;
}

/* ---- started pieces -------------------------------------------------------------------------- */

static void place_started(picker *self, uint32_t place, started *it)
{
    self->started[place] = it;
    self->pieces[it->index].place = place;
}

static void swap_started(picker *self, uint32_t a, uint32_t b)
{
    started *it = self->started[a];
    place_started(self, a, self->started[b]);
    place_started(self, b, it);
}

void picker_change_unasked(picker *self, started *it, int32_t change)
{
    uint32_t place = self->pieces[it->index].place;
    uint32_t before = it->unasked;
    it->unasked += (uint32_t)change;
    self->unasked += (uint64_t)(int64_t)change;
    if (before == 0 && it->unasked > 0)
        swap_started(self, place, self->open++);
    else if (before > 0 && it->unasked == 0)
        swap_started(self, place, --self->open);
}

started *picker_start(picker *self, uint32_t index)
{
    uint32_t count = metainfo_block_count(self->info, index);
    if (self->started_count == self->started_room) {
        uint32_t room = self->started_room > 0 ? 2 * self->started_room : 16;
        started **more = realloc(self->started, room * sizeof(started *));
        if (!more)
            return NULL;
        self->started = more;
        self->started_room = room;
    }
    started *it = malloc(sizeof(*it) + count * sizeof(block));
    if (!it)
        return NULL;
    *it = (started){.index = index, .count = count, .alone = NOBODY};
    for (uint32_t i = 0; i < count; i++)
        it->blocks[i] = (block){.askers = {NOBODY, NOBODY, NOBODY}};
    take_out(self, index);
    self->pieces[index].state = PIECE_STARTED;
    place_started(self, self->started_count++, it);
    self->unasked -= count;
    picker_change_unasked(self, it, (int32_t)count);
    self->begun += self->begun < RANDOM_PIECES;
    return it;
}

/* A piece on parole is everybody's again. */
static void share(picker *self, started *it)
{
    if (it->alone == NOBODY)
        return;
    self->peers[it->alone].own_count--;
    it->alone = NOBODY;
}

static void drop_started(picker *self, started *it)
{
    share(self, it);
    picker_change_unasked(self, it, -(int32_t)it->unasked);
    swap_started(self, self->pieces[it->index].place, --self->started_count);
    free(it);
}

/* ---- what a peer was asked for --------------------------------------------------------------- */

static bool grow_ring(picker_peer *asked)
{
    uint32_t room = asked->room > 0 ? 2 * asked->room : SMALL_RING;
    picker_block *ring = malloc(room * sizeof(*ring));
    if (!ring)
        return false;
    for (uint32_t i = 0; i < asked->count; i++)
        ring[i] = *in_ring(asked, i);
    free(asked->ring);
    asked->ring = ring;
    asked->room = room;
    asked->head = 0;
    return true;
}

/* An idle peer keeps nothing. */
static void shrink_ring(picker_peer *asked)
{
    if (asked->count > 0 || asked->room <= SMALL_RING)
        return;
    free(asked->ring);
    asked->ring = NULL;
    asked->room = 0;
}

static void check_in_flight(const picker_peer *asked)
{
    (void)asked;
    assert(asked->count == asked->asked - asked->ended);
}

static block *block_of(const picker *self, picker_block which)
{
    return &started_of(self, which.index)->blocks[which.block];
}

bool picker_ask(picker *self, uint32_t number, picker_block which)
{
    picker_peer *asked = &self->peers[number];
    block *it = block_of(self, which);
    if (asked->count == asked->room && !grow_ring(asked))
        return false;
    it->askers[asker_count(it)] = (uint16_t)number;
    asked->count++;
    *in_ring(asked, asked->count - 1) = which;
#ifndef NDEBUG
    asked->asked++;
#endif
    check_in_flight(asked);
    return true;
}

/* Takes a block from what the peer was asked for: nearly always the first one. */
static void end_request(picker *self, uint32_t number, picker_block which)
{
    picker_peer *asked = &self->peers[number];
    block *it = block_of(self, which);
    uint32_t at = 0;
    while (in_ring(asked, at)->index != which.index || in_ring(asked, at)->block != which.block)
        at++;
    for (; at > 0; at--)
        *in_ring(asked, at) = *in_ring(asked, at - 1);
    asked->head = (asked->head + 1) & (asked->room - 1);
    asked->count--;
    uint32_t last = asker_count(it) - 1;
    for (uint32_t i = 0; i <= last; i++)
        if (it->askers[i] == number)
            it->askers[i] = it->askers[last];
    it->askers[last] = NOBODY;
    shrink_ring(asked);
#ifndef NDEBUG
    asked->ended++;
#endif
    check_in_flight(asked);
}

/* ---- a picker, and its peers ----------------------------------------------------------------- */

static void fill_order(picker *self)
{
    uint32_t count = self->info->piece_count;
    self->missing = self->info->length;
    for (uint32_t i = 0; i < count; i++) {
        if (bits_has(self->have, i)) {
            self->pieces[i].state = PIECE_HAD;
            self->missing -= metainfo_piece_size(self->info, i);
            self->begun += self->begun < RANDOM_PIECES;
            continue;
        }
        put(self, self->left++, i);
        self->unasked += metainfo_block_count(self->info, i);
    }
    self->first[1] = self->left;
}

picker *picker_new(const metainfo *info, const bits *have, uint64_t seed)
{
    picker *self = calloc(1, sizeof(*self));
    if (!self)
        return NULL;
    *self = (picker){.info = info, .have = have, .levels = 1, .returned = 1, .random = seed | 1};
    self->pieces = calloc(info->piece_count, sizeof(piece));
    self->order = malloc(info->piece_count * sizeof(uint32_t));
    self->first = calloc(2, sizeof(uint32_t));
    if (!self->pieces || !self->order || !self->first) {
        picker_free(self);
        return NULL;
    }
    fill_order(self);
    return self;
}

void picker_free(picker *self)
{
    if (!self)
        return;
    for (uint32_t i = 0; i < self->started_count; i++)
        free(self->started[i]);
    for (uint32_t i = 0; i < self->peer_room; i++)
        free(self->peers[i].ring);
    free(self->peers);
    free(self->started);
    free(self->first);
    free(self->order);
    free(self->pieces);
    free(self);
}

/* Room for `peer`, and for pieces that so many peers have. */
static bool make_room(picker *self, uint32_t number)
{
    if (number < self->peer_room)
        return true;
    uint32_t room = number + number / 2 + 8;
    picker_peer *peers = realloc(self->peers, room * sizeof(*peers));
    if (!peers)
        return false;
    memset(peers + self->peer_room, 0, (room - self->peer_room) * sizeof(*peers));
    self->peers = peers;
    self->peer_room = room;
    return true;
}

static bool make_levels(picker *self, uint32_t levels)
{
    if (levels <= self->levels)
        return true;
    uint32_t *first = realloc(self->first, (levels + 1) * sizeof(*first));
    if (!first)
        return false;
    for (uint32_t i = self->levels + 1; i <= levels; i++)
        first[i] = first[self->levels];
    self->first = first;
    self->levels = levels;
    return true;
}

bool picker_add_peer(picker *self, uint32_t peer)
{
    if (peer >= MOST_PEERS || !make_room(self, peer) || !make_levels(self, self->peer_room + 1))
        return false;
    assert(!self->peers[peer].known);
    self->peers[peer] =
        (picker_peer){.known = true, .current = NO_PIECE, .witness = NO_PIECE, .behind = NO_PIECE};
    return true;
}

void picker_peer_has(picker *self, uint32_t peer, uint32_t index)
{
    picker_peer *it = &self->peers[peer];
    it->dry = 0;
    if (it->witness == NO_PIECE)
        it->witness = index;
    if (index < it->cursor && index < it->behind)
        it->behind = index;
    if (!it->seed)
        raise(self, index);
}

void picker_peer_has_all(picker *self, uint32_t peer)
{
    self->peers[peer].seed = true;
    self->peers[peer].dry = 0;
}

static void change_all(picker *self, const bits *has, void (*change)(picker *self, uint32_t index))
{
    size_t size = bits_size(has->count);
    for (size_t byte = 0; byte < size; byte++)
        for (uint8_t rest = has->bytes[byte]; rest; rest &= (uint8_t)(rest - 1))
            change(self, (uint32_t)(8 * byte + 7) - (uint32_t)__builtin_ctz(rest));
}

void picker_peer_bits(picker *self, uint32_t peer, const bits *has)
{
    picker_peer *it = &self->peers[peer];
    it->dry = 0;
    it->cursor = 0;
    if (bits_full(has))
        it->seed = true;
    else
        change_all(self, has, raise);
}

void picker_remove_peer(picker *self, uint32_t peer, const bits *has, bool has_all)
{
    picker_peer *it = &self->peers[peer];
    picker_gave_up_all(self, peer);
    if (!it->seed && has_all) /* by one have after the other */
        for (uint32_t index = 0; index < self->info->piece_count; index++)
            lower(self, index);
    else if (!it->seed && has)
        change_all(self, has, lower);
    free(it->ring);
    *it = (picker_peer){0};
}

/* ---- what became of it ----------------------------------------------------------------------- */

/* Whether it is a block of a started piece. */
static bool is_started(const picker *self, picker_block which)
{
    return which.index < self->info->piece_count &&
           self->pieces[which.index].state == PIECE_STARTED &&
           which.block < started_of(self, which.index)->count;
}

static void want_again(picker *self, picker_block which)
{
    started *it = started_of(self, which.index);
    picker_change_unasked(self, it, 1);
    if (which.block < it->hint)
        it->hint = which.block;
}

picker_outcome picker_received(picker *self, uint32_t peer, picker_block which,
                               uint32_t *ret_others, uint32_t *ret_other_count)
{
    *ret_other_count = 0;
    if (!is_started(self, which)) {
        bool had =
            which.index < self->info->piece_count && self->pieces[which.index].state == PIECE_HAD;
        return had ? PICKER_REDUNDANT : PICKER_UNASKED;
    }
    started *it = started_of(self, which.index);
    block *one = &it->blocks[which.block];
    if (!is_asker(one, peer))
        return one->stored ? PICKER_REDUNDANT : PICKER_UNASKED;
    end_request(self, peer, which);
    while (one->askers[0] != NOBODY) {
        ret_others[(*ret_other_count)++] = one->askers[0];
        end_request(self, one->askers[0], which);
    }
    one->stored = true;
    it->stored++;
    self->missing -= metainfo_block_size(self->info, which.index, which.block);
    return PICKER_STORE;
}

void picker_gave_up(picker *self, uint32_t peer, picker_block which)
{
    if (!is_started(self, which) || !is_asker(block_of(self, which), peer))
        return;
    started *it = started_of(self, which.index);
    end_request(self, peer, which);
    if (it->alone == peer)
        share(self, it);
    if (asker_count(block_of(self, which)) == 0)
        want_again(self, which);
}

void picker_gave_up_all(picker *self, uint32_t peer)
{
    picker_peer *it = &self->peers[peer];
    while (it->count > 0)
        picker_gave_up(self, peer, *in_ring(it, 0));
    for (uint32_t i = 0; i < self->started_count && it->own_count > 0; i++)
        if (self->started[i]->alone == peer)
            share(self, self->started[i]);
}

uint32_t picker_in_flight(const picker *self, uint32_t peer)
{
    return self->peers[peer].count;
}

bool picker_piece_complete(const picker *self, uint32_t index)
{
    if (self->pieces[index].state != PIECE_STARTED)
        return self->pieces[index].state == PIECE_HAD;
    return started_of(self, index)->stored == started_of(self, index)->count;
}

void picker_piece_done(picker *self, uint32_t index, bool good)
{
    if (self->pieces[index].state != PIECE_STARTED || !picker_piece_complete(self, index))
        return;
    drop_started(self, started_of(self, index));
    if (good) {
        self->pieces[index].state = PIECE_HAD;
        self->left--;
        return;
    }
    self->unasked += metainfo_block_count(self->info, index);
    self->missing += metainfo_piece_size(self->info, index);
    put_in(self, index);
}

void picker_lost(picker *self, picker_block which)
{
    if (!is_started(self, which) || !block_of(self, which)->stored)
        return;
    block_of(self, which)->stored = false;
    started_of(self, which.index)->stored--;
    self->missing += metainfo_block_size(self->info, which.index, which.block);
    want_again(self, which);
}

bool picker_end_game(const picker *self)
{
    return self->unasked == 0 && self->missing > 0;
}

uint64_t picker_missing(const picker *self)
{
    return self->missing;
}
