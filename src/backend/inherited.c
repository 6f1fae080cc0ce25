/*
 * The operations of a backend in a child that has inherited it by fork.
 *
 * The child shares the parent's epoll set or ring, and every connection. So nothing is begun: what
 * could fail says ECHILD, and a send that the core begins stays in flight for ever, since nobody
 * would understand its failure. What ends a record closes the child's descriptor, and no more: no
 * shutdown, no reset, no entry of the set or the ring is touched. The peer notices nothing. `run`
 * reports `closed` and keeps every other bit, for the case that the loop is made the child's own
 * (renew).
 *
 * Nothing here waits, and no event but `closed` is called.
 */
#include "backend.h"

#include <errno.h>
#include <unistd.h>

static const berth__backend_operations inherited_operations;

void berth__inherit(berth__backend *backend)
{
    if (backend->inherited == NULL)
        backend->inherited = backend->operations;
    backend->operations = &inherited_operations;
}

static void destroy(berth__backend *backend)
{
    backend->inherited->destroy(backend);
}

/* ---- what would begin something -------------------------------------------------------------- */

static int listen_on(berth__backend *backend, berth__listener *listener,
                     const berth__listen_options *options, berth__listen_step *ret_step)
{
    (void)backend;
    (void)listener;
    (void)options;
    *ret_step = BERTH__LISTEN_CREATE;
    return ECHILD;
}

static int adopt_listener(berth__backend *backend, berth__listener *listener, int descriptor)
{
    (void)backend;
    (void)listener;
    (void)descriptor;
    return ECHILD;
}

static int listen_local(berth__backend *backend, berth__listener *listener,
                        const berth__local_listen *options, berth__local_file *ret_file,
                        berth__local_step *ret_step)
{
    (void)backend;
    (void)listener;
    (void)options;
    *ret_file = (berth__local_file){0};
    *ret_step = BERTH__LOCAL_CREATE;
    return ECHILD;
}

/* It is the parent's. */
static void remove_local(berth__backend *backend, const berth__local_name *name,
                         const berth__local_file *file)
{
    (void)backend;
    (void)name;
    (void)file;
}

static void accept_credit(berth__backend *backend, berth__listener *listener, unsigned credit)
{
    (void)backend;
    listener->credit = credit;
}

static int adopt(berth__backend *backend, berth__stream *stream, int descriptor, bool accepted)
{
    (void)backend;
    (void)stream;
    (void)descriptor;
    (void)accepted;
    return ECHILD;
}

static int begin(berth__backend *backend, berth__stream *stream, const berth_address *address,
                 uint16_t port, const berth__options *options)
{
    (void)options;
    (void)backend;
    (void)stream;
    (void)address;
    (void)port;
    return ECHILD;
}

static int connect_local(berth__backend *backend, berth__stream *stream,
                         const berth__local_name *name, const berth__options *options)
{
    (void)backend;
    (void)stream;
    (void)name;
    (void)options;
    return ECHILD;
}

static void receive_start(berth__backend *backend, berth__stream *stream)
{
    (void)backend;
    stream->receiving = !stream->closing && !stream->ended;
}

static void receive_stop(berth__backend *backend, berth__stream *stream)
{
    (void)backend;
    stream->receiving = false;
}

static ptrdiff_t send_stream(berth__backend *backend, berth__stream *stream,
                             const berth__chunk *first, size_t size, berth__send_hint hint)
{
    (void)backend;
    (void)first;
    (void)size;
    (void)hint;
    stream->sending = true;
    return 0;
}

static ptrdiff_t await_room(berth__backend *backend, berth__stream *stream)
{
    (void)backend;
    stream->sending = true;
    return 0;
}

static ptrdiff_t finish_send(berth__backend *backend, berth__stream *stream)
{
    (void)backend;
    (void)stream;
    return 0;
}

static int shutdown_send(berth__backend *backend, berth__stream *stream)
{
    (void)backend;
    (void)stream;
    return ECHILD;
}

static int watch_start(berth__backend *backend, berth__watch *watch, int descriptor,
                       unsigned events)
{
    (void)backend;
    (void)watch;
    (void)descriptor;
    (void)events;
    return ECHILD;
}

