/*
 * Servers that encrypt: whose configuration a client gets, how many handshakes there are at a time,
 * how they fail, and what handlers may do meanwhile. The engine is a toy (support/toy_engine.h),
 * the clients are played by hand.
 */
#include "children.h"
#include "encrypted.h"

#include "backend/sim.h"
#include "base/fault.h"
#include "server/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct peer *come(const struct host *host, const char *name)
{
    uint8_t hello[512];
    struct peer *peer = world_connect(host->port);
    peer_send(peer, hello, toy_hello(name, "h2", hello));
    return peer;
}

/* All of a client's part at once. */
static struct peer *come_in_a_hurry(const struct host *host)
{
    uint8_t bytes[600];
    struct peer *peer = world_connect(host->port);
    size_t size = toy_hello("name", NULL, bytes);
    size += toy_record('c', "client", 6, bytes + size);
    peer_send(peer, bytes, size);
    return peer;
}

/* ---- the configuration ----------------------------------------------------------------------- */

/* Which of the toys answers to a name. */
static size_t engine_for(struct host *host, struct toy **toys, size_t count, const char *name)
{
    struct peer *peer = come(host, name);
    UNTIL(counts_of(host).handshaking == 1);
    size_t which = count;
    for (size_t i = 0; i < count; i++) {
        if (toys[i]->engines > 0)
            which = i;
    }
    peer_reset(peer);
    UNTIL(counts_of(host).handshaking == 0);
    return which;
}

CASE(hosts_by_name, "tls.h", "the name itself, then one label for a star, then the server's own")
{
    struct host *host = host_listening("h");
    struct toy *toys[4];
    for (unsigned i = 0; i < 4; i++)
        toys[i] = toy_new(true);
    berth_server *server = host->server;
    ck_assert(berth_server_set_tls(server, &toys[0]->tls));
    ck_assert_ptr_eq(berth_server_tls(server), &toys[0]->tls);
    ck_assert(berth_server_set_tls_host(server, "www.Example.org", &toys[1]->tls));
    ck_assert(berth_server_set_tls_host(server, "*.example.ORG", &toys[2]->tls));
    ck_assert(berth_server_set_tls_host(server, "example.org", &toys[3]->tls));
    ck_assert_uint_eq(engine_for(host, toys, 4, "WWW.example.org"), 1);
    ck_assert_uint_eq(engine_for(host, toys, 4, "ftp.example.org"), 2);
    ck_assert_uint_eq(engine_for(host, toys, 4, "example.org"), 3);
    ck_assert_uint_eq(engine_for(host, toys, 4, "a.b.example.org"), 0);
    ck_assert_uint_eq(engine_for(host, toys, 4, "org"), 0);
    ck_assert_uint_eq(engine_for(host, toys, 4, NULL), 0);
    ck_assert(berth_server_set_tls_host(server, "*.b\303\274cher.example", &toys[3]->tls));
    ck_assert_uint_eq(engine_for(host, toys, 4, "www.xn--bcher-kva.example"), 3);
    ck_assert(berth_server_set_tls_host(server, "www.example.org", &toys[3]->tls));
    ck_assert_uint_eq(engine_for(host, toys, 4, "www.example.org"), 3);
    ck_assert(berth_server_set_tls_host(server, "www.example.org", NULL));
    ck_assert_uint_eq(engine_for(host, toys, 4, "www.example.org"), 2);
    ck_assert(berth_server_set_tls_host(server, "*.example.org", NULL));
    ck_assert(berth_server_set_tls_host(server, "*.example.org", NULL));
    ck_assert_uint_eq(engine_for(host, toys, 4, "www.example.org"), 0);
    ck_assert_uint_eq(engine_for(host, toys, 4, "www.xn--bcher-kva.example"), 3);
    ck_assert_uint_eq(engine_for(host, toys, 4, "example.org"), 3);
    for (unsigned i = 0; i < 4; i++)
        berth_tls_release(&toys[i]->tls);
}

