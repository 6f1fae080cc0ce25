/*
 * Everything at any time: random calls on servers, sockets and clients of one loop, inside every
 * handler, with operations in flight. Two threads, each with a loop of its own, which post to each
 * other.
 *
 *     chaos SECONDS [SEED]
 *
 * Each thread has a server and up to 40 sockets on either side of it. Every handler first looks
 * whether it may still be called (`late` counts those after the terminal one or after free), and
 * then makes up to two random calls on random objects, its own included: writing, reading, pausing,
 * closing, aborting, freeing, turning the loop, waiting. Closing a server is followed by listening
 * on the same port at once, which has to succeed (`rebinds`, `unbound`).
 *
 * A socket's user pointer is a number, made of its slot and of how often the slot was used, so that
 * a call that comes too late is seen without touching what was freed.
 *
 * The last line is JSON with the counts; what is left afterwards has to be nothing. Ends with 77 if
 * the backend is refused. The rest is for the sanitizers to see.
 */
#include <berth/berth.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "account.h"

enum {
    THREADS = 2,
    SLOTS = 80,
    DEEPEST = 5, /* handlers inside handlers in which calls are still made */
    BLOCK = 65536
};

typedef struct slot {
    berth_socket *socket; /* NULL: free */
    berth_server *owner;  /* frees it too */
    uintptr_t uses;
    bool ended;
} slot;

typedef struct world {
    pthread_t thread;
    berth_loop *loop;
    berth_server *server;
    uint16_t port;
    slot slots[SLOTS];
    unsigned seed;
    int depth;
    bool ending;
    unsigned long calls, taken, ended, connects, rebinds, unbound, late, posted;
} world;

static world worlds[THREADS];
static _Thread_local world *here;
static pthread_barrier_t all_ready, all_done;
static long seconds;
static char block[BLOCK];
static atomic_bool refused;

static void act(void);

static unsigned draw(unsigned below)
{
    return (unsigned)rand_r(&here->seed) % below;
}

/* ---- slots ----------------------------------------------------------------------------------- */

static void *user_of(const slot *slot)
{
    return (void *)(slot->uses * SLOTS + (uintptr_t)(slot - here->slots));
}

/* The slot that a handler is called for; NULL if it is called too late. */
static slot *slot_of(void *user)
{
    slot *slot = &here->slots[(uintptr_t)user % SLOTS];
    if (slot->socket != NULL && !slot->ended && slot->uses == (uintptr_t)user / SLOTS)
        return slot;
    here->late++;
    return NULL;
}

static slot *free_slot(void)
{
    for (int i = 0; i < SLOTS; i++)
        if (here->slots[i].socket == NULL)
            return &here->slots[i];
    return NULL;
}

static void let_go(slot *slot)
{
    slot->socket = NULL;
    slot->uses++;
}

/* `disconnected` is called inside, and may come here first. */
static void free_slot_of(slot *slot)
{
    uintptr_t uses = slot->uses;
    berth_socket_free(slot->socket);
    if (slot->uses == uses)
        let_go(slot);
}

/* ---- handlers -------------------------------------------------------------------------------- */

static void on_socket(berth_socket *socket, void *user)
{
    (void)socket;
    if (slot_of(user) != NULL)
        act();
}

static void on_error(berth_socket *socket, berth_error error, void *user)
{
    (void)error;
    on_socket(socket, user);
}

static void on_state(berth_socket *socket, berth_state state, void *user)
{
    (void)state;
    on_socket(socket, user);
}

static void on_written(berth_socket *socket, size_t bytes, void *user)
{
    (void)bytes;
    on_socket(socket, user);
}

static void on_disconnected(berth_socket *socket, void *user)
{
    slot *slot = slot_of(user);
    if (slot == NULL)
        return;
    (void)socket;
    here->ended++;
    slot->ended = true;
    act();
    if (slot->socket == socket && slot->uses == (uintptr_t)user / SLOTS)
        free_slot_of(slot);
}

