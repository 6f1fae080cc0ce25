/*
 * What is owed to peers, inside handlers.
 *
 * A handler may wait for its peer, which waits for what the library has of this connection: the
 * last flight of a handshake, the answer to a record, output. So nothing of that may be kept until
 * the handler returns: a turn of the loop sends what everybody is owed, and a blocking wait what
 * the peer of its own socket is.
 *
 * What is owed is noted when the handler begins to wait. Then the peers read, until they have it,
 * or nothing has moved for longer than the kernel takes for anything.
 */
#include "calls.h"
#include "world.h"

#define ROUNDS 400u
#define MILLISECONDS 5 /* of one */
#define PATIENCE 100u  /* likewise, without a movement */
#define LOOKS 20u      /* and in so many rounds, where a flood takes up the time of a few */
#define REAL_PATIENCE 5000u

struct debt {
    struct connection *connection; /* NULL: none */
    uint64_t written;
    uint64_t heard; /* bytes that the program has been shown of the peer's */
    bool finished;  /* and their end */
};

static struct socket_model *holder_of(const struct peer_model *peer)
{
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        struct socket_model *model = &sim.sockets[i];
        if (model->socket != NULL && model->connection == peer->connection &&
            model->side != peer->side)
            return model;
    }
    return NULL;
}

static bool is_pending(const struct connection *connection)
{
    for (size_t i = 0; i < SIM_SERVERS; i++) {
        const struct server_model *server = &sim.servers[i];
        for (size_t j = 0; j < server->queued && server->closing == 0; j++) {
            if (server->queue[j].connection == connection && server->queue[j].socket == NULL)
                return true;
        }
    }
    return false;
}

/* Whether nothing can keep from the peer what he is owed: not for good, and not for a while. */
static bool is_good(const struct peer_model *peer)
{
    const struct connection *connection = peer->connection;
    if (peer->end == NULL || peer->over || !world->is_established(peer->end) ||
        !sim_is_sound(connection) || connection->torn || connection->through != NULL)
        return false;
    for (int side = 0; side < 2; side++) {
        const struct way *way = &connection->way[side];
        if (!sim_complete(way) || way->closed || way->reset)
            return false;
    }
    if (connection->tls && (!connection->opened[1 - peer->side] || connection->wrong ||
                            connection->wrong_later || connection->mistrusted))
        return false;
    const struct socket_model *model = holder_of(peer);
    if (model == NULL)
        return is_pending(connection);
    return !model->dying && model->state == BERTH_STATE_CONNECTED && model->rates[1] == NULL;
}

static struct debt debt_to(const struct peer_model *peer)
{
    const struct socket_model *model = peer->end != NULL ? holder_of(peer) : NULL;
    if (peer->end == NULL || !is_good(peer))
        return (struct debt){0};
    struct debt debt = {.connection = peer->connection,
                        .written = peer->connection->way[1 - peer->side].put};
    if (model != NULL) {
        debt.heard =
            peer->connection->way[peer->side].got + berth_socket_bytes_available(model->socket);
        debt.finished = model->finished;
    }
    return debt;
}

static bool is_owed(const struct peer_model *peer, const struct debt *debt)
{
    return debt->connection != NULL && peer->connection == debt->connection && is_good(peer) &&
           (debt->connection->way[1 - peer->side].got < debt->written ||
            sim_tls_lacks(peer, debt->heard, debt->finished));
}

static const struct peer_model *first_owed(const struct debt *debts)
{
    for (size_t i = 0; i < SIM_PEERS; i++) {
        if (is_owed(&sim.peers[i], &debts[i]))
            return &sim.peers[i];
    }
    return NULL;
}

/* So much has come by now. */
static uint64_t come(void)
{
    uint64_t sum = sim_tls_moved();
    for (size_t i = 0; i < sim.connection_count; i++)
        sum += sim.connections[i].way[0].got + sim.connections[i].way[1].got;
    return sum;
}

bool sim_wait_for_peers(uint64_t word)
{
    struct debt debts[SIM_PEERS];
    struct socket_model *model = sim.frames[sim.depth - 1].socket;
    uint32_t what = sim_choose(&word, 4);
    bool waits = what < 2 && model != NULL && model->socket != NULL && !model->dying &&
                 model->state == BERTH_STATE_CONNECTED && model->connection != NULL;
    enum handler handler = sim.frames[sim.depth - 1].handler;
    if (handler == IN_CONNECTED || handler == IN_STATE)
        sim_peers_read(); /* who has not been accepted is nobody yet */
    for (size_t i = 0; i < SIM_PEERS; i++) {
        debts[i] = debt_to(&sim.peers[i]);
        if (waits && debts[i].connection != model->connection)
            debts[i].connection = NULL;
    }
    if (first_owed(debts) == NULL)
        return false;
    sim_say("a handler waits for the peers%s", waits ? ", by its socket" : "");
    const berth_socket *socket = waits ? model->socket : NULL;
    uint64_t before = come();
    uint64_t last = berth_loop_now(sim.loop);
    unsigned quiet = 0;
    uint64_t patience = world->is_simulated ? PATIENCE : REAL_PATIENCE;
    for (unsigned rounds = 0; rounds < ROUNDS && first_owed(debts) != NULL; rounds++) {
        if (!waits)
            sim_turn(MILLISECONDS);
        else
            sim_wait(model, what == 0 ? 1 : 3, MILLISECONDS);
        if (sim.leaving || (waits && model->socket != socket))
            return true;
        sim_peers_read();
        uint64_t now = berth_loop_now(sim.loop);
        uint64_t sum = come();
        quiet = sum != before ? 0 : quiet + 1;
        if (quiet == 0)
            last = now;
        before = sum;
        const struct peer_model *peer = first_owed(debts);
        sim_check(peer == NULL || now <= last + patience || quiet < LOOKS,
                  "peer %td is owed something, and does not get it while a handler waits",
                  peer - sim.peers);
    }
    return true;
}
