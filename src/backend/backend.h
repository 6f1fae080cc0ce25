/*
 * The contract between the library and the kernel.
 *
 * A backend makes things happen on descriptors: ten operations (listen or adopt, accept, connect,
 * receive, send, close, watch, wake, submit, wait), and a few questions that are answered at once.
 * The style is completion: an operation is started, and its end is reported later by a call of the
 * events table of its record. Records are embedded in the objects of the core, so that starting an
 * operation never allocates.
 *
 * The laws, which tests/conformance holds every backend to:
 *
 *  1. An operation ends exactly once, and no event is called inside the call that started it. What
 *     has ended, or can be moved on, is put into the ready list (berth__ready_add); the loop takes
 *     records out of it one by one and hands each to `run`, and only there are events called. So
 *     starting anything inside an event is always legal, and nothing recurses. One operation may
 *     end inside its call: a send, which then returns its result, and no `sent` follows; or inside
 *     finish_send, in the same way. And one that wait finds to have ended may be given to `taken`
 *     there, which is no event: it calls no operation and nothing of the program. If it is content
 *     no `sent` follows.
 *  2. A record is in the ready list at most once. The loop may run only the records of one owner
 *     and leave the others, in order, for later: `wait` must then neither lose their events nor
 *     return again and again for them. It may run a stream that stays in the list, and the list may
 *     give a record with nothing pending. A wait inside an event puts into the list what the run
 *     around it has still to report.
 *  3. A stream has at most one receive and one send in flight.
 *  4. Receiving is a state, started and stopped. While it is started `received` is called as bytes
 *     come, in order, with a view that is valid until the call returns; all of it counts as taken.
 *     After receive_stop nothing is delivered until receive_start: bytes that come in between are
 *     kept, in the kernel or in `held`. The end of the stream is reported once by `receive_ended`,
 *     after all bytes, and only while started; receiving is then stopped for good. Where a send has
 *     failed by a reset, its end may be one without error; the record of a send in flight then has
 *     its result (BERTH__READY_SENT is pending), although `sent` is still to come. A connection
 *     that breaks after an end without error, by a reset, is reported by one more `receive_ended`,
 *     with the errno. Of a `limited` stream no delivery is longer than the room that the core says
 *     there is; the rest stays in the kernel. The core may set and clear that at any time;
 *     receive_start is called when it is set while receiving is started. The core may stop
 *     receiving when it is asked for the room, which is then 0; else that is a byte at least. After
 *     each answer but 0 comes `received`, `receive_ended` or, if nothing was there, `room_unused`.
 *  5. One run of a stream delivers at most BERTH__RECEIVE_BUDGET bytes in at most
 *     BERTH__RECEIVE_CALLS calls, one run of a listener at most BERTH__ACCEPT_BUDGET connections; a
 *     record with more to do goes to the end of the ready list.
 *  6. The memory of a send belongs to the backend until the send has ended, whatever is called
 *     meanwhile; bytes may be appended behind those that are sent. A send may be short: the result
 *     is what the kernel took, at least 1, or a negative errno. One of a `paced` stream does not
 *     wait for room, but ends with -EAGAIN; await_room, a send of nothing, ends with 0 when there
 *     is some. One that has gone is reported before input that has come since, which may be the
 *     answer, and before its end. After close one in flight still ends, before `closed`.
 *  7. close is terminal, for streams, listeners and watches alike: no event but `sent` (for a send
 *     in flight) and then `closed`, the last, after which the record may be freed, even inside
 *     `closed`. A second close has no effect. Closing a listener gives its port back inside the
 *     call, and connections that were not announced are ended.
 *  8. Accepting is by credit: the backend takes a connection out of the kernel only when
 *     listener->credit > 0, and calls `accepted` for it before it takes another. The core sets the
 *     credit by accept_credit, at any time, inside `accepted` too; 0 stops at once. A failed accept
 *     is reported with its errno and takes the credit away: it is zero inside `accept_failed`, and
 *     the core gives new credit to go on. EAGAIN is not reported, and errors of one connection
 *     (berth__is_passing) only when BERTH__ACCEPT_BUDGET of them have come in a row. EINVAL means
 *     that it listens no longer, since another holder has shut it down: reported whatever the
 *     credit is, as soon as the backend sees it, with the next credit at the latest.
 *  9. A watch ends once, when its descriptor is ready, and may be started again, in its own event
 *     too. A descriptor has one watch at a time, and none if it is a stream's or a listener's. The
 *     descriptor of a `kept` watch is open until watch_close: the backend may keep what it has of
 *     it from one start to the next, and has nothing left of its file when watch_close returns.
 * 10. wake may be called from any thread and from a signal handler; it ends the present or the next
 *     wait.
 * 11. wait may return early with nothing to run: for a signal, a wake, an interrupted call, or the
 *     backend's own business. What has to last goes by `now`.
 * 12. What was started is under way after the next wait or submit, not before: with io_uring a peer
 *     may see bytes only then. bind, shutdown_send and the closing of a listener take effect inside
 *     the call; so may the end that a close is for the peer, but bytes sent before come first.
 *
 * Errors are errno values; 0 is success. Times are nanoseconds of the backend's own monotonic
 * clock.
 */
