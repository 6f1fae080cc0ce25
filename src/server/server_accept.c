/*
 * Accepting: credit for the backend, what becomes of a connection, the queue, running out of
 * descriptors, and the blocking wait.
 *
 * One connection: the backend calls `accepted`; incoming_connection takes the descriptor, its base
 * behaviour makes a socket and queues it; new_connection is called; then the credit is computed
 * anew, so that a handler that takes its connection at once keeps the burst going, and one that
 * pauses, closes or fills the queue stops it.
 *
 * Running out of descriptors or memory: the first failure of an episode sets the error and calls
 * accept_error; accepting is retried after 5 ms, doubling to 1 s, and at once when this loop closes
 * a descriptor. The first connection accepted ends the episode. Errors of single connections, when
 * nothing else comes, are retried likewise. Other failures that a new try would only repeat pause
 * the server until berth_server_resume_accepting. A listener that was shut down from outside ends
 * the listening, with one accept_error.
 *
 * A blocking wait accepts whatever was paused, and makes its own retries, since no timer runs in
 * it. Any handler may close or free the server; nothing is touched afterwards but through
 * berth__leave.
 */
#include "base/count.h"
#include "base/memory.h"
#include "base/probe.h"
#include "base/system_error.h"
#include "loop/lingering.h"
#include "loop/loop.h"
#include "server.h"
#include "socket/connection_limits.h"
#include "socket/socket.h"

#include <errno.h>

#define FIRST_BACKOFF ((uint64_t)5)
#define LAST_BACKOFF ((uint64_t)1000)

#define SLOT(server, slot) \
    BERTH__SLOT((server)->handlers, (server)->object.handlers_size, berth_server_handlers, slot)

/* ---- credit ---------------------------------------------------------------------------------- */

/* A drain accepts the last connections whatever the program has paused. */
static bool is_paused_by_program(const berth_server *server)
{
    return server->paused && server->drain.phase < BERTH__DRAIN_LAST && server->waits == 0;
}

/* A server that has stopped listening accepts nothing that could fail again, but connections that
 * await their PROXY header go on. */
static bool is_paused_by_error(const berth_server *server)
{
    return server->paused_by_error && server->drain.phase < BERTH__DRAIN_LEAVING &&
           server->waits == 0;
}

bool berth__server_is_paused(const berth_server *server)
{
    return is_paused_by_program(server) || is_paused_by_error(server);
}

static unsigned credit_of(berth_server *server)
{
    if (!berth_server_is_listening(server)) /* lest a timer be left that wants to accept */
        return 0;
    if (server->starved || server->withheld || berth__server_is_paused(server) ||
        server->limit <= 0)
        return 0;
    size_t limit = (size_t)server->limit;
    size_t taken = server->pending_count + server->awaiting;
    if (taken >= limit)
        return 0;
    size_t free = limit - taken;
    if (berth__server_encrypts(server)) {
        size_t most = berth__server_greeting_room(server);
        free = server->trust == NULL || most < free ? most : free;
        if (free == 0)
            return 0;
    }
    unsigned room = (unsigned)free;
    unsigned allowance = server->limits.per_second > 0 ? berth__server_allowance(server) : room;
    return allowance < room ? allowance : room;
}

/* Tries again later; for want of something that a descriptor's end gives back, then too. */
static void starve(berth_server *server, int error)
{
    berth_loop *loop = server->object.loop;
    berth__server_end_starving(server);
    server->starved = true;
    if (berth__is_exhaustion(error))
        berth__mark_put(&loop->starving, &server->starving);
    berth__deadline_start(&loop->deadlines, &server->retry,
                          berth__after(berth__loop_clock(loop), server->backoff));
    server->backoff = server->backoff * 2 < LAST_BACKOFF ? server->backoff * 2 : LAST_BACKOFF;
}

