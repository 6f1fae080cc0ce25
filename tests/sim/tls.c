/*
 * Encrypted connections, by the toy engine: servers that encrypt, and sockets that do.
 *
 * Whether a server encrypts changes only while it does not listen, so that it is known of each
 * connection by the port that it goes to; where there are Unix sockets, all servers do. What a
 * client asks for has a number that nobody else has, by which the connection is known when its
 * handshake is complete in the engine, chosen for in client_hello, or has failed.
 *
 * What is expected: every byte of plaintext once and in order, as without encryption. A server's
 * connection is announced once, when its handshake is complete and never before, and never if its
 * peer lies; `encrypted` once, before any byte. A handshake fails with a cause, and is told once
 * with a class that fits; guests of a server are in its books, within its limits and its time. An
 * orderly end is told from one that was cut.
 */
#include "calls.h"
#include "world.h"

#include "base/fault.h"
#include "toy_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVERS 2
#define CLIENTS 3
#define MOST_PATIENCE 600u
/* One without a look at the kernel, and one in which it is let off, since what the look has found
 * has to run first: both as one that awaits a header, and again as one that awaits its hello. */
#define LATE_TURNS 4u
/* One without a look at the kernel; and what has come by the next may need some more. */
#define SHAKING_TURNS 6u
#define REFUSED 3u /* of sixteen names */
#define FIRST_OTHER 4u
#define LAST_OTHER 5u

static struct {
    struct toy *servers[SERVERS];
    struct toy *refuser;
    struct toy *clients[CLIENTS]; /* the last mistrusts */
    uint32_t names;
    uint64_t words;
    struct connection *opened; /* by a server's engine, and not announced yet */
    bool broke;
    uint64_t unheard;    /* guests that have ended, of whom it is not known who they were */
    uint64_t unheard_at; /* the last of them */
} tls;

static bool is_topic(void)
{
    return (sim.topics >> TOPIC_TLS & 1) != 0;
}

