/*
 * Clients through a proxy that the case plays itself: what it is asked, what its answers mean, and
 * that the stream behind its last answer is whole.
 *
 * 192.0.2.1 and host.example are nowhere: whoever tries them directly fails.
 */
#include "scene.h"

#include "balance.h"
#include "base/fault.h"
#include "name_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define REPLY "\5\0\0\1\x0a\0\0\1\x30\x39" /* 10.0.0.1:12345 */

static uint16_t proxy_port;

static berth_address target(void)
{
    return berth_address_ipv4(0xc0000201);
}

static void use_proxy(struct actor *actor, berth_proxy_type type)
{
    berth_proxy proxy = {.type = type, .host = "127.0.0.1", .port = proxy_port};
    ck_assert(berth_socket_set_proxy(actor->socket, &proxy));
}

/* A client that uses a proxy of the case. */
static struct actor *client_of(berth_proxy_type type)
{
    world_loop();
    proxy_port = world_listen(5);
    struct actor *actor = actor_new("c");
    use_proxy(actor, type);
    return actor;
}

static void hears_bytes(struct peer *proxy, const char *bytes, size_t size)
{
    char got[600];
    ck_assert_uint_eq(peer_receive(proxy, got, size), size);
    ck_assert_mem_eq(got, bytes, size);
}

#define HEARS(proxy, bytes) hears_bytes(proxy, bytes, sizeof(bytes) - 1)
#define SAYS(proxy, bytes) peer_send(proxy, bytes, sizeof(bytes) - 1)

/* Reads a request of HTTP up to its empty line. */
static void hears_request(struct peer *proxy, char *request, size_t size)
{
    size_t got = 0;
    do {
        ck_assert_uint_lt(got + 1, size);
        ck_assert_uint_eq(peer_receive(proxy, request + got, 1), 1);
        request[++got] = '\0';
    } while (got < 4 || memcmp(request + got - 4, "\r\n\r\n", 4) != 0);
}

static bool text_has(struct actor *actor, const char *part)
{
    return strstr(berth_socket_error_string(actor->socket), part) != NULL;
}

/* ---- SOCKS5 ---------------------------------------------------------------------------------- */

CASE(socks5_connect_by_address, "S6.3 S6.10 S6.21",
     "as a direct connection; the local name is that of the reply, and bytes behind it are data")
{
    struct actor *actor = client_of(BERTH_PROXY_SOCKS5);
    ck_assert(berth_socket_connect_to_address(actor->socket, target(), 80));
    assert_trace("c state HOST_LOOKUP, c state CONNECTING");
    actor_say(actor, "hello");
    struct peer *proxy = world_accept(proxy_port);
    HEARS(proxy, "\5\1\0");
    SAYS(proxy, "\5\0");
    HEARS(proxy, "\5\1\0\1\xc0\0\2\1\0\x50");
    ck_assert_uint_eq(actor->connects, 0);
    SAYS(proxy, REPLY "early");
    UNTIL(actor_has(actor, "early"));
    ck_assert_ptr_eq(strstr(trace_text(), "c state HOST_LOOKUP, c state CONNECTING, c state "
                                          "CONNECTED, c connected, c "),
                     trace_text());
    ck_assert(berth_address_equal(berth_socket_peer_address(actor->socket), target()));
    ck_assert_uint_eq(berth_socket_peer_port(actor->socket), 80);
    ck_assert(berth_address_equal(berth_socket_local_address(actor->socket),
                                  berth_address_ipv4(0x0a000001)));
    ck_assert_uint_eq(berth_socket_local_port(actor->socket), 12345);
    ck_assert_str_eq(berth_socket_peer_name(actor->socket), "192.0.2.1");
    ck_assert(peer_hears(proxy, "hello"));
    actor_say(actor, "more");
    ck_assert(peer_hears(proxy, "more"));
    peer_close(proxy);
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
}

static unsigned found;

static void count_found(berth_socket *socket, void *user)
{
    (void)socket;
    (void)user;
    found++;
}

