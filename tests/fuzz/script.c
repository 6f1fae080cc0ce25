/*
 * Bytes as a program: calls of the public API and acts of peers, on the simulated kernel.
 *
 * The first bytes choose the kernel's seed, delays, sizes and limits. Then each step takes a byte
 * for what to do and one for its argument. Handlers take steps from the same input while they run,
 * so that calls come from inside handlers, freeing included. What a script can hold is small: a few
 * servers, sockets, peers and timers, each in a slot that is empty, or holds an object that may be
 * used.
 *
 * Beside the sanitizers these are looked at: every stream carries the same pattern, by which each
 * receiver sees a byte that is lost, doubled or out of order; states are those of the enum; nothing
 * of the library's memory is left when its loop has gone.
 */
#include "check.h"

#include "backend/sim.h"
#include "fault.h"

#include <berth/berth.h>

#include <string.h>

enum {
    SERVERS = 3,
    SOCKETS = 6,
    PEERS = 6,
    TIMERS = 2,
    STEPS = 400,
    DEPTH = 4,       /* of handlers that take steps */
    NESTED_STEPS = 3 /* in one handler */
};

struct slot {
    berth_socket *socket;
    berth_server *owner;
    size_t received;
    size_t written;
};

struct peer {
    berth__sim_end *end;
    size_t received;
    size_t sent;
};

static struct {
    const uint8_t *at;
    const uint8_t *end;
    unsigned steps;
    unsigned depth;
    berth_loop *loop;
    berth__backend *kernel;
    berth_server *servers[SERVERS];
    struct slot sockets[SOCKETS];
    struct peer peers[PEERS];
    berth_timer *timers[TIMERS];
    uint16_t port; /* of a listener on the peers' side */
} script;

static long blocks;

static uint8_t next_byte(void)
{
    return script.at < script.end ? *script.at++ : 0;
}

static uint8_t pattern(size_t place)
{
    return (uint8_t)(place * 31 + (place >> 8));
}

static void fill(uint8_t *bytes, size_t size, size_t place)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = pattern(place + i);
}

static void check_bytes(const uint8_t *bytes, size_t size, size_t place)
{
    for (size_t i = 0; i < size; i++)
        CHECK(bytes[i] == pattern(place + i));
}

static void steps(unsigned most);

static struct slot *slot_of(const berth_socket *socket)
{
    for (int i = 0; i < SOCKETS; i++) {
        if (script.sockets[i].socket == socket)
            return &script.sockets[i];
    }
    return NULL;
}

static void nested(void)
{
    if (script.depth >= DEPTH || script.at >= script.end)
        return;
    script.depth++;
    steps(next_byte() % (NESTED_STEPS + 1));
    script.depth--;
}

/* ---- handlers -------------------------------------------------------------------------------- */

static void on_socket(berth_socket *socket, void *user)
{
    (void)user;
    if (slot_of(socket) != NULL)
        nested();
}

static void on_written(berth_socket *socket, size_t bytes, void *user)
{
    CHECK(bytes > 0);
    on_socket(socket, user);
}

static void on_error(berth_socket *socket, berth_error error, void *user)
{
    CHECK(error != BERTH_ERROR_NONE && error == berth_socket_error(socket));
    CHECK(berth_socket_error_string(socket)[0] != '\0');
    on_socket(socket, user);
}

static void on_state(berth_socket *socket, berth_state state, void *user)
{
    CHECK(state <= BERTH_STATE_CLOSING);
    on_socket(socket, user);
}

static const berth_socket_handlers socket_handlers = {
    .ready_read = on_socket,
    .bytes_written = on_written,
    .connected = on_socket,
    .disconnected = on_socket,
    .error_occurred = on_error,
    .state_changed = on_state,
    .read_channel_finished = on_socket,
    .drained = on_socket,
};

static bool is_known(const berth_server *server)
{
    for (int i = 0; i < SERVERS; i++) {
        if (script.servers[i] == server)
            return true;
    }
    return false;
}

static void on_connection(berth_server *server, void *user)
{
    (void)user;
    if (is_known(server))
        nested();
}

static void on_accept_error(berth_server *server, berth_error error, void *user)
{
    CHECK(error != BERTH_ERROR_NONE);
    on_connection(server, user);
}

static const berth_server_handlers server_handlers = {
    .new_connection = on_connection,
    .accept_error = on_accept_error,
};

static void on_timer(berth_timer *timer, void *user)
{
    (void)timer;
    (void)user;
    nested();
}

