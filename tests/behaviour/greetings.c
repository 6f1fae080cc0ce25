/*
 * Servers that encrypt, before a handshake begins: who is silent, who sends what is no hello,
 * limits, times, pauses and ends. The engine is a toy (support/toy_engine.h), the clients are
 * played by hand.
 */
#include "encrypted.h"

#include "backend/sim.h"

#include "balance.h"

#include <string.h>

static struct host *host_encrypting(void)
{
    struct host *host = host_listening("h");
    (void)encrypt(host);
    return host;
}

/* One that expects PROXY headers, of everybody. */
static struct host *host_behind_a_balancer(uint32_t milliseconds)
{
    struct host *host = host_encrypting();
    berth_subnet all;
    ck_assert(berth_subnet_parse("127.0.0.0/8", &all));
    ck_assert(berth_server_set_proxy_protocol(host->server, &all, 1, milliseconds));
    return host;
}

/* Begins a drain, and goes on until the server has stopped listening. */
static void drain(struct host *host, uint32_t idle)
{
    const berth_drain plan = {.idle = idle};
    ck_assert(berth_server_drain(host->server, &plan));
    UNTIL(!berth_server_is_listening(host->server));
}

static void until_emptied(struct host *host)
{
    UNTIL(host->emptied == 1);
    ck_assert(!host->forced);
}

/* A connection that comes into the queue, and is taken. */
static struct actor *take_encrypted(struct host *host, const char *name)
{
    struct peer *peer = world_connect(host->port);
    say_hello(peer, "good");
    shake(peer);
    struct actor *actor = host_take_actor(host, name);
    ck_assert(berth_socket_is_encrypted(actor->socket));
    return actor;
}

CASE(encrypting_server, "tls.h", "announces a connection when its handshake is complete")
{
    struct host *host = host_encrypting();
    struct peer *peer = world_connect(host->port);
    UNTIL(counts_of(host).greeting == 1);
    say_hello(peer, "name");
    UNTIL(counts_of(host).handshaking == 1);
    ck_assert_uint_eq(counts_of(host).greeting, 0);
    ck_assert_uint_eq(host->new_connections, 0);
    ck_assert(!berth_server_has_pending_connections(host->server));
    shake(peer);
    UNTIL(host->arrivals == 1);
    ck_assert_uint_eq(host->new_connections, 1);
    ck_assert_uint_eq(counts_of(host).handshakes, 1);
    ck_assert_uint_eq(counts_of(host).pending, 1);
    struct actor *actor = host_take_actor(host, "s");
    uint8_t record[16];
    ck_assert_uint_eq(peer_receive(peer, record, 10), 10);
    ck_assert_int_eq(record[0], 't');
    peer_send(peer, record, toy_record('d', "data", 4, record));
    UNTIL(actor_has(actor, "data"));
    ck_assert_uint_eq(berth_socket_peer_port(actor->socket), peer_port(peer));
    ck_assert_uint_eq(host->failures, 0);
    ck_assert_uint_eq(counts_of(host).live, 1);
}

CASE(plain_server_tells_of_arrivals, "server.h N2",
     "after new_connection, once for each in the queue")
{
    struct host *host = host_listening("h");
    host->takes = true;
    (void)world_connect(host->port);
    (void)world_connect(host->port);
    UNTIL(host->arrivals == 2);
    ck_assert_uint_eq(host->new_connections, 2);
}

CASE(hello_byte_by_byte, "tls.h", "is a hello when the last byte has come, and not before")
{
    struct host *host = host_encrypting();
    struct peer *peer = world_connect(host->port);
    uint8_t hello[512];
    size_t size = toy_hello("name", "h2", hello);
    for (size_t i = 0; i < size; i++) {
        world_turn();
        ck_assert_uint_eq(counts_of(host).handshaking, 0);
        peer_send(peer, &hello[i], 1);
    }
    UNTIL(counts_of(host).handshaking == 1);
    shake(peer);
    UNTIL(host->arrivals == 1);
}

