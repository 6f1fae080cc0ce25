/*
 * A program that was ported from Qt: a chat room, where every line that a guest sends goes to all
 * others. Each guest has its own data. A Qt program would keep it in an object for each socket, or
 * in a hash by socket; here it is a struct, passed as the user pointer.
 *
 * Two guests in the same loop talk to each other. The exit status is 0 if each has received the
 * other's line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <berth/berth.h>

/* ---- the room: in Qt a class with a QTcpServer ----------------------------------------------- */

typedef struct guest {
    struct room *room;
    struct guest *next;
    berth_socket *socket;
    unsigned number;
} guest;

typedef struct room {
    berth_server *server;
    guest *guests;
    unsigned numbers;
} room;

static void tell_others(const guest *speaker, const char *line)
{
    char text[160];
    int length = snprintf(text, sizeof(text), "%u: %s", speaker->number, line);
    for (guest *each = speaker->room->guests; each; each = each->next)
        if (each != speaker)
            berth_socket_write(each->socket, text, (size_t)length);
}

/* In Qt the slot connected to readyRead. */
static void hear(berth_socket *socket, void *user)
{
    char line[128];
    while (berth_socket_can_read_line(socket)) {
        berth_socket_read_line(socket, line, sizeof(line));
        tell_others(user, line);
    }
}

/* In Qt the slot connected to disconnected, with its deleteLater. */
static void let_out(berth_socket *socket, void *user)
{
    guest *leaving = user;
    guest **link = &leaving->room->guests;
    while (*link != leaving)
        link = &(*link)->next;
    *link = leaving->next;
    free(leaving);
    berth_socket_free(socket);
}

/* In Qt the slot connected to newConnection. */
static void let_in(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.ready_read = hear, .disconnected = let_out};
    room *self = user;
    berth_socket *socket = berth_server_next_pending_connection(server);
    guest *entering = socket ? calloc(1, sizeof(*entering)) : NULL;
    if (!entering) {
        berth_socket_free(socket);
        return;
    }
    *entering =
        (guest){.room = self, .next = self->guests, .socket = socket, .number = ++self->numbers};
    self->guests = entering;
    berth_socket_set_handlers(socket, &handlers, entering);
}

/* ---- two guests ------------------------------------------------------------------------------ */

static bool heard[2]; /* whether each has received a line */

static void speak(berth_socket *socket, void *user)
{
    (void)user;
    berth_socket_write(socket, "Ahoy!\n", 6);
}

/* The first guest receives the second one's line, and answers. */
static void listen_to(berth_socket *socket, void *user)
{
    bool *mine = user;
    char line[160];
    if (!berth_socket_can_read_line(socket))
        return;
    berth_socket_read_line(socket, line, sizeof(line));
    printf("guest %s", line);
    if (!*mine && strstr(line, ": Ahoy!\n"))
        speak(socket, user);
    *mine = true;
    if (heard[0] && heard[1])
        berth_loop_stop(NULL, 0);
}

int main(void)
{
    static const berth_server_handlers serving = {.new_connection = let_in};
    static const berth_socket_handlers talking = {.connected = speak, .ready_read = listen_to};
    room harbour = {0};
    harbour.server = berth_server_new(NULL, &serving, &harbour);
    if (!harbour.server || !berth_server_listen(harbour.server, BERTH_ADDRESS_LOOPBACK, 0)) {
        fprintf(stderr, "%s\n", berth_server_error_string(harbour.server));
        return 1;
    }
    uint16_t port = berth_server_port(harbour.server);
    berth_socket *guests[2];
    for (int i = 0; i < 2; i++) {
        guests[i] = berth_socket_new(NULL, &talking, &heard[i]);
        if (!guests[i] ||
            !berth_socket_connect_to_address(guests[i], BERTH_ADDRESS_LOOPBACK, port)) {
            fprintf(stderr, "%s\n", berth_socket_error_string(guests[i]));
            return 1;
        }
    }
    berth_loop_run(NULL);
    for (int i = 0; i < 2; i++)
        berth_socket_free(guests[i]);
    berth_server_free(harbour.server); /* calls the guests' handlers, which free them */
    return heard[0] && heard[1] && !harbour.guests ? 0 : 1;
}
