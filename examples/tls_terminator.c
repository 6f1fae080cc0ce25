/*
 * A TLS terminator: whoever connects by TLS is connected to one target, which speaks TCP or listens
 * on a Unix socket, and bytes go both ways.
 *
 * The normal course: each worker of a pool listens on the same port. When a handshake is complete
 * take makes a pair of sides, the client and the target, and begins to connect. From then on each
 * side's input is written to the other one (pump). A write takes what fits below the other's high
 * mark; the rest stays unread, reading is paused, and `drained` of the other continues. So memory
 * is bounded, and a fast sender waits for a slow reader. When a side ends its direction, the end is
 * passed on after its last byte, and the other direction continues: close_notify of the client
 * becomes the end of TCP for the target, and the other way round.
 *
 * Any failure resets both connections of a pair (drop), since a graceful end would mean that
 * everything has arrived: a reset by either side, a client that ends without close_notify, a target
 * that cannot be reached.
 *
 * Certificates: the first --tls is for all names; each --host NAME=FILES is for one name, as
 * "*.example.org". A SIGHUP reads all of them again, and the workers get the new ones; connections
 * that are open keep theirs. If one cannot be read, all old ones stay. All have the same keys for
 * tickets, made at the start, so a session is resumed by every worker, and after a renewal.
 *
 * Ways to fail, each with one line on standard error and exit status 2: a wrong option, no target
 * or certificate, a loop or a pool that cannot be made, an address or port that cannot be listened
 * on. A pair that fails is reported with --log only.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <berth/berth.h>

#include "main_loop.h"
#include "options.h"

#define PROGRAM "tls_terminator"
#define HIGH (256 * 1024u) /* bytes of output of a side at most */
#define LOW (64 * 1024u)   /* from which on more is read for it */
#define MOST_HOSTS 64

/* A certificate, and the configuration made of it. */
typedef struct host {
    const char *name; /* NULL: for all others */
    const char *certificate;
    const char *key;
    berth_tls *tls;
} host;

typedef struct service {
    berth_address address; /* to listen on */
    uint16_t port;
    const char *target; /* a host, or the path of a Unix socket if the port is 0 */
    uint16_t target_port;
    bool header; /* begin with a PROXY header of version 2 */
    bool log;
    int count; /* of workers */
    berth_workers *workers;
    struct place **places; /* of the workers, by number */
    pthread_mutex_t lock;  /* of the configurations: the main thread renews them */
    host hosts[MOST_HOSTS];
    size_t hosts_count;
    berth_tls_ticket_key ticket_key;
    atomic_ulong taken;
} service;

/* One worker. */
typedef struct place {
    service *service;
    berth_loop *loop;
    berth_server *server;
    struct pair *pairs; /* all of it */
} place;

/* One connection of a pair. */
typedef struct side {
    struct pair *pair;
    struct side *other;
    berth_socket *socket;
    bool up;       /* it was connected */
    bool finished; /* its input has ended */
    bool passed;   /* and that was passed on */
    bool gone;     /* its connection has ended */
} side;

typedef struct pair {
    place *place;
    struct pair *next;
    struct pair **link;
    char name[BERTH_ENDPOINT_TEXT_SIZE]; /* of the client, for the log */
    side client;
    side target;
} pair;

/* ---- ends ------------------------------------------------------------------------------------ */