CASE(crowd_of_hellos, "tls.h",
     "is read a few in a turn: halves are completed, and ends are noticed")
{
    enum {
        MANY = 40
    };
    struct host *host = host_encrypting();
    struct peer *peers[MANY];
    uint8_t hello[512];
    size_t size = toy_hello("name", NULL, hello);
    berth_server_set_max_pending_connections(host->server, MANY);
    for (unsigned i = 0; i < MANY; i++)
        peers[i] = world_connect(host->port);
    UNTIL(counts_of(host).greeting == MANY);
    say_hello(peers[0], "first");
    for (unsigned i = 1; i < MANY; i++)
        peer_send(peers[i], hello, size / 2);
    peer_reset(peers[MANY - 1]);
    UNTIL(counts_of(host).handshaking == 1 && host->failures == 1);
    world_settle();
    ck_assert_uint_eq(counts_of(host).greeting, MANY - 2);
    for (unsigned i = 1; i < MANY - 1; i++)
        peer_send(peers[i], hello + size / 2, size - size / 2);
    for (unsigned i = 0; i < MANY - 1; i++)
        shake(peers[i]);
    UNTIL(host->arrivals == MANY - 1);
    ck_assert_uint_eq(counts_of(host).greeting, 0);
    ck_assert_uint_eq(counts_of(host).failed_handshake, 1);
}

CASE(crowd_of_hellos_in_a_pause, "tls.h", "waits, and is answered after it")
{
    enum {
        MANY = 40
    };
    struct host *host = host_encrypting();
    struct peer *peers[MANY];
    berth_server_set_max_pending_connections(host->server, MANY);
    for (unsigned i = 0; i < MANY; i++)
        peers[i] = world_connect(host->port);
    UNTIL(counts_of(host).greeting == MANY);
    for (unsigned i = 0; i < MANY; i++)
        say_hello(peers[i], "name");
    UNTIL(counts_of(host).handshaking > 0);
    berth_server_pause_accepting(host->server);
    unsigned begun = (unsigned)counts_of(host).handshaking;
    world_settle();
    ck_assert_uint_eq(counts_of(host).handshaking, begun);
    ck_assert_uint_eq(counts_of(host).greeting, MANY - begun);
    berth_server_resume_accepting(host->server);
    for (unsigned i = 0; i < MANY; i++)
        shake(peers[i]);
    UNTIL(host->arrivals == MANY);
}

/* A crowd that speaks in one turn: the first says hello and has the only place for a handshake, so
 * that most of the others, of whom each says one byte, wait unread behind it. */
enum {
    CROWD = 40
};

static struct host *host_with_a_crowd(struct peer *peers[CROWD])
{
    uint8_t hello[512];
    struct host *host = host_encrypting();
    berth_server_set_handshake_timeout(host->server, 600000);
    berth_server_set_max_handshakes(host->server, 1);
    for (unsigned i = 0; i < CROWD; i++)
        peers[i] = world_connect(host->port);
    UNTIL(counts_of(host).greeting == CROWD);
    (void)peer_send_some(peers[0], hello, toy_hello("first", NULL, hello));
    for (unsigned i = 1; i < CROWD; i++)
        (void)peer_send_some(peers[i], hello, 1);
    UNTIL(counts_of(host).handshaking == 1);
    ck_assert_uint_eq(counts_of(host).greeting, CROWD - 1);
    return host;
}

CASE(crowd_of_halves_without_a_place, "tls.h",
     "is read although nobody can be answered, and gives way to who comes")
{
    struct peer *peers[CROWD];
    struct host *host = host_with_a_crowd(peers);
    world_settle();
    berth_server_set_max_greetings(host->server, CROWD - 1);
    for (unsigned i = 1; i < CROWD; i++) {
        (void)world_connect(host->port);
        UNTIL(counts_of(host).rejected_greeting == i);
    }
    for (unsigned i = 1; i < CROWD; i++)
        ck_assert(peer_saw_either(peers[i]));
    shake(peers[0]);
    UNTIL(host->arrivals == 1);
    ck_assert_uint_eq(host->failures, 0);
}

CASE(crowd_of_halves_in_a_drain, "tls.h", "is cut when the time of an idle connection is over")
{
    struct peer *peers[CROWD];
    struct host *host = host_with_a_crowd(peers);
    drain(host, 20);
    UNTIL(host->failures == CROWD - 1);
    ck_assert_int_eq(host->failure, BERTH_ERROR_SOCKET_TIMEOUT);
    ck_assert_uint_eq(counts_of(host).handshaking, 1);
    shake(peers[0]);
    (void)host_take_actor(host, "s");
    until_emptied(host);
}

