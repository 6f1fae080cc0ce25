/*
 * A program without standard input: its number, 0, is that of whatever is opened next, and as good
 * as any other.
 *
 * Each case closes the input, has the library open something, and sees that it has the number, that
 * it serves, and that the number is free again at the end.
 */
#include "children.h"
#include "handover_talk.h"
#include "name_server.h"
#include "scene.h"

#include <berth/local.h>

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int input;

/* From here on the next descriptor is 0. */
static void lose_input(void)
{
    if (world_is_simulated())
        case_skip("its descriptors are no numbers of the process");
    if (world_is_impatient()) /* the walk through faults: a case that ends early leaves the number
                               */
        case_skip("whatever is opened next would have the number");
    input = world_note(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0));
    ck_assert_int_eq(close(STDIN_FILENO), 0);
}

/* What had its number is to be closed now. */
static void find_input(void)
{
    UNTIL(!world_is_open(STDIN_FILENO));
    ck_assert_int_eq(dup2(input, STDIN_FILENO), STDIN_FILENO);
    close(input);
}

/* The connection of the number 0 has names, options and bytes, and ends. */
static void talk(struct actor *actor, struct peer *peer)
{
    int value = 0;
    ck_assert_int_eq(berth_socket_descriptor(actor->socket), STDIN_FILENO);
    ck_assert_uint_eq(berth_socket_peer_port(actor->socket), peer_port(peer));
    ck_assert_uint_eq(berth_socket_transport_peer_port(actor->socket), peer_port(peer));
    ck_assert(berth_address_is_loopback(berth_socket_local_address(actor->socket)));
    ck_assert(berth_socket_set_option(actor->socket, BERTH_OPTION_KEEP_ALIVE, 1));
    ck_assert(berth_socket_get_option(actor->socket, BERTH_OPTION_KEEP_ALIVE, &value));
    ck_assert_int_eq(value, 1);
    peer_say(peer, "hello");
    UNTIL(actor_has(actor, "hello"));
    actor_say(actor, "welcome");
    ck_assert(peer_hears(peer, "welcome"));
}

static void end(struct actor *actor, struct peer *peer)
{
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert(peer_saw_end(peer));
    peer_close(peer);
    UNTIL(actor->disconnects == 1);
    find_input();
}

static struct host *host;

/* An accepted connection of the number 0. */
static struct actor *accept_one(struct peer **ret_peer)
{
    host = host_listening("h");
    *ret_peer = world_connect(host->port);
    lose_input();
    return host_take_actor(host, "s");
}

CASE(accepted_without_input, "S2.1", "a connection of a server")
{
    struct peer *peer;
    struct actor *actor = accept_one(&peer);
    talk(actor, peer);
    berth_server_counts counts;
    berth_server_statistics(host->server, &counts);
    scene_assert_balance(&counts);
    ck_assert_uint_eq(counts.added, 0);
    end(actor, peer);
}

CASE(released_without_input, "S3.6", "a connection that the program takes back")
{
    struct peer *peer;
    struct actor *actor = accept_one(&peer);
    ck_assert_int_eq(berth_socket_release(actor->socket), STDIN_FILENO);
    ck_assert_str_eq(berth_socket_error_string(actor->socket), "");
    peer_say(peer, "hello");
    peer_close(peer);
    world_settle();
    ck_assert(hears(STDIN_FILENO, "hello"));
    world_close_descriptor(STDIN_FILENO);
    find_input();
}

CASE(closed_without_input, "S2.1", "a server is closed, and what waits in its queue with it")
{
    host = host_listening("h");
    world_connect(host->port);
    lose_input();
    UNTIL(host->new_connections == 1);
    ck_assert(world_is_open(STDIN_FILENO));
    berth_server_close(host->server);
    find_input();
}

CASE(aborted_without_input, "S3.16", "or freed: closed at once")
{
    struct peer *peer;
    struct actor *actor = accept_one(&peer);
    berth_socket_abort(actor->socket);
    ck_assert(peer_saw_either(peer));
    find_input();
}

