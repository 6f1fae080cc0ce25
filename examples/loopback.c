/*
 * Loopback: a server and a client in one process send bytes through a connection on 127.0.0.1, and
 * compare what arrives with what was sent.
 *
 * The course: the server listens and the client connects. new_connection takes the socket and
 * closes the server; the transfer continues. The client writes a chunk whenever its output holds
 * fewer than QUEUE chunks, so that memory stays bounded. The server compares each byte with the
 * expected one, discards it, and disconnects when everything has arrived. That ends the client,
 * which stops the loop.
 *
 * A timer redraws two bars ten times a second, so that drawing does not slow the transfer down. If
 * standard output is not a terminal, a plain line is printed for every tenth instead.
 *
 * Errors, each with one line on standard error: a wrong option, or a loop, server or connection
 * that cannot be made (exit status 2); lost, surplus or different bytes (exit status 1).
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <berth/berth.h>

#include "options.h"

#define PROGRAM "loopback"
#define MIB (1024.0 * 1024.0)
#define QUEUE 4            /* chunks of output at most */
#define MOST_CHUNK 1048576 /* bytes */

/* The content repeats after so many bytes: a prime, so that a lost or repeated page is detected. */
#define PERIOD 4099

/* State of the program; the user pointer of the handlers. */
typedef struct transfer {
    size_t bytes;
    size_t chunk;
    uint8_t content[PERIOD + MOST_CHUNK]; /* contains the chunk for every position in the stream */
    berth_loop *loop;
    size_t written;  /* by the client, into its output */
    size_t sent;     /* by the kernel, out of it */
    size_t received; /* by the server, and correct */
    bool terminal;
    char reason[256]; /* why the transfer failed, if known */
} transfer;

/* ---- progress -------------------------------------------------------------------------------- */

static double share(const transfer *all, size_t part)
{
    return part < all->bytes ? (double)part / (double)all->bytes : 1;
}

static void draw_bar(const transfer *all, const char *side, size_t part)
{
    char bar[] = "........................................";
    memset(bar, '#', (size_t)(share(all, part) * (double)(sizeof(bar) - 1)));
    printf("\r%s [%s] %3d %% %10.1f MiB\033[K\n", side, bar, (int)(100 * share(all, part)),
           (double)part / MIB);
}

static void draw_bars(const transfer *all)
{
    draw_bar(all, "client", all->sent);
    draw_bar(all, "server", all->received);
    fflush(stdout);
}

static void redraw(berth_timer *timer, void *user)
{
    (void)timer;
    fputs("\033[2A", stdout); /* two lines up */
    draw_bars(user);
}

/* Without bars: prints a line whenever a side has entered another tenth. */
static void tell(const transfer *all, const char *side, size_t before, size_t part)
{
    int tenths = (int)(10 * share(all, part));
    if (!all->terminal && tenths > (int)(10 * share(all, before)))
        printf("%s %3d %% %10.1f MiB\n", side, 10 * tenths, (double)part / MIB);
}

/* ---- the client ------------------------------------------------------------------------------ */

static void remember(transfer *all, const berth_socket *socket)
{
    snprintf(all->reason, sizeof(all->reason), ": %s", berth_socket_error_string(socket));
}

static void fill(berth_socket *socket, void *user)
{
    transfer *all = user;
    while (all->written < all->bytes &&
           berth_socket_bytes_to_write(socket) <= (QUEUE - 1) * all->chunk) {
        size_t left = all->bytes - all->written;
        const uint8_t *data = all->content + all->written % PERIOD;
        ptrdiff_t taken = berth_socket_write(socket, data, left < all->chunk ? left : all->chunk);
        if (taken < 0) {
            remember(all, socket);
            berth_socket_abort(socket);
            return;
        }
        all->written += (size_t)taken;
    }
}

static void count_sent(berth_socket *socket, size_t bytes, void *user)
{
    transfer *all = user;
    all->sent += bytes;
    tell(all, "client", all->sent - bytes, all->sent);
    fill(socket, user);
}

static void report(berth_socket *socket, berth_error error, void *user)
{
    transfer *all = user;
    if (all->written == 0)
        fail(PROGRAM, "%s", berth_socket_error_string(socket));
    /* The server disconnects when it has received everything; main() detects other ends. */
    if (error != BERTH_ERROR_REMOTE_HOST_CLOSED)
        remember(all, socket);
}

static void stop(berth_socket *socket, void *user)
{
    (void)socket;
    transfer *all = user;
    berth_loop_stop(all->loop, 0);
}

/* ---- the server ------------------------------------------------------------------------------ */

