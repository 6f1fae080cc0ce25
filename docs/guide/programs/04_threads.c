/*
 * A server whose connections are served on other threads. The listening thread accepts. Its
 * incoming_connection hands each descriptor to a pool of two workers, where the worker with the
 * fewest connections serves it on its own thread and loop. Objects are never shared between
 * threads; only descriptors are passed.
 *
 * Eight clients on the listening thread ask which worker serves them, and stay connected until all
 * have been answered. The exit status is 0 if each worker served half of them.
 */
#include <stdio.h>
#include <unistd.h>

#include <berth/berth.h>

#define CLIENTS 8
#define WORKERS 2

/* ---- on a worker's thread -------------------------------------------------------------------- */

static void serve(berth_worker *worker, berth_socket *socket, void *user)
{
    static const berth_socket_handlers handlers = {.disconnected = berth_socket_free_in_handler};
    char answer[32];
    int length = snprintf(answer, sizeof(answer), "%d\n", berth_worker_number(worker));
    berth_socket_set_handlers(socket, &handlers, user);
    berth_socket_write(socket, answer, (size_t)length);
}

/* ---- on the listening thread ----------------------------------------------------------------- */

typedef struct office {
    berth_workers *workers;
    int answered;
    int answers[WORKERS];
} office;

static void hand_over(berth_server *server, int descriptor, void *user)
{
    (void)server;
    office *all = user;
    if (!berth_workers_hand_over(all->workers, descriptor))
        close(descriptor); /* we still own it */
}

static void read_answer(berth_socket *socket, void *user)
{
    office *all = user;
    char answer[32];
    if (berth_socket_can_read_line(socket) &&
        berth_socket_read_line(socket, answer, sizeof(answer)) == 2 && answer[0] >= '0' &&
        answer[0] < '0' + WORKERS) {
        all->answers[answer[0] - '0']++;
        if (++all->answered == CLIENTS)
            berth_loop_stop(NULL, 0);
    }
}

int main(void)
{
    static const berth_workers_handlers working = {.connection = serve};
    static const berth_server_handlers serving = {.incoming_connection = hand_over};
    static const berth_socket_handlers asking = {.ready_read = read_answer};
    static office all;
    all.workers = berth_workers_new(WORKERS, &working, NULL);
    if (!all.workers || !berth_workers_start(all.workers)) {
        fprintf(stderr, "%s\n", berth_workers_error_string(all.workers));
        return 1;
    }
    berth_server *server = berth_server_new(NULL, &serving, &all);
    if (!server || !berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0)) {
        fprintf(stderr, "%s\n", berth_server_error_string(server));
        return 1;
    }
    for (int i = 0; i < CLIENTS; i++) {
        berth_socket *client = berth_socket_new(NULL, &asking, &all);
        if (!client || !berth_socket_connect_to_address(client, BERTH_ADDRESS_LOOPBACK,
                                                        berth_server_port(server))) {
            fprintf(stderr, "%s\n", berth_socket_error_string(client));
            return 1;
        }
    }
    berth_loop_run(NULL);

    berth_server_free(server); /* nothing is handed over any more */
    berth_workers_free(all.workers);
    printf("answers: %d of worker 0, %d of worker 1\n", all.answers[0], all.answers[1]);
    return all.answers[0] == CLIENTS / 2 && all.answers[1] == CLIENTS / 2 ? 0 : 1;
}