#ifndef BERTH_BACKEND_H
#define BERTH_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/address.h>
#include <berth/local.h>
#include <berth/socket.h>

#include "base/buffer.h"
#include "base/local_place.h"

#define BERTH__RECEIVE_BUDGET ((size_t)65536)
#define BERTH__RECEIVE_CALLS 32u /* a handler may take long, and a peer send byte by byte */
#define BERTH__ACCEPT_BUDGET 16u
#define BERTH__FILE_BUDGET ((size_t)262144)

typedef struct berth__backend berth__backend;
typedef struct berth__stream berth__stream;
typedef struct berth__listener berth__listener;
typedef struct berth__watch berth__watch;

/* ---- the ready list -------------------------------------------------------------------------- */

typedef enum berth__ready_kind {
    BERTH__READY_STREAM,
    BERTH__READY_LISTENER,
    BERTH__READY_WATCH
} berth__ready_kind;

/* What a record has to report or can do; a backend may define bits of its own from
 * BERTH__READY_PRIVATE up. */
enum {
    BERTH__READY_CONNECTED = 1 << 0,
    BERTH__READY_RECEIVE = 1 << 1,
    BERTH__READY_SENT = 1 << 2,
    BERTH__READY_CLOSED = 1 << 3,
    BERTH__READY_ACCEPT = 1 << 4,
    BERTH__READY_FIRED = 1 << 5,
    BERTH__READY_PRIVATE = 1 << 6
};

/* Head of every record. */
typedef struct berth__ready {
    struct berth__ready *next;
    void *owner;        /* the object whose blocking wait runs this record */
    int32_t result;     /* of a stream's send that has ended; the core's from the return of one that
                           has ended in its call to the next */
    uint8_t pending;    /* bits above; the backend clears what it has run */
    uint8_t kind;       /* a berth__ready_kind */
    bool queued : 1;    /* whether it is in the list */
    bool overdue : 1;   /* the core's, of a queued record: a limit waits for it to run */
    bool addressed : 1; /* the backend's, of a stream: its peer had sent bytes before adopt, not
                           accepted. Here because there is room, as is: */
    bool paced : 1;     /* the core's, of a stream: see law 6 */
    bool local : 1;     /* of a stream: its socket is a Unix socket. Set by adopt, and by the core
                           for one that was accepted or that it connects */
    bool parcelled : 1; /* likewise: a receive may end before the bytes that there are */
    bool secured : 1;   /* the core's, of a stream: it is encrypted, see socket/secure.h */
    bool given : 1;     /* likewise: calls have sent bytes of it that are still to be announced */
    uint8_t line : 7;   /* a berth__ready_line_number: where it goes when it is put into the list */
    bool announced : 1; /* the core's, as `given`: that was done, and now the record runs */
} berth__ready;

