/*
 * Swarms: see swarm.h.
 *
 * Entries are in one array and refer to each other by their numbers, so that links take four bytes.
 * The table of peers is keyed by address alone, of IPv6 by its first 64 bits: the entries of one
 * address are few (per_address), and are counted while one of them is looked for.
 */
#include "swarm.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
#define MOST_LOOKED_AT \
    1000 /* entries of a pick: where most are seeds, a seed need not find all others */

typedef struct entry {
    swarm_peer peer;
    uint32_t torrent;
    uint32_t position; /* in the torrent's members */
    uint32_t chain;    /* the next one of its bucket, or of the free ones */
    uint32_t older;
    uint32_t newer;
    uint32_t seen; /* seconds */
} entry;

typedef struct torrent {
    uint8_t hash[SWARM_HASH_SIZE];
    uint32_t *members;
    uint32_t count;
    uint32_t room;
    uint32_t complete;
    uint32_t downloaded;
    uint32_t chain;
} torrent;

struct swarms {
    swarm_limits limits;
    uint64_t key;          /* of the tables */
    uint64_t random;       /* changes with each pick */
    uint32_t bucket_count; /* a power of two */
    uint32_t *buckets;     /* of entries, by address */
    entry *entries;
    uint32_t entry_room;
    uint32_t free_entry;
    uint32_t count;
    uint32_t oldest;
    uint32_t newest;
    uint32_t *torrent_buckets;
    torrent *torrents;
    uint32_t torrent_room;
    uint32_t free_torrent;
};

/* ---- tables ---------------------------------------------------------------------------------- */

/* Keyed, so that peers cannot choose addresses that share a bucket. */
static uint32_t mix(const swarms *self, const uint8_t *bytes, size_t size)
{
    uint64_t hash = self->key;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return (uint32_t)(hash >> 32) & (self->bucket_count - 1);
}

swarms *swarms_new(const swarm_limits *limits, uint64_t seed)
{
    swarms *self = calloc(1, sizeof(*self));
    if (!self)
        return NULL;
    self->limits = *limits;
    self->key = seed | 1;
    self->random = seed;
    self->bucket_count = 1024;
    while (self->bucket_count < limits->peers && self->bucket_count < 1u << 24)
        self->bucket_count *= 2;
    self->buckets = malloc(self->bucket_count * sizeof(uint32_t));
    self->torrent_buckets = malloc(self->bucket_count * sizeof(uint32_t));
    if (!self->buckets || !self->torrent_buckets) {
        swarms_free(self);
        return NULL;
    }
    memset(self->buckets, 0xff, self->bucket_count * sizeof(uint32_t));
    memset(self->torrent_buckets, 0xff, self->bucket_count * sizeof(uint32_t));
    self->free_entry = self->oldest = self->newest = self->free_torrent = NONE;
    return self;
}

void swarms_free(swarms *self)
{
    if (!self)
        return;
    for (uint32_t i = 0; i < self->torrent_room; i++)
        free(self->torrents[i].members);
    free(self->torrents);
    free(self->entries);
    free(self->buckets);
    free(self->torrent_buckets);
    free(self);
}

static uint32_t find_torrent(const swarms *self, const uint8_t *hash)
{
    uint32_t number = self->torrent_buckets[mix(self, hash, SWARM_HASH_SIZE)];
    while (number != NONE && memcmp(self->torrents[number].hash, hash, SWARM_HASH_SIZE) != 0)
        number = self->torrents[number].chain;
    return number;
}

/* Adds room for entries of an array and chains the new ones as free. */
static uint32_t grown(uint32_t room, uint32_t most)
{
    uint32_t more = room ? room + room / 2 : 64;
    return more < most ? more : most;
}

