/*
 * Berth itself, against the public API, written as its manual recommends, and no better or worse
 * than a careful user would write it.
 *
 * The normal course: new_connection takes the socket and sets its handlers; ready_read copies
 * nothing (berth_socket_view shows the bytes where they lie) and writes them back; `disconnected`
 * frees the socket. TCP_NODELAY is set once, on the listening descriptor, and handed down by the
 * kernel; workers that share a port set it on each socket. The backend is the library's choice, or
 * that of BERTH_BACKEND, and the ready line has its name.
 *
 * A greeting is a write and berth_socket_disconnect_from_host in new_connection. A source keeps one
 * block in the output of each connection, and writes the next when all of it has left.
 *
 * A request is answered by one berth_socket_write for each piece, all in one handler; header and
 * body, and with --gathered all pieces, by one berth_socket_write_pieces; with --borrowed all bytes
 * by one berth_socket_write_borrowed. A file is answered by one berth_socket_write_file, or with
 * --borrowed from where it is mapped. A line of fan-out is written to one connection
 * after the other.
 *
 * Waiting: berth_server_wait_for_new_connection, the greeting, berth_socket_wait_for_disconnected,
 * for one connection after the other; no loop is ever run. Workers: a pool of --workers threads
 * (berth_workers), to which incoming_connection hands each descriptor over, or which all listen on
 * one port. The latter have a core each, and get the connections that arrive there: so a server of
 * two has on each core what a server of one has on its only core.
 *
 * Encrypted, a server has a configuration (berth_server_set_tls) and otherwise the same handlers.
 * The limit of those that have not said hello is raised to what a benchmark holds. The key of
 * tickets is fixed, so that a session outlives the process and is known to all workers, each of
 * which has a configuration of its own.
 *
 * Failures: a backend that this machine refuses ends with SERVER_UNAVAILABLE, like everything else
 * that common.h says; a connection that fails is freed in `disconnected`, and the others go on.
 */
#include "common.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <berth/berth.h>

static void on_disconnected(berth_socket *socket, void *user)
{
    (void)user;
    berth_socket_free(socket);
}

static void echo(berth_socket *socket, void *user)
{
    (void)user;
    const void *data;
    size_t size;
    while ((data = berth_socket_view(socket, &size)) != NULL) {
        berth_socket_write(socket, data, size);
        berth_socket_skip(socket, size);
    }
}

static void swallow(berth_socket *socket, void *user)
{
    (void)user;
    berth_socket_skip(socket, berth_socket_bytes_available(socket));
}

static void pour(berth_socket *socket, size_t bytes, void *user)
{
    (void)bytes;
    (void)user;
    if (berth_socket_bytes_to_write(socket) == 0)
        berth_socket_write(socket, server_block, SERVER_BLOCK);
}

/* ---- answers --------------------------------------------------------------------------------- */

static berth_piece gathered[SERVER_PIECES]; /* to be written by one call, */
static unsigned gathered_count;             /* if any */

static void gather(void)
{
    for (unsigned i = 0; i < server_piece_count; i++)
        gathered[i] = (berth_piece){server_pieces[i].bytes, server_pieces[i].size};
    gathered_count = server_piece_count;
}

static void answer(berth_socket *socket, void *user)
{
    (void)user;
    while (berth_socket_bytes_available(socket) >= SERVER_REQUEST) {
        berth_socket_skip(socket, SERVER_REQUEST);
        if (gathered_count) {
            berth_socket_write_pieces(socket, gathered, gathered_count);
            continue;
        }
        for (unsigned i = 0; i < server_piece_count; i++)
            berth_socket_write(socket, server_pieces[i].bytes, server_pieces[i].size);
    }
}

static void answer_by_file(berth_socket *socket, void *user)
{
    (void)user;
    while (berth_socket_bytes_available(socket) >= SERVER_REQUEST) {
        berth_socket_skip(socket, SERVER_REQUEST);
        if (berth_socket_write_file(socket, server_file, 0, SIZE_MAX) < 0)
            berth_socket_abort(socket);
    }
}

