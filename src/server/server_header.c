/*
 * PROXY headers in front of accepted connections.
 *
 * A connection from a trusted peer is held back until its header has come: it has a descriptor and
 * counts against the limit of pending connections, but was not announced. Its watch fires, the
 * bytes are looked at and just those of the header are taken, and then the descriptor goes the way
 * of every other, with the names and values of the header beside it. Peers that are not trusted are
 * never held back, and what they send is theirs.
 *
 * Such a connection is dropped without a word to the program when its header is wrong or does not
 * come in time; error and text of the server say why, and its counts how many. While the server is
 * paused they wait, and their time does not run. Closing the server drops them.
 *
 * Peers decide how many of them there are, so nothing here goes through all of them for the sake of
 * one. All have the same patience: those whose header is missing are in the order in which they are
 * due, and those that wait for the end of a pause are in a list of their own.
 */
#include "awaiting.h"
#include "base/count.h"
#include "base/memory.h"
#include "base/system_error.h"
#include "handshake/proxy_protocol.h"
#include "handshake/refusal.h"
#include "loop/loop.h"
#include "server.h"

#include <errno.h>
#include <string.h>

typedef struct awaiting {
    berth__awaiting held; /* first */
    uint64_t due;
    bool spared; /* it was late, but what was found for it had to run */
    berth__proxy_header header;
} awaiting;

_Static_assert(BERTH__PROXY_HEADER_SIZE == BERTH_MOST_PROXY_HEADER, "the bound that is documented");

struct berth__trust {
    berth_server *server;
    berth_subnet *subnets;
    size_t count;
    bool local;                  /* Unix sockets begin with a header */
    uint32_t patience;           /* milliseconds */
    berth__awaiting_list silent; /* first to be due, first in the list */
    berth__awaiting_list held;   /* whose watch has fired in a pause */
    berth__deadline deadline;    /* of the first of the silent */
};

