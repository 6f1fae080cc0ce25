/*
 * The calls of the library that a step or a trap can make.
 *
 * Each takes what it needs to choose from its word. Half of the calls inside a handler go to the
 * object that the handler was called for, since that is where defects are. What a call must give
 * is checked here; what follows from it, in handlers.c and model.c.
 */
#include "calls.h"
#include "world.h"

#include "base/fault.h"

#include <limits.h>
#include <string.h>

#define MOST_BYTES 4096u

static uint8_t bytes[MOST_BYTES];

/* ---- whom ------------------------------------------------------------------------------------ */

const struct frame *sim_innermost(void)
{
    static const struct frame none;
    return sim.depth > 0 ? &sim.frames[sim.depth - 1] : &none;
}

struct socket_model *sim_some_socket(uint64_t *word)
{
    struct socket_model *own = sim_innermost()->socket;
    if (sim_choose(word, 2) == 0 && own != NULL && own->socket != NULL)
        return own;
    uint32_t first = sim_choose(word, SIM_SOCKETS);
    for (uint32_t i = 0; i < SIM_SOCKETS; i++) {
        struct socket_model *model = &sim.sockets[(first + i) % SIM_SOCKETS];
        if (model->socket != NULL && !model->dying)
            return model;
    }
    return NULL;
}

struct server_model *sim_some_server(uint64_t *word)
{
    uint32_t first = sim_choose(word, SIM_SERVERS);
    for (uint32_t i = 0; i < SIM_SERVERS; i++) {
        struct server_model *model = &sim.servers[(first + i) % SIM_SERVERS];
        if (model->server != NULL && model->closing == 0)
            return model;
    }
    return NULL;
}

size_t sim_number_of(const struct socket_model *model)
{
    return (size_t)(model - sim.sockets);
}

size_t sim_index_of(const struct server_model *model)
{
    return (size_t)(model - sim.servers);
}

/* ---- servers --------------------------------------------------------------------------------- */

/* Whether the kernel listens. */
static bool listen_anywhere(struct server_model *model)
{
    if (sim_local_wanted())
        return sim_local_listen(model);
    if (!berth_server_listen(model->server, BERTH_ADDRESS_LOOPBACK, world->free_port()))
        return false;
    world->listening(berth_server_descriptor(model->server));
    return true;
}

void sim_make_server(struct server_model *model)
{
    *model = (struct server_model){0};
    bool chooses = model == &sim.servers[0];
    model->server =
        berth_server_new(sim.loop, chooses ? &sim_hello_handlers : &sim_server_handlers, model);
    model->most_pending = BERTH_DEFAULT_PENDING_READ_LIMIT;
    model->doubted = sim_local_on_the_way();
}

void sim_new_server(uint64_t word)
{
    struct server_model *model = &sim.servers[sim_choose(&word, SIM_SERVERS)];
    if (model->server != NULL || model->closing + model->waits > 0)
        return;
    sim_say("server %zu is made and listens", sim_index_of(model));
    sim_make_server(model);
    if (model->server == NULL)
        return;
    sim_headers_server(model, word);
    sim_tls_server(model);
    if (sim_choose(&word, 4) == 0)
        berth_server_set_listen_backlog_size(model->server,
                                             world->least_backlog + (int)sim_choose(&word, 3));
    listen_anywhere(model);
}

static void listen_again(uint64_t word)
{
    struct server_model *model = sim_some_server(&word);
    if (model == NULL)
        return;
    bool before = berth_server_is_listening(model->server);
    bool descriptor = sim_choose(&word, 3) == 0;
    sim_say("server %zu listens%s", sim_index_of(model), descriptor ? " on a descriptor" : "");
    bool done;
    if (descriptor && sim_local_wanted()) {
        done = sim_local_adopt_listener(model);
    } else if (descriptor) {
        uint16_t port;
        int made = world->listener_descriptor(&port);
        done = berth_server_set_descriptor(model->server, made);
        if (!done && made >= 0)
            world->close_descriptor(made);
    } else {
        done = listen_anywhere(model);
    }
    sim_check(!done || !before, "a server listens twice");
    sim_check(!done || !model->drain.on, "a server listens while it is drained");
    model->stopped = model->stopped && !done;
    sim_check(done || before || descriptor || berth_server_error(model->server) != BERTH_ERROR_NONE,
              "listen fails without an error");
}

