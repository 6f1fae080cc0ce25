/*
 * Connecting by name: lookups that succeed, fail, or are given up, and attempts at several
 * addresses as RFC 8305 has them.
 *
 * Names come from the hosts file or from the name server of the case. An address that does not
 * answer is a listener whose backlog is full: the kernel drops what comes then. One that refuses is
 * one that nobody listens on.
 */
#include "name_server.h"
#include "scene.h"

#include "loop/loop.h"
#include "loop/resolver.h"

#include <ares.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FULL 4 /* connections that fill a backlog of 0 beyond doubt */

static const struct name_entry table[] = {
    {.name = "one.test", .four = {"127.0.0.1"}},
    {.name = "second.test", .four = {"127.0.0.2", "127.0.0.3"}},
    {.name = "both.test", .four = {"127.0.0.1"}, .six = {"::1"}},
    {.name = "many.test",
     .four = {"127.0.0.2", "127.0.0.3"},
     .six = {"2001:db8::1", "2001:db8::2", "::1"}},
    {.name = "twice.test", .four = {"127.0.0.1", "127.0.0.1"}},
    {.name = "empty.test"},
    {.name = "refused.test", .refused = true},
    {.name = "silent.test", .silent = true},
    {.name = "garbled.test", .garbled = true},
    {.name = NULL},
};

/* Listens on an IPv4 address of this host; port 0 gives any. */
static int listen_on(const char *address, uint16_t *port, int backlog)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t length = sizeof name;
    ck_assert_int_eq(inet_pton(AF_INET, address, &name.sin_addr), 1);
    int descriptor = world_note(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(bind(descriptor, (struct sockaddr *)&name, length), 0);
    ck_assert_int_eq(listen(descriptor, backlog), 0);
    ck_assert_int_eq(getsockname(descriptor, (struct sockaddr *)&name, &length), 0);
    *port = ntohs(name.sin_port);
    return descriptor;
}

