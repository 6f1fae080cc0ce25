/*
 * The kit: events into fields and the trace, and the laws that hold everywhere.
 */
#include "kit.h"

#include <stdlib.h>
#include <string.h>

#define RUN_LIMIT 4096

static berth__backend *backend;
static berth__pool pool;
static kit_stream *streams;
static kit_listener *listeners;
static kit_watch *watches;
static bool starting; /* inside a call that starts something */
static bool running;  /* inside `run` */
static bool waiting;  /* inside `wait` */
static bool nesting_allowed;
static unsigned nested; /* events on the stack */
static unsigned descriptors_closed;
static size_t run_bytes;     /* delivered by the present run */
static unsigned run_accepts; /* announced by it */

/* ---- the laws that hold everywhere -------------------------------------------------------------
 */

static void enter_event(bool closed)
{
    ck_assert_msg(!starting, "an event came inside the call that starts something");
    ck_assert_msg(running, "an event came from elsewhere than `run`");
    ck_assert_msg(nested == 0 || nesting_allowed, "an event came inside another");
    ck_assert_msg(!closed, "an event came after `closed`");
    nested++;
}

static void leave_event(void)
{
    nested--;
}

/* Calls made inside an event start something too, so the flag is kept and put back. */
#define STARTING(call)           \
    do {                         \
        bool before_ = starting; \
        starting = true;         \
        call;                    \
        starting = before_;      \
    } while (0)

/* Inside an event, `starting` has to be off for what the hook does next. */
#define HOOK(record, hook)          \
    do {                            \
        if ((record)->hook != NULL) \
            (record)->hook(record); \
    } while (0)

/* ---- events of streams -------------------------------------------------------------------------
 */

static kit_stream *of_stream(berth__stream *stream)
{
    return (kit_stream *)(void *)((char *)stream - offsetof(kit_stream, stream));
}

static void on_connected(berth__stream *stream, int error)
{
    kit_stream *self = of_stream(stream);
    enter_event(self->closed);
    ck_assert_int_eq(stream->error, error);
    self->connects++;
    self->connect_error = error;
    trace("%s connected %d", self->name, error != 0);
    HOOK(self, inside_connected);
    leave_event();
}

static size_t room(berth__stream *stream)
{
    kit_stream *self = of_stream(stream);
    self->owed = self->room > 0;
    return self->room;
}

static void room_unused(berth__stream *stream)
{
    kit_stream *self = of_stream(stream);
    ck_assert(stream->limited);
    ck_assert(stream->receiving);
    self->owed = false;
}

static void on_received(berth__stream *stream, const void *data, size_t size)
{
    kit_stream *self = of_stream(stream);
    enter_event(self->closed);
    ck_assert_msg(stream->receiving, "received while receiving is off");
    ck_assert_msg(!stream->closing, "received after close");
    ck_assert_msg(!stream->limited || size <= self->room, "%zu bytes were too many", size);
    ck_assert_uint_eq(self->ends, 0);
    ck_assert_uint_gt(size, 0);
    run_bytes += size;
    ck_assert_msg(run_bytes <= BERTH__RECEIVE_BUDGET, "a run delivered %zu bytes", run_bytes);
    if (self->received + size > self->capacity) {
        self->capacity = 2 * (self->received + size);
        self->bytes = realloc(self->bytes, self->capacity);
        ck_assert_ptr_nonnull(self->bytes);
    }
    memcpy(self->bytes + self->received, data, size);
    self->received += size;
    self->owed = false;
    self->deliveries++;
    HOOK(self, inside_received);
    leave_event();
}

static void on_receive_ended(berth__stream *stream, int error)
{
    kit_stream *self = of_stream(stream);
    enter_event(self->closed);
    ck_assert_msg(!stream->closing, "ended after close");
    ck_assert_msg(!stream->receiving, "receiving is still on inside receive_ended");
    ck_assert_int_eq(stream->error, error);
    bool broken = self->ends == 1 && self->end_error == 0 && error != 0; /* after an end */
    self->ends++;
    self->owed = false;
    self->end_error = error;
    ck_assert_msg(self->ends == 1 || broken, "receive_ended came %u times", self->ends);
    trace("%s ended %d", self->name, error != 0);
    HOOK(self, inside_ended);
    leave_event();
}

