/*
 * The backend on the simulated kernel: the third implementation of backend.h, for tests only.
 *
 * Bytes and ends take their time to the other side (sim_transport.c), and so does their report.
 * `wait` looks through all descriptors, gives each condition that has come true (readable,
 * writable, acceptable, connected, closed) a random delay below max_delay, puts those that are due
 * into the ready list in a random order, and otherwise lets time pass until the next one is due, or
 * bytes move, or a peer acts (berth__sim_on_passing), or to the end of the time-out. Nothing ever
 * sleeps, and one seed gives one course of events.
 *
 * An endless wait in which nothing can happen would hang a test: it gives other threads a moment of
 * real time to call wake (settings.patience), then returns EDEADLK.
 *
 * It is stricter than a kernel: a delivered view is poisoned and freed when `received` returns, and
 * bytes of a send that change before they are taken, and a record that outlives it, are defects.
 *
 * Looking through everything is O(descriptors), which is meant: no index can be stale.
 */
#include "sim_kernel.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/system.h"

#define NEVER UINT64_MAX
#define TICK 1000u /* nanoseconds that every wait takes */
#define BEGINNING 1000000000u
#define WAIT_STEPS 1000000u
#define READY_BROKEN BERTH__READY_PRIVATE

static _Thread_local berth__kernel *newest;

/*
 * One call of `run` on the stack. An event may turn the loop, and `closed` of the same record may
 * come in there, after which the record is not to be touched: that is noted here, and every event
 * is followed by a look at it.
 */
struct berth__kernel_frame {
    const berth__ready *record;
    bool gone;
    berth__kernel_frame *outer;
};

static void forget_record(berth__kernel *kernel, const berth__ready *record)
{
    for (berth__kernel_frame *frame = kernel->frames; frame != NULL; frame = frame->outer) {
        if (frame->record == record)
            frame->gone = true;
    }
}

/* ---- listeners ------------------------------------------------------------------------------- */

static int sim_listen(berth__backend *backend, berth__listener *listener,
                      const berth__listen_options *options, berth__listen_step *ret_step)
{
    berth__kernel *kernel = kernel_of(backend);
    berth__kernel_operate(kernel);
    *ret_step = BERTH__LISTEN_CREATE;
    if (berth__kernel_at_limit(kernel))
        return EMFILE;
    *ret_step = BERTH__LISTEN_BIND;
    int error =
        berth__kernel_bind_error(kernel, &options->address, options->port, options->reuse_port);
    if (error != 0)
        return error;
    int descriptor = berth__kernel_open_entry(kernel, ENTRY_PORT);
    berth__kernel_port *port =
        berth__kernel_open_port(kernel, &options->address, options->port, options->backlog);
    berth__kernel_entry_of(kernel, descriptor)->of.port = port;
    port->shared = options->reuse_port;
    port->listener = listener;
    listener->descriptor = descriptor;
    listener->own = port;
    return 0;
}

static int sim_adopt_listener(berth__backend *backend, berth__listener *listener, int descriptor)
{
    berth__kernel_entry *entry = berth__kernel_entry_of(kernel_of(backend), descriptor);
    if (entry == NULL)
        return berth__kernel_not_ours(descriptor);
    if (entry->kind == ENTRY_EVENT)
        return ENOTSOCK;
    if (entry->kind != ENTRY_PORT || entry->of.port->listener != NULL)
        return EINVAL;
    entry->of.port->listener = listener;
    listener->local = entry->of.port->address.family == BERTH_ADDRESS_FAMILY_LOCAL;
    listener->own = entry->of.port;
    listener->descriptor = descriptor;
    return 0;
}

static void sim_accept_credit(berth__backend *backend, berth__listener *listener, unsigned credit)
{
    berth__kernel_operate(kernel_of(backend));
    if (!listener->closing)
        listener->credit = credit;
}

static void sim_close_listener(berth__backend *backend, berth__listener *listener)
{
    berth__kernel *kernel = kernel_of(backend);
    if (listener->closing)
        return;
    berth__kernel_operate(kernel);
    listener->closing = true;
    listener->credit = 0;
    berth__kernel_close_port(kernel, listener->own);
    berth__kernel_close_entry(kernel, listener->descriptor);
    listener->descriptor = -1;
    listener->own = NULL;
    berth__ready_add(&backend->ready, &listener->ready, BERTH__READY_CLOSED);
    berth__kernel_tell_closed(kernel);
}

