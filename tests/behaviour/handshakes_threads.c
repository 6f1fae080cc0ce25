/*
 * Pools whose workers encrypt: with a listener each, and with connections that were accepted
 * elsewhere. The engine is a toy (support/toy_engine.h).
 */
#include "pool.h"
#include "scene.h"
#include "toy_engine.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct toy *toy;

static bool start_encrypting(berth_worker *worker, void *user)
{
    return berth_server_set_tls(berth_worker_server(worker), &toy->tls) &&
           pool_starting(worker, user);
}

static void count_failure(berth_worker *worker, berth_error error, void *user)
{
    (void)worker;
    (void)user;
    pool_must(error == BERTH_ERROR_TLS_HANDSHAKE_FAILED);
    atomic_fetch_add(&pool_seen.failed, 1);
}

static const berth_workers_handlers handlers = {
    .started = start_encrypting,
    .stopping = pool_stopping,
    .connection = pool_connection,
    .failed = count_failure,
};

static void say(int client, const uint8_t *bytes, size_t size)
{
    ck_assert_int_eq(send(client, bytes, size, 0), (ptrdiff_t)size);
}

static void hear(int client, uint8_t type, size_t size)
{
    uint8_t bytes[64];
    ck_assert_int_eq(recv(client, bytes, size, MSG_WAITALL), (ptrdiff_t)size);
    ck_assert_int_eq(bytes[0], type);
}

/* Shakes hands, and is echoed. */
static void use(int client)
{
    uint8_t bytes[512];
    say(client, bytes, toy_hello("name", NULL, bytes));
    hear(client, 's', 10);
    say(client, bytes, toy_record('c', "client", 6, bytes));
    hear(client, 't', 10);
    say(client, bytes, toy_record('d', "echo", 4, bytes));
    hear(client, 'd', 8);
}

static void speak_http(int client)
{
    uint8_t byte;
    say(client, (const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18);
    ck_assert_int_le(recv(client, &byte, 1, 0), 0);
    close(client);
}

CASE(encrypting_pool, "workers.h tls.h",
     "its workers encrypt what they accept and what is handed over; failures are told")
{
    toy = toy_new(true);
    berth_workers *workers = pool_of(&handlers);
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    int clients[6];
    for (unsigned i = 0; i < 6; i++) {
        if (i < 3)
            clients[i] = pool_client(berth_workers_port(workers));
        else
            ck_assert(berth_workers_hand_over(workers, pool_pair(&clients[i])));
        use(clients[i]);
    }
    SOON(pool_served() == 6 && pool_connections(workers) == 6);
    speak_http(pool_client(berth_workers_port(workers)));
    int client;
    ck_assert(berth_workers_hand_over(workers, pool_pair(&client)));
    speak_http(client);
    SOON(atomic_load(&pool_seen.failed) == 2);
    ck_assert_uint_eq(pool_counts(workers).handshakes, 6);
    ck_assert_uint_eq(pool_counts(workers).failed_handshake, 2);
    for (unsigned i = 0; i < 6; i++)
        close(clients[i]);
    SOON(pool_connections(workers) == 0);
    pool_end(workers);
    berth_tls_release(&toy->tls);
}

static berth_tls *choose(berth_worker *worker, const berth_tls_hello *hello, void *user)
{
    (void)user;
    pool_must(!berth_address_is_null(hello->peer) && hello->peer_port != 0);
    if (strcmp(hello->server_name, "refused") == 0)
        return NULL;
    berth_tls *tls = berth_server_base_client_hello(berth_worker_server(worker), hello);
    pool_must(tls == &toy->tls);
    return tls;
}

static void failed_handshake(berth_worker *worker, const berth_tls_failure *failure, void *user)
{
    (void)worker;
    (void)user;
    pool_must(failure->error == BERTH_ERROR_TLS_HANDSHAKE_FAILED);
    pool_must(strcmp(failure->server_name, "refused") == 0 && failure->peer_port != 0);
    pool_must(strlen(failure->text) > 0);
    atomic_fetch_add(&pool_seen.failed, 1);
}

CASE(choosing_pool, "workers.h tls.h",
     "the program chooses a configuration or none, and is told who had to go instead of `failed`")
{
    static const berth_workers_handlers choosing = {
        .started = start_encrypting,
        .stopping = pool_stopping,
        .connection = pool_connection,
        .failed = pool_failed,
        .client_hello = choose,
        .handshake_failed = failed_handshake,
    };
    toy = toy_new(true);
    berth_workers *workers = pool_of(&choosing);
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    uint16_t port = berth_workers_port(workers);
    uint8_t bytes[512];
    for (unsigned i = 0; i < 4; i++) {
        int client = pool_client(port);
        use(client);
        close(client);
        client = pool_client(port);
        say(client, bytes, toy_hello("refused", NULL, bytes));
        hear(client, 21, 7);
        close(client);
    }
    SOON(atomic_load(&pool_seen.failed) == 4 && pool_connections(workers) == 0);
    pool_end(workers);
    berth_tls_release(&toy->tls);
}

CASE(draining_an_encrypting_pool, "workers.h tls.h",
     "ends who has not shaken hands at the deadline, which is no failure of a worker's")
{
    toy = toy_new(true);
    berth_workers *workers = pool_of(&handlers);
    int clients[4];
    for (unsigned i = 0; i < 4; i++)
        ck_assert(berth_workers_hand_over(workers, pool_pair(&clients[i])));
    /* What was handed over counts as a connection until the worker has looked at it. */
    SOON(pool_counts(workers).greeting == 4 && pool_connections(workers) == 0);
    ck_assert(
        berth_workers_drain(workers, &(berth_drain){.deadline = 1}, world_loop(), NULL, NULL));
    SOON(berth_workers_drain_state(workers) == BERTH_DRAIN_EMPTY);
    for (unsigned i = 0; i < 4; i++)
        pool_assert_end(clients[i]);
    pool_end(workers);
    berth_tls_release(&toy->tls);
}