/* Tells the case, whichever of the two ways the backend has taken. */
static void send_has_ended(kit_stream *self, ptrdiff_t result)
{
    ck_assert_msg(!self->stream.sending, "sending is still on after the end");
    self->sents++;
    self->sent = result;
    if (result > 0)
        self->sent_sum += (size_t)result;
    trace("%s sent", self->name);
    HOOK(self, inside_sent);
}

static void on_sent(berth__stream *stream, ptrdiff_t result)
{
    kit_stream *self = of_stream(stream);
    enter_event(self->closed);
    ck_assert_msg(result != 0 || stream->ready.paced, "a send gave 0");
    send_has_ended(self, result);
    leave_event();
}

static bool on_taken(berth__stream *stream, ptrdiff_t result)
{
    kit_stream *self = of_stream(stream);
    ck_assert_msg(waiting, "taken came elsewhere than in `wait`");
    ck_assert_msg(!self->closed && !stream->closing, "taken after close");
    ck_assert_msg(result > 0, "taken is for what has gone well");
    self->asked++;
    if (self->content)
        send_has_ended(self, result);
    return self->content;
}

static void on_closed(berth__stream *stream)
{
    kit_stream *self = of_stream(stream);
    enter_event(self->closed);
    ck_assert_msg(stream->closing, "closed without a close");
    ck_assert_msg(!stream->sending, "closed before the send has ended");
    self->closed = true;
    trace("%s closed", self->name);
    HOOK(self, inside_closed);
    leave_event();
}

static const berth__stream_events stream_events = {
    .connected = on_connected,
    .received = on_received,
    .room = room,
    .room_unused = room_unused,
    .receive_ended = on_receive_ended,
    .sent = on_sent,
    .closed = on_closed,
    .taken = on_taken,
};

/* ---- events of listeners and watches -----------------------------------------------------------
 */

static void on_accepted(berth__listener *listener, int descriptor)
{
    kit_listener *self = listener->core;
    enter_event(self->closed);
    ck_assert_msg(!listener->closing, "accepted after close");
    ck_assert_msg(world_is_open(descriptor), "accepted %d, which is not open", descriptor);
    ck_assert_uint_lt(self->count, KIT_MOST_ACCEPTED);
    self->descriptors[self->count++] = descriptor;
    run_accepts++;
    ck_assert_uint_le(run_accepts, BERTH__ACCEPT_BUDGET);
    trace("%s accepted", self->name);
    HOOK(self, inside_accepted);
    leave_event();
}

static void on_accept_failed(berth__listener *listener, int error)
{
    kit_listener *self = listener->core;
    enter_event(self->closed);
    ck_assert_msg(!listener->closing, "accept_failed after close");
    ck_assert_uint_eq(listener->credit, 0);
    self->fails++;
    self->fail_error = error;
    trace("%s failed", self->name);
    HOOK(self, inside_failed);
    leave_event();
}

static void on_listener_closed(berth__listener *listener)
{
    kit_listener *self = listener->core;
    enter_event(self->closed);
    ck_assert_msg(listener->closing, "closed without a close");
    self->closed = true;
    trace("%s closed", self->name);
    leave_event();
}

static const berth__listener_events listener_events = {
    .accepted = on_accepted,
    .accept_failed = on_accept_failed,
    .closed = on_listener_closed,
};

static void on_fired(berth__watch *watch, unsigned events)
{
    kit_watch *self = watch->core;
    enter_event(self->closed);
    ck_assert_msg(!watch->closing, "fired after close");
    self->fires++;
    self->found = events;
    HOOK(self, inside_fired);
    leave_event();
}

static void on_watch_closed(berth__watch *watch)
{
    kit_watch *self = watch->core;
    enter_event(self->closed);
    self->closed = true;
    leave_event();
}

/* ---- turns -------------------------------------------------------------------------------------
 */

/* As a blocking wait does: an open stream is claimed, whatever its place. What a case has closed
 * without making it everybody's first, as the library would, is taken out here. */
static berth__ready *take_for(const void *owner)
{
    berth__ready_list *list = &kit()->ready;
    berth__ready_line *line = &list->lines[BERTH__LINE_STREAMS];
    for (berth__ready **link = &line->first; *link != NULL; link = &(*link)->next) {
        berth__ready *ready = *link;
        berth__stream *stream = (berth__stream *)ready;
        if (ready->owner != owner || ready->pending == 0)
            continue;
        if (!stream->closing)
            return berth__ready_claim(list, stream);
        *link = ready->next;
        if (line->last == &ready->next)
            line->last = link;
        line->swept = &line->first;
        ready->queued = false;
        list->count--;
        return ready;
    }
    berth__ready *ready = berth__ready_take_of(list, owner);
    if (ready == NULL)
        ready = berth__ready_take_shared(list);
    return ready != NULL ? ready : berth__ready_sweep(list);
}

