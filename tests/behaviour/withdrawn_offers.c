/*
 * A process that ends, its offer, its server or both, while a successor has everything and is not
 * ready yet. The successor is told to go only if the old process goes on to serve; else nobody
 * would. The file of a Unix socket stays as long as the successor may listen on it.
 */
#include "children.h"
#include "handover_talk.h"
#include "scene.h"

#include <berth/local.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static struct {
    berth_handover *handover;
    int words[2]; /* to the successor */
    pid_t child;
} seen;

static struct host *offer_host(void)
{
    real_kernel_only();
    struct host *host = host_listening("h");
    seen.handover = berth_handover_offer(world_loop(), talk_place(), NULL, NULL);
    ck_assert_ptr_nonnull(seen.handover);
    ck_assert(berth_handover_add(seen.handover, "http", host->server));
    return host;
}

/* In the child: takes everything, is ready after a word, and then serves one if it is wanted. */
static void be_successor(bool wanted)
{
    berth_inheritance *inheritance = berth_handover_take(talk_place(), PATIENCE * 1000, NULL, 0);
    MUST(inheritance != NULL);
    berth_loop *loop = berth_loop_new(NULL);
    berth_server *server = berth_server_new(loop, NULL, NULL);
    MUST(berth_server_listen_inherited(server, "http"));
    char word;
    MUST(read(seen.words[0], &word, 1) == 1);
    MUST(berth_handover_ready(inheritance) == wanted);
    MUST((berth_inheritance_error_string(inheritance)[0] == '\0') == wanted);
    berth_inheritance_free(inheritance);
    if (wanted) {
        MUST(berth_server_wait_for_new_connection(server, PATIENCE * 1000, NULL));
        berth_socket *socket = berth_server_next_pending_connection(server);
        berth_socket_write(socket, "new", 3);
        berth_socket_disconnect_from_host(socket);
        MUST(berth_socket_wait_for_disconnected(socket, PATIENCE * 1000));
    }
    berth_loop_free(loop);
}

/* Until it has taken everything. */
static void begin_successor(berth_loop *loop, bool wanted)
{
    begin_pipe(seen.words);
    seen.child = begin_child();
    if (seen.child == 0) {
        be_successor(wanted);
        _exit(0);
    }
    for (int turns = 0; turns < WORLD_TURNS; turns++) {
        if (berth_handover_current_state(seen.handover) == BERTH_HANDOVER_TAKEN)
            return;
        berth_loop_turn(loop, 5);
    }
    ck_abort_msg("the successor has not taken everything");
}

static void let_successor_be_ready(void)
{
    ck_assert_int_eq(write(seen.words[1], "w", 1), 1);
    close(seen.words[0]);
    close(seen.words[1]);
}

static void assert_successor_serves(uint16_t port)
{
    let_successor_be_ready();
    int client = dial(port);
    ck_assert(hears(client, "new"));
    close(client);
    end_child(seen.child);
}

CASE(offer_withdrawn_while_serving, "0104", "the successor is not wanted; the old one serves on")
{
    struct host *host = offer_host();
    begin_successor(world_loop(), false);
    berth_handover_free(seen.handover);
    let_successor_be_ready();
    end_child(seen.child);
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    peer_say(peer, "hello");
    UNTIL(actor_has(actor, "hello"));
    peer_close(peer);
}

CASE(offer_freed_after_a_drain, "0104", "nobody else serves, so the successor is ready")
{
    struct host *host = offer_host();
    begin_successor(world_loop(), true);
    ck_assert(berth_server_drain(host->server, NULL));
    UNTIL(berth_server_drain_state(host->server) == BERTH_DRAIN_EMPTY);
    berth_handover_free(seen.handover);
    assert_successor_serves(host->port);
}

CASE(offer_freed_in_the_grace, "0104", "who drains does not go on, though it still listens")
{
    static const berth_drain plan = {.grace = 60000};
    struct host *host = offer_host();
    begin_successor(world_loop(), true);
    ck_assert(berth_server_drain(host->server, &plan));
    ck_assert(berth_server_is_listening(host->server));
    berth_handover_free(seen.handover);
    berth_server_close(host->server);
    assert_successor_serves(host->port);
}

