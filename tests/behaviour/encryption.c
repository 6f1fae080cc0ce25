/*
 * Encrypted connections, between two sockets of the library and with peers that are played by hand.
 * The engine is a toy (support/toy_engine.h): what is tested is all that is around an engine.
 */
#include "encrypted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Both ends of one connection, not encrypted yet. */
struct pair {
    struct host *host;
    struct toy *server_toy;
    struct toy *client_toy;
    struct actor *server;
    struct actor *client;
};

static struct pair pair_new(void)
{
    struct pair pair = {.host = host_listening("h"),
                        .server_toy = toy_new(true),
                        .client_toy = toy_new(false),
                        .client = actor_new("c")};
    return pair;
}

static void give_toys_up(struct pair *pair)
{
    berth_tls_release(&pair->server_toy->tls);
    berth_tls_release(&pair->client_toy->tls);
}

/* The client connects, encrypting from the beginning if `early`; the server is taken and begins. */
static void pair_begin(struct pair *pair)
{
    ck_assert(berth_socket_set_tls(pair->client->socket, &pair->client_toy->tls, NULL));
    ck_assert(berth_socket_connect_to_address(pair->client->socket, BERTH_ADDRESS_LOOPBACK,
                                              pair->host->port));
    pair->server = host_take_actor(pair->host, "s");
    ck_assert(berth_socket_start_server_encryption(pair->server->socket, &pair->server_toy->tls));
}

static struct pair pair_encrypted(void)
{
    struct pair pair = pair_new();
    pair_begin(&pair);
    UNTIL(pair.client->encryptions == 1 && pair.server->encryptions == 1);
    give_toys_up(&pair);
    return pair;
}