static void free_pair(pair *self, const char *why)
{
    if (self->place->service->log)
        printf("%s: %s\n", self->name, why);
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

/* ---- the PROXY header ------------------------------------------------------------------------ */

/* A header that is being written: of version 2, with values. */
typedef struct header {
    uint8_t bytes[1024];
    size_t size;
} header;

static void put(header *self, const void *data, size_t size)
{
    if (size > sizeof(self->bytes) - self->size)
        size = sizeof(self->bytes) - self->size; /* cannot be: all texts are shorter */
    memcpy(self->bytes + self->size, data, size);
    self->size += size;
}

static void put_number(header *self, size_t number)
{
    put(self, (const uint8_t[]){(uint8_t)(number >> 8), (uint8_t)number}, 2);
}

static void put_text(header *self, uint8_t type, const char *text)
{
    size_t size = strlen(text);
    if (size == 0)
        return;
    put(self, &type, 1);
    put_number(self, size);
    put(self, text, size);
}

/* Writes the length of what has been put since into the two bytes at `at`. */
static void set_length(header *self, size_t at)
{
    size_t length = self->size - at - 2;
    self->bytes[at] = (uint8_t)(length >> 8);
    self->bytes[at + 1] = (uint8_t)length;
}

static berth_address unmapped(berth_address address)
{
    uint32_t number = 0;
    return berth_address_to_ipv4(address, &number) ? berth_address_ipv4(number) : address;
}

/* The library's header has the addresses only, so this one is the first output. */
static bool write_header(const pair *made)
{
    static const char *const versions[] = {
        [BERTH_TLS_VERSION_1_2] = "TLSv1.2", [BERTH_TLS_VERSION_1_3] = "TLSv1.3"};
    berth_socket *client = made->client.socket;
    berth_address source = unmapped(berth_socket_peer_address(client));
    berth_address destination = unmapped(berth_socket_local_address(client));
    bool is_ipv4 = source.family == BERTH_ADDRESS_FAMILY_IPV4;
    header built = {.size = 0};
    put(&built, "\r\n\r\n\0\r\nQUIT\n\x21", 13);
    put(&built, is_ipv4 ? "\x11" : "\x21", 1);
    put_number(&built, 0);
    put(&built, source.bytes, is_ipv4 ? 4 : 16);
    put(&built, destination.bytes, is_ipv4 ? 4 : 16);
    put_number(&built, berth_socket_peer_port(client));
    put_number(&built, berth_socket_local_port(client));
    put_text(&built, 0x01, berth_socket_tls_protocol(client));
    put_text(&built, 0x02, berth_socket_tls_server_name(client));
    size_t tls = built.size + 1;
    put(&built, "\x20\0\0\x01\0\0\0\x01", 8); /* by TLS; no certificate was verified */
    put_text(&built, 0x21, versions[berth_socket_tls_version(client)]);
    put_text(&built, 0x23, berth_socket_tls_cipher(client));
    set_length(&built, tls);
    set_length(&built, 14);
    return berth_socket_write(made->target.socket, built.bytes, built.size) ==
           (ptrdiff_t)built.size;
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
    self->up = true;
    if (self->pair->place->service->header && !write_header(self->pair))
        drop(self->pair, berth_socket_error_string(socket));
    else
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
    bool graceful = !berth_socket_was_reset(socket) && !berth_socket_tls_was_truncated(socket) &&
                    self->other->passed &&
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
}

static void take(berth_worker *worker, berth_socket *client, void *user)
{
    place *self = user;
    (void)worker;
    berth_socket *target = berth_socket_new(self->loop, NULL, NULL);
    pair *made = target ? calloc(1, sizeof(*made)) : NULL;
    if (!made) {
        berth_socket_free(target);
        berth_socket_free(client);
        return;
    }
    atomic_fetch_add(&self->service->taken, 1);
    *made = (pair){.place = self, .next = self->pairs, .link = &self->pairs};
    if (made->next)
        made->next->link = &made->next;
    self->pairs = made;
    berth_endpoint_format(berth_socket_peer_address(client), berth_socket_peer_port(client),
                          made->name, sizeof(made->name));
    made->client.socket = client;
    made->target.socket = target;
    set_up(&made->client, &made->target, made);
    set_up(&made->target, &made->client, made);
    made->client.up = true;
    berth_socket_pause_reading(client); /* until the target is connected */
    if (self->service->target_port)     /* either may drop it */
        berth_socket_connect_to_host(target, self->service->target, self->service->target_port);
    else
        berth_socket_connect_to_local(target, self->service->target);
}

/* ---- certificates ---------------------------------------------------------------------------- */

static void release(host *hosts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        berth_tls_release(hosts[i].tls);
        hosts[i].tls = NULL;
    }
}

