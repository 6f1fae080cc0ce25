/*
 * The clients of the scenarios: many connections to one port, from one thread.
 *
 *     flood MODE PORT [NAME=VALUE]...
 *
 * MODE says what each connection does. `greet`: reads up to the end, which has to be "hello\n".
 * `reset`: connects, and resets at once. `transfer`: sends `size` bytes that depend on connection
 * and place, and has to get the same back. `hold`: stays, and sends a byte every `drip`
 * milliseconds (0: never) until the server ends it. `pour` sends as fast as it can, and `demand` a
 * `d`, until the server ends it, and both read all that comes; `half` sends the beginning of a
 * PROXY header, and nothing more; `touch` connects and ends at once.
 *
 * Options: host (127.0.0.1), total (connections), parallel (of them at a time), size, drip, sources
 * (how many addresses 127.0.1.x to connect from, in turn, so that ports do not run out; 0: the
 * system's choice), piece (bytes of a transfer written at a time), rate (connections begun in a
 * second; 0: any), seconds (after which it gives up, 300), linger (1: every connection ends by a
 * reset, which leaves no TIME_WAIT behind), network (the sources are 127.N.1.x).
 *
 * The last line of output is JSON: how many were `good`, `wrong` (bytes that differ), `cut` (an
 * end in order that came early), `refused`, `reset` by the server, `unfinished` when the time was
 * over, `retried` (connects that were answered only after a second, that is, whose first packet was
 * dropped), and in milliseconds the lifetimes `shortest`, `p50`, `p99`, `longest`, and `stall`: the
 * longest time in which a transfer got nothing. The exit status is 0 whatever came out; 2 if it
 * could not begin.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CHUNK = 16384,
    EVENTS = 256
};

typedef enum mode {
    GREET,
    RESET,
    TRANSFER,
    HOLD,
    POUR,
    DEMAND,
    HALF,
    TOUCH,
    MODES
} mode;

static const char *const mode_names[MODES] = {"greet", "reset",  "transfer", "hold",
                                              "pour",  "demand", "half",     "touch"};

typedef struct client {
    int descriptor; /* -1: free */
    bool connected;
    uint32_t number;
    uint64_t sent, received;
    uint64_t begun, heard, next_drip; /* microseconds */
} client;

static struct {
    mode mode;
    const char *host;
    long port, total, parallel, size, drip, sources, piece, rate, seconds, linger, network;
} options = {.host = "127.0.0.1",
             .total = 1,
             .parallel = 1,
             .size = 65536,
             .piece = CHUNK,
             .seconds = 300,
             .linger = 1};

static struct {
    unsigned long good, wrong, cut, refused, reset, unfinished, retried;
    uint64_t stall;
} counts;

static client *clients;
static uint32_t *lifetimes; /* microseconds, of all that ended */
static unsigned long ended, begun;
static int poller;
static uint64_t beginning;

static uint64_t now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

/* Byte `place` of what connection `number` sends. */
static uint8_t byte_of(uint32_t number, uint64_t place)
{
    uint64_t mixed = (place + 1) * 0x9e3779b97f4a7c15ull + number * 0xbf58476d1ce4e5b9ull;
    return (uint8_t)(mixed >> 56);
}

static void finish(client *client, unsigned long *count)
{
    (*count)++;
    uint64_t age = now() - client->begun;
    lifetimes[ended++] = age < UINT32_MAX ? (uint32_t)age : UINT32_MAX;
    if (options.linger) {
        struct linger none = {.l_onoff = 1};
        (void)setsockopt(client->descriptor, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    }
    (void)close(client->descriptor);
    client->descriptor = -1;
}

static unsigned long *count_of_error(int error)
{
    return error == ECONNREFUSED ? &counts.refused : &counts.reset;
}

static bool bind_source(int descriptor, uint32_t number)
{
    if (options.sources == 0)
        return true;
    int yes = 1;
    (void)setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    struct sockaddr_in source = {.sin_family = AF_INET};
    uint32_t first = 0x7f000101u + ((uint32_t)options.network << 16);
    source.sin_addr.s_addr = htonl(first + number % (uint32_t)options.sources);
    return bind(descriptor, (struct sockaddr *)&source, sizeof source) == 0;
}

/* Whether it has begun; a refusal counts as begun. */
static bool start(client *client)
{
    client->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->descriptor < 0)
        return false;
    client->number = (uint32_t)begun;
    client->connected = false;
    client->sent = client->received = 0;
    client->begun = client->heard = now();
    client->next_drip = client->begun + (uint64_t)options.drip * 1000;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    (void)inet_pton(AF_INET, options.host, &address.sin_addr);
    if (!bind_source(client->descriptor, client->number) ||
        (connect(client->descriptor, (struct sockaddr *)&address, sizeof address) < 0 &&
         errno != EINPROGRESS && errno != ECONNREFUSED && errno != ECONNRESET)) {
        (void)close(client->descriptor);
        client->descriptor = -1;
        return false;
    }
    begun++;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP, .data.ptr = client};
    (void)epoll_ctl(poller, EPOLL_CTL_ADD, client->descriptor, &event);
    return true;
}

