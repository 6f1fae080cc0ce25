/*
 * A server with several processes: one listens, and three children made by fork accept from the
 * same listener. The parent keeps the listener, for children that it may have to make later, but
 * does not accept: it pauses accepting before it forks.
 *
 * Clients ask which process serves them, one after another, until two have answered. The exit
 * status is 0 if neither of these was the parent, and all children exited with 0.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <berth/berth.h>

#define CHILDREN 3
#define MOST_QUESTIONS 1000

/* ---- a child --------------------------------------------------------------------------------- */

static void serve(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.disconnected = berth_socket_free_in_handler};
    berth_socket *socket;
    (void)user;
    while ((socket = berth_server_next_pending_connection(server)) != NULL) {
        char answer[32];
        int length = snprintf(answer, sizeof(answer), "%ld\n", (long)getpid());
        berth_socket_set_handlers(socket, &handlers, NULL);
        berth_socket_write(socket, answer, (size_t)length);
        berth_socket_disconnect_from_host(socket);
    }
}

static berth_loop *loop;

static void stop(int number)
{
    (void)number;
    berth_loop_stop(loop, 0);
}

/* SIGTERM would kill a child that is not ready yet; so the signal is blocked until then. */
static void hold_back_stops(bool hold)
{
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &stops, NULL);
}

static int be_child(berth_server *server)
{
    loop = berth_server_loop(server);
    signal(SIGTERM, stop);
    if (!berth_loop_after_fork(loop)) {
        perror("cannot take over the loop");
        return 1;
    }
    hold_back_stops(false);
    berth_server_resume_accepting(server);
    int result = berth_loop_run(loop);
    berth_loop_free(loop);
    return result;
}

/* ---- the parent ------------------------------------------------------------------------------ */

static long ask(uint16_t port)
{
    berth_socket *socket = berth_socket_new(NULL, NULL, NULL);
    char answer[32];
    long who = 0;
    berth_socket_connect_to_address(socket, BERTH_ADDRESS_LOOPBACK, port);
    if (berth_socket_wait_for_connected(socket, 5000)) {
        while (!berth_socket_can_read_line(socket) &&
               berth_socket_wait_for_ready_read(socket, 5000))
            continue;
        if (berth_socket_read_line(socket, answer, sizeof(answer)) > 0)
            who = strtol(answer, NULL, 10);
    }
    berth_socket_free(socket);
    return who;
}

int main(void)
{
    static const berth_server_handlers handlers = {.new_connection = serve};
    berth_server *server = berth_server_new(NULL, &handlers, NULL);
    pid_t children[CHILDREN];
    if (!server || !berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0)) {
        fprintf(stderr, "%s\n", berth_server_error_string(server));
        return 1;
    }
    berth_server_pause_accepting(server); /* no turn has run: nothing was accepted */
    hold_back_stops(true);
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        if (children[i] == 0)
            return be_child(server);
    }
    hold_back_stops(false);

    long first = ask(berth_server_port(server));
    long other = first;
    for (int i = 0; i < MOST_QUESTIONS && other == first; i++)
        other = ask(berth_server_port(server));
    printf("served by process %ld, and by %ld\n", first, other);

    int result = first == 0 || first == getpid() || other == 0 || other == getpid();
    for (int i = 0; i < CHILDREN; i++) {
        int status = 1;
        kill(children[i], SIGTERM);
        waitpid(children[i], &status, 0);
        result = result || status != 0;
    }
    berth_loop_free(berth_loop_current());
    return result;
}
