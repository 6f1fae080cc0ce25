/*
 * The world on a real kernel: loopback, with non-blocking sockets of the test in the same process.
 *
 * The library's descriptors are the lowest, as in any process; those of the test are put above
 * HIGH, so that a limit of descriptors (RLIMIT_NOFILE, lowered to what is open below) holds for the
 * library alone. The test lifts it while it opens its own.
 *
 * A connection that was reset has no peer's name any more: its port is then read from the SYN,
 * which listeners are made to keep (TCP_SAVE_SYN). Ports of listeners are taken from below those
 * that the kernel gives out by itself, one after the other.
 *
 * Unix sockets are named, those of the library that have connected too: by the name an accepted
 * connection is found that belongs to it, even if the other side has gone. Their files are in a
 * folder of the tester's, which is removed when it ends.
 *
 * io_uring is made strange by the seed: one buffer, two completions, buffers that are not consumed
 * incrementally, a ring without its modern flags. Small buffers of the kernel are those of the
 * test's ends, and of what is accepted.
 */
#include "world.h"

#include "model.h"

#include "base/fault.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define HIGH 512
#define LEAST_LIMIT 1024 /* of descriptors, with those of the test */
#define MOST_ENDS (SIM_ALL_PEERS + 8)
#define LISTENERS 2u /* for the peers, and for the proxies */
#define FIRST_PORT 10000u
#define PORTS 22000u
#define LONGEST_ADVANCE 3 /* milliseconds */

struct end {
    int descriptor; /* negative: this place is free */
    uint16_t port;
    uint16_t peer_port;
};

#define FOLDER_SIZE 48

static const char *backend;
static struct end ends[MOST_ENDS];
static struct {
    int descriptor; /* negative: this place is free */
    uint16_t port;
} listeners[LISTENERS];
static struct rlimit limit;
static int buffer_size; /* 0: as the kernel likes */
static unsigned opened_before;
static int local_descriptor = -1; /* of the listener at a path */
static uint16_t last_number;      /* of a Unix socket */
static char folder[FOLDER_SIZE];  /* of the paths; "": not made yet */
static pid_t folder_owner;

/* ---- descriptors ------------------------------------------------------------------------------*/

static void set_limit(rlim_t most)
{
    struct rlimit changed = {most, limit.rlim_max};
    sim_check(setrlimit(RLIMIT_NOFILE, &changed) == 0, "no limit of descriptors can be set");
}

/* Has no limit until `set_limit` of what it returns. */
static rlim_t lift_limit(void)
{
    struct rlimit now;
    getrlimit(RLIMIT_NOFILE, &now);
    set_limit(limit.rlim_cur);
    return now.rlim_cur;
}

/* Another number for a descriptor, from `lowest` on. */
static int moved(int descriptor, int lowest)
{
    rlim_t before = lift_limit();
    int high = fcntl(descriptor, F_DUPFD_CLOEXEC, lowest);
    sim_check(high >= 0, "a descriptor cannot be moved: errno %d", errno);
    close(descriptor);
    set_limit(before);
    return high;
}

static void set_buffers(int descriptor)
{
    if (buffer_size == 0)
        return;
    setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &buffer_size, sizeof buffer_size);
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &buffer_size, sizeof buffer_size);
}

/* A socket of the test. */
static int new_socket_of(int family)
{
    rlim_t before = lift_limit();
    int descriptor = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sim_check(descriptor >= 0, "the test gets no socket: errno %d", errno);
    set_limit(before);
    set_buffers(descriptor);
    return moved(descriptor, HIGH);
}

static int new_socket(void)
{
    return new_socket_of(AF_INET);
}

static int question(int descriptor, int name)
{
    int value = 0;
    socklen_t length = sizeof value;
    return getsockopt(descriptor, SOL_SOCKET, name, &value, &length) == 0 ? value : -1;
}

static bool is_local(int descriptor)
{
    return question(descriptor, SO_DOMAIN) == AF_UNIX &&
           question(descriptor, SO_TYPE) == SOCK_STREAM;
}

