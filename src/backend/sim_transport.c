/*
 * How bytes and ends travel in the simulated kernel: the queues of a connection's two ends.
 *
 *      write --> output of this end --move--> input of the other end --> read
 *
 * What is written lies in the output of the writer's end, up to its send buffer, and is moved into
 * the input of the other end, up to that one's receive buffer: at once where nothing is delayed
 * (settings.max_delay), else in portions, each after a delay by chance, whenever time passes. The
 * end of the output follows its last byte. It is Linux as seen by programs (6.18, loopback):
 *
 *  - A closed end goes on without an owner, an orphan, until its output and its end have arrived.
 *  - A reset takes along what lies in the outputs of both ends, but for what its sender had sent
 *    before: as much as the other end has room for. What is in an input stays, and is read before
 *    the error.
 *  - Closing with unread input, or with a linger of 0, resets. So do bytes that come to an end that
 *    was closed, an orphan with output left included.
 *  - The error of a reset is ECONNRESET, or EPIPE behind an orderly end, which a read does not
 *    show: it goes on returning 0. A reset of a connection that has ended both ways is nothing.
 *  - What a reset has taken along counts as in transit, and unsent, until the close.
 *  - The end of an output is given again in vain (0), but after both ends or a reset (ENOTCONN).
 *  - A short segment that is sent with MORE stays until it is a full one, a send without MORE, the
 *    end, something from the other side, a full buffer, or 200 ms. (The kernel keeps only what
 *    nothing is in flight before; and so does this.)
 *  - A full buffer is writable again from a third of it free.
 *  - A buffer has the size that was set, and is said to have twice that, within bounds.
 *
 * What is written to a Unix socket lies in the input of the other end at once, up to the writer's
 * send buffer; the other's receive buffer and MORE have no effect. As seen by programs:
 *
 *  - An end that goes leaves what it has written; nothing it does destroys that, and there is no
 *    reset. The other one reads ECONNRESET behind it, once, if the one that has gone left input
 *    unread or was never accepted; and the end behind that.
 *  - The other one cannot write from that moment on (EPIPE).
 *  - The end of an output can be given at any time.
 *  - A full buffer is writable again from three quarters of it free.
 *  - What the other end has not read is in transit, and nothing is unsent.
 *
 * tests/conformance/transport.c, ends.c and local.c show each on every backend.
 *
 * What is simpler here: no window probes, no Nagle algorithm, no rule against silly windows. An end
 * needs no room, and a reset no time.
 */
#include "sim_kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NEVER UINT64_MAX
#define HELD_AT_MOST UINT64_C(200000000) /* nanoseconds that MORE keeps a segment */
#define LARGEST_SEGMENT ((size_t)65483)  /* of loopback */
#define SMALL_WINDOW ((size_t)536)       /* above, a segment is at most half a window */
#define LEAST_SEND_BUFFER 4608           /* as they are reported */
#define LEAST_RECEIVE_BUFFER 2304
#define LARGEST_BUFFER (1 << 22) /* as it is set */

/* What is being moved or walked through, so that it shows when an end goes meanwhile. */
struct berth__kernel_cursor {
    const berth__sim_end *end;
    berth__sim_end *next;
    berth__kernel_cursor *outer;
};

/* ---- queues ---------------------------------------------------------------------------------- */

static size_t room(const berth__kernel_queue *queue)
{
    return queue->size < queue->limit ? queue->limit - queue->size : 0;
}

/* Half of the memory is kept free, so that bytes are moved to its beginning rarely. */
static void put(berth__kernel_queue *queue, const uint8_t *data, size_t size)
{
    if (queue->start + queue->size + size > queue->space) {
        size_t space = 2 * (queue->size + size);
        if (space < 256)
            space = 256;
        if (queue->size > 0)
            memmove(queue->bytes, queue->bytes + queue->start, queue->size);
        queue->start = 0;
        if (space > queue->space) {
            queue->bytes = berth__kernel_must(realloc(queue->bytes, space));
            queue->space = space;
        }
    }
    memcpy(queue->bytes + queue->start + queue->size, data, size);
    queue->size += size;
}

static void drop(berth__kernel_queue *queue, size_t size)
{
    queue->size -= size;
    queue->start = queue->size > 0 ? queue->start + size : 0;
}

/* ---- ends ------------------------------------------------------------------------------------ */

