/*
 * The limit of pending connections: how many wait in the server, and who waits in the kernel.
 */
#include "scene.h"

#include <limits.h>

static struct host *host_with_limit(int limit)
{
    struct host *host = host_listening("h");
    berth_server_set_max_pending_connections(host->server, limit);
    return host;
}

static void connect_many(const struct host *host, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        world_connect(host->port);
}

static unsigned take_all(struct host *host)
{
    unsigned count = 0;
    while (count < 1000 && berth_server_next_pending_connection(host->server) != NULL)
        count++;
    return count;
}

CASE(limit_two_three_clients, "T8", "two are pending, the third comes when they were taken")
{
    struct host *host = host_with_limit(2);
    connect_many(host, 3);
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
    while (host->new_connections < 2)
        ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
    ck_assert_ptr_nonnull(berth_server_next_pending_connection(host->server));
    ck_assert_ptr_nonnull(berth_server_next_pending_connection(host->server));
    ck_assert_ptr_null(berth_server_next_pending_connection(host->server));
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
    ck_assert_ptr_nonnull(berth_server_next_pending_connection(host->server));
    ck_assert_uint_eq(host->new_connections, 3);
}

CASE(limit_zero_accepts_nothing, "S1.50", "limit 0: peers wait in the kernel, and can send")
{
    struct host *host = host_with_limit(0);
    struct peer *peer = world_connect(host->port);
    ck_assert_uint_eq(peer_send_some(peer, "hello", 5), 5);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 0);
    berth_server_set_max_pending_connections(host->server, 1);
    UNTIL(host->new_connections == 1);
}

CASE(negative_limit_accepts_nothing, "S1.50", "a negative limit is as 0")
{
    struct host *host = host_with_limit(-5);
    connect_many(host, 2);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 0);
    berth_server_set_max_pending_connections(host->server, INT_MIN);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 0);
}

CASE(limit_one, "S2.11", "one taken, one accepted")
{
    struct host *host = host_with_limit(1);
    connect_many(host, 4);
    for (unsigned i = 1; i <= 4; i++) {
        UNTIL(host->new_connections == i);
        world_settle();
        ck_assert_uint_eq(host->new_connections, i);
        ck_assert_uint_eq(take_all(host), 1);
    }
}

CASE(limit_is_raised_while_running, "Q23",
     "a raised limit acts at once, without anything being taken")
{
    struct host *host = host_with_limit(1);
    connect_many(host, 5);
    UNTIL(host->new_connections == 1);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 1);
    berth_server_set_max_pending_connections(host->server, 3);
    UNTIL(host->new_connections == 3);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 3);
    berth_server_set_max_pending_connections(host->server, INT_MAX);
    UNTIL(host->new_connections == 5);
}

CASE(limit_is_lowered, "S1.51", "a lowered limit drops nothing, and holds for what follows")
{
    struct host *host = host_with_limit(4);
    connect_many(host, 6);
    UNTIL(host->new_connections == 4);
    berth_server_set_max_pending_connections(host->server, 2);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 4);
    ck_assert_ptr_nonnull(berth_server_next_pending_connection(host->server));
    ck_assert_ptr_nonnull(berth_server_next_pending_connection(host->server));
    world_settle();
    ck_assert_uint_eq(host->new_connections, 4);
    ck_assert_ptr_nonnull(berth_server_next_pending_connection(host->server));
    UNTIL(host->new_connections == 5);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 5);
}

CASE(default_limit_is_thirty, "S2.12", "the 31st peer stays in the kernel")
{
    struct host *host = host_listening("h");
    connect_many(host, 33);
    UNTIL(host->new_connections == 30);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 30);
    ck_assert_uint_eq(take_all(host), 30);
    UNTIL(host->new_connections == 33);
}

CASE(limit_one_with_a_handler_that_takes, "S2.4",
     "a handler that takes each one at once lets a whole burst through")
{
    struct host *host = host_with_limit(1);
    host->takes = true;
    connect_many(host, 10);
    UNTIL(host->new_connections == 10);
    ck_assert_uint_eq(host->count, 10);
}

static void lower(struct host *host)
{
    berth_server_set_max_pending_connections(host->server, 0);
}

CASE(limit_zero_inside_new_connection, "S1.49", "the limit set inside the burst holds within it")
{
    struct host *host = host_listening("h");
    host->on_new_connection = lower;
    connect_many(host, 5);
    UNTIL(host->new_connections == 1);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 1);
    host->on_new_connection = NULL;
    berth_server_set_max_pending_connections(host->server, 30);
    UNTIL(host->new_connections == 5);
}

CASE(freeing_a_pending_socket_makes_room, "Q9 S5.5",
     "a pending socket that is freed leaves the queue, and the next one comes")
{
    struct host *host = host_with_limit(1);
    connect_many(host, 2);
    UNTIL(host->new_connections == 1);
    berth_socket *socket = berth_server_next_pending_connection(host->server);
    ck_assert_ptr_nonnull(socket);
    berth_server_add_pending_connection(host->server, socket);
    berth_socket_free(socket);
    ck_assert(!berth_server_has_pending_connections(host->server));
    UNTIL(host->new_connections == 2);
    ck_assert_uint_eq(take_all(host), 1);
}

CASE(limit_bounds_descriptors, "reliability 3",
     "beyond the limit the kernel keeps the connections, not the process")
{
    struct host *host = host_with_limit(3);
    world_settle();
    connect_many(host, 40);
    unsigned before = world_descriptors();
    UNTIL(host->new_connections == 3);
    world_settle();
    ck_assert_uint_eq(world_descriptors(), before + 3);
}
