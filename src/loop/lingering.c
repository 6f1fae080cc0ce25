/*
 * Streams that linger: a small record each, with a deadline, in a list of the loop. See lingering.h
 * for why.
 *
 * The record lives from berth__linger until the stream is handed to berth__loop_close_stream,
 * whatever comes first: the peer's end or error, the bound of bytes, the deadline, a broken
 * backend. No handler of a user is called here.
 */
#include "lingering.h"

#include "base/count.h"
#include "base/memory.h"
#include "loop.h"
#include "source.h"

#include <berth/limits.h>

typedef struct berth__lingering {
    berth_loop *loop;
    berth__stream *stream;
    struct berth__lingering *next;
    struct berth__lingering **link;
    berth__place place;
    size_t bytes;   /* thrown away so far */
    size_t transit; /* bytes that the peer had not acknowledged when the time was over last */
    unsigned times; /* that it was given */
    berth__deadline deadline;
} berth__lingering;

static void unlist(berth__lingering *lingering)
{
    *lingering->link = lingering->next;
    if (lingering->next != NULL)
        lingering->next->link = lingering->link;
    else
        lingering->loop->lingering_end = lingering->link;
    lingering->next = NULL;
}

/* At the end: all have the same time, so the first is always the next that is due. */
static void start(berth__lingering *lingering)
{
    berth_loop *loop = lingering->loop;
    lingering->link = loop->lingering_end;
    *lingering->link = lingering;
    loop->lingering_end = &lingering->next;
    berth__deadline_start(&loop->deadlines, &lingering->deadline,
                          berth__after(berth__loop_clock(loop), BERTH__LINGER_MILLISECONDS));
}

static void finish(berth__lingering *lingering, berth__close_mode mode)
{
    berth_loop *loop = lingering->loop;
    berth__stream *stream = lingering->stream;
    unlist(lingering);
    berth__deadline_stop(&loop->deadlines, &lingering->deadline);
    berth__deadlines_unreserve(&loop->deadlines);
    berth__place place = lingering->place;
    berth__release(lingering);
    loop->counts.lingering--;
    if (place.roll != NULL)
        BERTH__UNCOUNT(place.roll->lingering);
    berth__place_give_up(place);
    berth__loop_close_stream(loop, stream, NULL, mode);
}

/* A bound has been reached: closing alone would not stop the peer where others hold copies. */
static void give_up(berth__lingering *lingering)
{
    finish(lingering, BERTH__CLOSE_NORMAL);
}

/* Whether the peer has taken output since, and there is more of it. */
static bool moves(berth__lingering *lingering)
{
    berth__backend *backend = lingering->loop->backend;
    size_t before = lingering->transit;
    lingering->transit = backend->operations->in_transit(backend, lingering->stream);
    return lingering->transit > 0 && lingering->transit < before;
}

static void time_is_over(berth__lingering *lingering)
{
    if (++lingering->times >= BERTH__LINGER_TIMES || !moves(lingering)) {
        give_up(lingering);
        return;
    }
    unlist(lingering);
    berth__deadline_stop(&lingering->loop->deadlines, &lingering->deadline);
    start(lingering);
}

size_t berth__linger_cut(berth_loop *loop, size_t most)
{
    size_t cut = 0;
    for (; cut < most && loop->lingering != NULL; cut++)
        give_up(loop->lingering);
    loop->counts.lingers_cut += cut;
    return cut;
}

static void expired(berth__deadline *deadline)
{
    time_is_over((berth__lingering *)((char *)deadline - offsetof(berth__lingering, deadline)));
}

static void received(berth__stream *stream, const void *data, size_t size)
{
    (void)data;
    berth__lingering *lingering = stream->ready.owner;
    lingering->bytes += size;
    if (lingering->bytes >= BERTH__LINGER_BYTES)
        give_up(lingering);
}

static void receive_ended(berth__stream *stream, int error)
{
    (void)error;
    finish(stream->ready.owner, BERTH__CLOSE_COPY);
}

static void never_sent(berth__stream *stream, ptrdiff_t result)
{
    assert(false && "nothing is in flight when a stream begins to linger");
    (void)stream;
    (void)result;
}

static void never_closed(berth__stream *stream)
{
    assert(false && "a stream that lingers is closed by the loop");
    (void)stream;
}

static const berth__stream_events events = {
    .connected = receive_ended,
    .received = received,
    .receive_ended = receive_ended,
    .sent = never_sent,
    .closed = never_closed,
};

static berth__lingering *make(berth_loop *loop)
{
    berth__lingering *made = berth__allocate_zero(sizeof *made);
    if (made != NULL && !berth__deadlines_reserve(&loop->deadlines)) {
        berth__release(made);
        return NULL;
    }
    return made;
}

/* In a blocking wait: closes those whose time is over. */
static uint64_t step(berth_loop *loop)
{
    if (loop->lingering == NULL)
        return UINT64_MAX;
    uint64_t now = berth__loop_clock(loop);
    while (loop->lingering != NULL && loop->lingering->deadline.time <= now)
        time_is_over(loop->lingering);
    return loop->lingering != NULL ? loop->lingering->deadline.time : UINT64_MAX;
}

static void end(berth_loop *loop)
{
    while (loop->lingering != NULL)
        give_up(loop->lingering);
}

static void renew(berth_loop *loop)
{
    const berth__backend_operations *operations = loop->backend->operations;
    for (berth__lingering *each = loop->lingering; each != NULL; each = each->next)
        operations->renew_stream(loop->backend, each->stream);
}

static const berth__source lingering_source = {.step = step, .renew = renew, .end = end};

void berth__linger(berth_loop *loop, berth__stream *stream, berth__place place)
{
    const berth__backend_operations *operations = loop->backend->operations;
    if (loop->counts.lingering >= BERTH_MOST_LINGERING)
        (void)berth__linger_cut(loop, 1);
    berth__lingering *lingering = make(loop);
    if (lingering == NULL) {
        berth__place_give_up(place);
        berth__loop_close_stream(loop, stream, NULL, BERTH__CLOSE_NORMAL);
        return;
    }
    if (loop->lingering == NULL)
        loop->lingering_end = &loop->lingering;
    berth__source_join(&loop->sources, &lingering_source);
    lingering->loop = loop;
    lingering->place = place;
    loop->counts.lingering++;
    if (place.roll != NULL)
        BERTH__COUNT(place.roll->lingering);
    lingering->stream = stream;
    lingering->transit = SIZE_MAX;
    lingering->deadline.expired = expired;
    start(lingering);
    stream->events = &events;
    stream->ready.owner = lingering;
    berth__ready_share(&stream->ready);
    stream->limited = false;
    operations->receive_start(loop->backend, stream);
    berth__loop_touch(loop);
}
