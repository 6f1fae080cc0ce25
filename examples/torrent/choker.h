/*
 * Who may download from us. No sockets and no clock of its own.
 *
 * Every ten seconds the interested peers are ordered: by what they give us, or when we have
 * everything by what we give them, round robin on ties; the first `slots` are unchoked, and one
 * more at random, which changes every 30 s (the optimistic one; new peers three times as likely).
 * When a slot becomes free, or a peer becomes interested while one is free, it is given at once.
 */
#ifndef TORRENT_CHOKER_H
#define TORRENT_CHOKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHOKER_ROUND 10000 /* milliseconds */
#define CHOKER_OPTIMISTIC 30000

typedef struct choker_peer {
    uint32_t from;   /* bytes a second that it gives us */
    uint32_t to;     /* that we give it */
    uint64_t turn;   /* number of its last unchoke, 0 at first; ties go to the lowest */
    uint64_t joined; /* time of its connection */
    bool interested;
    bool snubbed;    /* gave nothing for 30 s though it was asked */
    bool unchoked;   /* in and out */
    bool optimistic; /* in and out */
} choker_peer;

typedef struct choker {
    uint32_t slots;
    uint64_t next_round;
    uint64_t next_optimistic;
    uint64_t turns; /* given so far */
    uint64_t random;
} choker;

void choker_open(choker *self, uint32_t slots, uint64_t now, uint64_t seed);

/* Decides anew whom to unchoke: sets `unchoked` and `optimistic` of each. `peers` are pointers so
 * that the caller may keep them anywhere. */
void choker_round(choker *self, uint64_t now, bool seeding, choker_peer **peers, size_t count);

/* A slot may be free: unchokes waiting peers until none is. Who is not interested any more keeps
 * being unchoked as long as nobody else wants the slot; nobody else is choked. Returns whether
 * anything was changed. */
bool choker_fill(choker *self, uint64_t now, bool seeding, choker_peer **peers, size_t count);

#endif
