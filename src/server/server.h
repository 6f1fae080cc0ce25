/*
 * Inside a server, for the files server*.c.
 *
 * A server that is listening accepts unless one of five reasons prevents it, the same as in
 * berth/server.h: paused by the user, paused by an error, queue full, rate reached, out of
 * resources. Each is kept by itself. berth__server_pace turns them into the credit that the backend
 * gets; it is called whenever the server changes one of them. What changes one from below, such as
 * a connection that ends in the queue or the close of a descriptor, only marks the server, and the
 * turn paces it once, before the loop sleeps.
 */
#ifndef BERTH_SRC_SERVER_H
#define BERTH_SRC_SERVER_H

#include <berth/server.h>

#include "backend/backend.h"
#include "base/address_counts.h"
#include "loop/deadlines.h"
#include "loop/object.h"
#include "socket/socket.h"

#include <stdatomic.h>

#include <pthread.h>

#define BERTH__SERVER_TEXT_SIZE 448

typedef struct berth__bind berth__bind;
typedef struct berth__trust berth__trust;
typedef struct berth__local berth__local;

/* A connection on its way to incoming_connection, whose names are not those of its descriptor
 * (unless they are null). */
typedef struct berth__accepted {
    int descriptor;
    berth_address peer;
    uint16_t peer_port;
    berth_address local;
    uint16_t local_port;
    const uint8_t *values; /* of its PROXY header */
    size_t values_size;
} berth__accepted;

/* Somebody else's pointer to a server, which becomes NULL when that is freed. Embedded there. */
typedef struct berth__server_ref {
    berth_server *server;
    struct berth__server_ref *next;
    struct berth__server_ref **link;
} berth__server_ref;

/*
 * Who has the listeners of a server, in a hand-over:
 *
 *     OWN -> SHARED -> HANDED_OVER
 *       \______/            its successor has failed
 *
 * From SHARED on a successor has copies of them, and may listen already, so the file of a Unix
 * socket is its own too; from HANDED_OVER on it is ready, and the backlog is left to it. Listening
 * anew leads to OWN from anywhere.
 */
typedef enum berth__succession {
    BERTH__LISTENERS_OWN,
    BERTH__LISTENERS_SHARED,
    BERTH__LISTENERS_HANDED_OVER
} berth__succession;

/*
 * The drain of a server (berth_server_drain): the way from accepting to having no connection.
 *
 *     OFF -> LOOKING -> GRACE -> LAST -> LEAVING -> FORCING -> OVER
 *                          \_______________^  \__________________^
 *
 * LOOKING marks each connection, so that its idle time is counted from the beginning of the drain.
 * GRACE is the rest of the grace period. LAST accepts the connections that the kernel has completed
 * by then; then the listener is closed. LEAVING calls `draining` for the connections and
 * disconnects idle ones. FORCING resets those that are left at the deadline. OVER lasts until the
 * server listens again. Closing the server leads to OFF from every phase.
 *
 * One deadline of the loop drives all of it, in runs of about a millisecond: there may be many
 * connections, and other work must go on. LOOKING, LEAVING and FORCING walk through the sockets of
 * the server. LEAVING walks again after each quarter of the idle time, as long as there are
 * connections that may become idle.
 */
typedef enum berth__drain_phase {
    BERTH__DRAIN_OFF,
    BERTH__DRAIN_LOOKING,
    BERTH__DRAIN_GRACE,
    BERTH__DRAIN_LAST,
    BERTH__DRAIN_LEAVING,
    BERTH__DRAIN_FORCING,
    BERTH__DRAIN_OVER
} berth__drain_phase;

typedef struct berth__drain {
    berth__drain_phase phase;
    uint32_t number;  /* changes when a drain begins or ends: shows a caller of handlers whether its
                         own still goes on */
    bool forced;      /* the deadline has ended a connection */
    bool runs;        /* a run is on the stack */
    uint64_t closes;  /* when the grace is over; nanoseconds, as those below */
    uint64_t ends;    /* the deadline; UINT64_MAX: none */
    uint64_t quarter; /* of the idle time */
    uint64_t next;    /* walk of LEAVING; UINT64_MAX: none */
    uint64_t looked;  /* when the last walk ended */
    uint64_t last;    /* when LAST began */
    uint64_t accepted; /* connections by then */
    berth__walk walk;
    berth_socket *fresh; /* taken in LEAVING and not told yet, first to last */
    berth_socket **fresh_end;
    berth__deadline timer;
} berth__drain;

