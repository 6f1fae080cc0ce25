/*
 * A server that takes over from another process, and that hands over to the next one.
 *
 *     successor handover [port=PORT] [deadline=MILLISECONDS] [idle=MILLISECONDS]
 *                        [handshake=MILLISECONDS]
 *     successor reuse_port port=PORT ...
 *
 * It answers each HTTP request with "ok" and the number of its process, and ends the connection; a
 * request that never ends it leaves alone. In mode `handover` it takes the listener from whoever
 * offers at the place that the environment names (PLACE), or listens itself if nobody does; in mode
 * `reuse_port` it listens beside the old one. When it serves, it says so in a first line of output,
 * as JSON. It ends when its successor is ready or when its input says `drain`, in both cases by
 * draining, which a line says; with `close`, which closes the listener first; or with `quit`. The
 * last line says what is left.
 *
 * If the environment names a CERTIFICATE, a PEM file with its key, it encrypts. The first process
 * makes a key for tickets, and each one hands it over, so that all resume what any has begun.
 */
#include <berth/berth.h>

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "account.h"
#include "daemon/inherited.h"

static berth_server *server;
static berth_handover *handover;
static berth_server_counts counts;
static uint64_t begun, ended;
static berth_drain plan = {.deadline = 2000};
static uint32_t handshake_time; /* milliseconds; 0: the default */
static const char *place;
static double drained_at;
static uint64_t resumed;
static berth_tls_ticket_key ticket_key;

static double now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static _Noreturn void give_up(const char *what, const char *why)
{
    fprintf(stderr, "server: cannot %s: %s\n", what, why);
    exit(2);
}

/* ---- serving --------------------------------------------------------------------------------- */

static void ready_read(berth_socket *socket, void *user)
{
    (void)user;
    char answer[128];
    char request[1024];
    int64_t size = berth_socket_peek(socket, request, sizeof request);
    if (size < 4 || memcmp(request + size - 4, "\r\n\r\n", 4) != 0)
        return;
    (void)berth_socket_skip(socket, (size_t)size);
    int length =
        snprintf(answer, sizeof answer,
                 "HTTP/1.0 200 OK\r\nServer: %ld\r\nContent-Length: 2\r\n\r\nok", (long)getpid());
    (void)berth_socket_write(socket, answer, (size_t)length);
    berth_socket_disconnect_from_host(socket);
}

static void disconnected(berth_socket *socket, void *user)
{
    (void)user;
    ended++;
    berth_socket_free(socket);
}

/* The program's own way of ending them would be to answer; the deadline ends the rest. */
static void draining(berth_socket *socket, void *user)
{
    (void)socket;
    (void)user;
}

static const berth_socket_handlers socket_handlers = {
    .ready_read = ready_read, .disconnected = disconnected, .draining = draining};

static void new_connection(berth_server *from, void *user)
{
    (void)user;
    berth_socket *socket;
    while ((socket = berth_server_next_pending_connection(from)) != NULL) {
        begun++;
        resumed += berth_socket_tls_was_resumed(socket);
        berth_socket_set_handlers(socket, &socket_handlers, NULL);
        if (berth_socket_bytes_available(socket) > 0)
            ready_read(socket, NULL); /* with the handshake */
    }
}

static void emptied(berth_server *from, bool forced, void *user)
{
    (void)from;
    (void)forced;
    (void)user;
    berth_loop_stop(NULL, 0);
}

static const berth_server_handlers server_handlers = {.new_connection = new_connection,
                                                      .emptied = emptied};

/* ---- coming and going ------------------------------------------------------------------------ */

static void report(long blocks, long descriptors)
{
    printf("{\"port\": %u, \"at\": %.6f, \"drained_at\": %.6f, \"accepted\": %" PRIu64
           ", \"delivered\": %" PRIu64 ", \"queued\": %" PRIu64 ", \"rejected\": %" PRIu64
           ", \"failed\": %" PRIu64 ", \"dropped\": %" PRIu64 ", \"closed_pending\": %" PRIu64
           ", \"begun\": %" PRIu64 ", \"ended\": %" PRIu64 ", \"open\": %" PRIu64
           ", \"handshakes\": %" PRIu64 ", \"resumed\": %" PRIu64
           ", \"late\": 0, \"blocks\": %ld, \"descriptors\": %ld}\n",
           server != NULL ? (unsigned)berth_server_port(server) : 0u, now(), drained_at,
           counts.accepted, counts.taken, (uint64_t)counts.pending,
           counts.failed_handshake + counts.rejected_greeting, counts.failed, counts.dropped,
           counts.closed_pending, begun, ended, begun - ended, counts.handshakes, resumed, blocks,
           descriptors);
    fflush(stdout);
}

static void drain(void)
{
    drained_at = now();
    (void)berth_server_drain(server, &plan);
    report(0, -1);
}

static void succeeded(berth_handover *from, void *user)
{
    (void)from;
    (void)user;
    drain();
}

