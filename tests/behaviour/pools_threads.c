/*
 * Pools as a daemon has them: their counts, listening sockets that are passed in and on, and
 * closing without stopping.
 */
#include "pool.h"
#include "scene.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- counts ---------------------------------------------------------------------------------- */

static void assert_balance(const berth_server_counts *counts)
{
    ck_assert_uint_eq(counts->accepted + counts->added,
                      counts->taken + counts->pending + counts->awaiting_header + counts->at_hand +
                          counts->handed_over + counts->rejected_address + counts->rejected_call +
                          counts->rejected_shed + counts->rejected_header + counts->failed +
                          counts->dropped + counts->closed_pending + counts->greeting +
                          counts->handshaking + counts->failed_handshake +
                          counts->rejected_greeting);
}

CASE(counts_of_a_pool, "workers.h statistics.h",
     "are those of all workers, and go on when it is stopped and started again")
{
    berth_workers *workers = pool_new();
    int clients[12];
    ck_assert_uint_eq(pool_counts(workers).accepted, 0);
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    for (int i = 0; i < 8; i++)
        clients[i] = pool_client(berth_workers_port(workers));
    for (int i = 8; i < 12; i++)
        ck_assert(berth_workers_hand_over(workers, pool_pair(&clients[i])));
    for (int i = 0; i < 12; i++)
        pool_assert_echo(clients[i]);
    berth_server_counts counts = pool_counts(workers);
    ck_assert_uint_eq(counts.accepted, 8);
    ck_assert_uint_eq(counts.added, 4);
    ck_assert_uint_eq(counts.taken, 12);
    ck_assert_uint_eq(counts.live, 12);
    assert_balance(&counts);
    for (int i = 0; i < 6; i++)
        close(clients[i]);
    SOON(pool_counts(workers).live == 6);
    berth_workers_stop(workers);
    counts = pool_counts(workers);
    ck_assert_uint_eq(counts.taken, 12);
    ck_assert_uint_eq(counts.live, 0);
    ck_assert_uint_eq(counts.lingering, 0);
    assert_balance(&counts);
    ck_assert(berth_workers_start(workers));
    int client;
    ck_assert(berth_workers_hand_over(workers, pool_pair(&client)));
    pool_assert_echo(client);
    ck_assert_uint_eq(pool_counts(workers).taken, 13);
    for (int i = 6; i < 12; i++)
        pool_assert_end(clients[i]);
    close(client);
    pool_end(workers);
}

struct watcher {
    berth_workers *workers;
    atomic_bool over;
    unsigned looks;
};

/* What only grows must not shrink, whenever it is looked at. */
static void *watch_counts(void *user)
{
    struct watcher *self = user;
    berth_server_counts before = {0};
    while (!atomic_load(&self->over)) {
        berth_server_counts now = pool_counts(self->workers);
        pool_must(now.accepted >= before.accepted && now.taken >= before.taken &&
                  now.added >= before.added);
        before = now;
        self->looks++;
    }
    return NULL;
}

CASE(counts_while_a_pool_lives, "workers.h",
     "any thread may look, while workers serve, stop and start; short structs get the beginning")
{
    berth_workers *workers = pool_new();
    struct watcher watcher = {.workers = workers};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, watch_counts, &watcher), 0);
    for (unsigned round = 1; round <= 4; round++) {
        ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
        for (int i = 0; i < 16; i++) {
            int client = pool_client(berth_workers_port(workers));
            pool_assert_echo(client);
            close(client);
        }
        berth_workers_stop(workers);
        ck_assert_uint_eq(pool_counts(workers).accepted, 16 * round);
        ck_assert(berth_workers_start(workers));
    }
    atomic_store(&watcher.over, true);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_gt(watcher.looks, 0);
    uint64_t two[2] = {0, 7};
    berth_workers_statistics_sized(workers, (berth_server_counts *)two, sizeof two[0]);
    ck_assert_uint_eq(two[0], 64);
    ck_assert_uint_eq(two[1], 7);
    pool_end(workers);
}

/* ---- closing --------------------------------------------------------------------------------- */

static berth_workers *own_pool;

