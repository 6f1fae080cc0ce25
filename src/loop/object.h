/*
 * What servers, sockets, timers, watches, signals and rates have in common: a loop, a place in its
 * owner's list, and a safe death.
 *
 * Any handler may free any object, also the one that is being called. So freeing takes an object
 * out of everything at once, but its memory goes only when no frame on the stack can still touch
 * it: code that calls a handler of an object runs between berth__enter and berth__leave of it, and
 * an object that was freed meanwhile is kept as garbage until it is in no such frame any more. The
 * loop collects garbage at the end of each turn; outside a turn it goes at once.
 *
 * What differs between the kinds is in a table of functions that each kind gives to the loop, so
 * nothing here knows what the objects are. An object holds the number of its kind and not a pointer
 * to the table: of sockets there are many, and a pointer would cost each of them 16 bytes.
 */
#ifndef BERTH_OBJECT_H
#define BERTH_OBJECT_H

#include <berth/loop.h>

#include <stdbool.h>
#include <stdint.h>

enum {
    BERTH__KIND_TIMER,
    BERTH__KIND_WATCH,
    BERTH__KIND_SIGNAL,
    BERTH__KIND_SOCKET,
    BERTH__KIND_SERVER,
    BERTH__KIND_RATE,
    BERTH__KIND_HANDOVER,
    BERTH__KINDS
};

typedef struct berth__object berth__object;

typedef struct berth__kind {
    uint8_t number;
    /* As its user does it, handlers included. */
    void (*free)(berth__object *object);
    /* Gives its memory away: it was freed, and no frame uses it any more. */
    void (*destroy)(berth__object *object);
    /* The loop was inherited by fork, and is the process's own now. NULL: nothing is to be done. */
    void (*renew)(berth__object *object);
} berth__kind;

struct berth__object {
    berth_loop *loop;
    berth__object *next; /* in its owner's list, or among the garbage */
    berth__object **link;
    uint32_t frames;        /* on the stack that use it */
    uint16_t handlers_size; /* bytes of its handlers that the program knows */
    uint8_t kind : 4;       /* its number */
    uint8_t own : 4;        /* bits for its kind to use; 0 at first */
    bool freed;
};

/* Puts a new object into the list of its owner. */
void berth__object_init(berth__object *object, const berth__kind *kind, berth_loop *loop,
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

/* A walk through a list of objects, which goes on whatever becomes of them meanwhile, and over
 * several turns if need be. What is put into the list meanwhile is not come by. */
typedef struct berth__walk {
    struct berth__walk *next;  /* of the loop's */
    struct berth__walk **link; /* NULL: it is over, or has not begun */
    berth__object *object;     /* the next */
} berth__walk;

void berth__walk_begin(berth__walk *walk, berth_loop *loop, berth__object *list);
void berth__walk_end(berth__walk *walk); /* allowed when it is over */

/* The next object; NULL at the end, and the walk is over. */
berth__object *berth__walk_on(berth__walk *walk);

/* Frees or renews, by the function of its kind, each object of a list: in the first there may be
 * more of them meanwhile. */
void berth__objects_free(berth__object **list);
void berth__objects_renew(berth__object *list);

/* The place of an object in a list of the loop that it leaves when it is run: of those that lack a
 * descriptor or memory (loop->starving), or of those that have something to do before the next
 * sleep (loop->marked). Embedded in the object. */
typedef struct berth__mark {
    struct berth__mark *next;
    struct berth__mark **link; /* NULL: it is in no list */
    void (*run)(struct berth__mark *mark);
} berth__mark;

/* Puts one into a list; nothing if it is in one. Takes it out again, likewise. */
void berth__mark_put(berth__mark **list, berth__mark *mark);
void berth__mark_remove(berth__mark *mark);

/* Runs all of a list, each once: what is marked meanwhile is left to the next time. */
void berth__marks_run(berth__mark **list);

/* One of those handlers, or NULL if the slot is empty or was not known to the program when it was
 * compiled. */
#define BERTH__SLOT(pointer, size, type, slot) \
    ((pointer) != NULL && offsetof(type, slot) < (size) ? (pointer)->slot : NULL)

#endif
