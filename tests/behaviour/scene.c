/*
 * The handlers behind hosts and actors.
 */
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_ACTORS 512
#define MOST_HOSTS 64

static struct actor actors[MOST_ACTORS];
static unsigned actor_count;
static struct host hosts[MOST_HOSTS];
static unsigned host_count;

const char *state_name(berth_state state)
{
    switch (state) {
    case BERTH_STATE_UNCONNECTED:
        return "UNCONNECTED";
    case BERTH_STATE_HOST_LOOKUP:
        return "HOST_LOOKUP";
    case BERTH_STATE_CONNECTING:
        return "CONNECTING";
    case BERTH_STATE_CONNECTED:
        return "CONNECTED";
    case BERTH_STATE_BOUND:
        return "BOUND";
    case BERTH_STATE_LISTENING:
        return "LISTENING";
    case BERTH_STATE_CLOSING:
        return "CLOSING";
    }
    return "?";
}

/* ---- sockets -----------------------------------------------------------------------------------
 */

static bool last_word_is(const char *name, const char *event)
{
    char word[64];
    snprintf(word, sizeof word, "%s %s", name, event);
    size_t length = strlen(word);
    size_t all = strlen(trace_text());
    return all >= length && strcmp(trace_text() + all - length, word) == 0;
}

static void say(const struct actor *self, const char *event, const char *detail)
{
    if (self->quiet)
        return;
    if (detail != NULL)
        trace("%s %s %s", self->name, event, detail);
    else
        trace("%s %s", self->name, event);
}

static void take_input(struct actor *self)
{
    size_t available = berth_socket_bytes_available(self->socket);
    if (self->received + available > self->capacity) {
        self->capacity = 2 * (self->received + available);
        self->input = realloc(self->input, self->capacity);
        ck_assert_ptr_nonnull(self->input);
    }
    ptrdiff_t got = berth_socket_read(self->socket, self->input + self->received, available);
    ck_assert_int_eq(got, (ptrdiff_t)available);
    self->received += available;
}

static void on_ready_read(berth_socket *socket, void *user)
{
    struct actor *self = user;
    ck_assert_ptr_eq(socket, self->socket);
    self->ready_reads++;
    if (!last_word_is(self->name, "ready_read"))
        say(self, "ready_read", NULL);
    if (self->reads)
        take_input(self);
    if (self->on_ready_read != NULL)
        self->on_ready_read(self);
}

static void on_bytes_written(berth_socket *socket, size_t bytes, void *user)
{
    struct actor *self = user;
    ck_assert_ptr_eq(socket, self->socket);
    ck_assert_uint_gt(bytes, 0);
    self->written += bytes;
    if (!last_word_is(self->name, "written"))
        say(self, "written", NULL);
    if (self->on_written != NULL)
        self->on_written(self);
}

static void on_connected(berth_socket *socket, void *user)
{
    struct actor *self = user;
    ck_assert_ptr_eq(socket, self->socket);
    self->connects++;
    say(self, "connected", NULL);
    if (self->on_connected != NULL)
        self->on_connected(self);
}

static void on_disconnected(berth_socket *socket, void *user)
{
    struct actor *self = user;
    ck_assert_ptr_eq(socket, self->socket);
    self->disconnects++;
    say(self, "disconnected", NULL);
    if (self->on_disconnected != NULL)
        self->on_disconnected(self);
}

static void on_error_occurred(berth_socket *socket, berth_error error, void *user)
{
    struct actor *self = user;
    ck_assert_ptr_eq(socket, self->socket);
    ck_assert_int_eq(berth_socket_error(socket), error);
    ck_assert_str_ne(berth_socket_error_string(socket), "");
    self->errors++;
    self->error = error;
    say(self, "error", berth_error_name(error));
    if (self->on_error != NULL)
        self->on_error(self);
}

static void on_state_changed(berth_socket *socket, berth_state state, void *user)
{
    struct actor *self = user;
    ck_assert_ptr_eq(socket, self->socket);
    ck_assert_int_eq(berth_socket_state(socket), state);
    self->state = state;
    say(self, "state", state_name(state));
    if (self->on_state != NULL)
        self->on_state(self);
}

static void on_read_channel_finished(berth_socket *socket, void *user)
{
    struct actor *self = user;
    ck_assert_ptr_eq(socket, self->socket);
    self->finishes++;
    say(self, "finished", NULL);
    if (self->on_finished != NULL)
        self->on_finished(self);
}

static void on_encrypted(berth_socket *socket, void *user)
{
    struct actor *self = user;
    ck_assert_ptr_eq(socket, self->socket);
    self->encryptions++;
    say(self, "encrypted", NULL);
    if (self->on_encrypted != NULL)
        self->on_encrypted(self);
}