static void close_own_pool(berth_worker *worker, berth_socket *socket, void *user)
{
    errno = 0;
    berth_workers_close(own_pool);
    pool_must(errno == EDEADLK);
    int none = -1;
    errno = 0;
    pool_must(!berth_workers_set_descriptors(own_pool, &none, 1) && errno == EDEADLK);
    berth_server_counts counts;
    berth_workers_statistics(own_pool, &counts);
    pool_must(counts.live > 0);
    size_t count;
    int copies[POOL_WORKERS];
    pool_must(berth_workers_descriptors(own_pool, copies, POOL_WORKERS, &count));
    pool_must(count == POOL_WORKERS);
    for (size_t i = 0; i < count; i++)
        close(copies[i]);
    pool_connection(worker, socket, user);
}

CASE(closing_a_pool, "workers.h",
     "nobody can connect, connections and hand-overs go on, and it can listen again on its port")
{
    static const berth_workers_handlers closing = {
        .started = pool_starting, .stopping = pool_stopping, .connection = close_own_pool};
    berth_workers *workers = own_pool = pool_of(&closing);
    berth_workers_close(workers);
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    uint16_t port = berth_workers_port(workers);
    int clients[9];
    for (int i = 0; i < 8; i++) {
        clients[i] = pool_client(port);
        pool_assert_echo(clients[i]);
    }
    berth_workers_close(workers);
    ck_assert_uint_eq(berth_workers_port(workers), 0);
    struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int refused = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(refused, (struct sockaddr *)&name, sizeof name), -1);
    ck_assert_int_eq(errno, ECONNREFUSED);
    close(refused);
    for (int i = 0; i < 8; i++)
        pool_assert_echo(clients[i]);
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, port));
    clients[8] = pool_client(port);
    for (int i = 0; i < 9; i++) {
        pool_assert_echo(clients[i]);
        close(clients[i]);
    }
    pool_end(workers);
}

/* ---- listening sockets that are passed --------------------------------------------------------
 */

#define MOST_PASSED 5

/* Connections wait in the backlog of each socket before the pool gets it; and others come. */
static void serve_passed(size_t count)
{
    berth_workers *workers = pool_new();
    int descriptors[MOST_PASSED];
    uint16_t ports[MOST_PASSED];
    int clients[4 * MOST_PASSED];
    size_t most = 0;
    for (size_t i = 0; i < count; i++) {
        descriptors[i] = pool_listener(&ports[i]);
        clients[most++] = pool_client(ports[i]);
        clients[most++] = pool_client(ports[i]);
    }
    ck_assert_msg(berth_workers_set_descriptors(workers, descriptors, count), "%s",
                  berth_workers_error_string(workers));
    ck_assert_uint_eq(berth_workers_port(workers), ports[0]);
    for (size_t i = 0; i < count; i++)
        for (int times = 0; times < 2; times++)
            clients[most++] = pool_client(ports[i]);
    for (size_t i = 0; i < most; i++)
        pool_assert_echo(clients[i]);
    ck_assert_uint_eq(pool_served(), 4 * count);
    ck_assert_uint_eq(pool_counts(workers).accepted, 4 * count);
    ck_assert_uint_eq(atomic_load(&pool_seen.failed), 0);
    berth_workers_close(workers);
    for (size_t i = 0; i < most; i++) {
        pool_assert_echo(clients[i]);
        close(clients[i]);
    }
    pool_end(workers);
}

CASE(fewer_listeners_than_workers, "S1.26 workers.h",
     "are shared, and what waits in their backlogs is served")
{
    serve_passed(1);
}

CASE(a_listener_for_each_worker, "S1.26 workers.h", "is accepted from by that worker")
{
    serve_passed(POOL_WORKERS);
}

CASE(more_listeners_than_workers, "S1.26 workers.h",
     "a worker accepts from several, and what waits in each backlog is served")
{
    serve_passed(MOST_PASSED);
}

/* Listens on an abstract name, or connects to it. */
static int local_end(int number, bool listens)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "berth-test-%d-%d",
                          (int)getpid(), number);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    int end = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listens) {
        ck_assert_int_eq(bind(end, (struct sockaddr *)&name, size), 0);
        ck_assert_int_eq(listen(end, 8), 0);
    } else {
        ck_assert_int_eq(connect(end, (struct sockaddr *)&name, size), 0);
    }
    return end;
}

