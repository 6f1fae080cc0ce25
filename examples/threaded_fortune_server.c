/*
 * The threaded Fortune server: like fortune_server, but connections are served on other threads.
 *
 * Without --workers: incoming_connection receives the accepted descriptor, picks a saying, and
 * starts a thread with both. The thread adopts the descriptor on its own loop, which it never
 * runs: it writes, disconnects, and waits for the end. With --workers N the descriptor is handed to
 * a pool of N threads, each of which serves many connections at a time. SIGINT and SIGTERM stop the
 * loop. The program waits for threads that are still running, stops the pool, and prints how many
 * sayings it has sent.
 *
 * Errors, each with one line on standard error: a wrong option; a loop, a server or a pool that
 * cannot be made; an address that cannot be listened on (exit status 2). If a thread cannot be
 * started, or a descriptor cannot be adopted or handed over, that connection is closed and the
 * server continues. A client that does not read occupies its thread for at most WAIT milliseconds.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <berth/berth.h>

#include "fortune_book.h"
#include "main_loop.h"
#include "options.h"

#define PROGRAM "threaded_fortune_server"
#define WAIT 5000 /* milliseconds that a thread waits for its client */
#define BACKLOG 1024

typedef struct options {
    berth_address address;
    uint16_t port;
    const char *fortunes; /* NULL: the built-in sayings */
    int workers;          /* 0: a thread for each connection */
} options;

typedef struct service {
    book sayings;
    berth_workers *workers;
    atomic_ulong served;
    pthread_mutex_t lock; /* protects the members below, and picking */
    pthread_cond_t ended;
    unsigned running; /* threads that serve a connection */
} service;

static const fortune *pick(service *self)
{
    pthread_mutex_lock(&self->lock);
    const fortune *chosen = &self->sayings.fortunes[book_pick(&self->sayings)];
    pthread_mutex_unlock(&self->lock);
    return chosen;
}

/* ---- a thread for each connection ------------------------------------------------------------ */

/* Arguments of a thread. */
typedef struct visit {
    service *service;
    const fortune *fortune;
    int descriptor;
} visit;

static void converse(const visit *given)
{
    berth_socket *socket = berth_socket_new(NULL, NULL, NULL); /* of this thread's own loop */
    if (!socket || !berth_socket_set_descriptor(socket, given->descriptor)) {
        fprintf(stderr, PROGRAM ": %s\n",
                socket ? berth_socket_error_string(socket) : strerror(errno));
        close(given->descriptor);
    } else if (berth_socket_write(socket, given->fortune->block, given->fortune->size) >= 0) {
        berth_socket_disconnect_from_host(socket);
        berth_socket_wait_for_disconnected(socket, WAIT);
        atomic_fetch_add(&given->service->served, 1);
    }
    berth_socket_free(socket);
}

static void *serve_alone(void *user)
{
    visit *given = user;
    service *self = given->service;
    converse(given);
    free(given);
    /* The thread's own loop must be freed before the thread counts as ended. */
    berth_loop_free(berth_loop_current());
    pthread_mutex_lock(&self->lock);
    self->running--;
    pthread_cond_signal(&self->ended);
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

static int start(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, function, argument);
    if (error == 0)
        pthread_detach(thread);
    return error;
}

static void begin_visit(berth_server *server, int descriptor, void *user)
{
    (void)server;
    service *self = user;
    visit *given = malloc(sizeof(*given));
    int error = given ? 0 : ENOMEM;
    if (given) {
        *given = (visit){.service = self, .fortune = pick(self), .descriptor = descriptor};
        pthread_mutex_lock(&self->lock);
        error = start(serve_alone, given);
        self->running += error == 0;
        pthread_mutex_unlock(&self->lock);
    }
    if (error == 0)
        return;
    fprintf(stderr, PROGRAM ": cannot start a thread: %s\n", strerror(error));
    free(given);
    close(descriptor);
}

static void wait_for_threads(service *self)
{
    pthread_mutex_lock(&self->lock);
    while (self->running > 0)
        pthread_cond_wait(&self->ended, &self->lock);
    pthread_mutex_unlock(&self->lock);
}

/* ---- a pool ---------------------------------------------------------------------------------- */

