/*
 * The life of a connection to another client: see peer.h.
 *
 * The normal course: peer_dial or peer_accept, the handshakes, then one message after the other
 * (receive), until either side ends it. The side that dialled sends its handshake first; the other
 * one answers when it knows the torrent, that is after 48 bytes.
 *
 * Ways to end, all by peer_drop: the peer or the network ended the connection; no handshake within
 * 20 s; silence for 150 s; a violation of the protocol, which counts against the address; a peer
 * that is ourselves, that is connected already, or that is of no use.
 *
 * A first byte other than 19 is the beginning of an encrypted handshake, usually: the connection is
 * closed at once, since such peers come back in plain.
 */
#include "peer.h"

#include <stdlib.h>
#include <string.h>

#include "torrent.h"

#define DIAL_TIME 10000
#define SHAKE_TIME 20000
#define SILENCE 150000 /* BEP 3 has a keep-alive each 120 s, which is on its way for a while */
#define KEEP_ALIVE 100000
#define USELESS 60000 /* neither side interested for so long: may go if places are few */
#define MOST_OUTPUT (1024 * 1024u) /* of a peer that makes us write and does not read */
#define CLIENT "berth-torrent " BERTH_VERSION_STRING

static const berth_socket_handlers handlers;

const char peer_no_memory[] = "out of memory";

/* ---- ends ------------------------------------------------------------------------------------ */

static void leave_arrivals(peer *self)
{
    if (!self->link)
        return;
    *self->link = self->next;
    if (self->next)
        self->next->link = self->link;
    self->link = NULL;
}

void peer_drop(peer *self, const char *why)
{
    if (self->state == PEER_GONE)
        return;
    session *shared = self->session;
    torrent *owner = self->torrent;
    bool was_dialling = self->state == PEER_DIALLING;
    bool talked = self->state == PEER_TALKING;
    self->state = PEER_GONE;
    session_log(shared, self, why);
    leave_arrivals(self);
    berth_socket_set_handlers(self->socket, NULL, NULL);
    berth_socket_free(self->socket);
    self->socket = NULL;
    session_peer_left(shared, was_dialling);
    if (owner) {
        uint32_t place = self->place;
        torrent_remove_peer(owner, self);
        if (place != PEER_NO_PLACE)
            connector_ended(owner->connector, place, talked);
    }
    bits_close(&self->has);
    bits_close(&self->allowed);
    free(self->requests);
    self->requests = NULL;
    self->request_count = 0;
    session_bury(shared, self);
}

void peer_read_done(peer *self, uint32_t index, uint32_t begin, uint32_t length, void *data)
{
    self->reads--;
    self->reading -= length;
    if (self->state == PEER_GONE) {
        disk_give_back(data, length, NULL);
        session_bury(self->session, NULL);
        return;
    }
    peer_send_block(self, index, begin, length, data);
    /* `drained` does not come if the output stayed below the low mark. */
    peer_go_on_uploading(self);
}

/* A failure of this side is not held against the peer. */
static void violate(peer *self, const char *why)
{
    if (self->torrent && why != peer_no_memory)
        torrent_violation(self->torrent, self, why);
    peer_drop(self, why);
}

/* ---- handshakes ------------------------------------------------------------------------------ */

bool peer_write(peer *self, const void *data, size_t size)
{
    self->spoken_at = session_now(self->session);
    if (berth_socket_write(self->socket, data, size) == (ptrdiff_t)size)
        return true;
    peer_drop(self, "it does not read");
    return false;
}

static bool send_handshake(peer *self)
{
    uint8_t bytes[WIRE_HANDSHAKE_SIZE];
    wire_handshake handshake = {.fast = true, .extensions = true};
    memcpy(handshake.hash, self->torrent->info->hash, HASH_SIZE);
    memcpy(handshake.peer_id, self->session->peer_id, PEER_ID_SIZE);
    wire_write_handshake(bytes, &handshake);
    self->sent_handshake = true;
    return peer_write(self, bytes, sizeof(bytes));
}