CASE(encrypted_connection, "tls.h", "a handshake, bytes both ways, and an orderly end")
{
    struct pair pair = pair_new();
    pair_begin(&pair);
    ck_assert(!berth_socket_is_encrypted(pair.client->socket));
    ck_assert_int_eq(berth_socket_tls_version(pair.client->socket), BERTH_TLS_VERSION_NONE);
    UNTIL(pair.client->encryptions == 1 && pair.server->encryptions == 1);
    ck_assert(berth_socket_is_encrypted(pair.client->socket));
    ck_assert(berth_socket_is_encrypted(pair.server->socket));
    ck_assert_int_eq(berth_socket_tls_version(pair.server->socket), BERTH_TLS_VERSION_1_3);
    ck_assert_str_eq(berth_socket_tls_cipher(pair.client->socket), "TOY");
    ck_assert(berth_socket_is_peer_verified(pair.client->socket));
    size_t size;
    ck_assert_mem_eq(berth_socket_peer_certificate(pair.client->socket, &size), "toy", 3);
    ck_assert_uint_eq(size, 3);
    actor_say(pair.client, "question");
    UNTIL(actor_has(pair.server, "question"));
    actor_say(pair.server, "answer");
    UNTIL(actor_has(pair.client, "answer"));
    ck_assert_uint_eq(pair.client->written, 8);
    ck_assert_uint_eq(pair.server->written, 6);
    berth_socket_disconnect_from_host(pair.client->socket);
    UNTIL(pair.server->disconnects == 1 && pair.client->disconnects == 1);
    ck_assert_int_eq(pair.server->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
    ck_assert_uint_eq(pair.client->errors, 0);
    ck_assert(!berth_socket_tls_was_truncated(pair.server->socket));
    ck_assert(!berth_socket_is_encrypted(pair.server->socket));
    ck_assert_uint_eq(pair.server_toy->engines, 0);
    give_toys_up(&pair);
}

CASE(what_is_written_before_the_handshake, "tls.h", "is sent when it is complete, and not before")
{
    struct pair pair = pair_new();
    ck_assert(berth_socket_set_tls(pair.client->socket, &pair.client_toy->tls, "name"));
    ck_assert(berth_socket_connect_to_address(pair.client->socket, BERTH_ADDRESS_LOOPBACK,
                                              pair.host->port));
    actor_say(pair.client, "early");
    struct actor *server = host_take_actor(pair.host, "s");
    uint8_t hello[512];
    size_t size = toy_hello("name", NULL, hello);
    UNTIL(server->received == size);
    world_settle();
    ck_assert_uint_eq(server->received, size);
    ck_assert_mem_eq(server->input, hello, size);
    ck_assert_uint_eq(pair.client->written, 0);
    ck_assert_uint_eq(berth_socket_bytes_to_write(pair.client->socket), 5);
    uint8_t flight[16];
    size = toy_record('s', "server", 6, flight);
    ck_assert_int_eq(berth_socket_write(server->socket, flight, size), (ptrdiff_t)size);
    server->received = 0;
    uint8_t expected[32];
    size = toy_record('c', "client", 6, expected);
    size += toy_record('d', "early", 5, expected + size);
    UNTIL(server->received == size);
    ck_assert_mem_eq(server->input, expected, size);
    UNTIL(pair.client->written == 5);
    ck_assert_uint_eq(pair.client->encryptions, 1);
    give_toys_up(&pair);
}

CASE(small_writes_leave_in_one_record, "tls.h", "all that a turn has written")
{
    struct pair pair = pair_encrypted();
    toy_sealed_records = 0;
    for (unsigned i = 0; i < 16; i++)
        actor_say(pair.client, "0123456789abcdef");
    UNTIL(pair.server->received == 256);
    ck_assert_uint_eq(atomic_load(&toy_sealed_records), 1);
    ck_assert_uint_eq(pair.client->written, 256);
}

static void echo(struct actor *actor)
{
    ck_assert_int_eq(berth_socket_write(actor->socket, actor->input, actor->received),
                     (ptrdiff_t)actor->received);
    actor->received = 0;
}

CASE(records_that_came_together_are_answered_together, "tls.h", "in one record")
{
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    uint8_t bytes[1024];
    server->on_ready_read = echo;
    size_t size = 0;
    for (unsigned i = 0; i < 16; i++)
        size += toy_record('d', "abc", 3, bytes + size);
    toy_sealed_records = 0;
    ck_assert_uint_eq(peer_send_some(peer, bytes, size), size);
    ck_assert_uint_eq(peer_receive(peer, bytes, 48 + 4), 48 + 4);
    ck_assert_uint_eq(atomic_load(&toy_sealed_records), 1);
    ck_assert_uint_eq(bytes[0], 'd');
}

CASE(encrypted_bulk, "tls.h", "megabytes both ways at once, with a bounded input")
{
    enum {
        SIZE = 3 << 20
    };
    struct pair pair = pair_encrypted();
    uint8_t *there = scene_pattern(SIZE, 1);
    uint8_t *back = scene_pattern(SIZE, 2);
    berth_socket_set_read_buffer_size(pair.server->socket, 1000);
    ck_assert_int_eq(berth_socket_write(pair.client->socket, there, SIZE), SIZE);
    ck_assert_int_eq(berth_socket_write(pair.server->socket, back, SIZE), SIZE);
    UNTIL(pair.client->received == SIZE && pair.server->received == SIZE);
    ck_assert_mem_eq(pair.server->input, there, SIZE);
    ck_assert_mem_eq(pair.client->input, back, SIZE);
    UNTIL(pair.client->written == SIZE && pair.server->written == SIZE);
    free(there);
    free(back);
}

CASE(bounded_input_read_outside_of_handlers, "tls.h", "all of it comes, and no end")
{
    enum {
        SIZE = 1 << 20
    };
    for (size_t limit = 20000; limit < 400000; limit *= 3) {
        struct pair pair = pair_encrypted();
        uint8_t *bytes = scene_pattern(SIZE, 3);
        uint8_t *came = scene_pattern(SIZE, 4);
        berth_socket *client = pair.client->socket;
        size_t size = 0;
        pair.client->reads = false;
        berth_socket_set_read_buffer_size(client, limit);
        ck_assert_int_eq(berth_socket_write(pair.server->socket, bytes, SIZE), SIZE);
        world_settle(); /* its input is full, and more waits */
        for (int idle = 0; size < SIZE && idle < WORLD_TURNS && pair.client->disconnects == 0;) {
            world_turn();
            ptrdiff_t got = berth_socket_read(client, came + size, SIZE - size);
            size += got > 0 ? (size_t)got : 0;
            idle = got > 0 ? 0 : idle + 1;
        }
        ck_assert_uint_eq(pair.client->disconnects, 0);
        ck_assert_uint_eq(size, SIZE);
        ck_assert_mem_eq(came, bytes, SIZE);
        free(came);
        free(bytes);
    }
}

CASE(pause_of_an_encrypted_connection, "tls.h", "nothing is delivered in it, and all after it")
{
    struct pair pair = pair_encrypted();
    berth_socket_pause_reading(pair.server->socket);
    actor_say(pair.client, "one");
    world_settle();
    actor_say(pair.client, "two");
    berth_socket_disconnect_from_host(pair.client->socket);
    world_settle();
    ck_assert_uint_eq(pair.server->ready_reads, 0);
    ck_assert_uint_eq(pair.server->disconnects, 0);
    berth_socket_resume_reading(pair.server->socket);
    UNTIL(pair.server->disconnects == 1);
    ck_assert(actor_has(pair.server, "onetwo"));
    ck_assert(!berth_socket_tls_was_truncated(pair.server->socket));
}

static void pause(struct actor *actor)
{
    berth_socket_pause_reading(actor->socket);
}

CASE(pause_in_the_middle_of_a_delivery, "tls.h",
     "with a bounded input: the rest of what was received waits, and then its end")
{
    enum {
        SIZE = 20000
    };
    struct pair pair = pair_encrypted();
    uint8_t *bytes = scene_pattern(SIZE, 3);
    berth_socket_set_read_buffer_size(pair.server->socket, 64);
    pair.server->on_ready_read = pause;
    ck_assert_int_eq(berth_socket_write(pair.client->socket, bytes, SIZE), SIZE);
    berth_socket_disconnect_from_host(pair.client->socket);
    for (unsigned i = 0; pair.server->disconnects == 0 && i < 10000; i++) {
        size_t before = pair.server->received;
        world_turn();
        ck_assert_uint_le(pair.server->received - before, 64);
        berth_socket_resume_reading(pair.server->socket);
    }
    ck_assert_uint_eq(pair.server->received, SIZE);
    ck_assert_mem_eq(pair.server->input, bytes, SIZE);
    free(bytes);
}

CASE(truncated_connection, "tls.h", "the stream ends without the orderly end")
{
    struct pair pair = pair_encrypted();
    actor_say(pair.client, "last");
    UNTIL(actor_has(pair.server, "last"));
    world_settle(); /* or it would be a reset, if the client has not read all */
    berth_socket_abort(pair.client->socket);
    UNTIL(pair.server->disconnects == 1);
    ck_assert(berth_socket_tls_was_truncated(pair.server->socket));
    ck_assert_int_eq(pair.server->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
    ck_assert_ptr_nonnull(
        strstr(berth_socket_error_string(pair.server->socket), "without close_notify"));
}

CASE(truncation_is_an_error, "tls.h", "if the configuration says so")
{
    struct pair pair = pair_new();
    pair.server_toy->tls.stop_at_truncation = true;
    pair_begin(&pair);
    UNTIL(pair.client->encryptions == 1 && pair.server->encryptions == 1);
    world_settle();
    berth_socket_abort(pair.client->socket);
    UNTIL(pair.server->disconnects == 1);
    ck_assert_int_eq(pair.server->error, BERTH_ERROR_NETWORK);
    ck_assert_ptr_nonnull(
        strstr(berth_socket_error_string(pair.server->socket), "without close_notify"));
    ck_assert(berth_socket_tls_was_truncated(pair.server->socket));
    give_toys_up(&pair);
}

CASE(reset_where_truncation_is_an_error, "tls.h", "is told as the reset that it is")
{
    struct toy *toy = toy_new(true);
    toy->tls.stop_at_truncation = true;
    struct peer *peer;
    struct actor *server = encrypted_by(toy, &peer);
    peer_reset(peer);
    UNTIL(server->disconnects == 1);
    ck_assert_int_eq(server->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
    ck_assert_ptr_null(strstr(berth_socket_error_string(server->socket), "close_notify"));
}

CASE(half_close_of_an_encrypted_connection, "tls.h", "the other direction goes on")
{
    struct pair pair = pair_encrypted();
    berth_socket_set_half_close(pair.server->socket, true);
    actor_say(pair.client, "all");
    berth_socket_shutdown_send(pair.client->socket);
    UNTIL(pair.server->finishes == 1);
    ck_assert(actor_has(pair.server, "all"));
    ck_assert_uint_eq(pair.server->disconnects, 0);
    actor_say(pair.server, "answer");
    UNTIL(actor_has(pair.client, "answer"));
    berth_socket_disconnect_from_host(pair.server->socket);
    UNTIL(pair.server->disconnects == 1 && pair.client->disconnects == 1);
    ck_assert(!berth_socket_tls_was_truncated(pair.client->socket));
    ck_assert(!berth_socket_tls_was_truncated(pair.server->socket));
}

CASE(big_output_and_an_orderly_end, "tls.h", "all of it arrives, and the end behind it")
{
    enum {
        SIZE = 4 << 20
    };
    struct pair pair = pair_encrypted();
    uint8_t *bytes = scene_pattern(SIZE, 5);
    ck_assert_int_eq(berth_socket_write(pair.server->socket, bytes, SIZE), SIZE);
    berth_socket_disconnect_from_host(pair.server->socket);
    UNTIL(pair.client->disconnects == 1);
    ck_assert_uint_eq(pair.client->received, SIZE);
    ck_assert_mem_eq(pair.client->input, bytes, SIZE);
    ck_assert(!berth_socket_tls_was_truncated(pair.client->socket));
    free(bytes);
}

CASE(server_refuses_the_handshake, "tls.h", "both sides are told why")
{
    struct pair pair = pair_new();
    pair.server_toy->refuses = true;
    pair_begin(&pair);
    UNTIL(pair.server->disconnects == 1 && pair.client->disconnects == 1);
    ck_assert_int_eq(pair.server->error, BERTH_ERROR_TLS_HANDSHAKE_FAILED);
    ck_assert_int_eq(pair.client->error, BERTH_ERROR_TLS_HANDSHAKE_FAILED);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(pair.server->socket),
                                 "cannot encrypt the connection to 127.0.0.1:"));
    ck_assert_ptr_nonnull(
        strstr(berth_socket_error_string(pair.server->socket), ": the toy refuses"));
    ck_assert_ptr_nonnull(
        strstr(berth_socket_error_string(pair.client->socket), ": the peer has sent an alert"));
    ck_assert_uint_eq(pair.client->encryptions, 0);
    give_toys_up(&pair);
}

CASE(client_mistrusts, "tls.h", "the certificate has a problem, and nobody ignores it")
{
    struct pair pair = pair_new();
    pair.client_toy->mistrusts = true;
    pair_begin(&pair);
    UNTIL(pair.server->disconnects == 1 && pair.client->disconnects == 1);
    ck_assert_uint_eq(pair.client->problems, 1);
    ck_assert_int_eq(pair.client->error, BERTH_ERROR_TLS_HANDSHAKE_FAILED);
    give_toys_up(&pair);
}

CASE(client_ignores_a_problem, "tls.h", "the connection goes on, and is not called verified")
{
    struct pair pair = pair_new();
    pair.client_toy->mistrusts = true;
    pair.client->trusts = true;
    pair_begin(&pair);
    UNTIL(pair.client->encryptions == 1);
    ck_assert(!berth_socket_is_peer_verified(pair.client->socket));
    give_toys_up(&pair);
}

CASE(free_inside_verify_peer, "tls.h", "the engine that asks is on the stack")
{
    struct pair pair = pair_new();
    pair.client_toy->mistrusts = true;
    pair.client->trusts = true;
    pair.client->on_problem = actor_free_socket;
    pair_begin(&pair);
    UNTIL(pair.server->disconnects == 1);
    ck_assert_uint_eq(pair.client_toy->engines, 0);
    give_toys_up(&pair);
}

static void abort_it(struct actor *actor)
{
    berth_socket_abort(actor->socket);
}

static void disconnect_it(struct actor *actor)
{
    berth_socket_disconnect_from_host(actor->socket);
}

CASE(ends_inside_encrypted, "tls.h", "free, abort and disconnect in the handler")
{
    static const actor_hook hooks[] = {actor_free_socket, abort_it, disconnect_it};
    for (unsigned i = 0; i < 3; i++) {
        struct pair pair = pair_new();
        pair.client->on_encrypted = hooks[i];
        pair_begin(&pair);
        UNTIL(pair.server->disconnects == 1);
        ck_assert_uint_eq(pair.client_toy->engines, 0);
        give_toys_up(&pair);
    }
}

CASE(free_inside_ready_read_of_an_encrypted_connection, "tls.h",
     "with more of the peer's bytes there")
{
    struct pair pair = pair_encrypted();
    uint8_t *bytes = scene_pattern(100000, 6);
    pair.server->on_ready_read = actor_free_socket;
    ck_assert_int_eq(berth_socket_write(pair.client->socket, bytes, 100000), 100000);
    UNTIL(pair.client->disconnects == 1);
    free(bytes);
}

CASE(handshake_without_an_answer, "tls.h", "ends at the connect time-out")
{
    struct pair pair = pair_new();
    berth_socket_set_connect_timeout(pair.client->socket, 30);
    ck_assert(berth_socket_set_tls(pair.client->socket, &pair.client_toy->tls, NULL));
    ck_assert(berth_socket_connect_to_address(pair.client->socket, BERTH_ADDRESS_LOOPBACK,
                                              pair.host->port));
    UNTIL(pair.client->disconnects == 1);
    ck_assert_uint_eq(pair.client->connects, 1);
    ck_assert_int_eq(pair.client->error, BERTH_ERROR_SOCKET_TIMEOUT);
    ck_assert_ptr_nonnull(
        strstr(berth_socket_error_string(pair.client->socket), "the TLS handshake took too long"));
    give_toys_up(&pair);
}

CASE(end_in_the_handshake, "tls.h", "the peer ends it: by an end, or by a reset")
{
    for (unsigned i = 0; i < 2; i++) {
        uint16_t port = world_listen(1);
        struct toy *toy = toy_new(false);
        struct actor *client = actor_new("c");
        ck_assert(berth_socket_set_tls(client->socket, &toy->tls, NULL));
        ck_assert(berth_socket_connect_to_address(client->socket, BERTH_ADDRESS_LOOPBACK, port));
        struct peer *peer = world_accept(port);
        ck_assert_ptr_nonnull(peer);
        UNTIL(client->connects == 1);
        if (i == 0)
            peer_shutdown(peer);
        else
            peer_reset(peer);
        UNTIL(client->disconnects == 1);
        ck_assert_int_eq(client->error, BERTH_ERROR_TLS_HANDSHAKE_FAILED);
        berth_tls_release(&toy->tls);
        world_unlisten(port);
    }
}

CASE(plaintext_in_front_of_starttls, "tls.h", "cannot follow the start of encryption")
{
    struct pair pair = pair_new();
    struct peer *peer;
    struct actor *server = host_connect(pair.host, "s", &peer);
    server->reads = false;
    peer_say(peer, "injected");
    UNTIL(server->ready_reads == 1);
    ck_assert(!berth_socket_start_server_encryption(server->socket, &pair.server_toy->tls));
    ck_assert_int_eq(berth_socket_error(server->socket), BERTH_ERROR_OPERATION);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(server->socket), "not read"));
    ck_assert_int_eq(berth_socket_skip(server->socket, 8), 8);
    ck_assert(!berth_socket_start_server_encryption(server->socket, &pair.client_toy->tls));
    ck_assert(!berth_socket_start_client_encryption(server->socket, NULL, NULL));
    ck_assert(!berth_socket_set_tls(server->socket, &pair.server_toy->tls, NULL));
    ck_assert(berth_socket_start_server_encryption(server->socket, &pair.server_toy->tls));
    ck_assert(!berth_socket_start_server_encryption(server->socket, &pair.server_toy->tls));
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(server->socket), "already"));
    ck_assert_int_eq(berth_socket_release(server->socket), -1);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(server->socket), "encrypted"));
    give_toys_up(&pair);
}

