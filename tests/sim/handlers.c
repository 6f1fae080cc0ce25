/*
 * The handlers of the tester: each checks that it may be called now, keeps the books, and then
 * springs the trap that was set for it, if there is one.
 */
#include "model.h"
#include "world.h"

#include <string.h>

const char *const sim_handler_names[HANDLERS] = {
    [IN_NEW_CONNECTION] = "new_connection",
    [IN_ACCEPT_ERROR] = "accept_error",
    [IN_INCOMING] = "incoming_connection",
    [IN_READY_READ] = "ready_read",
    [IN_BYTES_WRITTEN] = "bytes_written",
    [IN_CONNECTED] = "connected",
    [IN_DISCONNECTED] = "disconnected",
    [IN_ERROR] = "error_occurred",
    [IN_STATE] = "state_changed",
    [IN_FINISHED] = "read_channel_finished",
    [IN_FOUND] = "host_found",
    [IN_DRAINED] = "drained",
    [IN_TIMER] = "a timer",
    [IN_TASK] = "a task",
    [IN_ENCRYPTED] = "encrypted",
    [IN_HELLO] = "client_hello",
    [IN_HANDSHAKE_FAILED] = "handshake_failed",
};

/* ---- sockets --------------------------------------------------------------------------------- */

static struct socket_model *called(berth_socket *socket, void *user, enum handler handler)
{
    struct socket_model *model = user;
    sim_check(model->socket == socket, "%s of a socket that was freed", sim_handler_names[handler]);
    return model;
}

/* A handler that belongs to a connection that goes on. */
static void check_alive(const struct socket_model *model, enum handler handler)
{
    sim_check(model->state != BERTH_STATE_UNCONNECTED || model->owed > 0 || model->calls > 0,
              "%s after the last handler of the connection", sim_handler_names[handler]);
}

/* What an answer is to was announced before it, and is no output any more; but for what was
 * written inside the last announcement, and for what was encrypted together with what waits. */
static void check_answer(struct socket_model *model)
{
    struct way *in = sim_way_in(model);
    const struct way *out = sim_way_out(model);
    if (in == NULL || in->answer == 0 ||
        in->got + berth_socket_bytes_available(model->socket) < in->answer ||
        berth_socket_encrypted_bytes_to_write(model->socket) > 0)
        return;
    uint64_t gone = out->put - berth_socket_bytes_to_write(model->socket);
    bool inside = gone >= model->put_before &&
                  (model->in_bytes_written + model->in_drained > 0 || gone < model->put_inside);
    sim_check(gone >= in->answered || inside, "an answer to %llu bytes comes when %llu have gone",
              (unsigned long long)in->answered, (unsigned long long)gone);
    in->answer = 0;
}

static void on_ready_read(berth_socket *socket, void *user)
{
    struct socket_model *model = called(socket, user, IN_READY_READ);
    check_alive(model, IN_READY_READ);
    sim_check(model->in_ready_read == 0, "ready_read within itself");
    size_t limit = berth_socket_read_buffer_size(socket);
    sim_check(limit == 0 || model->seen < limit, "bytes are delivered past the limit: %zu of %zu",
              model->seen, limit);
    sim_check(berth_socket_bytes_available(socket) > model->seen, "ready_read without new bytes");
    sim_check(!model->paused, "ready_read in a pause");
    check_answer(model);
    sim_pace_moved(model, true, berth_socket_bytes_available(socket) - model->seen);
    model->heard = true;
    model->moved = sim.looked;
    model->deliveries++;
    if (!model->dying) /* else nobody has looked at it since the last */
        sim.delivered += berth_socket_bytes_available(socket) - model->seen;
    model->seen =
        berth_socket_bytes_available(socket); /* a turn that is too deep looks at nobody */
    model->in_ready_read++;
    sim_spring(IN_READY_READ, model, NULL, NULL);
    model->in_ready_read--;
    if (!model->eager || model->socket != socket || model->dying)
        return;
    sim_read(model, SIZE_MAX);
    model->seen = berth_socket_bytes_available(socket);
}

