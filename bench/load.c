/*
 * The load generator of the benchmarks: one thread, plain epoll, no part of the library under test.
 *
 * The normal course: read the options, connect (greet connects as it goes), run the cell for the
 * warm-up, take the first mark, run it for the window, take the second mark, print one line of
 * JSON. A mark is the time together with the processor time of the server (--server-pid) at that
 * time, so that the server is charged for the window alone: neither for its start, nor for the
 * connecting, nor for the warm-up.
 *
 * Cells:
 *   echo    each connection keeps --pipeline messages of --size bytes in flight; an operation is
 *           one message back, and every byte is compared with the byte that was sent. With
 *           --family unix the server's port is the number of a Unix socket (servers/common.h). With
 *           --idle N
 *           the server holds N more connections, over which nothing is sent. With --rate N messages
 *           are sent when they are due, N a second over all connections, at intervals as chance
 *           would have them (the same in each measurement), whether others have come back or not;
 *           where --pipeline holds one up, its latency counts from when it was due, so that a
 *           server that is late is charged with all that waits behind it
 *   greet   connect, read the 64-byte line up to the end of the stream, close, again; an operation
 *           is one such round
 *   sink    write blocks of 64 KiB as fast as they go; an operation is --size bytes written
 *   source  read as fast as it comes; an operation is --size bytes read
 *   answer  each connection sends a request of 64 bytes, or with --http PATH a GET of HTTP, reads
 * an answer of --answer bytes behind the header of HTTP, if any, and sends the next request. Byte N
 * of an answer is N mod 251. An operation is one answer, or with --size that many bytes fan-out the
 * first connection sends --pipeline lines of 64 bytes, and when each connection has got them all,
 * the next ones; an operation is a line that all have got relay   the server is a relay to
 * 127.0.0.1 and --target-port, where this program listens: write blocks as fast as they go, and
 * read them there; an operation is --size bytes read idle    connect all, wait until the server
 * holds them all, print "established N" and the line of JSON, hold them until standard input ends
 * or SIGTERM comes; an operation is one connection. With --echoes N the latencies are those of N
 * messages over connections chosen at random, one at a time, after the memory was read
 *
 * Failures: a connection that breaks, ends early or brings a wrong byte counts as an error and is
 * not replaced (in greet it is, up to MAX_ERRORS). A wrong option ends with status 2; failing to
 * connect with status 1. Errors counted in the window do not change the status: the reader of the
 * line judges them.
 *
 * The warm-up lasts at least until each connection of an echo has had two messages back, or for ten
 * seconds. What a measurement leaves must not meet the next one: every connection ends with a reset
 * (SO_LINGER 0), after all that was expected has been read, so that no TIME_WAIT stays, whose table
 * would fill up, and whose timers would go off on the server's core. Clients take their source
 * addresses in turn from 127.0.0.2 upwards, so that no pair of addresses runs out of ports.
 *
 * Everything is bounded: 19,000 connections, 600 seconds, and loopback addresses only.
 */
#include "dial.h"
#include "observe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    MAX_CONNECTIONS = 19000,
    MAX_SIZE = 1 << 20,
    MAX_PIPELINE = 1024,
    MAX_ERRORS = 1000,
    MAX_SECONDS = 600,
    MAX_RATE = 10000000,
    ROUNDS_OF_WARMUP = 2,   /* messages of each connection, at least */
    SECONDS_OF_WARMUP = 10, /* for those, at most */
    BLOCK = 64 * 1024,
    GREETING = 64,
    EVENTS = 512,
    REPEATS = 16,
    LAG = 2048 /* connections made that the server has not yet accepted */
};

enum cell {
    ECHO,
    GREET,
    SINK,
    SOURCE,
    ANSWER,
    FAN_OUT,
    RELAY,
    IDLE,
    CELLS
};
static const char *const cell_names[CELLS] = {"echo",   "greet",   "sink",  "source",
                                              "answer", "fan-out", "relay", "idle"};

struct options {
    struct sockaddr_in server;
    enum cell cell;
    unsigned connections, pipeline, idle, echoes;
    size_t size, answer;
    const char *http;
    uint16_t target_port;
    double warmup, seconds, rate;
    bool local; /* a Unix socket */
};

