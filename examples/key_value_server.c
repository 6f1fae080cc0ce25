/*
 * A server of keys and values in memory that speaks the protocol of Redis (RESP2): GET, SET, DEL,
 * INCR, MGET, EXISTS, EXPIRE, TTL, PING, ECHO, INFO and COMMAND, pipelined or one at a time, as
 * arrays or as lines of words.
 *
 * The normal course: ready_read calls serve, which runs the commands in place, in the input.
 * Only an incomplete command is copied, to `held`, where the rest is appended. Replies are gathered
 * in `out` and written together. When HIGH bytes of output wait, no command is run and reading is
 * paused until `drained`: a client that does not read its replies costs bounded memory.
 *
 * Ways to fail, each with one line on standard error and exit status 2: a wrong option, no memory
 * for the table, a loop that cannot be made, an address or port that cannot be listened on.
 * Malformed input is answered with an error, and the connection ends. When keys, values and
 * incomplete commands take --memory, SET is answered with an error, and a client whose incomplete
 * command does not fit is disconnected. --idle also ends one that never completes its command, or
 * does not read its replies.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <berth/berth.h>

#include "key_value.h"
#include "main_loop.h"
#include "options.h"

#define PROGRAM "key_value_server"
#define LOW (256 * 1024u)        /* bytes of output at which reading continues */
#define HIGH (1024 * 1024u)      /* and at which it pauses */
#define MOST_OUTPUT (256u << 20) /* bytes of output, MGET of long values included */
#define EXPIRE_PERIOD 100        /* milliseconds */
#define EXPIRE_BUCKETS 2000      /* looked at in each */

/* ---- clients --------------------------------------------------------------------------------- */

static bool full(const client *self)
{
    return berth_socket_bytes_to_write(self->socket) + self->service->gathered >= HIGH;
}

/* Runs the complete commands at the front of the data; returns their size. */
static size_t run(client *self, const char *data, size_t size)
{
    size_t used = 0;
    while (used < size && !self->ending && !self->broken && !full(self)) {
        resp_result result = resp_parse(&self->parser, data + used, size - used);
        if (result == RESP_MORE)
            break;
        if (result == RESP_WRONG) {
            client_replyf(self, "-ERR Protocol error: %s\r\n", self->parser.wrong);
            self->ending = true;
            break;
        }
        size_t end = used + self->parser.at;
        client_execute(self, data + used);
        resp_next(&self->parser);
        used = end;
    }
    return used;
}

/* Moves bytes from the input to `held`. */
static void hold(client *self, size_t size)
{
    service *all = self->service;
    size_t room = self->held_room > 0 ? self->held_room : 1024;
    while (room < self->held_size + size)
        room *= 2;
    if (room > self->held_room) {
        char *held = client_afford(self, room - self->held_room) ? realloc(self->held, room) : NULL;
        self->ending |= !held;
        if (!held)
            return;
        all->held += room - self->held_room;
        self->held = held;
        self->held_room = room;
    }
    berth_socket_read(self->socket, self->held + self->held_size, size);
    self->held_size += size;
}

static void run_held(client *self)
{
    size_t used = run(self, self->held, self->held_size);
    self->held_size -= used;
    memmove(self->held, self->held + used, self->held_size);
    if (self->held_size > 0 && !self->ending)
        return;
    self->service->held -= self->held_room;
    free(self->held);
    self->held = NULL;
    self->held_size = self->held_room = 0;
}

static void serve(berth_socket *socket, void *user)
{
    client *self = user;
    size_t size = 0;
    const char *data = NULL;
    self->service->now = berth_loop_now(self->service->loop);
    if (self->held)
        run_held(self);
    while (!self->ending && !self->broken && !full(self) &&
           (data = berth_socket_view(socket, &size))) {
        size_t used = self->held ? 0 : run(self, data, size);
        berth_socket_skip(socket, used);
        if (used == size || self->ending || full(self))
            continue;
        hold(self, size - used);
        if (self->held)
            run_held(self);
    }
    client_write_gathered(self);
    bool waits = !self->ending && full(self);
    if (waits)
        berth_socket_pause_reading(socket);
    else
        berth_socket_resume_reading(socket);
    if (self->broken)
        berth_socket_reset(socket); /* and frees the client */
    else if (self->ending || (self->finished && !waits))
        berth_socket_close(socket); /* after the replies; this may free the client too */
}

