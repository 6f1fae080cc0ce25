/*
 * Several servers on one address and port, by set_reuse_port.
 */
#include "scene.h"

#define CLIENTS 64

static struct host *sharing_host(const char *name)
{
    struct host *host = host_new(name);
    ck_assert(!berth_server_reuse_port(host->server));
    berth_server_set_reuse_port(host->server, true);
    ck_assert(berth_server_reuse_port(host->server));
    return host;
}

CASE(servers_share_a_port, "S1.26", "both listen, and the connections are shared out")
{
    struct host *one = sharing_host("1");
    struct host *two = sharing_host("2");
    one->takes = two->takes = true;
    ck_assert(berth_server_listen(one->server, BERTH_ADDRESS_LOOPBACK, 0));
    uint16_t port = berth_server_port(one->server);
    ck_assert(berth_server_listen(two->server, BERTH_ADDRESS_LOOPBACK, port));
    ck_assert_uint_eq(berth_server_port(two->server), port);
    /* One of them gets all of 64 with the chance of 2 to the power of -63. */
    for (unsigned i = 1; i <= CLIENTS; i++) {
        world_connect(port);
        UNTIL(one->new_connections + two->new_connections == i);
    }
    ck_assert_uint_gt(one->new_connections, 0);
    ck_assert_uint_gt(two->new_connections, 0);
    berth_server_close(one->server);
    unsigned before = two->new_connections;
    world_connect(port);
    UNTIL(two->new_connections == before + 1);
}

CASE(sharing_needs_both, "S1.13 S1.26", "a port is busy unless both servers want to share it")
{
    struct host *plain = host_new("p");
    struct host *sharing = sharing_host("s");
    ck_assert(berth_server_listen(sharing->server, BERTH_ADDRESS_LOOPBACK, 0));
    uint16_t port = berth_server_port(sharing->server);
    ck_assert(!berth_server_listen(plain->server, BERTH_ADDRESS_LOOPBACK, port));
    ck_assert_int_eq(berth_server_error(plain->server), BERTH_ERROR_ADDRESS_IN_USE);
    berth_server_close(sharing->server);
    ck_assert(berth_server_listen(plain->server, BERTH_ADDRESS_LOOPBACK, port));
    ck_assert(!berth_server_listen(sharing->server, BERTH_ADDRESS_LOOPBACK, port));
    ck_assert_int_eq(berth_server_error(sharing->server), BERTH_ERROR_ADDRESS_IN_USE);
}