static const berth_socket_handlers socket_handlers = {
    .ready_read = on_socket,
    .bytes_written = on_written,
    .connected = on_socket,
    .disconnected = on_disconnected,
    .error_occurred = on_error,
    .state_changed = on_state,
    .read_channel_finished = on_socket,
    .host_found = on_socket,
    .drained = on_socket,
};

static void take(void)
{
    slot *slot = free_slot();
    berth_socket *socket = slot != NULL ? berth_server_next_pending_connection(here->server) : NULL;
    if (socket == NULL)
        return;
    here->taken++;
    slot->socket = socket;
    slot->owner = here->server;
    slot->ended = false;
    berth_socket_set_handlers(socket, &socket_handlers, user_of(slot));
}

static void on_connection(berth_server *server, void *user)
{
    (void)server;
    (void)user;
    take();
    act();
}

static const berth_server_handlers server_handlers = {.new_connection = on_connection};

/* ---- calls ----------------------------------------------------------------------------------- */

static void connect_one(void)
{
    slot *slot = free_slot();
    if (slot == NULL || here->ending)
        return;
    slot->ended = false;
    slot->owner = NULL;
    slot->socket = berth_socket_new(here->loop, &socket_handlers, user_of(slot));
    if (slot->socket == NULL)
        return;
    here->connects++;
    berth_socket_connect_to_address(slot->socket, BERTH_ADDRESS_LOOPBACK, here->port);
}

static void listen_again(void)
{
    here->rebinds++;
    if (!berth_server_listen(here->server, BERTH_ADDRESS_LOOPBACK, here->port))
        here->unbound++;
    here->port = berth_server_port(here->server);
}

/* The sockets that the server owns are freed with it, and those that are unconnected already hear
 * nothing of it: no calls are made until their slots have been let go. */
static void renew_server(void)
{
    berth_server *old = here->server;
    berth_server *fresh = berth_server_new(here->loop, &server_handlers, NULL);
    if (fresh == NULL)
        return;
    berth_server_close(old);
    here->server = fresh;
    listen_again();
    here->depth += DEEPEST;
    berth_server_free(old);
    here->depth -= DEEPEST;
    for (int i = 0; i < SLOTS; i++)
        if (here->slots[i].socket != NULL && here->slots[i].owner == old)
            let_go(&here->slots[i]);
}

static void act_on_server(void)
{
    switch (draw(12)) {
    case 0:
        berth_server_close(here->server);
        listen_again();
        break;
    case 1:
        if (here->depth == 1)
            renew_server();
        break;
    case 2:
        berth_server_pause_accepting(here->server);
        break;
    case 3:
    case 4:
        berth_server_resume_accepting(here->server);
        break;
    case 5:
        berth_server_set_max_pending_connections(here->server, (int)draw(8));
        break;
    case 6:
        if (here->depth < 3)
            (void)berth_server_wait_for_new_connection(here->server, 0, NULL);
        break;
    default:
        take();
    }
}

static void read_some(berth_socket *socket)
{
    char bytes[4096];
    while (berth_socket_read(socket, bytes, sizeof bytes) > 0)
        ;
}

/* Waits turn the loop; not too deep, or it would never come back. */
static void wait_some(berth_socket *socket)
{
    if (here->depth > 2)
        return;
    switch (draw(3)) {
    case 0:
        (void)berth_socket_wait_for_ready_read(socket, (int)draw(2));
        break;
    case 1:
        (void)berth_socket_wait_for_bytes_written(socket, 1);
        break;
    default:
        (void)berth_socket_wait_for_disconnected(socket, 0);
    }
}

static void act_on_socket(slot *slot)
{
    berth_socket *socket = slot->socket;
    switch (draw(16)) {
    case 0:
        berth_socket_close(socket);
        break;
    case 1:
        berth_socket_abort(socket);
        break;
    case 2:
        berth_socket_reset(socket);
        break;
    case 3:
        free_slot_of(slot);
        break;
    case 4:
        berth_socket_disconnect_from_host(socket);
        break;
    case 5:
        berth_socket_set_read_buffer_size(socket, draw(2) * 100);
        break;
    case 6:
        berth_socket_set_half_close(socket, draw(2) != 0);
        break;
    case 7:
        (void)berth_socket_flush(socket);
        break;
    case 8:
        wait_some(socket);
        break;
    case 9:
    case 10:
        (void)berth_socket_write(socket, block, BLOCK);
        break;
    case 11:
    case 12:
        read_some(socket);
        break;
    default:
        (void)berth_socket_write(socket, block, 1 + draw(1000));
    }
}

