/*
 * The table for servers: one CALL a function, each with the arguments that a program may give.
 */
#include "calls.h"

#include "server/server.h"

#include <string.h>

CALL(berth_server_new_sized)
{
    ck_assert_ptr_nonnull(berth_server_new_sized(world_loop(), NULL, 0, NULL));
}

CALL(berth_server_free)
{
    stage_free_server();
}

CALL(berth_server_user)
{
    ck_assert_ptr_eq(berth_server_user(stage.server), &stage);
}

CALL(berth_server_loop)
{
    ck_assert_ptr_eq(berth_server_loop(stage.server), world_loop());
}

static bool may_listen(void)
{
    return !berth_server_is_listening(stage.server) && !stage.server_freed &&
           !berth__drain_forbids(stage.server);
}

CALL(berth_server_listen)
{
    ck_assert(!berth_server_listen(stage.server, BERTH_ADDRESS_NULL, 0));
    bool could = may_listen();
    bool listens = berth_server_listen(stage.server, BERTH_ADDRESS_LOOPBACK, 0);
    ck_assert_int_eq(listens, could);
    if (!stage.server_freed)
        ck_assert_int_ne(berth_server_error(stage.server), BERTH_ERROR_NONE);
}

CALL(berth_server_close)
{
    stage_close_server();
    ck_assert(stage.server == NULL || !berth_server_is_listening(stage.server));
}

CALL(berth_server_drain_sized)
{
    const berth_drain plan = {.grace = 10, .idle = 10};
    (void)berth_server_drain(stage.server, &plan);
    (void)berth_server_drain(stage.server, NULL);
}

CALL(berth_server_drain_state)
{
    (void)berth_server_drain_state(stage.server);
}

static void visit(berth_socket *socket, void *user)
{
    ck_assert_ptr_ne(socket, user);
}

CALL(berth_server_each_socket)
{
    berth_server_each_socket(stage.server, visit, &stage);
}

CALL(berth_server_drop_copies)
{
    if (berth_server_drop_copies(stage.server))
        ck_assert(!berth_server_base_has_pending_connections(stage.server));
}

CALL(berth_server_is_listening)
{
    bool listens = berth_server_is_listening(stage.server);
    ck_assert_int_eq(listens, berth_server_is_listening(stage.server));
}

CALL(berth_server_port)
{
    berth_server_port(stage.server);
}

CALL(berth_server_address)
{
    berth_server_address(stage.server);
}

CALL(berth_server_descriptor)
{
    ck_assert_int_ge(berth_server_descriptor(stage.server), -1);
}

CALL(berth_server_set_descriptor)
{
    uint16_t port;
    int descriptor = world_listener_descriptor(&port);
    ck_assert(!berth_server_set_descriptor(stage.server, -1));
    bool could = may_listen();
    bool adopted = berth_server_set_descriptor(stage.server, descriptor);
    ck_assert_int_eq(adopted, could);
    if (adopted)
        ck_assert_uint_eq(berth_server_port(stage.server), port);
    else
        world_close_descriptor(descriptor);
}

CALL(berth_server_has_pending_connections)
{
    berth_server_has_pending_connections(stage.server);
}

CALL(berth_server_next_pending_connection)
{
    berth_server_next_pending_connection(stage.server);
}

CALL(berth_server_add_pending_connection)
{
    berth_server_add_pending_connection(stage.server, NULL);
    if (stage.socket != NULL)
        berth_server_add_pending_connection(stage.server, stage.socket);
}

CALL(berth_server_base_incoming_connection)
{
    struct peer *peer;
    berth_server_base_incoming_connection(stage.server, world_stream_descriptor(&peer));
}

CALL(berth_server_base_has_pending_connections)
{
    berth_server_base_has_pending_connections(stage.server);
}

CALL(berth_server_base_next_pending_connection)
{
    berth_server_base_next_pending_connection(stage.server);
}

CALL(berth_server_max_pending_connections)
{
    berth_server_max_pending_connections(stage.server);
}

CALL(berth_server_set_max_pending_connections)
{
    berth_server_set_max_pending_connections(stage.server, 0);
    berth_server_set_max_pending_connections(stage.server, -1);
    berth_server_set_max_pending_connections(stage.server, 2);
    ck_assert_int_eq(berth_server_max_pending_connections(stage.server), 2);
}