static void serve(berth_worker *worker, berth_socket *socket, void *user)
{
    static const berth_socket_handlers handlers = {.disconnected = berth_socket_free_in_handler};
    (void)worker;
    service *self = user;
    const fortune *chosen = pick(self);
    if (berth_socket_write(socket, chosen->block, chosen->size) < 0) {
        berth_socket_free(socket); /* already ended: `disconnected` is not called any more */
        return;
    }
    atomic_fetch_add(&self->served, 1);
    berth_socket_set_handlers(socket, &handlers, NULL);
    berth_socket_disconnect_from_host(socket);
}

static void report_worker(berth_worker *worker, berth_error error, void *user)
{
    (void)error;
    (void)user;
    fprintf(stderr, PROGRAM ": %s\n", berth_server_error_string(berth_worker_server(worker)));
}

static void hand_over(berth_server *server, int descriptor, void *user)
{
    (void)server;
    service *self = user;
    if (berth_workers_hand_over(self->workers, descriptor))
        return;
    fprintf(stderr, PROGRAM ": cannot hand over a connection: %s\n", strerror(errno));
    close(descriptor);
}

static void start_workers(service *self, int count)
{
    static const berth_workers_handlers handlers = {.connection = serve, .failed = report_worker};
    self->workers = berth_workers_new(count, &handlers, self);
    if (!self->workers)
        fail(PROGRAM, "cannot make workers: %s", strerror(errno));
    if (!berth_workers_start(self->workers))
        fail(PROGRAM, "%s", berth_workers_error_string(self->workers));
}

/* ---- the command line ------------------------------------------------------------------------ */

static _Noreturn void help(void)
{
    puts("usage: " PROGRAM " [--address ADDRESS] [--port PORT] [--fortunes FILE] [--workers N]\n"
         "Sends each client one saying, on other threads.\n"
         "\n"
         "  --address ADDRESS  listen on this IPv4 or IPv6 address (default: all addresses)\n"
         "  --port PORT        listen on this port, 0 to 65535 (default: 0, a free port)\n"
         "  --fortunes FILE    sayings in UTF-8, separated by lines that hold a single %\n"
         "                     (default: built-in sayings)\n"
         "  --workers N        use a pool of 1 to 1024 threads (default: one thread for\n"
         "                     each connection)\n"
         "  --help             print this and exit\n"
         "\n"
         "The environment variable BERTH_BACKEND selects a backend: epoll or io_uring.\n"
         "SIGINT and SIGTERM stop the server.");
    exit(0);
}

static options parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"address", required_argument, NULL, 'a'},  {"port", required_argument, NULL, 'p'},
        {"fortunes", required_argument, NULL, 'f'}, {"workers", required_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},           {0},
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
        case 'w':
            chosen.workers =
                (int)number_from(PROGRAM, "the workers", optarg, 1, BERTH_MOST_WORKERS);
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

static berth_server *listen_or_fail(berth_loop *loop, const options *chosen, service *self)
{
    static const berth_server_handlers alone = {.incoming_connection = begin_visit,
                                                .accept_error = main_loop_report};
    static const berth_server_handlers pooled = {.incoming_connection = hand_over,
                                                 .accept_error = main_loop_report};
    berth_server *server = berth_server_new(loop, chosen->workers ? &pooled : &alone, self);
    if (!server)
        fail(PROGRAM, "cannot make a server: %s", strerror(errno));
    berth_server_set_listen_backlog_size(server, BACKLOG);
    main_loop_listen(PROGRAM, "fortune server", server, chosen->address, chosen->port);
    return server;
}

int main(int argc, char **argv)
{
    options chosen = parse(argc, argv);
    service self = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};
    setvbuf(stdout, NULL, _IOLBF, 0);
    srandom((unsigned)time(NULL) ^ (unsigned)getpid() << 16);
    book_open(&self.sayings, PROGRAM, chosen.fortunes);
    berth_loop *loop = main_loop_open(PROGRAM);
    if (chosen.workers > 0)
        start_workers(&self, chosen.workers);
    berth_server *server = listen_or_fail(loop, &chosen, &self);
    main_loop_run(PROGRAM);
    main_loop_close(server); /* also frees the server: nothing is handed over any more */
    berth_workers_free(self.workers);
    wait_for_threads(&self);
    printf("served %lu fortunes\n", atomic_load(&self.served));
    book_free(&self.sayings);
    return 0;
}