/* A list has four lines, so that a blocking wait finds what it runs without a walk past all that is
 * others': the streams of sockets, which know theirs; the listeners and watches that belong to
 * somebody, few in number; what every wait runs; and the program's own watches, which none does. */
typedef enum berth__ready_line_number {
    BERTH__LINE_STREAMS,
    BERTH__LINE_OTHERS,
    BERTH__LINE_SHARED,
    BERTH__LINE_TURNS,
    BERTH__LINES
} berth__ready_line_number;

typedef struct berth__ready_line {
    berth__ready *first;
    berth__ready **last;
    berth__ready **swept; /* how far berth__ready_sweep has come */
} berth__ready_line;

typedef struct berth__ready_list {
    berth__ready_line lines[BERTH__LINES];
    size_t count; /* in all lines */
    size_t rare;  /* in the lines but the first */
    uint8_t next; /* the line whose turn it is */
} berth__ready_list;

/* ---- records --------------------------------------------------------------------------------- */

typedef struct berth__stream_events {
    void (*connected)(berth__stream *stream, int error);
    void (*received)(berth__stream *stream, const void *data, size_t size); /* size > 0 */
    void (*receive_ended)(berth__stream *stream, int error); /* 0: the peer ended its direction */
    size_t (*room)(berth__stream *stream); /* bytes that may be delivered now: see law 4; asked of
                                              limited streams only */
    void (*room_unused)(berth__stream *stream); /* likewise: there were no bytes after all */
    void (*sent)(berth__stream *stream, ptrdiff_t result); /* 0: nothing, but there is room now */
    void (*closed)(berth__stream *stream);
    bool (*taken)(berth__stream *stream, ptrdiff_t result); /* a send, see law 1; may be NULL */
} berth__stream_events;

/* One connection, or the attempt at one. The members down to `backend part` are set by
 * berth__stream_init. */
struct berth__stream {
    berth__ready ready;
    const berth__stream_events *events; /* may be changed at any time by the core, and so may
                                           ready.owner and ready.line */
    /* backend part */
    int descriptor;         /* -1 when there is none */
    bool receiving : 1;     /* between receive_start and receive_stop or receive_ended */
    bool sending : 1;       /* a send is in flight */
    bool closing : 1;       /* close has been called */
    bool ended : 1;         /* receive_ended has been called */
    bool lingers : 1;       /* SO_LINGER may be on: see berth__inet_end */
    unsigned in_flight : 3; /* io_uring: operations that the kernel has */
    uint8_t place;          /* io_uring: in one of its tables */
    unsigned piece : 15;    /* io_uring: the last of its views */
    bool limited : 1;       /* the core's: see law 4 */
    int16_t error;          /* of the connect or the receive that ended */
    uint16_t flags;         /* the backend's own */
    uint32_t size;
    union {
        const uint8_t *data;        /* of a view */
        const berth__chunk *output; /* of the send in flight: its first chunk */
        berth__stream *next; /* io_uring: among those that are closed with operations in flight */
    };
    union {
        berth__chain held;    /* bytes taken from the kernel that could not be delivered yet */
        berth__stream **link; /* epoll, which holds none: in its list; io_uring: in that one */
    };
    union {
        berth__stream *next; /* in a list of the backend */
        void *connection;    /* sim: its end */
    } own;
};

typedef struct berth__listener_events {
    void (*accepted)(berth__listener *listener,
                     int descriptor); /* close-on-exec, blocking; the core's from here on */
    void (*accept_failed)(berth__listener *listener, int error);
    void (*closed)(berth__listener *listener);
} berth__listener_events;