static void on_bytes_written(berth_socket *socket, size_t bytes, void *user)
{
    struct socket_model *model = called(socket, user, IN_BYTES_WRITTEN);
    check_alive(model, IN_BYTES_WRITTEN);
    sim_check(model->in_bytes_written == 0, "bytes_written within itself");
    model->announced += bytes;
    sim_way_out(model)->sent += bytes;
    model->drains_later = false;
    sim_check(bytes > 0 && model->announced <= sim_way_out(model)->put,
              "more bytes are announced than were written");
    sim.announced += bytes;
    sim_pace_moved(model, false, bytes);
    model->given = false;
    model->moved = sim.looked;
    model->put_before = sim_way_out(model)->put;
    model->in_bytes_written++;
    sim_spring(IN_BYTES_WRITTEN, model, NULL, NULL);
    model->in_bytes_written--;
    model->put_inside = sim_way_out(model)->put;
}

static void on_connected(berth_socket *socket, void *user)
{
    struct socket_model *model = called(socket, user, IN_CONNECTED);
    sim_check(berth_socket_is_valid(socket), "connected in state %d", model->state);
    sim_check(!model->greeted, "connected twice, or of a connection that was there");
    model->greeted = true;
    sim_spring(IN_CONNECTED, model, NULL, NULL);
}

static void on_disconnected(berth_socket *socket, void *user)
{
    struct socket_model *model = called(socket, user, IN_DISCONNECTED);
    sim_check(model->owed > 0, "disconnected twice");
    sim_check(model->greeted || model->arriving, "disconnected without connected");
    struct connection *connection = model->connection;
    int side = model->side;
    bool orderly = model->orderly;
    model->owed--;
    model->greeted = false;
    sim_spring(IN_DISCONNECTED, model, NULL, NULL);
    if (orderly || (connection != NULL && connection->torn))
        sim_ended(connection, side);
}

/* The peer has ended in order, and nobody has thrown anything away: everything must be here. */
static void check_complete(struct socket_model *model)
{
    const struct way *in = sim_way_in(model);
    if (in == NULL || !sim_complete(in) || !in->ended || model->leaving ||
        sim_has_lingered(model->connection, 1 - model->side))
        return;
    /* A send has failed, and whoever does not read would not be told otherwise. */
    size_t limit = berth_socket_read_buffer_size(model->socket);
    if (berth_socket_was_reset(model->socket) && limit > 0 &&
        berth_socket_bytes_available(model->socket) >= limit)
        return;
    berth_loop_counts counts;
    berth_loop_statistics(sim.loop, &counts);
    if (counts.lingers_cut > 0) /* for want of descriptors: what it was there for may be lost */
        return;
    sim_check(in->got + berth_socket_bytes_available(model->socket) == in->put,
              "the end comes after %llu of %llu bytes",
              (unsigned long long)in->got + berth_socket_bytes_available(model->socket),
              (unsigned long long)in->put);
}