static bool acceptable(const berth__listener *listener)
{
    return !listener->closing && listener->credit > 0 &&
           ((berth__kernel_port *)listener->own)->queue != NULL;
}

/* Reports a failed accept; false for one that is not to be reported. */
static bool report_failed(berth__kernel *kernel, berth__listener *listener, int error)
{
    if (berth__is_passing(error) && ++listener->passing < BERTH__ACCEPT_BUDGET)
        return false;
    listener->passing = 0;
    listener->credit = 0;
    listener->error = 0;
    unsigned barren = kernel->barren;
    berth__kernel_handle(kernel);
    kernel->barren = barren; /* nothing has moved: a loop that goes on failing spins */
    listener->events->accept_failed(listener, error);
    return true;
}

static void run_listener(berth__kernel *kernel, berth__listener *listener,
                         const berth__kernel_frame *frame)
{
    unsigned bits = listener->ready.pending;
    listener->ready.pending = 0;
    if (listener->error != 0 && report_failed(kernel, listener, listener->error) && frame->gone)
        return;
    for (unsigned taken = 0; taken < BERTH__ACCEPT_BUDGET && acceptable(listener); taken++) {
        int error = berth__kernel_accept_error(kernel);
        if (error != 0) {
            if (error == EAGAIN)
                break;
            if (report_failed(kernel, listener, error) && frame->gone)
                return;
            continue;
        }
        listener->passing = 0;
        berth__sim_end *end = berth__kernel_dequeue(listener->own);
        int descriptor = berth__kernel_open_entry(kernel, ENTRY_END);
        berth__kernel_entry_of(kernel, descriptor)->of.end = end;
        listener->credit--;
        berth__kernel_handle(kernel);
        listener->events->accepted(listener, descriptor);
        if (frame->gone)
            return;
    }
    if ((bits & BERTH__READY_CLOSED) != 0) {
        forget_record(kernel, &listener->ready);
        berth__kernel_handle(kernel);
        listener->events->closed(listener);
    } else if (acceptable(listener)) {
        berth__ready_add(&kernel->backend.ready, &listener->ready, BERTH__READY_ACCEPT);
    }
}

/* ---- streams --------------------------------------------------------------------------------- */

static void attach(berth__kernel_entry *entry, berth__stream *stream, berth__sim_end *end,
                   int descriptor)
{
    entry->of.end = end;
    end->stream = stream;
    stream->own.connection = end;
    stream->descriptor = descriptor;
}

static int sim_adopt(berth__backend *backend, berth__stream *stream, int descriptor, bool accepted)
{
    berth__kernel_entry *entry = berth__kernel_entry_of(kernel_of(backend), descriptor);
    if (entry == NULL)
        return berth__kernel_not_ours(descriptor);
    if (entry->kind == ENTRY_EVENT)
        return ENOTSOCK;
    if (entry->kind != ENTRY_END)
        return ENOTCONN;
    if (entry->of.end->stream != NULL)
        return EEXIST;
    if (!entry->of.end->established)
        return ENOTCONN;
    attach(entry, stream, entry->of.end, descriptor);
    stream->ready.addressed = !accepted && (entry->of.end->addressed || entry->of.end->local);
    stream->ready.local = entry->of.end->local;
    return 0;
}

static int choose_port(berth__kernel *kernel, berth__sim_end *end)
{
    if (end->local_port != 0)
        return EINVAL;
    end->local_port = berth__kernel_free_port(kernel, &end->local_address);
    return 0;
}

/* A bound stream has an end that is connected with nobody. */
static int sim_bind(berth__backend *backend, berth__stream *stream, const berth_address *address,
                    uint16_t port, const berth__options *options)
{
    berth__kernel *kernel = kernel_of(backend);
    if (stream->descriptor >= 0)
        return choose_port(kernel, stream->own.connection);
    if (berth__kernel_at_limit(kernel))
        return EMFILE;
    int error = berth__kernel_bind_error(kernel, address, port, false);
    if (error != 0)
        return error;
    berth__sim_end *end = berth__kernel_new_end(kernel);
    end->local_address = *address;
    end->local_port = port; /* 0: left open */
    int descriptor = berth__kernel_open_entry(kernel, ENTRY_END);
    attach(berth__kernel_entry_of(kernel, descriptor), stream, end, descriptor);
    berth__kernel_set_options(end, options);
    return 0;
}