CASE(bytes_behind_the_hello, "tls.h", "belong to the handshake")
{
    struct host *host = host_encrypting();
    struct peer *peer = world_connect(host->port);
    uint8_t bytes[600];
    size_t size = toy_hello("name", NULL, bytes);
    size += toy_record('c', "client", 6, bytes + size);
    size += toy_record('d', "early", 5, bytes + size);
    peer_send(peer, bytes, size);
    struct actor *actor = host_take_actor(host, "s");
    UNTIL(berth_socket_bytes_available(actor->socket) == 5);
}

CASE(silent_clients_take_no_place, "tls.h", "in the queue, and hold one small record each")
{
    enum {
        SILENT = 20
    };
    struct host *host = host_encrypting();
    berth_server_set_max_pending_connections(host->server, 1);
    berth_socket_free(take_encrypted(host, "s")->socket);
    world_settle();
    long before = balance_blocks();
    for (unsigned i = 0; i < SILENT; i++)
        (void)world_connect(host->port);
    UNTIL(counts_of(host).greeting == SILENT);
    ck_assert_int_le(balance_blocks() - before, world_is_simulated() ? 4 * SILENT : SILENT + 2);
    berth_socket_free(take_encrypted(host, "t")->socket);
    ck_assert_uint_eq(counts_of(host).greeting, SILENT);
    ck_assert_uint_eq(host->new_connections, 2);
    ck_assert_uint_eq(host->failures, 0);
}

CASE(oldest_silent_client_goes, "tls.h", "when more come than there are places for")
{
    struct host *host = host_encrypting();
    berth_server_set_max_greetings(host->server, 2);
    ck_assert_int_eq(berth_server_max_greetings(host->server), 2);
    struct peer *first = world_connect(host->port);
    UNTIL(counts_of(host).greeting == 1);
    struct peer *second = world_connect(host->port);
    UNTIL(counts_of(host).greeting == 2);
    peer_say(second, "\x16\3"); /* a little is not enough */
    struct peer *third = world_connect(host->port);
    UNTIL(counts_of(host).rejected_greeting == 1);
    ck_assert(peer_saw_either(first));
    say_hello(third, "third");
    UNTIL(counts_of(host).handshaking == 1);
    ck_assert_uint_eq(counts_of(host).greeting, 1);
    shake(third);
    UNTIL(host->arrivals == 1);
    (void)world_connect(host->port);
    UNTIL(counts_of(host).greeting == 2);
    berth_server_set_max_greetings(host->server, 0);
    ck_assert_int_eq(berth_server_max_greetings(host->server), 1);
    ck_assert_uint_eq(counts_of(host).greeting, 1);
    ck_assert(peer_saw_either(second));
    ck_assert_uint_eq(host->failures, 0);
}

CASE(silent_clients_and_no_descriptor, "tls.h", "give theirs up, and a good client is served")
{
    struct host *host = host_encrypting();
    for (unsigned i = 0; i < 4; i++)
        (void)world_connect(host->port);
    UNTIL(counts_of(host).greeting == 4);
    struct peer *peer = world_connect(host->port);
    world_exhaust(0);
    UNTIL(counts_of(host).rejected_greeting > 0);
    world_relieve();
    say_hello(peer, "good");
    shake(peer);
    UNTIL(host->arrivals == 1);
    ck_assert_uint_eq(host->accept_errors, 0);
}

CASE(hello_does_not_come, "tls.h", "the time for it is limited, and its end told")
{
    struct host *host = host_encrypting();
    ck_assert_uint_eq(berth_server_handshake_timeout(host->server), 5000);
    berth_server_set_handshake_timeout(host->server, 20);
    struct peer *silent = world_connect(host->port);
    struct peer *half = world_connect(host->port);
    peer_say(half, "\x16\3\1");
    UNTIL(peer_saw_either(silent) && peer_saw_either(half));
    ck_assert_uint_eq(host->failures, 2);
    ck_assert_int_eq(host->failure, BERTH_ERROR_SOCKET_TIMEOUT);
    ck_assert_str_eq(host->failure_name, "");
    ck_assert_uint_eq(counts_of(host).failed_handshake, 2);
    ck_assert_uint_eq(host->new_connections, 0);
    const char *said = berth_server_error_string(host->server);
    ck_assert_ptr_nonnull(strstr(said, "cannot accept an encrypted connection from 127.0.0.1:"));
    ck_assert_ptr_nonnull(strstr(said, "in time"));
    berth_server_set_handshake_timeout(host->server, 0);
    ck_assert_uint_eq(berth_server_handshake_timeout(host->server), 5000);
}