CASE(connected_without_input, "S3.1", "a connection of a client")
{
    uint16_t port = world_listen(1);
    struct actor *actor = actor_new("c");
    lose_input();
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    UNTIL(actor->connects == 1);
    struct peer *peer = world_accept(port);
    talk(actor, peer);
    end(actor, peer);
}

CASE(refused_without_input, "S3.1", "an attempt that fails, and one that is given up")
{
    struct actor *actor = actor_new("c");
    uint16_t free_port = world_free_port();
    uint16_t port = world_listen(1);
    lose_input();
    berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, free_port);
    UNTIL(actor->errors == 1);
    UNTIL(!world_is_open(STDIN_FILENO));
    berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port);
    berth_socket_abort(actor->socket);
    find_input();
}

CASE(bound_without_input, "S3.14 S3.17", "a port that is chosen when somebody asks for it")
{
    uint16_t port = world_listen(1);
    struct actor *actor = actor_new("c");
    world_settle();
    lose_input();
    ck_assert(berth_socket_bind(actor->socket, BERTH_ADDRESS_LOOPBACK, 0));
    uint16_t chosen = berth_socket_local_port(actor->socket);
    ck_assert_uint_ne(chosen, 0);
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    UNTIL(actor->connects == 1);
    ck_assert_uint_eq(berth_socket_local_port(actor->socket), chosen);
    struct peer *peer = world_accept(port);
    talk(actor, peer);
    end(actor, peer);
}

