/*
 * The listeners of a pool: one port that all workers listen on, a Unix socket that they share, or
 * listening sockets that were passed to it.
 *
 * What a worker's server does it does on the worker's thread. Whoever wants it puts a request there
 * and waits (ask); so listening and closing return when each worker has done it.
 *
 * Passed listeners: every worker listens on a copy of its own of each listener that falls to it,
 * counted round; where there are fewer listeners than workers, several share one, and where there
 * are more, a worker's server has several. Until all workers have theirs nothing is accepted, and
 * the passed descriptors are the caller's; then they are closed. So a failure half-way needs no way
 * back: the copies are closed, and the sockets listen on with their backlogs.
 *
 * Who looks at the listeners from other threads holds the worker's lock, which the server holds
 * while they come and go (berth_server.guard).
 *
 * Ways to fail: one worker that cannot listen has the others close again. Copies need descriptors.
 */
#include "workers.h"

#include "base/local_name.h"
#include "base/memory.h"
#include "base/sized.h"
#include "base/system.h"
#include "base/system_error.h"
#include "base/text.h"
#include "loop/loop.h"
#include "server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- on the worker's thread ------------------------------------------------------------------ */

/* Lets the other workers' sockets share the port. What has SO_REUSEPORT since it was bound would
 * also share it with those of an earlier process. Returns an errno. */
static int admit_others(const berth_server *server)
{
    const int on = 1;
    for (const berth__listener *one = server->listener; one != NULL; one = one->other)
        if (BERTH__SYSTEM("setsockopt", setsockopt(one->descriptor, SOL_SOCKET, SO_REUSEPORT, &on,
                                                   sizeof on)) < 0)
            return errno;
    return 0;
}

/* The first worker's socket is alone on the port or is refused, unless its server shares it by the
 * program's wish. Leaves the port, or the error, in the pool: its thread waits meanwhile. */
static void listen_there(berth_worker *worker)
{
    berth_server *server = worker->server;
    berth_workers *workers = worker->workers;
    bool shares = berth_server_reuse_port(server);
    bool alone = worker->number == 0 && !shares;
    berth_server_set_reuse_port(server, !alone);
    bool listens = berth_server_listen(server, workers->address, workers->wanted);
    berth_server_set_reuse_port(server, shares);
    int error = listens && alone && workers->count > 1 ? admit_others(server) : 0;
    if (listens && error == 0) {
        workers->wanted = berth_server_port(server);
        return;
    }
    workers->failed = true;
    if (!listens) {
        berth__workers_set_error(workers, berth_server_error(server), "%s",
                                 berth_server_error_string(server));
        return;
    }
    char endpoint[BERTH_ENDPOINT_TEXT_SIZE];
    berth_endpoint_format(workers->address, workers->wanted, endpoint, sizeof endpoint);
    berth__workers_set_error(workers, berth__class_of(error),
                             "cannot listen on %s: cannot share the port among the workers: %s",
                             endpoint, berth__reason_of(error));
}

/* Returns an errno. */
static int adopt_copy(berth_server *server, int passed)
{
    int copy = BERTH__SYSTEM("fcntl", fcntl(passed, F_DUPFD_CLOEXEC, 0));
    if (copy < 0)
        return errno;
    int error = berth__server_adopt_listener(server, copy);
    if (error != 0)
        (void)close(copy);
    return error;
}

static void adopt_there(berth_worker *worker)
{
    berth_workers *workers = worker->workers;
    berth_server *server = worker->server;
    size_t step = (size_t)workers->count;
    size_t most = workers->passed_count > step ? workers->passed_count : step;
    bool drained = berth__drain_forbids(server); /* begun by the program, or since the call */
    bool own = server->listener != NULL || server->bind != NULL;
    server->withheld = true;
    for (size_t i = (size_t)worker->number; i < most; i += step) {
        int passed = workers->passed[i % workers->passed_count];
        int error = drained || own ? EALREADY : adopt_copy(server, passed);
        if (error == 0)
            continue;
        workers->failed = true;
        berth__workers_set_error(workers,
                                 error == EALREADY ? BERTH_ERROR_OPERATION : berth__class_of(error),
                                 "cannot listen on descriptor %d: %s", passed,
                                 drained ? "the server is being drained"
                                 : own   ? "the worker is already listening"
                                         : berth__reason_of_passed(error));
        return;
    }
    if (worker->number == 0)
        workers->wanted = berth_server_port(server);
}

