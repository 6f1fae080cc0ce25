/*
 * Berth inside another event loop. The program has its own loop, here a plain poll() with a
 * pipe, and watches Berth's descriptor there. In that loop a server and a client exchange a line, a
 * timer of Berth expires, and the pipe is read. The exit status is 0 if all three have happened.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <berth/berth.h>

#define PATIENCE 5000 /* milliseconds */

typedef struct news {
    bool line;
    bool timer;
    bool pipe;
} news;

/* ---- on Berth's side ------------------------------------------------------------------------- */

static void greet(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.disconnected = berth_socket_free_in_handler};
    berth_socket *socket = berth_server_next_pending_connection(server);
    if (!socket)
        return;
    berth_socket_set_handlers(socket, &handlers, user);
    berth_socket_write(socket, "hello\n", 6);
    berth_socket_disconnect_from_host(socket);
}

static void read_line(berth_socket *socket, void *user)
{
    news *all = user;
    char line[16];
    if (berth_socket_can_read_line(socket) && berth_socket_read_line(socket, line, sizeof(line)))
        all->line = strcmp(line, "hello\n") == 0;
}

static void expire(berth_timer *timer, void *user)
{
    (void)timer;
    news *all = user;
    all->timer = true;
}

/* ---- the other loop -------------------------------------------------------------------------- */

static void read_pipe(int end, news *all)
{
    char letter;
    all->pipe = read(end, &letter, 1) == 1 && letter == 'x';
}

/* A turn of Berth comes before each poll(): it also starts operations from outside of a turn. */
static void run(berth_loop *loop, int pipe_end, news *all)
{
    struct pollfd watched[] = {{.fd = berth_loop_descriptor(loop), .events = POLLIN},
                               {.fd = pipe_end, .events = POLLIN}};
    for (;;) {
        berth_loop_turn(loop, 0);
        if (all->line && all->timer && all->pipe)
            return;
        int timeout = berth_loop_timeout(loop);
        if (poll(watched, 2, timeout < 0 ? PATIENCE : timeout) == 0 && timeout < 0)
            return; /* timed out */
        if (watched[1].revents)
            read_pipe(pipe_end, all);
    }
}

int main(void)
{
    static const berth_server_handlers serving = {.new_connection = greet};
    static const berth_socket_handlers reading = {.ready_read = read_line};
    news all = {0};
    int ends[2];
    berth_loop *loop = berth_loop_new(NULL);
    berth_server *server = berth_server_new(loop, &serving, NULL);
    berth_socket *client = berth_socket_new(loop, &reading, &all);
    berth_timer *timer = berth_timer_new(loop, expire, &all);
    if (!loop || !server || !client || !timer) {
        fprintf(stderr, "cannot make a server, a client and a timer: %s\n",
                berth_server_error_string(NULL));
        return 1;
    }
    if (!berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0)) {
        fprintf(stderr, "%s\n", berth_server_error_string(server));
        return 1;
    }
    berth_socket_connect_to_address(client, BERTH_ADDRESS_LOOPBACK, berth_server_port(server));
    berth_timer_start(timer, 20, 0);
    if (pipe(ends) != 0 || write(ends[1], "x", 1) != 1) {
        perror("cannot use a pipe");
        return 1;
    }

    run(loop, ends[0], &all);
    printf("line %d, timer %d, pipe %d\n", all.line, all.timer, all.pipe);
    berth_loop_free(loop);
    close(ends[0]);
    close(ends[1]);
    return all.line && all.timer && all.pipe ? 0 : 1;
}
