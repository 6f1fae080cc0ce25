/*
 * What a peer is asked for: picker_pick, and whether there is anything.
 *
 * The search for an untouched piece looks at MOST_LOOKS of them, from the rarest on. A peer that
 * has few of very many pieces is then searched for what it has and we have not, 64 pieces at a
 * time, and gets the rarest of a few of these. That a search found nothing is remembered until
 * there is something new: so no pick looks at all pieces one by one.
 *
 * End game: a peer with little to do is asked for blocks that others were asked for last, so that
 * two that work on the same blocks meet at the end, and few come twice.
 */
#include <string.h>

#include "picker_parts.h"

#define MOST_LOOKS 1024u      /* at pieces, in one search */
#define FEW 16u               /* of which the rarest is taken */
#define END_GAME_IN_FLIGHT 2u /* more is not asked twice of a peer */

typedef struct wish {
    uint32_t peer;
    const bits *has;
    bool all;
    bool alone;
} wish;

static uint32_t draw(picker *self, uint32_t below)
{
    self->random ^= self->random << 13; /* xorshift64 */
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return (uint32_t)(((self->random >> 32) * below) >> 32);
}

static bool has_piece(const wish *what, uint32_t index)
{
    return what->all || (what->has && bits_has(what->has, index));
}

/* The first piece from `from` on that the peer has and we have not; the number of pieces if there
 * is none. */
static uint32_t next_missing(const picker *self, const bits *has, uint32_t from)
{
    uint32_t count = has->count;
    uint64_t theirs;
    uint64_t ours;
    for (uint32_t at = from; at < count;) {
        if (at % 64 == 0 && count - at >= 64) {
            memcpy(&theirs, has->bytes + at / 8, sizeof(theirs));
            memcpy(&ours, self->have->bytes + at / 8, sizeof(ours));
            if ((theirs & ~ours) == 0) {
                at += 64;
                continue;
            }
        }
        if (bits_has(has, at) && !bits_has(self->have, at))
            return at;
        at++;
    }
    return self->info->piece_count;
}

/* A piece that was once seen to be of interest is kept as witness until we have it: only then the
 * search goes on from there. */
bool picker_interesting(picker *self, uint32_t peer, const bits *has, bool has_all)
{
    picker_peer *it = &self->peers[peer];
    if (self->left == 0 || has_all || it->seed)
        return self->left > 0;
    for (;;) {
        if (it->witness != NO_PIECE && self->pieces[it->witness].state != PIECE_HAD)
            return true;
        it->witness = has ? next_missing(self, has, it->cursor) : self->info->piece_count;
        it->cursor = it->witness + 1;
        if (it->witness < self->info->piece_count)
            continue;
        it->witness = NO_PIECE;
        if (it->behind == NO_PIECE)
            return false;
        it->cursor = it->behind;
        it->behind = NO_PIECE;
    }
}

/* An untouched piece of the peer from a part of the order, beginning anywhere in it. */
static uint32_t look_in(picker *self, const wish *what, uint32_t begin, uint32_t end,
                        uint32_t *looks)
{
    if (begin == end)
        return NO_PIECE;
    uint32_t at = begin + draw(self, end - begin);
    for (uint32_t seen = begin; *looks > 0 && seen < end; seen++, (*looks)--) {
        if (has_piece(what, self->order[at]))
            return self->order[at];
        at = at + 1 < end ? at + 1 : begin;
    }
    return NO_PIECE;
}

/* The rarest of the first few that the peer has and we have not, beginning anywhere. */
static uint32_t search(picker *self, const bits *has)
{
    uint32_t count = self->info->piece_count;
    uint32_t begin = draw(self, count);
    uint32_t best = NO_PIECE;
    uint32_t found = 0;
    for (int half = 0; half < 2; half++) {
        uint32_t end = half == 0 ? count : begin;
        uint32_t at = next_missing(self, has, half == 0 ? begin : 0);
        for (; at < end && found < FEW; at = next_missing(self, has, at + 1)) {
            if (self->pieces[at].state != PIECE_UNTOUCHED)
                continue;
            found++;
            if (best == NO_PIECE || self->pieces[at].peers < self->pieces[best].peers)
                best = at;
        }
    }
    return best;
}

static uint32_t find_untouched(picker *self, const wish *what)
{
    uint32_t end = self->first[self->levels];
    uint32_t looks = MOST_LOOKS;
    uint32_t found = NO_PIECE;
    if (end == 0 || self->peers[what->peer].dry == self->returned)
        return NO_PIECE;
    if (self->begun < RANDOM_PIECES)
        found = look_in(self, what, 0, end, &looks);
    /* Those that no counted peer has are for seeds only. */
    for (uint32_t n = what->all ? 0 : 1; n < self->levels && found == NO_PIECE && looks > 0; n++)
        found = look_in(self, what, self->first[n], self->first[n + 1], &looks);
    if (found == NO_PIECE && looks == 0 && what->has)
        found = search(self, what->has);
    if (found == NO_PIECE)
        self->peers[what->peer].dry = self->returned;
    return found;
}

/* A started piece with unasked blocks: of those that the peer gets alone, or that all get. */
static started *find_open(const picker *self, const wish *what, bool shared)
{
    for (uint32_t i = 0; i < self->open && i < MOST_LOOKS; i++) {
        started *it = self->started[i];
        bool may = it->alone == what->peer || (shared && it->alone == NOBODY);
        if (may && has_piece(what, it->index))
            return it;
    }
    return NULL;
}