CASE(choice_of_the_base, "tls.h", "is by the name alone, however long or wrong it is")
{
    struct host *host = host_listening("h");
    struct toy *toys[2] = {toy_new(true), toy_new(true)};
    char longest[1000] = {0};
    memset(longest, '.', sizeof longest - 1);
    const char *const names[] = {"WWW.example.ORG", "b.c.example.org", longest, "", "a b", NULL};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const berth_tls_hello hello = {.server_name = names[i]};
        ck_assert_ptr_null(berth_server_base_client_hello(host->server, &hello));
        ck_assert(berth_server_set_tls(host->server, &toys[0]->tls));
        ck_assert(berth_server_set_tls_host(host->server, "*.example.org", &toys[1]->tls));
        ck_assert_ptr_eq(berth_server_base_client_hello(host->server, &hello), &toys[i == 0]->tls);
        ck_assert(berth_server_set_tls(host->server, NULL));
    }
    for (unsigned i = 0; i < 2; i++)
        berth_tls_release(&toys[i]->tls);
}

CASE(hosts_that_cannot_be, "tls.h", "invalid names and configurations for clients change nothing")
{
    static const char *const names[] = {"", "*", "*.", "a.*.b", "a..b", "1.2.3.4", "a b", "a."};
    struct host *host = host_listening("h");
    struct toy *server = toy_new(true);
    struct toy *client = toy_new(false);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ck_assert(!berth_server_set_tls_host(host->server, names[i], &server->tls));
        ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_OPERATION);
    }
    ck_assert(!berth_server_set_tls_host(host->server, "a b\n", &server->tls));
    ck_assert_ptr_nonnull(strstr(berth_server_error_string(host->server), "\"a b\\x0a\""));
    ck_assert(!berth_server_set_tls_host(host->server, NULL, &server->tls));
    ck_assert(!berth_server_set_tls_host(host->server, "a", &client->tls));
    ck_assert(!berth_server_set_tls(host->server, &client->tls));
    ck_assert_ptr_nonnull(strstr(berth_server_error_string(host->server), "for clients"));
    ck_assert(berth_server_set_tls_host(host->server, "a", NULL));
    ck_assert(berth_server_set_tls(host->server, NULL));
    ck_assert_ptr_null(berth_server_tls(host->server));
    berth_tls_release(&server->tls);
    berth_tls_release(&client->tls);
}

CASE(renewed_configuration, "tls.h", "is that of the next handshake; others keep theirs")
{
    struct host *host = host_listening("h");
    struct toy *old = encrypt(host);
    struct peer *first = come(host, "a");
    UNTIL(old->engines == 1);
    struct peer *second = world_connect(host->port);
    UNTIL(counts_of(host).greeting == 1);
    struct toy *new = encrypt(host);
    say_hello(second, "b");
    UNTIL(new->engines == 1);
    shake(first);
    shake(second);
    UNTIL(host->arrivals == 2);
    ck_assert_uint_eq(old->engines, 1);
}

CASE(encryption_taken_away, "tls.h", "from the next connection on")
{
    struct host *host = host_listening("h");
    struct toy *toy = encrypt(host);
    (void)berth_tls_hold(&toy->tls);
    struct peer *peer = world_connect(host->port);
    UNTIL(counts_of(host).greeting == 1);
    ck_assert(berth_server_set_tls(host->server, NULL));
    ck_assert_ptr_null(berth_server_tls(host->server));
    (void)world_connect(host->port);
    struct actor *plain = host_take_actor(host, "s");
    ck_assert(!berth_socket_is_encrypted(plain->socket));
    say_hello(peer, "b");
    UNTIL(toy->engines == 1);
    shake(peer);
    struct actor *encrypted = host_take_actor(host, "t");
    ck_assert(berth_socket_is_encrypted(encrypted->socket));
    berth_tls_release(&toy->tls);
}

static berth_tls *chosen;
static unsigned choices;
static uint16_t chosen_port;

static berth_tls *choose(struct host *host, const berth_tls_hello *hello)
{
    (void)host;
    choices++;
    chosen_port = hello->peer_port;
    ck_assert_str_eq(hello->server_name, "some.name");
    ck_assert_str_eq(hello->protocols[0], "h2");
    ck_assert_ptr_null(hello->protocols[1]);
    ck_assert(berth_address_is_loopback(hello->peer));
    return chosen;
}