/* What is in the queue goes with it, and with it what it has not sent. */
static void cut_queue(struct server_model *model)
{
    for (size_t i = 0; i < model->queued; i++) {
        const struct pending *each = &model->queue[i];
        if (each->socket != NULL)
            sim_drop(each->socket);
        else
            sim_cut(each->connection);
        /* It may have failed there, and linger. */
        if (each->socket == NULL && each->connection->wrong_later)
            each->connection->ending[1].time = berth_loop_now(sim.loop);
        sim_going(each->socket == NULL);
    }
    sim_headers_doubt(model);
    sim_tls_lost(model);
    /* What waits in the kernel is reset with the listener. */
    uint16_t port = sim_port(model);
    for (size_t i = 0; i < sim.connection_count; i++) {
        struct connection *each = &sim.connections[i];
        if ((each->to == port || each->through == model) && !each->accepted)
            sim_cut(each);
    }
    sim_going(1); /* the listener */
}

/* What waits in the kernel is reset. */
static void cut_backlog(struct server_model *model)
{
    uint16_t port = sim_port(model);
    sim_headers_doubt(model);
    for (size_t i = 0; i < sim.connection_count && port != 0; i++) {
        if (sim.connections[i].to == port && !sim.connections[i].accepted)
            sim_cut(&sim.connections[i]);
    }
}

/* Sockets that go with a server, unless they go with another one already. */
static void begin_going(struct server_model *model, bool with_children)
{
    model->closing++;
    cut_queue(model);
    cut_backlog(model);
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        struct socket_model *socket = &sim.sockets[i];
        bool goes = socket->queued_in == model || (with_children && socket->owner == model);
        if (!goes || socket->socket == NULL || socket->dying)
            continue;
        socket->dying = true;
        socket->doubted = socket->state == BERTH_STATE_UNCONNECTED || socket->queued_in != NULL;
        socket->freeing = false;
        socket->going_with = model;
        sim_drop(socket);
    }
}

static void end_going(struct server_model *model)
{
    model->closing--;
    while (model->queued > 0) {
        model->closed += model->queue[0].connection != NULL;
        sim_dequeue(model, 0);
    }
    if (model->server != NULL)
        model->settled += sim_lost_in_queue(model);
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        if (sim.sockets[i].going_with != model)
            continue;
        sim.sockets[i].going_with = NULL;
        sim_forget_socket(&sim.sockets[i]);
    }
}

static void close_server(uint64_t word)
{
    struct server_model *model = sim_some_server(&word);
    if (model == NULL)
        return;
    sim_say("server %zu closes, with %zu in its queue", sim_index_of(model), model->queued);
    begin_going(model, false);
    sim_drain_forget(model);
    berth_server_close(model->server);
    end_going(model);
    model->through = false;
    sim_check(!berth_server_is_listening(model->server), "close leaves a server listening");
}

void sim_free_server(struct server_model *model)
{
    begin_going(model, true);
    sim_drain_forget(model);
    sim_server_goes(model);
    berth_server_free(model->server);
    model->server = NULL;
    end_going(model);
}

static void free_server(uint64_t word)
{
    struct server_model *model = sim_some_server(&word);
    if (model == NULL || sim_choose(&word, 3) != 0)
        return;
    sim_say("server %zu is freed", sim_index_of(model));
    sim_free_server(model);
}

