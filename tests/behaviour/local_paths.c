/*
 * The paths of Unix sockets: what may be one, what is in the place, whose file is removed.
 */
#include "scene.h"

#include "backend/sim.h"

#include <berth/local.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "children.h"

static const berth_local_options replacing = {.replace_stale = true};

static void refuses(struct host *host, const char *path, const berth_local_options *options,
                    berth_error error, const char *reason)
{
    char expected[300];
    ck_assert(!berth_server_listen_local(host->server, path, options));
    snprintf(expected, sizeof expected, "cannot listen on %s: %s",
             path != NULL && path[0] != '\0' ? path : "a Unix socket", reason);
    ck_assert_str_eq(berth_server_error_string(host->server), expected);
    ck_assert_int_eq(berth_server_error(host->server), error);
    ck_assert(!berth_server_is_listening(host->server));
    ck_assert_str_eq(berth_server_local_path(host->server), "");
}

CASE(lengths_of_paths, "Unix", "107 bytes are a path, 108 are none; an abstract name has one more")
{
    char text[BERTH_LOCAL_PATH_SIZE + sizeof ".lock"];
    struct host *host = host_new("h");
    struct actor *actor = actor_new("c");
    const char *path = world_path("");
    refuses(host, NULL, NULL, BERTH_ERROR_UNSUPPORTED_OPERATION, "the path is empty");
    refuses(host, "", NULL, BERTH_ERROR_UNSUPPORTED_OPERATION, "the path is empty");
    refuses(host, "@", NULL, BERTH_ERROR_UNSUPPORTED_OPERATION, "the path is empty");
    memset(text, 'x', sizeof text);
    memcpy(text, path, strlen(path));
    text[108] = '\0';
    ck_assert(!berth_server_listen_local(host->server, text, &replacing));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_ADDRESS_NOT_AVAILABLE);
    ck_assert(!berth_socket_connect_to_local(actor->socket, text));
    ck_assert_int_eq(actor->error, BERTH_ERROR_ADDRESS_NOT_AVAILABLE);
    ck_assert_ptr_nonnull(
        strstr(berth_socket_error_string(actor->socket), ": the path has more than 107 bytes"));
    text[107] = '\0';
    ck_assert(berth_server_listen_local(host->server, text, &replacing));
    ck_assert_str_eq(berth_server_local_path(host->server), text);
    ck_assert(berth_socket_connect_to_local(actor->socket, text));
    UNTIL(actor->connects == 1);
    berth_server_close(host->server);
    ck_assert_int_eq(world_file_at(text), WORLD_NOTHING);
    strcat(text, ".lock");
    (void)unlink(text);
    memset(text, 'x', sizeof text);
    text[0] = '@';
    text[109] = '\0';
    ck_assert(!berth_server_listen_local(host->server, text, NULL));
    text[108] = '\0';
    ck_assert(berth_server_listen_local(host->server, text, NULL));
    ck_assert_str_eq(berth_server_local_path(host->server), text);
    berth_socket_abort(actor->socket);
    ck_assert(berth_socket_connect_to_local(actor->socket, text));
    UNTIL(actor->connects == 2);
}

CASE(nobody_listens_at_a_path, "Unix", "no file, a plain one, a socket of nobody")
{
    const char *path = world_path("a");
    char expected[200];
    struct actor *actor = actor_new("c");
    world_loop();
    ck_assert(!berth_socket_connect_to_local(actor->socket, path));
    ck_assert_int_eq(actor->error, BERTH_ERROR_HOST_NOT_FOUND);
    snprintf(expected, sizeof expected, "cannot connect to %s: no such file or directory", path);
    ck_assert_str_eq(berth_socket_error_string(actor->socket), expected);
    world_put_file(path, WORLD_PLAIN);
    ck_assert(!berth_socket_connect_to_local(actor->socket, path));
    ck_assert_int_eq(actor->error, BERTH_ERROR_CONNECTION_REFUSED);
    world_put_file(path, WORLD_SOCKET);
    ck_assert(!berth_socket_connect_to_local(actor->socket, path));
    ck_assert_int_eq(actor->error, BERTH_ERROR_CONNECTION_REFUSED);
    ck_assert(!berth_socket_connect_to_local(actor->socket, NULL));
    ck_assert_int_eq(actor->error, BERTH_ERROR_UNSUPPORTED_OPERATION);
    ck_assert_str_eq(berth_socket_error_string(actor->socket),
                     "cannot connect to a Unix socket: the path is empty");
}

