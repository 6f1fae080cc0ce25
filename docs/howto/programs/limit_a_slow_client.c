/*
 * A server that sends 16 megabytes to everybody, and two clients: one reads it, the other does
 * not. The server keeps little output for either, and ends the connection of the second, which is
 * too slow. The exit status is 0 if the first one got everything and the second one was ended.
 */
#include <stdio.h>

#include <berth/berth.h>

enum {
    BODY = 16 << 20
};

/* What a client may cost. The times of a real server are longer: see the page. */
static const berth_connection_limits limits = {
    .first_byte = 5000,         /* ms until the request has begun */
    .idle = 10000,              /* ms in which nothing moves */
    .minimum_rate = 100 * 1000, /* bytes a second, on average in each window */
    .rate_window = 1000,        /* ms */
};

typedef struct download {
    size_t left;
} download;

static download downloads[2];
static int taken;

/* ---- the server ------------------------------------------------------------------------------ */

static void send_more(berth_socket *socket, void *user)
{
    static const char block[16384];
    download *mine = user;
    while (mine->left > 0) {
        size_t size = mine->left < sizeof block ? mine->left : sizeof block;
        ptrdiff_t count = berth_socket_write(socket, block, size);
        if (count <= 0)
            return; /* `drained` calls again when there is room */
        mine->left -= (size_t)count;
    }
    berth_socket_disconnect_from_host(socket);
}

static void report(berth_socket *socket, berth_error error, void *user)
{
    (void)user;
    if (error == BERTH_ERROR_SOCKET_TIMEOUT)
        printf("ended: %s\n", berth_socket_error_string(socket));
}

static void serve(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.drained = send_more,
                                                   .error_occurred = report,
                                                   .disconnected = berth_socket_free_in_handler};
    berth_socket *socket = berth_server_next_pending_connection(server);
    (void)user;
    if (!socket || taken == 2)
        return;
    download *mine = &downloads[taken++];
    mine->left = BODY;
    berth_socket_set_handlers(socket, &handlers, mine);
    berth_socket_set_write_marks(socket, 64 * 1024, 256 * 1024);
    send_more(socket, mine);
}

/* ---- the clients ----------------------------------------------------------------------------- */

static void read_all(berth_socket *socket, void *user)
{
    size_t *received = user;
    ptrdiff_t count = berth_socket_skip(socket, SIZE_MAX);
    if (count > 0)
        *received += (size_t)count;
}

int main(void)
{
    static const berth_server_handlers serving = {.new_connection = serve};
    static const berth_socket_handlers reading = {.ready_read = read_all};
    size_t received = 0;
    berth_server *server = berth_server_new(NULL, &serving, NULL);
    berth_socket *quick = berth_socket_new(NULL, &reading, &received);
    berth_socket *slow = berth_socket_new(NULL, NULL, NULL);
    if (!quick || !slow || !server) {
        fprintf(stderr, "cannot make a server and two clients: %s\n",
                berth_server_error_string(NULL));
        return 1;
    }
    if (!berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0)) {
        fprintf(stderr, "%s\n", berth_server_error_string(server));
        return 1;
    }
    berth_server_set_connection_limits(server, &limits);
    /* It never reads, and has no kernel that keeps all of it. */
    berth_socket_set_read_buffer_size(slow, 1000);
    berth_socket_set_option(slow, BERTH_OPTION_RECEIVE_BUFFER_SIZE, 64 * 1024);
    berth_socket_connect_to_address(quick, BERTH_ADDRESS_LOOPBACK, berth_server_port(server));
    berth_socket_connect_to_address(slow, BERTH_ADDRESS_LOOPBACK, berth_server_port(server));

    berth_server_counts counts = {0};
    for (int turns = 0; turns < 100000; turns++) {
        berth_loop_turn(NULL, 100);
        berth_server_statistics(server, &counts);
        if (counts.taken == 2 && counts.live == 0 && received == BODY)
            break;
    }
    printf("the quick one has %zu bytes; ended for being slow: %d\n", received,
           (int)counts.closed_rate);
    berth_loop_free(berth_loop_current());
    return received == BODY && counts.closed_rate == 1 ? 0 : 1;
}