berth__sim_end *berth__kernel_new_end(berth__kernel *kernel)
{
    berth__sim_end *end = berth__kernel_must(calloc(1, sizeof *end));
    end->kernel = kernel;
    end->input.limit = end->output.limit = kernel->settings.buffer_size;
    end->options[BERTH_OPTION_LINGER] = -1;
    end->options[BERTH_OPTION_SEND_BUFFER_SIZE] = (int)end->output.limit;
    end->options[BERTH_OPTION_RECEIVE_BUFFER_SIZE] = (int)end->input.limit;
    end->next = kernel->ends;
    if (end->next != NULL)
        end->next->link = &end->next;
    end->link = &kernel->ends;
    kernel->ends = end;
    return end;
}

void berth__kernel_free_end(berth__sim_end *end)
{
    for (berth__kernel_cursor *each = end->kernel->cursors; each != NULL; each = each->outer) {
        if (each->end == end)
            each->end = NULL;
        if (each->next == end)
            each->next = end->next;
    }
    if (end->other != NULL)
        end->other->other = NULL;
    end->kernel->attempts -= end->retry_at != 0;
    *end->link = end->next;
    if (end->next != NULL)
        end->next->link = end->link;
    free(end->input.bytes);
    free(end->output.bytes);
    free(end);
}

static int buffer_size(int value, int least)
{
    int size = 2 * (value < LARGEST_BUFFER ? value : LARGEST_BUFFER);
    return size > least ? size : least;
}

void berth__kernel_set_option(berth__sim_end *end, berth_socket_option which, int value)
{
    if (which == BERTH_OPTION_SEND_BUFFER_SIZE) {
        value = buffer_size(value, LEAST_SEND_BUFFER);
        end->output.limit = (size_t)value / 2;
    } else if (which == BERTH_OPTION_RECEIVE_BUFFER_SIZE) {
        value = buffer_size(value, LEAST_RECEIVE_BUFFER);
        end->input.limit = (size_t)value / 2;
    }
    end->options[which] = value;
    if (end->other != NULL)
        berth__kernel_push(end->other);
}

void berth__kernel_copy_options(berth__sim_end *end, const berth__sim_end *from)
{
    memcpy(end->options, from->options, sizeof end->options);
    end->input.limit = from->input.limit;
    end->output.limit = from->output.limit;
}

/* ---- moving ---------------------------------------------------------------------------------- */

static size_t segment(const berth__sim_end *end)
{
    size_t window = end->other != NULL ? end->other->input.limit : LARGEST_SEGMENT;
    size_t size = window > SMALL_WINDOW ? window / 2 : window;
    return size < LARGEST_SEGMENT ? size : LARGEST_SEGMENT;
}

static bool is_held(const berth__sim_end *end)
{
    return end->held_until > end->kernel->now && end->output.size < segment(end);
}

/* Whether there is something to move, and room for it. */
static bool can_move(const berth__sim_end *end)
{
    const berth__sim_end *other = end->other;
    if (other == NULL)
        return end->output.size > 0; /* a reset is the answer */
    if (end->output.size == 0)
        return end->output_ended && !other->input_ended;
    return !is_held(end) && (other->orphan || room(&other->input) > 0);
}

static void transfer(berth__sim_end *end, size_t most)
{
    size_t free = room(&end->other->input);
    size_t size = end->output.size < free ? end->output.size : free;
    size = size < most ? size : most;
    if (size == 0)
        return;
    put(&end->other->input, end->output.bytes + end->output.start, size);
    end->other->addressed = true;
    drop(&end->output, size);
    if (end->output.size == 0)
        end->held_until = 0;
}

/* A reset has come from the other end. What that one had sent before, as far as there is room, was
 * on its way already, and arrives first. */
static void break_off(berth__sim_end *end)
{
    berth__sim_end *other = end->other;
    bool ended = end->input_ended && end->output_ended && end->output.size == 0;
    if (other != NULL && !end->orphan && !is_held(other)) {
        transfer(other, SIZE_MAX);
        end->input_ended = other->output_ended && other->output.size == 0;
    }
    end->lost = end->output.size;
    end->lost_unsent = other != NULL && end->lost > room(&other->input);
    if (other != NULL)
        other->other = NULL;
    end->other = NULL;
    drop(&end->output, end->output.size);
    end->kernel->barren = 0;
    if (end->orphan)
        berth__kernel_free_end(end);
    else if (!ended)
        end->error = end->input_ended ? EPIPE : ECONNRESET;
}