static uint32_t make_torrent(swarms *self, const uint8_t *hash)
{
    if (self->free_torrent == NONE) {
        uint32_t room = grown(self->torrent_room, self->limits.torrents);
        torrent *torrents =
            room > self->torrent_room ? realloc(self->torrents, room * sizeof(*torrents)) : NULL;
        if (!torrents)
            return NONE;
        self->torrents = torrents;
        for (uint32_t i = room; i-- > self->torrent_room;) {
            torrents[i] = (torrent){.chain = self->free_torrent};
            self->free_torrent = i;
        }
        self->torrent_room = room;
    }
    uint32_t number = self->free_torrent;
    torrent *made = &self->torrents[number];
    uint32_t *bucket = &self->torrent_buckets[mix(self, hash, SWARM_HASH_SIZE)];
    self->free_torrent = made->chain;
    memcpy(made->hash, hash, SWARM_HASH_SIZE);
    made->chain = *bucket;
    *bucket = number;
    return number;
}

static void drop_torrent(swarms *self, uint32_t number)
{
    torrent *gone = &self->torrents[number];
    uint32_t *link = &self->torrent_buckets[mix(self, gone->hash, SWARM_HASH_SIZE)];
    while (*link != number)
        link = &self->torrents[*link].chain;
    *link = gone->chain;
    free(gone->members);
    *gone = (torrent){.chain = self->free_torrent};
    self->free_torrent = number;
}

/* ---- entries --------------------------------------------------------------------------------- */

/* Bytes of an address that are one subscriber's. */
static size_t own_bytes(const swarm_peer *peer)
{
    return peer->ipv6 ? 8 : 4;
}

static uint32_t bucket_of(const swarms *self, const swarm_peer *peer)
{
    return mix(self, peer->address, own_bytes(peer));
}

static bool is_at(const entry *it, const swarm_peer *peer)
{
    return it->peer.ipv6 == peer->ipv6 && it->peer.port == peer->port &&
           memcmp(it->peer.address, peer->address, peer->ipv6 ? 16 : 4) == 0;
}

/* Finds the entry of a peer, and counts those of its address. */
static uint32_t find_entry(const swarms *self, uint32_t owner, const swarm_peer *peer,
                           uint32_t *ret_of_address)
{
    uint32_t number = self->buckets[bucket_of(self, peer)];
    *ret_of_address = 0;
    for (; number != NONE; number = self->entries[number].chain) {
        const entry *it = &self->entries[number];
        if (it->torrent == owner && is_at(it, peer))
            return number;
        *ret_of_address += it->peer.ipv6 == peer->ipv6 &&
                           memcmp(it->peer.address, peer->address, own_bytes(peer)) == 0;
    }
    return NONE;
}

static void unlink_age(swarms *self, entry *it)
{
    *(it->older == NONE ? &self->oldest : &self->entries[it->older].newer) = it->newer;
    *(it->newer == NONE ? &self->newest : &self->entries[it->newer].older) = it->older;
}

static void make_newest(swarms *self, uint32_t number, uint64_t now)
{
    entry *it = &self->entries[number];
    it->seen = (uint32_t)now;
    it->newer = NONE;
    it->older = self->newest;
    *(self->newest == NONE ? &self->oldest : &self->entries[self->newest].newer) = number;
    self->newest = number;
}

static void drop_entry(swarms *self, uint32_t number)
{
    entry *it = &self->entries[number];
    torrent *of = &self->torrents[it->torrent];
    uint32_t *link = &self->buckets[bucket_of(self, &it->peer)];
    while (*link != number)
        link = &self->entries[*link].chain;
    *link = it->chain;
    unlink_age(self, it);
    of->complete -= it->peer.complete;
    of->members[it->position] = of->members[--of->count];
    self->entries[of->members[it->position]].position = it->position;
    if (of->count == 0)
        drop_torrent(self, it->torrent);
    it->chain = self->free_entry;
    self->free_entry = number;
    self->count--;
}

static bool grow_entries(swarms *self)
{
    uint32_t room = grown(self->entry_room, self->limits.peers);
    entry *entries =
        room > self->entry_room ? realloc(self->entries, room * sizeof(*entries)) : NULL;
    if (!entries)
        return false;
    self->entries = entries;
    for (uint32_t i = room; i-- > self->entry_room;) {
        entries[i].chain = self->free_entry;
        self->free_entry = i;
    }
    self->entry_room = room;
    return true;
}