CASE(answer_in_front_of_starttls, "tls.h", "is announced before encryption begins")
{
    struct pair pair = pair_new();
    struct peer *peer;
    struct actor *server = host_connect(pair.host, "s", &peer);
    actor_say(server, "go");
    ck_assert(berth_socket_flush(server->socket)); /* sent, but not announced */
    ck_assert(!berth_socket_start_server_encryption(server->socket, &pair.server_toy->tls));
    ck_assert_ptr_nonnull(
        strstr(berth_socket_error_string(server->socket), "that bytes_written has not announced"));
    ck_assert_int_eq(berth_socket_flush_and_announce(server->socket), 2);
    ck_assert_uint_eq(server->written, 2);
    ck_assert(berth_socket_start_server_encryption(server->socket, &pair.server_toy->tls));
    ck_assert(peer_hears(peer, "go"));
    give_toys_up(&pair);
}

CASE(wrong_bytes_in_an_open_connection, "tls.h",
     "end it with an error, and what came before is read")
{
    struct peer *peer;
    struct actor *server = greeted_by(toy_new(true), &peer);
    uint8_t bytes[64];
    size_t size = toy_record('c', "client", 6, bytes);
    size += toy_record('d', "good", 4, bytes + size);
    size += wrong_record("bad", bytes + size);
    peer_send(peer, bytes, size);
    UNTIL(server->disconnects == 1);
    ck_assert(actor_has(server, "good"));
    ck_assert(berth_socket_tls_was_truncated(server->socket));
    ck_assert_int_eq(server->error, BERTH_ERROR_TLS_HANDSHAKE_FAILED);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(server->socket), "sum is wrong"));
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(server->socket),
                                 "cannot read from the encrypted connection to 127.0.0.1:"));
}

