/*
 * Encrypted connections at their edges: what the engine sends of its own when nobody takes it, or
 * when this side has ended, pauses from before the handshake, turns of the loop inside handlers,
 * and names. The engine is a toy (support/toy_engine.h).
 */
#include "encrypted.h"

#include "backend/sim.h"
#include "base/fault.h"

#include <stdio.h>
#include <string.h>

/* Writes until the kernel takes no more. */
static void fill(struct actor *actor)
{
    enum {
        SIZE = 12 << 20
    };
    size_t before;
    ck_assert_int_eq(berth_socket_write(actor->socket, world_zeros(), SIZE), SIZE);
    do {
        before = actor->written;
        world_settle();
    } while (actor->written > before);
}

CASE(handshake_of_a_paused_client, "tls.h", "goes on: a pause is of what is read")
{
    for (unsigned i = 0; i < 2; i++) {
        struct toy *toy = toy_new(false);
        struct toy *server_toy = toy_new(true);
        struct host *host = host_listening("h");
        struct actor *client = actor_new("c");
        if (i == 0)
            ck_assert(berth_socket_set_tls(client->socket, &toy->tls, NULL));
        berth_socket_pause_reading(client->socket);
        ck_assert(
            berth_socket_connect_to_address(client->socket, BERTH_ADDRESS_LOOPBACK, host->port));
        struct actor *server = host_take_actor(host, "s");
        ck_assert(berth_socket_start_server_encryption(server->socket, &server_toy->tls));
        UNTIL(client->connects == 1);
        if (i == 1)
            ck_assert(berth_socket_start_client_encryption(client->socket, &toy->tls, NULL));
        UNTIL(client->encryptions == 1 && server->encryptions == 1);
        actor_say(server, "later");
        world_settle();
        ck_assert_uint_eq(client->ready_reads, 0);
        berth_socket_resume_reading(client->socket);
        UNTIL(actor_has(client, "later"));
        berth_tls_release(&toy->tls);
        berth_tls_release(&server_toy->tls);
    }
}

CASE(internationalized_name_of_the_peer, "tls.h", "is asked for as the DNS has it")
{
    struct toy *toy = toy_new(false);
    struct peer *peer;
    struct actor *client = actor_connected("c", &peer);
    ck_assert(
        berth_socket_start_client_encryption(client->socket, &toy->tls, "b\303\274cher.example"));
    berth_tls_release(&toy->tls);
    uint8_t hello[512];
    uint8_t received[512];
    size_t size = toy_hello("xn--bcher-kva.example", NULL, hello);
    ck_assert_uint_eq(peer_receive(peer, received, size), size);
    ck_assert_mem_eq(received, hello, size);
}

CASE(wait_of_a_paused_client, "tls.h", "sends its hello, without a loop")
{
    struct toy *toy = toy_new(false);
    struct peer *peer;
    struct actor *client = actor_connected("c", &peer);
    uint8_t hello[600];
    berth_socket_pause_reading(client->socket);
    ck_assert(berth_socket_start_client_encryption(client->socket, &toy->tls, "x"));
    ck_assert(!berth_socket_wait_for_encrypted(client->socket, 1));
    ck_assert_uint_eq(peer_receive_some(peer, hello, sizeof hello), toy_hello("x", NULL, hello));
    berth_tls_release(&toy->tls);
}

CASE(time_limit_of_a_handshake_in_a_wait, "tls.h", "ends the wait, without a loop; 0 is none")
{
    struct toy *toy = toy_new(false);
    for (uint32_t limit = 0; limit <= 10; limit += 10) {
        struct peer *peer;
        struct actor *client = actor_connected("c", &peer);
        berth_socket_set_connect_timeout(client->socket, limit);
        ck_assert(berth_socket_start_client_encryption(client->socket, &toy->tls, "x"));
        ck_assert(!berth_socket_wait_for_encrypted(client->socket, limit > 0 ? 60000 : 1));
        ck_assert_int_eq(client->error, BERTH_ERROR_SOCKET_TIMEOUT);
        ck_assert_int_eq(berth_socket_is_valid(client->socket), limit == 0);
        berth_socket_abort(client->socket);
    }
    berth_tls_release(&toy->tls);
}

