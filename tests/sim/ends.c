/*
 * How connections end, and what may be left of them: the checks of ends.
 *
 * A reset has a cause. Somebody has torn the connection (an abort, a free, a limit, a fault), or
 * the other side has ended it and did not read all that this side had sent. A socket of the library
 * that has ended gracefully lingers if it has spoken and was spoken to, or if the peer's kernel had
 * no room for all: until its time is over its peer sees no reset, whatever it does, and the output
 * is not left to an orphan; and a reset that comes for another reason follows all of the output
 * (docs/decisions/0063).
 *
 * Descriptors are counted at the kernel: no more are open than there are listeners, connections,
 * ends that linger, and what is just being closed. What is being closed may be open for as long as
 * the kernel's news are late, and for two looks of the loop.
 *
 * What a socket queues leaves gathered (0041): each call that writes may be followed by one small
 * send, however many messages it has written.
 */
#include "model.h"
#include "world.h"

#define LINGER_MILLISECONDS 2000u
#define MOST_GOING 256u
#define LOOKS 4u /* of the loop, until `closed` was called */

static struct {
    struct going {
        uint64_t time; /* when the last of them was closed */
        uint64_t ripe; /* the loop's waits when the news were due; 0: not yet */
        unsigned descriptors;
    } going[MOST_GOING];
    unsigned count;
    uint64_t lingering; /* at the last look */
    uint64_t awaited;   /* PROXY headers, likewise */
} ends;

void sim_ends_begin(void)
{
    ends.count = 0;
    ends.lingering = ends.awaited = 0;
}

static berth_loop_counts counts(void)
{
    berth_loop_counts now;
    berth_loop_statistics(sim.loop, &now);
    return now;
}

/* ---- resets ---------------------------------------------------------------------------------- */

static const struct peer_model *peer_at(const struct connection *connection, int side)
{
    for (size_t i = 0; i < SIM_ALL_PEERS; i++) {
        const struct peer_model *peer = &sim.peers[i];
        if (peer->end != NULL && peer->connection == connection && peer->side == side)
            return peer;
    }
    return NULL;
}

/* The socket of the library that is connected at that side. */
static const struct socket_model *socket_at(const struct connection *connection, int side)
{
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        const struct socket_model *model = &sim.sockets[i];
        if (model->connection == connection && model->side == side &&
            model->state != BERTH_STATE_UNCONNECTED)
            return model;
    }
    return NULL;
}

/* The end at that side, if it can be looked at, and bytes that have not left for it yet. */
static const struct end *end_at(const struct connection *connection, int side, uint64_t *ret_rest)
{
    const struct peer_model *peer = peer_at(connection, side);
    const struct socket_model *model = socket_at(connection, side);
    *ret_rest = 0;
    if (peer != NULL)
        *ret_rest = sim_tls_unsent(peer);
    if (peer != NULL)
        return peer->end;
    if (model == NULL || model->socket == NULL)
        return NULL;
    *ret_rest = berth_socket_bytes_to_write(model->socket);
    return world->end_of != NULL ? world->end_of(berth_socket_descriptor(model->socket)) : NULL;
}

static void note_ending(struct connection *connection, int side)
{
    uint64_t rest;
    const struct end *end = end_at(connection, 1 - side, &rest);
    if (end != NULL && world->under_way != NULL)
        rest += world->under_way(end);
    uint64_t put = connection->way[1 - side].put; /* without a header */
    connection->ending[side] = (struct ending){
        .orderly = true,
        .time = berth_loop_now(sim.loop),
        .heard = put > rest ? put - rest : 0,
        .unsent = end != NULL && world->is_behind != NULL && world->is_behind(end),
    };
}

void sim_ended(struct connection *connection, int side)
{
    if (connection != NULL && !connection->torn)
        note_ending(connection, side);
    else if (connection != NULL)
        connection->ending[side].time = berth_loop_now(sim.loop);
}

void sim_drop(struct socket_model *model)
{
    struct connection *connection = model->connection;
    if (connection == NULL)
        return;
    if (model->state != BERTH_STATE_UNCONNECTED || !model->orderly) {
        sim_cut(connection);
        /* The word that a handshake has failed may linger, and so may an end that was graceful for
         * this side, which does not know yet that the peer has thrown all away. */
        if (model->state == BERTH_STATE_UNCONNECTED && model->owed > 0 &&
            (connection->tls || connection->torn))
            sim_ended(connection, model->side);
        return;
    }
    connection->way[1 - model->side].cut = true;
    if (model->owed > 0) /* and `disconnected` will not be called any more */
        sim_ended(connection, model->side);
}

/* Whether both sides have known of it. Else the other one may be gone, and this side has not heard:
 * who comes to a place may only try whether somebody listens there. */
bool sim_is_sound(const struct connection *connection)
{
    if (connection == NULL || (connection->local && !connection->of_peer && !connection->begun))
        return false;
    return connection->accepted || (sim_is_tests(connection->to) && connection->begun);
}

