/*
 * Connections of a server that encrypts, in the order in which they are due: those that greet, and
 * those in their handshake. Nearly all have the same time, so whoever comes is due last.
 */
#ifndef BERTH_SRC_GUESTS_H
#define BERTH_SRC_GUESTS_H

#include <stdbool.h>
#include <stdint.h>

/* Embedded in the record of a connection. */
typedef struct berth__guest {
    struct berth__guest *next;  /* first */
    struct berth__guest **link; /* NULL: it is not in the list, its time does not run */
    uint64_t due;
    bool shaking; /* whether its record is that of a handshake */
    bool spared;  /* it was late, but what was found for it had to run */
} berth__guest;

typedef struct berth__guests {
    berth__guest *first;
    berth__guest **end;
} berth__guests;

void berth__guests_init(berth__guests *guests);

/* Puts one behind those that are due no later; or where `*link` is, if that is known to be the
 * place. */
void berth__guests_insert(berth__guests *guests, berth__guest *guest, uint64_t due);
void berth__guests_insert_at(berth__guests *guests, berth__guest **link, berth__guest *guest,
                             uint64_t due);

/* Takes one out, if it is there. */
void berth__guests_remove(berth__guests *guests, berth__guest *guest);

/* Puts another one in the place of one that is there. */
void berth__guests_replace(berth__guests *guests, berth__guest *guest, berth__guest *by);

#endif
