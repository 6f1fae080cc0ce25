/*
 * A server that looks like a daemon, for hours of mixed load: see 31_soak.py.
 *
 *     soak PATH [time=MILLISECONDS] [leak=BYTES] [lose=COUNT] [keep=COUNT]
 *
 * One loop has a server in the clear with every limit and PROXY headers from 127.1.0.0/16, one
 * whose descriptors go to a pool of two workers, one that encrypts, and one on the Unix socket
 * PATH. The same two workers listen on a port of their own; another pool of one worker encrypts,
 * and one runs jobs. Whatever a connection is, its bytes come back, and it ends when its peer has
 * ended, or has been idle for TIME (1000); the first byte, a PROXY header and a handshake have
 * less.
 *
 * Speaks the language of server.c. The ports are in the first line. Commands: `stats`, `pause`,
 * `resume`, `reopen` (every listener is closed and opened again), `renew` (of the certificate, from
 * the two files that the environment names, CERTIFICATE and SUCCESSOR), `timers N`, `work N` (posts
 * to every loop, and jobs, from a thread that is no loop's, some of them cancelled), `signal`,
 * `child` (which has copies of all, and ends at once), `drain` (the server in the clear, which then
 * listens again), `restart` (the pool that encrypts: its thread and loop end), `quit`; and
 * `dial N`, `lookup N`, `dial_tls N`, `socks N PORT` for N connections of its own to itself.
 *
 * To see that a leak is found, one can be planted: so many bytes of each connection, a descriptor
 * of each COUNT connections, or a timer, which the library frees with its loop, so that nothing is
 * missing at the end.
 */
#include <berth/berth.h>

#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "account.h"

enum {
    CREW = 2,    /* workers that serve in the clear */
    WORLDS = 4,  /* the main thread, the crew, and the worker that encrypts */
    SEALED = 3,  /* the number of that */
    SLOTS = 4096 /* connections of a thread */
};

enum {
    PLAIN,
    HANDING,
    LOCAL,
    TLS,
    SERVERS
};

typedef struct slot {
    berth_socket *socket; /* NULL: free */
    uintptr_t uses;
    bool finished; /* the peer has ended its direction */
} slot;

/* A thread that serves. */
typedef struct world {
    berth_worker *worker; /* NULL: the main thread */
    berth_loop *loop;
    slot slots[SLOTS];
    unsigned next;
    atomic_ulong begun, ended, late, errors, tasks;
} world;

/* A connection of the daemon's own, to itself. */
typedef struct dial {
    berth_socket *socket;
    size_t left; /* to come back */
    bool connected;
} dial;

static world worlds[WORLDS];
static _Thread_local world *here;
static berth_loop *loop;
static berth_server *servers[SERVERS];
static berth_workers *crew, *sealed, *hands;
static uint16_t ports[SERVERS];
static uint16_t crew_port, sealed_port;
static const char *path;
static berth_server_counts sum;
static unsigned long dials, dialled, dial_failures, dials_open;
static unsigned long signals, signals_wanted, children, children_open, drained, drains_open,
    restarts;
static unsigned long timers_open, ticks, reopened, late_openings, failed_openings, renewals,
    jobs_done, jobs_cancelled;
static atomic_ulong posts_wanted, jobs_wanted, connections;
static pthread_mutex_t worlds_lock = PTHREAD_MUTEX_INITIALIZER; /* held, their loops exist */
static char block[1000];
static long limit = 1000;     /* milliseconds */
static long leak, lose, keep; /* planted */

/* ---- a leak that is planted ------------------------------------------------------------------ */

static void leak_some(void)
{
    static _Atomic(void *) last;
    unsigned long number = atomic_fetch_add(&connections, 1) + 1;
    if (leak > 0)
        atomic_store(&last, malloc((size_t)leak));
    if (lose > 0 && number % (unsigned long)lose == 0)
        (void)fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    if (keep > 0 && number % (unsigned long)keep == 0)
        (void)berth_timer_new(here->loop, NULL, NULL);
}

/* ---- a connection ---------------------------------------------------------------------------- */