/* Why the server accepts nothing now; in the order of credit_of. */
static int pause_of(const berth_server *server)
{
    if (!berth_server_is_listening(server))
        return BERTH__PAUSE_NOT_LISTENING;
    if (server->starved)
        return BERTH__PAUSE_STARVED;
    if (is_paused_by_program(server))
        return BERTH__PAUSE_BY_PROGRAM;
    if (is_paused_by_error(server))
        return BERTH__PAUSE_BY_ERROR;
    size_t queued = server->pending_count + server->awaiting;
    if (server->limit <= 0 || queued >= (size_t)server->limit)
        return BERTH__PAUSE_QUEUE_FULL;
    bool greets = berth__server_encrypts(server) && server->trust == NULL;
    return greets && berth__server_greeting_room(server) == 0 ? BERTH__PAUSE_GREETINGS_FULL
                                                              : BERTH__PAUSE_RATE;
}

BERTH__RARE static void note_pause(berth_server *server, bool accepts)
{
    int reason = accepts ? BERTH__PAUSE_NONE : pause_of(server);
    server->accepts = accepts;
    BERTH__PROBE2(accept_pause, server, reason);
}

void berth__server_pace(berth_server *server)
{
    berth__listener *listener = server->listener;
    unsigned credit = credit_of(server);
    berth__mark_remove(&server->pacing);
    if (server->accepts != (credit > 0))
        note_pause(server, credit > 0);
    if (server->listens_through) {
        server->lack = berth__server_admit_through(server, credit > 0);
        if (server->lack != 0 && !server->starved)
            starve(server, server->lack);
    }
    if (server->awaiting > 0)
        berth__server_wake_awaiting(server);
    if (server->greeter != NULL)
        berth__server_wake_greetings(server);
    if (server->drain.phase != BERTH__DRAIN_OFF)
        berth__drain_look(server);
    for (; listener != NULL; listener = listener->other) {
        if (credit == listener->credit)
            continue;
        berth__backend *backend = server->object.loop->backend;
        backend->operations->accept_credit(backend, listener, credit);
        berth__loop_touch(server->object.loop);
    }
}

void berth_server_pause_accepting(berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    server->paused = true;
    berth__server_pace(server);
}

void berth_server_resume_accepting(berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    server->paused = false;
    server->paused_by_error = false;
    berth__server_end_starving(server);
    berth__server_pace(server);
}

/* ---- running out of descriptors -------------------------------------------------------------- */

void berth__server_end_starving(berth_server *server)
{
    if (!server->starved)
        return;
    server->starved = false;
    berth__mark_remove(&server->starving);
    berth__deadline_stop(&server->object.loop->deadlines, &server->retry);
}

static void pace_later(berth_server *server)
{
    berth_loop *loop = server->object.loop;
    berth__mark_put(&loop->marked, &server->pacing);
    berth__loop_touch(loop);
}

static void pace_marked(berth__mark *mark)
{
    berth__server_pace((berth_server *)((char *)mark - offsetof(berth_server, pacing)));
}

/* A descriptor was closed somewhere in this loop. */
static void descriptor_closed(berth__mark *mark)
{
    berth_server *server = (berth_server *)((char *)mark - offsetof(berth_server, starving));
    berth__server_end_starving(server);
    pace_later(server);
}

void berth__server_announce_error(berth_server *server)
{
    server->events++;
    if (SLOT(server, accept_error) != NULL)
        server->handlers->accept_error(server, server->error, server->user);
}

static void announce_error(berth_server *server, int error)
{
    char place[BERTH__SERVER_PLACE_SIZE];
    berth__server_set_error(server, berth__class_of(error), "cannot accept a connection on %s: %s",
                            berth__server_place(server, place), berth__reason_of(error));
    berth__server_announce_error(server);
}

static void announce_lack(berth_server *server, int error)
{
    bool first = !server->in_episode;
    server->in_episode = true;
    if (first && berth__is_exhaustion(error))
        BERTH__COUNT(server->owner.counts.exhaustions);
    if (first)
        announce_error(server, error);
}

