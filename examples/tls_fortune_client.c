/*
 * The Fortune client with TLS: fetches sayings from a Fortune server that encrypts, and prints
 * them.
 *
 * The course, for each request: connect to the host by name; when the handshake is complete the
 * server has proved, by a certificate of an authority that is trusted, that it is that host;
 * receive the block (fortune_wire.h), end the connection, print the text. One socket makes all
 * connections. The first one leaves a session, with which later ones are resumed: a handshake
 * without certificates.
 *
 * What the certificate is checked with is the list of authorities of the system, or a file of one's
 * own. Nothing turns the check off.
 *
 * Errors, each with one line on standard error and exit status 2: a wrong option, an unknown host,
 * a connection that fails, a certificate that is not valid or not for this host, a server that ends
 * the connection early or takes too long, an invalid size. Sayings that were printed before remain
 * printed.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <berth/berth.h>

#include "fortune_wire.h"
#include "options.h"

#define PROGRAM "tls_fortune_client"

/* Options and progress; the user pointer of the handlers. */
typedef struct client {
    const char *host;
    uint16_t port;
    long count;
    int timeout;             /* milliseconds, for one request */
    const char *name;        /* in the certificate; NULL: the host */
    const char *authorities; /* NULL: those of the system */
    bool log;

    long told;
    bool whole; /* the answer has arrived */
    berth_timer *timer;
    uint8_t session[8192];
} client;

/* ---- a request ------------------------------------------------------------------------------- */

static void ask(client *self, berth_socket *socket)
{
    self->whole = false;
    berth_timer_start(self->timer, (uint64_t)self->timeout, 0);
    /* Errors are reported to failed(). */
    berth_socket_connect_to_host(socket, self->host, self->port);
}

static void log_connection(berth_socket *socket, void *user)
{
    const client *self = user;
    if (self->log)
        fprintf(stderr, "TLS 1.%d, %s%s\n",
                berth_socket_tls_version(socket) == BERTH_TLS_VERSION_1_3 ? 3 : 2,
                berth_socket_tls_cipher(socket),
                berth_socket_tls_was_resumed(socket) ? ", resumed" : "");
}

/* The session that the server has sent by now is for the next connection. */
static void keep_session(client *self, berth_socket *socket)
{
    size_t size = berth_socket_tls_session(socket, self->session, sizeof(self->session));
    if (size > 0 && size <= sizeof(self->session))
        berth_socket_set_tls_session(socket, self->session, size);
}

static void tell(client *self, berth_socket *socket, uint32_t count)
{
    size_t length;
    uint8_t *bytes = malloc(count + 1); /* malloc(0) may return NULL */
    char *text = NULL;
    if (bytes && berth_socket_read(socket, bytes, count) == (ptrdiff_t)count)
        text = fortune_text_new(bytes, count, &length);
    if (!text)
        fail(PROGRAM, "cannot store a fortune of %u bytes: %s", count, strerror(errno));
    if (self->told++ > 0)
        puts("%");
    fwrite(text, 1, length, stdout);
    putchar('\n');
    free(text);
    free(bytes);
}

