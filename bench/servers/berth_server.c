/*
 * Berth itself, against the public API, written as its manual recommends, and no better or worse
 * than a careful user would write it.
 *
 * The normal course: new_connection takes the socket and sets its handlers; ready_read copies
 * nothing (berth_socket_view shows the bytes where they lie) and writes them back; `disconnected`
 * frees the socket. TCP_NODELAY is set once, on the listening descriptor, and handed down by the
 * kernel. The backend is the library's choice, or that of BERTH_BACKEND, and its name stands in the
 * ready line.
 *
 * A greeting is a write and berth_socket_disconnect_from_host in new_connection. A source keeps one
 * block in the output of each connection, and adds the next when less than one is left.
 *
 * Failures: a backend that this machine refuses ends with SERVER_UNAVAILABLE, like everything else
 * that common.h says; a connection that fails is freed in `disconnected`, and the others go on.
 */
#include "common.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <berth/berth.h>

static void on_disconnected(berth_socket *socket, void *user)
{
    (void)user;
    berth_socket_free(socket);
}

static void echo(berth_socket *socket, void *user)
{
    (void)user;
    const void *data;
    size_t size;
    while ((data = berth_socket_view(socket, &size)) != NULL) {
        berth_socket_write(socket, data, size);
        berth_socket_skip(socket, size);
    }
}

static void swallow(berth_socket *socket, void *user)
{
    (void)user;
    berth_socket_skip(socket, berth_socket_bytes_available(socket));
}

static void pour(berth_socket *socket, size_t bytes, void *user)
{
    (void)bytes;
    (void)user;
    if (berth_socket_bytes_to_write(socket) < SERVER_BLOCK)
        berth_socket_write(socket, server_block, SERVER_BLOCK);
}

static const berth_socket_handlers handlers_of[] = {
    [CELL_ECHO] = {.ready_read = echo, .disconnected = on_disconnected},
    [CELL_GREET] = {.disconnected = on_disconnected},
    [CELL_SINK] = {.ready_read = swallow, .disconnected = on_disconnected},
    [CELL_SOURCE] = {.bytes_written = pour, .disconnected = on_disconnected},
};

static void on_connection(berth_server *server, void *user)
{
    const enum server_cell cell = *(const enum server_cell *)user;
    berth_socket *socket = berth_server_next_pending_connection(server);
    if (!socket)
        return;
    berth_socket_set_handlers(socket, &handlers_of[cell], NULL);
    if (cell == CELL_GREET) {
        berth_socket_write(socket, server_greeting, SERVER_GREETING);
        berth_socket_disconnect_from_host(socket);
    } else if (cell == CELL_SOURCE) {
        pour(socket, 0, NULL);
    }
}

static berth_loop *loop_or_end(void)
{
    berth_loop *loop = berth_loop_new(NULL);
    int error = errno;
    const char *backend = getenv("BERTH_BACKEND");
    char reason[160];
    if (loop)
        return loop;
    if (backend && !berth_loop_backend_available(backend, reason, sizeof(reason))) {
        fprintf(stderr, "the backend %s is not available: %s\n", backend, reason);
        exit(SERVER_UNAVAILABLE);
    }
    server_fail("cannot make a loop", error);
}

static void on_term(int number)
{
    (void)number;
    _exit(0);
}

/* As server_ready(), with the backend's name in the line. */
static void ready(unsigned port, const char *backend)
{
    struct sigaction action = {.sa_handler = on_term};
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max < SERVER_MAX_FD ? limit.rlim_max : SERVER_MAX_FD;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    sigaction(SIGTERM, &action, NULL);
    printf("port %u backend %s\n", port, backend);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const berth_server_handlers handlers = {.new_connection = on_connection};
    struct server_options options;
    int on = 1;
    server_parse(argc, argv, &options);
    berth_loop *loop = loop_or_end();
    berth_server *server = berth_server_new(loop, &handlers, &options.cell);
    if (!server)
        server_fail("cannot make a server", errno);
    berth_server_set_listen_backlog_size(server, SERVER_BACKLOG);
    if (!berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, (uint16_t)options.port)) {
        fprintf(stderr, "%s\n", berth_server_error_string(server));
        return 1;
    }
    int listener = berth_server_descriptor(server);
    if (setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        server_fail("cannot set TCP_NODELAY", errno);
    ready(berth_server_port(server), berth_loop_backend_name(loop));
    return berth_loop_run(loop) == 0 ? 0 : 1;
}
