/*
 * Draining pools: one end over all threads, announced once or not at all, whatever is handed over,
 * detached, stopped, freed and run meanwhile.
 *
 * The case's own thread turns the loop that the end is announced in.
 */
#include "children.h"
#include "pool.h"
#include "scene.h"

#include "balance.h"
#include "base/fault.h"
#include "loop/loop.h"
#include "workers/workers.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FOREVER 600000u /* milliseconds */

/* What was announced, on the case's thread. */
static struct {
    unsigned times;
    bool forced;
    berth_workers *workers;
    berth_drain_state state;
} told;

static void note_end(berth_workers *workers, bool forced, void *user)
{
    ck_assert_ptr_eq(user, &told);
    told.times++;
    told.forced = forced;
    told.workers = workers;
    told.state = berth_workers_drain_state(workers);
}

static bool drain(berth_workers *workers, uint32_t grace, uint32_t deadline, uint32_t idle)
{
    berth_drain plan = {.grace = grace, .deadline = deadline, .idle = idle};
    return berth_workers_drain(workers, &plan, world_loop(), note_end, &told);
}

static void await_end(const berth_workers *workers, bool forced)
{
    UNTIL(told.times > 0);
    ck_assert_ptr_eq(told.workers, workers);
    ck_assert_int_eq(told.forced, forced);
    ck_assert_int_eq(told.state, BERTH_DRAIN_EMPTY);
    ck_assert_int_eq(berth_workers_drain_state(workers), BERTH_DRAIN_EMPTY);
}

/* And it is not announced again. */
static void end_pool(berth_workers *workers, unsigned times)
{
    world_free_pool(workers);
    for (int i = 0; i < 3; i++)
        berth_loop_turn(world_loop(), 0);
    ck_assert_uint_eq(told.times, times);
    ck_assert_uint_eq(atomic_load(&pool_seen.wrong), 0);
}

static uint64_t milliseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static void refused(berth_workers *workers)
{
    int client;
    int near = pool_pair(&client);
    errno = 0;
    ck_assert(!berth_workers_hand_over(workers, near));
    ck_assert_int_eq(errno, ESHUTDOWN);
    close(near);
    close(client);
}

/* ---- the course ------------------------------------------------------------------------------ */

