/*
 * What was written before a graceful end arrives, whatever the peer does meanwhile and whoever else
 * holds the connection; and an end that the owner decides reaches the peer at once.
 */
#include "scene.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void real_kernel_only(void)
{
    if (world_is_simulated())
        case_skip("what the simulated kernel has taken, the peer has");
}

static struct peer *peer;
static char heard[4096];
static size_t count;

static void hear(void)
{
    count += peer_receive_some(peer, heard + count, sizeof heard - count);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000u + (uint64_t)time.tv_nsec / 1000000u;
}

/* A word that nobody will read, while handlers of the end run. */
static void speak(struct actor *actor)
{
    (void)actor;
    peer_send_some(peer, "wait!", 5);
    usleep(2000);
}

CASE(peer_speaks_inside_disconnected, "0063 lingering.h",
     "for the first time, while the handler takes its time: nothing of the answer is lost")
{
    real_kernel_only();
    struct host *host = host_listening("h");
    for (int round = 0; round < 50; round++) {
        struct actor *actor = host_connect(host, "s", &peer);
        actor->on_disconnected = speak;
        uint8_t *answer = scene_pattern(2221, 3);
        berth_socket_write(actor->socket, answer, 37);
        berth_socket_write(actor->socket, answer + 37, 2184);
        berth_socket_disconnect_from_host(actor->socket);
        UNTIL(actor->disconnects == 1);
        uint8_t bytes[4096];
        ck_assert_uint_eq(peer_receive(peer, bytes, 2221), 2221);
        ck_assert_mem_eq(bytes, answer, 2221);
        ck_assert(peer_saw_end(peer));
        peer_close(peer);
        free(answer);
    }
}

static uint64_t lingering(void)
{
    berth_loop_counts counts;
    berth_loop_statistics(world_loop(), &counts);
    return counts.lingering;
}

CASE(first_word_inside_disconnected_is_taken, "0063 lingering.h",
     "a peer that speaks for the first time there is not reset, and what was lost is sent again")
{
    struct host *host = host_listening("h");
    struct actor *actor = host_connect(host, "s", &peer);
    actor->on_disconnected = speak;
    actor_say(actor, "goodbye");
    berth_socket_disconnect_from_host(actor->socket);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(lingering(), 1);
    world_settle();
    ck_assert_uint_eq(peer_send_some(peer, "more", 4), 4);
    ck_assert(peer_hears(peer, "goodbye"));
    ck_assert(peer_saw_end(peer));
    peer_close(peer);
    UNTIL(lingering() == 0);
}

CASE(first_word_just_before_the_end, "0063",
     "a peer whose bytes have come, and are not known of yet, is not reset when it goes on")
{
    setenv("BERTH_RING_FLAGS", "0", 1); /* such a ring receives inside any system call */
    struct host *host = host_listening("h");
    struct actor *actor = host_connect(host, "s", &peer);
    world_settle();
    actor_say(actor, "goodbye");
    ck_assert(berth_socket_flush(actor->socket));
    ck_assert_uint_eq(peer_send_some(peer, "a word", 6), 6);
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert_uint_eq(lingering(), 1);
    ck_assert_uint_eq(peer_send_some(peer, "more", 4), 4);
    world_settle();
    ck_assert(peer_hears(peer, "goodbye"));
    ck_assert(peer_saw_end(peer));
    peer_close(peer);
    UNTIL(lingering() == 0);
}

static void note_what_has_come(struct actor *actor)
{
    (void)actor;
    if (count > 0)
        return;
    usleep(1000);
    hear();
}

CASE(last_output_is_not_held_back_for_handlers, "0063 0054",
     "inside bytes_written, UNCONNECTED and disconnected the peer has all")
{
    struct host *host = host_listening("h");
    for (int which = 0; which < 3; which++) {
        struct actor *actor = host_connect(host, "s", &peer);
        count = 0;
        berth_socket_write(actor->socket, "the last words", 14);
        berth_socket_disconnect_from_host(actor->socket);
        *(which == 0   ? &actor->on_written
          : which == 1 ? &actor->on_state
                       : &actor->on_disconnected) = note_what_has_come;
        UNTIL(actor->disconnects == 1);
        ck_assert_uint_eq(count, 14);
    }
}