/* What is said first: who we are, and what we have. */
static bool introduce(peer *self)
{
    uint8_t bytes[256];
    torrent *owner = self->torrent;
    if (self->extensions) {
        size_t size = extension_write(bytes + 6, sizeof(bytes) - 6, CLIENT, self->session->port);
        wire_extended_header(bytes, EXTENSION_HANDSHAKE, size);
        if (!peer_write(self, bytes, 6 + size))
            return false;
    }
    if (self->fast && owner->have.set == 0)
        return peer_write(self, bytes, wire_plain(bytes, WIRE_HAVE_NONE));
    if (self->fast && owner->complete)
        return peer_write(self, bytes, wire_plain(bytes, WIRE_HAVE_ALL));
    if (owner->have.set == 0)
        return true;
    size_t size = bits_size(owner->have.count);
    return peer_write(self, bytes, wire_bitfield_header(bytes, size)) &&
           peer_write(self, owner->have.bytes, size);
}

/* Whether this connection stays when there is another one to the same client. Both sides decide by
 * the same rule: the one with the lower id keeps the connection that it has dialled. From another
 * address the id may be a stolen one: then it does not end the connection that is there. */
static bool resolve_twin(peer *self)
{
    peer *twin = torrent_twin(self->torrent, self);
    if (!twin)
        return true;
    bool we_are_lower = memcmp(self->session->peer_id, self->id, PEER_ID_SIZE) < 0;
    bool dialled = self->place != PEER_NO_PLACE;
    bool twin_dialled = twin->place != PEER_NO_PLACE;
    if (dialled == twin_dialled || dialled != we_are_lower ||
        !berth_address_equal_as(self->address, twin->address, BERTH_TOLERATE_MAPPED)) {
        peer_drop(self, "it is connected already");
        return false;
    }
    peer_drop(twin, "another connection to it is kept");
    return self->state != PEER_GONE;
}

/* Both handshakes are there. */
static bool begin_to_talk(peer *self)
{
    session *shared = self->session;
    berth_connection_limits limits = {.idle = SILENCE};
    if (memcmp(self->id, shared->peer_id, PEER_ID_SIZE) == 0) {
        if (self->place != PEER_NO_PLACE)
            connector_never(self->torrent->connector, self->place);
        peer_drop(self, "it is this program itself");
        return false;
    }
    if (!resolve_twin(self))
        return false;
    self->state = PEER_TALKING;
    self->useful_at = session_now(shared);
    self->chokes_us = true;
    self->extension.requests = 250;
    if (self->place != PEER_NO_PLACE)
        connector_connected(self->torrent->connector, self->place);
    berth_socket_set_option(self->socket, BERTH_OPTION_LOW_DELAY, 1);
    if (!berth_socket_set_limits(self->socket, &limits) ||
        !berth_socket_set_read_rate(self->socket, shared->download_rate) ||
        !berth_socket_set_write_rate(self->socket, shared->upload_rate)) {
        peer_drop(self, berth_socket_error_string(self->socket));
        return false;
    }
    return introduce(self);
}

/* The torrent of an accepted peer is known. */
static bool join(peer *self, const wire_handshake *handshake)
{
    torrent *owner = session_find(self->session, handshake->hash);
    if (!owner) {
        peer_drop(self, "there is no such torrent here");
        return false;
    }
    if (blame_look_up(owner->blame, self->address) == BLAME_BANNED) {
        peer_drop(self, "its address is banned");
        return false;
    }
    if (torrent_is_crowded(owner, self->address)) {
        peer_drop(self, "its address has as many connections as it may have");
        return false;
    }
    leave_arrivals(self);
    self->torrent = owner;
    if (!torrent_add_peer(owner, self)) {
        self->torrent = NULL;
        peer_drop(self, peer_no_memory);
        return false;
    }
    return send_handshake(self);
}

