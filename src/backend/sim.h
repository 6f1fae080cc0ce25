/*
 * The test side of the simulated kernel: settings, peers, faults, time.
 *
 * A simulated kernel belongs to its backend. Library objects meet it through backend.h; tests reach
 * it through the functions here, which act at once, as another process on the same host would, and
 * are called on the loop's thread between turns or inside handlers.
 *
 * Only in test builds (BERTH_SIMULATED).
 */
#ifndef BERTH_BACKEND_SIM_H
#define BERTH_BACKEND_SIM_H

#include "backend.h"

#define BERTH__SIM_FIRST_DESCRIPTOR (1 << 20)

/* May be changed at any time, except buffer_size, which counts for connections made later. */
typedef struct berth__sim_settings {
    uint64_t seed; /* 0: everything in the order of descriptors; else a random order of readiness.
                      Set by berth__sim_set_seed */
    size_t max_transfer;       /* most bytes of one receive or send, at random; 0: no limit */
    size_t buffer_size;        /* bytes that an end keeps for its owner, and as many of its output;
                                  unless the options of a socket say otherwise */
    unsigned descriptor_limit; /* most simulated descriptors; UINT_MAX: no limit */
    uint64_t max_delay;        /* nanoseconds from an event to its report, and from a portion of
                                  output to the next, at random from 0. 0: output moves at once */
    uint64_t call_cost;        /* most nanoseconds that an operation takes, at random from 0 */
    uint64_t handler_cost;     /* the same of an event that is called: seldom so long */
    unsigned accept_noise;     /* one accept of so many fails for one connection; 0: none */
    int patience; /* real milliseconds that an endless wait in which nothing can happen gives other
                     threads to wake it */
} berth__sim_settings;

/* Called whenever virtual time passes, between turns and in the middle of one: what peers do by
 * themselves then. It may do all that peers can (below), but call nothing of the library. `now` and
 * the result are in nanoseconds of the virtual clock; the result is when it wants to be called
 * next, at the latest: a wait that sleeps wakes then, and goes on. UINT64_MAX: any time will do. */
typedef uint64_t berth__sim_passes(void *user, uint64_t now);

/* One end of a simulated connection. Those of tests ("peers") have no descriptor. */
typedef struct berth__sim_end berth__sim_end;

/* The environment variable BERTH_SIM_SEED sets a seed and derives transfers and delays from it. */
berth__backend *berth__sim_new(berth__pool *pool, char *ret_reason, size_t size);

/* The simulated backend that was made last on this thread and still lives, or NULL: how a test
 * finds the one of its loop. */
berth__backend *berth__sim_last(void);

berth__sim_settings *berth__sim_settings_of(berth__backend *backend);
void berth__sim_set_seed(berth__backend *backend, uint64_t seed);

/* How many waits in a row have neither slept nor were woken, while nothing has moved between: no
 * byte, no connection, no end. Many of them are a loop that spins. */
unsigned berth__sim_barren_waits(berth__backend *backend);

/* Descriptors that are open now, and the virtual time moved on. */
unsigned berth__sim_open_descriptors(berth__backend *backend);
void berth__sim_advance(berth__backend *backend, uint64_t nanoseconds);
/* NULL for none. */
void berth__sim_on_passing(berth__backend *backend, berth__sim_passes *passes, void *user);

/* Moves it on by what a handler takes, if that takes some. */
void berth__sim_work(berth__backend *backend);

/* So far: nanoseconds that waits have slept, events called, and accepts that have failed for want
 * of something. */
uint64_t berth__sim_slept(berth__backend *backend);
uint64_t berth__sim_events(berth__backend *backend);
uint64_t berth__sim_accepts_failed(berth__backend *backend);

/* The next `times` accepts (UINT_MAX: all) that find a connection fail with this errno instead of
 * taking it. */
void berth__sim_fail_accept(berth__backend *backend, int error, unsigned times);

/* The next `times` sends of the library fail with this errno. */
void berth__sim_fail_send(berth__backend *backend, int error, unsigned times);

/* ---- peers ----------------------------------------------------------------------------------- */

/* Connects to whoever listens there. NULL with *ret_error set if nobody does. */
berth__sim_end *berth__sim_connect(berth__backend *backend, berth_address address, uint16_t port,
                                   int *ret_error);

/* Whether the listener's backlog has had room for it when it asked; until then nothing can be sent,
 * and it asks again after 1 s, 3 s, 7 s and so on. */
bool berth__sim_is_established(const berth__sim_end *end);

/* Whether a reset has come that was not reported yet. */
bool berth__sim_is_reset(const berth__sim_end *end);

/* How many sends of less than BERTH__SIM_LITTLE bytes were taken whole, the rests of others not
 * counted: many of them are output that was not gathered. */