static slot *slot_of(void *user)
{
    slot *slot = &here->slots[(uintptr_t)user % SLOTS];
    if (slot->socket != NULL && slot->uses == (uintptr_t)user / SLOTS)
        return slot;
    atomic_fetch_add(&here->late, 1);
    return NULL;
}

static void serve(berth_socket *socket, void *user)
{
    slot *slot = slot_of(user);
    size_t size;
    const void *bytes;
    if (slot == NULL)
        return;
    while ((bytes = berth_socket_view(socket, &size)) != NULL) {
        size_t room = berth_socket_room(socket);
        if (room == 0)
            return; /* `drained` goes on */
        size = size < room ? size : room;
        ptrdiff_t taken = berth_socket_write(socket, bytes, size);
        if (taken <= 0) {
            berth_socket_abort(socket);
            return;
        }
        (void)berth_socket_skip(socket, (size_t)taken);
    }
    if (slot->finished)
        berth_socket_disconnect_from_host(socket);
}

static void finished(berth_socket *socket, void *user)
{
    slot *slot = slot_of(user);
    if (slot == NULL)
        return;
    slot->finished = true;
    if (berth_socket_state(socket) == BERTH_STATE_CONNECTED)
        serve(socket, user);
}

static void failed(berth_socket *socket, berth_error error, void *user)
{
    (void)socket;
    if (slot_of(user) != NULL && error != BERTH_ERROR_REMOTE_HOST_CLOSED)
        atomic_fetch_add(&here->errors, 1);
}

static void disconnected(berth_socket *socket, void *user)
{
    slot *slot = slot_of(user);
    if (slot == NULL)
        return;
    slot->socket = NULL;
    slot->uses++;
    atomic_fetch_add(&here->ended, 1);
    berth_socket_free(socket);
}

static const berth_socket_handlers connection_handlers = {
    .ready_read = serve,
    .drained = serve,
    .read_channel_finished = finished,
    .error_occurred = failed,
    .disconnected = disconnected,
};

static void begin(berth_socket *socket)
{
    unsigned tries = 0;
    atomic_fetch_add(&here->begun, 1);
    leak_some();
    while (here->slots[here->next].socket != NULL && ++tries < SLOTS)
        here->next = (here->next + 1) % SLOTS;
    slot *slot = &here->slots[here->next];
    if (slot->socket != NULL || berth_socket_state(socket) == BERTH_STATE_UNCONNECTED) {
        atomic_fetch_add(&here->ended, 1);
        berth_socket_free(socket);
        return;
    }
    void *user = (void *)(slot->uses * SLOTS + here->next);
    slot->socket = socket;
    slot->finished = false;
    berth_socket_set_handlers(socket, &connection_handlers, user);
    berth_socket_set_half_close(socket, true);
    berth_socket_set_read_buffer_size(socket, 65536);
    berth_socket_set_write_marks(socket, 32768, 131072);
    /* So that output waits in the library, and not in the kernel. */
    (void)berth_socket_set_option(socket, BERTH_OPTION_SEND_BUFFER_SIZE, 16384);
    if (berth_socket_bytes_available(socket) > 0)
        serve(socket, user);
}

static void set_limits(berth_server *server)
{
    const berth_connection_limits limits = {.first_byte = (uint32_t)limit / 2,
                                            .idle = (uint32_t)limit,
                                            .lifetime = (uint32_t)limit * 20,
                                            .minimum_rate = 200,
                                            .rate_window = (uint32_t)limit,
                                            .output = 1 << 20};
    berth_server_set_connection_limits(server, &limits);
    berth_server_set_listen_backlog_size(server, 1024);
}

/* ---- the servers of the main thread ---------------------------------------------------------- */

static void new_connection(berth_server *server, void *user)
{
    (void)user;
    berth_socket *socket;
    while ((socket = berth_server_next_pending_connection(server)) != NULL)
        begin(socket);
}

static void incoming_connection(berth_server *server, int descriptor, void *user)
{
    (void)server;
    (void)user;
    atomic_fetch_add(&here->begun, 1);
    atomic_fetch_add(&here->ended, 1);
    if (!berth_workers_hand_over(crew, descriptor))
        (void)close(descriptor);
}