static bool on_verify_peer(berth_socket *socket, const berth_tls_problem *problem, void *user)
{
    struct actor *self = user;
    ck_assert_ptr_eq(socket, self->socket);
    ck_assert_ptr_nonnull(problem->text);
    self->problems++;
    bool trusts = self->trusts;
    if (self->on_problem != NULL)
        self->on_problem(self);
    return trusts;
}

static const berth_socket_handlers actor_handlers = {
    .ready_read = on_ready_read,
    .bytes_written = on_bytes_written,
    .connected = on_connected,
    .disconnected = on_disconnected,
    .error_occurred = on_error_occurred,
    .state_changed = on_state_changed,
    .read_channel_finished = on_read_channel_finished,
    .encrypted = on_encrypted,
    .verify_peer = on_verify_peer,
};

static void on_draining(berth_socket *socket, void *user)
{
    struct actor *self = user;
    ck_assert_ptr_eq(socket, self->socket);
    self->tellings++;
    say(self, "draining", NULL);
    if (self->on_draining != NULL)
        self->on_draining(self);
}

void actor_be_told(struct actor *actor)
{
    static berth_socket_handlers told_handlers;
    told_handlers = actor_handlers;
    told_handlers.draining = on_draining;
    berth_socket_set_handlers(actor->socket, &told_handlers, actor);
}

static struct actor *fresh_actor(const char *name)
{
    ck_assert_uint_lt(actor_count, MOST_ACTORS);
    struct actor *self = &actors[actor_count++];
    self->name = name;
    self->reads = true;
    return self;
}

struct actor *actor_new(const char *name)
{
    struct actor *self = fresh_actor(name);
    self->socket = berth_socket_new(world_loop(), &actor_handlers, self);
    ck_assert_ptr_nonnull(self->socket);
    return self;
}

struct actor *actor_on(const char *name, berth_socket *socket)
{
    ck_assert_ptr_nonnull(socket);
    struct actor *self = fresh_actor(name);
    self->socket = socket;
    self->state = berth_socket_state(socket);
    berth_socket_set_handlers(socket, &actor_handlers, self);
    return self;
}

struct actor *actor_connected(const char *name, struct peer **ret_peer)
{
    world_loop();
    uint16_t port = world_listen(5);
    struct actor *self = actor_new(name);
    ck_assert(berth_socket_connect_to_address(self->socket, BERTH_ADDRESS_LOOPBACK, port));
    UNTIL(self->connects == 1);
    *ret_peer = world_accept(port);
    ck_assert_ptr_nonnull(*ret_peer);
    world_unlisten(port);
    trace_clear();
    return self;
}

bool actor_has(const struct actor *actor, const char *text)
{
    ck_assert_ptr_nonnull(actor);
    return actor->received == strlen(text) && memcmp(actor->input, text, actor->received) == 0;
}

void actor_say(struct actor *actor, const char *text)
{
    ck_assert_int_eq(berth_socket_write(actor->socket, text, strlen(text)),
                     (ptrdiff_t)strlen(text));
}

void actor_free_socket(struct actor *actor)
{
    berth_socket *socket = actor->socket;
    berth_socket_free(socket);
    actor->socket = NULL;
}

/* ---- servers -----------------------------------------------------------------------------------
 */

static void on_new_connection(berth_server *server, void *user)
{
    struct host *self = user;
    ck_assert_ptr_eq(server, self->server);
    self->new_connections++;
    trace("%s new_connection", self->name);
    if (self->takes) {
        berth_socket *socket = berth_server_next_pending_connection(server);
        ck_assert_ptr_nonnull(socket);
        ck_assert_uint_lt(self->count, HOST_MOST);
        self->taken[self->count] = actor_on("s", socket);
        self->taken[self->count++]->host = self;
    }
    if (self->on_new_connection != NULL)
        self->on_new_connection(self);
}

static void on_accept_error(berth_server *server, berth_error error, void *user)
{
    struct host *self = user;
    ck_assert_ptr_eq(server, self->server);
    ck_assert_int_eq(berth_server_error(server), error);
    ck_assert_str_ne(berth_server_error_string(server), "");
    self->accept_errors++;
    self->error = error;
    trace("%s accept_error %s", self->name, berth_error_name(error));
    if (self->on_accept_error != NULL)
        self->on_accept_error(self);
}

static void on_emptied(berth_server *server, bool forced, void *user)
{
    struct host *self = user;
    ck_assert_ptr_eq(server, self->server);
    ck_assert_int_eq(berth_server_drain_state(server), BERTH_DRAIN_EMPTY);
    self->emptied++;
    self->forced = forced;
    trace("%s emptied", self->name);
    if (self->on_emptied != NULL)
        self->on_emptied(self);
}