struct berth__listener {
    berth__ready ready;
    const berth__listener_events *events;
    void *core;
    bool lingers; /* the core's: SO_LINGER is on, and connections inherit it */
    bool asked;   /* likewise: a program has asked for the descriptor, and may have set that */
    berth__listener *other; /* likewise: the next one of the same server; NULL for none */
    /* backend part */
    bool local;     /* it is a Unix socket */
    bool parcelled; /* and so are its connections: see berth__ready */
    int descriptor;
    unsigned credit; /* connections that may still be taken */
    unsigned batch;  /* connections that the next run expects to find */
    bool closing;
    uint8_t passing; /* errors of one connection, in a row */
    int16_t error;   /* to be reported by the next run; 0: none */
    uint32_t flags;
    void *own;
    berth__listener *next; /* of the backend's, from the beginning to `closed` */
    berth__listener **link;
};

enum {
    BERTH__WATCH_READ = 1,
    BERTH__WATCH_WRITE = 2
};

struct berth__watch {
    berth__ready ready;
    void (*fired)(berth__watch *watch,
                  unsigned events); /* BERTH__WATCH_ bits; both on error or hang-up */
    void (*closed)(berth__watch *watch);
    void *core;
    bool kept; /* the core's: see law 9 */
    /* backend part */
    int descriptor;
    unsigned events; /* asked for; then: found */
    bool active;     /* started, and has not fired */
    bool closing;
    uint32_t flags;
    berth__watch *next; /* of the backend's, from its first start to `closed` */
    berth__watch **link;
};

/* How many of that many bytes may be delivered now; 0 if receiving was stopped just now. */
static inline size_t berth__stream_room(berth__stream *stream, size_t most)
{
    if (!stream->limited)
        return most;
    size_t room = stream->events->room(stream);
    return room < most ? room : most;
}

/* There was nothing to be delivered. */
static inline void berth__stream_room_unused(berth__stream *stream)
{
    if (stream->limited)
        stream->events->room_unused(stream);
}

/* ---- the backend ----------------------------------------------------------------------------- */

/* How to make a listener. */
typedef struct berth__listen_options {
    berth_address address;
    uint16_t port;
    int backlog;
    bool reuse_port; /* other listeners that ask for it too may have the same address and port */
} berth__listen_options;

/* Which step of listening has failed: decides the error's class and text. */
typedef enum berth__listen_step {
    BERTH__LISTEN_CREATE,
    BERTH__LISTEN_BIND,
    BERTH__LISTEN_LISTEN,
    BERTH__LISTEN_ATTACH
} berth__listen_step;

enum {
    BERTH__OPTIONS = BERTH_OPTION_USER_TIMEOUT + 1
};

/* Options that a descriptor is to have from its beginning. */
typedef struct berth__options {
    uint16_t set; /* bits: those that are */
    int values[BERTH__OPTIONS];
} berth__options;

typedef enum berth__side {
    BERTH__LOCAL,
    BERTH__PEER
} berth__side;

typedef enum berth__send_hint {
    BERTH__SEND_ONLY, /* nothing is known of what follows */
    BERTH__SEND_MORE, /* output follows at once: the kernel need not send a short segment */
    BERTH__SEND_LAST  /* the end follows, by close or shutdown_send, as soon as this has gone */
} berth__send_hint;

/* The first two reach the peer also where another process holds a copy of the descriptor. */
typedef enum berth__close_mode {
    BERTH__CLOSE_NORMAL, /* an end for the peer; a reset if bytes of it were not delivered */
    BERTH__CLOSE_RESET,  /* always a reset; of a Unix socket, which has none, the same */
    BERTH__CLOSE_COPY    /* no more than the descriptor: the peer has been shown an end already, or
                            the connection is another process's */
} berth__close_mode;