static void posted(void *user)
{
    (void)user;
    here->posted++;
    act();
}

static void act(void)
{
    if (here->depth >= DEEPEST || here->ending)
        return;
    here->depth++;
    for (unsigned times = draw(3); times > 0 && !here->ending; times--) {
        here->calls++;
        slot *slot = &here->slots[draw(SLOTS)];
        unsigned what = draw(20);
        if (what == 0)
            connect_one();
        else if (what == 1 && here->depth < 3)
            (void)berth_loop_turn(here->loop, 0);
        else if (what < 5)
            act_on_server();
        else if (what == 5)
            (void)berth_loop_post(worlds[draw(THREADS)].loop, posted, NULL);
        else if (slot->socket != NULL)
            act_on_socket(slot);
    }
    here->depth--;
}

/* ---- a thread -------------------------------------------------------------------------------- */

static void clean_up(void)
{
    here->ending = true;
    for (int i = 0; i < SLOTS; i++)
        if (here->slots[i].socket != NULL)
            free_slot_of(&here->slots[i]);
    berth_server_free(here->server);
    berth_loop_free(here->loop);
}

static void *live(void *world)
{
    here = world;
    here->loop = berth_loop_new(NULL);
    here->server = here->loop ? berth_server_new(here->loop, &server_handlers, NULL) : NULL;
    if (here->server == NULL || !berth_server_listen(here->server, BERTH_ADDRESS_LOOPBACK, 0))
        atomic_store(&refused, true);
    (void)pthread_barrier_wait(&all_ready);
    if (!atomic_load(&refused)) {
        here->port = berth_server_port(here->server);
        time_t end = time(NULL) + seconds;
        while (time(NULL) < end) {
            for (int i = 0; i < 4; i++)
                connect_one();
            act();
            (void)berth_loop_turn(here->loop, 1);
        }
    }
    here->ending = true;
    (void)pthread_barrier_wait(&all_done); /* from here on nobody posts */
    clean_up();
    return NULL;
}

static void report(void)
{
    world sum = {0};
    for (int i = 0; i < THREADS; i++) {
        sum.calls += worlds[i].calls;
        sum.taken += worlds[i].taken;
        sum.ended += worlds[i].ended;
        sum.connects += worlds[i].connects;
        sum.rebinds += worlds[i].rebinds;
        sum.unbound += worlds[i].unbound;
        sum.late += worlds[i].late;
        sum.posted += worlds[i].posted;
    }
    printf("{\"calls\": %lu, \"connects\": %lu, \"taken\": %lu, \"ended\": %lu, \"posted\": %lu, "
           "\"rebinds\": %lu, \"unbound\": %lu, \"late\": %lu, \"blocks\": %ld, "
           "\"descriptors\": %ld}\n",
           sum.calls, sum.connects, sum.taken, sum.ended, sum.posted, sum.rebinds, sum.unbound,
           sum.late, account_blocks(), account_descriptors());
}

int main(int count, char **arguments)
{
    seconds = count > 1 ? strtol(arguments[1], NULL, 10) : 0;
    if (seconds <= 0) {
        (void)fputs("usage: chaos SECONDS [SEED]\n", stderr);
        return 2;
    }
    unsigned seed = count > 2 ? (unsigned)strtoul(arguments[2], NULL, 10) : 1;
    account_begin();
    (void)pthread_barrier_init(&all_ready, NULL, THREADS);
    (void)pthread_barrier_init(&all_done, NULL, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        worlds[i].seed = seed * THREADS + i;
        if (pthread_create(&worlds[i].thread, NULL, live, &worlds[i]) != 0)
            return 2;
    }
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(worlds[i].thread, NULL);
    if (atomic_load(&refused)) {
        printf("there is no backend, or no port\n");
        return 77;
    }
    report();
    return 0;
}