static bool grow_members(torrent *self)
{
    if (self->count < self->room)
        return true;
    uint32_t room = self->room ? self->room + self->room / 2 : 2;
    uint32_t *members = realloc(self->members, room * sizeof(*members));
    if (!members)
        return false;
    self->members = members;
    self->room = room;
    return true;
}

static const char *add_entry(swarms *self, uint32_t torrent_number, const swarm_peer *peer,
                             uint64_t now)
{
    torrent *of = &self->torrents[torrent_number];
    if ((self->free_entry == NONE && !grow_entries(self)) || !grow_members(of))
        return "the tracker is full";
    uint32_t number = self->free_entry;
    entry *it = &self->entries[number];
    uint32_t *bucket = &self->buckets[bucket_of(self, peer)];
    self->free_entry = it->chain;
    *it =
        (entry){.peer = *peer, .torrent = torrent_number, .position = of->count, .chain = *bucket};
    *bucket = number;
    of->members[of->count++] = number;
    of->complete += peer->complete;
    make_newest(self, number, now);
    self->count++;
    return NULL;
}

/* ---- from outside ---------------------------------------------------------------------------- */

const char *swarm_announce(swarms *self, const uint8_t *hash, const swarm_peer *peer,
                           bool completed, uint64_t now)
{
    uint32_t of_address = 0;
    uint32_t torrent_number = find_torrent(self, hash);
    uint32_t number = find_entry(self, torrent_number, peer, &of_address);
    if (number != NONE) {
        entry *it = &self->entries[number];
        torrent *of = &self->torrents[torrent_number];
        of->downloaded += completed && peer->complete && !it->peer.complete;
        of->complete += (uint32_t)peer->complete - (uint32_t)it->peer.complete;
        it->peer.complete = peer->complete;
        unlink_age(self, it);
        make_newest(self, number, now);
        return NULL;
    }
    if (of_address >= self->limits.per_address)
        return "too many peers of this address";
    bool made = torrent_number == NONE;
    if (made)
        torrent_number = make_torrent(self, hash);
    if (torrent_number == NONE)
        return "the tracker is full";
    const char *why = add_entry(self, torrent_number, peer, now);
    if (why && made)
        drop_torrent(self, torrent_number);
    else if (!why)
        self->torrents[torrent_number].downloaded += completed && peer->complete;
    return why;
}

void swarm_leave(swarms *self, const uint8_t *hash, const swarm_peer *peer)
{
    uint32_t of_address;
    uint32_t torrent_number = find_torrent(self, hash);
    uint32_t number =
        torrent_number == NONE ? NONE : find_entry(self, torrent_number, peer, &of_address);
    if (number != NONE)
        drop_entry(self, number);
}

uint32_t swarm_pick(swarms *self, const uint8_t *hash, const swarm_peer *asker,
                    swarm_peer *ret_peers, uint32_t most)
{
    uint32_t count = 0;
    uint32_t torrent_number = find_torrent(self, hash);
    if (torrent_number == NONE)
        return 0;
    const torrent *of = &self->torrents[torrent_number];
    self->random = self->random * 6364136223846793005u + 1442695040888963407u;
    uint32_t start = (uint32_t)((self->random >> 33) % of->count);
    for (uint32_t i = 0; i < of->count && i < MOST_LOOKED_AT && count < most; i++) {
        const entry *it = &self->entries[of->members[(start + i) % of->count]];
        if (!is_at(it, asker) && !(asker->complete && it->peer.complete))
            ret_peers[count++] = it->peer;
    }
    return count;
}

swarm_counts swarm_count(const swarms *self, const uint8_t *hash)
{
    uint32_t number = find_torrent(self, hash);
    if (number == NONE)
        return (swarm_counts){0};
    const torrent *of = &self->torrents[number];
    return (swarm_counts){of->complete, of->count - of->complete, of->downloaded};
}

void swarms_forget_old(swarms *self, uint64_t now)
{
    while (self->oldest != NONE && self->entries[self->oldest].seen + SWARM_LIFETIME < now)
        drop_entry(self, self->oldest);
}

uint32_t swarms_peers(const swarms *self)
{
    return self->count;
}
