/*
 * The process that hands over: to a successor that does everything right, and to those that stall,
 * lie, die, are another user or come at the wrong time. Until one of them is ready, nothing may
 * have changed.
 *
 * Successors are children; each tells by its status whether it saw what it should. A hand-over is
 * between processes, so these cases are for real kernels.
 */
#include "children.h"
#include "handover_talk.h"
#include "scene.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

static struct {
    berth_handover *handover;
    unsigned succeeded;
    unsigned failed;
    unsigned taking;
    char text[256];
    void (*on_event)(void);
} seen;

static void on_succeeded(berth_handover *handover, void *user)
{
    ck_assert_ptr_eq(user, &seen);
    ck_assert_int_eq(berth_handover_current_state(handover), BERTH_HANDOVER_SUCCEEDED);
    seen.succeeded++;
    if (seen.on_event != NULL)
        seen.on_event();
}

static void on_failed(berth_handover *handover, const char *text, void *user)
{
    ck_assert_ptr_eq(user, &seen);
    ck_assert_int_eq(berth_handover_current_state(handover), BERTH_HANDOVER_OFFERED);
    ck_assert_str_eq(berth_handover_error_string(handover), text);
    snprintf(seen.text, sizeof seen.text, "%s", text);
    seen.failed++;
    if (seen.on_event != NULL)
        seen.on_event();
}

static void on_taking(berth_handover *handover, void *user)
{
    ck_assert_ptr_eq(user, &seen);
    ck_assert_int_eq(berth_handover_current_state(handover), BERTH_HANDOVER_TAKING);
    seen.taking++;
    if (seen.on_event != NULL)
        seen.on_event();
}

static const berth_handover_handlers handlers = {
    .succeeded = on_succeeded, .failed = on_failed, .taking = on_taking};

static void offer(void)
{
    real_kernel_only();
    seen.handover = berth_handover_offer(world_loop(), talk_place(), &handlers, &seen);
    ck_assert_msg(seen.handover != NULL, "%s", strerror(errno));
}

static struct host *offer_host(void)
{
    real_kernel_only();
    struct host *host = host_listening("h");
    offer();
    ck_assert(berth_handover_add(seen.handover, "http", host->server));
    return host;
}

static void assert_serves(struct host *host)
{
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    peer_say(peer, "hello");
    UNTIL(actor_has(actor, "hello"));
    peer_close(peer);
    UNTIL(actor->disconnects == 1);
    berth_socket_free(actor->socket);
    actor->socket = NULL;
}

static pid_t ended;
static int status;

static bool has_ended(void)
{
    return ended == 0 || (waitpid(ended, &status, WNOHANG) == ended && (ended = 0) == 0);
}

/* Turns the loop until it has ended, which must be a good end. */
static void end_served_child(pid_t child)
{
    ended = child;
    UNTIL(has_ended());
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child's status is %x",
                  (unsigned)status);
}

/* Turns the loop until one that is a failure has failed, with that text. */
static void assert_fails(pid_t child, struct host *host, const char *text)
{
    unsigned before = seen.failed;
    UNTIL(seen.failed > before);
    end_child(child);
    ck_assert_msg(strstr(seen.text, text) != NULL, "\"%s\" in place of \"%s\"", seen.text, text);
    ck_assert_int_eq(berth_handover_successor(seen.handover), child);
    ck_assert_int_eq(berth_handover_current_state(seen.handover), BERTH_HANDOVER_OFFERED);
    ck_assert_uint_eq(seen.succeeded, 0);
    assert_serves(host);
}

static void succeed_now(void)
{
    char text[256];
    berth_inheritance *inheritance =
        berth_handover_take(talk_place(), PATIENCE * 1000, text, sizeof text);
    if (inheritance == NULL)
        fprintf(stderr, "%s\n", text);
    MUST(inheritance != NULL && text[0] == '\0');
    MUST(berth_handover_ready(inheritance));
    MUST(berth_handover_ready(inheritance));
    berth_inheritance_free(inheritance);
}