static void echo_and_shut(struct actor *actor)
{
    echo(actor);
    berth_socket_shutdown_send(actor->socket);
}

static void echo_and_turn(struct actor *actor)
{
    echo(actor);
    berth_loop_turn(berth_socket_loop(actor->socket), 0);
}

/* A record that is good and one that is not come together; the first is answered by `handler`. */
static void good_and_bad(void (*handler)(struct actor *actor))
{
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    uint8_t bytes[64];
    server->on_ready_read = handler;
    size_t size = toy_record('d', "good", 4, bytes);
    size += wrong_record("bad", bytes + size);
    ck_assert_uint_eq(peer_send_some(peer, bytes, size), size);
    UNTIL(server->disconnects == 1);
    ck_assert_uint_eq(server->errors, 1);
    ck_assert_int_eq(server->error, BERTH_ERROR_TLS_HANDSHAKE_FAILED);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(server->socket), "sum is wrong"));
    ck_assert_uint_eq(peer_receive(peer, bytes, 4), 4);
    ck_assert_uint_eq(bytes[0], 'a');
}

CASE(answer_in_front_of_wrong_bytes, "tls.h", "is not encrypted: the engine has failed")
{
    good_and_bad(echo);
}

CASE(end_of_output_in_front_of_wrong_bytes, "tls.h", "is not encrypted either")
{
    good_and_bad(echo_and_shut);
}