/* Reads all of them again, or else none. */
static bool read_files(service *self, char text[BERTH_TLS_TEXT_SIZE])
{
    host read[MOST_HOSTS];
    for (size_t i = 0; i < self->hosts_count; i++) {
        read[i] = self->hosts[i];
        const berth_tls_options options = {
            .certificate = read[i].certificate, .key = read[i].key, .stop_at_truncation = true};
        read[i].tls = berth_tls_new(BERTH_TLS_SERVER, &options, text);
        if (!read[i].tls || !berth_tls_set_ticket_keys(read[i].tls, &self->ticket_key, 1)) {
            release(read, i + 1);
            return false;
        }
    }
    release(self->hosts, self->hosts_count);
    memcpy(self->hosts, read, self->hosts_count * sizeof(*read));
    return true;
}

/* Has a worker's server use what was read. On the worker's thread. */
static bool set_hosts(place *self)
{
    service *from = self->service;
    bool done = true;
    pthread_mutex_lock(&from->lock);
    for (size_t i = 0; done && i < from->hosts_count; i++) {
        const host *each = &from->hosts[i];
        done = each->name ? berth_server_set_tls_host(self->server, each->name, each->tls)
                          : berth_server_set_tls(self->server, each->tls);
    }
    pthread_mutex_unlock(&from->lock);
    if (!done)
        fprintf(stderr, PROGRAM ": %s\n", berth_server_error_string(self->server));
    return done;
}

static bool started(berth_worker *worker, void *user)
{
    place *self = calloc(1, sizeof(*self));
    if (!self)
        return false;
    *self = (place){
        .service = user, .loop = berth_worker_loop(worker), .server = berth_worker_server(worker)};
    berth_worker_set_user(worker, self);
    self->service->places[berth_worker_number(worker)] = self;
    if (set_hosts(self))
        return true;
    free(self);
    return false;
}

static void stopping(berth_worker *worker, void *user)
{
    place *self = user;
    (void)worker;
    for (pair *each = self->pairs, *next = NULL; each; each = next) {
        next = each->next;
        drop(each, "the terminator was stopped");
    }
    free(self);
}

static void set_hosts_again(void *user)
{
    (void)set_hosts(user);
}

static void renew(berth_signal *hangup, void *user)
{
    service *self = user;
    char text[BERTH_TLS_TEXT_SIZE] = "out of memory";
    (void)hangup;
    pthread_mutex_lock(&self->lock);
    bool done = read_files(self, text);
    pthread_mutex_unlock(&self->lock);
    if (!done) {
        fprintf(stderr, PROGRAM ": %s; the old certificates stay\n", text);
        return;
    }
    for (int i = 0; i < self->count; i++)
        if (!berth_loop_post(self->places[i]->loop, set_hosts_again, self->places[i]))
            fprintf(stderr, PROGRAM ": worker %d keeps the old certificates: out of memory\n", i);
    printf("certificates read again\n");
}

/* ---- the command line ------------------------------------------------------------------------ */

static _Noreturn void help(void)
{
    puts("usage: " PROGRAM " --tls FILE[,FILE] [--host NAME=FILE[,FILE]]... [--address ADDRESS]\n"
         "       [--port PORT] [--proxy-header] [--workers N] [--log] HOST PORT | PATH\n"
         "Takes connections by TLS, and passes them on to a host, by name or address, or to the\n"
         "Unix socket at a path.\n"
         "\n"
         "  --tls FILE[,FILE]        certificate and key, in PEM files, which SIGHUP reads again\n"
         "  --host NAME=FILE[,FILE]  the same for clients that ask for this name, for example\n"
         "                           www.example.org or *.example.org; up to 63\n"
         "  --address ADDRESS        listen on this address (default: any of both families)\n"
         "  --port PORT              listen on this port (default: 0, a free one)\n"
         "  --proxy-header           begin with a PROXY header of version 2: the addresses, the\n"
         "                           name, protocol, version and cipher of TLS\n"
         "  --workers N              threads, 1 to 1024 (default: 1)\n"
         "  --log                    print a line for each pair that has ended\n"
         "  --help                   print this and exit\n"
         "\n"
         "BERTH_BACKEND=epoll or io_uring in the environment forces that backend.\n"
         "SIGINT and SIGTERM end the terminator.");
    exit(0);
}

