/*
 * wait_for_new_connection: a server without a loop being run.
 */
#include "scene.h"

CASE(wait_without_listening, "S4.1 Q22", "false at once, error unchanged, flag set")
{
    struct host *host = host_new("h");
    bool timed_out = true;
    ck_assert(!berth_server_wait_for_new_connection(host->server, -1, &timed_out));
    ck_assert(!timed_out);
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_NONE);
    ck_assert(!berth_server_wait_for_new_connection(host->server, -1, NULL));
}

CASE(wait_polls, "S4.2",
     "0 milliseconds: nothing there is a time-out, a peer there is a connection")
{
    struct host *host = host_listening("h");
    bool timed_out = false;
    ck_assert(!berth_server_wait_for_new_connection(host->server, 0, &timed_out));
    ck_assert(timed_out);
    world_connect(host->port);
    for (int polls = 0; polls < WORLD_TURNS && host->new_connections == 0; polls++)
        timed_out = !berth_server_wait_for_new_connection(host->server, 0, NULL);
    ck_assert_uint_eq(host->new_connections, 1);
    ck_assert(!timed_out);
}

CASE(wait_times_out, "S4.3 T10", "false, flag, class SOCKET_TIMEOUT and a text; still listening")
{
    struct host *host = host_listening("h");
    bool timed_out = false;
    ck_assert(!berth_server_wait_for_new_connection(host->server, 20, &timed_out));
    ck_assert(timed_out);
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_SOCKET_TIMEOUT);
    ck_assert_str_ne(berth_server_error_string(host->server), "");
    ck_assert(berth_server_is_listening(host->server));
    world_connect(host->port);
    timed_out = true;
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, &timed_out));
    ck_assert(!timed_out);
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_SOCKET_TIMEOUT);
}

CASE(wait_time_outs_keep_their_class, "Q4",
     "the tenth time-out is as the first, after connections too")
{
    struct host *host = host_listening("h");
    for (int i = 0; i < 10; i++) {
        if (i % 3 == 0) {
            world_connect(host->port);
            ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
        }
        ck_assert(!berth_server_wait_for_new_connection(host->server, 1, NULL));
        ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_SOCKET_TIMEOUT);
    }
}

CASE(wait_calls_handlers_inside, "S4.4 S4.19",
     "new_connection comes inside the call, and a loop run later adds nothing")
{
    struct host *host = host_listening("h");
    world_connect(host->port);
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
    assert_trace("h new_connection");
    world_settle();
    assert_trace("h new_connection");
    ck_assert(berth_server_has_pending_connections(host->server));
}

CASE(wait_ignores_pending_ones, "S4.5 D4", "connections already pending do not end the wait")
{
    struct host *host = host_listening("h");
    world_connect(host->port);
    UNTIL(host->new_connections == 1);
    bool timed_out = false;
    ck_assert(!berth_server_wait_for_new_connection(host->server, 10, &timed_out));
    ck_assert(timed_out);
}

CASE(wait_with_a_full_queue, "S4.7", "returns true without accepting anything")
{
    struct host *host = host_listening("h");
    berth_server_set_max_pending_connections(host->server, 1);
    world_connect(host->port);
    UNTIL(host->new_connections == 1);
    world_connect(host->port);
    bool timed_out = true;
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, &timed_out));
    ck_assert(!timed_out);
    ck_assert_uint_eq(host->new_connections, 1);
    ck_assert_ptr_nonnull(berth_server_next_pending_connection(host->server));
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, &timed_out));
    ck_assert_uint_eq(host->new_connections, 2);
}

CASE(wait_serves_its_own_server, "S4.9", "peers of another server wait for the loop")
{
    struct host *one = host_listening("1");
    struct host *two = host_listening("2");
    world_connect(two->port);
    world_connect(two->port);
    ck_assert(!berth_server_wait_for_new_connection(one->server, 20, NULL));
    ck_assert_uint_eq(two->new_connections, 0);
    world_connect(one->port);
    ck_assert(berth_server_wait_for_new_connection(one->server, 5000, NULL));
    ck_assert_uint_eq(two->new_connections, 0);
    UNTIL(two->new_connections == 2);
}

CASE(wait_leaves_sockets_alone, "S4.9",
     "bytes for other objects are announced by the loop, not in the wait")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    ck_assert_uint_eq(peer_send_some(peer, "hello", 5), 5);
    world_connect(host->port);
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
    assert_trace("h new_connection");
    UNTIL(actor->received == 5);
}

static void free_host(struct host *host)
{
    berth_server_free(host->server);
    host->server = NULL;
}

CASE(wait_whose_server_is_freed, "S4.8",
     "freed by its handler inside: the wait returns, the flag is set")
{
    struct host *host = host_listening("h");
    host->on_new_connection = free_host;
    world_connect(host->port);
    bool timed_out = true;
    berth_server_wait_for_new_connection(host->server, 5000, &timed_out);
    ck_assert(!timed_out);
    ck_assert_ptr_null(host->server);
}

static void close_host(struct host *host)
{
    berth_server_close(host->server);
}

CASE(wait_whose_server_is_closed, "S4.7", "closed by its handler inside: true, and nothing pending")
{
    struct host *host = host_listening("h");
    host->on_new_connection = close_host;
    world_connect(host->port);
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
    ck_assert(!berth_server_has_pending_connections(host->server));
}

static void wait_again(struct host *host)
{
    if (host->new_connections == 1)
        ck_assert(!berth_server_wait_for_new_connection(host->server, 10, NULL));
}

CASE(wait_inside_new_connection, "T35", "a wait inside the handler of a wait")
{
    struct host *host = host_listening("h");
    host->on_new_connection = wait_again;
    world_connect(host->port);
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
    ck_assert_uint_eq(host->new_connections, 1);
}

CASE(wait_for_ever, "S4.2 T31", "a negative time waits until somebody comes")
{
    struct host *host = host_listening("h");
    world_connect(host->port);
    ck_assert(berth_server_wait_for_new_connection(host->server, world_for_ever(), NULL));
    world_connect(host->port);
    ck_assert(berth_server_wait_for_new_connection(host->server, -7, NULL));
    ck_assert_uint_eq(host->new_connections, 2);
}
