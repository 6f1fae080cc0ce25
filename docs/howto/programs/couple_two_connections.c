/*
 * Couples two connections: whoever connects is connected to a target, and bytes, ends and resets
 * are passed on in both directions, with bounded memory. The program plays both ends too. Its
 * client sends 8 MiB and ends its direction; its target reads slowly, and then answers with the
 * number of bytes. The exit status is 0 if the answer is right.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <berth/berth.h>

#define AMOUNT ((size_t)8 << 20)
#define MOST 65536 /* bytes that are kept of each direction, as input and as output */

/* One side of a pair. */
typedef struct side {
    struct side *other;
    berth_socket *socket;
    bool connected;
    bool end_passed; /* its input has ended, and the other side has been told */
    bool gone;
} side;

static uint16_t target_port;

/* ---- the pair -------------------------------------------------------------------------------- */

/* Ends a pair. A failure is passed on as a reset: an end would say that everything has come. */
static void end_pair(side *self, bool failed)
{
    side *sides[] = {self, self->other};
    for (int i = 0; i < 2; i++) {
        berth_socket_set_handlers(sides[i]->socket, NULL, NULL);
        if (failed)
            berth_socket_reset(sides[i]->socket);
        berth_socket_free(sides[i]->socket);
    }
    free(self);
    free(sides[1]);
}

/* Passes on what one side has sent, as much as the other one takes, and its end behind the last
 * byte. What is left waits for `drained`; the input is full then, so the sender waits too. */
static void pass_on(side *from)
{
    side *to = from->other;
    size_t size;
    const void *data;
    char byte;
    if (!to->connected || to->gone)
        return;
    while ((data = berth_socket_view(from->socket, &size))) {
        ptrdiff_t taken = berth_socket_write(to->socket, data, size);
        if (taken <= 0)
            return; /* full, or broken: `disconnected` follows then */
        berth_socket_skip(from->socket, (size_t)taken);
    }
    if (!from->end_passed && berth_socket_peek(from->socket, &byte, 1) < 0) {
        from->end_passed = true;
        berth_socket_shutdown_send(to->socket); /* may end it, and the pair */
    }
}

static void came(berth_socket *socket, void *user)
{
    (void)socket;
    pass_on(user);
}

static void drained(berth_socket *socket, void *user)
{
    side *self = user;
    (void)socket;
    pass_on(self->other);
}

/* Also called in front of `disconnected`, which decides then. */
static void input_ended(berth_socket *socket, void *user)
{
    if (berth_socket_state(socket) == BERTH_STATE_CONNECTED)
        pass_on(user);
}

static void connected(berth_socket *socket, void *user)
{
    side *self = user;
    (void)socket;
    self->connected = true;
    pass_on(self->other); /* what has come meanwhile */
}

static void failed(berth_socket *socket, berth_error error, void *user)
{
    side *self = user;
    if (error != BERTH_ERROR_REMOTE_HOST_CLOSED)
        fprintf(stderr, "%s\n", berth_socket_error_string(socket));
    if (!self->connected) /* an attempt that fails was no connection: no `disconnected` follows */
        end_pair(self, true);
}

static void disconnected(berth_socket *socket, void *user)
{
    side *self = user;
    self->gone = true;
    if (berth_socket_was_reset(socket) || !self->other->end_passed)
        end_pair(self, true);
    else if (self->other->gone)
        end_pair(self, false);
    else
        pass_on(self); /* both directions have ended, but not all of its input was passed on */
}

static side *make_side(berth_socket *socket)
{
    side *made = calloc(1, sizeof(*made));
    if (!made || !socket) {
        free(made);
        berth_socket_free(socket);
        return NULL;
    }
    made->socket = socket;
    berth_socket_set_half_close(socket, true);
    berth_socket_set_read_buffer_size(socket, MOST);
    berth_socket_set_write_marks(socket, MOST / 2, MOST);
    return made;
}