CASE(no_memory_for_the_limit_of_an_end, "tls.h", "ends the connection, with records in flight")
{
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    fill(server);
    say_wrong(peer);
    berth_rate *rates[256];
    size_t count = 0;
    do {
        ck_assert_uint_lt(count, 256);
        berth__fault_set_memory(1, 1000000);
        rates[count++] = berth_rate_new(world_loop(), 1, 0);
    } while (rates[count - 1] != NULL);
    for (int i = 0; i < 200 && server->disconnects == 0; i++)
        world_turn();
    berth__fault_clear();
    ck_assert_uint_eq(server->disconnects, 1);
    ck_assert_uint_eq(server->errors, 2);
}

static struct peer *speaker;

static void wait_while_the_peer_speaks(struct actor *server)
{
    uint8_t bytes[16];
    if (server->errors > 1) /* the wait's own */
        return;
    berth__fault_clear();
    peer_send(speaker, bytes, toy_record('d', "x", 1, bytes));
    ck_assert(!berth_socket_wait_for_disconnected(server->socket, 0));
}

CASE(wait_behind_a_failure_to_encrypt, "tls.h", "asks the engine for nothing any more")
{
    struct actor *server = encrypted_with(&speaker);
    server->on_error = wait_while_the_peer_speaks;
    ck_assert_int_eq(berth_socket_write(server->socket, world_zeros(), 1 << 20), 1 << 20);
    berth__fault_set_memory(0, 1000000);
    UNTIL(server->disconnects == 1);
    ck_assert_uint_eq(server->received, 0);
    ck_assert_uint_eq(server->errors, 2);
}

CASE(later_failure_to_encrypt, "tls.h", "ends the connection, though some of the write has gone")
{
    struct peer *peer;
    world_loop();
    if (world_is_simulated()) {
        berth__sim_settings *settings = berth__sim_settings_of(world_sim());
        settings->buffer_size = 1 << 20;
        settings->max_transfer = settings->max_delay = 0;
    }
    struct toy *toy = toy_new(true);
    struct actor *server = encrypted_by(toy, &peer);
    toy->seals = 6; /* in the second batch */
    ck_assert_int_eq(berth_socket_write(server->socket, world_zeros(), 1 << 18), 1 << 18);
    UNTIL(server->disconnects == 1);
    ck_assert_uint_eq(server->errors, 1);
    ck_assert_int_eq(server->error, BERTH_ERROR_SOCKET_RESOURCE);
}

CASE(questions_whose_answers_nobody_takes, "tls.h", "do not fill the memory")
{
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    uint8_t bytes[4096];
    size_t size = 0;
    server->quiet = true;
    while (size + 32 < sizeof bytes) {
        size += toy_record('u', "u", 1, bytes + size);
        size += toy_record('d', "x", 1, bytes + size);
    }
    unsigned turns = 0;
    for (size_t sent = 0; server->errors == 0;) {
        sent += peer_send_some(peer, bytes + sent % size, size - sent % size);
        ck_assert_uint_lt(berth_socket_encrypted_bytes_to_write(server->socket), 1 << 20);
        ck_assert_uint_lt(sent, 64 << 20);
        ck_assert_uint_lt(++turns, 100000);
        berth_loop_turn(world_loop(), 0);
    }
    ck_assert_int_eq(server->error, BERTH_ERROR_NETWORK);
}

CASE(question_behind_the_end_of_output, "tls.h", "is not answered, and the input goes on")
{
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    uint8_t bytes[64];
    berth_socket_set_half_close(server->socket, true);
    berth_socket_shutdown_send(server->socket);
    world_settle();
    size_t size = toy_record('u', "u", 1, bytes);
    size += toy_record('d', "more", 4, bytes + size);
    peer_send(peer, bytes, size);
    UNTIL(actor_has(server, "more"));
    world_settle();
    size = toy_record('d', "and", 3, bytes);
    peer_send(peer, bytes, size);
    UNTIL(actor_has(server, "moreand"));
    ck_assert_uint_eq(server->errors, 0);
    size = toy_record('e', "", 0, bytes);
    peer_send(peer, bytes, size);
    UNTIL(server->disconnects == 1);
    ck_assert_uint_eq(server->errors, 0);
    ck_assert(!berth_socket_was_reset(server->socket));
    ck_assert_uint_eq(peer_receive(peer, bytes, 64), 4);
}

