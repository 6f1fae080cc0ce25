/*
 * The peer: a server on libuv, written as libuv's own guide recommends, and no better or worse than
 * a careful user would write it.
 *
 * The normal course: uv_listen calls on_connection, uv_accept, uv_read_start; the allocation
 * callback hands out one buffer that belongs to the loop and is reused for every read; the read
 * callback tries uv_try_write first, and only what that did not take is copied into a request for
 * uv_write. TCP_NODELAY is set once, on the listening handle, and handed down by the kernel.
 *
 * A greeting is uv_accept, uv_try_write, uv_close, all in on_connection. A source keeps one
 * uv_write of a block in flight for each connection, and starts the next from its callback.
 *
 * The pieces of an answer are written by a uv_write for each, from where they lie; with --gathered
 * by one uv_write. Lines of fan-out are written to one connection after the other like an echo.
 *
 * Failures: an error or the end of stream closes that connection; requests still queued are then
 * cancelled by libuv, which calls their callbacks with UV_ECANCELED before the handle is freed in
 * on_close.
 *
 * Memory: one allocation for each connection (the handle), one for each uv_write (the request with
 * its bytes).
 */
#include "common.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct request {
    uv_write_t write;
    char bytes[];
};

/* A connection: a request that is not complete, and in fan-out its place in the list of guests. */
struct client {
    union {
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    unsigned asked, place;
};

static struct client *guests[SERVER_MAX_FD];
static unsigned guest_count;
static bool gathers;
static char buffer[SERVER_BLOCK];
static enum server_cell cell;

static void check(const char *what, int status)
{
    if (status >= 0)
        return;
    fprintf(stderr, "%s: %s\n", what, uv_strerror(status));
    exit(1);
}

static void on_close(uv_handle_t *handle)
{
    free(handle);
}

static void drop(uv_stream_t *stream)
{
    struct client *client = (struct client *)stream;
    if (uv_is_closing((uv_handle_t *)stream))
        return;
    if (cell == CELL_FAN_OUT) {
        guests[client->place] = guests[--guest_count];
        guests[client->place]->place = client->place;
    }
    uv_close((uv_handle_t *)stream, on_close);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    (void)handle;
    (void)suggested;
    *ret_buffer = uv_buf_init(buffer, sizeof(buffer));
}

static void on_written(uv_write_t *write, int status)
{
    if (status < 0)
        drop(write->handle);
    free(write);
}

static void write_rest(uv_stream_t *stream, const char *bytes, size_t length)
{
    struct request *request = malloc(sizeof(*request) + length);
    if (!request)
        check("cannot keep unsent bytes", UV_ENOMEM);
    memcpy(request->bytes, bytes, length);
    uv_buf_t rest = uv_buf_init(request->bytes, (unsigned)length);
    int status = uv_write(&request->write, stream, &rest, 1, on_written);
    if (status < 0) {
        free(request);
        drop(stream);
    }
}

static void write_at_once(uv_stream_t *stream, char *bytes, size_t length)
{
    uv_buf_t reply = uv_buf_init(bytes, (unsigned)length);
    int sent = uv_try_write(stream, &reply, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        drop(stream);
        return;
    }
    size_t done = sent < 0 ? 0 : (size_t)sent;
    if (done < length)
        write_rest(stream, bytes + done, length - done);
}

static void write_pieces(uv_stream_t *stream, const uv_buf_t *pieces, unsigned count)
{
    uv_write_t *write = malloc(sizeof(*write));
    if (!write)
        check("cannot write an answer", UV_ENOMEM);
    if (uv_write(write, stream, pieces, count, on_written) < 0) {
        free(write);
        drop(stream);
    }
}

static void answer(uv_stream_t *stream)
{
    uv_buf_t pieces[SERVER_PIECES];
    for (unsigned i = 0; i < server_piece_count; i++)
        pieces[i] = uv_buf_init((char *)(uintptr_t)server_pieces[i].bytes, server_pieces[i].size);
    if (gathers) {
        write_pieces(stream, pieces, server_piece_count);
        return;
    }
    for (unsigned i = 0; i < server_piece_count && !uv_is_closing((uv_handle_t *)stream); i++)
        write_pieces(stream, &pieces[i], 1);
}

static void on_request(uv_stream_t *stream, const char *bytes, size_t length)
{
    struct client *client = (struct client *)stream;
    if (cell == CELL_FAN_OUT) { /* whole lines, since the load sends no others */
        for (size_t i = 0; i + SERVER_REQUEST <= length; i += SERVER_REQUEST) {
            for (unsigned k = guest_count; k-- > 0;) /* one that is dropped leaves the last here */
                write_at_once((uv_stream_t *)guests[k], (char *)(uintptr_t)bytes + i,
                              SERVER_REQUEST);
        }
        return;
    }
    for (client->asked += (unsigned)length; client->asked >= SERVER_REQUEST;
         client->asked -= SERVER_REQUEST)
        answer(stream);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *read)
{
    if (got < 0) {
        drop(stream);
        return;
    }
    if (got > 0 && SERVES_ANSWERS >> cell & 1)
        on_request(stream, read->base, (size_t)got);
    if (got > 0 && cell == CELL_ECHO)
        write_at_once(stream, read->base, (size_t)got);
}

static void on_poured(uv_write_t *write, int status)
{
    uv_stream_t *stream = write->handle;
    uv_buf_t block = uv_buf_init(server_block, sizeof(server_block));
    if (status >= 0 && uv_write(write, stream, &block, 1, on_poured) >= 0)
        return;
    drop(stream);
    free(write);
}

static void pour(uv_stream_t *stream)
{
    uv_write_t *write = malloc(sizeof(*write));
    uv_buf_t block = uv_buf_init(server_block, sizeof(server_block));
    if (!write)
        check("cannot start a source", UV_ENOMEM);
    check("cannot write", uv_write(write, stream, &block, 1, on_poured));
}

static void on_connection(uv_stream_t *listener, int status)
{
    check("cannot accept", status);
    struct client *client = malloc(sizeof(*client));
    if (!client)
        check("cannot accept", UV_ENOMEM);
    client->asked = 0;
    client->place = guest_count;
    if (cell == CELL_FAN_OUT)
        guests[guest_count++] = client;
    check("cannot open a handle", listener->type == UV_NAMED_PIPE
                                      ? uv_pipe_init(listener->loop, &client->pipe, 0)
                                      : uv_tcp_init(listener->loop, &client->tcp));
    uv_stream_t *stream = (uv_stream_t *)client;
    if (uv_accept(listener, stream) < 0) {
        drop(stream);
        return;
    }
    if (cell == CELL_GREET) {
        uv_buf_t line = uv_buf_init((char *)(uintptr_t)server_greeting, SERVER_GREETING);
        (void)uv_try_write(stream, &line, 1);
        drop(stream);
    } else if (cell == CELL_SOURCE) {
        pour(stream);
    } else if (uv_read_start(stream, on_allocate, on_read) < 0) {
        drop(stream);
    }
}

static int serve_locally(uv_loop_t *loop, const struct server_options *all)
{
    uv_pipe_t listener;
    check("cannot open a handle", uv_pipe_init(loop, &listener, 0));
    check("cannot bind", uv_pipe_bind(&listener, server_path(all)));
    check("cannot listen", uv_listen((uv_stream_t *)&listener, SERVER_BACKLOG, on_connection));
    server_ready(server_port_of(-1));
    return uv_run(loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    struct server_options options;
    server_parse(argc, argv, SERVES_ON_ONE_THREAD | SERVES_PIECES | 1 << CELL_FAN_OUT, &options);
    cell = options.cell;
    gathers = options.gathered;
    uv_loop_t loop;
    uv_tcp_t listener;
    struct sockaddr_in address;
    int length = sizeof(address);
    check("cannot open a loop", uv_loop_init(&loop));
    if (options.local)
        return serve_locally(&loop, &options);
    check("cannot open a handle", uv_tcp_init(&loop, &listener));
    check("cannot read the address", uv_ip4_addr("127.0.0.1", (int)options.port, &address));
    check("cannot bind", uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0));
    check("cannot set TCP_NODELAY", uv_tcp_nodelay(&listener, 1));
    check("cannot listen", uv_listen((uv_stream_t *)&listener, SERVER_BACKLOG, on_connection));
    check("cannot read the port",
          uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &length));
    server_ready(ntohs(address.sin_port));
    return uv_run(&loop, UV_RUN_DEFAULT);
}
