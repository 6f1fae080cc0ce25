/*
 * Preloaded into a program of the guide: a system on which every port is taken, from some call of
 * listen on.
 *
 *     GUIDE_TAKEN_FROM=N     the N-th call of each process and all after it fail with EADDRINUSE
 *     GUIDE_LISTENS=FILE     the file gets as many bytes as a process has made calls
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void count_to(const char *path, int calls)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return;
    (void)!pwrite(file, "+", 1, calls - 1);
    close(file);
}

__attribute__((visibility("default"))) int listen(int descriptor, int backlog)
{
    static int calls;
    const char *from = getenv("GUIDE_TAKEN_FROM");
    const char *file = getenv("GUIDE_LISTENS");
    calls++;
    if (file != NULL)
        count_to(file, calls);
    if (from != NULL && calls >= atoi(from)) {
        errno = EADDRINUSE;
        return -1;
    }
    return (int)syscall(SYS_listen, descriptor, backlog);
}
