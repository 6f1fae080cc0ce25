/*
 * The table behind tally.h: buckets of linked entries, doubled when there are as many entries as
 * buckets.
 *
 * Peers choose their addresses, so the hash depends on a seed that they do not know (where the
 * table lies in memory): else they could fill one bucket. Failing to grow makes buckets longer and
 * nothing else; failing to make an entry is reported.
 */
#include "tally.h"

#include "memory.h"

#include <assert.h>
#include <string.h>

#define FIRST_CAPACITY ((size_t)16)

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 31)) * UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ (value >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
    return value ^ (value >> 32);
}

static size_t bucket_of(const berth__tally *tally, const berth__tally_entry *entry)
{
    uint64_t words[2];
    memcpy(words, entry->key, sizeof words);
    uint64_t head = (uint64_t)entry->family << 8 | entry->prefix;
    uint64_t hash = mix(mix(mix(tally->seed ^ head) ^ words[0]) ^ words[1]);
    return (size_t)hash & (tally->capacity - 1);
}

/* What an address counts as. */
static berth__tally_entry key_of(berth_address address, uint8_t ipv4_prefix, uint8_t ipv6_prefix)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    berth__tally_entry key = {.family = (uint8_t)address.family, .prefix = ipv6_prefix};
    memcpy(key.key, address.bytes, sizeof key.key);
    if (address.family == BERTH_ADDRESS_FAMILY_IPV6 &&
        memcmp(address.bytes, mapped, sizeof mapped) == 0) {
        memset(key.key, 0, sizeof key.key);
        memcpy(key.key, address.bytes + sizeof mapped, 4);
        key.family = BERTH_ADDRESS_FAMILY_IPV4;
    }
    if (key.family == BERTH_ADDRESS_FAMILY_IPV4)
        key.prefix = ipv4_prefix;
    for (unsigned bit = key.prefix; bit < 8 * sizeof key.key; bit++)
        key.key[bit / 8] = (uint8_t)(key.key[bit / 8] & ~(0x80u >> bit % 8));
    return key;
}

static void insert(berth__tally *tally, berth__tally_entry *entry)
{
    berth__tally_entry **bucket = &tally->buckets[bucket_of(tally, entry)];
    entry->next = *bucket;
    *bucket = entry;
}

/* Returns whether there are buckets. */
static bool grow(berth__tally *tally)
{
    size_t capacity = tally->capacity > 0 ? tally->capacity * 2 : FIRST_CAPACITY;
    berth__tally_entry **buckets = berth__allocate_zero(capacity * sizeof(berth__tally_entry *));
    if (buckets == NULL)
        return tally->capacity > 0;
    berth__tally old = *tally;
    tally->buckets = buckets;
    tally->capacity = capacity;
    tally->seed = mix((uint64_t)(uintptr_t)buckets);
    for (size_t i = 0; i < old.capacity; i++) {
        for (berth__tally_entry *entry = old.buckets[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            insert(tally, entry);
        }
    }
    berth__release(old.buckets);
    return true;
}

static bool same(const berth__tally_entry *one, const berth__tally_entry *other)
{
    return one->family == other->family && one->prefix == other->prefix &&
           memcmp(one->key, other->key, sizeof one->key) == 0;
}

berth__tally_entry *berth__tally_add(berth__tally *tally, berth_address address,
                                     uint8_t ipv4_prefix, uint8_t ipv6_prefix)
{
    if (tally->size >= tally->capacity && !grow(tally))
        return NULL;
    berth__tally_entry key = key_of(address, ipv4_prefix, ipv6_prefix);
    berth__tally_entry *entry = tally->buckets[bucket_of(tally, &key)];
    while (entry != NULL && !same(entry, &key))
        entry = entry->next;
    if (entry == NULL) {
        entry = berth__allocate(sizeof *entry);
        if (entry == NULL)
            return NULL;
        *entry = key;
        insert(tally, entry);
        tally->size++;
    }
    entry->count++;
    return entry;
}

void berth__tally_remove(berth__tally *tally, berth__tally_entry *entry)
{
    assert(entry->count > 0);
    if (--entry->count > 0)
        return;
    berth__tally_entry **link = &tally->buckets[bucket_of(tally, entry)];
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    tally->size--;
    berth__release(entry);
}

void berth__tally_clear(berth__tally *tally)
{
    for (size_t i = 0; i < tally->capacity; i++) {
        for (berth__tally_entry *entry = tally->buckets[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            berth__release(entry);
        }
    }
    berth__release(tally->buckets);
    *tally = (berth__tally){0};
}

/* ---- the roll -------------------------------------------------------------------------------- */

berth__roll *berth__roll_new(void)
{
    berth__roll *roll = berth__allocate_zero(sizeof *roll);
    if (roll != NULL)
        roll->holders = 1;
    return roll;
}

void berth__roll_release(berth__roll *roll)
{
    if (--roll->holders > 0)
        return;
    berth__tally_clear(&roll->tally);
    berth__release(roll);
}

berth__place berth__place_take(berth__roll *roll, berth__tally_entry *entry)
{
    roll->holders++;
    return (berth__place){.roll = roll, .entry = entry};
}

void berth__place_give_up(berth__place place)
{
    if (place.roll == NULL)
        return;
    if (place.entry != NULL)
        berth__tally_remove(&place.roll->tally, place.entry);
    berth__roll_release(place.roll);
}
