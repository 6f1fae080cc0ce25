/*
 * The table behind address_counts.h: buckets of linked entries, doubled when there are as many
 * entries as buckets.
 *
 * Peers choose their addresses, so the hash depends on a seed that they do not know (where the
 * table lies in memory): else they could fill one bucket. Failing to grow makes buckets longer and
 * nothing else; failing to make an entry is reported.
 */
#include "address_counts.h"

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

static size_t bucket_of(const berth__address_counts *counts, const berth__address_count *entry)
{
    uint64_t words[2];
    memcpy(words, entry->key, sizeof words);
    uint64_t head = (uint64_t)entry->family << 8 | entry->prefix;
    uint64_t hash = mix(mix(mix(counts->seed ^ head) ^ words[0]) ^ words[1]);
    return (size_t)hash & (counts->capacity - 1);
}

/* What an address counts as. */
static berth__address_count key_of(berth_address address, uint8_t ipv4_prefix, uint8_t ipv6_prefix)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    berth__address_count key = {.family = (uint8_t)address.family, .prefix = ipv6_prefix};
    memcpy(key.key, address.bytes, sizeof key.key);
    if (address.family == BERTH_ADDRESS_FAMILY_IPV6 &&
        memcmp(address.bytes, mapped, sizeof mapped) == 0) {
        memset(key.key, 0, sizeof key.key);
        memcpy(key.key, address.bytes + sizeof mapped, 4);
        key.family = BERTH_ADDRESS_FAMILY_IPV4;
    }
    if (key.family == BERTH_ADDRESS_FAMILY_IPV4)
        key.prefix = ipv4_prefix;
    else if (key.family == BERTH_ADDRESS_FAMILY_LOCAL)
        key.prefix = 32; /* the whole number of a user */
    for (unsigned bit = key.prefix; bit < 8 * sizeof key.key; bit++)
        key.key[bit / 8] = (uint8_t)(key.key[bit / 8] & ~(0x80u >> bit % 8));
    return key;
}

static void insert(berth__address_counts *counts, berth__address_count *entry)
{
    berth__address_count **bucket = &counts->buckets[bucket_of(counts, entry)];
    entry->next = *bucket;
    *bucket = entry;
}

/* Returns whether there are buckets. */
static bool grow(berth__address_counts *counts)
{
    size_t capacity = counts->capacity > 0 ? counts->capacity * 2 : FIRST_CAPACITY;
    berth__address_count **buckets =
        berth__allocate_zero(capacity * sizeof(berth__address_count *));
    if (buckets == NULL)
        return counts->capacity > 0;
    berth__address_counts old = *counts;
    counts->buckets = buckets;
    counts->capacity = capacity;
    counts->seed = mix((uint64_t)(uintptr_t)buckets);
    for (size_t i = 0; i < old.capacity; i++) {
        for (berth__address_count *entry = old.buckets[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            insert(counts, entry);
        }
    }
    berth__release(old.buckets);
    return true;
}

static bool same(const berth__address_count *one, const berth__address_count *other)
{
    return one->family == other->family && one->prefix == other->prefix &&
           memcmp(one->key, other->key, sizeof one->key) == 0;
}

berth__address_count *berth__address_counts_add(berth__address_counts *counts,
                                                berth_address address, uint8_t ipv4_prefix,
                                                uint8_t ipv6_prefix)
{
    if (counts->size >= counts->capacity && !grow(counts))
        return NULL;
    berth__address_count key = key_of(address, ipv4_prefix, ipv6_prefix);
    berth__address_count *entry = counts->buckets[bucket_of(counts, &key)];
    while (entry != NULL && !same(entry, &key))
        entry = entry->next;
    if (entry == NULL) {
        entry = berth__allocate(sizeof *entry);
        if (entry == NULL)
            return NULL;
        *entry = key;
        insert(counts, entry);
        counts->size++;
    }
    entry->count++;
    return entry;
}

void berth__address_counts_remove(berth__address_counts *counts, berth__address_count *entry)
{
    assert(entry->count > 0);
    if (--entry->count > 0)
        return;
    berth__address_count **link = &counts->buckets[bucket_of(counts, entry)];
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    counts->size--;
    berth__release(entry);
}

void berth__address_counts_clear(berth__address_counts *counts)
{
    for (size_t i = 0; i < counts->capacity; i++) {
        for (berth__address_count *entry = counts->buckets[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            berth__release(entry);
        }
    }
    berth__release(counts->buckets);
    *counts = (berth__address_counts){0};
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
    berth__address_counts_clear(&roll->counts);
    berth__release(roll);
}

berth__place berth__place_take(berth__roll *roll, berth__address_count *entry)
{
    roll->holders++;
    return (berth__place){.roll = roll, .entry = entry};
}

void berth__place_give_up(berth__place place)
{
    if (place.roll == NULL)
        return;
    if (place.entry != NULL)
        berth__address_counts_remove(&place.roll->counts, place.entry);
    berth__roll_release(place.roll);
}