CASE(turn_in_front_of_wrong_bytes, "tls.h", "the engine is not called again")
{
    good_and_bad(echo_and_turn);
}

CASE(waits_of_an_encrypted_socket, "tls.h", "without a loop")
{
    struct pair pair = pair_new();
    struct toy *toy = pair.client_toy;
    static uint8_t script[256];
    size_t size = toy_record('s', "server", 6, script);
    size += toy_record('d', "hello", 5, script + size);
    uint16_t port = world_listen(1);
    world_greet(port, script, size);
    berth_socket *socket = berth_socket_new(world_loop(), NULL, NULL);
    ck_assert_ptr_nonnull(socket);
    ck_assert(berth_socket_set_tls(socket, &toy->tls, NULL));
    ck_assert(berth_socket_connect_to_address(socket, BERTH_ADDRESS_LOOPBACK, port));
    ck_assert(berth_socket_wait_for_encrypted(socket, 5000));
    ck_assert(berth_socket_wait_for_encrypted(socket, 0));
    if (berth_socket_bytes_available(socket) == 0)
        ck_assert(berth_socket_wait_for_ready_read(socket, 5000));
    char text[8];
    ck_assert_int_eq(berth_socket_read(socket, text, sizeof text), 5);
    ck_assert_int_eq(berth_socket_write(socket, "bye", 3), 3);
    ck_assert(berth_socket_wait_for_bytes_written(socket, 5000));
    berth_socket_free(socket);
    ck_assert(!berth_socket_wait_for_encrypted(pair.client->socket, 0));
    give_toys_up(&pair);
}

