/*
 * Pools of workers: who gets a connection, what is counted, and that every descriptor is served or
 * closed once, whenever the pool ends and whatever fails.
 *
 * A case's own thread accepts, or hands over descriptors that it has made, and talks to the pool's
 * threads through the connections and atomic counters only. Its patience is bounded by the runner.
 */
#include "base/fault.h"
#include "scene.h"
#include "soon.h"

#include "workers/workers.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORKERS 2

/* What the workers have seen. */
static struct {
    atomic_uint started;
    atomic_uint stopped;
    atomic_uint served[WORKERS];
    atomic_uint entered; /* connections whose handler has begun */
    atomic_uint failed;
    atomic_uint wrong; /* things that must not be */
    atomic_bool gate;  /* closed: handlers wait */
} seen;

static int identities[WORKERS];

static void real_kernel_only(void)
{
    if (world_is_simulated())
        case_skip("each loop has a kernel of its own there");
}

static void must(bool condition)
{
    if (!condition)
        atomic_fetch_add(&seen.wrong, 1);
}

static bool started(berth_worker *worker, void *user)
{
    must(user == &seen);
    must(berth_worker_loop(worker) == berth_loop_current());
    must(berth_server_loop(berth_worker_server(worker)) == berth_loop_current());
    must(berth_worker_user(worker) == user);
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    must(sigismember(&blocked, SIGTERM) == 1);
    berth_worker_set_user(worker, &identities[berth_worker_number(worker)]);
    atomic_fetch_add(&seen.started, 1);
    return true;
}

static void stopping(berth_worker *worker, void *user)
{
    must(user == &identities[berth_worker_number(worker)]);
    must(berth_worker_loop(worker) == berth_loop_current());
    must(!berth_server_is_listening(berth_worker_server(worker)));
    atomic_fetch_add(&seen.stopped, 1);
}

static void echo(berth_socket *socket, void *user)
{
    (void)user;
    const void *data;
    size_t size;
    while ((data = berth_socket_view(socket, &size)) != NULL) {
        berth_socket_write(socket, data, size);
        berth_socket_skip(socket, size);
    }
}

static void serve(berth_worker *worker, berth_socket *socket, void *user)
{
    static const berth_socket_handlers handlers = {.ready_read = echo,
                                                   .disconnected = berth_socket_free_in_handler};
    must(user == &identities[berth_worker_number(worker)]);
    must(berth_socket_loop(socket) == berth_loop_current());
    must(berth_socket_state(socket) == BERTH_STATE_CONNECTED);
    atomic_fetch_add(&seen.entered, 1);
    SOON(!atomic_load(&seen.gate));
    berth_socket_set_handlers(socket, &handlers, NULL);
    atomic_fetch_add(&seen.served[berth_worker_number(worker)], 1);
}

static void failed(berth_worker *worker, berth_error error, void *user)
{
    must(user == &identities[berth_worker_number(worker)]);
    must(error == berth_server_error(berth_worker_server(worker)));
    must(berth_server_error_string(berth_worker_server(worker))[0] != '\0');
    atomic_fetch_add(&seen.failed, 1);
}

static const berth_workers_handlers handlers = {
    .started = started,
    .stopping = stopping,
    .connection = serve,
    .failed = failed,
};

static berth_workers *pool_started(void)
{
    berth_workers *workers = berth_workers_new(WORKERS, &handlers, &seen);
    ck_assert_ptr_nonnull(workers);
    ck_assert_msg(berth_workers_start(workers), "%s", berth_workers_error_string(workers));
    ck_assert_uint_eq(atomic_load(&seen.started), WORKERS);
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    ck_assert_int_eq(sigismember(&blocked, SIGTERM), 0);
    return workers;
}

static void pool_ended(berth_workers *workers)
{
    unsigned before = atomic_load(&seen.stopped);
    berth_workers_free(workers);
    ck_assert_uint_eq(atomic_load(&seen.stopped), before + WORKERS);
    ck_assert_uint_eq(atomic_load(&seen.wrong), 0);
}

/* ---- blocking clients ------------------------------------------------------------------------ */