static bool is_stream(int descriptor)
{
    return question(descriptor, SO_PROTOCOL) == IPPROTO_TCP || is_local(descriptor);
}

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    for (int descriptor = 3; descriptor < HIGH; descriptor++)
        count += is_stream(descriptor);
    return count;
}

/* Of any kind. */
static unsigned opened(void)
{
    unsigned count = 0;
    for (int descriptor = 3; descriptor < HIGH; descriptor++)
        count += fcntl(descriptor, F_GETFD) >= 0;
    return count;
}

static void close_descriptor(int descriptor)
{
    sim_check(close(descriptor) == 0, "descriptor %d cannot be closed", descriptor);
}

static int event_descriptor(void)
{
    return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

static void raise_event(int descriptor, bool raised)
{
    uint64_t count = 1;
    ssize_t moved =
        raised ? write(descriptor, &count, sizeof count) : read(descriptor, &count, sizeof count);
    sim_check(moved == sizeof count, "an event cannot be raised or lowered");
}

/* As in a process that is full: what is closed below can be opened again. */
static void leave_descriptors(unsigned left)
{
    int fillers[8];
    set_limit(limit.rlim_cur);
    if (left == UINT_MAX)
        return;
    sim_check(left < sizeof fillers / sizeof *fillers, "too many descriptors are to be left");
    for (unsigned i = 0; i <= left; i++)
        fillers[i] = fcntl(0, F_DUPFD_CLOEXEC, 0);
    rlim_t most = (rlim_t)fillers[left];
    for (unsigned i = 0; i <= left; i++)
        close(fillers[i]);
    set_limit(most);
}

/* ---- names ------------------------------------------------------------------------------------*/

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

static uint16_t local_port(int descriptor)
{
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    getsockname(descriptor, (struct sockaddr *)&address, &length);
    return ntohs(address.sin_port);
}

static int bind_and_listen(int descriptor, uint16_t port, int backlog)
{
    int yes = 1;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    struct sockaddr_in address = loopback(port);
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) < 0)
        return errno;
    return backlog >= 0 && listen(descriptor, backlog) < 0 ? errno : 0;
}

/* Of the ports that this process uses, the next one that nobody has. */
static uint16_t free_port(void)
{
    static unsigned next;
    if (next == 0)
        next = (unsigned)getpid() * 61u;
    for (unsigned tries = 0; tries < PORTS; tries++) {
        uint16_t port = (uint16_t)(FIRST_PORT + next++ % PORTS);
        int descriptor = new_socket();
        int error = bind_and_listen(descriptor, port, -1);
        close(descriptor);
        if (error == 0)
            return port;
    }
    sim_fail("no port is free");
}

static void listening(int descriptor)
{
    int yes = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_SAVE_SYN, &yes, sizeof yes);
    set_buffers(descriptor);
}

/* Gives it once only. */
static uint16_t port_in_syn(int descriptor)
{
    uint8_t syn[200];
    socklen_t length = sizeof syn;
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_SAVED_SYN, syn, &length) < 0 || length < 20)
        return 0;
    size_t header = (syn[0] & 15u) * 4u;
    if (header + 2 > length)
        return 0;
    return (uint16_t)((unsigned)syn[header] << 8 | syn[header + 1]);
}

/* An abstract one, with a number. */
static socklen_t name_of(uint16_t number, struct sockaddr_un *ret_name)
{
    *ret_name = (struct sockaddr_un){.sun_family = AF_UNIX};
    int size = snprintf(ret_name->sun_path + 1, sizeof ret_name->sun_path - 1, "berth-sim-%d-%u",
                        (int)getpid(), number);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size);
}

/* The number of a name, 0: none. */
static uint16_t number_in(const struct sockaddr_un *name, socklen_t length)
{
    size_t size = length > offsetof(struct sockaddr_un, sun_path)
                      ? length - offsetof(struct sockaddr_un, sun_path)
                      : 0;
    char text[sizeof name->sun_path + 1] = {0};
    int process = 0;
    unsigned number = 0;
    if (size < 2 || name->sun_path[0] != '\0')
        return 0;
    memcpy(text, name->sun_path + 1, size - 1);
    int found = sscanf(text, "berth-sim-%d-%u", &process, &number);
    return found == 2 && process == (int)getpid() ? (uint16_t)number : 0;
}

