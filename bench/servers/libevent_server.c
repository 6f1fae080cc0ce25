/*
 * A peer: a server on libevent's bufferevents, written as libevent's book recommends, and no better
 * or worse than a careful user would write it.
 *
 * The normal course: an evconnlistener accepts; each connection gets a bufferevent on its socket;
 * the read callback moves the input to the output (evbuffer_add_buffer copies nothing), and the
 * bufferevent sends it when the socket is writable. TCP_NODELAY is set once, on the listening
 * socket, and handed down by the kernel.
 *
 * A greeting is bufferevent_write; the write callback, called when the output is empty, frees the
 * bufferevent and so closes. A source keeps one block in the output by evbuffer_add_reference,
 * which copies nothing, and adds the next from the write callback. A sink drains the input.
 *
 * Encrypted it is a bufferevent of OpenSSL (bufferevent_openssl_socket_new), and the greeting is
 * written, and a source begins, when the handshake is complete (BEV_EVENT_CONNECTED). A connection
 * ends as the book has it: with close_notify, and without waiting for the peer's.
 *
 * The bounds on a single read and write are raised from 16 KiB to a block, as the book advises for
 * bulk; libevent 2.1 reads at most 4 KiB at once for all that.
 *
 * Failures: an error or the end of stream frees that bufferevent.
 */
#include "common.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <string.h>

#include <openssl/ssl.h>

#include "openssl_context.h"

static enum server_cell cell;
static SSL_CTX *context; /* NULL: not encrypted */

static void on_read(struct bufferevent *connection, void *unused)
{
    (void)unused;
    struct evbuffer *input = bufferevent_get_input(connection);
    if (cell == CELL_ECHO)
        evbuffer_add_buffer(bufferevent_get_output(connection), input);
    else
        evbuffer_drain(input, evbuffer_get_length(input));
}

static void pour(struct bufferevent *connection)
{
    evbuffer_add_reference(bufferevent_get_output(connection), server_block, SERVER_BLOCK, NULL,
                           NULL);
}

static void end(struct bufferevent *connection)
{
    SSL *ssl = context ? bufferevent_openssl_get_ssl(connection) : NULL;
    if (ssl) {
        SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN);
        SSL_shutdown(ssl);
    }
    bufferevent_free(connection);
}

static void on_written(struct bufferevent *connection, void *unused)
{
    (void)unused;
    if (cell == CELL_GREET)
        end(connection);
    else if (cell == CELL_SOURCE)
        pour(connection);
}

static void begin(struct bufferevent *connection)
{
    if (cell == CELL_GREET)
        bufferevent_write(connection, server_greeting, SERVER_GREETING);
    else if (cell == CELL_SOURCE)
        pour(connection);
}

static void on_event(struct bufferevent *connection, short what, void *unused)
{
    (void)unused;
    if (what & BEV_EVENT_CONNECTED)
        begin(connection);
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        bufferevent_free(connection);
}

static void on_connection(struct evconnlistener *listener, evutil_socket_t fd,
                          struct sockaddr *address, int length, void *unused)
{
    (void)address;
    (void)length;
    (void)unused;
    struct event_base *base = evconnlistener_get_base(listener);
    struct bufferevent *connection =
        context ? bufferevent_openssl_socket_new(base, fd, SSL_new(context),
                                                 BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE)
                : bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!connection)
        server_fail("cannot accept", ENOMEM);
    bufferevent_setcb(connection, on_read, on_written, on_event, NULL);
    bufferevent_set_max_single_read(connection, SERVER_BLOCK);
    bufferevent_set_max_single_write(connection, SERVER_BLOCK);
    if (cell != CELL_GREET || context)
        bufferevent_enable(connection, EV_READ);
    if (!context)
        begin(connection);
}

int main(int argc, char **argv)
{
    struct server_options options;
    server_parse(argc, argv, SERVES_ON_ONE_THREAD, &options);
    cell = options.cell;
    context = options.tls ? openssl_context(&options) : NULL;
    int socket = server_listen(&options, true);
    struct event_base *base = event_base_new();
    if (!base)
        server_fail("cannot make an event base", errno);
    if (!evconnlistener_new(base, on_connection, NULL,
                            LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, socket))
        server_fail("cannot make a listener", errno);
    server_ready(server_port_of(socket));
    return event_base_dispatch(base);
}