struct connection {
    int fd;
    bool wants_write;
    size_t received; /* bytes of the present message, or of the greeting */
    size_t send_at;  /* place in the message of the next byte to send */
    size_t unsent;   /* bytes that may be sent now */
    unsigned oldest; /* ring of the times at which the messages in flight were sent */
    unsigned in_flight;
    uint64_t *stamps;
    uint64_t begun; /* when the connection, or the request, was begun */
    unsigned ended; /* answer: bytes of the end of a header of HTTP that have come, up to four */
};

static struct options options;
static struct connection *connections;
static char *pattern; /* the message again and again: as long as a message and a block together */
static char incoming[BLOCK];
static uint64_t operations, bytes, errors;
static double due; /* with --rate: when the next message has to be sent, in nanoseconds */
static unsigned alive;
static int poller;
static char request[512];
static size_t request_size = 64;
static size_t outstanding; /* fan-out: bytes that connections have yet to get */

static _Noreturn void fail(const char *what, int error)
{
    fprintf(stderr, "%s: %s\n", what, strerror(error));
    exit(1);
}

/* ---- connections ----------------------------------------------------------------------------- */

static int connect_socket(int fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!options.local)
        return connect(fd, (const struct sockaddr *)&options.server, sizeof(options.server));
    snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/berth-bench-%u",
             ntohs(options.server.sin_port));
    return connect(fd, (const struct sockaddr *)&address, sizeof(address));
}

static int open_socket(unsigned index, int flags)
{
    if (options.local)
        return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    return dial_socket(index, flags);
}

static void watch(int operation, unsigned index, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.u32 = index}};
    if (epoll_ctl(poller, operation, connections[index].fd, &event) < 0)
        fail("cannot watch a connection", errno);
}

static void give_up(struct connection *connection)
{
    errors++;
    alive--;
    close(connection->fd);
    connection->fd = -1;
}

/* All connections of the table: those that are idle come last. */
static void connect_all(void)
{
    unsigned count = options.connections + options.idle;
    struct timeval limit = {.tv_sec = 10};
    int on = 1;
    unsigned base = observed_server > 0 ? server_descriptors() : 0;
    for (unsigned i = 0; i < count; i++) {
        int fd = open_socket(i, 0);
        if (fd < 0)
            fail("cannot open a socket", errno);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (connect_socket(fd) < 0)
            fail("cannot connect", errno);
        connections[i].fd = fd;
        if (base && i % 256 == 255 && i > LAG && !server_caught_up(base + i - LAG))
            fail("the server does not accept the connections", ETIMEDOUT);
    }
    alive = options.connections;
    if (options.cell == RELAY) /* the target shows it */
        return;
    if (base && !server_caught_up(base + count))
        fail("the server does not hold all connections", ETIMEDOUT);
}

/* ---- echo ------------------------------------------------------------------------------------ */

static void echo_flush(unsigned index)
{
    struct connection *connection = &connections[index];
    while (connection->unsent) {
        size_t length = connection->unsent < BLOCK ? connection->unsent : BLOCK;
        ssize_t sent = send(connection->fd, pattern + connection->send_at, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0) {
            give_up(connection);
            return;
        }
        connection->unsent -= (size_t)sent;
        connection->send_at = (connection->send_at + (size_t)sent) % options.size;
    }
    bool wants_write = connection->unsent > 0;
    if (wants_write != connection->wants_write)
        watch(EPOLL_CTL_MOD, index, wants_write ? EPOLLIN | EPOLLOUT : EPOLLIN);
    connection->wants_write = wants_write;
}

static void echo_begin(unsigned index, unsigned messages, uint64_t now)
{
    struct connection *connection = &connections[index];
    for (unsigned i = 0; i < messages; i++) {
        unsigned slot = (connection->oldest + connection->in_flight) % options.pipeline;
        connection->stamps[slot] = now;
        connection->in_flight++;
    }
    connection->unsent += (size_t)messages * options.size;
    echo_flush(index);
}

