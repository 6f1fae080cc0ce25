/*
 * Limits on accepting (berth_accept_limits): connections of one address, connections in a second,
 * and what happens to those that wait when there is no descriptor for them.
 *
 * Connections of one address: the peer's address is looked up as a connection is accepted, or is
 * reported by a proxy or a PROXY header when that has come, and counted in the server's counts; one
 * too many is closed there. The count goes with the connection: to the socket's limits, or back at
 * once if incoming_connection has kept the descriptor for itself.
 *
 * Connections in a second: `rate_time` is when the connections accepted so far would be due at the
 * limit's pace; accepting may be ahead of the clock by as many as may come at once. That bounds the
 * credit of the backend, so that what is too much waits in the kernel, and a timer goes on.
 *
 * Shedding: one descriptor is kept spare while the server listens. When accepting fails for want of
 * one, the backend gives it up, closes those who wait, one after the other, and takes it back. If
 * it was lost to another thread meanwhile, the server waits as if it did not shed, and tries to get
 * it again each time.
 *
 * A blocking wait runs no timers: berth__server_limits_step is what they would do.
 */
#include "base/count.h"
#include "base/probe.h"
#include "base/sized.h"
#include "base/system_error.h"
#include "loop/loop.h"
#include "server.h"
#include "socket/connection_limits.h"
#include "socket/socket.h"

#include <errno.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)
/* Of one call: a flood could go on for ever. */
#define MOST_REJECTED ((size_t)65536)

/* ---- connections of one address -------------------------------------------------------------- */

static uint8_t prefix(uint8_t wanted, uint8_t standard, uint8_t longest)
{
    if (wanted == 0)
        return standard;
    return wanted < longest ? wanted : longest;
}

static void refuse(berth_server *server, int descriptor,
                   uint64_t *counter) /* NOLINT(readability-non-const-parameter) */
{
    berth__backend *backend = server->object.loop->backend;
    BERTH__COUNT(*counter);
    backend->operations->discard(backend, descriptor);
}

/* A peer without an address of the network counts by its user. */
static bool add_user(const berth_server *server, int descriptor, berth_address *address)
{
    berth__backend *backend = server->object.loop->backend;
    berth_credentials peer;
    if (backend->operations->credentials(backend, descriptor, &peer) != 0)
        return false;
    memcpy(address->bytes, &peer.uid, sizeof peer.uid);
    return true;
}

/* What berth_socket_peer_address will say; false if there is none. */
static bool address_of(berth_server *server, int descriptor, const berth__accepted *accepted,
                       berth_address *ret_address)
{
    berth__backend *backend = server->object.loop->backend;
    uint16_t port;
    if (accepted == NULL || berth_address_is_null(accepted->peer))
        return backend->operations->name_of(backend, descriptor, BERTH__PEER, ret_address, &port) ==
               0;
    *ret_address = accepted->peer;
    return true;
}

bool berth__server_admits(berth_server *server, int descriptor, const berth__accepted *accepted)
{
    const berth_accept_limits *limits = &server->limits;
    berth_address address;
    /* A peer that has gone has no address any more, and takes nobody's place. */
    if (!address_of(server, descriptor, accepted, &address))
        return true;
    if (address.family == BERTH_ADDRESS_FAMILY_LOCAL && !add_user(server, descriptor, &address))
        return true;
    berth__address_count *entry =
        berth__address_counts_add(&server->owner.roll->counts, address,
                                  prefix(limits->ipv4_prefix, BERTH_DEFAULT_IPV4_PREFIX, 32),
                                  prefix(limits->ipv6_prefix, BERTH_DEFAULT_IPV6_PREFIX, 128));
    if (entry == NULL) {
        berth__server_explain_accepted(server, "count", descriptor, accepted, ENOMEM);
        refuse(server, descriptor, &server->owner.counts.failed);
        return false;
    }
    if (entry->count <= limits->per_address) {
        server->accepted_address = entry;
        return true;
    }
    berth__address_counts_remove(&server->owner.roll->counts, entry);
    BERTH__PROBE3(limit, (berth_socket *)NULL, descriptor, (int)BERTH__LIMIT_ADDRESS);
    refuse(server, descriptor, &server->owner.counts.rejected_address);
    return false;
}

/* ---- connections in a second ----------------------------------------------------------------- */

/* Nanoseconds between two connections. */
static uint64_t step_of(const berth_accept_limits *limits)
{
    uint64_t step = SECOND / limits->per_second;
    return step > 0 ? step : 1;
}

static uint64_t burst_of(const berth_accept_limits *limits)
{
    return limits->burst > 0 ? limits->burst : limits->per_second;
}

unsigned berth__server_allowance(berth_server *server)
{
    berth_loop *loop = server->object.loop;
    uint64_t now = berth__loop_clock(loop);
    uint64_t step = step_of(&server->limits);
    uint64_t ahead = step * burst_of(&server->limits);
    uint64_t due = server->rate_time > now ? server->rate_time : now;
    uint64_t allowance = due < now + ahead ? (now + ahead - due) / step : 0;
    if (allowance > 0)
        return allowance < UINT32_MAX ? (unsigned)allowance : UINT32_MAX;
    if (server->refill.place == 0) {
        BERTH__COUNT(server->owner.counts.paced);
        berth__deadline_start(&loop->deadlines, &server->refill, due + step - ahead);
        berth__loop_touch(loop);
    }
    return 0;
}

void berth__server_spend(berth_server *server)
{
    uint64_t now = berth__loop_clock(server->object.loop);
    uint64_t due = server->rate_time > now ? server->rate_time : now;
    server->rate_time = due + step_of(&server->limits);
}