static uint16_t own_number(int descriptor)
{
    struct sockaddr_un name = {0};
    socklen_t length = sizeof name;
    if (getsockname(descriptor, (struct sockaddr *)&name, &length) < 0)
        return 0;
    return number_in(&name, length);
}

static uint16_t give_number(int descriptor)
{
    struct sockaddr_un name;
    socklen_t length = name_of(++last_number, &name);
    sim_check(bind(descriptor, (struct sockaddr *)&name, length) == 0,
              "a Unix socket cannot be named: errno %d", errno);
    return last_number;
}

/* What has no name has connected: what is accepted has the name of its listener. */
static bool is_nameless(int descriptor)
{
    struct sockaddr_un name = {0};
    socklen_t length = sizeof name;
    return is_local(descriptor) &&
           getsockname(descriptor, (struct sockaddr *)&name, &length) == 0 &&
           length == sizeof name.sun_family;
}

static void name_all(void)
{
    for (int descriptor = 3; descriptor < HIGH; descriptor++) {
        if (is_nameless(descriptor))
            (void)give_number(descriptor);
    }
}

static uint16_t connected(int descriptor)
{
    return is_nameless(descriptor) ? give_number(descriptor) : own_number(descriptor);
}

/* 0: of a socket that is not there any more, and was never named. */
static uint16_t number_of_peer(int descriptor)
{
    struct sockaddr_un name = {0};
    socklen_t length = sizeof name;
    name_all();
    if (getpeername(descriptor, (struct sockaddr *)&name, &length) < 0)
        return 0;
    return number_in(&name, length);
}

static uint16_t connecting_port(int descriptor)
{
    struct sockaddr_in address = {0};
    if (is_local(descriptor))
        return number_of_peer(descriptor);
    socklen_t length = sizeof address;
    if (getpeername(descriptor, (struct sockaddr *)&address, &length) == 0)
        return ntohs(address.sin_port);
    return port_in_syn(descriptor);
}

/* ---- ends -------------------------------------------------------------------------------------*/

static struct end *new_end(int descriptor, uint16_t port, uint16_t peer_port)
{
    for (size_t i = 0; i < MOST_ENDS; i++) {
        if (ends[i].descriptor >= 0)
            continue;
        ends[i] = (struct end){descriptor, port, peer_port};
        return &ends[i];
    }
    sim_fail("the test has too many ends");
}

static bool listen_at(uint16_t *ret_port, int backlog)
{
    size_t place = 0;
    while (place < LISTENERS && listeners[place].descriptor >= 0)
        place++;
    sim_check(place < LISTENERS, "the test has too many listeners");
    int descriptor = new_socket();
    *ret_port = listeners[place].port = free_port();
    listeners[place].descriptor = descriptor;
    return bind_and_listen(descriptor, *ret_port, backlog) == 0;
}

static void unlisten(uint16_t port)
{
    for (size_t i = 0; i < LISTENERS; i++) {
        if (listeners[i].descriptor < 0 || listeners[i].port != port)
            continue;
        close(listeners[i].descriptor);
        listeners[i].descriptor = -1;
    }
}

static int listener_at(uint16_t port)
{
    for (size_t i = 0; i < LISTENERS; i++) {
        if (listeners[i].descriptor >= 0 && listeners[i].port == port)
            return listeners[i].descriptor;
    }
    return -1;
}

static struct end *accept_at(uint16_t port)
{
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    rlim_t before = lift_limit();
    int descriptor = accept4(listener_at(port), (struct sockaddr *)&address, &length,
                             SOCK_CLOEXEC | SOCK_NONBLOCK);
    set_limit(before);
    if (descriptor < 0)
        return NULL;
    return new_end(moved(descriptor, HIGH), port, ntohs(address.sin_port));
}

static unsigned state_of(int descriptor)
{
    struct tcp_info info;
    memset(&info, 0, sizeof info);
    socklen_t length = sizeof info;
    getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length);
    return info.tcpi_state;
}