CASE(session_of_a_client, "tls.h", "is taken from one connection and resumed by the next")
{
    struct pair pair = pair_encrypted();
    char session[8];
    ck_assert_uint_eq(berth_socket_tls_session(pair.client->socket, NULL, 0), 3);
    ck_assert_uint_eq(berth_socket_tls_session(pair.client->socket, session, sizeof session), 3);
    ck_assert(!berth_socket_tls_was_resumed(pair.client->socket));
    struct pair next = pair_new();
    ck_assert(berth_socket_set_tls_session(next.client->socket, session, 3));
    pair_begin(&next);
    UNTIL(next.client->encryptions == 1);
    ck_assert(berth_socket_tls_was_resumed(next.client->socket));
    give_toys_up(&next);
}

CASE(file_over_an_encrypted_connection, "tls.h", "and borrowed memory, between copies")
{
    struct pair pair = pair_encrypted();
    uint8_t *bytes = scene_pattern(200000, 8);
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, 200000, file), 200000);
    world_note(fileno(file));
    ck_assert_int_eq(fflush(file), 0);
    actor_say(pair.client, "before");
    ck_assert_int_eq(berth_socket_write_file(pair.client->socket, fileno(file), 1000, 100000),
                     100000);
    actor_say(pair.client, "between");
    ck_assert_int_eq(berth_socket_write_borrowed(pair.client->socket, bytes, 50000, NULL, NULL),
                     50000);
    actor_say(pair.client, "after");
    size_t all = 6 + 100000 + 7 + 50000 + 5;
    UNTIL(pair.server->received == all && pair.client->written == all);
    ck_assert_mem_eq(pair.server->input + 6, bytes + 1000, 100000);
    ck_assert_mem_eq(pair.server->input + 100006, "between", 7);
    ck_assert_mem_eq(pair.server->input + 100013, bytes, 50000);
    fclose(file);
    free(bytes);
}

CASE(quiet_encrypted_connection, "tls.h", "gives up memory once, and is used again afterwards")
{
    struct pair pair = pair_new();
    pair_begin(&pair);
    UNTIL(pair.client->encryptions == 1 && pair.server->encryptions == 1);
    for (unsigned i = 0; i < 400 && pair.client_toy->relaxed == 0; i++)
        berth_loop_turn(world_loop(), 50);
    ck_assert_uint_eq(pair.client_toy->relaxed, 1);
    ck_assert_uint_le(pair.server_toy->relaxed, 1);
    actor_say(pair.client, "again");
    UNTIL(actor_has(pair.server, "again"));
    for (unsigned i = 0; i < 400 && pair.client_toy->relaxed == 1; i++)
        berth_loop_turn(world_loop(), 50);
    ck_assert_uint_eq(pair.client_toy->relaxed, 2);
    give_toys_up(&pair);
}

CASE(answer_to_one_that_has_gone, "tls.h",
     "its last bytes are there, behind the end of the handshake, and what is sent fails")
{
    struct peer *peer;
    struct actor *server = greeted_by(toy_new(true), &peer);
    uint8_t bytes[64];
    server->on_ready_read = echo;
    size_t size = toy_record('c', "client", 6, bytes);
    size += toy_record('d', "question", 8, bytes + size);
    ck_assert_uint_eq(peer_send_some(peer, bytes, size), size);
    peer_reset(peer);
    UNTIL(server->disconnects == 1);
    ck_assert_uint_eq(server->errors, 1);
}

