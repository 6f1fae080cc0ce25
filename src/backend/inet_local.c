/*
 * Unix-domain sockets of the two kernel backends: listening on a path, connecting, and what can be
 * asked of them.
 *
 * Listening on a path, in order: bind, which makes the file; its group and mode, through
 * a descriptor of the file itself, so that nothing that takes its place meanwhile is touched;
 * listen. Nobody can connect before listen, so the file has its permissions in time, and the
 * process's umask is left alone.
 *
 * A file that exists may be replaced if it is a socket and nobody listens there. A connect shows
 * that: a full backlog answers EAGAIN, a socket that no process has open ECONNREFUSED. A socket
 * that is bound but does not listen yet answers ECONNREFUSED, too. Therefore servers that start
 * there exclude each other by a lock on a file PATH.lock, from before bind until after listen. The
 * lock file stays: if it were removed, two processes could lock two files of the same name. The
 * stale file is removed if it is still the one that was tried. A server that does not take the lock
 * can replace it between that check and the removal; no call does both.
 *
 * Failures are errno values with the step; nothing stays open, and a file that was made is removed.
 */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/system.h"
#include "inet.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* from Linux 6.16 on */
#endif

enum {
    MOMENT = 200 /* milliseconds */
};

/* ---- questions ------------------------------------------------------------------------------- */

static int get(int descriptor, int name, int *ret_value)
{
    socklen_t length = sizeof *ret_value;
    *ret_value = 0;
    return BERTH__SYSTEM("getsockopt",
                         getsockopt(descriptor, SOL_SOCKET, name, ret_value, &length));
}

bool berth__inet_is_local(int descriptor)
{
    int domain = AF_UNSPEC;
    return get(descriptor, SO_DOMAIN, &domain) == 0 && domain == AF_UNIX;
}

/* The kernel ends a receive behind bytes that came with descriptors, and between writers if it is
 * to say who they were. */
bool berth__inet_is_parcelled(int descriptor)
{
    int rights = 1, credentials = 1;
    return get(descriptor, SO_PASSRIGHTS, &rights) < 0 || rights != 0 ||
           get(descriptor, SO_PASSCRED, &credentials) < 0 || credentials != 0;
}

bool berth__inet_was_shut(int descriptor)
{
    struct pollfd asked = {.fd = descriptor, .events = POLLRDHUP};
    return BERTH__SYSTEM("poll", poll(&asked, 1, 0)) > 0 && (asked.revents & POLLRDHUP) != 0;
}

void berth__inet_cut_input(int descriptor)
{
    if (berth__inet_is_local(descriptor))
        (void)BERTH__SYSTEM("shutdown", shutdown(descriptor, SHUT_RD));
}

int berth__common_local_name(berth__backend *backend, int descriptor, berth__local_name *ret_name)
{
    (void)backend;
    struct sockaddr_un address = {.sun_family = AF_UNSPEC};
    socklen_t length = sizeof address;
    if (BERTH__SYSTEM("getsockname",
                      getsockname(descriptor, (struct sockaddr *)&address, &length)) < 0)
        return errno;
    if (address.sun_family != AF_UNIX)
        return EAFNOSUPPORT;
    size_t size = length > offsetof(struct sockaddr_un, sun_path)
                      ? length - offsetof(struct sockaddr_un, sun_path)
                      : 0;
    size = size < sizeof address.sun_path ? size : sizeof address.sun_path;
    if (size > 0 && address.sun_path[0] != '\0')
        size = strnlen(address.sun_path, size); /* a path counts with its terminator */
    *ret_name = (berth__local_name){.size = (uint8_t)size};
    memcpy(ret_name->bytes, address.sun_path, size);
    return 0;
}

int berth__common_credentials(berth__backend *backend, int descriptor,
                              berth_credentials *ret_credentials)
{
    (void)backend;
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (!berth__inet_is_local(descriptor))
        return EOPNOTSUPP;
    if (BERTH__SYSTEM("getsockopt",
                      getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length)) < 0)
        return errno;
    *ret_credentials = (berth_credentials){.pid = peer.pid, .uid = peer.uid, .gid = peer.gid};
    return 0;
}

/* ---- making sockets -------------------------------------------------------------------------- */

typedef struct place {
    struct sockaddr_un address;
    socklen_t length;
} place;

static place place_of(const berth__local_name *name)
{
    place made;
    made.length = berth__local_name_address(name, &made.address);
    return made;
}

/* Closes without a word, and keeps errno. */
static void drop(int descriptor)
{
    int kept = errno;
    (void)close(descriptor);
    errno = kept;
}

static int open_socket(bool *ret_parcelled)
{
    int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    int descriptor = BERTH__SYSTEM("socket", socket(AF_UNIX, type, 0));
    int off = 0;
    /* Nobody would take the descriptors. What is accepted inherits it. */
    if (descriptor >= 0)
        *ret_parcelled =
            BERTH__SYSTEM("setsockopt",
                          setsockopt(descriptor, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof off)) < 0;
    return descriptor;
}

