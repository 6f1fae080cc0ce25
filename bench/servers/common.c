/*
 * Command line, listening socket, ready line and end of the benchmark servers. The opening of
 * common.h gives the course and the failures; this file holds nothing that runs while a benchmark
 * is measured, so that a server's own file is the whole of what its figures stand for.
 *
 * The soft limit of open files is raised to the hard one, as far as the connection tables
 * (SERVER_MAX_FD) go. SIGPIPE is ignored: not every library passes MSG_NOSIGNAL, and a load
 * generator that leaves in the middle of a bulk transfer must not end the server.
 *
 * Nothing here may be called from more than one thread, nor after server_ready() except
 * server_fail().
 */
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

const char server_greeting[SERVER_GREETING + 1] =
    "Welcome aboard: this line is sixty-four bytes from end to end.\r\n";
_Static_assert(sizeof(server_greeting) == SERVER_GREETING + 1, "the greeting is 64 bytes");
char server_block[SERVER_BLOCK];
struct server_piece server_pieces[SERVER_PIECES];
unsigned server_piece_count;
size_t server_answer_size;
int server_file = -1;
size_t server_file_size;

void server_fail(const char *what, int error)
{
    fprintf(stderr, "%s: %s\n", what, strerror(error));
    exit(1);
}

static _Noreturn void usage(const char *argument)
{
    fprintf(stderr, "unknown option, or invalid or missing value: %s\n", argument);
    exit(2);
}

static unsigned number(const char *option, const char *text, unsigned long most)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = text ? strtoul(text, &end, 10) : 0;
    if (!text || end == text || *end || errno || value > most)
        usage(option);
    return (unsigned)value;
}

static unsigned choice_of(const char *option, const char *text, const char *const *names)
{
    for (unsigned i = 0; text && names[i]; i++) {
        if (strcmp(text, names[i]) == 0)
            return i;
    }
    usage(option);
}

static const char *const cells[] = {
    "echo",        "greet",        "sink", "source", "burst-100x1500", "burst-1000x1000",
    "header-body", "fan-out",      "file", "wait",   "handover",       "handover-greet",
    "shared",      "shared-greet", NULL};
static const char *const receives[] = {"multishot", "large", "single", NULL};
static const char *const accepts[] = {"multishot", "poll", "single", "batch", NULL};

/* Byte N of an answer is N mod 251. */
static void prepare_pieces(enum server_cell cell)
{
    unsigned count = cell == CELL_BURST_100 ? 100 : cell == CELL_BURST_1000 ? 1000 : 2;
    unsigned size = cell == CELL_BURST_100 ? 1500 : cell == CELL_BURST_1000 ? 1000 : 16384;
    char *bytes = malloc((size_t)count * size);
    if (!bytes)
        server_fail("cannot make an answer", ENOMEM);
    for (unsigned i = 0; i < count; i++) {
        unsigned own = cell == CELL_HEADER_BODY && i == 0 ? 200 : size;
        server_pieces[i] = (struct server_piece){bytes + server_answer_size, own};
        server_answer_size += own;
    }
    for (size_t i = 0; i < server_answer_size; i++)
        bytes[i] = (char)(i % 251);
    server_piece_count = count;
}

const char *server_copy_pieces(void)
{
    static char *block;
    size_t size = 0;
    if (!block)
        block = malloc(server_answer_size);
    if (!block)
        server_fail("cannot copy an answer", ENOMEM);
    for (unsigned i = 0; i < server_piece_count; i++) {
        memcpy(block + size, server_pieces[i].bytes, server_pieces[i].size);
        size += server_pieces[i].size;
    }
    return block;
}

static void open_file(const char *path)
{
    struct stat status;
    if (!path)
        usage("--file (this cell needs it)");
    server_file = open(path, O_RDONLY | O_CLOEXEC);
    if (server_file < 0 || fstat(server_file, &status) < 0)
        server_fail("cannot open the file", errno);
    server_file_size = (size_t)status.st_size;
}

