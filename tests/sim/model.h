/*
 * What the tester believes: the objects that exist, and what has been promised about them.
 *
 * A connection is known by the port of the side that connected and the one that it asked for. It
 * has two ways; each carries a pattern that follows from the number of the way and the offset, so
 * that a byte that is lost, doubled or misplaced shows when it is read. A way is cut when somebody
 * has thrown bytes of it away, rightly: what comes out is still a beginning of what went in, but
 * maybe not all of it. A connection of Unix sockets has a number instead of its port, and what it
 * has connected to is the number of a listening (calls_local.c).
 *
 * An object that the program has freed, or that is being freed together with its server, is not
 * called any more, except inside its own handlers.
 */
#ifndef BERTH_TESTS_SIM_MODEL_H
#define BERTH_TESTS_SIM_MODEL_H

#include <berth/berth.h>

#include "program.h"

#include <stdarg.h>

#define SIM_SERVERS 2
#define SIM_OPTIONS 10u /* of a socket */
/* Those that a Unix socket has, as bits. */
#define SIM_LOCAL_OPTIONS \
    (1u << BERTH_OPTION_SEND_BUFFER_SIZE | 1u << BERTH_OPTION_RECEIVE_BUFFER_SIZE)
#define SIM_LOCAL_PORT 99u /* instead of that of the test's listener at a path */
#define SIM_SOCKETS 12
#define SIM_PEERS 12
#define SIM_ALL_PEERS (SIM_PEERS + SIM_SOCKETS) /* the others are there at the end only */
#define SIM_TIMERS 8
#define SIM_TRAPS 8
#define SIM_QUEUE 128
#define SIM_CONNECTIONS 4096
#define SIM_DEPTH 4
#define SIM_HEADER 200u /* bytes of a PROXY header, at most */
#define SIM_NAME 32u    /* of a name that is asked for */

struct way {
    uint32_t key; /* of the pattern */
    uint64_t put;
    uint64_t putting; /* by a call that has not returned */
    uint64_t got;
    uint64_t sent;     /* was announced by the library: the kernel has it */
    uint64_t read_at;  /* when bytes came out last, in milliseconds of the loop */
    uint64_t answer;   /* up to here there is one on its way to what had come; 0: none */
    uint64_t answered; /* bytes of the other way, which are announced before it comes */
    bool cut;
    bool at_risk; /* waits in a queue, where a limit can end it unheard */
    bool ended;   /* the writer has ended it in order */
    bool reset;   /* the writer has reset the connection */
    bool closed;  /* and listens no more: an answer to it will fail, which cuts this way */
    bool refused; /* a write has met that the reader has gone */
};

/* How a socket of the library has ended its side of a connection. */
struct ending {
    bool timed_out; /* while closing */
    bool orderly;   /* all output had left, and the handlers have returned */
    uint64_t time;  /* milliseconds of the loop */
    uint64_t heard; /* bytes of the other side that had come by then */
    bool cast_off;  /* a limit has ended it, with output that the kernel had not taken */
    bool unsent;    /* output was left that the other side had no room for */
};

/* What a socket has written in front of a connection, as its peer reads it. */
struct preface {
    uint8_t got[SIM_HEADER];
    size_t size;
    bool whole;
    bool none; /* there is none */
};

struct connection {
    uint16_t port;                  /* of the side that connected */
    uint16_t to;                    /* that it has connected to */
    bool accepted;                  /* by a server of the library */
    struct server_model *through;   /* one that a proxy has brought it to, as side 0; NULL: none */
    bool torn;                      /* a reset has a cause: somebody has thrown all of it away */
    uint64_t accepted_at;           /* not before this time */
    uint64_t accepted_by;           /* and not after this one */
    berth_connection_limits limits; /* of the server that accepted it */
    unsigned tallied;    /* counts as one of its address, for a prefix of so many bits; 0: no */
    uint32_t client_net; /* that prefix of it, if it is known */
    bool has_net;
    struct way way[2]; /* from the side that connected, and to it */
    struct ending ending[2];
    struct preface preface;
    uint64_t connected_at; /* by a peer */
    unsigned version;      /* of its header; 0: none */
    unsigned client;       /* that the header says; 0: nobody */
    bool of_peer;          /* a peer has connected */
    bool headed;           /* its server reads headers */
    bool named;            /* `version` and `client` are known */
    bool whole;            /* the header has gone */
    bool lies;             /* and has none, or a wrong one */
    bool doubted;          /* it may be turned away, and is counted as such */
    bool local;            /* of Unix sockets */
    bool foreign;          /* and begun by another user */
    bool turned_away;      /* for its user */
    bool begun;            /* by a socket, which knows that it is connected */
    bool known;            /* a socket has begun it, so that it is known whether it encrypts */
    bool tls;              /* it is encrypted, behind so many bytes of each way: */
    uint64_t clear[2];
    bool still_clear;           /* what its socket, an adopted one, writes is not encrypted yet */
    uint32_t tls_name;          /* that its client asks for, see sim_tls_name */
    struct server_model *guest; /* of the server that it shakes hands with, before its queue */
    uint64_t heard_by;          /* while that leaves: a hello that has come was heard by then */
    bool wrong;                 /* its handshake can never be complete */
    bool wrong_later;           /* something wrong was sent behind it */
    bool mistrusted;            /* by its client */
    bool failure_told;          /* by handshake_failed */
    bool opened[2];             /* a socket at that side is encrypted, or was */
    bool shaken[2];             /* the last flight of that side has gone; of peers */
    unsigned asked;             /* answers of the engine that its peer has asked for */
    bool truncated[2];          /* that side has ended without saying so */
};

