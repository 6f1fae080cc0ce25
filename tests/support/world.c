/*
 * The world: its loop, its turns, and everything that differs between the real kernel and the
 * simulated one in one line.
 *
 * Real peers live in peer_real.c, simulated ones in peer_sim.c, both behind the table of
 * world_side.h.
 */
#include "world.h"

#include "balance.h"
#include "world_side.h"

#include "backend/sim.h"
#include "daemon/inherited.h"
#include "loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTLE_TURNS 25
#define MOST_NOTED 256
#define MOST_POOLS 4

#define IMPATIENT_TURNS 20
#define IMPATIENT_SECONDS 3

int world_turns = 3000;

static berth_loop *loop;
static berth_loop *second_loop;
static berth_workers *pools[MOST_POOLS];
static void (*turn_bare)(int milliseconds);
static void (*end_bare)(void);
static void (*make_bare)(void);
static struct peer *peers;
static struct {
    int descriptor;
    dev_t device;
    ino_t inode;
} noted[MOST_NOTED];
static unsigned noted_count;

/* ---- the loop ----------------------------------------------------------------------------------
 */

bool world_is_simulated(void)
{
    const char *backend = getenv("BERTH_BACKEND");
    return backend != NULL && strcmp(backend, "sim") == 0;
}

berth_loop *world_loop(void)
{
    if (loop == NULL)
        loop = berth_loop_new(NULL);
    ck_assert_msg(loop != NULL, "no loop: %s", strerror(errno));
    if (world_is_impatient() && world_is_simulated())
        berth__sim_settings_of(berth__sim_last())->patience = 50;
    return loop;
}

void world_free_loop(void)
{
    for (struct peer *each = peers; each != NULL && world_is_simulated(); each = each->next)
        each->end = NULL; /* it goes with its kernel */
    berth_loop_free(loop);
    loop = NULL;
}

berth_loop *world_second_loop(void)
{
    if (second_loop == NULL)
        second_loop = berth_loop_new(NULL);
    ck_assert_msg(second_loop != NULL, "no second loop: %s", strerror(errno));
    return second_loop;
}

void world_free_second_loop(void)
{
    berth_loop_free(second_loop);
    second_loop = NULL;
}

berth_workers *world_pool(berth_workers *workers)
{
    unsigned place = 0;
    while (place < MOST_POOLS && pools[place] != NULL)
        place++;
    ck_assert_uint_lt(place, MOST_POOLS);
    return pools[place] = workers;
}

void world_free_pool(berth_workers *workers)
{
    for (unsigned place = 0; place < MOST_POOLS; place++) {
        if (pools[place] == workers)
            pools[place] = NULL;
    }
    berth_workers_free(workers);
}

void world_use_backend(void (*turn)(int milliseconds), void (*end)(void))
{
    turn_bare = turn;
    end_bare = end;
}

berth__backend *world_sim(void)
{
    if (!world_is_simulated())
        return NULL;
    if (make_bare != NULL)
        make_bare();
    else
        world_loop();
    return berth__sim_last();
}

void world_make_backend_by(void (*make)(void))
{
    make_bare = make;
}

static void turn(int milliseconds)
{
    if (turn_bare != NULL)
        turn_bare(milliseconds);
    else
        berth_loop_turn(world_loop(), milliseconds);
}

void world_turn(void)
{
    turn(5);
}

static void stop_late(berth_timer *timer, void *user)
{
    (void)timer;
    (void)user;
    berth_loop_stop(world_loop(), INT_MIN);
}

int world_run(void)
{
    if (!world_is_impatient())
        return berth_loop_run(world_loop());
    berth_timer *timer = berth_timer_new(world_loop(), stop_late, NULL);
    ck_assert_ptr_nonnull(timer);
    berth_timer_start(timer, IMPATIENT_SECONDS * 1000, 0);
    int code = berth_loop_run(world_loop());
    berth_timer_free(timer);
    return code;
}

void world_settle(void)
{
    for (int turns = 0; turns < SETTLE_TURNS; turns++)
        turn(1);
}

bool world_run_until(bool (*condition)(void *context), void *context)
{
    for (int turns = 0; turns < WORLD_TURNS && !condition(context); turns++)
        world_turn();
    return condition(context);
}

static const struct side *side(void)
{
    return world_is_simulated() ? &simulated_side : &real_side;
}

void world_begin(void)
{
    peers = NULL;
}