/* Gives the name of a bound end to the one that has been connected in its place. */
static void take_place(berth__sim_end *end, berth__sim_end *bound)
{
    if (berth__kernel_is_wildcard(&bound->local_address))
        bound->local_address = end->local_address;
    end->local_address = bound->local_address;
    if (bound->local_port != 0)
        end->local_port = bound->local_port;
    berth__kernel_copy_options(end, bound);
    if (end->other != NULL) {
        end->other->peer_address = bound->local_address;
        end->other->peer_port = end->local_port;
    }
    berth__kernel_close_end(bound, false);
}

static int sim_connect(berth__backend *backend, berth__stream *stream, const berth_address *address,
                       uint16_t port, const berth__options *options)
{
    berth__kernel *kernel = kernel_of(backend);
    berth__kernel_operate(kernel);
    if (address->family == BERTH_ADDRESS_FAMILY_NULL)
        return EINVAL;
    if (stream->descriptor < 0 && berth__kernel_at_limit(kernel))
        return EMFILE;
    if (!berth__kernel_is_ours(address))
        return ENETUNREACH;
    berth__sim_end *end = berth__kernel_connect(kernel, address, port);
    int descriptor = stream->descriptor;
    if (descriptor < 0)
        berth__kernel_set_options(end, options);
    if (descriptor < 0)
        descriptor = berth__kernel_open_entry(kernel, ENTRY_END);
    else
        take_place(end, stream->own.connection);
    attach(berth__kernel_entry_of(kernel, descriptor), stream, end, descriptor);
    stream->flags |= BERTH__SIM_CONNECTING;
    return 0;
}

static void sim_receive_start(berth__backend *backend, berth__stream *stream)
{
    berth__kernel_operate(kernel_of(backend));
    if (!stream->closing && !stream->ended)
        stream->receiving = true;
}

static void sim_receive_stop(berth__backend *backend, berth__stream *stream)
{
    (void)backend;
    stream->receiving = false;
}

static uint32_t checksum(const uint8_t *data, size_t size)
{
    uint64_t sum = 14695981039346656037u ^ size;
    for (uint64_t word; size >= sizeof word; data += sizeof word, size -= sizeof word) {
        memcpy(&word, data, sizeof word);
        sum = (sum ^ word) * 1099511628211u;
    }
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ data[i]) * 1099511628211u;
    return (uint32_t)(sum ^ sum >> 32);
}

static uint32_t checksum_of(const berth__chunk *chunk, size_t size)
{
    uint32_t sum = 0;
    for (; size > 0; chunk = chunk->next) {
        size_t here = chunk->end - chunk->start;
        here = here < size ? here : size;
        if (chunk->bytes != NULL)
            sum = sum * 31 + checksum(chunk->bytes + chunk->start, here);
        size -= here;
    }
    return sum;
}

static ptrdiff_t take_send(berth__kernel *kernel, berth__stream *stream)
{
    if (stream->size == 0) /* there is room */
        return 0;
    if (kernel->send_failures > 0) {
        kernel->send_failures--;
        return -kernel->send_error;
    }
    return berth__sim_take_chunks(stream->own.connection, stream->output, stream->size);
}

/* Moves the send in flight on. Returns whether it has ended. */
static bool advance_send(berth__kernel *kernel, berth__stream *stream)
{
    const berth__sim_end *end = stream->own.connection;
    assert(checksum_of(stream->output, stream->size) == end->checksum &&
           "the memory of a send stays as it was until `sent`");
    (void)end;
    ptrdiff_t result = take_send(kernel, stream);
    if (result == -EAGAIN && !stream->ready.paced)
        return false;
    stream->ready.result = (int32_t)result;
    stream->output = NULL;
    return true;
}