typedef struct berth__backend_operations {
    const char *name;

    /* Frees the backend. Every record was closed, and its `closed` was called, before. */
    void (*destroy)(berth__backend *backend);

    /* Listeners, initialised by berth__listener_init. Both return an errno; on failure there is no
     * descriptor and `closed` is not owed. adopt takes over `descriptor` on success only; it must
     * listen (EINVAL, ENOTSOCK, EBADF, EOPNOTSUPP). */
    int (*listen)(berth__backend *backend, berth__listener *listener,
                  const berth__listen_options *options, berth__listen_step *ret_step);
    int (*adopt_listener)(berth__backend *backend, berth__listener *listener, int descriptor);
    /* The same as listen, on a Unix socket; *ret_file is none for an abstract name. */
    int (*listen_local)(berth__backend *backend, berth__listener *listener,
                        const berth__local_listen *options, berth__local_file *ret_file,
                        berth__local_step *ret_step);
    /* Removes the file of a name, if it is still that one. */
    void (*remove_local)(berth__backend *backend, const berth__local_name *name,
                         const berth__local_file *file);
    void (*accept_credit)(berth__backend *backend, berth__listener *listener, unsigned credit);
    void (*close_listener)(berth__backend *backend, berth__listener *listener);

    /* Streams, initialised by berth__stream_init. adopt: on failure the descriptor stays the
     * caller's and `closed` is not owed. `accepted`: the descriptor comes from `accepted` of this
     * backend, so no check is needed and no system call is made. */
    int (*adopt)(berth__backend *backend, berth__stream *stream, int descriptor, bool accepted);

    /* Gives a stream that has no descriptor one with that local name, and with options (NULL for
     * none). Port 0 is left open: the connect chooses one that is free for its target; or, before
     * that, the same call once more chooses one that is free for all. Returns an errno; `closed` is
     * owed on success only. */
    int (*bind)(berth__backend *backend, berth__stream *stream, const berth_address *address,
                uint16_t port, const berth__options *options);

    /* Returns an errno if it could not begin (`closed` is then owed only to a stream that was
     * bound); else ends with `connected`. `options` (or NULL) are for a descriptor that is made
     * here. */
    int (*connect)(berth__backend *backend, berth__stream *stream, const berth_address *address,
                   uint16_t port, const berth__options *options);
    /* The same, to a name. EAGAIN: the backlog there is full, and nobody tells when it is not. */
    int (*connect_local)(berth__backend *backend, berth__stream *stream,
                         const berth__local_name *name, const berth__options *options);
    void (*receive_start)(berth__backend *backend, berth__stream *stream);
    void (*receive_stop)(berth__backend *backend, berth__stream *stream);

    /* Sends `size` bytes, from the front of `first` on and over the chunks that follow it; as many
     * of them go together as one call takes. Returns 0 if the send is in flight, and ends with
     * `sent`; else its result, as for `sent`. A chunk may be one of a file (berth__chunk.file): of
     * that BERTH__FILE_BUDGET bytes go at once, and a file that is too short is ENODATA. `hint` may
     * help to send it well. */
    ptrdiff_t (*send)(berth__backend *backend, berth__stream *stream, const berth__chunk *first,
                      size_t size, berth__send_hint hint);

    /* Begins to wait for room, as a send in flight does. Returns 0, or an errno, negative. */
    ptrdiff_t (*await_room)(berth__backend *backend, berth__stream *stream);

    /* Asks the kernel once more what it takes of the send in flight. Returns 0 if that goes on;
     * else its result, as `send` does, and no `sent` follows. */
    ptrdiff_t (*finish_send)(berth__backend *backend, berth__stream *stream);

    /* Ends the sending direction, at once; no send may be in flight. */
    int (*shutdown_send)(berth__backend *backend, berth__stream *stream);
    void (*close)(berth__backend *backend, berth__stream *stream, berth__close_mode mode);

    /* Gives a connected stream up without closing its descriptor, which is returned, the caller's;
     * the record then ends as by close. What was received and not delivered is put behind `input`.
     * No send may be in flight. A negative errno: the stream stays as it was. */
    int (*release)(berth__backend *backend, berth__stream *stream, berth__chain *input);

    /* Watches, initialised by berth__watch_init. The descriptor is not the backend's. */
    int (*watch_start)(berth__backend *backend, berth__watch *watch, int descriptor,
                       unsigned events);
    void (*watch_close)(berth__backend *backend, berth__watch *watch);

    /* Opens a copy of a descriptor that is not the backend's, for a `kept` watch; a negative errno,
     * EPERM for one of which the kernel never says that it is ready. It ends with close_copy. */
    int (*copy)(berth__backend *backend, int descriptor);
    void (*close_copy)(berth__backend *backend, int descriptor);

    void (*wake)(berth__backend *backend);

    /* Hands over what was started and concerns a peer, sends and ends, where no wait may follow for
     * long. Finds nothing new: what a wait would have found, a wake included, the next one does. */
    void (*submit)(berth__backend *backend);

    /* Submits what was started, then waits until there is something new to run, a wake, or
     * `timeout` nanoseconds (negative: no limit; 0: do not wait). Puts records into the ready list:
     * from `due` on all that the kernel has, as far as that has an end. Calls no event.
     * Returns 0 or an errno that means the backend is broken. */
    int (*wait)(berth__backend *backend, int64_t timeout);

    /* Runs a record that the loop has taken out of the ready list: reports its pending bits through
     * its events. */
    void (*run)(berth__backend *backend, berth__ready *ready);

    /* A connection in the core's own hand, for a handshake that must not take a byte behind its
     * last: a descriptor that no record holds. dial begins to connect (an errno); a watch for
     * writing shows when that has ended, and dialled how (an errno; to be asked once). take and put
     * move what they can without waiting: a count, 0 for the end, or a negative errno, -EAGAIN
     * included; with `keep` the bytes stay in the kernel. It ends with adopt (as accepted) or with
     * discard. */
    int (*dial)(berth__backend *backend, const berth_address *address, uint16_t port,
                const berth__options *options, int *ret_descriptor);
    int (*dialled)(berth__backend *backend, int descriptor);
    ptrdiff_t (*take)(berth__backend *backend, int descriptor, void *data, size_t size, bool keep);
    ptrdiff_t (*put)(berth__backend *backend, int descriptor, const berth_piece *pieces,
                     size_t count);
    /* As put, of chunks, files included, as the operation send has them. */
    ptrdiff_t (*put_chunks)(berth__backend *backend, int descriptor, const berth__chunk *first,
                            size_t size);
    /* Reads from a place of such a file on: a count, 0 at its end, or a negative errno. */
    ptrdiff_t (*read_file)(berth__backend *backend, int descriptor, void *data, size_t size,
                           uint64_t offset);

    /* Questions. */
    uint64_t (*now)(berth__backend *backend);
    int (*descriptor)(berth__backend *backend); /* pollable; -1 if there is none */
    int (*name_of)(berth__backend *backend, int descriptor, berth__side side,
                   berth_address *ret_address, uint16_t *ret_port);
    /* Of a Unix socket: its own name, and who the peer is; an errno. */
    int (*local_name)(berth__backend *backend, int descriptor, berth__local_name *ret_name);
    int (*credentials)(berth__backend *backend, int descriptor, berth_credentials *ret_credentials);
    /* Whether a connection waits to be accepted. */
    bool (*has_connection)(berth__backend *backend, const berth__listener *listener);
    /* Bytes of the peer that are there and were not delivered. */
    size_t (*input)(berth__backend *backend, const berth__stream *stream);
    /* Bytes that were sent and that the peer's kernel has not acknowledged; to be asked after
     * shutdown_send. */
    size_t (*in_transit)(berth__backend *backend, const berth__stream *stream);
    /* Whether some output waits for the peer to make room; likewise. */
    bool (*has_unsent)(berth__backend *backend, const berth__stream *stream);
    int (*option)(berth__backend *backend, int descriptor, berth_socket_option which, int *value,
                  bool set);
    /* Opens a copy of the descriptor of a regular file for a chunk, and says how long the file is;
     * a negative errno, ESPIPE if it is none. It ends with close_file. */
    int (*open_file)(berth__backend *backend, int descriptor, uint64_t *ret_size);
    void (*close_file)(berth__backend *backend, int descriptor);
    void (*discard)(berth__backend *backend,
                    int descriptor); /* closes a descriptor that no record holds */

    /* Opens a descriptor that is there only to be given up for another; -1 if there is none. */
    int (*reserve)(berth__backend *backend);

    /* Takes up to `most` connections out of the kernel and closes them, now; no event is called.
     * For want of a descriptor it gives up *spare, if that is one, and reserves it again at the end
     * (-1 if it was lost). Returns how many. */
    size_t (*reject)(berth__backend *backend, berth__listener *listener, size_t most,
                     berth__close_mode mode, int *spare);

    /* Fork; NULL for a backend that has nothing to share. before_fork is called in the parent, on
     * the loop's thread; inherit in the child, which changes the operations to those of
     * berth__inherit and ends the runs that are inside an event: they touch nothing more. renew
     * makes the backend the child's own, listeners and watches included, and gives it its
     * operations back; an errno, and nothing has changed. renew_stream follows for each stream that
     * is not closing; a send that was in flight must be begun anew. forget drops what a stream that
     * ends in the child has of the backend. */
    void (*before_fork)(berth__backend *backend);
    void (*inherit)(berth__backend *backend);
    int (*renew)(berth__backend *backend);
    void (*renew_stream)(berth__backend *backend, berth__stream *stream);
    void (*forget)(berth__backend *backend, berth__stream *stream);
} berth__backend_operations;

