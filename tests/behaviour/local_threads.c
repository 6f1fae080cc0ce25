/*
 * Pools of workers on Unix sockets.
 */
#include "pool.h"
#include "scene.h"

#include <berth/local.h>

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int client_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int client = world_note(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ck_assert_int_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    return client;
}

CASE(pool_at_a_path, "workers.h local.h",
     "its workers share a socket, whose file goes with the pool's listening")
{
    enum {
        CLIENTS = 20
    };
    int clients[CLIENTS];
    berth_workers *workers = pool_new();
    const char *path = world_path("a");
    berth_local_options options = {.mode = 0600, .replace_stale = true};
    world_put_file(path, WORLD_SOCKET);
    ck_assert_msg(berth_workers_listen_local(workers, path, &options), "%s",
                  berth_workers_error_string(workers));
    ck_assert_uint_eq(berth_workers_port(workers), 0);
    ck_assert_uint_eq(world_mode_of(path), 0600);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = client_at(path);
    for (int i = 0; i < CLIENTS; i++)
        pool_assert_echo(clients[i]);
    ck_assert_uint_eq(pool_counts(workers).accepted, CLIENTS);
    ck_assert(!berth_workers_listen_local(workers, path, &options));
    ck_assert_int_eq(berth_workers_error(workers), BERTH_ERROR_OPERATION);
    berth_workers_close(workers);
    ck_assert_int_eq(world_file_at(path), WORLD_NOTHING);
    pool_assert_echo(clients[0]);
    ck_assert(berth_workers_listen_local(workers, path, NULL));
    close(client_at(path));
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
    pool_end(workers);
    ck_assert_int_eq(world_file_at(path), WORLD_NOTHING);
}

CASE(pool_at_a_path_that_is_taken, "workers.h local.h",
     "no worker listens, and the pool can listen elsewhere")
{
    berth_workers *workers = pool_new();
    const char *path = world_path("a");
    char expected[200];
    world_put_file(path, WORLD_PLAIN);
    ck_assert(!berth_workers_listen_local(workers, path, NULL));
    ck_assert_int_eq(berth_workers_error(workers), BERTH_ERROR_ADDRESS_IN_USE);
    snprintf(expected, sizeof expected, "cannot listen on %s: a file already exists there", path);
    ck_assert_str_eq(berth_workers_error_string(workers), expected);
    ck_assert_int_eq(world_file_at(path), WORLD_PLAIN);
    const char *other = world_path("b");
    world_exhaust(1);
    bool listens = berth_workers_listen_local(workers, other, NULL);
    world_relieve();
    ck_assert(!listens);
    ck_assert_int_eq(world_file_at(other), WORLD_NOTHING);
    ck_assert(berth_workers_listen_local(workers, other, NULL));
    int client = client_at(other);
    pool_assert_echo(client);
    close(client);
    pool_end(workers);
}

CASE(local_connection_is_handed_over, "workers.h local.h", "to a pool, as one of socketpair")
{
    int ends[2];
    berth_workers *workers = pool_new();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    ck_assert(berth_workers_hand_over(workers, ends[0]));
    pool_assert_echo(ends[1]);
    close(ends[1]);
    pool_end(workers);
}