static void retry(berth__deadline *deadline)
{
    berth_server *server = (berth_server *)((char *)deadline - offsetof(berth_server, retry));
    berth__enter(&server->object);
    berth__server_end_starving(server);
    berth__server_pace(server);
    if (server->starved)
        announce_lack(server, server->lack);
    berth__leave(&server->object);
}

/* Another holder has shut the listener down: nothing can come of it any more. If the server has
 * others they go on. */
static void end_listening(berth_server *server, berth__listener *listener)
{
    char place[BERTH__SERVER_PLACE_SIZE];
    berth__server_set_error(server, berth__class_of(EINVAL),
                            "no longer listening on %s: the socket was shut down from outside",
                            berth__server_place(server, place));
    if (!berth__server_drop_listener(server, listener))
        berth__server_stop_listening(server);
    berth__server_announce_error(server);
}

/* Connections that have ended and linger are the first to give up their descriptors, and TLS
 * clients that have said nothing the second; accepting goes on when these are closed. False if
 * there are none. */
static bool relieve(berth_server *server, int error)
{
    berth_loop *loop = server->object.loop;
    if ((error != EMFILE && error != ENFILE) ||
        (loop->lingering == NULL && !berth__server_has_silent(server)))
        return false;
    starve(server, error);
    return berth__linger_cut(loop, BERTH__ACCEPT_BUDGET) > 0 ||
           berth__server_cut_silent(server, BERTH__ACCEPT_BUDGET) > 0;
}

static void accept_failed(berth__listener *listener, int error)
{
    berth_server *server = listener->core;
    berth__enter(&server->object);
    BERTH__COUNT(server->owner.counts.accept_failures);
    if (relieve(server, error)) {
        berth__leave(&server->object);
        return;
    }
    if (error == EINVAL) {
        end_listening(server, listener);
    } else if (!berth__is_exhaustion(error) && !berth__is_passing(error)) {
        server->paused_by_error = true;
        announce_error(server, error);
    } else {
        if (berth__server_shed(server, error))
            berth__server_pace(server);
        else
            starve(server, error);
        announce_lack(server, error);
    }
    berth__leave(&server->object);
}

static void left_queue(berth__owner *owner, berth_socket *socket);

void berth__server_init_accepting(berth_server *server)
{
    server->retry.expired = retry;
    server->starving.run = descriptor_closed;
    server->pacing.run = pace_marked;
    server->owner.left_queue = left_queue;
    server->backoff = FIRST_BACKOFF;
}

/* ---- a connection ---------------------------------------------------------------------------- */

/* Gives the socket the names of the connection that is being handed over, where they are not those
 * of its descriptor. False when out of memory. */
static bool keep_names(berth_socket *socket, const berth__accepted *accepted)
{
    if (accepted == NULL)
        return true;
    berth__remote *remote = berth__socket_remote(socket);
    if (remote == NULL)
        return false;
    if (accepted->values_size > 0 &&
        !berth__remote_keep_values(remote, accepted->values, accepted->values_size))
        return false;
    if (berth_address_is_null(accepted->peer))
        return true;
    remote->address[BERTH__PEER] = accepted->peer;
    remote->port[BERTH__PEER] = accepted->peer_port;
    remote->address[BERTH__LOCAL] = accepted->local;
    remote->port[BERTH__LOCAL] = accepted->local_port;
    remote->known[BERTH__PEER] = remote->known[BERTH__LOCAL] = true;
    return true;
}

static bool is_open(berth__backend *backend, int descriptor)
{
    berth_address address;
    uint16_t port;
    return backend->operations->name_of(backend, descriptor, BERTH__LOCAL, &address, &port) !=
           EBADF;
}

