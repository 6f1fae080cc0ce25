/*
 * Lists of objects and the deferred release of their memory; see object.h for the rule.
 */
#include "object.h"

#include "base/memory.h"
#include "loop.h"

#include <assert.h>

static void insert(berth__object *object, berth__object **list)
{
    object->next = *list;
    object->link = list;
    if (*list != NULL)
        (*list)->link = &object->next;
    *list = object;
}

/* The walks whose next object leaves its list go on with the one behind it. */
BERTH__RARE static void lead_past(berth__walk *walks, const berth__object *object)
{
    for (berth__walk *walk = walks; walk != NULL; walk = walk->next) {
        if (walk->object == object)
            walk->object = object->next;
    }
}

static void take_out(berth__object *object)
{
    if (object->loop->walks != NULL)
        lead_past(object->loop->walks, object);
    *object->link = object->next;
    if (object->next != NULL)
        object->next->link = object->link;
    object->next = NULL;
    object->link = NULL;
}

static const berth__kind *kind_of(const berth__object *object)
{
    return object->loop->kinds[object->kind];
}

void berth__object_init(berth__object *object, const berth__kind *kind, berth_loop *loop,
                        berth__object **list)
{
    object->loop = loop;
    object->kind = kind->number & 15u;
    object->own = 0;
    loop->kinds[kind->number] = kind;
    object->frames = 0;
    object->freed = false;
    insert(object, list);
}

void berth__object_move(berth__object *object, berth__object **list)
{
    take_out(object);
    insert(object, list);
}

bool berth__leave_last(berth__object *object)
{
    berth_loop *loop = object->loop;
    bool alive = !object->freed;
    if (!alive && object->frames == 0)
        berth__collect(loop);
    if (loop->life != BERTH__LOOP_FREED || loop->frames > 0)
        return alive;
    berth__loop_leave(loop); /* a handler has freed it */
    return false;
}

void berth__discard(berth__object *object)
{
    assert(!object->freed);
    take_out(object);
    object->freed = true;
    if (object->frames == 0 && object->loop->depth == 0) {
        kind_of(object)->destroy(object);
        return;
    }
    insert(object, &object->loop->garbage);
}

void berth__collect(berth_loop *loop)
{
    for (berth__object *object = loop->garbage, *next; object != NULL; object = next) {
        next = object->next;
        if (object->frames > 0)
            continue;
        take_out(object);
        kind_of(object)->destroy(object);
    }
}

void berth__objects_free(berth__object **list)
{
    while (*list != NULL)
        kind_of(*list)->free(*list);
}

void berth__objects_renew(berth__object *list)
{
    for (berth__object *object = list; object != NULL; object = object->next) {
        if (kind_of(object)->renew != NULL)
            kind_of(object)->renew(object);
    }
}

/* ---- walks ----------------------------------------------------------------------------------- */

void berth__walk_begin(berth__walk *walk, berth_loop *loop, berth__object *list)
{
    berth__walk_end(walk);
    walk->object = list;
    walk->next = loop->walks;
    walk->link = &loop->walks;
    if (walk->next != NULL)
        walk->next->link = &walk->next;
    loop->walks = walk;
}

void berth__walk_end(berth__walk *walk)
{
    if (walk->link == NULL)
        return;
    *walk->link = walk->next;
    if (walk->next != NULL)
        walk->next->link = walk->link;
    walk->link = NULL;
}

berth__object *berth__walk_on(berth__walk *walk)
{
    berth__object *object = walk->link != NULL ? walk->object : NULL;
    if (object == NULL)
        berth__walk_end(walk);
    else
        walk->object = object->next;
    return object;
}

/* ---- marks ----------------------------------------------------------------------------------- */

void berth__mark_put(berth__mark **list, berth__mark *mark)
{
    if (mark->link != NULL)
        return;
    mark->next = *list;
    mark->link = list;
    if (mark->next != NULL)
        mark->next->link = &mark->next;
    *list = mark;
}

void berth__mark_remove(berth__mark *mark)
{
    if (mark->link == NULL)
        return;
    *mark->link = mark->next;
    if (mark->next != NULL)
        mark->next->link = mark->link;
    mark->link = NULL;
}

void berth__marks_run(berth__mark **list)
{
    berth__mark *first = *list;
    *list = NULL;
    if (first != NULL)
        first->link = &first;
    while (first != NULL) {
        berth__mark *mark = first;
        berth__mark_remove(mark);
        mark->run(mark);
    }
}
