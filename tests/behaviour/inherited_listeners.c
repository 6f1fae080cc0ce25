/*
 * Listeners that another process has passed: by name, by the environment of systemd's protocol, and
 * what a parent may do wrong in it.
 *
 * The environment is read in children, where descriptors from 3 on are put in place as exec would
 * leave them. A case that passes descriptors itself builds the batch that reading would build, so
 * that it also runs on the simulated kernel.
 */
#include "children.h"
#include "scene.h"
#include "soon.h"

#include "daemon/inherited.h"

#include <berth/memory.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* As if these had been passed. */
static void pass(size_t count, const int *descriptors, const char *const *names)
{
    berth__batch *batch = berth__batch_new(count);
    ck_assert_ptr_nonnull(batch);
    for (size_t i = 0; i < count; i++)
        berth__batch_set(batch, i, descriptors[i], names[i], strlen(names[i]));
    berth__batch_add(batch);
}

static void assert_unavailable(struct host *host, const char *name, const char *text)
{
    ck_assert(!berth_server_listen_inherited(host->server, name));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_ADDRESS_NOT_AVAILABLE);
    ck_assert_str_eq(berth_server_error_string(host->server), text);
}

CASE(inherited_by_name, "0103", "each server gets the listener that has its name, once")
{
    world_loop();
    uint16_t ports[2];
    int passed[2];
    for (int i = 0; i < 2; i++)
        passed[i] = world_listener_descriptor(&ports[i]);
    pass(2, passed, (const char *const[]){"http", "admin"});
    struct host *admin = host_new("a");
    struct host *http = host_new("h");
    ck_assert_uint_eq(berth_inherited_count(), 2);
    ck_assert_uint_eq(berth_inherited_left(""), 2);
    ck_assert_uint_eq(berth_inherited_left("http"), 1);
    ck_assert_str_eq(berth_inherited_name(1), "admin");
    ck_assert_ptr_null(berth_inherited_name(2));
    ck_assert(berth_server_listen_inherited(admin->server, "admin"));
    ck_assert(berth_server_listen_inherited(http->server, "http"));
    ck_assert_uint_eq(berth_server_port(admin->server), ports[1]);
    ck_assert_uint_eq(berth_server_port(http->server), ports[0]);
    ck_assert_uint_eq(berth_inherited_left(NULL), 0);
    ck_assert_str_eq(berth_inherited_name(1), "admin");
    http->port = ports[0];
    struct peer *peer;
    struct actor *actor = host_connect(http, "s", &peer);
    peer_say(peer, "hello");
    UNTIL(actor_has(actor, "hello"));
    berth_server_close(admin->server);
    assert_unavailable(admin, "admin",
                       "cannot listen on the inherited \"admin\": all of that name are in use");
    assert_unavailable(admin, "b\nd",
                       "cannot listen on the inherited \"b\\x0ad\": none of that name was passed");
    assert_unavailable(
        admin, "a name of fifty-two bytes, which a text has all of it",
        "cannot listen on the inherited \"a name of fifty-two bytes, which a text has "
        "all of it\": none of that name was passed");
    assert_unavailable(admin, NULL, "cannot listen on what is inherited: all of it is in use");
    berth__inherited_forget();
    assert_unavailable(admin, "", "cannot listen on what is inherited: nothing was passed");
}

CASE(inherited_names_twice, "0103",
     "several of one name come in their order; any name takes the first")
{
    world_loop();
    uint16_t ports[4];
    int passed[4];
    for (int i = 0; i < 4; i++)
        passed[i] = world_listener_descriptor(&ports[i]);
    pass(2, passed, (const char *const[]){"http", ""});
    pass(2, passed + 2, (const char *const[]){"http", "http"});
    static const char *const names[] = {"http", "http", "", NULL};
    static const int order[] = {0, 2, 1, 3};
    ck_assert_uint_eq(berth_inherited_left("http"), 3);
    for (int i = 0; i < 4; i++) {
        struct host *host = host_new("h");
        ck_assert(berth_server_listen_inherited(host->server, names[i]));
        ck_assert_uint_eq(berth_server_port(host->server), ports[order[i]]);
    }
    ck_assert_int_eq(berth_inherited_take(""), -1);
    ck_assert_int_eq(errno, ENOENT);
}

CASE(inherited_while_listening, "0103", "a server that listens already leaves it to another")
{
    struct host *host = host_listening("h");
    uint16_t port;
    int passed = world_listener_descriptor(&port);
    pass(1, &passed, (const char *const[]){"http"});
    ck_assert(!berth_server_listen_inherited(host->server, "http"));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_OPERATION);
    ck_assert_uint_eq(berth_server_port(host->server), host->port);
    ck_assert_uint_eq(berth_inherited_left("http"), 1);
    struct host *other = host_new("o");
    ck_assert(berth_server_listen_inherited(other->server, "http"));
    ck_assert_uint_eq(berth_server_port(other->server), port);
}

static int pass_one(int descriptor, const char *name)
{
    pass(1, &descriptor, &name);
    return descriptor;
}