static ptrdiff_t sim_send(berth__backend *backend, berth__stream *stream, const berth__chunk *first,
                          size_t size, berth__send_hint hint)
{
    berth__kernel *kernel = kernel_of(backend);
    berth__sim_end *end = stream->own.connection;
    assert(!stream->sending && !stream->closing && size > 0);
    berth__kernel_operate(kernel);
    stream->sending = true;
    stream->output = first;
    stream->size = (uint32_t)(size < INT32_MAX ? size : INT32_MAX);
    end->checksum = checksum_of(stream->output, stream->size);
    end->more = hint == BERTH__SEND_MORE;
    /* Half of the backends send in this call, half when the loop waits: with a seed, chance
     * decides. */
    if (kernel->settings.seed != 0 && berth__kernel_chance(kernel, 2) == 0)
        return 0;
    if (!advance_send(kernel, stream))
        return 0;
    stream->sending = false;
    kernel->events++;
    return stream->ready.result;
}

static ptrdiff_t sim_await_room(berth__backend *backend, berth__stream *stream)
{
    assert(!stream->sending && !stream->closing);
    berth__kernel_operate(kernel_of(backend));
    stream->sending = true;
    stream->output = NULL;
    stream->size = 0;
    ((berth__sim_end *)stream->own.connection)->checksum = 0;
    return 0;
}

static int sim_shutdown_send(berth__backend *backend, berth__stream *stream)
{
    berth__kernel_operate(kernel_of(backend));
    berth__sim_end *end = stream->own.connection;
    assert(!stream->sending);
    if (stream->closing || end == NULL || !berth__kernel_can_end_output(end))
        return ENOTCONN;
    berth__kernel_end_output(end);
    return 0;
}

static void sim_close(berth__backend *backend, berth__stream *stream, berth__close_mode mode)
{
    berth__kernel *kernel = kernel_of(backend);
    if (stream->closing)
        return;
    berth__kernel_operate(kernel);
    stream->closing = true;
    stream->receiving = false;
    unsigned bits = stream->ready.pending & BERTH__READY_SENT;
    if (stream->sending && bits == 0) {
        if (!advance_send(kernel, stream))
            stream->ready.result = -ECANCELED;
        stream->data = NULL;
        bits = BERTH__READY_SENT;
    }
    berth__kernel_close_end(stream->own.connection, mode == BERTH__CLOSE_RESET);
    stream->own.connection = NULL;
    berth__kernel_entry *entry = berth__kernel_entry_of(kernel, stream->descriptor);
    entry->kind = ENTRY_CLOSING;
    entry->of.closing = stream;
    uint64_t later = berth__kernel_delay(kernel);
    entry->due[DUE_CLOSE] = kernel->now + later;
    stream->ready.pending = (uint8_t)bits;
    if (later == 0)
        bits |= BERTH__READY_CLOSED;
    if (bits != 0)
        berth__ready_add(&backend->ready, &stream->ready, bits);
}

/* The end of the connection stays open, with nobody who looks at it. */
static int sim_release(berth__backend *backend, berth__stream *stream, berth__chain *input)
{
    assert(!stream->sending && !stream->closing);
    (void)input; /* what was not delivered is in the kernel */
    int descriptor = stream->descriptor;
    ((berth__sim_end *)stream->own.connection)->stream = NULL;
    stream->own.connection = NULL;
    stream->descriptor = -1;
    stream->closing = true;
    stream->receiving = false;
    stream->ready.pending = 0;
    berth__ready_add(&backend->ready, &stream->ready, BERTH__READY_CLOSED);
    return descriptor;
}

/* Hands one piece to the core. The copy is gone afterwards, so that a view that was kept is
 * noticed. */
static size_t deliver(berth__kernel *kernel, berth__stream *stream, size_t budget)
{
    berth__sim_end *end = stream->own.connection;
    size_t most = berth__stream_room(stream, end->input.size < budget ? end->input.size : budget);
    if (most == 0)
        return 0;
    size_t size = berth__kernel_portion(kernel, most);
    uint8_t *view = berth__kernel_must(malloc(size));
    berth__kernel_get(end, view, size);
    berth__kernel_handle(kernel);
    stream->events->received(stream, view, size);
    memset(view, 0xdd, size);
    free(view);
    return size;
}

