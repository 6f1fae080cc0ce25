/*
 * The end of a connection is the peer's to see, although a child holds a copy of its descriptor.
 */
#include "children.h"
#include "scene.h"
#include "soon.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>

/* Sends on, whatever it might read, until that fails. */
static void assert_is_stopped(int client)
{
    static const char bytes[65536];
    unsigned waits = 0;
    while (waits < PATIENCE * 100) {
        world_turn();
        ssize_t sent = send(client, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN)
            return;
        if (sent < 0) {
            usleep(10000);
            waits++;
        }
    }
    ck_assert_msg(false, "the peer may still send");
}

static void end_beside_a_child(bool speaks, bool answers)
{
    real_kernel_only();
    struct host *host = host_listening("h");
    int client = dial(host->port);
    struct actor *which = host_take_actor(host, "s");
    if (speaks) {
        say(client, "hello");
        UNTIL(actor_has(which, "hello"));
    }
    pid_t child = begin_holder(client);
    if (answers)
        actor_say(which, "bye");
    berth_socket_disconnect_from_host(which->socket);
    if (!speaks)
        UNTIL(which->disconnects == 1);
    assert_is_stopped(client);
    kill_child(child);
    close(client);
}

CASE(end_stops_a_peer_that_sends_on, "0064", "after a farewell, although a child has a copy")
{
    end_beside_a_child(true, true);
}

CASE(end_without_a_word_stops_a_peer, "0064", "likewise")
{
    end_beside_a_child(true, false);
}

CASE(end_stops_a_peer_that_begins_to_send, "0064", "likewise, when all that was sent has left")
{
    end_beside_a_child(false, true);
}

/* ---- while the process is being forked ---------------------------------------------------------
 */

static berth_loop *elsewhere;
static atomic_bool listens;
static int leaving = -1; /* a client that leaves while the process is being forked */
static atomic_bool served;
static atomic_bool left;

static void leave_while_forking(void)
{
    if (leaving < 0)
        return;
    shutdown(leaving, SHUT_WR);
    for (unsigned waits = 0; !atomic_load(&left) && waits < PATIENCE * 100; waits++)
        usleep(10000);
}

/* Before any loop is made, so that it is called before the library hears that the fork is over. */
__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(NULL, leave_while_forking, NULL);
}

static void note_left(berth_socket *socket, void *user)
{
    berth_socket_free_in_handler(socket, user);
    atomic_store(&left, true);
}

static void serve(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers_of_it = {.disconnected = note_left};
    (void)user;
    berth_socket_set_handlers(berth_server_next_pending_connection(server), &handlers_of_it, NULL);
    atomic_store(&served, true);
}

static const berth_server_handlers *serving;
static pthread_t thread;

static void *serve_elsewhere(void *user)
{
    berth_loop *loop = berth_loop_new(NULL);
    berth_server *server = berth_server_new(loop, serving, NULL);
    berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0);
    *(uint16_t *)user = berth_server_port(server);
    elsewhere = loop;
    atomic_store(&listens, true);
    berth_loop_run(loop);
    berth_loop_free(loop);
    return NULL;
}

/* Has a server in another thread, and is its client. */
static int dial_elsewhere(const berth_server_handlers *handlers)
{
    uint16_t port;
    serving = handlers;
    ck_assert_int_eq(pthread_create(&thread, NULL, serve_elsewhere, &port), 0);
    SOON(atomic_load(&listens));
    return dial(port);
}

static void leave_elsewhere(int client, pid_t child)
{
    close(client);
    kill_child(child);
    berth_loop_stop(elsewhere, 0);
    pthread_join(thread, NULL);
}

CASE(peer_leaves_while_another_thread_forks, "0064",
     "it sees the end, although the child has got a copy just before")
{
    static const berth_server_handlers handlers_of_it = {.new_connection = serve};
    real_kernel_only();
    int client = dial_elsewhere(&handlers_of_it);
    SOON(atomic_load(&served));
    leaving = client;
    pid_t child = begin_holder(client);
    leaving = -1;
    char byte;
    ck_assert(atomic_load(&left));
    ck_assert_int_eq(receive(client, &byte, 1), 0);
    leave_elsewhere(client, child);
}

static berth_socket *half_open; /* its peer has ended its direction */
static atomic_bool heard_end;
static atomic_bool was_closed;
static atomic_bool was_forked;

static void note_end(berth_socket *socket, void *user)
{
    (void)user;
    half_open = socket;
    atomic_store(&heard_end, true);
}

static void serve_half_open(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers_of_it = {.read_channel_finished = note_end};
    (void)user;
    berth_socket *socket = berth_server_next_pending_connection(server);
    berth_socket_set_half_close(socket, true);
    berth_socket_set_handlers(socket, &handlers_of_it, NULL);
}

/* In the other thread: the end, and a fork before its turn is over. */
static void close_before_a_fork(void *user)
{
    (void)user;
    berth_socket_disconnect_from_host(half_open);
    atomic_store(&was_closed, true);
    for (unsigned waits = 0; !atomic_load(&was_forked) && waits < PATIENCE * 100; waits++)
        usleep(10000);
}

CASE(connection_ends_just_before_another_thread_forks, "0064",
     "its peer sees the end, although the descriptor is closed at the end of the turn only")
{
    static const berth_server_handlers handlers_of_it = {.new_connection = serve_half_open};
    real_kernel_only();
    int client = dial_elsewhere(&handlers_of_it);
    shutdown(client, SHUT_WR);
    SOON(atomic_load(&heard_end));
    ck_assert(berth_loop_post(elsewhere, close_before_a_fork, NULL));
    SOON(atomic_load(&was_closed));
    pid_t child = begin_holder(client);
    atomic_store(&was_forked, true);
    char byte;
    ck_assert_int_eq(receive(client, &byte, 1), 0);
    leave_elsewhere(client, child);
}