static bool run_first(const void *owner)
{
    berth__ready *ready = owner == NULL ? berth__ready_take(&kit()->ready) : take_for(owner);
    if (ready == NULL)
        return false;
    bool was_running = running;
    size_t outer_bytes = run_bytes;
    unsigned outer_accepts = run_accepts;
    running = true;
    run_bytes = 0;
    run_accepts = 0;
    backend->operations->run(backend, ready);
    running = was_running;
    run_bytes = outer_bytes;
    run_accepts = outer_accepts;
    return true;
}

void kit_allow_nesting(void)
{
    nesting_allowed = true;
}

bool kit_run_one(void)
{
    return run_first(NULL);
}

unsigned kit_run_ready(const void *owner)
{
    unsigned count = 0;
    while (count < RUN_LIMIT && run_first(owner))
        count++;
    ck_assert_msg(count < RUN_LIMIT, "the ready list never gets empty");
    return count;
}

int kit_wait(int milliseconds)
{
    int error;
    bool outer = waiting;
    (void)kit();
    waiting = true;
    STARTING(error = backend->operations->wait(backend, (int64_t)milliseconds * 1000000));
    waiting = outer;
    return error;
}

unsigned kit_turn_for(const void *owner, int milliseconds)
{
    ck_assert_int_eq(kit_wait(milliseconds), 0);
    return kit_run_ready(owner);
}

void kit_turn(int milliseconds)
{
    kit_turn_for(NULL, milliseconds);
}

/* ---- beginning and end -------------------------------------------------------------------------
 */

static void close_listeners(void)
{
    for (kit_listener *each = listeners; each != NULL; each = each->next) {
        if (each->listener.descriptor >= 0)
            kit_close_listener(each);
        for (int turns = 0; each->listener.closing && !each->closed && turns < WORLD_TURNS; turns++)
            world_turn();
        ck_assert_msg(!each->listener.closing || each->closed, "listener %s never closed",
                      each->name);
        /* What a case did not adopt is its to close, and the kit does that for it. */
        for (unsigned i = 0; i < each->count; i++) {
            if (each->descriptors[i] >= 0)
                backend->operations->discard(backend, each->descriptors[i]);
        }
    }
}

static void close_all(void)
{
    for (kit_stream *each = streams; each != NULL; each = each->next) {
        if (each->stream.descriptor >= 0)
            kit_close(each);
        for (int turns = 0; each->stream.closing && !each->closed && turns < WORLD_TURNS; turns++)
            world_turn();
        ck_assert_msg(!each->stream.closing || each->closed, "stream %s never closed", each->name);
    }
    for (kit_watch *each = watches; each != NULL; each = each->next) {
        if (each->watch.active && !each->watch.closing)
            kit_watch_close(each);
        for (int turns = 0; each->watch.closing && !each->closed && turns < WORLD_TURNS; turns++)
            world_turn();
        ck_assert_msg(!each->watch.closing || each->closed, "a watch never closed");
    }
    close_listeners();
}

static void free_records(void)
{
    while (streams != NULL) {
        kit_stream *gone = streams;
        streams = gone->next;
        free(gone->bytes);
        free(gone);
    }
    while (listeners != NULL) {
        kit_listener *gone = listeners;
        listeners = gone->next;
        free(gone);
    }
    while (watches != NULL) {
        kit_watch *gone = watches;
        watches = gone->next;
        free(gone);
    }
}

static void end_kit(void)
{
    close_all();
    ck_assert_uint_eq(backend->ready.count, 0);
    backend->operations->destroy(backend);
    backend = NULL;
    free_records();
    berth__pool_clear(&pool);
}

static void count_closed(void *core)
{
    (void)core;
    descriptors_closed++;
}

unsigned kit_descriptors_closed(void)
{
    return descriptors_closed;
}