static void on_error(berth_socket *socket, berth_error error, void *user)
{
    struct socket_model *model = called(socket, user, IN_ERROR);
    /* A state_changed before it may have failed at something else: `error` is what counts. */
    sim_check(error != BERTH_ERROR_NONE, "error_occurred without an error");
    bool of_proxy =
        error >= BERTH_ERROR_PROXY_CONNECTION_REFUSED && error <= BERTH_ERROR_PROXY_PROTOCOL;
    sim_local_failed(model, error);
    sim_check(!of_proxy || model->target == sim.proxy_port || model->target == 1 ||
                  sim.process_has_proxy,
              "an error of a proxy without a proxy");
    /* The hosts file has it, but cannot be read without a descriptor. */
    bool of_this_host = strcmp(berth_socket_peer_name(socket), "localhost") == 0;
    sim_check(error != BERTH_ERROR_HOST_NOT_FOUND || !of_this_host ||
                  model->target == sim.proxy_port,
              "a name of the hosts file is not found");
    /* But for a socket at the other side that is closing too: neither reads then, and what both
     * have left stays until a limit ends it. */
    const struct way *in = sim_way_in(model);
    bool limited = sim_ended_by_limit(model) || sim_ended_by_drain(model);
    bool of_tls = sim_tls_failed(model, error);
    /* There may be no memory for that time, which ends it at once. */
    sim_check(error == BERTH_ERROR_SOCKET_RESOURCE ||
                  sim_clock_is_due(model, berth_socket_error_string(socket)),
              "closing ends for its time while the peer reads");
    /* Where no handshake is complete nothing can be sent. */
    bool shakes = model->connection != NULL && model->connection->tls && !model->encrypted;
    sim_check(limited || error != BERTH_ERROR_SOCKET_TIMEOUT || !sim.settling || shakes || of_tls ||
                  (in != NULL && in->closed) || model->state == BERTH_STATE_CONNECTING ||
                  model->gave_up, /* to connect: all that wait ask at the same times, few get in */
              "a socket ends by a time-out, although everybody reads: %s",
              berth_socket_error_string(socket));
    if (berth_socket_was_reset(socket) && model->connection != NULL)
        sim_judge_reset(model->connection, model->side);
    sim_check(error != BERTH_ERROR_REMOTE_HOST_CLOSED || in == NULL || !in->reset || in->ended ||
                  berth_socket_was_reset(socket) || sim_lossy(),
              "a reset is announced as an end");
    sim_check(error != BERTH_ERROR_REMOTE_HOST_CLOSED || model->state != BERTH_STATE_CONNECTED ||
                  !model->paused || berth_socket_was_reset(socket),
              "the end comes in a pause");
    if (error == BERTH_ERROR_REMOTE_HOST_CLOSED && model->state == BERTH_STATE_CONNECTED)
        check_complete(model), sim_tls_end_heard(model);
    else if (error == BERTH_ERROR_SOCKET_TIMEOUT && model->state == BERTH_STATE_CLOSING)
        model->timed_out = true; /* which ends it, if it was not a wait only */
    else if (error == BERTH_ERROR_SOCKET_RESOURCE || error == BERTH_ERROR_NETWORK ||
             error == BERTH_ERROR_REMOTE_HOST_CLOSED)
        sim_cut(model->connection);
    bool limits = limited && !model->given;
    berth_state before = model->state;
    sim_spring(IN_ERROR, model, NULL, NULL);
    /* Inside the handler it may have been sent, or lost to a handshake that has failed. */
    model->cast_off = limits && model->socket == socket && model->state == before &&
                      berth_socket_bytes_to_write(socket) > 0;
}

static bool may_follow(berth_state from, berth_state to)
{
    static const unsigned allowed[] = {
        [BERTH_STATE_UNCONNECTED] = 1u << BERTH_STATE_HOST_LOOKUP | 1u << BERTH_STATE_BOUND,
        [BERTH_STATE_HOST_LOOKUP] = 1u << BERTH_STATE_CONNECTING | 1u << BERTH_STATE_UNCONNECTED,
        [BERTH_STATE_CONNECTING] = 1u << BERTH_STATE_CONNECTED | 1u << BERTH_STATE_UNCONNECTED,
        [BERTH_STATE_CONNECTED] = 1u << BERTH_STATE_CLOSING | 1u << BERTH_STATE_UNCONNECTED,
        [BERTH_STATE_BOUND] = 1u << BERTH_STATE_HOST_LOOKUP | 1u << BERTH_STATE_UNCONNECTED,
        [BERTH_STATE_LISTENING] = 0,
        [BERTH_STATE_CLOSING] = 1u << BERTH_STATE_UNCONNECTED,
    };
    return (allowed[from] & 1u << to) != 0;
}