CASE(things_in_the_place, "Unix", "stay, but for a socket of nobody that is to be replaced")
{
    const char *path = world_path("a");
    struct host *host = host_new("h");
    static const enum world_file kinds[] = {WORLD_PLAIN, WORLD_FOLDER, WORLD_LINK};
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        world_put_file(path, kinds[i]);
        refuses(host, path, NULL, BERTH_ERROR_ADDRESS_IN_USE, "a file already exists there");
        refuses(host, path, &replacing, BERTH_ERROR_ADDRESS_IN_USE,
                "the file there is not a socket");
        ck_assert_int_eq(world_file_at(path), kinds[i]);
    }
    world_put_file(path, WORLD_SOCKET);
    refuses(host, path, NULL, BERTH_ERROR_ADDRESS_IN_USE, "a file already exists there");
    ck_assert_int_eq(world_file_at(path), WORLD_SOCKET);
    ck_assert(berth_server_listen_local(host->server, path, &replacing));
    world_connect_local(path);
    host_take(host);
}

CASE(live_server_in_the_place, "Unix", "is not replaced, and sees a connection begin and end")
{
    const char *path = world_path("a");
    struct host *host = host_new("h");
    struct host *other = host_new("i");
    ck_assert(berth_server_listen_local(host->server, path, &replacing));
    refuses(other, path, &replacing, BERTH_ERROR_ADDRESS_IN_USE, "a server is listening there");
    struct actor *seen = host_take_actor(host, "s");
    UNTIL(seen->disconnects == 1);
    ck_assert(!berth_server_listen_local(host->server, path, &replacing));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_OPERATION);
    ck_assert(berth_server_is_listening(host->server));
    ck_assert(!berth_server_listen(host->server, BERTH_ADDRESS_LOOPBACK, 0));
    world_connect_local(path);
    host_take(host);
}

/* A socket that is bound there. */
static int bound_there(const char *path, int type)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strcpy(name.sun_path, path);
    int descriptor = world_note(socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    ck_assert_int_eq(bind(descriptor, (struct sockaddr *)&name, sizeof name), 0);
    return descriptor;
}

static bool connects_at_once(int descriptor, const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strcpy(name.sun_path, path);
    return connect(descriptor, (struct sockaddr *)&name, sizeof name) == 0;
}

CASE(busy_server_in_the_place, "Unix", "is one, though nobody can connect to it now")
{
    real_kernel_only();
    const char *path = world_path("a");
    struct host *host = host_new("h");
    int listener = bound_there(path, SOCK_STREAM);
    ck_assert_int_eq(listen(listener, 0), 0);
    int waiting[8];
    unsigned count = 0;
    bool room = true;
    for (; count < 8 && room; count++) {
        waiting[count] = world_note(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        room = connects_at_once(waiting[count], path);
    }
    ck_assert(!room);
    refuses(host, path, &replacing, BERTH_ERROR_ADDRESS_IN_USE, "a server is listening there");
    ck_assert_int_eq(world_file_at(path), WORLD_SOCKET);
    while (count > 0)
        close(waiting[--count]);
    close(listener);
}

CASE(other_sockets_in_the_place, "Unix",
     "of datagrams and records are somebody's, if they are open")
{
    real_kernel_only();
    const char *path = world_path("a");
    struct host *host = host_new("h");
    int datagrams = bound_there(path, SOCK_DGRAM);
    refuses(host, path, &replacing, BERTH_ERROR_ADDRESS_IN_USE, "a server is listening there");
    ck_assert_int_eq(world_file_at(path), WORLD_SOCKET);
    close(datagrams);
    ck_assert(berth_server_listen_local(host->server, path, &replacing));
}

CASE(group_of_a_file, "Unix", "is the one that was asked for")
{
    real_kernel_only();
    if (geteuid() != 0)
        case_skip("needs root, to give a file to another group");
    const char *path = world_path("a");
    struct host *host = host_new("h");
    const berth_local_options options = {.mode = 0660, .group = 65534, .set_group = true};
    struct stat status;
    ck_assert(berth_server_listen_local(host->server, path, &options));
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_gid, 65534);
    ck_assert_uint_eq(status.st_mode & 0777, 0660);
}

