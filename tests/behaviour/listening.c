/*
 * listen: where it works, where it fails, and what is left after a failure.
 */
#include "scene.h"

#include "base/fault.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void fails(struct host *host, berth_address address, uint16_t port, berth_error error)
{
    ck_assert(!berth_server_listen(host->server, address, port));
    ck_assert_msg(berth_server_error(host->server) == error, "%s instead of %s: %s",
                  berth_error_name(berth_server_error(host->server)), berth_error_name(error),
                  berth_server_error_string(host->server));
    ck_assert(!berth_server_is_listening(host->server));
    ck_assert_int_eq(berth_server_descriptor(host->server), -1);
    ck_assert_uint_eq(berth_server_port(host->server), 0);
    ck_assert(berth_address_is_null(berth_server_address(host->server)));
    ck_assert(!berth_server_wait_for_new_connection(host->server, 0, NULL));
}

/* "cannot listen on ADDRESS:PORT: why" */
static void says(struct host *host, berth_address address, uint16_t port, const char *why)
{
    char endpoint[BERTH_ENDPOINT_TEXT_SIZE];
    char expected[256];
    berth_endpoint_format(address, port, endpoint, sizeof endpoint);
    snprintf(expected, sizeof expected, "cannot listen on %s: %s", endpoint, why);
    ck_assert_str_eq(berth_server_error_string(host->server), expected);
}

CASE(listen_on_busy_port, "S1.13 Q5", "a port that somebody listens on cannot be had; later it can")
{
    struct host *holder = host_listening("1");
    struct host *host = host_new("2");
    fails(host, BERTH_ADDRESS_LOOPBACK, holder->port, BERTH_ERROR_ADDRESS_IN_USE);
    says(host, BERTH_ADDRESS_LOOPBACK, holder->port, berth_error_text(BERTH_ERROR_ADDRESS_IN_USE));
    berth_server_close(holder->server);
    ck_assert(berth_server_listen(host->server, BERTH_ADDRESS_LOOPBACK, holder->port));
    /* The error stays: no success clears it. */
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_ADDRESS_IN_USE);
    world_connect(holder->port);
    UNTIL(host->new_connections == 1);
}

CASE(listen_on_a_wildcard_over_a_busy_port, "S1.13 T19",
     "a wildcard meets the holder of one address")
{
    struct host *holder = host_listening("1");
    struct host *host = host_new("2");
    fails(host, BERTH_ADDRESS_ANY_IPV4, holder->port, BERTH_ERROR_ADDRESS_IN_USE);
    fails(host, BERTH_ADDRESS_ANY, holder->port, BERTH_ERROR_ADDRESS_IN_USE);
}

