/*
 * One end of the encrypted transfers that are checked against Qt and against the servers of others:
 * a server or a client, on Berth.
 *
 *     tls_peer server [OPTION=VALUE]...
 *     tls_peer client PORT [OPTION=VALUE]...
 *
 * A request is eight bytes (the kind, three zero bytes, the length in network order) and as many
 * bytes as the length says; the answer is those bytes. On kind P the client ends the connection
 * when it has the answer, on E the server does behind it. Of kind L a request is a line that reads
 * the same backwards, without a header, for servers that send lines back in either order; the
 * client ends the connection. Options of both:
 *
 *     certificate=FILE key=FILE authorities=FILE   as in berth_tls_options
 *     protocols=NAME[,NAME]                        of ALPN
 *     version=2|3                                  TLS 1.2 or 1.3 only
 *     starttls=1    begins in the clear: "STARTTLS\r\n", "GO\r\n", and then the handshake
 *
 * of the server: verify=1 (clients need a certificate); of the client: name=NAME, count=N
 * connections one after the other, each with the session of the one before, length=N, kind=P|E|L.
 *
 * Each prints a line for each connection when it ends: what was agreed on, how many bytes went each
 * way, and whether the end was an orderly one. The server prints first where it listens, and for
 * each handshake that fails a line with "failed" and the reason. The client ends with status 1 and
 * a line on standard error when a connection fails or an answer differs; what cannot be begun is
 * status 2. All ends after 200 seconds by SIGALRM.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <berth/berth.h>

enum {
    HEADER = 8,
    MOST_PROTOCOLS = 8,
    MOST_SESSION = 8192,
    SECONDS = 200
};

static const char asks_for_tls[] = "STARTTLS\r\n";
static const char grants_tls[] = "GO\r\n";

static struct {
    const char *certificate, *key, *authorities, *name, *kind;
    char *protocols;
    unsigned long version, verify, starttls, count, length, port;
} given = {.kind = "P", .count = 1, .length = 1000};

static berth_loop *loop;
static berth_tls *tls;

/* A connection, of either side. */
typedef struct transfer {
    uint8_t kind; /* 0 until it is known */
    bool encrypted, granted;
    size_t length, done;
    char agreed[512];
} transfer;