/* Returns whether messages may follow. */
static bool shake(peer *self)
{
    uint8_t bytes[WIRE_HANDSHAKE_SIZE];
    wire_handshake handshake;
    const char *why = NULL;
    bool has_id = false;
    ptrdiff_t size = berth_socket_peek(self->socket, bytes, sizeof(bytes));
    wire_result result =
        size <= 0 ? WIRE_MORE : wire_read_handshake(bytes, (size_t)size, &handshake, &has_id, &why);
    if (result == WIRE_BROKEN) {
        peer_drop(self, why);
        return false;
    }
    if (result == WIRE_MORE)
        return false;
    if (!self->torrent) {
        if (!join(self, &handshake))
            return false;
    } else if (memcmp(handshake.hash, self->torrent->info->hash, HASH_SIZE) != 0) {
        peer_drop(self, "it answered for another torrent");
        return false;
    }
    if (!has_id)
        return false;
    berth_socket_skip(self->socket, WIRE_HANDSHAKE_SIZE);
    memcpy(self->id, handshake.peer_id, PEER_ID_SIZE);
    self->fast = handshake.fast;
    self->extensions = handshake.extensions;
    return begin_to_talk(self);
}

/* ---- messages -------------------------------------------------------------------------------- */

/* Takes one message from the input; false if there is none yet, or the peer is gone. */
static bool receive_one(peer *self)
{
    uint8_t bytes[WIRE_SMALL];
    wire_rules rules = {.info = self->torrent->info, .fast = self->fast};
    wire_message message;
    const char *why = NULL;
    size_t whole = 0;
    ptrdiff_t size = berth_socket_peek(self->socket, bytes, sizeof(bytes));
    if (size <= 0)
        return false;
    switch (wire_read(&rules, bytes, (size_t)size, &message, &whole, &why)) {
    case WIRE_MORE:
        return false;
    case WIRE_BROKEN:
        violate(self, why);
        return false;
    case WIRE_MESSAGE:
        break;
    }
    if (berth_socket_bytes_available(self->socket) < whole)
        return false;
    bool has_body = message.type == WIRE_PIECE || message.type == WIRE_BITFIELD ||
                    message.type == WIRE_EXTENDED;
    berth_socket_skip(self->socket, has_body ? whole - message.length : whole);
    why = peer_message(self, &message);
    if (why)
        violate(self, why);
    return self->state == PEER_TALKING && !why;
}

void peer_receive(peer *self)
{
    self->heard_at = session_now(self->session);
    if (self->state == PEER_SHAKING && !shake(self))
        return;
    while (self->state == PEER_TALKING) {
        self->paused = disk_full(self->torrent->disk);
        self->crowded = !self->fast && self->request_count == PEER_MOST_REQUESTS;
        if (self->paused || self->crowded) {
            berth_socket_pause_reading(self->socket);
            return;
        }
        if (!receive_one(self))
            return;
    }
}

/* Whether both reasons for a pause are over is seen by peer_receive. */
static void go_on(peer *self)
{
    berth_socket_resume_reading(self->socket);
    peer_receive(self); /* what came before the pause is not announced again */
    if (self->state == PEER_TALKING)
        peer_ask(self);
}

void peer_resume(peer *self)
{
    if (self->paused)
        go_on(self);
}

void peer_uncrowd(peer *self)
{
    if (self->state == PEER_TALKING && self->crowded &&
        self->request_count <= PEER_MOST_REQUESTS / 2)
        go_on(self);
}

/* ---- handlers -------------------------------------------------------------------------------- */

static void on_ready_read(berth_socket *socket, void *user)
{
    peer *self = user;
    (void)socket;
    peer_receive(self);
    if (self->state == PEER_TALKING)
        peer_ask(self);
}

static void on_connected(berth_socket *socket, void *user)
{
    peer *self = user;
    berth_connection_limits limits = {.lifetime = SHAKE_TIME};
    self->state = PEER_SHAKING;
    session_dialled(self->session);
    self->address = berth_socket_peer_address(socket);
    berth_socket_set_limits(socket, &limits);
    send_handshake(self);
}