CASE(bound_socket_with_the_number_of_the_input, "S3.14",
     "is closed like others when a connect fails")
{
    berth_address elsewhere;
    ck_assert(berth_address_parse("192.0.2.1", &elsewhere));
    struct actor *actor = actor_new("c");
    world_settle();
    lose_input();
    ck_assert(berth_socket_bind(actor->socket, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert_int_eq(berth_socket_descriptor(actor->socket), STDIN_FILENO);
    berth_socket_connect_to_address(actor->socket, elsewhere, 80);
    UNTIL(actor->errors > 0);
    find_input();
    actor_free_socket(actor);
}

CASE(name_without_input, "S3.13", "names that are looked up: one that is found, one that is not")
{
    static const struct name_entry table[] = {{.name = "one.test", .four = {"127.0.0.1"}},
                                              {.name = NULL}};
    if (world_is_simulated())
        case_skip("its descriptors are no numbers of the process");
    name_server_start(table);
    uint16_t port = world_listen(1);
    struct actor *actor = actor_new("c");
    world_settle();
    lose_input();
    berth_socket_connect_to_host(actor->socket, "no.test", port);
    UNTIL(actor->errors == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_HOST_NOT_FOUND);
    berth_socket_connect_to_host(actor->socket, "one.test", port);
    UNTIL(actor->connects == 1);
    struct peer *peer = world_accept(port);
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert(peer_saw_end(peer));
    peer_close(peer);
    UNTIL(actor->disconnects == 1);
    berth_socket_free(actor->socket);
    world_free_loop(); /* with what it keeps of the lookup */
    ck_assert(!world_is_open(STDIN_FILENO));
    find_input();
    name_server_stop();
}

static void through(struct actor *actor, uint16_t port)
{
    berth_proxy proxy = {.type = BERTH_PROXY_SOCKS5, .host = "127.0.0.1", .port = port};
    ck_assert(berth_socket_set_proxy(actor->socket, &proxy));
    ck_assert(berth_socket_connect_to_address(actor->socket, berth_address_ipv4(0xc0000201), 80));
}

CASE(proxy_without_input, "S6.21", "a connection to a proxy that serves, refuses, or is left")
{
    uint16_t port = world_listen(3);
    struct actor *actor = actor_new("c");
    char request[10];
    lose_input();
    for (int way = 0; way < 3; way++) {
        through(actor, port);
        struct peer *proxy = world_accept(port);
        ck_assert_uint_eq(peer_receive(proxy, request, 3), 3);
        ck_assert(world_is_open(STDIN_FILENO));
        if (way == 0) {
            peer_send(proxy, "\5\377", 2);
            UNTIL(actor->errors == 1);
        } else if (way == 1) {
            berth_socket_abort(actor->socket);
        } else {
            peer_send(proxy, "\5\0", 2);
            ck_assert_uint_eq(peer_receive(proxy, request, 10), 10);
            peer_send(proxy, "\5\0\0\1\12\0\0\1\0\1", 10);
            UNTIL(actor->connects == 1);
            peer_say(proxy, "hello");
            UNTIL(actor_has(actor, "hello"));
            berth_socket_disconnect_from_host(actor->socket);
        }
        ck_assert(peer_saw_either(proxy));
        peer_close(proxy);
        UNTIL(!world_is_open(STDIN_FILENO));
    }
    find_input();
}

CASE(listening_without_input, "S1.7", "a server, which also ends when it is closed")
{
    host = host_new("h");
    world_settle();
    lose_input();
    host_listen(host);
    ck_assert_int_eq(berth_server_descriptor(host->server), STDIN_FILENO);
    ck_assert(berth_address_is_loopback(berth_server_address(host->server)));
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    peer_say(peer, "hello");
    UNTIL(actor_has(actor, "hello"));
    berth_server_close(host->server);
    find_input();
}

CASE(path_without_input, "local.h", "the lock beside the path of a server is the first it opens")
{
    const berth_local_options options = {.replace_stale = true};
    const char *path = world_path("a");
    host = host_new("h");
    struct host *other = host_new("o");
    world_settle();
    lose_input();
    for (int i = 0; i < 2; i++) { /* a new file, and one that is there */
        ck_assert(berth_server_listen_local(host->server, path, &options));
        (void)world_connect_local(path);
        struct actor *actor = host_take_actor(host, "s");
        berth_socket_free(actor->socket);
        ck_assert(!berth_server_listen_local(other->server, path, &options));
        berth_server_close(host->server);
        UNTIL(!world_is_open(STDIN_FILENO));
        world_put_file(path, WORLD_SOCKET);
    }
    find_input();
}

CASE(client_of_a_path_without_input, "local.h", "a connection to a path, and who is there")
{
    const char *path = world_path("a");
    berth_credentials found;
    host = host_new("h");
    struct actor *client = actor_new("c");
    ck_assert(berth_server_listen_local(host->server, path, NULL));
    world_settle();
    lose_input();
    ck_assert(berth_socket_connect_to_local(client->socket, path));
    UNTIL(client->connects == 1);
    ck_assert_int_eq(berth_socket_descriptor(client->socket), STDIN_FILENO);
    ck_assert(berth_socket_peer_credentials(client->socket, &found));
    ck_assert_int_eq(found.pid, getpid());
    struct actor *actor = host_take_actor(host, "s");
    actor_say(actor, "hello");
    UNTIL(actor_has(client, "hello"));
    berth_socket_abort(client->socket);
    find_input();
}

CASE(adopted_without_input, "S3.5 S1.59", "what a program passes by the number 0, as inetd does")
{
    uint16_t port;
    struct peer *peer;
    host = host_new("h");
    struct actor *actor = actor_new("s");
    world_settle();
    lose_input();
    ck_assert_int_eq(world_listener_descriptor(&port), STDIN_FILENO);
    ck_assert(berth_server_set_descriptor(host->server, STDIN_FILENO));
    ck_assert_int_eq(berth_server_descriptor(host->server), STDIN_FILENO);
    ck_assert_uint_eq(berth_server_port(host->server), port);
    world_connect(port);
    UNTIL(host->new_connections == 1);
    berth_server_close(host->server);
    UNTIL(!world_is_open(STDIN_FILENO));
    int stream = world_stream_descriptor(&peer);
    ck_assert_int_eq(dup2(stream, STDIN_FILENO), STDIN_FILENO);
    world_close_descriptor(stream);
    ck_assert(berth_socket_set_descriptor(actor->socket, STDIN_FILENO));
    talk(actor, peer);
    end(actor, peer);
}

CASE(reserve_without_input, "reliability 1",
     "the descriptor that a server holds back to refuse with, and the next one")
{
    uint16_t port;
    static const berth_accept_limits limits = {.shed = true};
    host = host_new("h");
    berth_server_set_accept_limits(host->server, &limits);
    int listener = world_listener_descriptor(&port);
    world_settle();
    lose_input();
    ck_assert(berth_server_set_descriptor(host->server, listener));
    ck_assert(world_is_open(STDIN_FILENO));
    for (unsigned i = 1; i <= 2; i++) {
        struct peer *peer = world_connect(port);
        world_exhaust(0);
        UNTIL(host->accept_errors == i);
        ck_assert(peer_saw_either(peer));
        world_relieve();
        struct peer *next = world_connect(port);
        UNTIL(host->new_connections == i);
        ck_assert(world_is_open(STDIN_FILENO));
        peer_close(next);
        peer_close(peer);
    }
    berth_server_close(host->server);
    find_input();
}

static unsigned fired;

static void count(berth_watch *watch, unsigned events, void *user)
{
    (void)watch;
    (void)user;
    fired += events == BERTH_WATCH_READ;
}

CASE(watched_without_input, "watch.h", "a descriptor of somebody else that is watched")
{
    world_loop();
    world_settle();
    lose_input();
    ck_assert_int_eq(world_event_descriptor(), STDIN_FILENO);
    berth_watch *watch = berth_watch_new(world_loop(), STDIN_FILENO, count, NULL);
    ck_assert_ptr_nonnull(watch);
    ck_assert_int_eq(berth_watch_descriptor(watch), STDIN_FILENO);
    ck_assert(berth_watch_start(watch, BERTH_WATCH_READ));
    world_settle();
    ck_assert_uint_eq(fired, 0);
    world_raise(STDIN_FILENO, BERTH_WATCH_READ);
    UNTIL(fired == 3);
    berth_watch_free(watch);
    world_settle();
    ck_assert(world_is_open(STDIN_FILENO));
    world_close_descriptor(STDIN_FILENO);
    find_input();
}

CASE(copy_without_input, "watch.h", "the copy that the library makes of what is watched")
{
    world_loop();
    int event = world_event_descriptor();
    world_settle();
    lose_input();
    berth_watch *watch = berth_watch_new(world_loop(), event, count, NULL);
    ck_assert_ptr_nonnull(watch);
    ck_assert(!world_is_open(STDIN_FILENO));
    ck_assert(berth_watch_start(watch, BERTH_WATCH_READ));
    world_raise(event, BERTH_WATCH_READ);
    UNTIL(fired == 3);
    berth_watch_free(watch);
    world_close_descriptor(event);
    find_input();
}

/* A file of five bytes, without a name. */
static int hello_file(void)
{
    int file = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(write(file, "hello", 5), 5);
    return file;
}

CASE(file_without_input, "socket.h", "a file that is sent, and the copy of its descriptor")
{
    struct peer *peer;
    host = host_listening("h");
    struct actor *actor = host_connect(host, "s", &peer);
    int other = world_note(hello_file());
    lose_input();
    ck_assert_int_eq(hello_file(), STDIN_FILENO);
    ck_assert_int_eq(berth_socket_write_file(actor->socket, STDIN_FILENO, 0, SIZE_MAX), 5);
    ck_assert(peer_hears(peer, "hello"));
    close(STDIN_FILENO);
    world_settle();
    ck_assert_int_eq(berth_socket_write_file(actor->socket, other, 0, SIZE_MAX), 5);
    ck_assert(world_is_open(STDIN_FILENO));
    close(other);
    ck_assert(peer_hears(peer, "hello"));
    find_input();
}

static berth_handover *offer(void)
{
    berth_handover *handover = berth_handover_offer(world_loop(), talk_place(), NULL, NULL);
    ck_assert_ptr_nonnull(handover);
    return handover;
}

/* A successor that asks, leaves, and comes again; there is no second one at a time. */
static void take_twice(void)
{
    char nothing;
    for (int i = 0; i < 2; i++) {
        int successor = world_note(talk_connect(talk_place()));
        ck_assert_int_ge(successor, 0);
        ck_assert(talk_say(successor, BERTH__MESSAGE_HELLO));
        UNTIL(recv(successor, &nothing, 1, MSG_PEEK | MSG_DONTWAIT) == 1);
        ck_assert(talk_hears(successor, BERTH__MESSAGE_CONTENTS, NULL));
        int other = world_note(talk_connect(talk_place()));
        UNTIL(recv(other, &nothing, 1, MSG_PEEK | MSG_DONTWAIT) == 1);
        ck_assert(talk_hears(other, BERTH__MESSAGE_REFUSED, NULL));
        close(other);
        close(successor);
        world_settle();
    }
}

CASE(inherited_without_input, "0103", "a listener that another process has passed")
{
    uint16_t port;
    host = host_new("h");
    world_settle();
    lose_input();
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(world_listener_descriptor(&port), STDIN_FILENO);
        berth__batch *batch = berth__batch_new(1);
        ck_assert_ptr_nonnull(batch);
        berth__batch_set(batch, 0, STDIN_FILENO, "a", 1);
        berth__batch_add(batch);
        ck_assert_uint_eq(berth_inherited_left("a"), 1);
        if (i == 0) {
            ck_assert(berth_server_listen_inherited(host->server, "a"));
            ck_assert_int_eq(berth_server_descriptor(host->server), STDIN_FILENO);
            ck_assert_uint_eq(berth_inherited_left("a"), 0);
            ck_assert_int_eq(berth_inherited_take("a"), -1);
            ck_assert(!berth_server_listen_inherited(host_new("o")->server, "a"));
            berth_server_close(host->server);
        }
        berth__inherited_forget();
        UNTIL(!world_is_open(STDIN_FILENO));
    }
    find_input();
}

/* What is offered, by hand; the child has the listener of the other side. */
static void serve_successor(int listener)
{
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    MUST(connection >= 0);
    berth__head head = berth__handover_head(BERTH__MESSAGE_CONTENTS);
    MUST(talk_hears(connection, BERTH__MESSAGE_HELLO, NULL));
    MUST(talk_send(connection, &head, sizeof head));
    MUST(talk_hears(connection, BERTH__MESSAGE_READY, NULL));
    MUST(talk_say(connection, BERTH__MESSAGE_DONE));
    MUST(talk_ends(connection));
    _exit(0);
}

CASE(taking_without_input, "0104", "the connection to a process that hands over")
{
    char text[200] = "";
    real_kernel_only();
    int listener = world_note(talk_listen(talk_place()));
    pid_t child = begin_child();
    if (child == 0)
        serve_successor(listener);
    close(listener);
    lose_input();
    berth_inheritance *taken =
        berth_handover_take(talk_place(), PATIENCE * 1000, text, sizeof text);
    ck_assert_msg(taken != NULL, "%s", text);
    bool has_number = world_is_open(STDIN_FILENO);
    bool ready = berth_handover_ready(taken);
    berth_inheritance_free(taken);
    ck_assert(has_number);
    ck_assert(ready);
    end_child(child);
    find_input();
}

CASE(offer_without_input, "0104", "the place of an offer, and the connection of a successor")
{
    char nothing;
    world_loop();
    world_settle();
    lose_input();
    berth_handover *handover = offer();
    ck_assert(world_is_open(STDIN_FILENO));
    struct host *listening = host_listening("h");
    ck_assert(berth_handover_add(handover, "a", listening->server));
    take_twice();
    berth_handover_free(handover);
    world_settle();
    ck_assert(!world_is_open(STDIN_FILENO));
    int kept = dup2(input, STDIN_FILENO);
    handover = offer();
    int successor = world_note(talk_connect(talk_place()));
    close(kept);
    UNTIL(world_is_open(STDIN_FILENO));
    ck_assert(talk_say(successor, BERTH__MESSAGE_HELLO));
    UNTIL(recv(successor, &nothing, 1, MSG_PEEK | MSG_DONTWAIT) == 1);
    ck_assert(talk_hears(successor, BERTH__MESSAGE_CONTENTS, NULL));
    int other = world_note(talk_connect(talk_place()));
    UNTIL(recv(other, &nothing, 1, MSG_PEEK | MSG_DONTWAIT) == 1);
    ck_assert(talk_hears(other, BERTH__MESSAGE_REFUSED, NULL));
    close(other);
    close(successor);
    UNTIL(!world_is_open(STDIN_FILENO));
    take_twice();
    berth_handover_free(handover);
    find_input();
}