__attribute__((format(printf, 2, 3))) static _Noreturn void fail(int status, const char *format,
                                                                 ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("tls_peer: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(status);
}

/* ---- both ------------------------------------------------------------------------------------ */

/* What can be asked only while the connection is there. */
static void note(berth_socket *socket, transfer *self)
{
    size_t size;
    if (self->agreed[0] != '\0')
        return;
    (void)berth_socket_peer_certificate(socket, &size);
    snprintf(self->agreed, sizeof self->agreed,
             "version=1.%d name=%s protocol=%s resumed=%d verified=%d certificate=%d",
             berth_socket_tls_version(socket) == BERTH_TLS_VERSION_1_3 ? 3 : 2,
             berth_socket_tls_server_name(socket), berth_socket_tls_protocol(socket),
             berth_socket_tls_was_resumed(socket), berth_socket_is_peer_verified(socket), size > 0);
}

static void tell(const berth_socket *socket, const transfer *self)
{
    printf("kind=%c bytes=%zu whole=%d truncated=%d %s\n", self->kind != 0 ? self->kind : '-',
           self->done, self->done == self->length, berth_socket_tls_was_truncated(socket),
           self->agreed);
    fflush(stdout);
}

static void write_all(berth_socket *socket, const void *data, size_t size)
{
    if (berth_socket_write(socket, data, size) != (ptrdiff_t)size)
        fail(1, "cannot write: %s", berth_socket_error_string(socket));
}

/* Whether the line has come, which is taken then. It is all that may come before the handshake. */
static bool take_line(berth_socket *socket, const char *line)
{
    char text[32];
    if (berth_socket_bytes_available(socket) < strlen(line))
        return false;
    if (berth_socket_bytes_available(socket) > strlen(line) ||
        berth_socket_read_line(socket, text, sizeof text) < 0 || strcmp(text, line) != 0)
        fail(1, "something else came than %s", line);
    return true;
}

static uint8_t byte_at(size_t at)
{
    return (uint8_t)(at * 7 + at / 251);
}

/* Byte of a line that reads the same backwards. */
static uint8_t letter_at(size_t at, size_t length)
{
    size_t back = length - 2 - at;
    return at + 1 == length ? '\n' : (uint8_t)('a' + (at < back ? at : back) % 26);
}

static uint8_t wanted_at(const transfer *self, size_t at)
{
    return self->kind == 'L' ? letter_at(at, self->length) : byte_at(at);
}

/* ---- the server ------------------------------------------------------------------------------ */

static void echo(berth_socket *socket, transfer *self)
{
    uint8_t header[HEADER];
    uint32_t length;
    const void *data;
    size_t size;
    note(socket, self);
    if (self->kind == 0) {
        if (berth_socket_bytes_available(socket) < sizeof header)
            return;
        (void)berth_socket_read(socket, header, sizeof header);
        self->kind = header[0];
        memcpy(&length, header + 4, sizeof length);
        self->length = ntohl(length);
    }
    while ((data = berth_socket_view(socket, &size)) != NULL) {
        write_all(socket, data, size);
        self->done += size;
        (void)berth_socket_skip(socket, size);
    }
    if (self->kind == 'E' && self->done >= self->length)
        berth_socket_disconnect_from_host(socket);
}

static void serve(berth_socket *socket, void *user)
{
    transfer *self = user;
    if (!given.starttls || self->encrypted) {
        echo(socket, self);
    } else if (take_line(socket, asks_for_tls)) {
        self->granted = true;
        write_all(socket, grants_tls, strlen(grants_tls));
    }
}

/* The handshake may begin when nothing is left to be sent in the clear. */
static void sent(berth_socket *socket, size_t bytes, void *user)
{
    transfer *self = user;
    (void)bytes;
    if (!self->granted || self->encrypted)
        return;
    self->encrypted = true;
    if (!berth_socket_start_server_encryption(socket, tls))
        fail(1, "cannot encrypt: %s", berth_socket_error_string(socket));
}

static void served(berth_socket *socket, void *user)
{
    tell(socket, user);
    berth_socket_free(socket);
    free(user);
}

static const berth_socket_handlers serving = {
    .ready_read = serve, .bytes_written = sent, .disconnected = served};

static void take(berth_server *server, void *user)
{
    berth_socket *socket;
    (void)user;
    while ((socket = berth_server_next_pending_connection(server)) != NULL) {
        transfer *self = calloc(1, sizeof *self);
        if (self == NULL)
            fail(2, "out of memory");
        berth_socket_set_handlers(socket, &serving, self);
        if (berth_socket_bytes_available(socket) > 0)
            serve(socket, self);
    }
}

static void say_failure(berth_server *server, const berth_tls_failure *failure, void *user)
{
    (void)server;
    (void)user;
    printf("failed name=%s: %s\n", failure->server_name, failure->text);
    fflush(stdout);
}

static void stop(berth_signal *signal, void *user)
{
    (void)signal;
    (void)user;
    berth_loop_stop(loop, 0);
}

static void run_server(void)
{
    static const berth_server_handlers handlers = {.new_connection = take,
                                                   .handshake_failed = say_failure};
    berth_server *server = berth_server_new(loop, &handlers, NULL);
    berth_signal *ending = berth_signal_new(loop, SIGTERM, stop, NULL);
    if (server == NULL || ending == NULL)
        fail(2, "out of memory");
    if (!given.starttls && !berth_server_set_tls(server, tls))
        fail(2, "%s", berth_server_error_string(server));
    if (!berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0))
        fail(2, "%s", berth_server_error_string(server));
    printf("tls_peer listening on 127.0.0.1 port %u\n", berth_server_port(server));
    fflush(stdout);
    if (berth_loop_run(loop) != 0)
        fail(1, "the loop has failed: %s", strerror(errno));
    berth_signal_free(ending);
    berth_server_free(server);
}

/* ---- the client ------------------------------------------------------------------------------ */

static void begin(berth_socket *socket, transfer *self)
{
    *self = (transfer){.kind = (uint8_t)given.kind[0], .length = given.length};
    (void)berth_socket_connect_to_host(socket, "localhost", (uint16_t)given.port);
}

static void greet(berth_socket *socket, void *user)
{
    (void)user;
    if (given.starttls)
        write_all(socket, asks_for_tls, strlen(asks_for_tls));
}

static void ask(berth_socket *socket, void *user)
{
    transfer *self = user;
    uint8_t header[HEADER] = {self->kind};
    uint32_t length = htonl((uint32_t)self->length);
    uint8_t *bytes = malloc(self->length + 1);
    if (bytes == NULL)
        fail(2, "out of memory");
    self->encrypted = true;
    memcpy(header + 4, &length, sizeof length);
    for (size_t i = 0; i < self->length; i++)
        bytes[i] = wanted_at(self, i);
    if (self->kind != 'L')
        write_all(socket, header, sizeof header);
    write_all(socket, bytes, self->length);
    free(bytes);
}

static void collect(berth_socket *socket, void *user)
{
    transfer *self = user;
    uint8_t session[MOST_SESSION];
    uint8_t bytes[4096];
    ptrdiff_t size;
    if (given.starttls && !self->encrypted) {
        if (take_line(socket, grants_tls) &&
            !berth_socket_start_client_encryption(socket, tls, given.name))
            fail(1, "cannot encrypt: %s", berth_socket_error_string(socket));
        return;
    }
    note(socket, self);
    while ((size = berth_socket_read(socket, bytes, sizeof bytes)) > 0) {
        for (ptrdiff_t i = 0; i < size; i++)
            if (self->done >= self->length || bytes[i] != wanted_at(self, self->done++))
                fail(1, "the answer differs at byte %zu", self->done);
    }
    size = (ptrdiff_t)berth_socket_tls_session(socket, session, sizeof session);
    if (size > 0 && size <= MOST_SESSION)
        (void)berth_socket_set_tls_session(socket, session, (size_t)size);
    if (self->kind != 'E' && self->done == self->length)
        berth_socket_disconnect_from_host(socket);
}