CASE(drain_of_a_pool, "workers.h",
     "idle connections end, a busy one is waited for, then the end is announced, once")
{
    berth_workers *workers = pool_new();
    int clients[8];
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert_int_eq(berth_workers_drain_state(workers), BERTH_DRAIN_NONE);
    for (int i = 0; i < 8; i++) {
        clients[i] = pool_client(berth_workers_port(workers));
        pool_assert_echo(clients[i]);
    }
    ck_assert(drain(workers, 0, 0, 300));
    ck_assert_int_eq(berth_workers_drain_state(workers), BERTH_DRAIN_DRAINING);
    ck_assert_uint_eq(berth_workers_port(workers), 0);
    ck_assert(!berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert_int_eq(berth_workers_error(workers), BERTH_ERROR_OPERATION);
    for (int i = 1; i < 8; i++) {
        char byte;
        struct timeval soon = {.tv_usec = 50000};
        setsockopt(clients[i], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
        while (recv(clients[i], &byte, 1, 0) != 0) /* the first one goes on meanwhile */
            pool_assert_echo(clients[0]);
        close(clients[i]);
    }
    ck_assert_uint_eq(told.times, 0);
    close(clients[0]);
    await_end(workers, false);
    ck_assert_uint_eq(pool_counts(workers).closed_drain, 0);
    refused(workers);
    ck_assert(drain(workers, 0, 1, 0)); /* it is over */
    end_pool(workers, 1);
}

CASE(drain_of_an_idle_pool, "workers.h",
     "that has no connection and does not listen: announced by the loop, not inside the call")
{
    berth_workers *workers = pool_new();
    ck_assert(drain(workers, 0, 0, 0));
    ck_assert_uint_eq(told.times, 0);
    await_end(workers, false);
    ck_assert(!berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    /* Started again it is a pool as before. */
    berth_workers_stop(workers);
    ck_assert_int_eq(berth_workers_drain_state(workers), BERTH_DRAIN_NONE);
    errno = 0;
    ck_assert(!drain(workers, 0, 0, 0));
    ck_assert_int_eq(errno, ESHUTDOWN);
    ck_assert(berth_workers_start(workers));
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    int client = pool_client(berth_workers_port(workers));
    pool_assert_echo(client);
    close(client);
    told.times = 0;
    ck_assert(drain(workers, 0, 0, 100));
    await_end(workers, false);
    end_pool(workers, 1);
}

CASE(grace_of_a_pool, "workers.h",
     "it accepts meanwhile, and what waits in the backlogs at its end is served")
{
    berth_workers *workers = pool_new();
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    uint16_t port = berth_workers_port(workers);
    ck_assert(drain(workers, FOREVER, 0, 200));
    ck_assert_int_eq(berth_workers_drain_state(workers), BERTH_DRAIN_GRACE);
    ck_assert_uint_eq(berth_workers_port(workers), port);
    int client = pool_client(port);
    pool_assert_echo(client);
    int late[8];
    for (int i = 0; i < 8; i++)
        late[i] = pool_client(port);
    ck_assert(drain(workers, 0, 0, 0)); /* a shorter grace */
    ck_assert_int_eq(berth_workers_drain_state(workers), BERTH_DRAIN_DRAINING);
    for (int i = 0; i < 8; i++) {
        pool_assert_echo(late[i]);
        close(late[i]);
    }
    close(client);
    await_end(workers, false);
    ck_assert_uint_eq(pool_counts(workers).accepted, 9);
    end_pool(workers, 1);
}

CASE(deadline_of_a_pool, "workers.h",
     "peers that always send are reset on each worker, once it has come, and counted")
{
    berth_workers *workers = pool_new();
    int clients[6];
    for (int i = 0; i < 6; i++) {
        ck_assert(berth_workers_hand_over(workers, pool_pair(&clients[i])));
        pool_assert_echo(clients[i]);
    }
    uint64_t begin = milliseconds();
    ck_assert(drain(workers, 0, 200, FOREVER));
    await_end(workers, true);
    uint64_t took = milliseconds() - begin;
    ck_assert_uint_ge(took, 199);
    ck_assert_uint_lt(took, 20000);
    ck_assert_uint_eq(pool_counts(workers).closed_drain, 6);
    ck_assert_uint_eq(pool_connections(workers), 0);
    for (int i = 0; i < 6; i++) {
        char byte;
        ck_assert_int_eq(recv(clients[i], &byte, 1, 0), -1);
        ck_assert_int_eq(errno, ECONNRESET);
        close(clients[i]);
    }
    end_pool(workers, 1);
}

CASE(shorter_deadline_of_a_pool, "workers.h",
     "a second drain shortens the times, and only the first one's end is announced")
{
    berth_workers *workers = pool_new();
    int client;
    ck_assert(berth_workers_hand_over(workers, pool_pair(&client)));
    pool_assert_echo(client);
    ck_assert(drain(workers, FOREVER, FOREVER, FOREVER));
    berth_drain now = {.deadline = 1};
    ck_assert(berth_workers_drain(workers, &now, NULL, NULL, NULL));
    await_end(workers, true);
    pool_assert_end(client);
    end_pool(workers, 1);
}

static atomic_uint farewells;

static void say_farewell(berth_socket *socket, void *user)
{
    (void)user;
    atomic_fetch_add(&farewells, 1);
    berth_socket_write(socket, "!", 1);
    berth_socket_disconnect_from_host(socket);
}

static void connection_with_farewell(berth_worker *worker, berth_socket *socket, void *user)
{
    static const berth_socket_handlers polite = {.disconnected = berth_socket_free_in_handler,
                                                 .draining = say_farewell};
    (void)worker;
    (void)user;
    berth_socket_set_handlers(socket, &polite, NULL);
}

CASE(farewells_of_a_pool, "workers.h", "each connection is told once, on its worker's thread")
{
    static const berth_workers_handlers polite = {.started = pool_starting,
                                                  .stopping = pool_stopping,
                                                  .connection = connection_with_farewell};
    berth_workers *workers = pool_of(&polite);
    int clients[10];
    for (int i = 0; i < 10; i++)
        ck_assert(berth_workers_hand_over(workers, pool_pair(&clients[i])));
    ck_assert(drain(workers, 0, 0, FOREVER)); /* some may still be in the inboxes */
    for (int i = 0; i < 10; i++) {
        char byte = 0;
        ck_assert_int_eq(recv(clients[i], &byte, 1, 0), 1);
        ck_assert_int_eq(byte, '!');
        pool_assert_end(clients[i]);
    }
    await_end(workers, false);
    ck_assert_uint_eq(atomic_load(&farewells), 10);
    end_pool(workers, 1);
}

/* ---- what is handed over, detached, closed meanwhile ------------------------------------------
 */

CASE(hand_over_while_a_pool_drains, "workers.h",
     "is served until the last connection has gone, and refused from then on")
{
    berth_workers *workers = pool_new();
    int first[2];
    int client;
    for (int i = 0; i < 2; i++) { /* one for each worker */
        ck_assert(berth_workers_hand_over(workers, pool_pair(&first[i])));
        pool_assert_echo(first[i]);
    }
    ck_assert(drain(workers, 0, 0, FOREVER));
    for (int i = 0; i < 5; i++) {
        ck_assert(berth_workers_hand_over(workers, pool_pair(&client)));
        pool_assert_echo(client);
        close(client);
    }
    close(first[0]);
    SOON(pool_connections(workers) == 1);
    ck_assert(berth_workers_hand_over(workers, pool_pair(&client)));
    pool_assert_echo(client);
    ck_assert_uint_eq(told.times, 0);
    close(first[1]);
    pool_assert_echo(client);
    close(client);
    await_end(workers, false);
    refused(workers);
    berth_server_counts counts = pool_counts(workers);
    ck_assert_uint_eq(counts.added, 8);
    ck_assert_uint_eq(counts.taken, 8);
    end_pool(workers, 1);
}

#define GIVERS 3

struct giver {
    pthread_t thread;
    berth_workers *workers;
    unsigned given;
};

static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

static void *give_until_refused(void *user)
{
    struct giver *self = user;
    for (;;) {
        int ends[2];
        /* In turn: the thread sanitizer does not see a close in the ring, and takes a number that
         * is given out again to another thread for a race. */
        pthread_mutex_lock(&making);
        ends[0] = pool_pair(&ends[1]);
        pthread_mutex_unlock(&making);
        bool given = berth_workers_hand_over(self->workers, ends[0]);
        char byte = 0;
        if (!given) {
            pool_must(errno == ESHUTDOWN);
            pool_must(close(ends[0]) == 0);
            pool_must(close(ends[1]) == 0);
            return NULL;
        }
        self->given++;
        pool_must(send(ends[1], "?", 1, MSG_NOSIGNAL) == 1);
        pool_must(recv(ends[1], &byte, 1, 0) == 1 && byte == '?');
        pool_must(close(ends[1]) == 0);
    }
}

CASE(threads_hand_over_while_a_pool_drains, "workers.h",
     "each connection that was taken is served, and the end comes behind the last")
{
    berth_workers *workers = pool_new();
    struct giver givers[GIVERS] = {0};
    for (int i = 0; i < GIVERS; i++) {
        givers[i].workers = workers;
        ck_assert_int_eq(pthread_create(&givers[i].thread, NULL, give_until_refused, &givers[i]),
                         0);
    }
    SOON(pool_counts(workers).taken >= 30);
    ck_assert(drain(workers, 0, FOREVER, FOREVER));
    await_end(workers, false);
    uint64_t given = 0;
    for (int i = 0; i < GIVERS; i++) {
        ck_assert_int_eq(pthread_join(givers[i].thread, NULL), 0);
        given += givers[i].given;
    }
    ck_assert_uint_eq(pool_counts(workers).taken, given);
    end_pool(workers, 1);
}

static atomic_bool may_go_on;

static void connection_that_takes_long(berth_worker *worker, berth_socket *socket, void *user)
{
    pool_connection(worker, socket, user);
    SOON(atomic_load(&may_go_on));
}

static atomic_int last_one = -1;

static void hand_over_the_last(berth_socket *socket, void *user)
{
    berth_worker *worker = user;
    int last = atomic_exchange(&last_one, -1);
    if (last >= 0)
        pool_must(berth_workers_hand_over(worker->workers, last));
    berth_socket_free(socket);
}

static void connection_before_the_last(berth_worker *worker, berth_socket *socket, void *user)
{
    static const berth_socket_handlers ending = {.disconnected = hand_over_the_last};
    pool_connection(worker, socket, user);
    berth_socket_set_handlers(socket, &ending, worker);
}

CASE(hand_over_by_the_last_connection_of_a_pool, "workers.h",
     "as it ends: the worker is not empty, though its server is")
{
    static const berth_workers_handlers own = {.connection = connection_before_the_last};
    berth_workers *workers = pool_of(&own);
    int clients[2];
    ck_assert(berth_workers_hand_over(workers, pool_pair(&clients[0])));
    SOON(pool_served() == 1);
    atomic_store(&last_one, pool_pair(&clients[1]));
    ck_assert(drain(workers, 0, 0, FOREVER));
    SOON(atomic_load(&workers->workers[0]->emptied) || atomic_load(&workers->workers[1]->emptied));
    close(clients[0]);
    SOON(pool_served() == 2);
    berth_loop_turn(world_loop(), 20);
    ck_assert_uint_eq(told.times, 0);
    close(clients[1]);
    await_end(workers, false);
    end_pool(workers, 1);
}

CASE(hand_over_past_the_deadline_of_a_pool, "workers.h",
     "is refused though there are connections; what has not come to its worker by then is reset")
{
    static const berth_workers_handlers slow = {.started = pool_starting,
                                                .stopping = pool_stopping,
                                                .connection = connection_that_takes_long};
    berth_workers *workers = pool_of(&slow);
    int clients[10];
    for (int i = 0; i < 10; i++) {
        ck_assert(berth_workers_hand_over(workers, pool_pair(&clients[i])));
        SOON(i >= POOL_WORKERS || pool_served() == (unsigned)i + 1);
    }
    ck_assert(drain(workers, 0, 20, FOREVER));
    uint64_t begin = milliseconds();
    SOON(milliseconds() > begin + 20);
    refused(workers);
    ck_assert_uint_eq(told.times, 0);
    atomic_store(&may_go_on, true);
    await_end(workers, true);
    ck_assert_uint_eq(pool_served(), POOL_WORKERS);
    ck_assert_uint_eq(pool_connections(workers), 0);
    berth_server_counts counts = pool_counts(workers);
    ck_assert_uint_eq(counts.added, 10);
    ck_assert_uint_eq(counts.closed_drain, 10);
    ck_assert_uint_eq(counts.dropped, 10 - POOL_WORKERS);
    for (int i = 0; i < 10; i++) {
        char byte;
        ck_assert_int_eq(recv(clients[i], &byte, 1, 0), -1);
        ck_assert_int_eq(errno, ECONNRESET);
        close(clients[i]);
    }
    /* Started again it is not late. */
    berth_workers_stop(workers);
    ck_assert(berth_workers_start(workers));
    ck_assert(berth_workers_hand_over(workers, pool_pair(&clients[0])));
    pool_assert_echo(clients[0]);
    close(clients[0]);
    end_pool(workers, 1);
}

/* Peers that go at once: more come in a turn than a drain resets in it. */
static void *flood_until_refused(void *user)
{
    struct giver *self = user;
    for (;;) {
        int ends[2];
        pthread_mutex_lock(&making);
        bool made = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0;
        pthread_mutex_unlock(&making);
        if (!made) {
            pool_must(errno == EMFILE); /* so many are in the inboxes */
            sched_yield();
            continue;
        }
        pool_must(close(ends[1]) == 0);
        if (!berth_workers_hand_over(self->workers, ends[0])) {
            pool_must(errno == ESHUTDOWN);
            pool_must(close(ends[0]) == 0);
            return NULL;
        }
        self->given++;
    }
}

CASE(flood_of_a_pool_that_drains, "workers.h",
     "ends at the deadline, for those who hand over and for the pool")
{
    berth_workers *workers = pool_new();
    struct giver givers[GIVERS] = {0};
    int first[POOL_WORKERS]; /* so that no worker is empty before */
    for (int i = 0; i < POOL_WORKERS; i++) {
        ck_assert(berth_workers_hand_over(workers, pool_pair(&first[i])));
        pool_assert_echo(first[i]);
    }
    for (int i = 0; i < GIVERS; i++) {
        givers[i].workers = workers;
        ck_assert_int_eq(pthread_create(&givers[i].thread, NULL, flood_until_refused, &givers[i]),
                         0);
    }
    ck_assert(drain(workers, 0, 50, FOREVER));
    for (int i = 0; i < GIVERS; i++)
        ck_assert_int_eq(pthread_join(givers[i].thread, NULL), 0);
    await_end(workers, true);
    uint64_t given = POOL_WORKERS;
    for (int i = 0; i < GIVERS; i++)
        given += givers[i].given;
    berth_server_counts counts = pool_counts(workers);
    ck_assert_uint_eq(counts.added, given);
    ck_assert_uint_eq(counts.taken + counts.dropped + counts.failed, given);
    ck_assert_uint_eq(pool_connections(workers), 0);
    for (int i = 0; i < POOL_WORKERS; i++)
        close(first[i]);
    end_pool(workers, 1);
}

static void connection_detached(berth_worker *worker, berth_socket *socket, void *user)
{
    berth_socket_detach(socket);
    pool_connection(worker, socket, user);
}

CASE(detached_while_a_pool_drains, "workers.h",
     "a socket that the program detached is not waited for, and ends with the pool")
{
    static const berth_workers_handlers detaching = {
        .started = pool_starting, .stopping = pool_stopping, .connection = connection_detached};
    berth_workers *workers = pool_of(&detaching);
    int client;
    ck_assert(berth_workers_hand_over(workers, pool_pair(&client)));
    pool_assert_echo(client);
    ck_assert(drain(workers, 0, 1, 0));
    await_end(workers, false);
    pool_assert_echo(client);
    end_pool(workers, 1);
    pool_assert_end(client);
}

static void *drain_there(void *user)
{
    atomic_bool *good = user;
    atomic_store(good, drain(told.workers, FOREVER, 0, 0));
    return NULL;
}

CASE(state_of_a_pool_goes_forward, "workers.h",
     "for whoever asks while a drain begins; nothing is seen of the one before")
{
    berth_workers *workers = told.workers = pool_new();
    ck_assert(berth_workers_drain(workers, NULL, NULL, NULL, NULL));
    SOON(berth_workers_drain_state(workers) == BERTH_DRAIN_EMPTY);
    berth_workers_stop(workers);
    ck_assert(berth_workers_start(workers));
    pthread_t thread;
    atomic_bool good = false;
    pthread_mutex_lock(&world_loop()->lock); /* where it has begun, and waits */
    ck_assert_int_eq(pthread_create(&thread, NULL, drain_there, &good), 0);
    berth_drain_state state;
    do
        state = berth_workers_drain_state(workers);
    while (state == BERTH_DRAIN_NONE);
    pthread_mutex_unlock(&world_loop()->lock);
    pthread_join(thread, NULL);
    ck_assert(atomic_load(&good));
    ck_assert_int_eq(state, BERTH_DRAIN_GRACE);
    end_pool(workers, 0);
}

static void connection_that_closes(berth_worker *worker, berth_socket *socket, void *user)
{
    berth_server_close(berth_worker_server(worker));
    pool_connection(worker, socket, user);
}

CASE(closing_while_a_pool_drains, "workers.h",
     "the pool, or a worker's server inside a handler: the drain continues")
{
    static const berth_workers_handlers closing = {
        .started = pool_starting, .stopping = pool_stopping, .connection = connection_that_closes};
    berth_workers *workers = pool_of(&closing);
    int clients[4];
    ck_assert(berth_workers_hand_over(workers, pool_pair(&clients[0])));
    pool_assert_echo(clients[0]);
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert(drain(workers, FOREVER, 0, FOREVER));
    for (int i = 1; i < 3; i++) {
        ck_assert(berth_workers_hand_over(workers, pool_pair(&clients[i])));
        pool_assert_echo(clients[i]);
    }
    berth_workers_close(workers);
    ck_assert(berth_workers_hand_over(workers, pool_pair(&clients[3])));
    pool_assert_echo(clients[3]);
    ck_assert(drain(workers, 0, 0, 0));
    for (int i = 0; i < 4; i++) {
        pool_assert_echo(clients[i]);
        ck_assert_uint_eq(told.times, 0);
        close(clients[i]);
    }
    await_end(workers, false);
    end_pool(workers, 1);
}

CASE(closed_by_a_connection_while_a_pool_drains, "workers.h",
     "that was handed over after the last call: its worker is drained again")
{
    static const berth_workers_handlers closing = {
        .started = pool_starting, .stopping = pool_stopping, .connection = connection_that_closes};
    berth_workers *workers = pool_of(&closing);
    int clients[2];
    ck_assert(berth_workers_hand_over(workers, pool_pair(&clients[0])));
    pool_assert_echo(clients[0]);
    ck_assert(drain(workers, 0, 0, FOREVER));
    pool_assert_echo(clients[0]);
    ck_assert(berth_workers_hand_over(workers, pool_pair(&clients[1])));
    pool_assert_echo(clients[1]);
    ck_assert_uint_eq(told.times, 0);
    for (int i = 0; i < 2; i++)
        close(clients[i]);
    await_end(workers, false);
    end_pool(workers, 1);
}

CASE(drain_of_several_listeners, "workers.h",
     "what waits in each backlog is served when the grace ends")
{
    berth_workers *workers = pool_new();
    int descriptors[5];
    uint16_t ports[5];
    int clients[10];
    for (int i = 0; i < 5; i++)
        descriptors[i] = pool_listener(&ports[i]);
    ck_assert(berth_workers_set_descriptors(workers, descriptors, 5));
    for (int i = 0; i < 10; i++)
        clients[i] = pool_client(ports[i % 5]);
    ck_assert(drain(workers, 0, 0, FOREVER));
    for (int i = 0; i < 10; i++) {
        pool_assert_echo(clients[i]);
        close(clients[i]);
    }
    await_end(workers, false);
    ck_assert_uint_eq(pool_counts(workers).accepted, 10);
    end_pool(workers, 1);
}

/* ---- stopping and freeing -------------------------------------------------------------------- */

CASE(stop_while_a_pool_drains, "workers.h", "the end is not announced, and all is over")
{
    berth_workers *workers = pool_new();
    int client;
    for (int round = 0; round < 3; round++) {
        ck_assert(berth_workers_hand_over(workers, pool_pair(&client)));
        pool_assert_echo(client);
        ck_assert(drain(workers, 0, 0, FOREVER));
        if (round == 1)
            SOON(berth_workers_drain_state(workers) == BERTH_DRAIN_DRAINING);
        berth_workers_stop(workers);
        ck_assert_int_eq(berth_workers_drain_state(workers), BERTH_DRAIN_NONE);
        pool_assert_end(client);
        ck_assert(berth_workers_start(workers));
    }
    /* And when it has come, but was not announced yet. */
    ck_assert(drain(workers, 0, 0, 0));
    SOON(berth_workers_drain_state(workers) == BERTH_DRAIN_EMPTY);
    end_pool(workers, 0);
}

static void free_pool(berth_workers *workers, bool forced, void *user)
{
    note_end(workers, forced, user);
    world_free_pool(workers);
}

CASE(free_inside_the_end_of_a_drain, "workers.h", "is where a pool is freed")
{
    berth_workers *workers = pool_new();
    berth_drain plan = {.idle = 50};
    int client;
    ck_assert(berth_workers_hand_over(workers, pool_pair(&client)));
    ck_assert(berth_workers_drain(workers, &plan, world_loop(), free_pool, &told));
    UNTIL(told.times == 1);
    ck_assert_uint_eq(atomic_load(&pool_seen.stopped), POOL_WORKERS);
    pool_assert_end(client);
}

CASE(loop_is_freed_while_a_pool_drains, "workers.h",
     "the drain goes on, and nobody is told; a loop that has been told of it is freed at once")
{
    berth_workers *workers = pool_new();
    int client;
    ck_assert(berth_workers_hand_over(workers, pool_pair(&client)));
    pool_assert_echo(client);
    berth_loop *loop = berth_loop_new(NULL);
    berth_drain plan = {.idle = FOREVER};
    ck_assert(berth_workers_drain(workers, &plan, loop, note_end, &told));
    berth_loop_free(loop);
    pool_assert_echo(client);
    close(client);
    SOON(berth_workers_drain_state(workers) == BERTH_DRAIN_EMPTY);
    end_pool(workers, 0);
}

static berth_workers *own_pool;
static atomic_uint told_there;

static void note_there(berth_workers *workers, bool forced, void *user)
{
    berth_worker *worker = user;
    pool_must(workers == own_pool && forced);
    pool_must(berth_worker_loop(worker) == berth_loop_current());
    errno = 0;
    berth_workers_stop(workers);
    pool_must(errno == EDEADLK);
    atomic_fetch_add(&told_there, 1);
}

static void connection_that_drains(berth_worker *worker, berth_socket *socket, void *user)
{
    berth_drain plan = {.deadline = 20};
    pool_must(berth_workers_drain(own_pool, &plan, NULL, note_there, worker));
    pool_connection(worker, socket, user);
}

CASE(worker_drains_its_own_pool, "workers.h", "on its own loop, which is told of the end")
{
    static const berth_workers_handlers draining = {
        .started = pool_starting, .stopping = pool_stopping, .connection = connection_that_drains};
    int client;
    own_pool = pool_of(&draining);
    ck_assert(berth_workers_hand_over(own_pool, pool_pair(&client)));
    SOON(atomic_load(&told_there) == 1);
    pool_assert_end(client);
    end_pool(own_pool, 0);
    ck_assert_uint_eq(atomic_load(&told_there), 1);
}

static void *drain_again_and_again(void *user)
{
    for (uint32_t idle = 400; idle > 300; idle--) {
        berth_drain plan = {.idle = idle};
        pool_must(berth_workers_drain(user, &plan, NULL, NULL, NULL));
        pool_must(berth_workers_drain_state(user) != BERTH_DRAIN_NONE);
    }
    return NULL;
}

CASE(threads_drain_a_pool, "workers.h", "several at once, beside whoever waits for the end")
{
    berth_workers *workers = pool_new();
    pthread_t threads[3];
    int client;
    ck_assert(berth_workers_hand_over(workers, pool_pair(&client)));
    ck_assert(berth_workers_drain(workers, NULL, NULL, NULL, NULL)); /* nobody is to be told yet */
    ck_assert(drain(workers, 0, 0, 0));
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, drain_again_and_again, workers), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    await_end(workers, false);
    pool_assert_end(client);
    end_pool(workers, 1);
}

static berth_loop *loops[POOL_WORKERS];

static bool starting_with_loop(berth_worker *worker, void *user)
{
    loops[berth_worker_number(worker)] = berth_worker_loop(worker);
    return pool_starting(worker, user);
}

static void break_loop(void *user)
{
    berth_loop *loop = user;
    loop->broken = true;
}

CASE(worker_ends_by_itself_while_a_pool_drains, "workers.h",
     "since its loop is broken: it is not waited for, before and after the drain began")
{
    static const berth_workers_handlers breaking = {
        .started = starting_with_loop, .stopping = pool_stopping, .connection = pool_connection};
    for (int before = 0; before < 2; before++) {
        berth_workers *workers = pool_of(&breaking);
        unsigned stopped = atomic_load(&pool_seen.stopped);
        int client;
        told.times = 0;
        ck_assert(before || drain(workers, FOREVER, 0, FOREVER));
        ck_assert(berth_loop_post(loops[0], break_loop, loops[0]));
        SOON(atomic_load(&pool_seen.stopped) == stopped + 1);
        ck_assert(!before || drain(workers, FOREVER, 0, FOREVER));
        ck_assert(berth_workers_hand_over(workers, pool_pair(&client)));
        pool_assert_echo(client);
        ck_assert(drain(workers, 0, 0, 0));
        ck_assert_uint_eq(told.times, 0);
        close(client);
        await_end(workers, false);
        end_pool(workers, 1);
    }
}

/* ---- jobs, memory, fork ---------------------------------------------------------------------- */

static atomic_bool job_may_end;
static atomic_uint jobs_ended;

static void long_job(berth_job *job, void *user)
{
    (void)job;
    (void)user;
    SOON(atomic_load(&job_may_end));
}

static void job_done(berth_job *job, bool cancelled, void *user)
{
    (void)job;
    (void)user;
    ck_assert(!cancelled);
    atomic_fetch_add(&jobs_ended, 1);
}

CASE(jobs_while_a_pool_drains, "workers.h",
     "run on; a worker in a job reaches its connections behind it, past the deadline")
{
    berth_workers *workers = pool_new();
    int clients[2];
    for (int i = 0; i < 2; i++) {
        ck_assert(berth_workers_hand_over(workers, pool_pair(&clients[i])));
        pool_assert_echo(clients[i]);
    }
    ck_assert_ptr_nonnull(berth_workers_submit(workers, world_loop(), long_job, job_done, NULL));
    SOON(berth_workers_waiting_jobs(workers) == 0);
    ck_assert(drain(workers, 0, 1, 0));
    SOON(pool_counts(workers).closed_drain == 1); /* of the other worker */
    berth_loop_turn(world_loop(), 0);
    ck_assert_uint_eq(told.times, 0);
    ck_assert_ptr_nonnull(berth_workers_submit(workers, world_loop(), long_job, job_done, NULL));
    atomic_store(&job_may_end, true);
    await_end(workers, true);
    ck_assert_uint_eq(pool_counts(workers).closed_drain, 2);
    UNTIL(atomic_load(&jobs_ended) == 2);
    /* And when it is over. */
    ck_assert_ptr_nonnull(berth_workers_submit(workers, world_loop(), long_job, job_done, NULL));
    UNTIL(atomic_load(&jobs_ended) == 3);
    for (int i = 0; i < 2; i++)
        pool_assert_end(clients[i]);
    end_pool(workers, 1);
}

CASE(drain_of_a_pool_without_memory, "workers.h", "needs none")
{
    berth_workers *workers = pool_new();
    int client;
    ck_assert(berth_workers_hand_over(workers, pool_pair(&client)));
    pool_assert_echo(client);
    world_loop();
    berth__fault_set_memory(0, 1000000);
    ck_assert(drain(workers, 0, 1, 0));
    while (told.times == 0)
        berth_loop_turn(world_loop(), -1);
    berth__fault_clear();
    await_end(workers, true);
    pool_assert_end(client);
    end_pool(workers, 1);
}

CASE(fork_while_a_pool_drains, "workers.h", "the child is refused, and is told nothing")
{
    berth_workers *workers = pool_new();
    int client;
    ck_assert(berth_workers_hand_over(workers, pool_pair(&client)));
    pool_assert_echo(client);
    ck_assert(drain(workers, 0, 0, FOREVER));
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        berth_drain plan = {.deadline = 1};
        bool good = !berth_workers_drain(workers, &plan, NULL, NULL, NULL) && errno == ECHILD;
        good = good && berth_loop_after_fork(world_loop());
        berth_loop_turn(world_loop(), 0);
        /* What its threads have made is lost. The pool is not, nor its workers, the list of what
         * was handed over to one, and the record of the end. */
        long before = balance_blocks();
        berth_workers_free(workers);
        good = good && before - balance_blocks() == POOL_WORKERS + 3;
        berth_loop_turn(world_loop(), 0);
        _exit(good && told.times == 0 ? 0 : 1);
    }
    end_child(child);
    pool_assert_echo(client);
    ck_assert_uint_eq(told.times, 0);
    close(client);
    await_end(workers, false);
    end_pool(workers, 1);
}

CASE(lingering_ends_of_a_pool, "workers.h statistics.h",
     "count while they linger, and not when it was stopped")
{
    berth_workers *workers = pool_new();
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    int client = pool_client(berth_workers_port(workers));
    pool_assert_echo(client);
    ck_assert(drain(workers, 0, 0, 1));
    await_end(workers, false);
    ck_assert_uint_eq(pool_counts(workers).lingering, 1); /* the client has not closed */
    berth_workers_stop(workers);
    ck_assert_uint_eq(pool_counts(workers).lingering, 0);
    ck_assert_uint_eq(pool_counts(workers).live, 0);
    close(client);
    end_pool(workers, 1);
}

CASE(fork_when_a_pool_is_drained, "workers.h", "the child is not told of the end that was to come")
{
    berth_workers *workers = pool_new();
    ck_assert(drain(workers, 0, 0, 0));
    SOON(atomic_load(&world_loop()->tasks_waiting));
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        bool good = berth_loop_after_fork(world_loop());
        for (int i = 0; i < 3; i++)
            berth_loop_turn(world_loop(), 0);
        _exit(good && told.times == 0 ? 0 : 1);
    }
    end_child(child);
    await_end(workers, false);
    end_pool(workers, 1);
}