/* Options without a value. Returns whether this is one. */
static bool set_switch(struct server_options *options, const char *option)
{
    if (strcmp(option, "--incremental") == 0)
        options->incremental = true;
    else if (strcmp(option, "--no-incremental") == 0)
        options->incremental = false;
    else if (strcmp(option, "--bundle") == 0)
        options->bundle = true;
    else if (strcmp(option, "--gathered") == 0)
        options->gathered = true;
    else if (strcmp(option, "--copy") == 0)
        options->copy = true;
    else if (strcmp(option, "--borrowed") == 0)
        options->borrowed = true;
    else if (strcmp(option, "--release") == 0)
        options->release = true;
    else if (strcmp(option, "--read-ahead") == 0)
        options->read_ahead = true;
    else
        return false;
    return true;
}

void server_parse(int argc, char **argv, unsigned served, struct server_options *options)
{
    *options = (struct server_options){.incremental = true, .workers = 1};
    options->cell = (enum server_cell)__builtin_ctz(served);
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        if (set_switch(options, option))
            continue;
        const char *value = i + 1 < argc ? argv[++i] : NULL;
        if (strcmp(option, "--port") == 0)
            options->port = number(option, value, 65535);
        else if (strcmp(option, "--cell") == 0 && value && strcmp(value, "local") == 0)
            options->local = true; /* and CELL_ECHO, which is the first */
        else if (strcmp(option, "--cell") == 0)
            options->cell = (enum server_cell)choice_of(option, value, cells);
        else if (strcmp(option, "--file") == 0 && value)
            options->file = value;
        else if (strcmp(option, "--tls") == 0 && value)
            options->tls = value;
        else if (strcmp(option, "--target-port") == 0)
            options->target_port = number(option, value, 65535);
        else if (strcmp(option, "--workers") == 0)
            options->workers = number(option, value, 1024);
        else if (strcmp(option, "--buffers") == 0)
            options->buffers = number(option, value, 32768);
        else if (strcmp(option, "--buffer-size") == 0)
            options->buffer_size = number(option, value, 16u << 20);
        else if (strcmp(option, "--receive") == 0)
            options->receive = (enum server_receive)choice_of(option, value, receives);
        else if (strcmp(option, "--accept") == 0)
            options->accept = (enum server_accept)choice_of(option, value, accepts);
        else
            usage(option);
    }
    if (!(served >> options->cell & 1))
        usage("--cell (this server does not know it)");
    if (SERVES_PIECES >> options->cell & 1)
        prepare_pieces(options->cell);
    if (options->cell == CELL_FILE)
        open_file(options->file);
}

static char path[64];
static unsigned port_of_path;

const char *server_path(const struct server_options *options)
{
    port_of_path = options->port ? options->port : (unsigned)getpid() & 0xffff;
    snprintf(path, sizeof(path), "/tmp/berth-bench-%u", port_of_path);
    unlink(path);
    return path;
}

static int listen_local(const struct server_options *options, int flags)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", server_path(options));
    if (listener < 0 || bind(listener, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(listener, SERVER_BACKLOG) < 0)
        server_fail("cannot listen on a Unix socket", errno);
    return listener;
}

int server_listen(const struct server_options *options, bool nonblocking)
{
    if (options->local)
        return listen_local(options, nonblocking ? SOCK_NONBLOCK : 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)options->port),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int on = 1;
    int type = SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0);
    int listener = socket(AF_INET, type, 0);
    if (listener < 0)
        server_fail("cannot open a socket", errno);
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        server_fail("cannot set the options of the listening socket", errno);
    if (bind(listener, (const struct sockaddr *)&address, sizeof(address)) < 0)
        server_fail("cannot bind to 127.0.0.1", errno);
    if (listen(listener, SERVER_BACKLOG) < 0)
        server_fail("cannot listen on 127.0.0.1", errno);
    return listener;
}

unsigned server_port_of(int listener)
{
    struct sockaddr_in address;
    socklen_t length = sizeof(address);
    if (path[0])
        return port_of_path;
    if (getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        server_fail("cannot read the port of the listening socket", errno);
    return ntohs(address.sin_port);
}

static void on_term(int number_of_signal)
{
    (void)number_of_signal;
    if (path[0])
        unlink(path);
    _exit(0);
}

void server_ready(unsigned port)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max < SERVER_MAX_FD ? limit.rlim_max : SERVER_MAX_FD;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    struct sigaction action = {.sa_handler = on_term};
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    printf("port %u\n", port);
    fflush(stdout);
}