CASE(socks5_connect_by_name, "S6.21 S6.24",
     "the name goes to the proxy as it is, and the address of the peer stays unknown")
{
    static const berth_socket_handlers handlers = {.host_found = count_found};
    world_loop();
    proxy_port = world_listen(5);
    berth_socket *socket = berth_socket_new(world_loop(), &handlers, NULL);
    ck_assert_ptr_nonnull(socket);
    berth_proxy own = {.type = BERTH_PROXY_SOCKS5, .host = "127.0.0.1", .port = proxy_port};
    ck_assert(berth_socket_set_proxy(socket, &own));
    ck_assert(berth_socket_connect_to_host(socket, "host.example", 443));
    struct peer *proxy = world_accept(proxy_port);
    HEARS(proxy, "\5\1\0");
    SAYS(proxy, "\5\0");
    HEARS(proxy, "\5\1\0\3\14host.example\1\xbb");
    SAYS(proxy, REPLY);
    UNTIL(berth_socket_state(socket) == BERTH_STATE_CONNECTED);
    ck_assert_uint_eq(found, 0);
    ck_assert(berth_address_is_null(berth_socket_peer_address(socket)));
    ck_assert_str_eq(berth_socket_peer_name(socket), "host.example");
    peer_close(proxy);
    UNTIL(berth_socket_state(socket) == BERTH_STATE_UNCONNECTED);
    ck_assert_int_eq(berth_socket_error(socket), BERTH_ERROR_REMOTE_HOST_CLOSED);
}

CASE(internationalized_names_through_a_proxy, "S6.21 S6.26",
     "the proxy gets them encoded; the name of the peer is as it was given")
{
    static const char name[] = "B\303\274cher.example";
    struct actor *actor = client_of(BERTH_PROXY_SOCKS5);
    ck_assert(berth_socket_connect_to_host(actor->socket, name, 80));
    struct peer *proxy = world_accept(proxy_port);
    HEARS(proxy, "\5\1\0");
    SAYS(proxy, "\5\0");
    HEARS(proxy, "\5\1\0\3\25xn--bcher-kva.example\0\120");
    ck_assert_str_eq(berth_socket_peer_name(actor->socket), name);
    actor_free_socket(actor);

    actor = actor_new("d");
    use_proxy(actor, BERTH_PROXY_HTTP);
    ck_assert(berth_socket_connect_to_host(actor->socket, name, 80));
    proxy = world_accept(proxy_port);
    char request[1024];
    hears_request(proxy, request, sizeof request);
    ck_assert_ptr_nonnull(strstr(request, "CONNECT xn--bcher-kva.example:80 HTTP/1.1\r\n"));
}

CASE(socks5_with_user_and_password, "S6.10 S6.23",
     "offered as the one method, and sent when chosen")
{
    struct actor *actor = client_of(BERTH_PROXY_SOCKS5);
    berth_proxy own = {.type = BERTH_PROXY_SOCKS5,
                       .host = "127.0.0.1",
                       .port = proxy_port,
                       .user = "me",
                       .password = "secret"};
    ck_assert(berth_socket_set_proxy(actor->socket, &own));
    ck_assert(berth_socket_connect_to_host(actor->socket, "h", 1));
    struct peer *proxy = world_accept(proxy_port);
    HEARS(proxy, "\5\1\2");
    SAYS(proxy, "\5\2");
    HEARS(proxy, "\1\2me\6secret");
    SAYS(proxy, "\1\0");
    HEARS(proxy, "\5\1\0\3\1h\0\1");
    SAYS(proxy, REPLY);
    UNTIL(actor->connects == 1);
}

/* Connects to 192.0.2.1, or by name, and gets this answer at once; then the connection fails. */
static void refused_by(const char *answer, size_t size, const char *name, berth_error error,
                       const char *text)
{
    struct actor *actor = actor_new("c");
    use_proxy(actor, BERTH_PROXY_SOCKS5);
    if (name != NULL)
        ck_assert(berth_socket_connect_to_host(actor->socket, name, 80));
    else
        ck_assert(berth_socket_connect_to_address(actor->socket, target(), 80));
    struct peer *proxy = world_accept(proxy_port);
    peer_send(proxy, answer, size);
    UNTIL(actor->errors == 1);
    ck_assert_int_eq(actor->error, error);
    ck_assert_msg(text_has(actor, text), "%s", berth_socket_error_string(actor->socket));
    ck_assert(text_has(actor, "through the SOCKS5 proxy 127.0.0.1:"));
    ck_assert_uint_eq(actor->connects + actor->disconnects, 0);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_UNCONNECTED);
    peer_close(proxy);
}

#define REFUSED_BY(answer, ...) refused_by(answer, sizeof(answer) - 1, __VA_ARGS__)

