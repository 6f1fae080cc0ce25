/*
 * Listeners and watches of the epoll backend.
 *
 * Listeners are level triggered. Where an event comes and nothing can be done about it (no credit,
 * or the record still waits in the ready list because a blocking wait runs only others) the
 * interest is taken away, else wait would return for it for ever; credit or run give it back. A
 * hang-up cannot be masked: the listener is taken out of the set, and reported as dead. Watches are
 * registered for one event and then removed; those that are kept stay, level triggered as well, and
 * are taken out when an event comes and nobody asks for it now.
 *
 * Failures: where the interest cannot be given back, the listener's next run reports that as a
 * failed accept.
 */
#include "epoll.h"

#include <assert.h>

#include "inet.h"

/* ---- listeners ------------------------------------------------------------------------------- */

static int attach_listener(epoll_backend *epoll, berth__listener *listener, int descriptor)
{
    int error = control(epoll, EPOLL_CTL_ADD, descriptor, 0, listener);
    if (error != 0)
        return error;
    listener->descriptor = descriptor;
    listener->flags = REGISTERED;
    berth__listener_enlist(&epoll->base, listener);
    return 0;
}

int berth__epoll_listen(berth__backend *backend, berth__listener *listener,
                        const berth__listen_options *options, berth__listen_step *ret_step)
{
    int descriptor;
    int error = berth__inet_listen(options, &descriptor, ret_step);
    if (error != 0)
        return error;
    error = attach_listener(of(backend), listener, descriptor);
    if (error == 0)
        return 0;
    *ret_step = BERTH__LISTEN_ATTACH;
    berth__inet_close(descriptor, BERTH__CLOSE_COPY);
    return error;
}

int berth__epoll_adopt_listener(berth__backend *backend, berth__listener *listener, int descriptor)
{
    int error = berth__inet_check_listener(descriptor, listener);
    return error != 0 ? error : attach_listener(of(backend), listener, descriptor);
}

int berth__epoll_listen_local(berth__backend *backend, berth__listener *listener,
                              const berth__local_listen *options, berth__local_file *ret_file,
                              berth__local_step *ret_step)
{
    int descriptor;
    int error = berth__common_listen_local(listener, options, &descriptor, ret_file, ret_step);
    if (error != 0)
        return error;
    error = attach_listener(of(backend), listener, descriptor);
    if (error == 0)
        return 0;
    *ret_step = BERTH__LOCAL_ATTACH;
    berth__common_remove_local(backend, &options->name, ret_file);
    berth__inet_close(descriptor, BERTH__CLOSE_COPY);
    return error;
}

/* Has the next run report a failure. */
static void fail_later(epoll_backend *epoll, berth__listener *listener, int error)
{
    listener->error = (int16_t)error;
    berth__ready_add(&epoll->base.ready, &listener->ready, BERTH__READY_ACCEPT);
}

/* Gives the interest back. */
static void enable_listener(epoll_backend *epoll, berth__listener *listener)
{
    if (listener->closing || listener->credit == 0 || (listener->flags & ENABLED) ||
        !(listener->flags & REGISTERED))
        return;
    int error = control(epoll, EPOLL_CTL_MOD, listener->descriptor, EPOLLIN, listener);
    if (error == 0)
        listener->flags |= ENABLED;
    else
        fail_later(epoll, listener, error);
}

static void remove_listener(epoll_backend *epoll, berth__listener *listener)
{
    berth__epoll_remove(epoll, listener->descriptor); /* it may be out already */
    listener->flags = 0;
}

static void disable_listener(epoll_backend *epoll, berth__listener *listener)
{
    if (control(epoll, EPOLL_CTL_MOD, listener->descriptor, 0, listener) == 0)
        listener->flags &= ~(uint32_t)ENABLED;
}

void berth__epoll_accept_credit(berth__backend *backend, berth__listener *listener, unsigned credit)
{
    if (listener->closing)
        return;
    listener->credit = credit;
    if (!listener->ready.queued) /* else its run will */
        enable_listener(of(backend), listener);
}

void berth__epoll_close_listener(berth__backend *backend, berth__listener *listener)
{
    if (listener->closing)
        return;
    listener->closing = true;
    listener->credit = 0;
    remove_listener(of(backend), listener);
    listener->ready.pending = 0;
    berth__ready_add(&backend->ready, &listener->ready, BERTH__READY_CLOSED);
    int descriptor = listener->descriptor;
    listener->descriptor = -1;
    berth__inet_close(descriptor, BERTH__CLOSE_COPY);
    descriptor_closed(backend);
}

void berth__epoll_note_listener(epoll_backend *epoll, berth__listener *listener, uint32_t events)
{
    if (events & (EPOLLHUP | EPOLLERR)) {
        remove_listener(epoll, listener);
        fail_later(epoll, listener, EINVAL);
    } else if (listener->credit == 0 || listener->ready.queued) {
        disable_listener(epoll, listener);
    } else {
        berth__ready_add(&epoll->base.ready, &listener->ready, BERTH__READY_ACCEPT);
    }
}

void berth__epoll_run_listener(epoll_backend *epoll, berth__listener *listener)
{
    if (berth__common_run_closed(listener))
        return;
    if (!berth__ready_take_bit(&listener->ready, BERTH__READY_ACCEPT))
        return;
    if (!berth__common_run_batch(listener, listener->error))
        return;
    /* If there is more, the level will say so. */
    if (!listener->ready.queued)
        enable_listener(epoll, listener);
}

/* ---- watches --------------------------------------------------------------------------------- */

int berth__epoll_watch_start(berth__backend *backend, berth__watch *watch, int descriptor,
                             unsigned events)
{
    assert(!watch->active && !watch->closing);
    uint32_t flags = REGISTERED | events << WATCH_EVENTS;
    int operation = watch->flags & REGISTERED ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    int error = 0;
    if (watch->flags != flags)
        error = control(of(backend), operation, descriptor, berth__epoll_watch_bits(watch, events),
                        watch);
    if (error != 0)
        return error;
    watch->descriptor = descriptor;
    watch->events = events;
    watch->active = true;
    watch->flags = flags;
    berth__watch_enlist(backend, watch);
    return 0;
}

/* Whoever owns the descriptor may close it after the event, so that later there may be no way to
 * remove it. */
static void unregister_watch(epoll_backend *epoll, berth__watch *watch)
{
    if (!(watch->flags & REGISTERED))
        return;
    watch->flags = 0;
    berth__epoll_remove(epoll, watch->descriptor);
}

void berth__epoll_watch_close(berth__backend *backend, berth__watch *watch)
{
    if (watch->closing)
        return;
    unregister_watch(of(backend), watch);
    watch->closing = true;
    watch->active = false;
    watch->ready.pending = 0;
    berth__ready_add(&backend->ready, &watch->ready, BERTH__READY_CLOSED);
}

void berth__epoll_note_watch(epoll_backend *epoll, berth__watch *watch, uint32_t events)
{
    if (!watch->kept || !watch->active || watch->ready.queued)
        unregister_watch(epoll, watch);
    if (!watch->active || watch->ready.queued)
        return;
    unsigned found = 0;
    found |= events & (EPOLLIN | EPOLLRDHUP) ? BERTH__WATCH_READ : 0u;
    found |= events & EPOLLOUT ? BERTH__WATCH_WRITE : 0u;
    if (events & (EPOLLERR | EPOLLHUP))
        found = BERTH__WATCH_READ | BERTH__WATCH_WRITE;
    watch->events = found;
    berth__ready_add(&epoll->base.ready, &watch->ready, BERTH__READY_FIRED);
}