static void add_host(service *self, const char *name, char *files)
{
    char *comma = strchr(files, ',');
    if (comma)
        *comma = '\0';
    if (self->hosts_count == MOST_HOSTS)
        fail(PROGRAM, "cannot use '%s': there are more than %d certificates", files, MOST_HOSTS);
    self->hosts[self->hosts_count++] =
        (host){.name = name, .certificate = files, .key = comma ? comma + 1 : NULL};
}

static void set(service *self, int option, char *value)
{
    char *sign = NULL;
    switch (option) {
    case 'a':
        self->address = address_from(PROGRAM, value);
        break;
    case 'p':
        self->port = (uint16_t)number_from(PROGRAM, "the port", value, 0, 65535);
        break;
    case 't':
        if (self->hosts_count > 0)
            fail(PROGRAM, "--tls must be given once, before --host");
        add_host(self, NULL, value);
        break;
    case 'n':
        sign = strchr(value, '=');
        if (!sign || self->hosts_count == 0)
            fail(PROGRAM, "--host '%s' must be NAME=FILE[,FILE], and come after --tls", value);
        *sign = '\0';
        add_host(self, value, sign + 1);
        break;
    case 'x':
        self->header = true;
        break;
    case 'w':
        self->count = (int)number_from(PROGRAM, "the workers", value, 1, BERTH_MOST_WORKERS);
        break;
    default:
        self->log = true;
    }
}

static void parse(int argc, char **argv, service *self)
{
    static const struct option known[] = {
        {"tls", required_argument, NULL, 't'},
        {"host", required_argument, NULL, 'n'},
        {"address", required_argument, NULL, 'a'},
        {"port", required_argument, NULL, 'p'},
        {"proxy-header", no_argument, NULL, 'x'},
        {"workers", required_argument, NULL, 'w'},
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
    if (self->hosts_count == 0 || (optind + 1 != argc && optind + 2 != argc))
        fail(PROGRAM, "--tls and one target are required; try --help");
    self->target = argv[optind];
    if (optind + 2 == argc)
        self->target_port =
            (uint16_t)number_from(PROGRAM, "the target's port", argv[optind + 1], 1, 65535);
}

int main(int argc, char **argv)
{
    static const berth_workers_handlers handlers = {
        .started = started, .stopping = stopping, .connection = take};
    service self = {.address = BERTH_ADDRESS_ANY, .count = 1, .lock = PTHREAD_MUTEX_INITIALIZER};
    char text[BERTH_TLS_TEXT_SIZE] = "out of memory";
    parse(argc, argv, &self);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (getrandom(&self.ticket_key, sizeof(self.ticket_key), 0) != sizeof(self.ticket_key))
        fail(PROGRAM, "cannot make a key for tickets: no random bytes: %s", strerror(errno));
    if (!read_files(&self, text))
        fail(PROGRAM, "%s", text);
    berth_loop *loop = main_loop_open(PROGRAM);
    berth_signal *hangup = berth_signal_new(loop, SIGHUP, renew, &self);
    self.places = calloc((size_t)self.count, sizeof(*self.places));
    self.workers = berth_workers_new(self.count, &handlers, &self);
    if (!hangup || !self.places || !self.workers)
        fail(PROGRAM, "cannot make a pool of threads: %s", strerror(errno));
    if (!berth_workers_start(self.workers) ||
        !berth_workers_listen(self.workers, self.address, self.port))
        fail(PROGRAM, "%s", berth_workers_error_string(self.workers));
    printf(PROGRAM " listening on port %d\n", berth_workers_port(self.workers));
    main_loop_run(PROGRAM);
    berth_signal_free(hangup);
    berth_workers_free(self.workers);
    berth_loop_free(loop);
    release(self.hosts, self.hosts_count);
    free(self.places);
    printf("passed on %lu connections\n", atomic_load(&self.taken));
    return 0;
}
