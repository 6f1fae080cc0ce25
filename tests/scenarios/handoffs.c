/*
 * Hand-over of descriptors to threads that come and go.
 *
 *     handoffs [LIFE]
 *
 * Speaks the language of server.c: the port in the first line, `stats` and `quit` as commands, the
 * counts as JSON. The main thread accepts and hands each descriptor to one of 8 threads by posting
 * to its loop; the thread adopts it, and echoes until it ends. Each thread dies after LIFE (2000)
 * hand-overs, and another takes its place. What was posted to a thread that dies is run by the end
 * of its loop: those descriptors go into the orphans, which the main thread hands out anew.
 *
 * `accepted` are the descriptors that were handed out, `delivered` those that a thread has adopted,
 * `ended` those whose `disconnected` was called. Connections that a dying thread still has are its
 * to serve: it takes no new ones, and ends when it has none left.
 */
#include <berth/berth.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account.h"

enum {
    THREADS = 8,
    ORPHANS = 65536
};

/* A place for a thread; `open` says whether there is one that takes hand-overs, and as long as the
 * lock is held with it true the loop exists. */
typedef struct worker {
    pthread_mutex_t lock;
    pthread_t thread;
    berth_loop *loop;
    bool open;
    bool started;
    atomic_bool finished; /* the thread is about to return */
    long handed;          /* in this life */
    long connections;     /* of the thread's own */
    bool leaving;         /* the thread's own */
} worker;

typedef struct handoff {
    worker *worker;
    int descriptor;
} handoff;

static worker workers[THREADS];
static berth_loop *main_loop;
static berth_server *server;
static long life = 2000;
static atomic_ulong delivered, ended, rejected, orphaned, lives, late;
static unsigned long accepted, next_worker;
static pthread_mutex_t orphans_lock = PTHREAD_MUTEX_INITIALIZER;
static int orphans[ORPHANS];
static unsigned orphan_count;
static atomic_bool quitting; /* a thread that begins only then has nobody to tell it to leave */

/* ---- a thread's part ------------------------------------------------------------------------- */

static void leave_if_done(worker *worker)
{
    if (worker->leaving && worker->connections == 0)
        berth_loop_stop(worker->loop, 0);
}

static void echo(berth_socket *socket, void *user)
{
    (void)user;
    size_t size;
    const void *bytes;
    while ((bytes = berth_socket_view(socket, &size)) != NULL) {
        (void)berth_socket_write(socket, bytes, size);
        (void)berth_socket_skip(socket, size);
    }
}

static void disconnected(berth_socket *socket, void *user)
{
    worker *worker = user;
    atomic_fetch_add(&ended, 1);
    worker->connections--;
    berth_socket_free(socket);
    leave_if_done(worker);
}

static const berth_socket_handlers handlers = {.ready_read = echo, .disconnected = disconnected};

static void hand_back(int descriptor)
{
    (void)pthread_mutex_lock(&orphans_lock);
    if (orphan_count < ORPHANS) {
        orphans[orphan_count++] = descriptor;
    } else {
        (void)close(descriptor);
        atomic_fetch_add(&rejected, 1);
    }
    (void)pthread_mutex_unlock(&orphans_lock);
    atomic_fetch_add(&orphaned, 1);
}

/* On the worker's thread; when it is leaving, the task is one that came too late. */
static void take_over(void *user)
{
    handoff *handoff = user;
    worker *worker = handoff->worker;
    int descriptor = handoff->descriptor;
    free(handoff);
    if (worker->leaving) {
        hand_back(descriptor);
        return;
    }
    berth_socket *socket = berth_socket_new(worker->loop, &handlers, worker);
    if (socket == NULL || !berth_socket_set_descriptor(socket, descriptor)) {
        /* A peer that has reset already leaves a descriptor that is not connected. */
        berth_socket_free(socket);
        (void)close(descriptor);
        atomic_fetch_add(&rejected, 1);
        return;
    }
    worker->connections++;
    atomic_fetch_add(&delivered, 1);
}

static void leave(void *user)
{
    worker *worker = user;
    worker->leaving = true;
    leave_if_done(worker);
}

static void *work(void *user)
{
    worker *worker = user;
    (void)berth_loop_run(worker->loop);
    return NULL;
}

/* The loop is made here, as it has to be, by the thread that runs it. */
static void *live(void *user)
{
    worker *worker = user;
    worker->connections = 0;
    worker->leaving = false;
    berth_loop *loop = berth_loop_new(NULL);
    (void)pthread_mutex_lock(&worker->lock);
    worker->loop = loop;
    worker->handed = 0;
    bool open = loop != NULL && !atomic_load(&quitting);
    worker->open = open;
    (void)pthread_mutex_unlock(&worker->lock);
    if (open)
        (void)work(worker);
    (void)pthread_mutex_lock(&worker->lock);
    worker->open = false;
    (void)pthread_mutex_unlock(&worker->lock);
    worker->leaving = true;
    berth_loop_free(loop); /* runs what was posted to it meanwhile */
    atomic_fetch_add(&lives, 1);
    atomic_store(&worker->finished, true);
    return NULL;
}

/* ---- the main thread's part ------------------------------------------------------------------ */

static void start_worker(worker *worker)
{
    if (worker->started) {
        if (!atomic_load(&worker->finished))
            return;
        (void)pthread_join(worker->thread, NULL);
    }
    atomic_store(&worker->finished, false);
    worker->started = pthread_create(&worker->thread, NULL, live, worker) == 0;
}

