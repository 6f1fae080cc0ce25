/*
 * Calls about one direction, the ends and the buffers of a connection: half-close, giving the
 * descriptor away and taking it up again, marks, lines, and the limits of beginning and closing.
 */
#include "calls.h"
#include "world.h"

#include <string.h>

/* Many of them go on reading behind the peer's end, so that both ends come in either order. */
static void shut_output(struct socket_model *model, uint64_t word)
{
    uint32_t how = sim_choose(&word, 3);
    uint32_t first = sim_choose(&word, 2) == 0 ? sim_choose(&word, SIM_SOCKETS) : SIM_SOCKETS;
    for (uint32_t i = 0; i < SIM_SOCKETS && first < SIM_SOCKETS; i++) { /* whose peer has ended */
        struct socket_model *other = &sim.sockets[(first + i) % SIM_SOCKETS];
        if (other->socket == NULL || other->dying || !other->finished ||
            other->state != BERTH_STATE_CONNECTED)
            continue;
        model = other;
        how = 0;
        break;
    }
    if (how > 0) {
        model->half_open = true;
        berth_socket_set_half_close(model->socket, true);
    }
    if (how == 2 && model->connection != NULL && sim_end_peer_of(model->connection, model->side))
        return; /* the peer is the first */
    bool may = model->state != BERTH_STATE_UNCONNECTED && model->state != BERTH_STATE_BOUND;
    sim_say("socket %zu ends its output", sim_number_of(model));
    if (may && !model->shut) {
        model->shut = true;
        if (model->state != BERTH_STATE_CLOSING)
            sim_way_out(model)->ended = true;
    }
    berth_state before = model->state;
    /* Where the other direction has ended already. */
    bool last = before == BERTH_STATE_CONNECTED &&
                (model->finished || berth_socket_error(model->socket) != BERTH_ERROR_NONE);
    const berth_socket *socket = model->socket;
    model->calls++;
    berth_socket_shutdown_send(model->socket);
    model->calls--;
    sim_check(last || (model->socket == socket && model->state == before),
              "the end of one direction is the end of the connection");
}

/* ---- giving the descriptor away -------------------------------------------------------------- */

/* What was received before stays in the socket; the program takes it before it goes on. False: the
 * socket has gone with it, or begun something else. */
static bool take_rest(struct socket_model *model, const berth_socket *socket,
                      struct connection *connection)
{
    if (model->socket != socket || model->connection != connection ||
        model->state != BERTH_STATE_UNCONNECTED || model->emptied)
        return false;
    if (berth_socket_in_transaction(model->socket))
        berth_socket_commit_transaction(model->socket);
    while (berth_socket_bytes_available(model->socket) > 0)
        sim_read(model, SIZE_MAX);
    return true;
}

/* The connection goes on in another socket, or in the same one. */
static void take_up(struct socket_model *model, struct connection *connection, int side,
                    int descriptor)
{
    if (model->socket == NULL)
        model->socket = berth_socket_new(sim.loop, &sim_socket_handlers, model);
    if (model->socket != NULL) {
        sim_say("socket %zu takes it up", sim_number_of(model));
        sim_tls_await(model, connection);
        sim_adopt(model, connection, side, descriptor);
        return;
    }
    sim_cut(connection);
    world->close_descriptor(descriptor);
}

static void release(struct socket_model *model, uint64_t word)
{
    struct connection *connection = model->connection;
    int side = model->side;
    berth_socket *socket = model->socket;
    bool may = model->state == BERTH_STATE_CONNECTED && model->queued_in == NULL;
    bool empty = berth_socket_bytes_to_write(socket) == 0;
    /* One that nobody has accepted may be dead, and this side does not know. */
    bool sound = sim_is_sound(connection);
    model->emptied = false;
    model->calls++;
    int descriptor = berth_socket_release(socket);
    model->calls--;
    sim_say("socket %zu gives its connection away%s", sim_number_of(model),
            descriptor < 0 ? ", in vain" : "");
    sim_check(descriptor < 0 || may, "a socket gives away what it does not have");
    bool tls = connection != NULL && connection->tls && !connection->still_clear;
    sim_check(descriptor < 0 || !tls, "an encrypted connection is given away");
    sim_check(descriptor >= 0 || tls || !may || !empty || model->state != BERTH_STATE_CONNECTED ||
                  !sound || !sim_complete(sim_way_in(model)) || !sim_complete(sim_way_out(model)),
              "a connection cannot be given away");
    if (descriptor < 0)
        return;
    bool whole = take_rest(model, socket, connection);
    struct socket_model *taker = sim_choose(&word, 2) == 0 ? model : sim_new_socket();
    if (taker == NULL || (taker->socket != NULL && taker->state != BERTH_STATE_UNCONNECTED) ||
        taker->owed > 0)
        whole = false;
    if (!whole || sim_choose(&word, 4) == 0) {
        sim_say("it is closed");
        sim_cut(connection);
        world->close_descriptor(descriptor);
        return;
    }
    if (taker != model) {
        model->connection = NULL;
        model->starts = false; /* it is for the other one to encrypt */
    }
    take_up(taker, connection, side, descriptor);
}

