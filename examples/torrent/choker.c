/*
 * Who may download from us; choker.h describes each function.
 *
 * A round chooses among the interested peers anew: the best `slots` of them, and one more at
 * random. Between rounds choker_fill gives away what is free, in the same order. Both look at each
 * peer a few times (`slots` + 3), which is little for the hundreds that a torrent has.
 *
 * Who was unchoked last goes behind all others of the same rate. For that each unchoke has a
 * number: the time would not do, since those of one round would be equal.
 */
#include "choker.h"

#define NEWCOMER 60000u /* milliseconds: three times as likely to be the optimistic one */

void choker_open(choker *self, uint32_t slots, uint64_t now, uint64_t seed)
{
    *self = (choker){.slots = slots,
                     .next_round = now + CHOKER_ROUND,
                     .next_optimistic = now + CHOKER_OPTIMISTIC,
                     .random = seed | 1};
}

static uint64_t draw(choker *self, uint64_t below)
{
    self->random ^= self->random << 13; /* xorshift64 */
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return (self->random >> 11) % below;
}

/* Who gives nothing goes behind those who give something, and is not left out: a slot that nobody
 * else wants costs nothing. */
static bool is_better(const choker_peer *a, const choker_peer *b, bool seeding)
{
    if (!seeding && a->snubbed != b->snubbed)
        return b->snubbed;
    uint32_t rate_a = seeding ? a->to : a->from;
    uint32_t rate_b = seeding ? b->to : b->from;
    return rate_a != rate_b ? rate_a > rate_b : a->turn < b->turn;
}

static void unchoke(choker *self, choker_peer *peer)
{
    peer->unchoked = true;
    peer->turn = ++self->turns;
}

/* Gives the best of those who wait a slot. False if nobody waits. */
static bool unchoke_best(choker *self, bool seeding, choker_peer **peers, size_t count)
{
    choker_peer *best = NULL;
    for (size_t i = 0; i < count; i++)
        if (peers[i]->interested && !peers[i]->unchoked &&
            (!best || is_better(peers[i], best, seeding)))
            best = peers[i];
    if (best)
        unchoke(self, best);
    return best != NULL;
}

static uint64_t chance(const choker_peer *peer, uint64_t now)
{
    if (!peer->interested || peer->unchoked)
        return 0;
    return now - peer->joined < NEWCOMER ? 3 : 1;
}

/* Unchokes one at random of those who wait. False if nobody waits. */
static bool unchoke_any(choker *self, uint64_t now, choker_peer **peers, size_t count)
{
    uint64_t chances = 0;
    for (size_t i = 0; i < count; i++)
        chances += chance(peers[i], now);
    if (chances == 0)
        return false;
    uint64_t drawn = draw(self, chances);
    size_t at = 0;
    while (drawn >= chance(peers[at], now))
        drawn -= chance(peers[at++], now);
    unchoke(self, peers[at]);
    peers[at]->optimistic = true;
    return true;
}

bool choker_fill(choker *self, uint64_t now, bool seeding, choker_peer **peers, size_t count)
{
    uint32_t regular = 0;
    uint32_t idle = 0; /* unchoked, and not interested any more */
    bool optimistic = false;
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        if (!peers[i]->unchoked)
            continue;
        peers[i]->optimistic &= peers[i]->interested;
        idle += !peers[i]->interested;
        optimistic |= peers[i]->optimistic;
        regular += peers[i]->interested && !peers[i]->optimistic;
    }
    while (regular < self->slots && unchoke_best(self, seeding, peers, count)) {
        regular++;
        any = true;
    }
    if (!optimistic)
        any |= unchoke_any(self, now, peers, count);
    /* Their slots belong to others now: nobody may collect slots by being interested in turns. */
    for (size_t i = 0; i < count && idle > 0 && regular + idle > self->slots; i++) {
        if (!peers[i]->unchoked || peers[i]->interested)
            continue;
        peers[i]->unchoked = false;
        any = true;
        idle--;
    }
    return any;
}

static choker_peer *find_optimistic(choker_peer **peers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (peers[i]->optimistic && peers[i]->interested)
            return peers[i];
    return NULL;
}

void choker_round(choker *self, uint64_t now, bool seeding, choker_peer **peers, size_t count)
{
    choker_peer *kept = find_optimistic(peers, count);
    self->next_round = now + CHOKER_ROUND;
    if (now >= self->next_optimistic) {
        self->next_optimistic = now + CHOKER_OPTIMISTIC;
        kept = NULL; /* its 30 s are over; it may be drawn again */
    }
    for (size_t i = 0; i < count; i++) {
        peers[i]->unchoked = false;
        peers[i]->optimistic = false;
    }
    for (uint32_t slot = 0; slot < self->slots; slot++)
        if (!unchoke_best(self, seeding, peers, count))
            break;
    if (kept && !kept->unchoked) {
        unchoke(self, kept);
        kept->optimistic = true;
    } else {
        unchoke_any(self, now, peers, count);
    }
}
