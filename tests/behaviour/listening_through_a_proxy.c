/*
 * Servers through a SOCKS5 proxy that the case plays: what BIND asks for, when a connection counts
 * as come, and how listening goes on and ends.
 *
 * Listening waits for the proxy, so what it says first is waiting for it (world_greet).
 */
#include "scene.h"
#include "toy_engine.h"

#include "balance.h"
#include "base/fault.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BOUND "\5\0\0\1\x0a\0\0\1\x23\x28"  /* 10.0.0.1:9000 */
#define COME "\5\0\0\1\xc6\x33\x64\7\xdc\4" /* 198.51.100.7:56324 */
#define ASKED "\5\1\0\5\2\0\1\0\0\0\0"      /* and two bytes of the port */

static uint16_t proxy_port;

static void hears_bytes(struct peer *proxy, const char *bytes, size_t size)
{
    char got[64];
    ck_assert_uint_eq(peer_receive(proxy, got, size), size);
    ck_assert_mem_eq(got, bytes, size);
}

#define HEARS(proxy, bytes) hears_bytes(proxy, bytes, sizeof(bytes) - 1)
#define SAYS(proxy, bytes) peer_send(proxy, bytes, sizeof(bytes) - 1)
#define GREET(bytes) world_greet(proxy_port, bytes, sizeof(bytes) - 1)

static void use_proxy(struct host *host)
{
    berth_proxy proxy = {.type = BERTH_PROXY_SOCKS5, .host = "127.0.0.1", .port = proxy_port};
    ck_assert(berth_server_set_proxy(host->server, &proxy));
}

static struct host *host_through_proxy(void)
{
    world_loop();
    proxy_port = world_listen(10);
    struct host *host = host_new("h");
    use_proxy(host);
    return host;
}

/* A host that listens at 10.0.0.1:9000, and the proxy's side of its BIND. */
static struct host *host_bound(struct peer **ret_proxy)
{
    struct host *host = host_through_proxy();
    GREET("\5\0" BOUND);
    ck_assert_msg(berth_server_listen(host->server, BERTH_ADDRESS_ANY, 9000), "%s",
                  berth_server_error_string(host->server));
    *ret_proxy = world_accept(proxy_port);
    HEARS(*ret_proxy, ASKED "\x23\x28");
    return host;
}

static bool text_has(struct host *host, const char *part)
{
    return strstr(berth_server_error_string(host->server), part) != NULL;
}

CASE(listen_through_socks5, "S6.9 S6.11 S6.12 S6.13 S6.17 S6.20 Q10",
     "listening at what the first reply says; a connection comes with the second, never before")
{
    struct peer *proxy;
    struct host *host = host_bound(&proxy);
    ck_assert(berth_server_is_listening(host->server));
    ck_assert_uint_eq(berth_server_port(host->server), 9000);
    ck_assert(
        berth_address_equal(berth_server_address(host->server), berth_address_ipv4(0x0a000001)));
    ck_assert_int_eq(berth_server_descriptor(host->server), -1);
    ck_assert(!berth_server_listen(host->server, BERTH_ADDRESS_ANY, 0));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_OPERATION);
    world_settle();
    peer_send(proxy, COME, 4);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 0);
    peer_send(proxy, &COME[4], 6);
    struct actor *actor = host_take_actor(host, "s");
    ck_assert(berth_address_equal(berth_socket_peer_address(actor->socket),
                                  berth_address_ipv4(0xc6336407)));
    ck_assert_uint_eq(berth_socket_peer_port(actor->socket), 56324);
    ck_assert(berth_address_equal(berth_socket_local_address(actor->socket),
                                  berth_address_ipv4(0x0a000001)));
    ck_assert_uint_eq(berth_socket_local_port(actor->socket), 9000);
    peer_say(proxy, "hello");
    UNTIL(actor_has(actor, "hello"));
    actor_say(actor, "welcome");
    ck_assert(peer_hears(proxy, "welcome"));
}