/* A handler of the library; the order is that of sim_handler_names. */
enum handler {
    IN_NEW_CONNECTION,
    IN_ACCEPT_ERROR,
    IN_INCOMING,
    IN_READY_READ,
    IN_BYTES_WRITTEN,
    IN_CONNECTED,
    IN_DISCONNECTED,
    IN_ERROR,
    IN_STATE,
    IN_FINISHED,
    IN_FOUND,
    IN_DRAINED,
    IN_TIMER,
    IN_TASK,
    IN_ENCRYPTED, /* these three of programs with TLS */
    IN_HELLO,
    IN_HANDSHAKE_FAILED,
    HANDLERS
};

/* When a limit was due first, the peer's share is looked at, and the time begins anew: from then,
 * which is later if the loop was busy. */
struct sim_look {
    uint64_t due;
    uint64_t at; /* the first turn after that; 0: none */
};

/* What is known of the times of a socket: milliseconds of the loop, and never before what the
 * library has noted. See time.c. */
struct sim_clock {
    uint64_t began;   /* the connection, or the setting of its limits */
    uint64_t listens; /* since when a first byte could come */
    uint64_t active;  /* bytes were seen to have gone, or not to be wanted */
    uint64_t looked;  /* the last time */
    uint64_t window;  /* since then `moved` bytes have gone */
    uint64_t moved;
    uint64_t came; /* bytes in all, when they were last looked at */
    uint64_t went;
    uint64_t waiting;  /* output, likewise */
    uint64_t sealed;   /* encrypted output, likewise */
    bool offered;      /* a turn has ended since some of these began to wait */
    bool flowed;       /* some of that has gone */
    bool stopped;      /* nothing was received, likewise */
    uint64_t progress; /* of the end: the kernel has taken some, or the peer */
    struct sim_look idle_look;
    struct sim_look end_look;
    uint64_t owed;  /* bytes that the kernel had and the peer's had not, where that is known */
    uint64_t taken; /* not before then the peer's kernel took some of these, and not the last */
    uint64_t taken_enough; /* and as many as a window of the rate asks for */
    uint64_t attempt;      /* to connect */
    uint32_t patience;     /* of it */
    uint32_t close_timeout;
    unsigned overdue; /* turns; and those of an end: */
    unsigned end_overdue;
    unsigned attempt_overdue; /* those of an attempt to connect */
    bool heard;
    uint64_t handed_at; /* after so many looks at the kernel: */
    bool handed;        /* a turn has ended since the state has changed */
};