/* What a backend counts for berth_loop_statistics. */
typedef struct berth__backend_counts {
    uint64_t buffer_shortages;
    uint64_t completion_overflows;
    uint64_t receives_renewed;
    uint64_t resets_found;
} berth__backend_counts;

struct berth__backend {
    const berth__backend_operations *operations;
    berth__ready_list ready;
    berth__pool *pool; /* of the loop: for held bytes */
    berth__backend_counts counts;
    berth__listener *listeners; /* all that are not closed yet, where fork is a matter */
    berth__watch *watches;
    const berth__backend_operations *inherited; /* in a child: what the operations were */
    uint64_t due; /* the core's: what a wait does not find from then on counts as not sent, see
                     0161; UINT64_MAX: nothing does */

    /* Called by a backend whenever it has closed a descriptor: a server that had run out may go on.
     * May be NULL. */
    void (*descriptor_closed)(void *core);
    void *core;
};

/* Each sets the head and clears the backend part; `owner` as in berth__ready, NULL for a record
 * that every wait runs. */
void berth__stream_init(berth__stream *stream, const berth__stream_events *events, void *owner);
void berth__listener_init(berth__listener *listener, const berth__listener_events *events,
                          void *owner, void *core);
void berth__watch_init(berth__watch *watch, void *owner, void *core);