CASE(reset_behind_a_failure, "tls.h", "is no second error")
{
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    fill(server);
    say_wrong(peer);
    UNTIL(server->errors == 1);
    ck_assert_uint_eq(server->disconnects, 0);
    peer_reset(peer);
    UNTIL(server->disconnects == 1);
    ck_assert_uint_eq(server->errors, 1);
    ck_assert_int_eq(server->error, BERTH_ERROR_TLS_HANDSHAKE_FAILED);
}

CASE(failure_that_nobody_hears, "tls.h", "has the peer's name in its text, when that has gone too")
{
    uint8_t hello[512];
    struct toy *toy = toy_new(true);
    struct host *host = host_listening("h");
    struct peer *peer = world_connect(host->port);
    UNTIL(host->new_connections == 1);
    berth_socket *socket = host_take(host); /* it has no handlers */
    char expected[100];
    snprintf(expected, sizeof expected,
             "cannot encrypt the connection to 127.0.0.1:%u: ", (unsigned)peer_port(peer));
    toy->refuses = true;
    ck_assert(berth_socket_start_server_encryption(socket, &toy->tls));
    berth_tls_release(&toy->tls);
    peer_send(peer, hello, toy_hello("name", NULL, hello));
    UNTIL(berth_socket_state(socket) == BERTH_STATE_UNCONNECTED);
    peer_close(peer);
    const char *text = berth_socket_error_string(socket);
    ck_assert_msg(strncmp(text, expected, strlen(expected)) == 0, "%s", text);
}

static void turn(struct actor *actor)
{
    (void)actor;
    for (int i = 0; i < 5; i++)
        berth_loop_turn(world_loop(), 1);
}

static struct peer *speaker;

static void hear_more(struct actor *actor)
{
    uint8_t bytes[16];
    (void)peer_send_some(speaker, bytes, toy_record('d', "more", 4, bytes));
    turn(actor);
}

CASE(failure_behind_data_whose_handler_turns, "tls.h", "is announced once")
{
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    fill(server);
    uint8_t bytes[64];
    server->on_ready_read = hear_more;
    speaker = peer;
    size_t size = toy_record('d', "good", 4, bytes);
    size += wrong_record("bad", bytes + size);
    peer_send(peer, bytes, size);
    UNTIL(server->errors >= 1);
    world_settle();
    ck_assert_uint_eq(server->errors, 1);
    ck_assert_uint_eq(server->disconnects, 0);
    berth_socket_free(server->socket);
}

static void hear_flight(struct actor *actor)
{
    uint8_t bytes[64];
    size_t size = toy_record('d', "first", 5, bytes);
    (void)peer_send_some(speaker, bytes, size);
    turn(actor);
}

CASE(turns_inside_verify_peer, "tls.h", "the engine is asked no more until it has its answer")
{
    struct toy *toy = toy_new(false);
    struct peer *peer;
    struct actor *client = actor_connected("c", &peer);
    toy->mistrusts = true;
    client->trusts = true;
    client->on_problem = hear_flight;
    speaker = peer;
    ck_assert(berth_socket_start_client_encryption(client->socket, &toy->tls, "x"));
    uint8_t bytes[16];
    answer_hello(peer);
    UNTIL(actor_has(client, "first"));
    ck_assert_uint_eq(client->problems, 1);
    ck_assert_uint_eq(client->encryptions, 1);
    peer_send(peer, bytes, toy_record('d', "second", 6, bytes));
    UNTIL(actor_has(client, "firstsecond"));
    berth_tls_release(&toy->tls);
}

