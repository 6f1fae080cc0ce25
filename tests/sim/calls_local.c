/*
 * Unix sockets: servers that listen at a path or an abstract name, and who connects there.
 *
 * There are few places (world.h). What is known of each is what leads there: nobody, a server, a
 * socket file at which nobody listens any more, or another file, which the test has put there. From
 * that follows whether a server may begin to listen, what a connect finds, and what the file system
 * shows: at every moment a socket file where a server listens, and none where its server has
 * stopped, unless that was to keep it, or something else has taken its place.
 *
 * Connections have a number instead of ports, and each listening has one, so that a place that is
 * listened at again is another. A socket that connects learns only afterwards which it was, if at
 * all: from the server that has accepted it.
 *
 * In a program either all servers at places read PROXY headers, or none does, since it is not known
 * beforehand which of them a socket will come to. Subnets that contain every address are trusted
 * beside that, and must not matter.
 *
 * Whether a call is about a place, and which, is not chosen by its word: so that a program without
 * Unix sockets is what it would be without this file.
 */
#include "calls.h"
#include "world.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define FIRST_NUMBER 100u /* of a listening: no port of the other kind */
#define NOWHERE 98u       /* of one that is not known */
#define LEAST_NAMELESS 50000u

enum leads {
    TO_NOBODY,
    TO_SERVER,
    TO_NOBODY_ANY_MORE, /* a socket file */
    TO_OTHER_FILE
};

static struct {
    enum leads leads;
    const struct server_model *server;
    uint16_t number;  /* of its listening */
    bool keeps;       /* the file, when it stops */
    unsigned changes; /* so far */
} places[PLACES];

static berth_credentials own;
static berth_subnet everybody[2];
static uint16_t last_number;
static uint16_t nameless; /* connections that nobody knows to have begun */
static uint64_t seed;     /* of what is not chosen by a word */
static uint64_t choices;  /* of that, so far */

/* ---- what is known --------------------------------------------------------------------------- */

static bool is_used(void)
{
    return (sim.topics >> TOPIC_LOCAL & 1) != 0;
}

static uint64_t some_word(void)
{
    uint64_t word = (seed ^ (sim.step + 1)) * UINT64_C(0x9e3779b97f4a7c15) ^
                    ++choices * UINT64_C(0xd1342543de82ef95);
    word ^= word >> 29;
    word *= UINT64_C(0xbf58476d1ce4e5b9);
    return word ^ word >> 32;
}

static bool is_path(enum place place)
{
    return place != ABSTRACT_NAME;
}

bool sim_listens_locally(const struct server_model *model)
{
    return berth_server_address(model->server).family == BERTH_ADDRESS_FAMILY_LOCAL;
}

uint16_t sim_port(const struct server_model *model)
{
    return sim_listens_locally(model) ? model->number : berth_server_port(model->server);
}

bool sim_is_tests(uint16_t port)
{
    return port == sim.port || (port == SIM_LOCAL_PORT && is_used());
}

static void change(enum place place, enum leads leads)
{
    places[place].leads = leads;
    places[place].server = NULL;
    places[place].number = 0;
    places[place].changes++;
}

/* Servers that have stopped to listen since the last time. */
static void settle(void)
{
    for (enum place place = FIRST_PATH; place <= ABSTRACT_NAME; place++) {
        const struct server_model *model = places[place].server;
        if (model == NULL || (model->closing > 0 && model->number == places[place].number))
            continue;
        bool listens = model->server != NULL && model->number == places[place].number &&
                       sim_listens_locally(model);
        if (!listens)
            change(place, places[place].keeps ? TO_NOBODY_ANY_MORE : TO_NOBODY);
    }
}

/* By its number; made if it is new. Where it leads to is known for certain when it was accepted. */
struct connection *sim_local_connection(uint16_t number, uint16_t to)
{
    struct connection *found = NULL;
    for (size_t i = sim.connection_count; i-- > 0 && found == NULL;) {
        if (sim.connections[i].local && sim.connections[i].port == number)
            found = &sim.connections[i];
    }
    if (found == NULL)
        found = sim_connection(number, to);
    found->local = true;
    if (!found->accepted)
        found->to = to;
    if (sim_drain_covers(found->to))
        sim_cut(found);
    return found;
}

