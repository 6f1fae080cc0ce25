/*
 * Whom to dial: see connector.h.
 *
 * Addresses are in an array, whose places do not change while they are used, and are found by a
 * table of places. Each attempt looks at the places in turn, from where the last one ended, so that
 * all get theirs. Where there is no room, a few places are looked at, in turn too, for one that may
 * be given to another address: a tracker may name a hundred thousand at once.
 */
#include "connector.h"

#include <stdlib.h>
#include <string.h>

#include "torrent.h"

#define MOST_PLACES 2000
#define TABLE_SIZE 2048
#define MOST_LOOKED_AT 16 /* places, for one that may be given away */
#define RETRY 30000
#define LONGEST_RETRY 3600000
#define NOWHERE UINT16_MAX

typedef struct place {
    char *host; /* NULL: the address is dialled */
    berth_address address;
    uint64_t again; /* time of the next attempt */
    uint16_t port;
    uint16_t failures; /* in a row */
    uint16_t chain;    /* the next place of its bucket; NOWHERE */
    bool used;         /* dialled or connected now */
    bool never;
} place;

struct connector {
    torrent *torrent;
    place *places;
    uint32_t count;
    uint32_t room;
    uint32_t turn;              /* of being dialled */
    uint32_t hand;              /* of being looked at for one to be given away */
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

static uint16_t *bucket_of(connector *self, const berth_address *address, uint16_t port)
{
    uint32_t hash = 2166136261u ^ port;
    for (size_t i = 0; i < sizeof(address->bytes); i++)
        hash = (hash ^ address->bytes[i]) * 16777619u;
    return &self->table[(hash ^ hash >> 16) % TABLE_SIZE];
}

static bool is_known(connector *self, const berth_address *address, uint16_t port)
{
    uint16_t number = *bucket_of(self, address, port);
    while (number != NOWHERE && (self->places[number].port != port ||
                                 !berth_address_equal(self->places[number].address, *address)))
        number = self->places[number].chain;
    return number != NOWHERE;
}

static void take_out(connector *self, uint32_t number)
{
    const place *it = &self->places[number];
    uint16_t *link = bucket_of(self, &it->address, it->port);
    while (*link != number)
        link = &self->places[*link].chain;
    *link = it->chain;
}

/* A place that may be given to another address; NULL if none of those that are looked at may. */
static place *find_failed(connector *self)
{
    for (uint32_t i = 0; i < MOST_LOOKED_AT; i++) {
        uint32_t number = self->hand;
        place *it = &self->places[number];
        self->hand = (self->hand + 1) % self->count;
        if (it->used || it->host || (it->failures == 0 && !it->never))
            continue;
        take_out(self, number);
        return it;
    }
    return NULL;
}

/* A place for another address: a new one, or that of an address that has failed. */
static place *find_room(connector *self)
{
    if (self->count == MOST_PLACES)
        return find_failed(self);
    if (self->count == self->room) {
        uint32_t room = self->room ? self->room * 2 : 16;
        if (room > MOST_PLACES)
            room = MOST_PLACES;
        place *places = realloc(self->places, room * sizeof(*places));
        if (!places)
            return NULL;
        self->places = places;
        self->room = room;
    }
    return &self->places[self->count++];
}

void connector_heard(connector *self, berth_address address, uint16_t port)
{
    uint32_t ipv4;
    /* An IPv4 address has one form here, whether a tracker or the listener has named it. */
    if (berth_address_to_ipv4(address, &ipv4))
        address = berth_address_ipv4(ipv4);
    if (port == 0 || is_known(self, &address, port))
        return;
    place *it = find_room(self);
    if (!it)
        return;
    uint16_t *bucket = bucket_of(self, &address, port);
    *it = (place){.address = address, .port = port, .chain = *bucket};
    *bucket = (uint16_t)(it - self->places);
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
    for (uint32_t left = self->count; left > 0 && may_dial(self); left--) {
        uint32_t number = self->turn;
        place *it = &self->places[number];
        self->turn = (self->turn + 1) % self->count;
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
    it->again = session_now(self->torrent->session) + (wait < LONGEST_RETRY ? wait : LONGEST_RETRY);
}

void connector_never(connector *self, uint32_t number)
{
    self->places[number].never = true;
}