/* Whether a program may have set SO_LINGER of what the server has accepted. */
static bool may_linger(const berth_server *server)
{
    berth__backend *backend = server->object.loop->backend;
    bool may = SLOT(server, incoming_connection) != NULL;
    if (server->listener == NULL) /* it was closed by a drain, or there was none */
        return may || server->drain.phase >= BERTH__DRAIN_LEAVING;
    for (berth__listener *one = may ? NULL : server->listener; one != NULL; one = one->other) {
        if (one->asked) {
            int seconds = -1;
            (void)backend->operations->option(backend, one->descriptor, BERTH_OPTION_LINGER,
                                              &seconds, false);
            one->lingers = seconds >= 0;
            one->asked = false;
        }
        may |= one->lingers;
    }
    return may;
}

berth_socket *berth__server_make_socket(berth_server *server, int descriptor, bool at_hand,
                                        berth__address_count **address,
                                        const berth__accepted *accepted)
{
    berth__backend *backend = server->object.loop->backend;
    bool in_use = berth__numbers_have(&server->object.loop->numbers, descriptor);
    int error = ECANCELED;
    berth_socket *socket = NULL;
    if (!server->object.freed)
        socket = berth__socket_accept(&server->owner, descriptor, at_hand, *address, &error);
    if (socket != NULL && at_hand) {
        *address = NULL; /* the socket has taken it over, however it ends */
        if (may_linger(server))
            socket->stream->lingers = true;
    }
    if (socket != NULL && !keep_names(socket, accepted)) {
        berth__server_explain_accepted(server, "serve", descriptor, accepted, ENOMEM);
        socket->handlers = NULL;
        berth_socket_free(socket);
        BERTH__COUNT(server->owner.counts.failed);
        return NULL;
    }
    if (socket == NULL) {
        if (at_hand)
            berth__server_explain_accepted(server, "serve", descriptor, accepted, error);
        else
            berth__server_set_error(server, berth__class_of(error),
                                    "cannot serve the connection of descriptor %d: %s", descriptor,
                                    berth__reason_of(error));
        /* A number that is not open may be another thread's a moment later; and one that an object
         * has is its own, also if that has adopted the one at hand. */
        if (!in_use && (at_hand || is_open(backend, descriptor)))
            backend->operations->discard(backend, descriptor);
        BERTH__COUNT(server->owner.counts.failed);
    }
    return socket;
}

/* Whether a descriptor that the server has not just accepted may be held back: no object has it,
 * and it is open. */
static bool may_greet(const berth_server *server, int descriptor)
{
    return !berth__numbers_have(&server->object.loop->numbers, descriptor) &&
           is_open(server->object.loop->backend, descriptor);
}

/* Makes a socket for a descriptor and queues it, or has it shake hands first. `at_hand`: it has
 * just been accepted. */
static void serve(berth_server *server, int descriptor, bool at_hand)
{
    if (!server->object.freed && berth__server_encrypts(server) &&
        (at_hand || may_greet(server, descriptor))) {
        berth__server_greet(server, descriptor, at_hand);
        return;
    }
    const berth__accepted *accepted = server->accepted;
    if (accepted != NULL && accepted->descriptor != descriptor)
        accepted = NULL;
    berth__address_count *none = NULL;
    berth_socket *socket = berth__server_make_socket(
        server, descriptor, at_hand, at_hand ? &server->accepted_address : &none, accepted);
    if (socket != NULL)
        berth__server_enqueue(server, socket);
}

void berth_server_base_incoming_connection(berth_server *server, int descriptor)
{
    BERTH__OWN_THREAD(server->object.loop);
    if (berth__server_is_copy(server, "take a connection"))
        return;
    bool at_hand = descriptor >= 0 && descriptor == server->accepted_descriptor;
    if (at_hand) {
        server->accepted_descriptor = -1;
        BERTH__UNCOUNT(server->owner.counts.at_hand);
    } else {
        BERTH__COUNT(server->owner.counts.added);
    }
    serve(server, descriptor, at_hand);
}

void berth__server_announce(berth_server *server, bool queued)
{
    const berth_loop *loop = server->object.loop;
    if (!server->object.freed && !loop->inherited && SLOT(server, new_connection) != NULL)
        server->handlers->new_connection(server, server->user);
    if (queued && !server->object.freed && !loop->inherited &&
        SLOT(server, pending_connection_available) != NULL)
        server->handlers->pending_connection_available(server, server->user);
}

