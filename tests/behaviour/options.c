/*
 * Options of a connection: what is set is what the kernel has, and it does what it says.
 */
#include "base/fault.h"
#include "scene.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

static void real_kernel_only(void)
{
    if (world_is_simulated())
        case_skip("this is about the kernel's options");
}

static int kernel_has(const berth_socket *socket, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    ck_assert_int_eq(getsockopt(berth_socket_descriptor(socket), level, name, &value, &length), 0);
    return value;
}

static int get(berth_socket *socket, berth_socket_option which)
{
    int value = -77;
    ck_assert(berth_socket_get_option(socket, which, &value));
    return value;
}

/* An accepted connection and its client, both of the library. */
static struct actor *pair_at(berth_address address, struct actor **ret_client)
{
    struct host *host = host_new("h");
    host->takes = true;
    if (!berth_server_listen(host->server, address, 0))
        case_skip("no IPv6 here");
    struct actor *client = actor_new("c");
    ck_assert(
        berth_socket_connect_to_address(client->socket, address, berth_server_port(host->server)));
    UNTIL(client->connects == 1 && host->count == 1);
    *ret_client = client;
    return host->taken[0];
}

CASE(keep_alive_and_its_times, "S3.7",
     "switched on and off; seconds and a count, as the kernel has")
{
    real_kernel_only();
    struct actor *both[2];
    both[0] = pair_at(BERTH_ADDRESS_LOOPBACK, &both[1]);
    for (int i = 0; i < 2; i++) {
        berth_socket *socket = both[i]->socket;
        ck_assert_int_eq(get(socket, BERTH_OPTION_KEEP_ALIVE), 0);
        ck_assert(berth_socket_set_option(socket, BERTH_OPTION_KEEP_ALIVE, 1));
        ck_assert(berth_socket_set_option(socket, BERTH_OPTION_KEEP_ALIVE_IDLE, 31));
        ck_assert(berth_socket_set_option(socket, BERTH_OPTION_KEEP_ALIVE_INTERVAL, 7));
        ck_assert(berth_socket_set_option(socket, BERTH_OPTION_KEEP_ALIVE_COUNT, 3));
        ck_assert_int_eq(get(socket, BERTH_OPTION_KEEP_ALIVE), 1);
        ck_assert_int_eq(get(socket, BERTH_OPTION_KEEP_ALIVE_IDLE), 31);
        ck_assert_int_eq(get(socket, BERTH_OPTION_KEEP_ALIVE_INTERVAL), 7);
        ck_assert_int_eq(get(socket, BERTH_OPTION_KEEP_ALIVE_COUNT), 3);
        ck_assert_int_eq(kernel_has(socket, SOL_SOCKET, SO_KEEPALIVE), 1);
        ck_assert_int_eq(kernel_has(socket, IPPROTO_TCP, TCP_KEEPIDLE), 31);
        ck_assert_int_eq(kernel_has(socket, IPPROTO_TCP, TCP_KEEPINTVL), 7);
        ck_assert_int_eq(kernel_has(socket, IPPROTO_TCP, TCP_KEEPCNT), 3);
        ck_assert(berth_socket_set_option(socket, BERTH_OPTION_KEEP_ALIVE, 0));
        ck_assert_int_eq(kernel_has(socket, SOL_SOCKET, SO_KEEPALIVE), 0);
        ck_assert(!berth_socket_set_option(socket, BERTH_OPTION_KEEP_ALIVE_IDLE, 0));
        ck_assert_int_eq(berth_socket_error(socket), BERTH_ERROR_UNSUPPORTED_OPERATION);
        ck_assert_int_eq(get(socket, BERTH_OPTION_KEEP_ALIVE_IDLE), 31);
    }
}