CASE(program_chooses, "tls.h", "by what the client asks for; NULL refuses it with an alert")
{
    struct host *host = host_choosing("h", choose);
    struct toy *own = encrypt(host);
    struct toy *other = toy_new(true);
    struct toy *client = toy_new(false);
    ck_assert(berth_server_set_tls_host(host->server, "some.name", &own->tls));
    chosen = &other->tls;
    struct peer *peer = come(host, "some.name");
    UNTIL(other->engines == 1);
    ck_assert_uint_eq(own->engines, 0);
    ck_assert_uint_eq(chosen_port, peer_port(peer));
    shake(peer);
    UNTIL(host->arrivals == 1);
    chosen = NULL;
    peer = come(host, "some.name");
    UNTIL(host->failures == 1);
    ck_assert_int_eq(host->failure, BERTH_ERROR_TLS_HANDSHAKE_FAILED);
    ck_assert_str_eq(host->failure_name, "some.name");
    uint8_t alert[7];
    ck_assert_uint_eq(peer_receive(peer, alert, 7), 7);
    ck_assert_mem_eq(alert, "\x15\3\3\0\2\2\x70", 7);
    chosen = &client->tls;
    peer = come(host, "some.name");
    UNTIL(host->failures == 2);
    ck_assert_int_eq(host->failure, BERTH_ERROR_TLS_INVALID_USER_DATA);
    ck_assert_uint_eq(choices, 3);
    berth_tls_release(&other->tls);
    berth_tls_release(&client->tls);
}

static berth_tls *choose_and_free(struct host *host, const berth_tls_hello *hello)
{
    (void)hello;
    berth_server_free(host->server);
    return chosen;
}

CASE(server_freed_inside_client_hello, "tls.h", "ends all that there is")
{
    struct host *host = host_choosing("h", choose_and_free);
    (void)encrypt(host);
    struct toy *toy = toy_new(true);
    chosen = &toy->tls;
    struct peer *silent = world_connect(host->port);
    struct peer *peer = come(host, "some.name");
    UNTIL(peer_saw_either(peer) && peer_saw_either(silent));
    ck_assert_uint_eq(host->failures, 0);
    berth_tls_release(&toy->tls);
}

static berth_tls *choose_and_close(struct host *host, const berth_tls_hello *hello)
{
    (void)hello;
    berth_server_close(host->server);
    return chosen;
}

CASE(server_closed_inside_client_hello, "tls.h", "ends the connection, whatever is returned")
{
    struct host *host = host_choosing("h", choose_and_close);
    chosen = &encrypt(host)->tls;
    struct peer *peer = come(host, "some.name");
    UNTIL(peer_saw_either(peer));
    ck_assert_uint_eq(counts_of(host).dropped, 1);
    ck_assert_uint_eq(host->failures, 0);
}

static struct peer *inside;

static berth_tls *choose_and_turn(struct host *host, const berth_tls_hello *hello)
{
    if (inside == NULL) {
        inside = come(host, "another.name");
        UNTIL(counts_of(host).handshaking == 1);
        ck_assert_str_eq(hello->server_name, "some.name");
    }
    return chosen;
}

CASE(turns_inside_client_hello, "tls.h", "others go on, and the choice counts for whom it is about")
{
    struct host *host = host_choosing("h", choose_and_turn);
    chosen = &encrypt(host)->tls;
    struct peer *peer = come(host, "some.name");
    UNTIL(counts_of(host).handshaking == 2);
    shake(peer);
    shake(inside);
    UNTIL(host->arrivals == 2);
}

static struct peer *second;

static berth_tls *choose_while_another_comes(struct host *host, const berth_tls_hello *hello)
{
    if (second == NULL) {
        second = come(host, "second");
        UNTIL(counts_of(host).greeting == 2);
        world_settle();
    }
    ck_assert_str_eq(hello->server_name, inside == NULL ? "first" : "second");
    return chosen;
}

CASE(turn_inside_client_hello_at_the_limit, "tls.h",
     "begins no handshake in place of the chosen one")
{
    struct host *host = host_choosing("h", choose_while_another_comes);
    chosen = &encrypt(host)->tls;
    berth_server_set_max_handshakes(host->server, 1);
    struct peer *peer = come(host, "first");
    UNTIL(counts_of(host).handshaking == 1);
    world_settle();
    ck_assert_uint_eq(counts_of(host).handshaking, 1);
    ck_assert_uint_eq(counts_of(host).greeting, 1);
    inside = peer;
    shake(peer);
    UNTIL(counts_of(host).handshaking == 1 && host->arrivals == 1);
    shake(second);
    UNTIL(host->arrivals == 2);
}

static berth_tls *choose_too_late(struct host *host, const berth_tls_hello *hello)
{
    (void)hello;
    berth_server_set_handshake_timeout(host->server, 1);
    UNTIL(host->failures == 1);
    return chosen;
}