static const char *lent; /* an answer or a file, in memory */
static size_t lent_size;

static void give_back(const void *data, size_t size, void *user)
{
    (void)data;
    (void)size;
    (void)user;
}

static void lend(enum server_cell cell)
{
    lent = server_pieces[0].bytes;
    lent_size = server_answer_size;
    if (cell != CELL_FILE)
        return;
    void *pages = mmap(NULL, server_file_size, PROT_READ, MAP_SHARED, server_file, 0);
    if (pages == MAP_FAILED)
        server_fail("cannot map the file", errno);
    lent = pages;
    lent_size = server_file_size;
}

static void answer_by_loan(berth_socket *socket, void *user)
{
    (void)user;
    while (berth_socket_bytes_available(socket) >= SERVER_REQUEST) {
        berth_socket_skip(socket, SERVER_REQUEST);
        berth_socket_write_borrowed(socket, lent, lent_size, give_back, NULL);
    }
}

struct guest {
    berth_socket *socket;
    unsigned place;
};

static struct guest *guests[SERVER_MAX_FD];
static unsigned guest_count;

static void fan_out(berth_socket *socket, void *user)
{
    char line[SERVER_REQUEST];
    (void)user;
    while (berth_socket_bytes_available(socket) >= sizeof(line)) {
        berth_socket_read(socket, line, sizeof(line));
        for (unsigned i = 0; i < guest_count; i++)
            berth_socket_write(guests[i]->socket, line, sizeof(line));
    }
}

static void on_guest_gone(berth_socket *socket, void *user)
{
    struct guest *guest = user;
    guests[guest->place] = guests[--guest_count];
    guests[guest->place]->place = guest->place;
    free(guest);
    berth_socket_free(socket);
}

/* What a connection of such a cell needs. */
static void *state_of(enum server_cell cell, berth_socket *socket)
{
    struct guest *guest;
    switch (cell) {
    case CELL_FAN_OUT:
        guest = malloc(sizeof(*guest));
        if (!guest)
            server_fail("cannot accept", ENOMEM);
        *guest = (struct guest){socket, guest_count};
        guests[guest_count++] = guest;
        return guest;
    default:
        return NULL;
    }
}

static const berth_socket_handlers handlers_of[] = {
    [CELL_ECHO] = {.ready_read = echo, .disconnected = on_disconnected},
    [CELL_GREET] = {.disconnected = on_disconnected},
    [CELL_SINK] = {.ready_read = swallow, .disconnected = on_disconnected},
    [CELL_SOURCE] = {.bytes_written = pour, .disconnected = on_disconnected},
    [CELL_BURST_100] = {.ready_read = answer, .disconnected = on_disconnected},
    [CELL_BURST_1000] = {.ready_read = answer, .disconnected = on_disconnected},
    [CELL_HEADER_BODY] = {.ready_read = answer, .disconnected = on_disconnected},
    [CELL_FAN_OUT] = {.ready_read = fan_out, .disconnected = on_guest_gone},
    [CELL_FILE] = {.ready_read = answer_by_file, .disconnected = on_disconnected},
    [CELL_HANDOVER] = {.ready_read = echo, .disconnected = on_disconnected},
    [CELL_HANDOVER_GREET] = {.disconnected = on_disconnected},
    [CELL_SHARED] = {.ready_read = echo, .disconnected = on_disconnected},
    [CELL_SHARED_GREET] = {.disconnected = on_disconnected},
};

static const berth_socket_handlers lending = {.ready_read = answer_by_loan,
                                              .disconnected = on_disconnected};

static void greet(berth_socket *socket)
{
    berth_socket_write(socket, server_greeting, SERVER_GREETING);
    berth_socket_disconnect_from_host(socket);
}

static void on_connection(berth_server *server, void *user)
{
    const enum server_cell cell = *(const enum server_cell *)user;
    berth_socket *socket = berth_server_next_pending_connection(server);
    if (!socket)
        return;
    berth_socket_set_handlers(socket, lent ? &lending : &handlers_of[cell], state_of(cell, socket));
    if (cell == CELL_GREET)
        greet(socket);
    else if (cell == CELL_SOURCE)
        pour(socket, 0, NULL);
}