static void compare(berth_socket *socket, void *user)
{
    transfer *all = user;
    const uint8_t *data;
    size_t size;
    size_t before = all->received;
    while ((data = berth_socket_view(socket, &size)) != NULL) {
        size_t step = size < MOST_CHUNK ? size : MOST_CHUNK;
        if (memcmp(data, all->content + all->received % PERIOD, step) != 0) {
            snprintf(all->reason, sizeof(all->reason), ": the next byte is wrong");
            berth_socket_abort(socket);
            return;
        }
        berth_socket_skip(socket, step);
        all->received += step;
    }
    tell(all, "server", before, all->received);
    if (all->received >= all->bytes)
        berth_socket_disconnect_from_host(socket);
}

static void take(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.ready_read = compare,
                                                   .disconnected = berth_socket_free_in_handler};
    transfer *all = user;
    berth_socket *socket = berth_server_next_pending_connection(server);
    if (!socket)
        fail(PROGRAM, "cannot take the connection: %s", berth_server_error_string(server));
    berth_socket_set_handlers(socket, &handlers, all);
    berth_server_close(server);
}

static void give_up(berth_server *server, berth_error error, void *user)
{
    (void)error;
    (void)user;
    fail(PROGRAM, "%s", berth_server_error_string(server));
}

/* ---- main ------------------------------------------------------------------------------------ */

static _Noreturn void help(void)
{
    puts("usage: " PROGRAM " [--bytes N] [--chunk N]\n"
         "Sends bytes from a client to a server in the same process, and verifies them.\n"
         "\n"
         "  --bytes N  number of bytes to send (default: 52428800, which is 50 MiB)\n"
         "  --chunk N  bytes in each write, 1 to 1048576 (default: 65536)\n"
         "  --help     print this and exit\n"
         "\n"
         "The environment variable BERTH_BACKEND selects a backend: epoll or io_uring.");
    exit(0);
}

static void parse(int argc, char **argv, transfer *all)
{
    static const struct option known[] = {
        {"bytes", required_argument, NULL, 'b'},
        {"chunk", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;
    opterr = 0; /* getopt prints no message of its own */
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'b':
            all->bytes = (size_t)number_from(PROGRAM, "the number of bytes", optarg, 1, LONG_MAX);
            break;
        case 'c':
            all->chunk = (size_t)number_from(PROGRAM, "the chunk size", optarg, 1, MOST_CHUNK);
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
}

static double now_in_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void run(transfer *all)
{
    static const berth_server_handlers serving = {.new_connection = take, .accept_error = give_up};
    static const berth_socket_handlers sending = {.connected = fill,
                                                  .bytes_written = count_sent,
                                                  .error_occurred = report,
                                                  .disconnected = stop};
    all->loop = berth_loop_new(NULL);
    if (!all->loop)
        fail_without_loop(PROGRAM, NULL);
    berth_server *server = berth_server_new(all->loop, &serving, all);
    berth_socket *client = berth_socket_new(all->loop, &sending, all);
    berth_timer *timer = berth_timer_new(all->loop, redraw, all);
    if (!server || !client || !timer)
        fail(PROGRAM, "cannot make a server, a client and a timer: %s", strerror(errno));
    if (!berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0))
        fail(PROGRAM, "%s", berth_server_error_string(server));
    if (!berth_socket_connect_to_address(client, BERTH_ADDRESS_LOOPBACK, berth_server_port(server)))
        fail(PROGRAM, "%s", berth_socket_error_string(client));

    if (all->terminal) {
        draw_bars(all);
        berth_timer_start(timer, 100, 100);
    }
    if (berth_loop_run(all->loop) != 0)
        fail(PROGRAM, "the event loop failed: %s", strerror(errno));
    if (all->terminal)
        redraw(timer, all);
    berth_loop_free(all->loop); /* also frees the server, the sockets and the timer */
}

int main(int argc, char **argv)
{
    static transfer all = {.bytes = 50 * 1048576, .chunk = 65536};
    const char *kind = getenv("TERM");
    parse(argc, argv, &all);
    setvbuf(stdout, NULL, _IOLBF, 0);
    all.terminal = isatty(STDOUT_FILENO) && (!kind || strcmp(kind, "dumb") != 0);
    for (size_t i = 0; i < sizeof(all.content); i++)
        all.content[i] = (uint8_t)((i % PERIOD) * (i % PERIOD) >> 3);

    double began = now_in_seconds();
    run(&all);
    double seconds = now_in_seconds() - began;

    if (all.reason[0] || all.sent != all.bytes || all.received != all.bytes) {
        fflush(stdout);
        fprintf(stderr, PROGRAM ": the transfer failed: sent %zu, received %zu of %zu bytes%s\n",
                all.sent, all.received, all.bytes, all.reason);
        return 1;
    }
    printf("sent and received %zu bytes, all correct, in %.3f s (%.0f MiB/s)\n", all.bytes, seconds,
           (double)all.bytes / MIB / seconds);
    if (fflush(stdout) != 0 || ferror(stdout))
        fail(PROGRAM, "cannot write to standard output: %s", strerror(errno));
    return 0;
}
