#include "pool.h"

#include "scene.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

struct pool_seen pool_seen;

void pool_must(bool condition)
{
    if (!condition)
        atomic_fetch_add(&pool_seen.wrong, 1);
}

bool pool_starting(berth_worker *worker, void *user)
{
    (void)worker;
    (void)user;
    atomic_fetch_add(&pool_seen.started, 1);
    return true;
}

void pool_stopping(berth_worker *worker, void *user)
{
    (void)worker;
    (void)user;
    atomic_fetch_add(&pool_seen.stopped, 1);
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

const berth_socket_handlers pool_echo = {.ready_read = echo,
                                         .disconnected = berth_socket_free_in_handler};

void pool_connection(berth_worker *worker, berth_socket *socket, void *user)
{
    (void)user;
    berth_socket_set_handlers(socket, &pool_echo, NULL);
    atomic_fetch_add(&pool_seen.served[berth_worker_number(worker)], 1);
}

void pool_failed(berth_worker *worker, berth_error error, void *user)
{
    (void)user;
    pool_must(error == berth_server_error(berth_worker_server(worker)));
    atomic_fetch_add(&pool_seen.failed, 1);
}

static const berth_workers_handlers handlers = {
    .started = pool_starting,
    .stopping = pool_stopping,
    .connection = pool_connection,
    .failed = pool_failed,
};

berth_workers *pool_of(const berth_workers_handlers *own)
{
    if (world_is_simulated())
        case_skip("each loop has a kernel of its own there");
    berth_workers *workers = world_pool(berth_workers_new(POOL_WORKERS, own, NULL));
    ck_assert_ptr_nonnull(workers);
    ck_assert_msg(berth_workers_start(workers), "%s", berth_workers_error_string(workers));
    return workers;
}

berth_workers *pool_new(void)
{
    return pool_of(&handlers);
}

void pool_end(berth_workers *workers)
{
    world_free_pool(workers);
    ck_assert_uint_eq(atomic_load(&pool_seen.stopped), atomic_load(&pool_seen.started));
    ck_assert_uint_eq(atomic_load(&pool_seen.wrong), 0);
}

size_t pool_connections(const berth_workers *workers)
{
    size_t sum = 0;
    for (int i = 0; i < berth_workers_count(workers); i++)
        sum += berth_workers_connections(workers, i);
    return sum;
}

unsigned pool_served(void)
{
    return atomic_load(&pool_seen.served[0]) + atomic_load(&pool_seen.served[1]);
}

berth_server_counts pool_counts(const berth_workers *workers)
{
    berth_server_counts counts;
    berth_workers_statistics(workers, &counts);
    return counts;
}

/* ---- blocking peers -------------------------------------------------------------------------- */

int pool_listener(uint16_t *ret_port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof name;
    int listener = world_note(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&name, length), 0);
    ck_assert_int_eq(listen(listener, 64), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&name, &length), 0);
    *ret_port = ntohs(name.sin_port);
    return listener;
}

int pool_client(uint16_t port)
{
    int client = world_note(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    /* Where a fault may keep the answer away. Elsewhere none: when this thread's ring has news, the
     * kernel ends a receive that has such a time, with EINTR. */
    struct timeval patience = {.tv_sec = world_seconds(SOON_SECONDS)};
    if (patience.tv_sec < SOON_SECONDS)
        setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    struct sockaddr_in server = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_eq(connect(client, (struct sockaddr *)&server, sizeof server), 0);
    return client;
}

int pool_pair(int *ret_client)
{
    uint16_t port;
    int listener = pool_listener(&port);
    *ret_client = pool_client(port);
    int near = world_note(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    ck_assert_int_ge(near, 0);
    close(listener);
    return near;
}

void pool_assert_echo(int client)
{
    char answer = 0;
    ck_assert_int_eq(send(client, "?", 1, MSG_NOSIGNAL), 1);
    ck_assert_int_eq(recv(client, &answer, 1, MSG_WAITALL), 1);
    ck_assert_int_eq(answer, '?');
}

void pool_assert_end(int client)
{
    char byte;
    ck_assert_int_le(recv(client, &byte, 1, MSG_WAITALL), 0);
    close(client);
}
