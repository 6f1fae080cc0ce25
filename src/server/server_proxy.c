/*
 * Listening through a SOCKS5 proxy: a BIND for each connection.
 *
 *     listen -> [lookup] -> proxy connection: first reply -> listening -> second reply -> a
 * connection ^                                            |
 *                                       +------- a new BIND for the same port -------+
 *
 * berth_server_listen waits for the first reply, LISTEN_LIMIT at most. The connection to the proxy
 * becomes the one with the peer, so that a BIND gives one connection only; the next BIND is begun
 * as soon as one has given its own, and peers that come in between are refused by the proxy. A peer
 * is taken when there is credit, as server_accept.c computes it: a paused server leaves the second
 * reply where it is.
 *
 * Listening ends with one accept_error when the proxy ends a BIND without a connection, refuses the
 * next one, gives another port, or does not answer in LISTEN_LIMIT; and when its host has vanished,
 * which keep-alive questions find out within a minute. The handler may listen again.
 */
#include "base/memory.h"
#include "base/system_error.h"
#include "handshake/refusal.h"
#include "loop/loop.h"
#include "loop/resolver.h"
#include "proxy/proxy.h"
#include "proxy/proxy_connection.h"
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LISTEN_LIMIT 5000 /* milliseconds */

struct berth__bind {
    berth_server *server;
    berth__proxy proxy;
    berth_address wanted;
    uint16_t port;
    berth__proxy_connection *connection; /* NULL when none is running */
    berth__lookup *lookup;               /* of the proxy; NULL when none is running */
    bool bound;                          /* the first reply of the proxy has come */
    berth_error class; /* of a failure before the server listened; NONE while there is none */
    int number;
    berth__deadline limit; /* of a BIND while the server listens */
    size_t count;
    berth_address addresses[BERTH__MOST_ADDRESSES];
};

static void describe(const berth__bind *bind, char *text, size_t size)
{
    char endpoint[BERTH_ENDPOINT_TEXT_SIZE];
    char through[BERTH__PROXY_TEXT_SIZE];
    snprintf(text, size, "%s through the %s",
             berth_endpoint_format(bind->wanted, bind->port, endpoint, sizeof endpoint),
             berth__proxy_describe(&bind->proxy.value, through, sizeof through));
}

static const char *reason_of(berth_error class, int number, char *text, size_t size)
{
    if (berth__is_refusal(number))
        return berth__refusal_reason(number, text, size);
    snprintf(text, size, "%s%s",
             class == BERTH_ERROR_PROXY_CONNECTION_REFUSED ? "the proxy cannot be reached: " : "",
             berth__reason_of(number));
    return text;
}

static void set_error(berth_server *server, const char *what, berth_error class, int number)
{
    char where[BERTH__SERVER_TEXT_SIZE];
    char reason[BERTH__REFUSAL_TEXT_SIZE];
    describe(server->bind, where, sizeof where);
    berth__server_set_error(server, class, "%s %s: %s", what, where,
                            reason_of(class, number, reason, sizeof reason));
}

/* ---- the end --------------------------------------------------------------------------------- */

void berth__server_unbind(berth_server *server)
{
    berth__bind *bind = server->bind;
    if (bind == NULL)
        return;
    server->bind = NULL;
    server->listens_through = false;
    if (bind->connection != NULL)
        berth__proxy_connection_cancel(bind->connection);
    if (bind->lookup != NULL)
        berth__lookup_cancel(bind->lookup);
    berth__deadline_stop(&server->object.loop->deadlines, &bind->limit);
    berth__deadlines_unreserve(&server->object.loop->deadlines);
    berth__release(bind);
}

static void end_listening(berth_server *server, berth_error class, int number)
{
    berth__enter(&server->object);
    set_error(server, "no longer listening on", class, number);
    berth__server_stop_listening(server);
    berth__server_announce_error(server);
    berth__leave(&server->object);
}

static void failed(void *owner, berth_error class, int number)
{
    berth_server *server = owner;
    berth__bind *bind = server->bind;
    bind->connection = NULL;
    /* Whatever a reply in place of a peer means to the proxy, to the server it means no peer. */
    if (bind->bound && number >= BERTH__REFUSAL_SOCKS5)
        class = BERTH_ERROR_PROXY_PROTOCOL;
    if (server->listens_through) {
        end_listening(server, class, number);
        return;
    }
    bind->class = class;
    bind->number = number;
}