static void echo_event(unsigned index, uint32_t events)
{
    struct connection *connection = &connections[index];
    if (events & EPOLLOUT)
        echo_flush(index);
    if (connection->fd < 0 || !(events & ~(uint32_t)EPOLLOUT))
        return;
    ssize_t got = recv(connection->fd, incoming, sizeof(incoming), 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0 || memcmp(incoming, pattern + connection->received, (size_t)got) != 0) {
        give_up(connection);
        return;
    }
    uint64_t now = clock_ns(CLOCK_MONOTONIC);
    unsigned complete = (unsigned)((connection->received + (size_t)got) / options.size);
    connection->received = (connection->received + (size_t)got) % options.size;
    if (complete > connection->in_flight) { /* more came back than was sent */
        give_up(connection);
        return;
    }
    for (unsigned i = 0; i < complete; i++) {
        record(now - connection->stamps[connection->oldest]);
        connection->oldest = (connection->oldest + 1) % options.pipeline;
    }
    connection->in_flight -= complete;
    operations += complete;
    bytes += (uint64_t)got;
    if (complete && options.rate == 0)
        echo_begin(index, complete, now);
}

/* Sends what is due, over one connection after the other; stops at one that has too much in flight,
 * which is the server's delay, where sending late is ours. */
static void echo_pace(uint64_t now)
{
    static unsigned turn;
    static uint32_t seed = 1;
    static bool held_up;
    while (due <= (double)now) {
        unsigned index = turn % options.connections;
        if (connections[index].fd >= 0) {
            held_up = held_up || connections[index].in_flight == options.pipeline;
            if (connections[index].in_flight == options.pipeline)
                return;
            echo_begin(index, 1, held_up ? (uint64_t)due : clock_ns(CLOCK_MONOTONIC));
        }
        turn++;
        seed = seed * 1664525u + 1013904223u;
        due -= log(((seed >> 8) + 1) / 16777217.0) * 1e9 / options.rate;
    }
    held_up = false;
}

/* ---- greet ----------------------------------------------------------------------------------- */

static void greet_begin(unsigned index)
{
    static unsigned turn;
    struct connection *connection = &connections[index];
    while (errors < MAX_ERRORS) {
        connection->received = 0;
        connection->begun = clock_ns(CLOCK_MONOTONIC);
        connection->fd = open_socket(turn++, SOCK_NONBLOCK);
        if (connection->fd < 0)
            fail("cannot open a socket", errno);
        if (connect(connection->fd, (const struct sockaddr *)&options.server,
                    sizeof(options.server)) == 0 ||
            errno == EINPROGRESS) {
            watch(EPOLL_CTL_ADD, index, EPOLLIN);
            return;
        }
        errors++;
        close(connection->fd);
    }
    connection->fd = -1;
    alive--;
}

static void greet_event(unsigned index)
{
    struct connection *connection = &connections[index];
    for (int i = 0; i < 2; i++) {
        ssize_t got = recv(connection->fd, incoming, sizeof(incoming), 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got > 0) {
            connection->received += (size_t)got;
            continue;
        }
        if (got < 0 || connection->received != GREETING) {
            errors++;
        } else {
            record(clock_ns(CLOCK_MONOTONIC) - connection->begun);
            operations++;
            bytes += connection->received;
        }
        close(connection->fd);
        greet_begin(index);
        return;
    }
}

/* ---- bulk ------------------------------------------------------------------------------------ */

static void count_bulk(struct connection *connection, size_t length)
{
    bytes += length;
    connection->received += length;
    operations += connection->received / options.size;
    connection->received %= options.size;
}

static void bulk_event(unsigned index)
{
    struct connection *connection = &connections[index];
    for (int i = 0; i < REPEATS; i++) {
        ssize_t done = options.cell == SINK ? send(connection->fd, pattern, BLOCK, MSG_NOSIGNAL)
                                            : recv(connection->fd, incoming, sizeof(incoming), 0);
        if (done < 0 && errno == EAGAIN)
            return;
        if (done <= 0) {
            give_up(connection);
            return;
        }
        count_bulk(connection, (size_t)done);
        if (done < BLOCK)
            return;
    }
}