static void set_server(uint64_t word)
{
    struct server_model *model = sim_some_server(&word);
    if (model == NULL)
        return;
    uint32_t what = sim_choose(&word, 6);
    int limit = (int)sim_choose(&word, 5);
    if (what < 2) {
        sim_say("server %zu pauses", sim_index_of(model));
        berth_server_pause_accepting(model->server);
        model->paused = true;
    } else if (what < 4) {
        sim_say("server %zu resumes", sim_index_of(model));
        berth_server_resume_accepting(model->server);
        model->paused = false;
        model->stopped = false;
    } else if (what < 5) {
        sim_say("server %zu takes at most %d", sim_index_of(model), limit);
        sim_note_waiting(model);
        berth_server_set_max_pending_connections(model->server, limit);
    } else {
        model->incoming = (enum incoming)(sim_choose(&word, INCOMING_MODES));
        sim_say("server %zu: incoming connections by way %d", sim_index_of(model), model->incoming);
    }
}

static bool is_of(const struct pending *pending, const berth_socket *socket, uint16_t port)
{
    if (pending->socket != NULL)
        return pending->socket->socket == socket;
    bool is_own = berth_socket_user(socket) != NULL; /* the program has put it there */
    return !is_own && (port == 0 || pending->connection->port == port);
}

/* The entry of a socket that was taken: the first, but for those that a limit has ended. */
static struct pending first_left(struct server_model *model, const berth_socket *socket)
{
    int descriptor = berth_socket_descriptor(socket);
    uint16_t port = descriptor >= 0 ? sim_port_of(descriptor) : 0;
    for (;;) {
        sim_check(model->queued > 0, "a server gives more sockets than it has");
        struct pending first = model->queue[0];
        /* One that has broken in the queue has no port any more, but the bytes that it was sent. */
        bool may_be =
            port != 0 || sim_lost_in_queue(model) == 0 || sim_may_hold(first.connection, socket);
        if (is_of(&first, socket, port) && may_be)
            return first;
        sim_check(sim_lost_in_queue(model) > 0 && first.connection != NULL,
                  "the queue is out of order");
        sim_say("server %zu has lost one of its queue", sim_index_of(model));
        sim_cut(first.connection);
        sim_going(1);
        sim_dequeue(model, 0);
        model->settled++;
        model->closed++;
    }
}

bool sim_take(struct server_model *model)
{
    /* Whether a socket that is being freed with another server has left the queue is not known. */
    for (size_t i = 0; i < model->queued; i++) {
        if (model->queue[i].socket != NULL && model->queue[i].socket->dying)
            return false;
    }
    unsigned long lost = sim_lost_in_queue(model);
    berth_socket *socket = model->taken % 2 == 0
                               ? berth_server_next_pending_connection(model->server)
                               : berth_server_base_next_pending_connection(model->server);
    sim_check((socket != NULL) == (model->queued > lost), "next_pending_connection is wrong");
    if (socket == NULL)
        return false;
    model->taken++;
    struct pending first = first_left(model, socket);
    sim_dequeue(model, 0);
    if (first.socket != NULL) {
        sim_check(first.socket->socket == socket, "the queue is out of order");
        first.socket->counted = first.socket->counted && first.socket->owner == model;
        return true;
    }
    model->delivered++;
    sim_check(berth_socket_bytes_available(socket) <= model->most_pending,
              "%zu bytes were kept of one that waited", berth_socket_bytes_available(socket));
    struct socket_model *taken = sim_new_socket();
    if (taken == NULL) {
        sim_cut(first.connection);
        sim_going(1);
        berth_socket_free(socket);
        return true;
    }
    sim_say("server %zu gives socket %zu", sim_index_of(model), sim_number_of(taken));
    taken->socket = socket;
    taken->connection = first.connection;
    taken->side = 1;
    taken->greeted = true;
    taken->owner = model;
    taken->state = berth_socket_state(socket);
    sim_going(taken->state == BERTH_STATE_UNCONNECTED); /* it has ended in the queue */
    taken->counted = taken->state != BERTH_STATE_UNCONNECTED;
    taken->limits = first.connection->limits;
    if (first.connection->through != NULL && world->whole_sends != NULL)
        taken->first_sends = world->whole_sends(berth_socket_descriptor(socket)); /* to the proxy */
    taken->connection->way[0].at_risk = taken->connection->way[1].at_risk = false;
    sim_limits_begin(taken, first.connection->accepted_at);
    taken->heard = berth_socket_bytes_available(socket) > 0;
    berth_socket_set_handlers(socket, &sim_socket_handlers, taken);
    sim_headers_taken(taken);
    sim_tls_taken(taken);
    return true;
}

