/*
 * Calls about options and names: what is kept before a connection and holds in it, and whether what
 * an object says of itself agrees with the model.
 */
#include "calls.h"
#include "world.h"

#include <limits.h>
#include <string.h>

/* ---- options --------------------------------------------------------------------------------- */

struct range {
    int least, most;
};

static const struct range ranges[SIM_OPTIONS] = {
    [BERTH_OPTION_LOW_DELAY] = {0, 1},
    [BERTH_OPTION_KEEP_ALIVE] = {0, 1},
    [BERTH_OPTION_KEEP_ALIVE_IDLE] = {1, 32767},
    [BERTH_OPTION_KEEP_ALIVE_INTERVAL] = {1, 32767},
    [BERTH_OPTION_KEEP_ALIVE_COUNT] = {1, 127},
    [BERTH_OPTION_TYPE_OF_SERVICE] = {0, 255},
    [BERTH_OPTION_SEND_BUFFER_SIZE] = {0, INT_MAX},
    [BERTH_OPTION_RECEIVE_BUFFER_SIZE] = {0, INT_MAX},
    [BERTH_OPTION_LINGER] = {-1, 32767},
    [BERTH_OPTION_USER_TIMEOUT] = {0, INT_MAX},
};

static bool is_exact(uint32_t which)
{
    return which != BERTH_OPTION_SEND_BUFFER_SIZE && which != BERTH_OPTION_RECEIVE_BUFFER_SIZE &&
           which != BERTH_OPTION_TYPE_OF_SERVICE;
}

static int some_value(uint32_t which, uint64_t *word)
{
    static const int strange[] = {-2, -1, 0, 256, 32768, INT_MIN};
    if (sim_choose(word, 6) == 0)
        return strange[sim_choose(word, 6)];
    if (!is_exact(which) && which != BERTH_OPTION_TYPE_OF_SERVICE)
        return 4096 + (int)sim_choose(word, 60000);
    int least = ranges[which].least;
    uint32_t span = (uint32_t)(ranges[which].most - least);
    return least + (int)sim_choose(word, span < 100 ? span + 1 : 100);
}

static void set_option(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    if (model == NULL)
        return;
    uint32_t which = sim_choose(&word, SIM_OPTIONS + 1);
    int value = which < SIM_OPTIONS ? some_value(which, &word) : 0;
    bool sound = which < SIM_OPTIONS && value >= ranges[which].least && value <= ranges[which].most;
    berth_socket_option option = (berth_socket_option)which;
    bool open = model->state == BERTH_STATE_CONNECTED || model->state == BERTH_STATE_CLOSING;
    bool local = model->connection != NULL && model->connection->local;
    sound = sound && (!open || !local || (SIM_LOCAL_OPTIONS >> which & 1) != 0);
    bool done = berth_socket_set_option(model->socket, option, value);
    sim_say("socket %zu sets option %u to %d%s", sim_number_of(model), which, value,
            done ? "" : ", in vain");
    sim_check(!done || sound, "option %u takes %d", which, value);
    sim_check(done || !sound || sim_lossy() || model->state == BERTH_STATE_BOUND,
              "option %u does not take %d", which, value);
    if (!done)
        return;
    if (!open) {
        model->options |= 1u << which;
        model->values[which] = value;
        sim.hard_ends = sim.hard_ends || (which == BERTH_OPTION_LINGER && value == 0);
    }
    if (which == BERTH_OPTION_LINGER && value == 0 && open)
        sim_cut(model->connection); /* every end is a reset from here on */
    int got = INT_MIN;
    bool known = berth_socket_get_option(model->socket, option, &got);
    sim_check(known && (got == value || !is_exact(which)), "option %u is %d, not %d", which, got,
              value);
}

/* An unconnected socket knows what was kept for it, and nothing else. */
static void get_option(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    if (model == NULL || model->state != BERTH_STATE_UNCONNECTED)
        return;
    uint32_t which = sim_choose(&word, SIM_OPTIONS);
    int value = INT_MIN;
    bool known = berth_socket_get_option(model->socket, (berth_socket_option)which, &value);
    bool kept = (model->options >> which & 1) != 0;
    sim_check(known == kept, "option %u is %sknown", which, known ? "" : "not ");
    sim_check(kept ? value == model->values[which] : value == INT_MIN, "option %u is %d", which,
              value);
}

void sim_options_hold(struct socket_model *model)
{
    unsigned options =
        model->connection->local ? model->options & SIM_LOCAL_OPTIONS : model->options;
    for (uint32_t which = 0; which < SIM_OPTIONS; which++) {
        int value = INT_MIN;
        if ((options >> which & 1) == 0)
            continue;
        berth_socket_get_option(model->socket, (berth_socket_option)which, &value);
        sim_check(value == model->values[which] || !is_exact(which) || sim_lossy(),
                  "option %u is %d in the connection, not %d", which, value, model->values[which]);
        if (which == BERTH_OPTION_LINGER && model->values[which] == 0)
            sim_cut(model->connection);
    }
}