static void on_task(void *user)
{
    (void)user;
    nested();
}

/* ---- what a server can be told --------------------------------------------------------------- */

static void keep(berth_socket *socket, berth_server *owner)
{
    struct slot *slot = slot_of(NULL);
    if (slot == NULL) {
        berth_socket_free(socket);
        return;
    }
    *slot = (struct slot){.socket = socket, .owner = owner};
    berth_socket_set_handlers(socket, &socket_handlers, NULL);
}

/* Sockets of a server go with it, and the handlers of their ends must not find them any more. */
static void free_server(berth_server **place)
{
    berth_server *server = *place;
    for (int i = 0; i < SOCKETS; i++) {
        if (script.sockets[i].owner == server)
            script.sockets[i] = (struct slot){0};
    }
    *place = NULL;
    berth_server_free(server);
}

static void requeue(berth_server *server, uint8_t argument)
{
    struct slot *slot = &script.sockets[argument % SOCKETS];
    berth_socket *socket = slot->socket;
    /* Bytes of it that were read already would break the pattern for who takes it next; and one
     * that another server owns goes with that one, also when this one has given it away. */
    if (socket == NULL || slot->received > 0 || slot->written > 0)
        return;
    if (slot->owner != NULL && slot->owner != server)
        return;
    *slot = (struct slot){0};
    berth_server_add_pending_connection(server, socket);
}

static void take_connection(berth_server *server)
{
    berth_socket *socket = berth_server_next_pending_connection(server);
    if (socket != NULL)
        keep(socket, server);
}

static void act_on_server(berth_server **place, uint8_t what, uint8_t argument)
{
    berth_server *server = *place;
    bool timed_out = false;
    switch (what % 12) {
    case 0:
        berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, argument % 4 ? 0 : 7777);
        break;
    case 1:
        berth_server_close(server);
        break;
    case 2:
        free_server(place);
        break;
    case 3:
        berth_server_pause_accepting(server);
        break;
    case 4:
        berth_server_resume_accepting(server);
        break;
    case 5:
        berth_server_set_max_pending_connections(server, argument % 8 - 1);
        break;
    case 6:
        berth_server_wait_for_new_connection(server, argument % 20, &timed_out);
        break;
    case 7:
        requeue(server, argument);
        break;
    case 8:
        berth_server_set_listen_backlog_size(server, argument % 6);
        break;
    default:
        take_connection(server);
        break;
    }
}

/* ---- what a socket can be told --------------------------------------------------------------- */

static void free_socket(struct slot *slot)
{
    berth_socket *socket = slot->socket;
    *slot = (struct slot){0};
    berth_socket_free(socket);
}

static void write_some(struct slot *slot, size_t size)
{
    uint8_t bytes[4096];
    size = size % sizeof bytes;
    fill(bytes, size, slot->written);
    ptrdiff_t done = berth_socket_write(slot->socket, bytes, size);
    CHECK(done <= (ptrdiff_t)size);
    /* Nothing is called inside a write, so the slot is what it was. */
    if (done > 0)
        slot->written += (size_t)done;
}

static void read_some(struct slot *slot, size_t size, bool peeks)
{
    uint8_t bytes[4096];
    size = size % sizeof bytes;
    size_t place = slot->received;
    berth_socket *socket = slot->socket;
    ptrdiff_t done =
        peeks ? berth_socket_peek(socket, bytes, size) : berth_socket_read(socket, bytes, size);
    if (done <= 0)
        return;
    CHECK((size_t)done <= size);
    check_bytes(bytes, (size_t)done, place);
    if (!peeks && slot->socket == socket)
        slot->received += (size_t)done;
}

static void view(struct slot *slot)
{
    size_t size = 0;
    const void *bytes = berth_socket_view(slot->socket, &size);
    if (bytes != NULL)
        check_bytes(bytes, size, slot->received);
}

static void wait(berth_socket *socket, uint8_t argument)
{
    int milliseconds = argument / 4;
    switch (argument % 4) {
    case 0:
        berth_socket_wait_for_connected(socket, milliseconds);
        break;
    case 1:
        berth_socket_wait_for_ready_read(socket, milliseconds);
        break;
    case 2:
        berth_socket_wait_for_bytes_written(socket, milliseconds);
        break;
    default:
        berth_socket_wait_for_disconnected(socket, milliseconds);
        break;
    }
}

/* Places count from the beginning of a connection, so a slot is for one connection only: a second
 * one is begun only by a socket that has moved nothing yet. */
