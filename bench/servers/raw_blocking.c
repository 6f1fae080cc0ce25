/*
 * The floor of the cells that raw epoll on one thread does not know: what they cost in system calls
 * and nothing else.
 *
 * Waiting: accept4, send, close, each of them blocking, for one connection after the other.
 *
 * Handing over: the first thread accepts, blocking, and writes the descriptor's number into a pipe.
 * The second waits in epoll, level triggered, for the pipe and for its connections; it takes up to
 * 64 numbers with one read. A connection to be echoed is then watched, one to be greeted is sent
 * its line and closed at once.
 *
 * Failures: an error or the end of stream closes that connection, and so does a send that takes
 * only part, since messages of the benchmark always fit. What fails on the listening socket or the
 * pipe ends the server.
 */
#include "common.h"

#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS = 512,
    NUMBERS = 64
};

static enum server_cell cell;
static int poller;
static int passage[2]; /* the pipe */

static int accept_one(int listener)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            return fd;
        if (errno != ECONNABORTED && errno != EINTR)
            server_fail("cannot accept", errno);
    }
}

static void greet(int fd)
{
    (void)send(fd, server_greeting, SERVER_GREETING, MSG_NOSIGNAL);
    close(fd);
}

static void watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0)
        server_fail("cannot watch a descriptor", errno);
}

static void take_over(void)
{
    int numbers[NUMBERS];
    ssize_t got = read(passage[0], numbers, sizeof(numbers));
    if (got <= 0)
        server_fail("cannot read from the pipe", errno);
    for (size_t i = 0; i < (size_t)got / sizeof(int); i++) {
        if (cell == CELL_HANDOVER_GREET)
            greet(numbers[i]);
        else
            watch(numbers[i]);
    }
}

static void echo(int fd)
{
    static char buffer[SERVER_BLOCK];
    ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
    if (got <= 0 || send(fd, buffer, (size_t)got, MSG_NOSIGNAL) != got)
        close(fd);
}

static void *serve(void *unused)
{
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == passage[0])
                take_over();
            else
                echo(events[i].data.fd);
        }
    }
    return unused;
}

static void hand_over(int listener)
{
    pthread_t thread;
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0)
        server_fail("cannot open epoll", errno);
    if (pipe(passage) < 0)
        server_fail("cannot open a pipe", errno);
    watch(passage[0]);
    int error = pthread_create(&thread, NULL, serve, NULL);
    if (error != 0)
        server_fail("cannot start a thread", error);
    for (;;) {
        int fd = accept_one(listener);
        if (write(passage[1], &fd, sizeof(fd)) != sizeof(fd)) /* small writes are whole */
            server_fail("cannot write to the pipe", errno);
    }
}

int main(int argc, char **argv)
{
    struct server_options options;
    server_parse(argc, argv, SERVES_OTHERWISE, &options);
    cell = options.cell;
    int listener = server_listen(&options, false);
    server_ready(server_port_of(listener));
    if (cell != CELL_WAIT)
        hand_over(listener);
    for (;;)
        greet(accept_one(listener));
}