CASE(places_without_a_way_to_them, "Unix", "no directory, no permission, no space on the disk")
{
    struct host *host = host_new("h");
    world_loop();
    if (!world_is_simulated()) {
        char path[] = "/tmp/berth-no-such-folder/a";
        refuses(host, path, NULL, BERTH_ERROR_ADDRESS_NOT_AVAILABLE, "no such file or directory");
        refuses(host, path, &replacing, BERTH_ERROR_ADDRESS_NOT_AVAILABLE,
                "cannot lock its lock file: no such file or directory");
        refuses(host, "/dev/null/a", NULL, BERTH_ERROR_ADDRESS_NOT_AVAILABLE,
                "a part of the path is not a directory");
        return;
    }
    refuses(host, "/missing/a", NULL, BERTH_ERROR_ADDRESS_NOT_AVAILABLE,
            "no such file or directory");
    refuses(host, "/forbidden/a", NULL, BERTH_ERROR_SOCKET_ACCESS, "permission denied");
    refuses(host, "/full/a", NULL, BERTH_ERROR_SOCKET_RESOURCE, "no space left on the device");
}

CASE(file_of_a_server, "Unix", "has its mode, goes with the listening, and is made anew")
{
    const char *path = world_path("a");
    struct host *host = host_new("h");
    berth_local_options options = {.mode = 0666};
    for (int i = 0; i < 2; i++) {
        ck_assert(berth_server_listen_local(host->server, path, &options));
        ck_assert_int_eq(world_file_at(path), WORLD_SOCKET);
        ck_assert_uint_eq(world_mode_of(path), 0666);
        berth_server_close(host->server);
        ck_assert_int_eq(world_file_at(path), WORLD_NOTHING);
    }
    options.mode = 0600;
    options.set_group = true;
    options.group = getgid();
    ck_assert(berth_server_listen_local(host->server, path, &options));
    ck_assert_uint_eq(world_mode_of(path), 0600);
    berth_server_close(host->server);
    options.mode = 660; /* where 0660 was meant */
    refuses(host, path, &options, BERTH_ERROR_UNSUPPORTED_OPERATION,
            "a mode of 01224 is more than 0777");
    options.mode = 01000;
    refuses(host, path, &options, BERTH_ERROR_UNSUPPORTED_OPERATION,
            "a mode of 01000 is more than 0777");
    ck_assert_int_eq(world_file_at(path), WORLD_NOTHING);
    options.mode = 0777;
    ck_assert(berth_server_listen_local(host->server, path, &options));
    berth_server_free(host->server);
    ck_assert_int_eq(world_file_at(path), WORLD_NOTHING);
}

CASE(file_that_is_kept, "Unix", "as asked for, and where another has taken the place")
{
    const char *path = world_path("a");
    struct host *host = host_new("h");
    berth_local_options options = {.keep_file = true};
    ck_assert(berth_server_listen_local(host->server, path, &options));
    berth_server_close(host->server);
    ck_assert_int_eq(world_file_at(path), WORLD_SOCKET);
    ck_assert(berth_server_listen_local(host->server, path, &replacing));
    world_put_file(path, WORLD_NOTHING);
    struct host *other = host_new("i");
    ck_assert(berth_server_listen_local(other->server, path, NULL));
    berth_server_close(host->server);
    ck_assert_int_eq(world_file_at(path), WORLD_SOCKET);
    world_connect_local(path);
    host_take(other);
    world_put_file(path, WORLD_PLAIN);
    berth_server_close(other->server);
    ck_assert_int_eq(world_file_at(path), WORLD_PLAIN);
}