/* From here on the events of writing are wanted only while there is something to write. */
static void want(client *client, bool writing)
{
    struct epoll_event event = {.events = EPOLLIN | (writing ? (uint32_t)EPOLLOUT : 0u),
                                .data.ptr = client};
    (void)epoll_ctl(poller, EPOLL_CTL_MOD, client->descriptor, &event);
}

static void write_some(client *client)
{
    uint8_t bytes[CHUNK];
    uint64_t left = (uint64_t)options.size - client->sent;
    size_t size = left < (uint64_t)options.piece ? (size_t)left : (size_t)options.piece;
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_of(client->number, client->sent + i);
    ssize_t taken = send(client->descriptor, bytes, size, MSG_NOSIGNAL);
    if (taken > 0)
        client->sent += (uint64_t)taken;
    if (client->sent == (uint64_t)options.size)
        want(client, false);
}

static bool is_right(const client *client, const uint8_t *bytes, size_t size)
{
    if (options.mode == GREET)
        return client->received + size <= 6 &&
               memcmp(bytes, &"hello\n"[client->received], size) == 0;
    for (size_t i = 0; options.mode == TRANSFER && i < size; i++)
        if (bytes[i] != byte_of(client->number, client->received + i))
            return false;
    return true;
}

/* The stream has ended in order. */
static void on_end(client *client)
{
    bool good = options.mode >= HOLD || (options.mode == GREET && client->received == 6);
    finish(client, good ? &counts.good : &counts.cut);
}

static void read_some(client *client)
{
    uint8_t bytes[CHUNK];
    ssize_t size = recv(client->descriptor, bytes, sizeof bytes, 0);
    if (size < 0) {
        if (errno != EAGAIN)
            finish(client, count_of_error(errno));
        return;
    }
    if (size == 0) {
        on_end(client);
        return;
    }
    uint64_t time = now();
    if (client->received > 0 && time - client->heard > counts.stall)
        counts.stall = time - client->heard;
    client->heard = time;
    if (!is_right(client, bytes, (size_t)size)) {
        finish(client, &counts.wrong);
        return;
    }
    client->received += (uint64_t)size;
    if (options.mode == TRANSFER && client->received == (uint64_t)options.size)
        finish(client, &counts.good);
}

static void on_connected(client *client)
{
    client->connected = true;
    counts.retried += now() - client->begun >= 900000;
    static const char half[] = "PROXY TCP4 127.0.0.1 ";
    if (options.mode == DEMAND)
        (void)send(client->descriptor, "d", 1, MSG_NOSIGNAL);
    if (options.mode == HALF)
        (void)send(client->descriptor, half, sizeof half - 1, MSG_NOSIGNAL);
    if (options.mode == RESET || options.mode == TOUCH)
        finish(client, &counts.good); /* with linger of nothing, or not */
    else
        want(client, options.mode == TRANSFER || options.mode == POUR);
}

static void pour(client *client)
{
    static char bytes[CHUNK];
    memset(bytes, 'x', sizeof bytes);
    ssize_t taken = send(client->descriptor, bytes, sizeof bytes, MSG_NOSIGNAL);
    if (taken > 0)
        client->sent += (uint64_t)taken;
}

static void on_event(client *client, uint32_t events)
{
    if (client->descriptor < 0)
        return;
    if (!client->connected) {
        int error = 0;
        socklen_t size = sizeof error;
        (void)getsockopt(client->descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0)
            finish(client, count_of_error(error));
        else if (events & EPOLLOUT)
            on_connected(client);
        return;
    }
    if ((events & EPOLLOUT) && options.mode == TRANSFER && client->sent < (uint64_t)options.size)
        write_some(client);
    if ((events & EPOLLOUT) && options.mode == POUR)
        pour(client);
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        read_some(client);
}