CASE(listeners_of_both_kinds, "workers.h local.h",
     "a worker accepts from TCP and from Unix sockets, each connection as what it is")
{
    berth_workers *workers = pool_new();
    int descriptors[4] = {local_end(0, true), local_end(1, true)};
    uint16_t ports[2];
    for (int i = 0; i < 2; i++)
        descriptors[2 + i] = pool_listener(&ports[i]);
    ck_assert(berth_workers_set_descriptors(workers, descriptors, 4));
    for (int i = 0; i < 8; i++) {
        int client = i % 4 < 2 ? local_end(i % 2, false) : pool_client(ports[i % 2]);
        pool_assert_echo(client);
        shutdown(client, SHUT_WR);
        pool_assert_end(client);
    }
    ck_assert_uint_eq(pool_served(), 8);
    pool_end(workers);
}

static bool limit_pending(berth_worker *worker, void *user)
{
    berth_accept_limits limits = {.per_address = 1};
    berth_server_set_accept_limits(berth_worker_server(worker), &limits);
    return pool_starting(worker, user);
}

CASE(limits_of_several_listeners, "workers.h limits.h",
     "a worker's limits on accepting apply to all its listeners together")
{
    static const berth_workers_handlers limited = {
        .started = limit_pending, .stopping = pool_stopping, .connection = pool_connection};
    berth_workers *workers = pool_of(&limited);
    int descriptors[2 * POOL_WORKERS];
    uint16_t ports[2 * POOL_WORKERS];
    int clients[2 * POOL_WORKERS];
    for (int i = 0; i < 2 * POOL_WORKERS; i++)
        descriptors[i] = pool_listener(&ports[i]);
    ck_assert(berth_workers_set_descriptors(workers, descriptors, 2 * POOL_WORKERS));
    for (int i = 0; i < 2 * POOL_WORKERS; i++) {
        clients[i] = pool_client(ports[i]);
        if (i < POOL_WORKERS)
            pool_assert_echo(clients[i]);
        else
            pool_assert_end(clients[i]);
    }
    ck_assert_uint_eq(pool_counts(workers).rejected_address, POOL_WORKERS);
    for (int i = 0; i < POOL_WORKERS; i++)
        close(clients[i]);
    pool_end(workers);
}

CASE(one_of_several_listeners_is_shut_down, "workers.h S2.6",
     "from outside: that is reported, and the others go on")
{
    berth_workers *workers = pool_new();
    int descriptors[2 * POOL_WORKERS];
    uint16_t ports[2 * POOL_WORKERS];
    for (int i = 0; i < 2 * POOL_WORKERS; i++)
        descriptors[i] = pool_listener(&ports[i]);
    int other = fcntl(descriptors[0], F_DUPFD_CLOEXEC, 0);
    ck_assert(berth_workers_set_descriptors(workers, descriptors, 2 * POOL_WORKERS));
    ck_assert_int_eq(shutdown(other, SHUT_RD), 0);
    close(other);
    SOON(atomic_load(&pool_seen.failed) == 1);
    for (int i = 1; i < 2 * POOL_WORKERS; i++) {
        int client = pool_client(ports[i]);
        pool_assert_echo(client);
        close(client);
    }
    pool_end(workers);
}

/* Each is refused with these class and text, and all that was passed is as before. */
static void refuse(berth_workers *workers, const int *descriptors, size_t count, berth_error error,
                   const char *text)
{
    unsigned before = world_descriptors();
    ck_assert(!berth_workers_set_descriptors(workers, descriptors, count));
    ck_assert_int_eq(berth_workers_error(workers), error);
    ck_assert_ptr_nonnull(strstr(berth_workers_error_string(workers), text));
    SOON(world_descriptors() == before);
}

