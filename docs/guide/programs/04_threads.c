/*
 * A server whose connections live on other threads. The listening thread accepts; its
 * incoming_connection hands each descriptor to one of two workers in turn; the worker, a thread
 * with a loop of its own, makes a socket of it and serves it. No object is ever touched by two
 * threads: what crosses over is a number, in a task that is posted.
 *
 * Eight clients, in the listening thread, ask who serves them. The exit status says whether all
 * were answered, by both workers.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <berth/berth.h>

#define CLIENTS 8
#define WORKERS 2

typedef struct worker {
    pthread_t thread;
    sem_t ready;
    berth_loop *loop;
    int number;
} worker;

/* What is handed over: a descriptor, and who gets it. */
typedef struct parcel {
    int descriptor;
    int worker;
} parcel;

/* ---- on a worker's thread -------------------------------------------------------------------- */

static void serve(void *user)
{
    static const berth_socket_handlers handlers = {.disconnected = berth_socket_free_in_handler};
    parcel *given = user;
    char answer[32];
    int length = snprintf(answer, sizeof(answer), "%d\n", given->worker);
    berth_socket *socket = berth_socket_new(NULL, &handlers, NULL); /* of this thread's own loop */
    if (socket && berth_socket_set_descriptor(socket, given->descriptor)) {
        berth_socket_write(socket, answer, (size_t)length);
        berth_socket_disconnect_from_host(socket);
    } else {
        berth_socket_free(socket);
        close(given->descriptor); /* still ours */
    }
    free(given);
}

static void leave(void *user)
{
    (void)user;
    berth_loop_stop(NULL, 0);
}

static void *work(void *user)
{
    worker *self = user;
    self->loop = berth_loop_current();
    sem_post(&self->ready);
    if (self->loop)
        berth_loop_run(NULL);
    return NULL; /* the thread's own loop is freed with everything in it */
}

/* ---- on the listening thread ----------------------------------------------------------------- */

typedef struct office {
    worker workers[WORKERS];
    int accepted;
    int ended;
    int answers[WORKERS];
} office;

static void hand_over(berth_server *server, int descriptor, void *user)
{
    (void)server;
    office *all = user;
    worker *chosen = &all->workers[all->accepted++ % WORKERS];
    parcel *given = malloc(sizeof(*given));
    if (given)
        *given = (parcel){.descriptor = descriptor, .worker = chosen->number};
    if (!given || !berth_loop_post(chosen->loop, serve, given)) {
        free(given);
        close(descriptor);
    }
}

static void read_answer(berth_socket *socket, void *user)
{
    office *all = user;
    char answer[32];
    if (berth_socket_can_read_line(socket) &&
        berth_socket_read_line(socket, answer, sizeof(answer)) == 2 && answer[0] >= '0' &&
        answer[0] < '0' + WORKERS)
        all->answers[answer[0] - '0']++;
}

static void count_end(berth_socket *socket, void *user)
{
    office *all = user;
    berth_socket_free(socket);
    if (++all->ended == CLIENTS)
        berth_loop_stop(NULL, 0);
}

static bool start(worker *self, int number)
{
    self->number = number;
    sem_init(&self->ready, 0, 0);
    if (pthread_create(&self->thread, NULL, work, self) != 0)
        return false;
    sem_wait(&self->ready);
    return self->loop != NULL;
}

/* A posted task is the last that may touch a loop which ends by it. */
static void finish(worker *self)
{
    berth_loop_post(self->loop, leave, NULL);
    pthread_join(self->thread, NULL);
    sem_destroy(&self->ready);
}

int main(void)
{
    static const berth_server_handlers serving = {.incoming_connection = hand_over};
    static const berth_socket_handlers asking = {.ready_read = read_answer,
                                                 .disconnected = count_end};
    static office all;
    for (int i = 0; i < WORKERS; i++)
        if (!start(&all.workers[i], i))
            return 1;
    berth_server *server = berth_server_new(NULL, &serving, &all);
    if (!server || !berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0))
        return 1;
    for (int i = 0; i < CLIENTS; i++) {
        berth_socket *client = berth_socket_new(NULL, &asking, &all);
        if (!client || !berth_socket_connect_to_address(client, BERTH_ADDRESS_LOOPBACK,
                                                        berth_server_port(server)))
            return 1;
    }
    berth_loop_run(NULL);

    berth_server_free(server);
    for (int i = 0; i < WORKERS; i++)
        finish(&all.workers[i]);
    printf("answers: %d of worker 0, %d of worker 1\n", all.answers[0], all.answers[1]);
    return all.answers[0] == CLIENTS / 2 && all.answers[1] == CLIENTS / 2 ? 0 : 1;
}