/* Sends what is due to drip. */
static void drip_all(void)
{
    uint64_t time = now();
    for (long i = 0; options.mode == HOLD && options.drip > 0 && i < options.parallel; i++) {
        client *client = &clients[i];
        if (client->descriptor < 0 || !client->connected || client->next_drip > time)
            continue;
        client->next_drip = time + (uint64_t)options.drip * 1000;
        (void)send(client->descriptor, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

/* How many may have begun by now. */
static unsigned long due(void)
{
    unsigned long total = (unsigned long)options.total;
    if (options.rate == 0)
        return total;
    unsigned long by_now = (unsigned long)((now() - beginning) * (uint64_t)options.rate / 1000000);
    return by_now < total ? by_now : total;
}

static void start_more(void)
{
    static long at;
    unsigned long wanted = due();
    for (long tries = 0; tries < options.parallel && begun < wanted; tries++) {
        client *client = &clients[at];
        at = (at + 1) % options.parallel;
        if (client->descriptor < 0 && !start(client))
            return;
    }
}

static void run(void)
{
    beginning = now();
    uint64_t deadline = beginning + (uint64_t)options.seconds * 1000000;
    uint64_t next_drip = 0;
    struct epoll_event events[EVENTS];
    while (ended < (unsigned long)options.total && now() < deadline) {
        start_more();
        int count = epoll_wait(poller, events, EVENTS, options.rate ? 1 : 10);
        for (int i = 0; i < count; i++)
            on_event(events[i].data.ptr, events[i].events);
        if (now() >= next_drip) {
            next_drip = now() + 20000;
            drip_all();
        }
    }
    counts.unfinished = (unsigned long)options.total - ended;
}

static int by_size(const void *one, const void *other)
{
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static void report(void)
{
    qsort(lifetimes, ended, sizeof *lifetimes, by_size);
#define RANK(part) \
    (ended > 0 ? (double)lifetimes[(unsigned long)((part) * (double)(ended - 1))] / 1e3 : 0)
    printf("{\"good\": %lu, \"wrong\": %lu, \"cut\": %lu, \"refused\": %lu, \"reset\": %lu, "
           "\"unfinished\": %lu, "
           "\"retried\": %lu, \"shortest\": %.3f, \"p50\": %.3f, \"p99\": %.3f, \"longest\": %.3f, "
           "\"stall\": %.3f}\n",
           counts.good, counts.wrong, counts.cut, counts.refused, counts.reset, counts.unfinished,
           counts.retried, RANK(0), RANK(0.5), RANK(0.99), RANK(1), (double)counts.stall / 1e3);
#undef RANK
}

static bool read_option(const char *argument)
{
    static const struct {
        const char *name;
        long *value;
    } numbers[] = {{"total=", &options.total},     {"parallel=", &options.parallel},
                   {"size=", &options.size},       {"drip=", &options.drip},
                   {"sources=", &options.sources}, {"piece=", &options.piece},
                   {"rate=", &options.rate},       {"seconds=", &options.seconds},
                   {"linger=", &options.linger},   {"network=", &options.network}};
    if (strncmp(argument, "host=", 5) == 0) {
        options.host = argument + 5;
        return true;
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        size_t length = strlen(numbers[i].name);
        if (strncmp(argument, numbers[i].name, length) == 0) {
            *numbers[i].value = strtol(argument + length, NULL, 10);
            return true;
        }
    }
    return false;
}

static bool read_arguments(int count, char **arguments)
{
    options.mode = MODES;
    for (int i = 0; count > 2 && i < MODES; i++)
        if (strcmp(arguments[1], mode_names[i]) == 0)
            options.mode = (mode)i;
    if (options.mode == MODES)
        return false;
    options.port = strtol(arguments[2], NULL, 10);
    for (int i = 3; i < count; i++)
        if (!read_option(arguments[i]))
            return false;
    if (options.piece > CHUNK)
        options.piece = CHUNK;
    return options.total > 0 && options.parallel > 0 && options.piece > 0;
}

int main(int count, char **arguments)
{
    if (!read_arguments(count, arguments)) {
        (void)fputs("usage: flood MODE PORT [NAME=VALUE]...\n", stderr);
        return 2;
    }
    clients = calloc((size_t)options.parallel, sizeof *clients);
    lifetimes = calloc((size_t)options.total, sizeof *lifetimes);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (clients == NULL || lifetimes == NULL || poller < 0) {
        perror("flood");
        return 2;
    }
    for (long i = 0; i < options.parallel; i++)
        clients[i].descriptor = -1;
    run();
    for (long i = 0; i < options.parallel; i++)
        if (clients[i].descriptor >= 0)
            (void)close(clients[i].descriptor);
    report();
    free(clients);
    free(lifetimes);
    (void)close(poller);
    return 0;
}
