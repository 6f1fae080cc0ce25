/*
 * A TCP relay: whoever connects is connected to one target, and bytes go both ways.
 *
 * The normal course: take makes a pair of sides, the client and the target, and begins to connect
 * by name. From then on each side's input is written to the other one (pump). A write takes what
 * fits below the other's high mark; the rest stays unread, reading is paused, and `drained` of the
 * other continues. So memory is bounded, and a fast sender waits for a slow reader. When a side
 * ends its direction, the end is passed on after its last byte, and the other direction continues.
 * When both directions have ended both connections have, and the pair is freed.
 *
 * Any failure resets both connections of a pair (drop), since a graceful end would mean that
 * everything has arrived: a reset by either side, a target that cannot be reached, --idle seconds
 * without a byte, also while nobody reads and both sides are paused.
 *
 * Ways to fail, each with one line on standard error and exit status 2: a wrong option, no target,
 * a loop that cannot be made, an address or port that cannot be listened on. A pair that fails is
 * reported with --log only.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <berth/berth.h>

#include "main_loop.h"
#include "options.h"

#define PROGRAM "relay"
#define HIGH (256 * 1024u) /* bytes of output of a side at most */
#define LOW (64 * 1024u)   /* from which on more is read for it */

typedef struct service {
    berth_address address; /* to listen on */
    uint16_t port;
    const char *host; /* of the target */
    uint16_t target_port;
    int header_version; /* of the PROXY header for the target; 0 for none */
    berth_subnet trusted;
    uint32_t connect_time; /* milliseconds */
    bool log;
    berth_connection_limits limits;
    berth_loop *loop;
    struct pair *pairs; /* all */
    unsigned long relayed;
} service;

/* One connection of a pair. */
typedef struct side {
    struct pair *pair;
    struct side *other;
    berth_socket *socket;
    uint64_t bytes; /* that came from it and were passed on */
    bool up;        /* it was connected */
    bool finished;  /* its input has ended */
    bool passed;    /* and that was passed on */
    bool gone;      /* its connection has ended */
} side;

typedef struct pair {
    service *service;
    struct pair *next;
    struct pair **link;
    side client;
    side target;
    char name[BERTH_ENDPOINT_TEXT_SIZE]; /* of the client, for the log */
} pair;

/* ---- ends ------------------------------------------------------------------------------------ */

static void free_pair(pair *self, const char *why)
{
    if (self->service->log)
        printf("%s: %" PRIu64 " bytes there, %" PRIu64 " back: %s\n", self->name,
               self->client.bytes, self->target.bytes, why);
    *self->link = self->next;
    if (self->next)
        self->next->link = self->link;
    berth_socket_set_handlers(self->client.socket, NULL, NULL);
    berth_socket_set_handlers(self->target.socket, NULL, NULL);
    berth_socket_free(self->client.socket);
    berth_socket_free(self->target.socket);
    free(self);
}