static void on_arrival(berth_server *server, void *user)
{
    struct host *self = user;
    ck_assert_ptr_eq(server, self->server);
    self->arrivals++;
    if (self->on_arrival != NULL)
        self->on_arrival(self);
}

static void on_failure(berth_server *server, const berth_tls_failure *failure, void *user)
{
    struct host *self = user;
    ck_assert_ptr_eq(server, self->server);
    self->failures++;
    self->failure = failure->error;
    self->failure_peer = failure->peer;
    self->failure_port = failure->peer_port;
    snprintf(self->failure_text, sizeof self->failure_text, "%s", failure->text);
    snprintf(self->failure_name, sizeof self->failure_name, "%s", failure->server_name);
    if (self->on_failure != NULL)
        self->on_failure(self);
}

static berth_tls *on_client_hello(berth_server *server, const berth_tls_hello *hello, void *user)
{
    struct host *self = user;
    ck_assert_ptr_eq(server, self->server);
    return self->chooses(self, hello);
}

static const berth_server_handlers host_handlers = {
    .new_connection = on_new_connection,
    .accept_error = on_accept_error,
    .emptied = on_emptied,
    .handshake_failed = on_failure,
    .pending_connection_available = on_arrival,
};

static const berth_server_handlers choosing_handlers = {
    .new_connection = on_new_connection,
    .accept_error = on_accept_error,
    .emptied = on_emptied,
    .handshake_failed = on_failure,
    .pending_connection_available = on_arrival,
    .client_hello = on_client_hello,
};

static struct host *make_host(const char *name, const berth_server_handlers *handlers)
{
    ck_assert_uint_lt(host_count, MOST_HOSTS);
    struct host *self = &hosts[host_count++];
    self->name = name;
    self->server = berth_server_new(world_loop(), handlers, self);
    ck_assert_ptr_nonnull(self->server);
    return self;
}

struct host *host_new(const char *name)
{
    return make_host(name, &host_handlers);
}

struct host *host_choosing(const char *name, host_chooser chooses)
{
    struct host *self = make_host(name, &choosing_handlers);
    self->chooses = chooses;
    host_listen(self);
    return self;
}

void host_listen(struct host *host)
{
    bool listens = berth_server_listen(host->server, BERTH_ADDRESS_LOOPBACK, 0);
    ck_assert_msg(listens, "%s", berth_server_error_string(host->server));
    host->port = berth_server_port(host->server);
    ck_assert_uint_ne(host->port, 0);
}

struct host *host_listening(const char *name)
{
    struct host *self = host_new(name);
    host_listen(self);
    return self;
}

berth_socket *host_take(struct host *host)
{
    UNTIL(berth_server_has_pending_connections(host->server));
    berth_socket *socket = berth_server_next_pending_connection(host->server);
    ck_assert_ptr_nonnull(socket);
    return socket;
}

struct actor *host_take_actor(struct host *host, const char *name)
{
    struct actor *actor = actor_on(name, host_take(host));
    actor->host = host;
    return actor;
}

struct actor *host_connect(struct host *host, const char *name, struct peer **ret_peer)
{
    *ret_peer = world_connect(host->port);
    struct actor *actor = host_take_actor(host, name);
    trace_clear();
    return actor;
}

/* ---- bytes -------------------------------------------------------------------------------------
 */

uint8_t *scene_pattern(size_t size, uint32_t seed)
{
    uint8_t *bytes = malloc(size);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(seed >> 24);
    }
    return bytes;
}

__attribute__((destructor)) static void free_inputs(void)
{
    for (unsigned i = 0; i < actor_count; i++)
        free(actors[i].input);
}

void scene_assert_balance(const berth_server_counts *counts)
{
    uint64_t came = counts->accepted + counts->added;
    uint64_t rejected = counts->rejected_address + counts->rejected_call + counts->rejected_shed +
                        counts->rejected_header + counts->failed_handshake +
                        counts->rejected_greeting;
    uint64_t waiting = counts->pending + counts->awaiting_header + counts->at_hand +
                       counts->greeting + counts->handshaking;
    uint64_t gone = counts->failed + counts->dropped + counts->closed_pending;
    uint64_t closed = counts->closed_first_byte + counts->closed_idle + counts->closed_lifetime +
                      counts->closed_rate + counts->closed_output;
    ck_assert_uint_eq(came, counts->taken + waiting + counts->handed_over + rejected + gone);
    ck_assert_uint_le(counts->closed_pending, closed);
    ck_assert_uint_le(counts->live, came);
    ck_assert_uint_le(counts->exhaustions, counts->accept_failures);
}
