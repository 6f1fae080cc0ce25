/*
 * A program outside of the tree, with TLS: makes a configuration of each kind, as far as that goes
 * without a certificate, listens on a free port and says which.
 */
#include <stdio.h>

#include <berth/berth.h>
#include <berth/tls.h>

int main(void)
{
    char text[BERTH_TLS_TEXT_SIZE];
    berth_tls_options none = {0};
    berth_tls *client = berth_tls_new(BERTH_TLS_CLIENT, NULL, text);
    if (client == NULL || berth_tls_new(BERTH_TLS_SERVER, &none, text) != NULL) {
        fprintf(stderr, "%s\n", client == NULL ? text : "a server without a certificate");
        return 1;
    }
    berth_tls_release(client);
    berth_server *server = berth_server_new(NULL, NULL, NULL);
    if (server == NULL || !berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0)) {
        fprintf(stderr, "%s\n", server ? berth_server_error_string(server) : "out of memory");
        return 1;
    }
    printf("berth %s on port %u with TLS\n", berth_version(), (unsigned)berth_server_port(server));
    berth_server_free(server);
    return 0;
}
