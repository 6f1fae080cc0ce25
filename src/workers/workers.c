/*
 * A pool of workers: threads with a loop each, how connections come to them, and how they end.
 *
 * Handing over: the worker with the fewest connections is chosen by counters that each live on
 * cache lines of their own; its lock is taken, the descriptor put into its inbox, and a task posted
 * if the inbox was empty. So a burst of connections costs one task and one wake, and no memory once
 * the inbox has grown. The task swaps the inbox for an empty one, and has the worker's server adopt
 * what is in it, as if it had accepted it. A connection counts from when it is handed over to when
 * its socket is freed or detached, which the socket reports (berth_socket.ended).
 *
 * Ending: the pool sets `leaving` and wakes the loops. Each thread closes its inbox under the lock,
 * so that whoever hands over either comes before, and his descriptor is closed here, or is refused;
 * then it calls `stopping`, and frees the server and the loop. The threads run turns, not
 * berth_loop_run, because a handler's berth_loop_stop would end that.
 *
 * Ways to fail: a thread, loop or server that cannot be made, or a `started` that refuses, fails
 * the start, and the workers before it are stopped again. A task that cannot be posted leaves the
 * descriptor with the caller. A worker whose loop breaks ends by itself, and the others go on.
 *
 * Fork: a child has no pool, also where a handler has forked and the child has taken over the loop
 * of its worker. The thread goes on with that loop, touches no lock, and closes its copies of what
 * was handed over.
 */
#include "workers.h"

#include <berth/tls.h>

#include "base/memory.h"
#include "base/system_error.h"
#include "loop/loop.h"
#include "loop/object.h"
#include "loop/process.h"
#include "server/server.h"
#include "socket/socket.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SLOT(workers, slot) \
    BERTH__SLOT((workers)->handlers, (workers)->handlers_size, berth_workers_handlers, slot)

void berth__workers_set_error(berth_workers *workers, berth_error error, const char *format, ...)
{
    workers->error = error;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(workers->text, sizeof workers->text, format, arguments);
    va_end(arguments);
}

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
#define MOST_WORKERS TEXT(BERTH_MOST_WORKERS)

static _Thread_local const berth_worker *worker_here;

const berth_worker *berth__worker_here(void)
{
    return worker_here;
}

/* The error of the pool is left alone: the pool's thread may be reading it. */
bool berth__workers_is_own_thread(const berth_workers *workers)
{
    if (worker_here == NULL || worker_here->workers != workers)
        return false;
    errno = EDEADLK;
    return true;
}

berth_error berth_workers_error(const berth_workers *workers)
{
    return workers != NULL ? workers->error : berth__class_of(errno);
}

const char *berth_workers_error_string(const berth_workers *workers)
{
    if (workers != NULL)
        return workers->text;
    /* Nobody knows which call has set it. */
    return errno == EINVAL ? "invalid argument (a pool has 1 to " MOST_WORKERS " workers)"
                           : berth__reason_of(errno);
}

/* The threads of a copy are not in this process, and whatever they had in their hands is out of
 * reach. */
bool berth__workers_is_copy(berth_workers *workers, const char *what)
{
    if (!berth__pool_is_copy(workers))
        return false;
    berth__workers_set_error(
        workers, berth__class_of(ECHILD),
        "cannot %s: after fork they belong to the parent, and their threads do not exist here",
        what);
    errno = ECHILD;
    return true;
}

/* ---- state and counters ---------------------------------------------------------------------- */

/* Under the lock, or while there is no thread. */
static void move_on(berth_worker *worker, berth__worker_state state)
{
    berth__worker_state from = berth__worker_state_of(worker);
    assert(state == BERTH__WORKER_IDLE
               ? from == BERTH__WORKER_ENDED || from == BERTH__WORKER_STARTING
               : state > from);
    (void)from;
    atomic_store_explicit(&worker->state, (int)state, memory_order_relaxed);
    pthread_cond_broadcast(&worker->changed);
}

static size_t connections_of(const berth_worker *worker)
{
    size_t ended = atomic_load_explicit(&worker->ended, memory_order_relaxed);
    size_t given = atomic_load_explicit(&worker->given, memory_order_relaxed);
    /* The two are not read at one moment. */
    return given > ended ? given - ended : 0;
}

static void count_ended(berth_worker *worker)
{
    berth__socket_count_end(&worker->ended);
}