CASE(passed_descriptors_of_other_kinds, "workers.h",
     "nothing is taken, no backlog is lost, and the listeners are passed again at once")
{
    berth_workers *workers = pool_new();
    uint16_t port;
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    int datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int idle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client;
    int connected = pool_pair(&client);
    int listener = pool_listener(&port);
    int waiting = pool_client(port);
    int closed = dup(idle);
    close(closed);
    int mixed[4] = {listener, -1, -1, -1};
    const int wrong[] = {ends[0], datagrams, idle, connected, closed, -1};
    const char *const texts[] = {
        "not a", "not a stream socket", "not listening", "not listening", "not", "not"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        /* The second worker is the one that finds it, or the first one in its second round. */
        mixed[1] = mixed[2] = wrong[i];
        refuse(workers, mixed, 2, BERTH_ERROR_UNSUPPORTED_OPERATION, texts[i]);
        refuse(workers, &wrong[i], 1, BERTH_ERROR_UNSUPPORTED_OPERATION, texts[i]);
    }
    refuse(workers, NULL, 0, BERTH_ERROR_OPERATION, "no descriptor");
    mixed[1] = listener;
    refuse(workers, mixed, 2, BERTH_ERROR_OPERATION, "twice");
    world_exhaust(1);
    bool listens = berth_workers_set_descriptors(workers, &listener, 1);
    world_relieve();
    ck_assert(!listens);
    ck_assert_int_eq(berth_workers_error(workers), BERTH_ERROR_SOCKET_RESOURCE);
    ck_assert_uint_eq(berth_workers_port(workers), 0);
    ck_assert(berth_workers_set_descriptors(workers, &listener, 1));
    ck_assert_uint_eq(berth_workers_port(workers), port);
    pool_assert_echo(waiting);
    refuse(workers, &connected, 0, BERTH_ERROR_OPERATION, "already listening");
    close(waiting);
    close(client);
    close(connected);
    close(idle);
    close(datagrams);
    close(ends[0]);
    close(ends[1]);
    pool_end(workers);
    workers = berth_workers_new(1, NULL, NULL);
    ck_assert(!berth_workers_set_descriptors(workers, &listener, 1));
    ck_assert_int_eq(berth_workers_error(workers), BERTH_ERROR_OPERATION);
    world_free_pool(workers);
}

static bool drain_the_second(berth_worker *worker, void *user)
{
    const berth_drain plan = {.grace = 600000};
    bool drained =
        berth_worker_number(worker) == 0 || berth_server_drain(berth_worker_server(worker), &plan);
    return pool_starting(worker, user) && drained;
}

CASE(descriptors_for_a_drained_worker, "workers.h server.h",
     "are refused, whether the pool or the program drains it, and closing ends the drain")
{
    static const berth_workers_handlers draining = {
        .started = drain_the_second, .stopping = pool_stopping, .connection = pool_connection};
    berth_workers *workers = pool_of(&draining);
    uint16_t port;
    int listener = pool_listener(&port);
    int client = pool_client(port);
    refuse(workers, &listener, 1, BERTH_ERROR_OPERATION, "the server is being drained");
    ck_assert(berth_workers_set_descriptors(workers, &listener, 1));
    pool_assert_echo(client);
    close(client);
    pool_end(workers);
}

/* ---- passing listening sockets on ------------------------------------------------------------ */

CASE(descriptors_of_a_pool, "workers.h",
     "one copy for each socket; nothing is left when there is no room for one")
{
    berth_workers *workers = pool_new();
    int copies[8];
    size_t count = 9;
    ck_assert(berth_workers_descriptors(workers, copies, 8, &count));
    ck_assert_uint_eq(count, 0);
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    unsigned before = world_descriptors();
    ck_assert(!berth_workers_descriptors(workers, NULL, 0, &count));
    ck_assert_int_eq(errno, ERANGE);
    ck_assert_uint_eq(count, POOL_WORKERS);
    ck_assert(!berth_workers_descriptors(workers, copies, 1, &count));
    ck_assert_uint_eq(count, POOL_WORKERS);
    world_exhaust(1);
    bool copied = berth_workers_descriptors(workers, copies, 8, &count);
    int error = errno;
    world_relieve();
    ck_assert(!copied);
    ck_assert_int_eq(error, EMFILE);
    ck_assert_uint_eq(world_descriptors(), before);
    berth_workers_close(workers);
    uint16_t port;
    int shared = pool_listener(&port);
    ck_assert(berth_workers_set_descriptors(workers, &shared, 1));
    ck_assert(berth_workers_descriptors(workers, copies, 8, &count));
    ck_assert_uint_eq(count, 1);
    ck_assert_int_ne(fcntl(copies[0], F_GETFD) & FD_CLOEXEC, 0);
    close(copies[0]);
    pool_end(workers);
}