static void failed(berth_handover *from, const char *text, void *user)
{
    (void)from;
    (void)user;
    fprintf(stderr, "server: %s\n", text);
}

static const berth_handover_handlers handover_handlers = {.succeeded = succeeded, .failed = failed};

static void heard(berth_watch *watch, unsigned events, void *user)
{
    (void)events;
    (void)user;
    char line[64];
    ssize_t size = read(STDIN_FILENO, line, sizeof line);
    if (size > 0 && (line[0] == 'd' || line[0] == 'c')) {
        if (line[0] == 'c')
            berth_server_close(server); /* whoever waits in the backlog is lost */
        drain();
        return;
    }
    berth_watch_stop(watch);
    berth_loop_stop(NULL, 0);
}

#ifdef WITH_TLS

static void encrypt(const char *certificate, const berth_inheritance *inheritance)
{
    char text[BERTH_TLS_TEXT_SIZE];
    const berth_tls_options options = {.certificate = certificate};
    size_t size = 0;
    const void *inherited =
        inheritance != NULL ? berth_inheritance_blob(inheritance, "ticket key", &size) : NULL;
    if (inherited != NULL && size == sizeof ticket_key)
        memcpy(&ticket_key, inherited, size);
    else if (getrandom(&ticket_key, sizeof ticket_key, 0) != sizeof ticket_key)
        give_up("make a key", strerror(errno));
    berth_tls *tls = berth_tls_new(BERTH_TLS_SERVER, &options, text);
    if (tls == NULL)
        give_up("encrypt", text);
    if (!berth_tls_set_ticket_keys(tls, &ticket_key, 1))
        give_up("set a key", strerror(errno));
    if (!berth_server_set_tls(server, tls))
        give_up("encrypt", berth_server_error_string(server));
    berth_server_set_handshake_timeout(server, handshake_time);
    berth_tls_release(tls);
}

#else

static void encrypt(const char *certificate, const berth_inheritance *inheritance)
{
    (void)certificate;
    (void)inheritance;
    fprintf(stderr, "built without TLS\n");
    exit(77);
}

#endif

static void serve(bool by_handover, uint16_t port)
{
    char text[256];
    berth_inheritance *inheritance =
        by_handover ? berth_handover_take(place, 20000, text, sizeof text) : NULL;
    server = berth_server_new(NULL, &server_handlers, NULL);
    if (server == NULL)
        give_up("begin", "out of memory");
    berth_server_set_listen_backlog_size(server, 1024);
    berth_server_set_reuse_port(server, !by_handover);
    const char *certificate = getenv("CERTIFICATE");
    if (certificate != NULL)
        encrypt(certificate, inheritance);
    bool listens = inheritance != NULL ? berth_server_listen_inherited(server, "http")
                                       : berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, port);
    if (!listens)
        give_up("listen", berth_server_error_string(server));
    if (inheritance != NULL && !berth_handover_ready(inheritance))
        give_up("take over", berth_inheritance_error_string(inheritance));
    berth_inheritance_free(inheritance);
    if (!by_handover)
        return;
    handover = berth_handover_offer(NULL, place, &handover_handlers, NULL);
    if (handover == NULL || !berth_handover_add(handover, "http", server) ||
        !berth_handover_add_blob(handover, "ticket key", &ticket_key, sizeof ticket_key))
        give_up("offer a hand-over", strerror(errno));
}

static unsigned long option(int count, char **options, const char *name, unsigned long otherwise)
{
    size_t size = strlen(name);
    for (int i = 2; i < count; i++) {
        if (strncmp(options[i], name, size) == 0 && options[i][size] == '=')
            return strtoul(options[i] + size + 1, NULL, 10);
    }
    return otherwise;
}

int main(int count, char **arguments)
{
    account_begin();
    bool by_handover = count > 1 && strcmp(arguments[1], "handover") == 0;
    place = getenv("PLACE");
    plan.deadline = (uint32_t)option(count, arguments, "deadline", plan.deadline);
    plan.idle = (uint32_t)option(count, arguments, "idle", plan.idle);
    handshake_time = (uint32_t)option(count, arguments, "handshake", handshake_time);
    if (berth_loop_current() == NULL) {
        fprintf(stderr, "no loop: %s\n", strerror(errno));
        return 77;
    }
    serve(by_handover, (uint16_t)option(count, arguments, "port", 0));
    berth_watch *watch = berth_watch_new(NULL, STDIN_FILENO, heard, NULL);
    if (watch == NULL || !berth_watch_start(watch, BERTH_WATCH_READ))
        give_up("read commands", strerror(errno));
    report(0, -1);
    berth_loop_run(NULL);
    berth_server_statistics(server, &counts);
    berth_server_free(server);
    server = NULL;
    berth_loop_free(berth_loop_current());
    berth__inherited_forget();
    report(account_blocks(), account_descriptors());
    return 0;
}
