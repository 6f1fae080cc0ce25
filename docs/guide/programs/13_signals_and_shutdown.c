/*
 * A server that is told what to do by signals: SIGHUP has it read its settings again, SIGTERM has
 * it shut down gracefully, and a second SIGTERM at once. The settings are what a command prints; a
 * watch reads them from the command's pipe while connections are served.
 *
 * The program is its own operator and its own client: it asks for the greeting until that is the
 * new one, sends itself SIGTERM, and asks once more on the connection that is still open. The exit
 * status is 0 if all answers were right and the shutdown was not forced.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <berth/berth.h>

#define DEADLINE 5000 /* milliseconds that connections get when the service shuts down */

typedef struct service {
    berth_server *server;
    berth_signal *terminate;
    berth_signal *reload;
    FILE *command; /* that prints the settings, while it runs */
    berth_watch *output;
    berth_timer *deadline;
    char greeting[64];
    unsigned connections;
    bool ending;
} service;

/* ---- the settings ---------------------------------------------------------------------------- */

/* The command has printed something, or has ended. A greeting is short: it comes in one piece. */
static void read_settings(berth_watch *watch, unsigned events, void *user)
{
    (void)events;
    service *all = user;
    char text[sizeof(all->greeting)];
    ssize_t size = read(berth_watch_descriptor(watch), text, sizeof(text) - 1);
    if (size > 0) {
        memcpy(all->greeting, text, (size_t)size);
        all->greeting[size] = '\0';
        printf("greeting from now on: %s", all->greeting);
        return; /* and is called again for the end */
    }
    berth_watch_free(watch); /* before the descriptor is closed */
    pclose(all->command);
    all->command = NULL;
}

static void begin_reload(berth_signal *signal, void *user)
{
    (void)signal;
    service *all = user;
    if (all->command != NULL)
        return; /* it is being done */
    all->command = popen("echo welcome back", "r");
    if (all->command == NULL)
        return;
    int descriptor = fileno(all->command);
    fcntl(descriptor, F_SETFL, O_NONBLOCK);
    all->output = berth_watch_new(NULL, descriptor, read_settings, all);
    if (all->output == NULL || !berth_watch_start(all->output, BERTH_WATCH_READ))
        perror("cannot read the settings");
}

/* ---- the connections ------------------------------------------------------------------------- */

static void answer(berth_socket *socket, void *user)
{
    service *all = user;
    char question[32];
    while (berth_socket_can_read_line(socket)) {
        berth_socket_read_line(socket, question, sizeof(question));
        berth_socket_write(socket, all->greeting, strlen(all->greeting));
    }
}

static void leave(berth_socket *socket, void *user)
{
    service *all = user;
    berth_socket_free(socket);
    if (--all->connections == 0 && all->ending)
        berth_loop_stop(NULL, 0);
}

static void welcome(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.ready_read = answer, .disconnected = leave};
    service *all = user;
    berth_socket *socket;
    while ((socket = berth_server_next_pending_connection(server)) != NULL) {
        all->connections++;
        berth_socket_set_handlers(socket, &handlers, all);
    }
}

/* ---- the end --------------------------------------------------------------------------------- */

static void give_up(berth_timer *timer, void *user)
{
    (void)timer;
    (void)user;
    fprintf(stderr, "some connections are ended by force\n");
    berth_loop_stop(NULL, 1);
}

static void shut_down(berth_signal *signal, void *user)
{
    service *all = user;
    printf("signal %d, with %u connections\n", berth_signal_number(signal), all->connections);
    if (all->ending || all->connections == 0) {
        berth_loop_stop(NULL, all->connections != 0);
        return;
    }
    all->ending = true;
    berth_server_close(all->server); /* those that are open stay */
    berth_timer_start(all->deadline, DEADLINE, 0);
}

/* ---- a client, who is the operator too ------------------------------------------------------- */

typedef struct client {
    unsigned answers[3]; /* of the old greeting, of the new one, and after SIGTERM */
    bool reloads;
    bool terminates;
} client;

static void ask(berth_socket *socket, void *user)
{
    (void)user;
    berth_socket_write(socket, "who?\n", 5);
}

static void judge(berth_socket *socket, void *user)
{
    client *self = user;
    char text[64];
    if (!berth_socket_can_read_line(socket))
        return;
    berth_socket_read_line(socket, text, sizeof(text));
    bool is_new = strcmp(text, "welcome back\n") == 0;
    self->answers[self->terminates ? 2 : is_new]++;
    if (self->terminates) {
        berth_socket_disconnect_from_host(socket);
        return;
    }
    if (!self->reloads)
        kill(getpid(), SIGHUP);
    self->reloads = true;
    self->terminates = is_new;
    if (is_new)
        kill(getpid(), SIGTERM);
    ask(socket, user);
}

int main(void)
{
    static const berth_server_handlers handlers = {.new_connection = welcome};
    static const berth_socket_handlers client_handlers = {.connected = ask, .ready_read = judge};
    service all = {.greeting = "welcome\n"};
    client guest = {0};
    all.server = berth_server_new(NULL, &handlers, &all);
    all.terminate = berth_signal_new(NULL, SIGTERM, shut_down, &all);
    all.reload = berth_signal_new(NULL, SIGHUP, begin_reload, &all);
    all.deadline = berth_timer_new(NULL, give_up, &all);
    if (all.terminate == NULL || all.reload == NULL) {
        perror("cannot handle signals");
        return 1;
    }
    if (!berth_server_listen(all.server, BERTH_ADDRESS_LOOPBACK, 0)) {
        fprintf(stderr, "%s\n", berth_server_error_string(all.server));
        return 1;
    }
    berth_socket *socket = berth_socket_new(NULL, &client_handlers, &guest);
    berth_socket_connect_to_address(socket, BERTH_ADDRESS_LOOPBACK, berth_server_port(all.server));
    int result = berth_loop_run(NULL);
    printf("answers: %u before, %u new, %u while shutting down\n", guest.answers[0],
           guest.answers[1], guest.answers[2]);
    if (all.command != NULL)
        pclose(all.command);
    berth_loop_free(berth_loop_current());
    return result != 0 || guest.answers[0] == 0 || guest.answers[1] != 1 || guest.answers[2] != 1;
}