CASE(a_pool_takes_over_from_another, "workers.h S1.26",
     "more workers hand on to fewer while clients come: none is refused, none is reset")
{
    berth_workers *new = pool_new();
    berth_workers *old = berth_workers_new(5, NULL, NULL); /* it closes what it gets */
    int copies[5];
    size_t count;
    ck_assert(berth_workers_start(old));
    ck_assert(berth_workers_listen(old, BERTH_ADDRESS_LOOPBACK, 0));
    uint16_t port = berth_workers_port(old);
    ck_assert(berth_workers_descriptors(old, copies, 5, &count));
    ck_assert_uint_eq(count, 5);
    berth_workers_close(old);
    int clients[40];
    for (int i = 0; i < 40; i++)
        clients[i] = pool_client(port); /* they wait in the five backlogs */
    world_free_pool(old);
    ck_assert(berth_workers_set_descriptors(new, copies, count));
    for (int i = 0; i < 40; i++) {
        pool_assert_echo(clients[i]);
        close(clients[i]);
    }
    pool_end(new);
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool check_name(berth_worker *worker, void *user)
{
    char name[16] = "";
    char expected[16];
    snprintf(expected, sizeof expected, "berth-%d", berth_worker_number(worker));
    pool_must(pthread_getname_np(pthread_self(), name, sizeof name) == 0);
    pool_must(strcmp(name, expected) == 0);
    return pool_starting(worker, user);
}

CASE(names_of_threads, "workers.h", "are those of the workers, and the program's stays")
{
    char before[16] = "";
    char after[16] = "";
    ck_assert_int_eq(pthread_getname_np(pthread_self(), before, sizeof before), 0);
    berth_workers *workers =
        pool_of(&(const berth_workers_handlers){.started = check_name, .stopping = pool_stopping});
    ck_assert_uint_eq(atomic_load(&pool_seen.started), POOL_WORKERS);
    ck_assert_int_eq(pthread_getname_np(pthread_self(), after, sizeof after), 0);
    ck_assert_str_eq(before, after);
    pool_end(workers);
}

static bool share_port(berth_worker *worker, void *user)
{
    berth_server_set_reuse_port(berth_worker_server(worker), true);
    return pool_starting(worker, user);
}

CASE(pools_on_one_port, "0109", "the second is refused, and listens there when the first has gone")
{
    berth_workers *first = pool_new();
    berth_workers *second = pool_new();
    ck_assert(berth_workers_listen(first, BERTH_ADDRESS_LOOPBACK, 0));
    uint16_t port = berth_workers_port(first);
    ck_assert(!berth_workers_listen(second, BERTH_ADDRESS_LOOPBACK, port));
    ck_assert_int_eq(berth_workers_error(second), BERTH_ERROR_ADDRESS_IN_USE);
    ck_assert_uint_eq(berth_workers_port(second), 0);
    int client = pool_client(port);
    pool_assert_echo(client);
    close(client);
    berth_workers_close(first);
    ck_assert(berth_workers_listen(second, BERTH_ADDRESS_LOOPBACK, port));
    ck_assert(!berth_workers_listen(first, BERTH_ADDRESS_LOOPBACK, port));
    ck_assert_int_eq(berth_workers_error(first), BERTH_ERROR_ADDRESS_IN_USE);
    world_free_pool(first);
    pool_end(second);
}

CASE(pools_that_share_a_port, "0109", "by the wish of both")
{
    static const berth_workers_handlers sharing = {.started = share_port,
                                                   .stopping = pool_stopping,
                                                   .connection = pool_connection,
                                                   .failed = pool_failed};
    berth_workers *first = pool_of(&sharing);
    berth_workers *second = pool_of(&sharing);
    berth_workers *third = pool_new();
    ck_assert(berth_workers_listen(first, BERTH_ADDRESS_LOOPBACK, 0));
    uint16_t port = berth_workers_port(first);
    ck_assert(berth_workers_listen(second, BERTH_ADDRESS_LOOPBACK, port));
    ck_assert_uint_eq(berth_workers_port(second), port);
    ck_assert(!berth_workers_listen(third, BERTH_ADDRESS_LOOPBACK, port));
    world_free_pool(first);
    world_free_pool(second);
    pool_end(third);
}

CASE(pool_of_one_on_a_port, "0109", "shares it with nobody: there are no others to be let in")
{
    struct host *host = host_new("h");
    if (world_is_simulated())
        case_skip("each loop has a kernel of its own there");
    berth_workers *workers = berth_workers_new(1, NULL, NULL);
    ck_assert_ptr_nonnull(workers);
    ck_assert(berth_workers_start(workers));
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    uint16_t port = berth_workers_port(workers);
    berth_server_set_reuse_port(host->server, true);
    ck_assert(!berth_server_listen(host->server, BERTH_ADDRESS_LOOPBACK, port));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_ADDRESS_IN_USE);
    world_free_pool(workers);
    ck_assert(berth_server_listen(host->server, BERTH_ADDRESS_LOOPBACK, port));
}