static void take(uint64_t word)
{
    struct server_model *model = sim_some_server(&word);
    if (model != NULL && !sim_take(model))
        sim_say("server %zu has nothing to give", sim_index_of(model));
}

/* Several connections at once, so that there are some to fall over each other. */
static void crowd(uint64_t word)
{
    struct server_model *model = sim_some_server(&word);
    if (model == NULL || sim.depth > 0)
        return;
    sim_connect_peers(word);
    for (unsigned turns = 0; turns < 4 && !sim.leaving; turns++)
        sim_turn(1);
    while (!sim.leaving && model->server != NULL && model->closing == 0 && sim_take(model))
        continue;
    if (sim.leaving || sim_choose(&word, 2) == 0)
        return;
    sim_turn(1);
    if (!sim.leaving)
        sim_peers_speak(word);
}

static void give_back(uint64_t word)
{
    struct server_model *model = sim_some_server(&word);
    struct socket_model *socket = sim_some_socket(&word);
    if (model == NULL || socket == NULL || socket->queued_in != NULL || socket->calls > 0 ||
        model->queued == SIM_QUEUE || sim_is_limited(&socket->limits) || socket->overflowed ||
        sim_drain_has_deadline(model))
        return;
    sim_say("socket %zu goes into the queue of server %zu", sim_number_of(socket),
            sim_index_of(model));
    model->most_waiting = sim_waiting(model) + 1;
    berth_server_add_pending_connection(model->server, socket->socket);
    socket->queued_in = model;
    socket->doubted = socket->dying;
    model->added++;
    if (socket->owner != model)
        socket->counted = false;
    model->queue[model->queued++] = (struct pending){.socket = socket};
}

static void wait_for_connection(uint64_t word)
{
    struct server_model *model = sim_some_server(&word);
    if (model == NULL)
        return;
    sim_say("server %zu waits for a connection", sim_index_of(model));
    model->waits++;
    bool timed_out;
    int milliseconds = (int)sim_choose(&word, 20);
    struct sim_stay stay;
    sim_stay_begin(&stay, milliseconds, true);
    bool found = berth_server_wait_for_new_connection(model->server, milliseconds, &timed_out);
    (void)sim_stay_end(&stay);
    model->waits--;
    sim_check(!found || !timed_out, "a wait has ended both ways");
    if (timed_out && milliseconds > 0)
        sim_check_queue(model, stay.start + (uint64_t)milliseconds);
}

/* ---- sockets --------------------------------------------------------------------------------- */

void sim_free_socket(struct socket_model *model)
{
    sim_unqueue(model);
    sim_drop(model);
    model->calls++;
    if (sim_number_of(model) % 2 == 0)
        berth_socket_free(model->socket);
    else
        berth_socket_free_in_handler(model->socket, NULL);
    model->calls--;
    sim_going(1);
    sim_forget_socket(model);
    model->owed = 0;
}

/* A new connection begins: what is left of the former one will not be read. */
void sim_leave_connection(struct socket_model *model)
{
    model->connection = NULL;
    model->early = (struct way){.key = ++sim.keys};
    model->announced = 0;
    model->batches = model->first_sends = 0;
    model->first_put = 0;
    model->leaving = model->gone_early = false;
    model->shut = model->finished = false;
    model->drains = model->overflowed = false;
    model->begins_paused = model->paused;
    model->by_path = 0;
}

uint16_t sim_target(const struct socket_model *model, uint16_t port)
{
    berth_proxy proxy = berth_socket_proxy(model->socket);
    bool through = proxy.type == BERTH_PROXY_SOCKS5 || proxy.type == BERTH_PROXY_HTTP;
    return through ? proxy.port : port;
}

bool sim_prepare(struct socket_model *model, uint16_t port)
{
    return sim_headers_connect(model, port) && sim_tls_connect(model, port);
}