/* A descriptor that a server has accepted. */
struct connection *sim_local_accepted(const struct server_model *model, uint16_t number)
{
    if (number == 0)
        number = (uint16_t)(UINT16_MAX - nameless++);
    sim_check(nameless < UINT16_MAX - LEAST_NAMELESS, "too many have connected, and are unknown");
    return sim_local_connection(number, sim_port(model));
}

/* ---- listening ------------------------------------------------------------------------------- */

bool sim_local_wanted(void)
{
    return is_used() && some_word() % 4 != 0;
}

/* Why it must not listen, or NULL. */
static const char *hindrance(const struct server_model *model)
{
    berth_proxy_type proxy = berth_server_proxy(model->server).type;
    if (berth_server_is_listening(model->server))
        return "listens already";
    if (proxy != BERTH_PROXY_DEFAULT && proxy != BERTH_PROXY_NONE)
        return "has a proxy";
    return NULL;
}

static bool may_lack(void)
{
    return sim.short_of || sim_lossy();
}

static void judge_listening(const struct server_model *model, enum place place, bool replaces)
{
    enum leads leads = places[place].leads;
    berth_error error = berth_server_error(model->server);
    bool is_free = leads == TO_NOBODY || (leads == TO_NOBODY_ANY_MORE && replaces);
    bool drained = berth_server_drain_state(model->server) != BERTH_DRAIN_NONE;
    sim_check(error != BERTH_ERROR_ADDRESS_IN_USE || !is_free,
              "a place is free, and said not to be");
    sim_check(error == BERTH_ERROR_ADDRESS_IN_USE || error == BERTH_ERROR_SOCKET_RESOURCE ||
                  drained,
              "listening at a place fails with error %d", error);
    sim_check(error != BERTH_ERROR_SOCKET_RESOURCE || may_lack(), "listening lacks nothing");
}

static void begin_listening(struct server_model *model, enum place place, bool keeps)
{
    change(place, TO_SERVER);
    places[place].server = model;
    places[place].number = model->number;
    places[place].keeps = keeps && is_path(place);
    const char *path = berth_server_local_path(model->server);
    sim_check(strcmp(path, world->path(place)) == 0 || (path[0] == '\0' && sim_lossy()),
              "a server listens at \"%s\"", path);
}

/* Whoever listens at a place that is tried sees somebody come who says nothing. */
static void expect_trial(enum place place)
{
    for (size_t i = 0; i < SIM_SERVERS; i++)
        sim.servers[i].doubted += places[place].server == &sim.servers[i];
}

/* In the handlers of its end: nobody knows whether it listens still. */
static bool is_going(enum place place)
{
    return places[place].server != NULL && places[place].server->closing > 0;
}

static void judge_success(const char *why, enum place place, bool replaces)
{
    enum leads leads = is_going(place) ? TO_NOBODY : places[place].leads;
    sim_check(why == NULL, "a server listens at a place, that %s", why);
    sim_check(leads != TO_SERVER, "a second server listens at a place");
    sim_check(leads != TO_OTHER_FILE, "a file is replaced that is no socket");
    sim_check(leads != TO_NOBODY_ANY_MORE || replaces, "a socket is replaced that was not to be");
}

bool sim_local_listen(struct server_model *model)
{
    static const uint32_t modes[] = {0, 0600, 0700};
    uint64_t word = some_word();
    enum place place = FIRST_PATH + sim_choose(&word, 3);
    berth_local_options options = {.mode = modes[sim_choose(&word, 3)],
                                   .replace_stale = sim_choose(&word, 4) > 0,
                                   .keep_file = sim_choose(&word, 6) == 0};
    settle();
    const char *why = hindrance(model);
    sim_say("server %zu listens at %s%s%s", sim_index_of(model), world->path(place),
            options.replace_stale ? ", and replaces" : "", options.keep_file ? ", and keeps" : "");
    if (why == NULL) {
        model->number = ++last_number;
        expect_trial(place);
    }
    if (!berth_server_listen_local(model->server, world->path(place), &options)) {
        if (why == NULL && !is_going(place))
            judge_listening(model, place, options.replace_stale);
        return false;
    }
    judge_success(why, place, options.replace_stale);
    begin_listening(model, place, options.keep_file);
    return true;
}

