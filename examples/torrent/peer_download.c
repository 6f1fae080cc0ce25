/*
 * What is asked of a peer, and what it has: see peer.h.
 *
 * Blocks are asked for in advance, as many as the peer delivers in a second (4 to 500, and not more
 * than it lets wait), so that the line is never empty. A peer that delivers nothing for 30 s is
 * snubbed: its blocks go to others, and it is asked for one at a time until it delivers again.
 *
 * A peer that rejects is not asked for anything for a while: otherwise one that rejects everything
 * would be asked without end.
 *
 * A block is copied once, from the socket to the memory that the disk writes. One that nobody
 * asked for, or that is there, is discarded; a peer that sends 16 MiB more of such than of others
 * violates the protocol, since what was cancelled or given up can still be on its way (500 requests
 * are 8 MiB), but not so much.
 */
#include <stdlib.h>

#include "peer.h"
#include "torrent.h"

#define LEAST_PIPELINE 4
#define MOST_PIPELINE 500
#define SNUB_TIME 30000
#define REJECTED_TIME 5000 /* without a request, after a reject */
#define MOST_UNASKED (16 * 1024 * 1024u)
#define ASK_AT_ONCE 64

/* ---- what it has ----------------------------------------------------------------------------- */

void peer_update_interest(peer *self)
{
    torrent *owner = self->torrent;
    uint8_t bytes[WIRE_SMALL];
    bool interesting = (self->has_all || self->has.bytes) && !owner->complete &&
                       picker_interesting(owner->picker, self->number, &self->has, self->has_all);
    if (interesting == self->interests_us)
        return;
    self->interests_us = interesting;
    peer_write(self, bytes, wire_plain(bytes, interesting ? WIRE_INTERESTED : WIRE_NOT_INTERESTED));
}

/* Two complete clients have nothing to say to each other. */
static bool drop_seed(peer *self)
{
    if (!self->torrent->complete || !(self->has_all || (self->has.bytes && bits_full(&self->has))))
        return false;
    peer_drop(self, "both are complete");
    return true;
}

static void became_all(peer *self)
{
    bits_close(&self->has);
    self->has_all = true;
}

/* A write can end the connection. */
static bool is_open(const peer *self)
{
    return self->state == PEER_TALKING;
}

static const char *take_have(peer *self, uint32_t index)
{
    if (self->has_all)
        return NULL;
    if (!self->has.bytes && !bits_open(&self->has, self->torrent->info->piece_count))
        return peer_no_memory;
    if (bits_has(&self->has, index))
        return NULL;
    bits_add(&self->has, index);
    picker_peer_has(self->torrent->picker, self->number, index);
    if (!self->interests_us && !bits_has(&self->torrent->have, index))
        peer_update_interest(self);
    return NULL;
}

/* A bit field of a peer of which nothing is known yet. */
static void take_first_bitfield(peer *self, const bits *has)
{
    picker *choice = self->torrent->picker;
    bits_read(&self->has, has->bytes, bits_size(has->count));
    if (bits_full(has)) {
        became_all(self);
        picker_peer_has_all(choice, self->number);
    } else {
        picker_peer_bits(choice, self->number, &self->has);
    }
}

static const char *take_bitfield(peer *self, uint32_t size)
{
    const char *why = NULL;
    uint32_t count = self->torrent->info->piece_count;
    bits has = {0};
    uint8_t *data = malloc(size);
    if (!data || !bits_open(&has, count) ||
        (!self->has.bytes && !self->has_all && !bits_open(&self->has, count))) {
        bits_close(&has);
        free(data);
        return peer_no_memory;
    }
    berth_socket_read(self->socket, data, size);
    if (!bits_read(&has, data, size))
        why = "its bit field has bits of no piece";
    else if (!self->has_all && self->has.set == 0)
        take_first_bitfield(self, &has);
    else if (!self->has_all)
        for (uint32_t i = 0; i < count && !why && is_open(self); i++)
            why = bits_has(&has, i) ? take_have(self, i) : NULL;
    bits_close(&has);
    free(data);
    return why;
}

/* What it has, at once: the first thing that it says, or later too, as aria2 does it instead of
 * many haves. What it had before it still has. */