uint64_t sim_tls_word(void)
{
    uint64_t word = (sim.step + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ ++tls.words;
    word *= UINT64_C(0xbf58476d1ce4e5b9);
    return word ^ word >> 29;
}

/* ---- names ----------------------------------------------------------------------------------- */

uint32_t sim_tls_new_name(void)
{
    return ++tls.names;
}

static bool is_refused(uint32_t name)
{
    return name % 16 == REFUSED;
}

static bool is_other(uint32_t name)
{
    return name % 16 >= FIRST_OTHER && name % 16 <= LAST_OTHER;
}

static void write_name(uint32_t name, char ret_name[SIM_NAME])
{
    const char *end = is_refused(name) ? "no" : is_other(name) ? "other" : "ok";
    snprintf(ret_name, SIM_NAME, "k%u.%s", name, end);
}

void sim_tls_name(const struct connection *connection, char ret_name[SIM_NAME])
{
    write_name(connection->tls_name, ret_name);
}

/* NULL: nobody has asked for it. */
static struct connection *asked_for(const char *name)
{
    uint32_t number = name[0] == 'k' ? (uint32_t)strtoul(name + 1, NULL, 10) : 0;
    for (size_t i = sim.connection_count; i-- > 0 && number > 0;) {
        if (sim.connections[i].tls_name == number)
            return &sim.connections[i];
    }
    return NULL;
}

/* ---- the engine ------------------------------------------------------------------------------ */

static void on_opened(const struct toy *toy, const char *name)
{
    struct connection *connection = asked_for(name);
    (void)toy;
    sim_check(connection != NULL && connection->tls, "a handshake of nobody is complete");
    sim_check(!connection->wrong, "a handshake is complete with a liar");
    if (connection->guest == NULL)
        return;
    sim_check(tls.opened == NULL, "a handshake was complete, and nobody was told");
    tls.opened = connection;
}

static void on_broke(const struct toy *toy, const char *name)
{
    struct connection *connection = asked_for(name);
    (void)toy;
    tls.broke = true;
    if (connection == NULL)
        return;
    connection->wrong_later = true;
    sim_cut(connection);
}

static struct toy *make_toy(bool server, const char *suite)
{
    struct toy *toy = toy_new(server);
    toy->suite = suite;
    toy->opened = on_opened;
    toy->broke = on_broke;
    return toy;
}

void sim_tls_begin(uint64_t word)
{
    memset(&tls, 0, sizeof tls);
    word *= UINT64_C(0x9e3779b97f4a7c15);
    word ^= word >> 32;
    if (sim_choose(&word, 4) != 0)
        return;
    sim.topics |= 1u << TOPIC_TLS;
    sim.topics &= ~(1u << TOPIC_PROXIES);
    tls.servers[0] = make_toy(true, "TOY-A");
    tls.servers[1] = make_toy(true, "TOY-B");
    tls.servers[1]->tls.stop_at_truncation = true;
    tls.refuser = make_toy(true, "TOY-C");
    tls.refuser->refuses = true;
    for (unsigned i = 0; i < CLIENTS; i++)
        tls.clients[i] = make_toy(false, "TOY-D");
    tls.clients[1]->tls.stop_at_truncation = true;
    tls.clients[CLIENTS - 1]->mistrusts = true;
    sim_say("connections may be encrypted");
}

static void give_up(struct toy *toy)
{
    if (toy == NULL)
        return;
    sim_check(toy->engines == 0, "%zu engines are left", (size_t)toy->engines);
    sim_check(toy->tls.holders == 1, "a configuration is held %zu times", (size_t)toy->tls.holders);
    berth_tls_release(&toy->tls);
}

void sim_tls_end_all(void)
{
    for (unsigned i = 0; i < SERVERS; i++)
        give_up(tls.servers[i]);
    give_up(tls.refuser);
    for (unsigned i = 0; i < CLIENTS; i++)
        give_up(tls.clients[i]);
    memset(&tls, 0, sizeof tls);
}

struct toy *sim_tls_toy(bool server, bool mistrusts, uint64_t *word)
{
    return server ? tls.servers[sim_choose(word, SERVERS)]
                  : tls.clients[sim_choose(word, CLIENTS - !mistrusts)];
}

static void note_unheard(uint64_t count)
{
    tls.unheard += count;
    if (count > 0)
        tls.unheard_at = berth_loop_now(sim.loop);
}

uint64_t sim_tls_unheard(uint64_t milliseconds)
{
    return berth_loop_now(sim.loop) <= tls.unheard_at + milliseconds ? tls.unheard : 0;
}

/* ---- causes ---------------------------------------------------------------------------------- */

void sim_tls_mark(struct connection *connection)
{
    if (!sim_tls_lies(connection))
        return;
    connection->wrong = true;
    connection->way[0].cut = connection->way[1].cut = true;
}

bool sim_tls_may_fail(const struct connection *connection)
{
    bool fails = connection->wrong || connection->wrong_later || connection->mistrusted ||
                 connection->torn || is_refused(connection->tls_name) || sim_lossy() ||
                 sim.short_of;
    /* Its socket has given it up before it was there. */
    fails = fails || (!connection->of_peer && !connection->known);
    for (int side = 0; side < 2; side++) {
        const struct way *way = &connection->way[side];
        fails = fails || way->cut || way->ended || way->closed || way->reset;
    }
    return fails;
}

/* ---- servers --------------------------------------------------------------------------------- */

bool sim_tls_at(uint16_t port)
{
    for (size_t i = 0; i < SIM_SERVERS && port != 0; i++) {
        const struct server_model *model = &sim.servers[i];
        if (model->server != NULL && model->closing == 0 && sim_port(model) == port)
            return model->greeter.on;
    }
    return false;
}

static void set_times(struct server_model *model, uint32_t milliseconds)
{
    struct sim_greeter *greeter = &model->greeter;
    bool first = greeter->patience == 0;
    berth_server_set_handshake_timeout(model->server, milliseconds);
    sim_check(berth_server_handshake_timeout(model->server) == milliseconds,
              "the time for handshakes was not kept");
    greeter->patience =
        first || milliseconds < greeter->patience ? milliseconds : greeter->patience;
    greeter->most_patience =
        milliseconds > greeter->most_patience ? milliseconds : greeter->most_patience;
}

static void note_shaking(struct server_model *model)
{
    struct sim_greeter *greeter = &model->greeter;
    berth_server_counts counts;
    berth_server_statistics(model->server, &counts);
    uint64_t most = (uint64_t)berth_server_max_handshakes(model->server);
    uint64_t shaking = counts.handshaking + (greeter->lowered ? greeter->choosing : 0);
    greeter->most_shaking = shaking > most ? shaking : most;
    greeter->most_handshakes = most > greeter->most_handshakes ? most : greeter->most_handshakes;
    most = (uint64_t)berth_server_max_greetings(model->server);
    greeter->most_greeting = counts.greeting > most ? counts.greeting : most;
}

void sim_tls_set_bounds(struct server_model *model, uint64_t word)
{
    static const int bounds[] = {1, 2, 3, 50};
    if (sim_choose(&word, 2) == 0)
        berth_server_set_max_handshakes(model->server, bounds[sim_choose(&word, 4)]);
    if (sim_choose(&word, 2) == 0)
        berth_server_set_max_greetings(model->server, bounds[sim_choose(&word, 4)]);
    if (sim_choose(&word, 2) == 0)
        set_times(model, 1 + sim_choose(&word, MOST_PATIENCE));
    model->greeter.lowered = model->greeter.lowered || model->greeter.choosing > 0;
    note_shaking(model);
    sim_say("server %zu: %d handshakes, %d greetings, %u ms", sim_index_of(model),
            berth_server_max_handshakes(model->server), berth_server_max_greetings(model->server),
            berth_server_handshake_timeout(model->server));
}

static bool set_all(berth_server *server, struct toy *toy)
{
    return berth_server_set_tls(server, &toy->tls) &&
           berth_server_set_tls_host(server, "*.no", &tls.refuser->tls) &&
           berth_server_set_tls_host(server, "*.other", &tls.servers[1]->tls);
}

void sim_tls_set_configurations(struct server_model *model, uint64_t word)
{
    berth_server *server = model->server;
    struct toy *toy = tls.servers[sim_choose(&word, SERVERS)];
    berth_tls_release(berth_tls_hold(&toy->tls));
    bool set = set_all(server, toy);
    sim_check(set || sim_lossy(), "a server cannot have its configurations");
    if (!set) { /* its clients will encrypt */
        berth__fault_clear();
        set = set_all(server, toy);
    }
    sim_check(set && berth_server_tls(server) == &toy->tls, "a configuration was not kept");
    sim_check(!berth_server_set_tls(server, &tls.clients[0]->tls), "a server gets a client's");
    model->greeter.on = true;
}

void sim_tls_server(struct server_model *model)
{
    uint64_t word = sim_tls_word();
    bool all = (sim.topics >> TOPIC_LOCAL & 1) != 0;
    if (!is_topic())
        return;
    bool encrypts = sim_choose(&word, 4) > 0 || all;
    sim_say("server %zu %s", sim_index_of(model), encrypts ? "encrypts" : "does not encrypt");
    if (!encrypts) {
        model->greeter.on = model->greeter.on && !berth_server_set_tls(model->server, NULL);
        return;
    }
    sim_tls_set_configurations(model, word);
    set_times(model, 1 + sim_choose(&word, MOST_PATIENCE));
    note_shaking(model);
}

void sim_tls_guest(struct server_model *model, struct connection *connection)
{
    connection->guest = model;
    connection->way[0].at_risk = connection->way[1].at_risk = true;
    model->greeter.guests++;
}

struct connection *sim_tls_arrived(struct server_model *model)
{
    struct connection *connection = tls.opened;
    if (connection == NULL || connection->guest != model)
        return NULL;
    tls.opened = NULL;
    connection->guest = NULL;
    sim_check(!connection->failure_told, "a connection comes whose handshake has failed");
    sim_check(!is_refused(connection->tls_name), "a connection comes that was refused");
    sim_check(!connection->of_peer || connection->shaken[0] || connection->way[0].cut,
              "a connection comes before its handshake is complete");
    model->greeter.arrived++;
    connection->opened[1] = true;
    return connection;
}

void sim_tls_lost(struct server_model *model)
{
    for (size_t i = 0; i < sim.connection_count; i++) {
        struct connection *each = &sim.connections[i];
        if (each->guest != model)
            continue;
        sim_cut(each);
        each->guest = NULL;
    }
    if (model->server != NULL)
        model->greeter.lost += sim_tls_shaking(model);
}

uint64_t sim_tls_shaking(const struct server_model *model)
{
    berth_server_counts counts;
    berth_server_statistics(model->server, &counts);
    return counts.greeting + counts.handshaking;
}

/* Those whose whereabouts are in the books of the server. */
static uint64_t known_guests(const struct server_model *model, const berth_server_counts *counts)
{
    return model->greeter.arrived + counts->greeting + counts->handshaking +
           counts->failed_handshake + counts->rejected_greeting;
}

bool sim_tls_may_end_guests(const struct server_model *model)
{
    return !sim.may_lose || (!model->greeter.on && model->greeter.guests == 0);
}

uint64_t sim_tls_ended_guests(const struct server_model *model, const berth_server_counts *counts)
{
    const struct sim_greeter *greeter = &model->greeter;
    uint64_t known = known_guests(model, counts) + greeter->lost;
    return sim.may_lose || greeter->guests < known ? 0 : greeter->guests - known;
}

void sim_tls_look(struct server_model *model, const berth_server_counts *counts)
{
    struct sim_greeter *greeter = &model->greeter;
    uint64_t known = known_guests(model, counts);
    uint64_t ended =
        counts->failed + counts->dropped + counts->closed_pending + counts->closed_drain;
    sim_check(tls.opened == NULL, "a handshake is complete, and nobody is told");
    sim_check(known <= greeter->guests && greeter->guests <= known + ended + greeter->lost,
              "%lu guests have come, and %llu are known of", greeter->guests,
              (unsigned long long)known);
    sim_check(counts->handshakes == greeter->arrived, "%llu handshakes, and %lu have arrived",
              (unsigned long long)counts->handshakes, greeter->arrived);
    sim_check(greeter->told <= counts->failed_handshake &&
                  (sim.depth + sim.inside > 0 || greeter->told == counts->failed_handshake),
              "%llu handshakes have failed, and %lu were told",
              (unsigned long long)counts->failed_handshake, greeter->told);
    sim_check(counts->handshaking <= greeter->most_shaking, "%llu handshakes at once",
              (unsigned long long)counts->handshaking);
    sim_check(counts->greeting <= greeter->most_greeting, "%llu greetings at once",
              (unsigned long long)counts->greeting);
    uint64_t unheard = sim_tls_ended_guests(model, counts);
    note_unheard(unheard > greeter->ended ? unheard - greeter->ended : 0);
    greeter->ended = unheard;
    if (greeter->on)
        note_shaking(model);
    if (model->paused || model->stopped || model->waits > 0)
        greeter->odd_at = berth_loop_now(sim.loop);
}

/* ---- handlers of servers --------------------------------------------------------------------- */

berth_tls *sim_on_hello(berth_server *server, const berth_tls_hello *hello, void *user)
{
    struct server_model *model = user;
    struct connection *connection = asked_for(hello->server_name);
    sim_check(model->server == server, "client_hello of a server that was freed");
    sim_check(connection != NULL && connection->guest == model, "a hello of nobody");
    uint32_t name = connection->tls_name;
    struct toy *toy = tls.servers[is_other(name)];
    model->greeter.choosing++;
    sim_spring(IN_HELLO, NULL, model, NULL);
    if (model->server == server) {
        model->greeter.choosing--;
        model->greeter.lowered = model->greeter.lowered && model->greeter.choosing > 0;
    }
    if (name % 2 == 0 && model->server == server)
        return berth_server_base_client_hello(server, hello);
    return is_refused(name) ? NULL : &toy->tls;
}

/* By its name, or the port that it has come from. */
static struct connection *who_failed(const struct server_model *model,
                                     const berth_tls_failure *failure)
{
    struct connection *connection = asked_for(failure->server_name);
    if (connection != NULL)
        return connection;
    for (size_t i = 0; i < sim.connection_count; i++) {
        struct connection *each = &sim.connections[i];
        if (each->guest == model && !each->local && !each->headed &&
            each->port == failure->peer_port)
            return each;
    }
    return NULL;
}

void sim_on_handshake_failed(berth_server *server, const berth_tls_failure *failure, void *user)
{
    struct server_model *model = user;
    sim_check(model->server == server, "handshake_failed of a server that was freed");
    model->greeter.told++;
    sim_check(failure->text != NULL && failure->text[0] != '\0', "a failure without a word");
    struct connection *connection = who_failed(model, failure);
    sim_say("a handshake of server %zu has failed: %s", sim_index_of(model), failure->text);
    if (connection != NULL) {
        sim_check(!connection->failure_told, "a handshake fails twice");
        sim_check(connection->guest == model, "a handshake fails that was complete");
        connection->failure_told = true;
        connection->guest = NULL;
        bool late = failure->error == BERTH_ERROR_SOCKET_TIMEOUT;
        sim_check(!late || model->drain.on ||
                      sim_now() >= connection->accepted_at + model->greeter.patience,
                  "a handshake is over before its time");
        sim_check(late || sim_tls_may_fail(connection), "a handshake fails without a cause: %s",
                  failure->text);
        sim_check(late || failure->error == BERTH_ERROR_TLS_HANDSHAKE_FAILED ||
                      failure->error == BERTH_ERROR_REMOTE_HOST_CLOSED ||
                      sim_tls_may_fail(connection),
                  "a handshake fails with class %d", failure->error);
        sim_cut(connection);
        connection->ending[1].time = berth_loop_now(sim.loop); /* from then on it may linger */
    } else {
        model->greeter.unknown++;
        note_unheard(1);
    }
    sim_going(1);
    sim_spring(IN_HANDSHAKE_FAILED, NULL, model, NULL);
}

/* ---- sockets --------------------------------------------------------------------------------- */

/* It is about to connect. False: it cannot be told to encrypt. */
bool sim_tls_connect(struct socket_model *model, uint16_t port)
{
    uint64_t word = sim_tls_word();
    if (!is_topic())
        return true;
    bool local = (sim.topics >> TOPIC_LOCAL & 1) != 0;
    bool encrypts = local || sim_tls_at(port) || (sim_is_tests(port) && sim_choose(&word, 2) == 0);
    uint32_t which = sim_choose(&word, 16) == 0 ? CLIENTS - 1 : sim_choose(&word, CLIENTS - 1);
    char name[SIM_NAME];
    model->tls_name = sim_tls_new_name();
    model->mistrusts = which == CLIENTS - 1;
    write_name(model->tls_name, name);
    sim_say("socket %zu %s", sim_number_of(model), encrypts ? "will encrypt" : "will not encrypt");
    berth_tls *client = encrypts ? &tls.clients[which]->tls : NULL;
    if (!berth_socket_set_tls(model->socket, client, name)) {
        sim_check(sim_lossy(), "a socket cannot be told to encrypt");
        return false;
    }
    if (sim_choose(&word, 4) == 0)
        (void)berth_socket_set_tls_session(model->socket, "toy", sim_choose(&word, 4));
    model->encrypts = encrypts;
    return true;
}

void sim_tls_begin_shaking(struct socket_model *model, uint64_t now)
{
    model->encrypted = false;
    model->shakes = now;
    model->tls_patience = berth_socket_connect_timeout(model->socket);
}

/* The connection that it has begun. */
void sim_tls_connected(struct socket_model *model)
{
    struct connection *connection = model->connection;
    connection->known = true;
    model->encrypted = false;
    if (!is_topic() || !model->encrypts)
        return;
    connection->tls = true;
    connection->tls_name = model->tls_name;
    connection->mistrusted = model->mistrusts && model->tls_name % 2 == 1;
    if (sim_is_tests(connection->to))
        sim_tls_mark(connection);
    sim_tls_begin_shaking(model, berth_loop_now(sim.loop));
}

/* Before it takes a connection: what comes is encrypted, and the socket does not know yet. */
void sim_tls_await(struct socket_model *model, const struct connection *connection)
{
    if (!connection->still_clear)
        return;
    model->starts = model->paused = model->begins_paused = true;
    berth_socket_pause_reading(model->socket);
}

/* A socket of the program's own has taken it, in place of its server's. */
void sim_tls_adopted(struct connection *connection)
{
    berth_tls *server = &tls.servers[connection->way[1].key % SERVERS]->tls;
    struct socket_model *model = NULL;
    connection->still_clear = false;
    connection->clear[1] = connection->way[1].put;
    for (size_t i = 0; i < SIM_SOCKETS && model == NULL; i++) {
        if (sim.sockets[i].connection == connection && sim.sockets[i].side == 1)
            model = &sim.sockets[i];
    }
    if (model == NULL || model->socket == NULL || model->dying)
        return;
    sim_tls_begin_shaking(model, berth_loop_now(sim.loop));
    bool started = berth_socket_start_server_encryption(model->socket, server);
    model->starts = model->paused = false;
    berth_socket_resume_reading(model->socket);
    sim_clock_resume(model);
    if (started)
        return;
    sim_cut(connection);
    model->calls++;
    berth_socket_abort(model->socket);
    model->calls--;
}

void sim_tls_taken(struct socket_model *model)
{
    model->encrypted = model->connection->tls;
    if (model->state == BERTH_STATE_UNCONNECTED) /* it may have failed in the queue, and linger */
        model->connection->ending[1].time = berth_loop_now(sim.loop);
    if (model->encrypted) /* its limits began with its handshake */
        berth_socket_limits(model->socket, &model->limits);
}

void sim_on_encrypted(berth_socket *socket, void *user)
{
    struct socket_model *model = user;
    const struct connection *connection = model->connection;
    const struct way *in = sim_way_in(model);
    sim_check(model->socket == socket, "encrypted of a socket that was freed");
    sim_check(connection != NULL && connection->tls, "a plain connection is encrypted");
    sim_check(!model->encrypted, "encrypted twice");
    sim_check(!connection->wrong, "a connection is encrypted with a liar");
    sim_check(berth_socket_is_encrypted(socket), "encrypted, and it says that it is not");
    sim_check(in->got + berth_socket_bytes_available(socket) <= connection->clear[1 - model->side],
              "encrypted comes behind data");
    model->encrypted = model->connection->opened[model->side] = true;
    sim_say("socket %zu is encrypted", sim_number_of(model));
    sim_spring(IN_ENCRYPTED, model, NULL, NULL);
}

bool sim_on_problem(berth_socket *socket, const berth_tls_problem *problem, void *user)
{
    const struct socket_model *model = user;
    sim_check(model->socket == socket && model->connection != NULL && problem->text != NULL,
              "a problem of nobody");
    return !model->connection->mistrusted;
}

bool sim_tls_failed(struct socket_model *model, berth_error error)
{
    struct connection *connection = model->connection;
    bool late = error == BERTH_ERROR_SOCKET_TIMEOUT &&
                strstr(berth_socket_error_string(model->socket), "TLS handshake") != NULL;
    bool of_tls = error == BERTH_ERROR_TLS_HANDSHAKE_FAILED || error == BERTH_ERROR_TLS_INTERNAL;
    if (!of_tls && !late)
        return false;
    sim_check(connection != NULL && connection->tls, "an error of TLS without TLS");
    sim_check(!late || !model->encrypted, "a handshake is late that was complete");
    sim_check(!late ||
                  (model->tls_patience > 0 && sim_now() >= model->shakes + model->tls_patience),
              "a handshake is late before its time");
    /* A server may turn it away, or give it up for somebody else, without a word; or nobody has
     * come but one who tries a place. */
    bool given_up = connection->tls_name == 0;
    given_up = given_up || (!sim_is_tests(connection->to) &&
                            (!connection->accepted || connection->way[0].at_risk));
    sim_check(late || given_up || sim_tls_may_fail(connection),
              "a connection fails without a cause: %s", berth_socket_error_string(model->socket));
    sim_check(error != BERTH_ERROR_TLS_INTERNAL || tls.broke, "nothing was broken");
    sim_cut(connection);
    return true;
}

/* Whether that side is a socket's whose handshake was not complete: it ends without a mark, though
 * its peer may be encrypted by then. */
static bool was_never_open(const struct connection *connection, int side)
{
    bool is_peer = side == 0 ? connection->of_peer : sim_is_tests(connection->to);
    return !is_peer && !connection->opened[side];
}

/* For want of descriptors an end has not lingered: what was under way then, the mark too, may be
 * lost in a reset. */
static bool is_cut_short(const struct socket_model *model)
{
    berth_loop_counts counts;
    berth_loop_statistics(sim.loop, &counts);
    return counts.lingers_cut > 0 && berth_socket_was_reset(model->socket);
}

/* Whether the end was an orderly one. */
void sim_tls_end_heard(struct socket_model *model)
{
    const struct connection *connection = model->connection;
    const struct way *in = sim_way_in(model);
    if (in == NULL || !connection->tls || !model->encrypted || model->leaving ||
        !sim_complete(in) || connection->torn || was_never_open(connection, 1 - model->side) ||
        is_cut_short(model))
        return;
    bool orderly = !connection->truncated[1 - model->side];
    bool truncated = berth_socket_tls_was_truncated(model->socket);
    sim_check(!orderly || !truncated, "an orderly end is told as one that was cut");
    sim_check(orderly || truncated, "an end that was cut is told as an orderly one");
}

void sim_tls_look_at_socket(struct socket_model *model)
{
    const struct connection *connection = model->connection;
    const struct way *in = sim_way_in(model);
    const berth_socket *socket = model->socket;
    if (!is_topic() || connection == NULL ||
        (model->state != BERTH_STATE_CONNECTED && model->state != BERTH_STATE_CLOSING))
        return;
    bool encrypted = connection->tls && model->encrypted;
    sim_check(berth_socket_is_encrypted(socket) == encrypted, "is_encrypted is wrong");
    sim_check(!connection->tls || encrypted ||
                  in->got + model->seen <= connection->clear[1 - model->side],
              "data come before encrypted");
    sim_check((berth_socket_tls_version(socket) != BERTH_TLS_VERSION_NONE) == encrypted &&
                  (strncmp(berth_socket_tls_cipher(socket), "TOY", 3) == 0) == encrypted,
              "the answers of an encrypted connection are wrong");
    size_t size;
    const void *certificate = berth_socket_peer_certificate(socket, &size);
    bool client = encrypted && model->side == 0;
    sim_check((certificate != NULL) == client && (size == 3) == client,
              "the certificate of the peer is wrong");
    sim_check((berth_socket_tls_session(socket, NULL, 0) > 0) == client, "a session is wrong");
    sim_check(encrypted || (!berth_socket_tls_was_resumed(socket) &&
                            !berth_socket_is_peer_verified(socket) &&
                            berth_socket_tls_protocol(socket)[0] == '\0'),
              "a plain connection says that it is encrypted");
    char name[SIM_NAME];
    sim_tls_name(connection, name);
    sim_check(strcmp(berth_socket_tls_server_name(socket), encrypted ? name : "") == 0,
              "a connection has asked for another name");
    sim_check(connection->tls || berth_socket_encrypted_bytes_to_write(socket) == 0,
              "encrypted output without encryption");
    sim_check(!berth_socket_tls_was_truncated(socket) || model->finished || connection->torn ||
                  !sim_complete(in) || in->ended || model->leaving,
              "an open connection says that it was cut");
}

/* ---- time ------------------------------------------------------------------------------------ */

/* When the time of a guest is over. When the grace of a drain is over it begins anew, and when a
 * hello comes after that: at the latest in the first turn after the time for it, which hears before
 * it ends anybody. */
static uint64_t latest_end(const struct server_model *model, struct connection *guest,
                           uint64_t left, uint64_t start)
{
    uint64_t patience = model->greeter.most_patience;
    if (left == 0)
        return guest->accepted_by + patience;
    uint64_t silent = (left > guest->accepted_by ? left : guest->accepted_by) + patience;
    if (guest->heard_by == 0 && silent + 1 < start)
        guest->heard_by = sim_now();
    return (guest->heard_by > 0 ? guest->heard_by : silent) + patience;
}

/* Guests that have been there for too long, of those whose time has always run. */
static void look_at_guests(struct server_model *model, uint64_t start)
{
    berth_server_counts counts;
    berth_server_statistics(model->server, &counts);
    uint64_t left = sim_drain_left(model);
    uint64_t late = 0;
    /* Inside a handler the rest of them may be for the turn around it. */
    if (sim.depth > 0 || model->waits > 0 || model->paused || model->stopped)
        return;
    for (size_t i = 0; i < sim.connection_count; i++) {
        struct connection *each = &sim.connections[i];
        late += each->guest == model && each->accepted_by > model->greeter.odd_at &&
                latest_end(model, each, left, start) + 1 < start;
    }
    uint64_t unheard = counts.rejected_greeting + counts.failed + counts.dropped +
                       counts.closed_pending + counts.closed_drain;
    bool right =
        late <= unheard + model->greeter.unknown || counts.greeting + counts.handshaking == 0;
    /* What is due anew among the timers of a turn is for the next one. */
    model->greeter.late_turns = right ? 0 : model->greeter.late_turns + 1;
    sim_check(model->greeter.late_turns <= LATE_TURNS,
              "%llu guests of server %zu are late, of %llu and %llu", (unsigned long long)late,
              sim_index_of(model), (unsigned long long)counts.greeting,
              (unsigned long long)counts.handshaking);
}

/* Its limit may be what that was called for. */
static bool is_in_handler(const struct socket_model *model)
{
    bool found = model->calls > 0;
    for (unsigned i = 0; i < sim.depth; i++)
        found = found || sim.frames[i].socket == model;
    return found;
}

void sim_tls_turn(uint64_t start)
{
    for (size_t i = 0; i < SIM_SERVERS && is_topic(); i++) {
        if (sim.servers[i].server != NULL && sim.servers[i].closing == 0)
            look_at_guests(&sim.servers[i], start);
    }
    for (size_t i = 0; i < SIM_SOCKETS && is_topic(); i++) {
        struct socket_model *model = &sim.sockets[i];
        if (model->socket == NULL || model->dying || model->connection == NULL ||
            !model->connection->tls || model->encrypted || model->state != BERTH_STATE_CONNECTED ||
            model->queued_in != NULL || model->tls_patience == 0 || is_in_handler(model))
            continue;
        bool late = model->shakes + model->tls_patience + 1 <= start;
        model->shakes_overdue = late ? model->shakes_overdue + 1 : 0;
        sim_check(model->shakes_overdue <= SHAKING_TURNS,
                  "socket %zu shakes hands for longer than it may", i);
    }
}

bool sim_tls_waits(void)
{
    for (size_t i = 0; i < SIM_SOCKETS && is_topic(); i++) {
        const struct socket_model *model = &sim.sockets[i];
        if (model->socket != NULL && model->state == BERTH_STATE_CONNECTED &&
            model->connection != NULL && model->connection->tls && !model->encrypted &&
            !model->connection->way[1 - model->side].cut)
            return true;
    }
    for (size_t i = 0; i < SIM_ALL_PEERS && is_topic(); i++) {
        const struct peer_model *peer = &sim.peers[i];
        if (peer->end != NULL && peer->connection->tls && !peer->over && !peer->ended &&
            !sim_tls_is_open(peer) && !sim_tls_may_fail(peer->connection))
            return true;
    }
    return false;
}

void sim_tls_be_kind(void)
{
    for (unsigned i = 0; i < SERVERS && is_topic(); i++)
        tls.servers[i]->breaks = tls.servers[i]->lacks_memory = false;
    for (unsigned i = 0; i < CLIENTS && is_topic(); i++)
        tls.clients[i]->breaks = tls.clients[i]->lacks_memory = false;
}
