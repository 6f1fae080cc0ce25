/* The Unix socket of daemon_server: see admin.h. */
#include "admin.h"

#include "http.h"
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static berth_server *server; /* NULL: there is none */
static bool draining;
static char text[16384]; /* the statistics */
static size_t text_size;
static void (*when_drained)(bool forced);

/* The user pointer of a connection says what it has come for. One that is silent for a second, or
 * two, watches. */
static char comes, waits, watches, asks;

static daemon_answer inform(berth_socket *socket, const char *path, void *user)
{
    static char number[32];
    int size = snprintf(number, sizeof number, "%ld\n", (long)getpid());
    (void)socket;
    (void)user;
    if (strcmp(path, "metrics") == 0)
        return (daemon_answer){200, text, text_size};
    if (strcmp(path, "ready") == 0 && draining)
        return (daemon_answer){503, "draining\n", 9};
    if (strcmp(path, "ready") == 0)
        return (daemon_answer){200, "ready\n", 6};
    if (strcmp(path, "pid") == 0)
        return (daemon_answer){200, number, (size_t)size};
    return (daemon_answer){404, "try /metrics, /ready or /pid\n", 29};
}

static void answer(berth_socket *socket, void *user);

static const berth_socket_handlers visitor_handlers = {
    .ready_read = answer, .drained = answer, .disconnected = berth_socket_free_in_handler};

static void answer(berth_socket *socket, void *user)
{
    if (user == &watches)
        return; /* what it says comes too late */
    berth_socket_set_handlers(socket, &visitor_handlers, &asks);
    daemon_serve(socket, berth_server_drain_state(server) != BERTH_DRAIN_NONE, inform, NULL);
}

static void admit(berth_server *from, void *user)
{
    const berth_connection_limits limits = {.idle = 60000, .output = 4 * sizeof text};
    berth_socket *socket;
    (void)user;
    while ((socket = berth_server_next_pending_connection(from))) {
        berth_socket_set_handlers(socket, &visitor_handlers, &comes);
        daemon_http_begin(socket);
        berth_socket_set_limits(socket, &limits); /* for those who do not read */
        if (berth_socket_bytes_available(socket) > 0)
            answer(socket, &comes);
    }
}

static void show(berth_socket *socket, void *user)
{
    (void)user;
    const char *state = berth_socket_user(socket);
    if (state == &waits || state == &watches)
        berth_socket_write(socket, text, text_size);
    if (state == &comes || state == &waits)
        berth_socket_set_handlers(socket, &visitor_handlers, state == &comes ? &waits : &watches);
}

/* Those who watch are ended by force, which is no fault. */
static void emptied(berth_server *from, bool forced, void *user)
{
    (void)from;
    (void)forced;
    (void)user;
    when_drained(false);
}

void admin_open(const char *program, berth_loop *loop, const char *path)
{
    static const berth_server_handlers handlers = {.new_connection = admit, .emptied = emptied};
    const berth_local_options options = {.mode = 0600, .replace_stale = true};
    server = berth_server_new(loop, &handlers, NULL);
    if (!server)
        fail(program, "cannot make a server: %s", strerror(errno));
    bool listens = berth_inherited_left("admin") > 0
                       ? berth_server_listen_inherited(server, "admin")
                       : berth_server_listen_local(server, path, &options);
    if (!listens)
        fail(program, "%s", berth_server_error_string(server));
}

void admin_deny_readiness(void)
{
    draining = true;
}

void admin_drain(void (*finished)(bool forced))
{
    const berth_drain plan = {.deadline = 1000, .idle = 100};
    when_drained = finished;
    if (server)
        berth_server_drain(server, &plan);
    else
        finished(false);
}

void admin_update(const daemon_sample *samples, int count)
{
    text_size = daemon_statistics_write(text, sizeof text, samples, count, draining);
    if (server)
        berth_server_each_socket(server, show, NULL);
}

bool admin_offer(berth_handover *handover)
{
    return !server || berth_handover_add(handover, "admin", server);
}

void admin_close(void)
{
    berth_server_free(server);
    server = NULL;
}