static const char *take_pieces(peer *self, const wire_message *message)
{
    const char *why = NULL;
    if (message->type == WIRE_BITFIELD) {
        why = take_bitfield(self, message->length);
    } else if (message->type == WIRE_HAVE_ALL && !self->has_all && !self->has.bytes) {
        became_all(self);
        picker_peer_has_all(self->torrent->picker, self->number);
    } else if (message->type == WIRE_HAVE_ALL && !self->has_all) {
        for (uint32_t i = 0; i < self->torrent->info->piece_count && !why && is_open(self); i++)
            why = take_have(self, i);
    }
    if (!why && is_open(self) && !drop_seed(self))
        peer_update_interest(self);
    return why;
}

static const char *take_extended(peer *self, const wire_message *message)
{
    void *data = malloc(message->length + 1);
    if (!data)
        return peer_no_memory;
    berth_socket_read(self->socket, data, message->length);
    bool known = self->extension.port != 0; /* only the first port is believed */
    bool good = message->extension != EXTENSION_HANDSHAKE ||
                extension_read(&self->extension, data, message->length);
    free(data);
    if (good && self->place == PEER_NO_PLACE && !known && self->extension.port != 0)
        connector_heard(self->torrent->connector, self->address, self->extension.port);
    return good ? NULL : "its extension handshake is not a dictionary";
}