CASE(shorter_handshake_timeout, "tls.h", "counts for those who are there")
{
    struct host *host = host_encrypting();
    struct peer *silent = world_connect(host->port);
    struct peer *shaking = world_connect(host->port);
    say_hello(shaking, "slow.example");
    UNTIL(counts_of(host).greeting == 1 && counts_of(host).handshaking == 1);
    berth_server_set_handshake_timeout(host->server, 10);
    UNTIL(peer_saw_either(silent));
    UNTIL(host->failures == 2);
    uint8_t record[16];
    (void)peer_receive(shaking, record, 10);
    ck_assert(peer_saw_either(shaking));
    ck_assert_str_eq(host->failure_name, "slow.example");
    ck_assert_uint_eq(host->failure_port, peer_port(shaking));
    ck_assert_uint_eq(counts_of(host).live, 0);
}

static void fails_with(struct host *host, const void *bytes, size_t size, const char *text)
{
    unsigned before = host->failures;
    struct peer *peer = world_connect(host->port);
    peer_send(peer, bytes, size);
    UNTIL(host->failures == before + 1);
    ck_assert_ptr_nonnull(strstr(host->failure_text, text));
    ck_assert_int_eq(host->failure, BERTH_ERROR_TLS_HANDSHAKE_FAILED);
    peer_close(peer);
}

CASE(what_is_no_hello, "tls.h", "ends the connection, and the program is told what it was")
{
    struct host *host = host_encrypting();
    static uint8_t many[20000] = {22, 3, 1, 0, 1, 1, 22, 3, 1, 0, 1, 0};
    fails_with(host, "GET / HTTP/1.1\r\n\r\n", 18, "speaks plain HTTP");
    fails_with(host, "SSH-2.0-x\r\n", 11, "does not speak TLS");
    fails_with(host, "\x15\3\1\0\2\2\x28", 7, "no valid ClientHello");
    fails_with(host, "\x16\3\1\xff\xff", 5, "no valid ClientHello");
    fails_with(host, "\x16\3\1\0\4\1\xff\xff\xff", 9, "too long");
    fails_with(host, "\x16\3\1\0\5\1\0\0\1\0", 10, "no valid ClientHello");
    memcpy(many + 12, "\x16\3\1\0\1\x3f\x16\3\1\0\1\xf0", 12); /* 16,368 bytes are to come */
    for (size_t at = 24; at + 6 <= sizeof many; at += 6)
        memcpy(many + at, "\x16\3\1\0\1x", 6);
    fails_with(host, many, 16390, "too long");
    uint8_t hello[512];
    size_t size = toy_hello("a..b", NULL, hello);
    fails_with(host, hello, size, "server name");
    ck_assert_uint_eq(counts_of(host).failed_handshake, 8);
    ck_assert_uint_eq(host->new_connections, 0);
    (void)take_encrypted(host, "s");
}

static void expect_alert(const struct host *host, const void *hello, size_t size, uint8_t alert)
{
    const uint8_t expected[] = {21, 3, 3, 0, 2, 2, alert};
    uint8_t bytes[sizeof expected];
    struct peer *peer = world_connect(host->port);
    peer_send(peer, hello, size);
    ck_assert_uint_eq(peer_receive(peer, bytes, sizeof bytes), sizeof bytes);
    ck_assert_mem_eq(bytes, expected, sizeof expected);
    ck_assert(peer_saw_either(peer));
}

CASE(alert_for_a_bad_hello, "tls.h", "lets the client know: of the name, the length, or the rest")
{
    struct host *host = host_encrypting();
    uint8_t hello[512];
    expect_alert(host, hello, toy_hello("a..b", NULL, hello), 112);
    expect_alert(host, "\x16\3\1\0\4\1\xff\xff\xff", 9, 22);
    expect_alert(host, "\x16\3\1\0\5\1\0\0\1\0", 10, 50);
}

CASE(client_goes_before_its_hello, "tls.h", "by an end or a reset, with or without bytes")
{
    struct host *host = host_encrypting();
    struct peer *peer = world_connect(host->port);
    peer_shutdown(peer);
    UNTIL(host->failures == 1);
    ck_assert_int_eq(host->failure, BERTH_ERROR_REMOTE_HOST_CLOSED);
    ck_assert(peer_saw_either(peer));
    peer = world_connect(host->port);
    peer_say(peer, "\x16\3");
    UNTIL(counts_of(host).greeting == 1);
    peer_close(peer);
    UNTIL(host->failures == 2);
    peer = world_connect(host->port);
    UNTIL(counts_of(host).greeting == 1);
    peer_reset(peer);
    UNTIL(host->failures == 3);
    ck_assert_uint_eq(counts_of(host).failed_handshake, 3);
    ck_assert_uint_eq(host->new_connections, 0);
}

