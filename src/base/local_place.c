/*
 * Listening on a name of a Unix socket.
 *
 * On a path, in order: the mode of the socket, which its file then has from the beginning, but for
 * what the umask takes away; bind, which makes the file; its group and mode, through a descriptor
 * of the file itself, so that nothing that takes its place meanwhile is touched; listen. Nobody can
 * connect before listen, so the file has its permissions in time, and the process's umask is left
 * alone.
 *
 * A file that exists may be replaced if it is a socket and nobody listens there. A connect shows
 * that: a full backlog answers EAGAIN, a socket that no process has open ECONNREFUSED. A socket
 * that is bound but does not listen yet answers ECONNREFUSED, too. Therefore those who start there
 * exclude each other by a lock on a file PATH.lock, from before bind until after listen. The lock
 * file stays: if it were removed, two processes could lock two files of the same name. The stale
 * file is removed if it is still the one that was tried. Whoever does not take the lock can replace
 * it between that check and the removal; no call does both.
 *
 * Failures are errno values with the step; a file that was made is removed.
 */
#include "local_place.h"

#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

typedef struct place {
    struct sockaddr_un address;
    socklen_t length;
    int type; /* of the socket that is to listen there */
} place;

/* Closes without a word, and keeps errno. */
static void drop(int descriptor)
{
    int kept = errno;
    (void)close(descriptor);
    errno = kept;
}

/* ---- the lock -------------------------------------------------------------------------------- */

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

/* ---- whether somebody listens ---------------------------------------------------------------- */

static int connect_to(int descriptor, const place *target)
{
    const struct sockaddr *name = (const struct sockaddr *)&target->address;
    int failed;
    do {
        failed = BERTH__SYSTEM("connect", connect(descriptor, name, target->length));
    } while (failed < 0 && errno == EINTR);
    return failed < 0 ? errno : 0;
}

int berth__local_connect(int descriptor, const berth__local_name *name)
{
    place target = {0};
    target.length = berth__local_name_address(name, &target.address);
    return connect_to(descriptor, &target);
}

static int error_of(int descriptor)
{
    int error = 0;
    socklen_t length = sizeof error;
    int failed =
        BERTH__SYSTEM("getsockopt", getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length));
    return failed < 0 ? errno : error;
}

/* Waits for up to so many milliseconds, which no signal cuts short: all are blocked meanwhile. */
static bool is_found(struct pollfd *asked, int milliseconds)
{
    const struct timespec time = {.tv_sec = milliseconds / 1000,
                                  .tv_nsec = milliseconds % 1000 * 1000000L};
    sigset_t all;
    (void)sigfillset(&all);
    return BERTH__SYSTEM("ppoll", ppoll(asked, 1, &time, &all)) > 0;
}

bool berth__local_has_ended(pid_t number, int milliseconds)
{
    if (number == getpid())
        return false;
    int process = BERTH__SYSTEM("pidfd_open", (int)syscall(SYS_pidfd_open, (long)number, 0L));
    if (process < 0) /* not permitted, or older than Linux 5.3 */
        return kill(number, 0) < 0 && errno == ESRCH;
    struct pollfd asked = {.fd = process, .events = POLLIN};
    bool ended = is_found(&asked, milliseconds);
    (void)close(process);
    return ended;
}

/* A ring lets go of a listener a moment after its process has ended (6.18): it still takes
 * connections, and resets them then. */
bool berth__local_is_dying(int connection, int milliseconds)
{
    struct pollfd asked = {.fd = connection};
    struct ucred who = {0};
    socklen_t length = sizeof who;
    if (BERTH__SYSTEM("getsockopt",
                      getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &who, &length)) < 0 ||
        (who.pid > 0 && !berth__local_has_ended(who.pid, 0)))
        return false;
    return is_found(&asked, milliseconds) && error_of(connection) == ECONNRESET;
}