static berth__backend *backend_of(const berth_server *server)
{
    return server->object.loop->backend;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* The descriptor is the caller's. */
static int see_off(awaiting *gone)
{
    BERTH__UNCOUNT(gone->held.server->awaiting);
    return berth__awaiting_see_off(&gone->held);
}

static void drop(awaiting *gone)
{
    berth_server *server = gone->held.server;
    int descriptor = see_off(gone);
    backend_of(server)->operations->discard(backend_of(server), descriptor);
}

/* The peer is the balancer; whom it speaks for is not known yet. */
static void explain(berth_server *server, int descriptor, berth_error class, const char *why)
{
    char origin[BERTH__SERVER_ORIGIN_SIZE];
    berth_address balancer;
    uint16_t port;
    berth__server_peer_of(server, descriptor, &balancer, &port);
    berth__server_set_error(server, class, "cannot accept a connection of a balancer %s: %s",
                            berth__server_origin(server, balancer, port, origin), why);
}

static void turn_away(awaiting *gone, int number)
{
    berth_server *server = gone->held.server;
    char reason[BERTH__REFUSAL_TEXT_SIZE];
    bool refusal = berth__is_refusal(number);
    if (!refusal && berth__is_exhaustion(number))
        BERTH__COUNT(server->owner.counts.failed);
    else
        BERTH__COUNT(server->owner.counts.rejected_header);
    explain(server, gone->held.descriptor,
            refusal ? berth__refusal_class(number) : berth__class_of(number),
            refusal ? berth__refusal_reason(number, reason, sizeof reason)
                    : berth__reason_of(number));
    drop(gone);
    berth__server_pace(server);
}

void berth__server_drop_awaiting(berth_server *server)
{
    berth__trust *trust = server->trust;
    if (trust == NULL)
        return;
    for (berth__awaiting *one;
         (one = trust->silent.first) != NULL || (one = trust->held.first) != NULL;) {
        BERTH__COUNT(server->owner.counts.dropped);
        drop((awaiting *)one);
    }
    berth__deadline_stop(&server->object.loop->deadlines, &trust->deadline);
}

void berth__server_distrust(berth_server *server)
{
    berth__trust *trust = server->trust;
    if (trust == NULL)
        return;
    berth__server_drop_awaiting(server);
    server->trust = NULL;
    berth__deadlines_unreserve(&server->object.loop->deadlines);
    berth__loop_time_end(server->object.loop);
    berth__release(trust->subnets);
    berth__release(trust);
}

/* ---- time ------------------------------------------------------------------------------------ */

static awaiting *first_silent(const berth__trust *trust)
{
    return (awaiting *)trust->silent.first;
}

/* The next time at which one of them has waited too long; UINT64_MAX for none. */
static uint64_t next_due(const berth__trust *trust)
{
    return trust->silent.first != NULL ? first_silent(trust)->due : UINT64_MAX;
}

static void set_deadline(berth__trust *trust)
{
    berth__deadlines *deadlines = &trust->server->object.loop->deadlines;
    uint64_t due = next_due(trust);
    if (due == UINT64_MAX)
        berth__deadline_stop(deadlines, &trust->deadline);
    else if (trust->deadline.place == 0 || trust->deadline.time != due)
        berth__deadline_start(deadlines, &trust->deadline, due);
}

/* The first that is late, and for whom nothing was found that is still to run: a header that has
 * come while the program was busy is read, see 0161. */
static awaiting *first_late(const berth__trust *trust)
{
    uint64_t now = trust->server->object.loop->time;
    for (berth__awaiting *held = trust->silent.first; held != NULL; held = held->next) {
        awaiting *late = (awaiting *)held;
        if (late->due > now)
            break;
        if (!berth__ready_spares(&held->watch.ready, late->spared))
            return late;
        late->spared = true;
    }
    return NULL;
}

static void turn_late_away(berth__trust *trust)
{
    for (awaiting *late; (late = first_late(trust)) != NULL;)
        turn_away(late, BERTH__REFUSAL_HEADER_TIMEOUT);
    set_deadline(trust);
}

static void expired(berth__deadline *deadline)
{
    turn_late_away((berth__trust *)((char *)deadline - offsetof(berth__trust, deadline)));
}

uint64_t berth__server_awaiting_step(berth_server *server)
{
    if (server->trust == NULL || server->awaiting == 0)
        return UINT64_MAX;
    turn_late_away(server->trust);
    return next_due(server->trust);
}

/* ---- the header ------------------------------------------------------------------------------ */

static void hand_over(awaiting *one)
{
    berth_server *server = one->held.server;
    const berth__proxy_header *header = &one->header;
    const berth__proxy_names *names = &header->names;
    size_t size = header->version == 2 ? (size_t)header->filled - header->values : 0;
    uint8_t values[BERTH__PROXY_HEADER_SIZE];
    memcpy(values, header->bytes + header->values, size);
    berth__accepted accepted = {
        .peer = names->source,
        .peer_port = names->source_port,
        .local = names->destination,
        .local_port = names->destination_port,
        .values = values,
        .values_size = size,
    };
    berth__trust *trust = server->trust;
    server->owner.local = one->held.local;
    server->owner.parcelled = one->held.parcelled;
    accepted.descriptor = see_off(one);
    set_deadline(trust);
    berth__server_accepted(server, accepted.descriptor, &accepted);
}

/* Takes what there is of the header, and no byte more. Returns 0, or why the connection has to go;
 * EAGAIN: there is nothing yet. */
static int take_header(awaiting *one)
{
    berth__backend *backend = backend_of(one->held.server);
    uint8_t input[BERTH__PROXY_HEADER_SIZE];
    ptrdiff_t count =
        backend->operations->take(backend, one->held.descriptor, input, sizeof input, true);
    if (count == 0)
        return BERTH__REFUSAL_HEADER_CLOSED;
    if (count < 0)
        return (int)-count;
    size_t used = berth__proxy_header_input(&one->header, input, (size_t)count);
    for (size_t taken = 0; taken < used; taken += (size_t)count) {
        count =
            backend->operations->take(backend, one->held.descriptor, input, used - taken, false);
        if (count <= 0)
            return BERTH__REFUSAL_HEADER_CLOSED;
    }
    return one->header.step == BERTH__HANDSHAKE_REFUSED ? one->header.refusal : 0;
}

static void fired(berth__watch *which, unsigned events)
{
    awaiting *one = (awaiting *)which;
    berth_server *server = one->held.server;
    (void)events;
    if (berth__server_is_paused(server)) {
        berth__awaiting_append(&server->trust->held, &one->held);
        set_deadline(server->trust);
        return;
    }
    berth__enter(&server->object);
    int error = 0;
    while (error == 0 && one->header.step == BERTH__HANDSHAKE_RECEIVE)
        error = take_header(one);
    if (error == EAGAIN)
        error = berth__awaiting_watch(&one->held);
    else if (error == 0)
        hand_over(one);
    if (error != 0)
        turn_away(one, error);
    berth__leave(&server->object);
}

void berth__server_wake_awaiting(berth_server *server)
{
    if (server->trust == NULL || server->trust->held.first == NULL ||
        berth__server_is_paused(server))
        return;
    berth__trust *trust = server->trust;
    uint64_t due = berth__after(berth__loop_clock(server->object.loop), trust->patience);
    for (berth__awaiting *one; (one = trust->held.first) != NULL;) {
        (void)berth__awaiting_watch(one); /* one that cannot be ends when its time is over */
        berth__awaiting_append(&trust->silent, one);
        ((awaiting *)one)->due = due;
        ((awaiting *)one)->spared = false;
    }
    set_deadline(server->trust);
    berth__loop_touch(server->object.loop);
}

/* ---- who awaits a header ------------------------------------------------------------------- */

static bool is_trusted(const berth_server *server, int descriptor)
{
    const berth__trust *trust = server->trust;
    berth_address address;
    uint16_t port;
    if (server->owner.local)
        return trust->local;
    if (trust->count == 0 || backend_of(server)->operations->name_of(
                                 backend_of(server), descriptor, BERTH__PEER, &address, &port) != 0)
        return false;
    for (size_t i = 0; i < trust->count; i++) {
        if (berth_subnet_contains(trust->subnets[i], address))
            return true;
    }
    return false;
}

bool berth__server_is_awaiting(berth_server *server, int descriptor)
{
    berth__trust *trust = server->trust;
    berth_loop *loop = server->object.loop;
    if (!is_trusted(server, descriptor))
        return false;
    awaiting *one = berth__awaiting_new(server, descriptor, sizeof *one, fired);
    if (one == NULL) {
        explain(server, descriptor, BERTH_ERROR_SOCKET_RESOURCE, berth__reason_of(ENOMEM));
        BERTH__COUNT(server->owner.counts.failed);
        backend_of(server)->operations->discard(backend_of(server), descriptor);
        return true;
    }
    one->due = berth__after(berth__loop_clock(loop), trust->patience);
    one->spared = false;
    berth__proxy_header_begin(&one->header);
    berth__awaiting_append(&trust->silent, &one->held);
    BERTH__COUNT(server->awaiting);
    int error = berth__awaiting_watch(&one->held);
    if (error != 0)
        turn_away(one, error);
    set_deadline(trust);
    return true;
}

static berth__trust *trust_of(berth_server *server)
{
    if (server->trust != NULL)
        return server->trust;
    berth__trust *trust = berth__allocate_zero(sizeof *trust);
    if (trust == NULL || !berth__deadlines_reserve(&server->object.loop->deadlines)) {
        berth__release(trust);
        return NULL;
    }
    trust->server = server;
    berth__loop_time_begin(server->object.loop);
    trust->deadline.expired = expired;
    berth__awaiting_list_init(&trust->silent);
    berth__awaiting_list_init(&trust->held);
    server->trust = trust;
    return trust;
}

/* So that the order is that of the dues: those who are there are due no later than whoever comes.
 */
static void set_patience(berth__trust *trust, uint32_t milliseconds)
{
    bool shorter = milliseconds < trust->patience;
    trust->patience = milliseconds;
    if (!shorter)
        return;
    uint64_t latest = berth__after(berth__loop_clock(trust->server->object.loop), milliseconds);
    for (berth__awaiting *held = trust->silent.first; held != NULL; held = held->next) {
        awaiting *one = (awaiting *)held;
        one->due = one->due < latest ? one->due : latest;
    }
    set_deadline(trust);
}

static bool no_memory(berth_server *server)
{
    berth__server_set_error(server, BERTH_ERROR_SOCKET_RESOURCE,
                            "cannot set the peers whose PROXY headers are read: %s",
                            berth__reason_of(ENOMEM));
    return false;
}

bool berth_server_set_local_proxy_protocol(berth_server *server, bool expected,
                                           uint32_t milliseconds)
{
    BERTH__OWN_THREAD(server->object.loop);
    if (server->object.freed || (!expected && server->trust == NULL))
        return !server->object.freed;
    berth__trust *trust = trust_of(server);
    if (trust == NULL)
        return no_memory(server);
    trust->local = expected;
    set_patience(trust, milliseconds > 0 ? milliseconds : BERTH_DEFAULT_PROXY_HEADER_TIMEOUT);
    return true;
}

bool berth_server_set_proxy_protocol(berth_server *server, const berth_subnet *trusted,
                                     size_t count, uint32_t milliseconds)
{
    BERTH__OWN_THREAD(server->object.loop);
    berth_subnet *subnets = NULL;
    if (server->object.freed || (count == 0 && server->trust == NULL))
        return !server->object.freed;
    if (count > 0 && count <= SIZE_MAX / sizeof *subnets)
        subnets = berth__allocate(count * sizeof *subnets);
    berth__trust *trust = count == 0 || subnets != NULL ? trust_of(server) : NULL;
    if (trust == NULL) {
        berth__release(subnets);
        return no_memory(server);
    }
    if (count > 0)
        memcpy(subnets, trusted, count * sizeof *subnets);
    berth__release(trust->subnets);
    trust->subnets = subnets;
    trust->count = count;
    set_patience(trust, milliseconds > 0 ? milliseconds : BERTH_DEFAULT_PROXY_HEADER_TIMEOUT);
    return true;
}
