/* The loop of the example servers: see main_loop.h. */
#include "main_loop.h"

#include "options.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static berth_loop *loop; /* for the signal handler */
static const char *name_of_program;

static void stop(int signal_number)
{
    (void)signal_number;
    berth_loop_stop(loop, 0);
}

static void on_stop_signals(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

berth_loop *main_loop_open(const char *program)
{
    name_of_program = program;
    loop = berth_loop_new(NULL);
    if (!loop)
        fail_without_loop(program, NULL);
    on_stop_signals(stop);
    return loop;
}

void main_loop_announce(const char *name, const berth_server *server)
{
    char address[BERTH_ADDRESS_TEXT_SIZE];
    berth_address_format(berth_server_address(server), address, sizeof(address));
    if (berth_server_local_path(server)[0] != '\0')
        printf("%s listening on %s\n", name, berth_server_local_path(server));
    else
        printf("%s listening on %s port %u\n", name, address, berth_server_port(server));
    printf("backend %s: %s\n", berth_loop_backend_name(loop), berth_loop_backend_reason(loop));
    fflush(stdout);
}

void main_loop_listen(const char *program, const char *name, berth_server *server,
                      berth_address address, uint16_t port)
{
    if (!berth_server_listen(server, address, port))
        fail(program, "%s", berth_server_error_string(server));
    main_loop_announce(name, server);
}

void main_loop_listen_local(const char *program, const char *name, berth_server *server,
                            const char *path)
{
    berth_local_options options = {.replace_stale = true};
    if (!berth_server_listen_local(server, path, &options))
        fail(program, "%s", berth_server_error_string(server));
    main_loop_announce(name, server);
}

void main_loop_report(berth_server *server, berth_error error, void *user)
{
    (void)error;
    (void)user;
    fprintf(stderr, "%s: %s\n", name_of_program, berth_server_error_string(server));
}

void main_loop_run(const char *program)
{
    if (berth_loop_run(loop) != 0)
        fail(program, "the event loop failed: %s", strerror(errno));
    on_stop_signals(SIG_IGN); /* a second signal must not use the freed loop */
}

void main_loop_close(berth_server *server)
{
    berth_server_free(server);
    berth_loop_free(loop);
}
