/*
 * A server behind a balancer, a SOCKS5 proxy, and a client that connects through the proxy. The
 * proxy is a small one that supports CONNECT only. It is also the balancer: before the client's
 * bytes it sends a PROXY header with the client's address. The exit status is 0 if the server used
 * that address, and the client got its answer.
 */
#include <stdio.h>
#include <string.h>

#include <berth/berth.h>

static uint16_t server_port;
static int result = 1;

/* ---- the server ------------------------------------------------------------------------------ */

static void greet(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.disconnected = berth_socket_free_in_handler};
    char client[BERTH_ADDRESS_TEXT_SIZE];
    char text[128];
    berth_socket *socket = berth_server_next_pending_connection(server);
    berth_address_format(berth_socket_peer_address(socket), client, sizeof client);
    int length = snprintf(text, sizeof text, "hello, %s\n", client);
    (void)user;
    berth_socket_set_handlers(socket, &handlers, NULL);
    berth_socket_write(socket, text, (size_t)length);
    berth_socket_disconnect_from_host(socket);
}

/* ---- the proxy: greeting, request, then bytes in both directions ----------------------------- */

typedef struct tunnel {
    berth_socket *client;
    berth_socket *server;
    bool greeted;
    bool asked;
} tunnel;

static tunnel only; /* this proxy has one connection only */

static void pass_on(berth_socket *from, void *to)
{
    size_t size;
    const void *bytes = berth_socket_view(from, &size);
    berth_socket_write(to, bytes, size);
    berth_socket_skip(from, size);
}

static void end_other(berth_socket *from, void *to)
{
    (void)from;
    berth_socket_disconnect_from_host(to);
}

static void reach_server(void)
{
    static const berth_socket_handlers handlers = {.ready_read = pass_on,
                                                   .disconnected = end_other};
    berth_proxy_header header = {.version = 2, .source_port = 56324, .destination_port = 80};
    berth_proxy none = {.type = BERTH_PROXY_NONE};
    berth_address_parse("192.0.2.7", &header.source);
    berth_address_parse("192.0.2.80", &header.destination);
    only.server = berth_socket_new(NULL, &handlers, only.client);
    berth_socket_set_proxy(only.server, &none);
    berth_socket_set_proxy_header(only.server, &header);
    berth_socket_connect_to_address(only.server, BERTH_ADDRESS_LOOPBACK, server_port);
}

static void negotiate(berth_socket *client, void *user)
{
    uint8_t bytes[64];
    (void)user;
    if (!only.greeted && berth_socket_bytes_available(client) >= 3) {
        berth_socket_skip(client, 3);
        berth_socket_write(client, "\5\0", 2);
        only.greeted = true;
    }
    ptrdiff_t size = berth_socket_peek(client, bytes, sizeof bytes);
    if (!only.greeted || only.asked || size < 5 || size < 5 + bytes[4] + 2)
        return;
    printf("request to the proxy: %.*s\n", (int)bytes[4], (const char *)bytes + 5);
    berth_socket_skip(client, 5u + bytes[4] + 2u);
    berth_socket_write(client, "\5\0\0\1\0\0\0\0\0\0", 10);
    only.asked = true;
    reach_server();
}

static void serve_client(berth_server *proxy, void *user)
{
    static const berth_socket_handlers handlers = {.ready_read = negotiate};
    (void)user;
    only.client = berth_server_next_pending_connection(proxy);
    berth_socket_set_handlers(only.client, &handlers, NULL);
}

/* ---- the client ------------------------------------------------------------------------------ */

static void read_answer(berth_socket *socket, void *user)
{
    char line[128];
    (void)user;
    if (!berth_socket_can_read_line(socket))
        return;
    berth_socket_read_line(socket, line, sizeof line);
    printf("answer to the client: %s", line);
    result = strcmp(line, "hello, 192.0.2.7\n") != 0;
    berth_loop_stop(NULL, 0);
}

static void fail(berth_socket *socket, berth_error error, void *user)
{
    (void)user;
    if (error == BERTH_ERROR_REMOTE_HOST_CLOSED)
        return;
    fprintf(stderr, "%s\n", berth_socket_error_string(socket));
    berth_loop_stop(NULL, 0);
}

static bool listen_on_any_port(berth_server *server)
{
    if (berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0))
        return true;
    fprintf(stderr, "%s\n", berth_server_error_string(server));
    return false;
}

int main(void)
{
    static const berth_server_handlers server_handlers = {.new_connection = greet};
    static const berth_server_handlers proxy_handlers = {.new_connection = serve_client};
    static const berth_socket_handlers client_handlers = {.ready_read = read_answer,
                                                          .error_occurred = fail};
    berth_subnet balancers;
    berth_server *server = berth_server_new(NULL, &server_handlers, NULL);
    berth_server *proxy = berth_server_new(NULL, &proxy_handlers, NULL);
    berth_socket *client = berth_socket_new(NULL, &client_handlers, NULL);
    if (!server || !proxy || !client) {
        fprintf(stderr, "cannot make two servers and a client: %s\n",
                berth_server_error_string(NULL));
        return 1;
    }
    berth_subnet_parse("127.0.0.0/8", &balancers);
    if (!berth_server_set_proxy_protocol(server, &balancers, 1, 1000)) {
        fprintf(stderr, "%s\n", berth_server_error_string(server));
        return 1;
    }
    if (!listen_on_any_port(server) || !listen_on_any_port(proxy))
        return 1;
    server_port = berth_server_port(server);

    berth_proxy way = {
        .type = BERTH_PROXY_SOCKS5, .host = "127.0.0.1", .port = berth_server_port(proxy)};
    berth_proxy_set_application(&way);
    berth_socket_connect_to_host(client, "fortune.example", 80);
    berth_loop_run(NULL);
    berth_loop_free(berth_loop_current());
    return result;
}