CASE(listen_through_socks5_after_a_path, "S6.16 local.h",
     "a connection is one of TCP, though the server has listened on a Unix socket before")
{
    world_loop();
    proxy_port = world_listen(10);
    struct host *host = host_new("h");
    const char *path = world_path("socket");
    ck_assert(berth_server_listen_local(host->server, path, NULL));
    world_connect_local(path);
    berth_socket_free(host_take(host));
    berth_server_close(host->server);
    use_proxy(host);
    GREET("\5\0" BOUND);
    ck_assert(berth_server_listen(host->server, BERTH_ADDRESS_ANY, 9000));
    struct peer *proxy = world_accept(proxy_port);
    HEARS(proxy, ASKED "\x23\x28");
    SAYS(proxy, COME);
    struct actor *actor = host_take_actor(host, "s");
    ck_assert(berth_socket_set_option(actor->socket, BERTH_OPTION_LOW_DELAY, 1));
    peer_say(proxy, "hello");
    UNTIL(actor_has(actor, "hello"));
}

CASE(one_bind_after_another, "S6.16 S6.19",
     "each connection is followed by a BIND for the same port, and listening goes on")
{
    struct peer *proxy;
    struct host *host = host_bound(&proxy);
    for (unsigned round = 1; round <= 5; round++) {
        SAYS(proxy, COME "data");
        struct actor *actor = host_take_actor(host, "s");
        UNTIL(actor_has(actor, "data"));
        ck_assert(berth_server_is_listening(host->server));
        ck_assert_uint_eq(berth_server_port(host->server), 9000);
        proxy = world_accept(proxy_port);
        HEARS(proxy, ASKED "\x23\x28");
        ck_assert_uint_eq(host->new_connections, round);
    }
    ck_assert_uint_eq(host->accept_errors, 0);
}

CASE(encrypting_through_a_proxy, "S6.16 tls.h",
     "the hello follows the second reply; the peer is whom the proxy has named")
{
    struct peer *proxy;
    struct host *host = host_bound(&proxy);
    struct toy *toy = toy_new(true);
    ck_assert(berth_server_set_tls(host->server, &toy->tls));
    berth_tls_release(&toy->tls);
    SAYS(proxy, COME);
    uint8_t bytes[512];
    peer_send(proxy, bytes, toy_hello("name", NULL, bytes));
    ck_assert_uint_eq(peer_receive(proxy, bytes, 10), 10);
    ck_assert_int_eq(bytes[0], 's');
    ck_assert_uint_eq(host->new_connections, 0);
    peer_send(proxy, bytes, toy_record('c', "client", 6, bytes));
    struct actor *actor = host_take_actor(host, "s");
    ck_assert(berth_socket_is_encrypted(actor->socket));
    ck_assert_uint_eq(berth_socket_peer_port(actor->socket), 56324);
}

CASE(port_is_not_given_again, "S6.16",
     "one accept_error of class ADDRESS_IN_USE, and listening has ended; the connection lives")
{
    struct peer *proxy;
    struct host *host = host_bound(&proxy);
    GREET("\5\0"
          "\5\0\0\1\x0a\0\0\1\x23\x29");
    SAYS(proxy, COME);
    UNTIL(host->accept_errors == 1);
    ck_assert_int_eq(host->error, BERTH_ERROR_ADDRESS_IN_USE);
    ck_assert(text_has(host, "did not assign the same port"));
    ck_assert(text_has(host, "through the SOCKS5 proxy 127.0.0.1:"));
    ck_assert(!berth_server_is_listening(host->server));
    ck_assert_uint_eq(berth_server_port(host->server), 0);
    struct actor *actor = host_take_actor(host, "s");
    peer_say(proxy, "hello");
    UNTIL(actor_has(actor, "hello"));
    world_settle();
    ck_assert_uint_eq(host->accept_errors, 1);
    GREET("\5\0" BOUND);
    ck_assert(berth_server_listen(host->server, BERTH_ADDRESS_ANY, 0));
}

