#include <stdio.h>

#include <berth/berth.h>

static void greet(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.disconnected = berth_socket_free_in_handler};
    berth_socket *socket = berth_server_next_pending_connection(server);
    if (!socket)
        return;
    berth_socket_set_handlers(socket, &handlers, user);
    berth_socket_write(socket, "hello\n", 6);
    berth_socket_disconnect_from_host(socket);
}

int main(void)
{
    static const berth_server_handlers handlers = {.new_connection = greet};
    berth_server *server = berth_server_new(NULL, &handlers, NULL);
    if (!server || !berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0)) {
        fprintf(stderr, "%s\n", berth_server_error_string(server));
        return 1;
    }
    printf("saying hello on port %u\n", berth_server_port(server));
    fflush(stdout);
    return berth_loop_run(NULL);
}
