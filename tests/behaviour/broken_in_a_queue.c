/*
 * Connections that break while they are in the queue of a server: whoever takes one has what came
 * before, and hears of the end.
 */
#include "encrypted.h"

#include "base/fault.h"

#include <string.h>

/* A host that encrypts, with a connection in its queue. */
static struct host *host_with_guest(struct peer **ret_peer)
{
    struct host *host = host_listening("h");
    encrypt(host);
    *ret_peer = world_connect(host->port);
    say_hello(*ret_peer, "x");
    shake(*ret_peer);
    UNTIL(host->arrivals == 1);
    uint8_t ticket[16];
    ck_assert_uint_eq(peer_receive(*ret_peer, ticket, 10), 10);
    return host;
}

/* What is taken is open, and nothing was said of it so far. */
static struct actor *take_open(struct host *host)
{
    berth_socket *socket = berth_server_next_pending_connection(host->server);
    ck_assert_ptr_nonnull(socket);
    ck_assert_int_eq(berth_socket_state(socket), BERTH_STATE_CONNECTED);
    ck_assert_int_eq(berth_socket_error(socket), BERTH_ERROR_NONE);
    return actor_on("s", socket);
}

static void expect_end(struct actor *actor, berth_error error, const char *text)
{
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->errors, 1);
    ck_assert_int_eq(actor->error, error);
    ck_assert_msg(strstr(berth_socket_error_string(actor->socket), text) != NULL, "%s",
                  berth_socket_error_string(actor->socket));
}

static void send_good_and_wrong(struct peer *peer)
{
    uint8_t bytes[64];
    size_t size = toy_record('d', "good", 4, bytes);
    size += wrong_record("bad", bytes + size);
    ck_assert_uint_eq(peer_send_some(peer, bytes, size), size);
}

CASE(wrong_record_in_a_queue, "tls.h S1.41", "is announced to whoever takes the connection")
{
    struct peer *peer;
    uint8_t bytes[16];
    struct host *host = host_with_guest(&peer);
    send_good_and_wrong(peer);
    ck_assert_uint_eq(peer_receive(peer, bytes, 9), 9);
    ck_assert_uint_eq(bytes[0], 'a'); /* it need not wait for that */
    struct actor *server = take_open(host);
    ck_assert_uint_eq(berth_socket_bytes_available(server->socket), 4);
    expect_end(server, BERTH_ERROR_TLS_HANDSHAKE_FAILED, "sum is wrong");
    ck_assert(berth_socket_tls_was_truncated(server->socket));
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(server->socket),
                                 "cannot read from the encrypted connection to 127.0.0.1:"));
    char input[8];
    ck_assert_int_eq(berth_socket_read(server->socket, input, sizeof input), 4);
    counts_of(host);
}

CASE(lost_input_in_a_queue, "S3.21 S1.41", "is announced to whoever takes the connection")
{
    struct host *host = host_listening("h");
    struct peer *peer = world_connect(host->port);
    UNTIL(host->new_connections == 1);
    peer_say(peer, "hello");
    berth__fault_set_memory(0, 1000000);
    world_settle();
    berth__fault_clear();
    peer_say(peer, "more");
    world_settle();
    struct actor *server = take_open(host);
    expect_end(server, BERTH_ERROR_SOCKET_RESOURCE, "out of memory");
    ck_assert_uint_eq(server->received, 0);
    counts_of(host);
}

CASE(wrong_record_behind_its_handshake, "tls.h S1.41", "the connection is queued, and ends there")
{
    uint8_t bytes[64];
    struct host *host = host_listening("h");
    encrypt(host);
    struct peer *peer = world_connect(host->port);
    say_hello(peer, "x");
    ck_assert_uint_eq(peer_receive(peer, bytes, 10), 10);
    size_t size = toy_record('c', "client", 6, bytes);
    size += toy_record('d', "good", 4, bytes + size);
    size += wrong_record("bad", bytes + size);
    ck_assert_uint_eq(peer_send_some(peer, bytes, size), size);
    UNTIL(host->arrivals == 1);
    world_settle();
    struct actor *server = take_open(host);
    ck_assert_uint_eq(berth_socket_bytes_available(server->socket), 4);
    expect_end(server, BERTH_ERROR_TLS_HANDSHAKE_FAILED, "sum is wrong");
}

CASE(wrong_record_and_an_end_in_a_queue, "tls.h S1.41", "the failure is announced, not the end")
{
    struct peer *peer;
    struct host *host = host_with_guest(&peer);
    send_good_and_wrong(peer);
    peer_close(peer);
    world_settle();
    struct actor *server = take_open(host);
    expect_end(server, BERTH_ERROR_TLS_HANDSHAKE_FAILED, "sum is wrong");
    ck_assert_uint_eq(berth_socket_bytes_available(server->socket), 4);
}

CASE(wait_for_one_that_has_failed_in_a_queue, "tls.h S4.16",
     "ends at once, though there is output that cannot go")
{
    struct peer *peer;
    struct host *host = host_with_guest(&peer);
    send_good_and_wrong(peer);
    world_settle();
    struct actor *server = take_open(host);
    berth_socket_pause_reading(server->socket);
    ck_assert_int_eq(berth_socket_write(server->socket, "answer", 6), 6);
    ck_assert(!berth_socket_wait_for_bytes_written(server->socket, -1));
    expect_end(server, BERTH_ERROR_TLS_HANDSHAKE_FAILED, "sum is wrong");
}

CASE(flood_in_a_queue_behind_the_orderly_end, "tls.h S1.41",
     "whoever takes the connection hears of the end")
{
    struct peer *peer;
    uint8_t bytes[16];
    struct host *host = host_with_guest(&peer);
    peer_send(peer, bytes, toy_record('e', "", 0, bytes));
    for (size_t sent = 0; sent < 4 << 20;) {
        size_t some = peer_send_some(peer, world_zeros(), 1 << 16);
        sent += some;
        berth_loop_turn(world_loop(), some == 0);
    }
    struct actor *server = take_open(host);
    UNTIL(server->disconnects == 1);
    ck_assert_uint_eq(server->errors, 1); /* that end, or that more came behind it */
}

CASE(own_socket_breaks_in_a_queue, "tls.h S1.41", "one that the program has put there, likewise")
{
    struct peer *peer;
    struct host *host = host_listening("h");
    struct actor *server = encrypted_with(&peer);
    berth_server_add_pending_connection(host->server, server->socket);
    send_good_and_wrong(peer);
    world_settle();
    ck_assert_uint_eq(server->errors, 0);
    ck_assert_int_eq(berth_socket_flush_and_announce(server->socket), 0);
    ck_assert_ptr_eq(berth_server_next_pending_connection(host->server), server->socket);
    expect_end(server, BERTH_ERROR_TLS_HANDSHAKE_FAILED, "sum is wrong");
}

CASE(limit_of_one_that_has_failed_in_a_queue, "limits.h tls.h", "ends it there")
{
    const berth_connection_limits limits = {.idle = 100};
    struct peer *peer;
    struct host *host = host_listening("h");
    berth_server_set_connection_limits(host->server, &limits);
    encrypt(host);
    peer = world_connect(host->port);
    say_hello(peer, "x");
    shake(peer);
    UNTIL(host->arrivals == 1);
    uint8_t bytes[64];
    send_good_and_wrong(peer);
    UNTIL(counts_of(host).closed_pending == 1);
    ck_assert_uint_lt(peer_receive(peer, bytes, sizeof bytes), sizeof bytes);
    ck_assert_ptr_null(berth_server_next_pending_connection(host->server));
    ck_assert(peer_saw_either(peer));
}