static void connect_socket(uint64_t word)
{
    struct socket_model *model =
        sim_choose(&word, 2) == 0 ? sim_some_socket(&word) : sim_new_socket();
    if (model == NULL)
        return;
    if (model->socket == NULL)
        model->socket = berth_socket_new(sim.loop, &sim_socket_handlers, model);
    if (model->socket == NULL || model->owed > 0)
        return;
    if (sim_local_wanted()) {
        sim_local_connect(model);
        return;
    }
    const struct server_model *server = sim_some_server(&word);
    uint16_t port = sim.port;
    uint32_t where = sim_choose(&word, 5);
    if (where == 0)
        port = 1;
    else if (where < 3 && server != NULL)
        port = berth_server_port(server->server);
    bool may = model->state == BERTH_STATE_UNCONNECTED || model->state == BERTH_STATE_BOUND;
    uint16_t target = sim_target(model, port);
    if (may && !sim_prepare(model, target))
        return;
    if (may && model->state == BERTH_STATE_UNCONNECTED && sim_choose(&word, 4) == 0) {
        sim_say("socket %zu binds a port", sim_number_of(model));
        sim_leave_connection(model);
        model->calls++;
        bool bound = berth_socket_bind(model->socket, BERTH_ADDRESS_LOOPBACK, world->free_port());
        model->calls--;
        if (!bound || model->state != BERTH_STATE_BOUND)
            return;
    }
    sim_say("socket %zu connects to %s", sim_number_of(model), where == 0 ? "nobody" : "somebody");
    if (may)
        sim_leave_connection(model);
    if (may)
        model->target = target;
    model->calls++;
    bool begun = berth_socket_connect_to_address(model->socket, BERTH_ADDRESS_LOOPBACK, port);
    model->calls--;
    sim_check(may || !begun, "a socket connects in state %d", model->state);
}

void sim_read(struct socket_model *model, size_t size)
{
    struct way *way = sim_way_in(model);
    size = size < MOST_BYTES ? size : MOST_BYTES;
    size_t available = berth_socket_bytes_available(model->socket);
    ptrdiff_t count = berth_socket_read(model->socket, bytes, size);
    sim_check(count == (ptrdiff_t)(available < size ? available : size) ||
                  (available == 0 && count == -1),
              "%zu of %zu bytes are read as %td", size, available, count);
    if (count <= 0)
        return;
    sim_check(way != NULL, "input without a connection");
    sim_match(way, bytes, (size_t)count, "a socket");
}

static void read_socket(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    if (model == NULL)
        return;
    size_t size = 1 + sim_choose(&word, sim_choose(&word, 2) == 0 ? MOST_BYTES : 40);
    struct way *way = sim_way_in(model);
    uint32_t how = sim_choose(&word, 6);
    sim_say("socket %zu reads up to %zu bytes of %zu, way %u", sim_number_of(model), size,
            berth_socket_bytes_available(model->socket), how);
    if (how > 2 || way == NULL) {
        sim_read(model, size);
    } else if (how == 2) {
        size_t there;
        const void *view = berth_socket_view(model->socket, &there);
        size = there < size ? there : size;
        if (there > 0) {
            sim_match(way, view, size, "a socket");
            berth_socket_skip(model->socket, size);
        }
    } else if (how == 1) {
        ptrdiff_t count = berth_socket_read(model->socket, bytes, size);
        if (count > 0 && !berth_socket_unget(model->socket, bytes, (size_t)count))
            sim_match(way, bytes, (size_t)count, "a socket");
        /* In a transaction they are there twice: what was read, and what comes behind it. */
        model->doubled = model->doubled || berth_socket_in_transaction(model->socket);
    } else if (how == 0) {
        uint64_t got = way->got;
        ptrdiff_t count = berth_socket_peek(model->socket, bytes, size);
        if (count > 0)
            sim_match(way, bytes, (size_t)count, "a socket");
        way->got = got;
    }
    if (way != NULL)
        sim_check_line(model);
}

