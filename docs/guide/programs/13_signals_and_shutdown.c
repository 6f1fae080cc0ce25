/*
 * A server that is told what to do by signals: SIGHUP has it read its settings again, SIGTERM has
 * it drain, and a second SIGTERM ends it at once. The settings are what a command prints; a watch
 * reads them from the command's pipe while connections are served.
 *
 * The program is its own operator and its own client. It asks for the greeting until that is the
 * new one, sends itself SIGTERM, and asks once more when it has been told goodbye. The exit status
 * is 0 if all answers were right and no end was forced.
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
    char greeting[64];
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

/* The server drains. This protocol has a word for that; the client ends the connection. */
static void say_goodbye(berth_socket *socket, void *user)
{
    (void)user;
    berth_socket_write(socket, "goodbye\n", 8);
}

static void welcome(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.ready_read = answer,
                                                   .disconnected = berth_socket_free_in_handler,
                                                   .draining = say_goodbye};
    berth_socket *socket;
    while ((socket = berth_server_next_pending_connection(server)) != NULL)
        berth_socket_set_handlers(socket, &handlers, user);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void emptied(berth_server *server, bool forced, void *user)
{
    (void)server;
    (void)user;
    printf("the last connection has ended%s\n", forced ? ", by force" : "");
    berth_loop_stop(NULL, forced);
}

static void shut_down(berth_signal *signal, void *user)
{
    static const berth_drain plan = {.deadline = DEADLINE};
    service *all = user;
    printf("signal %d\n", berth_signal_number(signal));
    if (berth_server_drain_state(all->server) == BERTH_DRAIN_NONE)
        berth_server_drain(all->server, &plan);
    else
        berth_loop_stop(NULL, 1); /* the operator does not want to wait */
}

/* ---- a client, who is the operator too ------------------------------------------------------- */

typedef struct client {
    unsigned old_answers;
    unsigned new_answers;
    bool leaves; /* it was told goodbye */
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
    while (berth_socket_can_read_line(socket)) {
        berth_socket_read_line(socket, text, sizeof(text));
        if (strcmp(text, "goodbye\n") == 0) {
            self->leaves = true;
            ask(socket, user); /* which is still answered */
        } else if (strcmp(text, "welcome back\n") != 0) {
            if (self->old_answers++ == 0)
                kill(getpid(), SIGHUP);
            ask(socket, user);
        } else {
            self->new_answers++;
            if (self->leaves)
                berth_socket_disconnect_from_host(socket);
            else
                kill(getpid(), SIGTERM);
        }
    }
}

int main(void)
{
    static const berth_server_handlers handlers = {.new_connection = welcome, .emptied = emptied};
    static const berth_socket_handlers client_handlers = {.connected = ask, .ready_read = judge};
    service all = {.greeting = "welcome\n"};
    client guest = {0};
    all.server = berth_server_new(NULL, &handlers, &all);
    all.terminate = berth_signal_new(NULL, SIGTERM, shut_down, &all);
    all.reload = berth_signal_new(NULL, SIGHUP, begin_reload, &all);
    if (all.server == NULL || all.terminate == NULL || all.reload == NULL) {
        fprintf(stderr, "cannot make a server and its signals: %s\n",
                berth_server_error_string(NULL));
        return 1;
    }
    if (!berth_server_listen(all.server, BERTH_ADDRESS_LOOPBACK, 0)) {
        fprintf(stderr, "%s\n", berth_server_error_string(all.server));
        return 1;
    }
    berth_socket *socket = berth_socket_new(NULL, &client_handlers, &guest);
    berth_socket_connect_to_address(socket, BERTH_ADDRESS_LOOPBACK, berth_server_port(all.server));
    int result = berth_loop_run(NULL);
    printf("answers: %u before, %u afterwards\n", guest.old_answers, guest.new_answers);
    if (all.command != NULL)
        pclose(all.command);
    berth_loop_free(berth_loop_current());
    return result != 0 || guest.old_answers == 0 || guest.new_answers != 2 || !guest.leaves;
}
