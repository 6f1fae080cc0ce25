/*
 * The Fortune server with TLS: sends each client one saying, encrypted, and ends the connection.
 *
 * What differs from fortune_server.c is one call before the server listens (server_tls.h), which
 * has it encrypt. new_connection is called when a handshake is complete, and what is written is
 * plaintext, so serving is the same. The end that the library sends behind the saying says that
 * nothing was cut off. SIGHUP reads certificate and key again; connections that are open keep
 * theirs.
 *
 * A client whose handshake fails, or that is silent, is never seen by new_connection. With --log
 * there is a line for it (handshake_failed), and the last line counts such clients.
 *
 * Errors, each with one line on standard error and exit status 2: a wrong option, a certificate or
 * key that cannot be read or that do not belong to each other, sayings that cannot be read, a loop
 * that cannot be made, an address or port that cannot be listened on.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <berth/berth.h>

#include "fortune_book.h"
#include "main_loop.h"
#include "options.h"
#include "server_tls.h"

#define PROGRAM "tls_fortune_server"

/* State of the program; the user pointer of the handlers. */
typedef struct service {
    book sayings;
    unsigned long served;
    bool log;
    berth_address address; /* to listen on */
    uint16_t port;
    const char *fortunes; /* NULL: the built-in sayings */
    char *files;          /* certificate and key */
} service;

/* ---- serving --------------------------------------------------------------------------------- */

static void log_connection(const service *self, const berth_socket *socket)
{
    char peer[BERTH_ENDPOINT_TEXT_SIZE];
    if (!self->log)
        return;
    berth_endpoint_format(berth_socket_peer_address(socket), berth_socket_peer_port(socket), peer,
                          sizeof(peer));
    printf("%s: TLS 1.%d, %s%s\n", peer,
           berth_socket_tls_version(socket) == BERTH_TLS_VERSION_1_3 ? 3 : 2,
           berth_socket_tls_cipher(socket),
           berth_socket_tls_was_resumed(socket) ? ", resumed" : "");
}

static void serve(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.disconnected = berth_socket_free_in_handler};
    service *self = user;
    berth_socket *socket = berth_server_next_pending_connection(server);
    if (!socket)
        return;
    const fortune *chosen = &self->sayings.fortunes[book_pick(&self->sayings)];
    log_connection(self, socket);
    if (berth_socket_write(socket, chosen->block, chosen->size) < 0) {
        berth_socket_free(socket); /* already ended: `disconnected` is not called any more */
        return;
    }
    self->served++;
    berth_socket_set_handlers(socket, &handlers, NULL);
    berth_socket_disconnect_from_host(socket);
}

static void log_failure(berth_server *server, const berth_tls_failure *failure, void *user)
{
    const service *self = user;
    char peer[BERTH_ENDPOINT_TEXT_SIZE];
    (void)server;
    if (!self->log)
        return;
    berth_endpoint_format(failure->peer, failure->peer_port, peer, sizeof(peer));
    printf("%s: no handshake: %s\n", peer, failure->text);
}

/* ---- the command line ------------------------------------------------------------------------ */

static _Noreturn void help(void)
{
    puts("usage: " PROGRAM " [--address ADDRESS] [--port PORT] [--fortunes FILE] [--log]\n"
         "       CERTIFICATE[,KEY]\n"
         "Sends each client one saying, over TLS.\n"
         "\n"
         "  CERTIFICATE        PEM file of the certificate, with those that lead to its authority\n"
         "                     behind it\n"
         "  KEY                PEM file of its key (default: it is in the other file too)\n"
         "  --address ADDRESS  listen on this IPv4 or IPv6 address (default: all addresses)\n"
         "  --port PORT        listen on this port, 0 to 65535 (default: 0, a free port)\n"
         "  --fortunes FILE    sayings in UTF-8, separated by lines that hold a single %\n"
         "                     (default: built-in sayings)\n"
         "  --log              print a line for each connection, and each failed handshake\n"
         "  --help             print this and exit\n"
         "\n"
         "The environment variable BERTH_BACKEND selects a backend: epoll or io_uring.\n"
         "SIGHUP has the server read the certificate again. SIGINT and SIGTERM stop it.");
    exit(0);
}

static void parse(int argc, char **argv, service *self)
{
    static const struct option known[] = {
        {"address", required_argument, NULL, 'a'},  {"port", required_argument, NULL, 'p'},
        {"fortunes", required_argument, NULL, 'f'}, {"log", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},           {0},
    };
    int option;
    opterr = 0; /* getopt prints no message of its own */
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'a':
            self->address = address_from(PROGRAM, optarg);
            break;
        case 'p':
            self->port = (uint16_t)number_from(PROGRAM, "the port", optarg, 0, 65535);
            break;
        case 'f':
            self->fortunes = optarg;
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
    if (optind + 1 != argc)
        fail(PROGRAM, "exactly one certificate is required; try --help");
    self->files = argv[optind];
}

/* ---- main ------------------------------------------------------------------------------------ */

int main(int argc, char **argv)
{
    static const berth_server_handlers handlers = {
        .new_connection = serve, .accept_error = main_loop_report, .handshake_failed = log_failure};
    service self = {.address = BERTH_ADDRESS_ANY};
    berth_server_counts counts = {0};
    parse(argc, argv, &self);
    setvbuf(stdout, NULL, _IOLBF, 0);
    srandom((unsigned)time(NULL) ^ (unsigned)getpid() << 16);
    book_open(&self.sayings, PROGRAM, self.fortunes);

    berth_server *server = berth_server_new(main_loop_open(PROGRAM), &handlers, &self);
    if (!server)
        fail(PROGRAM, "cannot make a server: %s", strerror(errno));
    server_tls_open(PROGRAM, server, self.files, NULL);
    main_loop_listen(PROGRAM, "fortune server", server, self.address, self.port);
    main_loop_run(PROGRAM);
    berth_server_statistics(server, &counts);
    server_tls_close();
    main_loop_close(server); /* also frees the server and the sockets */
    printf("served %lu fortunes, %llu failed handshakes\n", self.served,
           (unsigned long long)counts.failed_handshake);
    book_free(&self.sayings);
    return 0;
}