/* ---- pauses and ends ------------------------------------------------------------------------- */

CASE(greetings_in_a_pause, "tls.h", "nobody is heard, and the time of who has spoken stands still")
{
    struct host *host = host_encrypting();
    struct peer *whole = world_connect(host->port);
    struct peer *half = world_connect(host->port);
    UNTIL(counts_of(host).greeting == 2);
    berth_server_pause_accepting(host->server);
    say_hello(whole, "whole");
    peer_say(half, "\x16\3");
    world_settle();
    ck_assert_uint_eq(counts_of(host).greeting, 2);
    berth_server_set_handshake_timeout(host->server, 1);
    world_settle();
    ck_assert_uint_eq(host->failures, 0);
    berth_server_set_handshake_timeout(host->server, 5000);
    berth_server_resume_accepting(host->server);
    shake(whole);
    UNTIL(host->arrivals == 1);
    ck_assert_uint_eq(counts_of(host).greeting, 1);
}

CASE(closing_an_encrypting_server, "tls.h", "ends who is greeting and who is shaking hands")
{
    struct host *host = host_encrypting();
    struct peer *silent = world_connect(host->port);
    struct peer *shaking = world_connect(host->port);
    say_hello(shaking, "name");
    UNTIL(counts_of(host).greeting == 1 && counts_of(host).handshaking == 1);
    berth_server_close(host->server);
    ck_assert_uint_eq(counts_of(host).dropped, 2);
    ck_assert(peer_saw_either(silent));
    uint8_t record[10];
    (void)peer_receive(shaking, record, 10);
    ck_assert(peer_saw_either(shaking));
    ck_assert_uint_eq(host->failures, 0);
    ck_assert_uint_eq(counts_of(host).live, 0);
    host_listen(host);
    (void)take_encrypted(host, "s");
}

CASE(freeing_an_encrypting_server, "tls.h", "ends them too")
{
    struct host *host = host_encrypting();
    struct peer *silent = world_connect(host->port);
    struct peer *shaking = world_connect(host->port);
    say_hello(shaking, "name");
    UNTIL(counts_of(host).greeting == 1 && counts_of(host).handshaking == 1);
    berth_server_free(host->server);
    UNTIL(peer_saw_either(silent));
}

CASE(draining_an_encrypting_server, "tls.h",
     "handshakes go on, and who is silent is given the time of an idle connection")
{
    struct host *host = host_encrypting();
    struct peer *silent = world_connect(host->port);
    struct peer *late = world_connect(host->port);
    struct peer *shaking = world_connect(host->port);
    say_hello(shaking, "name");
    UNTIL(counts_of(host).greeting == 2 && counts_of(host).handshaking == 1);
    drain(host, 400);
    say_hello(late, "late");
    shake(shaking);
    shake(late);
    struct actor *one = host_take_actor(host, "s");
    struct actor *two = host_take_actor(host, "t");
    UNTIL(one->disconnects == 1 && two->disconnects == 1);
    until_emptied(host);
    ck_assert(peer_saw_either(silent));
    ck_assert_uint_eq(host->failures, 1);
}

CASE(handshakes_outlive_idle_time_of_a_drain, "tls.h",
     "those that have begun, before it or in it, have their own time")
{
    struct host *host = host_encrypting();
    berth_server_set_handshake_timeout(host->server, 60000);
    struct peer *shaking = world_connect(host->port);
    say_hello(shaking, "name");
    UNTIL(counts_of(host).handshaking == 1);
    struct peer *late = world_connect(host->port);
    struct peer *silent = world_connect(host->port);
    UNTIL(counts_of(host).greeting == 2);
    drain(host, 600);
    say_hello(late, "late");
    UNTIL(counts_of(host).handshaking == 2);
    UNTIL(peer_saw_either(silent) && host->failures > 0);
    ck_assert_uint_eq(host->failures, 1);
    shake(shaking);
    shake(late);
    (void)host_take_actor(host, "s");
    (void)host_take_actor(host, "t");
    until_emptied(host);
    ck_assert_uint_eq(host->failures, 1);
}