/* Hands a descriptor over and announces it, unless it shakes hands first. To be called between
 * enter and leave. */
static void deliver(berth_server *server, int descriptor)
{
    bool outer_greets = server->greets; /* of a turn around this one */
    uint32_t arrivals = server->arrivals;
    server->greets = false;
    if (SLOT(server, incoming_connection) != NULL) {
        int outer = server->accepted_descriptor; /* of a turn around this one */
        server->accepted_descriptor = descriptor;
        BERTH__COUNT(server->owner.counts.at_hand);
        server->handlers->incoming_connection(server, descriptor, server->user);
        if (server->accepted_descriptor == descriptor) { /* the base behaviour did not take it */
            BERTH__UNCOUNT(server->owner.counts.at_hand);
            BERTH__COUNT(server->owner.counts.handed_over);
        }
        server->accepted_descriptor = outer;
    } else {
        serve(server, descriptor, true);
    }
    bool greets = server->greets;
    server->greets = outer_greets;
    if (greets)
        return;
    server->events++;
    berth__server_announce(server, server->arrivals != arrivals);
}

void berth__server_came(berth_server *server, int descriptor)
{
    BERTH__PROBE3(accept, server, descriptor, server->pending_count);
    BERTH__COUNT(server->owner.counts.accepted);
    server->object.loop->counts.accepted++;
    server->in_episode = false;
    server->backoff = FIRST_BACKOFF;
    if (server->limits.per_second > 0)
        berth__server_spend(server);
}

void berth__server_accepted(berth_server *server, int descriptor, const berth__accepted *accepted)
{
    const berth__accepted *outer_accepted = server->accepted;
    berth__address_count *outer = server->accepted_address; /* of a turn around this one */
    server->accepted_address = NULL;
    server->accepted = accepted;
    if (server->limits.per_address == 0 || berth__server_admits(server, descriptor, accepted)) {
        deliver(server, descriptor);
        if (server->accepted_address != NULL) /* no socket of the server's has come of it */
            berth__address_counts_remove(&server->owner.roll->counts, server->accepted_address);
    }
    server->accepted_address = outer;
    server->accepted = outer_accepted;
    if (!server->object.freed)
        berth__server_pace(server);
}

static void accepted(berth__listener *listener, int descriptor)
{
    berth_server *server = listener->core;
    server->owner.local = listener->local; /* a server may have listeners of both kinds */
    server->owner.parcelled = listener->parcelled;
    berth__server_came(server, descriptor);
    if (server->trust != NULL && berth__server_is_awaiting(server, descriptor)) {
        berth__server_pace(server); /* the credit of other listeners; or it has come to nothing */
        return;
    }
    berth__enter(&server->object);
    berth__server_accepted(server, descriptor, NULL);
    berth__leave(&server->object);
}

static void closed(berth__listener *listener)
{
    berth_loop *loop = listener->core;
    loop->live--;
    berth__release(listener);
}

const berth__listener_events berth__server_events = {
    .accepted = accepted,
    .accept_failed = accept_failed,
    .closed = closed,
};

/* ---- the queue ------------------------------------------------------------------------------- */

/* In words, or NULL. */
static const char *refusal_to_queue(const berth_server *server, const berth_socket *socket)
{
    if (socket == NULL)
        return "the socket is NULL";
    if (socket->object.loop != server->object.loop)
        return "the socket belongs to another loop";
    if (socket->object.freed)
        return "the socket was freed";
    return socket->pending ? "the socket is already pending" : NULL;
}