static void ended(berth_socket *socket, void *user)
{
    transfer *self = user;
    if (self->done != self->length)
        fail(1, "the connection ended after %zu bytes: %s", self->done,
             berth_socket_error_string(socket));
    tell(socket, self);
    if (--given.count > 0)
        begin(socket, self);
    else
        berth_loop_stop(loop, 0);
}

/* What fails later is followed by `disconnected`. */
static void failed(berth_socket *socket, berth_error error, void *user)
{
    if (error == BERTH_ERROR_REMOTE_HOST_CLOSED && ((transfer *)user)->done == given.length)
        return;
    fail(1, "%s", berth_socket_error_string(socket));
}

static void run_client(void)
{
    static const berth_socket_handlers handlers = {.connected = greet,
                                                   .encrypted = ask,
                                                   .ready_read = collect,
                                                   .error_occurred = failed,
                                                   .disconnected = ended};
    transfer self;
    berth_socket *socket = berth_socket_new(loop, &handlers, &self);
    if (socket == NULL)
        fail(2, "out of memory");
    if (!given.starttls && !berth_socket_set_tls(socket, tls, given.name))
        fail(2, "%s", berth_socket_error_string(socket));
    begin(socket, &self);
    if (berth_loop_run(loop) != 0)
        fail(1, "the loop has failed: %s", strerror(errno));
    berth_socket_free(socket);
}

/* ---- the command line ------------------------------------------------------------------------ */

static const char *value_of(const char *argument, const char *name)
{
    size_t size = strlen(name);
    return strncmp(argument, name, size) == 0 && argument[size] == '=' ? argument + size + 1 : NULL;
}

static void take_argument(const char *argument)
{
    const struct {
        const char *name, **text;
        unsigned long *number;
    } known[] = {{"certificate", &given.certificate, NULL},
                 {"key", &given.key, NULL},
                 {"authorities", &given.authorities, NULL},
                 {"name", &given.name, NULL},
                 {"kind", &given.kind, NULL},
                 {"protocols", (const char **)&given.protocols, NULL},
                 {"version", NULL, &given.version},
                 {"verify", NULL, &given.verify},
                 {"starttls", NULL, &given.starttls},
                 {"count", NULL, &given.count},
                 {"length", NULL, &given.length}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const char *value = value_of(argument, known[i].name);
        if (value == NULL)
            continue;
        if (known[i].text != NULL)
            *known[i].text = value;
        else
            *known[i].number = strtoul(value, NULL, 10);
        return;
    }
    fail(2, "unknown option '%s'", argument);
}

static void make_tls(berth_tls_side side)
{
    const char *protocols[MOST_PROTOCOLS + 1] = {NULL};
    char text[BERTH_TLS_TEXT_SIZE];
    char *rest = NULL;
    size_t count = 0;
    char *each = given.protocols != NULL ? strtok_r(given.protocols, ",", &rest) : NULL;
    for (; each != NULL && count < MOST_PROTOCOLS; each = strtok_r(NULL, ",", &rest))
        protocols[count++] = each;
    berth_tls_version version = given.version == 2   ? BERTH_TLS_VERSION_1_2
                                : given.version == 3 ? BERTH_TLS_VERSION_1_3
                                                     : BERTH_TLS_VERSION_NONE;
    berth_tls_options options = {.certificate = given.certificate,
                                 .key = given.key,
                                 .authorities = given.authorities,
                                 .verify = given.verify ? BERTH_TLS_VERIFY_REQUIRED
                                                        : BERTH_TLS_VERIFY_DEFAULT,
                                 .lowest = version,
                                 .highest = version,
                                 .protocols = count > 0 ? protocols : NULL};
    tls = berth_tls_new(side, &options, text);
    if (tls == NULL)
        fail(2, "%s", text);
}

int main(int argc, char **argv)
{
    bool serves = argc >= 2 && strcmp(argv[1], "server") == 0;
    bool asks = argc >= 3 && strcmp(argv[1], "client") == 0;
    if (!serves && !asks)
        fail(2, "usage: tls_peer server | client PORT [OPTION=VALUE]...");
    for (int i = asks ? 3 : 2; i < argc; i++)
        take_argument(argv[i]);
    given.port = asks ? strtoul(argv[2], NULL, 10) : 0;
    (void)alarm(SECONDS);
    loop = berth_loop_new(NULL);
    if (loop == NULL)
        fail(2, "cannot make an event loop: %s", strerror(errno));
    make_tls(serves ? BERTH_TLS_SERVER : BERTH_TLS_CLIENT);
    if (serves)
        run_server();
    else
        run_client();
    berth_tls_release(tls);
    berth_loop_free(loop);
    return 0;
}