/* The connection that this side has begun stands: now it has a port, and so a name. */
static void begin_connection(struct socket_model *model)
{
    uint16_t port = berth_socket_local_port(model->socket);
    sim_check((port != 0) == (model->by_path == 0), "a connected socket has the port %u", port);
    model->connection =
        model->by_path != 0 ? sim_local_begun(model) : sim_connection(port, model->target);
    model->side = 0;
    const struct way before = model->connection->way[0]; /* the peer may be gone already */
    model->connection->way[0] = model->early;
    model->connection->way[0].cut = model->early.cut || before.cut;
    model->connection->way[0].at_risk = before.at_risk;
    struct way *in = &model->connection->way[1];
    in->cut = in->cut || model->gone_early || (in->closed && model->early.put > 0);
    bool through = model->target == sim.proxy_port;
    model->connection->accepted = model->connection->accepted || through;
    model->connection->begun = true;
    /* What the proxy was told, and the header. */
    if ((through || model->header_version > 0) && world->whole_sends != NULL)
        model->first_sends = world->whole_sends(berth_socket_descriptor(model->socket));
    sim_headers_begin(model);
    sim_tls_connected(model);
    sim_options_hold(model);
}

static void on_state(berth_socket *socket, berth_state state, void *user)
{
    struct socket_model *model = called(socket, user, IN_STATE);
    sim_check(state == berth_socket_state(socket), "state_changed and state do not agree");
    sim_check(model->adopting ? state == BERTH_STATE_CONNECTED : may_follow(model->state, state),
              "a socket goes from state %d to %d", model->state, state);
    bool valid = model->state == BERTH_STATE_CONNECTED || model->state == BERTH_STATE_CLOSING;
    if (state == BERTH_STATE_UNCONNECTED)
        model->owed += valid;
    model->gave_up = state == BERTH_STATE_UNCONNECTED && !valid;
    if (state == BERTH_STATE_UNCONNECTED && model->timed_out)
        sim_cut(model->connection);
    if (state == BERTH_STATE_UNCONNECTED && model->dying) {
        /* Any other end is a call of the program, has an error, or comes by way of CLOSING. */
        bool alone = model->state != BERTH_STATE_CLOSING && model->calls == 0 &&
                     berth_socket_error(socket) == BERTH_ERROR_NONE;
        model->freeing = model->freeing || (alone && !model->doubted);
        model->doubted = true;
        if (model->going_with != NULL && model->connection != NULL) /* it may have come since */
            sim_cut(model->connection);
    }
    if (state == BERTH_STATE_UNCONNECTED) {
        if (model->cast_off && model->connection != NULL)
            model->connection->ending[model->side].cast_off = true;
        model->cast_off = false;
        model->timed_out = false;
        model->orderly = model->state == BERTH_STATE_CLOSING && model->connection != NULL &&
                         !model->connection->torn;
        model->counted = false;
        sim_going(1);
    }
    if (state == BERTH_STATE_CONNECTED && !model->adopting)
        begin_connection(model);
    if (state == BERTH_STATE_CONNECTED) {
        sim_limits_begin(model, sim.looked);
        model->arriving = !model->adopting;
        model->greeted = model->adopting;
    }
    if (state == BERTH_STATE_CLOSING && model->calls > 0)
        model->leaving = true;
    berth_state before = model->state;
    model->state = state;
    model->adopting = false;
    sim_clock_state(model, before);
    sim_spring(IN_STATE, model, NULL, NULL);
    if (state == BERTH_STATE_CONNECTED)
        model->arriving = false;
}

static void on_finished(berth_socket *socket, void *user)
{
    struct socket_model *model = called(socket, user, IN_FINISHED);
    if (!model->gave_up)
        check_alive(model, IN_FINISHED);
    model->gave_up = false;
    model->finished = true;
    if (model->state == BERTH_STATE_CONNECTED) {
        sim_check(!model->paused, "the input ends in a pause");
        check_complete(model);
        sim_tls_end_heard(model);
    }
    sim_spring(IN_FINISHED, model, NULL, NULL);
}

