/*
 * Whom to dial: see connector.h.
 *
 * Addresses are in an array, whose places do not change while they are used, and are found by a
 * table of places (open addressing). Each attempt looks at the places in turn, from where the last
 * one ended, so that all get theirs.
 */
#include "connector.h"

#include <stdlib.h>
#include <string.h>

#include "torrent.h"

#define MOST_PLACES 2000
#define TABLE_SIZE 4096 /* a power of two, more than twice MOST_PLACES */
#define RETRY 30000
#define LONGEST_RETRY 3600000
#define NOWHERE UINT16_MAX

typedef struct place {
    char *host; /* NULL: the address is dialled */
    berth_address address;
    uint64_t again; /* time of the next attempt */
    uint16_t port;
    uint16_t failures; /* in a row */
    bool used;         /* dialled or connected now */
    bool never;
} place;

struct connector {
    torrent *torrent;
    place *places;
    uint32_t count;
    uint32_t room;
    uint32_t turn;
    uint16_t table[TABLE_SIZE]; /* places by address and port; NOWHERE */
};

connector *connector_new(torrent *owner)
{
    connector *self = calloc(1, sizeof(*self));
    if (!self)
        return NULL;
    self->torrent = owner;
    memset(self->table, 0xff, sizeof(self->table));
    return self;
}

void connector_free(connector *self)
{
    if (!self)
        return;
    for (uint32_t i = 0; i < self->count; i++)
        free(self->places[i].host);
    free(self->places);
    free(self);
}

/* ---- the table ------------------------------------------------------------------------------- */

static size_t slot_of(const connector *self, const berth_address *address, uint16_t port)
{
    uint32_t hash = 2166136261u ^ port;
    for (size_t i = 0; i < sizeof(address->bytes); i++)
        hash = (hash ^ address->bytes[i]) * 16777619u;
    size_t slot = (hash ^ hash >> 16) % TABLE_SIZE;
    while (self->table[slot] != NOWHERE) {
        const place *there = &self->places[self->table[slot]];
        if (there->port == port && !there->host && berth_address_equal(there->address, *address))
            break;
        slot = (slot + 1) % TABLE_SIZE;
    }
    return slot;
}

static void enter(connector *self, const place *it)
{
    if (!it->host)
        self->table[slot_of(self, &it->address, it->port)] = (uint16_t)(it - self->places);
}

static void rebuild_table(connector *self)
{
    memset(self->table, 0xff, sizeof(self->table));
    for (uint32_t i = 0; i < self->count; i++)
        enter(self, &self->places[i]);
}

/* A place for another address: a new one, or that of the address that has failed most. */
static place *find_room(connector *self)
{
    place *worst = NULL;
    if (self->count == self->room && self->room < MOST_PLACES) {
        uint32_t room = self->room ? self->room * 2 : 16;
        if (room > MOST_PLACES)
            room = MOST_PLACES;
        place *places = realloc(self->places, room * sizeof(*places));
        if (!places)
            return NULL;
        self->places = places;
        self->room = room;
    }
    if (self->count < self->room)
        return &self->places[self->count++];
    for (uint32_t i = 0; i < self->count; i++) {
        place *other = &self->places[i];
        if (!other->used && !other->never && !other->host && other->failures > 0 &&
            (!worst || other->failures > worst->failures))
            worst = other;
    }
    return worst;
}

void connector_heard(connector *self, berth_address address, uint16_t port)
{
    uint32_t ipv4;
    /* An IPv4 address has one form here, whether a tracker or the listener has named it. */
    if (berth_address_to_ipv4(address, &ipv4))
        address = berth_address_ipv4(ipv4);
    if (port == 0 || self->table[slot_of(self, &address, port)] != NOWHERE)
        return;
    uint32_t count = self->count;
    place *it = find_room(self);
    if (!it)
        return;
    *it = (place){.address = address, .port = port};
    if (self->count > count)
        enter(self, it);
    else /* in the place of another one */
        rebuild_table(self);
}

void connector_given(connector *self, const char *host, uint16_t port)
{
    berth_address address;
    if (berth_address_parse(host, &address)) {
        connector_heard(self, address, port);
        return;
    }
    char *copy = strdup(host);
    place *it = copy ? find_room(self) : NULL;
    if (!it) {
        free(copy);
        return;
    }
    *it = (place){.host = copy, .port = port};
    rebuild_table(self);
}

/* ---- attempts -------------------------------------------------------------------------------- */

static bool may_dial(const connector *self)
{
    const session *shared = self->torrent->session;
    return shared->dialling < shared->settings->most_dialling &&
           shared->peers < shared->most_peers && torrent_takes_peers(self->torrent);
}

void connector_go(connector *self)
{
    torrent *owner = self->torrent;
    uint64_t now = session_now(owner->session);
    if (owner->complete && self->torrent->was_complete && self->count == 0)
        return;
    for (uint32_t i = 0; i < self->count && may_dial(self); i++) {
        uint32_t number = (self->turn + i) % self->count;
        place *it = &self->places[number];
        if (it->used || it->never || it->again > now)
            continue;
        if (!it->host && blame_look_up(owner->blame, it->address) == BLAME_BANNED) {
            it->never = true;
            continue;
        }
        it->used = true;
        if (!peer_dial(owner, it->address, it->port, it->host, number)) {
            connector_ended(self, number, false);
            break;
        }
    }
    if (self->count > 0)
        self->turn = (self->turn + 1) % self->count;
}

void connector_connected(connector *self, uint32_t number)
{
    self->places[number].failures = 0;
}

void connector_ended(connector *self, uint32_t number, bool was_connected)
{
    place *it = &self->places[number];
    uint64_t wait = RETRY;
    it->used = false;
    if (!was_connected && it->failures < UINT16_MAX)
        it->failures++;
    for (uint16_t i = 1; i < it->failures && wait < LONGEST_RETRY; i++)
        wait *= 2;
    it->again = session_now(self->torrent->session) + wait;
}

void connector_never(connector *self, uint32_t number)
{
    self->places[number].never = true;
}