CASE(rate_of_an_encrypted_connection, "tls.h",
     "a peer that reads nothing for a while gets all, once, and the end")
{
    enum {
        SIZE = 12 << 20
    };
    struct pair pair = pair_encrypted();
    uint8_t *bytes = scene_pattern(SIZE, 9);
    berth_rate *rate = berth_rate_new(world_loop(), UINT64_C(1) << 30, 0);
    ck_assert_ptr_nonnull(rate);
    ck_assert(berth_socket_set_write_rate(pair.client->socket, rate));
    berth_socket_pause_reading(pair.server->socket);
    ck_assert_int_eq(berth_socket_write(pair.client->socket, bytes, SIZE), SIZE);
    berth_socket_disconnect_from_host(pair.client->socket);
    world_settle();
    ck_assert_uint_lt(pair.client->written, SIZE);
    berth_socket_resume_reading(pair.server->socket);
    UNTIL(pair.server->disconnects == 1);
    ck_assert_uint_eq(pair.server->received, SIZE);
    ck_assert_mem_eq(pair.server->input, bytes, SIZE);
    ck_assert(!berth_socket_tls_was_truncated(pair.server->socket));
    free(bytes);
}

CASE(rate_of_a_handshake, "tls.h", "does not hold up its last flight, only the output behind it")
{
    struct pair pair = pair_new();
    berth_rate *rate = berth_rate_new(world_loop(), 1, 10);
    ck_assert_ptr_nonnull(rate);
    ck_assert(berth_socket_set_tls(pair.client->socket, &pair.client_toy->tls, "name"));
    ck_assert(berth_socket_set_write_rate(pair.client->socket, rate));
    ck_assert(berth_socket_connect_to_address(pair.client->socket, BERTH_ADDRESS_LOOPBACK,
                                              pair.host->port));
    actor_say(pair.client, "early");
    struct actor *server = host_take_actor(pair.host, "s");
    ck_assert(berth_socket_set_write_rate(server->socket, rate));
    uint8_t bytes[512];
    size_t size = toy_hello("name", NULL, bytes);
    UNTIL(server->received == size);
    server->received = 0;
    size = toy_record('s', "server", 6, bytes);
    ck_assert_uint_eq(size, 10); /* all that there is of the rate */
    ck_assert_int_eq(berth_socket_write(server->socket, bytes, size), (ptrdiff_t)size);
    world_settle();
    ck_assert_uint_eq(server->written, size); /* who shakes hands has taken nothing of it */
    size = toy_record('c', "client", 6, bytes);
    UNTIL(server->received >= size);
    ck_assert_mem_eq(server->input, bytes, size);
    if (world_is_simulated())
        ck_assert_uint_eq(server->received, size);
    UNTIL(pair.client->written > 0);
    give_toys_up(&pair);
}

CASE(flush_of_an_encrypted_connection, "tls.h",
     "with output that the kernel has no room for, and a limit of output")
{
    enum {
        SIZE = 6 << 20
    };
    struct pair pair = pair_encrypted();
    uint8_t *bytes = scene_pattern(SIZE, 10);
    berth_socket_pause_reading(pair.server->socket);
    for (size_t at = 0; at < SIZE; at += SIZE / 64) {
        ck_assert_int_eq(berth_socket_write(pair.client->socket, bytes + at, SIZE / 64), SIZE / 64);
        ck_assert(berth_socket_flush(pair.client->socket));
        if (at % (SIZE / 8) == 0)
            world_turn();
    }
    berth_socket_resume_reading(pair.server->socket);
    UNTIL(pair.server->received == SIZE && pair.client->written == SIZE);
    ck_assert_mem_eq(pair.server->input, bytes, SIZE);
    free(bytes);
}

CASE(end_behind_a_delivery_with_a_pause, "tls.h", "waits for the end of the pause")
{
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    uint8_t bytes[32];
    server->on_ready_read = pause;
    size_t size = toy_record('d', "last", 4, bytes);
    size += toy_record('e', "", 0, bytes + size);
    ck_assert_uint_eq(peer_send_some(peer, bytes, size), size);
    UNTIL(server->ready_reads == 1);
    world_settle();
    ck_assert_uint_eq(server->disconnects, 0);
    ck_assert_uint_eq(server->errors, 0);
    berth_socket_resume_reading(server->socket);
    UNTIL(server->disconnects == 1);
    ck_assert(actor_has(server, "last"));
    ck_assert(!berth_socket_tls_was_truncated(server->socket));
}

CASE(alert_that_nobody_takes, "tls.h", "is given up at the close time-out")
{
    enum {
        SIZE = 12 << 20
    };
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    uint8_t *bytes = scene_pattern(SIZE, 11);
    berth_socket_set_close_timeout(server->socket, 30);
    ck_assert_int_eq(berth_socket_write(server->socket, bytes, SIZE), SIZE);
    size_t before;
    do { /* until the kernel takes no more */
        before = server->written;
        world_settle();
    } while (server->written > before);
    say_wrong(peer);
    UNTIL(server->disconnects == 1);
    ck_assert_uint_eq(server->errors, 2);
    ck_assert_int_eq(server->error, BERTH_ERROR_SOCKET_TIMEOUT);
    free(bytes);
}