CASE(sizes_of_the_kernels_buffers, "S3.7",
     "the kernel doubles them; bytes go through small ones too")
{
    real_kernel_only();
    struct actor *client;
    struct actor *server = pair_at(BERTH_ADDRESS_LOOPBACK, &client);
    ck_assert(berth_socket_set_option(server->socket, BERTH_OPTION_SEND_BUFFER_SIZE, 8192));
    ck_assert(berth_socket_set_option(client->socket, BERTH_OPTION_RECEIVE_BUFFER_SIZE, 8192));
    ck_assert_int_eq(get(server->socket, BERTH_OPTION_SEND_BUFFER_SIZE), 16384);
    ck_assert_int_eq(kernel_has(server->socket, SOL_SOCKET, SO_SNDBUF), 16384);
    ck_assert_int_eq(get(client->socket, BERTH_OPTION_RECEIVE_BUFFER_SIZE), 16384);
    ck_assert_int_eq(kernel_has(client->socket, SOL_SOCKET, SO_RCVBUF), 16384);
    uint8_t bytes[100000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    ck_assert_int_eq(berth_socket_write(server->socket, bytes, sizeof bytes), sizeof bytes);
    UNTIL(client->received == sizeof bytes);
    ck_assert_mem_eq(client->input, bytes, sizeof bytes);
}

CASE(type_of_service, "S3.7", "the IPv4 type of service, the IPv6 traffic class, and both at ANY")
{
    real_kernel_only();
    struct actor *client;
    struct actor *server = pair_at(BERTH_ADDRESS_LOOPBACK, &client);
    ck_assert(berth_socket_set_option(server->socket, BERTH_OPTION_TYPE_OF_SERVICE, 0xb8));
    ck_assert_int_eq(get(server->socket, BERTH_OPTION_TYPE_OF_SERVICE), 0xb8);
    ck_assert_int_eq(kernel_has(server->socket, IPPROTO_IP, IP_TOS), 0xb8);
    ck_assert(!berth_socket_set_option(server->socket, BERTH_OPTION_TYPE_OF_SERVICE, -1));
    ck_assert_int_eq(get(server->socket, BERTH_OPTION_TYPE_OF_SERVICE), 0xb8);
}

CASE(type_of_service_of_ipv6, "S3.7", "the traffic class; a value beyond it is refused")
{
    real_kernel_only();
    struct actor *client;
    struct actor *server = pair_at(BERTH_ADDRESS_LOOPBACK_IPV6, &client);
    struct actor *both[2] = {server, client};
    for (int i = 0; i < 2; i++) {
        ck_assert(berth_socket_set_option(both[i]->socket, BERTH_OPTION_TYPE_OF_SERVICE, 0x20));
        ck_assert_int_eq(get(both[i]->socket, BERTH_OPTION_TYPE_OF_SERVICE), 0x20);
        ck_assert_int_eq(kernel_has(both[i]->socket, IPPROTO_IPV6, IPV6_TCLASS), 0x20);
    }
    ck_assert(!berth_socket_set_option(server->socket, BERTH_OPTION_TYPE_OF_SERVICE, 256));
}

CASE(values_out_of_range, "S3.7", "no option takes a value for another one")
{
    static const struct {
        berth_socket_option which;
        int good, bad;
    } values[] = {
        {BERTH_OPTION_LOW_DELAY, 1, 2},
        {BERTH_OPTION_LOW_DELAY, 0, -1},
        {BERTH_OPTION_KEEP_ALIVE, 1, 2},
        {BERTH_OPTION_KEEP_ALIVE_IDLE, 32767, 32768},
        {BERTH_OPTION_KEEP_ALIVE_IDLE, 1, 0},
        {BERTH_OPTION_KEEP_ALIVE_INTERVAL, 32767, 32768},
        {BERTH_OPTION_KEEP_ALIVE_COUNT, 127, 128},
        {BERTH_OPTION_TYPE_OF_SERVICE, 0x10, 256},
        {BERTH_OPTION_TYPE_OF_SERVICE, 0xfc, -1},
        {BERTH_OPTION_LINGER, 5, 32768},
        {BERTH_OPTION_LINGER, -1, -2},
    };
    struct actor *client;
    struct actor *server = pair_at(BERTH_ADDRESS_LOOPBACK, &client);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        ck_assert(berth_socket_set_option(server->socket, values[i].which, values[i].good));
        ck_assert(!berth_socket_set_option(server->socket, values[i].which, values[i].bad));
        ck_assert_int_eq(berth_socket_error(server->socket), BERTH_ERROR_UNSUPPORTED_OPERATION);
        ck_assert_ptr_nonnull(strstr(berth_socket_error_string(server->socket),
                                     ": no such option, or a value outside its range"));
        int value = get(server->socket, values[i].which);
        ck_assert_int_eq(values[i].which == BERTH_OPTION_LOW_DELAY ? value != 0 : value,
                         values[i].good);
    }
    ck_assert(!berth_socket_set_option(server->socket, BERTH_OPTION_SEND_BUFFER_SIZE, -1));
    ck_assert(!berth_socket_set_option(server->socket, BERTH_OPTION_RECEIVE_BUFFER_SIZE, -1));
}