static void refilled(berth__deadline *deadline)
{
    berth__server_pace((berth_server *)((char *)deadline - offsetof(berth_server, refill)));
}

/* ---- those who wait in the kernel ------------------------------------------------------------ */

void berth__server_keep_spare(berth_server *server)
{
    berth__backend *backend = server->object.loop->backend;
    bool wanted = server->limits.shed && server->listener != NULL;
    if (wanted && server->spare < 0)
        server->spare = backend->operations->reserve(backend);
    if (wanted || server->spare < 0)
        return;
    int spare = server->spare;
    server->spare = -1;
    backend->operations->discard(backend, spare);
}

static size_t reject(berth_server *server, size_t most, berth__close_mode mode,
                     uint64_t *counter) /* NOLINT(readability-non-const-parameter) */
{
    berth__backend *backend = server->object.loop->backend;
    size_t count = 0;
    for (berth__listener *one = server->listener; one != NULL && count < most; one = one->other)
        count += backend->operations->reject(backend, one, most - count, mode, &server->spare);
    BERTH__COUNT_MANY(server->owner.counts.accepted, count);
    server->object.loop->counts.accepted += count;
    BERTH__COUNT_MANY(*counter, count);
    return count;
}

bool berth__server_shed(berth_server *server, int error)
{
    if (!server->limits.shed || server->listener == NULL || (error != EMFILE && error != ENFILE))
        return false;
    berth__server_keep_spare(server);
    return reject(server, BERTH__ACCEPT_BUDGET, BERTH__CLOSE_NORMAL,
                  &server->owner.counts.rejected_shed) > 0;
}

size_t berth_server_reject(berth_server *server, size_t count, berth_reject_mode mode)
{
    BERTH__OWN_THREAD(server->object.loop);
    if (server->object.freed || server->listener == NULL)
        return 0;
    return reject(server, count < MOST_REJECTED ? count : MOST_REJECTED,
                  mode == BERTH_REJECT_RESET ? BERTH__CLOSE_RESET : BERTH__CLOSE_NORMAL,
                  &server->owner.counts.rejected_call);
}

/* ---- blocking waits -------------------------------------------------------------------------- */

/* Looks at the limits of the connections in the queue. Of one with news, which this wait does not
 * announce, only the lifetime counts. */
static void look_at_pending(berth_server *server)
{
    server->pending_due = UINT64_MAX;
    berth_socket *socket = server->pending;
    while (socket != NULL) {
        size_t count = server->pending_count;
        berth_socket *next = socket->pending_next;
        uint64_t due = UINT64_MAX;
        if (socket->stream != NULL)
            due = socket->stream->ready.queued ? berth__limits_step_lifetime(socket)
                                               : berth__limits_step(socket);
        if (server->object.freed)
            return;
        if (server->pending_count != count)
            next = server->pending; /* it has left, and its handlers may have moved others */
        else if (due < server->pending_due)
            server->pending_due = due;
        socket = next;
    }
}

uint64_t berth__server_limits_step(berth_server *server)
{
    berth_loop *loop = server->object.loop;
    uint64_t again = UINT64_MAX;
    if (server->refill.place != 0) {
        again = server->refill.time;
        if (again <= berth__loop_clock(loop)) {
            again = UINT64_MAX;
            berth__deadline_stop(&loop->deadlines, &server->refill);
            berth__server_pace(server);
        }
    }
    /* The time of the loop stands still when the last connection with limits has gone. */
    if (server->pending_due != UINT64_MAX && server->pending_due <= berth__loop_clock(loop))
        look_at_pending(server);
    return server->pending_due < again ? server->pending_due : again;
}

/* ---- life and settings ----------------------------------------------------------------------- */

void berth__server_init_limits(berth_server *server)
{
    server->refill.expired = refilled;
    server->pending_due = UINT64_MAX;
    server->spare = -1;
    server->accepted_descriptor = -1;
}

void berth_server_set_accept_limits_sized(berth_server *server, const berth_accept_limits *limits,
                                          size_t size)
{
    BERTH__OWN_THREAD(server->object.loop);
    if (server->object.freed)
        return;
    berth_accept_limits old = server->limits;
    berth__sized_get(&server->limits, sizeof server->limits, limits, size);
    if (old.per_second != server->limits.per_second || old.burst != server->limits.burst) {
        server->rate_time = 0;
        berth__deadline_stop(&server->object.loop->deadlines, &server->refill);
    }
    berth__server_keep_spare(server);
    berth__server_pace(server);
}

void berth_server_accept_limits_sized(const berth_server *server, berth_accept_limits *ret_limits,
                                      size_t size)
{
    BERTH__OWN_THREAD(server->object.loop);
    berth__sized_put(ret_limits, size, &server->limits, sizeof server->limits);
}

void berth_server_set_connection_limits_sized(berth_server *server,
                                              const berth_connection_limits *limits, size_t size)
{
    BERTH__OWN_THREAD(server->object.loop);
    berth__sized_get(&server->owner.connection_limits, sizeof server->owner.connection_limits,
                     limits, size);
    server->owner.limits_connections = !berth__limits_none(&server->owner.connection_limits);
}

void berth_server_connection_limits_sized(const berth_server *server,
                                          berth_connection_limits *ret_limits, size_t size)
{
    BERTH__OWN_THREAD(server->object.loop);
    berth__sized_put(ret_limits, size, &server->owner.connection_limits,
                     sizeof server->owner.connection_limits);
}
