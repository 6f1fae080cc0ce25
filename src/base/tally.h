/*
 * How many connections each address has: a hash table of counts, for berth_accept_limits.
 *
 * An address is counted by its leading bits, so that a whole network can be one. Entries come with
 * the first connection of an address and go with its last.
 *
 * A server's table is in its roll, which connections that have ended and linger share: they keep
 * their place in it as long as they have a descriptor, and may outlive the server.
 */
#ifndef BERTH_SRC_TALLY_H
#define BERTH_SRC_TALLY_H

#include <berth/address.h>

#include <stddef.h>
#include <stdint.h>

typedef struct berth__tally_entry {
    struct berth__tally_entry *next; /* of the same bucket */
    uint8_t key[16];                 /* the leading bits, then zero */
    uint8_t family;
    uint8_t prefix;
    uint32_t count;
} berth__tally_entry;

/* A zeroed tally is an empty one. */
typedef struct berth__tally {
    berth__tally_entry **buckets;
    size_t capacity; /* a power of two, or 0 */
    size_t size;
    uint64_t seed;
} berth__tally;

/* The entry of an address, made if there is none, with one more counted. The prefixes are lengths
 * in bits. NULL when out of memory. */
berth__tally_entry *berth__tally_add(berth__tally *tally, berth_address address,
                                     uint8_t ipv4_prefix, uint8_t ipv6_prefix);

/* One less; the entry goes with the last. */
void berth__tally_remove(berth__tally *tally, berth__tally_entry *entry);

/* Releases all memory. */
void berth__tally_clear(berth__tally *tally);

typedef struct berth__roll {
    berth__tally tally;
    size_t lingering; /* connections without a socket */
    size_t holders;   /* the server, while there is one, and places */
} berth__roll;

/* A connection's in the roll of its server. All zero: none. */
typedef struct berth__place {
    berth__roll *roll;
    berth__tally_entry *entry; /* NULL if it is not counted by its address */
} berth__place;

berth__roll *berth__roll_new(void); /* with one holder; NULL when out of memory */
void berth__roll_release(berth__roll *roll);

berth__place berth__place_take(berth__roll *roll, berth__tally_entry *entry);
void berth__place_give_up(berth__place place);

#endif
