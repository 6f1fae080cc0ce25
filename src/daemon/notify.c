/*
 * The protocol of sd_notify: one datagram to the Unix socket that NOTIFY_SOCKET names.
 *
 * The socket is made anew for each datagram: they are few, and a descriptor that is kept would be
 * one more for fork and exec to mind. It does not block, since the caller is a loop: a supervisor
 * that does not read costs a failure and no time.
 */
#include <berth/notify.h>

#include "base/local_name.h"
#include "base/system.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Only an absolute path or an abstract name. Returns an errno. */
static int address_of(const char *path, struct sockaddr_un *ret_address, socklen_t *ret_size)
{
    if ((path[0] != '/' && path[0] != '@') || path[1] == '\0')
        return EINVAL;
    return berth__local_address(path, ret_address, ret_size);
}

bool berth_notify(const char *state)
{
    const char *path = secure_getenv("NOTIFY_SOCKET");
    struct sockaddr_un address;
    socklen_t size = 0;
    int error = state == NULL || state[0] == '\0' ? EINVAL : 0;
    if (error == 0 && (path == NULL || path[0] == '\0'))
        return true;
    if (error == 0)
        error = address_of(path, &address, &size);
    if (error != 0) {
        errno = error;
        return false;
    }
    int descriptor =
        BERTH__SYSTEM("socket", socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (descriptor < 0)
        return false;
    bool sent = BERTH__SYSTEM("sendto", sendto(descriptor, state, strlen(state), MSG_NOSIGNAL,
                                               (const struct sockaddr *)&address, size)) >= 0;
    error = errno;
    (void)close(descriptor);
    if (!sent)
        errno = error;
    return sent;
}

bool berth_notify_reloading(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    char state[64];
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    return berth_notify(state);
}

/* A number in decimal digits; 0 for anything else. */
static uint64_t number_in(const char *text)
{
    uint64_t number = 0;
    for (; text != NULL && *text >= '0' && *text <= '9' && number < UINT64_MAX / 10 - 1; text++)
        number = number * 10 + (uint64_t)(*text - '0');
    return text != NULL && *text == '\0' ? number : 0;
}

uint64_t berth_notify_watchdog_interval(void)
{
    uint64_t microseconds = number_in(secure_getenv("WATCHDOG_USEC"));
    const char *process = secure_getenv("WATCHDOG_PID");
    if (microseconds == 0 || (process != NULL && number_in(process) != (uint64_t)getpid()))
        return 0;
    return microseconds / 2000 > 0 ? microseconds / 2000 : 1;
}