/* A listener that somebody else has made. Its file is not the server's to remove. */
bool sim_local_adopt_listener(struct server_model *model)
{
    uint64_t word = some_word();
    enum place place = FIRST_PATH + sim_choose(&word, 3);
    settle();
    if (places[place].leads != TO_NOBODY || berth_server_is_listening(model->server))
        return false;
    uint16_t before = model->number;
    int made = world->local_listener(place);
    model->number = ++last_number;
    bool done = made >= 0 && berth_server_set_descriptor(model->server, made);
    if (done) {
        begin_listening(model, place, true);
        return true;
    }
    model->number = before;
    if (made >= 0)
        world->close_descriptor(made);
    if (is_path(place))
        change(place, TO_NOBODY_ANY_MORE);
    return false;
}

/* ---- connecting ------------------------------------------------------------------------------ */

/* What is connected to: whose listening that is, if it is known. */
static uint16_t number_at(enum place place)
{
    return place == PLACE_OF_TEST             ? SIM_LOCAL_PORT
           : places[place].leads == TO_SERVER ? places[place].number
                                              : NOWHERE;
}

/* NULL: in vain. */
struct end *sim_local_connect_peer(const struct server_model *server, bool *ret_foreign)
{
    uint64_t word = some_word();
    *ret_foreign = world->is_simulated && sim_choose(&word, 3) == 0;
    for (enum place place = FIRST_PATH; place <= ABSTRACT_NAME; place++) {
        if (places[place].server == server && places[place].number == server->number)
            return world->connect_local(place, *ret_foreign);
    }
    return NULL; /* something else has taken its place */
}

static enum place some_place(uint64_t *word)
{
    uint32_t chosen = sim_choose(word, 12);
    if (chosen == 0)
        return PLACE_OF_NOBODY;
    if (chosen < 5)
        return PLACE_OF_TEST;
    for (unsigned i = 0; i < 3 && chosen < 11; i++) {
        enum place place = FIRST_PATH + (chosen + i) % 3;
        if (places[place].leads == TO_SERVER)
            return place;
    }
    return FIRST_PATH + chosen % 3;
}

static bool has_tcp_option(const struct socket_model *model)
{
    return (model->options & ~SIM_LOCAL_OPTIONS) != 0;
}

/* False: it has got into another state. */
static bool bind_first(struct socket_model *model)
{
    sim_leave_connection(model);
    model->calls++;
    bool bound = berth_socket_bind(model->socket, BERTH_ADDRESS_LOOPBACK, world->free_port());
    model->calls--;
    return bound && model->state == BERTH_STATE_BOUND;
}

void sim_local_connect(struct socket_model *model)
{
    static const berth_proxy proxy = {.type = BERTH_PROXY_SOCKS5, .host = "127.0.0.1", .port = 1};
    uint64_t word = some_word();
    settle();
    enum place place = some_place(&word);
    bool may = model->state == BERTH_STATE_UNCONNECTED || model->state == BERTH_STATE_BOUND;
    if (may && !sim_prepare(model, number_at(place)))
        return;
    if (model->state == BERTH_STATE_UNCONNECTED && sim_choose(&word, 16) == 0 && !bind_first(model))
        return;
    berth_socket *socket = model->socket;
    bool proxied = may && sim_choose(&word, 16) == 0 && berth_socket_set_proxy(socket, &proxy);
    /* Inside a handler of an attempt through a proxy it has had one before. */
    bool has_proxy = berth_socket_proxy(socket).type != BERTH_PROXY_DEFAULT;
    bool refused = may && (has_proxy || has_tcp_option(model) || model->state == BERTH_STATE_BOUND);
    sim_say("socket %zu connects to %s", sim_number_of(model), world->path(place));
    if (may) {
        sim_leave_connection(model);
        model->target = number_at(place);
        model->by_path = 1 + (unsigned)place;
        model->changes = places[place].changes;
        model->refused = refused && model->state == BERTH_STATE_UNCONNECTED;
    }
    model->calls++;
    bool begun = berth_socket_connect_to_local(socket, world->path(place));
    model->calls--;
    sim_check(may || !begun, "a socket connects in state %d", model->state);
    sim_check(!begun || !refused, "a socket connects to a path that must not");
    if (model->socket != socket)
        return;
    model->refused = false;
    if (proxied)
        berth_socket_set_proxy(socket, NULL);
}