static void free_it(berth_socket *socket, void *user)
{
    note_what_has_come(user);
    berth_socket_free(socket);
}

CASE(last_output_and_the_only_handler, "0063 0054", "disconnected alone, as in a small server")
{
    static const berth_socket_handlers handlers = {.disconnected = free_it};
    struct host *host = host_listening("h");
    peer = world_connect(host->port);
    berth_socket *socket = host_take(host);
    berth_socket_set_handlers(socket, &handlers, NULL);
    berth_socket_write(socket, "the last words", 14);
    berth_socket_disconnect_from_host(socket);
    UNTIL(count == 14);
    ck_assert(peer_saw_end(peer));
}

CASE(silent_peer_speaks_late, "0063 lingering.h",
     "what is queued for a peer that reads slowly survives its first word")
{
    enum {
        SIZE = 400000
    };
    real_kernel_only();
    struct host *host = host_listening("h");
    struct actor *actor = host_connect(host, "s", &peer);
    ck_assert(berth_socket_set_option(actor->socket, BERTH_OPTION_SEND_BUFFER_SIZE, 1 << 20));
    uint8_t *bytes = scene_pattern(SIZE, 5);
    uint8_t *back = malloc(SIZE);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, SIZE), SIZE);
    berth_socket_disconnect_from_host(actor->socket);
    UNTIL(actor->disconnects == 1);
    world_settle();
    peer_send_some(peer, "hello?", 6);
    world_settle();
    ck_assert_uint_eq(peer_receive(peer, back, SIZE), SIZE);
    ck_assert_mem_eq(back, bytes, SIZE);
    ck_assert(peer_saw_end(peer));
    free(bytes);
    free(back);
}

CASE(reader_that_is_slower_than_the_time, "0063 lingering.h",
     "as long as it takes output it is given more")
{
    real_kernel_only();
    struct host *host = host_listening("h");
    struct actor *actor = host_connect(host, "s", &peer);
    ck_assert(berth_socket_set_option(actor->socket, BERTH_OPTION_SEND_BUFFER_SIZE, 1 << 20));
    /* All of it has to be the kernel's, which has its own idea of how much that may be. */
    int room;
    ck_assert(berth_socket_get_option(actor->socket, BERTH_OPTION_SEND_BUFFER_SIZE, &room));
    const size_t size = (size_t)room / 2 < 1000000 ? (size_t)room / 2 : 1000000;
    const size_t piece = size / 100;
    uint8_t *bytes = scene_pattern(size, 6);
    uint8_t *back = malloc(size);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, size), (int64_t)size);
    berth_socket_disconnect_from_host(actor->socket);
    UNTIL(actor->disconnects == 1);
    uint64_t start = now();
    size_t got = 0;
    while (now() - start < 3000) {
        berth_loop_turn(world_loop(), 30);
        if (got + 4 * piece < size)
            got += peer_receive_some(peer, back + got, piece);
    }
    peer_send_some(peer, "hello?", 6);
    world_settle();
    got += peer_receive(peer, back + got, size - got);
    ck_assert_uint_eq(got, size);
    ck_assert_mem_eq(back, bytes, size);
    free(bytes);
    free(back);
}

/* ---- inside the call ------------------------------------------------------------------------- */

