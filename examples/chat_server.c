/*
 * A chat: each line that a guest writes is sent to all.
 *
 * The normal course: take makes a guest; read_lines reads the lines that have arrived, puts
 * the guest's name before each, and writes them in one block to every guest, the writer included.
 * "/name NAME" takes a free name, "/quit" ends the connection; telnet or nc is enough as a client.
 *
 * Nobody waits for a slow guest. Its unsent output is kept, up to --most-output bytes; beyond that
 * the library ends its connection, and the others see that it has left. To protect guests who do
 * read from a flood, each has a berth_rate: one that writes more than --rate bytes a second is read
 * more slowly. Control characters are removed, since lines are shown on terminals.
 *
 * Ways to fail, each with one line on standard error and exit status 2: a wrong option, a loop that
 * cannot be made, an address or port that cannot be listened on.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <berth/berth.h>

#include "main_loop.h"
#include "options.h"

#define PROGRAM "chat_server"
#define MOST_LINE 1000           /* bytes; a longer one is cut into several */
#define MOST_NAME 24             /* bytes of a name, terminator included */
#define INPUT 8192               /* bytes of a guest that are read at once */
#define SEND_BUFFER (128 * 1024) /* bytes that the kernel keeps for a guest */
#define MOST_ROOM (2 * INPUT)    /* bytes of a block of lines */

typedef struct chat {
    berth_address address; /* to listen on */
    uint16_t port;
    uint64_t rate;                  /* bytes a second of a guest */
    berth_connection_limits limits; /* of a guest */
    bool log;
    berth_loop *loop;
    berth_server *server;
    struct guest *guests; /* all */
    unsigned long count;  /* guests so far */
    unsigned long slow;   /* guests that were too slow */
    size_t size;
    char block[MOST_ROOM]; /* lines to be sent */
} chat;

typedef struct guest {
    chat *chat;
    berth_socket *socket;
    struct guest *next;
    struct guest **link;
    char name[MOST_NAME];
} guest;

/* ---- sending --------------------------------------------------------------------------------- */

/* Writes the block to all. If a guest is too slow the write fails, and the library ends its
 * connection after this handler has returned, so the list does not change here. */
static void send_block(chat *self)
{
    for (guest *each = self->guests; each && self->size > 0; each = each->next)
        berth_socket_write(each->socket, self->block, self->size);
    self->size = 0;
}

