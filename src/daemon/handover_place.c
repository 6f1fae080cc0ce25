/*
 * The place of an offer: a listening SOCK_SEQPACKET socket with a file or an abstract name.
 *
 * The socket gets its mode before it has a file, which the file then has from the beginning, and
 * nobody can connect before it listens. In the place of the file there may be
 *
 *     nothing               -> it is made
 *     no socket             -> EADDRINUSE, whatever it is
 *     a socket that answers -> EADDRINUSE
 *     one that does not     -> it is removed, and the file is made
 *
 * A socket that is bound and does not listen yet does not answer either. That is why starters
 * exclude each other, from before bind until after listen, by a lock on a file beside it; without
 * it the second could remove the file of the first. The lock file is left there: whoever removed it
 * would take it from somebody else. At the end the file is removed only if it still is the one that
 * was made: its device and number are compared.
 */
#include "handover.h"

#include "base/local_name.h"
#include "base/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BACKLOG = 8
};

static int open_socket(void)
{
    const int type = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;
    return BERTH__SYSTEM("socket", socket(AF_UNIX, type, 0));
}

/* Returns an errno. */
static int bind_there(berth__offer_place *place)
{
    const struct sockaddr *name = (const struct sockaddr *)&place->name;
    return BERTH__SYSTEM("bind", bind(place->listener, name, place->name_size)) != 0 ? errno : 0;
}

/* Whether the file is a socket to which nobody answers. */
static bool is_stale(const berth__offer_place *place, struct stat *ret_file)
{
    if (BERTH__SYSTEM("lstat", lstat(place->name.sun_path, ret_file)) != 0 ||
        !S_ISSOCK(ret_file->st_mode))
        return false;
    int probe = open_socket();
    if (probe < 0)
        return false;
    bool connected = BERTH__SYSTEM("connect", connect(probe, (const struct sockaddr *)&place->name,
                                                      place->name_size)) == 0;
    bool nobody =
        connected ? berth__handover_is_dead(probe, BERTH__HANDOVER_MOMENT) : errno == ECONNREFUSED;
    (void)close(probe);
    return nobody;
}

/* A locked file beside it. Returns an errno; EADDRINUSE: somebody else has it, or it is none. */
static int take_lock(const berth__offer_place *place, int *ret_lock)
{
    char path[sizeof place->name.sun_path + sizeof ".lock"];
    snprintf(path, sizeof path, "%s.lock", place->name.sun_path);
    int lock = BERTH__SYSTEM(
        "open", open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
    int error = 0;
    if (lock < 0)
        error = errno == ELOOP || errno == EISDIR ? EADDRINUSE : errno;
    else if (BERTH__SYSTEM("flock", flock(lock, LOCK_EX | LOCK_NB)) != 0)
        error = errno == EWOULDBLOCK ? EADDRINUSE : errno;
    if (error == 0)
        *ret_lock = lock;
    else if (lock >= 0)
        (void)close(lock);
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

/* Returns an errno. */
static int replace(berth__offer_place *place)
{
    struct stat file;
    struct stat again;
    if (!is_stale(place, &file) ||
        BERTH__SYSTEM("lstat", lstat(place->name.sun_path, &again)) != 0 ||
        file.st_dev != again.st_dev || file.st_ino != again.st_ino)
        return EADDRINUSE;
    return BERTH__SYSTEM("unlink", unlink(place->name.sun_path)) == 0 ? bind_there(place) : errno;
}

static int listen_there(const berth__offer_place *place)
{
    return BERTH__SYSTEM("listen", listen(place->listener, BACKLOG)) != 0 ? errno : 0;
}

/* Under the lock, if there is one: else nothing is removed. Returns an errno. */
static int begin_file(berth__offer_place *place, bool locked)
{
    struct stat file;
    if (BERTH__SYSTEM("fchmod", fchmod(place->listener, 0600)) != 0)
        return errno;
    int error = bind_there(place);
    if (error == EADDRINUSE && locked)
        error = replace(place);
    if (error != 0)
        return error;
    place->has_file = BERTH__SYSTEM("lstat", lstat(place->name.sun_path, &file)) == 0;
    if (place->has_file) {
        place->device = file.st_dev;
        place->inode = file.st_ino;
    }
    return listen_there(place);
}

/* Returns an errno. */
static int begin(berth__offer_place *place)
{
    int lock = -1;
    int error;
    if (place->name.sun_path[0] == '\0') {
        error = bind_there(place);
        return error != 0 ? error : listen_there(place);
    }
    error = take_lock(place, &lock);
    if (error != 0 && error != EACCES) /* one of another user, who has offered here before */
        return error;
    error = begin_file(place, lock >= 0);
    give_lock(lock);
    return error;
}

int berth__offer_place_open(berth__offer_place *place, const char *path)
{
    place->listener = -1;
    place->has_file = false;
    int error = berth__local_address(path, &place->name, &place->name_size);
    if (error != 0)
        return error;
    place->listener = open_socket();
    error = place->listener < 0 ? errno : begin(place);
    if (error != 0)
        berth__offer_place_close(place, true);
    return error;
}

void berth__offer_place_close(berth__offer_place *place, bool removes)
{
    struct stat file;
    if (place->has_file && removes &&
        BERTH__SYSTEM("lstat", lstat(place->name.sun_path, &file)) == 0 && S_ISSOCK(file.st_mode) &&
        file.st_dev == place->device && file.st_ino == place->inode)
        (void)BERTH__SYSTEM("unlink", unlink(place->name.sun_path));
    place->has_file = false;
    if (place->listener >= 0)
        (void)close(place->listener);
    place->listener = -1;
}