CASE(flushed_output_and_the_end_inside_the_call, "S3.33",
     "what the kernel has taken is announced and the connection ends, without a loop")
{
    struct host *host = host_listening("h");
    struct actor *actor = host_connect(host, "s", &peer);
    char long_text[20000];
    memset(long_text, 'x', sizeof long_text);
    for (int i = 0; i < 4; i++) /* more than a chunk */
        berth_socket_write(actor->socket, long_text, 1000);
    ck_assert(berth_socket_flush(actor->socket));
    if (world_is_simulated() && berth_socket_bytes_to_write(actor->socket) == 0)
        case_skip("chance has sent it");
    trace_clear();
    ck_assert_uint_eq(actor->written, 0);
    berth_socket_disconnect_from_host(actor->socket);
    if (!world_is_simulated()) { /* which takes what it likes */
        assert_trace("s state CLOSING, s written, s state UNCONNECTED, s finished, s disconnected");
        ck_assert_uint_eq(actor->written, 4000);
    }
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->written, 4000);
    ck_assert_uint_eq(peer_receive(peer, long_text, 5000), 4000);
    ck_assert(peer_saw_end(peer));
}

CASE(long_write_and_the_end_inside_the_call, "S3.33", "a long write is its own flush")
{
    real_kernel_only();
    struct host *host = host_listening("h");
    struct actor *actor = host_connect(host, "s", &peer);
    uint8_t *bytes = scene_pattern(40000, 7);
    berth_socket_write(actor->socket, bytes, 40000);
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert_uint_eq(actor->disconnects, 1);
    ck_assert_uint_eq(actor->written, 40000);
    free(bytes);
}

CASE(flushed_output_and_the_end_of_a_direction, "0024",
     "the peer sees the end inside the call, without a loop")
{
    real_kernel_only();
    struct host *host = host_listening("h");
    struct actor *actor = host_connect(host, "s", &peer);
    berth_socket_write(actor->socket, "all", 3);
    berth_socket_flush(actor->socket);
    berth_socket_shutdown_send(actor->socket);
    char bytes[8];
    ck_assert_uint_eq(peer_receive_some(peer, bytes, sizeof bytes), 3);
    ck_assert(peer_sees_either(peer));
    peer_shutdown(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->written, 3);
}

/* ---- copies ---------------------------------------------------------------------------------- */

static void leave(berth_socket *socket)
{
    berth_socket_disconnect_from_host(socket);
}

static void go(berth_socket *socket)
{
    berth_socket_abort(socket);
}

static void go_freed(berth_socket *socket)
{
    berth_socket_free(socket);
}

CASE(copies_do_not_hide_the_end, "0064",
     "a descriptor that a child holds, or a copy of it, keeps the peer from nothing")
{
    real_kernel_only();
    static void (*const ends[])(berth_socket *) = {leave, go, go_freed, berth_socket_reset};
    struct host *host = host_listening("h");
    for (int which = 0; which < 4; which++) {
        peer = world_connect(host->port);
        berth_socket *socket = host_take(host);
        int copy = world_note(dup(berth_socket_descriptor(socket)));
        if (which < 3)
            berth_socket_write(socket, "bye", 3);
        berth_socket_flush(socket);
        ends[which](socket);
        char bytes[8];
        if (which < 3)
            ck_assert_uint_eq(peer_receive(peer, bytes, 3), 3);
        ck_assert(which < 3 ? peer_saw_end(peer) : peer_saw_reset(peer));
        if (which != 2)
            berth_socket_free(socket);
        close(copy);
    }
}