CASE(listen_on_a_port_that_cannot_be_told, "reliability 14",
     "the name of the listener cannot be read: no success with port 0; a chosen port is known")
{
    struct host *host = host_listening("1");
    uint16_t port = host->port;
    berth_server_close(host->server);
    berth__fault_set_system(0, 1, ENOBUFS, "getsockname");
    ck_assert(!berth_server_listen(host->server, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert(!berth_server_is_listening(host->server));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_SOCKET_RESOURCE);
    berth__fault_set_system(0, 1, ENOBUFS, "getsockname");
    ck_assert(berth_server_listen(host->server, BERTH_ADDRESS_LOOPBACK, port));
    berth__fault_clear();
    ck_assert_uint_eq(berth_server_port(host->server), port);
    world_connect(port);
    UNTIL(host->new_connections == 1);
}

CASE(listen_refused_by_the_kernel, "S1.18", "the text says at which step, where that tells more")
{
    if (world_is_simulated())
        case_skip("the simulated kernel makes no system calls");
    struct host *host = host_new("h");
    const char *const plain = berth_error_text(BERTH_ERROR_ADDRESS_IN_USE);
    berth__fault_set_system(0, 1, EADDRINUSE, "listen");
    fails(host, BERTH_ADDRESS_LOOPBACK, 0, BERTH_ERROR_ADDRESS_IN_USE);
    says(host, BERTH_ADDRESS_LOOPBACK, 0, "another socket is already listening on the same port");
    berth__fault_set_system(0, 1, EADDRINUSE, "bind");
    fails(host, BERTH_ADDRESS_LOOPBACK, 0, BERTH_ERROR_ADDRESS_IN_USE);
    says(host, BERTH_ADDRESS_LOOPBACK, 0, plain);
    berth__fault_set_system(0, 1, ENOBUFS, "listen");
    fails(host, BERTH_ADDRESS_LOOPBACK, 0, BERTH_ERROR_SOCKET_RESOURCE);
    says(host, BERTH_ADDRESS_LOOPBACK, 0, "no buffer space left");
    berth__fault_set_system(0, 1, EINVAL, "listen");
    fails(host, BERTH_ADDRESS_LOOPBACK, 0, BERTH_ERROR_UNSUPPORTED_OPERATION);
    says(host, BERTH_ADDRESS_LOOPBACK, 0, "invalid for this socket or address");
    berth__fault_clear();
    host_listen(host);
}

CASE(listen_without_conflict, "S1.14", "the same port on another address of this host is free")
{
    struct host *holder = host_listening("1");
    struct host *host = host_new("2");
    ck_assert(berth_server_listen(host->server, berth_address_ipv4(0x7f000002), holder->port));
    ck_assert(
        berth_address_equal(berth_server_address(host->server), berth_address_ipv4(0x7f000002)));
    ck_assert_ptr_nonnull(world_connect_to(berth_address_ipv4(0x7f000002), holder->port));
    UNTIL(host->new_connections == 1);
    ck_assert_uint_eq(holder->new_connections, 0);
}

CASE(listen_on_a_foreign_address, "S1.18 T9", "an address that is not of this host")
{
    struct host *host = host_new("h");
    berth_address foreign = berth_address_ipv4(0x01020304);
    fails(host, foreign, 0, BERTH_ERROR_ADDRESS_NOT_AVAILABLE);
    says(host, foreign, 0, berth_error_text(BERTH_ERROR_ADDRESS_NOT_AVAILABLE));
    fails(host, foreign, 4711, BERTH_ERROR_ADDRESS_NOT_AVAILABLE);
    says(host, foreign, 4711, berth_error_text(BERTH_ERROR_ADDRESS_NOT_AVAILABLE));
    host_listen(host);
}

CASE(listen_on_a_privileged_port, "S1.19", "a port below 1024 without the right")
{
    if (!world_is_simulated() && geteuid() == 0)
        case_skip("root may have every port");
    struct host *host = host_new("h");
    fails(host, BERTH_ADDRESS_LOOPBACK, 80, BERTH_ERROR_SOCKET_ACCESS);
    says(host, BERTH_ADDRESS_LOOPBACK, 80, berth_error_text(BERTH_ERROR_SOCKET_ACCESS));
    ck_assert_str_eq(berth_server_error_string(host->server),
                     "cannot listen on 127.0.0.1:80: permission denied");
}

CASE(listen_on_the_null_address, "Q6", "no address is refused, and nothing is listened on")
{
    struct host *host = host_new("h");
    fails(host, BERTH_ADDRESS_NULL, 0, BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert_ptr_nonnull(strstr(berth_server_error_string(host->server), "cannot listen"));
    host_listen(host);
}

CASE(listen_on_a_mapped_address, "S1.20", "an IPv4-mapped IPv6 address")
{
    struct host *host = host_new("h");
    berth_address mapped;
    ck_assert(berth_address_parse("::ffff:127.0.0.1", &mapped));
    fails(host, mapped, 0, BERTH_ERROR_UNSUPPORTED_OPERATION);
    says(host, mapped, 0,
         "the address cannot be bound (link-local without a known scope, or IPv4-mapped)");
}

CASE(listen_on_link_local_without_scope, "S1.20",
     "a link-local address without a scope, or with one that nobody knows")
{
    struct host *host = host_new("h");
    berth_address address;
    ck_assert(berth_address_parse("fe80::1", &address));
    fails(host, address, 0, BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert(berth_address_parse("fe80::1%nothere0", &address));
    fails(host, address, 0, BERTH_ERROR_UNSUPPORTED_OPERATION);
}

CASE(listen_while_listening, "S1.9 T12",
     "refused with class OPERATION; the running server is not touched")
{
    struct host *host = host_listening("h");
    int descriptor = berth_server_descriptor(host->server);
    ck_assert(!berth_server_listen(host->server, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_OPERATION);
    ck_assert_int_eq(berth_server_descriptor(host->server), descriptor);
    ck_assert_uint_eq(berth_server_port(host->server), host->port);
    world_connect(host->port);
    UNTIL(host->new_connections == 1);
}

CASE(listen_without_descriptors, "S1.21", "no descriptor left; with one, it works")
{
    struct host *host = host_new("h");
    world_exhaust(0);
    fails(host, BERTH_ADDRESS_LOOPBACK, 0, BERTH_ERROR_SOCKET_RESOURCE);
    const char *text = berth_server_error_string(host->server);
    ck_assert_msg(strncmp(text, "cannot listen on 127.0.0.1:0: ", 30) == 0, "%s", text);
    world_relieve();
    host_listen(host);
}

CASE(listen_many_times, "S1.12 Q5", "failures leak nothing")
{
    struct host *holder = host_listening("1");
    struct host *host = host_new("2");
    unsigned before = world_descriptors();
    for (int i = 0; i < 50; i++)
        fails(host, BERTH_ADDRESS_LOOPBACK, holder->port, BERTH_ERROR_ADDRESS_IN_USE);
    world_settle();
    ck_assert_uint_eq(world_descriptors(), before);
}

CASE(listen_on_wildcards, "S1.7 S1.33 T5 T18",
     "who can connect, and what the server calls its address")
{
    const struct {
        berth_address address;
        bool four;
        bool six;
    } tries[] = {
        {BERTH_ADDRESS_ANY, true, true},
        {BERTH_ADDRESS_ANY_IPV4, true, false},
        {BERTH_ADDRESS_ANY_IPV6, false, true},
    };
    struct host *host = host_new("h");
    if (!berth_server_listen(host->server, BERTH_ADDRESS_LOOPBACK_IPV6, 0))
        case_skip("no IPv6 here");
    berth_server_close(host->server);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(berth_server_listen(host->server, tries[i].address, 0));
        ck_assert(berth_address_equal(berth_server_address(host->server), tries[i].address));
        uint16_t port = berth_server_port(host->server);
        host->new_connections = 0;
        ck_assert_int_eq(world_connect_to(BERTH_ADDRESS_LOOPBACK, port) != NULL, tries[i].four);
        ck_assert_int_eq(world_connect_to(BERTH_ADDRESS_LOOPBACK_IPV6, port) != NULL, tries[i].six);
        UNTIL(host->new_connections == (unsigned)tries[i].four + tries[i].six);
        berth_server_close(host->server);
    }
}

CASE(listen_on_ipv6_loopback, "T4", "a server on ::1 and its peer's names")
{
    struct host *host = host_new("h");
    if (!berth_server_listen(host->server, BERTH_ADDRESS_LOOPBACK_IPV6, 0))
        case_skip("no IPv6 here");
    uint16_t port = berth_server_port(host->server);
    struct peer *peer = world_connect_to(BERTH_ADDRESS_LOOPBACK_IPV6, port);
    ck_assert_ptr_nonnull(peer);
    berth_socket *socket = host_take(host);
    ck_assert(berth_address_equal(berth_socket_peer_address(socket), BERTH_ADDRESS_LOOPBACK_IPV6));
    ck_assert_uint_eq(berth_socket_peer_port(socket), peer_port(peer));
    ck_assert_ptr_null(world_connect_to(BERTH_ADDRESS_LOOPBACK, port));
}

CASE(backlog_is_kept_small, "N1",
     "a small backlog is the kernel's matter; connections within it arrive")
{
    struct host *host = host_new("h");
    berth_server_set_listen_backlog_size(host->server, 1);
    host_listen(host);
    berth_server_pause_accepting(host->server);
    world_connect(host->port);
    world_connect(host->port);
    struct peer *late = world_connect_begin(host->port);
    world_settle();
    ck_assert(!peer_is_connected(late));
    berth_server_resume_accepting(host->server);
    UNTIL(host->new_connections >= 2);
}