static int connect_to(int descriptor, const place *target)
{
    const struct sockaddr *name = (const struct sockaddr *)&target->address;
    int failed;
    do {
        failed = BERTH__SYSTEM("connect", connect(descriptor, name, target->length));
    } while (failed < 0 && errno == EINTR);
    return failed < 0 ? errno : 0;
}

int berth__inet_connect_local(const berth__local_name *name, const berth__options *options,
                              int *ret_descriptor, bool *ret_parcelled)
{
    place target = place_of(name);
    int descriptor = open_socket(ret_parcelled);
    if (descriptor < 0)
        return errno;
    int error = berth__inet_set_options(descriptor, options);
    if (error == 0)
        error = connect_to(descriptor, &target);
    if (error == 0)
        *ret_descriptor = descriptor;
    else
        drop(descriptor);
    return error;
}

/* ---- the place of a listener ----------------------------------------------------------------- */

/* Returns an errno; EWOULDBLOCK: another has it. */
static int take_lock(const berth__local_name *name, int *ret_lock)
{
    char path[BERTH__LOCAL_NAME_SIZE + sizeof ".lock"];
    struct stat status = {0};
    (void)snprintf(path, sizeof path, "%.*s.lock", (int)name->size, name->bytes);
    int flags = O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    int lock = BERTH__SYSTEM("open", open(path, flags, 0600));
    if (lock < 0)
        return errno;
    int error = BERTH__SYSTEM("fstat", fstat(lock, &status)) < 0 ? errno : 0;
    if (error == 0 && !S_ISREG(status.st_mode))
        error = EEXIST;
    if (error == 0 && BERTH__SYSTEM("flock", flock(lock, LOCK_EX | LOCK_NB)) < 0)
        error = errno;
    if (error == 0)
        *ret_lock = lock;
    else
        drop(lock);
    return error;
}

/* Unlocked first: a child that was forked meanwhile may have a copy of the descriptor. */
static void give_lock(int lock)
{
    if (lock < 0)
        return;
    (void)flock(lock, LOCK_UN);
    (void)close(lock);
}

/* A ring lets go of a listener a moment after its process has ended (6.18): it still takes
 * connections, and resets them then. Waits for that if whoever began to listen exists no longer. */
static bool is_dying(int descriptor)
{
    struct pollfd asked = {.fd = descriptor};
    berth_credentials who = {0};
    if (berth__common_credentials(NULL, descriptor, &who) != 0 ||
        (who.pid > 0 && (kill(who.pid, 0) == 0 || errno != ESRCH)))
        return false;
    return BERTH__SYSTEM("poll", poll(&asked, 1, MOMENT)) > 0 &&
           berth__inet_error_of(descriptor) == ECONNRESET;
}

/* Connects there. Returns an errno; EINPROGRESS if there is to be another look. */
static int try_to_connect(const place *target)
{
    bool parcelled;
    int descriptor = open_socket(&parcelled);
    if (descriptor < 0)
        return errno;
    int error = connect_to(descriptor, target);
    if (error == 0 && is_dying(descriptor))
        error = EINPROGRESS;
    drop(descriptor);
    return error;
}

/* Whether somebody listens there: EADDRINUSE; 0 if not; or why that is not known. */
static int probe(const place *target)
{
    int error = try_to_connect(target);
    if (error == EINPROGRESS)
        error = try_to_connect(target);
    if (error == ECONNREFUSED)
        return 0;
    bool listens = error == 0 || error == EINPROGRESS || error == EAGAIN || error == EPROTOTYPE;
    return listens ? EADDRINUSE : error;
}

static int look_at(const char *path, struct stat *ret_status)
{
    return BERTH__SYSTEM("lstat", lstat(path, ret_status)) < 0 ? errno : 0;
}

static bool is_same(const struct stat *status, const berth__local_file *file)
{
    return S_ISSOCK(status->st_mode) && (uint64_t)status->st_dev == file->device &&
           (uint64_t)status->st_ino == file->inode;
}

static berth__local_file file_of(const struct stat *status)
{
    return (berth__local_file){.device = (uint64_t)status->st_dev,
                               .inode = (uint64_t)status->st_ino};
}

/* Removes a socket at which nobody listens. Returns an errno; 0 also if the place is free. */
static int clear_place(const place *target, berth__local_step *ret_step)
{
    const char *path = target->address.sun_path;
    struct stat status = {0};
    *ret_step = BERTH__LOCAL_PLACE;
    int error = look_at(path, &status);
    if (error == 0 && !S_ISSOCK(status.st_mode))
        error = EEXIST;
    berth__local_file tried = file_of(&status);
    if (error == 0) {
        *ret_step = BERTH__LOCAL_PROBE;
        error = probe(target);
    }
    if (error == 0) {
        *ret_step = BERTH__LOCAL_REMOVE;
        error = look_at(path, &status);
    }
    if (error == 0 && !is_same(&status, &tried))
        error = EADDRINUSE;
    if (error == 0 && BERTH__SYSTEM("unlink", unlink(path)) < 0)
        error = errno;
    return error == ENOENT ? 0 : error;
}