CASE(copies_do_not_hide_the_end_by_the_peer, "0064", "nor that of an answer to the peer's end")
{
    real_kernel_only();
    struct host *host = host_listening("h");
    struct actor *actor = host_connect(host, "s", &peer);
    int copy = world_note(dup(berth_socket_descriptor(actor->socket)));
    peer_shutdown(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert(peer_saw_end(peer));
    close(copy);
}

CASE(copies_do_not_hide_unread_input, "0064 S3.35", "an abort with input in the kernel resets")
{
    real_kernel_only();
    struct host *host = host_listening("h");
    peer = world_connect(host->port);
    berth_socket *socket = host_take(host);
    int copy = world_note(dup(berth_socket_descriptor(socket)));
    peer_send_some(peer, "unread", 6);
    berth_socket_abort(socket);
    ck_assert(peer_saw_reset(peer));
    berth_socket_free(socket);
    close(copy);
}

CASE(copy_of_a_listener_goes_on, "0064", "closing a server ends no other holder's listening")
{
    real_kernel_only();
    struct host *host = host_listening("h");
    int copy = world_note(dup(berth_server_descriptor(host->server)));
    berth_server_close(host->server);
    world_settle();
    peer = world_connect_to(BERTH_ADDRESS_LOOPBACK, host->port);
    ck_assert_ptr_nonnull(peer);
    int taken = accept(copy, NULL, NULL);
    ck_assert_int_ge(taken, 0);
    close(taken);
    close(copy);
}

/* ---- options --------------------------------------------------------------------------------- */

CASE(linger_does_not_stop_the_loop, "0063 Q24",
     "seconds of SO_LINGER, however they got there, and a peer that does not read")
{
    real_kernel_only();
    static void (*const ends[])(berth_socket *) = {leave, go, go_freed};
    struct host *host = host_listening("h");
    uint8_t *bytes = scene_pattern(3 << 20, 8);
    uint64_t start = now();
    for (int which = 0; which < 6; which++) {
        int descriptor = world_stream_descriptor(&peer);
        berth_socket *socket = berth_socket_new(world_loop(), NULL, NULL);
        struct linger linger = {.l_onoff = 1, .l_linger = 20};
        ck_assert_ptr_nonnull(socket);
        if (which >= 3)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        ck_assert(berth_socket_set_descriptor(socket, descriptor));
        if (which < 3)
            ck_assert(berth_socket_set_option(socket, BERTH_OPTION_LINGER, 20));
        int seconds = 0;
        ck_assert(berth_socket_get_option(socket, BERTH_OPTION_LINGER, &seconds));
        ck_assert_int_eq(seconds, 20);
        berth_socket_write(socket, bytes, 3 << 20);
        berth_socket_flush(socket);
        ends[which % 3](socket);
        berth_loop_turn(world_loop(), 0);
        if (which % 3 != 2)
            berth_socket_free(socket);
        world_settle();
    }
    (void)host;
    ck_assert_uint_lt(now() - start, 10000);
    free(bytes);
}

static void set_seconds(int descriptor)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 20};
    ck_assert_int_eq(setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
}

static void set_seconds_of_incoming(berth_server *server, int descriptor, void *user)
{
    (void)user;
    set_seconds(descriptor);
    berth_server_base_incoming_connection(server, descriptor);
}

CASE(linger_by_a_descriptor, "0063 Q24",
     "set on the descriptor of a socket, of a listener, or in incoming_connection")
{
    real_kernel_only();
    static const berth_server_handlers plain = {0};
    static const berth_server_handlers setting = {.incoming_connection = set_seconds_of_incoming};
    uint8_t *bytes = scene_pattern(3 << 20, 8);
    uint64_t start = now();
    for (int which = 0; which < 3; which++) {
        berth_server *server = berth_server_new(world_loop(), which == 2 ? &setting : &plain, NULL);
        ck_assert_ptr_nonnull(server);
        ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
        if (which == 1)
            set_seconds(berth_server_descriptor(server));
        peer = world_connect_to(BERTH_ADDRESS_LOOPBACK, berth_server_port(server));
        UNTIL(berth_server_has_pending_connections(server));
        berth_socket *socket = berth_server_next_pending_connection(server);
        ck_assert_ptr_nonnull(socket);
        if (which == 0)
            set_seconds(berth_socket_descriptor(socket));
        int seconds = 0;
        ck_assert(berth_socket_get_option(socket, BERTH_OPTION_LINGER, &seconds));
        ck_assert_int_eq(seconds, 20);
        berth_socket_write(socket, bytes, 3 << 20);
        berth_socket_flush(socket);
        berth_socket_abort(socket);
        berth_loop_turn(world_loop(), 0);
        berth_server_free(server);
        world_settle();
    }
    ck_assert_uint_lt(now() - start, 10000);
    free(bytes);
}