static void on_error(berth_socket *socket, berth_error error, void *user)
{
    (void)error;
    peer_drop(user, berth_socket_error_string(socket));
}

static void on_disconnected(berth_socket *socket, void *user)
{
    (void)socket;
    peer_drop(user, "the connection has ended");
}

static void on_drained(berth_socket *socket, void *user)
{
    (void)socket;
    peer_go_on_uploading(user);
}

static const berth_socket_handlers handlers = {
    .ready_read = on_ready_read,
    .connected = on_connected,
    .error_occurred = on_error,
    .disconnected = on_disconnected,
    .drained = on_drained,
};

/* ---- beginnings ------------------------------------------------------------------------------ */

static peer *new_peer(session *shared)
{
    peer *self = calloc(1, sizeof(*self));
    if (!self)
        return NULL;
    self->session = shared;
    self->place = PEER_NO_PLACE;
    self->spoken_at = session_now(shared);
    return self;
}

static void prepare(peer *self)
{
    berth_socket_set_handlers(self->socket, &handlers, self);
    berth_socket_set_write_marks(self->socket, PEER_OUTPUT / 2, MOST_OUTPUT);
}

void peer_accept(session *shared, berth_socket *socket)
{
    peer *self = new_peer(shared);
    berth_connection_limits limits = {.lifetime = SHAKE_TIME};
    if (!self || !berth_socket_set_limits(socket, &limits)) {
        free(self);
        berth_socket_free(socket);
        return;
    }
    self->state = PEER_SHAKING;
    self->socket = socket;
    self->address = berth_socket_peer_address(socket);
    self->port = berth_socket_peer_port(socket);
    self->next = shared->arrivals;
    self->link = &shared->arrivals;
    if (self->next)
        self->next->link = &self->next;
    shared->arrivals = self;
    shared->peers++;
    prepare(self);
    peer_receive(self); /* what came before it was taken is not announced again */
}

bool peer_dial(torrent *owner, berth_address address, uint16_t port, const char *host,
               uint32_t place)
{
    session *shared = owner->session;
    peer *self = new_peer(shared);
    if (!self)
        return false;
    self->state = PEER_DIALLING;
    self->torrent = owner;
    self->place = place;
    self->address = address;
    self->port = port;
    self->socket = berth_socket_new(shared->loop, NULL, NULL);
    if (!self->socket || !torrent_add_peer(owner, self)) {
        berth_socket_free(self->socket);
        free(self);
        return false;
    }
    shared->peers++;
    shared->dialling++;
    prepare(self);
    berth_socket_set_connect_timeout(self->socket, DIAL_TIME);
    /* A failure is reported by error_occurred, which drops the peer. */
    if (!route_prepare(&shared->way, self->socket, address))
        peer_drop(self, "it cannot be dialled from here");
    else if (host)
        berth_socket_connect_to_host(self->socket, host, port);
    else
        berth_socket_connect_to_address(self->socket, address, port);
    return true;
}

/* ---- time ------------------------------------------------------------------------------------ */

void peer_tick(peer *self, uint64_t now)
{
    uint8_t bytes[WIRE_SMALL];
    if (self->state != PEER_TALKING)
        return;
    /* Our keep-alives are bytes that are transferred: the library's limit, of the same time, ends
     * only a peer that takes no bytes either. */
    if (self->paused || self->crowded)
        self->heard_at = now;
    if (now - self->heard_at >= SILENCE) {
        peer_drop(self, "it has said nothing for long");
        return;
    }
    if (now - self->spoken_at >= KEEP_ALIVE && !peer_write(self, bytes, wire_keep_alive(bytes)))
        return;
    if (self->interests_us || self->choking.interested)
        self->useful_at = now;
    peer_check_snub(self, now);
}

bool peer_is_useless(const peer *self, uint64_t now)
{
    return self->state == PEER_TALKING && now - self->useful_at >= USELESS;
}
