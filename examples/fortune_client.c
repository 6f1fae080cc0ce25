/*
 * The Fortune client: asks a Fortune server for a saying and prints it. There is no event loop and
 * no handler in it: it waits.
 *
 * The normal course, for each saying: connect and wait for the connection; read the count of bytes
 * that the block begins with (fortune_wire.h), then that many bytes, waiting as long as some are
 * missing; print them as UTF-8; free the socket, which ends the connection. The time-out is for one
 * saying as a whole, so that a server that sends a byte now and then cannot hold the program.
 *
 * Ways to fail, each with one line on standard error and exit status 2: a wrong option or host, no
 * connection, a server that ends the connection early or takes too long, a count that cannot be
 * one. Sayings printed before stay printed.
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

typedef struct options {
    berth_address host;
    uint16_t port;
    long count;
    int timeout;        /* milliseconds */
    const char *server; /* host and port, for messages */
} options;

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

/* Reads exactly `size` bytes, waiting for what has not come yet. */
static void read_all(berth_socket *socket, const options *chosen, long long deadline, void *data,
                     size_t size)
{
    uint8_t *bytes = data;
    size_t done = 0;
    while (done < size) {
        ptrdiff_t got = berth_socket_read(socket, bytes + done, size - done);
        if (got < 0)
            fail(PROGRAM, "%s ended the connection in the middle of a fortune", chosen->server);
        done += (size_t)got;
        if (got > 0 || berth_socket_wait_for_ready_read(socket, left_until(deadline)))
            continue;
        if (berth_socket_error(socket) == BERTH_ERROR_SOCKET_TIMEOUT)
            fail(PROGRAM, "%s sent no whole fortune within %d ms", chosen->server, chosen->timeout);
        /* If the connection has ended, the next read tells, or finds what came before the end. */
        if (berth_socket_is_valid(socket))
            fail(PROGRAM, "%s", berth_socket_error_string(socket));
    }
}

static void print_fortune(const options *chosen)
{
    long long deadline = now_in_milliseconds() + chosen->timeout;
    const char *backend = getenv("BERTH_BACKEND");
    berth_socket *socket = berth_socket_new(NULL, NULL, NULL); /* NULL: this thread's own loop */
    if (!socket)
        fail(PROGRAM, "cannot make an event loop or socket (BERTH_BACKEND is '%s'): %s",
             backend ? backend : "", strerror(errno));
    if (!berth_socket_connect_to_address(socket, chosen->host, chosen->port) ||
        !berth_socket_wait_for_connected(socket, left_until(deadline)))
        fail(PROGRAM, "%s", berth_socket_error_string(socket));

    uint8_t header[FORTUNE_HEADER];
    uint32_t count;
    read_all(socket, chosen, deadline, header, sizeof(header));
    if (!fortune_header_read(header, &count))
        fail(PROGRAM, "%s announced %u bytes: that is no fortune", chosen->server, count);
    uint8_t *bytes = malloc(count + 1); /* an empty one has its place too */
    if (!bytes)
        fail(PROGRAM, "cannot keep a fortune of %u bytes: %s", count, strerror(errno));
    read_all(socket, chosen, deadline, bytes, count);
    berth_socket_free(socket);

    size_t length;
    char *text = fortune_text_new(bytes, count, &length);
    if (!text)
        fail(PROGRAM, "cannot keep a fortune of %u bytes: %s", count, strerror(errno));
    fwrite(text, 1, length, stdout);
    putchar('\n');
    free(text);
    free(bytes);
}

static _Noreturn void help(void)
{
    puts("usage: " PROGRAM " HOST PORT [--count N] [--timeout MS]\n"
         "Fetches a saying from a Fortune server and prints it.\n"
         "\n"
         "  HOST          an IPv4 or IPv6 address, or localhost, which is 127.0.0.1\n"
         "  PORT          1 to 65535\n"
         "  --count N     fetch this many, one connection each, and print a line with a single %\n"
         "                between two of them (default: 1)\n"
         "  --timeout MS  give up a fortune after this many milliseconds (default: 5000)\n"
         "  --help        print this and exit\n"
         "\n"
         "BERTH_BACKEND=epoll or io_uring in the environment forces that backend.");
    exit(0);
}

static berth_address host_from(const char *text)
{
    berth_address host = BERTH_ADDRESS_LOOPBACK;
    if (strcmp(text, "localhost") != 0 && !berth_address_parse(text, &host))
        fail(PROGRAM,
             "'%s' is neither an IPv4 or IPv6 address nor localhost; other names cannot be "
             "looked up yet",
             text);
    return host;
}

static options parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"count", required_argument, NULL, 'c'},
        {"timeout", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    static char server[BERTH_ENDPOINT_TEXT_SIZE];
    options chosen = {.count = 1, .timeout = 5000, .server = server};
    int option;
    opterr = 0; /* the message is ours */
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'c':
            chosen.count = number_from(PROGRAM, "the count", optarg, 1, INT_MAX);
            break;
        case 't':
            chosen.timeout = (int)number_from(PROGRAM, "the time-out", optarg, 1, INT_MAX);
            break;
        case 'h':
            help();
        default:
            fail(PROGRAM, "'%s' is no option or lacks its value; try --help", argv[optind - 1]);
        }
    }
    if (argc - optind != 2)
        fail(PROGRAM, "a host and a port are needed, and nothing else; try --help");
    chosen.host = host_from(argv[optind]);
    chosen.port = (uint16_t)number_from(PROGRAM, "the port", argv[optind + 1], 1, 65535);
    berth_endpoint_format(chosen.host, chosen.port, server, sizeof(server));
    return chosen;
}

int main(int argc, char **argv)
{
    options chosen = parse(argc, argv);
    for (long i = 0; i < chosen.count; i++) {
        if (i > 0)
            puts("%");
        print_fortune(&chosen);
    }
    if (fflush(stdout) != 0)
        fail(PROGRAM, "cannot write to standard output: %s", strerror(errno));
    return 0;
}
