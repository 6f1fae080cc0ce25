/* The line server with libuv. */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

enum {
    LINE = 1000,
    HIGH = 64 * 1024
};

typedef struct client {
    uv_tcp_t stream;
    uv_timer_t timer;
    int handles; /* that are not closed yet */
    int reading;
    size_t length;
    char line[LINE];
} client;

typedef struct answer {
    uv_write_t request;
    char text[LINE];
} answer;

static uint64_t idle_time = 60000; /* ms */

static void handle_closed(uv_handle_t *handle)
{
    client *mine = handle->data;
    if (--mine->handles == 0)
        free(mine);
}

static void end(client *mine)
{
    if (uv_is_closing((uv_handle_t *)&mine->stream))
        return;
    uv_close((uv_handle_t *)&mine->stream, handle_closed);
    uv_close((uv_handle_t *)&mine->timer, handle_closed);
}

static void too_silent(uv_timer_t *timer)
{
    end(timer->data);
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    client *mine = handle->data;
    (void)suggested;
    *buffer = uv_buf_init(mine->line + mine->length, (unsigned)(LINE - mine->length));
}

static void have_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer);

static void written(uv_write_t *request, int status)
{
    client *mine = request->handle->data;
    free(request);
    if (status < 0 || uv_is_closing((uv_handle_t *)&mine->stream))
        return;
    uv_timer_again(&mine->timer);
    if (!mine->reading && uv_stream_get_write_queue_size((uv_stream_t *)&mine->stream) < HIGH)
        mine->reading = uv_read_start((uv_stream_t *)&mine->stream, give_buffer, have_read) == 0;
}

static void send_line(client *mine, size_t size)
{
    answer *one = malloc(sizeof *one);
    if (!one)
        return end(mine);
    for (size_t at = 0; at < size; at++)
        one->text[at] = (char)toupper((unsigned char)mine->line[at]);
    memmove(mine->line, mine->line + size, mine->length -= size);
    uv_buf_t buffer = uv_buf_init(one->text, (unsigned)size);
    if (uv_write(&one->request, (uv_stream_t *)&mine->stream, &buffer, 1, written) < 0) {
        free(one);
        end(mine);
    }
}

static void have_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    client *mine = stream->data;
    char *newline;
    (void)buffer;
    if (count < 0)
        return end(mine); /* which drops what is not written yet */
    uv_timer_again(&mine->timer);
    mine->length += (size_t)count;
    while (!uv_is_closing((uv_handle_t *)stream) &&
           (newline = memchr(mine->line, '\n', mine->length)))
        send_line(mine, (size_t)(newline - mine->line) + 1);
    if (mine->length == LINE)
        send_line(mine, LINE);
    if (!uv_is_closing((uv_handle_t *)stream) && uv_stream_get_write_queue_size(stream) >= HIGH) {
        uv_read_stop(stream);
        mine->reading = 0;
    }
}

static void take(uv_stream_t *listener, int status)
{
    client *mine = status < 0 ? NULL : calloc(1, sizeof *mine);
    if (!mine)
        return;
    uv_tcp_init(listener->loop, &mine->stream);
    uv_timer_init(listener->loop, &mine->timer);
    mine->stream.data = mine->timer.data = mine;
    mine->handles = 2;
    if (uv_accept(listener, (uv_stream_t *)&mine->stream) < 0)
        return end(mine);
    uv_timer_start(&mine->timer, too_silent, idle_time, idle_time);
    mine->reading = uv_read_start((uv_stream_t *)&mine->stream, give_buffer, have_read) == 0;
}

static void stop(uv_signal_t *handle, int number)
{
    (void)number;
    uv_stop(handle->loop);
}

int main(int count, char **arguments)
{
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t listener;
    uv_signal_t ends;
    struct sockaddr_in address;
    int size = sizeof address;
    if (count > 1)
        idle_time = (uint64_t)atoi(arguments[1]);
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_init(loop, &listener);
    uv_signal_init(loop, &ends);
    uv_signal_start(&ends, stop, SIGTERM);
    int error = uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0);
    if (!error)
        error = uv_listen((uv_stream_t *)&listener, 50, take);
    if (error < 0) {
        fprintf(stderr, "cannot listen: %s\n", uv_strerror(error));
        return 1;
    }
    uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &size);
    printf("listening on port %u\n", ntohs(address.sin_port));
    fflush(stdout);
    uv_run(loop, UV_RUN_DEFAULT);
    return 0;
}