#define BERTH__SIM_LITTLE ((size_t)1024)
unsigned berth__sim_whole_sends(const berth__sim_end *end);

/* Both return a count, 0 for the end of the input, or a negative errno: EAGAIN, ECONNRESET, EPIPE.
 */
ptrdiff_t berth__sim_send(berth__sim_end *end, const void *data, size_t size);
ptrdiff_t berth__sim_receive(berth__sim_end *end, void *data, size_t size);

/* Bytes that it has sent, and the other end's kernel has not got. */
size_t berth__sim_under_way(const berth__sim_end *end);

/* Whether the other end waits in a backlog. */
bool berth__sim_is_queued(const berth__sim_end *end);
/* Whether the other end keeps output that this one has no room for. */
bool berth__sim_is_behind(const berth__sim_end *end);
/* Whether it does so after it was closed. */
bool berth__sim_is_abandoned(const berth__sim_end *end);

uint16_t berth__sim_port(const berth__sim_end *end); /* its own */
/* The other one's, also after a reset, when the name cannot be asked for any more. */
uint16_t berth__sim_peer_port(const berth__sim_end *end);
void berth__sim_shutdown(berth__sim_end *end); /* ends its sending direction */
/* Both give the end up. The first is a reset if input is left unread, as in the kernel; else what
 * was sent goes on to the other side, and the end behind it. The second is always a reset. */
void berth__sim_close(berth__sim_end *end);
void berth__sim_reset(berth__sim_end *end);

/* A listener of the test's side, for library sockets to connect to. Returns an errno; port 0
 * chooses one. */
int berth__sim_listen(berth__backend *backend, uint16_t *port, int backlog);
/* Whoever connects there from now on finds these bytes, which live on, waiting. */
void berth__sim_greet(berth__backend *backend, uint16_t port, const void *data, size_t size);
berth__sim_end *berth__sim_accept(berth__backend *backend,
                                  uint16_t port); /* NULL if nobody waits */
void berth__sim_unlisten(berth__backend *backend, uint16_t port);

/* ---- Unix sockets ---------------------------------------------------------------------------- */

/* What is at a path. One that is gone from under a socket leaves that without a name. */
typedef enum berth__sim_file {
    BERTH__SIM_NOTHING,
    BERTH__SIM_SOCKET,
    BERTH__SIM_PLAIN,
    BERTH__SIM_FOLDER,
    BERTH__SIM_LINK
} berth__sim_file;

/* As those of the same names without `local`. A peer is of that user. */
berth__sim_end *berth__sim_connect_local(berth__backend *backend, const char *path, uint32_t uid,
                                         int *ret_error);
int berth__sim_open_local(berth__backend *backend, const char *path, int backlog);
berth__sim_end *berth__sim_accept_local(berth__backend *backend, const char *path);
void berth__sim_unlisten_local(berth__backend *backend, const char *path); /* the file stays */
int berth__sim_local_listener_descriptor(berth__backend *backend, const char *path);
/* Both ends of a connection without a name, as of socketpair. */
berth__sim_end *berth__sim_local_pair(berth__backend *backend, int *ret_descriptor);

/* The number of its connection, which the other end has too, and had before it went; 0 if it is not
 * a Unix socket. */
uint16_t berth__sim_pair(const berth__sim_end *end);

/* Puts a file into the place of whatever is there, or takes that away; asks what is there; has
 * another starter hold the lock beside it. */
void berth__sim_put_file(berth__backend *backend, const char *path, berth__sim_file kind);
berth__sim_file berth__sim_file_at(berth__backend *backend, const char *path, uint32_t *ret_mode);
void berth__sim_lock_file(berth__backend *backend, const char *path);

/* ---- descriptors for adoption and watching --------------------------------------------------- */

/* Each returns a simulated descriptor that no record holds, or a negative errno. The first makes a
 * listener; the second gives a peer's end to the library, after which the test has no say in it;
 * the third is an event to be watched. */
int berth__sim_listener_descriptor(berth__backend *backend, uint16_t *ret_port);
int berth__sim_stream_descriptor(berth__sim_end *end);
/* A stream socket without a connection. */
int berth__sim_unconnected_descriptor(berth__backend *backend);
/* Shuts a listening descriptor down, as any process that holds a copy can: it listens no longer. */
void berth__sim_shut_listener(berth__backend *backend, int descriptor);
int berth__sim_event_descriptor(berth__backend *backend);

/* Sets which BERTH__WATCH_ bits the event shows from now on; 0 for none. */
void berth__sim_raise(berth__backend *backend, int descriptor, unsigned events);
void berth__sim_close_descriptor(berth__backend *backend, int descriptor);
bool berth__sim_is_open(berth__backend *backend, int descriptor);
berth__sim_end *berth__sim_end_of(berth__backend *backend, int descriptor); /* NULL: not one */

#endif
