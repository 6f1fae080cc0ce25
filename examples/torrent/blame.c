/*
 * Who sent the blocks of a piece that failed its hash; blame.h describes each function.
 *
 * A suspect is what is known of an address: it is there while blocks of it are in pieces that were
 * not hashed yet, and for as long as there is something against it. A piece that is under way keeps
 * for each of its blocks who sent it. So what is kept grows with the pieces under way, and with the
 * offenders, of whom at most MOST_SUSPECTS are remembered: then the oldest one of some bucket is
 * forgotten for each new one.
 */
#include "blame.h"

#include <stdlib.h>
#include <string.h>

#define MOST_SUSPECTS 16384u
#define SUSPECT_BUCKETS 1024u
#define PIECE_BUCKETS 256u
#define MOST_VIOLATIONS 3u

typedef struct suspect {
    struct suspect *next; /* of its bucket, the newest first */
    berth_address address;
    uint8_t standing; /* a blame_standing */
    uint8_t violations;
    uint32_t blocks; /* in pieces under way */
    bool counted;    /* among the contributors, in blame_result */
} suspect;

typedef struct contributions {
    struct contributions *next;
    uint32_t index;
    bool nobodys; /* the hash says nothing about those who sent it */
    uint32_t block_count;
    suspect *senders[]; /* of each block; NULL: it has not come */
} contributions;

struct blame {
    const metainfo *info;
    suspect *suspects[SUSPECT_BUCKETS];
    contributions *pieces[PIECE_BUCKETS];
    uint32_t suspect_count;
    uint32_t hand; /* the bucket in which one is forgotten next */
};

blame *blame_new(const metainfo *info)
{
    blame *self = calloc(1, sizeof(*self));
    if (self)
        self->info = info;
    return self;
}

void blame_free(blame *self)
{
    if (!self)
        return;
    for (uint32_t i = 0; i < PIECE_BUCKETS; i++)
        for (contributions *piece = self->pieces[i], *next; piece; piece = next) {
            next = piece->next;
            free(piece);
        }
    for (uint32_t i = 0; i < SUSPECT_BUCKETS; i++)
        for (suspect *one = self->suspects[i], *next; one; one = next) {
            next = one->next;
            free(one);
        }
    free(self);
}

/* ---- suspects -------------------------------------------------------------------------------- */

static uint32_t bucket_of(berth_address address)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < sizeof(address.bytes); i++)
        hash = (hash ^ address.bytes[i]) * 16777619u;
    return (hash ^ hash >> 16) % SUSPECT_BUCKETS;
}

static suspect *find(const blame *self, berth_address address)
{
    suspect *one = self->suspects[bucket_of(address)];
    while (one && !berth_address_equal(one->address, address))
        one = one->next;
    return one;
}

static void forget(blame *self, suspect **link)
{
    suspect *one = *link;
    *link = one->next;
    free(one);
    self->suspect_count--;
}

/* Forgets it if there is no reason to know it. */
static void release(blame *self, suspect *one)
{
    if (one->blocks > 0 || one->violations > 0 || one->standing != BLAME_TRUSTED)
        return;
    suspect **link = &self->suspects[bucket_of(one->address)];
    while (*link != one)
        link = &(*link)->next;
    forget(self, link);
}

/* The buckets take turns. */
static void forget_an_old_one(blame *self)
{
    for (uint32_t i = 0; i < SUSPECT_BUCKETS; i++) {
        suspect **oldest = NULL;
        for (suspect **link = &self->suspects[self->hand]; *link; link = &(*link)->next)
            if ((*link)->blocks == 0)
                oldest = link;
        self->hand = (self->hand + 1) % SUSPECT_BUCKETS;
        if (oldest) {
            forget(self, oldest);
            return;
        }
    }
}

static suspect *find_or_add(blame *self, berth_address address)
{
    suspect *one = find(self, address);
    if (one)
        return one;
    if (self->suspect_count >= MOST_SUSPECTS)
        forget_an_old_one(self);
    one = calloc(1, sizeof(*one));
    if (!one)
        return NULL;
    suspect **bucket = &self->suspects[bucket_of(address)];
    one->address = address;
    one->next = *bucket;
    *bucket = one;
    self->suspect_count++;
    return one;
}