/* A port at which 127.0.0.2 does not answer, with what makes it so. */
static uint16_t deaf_port(int descriptors[FULL + 1])
{
    uint16_t port = 0;
    descriptors[0] = listen_on("127.0.0.2", &port, 0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    ck_assert_int_eq(inet_pton(AF_INET, "127.0.0.2", &name.sin_addr), 1);
    for (int i = 1; i <= FULL; i++) {
        descriptors[i] = world_note(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (connect(descriptors[i], (struct sockaddr *)&name, sizeof name) < 0)
            ck_assert_int_eq(errno, EINPROGRESS);
    }
    return port;
}

static void close_all(const int *descriptors, int count)
{
    for (int i = 0; i < count; i++)
        close(descriptors[i]);
}

static void on_host_found(berth_socket *socket, void *user)
{
    (void)user;
    ck_assert_int_eq(berth_socket_state(socket), BERTH_STATE_CONNECTING);
    trace("found");
}

static void on_state(berth_socket *socket, berth_state state, void *user)
{
    (void)socket;
    (void)user;
    trace("%s", state_name(state));
}

static void on_connected(berth_socket *socket, void *user)
{
    (void)socket;
    (void)user;
    trace("connected");
}

static void on_error(berth_socket *socket, berth_error error, void *user)
{
    ck_assert_ptr_ne(strstr(berth_socket_error_string(socket), user), NULL);
    trace("error %s", berth_error_name(error));
}

static const berth_socket_handlers handlers = {
    .host_found = on_host_found,
    .state_changed = on_state,
    .connected = on_connected,
    .error_occurred = on_error,
};

static berth_socket *begin(char *name, uint16_t port)
{
    berth_socket *socket = berth_socket_new(world_loop(), &handlers, name);
    ck_assert_ptr_nonnull(socket);
    ck_assert(berth_socket_connect_to_host(socket, name, port));
    return socket;
}

static bool settled(berth_socket *socket)
{
    berth_state state = berth_socket_state(socket);
    return state == BERTH_STATE_CONNECTED || state == BERTH_STATE_UNCONNECTED;
}

#define CONNECTED_TRACE "HOST_LOOKUP, CONNECTING, found, CONNECTED, connected"
#define NOT_FOUND_TRACE "HOST_LOOKUP, UNCONNECTED, error HOST_NOT_FOUND"

static void real_kernel_only(void)
{
    if (world_is_simulated())
        case_skip("names are looked up on the real network");
}

CASE(name_of_the_hosts_file, "S3.10 S3.11",
     "localhost: looked up in the background, then connected")
{
    real_kernel_only();
    uint16_t port = world_listen(5);
    char name[] = "localhost";
    berth_socket *socket = begin(name, port);
    assert_trace("HOST_LOOKUP");
    ck_assert_str_eq(berth_socket_peer_name(socket), "localhost");
    UNTIL(settled(socket));
    assert_trace(CONNECTED_TRACE);
    ck_assert(berth_address_is_loopback(berth_socket_peer_address(socket)));
    ck_assert_uint_eq(berth_socket_peer_port(socket), port);
    ck_assert_ptr_nonnull(world_accept(port));
    berth_socket_abort(socket);
    ck_assert_str_eq(berth_socket_peer_name(socket), "localhost");
    ck_assert(berth_address_is_null(berth_socket_peer_address(socket)));
    ck_assert_uint_eq(berth_socket_peer_port(socket), 0);
}

CASE(number_as_a_name, "S3.9 S3.11", "a numeric address is no name: CONNECTING inside the call")
{
    world_loop();
    uint16_t port = world_listen(5);
    char name[] = "127.0.0.1";
    berth_socket *socket = begin(name, port);
    assert_trace("HOST_LOOKUP, CONNECTING, found");
    ck_assert_str_eq(berth_socket_peer_name(socket), "127.0.0.1");
    UNTIL(settled(socket));
    assert_trace(CONNECTED_TRACE);
}

CASE(name_of_the_name_server, "S3.10", "an address that was asked for over the network")
{
    name_server_start(table);
    uint16_t port = world_listen(5);
    char name[] = "one.test";
    berth_socket *socket = begin(name, port);
    UNTIL(settled(socket));
    assert_trace(CONNECTED_TRACE);
    ck_assert(berth_address_equal(berth_socket_peer_address(socket), BERTH_ADDRESS_LOOPBACK));
    ck_assert_uint_gt(name_server_questions(), 0);
    name_server_stop();
}

static void fails(const char *name, const char *why)
{
    char text[60]; /* what the error's text has of the name at least */
    snprintf(text, sizeof text, "%s", name);
    trace_clear();
    berth_socket *socket = berth_socket_new(world_loop(), &handlers, text);
    ck_assert_ptr_nonnull(socket);
    ck_assert(berth_socket_connect_to_host(socket, name, 80));
    UNTIL(settled(socket));
    world_settle();
    assert_trace(NOT_FOUND_TRACE);
    ck_assert_int_eq(berth_socket_error(socket), BERTH_ERROR_HOST_NOT_FOUND);
    ck_assert_str_eq(berth_socket_peer_name(socket), name);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(socket), why));
    berth_socket_free(socket);
}

CASE(names_that_are_not_found, "S3.10 S3.13 T25",
     "unknown, without addresses, refused, garbled, too long, malformed: HOST_NOT_FOUND once")
{
    static const char *const names[] = {"nobody.invalid", "empty.test", "refused.test", "a..b"};
    char longest[280];
    name_server_start(table);
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        fails(names[i], "host not found");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    fails(longest, "host not found");
    fails("garbled.test", ": "); /* which is no answer, or a wrong one, as c-ares has it */
    name_server_stop();
}

CASE(name_server_without_an_answer, "S3.13 S6.12 S6.30", "the text says so, of a proxy's name too")
{
    name_server_start(table);
    fails("silent.test", ":80: no name server has answered in time");
    struct host *host = host_new("h");
    struct actor *actor = actor_new("c");
    berth_proxy proxy = {.type = BERTH_PROXY_SOCKS5, .host = "silent.test", .port = 1080};
    ck_assert(berth_socket_set_proxy(actor->socket, &proxy));
    ck_assert(berth_socket_connect_to_host(actor->socket, "host.example", 80));
    UNTIL(actor->errors == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_PROXY_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actor->socket),
                                 ": no name server has answered in time for the proxy's name"));
    ck_assert(berth_server_set_proxy(host->server, &proxy));
    ck_assert(!berth_server_listen(host->server, berth_address_ipv4(0xc0000201), 0));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_PROXY_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(berth_server_error_string(host->server),
                                 ": no name server has answered in time for the proxy's name"));
    name_server_stop();
}

