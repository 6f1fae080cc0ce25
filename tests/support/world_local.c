/*
 * Unix sockets of the world, on both kernels, and the files they are at.
 *
 * The real ones lie in the folder for temporary files, under names that no other process has; what
 * is left of them, and of the locks beside them, is removed at the end.
 */
#include "case.h"
#include "world_side.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MOST_PATHS 16
#define MOST_LISTENERS 8

static char paths[MOST_PATHS][100];
static unsigned path_count;
static pid_t owner; /* of the paths: not a child that a case forks */

static struct {
    int descriptor;
    char path[110];
} listeners[MOST_LISTENERS];
static unsigned listener_count;

/* ---- paths ----------------------------------------------------------------------------------- */

static void remove_file(const char *path)
{
    if (unlink(path) < 0 && (errno == EISDIR || errno == EPERM))
        rmdir(path);
}

static void remove_path(const char *path)
{
    char lock[sizeof paths[0] + sizeof ".lock"];
    snprintf(lock, sizeof lock, "%s.lock", path);
    remove_file(path);
    remove_file(lock);
}

const char *world_path(const char *name)
{
    ck_assert_uint_lt(path_count, MOST_PATHS);
    char *path = paths[path_count++];
    owner = getpid();
    int length =
        snprintf(path, sizeof paths[0], "/tmp/berth-%d-%u-%s", (int)getpid(), path_count, name);
    ck_assert_int_lt(length, (int)sizeof paths[0]);
    remove_path(path); /* of a process that was killed, and had this number */
    return path;
}

/* Also of a case that has failed. */
__attribute__((destructor)) static void remove_files(void)
{
    if (owner != getpid())
        return;
    while (path_count > 0)
        remove_path(paths[--path_count]);
}

void world_end_local(void)
{
    while (listener_count > 0)
        close(listeners[--listener_count].descriptor);
    remove_files();
}

static socklen_t to_sockaddr(const char *path, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t size = strlen(path);
    ck_assert_uint_lt(size, sizeof ret->sun_path + 1);
    memcpy(ret->sun_path, path, size);
    if (path[0] == '@')
        ret->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (path[0] != '@'));
}

static int new_socket(void)
{
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_ge(descriptor, 0);
    return descriptor;
}

/* ---- files ----------------------------------------------------------------------------------- */

void world_put_file(const char *path, enum world_file kind)
{
    static const berth__sim_file simulated[] = {
        [WORLD_NOTHING] = BERTH__SIM_NOTHING, [WORLD_SOCKET] = BERTH__SIM_SOCKET,
        [WORLD_PLAIN] = BERTH__SIM_PLAIN,     [WORLD_FOLDER] = BERTH__SIM_FOLDER,
        [WORLD_LINK] = BERTH__SIM_LINK,
    };
    if (world_is_simulated()) {
        berth__sim_put_file(world_sim(), path, simulated[kind]);
        return;
    }
    remove_file(path);
    if (kind == WORLD_PLAIN) {
        close(open(path, O_CREAT | O_EXCL | O_CLOEXEC | O_WRONLY, 0600));
    } else if (kind == WORLD_FOLDER) {
        ck_assert_int_eq(mkdir(path, 0700), 0);
    } else if (kind == WORLD_LINK) {
        ck_assert_int_eq(symlink("/dev/null", path), 0);
    } else if (kind == WORLD_SOCKET) {
        struct sockaddr_un address;
        socklen_t length = to_sockaddr(path, &address);
        int descriptor = new_socket();
        ck_assert_int_eq(bind(descriptor, (struct sockaddr *)&address, length), 0);
        close(descriptor);
    }
}

enum world_file world_file_at(const char *path)
{
    if (world_is_simulated()) {
        static const enum world_file kinds[] = {
            [BERTH__SIM_NOTHING] = WORLD_NOTHING, [BERTH__SIM_SOCKET] = WORLD_SOCKET,
            [BERTH__SIM_PLAIN] = WORLD_PLAIN,     [BERTH__SIM_FOLDER] = WORLD_FOLDER,
            [BERTH__SIM_LINK] = WORLD_LINK,
        };
        return kinds[berth__sim_file_at(world_sim(), path, NULL)];
    }
    struct stat status;
    if (lstat(path, &status) < 0)
        return WORLD_NOTHING;
    return S_ISSOCK(status.st_mode)  ? WORLD_SOCKET
           : S_ISDIR(status.st_mode) ? WORLD_FOLDER
           : S_ISLNK(status.st_mode) ? WORLD_LINK
                                     : WORLD_PLAIN;
}