static struct end *connect_to(uint16_t port)
{
    int descriptor = new_socket();
    struct sockaddr_in address = loopback(port);
    int result = connect(descriptor, (struct sockaddr *)&address, sizeof address);
    if ((result < 0 && errno != EINPROGRESS) || state_of(descriptor) == TCP_CLOSE) {
        close(descriptor);
        return NULL;
    }
    return new_end(descriptor, local_port(descriptor), port);
}

static bool is_established(struct end *end)
{
    unsigned state = state_of(end->descriptor);
    return state != TCP_SYN_SENT && state != TCP_CLOSE;
}

/* Asking for the error would take it. */
static bool is_reset(struct end *end)
{
    struct pollfd look = {.fd = end->descriptor};
    return poll(&look, 1, 0) == 1 && (look.revents & POLLERR) != 0;
}

static ptrdiff_t send_bytes(struct end *end, const void *data, size_t size)
{
    ssize_t sent = send(end->descriptor, data, size, MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

static ptrdiff_t receive_bytes(struct end *end, void *data, size_t size)
{
    ssize_t received = recv(end->descriptor, data, size, 0);
    return received < 0 ? -errno : received;
}

static void shut(struct end *end)
{
    shutdown(end->descriptor, SHUT_WR);
}

static void close_end(struct end *end)
{
    close(end->descriptor);
    end->descriptor = -1;
}

static void reset_end(struct end *end)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(end->descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close_end(end);
}

static uint16_t port_of(const struct end *end)
{
    return end->port;
}

static uint16_t peer_port_of(const struct end *end)
{
    return end->peer_port;
}

/* ---- Unix sockets -----------------------------------------------------------------------------*/

static const char *path_of(enum place place)
{
    static const char *const names[PLACES] = {
        [PLACE_OF_TEST] = "test",  [FIRST_PATH] = "first",     [SECOND_PATH] = "second",
        [ABSTRACT_NAME] = "local", [PLACE_OF_NOBODY] = "none",
    };
    static char paths[PLACES][BERTH_LOCAL_PATH_SIZE];
    if (place == ABSTRACT_NAME)
        snprintf(paths[place], sizeof paths[place], "@berth-sim-%d-%s", (int)getpid(),
                 names[place]);
    else
        snprintf(paths[place], sizeof paths[place], "%s/%d-%s", folder, (int)getpid(),
                 names[place]);
    return paths[place];
}

static struct sockaddr_un address_of(enum place place, socklen_t *ret_length)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = path_of(place);
    size_t size = strlen(path);
    memcpy(address.sun_path, path, size);
    if (place == ABSTRACT_NAME)
        address.sun_path[0] = '\0';
    *ret_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    return address;
}

static int listen_at_path(int descriptor, enum place place, int backlog)
{
    socklen_t length;
    struct sockaddr_un address = address_of(place, &length);
    if (bind(descriptor, (struct sockaddr *)&address, length) < 0)
        return errno;
    return backlog >= 0 && listen(descriptor, backlog) < 0 ? errno : 0;
}

static void remove_file(enum place place)
{
    char lock[BERTH_LOCAL_PATH_SIZE + 8];
    snprintf(lock, sizeof lock, "%s.lock", path_of(place));
    unlink(path_of(place));
    unlink(lock);
}

static void remove_files(void)
{
    for (enum place place = 0; place < PLACES; place++) {
        if (place != ABSTRACT_NAME)
            remove_file(place);
    }
}

static bool begin_local(void)
{
    remove_files(); /* of a process that had the same number */
    local_descriptor = new_socket_of(AF_UNIX);
    return listen_at_path(local_descriptor, PLACE_OF_TEST, 3) == 0;
}

static void end_local(void)
{
    if (local_descriptor < 0)
        return;
    close(local_descriptor);
    local_descriptor = -1;
    remove_files();
}

static struct end *connect_local(enum place place, bool as_other)
{
    (void)as_other;
    socklen_t length;
    struct sockaddr_un address = address_of(place, &length);
    int descriptor = new_socket_of(AF_UNIX);
    uint16_t number = give_number(descriptor);
    if (connect(descriptor, (struct sockaddr *)&address, length) == 0)
        return new_end(descriptor, number, 0);
    close(descriptor);
    return NULL;
}

static struct end *accept_local(void)
{
    rlim_t before = lift_limit();
    int descriptor = accept4(local_descriptor, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    set_limit(before);
    if (descriptor < 0)
        return NULL;
    uint16_t number = number_of_peer(descriptor);
    return new_end(moved(descriptor, HIGH), 0, number != 0 ? number : ++last_number);
}

static int local_listener(enum place place)
{
    int descriptor = moved(new_socket_of(AF_UNIX), 3);
    int error = listen_at_path(descriptor, place, 50);
    sim_check(error == 0, "a listener cannot be made at a path: errno %d", error);
    return descriptor;
}

static enum file_kind file_at(enum place place)
{
    struct stat status;
    if (lstat(path_of(place), &status) < 0)
        return NO_FILE;
    return S_ISSOCK(status.st_mode) ? SOCKET_FILE : OTHER_FILE;
}

static void put_file(enum place place, enum file_kind kind)
{
    rlim_t before = lift_limit();
    unlink(path_of(place));
    int made = kind == OTHER_FILE    ? open(path_of(place), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)
               : kind == SOCKET_FILE ? new_socket_of(AF_UNIX)
                                     : -1;
    sim_check(kind == NO_FILE || made >= 0, "no file can be made: errno %d", errno);
    sim_check(kind != SOCKET_FILE || listen_at_path(made, place, -1) == 0,
              "no socket can be made: errno %d", errno);
    if (made >= 0)
        close(made);
    set_limit(before);
}

static void remove_folder(void)
{
    DIR *all = folder_owner == getpid() ? opendir(folder) : NULL;
    if (all == NULL)
        return;
    for (struct dirent *each = readdir(all); each != NULL; each = readdir(all))
        unlinkat(dirfd(all), each->d_name, 0);
    closedir(all);
    rmdir(folder);
}

/* By the process that the others come from. */
static void make_folder(void)
{
    if (folder[0] != '\0')
        return;
    const char *where = getenv("TMPDIR");
    bool is_short = where != NULL && strlen(where) < FOLDER_SIZE - sizeof "/berth-sim-XXXXXX";
    snprintf(folder, sizeof folder, "%s/berth-sim-XXXXXX", is_short ? where : "/tmp");
    if (mkdtemp(folder) == NULL)
        sim_fail("no folder can be made: errno %d", errno);
    folder_owner = getpid();
    atexit(remove_folder);
}

/* ---- descriptors to be given ------------------------------------------------------------------*/

static int stream_descriptor(struct end *end)
{
    int descriptor = moved(end->descriptor, 3);
    end->descriptor = -1;
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK);
    return descriptor;
}

static int listener_descriptor(uint16_t *ret_port)
{
    int descriptor = moved(new_socket(), 3);
    *ret_port = free_port();
    sim_check(bind_and_listen(descriptor, *ret_port, 50) == 0, "a listener cannot be made");
    listening(descriptor);
    return descriptor;
}

/* ---- the whole --------------------------------------------------------------------------------*/

static void make_strange(const char *variable, const char *value, bool strange)
{
    if (strange)
        setenv(variable, value, true);
    else
        unsetenv(variable);
}

static berth_loop *begin(const struct terms *terms)
{
    if (limit.rlim_cur == 0)
        getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < LEAST_LIMIT)
        limit.rlim_cur = LEAST_LIMIT;
    set_limit(limit.rlim_cur);
    for (size_t i = 0; i < MOST_ENDS; i++)
        ends[i].descriptor = -1;
    for (size_t i = 0; i < LISTENERS; i++)
        listeners[i].descriptor = -1;
    /* Small ones are doubled by the kernel, which keeps a part of them to itself. */
    local_descriptor = -1;
    last_number = 0;
    buffer_size = terms->buffer_size >= 65536 ? 0 : (int)terms->buffer_size;
    uint64_t seed = terms->seed;
    bool few = sim_choose(&seed, 5) == 0;
    make_strange("BERTH_RING_BUFFERS", "1", few);
    make_strange("BERTH_RING_COMPLETIONS", "2", sim_choose(&seed, 5) == 0);
    /* One that is consumed incrementally is enough for many. */
    make_strange("BERTH_RING_INCREMENTAL", "0", sim_choose(&seed, few ? 2 : 4) == 0);
    make_strange("BERTH_RING_FLAGS", "0", sim_choose(&seed, 4) == 0);
    opened_before = opened();
    return berth_loop_new(&(berth_loop_options){.backend = backend});
}

