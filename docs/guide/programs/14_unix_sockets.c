/*
 * A service on a Unix socket: it answers "who" with the user that the kernel says the peer is, and
 * serves nobody but its own user. The socket of a former server that has crashed is replaced, and a
 * worker process is spoken to over a pair of sockets.
 *
 * The program is its own crashed server, its own client, and its own worker. The exit status is 0
 * if all answers were right and no file is left.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <berth/berth.h>

typedef struct service {
    char folder[32];
    char path[64];
    unsigned right; /* answers that were as expected */
} service;

/* ---- the server ------------------------------------------------------------------------------ */

static void answer(berth_socket *socket, void *user)
{
    (void)user;
    char request[8], text[64];
    berth_credentials who;
    ptrdiff_t size = berth_socket_read(socket, request, sizeof(request));
    if (size != 4 || memcmp(request, "who\n", 4) != 0 ||
        !berth_socket_peer_credentials(socket, &who)) {
        berth_socket_abort(socket);
        return;
    }
    int length = snprintf(text, sizeof(text), "user %u of process %d\n", who.uid, (int)who.pid);
    berth_socket_write(socket, text, (size_t)length);
    berth_socket_disconnect_from_host(socket);
}

static const berth_socket_handlers served = {
    .ready_read = answer,
    .disconnected = berth_socket_free_in_handler,
};

static void admit(berth_server *server, void *user)
{
    (void)user;
    berth_credentials who;
    berth_socket *socket = berth_server_next_pending_connection(server);
    /* The permissions of the file keep others away; this keeps root away too. */
    if (berth_socket_peer_credentials(socket, &who) && who.uid == getuid())
        berth_socket_set_handlers(socket, &served, NULL);
    else
        berth_socket_free(socket);
}

static const berth_server_handlers serving = {.new_connection = admit};

/* A server that is killed leaves its file behind. */
static void crash(const service *all)
{
    pid_t child = fork();
    if (child == 0) {
        berth_server *server = berth_server_new(NULL, NULL, NULL);
        _exit(berth_server_listen_local(server, all->path, NULL) ? 0 : 1);
    }
    waitpid(child, NULL, 0);
}

/* ---- the client and the worker --------------------------------------------------------------- */

static void read_answer(berth_socket *socket, void *user)
{
    service *all = user;
    char text[64] = "", expected[64];
    berth_socket_read(socket, text, sizeof(text) - 1);
    snprintf(expected, sizeof(expected), "user %u of process %d\n", getuid(), (int)getpid());
    all->right += strcmp(text, expected) == 0;
    printf("%s answers: %s", berth_socket_peer_name(socket), text);
}

static void next(berth_socket *socket, void *user)
{
    (void)user;
    berth_loop_stop(berth_socket_loop(socket), 0);
}

static const berth_socket_handlers asking = {.ready_read = read_answer, .disconnected = next};

static void ask(service *all)
{
    berth_socket *socket = berth_socket_new(NULL, &asking, all);
    if (berth_socket_connect_to_local(socket, all->path)) {
        berth_socket_write(socket, "who\n", 4);
        berth_loop_run(berth_socket_loop(socket));
    }
    berth_socket_free(socket);
}

static void read_result(berth_socket *socket, void *user)
{
    service *all = user;
    char text[16] = "";
    berth_socket_read(socket, text, sizeof(text) - 1);
    all->right += strcmp(text, "ROW") == 0;
    printf("the worker answers: %s\n", text);
}

static const berth_socket_handlers working = {.ready_read = read_result, .disconnected = next};

/* The near end becomes a socket of the loop; the far one is the worker's. */
static void have_worker(service *all)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return;
    pid_t worker = fork();
    if (worker == 0) {
        dup2(ends[1], STDIN_FILENO);
        dup2(ends[1], STDOUT_FILENO);
        execlp("tr", "tr", "a-z", "A-Z", (char *)NULL);
        _exit(1);
    }
    close(ends[1]);
    berth_socket *socket = berth_socket_new(NULL, &working, all);
    if (berth_socket_set_descriptor(socket, ends[0])) {
        berth_socket_write(socket, "row", 3);
        berth_socket_shutdown_send(socket); /* the end that tr waits for */
        berth_loop_run(berth_socket_loop(socket));
    }
    berth_socket_free(socket);
    waitpid(worker, NULL, 0);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void remove_folder(const service *all)
{
    char lock[80];
    snprintf(lock, sizeof(lock), "%s.lock", all->path);
    unlink(all->path);
    unlink(lock); /* only because this program was the only one that would ever start here */
    rmdir(all->folder);
}

int main(void)
{
    service all = {.folder = "/tmp/berth-XXXXXX"};
    if (!mkdtemp(all.folder)) {
        perror("cannot make a folder");
        return 1;
    }
    snprintf(all.path, sizeof(all.path), "%s/service.sock", all.folder);
    crash(&all);

    berth_server *server = berth_server_new(NULL, &serving, NULL);
    if (!server || !berth_server_listen_local(server, all.path, NULL))
        printf("%s\n", berth_server_error_string(server));
    berth_local_options options = {.mode = 0600, .replace_stale = true};
    if (!server || !berth_server_listen_local(server, all.path, &options)) {
        fprintf(stderr, "%s\n", berth_server_error_string(server));
        remove_folder(&all);
        return 1;
    }

    berth_server *second = berth_server_new(NULL, NULL, NULL);
    all.right += !berth_server_listen_local(second, all.path, &options);
    printf("%s\n", berth_server_error_string(second));

    ask(&all);
    have_worker(&all);

    berth_loop_free(berth_server_loop(server));
    all.right += access(all.path, F_OK) != 0;
    remove_folder(&all);
    printf("%u of 4 as expected\n", all.right);
    return all.right == 4 ? 0 : 1;
}
