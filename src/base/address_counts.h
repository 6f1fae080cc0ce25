/*
 * How many connections each address has: a hash table of counts, for berth_accept_limits.
 *
 * An address is counted by its leading bits, so that a whole network can be one; that of a Unix
 * socket has the number of the peer's user in its first four bytes. Entries come with
 * the first connection of an address and go with its last.
 *
 * A server's table is in its roll, which connections that have ended and linger share: they keep
 * their place in it as long as they have a descriptor, and may outlive the server.
 */
#ifndef BERTH_SRC_ADDRESS_COUNTS_H
#define BERTH_SRC_ADDRESS_COUNTS_H

#include <berth/address.h>

#include <stddef.h>
#include <stdint.h>

typedef struct berth__address_count {
    struct berth__address_count *next; /* of the same bucket */
    uint8_t key[16];                   /* the leading bits, then zero */
    uint8_t family;
    uint8_t prefix;
    uint32_t count;
} berth__address_count;

/* A zeroed object counts nothing. */
typedef struct berth__address_counts {
    berth__address_count **buckets;
    size_t capacity; /* a power of two, or 0 */
    size_t size;
    uint64_t seed;
} berth__address_counts;

/* The entry of an address, made if there is none, with one more counted. The prefixes are lengths
 * in bits. NULL when out of memory. */
berth__address_count *berth__address_counts_add(berth__address_counts *counts,
                                                berth_address address, uint8_t ipv4_prefix,
                                                uint8_t ipv6_prefix);

/* One less; the entry goes with the last. */
void berth__address_counts_remove(berth__address_counts *counts, berth__address_count *entry);

/* Releases all memory. */
void berth__address_counts_clear(berth__address_counts *counts);

typedef struct berth__roll {
    berth__address_counts counts;
    size_t lingering; /* connections without a socket */
    size_t holders;   /* the server, while there is one, and places */
} berth__roll;

/* A connection's in the roll of its server. All zero: none. */
typedef struct berth__place {
    berth__roll *roll;
    berth__address_count *entry; /* NULL if it is not counted by its address */
} berth__place;

berth__roll *berth__roll_new(void); /* with one holder; NULL when out of memory */
void berth__roll_release(berth__roll *roll);

berth__place berth__place_take(berth__roll *roll, berth__address_count *entry);
void berth__place_give_up(berth__place place);

#endif