static void move_end(berth__sim_end *end)
{
    berth__sim_end *other = end->other;
    other->input_ended = true;
    if (!end->orphan)
        return;
    berth__kernel_free_end(end); /* nobody is there any more */
    if (other->orphan && other->output.size == 0)
        berth__kernel_free_end(other);
}

/* One portion of the output, and with the last maybe the end. */
static void move_output(berth__sim_end *end)
{
    const berth__sim_settings *settings = &end->kernel->settings;
    bool slow = settings->max_delay > 0;
    transfer(end, slow ? berth__kernel_portion(end->kernel, end->output.size) : SIZE_MAX);
    bool last = end->output.size == 0 && end->output_ended;
    if (last && !(slow && berth__kernel_chance(end->kernel, 2) == 0))
        move_end(end);
}

/* What was kept at the other end goes out with the answer. Either end may be gone afterwards. */
static void move(berth__sim_end *end)
{
    berth__sim_end *other = end->other;
    end->kernel->barren = 0;
    if (other == NULL) {
        break_off(end);
        return;
    }
    if (other->orphan && end->output.size > 0) {
        break_off(end); /* first: it may be an orphan too */
        berth__kernel_free_end(other);
        return;
    }
    bool held = other->held_until != 0; /* so it is no orphan, and stays */
    if (end->output.size > 0)
        move_output(end);
    else
        move_end(end);
    if (!held)
        return;
    other->held_until = 0;
    berth__kernel_push(other);
}

static void begin_walk(berth__kernel *kernel, berth__kernel_cursor *cursor)
{
    cursor->outer = kernel->cursors;
    kernel->cursors = cursor;
}

static void move_due(berth__sim_end *end, uint64_t *earliest)
{
    berth__kernel *kernel = end->kernel;
    if (end->held_until > kernel->now && end->held_until < *earliest)
        *earliest = end->held_until;
    berth__kernel_cursor cursor = {.end = end};
    begin_walk(kernel, &cursor);
    while (cursor.end != NULL &&
           berth__kernel_is_due(kernel, &end->move_due, can_move(end), earliest))
        move(end);
    kernel->cursors = cursor.outer;
}

void berth__kernel_push(berth__sim_end *end)
{
    uint64_t earliest = NEVER;
    move_due(end, &earliest);
}

void berth__kernel_move(berth__kernel *kernel, uint64_t *earliest)
{
    berth__kernel_cursor cursor = {.next = kernel->ends};
    begin_walk(kernel, &cursor);
    while (cursor.next != NULL) {
        berth__sim_end *end = cursor.next;
        cursor.next = end->next;
        move_due(end, earliest);
    }
    kernel->cursors = cursor.outer;
}

/* ---- what the two sides do ------------------------------------------------------------------- */

bool berth__kernel_readable(const berth__sim_end *end)
{
    return end->input.size > 0 || end->error != 0 || end->dead || end->input_ended ||
           berth__kernel_unconnected(end);
}

/* Bytes that a local end has written, and that were not read. */
static size_t unread(const berth__sim_end *end)
{
    return end->other != NULL ? end->other->input.size : 0;
}

bool berth__kernel_writable(const berth__sim_end *end)
{
    if (end->local)
        return end->other == NULL || end->output_ended || 4 * unread(end) <= end->output.limit;
    return end->error != 0 || end->dead || end->output_ended ||
           2 * room(&end->output) >= end->output.size;
}

int berth__kernel_take_error(berth__sim_end *end)
{
    int error = end->error;
    end->error = 0;
    if (error != 0)
        end->dead = true;
    return error;
}

int berth__kernel_end_of_input(berth__sim_end *end)
{
    if (end->input_ended && !end->local)
        return 0;
    int error = berth__kernel_take_error(end);
    return error == 0 && berth__kernel_unconnected(end) ? ENOTCONN : error;
}

void berth__kernel_get(berth__sim_end *end, uint8_t *data, size_t size)
{
    berth__kernel_look(end, data, size);
    drop(&end->input, size);
    if (end->other != NULL)
        berth__kernel_push(end->other);
}

void berth__kernel_look(const berth__sim_end *end, uint8_t *data, size_t size)
{
    memcpy(data, end->input.bytes + end->input.start, size);
}