static void on_found(berth_socket *socket, void *user)
{
    struct socket_model *model = called(socket, user, IN_FOUND);
    check_alive(model, IN_FOUND);
    sim_spring(IN_FOUND, model, NULL, NULL);
}

static void on_drained(berth_socket *socket, void *user)
{
    struct socket_model *model = called(socket, user, IN_DRAINED);
    check_alive(model, IN_DRAINED);
    sim_check(model->drains, "drained without output above the low mark");
    sim_check(berth_socket_bytes_to_write(socket) <= model->low, "drained above the low mark");
    model->drains = false;
    model->in_drained++;
    sim_spring(IN_DRAINED, model, NULL, NULL);
    model->in_drained--;
    model->put_inside = sim_way_out(model)->put;
}

const berth_socket_handlers sim_socket_handlers = {
    .ready_read = on_ready_read,
    .bytes_written = on_bytes_written,
    .connected = on_connected,
    .disconnected = on_disconnected,
    .error_occurred = on_error,
    .state_changed = on_state,
    .read_channel_finished = on_finished,
    .host_found = on_found,
    .drained = on_drained,
    .draining = sim_on_draining,
    .encrypted = sim_on_encrypted,
    .verify_peer = sim_on_problem,
};

/* ---- servers --------------------------------------------------------------------------------- */

static struct server_model *asked(berth_server *server, void *user, enum handler handler)
{
    struct server_model *model = user;
    sim_check(model->server == server, "%s of a server that was freed", sim_handler_names[handler]);
    return model;
}

static void queue(struct server_model *model, struct connection *connection)
{
    sim_check(model->queued < SIM_QUEUE, "the queue of a server has no end");
    model->queue[model->queued++] = (struct pending){.connection = connection};
}

/* It is in the queue, where a limit can end it unheard. */
static void arrive(struct server_model *model, struct connection *connection)
{
    bool at_risk = sim_is_limited(&model->limits) || sim_drain_has_deadline(model) ||
                   (connection->tls && model->greeter.was_limited);
    connection->way[0].at_risk = connection->way[1].at_risk = at_risk;
    connection->accepted_by = berth_loop_now(sim.loop); /* the latest that its limits began */
    model->accepted++;
    queue(model, connection);
}

static void on_new_connection(berth_server *server, void *user)
{
    struct server_model *model = asked(server, user, IN_NEW_CONNECTION);
    struct connection *shaken = sim_tls_arrived(model);
    if (shaken != NULL)
        arrive(model, shaken);
    sim_check(model->announcements++ < model->accepted, "new_connection without a connection");
    sim_spring(IN_NEW_CONNECTION, NULL, model, NULL);
}

static void on_accept_error(berth_server *server, berth_error error, void *user)
{
    struct server_model *model = asked(server, user, IN_ACCEPT_ERROR);
    sim_check(error != BERTH_ERROR_NONE && error == berth_server_error(server),
              "accept_error and error do not agree");
    sim_judge_lack(error);
    sim_time_accept_error(model, error);
    sim_unbound(model);
    sim_spring(IN_ACCEPT_ERROR, NULL, model, NULL);
}

static uint64_t queue_of(const berth_server *server)
{
    berth_server_counts counts;
    berth_server_statistics(server, &counts);
    return counts.pending;
}

/* A socket of the program's own takes the connection. */
static bool adopt(struct server_model *model, struct connection *connection, int descriptor)
{
    struct socket_model *taker = sim_new_socket();
    berth_socket *socket =
        taker != NULL ? berth_socket_new(sim.loop, &sim_socket_handlers, taker) : NULL;
    if (socket == NULL)
        return false;
    taker->socket = socket;
    taker->connection = connection;
    taker->side = 1;
    taker->adopting = true;
    connection->still_clear = connection->tls;
    sim_tls_await(taker, connection);
    if (connection->through != NULL && world->whole_sends != NULL)
        taker->first_sends = world->whole_sends(descriptor); /* to the proxy */
    /* False also if a handler inside has freed the socket, which had adopted by then. */
    if (berth_socket_set_descriptor(socket, descriptor) || !taker->adopting) {
        model->delivered++;
        return true;
    }
    taker->connection = NULL;
    sim_free_socket(taker);
    return false;
}