struct socket_model {
    berth_socket *socket; /* NULL: none */
    struct server_model *owner;
    struct server_model *queued_in;
    struct server_model *going_with; /* the server whose end it is freed by */
    struct connection *connection;
    int side;           /* 0: this side connected */
    uint16_t target;    /* the port that it has asked the kernel to connect to */
    unsigned by_path;   /* the place that it connects to, from 1 on; 0: to none */
    unsigned changes;   /* of that place, until it began to */
    bool refused;       /* what it is asked for cannot be had there */
    struct way early;   /* output before the connection is known */
    uint64_t announced; /* bytes */
    uint64_t trial;     /* where the open transaction began */
    bool doubled;       /* bytes were put back in it, so that it cannot be undone */
    size_t seen;        /* unread input when the program last looked */
    berth_state state;
    unsigned in_ready_read;
    unsigned in_bytes_written;
    unsigned in_drained;
    uint64_t put_before; /* output when bytes_written was called last, */
    uint64_t put_inside; /* and when that and drained had returned */
    unsigned owed;       /* ends that `disconnected` has not been called for yet */
    unsigned calls;      /* of the program for this socket, on the stack */
    unsigned long deliveries;
    unsigned batches;     /* calls that have written, of this connection */
    unsigned first_sends; /* sends that others had made before */
    uint64_t first_put;   /* and bytes */
    bool greeted;         /* `connected` was called, or the connection was there already */
    bool arriving;        /* it will be, unless the connection ends first */
    bool timed_out;       /* while closing */
    bool given;           /* the kernel may have taken output that was not announced yet */
    bool cast_off;        /* is being ended by a limit, with output left */
    bool orderly;         /* the last connection has ended gracefully */
    bool adopting;
    bool gave_up; /* an attempt to connect has ended: its input ends too, without `disconnected` */
    bool dying;   /* goes with its server */
    bool doubted; /* likewise, and may be going already */
    bool freeing; /* and is, for certain */
    bool leaving; /* this side has begun to end the connection */
    bool emptied; /* was closed, and has lost the input that it had not read */
    bool gone_early;    /* likewise, before it was there */
    bool half_open;     /* half-close is allowed */
    bool finished;      /* read_channel_finished was called for the connection */
    bool shut;          /* the program has ended its output, and only that */
    bool drains;        /* the output was above the low mark: `drained` has to come */
    bool drains_later;  /* but a mark was raised meanwhile: with what is announced next */
    unsigned low_turns; /* that it has not come in, although the output was at the low mark */
    bool counted;       /* is a live connection of its server */
    unsigned told;      /* in the drain of that number that it has to go */
    unsigned visited;   /* in the round of that number */
    bool overflowed;    /* has written more than its limit: the end is due */
    bool heard;         /* input has come */
    bool held;          /* no more of it is taken */
    berth_connection_limits limits;
    uint64_t began; /* the connection or its limits, not before this time */
    uint64_t latest_begin;
    uint64_t moved;   /* the last bytes, not before this time */
    unsigned options; /* those that were kept, as bits */
    int values[SIM_OPTIONS];
    bool eager;              /* reads whatever comes */
    bool encrypts;           /* the connection that it begins */
    uint32_t tls_name;       /* of it */
    bool mistrusts;          /* likewise */
    bool starts;             /* it is paused, until it has begun to encrypt */
    bool encrypted;          /* `encrypted` was called, or the connection was when it was taken */
    uint64_t shakes;         /* since then, at the latest, */
    uint32_t tls_patience;   /* for so long; 0: for ever; */
    unsigned shakes_overdue; /* turns behind that */
    struct sim_clock clock;
    unsigned header_version;     /* of the header that it writes; 0: none */
    unsigned client;             /* in it */
    size_t low;                  /* the marks of the output */
    size_t high;                 /* 0: none */
    bool paused;                 /* reads nothing */
    bool begins_paused;          /* likewise, and it is not known what had come before */
    bool was_paced;              /* has, or had, a rate */
    uint64_t paused_at;          /* bytes that had come by then */
    struct rate_model *rates[2]; /* of input and output, in calls_pace.c */
};

struct pending {
    struct connection *connection;
    struct socket_model *socket; /* put there by the program */
};

/* Those who wait in the kernel for a server that would take them. */
struct sim_backlog {
    uint64_t since;
    uint64_t came; /* at the last look, these two */
    uint64_t failures;
    uint64_t before; /* failures before the last that came */
    unsigned turns;  /* that have left somebody waiting for too long */
};

enum incoming {
    INCOMING_BASE,
    INCOMING_ADOPT,
    INCOMING_REJECT,
    INCOMING_MODES
};

/* A server that encrypts. */
struct sim_greeter {
    bool on;                  /* it does */
    bool was_limited;         /* its connections, now or before: guests begin at any time */
    unsigned long guests;     /* that it was given */
    unsigned long arrived;    /* of these, in its queue */
    unsigned long told;       /* by handshake_failed */
    unsigned long unknown;    /* of these: it is not known who */
    unsigned long lost;       /* with its close */
    uint32_t patience;        /* the least that a handshake has had, in milliseconds */
    uint32_t most_patience;   /* and the most */
    uint64_t ended;           /* guests, unheard, at the last look */
    unsigned late_turns;      /* that have left somebody for longer than he may */
    uint64_t odd_at;          /* no time ran for those who say something; at the last look */
    uint64_t most_shaking;    /* handshakes that there may be */
    uint64_t choosing;        /* calls of client_hello on the stack: these go on */
    bool lowered;             /* their limit may have been, in one of these */
    uint64_t most_handshakes; /* the largest limit of them */
    uint64_t most_greeting;   /* those who may be before theirs */
};