CASE(file_of_an_adopted_listener, "Unix", "is somebody else's")
{
    const char *path = world_path("a");
    struct host *host = host_new("h");
    world_loop();
    ck_assert(berth_server_set_descriptor(host->server, world_local_listener_descriptor(path)));
    ck_assert_str_eq(berth_server_local_path(host->server), path);
    ck_assert_int_eq(berth_server_address(host->server).family, BERTH_ADDRESS_FAMILY_LOCAL);
    struct peer *peer = world_connect_local(path);
    struct actor *actor = host_take_actor(host, "s");
    peer_say(peer, "hello");
    UNTIL(actor_has(actor, "hello"));
    berth_server_close(host->server);
    ck_assert_int_eq(world_file_at(path), WORLD_SOCKET);
}

/* In place of the C library's: notes whether somebody listens at the path until then. */
static struct {
    bool looks;
    unsigned calls;
    unsigned alive;
} removals;

int unlink(const char *path) /* NOLINT(readability-inconsistent-declaration-parameter-name) */
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int probe = removals.looks ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (probe >= 0) {
        snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
        removals.calls++;
        removals.alive += connect(probe, (struct sockaddr *)&name, sizeof name) == 0;
        close(probe);
    }
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

CASE(file_goes_before_its_listener, "Unix",
     "else another could take the place between, and its file get the number of the one before")
{
    real_kernel_only();
    const char *path = world_path("a");
    struct host *host = host_new("h");
    ck_assert(berth_server_listen_local(host->server, path, &replacing));
    removals.looks = true;
    berth_server_close(host->server);
    removals.looks = false;
    ck_assert_uint_eq(removals.calls, 1);
    ck_assert_uint_eq(removals.alive, 1);
    ck_assert_int_eq(world_file_at(path), WORLD_NOTHING);
}

CASE(listener_of_a_path_is_shut, "Unix", "by another holder: one error, and listening again works")
{
    const char *path = world_path("a");
    char expected[200];
    struct host *host = host_new("h");
    world_loop();
    int descriptor = world_local_listener_descriptor(path);
    ck_assert(berth_server_set_descriptor(host->server, descriptor));
    world_turn();
    world_shut_listener(descriptor);
    UNTIL(host->accept_errors == 1);
    snprintf(expected, sizeof expected,
             "no longer listening on %s: the socket was shut down from outside", path);
    ck_assert_str_eq(berth_server_error_string(host->server), expected);
    ck_assert(!berth_server_is_listening(host->server));
    ck_assert(berth_server_listen_local(host->server, path, &replacing));
    world_connect_local(path);
    host_take(host);
}

CASE(another_is_being_started, "Unix", "its lock is held: nothing in the place is touched")
{
    const char *path = world_path("a");
    struct host *host = host_new("h");
    world_loop();
    world_put_file(path, WORLD_SOCKET);
    if (world_is_simulated()) {
        berth__sim_lock_file(world_sim(), path);
        refuses(host, path, &replacing, BERTH_ERROR_ADDRESS_IN_USE,
                "another server is being started there");
        ck_assert_int_eq(world_file_at(path), WORLD_SOCKET);
        return;
    }
    char lock[200];
    snprintf(lock, sizeof lock, "%s.lock", path);
    int held = world_note(open(lock, O_RDONLY | O_CREAT | O_CLOEXEC, 0600));
    ck_assert_int_eq(flock(held, LOCK_EX), 0);
    refuses(host, path, &replacing, BERTH_ERROR_ADDRESS_IN_USE,
            "another server is being started there");
    ck_assert_int_eq(world_file_at(path), WORLD_SOCKET);
    close(held);
    ck_assert(berth_server_listen_local(host->server, path, &replacing));
}