static void limit_expired(berth__deadline *deadline)
{
    berth__bind *late = (berth__bind *)((char *)deadline - offsetof(berth__bind, limit));
    end_listening(late->server, BERTH_ERROR_SOCKET_TIMEOUT, BERTH__REFUSAL_PROXY_TIMEOUT);
}

/* ---- one BIND -------------------------------------------------------------------------------- */

static void bound(void *owner, berth_address address, uint16_t port)
{
    berth_server *server = owner;
    berth__bind *bind = server->bind;
    bind->bound = true;
    berth__deadline_stop(&server->object.loop->deadlines, &bind->limit);
    if (!server->listens_through) {
        berth__drain_forget(server);
        server->listens_through = true;
        server->listenings++;
        server->address = address;
        server->port = port;
    } else if (port != server->port) {
        end_listening(server, BERTH_ERROR_ADDRESS_IN_USE, BERTH__REFUSAL_PORT);
        return;
    }
    berth__server_pace(server);
}

static int start(berth_server *server);

/* The peer has come. The next BIND is sent before that is announced. */
static void opened(void *owner, int descriptor, berth_address address, uint16_t port)
{
    berth_server *server = owner;
    berth_loop *loop = server->object.loop;
    berth__bind *bind = server->bind;
    uint32_t listenings = server->listenings;
    berth__accepted accepted = {.descriptor = descriptor,
                                .peer = address,
                                .peer_port = port,
                                .local = server->address,
                                .local_port = server->port};
    bind->connection = NULL;
    bind->bound = false;
    bind->port = server->port;
    berth__deadline_start(&loop->deadlines, &bind->limit,
                          berth__after(berth__loop_clock(loop), LISTEN_LIMIT));
    int error = start(server);
    server->owner.local = server->owner.parcelled = false; /* as of a listener before */
    berth__enter(&server->object);
    berth__server_came(server, descriptor);
    berth__server_accepted(server, descriptor, &accepted);
    if (!server->object.freed && error != 0 && server->listenings == listenings)
        end_listening(server, BERTH_ERROR_PROXY_CONNECTION_REFUSED, error);
    berth__leave(&server->object);
}

static const berth__proxy_connection_events events = {
    .bound = bound, .opened = opened, .failed = failed};

/* Returns an errno. */
static int start(berth_server *server)
{
    berth__bind *bind = server->bind;
    berth__proxy_connection_plan plan = {
        .proxy = &bind->proxy.value,
        .addresses = bind->addresses,
        .count = bind->count,
        .address = bind->wanted,
        .port = bind->port,
        .listens = true,
    };
    int error = 0;
    bind->connection =
        berth__proxy_connection_start(server->object.loop, &plan, &events, server, &error);
    return error;
}

int berth__server_admit_through(berth_server *server, bool admit)
{
    berth__bind *bind = server->bind;
    return bind->bound ? berth__proxy_connection_admit(bind->connection, admit) : 0;
}

/* ---- listening ------------------------------------------------------------------------------- */

static void start_or_fail(berth_server *server)
{
    int error = start(server);
    if (error != 0)
        failed(server,
               berth__is_exhaustion(error) ? BERTH_ERROR_SOCKET_RESOURCE
                                           : BERTH_ERROR_PROXY_CONNECTION_REFUSED,
               error);
}

static void looked_up(void *owner, const berth_address *addresses, size_t count, int error)
{
    berth_server *server = owner;
    berth__bind *bind = server->bind;
    bind->lookup = NULL;
    memcpy(bind->addresses, addresses, count * sizeof *addresses);
    bind->count = count;
    bool silent = error == ETIMEDOUT;
    if (count == 0 && error != 0 && !silent)
        failed(server, BERTH_ERROR_SOCKET_RESOURCE, error);
    else if (count == 0)
        failed(server, BERTH_ERROR_PROXY_NOT_FOUND,
               silent ? BERTH__REFUSAL_PROXY_NAME : BERTH__REFUSAL_PROXY_NOT_FOUND);
    else
        start_or_fail(server);
}

