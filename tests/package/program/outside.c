/*
 * A program outside of the tree: listens on a free port and says which.
 *
 * It is built and run against an installed copy of the library, in each way a program can find it.
 */
#include <stdio.h>

#include <berth/berth.h>

int main(void)
{
    berth_server *server = berth_server_new(NULL, NULL, NULL);
    if (server == NULL || !berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0)) {
        fprintf(stderr, "%s\n", server ? berth_server_error_string(server) : "out of memory");
        return 1;
    }
    printf("berth %s on port %u\n", berth_version(), (unsigned)berth_server_port(server));
    berth_server_free(server);
    return 0;
}