static const char *take_allowed(peer *self, uint32_t index)
{
    if (!self->allowed.bytes && !bits_open(&self->allowed, self->torrent->info->piece_count))
        return peer_no_memory;
    bits_add(&self->allowed, index);
    return NULL;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static uint32_t pipeline(const peer *self, uint64_t now)
{
    uint32_t blocks = speed_recent(&self->down, now) / BLOCK_SIZE;
    uint32_t most = self->extension.requests;
    if (self->snubbed)
        return 1;
    if (most > MOST_PIPELINE)
        most = MOST_PIPELINE;
    if (blocks < LEAST_PIPELINE)
        blocks = LEAST_PIPELINE;
    return blocks < most ? blocks : most;
}

void peer_ask(peer *self)
{
    torrent *owner = self->torrent;
    picker_block blocks[ASK_AT_ONCE];
    uint8_t bytes[ASK_AT_ONCE * WIRE_SMALL];
    const bits *allowed = self->chokes_us ? &self->allowed : NULL;
    if (!self->interests_us || owner->state != TORRENT_ACTIVE || self->paused ||
        (self->chokes_us && !self->allowed.bytes))
        return;
    uint64_t now = session_now(self->session);
    if (now < self->asks_from)
        return;
    bool alone = blame_look_up(owner->blame, self->address) == BLAME_PAROLE;
    uint32_t want = pipeline(self, now);
    uint32_t flying = picker_in_flight(owner->picker, self->number);
    if (flying > want - want / 4) /* a few at a time: each send costs */
        return;
    while (flying < want) {
        uint32_t most = want - flying < ASK_AT_ONCE ? want - flying : ASK_AT_ONCE;
        uint32_t count = picker_pick(owner->picker, self->number, &self->has, self->has_all, alone,
                                     allowed, blocks, most);
        size_t size = 0;
        for (uint32_t i = 0; i < count; i++)
            size += wire_block(bytes + size, WIRE_REQUEST, blocks[i].index,
                               blocks[i].block * BLOCK_SIZE,
                               metainfo_block_size(owner->info, blocks[i].index, blocks[i].block));
        if (flying == 0)
            self->block_at = now;
        if (count > 0 && !peer_write(self, bytes, size))
            return;
        flying += count;
        if (count < most)
            break;
    }
    torrent_asked(owner);
}

void peer_cancel(peer *self, uint32_t index, uint32_t block)
{
    uint8_t bytes[WIRE_SMALL];
    peer_write(self, bytes,
               wire_block(bytes, WIRE_CANCEL, index, block * BLOCK_SIZE,
                          metainfo_block_size(self->torrent->info, index, block)));
}

static void cancel_others(torrent *owner, picker_block block, const uint32_t *others,
                          uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (owner->peers[others[i]])
            peer_cancel(owner->peers[others[i]], block.index, block.block);
}

static const char *store(peer *self, picker_block block, uint32_t size)
{
    torrent *owner = self->torrent;
    void *data = disk_block(owner->disk);
    if (!data)
        return peer_no_memory;
    berth_socket_read(self->socket, data, size);
    if (!blame_block(owner->blame, self->address, block.index, block.block))
        blame_old_blocks(owner->blame, block.index);
    if (!disk_write(owner->disk, block.index, block.block, data, size))
        picker_lost(owner->picker, block);
    torrent_block_stored(owner, block.index);
    return NULL;
}

/* The bytes of the block are in the input. */
static const char *take_block(peer *self, const wire_message *message)
{
    torrent *owner = self->torrent;
    uint64_t now = session_now(self->session);
    picker_block block = {message->index, message->begin / BLOCK_SIZE};
    uint32_t size = message->length;
    uint32_t others[2];
    uint32_t other_count = 0;
    if (message->begin % BLOCK_SIZE != 0 ||
        size != metainfo_block_size(owner->info, block.index, block.block))
        return "it sent a block that nobody asks for";
    picker_outcome outcome =
        picker_received(owner->picker, self->number, block, others, &other_count);
    owner->received += size;
    if (outcome != PICKER_STORE) {
        berth_socket_skip(self->socket, size);
        owner->redundant += size;
        self->unasked += size;
        return self->unasked > MOST_UNASKED ? "it sends what nobody asked for" : NULL;
    }
    self->block_at = now;
    self->snubbed = false;
    self->unasked -= size < self->unasked ? size : self->unasked;
    self->choking.snubbed = false;
    speed_add(&self->down, now, size);
    speed_add(&owner->down, now, size);
    cancel_others(owner, block, others, other_count);
    return store(self, block, size);
}

/* ---- messages -------------------------------------------------------------------------------- */

static void choked(peer *self)
{
    self->chokes_us = true;
    if (!self->fast) /* otherwise each is rejected, or still answered */
        picker_gave_up_all(self->torrent->picker, self->number);
}

static const char *take_interest(peer *self, bool interested)
{
    if (self->choking.interested == interested)
        return NULL;
    self->choking.interested = interested;
    torrent_fill_slots(self->torrent);
    return NULL;
}

const char *peer_message(peer *self, const wire_message *message)
{
    const char *why;
    switch (message->type) {
    case WIRE_CHOKE:
        choked(self);
        return NULL;
    case WIRE_UNCHOKE:
        self->chokes_us = false;
        self->asks_from = 0; /* what it rejected while it choked us says nothing */
        return NULL;         /* on_ready_read asks */
    case WIRE_INTERESTED:
    case WIRE_NOT_INTERESTED:
        return take_interest(self, message->type == WIRE_INTERESTED);
    case WIRE_HAVE:
        why = take_have(self, message->index);
        if (!why && is_open(self))
            drop_seed(self);
        return why;
    case WIRE_BITFIELD:
    case WIRE_HAVE_ALL:
    case WIRE_HAVE_NONE:
        return take_pieces(self, message);
    case WIRE_REQUEST:
        return peer_requested(self, message);
    case WIRE_CANCEL:
        peer_cancelled(self, message);
        return NULL;
    case WIRE_PIECE:
        return take_block(self, message);
    case WIRE_REJECT:
        self->asks_from = session_now(self->session) + REJECTED_TIME;
        picker_gave_up(self->torrent->picker, self->number,
                       (picker_block){message->index, message->begin / BLOCK_SIZE});
        return NULL;
    case WIRE_ALLOWED_FAST:
        return take_allowed(self, message->index);
    case WIRE_EXTENDED:
        return take_extended(self, message);
    case WIRE_SUGGEST:
    case WIRE_KEEP_ALIVE:
    case WIRE_UNKNOWN:
        return NULL;
    }
    return NULL;
}

void peer_tell_have(peer *self, uint32_t index)
{
    uint8_t bytes[WIRE_SMALL];
    if (self->state == PEER_TALKING && !self->has_all)
        peer_write(self, bytes, wire_have(bytes, WIRE_HAVE, index));
}

void peer_check_snub(peer *self, uint64_t now)
{
    picker *choice = self->torrent->picker;
    if (picker_in_flight(choice, self->number) == 0 || now - self->block_at < SNUB_TIME ||
        self->paused || self->crowded)
        return;
    self->snubbed = true;
    self->choking.snubbed = true;
    self->block_at = now;
    picker_gave_up_all(choice, self->number);
    peer_ask(self);
}
