/*
 * Between the programs and their kernel: what a program asks of the world around the library.
 *
 * There is one table of operations for each kind of kernel: simulated_world (world_sim.c) and
 * real_world (world_real.c, loopback). `world` is the one that the process runs on. Programs and
 * model call nothing else of a kernel, and no function of backend/sim.h.
 *
 * What is done here acts at once, as another process on the same host would, between turns or
 * inside handlers. But on a real kernel it may arrive later: who judges what has come waits for it
 * (sim_program_run's rest), and judges no moment. What depends on exact time is judged with the
 * world's own allowance.
 *
 * A connection is known by two ports: that of the side that connected, and that which it has
 * connected to, as it asked for it. A listener's port is given out once only in a program. A
 * connection of Unix sockets has no ports: it is known by a number, which `port` of an end that has
 * connected, `peer_port` of one that was accepted, and `connecting_port` are then.
 */
#ifndef BERTH_TESTS_SIM_WORLD_H
#define BERTH_TESTS_SIM_WORLD_H

#include <berth/berth.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct end; /* one end of a connection, that is not the library's */

/* What the kernel of a program is like. */
struct terms {
    size_t
        max_transfer;   /* most bytes that one receive or send moves; 0: no limit. Simulated only */
    size_t buffer_size; /* bytes under way in one direction */
    uint64_t max_delay; /* nanoseconds from an event to its report. Simulated only */
    uint64_t call_cost; /* nanoseconds that a call takes at most, and a handler. Simulated only */
    uint64_t handler_cost;
    unsigned accept_noise; /* one accept of so many fails for one connection; 0: none. Likewise */
    uint64_t seed;         /* of everything else */
};

#define LITTLE 1024u

/* Names of Unix sockets. */
enum place {
    PLACE_OF_TEST, /* at which its own listener is */
    FIRST_PATH,
    SECOND_PATH,
    ABSTRACT_NAME,
    PLACE_OF_NOBODY, /* at which there is never anything */
    PLACES
};

enum file_kind {
    NO_FILE,
    SOCKET_FILE,
    OTHER_FILE
};

struct world {
    bool is_simulated; /* what is done has arrived, and time is virtual */
    /* A real kernel drops handshakes for which a backlog has no room, and clients try again after
     * seconds. */
    int least_backlog;

    /* Makes the loop of a program. `begin` returns NULL if that cannot be done; `end` comes after
     * the loop was freed, and fails the program if it has left anything in the kernel. */
    berth_loop *(*begin)(const struct terms *terms);
    void (*end)(void);
    /* No failure any more, and descriptors without limit. */
    void (*be_kind)(void);

    /* Ports for listeners and binding: 0 where the kernel's choice will do. */
    uint16_t (*free_port)(void);

    /* The test's own listener. `accept` returns NULL if nobody waits. */
    bool (*listen)(uint16_t *ret_port, int backlog);
    void (*unlisten)(uint16_t port);
    struct end *(*accept)(uint16_t port);

    /* Ends. `connect` returns NULL if nobody listens there. What is sent before an end is
     * established, fails with EAGAIN. Both calls that move bytes return a count, 0 for the end of
     * the input, or a negative errno. `close` and `reset` free the end; the first resets too if
     * input was left unread. */
    struct end *(*connect)(uint16_t port);
    bool (*is_established)(struct end *end);
    /* Whether it waits to be accepted. NULL if that cannot be known. */
    bool (*is_queued)(const struct end *end);
    /* The end of a descriptor of the library, to be asked the next three; NULL: it has none. NULL
     * if that cannot be known. */
    const struct end *(*end_of)(int descriptor);
    /* Whether a reset has come, which nobody has read yet. NULL if that cannot be known. */
    bool (*is_reset)(struct end *end);
    /* Bytes that it has sent, and the other side's kernel has not got. NULL: none that counts. */
    size_t (*under_way)(const struct end *end);
    /* Whether the other side's kernel keeps output that this one has no room for. NULL likewise. */
    bool (*is_behind)(const struct end *end);
    /* Whether it does so after it was closed. NULL likewise. */
    bool (*is_abandoned)(const struct end *end);
    ptrdiff_t (*send)(struct end *end, const void *data, size_t size);
    ptrdiff_t (*receive)(struct end *end, void *data, size_t size);
    void (*shutdown)(struct end *end); /* ends its sending direction */
    void (*close)(struct end *end);
    void (*reset)(struct end *end);
    uint16_t (*port)(const struct end *end);
    uint16_t (*peer_port)(const struct end *end);

