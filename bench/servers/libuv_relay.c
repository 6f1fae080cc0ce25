/*
 * The peer of the relay: a relay on libuv, as a careful user would write it.
 *
 * The normal course: a connection is accepted, another one is made to the target, and both are read
 * when that one is there. Each has one buffer of 64 KiB: what was read is written to the other
 * side, and reading goes on when it has left, so that a slow side holds back the fast one. The end
 * of one side's stream shuts the other side's output down; both are closed when both have ended.
 *
 *   bench_libuv_relay --port N --target-port N
 *
 * Failures: an error on one side closes both. The ready line and the end are those of common.h.
 */
#include "common.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct side {
    uv_tcp_t tcp;
    uv_write_t write;
    uv_shutdown_t shutdown;
    struct side *other;
    struct pair *pair;
    bool ended, closed;
    char buffer[SERVER_BLOCK];
};

struct pair {
    struct side sides[2];
    uv_connect_t connect;
};

static struct sockaddr_in target;

static void check(const char *what, int status)
{
    if (status >= 0)
        return;
    fprintf(stderr, "%s: %s\n", what, uv_strerror(status));
    exit(1);
}

static void on_close(uv_handle_t *handle)
{
    struct side *side = (struct side *)handle;
    side->closed = true;
    if (side->other->closed)
        free(side->pair);
}

static void drop(struct pair *pair)
{
    for (int i = 0; i < 2; i++) {
        if (!uv_is_closing((uv_handle_t *)&pair->sides[i].tcp))
            uv_close((uv_handle_t *)&pair->sides[i].tcp, on_close);
    }
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    struct side *side = (struct side *)handle;
    (void)suggested;
    *ret_buffer = uv_buf_init(side->buffer, sizeof(side->buffer));
}

static void on_shutdown(uv_shutdown_t *shutdown, int status)
{
    struct side *side = (struct side *)shutdown->handle;
    if (status < 0 || (side->ended && side->other->ended))
        drop(side->pair);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *read);

static void on_written(uv_write_t *write, int status)
{
    struct side *from = ((struct side *)write->handle)->other;
    if (status < 0)
        drop(from->pair);
    else if (!uv_is_closing((uv_handle_t *)&from->tcp))
        uv_read_start((uv_stream_t *)&from->tcp, on_allocate, on_read);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *read)
{
    struct side *side = (struct side *)stream;
    uv_stream_t *other = (uv_stream_t *)&side->other->tcp;
    if (got == 0)
        return;
    if (got == UV_EOF) {
        side->ended = true;
        if (uv_shutdown(&side->other->shutdown, other, on_shutdown) < 0)
            drop(side->pair);
        return;
    }
    if (got < 0) {
        drop(side->pair);
        return;
    }
    uv_buf_t rest = uv_buf_init(read->base, (unsigned)got);
    int sent = uv_try_write(other, &rest, 1);
    if (sent == (int)got)
        return;
    if (sent > 0)
        rest = uv_buf_init(read->base + sent, (unsigned)(got - sent));
    uv_read_stop(stream);
    if ((sent < 0 && sent != UV_EAGAIN) ||
        uv_write(&side->other->write, other, &rest, 1, on_written) < 0)
        drop(side->pair);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct side *side = (struct side *)connect->handle;
    if (status < 0 || uv_tcp_nodelay(&side->tcp, 1) < 0 ||
        uv_read_start((uv_stream_t *)&side->tcp, on_allocate, on_read) < 0 ||
        uv_read_start((uv_stream_t *)&side->other->tcp, on_allocate, on_read) < 0)
        drop(side->pair);
}

static void on_connection(uv_stream_t *listener, int status)
{
    check("cannot accept", status);
    struct pair *pair = calloc(1, sizeof(*pair));
    if (!pair)
        check("cannot accept", UV_ENOMEM);
    for (int i = 0; i < 2; i++) {
        pair->sides[i].pair = pair;
        pair->sides[i].other = &pair->sides[1 - i];
        check("cannot open a handle", uv_tcp_init(listener->loop, &pair->sides[i].tcp));
    }
    if (uv_accept(listener, (uv_stream_t *)&pair->sides[0].tcp) < 0 ||
        uv_tcp_connect(&pair->connect, &pair->sides[1].tcp, (const struct sockaddr *)&target,
                       on_connected) < 0)
        drop(pair);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    uv_loop_t loop;
    uv_tcp_t listener;
    int port = argc == 5 ? atoi(argv[2]) : 0, target_port = argc == 5 ? atoi(argv[4]) : 0;
    if (argc != 5 || strcmp(argv[1], "--port") != 0 || strcmp(argv[3], "--target-port") != 0) {
        fprintf(stderr, "usage: bench_libuv_relay --port N --target-port N\n");
        return 2;
    }
    check("cannot open a loop", uv_loop_init(&loop));
    check("cannot open a handle", uv_tcp_init(&loop, &listener));
    check("cannot read the address", uv_ip4_addr("127.0.0.1", port, &address));
    check("cannot read the address", uv_ip4_addr("127.0.0.1", target_port, &target));
    check("cannot bind", uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0));
    check("cannot set TCP_NODELAY", uv_tcp_nodelay(&listener, 1));
    check("cannot listen", uv_listen((uv_stream_t *)&listener, SERVER_BACKLOG, on_connection));
    server_ready((unsigned)port);
    return uv_run(&loop, UV_RUN_DEFAULT);
}