CASE(answer_at_a_rate_without_room, "tls.h", "goes when there is room")
{
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    static uint8_t sink[65536];
    static uint8_t updates[8192];
    size_t size = 0;
    size_t at = 0;
    for (int i = 0; i < 512; i++)
        size += toy_record('u', "update", 6, updates + size);
    berth_rate *rate = berth_rate_new(world_loop(), UINT64_C(1) << 30, 0);
    ck_assert_ptr_nonnull(rate);
    ck_assert(berth_socket_set_write_rate(server->socket, rate));
    fill(server);
    size_t left;
    for (int idle = 0; (left = berth_socket_bytes_to_write(server->socket)) > 0;) {
        size_t got = peer_receive_some(peer, sink, left > 1 << 18 ? sizeof sink : 4096);
        idle = got > 0 ? 0 : idle + 1;
        ck_assert_int_lt(idle, WORLD_TURNS);
        world_turn();
    }
    /* The kernel has all of the output, and room for some answers. */
    for (int turns = 0; berth_socket_encrypted_bytes_to_write(server->socket) == 0; turns++) {
        ck_assert_uint_eq(server->disconnects, 0);
        ck_assert_int_lt(turns, 3000);
        at = (at + peer_send_some(peer, updates + at, size - at)) % size;
        world_turn();
    }
    while (berth_socket_encrypted_bytes_to_write(server->socket) > 0) {
        bool got = false;
        while (peer_receive_some(peer, sink, sizeof sink) > 0)
            got = true;
        for (int i = 0; i < 20; i++)
            world_turn();
        ck_assert(got || berth_socket_encrypted_bytes_to_write(server->socket) == 0);
    }
}

/* Reads to the end. Returns the type of the last record, of 4 bytes. */
static uint8_t last_word(struct peer *peer)
{
    static uint8_t bytes[1 << 18];
    size_t size = 0;
    for (int idle = 0; idle < 100; idle++) {
        size_t got = peer_receive_some(peer, bytes + size, sizeof bytes - size);
        size += got;
        idle = got > 0 ? 0 : idle;
        if (got == 0 && peer_sees_either(peer))
            break;
        world_turn();
    }
    ck_assert_uint_ge(size, 4);
    return bytes[size - 4];
}

CASE(end_at_a_rate_without_room, "tls.h", "goes when there is room: it needs no tokens")
{
    if (!world_is_simulated())
        case_skip("of a real kernel it is not known how much there is room for");
    bool waited = false;
    for (size_t size = 131030; size < 131050; size++) {
        struct peer *peer;
        struct actor *server = encrypted_with(&peer);
        berth_rate *rate = berth_rate_new(world_loop(), UINT64_C(1) << 30, 0);
        ck_assert_ptr_nonnull(rate);
        ck_assert(berth_socket_set_write_rate(server->socket, rate));
        ck_assert_int_eq(berth_socket_write(server->socket, world_zeros(), size), (ptrdiff_t)size);
        world_settle();
        berth_socket_disconnect_from_host(server->socket);
        waited = waited || (berth_socket_bytes_to_write(server->socket) == 0 &&
                            berth_socket_encrypted_bytes_to_write(server->socket) > 0);
        ck_assert_uint_eq(last_word(peer), 'e');
        UNTIL(server->disconnects == 1);
        ck_assert_uint_eq(server->errors, 0);
    }
    ck_assert(waited);
}

CASE(end_of_one_that_has_said_nothing, "tls.h reliability 22",
     "lingers where bytes of the peer were not read")
{
    berth_loop_counts counts;
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    uint8_t bytes[64];
    berth_socket_pause_reading(server->socket);
    world_settle();
    (void)peer_send_some(peer, bytes, toy_record('d', "unread", 6, bytes));
    world_settle();
    berth_socket_disconnect_from_host(server->socket);
    UNTIL(server->disconnects == 1);
    ck_assert_uint_eq(peer_receive(peer, bytes, 4), 4);
    ck_assert_uint_eq(bytes[0], 'e');
    ck_assert(peer_saw_end(peer));
    berth_loop_statistics(world_loop(), &counts);
    ck_assert_uint_eq(counts.lingering, 1);
}

CASE(end_of_output_in_the_handshake, "tls.h", "follows it")
{
    struct toy *toy = toy_new(false);
    struct peer *peer;
    struct actor *client = client_of(toy, &peer);
    uint8_t bytes[600];
    berth_tls_release(&toy->tls);
    berth_socket_shutdown_send(client->socket);
    answer_hello(peer);
    UNTIL(client->encryptions == 1);
    ck_assert_uint_eq(peer_receive(peer, bytes, 14), 14);
    ck_assert_uint_eq(bytes[0], 'c');
    ck_assert_uint_eq(bytes[10], 'e');
    ck_assert(peer_saw_end(peer));
    ck_assert_uint_eq(client->disconnects, 0);
}