/* The piece that it was asked for last, to keep its blocks together. */
static started *continue_current(const picker *self, const wish *what)
{
    uint32_t current = self->peers[what->peer].current;
    if (current == NO_PIECE || self->pieces[current].state != PIECE_STARTED)
        return NULL;
    started *it = started_of(self, current);
    bool may = it->alone == what->peer || (!what->alone && it->alone == NOBODY);
    return may && it->unasked > 0 ? it : NULL;
}

static started *start_for(picker *self, const wish *what, uint32_t index)
{
    started *it = picker_start(self, index);
    if (it && what->alone) {
        it->alone = (uint16_t)what->peer;
        self->peers[what->peer].own_count++;
    }
    return it;
}

static started *next_piece(picker *self, const wish *what)
{
    started *it = continue_current(self, what);
    if (!it && (!what->alone || self->peers[what->peer].own_count > 0))
        it = find_open(self, what, !what->alone);
    if (it)
        return it;
    uint32_t index = find_untouched(self, what);
    if (index != NO_PIECE)
        return start_for(self, what, index);
    /* Nothing can be had alone. If all are on parole, what is left must not be left for ever. */
    return what->alone ? find_open(self, what, true) : NULL;
}

static uint32_t ask_piece(picker *self, const wish *what, started *it, picker_block *ret_blocks,
                          uint32_t most)
{
    uint32_t count = 0;
    while (count < most && it->unasked > 0) {
        while (it->blocks[it->hint].stored || asker_count(&it->blocks[it->hint]) > 0)
            it->hint++;
        picker_block which = {it->index, it->hint};
        if (!picker_ask(self, what->peer, which))
            break;
        picker_change_unasked(self, it, -1);
        ret_blocks[count++] = which;
    }
    self->peers[what->peer].current = it->index;
    return count;
}

/* The last block of a victim's that has so many askers and that the peer can give. */
static bool find_again(const picker *self, const wish *what, const picker_peer *victim,
                       uint32_t askers, uint32_t *looks, picker_block *ret_block)
{
    for (uint32_t at = victim->count; at > 0 && *looks > 0; at--, (*looks)--) {
        picker_block which = *in_ring(victim, at - 1);
        const started *it = started_of(self, which.index);
        const block *asked = &it->blocks[which.block];
        if (asker_count(asked) != askers || is_asker(asked, what->peer) || it->alone != NOBODY ||
            !has_piece(what, which.index))
            continue;
        *ret_block = which;
        return true;
    }
    return false;
}

/* The end game. Blocks with one asker first; the victims take turns. */
static uint32_t ask_again(picker *self, const wish *what, picker_block *ret_blocks, uint32_t most)
{
    const picker_peer *helper = &self->peers[what->peer];
    uint32_t looks = MOST_LOOKS;
    uint32_t count = 0;
    if (helper->count >= END_GAME_IN_FLIGHT)
        return 0;
    for (uint32_t seen = 0; seen < (MOST_ASKERS - 1) * self->peer_room && looks > 0; seen++) {
        uint32_t askers = 1 + seen / self->peer_room;
        const picker_peer *victim =
            &self->peers[self->victim = (self->victim + 1) % self->peer_room];
        while (count < most && helper->count < END_GAME_IN_FLIGHT && victim != helper &&
               find_again(self, what, victim, askers, &looks, &ret_blocks[count])) {
            if (!picker_ask(self, what->peer, ret_blocks[count]))
                return count;
            count++;
        }
    }
    return count;
}

/* A few pieces, such as those that a peer gives although it chokes us. */
static uint32_t pick_allowed(picker *self, const wish *what, const bits *allowed,
                             picker_block *ret_blocks, uint32_t most)
{
    uint32_t count = 0;
    uint32_t at = next_missing(self, allowed, 0);
    for (; at < self->info->piece_count && count < most; at = next_missing(self, allowed, at + 1)) {
        started *it = NULL;
        if (!has_piece(what, at))
            continue;
        if (self->pieces[at].state == PIECE_UNTOUCHED)
            it = start_for(self, what, at);
        else if (self->pieces[at].state == PIECE_STARTED)
            it = started_of(self, at);
        if (it && (it->alone == what->peer || (it->alone == NOBODY && !what->alone)))
            count += ask_piece(self, what, it, ret_blocks + count, most - count);
    }
    return count;
}

uint32_t picker_pick(picker *self, uint32_t peer, const bits *has, bool has_all, bool alone,
                     const bits *allowed, picker_block *ret_blocks, uint32_t most)
{
    wish what = {.peer = peer, .has = has, .all = has_all, .alone = alone};
    uint32_t count = 0;
    what.all |= self->peers[peer].seed;
    if (allowed)
        return pick_allowed(self, &what, allowed, ret_blocks, most);
    while (count < most) {
        started *it = next_piece(self, &what);
        uint32_t more = it ? ask_piece(self, &what, it, ret_blocks + count, most - count) : 0;
        if (more == 0)
            break;
        count += more;
    }
    if (count < most && !alone && picker_end_game(self))
        count += ask_again(self, &what, ret_blocks + count, most - count);
    return count;
}