static void collect(berth_socket *socket, void *user)
{
    client *self = user;
    uint8_t header[FORTUNE_HEADER];
    uint32_t count;
    if (berth_socket_peek(socket, header, sizeof(header)) < (ptrdiff_t)sizeof(header))
        return;
    if (!fortune_header_read(header, &count))
        fail(PROGRAM, "%s announced a fortune of %u bytes, which is not a valid size", self->host,
             count);
    if (berth_socket_bytes_available(socket) < sizeof(header) + count)
        return;
    berth_socket_skip(socket, sizeof(header));
    tell(self, socket, count);
    keep_session(self, socket);
    self->whole = true;
    berth_socket_abort(socket); /* calls ended() */
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void ended(berth_socket *socket, void *user)
{
    client *self = user;
    if (!self->whole)
        fail(PROGRAM, "%s ended the connection in the middle of a fortune", self->host);
    if (self->told < self->count)
        ask(self, socket);
    else
        berth_loop_stop(NULL, 0);
}

static void failed(berth_socket *socket, berth_error error, void *user)
{
    (void)user;
    if (error != BERTH_ERROR_REMOTE_HOST_CLOSED) /* the usual end by the server: see ended() */
        fail(PROGRAM, "%s", berth_socket_error_string(socket));
}

static void expired(berth_timer *timer, void *user)
{
    const client *self = user;
    (void)timer;
    fail(PROGRAM, "%s did not send a complete fortune within %d ms", self->host, self->timeout);
}

/* ---- the command line ------------------------------------------------------------------------ */

static _Noreturn void help(void)
{
    puts("usage: " PROGRAM " HOST PORT [--authorities FILE] [--name NAME] [--count N]\n"
         "       [--timeout MS] [--log]\n"
         "Fetches a saying from a Fortune server that encrypts, and prints it.\n"
         "\n"
         "  HOST                a name, or an IPv4 or IPv6 address\n"
         "  PORT                1 to 65535\n"
         "  --authorities FILE  trust the authorities in this PEM file or folder (default: those\n"
         "                      of the system)\n"
         "  --name NAME         what the certificate must be for (default: the host)\n"
         "  --count N           fetch N sayings, over one connection each, and print a line with\n"
         "                      a single % between them (default: 1)\n"
         "  --timeout MS        time limit of one request in milliseconds (default: 5000)\n"
         "  --log               print a line for each connection on standard error\n"
         "  --help              print this and exit\n"
         "\n"
         "The environment variable BERTH_BACKEND selects a backend: epoll or io_uring.");
    exit(0);
}

static void parse(int argc, char **argv, client *self)
{
    static const struct option known[] = {
        {"authorities", required_argument, NULL, 'a'},
        {"name", required_argument, NULL, 'n'},
        {"count", required_argument, NULL, 'c'},
        {"timeout", required_argument, NULL, 't'},
        {"log", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;
    opterr = 0; /* getopt prints no message of its own */
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'a':
            self->authorities = optarg;
            break;
        case 'n':
            self->name = optarg;
            break;
        case 'c':
            self->count = number_from(PROGRAM, "the count", optarg, 1, INT_MAX);
            break;
        case 't':
            self->timeout = (int)number_from(PROGRAM, "the time-out", optarg, 1, INT_MAX);
            break;
        case 'l':
            self->log = true;
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
}

/* ---- main ------------------------------------------------------------------------------------ */

int main(int argc, char **argv)
{
    static const berth_socket_handlers handlers = {.encrypted = log_connection,
                                                   .ready_read = collect,
                                                   .disconnected = ended,
                                                   .error_occurred = failed};
    static client self = {.count = 1, .timeout = 5000};
    char text[BERTH_TLS_TEXT_SIZE];
    parse(argc, argv, &self);
    if (!berth_loop_current())
        fail_without_loop(PROGRAM, NULL);
    berth_tls_options options = {.authorities = self.authorities};
    berth_tls *tls = berth_tls_new(BERTH_TLS_CLIENT, &options, text);
    if (!tls)
        fail(PROGRAM, "%s", text);
    berth_socket *socket = berth_socket_new(NULL, &handlers, &self); /* NULL: this thread's loop */
    self.timer = berth_timer_new(NULL, expired, &self);
    if (!socket || !self.timer)
        fail(PROGRAM, "cannot make a socket and a timer: %s", strerror(errno));
    if (!berth_socket_set_tls(socket, tls, self.name))
        fail(PROGRAM, "%s", berth_socket_error_string(socket));
    berth_tls_release(tls); /* the socket holds it */
    ask(&self, socket);
    if (berth_loop_run(NULL) != 0)
        fail(PROGRAM, "the event loop failed: %s", strerror(errno));
    berth_timer_free(self.timer);
    berth_socket_free(socket);
    if (fflush(stdout) != 0)
        fail(PROGRAM, "cannot write to standard output: %s", strerror(errno));
    return 0;
}