unsigned sim_local_on_the_way(void)
{
    unsigned count = 0;
    for (size_t i = 0; i < SIM_SOCKETS && is_used(); i++) {
        const struct socket_model *model = &sim.sockets[i];
        count += model->socket != NULL && model->by_path != 0 &&
                 model->state != BERTH_STATE_CONNECTED && model->state != BERTH_STATE_CLOSING;
    }
    return count;
}

/* In error_occurred, which comes after the state has changed. */
void sim_local_failed(struct socket_model *model, berth_error error)
{
    sim_check(!model->refused || error == BERTH_ERROR_UNSUPPORTED_OPERATION ||
                  error == BERTH_ERROR_SOCKET_RESOURCE,
              "what cannot be had at a path is refused with error %d", error);
    bool refused = model->refused;
    model->refused = false;
    if (model->by_path == 0 || !model->gave_up || refused)
        return;
    enum place place = model->by_path - 1;
    settle();
    if (model->changes != places[place].changes || is_going(place))
        return;
    /* An option of TCP that was set in front of the attempt is the kernel's to refuse. */
    bool has_option = (model->options & ~SIM_LOCAL_OPTIONS) != 0 && !world->is_simulated;
    sim_check((has_option && error == BERTH_ERROR_UNSUPPORTED_OPERATION) ||
                  error == BERTH_ERROR_HOST_NOT_FOUND || error == BERTH_ERROR_CONNECTION_REFUSED ||
                  error == BERTH_ERROR_SOCKET_TIMEOUT || error == BERTH_ERROR_SOCKET_RESOURCE ||
                  error == BERTH_ERROR_OPERATION || /* it is asked to connect once more */
                  model->header_version > 0,        /* which cannot be written */
              "connecting to a path fails with error %d", error);
    sim_check(error != BERTH_ERROR_SOCKET_RESOURCE || may_lack(), "connecting lacks nothing");
    bool is_there = place == PLACE_OF_TEST || places[place].leads != TO_NOBODY;
    bool answers = place == PLACE_OF_TEST || places[place].leads == TO_SERVER;
    sim_check(error != BERTH_ERROR_HOST_NOT_FOUND || (!is_there && is_path(place)),
              "there is a file, and a socket does not find it");
    sim_check(error != BERTH_ERROR_CONNECTION_REFUSED ||
                  (!answers && (is_there || !is_path(place))),
              "a socket is refused where somebody listens, or nothing is");
}

/* Connections of the same user that have ever been accepted: not less than there are now. */
static unsigned accepted_of(bool foreign)
{
    unsigned count = 0;
    for (size_t i = 0; i < sim.connection_count; i++) {
        const struct connection *each = &sim.connections[i];
        count += each->local && each->accepted && each->foreign == foreign;
    }
    return count;
}

/* So many since the last look, and for no other reason. Those of one user take no other's place. */
void sim_local_rejected(const struct server_model *model, uint64_t count)
{
    struct connection *gone[SIM_PEERS];
    unsigned found = 0;
    if (!sim_listens_locally(model) || world->is_queued == NULL || model->added > 0)
        return;
    for (size_t i = 0; i < SIM_PEERS; i++) {
        const struct peer_model *peer = &sim.peers[i];
        if (peer->end != NULL && peer->port == sim_port(model) && !peer->connection->accepted &&
            !peer->connection->turned_away && !world->is_queued(peer->end))
            gone[found++] = peer->connection;
    }
    for (unsigned i = 0; i < found; i++) {
        gone[i]->turned_away = true;
        sim_check(found != count || accepted_of(gone[i]->foreign) >= model->accepts.per_address,
                  "one is turned away for those of another user");
    }
}

/* It is connected: the connection, which may have been accepted already. */
struct connection *sim_local_begun(struct socket_model *model)
{
    uint16_t number = world->connected(berth_socket_descriptor(model->socket));
    sim_check(number != 0, "a socket that is connected to a path has no name");
    sim_check(!has_tcp_option(model) || berth_socket_error(model->socket) != BERTH_ERROR_NONE,
              "an option of TCP is taken by a Unix socket");
    settle();
    return sim_local_connection(number, number_at(model->by_path - 1));
}