/* The first worker makes the socket, and owns its file; the others share it. */
static void listen_local_there(berth_worker *worker)
{
    berth_workers *workers = worker->workers;
    berth_server *server = worker->server;
    if (worker->number > 0) {
        adopt_there(worker);
        return;
    }
    server->withheld = true;
    if (berth_server_listen_local(server, workers->path, &workers->local_options)) {
        workers->made = server->listener->descriptor;
        workers->wanted = 0;
        return;
    }
    workers->failed = true;
    berth__workers_set_error(workers, berth_server_error(server), "%s",
                             berth_server_error_string(server));
}

static void accept_there(berth_worker *worker)
{
    worker->server->withheld = false;
    berth__server_pace(worker->server);
}

static void close_there(berth_worker *worker)
{
    berth_server_close(worker->server);
    worker->server->withheld = false;
}

/* Between two turns, or a task: a handler may be running a loop of its own. Without the lock, since
 * listening through a proxy waits, and handlers that hand over run meanwhile; one of them may come
 * here again. */
void berth__worker_answer(void *user)
{
    berth_worker *worker = user;
    if (worker->answering || berth__pool_is_copy(worker->workers))
        return;
    pthread_mutex_lock(&worker->lock);
    /* When the worker has ended nobody waits for it any more. */
    bool ready = berth__worker_state_of(worker) == BERTH__WORKER_READY;
    void (*request)(berth_worker *) = ready ? worker->request : NULL;
    pthread_mutex_unlock(&worker->lock);
    if (request == NULL)
        return;
    worker->answering = true;
    request(worker);
    worker->answering = false;
    if (berth__pool_is_copy(worker->workers))
        return; /* a handler has forked */
    pthread_mutex_lock(&worker->lock);
    worker->request = NULL;
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
}

/* ---- on the pool's thread -------------------------------------------------------------------- */

/* Has it done on the worker's thread, and waits for that. False if the worker has ended. Needs no
 * memory, so that listening can always be undone: without it the task is missing, and a handler
 * that turns the loop has to return first. */
static bool ask(berth_worker *worker, void (*what)(berth_worker *worker))
{
    pthread_mutex_lock(&worker->lock);
    worker->request = what;
    if (berth__worker_state_of(worker) == BERTH__WORKER_READY &&
        !berth_loop_post(worker->loop, berth__worker_answer, worker))
        berth_loop_wake(worker->loop);
    while (worker->request != NULL && berth__worker_state_of(worker) == BERTH__WORKER_READY)
        pthread_cond_wait(&worker->changed, &worker->lock);
    bool done = worker->request == NULL;
    worker->request = NULL;
    pthread_mutex_unlock(&worker->lock);
    return done;
}

static void close_everywhere(berth_workers *workers)
{
    for (int i = 0; i < workers->count; i++)
        ask(workers->workers[i], close_there);
    workers->listening = false;
    workers->port = 0;
}

/* Has all workers listen, and sets the error if one cannot. */
static bool listen_everywhere(berth_workers *workers, const char *place,
                              void (*how)(berth_worker *worker))
{
    workers->failed = false;
    for (int i = 0; i < workers->count; i++) {
        if (ask(workers->workers[i], how) && !workers->failed)
            continue;
        if (!workers->failed)
            berth__workers_set_error(workers, BERTH_ERROR_OPERATION,
                                     "cannot listen on %s: worker %d has ended", place, i + 1);
        close_everywhere(workers);
        return false;
    }
    workers->listening = true;
    workers->port = workers->wanted;
    return true;
}

