/*
 * The Fortune client: fetches sayings from a Fortune server and prints them. It works in two ways:
 * with handlers that an event loop calls or, with --blocking, with blocking waits.
 *
 * The course, for each request: connect to the host by name; receive the size at the beginning of
 * the block (fortune_wire.h), and then that many bytes, in whatever pieces they arrive; end the
 * connection; print the text as UTF-8. A saying that equals the one before is not printed. The
 * request is repeated instead, a limited number of times, since a server may have only one saying.
 *
 * With handlers one socket makes all connections: `disconnected` begins the next one. With blocking
 * waits each request has its own socket. In both cases the time limit is for the whole
 * request, so that a server that sends a byte now and then cannot stall the program.
 *
 * Errors, each with one line on standard error and exit status 2: a wrong option, an unknown host,
 * a connection that fails, a server that ends the connection early or takes too long, an invalid
 * size. Sayings that were printed before remain printed.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <berth/berth.h>

#include "fortune_wire.h"
#include "options.h"

#define PROGRAM "fortune_client"
#define AGAIN 10 /* requests at most for a saying that differs from the last */

/* Options and progress; the user pointer of the handlers. */
typedef struct client {
    const char *host;
    uint16_t port;
    long count;
    int timeout; /* milliseconds, for one request */
    bool blocking;
    berth_proxy proxy; /* zeroed: the default proxy */
    char server[300];  /* host and port, for messages */

    long told;
    int repeated; /* times that the answer equalled the last one */
    char *last;   /* saying that was printed last */
    size_t last_length;

    berth_timer *timer; /* this and the next with handlers only */
    bool whole;         /* the answer has arrived */
} client;

/* ---- both ways ------------------------------------------------------------------------------- */

/* Prints an answer, or drops it if it equals the last one. */
static void tell(client *self, const uint8_t *bytes, uint32_t count)
{
    size_t length;
    char *text = fortune_text_new(bytes, count, &length);
    if (!text)
        fail(PROGRAM, "cannot store a fortune of %u bytes: %s", count, strerror(errno));
    if (self->last && length == self->last_length && memcmp(text, self->last, length) == 0 &&
        ++self->repeated < AGAIN) {
        free(text);
        return;
    }
    free(self->last);
    self->last = text;
    self->last_length = length;
    self->repeated = 0;
    if (self->told++ > 0)
        puts("%");
    fwrite(text, 1, length, stdout);
    putchar('\n');
}

static uint32_t count_from(const client *self, const uint8_t header[FORTUNE_HEADER])
{
    uint32_t count;
    if (!fortune_header_read(header, &count))
        fail(PROGRAM, "%s announced a fortune of %u bytes, which is not a valid size", self->server,
             count);
    return count;
}

static uint8_t *space_for(uint32_t count)
{
    uint8_t *bytes = malloc(count + 1); /* malloc(0) may return NULL */
    if (!bytes)
        fail(PROGRAM, "cannot store a fortune of %u bytes: %s", count, strerror(errno));
    return bytes;
}

static _Noreturn void give_up(const client *self, const berth_socket *socket)
{
    const char *text = berth_socket_error_string(socket);
    switch (berth_socket_error(socket)) {
    case BERTH_ERROR_HOST_NOT_FOUND:
        fail(PROGRAM, "cannot find the host '%s'; is the name correct?", self->host);
    case BERTH_ERROR_CONNECTION_REFUSED:
        fail(PROGRAM, "%s; is a Fortune server running there?", text);
    default:
        fail(PROGRAM, "%s", text);
    }
}

static _Noreturn void give_up_early(const client *self)
{
    fail(PROGRAM, "%s ended the connection in the middle of a fortune", self->server);
}

static _Noreturn void give_up_late(const client *self)
{
    fail(PROGRAM, "%s did not send a complete fortune within %d ms", self->server, self->timeout);
}

static void set_proxy(const client *self, berth_socket *socket)
{
    if (!berth_socket_set_proxy(socket, &self->proxy))
        fail(PROGRAM, "%s", berth_socket_error_string(socket));
}

/* ---- with handlers --------------------------------------------------------------------------- */

static void ask(client *self, berth_socket *socket)
{
    self->whole = false;
    berth_timer_start(self->timer, (uint64_t)self->timeout, 0);
    berth_socket_connect_to_host(socket, self->host,
                                 self->port); /* errors are reported to failed() */
}

static void collect(berth_socket *socket, void *user)
{
    client *self = user;
    uint8_t header[FORTUNE_HEADER];
    if (berth_socket_peek(socket, header, sizeof(header)) < (ptrdiff_t)sizeof(header))
        return;
    uint32_t count = count_from(self, header);
    if (berth_socket_bytes_available(socket) < sizeof(header) + count)
        return;
    uint8_t *bytes = space_for(count);
    berth_socket_skip(socket, sizeof(header));
    berth_socket_read(socket, bytes, count);
    tell(self, bytes, count);
    free(bytes);
    self->whole = true;
    berth_socket_abort(socket); /* calls ended() */
}

static void ended(berth_socket *socket, void *user)
{
    client *self = user;
    if (!self->whole)
        give_up_early(self);
    if (self->told < self->count)
        ask(self, socket);
    else
        berth_loop_stop(NULL, 0);
}

static void failed(berth_socket *socket, berth_error error, void *user)
{
    if (error != BERTH_ERROR_REMOTE_HOST_CLOSED) /* the usual end by the server: see ended() */
        give_up(user, socket);
}

static void expired(berth_timer *timer, void *user)
{
    (void)timer;
    give_up_late(user);
}