CASE(socks5_refuses_the_target, "S6.14 S6.22 Q18", "each reply code has its class and its words")
{
    world_loop();
    proxy_port = world_listen(20);
    REFUSED_BY("\5\0\5\1", NULL, BERTH_ERROR_NETWORK, "general failure");
    REFUSED_BY("\5\0\5\1", "host.example", BERTH_ERROR_HOST_NOT_FOUND, "general failure");
    REFUSED_BY("\5\0\5\2", NULL, BERTH_ERROR_SOCKET_ACCESS, "not allowed");
    REFUSED_BY("\5\0\5\3", NULL, BERTH_ERROR_NETWORK, "network unreachable");
    REFUSED_BY("\5\0\5\4", NULL, BERTH_ERROR_HOST_NOT_FOUND, "host unreachable");
    REFUSED_BY("\5\0\5\5", NULL, BERTH_ERROR_CONNECTION_REFUSED, "connection refused");
    REFUSED_BY("\5\0\5\6", NULL, BERTH_ERROR_NETWORK, "TTL expired");
    REFUSED_BY("\5\0\5\7", NULL, BERTH_ERROR_UNSUPPORTED_OPERATION, "command not supported");
    REFUSED_BY("\5\0\5\10", NULL, BERTH_ERROR_UNSUPPORTED_OPERATION, "address type");
    REFUSED_BY("\5\0\5\377", NULL, BERTH_ERROR_UNKNOWN, "unknown SOCKS5 reply 0xff");
}

CASE(socks5_fails_by_itself, "S6.14 S6.22 S6.23", "what goes wrong before the target is asked for")
{
    world_loop();
    proxy_port = world_listen(20);
    REFUSED_BY("HTTP/1.0 400 Bad Request\r\n", NULL, BERTH_ERROR_PROXY_PROTOCOL, "SOCKS version 5");
    REFUSED_BY("\5\377", NULL, BERTH_ERROR_PROXY_AUTHENTICATION_REQUIRED, "requires credentials");
    REFUSED_BY("\5\2", NULL, BERTH_ERROR_SOCKET_ACCESS, "not offered");
}

CASE(proxy_closes_early, "S6.14 S6.30", "at any point of the handshake")
{
    struct actor *actor = client_of(BERTH_PROXY_SOCKS5);
    for (unsigned heard = 0; heard < 3; heard++) {
        ck_assert(berth_socket_connect_to_address(actor->socket, target(), 80));
        struct peer *proxy = world_accept(proxy_port);
        if (heard > 0) {
            HEARS(proxy, "\5\1\0");
            SAYS(proxy, "\5\0");
        }
        if (heard > 1) {
            HEARS(proxy, "\5\1\0\1\xc0\0\2\1\0\x50");
            SAYS(proxy, "\5\0\0\1");
        }
        peer_close(proxy);
        UNTIL(actor->errors == heard + 1);
        ck_assert_int_eq(actor->error, BERTH_ERROR_PROXY_CONNECTION_CLOSED);
        ck_assert(text_has(actor, "the proxy closed the connection early"));
    }
}

CASE(nobody_at_the_proxy_refuses, "S6.14 S6.30", "PROXY_CONNECTION_REFUSED, and the text says why")
{
    world_loop();
    proxy_port = world_free_port();
    for (unsigned type = BERTH_PROXY_SOCKS5; type <= BERTH_PROXY_HTTP; type += 2) {
        struct actor *actor = actor_new("c");
        use_proxy(actor, (berth_proxy_type)type);
        berth_socket_connect_to_address(actor->socket, target(), 80);
        UNTIL(actor->errors == 1);
        ck_assert_int_eq(actor->error, BERTH_ERROR_PROXY_CONNECTION_REFUSED);
        ck_assert(text_has(actor, "cannot connect to 192.0.2.1:80 through the "));
        ck_assert(text_has(actor, "the proxy cannot be reached: connection refused"));
    }
}

CASE(proxy_by_name, "S6.14 S6.21 S6.30",
     "the name of the proxy is looked up, not that of the target")
{
    static const struct name_entry names[] = {{.name = "proxy.test", .four = {"127.0.0.1"}},
                                              {.name = NULL}};
    name_server_start(names);
    struct actor *actor = client_of(BERTH_PROXY_SOCKS5);
    berth_proxy own = {.type = BERTH_PROXY_SOCKS5, .host = "proxy.test", .port = proxy_port};
    ck_assert(berth_socket_set_proxy(actor->socket, &own));
    ck_assert(berth_socket_connect_to_host(actor->socket, "host.example", 80));
    assert_trace("c state HOST_LOOKUP, c state CONNECTING"); /* the target is not looked up */
    struct peer *proxy = world_accept(proxy_port);
    SAYS(proxy, "\5\0" REPLY);
    UNTIL(actor->connects == 1);
    actor_free_socket(actor);

    actor = actor_new("d");
    own.host = "nowhere.test";
    ck_assert(berth_socket_set_proxy(actor->socket, &own));
    ck_assert(berth_socket_connect_to_address(actor->socket, target(), 80));
    UNTIL(actor->errors == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_PROXY_NOT_FOUND);
    ck_assert(text_has(actor, "proxy host not found"));
    world_free_loop();
    name_server_stop();
}