static void listen_again(struct host *host)
{
    ck_assert(!berth_server_is_listening(host->server));
    ck_assert(berth_server_listen(host->server, BERTH_ADDRESS_ANY, 0));
}

CASE(listen_again_inside_accept_error, "S6.16 S6.19",
     "which is where a program that wants to go on does")
{
    struct peer *proxy;
    struct host *host = host_bound(&proxy);
    host->on_accept_error = listen_again;
    SAYS(proxy, "\5\1");
    UNTIL(host->accept_errors == 1);
    ck_assert(berth_server_is_listening(host->server));
    UNTIL(peer_saw_either(proxy));
    proxy = world_accept(proxy_port);
    HEARS(proxy, ASKED "\0\0");
    SAYS(proxy, COME);
    host_take_actor(host, "s");
}

CASE(second_reply_refuses, "S6.19", "PROXY_PROTOCOL, a wait returns true, no longer listening")
{
    struct peer *proxy;
    struct host *host = host_bound(&proxy);
    peer_send_some(proxy, "\5\5", 2);
    bool timed_out = true;
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, &timed_out));
    ck_assert(!timed_out);
    ck_assert_uint_eq(host->accept_errors, 1);
    ck_assert_int_eq(host->error, BERTH_ERROR_PROXY_PROTOCOL);
    ck_assert(text_has(host, "connection refused"));
    ck_assert(!berth_server_is_listening(host->server));
    ck_assert(!berth_server_has_pending_connections(host->server));
}

CASE(proxy_ends_the_bind, "S6.14 S6.19 Q11", "no dead connection, but one accept_error")
{
    struct peer *proxy;
    struct host *host = host_bound(&proxy);
    peer_close(proxy);
    UNTIL(host->accept_errors == 1);
    ck_assert_int_eq(host->error, BERTH_ERROR_PROXY_CONNECTION_CLOSED);
    ck_assert(!berth_server_is_listening(host->server));
    ck_assert_uint_eq(host->new_connections, 0);
}

static void listen_fails(struct host *host, berth_error error, const char *text)
{
    ck_assert(!berth_server_listen(host->server, BERTH_ADDRESS_ANY, 0));
    ck_assert_msg(berth_server_error(host->server) == error && text_has(host, text), "%s",
                  berth_server_error_string(host->server));
    ck_assert(text_has(host, "through the SOCKS5 proxy"));
    ck_assert(!berth_server_is_listening(host->server));
    ck_assert_uint_eq(berth_server_port(host->server), 0);
}

CASE(listening_is_refused, "S1.22 S6.12 S6.14 S6.20 Q18",
     "each way has its class, and none waits for a time-out")
{
    struct host *host = host_through_proxy();
    GREET("\5\0\5\7");
    listen_fails(host, BERTH_ERROR_UNSUPPORTED_OPERATION, "command not supported");
    GREET("\5\0\5\2");
    listen_fails(host, BERTH_ERROR_SOCKET_ACCESS, "not allowed");
    GREET("\5\377");
    listen_fails(host, BERTH_ERROR_PROXY_AUTHENTICATION_REQUIRED, "credentials");
    GREET("\5\2");
    listen_fails(host, BERTH_ERROR_SOCKET_ACCESS, "not offered");
    GREET("HTTP/1.0 400 Bad Request\r\n\r\n");
    listen_fails(host, BERTH_ERROR_PROXY_PROTOCOL, "SOCKS version 5");
    GREET("\5\0\5\0\0\3\4name\0\1");
    listen_fails(host, BERTH_ERROR_PROXY_PROTOCOL, "SOCKS version 5");
    ck_assert_uint_eq(host->accept_errors, 0);
    world_unlisten(proxy_port);
    proxy_port = world_free_port();
    use_proxy(host);
    listen_fails(host, BERTH_ERROR_PROXY_CONNECTION_REFUSED, "connection refused");
}