static void connect_to(struct slot *slot, uint8_t argument)
{
    if (slot->received > 0 || slot->written > 0 || berth_socket_bytes_available(slot->socket) > 0)
        return;
    berth_server *server = script.servers[argument % SERVERS];
    uint16_t port = argument % 8 == 7 || server == NULL ? script.port : berth_server_port(server);
    berth_socket_connect_to_address(slot->socket, BERTH_ADDRESS_LOOPBACK, port > 0 ? port : 9);
}

static void act_at_the_end(struct slot *slot, uint8_t what)
{
    switch (what % 6) {
    case 0:
        free_socket(slot);
        break;
    case 1:
        berth_socket_abort(slot->socket);
        break;
    case 2:
        berth_socket_close(slot->socket);
        break;
    case 3:
        berth_socket_reset(slot->socket);
        break;
    case 4:
        berth_socket_detach(slot->socket);
        slot->owner = NULL;
        break;
    default:
        berth_socket_disconnect_from_host(slot->socket);
        break;
    }
}

static void act_on_socket(struct slot *slot, uint8_t what, uint8_t argument)
{
    CHECK(berth_socket_state(slot->socket) <= BERTH_STATE_CLOSING);
    switch (what % 14) {
    case 0:
        connect_to(slot, argument);
        break;
    case 1:
    case 2:
        write_some(slot, argument * 13U);
        break;
    case 3:
    case 4:
        read_some(slot, argument * 17U, false);
        break;
    case 5:
        read_some(slot, argument, true);
        break;
    case 6:
        view(slot);
        break;
    case 7:
        wait(slot->socket, argument);
        break;
    case 8:
        berth_socket_set_read_buffer_size(slot->socket, argument % 4 * (size_t)argument);
        break;
    case 9:
        berth_socket_flush(slot->socket);
        break;
    case 10:
        berth_socket_set_half_close(slot->socket, argument % 2);
        break;
    case 11:
        berth_socket_set_write_marks(slot->socket, argument, (size_t)argument * 4);
        break;
    case 12:
        berth_socket_set_connect_timeout(slot->socket, argument);
        break;
    default:
        act_at_the_end(slot, argument);
        break;
    }
}

/* ---- what peers do --------------------------------------------------------------------------- */

static void peer_arrives(uint8_t argument)
{
    struct peer *peer = &script.peers[argument % PEERS];
    if (peer->end != NULL)
        return;
    *peer = (struct peer){0};
    berth_server *server = script.servers[argument / 8 % SERVERS];
    int error = 0;
    if (argument >= 192 && script.port != 0)
        peer->end = berth__sim_accept(script.kernel, script.port);
    else if (server != NULL && berth_server_port(server) != 0)
        peer->end = berth__sim_connect(script.kernel, BERTH_ADDRESS_LOOPBACK,
                                       berth_server_port(server), &error);
}

static void peer_sends(struct peer *peer, size_t size)
{
    uint8_t bytes[4096];
    size = size % sizeof bytes;
    fill(bytes, size, peer->sent);
    ptrdiff_t done = berth__sim_send(peer->end, bytes, size);
    if (done > 0)
        peer->sent += (size_t)done;
}

static void peer_receives(struct peer *peer, size_t size)
{
    uint8_t bytes[4096];
    ptrdiff_t done = berth__sim_receive(peer->end, bytes, size % sizeof bytes);
    if (done <= 0)
        return;
    check_bytes(bytes, (size_t)done, peer->received);
    peer->received += (size_t)done;
}

static void peer_goes(struct peer *peer, bool reset)
{
    berth__sim_end *end = peer->end;
    *peer = (struct peer){0};
    if (reset)
        berth__sim_reset(end);
    else
        berth__sim_close(end);
}

