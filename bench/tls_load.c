/*
 * The load generator of the benchmarks of TLS: as load.c, with OpenSSL as the client. One thread,
 * no part of the library under test.
 *
 * The normal course is that of load.c: connect, run the cell for the warm-up, take the first mark,
 * run it for the window, take the second mark, print one line of JSON.
 *
 * Cells:
 *   echo    each connection keeps --pipeline messages of --size bytes in flight, each a record of
 *           its own; those that are sent at one time go in one system call. An operation is one
 *           message back, and every byte is compared. With --target-port the server is a terminator
 *           of TLS whose target is here: what it sends there is sent back. With --rate N messages
 *           are sent when they are due, N a second over all connections. With --hellos N so many
 *           clients, which have been connected before, send a hello when the window begins; each
 *           leaves when it has an answer, and the window ends when all have left
 *   sink    write blocks of 64 KiB as fast as they go; an operation is --size bytes written
 *   source  read as fast as it comes; an operation is --size bytes read
 *   greet   connect, shake hands in full, read the 64-byte line up to close_notify, close, again;
 *           an operation is one such round. With --count N so many, with no window
 *   resume  the same, with the session of a first connection, which is not measured; a handshake in
 *           full is counted in "full", and as an error unless there is --session FILE, which has
 * the session, or gets it when it is empty idle    connect all, one message and back on each,
 * nothing for --quiet seconds, then the memory; an operation is one connection
 *
 * With --silent N the server holds N more clients, which are connected and say nothing.
 *
 * All offer one suite, TLS_AES_128_GCM_SHA256, and X25519, so that all servers do the same work.
 * The certificate of the server is not verified: that is the client's time.
 *
 * Failures: as in load.c. Everything is bounded: 19,000 connections, 600 seconds, and 127.0.0.1.
 */
#include "dial.h"
#include "observe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

enum {
    MAX_CONNECTIONS = 19000,
    MAX_SECONDS = 600,
    MAX_ERRORS = 1000,
    ROUNDS_OF_WARMUP = 2,   /* messages of each connection, at least */
    SECONDS_OF_WARMUP = 10, /* for those, at most */
    BLOCK = 64 * 1024,
    LINE = 64,
    EVENTS = 512,
    REPEATS = 16,
    HELLOS_AT_ONCE = 8, /* between two looks at the other connections */
    LAG = 2048          /* connections made that the server has not yet accepted */
};

enum cell {
    ECHO,
    SINK,
    SOURCE,
    GREET,
    RESUME,
    IDLE,
    CELLS
};
static const char *const cell_names[CELLS] = {"echo", "sink", "source", "greet", "resume", "idle"};

struct options {
    struct sockaddr_in server;
    enum cell cell;
    unsigned connections, pipeline, silent, hellos, target_port;
    size_t size;
    uint64_t count;
    const char *session;
    double warmup, seconds, rate, quiet;
};

/* In the table are the connections by TLS, then those that send a hello, then the target's. */
struct connection {
    int fd;
    SSL *ssl;
    BIO *sealed;     /* echo: records to be sent; else they are sent by OpenSSL */
    size_t received; /* bytes of the present message, or of the line, or of a bulk operation */
    unsigned oldest; /* ring of the times at which the messages in flight were sent */
    unsigned in_flight;
    uint64_t *stamps;
    uint64_t begun;
};

static struct options options = {
    .cell = CELLS, .connections = 1, .pipeline = 1, .warmup = 0.3, .seconds = 1, .quiet = 3};
static struct connection *connections;
static unsigned targets; /* where those of the target begin; and how many there are */
static unsigned target_count;
static unsigned hellos_sent, hellos_left;
static char *pattern; /* the message again and again: as long as a message and a block together */
static char incoming[BLOCK], hello[1024];
static size_t hello_size;
static uint64_t operations, bytes, errors, full;
static double due; /* with --rate: when the next message has to be sent, in nanoseconds */
static unsigned alive;
static int poller, target = -1;
static SSL_CTX *context;
static SSL_SESSION *session;

static _Noreturn void fail(const char *what, int error)
{
    fprintf(stderr, "%s: %s\n", what, strerror(error));
    exit(1);
}

/* ---- connections ----------------------------------------------------------------------------- */

