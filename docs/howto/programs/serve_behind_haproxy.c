/*
 * A server behind a balancer, which puts a PROXY header before the bytes of each client. The
 * program also plays the balancer: a client of 192.0.2.7, a health check, and somebody who connects
 * without a header and is not served. The exit status is 0 if each was treated as it should be.
 */
#include <stdio.h>
#include <string.h>

#include <berth/berth.h>

static int served;
static bool knows_client;

/* ---- the server ------------------------------------------------------------------------------ */

static void answer(berth_socket *socket, void *user)
{
    char client[BERTH_ADDRESS_TEXT_SIZE], balancer[BERTH_ADDRESS_TEXT_SIZE];
    (void)user;
    if (!berth_socket_can_read_line(socket))
        return;
    berth_address_format(berth_socket_peer_address(socket), client, sizeof client);
    berth_address_format(berth_socket_transport_peer_address(socket), balancer, sizeof balancer);
    printf("a request of %s, through %s\n", client, balancer);
    knows_client |= strcmp(client, "192.0.2.7") == 0;
    served++;
    berth_socket_disconnect_from_host(socket);
}

static void take(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.ready_read = answer,
                                                   .disconnected = berth_socket_free_in_handler};
    berth_socket *socket = berth_server_next_pending_connection(server);
    (void)user;
    if (socket)
        berth_socket_set_handlers(socket, &handlers, NULL);
}

static bool listen_behind_balancer(berth_server *server)
{
    berth_subnet balancers; /* nobody else may say who he is */
    return berth_subnet_parse("127.0.0.0/8", &balancers) &&
           berth_server_set_proxy_protocol(server, &balancers, 1, 1000 /* ms */) &&
           berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0);
}

/* ---- the balancer ---------------------------------------------------------------------------- */

static void ask(berth_socket *socket, void *user)
{
    (void)user;
    berth_socket_write(socket, "hello\n", 6);
}

static void connect_to(berth_server *server, const berth_proxy_header *header, bool speaks)
{
    static const berth_socket_handlers asking = {.connected = ask,
                                                 .disconnected = berth_socket_free_in_handler};
    static const berth_socket_handlers silent = {.disconnected = berth_socket_free_in_handler};
    berth_socket *socket = berth_socket_new(NULL, speaks ? &asking : &silent, NULL);
    if (header)
        berth_socket_set_proxy_header(socket, header);
    berth_socket_connect_to_address(socket, BERTH_ADDRESS_LOOPBACK, berth_server_port(server));
}

int main(void)
{
    static const berth_server_handlers handlers = {.new_connection = take};
    berth_server *server = berth_server_new(NULL, &handlers, NULL);
    if (!server || !listen_behind_balancer(server)) {
        fprintf(stderr, "%s\n", berth_server_error_string(server));
        return 1;
    }

    berth_proxy_header of_client = {.version = 2, .source_port = 50124, .destination_port = 443};
    berth_proxy_header of_check = {.version = 2}; /* no addresses: the balancer's own connection */
    berth_address_parse("192.0.2.7", &of_client.source);
    berth_address_parse("192.0.2.80", &of_client.destination);
    connect_to(server, &of_client, true);
    connect_to(server, &of_check, true);
    connect_to(server, NULL, false);

    berth_server_counts counts = {0};
    for (int turns = 0; turns < 1000 && (served < 2 || counts.rejected_header < 1); turns++) {
        berth_loop_turn(NULL, 100);
        berth_server_statistics(server, &counts);
    }
    printf("closed without a header: %d\n", (int)counts.rejected_header);
    berth_loop_free(berth_loop_current());
    return served == 2 && knows_client && counts.rejected_header == 1 ? 0 : 1;
}