CASE(limit_of_a_handshake_that_is_complete, "tls.h", "does not run any more")
{
    if (!world_is_simulated())
        case_skip("the time is virtual");
    struct toy *toy = toy_new(false);
    struct peer *peer;
    struct actor *client = actor_connected("c", &peer);
    berth_socket_set_connect_timeout(client->socket, 1000);
    ck_assert(berth_socket_start_client_encryption(client->socket, &toy->tls, "x"));
    berth_tls_release(&toy->tls);
    answer_hello(peer);
    UNTIL(client->encryptions == 1);
    berth__sim_advance(world_sim(), UINT64_C(5000000000));
    world_settle();
    ck_assert_uint_eq(client->errors, 0);
}

CASE(data_behind_the_orderly_end, "tls.h", "is not looked at")
{
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    uint8_t bytes[64];
    berth_socket_set_half_close(server->socket, true);
    peer_send(peer, bytes, toy_record('e', "", 0, bytes));
    UNTIL(server->finishes == 1);
    peer_send(peer, bytes, toy_record('d', "late", 4, bytes));
    world_settle();
    ck_assert_uint_eq(server->received, 0);
    ck_assert_uint_eq(server->errors, 0);
    actor_say(server, "answer");
    ck_assert_uint_eq(peer_receive(peer, bytes, 10), 10);
}

static void pause_reading(struct actor *actor)
{
    berth_socket_pause_reading(actor->socket);
}

CASE(part_of_a_record_in_a_pause, "tls.h", "is followed by its rest")
{
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    uint8_t bytes[64];
    server->on_ready_read = pause_reading;
    size_t size = toy_record('d', "one", 3, bytes);
    size += toy_record('d', "two", 3, bytes + size);
    peer_send(peer, bytes, size - 3);
    UNTIL(server->ready_reads == 1);
    berth_socket_resume_reading(server->socket);
    world_settle();
    peer_send(peer, bytes + size - 3, 3);
    UNTIL(actor_has(server, "onetwo"));
}

CASE(records_of_much_output, "tls.h", "are made a few at a time")
{
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    fill(server);
    ck_assert_uint_gt(berth_socket_bytes_to_write(server->socket), 1 << 20);
    ck_assert_uint_lt(berth_socket_encrypted_bytes_to_write(server->socket), 100000);
}

CASE(turn_of_much_output, "tls.h", "sends sixteen records at most, so that others have theirs")
{
    enum {
        SENT = 16 * 16384
    };
    if (!world_is_simulated())
        case_skip("the size of the kernel's buffers is not its choice");
    struct peer *peer;
    world_loop();
    berth__sim_settings *settings = berth__sim_settings_of(world_sim());
    settings->buffer_size = 1 << 20;
    settings->max_transfer = settings->max_delay = settings->seed = 0;
    struct actor *server = encrypted_with(&peer);
    ck_assert_int_eq(berth_socket_write(server->socket, world_zeros(), 3 * SENT), 3 * SENT);
    size_t before = 0;
    for (int turns = 0; turns < WORLD_TURNS && server->written < 3 * SENT; turns++) {
        world_turn();
        ck_assert_uint_le(server->written - before, SENT);
        before = server->written;
    }
    ck_assert_uint_eq(server->written, 3 * SENT);
}

/* Has the server's end say one record to a peer whose kernel keeps little of it, and has the peer
 * read a part of it every 20 s of the virtual clock, which takes 20 minutes in all. */
static struct actor *said_slowly(const berth_connection_limits *limits, bool ends)
{
    enum {
        RECORD = 16000,
        PART = 256
    };
    uint8_t bytes[PART];
    struct peer *peer;
    world_loop();
    berth__sim_settings_of(world_sim())->buffer_size = PART;
    struct actor *server = encrypted_with(&peer);
    ck_assert(berth_socket_set_limits(server->socket, limits));
    ck_assert_int_eq(berth_socket_write(server->socket, world_zeros(), RECORD), RECORD);
    if (ends)
        berth_socket_disconnect_from_host(server->socket);
    size_t heard = 0;
    for (int times = 0; times < 1000 && heard < RECORD + 4; times++) {
        world_settle();
        berth__sim_advance(world_sim(), UINT64_C(20000000000));
        world_turn();
        heard += peer_receive_some(peer, bytes, sizeof bytes);
    }
    ck_assert_uint_ge(heard, RECORD + 4);
    return server;
}

