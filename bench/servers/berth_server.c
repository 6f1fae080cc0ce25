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
 * Waiting: berth_server_wait_for_new_connection, the greeting, berth_socket_wait_for_disconnected,
 * for one connection after the other; no loop is ever run. Handing over: incoming_connection posts
 * the descriptor to the loop of a second thread, and the task there makes the socket; a task's user
 * pointer is the descriptor itself, so that nothing is allocated for it here.
 *
 * Failures: a backend that this machine refuses ends with SERVER_UNAVAILABLE, like everything else
 * that common.h says; a connection that fails is freed in `disconnected`, and the others go on.
 */
#include "common.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
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
    [CELL_HANDOVER] = {.ready_read = echo, .disconnected = on_disconnected},
    [CELL_HANDOVER_GREET] = {.disconnected = on_disconnected},
};

static void greet(berth_socket *socket)
{
    berth_socket_write(socket, server_greeting, SERVER_GREETING);
    berth_socket_disconnect_from_host(socket);
}

static void on_connection(berth_server *server, void *user)
{
    const enum server_cell cell = *(const enum server_cell *)user;
    berth_socket *socket = berth_server_next_pending_connection(server);
    if (!socket)
        return;
    berth_socket_set_handlers(socket, &handlers_of[cell], NULL);
    if (cell == CELL_GREET)
        greet(socket);
    else if (cell == CELL_SOURCE)
        pour(socket, 0, NULL);
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

/* ---- on two threads -------------------------------------------------------------------------- */

static enum server_cell worker_cell;
static berth_loop *worker_loop;
static sem_t worker_ready;

static void serve_descriptor(void *user)
{
    int descriptor = (int)(intptr_t)user;
    berth_socket *socket = berth_socket_new(worker_loop, &handlers_of[worker_cell], NULL);
    if (!socket || !berth_socket_set_descriptor(socket, descriptor)) {
        berth_socket_free(socket);
        close(descriptor);
        return;
    }
    if (worker_cell == CELL_HANDOVER_GREET)
        greet(socket);
}

static void hand_over(berth_server *server, int descriptor, void *user)
{
    (void)server;
    (void)user;
    if (!berth_loop_post(worker_loop, serve_descriptor, (void *)(intptr_t)descriptor))
        close(descriptor);
}

static void *work(void *unused)
{
    worker_loop = loop_or_end();
    sem_post(&worker_ready);
    berth_loop_run(worker_loop);
    server_fail("the second loop has ended", errno);
    return unused;
}

static void start_worker(enum server_cell cell)
{
    pthread_t thread;
    worker_cell = cell;
    sem_init(&worker_ready, 0, 0);
    int error = pthread_create(&thread, NULL, work, NULL);
    if (error != 0)
        server_fail("cannot start a thread", error);
    while (sem_wait(&worker_ready) < 0)
        continue;
}

/* ---- without a loop -------------------------------------------------------------------------- */

static _Noreturn void serve_by_waiting(berth_server *server)
{
    for (;;) {
        berth_socket *socket;
        if (!berth_server_wait_for_new_connection(server, -1, NULL))
            server_fail("cannot wait for a connection", EIO);
        while ((socket = berth_server_next_pending_connection(server)) != NULL) {
            greet(socket);
            berth_socket_wait_for_disconnected(socket, 1000);
            berth_socket_free(socket);
        }
    }
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
    static const berth_server_handlers serving = {.new_connection = on_connection};
    static const berth_server_handlers waiting = {0};
    static const berth_server_handlers distributing = {.incoming_connection = hand_over};
    struct server_options options;
    int on = 1;
    server_parse(argc, argv, SERVES_ON_ONE_THREAD | SERVES_OTHERWISE, &options);
    berth_loop *loop = loop_or_end();
    const berth_server_handlers *handlers = &serving;
    if (options.cell == CELL_WAIT)
        handlers = &waiting;
    if (options.cell == CELL_HANDOVER || options.cell == CELL_HANDOVER_GREET) {
        handlers = &distributing;
        start_worker(options.cell);
    }
    berth_server *server = berth_server_new(loop, handlers, &options.cell);
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
    if (options.cell == CELL_WAIT)
        serve_by_waiting(server);
    return berth_loop_run(loop) == 0 ? 0 : 1;
}