static void watch(int operation, int fd, unsigned index, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.u32 = index}};
    if (epoll_ctl(poller, operation, fd, &event) < 0)
        fail("cannot watch a connection", errno);
}

static void drop(struct connection *connection)
{
    if (connection->ssl) /* else its session would be of no use any more */
        SSL_set_shutdown(connection->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(connection->ssl);
    connection->ssl = NULL;
    close(connection->fd);
    connection->fd = -1;
}

static void give_up(struct connection *connection)
{
    errors++;
    alive--;
    drop(connection);
}

/* Whether OpenSSL only waits for more of the peer, or for room. */
static bool waits(SSL *ssl, int returned)
{
    int what = SSL_get_error(ssl, returned);
    return what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE;
}

static void make_context(void)
{
    context = SSL_CTX_new(TLS_client_method());
    if (!context || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_CTX_set1_groups_list(context, "X25519") != 1)
        fail("cannot make a client of TLS", EINVAL);
    SSL_CTX_set_read_ahead(context, 1); /* a system call for each record is this side's time */
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

/* Connects, without a handshake. */
static void begin(struct connection *connection, unsigned index)
{
    connection->received = 0;
    connection->begun = clock_ns(CLOCK_MONOTONIC);
    connection->fd = dial(index, &options.server);
    if (connection->fd < 0)
        fail("cannot connect", errno);
    connection->ssl = SSL_new(context);
    if (!connection->ssl || SSL_set_fd(connection->ssl, connection->fd) != 1)
        fail("cannot make a client of TLS", ENOMEM);
    SSL_set_connect_state(connection->ssl);
}

static void shake_at_once(struct connection *connection, unsigned index)
{
    begin(connection, index);
    if (session)
        SSL_set_session(connection->ssl, session);
    ERR_clear_error();
    if (SSL_connect(connection->ssl) != 1)
        fail("the handshake has failed", EPROTO);
}

static void connect_silent(void)
{
    unsigned base = server_descriptors();
    for (unsigned i = 0; i < options.silent; i++) {
        if (dial(i, &options.server) < 0)
            fail("cannot connect", errno);
        if (base && i % 256 == 255 && i > LAG && !server_caught_up(base + i - LAG))
            fail("the server does not accept the connections", ETIMEDOUT);
    }
    if (base && !server_caught_up(base + options.silent))
        fail("the server does not hold all connections", ETIMEDOUT);
}

/* ---- echo ------------------------------------------------------------------------------------ */

static void echo_begin(struct connection *connection, unsigned messages, uint64_t now)
{
    char *records;
    for (unsigned i = 0; i < messages; i++) {
        unsigned slot = (connection->oldest + connection->in_flight) % options.pipeline;
        connection->stamps[slot] = now;
        connection->in_flight++;
        if (SSL_write(connection->ssl, pattern, (int)options.size) != (int)options.size) {
            give_up(connection);
            return;
        }
    }
    long size = BIO_get_mem_data(connection->sealed, &records);
    if (send(connection->fd, records, (size_t)size, MSG_NOSIGNAL) != size) {
        give_up(connection); /* what is in flight fits into any socket's buffer */
        return;
    }
    (void)BIO_reset(connection->sealed);
}

/* Returns how many messages are complete, or -1 when it is no connection any more. */
static int echo_read(struct connection *connection)
{
    unsigned complete = 0;
    int got = 0;
    ERR_clear_error();
    while ((got = SSL_read(connection->ssl, incoming, sizeof(incoming))) > 0) {
        if (memcmp(incoming, pattern + connection->received, (size_t)got) != 0)
            break;
        complete += (unsigned)((connection->received + (size_t)got) / options.size);
        connection->received = (connection->received + (size_t)got) % options.size;
        bytes += (uint64_t)got;
    }
    if (got > 0 || !waits(connection->ssl, got) || complete > connection->in_flight) {
        give_up(connection);
        return -1;
    }
    return (int)complete;
}

static void echo_event(struct connection *connection)
{
    int complete = echo_read(connection);
    uint64_t now = clock_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < complete; i++) {
        record(now - connection->stamps[connection->oldest]);
        connection->oldest = (connection->oldest + 1) % options.pipeline;
        connection->in_flight--;
        operations++;
    }
    if (complete > 0 && options.rate == 0)
        echo_begin(connection, (unsigned)complete, now);
}

/* Sends what is due, over one connection after the other; stops at one that has too much in flight,
 * which is the server's delay: then the latency counts from when it was due. */
static void echo_pace(uint64_t now)
{
    static unsigned turn;
    static uint32_t seed = 1;
    static bool held_up;
    while (due <= (double)now) {
        struct connection *connection = &connections[turn % options.connections];
        if (connection->fd >= 0) {
            held_up = held_up || connection->in_flight == options.pipeline;
            if (connection->in_flight == options.pipeline)
                return;
            echo_begin(connection, 1, held_up ? (uint64_t)due : clock_ns(CLOCK_MONOTONIC));
        }
        turn++;
        seed = seed * 1664525u + 1013904223u;
        due -= log(((seed >> 8) + 1) / 16777217.0) * 1e9 / options.rate;
    }
    held_up = false;
}

/* ---- hellos ---------------------------------------------------------------------------------- */

/* All send the same one: none of them finishes its handshake. */
static void make_hello(void)
{
    SSL *ssl = SSL_new(context);
    BIO *out = BIO_new(BIO_s_mem());
    if (!ssl || !out)
        fail("cannot make a hello", ENOMEM);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
    SSL_set_connect_state(ssl);
    (void)SSL_do_handshake(ssl);
    int size = BIO_read(out, hello, sizeof(hello));
    if (size <= 0)
        fail("cannot make a hello", EINVAL);
    hello_size = (size_t)size;
    SSL_free(ssl);
}

static void connect_hellos(void)
{
    unsigned base = server_descriptors();
    make_hello();
    for (unsigned i = 0; i < options.hellos; i++) {
        struct connection *connection = &connections[options.connections + i];
        connection->fd = dial(i, &options.server);
        if (connection->fd < 0)
            fail("cannot connect", errno);
        watch(EPOLL_CTL_ADD, connection->fd, options.connections + i, EPOLLIN);
    }
    if (base && !server_caught_up(base + options.hellos))
        fail("the server does not hold all connections", ETIMEDOUT);
    hellos_left = options.hellos;
}

static void send_hellos(void)
{
    for (int i = 0; i < HELLOS_AT_ONCE && hellos_sent < options.hellos; i++, hellos_sent++) {
        int fd = connections[options.connections + hellos_sent].fd;
        if (fd < 0 || send(fd, hello, hello_size, MSG_NOSIGNAL) != (ssize_t)hello_size)
            fail("cannot send a hello", errno);
    }
}

static void hello_event(struct connection *connection)
{
    if (recv(connection->fd, incoming, sizeof(incoming), MSG_DONTWAIT) <= 0)
        errors++;
    drop(connection);
    hellos_left--;
}

/* ---- greet and resume ------------------------------------------------------------------------ */

static void shake_begin(unsigned index)
{
    static unsigned turn;
    struct connection *connection = &connections[index];
    begin(connection, turn++);
    if (session)
        SSL_set_session(connection->ssl, session);
    if (!dial_set_nonblocking(connection->fd))
        fail("cannot make a connection non-blocking", errno);
    ERR_clear_error();
    (void)SSL_connect(connection->ssl);
    watch(EPOLL_CTL_ADD, connection->fd, index, EPOLLIN);
}

static void shake_over(unsigned index, bool good)
{
    struct connection *connection = &connections[index];
    bool was_full = !SSL_session_reused(connection->ssl);
    full += was_full;
    good = good && connection->received == LINE &&
           (options.cell != RESUME || options.session || !was_full);
    errors += !good;
    operations += good;
    bytes += connection->received;
    record(clock_ns(CLOCK_MONOTONIC) - connection->begun);
    drop(connection);
    if (errors < MAX_ERRORS)
        shake_begin(index);
    else
        alive--;
}

static void shake_event(unsigned index)
{
    struct connection *connection = &connections[index];
    int got = 1;
    ERR_clear_error();
    if (!SSL_is_init_finished(connection->ssl))
        got = SSL_connect(connection->ssl);
    while (got > 0) {
        got = SSL_read(connection->ssl, incoming, sizeof(incoming));
        if (got > 0)
            connection->received += (size_t)got;
    }
    if (!waits(connection->ssl, got))
        shake_over(index, SSL_get_error(connection->ssl, got) == SSL_ERROR_ZERO_RETURN);
}

/* The session of the file, or that of a first connection, which goes there. */
static void get_session(void)
{
    struct connection first = {0};
    BIO *file = options.session ? BIO_new_file(options.session, "r+") : NULL;
    if (file)
        session = PEM_read_bio_SSL_SESSION(file, NULL, NULL, NULL);
    if (!session) {
        shake_at_once(&first, 0);
        while (SSL_read(first.ssl, incoming, sizeof(incoming)) > 0) /* a ticket comes with it */
            continue;
        session = SSL_get1_session(first.ssl);
        drop(&first);
        if (!session || !SSL_SESSION_is_resumable(session))
            fail("the server gives no session", EPROTO);
        if (file && !PEM_write_bio_SSL_SESSION(file, session))
            fail("cannot write the session", EIO);
    }
    BIO_free(file);
    if (options.session && !file)
        fail("cannot open the file of the session", ENOENT);
}

/* ---- bulk ------------------------------------------------------------------------------------ */

static void bulk_event(struct connection *connection)
{
    for (int i = 0; i < REPEATS; i++) {
        ERR_clear_error();
        int done = options.cell == SINK ? SSL_write(connection->ssl, pattern, BLOCK)
                                        : SSL_read(connection->ssl, incoming, sizeof(incoming));
        if (done <= 0 && waits(connection->ssl, done))
            return;
        if (done <= 0) {
            give_up(connection);
            return;
        }
        bytes += (uint64_t)done;
        connection->received += (size_t)done;
        operations += connection->received / options.size;
        connection->received %= options.size;
    }
}

/* ---- the target of a terminator -------------------------------------------------------------- */

static void target_listen(void)
{
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)options.target_port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    target = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (target < 0 || setsockopt(target, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        setsockopt(target, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
        bind(target, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(target, SOMAXCONN) < 0)
        fail("cannot listen as the target", errno);
    watch(EPOLL_CTL_ADD, target, targets + options.connections, EPOLLIN);
}

static void target_accept(void)
{
    int fd = accept4(target, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && errno == EAGAIN)
        return;
    if (fd < 0 || target_count == options.connections)
        fail("the terminator connects wrongly", fd < 0 ? errno : EMFILE);
    connections[targets + target_count].fd = fd;
    watch(EPOLL_CTL_ADD, fd, targets + target_count++, EPOLLIN);
}

static void target_event(unsigned index)
{
    if (index == targets + options.connections) {
        target_accept();
        return;
    }
    int fd = connections[index].fd;
    ssize_t got = recv(fd, incoming, sizeof(incoming), 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got > 0 && send(fd, incoming, (size_t)got, MSG_NOSIGNAL) == got)
        return;
    errors++;
    drop(&connections[index]);
}

/* ---- the course of a measurement ------------------------------------------------------------- */

/* From here on the records of this connection are kept until they are sent. */
static void keep_records(struct connection *connection)
{
    connection->sealed = BIO_new(BIO_s_mem());
    if (!connection->sealed)
        fail("cannot keep records", ENOMEM);
    SSL_set0_wbio(connection->ssl, connection->sealed);
}

static void start_cell(void)
{
    bool shakes = options.cell == GREET || options.cell == RESUME;
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0)
        fail("cannot open epoll", errno);
    if (options.target_port)
        target_listen();
    connect_silent();
    if (options.hellos)
        connect_hellos();
    if (options.cell == RESUME)
        get_session();
    alive = options.connections;
    for (unsigned i = 0; i < options.connections; i++) {
        struct connection *connection = &connections[i];
        if (shakes) {
            shake_begin(i);
            continue;
        }
        shake_at_once(connection, i);
        if (options.cell == ECHO)
            keep_records(connection);
        if (!dial_set_nonblocking(connection->fd))
            fail("cannot make a connection non-blocking", errno);
        watch(EPOLL_CTL_ADD, connection->fd, i, options.cell == SINK ? EPOLLOUT : EPOLLIN);
    }
    due = (double)clock_ns(CLOCK_MONOTONIC);
    for (unsigned i = 0; options.cell == ECHO && options.rate == 0 && i < options.connections; i++)
        echo_begin(&connections[i], options.pipeline, clock_ns(CLOCK_MONOTONIC));
}

static void handle(unsigned index)
{
    bool is_target = index >= targets;
    if (!(is_target && index == targets + options.connections) && connections[index].fd < 0)
        return;
    if (is_target)
        target_event(index);
    else if (index >= options.connections)
        hello_event(&connections[index]);
    else if (options.cell == ECHO)
        echo_event(&connections[index]);
    else if (options.cell == GREET || options.cell == RESUME)
        shake_event(index);
    else
        bulk_event(&connections[index]);
}

/* Runs to the time given, and then to the number of operations given or to the second time. With
 * --rate it never sleeps: no timer of epoll's is fine enough. `storm`: the hellos are sent, and it
 * ends when all are answered. */
static void run_until(uint64_t end, uint64_t least, uint64_t limit, bool storm)
{
    struct epoll_event events[EVENTS];
    uint64_t now = clock_ns(CLOCK_MONOTONIC);
    while ((now < end || (operations < least && now < limit)) && alive && errors < MAX_ERRORS &&
           (!storm || hellos_left)) {
        if (options.rate > 0)
            echo_pace(now);
        if (storm)
            send_hellos();
        int timeout = now < end ? (int)((end - now) / 1000000 + 1) : 1;
        int count = epoll_wait(poller, events, EVENTS, options.rate > 0 || storm ? 0 : timeout);
        for (int i = 0; i < count; i++)
            handle(events[i].data.u32);
        now = clock_ns(CLOCK_MONOTONIC);
    }
}

static void print_result(const struct mark *start, const struct mark *end, uint64_t rss_before,
                         uint64_t rss)
{
    printf("{\"cell\": \"%s\", \"connections\": %u, \"size\": %zu, \"pipeline\": %u, ",
           cell_names[options.cell], options.connections, options.size, options.pipeline);
    printf("\"ops\": %llu, \"full\": %llu, \"seconds\": %.9f, ", (unsigned long long)operations,
           (unsigned long long)full, (double)(end->now - start->now) / 1e9);
    printf("\"server_cpu_ns\": %llu, \"load_cpu_ns\": %llu, ",
           (unsigned long long)(end->server_cpu - start->server_cpu),
           (unsigned long long)(end->load_cpu - start->load_cpu));
    printf("\"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, ", percentile(0.50),
           percentile(0.99), percentile(0.999));
    printf("\"bytes\": %llu, \"errors\": %llu, ", (unsigned long long)bytes,
           (unsigned long long)errors);
    printf("\"rss_before\": %llu, \"rss\": %llu}\n", (unsigned long long)rss_before,
           (unsigned long long)rss);
}

static void measure(void)
{
    uint64_t rss_before = server_rss();
    start_cell();
    uint64_t begun = clock_ns(CLOCK_MONOTONIC);
    uint64_t limit = begun + SECONDS_OF_WARMUP * 1000000000ull;
    uint64_t least = options.cell == ECHO ? ROUNDS_OF_WARMUP * (uint64_t)options.connections : 0;
    if (options.count == 0)
        run_until(begun + (uint64_t)(options.warmup * 1e9), least, limit, false);
    forget_latencies();
    operations = bytes = full = 0; /* errors stay: one in the warm-up is an error too */
    struct mark start = mark_now("start");
    if (options.count > 0)
        run_until(0, options.count, begun + MAX_SECONDS * 1000000000ull, false);
    else
        run_until(start.now + (uint64_t)(options.seconds * 1e9), 0, 0, options.hellos > 0);
    struct mark end = mark_now("end");
    errors += options.hellos > 0 && options.count == 0 ? hellos_left : 0;
    print_result(&start, &end, rss_before, server_rss());
}

static void hold(void)
{
    server_settled();
    uint64_t rss_before = server_rss();
    struct mark start = mark_now("start");
    for (unsigned i = 0; i < options.connections; i++) {
        struct connection *connection = &connections[i];
        shake_at_once(connection, i);
        connection->begun = clock_ns(CLOCK_MONOTONIC);
        bool good = SSL_write(connection->ssl, pattern, (int)options.size) == (int)options.size;
        while (good && connection->received < options.size) {
            int got = SSL_read(connection->ssl, incoming, (int)options.size);
            good = got > 0;
            connection->received += good ? (size_t)got : 0;
        }
        record(clock_ns(CLOCK_MONOTONIC) - connection->begun);
        errors += !good;
        operations += good;
    }
    server_settled();
    struct mark end = mark_now("end");
    usleep((useconds_t)(options.quiet * 1e6));
    server_settled();
    print_result(&start, &end, rss_before, server_rss());
}

/* ---- options --------------------------------------------------------------------------------- */

static _Noreturn void usage(const char *option)
{
    fprintf(stderr,
            "unknown option, or invalid or missing value: %s\n"
            "usage: tls_load --port N --cell echo|sink|source|greet|resume|idle\n"
            "                [--connections N] [--size BYTES] [--pipeline N] [--warmup SECONDS]\n"
            "                [--seconds SECONDS] [--count N] [--server-pid PID] [--silent N]\n"
            "                [--rate MESSAGES-PER-SECOND] [--hellos N] [--target-port N]\n"
            "                [--session FILE] [--quiet SECONDS]\n",
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
    if (strcmp(option, "--port") == 0)
        options.server.sin_port = htons((uint16_t)number(option, value, 1, 65535));
    else if (strcmp(option, "--cell") == 0)
        for (options.cell = 0; options.cell < CELLS && strcmp(value, cell_names[options.cell]);)
            options.cell = (enum cell)(options.cell + 1);
    else if (strcmp(option, "--connections") == 0)
        options.connections = (unsigned)number(option, value, 1, MAX_CONNECTIONS);
    else if (strcmp(option, "--size") == 0)
        options.size = (size_t)number(option, value, 1, BLOCK);
    else if (strcmp(option, "--pipeline") == 0)
        options.pipeline = (unsigned)number(option, value, 1, 1024);
    else if (strcmp(option, "--silent") == 0)
        options.silent = (unsigned)number(option, value, 0, MAX_CONNECTIONS);
    else if (strcmp(option, "--hellos") == 0)
        options.hellos = (unsigned)number(option, value, 0, MAX_CONNECTIONS);
    else if (strcmp(option, "--target-port") == 0)
        options.target_port = (unsigned)number(option, value, 1, 65535);
    else if (strcmp(option, "--count") == 0)
        options.count = (uint64_t)number(option, value, 1, 1e9);
    else if (strcmp(option, "--session") == 0)
        options.session = value;
    else if (strcmp(option, "--rate") == 0)
        options.rate = number(option, value, 1, 1e7);
    else if (strcmp(option, "--warmup") == 0)
        options.warmup = number(option, value, 0, MAX_SECONDS);
    else if (strcmp(option, "--seconds") == 0)
        options.seconds = number(option, value, 0.001, MAX_SECONDS);
    else if (strcmp(option, "--quiet") == 0)
        options.quiet = number(option, value, 0, 60);
    else if (strcmp(option, "--server-pid") == 0)
        observed_server = (pid_t)number(option, value, 1, 4194304);
    else
        usage(option);
}

static void parse(int argc, char **argv)
{
    options.server.sin_family = AF_INET;
    options.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 1; i + 1 < argc; i += 2)
        set_option(argv[i], argv[i + 1]);
    if (argc % 2 == 0)
        usage(argv[argc - 1]);
    if (options.cell == CELLS || options.server.sin_port == 0)
        usage(options.cell == CELLS ? "--cell" : "--port");
    if (options.connections + options.silent + options.hellos > MAX_CONNECTIONS)
        usage("--silent (too many connections)");
    if (options.size == 0)
        options.size = options.cell == SINK || options.cell == SOURCE ? BLOCK : 64;
}

static void prepare(void)
{
    targets = options.connections + options.hellos;
    unsigned count = targets + options.connections;
    size_t length = BLOCK + options.size;
    dial_raise_limit();
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    make_context();
    pattern = malloc(length);
    connections = calloc(count, sizeof(*connections));
    uint64_t *stamps = calloc((size_t)options.connections * options.pipeline, sizeof(*stamps));
    if (!pattern || !connections || !stamps)
        fail("cannot prepare the connections", ENOMEM);
    for (size_t i = 0; i < length; i++) /* 251 is prime: a shifted message does not match */
        pattern[i] = (char)(i % options.size % 251);
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
