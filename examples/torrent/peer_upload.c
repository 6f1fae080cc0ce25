/*
 * What a peer asks of us: see peer.h.
 *
 * Requests wait in a ring, PEER_MOST_REQUESTS at most, which is what we advertise. They are
 * answered as long as fewer than PEER_OUTPUT bytes are in the output or being read: then the peer
 * has to read first, and `drained` goes on. A block that is in the page cache is read at once;
 * otherwise a job reads it. The bytes are borrowed by the socket, not copied.
 *
 * With the fast extension every request is answered, by the block or by a reject. Without it a
 * refusal could not be mentioned, and rtorrent, which does not know how many we let wait, would
 * wait for ever: such a peer is not read while its ring is full.
 */
#include <stdlib.h>

#include "peer.h"
#include "torrent.h"

static bool reject(peer *self, const peer_request *request)
{
    uint8_t bytes[WIRE_SMALL];
    return !self->fast || peer_write(self, bytes,
                                     wire_block(bytes, WIRE_REJECT, request->index, request->begin,
                                                request->length));
}

static peer_request *request_at(peer *self, uint32_t number)
{
    return &self->requests[(self->first_request + number) % PEER_MOST_REQUESTS];
}

const char *peer_requested(peer *self, const wire_message *message)
{
    peer_request request = {message->index, message->begin, message->length};
    if (!self->told_unchoked || !bits_has(&self->torrent->have, request.index) ||
        self->request_count == PEER_MOST_REQUESTS) {
        reject(self, &request);
        return NULL;
    }
    if (!self->requests) {
        self->requests = malloc(PEER_MOST_REQUESTS * sizeof(*self->requests));
        self->first_request = 0;
    }
    if (!self->requests) {
        reject(self, &request);
        return NULL;
    }
    self->request_count++;
    *request_at(self, self->request_count - 1) = request;
    peer_upload(self);
    return NULL;
}

void peer_cancelled(peer *self, const wire_message *message)
{
    for (uint32_t i = 0; i < self->request_count; i++) {
        peer_request request = *request_at(self, i);
        if (request.index != message->index || request.begin != message->begin ||
            request.length != message->length)
            continue;
        for (uint32_t j = i + 1; j < self->request_count; j++)
            *request_at(self, j - 1) = *request_at(self, j);
        self->request_count--;
        reject(self, &request);
        return;
    }
}

/* Refuses all that waits, since the peer is choked. */
static bool refuse_all(peer *self)
{
    while (self->request_count > 0) {
        peer_request request = *request_at(self, 0);
        self->first_request = (self->first_request + 1) % PEER_MOST_REQUESTS;
        self->request_count--;
        if (!reject(self, &request))
            return false;
    }
    free(self->requests);
    self->requests = NULL;
    return true;
}

void peer_apply_choke(peer *self)
{
    uint8_t bytes[WIRE_SMALL];
    if (self->state != PEER_TALKING || self->choking.unchoked == self->told_unchoked)
        return;
    self->told_unchoked = self->choking.unchoked;
    if (!peer_write(self, bytes,
                    wire_plain(bytes, self->told_unchoked ? WIRE_UNCHOKE : WIRE_CHOKE)))
        return;
    if (!self->told_unchoked)
        refuse_all(self);
}

void peer_send_block(peer *self, uint32_t index, uint32_t begin, uint32_t length, void *data)
{
    uint8_t header[WIRE_PIECE_HEADER];
    peer_request request = {index, begin, length};
    uint64_t now = session_now(self->session);
    if (!data) {
        reject(self, &request);
        return;
    }
    wire_piece_header(header, index, begin, length);
    if (!peer_write(self, header, sizeof(header))) {
        disk_give_back(data, length, NULL);
        return;
    }
    if (berth_socket_write_borrowed(self->socket, data, length, disk_give_back, NULL) !=
        (ptrdiff_t)length) {
        disk_give_back(data, length, NULL);
        peer_drop(self, "a block could not be written");
        return;
    }
    speed_add(&self->up, now, length);
    speed_add(&self->torrent->up, now, length);
    self->torrent->totals.uploaded += length;
}

void peer_upload(peer *self)
{
    disk *store = self->torrent ? self->torrent->disk : NULL;
    while (self->state == PEER_TALKING && self->request_count > 0 &&
           self->reading + berth_socket_bytes_to_write(self->socket) < PEER_OUTPUT) {
        peer_request request = *request_at(self, 0);
        self->first_request = (self->first_request + 1) % PEER_MOST_REQUESTS;
        self->request_count--;
        void *data = disk_read_now(store, request.index, request.begin, request.length);
        if (data) {
            peer_send_block(self, request.index, request.begin, request.length, data);
        } else if (disk_read(store, request.index, request.begin, request.length, self)) {
            self->reads++;
            self->reading += request.length;
        } else {
            reject(self, &request);
        }
    }
}

void peer_go_on_uploading(peer *self)
{
    peer_upload(self);
    peer_uncrowd(self);
}
