/*
 * berth_socket_release: a connection leaves the library, its descriptor open, and no byte is lost.
 */
#include "scene.h"

#include <berth/local.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct peer *peer;

static struct actor *accepted(struct host **ret_host)
{
    *ret_host = host_listening("h");
    return host_connect(*ret_host, "s", &peer);
}

CASE(release_and_adopt_again, "0064",
     "the handlers of the end are called inside, and the peer notices nothing")
{
    struct host *host;
    struct actor *actor = accepted(&host);
    peer_say(peer, "one");
    UNTIL(actor_has(actor, "one"));
    actor_say(actor, "two");
    UNTIL(actor->written == 3);
    trace_clear();
    int descriptor = world_note(berth_socket_release(actor->socket));
    ck_assert_int_ge(descriptor, 0);
    assert_trace("s state UNCONNECTED, s finished, s disconnected");
    ck_assert_int_eq(berth_socket_descriptor(actor->socket), -1);
    world_settle();
    ck_assert(world_is_open(descriptor));
    peer_send_some(peer, "three", 5);
    world_settle();
    struct actor *other = actor_new("o");
    ck_assert(berth_socket_set_descriptor(other->socket, descriptor));
    UNTIL(actor_has(other, "three"));
    ck_assert(peer_hears(peer, "two"));
    actor_say(other, "four");
    ck_assert(peer_hears(peer, "four"));
    peer_close(peer);
    UNTIL(other->disconnects == 1);
    ck_assert_uint_eq(actor->disconnects, 1);
}

CASE(release_keeps_unread_input, "0064",
     "what was received stays in the socket, what was not stays in the kernel")
{
    enum {
        SIZE = 300000
    };
    struct host *host;
    struct actor *actor = accepted(&host);
    actor->reads = false;
    uint8_t *bytes = scene_pattern(SIZE, 1);
    uint8_t *all = malloc(SIZE);
    size_t sent = peer_send_some(peer, bytes, SIZE);
    UNTIL(berth_socket_bytes_available(actor->socket) > 0);
    sent += peer_send_some(peer, bytes + sent, SIZE - sent);
    int descriptor = world_note(berth_socket_release(actor->socket));
    ck_assert_int_ge(descriptor, 0);
    ptrdiff_t first = berth_socket_read(actor->socket, all, SIZE);
    ck_assert_int_gt(first, 0);
    struct actor *other = actor_new("o");
    ck_assert(berth_socket_set_descriptor(other->socket, descriptor));
    UNTIL(other->received + (size_t)first == sent);
    if (other->received > 0) /* the ring may have received it all before */
        memcpy(all + first, other->input, other->received);
    ck_assert_mem_eq(all, bytes, sent);
    free(bytes);
    free(all);
}

static int released = -1;

static void release(struct actor *actor)
{
    if (released < 0)
        released = world_note(berth_socket_release(actor->socket));
}

CASE(release_after_a_reset_in_the_queue, "0064",
     "what was reset before it was taken is not given away: the end is announced as a reset")
{
    struct host *host = host_listening("h");
    struct peer *other = world_connect(host->port);
    UNTIL(host->new_connections == 1);
    peer_reset(other);
    world_settle();
    struct actor *actor = actor_on("s", berth_server_next_pending_connection(host->server));
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
    ck_assert_int_eq(berth_socket_release(actor->socket), -1);
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_OPERATION);
    UNTIL(actor->disconnects == 1);
    ck_assert(berth_socket_was_reset(actor->socket));
}

CASE(release_while_a_reset_is_announced, "0064",
     "a broken connection is not given away in error_occurred either")
{
    struct host *host;
    struct actor *actor = accepted(&host);
    actor->on_error = release;
    peer_reset(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(released, -1);
    ck_assert(berth_socket_was_reset(actor->socket));
}

/* A reset that nobody has heard of yet: the send of what is left finds it. */
CASE(release_after_a_send_has_failed, "0064", "is refused, and names the failure")
{
    struct host *host;
    struct actor *actor = accepted(&host);
    peer_reset(peer);
    for (unsigned i = 0; i < 2; i++) { /* the second does not send any more */
        berth_socket_write(actor->socket, "too late", 8);
        ck_assert_int_eq(berth_socket_release(actor->socket), -1);
        ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_OPERATION);
        const char *text = berth_socket_error_string(actor->socket);
        ck_assert_msg(strstr(text, "reset") != NULL || strstr(text, "closed") != NULL, "%s", text);
    }
    UNTIL(actor->disconnects == 1);
    ck_assert(berth_socket_was_reset(actor->socket));
}

CASE(release_inside_ready_read, "0064", "the bytes at hand stay readable, whole")
{
    struct host *host;
    struct actor *actor = accepted(&host);
    actor->reads = false;
    actor->on_ready_read = release;
    peer_send_some(peer, "first words", 11);
    UNTIL(actor->disconnects == 1);
    ck_assert_int_ge(released, 0);
    char text[32];
    ck_assert_int_eq(berth_socket_read(actor->socket, text, sizeof text), 11);
    ck_assert_mem_eq(text, "first words", 11);
    peer_send_some(peer, "more", 4);
    struct actor *other = actor_new("o");
    ck_assert(berth_socket_set_descriptor(other->socket, released));
    UNTIL(actor_has(other, "more"));
}