/* ---- buffers --------------------------------------------------------------------------------- */

void sim_check_line(struct socket_model *model)
{
    static uint8_t bytes[20000];
    ptrdiff_t count = berth_socket_peek(model->socket, bytes, sizeof bytes);
    if (count == sizeof bytes)
        return;
    bool whole = count > 0 && memchr(bytes, '\n', (size_t)count) != NULL;
    sim_check(berth_socket_can_read_line(model->socket) == whole, "can_read_line is wrong");
}

/* In a transaction, which is begun, undone or kept. */
void sim_try_socket(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    struct way *way = model != NULL ? sim_way_in(model) : NULL;
    if (way == NULL)
        return;
    if (!berth_socket_in_transaction(model->socket)) {
        sim_say("socket %zu begins to read on trial", sim_number_of(model));
        berth_socket_start_transaction(model->socket);
        model->trial = way->got;
        model->doubled = false;
        uint32_t how = sim_choose(&word, 3);
        if (how == 0) { /* it only looks ahead */
            sim_read(model, 1 + sim_choose(&word, 400));
            sim_check_line(model);
            berth_socket_rollback_transaction(model->socket);
            way->got = model->trial;
            sim_check_line(model);
        } else if (how == 1) { /* as much as there is room for, so that no more comes */
            berth_socket_set_read_buffer_size(model->socket, 10);
            sim_read(model, SIZE_MAX);
        }
    } else if (!model->doubled && sim_choose(&word, 2) == 0) {
        sim_say("socket %zu gives back what it has read", sim_number_of(model));
        berth_socket_rollback_transaction(model->socket);
        way->got = model->trial;
        sim_check_line(model);
    } else {
        sim_say("socket %zu keeps what it has read", sim_number_of(model));
        berth_socket_commit_transaction(model->socket);
    }
}

static void read_line(struct socket_model *model, uint64_t word)
{
    char line[300];
    size_t size = 2 + sim_choose(&word, sizeof line - 2);
    struct way *way = sim_way_in(model);
    size_t available = berth_socket_bytes_available(model->socket);
    sim_check_line(model);
    bool whole = berth_socket_can_read_line(model->socket);
    ptrdiff_t count = berth_socket_read_line(model->socket, line, size);
    sim_say("socket %zu reads a line: %td of %zu bytes", sim_number_of(model), count, available);
    sim_check(count <= (ptrdiff_t)(size - 1) && count <= (ptrdiff_t)available,
              "a line is longer than it can be");
    sim_check((available > 0) == (count > 0), "a line of %td bytes out of %zu", count, available);
    if (count <= 0)
        return;
    const char *found = memchr(line, '\n', (size_t)count);
    sim_check(line[count] == '\0', "a line is not terminated");
    sim_check(found == NULL || found == &line[count - 1], "a line goes on behind its end");
    sim_check(found != NULL || !whole || (size_t)count == size - 1, "a whole line is cut");
    sim_check(found == NULL || whole, "a line is there without being there");
    sim_match(way, (const uint8_t *)line, (size_t)count, "a socket");
}

/* Thrown away and not looked at: the bytes behind show whether it was as many. */
static void skip(struct socket_model *model, uint64_t word)
{
    struct way *way = sim_way_in(model);
    size_t size = sim_choose(&word, 200);
    size_t available = berth_socket_bytes_available(model->socket);
    ptrdiff_t count = berth_socket_skip(model->socket, size);
    sim_say("socket %zu skips %td bytes", sim_number_of(model), count);
    sim_check(count == (ptrdiff_t)(available < size ? available : size) ||
                  (available == 0 && count == -1),
              "%zu of %zu bytes are skipped as %td", size, available, count);
    if (count > 0)
        way->got += (size_t)count;
}

static void set_timeouts(struct socket_model *model, uint64_t word)
{
    uint32_t milliseconds = sim_choose(&word, 2) == 0 ? 0 : sim_choose(&word, 3000);
    if (sim_choose(&word, 2) == 0) {
        sim_say("socket %zu connects within %u ms", sim_number_of(model), milliseconds);
        berth_socket_set_connect_timeout(model->socket, milliseconds);
        sim_check(berth_socket_connect_timeout(model->socket) == milliseconds,
                  "the time to connect was not kept");
        return;
    }
    sim_say("socket %zu closes within %u ms", sim_number_of(model), milliseconds);
    const berth_socket *socket = model->socket;
    sim_clock_close(model, milliseconds);
    sim_check(model->socket != socket || berth_socket_close_timeout(model->socket) == milliseconds,
              "the time to close was not kept");
}

void sim_call_of_ends(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    if (model == NULL)
        return;
    switch (sim_choose(&word, 7)) {
    case 0:
    case 1:
        shut_output(model, word);
        break;
    case 2:
    case 3:
        release(model, word);
        break;
    case 4:
        read_line(model, word);
        break;
    case 5:
        skip(model, word);
        break;
    default:
        set_timeouts(model, word);
    }
}