static void run_receive(berth__kernel *kernel, berth__stream *stream,
                        const berth__kernel_frame *frame)
{
    size_t budget = BERTH__RECEIVE_BUDGET;
    unsigned calls = BERTH__RECEIVE_CALLS;
    while (!frame->gone && stream->receiving && budget > 0) {
        berth__sim_end *end = stream->own.connection;
        if (end->input.size > 0 && (calls-- == 0 || berth__stream_has_gone(stream)))
            break;
        if (end->input.size > 0) {
            budget -= deliver(kernel, stream, budget);
            continue;
        }
        if (!berth__kernel_readable(end))
            return;
        stream->receiving = false;
        stream->ended = true;
        berth__kernel_handle(kernel);
        stream->error = (int16_t)berth__kernel_end_of_input(end);
        stream->events->receive_ended(stream, stream->error);
        return;
    }
    if (!frame->gone && stream->receiving && berth__kernel_readable(stream->own.connection))
        berth__ready_add(&kernel->backend.ready, &stream->ready, BERTH__READY_RECEIVE);
}

/* The connection has broken after the end of its input. */
static void run_broken(berth__kernel *kernel, berth__stream *stream)
{
    if (stream->error != 0)
        return;
    if (berth__kernel_take_error(stream->own.connection) == 0)
        return;
    berth__kernel_handle(kernel);
    stream->error = ECONNRESET; /* which the kernel calls EPIPE once the input has ended */
    stream->events->receive_ended(stream, stream->error);
}

static void run_connected(berth__kernel *kernel, berth__stream *stream)
{
    berth__kernel_handle(kernel);
    berth__sim_end *end = stream->own.connection;
    stream->flags &= (uint16_t)~BERTH__SIM_CONNECTING;
    stream->error = (int16_t)end->connect_error;
    stream->events->connected(stream, stream->error);
}

static void run_stream(berth__kernel *kernel, berth__stream *stream,
                       const berth__kernel_frame *frame)
{
    unsigned bits = stream->ready.pending;
    stream->ready.pending = 0;
    if ((bits & BERTH__READY_SENT) != 0) {
        stream->sending = false;
        berth__kernel_handle(kernel);
        stream->events->sent(stream, stream->ready.result);
    }
    if (!frame->gone && (bits & BERTH__READY_CONNECTED) != 0 && !stream->closing)
        run_connected(kernel, stream);
    if (!frame->gone && (bits & BERTH__READY_RECEIVE) != 0 && !stream->closing)
        run_receive(kernel, stream, frame);
    if (!frame->gone && (bits & READY_BROKEN) != 0 && !stream->closing)
        run_broken(kernel, stream);
    if (frame->gone || (bits & BERTH__READY_CLOSED) == 0)
        return;
    forget_record(kernel, &stream->ready);
    if (stream->descriptor >= 0) { /* it was not given away */
        berth__kernel_close_entry(kernel, stream->descriptor);
        stream->descriptor = -1;
        berth__kernel_tell_closed(kernel);
    }
    berth__kernel_handle(kernel);
    stream->events->closed(stream);
}

/* ---- wait ------------------------------------------------------------------------------------ */

bool berth__kernel_is_due(berth__kernel *kernel, uint64_t *due, bool holds, uint64_t *earliest)
{
    if (!holds) {
        *due = 0;
        return false;
    }
    if (*due == 0)
        *due = kernel->now + berth__kernel_delay(kernel);
    if (*due > kernel->now) {
        if (*due < *earliest)
            *earliest = *due;
        return false;
    }
    *due = 0;
    return true;
}

void berth__kernel_add_candidate(berth__kernel *kernel, berth__ready *ready, unsigned bits)
{
    if (bits == 0)
        return;
    kernel->candidates = berth__kernel_must(
        realloc(kernel->candidates, (kernel->candidate_count + 1) * sizeof *kernel->candidates));
    kernel->candidates[kernel->candidate_count++] = (berth__kernel_candidate){ready, bits};
}