/* A listener at a port of an IPv4 address of this host; port 0 gives any. */
static int listen_at(const char *address, uint16_t *port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t length = sizeof name;
    int descriptor = world_note(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ck_assert_int_eq(inet_pton(AF_INET, address, &name.sin_addr), 1);
    ck_assert_int_eq(bind(descriptor, (struct sockaddr *)&name, length), 0);
    ck_assert_int_eq(listen(descriptor, 5), 0);
    ck_assert_int_eq(getsockname(descriptor, (struct sockaddr *)&name, &length), 0);
    *port = ntohs(name.sin_port);
    return descriptor;
}

static int listeners[2];
static int asked; /* which of them */
static int connection;

static bool is_asked(void)
{
    for (asked = 0; asked < 2; asked++) {
        connection = accept(listeners[asked], NULL, NULL);
        if (connection >= 0)
            return true;
    }
    return false;
}

CASE(proxy_with_two_addresses, "S6.21 S6.30", "while the first answers, the second is not asked")
{
    static const struct name_entry names[] = {
        {.name = "proxy.test", .four = {"127.0.0.1", "127.0.0.2"}}, {.name = NULL}};
    name_server_start(names);
    struct actor *actor = actor_new("c");
    uint16_t port = 0;
    listeners[0] = listen_at("127.0.0.1", &port);
    listeners[1] = listen_at("127.0.0.2", &port);
    berth_proxy own = {.type = BERTH_PROXY_SOCKS5, .host = "proxy.test", .port = port};
    ck_assert(berth_socket_set_proxy(actor->socket, &own));
    ck_assert(berth_socket_connect_to_address(actor->socket, target(), 80));
    for (int turns = 0; turns < WORLD_TURNS && !is_asked(); turns++)
        world_turn();
    ck_assert_int_ge(world_note(connection), 0);
    char hello[3];
    UNTIL(recv(connection, hello, sizeof hello, MSG_PEEK | MSG_DONTWAIT) == sizeof hello);
    ck_assert_int_lt(accept(listeners[!asked], NULL, NULL), 0);
    actor_free_socket(actor);
    world_close_noted();
    world_free_loop();
    name_server_stop();
}

CASE(silent_proxy, "S6.30 S6.9", "one deadline for all of it, lookup and handshake included")
{
    struct actor *actor = client_of(BERTH_PROXY_SOCKS5);
    berth_socket_set_connect_timeout(actor->socket, 30);
    ck_assert(berth_socket_connect_to_address(actor->socket, target(), 80));
    struct peer *proxy = world_accept(proxy_port);
    HEARS(proxy, "\5\1\0");
    UNTIL(actor->errors == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_TIMEOUT);
    UNTIL(peer_saw_either(proxy));
    use_proxy(actor, BERTH_PROXY_HTTP);
    ck_assert(berth_socket_connect_to_address(actor->socket, target(), 80));
    UNTIL(actor->errors == 2);
    ck_assert_int_eq(actor->error, BERTH_ERROR_PROXY_CONNECTION_TIMEOUT);
    ck_assert(text_has(actor, "the proxy did not answer in time"));
}

CASE(slow_proxy_without_a_limit, "S3.13", "a time limit of 0 is none")
{
    struct actor *actor = client_of(BERTH_PROXY_SOCKS5);
    berth_socket_set_connect_timeout(actor->socket, 0);
    ck_assert(berth_socket_connect_to_address(actor->socket, target(), 80));
    struct peer *proxy = world_accept(proxy_port);
    HEARS(proxy, "\5\1\0");
    world_settle();
    SAYS(proxy, "\5\0" REPLY);
    UNTIL(actor->connects == 1);
    ck_assert_uint_eq(actor->errors, 0);
}

/* Whatever came before it. */
static void saw_end(struct peer *peer)
{
    char bytes[64];
    peer_receive_some(peer, bytes, sizeof bytes);
    UNTIL(peer_saw_either(peer));
}

CASE(aborted_handshake, "S3.16 S6.21", "abort and free end the way through a proxy at any point")
{
    for (unsigned step = 0; step < 3; step++) {
        world_loop();
        struct actor *actor = actor_new("c");
        if (step == 0)
            proxy_port = world_listen(5);
        use_proxy(actor, BERTH_PROXY_SOCKS5);
        ck_assert(berth_socket_connect_to_address(actor->socket, target(), 80));
        struct peer *proxy = NULL;
        if (step > 0)
            proxy = world_accept(proxy_port);
        if (step > 1) {
            HEARS(proxy, "\5\1\0");
            SAYS(proxy, "\5\0");
        }
        berth_socket_abort(actor->socket);
        ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_UNCONNECTED);
        if (step == 0)
            proxy = world_accept(proxy_port);
        saw_end(proxy);
        ck_assert_uint_eq(actor->errors + actor->connects + actor->disconnects, 0);
        ck_assert(berth_socket_connect_to_address(actor->socket, target(), 80));
        berth_socket_free(actor->socket);
        proxy = world_accept(proxy_port);
        if (proxy != NULL)
            saw_end(proxy);
    }
}