/* Whether an errno of accept is that of one connection, which has died in the queue or was refused
 * by a filter: the next may be good. */
bool berth__is_passing(int error);

/* Whether another process may hold copies of this one's descriptors: since a fork that has come to
 * this process or goes out from it, which is noted before it happens, on any thread. */
void berth__note_copies(void);
bool berth__copies_exist(void);

/* Into the backend's lists, where it is not yet, and out of them. */
void berth__listener_enlist(berth__backend *backend, berth__listener *listener);
void berth__listener_delist(berth__listener *listener);
void berth__watch_enlist(berth__backend *backend, berth__watch *watch);
void berth__watch_delist(berth__watch *watch);

/* Gives the backend the operations of one that was inherited by fork: those that begin something
 * fail with ECHILD or never end, and those that end something only close the descriptor. */
void berth__inherit(berth__backend *backend);

void berth__ready_list_init(berth__ready_list *list);

/* Sets bits, and puts the record at the end of its line if it is in none. */
static inline void berth__ready_add(berth__ready_list *list, berth__ready *ready, unsigned bits)
{
    ready->pending = (uint8_t)(ready->pending | bits);
    if (ready->queued)
        return;
    berth__ready_line *line = &list->lines[BERTH__LINE_STREAMS];
    if (ready->line != BERTH__LINE_STREAMS) {
        line = &list->lines[ready->line];
        list->rare++;
    }
    ready->queued = true;
    ready->next = NULL;
    *line->last = ready;
    line->last = &ready->next;
    list->count++;
}