CASE(lock_that_is_none, "Unix",
     "a folder, a link, a pipe or a socket in its place: nothing is opened")
{
    real_kernel_only();
    const char *path = world_path("a");
    char lock[200];
    struct host *host = host_new("h");
    snprintf(lock, sizeof lock, "%s.lock", path);
    ck_assert_int_eq(mkdir(lock, 0700), 0);
    ck_assert(!berth_server_listen_local(host->server, path, &replacing));
    ck_assert_int_eq(rmdir(lock), 0);
    ck_assert_int_eq(symlink("/dev/null", lock), 0);
    ck_assert(!berth_server_listen_local(host->server, path, &replacing));
    ck_assert_int_eq(unlink(lock), 0);
    ck_assert_int_eq(mkfifo(lock, 0600), 0);
    refuses(host, path, &replacing, BERTH_ERROR_ADDRESS_IN_USE,
            "its lock file is not a plain file");
    ck_assert_int_eq(unlink(lock), 0);
    ck_assert(berth_server_listen_local(host->server, lock, NULL));
    struct host *other = host_new("o");
    refuses(other, path, &replacing, BERTH_ERROR_ADDRESS_IN_USE,
            "its lock file is not a plain file");
    ck_assert_int_eq(world_file_at(path), WORLD_NOTHING);
}

static const char *child_path;

static void free_all(void)
{
    berth_loop_free(world_loop());
}

static void serve_on(void)
{
    MUST(berth_loop_after_fork(world_loop()));
    berth_loop_free(world_loop());
}

CASE(children_leave_the_file, "Unix fork", "whether they serve on or only close their copies")
{
    real_kernel_only();
    child_path = world_path("a");
    struct host *host = host_new("h");
    ck_assert(berth_server_listen_local(host->server, child_path, NULL));
    have_child(free_all);
    ck_assert_int_eq(world_file_at(child_path), WORLD_SOCKET);
    have_child(serve_on);
    ck_assert_int_eq(world_file_at(child_path), WORLD_SOCKET);
    world_connect_local(child_path);
    host_take(host);
    berth_server_close(host->server);
    ck_assert_int_eq(world_file_at(child_path), WORLD_NOTHING);
}

/* Many at once, of which each would be the server: one is, and its file is there. It stays until
 * all have tried. */
static void start_there(int tried, int until)
{
    char byte = 0;
    berth_server *server = berth_server_new(NULL, NULL, NULL);
    MUST(server != NULL);
    bool listening = berth_server_listen_local(server, child_path, &replacing);
    MUST(write(tried, &byte, 1) == 1);
    if (!listening)
        _exit(berth_server_error(server) == BERTH_ERROR_ADDRESS_IN_USE ? 3 : 1);
    MUST(read(until, &byte, 1) == 1);
    _exit(access(child_path, F_OK) == 0 ? 0 : 1);
}

static int status_of(pid_t child)
{
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

CASE(starters_at_once, "Unix", "one of them listens, and the others say that the place is taken")
{
    real_kernel_only();
    enum {
        STARTERS = 8
    };
    pid_t starters[STARTERS];
    unsigned listening = 0;
    int tried[2], until[2];
    char bytes[STARTERS] = {0};
    child_path = world_path("a");
    world_put_file(child_path, WORLD_SOCKET);
    begin_pipe(tried);
    begin_pipe(until);
    for (unsigned i = 0; i < STARTERS; i++) {
        starters[i] = begin_child();
        if (starters[i] == 0)
            start_there(tried[1], until[0]);
    }
    close(tried[1]); /* a child may fail */
    for (unsigned i = 0; i < STARTERS; i++)
        ck_assert_int_eq(read(tried[0], bytes, 1), 1);
    ck_assert_int_eq(write(until[1], bytes, STARTERS), STARTERS);
    for (unsigned i = 0; i < STARTERS; i++) {
        int status = status_of(starters[i]);
        ck_assert(status == 0 || status == 3);
        listening += status == 0;
    }
    close(tried[0]);
    close(until[0]);
    close(until[1]);
    ck_assert_uint_eq(listening, 1);
}
