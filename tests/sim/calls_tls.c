/*
 * Calls of encrypted connections: STARTTLS, several who shake hands at once, what servers are set
 * to, peers that go wrong later, and engines that fail. What is expected of all that is in tls.c.
 */
#include "calls.h"
#include "world.h"

#include "toy_engine.h"

#define MOST_PATIENCE 600u

/* ---- STARTTLS -------------------------------------------------------------------------------- */

static struct peer_model *peer_of(const struct socket_model *model)
{
    for (size_t i = 0; i < SIM_PEERS; i++) {
        struct peer_model *peer = &sim.peers[i];
        if (peer->end != NULL && peer->connection == model->connection && peer->side != model->side)
            return peer;
    }
    return NULL;
}

static struct socket_model *partner_of(const struct socket_model *model)
{
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        struct socket_model *other = &sim.sockets[i];
        if (other != model && other->socket != NULL && other->connection == model->connection)
            return other;
    }
    return NULL;
}

/* The side that has connected is the client. */
static bool start(struct socket_model *model, uint64_t word)
{
    char name[SIM_NAME];
    sim_tls_name(model->connection, name);
    uint64_t now = berth_loop_now(sim.loop);
    bool started = model->side == 0
                       ? berth_socket_start_client_encryption(
                             model->socket, &sim_tls_toy(false, false, &word)->tls, name)
                       : berth_socket_start_server_encryption(
                             model->socket, &sim_tls_toy(true, false, &word)->tls);
    sim_say("socket %zu begins to encrypt%s", sim_number_of(model), started ? "" : ", in vain");
    if (started)
        sim_tls_begin_shaking(model, now);
    return started;
}

static bool may_start(const struct socket_model *model)
{
    return model->state == BERTH_STATE_CONNECTED && model->queued_in == NULL && !model->shut &&
           !model->dying && !model->connection->tls;
}

static void note_start(struct connection *connection)
{
    connection->tls = connection->known = true;
    connection->clear[0] = connection->way[0].put;
    connection->clear[1] = connection->way[1].put;
}

/* With a peer. What he has sent before, and has not come yet, is no TLS. */
static void start_with_peer(struct socket_model *model, struct peer_model *peer, uint64_t word)
{
    struct connection *connection = model->connection;
    const struct way *in = sim_way_in(model);
    bool before = connection->tls;
    bool unread = berth_socket_bytes_available(model->socket) > 0;
    bool unsent = berth_socket_bytes_to_write(model->socket) > 0;
    bool may = may_start(model);
    uint32_t name = connection->tls_name;
    if (!before) /* it takes another one that is refused for a good one */
        connection->tls_name = sim_tls_new_name();
    if (!start(model, word)) {
        connection->tls_name = name;
        return;
    }
    sim_check(may && !before && !unread && !unsent, "a connection is encrypted that must not be");
    note_start(connection);
    sim_tls_mark(connection);
    if (in->put > in->got || peer->ended) {
        connection->wrong = true;
        connection->way[0].cut = connection->way[1].cut = true;
    }
    sim_tls_start(peer);
}

static void start_pair(struct socket_model *model, struct socket_model *other, uint64_t word)
{
    struct connection *connection = model->connection;
    const struct way *way = connection->way;
    struct socket_model *server = model->side == 1 ? model : other;
    struct socket_model *client = model->side == 1 ? other : model;
    bool quiet = way[0].put == way[0].got && way[1].put == way[1].got;
    if (!quiet || !may_start(model) || !may_start(other) || way[0].ended || way[1].ended ||
        way[0].cut || way[1].cut)
        return;
    connection->tls_name = sim_tls_new_name();
    bool started = start(server, word);
    if (!started)
        return;
    note_start(connection);
    if (start(client, word))
        return;
    sim_cut(connection);
    server->calls++;
    berth_socket_abort(server->socket);
    server->calls--;
}

