/*
 * What servers, sockets and timers have in common: a loop, a place in its owner's list, and a safe
 * death.
 *
 * Any handler may free any object, also the one that is being called. So freeing takes an object
 * out of everything at once, but its memory goes only when no frame on the stack can still touch
 * it: code that calls a handler of an object stands between berth__enter and berth__leave of it,
 * and an object that was freed meanwhile is kept as garbage until it is in no such frame any more.
 * The loop collects garbage at the end of each turn; outside a turn it goes at once.
 */
#ifndef BERTH_OBJECT_H
#define BERTH_OBJECT_H

#include <berth/loop.h>

#include <stdbool.h>
#include <stdint.h>

typedef enum berth__kind {
    BERTH__SERVER,
    BERTH__SOCKET,
    BERTH__TIMER
} berth__kind;

typedef struct berth__object {
    berth_loop *loop;
    struct berth__object *next; /* in its owner's list, or among the garbage */
    struct berth__object **link;
    uint32_t frames;        /* on the stack that use it */
    uint16_t handlers_size; /* bytes of its handlers that the program knows */
    uint8_t kind;
    bool freed;
} berth__object;

/* Puts a new object into the list of its owner. */
void berth__object_init(berth__object *object, berth__kind kind, berth_loop *loop,
                        berth__object **list);

/* Moves it into another list. */
void berth__object_move(berth__object *object, berth__object **list);

/* What is left to do outside a turn of berth__leave (loop.h): garbage goes at once, and so does a
 * loop that was freed. Returns as that does. */
bool berth__leave_last(berth__object *object);

/* Takes the object out of its list and gives its memory away as soon as that is safe. */
void berth__discard(berth__object *object);

/* Gives away all garbage that no frame uses. */
void berth__collect(berth_loop *loop);

/* One of those handlers, or NULL if the slot is empty or was not known to the program when it was
 * compiled. */
#define BERTH__SLOT(pointer, size, type, slot) \
    ((pointer) != NULL && offsetof(type, slot) < (size) ? (pointer)->slot : NULL)

#endif