/* ---- looks ----------------------------------------------------------------------------------- */

static enum file_kind file_of(enum place place)
{
    static const enum file_kind kinds[] = {
        [TO_NOBODY] = NO_FILE,
        [TO_SERVER] = SOCKET_FILE,
        [TO_NOBODY_ANY_MORE] = SOCKET_FILE,
        [TO_OTHER_FILE] = OTHER_FILE,
    };
    return kinds[places[place].leads];
}

static void look_at_place(enum place place)
{
    const struct server_model *server = places[place].server;
    if (server != NULL && server->closing > 0)
        return;
    enum file_kind there = world->file_at(place);
    sim_check(there == file_of(place), "%s at %s%s",
              there == NO_FILE       ? "there is no file"
              : there == SOCKET_FILE ? "there is a socket"
                                     : "there is a file",
              world->path(place),
              server != NULL ? ", although a server listens there" : ", wrongly");
}

void sim_local_look(void)
{
    if (!is_used())
        return;
    settle();
    for (enum place place = FIRST_PATH; is_path(place); place++)
        look_at_place(place);
}

static bool is_nowhere(berth_address address)
{
    static const berth_address none = {.family = BERTH_ADDRESS_FAMILY_LOCAL};
    return address.family == BERTH_ADDRESS_FAMILY_LOCAL &&
           memcmp(address.bytes, none.bytes, sizeof none.bytes) == 0 &&
           !berth_subnet_contains(everybody[0], address) &&
           !berth_subnet_contains(everybody[1], address);
}