/* The peer is known to the thread of the socket's loop. */
static void explain_queueing(berth_server *server, const berth_socket *socket, const char *why)
{
    char origin[BERTH__SERVER_ORIGIN_SIZE];
    berth_address peer = BERTH_ADDRESS_NULL;
    uint16_t port = 0;
    if (socket != NULL && socket->object.loop == server->object.loop && !socket->object.freed) {
        peer = berth_socket_peer_address(socket);
        port = berth_socket_peer_port(socket);
    }
    berth__server_set_error(server, BERTH_ERROR_OPERATION, "cannot queue a connection %s: %s",
                            berth__server_origin(server, peer, port, origin), why);
}

void berth_server_add_pending_connection(berth_server *server, berth_socket *socket)
{
    BERTH__OWN_THREAD(server->object.loop);
    if (server->object.freed)
        return;
    const char *why = refusal_to_queue(server, socket);
    if (why != NULL) {
        explain_queueing(server, socket, why);
        return;
    }
    BERTH__COUNT(server->owner.counts.added);
    berth__server_enqueue(server, socket);
}

void berth__server_append(berth_socket ***end, berth_socket *socket)
{
    socket->pending_next = NULL;
    if (socket->limits != NULL)
        socket->limits->pending_link = *end;
    **end = socket;
    *end = &socket->pending_next;
}

void berth__server_enqueue(berth_server *server, berth_socket *socket)
{
    server->arrivals++;
    if (socket->owner != &server->owner)
        berth__limits_uncount(socket); /* by the server that it comes from */
    else if (socket->counted && server->drain.phase != BERTH__DRAIN_OFF)
        berth__drain_requeued(server, socket);
    socket->owner = &server->owner;
    socket->pending = true;
    berth__server_append(&server->pending_end, socket);
    BERTH__COUNT(server->pending_count);
    if (socket->limits != NULL && socket->limits->deadline.place != 0 &&
        socket->limits->deadline.time < server->pending_due)
        server->pending_due = socket->limits->deadline.time;
    berth__socket_pace(socket);
    berth__server_pace(server);
}

/* What points to a socket of the queue. Those that a limit can end, wherever they are in it, know:
 * there may be many of them. */
static berth_socket **link_of(berth_socket **first, berth_socket *socket)
{
    if (socket->limits != NULL && socket->limits->pending_link != NULL)
        return socket->limits->pending_link;
    berth_socket **link = first;
    while (*link != socket)
        link = &(*link)->pending_next;
    return link;
}

void berth__server_unlink(berth_socket **first, berth_socket ***end, berth_socket *socket)
{
    berth_socket **link = link_of(first, socket);
    *link = socket->pending_next;
    if (socket->pending_next == NULL)
        *end = link;
    else if (socket->pending_next->limits != NULL)
        socket->pending_next->limits->pending_link = link;
    if (socket->limits != NULL)
        socket->limits->pending_link = NULL;
    socket->pending_next = NULL;
}

static void forget(berth_server *server, berth_socket *socket)
{
    berth__server_unlink(&server->pending, &server->pending_end, socket);
    socket->pending = false;
    if (!socket->counted)
        socket->owner = NULL;
    BERTH__UNCOUNT(server->pending_count);
}

static void left_queue(berth__owner *owner, berth_socket *socket)
{
    berth_server *server = (berth_server *)((char *)owner - offsetof(berth_server, owner));
    if (berth__server_is_shaking(socket))
        berth__server_left_handshake(server, socket);
    else
        forget(server, socket);
    pace_later(server);
}

bool berth_server_base_has_pending_connections(const berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    return server->pending != NULL;
}

bool berth_server_has_pending_connections(berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    if (SLOT(server, has_pending_connections) == NULL)
        return berth_server_base_has_pending_connections(server);
    berth__enter(&server->object);
    bool has = server->handlers->has_pending_connections(server, server->user);
    berth__leave(&server->object);
    return has;
}

berth_socket *berth_server_base_next_pending_connection(berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    berth_socket *socket = server->pending;
    if (socket == NULL || berth__server_is_copy(server, "take a connection"))
        return NULL;
    BERTH__COUNT(server->owner.counts.taken);
    forget(server, socket);
    berth__server_pace(server);
    berth__socket_taken(socket);
    if (socket->counted && server->drain.phase == BERTH__DRAIN_LEAVING)
        berth__drain_taken(server, socket);
    return socket;
}