/* A child that does this takes over. */
static void assert_succeeds(void (*part)(void))
{
    talk_place();
    pid_t child = begin_child();
    if (child == 0) {
        part();
        _exit(0);
    }
    UNTIL(seen.succeeded == 1);
    end_child(child);
}

/* And whoever comes next takes over. */
static void assert_next_succeeds(void)
{
    assert_succeeds(succeed_now);
}

/* ---- as it should be ------------------------------------------------------------------------- */

static int pipe_ends[2];

static void wait_for_word(void)
{
    char word;
    MUST(read(pipe_ends[0], &word, 1) == 1);
}

static void give_word(void)
{
    ck_assert_int_eq(write(pipe_ends[1], "w", 1), 1);
}

/* A child takes over, waits for a word before it is ready, and serves one connection. */
static void take_and_serve(uint16_t port, uint16_t admin_port)
{
    berth_inheritance *inheritance = berth_handover_take(talk_place(), PATIENCE * 1000, NULL, 0);
    MUST(inheritance != NULL);
    size_t size;
    const char *blob = berth_inheritance_blob(inheritance, "keys", &size);
    MUST(blob != NULL && size == 6 && memcmp(blob, "secret", 6) == 0);
    MUST(berth_inherited_count() == 2 && strcmp(berth_inherited_name(0), "http") == 0);
    berth_loop *loop = berth_loop_new(NULL);
    berth_server *server = berth_server_new(loop, NULL, NULL);
    berth_server *admin = berth_server_new(loop, NULL, NULL);
    MUST(berth_server_listen_inherited(admin, "admin"));
    MUST(berth_server_listen_inherited(server, "http"));
    MUST(berth_server_port(server) == port && berth_server_port(admin) == admin_port);
    MUST((fcntl(berth_server_descriptor(server), F_GETFD) & FD_CLOEXEC) != 0);
    wait_for_word();
    MUST(berth_handover_ready(inheritance));
    berth_inheritance_free(inheritance);
    MUST(berth_server_wait_for_new_connection(server, PATIENCE * 1000, NULL));
    berth_socket *socket = berth_server_next_pending_connection(server);
    berth_socket_write(socket, "new", 3);
    berth_socket_disconnect_from_host(socket);
    MUST(berth_socket_wait_for_disconnected(socket, PATIENCE * 1000));
    berth_loop_free(loop);
}

static struct host *closing;

static void close_host(void)
{
    if (seen.succeeded == 1)
        berth_server_close(closing->server);
}

