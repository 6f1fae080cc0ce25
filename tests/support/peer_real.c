/*
 * The world on the real kernel: BSD sockets on loopback, non-blocking, close-on-exec.
 *
 * Exhaustion: the limit of descriptor numbers is lowered to the lowest number that is not in use,
 * so that nothing can be opened any more, but what is closed below it can be opened again: just as
 * in a process that is full.
 */
#include "world_side.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_LISTENERS 16
#define MOST_LEFT 64
#define MOST_GREETED 32

static struct {
    int descriptor;
    uint16_t port;
} listeners[MOST_LISTENERS];
static unsigned listener_count;
static struct rlimit limit_before;
static bool limited;

static socklen_t to_sockaddr(berth_address address, uint16_t port, struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof *ret);
    if (address.family == BERTH_ADDRESS_FAMILY_IPV6) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        memcpy(&six->sin6_addr, address.bytes, 16);
        return sizeof *six;
    }
    struct sockaddr_in *four = (struct sockaddr_in *)ret;
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    memcpy(&four->sin_addr, address.bytes, 4);
    return sizeof *four;
}

static uint16_t port_of(int descriptor)
{
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    if (getsockname(descriptor, (struct sockaddr *)&storage, &length) < 0)
        return 0;
    if (storage.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&storage)->sin6_port);
    return ntohs(((struct sockaddr_in *)&storage)->sin_port);
}

static int new_socket(int family)
{
    int descriptor = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_msg(descriptor >= 0, "no socket for a peer: %s", strerror(errno));
    return descriptor;
}

static int real_connect(struct peer *peer, berth_address address, uint16_t port)
{
    struct sockaddr_storage storage;
    socklen_t length = to_sockaddr(address, port, &storage);
    peer->descriptor = new_socket(storage.ss_family);
    if (connect(peer->descriptor, (struct sockaddr *)&storage, length) == 0 || errno == EINPROGRESS)
        return 0;
    return errno;
}

static int establish_within(struct peer *peer, int milliseconds)
{
    struct pollfd poller = {.fd = peer->descriptor, .events = POLLOUT};
    if (poll(&poller, 1, milliseconds) <= 0)
        return ETIMEDOUT;
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(peer->descriptor, SOL_SOCKET, SO_ERROR, &error, &length);
    return error;
}

static int real_establish(struct peer *peer)
{
    return establish_within(peer, 5000);
}

static bool real_is_established(struct peer *peer)
{
    return establish_within(peer, 0) == 0;
}

