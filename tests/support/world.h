/*
 * The world around the library in a case: the loop, and peers on the other side of the network.
 *
 * It hides whether the kernel is real or simulated. Real peers are non-blocking sockets on loopback
 * in this process; simulated ones are ends inside the simulated kernel. Peers act at once and never
 * turn the loop, except where it is said: peer_send, peer_receive, peer_saw_end and so on turn it
 * until they are done or a bounded number of turns has passed.
 *
 * There is one world, since a case has a process of its own. It is ended by the runner: peers that
 * are left are closed, the loop is freed.
 *
 * No case may depend on how long anything takes. UNTIL waits for what has to happen; world_settle
 * gives what must not happen its chance.
 */
#ifndef BERTH_TESTS_WORLD_H
#define BERTH_TESTS_WORLD_H

#include "backend/backend.h"

#include <berth/berth.h>

#include <check.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer; /* one side of a connection, the one that is not the library's */

void world_begin(void);
void world_end(void);

/* For runs in which faults may keep things from ever coming true: WORLD_TURNS becomes small. */
void world_be_impatient(void);
bool world_is_impatient(void);
/* How long to wait for another thread or process: in such runs a few seconds at most. */
int world_seconds(int most);
/* For a call that is to wait without a limit, in milliseconds: -1, or in such runs a few seconds.
 */
int world_for_ever(void);
/* Whether calls of the library on one of the world's loops are on the stack. */
bool world_is_inside(void);
/* Notes a descriptor that the case has, from the world or its own, and returns it. */
int world_note(int descriptor);
/* Closes those of them that are still open. */
void world_close_noted(void);

/* ---- the loop ----------------------------------------------------------------------------------
 */

/* The loop of the case, made on first use with the backend that BERTH_BACKEND names. */
berth_loop *world_loop(void);

/* Frees that loop now. Another call of world_loop makes a new one. */
void world_free_loop(void);

/* A second loop, made on first use. It ends with the case if not by the call below it. */
berth_loop *world_second_loop(void);
void world_free_second_loop(void);

/* Notes a pool of the case, or NULL, and returns it. It is freed with the case if not by the call
 * below it. */
berth_workers *world_pool(berth_workers *workers);
void world_free_pool(berth_workers *workers);

/* For cases of the backend contract, which have no loop: what makes the backend (nothing if it is
 * there), what a turn is, and what ends it all. */
void world_make_backend_by(void (*make)(void));
void world_use_backend(void (*turn)(int milliseconds), void (*end)(void));

bool world_is_simulated(void);
berth__backend *world_sim(void); /* the simulated backend; NULL if the kernel is real */

/* One turn that waits a few milliseconds for something to happen. */
void world_turn(void);

/* Runs the loop, and returns its exit code; in the walk through faults INT_MIN after a few seconds.
 */
int world_run(void);

/* Turns that show that nothing more happens. */
void world_settle(void);

/* Most turns that anything may take to come true. */
#define WORLD_TURNS world_turns
extern int world_turns;

