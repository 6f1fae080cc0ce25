/*
 * A client that connects by name, has a time limit, and retries when nobody listens yet. The first
 * attempt is refused, because this program starts its server only after that; a timer starts the
 * next attempt. The exit status is 0 if the client connected and read the answer.
 */
#include <stdio.h>
#include <string.h>

#include <berth/berth.h>

#define LATER 50 /* milliseconds between two attempts */

typedef struct trip {
    berth_server *server;
    berth_socket *client;
    berth_timer *again;
    uint16_t port;
    int refused;
    bool answered;
} trip;

/* ---- the client ------------------------------------------------------------------------------ */

static void depart(berth_timer *timer, void *user)
{
    (void)timer;
    trip *all = user;
    /* error_occurred reports errors, inside this call or later. */
    berth_socket_connect_to_host(all->client, "localhost", all->port);
}

static void tell_found(berth_socket *socket, void *user)
{
    (void)user;
    printf("found %s\n", berth_socket_peer_name(socket));
}

static void greet(berth_socket *socket, void *user)
{
    (void)user;
    char peer[BERTH_ENDPOINT_TEXT_SIZE];
    berth_endpoint_format(berth_socket_peer_address(socket), berth_socket_peer_port(socket), peer,
                          sizeof(peer));
    printf("connected to %s\n", peer);
    berth_socket_set_option(socket, BERTH_OPTION_LOW_DELAY, 1);
    berth_socket_write(socket, "ping\n", 5);
}

static void read_answer(berth_socket *socket, void *user)
{
    trip *all = user;
    char answer[32];
    if (!berth_socket_can_read_line(socket))
        return;
    berth_socket_read_line(socket, answer, sizeof(answer));
    all->answered = strcmp(answer, "pong\n") == 0;
    printf("answer: %s", answer);
}

static void end(berth_socket *socket, void *user)
{
    (void)user;
    berth_loop_stop(berth_socket_loop(socket), 0);
}

static void decide(berth_socket *socket, berth_error error, void *user)
{
    trip *all = user;
    if (error == BERTH_ERROR_REMOTE_HOST_CLOSED)
        return; /* the usual end; `disconnected` follows */
    fprintf(stderr, "%s\n", berth_socket_error_string(socket));
    if (error != BERTH_ERROR_CONNECTION_REFUSED || ++all->refused == 5) {
        berth_loop_stop(berth_socket_loop(socket), 1);
        return;
    }
    if (!berth_server_is_listening(all->server) &&
        !berth_server_listen(all->server, BERTH_ADDRESS_ANY, all->port))
        fprintf(stderr, "%s\n", berth_server_error_string(all->server));
    berth_timer_start(all->again, LATER, 0);
}

/* ---- the server ------------------------------------------------------------------------------ */

static void answer(berth_socket *socket, void *user)
{
    (void)user;
    if (!berth_socket_can_read_line(socket))
        return;
    berth_socket_write(socket, "pong\n", 5);
    berth_socket_disconnect_from_host(socket);
}

static void take(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.ready_read = answer,
                                                   .disconnected = berth_socket_free_in_handler};
    berth_socket *socket = berth_server_next_pending_connection(server);
    if (socket)
        berth_socket_set_handlers(socket, &handlers, user);
}

int main(void)
{
    static const berth_server_handlers serving = {.new_connection = take};
    static const berth_socket_handlers travelling = {.host_found = tell_found,
                                                     .connected = greet,
                                                     .ready_read = read_answer,
                                                     .disconnected = end,
                                                     .error_occurred = decide};
    trip all = {0};
    berth_loop *loop = berth_loop_new(NULL);
    all.server = berth_server_new(loop, &serving, &all);
    all.client = berth_socket_new(loop, &travelling, &all);
    all.again = berth_timer_new(loop, depart, &all);
    if (!loop || !all.server || !all.client || !all.again) {
        fprintf(stderr, "cannot make a server, a client and a timer: %s\n",
                berth_server_error_string(NULL));
        return 1;
    }

    /* A port that was free a moment ago, and on which nobody listens. */
    if (!berth_server_listen(all.server, BERTH_ADDRESS_ANY, 0)) {
        fprintf(stderr, "%s\n", berth_server_error_string(all.server));
        return 1;
    }
    all.port = berth_server_port(all.server);
    berth_server_close(all.server);

    berth_socket_set_connect_timeout(all.client, 2000);
    depart(all.again, &all);
    int status = berth_loop_run(loop);
    berth_loop_free(loop);
    return status == 0 && all.answered && all.refused > 0 ? 0 : 1;
}