CASE(hellos_outlive_idle_time_of_a_drain, "tls.h",
     "those that wait for a place are not idle, whether they came before it or in it")
{
    struct host *host = host_encrypting();
    berth_server_set_handshake_timeout(host->server, 60000);
    berth_server_set_max_handshakes(host->server, 1);
    struct peer *peers[3];
    struct peer *silent = world_connect(host->port);
    for (unsigned i = 0; i < 3; i++)
        peers[i] = world_connect(host->port);
    say_hello(peers[0], "name");
    UNTIL(counts_of(host).handshaking == 1);
    say_hello(peers[1], "name");
    UNTIL(counts_of(host).greeting == 3);
    drain(host, 600);
    say_hello(peers[2], "name");
    UNTIL(peer_saw_either(silent) && host->failures > 0);
    ck_assert_uint_eq(host->failures, 1);
    for (unsigned i = 0; i < 3; i++) {
        shake(peers[i]);
        (void)host_take_actor(host, "s");
    }
    until_emptied(host);
    ck_assert_uint_eq(host->failures, 1);
}

CASE(handshakes_of_a_drain_have_an_end, "tls.h", "at the time of a handshake, if nobody goes on")
{
    struct host *host = host_encrypting();
    berth_server_set_handshake_timeout(host->server, 300);
    struct peer *shaking = world_connect(host->port);
    say_hello(shaking, "name");
    UNTIL(counts_of(host).handshaking == 1);
    drain(host, 20);
    until_emptied(host);
    ck_assert_uint_eq(host->failures, 1);
}

/* One that comes by a descriptor. */
static struct peer *come_by_descriptor(struct host *host)
{
    struct peer *peer;
    berth_server_base_incoming_connection(host->server, world_stream_descriptor(&peer));
    return peer;
}

CASE(silent_clients_that_come_late_into_a_drain, "tls.h",
     "have the time of an idle connection, in front of who shakes hands")
{
    struct host *host = host_encrypting();
    berth_server_set_handshake_timeout(host->server, 600000);
    struct peer *shaking = world_connect(host->port);
    say_hello(shaking, "name");
    UNTIL(counts_of(host).handshaking == 1);
    drain(host, 20);
    struct peer *silent = come_by_descriptor(host);
    struct peer *half = come_by_descriptor(host);
    peer_say(half, "\x16\3");
    UNTIL(host->failures == 2);
    ck_assert(peer_saw_either(silent) && peer_saw_either(half));
    ck_assert_uint_eq(counts_of(host).handshaking, 1);
    shake(shaking);
    (void)host_take_actor(host, "s");
    until_emptied(host);
}

CASE(silent_behind_a_header_in_a_drain, "tls.h PROXY header", "is hurried too")
{
    struct host *host = host_behind_a_balancer(600000);
    berth_server_set_handshake_timeout(host->server, 600000);
    struct peer *peer = world_connect(host->port);
    UNTIL(counts_of(host).awaiting_header == 1);
    drain(host, 20);
    peer_say(peer, "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n");
    UNTIL(host->emptied == 1);
    ck_assert_uint_eq(host->failures, 1);
    ck_assert(!host->forced);
}

CASE(greetings_of_a_pause_in_a_drain, "tls.h",
     "that begins without accepting: a hello is heard, and half of one is hurried")
{
    struct host *host = host_new("h");
    (void)encrypt(host);
    berth_server_set_handshake_timeout(host->server, 600000);
    berth_server_pause_accepting(host->server);
    struct peer *whole = come_by_descriptor(host);
    struct peer *half = come_by_descriptor(host);
    say_hello(whole, "whole");
    peer_say(half, "\x16\3");
    world_settle();
    ck_assert_uint_eq(counts_of(host).greeting, 2);
    drain(host, 200);
    UNTIL(host->failures == 1);
    ck_assert(peer_saw_either(half));
    shake(whole);
    (void)host_take_actor(host, "s");
    until_emptied(host);
}

