/*
 * berth-tracker: tells BitTorrent clients of each other, over HTTP or HTTPS.
 *
 * Many clients, each with one short request. ready_read takes one request after the other from the
 * input (http_wire.h), answers it (tracker_answer.h), and a connection that is not kept alive ends
 * gracefully. A timer forgets peers that have not announced for long. With --tls nothing of this
 * differs but the one call that has the server encrypt (server_tls.h).
 *
 * Bounds: connections of one address and in all, time for a request, peers of one address and in
 * all. Errors, each with one line on standard error and exit status 2: a wrong option, a loop that
 * cannot be made, an address or port that cannot be listened on, a certificate that cannot be used.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <berth/berth.h>

#include "http_wire.h"
#include "main_loop.h"
#include "options.h"
#include "server_tls.h"
#include "tracker_answer.h"

#define PROGRAM "berth-tracker"
#define FORGET_EACH 10000 /* milliseconds */
#define HIGH 65536        /* bytes of output of a connection at which it is not read */
#define LOW 32768         /* and at which it is read again */

typedef struct service {
    berth_loop *loop;
    swarms *swarms;
    berth_connection_limits limits;
    uint64_t announces;
    uint64_t scrapes;
    bool log;
} service;

static uint64_t seconds(const service *self)
{
    return berth_loop_now(self->loop) / 1000;
}

/* ---- requests -------------------------------------------------------------------------------- */

static void answer(berth_socket *socket, const http_request *request, int status, const char *body,
                   size_t size)
{
    char header[256];
    int used = snprintf(header, sizeof(header),
                        "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                        "Connection: %s\r\n\r\n",
                        status, http_reason_of(status), size,
                        request->keep_alive ? "keep-alive" : "close");
    berth_piece pieces[] = {{header, (size_t)used}, {body, request->head ? 0 : size}};
    berth_socket_write_pieces(socket, pieces, 2);
}

static void respond(service *self, berth_socket *socket, http_request *request)
{
    char body[TRACKER_MOST_BODY];
    size_t size = 0;
    int status = request->status;
    if (status == 0 && strcmp(request->path, "announce") == 0) {
        size = tracker_announce(self->swarms, request->query, berth_socket_peer_address(socket),
                                seconds(self), body, sizeof(body));
        self->announces++;
        status = 200;
    } else if (status == 0 && strcmp(request->path, "scrape") == 0) {
        size = tracker_scrape(self->swarms, request->query, body, sizeof(body));
        self->scrapes++;
        status = 200;
    } else if (status == 0) {
        status = 404;
    } else {
        request->keep_alive = false;
    }
    if (self->log)
        printf("%.*s: %d\n", (int)request->raw_path.size, request->raw_path.data, status);
    answer(socket, request, status, body, size);
}

/* Answers the requests in the input. A client that does not read its answers is not read either:
 * `drained` goes on. */
static void serve(berth_socket *socket, void *user)
{
    service *self = user;
    char bytes[HTTP_MOST_HEADER];
    while (berth_socket_bytes_to_write(socket) < HIGH) {
        http_request request;
        ptrdiff_t size = berth_socket_peek(socket, bytes, sizeof(bytes));
        size_t used = size > 0 ? http_request_parse(bytes, (size_t)size, &request) : 0;
        if (used == 0)
            return;
        berth_socket_skip(socket, used);
        respond(self, socket, &request);
        if (!request.keep_alive) {
            berth_socket_disconnect_from_host(socket);
            return;
        }
    }
}

static const berth_socket_handlers connection_handlers = {
    .ready_read = serve,
    .drained = serve,
    .disconnected = berth_socket_free_in_handler,
};

static void on_new_connection(berth_server *server, void *user)
{
    berth_socket *socket;
    while ((socket = berth_server_next_pending_connection(server))) {
        berth_socket_set_handlers(socket, &connection_handlers, user);
        berth_socket_set_write_marks(socket, LOW, 0); /* an answer is never cut */
        berth_socket_set_read_buffer_size(socket, HTTP_MOST_HEADER);
        serve(socket, user); /* what came before is not announced again */
    }
}

static const berth_server_handlers server_handlers = {
    .new_connection = on_new_connection,
    .accept_error = main_loop_report,
};

static void on_time(berth_timer *timer, void *user)
{
    service *self = user;
    (void)timer;
    swarms_forget_old(self->swarms, seconds(self));
}

