/*
 * A blocking server: no handlers, and no running event loop. One thread serves three clients, one
 * after the other. A second thread runs the clients, also with blocking waits. Every wait has a
 * time limit. The exit status is 0 if all three were answered.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <berth/berth.h>

#define CLIENTS 3
#define PATIENCE 5000 /* milliseconds */

/* Waits for a complete line, and reads it. */
static bool read_line(berth_socket *socket, char *line, size_t size)
{
    while (!berth_socket_can_read_line(socket))
        if (!berth_socket_wait_for_ready_read(socket, PATIENCE))
            return false; /* timed out, or the connection has ended */
    return berth_socket_read_line(socket, line, size) > 0;
}

/* ---- the server ------------------------------------------------------------------------------ */

static void serve(berth_socket *socket)
{
    char name[64];
    char answer[128];
    if (read_line(socket, name, sizeof(name))) {
        int length = snprintf(answer, sizeof(answer), "Welcome, %s", name);
        berth_socket_write(socket, answer, (size_t)length);
    } else {
        fprintf(stderr, "%s\n", berth_socket_error_string(socket));
    }
    berth_socket_disconnect_from_host(socket);
    berth_socket_wait_for_disconnected(socket, PATIENCE); /* sends what was written */
    berth_socket_free(socket);
}

static int serve_all(berth_server *server)
{
    int served = 0;
    while (served < CLIENTS) {
        berth_socket *socket;
        bool timed_out;
        if (!berth_server_wait_for_new_connection(server, PATIENCE, &timed_out)) {
            fprintf(stderr, "%s\n",
                    timed_out ? "no client connected" : berth_server_error_string(server));
            break;
        }
        /* A wait can accept several connections, or none: take all that are pending. */
        while ((socket = berth_server_next_pending_connection(server))) {
            serve(socket);
            served++;
        }
    }
    return served;
}

/* ---- the clients ----------------------------------------------------------------------------- */

typedef struct visits {
    uint16_t port;
    int answered;
} visits;

static void visit(visits *all, const char *name)
{
    char answer[128];
    berth_socket *socket = berth_socket_new(NULL, NULL, NULL);
    if (socket && berth_socket_connect_to_address(socket, BERTH_ADDRESS_LOOPBACK, all->port) &&
        berth_socket_wait_for_connected(socket, PATIENCE)) {
        berth_socket_write(socket, name, strlen(name));
        if (read_line(socket, answer, sizeof(answer))) {
            fputs(answer, stdout);
            all->answered += strstr(answer, name) != NULL;
        }
    }
    berth_socket_free(socket);
}

static void *visit_all(void *user)
{
    visit(user, "Rotterdam\n");
    visit(user, "Valparaiso\n");
    visit(user, "Trieste\n");
    return NULL;
}

int main(void)
{
    pthread_t thread;
    berth_server *server = berth_server_new(NULL, NULL, NULL);
    if (!server || !berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0)) {
        fprintf(stderr, "%s\n", berth_server_error_string(server));
        return 1;
    }
    visits all = {.port = berth_server_port(server)};
    if (pthread_create(&thread, NULL, visit_all, &all) != 0) {
        fprintf(stderr, "cannot start a thread\n");
        return 1;
    }
    int served = serve_all(server);
    pthread_join(thread, NULL);
    berth_server_free(server);
    return served == CLIENTS && all.answered == CLIENTS ? 0 : 1;
}