static void set_socket(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    if (model == NULL)
        return;
    static const size_t limits[] = {0, 1, 10, 5000};
    size_t limit = limits[sim_choose(&word, 4)];
    switch (sim_choose(&word, 4)) {
    case 0:
        sim_say("socket %zu keeps at most %zu bytes", sim_number_of(model), limit);
        berth_socket_set_read_buffer_size(model->socket, limit);
        break;
    case 1:
        sim_say("socket %zu bounds its output to %zu bytes", sim_number_of(model), limit);
        berth_socket_set_write_marks(model->socket, limit / 2, limit);
        model->low = limit / 2;
        model->high = limit;
        sim_mind_marks(model);
        model->drains_later = berth_socket_bytes_to_write(model->socket) <= model->low;
        break;
    case 2:
        model->half_open = sim_choose(&word, 2) == 0;
        sim_say("socket %zu %s half-close", sim_number_of(model),
                model->half_open ? "allows" : "forbids");
        berth_socket_set_half_close(model->socket, model->half_open);
        break;
    default:
        sim_say("socket %zu flushes", sim_number_of(model));
        model->given = true;
        if (sim_choose(&word, 2) == 0)
            berth_socket_flush(model->socket);
        else
            (void)berth_socket_flush_and_announce(model->socket);
    }
}

/* In order; but a library socket on the other side whose output then fails may end before it has
 * read all, if it does not read at that time. */
static void end_way(struct socket_model *model)
{
    struct way *out = &model->connection->way[model->side];
    const struct way *in = &model->connection->way[1 - model->side];
    out->ended = out->closed = true;
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        const struct socket_model *other = &sim.sockets[i];
        if (other != model && other->connection == model->connection && in->put > in->got)
            out->cut = true;
    }
}

static void end_socket(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    if (model == NULL)
        return;
    uint32_t how = sim_choose(&word, 6);
    static const char *const names[] = {"aborts", "resets", "closes"};
    bool sent = model->state == BERTH_STATE_CONNECTED;
    sim_say("socket %zu %s", sim_number_of(model), how < 3 ? names[how] : "disconnects");
    struct connection *connection = model->connection;
    model->calls++;
    model->emptied = model->emptied || how == 2;
    if (how < 2 && model->state != BERTH_STATE_UNCONNECTED)
        sim_cut(connection);
    else if (how < 2 && connection != NULL) /* it is over: only what was not read is lost */
        connection->way[0].cut = connection->way[1].cut = true;
    else if (connection != NULL)
        connection->way[1 - model->side].cut = true;
    else
        model->gone_early = true;
    if (how >= 2 && sent && connection != NULL)
        end_way(model);
    if (how == 0)
        berth_socket_abort(model->socket);
    else if (how == 1)
        berth_socket_reset(model->socket);
    else if (how == 2)
        berth_socket_close(model->socket);
    else
        berth_socket_disconnect_from_host(model->socket);
    model->calls--;
}

static void free_socket(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    if (model == NULL || sim_choose(&word, 2) != 0)
        return;
    sim_say("socket %zu is freed", sim_number_of(model));
    sim_free_socket(model);
}

/* One that its server is about to free, inside a handler of its own, stays, unless that has begun:
 * its end is the first that shows of it. Where it may have ended otherwise nobody knows. */
static void detach_socket(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    if (model == NULL)
        return;
    bool goes = model->freeing || model->queued_in == model->going_with;
    if (model->dying && model->doubted && !goes)
        return;
    sim_say("socket %zu is detached", sim_number_of(model));
    berth_socket_detach(model->socket);
    model->counted = false;
    if (!model->dying || !model->doubted)
        model->owner = NULL;
    if (!model->doubted) {
        model->dying = false;
        model->going_with = NULL;
    }
}

static void wait_for_socket(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    if (model == NULL)
        return;
    uint32_t what = sim_choose(&word, 4);
    int milliseconds = (int)sim_choose(&word, 20);
    sim_say("socket %zu waits %d ms for event %u", sim_number_of(model), milliseconds, what);
    sim_wait(model, what, milliseconds);
}

