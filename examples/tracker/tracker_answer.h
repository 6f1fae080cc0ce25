/*
 * What clients ask a tracker, and what it answers: announce and scrape (BEP 3, 7, 23, 48). It takes
 * the query of a request and makes the body of the answer. No sockets, no clock.
 */
#ifndef TRACKER_ANSWER_H
#define TRACKER_ANSWER_H

#include "http_wire.h"
#include "swarm.h"

/* The longest body: 200 peers as dictionaries, or 64 scraped torrents. */
#define TRACKER_MOST_BODY 32768

/* Answers "announce?..." of a peer at an address. Returns the size of the body; if the room does
 * not suffice, of one that says so, or 0. */
size_t tracker_announce(swarms *swarms, http_text query, berth_address address, uint64_t now,
                        char *body, size_t room);

/* Answers "scrape?...": the torrents that it names, 64 at most. */
size_t tracker_scrape(swarms *swarms, http_text query, char *body, size_t room);

#endif