CASE(choice_takes_too_long, "tls.h", "where turns inside it end the connection")
{
    struct host *host = host_choosing("h", choose_too_late);
    chosen = &encrypt(host)->tls;
    struct peer *peer = come(host, "some.name");
    UNTIL(peer_saw_either(peer));
    ck_assert_int_eq(host->failure, BERTH_ERROR_SOCKET_TIMEOUT);
    ck_assert_uint_eq(counts_of(host).failed_handshake, 1);
}

/* ---- failures -------------------------------------------------------------------------------- */

CASE(engine_refuses_the_client, "tls.h", "is told with its words, and the client gets the alert")
{
    struct host *host = host_listening("h");
    struct toy *toy = encrypt(host);
    toy->refuses = true;
    struct peer *peer = come(host, "some.name");
    UNTIL(host->failures == 1);
    ck_assert_int_eq(host->failure, BERTH_ERROR_TLS_HANDSHAKE_FAILED);
    ck_assert_str_eq(host->failure_text, "the toy refuses");
    ck_assert_str_eq(host->failure_name, "some.name");
    ck_assert(berth_address_is_loopback(host->failure_peer));
    ck_assert_uint_eq(host->failure_port, peer_port(peer));
    uint8_t record[32];
    ck_assert_uint_eq(peer_receive(peer, record, 19), 19);
    ck_assert_int_eq(record[0], 'a');
    ck_assert(peer_saw_either(peer));
    ck_assert_uint_eq(counts_of(host).live, 0);
    ck_assert_uint_eq(host->new_connections, 0);
}

CASE(refused_client_goes_on_sending, "tls.h", "and gets the alert, which no reset destroys")
{
    struct host *host = host_listening("h");
    encrypt(host);
    struct peer *peer = come(host, "name");
    uint8_t record[64];
    ck_assert_uint_eq(peer_receive(peer, record, 10), 10);
    size_t size = toy_record('c', "client", 6, record);
    record[size - 1] ^= 1;
    peer_send(peer, record, size);
    UNTIL(counts_of(host).failed_handshake == 1);
    world_settle();
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(peer_send_some(peer, "more", 4), 4);
        world_settle();
    }
    ck_assert_uint_eq(counts_of(host).lingering, 1);
    ck_assert_uint_ge(peer_receive_some(peer, record, sizeof record), 4);
    ck_assert_uint_eq(record[0], 'a');
    ck_assert(peer_saw_end(peer));
    peer_close(peer);
    UNTIL(counts_of(host).lingering == 0);
}

CASE(client_goes_in_its_handshake, "tls.h", "by garbage, an alert, an end or a reset")
{
    struct host *host = host_listening("h");
    struct toy *toy = encrypt(host);
    uint8_t record[16];
    for (unsigned way = 0; way < 4; way++) {
        struct peer *peer = come(host, "name");
        UNTIL(counts_of(host).handshaking == 1);
        if (way == 0)
            peer_say(peer, "xxxxxxxx");
        else if (way == 1)
            peer_send(peer, record, toy_record('a', "no", 2, record));
        else if (way == 2)
            peer_shutdown(peer);
        else
            peer_reset(peer);
        UNTIL(host->failures == way + 1);
        ck_assert_uint_eq(counts_of(host).live, 0);
    }
    UNTIL(toy->engines == 0);
    ck_assert_uint_eq(counts_of(host).failed_handshake, 4);
    ck_assert_uint_eq(host->new_connections, 0);
}

CASE(no_memory_for_an_engine, "tls.h", "ends the connection")
{
    struct host *host = host_listening("h");
    encrypt(host)->lacks_memory = true;
    struct peer *peer = come(host, "name");
    UNTIL(peer_saw_either(peer));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_SOCKET_RESOURCE);
    ck_assert_uint_eq(counts_of(host).failed, 1);
    ck_assert_uint_eq(counts_of(host).live, 0);
}

CASE(limit_of_a_connection_in_its_handshake, "tls.h limits.h", "ends it, as in the queue")
{
    const berth_connection_limits limits = {.lifetime = 20};
    struct host *host = host_listening("h");
    (void)encrypt(host);
    berth_server_set_connection_limits(host->server, &limits);
    struct peer *peer = come(host, "name");
    UNTIL(counts_of(host).closed_lifetime == 1);
    ck_assert_uint_eq(counts_of(host).closed_pending, 1);
    ck_assert_uint_eq(counts_of(host).handshaking, 0);
    (void)peer;
    ck_assert_uint_eq(counts_of(host).live, 0);
}