void sim_wait(struct socket_model *model, uint32_t what, int milliseconds)
{
    berth_socket *socket = model->socket;
    struct connection *connection = model->connection;
    unsigned long deliveries = model->deliveries;
    bool timed_out = model->timed_out; /* of the end that is being announced */
    model->calls++;
    bool found = false;
    struct sim_stay stay;
    sim_stay_begin(&stay, milliseconds, true);
    if (what == 0)
        found = berth_socket_wait_for_connected(socket, milliseconds);
    else if (what == 1)
        found = berth_socket_wait_for_ready_read(socket, milliseconds);
    else if (what == 2)
        found = berth_socket_wait_for_bytes_written(socket, milliseconds);
    else
        found = berth_socket_wait_for_disconnected(socket, milliseconds);
    (void)sim_stay_end(&stay);
    model->calls--;
    model->timed_out = timed_out;
    sim_check(!found || model->socket == socket, "a wait for a freed socket succeeds");
    if (model->socket != socket || model->connection != connection || model->dying)
        return;
    sim_check(found || what != 1 || model->deliveries == deliveries ||
                  model->state != BERTH_STATE_CONNECTED,
              "a wait for input does not know that some has come");
    if (!found && milliseconds > 0)
        sim_time_waited(model, &stay);
}

/* A connection of a peer goes over to the library, in place of the peer. */
static void adopt_peer(uint64_t word)
{
    struct peer_model *peer = &sim.peers[sim_choose(&word, SIM_PEERS)];
    struct socket_model *model =
        sim_choose(&word, 2) == 0 ? sim_some_socket(&word) : sim_new_socket();
    if (model == NULL || peer->end == NULL || !world->is_established(peer->end) || peer->ended ||
        peer->connection == NULL || model->owed > 0 || model->queued_in != NULL)
        return;
    if (model->socket == NULL)
        model->socket = berth_socket_new(sim.loop, &sim_socket_handlers, model);
    if (model->socket == NULL || !sim_headers_adopt(peer))
        return;
    sim_say("socket %zu adopts the connection of peer %td", sim_number_of(model), peer - sim.peers);
    int descriptor = world->stream_descriptor(peer->end);
    const struct peer_model given = *peer;
    *peer = (struct peer_model){0}; /* the end is not the test's any more */
    sim_adopt(model, given.connection, given.side, descriptor);
}

void sim_adopt(struct socket_model *model, struct connection *connection, int side, int descriptor)
{
    uint64_t now = berth_loop_now(sim.loop);
    struct socket_model before = *model;
    if (before.state != BERTH_STATE_UNCONNECTED)
        sim_cut(before.connection);
    else if (before.connection != connection && before.connection != NULL)
        before.connection->way[1 - before.side].cut = true; /* what is unread */
    sim_going(before.state != BERTH_STATE_UNCONNECTED);
    sim_leave_connection(model);
    model->connection = connection;
    model->side = side;
    model->counted = false;
    model->adopting = true;
    sim_ends_adopt(model, descriptor);
    if (berth_socket_set_descriptor(model->socket, descriptor)) {
        if (model->adopting)
            model->state = BERTH_STATE_CONNECTED;
        model->adopting = false;
        sim_limits_begin(model, now);
    } else if (model->adopting) {
        *model = before;
        sim_cut(connection);
        world->close_descriptor(descriptor);
    }
}

/* ---- loop, timers, tasks --------------------------------------------------------------------- */

static void turn(uint64_t word)
{
    int milliseconds = sim_choose(&word, 3) == 0 ? (int)sim_choose(&word, 30) : 0;
    sim_say("the loop turns, waiting up to %d ms", milliseconds);
    sim_turn(milliseconds);
}

/* Nobody but the loop is at work for a while. */
static void let_time_pass(uint64_t word)
{
    uint64_t milliseconds = 5 + sim_choose(&word, 60);
    if (sim.depth > 0)
        return;
    sim_say("the loop is left alone for %llu ms", (unsigned long long)milliseconds);
    sim_let_time_pass(milliseconds);
}