struct server_model {
    berth_server *server;
    struct sim_greeter greeter;
    struct pending queue[SIM_QUEUE];
    size_t queued;
    unsigned long accepted;
    unsigned long delivered;
    unsigned long rejected;
    unsigned long closed;
    unsigned announcements; /* new_connection, one for each accepted */
    unsigned waits;
    unsigned closing; /* on the stack */
    bool paused;
    bool troubled; /* accept_error was called, when so many had been accepted */
    uint64_t troubled_at;
    bool was_troubled; /* accept_error was called at all */
    struct sim_backlog backlog;
    bool stopped; /* accept_error was called for good, and nobody has resumed */
    enum incoming incoming;
    unsigned long asked;       /* connections shown to incoming_connection */
    unsigned long kept;        /* of these, not given to the base behaviour */
    unsigned long taken;       /* out of the queue */
    unsigned long added;       /* to the queue by the program */
    unsigned long turned_away; /* by berth_server_reject */
    unsigned long settled;     /* of those that limits ended in the queue */
    berth_server_counts counts;
    berth_connection_limits limits;
    berth_accept_limits accepts;
    uint64_t paced_since;
    uint64_t paced_from;    /* so many had been accepted by then */
    uint64_t most_waiting;  /* in the queue and for their headers: as many, if over the limit */
    size_t most_pending;    /* bytes of one that waits */
    uint64_t lingering;     /* at the last look */
    unsigned looked_inside; /* so many handlers, likewise */
    bool same_accepts;      /* since then */
    bool limited_address;   /* these three: now or before */
    bool limited_rate;
    bool sheds;
    bool through;              /* listens through a proxy */
    bool trusts;               /* reads headers, while it listens at this port */
    bool trusts_local;         /* likewise, at a path */
    uint16_t number;           /* of its last listening at a path */
    bool has_trusted;          /* now or before */
    uint32_t patience;         /* the least that it has had for a header, in milliseconds */
    uint32_t most_patience;    /* likewise */
    unsigned long doubted;     /* those that may be turned away for their header */
    uint64_t accepted_before;  /* at the last look */
    uint64_t awaited_since;    /* headers, not before this time */
    unsigned headers_overdue;  /* turns behind the time for them */
    bool was_odd;              /* at the last look no time ran for headers */
    uint64_t refused_before;   /* likewise, for their headers or for want of memory */
    unsigned visits;           /* rounds through its sockets */
    unsigned long drain_heard; /* ends by the deadline of a drain, in error_occurred */
    struct sim_drain {
        bool on; /* it is drained, and `emptied` is owed */
        unsigned number;
        uint16_t port; /* that it has listened on */
        bool listened;
        berth_drain_state state; /* at the last look */
        uint64_t closes;         /* when the grace is over, at the earliest */
        uint64_t left;           /* when it was, at the latest; 0: it is not, or not seen yet */
        uint64_t ends;           /* the deadline; 0: none */
        uint64_t closed_before;
    } drain;
};

struct peer_model {
    struct end *end;
    struct connection *connection;
    int side;
    uint16_t port; /* that it has connected to; 0: it was accepted */
    bool ended;
    bool floods;        /* sends whenever a handler runs: */
    unsigned flooded;   /* so often */
    size_t flood_step;  /* in this step */
    bool told_of_reset; /* by a send, which has taken the error */
    bool was_reset;
    uint64_t reset_time; /* when that was seen, in milliseconds of the loop */
    bool over;           /* has seen the end of its input */
    uint8_t header[SIM_HEADER];
    size_t header_size;
    size_t header_sent;
    bool is_mute; /* says nothing behind it */
};

struct timer_model {
    berth_timer *timer;
    bool active;
    uint64_t due; /* not before this time, in milliseconds of the loop */
    uint64_t latest;
    uint64_t repeat;
};

struct trap {
    bool set;
    bool waits; /* for the peers, see owed.c */
    enum handler handler;
    uint64_t word;
};

