/*
 * A program of version 0.1, kept as it was compiled then: `program-0.1` beside this file. A library
 * that calls itself libberth.so.0 has to run it.
 *
 * It uses what a later library could move under it: each struct whose size travels (handlers,
 * limits, counts, options), the values that lie on its own stack (addresses, subnets, proxies), and
 * numbers of enumerations. Behind each struct that the library fills lies a pattern that it must
 * not touch. Ends with 0 if all is as it was, with 77 if the backend is not to be had; else it says
 * what is not.
 *
 * Do not compile it again: that would test another version. How it was made is in `run`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <berth/berth.h>

#define PATTERN 0x5a

static void check(bool held, const char *what)
{
    if (held)
        return;
    fprintf(stderr, "does not hold any more: %s\n", what);
    exit(1);
}

// Fills a struct and room behind it with the pattern.
static void prepare(void *room, size_t size)
{
    memset(room, PATTERN, size);
}

static bool untouched(const void *room, size_t from, size_t to)
{
    const unsigned char *bytes = room;
    for (size_t i = from; i < to; i++)
        if (bytes[i] != PATTERN)
            return false;
    return true;
}

// ---- an echo in a loop ----

static struct {
    int connections, connected, echoed, ended, states;
    berth_server *server;
    berth_timer *guard;
} seen;

static void echo(berth_socket *socket, void *user)
{
    char bytes[64];
    ptrdiff_t size = berth_socket_read(socket, bytes, sizeof(bytes));
    check(user == &seen, "the user pointer of a socket");
    check(berth_socket_write(socket, bytes, (size_t)size) == size, "writing takes all");
}

static void serve(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.ready_read = echo,
                                                   .disconnected = berth_socket_free_in_handler};
    berth_socket *socket = berth_server_next_pending_connection(server);
    check(user == &seen && socket != NULL, "new_connection and its socket");
    seen.connections++;
    berth_socket_set_handlers(socket, &handlers, &seen);
}

static void speak(berth_socket *socket, void *user)
{
    (void)user;
    seen.connected++;
    check(berth_socket_state(socket) == BERTH_STATE_CONNECTED, "the number of the state CONNECTED");
    check(berth_socket_set_option(socket, BERTH_OPTION_KEEP_ALIVE, 1), "an option");
    check(berth_socket_write(socket, "hello", 5) == 5, "writing");
}

static void hear(berth_socket *socket, void *user)
{
    char bytes[8];
    (void)user;
    if (berth_socket_bytes_available(socket) < 5)
        return;
    check(berth_socket_read(socket, bytes, sizeof(bytes)) == 5 && memcmp(bytes, "hello", 5) == 0,
          "what was echoed");
    seen.echoed++;
    berth_socket_disconnect_from_host(socket);
}

static void changed(berth_socket *socket, berth_state state, void *user)
{
    (void)user;
    check(berth_socket_state(socket) == state, "state_changed says the state");
    seen.states++;
}

static void ended(berth_socket *socket, void *user)
{
    (void)user;
    seen.ended++;
    berth_loop_stop(berth_socket_loop(socket), 7);
}

static void too_late(berth_timer *timer, void *user)
{
    (void)timer, (void)user;
    check(false, "an echo within a minute");
}

static void look_at_counts(berth_loop *loop)
{
    struct {
        berth_server_counts counts;
        unsigned char behind[256];
    } server;
    struct {
        berth_loop_counts counts;
        unsigned char behind[256];
    } turns;
    prepare(&server, sizeof(server));
    prepare(&turns, sizeof(turns));
    berth_server_statistics(seen.server, &server.counts);
    berth_loop_statistics(loop, &turns.counts);
    check(untouched(&server, sizeof(server.counts), sizeof(server)) &&
              untouched(&turns, sizeof(turns.counts), sizeof(turns)),
          "statistics write no more than they were asked for");
    check(server.counts.accepted == 1 && server.counts.taken == 1 && server.counts.failed == 0 &&
              server.counts.rejected_header == 0,
          "the counts of a server");
    check(turns.counts.accepted == 1 && turns.counts.bytes_in == 10 && turns.counts.turns > 0,
          "the counts of a loop");
}

static void limit(berth_server *server)
{
    static const berth_accept_limits accepting = {.per_address = 9, .per_second = 1000};
    static const berth_connection_limits connections = {.idle = 60000, .output = 1 << 20};
    struct {
        berth_connection_limits limits;
        unsigned char behind[256];
    } got;
    berth_server_set_accept_limits(server, &accepting);
    berth_server_set_connection_limits(server, &connections);
    prepare(&got, sizeof(got));
    berth_server_connection_limits(server, &got.limits);
    check(untouched(&got, sizeof(got.limits), sizeof(got)), "limits write no more than asked for");
    check(got.limits.idle == 60000 && got.limits.output == 1 << 20 && got.limits.lifetime == 0,
          "limits as they were set");
}

static void echo_in_a_loop(void)
{
    static const berth_server_handlers serving = {.new_connection = serve};
    static const berth_socket_handlers speaking = {
        .ready_read = hear, .connected = speak, .disconnected = ended, .state_changed = changed};
    static const berth_loop_options options = {0};
    berth_loop *loop = berth_loop_new(&options);
    check(loop != NULL, "making a loop");
    seen.guard = berth_timer_new(loop, too_late, NULL);
    berth_timer_start(seen.guard, 60000, 0);
    seen.server = berth_server_new(loop, &serving, &seen);
    limit(seen.server);
    check(berth_server_listen(seen.server, BERTH_ADDRESS_LOOPBACK, 0), "listening");
    berth_socket *client = berth_socket_new(loop, &speaking, NULL);
    check(berth_socket_connect_to_address(client, BERTH_ADDRESS_LOOPBACK,
                                          berth_server_port(seen.server)),
          "connecting");
    check(berth_loop_run(loop) == 7, "the code of a stop");
    check(seen.connections == 1 && seen.connected == 1 && seen.echoed == 1 && seen.ended == 1 &&
              seen.states >= 3,
          "each handler is called as often as it was");
    look_at_counts(loop);
    berth_loop_free(loop);
}

// ---- without a loop being run ----

static void wait_without_a_loop(void)
{
    berth_server *server = berth_server_new(NULL, NULL, NULL);
    berth_socket *client = berth_socket_new(NULL, NULL, NULL), *taken;
    char byte;
    check(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0), "listening");
    check(!berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0) &&
              berth_server_error(server) == BERTH_ERROR_OPERATION &&
              *berth_server_error_string(server),
          "class and text of listening twice");
    berth_socket_connect_to_host(client, "127.0.0.1", berth_server_port(server));
    check(berth_socket_wait_for_connected(client, 60000), "waiting to be connected");
    check(berth_server_wait_for_new_connection(server, 60000, NULL), "waiting for a connection");
    taken = berth_server_next_pending_connection(server);
    berth_socket_write(taken, "x", 1);
    check(berth_socket_wait_for_bytes_written(taken, 60000), "waiting for output to go");
    berth_socket_disconnect_from_host(taken);
    check(berth_socket_wait_for_ready_read(client, 60000) &&
              berth_socket_read(client, &byte, 1) == 1 && byte == 'x',
          "waiting for input");
    check(berth_socket_wait_for_disconnected(client, 60000) ||
              berth_socket_state(client) == BERTH_STATE_UNCONNECTED,
          "waiting for the end");
    check(berth_socket_error(client) == BERTH_ERROR_REMOTE_HOST_CLOSED, "the class of the end");
    berth_socket_free(client);
    berth_server_free(server);
}

// ---- workers ----

static bool started(berth_worker *worker, void *user)
{
    berth_worker_set_user(worker, user);
    return true;
}

static void greet(berth_worker *worker, berth_socket *socket, void *user)
{
    static const berth_socket_handlers handlers = {.disconnected = berth_socket_free_in_handler};
    check(berth_worker_user(worker) == user && user == &seen, "the user pointer of a worker");
    berth_socket_set_handlers(socket, &handlers, NULL);
    berth_socket_write(socket, "w", 1);
    berth_socket_disconnect_from_host(socket);
}

static void ask_the_workers(void)
{
    static const berth_workers_handlers handlers = {.started = started, .connection = greet};
    berth_workers *workers = berth_workers_new(2, &handlers, &seen);
    berth_socket *client = berth_socket_new(NULL, NULL, NULL);
    char byte = 0;
    check(berth_workers_start(workers) && berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0),
          "workers that listen");
    berth_socket_connect_to_address(client, BERTH_ADDRESS_LOOPBACK, berth_workers_port(workers));
    check(berth_socket_wait_for_connected(client, 60000), "connecting to a worker");
    check(berth_socket_bytes_available(client) > 0 ||
              berth_socket_wait_for_ready_read(client, 60000),
          "waiting for a worker");
    check(berth_socket_read(client, &byte, 1) == 1 && byte == 'w', "a worker's greeting");
    berth_socket_free(client);
    berth_workers_free(workers);
}

// ---- values ----

static void look_at_values(void)
{
    struct {
        berth_address address;
        berth_subnet subnet;
        unsigned char behind[64];
    } room;
    char text[BERTH_ENDPOINT_TEXT_SIZE];
    berth_proxy_texts texts;
    berth_proxy proxy = {.type = BERTH_PROXY_SOCKS5, .port = 1080, .host = "proxy", .user = "u"};
    prepare(&room, sizeof(room));
    check(berth_address_parse("fe80::1%lo", &room.address) &&
              berth_subnet_parse("10/8", &room.subnet) &&
              untouched(&room, offsetof(__typeof__(room), behind), sizeof(room)),
          "parsing writes a value and no more");
    check(berth_subnet_contains(room.subnet, berth_address_ipv4(0x0a010203)), "a subnet");
    check(strcmp(berth_endpoint_format(room.address, 80, text, sizeof(text)), "[fe80::1%lo]:80") ==
              0,
          "the text of an address");
    check(berth_proxy_set_application(&proxy), "setting a proxy");
    proxy = berth_proxy_application(&texts);
    check(proxy.type == BERTH_PROXY_SOCKS5 && proxy.port == 1080 && proxy.host == texts.host &&
              strcmp(texts.host, "proxy") == 0 && strcmp(texts.user, "u") == 0,
          "a proxy as it was set");
    check(berth_proxy_set_application(NULL), "setting no proxy");
    check(strcmp(berth_error_name(BERTH_ERROR_SOCKET_TIMEOUT), "SOCKET_TIMEOUT") == 0,
          "the number of an error");
}

int main(void)
{
    const char *backend = getenv("BERTH_BACKEND");
    char reason[160];
    if (backend && !berth_loop_backend_available(backend, reason, sizeof(reason))) {
        puts(reason);
        return 77;
    }
    look_at_values();
    echo_in_a_loop();
    wait_without_a_loop();
    ask_the_workers();
    printf("the program of %s runs with %s\n", BERTH_VERSION_STRING, berth_version());
    return 0;
}