CASE(no_descriptor_for_a_lookup, "S3.13 reliability 1",
     "SOCKET_RESOURCE, and lookups that follow ask whom the system says")
{
    real_kernel_only();
    uint16_t port = world_listen(5);
    char name[] = "one.test";
    char known[] = "localhost";
    char *names[] = {name, known};
    world_loop();
    world_exhaust(0);
    for (int i = 0; i < 2; i++) {
        berth_socket *socket = begin(names[i], port);
        UNTIL(settled(socket));
        assert_trace("HOST_LOOKUP, UNCONNECTED, error SOCKET_RESOURCE");
        trace_clear();
        berth_socket_free(socket);
    }
    world_relieve();
    /* A channel that was made without its configuration would not know this server. */
    name_server_start(table);
    berth_socket *socket = begin(name, port);
    UNTIL(settled(socket));
    assert_trace(CONNECTED_TRACE);
    world_free_loop();
    name_server_stop();
}

static long allocations_left = -1; /* until one of c-ares fails; negative: none does */

static bool fails_now(void)
{
    return allocations_left >= 0 && allocations_left-- == 0;
}

static void *allocate_or_not(size_t size)
{
    return fails_now() ? NULL : malloc(size);
}

static void *reallocate_or_not(void *memory, size_t size)
{
    return fails_now() ? NULL : realloc(memory, size);
}

/* c-ares has a channel, and asks for memory for the question first. */
CASE(no_memory_for_a_lookup, "S3.13 reliability 1",
     "SOCKET_RESOURCE, not HOST_NOT_FOUND; the next lookup finds the name")
{
    ck_assert_int_eq(
        ares_library_init_mem(ARES_LIB_INIT_ALL, allocate_or_not, free, reallocate_or_not),
        ARES_SUCCESS);
    name_server_start(table);
    uint16_t port = world_listen(5);
    char name[] = "one.test";
    for (int i = 0; i < 3; i++) {
        allocations_left = i == 1 ? 0 : -1;
        berth_socket *socket = begin(name, port);
        UNTIL(settled(socket));
        ck_assert_int_eq(allocations_left, -1);
        assert_trace(i == 1 ? "HOST_LOOKUP, UNCONNECTED, error SOCKET_RESOURCE" : CONNECTED_TRACE);
        berth_socket_free(socket);
        trace_clear();
    }
    name_server_stop();
}

CASE(no_descriptor_for_a_proxys_name, "S6.12 S6.30 reliability 1",
     "SOCKET_RESOURCE for a socket and for a server, not PROXY_NOT_FOUND")
{
    real_kernel_only();
    struct host *host = host_new("h");
    berth_proxy proxy = {.type = BERTH_PROXY_SOCKS5, .host = "localhost", .port = 1080};
    char name[] = "target.test";
    berth_socket *socket = berth_socket_new(world_loop(), &handlers, name);
    ck_assert_ptr_nonnull(socket);
    ck_assert(berth_server_set_proxy(host->server, &proxy));
    ck_assert(berth_socket_set_proxy(socket, &proxy));
    world_exhaust(0);
    ck_assert(!berth_server_listen(host->server, BERTH_ADDRESS_ANY, 0));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_SOCKET_RESOURCE);
    ck_assert(berth_socket_connect_to_host(socket, name, 80));
    UNTIL(settled(socket));
    ck_assert_int_eq(berth_socket_error(socket), BERTH_ERROR_SOCKET_RESOURCE);
    world_relieve();
}

CASE(no_name_at_all, "S3.13", "an empty name and NULL are names that are not found")
{
    name_server_start(table);
    fails("", "host not found");
    trace_clear();
    char empty[] = "";
    berth_socket *socket = berth_socket_new(world_loop(), &handlers, empty);
    ck_assert_ptr_nonnull(socket);
    berth_socket_connect_to_host(socket, NULL, 80);
    UNTIL(settled(socket));
    assert_trace(NOT_FOUND_TRACE);
    ck_assert_str_eq(berth_socket_peer_name(socket), "");
    name_server_stop();
}