CASE(listening_at_a_silent_proxy, "S6.9", "five seconds in all")
{
    if (!world_is_simulated())
        case_skip("it takes five seconds of real time");
    struct host *host = host_through_proxy();
    uint64_t begin = berth_loop_now(world_loop());
    GREET("\5\0");
    listen_fails(host, BERTH_ERROR_SOCKET_TIMEOUT, "did not answer in time");
    ck_assert_uint_ge(berth_loop_now(world_loop()) - begin, 5000);
}

CASE(next_bind_is_never_answered, "S6.9 S6.19", "five seconds, then one accept_error")
{
    if (!world_is_simulated())
        case_skip("it takes five seconds of real time");
    struct peer *proxy;
    struct host *host = host_bound(&proxy);
    GREET("\5\0");
    SAYS(proxy, COME);
    UNTIL(host->new_connections == 1);
    bool timed_out;
    ck_assert(berth_server_wait_for_new_connection(host->server, 60000, &timed_out));
    ck_assert_int_eq(host->error, BERTH_ERROR_SOCKET_TIMEOUT);
    ck_assert(!berth_server_is_listening(host->server));
}

CASE(wait_through_a_proxy, "S4.10 S6.15 Q11 Q22",
     "without a loop; both replies in one segment; the time has not passed, and that is said")
{
    struct host *host = host_through_proxy();
    GREET("\5\0" BOUND COME "early");
    ck_assert(berth_server_listen(host->server, BERTH_ADDRESS_ANY, 0));
    bool timed_out = true;
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, &timed_out));
    ck_assert(!timed_out);
    berth_socket *socket = berth_server_next_pending_connection(host->server);
    ck_assert_ptr_nonnull(socket);
    ck_assert_uint_eq(berth_socket_peer_port(socket), 56324);
    while (berth_socket_bytes_available(socket) < 5)
        ck_assert(berth_socket_wait_for_ready_read(socket, 5000));
    char bytes[8];
    ck_assert_int_eq(berth_socket_read(socket, bytes, sizeof bytes), 5);
    ck_assert_mem_eq(bytes, "early", 5);
}

CASE(wait_through_a_proxy_times_out, "S6.15 Q22", "class SOCKET_TIMEOUT, and listening goes on")
{
    struct peer *proxy;
    struct host *host = host_bound(&proxy);
    bool timed_out = false;
    ck_assert(!berth_server_wait_for_new_connection(host->server, 10, &timed_out));
    ck_assert(timed_out);
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_SOCKET_TIMEOUT);
    SAYS(proxy, COME);
    host_take_actor(host, "s");
}

CASE(pause_through_a_proxy, "S6.19",
     "a peer waits at the proxy while the server is paused, or full")
{
    struct peer *proxy;
    struct host *host = host_bound(&proxy);
    berth_server_pause_accepting(host->server);
    SAYS(proxy, COME);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 0);
    berth_server_resume_accepting(host->server);
    ck_assert_uint_eq(host->new_connections, 0);
    UNTIL(host->new_connections == 1);

    berth_server_set_max_pending_connections(host->server, 1);
    proxy = world_accept(proxy_port);
    SAYS(proxy, COME);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 1);
    host_take_actor(host, "s");
    UNTIL(host->new_connections == 2);
}

CASE(close_through_a_proxy, "S6.18", "ends the BIND; connections that were taken live on")
{
    struct peer *proxy;
    struct host *host = host_bound(&proxy);
    SAYS(proxy, COME);
    struct actor *actor = host_take_actor(host, "s");
    struct peer *next = world_accept(proxy_port);
    HEARS(next, ASKED "\x23\x28");
    berth_server_close(host->server);
    ck_assert(!berth_server_is_listening(host->server));
    UNTIL(peer_saw_either(next));
    peer_say(proxy, "hello");
    UNTIL(actor_has(actor, "hello"));
    ck_assert(berth_server_listen(host->server, BERTH_ADDRESS_ANY, 9000));
    berth_server_free(host->server);
    UNTIL(peer_saw_either(proxy));
}

static void close_host(struct host *host)
{
    berth_server_close(host->server);
}

