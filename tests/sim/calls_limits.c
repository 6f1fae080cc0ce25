/*
 * Calls that limit what servers accept and how long connections last, and what the model makes of
 * them.
 *
 * A limit of a connection is judged where it shows, in error_occurred, whose text says which one it
 * was: it must have been set, and must be due. The clock of the model is that of the last look
 * before (sim.looked), so that no time the library may have started from is missed; the other way
 * round a lifetime and a first byte have a latest time, which sim_overdue looks at.
 *
 * Of a connection that waits in a queue under limits nobody hears when it ends: it is at risk until
 * it is taken, and the server's statistics say how many have gone.
 */
#include "calls.h"
#include "world.h"

#include <string.h>

#define BUSY_MILLISECONDS 200u
#define BY_USER 64u /* instead of the bits of a prefix */

/* ---- setting --------------------------------------------------------------------------------- */

static uint32_t some_time(uint64_t *word, uint32_t most)
{
    return sim_choose(word, 3) == 0 ? 1 + sim_choose(word, most) : 0;
}

static berth_connection_limits some_limits(uint64_t *word)
{
    berth_connection_limits limits = {0};
    if (sim_choose(word, 4) == 0)
        return limits;
    limits.first_byte = some_time(word, 500);
    limits.idle = some_time(word, 500);
    limits.lifetime = some_time(word, 1000);
    if (sim_choose(word, 6) == 0) {
        limits.minimum_rate = 1 + sim_choose(word, 1000);
        limits.rate_window = some_time(word, 1000);
    }
    if (sim_choose(word, 6) == 0)
        limits.output = 1 + sim_choose(word, 6000);
    return limits;
}

static void tell_limits(const berth_connection_limits *limits)
{
    sim_say("  first byte %u ms, idle %u ms, lifetime %u ms, %u bytes/s in %u ms, output %zu",
            limits->first_byte, limits->idle, limits->lifetime, limits->minimum_rate,
            limits->rate_window, limits->output);
}

bool sim_is_limited(const berth_connection_limits *limits)
{
    return limits->first_byte > 0 || limits->idle > 0 || limits->lifetime > 0 ||
           limits->minimum_rate > 0 || limits->output > 0;
}

void sim_limits_begin(struct socket_model *model, uint64_t earliest)
{
    model->began = model->moved = earliest;
    model->latest_begin = berth_loop_now(sim.loop);
    model->heard = false;
    sim_clock_restart(model);
}

/* By their members: what is between them is anything. */
static bool are_equal(const berth_connection_limits *a, const berth_connection_limits *b)
{
    return a->first_byte == b->first_byte && a->idle == b->idle && a->lifetime == b->lifetime &&
           a->minimum_rate == b->minimum_rate && a->rate_window == b->rate_window &&
           a->output == b->output;
}

bool sim_accepts_all(const berth_accept_limits *limits)
{
    bool in_time = limits->per_second == 0 || world->is_simulated;
    return limits->per_address == 0 && in_time && !limits->shed;
}

static bool accept_equal(const berth_accept_limits *a, const berth_accept_limits *b)
{
    return a->per_address == b->per_address && a->ipv4_prefix == b->ipv4_prefix &&
           a->ipv6_prefix == b->ipv6_prefix && a->per_second == b->per_second &&
           a->burst == b->burst && a->shed == b->shed;
}

static void limit_socket(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    /* One that is in a queue would be freed there by its limit, while the program has it too. */
    if (model == NULL || model->queued_in != NULL)
        return;
    berth_connection_limits limits = some_limits(&word);
    sim_say("socket %zu is limited", sim_number_of(model));
    tell_limits(&limits);
    bool heard = model->heard;
    const berth_socket *socket = model->socket;
    uint64_t now = berth_loop_now(sim.loop);
    model->calls++;
    bool set = berth_socket_set_limits(model->socket, &limits);
    model->calls--;
    sim_check(set || sim_lossy(), "limits cannot be set");
    if (!set || model->socket != socket)
        return;
    model->limits = limits;
    sim_limits_begin(model, now);
    model->heard = heard;
    berth_connection_limits kept;
    berth_socket_limits(model->socket, &kept);
    sim_check(are_equal(&kept, &limits), "limits are not kept as they were set");
}