static int client_of(uint16_t port)
{
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in server = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_eq(connect(client, (struct sockaddr *)&server, sizeof server), 0);
    return client;
}

/* A connection that nobody accepts by Berth: the near end for the pool, the far one for the case.
 */
static int connection_to(int *ret_client)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof name;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&name, length), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&name, &length), 0);
    *ret_client = client_of(ntohs(name.sin_port));
    int near = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(near, 0);
    close(listener);
    return near;
}

static void assert_echo(int client)
{
    char answer = 0;
    ck_assert_int_eq(send(client, "?", 1, MSG_NOSIGNAL), 1);
    ck_assert_int_eq(recv(client, &answer, 1, MSG_WAITALL), 1);
    ck_assert_int_eq(answer, '?');
}

static void assert_end(int client)
{
    char byte;
    ck_assert_int_le(recv(client, &byte, 1, MSG_WAITALL), 0);
    close(client);
}

static size_t all_connections(const berth_workers *workers)
{
    size_t sum = 0;
    for (int i = 0; i < berth_workers_count(workers); i++)
        sum += berth_workers_connections(workers, i);
    return sum;
}

static unsigned all_served(void)
{
    return atomic_load(&seen.served[0]) + atomic_load(&seen.served[1]);
}

/* ---- making ---------------------------------------------------------------------------------- */