static void free_host(struct host *host)
{
    berth_server_free(host->server);
    host->server = NULL;
}

CASE(close_inside_new_connection_through_a_proxy, "S6.18",
     "close and free where the connection is announced")
{
    struct peer *proxy;
    struct host *host = host_bound(&proxy);
    host->on_new_connection = close_host;
    SAYS(proxy, COME);
    UNTIL(host->new_connections == 1);
    ck_assert(!berth_server_is_listening(host->server));
    host->on_new_connection = free_host;
    ck_assert(berth_server_listen(host->server, BERTH_ADDRESS_ANY, 9000));
    proxy = world_accept(proxy_port); /* of the BIND that was closed */
    proxy = world_accept(proxy_port);
    SAYS(proxy, COME);
    UNTIL(host->server == NULL);
}

CASE(free_inside_accept_error_through_a_proxy, "S6.19", "where listening has ended")
{
    struct peer *proxy;
    struct host *host = host_bound(&proxy);
    host->on_accept_error = free_host;
    peer_close(proxy);
    UNTIL(host->server == NULL);
}

static int handed = -1;

static void hand_over(berth_server *server, int descriptor, void *user)
{
    (void)server;
    (void)user;
    handed = world_note(descriptor);
}

CASE(descriptor_through_a_proxy, "S6.13 S1.43",
     "whoever gets it finds every byte behind the second reply")
{
    static const berth_server_handlers handlers = {.incoming_connection = hand_over};
    world_loop();
    proxy_port = world_listen(10);
    berth_server *server = berth_server_new(world_loop(), &handlers, NULL);
    ck_assert_ptr_nonnull(server);
    berth_proxy own = {.type = BERTH_PROXY_SOCKS5, .host = "127.0.0.1", .port = proxy_port};
    ck_assert(berth_server_set_proxy(server, &own));
    GREET("\5\0" BOUND COME "all of it");
    ck_assert(berth_server_listen(server, BERTH_ADDRESS_ANY, 0));
    UNTIL(handed >= 0);
    berth_server_free(server);
    struct actor *actor = actor_new("s");
    ck_assert(berth_socket_set_descriptor(actor->socket, handed));
    UNTIL(actor_has(actor, "all of it"));
}

CASE(which_proxy_a_server_uses, "S1.22 S6.4 S6.5 S6.8",
     "none on loopback; its own, NONE included; else that of the process; HTTP never")
{
    struct host *host = host_new("h");
    berth_proxy http = {.type = BERTH_PROXY_HTTP, .host = "127.0.0.1", .port = 3128};
    berth_proxy none = {.type = BERTH_PROXY_NONE};
    ck_assert(berth_server_set_proxy(host->server, &http));
    ck_assert(!berth_server_listen(host->server, BERTH_ADDRESS_ANY, 0));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert(text_has(host, "an HTTP proxy cannot listen"));
    ck_assert(berth_server_listen(host->server, BERTH_ADDRESS_LOOPBACK, 0));
    berth_server_close(host->server);

    ck_assert(berth_proxy_set_application(&http));
    ck_assert(berth_server_set_proxy(host->server, NULL));
    ck_assert(!berth_server_listen(host->server, BERTH_ADDRESS_ANY_IPV4, 0));
    ck_assert(text_has(host, "an HTTP proxy cannot listen"));
    ck_assert(berth_server_set_proxy(host->server, &none));
    ck_assert(berth_server_listen(host->server, BERTH_ADDRESS_ANY_IPV4, 0));
    berth_server_close(host->server);
    ck_assert(berth_proxy_set_application(NULL));
    ck_assert(berth_server_set_proxy(host->server, NULL));
    ck_assert(berth_server_listen(host->server, BERTH_ADDRESS_ANY_IPV4, 0));
}