CASE(record_to_a_slow_peer, "tls.h D20", "each part that the kernel takes is progress, no idleness")
{
    if (!world_is_simulated())
        case_skip("the time is virtual");
    /* Half of what goes, and in windows that are shorter than what a record takes. */
    const berth_connection_limits limits = {.idle = 45000, .minimum_rate = 6, .rate_window = 60000};
    struct actor *server = said_slowly(&limits, false);
    ck_assert_uint_eq(server->errors, 0);
    ck_assert_uint_eq(server->disconnects, 0);
}

CASE(end_behind_a_record_to_a_slow_peer, "tls.h Q24",
     "each part that the kernel takes begins the time for closing anew")
{
    if (!world_is_simulated())
        case_skip("the time is virtual");
    const berth_connection_limits none = {0};
    struct actor *server = said_slowly(&none, true);
    UNTIL(server->disconnects == 1);
    ck_assert_uint_eq(server->errors, 0);
}

CASE(busy_encrypted_connection, "tls.h", "keeps the memory that it uses")
{
    if (!world_is_simulated())
        case_skip("the time is virtual");
    struct toy *toy = toy_new(false);
    struct peer *peer;
    struct actor *client = client_of(toy, &peer);
    uint8_t bytes[600];
    answer_hello(peer);
    for (unsigned i = 0; i < 20; i++) {
        peer_send(peer, bytes, toy_record('d', "x", 1, bytes));
        UNTIL(client->received == i + 1);
        berth__sim_advance(world_sim(), UINT64_C(300000000));
    }
    ck_assert_uint_eq(toy->relaxed, 0);
    berth_tls_release(&toy->tls);
}

CASE(flush_that_announces_beside_held_input, "tls.h", "delivers none of it")
{
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    uint8_t bytes[64];
    server->on_ready_read = pause_reading;
    berth_socket_set_read_buffer_size(server->socket, 3);
    size_t size = toy_record('d', "one", 3, bytes);
    size += toy_record('d', "two", 3, bytes + size);
    peer_send(peer, bytes, size);
    UNTIL(server->ready_reads == 1);
    berth_socket_resume_reading(server->socket);
    actor_say(server, "answer");
    ck_assert_int_ge(berth_socket_flush_and_announce(server->socket), 0);
    ck_assert_uint_eq(server->ready_reads, 1);
    UNTIL(server->ready_reads == 2);
    ck_assert(actor_has(server, "onetwo"));
    ck_assert_uint_eq(peer_receive(peer, bytes, 10), 10);
}

/* The peer sends until the connection has ended, which comes soon. */
static void flood(const struct actor *server, struct peer *peer)
{
    enum {
        PIECE = 65536,
        MOST = 64 << 20
    };
    size_t sent = 0;
    for (int idle = 0; server->disconnects == 0; idle++) {
        size_t some = peer_send_some(peer, world_zeros(), PIECE);
        idle = some > 0 ? 0 : idle;
        sent += some;
        ck_assert_uint_lt(sent, MOST);
        ck_assert_int_lt(idle, 1000);
        berth_loop_turn(world_loop(), 0);
    }
}

CASE(flood_behind_a_failure, "tls.h", "ends the wait for the alert to go, without a second error")
{
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    berth_socket_set_close_timeout(server->socket, 0);
    fill(server);
    say_wrong(peer);
    UNTIL(server->errors == 1);
    ck_assert_uint_eq(server->disconnects, 0);
    flood(server, peer);
    ck_assert_uint_eq(server->errors, 1);
    ck_assert_int_eq(server->error, BERTH_ERROR_TLS_HANDSHAKE_FAILED);
}

CASE(flood_behind_the_orderly_end, "tls.h", "is an error, though the other direction goes on")
{
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    uint8_t bytes[16];
    berth_socket_set_half_close(server->socket, true);
    peer_send(peer, bytes, toy_record('e', "", 0, bytes));
    UNTIL(server->finishes == 1);
    flood(server, peer);
    ck_assert(peer_saw_reset(peer));
    ck_assert_uint_eq(server->errors, 1);
    ck_assert_int_eq(server->error, BERTH_ERROR_NETWORK);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(server->socket), "behind its end"));
    ck_assert(!berth_socket_tls_was_truncated(server->socket));
}