struct berth_server {
    berth__object object;
    const berth_server_handlers *handlers;
    void *user;
    berth__owner owner;             /* of its connections */
    berth__listener *listener;      /* NULL when not listening, or through a proxy; the first of
                                       several in a worker with more of them */
    pthread_mutex_t *guard;         /* of the worker whose server it is, held while listeners come
                                       or go, since the pool looks at them; or NULL */
    berth__bind *bind;              /* through a proxy, from the beginning of listening on */
    bool listens_through;           /* and it listens */
    uint32_t listenings;            /* times that listening began or ended; a wait compares them */
    berth__trust *trust;            /* whose PROXY headers are read, or NULL */
    size_t awaiting;                /* connections whose PROXY header has not come yet */
    struct berth__greeter *greeter; /* of TLS, see greeting.h; or NULL */
    size_t greeting;                /* connections that have not begun their handshake */
    size_t shaking;                 /* that are in it */
    uint32_t handshake_timeout;     /* milliseconds, from accepting on */
    int max_handshakes;
    int max_greetings;
    uint32_t arrivals;               /* in the queue; shows whether one has come */
    const berth__accepted *accepted; /* that incoming_connection is being called for, or NULL */
    berth__local *local;             /* the Unix socket that is listened on; NULL: none */
    berth_address address;
    uint16_t port;
    int backlog;
    bool reuse_port;
    atomic_int succession; /* berth__succession; changed on any thread */

    berth_socket *pending; /* the queue, first to last */
    berth_socket **pending_end;
    size_t pending_count;
    int limit;

    bool withheld;        /* by its pool, which is not listening with all workers yet */
    bool paused;          /* by the user */
    bool paused_by_error; /* by an accept error that will not pass by itself */
    bool starved;         /* accepting has failed for a while: the retry timer is running */
    bool accepts;         /* as the probe accept_pause has said last */
    bool in_episode;      /* that was announced, and nothing was accepted since */
    bool greets;          /* the connection at hand is not announced before its handshake */
    unsigned waits;       /* blocking waits on the stack: they accept whatever was paused */
    uint32_t events;      /* connections and announced errors; a wait compares them */
    uint64_t backoff;     /* milliseconds before the next retry */
    berth__deadline retry;
    berth__deadline refill; /* when the rate of accepting allows the next connection */
    uint64_t rate_time;     /* when the connections so far would be due at that rate; nanoseconds */
    uint64_t pending_due;   /* not before that is a limit of a pending connection due in a wait */
    int spare;              /* a descriptor kept for shedding; -1: none */
    int accepted_descriptor; /* the one at hand while nobody has taken it; -1 */
    int lack;                /* through a proxy, the errno for which it is starved */
    berth__mark starving;    /* while it lacks a descriptor or memory */
    berth__mark pacing;      /* something below has made room for accepting */

    berth__drain drain;
    berth_accept_limits limits;
    /* The entry of the connection at hand, if it is counted. */
    berth__address_count *accepted_address;

    struct berth__proxy *proxy; /* NULL: the default one */
    berth__server_ref *refs;

    berth_error error;
    char text[BERTH__SERVER_TEXT_SIZE];
};

/* Sets a pointer to a server that has none, and unsets one, if it is set. */
void berth__server_remember(berth__server_ref *ref, berth_server *server);
void berth__server_forget(berth__server_ref *ref);

/* Moves the listeners on, or back, if they are `from`. On any thread while the server exists. */
void berth__server_succeed(berth_server *server, berth__succession from, berth__succession to);

/* Whether it is a copy that fork has made, which cannot do that; the error says so. */
bool berth__server_is_copy(berth_server *server, const char *what);

extern const berth__listener_events berth__server_events;
void berth__server_stop_listening(berth_server *server);
/* Listens on a descriptor too, beside those that it listens on already. Returns an errno, and then
 * the descriptor is the caller's. */