int berth_workers_count(const berth_workers *workers)
{
    return workers->count;
}

size_t berth_workers_connections(const berth_workers *workers, int number)
{
    bool exists = number >= 0 && number < workers->count;
    return exists ? connections_of(workers->workers[number]) : 0;
}

int berth_worker_number(const berth_worker *worker)
{
    return worker->number;
}

berth_loop *berth_worker_loop(const berth_worker *worker)
{
    BERTH__OWN_THREAD(worker->loop);
    return worker->loop;
}

berth_server *berth_worker_server(const berth_worker *worker)
{
    BERTH__OWN_THREAD(worker->loop);
    return worker->server;
}

void *berth_worker_user(const berth_worker *worker)
{
    BERTH__OWN_THREAD(worker->loop);
    return worker->user;
}

void berth_worker_set_user(berth_worker *worker, void *user)
{
    BERTH__OWN_THREAD(worker->loop);
    worker->user = user;
}

/* ---- connections, on the worker's thread ----------------------------------------------------- */

static void announce_failure(berth_worker *worker, berth_error error)
{
    if (SLOT(worker->workers, failed) != NULL)
        worker->workers->handlers->failed(worker, error, worker->user);
}

static void serve(berth_worker *worker, berth_socket *socket)
{
    socket->of_worker = true;
    if (SLOT(worker->workers, connection) != NULL)
        worker->workers->handlers->connection(worker, socket, worker->user);
    else
        berth_socket_free(socket);
}

static void accepted(berth_server *server, void *user)
{
    berth_worker *worker = user;
    berth_socket *socket = berth_server_base_next_pending_connection(server);
    if (socket == NULL) {
        announce_failure(worker, berth_server_error(server));
        return;
    }
    atomic_fetch_add_explicit(&worker->given, 1, memory_order_relaxed);
    serve(worker, socket);
}

static void accept_failed(berth_server *server, berth_error error, void *user)
{
    (void)server;
    announce_failure(user, error);
}

static void handshake_failed(berth_server *server, const berth_tls_failure *failure, void *user)
{
    berth_worker *worker = user;
    (void)server;
    if (SLOT(worker->workers, handshake_failed) != NULL)
        worker->workers->handlers->handshake_failed(worker, failure, worker->user);
    else
        announce_failure(worker, failure->error);
}

static berth_tls *client_hello(berth_server *server, const berth_tls_hello *hello, void *user)
{
    berth_worker *worker = user;
    return SLOT(worker->workers, client_hello) != NULL
               ? worker->workers->handlers->client_hello(worker, hello, worker->user)
               : berth_server_base_client_hello(server, hello);
}

/* One that shakes hands first is counted again when that is over, by `accepted`: nobody says what
 * has become of all those that never come so far. */
static void adopt(berth_worker *worker, int descriptor)
{
    uint64_t failed = worker->server->owner.counts.failed;
    berth_server_base_incoming_connection(worker->server, descriptor);
    if (berth__pool_drain_is_late(worker->workers) && berth__drain_force_pending(worker->server)) {
        worker->forced = true; /* the server's own drain may begin later, or anew */
        count_ended(worker);
        return;
    }
    if (berth__server_encrypts(worker->server) && worker->server->owner.counts.failed == failed) {
        count_ended(worker);
        return;
    }
    berth_socket *socket = berth_server_base_next_pending_connection(worker->server);
    if (socket != NULL) {
        serve(worker, socket);
        return;
    }
    count_ended(worker);
    announce_failure(worker, berth_server_error(worker->server));
}

/* Swaps the inbox for the one that was used before, which is empty. */
static void take_inbox(berth_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    berth__inbox full = worker->inbox;
    worker->inbox = worker->taken;
    worker->taken = full;
    pthread_mutex_unlock(&worker->lock);
}

/* In a child they are copies of connections that the parent serves. */
static void adopt_taken(berth_worker *worker)
{
    berth__inbox *taken = &worker->taken;
    while (taken->first < taken->count) {
        int descriptor = taken->descriptors[taken->first++];
        if (berth__pool_is_copy(worker->workers))
            (void)close(descriptor);
        else
            adopt(worker, descriptor);
    }
    taken->first = taken->count = 0;
}

/* A task. A handler that turns the loop may have the next one run inside this one: that goes on
 * with what was taken before. */