CASE(handover_from_end_to_end, "0104",
     "the old process serves until the new one is ready, and then the new one")
{
    struct host *host = offer_host();
    struct host *admin = host_listening("a");
    ck_assert(berth_handover_add(seen.handover, "admin", admin->server));
    ck_assert(berth_handover_add_blob(seen.handover, "keys", "secret", 6));
    begin_pipe(pipe_ends);
    closing = host;
    seen.on_event = close_host;
    pid_t child = begin_child();
    if (child == 0) {
        take_and_serve(host->port, admin->port);
        _exit(0);
    }
    UNTIL(berth_handover_current_state(seen.handover) == BERTH_HANDOVER_TAKEN);
    ck_assert_uint_eq(seen.taking, 1);
    ck_assert_int_eq(berth_handover_successor(seen.handover), child);
    assert_serves(host);
    give_word();
    UNTIL(seen.succeeded == 1);
    ck_assert_uint_eq(seen.failed, 0);
    int client = dial(host->port);
    ck_assert(hears(client, "new"));
    close(client);
    end_child(child);
    berth_server_counts counts;
    berth_server_statistics(host->server, &counts);
    scene_assert_balance(&counts);
    ck_assert(!berth_handover_add(seen.handover, "late", admin->server));
    ck_assert_int_eq(errno, ESHUTDOWN);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void accept_what_waits(void)
{
    berth_inheritance *inheritance = berth_handover_take(talk_place(), PATIENCE * 1000, NULL, 0);
    MUST(inheritance != NULL);
    berth_loop *loop = berth_loop_new(NULL);
    berth_server *server = berth_server_new(loop, NULL, NULL);
    MUST(berth_server_listen_inherited(server, "http"));
    MUST(berth_handover_ready(inheritance));
    berth_inheritance_free(inheritance);
    MUST(berth_server_wait_for_new_connection(server, PATIENCE * 1000, NULL));
    berth_socket *socket = berth_server_next_pending_connection(server);
    berth_socket_write(socket, "new", 3);
    berth_socket_disconnect_from_host(socket);
    MUST(berth_socket_wait_for_disconnected(socket, PATIENCE * 1000));
    berth_loop_free(loop);
}

static void drain_host(void)
{
    if (seen.succeeded == 1)
        ck_assert(berth_server_drain(closing->server, NULL));
}

CASE(handover_leaves_the_backlog, "0104", "whoever waits there is the successor's, also in a drain")
{
    struct host *host = offer_host();
    closing = host;
    seen.on_event = drain_host;
    berth_server_pause_accepting(host->server);
    pid_t child = begin_child();
    if (child == 0) {
        accept_what_waits();
        _exit(0);
    }
    int client = dial(host->port);
    UNTIL(seen.succeeded == 1);
    UNTIL(berth_server_drain_state(host->server) == BERTH_DRAIN_EMPTY);
    ck_assert(!berth_server_is_listening(host->server));
    ck_assert(hears(client, "new"));
    close(client);
    end_child(child);
    berth_server_counts counts;
    berth_server_statistics(host->server, &counts);
    ck_assert_uint_eq(counts.accepted, 0);
    scene_assert_balance(&counts);
}

static void take_what_is_there(void)
{
    berth_inheritance *inheritance = berth_handover_take(talk_place(), PATIENCE * 1000, NULL, 0);
    MUST(inheritance != NULL);
    MUST(berth_inherited_count() == 2 && strcmp(berth_inherited_name(1), "again") == 0);
    MUST(berth_handover_ready(inheritance));
    MUST(berth_inherited_left("") == 0); /* nobody has taken them */
    berth_inheritance_free(inheritance);
}

CASE(handover_of_what_listens_then, "0104", "not what was freed, closed, or never listened")
{
    struct host *host = offer_host();
    struct host *freed = host_listening("f");
    struct host *closed = host_listening("c");
    struct host *again = host_listening("a");
    struct host *never = host_new("n");
    ck_assert(berth_handover_add(seen.handover, "freed", freed->server));
    ck_assert(berth_handover_add(seen.handover, "closed", closed->server));
    ck_assert(berth_handover_add(seen.handover, "again", again->server));
    ck_assert(berth_handover_add(seen.handover, "never", never->server));
    ck_assert(!berth_handover_add(seen.handover, "twice", host->server));
    ck_assert_int_eq(errno, EEXIST);
    ck_assert(!berth_handover_add(seen.handover, NULL, host->server));
    ck_assert_int_eq(errno, EINVAL);
    berth_server_free(freed->server);
    berth_server_close(closed->server);
    berth_server_close(again->server);
    host_listen(again);
    assert_succeeds(take_what_is_there);
}

enum {
    MANY = BERTH__HANDOVER_MOST_PASSED + 7
};

static void take_many(void)
{
    berth_inheritance *inheritance = berth_handover_take(talk_place(), PATIENCE * 1000, NULL, 0);
    MUST(inheritance != NULL);
    MUST(berth_inherited_left("many") == MANY);
    MUST(berth_handover_ready(inheritance));
    berth_inheritance_free(inheritance);
}

CASE(handover_of_many, "0104", "more listeners than one message takes come in several")
{
    offer();
    for (int i = 0; i < MANY; i++) {
        berth_server *server = berth_server_new(world_loop(), NULL, NULL);
        ck_assert_ptr_nonnull(server);
        ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
        ck_assert(berth_handover_add(seen.handover, "many", server));
    }
    assert_succeeds(take_many);
}

enum {
    LARGE = BERTH_MOST_HANDOVER_BYTES - 8 - 5 - 8 - 8 - 5
};

static void take_blobs(void)
{
    berth_inheritance *inheritance = berth_handover_take(talk_place(), PATIENCE * 1000, NULL, 0);
    MUST(inheritance != NULL && berth_inherited_count() == 0);
    size_t size = 9;
    const uint8_t *large = berth_inheritance_blob(inheritance, "large", &size);
    MUST(large != NULL && size == LARGE);
    uint8_t *pattern = scene_pattern(LARGE, 7);
    MUST(memcmp(large, pattern, LARGE) == 0);
    free(pattern);
    MUST(berth_inheritance_blob(inheritance, "", &size) != NULL && size == 0);
    MUST(berth_inheritance_blob(inheritance, "small", NULL) != NULL);
    MUST(berth_inheritance_blob(inheritance, "none", &size) == NULL && size == 0);
    MUST(berth_handover_ready(inheritance));
    berth_inheritance_free(inheritance);
}

CASE(handover_of_blobs, "0104", "up to the bound, empty ones and empty names, the last of a name")
{
    offer();
    uint8_t *pattern = scene_pattern(LARGE + 1, 7);
    ck_assert(berth_handover_add_blob(seen.handover, "small", "first", 5));
    ck_assert(berth_handover_add_blob(seen.handover, "small", NULL, 0));
    ck_assert(berth_handover_add_blob(seen.handover, "", "", 0));
    ck_assert(!berth_handover_add_blob(seen.handover, "large", pattern, LARGE + 1));
    ck_assert_int_eq(errno, EMSGSIZE);
    ck_assert(!berth_handover_add_blob(seen.handover, "large", pattern, SIZE_MAX));
    ck_assert_int_eq(errno, EMSGSIZE);
    ck_assert(!berth_handover_add_blob(seen.handover, "large", NULL, 1));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert(berth_handover_add_blob(seen.handover, "large", pattern, LARGE));
    ck_assert(!berth_handover_add_blob(seen.handover, "x", "", 0));
    ck_assert_int_eq(errno, EMSGSIZE);
    free(pattern);
    assert_succeeds(take_blobs);
}

static const char *local_path;

static void serve_locally(void)
{
    berth_inheritance *inheritance = berth_handover_take(talk_place(), PATIENCE * 1000, NULL, 0);
    MUST(inheritance != NULL);
    berth_loop *loop = berth_loop_new(NULL);
    berth_server *server = berth_server_new(loop, NULL, NULL);
    MUST(berth_server_listen_inherited(server, "local"));
    MUST(strcmp(berth_server_local_path(server), local_path) == 0);
    MUST(berth_handover_ready(inheritance));
    berth_inheritance_free(inheritance);
    MUST(berth_server_wait_for_new_connection(server, PATIENCE * 1000, NULL));
    berth_loop_free(loop);
}

CASE(handover_of_a_unix_socket, "0104", "its file stays, and the new process is reached through it")
{
    offer();
    const char *path = world_path("socket");
    local_path = path;
    struct host *host = host_new("l");
    ck_assert(berth_server_listen_local(host->server, path, NULL));
    ck_assert(berth_handover_add(seen.handover, "local", host->server));
    closing = host;
    seen.on_event = close_host;
    pid_t child = begin_child();
    if (child == 0) {
        serve_locally();
        _exit(0);
    }
    UNTIL(seen.succeeded == 1);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memcpy(name.sun_path, path, strlen(path) + 1);
    int client = world_note(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ck_assert_int_eq(connect(client, (struct sockaddr *)&name, sizeof name), 0);
    end_child(child);
    close(client);
    ck_assert_int_eq(unlink(path), 0);
}

/* ---- successors that die, lie and stall ------------------------------------------------------ */

/* Does the first steps of the protocol, and no more. */
static int take_steps(unsigned steps)
{
    static const berth__message_kind said[] = {BERTH__MESSAGE_HELLO, BERTH__MESSAGE_NEXT,
                                               BERTH__MESSAGE_NEXT};
    static const berth__message_kind heard[] = {BERTH__MESSAGE_CONTENTS, BERTH__MESSAGE_LISTENERS,
                                                BERTH__MESSAGE_BLOBS};
    int connection = talk_connect(talk_place());
    MUST(connection >= 0);
    for (unsigned i = 0; i < steps; i++) {
        MUST(talk_say(connection, said[i]));
        MUST(talk_hears(connection, heard[i], NULL));
    }
    return connection;
}

CASE(successor_dies_at_each_step, "0104", "nothing has changed, and the next one can take over")
{
    struct host *host = offer_host();
    ck_assert(berth_handover_add_blob(seen.handover, "keys", "secret", 6));
    talk_place();
    pid_t child = begin_child();
    if (child == 0) {
        close(talk_connect(talk_place()));
        _exit(0);
    }
    end_child(child);
    world_settle();
    ck_assert_uint_eq(seen.failed, 0); /* it only looked */
    for (unsigned steps = 1; steps <= 3; steps++) {
        child = begin_child();
        if (child == 0) {
            take_steps(steps);
            _exit(0);
        }
        assert_fails(child, host, "has ended before it was ready");
    }
    child = begin_child();
    if (child == 0) {
        /* The end has come when READY is read. */
        int connection = take_steps(3);
        MUST(talk_say(connection, BERTH__MESSAGE_READY));
        close(connection);
        _exit(0);
    }
    end_served_child(child);
    UNTIL(seen.failed + seen.succeeded == 4);
    if (seen.succeeded == 0)
        assert_next_succeeds();
}

/* What is said after some steps, and what that is called. */
struct lie {
    unsigned steps;
    const char *bytes; /* or NULL for the message */
    size_t size;
    berth__message_kind kind;
    const char *text;
};

static const struct lie lies[] = {
    {0, "x", 1, 0, "does not speak the protocol"},
    {0, "GET / HTTP/1.1\r\n\r\n______", 24, 0, "does not speak the protocol"},
    {0, "berth-ho\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0more", 28, 0, "does not speak the protocol"},
    {0, "berth-ho\1\0\0\0\1\0\0\0", 16, 0, "does not speak the protocol"},
    {0, "berth-ho\2\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0", 24, 0, "has version 2 of the protocol"},
    {0, NULL, 0, BERTH__MESSAGE_READY, "at the wrong time"},
    {0, NULL, 0, BERTH__MESSAGE_NEXT, "at the wrong time"},
    {0, NULL, 0, BERTH__MESSAGE_DONE, "at the wrong time"},
    {1, NULL, 0, BERTH__MESSAGE_READY, "at the wrong time"},
    {1, NULL, 0, BERTH__MESSAGE_HELLO, "it began again"},
    {2, NULL, 0, BERTH__MESSAGE_READY, "at the wrong time"},
    {3, NULL, 0, BERTH__MESSAGE_NEXT, "it asked for more than there is"},
    {3, NULL, 0, 99, "at the wrong time"},
};

static void tell_lie(const struct lie *lie)
{
    int connection = take_steps(lie->steps);
    if (lie->bytes != NULL)
        MUST(talk_send(connection, lie->bytes, lie->size));
    else
        MUST(talk_say(connection, lie->kind));
    static berth__message message;
    MUST(talk_hears(connection, BERTH__MESSAGE_REFUSED, &message));
    MUST(strstr(message.data, lie->text) != NULL);
    MUST(talk_ends(connection));
}

CASE(successor_lies, "0104", "whatever it says at the wrong time or in no protocol, it is refused")
{
    struct host *host = offer_host();
    ck_assert(berth_handover_add_blob(seen.handover, "keys", "secret", 6));
    talk_place();
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        pid_t child = begin_child();
        if (child == 0) {
            tell_lie(&lies[i]);
            _exit(0);
        }
        assert_fails(child, host, lies[i].text);
    }
    assert_next_succeeds();
}

static void send_descriptors(void)
{
    int connection = talk_connect(talk_place());
    int all[BERTH__HANDOVER_MOST_PASSED];
    for (unsigned i = 0; i < BERTH__HANDOVER_MOST_PASSED; i++)
        all[i] = connection;
    berth__head head = berth__handover_head(BERTH__MESSAGE_HELLO);
    MUST(talk_pass(connection, &head, sizeof head, all, BERTH__HANDOVER_MOST_PASSED));
    MUST(talk_hears(connection, BERTH__MESSAGE_CONTENTS, NULL));
}

CASE(successor_sends_descriptors, "0104", "none of them comes into the process")
{
    struct host *host = offer_host();
    talk_place();
    unsigned before = world_descriptors();
    pid_t child = begin_child();
    if (child == 0) {
        send_descriptors();
        _exit(0);
    }
    UNTIL(seen.taking == 1);
    ck_assert_uint_lt(world_descriptors(), before + 9);
    assert_fails(child, host, "has ended before it was ready");
}

static const char *stall_text;

static void stall(unsigned steps)
{
    int connection = take_steps(steps);
    static berth__message message;
    MUST(talk_hears(connection, BERTH__MESSAGE_REFUSED, &message));
    MUST(strstr(message.data, stall_text) != NULL);
}

CASE(successor_stalls, "0104", "each time it has is limited, and the loop goes on meanwhile")
{
    static const char *const texts[] = {"connected and said nothing",
                                        "did not take everything in time",
                                        "did not take everything in time", "was not ready in time"};
    /* Long enough for a child of a busy machine to come to where it stalls. */
    static const unsigned limits[] = {20, 500, 500, BERTH__HANDOVER_TRANSFER_LIMIT};
    struct host *host = offer_host();
    ck_assert(berth_handover_add_blob(seen.handover, "keys", "secret", 6));
    berth_handover_set_time_limit(seen.handover, 20);
    talk_place();
    for (unsigned steps = 0; steps < 4; steps++) {
        stall_text = texts[steps];
        seen.handover->transfer_limit = limits[steps];
        pid_t child = begin_child();
        if (child == 0) {
            stall(steps);
            _exit(0);
        }
        assert_fails(child, host, texts[steps]);
    }
    seen.handover->transfer_limit = BERTH__HANDOVER_TRANSFER_LIMIT;
    assert_next_succeeds();
}

static void be_late(void)
{
    berth_inheritance *inheritance = berth_handover_take(talk_place(), PATIENCE * 1000, NULL, 0);
    MUST(inheritance != NULL);
    wait_for_word();
    MUST(!berth_handover_ready(inheritance));
    MUST(strstr(berth_inheritance_error_string(inheritance), "was not ready in time") != NULL);
    MUST(!berth_handover_ready(inheritance));
    MUST(berth_inherited_left("http") == 1);
    berth_inheritance_free(inheritance);
    MUST(berth_inherited_left("http") == 0);
}

CASE(successor_is_late, "0104", "it hears that it is not wanted any more")
{
    struct host *host = offer_host();
    begin_pipe(pipe_ends);
    berth_handover_set_time_limit(seen.handover, 20);
    talk_place();
    pid_t child = begin_child();
    if (child == 0) {
        be_late();
        _exit(0);
    }
    UNTIL(seen.failed == 1);
    give_word();
    end_child(child);
    assert_serves(host);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void be_second(void)
{
    char text[256];
    MUST(berth_handover_take(talk_place(), PATIENCE * 1000, text, sizeof text) == NULL);
    MUST(errno == EBUSY && strstr(text, "is taking over") != NULL);
    MUST(berth_inherited_count() == 0);
}

CASE(successors_at_once, "0104", "the second is refused, and the first is not disturbed")
{
    struct host *host = offer_host();
    begin_pipe(pipe_ends);
    talk_place();
    pid_t first = begin_child();
    if (first == 0) {
        berth_inheritance *inheritance =
            berth_handover_take(talk_place(), PATIENCE * 1000, NULL, 0);
        MUST(inheritance != NULL);
        wait_for_word();
        MUST(berth_handover_ready(inheritance));
        _exit(0);
    }
    UNTIL(berth_handover_current_state(seen.handover) == BERTH_HANDOVER_TAKEN);
    for (int i = 0; i < 3; i++) {
        pid_t second = begin_child();
        if (second == 0) {
            be_second();
            _exit(0);
        }
        end_served_child(second);
    }
    ck_assert_int_eq(berth_handover_successor(seen.handover), first);
    ck_assert_uint_eq(seen.failed, 0);
    assert_serves(host);
    give_word();
    UNTIL(seen.succeeded == 1);
    end_child(first);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void be_somebody_else(void)
{
    char text[256];
    MUST(setresuid(65534, 65534, 65534) == 0);
    MUST(berth_handover_take(talk_place(), PATIENCE * 1000, text, sizeof text) == NULL);
    MUST(errno == EPERM && strstr(text, "another user") != NULL);
    int connection = talk_connect(talk_place());
    static berth__message message;
    talk_say(connection, BERTH__MESSAGE_HELLO);
    MUST(talk_hears(connection, BERTH__MESSAGE_REFUSED, &message));
    MUST(strstr(message.data, "same user") != NULL && talk_ends(connection));
}

CASE(successor_of_another_user, "0104", "refused, on both sides")
{
    struct host *host = offer_host();
    if (geteuid() != 0)
        case_skip("needs root, to become somebody else");
    talk_place();
    pid_t child = begin_child();
    if (child == 0) {
        be_somebody_else();
        _exit(0);
    }
    end_served_child(child);
    ck_assert_uint_eq(seen.taking + seen.failed, 0);
    assert_serves(host);
    assert_next_succeeds();
}

static void have_few_descriptors(void)
{
    struct rlimit limit = {40, 40};
    MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    char text[256];
    MUST(berth_handover_take(talk_place(), PATIENCE * 1000, text, sizeof text) == NULL);
    MUST(errno == EMFILE && strstr(text, "not all descriptors have come") != NULL);
    MUST(berth_inherited_count() == 0);
    MUST(open("/dev/null", O_RDONLY) >= 0);
}

CASE(successor_without_descriptors, "0104", "what has come is closed; the old one serves on")
{
    struct host *host = offer_host();
    for (unsigned i = 0; i < 40; i++) {
        berth_server *server = berth_server_new(world_loop(), NULL, NULL);
        ck_assert_ptr_nonnull(server);
        ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
        ck_assert(berth_handover_add(seen.handover, "many", server));
    }
    talk_place();
    pid_t child = begin_child();
    if (child == 0) {
        for (int number = 3; number < 200; number++) {
            char path[40];
            char target[64];
            snprintf(path, sizeof path, "/proc/self/fd/%d", number);
            ssize_t size = readlink(path, target, sizeof target - 1);
            if (size > 0 && strncmp(target, "socket:", 7) == 0)
                close(number);
        }
        have_few_descriptors();
        _exit(0);
    }
    assert_fails(child, host, "has ended before it was ready");
}

static void be_unserved(void)
{
    char text[256];
    MUST(berth_handover_take(talk_place(), PATIENCE * 1000, text, sizeof text) == NULL);
    MUST(errno == EBUSY && strstr(text, "no file descriptor left") != NULL);
}

CASE(handover_without_descriptors, "0104",
     "a process that has none left says so to its successor, or lets it wait")
{
    struct host *host = offer_host();
    for (unsigned left = 1; left <= 2; left++) {
        pid_t child = begin_child();
        if (child == 0) {
            be_unserved();
            _exit(0);
        }
        world_exhaust(left);
        UNTIL(seen.failed == left);
        world_relieve();
        end_child(child);
        ck_assert_ptr_nonnull(strstr(seen.text, "no file descriptor left"));
        assert_serves(host);
    }
    pid_t child = begin_child();
    if (child == 0) {
        succeed_now();
        _exit(0);
    }
    world_exhaust(0);
    for (int i = 0; i < 20; i++)
        world_turn();
    ck_assert_uint_eq(seen.succeeded + seen.taking,
                      1); /* of the one whose listener was not copied */
    world_relieve();
    UNTIL(seen.succeeded == 1);
    end_child(child);
}

/* ---- the program, inside handlers ------------------------------------------------------------ */

static void free_handover(void)
{
    berth_handover_free(seen.handover);
    seen.handover = NULL;
}

CASE(handover_freed_when_succeeded, "0104", "the successor has heard that it succeeded")
{
    offer_host();
    seen.on_event = NULL;
    static const berth_handover_handlers only = {.succeeded = on_succeeded};
    berth_handover_free(seen.handover);
    seen.handover = berth_handover_offer(world_loop(), talk_place(), &only, &seen);
    seen.on_event = free_handover;
    assert_next_succeeds();
    ck_assert_ptr_null(seen.handover);
}

CASE(handover_freed_when_failed, "0104", "and nothing of it is left")
{
    struct host *host = offer_host();
    static const berth_handover_handlers only = {.failed = on_failed};
    berth_handover_free(seen.handover);
    seen.handover = berth_handover_offer(world_loop(), talk_place(), &only, &seen);
    seen.on_event = free_handover;
    pid_t child = begin_child();
    if (child == 0) {
        take_steps(1);
        _exit(0);
    }
    UNTIL(seen.failed == 1);
    end_child(child);
    assert_serves(host);
    ck_assert_int_eq(talk_connect(talk_place()), -1);
}

static void be_withdrawn(void)
{
    char text[256];
    MUST(berth_handover_take(talk_place(), PATIENCE * 1000, text, sizeof text) == NULL);
    MUST(errno == EBUSY && strstr(text, "has withdrawn its offer") != NULL);
}

CASE(handover_freed_when_taking, "0104", "the successor hears that the offer is withdrawn")
{
    struct host *host = offer_host();
    seen.on_event = free_handover;
    pid_t child = begin_child();
    if (child == 0) {
        be_withdrawn();
        _exit(0);
    }
    UNTIL(seen.taking == 1);
    end_child(child);
    assert_serves(host);
}

static void renew_blob(void)
{
    if (seen.taking == 1 && seen.succeeded == 0)
        ck_assert(berth_handover_add_blob(seen.handover, "keys", "fresh", 5));
}

static void take_fresh(void)
{
    berth_inheritance *inheritance = berth_handover_take(talk_place(), PATIENCE * 1000, NULL, 0);
    size_t size;
    MUST(inheritance != NULL);
    const void *blob = berth_inheritance_blob(inheritance, "keys", &size);
    MUST(blob != NULL && size == 5 && memcmp(blob, "fresh", 5) == 0);
    MUST(berth_handover_ready(inheritance));
}

CASE(handover_renewed_when_taking, "0104", "what is added then is what the successor gets")
{
    offer_host();
    ck_assert(berth_handover_add_blob(seen.handover, "keys", "stale", 5));
    seen.on_event = renew_blob;
    pid_t child = begin_child();
    if (child == 0) {
        take_fresh();
        _exit(0);
    }
    UNTIL(seen.succeeded == 1);
    end_child(child);
}

CASE(handover_and_a_fork, "0104", "the offer stays with the parent, also if a child frees its copy")
{
    offer_host();
    pid_t child = begin_child();
    if (child == 0) {
        MUST(!berth_handover_add_blob(seen.handover, "x", "x", 1) && errno == ECHILD);
        berth_handover_free(seen.handover);
        _exit(0);
    }
    end_child(child);
    child = begin_child();
    if (child == 0) {
        MUST(berth_loop_after_fork(world_loop()));
        MUST(!berth_handover_add_blob(seen.handover, "x", "x", 1) && errno == ECHILD);
        berth_handover_free(seen.handover);
        _exit(0);
    }
    end_child(child);
    assert_next_succeeds();
}