CASE(inherited_kinds, "0103",
     "what does not listen is refused by name and number, and can be taken raw")
{
    real_kernel_only();
    struct host *host = host_new("h");
    struct peer *peer;
    int stream = world_stream_descriptor(&peer);
    int numbers[4] = {
        pass_one(world_note(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), "udp"),
        pass_one(stream, "connected"),
        pass_one(world_unconnected_descriptor(), "bound"),
        pass_one(world_note(open("/dev/null", O_RDWR | O_CLOEXEC)), "file"),
    };
    static const char *const names[4] = {"udp", "connected", "bound", "file"};
    static const char *const reasons[4] = {"not a stream socket of IPv4, IPv6 or Unix",
                                           "not listening", "not listening", "not a socket"};
    for (int i = 0; i < 4; i++) {
        char text[128];
        snprintf(text, sizeof text,
                 "the inherited \"%s\": cannot listen on descriptor %d: ", names[i], numbers[i]);
        ck_assert(!berth_server_listen_inherited(host->server, names[i]));
        ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_UNSUPPORTED_OPERATION);
        ck_assert(strncmp(berth_server_error_string(host->server), text, strlen(text)) == 0);
        ck_assert_str_eq(berth_server_error_string(host->server) + strlen(text), reasons[i]);
        ck_assert_int_eq(berth_inherited_take(names[i]), numbers[i]);
        ck_assert_uint_eq(berth_inherited_left(names[i]), 0);
        close(numbers[i]);
    }
}

/* ---- the environment ------------------------------------------------------------------------- */

/* In a child: a TCP listener at this number, as exec leaves it. */
static uint16_t put_listener(int number)
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    socklen_t size = sizeof name;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    MUST(descriptor >= 0 && bind(descriptor, (struct sockaddr *)&name, size) == 0);
    MUST(listen(descriptor, 5) == 0);
    MUST(getsockname(descriptor, (struct sockaddr *)&name, &size) == 0);
    if (descriptor != number) {
        MUST(dup2(descriptor, number) == number);
        close(descriptor);
    }
    return ntohs(name.sin_port);
}

static void set_environment(const char *process, const char *count, const char *names)
{
    char own[24];
    snprintf(own, sizeof own, "%d", (int)getpid());
    MUST(setenv("LISTEN_PID", process != NULL ? process : own, 1) == 0);
    MUST(setenv("LISTEN_FDS", count, 1) == 0);
    MUST((names != NULL ? setenv("LISTEN_FDNAMES", names, 1) : unsetenv("LISTEN_FDNAMES")) == 0);
}

static void assert_unset(void)
{
    MUST(getenv("LISTEN_PID") == NULL && getenv("LISTEN_FDS") == NULL);
    MUST(getenv("LISTEN_FDNAMES") == NULL);
}

static void serve_by_environment(void)
{
    uint16_t first = put_listener(3);
    uint16_t second = put_listener(4);
    set_environment(NULL, "2", "http:admin");
    MUST(berth_inherited_count() == 2);
    assert_unset();
    for (int number = 3; number < 5; number++)
        MUST((fcntl(number, F_GETFD) & FD_CLOEXEC) != 0);
    berth_server *server = berth_server_new(NULL, NULL, NULL);
    berth_server *other = berth_server_new(NULL, NULL, NULL);
    MUST(berth_server_listen_inherited(server, "admin"));
    MUST(berth_server_port(server) == second);
    MUST(berth_server_listen_inherited(other, "http"));
    MUST(berth_server_port(other) == first);
    /* Not by dial: where Check writes what it asserts is a listener now. */
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(first)};
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(connect(client, (struct sockaddr *)&name, sizeof name) == 0);
    MUST(berth_server_wait_for_new_connection(other, PATIENCE * 1000, NULL));
    close(client);
    berth_server_free(server);
    berth_server_free(other);
    MUST(fcntl(3, F_GETFD) < 0 && fcntl(4, F_GETFD) < 0);
}

CASE(inherited_by_environment, "0103",
     "LISTEN_FDS and LISTEN_FDNAMES: read once, unset, close-on-exec")
{
    real_kernel_only();
    have_child(serve_by_environment);
}

static void refuse_numbers(void)
{
    static const char *const counts[] = {
        "0", "-1", "x", "3x", "", "4097", "999999999999999999999999", " 1"};
    put_listener(3);
    berth_server *server = berth_server_new(NULL, NULL, NULL);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        set_environment(NULL, counts[i], "http");
        MUST(berth_inherited_count() == 0);
        assert_unset();
        MUST(!berth_server_listen_inherited(server, "http"));
        MUST(strstr(berth_server_error_string(server), "LISTEN_FDS is not a number of") != NULL);
        berth__inherited_forget();
    }
    static const char *const processes[] = {"1", "0", "", "x", "-1", "99999999999999999999"};
    for (size_t i = 0; i < sizeof processes / sizeof processes[0]; i++) {
        set_environment(processes[i], "1", "http");
        MUST(berth_inherited_left("") == 0);
        assert_unset();
        MUST(!berth_server_listen_inherited(server, ""));
        MUST(strstr(berth_server_error_string(server), "LISTEN_PID is not this") != NULL);
        berth__inherited_forget();
    }
    MUST((fcntl(3, F_GETFD) & FD_CLOEXEC) == 0);
    berth_server_free(server);
}