CASE(pool_without_threads, "workers.h", "counts are checked, and a pool need not be started")
{
    errno = 0;
    ck_assert_ptr_null(berth_workers_new(0, &handlers, &seen));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_ptr_null(berth_workers_new(-1, &handlers, &seen));
    ck_assert_ptr_null(berth_workers_new(BERTH_MOST_WORKERS + 1, &handlers, &seen));
    berth_workers *workers = berth_workers_new(3, NULL, NULL);
    ck_assert_ptr_nonnull(workers);
    ck_assert_int_eq(berth_workers_count(workers), 3);
    ck_assert_uint_eq(all_connections(workers), 0);
    ck_assert_uint_eq(berth_workers_connections(workers, 3), 0);
    ck_assert_uint_eq(berth_workers_connections(workers, -1), 0);
    ck_assert_uint_eq(berth_workers_port(workers), 0);
    ck_assert_int_eq(berth_workers_error(workers), BERTH_ERROR_NONE);
    ck_assert_str_eq(berth_workers_error_string(workers), "");
    ck_assert(!berth_workers_hand_over(workers, 0));
    ck_assert_int_eq(errno, ESHUTDOWN);
    ck_assert(!berth_workers_hand_over(workers, -1));
    ck_assert_int_eq(errno, EBADF);
    ck_assert(!berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert_int_eq(berth_workers_error(workers), BERTH_ERROR_OPERATION);
    berth_workers_stop(workers);
    berth_workers_free(workers);
    berth_workers_free(NULL);
}

CASE(pool_starts_and_stops, "workers.h", "each worker is told once; and all of it again")
{
    berth_workers *workers = pool_started();
    ck_assert(!berth_workers_start(workers));
    ck_assert_int_eq(berth_workers_error(workers), BERTH_ERROR_OPERATION);
    berth_workers_stop(workers);
    ck_assert_uint_eq(atomic_load(&seen.stopped), WORKERS);
    berth_workers_stop(workers);
    ck_assert_uint_eq(atomic_load(&seen.stopped), WORKERS);
    ck_assert(berth_workers_start(workers));
    ck_assert_uint_eq(atomic_load(&seen.started), 2 * WORKERS);
    pool_ended(workers);
}

static bool refuse_second(berth_worker *worker, void *user)
{
    return berth_worker_number(worker) == 0 && started(worker, user);
}

CASE(worker_refuses_to_start, "workers.h", "the start fails, and what had started is stopped")
{
    static const berth_workers_handlers refusing = {.started = refuse_second, .stopping = stopping};
    berth_workers *workers = berth_workers_new(WORKERS, &refusing, &seen);
    ck_assert(!berth_workers_start(workers));
    ck_assert_int_eq(errno, ECANCELED);
    ck_assert_int_eq(berth_workers_error(workers), BERTH_ERROR_OPERATION);
    ck_assert_str_eq(berth_workers_error_string(workers),
                     "cannot start worker 2 of 2: `started` returned false");
    ck_assert_uint_eq(atomic_load(&seen.started), 1);
    ck_assert_uint_eq(atomic_load(&seen.stopped), 1);
    berth_workers_free(workers);
}

CASE(pool_without_memory, "workers.h", "whichever allocation fails: an error, and nothing left")
{
    long seen_before = -1;
    for (long after = 0;; after++) {
        berth__fault_set_memory(after, 1);
        berth_workers *workers = berth_workers_new(WORKERS, &handlers, &seen);
        bool runs = workers != NULL && berth_workers_start(workers);
        int error = errno;
        bool reached = berth__fault_memory_failed() > 0;
        seen_before = berth__fault_memory_seen();
        berth__fault_clear();
        if (!runs && reached)
            ck_assert_int_eq(error, ENOMEM);
        if (!runs && workers != NULL)
            ck_assert_int_eq(berth_workers_error(workers), BERTH_ERROR_SOCKET_RESOURCE);
        berth_workers_free(workers);
        if (!reached) {
            ck_assert(runs);
            break;
        }
    }
    ck_assert_int_gt(seen_before, 3);
    ck_assert_uint_eq(atomic_load(&seen.started), atomic_load(&seen.stopped));
}

CASE(pool_without_descriptors, "workers.h", "a loop that cannot be made fails the start")
{
    real_kernel_only();
    berth_workers *workers = berth_workers_new(WORKERS, &handlers, &seen);
    world_loop();
    world_exhaust(1);
    bool runs = berth_workers_start(workers);
    int error = errno;
    world_relieve();
    ck_assert(!runs);
    ck_assert_int_eq(error, EMFILE);
    ck_assert_int_eq(berth_workers_error(workers), BERTH_ERROR_SOCKET_RESOURCE);
    ck_assert_ptr_nonnull(
        strstr(berth_workers_error_string(workers), "cannot start worker 1 of 2"));
    ck_assert(berth_workers_start(workers));
    pool_ended(workers);
}

CASE(pool_of_a_backend_that_is_none, "workers.h", "the text says which word is wrong")
{
    berth_workers *workers = berth_workers_new(WORKERS, &handlers, &seen);
    world_loop();
    setenv("BERTH_BACKEND", "none", 1);
    ck_assert(!berth_workers_start(workers));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_str_eq(berth_workers_error_string(workers),
                     "cannot start worker 1 of 2: BERTH_BACKEND names no backend; "
                     "it can be io_uring, epoll or auto");
    berth_workers_free(workers);
}

/* ---- handing over ---------------------------------------------------------------------------- */

static void hand_over(berth_server *server, int descriptor, void *user)
{
    (void)server;
    ck_assert(berth_workers_hand_over(user, descriptor));
}

CASE(least_busy_worker_is_chosen, "S5.7 workers.h",
     "an acceptor's connections are spread evenly, counted, and served by both")
{
    real_kernel_only();
    static const berth_server_handlers accepting = {.incoming_connection = hand_over};
    berth_workers *workers = pool_started();
    berth_server *server = berth_server_new(world_loop(), &accepting, workers);
    ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    int clients[20];
    for (int i = 0; i < 20; i++) {
        clients[i] = client_of(berth_server_port(server));
        UNTIL(all_connections(workers) == (size_t)i + 1);
        size_t one = berth_workers_connections(workers, 0);
        size_t two = berth_workers_connections(workers, 1);
        ck_assert_uint_le(one > two ? one - two : two - one, 1);
    }
    for (int i = 0; i < 20; i++)
        assert_echo(clients[i]);
    ck_assert_uint_eq(atomic_load(&seen.served[0]), 10);
    ck_assert_uint_eq(atomic_load(&seen.served[1]), 10);
    for (int i = 0; i < 20; i++)
        close(clients[i]);
    SOON(all_connections(workers) == 0);
    pool_ended(workers);
}

static berth_workers *own_pool;

static void manage_own_pool(berth_worker *worker, berth_socket *socket, void *user)
{
    errno = 0;
    must(!berth_workers_start(own_pool) && errno == EDEADLK);
    errno = 0;
    must(!berth_workers_listen(own_pool, BERTH_ADDRESS_LOOPBACK, 0) && errno == EDEADLK);
    errno = 0;
    berth_workers_stop(own_pool);
    must(errno == EDEADLK);
    berth_workers_free(own_pool);
    serve(worker, socket, user);
}

CASE(worker_manages_its_own_pool, "workers.h",
     "it would wait for itself: refused, and the pool goes on")
{
    real_kernel_only();
    static const berth_workers_handlers managing = {
        .started = started, .stopping = stopping, .connection = manage_own_pool};
    own_pool = berth_workers_new(WORKERS, &managing, &seen);
    ck_assert(berth_workers_start(own_pool));
    for (int i = 0; i < 3; i++) {
        int client;
        ck_assert(berth_workers_hand_over(own_pool, connection_to(&client)));
        assert_echo(client);
        close(client);
    }
    SOON(all_connections(own_pool) == 0);
    pool_ended(own_pool);
}

CASE(handed_over_descriptor_was_closed, "S5.8 workers.h",
     "it is told of, and the next one is served")
{
    real_kernel_only();
    berth_workers *workers = pool_started();
    int client;
    int near = connection_to(&client);
    close(near);
    ck_assert(berth_workers_hand_over(workers, near));
    SOON(all_connections(workers) == 0);
    assert_end(client);
    SOON(atomic_load(&seen.failed) == 1);
    ck_assert(berth_workers_hand_over(workers, connection_to(&client)));
    assert_echo(client);
    close(client);
    pool_ended(workers);
}

CASE(handed_over_is_no_connection, "S5.8 Q7 workers.h",
     "a pipe is closed and told of, and the next one is served")
{
    real_kernel_only();
    berth_workers *workers = pool_started();
    int ends[2];
    int client;
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert(berth_workers_hand_over(workers, ends[0]));
    SOON(atomic_load(&seen.failed) == 1);
    SOON(all_connections(workers) == 0);
    struct pollfd writer = {.fd = ends[1]};
    ck_assert_int_eq(poll(&writer, 1, -1), 1);
    ck_assert_int_eq(writer.revents, POLLERR); /* nobody reads it any more */
    close(ends[1]);
    ck_assert_uint_eq(atomic_load(&seen.entered), 0);
    ck_assert(berth_workers_hand_over(workers, connection_to(&client)));
    assert_echo(client);
    close(client);
    pool_ended(workers);
}

CASE(handed_over_connection_was_reset, "S2.9 workers.h",
     "it is a connection that ends, as any other whose peer has gone")
{
    real_kernel_only();
    berth_workers *workers = pool_started();
    int client;
    int near = connection_to(&client);
    struct linger at_once = {.l_onoff = 1};
    ck_assert_int_eq(setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(client);
    ck_assert(berth_workers_hand_over(workers, near));
    SOON(atomic_load(&seen.entered) == 1);
    SOON(all_connections(workers) == 0);
    ck_assert_uint_eq(atomic_load(&seen.failed), 0);
    ck_assert(berth_workers_hand_over(workers, connection_to(&client)));
    assert_echo(client);
    close(client);
    pool_ended(workers);
}

CASE(connections_without_a_handler, "workers.h", "are closed")
{
    real_kernel_only();
    berth_workers *workers = berth_workers_new(WORKERS, NULL, NULL);
    int client;
    ck_assert(berth_workers_start(workers));
    ck_assert(berth_workers_hand_over(workers, connection_to(&client)));
    assert_end(client);
    SOON(all_connections(workers) == 0);
    berth_workers_free(workers);
}

CASE(
    hand_over_without_memory, "S5.7 workers.h",
    "whichever allocation fails: the descriptor is the caller's, or closed or served by the worker")
{
    real_kernel_only();
    berth_workers *workers = pool_started();
    unsigned refused = 0;
    unsigned given = 0;
    for (long after = 0; after < 12; after++) {
        int client;
        int near = connection_to(&client);
        berth__fault_set_memory(after, 1);
        bool taken = berth_workers_hand_over(workers, near);
        int error = errno;
        given += taken;
        SOON(all_served() + atomic_load(&seen.failed) == given);
        berth__fault_clear();
        if (!taken) {
            refused++;
            ck_assert_int_eq(error, ENOMEM);
            ck_assert_int_eq(close(near), 0);
        }
        shutdown(client, SHUT_WR);
        assert_end(client);
    }
    ck_assert_uint_ge(refused, 2); /* the inbox, the task */
    ck_assert_uint_ge(atomic_load(&seen.failed), 1);
    SOON(all_connections(workers) == 0);
    pool_ended(workers);
}

/* ---- the end --------------------------------------------------------------------------------- */

#define WAITING 40

static void *stop_pool(void *workers)
{
    berth_workers_stop(workers);
    return NULL;
}

CASE(stop_closes_what_waits, "S5.7 workers.h",
     "descriptors that no worker has come to yet are closed when the pool ends, and not served")
{
    real_kernel_only();
    berth_workers *workers = pool_started();
    int clients[WAITING];
    pthread_t stopper;
    atomic_store(&seen.gate, true); /* each worker stays in its first connection */
    for (int i = 0; i < WAITING; i++) {
        ck_assert(berth_workers_hand_over(workers, connection_to(&clients[i])));
        SOON(i >= WORKERS || atomic_load(&seen.entered) == (unsigned)i + 1);
    }
    ck_assert_uint_eq(berth_workers_connections(workers, 0), WAITING / 2);
    ck_assert_uint_eq(berth_workers_connections(workers, 1), WAITING / 2);
    ck_assert_int_eq(pthread_create(&stopper, NULL, stop_pool, workers), 0);
    SOON(atomic_load(&workers->leaving));
    atomic_store(&seen.gate, false);
    ck_assert_int_eq(pthread_join(stopper, NULL), 0);
    for (int i = 0; i < WAITING; i++)
        assert_end(clients[i]);
    ck_assert_uint_eq(all_served(), WORKERS);
    ck_assert_uint_eq(all_connections(workers), 0);
    berth_workers_free(workers);
    ck_assert_uint_eq(atomic_load(&seen.wrong), 0);
}

#define GIVERS 3
#define GIFTS 100

struct giver {
    pthread_t thread;
    berth_workers *workers;
    unsigned refused;
};

static atomic_uint gifts;
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

/* Gives until the pool is gone. What it keeps it closes. */
static void *give_many(void *user)
{
    struct giver *self = user;
    while (self->refused < 5) {
        int ends[2];
        /* In turn: the thread sanitizer does not see a close in the ring, and takes a number that
         * is given out again to another thread for a race. */
        pthread_mutex_lock(&making);
        ends[0] = connection_to(&ends[1]);
        pthread_mutex_unlock(&making);
        if (!berth_workers_hand_over(self->workers, ends[0])) {
            must(errno == ESHUTDOWN);
            must(close(ends[0]) == 0);
            self->refused++;
        } else {
            atomic_fetch_add(&gifts, 1);
            shutdown(ends[1], SHUT_WR);
        }
        char byte;
        must(recv(ends[1], &byte, 1, 0) <= 0); /* ended by whoever had it */
        must(close(ends[1]) == 0);
    }
    return NULL;
}

CASE(stop_while_threads_hand_over, "S5.7 workers.h",
     "each descriptor is served, or closed, or refused: the ends say so, and none is left")
{
    real_kernel_only();
    berth_workers *workers = pool_started();
    struct giver givers[GIVERS] = {0};
    for (int i = 0; i < GIVERS; i++) {
        givers[i].workers = workers;
        ck_assert_int_eq(pthread_create(&givers[i].thread, NULL, give_many, &givers[i]), 0);
    }
    SOON(atomic_load(&gifts) >= GIFTS);
    berth_workers_stop(workers);
    for (int i = 0; i < GIVERS; i++)
        ck_assert_int_eq(pthread_join(givers[i].thread, NULL), 0);
    ck_assert_uint_eq(all_connections(workers), 0);
    berth_workers_free(workers);
    ck_assert_uint_eq(atomic_load(&seen.stopped), WORKERS);
    ck_assert_uint_eq(atomic_load(&seen.wrong), 0);
}

static void free_and_stop_nested(berth_worker *worker, berth_socket *socket, void *user)
{
    (void)user;
    berth_socket_free(socket);
    atomic_fetch_add(&seen.entered, 1);
    if (berth_worker_number(worker) == 0)
        berth_loop_run(NULL); /* until the pool ends */
    else
        berth_loop_stop(NULL, 0); /* ends nothing */
}

CASE(
    handlers_run_and_stop_the_loop, "workers.h",
    "a nested run ends with the pool, hand-overs go on inside it, and a stop does not end a worker")
{
    real_kernel_only();
    static const berth_workers_handlers nesting = {
        .started = started, .stopping = stopping, .connection = free_and_stop_nested};
    berth_workers *workers = berth_workers_new(WORKERS, &nesting, &seen);
    ck_assert(berth_workers_start(workers));
    for (unsigned i = 0; i < 8; i++) {
        int client;
        ck_assert(berth_workers_hand_over(workers, connection_to(&client)));
        SOON(atomic_load(&seen.entered) == i + 1);
        SOON(all_connections(workers) == 0);
        assert_end(client);
    }
    pool_ended(workers);
}

struct listening {
    berth_workers *workers;
    atomic_int outcome; /* 1 or -1 when it is over */
};

static void *listen_with(void *user)
{
    struct listening *listening = user;
    bool listens = berth_workers_listen(listening->workers, BERTH_ADDRESS_LOOPBACK, 0);
    atomic_store(&listening->outcome, listens ? 1 : -1);
    return NULL;
}

CASE(workers_listen_inside_a_nested_run, "workers.h",
     "listening does not wait for a handler that runs the loop of its worker")
{
    real_kernel_only();
    static const berth_workers_handlers nesting = {
        .started = started, .stopping = stopping, .connection = free_and_stop_nested};
    struct listening listening = {.workers = berth_workers_new(WORKERS, &nesting, &seen)};
    pthread_t thread;
    int client;
    ck_assert(berth_workers_start(listening.workers));
    ck_assert(berth_workers_hand_over(listening.workers, connection_to(&client)));
    SOON(atomic_load(&seen.entered) == 1);
    assert_end(client);
    ck_assert_int_eq(pthread_create(&thread, NULL, listen_with, &listening), 0);
    SOON(atomic_load(&listening.outcome) != 0);
    ck_assert_int_eq(atomic_load(&listening.outcome), 1);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    client = client_of(berth_workers_port(listening.workers));
    assert_end(client); /* accepted by either */
    pool_ended(listening.workers);
}

static void detach(berth_worker *worker, berth_socket *socket, void *user)
{
    berth_socket_detach(socket);
    serve(worker, socket, user);
}

CASE(detached_connections_are_not_counted, "workers.h", "but served, and freed with the loop")
{
    real_kernel_only();
    static const berth_workers_handlers detaching = {
        .started = started, .stopping = stopping, .connection = detach};
    berth_workers *workers = berth_workers_new(WORKERS, &detaching, &seen);
    int client;
    ck_assert(berth_workers_start(workers));
    ck_assert(berth_workers_hand_over(workers, connection_to(&client)));
    assert_echo(client);
    ck_assert_uint_eq(all_connections(workers), 0);
    pool_ended(workers);
    assert_end(client);
}

/* ---- a listener for each worker -------------------------------------------------------------- */

CASE(workers_listen, "S1.26 workers.h",
     "on one port; all of them accept; it can be stopped and had again")
{
    real_kernel_only();
    berth_workers *workers = pool_started();
    int clients[64];
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    uint16_t port = berth_workers_port(workers);
    ck_assert_uint_ne(port, 0);
    ck_assert(!berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert_int_eq(berth_workers_error(workers), BERTH_ERROR_OPERATION);
    for (int i = 0; i < 64; i++)
        clients[i] = client_of(port);
    for (int i = 0; i < 64; i++)
        assert_echo(clients[i]);
    ck_assert_uint_eq(all_served(), 64);
    ck_assert_uint_eq(all_connections(workers), 64);
    ck_assert_uint_gt(atomic_load(&seen.served[0]), 0);
    ck_assert_uint_gt(atomic_load(&seen.served[1]), 0);
    for (int i = 0; i < 32; i++)
        close(clients[i]);
    SOON(all_connections(workers) == 32);
    berth_workers_stop(workers);
    ck_assert_uint_eq(berth_workers_port(workers), 0);
    ck_assert_uint_eq(all_connections(workers), 0);
    for (int i = 32; i < 64; i++)
        assert_end(clients[i]);
    ck_assert(berth_workers_start(workers));
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, port));
    int client = client_of(port);
    assert_echo(client);
    close(client);
    pool_ended(workers);
}

CASE(workers_cannot_accept, "S2.6 workers.h",
     "for want of descriptors or memory: each time one is told, and goes on")
{
    real_kernel_only();
    berth_workers *workers = pool_started();
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    berth__fault_set_system(0, 1, EMFILE, "accept4");
    int clients[12] = {client_of(berth_workers_port(workers))};
    SOON(atomic_load(&seen.failed) == 1);
    assert_echo(clients[0]);
    berth__fault_clear();
    for (int i = 1; i < 12; i++) {
        unsigned before = all_served() + atomic_load(&seen.failed);
        berth__fault_set_memory(i % 3, 1);
        clients[i] = client_of(berth_workers_port(workers));
        SOON(all_served() + atomic_load(&seen.failed) > before);
        berth__fault_clear();
    }
    for (int i = 0; i < 12; i++)
        close(clients[i]);
    ck_assert_uint_ge(atomic_load(&seen.failed), 2);
    SOON(all_connections(workers) == 0);
    pool_ended(workers);
}

CASE(workers_cannot_listen, "S1.13 workers.h",
     "the error is the pool's, no worker goes on listening, and another port is tried at once")
{
    real_kernel_only();
    struct host *busy = host_listening("h");
    berth_workers *workers = pool_started();
    ck_assert(!berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, busy->port));
    ck_assert_int_eq(berth_workers_error(workers), BERTH_ERROR_ADDRESS_IN_USE);
    ck_assert_ptr_nonnull(
        strstr(berth_workers_error_string(workers), "cannot listen on 127.0.0.1"));
    ck_assert_uint_eq(berth_workers_port(workers), 0);
    /* The second worker fails: the first must let go of the port. */
    unsigned free_descriptors = world_descriptors();
    berth__fault_set_system(1, 1, EADDRINUSE, "bind");
    ck_assert(!berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    berth__fault_clear();
    ck_assert_int_eq(berth_workers_error(workers), BERTH_ERROR_ADDRESS_IN_USE);
    SOON(world_descriptors() == free_descriptors);
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    int client = client_of(berth_workers_port(workers));
    assert_echo(client);
    close(client);
    pool_ended(workers);
}

CASE(workers_cannot_share_a_port, "0109 workers.h",
     "the error says what was tried, where and why, and nobody listens")
{
    real_kernel_only();
    uint16_t port = world_free_port();
    char endpoint[BERTH_ENDPOINT_TEXT_SIZE];
    berth_endpoint_format(BERTH_ADDRESS_LOOPBACK, port, endpoint, sizeof endpoint);
    berth_workers *workers = pool_started();
    unsigned free_descriptors = world_descriptors();
    /* Behind SO_REUSEADDR and SO_OOBINLINE of the first one. */
    berth__fault_set_system(2, 1, ENOMEM, "setsockopt");
    ck_assert(!berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, port));
    berth__fault_clear();
    ck_assert_int_eq(berth_workers_error(workers), BERTH_ERROR_SOCKET_RESOURCE);
    const char *text = berth_workers_error_string(workers);
    ck_assert_ptr_nonnull(strstr(text, endpoint));
    ck_assert_ptr_nonnull(strstr(text, "cannot share the port among the workers: out of memory"));
    ck_assert_uint_eq(berth_workers_port(workers), 0);
    SOON(world_descriptors() == free_descriptors);
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, port));
    pool_ended(workers);
}