unsigned world_mode_of(const char *path)
{
    uint32_t mode = 0;
    struct stat status;
    if (world_is_simulated())
        (void)berth__sim_file_at(world_sim(), path, &mode);
    else if (lstat(path, &status) == 0)
        mode = status.st_mode & 0777;
    return mode;
}

/* ---- peers ----------------------------------------------------------------------------------- */

struct peer *world_try_local(const char *path)
{
    struct peer *fresh = world_new_peer();
    int error = 0;
    if (world_is_simulated()) {
        fresh->end = berth__sim_connect_local(world_sim(), path, (uint32_t)getuid(), &error);
    } else {
        struct sockaddr_un address;
        socklen_t length = to_sockaddr(path, &address);
        fresh->descriptor = new_socket();
        if (connect(fresh->descriptor, (struct sockaddr *)&address, length) < 0)
            error = errno;
    }
    if (error == 0)
        return fresh;
    peer_close(fresh);
    errno = error;
    return NULL;
}

struct peer *world_connect_local(const char *path)
{
    struct peer *fresh = world_try_local(path);
    ck_assert_msg(fresh != NULL, "cannot connect to %s: %s", path, strerror(errno));
    return fresh;
}

static int open_listener(const char *path, int backlog)
{
    struct sockaddr_un address;
    socklen_t length = to_sockaddr(path, &address);
    int descriptor = new_socket();
    ck_assert_int_eq(bind(descriptor, (struct sockaddr *)&address, length), 0);
    ck_assert_int_eq(listen(descriptor, backlog), 0);
    return descriptor;
}

void world_listen_local(const char *path, int backlog)
{
    if (world_is_simulated()) {
        ck_assert_int_eq(berth__sim_open_local(world_sim(), path, backlog), 0);
        return;
    }
    ck_assert_uint_lt(listener_count, MOST_LISTENERS);
    listeners[listener_count].descriptor = open_listener(path, backlog);
    strcpy(listeners[listener_count++].path, path);
}

static int find(const char *path)
{
    for (unsigned i = 0; i < listener_count; i++) {
        if (strcmp(listeners[i].path, path) == 0)
            return (int)i;
    }
    return -1;
}

static bool accept_now(struct peer *peer, const char *path)
{
    if (world_is_simulated()) {
        peer->end = berth__sim_accept_local(world_sim(), path);
        return peer->end != NULL;
    }
    int place = find(path);
    if (place >= 0)
        peer->descriptor =
            accept4(listeners[place].descriptor, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return peer->descriptor >= 0;
}

struct peer *world_accept_local(const char *path)
{
    struct peer *fresh = world_new_peer();
    for (int turns = 0; turns < WORLD_TURNS; turns++) {
        if (accept_now(fresh, path))
            return fresh;
        world_turn();
    }
    peer_close(fresh);
    return NULL;
}

void world_unlisten_local(const char *path)
{
    if (world_is_simulated()) {
        berth__sim_unlisten_local(world_sim(), path);
        return;
    }
    int place = find(path);
    if (place < 0)
        return;
    close(listeners[place].descriptor);
    listeners[place] = listeners[--listener_count];
}

int world_local_listener_descriptor(const char *path)
{
    return world_note(world_is_simulated() ? berth__sim_local_listener_descriptor(world_sim(), path)
                                           : open_listener(path, 50));
}

int world_local_descriptor(struct peer **ret_peer)
{
    int ends[2];
    *ret_peer = world_new_peer();
    if (world_is_simulated()) {
        (*ret_peer)->end = berth__sim_local_pair(world_sim(), &ends[0]);
        return world_note(ends[0]);
    }
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    ck_assert_int_eq(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    (*ret_peer)->descriptor = ends[1];
    return world_note(ends[0]);
}
