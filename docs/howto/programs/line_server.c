/*
 * Sends each line back in capitals. A client that is silent for too long is disconnected; while one
 * does not read its answers, nothing more is read from it.
 */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <berth/berth.h>

enum {
    LINE = 1000,
    LOW = 16 * 1024,
    HIGH = 64 * 1024
};

static void answer(berth_socket *socket, void *user)
{
    char line[LINE + 1];
    (void)user;
    while (berth_socket_can_read_line(socket) || berth_socket_bytes_available(socket) >= LINE) {
        if (berth_socket_room(socket) < LINE)
            return; /* `drained` goes on */
        ptrdiff_t size = berth_socket_read_line(socket, line, sizeof line);
        for (ptrdiff_t at = 0; at < size; at++)
            line[at] = (char)toupper((unsigned char)line[at]);
        berth_socket_write(socket, line, (size_t)size);
    }
}

static void take(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {
        .ready_read = answer, .drained = answer, .disconnected = berth_socket_free_in_handler};
    berth_socket *socket = berth_server_next_pending_connection(server);
    (void)user;
    if (!socket)
        return;
    berth_socket_set_handlers(socket, &handlers, NULL);
    berth_socket_set_read_buffer_size(socket, HIGH);
    berth_socket_set_write_marks(socket, LOW, HIGH);
}

static void stop(berth_signal *signal, void *user)
{
    (void)signal;
    (void)user;
    berth_loop_stop(NULL, 0);
}

int main(int count, char **arguments)
{
    static const berth_server_handlers handlers = {.new_connection = take};
    const berth_connection_limits limits = {.idle = count > 1 ? (uint32_t)atoi(arguments[1])
                                                              : 60000}; /* ms */
    berth_server *server = berth_server_new(NULL, &handlers, NULL);
    if (!server || !berth_signal_new(NULL, SIGTERM, stop, NULL)) {
        fprintf(stderr, "cannot make a server and a signal: %s\n", berth_server_error_string(NULL));
        return 1;
    }
    berth_server_set_connection_limits(server, &limits);
    if (!berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0)) {
        fprintf(stderr, "%s\n", berth_server_error_string(server));
        return 1;
    }
    printf("listening on port %u\n", berth_server_port(server));
    fflush(stdout);
    int status = berth_loop_run(NULL);
    berth_loop_free(berth_loop_current());
    return status;
}
