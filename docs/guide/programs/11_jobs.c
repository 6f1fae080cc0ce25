/*
 * A server whose answers take long. It gives each request to a pool of two threads as a job, and
 * goes on serving the others meanwhile; when the job has ended, it answers.
 *
 * A client may go while its job runs. The job therefore works on memory that belongs to the
 * client's record and not to its socket, and the record lives until the job has ended. A client
 * that has a job is not read from: so nobody has more than one job in the queue.
 *
 * Eight clients ask for a sum each, and one more goes without waiting for its answer. The exit
 * status is 0 if all answers were right.
 */
#include <stdio.h>
#include <stdlib.h>

#include <berth/berth.h>

#define CLIENTS 8

typedef struct client {
    berth_socket *socket; /* NULL: it has gone */
    berth_job *job;       /* NULL: none */
    unsigned long number; /* from here on the job's, while there is one */
    unsigned long sum;
    bool complete; /* the sum is whole */
} client;

static berth_workers *workers;

/* ---- on a worker's thread -------------------------------------------------------------------- */

static void add_up(berth_job *job, void *user)
{
    client *one = user;
    one->sum = 0;
    one->complete = false;
    for (unsigned long i = 1; i <= one->number; i++) {
        if (i % 4096 == 0 && berth_job_cancel_requested(job))
            return; /* nobody wants the answer any more, or the pool is being stopped */
        one->sum += i;
    }
    one->complete = true;
}

/* ---- on the loop's thread -------------------------------------------------------------------- */

static void read_request(berth_socket *socket, void *user);

static void answer(berth_job *job, bool cancelled, void *user)
{
    (void)job; /* which ends with this call */
    client *one = user;
    one->job = NULL;
    if (!one->socket) {
        free(one);
        return;
    }
    if (cancelled || !one->complete) { /* the pool was stopped */
        berth_socket_abort(one->socket);
        return;
    }
    char line[32];
    int length = snprintf(line, sizeof(line), "%lu\n", one->sum);
    berth_socket_write(one->socket, line, (size_t)length);
    berth_socket_resume_reading(one->socket);
    read_request(one->socket, one); /* the next one may be here already */
}

static void read_request(berth_socket *socket, void *user)
{
    client *one = user;
    char line[32];
    if (one->job || !berth_socket_can_read_line(socket) ||
        berth_socket_read_line(socket, line, sizeof(line)) < 0)
        return;
    one->number = strtoul(line, NULL, 10);
    one->job = berth_workers_submit(workers, NULL, add_up, answer, one);
    if (one->job)
        berth_socket_pause_reading(socket);
    else
        berth_socket_abort(socket); /* out of memory */
}

static void gone(berth_socket *socket, void *user)
{
    client *one = user;
    one->socket = NULL;
    berth_socket_free(socket);
    if (one->job)
        berth_job_cancel(one->job); /* `answer` frees the record */
    else
        free(one);
}

static void serve(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.ready_read = read_request,
                                                   .disconnected = gone};
    (void)user;
    berth_socket *socket = berth_server_next_pending_connection(server);
    client *one = socket ? calloc(1, sizeof(*one)) : NULL;
    if (!one) {
        berth_socket_free(socket);
        return;
    }
    one->socket = socket;
    berth_socket_set_handlers(socket, &handlers, one);
    read_request(socket, one);
}

/* ---- clients --------------------------------------------------------------------------------- */

static int answered;
static int right;

static void read_answer(berth_socket *socket, void *user)
{
    unsigned long number = *(const unsigned long *)user;
    char line[32];
    if (!berth_socket_can_read_line(socket) ||
        berth_socket_read_line(socket, line, sizeof(line)) < 0)
        return;
    right += strtoul(line, NULL, 10) == number * (number + 1) / 2;
    if (++answered == CLIENTS)
        berth_loop_stop(NULL, 0);
}

static berth_socket *ask(berth_server *server, unsigned long *number)
{
    static const berth_socket_handlers handlers = {.ready_read = read_answer};
    char line[32];
    int length = snprintf(line, sizeof(line), "%lu\n", *number);
    berth_socket *socket = berth_socket_new(NULL, &handlers, number);
    if (!socket ||
        !berth_socket_connect_to_address(socket, BERTH_ADDRESS_LOOPBACK,
                                         berth_server_port(server)) ||
        !berth_socket_wait_for_connected(socket, 5000)) {
        fprintf(stderr, "%s\n", berth_socket_error_string(socket));
        return NULL;
    }
    berth_socket_write(socket, line, (size_t)length);
    return socket;
}

int main(void)
{
    static const berth_server_handlers serving = {.new_connection = serve};
    static unsigned long numbers[CLIENTS + 1];
    workers = berth_workers_new(2, NULL, NULL);
    if (!workers || !berth_workers_start(workers)) {
        fprintf(stderr, "%s\n", berth_workers_error_string(workers));
        return 1;
    }
    berth_server *server = berth_server_new(NULL, &serving, NULL);
    if (!server || !berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0)) {
        fprintf(stderr, "%s\n", berth_server_error_string(server));
        return 1;
    }
    for (int i = 0; i <= CLIENTS; i++) {
        numbers[i] = 1000000 * (unsigned long)(CLIENTS + 1 - i);
        berth_socket *socket = ask(server, &numbers[i]);
        if (!socket)
            return 1;
        if (i == 0)
            berth_socket_disconnect_from_host(socket); /* sends the output first */
    }
    berth_loop_run(NULL);

    berth_server_free(server);             /* its clients go, and cancel their jobs */
    berth_workers_free(workers);           /* waits for what is still running */
    berth_loop_free(berth_loop_current()); /* calls `answer` for it */
    printf("%d of %d answers were right\n", right, CLIENTS);
    return right == CLIENTS ? 0 : 1;
}