static void look_at_end(berth__kernel *kernel, berth__kernel_entry *entry, uint64_t *earliest)
{
    berth__sim_end *end = entry->of.end;
    berth__stream *stream = end->stream;
    if (stream == NULL)
        return;
    unsigned pending = stream->ready.pending;
    bool connecting = (stream->flags & BERTH__SIM_CONNECTING) != 0;
    unsigned bits = 0;
    if (berth__kernel_is_due(kernel, &entry->due[DUE_CONNECT],
                             connecting && (end->established || end->connect_error != 0) &&
                                 !(pending & BERTH__READY_CONNECTED),
                             earliest))
        bits |= BERTH__READY_CONNECTED;
    bool input = !connecting && stream->receiving && berth__kernel_readable(end) &&
                 !(pending & BERTH__READY_RECEIVE);
    bool broken =
        stream->ended && stream->error == 0 && end->error != 0 && !(pending & READY_BROKEN);
    if (berth__kernel_is_due(kernel, &entry->due[DUE_INPUT], input || broken, earliest))
        bits |= input ? BERTH__READY_RECEIVE : READY_BROKEN;
    if (berth__kernel_is_due(
            kernel, &entry->due[DUE_SEND],
            !connecting && stream->sending && !(pending & BERTH__READY_SENT) &&
                (berth__kernel_writable(end) || (stream->ready.paced && stream->size > 0)),
            earliest) &&
        advance_send(kernel, stream))
        bits |= BERTH__READY_SENT;
    berth__kernel_add_candidate(kernel, &stream->ready, bits);
}

static void look_at_entry(berth__kernel *kernel, berth__kernel_entry *entry, uint64_t *earliest)
{
    if (entry->kind == ENTRY_END) {
        look_at_end(kernel, entry, earliest);
    } else if (entry->kind == ENTRY_CLOSING) {
        berth__stream *stream = entry->of.closing;
        if (berth__kernel_is_due(kernel, &entry->due[DUE_CLOSE],
                                 !(stream->ready.pending & BERTH__READY_CLOSED), earliest))
            berth__kernel_add_candidate(kernel, &stream->ready, BERTH__READY_CLOSED);
    } else if (entry->kind == ENTRY_PORT && entry->of.port->listener != NULL) {
        berth__listener *listener = entry->of.port->listener;
        berth__kernel_port *port = entry->of.port;
        if (port->shut && !port->told)
            listener->error = EINVAL;
        port->told = port->shut;
        bool holds = (acceptable(listener) || listener->error != 0) &&
                     !(listener->ready.pending & BERTH__READY_ACCEPT);
        if (berth__kernel_is_due(kernel, &entry->due[DUE_INPUT], holds, earliest))
            berth__kernel_add_candidate(kernel, &listener->ready, BERTH__READY_ACCEPT);
    }
}

/* Puts what is due into the ready list. Returns whether there was anything; notes in *earliest when
 * the next will be. */
static bool collect(berth__kernel *kernel, uint64_t *earliest)
{
    kernel->candidate_count = 0;
    *earliest = kernel->passes_next;
    berth__kernel_move(kernel, earliest);
    berth__kernel_look_at_attempts(kernel, earliest);
    for (size_t i = 0; i < kernel->entry_count; i++)
        look_at_entry(kernel, &kernel->entries[i], earliest);
    berth__kernel_look_at_watches(kernel, earliest);
    for (size_t i = kernel->candidate_count; kernel->settings.seed != 0 && i > 1; i--) {
        size_t other = (size_t)berth__kernel_chance(kernel, i);
        berth__kernel_candidate kept = kernel->candidates[i - 1];
        kernel->candidates[i - 1] = kernel->candidates[other];
        kernel->candidates[other] = kept;
    }
    for (size_t i = 0; i < kernel->candidate_count; i++)
        berth__ready_add(&kernel->backend.ready, kernel->candidates[i].ready,
                         kernel->candidates[i].bits);
    return kernel->candidate_count > 0;
}

/* Lets other threads have their moment. Returns whether one has called wake. */
static bool be_patient(berth__kernel *kernel)
{
    struct pollfd bell = {.fd = kernel->bell, .events = POLLIN};
    for (int left = kernel->settings.patience; left > 0; left -= 10) {
        if (poll(&bell, 1, 10) > 0 || atomic_load(&kernel->woken))
            return true;
    }
    return false;
}

static bool take_wake(berth__kernel *kernel)
{
    if (!atomic_exchange(&kernel->woken, false))
        return false;
    uint64_t count;
    while (read(kernel->bell, &count, sizeof count) < 0 && errno == EINTR)
        continue;
    return true;
}