/* Adds a line to the block. */
static void __attribute__((format(printf, 2, 3))) say(chat *self, const char *format, ...)
{
    va_list arguments;
    if (sizeof(self->block) - self->size < MOST_LINE + 2 * MOST_NAME + 16)
        send_block(self);
    va_start(arguments, format);
    self->size += (size_t)vsnprintf(self->block + self->size, sizeof(self->block) - self->size,
                                    format, arguments);
    va_end(arguments);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Removes control characters, the end of the line included. */
static void clean(char *line)
{
    char *to = line;
    for (const char *from = line; *from; from++)
        if ((unsigned char)*from >= ' ' && *from != 127)
            *to++ = *from;
    *to = '\0';
}

/* Whether a guest who takes the name could be mistaken for another one, present or yet to come. */
static bool is_of_another(const guest *self, const char *name, size_t length)
{
    if (length >= 6 && strncmp(name, "guest-", 6) == 0)
        return true;
    for (const guest *each = self->chat->guests; each; each = each->next)
        if (each != self && strlen(each->name) == length && memcmp(each->name, name, length) == 0)
            return true;
    return false;
}

static void rename_guest(guest *self, const char *name)
{
    char before[MOST_NAME];
    size_t length = strcspn(name, " <>*");
    if (length == 0 || length >= MOST_NAME || is_of_another(self, name, length))
        return;
    memcpy(before, self->name, sizeof(before));
    snprintf(self->name, sizeof(self->name), "%.*s", (int)length, name);
    say(self->chat, "* %s is now %s\n", before, self->name);
}

/* Returns false when the guest wants to leave. */
static bool handle_line(guest *self, char *line)
{
    clean(line);
    if (strcmp(line, "/quit") == 0)
        return false;
    if (strncmp(line, "/name ", 6) == 0)
        rename_guest(self, line + 6);
    else if (line[0] != '\0')
        say(self->chat, "<%s> %s\n", self->name, line);
    return true;
}

static void read_lines(berth_socket *socket, void *user)
{
    guest *self = user;
    char line[MOST_LINE + 1];
    bool stays = true;
    while (stays && (berth_socket_can_read_line(socket) ||
                     berth_socket_bytes_available(socket) >= MOST_LINE)) {
        berth_socket_read_line(socket, line, sizeof(line));
        stays = handle_line(self, line);
    }
    send_block(self->chat);
    if (!stays)
        berth_socket_close(socket); /* which may free the guest */
}

/* ---- guests ---------------------------------------------------------------------------------- */

static void failed(berth_socket *socket, berth_error error, void *user)
{
    guest *self = user;
    bool slow = error == BERTH_ERROR_SOCKET_RESOURCE;
    self->chat->slow += slow;
    if (self->chat->log && error != BERTH_ERROR_REMOTE_HOST_CLOSED)
        printf("%s%s: %s\n", self->name, slow ? " was dropped" : "",
               berth_socket_error_string(socket));
}

static void leave(berth_socket *socket, void *user)
{
    guest *self = user;
    chat *all = self->chat;
    *self->link = self->next;
    if (self->next)
        self->next->link = self->link;
    if (berth_server_is_listening(all->server)) /* else all are leaving */
        say(all, "* %s has left\n", self->name);
    send_block(all);
    free(self);
    berth_rate_free(berth_socket_read_rate(socket));
    berth_socket_free(socket);
}

static void take(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {
        .ready_read = read_lines, .error_occurred = failed, .disconnected = leave};
    chat *all = user;
    berth_socket *socket = berth_server_next_pending_connection(server);
    guest *self = socket ? calloc(1, sizeof(*self)) : NULL;
    berth_rate *rate = self ? berth_rate_new(all->loop, all->rate, all->rate) : NULL;
    if (!rate || !berth_socket_set_read_rate(socket, rate)) {
        berth_rate_free(rate);
        free(self);
        berth_socket_free(socket);
        return;
    }
    *self = (guest){.chat = all, .socket = socket, .next = all->guests, .link = &all->guests};
    if (self->next)
        self->next->link = &self->next;
    all->guests = self;
    snprintf(self->name, sizeof(self->name), "guest-%lu", ++all->count);
    berth_socket_set_handlers(socket, &handlers, self);
    berth_socket_set_read_buffer_size(socket, INPUT);
    berth_socket_set_option(socket, BERTH_OPTION_SEND_BUFFER_SIZE, SEND_BUFFER);
    berth_socket_set_option(socket, BERTH_OPTION_LOW_DELAY, 1);
    say(all, "* %s has joined\n", self->name);
    read_lines(socket, self);
}

/* ---- the command line ------------------------------------------------------------------------ */

static _Noreturn void help(void)
{
    puts("usage: " PROGRAM " [--address ADDRESS] [--port PORT] [--most-output BYTES]\n"
         "       [--rate BYTES] [--log]\n"
         "Sends each line that a guest writes to all guests.\n"
         "\n"
         "  --address ADDRESS    listen on this IPv4 or IPv6 address (default: any of both)\n"
         "  --port PORT          listen on this port, 0 to 65535 (default: 0, a free one)\n"
         "  --most-output BYTES  drop a guest that leaves more unread (default: 1048576)\n"
         "  --rate BYTES         that a guest may write in a second (default: 32768; 0: any)\n"
         "  --log                print a line for each guest that is dropped\n"
         "  --help               print this and exit\n"
         "\n"
         "BERTH_BACKEND=epoll or io_uring in the environment forces that backend.\n"
         "SIGINT and SIGTERM end the server.");
    exit(0);
}

static void parse(int argc, char **argv, chat *self)
{
    static const struct option known[] = {{"address", required_argument, NULL, 'a'},
                                          {"port", required_argument, NULL, 'p'},
                                          {"most-output", required_argument, NULL, 'o'},
                                          {"rate", required_argument, NULL, 'r'},
                                          {"log", no_argument, NULL, 'l'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    int option;
    opterr = 0; /* the message is ours */
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 'a')
            self->address = address_from(PROGRAM, optarg);
        else if (option == 'p')
            self->port = (uint16_t)number_from(PROGRAM, "the port", optarg, 0, 65535);
        else if (option == 'o')
            self->limits.output =
                (size_t)number_from(PROGRAM, "the output", optarg, MOST_ROOM, 1 << 30);
        else if (option == 'r')
            self->rate = (uint64_t)number_from(PROGRAM, "the rate", optarg, 0, 1 << 30);
        else if (option == 'l')
            self->log = true;
        else if (option == 'h')
            help();
        else
            fail(PROGRAM, "'%s' is no option or lacks its value; try --help", argv[optind - 1]);
    }
    if (optind < argc)
        fail(PROGRAM, "'%s' is one argument too many; try --help", argv[optind]);
}

int main(int argc, char **argv)
{
    static const berth_server_handlers handlers = {.new_connection = take,
                                                   .accept_error = main_loop_report};
    static chat self = {.rate = 32768, .limits.output = 1 << 20};
    self.address = BERTH_ADDRESS_ANY;
    parse(argc, argv, &self);
    setvbuf(stdout, NULL, _IOLBF, 0);
    self.loop = main_loop_open(PROGRAM);
    self.server = berth_server_new(self.loop, &handlers, &self);
    if (!self.server)
        fail(PROGRAM, "cannot make a server: %s", strerror(errno));
    berth_server_set_connection_limits(self.server, &self.limits);
    main_loop_listen(PROGRAM, "chat server", self.server, self.address, self.port);
    main_loop_run(PROGRAM);
    main_loop_close(self.server);
    printf("%lu guests have come, %lu were too slow\n", self.count, self.slow);
    return 0;
}
