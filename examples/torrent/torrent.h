/*
 * One torrent: its peers, and what they are told.
 *
 *     CHECKING <--> BROKEN      (the disk failed; opened again each minute, or when there is space)
 *       |    \     /  |
 *       |     v   /   |
 *       |    ACTIVE   |
 *       v      v      v
 *            ENDING --> ended: session_torrent_ended, and it is freed
 *
 * ACTIVE downloads until every piece is there, and seeds from then on. The parts: the picker
 * (picker.h) decides what to ask for, the choker whom to give, blame whom to trust, the connector
 * whom to dial, the tracker who there is; the disk stores. All but the disk's jobs runs on the
 * loop's thread.
 */
#ifndef TORRENT_TORRENT_H
#define TORRENT_TORRENT_H

#include "blame.h"
#include "choker.h"
#include "connector.h"
#include "disk.h"
#include "peer.h"
#include "picker.h"
#include "resume.h"
#include "session.h"
#include "speed.h"
#include "tracker.h"

typedef enum torrent_state {
    TORRENT_CHECKING,
    TORRENT_ACTIVE,
    TORRENT_BROKEN,
    TORRENT_ENDING
} torrent_state;

typedef struct torrent {
    session *session;
    torrent_state state;
    metainfo *info;
    bits have;
    disk *disk; /* NULL: BROKEN, and it is closed */
    picker *picker;
    blame *blame;
    choker choker;
    connector *connector;
    tracker *tracker; /* NULL: none */

    peer **peers; /* by number; NULL where a number is free */
    uint32_t peer_room;
    uint32_t peer_count;
    choker_peer **order; /* room for the choker */

    resume_state totals; /* over all runs */
    uint64_t received;   /* bytes of blocks in this run */
    uint64_t redundant;  /* of them, that others had sent before */
    uint64_t failed;     /* of them, in pieces that failed their hash */
    speed down;
    speed up;
    uint32_t checked;  /* pieces, while CHECKING */
    bool was_complete; /* at the start */
    bool end_game;     /* all were asked when it began */
    bool ended_broken; /* it was BROKEN when it began to end: what it has cannot be believed */
    bool complete;     /* every piece is there */
    bool tracker_open;
    bool disk_open;
    uint64_t retry_at; /* BROKEN */
    uint64_t space;    /* that was free in the target folder then */
    void *known;       /* what was there then, as a resume file; NULL: not known */
    size_t known_size;
    uint64_t save_at;       /* of the resume file */
    uint64_t saved_changes; /* `changes` at the last one */
    uint64_t changes;       /* grows with each piece */
} torrent;

/* Takes over `info`. False with a line in `error`. */
torrent *torrent_new(session *shared, metainfo *info, char *error, size_t error_size);
void torrent_tick(torrent *self, uint64_t now);
void torrent_resume_peers(torrent *self);   /* the disk has room again */
void torrent_end(torrent *self);            /* begins to end it */
void torrent_maybe_ended(torrent *self);    /* frees it if nothing is awaited */
uint64_t torrent_left(const torrent *self); /* bytes of pieces that are missing */

/* Whether peers are welcome. */
bool torrent_takes_peers(const torrent *self);

/* ---- for its peers --------------------------------------------------------------------------- */

/* Gives a peer a number; false if it must go (out of memory). */
bool torrent_add_peer(torrent *self, peer *peer);
void torrent_remove_peer(torrent *self, peer *peer);
/* Another peer with this id; NULL if there is none. */
peer *torrent_twin(const torrent *self, const peer *peer);
/* Whether as many peers of an address were accepted as may be. */
bool torrent_is_crowded(const torrent *self, berth_address address);
/* A peer's interest in us has changed, or it has left: a slot may be free. */
void torrent_fill_slots(torrent *self);
/* Whole blocks have come: hash what is complete. */
void torrent_block_stored(torrent *self, uint32_t index);
/* A peer was asked for what it may be: if that was the last block that nobody was asked for, the
 * end game begins, and others are asked too. */
void torrent_asked(torrent *self);
/* A violation of the protocol: counts against the address. */
void torrent_violation(torrent *self, const peer *peer, const char *why);

#endif
