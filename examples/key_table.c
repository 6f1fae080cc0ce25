/* A table of keys and values; key_table.h describes each function. */
#include "key_table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "resp_wire.h"

#define FIRST_BUCKETS 64 /* a power of two */

/* ---- the hash: SipHash-1-3 ------------------------------------------------------------------- */

static inline uint64_t turn(uint64_t word, int bits)
{
    return word << bits | word >> (64 - bits);
}

static inline void mix(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = turn(v[1], 13) ^ v[0];
    v[0] = turn(v[0], 32);
    v[2] += v[3];
    v[3] = turn(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = turn(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = turn(v[1], 17) ^ v[2];
    v[2] = turn(v[2], 32);
}

static uint64_t hash_of(const table *self, const char *data, size_t size)
{
    uint64_t v[4] = {self->secret[0] ^ 0x736f6d6570736575, self->secret[1] ^ 0x646f72616e646f6d,
                     self->secret[0] ^ 0x6c7967656e657261, self->secret[1] ^ 0x7465646279746573};
    uint64_t last = (uint64_t)size << 56;
    for (; size >= 8; size -= 8, data += 8) {
        uint64_t word;
        memcpy(&word, data,
               sizeof(word)); /* in native byte order: hashes never leave the process */
        v[3] ^= word;
        mix(v);
        v[0] ^= word;
    }
    for (size_t at = 0; at < size; at++)
        last |= (uint64_t)(unsigned char)data[at] << 8 * at;
    v[3] ^= last;
    mix(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int round = 0; round < 3; round++)
        mix(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- values ---------------------------------------------------------------------------------- */

value *value_new(const void *data, size_t size)
{
    char header[RESP_MOST_NUMBER];
    size_t before = resp_write_number(header, '$', size);
    value *made = malloc(sizeof(*made) + before + size + 2);
    if (!made)
        return NULL;
    *made = (value){1, (unsigned)before, size, before + size + 2};
    memcpy(made->reply, header, before);
    if (size > 0)
        memcpy(made->reply + before, data, size);
    memcpy(made->reply + before + size, "\r\n", 2);
    return made;
}

value *value_hold(value *held)
{
    held->references++;
    return held;
}

void value_drop(value *held)
{
    if (--held->references == 0)
        free(held);
}

/* ---- buckets --------------------------------------------------------------------------------- */

static entry **bucket_of(const table *self, uint64_t hash)
{
    size_t number = hash & self->mask;
    if (number < self->split)
        number = hash & (2 * self->mask + 1);
    return &self->buckets[number];
}

/* Splits the next bucket. Out of memory the buckets only become a little longer. */
static void grow(table *self)
{
    size_t last = self->mask + 1 + self->split;
    if (last == self->room) {
        entry **buckets = realloc(self->buckets, 2 * self->room * sizeof(*buckets));
        if (!buckets)
            return;
        self->buckets = buckets;
        self->room *= 2;
    }
    entry **stays = &self->buckets[self->split];
    entry **goes = &self->buckets[last];
    entry *each = *stays;
    *stays = *goes = NULL;
    while (each) {
        entry *next = each->next;
        entry **place = each->hash & (self->mask + 1) ? goes : stays;
        each->next = *place;
        *place = each;
        each = next;
    }
    if (self->split++ == self->mask) {
        self->mask = 2 * self->mask + 1;
        self->split = 0;
    }
}

static size_t bytes_of(const entry *counted)
{
    return sizeof(*counted) + counted->key_size + sizeof(value) + counted->value->reply_size;
}

/* Unlinks an entry and frees it. */
static void remove_at(table *self, entry **place)
{
    entry *old = *place;
    *place = old->next;
    self->count--;
    self->expiring -= old->expires != 0;
    self->bytes -= bytes_of(old);
    value_drop(old->value);
    free(old);
}

/* Where the entry of a key is, or would be; an expired one is removed. */
static entry **place_of(table *self, uint64_t hash, const void *key, size_t size, uint64_t now)
{
    entry **place = bucket_of(self, hash);
    for (; *place; place = &(*place)->next)
        if ((*place)->hash == hash && (*place)->key_size == size &&
            memcmp((*place)->key, key, size) == 0)
            break;
    if (*place && (*place)->expires != 0 && (*place)->expires <= now) {
        remove_at(self, place);
        while (*place)
            place = &(*place)->next;
    }
    return place;
}

bool table_open(table *self)
{
    *self = (table){.room = FIRST_BUCKETS, .mask = FIRST_BUCKETS - 1};
    self->buckets = calloc(FIRST_BUCKETS, sizeof(*self->buckets));
    return self->buckets && getrandom(self->secret, sizeof(self->secret), 0) > 0;
}

void table_close(table *self)
{
    for (size_t number = 0; number < self->mask + 1 + self->split; number++)
        while (self->buckets[number])
            remove_at(self, &self->buckets[number]);
    free(self->buckets);
}

entry *table_find(table *self, const void *key, size_t size, uint64_t now)
{
    return *place_of(self, hash_of(self, key, size), key, size, now);
}

void table_set_expires(table *self, entry *found, uint64_t expires)
{
    self->expiring += (expires != 0) - (size_t)(found->expires != 0);
    found->expires = expires;
}

bool table_set(table *self, const void *key, size_t size, value *fresh, uint64_t expires,
               uint64_t now)
{
    uint64_t hash = hash_of(self, key, size);
    entry **place = place_of(self, hash, key, size, now);
    entry *found = *place;
    if (found) {
        self->bytes += fresh->reply_size - found->value->reply_size;
        value_drop(found->value);
        found->value = fresh;
        table_set_expires(self, found, expires);
        return true;
    }
    entry *made = malloc(sizeof(*made) + size);
    if (!made)
        return false;
    *made = (entry){.hash = hash, .value = fresh, .key_size = size};
    memcpy(made->key, key, size);
    table_set_expires(self, made, expires);
    *place = made;
    self->bytes += bytes_of(made);
    if (++self->count > self->mask + self->split)
        grow(self);
    return true;
}

bool table_delete(table *self, const void *key, size_t size, uint64_t now)
{
    entry **place = place_of(self, hash_of(self, key, size), key, size, now);
    if (!*place)
        return false;
    remove_at(self, place);
    return true;
}

void table_expire(table *self, size_t buckets, uint64_t now)
{
    for (; buckets > 0 && self->expiring > 0; buckets--) {
        entry **place = &self->buckets[self->cursor];
        while (*place)
            if ((*place)->expires != 0 && (*place)->expires <= now)
                remove_at(self, place);
            else
                place = &(*place)->next;
        self->cursor = self->cursor < self->mask + self->split ? self->cursor + 1 : 0;
    }
}