int berth__server_adopt_listener(berth_server *server, int descriptor);
/* In words, the errno of that. */
const char *berth__reason_of_passed(int error);
/* Closes one of several listeners. False, and nothing, if it is the only one. */
bool berth__server_drop_listener(berth_server *server, berth__listener *listener);
/* The counts as they are now. On any thread while the server exists. */
void berth__server_count(const berth_server *server, berth_server_counts *ret_counts);
/* The same, but connections that await their PROXY header go on. */
void berth__server_stop_accepting(berth_server *server);
/* Counts the error that is set, and calls accept_error. */
void berth__server_announce_error(berth_server *server);
/* A connection was taken out of the kernel: counts it. */
void berth__server_came(berth_server *server, int descriptor);
/* It has all it needs: hands it over, announces it, and computes the credit anew. `accepted` is
 * NULL for one that has the names of its descriptor. To be called between enter and leave. */
void berth__server_accepted(berth_server *server, int descriptor, const berth__accepted *accepted);
void berth__server_pace(berth_server *server);
void berth__server_init_accepting(berth_server *server);
/* Whether accepting is paused, by the program or by an error. */
bool berth__server_is_paused(const berth_server *server);
/* A socket for a descriptor, of the server but not in its queue. `at_hand`: the server has accepted
 * the descriptor itself; then `*address` is what it is counted as or NULL, and becomes NULL if the
 * socket has taken that over. `accepted`: its names, if they are others than those of the
 * descriptor. NULL: it was counted, and the error set. */
berth_socket *berth__server_make_socket(berth_server *server, int descriptor, bool at_hand,
                                        berth__address_count **address,
                                        const berth__accepted *accepted);
/* Puts it into the queue. */
void berth__server_enqueue(berth_server *server, berth_socket *socket);
/* Calls the handlers of a connection that was accepted; whether it is in the queue. */
void berth__server_announce(berth_server *server, bool queued);
/* Appends a socket to the queue or another list by `pending_next`, and takes it out. */
void berth__server_append(berth_socket ***end, berth_socket *socket);
void berth__server_unlink(berth_socket **first, berth_socket ***end, berth_socket *socket);
void berth__server_end_starving(berth_server *server);
void berth__server_init_limits(berth_server *server);
/* Whether there may be one more connection of the peer, which is the client where there is a proxy
 * or balancer in between; if so, it is counted as accepted_address. If not, it is closed. */
bool berth__server_admits(berth_server *server, int descriptor, const berth__accepted *accepted);
/* How many connections the rate allows now, and one that was accepted. */
unsigned berth__server_allowance(berth_server *server);
void berth__server_spend(berth_server *server);
/* Has the spare descriptor if it is wanted. */
void berth__server_keep_spare(berth_server *server);
/* Closes those who wait in the kernel for want of a descriptor; false if that is not wanted, or
 * nothing came of it. */
bool berth__server_shed(berth_server *server, int error);
/* In a blocking wait of this server, where no timer runs. Returns when it wants to be called again.
 */
