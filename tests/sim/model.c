/*
 * The bookkeeping of the tester, and the checks that hold at every moment.
 *
 * sim_look is run after every step and every handler: it compares what can be asked of each object
 * with what is believed of it, and notes how much unread input each socket has, which is what the
 * next delivery is judged by.
 */
#include "model.h"

#include "base/fault.h"

#include <string.h>

#define LINE 3001u

struct sim sim;

/* ---- connections ----------------------------------------------------------------------------- */

struct connection *sim_connection(uint16_t port, uint16_t to)
{
    for (size_t i = sim.connection_count; i-- > 0;) {
        if (sim.connections[i].port == port && sim.connections[i].to == to)
            return &sim.connections[i];
    }
    sim_check(sim.connection_count < SIM_CONNECTIONS, "the program makes too many connections");
    struct connection *connection = &sim.connections[sim.connection_count++];
    *connection = (struct connection){.port = port, .to = to};
    connection->way[0].key = ++sim.keys;
    connection->way[1].key = ++sim.keys;
    if (sim_drain_covers(to))
        sim_cut(connection);
    return connection;
}

void sim_cut(struct connection *connection)
{
    if (connection == NULL)
        return;
    connection->way[0].cut = connection->way[1].cut = true;
    connection->torn = true;
}

/* Memory that was armed to run out, but has not yet, has lost nothing. */
bool sim_lossy(void)
{
    sim.lossy = sim.lossy || berth__fault_memory_failed() > 0;
    return sim.lossy;
}

bool sim_complete(const struct way *way)
{
    return !way->cut && !way->at_risk && !sim_lossy();
}

static uint8_t pattern(const struct way *way, uint64_t offset)
{
    uint64_t mixed = (offset + 1) * 0x9e3779b97f4a7c15u ^ way->key * 0xbf58476d1ce4e5b9u;
    uint8_t byte = (uint8_t)(mixed >> 40);
    if (way->key % 4 != 0)
        return byte;
    /* Long lines, that lie in several pieces of memory. */
    return offset % LINE == LINE - 1 ? '\n' : byte == '\n' ? 'n' : byte;
}

void sim_fill(struct way *way, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = pattern(way, way->put + i);
}

void sim_match(struct way *way, const uint8_t *bytes, size_t size, const char *who)
{
    sim_check(way->got + size <= way->put + way->putting, "%s reads more bytes than were sent",
              who);
    for (size_t i = 0; i < size; i++)
        sim_check(bytes[i] == pattern(way, way->got + i), "%s reads a wrong byte", who);
    way->got += size;
    way->read_at = sim_now();
}

/* One answer at a time is enough: what is put behind it answers no less. */
void sim_put(struct connection *connection, int side, size_t size)
{
    struct way *way = &connection->way[side];
    uint64_t heard = connection->way[1 - side].got;
    if (way->answer == 0 && heard > 0) {
        way->answer = way->put + 1;
        way->answered = heard;
    }
    way->put += size;
}

/* Whether what a server's socket holds, and nobody has read, can be of that connection. */
bool sim_may_hold(const struct connection *connection, const berth_socket *socket)
{
    if (connection == NULL || !connection->of_peer || connection->version > 0)
        return true;
    const struct way *way = &connection->way[0];
    uint8_t front[16];
    ptrdiff_t count = berth_socket_peek(socket, front, sizeof front);
    size_t size = count > 0 ? (size_t)count : 0;
    if (way->got + size > way->put + way->putting)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (front[i] != pattern(way, way->got + i))
            return false;
    }
    return true;
}

struct way *sim_way_out(struct socket_model *model)
{
    return model->connection != NULL ? &model->connection->way[model->side] : &model->early;
}

struct way *sim_way_in(struct socket_model *model)
{
    return model->connection != NULL ? &model->connection->way[1 - model->side] : NULL;
}

/* ---- places ---------------------------------------------------------------------------------- */

struct socket_model *sim_new_socket(void)
{
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        struct socket_model *model = &sim.sockets[i];
        unsigned inside = model->in_ready_read + model->in_bytes_written + model->in_drained;
        bool used = model->socket != NULL || inside > 0;
        for (unsigned frame = 0; frame < sim.depth; frame++)
            used = used || sim.frames[frame].socket == model;
        if (used)
            continue;
        *model = (struct socket_model){.early = {.key = ++sim.keys}};
        return model;
    }
    return NULL;
}

void sim_dequeue(struct server_model *server, size_t place)
{
    sim_check(place < server->queued, "a server gives more sockets than it has");
    struct socket_model *socket = server->queue[place].socket;
    if (socket != NULL)
        socket->queued_in = NULL;
    server->queued--;
    memmove(&server->queue[place], &server->queue[place + 1],
            (server->queued - place) * sizeof server->queue[0]);
}

