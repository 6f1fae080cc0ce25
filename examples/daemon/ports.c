/* The ports of daemon_server: see ports.h. */
#include "ports.h"

#include "http.h"
#include "options.h"
#include "tls.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct port {
    char *name;
    char *where;       /* in the same memory */
    bool proxied;      /* peers send a PROXY header */
    const char *files; /* certificate and key; NULL: not encrypted */
    berth_tls *tls;    /* of these, as they are now */
    berth_workers *workers;
    struct {
        berth_worker *worker;
        berth_loop *loop;
    } threads[MOST_THREADS];
    atomic_ulong answers;
} port;

static port ports[MOST_PORTS];
static int count;
static int threads; /* of each */
static berth_loop *main_loop;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects the limits, and each `tls` */
static daemon_settings limits;

static int left; /* ports that are not drained */
static bool was_forced;
static void (*when_drained)(bool forced);

/* ---- what the threads do --------------------------------------------------------------------- */

static daemon_answer greet(berth_socket *socket, const char *path, void *user)
{
    static _Thread_local char body[160];
    port *self = user;
    char peer[BERTH_ADDRESS_TEXT_SIZE];
    berth_address_format(berth_socket_peer_address(socket), peer, sizeof peer);
    int size = snprintf(body, sizeof body, "process %ld, port %.20s, client %s\n", (long)getpid(),
                        self->name, peer);
    (void)path;
    atomic_fetch_add_explicit(&self->answers, 1, memory_order_relaxed);
    return (daemon_answer){200, body, (size_t)size};
}

/* When the port is drained, the client learns with its next answer that it has to connect anew, and
 * loses no request. */
static void serve(berth_socket *socket, void *user)
{
    berth_worker *worker = user;
    bool last = berth_server_drain_state(berth_worker_server(worker)) != BERTH_DRAIN_NONE;
    daemon_serve(socket, last, greet, berth_worker_user(worker));
}

static void take(berth_worker *worker, berth_socket *socket, void *user)
{
    static const berth_socket_handlers handlers = {
        .ready_read = serve, .drained = serve, .disconnected = berth_socket_free_in_handler};
    (void)user;
    berth_socket_set_handlers(socket, &handlers, worker);
    daemon_http_begin(socket);
    serve(socket, worker); /* what has come before is not announced again */
}

static void apply_limits(void *user)
{
    berth_server *server = berth_worker_server(user);
    pthread_mutex_lock(&lock);
    daemon_settings now = limits;
    pthread_mutex_unlock(&lock);
    berth_server_set_accept_limits(server, &now.accepting);
    berth_server_set_connection_limits(server, &now.connection);
}

static void apply_tls(void *user)
{
    berth_server *server = berth_worker_server(user);
    port *self = berth_worker_user(user);
    pthread_mutex_lock(&lock);
    berth_tls *tls = berth_tls_hold(self->tls);
    pthread_mutex_unlock(&lock);
    if (!berth_server_set_tls(server, tls))
        fprintf(stderr, "%s: %s\n", self->name, berth_server_error_string(server));
    berth_tls_release(tls); /* the server holds it */
}

static bool started(berth_worker *worker, void *user)
{
    berth_server *server = berth_worker_server(worker);
    berth_subnet everybody[2];
    port *self = user;
    int number = berth_worker_number(worker);
    self->threads[number].worker = worker;
    self->threads[number].loop = berth_worker_loop(worker);
    apply_limits(worker);
    apply_tls(worker);
    if (self->tls && !berth_server_tls(server))
        return false;
    if (!self->proxied)
        return true;
    berth_subnet_parse("0.0.0.0/0", &everybody[0]);
    berth_subnet_parse("::/0", &everybody[1]);
    return berth_server_set_proxy_protocol(server, everybody, 2, 0) &&
           berth_server_set_local_proxy_protocol(server, true, 0);
}

static void report(berth_worker *worker, berth_error error, void *user)
{
    const port *self = user;
    (void)error;
    fprintf(stderr, "%s: %s\n", self->name, berth_server_error_string(berth_worker_server(worker)));
}

/* On the main thread. */
static void drained(berth_workers *workers, bool forced, void *user)
{
    (void)workers;
    (void)user;
    was_forced = was_forced || forced;
    if (--left == 0)
        when_drained(was_forced);
}

/* ---- the start ------------------------------------------------------------------------------- */

void ports_add(const char *program, const char *text)
{
    char *name = strdup(text); /* the arguments are for a successor too */
    char *equals = name ? strchr(name, '=') : NULL;
    if (!equals || equals == name || count == MOST_PORTS)
        fail(program, "'%s' is no NAME=WHERE, or one port too many", text);
    *equals = '\0';
    ports[count++] = (port){.name = name, .where = equals + 1};
}

static port *find(const char *program, const char *option, const char *name, size_t size)
{
    for (int i = 0; i < count; i++)
        if (strlen(ports[i].name) == size && memcmp(ports[i].name, name, size) == 0)
            return &ports[i];
    fail(program, "%s %s: there is no --listen of that name before", option, name);
}