CASE(release_with_output_left, "0064", "is refused, and the connection goes on")
{
    struct host *host;
    struct actor *actor = accepted(&host);
    size_t size = world_is_simulated() ? 1 << 20 : 16 << 20;
    uint8_t *bytes = scene_pattern(size, 2);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, size), (ptrdiff_t)size);
    ck_assert_int_eq(berth_socket_release(actor->socket), -1);
    const char *text = berth_socket_error_string(actor->socket);
    ck_assert_ptr_nonnull(strstr(text, "output has not been sent"));
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_OPERATION);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_CONNECTED);
    uint8_t *back = malloc(size);
    ck_assert_uint_eq(peer_receive(peer, back, size), size);
    UNTIL(actor->written == size);
    peer_say(peer, "thanks");
    UNTIL(actor_has(actor, "thanks"));
    int descriptor = world_note(berth_socket_release(actor->socket));
    ck_assert_int_ge(descriptor, 0);
    world_settle();
    world_close_descriptor(descriptor);
    ck_assert(peer_saw_end(peer));
    free(bytes);
    free(back);
}

CASE(release_hands_output_over_first, "0064", "what the kernel can take goes before")
{
    if (world_is_simulated())
        case_skip("it takes what chance lets it");
    struct host *host;
    struct actor *actor = accepted(&host);
    berth_socket_write(actor->socket, "farewell", 8);
    int descriptor = world_note(berth_socket_release(actor->socket));
    ck_assert_int_ge(descriptor, 0);
    ck_assert(peer_hears(peer, "farewell"));
    close(descriptor);
}

CASE(release_of_what_is_no_connection, "0064", "-1 and class OPERATION in the other states")
{
    world_loop();
    struct actor *actor = actor_new("c");
    ck_assert_int_eq(berth_socket_release(actor->socket), -1);
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_OPERATION);
    ck_assert(berth_socket_bind(actor->socket, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert_int_eq(berth_socket_release(actor->socket), -1);
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_BOUND);
    berth_socket_abort(actor->socket);
    uint16_t port = world_listen(5);
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    ck_assert_int_eq(berth_socket_release(actor->socket), -1);
    UNTIL(actor->connects == 1);
}

CASE(release_of_a_half_closed_connection, "0064", "with the end that has come still to be read")
{
    struct host *host;
    struct actor *actor = accepted(&host);
    berth_socket_set_half_close(actor->socket, true);
    peer_shutdown(peer);
    UNTIL(actor->finishes == 1);
    world_settle();
    int descriptor = world_note(berth_socket_release(actor->socket));
    ck_assert_int_ge(descriptor, 0);
    struct actor *other = actor_new("o");
    berth_socket_set_half_close(other->socket, true);
    ck_assert(berth_socket_set_descriptor(other->socket, descriptor));
    UNTIL(other->finishes == 1);
    actor_say(other, "still here");
    ck_assert(peer_hears(peer, "still here"));
}

CASE(release_after_the_end_of_the_output, "0064",
     "the end that follows the output is shown, although nobody else knows of it")
{
    if (world_is_simulated())
        case_skip("it takes what chance lets it");
    struct host *host;
    struct actor *actor = accepted(&host);
    berth_socket_write(actor->socket, "farewell", 8);
    berth_socket_shutdown_send(actor->socket);
    int descriptor = world_note(berth_socket_release(actor->socket));
    ck_assert_int_ge(descriptor, 0);
    ck_assert(peer_hears(peer, "farewell"));
    ck_assert(peer_saw_end(peer));
    peer_say(peer, "thanks");
    struct actor *other = actor_new("o");
    ck_assert(berth_socket_set_descriptor(other->socket, descriptor));
    UNTIL(actor_has(other, "thanks"));
}

/* What is released waits in its calls: no flag of ours is left on it. */
static void release_one_that_waits(struct actor *actor)
{
    UNTIL(actor->connects == 1);
    int descriptor = world_note(berth_socket_release(actor->socket));
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(fcntl(descriptor, F_GETFL) & O_NONBLOCK, 0);
    world_close_descriptor(descriptor);
}

CASE(release_of_a_client, "0064", "its descriptor waits, as that of an accepted connection does")
{
    if (world_is_simulated())
        case_skip("its descriptors have no flags");
    struct actor *actor = actor_new("c");
    uint16_t port = world_listen(1);
    const char *path = world_path("a");
    world_listen_local(path, 1);
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    release_one_that_waits(actor);
    actor->connects = 0;
    ck_assert(berth_socket_connect_to_local(actor->socket, path));
    release_one_that_waits(actor);
    struct host *host;
    actor = accepted(&host);
    actor->connects = 1;
    release_one_that_waits(actor);
}