/* Takes out the first record of a line that is not empty. */
static inline berth__ready *berth__ready_take_first(berth__ready_list *list,
                                                    berth__ready_line *line)
{
    berth__ready *ready = line->first;
    line->first = ready->next;
    line->swept = &line->first;
    if (ready->next == NULL)
        line->last = &line->first;
    ready->queued = ready->overdue = false;
    list->count--;
    return ready;
}

/* Whether a limit that is over waits for the record to run: once, `spared` being whether it has
 * waited before. A peer that always has more to say is no exception. */
bool berth__ready_spares(berth__ready *ready, bool spared);

/* Puts a stream's record back that was taken out, or is only claimed, and is not to run yet: it is
 * the next again. */
void berth__ready_put_back(berth__ready_list *list, berth__ready *ready);

berth__ready *berth__ready_take_in_turn(berth__ready_list *list);

/* Whether a send has gone, and is still to be reported; what has come since may be the answer. */
static inline bool berth__stream_has_gone(const berth__stream *stream)
{
    return (stream->ready.pending & BERTH__READY_SENT) && stream->ready.result > 0;
}

/* Takes out a record: the first of each line in turn. NULL if there is none. */
static inline berth__ready *berth__ready_take(berth__ready_list *list)
{
    if (list->rare != 0)
        return berth__ready_take_in_turn(list);
    berth__ready_line *line = &list->lines[BERTH__LINE_STREAMS];
    return line->first != NULL ? berth__ready_take_first(list, line) : NULL;
}

/* For blocking waits. Each gives a record to be run, or NULL.
 *
 * claim: the stream itself, if it has something to report. It stays in the list if it is not the
 * first of its line; its place is empty then (a record with nothing pending), and serves it again
 * if it has more to report before the place is come to. No stream that is closed may be claimed.
 *
 * take_of: the first listener or watch of the owner; has: whether there is one. take_shared: what
 * every wait runs. sweep: the same, where a record has become such while it was in another line;
 * goes a few steps further with each call, and clears away empty places. */
berth__ready *berth__ready_claim(berth__ready_list *list, berth__stream *stream);
berth__ready *berth__ready_take_of(berth__ready_list *list, const void *owner);
bool berth__ready_has(const berth__ready_list *list, const void *owner);
berth__ready *berth__ready_take_shared(berth__ready_list *list);
berth__ready *berth__ready_sweep(berth__ready_list *list);

/* From here on every wait runs the record. */
static inline void berth__ready_share(berth__ready *ready)
{
    ready->line = BERTH__LINE_SHARED;
}

/* Makers: NULL with errno and a reason on failure. */
berth__backend *berth__epoll_new(berth__pool *pool, char *ret_reason, size_t size);
berth__backend *berth__uring_new(berth__pool *pool, char *ret_reason, size_t size);

/* Makes the backend of a name ("auto", NULL, "epoll", "io_uring", in test builds "sim"), minding
 * BERTH_BACKEND, as design law 10 says. On failure NULL with errno; the reason for what came out is
 * written in both cases. */
berth__backend *berth__backend_choose(const char *name, berth__pool *pool, char *ret_reason,
                                      size_t size);

/* For whoever has named another one. */
#define BERTH__BACKENDS "it can be io_uring, epoll or auto"

/* Whether BERTH_BACKEND names a backend that does not exist. */
bool berth__backend_variable_is_wrong(void);

#endif