/* Whether nothing can be said: all was thrown away, or the connection was never taken out of the
 * kernel, which resets it with its listener, or its socket was freed before it knew of it. */
static bool is_excused(const struct connection *connection)
{
    if (sim.hard_ends && !connection->of_peer && !connection->begun)
        return true;
    return connection->torn || connection->way[0].at_risk || sim_lossy() || sim.leaving ||
           (!sim_is_tests(connection->to) && !connection->accepted);
}

static bool lingers(const struct ending *ending, uint64_t now)
{
    return now + 1 < ending->time + LINGER_MILLISECONDS && counts().lingers_cut == 0;
}

bool sim_has_lingered(const struct connection *connection, int side)
{
    const struct ending *ending = &connection->ending[side];
    return ending->orderly && !lingers(ending, berth_loop_now(sim.loop));
}

void sim_judge_reset(const struct connection *connection, int side)
{
    const struct way *out = &connection->way[side];
    const struct way *in = &connection->way[1 - side];
    const struct ending *ending = &connection->ending[1 - side];
    if (is_excused(connection))
        return;
    bool has_header = side == 0 && !connection->of_peer && connection->version > 0;
    bool unread = out->put > out->got || out->refused ||
                  (has_header && !connection->preface.whole) ||
                  connection->tls; /* flights, a ticket or the end mark */
    sim_check(unread && socket_at(connection, 1 - side) == NULL,
              "a connection is reset without a cause");
    sim_check(!ending->orderly || in->put == 0 || (ending->heard == 0 && !ending->unsent) ||
                  !lingers(ending, sim_now()),
              "a connection is reset that has to linger");
}

void sim_judge_rest(const struct connection *connection, int side, uint64_t time)
{
    const struct way *in = &connection->way[1 - side];
    const struct ending *ending = &connection->ending[1 - side];
    if (is_excused(connection) || !ending->orderly || !lingers(ending, time))
        return;
    /* A real kernel may have dropped what its buffer had no room for, after it was sent: a peer
     * that had said nothing and speaks then loses it, before it is sent again. */
    if (!world->is_simulated && ending->heard == 0 && !ending->unsent)
        return;
    sim_check(in->got == in->put, "a graceful end has lost %llu of %llu bytes",
              (unsigned long long)(in->put - in->got), (unsigned long long)in->put);
}

/* A byte of the peer would destroy what is left. */
static void look_for_abandoned(const struct peer_model *peer)
{
    const struct connection *connection = peer->connection;
    const struct ending *ending = &connection->ending[1 - peer->side];
    sim_check(world->is_abandoned == NULL || !ending->cast_off || !world->is_abandoned(peer->end),
              "a limit has ended a connection, and the kernel keeps its output");
    /* Of a handshake that was given up nothing has to come. */
    bool given_up = connection->tls && !connection->opened[1 - peer->side];
    if (world->is_abandoned == NULL || given_up || is_excused(connection) || !ending->orderly ||
        !ending->unsent || peer->ended || !lingers(ending, berth_loop_now(sim.loop)))
        return;
    sim_check(!world->is_abandoned(peer->end), "a graceful end does not wait for its output");
}

static void look_for_resets(void)
{
    for (size_t i = 0; i < SIM_ALL_PEERS && world->is_reset != NULL; i++) {
        struct peer_model *peer = &sim.peers[i];
        if (peer->end != NULL)
            look_for_abandoned(peer);
        if (peer->end == NULL || peer->was_reset || !world->is_reset(peer->end))
            continue;
        peer->was_reset = true;
        peer->reset_time = berth_loop_now(sim.loop);
        sim_judge_reset(peer->connection, peer->side);
    }
}

/* ---- descriptors ----------------------------------------------------------------------------- */

void sim_going(unsigned descriptors)
{
    if (ends.count == MOST_GOING)
        ends.going[MOST_GOING - 1].descriptors += descriptors;
    else
        ends.going[ends.count++].descriptors = descriptors;
    ends.going[ends.count - 1].time = berth_loop_now(sim.loop);
    ends.going[ends.count - 1].ripe = 0;
}

/* How many descriptors may still be open that were closed. */
static unsigned still_going(uint64_t waits)
{
    uint64_t now = berth_loop_now(sim.loop);
    unsigned kept = 0;
    unsigned descriptors = 0;
    for (unsigned i = 0; i < ends.count; i++) {
        struct going going = ends.going[i];
        /* Whose handlers have not returned is not closed yet. */
        bool returned = sim.depth + sim.inside == 0;
        if (returned && going.ripe == 0 && now > going.time + world->allowance())
            going.ripe = waits + 1;
        if (returned && going.ripe != 0 && waits > going.ripe + LOOKS)
            continue;
        descriptors += going.descriptors;
        ends.going[kept++] = going;
    }
    ends.count = kept;
    return descriptors;
}