/* While a child has copies of a listener its place is in use: that is tried again later. */
static void note_failure(berth_error error)
{
    if (error == BERTH_ERROR_ADDRESS_IN_USE)
        late_openings++;
    else
        failed_openings++;
}

static void open_one(int which)
{
    static const berth_local_options options = {.replace_stale = true};
    berth_server *server = servers[which];
    if (berth_server_is_listening(server) || (which == PLAIN && drains_open > 0))
        return;
    if (which == LOCAL ? !berth_server_listen_local(server, path, &options)
                       : !berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, ports[which]))
        note_failure(berth_server_error(server));
    if (ports[which] == 0)
        ports[which] = berth_server_port(server);
}

static void open_pool(berth_workers *pool, uint16_t *port)
{
    if (berth_workers_port(pool) != 0)
        return;
    if (!berth_workers_listen(pool, BERTH_ADDRESS_LOOPBACK, *port))
        note_failure(berth_workers_error(pool));
    if (*port == 0)
        *port = berth_workers_port(pool);
}

static void open_all(void)
{
    for (int i = 0; i < SERVERS; i++)
        open_one(i);
    open_pool(crew, &crew_port);
    open_pool(sealed, &sealed_port);
}

static unsigned closed_now(void)
{
    unsigned count = berth_workers_port(crew) == 0;
    for (int i = 0; i < SERVERS; i++)
        count += !berth_server_is_listening(servers[i]);
    return count + (berth_workers_port(sealed) == 0);
}

static void emptied(berth_server *server, bool forced, void *user)
{
    (void)server;
    (void)forced;
    (void)user;
    drains_open--;
    open_one(PLAIN);
}

static const berth_server_handlers server_handlers = {.new_connection = new_connection,
                                                      .emptied = emptied};
static const berth_server_handlers handing_handlers = {.incoming_connection = incoming_connection};

static void reopen(void)
{
    reopened++;
    for (int i = 0; i < SERVERS; i++)
        berth_server_close(servers[i]); /* which ends a drain, and says no more of it */
    drains_open = 0;
    berth_workers_close(crew);
    berth_workers_close(sealed);
    open_all();
}

/* Of what is drained already, nothing is to be drained again. */
static void drain(void)
{
    const berth_drain plan = {.deadline = (uint32_t)limit, .idle = (uint32_t)limit / 10};
    if (drains_open > 0 || !berth_server_drain(servers[PLAIN], &plan))
        return;
    drained++;
    drains_open++;
}

static void set_paused(bool wanted)
{
    for (int i = 0; i < SERVERS; i++)
        if (wanted)
            berth_server_pause_accepting(servers[i]);
        else
            berth_server_resume_accepting(servers[i]);
}

static bool make_servers(void)
{
    const berth_accept_limits accepting = {.per_address = 16, .per_second = 4000};
    berth_subnet balancers;
    for (int i = 0; i < SERVERS; i++) {
        servers[i] =
            berth_server_new(loop, i == HANDING ? &handing_handlers : &server_handlers, NULL);
        if (servers[i] == NULL)
            return false;
        set_limits(servers[i]);
    }
    berth_server_set_accept_limits(servers[PLAIN], &accepting);
    return berth_subnet_parse("127.1.0.0/16", &balancers) &&
           berth_server_set_proxy_protocol(servers[PLAIN], &balancers, 1, (uint32_t)limit / 2);
}

/* ---- the certificate ------------------------------------------------------------------------- */

static berth_tls *secret, *client_secret;

static berth_tls *new_secret(berth_tls_side side, const char *name)
{
    char text[BERTH_TLS_TEXT_SIZE];
    const char *file = getenv(name);
    const berth_tls_options options = {
        .certificate = side == BERTH_TLS_SERVER ? file : NULL,
        .authorities = side == BERTH_TLS_CLIENT ? file : NULL,
    };
    berth_tls *tls = berth_tls_new(side, &options, text);
    if (tls == NULL)
        (void)fprintf(stderr, "server: %s\n", text);
    return tls;
}

static void take_secret(void *user)
{
    berth_tls *tls = user;
    (void)berth_server_set_tls(berth_worker_server(here->worker), tls);
    berth_tls_release(tls);
}