static void ask_by_handlers(client *self)
{
    static const berth_socket_handlers handlers = {
        .ready_read = collect, .disconnected = ended, .error_occurred = failed};
    berth_socket *socket = berth_socket_new(NULL, &handlers, self); /* NULL: this thread's loop */
    self->timer = berth_timer_new(NULL, expired, self);
    if (!socket || !self->timer)
        fail(PROGRAM, "cannot make a socket and a timer: %s", strerror(errno));
    set_proxy(self, socket);
    ask(self, socket);
    if (berth_loop_run(NULL) != 0)
        fail(PROGRAM, "the event loop failed: %s", strerror(errno));
    berth_timer_free(self->timer);
    berth_socket_free(socket);
}

/* ---- with blocking waits --------------------------------------------------------------------- */

static long long now_in_milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int left_until(long long deadline)
{
    long long left = deadline - now_in_milliseconds();
    return left > 0 ? (int)left : 0;
}

/* Reads exactly `size` bytes, and waits for those that have not arrived. */
static void read_all(const client *self, berth_socket *socket, long long deadline, void *data,
                     size_t size)
{
    uint8_t *bytes = data;
    size_t done = 0;
    while (done < size) {
        ptrdiff_t got = berth_socket_read(socket, bytes + done, size - done);
        if (got < 0)
            give_up_early(self);
        done += (size_t)got;
        if (got > 0 || berth_socket_wait_for_ready_read(socket, left_until(deadline)))
            continue;
        if (berth_socket_error(socket) == BERTH_ERROR_SOCKET_TIMEOUT)
            give_up_late(self);
        /* If the connection has ended, the next read returns what came before the end, or -1. */
        if (berth_socket_is_valid(socket))
            give_up(self, socket);
    }
}

static void ask_by_waiting(client *self)
{
    long long deadline = now_in_milliseconds() + self->timeout;
    uint8_t header[FORTUNE_HEADER];
    berth_socket *socket = berth_socket_new(NULL, NULL, NULL);
    if (!socket)
        fail(PROGRAM, "cannot make a socket: %s", strerror(errno));
    set_proxy(self, socket);
    if (!berth_socket_connect_to_host(socket, self->host, self->port) ||
        !berth_socket_wait_for_connected(socket, left_until(deadline)))
        give_up(self, socket);
    read_all(self, socket, deadline, header, sizeof(header));
    uint32_t count = count_from(self, header);
    uint8_t *bytes = space_for(count);
    read_all(self, socket, deadline, bytes, count);
    berth_socket_free(socket);
    tell(self, bytes, count);
    free(bytes);
}

/* ---- the command line ------------------------------------------------------------------------ */

static _Noreturn void help(void)
{
    puts("usage: " PROGRAM " HOST PORT [--count N] [--timeout MS] [--blocking] [--proxy URL]\n"
         "Fetches a saying from a Fortune server and prints it.\n"
         "\n"
         "  HOST          a name, or an IPv4 or IPv6 address\n"
         "  PORT          1 to 65535\n"
         "  --count N     fetch N sayings, over one connection each, and print a line with a\n"
         "                single % between them (default: 1)\n"
         "  --timeout MS  time limit of one request in milliseconds (default: 5000)\n"
         "  --blocking    use blocking waits instead of an event loop\n"
         "  --proxy URL   connect through socks5://HOST:PORT or http://HOST:PORT, with\n"
         "                USER:PASSWORD@ before the host if the proxy requires it\n"
         "  --help        print this and exit\n"
         "\n"
         "The environment variable BERTH_BACKEND selects a backend: epoll or io_uring.");
    exit(0);
}

static void name_server(client *self)
{
    berth_address address;
    if (berth_address_parse(self->host, &address))
        berth_endpoint_format(address, self->port, self->server, sizeof(self->server));
    else
        snprintf(self->server, sizeof(self->server), "%s:%u", self->host, self->port);
}

static void parse(int argc, char **argv, client *self)
{
    static const struct option known[] = {
        {"count", required_argument, NULL, 'c'}, {"timeout", required_argument, NULL, 't'},
        {"blocking", no_argument, NULL, 'b'},    {"proxy", required_argument, NULL, 'x'},
        {"help", no_argument, NULL, 'h'},        {0},
    };
    int option;
    opterr = 0; /* getopt prints no message of its own */
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'c':
            self->count = number_from(PROGRAM, "the count", optarg, 1, INT_MAX);
            break;
        case 't':
            self->timeout = (int)number_from(PROGRAM, "the time-out", optarg, 1, INT_MAX);
            break;
        case 'b':
            self->blocking = true;
            break;
        case 'x':
            self->proxy = proxy_from(PROGRAM, optarg);
            break;
        case 'h':
            help();
        default:
            fail(PROGRAM, "unknown option '%s', or its value is missing; try --help",
                 argv[optind - 1]);
        }
    }
    if (argc - optind != 2)
        fail(PROGRAM, "exactly a host and a port are required; try --help");
    self->host = argv[optind];
    self->port = (uint16_t)number_from(PROGRAM, "the port", argv[optind + 1], 1, 65535);
    name_server(self);
}

int main(int argc, char **argv)
{
    static client self = {.count = 1, .timeout = 5000};
    parse(argc, argv, &self);
    if (!berth_loop_current())
        fail_without_loop(PROGRAM, NULL);
    if (self.blocking)
        while (self.told < self.count)
            ask_by_waiting(&self);
    else
        ask_by_handlers(&self);
    free(self.last);
    if (fflush(stdout) != 0)
        fail(PROGRAM, "cannot write to standard output: %s", strerror(errno));
    return 0;
}