CASE(no_control_byte_in_the_text, "error.h",
     "what a name has that could write on a terminal or begin a line is escaped")
{
    name_server_start(table);
    char name[256];
    struct actor *actor = actor_new("c");
    berth_socket_connect_to_host(actor->socket, "a\033[2J\nb\\\xc2\x9b", 80);
    UNTIL(actor->errors == 1);
    ck_assert_str_eq(berth_socket_error_string(actor->socket),
                     "cannot connect to a\\x1b[2J\\x0ab\\x5c\\xc2\\x9b:80: host not found");
    memset(name, '\n', 255);
    name[255] = '\0';
    berth_socket_connect_to_host(actor->socket, name, 80);
    UNTIL(actor->errors == 2);
    ck_assert_ptr_null(strchr(berth_socket_error_string(actor->socket), '\n'));
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actor->socket), "\\x0a:80: host"));
    berth_proxy proxy = {.type = BERTH_PROXY_SOCKS5, .host = "p\nq", .port = 1};
    ck_assert(berth_socket_set_proxy(actor->socket, &proxy));
    berth_socket_connect_to_host(actor->socket, "h", 80);
    UNTIL(actor->errors == 3);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actor->socket), "p\\x0aq:1"));
    name_server_stop();
}

CASE(whole_name_in_the_text, "error.h", "a name of 255 bytes is in the error's text, uncut")
{
    char name[256];
    memset(name, 'a', 255);
    name[100] = name[200] = '.';
    name[254] = 'z';
    name[255] = '\0';
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_connect_to_host(actor->socket, name, 65535));
    UNTIL(actor->errors == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_HOST_NOT_FOUND);
    char expected[400];
    snprintf(expected, sizeof expected, "cannot connect to %s:65535: host not found", name);
    ck_assert_str_eq(berth_socket_error_string(actor->socket), expected);
}

CASE(deaf_address_does_not_hold_up, "S3.12",
     "the second address is tried while the first is silent, and wins")
{
    int deaf[FULL + 1];
    name_server_start(table);
    uint16_t port = deaf_port(deaf);
    int good = listen_on("127.0.0.3", &port, 5);
    char name[] = "second.test";
    berth_socket *socket = begin(name, port);
    UNTIL(settled(socket));
    assert_trace(CONNECTED_TRACE);
    ck_assert(
        berth_address_equal(berth_socket_peer_address(socket), berth_address_ipv4(0x7f000003)));
    close_all(deaf, FULL + 1);
    close(good);
    name_server_stop();
}

static int accept_soon(int listener)
{
    int descriptor = -1;
    for (int turn = 0; turn < WORLD_TURNS && descriptor < 0; turn++) {
        world_turn();
        descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    }
    ck_assert_int_ge(descriptor, 0);
    return descriptor;
}

/* Answers one SOCKS5 client, whose greeting and request are of known sizes. */
static void answer_as_socks5(int listener)
{
    static const char reply[] = "\5\0\5\0\0\1\x0a\0\0\1\x30\x39";
    int descriptor = accept_soon(listener);
    ck_assert_int_eq(send(descriptor, reply, sizeof reply - 1, 0), sizeof reply - 1);
    world_note(descriptor);
}

