/*
 * The common part of connections that are held back: see awaiting.h. Only making one can fail.
 */
#include "awaiting.h"

#include "base/memory.h"
#include "loop/loop.h"

#include <errno.h>

void berth__awaiting_list_init(berth__awaiting_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

void berth__awaiting_append(berth__awaiting_list *list, berth__awaiting *one)
{
    if (one->list != NULL)
        berth__awaiting_take_out(one);
    one->list = list;
    one->next = NULL;
    one->link = list->end;
    *list->end = one;
    list->end = &one->next;
}

void berth__awaiting_take_out(berth__awaiting *one)
{
    *one->link = one->next;
    if (one->next != NULL)
        one->next->link = one->link;
    else
        one->list->end = one->link;
    one->list = NULL;
}

static void closed(berth__watch *watch)
{
    berth_loop *loop = watch->core;
    loop->live--;
    berth__release(watch);
}

void *berth__awaiting_new(berth_server *server, int descriptor, size_t size,
                          void (*fired)(berth__watch *watch, unsigned events))
{
    berth_loop *loop = server->object.loop;
    berth__awaiting *one = berth__allocate(size);
    if (one == NULL)
        return NULL;
    one->list = NULL;
    berth__watch_init(&one->watch, server, loop);
    one->watch.fired = fired;
    one->watch.closed = closed;
    one->server = server;
    one->descriptor = descriptor;
    one->local = server->owner.local;
    one->parcelled = server->owner.parcelled;
    one->came = 0;
    berth__numbers_add(&loop->numbers, descriptor);
    loop->live++;
    return one;
}

int berth__awaiting_watch(berth__awaiting *one)
{
    berth__backend *backend = one->server->object.loop->backend;
    return backend->operations->watch_start(backend, &one->watch, one->descriptor,
                                            BERTH__WATCH_READ);
}

/* The number of the turn, cut off, and odd: none is 0. */
static uint16_t turn_of(const berth__awaiting *one)
{
    return (uint16_t)(2 * one->server->object.loop->counts.waits + 1);
}

void berth__awaiting_has_come(berth__awaiting *one)
{
    if (one->came == 0)
        one->came = turn_of(one);
}

bool berth__awaiting_has_left(const berth__awaiting *one)
{
    berth__backend *backend = one->server->object.loop->backend;
    uint8_t next;
    if (one->came == turn_of(one))
        return false;
    ptrdiff_t count = backend->operations->take(backend, one->descriptor, &next, sizeof next, true);
    return count <= 0 && count != -EAGAIN;
}

int berth__awaiting_see_off(berth__awaiting *gone)
{
    berth_loop *loop = gone->server->object.loop;
    if (gone->list != NULL)
        berth__awaiting_take_out(gone);
    gone->server = NULL;
    berth__numbers_remove(&loop->numbers, gone->descriptor);
    berth__ready_share(&gone->watch.ready);
    loop->backend->operations->watch_close(loop->backend, &gone->watch);
    return gone->descriptor;
}

bool berth__awaiting_keep_names(const berth_server *server, int descriptor,
                                berth__accepted **ret_names)
{
    const berth__accepted *accepted = server->accepted;
    *ret_names = NULL;
    if (accepted == NULL || accepted->descriptor != descriptor)
        return true;
    berth__accepted *names = berth__allocate(sizeof *names + accepted->values_size);
    if (names == NULL)
        return false;
    *names = *accepted;
    names->values = (const uint8_t *)(names + 1);
    if (names->values_size > 0)
        memcpy(names + 1, accepted->values, names->values_size);
    *ret_names = names;
    return true;
}