/* What a program has calls of, beyond those that each has: the bits of sim.topics. */
enum topic {
    TOPIC_ENDS,
    TOPIC_LIMITS,
    TOPIC_OPTIONS,
    TOPIC_LOOPS,
    TOPIC_NAMES,
    TOPIC_TIME,
    TOPIC_PROXIES,
    TOPIC_PACE,
    TOPIC_HEADERS, /* these four are chosen after all else */
    TOPIC_WATCHES,
    TOPIC_DRAIN,
    TOPIC_LOCAL,
    TOPIC_TLS
};

/* What the innermost handler was called for. */
struct frame {
    enum handler handler;
    struct socket_model *socket;
    struct server_model *server;
    struct timer_model *timer;
};

struct sim {
    berth_loop *loop;
    uint16_t port;          /* of the test's listener */
    bool process_has_proxy; /* now or before; for names of other hosts only */
    uint16_t proxy_port;    /* of its proxies; 0: there is none yet */
    bool local_reads;       /* servers at paths read PROXY headers */
    struct server_model servers[SIM_SERVERS];
    struct socket_model sockets[SIM_SOCKETS];
    struct peer_model peers[SIM_ALL_PEERS];
    struct timer_model timers[SIM_TIMERS];
    struct trap traps[SIM_TRAPS];
    struct connection connections[SIM_CONNECTIONS];
    size_t connection_count;
    uint32_t keys;
    size_t step;
    struct frame frames[SIM_DEPTH];
    unsigned depth;
    unsigned inside;     /* a look in a handler, at its end */
    unsigned long moves; /* calls that let time pass */
    unsigned long posted;
    unsigned long ran;
    unsigned topics;
    bool costs;        /* work takes time */
    bool accepts_fail; /* all of them, until further notice */
    uint64_t looked;   /* the time of the last look */
    berth_loop_counts counts;
    uint64_t delivered; /* bytes, to handlers of sockets */
    uint64_t announced; /* likewise, of output */
    uint64_t limited;   /* connections that a limit has ended, by what the program has heard */
    uint64_t limited_in_freed;
    uint64_t accepted_by_freed;
    bool hard_ends;  /* a socket without a connection was told to end its next one by a reset */
    bool may_lose;   /* the program has faults that lose bytes, rightly */
    bool lossy;      /* one has been made; see sim_lossy */
    bool broken;     /* by a send that failed, of which the peer's end may know nothing */
    bool short_of;   /* descriptors were limited */
    bool other_lack; /* accepting has failed for want of something else than descriptors */
    bool settling;   /* everybody reads, and has for a while */
    bool leaving;    /* the loop is being freed, and everything with it */
};

extern struct sim sim;
extern const char *const sim_handler_names[HANDLERS];

/* Prints a step, if that is wanted; and the failure, and aborts. */
void sim_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define sim_check(condition, ...)  \
    do {                           \
        if (!(condition))          \
            sim_fail(__VA_ARGS__); \
    } while (0)

/* model.c */
struct connection *sim_connection(uint16_t port, uint16_t to); /* made if it is new */
void sim_cut(struct connection *connection);                   /* both ways; NULL is ignored */
bool sim_lossy(void);                                          /* whether a fault has lost bytes */
bool sim_complete(const struct way *way); /* whether all that was put has to come out */
void sim_fill(struct way *way, uint8_t *bytes, size_t size); /* the next bytes, not put yet */
void sim_match(struct way *way, const uint8_t *bytes, size_t size, const char *who);
bool sim_may_hold(const struct connection *connection, const berth_socket *socket);
/* Bytes are on their way from that side, which may answer what it has read. */
void sim_put(struct connection *connection, int side, size_t size);
struct way *sim_way_out(struct socket_model *model);
struct way *sim_way_in(struct socket_model *model); /* NULL: unknown */
struct socket_model *sim_new_socket(void);          /* an unused place, or NULL */
void sim_forget_socket(struct socket_model *model); /* it was freed */
void sim_dequeue(struct server_model *server, size_t place);
void sim_unqueue(struct socket_model *model); /* it leaves whatever queue it is in */
void sim_look(void);                          /* the checks after every step and handler */
void sim_note_unread(void);                   /* by which the next delivery is judged */

/* ends.c: how connections end, and what is left of them. */
void sim_ends_begin(void);
void sim_drop(struct socket_model *model); /* it is freed, and maybe its connection with it */
void sim_going(unsigned descriptors);      /* are being closed from now on */
void sim_ended(struct connection *connection, int side); /* gracefully, handlers and all */
/* That side has ended gracefully, and not lingered for what it has sent any more. */
bool sim_has_lingered(const struct connection *connection, int side);
bool sim_is_sound(const struct connection *connection);
void sim_judge_reset(const struct connection *connection, int side); /* that this side has seen */
void sim_judge_rest(const struct connection *connection, int side, uint64_t time);
void sim_ends_adopt(struct socket_model *model, int descriptor); /* of a connection it has now */
void sim_judge_lack(berth_error error); /* that accepting has failed with */
void sim_ends_look(void);
bool sim_ends_linger(void); /* any may, and does */
void sim_ends_rest(void);   /* everything has come to rest */