static int dial(berth__backend *backend, const berth_address *address, uint16_t port,
                const berth__options *options,
                int *ret_descriptor) /* NOLINT(readability-non-const-parameter) */
{
    (void)options;
    (void)backend;
    (void)address;
    (void)port;
    (void)ret_descriptor;
    return ECHILD;
}

static int dialled(berth__backend *backend, int descriptor)
{
    (void)backend;
    (void)descriptor;
    return ECHILD;
}

static ptrdiff_t take(berth__backend *backend, int descriptor, void *data, size_t size, bool keep)
{
    (void)backend;
    (void)descriptor;
    (void)data;
    (void)size;
    (void)keep;
    return -ECHILD;
}

static ptrdiff_t put(berth__backend *backend, int descriptor, const berth_piece *pieces,
                     size_t count)
{
    (void)backend;
    (void)descriptor;
    (void)pieces;
    (void)count;
    return -ECHILD;
}

static int reserve(berth__backend *backend)
{
    (void)backend;
    return -1;
}

static size_t reject(berth__backend *backend, berth__listener *listener, size_t most,
                     berth__close_mode mode,
                     int *spare) /* NOLINT(readability-non-const-parameter) */
{
    (void)backend;
    (void)listener;
    (void)most;
    (void)mode;
    (void)spare;
    return 0;
}

static ptrdiff_t put_chunks(berth__backend *backend, int descriptor, const berth__chunk *first,
                            size_t size)
{
    (void)first;
    return put(backend, descriptor, NULL, size);
}

static ptrdiff_t read_file(berth__backend *backend, int descriptor, void *data, size_t size,
                           uint64_t offset)
{
    (void)backend;
    (void)descriptor;
    (void)data;
    (void)size;
    (void)offset;
    return -ECHILD;
}

static int open_file(berth__backend *backend, int descriptor, uint64_t *ret_size)
{
    (void)backend;
    (void)descriptor;
    *ret_size = 0;
    return -ECHILD;
}

/* ---- the end of records ---------------------------------------------------------------------- */

static void close_file(berth__backend *backend, int descriptor)
{
    (void)backend;
    (void)close(descriptor);
}

static void discard(berth__backend *backend, int descriptor)
{
    (void)backend;
    (void)close(descriptor);
}

/* Whatever the mode: how the connection ends is for the parent to say. */
static void close_stream(berth__backend *backend, berth__stream *stream, berth__close_mode mode)
{
    (void)mode;
    if (stream->closing)
        return;
    backend->inherited->forget(backend, stream);
    stream->closing = true;
    stream->receiving = false;
    stream->in_flight = 0;
    stream->flags = 0;
    if (stream->sending && !(stream->ready.pending & BERTH__READY_SENT))
        stream->ready.result = -ECANCELED;
    stream->ready.pending = 0;
    int descriptor = stream->descriptor;
    stream->descriptor = -1;
    berth__ready_add(&backend->ready, &stream->ready, BERTH__READY_CLOSED);
    if (descriptor >= 0)
        (void)close(descriptor);
}

static void close_listener(berth__backend *backend, berth__listener *listener)
{
    if (listener->closing)
        return;
    listener->closing = true;
    listener->credit = 0;
    listener->ready.pending = 0;
    (void)close(listener->descriptor);
    listener->descriptor = -1;
    berth__ready_add(&backend->ready, &listener->ready, BERTH__READY_CLOSED);
}

static void watch_close(berth__backend *backend, berth__watch *watch)
{
    if (watch->closing)
        return;
    watch->closing = true;
    watch->active = false;
    watch->ready.pending = 0;
    berth__ready_add(&backend->ready, &watch->ready, BERTH__READY_CLOSED);
}

static int copy(berth__backend *backend, int descriptor)
{
    (void)backend;
    (void)descriptor;
    return -ECHILD;
}

static void close_copy(berth__backend *backend, int descriptor)
{
    (void)backend;
    (void)close(descriptor);
}

