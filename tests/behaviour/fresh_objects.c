/*
 * Objects that nothing has been done with: every question has an answer, every call is harmless.
 */
#include "scene.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

CASE(fresh_server, "S1.1 T2", "a new server answers every question with its default")
{
    berth_server *server = berth_server_new(world_loop(), NULL, &world_loop);
    ck_assert_ptr_nonnull(server);
    ck_assert(!berth_server_is_listening(server));
    ck_assert_uint_eq(berth_server_port(server), 0);
    ck_assert(berth_address_is_null(berth_server_address(server)));
    ck_assert_int_eq(berth_server_descriptor(server), -1);
    ck_assert(!berth_server_has_pending_connections(server));
    ck_assert_ptr_null(berth_server_next_pending_connection(server));
    ck_assert_int_eq(berth_server_max_pending_connections(server), 30);
    ck_assert_int_eq(berth_server_listen_backlog_size(server), 50);
    ck_assert_int_eq(berth_server_error(server), BERTH_ERROR_NONE);
    ck_assert_str_eq(berth_server_error_string(server), "");
    ck_assert_int_eq(berth_server_proxy(server).type, BERTH_PROXY_DEFAULT);
    ck_assert_ptr_eq(berth_server_loop(server), world_loop());
    ck_assert_ptr_eq(berth_server_user(server), (void *)&world_loop);
    bool timed_out = true;
    ck_assert(!berth_server_wait_for_new_connection(server, 10, &timed_out));
    ck_assert(!timed_out);
    ck_assert_int_eq(berth_server_error(server), BERTH_ERROR_NONE);
    berth_server_free(server);
}

CASE(close_a_fresh_server, "T7 S1.28",
     "close on a new server is harmless, and listening works afterwards")
{
    struct host *host = host_new("h");
    berth_server_close(host->server);
    berth_server_close(host->server);
    host_listen(host);
    world_connect(host->port);
    berth_socket *socket = host_take(host);
    ck_assert_ptr_nonnull(socket);
}

CASE(server_settings, "T1 S1.35 N1",
     "limit and backlog give back what was set, at the extremes too")
{
    static const int limits[] = {0, INT_MIN, INT_MAX, -1, 1};
    struct host *host = host_new("h");
    for (unsigned i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        berth_server_set_max_pending_connections(host->server, limits[i]);
        ck_assert_int_eq(berth_server_max_pending_connections(host->server), limits[i]);
    }
    berth_server_set_listen_backlog_size(host->server, 7);
    ck_assert_int_eq(berth_server_listen_backlog_size(host->server), 7);
    host_listen(host);
}

CASE(server_proxy_is_copied, "S1.64",
     "the proxy is a copy of what was set, and NULL sets the default again")
{
    struct host *host = host_new("h");
    char name[] = "proxy.example";
    berth_proxy proxy = {.type = BERTH_PROXY_SOCKS5, .port = 1080, .host = name, .user = "u"};
    ck_assert(berth_server_set_proxy(host->server, &proxy));
    memset(name, 'x', sizeof name - 1);
    berth_proxy kept = berth_server_proxy(host->server);
    ck_assert_int_eq(kept.type, BERTH_PROXY_SOCKS5);
    ck_assert_uint_eq(kept.port, 1080);
    ck_assert_str_eq(kept.host, "proxy.example");
    ck_assert_str_eq(kept.user, "u");
    ck_assert(berth_server_set_proxy(host->server, NULL));
    ck_assert_int_eq(berth_server_proxy(host->server).type, BERTH_PROXY_DEFAULT);
}