static void limit_connections(uint64_t word)
{
    struct server_model *model = sim_some_server(&word);
    if (model == NULL || !sim_tls_may_end_guests(model))
        return;
    berth_connection_limits limits = some_limits(&word);
    sim_say("connections of server %zu are limited", sim_index_of(model));
    tell_limits(&limits);
    berth_server_set_connection_limits(model->server, &limits);
    berth_connection_limits kept;
    berth_server_connection_limits(model->server, &kept);
    sim_check(are_equal(&kept, &limits), "limits are not kept as they were set");
    model->limits = limits;
    model->greeter.was_limited = model->greeter.was_limited || sim_is_limited(&limits);
    if (sim_choose(&word, 4) > 0)
        return;
    sim_say("server %zu has room for two", sim_index_of(model));
    sim_note_waiting(model);
    berth_server_set_max_pending_connections(model->server, 2);
    sim_connect_peers(word);
}

/* Those that were turned away in the kernel are not held to any pace. */
static uint64_t accepted_in_pace(const struct server_model *model)
{
    berth_server_counts counts;
    berth_server_statistics(model->server, &counts);
    return counts.accepted - counts.rejected_call - counts.rejected_shed;
}

void sim_limit_accepting(uint64_t word)
{
    struct server_model *model = sim_some_server(&word);
    if (model == NULL)
        return;
    berth_accept_limits limits = {0};
    if (sim_choose(&word, 2) == 0)
        limits.per_address = 1 + sim_choose(&word, 3);
    if (sim_choose(&word, 2) == 0) {
        limits.per_second = 1 + sim_choose(&word, 40);
        limits.burst = sim_choose(&word, 4);
    }
    limits.ipv4_prefix = (uint8_t)sim_choose(&word, 33);
    limits.shed = sim_choose(&word, 2) == 0;
    sim_say("server %zu takes %u of an address, %u in a second, %u at once%s", sim_index_of(model),
            limits.per_address, limits.per_second, limits.burst, limits.shed ? ", and sheds" : "");
    berth_server_set_accept_limits(model->server, &limits);
    berth_accept_limits kept;
    berth_server_accept_limits(model->server, &kept);
    sim_check(accept_equal(&kept, &limits), "limits are not kept as they were set");
    bool paced_alike =
        kept.per_second == model->accepts.per_second && kept.burst == model->accepts.burst;
    if (!paced_alike) {
        model->paced_since = berth_loop_now(sim.loop);
        model->paced_from = accepted_in_pace(model);
    }
    model->accepts = limits;
    model->same_accepts = false;
    sim_connect_peers(word);
    model->limited_address = model->limited_address || limits.per_address > 0;
    model->limited_rate = model->limited_rate || limits.per_second > 0;
    model->sheds = model->sheds || limits.shed;
}

static void reject(uint64_t word)
{
    struct server_model *model = sim_some_server(&word);
    if (model == NULL)
        return;
    size_t most = sim_choose(&word, 2) == 0 ? SIZE_MAX : sim_choose(&word, 3);
    berth_reject_mode mode = sim_choose(&word, 2) == 0 ? BERTH_REJECT_CLOSE : BERTH_REJECT_RESET;
    size_t count = berth_server_reject(model->server, most, mode);
    sim_say("server %zu turns %zu away", sim_index_of(model), count);
    sim_check(count <= most, "more are rejected than was asked for");
    sim_check(count == 0 || berth_server_is_listening(model->server),
              "a server rejects without listening");
    model->turned_away += count;
}

