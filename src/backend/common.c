/*
 * What the two kernel backends do alike. See common.h.
 *
 * Each operation here is that of a descriptor, whichever backend waits for it. While a listener
 * accepts a batch its `own` points to a flag on the stack, by which a run inside `accepted` that
 * reports `closed` tells the outer one that the record is gone.
 */
#include "common.h"

#include <sys/epoll.h>
#include <time.h>

#include "inet.h"

/* ---- runs ------------------------------------------------------------------------------------ */

bool berth__common_run_closed(berth__listener *listener)
{
    if (!berth__ready_take_bit(&listener->ready, BERTH__READY_CLOSED))
        return false;
    if (listener->own != NULL)
        *(bool *)listener->own = true; /* a batch is waiting for its event to return */
    berth__listener_delist(listener);
    listener->events->closed(listener);
    return true;
}

bool berth__common_run_batch(berth__listener *listener, int error)
{
    bool gone = false;
    bool *outer = listener->own;
    listener->own = &gone;
    if (error != 0)
        (void)berth__inet_accept_failed(listener, error);
    else
        (void)berth__inet_accept_batch(listener);
    if (!gone)
        listener->own = outer;
    else if (outer != NULL)
        *outer = true;
    return !gone;
}

bool berth__common_list_outer(berth__backend *backend, const berth__frame *frame)
{
    bool any = false;
    for (; frame != NULL; frame = frame->outer) {
        if (frame->gone || frame->stream->ready.pending == 0 || frame->stream->ready.queued)
            continue;
        berth__ready_add(&backend->ready, &frame->stream->ready, 0);
        any = true;
    }
    return any;
}

void berth__common_run_watch(berth__watch *watch)
{
    if (berth__ready_take_bit(&watch->ready, BERTH__READY_CLOSED)) {
        berth__watch_delist(watch);
        watch->closed(watch);
        return;
    }
    if (!berth__ready_take_bit(&watch->ready, BERTH__READY_FIRED))
        return;
    watch->active = false;
    watch->fired(watch, watch->events);
}

unsigned berth__common_poll_bits(unsigned watch_events)
{
    unsigned bits = watch_events & BERTH__WATCH_READ ? EPOLLIN | EPOLLRDHUP : 0u;
    return bits | (watch_events & BERTH__WATCH_WRITE ? EPOLLOUT : 0u);
}

void berth__common_end_runs(berth__backend *backend, berth__frame *frame)
{
    for (; frame != NULL; frame = frame->outer)
        frame->gone = true;
    for (berth__listener *each = backend->listeners; each != NULL; each = each->next) {
        if (each->own != NULL)
            *(bool *)each->own = true;
        each->own = NULL;
    }
}

/* ---- operations ------------------------------------------------------------------------------ */

int berth__common_adopt(berth__backend *backend, berth__stream *stream, int descriptor,
                        bool accepted)
{
    (void)backend;
    int error = accepted ? 0 : berth__inet_check_stream(descriptor, stream);
    if (error != 0)
        return error;
    stream->descriptor = descriptor;
    stream->lingers = !accepted; /* for all that is known */
    return 0;
}

int berth__common_bind(berth__backend *backend, berth__stream *stream, const berth_address *address,
                       uint16_t port, const berth__options *options)
{
    (void)backend;
    return berth__inet_bind(address, port, options, &stream->descriptor);
}

uint64_t berth__common_now(berth__backend *backend)
{
    (void)backend;
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

int berth__common_name_of(berth__backend *backend, int descriptor, berth__side side,
                          berth_address *ret_address, uint16_t *ret_port)
{
    (void)backend;
    return berth__inet_name_of(descriptor, side, ret_address, ret_port);
}

int berth__common_option(berth__backend *backend, int descriptor, berth_socket_option which,
                         int *value, bool set)
{
    (void)backend;
    return berth__inet_option(descriptor, which, value, set);
}

size_t berth__common_in_transit(berth__backend *backend, const berth__stream *stream)
{
    (void)backend;
    return berth__inet_in_transit(stream->descriptor);
}

bool berth__common_has_connection(berth__backend *backend, const berth__listener *listener)
{
    (void)backend;
    return berth__inet_has_connection(listener->descriptor);
}

bool berth__common_has_unsent(berth__backend *backend, const berth__stream *stream)
{
    (void)backend;
    return berth__inet_has_unsent(stream->descriptor);
}

int berth__common_reserve(berth__backend *backend)
{
    (void)backend;
    return berth__inet_reserve();
}

size_t berth__common_reject(berth__backend *backend, berth__listener *listener, size_t most,
                            berth__close_mode mode, int *spare)
{
    (void)backend;
    return berth__inet_reject(listener->descriptor, most, mode, spare);
}