CASE(limit_of_an_encrypted_connection, "limits.h", "without output it ends orderly")
{
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    berth_connection_limits limits = {.idle = 50};
    uint8_t bytes[16];
    ck_assert(berth_socket_set_limits(server->socket, &limits));
    UNTIL(server->disconnects == 1);
    ck_assert_int_eq(server->error, BERTH_ERROR_SOCKET_TIMEOUT);
    ck_assert_uint_eq(peer_receive(peer, bytes, 4), 4);
    ck_assert_uint_eq(bytes[0], 'e');
    UNTIL(peer_saw_end(peer));
}

/* The peer goes on sending behind the end, and gets what was sent before it all the same. */
static void goes_on_sending(struct actor *server, struct peer *peer, uint8_t last)
{
    uint8_t bytes[64];
    UNTIL(server->disconnects == 1);
    world_settle();
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(peer_send_some(peer, "more", 4), 4);
        world_settle();
    }
    size_t size = peer_receive_some(peer, bytes, sizeof bytes);
    ck_assert_uint_ge(size, 4);
    ck_assert_uint_eq(bytes[0], last);
    ck_assert(peer_saw_end(peer));
}

CASE(alert_to_one_who_goes_on_sending, "tls.h", "is not destroyed by a reset")
{
    struct peer *peer;
    struct actor *server = greeted_by(toy_new(true), &peer);
    uint8_t bytes[16];
    size_t size = toy_record('c', "client", 6, bytes);
    bytes[size - 1] ^= 1;
    peer_send(peer, bytes, size);
    goes_on_sending(server, peer, 'a');
}

CASE(end_to_one_who_goes_on_sending, "tls.h", "though no plaintext has come or gone")
{
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    berth_socket_disconnect_from_host(server->socket);
    goes_on_sending(server, peer, 'e');
}

CASE(no_memory_for_a_client, "tls.h", "is a connection that did not come about")
{
    struct pair pair = pair_new();
    struct actor *client = pair.client;
    pair.client_toy->lacks_memory = true;
    ck_assert(berth_socket_set_tls(client->socket, &pair.client_toy->tls, NULL));
    ck_assert(
        berth_socket_connect_to_address(client->socket, BERTH_ADDRESS_LOOPBACK, pair.host->port));
    UNTIL(client->errors == 1);
    ck_assert_int_eq(client->error, BERTH_ERROR_SOCKET_RESOURCE);
    ck_assert_int_eq(client->state, BERTH_STATE_UNCONNECTED);
    world_settle();
    ck_assert_uint_eq(client->connects, 0);
    ck_assert_uint_eq(client->disconnects, 0);
    give_toys_up(&pair);
}

/* Whether a server that closes has encrypted its end, and the kernel no room for it. */
static bool end_waits(const struct actor *server)
{
    return server->state == BERTH_STATE_CLOSING &&
           berth_socket_bytes_to_write(server->socket) == 0 &&
           berth_socket_encrypted_bytes_to_write(server->socket) > 0;
}

/* One that ends when so much was written, to a peer that does not read. */
static struct actor *ending_server(size_t size, struct peer **ret_peer)
{
    struct actor *server = encrypted_with(ret_peer);
    uint8_t *bytes = scene_pattern(size, 13);
    server->quiet = true;
    ck_assert_int_eq(berth_socket_write(server->socket, bytes, size), (ptrdiff_t)size);
    berth_socket_disconnect_from_host(server->socket);
    world_settle();
    free(bytes);
    return server;
}

CASE(write_behind_the_end, "tls.h", "is refused")
{
    struct peer *peer;
    struct actor *server;
    bool waits = false;
    /* The records fill the kernel's buffers, so that there is no room for the end behind them. Of a
     * real kernel it is not known how much that is. */
    for (size_t size = 131030; size < 131050 && !waits; size++) {
        server = ending_server(size, &peer);
        waits = end_waits(server);
        if (!world_is_simulated())
            return;
    }
    ck_assert(waits);
    ck_assert_uint_eq(berth_socket_room(server->socket), 0);
    ck_assert_int_eq(berth_socket_write(server->socket, "more", 4), -1);
    ck_assert_int_eq(berth_socket_error(server->socket), BERTH_ERROR_OPERATION);
    uint8_t bytes[1000];
    while (server->disconnects == 0) {
        (void)peer_receive_some(peer, bytes, sizeof bytes);
        world_turn();
    }
    ck_assert_uint_eq(server->errors, 0);
}