CASE(type_of_service_of_mapped_peers, "S3.7",
     "an IPv4 peer of a listener for both families: its segments go by the IPv4 option")
{
    real_kernel_only();
    struct host *host = host_new("h");
    if (!berth_server_listen(host->server, BERTH_ADDRESS_ANY, 0))
        case_skip("no IPv6 here");
    host->port = berth_server_port(host->server);
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    ck_assert(berth_socket_set_option(actor->socket, BERTH_OPTION_TYPE_OF_SERVICE, 0x28));
    ck_assert_int_eq(get(actor->socket, BERTH_OPTION_TYPE_OF_SERVICE), 0x28);
    ck_assert_int_eq(kernel_has(actor->socket, IPPROTO_IP, IP_TOS), 0x28);
}

CASE(linger_of_nothing_resets, "S3.7", "an orderly end is a reset then; -1 makes it an end again")
{
    real_kernel_only();
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    ck_assert_int_eq(get(actor->socket, BERTH_OPTION_LINGER), -1);
    ck_assert(berth_socket_set_option(actor->socket, BERTH_OPTION_LINGER, 0));
    ck_assert_int_eq(get(actor->socket, BERTH_OPTION_LINGER), 0);
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert(peer_saw_reset(peer));

    actor = host_connect(host, "s", &peer);
    ck_assert(berth_socket_set_option(actor->socket, BERTH_OPTION_LINGER, 5));
    ck_assert_int_eq(get(actor->socket, BERTH_OPTION_LINGER), 5);
    ck_assert(berth_socket_set_option(actor->socket, BERTH_OPTION_LINGER, -1));
    ck_assert_int_eq(get(actor->socket, BERTH_OPTION_LINGER), -1);
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert(peer_saw_end(peer));
}

CASE(low_delay, "S3.7", "off at first, on and off")
{
    struct actor *client;
    struct actor *server = pair_at(BERTH_ADDRESS_LOOPBACK, &client);
    ck_assert_int_eq(get(server->socket, BERTH_OPTION_LOW_DELAY), 0);
    ck_assert(berth_socket_set_option(server->socket, BERTH_OPTION_LOW_DELAY, 1));
    ck_assert_int_eq(get(server->socket, BERTH_OPTION_LOW_DELAY), 1);
    if (!world_is_simulated())
        ck_assert_int_eq(kernel_has(server->socket, IPPROTO_TCP, TCP_NODELAY) != 0, 1);
    ck_assert(berth_socket_set_option(server->socket, BERTH_OPTION_LOW_DELAY, 0));
    ck_assert_int_eq(get(server->socket, BERTH_OPTION_LOW_DELAY), 0);
}

/* ---- before there is a connection ------------------------------------------------------------ */

static const struct {
    berth_socket_option which;
    int value;
    int had; /* by the kernel */
    int level;
    int name;
} early[] = {
    {BERTH_OPTION_LOW_DELAY, 1, 1, IPPROTO_TCP, TCP_NODELAY},
    {BERTH_OPTION_KEEP_ALIVE, 1, 1, SOL_SOCKET, SO_KEEPALIVE},
    {BERTH_OPTION_RECEIVE_BUFFER_SIZE, 30000, 60000, SOL_SOCKET, SO_RCVBUF},
    {BERTH_OPTION_TYPE_OF_SERVICE, 0x20, 0x20, IPPROTO_IP, IP_TOS},
    {BERTH_OPTION_USER_TIMEOUT, 7000, 7000, IPPROTO_TCP, TCP_USER_TIMEOUT},
};