static void free_server(struct host *host)
{
    berth_server_free(host->server);
}

CASE(server_freed_inside_handshake_failed, "tls.h", "by a bad hello and in a handshake")
{
    for (unsigned way = 0; way < 3; way++) {
        struct host *host = host_listening("h");
        (void)encrypt(host);
        host->on_failure = free_server;
        struct peer *silent = world_connect(host->port);
        struct peer *peer = way == 0 ? world_connect(host->port) : come(host, "name");
        if (way == 0)
            peer_say(peer, "GET / HTTP/1.1\r\n\r\n");
        else
            UNTIL(host->failures == 1 || counts_of(host).handshaking == 1);
        if (way == 1)
            peer_shutdown(peer);
        else if (way == 2 && host->failures == 0)
            berth_server_set_handshake_timeout(host->server, 1);
        UNTIL(host->failures == 1);
        UNTIL(peer_saw_either(silent));
    }
}

CASE(server_freed_by_an_encrypted_arrival, "tls.h", "inside new_connection and the one behind it")
{
    for (unsigned way = 0; way < 2; way++) {
        struct host *host = host_listening("h");
        (void)encrypt(host);
        if (way == 0)
            host->on_new_connection = free_server;
        else
            host->on_arrival = free_server;
        struct peer *peer = come(host, "name");
        shake(peer);
        UNTIL(host->new_connections == 1);
        ck_assert_uint_eq(host->arrivals, way);
        uint8_t record[16];
        (void)peer_receive(peer, record, 10);
        UNTIL(peer_saw_either(peer));
    }
}

static void take_and_free(struct host *host)
{
    berth_socket_free(berth_server_next_pending_connection(host->server));
}

CASE(encrypted_arrival_freed_at_once, "tls.h", "inside new_connection")
{
    struct host *host = host_listening("h");
    (void)encrypt(host);
    host->on_new_connection = take_and_free;
    for (unsigned i = 0; i < 3; i++)
        (void)come_in_a_hurry(host);
    UNTIL(host->arrivals == 3);
    ck_assert_uint_eq(counts_of(host).live, 0);
    ck_assert_uint_eq(counts_of(host).taken, 3);
}

static void fail_next_send(void)
{
    bool in_ring = strcmp(getenv("BERTH_BACKEND"), "io_uring") == 0;
    if (world_is_simulated())
        berth__sim_fail_send(world_sim(), ENOBUFS, 1);
    else
        berth__fault_set_system(0, 1, ENOBUFS, in_ring ? "ring_send" : "send");
}

CASE(send_fails_in_a_handshake, "tls.h", "the program is told at once, and a drain is over then")
{
    struct host *host = host_listening("h");
    (void)encrypt(host);
    fail_next_send();
    struct peer *peer = come(host, "name");
    UNTIL(host->failures == 1);
    berth__fault_clear();
    ck_assert_uint_eq(counts_of(host).handshaking, 0);
    ck_assert_uint_eq(counts_of(host).failed_handshake, 1);
    ck_assert_int_eq(host->failure, BERTH_ERROR_SOCKET_RESOURCE);
    ck_assert_ptr_nonnull(strstr(host->failure_text, "failed during the TLS handshake: "));
    ck_assert_str_eq(host->failure_name, "name");
    ck_assert(peer_saw_either(peer));
    ck_assert(berth_server_drain(host->server, &(berth_drain){0}));
    UNTIL(host->emptied == 1);
}

/* ---- how many -------------------------------------------------------------------------------- */

CASE(handshakes_at_a_time, "tls.h", "are limited; others wait in the order of their hellos")
{
    struct host *host = host_listening("h");
    (void)encrypt(host);
    berth_server_set_max_handshakes(host->server, 1);
    ck_assert_int_eq(berth_server_max_handshakes(host->server), 1);
    struct peer *peers[3];
    for (unsigned i = 0; i < 3; i++) {
        peers[i] = come(host, "name");
        UNTIL(counts_of(host).greeting + counts_of(host).handshaking == i + 1);
        world_settle();
    }
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(counts_of(host).handshaking, 1);
        ck_assert_uint_eq(counts_of(host).greeting, 2 - i);
        shake(peers[i]);
        UNTIL(host->arrivals == i + 1);
        ck_assert_uint_eq(berth_socket_peer_port(host_take(host)), peer_port(peers[i]));
        UNTIL(i == 2 || counts_of(host).handshaking == 1);
    }
    berth_server_set_max_handshakes(host->server, -1);
    ck_assert_int_eq(berth_server_max_handshakes(host->server), 1);
}

