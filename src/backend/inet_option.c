/*
 * Options of a connected descriptor, for the two kernel backends.
 *
 * One table says where each option lives; three need more than a number: linger is a struct, the
 * type of service has another name for IPv6, and both families can carry a connection of a
 * dual-stack socket. Errors are errno values: EINVAL for what is no option or no value.
 */
#include "inet.h"

#include "base/system.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

typedef struct place {
    int level;
    int name;
} place;

static const place places[] = {
    [BERTH_OPTION_LOW_DELAY] = {IPPROTO_TCP, TCP_NODELAY},
    [BERTH_OPTION_KEEP_ALIVE] = {SOL_SOCKET, SO_KEEPALIVE},
    [BERTH_OPTION_KEEP_ALIVE_IDLE] = {IPPROTO_TCP, TCP_KEEPIDLE},
    [BERTH_OPTION_KEEP_ALIVE_INTERVAL] = {IPPROTO_TCP, TCP_KEEPINTVL},
    [BERTH_OPTION_KEEP_ALIVE_COUNT] = {IPPROTO_TCP, TCP_KEEPCNT},
    [BERTH_OPTION_TYPE_OF_SERVICE] = {IPPROTO_IP, IP_TOS},
    [BERTH_OPTION_SEND_BUFFER_SIZE] = {SOL_SOCKET, SO_SNDBUF},
    [BERTH_OPTION_RECEIVE_BUFFER_SIZE] = {SOL_SOCKET, SO_RCVBUF},
    [BERTH_OPTION_LINGER] = {SOL_SOCKET, SO_LINGER},
    [BERTH_OPTION_USER_TIMEOUT] = {IPPROTO_TCP, TCP_USER_TIMEOUT},
};

static int set_int(int descriptor, int level, int name, int value)
{
    int failed =
        BERTH__SYSTEM("setsockopt", setsockopt(descriptor, level, name, &value, sizeof value));
    return failed < 0 ? errno : 0;
}

static int get_int(int descriptor, int level, int name, int *ret_value)
{
    socklen_t length = sizeof *ret_value;
    int failed =
        BERTH__SYSTEM("getsockopt", getsockopt(descriptor, level, name, ret_value, &length));
    return failed < 0 ? errno : 0;
}

static int linger(int descriptor, int *value, bool set)
{
    struct linger linger = {.l_onoff = *value >= 0, .l_linger = *value >= 0 ? *value : 0};
    socklen_t length = sizeof linger;
    int failed;
    if (set)
        failed = BERTH__SYSTEM("setsockopt",
                               setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, length));
    else
        failed = BERTH__SYSTEM("getsockopt",
                               getsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, &length));
    if (failed < 0)
        return errno;
    if (!set)
        *value = linger.l_onoff ? linger.l_linger : -1;
    return 0;
}

static int type_of_service(int descriptor, int *value, bool set)
{
    int domain = AF_UNSPEC;
    int error = get_int(descriptor, SOL_SOCKET, SO_DOMAIN, &domain);
    if (error != 0)
        return error;
    bool six = domain == AF_INET6;
    if (!set)
        return get_int(descriptor, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_TCLASS : IP_TOS,
                       value);
    /* An IPv6 socket can carry an IPv4 connection, which goes by the IPv4 option. */
    int four = set_int(descriptor, IPPROTO_IP, IP_TOS, *value);
    return six ? set_int(descriptor, IPPROTO_IPV6, IPV6_TCLASS, *value) : four;
}

int berth__inet_option(int descriptor, berth_socket_option which, int *value, bool set)
{
    if ((unsigned)which >= sizeof places / sizeof places[0])
        return EINVAL;
    if (set && *value < 0 && which != BERTH_OPTION_LINGER)
        return EINVAL;
    if (which == BERTH_OPTION_LINGER)
        return linger(descriptor, value, set);
    if (which == BERTH_OPTION_TYPE_OF_SERVICE)
        return type_of_service(descriptor, value, set);
    if (set)
        return set_int(descriptor, places[which].level, places[which].name, *value);
    return get_int(descriptor, places[which].level, places[which].name, value);
}

bool berth__inet_has_connection(int descriptor)
{
    struct pollfd listener = {.fd = descriptor, .events = POLLIN};
    return BERTH__SYSTEM("poll", poll(&listener, 1, 0)) == 1 && (listener.revents & POLLIN);
}

size_t berth__inet_input(int descriptor)
{
    int bytes = 0;
    int failed = BERTH__SYSTEM("ioctl", ioctl(descriptor, FIONREAD, &bytes));
    return failed == 0 && bytes > 0 ? (size_t)bytes : 0;
}

size_t berth__inet_in_transit(int descriptor)
{
    int bytes = 0;
    int failed = BERTH__SYSTEM("ioctl", ioctl(descriptor, SIOCOUTQ, &bytes));
    return failed == 0 && bytes > 1 ? (size_t)bytes - 1 : 0; /* the end counts as one */
}

bool berth__inet_has_unsent(int descriptor)
{
    int bytes = 0;
    int failed = BERTH__SYSTEM("ioctl", ioctl(descriptor, SIOCOUTQNSD, &bytes));
    return failed == 0 && bytes > 0;
}

int berth__inet_tame_linger(int descriptor)
{
    int seconds = -1;
    int off = -1;
    if (linger(descriptor, &seconds, false) != 0)
        return -1;
    if (seconds > 0)
        (void)linger(descriptor, &off, true);
    return seconds;
}