static void end_world(void)
{
    for (size_t i = 0; i < MOST_ENDS; i++) {
        if (ends[i].descriptor >= 0)
            close_end(&ends[i]);
    }
    for (size_t i = 0; i < LISTENERS; i++)
        unlisten(listeners[i].port);
    end_local();
    unsigned now = opened();
    sim_check(now == opened_before, "%u descriptors are open instead of %u", now, opened_before);
}

static void fail_accept(int error, unsigned times)
{
    berth__fault_set_system(0, times, error, "accept4");
}

/* With io_uring most sends are operations of the ring, and the last of a connection is a call. */
static void fail_send(int error, unsigned times)
{
    bool in_ring = strcmp(backend, "io_uring") == 0 && sim.step % 4 != 0;
    berth__fault_set_system(0, times, error, in_ring ? "ring_send" : "send");
}

static void be_kind(void)
{
    set_limit(limit.rlim_cur);
    berth__fault_clear();
}

static void advance(uint64_t milliseconds)
{
    uint64_t some = milliseconds < LONGEST_ADVANCE ? milliseconds : LONGEST_ADVANCE;
    nanosleep(&(struct timespec){.tv_nsec = (long)some * 1000000}, NULL);
}

static void work(void)
{
}

static uint64_t unknown(void)
{
    return 0;
}