berth_socket *berth_server_next_pending_connection(berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    if (SLOT(server, next_pending_connection) == NULL)
        return berth_server_base_next_pending_connection(server);
    berth__enter(&server->object);
    berth_socket *next = server->handlers->next_pending_connection(server, server->user);
    berth__leave(&server->object);
    return next;
}

/* ---- the blocking wait ----------------------------------------------------------------------- */

typedef struct watched {
    berth_server *server;
    uint32_t listenings;
    uint32_t events;
} watched;

static bool came(void *object)
{
    const watched *waiting = object;
    const berth_server *server = waiting->server;
    return server->object.freed || server->listenings != waiting->listenings ||
           server->events != waiting->events;
}

/* No timer runs in a blocking wait, so the retry of a starved server is made here. */
static uint64_t retry_when_due(void *object)
{
    const watched *waiting = object;
    berth_server *server = waiting->server;
    if (server->object.freed)
        return UINT64_MAX;
    uint64_t drain = berth__drain_step(server);
    uint64_t again = server->object.freed ? UINT64_MAX : berth__server_bind_step(server);
    if (server->object.freed)
        return UINT64_MAX;
    again = drain < again ? drain : again;
    uint64_t awaiting = berth__server_awaiting_step(server);
    again = awaiting < again ? awaiting : again;
    uint64_t greeting = berth__server_greeting_step(server);
    again = greeting < again ? greeting : again;
    if (server->object.freed)
        return UINT64_MAX;
    uint64_t limits = berth__server_limits_step(server);
    again = limits < again ? limits : again;
    if (server->object.freed || !server->starved)
        return again;
    if (server->retry.time > berth__loop_clock(server->object.loop))
        return server->retry.time < again ? server->retry.time : again;
    retry(&server->retry);
    if (server->object.freed || !server->starved)
        return again;
    return server->retry.time < again ? server->retry.time : again;
}

static berth__stream *stream_of(void *object)
{
    const watched *waiting = object;
    return berth__server_shaking_stream(waiting->server);
}

static bool queue_full(const berth_server *server)
{
    return server->limit > 0 && server->pending_count >= (size_t)server->limit;
}

bool berth_server_wait_for_new_connection(berth_server *server, int milliseconds,
                                          bool *ret_timed_out)
{
    berth_loop *loop = server->object.loop;
    BERTH__OWN_THREAD(loop);
    if (ret_timed_out != NULL)
        *ret_timed_out = false;
    if (server->object.freed || !berth_server_is_listening(server) ||
        berth__server_is_copy(server, "wait for a connection"))
        return false;
    /* Nothing could come: the caller has to take from the queue first. */
    if (queue_full(server))
        return true;
    berth__enter(&server->object);
    server->waits++;
    berth__server_pace(server);
    watched waiting = {
        .server = server, .listenings = server->listenings, .events = server->events};
    berth__wait wait = {
        .owner = server, .object = &waiting, .done = came, .prepare = retry_when_due};
    if (server->greeter != NULL)
        wait.stream = stream_of;
    bool done = berth__loop_wait(loop, &wait, milliseconds);
    server->waits--;
    if (!server->object.freed) {
        berth__server_pace(server);
        if (!done && !berth__server_is_copy(server, "wait for a connection")) {
            char place[BERTH__SERVER_PLACE_SIZE];
            berth__server_set_error(server, BERTH_ERROR_SOCKET_TIMEOUT,
                                    "no new connection on %s: the wait timed out",
                                    berth__server_place(server, place));
        }
    }
    if (ret_timed_out != NULL)
        *ret_timed_out = !done;
    loop->depth++; /* else the loop might be freed twice, by both */
    berth__leave(&server->object);
    loop->depth--;
    berth__loop_leave(loop);
    return done;
}