CASE(blocking_through_a_proxy, "S6.21 S6.32 Q19",
     "waits alone lead through the proxy, and what came with its answer is waited for like any "
     "input")
{
    struct actor *actor = client_of(BERTH_PROXY_SOCKS5);
    ck_assert(berth_socket_connect_to_address(actor->socket, target(), 80));
    struct peer *proxy = world_accept(proxy_port);
    peer_send_some(proxy, "\5\0" REPLY "early", 17);
    actor->reads = false;
    ck_assert(berth_socket_wait_for_connected(actor->socket, 5000));
    if (berth_socket_bytes_available(actor->socket) == 0)
        ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
    while (berth_socket_bytes_available(actor->socket) < 5)
        ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
    char bytes[8];
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, sizeof bytes), 5);
    ck_assert_mem_eq(bytes, "early", 5);
    berth_socket_write(actor->socket, "hello", 5);
    ck_assert(berth_socket_wait_for_bytes_written(actor->socket, 5000));
    HEARS(proxy, "\5\1\0\5\1\0\1\xc0\0\2\1\0\x50");
    ck_assert(peer_hears(proxy, "hello"));
}

CASE(bound_socket_through_a_proxy, "S6.25",
     "has no meaning, and is refused with an error of its own")
{
    struct actor *actor = client_of(BERTH_PROXY_SOCKS5);
    ck_assert(berth_socket_bind(actor->socket, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert(!berth_socket_connect_to_address(actor->socket, target(), 80));
    ck_assert_int_eq(actor->error, BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert(text_has(actor, "a bound socket cannot connect through a proxy"));
}

CASE(no_memory_through_a_proxy, "reliability 13",
     "the n-th allocation of a handshake fails, for every n")
{
    struct actor *actor = client_of(BERTH_PROXY_SOCKS5);
    actor->quiet = true;
    unsigned failures = 0;
    for (long n = 0; n < 40 && actor->connects == 0; n++) {
        unsigned errors = actor->errors;
        berth__fault_set_memory(n, 1);
        bool begun = berth_socket_connect_to_address(actor->socket, target(), 80);
        for (int turns = 0; turns < 20 && actor->errors == errors; turns++)
            world_turn();
        bool failed = berth__fault_memory_failed() > 0;
        berth__fault_clear();
        struct peer *proxy = begun ? world_accept(proxy_port) : NULL;
        if (proxy != NULL) {
            peer_send_some(proxy, "\5\0" REPLY, 12);
            UNTIL(actor->connects == 1 || actor->errors > errors);
            peer_close(proxy);
        }
        failures += actor->errors > errors && failed;
    }
    ck_assert_uint_ge(failures, 3);
    ck_assert_uint_eq(actor->connects, 1);
}

/* ---- HTTP ------------------------------------------------------------------------------------ */

CASE(http_connect_by_name, "S6.26 S6.27 S6.31 Q18",
     "one request; its answer may come in pieces, and what follows it is data")
{
    struct actor *actor = client_of(BERTH_PROXY_HTTP);
    ck_assert(berth_socket_connect_to_host(actor->socket, "host.example", 443));
    struct peer *proxy = world_accept(proxy_port);
    char request[1024];
    hears_request(proxy, request, sizeof request);
    ck_assert_ptr_eq(strstr(request, "CONNECT host.example:443 HTTP/1.1\r\nHost: host.example:443"),
                     request);
    peer_say(proxy, "HTTP/1.1 20");
    world_settle();
    ck_assert_uint_eq(actor->connects, 0);
    peer_say(proxy, "0 OK\r\nVia: x\r\n\r\nearly");
    UNTIL(actor_has(actor, "early"));
    ck_assert_uint_ne(berth_socket_local_port(actor->socket), 0);
    ck_assert(
        berth_address_equal(berth_socket_local_address(actor->socket), BERTH_ADDRESS_LOOPBACK));
    actor_say(actor, "hello");
    ck_assert(peer_hears(proxy, "hello"));
    peer_close(proxy);
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
}

CASE(http_connect_to_ipv6, "S6.26 Q18", "an IPv6 address goes in brackets")
{
    struct actor *actor = client_of(BERTH_PROXY_HTTP);
    berth_address address;
    ck_assert(berth_address_parse("2001:db8::1", &address));
    ck_assert(berth_socket_connect_to_address(actor->socket, address, 80));
    struct peer *proxy = world_accept(proxy_port);
    char request[1024];
    hears_request(proxy, request, sizeof request);
    ck_assert_ptr_eq(strstr(request, "CONNECT [2001:db8::1]:80 HTTP/1.1\r\n"), request);
    peer_say(proxy, "HTTP/1.1 200 OK\r\n\r\n");
    UNTIL(actor->connects == 1);
}

CASE(scope_stays_at_home, "S6.26",
     "a scope means nothing to a proxy, and its bytes cannot be a line")
{
    struct actor *actor = client_of(BERTH_PROXY_HTTP);
    berth_address address;
    ck_assert(berth_address_parse("fe80::1%lo", &address));
    memcpy(address.scope, "a\r\nX-Evil: 1", 13);
    ck_assert(berth_socket_connect_to_address(actor->socket, address, 80));
    struct peer *proxy = world_accept(proxy_port);
    char request[1024];
    hears_request(proxy, request, sizeof request);
    ck_assert_ptr_eq(strstr(request, "CONNECT [fe80::1]:80 HTTP/1.1\r\nHost: [fe80::1]:80\r\n"),
                     request);
    ck_assert_ptr_null(strstr(request, "Evil"));
    peer_reset(proxy);
    UNTIL(actor->errors == 1);
    ck_assert_ptr_null(strchr(berth_socket_error_string(actor->socket), '\n'));
}

CASE(scope_with_control_bytes_is_no_address, "S6.26 S7.3",
     "nothing is sent to the proxy, and the text has them escaped")
{
    struct actor *actor = client_of(BERTH_PROXY_HTTP);
    berth_socket_connect_to_host(actor->socket, "::1%a\r\nX-Evil: 1", 80);
    UNTIL(actor->errors == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_HOST_NOT_FOUND);
    const char *text = berth_socket_error_string(actor->socket);
    ck_assert_ptr_nonnull(strstr(text, "::1%a\\x0d\\x0aX-Evil: 1:80 through the HTTP proxy"));
}

static struct actor *with_credentials(void)
{
    struct actor *actor = client_of(BERTH_PROXY_HTTP);
    berth_proxy own = {.type = BERTH_PROXY_HTTP,
                       .host = "127.0.0.1",
                       .port = proxy_port,
                       .user = "Aladdin",
                       .password = "open sesame"};
    ck_assert(berth_socket_set_proxy(actor->socket, &own));
    ck_assert(berth_socket_connect_to_host(actor->socket, "host.example", 443));
    return actor;
}

#define CHALLENGE "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"
#define CREDENTIALS "\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"

CASE(http_challenge_on_the_same_connection, "S6.28", "the body is skipped, the request repeated")
{
    struct actor *actor = with_credentials();
    struct peer *proxy = world_accept(proxy_port);
    char request[1024];
    hears_request(proxy, request, sizeof request);
    ck_assert_ptr_null(strstr(request, "Proxy-Authorization"));
    peer_say(proxy, CHALLENGE "Content-Length: 4\r\n\r\nbody");
    hears_request(proxy, request, sizeof request);
    ck_assert_ptr_nonnull(strstr(request, CREDENTIALS));
    peer_say(proxy, "HTTP/1.1 200 OK\r\n\r\nearly");
    UNTIL(actor_has(actor, "early"));
}

CASE(http_challenge_on_a_new_connection, "S6.28", "where the proxy does not keep the first one")
{
    struct actor *actor = with_credentials();
    struct peer *proxy = world_accept(proxy_port);
    char request[1024];
    hears_request(proxy, request, sizeof request);
    peer_say(proxy, CHALLENGE "Connection: close\r\n\r\nbody");
    struct peer *second = world_accept(proxy_port);
    peer_close(proxy);
    hears_request(second, request, sizeof request);
    ck_assert_ptr_nonnull(strstr(request, CREDENTIALS));
    peer_say(second, "HTTP/1.1 200 OK\r\n\r\n");
    UNTIL(actor->connects == 1);
    ck_assert_uint_eq(actor->errors, 0);
}

CASE(credentials_after_a_refusal, "S6.23 S6.28",
     "those of the next attempt go with its first request")
{
    struct actor *actor = client_of(BERTH_PROXY_HTTP);
    ck_assert(berth_socket_connect_to_address(actor->socket, target(), 80));
    struct peer *proxy = world_accept(proxy_port);
    char request[1024];
    hears_request(proxy, request, sizeof request);
    peer_say(proxy, CHALLENGE "Content-Length: 4\r\n\r\nbody");
    UNTIL(actor->errors == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_PROXY_AUTHENTICATION_REQUIRED);
    ck_assert(peer_saw_end(proxy)); /* though it has said more than was looked at */
    peer_close(proxy);

    berth_proxy own = {.type = BERTH_PROXY_HTTP,
                       .host = "127.0.0.1",
                       .port = proxy_port,
                       .user = "Aladdin",
                       .password = "open sesame"};
    ck_assert(berth_socket_set_proxy(actor->socket, &own));
    for (int i = 0; i < 2; i++) { /* only the next one */
        ck_assert(berth_socket_connect_to_address(actor->socket, target(), 80));
        proxy = world_accept(proxy_port);
        hears_request(proxy, request, sizeof request);
        ck_assert((strstr(request, CREDENTIALS) != NULL) == (i == 0));
        peer_say(proxy, "HTTP/1.1 200 OK\r\n\r\n");
        UNTIL(actor->connects == (unsigned)i + 1);
        berth_socket_abort(actor->socket);
        peer_close(proxy);
    }
}

static void http_refused_by(const char *answer, berth_error error, const char *text)
{
    struct actor *actor = actor_new("c");
    use_proxy(actor, BERTH_PROXY_HTTP);
    ck_assert(berth_socket_connect_to_address(actor->socket, target(), 80));
    struct peer *proxy = world_accept(proxy_port);
    peer_say(proxy, answer);
    UNTIL(actor->errors == 1);
    ck_assert_int_eq(actor->error, error);
    ck_assert_msg(text_has(actor, text), "%s", berth_socket_error_string(actor->socket));
    ck_assert(text_has(actor, "through the HTTP proxy 127.0.0.1:"));
    peer_close(proxy);
}

CASE(http_refuses, "S6.28 S6.29 S6.30",
     "the status is in the text, and the class says what it means")
{
    world_loop();
    proxy_port = world_listen(20);
    http_refused_by("HTTP/1.1 403 x\r\n\r\n", BERTH_ERROR_SOCKET_ACCESS, "403");
    http_refused_by("HTTP/1.1 405 x\r\n\r\n", BERTH_ERROR_SOCKET_ACCESS, "405");
    http_refused_by("HTTP/1.1 404 x\r\n\r\n", BERTH_ERROR_HOST_NOT_FOUND, "404");
    http_refused_by("HTTP/1.1 503 x\r\n\r\n", BERTH_ERROR_CONNECTION_REFUSED, "503");
    http_refused_by("HTTP/1.1 204 x\r\n\r\n", BERTH_ERROR_PROXY_PROTOCOL, "204");
    http_refused_by("HTTP/1.1 502 x\r\n\r\n", BERTH_ERROR_PROXY_PROTOCOL, "502");
    http_refused_by(CHALLENGE "\r\n", BERTH_ERROR_PROXY_AUTHENTICATION_REQUIRED, "credentials");
    http_refused_by("HTTP/1.1 407 x\r\nProxy-Authenticate: Digest\r\n\r\n",
                    BERTH_ERROR_PROXY_PROTOCOL, "other than Basic");
    http_refused_by("\r\n", BERTH_ERROR_PROXY_PROTOCOL, "HTTP");
    http_refused_by("SSH-2.0-x\r\n", BERTH_ERROR_PROXY_PROTOCOL, "HTTP");
}

/* ---- which proxy ----------------------------------------------------------------------------- */

CASE(proxy_values, "S6.1 S6.2 S6.8", "capabilities, copies, and the proxy of the process")
{
    struct actor *actor = actor_new("c");
    ck_assert_uint_eq(berth_proxy_capabilities(BERTH_PROXY_HTTP) & BERTH_PROXY_CAN_LISTEN, 0);
    ck_assert_uint_ne(berth_proxy_capabilities(BERTH_PROXY_SOCKS5) & BERTH_PROXY_CAN_LISTEN, 0);
    ck_assert_uint_eq(berth_proxy_capabilities((berth_proxy_type)9), 0);
    ck_assert_int_eq(berth_socket_proxy(actor->socket).type, BERTH_PROXY_DEFAULT);
    char host[] = "proxy.example";
    berth_proxy own = {.type = BERTH_PROXY_HTTP, .host = host, .port = 8080, .user = "u"};
    ck_assert(berth_socket_set_proxy(actor->socket, &own));
    host[0] = 'x';
    ck_assert_str_eq(berth_socket_proxy(actor->socket).host, "proxy.example");
    ck_assert_str_eq(berth_socket_proxy(actor->socket).user, "u");
    ck_assert_str_eq(berth_socket_proxy(actor->socket).password, "");
    char longer[BERTH_PROXY_MOST_TEXT + 2];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    own.password = longer;
    ck_assert(!berth_socket_set_proxy(actor->socket, &own));
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert(!berth_proxy_set_application(&own));
    ck_assert_str_eq(berth_socket_proxy(actor->socket).host, "proxy.example");
    ck_assert(berth_socket_set_proxy(actor->socket, NULL));
    ck_assert_int_eq(berth_socket_proxy(actor->socket).type, BERTH_PROXY_DEFAULT);

    berth_proxy_texts texts;
    ck_assert_int_eq(berth_proxy_application(&texts).type, BERTH_PROXY_NONE);
    own.password = "p";
    ck_assert(berth_proxy_set_application(&own));
    berth_proxy kept = berth_proxy_application(&texts);
    ck_assert_int_eq(kept.type, BERTH_PROXY_HTTP);
    ck_assert_str_eq(kept.password, "p");
    ck_assert_ptr_null(berth_proxy_application(NULL).host);
    ck_assert(berth_proxy_set_application(NULL));
    ck_assert_int_eq(berth_proxy_application(NULL).type, BERTH_PROXY_NONE);

    struct host *server = host_listening("h");
    struct peer *peer;
    berth_socket *taken = host_connect(server, "s", &peer)->socket;
    ck_assert_int_eq(berth_socket_proxy(taken).type, BERTH_PROXY_DEFAULT);
}

CASE(proxy_of_the_process_for_sockets, "S6.2 S6.3 S6.5",
     "used for all but loopback targets, unless the socket has one of its own; NONE is one")
{
    struct actor *actor = client_of(BERTH_PROXY_DEFAULT);
    berth_proxy shared = {.type = BERTH_PROXY_SOCKS5, .host = "127.0.0.1", .port = proxy_port};
    ck_assert(berth_proxy_set_application(&shared));
    ck_assert(berth_socket_connect_to_address(actor->socket, target(), 80));
    struct peer *proxy = world_accept(proxy_port);
    SAYS(proxy, "\5\0" REPLY);
    UNTIL(actor->connects == 1);
    berth_socket_abort(actor->socket);

    struct host *server = host_listening("h");
    server->takes = true;
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, server->port));
    UNTIL(actor->connects == 2 && server->count == 1);
    berth_socket_abort(actor->socket);

    use_proxy(actor, BERTH_PROXY_SOCKS5); /* its own goes for loopback targets too */
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, server->port));
    proxy = world_accept(proxy_port);
    SAYS(proxy, "\5\0" REPLY);
    UNTIL(actor->connects == 3);
    berth_socket_abort(actor->socket);

    use_proxy(actor, BERTH_PROXY_NONE);
    ck_assert(!berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_BROADCAST, 80) ||
              strstr(berth_socket_error_string(actor->socket), "proxy") == NULL);
    berth_socket_abort(actor->socket);
    ck_assert(berth_proxy_set_application(NULL));
}

static berth_proxy shared_proxy;

CASE(process_proxy_and_localhost, "S6.3",
     "names of this host are not given to the proxy of the process")
{
    static const char *const names[] = {"localhost", "localhost.localdomain"};
    static const struct name_entry table[] = {{.name = NULL}};
    name_server_start(table);
    world_loop();
    proxy_port = world_free_port();
    shared_proxy =
        (berth_proxy){.type = BERTH_PROXY_SOCKS5, .host = "127.0.0.1", .port = proxy_port};
    ck_assert(berth_proxy_set_application(&shared_proxy));
    for (size_t i = 0; i < 2; i++) {
        struct actor *actor = actor_new("c");
        berth_socket_connect_to_host(actor->socket, names[i], 1);
        UNTIL(actor->errors == 1);
        ck_assert(!text_has(actor, "proxy"));
        actor_free_socket(actor);
    }
    ck_assert(berth_proxy_set_application(NULL));
    world_free_loop();
    name_server_stop();
}