static void on_incoming(berth_server *server, int descriptor, void *user)
{
    struct server_model *model = asked(server, user, IN_INCOMING);
    int limit = berth_server_max_pending_connections(server);
    sim_check(!model->paused || model->waits > 0 || model->drain.on,
              "a connection is accepted in spite of a pause");
    model->asked++;
    sim_check(model->has_trusted ||
                  (limit > 0 && model->queued - sim_lost_in_queue(model) < (size_t)limit),
              "a connection is accepted with %zu of %d in the queue", model->queued, limit);
    sim_check(berth_server_is_listening(server), "a connection is accepted after close");
    struct connection *connection = sim_accepted(model, descriptor);
    sim_check(!connection->accepted, "a connection is accepted twice");
    sim_headers_arrive(model, connection);
    connection->accepted = true;
    connection->accepted_at = sim.looked;
    connection->limits = model->limits;
    connection->tls = connection->tls || model->greeter.on;
    sim_check_accept(model, connection);
    model->kept += model->incoming != INCOMING_BASE;
    if (model->incoming == INCOMING_ADOPT && adopt(model, connection, descriptor)) {
        model->accepted++;
        if (connection->tls)
            sim_tls_adopted(connection);
    } else if (model->incoming == INCOMING_BASE) {
        /* No handler comes in here, so that the books may be open. */
        uint64_t before = queue_of(server);
        berth_server_base_incoming_connection(server, descriptor);
        connection->accepted_by = berth_loop_now(sim.loop);
        if (model->greeter.on) {
            sim_tls_guest(model, connection);
            sim_spring(IN_INCOMING, NULL, model, NULL);
            return;
        }
        if (queue_of(server) > before) {
            arrive(model, connection);
        } else {
            model->accepted++;
            model->rejected++;
            sim_cut(connection);
        }
    } else {
        world->close_descriptor(descriptor);
        sim_cut(connection);
        model->accepted++;
        model->rejected++;
    }
    sim_spring(IN_INCOMING, NULL, model, NULL);
}

#define HANDLERS_OF_ALL                                                   \
    .new_connection = on_new_connection, .accept_error = on_accept_error, \
    .incoming_connection = on_incoming, .emptied = sim_on_emptied,        \
    .handshake_failed = sim_on_handshake_failed

const berth_server_handlers sim_server_handlers = {HANDLERS_OF_ALL};
const berth_server_handlers sim_hello_handlers = {HANDLERS_OF_ALL, .client_hello = sim_on_hello};

/* ---- timers and tasks ------------------------------------------------------------------------ */

void sim_on_timer(berth_timer *timer, void *user)
{
    struct timer_model *model = user;
    sim_check(model->timer == timer, "a timer that was freed is called");
    sim_check(model->active, "a timer that does not run is called");
    uint64_t now = berth_loop_now(sim.loop);
    sim_check(now >= model->due, "a timer is early");
    sim_time_timer_ran();
    model->active = model->repeat > 0;
    /* Expiries that were missed are left out, so that the next one is known between bounds only; if
     * none was, it does not depend on when this one has run. */
    model->due += model->repeat;
    model->latest = model->due > now + 1 ? model->latest + model->repeat : now + model->repeat + 1;
    sim_spring(IN_TIMER, NULL, NULL, model);
}

void sim_on_task(void *user)
{
    sim_check((unsigned long)(uintptr_t)user == sim.ran, "tasks run out of order");
    sim.ran++;
    sim_spring(IN_TASK, NULL, NULL, NULL);
}