CASE(no_memory_while_listening_through_a_proxy, "reliability 13",
     "the n-th allocation fails, for every n: an error, and the server can listen again")
{
    struct host *host = host_through_proxy();
    bool listens = false;
    unsigned failures = 0;
    GREET("\5\0" BOUND);
    for (long n = 0; n < 30 && !listens; n++) {
        berth__fault_set_memory(n, 1);
        listens = berth_server_listen(host->server, BERTH_ADDRESS_ANY, 0);
        failures += berth__fault_memory_failed() > 0 && !listens;
        berth__fault_clear();
        if (!listens)
            ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_SOCKET_RESOURCE);
    }
    ck_assert(listens);
    ck_assert_uint_ge(failures, 2);
}

/* What the backends begin a watch with. */
static const char *call_of_watch(void)
{
    const char *backend = berth_loop_backend_name(world_loop());
    return strcmp(backend, "io_uring") == 0 ? "fcntl" : "epoll_ctl";
}

CASE(no_watch_for_the_peer_of_a_bind, "design 3.8",
     "one accept_error, retries that become rare, no endless loop when a descriptor is closed")
{
    struct host *other = host_listening("o");
    struct peer *other_peer;
    struct actor *actor = host_connect(other, "s", &other_peer);
    struct host *host = host_through_proxy();
    berth_server_pause_accepting(host->server);
    GREET("\5\0" BOUND);
    ck_assert(berth_server_listen(host->server, BERTH_ADDRESS_ANY, 9000));
    struct peer *proxy = world_accept(proxy_port);
    berth__fault_set_system(0, LONG_MAX, ENOMEM, call_of_watch());
    berth_server_resume_accepting(host->server);
    berth_socket_free(actor->socket);
    UNTIL(host->accept_errors == 1);
    ck_assert_int_eq(host->error, BERTH_ERROR_SOCKET_RESOURCE);
    world_settle();
    ck_assert_int_lt(berth__fault_system_failed(), 100);
    ck_assert_uint_eq(host->accept_errors, 1);
    ck_assert(berth_server_is_listening(host->server));
    berth__fault_clear();
    SAYS(proxy, COME);
    UNTIL(host->new_connections == 1);
}

/* The descriptor that is connected with the proxy. */
static int descriptor_to_proxy(void)
{
    for (int descriptor = 3; descriptor < 1000; descriptor++) {
        struct sockaddr_in name = {0};
        socklen_t length = sizeof name;
        if (getpeername(descriptor, (struct sockaddr *)(void *)&name, &length) == 0 &&
            name.sin_family == AF_INET && ntohs(name.sin_port) == proxy_port)
            return descriptor;
    }
    return -1;
}

static int option_of(int descriptor, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    ck_assert_int_eq(getsockopt(descriptor, level, name, &value, &length), 0);
    return value;
}

CASE(proxy_is_asked_whether_it_lives, "S6.19",
     "while a peer is waited for; the connection that comes of it has its own options")
{
    if (world_is_simulated())
        case_skip("the simulated kernel asks no questions");
    struct peer *proxy;
    struct host *host = host_bound(&proxy);
    int descriptor = descriptor_to_proxy();
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(option_of(descriptor, SOL_SOCKET, SO_KEEPALIVE), 1);
    ck_assert_int_le(option_of(descriptor, IPPROTO_TCP, TCP_KEEPIDLE) +
                         option_of(descriptor, IPPROTO_TCP, TCP_KEEPINTVL) *
                             option_of(descriptor, IPPROTO_TCP, TCP_KEEPCNT),
                     60);
    SAYS(proxy, COME);
    struct actor *actor = host_take_actor(host, "s");
    int fresh = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int idle = option_of(fresh, IPPROTO_TCP, TCP_KEEPIDLE);
    close(fresh);
    int value = -1;
    ck_assert(berth_socket_get_option(actor->socket, BERTH_OPTION_KEEP_ALIVE, &value));
    ck_assert_int_eq(value, 0);
    ck_assert(berth_socket_get_option(actor->socket, BERTH_OPTION_KEEP_ALIVE_IDLE, &value));
    ck_assert_int_eq(value, idle);
}
