/*
 * The descriptor of a listener: its flags, its ports, and what a server says about it.
 */
#include "scene.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void real_kernel_only(void)
{
    if (world_is_simulated())
        case_skip("needs descriptors of the real kernel");
}

static int option_of(int descriptor, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    ck_assert_int_eq(getsockopt(descriptor, level, name, &value, &length), 0);
    return value;
}

CASE(answers_of_a_listening_server, "S1.4 S1.10 S1.34 S1.36",
     "port, address and descriptor while it listens; the error of an earlier failure stays")
{
    struct host *host = host_new("h");
    ck_assert_int_eq(berth_server_descriptor(host->server), -1);
    ck_assert(!berth_server_listen(host->server, BERTH_ADDRESS_NULL, 0));
    ck_assert(!berth_server_is_listening(host->server));
    ck_assert_int_eq(berth_server_descriptor(host->server), -1);
    host_listen(host);
    ck_assert(berth_server_is_listening(host->server));
    ck_assert_uint_eq(berth_server_port(host->server), host->port);
    ck_assert(berth_address_equal(berth_server_address(host->server), BERTH_ADDRESS_LOOPBACK));
    ck_assert(world_is_open(berth_server_descriptor(host->server)));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert_str_ne(berth_server_error_string(host->server), "");
    ck_assert_int_eq(berth_server_proxy(host->server).type, BERTH_PROXY_DEFAULT);
    int descriptor = berth_server_descriptor(host->server);
    berth_server_close(host->server);
    UNTIL(!world_is_open(descriptor));
    ck_assert_int_eq(berth_server_descriptor(host->server), -1);
}