static void act_as_peer(struct peer *peer, uint8_t what, uint8_t argument)
{
    switch (what % 6) {
    case 0:
    case 1:
        peer_sends(peer, argument * 19U);
        break;
    case 2:
    case 3:
        peer_receives(peer, argument * 23U);
        break;
    case 4:
        berth__sim_shutdown(peer->end);
        break;
    default:
        peer_goes(peer, argument % 2);
        break;
    }
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void make(uint8_t argument)
{
    berth_server **server = &script.servers[argument / 4 % SERVERS];
    berth_timer **timer = &script.timers[argument / 4 % TIMERS];
    berth_socket *socket;
    switch (argument % 4) {
    case 0:
        if (*server == NULL)
            *server = berth_server_new(script.loop, &server_handlers, NULL);
        break;
    case 1:
        socket = berth_socket_new(script.loop, &socket_handlers, NULL);
        if (socket != NULL)
            keep(socket, NULL);
        break;
    case 2:
        if (*timer == NULL)
            *timer = berth_timer_new(script.loop, on_timer, NULL);
        if (*timer != NULL)
            berth_timer_start(*timer, argument / 8, argument % 16);
        break;
    default:
        berth_timer_free(*timer);
        *timer = NULL;
        break;
    }
}

static void act_on_kernel(uint8_t what, uint8_t argument)
{
    static const int errors[] = {4, 12, 23, 24, 103, 104}; /* EINTR ENOMEM ENFILE EMFILE ... */
    int error = errors[argument % 6];
    switch (what % 6) {
    case 0:
        berth__sim_fail_accept(script.kernel, error, 1 + argument / 64);
        break;
    case 1:
        berth__sim_fail_send(script.kernel, error, 1);
        break;
    case 2:
        berth__sim_settings_of(script.kernel)->descriptor_limit =
            argument % 2 ? UINT32_MAX : berth__sim_open_descriptors(script.kernel) + argument / 32;
        break;
    case 3:
        berth__fault_set_memory(argument % 16, 1 + argument / 64);
        break;
    case 4:
        berth__fault_clear();
        break;
    default:
        if (script.port == 0 &&
            berth__sim_listen(script.kernel, &script.port, 1 + argument % 4) != 0)
            script.port = 0;
        break;
    }
}

static void step(void)
{
    uint8_t what = next_byte();
    uint8_t argument = next_byte();
    uint8_t which = what / 8;
    berth_server **server = &script.servers[which % SERVERS];
    struct slot *slot = &script.sockets[which % SOCKETS];
    struct peer *peer = &script.peers[which % PEERS];
    switch (what % 8) {
    case 0:
        make(argument);
        break;
    case 1:
        if (*server != NULL)
            act_on_server(server, argument, next_byte());
        break;
    case 2:
    case 3:
        if (slot->socket != NULL)
            act_on_socket(slot, argument, next_byte());
        break;
    case 4:
        peer_arrives(argument);
        break;
    case 5:
        if (peer->end != NULL)
            act_as_peer(peer, argument, next_byte());
        break;
    case 6:
        act_on_kernel(which, argument);
        break;
    default:
        if (argument % 16 == 15)
            berth_loop_post(script.loop, on_task, NULL);
        else
            berth_loop_turn(script.loop, argument % 8);
        break;
    }
}

static void steps(unsigned most)
{
    for (unsigned i = 0; i < most && script.at < script.end && script.steps < STEPS; i++) {
        script.steps++;
        step();
    }
}

static void *count_allocate(size_t size)
{
    void *memory = malloc(size);
    blocks += memory != NULL;
    return memory;
}

static void *count_reallocate(void *memory, size_t size)
{
    void *moved = realloc(memory, size);
    blocks += memory == NULL && moved != NULL;
    return moved;
}

static void count_release(void *memory)
{
    blocks -= memory != NULL;
    free(memory);
}

static void begin(void)
{
    static const berth_allocator counting = {
        .allocate = count_allocate,
        .reallocate = count_reallocate,
        .release = count_release,
    };
    static const size_t sizes[] = {65536, 1, 7, 100, 4096};
    setenv("BERTH_BACKEND", "sim", 1);
    berth_set_allocator(&counting);
    berth__fault_clear();
    script.loop = berth_loop_new(NULL);
    CHECK(script.loop != NULL);
    script.kernel = berth__sim_last();
    berth__sim_set_seed(script.kernel, next_byte());
    berth__sim_settings *settings = berth__sim_settings_of(script.kernel);
    settings->max_transfer = next_byte() % 2 ? next_byte() : 0;
    settings->buffer_size = sizes[next_byte() % 5];
    settings->max_delay = next_byte() % 4 * UINT64_C(1000000);
    settings->patience = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memset(&script, 0, sizeof script);
    script.at = data;
    script.end = size > 0 ? data + size : data;
    begin();
    while (script.at < script.end && script.steps < STEPS)
        steps(STEPS);
    script.at = script.end;
    berth__fault_clear();
    berth_loop_turn(script.loop, 5);
    /* No handler finds its object any more: they are all on their way out. */
    memset(script.sockets, 0, sizeof script.sockets);
    memset(script.servers, 0, sizeof script.servers);
    berth_loop_free(script.loop);
    CHECK(blocks == 0);
    return 0;
}
