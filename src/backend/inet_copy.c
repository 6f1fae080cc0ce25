/*
 * Copies of descriptors that are not the library's, for both kernel backends: the operation `copy`.
 *
 * A copy has a number of its own. So whatever its owner does with his (closes it too early, opens
 * another file that gets the same number, passes that on to the library) nothing that the backend
 * has registered can be mistaken for it.
 *
 * epoll refuses files that never change from not ready to ready, while io_uring reports them ready
 * at once, again and again. So such a file is refused here, for both: one of a kind that may be
 * such is tried in an epoll set that is made for that.
 */
#include "inet.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/system.h"

enum {
    FIRST = 3 /* not in the place of standard input or output that a program has closed */
};

/* Returns an errno. */
static int try_in_a_set(int descriptor)
{
    int set = BERTH__SYSTEM("epoll_create1", epoll_create1(EPOLL_CLOEXEC));
    if (set < 0)
        return errno;
    struct epoll_event event = {.events = EPOLLIN};
    int error = 0;
    if (BERTH__SYSTEM("epoll_ctl", epoll_ctl(set, EPOLL_CTL_ADD, descriptor, &event)) < 0)
        error = errno;
    (void)close(set);
    return error;
}

/* Sockets and pipes are; event descriptors and the like are of no kind. */
static bool is_waitable(mode_t mode)
{
    return S_ISSOCK(mode) || S_ISFIFO(mode) || (mode & S_IFMT) == 0;
}

int berth__inet_copy(berth__backend *backend, int descriptor)
{
    (void)backend;
    struct stat status;
    if (BERTH__SYSTEM("fstat", fstat(descriptor, &status)) < 0)
        return -errno;
    int error = is_waitable(status.st_mode) ? 0 : try_in_a_set(descriptor);
    if (error != 0)
        return -error;
    int copy = BERTH__SYSTEM("fcntl", fcntl(descriptor, F_DUPFD_CLOEXEC, FIRST));
    return copy < 0 ? -errno : copy;
}