static berth_loop *loop_or_end(void)
{
    berth_loop *loop = berth_loop_new(NULL);
    int error = errno;
    const char *backend = getenv("BERTH_BACKEND");
    char reason[160];
    if (loop)
        return loop;
    if (backend && !berth_loop_backend_available(backend, reason, sizeof(reason))) {
        fprintf(stderr, "the backend %s is not available: %s\n", backend, reason);
        exit(SERVER_UNAVAILABLE);
    }
    server_fail("cannot make a loop", error);
}

/* ---- TLS ------------------------------------------------------------------------------------- */

static const char *certificate; /* its file, or NULL: nothing is encrypted */

static bool encrypt(berth_server *server)
{
    static const berth_tls_ticket_key key = {.name = "a benchmark", .secret = "has no secrets"};
    const berth_tls_options options = {.certificate = certificate};
    char text[BERTH_TLS_TEXT_SIZE];
    if (!certificate)
        return true;
    berth_tls *tls = berth_tls_new(BERTH_TLS_SERVER, &options, text);
    if (!tls) {
        fprintf(stderr, "%s\n", text);
        exit(1);
    }
    bool done = berth_tls_set_ticket_keys(tls, &key, 1) && berth_server_set_tls(server, tls);
    berth_server_set_max_greetings(server, SERVER_MAX_FD);
    berth_tls_release(tls);
    return done;
}

/* ---- workers --------------------------------------------------------------------------------- */

static berth_worker *first_worker;

static void on_worker_connection(berth_worker *worker, berth_socket *socket, void *user)
{
    const enum server_cell cell = *(const enum server_cell *)user;
    (void)worker;
    berth_socket_set_handlers(socket, &handlers_of[cell], NULL);
    if (cell == CELL_SHARED)
        berth_socket_set_option(socket, BERTH_OPTION_LOW_DELAY, 1);
    if (cell == CELL_HANDOVER_GREET || cell == CELL_SHARED_GREET)
        greet(socket);
}

static void hand_over(berth_server *server, int descriptor, void *user)
{
    (void)server;
    if (!berth_workers_hand_over(*(berth_workers **)user, descriptor))
        close(descriptor);
}

/* A worker that listens has the core of its number. */
static bool prepare(berth_worker *worker, void *user)
{
    cpu_set_t own;
    (void)user;
    CPU_ZERO(&own);
    CPU_SET((size_t)berth_worker_number(worker), &own);
    if (berth_worker_number(worker) == 0)
        first_worker = worker;
    berth_server_set_listen_backlog_size(berth_worker_server(worker), SERVER_BACKLOG);
    return sched_setaffinity(0, sizeof(own), &own) == 0 && encrypt(berth_worker_server(worker));
}

static bool encrypt_worker(berth_worker *worker, void *user)
{
    (void)user;
    return encrypt(berth_worker_server(worker));
}

static berth_workers *start_workers(const struct server_options *options)
{
    static const berth_workers_handlers handing = {.started = encrypt_worker,
                                                   .connection = on_worker_connection};
    static const berth_workers_handlers sharing = {.started = prepare,
                                                   .connection = on_worker_connection};
    bool shared = options->cell == CELL_SHARED || options->cell == CELL_SHARED_GREET;
    berth_workers *workers = berth_workers_new((int)options->workers, shared ? &sharing : &handing,
                                               (void *)(uintptr_t)&options->cell);
    if (!workers)
        server_fail("cannot make workers", errno);
    if (!berth_workers_start(workers)) {
        fprintf(stderr, "%s\n", berth_workers_error_string(workers));
        exit(1);
    }
    return workers;
}

/* ---- without a loop -------------------------------------------------------------------------- */

static _Noreturn void serve_by_waiting(berth_server *server)
{
    for (;;) {
        berth_socket *socket;
        if (!berth_server_wait_for_new_connection(server, -1, NULL))
            server_fail("cannot wait for a connection", EIO);
        while ((socket = berth_server_next_pending_connection(server)) != NULL) {
            greet(socket);
            berth_socket_wait_for_disconnected(socket, 1000);
            berth_socket_free(socket);
        }
    }
}