static berth__bind *make(berth_server *server, const berth__proxy *proxy, berth_address address,
                         uint16_t port)
{
    berth__bind *bind = berth__allocate_zero(sizeof *bind);
    if (bind == NULL || !berth__deadlines_reserve(&server->object.loop->deadlines)) {
        berth__release(bind);
        return NULL;
    }
    bind->server = server;
    bind->wanted = address;
    bind->port = port;
    bind->limit.expired = limit_expired;
    (void)berth__proxy_copy(&bind->proxy, &proxy->value); /* a copy of a copy always fits */
    server->bind = bind;
    return bind;
}

static void set_out(berth_server *server)
{
    berth__bind *bind = server->bind;
    if (berth_address_parse(bind->proxy.value.host, &bind->addresses[0])) {
        bind->count = 1;
        start_or_fail(server);
        return;
    }
    bind->lookup =
        berth__lookup_start(server->object.loop, bind->proxy.value.host, server, looked_up);
    if (bind->lookup == NULL)
        failed(server, BERTH_ERROR_SOCKET_RESOURCE, ENOMEM);
}

static bool decided(void *object)
{
    const berth_server *server = object;
    return server->object.freed || server->bind == NULL || server->listens_through ||
           server->bind->class != BERTH_ERROR_NONE;
}

/* In a wait that runs no timers. */
static uint64_t step(void *object)
{
    berth_server *server = object;
    uint64_t again = UINT64_MAX;
    if (server->bind != NULL && server->bind->lookup != NULL) {
        again = berth__lookup_step(server->bind->lookup);
        berth__lookups_run(server->object.loop, server);
    }
    if (server->bind != NULL && server->bind->connection != NULL) {
        uint64_t next = berth__proxy_connection_step(server->bind->connection);
        again = next < again ? next : again;
    }
    return again;
}

uint64_t berth__server_bind_step(berth_server *server)
{
    berth__bind *bind = server->bind;
    if (bind == NULL || bind->limit.place == 0)
        return UINT64_MAX;
    uint64_t due = bind->limit.time;
    if (due > berth__loop_clock(server->object.loop)) {
        uint64_t next =
            bind->connection != NULL ? berth__proxy_connection_step(bind->connection) : UINT64_MAX;
        return next < due ? next : due;
    }
    berth__deadline_stop(&server->object.loop->deadlines, &bind->limit);
    limit_expired(&bind->limit);
    return UINT64_MAX;
}

/* Waits for the first reply, or whatever comes instead. */
static bool wait_for_reply(berth_server *server)
{
    berth__wait wait = {.owner = server, .object = server, .done = decided, .prepare = step};
    bool in_time = berth__loop_wait(server->object.loop, &wait, LISTEN_LIMIT);
    if (server->object.freed || server->bind == NULL)
        return false;
    if (server->listens_through)
        return true;
    if (in_time)
        set_error(server, "cannot listen on", server->bind->class, server->bind->number);
    else
        set_error(server, "cannot listen on", BERTH_ERROR_SOCKET_TIMEOUT,
                  BERTH__REFUSAL_PROXY_TIMEOUT);
    berth__server_unbind(server);
    return false;
}

bool berth__server_listen_through(berth_server *server, const berth__proxy *proxy,
                                  berth_address address, uint16_t port)
{
    char endpoint[BERTH_ENDPOINT_TEXT_SIZE];
    char through[BERTH__PROXY_TEXT_SIZE];
    berth_endpoint_format(address, port, endpoint, sizeof endpoint);
    berth__proxy_describe(&proxy->value, through, sizeof through);
    if ((berth_proxy_capabilities(proxy->value.type) & BERTH_PROXY_CAN_LISTEN) == 0) {
        berth__server_set_error(server, BERTH_ERROR_UNSUPPORTED_OPERATION,
                                "cannot listen on %s through the %s: an HTTP proxy cannot listen",
                                endpoint, through);
        return false;
    }
    if (make(server, proxy, address, port) == NULL) {
        berth__server_set_error(server, BERTH_ERROR_SOCKET_RESOURCE,
                                "cannot listen on %s through the %s: %s", endpoint, through,
                                berth__reason_of(ENOMEM));
        return false;
    }
    berth_loop *loop = server->object.loop;
    berth__enter(&server->object);
    set_out(server);
    bool listens = wait_for_reply(server);
    loop->depth++; /* else the loop might be freed twice, by both */
    bool alive = berth__leave(&server->object);
    loop->depth--;
    berth__loop_leave(loop);
    return alive && listens;
}