static void renew(void)
{
    berth_tls *fresh =
        new_secret(BERTH_TLS_SERVER, ++renewals % 2 != 0 ? "SUCCESSOR" : "CERTIFICATE");
    if (fresh == NULL)
        return;
    berth_tls_release(secret);
    secret = fresh;
    (void)berth_server_set_tls(servers[TLS], secret);
    if (!berth_loop_post(worlds[SEALED].loop, take_secret, berth_tls_hold(secret)))
        berth_tls_release(secret);
}

static bool seal(berth_server *server)
{
    berth_server_set_handshake_timeout(server, (uint32_t)limit / 2);
    berth_server_set_max_greetings(server, 512);
    return berth_server_set_tls(server, secret);
}

static bool make_secrets(void)
{
    secret = new_secret(BERTH_TLS_SERVER, "CERTIFICATE");
    client_secret = new_secret(BERTH_TLS_CLIENT, "AUTHORITIES");
    return secret != NULL && client_secret != NULL && seal(servers[TLS]);
}

static void release_secrets(void)
{
    berth_tls_release(secret);
    berth_tls_release(client_secret);
}

/* ---- the workers ----------------------------------------------------------------------------- */

/* `user` is the first of the pool's worlds. */
static bool started(berth_worker *worker, void *user)
{
    here = (world *)user + berth_worker_number(worker);
    here->worker = worker;
    here->loop = berth_worker_loop(worker);
    set_limits(berth_worker_server(worker));
    return here != &worlds[SEALED] || seal(berth_worker_server(worker));
}

static void connection(berth_worker *worker, berth_socket *socket, void *user)
{
    (void)worker;
    (void)user;
    begin(socket);
}

static const berth_workers_handlers worker_handlers = {.started = started,
                                                       .connection = connection};

/* Nothing is posted meanwhile to the loop that ends. */
static void restart(void)
{
    (void)pthread_mutex_lock(&worlds_lock);
    berth_workers_stop(sealed);
    failed_openings += !berth_workers_start(sealed);
    (void)pthread_mutex_unlock(&worlds_lock);
    open_all();
    restarts++;
}

static bool start_pools(void)
{
    crew = berth_workers_new(CREW, &worker_handlers, &worlds[1]);
    sealed = berth_workers_new(1, &worker_handlers, &worlds[SEALED]);
    hands = berth_workers_new(1, NULL, NULL);
    return crew != NULL && sealed != NULL && hands != NULL && berth_workers_start(crew) &&
           berth_workers_start(sealed) && berth_workers_start(hands);
}

/* ---- connections of its own ------------------------------------------------------------------ */

static void end_dial(dial *dial, bool good)
{
    dialled += good;
    dial_failures += !good;
    dials_open--;
    berth_socket_free(dial->socket);
    free(dial);
}

static void say_hello(berth_socket *socket, void *user)
{
    ((dial *)user)->connected = true;
    (void)berth_socket_write(socket, block, sizeof block);
}

static void hear(berth_socket *socket, void *user)
{
    dial *dial = user;
    ptrdiff_t size = berth_socket_skip(socket, dial->left);
    dial->left -= size > 0 ? (size_t)size : 0;
    if (dial->left == 0)
        berth_socket_disconnect_from_host(socket);
}

static void dial_failed(berth_socket *socket, berth_error error, void *user)
{
    (void)socket;
    (void)error;
    dial *dial = user;
    if (!dial->connected)
        end_dial(dial, false);
}

static void dial_ended(berth_socket *socket, void *user)
{
    (void)socket;
    dial *dial = user;
    end_dial(dial, dial->left == 0);
}

static const berth_socket_handlers dial_handlers = {
    .connected = say_hello,
    .ready_read = hear,
    .error_occurred = dial_failed,
    .disconnected = dial_ended,
};