/* books.c */
void sim_look_at_counts(struct server_model *model);
void sim_look_at_loop_counts(void);
void sim_server_goes(struct server_model *model); /* is about to be freed */
/* How many of the queue have been ended by limits, and are still in the model's. */
unsigned long sim_lost_in_queue(const struct server_model *model);

/* calls_limits.c */
bool sim_is_limited(const berth_connection_limits *limits);
bool sim_accepts_all(const berth_accept_limits *limits); /* sooner or later */
void sim_limits_begin(struct socket_model *model, uint64_t earliest);
unsigned sim_tallied(const struct server_model *model); /* what it accepts now, see connection */
void sim_check_accept(struct server_model *model, struct connection *connection);
uint64_t sim_waiting(const struct server_model *model); /* in the queue, or for their headers */
void sim_note_waiting(struct server_model *model);
void sim_check_pace(struct server_model *model);     /* and how many wait */
bool sim_ended_by_limit(struct socket_model *model); /* in error_occurred */
void sim_check_overdue(uint64_t before);
void sim_check_queue(const struct server_model *model, uint64_t before); /* the same for a queue */

void sim_loops_begin(void); /* calls_loops.c */

/* calls_proxy.c: the test's proxies; `serve` has all of them go on honestly. */
void sim_proxies_begin(void);
void sim_proxies_serve(size_t most);
bool sim_proxies_meanwhile(void); /* in the middle of a call; whether it waits for them */
/* The connection of a descriptor that a server has accepted, or is in its queue. */
uint16_t sim_port_of(int descriptor);
struct connection *sim_accepted(const struct server_model *model, int descriptor);
void sim_unbound(struct server_model *model); /* listens through no proxy any more */
void sim_proxies_end(void);

/* calls_headers.c: PROXY headers. */
void sim_headers_server(struct server_model *model, uint64_t word); /* before it listens */
bool sim_headers_connect(struct socket_model *model, uint16_t port);
void sim_headers_begin(const struct socket_model *model);      /* it is connected */
void sim_headers_peer(struct peer_model *peer, uint64_t word); /* likewise, to a server */
ptrdiff_t sim_headers_send(struct peer_model *peer, const uint8_t *bytes, size_t size);
size_t sim_headers_receive(const struct peer_model *peer, const uint8_t *bytes, size_t size);
bool sim_headers_adopt(const struct peer_model *peer); /* whether it may go to the library */
/* The IPv4 address that it counts as; false: it is not known. */
bool sim_headers_client(const struct server_model *model, const struct connection *connection,
                        uint32_t *ret_address);
/* In incoming_connection. */
void sim_headers_arrive(const struct server_model *model, struct connection *connection);
void sim_headers_taken(const struct socket_model *model); /* out of a queue */
void sim_headers_doubt(struct server_model *model);       /* counts who may be turned away */
void sim_headers_look(struct server_model *model);
void sim_headers_turn(uint64_t start);
void sim_headers_finish(void);      /* peers send what is left of theirs */
uint64_t sim_headers_awaited(void); /* connections in all */

