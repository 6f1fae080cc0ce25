/*
 * What is said to a tracker, and what it answers, as bytes: no sockets (BEP 3, 7, 23).
 */
#ifndef TORRENT_ANNOUNCE_H
#define TORRENT_ANNOUNCE_H

#include <berth/address.h>

#include "bencode.h"
#include "wire.h"

typedef struct announce {
    const uint8_t *hash;
    const uint8_t *peer_id;
    uint16_t port;
    uint64_t uploaded;
    uint64_t downloaded;
    uint64_t left;
    uint32_t wanted;
    const char *event;      /* "started", "completed", "stopped" or NULL */
    const char *tracker_id; /* of its last answer, or NULL */
} announce;

/* The URL of an announce: the tracker's with the parameters behind it. The caller frees it. NULL
 * when out of memory. */
char *announce_url(const char *tracker, const announce *what);

typedef struct announce_answer {
    int64_t interval;         /* seconds, clamped to 30 s to 2 h, the minimum at least */
    int64_t minimum_interval; /* likewise; `interval` if it does not say */
    char *tracker_id;         /* from malloc; NULL if there is none */
    char warning[200];        /* printable; "" if there is none */
} announce_answer;

typedef void (*announce_peer)(void *user, berth_address address, uint16_t port);

/* Reads an answer and calls `peer` for each address that can be dialled: not port 0, no multicast,
 * broadcast or unspecified address. False with a printable line if it is a failure. */
bool announce_read(const void *data, size_t size, announce_answer *ret_answer, announce_peer peer,
                   void *user, char *error, size_t error_size);

/* Copies text of a stranger with what cannot be printed escaped, cut to fit. */
void announce_printable(char *to, size_t room, const void *text, size_t size);

#endif
