/*
 * Accepting peers: see listener.h.
 */
#include "listener.h"

#include <stdlib.h>

#include "options.h"
#include "torrent.h"

#define FIRST_PORT 6881
#define LAST_PORT 6889

/* Drops a peer that is of no use to either side. False if there is none. */
static bool make_room(session *self)
{
    uint64_t now = session_now(self);
    for (size_t i = 0; i < self->torrent_count; i++) {
        torrent *owner = self->torrents[i];
        for (uint32_t j = 0; owner && j < owner->peer_room; j++) {
            if (!owner->peers[j] || !peer_is_useless(owner->peers[j], now))
                continue;
            peer_drop(owner->peers[j], "it makes room");
            return true;
        }
    }
    return false;
}

static void on_new_connection(berth_server *server, void *user)
{
    session *self = user;
    berth_socket *socket;
    while ((socket = berth_server_next_pending_connection(server))) {
        if (self->ending || (self->peers >= self->most_peers && !make_room(self)))
            berth_socket_free(socket);
        else
            peer_accept(self, socket);
    }
}

static void on_accept_error(berth_server *server, berth_error error, void *user)
{
    (void)error;
    session_say(user, "%s", berth_server_error_string(server));
}

static const berth_server_handlers handlers = {
    .new_connection = on_new_connection,
    .accept_error = on_accept_error,
};

/* Many SOCKS5 servers only connect: they say so, or close. Peers can be dialled through them. */
static bool only_connects(const session *self)
{
    if (!self->settings->proxy || self->settings->port != 0)
        return false;
    switch (berth_server_error(self->server)) {
    case BERTH_ERROR_UNSUPPORTED_OPERATION:
    case BERTH_ERROR_SOCKET_ACCESS:
    case BERTH_ERROR_PROXY_CONNECTION_CLOSED:
        return true;
    default:
        return false;
    }
}

void listener_open(session *self)
{
    const settings *given = self->settings;
    bool listens = false;
    self->server = berth_server_new(self->loop, &handlers, self);
    if (!self->server)
        fail(given->program, "out of memory");
    if (given->proxy && given->proxy->type == BERTH_PROXY_SOCKS5)
        berth_server_set_proxy(self->server, given->proxy);
    if (given->port != 0)
        listens = berth_server_listen(self->server, given->address, given->port);
    for (uint16_t port = FIRST_PORT; given->port == 0 && !listens && port <= LAST_PORT; port++)
        listens = berth_server_listen(self->server, given->address, port);
    if (!listens && !only_connects(self))
        fail(given->program, "%s", berth_server_error_string(self->server));
    if (!listens)
        session_say(self, "%s; no peer can connect", berth_server_error_string(self->server));
    self->port = listens ? berth_server_port(self->server) : FIRST_PORT; /* trackers want one */
}

/* Two programs with many torrents have a connection for each: the limit of an address is that of a
 * torrent, and all of them together take a quarter of the places at most. */
void listener_limit(session *self)
{
    uint32_t each = self->settings->most_per_address;
    uint32_t most = self->most_peers / 4;
    berth_accept_limits limits = {.per_address = each * (uint32_t)self->torrent_count};
    if (limits.per_address > most)
        limits.per_address = most > each ? most : each;
    berth_server_set_accept_limits(self->server, &limits);
}

void listener_close(session *self)
{
    berth_server_free(self->server);
    self->server = NULL;
}
