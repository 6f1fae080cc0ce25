/*
 * What cases of encrypted connections have in common: see encrypted.h.
 */
#include "encrypted.h"

#include <string.h>

berth_server_counts counts_of(const struct host *host)
{
    berth_server_counts counts;
    berth_server_statistics(host->server, &counts);
    scene_assert_balance(&counts);
    return counts;
}

struct toy *encrypt(struct host *host)
{
    struct toy *toy = toy_new(true);
    ck_assert(berth_server_set_tls(host->server, &toy->tls));
    berth_tls_release(&toy->tls); /* the server has it */
    return toy;
}

void say_hello(struct peer *peer, const char *name)
{
    uint8_t hello[512];
    peer_send(peer, hello, toy_hello(name, NULL, hello));
}

void shake(struct peer *peer)
{
    uint8_t record[16];
    ck_assert_uint_eq(peer_receive(peer, record, 10), 10);
    ck_assert_int_eq(record[0], 's');
    peer_send(peer, record, toy_record('c', "client", 6, record));
}

size_t wrong_record(const char *data, uint8_t *record)
{
    size_t size = toy_record('d', data, strlen(data), record);
    record[size - 1] ^= 1;
    return size;
}

void say_wrong(struct peer *peer)
{
    uint8_t record[16];
    peer_send(peer, record, wrong_record("bad", record));
}

struct actor *greeted_by(struct toy *toy, struct peer **ret_peer)
{
    struct actor *server = host_connect(host_listening("h"), "s", ret_peer);
    uint8_t bytes[10];
    ck_assert(berth_socket_start_server_encryption(server->socket, &toy->tls));
    berth_tls_release(&toy->tls);
    say_hello(*ret_peer, "x");
    ck_assert_uint_eq(peer_receive(*ret_peer, bytes, 10), 10);
    return server;
}

struct actor *encrypted_by(struct toy *toy, struct peer **ret_peer)
{
    struct actor *server = greeted_by(toy, ret_peer);
    uint8_t bytes[16];
    peer_send(*ret_peer, bytes, toy_record('c', "client", 6, bytes));
    UNTIL(server->encryptions == 1);
    ck_assert_uint_eq(peer_receive(*ret_peer, bytes, 10), 10);
    return server;
}

struct actor *encrypted_with(struct peer **ret_peer)
{
    return encrypted_by(toy_new(true), ret_peer);
}

struct actor *client_of(struct toy *toy, struct peer **ret_peer)
{
    struct actor *client = actor_connected("c", ret_peer);
    ck_assert(berth_socket_start_client_encryption(client->socket, &toy->tls, "x"));
    return client;
}

void answer_hello(struct peer *peer)
{
    uint8_t bytes[512];
    size_t size = toy_hello("x", NULL, bytes);
    ck_assert_uint_eq(peer_receive(peer, bytes, size), size);
    peer_send(peer, bytes, toy_record('s', "server", 6, bytes));
}