CASE(inherited_wrong_numbers, "0103",
     "LISTEN_PID of another, LISTEN_FDS that is none or huge: nothing")
{
    real_kernel_only();
    have_child(refuse_numbers);
}

static void mind_names(void)
{
    char long_name[300];
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    const char *const wrong[] = {NULL, "", "a", "a:b:c", "a:b:", long_name, ":::"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        put_listener(3);
        put_listener(4);
        set_environment(NULL, "2", wrong[i]);
        MUST(berth_inherited_left("unknown") == 2 && berth_inherited_left("a") == 0);
        berth__inherited_forget();
        MUST(fcntl(3, F_GETFD) < 0 && fcntl(4, F_GETFD) < 0);
    }
    put_listener(3);
    put_listener(4);
    set_environment(NULL, "2", ":");
    MUST(berth_inherited_count() == 2 && strcmp(berth_inherited_name(1), "") == 0);
    berth__inherited_forget();
    put_listener(3);
    put_listener(4);
    long_name[BERTH_MOST_INHERITED_NAME] = '\0';
    char both[600];
    snprintf(both, sizeof both, "a:%s", long_name);
    set_environment(NULL, "2", both);
    MUST(berth_inherited_left("a") == 1 && berth_inherited_left(long_name) == 1);
}

CASE(inherited_wrong_names, "0103", "missing, too many, too few or too long: none is believed")
{
    real_kernel_only();
    have_child(mind_names);
}

static void mind_the_gap(void)
{
    close(4);
    close(5);
    put_listener(3);
    put_listener(6);
    set_environment(NULL, "4", "a:b:c:d");
    /* Whatever the program opens before it looks. */
    MUST(open("/dev/null", O_RDONLY | O_CLOEXEC) == 4);
    MUST(berth_inherited_count() == 4 && berth_inherited_left("") == 2);
    MUST(berth_inherited_take("b") == -1);
    berth_server *server = berth_server_new(NULL, NULL, NULL);
    MUST(!berth_server_listen_inherited(server, "c"));
    MUST(strstr(berth_server_error_string(server), "what was passed is not open") != NULL);
    MUST(berth_inherited_take("d") == 6);
    berth__inherited_forget();
    MUST(fcntl(4, F_GETFD) >= 0 && fcntl(3, F_GETFD) < 0);
}

CASE(inherited_closed, "0103",
     "one that is not open has its name, and what has its number now is safe")
{
    real_kernel_only();
    have_child(mind_the_gap);
}

CASE(inherited_and_forked, "0103", "a child has copies of what was not taken")
{
    real_kernel_only();
    uint16_t port;
    pass_one(world_listener_descriptor(&port), "http");
    pid_t child = begin_child();
    if (child == 0) {
        berth_server *server = berth_server_new(NULL, NULL, NULL);
        MUST(berth_server_listen_inherited(server, "http"));
        MUST(berth_server_port(server) == port);
        _exit(0);
    }
    end_child(child);
    struct host *host = host_new("h");
    ck_assert(berth_server_listen_inherited(host->server, "http"));
    host->port = port;
    struct peer *peer;
    host_connect(host, "s", &peer);
}

/* ---- threads --------------------------------------------------------------------------------- */

static atomic_bool holds_reader;
static atomic_int readers;

/* Holds whoever reads the environment in the middle of it. */
static void *allocate_slowly(size_t size)
{
    bool holds = atomic_load(&holds_reader);
    if (holds)
        atomic_fetch_add(&readers, 1);
    SOON(!holds || !atomic_load(&holds_reader));
    return malloc(size);
}

static void *read_there(void *user)
{
    *(size_t *)user = berth_inherited_count();
    return NULL;
}

static void fork_beside_a_reader(void)
{
    static const berth_allocator slow = {
        .allocate = allocate_slowly, .reallocate = realloc, .release = free};
    size_t counts[2] = {0, 0};
    pthread_t threads[2];
    set_environment(NULL, "1", "http");
    berth_set_allocator(&slow);
    atomic_store(&holds_reader, true);
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, read_there, &counts[i]) == 0);
    SOON(atomic_load(&readers) != 0);
    pid_t child = begin_child();
    if (child == 0) {
        atomic_store(&holds_reader, false);
        MUST(berth_inherited_count() == 0); /* LISTEN_PID is the parent */
        MUST(berth_inherited_count() == 0);
        _exit(0);
    }
    end_child(child);
    atomic_store(&holds_reader, false);
    for (int i = 0; i < 2; i++)
        MUST(pthread_join(threads[i], NULL) == 0 && counts[i] == 1);
    MUST(atomic_load(&readers) == 1);
}

CASE(inherited_while_a_thread_forks, "0103 reliability 23",
     "in the middle of reading the environment: the child reads it itself, and nobody waits for "
     "ever")
{
    real_kernel_only();
    have_child(fork_beside_a_reader);
}