#define EARLY (sizeof early / sizeof early[0])

static void set_early(berth_socket *socket)
{
    for (size_t i = 0; i < EARLY; i++)
        ck_assert(berth_socket_set_option(socket, early[i].which, early[i].value));
}

static void check_early(berth_socket *socket)
{
    for (size_t i = 0; i < EARLY; i++) {
        ck_assert_int_eq(get(socket, early[i].which), early[i].had);
        if (!world_is_simulated())
            ck_assert_int_eq(kernel_has(socket, early[i].level, early[i].name), early[i].had);
    }
}

static void set_early_on_the_way(struct actor *actor)
{
    if (actor->state == BERTH_STATE_CONNECTING)
        set_early(actor->socket);
}

CASE(
    options_before_a_connection, "socket.h",
    "set before bind, before connect, and on the way: the connection has them, and so has the next")
{
    struct host *host = host_listening("h");
    host->takes = true;
    for (unsigned way = 0; way < 4; way++) {
        struct actor *actor = actor_new("c");
        if (way == 0)
            set_early(actor->socket);
        if (way < 2)
            ck_assert(berth_socket_bind(actor->socket, BERTH_ADDRESS_LOOPBACK, 0));
        if (way == 0)
            check_early(actor->socket);
        if (way == 1 || way == 2)
            set_early(actor->socket);
        if (way == 2)
            ck_assert_int_eq(get(actor->socket, BERTH_OPTION_USER_TIMEOUT), 7000);
        if (way == 3)
            actor->on_state = set_early_on_the_way;
        for (unsigned again = 0; again < 2; again++) {
            ck_assert(
                berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port));
            UNTIL(actor->connects == again + 1);
            check_early(actor->socket);
            berth_socket_abort(actor->socket);
        }
        actor_free_socket(actor);
    }
}

CASE(options_set_after_the_call, "socket.h",
     "an attempt that is under way has them when it is done")
{
    struct host *host = host_listening("h");
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    set_early(actor->socket);
    UNTIL(actor->connects == 1);
    check_early(actor->socket);
}

CASE(options_of_one_connection, "socket.h", "what is set while connected is not kept")
{
    struct host *host = host_listening("h");
    struct actor *actor = actor_new("c");
    for (unsigned again = 0; again < 2; again++) {
        ck_assert(
            berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port));
        UNTIL(actor->connects == again + 1);
        ck_assert_int_eq(get(actor->socket, BERTH_OPTION_LOW_DELAY), 0);
        ck_assert(berth_socket_set_option(actor->socket, BERTH_OPTION_LOW_DELAY, 1));
        berth_socket_abort(actor->socket);
    }
    int value = -77;
    ck_assert(!berth_socket_get_option(actor->socket, BERTH_OPTION_LOW_DELAY, &value));
    ck_assert_int_eq(value, -77);
    ck_assert(!berth_socket_set_option(actor->socket, BERTH_OPTION_KEEP_ALIVE_COUNT, -1));
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_UNSUPPORTED_OPERATION);
}

CASE(option_that_the_kernel_refuses, "socket.h", "a kept one fails the bind and the connect")
{
    real_kernel_only();
    struct host *host = host_listening("h");
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_set_option(actor->socket, BERTH_OPTION_KEEP_ALIVE_IDLE, 9));
    berth__fault_set_system(0, 1000, EINVAL, "setsockopt");
    ck_assert(!berth_socket_bind(actor->socket, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert_int_eq(actor->error, BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert(!berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    ck_assert_int_eq(actor->error, BERTH_ERROR_UNSUPPORTED_OPERATION);
    berth__fault_clear();
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    UNTIL(actor->connects == 1);
    ck_assert_int_eq(get(actor->socket, BERTH_OPTION_KEEP_ALIVE_IDLE), 9);
}
