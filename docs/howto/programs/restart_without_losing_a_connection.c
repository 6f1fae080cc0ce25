/*
 * A server that is replaced by a new process while clients connect. Each connection gets the number
 * of the process that serves it. The first process also plays the clients, 200 of them, one after
 * another; when 50 have been served it starts its successor. The exit status is 0 if all were
 * served, by both.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <berth/berth.h>

enum {
    CLIENTS = 200,
    BEFORE = 50
};

typedef struct process {
    const char *path; /* where the hand-over is offered */
    berth_server *server;
    berth_handover *handover;
    bool replaced;
} process;

/* ---- the server ------------------------------------------------------------------------------ */

static void serve(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.disconnected = berth_socket_free_in_handler};
    berth_socket *socket = berth_server_next_pending_connection(server);
    char text[32];
    (void)user;
    if (!socket)
        return;
    berth_socket_set_handlers(socket, &handlers, NULL);
    berth_socket_write(socket, text, (size_t)snprintf(text, sizeof text, "%d\n", (int)getpid()));
    berth_socket_disconnect_from_host(socket);
}

static void drain(berth_handover *handover, void *user)
{
    static const berth_drain plan = {.deadline = 10000}; /* ms */
    process *mine = user;
    (void)handover;
    printf("%d hands over, and drains\n", (int)getpid());
    mine->replaced = true;
    berth_server_drain(mine->server, &plan);
}

static void go_on(berth_handover *handover, const char *text, void *user)
{
    (void)handover;
    (void)user;
    fprintf(stderr, "the successor has failed, and this process goes on: %s\n", text);
}

static bool fail(const char *text)
{
    fprintf(stderr, "%s\n", text);
    return false;
}

/* The same in both processes: what was handed over is listened on, or else a port. */
static bool start(process *mine)
{
    static const berth_server_handlers serving = {.new_connection = serve};
    static const berth_handover_handlers offering = {.succeeded = drain, .failed = go_on};
    berth_inheritance *inheritance = berth_handover_take(mine->path, 5000, NULL, 0);
    mine->server = berth_server_new(NULL, &serving, mine);
    bool good =
        mine->server && (berth_inherited_left("numbers") > 0
                             ? berth_server_listen_inherited(mine->server, "numbers")
                             : berth_server_listen(mine->server, BERTH_ADDRESS_LOOPBACK, 0));
    if (!good)
        fail(berth_server_error_string(mine->server));
    /* Whatever else has to be there before this process serves comes here. */
    if (good && inheritance && !berth_handover_ready(inheritance))
        good = fail(berth_inheritance_error_string(inheritance));
    berth_inheritance_free(inheritance);
    if (!good)
        return false;
    mine->handover = berth_handover_offer(NULL, mine->path, &offering, mine);
    if (mine->handover && berth_handover_add(mine->handover, "numbers", mine->server))
        return true;
    fprintf(stderr, "cannot offer the server on %s: ", mine->path);
    return fail(berth_handover_error_string(mine->handover));
}

static void stop(berth_signal *signal, void *user)
{
    (void)signal;
    (void)user;
    berth_loop_stop(NULL, 0);
}

static int succeed(const char *path)
{
    process mine = {.path = path};
    if (!berth_signal_new(NULL, SIGTERM, stop, NULL)) {
        fail("cannot handle SIGTERM");
        return 1;
    }
    if (!start(&mine))
        return 1;
    int status = berth_loop_run(NULL);
    berth_loop_free(berth_loop_current());
    return status;
}

/* ---- the clients ----------------------------------------------------------------------------- */

static int ask(uint16_t port)
{
    char line[32] = "";
    berth_socket *socket = berth_socket_new(NULL, NULL, NULL);
    berth_socket_connect_to_address(socket, BERTH_ADDRESS_LOOPBACK, port);
    for (int turns = 0; turns < 10000 && !berth_socket_can_read_line(socket); turns++) {
        if (berth_socket_state(socket) == BERTH_STATE_UNCONNECTED)
            break; /* lost */
        berth_loop_turn(NULL, 100);
    }
    berth_socket_read_line(socket, line, sizeof line);
    berth_socket_free(socket);
    return atoi(line);
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[1], "--succeed") == 0)
        return succeed(arguments[2]);

    char path[64];
    snprintf(path, sizeof path, "@numbers-%d", (int)getpid());
    process mine = {.path = path};
    if (!start(&mine))
        return 1;
    uint16_t port = berth_server_port(mine.server);
    int lost = 0, by_successor = 0;
    pid_t successor = 0;
    for (int client = 0; client < CLIENTS || (!mine.replaced && client < 100 * CLIENTS); client++) {
        if (client == BEFORE && (successor = fork()) == 0) {
            execl("/proc/self/exe", arguments[0], "--succeed", path, (char *)NULL);
            _exit(1);
        }
        int number = ask(port);
        lost += number == 0;
        by_successor += number != 0 && number == successor;
    }
    for (int more = 0; more < 100 && by_successor == 0; more++)
        by_successor += ask(port) == successor;
    int status = 1;
    kill(successor, SIGTERM);
    waitpid(successor, &status, 0);
    printf("lost: %d; the successor has served some: %s\n", lost, by_successor ? "yes" : "no");
    berth_loop_free(berth_loop_current());
    return lost == 0 && by_successor > 0 && status == 0 ? 0 : 1;
}