blame_standing blame_look_up(const blame *self, berth_address address)
{
    const suspect *one = find(self, address);
    return one ? (blame_standing)one->standing : BLAME_TRUSTED;
}

void blame_ban(blame *self, berth_address address)
{
    suspect *one = find_or_add(self, address);
    if (one)
        one->standing = BLAME_BANNED;
}

blame_standing blame_violation(blame *self, berth_address address)
{
    suspect *one = find_or_add(self, address);
    if (!one)
        return BLAME_TRUSTED;
    if (one->violations < MOST_VIOLATIONS && ++one->violations == MOST_VIOLATIONS)
        one->standing = BLAME_BANNED;
    return (blame_standing)one->standing;
}

/* ---- pieces under way ------------------------------------------------------------------------ */

static contributions **find_piece(blame *self, uint32_t index)
{
    contributions **link = &self->pieces[index % PIECE_BUCKETS];
    while (*link && (*link)->index != index)
        link = &(*link)->next;
    return link;
}

static contributions *find_or_add_piece(blame *self, uint32_t index)
{
    contributions **link = find_piece(self, index);
    if (*link)
        return *link;
    uint32_t count = metainfo_block_count(self->info, index);
    contributions *piece = calloc(1, sizeof(*piece) + count * sizeof(piece->senders[0]));
    if (!piece)
        return NULL;
    piece->index = index;
    piece->block_count = count;
    *link = piece;
    return piece;
}

void blame_old_blocks(blame *self, uint32_t index)
{
    contributions *piece = find_or_add_piece(self, index);
    if (piece)
        piece->nobodys = true;
}

bool blame_block(blame *self, berth_address from, uint32_t index, uint32_t block)
{
    contributions *piece = find_or_add_piece(self, index);
    if (!piece || block >= piece->block_count)
        return false;
    suspect *sender = find_or_add(self, from);
    suspect *before = piece->senders[block]; /* it could not be stored then, and has come again */
    piece->nobodys |= !sender;
    piece->senders[block] = sender;
    if (sender)
        sender->blocks++;
    if (before) {
        before->blocks--;
        release(self, before);
    }
    return sender != NULL;
}

/* Counts who contributed, each once. The piece is nobody's if a sender is not known, and if one was
 * banned meanwhile: it explains what is wrong, and the others need not be suspected. */
static uint32_t count_senders(contributions *piece)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < piece->block_count; i++) {
        suspect *sender = piece->senders[i];
        piece->nobodys |= !sender || sender->standing == BLAME_BANNED;
        count += sender && !sender->counted;
        if (sender)
            sender->counted = true;
    }
    return count;
}

/* What the hash of the piece means for one who sent blocks of it. */
static void judge(suspect *sender, uint32_t senders, bool good)
{
    if (good && senders == 1 && sender->standing == BLAME_PAROLE)
        sender->standing = BLAME_TRUSTED;
    else if (!good && senders == 1)
        sender->standing = BLAME_BANNED;
    else if (!good && sender->standing == BLAME_TRUSTED)
        sender->standing = BLAME_PAROLE;
}

uint32_t blame_result(blame *self, uint32_t index, bool good, berth_address *ret_banned,
                      uint32_t most)
{
    contributions **link = find_piece(self, index);
    contributions *piece = *link;
    uint32_t banned = 0;
    if (!piece)
        return 0;
    uint32_t senders = count_senders(piece);
    for (uint32_t i = 0; i < piece->block_count; i++) {
        suspect *sender = piece->senders[i];
        if (!sender)
            continue;
        bool was_banned = sender->standing == BLAME_BANNED;
        if (sender->counted && !piece->nobodys)
            judge(sender, senders, good);
        if (!was_banned && sender->standing == BLAME_BANNED && banned < most)
            ret_banned[banned++] = sender->address;
        sender->counted = false;
        sender->blocks--;
        release(self, sender);
    }
    *link = piece->next;
    free(piece);
    return banned;
}