static void couple(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.ready_read = came,
                                                   .drained = drained,
                                                   .read_channel_finished = input_ended,
                                                   .connected = connected,
                                                   .error_occurred = failed,
                                                   .disconnected = disconnected};
    (void)user;
    side *client = make_side(berth_server_next_pending_connection(server));
    side *target = client ? make_side(berth_socket_new(NULL, NULL, NULL)) : NULL;
    if (!target) {
        if (client)
            berth_socket_free(client->socket);
        free(client);
        return;
    }
    client->other = target;
    target->other = client;
    client->connected = true;
    berth_socket_set_handlers(client->socket, &handlers, client);
    berth_socket_set_handlers(target->socket, &handlers, target);
    berth_socket_connect_to_address(target->socket, BERTH_ADDRESS_LOOPBACK, target_port);
}

/* ---- the target ------------------------------------------------------------------------------ */

static size_t counted;

static void count(berth_timer *timer, void *user)
{
    char answer[64];
    berth_socket *socket = user;
    ptrdiff_t bytes = berth_socket_skip(socket, MOST);
    if (bytes >= 0) {
        counted += (size_t)bytes;
        return;
    }
    int size = snprintf(answer, sizeof(answer), "%zu bytes\n", counted);
    berth_socket_write(socket, answer, (size_t)size);
    berth_socket_disconnect_from_host(socket);
    berth_timer_free(timer);
}

static void serve(berth_server *server, void *user)
{
    (void)user;
    berth_socket *socket = berth_server_next_pending_connection(server);
    berth_timer *timer = berth_timer_new(NULL, count, socket);
    if (!socket || !timer)
        return;
    berth_socket_set_half_close(socket, true);
    berth_socket_set_read_buffer_size(socket, MOST);
    berth_timer_start(timer, 1, 1);
}

/* ---- the client ------------------------------------------------------------------------------ */

static void pour(berth_socket *socket, void *user)
{
    static const char block[MOST];
    size_t *left = user;
    ptrdiff_t taken = 1;
    while (*left > 0 && taken > 0) {
        taken = berth_socket_write(socket, block, *left < sizeof(block) ? *left : sizeof(block));
        *left -= taken > 0 ? (size_t)taken : 0;
    }
    if (*left == 0)
        berth_socket_shutdown_send(socket);
}

static void judge(berth_socket *socket, void *user)
{
    char answer[64], expected[64];
    (void)user;
    snprintf(expected, sizeof(expected), "%zu bytes\n", AMOUNT);
    bool right =
        berth_socket_read_line(socket, answer, sizeof(answer)) > 0 && strcmp(answer, expected) == 0;
    printf("answer: %s", right ? answer : "none, or a wrong one\n");
    berth_loop_stop(NULL, right ? 0 : 1);
}

static bool listen_on_any_port(berth_server *server)
{
    if (berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0))
        return true;
    fprintf(stderr, "%s\n", berth_server_error_string(server));
    return false;
}

int main(void)
{
    static const berth_server_handlers coupling = {.new_connection = couple};
    static const berth_server_handlers serving = {.new_connection = serve};
    static const berth_socket_handlers asking = {
        .connected = pour, .drained = pour, .disconnected = judge};
    size_t left = AMOUNT;
    berth_server *relay = berth_server_new(NULL, &coupling, NULL);
    berth_server *target = berth_server_new(NULL, &serving, NULL);
    berth_socket *client = berth_socket_new(NULL, &asking, &left);
    if (!relay || !target || !client) {
        fprintf(stderr, "cannot make two servers and a client: %s\n",
                berth_server_error_string(NULL));
        return 1;
    }
    if (!listen_on_any_port(relay) || !listen_on_any_port(target))
        return 1;
    target_port = berth_server_port(target);
    berth_socket_set_write_marks(client, MOST / 2, MOST);
    berth_socket_connect_to_address(client, BERTH_ADDRESS_LOOPBACK, berth_server_port(relay));
    return berth_loop_run(NULL);
}