/* ---- questions ------------------------------------------------------------------------------- */

static void ask_names(struct socket_model *model)
{
    const berth_socket *socket = model->socket;
    bool open = model->state == BERTH_STATE_CONNECTED || model->state == BERTH_STATE_CLOSING;
    bool begins = model->state == BERTH_STATE_CONNECTING || model->state == BERTH_STATE_HOST_LOOKUP;
    const struct connection *connection = model->connection;
    sim_check(!begins || (berth_socket_peer_port(socket) == 0 &&
                          berth_address_is_null(berth_socket_peer_address(socket)) &&
                          berth_address_is_null(berth_socket_transport_peer_address(socket))),
              "there is a peer already, while a socket connects");
    if (!open || connection == NULL || connection->to == sim.proxy_port ||
        (model->side == 1 && /* calls_headers.c; or the other side does not know of it yet */
         (connection->headed || (!connection->begun && !connection->of_peer))) ||
        connection->local || /* calls_local.c */
        !sim_complete(&connection->way[0]) || !sim_complete(&connection->way[1]))
        return; /* after a reset the kernel may not know any more */
    uint16_t own = model->side == 0 ? connection->port : connection->to;
    uint16_t other = model->side == 0 ? connection->to : connection->port;
    sim_check(berth_socket_local_port(socket) == own, "a socket has the port %u, not %u",
              berth_socket_local_port(socket), own);
    sim_check(berth_socket_peer_port(socket) == other, "the peer has the port %u, not %u",
              berth_socket_peer_port(socket), other);
    sim_check(berth_address_is_loopback(berth_socket_peer_address(socket)) &&
                  berth_address_is_loopback(berth_socket_local_address(socket)),
              "a connection is not with this host");
    berth_address far = berth_socket_transport_peer_address(socket);
    sim_check(berth_address_is_null(far) ||
                  (berth_address_equal(far, berth_socket_peer_address(socket)) &&
                   berth_socket_transport_peer_port(socket) == other),
              "the far end is another than the peer");
}

static void ask_socket(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    if (model == NULL)
        return;
    const berth_socket *socket = model->socket;
    sim_check(berth_socket_user(socket) == model, "a socket has lost its user");
    sim_check(berth_socket_loop(socket) == sim.loop, "a socket has lost its loop");
    berth_error error = berth_socket_error(socket);
    sim_check((error == BERTH_ERROR_NONE) == (berth_socket_error_string(socket)[0] == '\0'),
              "class and text of an error do not agree");
    sim_check(!berth_socket_was_reset(socket) || model->state != BERTH_STATE_CONNECTED ||
                  error != BERTH_ERROR_NONE,
              "a connection that is open was reset");
    sim_check((berth_socket_descriptor(socket) >= 0) || model->state != BERTH_STATE_CONNECTED,
              "a connection without a descriptor");
    sim_check(berth_socket_peer_name(socket) != NULL, "there is no name");
    size_t size;
    sim_check(berth_socket_proxy_header_value(socket, 1, &size) == NULL && size == 0,
              "a value of a header that never came");
    ask_names(model);
}

static void ask_server(uint64_t word)
{
    struct server_model *model = sim_some_server(&word);
    if (model == NULL)
        return;
    const berth_server *server = model->server;
    bool listens = berth_server_is_listening(server);
    sim_check(berth_server_user(server) == model, "a server has lost its user");
    sim_check(berth_server_loop(server) == sim.loop, "a server has lost its loop");
    sim_check(berth_address_is_null(berth_server_address(server)) == !listens,
              "a server has an address without listening, or none");
    berth_error error = berth_server_error(server);
    sim_check((error == BERTH_ERROR_NONE) == (berth_server_error_string(server)[0] == '\0'),
              "class and text of an error do not agree");
    sim_check(berth_server_base_has_pending_connections(server) ==
                  berth_server_has_pending_connections(model->server),
              "the base behaviour and the default do not agree");
    int size = world->least_backlog + (int)sim_choose(&word, 100);
    berth_server_set_listen_backlog_size(model->server, size);
    sim_check(berth_server_listen_backlog_size(server) == size, "a backlog was not kept");
    bool reuse = sim_choose(&word, 2) == 0;
    berth_server_set_reuse_port(model->server, reuse);
    sim_check(berth_server_reuse_port(server) == reuse, "reuse_port was not kept");
}

static void set_handlers(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    if (model == NULL)
        return;
    sim_say("socket %zu gets the same handlers anew", sim_number_of(model));
    berth_socket_set_handlers(model->socket, &sim_socket_handlers, model);
}

void sim_call_of_options(uint64_t word)
{
    static void (*const calls[])(uint64_t word) = {
        set_option, set_option, get_option, ask_socket, ask_server, set_handlers,
    };
    uint32_t chosen = sim_choose(&word, sizeof calls / sizeof calls[0]);
    calls[chosen](word);
}