CASE(shorter_idle_time_in_a_drain, "tls.h", "is that of silent clients too, and of no others")
{
    struct host *host = host_encrypting();
    berth_server_set_handshake_timeout(host->server, 600000);
    berth_server_set_max_handshakes(host->server, 1);
    struct peer *peers[2];
    for (unsigned i = 0; i < 2; i++) {
        peers[i] = world_connect(host->port);
        say_hello(peers[i], "name");
        UNTIL(counts_of(host).greeting + counts_of(host).handshaking == i + 1);
    }
    for (unsigned i = 0; i < 2; i++)
        (void)world_connect(host->port);
    UNTIL(counts_of(host).greeting == 3);
    drain(host, 500000);
    world_settle();
    ck_assert_uint_eq(host->failures, 0);
    drain(host, 20);
    UNTIL(host->failures == 2);
    for (unsigned i = 0; i < 2; i++) {
        shake(peers[i]);
        (void)host_take_actor(host, "s");
    }
    until_emptied(host);
    ck_assert_uint_eq(host->failures, 2);
}

CASE(forcing_an_encrypting_server, "tls.h", "ends who is there at the deadline of a drain")
{
    struct host *host = host_encrypting();
    struct peer *silent = world_connect(host->port);
    struct peer *shaking = world_connect(host->port);
    say_hello(shaking, "name");
    UNTIL(counts_of(host).greeting == 1 && counts_of(host).handshaking == 1);
    const berth_drain plan = {.deadline = 1};
    ck_assert(berth_server_drain(host->server, &plan));
    UNTIL(host->emptied == 1);
    ck_assert(host->forced);
    ck_assert(peer_saw_either(silent));
    ck_assert_uint_eq(counts_of(host).closed_drain, 2);
    ck_assert_uint_eq(counts_of(host).dropped, 2);
}

/* ---- what is in front ------------------------------------------------------------------------ */

CASE(limit_of_an_address_and_greetings, "tls.h", "counts from accepting on")
{
    const berth_accept_limits limits = {.per_address = 2};
    struct host *host = host_encrypting();
    berth_server_set_accept_limits(host->server, &limits);
    struct peer *silent = world_connect(host->port);
    UNTIL(counts_of(host).greeting == 1);
    struct actor *actor = take_encrypted(host, "s");
    struct peer *third = world_connect(host->port);
    UNTIL(counts_of(host).rejected_address == 1);
    ck_assert(peer_saw_either(third));
    peer_close(silent);
    UNTIL(host->failures == 1);
    (void)take_encrypted(host, "t");
    berth_socket_free(actor->socket);
    actor->socket = NULL;
    (void)take_encrypted(host, "u");
}

CASE(silent_before_a_header, "tls.h PROXY header", "does not keep others from being accepted")
{
    struct host *host = host_behind_a_balancer(0);
    berth_server_set_max_greetings(host->server, 1);
    (void)world_connect(host->port);
    UNTIL(counts_of(host).awaiting_header == 1);
    struct peer *peer = world_connect(host->port);
    peer_say(peer, "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n");
    say_hello(peer, "good");
    UNTIL(counts_of(host).handshaking == 1);
    ck_assert_uint_eq(counts_of(host).awaiting_header, 1);
    ck_assert_uint_eq(counts_of(host).rejected_header, 0);
}

CASE(no_place_behind_a_header, "tls.h PROXY header", "closes the connection, and announces nothing")
{
    static const char header[] = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n";
    struct host *host = host_behind_a_balancer(0);
    berth_server_set_max_greetings(host->server, 1);
    berth_server_set_max_handshakes(host->server, 1);
    struct peer *late = world_connect(host->port);
    UNTIL(counts_of(host).awaiting_header == 1);
    struct peer *first = world_connect(host->port);
    peer_say(first, header);
    say_hello(first, "first");
    UNTIL(counts_of(host).handshaking == 1);
    struct peer *second = world_connect(host->port);
    peer_say(second, header);
    say_hello(second, "second"); /* has the only place, and keeps it */
    UNTIL(counts_of(host).greeting == 1);
    for (unsigned i = 0; i < 8; i++)
        world_turn();
    peer_say(late, header);
    UNTIL(counts_of(host).rejected_greeting == 1);
    ck_assert(peer_saw_either(late));
    ck_assert_uint_eq(host->new_connections, 0);
    shake(first);
    shake(second);
    UNTIL(host->arrivals == 2);
    ck_assert_uint_eq(host->new_connections, 2);
    ck_assert_uint_eq(host->failures, 0);
}