static void empty_inbox(void *user)
{
    berth_worker *worker = user;
    adopt_taken(worker);
    if (berth__pool_is_copy(worker->workers))
        return;
    take_inbox(worker);
    adopt_taken(worker);
}

/* ---- handing over ---------------------------------------------------------------------------- */

static bool inbox_put(berth__inbox *inbox, int descriptor)
{
    if (inbox->count == inbox->capacity) {
        size_t capacity = inbox->capacity > 0 ? 2 * inbox->capacity : 16;
        int *larger = berth__reallocate(inbox->descriptors, capacity * sizeof *larger);
        if (larger == NULL)
            return false;
        inbox->descriptors = larger;
        inbox->capacity = capacity;
    }
    inbox->descriptors[inbox->count++] = descriptor;
    return true;
}

/* Returns an errno. */
static int give(berth_worker *worker, int descriptor)
{
    int error = 0;
    pthread_mutex_lock(&worker->lock);
    if (berth__worker_state_of(worker) != BERTH__WORKER_READY || atomic_load(&worker->emptied)) {
        error = ESHUTDOWN;
    } else if (!inbox_put(&worker->inbox, descriptor)) {
        error = ENOMEM;
    } else if (worker->inbox.count == 1 && !berth_loop_post(worker->loop, empty_inbox, worker)) {
        worker->inbox.count = 0;
        error = ENOMEM;
    } else {
        atomic_fetch_add_explicit(&worker->given, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&worker->lock);
    return error;
}

static berth_worker *least_busy(berth_workers *workers)
{
    berth_worker *chosen = NULL;
    size_t fewest = SIZE_MAX;
    for (int i = 0; i < workers->count; i++) {
        berth_worker *worker = workers->workers[i];
        size_t connections = connections_of(worker);
        if (connections < fewest && berth__worker_state_of(worker) == BERTH__WORKER_READY &&
            !atomic_load_explicit(&worker->emptied, memory_order_relaxed)) {
            chosen = worker;
            fewest = connections;
        }
    }
    return chosen;
}

bool berth_workers_hand_over(berth_workers *workers, int descriptor)
{
    if (berth__workers_is_copy(workers, "hand over to the workers"))
        return false;
    int error = descriptor < 0 ? EBADF : ESHUTDOWN;
    while (error == ESHUTDOWN && !berth__pool_drain_is_late(workers)) {
        berth_worker *worker = least_busy(workers);
        if (worker == NULL)
            break;
        /* The one chosen may have ended since. */
        error = give(worker, descriptor);
    }
    if (error != 0)
        errno = error;
    return error == 0;
}

/* ---- a worker's thread ----------------------------------------------------------------------- */

static const berth_server_handlers server_handlers = {
    .new_connection = accepted,
    .accept_error = accept_failed,
    .emptied = berth__worker_emptied,
    .client_hello = client_hello,
    .handshake_failed = handshake_failed,
};

/* Returns an errno. */
static int set_up(berth_worker *worker)
{
    worker->user = worker->workers->user;
    worker->drains = worker->forced = false;
    worker->drain_round = atomic_load(&worker->workers->drain.round);
    worker->loop = berth_loop_current();
    if (worker->loop == NULL)
        return errno;
    worker->loop->ended = &worker->ended;
    worker->server = berth_server_new(worker->loop, &server_handlers, worker);
    if (worker->server == NULL)
        return errno;
    pthread_mutex_lock(&worker->lock);
    worker->server->guard = &worker->lock;
    worker->counted = worker->server;
    pthread_mutex_unlock(&worker->lock);
    berth__jobs_join(worker);
    bool (*started)(berth_worker *, void *) = SLOT(worker->workers, started);
    return started == NULL || started(worker, worker->user) ? 0 : ECANCELED;
}

/* Says what has become of the start; or, the inbox being closed by that, of the end. */
static void report(berth_worker *worker, berth__worker_state state)
{
    if (berth__pool_is_copy(worker->workers))
        return; /* a handler has forked */
    pthread_mutex_lock(&worker->lock);
    move_on(worker, state);
    pthread_mutex_unlock(&worker->lock);
}

static void close_all(berth_worker *worker, berth__inbox *inbox)
{
    berth__backend *backend = worker->loop->backend;
    while (inbox->first < inbox->count) {
        backend->operations->discard(backend, inbox->descriptors[inbox->first++]);
        count_ended(worker);
    }
    inbox->first = inbox->count = 0;
}

static void tear_down(berth_worker *worker)
{
    berth_server *server = worker->server;
    worker->server = NULL;
    if (server != NULL) {
        berth__enter(&server->object);
        berth_server_free(server);
        berth__worker_keep_counts(worker);
        berth__leave(&server->object);
    }
    berth_loop_free(worker->loop);
    worker->loop = NULL;
}

/* For tools that list threads; without a name it works as well. */
static void name_thread(const berth_worker *worker)
{
    char name[24];
    snprintf(name, sizeof name, "berth-%d", worker->number);
    (void)pthread_setname_np(pthread_self(), name);
}

/* A child that has taken the loop over goes on with it, whatever the pool does. */
static bool goes_on(const berth_worker *worker)
{
    return !worker->loop->broken && !worker->loop->inherited &&
           (!atomic_load(&worker->workers->leaving) || berth__pool_is_copy(worker->workers));
}

static void *work(void *argument)
{
    berth_worker *worker = argument;
    worker_here = worker;
    name_thread(worker);
    worker->start_error = set_up(worker);
    if (worker->start_error != 0) {
        if (worker->server != NULL)
            berth__jobs_leave(worker);
        tear_down(worker);
        report(worker, BERTH__WORKER_ENDED);
        return NULL;
    }
    report(worker, BERTH__WORKER_READY);
    while (goes_on(worker)) {
        berth_loop_turn(worker->loop, berth__jobs_run(worker));
        berth__worker_answer(worker);
        berth__worker_drain(worker);
    }
    if (berth__pool_is_copy(worker->workers))
        return NULL; /* a handler has forked, and this is the child's only thread */
    report(worker, BERTH__WORKER_ENDED);
    berth__jobs_leave(worker);
    close_all(worker, &worker->inbox);
    close_all(worker, &worker->taken);
    berth_server_close(worker->server);
    berth__awaited_settle(worker->loop);
    if (SLOT(worker->workers, stopping) != NULL)
        worker->workers->handlers->stopping(worker, worker->user);
    tear_down(worker);
    berth__worker_drained(worker); /* or it would be waited for, if it has ended by itself */
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

static berth_worker *new_worker(berth_workers *workers, int number)
{
    berth_worker *worker = berth__allocate_zero(sizeof *worker);
    if (worker == NULL)
        return NULL;
    worker->workers = workers;
    worker->number = number;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->changed, NULL);
    return worker;
}

berth_workers *berth_workers_new_sized(int count, const berth_workers_handlers *handlers,
                                       size_t size, void *user)
{
    if (count < 1 || count > BERTH_MOST_WORKERS) {
        errno = EINVAL;
        return NULL;
    }
    berth_workers *workers =
        berth__allocate_zero(sizeof *workers + (size_t)count * sizeof(berth_worker *));
    if (workers == NULL || !berth__process_watch()) {
        berth__release(workers);
        errno = ENOMEM;
        return NULL;
    }
    workers->handlers = handlers;
    workers->handlers_size = size < sizeof *handlers ? size : sizeof *handlers;
    workers->user = user;
    workers->forks = berth__process_forks();
    berth__jobs_init(&workers->jobs);
    berth__pool_drain_init(workers);
    for (; workers->count < count; workers->count++) {
        berth_worker *worker = new_worker(workers, workers->count);
        if (worker == NULL) {
            berth_workers_free(workers);
            errno = ENOMEM;
            return NULL;
        }
        workers->workers[workers->count] = worker;
    }
    return workers;
}

void berth_workers_free(berth_workers *workers)
{
    bool copy = workers != NULL && berth__workers_is_copy(workers, "free the workers");
    if (workers == NULL || (!copy && berth__workers_is_own_thread(workers)))
        return;
    berth_workers_stop(workers);
    if (copy && berth__workers_is_own_thread(workers))
        return; /* the handler that has forked returns into the worker */
    while (workers->refs != NULL)
        berth__workers_forget(workers->refs);
    for (int i = 0; i < workers->count; i++) {
        berth_worker *worker = workers->workers[i];
        if (!copy) /* else threads that are no more may hold them */
            pthread_cond_destroy(&worker->changed);
        if (!copy)
            pthread_mutex_destroy(&worker->lock);
        berth__release(worker->inbox.descriptors);
        berth__release(worker->taken.descriptors);
        berth__release(worker);
    }
    berth__jobs_clear(&workers->jobs, copy);
    berth__pool_drain_clear(workers, copy);
    berth__release(workers);
}

void berth__workers_remember(berth__workers_ref *ref, berth_workers *workers)
{
    ref->workers = workers;
    ref->next = workers->refs;
    ref->link = &workers->refs;
    if (ref->next != NULL)
        ref->next->link = &ref->next;
    workers->refs = ref;
}

void berth__workers_forget(berth__workers_ref *ref)
{
    if (ref->workers == NULL)
        return;
    *ref->link = ref->next;
    if (ref->next != NULL)
        ref->next->link = ref->link;
    ref->workers = NULL;
}

/* Returns an errno, and no thread then. */
static int start_thread(berth_worker *worker)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    worker->start_error = 0;
    move_on(worker, BERTH__WORKER_STARTING);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&worker->thread, NULL, work, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        move_on(worker, BERTH__WORKER_IDLE);
        return error;
    }
    pthread_mutex_lock(&worker->lock);
    while (berth__worker_state_of(worker) == BERTH__WORKER_STARTING)
        pthread_cond_wait(&worker->changed, &worker->lock);
    pthread_mutex_unlock(&worker->lock);
    return worker->start_error;
}