static struct peer *flooder;

static void wait_for_the_end(struct actor *server)
{
    peer_send_some(flooder, world_zeros(), 1000);
    for (int i = 0; i < 200 && server->disconnects == 0; i++)
        world_turn();
}

CASE(flood_goes_on_inside_its_error, "tls.h", "which ends the connection there, without another")
{
    struct actor *server = encrypted_with(&flooder);
    uint8_t bytes[16];
    berth_socket_set_half_close(server->socket, true);
    peer_send(flooder, bytes, toy_record('e', "", 0, bytes));
    UNTIL(server->finishes == 1);
    server->on_error = wait_for_the_end;
    flood(server, flooder);
    ck_assert_uint_eq(server->errors, 1);
    ck_assert_uint_eq(server->disconnects, 1);
}

static void turn_until_its_end(struct actor *actor)
{
    for (unsigned turns = 0; turns < 500 && actor->finishes == 0; turns++)
        berth_loop_turn(berth_socket_loop(actor->socket), 10);
}

static void wait_for_its_end(struct actor *actor)
{
    ck_assert(berth_socket_wait_for_disconnected(actor->socket, 5000));
}

/* Data and the end come together; `handler` is called for the data. */
static void data_and_end(void (*handler)(struct actor *actor), bool closes)
{
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    uint8_t bytes[64];
    server->on_ready_read = handler;
    size_t size = toy_record('d', "last", 4, bytes);
    size += toy_record('e', "", 0, bytes + size);
    ck_assert_uint_eq(peer_send_some(peer, bytes, size), size);
    if (closes)
        peer_shutdown(peer);
    UNTIL(server->disconnects == 1);
    ck_assert(actor_has(server, "last"));
    ck_assert_uint_eq(server->finishes, 1);
    ck_assert_int_eq(server->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
    ck_assert(!berth_socket_tls_was_truncated(server->socket));
}

CASE(turn_in_front_of_an_orderly_end, "tls.h", "the stream ends in the turn, and was not cut")
{
    data_and_end(turn_until_its_end, true);
}

CASE(wait_in_front_of_an_orderly_end, "tls.h", "is told of it, though the stream goes on")
{
    data_and_end(wait_for_its_end, false);
}

static struct peer *other;
static uint8_t had; /* the type of the record that it has had inside the handler */

/* The peer waits for the last flight of the handshake: if that did not go before the handler
 * returns, the handler would wait for ever. */
static void wait_for_an_answer(struct actor *actor)
{
    for (unsigned waits = 0; waits < 500 && had == 0; waits++) {
        ck_assert(!berth_socket_wait_for_ready_read(actor->socket, 1));
        (void)peer_receive_some(other, &had, 1);
    }
}

static void turn_for_an_answer(struct actor *actor)
{
    for (unsigned turns = 0; turns < 500 && had == 0; turns++) {
        berth_loop_turn(berth_socket_loop(actor->socket), 1);
        (void)peer_receive_some(other, &had, 1);
    }
}

static void last_flight_of_a_client(void (*handler)(struct actor *actor))
{
    struct toy *toy = toy_new(false);
    struct actor *client = client_of(toy, &other);
    client->on_encrypted = handler;
    answer_hello(other);
    UNTIL(client->encryptions == 1);
    ck_assert_uint_eq(had, 'c');
    berth_tls_release(&toy->tls);
}

static void last_flight_of_a_server(void (*handler)(struct actor *actor))
{
    struct toy *toy = toy_new(true);
    struct host *host = host_listening("h");
    uint8_t bytes[16];
    other = world_connect(host->port);
    struct actor *server = host_take_actor(host, "s");
    server->on_encrypted = handler;
    ck_assert(berth_socket_start_server_encryption(server->socket, &toy->tls));
    say_hello(other, "x");
    ck_assert_uint_eq(peer_receive(other, bytes, 10), 10);
    peer_send(other, bytes, toy_record('c', "client", 6, bytes));
    UNTIL(server->encryptions == 1);
    ck_assert_uint_eq(had, 't');
    berth_tls_release(&toy->tls);
}

CASE(wait_inside_encrypted, "tls.h", "the last flight of a client goes")
{
    last_flight_of_a_client(wait_for_an_answer);
}

CASE(turn_inside_encrypted, "tls.h", "the last flight of a client goes")
{
    last_flight_of_a_client(turn_for_an_answer);
}

CASE(wait_inside_encrypted_of_a_server, "tls.h", "its last flight goes")
{
    last_flight_of_a_server(wait_for_an_answer);
}

CASE(turn_inside_encrypted_of_a_server, "tls.h", "its last flight goes")
{
    last_flight_of_a_server(turn_for_an_answer);
}

CASE(turn_inside_encrypted_with_output, "tls.h", "what was written before goes, without a flight")
{
    struct toy *toy = toy_new(true);
    uint8_t bytes[16];
    toy->gives_none = true;
    struct actor *server = greeted_by(toy, &other);
    server->on_encrypted = turn_for_an_answer;
    ck_assert_int_eq(berth_socket_write(server->socket, "early", 5), 5);
    world_settle();
    peer_send(other, bytes, toy_record('c', "client", 6, bytes));
    UNTIL(server->encryptions == 1);
    ck_assert_uint_eq(had, 'd');
}

/* The peer's data come with a record that is answered by the engine. */
static void data_behind_a_question(void (*handler)(struct actor *actor))
{
    struct actor *server = encrypted_with(&other);
    uint8_t bytes[64];
    server->on_ready_read = handler;
    size_t size = toy_record('u', "", 0, bytes);
    size += toy_record('d', "more", 4, bytes + size);
    ck_assert_uint_eq(peer_send_some(other, bytes, size), size);
    UNTIL(server->ready_reads == 1);
    ck_assert_uint_eq(had, 't');
}

CASE(wait_behind_a_question, "tls.h", "inside ready_read: the engine's answer goes")
{
    data_behind_a_question(wait_for_an_answer);
}

CASE(turn_behind_a_question, "tls.h", "inside ready_read: the engine's answer goes")
{
    data_behind_a_question(turn_for_an_answer);
}

/* There is nothing to wait for any more, but the loop may be turned. */
CASE(turn_behind_a_question_and_an_end, "tls.h", "inside read_channel_finished: the answer goes")
{
    struct actor *server = encrypted_with(&other);
    uint8_t bytes[64];
    berth_socket_set_half_close(server->socket, true);
    server->on_finished = turn_for_an_answer;
    size_t size = toy_record('u', "", 0, bytes);
    size += toy_record('e', "", 0, bytes + size);
    ck_assert_uint_eq(peer_send_some(other, bytes, size), size);
    UNTIL(server->finishes == 1);
    ck_assert_uint_eq(had, 't');
}

/* In the first call the loop brings more, which is held behind what the delivery still has. */
static void turn_before_reading(struct actor *actor)
{
    uint8_t bytes[16];
    if (actor->ready_reads == 1) {
        peer_send(other, bytes, toy_record('d', "y", 1, bytes));
        actor->received += (size_t)berth_socket_skip(actor->socket, 16);
    }
    for (unsigned turns = 0; turns < 5; turns++)
        berth_loop_turn(berth_socket_loop(actor->socket), 1);
    ck_assert_uint_eq(actor->disconnects, 0);
    actor->received += (size_t)berth_socket_skip(actor->socket, 16);
}

CASE(turns_before_reading_of_a_limited_input, "tls.h", "do not end a connection that goes on")
{
    struct actor *server = encrypted_with(&other);
    uint8_t bytes[64];
    server->reads = false;
    server->on_ready_read = turn_before_reading;
    berth_socket_set_read_buffer_size(server->socket, 3);
    size_t size = toy_record('u', "", 0, bytes); /* its answer is for the turn to send */
    size += toy_record('d', "one", 3, bytes + size);
    size += toy_record('d', "two", 3, bytes + size);
    size += toy_record('d', "x", 1, bytes + size);
    peer_send(other, bytes, size);
    UNTIL(server->received == 8);
    peer_send(other, bytes, toy_record('d', "ten", 3, bytes));
    UNTIL(server->received == 11);
    ck_assert_uint_eq(server->errors + server->disconnects, 0);
}
