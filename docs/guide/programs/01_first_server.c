/*
 * A first server: it echoes what a client sends, and frees its socket when the client ends the
 * connection. The client is a second socket in the same loop. It sends one line, compares the
 * answer with it, and ends the connection. The exit status is 0 if they were equal.
 */
#include <stdio.h>
#include <string.h>

#include <berth/berth.h>

static const char line[] = "Is anybody on board?\n";

/* ---- the server ------------------------------------------------------------------------------ */

static void echo(berth_socket *socket, void *user)
{
    (void)user;
    char bytes[4096];
    ptrdiff_t count;
    while ((count = berth_socket_read(socket, bytes, sizeof(bytes))) > 0)
        berth_socket_write(socket, bytes, (size_t)count);
}

static void take(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.ready_read = echo,
                                                   .disconnected = berth_socket_free_in_handler};
    berth_socket *socket = berth_server_next_pending_connection(server);
    if (!socket)
        return;
    berth_socket_set_handlers(socket, &handlers, user);
}

/* ---- the client ------------------------------------------------------------------------------ */

static void ask(berth_socket *socket, void *user)
{
    (void)user;
    berth_socket_write(socket, line, sizeof(line) - 1);
}

static void compare(berth_socket *socket, void *user)
{
    bool *same = user;
    char answer[sizeof(line)];
    if (!berth_socket_can_read_line(socket))
        return; /* the rest has not arrived yet */
    berth_socket_read_line(socket, answer, sizeof(answer));
    *same = strcmp(answer, line) == 0;
    printf("the server says: %s", answer);
    berth_socket_disconnect_from_host(socket);
}

static void stop(berth_socket *socket, void *user)
{
    (void)user;
    berth_loop_stop(berth_socket_loop(socket), 0);
}

static void report(berth_socket *socket, berth_error error, void *user)
{
    (void)error;
    (void)user;
    fprintf(stderr, "%s\n", berth_socket_error_string(socket));
    berth_loop_stop(berth_socket_loop(socket), 1);
}

int main(void)
{
    static const berth_server_handlers serving = {.new_connection = take};
    static const berth_socket_handlers asking = {
        .connected = ask, .ready_read = compare, .disconnected = stop, .error_occurred = report};
    bool same = false;

    berth_loop *loop = berth_loop_new(NULL);
    berth_server *server = berth_server_new(loop, &serving, NULL);
    berth_socket *client = berth_socket_new(loop, &asking, &same);
    if (!loop || !server || !client) { /* the error of NULL is that of errno */
        fprintf(stderr, "cannot make a server and a client: %s\n", berth_server_error_string(NULL));
        return 1;
    }
    if (!berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0)) {
        fprintf(stderr, "%s\n", berth_server_error_string(server));
        return 1;
    }
    printf("listening on port %u\n", berth_server_port(server));
    berth_socket_connect_to_address(client, BERTH_ADDRESS_LOOPBACK, berth_server_port(server));

    int status = berth_loop_run(loop);
    berth_loop_free(loop); /* also frees the server and both sockets */
    return status == 0 && same ? 0 : 1;
}
