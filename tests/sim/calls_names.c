/*
 * Connecting by name: numbers, names of this host, and names that are none.
 *
 * No name server is asked: the resolver's descriptors are the real kernel's, which a simulated one
 * cannot watch (connecting_by_name.c has cases with a server). What is found in the hosts file, and
 * what cannot be a name at all, comes at once, from the loop.
 */
#include "calls.h"
#include "world.h"

static const char *const long_label =
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test";

void sim_call_of_names(uint64_t word)
{
    struct socket_model *model =
        sim_choose(&word, 3) == 0 ? sim_some_socket(&word) : sim_new_socket();
    const struct server_model *server = sim_some_server(&word);
    if (model == NULL)
        return;
    if (model->socket == NULL)
        model->socket = berth_socket_new(sim.loop, &sim_socket_handlers, model);
    if (model->socket == NULL || model->owed > 0)
        return;
    const char *const hosts[] = {"127.0.0.1", "localhost", "127.1", "0x7f.1", long_label};
    const char *host = hosts[sim_choose(&word, sizeof hosts / sizeof hosts[0])];
    bool elsewhere = sim_choose(&word, 2) == 0 && server != NULL;
    uint16_t port = elsewhere ? berth_server_port(server->server) : sim.port;
    bool may = model->state == BERTH_STATE_UNCONNECTED || model->state == BERTH_STATE_BOUND;
    sim_say("socket %zu connects to the host \"%s\"", sim_number_of(model), host);
    uint16_t target = sim_target(model, port);
    if (may && !sim_prepare(model, target))
        return;
    if (may) {
        sim_leave_connection(model);
        model->target = target;
    }
    model->calls++;
    bool begun = berth_socket_connect_to_host(model->socket, host, port);
    model->calls--;
    sim_check(may || !begun, "a socket connects in state %d", model->state);
}