/* Turns the loop until the expression is true; fails if that does not come. */
#define UNTIL(expression)                                                     \
    do {                                                                      \
        for (int turns_ = 0; turns_ < WORLD_TURNS && !(expression); turns_++) \
            world_turn();                                                     \
        ck_assert_msg((expression), "it never came true that " #expression);  \
    } while (0)

/* The same with a function; returns whether it came true. */
bool world_run_until(bool (*condition)(void *context), void *context);

/* ---- peers -------------------------------------------------------------------------------------
 */

/* Connects to 127.0.0.1, without a turn: the connection waits in the backlog. Fails the case if it
 * is refused. */
struct peer *world_connect(uint16_t port);
/* The same, elsewhere. NULL with errno set if it is refused. */
struct peer *world_connect_to(berth_address address, uint16_t port);
/* Begins to connect; a full backlog leaves it at that. */
struct peer *world_connect_begin(uint16_t port);
bool peer_is_connected(struct peer *peer);

void peer_send(struct peer *peer, const void *data, size_t size); /* all of it */
void peer_say(struct peer *peer, const char *text);
size_t peer_send_some(struct peer *peer, const void *data,
                      size_t size); /* what there is room for, without a turn */
/* Up to `size` bytes; fewer if the stream ends or nothing comes for a bounded number of turns. */
size_t peer_receive(struct peer *peer, void *data, size_t size);
size_t peer_receive_some(struct peer *peer, void *data,
                         size_t size);                /* what is there, without a turn */
bool peer_hears(struct peer *peer, const char *text); /* receives as many bytes, and compares */

bool peer_saw_end(struct peer *peer);   /* whether the stream has ended in order, once all its bytes
                                           were received */
bool peer_saw_reset(struct peer *peer); /* or by a reset */
bool peer_saw_either(struct peer *peer);
bool peer_sees_either(struct peer *peer); /* now, without a turn */

void peer_shutdown(struct peer *peer); /* ends the sending direction */
void peer_close(struct peer *peer);    /* a reset follows if bytes were left unread */
void peer_reset(struct peer *peer);    /* a reset at once; both end the peer */
uint16_t peer_port(struct peer *peer); /* its own */

/* ---- the other way round -----------------------------------------------------------------------
 */

uint16_t world_listen(int backlog); /* somebody to connect to, on 127.0.0.1; one at a time */
/* Whoever connects there from now on finds these bytes waiting at once, so that a blocking call can
 * be answered while the case is inside it. The bytes live on. */
void world_greet(uint16_t port, const void *data, size_t size);
struct peer *world_accept(
    uint16_t port); /* NULL if nobody comes within a bounded number of turns */
void world_unlisten(uint16_t port);
uint16_t world_free_port(void); /* that nobody listens on */

/* WORLD_ZEROS bytes of zero, for big outputs. They are mapped when they are asked for: static ones
 * would be searched for pointers at the end of every case, by the sanitizer that looks for leaks.
 */
#define WORLD_ZEROS ((size_t)16 << 20)
const uint8_t *world_zeros(void);

/* ---- Unix sockets ------------------------------------------------------------------------------
 */

enum world_file {
    WORLD_NOTHING,
    WORLD_SOCKET,
    WORLD_PLAIN,
    WORLD_FOLDER,
    WORLD_LINK
};

const char *world_path(const char *name); /* where nothing is, and no other case comes */
/* Puts a file there, in the place of what there is: a socket is one that nobody has any more. */
void world_put_file(const char *path, enum world_file kind);
enum world_file world_file_at(const char *path);
unsigned world_mode_of(const char *path);

struct peer *world_connect_local(const char *path); /* fails the case if it is refused */
struct peer *world_try_local(const char *path);     /* NULL with errno set if it is refused */
void world_listen_local(const char *path, int backlog);
struct peer *world_accept_local(const char *path);
void world_unlisten_local(const char *path); /* the file stays */
int world_local_listener_descriptor(const char *path);
int world_local_descriptor(struct peer **ret_peer); /* as of socketpair */

/* ---- descriptors -------------------------------------------------------------------------------
 */

int world_listener_descriptor(uint16_t *ret_port);   /* listening, to be adopted */
void world_shut_listener(int descriptor);            /* as another holder of it can */
int world_stream_descriptor(struct peer **ret_peer); /* connected with that peer, to be adopted */
int world_unconnected_descriptor(void);              /* a stream socket without a connection */
int world_event_descriptor(void);                    /* to be watched */
void world_raise(int descriptor, unsigned events);   /* BERTH__WATCH_READ or 0 */
bool world_is_open(int descriptor);
unsigned world_descriptors(void); /* open now, in the process or in the simulated kernel */
void world_close_descriptor(int descriptor);

/* Leaves the process `left` descriptors that it can still open; then as many as before. */
void world_exhaust(unsigned left);
void world_relieve(void);

#endif
