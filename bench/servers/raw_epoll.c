/*
 * The readiness floor: what a TCP server costs on epoll with nothing in between. Level triggered,
 * one thread, one 64 KiB read buffer for all connections, accept4, and a table of connections
 * indexed by descriptor.
 *
 * The normal course of an echo: epoll_wait says readable, one recv, one send of the same bytes,
 * back to epoll_wait. A recv that did not fill the buffer is not repeated, since level triggering
 * reports what is left. A greeting is accept4, send, close: such a connection never meets epoll at
 * all.
 *
 * Back-pressure: when a send takes only part, the rest is copied aside, the connection waits for
 * EPOLLOUT alone, and reading goes on when the rest has left. This is the only allocation, and an
 * unhurried client never causes it.
 *
 * Failures: an error or the end of stream closes that connection; an accept that fails because the
 * client has gone is passed over; a full descriptor table ends the server, since no benchmark asks
 * for more than it holds.
 *
 * Every inner loop is bounded, so that no connection can starve the others.
 */
#include "common.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS = 512,
    ACCEPTS = 256,
    REPEATS = 16
};

struct rest {
    size_t offset, length;
    char bytes[];
};

static struct rest *rests[SERVER_MAX_FD]; /* by descriptor, what a send did not take */
static char buffer[SERVER_BLOCK];
static int poller;
static enum server_cell cell;

static void watch(int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.fd = fd}};
    if (epoll_ctl(poller, operation, fd, &event) < 0)
        server_fail("cannot watch a descriptor", errno);
}

static void drop(int fd)
{
    free(rests[fd]);
    rests[fd] = NULL;
    close(fd);
}

static void accept_batch(int listener)
{
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == ECONNABORTED || errno == EINTR))
            continue;
        if (fd < 0 && errno == EAGAIN)
            return;
        if (fd < 0 || fd >= SERVER_MAX_FD)
            server_fail("cannot accept", fd < 0 ? errno : EMFILE);
        if (cell == CELL_GREET) {
            (void)send(fd, server_greeting, SERVER_GREETING, MSG_NOSIGNAL);
            close(fd);
        } else {
            watch(EPOLL_CTL_ADD, fd, cell == CELL_SOURCE ? EPOLLOUT : EPOLLIN);
        }
    }
}

/* Keeps what a send left over, and waits for room instead of for data. */
static void keep(int fd, const char *bytes, size_t length)
{
    struct rest *rest = malloc(sizeof(*rest) + length);
    if (!rest)
        server_fail("cannot keep unsent bytes", ENOMEM);
    rest->offset = 0;
    rest->length = length;
    memcpy(rest->bytes, bytes, length);
    rests[fd] = rest;
    watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
}

static bool echo(int fd, size_t length)
{
    ssize_t sent = send(fd, buffer, length, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        return false;
    size_t done = sent < 0 ? 0 : (size_t)sent;
    if (done < length)
        keep(fd, buffer + done, length - done);
    return true;
}

static void readable(int fd)
{
    for (int i = 0; i < REPEATS; i++) {
        ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0 || (cell == CELL_ECHO && !echo(fd, (size_t)got))) {
            drop(fd);
            return;
        }
        if ((size_t)got < sizeof(buffer) || rests[fd])
            return;
    }
}

static void flush_rest(int fd)
{
    struct rest *rest = rests[fd];
    ssize_t sent = send(fd, rest->bytes + rest->offset, rest->length - rest->offset, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN)
        return;
    if (sent < 0) {
        drop(fd);
        return;
    }
    rest->offset += (size_t)sent;
    if (rest->offset < rest->length)
        return;
    free(rest);
    rests[fd] = NULL;
    watch(EPOLL_CTL_MOD, fd, EPOLLIN);
}

static void pour(int fd)
{
    for (int i = 0; i < REPEATS; i++) {
        ssize_t sent = send(fd, server_block, sizeof(server_block), MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            drop(fd);
        if (sent < (ssize_t)sizeof(server_block))
            return;
    }
}

int main(int argc, char **argv)
{
    struct server_options options;
    server_parse(argc, argv, SERVES_ON_ONE_THREAD, &options);
    cell = options.cell;
    int listener = server_listen(&options, true);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0)
        server_fail("cannot open epoll", errno);
    watch(EPOLL_CTL_ADD, listener, EPOLLIN);
    server_ready(server_port_of(listener));
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                accept_batch(listener);
            else if (rests[fd])
                flush_rest(fd);
            else if (cell == CELL_SOURCE)
                pour(fd);
            else
                readable(fd);
        }
    }
}