/* ---- the command line ------------------------------------------------------------------------ */

static const char help[] =
    "Usage: berth-tracker [OPTION]...\n"
    "Tells BitTorrent clients of each other: http://ADDRESS:PORT/announce\n"
    "\n"
    "  --address A                to listen on (default: any)\n"
    "  --port P                   default: 6969; 0 for a free one\n"
    "  --max-peers N              in all torrents (default: 100000)\n"
    "  --max-torrents N           default: 10000\n"
    "  --max-peers-per-address N  default: 64\n"
    "  --max-connections-per-address N  at once (default: 64)\n"
    "  --tls FILE[,FILE]          https: encrypt, with the certificate and key of\n"
    "                             these PEM files, which are read again on SIGHUP\n"
    "  --log                      a line for each request\n"
    "  --help\n";

typedef struct options {
    berth_address address;
    uint16_t port;
    swarm_limits limits;
    uint32_t connections;
    char *files; /* certificate and key; NULL: not encrypted */
    bool log;
} tracker_options;

static const struct option known[] = {
    {"address", required_argument, NULL, 'a'},
    {"port", required_argument, NULL, 'p'},
    {"max-peers", required_argument, NULL, 'm'},
    {"max-torrents", required_argument, NULL, 't'},
    {"max-peers-per-address", required_argument, NULL, 'n'},
    {"max-connections-per-address", required_argument, NULL, 'c'},
    {"tls", required_argument, NULL, 's'},
    {"log", no_argument, NULL, 'l'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static uint32_t count_from(const char *what, const char *text)
{
    return (uint32_t)number_from(PROGRAM, what, text, 1, 10000000);
}

static void take(tracker_options *self, int option, char *text)
{
    switch (option) {
    case 'a':
        self->address = address_from(PROGRAM, text);
        break;
    case 'p':
        self->port = (uint16_t)number_from(PROGRAM, "the port", text, 0, 65535);
        break;
    case 'm':
        self->limits.peers = count_from("the number of peers", text);
        break;
    case 't':
        self->limits.torrents = count_from("the number of torrents", text);
        break;
    case 'n':
        self->limits.per_address = count_from("the number of peers of an address", text);
        break;
    case 'c':
        self->connections = count_from("the number of connections of an address", text);
        break;
    case 's':
        self->files = text;
        break;
    case 'l':
        self->log = true;
        break;
    case 'h':
        fputs(help, stdout);
        exit(0);
    default: /* getopt_long has said what */
        exit(2);
    }
}

int main(int argc, char **argv)
{
    tracker_options options = {.address = BERTH_ADDRESS_ANY,
                               .port = 6969,
                               .limits = {100000, 10000, 64},
                               .connections = 64};
    berth_connection_limits limits = {.first_byte = 10000, .idle = 20000, .lifetime = 120000};
    service state = {0};
    uint64_t seed;
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
        take(&options, option, optarg);
    if (optind < argc)
        fail(PROGRAM, "'%s' is not an option", argv[optind]);
    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
        fail(PROGRAM, "no random numbers: %s", strerror(errno));
    setvbuf(stdout, NULL, _IOLBF, 0);
    state.log = options.log;
    state.loop = main_loop_open(PROGRAM);
    state.swarms = swarms_new(&options.limits, seed);
    berth_server *server = berth_server_new(state.loop, &server_handlers, &state);
    berth_timer *timer = berth_timer_new(state.loop, on_time, &state);
    if (!state.swarms || !server || !timer)
        fail(PROGRAM, "out of memory");
    berth_accept_limits accept_limits = {.per_address = options.connections};
    berth_server_set_accept_limits(server, &accept_limits);
    berth_server_set_connection_limits(server, &limits);
    if (options.files)
        server_tls_open(PROGRAM, server, options.files, NULL);
    main_loop_listen(PROGRAM, "Tracker", server, options.address, options.port);
    berth_timer_start(timer, FORGET_EACH, FORGET_EACH);
    main_loop_run(PROGRAM);
    printf("%" PRIu64 " announces and %" PRIu64 " scrapes were answered; %" PRIu32
           " peers were known\n",
           state.announces, state.scrapes, swarms_peers(state.swarms));
    server_tls_close();
    main_loop_close(server);
    swarms_free(state.swarms);
    return 0;
}
