/*
 * One connection to another client, over a berth_socket.
 *
 *     DIALLING --connected--> SHAKING --handshake of both--> TALKING --> gone
 *      accepted ----------------^
 *
 * A peer that was accepted belongs to no torrent until the hash of its handshake has come. A peer
 * goes by peer_drop, from whatever handler: the socket and the place are free at once, and the
 * memory when the handlers have returned and the last read of the disk for it has come back.
 *
 * peer.c has its life, peer_download.c what we ask of it, peer_upload.c what it asks of us.
 *
 * Back-pressure is both ways: while the disk has too much to write, reading is paused; requests of
 * the peer are answered only as fast as it reads. What it may make us keep is bounded: 500
 * requests, 256 KiB of blocks in the output, one incomplete message.
 */
#ifndef TORRENT_PEER_H
#define TORRENT_PEER_H

#include <berth/berth.h>

#include "bits.h"
#include "choker.h"
#include "extension.h"
#include "speed.h"
#include "wire.h"

struct session;
struct torrent;

typedef enum peer_state {
    PEER_DIALLING,
    PEER_SHAKING,
    PEER_TALKING,
    PEER_GONE
} peer_state;

#define PEER_NO_PLACE UINT32_MAX
#define PEER_MOST_REQUESTS EXTENSION_OWN_REQUESTS
#define PEER_OUTPUT (256 * 1024u) /* bytes of blocks in the output at most */

typedef struct peer_request {
    uint32_t index;
    uint32_t begin;
    uint32_t length;
} peer_request;

typedef struct peer {
    struct session *session;
    struct torrent *torrent; /* NULL: not known yet */
    berth_socket *socket;
    peer_state state;
    uint32_t number;   /* in its torrent */
    uint32_t place;    /* in the connector; PEER_NO_PLACE if it was accepted */
    struct peer *next; /* of the session's arrivals, or of those that are gone */
    struct peer **link;
    berth_address address;
    uint16_t port;
    uint8_t id[PEER_ID_SIZE];
    bool sent_handshake;
    bool fast;       /* both sides speak BEP 6 */
    bool extensions; /* both speak BEP 10 */
    extension extension;

    /* What it has. */
    bits has; /* without bytes while it has nothing, or everything */
    bool has_all;

    /* Downloading. */
    bool chokes_us;
    bool interests_us; /* and was told so */
    bool snubbed;
    bool paused;        /* reading, for the disk */
    bool crowded;       /* likewise not read, since its requests are too many */
    bits allowed;       /* pieces that it gives although it chokes us; no bytes: none */
    uint64_t block_at;  /* time of the last block, or of the first request */
    uint64_t asks_from; /* time before which nothing is asked for */
    uint32_t unasked;   /* bytes that came and were not wanted, less those that were */
    speed down;

    /* Uploading. */
    choker_peer choking; /* what the choker sees and decides */
    bool told_unchoked;
    peer_request *requests; /* a ring of PEER_MOST_REQUESTS; NULL while there are none */
    uint32_t first_request;
    uint32_t request_count;
    uint32_t reading; /* bytes that the disk is reading for it */
    uint32_t reads;   /* jobs */
    speed up;

    uint64_t useful_at; /* when either side was last interested */
    uint64_t spoken_at; /* when we last wrote something */
    uint64_t heard_at;  /* when bytes last came, or could not be taken */
} peer;

/* A peer that the server has accepted. Closes the socket when out of memory. */
void peer_accept(struct session *session, berth_socket *socket);
/* Dials. False if it could not be begun. */
bool peer_dial(struct torrent *owner, berth_address address, uint16_t port, const char *host,
               uint32_t place);
/* Ends the connection and forgets it. */
void peer_drop(peer *self, const char *why);
void peer_tick(peer *self, uint64_t now);

bool peer_write(peer *self, const void *data, size_t size); /* false: it was dropped */

void peer_receive(peer *self); /* takes what is in the input */
void peer_resume(peer *self);  /* the disk has room again */
void peer_uncrowd(peer *self); /* some of its requests were answered */
/* Whether neither side has been interested for long, so that it may make room for another. */
bool peer_is_useless(const peer *self, uint64_t now);

/* peer_download.c */

/* Why, where this side has no memory. */
extern const char peer_no_memory[];

/* Takes a message; the body of a piece, bit field or extended message is in the input. Returns why
 * it violates the protocol, or NULL. The peer may be gone afterwards. */
const char *peer_message(peer *self, const wire_message *message);
void peer_update_interest(peer *self);
void peer_ask(peer *self); /* for blocks */
void peer_cancel(peer *self, uint32_t index, uint32_t block);
void peer_tell_have(peer *self, uint32_t index);
void peer_check_snub(peer *self, uint64_t now);

/* peer_upload.c */
const char *peer_requested(peer *self, const wire_message *message); /* as peer_message */
void peer_cancelled(peer *self, const wire_message *message);
void peer_apply_choke(peer *self);     /* tells it what the choker decided */
void peer_upload(peer *self);          /* answers requests as far as there is room */
void peer_go_on_uploading(peer *self); /* likewise, when there is room again */
void peer_send_block(peer *self, uint32_t index, uint32_t begin, uint32_t length, void *data);
/* The disk has read for a request; `data` is NULL if it could not. */
void peer_read_done(peer *self, uint32_t index, uint32_t begin, uint32_t length, void *data);

#endif