static bool may_listen(berth_workers *workers, const char *place)
{
    if (berth__workers_is_copy(workers, "listen with the workers") ||
        berth__workers_is_own_thread(workers))
        return false;
    const char *reason = !workers->started                    ? "the workers are not started"
                         : atomic_load(&workers->drain.begun) ? "the workers are being drained"
                         : workers->listening                 ? "already listening"
                                                              : NULL;
    if (reason == NULL)
        return true;
    berth__workers_set_error(workers, BERTH_ERROR_OPERATION, "cannot listen on %s: %s", place,
                             reason);
    return false;
}

bool berth_workers_listen(berth_workers *workers, berth_address address, uint16_t port)
{
    char place[BERTH_ENDPOINT_TEXT_SIZE];
    berth_endpoint_format(address, port, place, sizeof place);
    if (!may_listen(workers, place))
        return false;
    workers->address = address;
    workers->wanted = port;
    return listen_everywhere(workers, place, listen_there);
}

/* Whether the descriptors are open and different: else a copy of one may get the number of another,
 * and what is closed afterwards would be the copy. Sets the error. */
static bool may_pass(berth_workers *workers, const int *descriptors, size_t count)
{
    if (count == 0)
        berth__workers_set_error(workers, BERTH_ERROR_OPERATION,
                                 "cannot listen: no descriptor was passed");
    for (size_t i = 0; i < count; i++) {
        if (BERTH__SYSTEM("fcntl", fcntl(descriptors[i], F_GETFD)) < 0) {
            berth__workers_set_error(workers, berth__class_of(errno),
                                     "cannot listen on descriptor %d: %s", descriptors[i],
                                     berth__reason_of(errno));
            return false;
        }
        for (size_t j = 0; j < i; j++) {
            if (descriptors[i] != descriptors[j])
                continue;
            berth__workers_set_error(workers, BERTH_ERROR_OPERATION,
                                     "cannot listen on descriptor %d: passed twice",
                                     descriptors[i]);
            return false;
        }
    }
    return count > 0;
}

bool berth_workers_set_descriptors(berth_workers *workers, const int *descriptors, size_t count)
{
    static const char place[] = "the passed descriptors";
    if (!may_listen(workers, place) || !may_pass(workers, descriptors, count))
        return false;
    workers->passed = descriptors;
    workers->passed_count = count;
    bool listens = listen_everywhere(workers, place, adopt_there);
    workers->passed = NULL;
    for (int i = 0; listens && i < workers->count; i++)
        ask(workers->workers[i], accept_there);
    for (size_t i = 0; listens && i < count; i++)
        (void)close(descriptors[i]);
    return listens;
}

bool berth_workers_listen_local_sized(berth_workers *workers, const char *path,
                                      const berth_local_options *options, size_t size)
{
    char place[BERTH__LOCAL_ESCAPED_SIZE];
    if (!may_listen(workers, berth__escape(path != NULL ? path : "", place, sizeof place)))
        return false;
    berth__sized_get(&workers->local_options, sizeof workers->local_options, options, size);
    workers->path = path;
    workers->passed = &workers->made;
    workers->passed_count = 1;
    bool listens = listen_everywhere(workers, place, listen_local_there);
    workers->passed = NULL;
    workers->path = NULL;
    for (int i = 0; listens && i < workers->count; i++)
        ask(workers->workers[i], accept_there);
    return listens;
}

void berth_workers_close(berth_workers *workers)
{
    if (berth__workers_is_copy(workers, "close the workers' listeners")) {
        berth__workers_close_copies(workers);
        return;
    }
    if (!berth__workers_is_own_thread(workers))
        close_everywhere(workers);
}

uint16_t berth_workers_port(const berth_workers *workers)
{
    return berth_workers_drain_state(workers) <= BERTH_DRAIN_GRACE ? workers->port : 0;
}

/* A listener that was left open in a child would go on to be given connections. The servers of the
 * threads that are not there may have been anywhere: each is asked for its descriptors once, and
 * never touched. */