/* Connects there. Returns an errno; EINPROGRESS if there is to be another look. */
static int try_to_connect(const place *target)
{
    int type = target->type | SOCK_CLOEXEC | SOCK_NONBLOCK;
    int descriptor = BERTH__SYSTEM("socket", socket(AF_UNIX, type, 0));
    if (descriptor < 0)
        return errno;
    int error = connect_to(descriptor, target);
    if (error == 0 && berth__local_is_dying(descriptor, BERTH__DYING_MOMENT))
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

/* ---- the file -------------------------------------------------------------------------------- */

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

void berth__local_place_leave(const berth__local_name *name, const berth__local_file *file)
{
    struct sockaddr_un address;
    struct stat status = {0};
    (void)berth__local_name_address(name, &address);
    if (file->inode != 0 && look_at(address.sun_path, &status) == 0 && is_same(&status, file))
        (void)BERTH__SYSTEM("unlink", unlink(address.sun_path));
}

/* By its own descriptor, for which there is no such call but by way of /proc. */
static int set_mode(int file, uint32_t mode)
{
    char path[sizeof "/proc/self/fd/" + 10];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return BERTH__SYSTEM("chmod", chmod(path, mode)) < 0 ? errno : 0;
}

static int dress_open(int file, const berth_local_options *options, berth__local_file *ret_file,
                      berth__local_step *ret_step)
{
    struct stat status = {0};
    uint32_t mode = options->mode & 0777;
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
    return options->mode != 0 && (status.st_mode & 0777) != mode ? set_mode(file, mode) : 0;
}

/* By its path, where it cannot be opened: else it would stay behind when that has failed. */
static void note(const char *path, berth__local_file *ret_file)
{
    struct stat status = {0};
    if (look_at(path, &status) == 0 && S_ISSOCK(status.st_mode))
        *ret_file = file_of(&status);
}

/* Gives the file that bind has made its group and mode, and notes which it is. */
static int dress(const char *path, const berth_local_options *options, berth__local_file *ret_file,
                 berth__local_step *ret_step)
{
    *ret_step = BERTH__LOCAL_PLACE;
    int file = BERTH__SYSTEM("open", open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    int error = file < 0 ? errno : dress_open(file, options, ret_file, ret_step);
    if (error != 0 && error != EADDRINUSE && ret_file->inode == 0)
        note(path, ret_file);
    if (file >= 0)
        drop(file);
    return error;
}

/* ---- taking it ------------------------------------------------------------------------------- */

static int bind_to(int descriptor, const place *target)
{
    const struct sockaddr *name = (const struct sockaddr *)&target->address;
    return BERTH__SYSTEM("bind", bind(descriptor, name, target->length)) < 0 ? errno : 0;
}

static int bind_or_replace(int descriptor, const place *target, bool replaces,
                           berth__local_step *ret_step)
{
    *ret_step = BERTH__LOCAL_BIND;
    int error = bind_to(descriptor, target);
    if (error != EADDRINUSE || !replaces)
        return error;
    error = clear_place(target, ret_step);
    if (error != 0)
        return error;
    *ret_step = BERTH__LOCAL_BIND;
    return bind_to(descriptor, target);
}

/* There is nothing to remove: the name of a process that has just ended only has to be waited for.
 */
static int bind_name(int descriptor, const place *target, bool waits, berth__local_step *ret_step)
{
    *ret_step = BERTH__LOCAL_BIND;
    int error = bind_to(descriptor, target);
    return error == EADDRINUSE && waits && probe(target) == 0 ? bind_to(descriptor, target) : error;
}

/* A descriptor is reserved before bind: from then on one is needed to dress the file. Another
 * thread may be quicker. */
static int bind_path(int descriptor, const place *target, const berth_local_options *options,
                     berth__local_file *ret_file, berth__local_step *ret_step)
{
    *ret_step = BERTH__LOCAL_MODE;
    if (options->mode != 0 && BERTH__SYSTEM("fchmod", fchmod(descriptor, options->mode & 0777)) < 0)
        return errno;
    *ret_step = BERTH__LOCAL_CREATE;
    int spare = BERTH__SYSTEM("fcntl", fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
    if (spare < 0)
        return errno;
    int error = bind_or_replace(descriptor, target, options->replace_stale, ret_step);
    drop(spare);
    return error != 0 ? error : dress(target->address.sun_path, options, ret_file, ret_step);
}

static int take(int descriptor, const berth__local_listen *how, berth__local_file *ret_file,
                berth__local_step *ret_step)
{
    place target = {0};
    target.length = berth__local_name_address(&how->name, &target.address);
    socklen_t length = sizeof target.type;
    *ret_step = BERTH__LOCAL_CREATE;
    if (BERTH__SYSTEM("getsockopt",
                      getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &target.type, &length)) < 0)
        return errno;
    int error = berth__local_is_abstract(&how->name)
                    ? bind_name(descriptor, &target, how->waits, ret_step)
                    : bind_path(descriptor, &target, &how->options, ret_file, ret_step);
    if (error != 0)
        return error;
    *ret_step = BERTH__LOCAL_LISTEN;
    return BERTH__SYSTEM("listen", listen(descriptor, how->backlog)) < 0 ? errno : 0;
}

int berth__local_place_take(int descriptor, const berth__local_listen *how,
                            berth__local_file *ret_file, berth__local_step *ret_step)
{
    int lock = -1;
    int error = 0;
    *ret_file = (berth__local_file){0};
    *ret_step = BERTH__LOCAL_LOCK;
    if (how->options.replace_stale && !berth__local_is_abstract(&how->name))
        error = take_lock(&how->name, &lock);
    if (error == 0)
        error = take(descriptor, how, ret_file, ret_step);
    if (error != 0)
        berth__local_place_leave(&how->name, ret_file);
    give_lock(lock);
    return error;
}
