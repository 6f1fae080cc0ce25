/*
 * Connections that are held back: something is read of them before they are handed over, a PROXY
 * header (server_header.c) or the hello of a TLS client (server_greeting.c).
 *
 * Each is a record with a watch on its descriptor, which no object has meanwhile. It is embedded at
 * the beginning of a larger one, and is in a list of its server. When it leaves, its watch is
 * closed, and the memory of the whole record goes with that.
 */
#ifndef BERTH_SRC_AWAITING_H
#define BERTH_SRC_AWAITING_H

#include "server.h"

typedef struct berth__awaiting berth__awaiting;

typedef struct berth__awaiting_list {
    berth__awaiting *first;
    berth__awaiting **end;
} berth__awaiting_list;

struct berth__awaiting {
    berth__watch watch;         /* first */
    berth_server *server;       /* NULL when it has gone */
    berth__awaiting_list *list; /* NULL: it is in none */
    berth__awaiting *next;
    berth__awaiting **link;
    int descriptor;
    bool local; /* as of the listener that it came by */
    bool parcelled;
    uint16_t came; /* a turn, see turn_of: when there was first something to be read; or 0 */
};

void berth__awaiting_list_init(berth__awaiting_list *list);

/* A record of that size whose watch calls `fired`, in no list; NULL when out of memory. What is
 * behind its beginning is for the caller to set. */
void *berth__awaiting_new(berth_server *server, int descriptor, size_t size,
                          void (*fired)(berth__watch *watch, unsigned events));

/* A copy of what is not known from the descriptor of one that is being accepted, or NULL if that is
 * nothing. False when out of memory. */
bool berth__awaiting_keep_names(const berth_server *server, int descriptor,
                                berth__accepted **ret_names);

/* Appends it to a list, which it may leave for another; takes it out. */
void berth__awaiting_append(berth__awaiting_list *list, berth__awaiting *one);
void berth__awaiting_take_out(berth__awaiting *one);

/* Has `fired` called once when there is something to be read; an errno. */
int berth__awaiting_watch(berth__awaiting *one);

/* `fired` was called: it waits from now on, unless it has done so before. */
void berth__awaiting_has_come(berth__awaiting *one);

/* Whether the peer has ended its direction, or the connection, and there is no input before that.
 * Who has come in this turn is not looked at. */
bool berth__awaiting_has_left(const berth__awaiting *one);

/* It goes; the descriptor, which is returned, is the caller's. */
int berth__awaiting_see_off(berth__awaiting *gone);

#endif