static ptrdiff_t real_send(struct peer *peer, const void *data, size_t size)
{
    ssize_t sent = send(peer->descriptor, data, size, MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

static ptrdiff_t real_receive(struct peer *peer, void *data, size_t size)
{
    ssize_t received = recv(peer->descriptor, data, size, 0);
    return received < 0 ? -errno : received;
}

static void real_shutdown(struct peer *peer)
{
    shutdown(peer->descriptor, SHUT_WR);
}

static void real_close(struct peer *peer, bool reset)
{
    if (peer->descriptor < 0)
        return;
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    if (reset)
        setsockopt(peer->descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(peer->descriptor);
}

static uint16_t real_port(struct peer *peer)
{
    return port_of(peer->descriptor);
}

static int real_release(struct peer *peer)
{
    int descriptor = peer->descriptor;
    peer->descriptor = -1;
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK);
    return descriptor;
}

static int open_listener(int backlog, uint16_t *ret_port)
{
    int descriptor = new_socket(AF_INET);
    struct sockaddr_storage storage;
    socklen_t length = to_sockaddr(BERTH_ADDRESS_LOOPBACK, 0, &storage);
    ck_assert_int_eq(bind(descriptor, (struct sockaddr *)&storage, length), 0);
    ck_assert_int_eq(listen(descriptor, backlog), 0);
    *ret_port = port_of(descriptor);
    return descriptor;
}

static uint16_t real_listen(int backlog)
{
    ck_assert_uint_lt(listener_count, MOST_LISTENERS);
    uint16_t port;
    listeners[listener_count].descriptor = open_listener(backlog, &port);
    listeners[listener_count++].port = port;
    return port;
}

/* A thread accepts in place of the case, which may be inside a blocking call, and greets. */
static struct greeter {
    pthread_t thread;
    pthread_mutex_t lock;
    uint16_t port; /* 0: there is none */
    int listener;
    int bell;
    const void *data;
    size_t size;
    int accepted[MOST_GREETED];
    unsigned count;
} greeter = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void greet_one(void)
{
    int descriptor = accept4(greeter.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (descriptor < 0)
        return;
    pthread_mutex_lock(&greeter.lock);
    (void)!write(descriptor, greeter.data, greeter.size);
    if (greeter.count < MOST_GREETED)
        greeter.accepted[greeter.count++] = descriptor;
    else
        close(descriptor);
    pthread_mutex_unlock(&greeter.lock);
}

static void *greet_all(void *nothing)
{
    for (;;) {
        struct pollfd waiting[2] = {{.fd = greeter.listener, .events = POLLIN},
                                    {.fd = greeter.bell, .events = POLLIN}};
        if (poll(waiting, 2, -1) < 0 || waiting[1].revents != 0)
            return nothing;
        greet_one();
    }
}

static void real_greet(uint16_t port, const void *data, size_t size)
{
    pthread_mutex_lock(&greeter.lock);
    greeter.data = data;
    greeter.size = size;
    pthread_mutex_unlock(&greeter.lock);
    if (greeter.port == port)
        return;
    ck_assert_uint_eq(greeter.port, 0);
    for (unsigned i = 0; i < listener_count; i++) {
        if (listeners[i].port == port)
            greeter.listener = listeners[i].descriptor;
    }
    greeter.port = port;
    greeter.bell = eventfd(0, EFD_CLOEXEC);
    ck_assert_int_ge(greeter.bell, 0);
    ck_assert_int_eq(pthread_create(&greeter.thread, NULL, greet_all, NULL), 0);
}

static void end_greeting(void)
{
    uint64_t once = 1;
    if (greeter.port == 0)
        return;
    ck_assert_int_eq(write(greeter.bell, &once, sizeof once), sizeof once);
    pthread_join(greeter.thread, NULL);
    close(greeter.bell);
    while (greeter.count > 0)
        close(greeter.accepted[--greeter.count]);
    greeter.port = 0;
}

static bool take_greeted(struct peer *peer)
{
    pthread_mutex_lock(&greeter.lock);
    bool found = greeter.count > 0;
    if (found) {
        peer->descriptor = greeter.accepted[0];
        memmove(greeter.accepted, greeter.accepted + 1,
                --greeter.count * sizeof greeter.accepted[0]);
    }
    pthread_mutex_unlock(&greeter.lock);
    return found;
}

static bool real_accept(struct peer *peer, uint16_t port)
{
    if (port == greeter.port)
        return take_greeted(peer);
    for (unsigned i = 0; i < listener_count; i++) {
        if (listeners[i].port != port)
            continue;
        peer->descriptor =
            accept4(listeners[i].descriptor, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        return peer->descriptor >= 0;
    }
    return false;
}

static void real_unlisten(uint16_t port)
{
    if (port == greeter.port)
        end_greeting();
    for (unsigned i = 0; i < listener_count; i++) {
        if (listeners[i].port != port)
            continue;
        close(listeners[i].descriptor);
        listeners[i] = listeners[--listener_count];
        return;
    }
}

static void real_unlisten_all(void)
{
    end_greeting();
    while (listener_count > 0)
        close(listeners[--listener_count].descriptor);
}

static int real_listener_descriptor(uint16_t *ret_port)
{
    return open_listener(50, ret_port);
}

static void real_shut_listener(int descriptor)
{
    ck_assert_int_eq(shutdown(descriptor, SHUT_RDWR), 0);
}

static int real_unconnected_descriptor(void)
{
    return new_socket(AF_INET);
}

static int real_event_descriptor(void)
{
    int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ck_assert_int_ge(descriptor, 0);
    return descriptor;
}

static void real_raise(int descriptor, unsigned events)
{
    uint64_t count = 1;
    ssize_t done = events != 0 ? write(descriptor, &count, sizeof count)
                               : read(descriptor, &count, sizeof count);
    ck_assert_int_eq(done, sizeof count);
}

static bool real_is_open(int descriptor)
{
    return fcntl(descriptor, F_GETFD) >= 0;
}

static void real_close_descriptor(int descriptor)
{
    ck_assert_int_eq(close(descriptor), 0);
}

static void real_exhaust(unsigned left)
{
    int fillers[MOST_LEFT];
    ck_assert_uint_lt(left, MOST_LEFT);
    if (!limited)
        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit_before), 0);
    limited = true;
    for (unsigned i = 0; i <= left; i++) {
        fillers[i] = fcntl(0, F_DUPFD_CLOEXEC, 0);
        ck_assert_int_ge(fillers[i], 0);
    }
    struct rlimit limit = {.rlim_cur = (rlim_t)fillers[left], .rlim_max = limit_before.rlim_max};
    for (unsigned i = 0; i <= left; i++)
        close(fillers[i]);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void real_relieve(void)
{
    if (limited)
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit_before), 0);
    limited = false;
}

const struct side real_side = {
    .connect = real_connect,
    .establish = real_establish,
    .is_established = real_is_established,
    .send = real_send,
    .receive = real_receive,
    .shutdown = real_shutdown,
    .close = real_close,
    .port = real_port,
    .release = real_release,
    .listen = real_listen,
    .greet = real_greet,
    .accept = real_accept,
    .unlisten = real_unlisten,
    .unlisten_all = real_unlisten_all,
    .listener_descriptor = real_listener_descriptor,
    .shut_listener = real_shut_listener,
    .unconnected_descriptor = real_unconnected_descriptor,
    .event_descriptor = real_event_descriptor,
    .raise = real_raise,
    .is_open = real_is_open,
    .close_descriptor = real_close_descriptor,
    .exhaust = real_exhaust,
    .relieve = real_relieve,
};