CASE(deaf_address_of_a_proxy, "S6.30 S3.12",
     "a proxy by name whose first address is silent is reached by its second")
{
    int deaf[FULL + 1];
    name_server_start(table);
    uint16_t port = deaf_port(deaf);
    int good = listen_on("127.0.0.3", &port, 5);
    struct actor *actor = actor_new("c");
    berth_proxy proxy = {.type = BERTH_PROXY_SOCKS5, .host = "second.test", .port = port};
    ck_assert(berth_socket_set_proxy(actor->socket, &proxy));
    ck_assert(berth_socket_set_option(actor->socket, BERTH_OPTION_LOW_DELAY, 1));
    ck_assert(berth_socket_connect_to_host(actor->socket, "host.example", 80));
    answer_as_socks5(good);
    UNTIL(actor->connects == 1);
    int value = 0;
    ck_assert(berth_socket_get_option(actor->socket, BERTH_OPTION_LOW_DELAY, &value));
    ck_assert_int_eq(value, 1);
    actor_free_socket(actor);

    /* Given up while two attempts run. */
    actor = actor_new("d");
    ck_assert(berth_socket_set_proxy(actor->socket, &proxy));
    ck_assert(berth_socket_connect_to_host(actor->socket, "host.example", 80));
    int descriptor = accept_soon(good);
    berth_socket_abort(actor->socket);
    close(descriptor);

    /* In a wait, which runs no timers. */
    ck_assert(berth_socket_connect_to_host(actor->socket, "host.example", 80));
    ck_assert(!berth_socket_wait_for_connected(actor->socket, 2000));
    descriptor = accept4(good, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(descriptor, 0);
    close(descriptor);
    world_close_noted();
    name_server_stop();
}

CASE(silent_proxy_of_a_server, "S6.12 S6.30 S3.12",
     "listening through a proxy whose first address is silent reaches the second")
{
    int deaf[FULL + 1];
    name_server_start(table);
    uint16_t port = deaf_port(deaf);
    int good = listen_on("127.0.0.3", &port, 5);
    struct host *host = host_new("h");
    berth_proxy proxy = {.type = BERTH_PROXY_SOCKS5, .host = "second.test", .port = port};
    ck_assert(berth_server_set_proxy(host->server, &proxy));
    ck_assert(!berth_server_listen(host->server, berth_address_ipv4(0xc0000201), 0));
    int descriptor = accept4(good, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(descriptor, 0);
    close(descriptor);
    world_close_noted();
    name_server_stop();
}

CASE(refusing_address_is_passed_over, "S3.12", "after a refusal the next address is tried at once")
{
    name_server_start(table);
    uint16_t port = 0;
    int good = listen_on("127.0.0.3", &port, 5);
    char name[] = "second.test";
    berth_socket *socket = begin(name, port);
    UNTIL(settled(socket));
    assert_trace(CONNECTED_TRACE);
    ck_assert(
        berth_address_equal(berth_socket_peer_address(socket), berth_address_ipv4(0x7f000003)));
    close(good);
    name_server_stop();
}

CASE(all_addresses_refuse, "S3.12 S3.13", "the error of the last one, once")
{
    name_server_start(table);
    uint16_t port = world_free_port();
    char name[] = "second.test";
    berth_socket *socket = begin(name, port);
    UNTIL(settled(socket));
    world_settle();
    assert_trace("HOST_LOOKUP, CONNECTING, found, UNCONNECTED, error CONNECTION_REFUSED");
    berth_socket_free(socket);
    name_server_stop();
}

CASE(other_family_is_tried, "S3.12", "IPv6 refuses, IPv4 answers")
{
    name_server_start(table);
    uint16_t port = world_listen(5);
    char name[] = "both.test";
    berth_socket *socket = begin(name, port);
    UNTIL(settled(socket));
    assert_trace(CONNECTED_TRACE);
    ck_assert(berth_address_equal(berth_socket_peer_address(socket), BERTH_ADDRESS_LOOPBACK));
    name_server_stop();
}

static struct {
    size_t count;
    berth_address addresses[BERTH__MOST_ADDRESSES];
    bool done;
} found;

static void keep(void *owner, const berth_address *addresses, size_t count, int error)
{
    (void)error;

    ck_assert_ptr_eq(owner, &found);
    found.done = true;
    found.count = count;
    for (size_t i = 0; i < count; i++)
        found.addresses[i] = addresses[i];
}

CASE(families_take_turns, "S3.12", "addresses come as RFC 8305 has them: families in turn")
{
    name_server_start(table);
    ck_assert_ptr_nonnull(berth__lookup_start(world_loop(), "many.test", &found, keep));
    ck_assert(!found.done);
    UNTIL(found.done);
    ck_assert_uint_eq(found.count, 5);
    for (size_t i = 1; i < 4; i++)
        ck_assert_int_ne(found.addresses[i].family, found.addresses[i - 1].family);
    found.done = false;
    ck_assert_ptr_nonnull(berth__lookup_start(world_loop(), "twice.test", &found, keep));
    UNTIL(found.done);
    ck_assert_uint_eq(found.count, 1);
    name_server_stop();
}

CASE(abort_while_looking_up, "S3.16 T29", "UNCONNECTED at once, and the answer finds nobody")
{
    name_server_start(table);
    char name[] = "silent.test";
    berth_socket *socket = begin(name, 80);
    world_turn();
    berth_socket_abort(socket);
    assert_trace("HOST_LOOKUP, UNCONNECTED");
    UNTIL(name_server_questions() > 0);
    world_settle();
    char other[] = "one.test";
    berth_socket_set_handlers(socket, &handlers, other);
    ck_assert(berth_socket_connect_to_host(socket, other, world_listen(5)));
    UNTIL(settled(socket));
    ck_assert_int_eq(berth_socket_state(socket), BERTH_STATE_CONNECTED);
    name_server_stop();
}

CASE(free_while_looking_up, "S3.38",
     "the socket, and in the end the loop, go with lookups under way")
{
    name_server_start(table);
    char name[] = "silent.test";
    char other[] = "one.test";
    berth_socket_free(begin(name, 80));
    berth_socket_free(begin(other, 80));
    world_turn();
    berth_socket_free(begin(other, 80));
    begin(name, 80);
    begin(other, 80);
    world_turn();
    world_free_loop();
    name_server_stop();
}

CASE(abort_while_attempts_overlap, "S3.16", "both attempts are dropped, nothing comes later")
{
    int deaf[FULL + 1];
    name_server_start(table);
    uint16_t port = deaf_port(deaf);
    char name[] = "second.test";
    berth_socket *socket = begin(name, port);
    UNTIL(berth_socket_state(socket) == BERTH_STATE_CONNECTING);
    world_turn();
    berth_socket_abort(socket);
    world_settle();
    assert_trace("HOST_LOOKUP, CONNECTING, found, UNCONNECTED");
    close_all(deaf, FULL + 1);
    name_server_stop();
}

CASE(lookup_that_is_given_up_asks_nobody, "S3.16 S3.38",
     "the descriptors of a lookup go with it; others go on")
{
    name_server_start(table);
    char name[] = "one.test";
    struct actor *actor = actor_new("c");
    world_settle();
    unsigned before = world_descriptors();
    for (int i = 0; i < 3; i++) {
        ck_assert(berth_socket_connect_to_host(actor->socket, "silent.test", 80));
        UNTIL(world_descriptors() > before);
        berth_socket *other = begin(name, 1);
        berth_socket_abort(actor->socket);
        UNTIL(settled(other));
        berth_socket_free(other);
        world_settle();
        ck_assert_uint_eq(world_descriptors(), before);
    }
    world_free_loop();
    name_server_stop();
}

CASE(name_servers_that_change, "S3.10",
     "a loop asks those that the system asks now, not those of its first lookup")
{
    static const struct name_entry other_table[] = {{.name = "late.test", .four = {"127.0.0.1"}},
                                                    {.name = NULL}};
    char path[] = "/tmp/berth-resolv-XXXXXX";
    int file = world_note(mkstemp(path));
    ck_assert_int_ge(file, 0);
    berth__resolver_set_file(path);
    name_server_start(table);
    uint16_t port = world_listen(5);
    char name[] = "one.test";
    berth_socket *socket = begin(name, port);
    UNTIL(settled(socket));
    ck_assert_int_eq(berth_socket_state(socket), BERTH_STATE_CONNECTED);
    berth_socket_abort(socket);
    name_server_stop();
    name_server_start(other_table);
    ck_assert_int_eq(write(file, "# changed\n", 10), 10);
    close(file);
    ck_assert(berth_socket_connect_to_host(socket, "late.test", port));
    UNTIL(settled(socket));
    ck_assert_int_eq(berth_socket_state(socket), BERTH_STATE_CONNECTED);
    berth__resolver_set_file(NULL);
    unlink(path);
    world_free_loop();
    name_server_stop();
}

CASE(disconnect_while_looking_up, "S3.16", "remembered: connected, early output sent, then the end")
{
    name_server_start(table);
    uint16_t port = world_listen(5);
    char name[] = "one.test";
    berth_socket *socket = begin(name, port);
    ck_assert_int_eq(berth_socket_write(socket, "early", 5), 5);
    berth_socket_disconnect_from_host(socket);
    ck_assert_int_eq(berth_socket_state(socket), BERTH_STATE_HOST_LOOKUP);
    UNTIL(settled(socket));
    struct peer *peer = world_accept(port);
    ck_assert(peer_hears(peer, "early"));
    ck_assert(peer_saw_end(peer));
    UNTIL(berth_socket_state(socket) == BERTH_STATE_UNCONNECTED);
    assert_trace(CONNECTED_TRACE ", CLOSING, UNCONNECTED");
    name_server_stop();
}

CASE(time_limit_over_a_lookup, "S3.13", "a name server that is silent: SOCKET_TIMEOUT in time")
{
    name_server_start(table);
    setenv("RES_OPTIONS", "retrans:20000 retry:3", 1);
    char name[] = "silent.test";
    berth_socket *socket = berth_socket_new(world_loop(), &handlers, name);
    ck_assert_ptr_nonnull(socket);
    berth_socket_set_connect_timeout(socket, 20);
    ck_assert_uint_eq(berth_socket_connect_timeout(socket), 20);
    ck_assert(berth_socket_connect_to_host(socket, name, 80));
    UNTIL(settled(socket));
    assert_trace("HOST_LOOKUP, UNCONNECTED, error SOCKET_TIMEOUT");
    name_server_stop();
}

CASE(time_limit_over_attempts, "S3.13", "addresses that are all silent: SOCKET_TIMEOUT in time")
{
    int deaf[FULL + 1];
    name_server_start(table);
    uint16_t port = deaf_port(deaf);
    char name[] = "127.0.0.2";
    berth_socket *socket = berth_socket_new(world_loop(), &handlers, name);
    ck_assert_ptr_nonnull(socket);
    berth_socket_set_connect_timeout(socket, 20);
    ck_assert(berth_socket_connect_to_host(socket, name, port));
    UNTIL(settled(socket));
    assert_trace("HOST_LOOKUP, CONNECTING, found, UNCONNECTED, error SOCKET_TIMEOUT");
    close_all(deaf, FULL + 1);
    name_server_stop();
}

CASE(wait_looks_up, "S4.11", "a blocking wait looks up the name, and passes over a silent address")
{
    int deaf[FULL + 1];
    name_server_start(table);
    uint16_t port = deaf_port(deaf);
    int good = listen_on("127.0.0.3", &port, 5);
    char name[] = "second.test";
    berth_socket *socket = begin(name, port);
    ck_assert(berth_socket_wait_for_connected(socket, 30000));
    assert_trace(CONNECTED_TRACE);
    close_all(deaf, FULL + 1);
    close(good);
    name_server_stop();
}

CASE(wait_for_a_name_that_is_not_found, "S4.11", "false, with the error called inside")
{
    name_server_start(table);
    char name[] = "nobody.invalid";
    berth_socket *socket = begin(name, 80);
    ck_assert(!berth_socket_wait_for_connected(socket, 30000));
    assert_trace(NOT_FOUND_TRACE);
    char silent[] = "silent.test";
    trace_clear();
    socket = begin(silent, 80);
    ck_assert(!berth_socket_wait_for_connected(socket, world_for_ever()));
    assert_trace(NOT_FOUND_TRACE);
    trace_clear();
    socket = begin(silent, 80);
    ck_assert(!berth_socket_wait_for_ready_read(socket, 5));
    assert_trace("HOST_LOOKUP, UNCONNECTED, error SOCKET_TIMEOUT");
    name_server_stop();
}

static void abort_when_found(berth_socket *socket, void *user)
{
    (void)user;
    berth_socket_abort(socket);
}

static void free_when_found(berth_socket *socket, void *user)
{
    (void)user;
    berth_socket_free(socket);
    *(berth_socket **)user = NULL;
}

CASE(given_up_inside_host_found, "S3.16", "aborted and freed in the handler that says so")
{
    static const berth_socket_handlers aborting = {.host_found = abort_when_found};
    static const berth_socket_handlers freeing = {.host_found = free_when_found};
    name_server_start(table);
    berth_socket *socket = berth_socket_new(world_loop(), &aborting, NULL);
    ck_assert_ptr_nonnull(socket);
    ck_assert(berth_socket_connect_to_host(socket, "one.test", 80));
    UNTIL(settled(socket));
    berth_socket *gone = berth_socket_new(world_loop(), &freeing, &gone);
    ck_assert_ptr_nonnull(gone);
    ck_assert(berth_socket_connect_to_host(gone, "both.test", 80));
    UNTIL(gone == NULL);
    world_settle();
    name_server_stop();
}

CASE(bound_socket_tries_all_addresses, "S3.12 S3.17 T23",
     "each attempt leaves from the bound address")
{
    name_server_start(table);
    uint16_t port = 0;
    int good = listen_on("127.0.0.3", &port, 5);
    char name[] = "second.test";
    berth_socket *socket = berth_socket_new(world_loop(), NULL, NULL);
    ck_assert_ptr_nonnull(socket);
    ck_assert(berth_socket_bind(socket, BERTH_ADDRESS_LOOPBACK, 0));
    uint16_t own = berth_socket_local_port(socket);
    ck_assert(berth_socket_connect_to_host(socket, name, port));
    UNTIL(settled(socket));
    ck_assert_int_eq(berth_socket_state(socket), BERTH_STATE_CONNECTED);
    ck_assert_uint_eq(berth_socket_local_port(socket), own);
    ck_assert(berth_address_equal(berth_socket_local_address(socket), BERTH_ADDRESS_LOOPBACK));
    close(good);
    name_server_stop();
}
