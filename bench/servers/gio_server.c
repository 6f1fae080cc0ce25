/*
 * A peer: a server on GLib's GIO, written as its reference shows it (GSocketService and the
 * asynchronous calls of its streams), and no better or worse than a careful user would write it.
 *
 * The normal course: `incoming` takes the connection; g_input_stream_read_async reads into the
 * buffer of the connection, g_output_stream_write_all_async writes that back, and its end starts
 * the next read. TCP_NODELAY is set once, on the listening socket, and handed down by the kernel.
 *
 * A greeting is one write, whose end gives up the last reference, and so closes. A source starts
 * the next write of a block from the end of the last one. A sink reads on.
 *
 * Failures: an error or the end of stream gives the connection up.
 *
 * Memory: one record for each connection with a buffer of 64 KiB, of which only the pages that are
 * used count; the connection, its socket and its two streams are GLib's.
 */
#include "common.h"

#include <errno.h>
#include <gio/gio.h>

struct connection {
    GSocketConnection *socket;
    GInputStream *input;
    GOutputStream *output;
    char bytes[SERVER_BLOCK];
};

static enum server_cell cell;

static void read_on(struct connection *connection);

static void give_up(struct connection *connection)
{
    g_object_unref(connection->socket);
    g_free(connection);
}

static void on_written(GObject *source, GAsyncResult *result, gpointer user)
{
    struct connection *connection = user;
    gboolean good = g_output_stream_write_all_finish(G_OUTPUT_STREAM(source), result, NULL, NULL);
    if (!good || cell == CELL_GREET)
        give_up(connection);
    else if (cell == CELL_SOURCE)
        g_output_stream_write_all_async(connection->output, server_block, SERVER_BLOCK,
                                        G_PRIORITY_DEFAULT, NULL, on_written, connection);
    else
        read_on(connection);
}

static void on_read(GObject *source, GAsyncResult *result, gpointer user)
{
    struct connection *connection = user;
    gssize got = g_input_stream_read_finish(G_INPUT_STREAM(source), result, NULL);
    if (got <= 0)
        give_up(connection);
    else if (cell == CELL_SINK)
        read_on(connection);
    else
        g_output_stream_write_all_async(connection->output, connection->bytes, (gsize)got,
                                        G_PRIORITY_DEFAULT, NULL, on_written, connection);
}

static void read_on(struct connection *connection)
{
    g_input_stream_read_async(connection->input, connection->bytes, sizeof(connection->bytes),
                              G_PRIORITY_DEFAULT, NULL, on_read, connection);
}

static gboolean on_connection(GSocketService *service, GSocketConnection *socket, GObject *source,
                              gpointer user)
{
    (void)service;
    (void)source;
    (void)user;
    struct connection *connection = g_malloc(sizeof(*connection));
    connection->socket = g_object_ref(socket);
    connection->input = g_io_stream_get_input_stream(G_IO_STREAM(socket));
    connection->output = g_io_stream_get_output_stream(G_IO_STREAM(socket));
    if (cell == CELL_GREET)
        g_output_stream_write_all_async(connection->output, server_greeting, SERVER_GREETING,
                                        G_PRIORITY_DEFAULT, NULL, on_written, connection);
    else if (cell == CELL_SOURCE)
        g_output_stream_write_all_async(connection->output, server_block, SERVER_BLOCK,
                                        G_PRIORITY_DEFAULT, NULL, on_written, connection);
    else
        read_on(connection);
    return TRUE;
}

int main(int argc, char **argv)
{
    struct server_options options;
    server_parse(argc, argv, SERVES_ON_ONE_THREAD, &options);
    cell = options.cell;
    int descriptor = server_listen(&options, true);
    GSocket *listener = g_socket_new_from_fd(descriptor, NULL);
    GSocketService *service = g_socket_service_new();
    if (!listener ||
        !g_socket_listener_add_socket(G_SOCKET_LISTENER(service), listener, NULL, NULL))
        server_fail("cannot make a service", errno);
    g_signal_connect(service, "incoming", G_CALLBACK(on_connection), NULL);
    g_socket_service_start(service);
    server_ready(server_port_of(descriptor));
    g_main_loop_run(g_main_loop_new(NULL, FALSE));
    return 1;
}