static int sim_wait(berth__backend *backend, int64_t timeout)
{
    berth__kernel *kernel = kernel_of(backend);
    berth__kernel_pass(kernel, kernel->settings.max_delay / 4 + TICK);
    uint64_t deadline = timeout < 0 ? NEVER : kernel->now + (uint64_t)timeout;
    kernel->barren++;
    for (unsigned step = 0; step < WAIT_STEPS; step++) {
        uint64_t earliest;
        bool found = collect(kernel, &earliest);
        bool woken = take_wake(kernel);
        if (woken)
            kernel->barren = 0;
        if (woken || found || timeout == 0)
            return 0;
        kernel->barren = 0; /* it sleeps */
        if (earliest != NEVER && earliest <= deadline) {
            berth__kernel_sleep_until(kernel, earliest);
        } else if (deadline != NEVER) {
            berth__kernel_sleep_until(kernel, deadline);
            return 0;
        } else if (!be_patient(kernel)) {
            return EDEADLK;
        }
    }
    return EDEADLK;
}

/* Everything was done in its call. */
static void sim_submit(berth__backend *backend)
{
    (void)backend;
}

static void sim_wake(berth__backend *backend)
{
    berth__kernel *kernel = kernel_of(backend);
    if (atomic_exchange(&kernel->woken, true))
        return;
    int before = errno;
    uint64_t one = 1;
    while (write(kernel->bell, &one, sizeof one) < 0 && errno == EINTR)
        continue;
    errno = before; /* for signal handlers */
}

static void sim_run(berth__backend *backend, berth__ready *ready)
{
    berth__kernel *kernel = kernel_of(backend);
    berth__kernel_frame frame = {.record = ready, .outer = kernel->frames};
    kernel->frames = &frame;
    switch ((berth__ready_kind)ready->kind) {
    case BERTH__READY_STREAM:
        run_stream(kernel, (berth__stream *)ready, &frame);
        break;
    case BERTH__READY_LISTENER:
        run_listener(kernel, (berth__listener *)ready, &frame);
        break;
    case BERTH__READY_WATCH:
        if (ready->pending != 0)
            berth__kernel_handle(kernel);
        berth__kernel_run_watch((berth__watch *)ready);
        break;
    }
    kernel->frames = frame.outer;
}

/* ---- questions ------------------------------------------------------------------------------- */

static uint64_t sim_now(berth__backend *backend)
{
    berth__kernel_look_at_clock(kernel_of(backend));
    return kernel_of(backend)->now;
}

static int sim_descriptor(berth__backend *backend)
{
    (void)backend;
    return -1;
}

static int sim_reserve(berth__backend *backend)
{
    return berth__kernel_at_limit(kernel_of(backend)) ? -1 : berth__sim_event_descriptor(backend);
}

static size_t sim_reject(berth__backend *backend, berth__listener *listener, size_t most,
                         berth__close_mode mode, int *spare)
{
    berth__kernel_port *port = listener->own;
    bool lent = false;
    size_t count = 0;
    for (unsigned failures = 0;
         count < most && port->queue != NULL && failures < BERTH__ACCEPT_BUDGET;) {
        int error = berth__kernel_accept_error(kernel_of(backend));
        if ((error == EMFILE || error == ENFILE) && *spare >= 0) {
            berth__sim_close_descriptor(backend, *spare);
            *spare = -1;
            lent = true;
            continue;
        }
        if (error != 0 && !berth__is_passing(error))
            break;
        failures += error != 0;
        if (error != 0)
            continue;
        berth__kernel_close_end(berth__kernel_dequeue(port), mode == BERTH__CLOSE_RESET);
        count++;
    }
    if (lent)
        *spare = sim_reserve(backend);
    return count;
}

static void sim_discard(berth__backend *backend, int descriptor)
{
    assert(berth__sim_is_open(backend, descriptor));
    berth__sim_close_descriptor(backend, descriptor);
    berth__kernel_tell_closed(kernel_of(backend));
}

/* ---- making and destroying ------------------------------------------------------------------- */

static void sim_destroy(berth__backend *backend)
{
    berth__kernel *kernel = kernel_of(backend);
    assert(kernel->copies == 0);
    for (size_t i = 0; i < kernel->entry_count; i++) {
        berth__kernel_entry *entry = &kernel->entries[i];
        assert(entry->kind != ENTRY_CLOSING && "every record was closed, and `closed` was called");
        assert(entry->kind != ENTRY_END || entry->of.end->stream == NULL);
        assert(entry->kind != ENTRY_PORT || entry->of.port->listener == NULL);
        if (entry->kind != ENTRY_FREE)
            berth__sim_close_descriptor(backend, BERTH__SIM_FIRST_DESCRIPTOR + (int)i);
    }
    while (kernel->ports != NULL)
        berth__kernel_close_port(kernel, kernel->ports);
    berth__kernel_forget_names(kernel);
    while (kernel->ends != NULL)
        berth__kernel_free_end(kernel->ends);
    for (berth__kernel **link = &newest; *link != NULL; link = &(*link)->older) {
        if (*link != kernel)
            continue;
        *link = kernel->older;
        break;
    }
    close(kernel->bell);
    free(kernel->entries);
    free(kernel->watches);
    free(kernel->candidates);
    free(kernel);
}