CALL(berth_server_pending_read_limit)
{
    berth_server_pending_read_limit(stage.server);
}

CALL(berth_server_set_pending_read_limit)
{
    berth_server_set_pending_read_limit(stage.server, 0);
    berth_server_set_pending_read_limit(stage.server, 5);
    ck_assert_uint_eq(berth_server_pending_read_limit(stage.server), 5);
}

CALL(berth_server_listen_backlog_size)
{
    berth_server_listen_backlog_size(stage.server);
}

CALL(berth_server_set_listen_backlog_size)
{
    berth_server_set_listen_backlog_size(stage.server, 3);
    ck_assert_int_eq(berth_server_listen_backlog_size(stage.server), 3);
}

CALL(berth_server_reuse_port)
{
    berth_server_reuse_port(stage.server);
}

CALL(berth_server_set_reuse_port)
{
    berth_server_set_reuse_port(stage.server, true);
    ck_assert(berth_server_reuse_port(stage.server));
    berth_server_set_reuse_port(stage.server, false);
    ck_assert(!berth_server_reuse_port(stage.server));
}

CALL(berth_server_pause_accepting)
{
    berth_server_pause_accepting(stage.server);
}

CALL(berth_server_resume_accepting)
{
    berth_server_resume_accepting(stage.server);
}

CALL(berth_server_wait_for_new_connection)
{
    bool timed_out = true;
    bool could =
        (stage.server->listener != NULL || stage.server->listens_through) && !stage.server_freed;
    bool arrived = berth_server_wait_for_new_connection(stage.server, 0, &timed_out);
    ck_assert(!(arrived && timed_out));
    ck_assert(could || (!arrived && !timed_out));
    if (stage.server != NULL)
        berth_server_wait_for_new_connection(stage.server, 1, NULL);
}

CALL(berth_server_error)
{
    berth_server_error(stage.server);
}

CALL(berth_server_error_string)
{
    ck_assert_ptr_nonnull(berth_server_error_string(stage.server));
}

CALL(berth_server_set_proxy)
{
    berth_proxy proxy = {.type = BERTH_PROXY_HTTP, .host = "proxy.test", .port = 8080};
    ck_assert(berth_server_set_proxy(stage.server, &proxy));
    ck_assert(berth_server_set_proxy(stage.server, NULL));
}

CALL(berth_server_proxy)
{
    berth_server_proxy(stage.server);
}

CALL(berth_server_reject)
{
    size_t none = berth_server_reject(stage.server, 0, BERTH_REJECT_CLOSE);
    ck_assert_uint_eq(none, 0);
    size_t all = berth_server_reject(stage.server, SIZE_MAX, BERTH_REJECT_RESET);
    ck_assert(all == 0 || berth_server_is_listening(stage.server));
}

CALL(berth_server_set_accept_limits_sized)
{
    const berth_accept_limits limits = {.per_address = 3, .per_second = 1000, .shed = true};
    berth_server_set_accept_limits(stage.server, &limits);
    berth_server_set_accept_limits(stage.server, NULL);
}

CALL(berth_server_accept_limits_sized)
{
    berth_accept_limits limits = {.per_second = 7};
    berth_server_accept_limits(stage.server, &limits);
    ck_assert_uint_eq(limits.per_second, 0);
}

CALL(berth_server_set_connection_limits_sized)
{
    const berth_connection_limits limits = {.idle = 60000, .output = 1 << 20};
    berth_server_set_connection_limits(stage.server, &limits);
    berth_server_set_connection_limits(stage.server, NULL);
}

CALL(berth_server_connection_limits_sized)
{
    berth_connection_limits limits = {.idle = 7};
    berth_server_connection_limits(stage.server, &limits);
    ck_assert_uint_eq(limits.idle, 0);
}

CALL(berth_server_statistics_sized)
{
    berth_server_counts counts;
    berth_server_statistics(stage.server, &counts);
    scene_assert_balance(&counts);
}

CALL(berth_server_set_proxy_protocol)
{
    berth_subnet nobody = {.prefix = 0};
    bool alive = berth_server_set_proxy_protocol(stage.server, &nobody, 1, 10);
    ck_assert(berth_server_set_proxy_protocol(stage.server, NULL, 0, 0) == alive);
}
