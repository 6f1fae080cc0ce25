/*
 * Flow control: how a server limits what it accepts.
 *
 * Pending connections: five clients connect to a server whose queue holds two. The others wait in
 * the kernel, and are accepted when one is taken or, after a pause, when accepting is resumed.
 *
 * Bytes of one connection: a server sends 16 MiB to a client that reads slowly. Two marks limit the
 * server's output, a read buffer size limits the client's input. The program checks both, and that
 * all bytes arrive.
 *
 * Limits: one client is beyond the limit for its address, another one sends nothing. The server's
 * statistics show what became of them.
 *
 * The exit status is 0 if everything was as expected.
 */
#include <stdio.h>

#include <berth/berth.h>

#define CLIENTS 5
#define PLENTY ((size_t)16 << 20)
#define LOW ((size_t)32 << 10)
#define HIGH ((size_t)128 << 10)

static bool expect(const char *what, int found, int expected)
{
    printf("%-40s %d\n", what, found);
    return found == expected;
}

/* ---- connections ----------------------------------------------------------------------------- */

static void count(berth_server *server, void *user)
{
    (void)server;
    int *accepted = user;
    ++*accepted;
}

/* Runs turns of the loop until nothing has happened for a tenth of a second. */
static int accepted_by_now(const int *accepted)
{
    while (berth_loop_turn(NULL, 100))
        continue;
    return *accepted;
}

static bool listen_on_any_port(berth_server *server)
{
    if (server && berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0))
        return true;
    fprintf(stderr, "%s\n", berth_server_error_string(server));
    return false;
}

static bool connections(void)
{
    static const berth_server_handlers handlers = {.new_connection = count};
    int accepted = 0;
    berth_socket *clients[CLIENTS];
    berth_server *server = berth_server_new(NULL, &handlers, &accepted);
    if (!listen_on_any_port(server))
        return false;

    berth_server_set_max_pending_connections(server, 2);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = berth_socket_new(NULL, NULL, NULL);
        berth_socket_connect_to_address(clients[i], BERTH_ADDRESS_LOOPBACK,
                                        berth_server_port(server));
        if (!berth_socket_wait_for_connected(clients[i], 5000)) {
            fprintf(stderr, "%s\n", berth_socket_error_string(clients[i]));
            return false;
        }
    }
    bool good = expect("accepted with room for two:", accepted_by_now(&accepted), 2);
    berth_socket_free(berth_server_next_pending_connection(server));
    good &= expect("after one of them was taken:", accepted_by_now(&accepted), 3);

    berth_server_pause_accepting(server);
    berth_socket_free(berth_server_next_pending_connection(server));
    good &= expect("after another was taken in a pause:", accepted_by_now(&accepted), 3);
    berth_server_resume_accepting(server);
    good &= expect("after the pause:", accepted_by_now(&accepted), 4);

    berth_server_set_max_pending_connections(server, 30);
    good &= expect("with room for thirty:", accepted_by_now(&accepted), CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        berth_socket_free(clients[i]);
    berth_server_free(server); /* also frees the connections that were not taken */
    return good;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

typedef struct stream {
    size_t written;
    size_t read;
    size_t most_output;
    size_t most_input;
    berth_socket *client;
} stream;

/* Writes until the high mark is reached. Called again when the output has fallen to the low mark.
 */
static void pour(berth_socket *socket, void *user)
{
    static const char block[16384];
    stream *all = user;
    ptrdiff_t taken = 1;
    while (all->written < PLENTY && taken > 0) {
        size_t left = PLENTY - all->written;
        taken = berth_socket_write(socket, block, left < sizeof(block) ? left : sizeof(block));
        if (taken > 0)
            all->written += (size_t)taken;
    }
    if (berth_socket_bytes_to_write(socket) > all->most_output)
        all->most_output = berth_socket_bytes_to_write(socket);
    if (all->written == PLENTY)
        berth_socket_disconnect_from_host(socket); /* sends the output first */
}

static void take(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.drained = pour};
    berth_socket *socket = berth_server_next_pending_connection(server);
    if (!socket)
        return;
    berth_socket_set_handlers(socket, &handlers, user);
    berth_socket_set_write_marks(socket, LOW, HIGH);
    pour(socket, user);
}

static void sip(berth_timer *timer, void *user)
{
    (void)timer;
    stream *all = user;
    size_t available = berth_socket_bytes_available(all->client);
    if (available > all->most_input)
        all->most_input = available;
    ptrdiff_t count = berth_socket_skip(all->client, available);
    if (count > 0)
        all->read += (size_t)count;
    else if (count < 0)
        berth_loop_stop(NULL, 0); /* no input left, and no more will come */
}

static bool bytes(void)
{
    static const berth_server_handlers handlers = {.new_connection = take};
    stream all = {0};
    berth_server *server = berth_server_new(NULL, &handlers, &all);
    berth_timer *timer = berth_timer_new(NULL, sip, &all);
    all.client = berth_socket_new(NULL, NULL, NULL);
    if (!timer || !all.client) {
        fprintf(stderr, "cannot make a timer and a client: %s\n", berth_server_error_string(NULL));
        return false;
    }
    if (!listen_on_any_port(server))
        return false;
    berth_socket_set_read_buffer_size(all.client, 65536);
    berth_socket_connect_to_address(all.client, BERTH_ADDRESS_LOOPBACK, berth_server_port(server));
    berth_timer_start(timer, 50, 1);
    berth_loop_run(NULL);

    printf("read %zu of %zu bytes; kept %zu for output and %zu of input at most\n", all.read,
           PLENTY, all.most_output, all.most_input);
    berth_timer_free(timer);
    berth_socket_free(all.client);
    berth_server_free(server);
    return all.read == PLENTY && all.most_output <= HIGH && all.most_input < PLENTY / 8;
}

/* ---- limits ---------------------------------------------------------------------------------- */

static bool limits(void)
{
    berth_socket *clients[2];
    berth_server *server = berth_server_new(NULL, NULL, NULL);
    if (!listen_on_any_port(server))
        return false;
    const berth_accept_limits one_each = {.per_address = 1};
    berth_server_set_accept_limits(server, &one_each);
    const berth_connection_limits speak_up = {.first_byte = 200}; /* milliseconds */
    berth_server_set_connection_limits(server, &speak_up);
    for (int i = 0; i < 2; i++) {
        clients[i] = berth_socket_new(NULL, NULL, NULL);
        berth_socket_connect_to_address(clients[i], BERTH_ADDRESS_LOOPBACK,
                                        berth_server_port(server));
    }
    berth_server_counts counts;
    for (int turns = 0; turns < 1000; turns++) {
        berth_loop_turn(NULL, 10);
        berth_server_statistics(server, &counts);
        if (counts.accepted == 2 && counts.live == 0)
            break;
    }
    bool good = expect("rejected, one too many of an address:", (int)counts.rejected_address, 1);
    good &= expect("ended, silent from the beginning:", (int)counts.closed_first_byte, 1);
    for (int i = 0; i < 2; i++)
        berth_socket_free(clients[i]);
    berth_server_free(server);
    return good;
}

int main(void)
{
    bool good = connections();
    good &= bytes();
    good &= limits();
    return good ? 0 : 1;
}