/* Of a connection that is open and local. */
void sim_local_ask(struct socket_model *model)
{
    berth_socket *socket = model->socket;
    const struct connection *connection = model->connection;
    berth_credentials peer = {0};
    bool foreign = model->side == 1 && connection->foreign;
    uint32_t user = foreign ? world->other_user : own.uid;
    sim_check(berth_socket_peer_credentials(socket, &peer), "the peer of a Unix socket is unknown");
    sim_check(peer.uid == user && peer.gid == own.gid && peer.pid == own.pid,
              "the peer is user %u, group %u, process %d", peer.uid, peer.gid, peer.pid);
    /* It may be accepted before it is known who has begun it. */
    bool headed = model->side == 1 && (connection->headed || sim.local_reads);
    sim_check(is_nowhere(berth_socket_transport_peer_address(socket)),
              "the far end of a Unix socket is in a network");
    sim_check(headed ||
                  (is_nowhere(berth_socket_peer_address(socket)) &&
                   is_nowhere(berth_socket_local_address(socket)) &&
                   berth_socket_peer_port(socket) == 0 && berth_socket_local_port(socket) == 0),
              "a Unix socket has an address or a port");
    sim_check(model->by_path == 0 ||
                  strcmp(berth_socket_peer_name(socket), world->path(model->by_path - 1)) == 0,
              "a socket is connected to \"%s\"", berth_socket_peer_name(socket));
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* What is there goes, also from under a server, which nobody finds any more. */
static void put_file(uint64_t word)
{
    enum place place = FIRST_PATH + sim_choose(&word, 2);
    enum leads leads = sim_choose(&word, 2) == 0   ? TO_NOBODY_ANY_MORE
                       : sim_choose(&word, 2) == 0 ? TO_NOBODY
                                                   : TO_OTHER_FILE;
    settle();
    if (places[place].leads == TO_SERVER && sim_choose(&word, 3) > 0)
        return;
    change(place, leads);
    world->put_file(place, file_of(place));
    sim_say("%s is at %s",
            leads == TO_NOBODY            ? "nothing"
            : leads == TO_NOBODY_ANY_MORE ? "a socket of nobody"
                                          : "a file",
            world->path(place));
}

static void try_place(uint64_t word)
{
    enum place place = FIRST_PATH + sim_choose(&word, 4);
    settle();
    if (places[place].leads == TO_SERVER)
        return;
    sim_say("somebody tries %s", world->path(place));
    sim_check(world->connect_local(place, false) == NULL, "somebody answers at %s",
              world->path(place));
}

static struct socket_model *open_socket(uint64_t *word)
{
    uint32_t first = sim_choose(word, SIM_SOCKETS);
    for (uint32_t i = 0; i < SIM_SOCKETS; i++) {
        struct socket_model *model = &sim.sockets[(first + i) % SIM_SOCKETS];
        if (model->socket != NULL && !model->dying && model->connection != NULL &&
            model->connection->local &&
            (model->state == BERTH_STATE_CONNECTED || model->state == BERTH_STATE_CLOSING))
            return model;
    }
    return NULL;
}

static void set_tcp_option(uint64_t word)
{
    struct socket_model *model = open_socket(&word);
    uint32_t which = sim_choose(&word, SIM_OPTIONS);
    if (model == NULL || (SIM_LOCAL_OPTIONS >> which & 1) != 0)
        return;
    int value = 1;
    sim_say("socket %zu is to have option %u of TCP", sim_number_of(model), which);
    sim_check(!berth_socket_set_option(model->socket, (berth_socket_option)which, value) &&
                  berth_socket_error(model->socket) == BERTH_ERROR_UNSUPPORTED_OPERATION,
              "a Unix socket takes option %u", which);
    sim_check(!berth_socket_get_option(model->socket, (berth_socket_option)which, &value),
              "a Unix socket has option %u", which);
}

static void ask_strangers(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    berth_credentials peer;
    if (model == NULL || (model->connection != NULL && model->connection->local))
        return;
    sim_check(!berth_socket_peer_credentials(model->socket, &peer) &&
                  berth_socket_error(model->socket) == BERTH_ERROR_UNSUPPORTED_OPERATION,
              "a peer has credentials that is none of a Unix socket");
}

static void listen(uint64_t word)
{
    struct server_model *model = sim_some_server(&word);
    if (model != NULL && !berth_server_is_listening(model->server) && !model->through)
        model->stopped = !sim_local_listen(model) && model->stopped;
}

static void connect(uint64_t word)
{
    struct socket_model *model =
        sim_choose(&word, 2) == 0 ? sim_some_socket(&word) : sim_new_socket();
    if (model == NULL)
        return;
    if (model->socket == NULL)
        model->socket = berth_socket_new(sim.loop, &sim_socket_handlers, model);
    if (model->socket != NULL && model->owed == 0)
        sim_local_connect(model);
}

/* So that a place that was not given back is missed: somebody comes, is taken, and goes, twice. */
static void limit_users(uint64_t word)
{
    struct server_model *model = sim_some_server(&word);
    if (model == NULL || !sim_listens_locally(model) || sim.depth > 0)
        return;
    sim_limit_accepting(word);
    for (unsigned turns = 0; turns < 3 && !sim.leaving; turns++)
        sim_turn(1);
    if (sim.leaving || model->server == NULL || model->closing > 0 || !sim_take(model))
        return;
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        if (sim.sockets[i].socket != NULL && sim.sockets[i].owner == model &&
            sim.sockets[i].queued_in == NULL && !sim.sockets[i].dying)
            sim_free_socket(&sim.sockets[i]);
    }
    sim_look();
    sim_connect_peers(word);
}

void sim_call_of_local(uint64_t word)
{
    static void (*const calls[])(uint64_t word) = {
        sim_new_server, sim_new_server, listen,    connect,        connect,       connect,
        connect,        put_file,       try_place, set_tcp_option, ask_strangers, limit_users,
    };
    uint32_t chosen = sim_choose(&word, sizeof calls / sizeof calls[0]);
    calls[chosen](word);
}

/* ---- the whole ------------------------------------------------------------------------------- */

void sim_local_begin(uint64_t word)
{
    memset(places, 0, sizeof places);
    last_number = FIRST_NUMBER;
    nameless = 0;
    choices = 0;
    seed = word;
    if (!is_used())
        return;
    own = (berth_credentials){
        .pid = (int32_t)getpid(), .uid = (uint32_t)getuid(), .gid = (uint32_t)getgid()};
    everybody[0].address = berth_address_ipv4(0);
    everybody[1].address = BERTH_ADDRESS_ANY_IPV6;
    sim.local_reads = some_word() % 2 == 0;
    sim_check(world->begin_local(), "no listener can be made at a path");
}

void sim_local_end(void)
{
    if (is_used())
        world->end_local();
}