static ptrdiff_t write_local(berth__sim_end *end, const void *data, size_t size)
{
    if (end->other == NULL || end->output_ended)
        return -EPIPE;
    size_t used = unread(end);
    size_t free = used < end->output.limit ? end->output.limit - used : 0;
    size_t some = berth__kernel_portion(end->kernel, free < size ? free : size);
    if (some == 0)
        return -EAGAIN;
    end->whole += some == size && size < BERTH__SIM_LITTLE && !end->parted;
    end->parted = some < size;
    put(&end->other->input, data, some);
    end->other->addressed = true;
    end->kernel->barren = 0;
    return (ptrdiff_t)some;
}

ptrdiff_t berth__kernel_write(berth__sim_end *end, const void *data, size_t size, bool more)
{
    if (berth__kernel_unconnected(end))
        return -EPIPE;
    if (end->local)
        return write_local(end, data, size);
    int error = berth__kernel_take_error(end);
    if (error != 0)
        return -error;
    if (end->dead || end->output_ended)
        return -EPIPE;
    size_t free = room(&end->output);
    size_t some = berth__kernel_portion(end->kernel, free < size ? free : size);
    if (some == 0)
        return -EAGAIN;
    end->whole += some == size && size < BERTH__SIM_LITTLE && !end->parted;
    end->parted = some < size;
    bool alone = end->output.size == 0 || end->held_until != 0;
    put(&end->output, data, some);
    if (!more || !alone || some < size)
        end->held_until = 0;
    else if (end->held_until == 0)
        end->held_until = end->kernel->now + HELD_AT_MOST;
    berth__kernel_push(end);
    return (ptrdiff_t)some;
}

void berth__kernel_end_output(berth__sim_end *end)
{
    end->output_ended = true;
    if (end->local && end->other != NULL)
        end->other->input_ended = true;
    end->held_until = 0;
    berth__kernel_push(end);
}

bool berth__kernel_is_over(const berth__sim_end *end)
{
    bool arrived = end->other == NULL || end->other->input_ended;
    return end->input_ended && end->output_ended && end->output.size == 0 && arrived;
}

bool berth__kernel_can_end_output(const berth__sim_end *end)
{
    return end->local || (!end->dead && end->error == 0 && !berth__kernel_is_over(end));
}

static void close_local(berth__sim_end *end)
{
    berth__sim_end *other = end->other;
    end->kernel->barren = 0;
    if (other != NULL) {
        other->input_ended = true;
        if (end->input.size > 0)
            other->error = ECONNRESET;
    }
    berth__kernel_free_end(end);
}

void berth__kernel_close_end(berth__sim_end *end, bool reset)
{
    berth__sim_end *other = end->other;
    if (end->local) {
        close_local(end);
        return;
    }
    if (other == NULL) {
        berth__kernel_free_end(end);
    } else if (reset || end->input.size > 0 || end->options[BERTH_OPTION_LINGER] == 0) {
        break_off(other);
        berth__kernel_free_end(end);
    } else {
        end->orphan = true;
        berth__kernel_end_output(end);
    }
}

/* ---- questions ------------------------------------------------------------------------------- */

size_t berth__sim_under_way(const berth__sim_end *end)
{
    return end->output.size;
}

bool berth__sim_is_queued(const berth__sim_end *end)
{
    return end->other != NULL && end->other->queued != NULL;
}

bool berth__sim_is_behind(const berth__sim_end *end)
{
    return end->other != NULL && end->other->output.size > room(&end->input);
}

bool berth__sim_is_abandoned(const berth__sim_end *end)
{
    return berth__sim_is_behind(end) && end->other->orphan;
}

bool berth__sim_has_connection(berth__backend *backend, const berth__listener *listener)
{
    (void)backend;
    return ((const berth__kernel_port *)listener->own)->queue != NULL;
}

size_t berth__sim_input(berth__backend *backend, const berth__stream *stream)
{
    (void)backend;
    const berth__sim_end *end = stream->own.connection;
    return end != NULL ? end->input.size : 0;
}

size_t berth__sim_in_transit(berth__backend *backend, const berth__stream *stream)
{
    (void)backend;
    const berth__sim_end *end = stream->own.connection;
    if (end != NULL && end->local)
        return unread(end);
    return end != NULL ? end->output.size + end->lost : 0;
}

bool berth__sim_has_unsent(berth__backend *backend, const berth__stream *stream)
{
    (void)backend;
    const berth__sim_end *end = stream->own.connection;
    if (end != NULL && end->local)
        return false;
    if (end == NULL || end->other == NULL)
        return end != NULL && end->lost_unsent;
    return end->output.size > room(&end->other->input);
}
