/*
 * What a tracker knows: torrents by their hash, and the peers of each. No sockets, no clock.
 *
 * A peer is forgotten SWARM_LIFETIME after its last announce. All bounds are of the whole: peers,
 * torrents, and peers of one address. Peers are found by address in a table; those of a torrent are
 * in an array, from which a random run is given; all are in a list by the time of their last
 * announce, so that forgetting costs nothing but for what is forgotten. A peer costs about 60
 * bytes.
 */
#ifndef TRACKER_SWARM_H
#define TRACKER_SWARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/address.h>

#define SWARM_HASH_SIZE 20
#define SWARM_INTERVAL 900 /* seconds between announces that peers are asked for */
#define SWARM_LEAST_INTERVAL 60
#define SWARM_LIFETIME 2000 /* seconds */

typedef struct swarms swarms;

typedef struct swarm_limits {
    uint32_t peers;
    uint32_t torrents;
    uint32_t
        per_address; /* peers of one IPv4 address or IPv6 network of 64 bits, in all torrents */
} swarm_limits;

typedef struct swarm_peer {
    uint8_t address[16]; /* IPv4 uses the first four bytes */
    bool ipv6;
    bool complete;
    uint16_t port;
} swarm_peer;

typedef struct swarm_counts {
    uint32_t complete;
    uint32_t incomplete;
    uint32_t downloaded; /* how often it was completed */
} swarm_counts;

swarms *swarms_new(const swarm_limits *limits, uint64_t seed); /* NULL: out of memory */
void swarms_free(swarms *self);

/* A peer is there. `now` in seconds. `completed`: it says that it has just become complete, which
 * counts once. Returns NULL, or why it is not taken. */
const char *swarm_announce(swarms *self, const uint8_t *hash, const swarm_peer *peer,
                           bool completed, uint64_t now);
/* A peer has stopped. */
void swarm_leave(swarms *self, const uint8_t *hash, const swarm_peer *peer);

/* Picks other peers of a torrent at random; to a complete one only such as are not. Returns how
 * many, `most` at most. */
uint32_t swarm_pick(swarms *self, const uint8_t *hash, const swarm_peer *asker,
                    swarm_peer *ret_peers, uint32_t most);

/* All zero for an unknown torrent. */
swarm_counts swarm_count(const swarms *self, const uint8_t *hash);

void swarms_forget_old(swarms *self, uint64_t now);
uint32_t swarms_peers(const swarms *self);

#endif