/* What freeing the loop ends was not connected, and says nothing. */
static void begin_dial(const char *kind, unsigned proxy_port)
{
    const berth_connection_limits limits = {.idle = 2000, .lifetime = 5000};
    const berth_proxy proxy = {
        .type = BERTH_PROXY_SOCKS5, .host = "127.0.0.1", .port = (uint16_t)proxy_port};
    dial *fresh = calloc(1, sizeof *fresh);
    berth_socket *socket = fresh != NULL ? berth_socket_new(loop, &dial_handlers, fresh) : NULL;
    if (socket == NULL) {
        free(fresh);
        return;
    }
    dials++;
    dials_open++;
    fresh->socket = socket;
    fresh->left = sizeof block;
    berth_socket_set_connect_timeout(socket, 3000);
    (void)berth_socket_set_limits(socket, &limits);
    if (strncmp(kind, "lookup", 6) == 0) {
        (void)berth_socket_connect_to_host(socket, "localhost", ports[PLAIN]);
        return;
    }
    uint16_t port = ports[PLAIN];
    if (strncmp(kind, "dial_tls", 8) == 0) {
        port = ports[TLS];
        (void)berth_socket_set_tls(socket, client_secret, "localhost");
    }
    if (strncmp(kind, "socks", 5) == 0)
        (void)berth_socket_set_proxy(socket, &proxy);
    (void)berth_socket_connect_to_address(socket, BERTH_ADDRESS_LOOPBACK, port);
}

/* ---- signals and children -------------------------------------------------------------------- */

static void got_signal(berth_signal *signal, void *user)
{
    (void)signal;
    (void)user;
    signals = signals_wanted; /* those that came together are one */
}

static void child_ended(berth_signal *signal, void *user)
{
    (void)signal;
    (void)user;
    while (children_open > 0 && waitpid(-1, NULL, WNOHANG) > 0)
        children_open--;
}

static void send_signal(void)
{
    signals_wanted++;
    (void)kill(getpid(), SIGUSR1);
}

static void bear_child(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    children += child > 0;
    children_open += child > 0;
}

/* ---- timers, posts and jobs ------------------------------------------------------------------ */

static void ring(berth_timer *timer, void *user)
{
    (void)user;
    timers_open--;
    berth_timer_free(timer);
}

static void tick(berth_timer *timer, void *user)
{
    (void)timer;
    (void)user;
    ticks++;
    open_all();
}

static void set_timers(long count)
{
    for (long i = 0; i < count; i++) {
        berth_timer *timer = berth_timer_new(loop, ring, NULL);
        if (timer == NULL)
            return;
        timers_open++;
        berth_timer_start(timer, (uint64_t)(i * 7 % 100), 0);
    }
}

static void task(void *user)
{
    (void)user;
    atomic_fetch_add(&here->tasks, 1);
}

static void toil(berth_job *job, void *user)
{
    (void)job;
    (void)user;
    (void)usleep(200);
}

static void toiled(berth_job *job, bool cancelled, void *user)
{
    (void)job;
    (void)user;
    jobs_done++;
    jobs_cancelled += cancelled;
}

static void submit_and_cancel(void *user)
{
    (void)user;
    atomic_fetch_add(&here->tasks, 1);
    berth_job *job = berth_workers_submit(hands, loop, toil, toiled, NULL);
    if (job == NULL)
        return;
    atomic_fetch_add(&jobs_wanted, 1);
    berth_job_cancel(job);
}

/* On the thread that reads the commands. */
static void give_work(long count)
{
    (void)pthread_mutex_lock(&worlds_lock);
    for (long i = 0; i < count; i++) {
        for (int k = 0; k < WORLDS; k++)
            if (berth_loop_post(worlds[k].loop, task, NULL))
                atomic_fetch_add(&posts_wanted, 1);
        if (i % 2 == 0 && berth_workers_submit(hands, loop, toil, toiled, NULL) != NULL)
            atomic_fetch_add(&jobs_wanted, 1);
        if (i % 4 == 0 && berth_loop_post(loop, submit_and_cancel, NULL))
            atomic_fetch_add(&posts_wanted, 1);
    }
    (void)pthread_mutex_unlock(&worlds_lock);
}

/* ---- commands -------------------------------------------------------------------------------- */

static void add(const berth_server_counts *counts)
{
    for (size_t i = 0; i < sizeof sum / sizeof(uint64_t); i++)
        ((uint64_t *)&sum)[i] += ((const uint64_t *)counts)[i];
}

