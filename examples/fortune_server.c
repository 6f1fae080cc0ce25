/*
 * The Fortune server: whoever connects is sent one saying, picked at random, and the connection
 * ends.
 *
 * The normal course: read the sayings and turn each into the bytes that travel (fortune_wire.h),
 * make a loop and a server, listen, run the loop. For each connection new_connection takes the
 * socket, writes one block and disconnects; the library sends what was written before it ends the
 * connection, and `disconnected` frees the socket. Nothing is read. SIGINT and SIGTERM stop the
 * loop, everything is freed, and the program says how many it has served.
 *
 * Ways to fail, each with one line on standard error and exit status 2: an option that is wrong,
 * sayings that cannot be read or are none, a loop that cannot be made, an address or port that
 * cannot be listened on. A peer that goes away early costs its own connection and nothing else; a
 * failure to accept is told on standard error, and the server goes on.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <berth/berth.h>

#include "fortune_wire.h"
#include "options.h"

#define PROGRAM "fortune_server"

/* One saying, ready to be sent. */
typedef struct fortune {
    uint8_t *block;
    size_t size;
} fortune;

/* All that the handlers need: it travels as their user pointer. */
typedef struct book {
    fortune *fortunes;
    size_t count;
    unsigned long served;
    bool log;
    berth_address address; /* to listen on */
    uint16_t port;
} book;

typedef struct options {
    berth_address address;
    uint16_t port;
    const char *fortunes; /* NULL: the built-in ones */
    bool log;
    berth_proxy proxy; /* zeroed: none was asked for */
} options;

static const char built_in[] = "A harbour is known in the storm.\n"
                               "%\n"
                               "Nothing is as permanent as a temporary port.\n"
                               "%\n"
                               "Whoever sails without a chart discovers every rock.\n";

/* ---- serving --------------------------------------------------------------------------------- */

/* Evenly: numbers behind the last whole multiple of `count` would favour the first fortunes, and
 * are drawn again. */
static size_t pick(size_t count)
{
    const unsigned long numbers = 1ul << 31; /* random() gives 0 to 2^31 - 1 */
    unsigned long number;
    do {
        number = (unsigned long)random();
    } while (number >= numbers - numbers % count);
    return number % count;
}

static void free_socket(berth_socket *socket, void *user)
{
    (void)user;
    berth_socket_free(socket);
}

static void serve(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.disconnected = free_socket};
    book *sayings = user;
    berth_socket *socket = berth_server_next_pending_connection(server);
    if (!socket)
        return;
    size_t number = pick(sayings->count);
    const fortune *chosen = &sayings->fortunes[number];
    if (sayings->log) {
        char address[BERTH_ADDRESS_TEXT_SIZE];
        berth_address_format(berth_socket_peer_address(socket), address, sizeof(address));
        printf("%s port %u: fortune %zu of %zu\n", address, berth_socket_peer_port(socket),
               number + 1, sayings->count);
    }
    if (berth_socket_write(socket, chosen->block, chosen->size) < 0) {
        berth_socket_free(socket); /* gone already: `disconnected` would not be called any more */
        return;
    }
    sayings->served++;
    berth_socket_set_handlers(socket, &handlers, NULL);
    berth_socket_disconnect_from_host(socket);
}

/* ---- the sayings ----------------------------------------------------------------------------- */

static void book_add(book *sayings, const char *file, const char *text, size_t length)
{
    while (length > 0 && text[length - 1] == '\n')
        length--;
    if (length == 0)
        return;
    fortune *more = realloc(sayings->fortunes, (sayings->count + 1) * sizeof(*more));
    if (!more)
        fail(PROGRAM, "cannot keep the fortunes of %s: %s", file, strerror(errno));
    sayings->fortunes = more;
    fortune *added = &more[sayings->count];
    added->block = fortune_block_new(text, length, &added->size);
    if (!added->block)
        fail(PROGRAM, "cannot use fortune %zu of %s: %s", sayings->count + 1, file,
             strerror(errno));
    sayings->count++;
}

/* Texts are separated by lines that hold a single '%'. */
static void book_fill(book *sayings, const char *file, const char *text, size_t length)
{
    const char *end = text + length;
    const char *begin = text; /* of the saying */
    for (const char *line = text; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *next = newline ? newline + 1 : end;
        const char *line_end = newline ? newline : end;
        if (line_end - line == 1 && *line == '%') {
            book_add(sayings, file, begin, (size_t)(line - begin));
            begin = next;
        }
        line = next;
    }
    book_add(sayings, file, begin, (size_t)(end - begin));
    if (sayings->count == 0)
        fail(PROGRAM, "there is no fortune in %s", file);
}

