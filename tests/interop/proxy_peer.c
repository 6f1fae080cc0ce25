/*
 * The far ends of interop tests with balancers.
 *
 *     proxy_peer SUBNET                         listens on a free port of 127.0.0.1, trusts the
 * PROXY headers of the subnet, and tells whoever connects whose connection it takes this for
 *     proxy_peer --connect PORT VERSION SOURCE PORT DESTINATION PORT
 *                                               connects with such a header, prints what it is told
 *
 * Ends with 1 if anything fails.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <berth/berth.h>

static void serve(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.disconnected = berth_socket_free_in_handler};
    char line[256];
    char texts[2][BERTH_ADDRESS_TEXT_SIZE];
    berth_socket *socket = berth_server_next_pending_connection(server);
    (void)user;
    if (socket == NULL)
        return;
    int length = snprintf(
        line, sizeof line, "%s %u to %s %u\n",
        berth_address_format(berth_socket_peer_address(socket), texts[0], sizeof texts[0]),
        berth_socket_peer_port(socket),
        berth_address_format(berth_socket_local_address(socket), texts[1], sizeof texts[1]),
        berth_socket_local_port(socket));
    berth_socket_set_handlers(socket, &handlers, NULL);
    berth_socket_write(socket, line, (size_t)length);
    berth_socket_disconnect_from_host(socket);
}

static int listen_behind(const char *balancers)
{
    static const berth_server_handlers handlers = {.new_connection = serve};
    berth_subnet subnet;
    berth_server *server = berth_server_new(NULL, &handlers, NULL);
    if (server == NULL || !berth_subnet_parse(balancers, &subnet) ||
        !berth_server_set_proxy_protocol(server, &subnet, 1, 0) ||
        !berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0))
        return 1;
    printf("listening on port %u\n", berth_server_port(server));
    fflush(stdout);
    return berth_loop_run(NULL);
}

static int connect_to(char **argv)
{
    berth_proxy_header header = {.version = atoi(argv[1]),
                                 .source_port = (uint16_t)atoi(argv[3]),
                                 .destination_port = (uint16_t)atoi(argv[5])};
    char line[256];
    berth_socket *socket = berth_socket_new(NULL, NULL, NULL);
    if (socket == NULL || !berth_address_parse(argv[2], &header.source) ||
        !berth_address_parse(argv[4], &header.destination) ||
        !berth_socket_set_proxy_header(socket, &header) ||
        !berth_socket_connect_to_address(socket, BERTH_ADDRESS_LOOPBACK, (uint16_t)atoi(argv[0])) ||
        !berth_socket_wait_for_connected(socket, 5000))
        return 1;
    while (!berth_socket_can_read_line(socket)) {
        if (!berth_socket_wait_for_ready_read(socket, 5000))
            return 1;
    }
    berth_socket_read_line(socket, line, sizeof line);
    fputs(line, stdout);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return listen_behind(argv[1]);
    if (argc == 8 && strcmp(argv[1], "--connect") == 0)
        return connect_to(argv + 2);
    return 1;
}
