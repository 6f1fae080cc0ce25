/*
 * The floor of TLS: an epoll server whose connections are SSL objects on their descriptors
 * (SSL_set_fd), with nothing in between. Level triggered, one thread, one buffer of 64 KiB for all
 * connections, accept4.
 *
 * The normal course of an echo: epoll_wait says readable, SSL_read until it wants more, SSL_write
 * of each record's bytes as they come. A greeting is SSL_write when the handshake is complete,
 * SSL_shutdown, close. With --read-ahead OpenSSL takes in what there is, instead of the head of a
 * record and then its rest.
 *
 * With --target-port it is the floor of a terminator: when the handshake is complete it connects to
 * that port, and passes on what comes from either side. The messages of a benchmark fit into any
 * socket's buffer; one that does not ends the connection.
 *
 * Back-pressure of an echo: what SSL_write did not take is kept aside, the connection waits for
 * EPOLLOUT alone, and reading goes on when it has left.
 *
 * Failures: an error or the end of stream closes that connection.
 */
#include "common.h"
#include "openssl_context.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

enum {
    EVENTS = 512,
    ACCEPTS = 256,
    REPEATS = 16
};

struct connection {
    SSL *ssl;
    int fd;
    int target;              /* what it is connected to; -1 */
    int length;              /* of what was not sent, */
    char *rest;              /* and that; NULL */
    struct connection *next; /* of those that were dropped */
};

static char buffer[SERVER_BLOCK];
static int poller;
static enum server_cell cell;
static SSL_CTX *context;
static struct connection *dropped; /* in this turn: there may be an event of theirs left */
static unsigned target_port;       /* 0: no terminator */

static void watch(int operation, int fd, struct connection *connection, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.u64 = (uintptr_t)connection}};
    if (epoll_ctl(poller, operation, fd, &event) < 0)
        server_fail("cannot watch a descriptor", errno);
}

static void drop(struct connection *connection)
{
    SSL_free(connection->ssl);
    close(connection->fd);
    if (connection->target >= 0)
        close(connection->target);
    free(connection->rest);
    connection->ssl = NULL;
    connection->next = dropped;
    dropped = connection;
}

static void free_dropped(void)
{
    while (dropped) {
        struct connection *next = dropped->next;
        free(dropped);
        dropped = next;
    }
}

static void accept_batch(int listener)
{
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == ECONNABORTED || errno == EINTR))
            continue;
        if (fd < 0 && errno == EAGAIN)
            return;
        struct connection *connection = calloc(1, sizeof(*connection));
        if (fd < 0 || !connection)
            server_fail("cannot accept", errno);
        connection->fd = fd;
        connection->target = -1;
        connection->ssl = SSL_new(context);
        if (!connection->ssl || SSL_set_fd(connection->ssl, fd) != 1)
            server_fail("cannot accept", ENOMEM);
        SSL_set_accept_state(connection->ssl);
        watch(EPOLL_CTL_ADD, fd, connection, EPOLLIN);
    }
}

static bool waits(const struct connection *connection, int returned)
{
    int what = SSL_get_error(connection->ssl, returned);
    return what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE;
}

/* False when the connection is to be dropped. */
static bool echo(struct connection *connection, int length)
{
    int sent = SSL_write(connection->ssl, buffer, length);
    if (sent == length)
        return true;
    if (!waits(connection, sent))
        return false;
    connection->rest = malloc((size_t)length);
    if (!connection->rest)
        server_fail("cannot keep unsent bytes", ENOMEM);
    memcpy(connection->rest, buffer, (size_t)length);
    connection->length = length;
    watch(EPOLL_CTL_MOD, connection->fd, connection, EPOLLOUT);
    return true;
}

/* Whether it could be connected, by a call that blocks: on loopback that takes no time. */
static bool connect_target(struct connection *connection)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)target_port),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int on = 1;
    connection->target = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->target < 0 ||
        connect(connection->target, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return false;
    setsockopt(connection->target, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = (uintptr_t)connection | 1}};
    return epoll_ctl(poller, EPOLL_CTL_ADD, connection->target, &event) == 0;
}

/* What the target has sent, to the client. */
static void pass_back(struct connection *connection)
{
    ssize_t got = recv(connection->target, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0 || SSL_write(connection->ssl, buffer, (int)got) != (int)got)
        drop(connection);
}

static bool pass_on(struct connection *connection, int length)
{
    return send(connection->target, buffer, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) == length;
}

static void readable(struct connection *connection)
{
    /* What OpenSSL has inside is not told by epoll. */
    for (int i = 0; i < REPEATS || SSL_has_pending(connection->ssl); i++) {
        int got = SSL_read(connection->ssl, buffer, sizeof(buffer));
        if (got <= 0) {
            if (!waits(connection, got))
                drop(connection);
            return;
        }
        bool good =
            target_port ? pass_on(connection, got) : cell != CELL_ECHO || echo(connection, got);
        if (!good) {
            drop(connection);
            return;
        }
        if (connection->rest)
            return;
    }
}

static void flush_rest(struct connection *connection)
{
    int sent = SSL_write(connection->ssl, connection->rest, connection->length);
    if (sent <= 0) {
        if (!waits(connection, sent))
            drop(connection);
        return;
    }
    free(connection->rest);
    connection->rest = NULL;
    watch(EPOLL_CTL_MOD, connection->fd, connection, EPOLLIN);
}

static void pour(struct connection *connection)
{
    for (int i = 0; i < REPEATS; i++) {
        int sent = SSL_write(connection->ssl, server_block, SERVER_BLOCK);
        if (sent > 0)
            continue;
        if (!waits(connection, sent))
            drop(connection);
        return;
    }
}

static void shake(struct connection *connection)
{
    int done = SSL_do_handshake(connection->ssl);
    if (done != 1) {
        if (!waits(connection, done))
            drop(connection);
        return;
    }
    if (target_port && !connect_target(connection)) {
        drop(connection);
    } else if (cell == CELL_GREET) {
        (void)SSL_write(connection->ssl, server_greeting, SERVER_GREETING);
        (void)SSL_shutdown(connection->ssl);
        drop(connection);
    } else if (cell == CELL_SOURCE) {
        watch(EPOLL_CTL_MOD, connection->fd, connection, EPOLLOUT);
    } else {
        readable(connection);
    }
}

/* `of_target`: an event of what it passes on to. */
static void handle(struct connection *connection, bool of_target)
{
    if (!connection->ssl)
        return;
    ERR_clear_error();
    if (of_target)
        pass_back(connection);
    else if (!SSL_is_init_finished(connection->ssl))
        shake(connection);
    else if (connection->rest)
        flush_rest(connection);
    else if (cell == CELL_SOURCE)
        pour(connection);
    else
        readable(connection);
}

int main(int argc, char **argv)
{
    struct server_options options;
    server_parse(argc, argv, SERVES_ON_ONE_THREAD, &options);
    cell = options.cell;
    target_port = options.target_port;
    context = openssl_context(&options);
    SSL_CTX_set_mode(context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    int listener = server_listen(&options, true);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0)
        server_fail("cannot open epoll", errno);
    watch(EPOLL_CTL_ADD, listener, NULL, EPOLLIN);
    server_ready(server_port_of(listener));
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            uintptr_t which = (uintptr_t)events[i].data.u64;
            if (which)
                handle((struct connection *)(which & ~(uintptr_t)1), which & 1); /* NOLINT */
            else
                accept_batch(listener);
        }
        free_dropped();
    }
}