berth__backend *kit(void)
{
    if (backend != NULL)
        return backend;
    char reason[160];
    berth__pool_init(&pool);
    backend = berth__backend_choose(NULL, &pool, reason, sizeof reason);
    ck_assert_msg(backend != NULL, "no backend: %s", reason);
    ck_assert_str_eq(backend->operations->name, getenv("BERTH_BACKEND"));
    backend->descriptor_closed = count_closed;
    world_use_backend(kit_turn, end_kit);
    return backend;
}

static void make_kit(void)
{
    kit();
}

__attribute__((constructor)) static void announce_kit(void)
{
    world_make_backend_by(make_kit);
}

/* ---- records -----------------------------------------------------------------------------------
 */

static void *fresh(size_t size)
{
    void *memory = calloc(1, size);
    ck_assert_ptr_nonnull(memory);
    return memory;
}

kit_stream *kit_stream_new(const char *name, const void *owner)
{
    kit_stream *self = fresh(sizeof *self);
    berth__stream_init(&self->stream, &stream_events, (void *)(uintptr_t)owner);
    self->name = name;
    self->next = streams;
    streams = self;
    kit();
    return self;
}

void kit_forget(kit_stream *stream)
{
    for (kit_stream **link = &streams; *link != NULL; link = &(*link)->next) {
        if (*link != stream)
            continue;
        *link = stream->next;
        break;
    }
    free(stream->bytes);
    memset(stream, 0xdd, sizeof *stream);
    free(stream);
}

kit_stream *kit_pair(const char *name, const void *owner, struct peer **ret_peer)
{
    kit_stream *self = kit_stream_new(name, owner);
    int descriptor = world_stream_descriptor(ret_peer);
    int error;
    STARTING(error = backend->operations->adopt(backend, &self->stream, descriptor, false));
    ck_assert_msg(error == 0, "adopt: %s", strerror(error));
    return self;
}

kit_stream *kit_adopt(const char *name, int descriptor)
{
    kit_stream *self = kit_stream_new(name, NULL);
    int error;
    STARTING(error = backend->operations->adopt(backend, &self->stream, descriptor, true));
    ck_assert_msg(error == 0, "adopt: %s", strerror(error));
    for (kit_listener *each = listeners; each != NULL; each = each->next) {
        for (unsigned i = 0; i < each->count; i++) {
            if (each->descriptors[i] == descriptor)
                each->descriptors[i] = -1;
        }
    }
    return self;
}

kit_listener *kit_listener_new(const char *name, const void *owner)
{
    kit_listener *self = fresh(sizeof *self);
    berth__listener_init(&self->listener, &listener_events, (void *)(uintptr_t)owner, self);
    self->name = name;
    self->next = listeners;
    listeners = self;
    kit();
    return self;
}

int kit_listen_at(kit_listener *listener, berth_address address, uint16_t port)
{
    berth__listen_options options = {.address = address, .port = port, .backlog = 50};
    berth__listen_step step;
    berth_address bound;
    int error;
    STARTING(error = kit()->operations->listen(backend, &listener->listener, &options, &step));
    if (error != 0)
        return error;
    return backend->operations->name_of(backend, listener->listener.descriptor, BERTH__LOCAL,
                                        &bound, &listener->port);
}

kit_listener *kit_listen(const char *name)
{
    kit_listener *self = kit_listener_new(name, NULL);
    ck_assert_int_eq(kit_listen_at(self, BERTH_ADDRESS_LOOPBACK, 0), 0);
    ck_assert_uint_ne(self->port, 0);
    return self;
}

kit_watch *kit_watch_new(const void *owner)
{
    kit_watch *self = fresh(sizeof *self);
    berth__watch_init(&self->watch, (void *)(uintptr_t)owner, self);
    self->watch.fired = on_fired;
    self->watch.closed = on_watch_closed;
    self->next = watches;
    watches = self;
    kit();
    return self;
}

/* ---- operations --------------------------------------------------------------------------------
 */

int kit_connect(kit_stream *stream, uint16_t port)
{
    berth_address address = BERTH_ADDRESS_LOOPBACK;
    int error;
    STARTING(error = backend->operations->connect(backend, &stream->stream, &address, port, NULL));
    return error;
}

void kit_receive_start(kit_stream *stream)
{
    STARTING(backend->operations->receive_start(backend, &stream->stream));
}

void kit_receive_stop(kit_stream *stream)
{
    STARTING(backend->operations->receive_stop(backend, &stream->stream));
}