static bool post(void)
{
    if (!berth_loop_post(sim.loop, sim_on_task, (void *)(uintptr_t)sim.posted))
        return false;
    sim.posted++;
    sim_time_woken();
    return true;
}

/* Wakes the loop, which must then not sleep. */
static void wake(uint64_t word)
{
    bool task = sim_choose(&word, 2) == 0;
    sim_say(task ? "a task is posted" : "the loop is woken");
    if (task && !post())
        return;
    if (!task)
        berth_loop_wake(sim.loop);
    sim_time_woken();
    if (sim.depth > 0 || sim_choose(&word, 2) == 0)
        return;
    uint64_t before = berth_loop_now(sim.loop);
    unsigned long expected = sim.posted;
    int longest = world->long_wait();
    sim_turn(longest);
    sim_check(berth_loop_now(sim.loop) < before + (uint64_t)longest / 10 * 9, "a wake was missed");
    sim_check(sim.ran >= expected, "a task was not run");
}

static void run(uint64_t word)
{
    sim_run((int)sim_choose(&word, 100));
}

/* ---- the table ------------------------------------------------------------------------------- */

/* Headers have a half of their programs, in which the rest is as it is in the others; watches and
 * signals three quarters of theirs, drains one. */
static void call_of_a_topic(uint64_t word)
{
    static void (*const topics[TOPIC_HEADERS])(uint64_t word) = {
        [TOPIC_ENDS] = sim_call_of_ends,       [TOPIC_LIMITS] = sim_call_of_limits,
        [TOPIC_OPTIONS] = sim_call_of_options, [TOPIC_LOOPS] = sim_call_of_loops,
        [TOPIC_NAMES] = sim_call_of_names,     [TOPIC_TIME] = sim_call_of_time,
        [TOPIC_PROXIES] = sim_call_of_proxies, [TOPIC_PACE] = sim_call_of_pace,
    };
    if ((sim.topics >> TOPIC_TLS & 1) != 0 && sim_choose(&word, 2) == 0) {
        sim_call_of_tls(word);
        return;
    }
    if ((sim.topics >> TOPIC_HEADERS & 1) != 0 && sim_choose(&word, 2) == 0) {
        sim_call_of_headers(word);
        return;
    }
    if ((sim.topics >> TOPIC_WATCHES & 1) != 0 && sim_choose(&word, 4) != 0) {
        sim_call_of_watches(word);
        return;
    }
    if ((sim.topics >> TOPIC_DRAIN & 1) != 0 && sim_choose(&word, 4) == 0) {
        sim_call_of_drain(word);
        return;
    }
    uint32_t first = sim_choose(&word, TOPIC_HEADERS);
    for (uint32_t i = 0; i < TOPIC_HEADERS; i++) {
        uint32_t topic = (first + i) % TOPIC_HEADERS;
        if ((sim.topics >> topic & 1) == 0)
            continue;
        topics[topic](word);
        return;
    }
}

void sim_call(uint64_t word)
{
    static void (*const calls[])(uint64_t word) = {
        turn,
        turn,
        turn,
        turn,
        turn,
        turn,
        sim_new_server,
        sim_new_server,
        listen_again,
        close_server,
        free_server,
        set_server,
        set_server,
        let_time_pass,
        take,
        take,
        take,
        crowd,
        give_back,
        wait_for_connection,
        connect_socket,
        sim_write_socket,
        sim_write_socket,
        sim_write_socket,
        read_socket,
        read_socket,
        read_socket,
        sim_try_socket,
        set_socket,
        end_socket,
        free_socket,
        detach_socket,
        wait_for_socket,
        adopt_peer,
        wake,
        run,
        sim_use_timer,
        call_of_a_topic,
        call_of_a_topic,
        call_of_a_topic,
        call_of_a_topic,
    };
    /* A third of all calls, where there are any. */
    if ((sim.topics >> TOPIC_LOCAL & 1) != 0 && sim_choose(&word, 3) == 0) {
        sim_call_of_local(word);
        return;
    }
    uint32_t chosen = sim_choose(&word, sizeof calls / sizeof calls[0]);
    calls[chosen](word);
}