static void run(berth__backend *backend, berth__ready *ready)
{
    (void)backend;
    if (!(ready->pending & BERTH__READY_CLOSED))
        return;
    ready->pending = 0;
    switch ((berth__ready_kind)ready->kind) {
    case BERTH__READY_STREAM: {
        berth__stream *stream = (berth__stream *)ready;
        stream->events->closed(stream);
        break;
    }
    case BERTH__READY_LISTENER: {
        berth__listener *listener = (berth__listener *)ready;
        berth__listener_delist(listener);
        listener->events->closed(listener);
        break;
    }
    case BERTH__READY_WATCH: {
        berth__watch *watch = (berth__watch *)ready;
        berth__watch_delist(watch);
        watch->closed(watch);
        break;
    }
    }
}

/* ---- waiting and questions ------------------------------------------------------------------- */

static void nothing(berth__backend *backend)
{
    (void)backend;
}

static int wait_never(berth__backend *backend, int64_t timeout)
{
    (void)backend;
    (void)timeout;
    return ECHILD;
}

static uint64_t now(berth__backend *backend)
{
    return backend->inherited->now(backend);
}

static int no_descriptor(berth__backend *backend)
{
    (void)backend;
    return -1;
}

static int name_of(berth__backend *backend, int descriptor, berth__side side,
                   berth_address *ret_address, uint16_t *ret_port)
{
    return backend->inherited->name_of(backend, descriptor, side, ret_address, ret_port);
}

static int local_name(berth__backend *backend, int descriptor, berth__local_name *ret_name)
{
    return backend->inherited->local_name(backend, descriptor, ret_name);
}

static int credentials(berth__backend *backend, int descriptor, berth_credentials *ret_credentials)
{
    return backend->inherited->credentials(backend, descriptor, ret_credentials);
}

static int release_stream(berth__backend *backend, berth__stream *stream, berth__chain *input)
{
    (void)backend;
    (void)stream;
    (void)input;
    return -ECHILD;
}

static size_t in_transit(berth__backend *backend, const berth__stream *stream)
{
    (void)backend;
    (void)stream;
    return 0;
}

static bool has_unsent(berth__backend *backend, const berth__stream *stream)
{
    (void)backend;
    (void)stream;
    return false;
}

static bool has_connection(berth__backend *backend, const berth__listener *listener)
{
    (void)backend;
    (void)listener;
    return false;
}

static size_t input(berth__backend *backend, const berth__stream *stream)
{
    (void)backend;
    (void)stream;
    return 0;
}

static int option(berth__backend *backend, int descriptor, berth_socket_option which, int *value,
                  bool set)
{
    return set ? ECHILD : backend->inherited->option(backend, descriptor, which, value, set);
}

static const berth__backend_operations inherited_operations = {
    .name = "inherited",
    .destroy = destroy,
    .listen = listen_on,
    .adopt_listener = adopt_listener,
    .listen_local = listen_local,
    .remove_local = remove_local,
    .accept_credit = accept_credit,
    .close_listener = close_listener,
    .adopt = adopt,
    .bind = begin,
    .connect = begin,
    .connect_local = connect_local,
    .receive_start = receive_start,
    .receive_stop = receive_stop,
    .send = send_stream,
    .await_room = await_room,
    .finish_send = finish_send,
    .shutdown_send = shutdown_send,
    .close = close_stream,
    .release = release_stream,
    .watch_start = watch_start,
    .watch_close = watch_close,
    .copy = copy,
    .close_copy = close_copy,
    .dial = dial,
    .dialled = dialled,
    .take = take,
    .put = put,
    .wake = nothing,
    .submit = nothing,
    .wait = wait_never,
    .run = run,
    .now = now,
    .descriptor = no_descriptor,
    .name_of = name_of,
    .local_name = local_name,
    .credentials = credentials,
    .has_connection = has_connection,
    .input = input,
    .in_transit = in_transit,
    .has_unsent = has_unsent,
    .option = option,
    .put_chunks = put_chunks,
    .read_file = read_file,
    .open_file = open_file,
    .close_file = close_file,
    .discard = discard,
    .reserve = reserve,
    .reject = reject,
    .before_fork = nothing,
    .inherit = nothing,
};
