/*
 * A server with many connections that is drained, and its clients in a process of their own.
 *
 *     drain COUNT idle|told
 *
 * COUNT clients connect, and each has a byte echoed. Then the server is drained: `idle` has it
 * disconnect them by itself; with `told` the handler `draining` does nothing, so that the deadline
 * has to reset them. The one line of output is JSON: what the server counted, what the clients saw,
 * and times in microseconds: `processor` from the call to `emptied`, `first` and `last` when the
 * first and the last connection ended, after they were due.
 */
#include <berth/berth.h>

#include <arpa/inet.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    IDLE = 400, /* milliseconds, these two */
    DEADLINE = 300
};

static berth_server *server;
static bool told;
static unsigned long wanted, echoed, tellings, ends;
static uint64_t due, first, last, used;

static uint64_t microseconds(struct timespec time)
{
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static uint64_t now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return microseconds(time);
}

static uint64_t processor(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return microseconds(time);
}

/* ---- the clients ----------------------------------------------------------------------------- */

static int dial(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    char byte = 'x';
    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0 ||
        send(descriptor, &byte, 1, 0) != 1 || recv(descriptor, &byte, 1, 0) != 1)
        return -1;
    return descriptor;
}

static _Noreturn void be_clients(uint16_t port, int report)
{
    static struct {
        unsigned long ended, reset;
    } seen;
    int *clients = calloc(wanted, sizeof *clients);
    for (unsigned long i = 0; clients != NULL && i < wanted; i++)
        clients[i] = dial(port);
    for (unsigned long i = 0; clients != NULL && i < wanted; i++) {
        char byte;
        ssize_t got = clients[i] >= 0 ? recv(clients[i], &byte, 1, 0) : 1;
        seen.ended += got == 0;
        seen.reset += got < 0;
        close(clients[i]);
    }
    bool sent = write(report, &seen, sizeof seen) == sizeof seen;
    _exit(sent ? 0 : 1);
}

/* ---- the server ------------------------------------------------------------------------------ */

static void begin_drain(void *user)
{
    (void)user;
    berth_drain plan = {.deadline = told ? DEADLINE : 60000, .idle = IDLE};
    due = now() + (uint64_t)(told ? DEADLINE : IDLE) * 1000;
    used = processor();
    (void)berth_server_drain(server, &plan);
}

static void ready_read(berth_socket *socket, void *user)
{
    char bytes[16];
    ptrdiff_t count = berth_socket_read(socket, bytes, sizeof bytes);
    (void)user;
    if (count <= 0)
        return;
    (void)berth_socket_write(socket, bytes, (size_t)count);
    if (++echoed == wanted)
        (void)berth_loop_post(berth_socket_loop(socket), begin_drain, NULL);
}

static void disconnected(berth_socket *socket, void *user)
{
    (void)user;
    last = now();
    if (ends++ == 0)
        first = last;
    berth_socket_free(socket);
}

static void draining(berth_socket *socket, void *user)
{
    (void)socket;
    (void)user;
    tellings++;
}

static const berth_socket_handlers idle_handlers = {.ready_read = ready_read,
                                                    .disconnected = disconnected};
static const berth_socket_handlers told_handlers = {
    .ready_read = ready_read, .disconnected = disconnected, .draining = draining};

static void new_connection(berth_server *which, void *user)
{
    berth_socket *socket = berth_server_next_pending_connection(which);
    (void)user;
    if (socket != NULL)
        berth_socket_set_handlers(socket, told ? &told_handlers : &idle_handlers, NULL);
}

static void emptied(berth_server *which, bool forced, void *user)
{
    (void)forced;
    (void)user;
    used = processor() - used;
    berth_loop_stop(berth_server_loop(which), 0);
}

static const berth_server_handlers server_handlers = {.new_connection = new_connection,
                                                      .emptied = emptied};

static void print(int report)
{
    unsigned long seen[2] = {0, 0};
    berth_server_counts counts;
    berth_server_statistics(server, &counts);
    berth_server_free(server);
    berth_loop_free(berth_loop_current());
    if (read(report, seen, sizeof seen) != sizeof seen)
        seen[0] = seen[1] = 0;
    printf(
        "{\"accepted\": %llu, \"told\": %lu, \"ends\": %lu, \"forced\": %llu, \"live\": %llu, "
        "\"ended\": %lu, \"reset\": %lu, \"processor\": %llu, \"first\": %lld, \"last\": %lld}\n",
        (unsigned long long)counts.accepted, tellings, ends,
        (unsigned long long)counts.closed_drain, (unsigned long long)counts.live, seen[0], seen[1],
        (unsigned long long)used, (long long)(first - due), (long long)(last - due));
}

int main(int argc, char **argv)
{
    int ports[2];
    int report[2];
    uint16_t port = 0;
    if (argc != 3 || pipe(ports) != 0 || pipe(report) != 0)
        return 2;
    wanted = strtoul(argv[1], NULL, 10);
    told = strcmp(argv[2], "told") == 0;
    pid_t child = fork();
    if (child == 0) {
        close(ports[1]);
        if (read(ports[0], &port, sizeof port) == sizeof port)
            be_clients(port, report[1]);
        _exit(1);
    }
    close(report[1]);
    server = berth_server_new(NULL, &server_handlers, NULL);
    if (server == NULL || !berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0))
        return 1;
    port = berth_server_port(server);
    bool sent = write(ports[1], &port, sizeof port) == sizeof port;
    int code = sent ? berth_loop_run(NULL) : 1;
    print(report[0]);
    int status = 1;
    (void)waitpid(child, &status, 0);
    return code != 0 || status != 0;
}
