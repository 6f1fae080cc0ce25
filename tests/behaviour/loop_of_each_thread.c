/*
 * NULL for the loop: each thread's own, made on first use, freed when the thread ends.
 */
#include "scene.h"

#include <pthread.h>

static void in_thread(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, function, argument), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

static const char *failure;

/* Check cannot jump out of another thread: what fails is noted, and judged in the first one. */
#define MUST(condition)                      \
    do {                                     \
        if (!(condition) && failure == NULL) \
            failure = #condition;            \
    } while (0)

static void *talk_to_oneself(void *user)
{
    (void)user;
    berth_server *server = berth_server_new(NULL, NULL, NULL);
    MUST(server != NULL);
    MUST(berth_server_loop(server) == berth_loop_current());
    MUST(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    berth_socket *client = berth_socket_new(NULL, NULL, NULL);
    MUST(
        berth_socket_connect_to_address(client, BERTH_ADDRESS_LOOPBACK, berth_server_port(server)));
    MUST(berth_socket_wait_for_connected(client, 5000));
    MUST(berth_server_wait_for_new_connection(server, 5000, NULL));
    berth_socket *socket = berth_server_next_pending_connection(server);
    MUST(socket != NULL);
    MUST(berth_socket_write(client, "hello", 5) == 5);
    MUST(berth_socket_wait_for_bytes_written(client, 5000));
    MUST(berth_socket_wait_for_ready_read(socket, 5000));
    MUST(berth_socket_bytes_available(socket) > 0);
    berth_timer *timer = berth_timer_new(NULL, NULL, NULL);
    berth_timer_start(timer, 1000, 0);
    berth_loop_turn(NULL, 0);
    return NULL;
}

CASE(thread_has_its_own_loop, "S4.9 S5.9",
     "made on first use, and freed with all its objects when the thread ends")
{
    for (int i = 0; i < 3; i++)
        in_thread(talk_to_oneself, NULL);
    ck_assert_msg(failure == NULL, "%s", failure);
}

static void *remember_loop(void *ret_loop)
{
    *(berth_loop **)ret_loop = berth_loop_current();
    MUST(berth_loop_current() == *(berth_loop **)ret_loop);
    MUST(berth_loop_backend_name(NULL) != NULL);
    return NULL;
}

static void *nothing(void *user)
{
    return user;
}

CASE(loop_of_a_thread_is_stable, "loop.h",
     "the same loop on each call; a thread that asks for none has none")
{
    berth_loop *loop = NULL;
    in_thread(remember_loop, &loop);
    ck_assert_ptr_nonnull(loop);
    in_thread(nothing, NULL);
    ck_assert_msg(failure == NULL, "%s", failure);
}

static void *free_own_loop(void *user)
{
    (void)user;
    berth_server *server = berth_server_new(NULL, NULL, NULL);
    MUST(server != NULL);
    MUST(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    berth_loop_free(berth_loop_current());
    server = berth_server_new(NULL, NULL, NULL);
    MUST(server != NULL);
    MUST(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    return NULL;
}

CASE(own_loop_is_freed_by_hand, "loop.h", "then the next use makes another one")
{
    in_thread(free_own_loop, NULL);
    ck_assert_msg(failure == NULL, "%s", failure);
}

struct handed {
    int descriptor;
    bool heard;
};

static void *serve_handed(void *user)
{
    struct handed *handed = user;
    berth_socket *socket = berth_socket_new(NULL, NULL, NULL);
    MUST(berth_socket_set_descriptor(socket, handed->descriptor));
    MUST(berth_socket_wait_for_ready_read(socket, 5000));
    char byte = 0;
    MUST(berth_socket_read(socket, &byte, 1) == 1);
    handed->heard = byte == '?';
    MUST(berth_socket_write(socket, "!", 1) == 1);
    berth_socket_disconnect_from_host(socket);
    MUST(berth_socket_wait_for_disconnected(socket, 5000));
    return NULL;
}

static struct handed handed = {.descriptor = -1};

static void hand_over(berth_server *server, int descriptor, void *user)
{
    (void)server;
    (void)user;
    handed.descriptor = descriptor;
}

CASE(descriptor_is_handed_to_a_thread, "S5.7", "accepted here, adopted and served there")
{
    if (world_is_simulated())
        case_skip("each loop has a kernel of its own there");
    static const berth_server_handlers handlers = {.incoming_connection = hand_over};
    berth_server *server = berth_server_new(world_loop(), &handlers, NULL);
    ck_assert_ptr_nonnull(server);
    ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    struct peer *peer = world_connect(berth_server_port(server));
    UNTIL(handed.descriptor >= 0);
    peer_say(peer, "?");
    in_thread(serve_handed, &handed);
    ck_assert_msg(failure == NULL, "%s", failure);
    ck_assert(handed.heard);
    ck_assert(peer_hears(peer, "!"));
    ck_assert(peer_saw_end(peer));
}