static unsigned held_by_servers(void)
{
    unsigned held = 0;
    for (size_t i = 0; i < SIM_SERVERS; i++) {
        const struct server_model *model = &sim.servers[i];
        for (size_t j = 0; j < model->queued; j++)
            held += model->queue[j].socket == NULL;
        if (model->server != NULL)
            held += model->closing > 0 || berth_server_is_listening(model->server);
        held += model->server != NULL && model->sheds; /* the spare one */
    }
    return held + (unsigned)sim_headers_awaited();
}

static unsigned held_by_sockets(void)
{
    unsigned held = 0;
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        const struct socket_model *model = &sim.sockets[i];
        if (model->socket == NULL)
            continue;
        held += model->state != BERTH_STATE_UNCONNECTED || model->owed > 0;
        held += model->adopting; /* maybe in place of another */
    }
    return held;
}

static bool in_incoming(void)
{
    for (unsigned i = 0; i < sim.depth; i++) {
        if (sim.frames[i].handler == IN_INCOMING)
            return true;
    }
    return false;
}

/* What lingers gives up its descriptors first. Other things may be lacking too, where the program
 * says so. */
void sim_judge_lack(berth_error error)
{
    if (error != BERTH_ERROR_SOCKET_RESOURCE || sim.other_lack || sim_lossy())
        return;
    sim_check(counts().lingering == 0, "accepting lacks a descriptor, while connections linger");
}

static void look_at_descriptors(void)
{
    berth_loop_counts now = counts();
    sim_check(now.lingering <= BERTH_MOST_LINGERING, "%llu connections linger",
              (unsigned long long)now.lingering);
    if (now.lingering < ends.lingering)
        sim_going((unsigned)(ends.lingering - now.lingering));
    ends.lingering = now.lingering;
    uint64_t awaited = sim_headers_awaited();
    if (awaited < ends.awaited)
        sim_going((unsigned)(ends.awaited - awaited));
    ends.awaited = awaited;
    unsigned going = still_going(now.waits);
    unsigned open = world->open_descriptors();
    unsigned most =
        held_by_servers() + held_by_sockets() + (unsigned)now.lingering + going + in_incoming();
    sim_check(open <= most,
              "%u descriptors are open, for %u listeners and pending connections, %u sockets, "
              "%llu that linger and %u that close",
              open, held_by_servers(), held_by_sockets(), (unsigned long long)now.lingering, going);
}

/* ---- sends ----------------------------------------------------------------------------------- */

void sim_ends_adopt(struct socket_model *model, int descriptor)
{
    model->first_sends = world->whole_sends != NULL ? world->whole_sends(descriptor) : 0;
    model->first_put = model->connection->way[model->side].put;
    model->greeted = true;
}

static void look_at_sends(const struct socket_model *model)
{
    bool connected = model->socket != NULL &&
                     (model->state == BERTH_STATE_CONNECTED || model->state == BERTH_STATE_CLOSING);
    if (!connected || model->connection == NULL || world->whole_sends == NULL || model->dying ||
        model->was_paced)
        return;
    int descriptor = berth_socket_descriptor(model->socket);
    if (descriptor < 0)
        return;
    unsigned sends = world->whole_sends(descriptor) - model->first_sends;
    uint64_t bytes = model->connection->way[model->side].put - model->first_put;
    unsigned flights = model->connection->tls ? 6 + model->connection->asked : 0;
    sim_check(sends <= model->batches + 1 + flights + bytes / (LITTLE / 2),
              "output leaves in %u sends, that %u calls have written", sends, model->batches);
}

void sim_ends_look(void)
{
    look_for_resets();
    look_at_descriptors();
    for (size_t i = 0; i < SIM_SOCKETS; i++)
        look_at_sends(&sim.sockets[i]);
}

/* ---- at rest --------------------------------------------------------------------------------- */

/* Whether an end may linger still: its time begins anew when it is over and the peer has taken
 * output meanwhile. One that was torn by a handler of its graceful end had begun to linger
 * already. */
static bool may_linger(const struct connection *connection, int side)
{
    const struct ending *ending = &connection->ending[side];
    uint64_t most = (uint64_t)LINGER_MILLISECONDS * 2;
    bool ended = ending->orderly || (connection->torn && ending->time > 0);
    uint64_t read_at = connection->way[side].read_at;
    uint64_t last = read_at > ending->time ? read_at : ending->time;
    return ended && berth_loop_now(sim.loop) <= last + most + world->allowance();
}

static uint64_t may_all_linger(void)
{
    uint64_t most = sim_tls_unheard((uint64_t)LINGER_MILLISECONDS * 2 + world->allowance());
    for (size_t i = 0; i < sim.connection_count; i++)
        most += may_linger(&sim.connections[i], 0) + may_linger(&sim.connections[i], 1);
    return most;
}

bool sim_ends_linger(void)
{
    return counts().lingering > 0 && may_all_linger() > 0;
}

void sim_ends_rest(void)
{
    uint64_t most = may_all_linger();
    uint64_t now = counts().lingering;
    sim_check(now <= most, "%llu connections linger, %llu of them at most with a reason",
              (unsigned long long)now, (unsigned long long)most);
}