void berth__common_remove_local(berth__backend *backend, const berth__local_name *name,
                                const berth__local_file *file)
{
    (void)backend;
    place made = place_of(name);
    struct stat status = {0};
    if (file->inode != 0 && look_at(made.address.sun_path, &status) == 0 && is_same(&status, file))
        (void)BERTH__SYSTEM("unlink", unlink(made.address.sun_path));
}

/* By its own descriptor, for which there is no such call but by way of /proc. */
static int set_mode(int file, uint32_t mode)
{
    char path[sizeof "/proc/self/fd/" + 10];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return BERTH__SYSTEM("chmod", chmod(path, mode & 0777)) < 0 ? errno : 0;
}

static int dress_open(int file, const berth_local_options *options, berth__local_file *ret_file,
                      berth__local_step *ret_step)
{
    struct stat status = {0};
    if (BERTH__SYSTEM("fstat", fstat(file, &status)) < 0)
        return errno;
    if (!S_ISSOCK(status.st_mode))
        return EADDRINUSE; /* somebody has put it there meanwhile */
    *ret_file = file_of(&status);
    *ret_step = BERTH__LOCAL_GROUP;
    if (options->set_group &&
        BERTH__SYSTEM("fchownat", fchownat(file, "", (uid_t)-1, options->group, AT_EMPTY_PATH)) < 0)
        return errno;
    *ret_step = BERTH__LOCAL_MODE;
    return options->mode != 0 ? set_mode(file, options->mode) : 0;
}

/* Gives the file that bind has made its group and mode, and notes which it is. */
static int dress(const char *path, const berth_local_options *options, berth__local_file *ret_file,
                 berth__local_step *ret_step)
{
    *ret_step = BERTH__LOCAL_PLACE;
    int file = BERTH__SYSTEM("open", open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (file < 0)
        return errno;
    int error = dress_open(file, options, ret_file, ret_step);
    drop(file);
    return error;
}

/* ---- listening ------------------------------------------------------------------------------- */

static int bind_to(int descriptor, const place *target)
{
    const struct sockaddr *name = (const struct sockaddr *)&target->address;
    return BERTH__SYSTEM("bind", bind(descriptor, name, target->length)) < 0 ? errno : 0;
}

/* Binds, and gives up `spare`, if there is one: from then on a descriptor is needed to know the
 * file, and without it nobody could remove that. */
static int bind_and_listen(int descriptor, int spare, const berth__local_listen *options,
                           berth__local_file *ret_file, berth__local_step *ret_step)
{
    place target = place_of(&options->name);
    bool path = !berth__local_is_abstract(&options->name);
    *ret_step = BERTH__LOCAL_BIND;
    int error = bind_to(descriptor, &target);
    if (error == EADDRINUSE && path && options->options.replace_stale) {
        error = clear_place(&target, ret_step);
        if (error == 0) {
            *ret_step = BERTH__LOCAL_BIND;
            error = bind_to(descriptor, &target);
        }
    }
    if (spare >= 0)
        drop(spare);
    if (error == 0 && path)
        error = dress(target.address.sun_path, &options->options, ret_file, ret_step);
    if (error != 0)
        return error;
    *ret_step = BERTH__LOCAL_LISTEN;
    return BERTH__SYSTEM("listen", listen(descriptor, options->backlog)) < 0 ? errno : 0;
}

int berth__common_listen_local(berth__listener *listener, const berth__local_listen *options,
                               int *ret_descriptor, berth__local_file *ret_file,
                               berth__local_step *ret_step)
{
    bool path = !berth__local_is_abstract(&options->name);
    int lock = -1;
    int error = 0;
    *ret_file = (berth__local_file){0};
    *ret_step = BERTH__LOCAL_LOCK;
    if (path && options->options.replace_stale)
        error = take_lock(&options->name, &lock);
    if (error != 0)
        return error;
    *ret_step = BERTH__LOCAL_CREATE;
    int descriptor = open_socket(&listener->parcelled);
    int spare = descriptor;
    if (descriptor >= 0 && path)
        spare = BERTH__SYSTEM("fcntl", fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
    if (spare < 0)
        error = errno;
    else
        error = bind_and_listen(descriptor, path ? spare : -1, options, ret_file, ret_step);
    if (error != 0 && descriptor >= 0) {
        berth__common_remove_local(NULL, &options->name, ret_file); /* first: see server_local.c */
        drop(descriptor);
    }
    give_lock(lock);
    if (error != 0)
        return error;
    listener->local = true;
    *ret_descriptor = descriptor;
    return 0;
}