void world_end(void)
{
    while (peers != NULL)
        peer_close(peers);
    world_relieve();
    side()->unlisten_all();
    world_end_local();
    if (end_bare != NULL)
        end_bare();
    world_free_second_loop();
    world_free_loop();
    for (unsigned place = 0; place < MOST_POOLS; place++)
        world_free_pool(pools[place]);
    berth__inherited_forget();
}

void world_be_impatient(void)
{
    world_turns = IMPATIENT_TURNS;
}

bool world_is_impatient(void)
{
    return world_turns == IMPATIENT_TURNS;
}

int world_seconds(int most)
{
    return world_is_impatient() && most > IMPATIENT_SECONDS ? IMPATIENT_SECONDS : most;
}

int world_for_ever(void)
{
    return world_is_impatient() ? IMPATIENT_SECONDS * 1000 : -1;
}

static bool is_inside(const berth_loop *any)
{
    return any != NULL && (any->depth > 0 || any->frames > 0 || any->life == BERTH__LOOP_ENDING);
}

bool world_is_inside(void)
{
    return is_inside(loop) || is_inside(second_loop);
}

/* ---- peers -------------------------------------------------------------------------------------
 */

struct peer *world_new_peer(void)
{
    struct peer *fresh = calloc(1, sizeof *fresh);
    ck_assert_ptr_nonnull(fresh);
    fresh->descriptor = -1;
    fresh->next = peers;
    peers = fresh;
    return fresh;
}

static void free_peer(struct peer *gone)
{
    for (struct peer **link = &peers; *link != NULL; link = &(*link)->next) {
        if (*link != gone)
            continue;
        *link = gone->next;
        break;
    }
    free(gone);
}

struct peer *world_connect_to(berth_address address, uint16_t port)
{
    struct peer *fresh = world_new_peer();
    int error = side()->connect(fresh, address, port);
    if (error == 0)
        error = side()->establish(fresh);
    if (error == 0)
        return fresh;
    peer_close(fresh);
    errno = error;
    return NULL;
}

struct peer *world_connect(uint16_t port)
{
    struct peer *fresh = world_connect_to(BERTH_ADDRESS_LOOPBACK, port);
    ck_assert_msg(fresh != NULL, "cannot connect to port %u: %s", port, strerror(errno));
    return fresh;
}

struct peer *world_connect_begin(uint16_t port)
{
    struct peer *fresh = world_new_peer();
    ck_assert_int_eq(side()->connect(fresh, BERTH_ADDRESS_LOOPBACK, port), 0);
    return fresh;
}

bool peer_is_connected(struct peer *peer)
{
    return side()->is_established(peer);
}

size_t peer_send_some(struct peer *peer, const void *data, size_t size)
{
    ck_assert_ptr_nonnull(peer);
    ptrdiff_t sent = side()->send(peer, data, size);
    return sent < 0 ? 0 : (size_t)sent;
}

void peer_send(struct peer *peer, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    size_t done = 0;
    for (int idle = 0; done < size && idle < WORLD_TURNS;) {
        size_t sent = peer_send_some(peer, bytes + done, size - done);
        done += sent;
        idle = sent > 0 ? 0 : idle + 1;
        if (done < size)
            world_turn();
    }
    ck_assert_msg(done == size, "the peer could send only %zu bytes of %zu", done, size);
}

void peer_say(struct peer *peer, const char *text)
{
    peer_send(peer, text, strlen(text));
}

size_t peer_receive_some(struct peer *peer, void *data, size_t size)
{
    ck_assert_ptr_nonnull(peer);
    if (peer->ended || peer->was_reset)
        return 0;
    ptrdiff_t received = side()->receive(peer, data, size);
    if (received == 0)
        peer->ended = true;
    else if (received < 0 && received != -EAGAIN)
        peer->was_reset = true;
    return received > 0 ? (size_t)received : 0;
}

size_t peer_receive(struct peer *peer, void *data, size_t size)
{
    uint8_t *bytes = data;
    size_t done = 0;
    ck_assert_ptr_nonnull(peer);
    for (int idle = 0; done < size && idle < WORLD_TURNS && !peer->ended && !peer->was_reset;) {
        size_t received = peer_receive_some(peer, bytes + done, size - done);
        done += received;
        idle = received > 0 ? 0 : idle + 1;
        if (received == 0)
            world_turn();
    }
    return done;
}

bool peer_hears(struct peer *peer, const char *text)
{
    char heard[4096];
    size_t size = strlen(text);
    ck_assert_uint_lt(size, sizeof heard);
    size_t received = peer_receive(peer, heard, size);
    return received == size && memcmp(heard, text, size) == 0;
}

bool peer_sees_either(struct peer *peer)
{
    uint8_t byte;
    return peer_receive_some(peer, &byte, 1) == 0 && (peer->ended || peer->was_reset);
}