static void start_encryption(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    if (model == NULL || model->connection == NULL || model->dying || model->calls > 0 ||
        model->starts)
        return;
    struct peer_model *peer = peer_of(model);
    struct socket_model *other = partner_of(model);
    const struct preface *preface = &model->connection->preface;
    bool header = (sim.topics >> TOPIC_HEADERS & 1) != 0 && !preface->whole && !preface->none;
    if (peer != NULL && peer->header_sent == peer->header_size && !peer->is_mute &&
        world->is_established(peer->end) && (peer->side == 0 || !header))
        start_with_peer(model, peer, word);
    else if (other != NULL)
        start_pair(model, other, word);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void set_server(uint64_t word)
{
    struct server_model *model = sim_some_server(&word);
    if (model == NULL)
        return;
    if (!berth_server_is_listening(model->server) && !model->drain.on)
        sim_tls_server(model);
    else if (model->greeter.on && sim_choose(&word, 3) == 0)
        sim_tls_set_configurations(model, word);
    else if (model->greeter.on)
        sim_tls_set_bounds(model, word);
}

/* Several at once, who go on with their handshakes. */
static void bring_crowd(uint64_t word)
{
    if (sim.depth > 0)
        return;
    sim_connect_peers(word);
    for (uint32_t rounds = 1 + sim_choose(&word, 4); rounds > 0 && !sim.leaving; rounds--) {
        sim_turn(1);
        sim_peers_read();
        sim_tls_finish();
    }
}

static void go_wrong(uint64_t word)
{
    uint32_t first = sim_choose(&word, SIM_PEERS);
    for (uint32_t i = 0; i < SIM_PEERS; i++) {
        struct peer_model *peer = &sim.peers[(first + i) % SIM_PEERS];
        if (peer->end == NULL || !sim_tls_is_open(peer))
            continue;
        sim_tls_go_wrong(peer, sim_choose(&word, 4));
        return;
    }
}

static void wait_for_encrypted(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    if (model == NULL)
        return;
    int milliseconds = (int)sim_choose(&word, 20);
    sim_say("socket %zu waits %d ms to be encrypted", sim_number_of(model), milliseconds);
    berth_socket *socket = model->socket;
    struct connection *connection = model->connection;
    bool timed_out = model->timed_out;
    model->calls++;
    struct sim_stay stay;
    sim_stay_begin(&stay, milliseconds, true);
    bool found = berth_socket_wait_for_encrypted(socket, milliseconds);
    (void)sim_stay_end(&stay);
    model->calls--;
    model->timed_out = timed_out;
    sim_check(!found || model->socket == socket, "a wait for a freed socket succeeds");
    if (model->socket != socket || model->connection != connection || model->dying)
        return;
    sim_check(!found || model->encrypted, "a wait has ended before the handshake");
}

/* Of an engine: the next record of somebody is broken, or there is no memory for a while. */
static void break_engine(uint64_t word)
{
    bool server = sim_choose(&word, 2) == 0;
    struct toy *toy = sim_tls_toy(server, true, &word);
    if (sim_choose(&word, 2) == 0) {
        sim_say("an engine will break");
        toy->breaks = true;
    } else if (sim.may_lose) {
        toy->lacks_memory = !toy->lacks_memory;
        sim.lossy = true;
        sim_say("engines %s memory", toy->lacks_memory ? "lack" : "have");
    }
}

static void let_time_pass(uint64_t word)
{
    uint64_t milliseconds = 50 + sim_choose(&word, MOST_PATIENCE);
    if (sim.depth > 0)
        return;
    sim_say("handshakes have %llu ms", (unsigned long long)milliseconds);
    sim_let_time_pass(milliseconds);
}

/* Until the peers have what they are owed, see owed.c. */
static void plan_wait(uint64_t word)
{
    static const enum handler handlers[] = {
        IN_ENCRYPTED, IN_ENCRYPTED, IN_READY_READ, IN_READY_READ, IN_NEW_CONNECTION,
        IN_FINISHED,  IN_STATE,     IN_CONNECTED,  IN_INCOMING,   IN_BYTES_WRITTEN,
        IN_DRAINED,   IN_TIMER,     IN_TASK,       IN_HELLO,      IN_HANDSHAKE_FAILED,
    };
    enum handler handler = handlers[sim_choose(&word, sizeof handlers / sizeof handlers[0])];
    sim.traps[sim_choose(&word, SIM_TRAPS)] =
        (struct trap){.set = true, .waits = true, .handler = handler, .word = word};
    sim_say("the next %s will wait for the peers", sim_handler_names[handler]);
}

void sim_call_of_tls(uint64_t word)
{
    static void (*const calls[])(uint64_t word) = {
        start_encryption, start_encryption, start_encryption, bring_crowd,
        bring_crowd,      bring_crowd,      set_server,       set_server,
        go_wrong,         go_wrong,         let_time_pass,    wait_for_encrypted,
        break_engine,     plan_wait,        plan_wait,        plan_wait,
    };
    uint32_t chosen = sim_choose(&word, sizeof calls / sizeof calls[0]);
    calls[chosen](word);
}
