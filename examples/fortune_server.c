/*
 * The Fortune server: sends each client one saying, picked at random, and ends the connection.
 *
 * The course: read the sayings and encode each as a block (fortune_wire.h), make a loop and a
 * server, listen, run the loop. For each connection new_connection takes the socket, writes one
 * block and disconnects. The library sends what was written before it ends the connection, and
 * `disconnected` frees the socket. Nothing is read. SIGINT and SIGTERM stop the loop; then
 * everything is freed, and the program prints how many sayings it has sent.
 *
 * Errors, each with one line on standard error and exit status 2: a wrong option, sayings that
 * cannot be read or a file without any, a loop that cannot be made, an address or port that cannot
 * be listened on. A client that leaves early affects only its own connection. A failure to accept
 * is reported on standard error, and the server continues.
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

#define PROGRAM "fortune_server"

/* State of the program; the user pointer of the handlers. */
typedef struct service {
    book sayings;
    unsigned long served;
    bool log;
    berth_address address; /* to listen on */
    uint16_t port;
} service;

typedef struct options {
    berth_address address;
    uint16_t port;
    const char *fortunes; /* NULL: the built-in sayings */
    bool log;
    berth_proxy proxy; /* zeroed: the default proxy */
} options;

/* ---- serving --------------------------------------------------------------------------------- */

static void free_socket(berth_socket *socket, void *user)
{
    (void)user;
    berth_socket_free(socket);
}

static void serve(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.disconnected = free_socket};
    service *self = user;
    berth_socket *socket = berth_server_next_pending_connection(server);
    if (!socket)
        return;
    size_t number = book_pick(&self->sayings);
    const fortune *chosen = &self->sayings.fortunes[number];
    if (self->log) {
        char address[BERTH_ADDRESS_TEXT_SIZE];
        berth_address_format(berth_socket_peer_address(socket), address, sizeof(address));
        printf("%s port %u: fortune %zu of %zu\n", address, berth_socket_peer_port(socket),
               number + 1, self->sayings.count);
    }
    if (berth_socket_write(socket, chosen->block, chosen->size) < 0) {
        berth_socket_free(socket); /* already ended: `disconnected` is not called any more */
        return;
    }
    self->served++;
    berth_socket_set_handlers(socket, &handlers, NULL);
    berth_socket_disconnect_from_host(socket);
}

/* ---- the command line ------------------------------------------------------------------------ */

static _Noreturn void help(void)
{
    puts("usage: " PROGRAM " [--address ADDRESS] [--port PORT] [--fortunes FILE] [--log]\n"
         "       [--proxy socks5://[USER:PASSWORD@]HOST:PORT]\n"
         "Sends each client one saying.\n"
         "\n"
         "  --address ADDRESS  listen on this IPv4 or IPv6 address (default: all addresses)\n"
         "  --port PORT        listen on this port, 0 to 65535 (default: 0, a free port)\n"
         "  --fortunes FILE    sayings in UTF-8, separated by lines that hold a single %\n"
         "                     (default: built-in sayings)\n"
         "  --log              print a line for each connection\n"
         "  --proxy URL        listen through this SOCKS5 proxy\n"
         "  --help             print this and exit\n"
         "\n"
         "The environment variable BERTH_BACKEND selects a backend: epoll or io_uring.\n"
         "SIGINT and SIGTERM stop the server.");
    exit(0);
}

static options parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"address", required_argument, NULL, 'a'},
        {"port", required_argument, NULL, 'p'},
        {"fortunes", required_argument, NULL, 'f'},
        {"log", no_argument, NULL, 'l'},
        {"proxy", required_argument, NULL, 'x'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    options chosen = {.address = BERTH_ADDRESS_ANY};
    int option;
    opterr = 0; /* getopt prints no message of its own */
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'a':
            chosen.address = address_from(PROGRAM, optarg);
            break;
        case 'p':
            chosen.port = (uint16_t)number_from(PROGRAM, "the port", optarg, 0, 65535);
            break;
        case 'f':
            chosen.fortunes = optarg;
            break;
        case 'l':
            chosen.log = true;
            break;
        case 'x':
            chosen.proxy = proxy_from(PROGRAM, optarg);
            break;
        case 'h':
            help();
        default:
            fail(PROGRAM, "unknown option '%s', or its value is missing; try --help",
                 argv[optind - 1]);
        }
    }
    if (optind < argc)
        fail(PROGRAM, "unexpected argument '%s'; try --help", argv[optind]);
    return chosen;
}

/* ---- main ------------------------------------------------------------------------------------ */

static void listen_or_fail(berth_server *server, const service *self)
{
    main_loop_listen(PROGRAM, "fortune server", server, self->address, self->port);
}

/* Through a proxy, listening can end with a connection. Then it starts again, perhaps on another
 * port. */
static void report(berth_server *server, berth_error error, void *user)
{
    (void)error;
    fprintf(stderr, PROGRAM ": %s\n", berth_server_error_string(server));
    if (!berth_server_is_listening(server))
        listen_or_fail(server, user);
}

int main(int argc, char **argv)
{
    static const berth_server_handlers handlers = {.new_connection = serve, .accept_error = report};
    options chosen = parse(argc, argv);
    service self = {.log = chosen.log, .address = chosen.address, .port = chosen.port};
    setvbuf(stdout, NULL, _IOLBF, 0);
    srandom((unsigned)time(NULL) ^ (unsigned)getpid() << 16);
    book_open(&self.sayings, PROGRAM, chosen.fortunes);

    berth_server *server = berth_server_new(main_loop_open(PROGRAM), &handlers, &self);
    if (!server)
        fail(PROGRAM, "cannot make a server: %s", strerror(errno));
    if (!berth_server_set_proxy(server, &chosen.proxy))
        fail(PROGRAM, "%s", berth_server_error_string(server));
    listen_or_fail(server, &self);
    main_loop_run(PROGRAM);
    main_loop_close(server); /* also frees the server and the sockets */
    printf("served %lu fortunes\n", self.served);
    book_free(&self.sayings);
    return 0;
}