static void limit_queue(uint64_t word)
{
    static const size_t limits[] = {0, 1, 100, 5000};
    struct server_model *model = sim_some_server(&word);
    if (model == NULL)
        return;
    size_t limit = limits[sim_choose(&word, 4)];
    sim_say("server %zu keeps %zu bytes of those that wait", sim_index_of(model), limit);
    berth_server_set_pending_read_limit(model->server, limit);
    sim_check(berth_server_pending_read_limit(model->server) == limit, "a limit was not kept");
    if (model->most_pending < limit || limit == 0)
        model->most_pending = limit == 0 ? SIZE_MAX : limit;
}

void sim_call_of_limits(uint64_t word)
{
    static void (*const calls[])(uint64_t word) = {
        limit_socket, limit_connections, sim_limit_accepting, reject, limit_queue,
    };
    uint32_t chosen = sim_choose(&word, sizeof calls / sizeof calls[0]);
    calls[chosen](word);
}

/* ---- judging --------------------------------------------------------------------------------- */

unsigned sim_tallied(const struct server_model *model)
{
    unsigned prefix = model->accepts.ipv4_prefix;
    return model->accepts.per_address == 0 ? 0 : prefix > 0 ? prefix : BERTH_DEFAULT_IPV4_PREFIX;
}

static bool are_alike(const struct connection *a, const struct connection *b)
{
    return a->tallied == b->tallied && a->has_net && b->has_net && a->client_net == b->client_net;
}

/* Those of the queue that have not ended for certain: also for want of memory, unheard. */
static unsigned alike_in_queue(struct server_model *model, const struct connection *connection)
{
    unsigned count = 0;
    if (sim_lost_in_queue(model) > 0 || sim_lossy())
        return 0;
    for (size_t i = 0; i < model->queued; i++) {
        const struct connection *each = model->queue[i].connection;
        if (each != NULL && !each->torn && !each->way[0].ended && !each->way[0].cut)
            count += are_alike(each, connection);
    }
    return count;
}

void sim_check_accept(struct server_model *model, struct connection *connection)
{
    unsigned most = model->accepts.per_address;
    unsigned prefix = sim_tallied(model);
    uint32_t address;
    connection->tallied = prefix;
    connection->has_net = sim_headers_client(model, connection, &address);
    if (prefix == 0 || !connection->has_net)
        return;
    bool by_user = connection->local && !(connection->headed && connection->client > 0);
    if (by_user)
        connection->tallied = BY_USER;
    connection->client_net = by_user ? connection->foreign : address >> (32 - prefix);
    unsigned counted = alike_in_queue(model, connection);
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        const struct socket_model *socket = &sim.sockets[i];
        counted += socket->socket != NULL && socket->owner == model && socket->counted &&
                   socket->connection != NULL && are_alike(socket->connection, connection);
    }
    if (model->trusts || connection->local)
        sim_check(counted < most, "a connection is accepted with %u of %u of its address", counted,
                  most);
}

/* The limit is about to be another one; whoever is at hand comes on top. */
void sim_note_waiting(struct server_model *model)
{
    berth_server_counts counts;
    berth_server_statistics(model->server, &counts);
    model->most_waiting = sim_waiting(model) + counts.at_hand;
}

uint64_t sim_waiting(const struct server_model *model)
{
    berth_server_counts counts;
    berth_server_statistics(model->server, &counts);
    return counts.pending + counts.awaiting_header;
}

/* Who waits for his header has been accepted, and has a place among those that wait. */
static void check_waiting(struct server_model *model)
{
    int limit = berth_server_max_pending_connections(model->server);
    uint64_t least = limit > 0 ? (uint64_t)limit : 0;
    uint64_t waiting = sim_waiting(model);
    uint64_t most = model->most_waiting > least ? model->most_waiting : least;
    if (model->greeter.most_handshakes > 0)
        most += model->greeter.most_handshakes - 1;
    sim_check(waiting <= most, "%llu connections wait, %llu at most", (unsigned long long)waiting,
              (unsigned long long)most);
    model->most_waiting = waiting;
}