/* ---- answers --------------------------------------------------------------------------------- */

static void ask(unsigned index)
{
    struct connection *connection = &connections[index];
    connection->received = 0;
    connection->ended = options.http ? 0 : 4;
    connection->begun = clock_ns(CLOCK_MONOTONIC);
    if (send(connection->fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size)
        give_up(connection);
}

/* Returns how many bytes belong to the header. */
static size_t skip_header(struct connection *connection, size_t length)
{
    size_t used = 0;
    while (connection->ended < 4 && used < length) {
        bool fits = incoming[used++] == "\r\n\r\n"[connection->ended];
        connection->ended = fits ? connection->ended + 1 : incoming[used - 1] == '\r';
    }
    return used;
}

static void count_units(struct connection *connection, size_t length)
{
    bytes += length;
    connection->in_flight += (unsigned)length;
    operations += connection->in_flight / options.size;
    connection->in_flight %= (unsigned)options.size;
}

static void answer_event(unsigned index)
{
    struct connection *connection = &connections[index];
    for (int i = 0; i < REPEATS; i++) {
        ssize_t got = recv(connection->fd, incoming, sizeof(incoming), 0);
        if (got < 0 && errno == EAGAIN)
            return;
        size_t used = got > 0 ? skip_header(connection, (size_t)got) : 0;
        size_t length = got > 0 ? (size_t)got - used : 0;
        if (got <= 0 || length > options.answer - connection->received ||
            memcmp(incoming + used, pattern + connection->received % 251, length) != 0) {
            give_up(connection);
            return;
        }
        connection->received += length;
        count_units(connection, length);
        if (connection->received == options.answer) {
            record(clock_ns(CLOCK_MONOTONIC) - connection->begun);
            ask(index);
            return;
        }
        if (got < BLOCK)
            return;
    }
}

/* ---- fan-out --------------------------------------------------------------------------------- */

static void fan_begin(void)
{
    size_t length = options.pipeline * options.size;
    connections[0].begun = clock_ns(CLOCK_MONOTONIC);
    outstanding = length * options.connections;
    if (send(connections[0].fd, pattern, length, MSG_NOSIGNAL) != (ssize_t)length)
        give_up(&connections[0]);
}

static void fan_event(unsigned index)
{
    struct connection *connection = &connections[index];
    ssize_t got = recv(connection->fd, incoming, sizeof(incoming), 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0 || (size_t)got > outstanding ||
        memcmp(incoming, pattern + connection->received, (size_t)got) != 0) {
        give_up(connection);
        return;
    }
    connection->received = (connection->received + (size_t)got) % options.size;
    bytes += (uint64_t)got;
    outstanding -= (size_t)got;
    if (outstanding)
        return;
    record(clock_ns(CLOCK_MONOTONIC) - connections[0].begun);
    operations += options.pipeline;
    fan_begin();
}

/* ---- relay ----------------------------------------------------------------------------------- */

static int relay_target = -1;

static void relay_listen(void)
{
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options.target_port)};
    struct timeval limit = {.tv_sec = 10};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    relay_target = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (relay_target < 0 ||
        setsockopt(relay_target, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        setsockopt(relay_target, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
        bind(relay_target, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(relay_target, SOMAXCONN) < 0)
        fail("cannot listen as the target", errno);
}

/* The relay's own connections follow the clients in the table. */
static void relay_accept(void)
{
    struct linger reset = {.l_onoff = 1};
    for (unsigned i = options.connections; i < 2 * options.connections; i++) {
        connections[i].fd = accept4(relay_target, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (connections[i].fd < 0)
            fail("the relay does not connect", errno);
        setsockopt(connections[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        watch(EPOLL_CTL_ADD, i, EPOLLIN);
    }
}

static void relay_event(unsigned index)
{
    struct connection *connection = &connections[index];
    for (int i = 0; i < REPEATS; i++) {
        bool sends = index < options.connections;
        const char *expected = pattern + connection->send_at;
        ssize_t done = sends ? send(connection->fd, expected, BLOCK, MSG_NOSIGNAL)
                             : recv(connection->fd, incoming, sizeof(incoming), 0);
        if (done < 0 && errno == EAGAIN)
            return;
        if (done <= 0 || (!sends && memcmp(incoming, expected, (size_t)done) != 0)) {
            give_up(connection);
            return;
        }
        connection->send_at = (connection->send_at + (size_t)done) % 251;
        if (!sends)
            count_bulk(connection, (size_t)done);
        if (done < BLOCK)
            return;
    }
}

/* ---- the course of a measurement ------------------------------------------------------------- */

static void start_cell(void)
{
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0)
        fail("cannot open epoll", errno);
    alive = options.connections;
    if (options.cell == RELAY)
        relay_listen();
    if (options.cell != GREET)
        connect_all();
    for (unsigned i = 0; i < options.connections; i++) {
        if (options.cell == GREET) {
            greet_begin(i);
            continue;
        }
        if (!dial_set_nonblocking(connections[i].fd))
            fail("cannot make a connection non-blocking", errno);
        bool pours = options.cell == SINK || options.cell == RELAY;
        watch(EPOLL_CTL_ADD, i, pours ? EPOLLOUT : EPOLLIN);
    }
    if (options.cell == RELAY)
        relay_accept();
    if (options.cell == FAN_OUT)
        fan_begin();
    for (unsigned i = 0; options.cell == ANSWER && i < options.connections; i++)
        ask(i);
    due = (double)clock_ns(CLOCK_MONOTONIC);
    for (unsigned i = 0; options.cell == ECHO && options.rate == 0 && i < options.connections; i++)
        echo_begin(i, options.pipeline, clock_ns(CLOCK_MONOTONIC));
}

static void handle(unsigned index, uint32_t events)
{
    switch (options.cell) {
    case ECHO:
        echo_event(index, events);
        break;
    case GREET:
        greet_event(index);
        break;
    case ANSWER:
        answer_event(index);
        break;
    case FAN_OUT:
        fan_event(index);
        break;
    case RELAY:
        relay_event(index);
        break;
    default:
        bulk_event(index);
    }
}

/* Runs to the time given, and then to the number of operations given or to the second time. With
 * --rate it never sleeps: no timer of epoll's is fine enough. */
static void run_until(uint64_t end, uint64_t least, uint64_t limit)
{
    struct epoll_event events[EVENTS];
    uint64_t now = clock_ns(CLOCK_MONOTONIC);
    while ((now < end || (operations < least && now < limit)) && alive && errors < MAX_ERRORS) {
        int timeout = now < end ? (int)((end - now) / 1000000 + 1) : 1;
        if (options.rate > 0)
            echo_pace(now);
        int count = epoll_wait(poller, events, EVENTS, options.rate > 0 ? 0 : timeout);
        for (int i = 0; i < count; i++) {
            unsigned index = events[i].data.u32;
            if (connections[index].fd >= 0)
                handle(index, events[i].events);
        }
        now = clock_ns(CLOCK_MONOTONIC);
    }
}

static void print_result(const struct mark *start, const struct mark *end, uint64_t rss_before,
                         uint64_t rss)
{
    printf("{\"cell\": \"%s\", \"connections\": %u, \"size\": %zu, \"pipeline\": %u, ",
           cell_names[options.cell], options.connections, options.size, options.pipeline);
    printf("\"ops\": %llu, \"seconds\": %.9f, ", (unsigned long long)operations,
           (double)(end->now - start->now) / 1e9);
    printf("\"server_cpu_ns\": %llu, \"load_cpu_ns\": %llu, ",
           (unsigned long long)(end->server_cpu - start->server_cpu),
           (unsigned long long)(end->load_cpu - start->load_cpu));
    printf("\"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, ", percentile(0.50),
           percentile(0.99), percentile(0.999));
    printf("\"bytes\": %llu, \"errors\": %llu, ", (unsigned long long)bytes,
           (unsigned long long)errors);
    printf("\"rss_before\": %llu, \"rss\": %llu}\n", (unsigned long long)rss_before,
           (unsigned long long)rss);
    fflush(stdout);
}

static void measure(void)
{
    uint64_t rss_before = server_rss();
    start_cell();
    uint64_t begun = clock_ns(CLOCK_MONOTONIC);
    uint64_t least = options.cell == ECHO ? ROUNDS_OF_WARMUP * (uint64_t)options.connections : 0;
    run_until(begun + (uint64_t)(options.warmup * 1e9), least,
              begun + SECONDS_OF_WARMUP * 1000000000ull);
    forget_latencies();
    operations = bytes = 0; /* errors stay: one in the warm-up is an error too */
    struct mark start = mark_now("start");
    run_until(start.now + (uint64_t)(options.seconds * 1e9), 0, 0);
    struct mark end = mark_now("end");
    print_result(&start, &end, rss_before, server_rss());
}

static bool exchange(const struct connection *connection)
{
    size_t length = options.size < BLOCK ? options.size : BLOCK;
    return send(connection->fd, pattern, length, MSG_NOSIGNAL) == (ssize_t)length &&
           recv(connection->fd, incoming, length, MSG_WAITALL) == (ssize_t)length &&
           memcmp(incoming, pattern, length) == 0;
}

/* The same connections in each measurement: the seed is fixed. */
static void echo_at_random(void)
{
    uint32_t seed = 1;
    for (unsigned i = 0; i < options.echoes; i++) {
        seed = seed * 1664525u + 1013904223u;
        struct connection *connection = &connections[(seed >> 8) % options.connections];
        uint64_t begun = clock_ns(CLOCK_MONOTONIC);
        if (connection->fd < 0)
            continue;
        if (exchange(connection))
            record(clock_ns(CLOCK_MONOTONIC) - begun);
        else
            give_up(connection);
    }
}

static void hold(void)
{
    struct mark start, end;
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    int signals = signalfd(-1, &mask, SFD_CLOEXEC);
    if (signals < 0)
        fail("cannot wait for signals", errno);
    server_settled();
    uint64_t rss_before = server_rss();
    start = mark_now("start");
    connect_all();
    server_settled();
    end = mark_now("end");
    operations = alive;
    uint64_t rss = server_rss();
    printf("established %u\n", alive);
    echo_at_random();
    print_result(&start, &end, rss_before, rss);
    struct pollfd waits[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                              {.fd = signals, .events = POLLIN}};
    uint64_t limit = clock_ns(CLOCK_MONOTONIC) + MAX_SECONDS * 1000000000ull;
    while (poll(waits, 2, 1000) >= 0 && clock_ns(CLOCK_MONOTONIC) < limit) {
        if (waits[1].revents ||
            (waits[0].revents && read(STDIN_FILENO, incoming, sizeof(incoming)) <= 0))
            return;
    }
}

/* ---- options --------------------------------------------------------------------------------- */

static _Noreturn void usage(const char *option)
{
    fprintf(stderr,
            "unknown option, or invalid or missing value: %s\n"
            "usage: load --port N --cell echo|greet|sink|source|answer|fan-out|relay|idle\n"
            "            [--address 127.x.x.x] [--answer BYTES] [--http PATH] [--target-port N]\n"
            "            [--connections N] [--size BYTES] [--pipeline N] [--warmup SECONDS]\n"
            "            [--seconds SECONDS] [--server-pid PID] [--idle N] [--echoes N]\n"
            "            [--rate MESSAGES-PER-SECOND] [--family inet|unix]\n",
            option);
    exit(2);
}

static double number(const char *option, const char *text, double least, double most)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= least && value <= most))
        usage(option);
    return value;
}

static void set_option(const char *option, const char *value)
{
    if (strcmp(option, "--address") == 0) {
        if (inet_pton(AF_INET, value, &options.server.sin_addr) != 1 ||
            ntohl(options.server.sin_addr.s_addr) >> 24 != 127)
            usage("--address (loopback only)");
    } else if (strcmp(option, "--port") == 0) {
        options.server.sin_port = htons((uint16_t)number(option, value, 1, 65535));
    } else if (strcmp(option, "--cell") == 0) {
        while (options.cell < CELLS && strcmp(value, cell_names[options.cell]) != 0)
            options.cell = (enum cell)(options.cell + 1);
    } else if (strcmp(option, "--family") == 0) {
        options.local = strcmp(value, "unix") == 0;
        if (!options.local && strcmp(value, "inet") != 0)
            usage("--family (inet or unix)");
    } else if (strcmp(option, "--connections") == 0) {
        options.connections = (unsigned)number(option, value, 1, MAX_CONNECTIONS);
    } else if (strcmp(option, "--size") == 0) {
        options.size = (size_t)number(option, value, 1, MAX_SIZE);
    } else if (strcmp(option, "--answer") == 0) {
        options.answer = (size_t)number(option, value, 1, 1 << 30);
    } else if (strcmp(option, "--http") == 0) {
        options.http = value;
    } else if (strcmp(option, "--target-port") == 0) {
        options.target_port = (uint16_t)number(option, value, 1, 65535);
    } else if (strcmp(option, "--pipeline") == 0) {
        options.pipeline = (unsigned)number(option, value, 1, MAX_PIPELINE);
    } else if (strcmp(option, "--idle") == 0) {
        options.idle = (unsigned)number(option, value, 0, MAX_CONNECTIONS);
    } else if (strcmp(option, "--echoes") == 0) {
        options.echoes = (unsigned)number(option, value, 0, 1000000);
    } else if (strcmp(option, "--rate") == 0) {
        options.rate = number(option, value, 1, MAX_RATE);
    } else if (strcmp(option, "--warmup") == 0) {
        options.warmup = number(option, value, 0, MAX_SECONDS);
    } else if (strcmp(option, "--seconds") == 0) {
        options.seconds = number(option, value, 0.001, MAX_SECONDS);
    } else if (strcmp(option, "--server-pid") == 0) {
        observed_server = (pid_t)number(option, value, 1, 4194304);
    } else {
        usage(option);
    }
}

static void parse(int argc, char **argv)
{
    options = (struct options){
        .connections = 1, .pipeline = 1, .warmup = 0.3, .seconds = 1, .cell = ECHO};
    options.server.sin_family = AF_INET;
    options.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 1; i < argc; i++) {
        if (i + 1 == argc)
            usage(argv[i]);
        set_option(argv[i], argv[i + 1]);
        i++;
    }
    if (options.cell == CELLS || options.server.sin_port == 0)
        usage(options.cell == CELLS ? "--cell" : "--port");
    if (options.connections + options.idle > MAX_CONNECTIONS)
        usage("--idle (too many connections)");
    if ((options.cell == ANSWER && !options.answer) ||
        (options.cell == RELAY && !options.target_port))
        usage(options.cell == ANSWER ? "--answer" : "--target-port");
    bool bulk = options.cell == SINK || options.cell == SOURCE || options.cell == RELAY;
    if (options.size == 0)
        options.size = bulk ? BLOCK : options.cell == ANSWER ? options.answer : 64;
}

static void prepare(void)
{
    dial_raise_limit();
    bool messages = options.cell != ANSWER && options.cell != RELAY;
    size_t length = BLOCK + (messages ? options.size : 251);
    pattern = malloc(length);
    unsigned count = options.connections + options.idle;
    if (options.cell == RELAY)
        count *= 2;
    connections = calloc(count, sizeof(*connections));
    uint64_t *stamps = calloc((size_t)options.connections * options.pipeline, sizeof(*stamps));
    if (!pattern || !connections || !stamps)
        fail("cannot prepare the connections", ENOMEM);
    for (size_t i = 0; i < length; i++) /* 251 is prime: a shifted message does not match */
        pattern[i] = (char)(messages ? i % options.size % 251 : i % 251);
    if (options.http)
        request_size = (size_t)snprintf(request, sizeof(request),
                                        "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", options.http);
    if (request_size >= sizeof(request))
        usage("--http (too long)");
    for (unsigned i = 0; i < count; i++)
        connections[i].fd = -1;
    for (unsigned i = 0; i < options.connections; i++)
        connections[i].stamps = stamps + (size_t)i * options.pipeline;
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    prepare();
    if (options.cell == IDLE)
        hold();
    else
        measure();
    return 0;
}