static void ask_everything(berth_socket *socket)
{
    char bytes[8];
    size_t size = 1;
    ck_assert_int_eq(berth_socket_state(socket), BERTH_STATE_UNCONNECTED);
    ck_assert(!berth_socket_is_valid(socket));
    ck_assert_int_eq(berth_socket_descriptor(socket), -1);
    ck_assert_uint_eq(berth_socket_bytes_available(socket), 0);
    ck_assert_uint_eq(berth_socket_bytes_to_write(socket), 0);
    ck_assert(berth_address_is_null(berth_socket_peer_address(socket)));
    ck_assert(berth_address_is_null(berth_socket_local_address(socket)));
    ck_assert_uint_eq(berth_socket_peer_port(socket), 0);
    ck_assert_uint_eq(berth_socket_local_port(socket), 0);
    ck_assert_int_eq(berth_socket_read(socket, bytes, sizeof bytes), -1);
    ck_assert_int_eq(berth_socket_peek(socket, bytes, sizeof bytes), -1);
    ck_assert_int_eq(berth_socket_skip(socket, 1), -1);
    ck_assert_int_eq(berth_socket_read_line(socket, bytes, sizeof bytes), -1);
    ck_assert(!berth_socket_can_read_line(socket));
    ck_assert_ptr_null(berth_socket_view(socket, &size));
    ck_assert_uint_eq(size, 0);
    ck_assert(!berth_socket_flush(socket));
    ck_assert(!berth_socket_wait_for_connected(socket, 10));
    ck_assert(!berth_socket_wait_for_ready_read(socket, 10));
    ck_assert(!berth_socket_wait_for_bytes_written(socket, 10));
    ck_assert(!berth_socket_wait_for_disconnected(socket, 10));
}

CASE(fresh_socket, "S3.1 T32",
     "a new socket has nothing, is nothing, and every call on it is harmless")
{
    struct actor *actor = actor_new("s");
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_NONE);
    ck_assert_str_eq(berth_socket_error_string(actor->socket), "");
    ck_assert_uint_eq(berth_socket_read_buffer_size(actor->socket), 0);
    ck_assert_ptr_eq(berth_socket_loop(actor->socket), world_loop());
    ck_assert_ptr_eq(berth_socket_user(actor->socket), actor);
    ask_everything(actor->socket);
    berth_socket_disconnect_from_host(actor->socket);
    berth_socket_close(actor->socket);
    berth_socket_abort(actor->socket);
    berth_socket_detach(actor->socket);
    world_settle();
    ask_everything(actor->socket);
    assert_trace("");
}

CASE(errors_of_null, "S1.1", "the error of an object that could not be made is that of errno")
{
    errno = ENOMEM;
    ck_assert_int_eq(berth_server_error(NULL), BERTH_ERROR_SOCKET_RESOURCE);
    ck_assert_str_eq(berth_server_error_string(NULL), "out of memory");
    ck_assert_int_eq(berth_socket_error(NULL), BERTH_ERROR_SOCKET_RESOURCE);
    ck_assert_str_eq(berth_socket_error_string(NULL), "out of memory");
    errno = EINVAL; /* of something else: the environment is right */
    ck_assert_str_eq(berth_socket_error_string(NULL), "invalid for this socket or address");
    ck_assert_ptr_null(berth_workers_new(0, NULL, NULL));
    ck_assert_int_eq(berth_workers_error(NULL), BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert_str_eq(berth_workers_error_string(NULL),
                     "invalid argument (a pool has 1 to 1024 workers)");
    ck_assert_ptr_null(berth_handover_offer(world_loop(), "", NULL, NULL));
    ck_assert_str_eq(berth_handover_error_string(NULL), "the path is empty");
}

CASE(free_null, "S1.3", "NULL may be freed, whatever it would have been")
{
    berth_server_free(NULL);
    berth_socket_free(NULL);
    berth_timer_free(NULL);
    berth_loop_free(NULL);
}

CASE(getters_change_nothing, "S1.6", "every question may be asked in every state without effect")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    for (int rounds = 0; rounds < 3; rounds++) {
        ck_assert(berth_server_is_listening(host->server));
        ck_assert_uint_eq(berth_server_port(host->server), host->port);
        ck_assert(berth_address_equal(berth_server_address(host->server), BERTH_ADDRESS_LOOPBACK));
        ck_assert_int_ge(berth_server_descriptor(host->server), 0);
        ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_NONE);
        ck_assert_uint_eq(berth_socket_peer_port(actor->socket), peer_port(peer));
        ck_assert_uint_eq(berth_socket_local_port(actor->socket), host->port);
        ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
        world_settle();
    }
    assert_trace("");
}

CASE(empty_loop, "S2.1", "a loop with nothing in it turns, and ends a turn in time")
{
    ck_assert(!berth_loop_turn(world_loop(), 0));
    ck_assert(!berth_loop_turn(world_loop(), 1));
    if (strcmp(getenv("BERTH_BACKEND"), "auto") != 0) /* in a sandbox: scenario 12 */
        ck_assert_str_eq(berth_loop_backend_name(world_loop()), getenv("BERTH_BACKEND"));
    ck_assert_str_ne(berth_loop_backend_reason(world_loop()), "");
}