CASE(waiting_for_a_place_takes_too_long, "tls.h", "and ends the connection")
{
    struct host *host = host_listening("h");
    (void)encrypt(host);
    berth_server_set_max_handshakes(host->server, 1);
    (void)come(host, "first");
    UNTIL(counts_of(host).handshaking == 1);
    (void)come(host, "second");
    UNTIL(counts_of(host).greeting == 1);
    world_settle();
    berth_server_set_handshake_timeout(host->server, 1);
    UNTIL(host->failures == 2);
    ck_assert_uint_eq(counts_of(host).failed_handshake, 2);
}

CASE(full_queue_and_handshakes, "tls.h", "none begins; those that had begun exceed it")
{
    struct host *host = host_listening("h");
    (void)encrypt(host);
    berth_server_set_max_pending_connections(host->server, 1);
    struct peer *peers[3];
    for (unsigned i = 0; i < 3; i++)
        peers[i] = come(host, "name");
    UNTIL(counts_of(host).handshaking == 3);
    for (unsigned i = 0; i < 3; i++)
        shake(peers[i]);
    UNTIL(host->arrivals == 3);
    ck_assert_uint_eq(counts_of(host).pending, 3);
    struct peer *late = come(host, "late");
    world_settle();
    ck_assert_uint_eq(counts_of(host).handshaking, 0);
    ck_assert_uint_eq(counts_of(host).accepted, 3);
    for (unsigned i = 0; i < 3; i++)
        (void)host_take(host);
    shake(late);
    UNTIL(host->arrivals == 4);
}

CASE(whole_hellos_fill_their_places, "tls.h", "then accepting stops until a handshake begins")
{
    struct host *host = host_listening("h");
    (void)encrypt(host);
    berth_server_set_max_handshakes(host->server, 1);
    berth_server_set_max_greetings(host->server, 2);
    struct peer *first = come(host, "first");
    UNTIL(counts_of(host).handshaking == 1);
    for (unsigned i = 0; i < 2; i++) {
        (void)come(host, "whole");
        UNTIL(counts_of(host).greeting == i + 1);
        world_settle();
    }
    (void)world_connect(host->port);
    world_settle();
    ck_assert_uint_eq(counts_of(host).accepted, 3);
    shake(first);
    UNTIL(counts_of(host).accepted == 4);
    ck_assert_uint_eq(counts_of(host).rejected_greeting, 0);
}

CASE(thousand_hellos, "tls.h", "at once are all answered, and never more than may be at a time")
{
    enum {
        MANY = 1000,
        AT_ONCE = 50
    };
    struct host *host = host_listening("h");
    struct toy *toy = encrypt(host);
    berth_server_set_max_handshakes(host->server, 16);
    berth_server_set_max_greetings(host->server, AT_ONCE);
    host->on_new_connection = take_and_free;
    for (unsigned done = 0; done < MANY; done += AT_ONCE) {
        struct peer *peers[AT_ONCE];
        for (unsigned i = 0; i < AT_ONCE; i++)
            peers[i] = come_in_a_hurry(host);
        for (int turns = 0; turns < WORLD_TURNS && host->arrivals < done + AT_ONCE; turns++) {
            world_turn();
            ck_assert_uint_le(counts_of(host).handshaking, 16);
        }
        ck_assert_uint_eq(host->arrivals, done + AT_ONCE);
        for (unsigned i = 0; i < AT_ONCE; i++)
            peer_close(peers[i]);
        trace_clear();
    }
    ck_assert_uint_eq(counts_of(host).handshakes, MANY);
    ck_assert_uint_eq(counts_of(host).rejected_greeting, 0);
    ck_assert_uint_eq(toy->engines, 0);
}

static unsigned answered;

static berth_tls *choose_slowly(struct host *host, const berth_tls_hello *hello)
{
    (void)host;
    (void)hello;
    answered++;
    berth__sim_advance(world_sim(), BERTH__MILLISECOND);
    return chosen;
}