uint64_t berth__server_limits_step(berth_server *server);
void berth__server_set_error(berth_server *server, berth_error error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* From server.c: takes over a listener that the backend has opened, the first or one more. */
berth__listener *berth__server_new_listener(berth_server *server);
void berth__server_begin(berth_server *server, berth__listener *listener);

/* From server_local.c: the Unix socket that is listened on. Notes the name of one that was adopted;
 * and what is listened on has ended: its file is removed, if that is this server's. */
void berth__server_note_local(berth_server *server);
void berth__server_end_local(berth_server *server);

/* What is listened on, for texts: a path, or an address and a port. Returns `text`. */
enum {
    BERTH__SERVER_PLACE_SIZE = BERTH__LOCAL_ESCAPED_SIZE
};
const char *berth__server_place(const berth_server *server, char text[BERTH__SERVER_PLACE_SIZE]);

/* Who is at the other end of a connection, for texts: "from" and an address. Or, for the null
 * address and that of a Unix socket, "on" and what is listened on, if anything is. Returns `text`.
 */
enum {
    BERTH__SERVER_ORIGIN_SIZE = BERTH__SERVER_PLACE_SIZE + sizeof "from"
};
const char *berth__server_origin(const berth_server *server, berth_address peer, uint16_t port,
                                 char text[BERTH__SERVER_ORIGIN_SIZE]);

/* Sets the error of a connection that was accepted: "cannot WHAT a connection from ...". `accepted`
 * may be NULL; what it says of the peer is preferred to what the kernel does. */
void berth__server_explain_accepted(berth_server *server, const char *what, int descriptor,
                                    const berth__accepted *accepted, int error);

/* The name of the peer of a descriptor; the null address where it has none any more. */
void berth__server_peer_of(const berth_server *server, int descriptor, berth_address *ret_address,
                           uint16_t *ret_port);

/* From server_proxy.c: listening through a proxy. Sets the error. */
struct berth__proxy;
bool berth__server_listen_through(berth_server *server, const struct berth__proxy *proxy,
                                  berth_address address, uint16_t port);
void berth__server_unbind(berth_server *server);
/* Whether the next peer is taken when it comes; an errno if that cannot be arranged now. */
int berth__server_admit_through(berth_server *server, bool admit);
/* In a blocking wait: does what is due; returns when it wants to be called again. */
uint64_t berth__server_bind_step(berth_server *server);

/* From server_header.c: connections whose PROXY header is read first. Whether this one is, which is
 * then taken care of; only with `trust`. */
bool berth__server_is_awaiting(berth_server *server, int descriptor);
/* A pause may have ended: connections that await their header go on. */
void berth__server_wake_awaiting(berth_server *server);
void berth__server_drop_awaiting(berth_server *server);
void berth__server_distrust(berth_server *server);
/* In a blocking wait: does what is due; returns when it wants to be called again. */
uint64_t berth__server_awaiting_step(berth_server *server);

/* From server_tls.c: gives up what there is for TLS, when no connection is left there. */
void berth__server_end_greeting(berth_server *server);

/* From server_greeting.c: connections that are encrypted before they come into the queue. Whether
 * those that are accepted now are. */
bool berth__server_encrypts(const berth_server *server);
/* Takes care of a descriptor, the one at hand or another. Calls no handlers. */
void berth__server_greet(berth_server *server, int descriptor, bool at_hand);
/* Whether a pending socket is not in the queue yet; it has left its owner. */
bool berth__server_is_shaking(const berth_socket *socket);
void berth__server_left_handshake(berth_server *server, berth_socket *socket);
/* How many more may come; with a greeter. */
size_t berth__server_greeting_room(const berth_server *server);
/* A pause may have ended, or there may be room in the queue; with a greeter. */
void berth__server_wake_greetings(berth_server *server);
/* Drops all that have not begun their handshake, or have. */
void berth__server_drop_greetings(berth_server *server);
void berth__server_drop_handshakes(berth_server *server);
/* All of them end at that time at the latest. */
void berth__server_hurry_greetings(berth_server *server, uint64_t latest);
/* Those whose hello has not come have no more time than who comes now. */
void berth__server_hurry_silent(berth_server *server);
/* The server no longer accepts, in a drain: the same, and the others get all of the time for a
 * handshake again. */
void berth__server_drain_greetings(berth_server *server);
/* Whether there are some that have not said all of their hello. Drops the oldest of these; returns
 * how many. */
bool berth__server_has_silent(const berth_server *server);
size_t berth__server_cut_silent(berth_server *server, size_t most);
/* In a blocking wait: does what is due; returns when it wants to be called again. A stream of a
 * handshake that has something to report, or NULL. */
uint64_t berth__server_greeting_step(berth_server *server);
berth__stream *berth__server_shaking_stream(const berth_server *server);

/* From drain.c. */
void berth__drain_init(berth_server *server);

/* Whether the server must not listen. */
bool berth__drain_forbids(const berth_server *server);

/* The server begins to listen: a drain that is over is forgotten. It is closed: one that goes on
 * ends. */
void berth__drain_forget(berth_server *server);
void berth__drain_stop(berth_server *server);

/* How long whoever says nothing may stay, in nanoseconds, when nobody is accepted any more;
 * UINT64_MAX otherwise. */
uint64_t berth__drain_idle(const berth_server *server);

/* Something has changed that the drain may have waited for. */
void berth__drain_look(berth_server *server);

/* A counted socket was taken; one that the server has is being put into a queue again. */
void berth__drain_taken(berth_server *server, berth_socket *socket);
void berth__drain_requeued(berth_server *server, berth_socket *socket);

/* Ends the first of the queue as the deadline does. False if there is none. */
bool berth__drain_force_pending(berth_server *server);

/* In a blocking wait: does what is due; returns when it wants to be called again. */
uint64_t berth__drain_step(berth_server *server);

#endif