static const berth__backend_operations sim_operations = {
    .name = "sim",
    .destroy = sim_destroy,
    .listen = sim_listen,
    .adopt_listener = sim_adopt_listener,
    .listen_local = berth__sim_listen_local,
    .remove_local = berth__sim_remove_local,
    .accept_credit = sim_accept_credit,
    .close_listener = sim_close_listener,
    .adopt = sim_adopt,
    .bind = sim_bind,
    .connect = sim_connect,
    .connect_local = berth__sim_connect_local_stream,
    .receive_start = sim_receive_start,
    .receive_stop = sim_receive_stop,
    .send = sim_send,
    .await_room = sim_await_room,
    .finish_send = berth__sim_finish_send,
    .shutdown_send = sim_shutdown_send,
    .close = sim_close,
    .release = sim_release,
    .watch_start = berth__sim_watch_start,
    .watch_close = berth__sim_watch_close,
    .dial = berth__sim_dial,
    .dialled = berth__sim_dialled,
    .take = berth__sim_take,
    .put = berth__sim_put,
    .wake = sim_wake,
    .submit = sim_submit,
    .wait = sim_wait,
    .run = sim_run,
    .now = sim_now,
    .descriptor = sim_descriptor,
    .name_of = berth__sim_name_of,
    .local_name = berth__sim_local_name,
    .credentials = berth__sim_credentials,
    .has_connection = berth__sim_has_connection,
    .input = berth__sim_input,
    .in_transit = berth__sim_in_transit,
    .has_unsent = berth__sim_has_unsent,
    .option = berth__sim_option,
    .put_chunks = berth__sim_put_chunks,
    .read_file = berth__sim_read_file,
    .copy = berth__sim_copy,
    .close_copy = berth__sim_close_copy,
    .open_file = berth__sim_open_file,
    .close_file = berth__sim_close_file,
    .discard = sim_discard,
    .reserve = sim_reserve,
    .reject = sim_reject,
};

/* A seed alone has to be worth a run: transfers stay above a size with which big tests would take
 * for ever. */
static void derive_settings(berth__kernel *kernel)
{
    kernel->settings =
        (berth__sim_settings){.buffer_size = 65536, .descriptor_limit = UINT_MAX, .patience = 2000};
    const char *text = getenv("BERTH_SIM_SEED");
    if (text == NULL || text[0] == '\0')
        return;
    uint64_t seed = strtoull(text, NULL, 0);
    berth__sim_set_seed(&kernel->backend, seed);
    kernel->settings.max_delay =
        seed % 3 == 0 ? 0 : 1000u * (1 + berth__kernel_chance(kernel, 2000));
    kernel->settings.accept_noise = seed % 5 == 0 ? 4 : 0;
    kernel->settings.max_transfer =
        seed % 2 == 0 ? 0 : 1024 + (size_t)berth__kernel_chance(kernel, 8192);
}

berth__backend *berth__sim_new(berth__pool *pool, char *ret_reason, size_t size)
{
    berth__kernel *kernel = calloc(1, sizeof *kernel);
    if (kernel == NULL)
        return NULL;
    kernel->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (kernel->bell < 0) {
        free(kernel);
        return NULL;
    }
    kernel->backend.operations = &sim_operations;
    kernel->backend.pool = pool;
    kernel->now = BEGINNING;
    kernel->passes_next = NEVER;
    berth__ready_list_init(&kernel->backend.ready);
    derive_settings(kernel);
    kernel->older = newest;
    newest = kernel;
    snprintf(ret_reason, size, "a simulated kernel, seed %llu",
             (unsigned long long)kernel->settings.seed);
    return &kernel->backend;
}

berth__backend *berth__sim_last(void)
{
    return newest != NULL ? &newest->backend : NULL;
}