static void collect(void)
{
    berth_server_counts counts;
    memset(&sum, 0, sizeof sum);
    for (int i = 0; i < SERVERS; i++) {
        berth_server_statistics(servers[i], &counts);
        add(&counts);
    }
}

static void collect_from(const berth_workers *pool)
{
    berth_server_counts counts;
    berth_workers_statistics(pool, &counts);
    add(&counts);
}

static uint64_t heap(void)
{
#ifdef __GLIBC__
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
#else
    return 0;
#endif
}

static void say(const char *name, uint64_t number)
{
    printf("\"%s\": %" PRIu64 ", ", name, number);
}

static void say_worlds(void)
{
    unsigned long begun = 0, ended = 0, late = 0, errors = 0, tasks = 0;
    for (int i = 0; i < WORLDS; i++) {
        begun += atomic_load(&worlds[i].begun);
        ended += atomic_load(&worlds[i].ended);
        late += atomic_load(&worlds[i].late);
        errors += atomic_load(&worlds[i].errors);
        tasks += atomic_load(&worlds[i].tasks);
    }
    say("begun", begun);
    say("ended", ended);
    say("open", begun - ended);
    say("late", late);
    say("errors", errors);
    say("tasks", tasks);
    say("posts_waiting", atomic_load(&posts_wanted) - tasks);
}

static void report(long left_descriptors)
{
    printf("{");
    say_worlds();
    say("accepted", sum.accepted + sum.added);
    say("delivered", sum.taken + sum.handed_over);
    say("queued", sum.pending + sum.awaiting_header + sum.greeting + sum.handshaking);
    say("rejected", sum.rejected_address + sum.rejected_call + sum.rejected_shed +
                        sum.rejected_header + sum.failed_handshake + sum.rejected_greeting);
    say("failed", sum.failed);
    say("dropped", sum.dropped);
    say("closed_pending", sum.closed_pending);
    say("rejected_address", sum.rejected_address);
    say("rejected_header", sum.rejected_header);
    say("failed_handshake", sum.failed_handshake);
    say("handshakes", sum.handshakes);
    say("closed_first_byte", sum.closed_first_byte);
    say("closed_idle", sum.closed_idle);
    say("closed_rate", sum.closed_rate);
    say("closed_output", sum.closed_output);
    say("paced", sum.paced);
    say("live", sum.live);
    say("lingering", sum.lingering);
    say("dials", dials);
    say("dialled", dialled);
    say("dial_failures", dial_failures);
    say("dials_open", dials_open);
    say("timers_open", timers_open);
    say("drains_open", drains_open);
    say("children_open", children_open);
    say("signals_waiting", signals_wanted - signals);
    say("children", children);
    say("drained", drained);
    say("restarts", restarts);
    say("ticks", ticks);
    say("jobs", jobs_done);
    say("jobs_cancelled", jobs_cancelled);
    say("jobs_waiting", atomic_load(&jobs_wanted) - jobs_done);
    say("reopened", reopened);
    say("late_openings", late_openings);
    say("failed_openings", failed_openings);
    say("closed_now", left_descriptors < 0 ? closed_now() : 0);
    say("renewals", renewals);
    say("heap", heap());
    printf("\"bytes\": %ld, \"blocks\": %ld, \"descriptors\": %ld}\n", account_bytes(),
           account_blocks(), left_descriptors);
    (void)fflush(stdout);
}

/* Those that make connections have a number, and those that only ask have nothing to do here. */
static void do_as_told(const char *line, long number, long port)
{
    static const struct {
        const char *name;
        void (*act)(void);
    } commands[] = {{"reopen", reopen},   {"renew", renew},        {"drain", drain},
                    {"restart", restart}, {"signal", send_signal}, {"child", bear_child}};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strncmp(line, commands[i].name, strlen(commands[i].name)) == 0) {
            commands[i].act();
            return;
        }
    if (strncmp(line, "pause", 5) == 0 || strncmp(line, "resume", 6) == 0)
        set_paused(*line == 'p');
    else if (strncmp(line, "timers", 6) == 0)
        set_timers(number);
    else if (strncmp(line, "stats", 5) != 0 && strncmp(line, "work", 4) != 0)
        for (long i = 0; i < number; i++)
            begin_dial(line, (unsigned)port);
}