static berth_error class_of_start(int error)
{
    if (error == EAGAIN)
        return BERTH_ERROR_SOCKET_RESOURCE;
    return error == ECANCELED ? BERTH_ERROR_OPERATION : berth__class_of(error);
}

static const char *reason_of_start(int error)
{
    if (error == EAGAIN)
        return "no further thread is allowed";
    return error == ECANCELED ? "`started` returned false" : berth__reason_of_none(error);
}

bool berth_workers_start(berth_workers *workers)
{
    if (berth__workers_is_copy(workers, "start the workers") ||
        berth__workers_is_own_thread(workers))
        return false;
    if (workers->started) {
        berth__workers_set_error(workers, BERTH_ERROR_OPERATION,
                                 "cannot start the workers: already started");
        errno = EALREADY;
        return false;
    }
    berth__drain_end *end = berth__pool_drain_new_end(workers);
    if (end == NULL) {
        berth__workers_set_error(workers, BERTH_ERROR_SOCKET_RESOURCE,
                                 "cannot start the workers: %s", berth__reason_of(ENOMEM));
        errno = ENOMEM;
        return false;
    }
    workers->started = true;
    atomic_store(&workers->leaving, false);
    for (int i = 0; i < workers->count; i++) {
        int error = start_thread(workers->workers[i]);
        if (error == 0)
            continue;
        berth__workers_set_error(workers, class_of_start(error), "cannot start worker %d of %d: %s",
                                 i + 1, workers->count, reason_of_start(error));
        berth_workers_stop(workers);
        berth__release(end);
        errno = error;
        return false;
    }
    berth__pool_drain_allow(workers, end);
    return true;
}

/* While the worker is ready its loop exists. */
static void tell_to_leave(berth_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    if (berth__worker_state_of(worker) == BERTH__WORKER_READY) {
        atomic_store(&worker->loop->quitting, true);
        berth_loop_stop(worker->loop, 0);
    }
    pthread_mutex_unlock(&worker->lock);
}

void berth_workers_stop(berth_workers *workers)
{
    if (berth__workers_is_copy(workers, "stop the workers")) {
        berth__workers_close_copies(workers);
        return;
    }
    if (berth__workers_is_own_thread(workers))
        return;
    berth__pool_drain_abandon(workers);
    atomic_store(&workers->leaving, true);
    berth__jobs_cancel_all(workers);
    for (int i = 0; i < workers->count; i++)
        tell_to_leave(workers->workers[i]);
    for (int i = 0; i < workers->count; i++) {
        berth_worker *worker = workers->workers[i];
        if (berth__worker_state_of(worker) == BERTH__WORKER_IDLE)
            continue;
        pthread_join(worker->thread, NULL);
        move_on(worker, BERTH__WORKER_IDLE);
    }
    berth__pool_drain_reset(workers);
    workers->started = false;
    workers->listening = false;
    workers->port = 0;
}