/* Resets both connections, as far as there are any. */
static void drop(pair *self, const char *why)
{
    char kept[512]; /* the text is a socket's */
    snprintf(kept, sizeof(kept), "%s", why);
    berth_socket_set_handlers(self->client.socket, NULL, NULL);
    berth_socket_set_handlers(self->target.socket, NULL, NULL);
    berth_socket_reset(self->client.socket);
    berth_socket_reset(self->target.socket);
    free_pair(self, kept);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Passes a side's input on, as far as the other side accepts it, and the end after it. May free
 * the pair. */
static void pump(side *from)
{
    side *to = from->other;
    size_t size = 0;
    const void *data = NULL;
    if (!to->up || to->gone)
        return;
    while ((data = berth_socket_view(from->socket, &size))) {
        ptrdiff_t taken = berth_socket_write(to->socket, data, size);
        if (taken < 0) {
            drop(from->pair, berth_socket_error_string(to->socket));
            return;
        }
        berth_socket_skip(from->socket, (size_t)taken);
        from->bytes += (size_t)taken;
        if ((size_t)taken < size) { /* `drained` goes on */
            berth_socket_pause_reading(from->socket);
            return;
        }
    }
    berth_socket_resume_reading(from->socket);
    if (from->finished && !from->passed) {
        from->passed = true;
        berth_socket_shutdown_send(to->socket); /* which may end it */
    }
}

/* ---- what happens to a side ------------------------------------------------------------------ */

static void ready_read(berth_socket *socket, void *user)
{
    (void)socket;
    pump(user);
}

static void drained(berth_socket *socket, void *user)
{
    side *self = user;
    (void)socket;
    pump(self->other);
}

static void connected(berth_socket *socket, void *user)
{
    side *self = user;
    (void)socket;
    self->up = true;
    pump(self->other);
}

/* The peer has ended its direction. If the connection is over, `disconnected` handles it. */
static void input_finished(berth_socket *socket, void *user)
{
    side *self = user;
    if (berth_socket_state(socket) != BERTH_STATE_CONNECTED)
        return;
    self->finished = true;
    pump(self);
}

static void failed(berth_socket *socket, berth_error error, void *user)
{
    side *self = user;
    (void)error;
    if (!self->up) /* otherwise `disconnected` follows */
        drop(self->pair, berth_socket_error_string(socket));
}

static void disconnected(berth_socket *socket, void *user)
{
    side *self = user;
    berth_error error = berth_socket_error(socket);
    bool graceful = !berth_socket_was_reset(socket) && self->other->passed &&
                    (error == BERTH_ERROR_NONE || error == BERTH_ERROR_REMOTE_HOST_CLOSED);
    self->gone = true;
    self->finished = true;
    if (!graceful)
        drop(self->pair, error ? berth_socket_error_string(socket) : "ended by this side");
    else if (self->other->gone)
        free_pair(self->pair, "complete");
    else
        pump(self);
}

/* ---- pairs ----------------------------------------------------------------------------------- */

static berth_address unmapped(berth_address address)
{
    uint32_t number = 0;
    return berth_address_to_ipv4(address, &number) ? berth_address_ipv4(number) : address;
}

/* Has the PROXY header sent to the target, which names the client. */
static bool set_header(const service *self, const pair *made)
{
    berth_socket *client = made->client.socket;
    berth_proxy_header header = {
        .version = self->header_version,
        .source = unmapped(berth_socket_peer_address(client)),
        .source_port = berth_socket_peer_port(client),
        .destination = unmapped(berth_socket_local_address(client)),
        .destination_port = berth_socket_local_port(client),
    };
    return self->header_version == 0 || berth_socket_set_proxy_header(made->target.socket, &header);
}

static void set_up(side *self, side *other, pair *both)
{
    static const berth_socket_handlers handlers = {
        .ready_read = ready_read,
        .drained = drained,
        .connected = connected,
        .read_channel_finished = input_finished,
        .error_occurred = failed,
        .disconnected = disconnected,
    };
    self->pair = both;
    self->other = other;
    berth_socket_set_handlers(self->socket, &handlers, self);
    berth_socket_set_half_close(self->socket, true);
    berth_socket_set_write_marks(self->socket, LOW, HIGH);
    berth_socket_set_option(self->socket, BERTH_OPTION_LOW_DELAY, 1);
}

static void take(berth_server *server, void *user)
{
    service *self = user;
    berth_socket *client = berth_server_next_pending_connection(server);
    berth_socket *target = client ? berth_socket_new(self->loop, NULL, NULL) : NULL;
    pair *made = target ? calloc(1, sizeof(*made)) : NULL;
    if (!made) {
        berth_socket_free(target);
        berth_socket_free(client);
        return;
    }
    self->relayed++;
    *made = (pair){.service = self, .next = self->pairs, .link = &self->pairs};
    if (made->next)
        made->next->link = &made->next;
    self->pairs = made;
    made->client.socket = client;
    made->target.socket = target;
    berth_endpoint_format(berth_socket_peer_address(client), berth_socket_peer_port(client),
                          made->name, sizeof(made->name));
    set_up(&made->client, &made->target, made);
    set_up(&made->target, &made->client, made);
    made->client.up = true;
    berth_socket_pause_reading(client); /* until the target is connected */
    berth_socket_set_connect_timeout(target, self->connect_time);
    if (!berth_socket_set_limits(target, &self->limits) || !set_header(self, made))
        drop(made, berth_socket_error_string(target));
    else
        berth_socket_connect_to_host(target, self->host, self->target_port); /* may drop it */
}

/* ---- the command line ------------------------------------------------------------------------ */

static _Noreturn void help(void)
{
    puts("usage: " PROGRAM " [--address ADDRESS] [--port PORT] [--proxy-protocol[=VERSION]]\n"
         "       [--trust SUBNET] [--connect-time SECONDS] [--idle SECONDS] [--log] HOST PORT\n"
         "Relays connections to a host, by name or address.\n"
         "\n"
         "  --address ADDRESS           listen on this address (default: any of both families)\n"
         "  --port PORT                 listen on this port (default: 0, a free one)\n"
         "  --proxy-protocol[=VERSION]  send the target a PROXY header of version 1 or 2\n"
         "                              (default: 2) with the client's address\n"
         "  --trust SUBNET              connections from there begin with a PROXY header\n"
         "  --connect-time SECONDS      to reach the target in (default: 10)\n"
         "  --idle SECONDS              reset pairs on which nothing moves (default: 3600; 0:\n"
         "                              never)\n"
         "  --log                       print a line for each pair that has ended\n"
         "  --help                      print this and exit\n"
         "\n"
         "BERTH_BACKEND=epoll or io_uring in the environment forces that backend.\n"
         "SIGINT and SIGTERM end the relay.");
    exit(0);
}

static void set(service *self, int option, const char *value)
{
    switch (option) {
    case 'a':
        self->address = address_from(PROGRAM, value);
        break;
    case 'p':
        self->port = (uint16_t)number_from(PROGRAM, "the port", value, 0, 65535);
        break;
    case 'v':
        self->header_version = value ? (int)number_from(PROGRAM, "the version", value, 1, 2) : 2;
        break;
    case 't':
        if (!berth_subnet_parse(value, &self->trusted))
            fail(PROGRAM, "'%s' is not a subnet", value);
        break;
    case 'c':
        self->connect_time =
            1000 * (uint32_t)number_from(PROGRAM, "the time to connect", value, 1, 3600);
        break;
    case 'i':
        self->limits.idle = 1000 * (uint32_t)number_from(PROGRAM, "the idle time", value, 0, 86400);
        break;
    default:
        self->log = true;
    }
}

static void parse(int argc, char **argv, service *self)
{
    static const struct option known[] = {
        {"address", required_argument, NULL, 'a'},
        {"port", required_argument, NULL, 'p'},
        {"proxy-protocol", optional_argument, NULL, 'v'},
        {"trust", required_argument, NULL, 't'},
        {"connect-time", required_argument, NULL, 'c'},
        {"idle", required_argument, NULL, 'i'},
        {"log", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;
    opterr = 0; /* the message is ours */
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == '?')
            fail(PROGRAM, "'%s' is no option or lacks its value; try --help", argv[optind - 1]);
        if (option == 'h')
            help();
        set(self, option, optarg);
    }
    if (optind + 2 != argc)
        fail(PROGRAM, "exactly a host and a port are required; try --help");
    self->host = argv[optind];
    self->target_port =
        (uint16_t)number_from(PROGRAM, "the target's port", argv[optind + 1], 1, 65535);
}

int main(int argc, char **argv)
{
    static const berth_server_handlers handlers = {.new_connection = take,
                                                   .accept_error = main_loop_report};
    service self = {.address = BERTH_ADDRESS_ANY, .connect_time = 10000, .limits.idle = 3600000};
    parse(argc, argv, &self);
    setvbuf(stdout, NULL, _IOLBF, 0);
    self.loop = main_loop_open(PROGRAM);
    berth_server *server = berth_server_new(self.loop, &handlers, &self);
    if (!server)
        fail(PROGRAM, "cannot make a server: %s", strerror(errno));
    berth_server_set_connection_limits(server, &self.limits);
    bool trusts = !berth_address_is_null(self.trusted.address);
    if (!berth_server_set_proxy_protocol(server, &self.trusted, trusts, 0))
        fail(PROGRAM, "%s", berth_server_error_string(server));
    main_loop_listen(PROGRAM, PROGRAM, server, self.address, self.port);
    main_loop_run(PROGRAM);
    for (pair *each = self.pairs, *next = NULL; each; each = next) {
        next = each->next;
        drop(each, "the relay was stopped");
    }
    main_loop_close(server);
    printf("relayed %lu connections\n", self.relayed);
    return 0;
}
