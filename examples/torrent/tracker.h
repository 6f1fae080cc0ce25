/*
 * The trackers of one torrent: tiers (BEP 12), announces on time, lists of peers (BEP 3, 7, 23).
 *
 * One announce is under way at a time. Trackers of a tier are tried in a random order, the one that
 * answers moves to the front of its tier; when a tier fails the next one is tried; when all have
 * failed, again after 30 s, doubled up to 30 minutes. udp trackers are passed over with one line.
 * Intervals are clamped to 30 s to 2 h.
 */
#ifndef TORRENT_TRACKER_H
#define TORRENT_TRACKER_H

#include <berth/berth.h>

#include "metainfo.h"
#include "route.h"
#include "wire.h"

typedef struct tracker tracker;

typedef struct tracker_numbers {
    uint64_t uploaded;
    uint64_t downloaded;
    uint64_t left;
    uint32_t wanted; /* number of peers */
} tracker_numbers;

typedef struct tracker_handlers {
    /* Asked before each announce. */
    void (*numbers)(void *user, tracker_numbers *ret_numbers);
    /* A peer of an answer; port is never 0 and the address is a unicast one. */
    void (*peer)(void *user, berth_address address, uint16_t port);
    /* An announce has ended: a line for a person, printable; ok or not. */
    void (*announced)(void *user, bool ok, const char *text);
    /* tracker_close is done: "stopped" was announced, or could not be within its time. Last call.
     */
    void (*closed)(void *user);
} tracker_handlers;

/* NULL when out of memory or if the torrent has no tracker. `way` must live as long. */
tracker *tracker_new(berth_loop *loop, const metainfo *info, const uint8_t peer_id[PEER_ID_SIZE],
                     uint16_t port, route *way, const tracker_handlers *handlers, void *user);

void tracker_start(tracker *self);    /* announces "started" */
void tracker_complete(tracker *self); /* the download was completed in this run */
void tracker_more(tracker *self); /* peers are wanted: announces if the tracker's minimum allows */
/* Announces "stopped" if "started" was, takes `milliseconds` at most, calls `closed` and frees. */
void tracker_close(tracker *self, uint32_t milliseconds);

#endif