void ports_expect_header(const char *program, const char *name)
{
    find(program, "--proxied", name, strlen(name))->proxied = true;
}

void ports_encrypt(const char *program, const char *text)
{
    size_t size = strcspn(text, "=");
    if (text[size] == '\0')
        fail(program, "'%s' is no NAME=CERTIFICATE[,KEY]", text);
    find(program, "--tls", text, size)->files = text + size + 1;
}

static bool listen_on(const char *program, port *self)
{
    berth_address address = BERTH_ADDRESS_LOOPBACK;
    char *colon = strrchr(self->where, ':');
    char *bracket = strrchr(self->where, ']'); /* behind an IPv6 address */
    if (berth_inherited_left(self->name) > 0)
        return berth_workers_listen_inherited(self->workers, self->name);
    if (*self->where == '@' || strchr(self->where, '/')) {
        const berth_local_options options = {.mode = 0666, .replace_stale = true};
        return berth_workers_listen_local(self->workers, self->where, &options);
    }
    if (bracket && colon != bracket + 1)
        fail(program, "'%s' has no port", self->where);
    if (colon) {
        *(bracket ? bracket : colon) = '\0';
        address = address_from(program, self->where + (bracket ? 1 : 0));
    }
    long number = number_from(program, "the port", colon ? colon + 1 : self->where, 0, 65535);
    return berth_workers_listen(self->workers, address, (uint16_t)number);
}

static void open_port(const char *program, port *self)
{
    static const berth_workers_handlers handlers = {
        .started = started, .connection = take, .failed = report};
    char text[DAEMON_TLS_TEXT_SIZE];
    self->tls = self->files ? daemon_tls_read(self->files, text) : NULL;
    if (self->files && !self->tls)
        fail(program, "%s", text);
    self->workers = berth_workers_new(threads, &handlers, self);
    if (!self->workers)
        fail(program, "cannot make threads: %s", strerror(errno));
    if (!berth_workers_start(self->workers) || !listen_on(program, self))
        fail(program, "%s: %s", self->name, berth_workers_error_string(self->workers));
    if (berth_workers_port(self->workers) > 0)
        printf("%s listening on port %u\n", self->name, berth_workers_port(self->workers));
    else
        printf("%s listening on %s\n", self->name, self->where);
}

void ports_open(const char *program, berth_loop *loop, int number, const daemon_settings *settings)
{
    main_loop = loop;
    threads = number;
    limits = *settings;
    if (count == 0)
        ports_add(program, "web=127.0.0.1:0");
    for (int i = 0; i < count; i++)
        open_port(program, &ports[i]);
}

/* ---- afterwards ------------------------------------------------------------------------------ */

static void post_to_threads(const port *self, void (*task)(void *user))
{
    for (int n = 0; n < threads; n++)
        berth_loop_post(self->threads[n].loop, task, self->threads[n].worker);
}

void ports_set_limits(const daemon_settings *settings)
{
    pthread_mutex_lock(&lock);
    limits = *settings;
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < count; i++)
        post_to_threads(&ports[i], apply_limits);
}

bool ports_renew(char *text)
{
    char ignored[DAEMON_TLS_TEXT_SIZE];
    bool renewed = true;
    for (int i = 0; i < count; i++) {
        port *self = &ports[i];
        berth_tls *tls =
            self->files ? daemon_tls_read(self->files, renewed ? text : ignored) : NULL;
        renewed = renewed && (tls || !self->files);
        if (!tls) {
            if (self->tls)
                (void)daemon_tls_set_keys(self->tls); /* all ports have the same */
            continue;
        }
        pthread_mutex_lock(&lock);
        berth_tls *former = self->tls;
        self->tls = tls;
        pthread_mutex_unlock(&lock);
        berth_tls_release(former); /* servers and connections hold it */
        post_to_threads(self, apply_tls);
    }
    return renewed;
}

void ports_drain(const berth_drain *plan, void (*finished)(bool forced))
{
    left = count;
    when_drained = finished;
    for (int i = 0; i < count; i++)
        berth_workers_drain(ports[i].workers, plan, main_loop, drained, NULL);
}

bool ports_offer(berth_handover *handover)
{
    bool added = true;
    for (int i = 0; i < count; i++)
        added = berth_handover_add_workers(handover, ports[i].name, ports[i].workers) && added;
    return added;
}

int ports_measure(daemon_sample samples[MOST_PORTS])
{
    for (int i = 0; i < count; i++) {
        samples[i].name = ports[i].name;
        samples[i].answers = atomic_load_explicit(&ports[i].answers, memory_order_relaxed);
        berth_workers_statistics(ports[i].workers, &samples[i].counts);
    }
    return count;
}

void ports_close(void)
{
    for (int i = 0; i < count; i++) {
        berth_workers_free(ports[i].workers);
        berth_tls_release(ports[i].tls);
        free(ports[i].name);
    }
}
