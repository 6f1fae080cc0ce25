/*
 * The floor of a relay: what passing bytes on costs on epoll with nothing in between. Level
 * triggered, one thread, one 64 KiB buffer for all connections, and a table of them indexed by
 * descriptor.
 *
 * The normal course: epoll_wait says readable, one recv, one send to the other side, back to
 * epoll_wait. When a send takes only part, the rest is copied aside, the other side waits for
 * EPOLLOUT, and this side is not read until it has left. The end of a side's stream shuts the other
 * side's output down; both are closed when both have ended.
 *
 *   bench_raw_relay --port N --target-port N
 *
 * Failures: an error on one side closes both. The target is reached by a blocking connect, since it
 * is on this machine; one that cannot be reached closes the connection. The ready line and the end
 * are those of common.h.
 */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS = 512,
    ACCEPTS = 64
};

struct side {
    int other;
    bool open, ended, held; /* held: not read, since the other side has a rest */
    char *rest;             /* to be sent to this side */
    size_t rest_at, rest_size;
};

static struct side sides[SERVER_MAX_FD];
static char buffer[SERVER_BLOCK];
static struct sockaddr_in target;
static int poller;

static void watch(int operation, int fd)
{
    const struct side *side = &sides[fd];
    struct epoll_event event = {.data = {.fd = fd}};
    if (!side->ended && !side->held)
        event.events |= EPOLLIN;
    if (side->rest)
        event.events |= EPOLLOUT;
    if (epoll_ctl(poller, operation, fd, &event) < 0)
        server_fail("cannot watch a connection", errno);
}

static void drop(int fd)
{
    int both[2] = {fd, sides[fd].other};
    for (int i = 0; i < 2; i++) {
        free(sides[both[i]].rest);
        sides[both[i]] = (struct side){0};
        close(both[i]);
    }
}

static void readable(int fd)
{
    struct side *side = &sides[fd], *other = &sides[side->other];
    ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got == 0 && !other->ended) {
        side->ended = true;
        watch(EPOLL_CTL_MOD, fd);
        (void)shutdown(side->other, SHUT_WR);
        return;
    }
    ssize_t sent = got > 0 ? send(side->other, buffer, (size_t)got, MSG_NOSIGNAL) : -1;
    if (got <= 0 || (sent < 0 && errno != EAGAIN)) {
        drop(fd);
        return;
    }
    size_t done = sent < 0 ? 0 : (size_t)sent;
    if (done == (size_t)got)
        return;
    other->rest = malloc((size_t)got - done);
    if (!other->rest)
        server_fail("cannot keep unsent bytes", ENOMEM);
    memcpy(other->rest, buffer + done, (size_t)got - done);
    other->rest_at = 0;
    other->rest_size = (size_t)got - done;
    side->held = true;
    watch(EPOLL_CTL_MOD, fd);
    watch(EPOLL_CTL_MOD, side->other);
}

static void writable(int fd)
{
    struct side *side = &sides[fd];
    ssize_t sent =
        send(fd, side->rest + side->rest_at, side->rest_size - side->rest_at, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN)
        return;
    if (sent < 0) {
        drop(fd);
        return;
    }
    side->rest_at += (size_t)sent;
    if (side->rest_at < side->rest_size)
        return;
    free(side->rest);
    side->rest = NULL;
    sides[side->other].held = false;
    watch(EPOLL_CTL_MOD, fd);
    watch(EPOLL_CTL_MOD, side->other);
}

static void accept_batch(int listener)
{
    int on = 1;
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (other < 0 || other >= SERVER_MAX_FD || fd >= SERVER_MAX_FD)
            server_fail("cannot accept", other < 0 ? errno : EMFILE);
        if (connect(other, (const struct sockaddr *)&target, sizeof(target)) < 0 ||
            fcntl(other, F_SETFL, O_NONBLOCK) < 0 ||
            setsockopt(other, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0) {
            close(fd);
            close(other);
            continue;
        }
        sides[fd] = (struct side){.other = other, .open = true};
        sides[other] = (struct side){.other = fd, .open = true};
        watch(EPOLL_CTL_ADD, fd);
        watch(EPOLL_CTL_ADD, other);
    }
}

static void handle(int fd, uint32_t events)
{
    if (sides[fd].open && events & EPOLLOUT && sides[fd].rest)
        writable(fd);
    if (!sides[fd].open)
        return;
    if (events & EPOLLERR || (events & EPOLLHUP && !(events & EPOLLIN)))
        drop(fd);
    else if (events & EPOLLIN)
        readable(fd);
}

int main(int argc, char **argv)
{
    struct server_options options = {0};
    struct epoll_event listening = {.events = EPOLLIN};
    if (argc != 5 || strcmp(argv[1], "--port") != 0 || strcmp(argv[3], "--target-port") != 0) {
        fprintf(stderr, "usage: bench_raw_relay --port N --target-port N\n");
        return 2;
    }
    options.port = (unsigned)strtoul(argv[2], NULL, 10);
    target.sin_family = AF_INET;
    target.sin_port = htons((uint16_t)strtoul(argv[4], NULL, 10));
    target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = server_listen(&options, true);
    poller = epoll_create1(EPOLL_CLOEXEC);
    listening.data.fd = listener;
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &listening) < 0)
        server_fail("cannot open epoll", errno);
    server_ready(server_port_of(listener));
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                accept_batch(listener);
            else
                handle(events[i].data.fd, events[i].events);
        }
    }
}
