/*
 * Errors: causes several errors on purpose. Each sets a class for the program to decide by, and a
 * text for people. Both are printed. The exit status is 0 if every class was the expected one.
 */
#include <stdio.h>

#include <berth/berth.h>

static bool all_as_expected = true;

static void show(berth_error found, const char *text, berth_error expected)
{
    printf("%-22s %s\n", berth_error_name(found), text);
    if (found != expected)
        all_as_expected = false;
}

static void show_server(const berth_server *server, berth_error expected)
{
    show(berth_server_error(server), berth_server_error_string(server), expected);
}

static void show_socket(const berth_socket *socket, berth_error expected)
{
    show(berth_socket_error(socket), berth_socket_error_string(socket), expected);
}

static void fail_to_listen(berth_server *server)
{
    berth_address nowhere;
    berth_server *second = berth_server_new(NULL, NULL, NULL);
    berth_server_listen(second, BERTH_ADDRESS_LOOPBACK, berth_server_port(server));
    show_server(second, BERTH_ERROR_ADDRESS_IN_USE);

    berth_address_parse("192.0.2.1", &nowhere); /* reserved for documentation */
    berth_server_listen(second, nowhere, 0);
    show_server(second, BERTH_ERROR_ADDRESS_NOT_AVAILABLE);

    berth_server_listen(second, BERTH_ADDRESS_NULL, 0);
    show_server(second, BERTH_ERROR_UNSUPPORTED_OPERATION);
    berth_server_free(second);

    berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0);
    show_server(server, BERTH_ERROR_OPERATION); /* it is listening already, and still is */
}

static void fail_to_wait(berth_server *server)
{
    bool timed_out;
    berth_server_wait_for_new_connection(server, 20, &timed_out);
    show_server(server, BERTH_ERROR_SOCKET_TIMEOUT);
    if (!timed_out)
        all_as_expected = false;
}

static void fail_to_use(void)
{
    berth_socket *socket = berth_socket_new(NULL, NULL, NULL);
    if (berth_socket_write(socket, "?", 1) != -1)
        all_as_expected = false;
    show_socket(socket, BERTH_ERROR_OPERATION);
    berth_socket_set_descriptor(socket, -1);
    show_socket(socket, BERTH_ERROR_UNSUPPORTED_OPERATION);
    berth_socket_free(socket);
}

/* The end by the peer is reported like an error, but is the usual way for a connection to end. */
static void be_left(berth_server *server)
{
    berth_socket *client = berth_socket_new(NULL, NULL, NULL);
    berth_socket_connect_to_address(client, BERTH_ADDRESS_LOOPBACK, berth_server_port(server));
    berth_server_wait_for_new_connection(server, 5000, NULL);
    berth_socket_free(berth_server_next_pending_connection(server));
    berth_socket_wait_for_disconnected(client, 5000);
    show_socket(client, BERTH_ERROR_REMOTE_HOST_CLOSED);
    berth_socket_free(client);
}

static void be_refused(uint16_t port)
{
    berth_socket *client = berth_socket_new(NULL, NULL, NULL);
    berth_socket_connect_to_address(client, BERTH_ADDRESS_LOOPBACK, port);
    if (berth_socket_wait_for_connected(client, 5000))
        all_as_expected = false;
    show_socket(client, BERTH_ERROR_CONNECTION_REFUSED);
    berth_socket_free(client);
}

int main(void)
{
    berth_server *server = berth_server_new(NULL, NULL, NULL);
    if (!server || !berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0)) {
        fprintf(stderr, "%s\n", berth_server_error_string(server));
        return 1;
    }
    uint16_t port = berth_server_port(server);
    fail_to_listen(server);
    fail_to_wait(server);
    fail_to_use();
    be_left(server);
    berth_server_free(server);
    be_refused(port);
    return all_as_expected ? 0 : 1;
}