static uint64_t allowance(void)
{
    return 5000;
}

static int long_wait(void)
{
    return 10000;
}

static unsigned barren_waits(void)
{
    return 0;
}

static const struct world real_world = {
    .least_backlog = SIM_ALL_PEERS,
    .begin = begin,
    .end = end_world,
    .be_kind = be_kind,
    .free_port = free_port,
    .listen = listen_at,
    .unlisten = unlisten,
    .accept = accept_at,
    .connect = connect_to,
    .is_established = is_established,
    .is_reset = is_reset,
    .send = send_bytes,
    .receive = receive_bytes,
    .shutdown = shut,
    .close = close_end,
    .reset = reset_end,
    .port = port_of,
    .peer_port = peer_port_of,
    .listening = listening,
    .connecting_port = connecting_port,
    .close_descriptor = close_descriptor,
    .listener_descriptor = listener_descriptor,
    .stream_descriptor = stream_descriptor,
    .begin_local = begin_local,
    .end_local = end_local,
    .path = path_of,
    .connect_local = connect_local,
    .accept_local = accept_local,
    .connected = connected,
    .local_listener = local_listener,
    .file_at = file_at,
    .put_file = put_file,
    .event_descriptor = event_descriptor,
    .raise_event = raise_event,
    .close_event = close_descriptor,
    .open_descriptors = open_descriptors,
    .leave_descriptors = leave_descriptors,
    .fail_accept = fail_accept,
    .fail_send = fail_send,
    .advance = advance,
    .work = work,
    .slept = unknown,
    .events = unknown,
    .accepts_failed = unknown,
    .allowance = allowance,
    .long_wait = long_wait,
    .barren_waits = barren_waits,
};

const struct world *world = &simulated_world;

/* One with a loopback, in which nobody else has ports. Without it, those of others are left alone.
 */
static void isolate(void)
{
    if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return;
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || ioctl(descriptor, SIOCSIFFLAGS, &request) < 0)
        printf("the loopback of a network of its own does not come up\n");
    if (descriptor >= 0)
        close(descriptor);
}

bool world_choose(const char *name)
{
    backend = name;
    bool is_real = strcmp(name, "epoll") == 0 || strcmp(name, "io_uring") == 0;
    if (is_real) {
        isolate();
        make_folder();
    }
    world = is_real ? &real_world : &simulated_world;
    return is_real || strcmp(name, "sim") == 0;
}
