/*
 * The last bytes of a connection: they leave with its end, and they arrive although the loop is
 * freed while the peer is still sending.
 */
#include "scene.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

/* More than the peer's kernel takes unread, less than ours keeps. */
#define ANSWER ((size_t)200000)

/* A host that has answered and ended, with input of the peer left unread in the kernel: closing it
 * now would be a reset, which drops what our kernel has not sent yet. */
static struct peer *answered(void)
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor->reads = false;
    berth_socket_set_read_buffer_size(actor->socket, 1);
    uint8_t bytes[30000] = {0};
    peer_send_some(peer, bytes, sizeof bytes);
    UNTIL(berth_socket_bytes_available(actor->socket) > 0);
    peer_send_some(peer, bytes, sizeof bytes);
    world_settle();
    peer_send_some(peer, bytes, sizeof bytes);
    uint8_t *answer = scene_pattern(ANSWER, 12);
    if (!world_is_simulated())
        ck_assert(berth_socket_set_option(actor->socket, BERTH_OPTION_SEND_BUFFER_SIZE, 1 << 20));
    size_t size = world_is_simulated() ? 1000 : ANSWER;
    ck_assert_int_eq(berth_socket_write(actor->socket, answer, size), (ptrdiff_t)size);
    UNTIL(actor->written == size);
    free(answer);
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert_uint_eq(actor->disconnects, 1);
    return peer;
}

/* The peer of a simulated kernel goes with it. */
static void check_answer(struct peer *peer)
{
    if (world_is_simulated())
        return;
    uint8_t *answer = scene_pattern(ANSWER, 12);
    uint8_t *heard = malloc(ANSWER);
    ck_assert_uint_eq(peer_receive(peer, heard, ANSWER), ANSWER);
    ck_assert_mem_eq(heard, answer, ANSWER);
    ck_assert(peer_saw_end(peer));
    free(answer);
    free(heard);
}

CASE(loop_is_freed_before_the_peer_has_read, "lingering.h loop.h",
     "unread input does not turn the end into a reset")
{
    struct peer *peer = answered();
    peer_shutdown(peer);
    world_free_loop();
    check_answer(peer);
}

CASE(loop_is_freed_while_the_peer_stays, "lingering.h loop.h",
     "a peer that does not end holds up the freeing for a bounded time, and sees an end")
{
    struct peer *peer = answered();
    world_free_loop();
    check_answer(peer);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000u + (uint64_t)time.tv_nsec / 1000000u;
}

CASE(time_that_freeing_a_loop_takes, "0063 linger_time",
     "little by default, none if the program wants it so, and as long as it wants")
{
    if (world_is_simulated())
        case_skip("virtual time does not show it");
    ck_assert_uint_eq(berth_loop_linger_time(world_loop()), BERTH_DEFAULT_LINGER_TIME);
    ck_assert_uint_lt(BERTH_DEFAULT_LINGER_TIME, 100);
    static const uint32_t times[] = {BERTH_DEFAULT_LINGER_TIME, 0, 700};
    for (int i = 0; i < 3; i++) {
        berth_loop_set_linger_time(world_loop(), times[i]);
        ck_assert_uint_eq(berth_loop_linger_time(world_loop()), times[i]);
        (void)answered();
        uint64_t start = now();
        world_free_loop();
        uint64_t took = now() - start;
        ck_assert_uint_ge(took, times[i] > 0 ? times[i] - 1 : 0);
        ck_assert_uint_lt(took, times[i] + 1000); /* two seconds it was */
    }
}

static void end_it(berth_socket *socket)
{
    berth_socket_write(socket, "greeting", 8);
    berth_socket_disconnect_from_host(socket);
}

static void end_output(berth_socket *socket)
{
    berth_socket_write(socket, "greeting", 8);
    berth_socket_shutdown_send(socket);
}

static void flush_and_end(berth_socket *socket)
{
    berth_socket_write(socket, "greeting", 8);
    berth_socket_disconnect_from_host(socket);
    berth_socket_flush(socket);
}

/* Segments that a client got behind the handshake until the host had ended as told. */
static unsigned segments_of(void (*end)(berth_socket *socket))
{
    struct host *host = host_listening("h");
    struct actor *client = actor_new("c");
    berth_socket_set_half_close(client->socket, true);
    ck_assert(berth_socket_connect_to_address(client->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    berth_socket *socket = host_take(host);
    UNTIL(client->connects == 1);
    end(socket);
    UNTIL(client->finishes == 1);
    ck_assert(actor_has(client, "greeting"));
    struct tcp_info info;
    socklen_t size = sizeof info;
    int descriptor = berth_socket_descriptor(client->socket);
    ck_assert_int_eq(getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    berth_socket_free(socket);
    return info.tcpi_segs_in - 1;
}

CASE(end_leaves_with_the_last_output, "0054", "data and FIN are one segment")
{
    if (world_is_simulated())
        case_skip("only a real kernel makes segments");
    ck_assert_uint_eq(segments_of(end_it), 1);
    ck_assert_uint_eq(segments_of(end_output), 1);
}

CASE(flushed_output_leaves_before_the_end, "0054",
     "a flush may be followed by no turn for long: it does not wait for the end")
{
    if (world_is_simulated())
        case_skip("only a real kernel makes segments");
    ck_assert_uint_eq(segments_of(flush_and_end), 2);
}