static bool offer(worker *worker, handoff *handoff)
{
    (void)pthread_mutex_lock(&worker->lock);
    bool taken = false;
    if (worker->open) {
        handoff->worker = worker;
        taken = berth_loop_post(worker->loop, take_over, handoff);
        /* The one that dies goes on being offered to for a while: that is what is tried here. */
        if (taken && ++worker->handed == life)
            (void)berth_loop_post(worker->loop, leave, worker);
        if (worker->handed >= life + 20)
            worker->open = false;
    }
    (void)pthread_mutex_unlock(&worker->lock);
    return taken;
}

static void hand_out(int descriptor)
{
    handoff *fresh = malloc(sizeof *fresh);
    for (int tries = 0; fresh != NULL; tries++) {
        fresh->descriptor = descriptor;
        worker *worker = &workers[next_worker++ % THREADS];
        if (offer(worker, fresh))
            return;
        if (!atomic_load(&quitting))
            start_worker(worker);
        if (tries > THREADS) {
            (void)usleep(100);
            if (atomic_load(&quitting))
                break;
        }
    }
    free(fresh);
    (void)close(descriptor);
    atomic_fetch_add(&rejected, 1);
}

static void reclaim_orphans(void)
{
    for (;;) {
        (void)pthread_mutex_lock(&orphans_lock);
        int descriptor = orphan_count > 0 ? orphans[--orphan_count] : -1;
        (void)pthread_mutex_unlock(&orphans_lock);
        if (descriptor < 0)
            return;
        hand_out(descriptor);
    }
}

static void look_after_orphans(berth_timer *timer, void *user)
{
    (void)timer;
    (void)user;
    reclaim_orphans();
}

static void incoming_connection(berth_server *self, int descriptor, void *user)
{
    (void)self;
    (void)user;
    accepted++;
    hand_out(descriptor);
}

static void report(long descriptors)
{
    unsigned long became = atomic_load(&delivered), over = atomic_load(&ended);
    unsigned long refused = atomic_load(&rejected);
    (void)pthread_mutex_lock(&orphans_lock);
    unsigned long waiting = accepted - became - refused;
    (void)pthread_mutex_unlock(&orphans_lock);
    printf("{\"accepted\": %lu, \"delivered\": %lu, \"queued\": %lu, \"rejected\": %lu, "
           "\"failed\": 0, \"dropped\": 0, \"closed_pending\": 0, \"begun\": %lu, \"ended\": %lu, "
           "\"open\": %lu, \"orphaned\": %lu, "
           "\"lives\": %lu, \"late\": %lu, \"blocks\": %ld, \"descriptors\": %ld}\n",
           accepted, became, waiting, refused, became, over, became - over, atomic_load(&orphaned),
           atomic_load(&lives), atomic_load(&late), account_blocks(), descriptors);
    (void)fflush(stdout);
}

static void obey(void *user)
{
    if (user != NULL)
        report(-1);
    else
        berth_loop_stop(main_loop, 0);
}

static void *listen_to_driver(void *nothing)
{
    char line[64];
    while (fgets(line, sizeof line, stdin) != NULL && strncmp(line, "quit", 4) != 0)
        (void)berth_loop_post(main_loop, obey, line);
    (void)berth_loop_post(main_loop, obey, NULL);
    return nothing;
}

/* Lets every thread finish what it has, and hands out what they hand back until there is none. */
static void end_workers(void)
{
    atomic_store(&quitting, true);
    for (int i = 0; i < THREADS; i++) {
        worker *worker = &workers[i];
        (void)pthread_mutex_lock(&worker->lock);
        if (worker->open)
            (void)berth_loop_post(worker->loop, leave, worker);
        worker->open = false;
        (void)pthread_mutex_unlock(&worker->lock);
        if (worker->started)
            (void)pthread_join(worker->thread, NULL);
    }
    reclaim_orphans();
}

int main(int count, char **arguments)
{
    static const berth_server_handlers server_handlers = {.incoming_connection =
                                                              incoming_connection};
    if (count > 1)
        life = strtol(arguments[1], NULL, 10);
    account_begin();
    char reason[160];
    main_loop = berth_loop_new(NULL);
    if (main_loop == NULL) {
        (void)berth_loop_backend_available(getenv("BERTH_BACKEND"), reason, sizeof reason);
        (void)fprintf(stderr, "handoffs: cannot make a loop: %s\n", reason);
        return 77;
    }
    server = berth_server_new(main_loop, &server_handlers, NULL);
    if (server == NULL || !berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0))
        return 2;
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_mutex_init(&workers[i].lock, NULL);
        start_worker(&workers[i]);
    }
    berth_timer *timer = berth_timer_new(main_loop, look_after_orphans, NULL);
    berth_timer_start(timer, 5, 5);
    printf("{\"port\": %u, \"backend\": \"%s\"}\n", berth_server_port(server),
           berth_loop_backend_name(main_loop));
    (void)fflush(stdout);
    pthread_t thread;
    if (pthread_create(&thread, NULL, listen_to_driver, NULL) != 0)
        return 2;
    (void)berth_loop_run(main_loop);
    (void)pthread_join(thread, NULL);
    end_workers();
    berth_loop_free(main_loop);
    report(account_descriptors());
    return 0;
}