CASE(offer_freed_with_its_loop, "0104", "its servers end with it, so the successor is ready")
{
    real_kernel_only();
    berth_loop *loop = world_second_loop();
    berth_server *server = berth_server_new(loop, NULL, NULL);
    ck_assert_ptr_nonnull(server);
    ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    uint16_t port = berth_server_port(server);
    seen.handover = berth_handover_offer(loop, talk_place(), NULL, NULL);
    ck_assert_ptr_nonnull(seen.handover);
    ck_assert(berth_handover_add(seen.handover, "http", server));
    begin_successor(loop, true);
    world_free_second_loop();
    assert_successor_serves(port);
}

/* ---- files of Unix sockets ------------------------------------------------------------------- */

static struct host *offer_local_host(const char *path)
{
    real_kernel_only();
    struct host *host = host_new("h");
    ck_assert(berth_server_listen_local(host->server, path, NULL));
    seen.handover = berth_handover_offer(world_loop(), talk_place(), NULL, NULL);
    ck_assert_ptr_nonnull(seen.handover);
    ck_assert(berth_handover_add(seen.handover, "http", host->server));
    return host;
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* A successor by hand that does not listen; it has everything. */
static int take_all(void)
{
    int connection = world_note(talk_connect(talk_place()));
    ck_assert(talk_say(connection, BERTH__MESSAGE_HELLO));
    ck_assert(talk_say(connection, BERTH__MESSAGE_NEXT));
    UNTIL(berth_handover_current_state(seen.handover) == BERTH_HANDOVER_TAKEN);
    return connection;
}

CASE(unix_socket_is_drained_before_the_successor_is_ready, "0104",
     "its file stays, and the successor is reached through it")
{
    const char *path = world_path("a");
    struct host *host = offer_local_host(path);
    begin_successor(world_loop(), true);
    ck_assert(berth_server_drain(host->server, NULL));
    UNTIL(berth_server_drain_state(host->server) == BERTH_DRAIN_EMPTY);
    berth_handover_free(seen.handover);
    let_successor_be_ready();
    struct peer *peer = world_connect_local(path);
    ck_assert(peer_hears(peer, "new"));
    peer_close(peer);
    end_child(seen.child);
    ck_assert_int_eq(unlink(path), 0);
}

CASE(unix_socket_of_a_successor_that_fails, "0104", "its file is the old process's alone again")
{
    const char *path = world_path("a");
    struct host *host = offer_local_host(path);
    close(take_all());
    UNTIL(berth_handover_current_state(seen.handover) == BERTH_HANDOVER_OFFERED);
    berth_server_close(host->server);
    ck_assert(!is_there(path));
}

CASE(unix_socket_of_a_withdrawn_offer, "0104", "its file is the old process's alone again")
{
    const char *path = world_path("a");
    struct host *host = offer_local_host(path);
    int connection = take_all();
    berth_handover_free(seen.handover);
    berth_server_close(host->server);
    ck_assert(!is_there(path));
    close(connection);
}

CASE(unix_socket_that_came_too_late, "0104", "the successor does not have it, so its file goes")
{
    const char *path = world_path("a");
    const char *second = world_path("b");
    struct host *host = offer_local_host(path);
    struct host *late = host_new("l");
    int connection = take_all();
    ck_assert(berth_server_listen_local(late->server, second, NULL));
    ck_assert(berth_handover_add(seen.handover, "late", late->server));
    ck_assert(talk_say(connection, BERTH__MESSAGE_READY));
    UNTIL(berth_handover_current_state(seen.handover) == BERTH_HANDOVER_SUCCEEDED);
    berth_server_close(host->server);
    berth_server_close(late->server);
    ck_assert(is_there(path) && !is_there(second));
    close(connection);
    ck_assert_int_eq(unlink(path), 0);
}

/* ---- the file of an offer ----------------------------------------------------------------------
 */

static const char *offer_at_a_path(void)
{
    real_kernel_only();
    const char *path = world_path("o");
    seen.handover = berth_handover_offer(world_loop(), path, NULL, NULL);
    ck_assert_ptr_nonnull(seen.handover);
    return path;
}

static void free_copy(void)
{
    berth_handover_free(seen.handover);
}

static void free_copy_taken_over(void)
{
    MUST(berth_loop_after_fork(world_loop()));
    berth_handover_free(seen.handover);
}

static void free_loop_of_copy(void)
{
    berth_loop_free(world_loop());
}

CASE(children_leave_the_file_of_an_offer, "0104 reliability 23",
     "free their copies or the loop, or take the loop over")
{
    const char *path = offer_at_a_path();
    have_child(free_copy);
    have_child(free_copy_taken_over);
    have_child(free_loop_of_copy);
    ck_assert(is_there(path));
    close(talk_connect(path)); /* and somebody answers there */
    berth_handover_free(seen.handover);
    ck_assert(!is_there(path));
}

CASE(unix_socket_freed_while_a_successor_takes, "0104",
     "it has not got everything, so the file goes with the loop")
{
    real_kernel_only();
    const char *path = world_path("a");
    berth_loop *loop = world_second_loop();
    berth_server *server = berth_server_new(loop, NULL, NULL);
    ck_assert(server != NULL && berth_server_listen_local(server, path, NULL));
    seen.handover = berth_handover_offer(loop, talk_place(), NULL, NULL);
    ck_assert_ptr_nonnull(seen.handover);
    ck_assert(berth_handover_add(seen.handover, "http", server));
    int connection = world_note(talk_connect(talk_place()));
    ck_assert(talk_say(connection, BERTH__MESSAGE_HELLO));
    for (int turns = 0; turns < 1000 && !seen.handover->greeted; turns++)
        berth_loop_turn(loop, 10);
    ck_assert(seen.handover->greeted);
    world_free_second_loop();
    ck_assert(!is_there(path));
    close(connection);
}

/* ---- the next offer -------------------------------------------------------------------------- */

/* In a child: hands over nothing, and is killed, as it were, when the successor is ready. */
static void be_killed(const char *place, int told)
{
    berth__head contents = berth__handover_head(BERTH__MESSAGE_CONTENTS);
    int listener = talk_listen(place);
    MUST(listener >= 0 && write(told, "w", 1) == 1);
    int connection = accept(listener, NULL, NULL);
    MUST(talk_hears(connection, BERTH__MESSAGE_HELLO, NULL));
    MUST(talk_send(connection, &contents, sizeof contents));
    MUST(talk_hears(connection, BERTH__MESSAGE_READY, NULL));
    close(connection);
    usleep(10000); /* the end takes its time */
    _exit(0);
}

CASE(offer_where_a_process_is_ending, "0104", "its successor's, who has heard of the end")
{
    real_kernel_only();
    const char *places[2] = {talk_place(), world_path("offer")};
    for (int i = 0; i < 2; i++) {
        int words[2];
        char word;
        begin_pipe(words);
        pid_t child = begin_child();
        if (child == 0)
            be_killed(places[i], words[1]);
        ck_assert_int_eq(read(words[0], &word, 1), 1);
        berth_inheritance *inheritance = berth_handover_take(places[i], PATIENCE * 1000, NULL, 0);
        ck_assert_ptr_nonnull(inheritance);
        bool ready = berth_handover_ready(inheritance);
        berth_inheritance_free(inheritance);
        ck_assert(ready);
        berth_handover *handover = berth_handover_offer(world_loop(), places[i], NULL, NULL);
        ck_assert_ptr_nonnull(handover);
        berth_handover_free(handover);
        end_child(child);
        close(words[0]);
        close(words[1]);
    }
}

/* ---- several offers -------------------------------------------------------------------------- */

CASE(server_in_two_offers, "0104", "is refused, until the first has succeeded or was freed")
{
    const char *path = world_path("a");
    struct host *host = offer_local_host(path);
    berth_handover *other = berth_handover_offer(world_loop(), "@berth-other-offer", NULL, NULL);
    ck_assert_ptr_nonnull(other);
    ck_assert(!berth_handover_add(other, "http", host->server));
    ck_assert_int_eq(errno, EEXIST);
    ck_assert(!berth_handover_add(seen.handover, "http", host->server));
    ck_assert_int_eq(errno, EEXIST);
    int connection = take_all();
    ck_assert(talk_say(connection, BERTH__MESSAGE_READY));
    UNTIL(berth_handover_current_state(seen.handover) == BERTH_HANDOVER_SUCCEEDED);
    ck_assert(berth_handover_add(other, "http", host->server));
    berth_handover_free(other);
    berth_server_close(host->server);
    ck_assert(is_there(path)); /* the successor has it */
    close(connection);
    ck_assert_int_eq(unlink(path), 0);
}