/* tls.c */
struct toy;
struct toy *sim_tls_toy(bool server, bool mistrusts, uint64_t *word); /* one of them */
void sim_tls_begin_shaking(struct socket_model *model, uint64_t now);
void sim_tls_set_bounds(struct server_model *model, uint64_t word);
void sim_tls_set_configurations(struct server_model *model, uint64_t word);
void sim_tls_begin(uint64_t word);
void sim_tls_end_all(void);
void sim_tls_be_kind(void);
uint64_t sim_tls_word(void); /* to be chosen from */
uint32_t sim_tls_new_name(void);
void sim_tls_name(const struct connection *connection, char ret_name[SIM_NAME]);
bool sim_tls_at(uint16_t port);                             /* whether a server there encrypts */
bool sim_tls_may_fail(const struct connection *connection); /* has failed, or is to */
void sim_tls_mark(struct connection *connection);           /* its peer may be a liar */
void sim_tls_server(struct server_model *model);            /* before it listens */
void sim_tls_await(struct socket_model *model, const struct connection *connection);
bool sim_tls_connect(struct socket_model *model, uint16_t port);
void sim_tls_connected(struct socket_model *model);  /* the connection that it has begun */
void sim_tls_adopted(struct connection *connection); /* in place of a server */
void sim_tls_guest(struct server_model *model, struct connection *connection);
struct connection *sim_tls_arrived(struct server_model *model);     /* in new_connection; or NULL */
void sim_tls_lost(struct server_model *model);                      /* it closes */
void sim_tls_taken(struct socket_model *model);                     /* out of a queue */
void sim_tls_end_heard(struct socket_model *model);                 /* the end of the input */
bool sim_tls_failed(struct socket_model *model, berth_error error); /* in error_occurred */
/* Guests that a limit or a drain has ended. Where memory may be lacking none are ended so. */
uint64_t sim_tls_ended_guests(const struct server_model *model, const berth_server_counts *counts);
bool sim_tls_may_end_guests(const struct server_model *model);
void sim_tls_look(struct server_model *model, const berth_server_counts *counts);
void sim_tls_look_at_socket(struct socket_model *model);
void sim_tls_turn(uint64_t start);
uint64_t sim_tls_unheard(uint64_t milliseconds); /* guests that have ended unheard since then */
bool sim_tls_waits(void); /* a handshake that has to be complete is not yet */
uint64_t sim_tls_shaking(const struct server_model *model); /* guests that there are */
void sim_on_encrypted(berth_socket *socket, void *user);
bool sim_on_problem(berth_socket *socket, const berth_tls_problem *problem, void *user);
berth_tls *sim_on_hello(berth_server *server, const berth_tls_hello *hello, void *user);
void sim_on_handshake_failed(berth_server *server, const berth_tls_failure *failure, void *user);

/* tls_lines.c: peers of encrypted connections. The first two are for any connection. */
ptrdiff_t sim_tls_send(struct peer_model *peer, const uint8_t *bytes, size_t size);
void sim_tls_receive(struct peer_model *peer, const uint8_t *bytes, size_t size);
void sim_tls_peer(struct peer_model *peer);  /* it is connected */
void sim_tls_start(struct peer_model *peer); /* its connection is encrypted from now on */
void sim_tls_finish(void);                   /* all send what is left */
/* It is about to end its output; false: something is left that has to go first. */
bool sim_tls_end(struct peer_model *peer, bool orderly);
void sim_tls_end_seen(const struct peer_model *peer);
size_t sim_tls_unsent(const struct peer_model *peer);
/* Whether it lacks a record that the library has made: when the program has been shown so many of
 * its bytes, and the end. */
bool sim_tls_lacks(const struct peer_model *peer, uint64_t heard, bool finished);
bool sim_tls_is_open(const struct peer_model *peer);
/* Whether the library may still send it something: closing then is a reset. */
bool sim_tls_is_owed(const struct peer_model *peer);
uint64_t sim_tls_moved(void); /* another number if encrypted bytes have moved */
bool sim_tls_lies(const struct connection *connection); /* in its handshake: its peer will */
void sim_tls_go_wrong(struct peer_model *peer, uint32_t how);

/* calls_options.c: those that were kept hold in the connection that begins. */
void sim_options_hold(struct socket_model *model);

/* A turn or a wait on the stack. */
struct sim_stay {
    struct sim_stay *outer;
    uint64_t start; /* milliseconds of the loop */
    uint64_t slept; /* nanoseconds of the kernel, when it began */
    uint64_t inner; /* that others have slept in it */
    unsigned long move;
    unsigned late; /* handlers called after its end */
    int milliseconds;
    bool blocking;
};

/* time.c: what has to hold of time. */
void sim_time_begin(void);
void sim_time_be_kind(void); /* nothing ends by a limit any more */
void sim_stay_begin(struct sim_stay *stay, int milliseconds, bool blocking);
uint64_t sim_stay_end(struct sim_stay *stay); /* nanoseconds that it has slept */
void sim_turn(int milliseconds);              /* of the loop */
void sim_let_time_pass(uint64_t milliseconds);
bool sim_anybody_waits(void); /* in the kernel, for a server that would take it */
void sim_time_handler(void);  /* one has been called */
void sim_time_waited(struct socket_model *model, const struct sim_stay *stay); /* for it alone */
void sim_time_timer_ran(void);