void sim_check_pace(struct server_model *model)
{
    const berth_accept_limits *limits = &model->accepts;
    check_waiting(model);
    if (limits->per_second == 0)
        return;
    uint64_t passed = berth_loop_now(sim.loop) - model->paced_since;
    uint64_t burst = limits->burst > 0 ? limits->burst : limits->per_second;
    uint64_t most = burst + limits->per_second * (passed + 1) / 1000 + 1;
    uint64_t accepted = accepted_in_pace(model) - model->paced_from;
    sim_check(accepted <= most, "%llu connections are accepted in %llu ms, with %u in a second",
              (unsigned long long)accepted, (unsigned long long)passed, limits->per_second);
}

/* Whether it may be over: it is set, and due. */
static bool is_due(const struct socket_model *model, const char *text)
{
    const berth_connection_limits *limits = &model->limits;
    /* Where work takes time, bytes may count as gone when the kernel was asked for them. */
    uint64_t now = berth_loop_now(sim.loop) + (sim.costs ? BUSY_MILLISECONDS : 0);
    uint64_t window = limits->rate_window > 0 ? limits->rate_window : BERTH_DEFAULT_RATE_WINDOW;
    if (strstr(text, "first byte") != NULL)
        return limits->first_byte > 0 && !model->heard && now >= model->began + limits->first_byte;
    if (strstr(text, "idle for") != NULL)
        return limits->idle > 0 && now >= model->moved + limits->idle;
    if (strstr(text, "maximum lifetime") != NULL)
        return limits->lifetime > 0 && now >= model->began + limits->lifetime;
    if (strstr(text, "minimum rate") != NULL)
        return limits->minimum_rate > 0 && now >= model->began + window;
    return limits->output > 0 || model->overflowed;
}

bool sim_ended_by_limit(struct socket_model *model)
{
    static const char *const texts[] = {"first byte not received in time", "idle for too long",
                                        "maximum lifetime reached", "the minimum rate",
                                        "too much output waiting"};
    const char *text = berth_socket_error_string(model->socket);
    bool found = false;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        found = found || strstr(text, texts[i]) != NULL;
    if (!found)
        return false;
    sim_check(sim_clock_is_due(model, text), "a limit ends a connection whose peer reads: %s",
              text);
    sim_check(is_due(model, text), "a limit ends a connection before it is due: %s", text);
    sim.limited++;
    sim_cut(model->connection);
    return true;
}

/* Its limit may be what the handler was called for. */
static bool is_in_handler(const struct socket_model *model)
{
    bool found = false;
    for (unsigned i = 0; i < sim.depth; i++)
        found = found || sim.frames[i].socket == model;
    return found;
}

/* Of those in a queue it is known when their life is over, and how many have gone. One that has
 * broken, for want of memory or by its peer, stays there without limits. */
void sim_check_queue(const struct server_model *model, uint64_t before)
{
    unsigned long over = 0;
    if (model->server == NULL || model->closing > 0)
        return;
    for (size_t i = 0; i < model->queued; i++) {
        const struct connection *each = model->queue[i].connection;
        uint32_t lifetime = each != NULL && !each->torn ? each->limits.lifetime : 0;
        over += lifetime > 0 && each->accepted_by + lifetime + BERTH_LIMIT_TICK + 1 < before;
    }
    sim_check(over <= sim_lost_in_queue(model) || sim_lossy(),
              "%lu in a queue have outlived their lifetime", over - sim_lost_in_queue(model));
}

/* In `turn`: everything that was due when it began has been run. */
void sim_check_overdue(uint64_t before)
{
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        const struct socket_model *model = &sim.sockets[i];
        bool open = model->state == BERTH_STATE_CONNECTED || model->state == BERTH_STATE_CLOSING;
        if (model->socket == NULL || !open || model->limits.lifetime == 0 || model->dying ||
            is_in_handler(model))
            continue;
        uint64_t latest = model->latest_begin + model->limits.lifetime + BERTH_LIMIT_TICK + 1;
        sim_check(latest >= before, "socket %zu has outlived its limit", i);
    }
}