static void on_term(int number)
{
    (void)number;
    _exit(0);
}

/* As server_ready(), with the backend's name in the line. */
static void ready(unsigned port, const char *backend)
{
    struct sigaction action = {.sa_handler = on_term};
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max < SERVER_MAX_FD ? limit.rlim_max : SERVER_MAX_FD;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    sigaction(SIGTERM, &action, NULL);
    printf("port %u backend %s\n", port, backend);
    fflush(stdout);
}

/* ---- listening ------------------------------------------------------------------------------- */

static berth_server *listen_here(berth_loop *loop, const berth_server_handlers *handlers,
                                 const struct server_options *options, void *user)
{
    int on = 1;
    berth_server *server = berth_server_new(loop, handlers, user);
    if (!server)
        server_fail("cannot make a server", errno);
    berth_server_set_listen_backlog_size(server, SERVER_BACKLOG);
    if (!handlers->incoming_connection && !encrypt(server))
        server_fail("cannot encrypt", ENOMEM);
    if (options->local && berth_server_listen_local(server, server_path(options), NULL)) {
        ready(server_port_of(-1), berth_loop_backend_name(loop));
        return server;
    }
    if (options->local ||
        !berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, (uint16_t)options->port)) {
        fprintf(stderr, "%s\n", berth_server_error_string(server));
        exit(1);
    }
    int listener = berth_server_descriptor(server);
    if (setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        server_fail("cannot set TCP_NODELAY", errno);
    ready(berth_server_port(server), berth_loop_backend_name(loop));
    return server;
}

/* On the first worker's thread: from now on the core on which a handshake arrives has the number of
 * the listener that gets the connection. */
static void steer(void *user)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)(SKF_AD_OFF + SKF_AD_CPU)),
        BPF_STMT(BPF_RET | BPF_A, 0)};
    const struct sock_fprog program = {.len = 2, .filter = code};
    const berth_server *server = berth_worker_server(first_worker);
    (void)user;
    if (setsockopt(berth_server_descriptor(server), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
                   sizeof(program)) < 0)
        server_fail("cannot steer connections", errno);
    ready(berth_server_port(server), berth_loop_backend_name(berth_worker_loop(first_worker)));
}

static void listen_there(berth_workers *workers, const struct server_options *options)
{
    if (!berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, (uint16_t)options->port)) {
        fprintf(stderr, "%s\n", berth_workers_error_string(workers));
        exit(1);
    }
    if (!berth_loop_post(berth_worker_loop(first_worker), steer, NULL))
        server_fail("cannot reach a worker", errno);
}

int main(int argc, char **argv)
{
    static const berth_server_handlers serving = {.new_connection = on_connection};
    static const berth_server_handlers waiting = {0};
    static const berth_server_handlers distributing = {.incoming_connection = hand_over};
    struct server_options options;
    server_parse(argc, argv,
                 SERVES_ON_ONE_THREAD | SERVES_ANSWERS | SERVES_OTHERWISE | SERVES_BY_WORKERS,
                 &options);
    if (options.gathered || options.cell == CELL_HEADER_BODY)
        gather();
    if (options.borrowed)
        lend(options.cell);
    certificate = options.tls;
    berth_loop *loop = loop_or_end();
    berth_workers *workers = NULL;
    switch (options.cell) {
    case CELL_WAIT:
        serve_by_waiting(listen_here(loop, &waiting, &options, NULL));
    case CELL_HANDOVER:
    case CELL_HANDOVER_GREET:
        workers = start_workers(&options);
        listen_here(loop, &distributing, &options, &workers);
        break;
    case CELL_SHARED:
    case CELL_SHARED_GREET:
        listen_there(start_workers(&options), &options);
        break;
    default:
        listen_here(loop, &serving, &options, &options.cell);
    }
    return berth_loop_run(loop) == 0 ? 0 : 1;
}