/* calls_watches.c: watches and signals. */
#define SIM_SIGNALS 3u
void sim_watches_begin(void);
void sim_watches_look(void);
void sim_signals_raised(unsigned long ret_raised[SIM_SIGNALS]);
void sim_signals_check(const unsigned long raised[SIM_SIGNALS]);
void sim_time_woken(void);                          /* the loop */
void sim_clock_restart(struct socket_model *model); /* its limits have been set */
void sim_clock_resume(struct socket_model *model);  /* a pause has ended */
void sim_clock_state(struct socket_model *model, berth_state before);
void sim_clock_close(struct socket_model *model, uint32_t milliseconds);
void sim_clock_look(struct socket_model *model);
bool sim_clock_is_due(const struct socket_model *model, const char *text);
void sim_time_accept_error(struct server_model *model, berth_error error);

/* handlers.c */
extern const berth_socket_handlers sim_socket_handlers;
extern const berth_server_handlers sim_server_handlers;
extern const berth_server_handlers sim_hello_handlers; /* with client_hello */
void sim_on_timer(berth_timer *timer, void *user);
void sim_on_task(void *user);

/* calls.c and peers.c: one call, one deed, with the choices of a word. */
void sim_call(uint64_t word);
void sim_deed(uint64_t word);
void sim_connect_peer(uint64_t word);  /* to a server */
void sim_connect_peers(uint64_t word); /* some at once */
/* The peer at the other side of a connection ends its output; whether there is one. */
bool sim_end_peer_of(const struct connection *connection, int side);
ptrdiff_t sim_peer_send(struct peer_model *peer, const void *data, size_t size);
void sim_peers_read(void);            /* all that there is */
void sim_peers_speak(uint64_t word);  /* all at once, which may take more buffers than there are */
void sim_peers_flood(void);           /* those that do */
void sim_peers_nudge(void);           /* those that have not been accepted send something */
void sim_deed_of_peer(uint64_t word); /* one that calls nothing of the library but questions */
/* Takes the oldest pending connection; whether there was one. */
bool sim_take(struct server_model *model);
void sim_read(struct socket_model *model, size_t size);
void sim_free_server(struct server_model *model);
void sim_free_socket(struct socket_model *model);

/* calls_drain.c */
void sim_on_draining(berth_socket *socket, void *user);
void sim_on_emptied(berth_server *server, bool forced, void *user);
bool sim_ended_by_drain(struct socket_model *model); /* in error_occurred */
void sim_drain_forget(struct server_model *model);   /* it is closed, or gone */
bool sim_drain_covers(uint16_t port);                /* that a server is about to give up */
bool sim_drain_has_deadline(const struct server_model *model);
void sim_drain_look(struct server_model *model);
uint64_t sim_drain_left(struct server_model *model); /* see struct sim_drain; for every turn */
void sim_drain_rests(struct server_model *model);

/* calls_local.c: Unix sockets. */
struct end;
void sim_local_begin(uint64_t word);
void sim_local_end(void);
bool sim_listens_locally(const struct server_model *model);
uint16_t sim_port(const struct server_model *model); /* it listens at, or what stands for that */
bool sim_is_tests(uint16_t port);                    /* it is that of a listener of the test's */
struct connection *sim_local_connection(uint16_t number, uint16_t to);
struct connection *sim_local_accepted(const struct server_model *model, uint16_t number);
struct connection *sim_local_begun(struct socket_model *model); /* it is connected */
struct end *sim_local_connect_peer(const struct server_model *server, bool *ret_foreign);
void sim_local_failed(struct socket_model *model, berth_error error);
void sim_local_rejected(const struct server_model *model, uint64_t count); /* for their user */
void sim_local_look(void);
void sim_local_ask(struct socket_model *model);

/* meanwhile.c: what peers do in the middle of calls. */
uint64_t sim_now(void); /* milliseconds of the loop, at any moment */
void sim_meanwhile_begin(void);
bool sim_meanwhile_install(void); /* false: it cannot be done on this kernel */
void sim_meanwhile_plan(uint64_t word);
void sim_meanwhile_be_kind(void); /* no more of it */

/* calls_pace.c: bytes have come, or were announced. */
void sim_pace_begin(void);
void sim_pace_look(struct socket_model *model);
void sim_pace_moved(struct socket_model *model, bool in, size_t bytes);
void sim_pace_be_kind(uint64_t outstanding); /* bytes */
bool sim_pace_waits(void);

/* program.c */
bool sim_wait_for_peers(uint64_t word); /* owed.c; inside a handler. False: for nothing */
void sim_spring(enum handler handler, struct socket_model *socket, struct server_model *server,
                struct timer_model *timer);

#endif
