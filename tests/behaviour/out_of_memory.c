/*
 * Memory runs out at chosen places: what was there stays, or the connection ends, and never is a
 * byte counted that does not exist.
 */
#include "scene.h"

#include "base/fault.h"

#include <stdio.h>
#include <string.h>

static void read_on_trial(struct actor *actor)
{
    char bytes[8];
    berth_socket_start_transaction(actor->socket);
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, 4), 4);
    berth__fault_set_memory(0, 1000000);
}

static void check_nothing_there(struct actor *actor)
{
    berth__fault_clear();
    size_t size;
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 0);
    ck_assert_ptr_null(berth_socket_view(actor->socket, &size));
    berth_socket_rollback_transaction(actor->socket);
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 0);
}

CASE(no_memory_for_input_in_a_transaction, "S3.21 reliability 13",
     "bytes that cannot be kept end the connection, and are not counted")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->reads = false;
    actor->on_ready_read = read_on_trial;
    actor->on_error = check_nothing_there;
    peer_say(peer, "hello");
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_RESOURCE);
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 0);
}

static void give_away(struct actor *actor)
{
    berth__fault_clear();
    ck_assert_int_eq(berth_socket_release(actor->socket), -1);
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_OPERATION);
    ck_assert_ptr_nonnull(
        strstr(berth_socket_error_string(actor->socket), ": input was lost for want of memory"));
}

CASE(release_after_lost_input, "S3.21 0064",
     "fails: whoever takes the descriptor would read what follows in place of it")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->reads = false;
    actor->on_ready_read = read_on_trial;
    actor->on_error = give_away;
    peer_say(peer, "hello");
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_RESOURCE);
}

static void unget_without_memory(struct actor *actor)
{
    char bytes[8];
    berth_socket_start_transaction(actor->socket);
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, 2), 2);
    berth__fault_set_memory(0, 1000000);
    ck_assert(!berth_socket_unget(actor->socket, "xyz", 3));
    berth__fault_clear();
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_SOCKET_RESOURCE);
    berth_socket_rollback_transaction(actor->socket);
}

CASE(no_memory_for_unget, "S3.21", "nothing is put back, and nothing that was there is lost")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->reads = false;
    actor->on_ready_read = unget_without_memory;
    peer_say(peer, "hello");
    UNTIL(actor->ready_reads == 1);
    char bytes[8];
    ck_assert_int_eq(berth_socket_read(actor->socket, bytes, sizeof bytes), 5);
    ck_assert_mem_eq(bytes, "hello", 5);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
}

static void queue_again(struct actor *actor)
{
    berth_server_add_pending_connection(actor->host->server, actor->socket);
}

CASE(queued_inside_its_own_end, "Q9 S5.5",
     "a socket that a handler queues while it is being freed leaves no entry")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->host = host;
    actor->on_disconnected = queue_again;
    berth_socket_free(actor->socket);
    ck_assert(!berth_server_has_pending_connections(host->server));
    ck_assert_ptr_null(berth_server_next_pending_connection(host->server));
}

static struct peer *speaker;

static void exhaust_memory(struct actor *actor)
{
    if (actor->ready_reads == 1)
        berth__fault_set_memory(0, 1000000);
}

static void wait_for_more(struct actor *actor)
{
    berth__fault_clear();
    peer_say(speaker, "more");
    berth_socket_wait_for_ready_read(actor->socket, 50);
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 0);
}

CASE(no_input_after_lost_input, "S3.21 reliability 13",
     "after bytes that could not be kept none are delivered, not even in a wait inside the error")
{
    struct host *host = host_listening("h");
    struct actor *actor = host_connect(host, "s", &speaker);
    actor->reads = false;
    actor->on_ready_read = exhaust_memory;
    actor->on_error = wait_for_more;
    peer_say(speaker, "hello");
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->ready_reads, 1);
}

/* A connection comes while there is no memory. */
static void fail_to(const char *what, struct host *host)
{
    char expected[100];
    berth_server_counts counts;
    struct peer *peer = world_connect(host->port);
    snprintf(expected, sizeof expected, "cannot %s a connection from 127.0.0.1:%u: out of memory",
             what, (unsigned)peer_port(peer));
    berth__fault_set_memory(0, 1000000);
    UNTIL((berth_server_statistics(host->server, &counts), counts.accepted > 0));
    berth__fault_clear();
    ck_assert_uint_eq(counts.failed, 1);
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_SOCKET_RESOURCE);
    ck_assert_str_eq(berth_server_error_string(host->server), expected);
}

CASE(no_memory_for_a_connection, "server.h", "the text says whose it was")
{
    fail_to("serve", host_listening("h"));
}

CASE(no_memory_to_count_a_connection, "server.h", "the text says whose it was")
{
    const berth_accept_limits limits = {.per_address = 1};
    struct host *host = host_listening("h");
    berth_server_set_accept_limits(host->server, &limits);
    fail_to("count", host);
}