    /* Descriptors. `listening` has to be told each one that listens, before anybody connects;
     * `connecting_port` gives the port that connected, of a descriptor that was accepted, 0 if it
     * is not known any more. The two that make one return a negative errno; `stream` gives an end
     * away, which is freed. */
    void (*listening)(int descriptor);
    uint16_t (*connecting_port)(int descriptor);
    void (*close_descriptor)(int descriptor);
    int (*listener_descriptor)(uint16_t *ret_port);
    int (*stream_descriptor)(struct end *end);

    /* Unix sockets, after `begin_local`, which makes the test's own listener. `connect_local` is
     * like `connect`, as another user where that can be; `connected` gives the number of a
     * connection that a socket of the library has begun, by its descriptor, and `connecting_port`
     * is 0 where nobody is known to have begun it. */
    bool (*begin_local)(void);
    void (*end_local)(void);
    const char *(*path)(enum place place);
    struct end *(*connect_local)(enum place place, bool as_other);
    struct end *(*accept_local)(void);
    uint16_t (*connected)(int descriptor);
    int (*local_listener)(enum place place); /* a descriptor, or a negative errno */
    /* What is at a path; and that in place of whatever is there, with nobody who listens. */
    enum file_kind (*file_at)(enum place place);
    void (*put_file)(enum place place, enum file_kind kind);
    uint32_t other_user; /* the library's own, if that cannot be */

    /* An event to be watched, not raised; a negative number: there is none. */
    int (*event_descriptor)(void);
    void (*raise_event)(int descriptor, bool raised);
    void (*close_event)(int descriptor);

    /* How many sends of less than LITTLE bytes, rests not counted, were made on a descriptor. NULL
     * if that cannot be known. */
    unsigned (*whole_sends)(int descriptor);

    /* Of connections and listeners, those of the library and those given to it. */
    unsigned (*open_descriptors)(void);

    /* Failures: descriptors that can still be opened (UINT_MAX: no limit), and the next accepts
     * and sends of the library. */
    void (*leave_descriptors)(unsigned left);
    void (*fail_accept)(int error, unsigned times);
    void (*fail_send)(int error, unsigned times);

    /* Lets time pass with nobody at work; a real kernel makes it short. */
    void (*advance)(uint64_t milliseconds);
    /* Has this called whenever time passes, also in the middle of a call of the library, until it
     * is NULL: with the time in nanoseconds; it returns when it wants to be called at the latest.
     * NULL if that cannot be done. */
    void (*on_passing)(uint64_t (*pass)(uint64_t now));
    /* Lets the time pass that a handler takes. */
    void (*work)(void);
    /* So far, 0 where that cannot be known: nanoseconds that waits have slept, events that were
     * called, and accepts that have failed. */
    uint64_t (*slept)(void);
    uint64_t (*events)(void);
    uint64_t (*accepts_failed)(void);
    /* Milliseconds that a wait may take longer than it was asked to. */
    uint64_t (*allowance)(void);
    /* Milliseconds of a wait that is meant to be ended by something else. */
    int (*long_wait)(void);
    /* Waits in a row that were for nothing; 0 where that cannot be known. */
    unsigned (*barren_waits)(void);
};

extern const struct world *world;
extern const struct world simulated_world;

/* Chooses the world by the name of a backend ("sim", "epoll", "io_uring"); false: there is none.
 * For a real one the process gets a network of its own, if that is allowed. */
bool world_choose(const char *backend);

#endif