bool peer_saw_either(struct peer *peer)
{
    uint8_t byte;
    ck_assert_msg(peer_receive(peer, &byte, 1) == 0, "bytes came instead of the end");
    return peer->ended || peer->was_reset;
}

bool peer_saw_end(struct peer *peer)
{
    return peer_saw_either(peer) && peer->ended;
}

bool peer_saw_reset(struct peer *peer)
{
    return peer_saw_either(peer) && peer->was_reset;
}

void peer_shutdown(struct peer *peer)
{
    ck_assert_ptr_nonnull(peer);
    side()->shutdown(peer);
}

void peer_close(struct peer *peer)
{
    ck_assert_ptr_nonnull(peer);
    side()->close(peer, false);
    free_peer(peer);
}

void peer_reset(struct peer *peer)
{
    ck_assert_ptr_nonnull(peer);
    side()->close(peer, true);
    free_peer(peer);
}

uint16_t peer_port(struct peer *peer)
{
    ck_assert_ptr_nonnull(peer);
    return side()->port(peer);
}

/* ---- the other way round -----------------------------------------------------------------------
 */

uint16_t world_listen(int backlog)
{
    return side()->listen(backlog);
}

void world_greet(uint16_t port, const void *data, size_t size)
{
    side()->greet(port, data, size);
}

struct peer *world_accept(uint16_t port)
{
    for (int turns = 0; turns < WORLD_TURNS; turns++) {
        struct peer *fresh = world_new_peer();
        if (side()->accept(fresh, port))
            return fresh;
        free_peer(fresh);
        world_turn();
    }
    return NULL;
}

void world_unlisten(uint16_t port)
{
    side()->unlisten(port);
}

/* Not one that the kernel chose and we gave back: another test may be listening there by now. */
uint16_t world_free_port(void)
{
    return 1;
}

const uint8_t *world_zeros(void)
{
    static void *zeros = MAP_FAILED;
    if (zeros == MAP_FAILED)
        zeros = mmap(NULL, WORLD_ZEROS, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(zeros, MAP_FAILED);
    return zeros;
}

/* ---- descriptors -------------------------------------------------------------------------------
 */

int world_note(int descriptor)
{
    unsigned place = 0;
    struct stat file = {0};
    while (place < noted_count && noted[place].descriptor != descriptor)
        place++;
    if (descriptor < 0 || place == MOST_NOTED)
        return descriptor;
    (void)fstat(descriptor, &file);
    noted[place].descriptor = descriptor;
    noted[place].device = file.st_dev;
    noted[place].inode = file.st_ino;
    noted_count += place == noted_count;
    return descriptor;
}

/* Simulated ones go with their kernel. Others may have the number of one that is closed: Check for
 * its notes. */
void world_close_noted(void)
{
    for (; noted_count > 0; noted_count--) {
        int descriptor = noted[noted_count - 1].descriptor;
        struct stat file;
        if (descriptor < BERTH__SIM_FIRST_DESCRIPTOR && fstat(descriptor, &file) == 0 &&
            file.st_dev == noted[noted_count - 1].device &&
            file.st_ino == noted[noted_count - 1].inode)
            close(descriptor);
    }
}

int world_listener_descriptor(uint16_t *ret_port)
{
    return world_note(side()->listener_descriptor(ret_port));
}

int world_stream_descriptor(struct peer **ret_peer)
{
    uint16_t port = world_listen(1);
    struct peer *near = world_connect(port);
    *ret_peer = world_new_peer();
    ck_assert(side()->accept(*ret_peer, port));
    world_unlisten(port);
    int descriptor = side()->release(near);
    free_peer(near);
    return world_note(descriptor);
}

int world_unconnected_descriptor(void)
{
    return world_note(side()->unconnected_descriptor());
}

int world_event_descriptor(void)
{
    return world_note(side()->event_descriptor());
}

void world_raise(int descriptor, unsigned events)
{
    side()->raise(descriptor, events);
}

bool world_is_open(int descriptor)
{
    return side()->is_open(descriptor);
}

unsigned world_descriptors(void)
{
    return world_is_simulated() ? berth__sim_open_descriptors(world_sim()) : balance_descriptors();
}

void world_close_descriptor(int descriptor)
{
    side()->close_descriptor(descriptor);
}

void world_shut_listener(int descriptor)
{
    side()->shut_listener(descriptor);
}

void world_exhaust(unsigned left)
{
    side()->exhaust(left);
}

void world_relieve(void)
{
    side()->relieve();
}