void berth__workers_close_copies(berth_workers *workers)
{
    for (int i = 0; i < workers->count; i++) {
        berth_worker *worker = workers->workers[i];
        const berth_server *server = worker->server;
        if (worker == berth__worker_here() && server != NULL) {
            if (worker->loop->inherited)
                berth_server_close(worker->server);
            continue;
        }
        const berth__listener *one = server != NULL ? server->listener : NULL;
        for (; one != NULL; one = one->other)
            if (one->descriptor >= 0)
                (void)close(one->descriptor);
        worker->server = NULL;
    }
    workers->listening = false;
    workers->port = 0;
}

/* ---- the descriptors ------------------------------------------------------------------------- */

/* Copies that are being made, of each socket one, whoever shares it. */
typedef struct copying {
    int *descriptors;
    size_t size;
    ino_t *sockets;
    size_t room;
    size_t count;
} copying;

static size_t listeners_of(berth_worker *worker)
{
    size_t count = 0;
    pthread_mutex_lock(&worker->lock);
    if (worker->counted != NULL)
        for (berth__listener *one = worker->counted->listener; one != NULL; one = one->other)
            count++;
    pthread_mutex_unlock(&worker->lock);
    return count;
}

bool berth__workers_listen(const berth_workers *workers)
{
    int i = 0;
    while (i < workers->count && listeners_of(workers->workers[i]) == 0)
        i++;
    return i < workers->count;
}

/* Returns an errno. */
static int copy_one(copying *copies, int descriptor)
{
    struct stat facts;
    if (BERTH__SYSTEM("fstat", fstat(descriptor, &facts)) != 0)
        return errno;
    for (size_t i = 0; i < copies->count; i++)
        if (copies->sockets[i] == facts.st_ino)
            return 0;
    if (copies->count == copies->room)
        return 0; /* has come since */
    if (copies->count < copies->size) {
        int copy = BERTH__SYSTEM("fcntl", fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
        if (copy < 0)
            return errno;
        copies->descriptors[copies->count] = copy;
    }
    copies->sockets[copies->count++] = facts.st_ino;
    return 0;
}

static int copy_of(berth_worker *worker, copying *copies)
{
    int error = 0;
    pthread_mutex_lock(&worker->lock);
    berth__listener *one = worker->counted != NULL ? worker->counted->listener : NULL;
    for (; one != NULL && error == 0; one = one->other)
        error = copy_one(copies, one->descriptor);
    pthread_mutex_unlock(&worker->lock);
    return error;
}

static int copy_all(const berth_workers *workers, copying *copies)
{
    for (int i = 0; i < workers->count; i++)
        copies->room += listeners_of(workers->workers[i]);
    if (copies->room == 0)
        return 0;
    copies->sockets = berth__allocate(copies->room * sizeof *copies->sockets);
    int error = copies->sockets != NULL ? 0 : ENOMEM;
    for (int i = 0; i < workers->count && error == 0; i++)
        error = copy_of(workers->workers[i], copies);
    if (error == 0 && copies->count > copies->size)
        error = ERANGE;
    for (size_t i = 0; error != 0 && i < copies->count && i < copies->size; i++)
        (void)close(copies->descriptors[i]);
    berth__release(copies->sockets);
    return error;
}

bool berth_workers_descriptors(const berth_workers *workers,
                               int *ret_descriptors, /* NOLINT(readability-non-const-parameter) */
                               size_t size, size_t *ret_count)
{
    copying copies = {.descriptors = ret_descriptors, .size = size};
    int error = ECHILD;
    if (!berth__pool_is_copy(workers))
        error = copy_all(workers, &copies);
    *ret_count = copies.count;
    if (error != 0)
        errno = error;
    return error == 0;
}

void berth__workers_succeed(berth_workers *workers, berth__succession from, berth__succession to)
{
    for (int i = 0; i < workers->count; i++) {
        berth_worker *worker = workers->workers[i];
        pthread_mutex_lock(&worker->lock);
        if (worker->counted != NULL)
            berth__server_succeed(worker->counted, from, to);
        pthread_mutex_unlock(&worker->lock);
    }
}
