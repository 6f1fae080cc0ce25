/*
 * The epoll backend in a child: what fork has left of it, and how it becomes the child's own.
 *
 * The set is shared with the parent, whose registrations it holds. So the child makes another, with
 * a bell of its own, and registers everything anew: listeners and watches at once, streams with the
 * next wait. Registering is an edge, so that whatever came meanwhile is found. Only when the new
 * set holds all listeners and watches does it take the place of the old, which is just closed.
 */
#include "epoll.h"

#include <sys/eventfd.h>
#include <unistd.h>

void berth__epoll_inherit(berth__backend *backend)
{
    epoll_backend *epoll = of(backend);
    berth__common_end_runs(backend, epoll->frame);
    for (berth__stream *each = epoll->unregistered; each != NULL; each = each->own.next)
        each->flags &= (uint16_t)~UNREGISTERED;
    epoll->unregistered = NULL;
    epoll->unregistered_last = &epoll->unregistered;
    berth__inherit(backend);
}

/* Returns an errno. */
static int register_all(epoll_backend *epoll)
{
    int error = control(epoll, EPOLL_CTL_ADD, epoll->bell, EPOLLIN | EPOLLET, NULL);
    for (berth__listener *each = epoll->base.listeners; each != NULL && error == 0;
         each = each->next) {
        if (each->closing)
            continue;
        each->flags = REGISTERED | (each->credit > 0 ? (uint32_t)ENABLED : 0u);
        error =
            control(epoll, EPOLL_CTL_ADD, each->descriptor, each->credit > 0 ? EPOLLIN : 0u, each);
    }
    for (berth__watch *each = epoll->base.watches; each != NULL && error == 0; each = each->next) {
        if (!each->active)
            each->flags = 0; /* kept, and not in this set */
        if (!(each->flags & REGISTERED))
            continue; /* it has fired, or closes */
        uint32_t wanted = berth__epoll_watch_bits(each, each->flags >> WATCH_EVENTS);
        error = control(epoll, EPOLL_CTL_ADD, each->descriptor, wanted, each);
    }
    return error;
}

static void close_both(int set, int bell)
{
    int kept = errno;
    if (set >= 0)
        (void)close(set);
    if (bell >= 0)
        (void)close(bell);
    errno = kept;
}

/* What had come before the fork, and was not run. */
static void list_pending(berth__backend *backend)
{
    for (berth__listener *each = backend->listeners; each != NULL; each = each->next) {
        if (each->ready.pending != 0)
            berth__ready_add(&backend->ready, &each->ready, 0);
    }
    for (berth__watch *each = backend->watches; each != NULL; each = each->next) {
        if (each->ready.pending != 0)
            berth__ready_add(&backend->ready, &each->ready, 0);
    }
}

int berth__epoll_renew(berth__backend *backend)
{
    epoll_backend *epoll = of(backend);
    int set = epoll->epoll;
    int bell = epoll->bell;
    epoll->epoll = BERTH__SYSTEM("epoll_create1", epoll_create1(EPOLL_CLOEXEC));
    epoll->bell =
        epoll->epoll < 0 ? -1 : BERTH__SYSTEM("eventfd", eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    int error = epoll->bell < 0 ? errno : register_all(epoll);
    if (error != 0) {
        close_both(epoll->epoll, epoll->bell);
        epoll->epoll = set;
        epoll->bell = bell;
        return error;
    }
    close_both(set, bell);
    backend->operations = backend->inherited;
    backend->inherited = NULL;
    list_pending(backend);
    return 0;
}

void berth__epoll_renew_stream(berth__backend *backend, berth__stream *stream)
{
    epoll_backend *epoll = of(backend);
    stream->flags &= READABLE | PAST_SHORT | CONNECTING | BROKEN;
    stream->ready.pending = (uint8_t)(stream->ready.pending & ~(unsigned)READY_WRITABLE);
    if ((stream->flags & CONNECTING) && !(stream->ready.pending & BERTH__READY_CONNECTED))
        berth__epoll_await_connect(epoll, stream);
    else if (!stream->ended)
        berth__epoll_list(epoll, stream);
    else if (stream->error == 0)
        berth__epoll_await_break(epoll, stream);
    if (stream->receiving && (stream->flags & READABLE))
        stream->ready.pending |= BERTH__READY_RECEIVE;
    if (stream->ready.pending != 0)
        berth__ready_add(&backend->ready, &stream->ready, 0);
}

void berth__epoll_forget(berth__backend *backend, berth__stream *stream)
{
    (void)backend;
    (void)stream;
}