static void book_read(book *sayings, const char *file)
{
    char *text = NULL;
    size_t length = 0;
    size_t size = 0;
    FILE *stream = fopen(file, "r");
    if (!stream)
        fail(PROGRAM, "cannot open the fortunes %s: %s", file, strerror(errno));
    do {
        size = size ? 2 * size : 65536;
        char *larger = realloc(text, size);
        if (!larger)
            fail(PROGRAM, "cannot read the fortunes %s: %s", file, strerror(errno));
        text = larger;
        length += fread(text + length, 1, size - length, stream);
    } while (length == size);
    if (ferror(stream))
        fail(PROGRAM, "cannot read the fortunes %s: %s", file, strerror(errno));
    fclose(stream);
    book_fill(sayings, file, text, length);
    free(text);
}

static void book_free(book *sayings)
{
    for (size_t i = 0; i < sayings->count; i++)
        free(sayings->fortunes[i].block);
    free(sayings->fortunes);
}

/* ---- the command line ------------------------------------------------------------------------ */

static _Noreturn void help(void)
{
    puts("usage: " PROGRAM " [--address ADDRESS] [--port PORT] [--fortunes FILE] [--log]\n"
         "       [--proxy socks5://[USER:PASSWORD@]HOST:PORT]\n"
         "Sends one saying to whoever connects.\n"
         "\n"
         "  --address ADDRESS  listen on this IPv4 or IPv6 address (default: any of both)\n"
         "  --port PORT        listen on this port, 0 to 65535 (default: 0, a free one)\n"
         "  --fortunes FILE    sayings in UTF-8, separated by lines that hold a single %\n"
         "                     (default: a few built-in ones)\n"
         "  --log              print a line for each connection\n"
         "  --proxy URL        listen through this SOCKS5 proxy\n"
         "  --help             print this and exit\n"
         "\n"
         "BERTH_BACKEND=epoll or io_uring in the environment forces that backend.\n"
         "SIGINT and SIGTERM end the server.");
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
    opterr = 0; /* the message is ours */
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'a':
            if (!berth_address_parse(optarg, &chosen.address))
                fail(PROGRAM, "'%s' is not an IPv4 or IPv6 address", optarg);
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
            fail(PROGRAM, "'%s' is no option or lacks its value; try --help", argv[optind - 1]);
        }
    }
    if (optind < argc)
        fail(PROGRAM, "'%s' is one argument too many; try --help", argv[optind]);
    return chosen;
}

/* ---- the course ------------------------------------------------------------------------------ */

static berth_loop *main_loop; /* for the signal handler, and for what it is called */

static void stop(int signal_number)
{
    (void)signal_number;
    berth_loop_stop(main_loop, 0);
}

static void on_stop_signals(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void announce(const berth_server *server)
{
    char address[BERTH_ADDRESS_TEXT_SIZE];
    berth_address_format(berth_server_address(server), address, sizeof(address));
    printf("fortune server listening on %s port %u\n", address, berth_server_port(server));
    printf("backend %s: %s\n", berth_loop_backend_name(main_loop),
           berth_loop_backend_reason(main_loop));
    fflush(stdout);
}

static void listen_or_fail(berth_server *server, const book *sayings)
{
    if (!berth_server_listen(server, sayings->address, sayings->port))
        fail(PROGRAM, "%s", berth_server_error_string(server));
    announce(server);
}

/* Through a proxy listening can end with a connection, and begins anew, perhaps on another port. */
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
    const char *backend = getenv("BERTH_BACKEND");
    options chosen = parse(argc, argv);
    book sayings = {.log = chosen.log, .address = chosen.address, .port = chosen.port};
    setvbuf(stdout, NULL, _IOLBF, 0);
    srandom((unsigned)time(NULL) ^ (unsigned)getpid() << 16);
    if (chosen.fortunes)
        book_read(&sayings, chosen.fortunes);
    else
        book_fill(&sayings, "the built-in ones", built_in, sizeof(built_in) - 1);

    main_loop = berth_loop_new(NULL);
    if (!main_loop)
        fail(PROGRAM, "cannot make an event loop (BERTH_BACKEND is '%s'): %s",
             backend ? backend : "", strerror(errno));
    berth_server *server = berth_server_new(main_loop, &handlers, &sayings);
    if (!server)
        fail(PROGRAM, "cannot make a server: %s", strerror(errno));
    if (!berth_server_set_proxy(server, &chosen.proxy))
        fail(PROGRAM, "%s", berth_server_error_string(server));
    on_stop_signals(stop);
    listen_or_fail(server, &sayings);
    if (berth_loop_run(main_loop) != 0)
        fail(PROGRAM, "the event loop has failed: %s", strerror(errno));

    on_stop_signals(SIG_IGN);   /* a second one must not find a loop that is gone */
    berth_loop_free(main_loop); /* with the server and the sockets */
    printf("served %lu fortunes\n", sayings.served);
    book_free(&sayings);
    return 0;
}