const berth__chunk *kit_chunks(kit_stream *stream, const void *data, size_t size, unsigned count)
{
    count = count < size ? count : (unsigned)size;
    ck_assert_uint_le(count, KIT_CHUNKS);
    const uint8_t *bytes = data;
    for (unsigned i = 0; i < count; i++) {
        size_t part = i + 1 < count ? size / count : size;
        stream->chunks[i] = (berth__chunk){
            .bytes = (uint8_t *)(uintptr_t)bytes, .end = (uint32_t)part, .lent = true};
        if (i > 0)
            stream->chunks[i - 1].next = &stream->chunks[i];
        bytes += part;
        size -= part;
    }
    return &stream->chunks[0];
}

void kit_send(kit_stream *stream, const void *data, size_t size)
{
    static const unsigned counts[] = {1, 3, KIT_CHUNKS};
    ptrdiff_t result;
    unsigned before = stream->sents;
    const berth__chunk *first = kit_chunks(stream, data, size, counts[stream->cuts++ % 3]);
    STARTING(result = backend->operations->send(backend, &stream->stream, first, size,
                                                BERTH__SEND_ONLY));
    ck_assert_msg(stream->sents == before, "an event inside send");
    ck_assert_msg(stream->stream.sending == (result == 0), "in flight, or ended: not both");
    if (result != 0)
        send_has_ended(stream, result);
}

ptrdiff_t kit_await_room(kit_stream *stream)
{
    ptrdiff_t result;
    STARTING(result = backend->operations->await_room(backend, &stream->stream));
    return result;
}

ptrdiff_t kit_put(int descriptor, const void *data, size_t size)
{
    const berth_piece piece = {data, size};
    return backend->operations->put(backend, descriptor, &piece, 1);
}

int kit_shutdown(kit_stream *stream)
{
    int error;
    STARTING(error = backend->operations->shutdown_send(backend, &stream->stream));
    return error;
}

void kit_close(kit_stream *stream)
{
    STARTING(backend->operations->close(backend, &stream->stream, BERTH__CLOSE_NORMAL));
}

void kit_close_by_reset(kit_stream *stream)
{
    STARTING(backend->operations->close(backend, &stream->stream, BERTH__CLOSE_RESET));
}

void kit_credit(kit_listener *listener, unsigned credit)
{
    STARTING(backend->operations->accept_credit(backend, &listener->listener, credit));
}

void kit_close_listener(kit_listener *listener)
{
    STARTING(backend->operations->close_listener(backend, &listener->listener));
}

int kit_watch_start(kit_watch *watch, int descriptor, unsigned events)
{
    int error;
    STARTING(error = backend->operations->watch_start(backend, &watch->watch, descriptor, events));
    return error;
}

void kit_watch_close(kit_watch *watch)
{
    STARTING(backend->operations->watch_close(backend, &watch->watch));
}

/* ---- bytes -------------------------------------------------------------------------------------
 */

void kit_send_all(kit_stream *stream, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t done = 0; done < size;) {
        unsigned before = stream->sents;
        kit_send(stream, bytes + done, size - done);
        UNTIL(stream->sents > before);
        ck_assert_msg(stream->sent > 0, "a send failed: %s", strerror((int)-stream->sent));
        done += (size_t)stream->sent;
    }
}

/* A real kernel sends slowly at first: finding it full once is not enough. */
size_t kit_overfill(kit_stream *stream)
{
    enum {
        CHUNK = 20000,
        MOST_CHUNKS = 2000
    };
    static uint8_t bytes[CHUNK];
    int size = 1 << 20;
    int descriptor = stream->stream.descriptor;
    ck_assert_int_eq(backend->operations->option(backend, descriptor, BERTH_OPTION_SEND_BUFFER_SIZE,
                                                 &size, true),
                     0);
    unsigned times = 0;
    for (unsigned i = 0; i < MOST_CHUNKS; i++) {
        kit_send_all(stream, bytes, sizeof bytes);
        world_settle();
        times = backend->operations->has_unsent(backend, &stream->stream) ? times + 1 : 0;
        if (times == 10)
            return stream->sent_sum;
    }
    ck_abort_msg("the peer takes without end");
}

uint8_t *kit_pattern(size_t size, uint32_t seed)
{
    uint8_t *bytes = malloc(size);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(seed >> 24);
    }
    return bytes;
}