static void obey(void *user)
{
    char *line = user;
    char *end = strchr(line, ' ');
    long number = end != NULL ? strtol(end + 1, &end, 10) : 0;
    do_as_told(line, number, end != NULL ? strtol(end, NULL, 10) : 0);
    free(line);
    collect();
    collect_from(crew);
    collect_from(sealed);
    report(-1);
}

static void quit(void *user)
{
    (void)user;
    for (int i = 0; i < SERVERS; i++)
        berth_server_close(servers[i]);
    collect();
    berth_loop_stop(loop, 0);
}

static void *listen_to_driver(void *nothing)
{
    char line[128];
    while (fgets(line, sizeof line, stdin) != NULL && strncmp(line, "quit", 4) != 0) {
        char *copy = strdup(line);
        if (strncmp(line, "work", 4) == 0)
            give_work(strtol(line + 4, NULL, 10));
        if (copy == NULL || !berth_loop_post(loop, obey, copy))
            abort();
    }
    if (!berth_loop_post(loop, quit, NULL))
        abort();
    return nothing;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static int fail(int status, const char *what, const char *why)
{
    (void)fprintf(stderr, "server: cannot %s: %s\n", what, why);
    return status;
}

static bool read_arguments(int count, char **arguments)
{
    path = count > 1 ? arguments[1] : NULL;
    for (int i = 2; i < count; i++) {
        long *which = strncmp(arguments[i], "leak=", 5) == 0   ? &leak
                      : strncmp(arguments[i], "lose=", 5) == 0 ? &lose
                      : strncmp(arguments[i], "keep=", 5) == 0 ? &keep
                      : strncmp(arguments[i], "time=", 5) == 0 ? &limit
                                                               : NULL;
        if (which == NULL)
            return false;
        *which = strtol(arguments[i] + 5, NULL, 10);
    }
    return path != NULL;
}

static bool start(void)
{
    bool opened = make_servers() && make_secrets() && start_pools();
    if (opened)
        open_all();
    opened = opened && closed_now() == 0;
    berth_timer *timer = opened ? berth_timer_new(loop, tick, NULL) : NULL;
    if (timer != NULL)
        berth_timer_start(timer, 100, 100);
    return timer != NULL && berth_signal_new(loop, SIGUSR1, got_signal, NULL) != NULL &&
           berth_signal_new(loop, SIGCHLD, child_ended, NULL) != NULL;
}

static void end(void)
{
    berth_workers_stop(crew);
    berth_workers_stop(sealed);
    collect_from(crew);
    collect_from(sealed);
    berth_workers_free(crew);
    berth_workers_free(sealed);
    berth_workers_free(hands);
    berth_loop_free(loop);
    release_secrets();
}

int main(int count, char **arguments)
{
    if (!read_arguments(count, arguments))
        return fail(2, "begin",
                    "usage: soak PATH [time=MILLISECONDS] [leak=BYTES] [lose=COUNT] [keep=COUNT]");
    account_begin();
    loop = berth_loop_new(NULL);
    if (loop == NULL) {
        char reason[160];
        bool can = berth_loop_backend_available(getenv("BERTH_BACKEND"), reason, sizeof reason);
        return fail(can ? 2 : 77, "make a loop", reason);
    }
    here = &worlds[0];
    here->loop = loop;
    if (!start())
        return fail(2, "begin", "no port, no certificate or no thread");
    printf("{\"port\": %u, \"handing\": %u, \"tls\": %u, \"crew\": %u, \"sealed\": %u, "
           "\"backend\": \"%s\"}\n",
           ports[PLAIN], ports[HANDING], ports[TLS], crew_port, sealed_port,
           berth_loop_backend_name(loop));
    (void)fflush(stdout);
    pthread_t thread;
    if (pthread_create(&thread, NULL, listen_to_driver, NULL) != 0)
        return fail(2, "begin", "no thread");
    int status = berth_loop_run(loop);
    if (status != 0)
        (void)pthread_cancel(thread);
    (void)pthread_join(thread, NULL);
    end();
    report(account_descriptors());
    return status == 0 ? 0 : fail(2, "go on", "the loop has failed");
}