void sim_unqueue(struct socket_model *model)
{
    for (size_t i = 0; model->queued_in != NULL; i++) {
        struct server_model *server = model->queued_in;
        if (server->queue[i].socket != model)
            continue;
        sim_dequeue(server, i);
    }
}

void sim_forget_socket(struct socket_model *model)
{
    sim_unqueue(model);
    sim_drop(model);
    model->socket = NULL;
    model->connection = NULL;
}

/* ---- what holds at every moment -------------------------------------------------------------- */

static void look_at_server(struct server_model *model)
{
    if (model->server == NULL || model->closing > 0)
        return;
    sim_drain_look(model);
    size_t given = 0;
    bool sure = true; /* a socket that goes with its server leaves the queue of another one */
    for (size_t i = 0; i < model->queued; i++) {
        const struct socket_model *socket = model->queue[i].socket;
        given += socket != NULL;
        sure = sure && (socket == NULL || !socket->dying);
    }
    unsigned long lost = sim_lost_in_queue(model);
    berth_server_counts counts;
    berth_server_statistics(model->server, &counts);
    sim_check(!sure || lost <= model->queued, "more have left a queue than were in it");
    sim_check(!sure || counts.pending == model->queued - lost, "%llu are pending, not %zu",
              (unsigned long long)counts.pending, model->queued - lost);
    sim_check(berth_server_has_pending_connections(model->server) == (counts.pending > 0),
              "has_pending_connections is wrong with %zu in the queue", model->queued);
    sim_check(model->accepted ==
                  model->delivered + (model->queued - given) + model->rejected + model->closed,
              "%lu accepted, but %lu delivered, %zu queued, %lu rejected, %lu closed",
              model->accepted, model->delivered, model->queued - given, model->rejected,
              model->closed);
    bool listens = berth_server_is_listening(model->server);
    sim_check(listens == (sim_port(model) != 0) &&
                  (listens && !model->through) == (berth_server_descriptor(model->server) >= 0),
              "listening, port and descriptor do not agree");
    sim_look_at_counts(model);
}

static void look_at_socket(struct socket_model *model)
{
    if (model->socket == NULL || model->dying)
        return;
    sim_check(berth_socket_state(model->socket) == model->state,
              "a state has changed from %d to %d without a word", model->state,
              berth_socket_state(model->socket));
    bool valid = model->state == BERTH_STATE_CONNECTED || model->state == BERTH_STATE_CLOSING;
    sim_check(berth_socket_is_valid(model->socket) == valid, "is_valid is wrong");
    sim_check(valid || model->state == BERTH_STATE_CONNECTING ||
                  model->state == BERTH_STATE_HOST_LOOKUP ||
                  berth_socket_bytes_to_write(model->socket) == 0,
              "output without a connection");
    size_t limit = berth_socket_read_buffer_size(model->socket);
    model->seen = berth_socket_bytes_available(model->socket);
    if (valid && model->connection != NULL && model->connection->local)
        sim_local_ask(model);
    /* What does not come because of this side's limit does not count as missing. What was read on
     * trial still takes its room. */
    bool full = model->seen >= limit || (model->held && berth_socket_in_transaction(model->socket));
    bool held = model->state == BERTH_STATE_CONNECTED && !model->finished && limit > 0 && full;
    if (model->held && !held && model->state == BERTH_STATE_CONNECTED)
        model->moved = sim.looked;
    model->held = held;
    if (model->paused && berth_socket_bytes_to_write(model->socket) == 0)
        model->moved = sim.looked;
    const struct way *in = sim_way_in(model);
    sim_check(in == NULL || in->got + model->seen <= in->put, "more input than was sent");
    sim_clock_look(model);
    sim_pace_look(model);
    sim_tls_look_at_socket(model);
}

/* A socket that goes with its server may be gone already, so that sim_look leaves it out. Inside
 * its own handler it is there, and only there the program still reads from it. */
void sim_note_unread(void)
{
    const struct socket_model *own = sim.depth > 0 ? sim.frames[sim.depth - 1].socket : NULL;
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        struct socket_model *model = &sim.sockets[i];
        if (model->socket != NULL && (!model->dying || model == own))
            model->seen = berth_socket_bytes_available(model->socket);
    }
}

void sim_look(void)
{
    if (sim.leaving)
        return;
    for (size_t i = 0; i < SIM_SERVERS; i++)
        look_at_server(&sim.servers[i]);
    for (size_t i = 0; i < SIM_SOCKETS; i++)
        look_at_socket(&sim.sockets[i]);
    sim_look_at_loop_counts();
    sim.looked = berth_loop_now(sim.loop);
    for (size_t i = 0; i < SIM_TIMERS; i++) {
        const struct timer_model *model = &sim.timers[i];
        sim_check(model->timer == NULL || sim.depth > 0 ||
                      berth_timer_is_active(model->timer) == model->active,
                  "timer %zu does not know whether it runs", i);
    }
    sim_watches_look();
    sim_local_look();
    sim_ends_look();
}