CASE(flags_of_a_listener, "S1.26", "close-on-exec, non-blocking, address reuse, not port reuse")
{
    real_kernel_only();
    struct host *host = host_listening("h");
    int descriptor = berth_server_descriptor(host->server);
    ck_assert_int_ne(fcntl(descriptor, F_GETFD) & FD_CLOEXEC, 0);
    ck_assert_int_ne(fcntl(descriptor, F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_eq(option_of(descriptor, SOL_SOCKET, SO_REUSEADDR), 1);
    ck_assert_int_eq(option_of(descriptor, SOL_SOCKET, SO_OOBINLINE), 1);
    ck_assert_int_eq(option_of(descriptor, SOL_SOCKET, SO_REUSEPORT), 0);
}

CASE(flags_of_connections, "S3.6", "close-on-exec, urgent data in line, nothing else switched on")
{
    real_kernel_only();
    struct host *host = host_listening("h");
    struct actor *client = actor_new("c");
    ck_assert(berth_socket_connect_to_address(client->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    berth_socket *both[2] = {host_take(host), client->socket};
    UNTIL(client->connects == 1);
    for (int i = 0; i < 2; i++) {
        int descriptor = berth_socket_descriptor(both[i]);
        ck_assert_int_ne(fcntl(descriptor, F_GETFD) & FD_CLOEXEC, 0);
        ck_assert_int_eq(option_of(descriptor, SOL_SOCKET, SO_OOBINLINE), 1);
        ck_assert_int_eq(option_of(descriptor, SOL_SOCKET, SO_KEEPALIVE), 0);
        ck_assert_int_eq(option_of(descriptor, IPPROTO_TCP, TCP_NODELAY), 0);
        int seconds = 0;
        ck_assert(berth_socket_get_option(both[i], BERTH_OPTION_LINGER, &seconds));
        ck_assert_int_eq(seconds, -1);
    }
}

static int copy_of(int descriptor)
{
    return world_note(fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
}

CASE(wildcards_and_families, "S1.25 S1.26 S1.61",
     "ANY takes both families, :: IPv6 only; an adopted listener says which it is")
{
    real_kernel_only();
    struct host *any = host_new("a");
    struct host *six = host_new("6");
    struct host *adopted = host_new("d");
    if (!berth_server_listen(six->server, BERTH_ADDRESS_ANY_IPV6, 0))
        case_skip("no IPv6 here");
    ck_assert(berth_server_listen(any->server, BERTH_ADDRESS_ANY, 0));
    int both = berth_server_descriptor(any->server);
    int only = berth_server_descriptor(six->server);
    ck_assert_int_eq(option_of(both, IPPROTO_IPV6, IPV6_V6ONLY), 0);
    ck_assert_int_eq(option_of(only, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    ck_assert(berth_server_set_descriptor(adopted->server, copy_of(both)));
    ck_assert(berth_address_equal(berth_server_address(adopted->server), BERTH_ADDRESS_ANY));
    berth_server_close(adopted->server);
    ck_assert(berth_server_set_descriptor(adopted->server, copy_of(only)));
    ck_assert(berth_address_equal(berth_server_address(adopted->server), BERTH_ADDRESS_ANY_IPV6));
    ck_assert_uint_eq(berth_server_port(adopted->server), berth_server_port(six->server));
}

CASE(adoption_ignores_the_proxy, "S1.62", "a proxy plays no part where a descriptor is adopted")
{
    struct host *host = host_new("h");
    berth_proxy proxy = {.type = BERTH_PROXY_SOCKS5, .host = "127.0.0.1", .port = 1};
    world_loop();
    uint16_t port;
    int descriptor = world_listener_descriptor(&port);
    ck_assert(berth_server_set_proxy(host->server, &proxy));
    ck_assert(berth_server_set_descriptor(host->server, descriptor));
    ck_assert_uint_eq(berth_server_port(host->server), port);
}

CASE(port_in_time_wait, "S1.17", "a port whose connections have just ended is free at once")
{
    real_kernel_only();
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    /* The side that ends first keeps the port in TIME_WAIT. */
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert(peer_saw_end(peer));
    peer_close(peer);
    world_settle();
    berth_server_free(host->server);
    world_settle();
    struct host *next = host_new("n");
    ck_assert_msg(berth_server_listen(next->server, BERTH_ADDRESS_LOOPBACK, host->port), "%s",
                  berth_server_error_string(next->server));
}

/* A socket that is bound to a port of loopback and does not listen. */
static int bound_descriptor(bool reuse, uint16_t *ret_port)
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    socklen_t length = sizeof name;
    int on = reuse;
    int descriptor = world_unconnected_descriptor();
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    ck_assert_int_eq(bind(descriptor, (struct sockaddr *)&name, length), 0);
    ck_assert_int_eq(getsockname(descriptor, (struct sockaddr *)&name, &length), 0);
    *ret_port = ntohs(name.sin_port);
    return descriptor;
}

CASE(port_is_bound_by_somebody, "S1.15 S1.16",
     "bound with reuse it can be had, and the holder's own listen fails; without, it cannot")
{
    real_kernel_only();
    struct host *host = host_new("h");
    uint16_t port;
    int strict = bound_descriptor(false, &port);
    ck_assert(!berth_server_listen(host->server, BERTH_ADDRESS_LOOPBACK, port));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_ADDRESS_IN_USE);
    int loose = bound_descriptor(true, &port);
    ck_assert(berth_server_listen(host->server, BERTH_ADDRESS_LOOPBACK, port));
    ck_assert_int_eq(listen(loose, 1), -1);
    ck_assert_int_eq(errno, EADDRINUSE);
    close(strict);
    close(loose);
}

CASE(listen_on_odd_addresses, "S1.23",
     "any address of 127/8 is good, and so are broad- and multicast")
{
    real_kernel_only();
    static const uint32_t numbers[] = {0x7f0a0b0c, 0xffffffff, 0xe0000001};
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct host *host = host_new("h");
        berth_address address = berth_address_ipv4(numbers[i]);
        ck_assert_msg(berth_server_listen(host->server, address, 0), "%s",
                      berth_server_error_string(host->server));
        ck_assert(berth_address_equal(berth_server_address(host->server), address));
    }
}

CASE(no_address_is_not_every_address, "S1.24 Q6", "the null address is refused")
{
    struct host *host = host_new("h");
    ck_assert(!berth_server_listen(host->server, BERTH_ADDRESS_NULL, 0));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_UNSUPPORTED_OPERATION);
}

CASE(no_descriptor_survives_exec, "S5.10", "a program that is started inherits none")
{
    real_kernel_only();
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    char script[160];
    snprintf(script, sizeof script, "test ! -e /proc/self/fd/%d && test ! -e /proc/self/fd/%d",
             berth_server_descriptor(host->server), berth_socket_descriptor(actor->socket));
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", script, (char *)NULL);
        _exit(99);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}

/* ---- who reaches whom ------------------------------------------------------------------------ */

static berth_address parsed(const char *text)
{
    berth_address address;
    ck_assert(berth_address_parse(text, &address));
    return address;
}

CASE(names_of_peers, "S7.9", "over ANY an IPv4 peer has a mapped address; over IPv4 a plain one")
{
    real_kernel_only();
    struct host *any = host_new("a");
    struct host *four = host_new("4");
    any->takes = four->takes = true;
    ck_assert(berth_server_listen(any->server, BERTH_ADDRESS_ANY, 0));
    ck_assert(berth_server_listen(four->server, BERTH_ADDRESS_ANY_IPV4, 0));
    if (!berth_address_equal(berth_server_address(any->server), BERTH_ADDRESS_ANY))
        case_skip("no IPv6 here");
    world_connect(berth_server_port(any->server));
    world_connect(berth_server_port(four->server));
    UNTIL(any->count == 1 && four->count == 1);
    berth_address mapped = parsed("::ffff:127.0.0.1");
    ck_assert(berth_address_equal(berth_socket_peer_address(any->taken[0]->socket), mapped));
    ck_assert(berth_address_equal(berth_socket_local_address(any->taken[0]->socket), mapped));
    ck_assert(berth_address_equal(berth_socket_peer_address(four->taken[0]->socket),
                                  BERTH_ADDRESS_LOOPBACK));
}

static bool reaches(berth_address listener, berth_address target)
{
    struct host *host = host_new("h");
    ck_assert_msg(berth_server_listen(host->server, listener, 0), "%s",
                  berth_server_error_string(host->server));
    struct actor *client = actor_new("c");
    client->quiet = true;
    berth_socket_connect_to_address(client->socket, target, berth_server_port(host->server));
    UNTIL(client->connects + client->errors == 1);
    berth_server_free(host->server);
    berth_socket_free(client->socket);
    return client->connects == 1;
}

CASE(who_reaches_which_listener, "S7.10 T5 T6", "each family its own, ANY both; mapped names too")
{
    real_kernel_only();
    berth_address four = BERTH_ADDRESS_LOOPBACK;
    berth_address six = BERTH_ADDRESS_LOOPBACK_IPV6;
    struct host *probe = host_new("p");
    if (!berth_server_listen(probe->server, six, 0))
        case_skip("no IPv6 here");
    ck_assert(reaches(BERTH_ADDRESS_ANY, four) && reaches(BERTH_ADDRESS_ANY, six));
    ck_assert(reaches(BERTH_ADDRESS_ANY_IPV4, four) && !reaches(BERTH_ADDRESS_ANY_IPV4, six));
    ck_assert(!reaches(BERTH_ADDRESS_ANY_IPV6, four) && reaches(BERTH_ADDRESS_ANY_IPV6, six));
    ck_assert(reaches(four, four) && !reaches(four, six));
    ck_assert(!reaches(six, four) && reaches(six, six));
    ck_assert(reaches(four, parsed("::ffff:127.0.0.1")));
}

/* The first link-local address of this host, with its interface. */
static bool link_local(berth_address *ret_address)
{
    FILE *file = fopen("/proc/net/if_inet6", "r");
    char digits[33];
    char name[32];
    unsigned scope;
    bool found = false;
    while (file != NULL && !found &&
           fscanf(file, "%32s %*x %*x %x %*x %31s", digits, &scope, name) == 3) {
        uint8_t bytes[16];
        for (int i = 0; i < 16; i++) {
            const char two[3] = {digits[2 * i], digits[2 * i + 1], '\0'};
            bytes[i] = (uint8_t)strtoul(two, NULL, 16);
        }
        found = scope == 0x20 && strlen(name) < BERTH_ADDRESS_SCOPE_SIZE;
        *ret_address = berth_address_ipv6(bytes);
        snprintf(ret_address->scope, sizeof ret_address->scope, "%.15s", name);
    }
    if (file != NULL)
        fclose(file);
    return found;
}

CASE(link_local_listener, "S7.11 T20", "with its interface as scope, which names of peers have too")
{
    real_kernel_only();
    berth_address address;
    if (!link_local(&address))
        case_skip("no link-local address here");
    struct host *host = host_new("h");
    host->takes = true;
    ck_assert_msg(berth_server_listen(host->server, address, 0), "%s",
                  berth_server_error_string(host->server));
    ck_assert_str_eq(berth_server_address(host->server).scope, address.scope);
    struct actor *client = actor_new("c");
    ck_assert(
        berth_socket_connect_to_address(client->socket, address, berth_server_port(host->server)));
    UNTIL(host->count == 1);
    ck_assert_str_eq(berth_socket_peer_address(host->taken[0]->socket).scope, address.scope);
}