static void finish(berth_socket *socket, void *user)
{
    client *self = user;
    self->finished = true;
    if (berth_socket_state(socket) == BERTH_STATE_CONNECTED)
        serve(socket, user);
}

static void end(berth_socket *socket, void *user)
{
    client *self = user;
    self->service->clients--;
    self->service->held -= self->held_room;
    resp_clear(&self->parser);
    free(self->held);
    free(self);
    berth_socket_free(socket);
}

static void take(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.ready_read = serve,
                                                   .drained = serve,
                                                   .read_channel_finished = finish,
                                                   .disconnected = end};
    service *all = user;
    berth_socket *socket = berth_server_next_pending_connection(server);
    client *self = socket ? calloc(1, sizeof(*self)) : NULL;
    if (!self) {
        berth_socket_free(socket);
        return;
    }
    *self = (client){.service = all, .socket = socket};
    all->clients++;
    berth_socket_set_handlers(socket, &handlers, self);
    berth_socket_set_half_close(socket, true);
    berth_socket_set_write_marks(socket, LOW, MOST_OUTPUT);
    serve(socket, self);
}

static void expire(berth_timer *timer, void *user)
{
    service *all = user;
    (void)timer;
    table_expire(&all->keys, EXPIRE_BUCKETS, berth_loop_now(all->loop));
}

/* ---- the command line ------------------------------------------------------------------------ */

static _Noreturn void help(void)
{
    puts("usage: " PROGRAM " [--address ADDRESS] [--port PORT] [--memory MIB]\n"
         "       [--idle SECONDS]\n"
         "Keeps keys and values in memory, for clients of Redis.\n"
         "\n"
         "  --address ADDRESS  listen on this IPv4 or IPv6 address (default: 127.0.0.1)\n"
         "  --port PORT        listen on this port, 0 to 65535 (default: 0, a free one)\n"
         "  --memory MIB       for keys, values and unfinished commands (default: 1024)\n"
         "  --idle SECONDS     disconnect clients that are idle this long (default: 0, never)\n"
         "  --help             print this and exit\n"
         "\n"
         "BERTH_BACKEND=epoll or io_uring in the environment forces that backend.\n"
         "SIGINT and SIGTERM end the server.");
    exit(0);
}

static void parse(int argc, char **argv, service *all)
{
    static const struct option known[] = {
        {"address", required_argument, NULL, 'a'}, {"port", required_argument, NULL, 'p'},
        {"memory", required_argument, NULL, 'm'},  {"idle", required_argument, NULL, 'i'},
        {"help", no_argument, NULL, 'h'},          {0}};
    int option;
    opterr = 0; /* the message is ours */
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 'a')
            all->address = address_from(PROGRAM, optarg);
        else if (option == 'p')
            all->port = (uint16_t)number_from(PROGRAM, "the port", optarg, 0, 65535);
        else if (option == 'm')
            all->most_memory = (size_t)number_from(PROGRAM, "the memory", optarg, 1, 1 << 20) << 20;
        else if (option == 'i')
            all->limits.idle =
                1000 * (uint32_t)number_from(PROGRAM, "the idle time", optarg, 0, 86400);
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
    static service all = {.most_memory = (size_t)1 << 30};
    all.address = BERTH_ADDRESS_LOOPBACK;
    parse(argc, argv, &all);
    if (!table_open(&all.keys))
        fail(PROGRAM, "cannot make a table: %s", strerror(errno));
    all.loop = main_loop_open(PROGRAM);
    all.expiry = berth_timer_new(all.loop, expire, &all);
    berth_server *server = berth_server_new(all.loop, &handlers, &all);
    if (!all.expiry || !server)
        fail(PROGRAM, "cannot make a server: %s", strerror(errno));
    berth_timer_start(all.expiry, EXPIRE_PERIOD, EXPIRE_PERIOD);
    berth_server_set_connection_limits(server, &all.limits);
    main_loop_listen(PROGRAM, "key-value server", server, all.address, all.port);
    main_loop_run(PROGRAM);
    main_loop_close(server);
    printf("ran %lu commands\n", all.commands);
    table_close(&all.keys);
    return 0;
}