CASE(hello_behind_a_header, "tls.h PROXY header", "comes second, and the client's names are known")
{
    struct host *host = host_behind_a_balancer(0);
    struct peer *peer = world_connect(host->port);
    UNTIL(counts_of(host).awaiting_header == 1);
    peer_say(peer, "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n");
    UNTIL(counts_of(host).greeting == 1);
    say_hello(peer, "name");
    shake(peer);
    struct actor *actor = host_take_actor(host, "s");
    ck_assert_uint_eq(berth_socket_peer_port(actor->socket), 56324);
    ck_assert_uint_eq(berth_socket_local_port(actor->socket), 443);
    peer = world_connect(host->port);
    peer_say(peer, "PROXY TCP4 192.0.2.1 198.51.100.7 56325 443\r\nGET / HTTP/1.1\r\n\r\n");
    UNTIL(host->failures == 1);
    ck_assert_uint_eq(host->failure_port, 56325);
}

CASE(encrypting_a_unix_socket, "tls.h local.h", "goes the same way")
{
    struct host *host = host_new("h");
    (void)encrypt(host);
    const char *path = world_path("socket");
    ck_assert(berth_server_listen_local(host->server, path, NULL));
    struct peer *peer = world_connect_local(path);
    say_hello(peer, "name");
    shake(peer);
    struct actor *actor = host_take_actor(host, "s");
    ck_assert(berth_socket_is_encrypted(actor->socket));
    uint8_t record[16];
    peer_send(peer, record, toy_record('d', "data", 4, record));
    UNTIL(actor_has(actor, "data"));
}

/* ---- waits ----------------------------------------------------------------------------------- */

CASE(waiting_for_an_encrypted_connection, "tls.h", "ends when the handshake is complete")
{
    struct host *host = host_encrypting();
    bool timed_out;
    struct peer *silent = world_connect(host->port);
    struct peer *peer = world_connect(host->port);
    uint8_t bytes[600];
    size_t size = toy_hello("name", NULL, bytes);
    peer_send(peer, bytes, size);
    ck_assert(!berth_server_wait_for_new_connection(host->server, 30, &timed_out));
    ck_assert(timed_out);
    ck_assert_uint_eq(counts_of(host).handshaking, 1);
    ck_assert_uint_eq(peer_receive_some(peer, bytes, 10), 10);
    ck_assert_uint_eq(peer_send_some(peer, bytes, toy_record('c', "client", 6, bytes)), 10);
    ck_assert(berth_server_wait_for_new_connection(host->server, 30000, &timed_out));
    ck_assert_uint_eq(host->arrivals, 1);
    berth_server_set_handshake_timeout(host->server, 1);
    for (int waits = 0; waits < 100 && host->failures == 0; waits++)
        ck_assert(!berth_server_wait_for_new_connection(host->server, 10, &timed_out));
    ck_assert_uint_eq(host->failures, 1);
    ck_assert(peer_sees_either(silent));
}

CASE(waiting_beside_a_pause, "tls.h", "hears whoever comes")
{
    struct host *host = host_encrypting();
    bool timed_out;
    berth_server_pause_accepting(host->server);
    struct peer *peer = world_connect(host->port);
    uint8_t bytes[600];
    size_t size = toy_hello("name", NULL, bytes);
    size += toy_record('c', "client", 6, bytes + size);
    peer_send(peer, bytes, size);
    ck_assert(berth_server_wait_for_new_connection(host->server, 30000, &timed_out));
    ck_assert_uint_eq(host->arrivals, 1);
}

static void free_server(struct host *host)
{
    berth_server_free(host->server);
}

CASE(server_freed_by_a_failure_in_a_wait, "tls.h", "of a silent client, a hello and a handshake")
{
    for (unsigned way = 0; way < 3; way++) {
        struct host *host = host_encrypting();
        bool timed_out = true;
        host->on_failure = free_server;
        struct peer *peer = world_connect(host->port);
        UNTIL(counts_of(host).greeting == 1);
        if (way == 0)
            berth_server_set_handshake_timeout(host->server, 1);
        else if (way == 1)
            peer_say(peer, "GET / HTTP/1.1\r\n\r\n");
        else
            say_hello(peer, "name");
        UNTIL(way < 2 || host->failures > 0 || counts_of(host).handshaking == 1);
        if (way == 2)
            peer_shutdown(peer);
        if (host->failures == 0)
            (void)berth_server_wait_for_new_connection(host->server, 30000, &timed_out);
        else
            timed_out = false;
        ck_assert(!timed_out);
        ck_assert_uint_eq(host->failures, 1);
        UNTIL(way == 2 || peer_saw_either(peer));
    }
}