static unsigned answered_in_a_turn(void)
{
    unsigned before = answered;
    berth_loop_turn(world_loop(), 0);
    return answered - before;
}

CASE(hellos_share_the_time, "tls.h",
     "one in a turn with little else to do, a fifth of the time or 2 ms if there is much")
{
    enum {
        MANY = 14
    };
    if (!world_is_simulated())
        case_skip("the time is virtual");
    struct host *host = host_choosing("h", choose_slowly);
    chosen = &encrypt(host)->tls;
    for (unsigned i = 0; i < MANY; i++)
        (void)come(host, "name");
    for (unsigned i = 0; i < 10 && answered == 0; i++)
        (void)answered_in_a_turn();
    ck_assert_uint_eq(answered, 2); /* after a long time without any */
    ck_assert_uint_eq(answered_in_a_turn(), 1);
    ck_assert_uint_eq(answered_in_a_turn(), 1);
    berth__sim_advance(world_sim(), 5 * BERTH__MILLISECOND);
    ck_assert_uint_eq(answered_in_a_turn(), 2); /* a quarter of the rest: 1.25 ms */
    berth__sim_advance(world_sim(), 100 * BERTH__MILLISECOND);
    ck_assert_uint_eq(answered_in_a_turn(), 2);
    UNTIL(answered == MANY);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static unsigned incoming;
static bool calls_base;
static int kept;

static void on_incoming(berth_server *server, int descriptor, void *user)
{
    (void)user;
    incoming++;
    if (calls_base)
        berth_server_base_incoming_connection(server, descriptor);
    else
        kept = world_note(descriptor);
}

static void count(berth_server *server, void *user)
{
    (void)server;
    ++*(unsigned *)user;
}

CASE(incoming_connection_of_an_encrypting_server, "tls.h",
     "gets the descriptor before the handshake, and may have the base behaviour begin it")
{
    static const berth_server_handlers handlers = {.incoming_connection = on_incoming,
                                                   .new_connection = count};
    unsigned new_connections = 0;
    struct host host = {.server = berth_server_new(world_loop(), &handlers, &new_connections)};
    ck_assert_ptr_nonnull(host.server);
    struct toy *toy = encrypt(&host);
    host_listen(&host);
    struct peer *peer = world_connect(host.port);
    UNTIL(incoming == 1);
    ck_assert_uint_eq(new_connections, 1);
    ck_assert_uint_eq(counts_of(&host).handed_over, 1);
    ck_assert(world_is_open(kept));
    calls_base = true;
    peer = come(&host, "name");
    UNTIL(toy->engines == 1);
    ck_assert_uint_eq(incoming, 2);
    ck_assert_uint_eq(new_connections, 1);
    shake(peer);
    UNTIL(new_connections == 2);
    /* One that was accepted elsewhere. */
    berth_server_base_incoming_connection(host.server, kept);
    world_settle();
    ck_assert_uint_eq(counts_of(&host).greeting, 1);
    ck_assert_uint_eq(counts_of(&host).added, 1);
    berth_server_base_incoming_connection(host.server, kept);
    ck_assert_uint_eq(counts_of(&host).failed, 1);
    ck_assert(world_is_open(kept));
    berth_server_close(host.server);
}

CASE(encrypted_descriptor_from_elsewhere, "tls.h", "shakes hands, and is announced")
{
    struct host *host = host_new("h");
    (void)encrypt(host);
    struct peer *peer;
    uint8_t hello[512];
    berth_server_base_incoming_connection(host->server, world_stream_descriptor(&peer));
    peer_send(peer, hello, toy_hello("name", NULL, hello));
    shake(peer);
    UNTIL(host->arrivals == 1);
    ck_assert(berth_socket_is_encrypted(host_take(host)));
    ck_assert_uint_eq(counts_of(host).added, 1);
}

/* A socket of the path that listens. */
static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int listener = world_note(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    return listener;
}

CASE(hellos_by_listeners_of_both_kinds, "tls.h local.h",
     "a connection is of the kind that it came by, whoever has come since")
{
    real_kernel_only();
    struct host *host = host_listening("h");
    (void)encrypt(host);
    const char *path = world_path("socket");
    ck_assert_int_eq(berth__server_adopt_listener(host->server, listen_at(path)), 0);
    for (unsigned i = 0; i < 2; i++) {
        bool tcp = i == 0;
        struct peer *peer = tcp ? world_connect(host->port) : world_connect_local(path);
        UNTIL(counts_of(host).greeting == 1);
        struct peer *later = tcp ? world_connect_local(path) : world_connect(host->port);
        UNTIL(counts_of(host).greeting == 2);
        say_hello(peer, "name");
        shake(peer);
        UNTIL(host->arrivals == i + 1);
        berth_socket *socket = host_take(host);
        bool set = berth_socket_set_option(socket, BERTH_OPTION_LOW_DELAY, 1);
        ck_assert(set == tcp);
        peer_close(later);
        UNTIL(counts_of(host).greeting == 0);
    }
}

/* ---- copies ---------------------------------------------------------------------------------- */

static struct host *copied;

static void drop_and_serve(void)
{
    MUST(berth_server_drop_copies(copied->server));
    berth_server_counts counts = counts_of(copied);
    MUST(counts.greeting == 0 && counts.handshaking == 0 && counts.dropped == 2);
    MUST(berth_loop_after_fork(world_loop()));
    UNTIL(copied->failures == 1);
    berth_loop_free(world_loop());
}

CASE(child_drops_copies_of_handshakes, "tls.h reliability 23", "and the parent serves them")
{
    real_kernel_only();
    copied = host_listening("h");
    (void)encrypt(copied);
    struct peer *silent = world_connect(copied->port);
    struct peer *shaking = come(copied, "name");
    UNTIL(counts_of(copied).greeting == 1 && counts_of(copied).handshaking == 1);
    struct peer *childs = world_connect(copied->port);
    peer_say(childs, "GET / HTTP/1.1\r\n\r\n");
    have_child(drop_and_serve);
    uint8_t hello[512];
    shake(shaking);
    peer_send(silent, hello, toy_hello("name", NULL, hello));
    shake(silent);
    UNTIL(copied->arrivals == 2);
    ck_assert_uint_eq(copied->failures, 0);
}

CASE(place_of_one_that_has_waited_in_vain, "tls.h", "is another's")
{
    struct host *host = host_listening("h");
    (void)encrypt(host);
    berth_server_set_max_handshakes(host->server, 1);
    berth_server_set_max_greetings(host->server, 1);
    (void)come(host, "first");
    UNTIL(counts_of(host).handshaking == 1);
    (void)come(host, "second");
    UNTIL(counts_of(host).greeting == 1);
    world_settle();
    berth_server_set_handshake_timeout(host->server, 1);
    UNTIL(host->failures == 2);
    berth_server_set_handshake_timeout(host->server, 60000);
    struct peer *third = come(host, "third");
    UNTIL(counts_of(host).handshaking == 1);
    shake(third);
    UNTIL(host->arrivals == 1);
}

CASE(waiting_for_a_place_in_a_pause, "tls.h", "takes no time")
{
    struct host *host = host_listening("h");
    (void)encrypt(host);
    berth_server_set_max_handshakes(host->server, 1);
    (void)come(host, "first");
    UNTIL(counts_of(host).handshaking == 1);
    struct peer *waiting = come(host, "second");
    UNTIL(counts_of(host).greeting == 1);
    world_settle();
    berth_server_pause_accepting(host->server);
    berth_server_set_handshake_timeout(host->server, 1);
    UNTIL(host->failures == 1);
    world_settle();
    ck_assert_uint_eq(counts_of(host).greeting, 1);
    berth_server_set_handshake_timeout(host->server, 60000);
    world_settle();
    berth_server_resume_accepting(host->server);
    shake(waiting);
    UNTIL(host->arrivals == 1);
    ck_assert_uint_eq(host->failures, 1);
}

static berth_tls *choose_inside_and_close(struct host *host, const berth_tls_hello *hello)
{
    if (strcmp(hello->server_name, "outer") == 0) {
        inside = come(host, "inner");
        UNTIL(counts_of(host).handshaking == 1);
        berth_server_close(host->server);
    }
    return chosen;
}

CASE(choice_inside_a_choice, "tls.h", "leaves the outer one with its connection")
{
    struct host *host = host_choosing("h", choose_inside_and_close);
    chosen = &encrypt(host)->tls;
    struct peer *peer = come(host, "outer");
    UNTIL(peer_saw_either(peer));
    ck_assert_uint_eq(counts_of(host).dropped, 2);
    ck_assert_uint_eq(host->failures, 0);
}
