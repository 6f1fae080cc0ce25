/*
 * Encrypted connections: a socket, an engine, and the stream between them.
 *
 *     program   <- plaintext ->   socket   <- plaintext ->   secure   <- records ->   stream
 *                                                              |
 *                                                            engine
 *
 * To its socket an encrypted stream obeys the laws of backend.h as every other does, in plaintext:
 * its events are those of secure.c, which let what comes through the engine and hand the plaintext
 * to the events of a socket. What a socket sends goes through berth__secure_send. So the rest of a
 * socket knows of it in few places: where it sends, where it ends, and when it receives.
 *
 * Of the peer's bytes those are `held` that the engine has not used, since the socket wants no more
 * now: then it does not receive either, so that they are no more than one delivery. It is in the
 * list of sockets to be settled as soon as it wants some, and end_held says what for. What comes
 * behind the peer's end or a failure is thrown away, a megabyte at most: then the connection is
 * reset. Bytes that were encrypted are `sealed` until the kernel has them; what they were in
 * plaintext stays in the output, and is announced when the last of them is gone.
 */
#ifndef BERTH_SRC_SECURE_H
#define BERTH_SRC_SECURE_H

#include "engine/engine.h"
#include "socket.h"

struct berth__secure {
    berth__engine *engine;
    berth_tls *tls;
    berth_socket *socket; /* NULL when that has let go of the connection */
    berth__chain held;
    berth__chain sealed;
    berth__owner *owner;   /* of the socket, while it watches the handshake */
    size_t sealing;        /* bytes at the front of the output that `sealed` is made of */
    unsigned frames;       /* that use it: it is freed when the last is gone */
    bool heard : 1;        /* the peer has sent something */
    bool open : 1;         /* the handshake is complete */
    bool failed : 1;       /* the engine; announced or not */
    bool ended : 1;        /* the peer's direction, orderly */
    bool closed : 1;       /* likewise, by the end of the stream, or that has broken */
    bool told : 1;         /* the socket knows of that end */
    bool said : 1;         /* this side's end */
    bool mute : 1;         /* likewise: nothing follows it, not even an answer */
    bool inside : 1;       /* the engine is on the stack with the peer's bytes, */
    bool stopped : 1;      /* and receiving was stopped for that */
    bool unable : 1;       /* the engine has failed to encrypt, which ends the connection */
    bool late : 1;         /* the time for closing is over: nothing that is sealed is waited for */
    bool overdue : 1;      /* the time for the handshake is over */
    bool full : 1;         /* plaintext may be left in the engine */
    bool busy : 1;         /* used since it was last looked at: see secure_memory.c */
    bool lasting : 1;      /* and before that too */
    int error;             /* of `closed` */
    berth_error class;     /* of its failure; the text is kept with the socket */
    uint32_t thrown;       /* bytes behind the peer's end or a failure */
    uint64_t since;        /* when it was last looked at */
    berth__secure *next;   /* of those that have memory to give up; and what points to it */
    berth__secure **link;  /* NULL: it is none of them */
    berth__deadline limit; /* of the handshake, unless it is the owner's; */
    uint64_t due;          /* and when that is over; 0: it has none */
    uint32_t waits;        /* of the loop, when that was seen */
};

/* What a socket has of encryption: how the next connection is to begin, and what is known of the
 * last one. Made on first use. */
struct berth__encryption {
    berth__secure *secure; /* the connection at hand, if it is encrypted */
    berth_tls *tls;        /* of connections that the socket begins, or NULL */
    char *name;            /* likewise; NULL: that which is connected to */
    void *session;         /* likewise */
    size_t session_size;
    char *failure;  /* why the handshake has failed; NULL if there was no memory for it */
    bool truncated; /* the last connection, see berth_socket_tls_was_truncated */
};

/* Made if need be; NULL when out of memory. */
berth__encryption *berth__socket_encryption(berth_socket *socket);
void berth__encryption_free(berth__encryption *encryption);

/* Why the handshake has failed, in words. */
const char *berth__secure_reason(const berth_socket *socket);

/* How an encrypted connection begins. */
typedef struct berth__secure_plan {
    berth_tls *tls;   /* is held */
    const char *name; /* as in berth__engine_setup, and so is the session */
    const void *session;
    size_t session_size;
    berth__chain *received; /* what the peer has sent already: moved out of it. NULL: nothing */
    /* The handshake is watched by the socket's owner, whose `shaken` is called when it is over; the
     * program has nothing of the socket until then, and none of its handlers are called. Such a
     * socket is `pending`, so limits and pauses are those of the queue. `shaken` is not called for
     * one that the owner frees, or that a limit ends (which calls left_queue). */
    bool for_owner;
} berth__secure_plan;

/* Encrypts the connection of a socket from here on; false when out of memory, and then nothing has
 * changed. Calls no handlers. What is to be done at once, such as a client's hello or the answer to
 * what was received, is done when the socket is settled: it is put into the list of those to be
 * flushed, or its owner calls berth__socket_settle, so that it can measure how long that takes. */
bool berth__secure_begin(berth_socket *socket, const berth__secure_plan *plan);

/* ---- secure_memory.c ------------------------------------------------------------------------- */

/* Bytes that are decrypted, or gathered to be encrypted, at once. */
#define BERTH__SECURE_SCRATCH (2 * BERTH__ENGINE_RECORD)

/* To be called once, before the others, for each connection: whether there is memory for what the
 * loop has for all of them. */
bool berth__secure_has_memory(berth_loop *loop);

/* A buffer of that size, to be given back; NULL when out of memory. */
uint8_t *berth__secure_take_scratch(berth_loop *loop);
void berth__secure_give_scratch(berth_loop *loop, uint8_t *scratch);

/* Its engine is used; it is gone. */
void berth__secure_is_busy(berth__secure *secure);
void berth__secure_is_gone(berth__secure *secure);

/* ---- secure_time.c --------------------------------------------------------------------------- */

/* Whether the handshake may go on although its time is over. To be asked again in the next turn or
 * step then. */
bool berth__secure_has_time(berth__secure *secure);

/* ---- secure.c -------------------------------------------------------------------------------- */

/* Of a socket whose stream is secured, else NULL. */
static inline berth__secure *berth__secure_of(const berth_socket *socket)
{
    bool secured = socket->stream != NULL && socket->stream->ready.secured;
    return secured ? socket->remote->encryption->secure : NULL;
}

/* As the operation `send` of the backend, for up to `most` bytes at the front of the output; 0 too
 * when there is nothing that could be sent now. `ending`: nothing follows them. */
ptrdiff_t berth__secure_send(berth_socket *socket, size_t most, bool ending);

/* Gives the kernel what it takes of as much, and of what is sealed before, inside the call: no send
 * is in flight then. Returns how many bytes of the output have gone, or a negative errno. */
ptrdiff_t berth__secure_put(berth_socket *socket, size_t most);

/* Whether berth__secure_send would send something. */
bool berth__secure_unsent(const berth_socket *socket);

/* Whether TLS has failed, and that was announced: the connection ends, behind an alert. */
static inline bool berth__secure_has_failed(const berth_socket *socket)
{
    const berth__secure *secure = berth__secure_of(socket);
    return secure != NULL && secure->failed && secure->told;
}

/* Whether TLS has failed in a queue, where nobody would hear of it; and announces that, when the
 * socket was taken. */
static inline bool berth__secure_fails(const berth_socket *socket)
{
    const berth__secure *secure = berth__secure_of(socket);
    return secure != NULL && secure->failed && !secure->told && socket->holed;
}
void berth__secure_announce_failure(berth_socket *socket);

/* Sends the end of this direction (close_notify). Returns 0, a negative errno of the send, which
 * the kernel may not report again, or EINPROGRESS while it has not gone: then the socket is told by
 * a result of its send when it has. */
int berth__secure_say_end(berth_socket *socket);

/* Whether that is encrypted, so that no output can follow it. */
static inline bool berth__secure_has_said(const berth_socket *socket)
{
    const berth__secure *secure = berth__secure_of(socket);
    return secure != NULL && secure->said;
}

/* Gives up what has not gone: the end of the socket waits for it no more. */
void berth__secure_give_up(berth_socket *socket);

/* Ends the connection while a handshake is watched by the owner, for something else than that has
 * failed, and has the owner told; false if none is. */
bool berth__secure_fail_guest(berth_socket *socket, berth_error class, const char *reason);

/* Whether input is wanted in any case, since the handshake needs it. */
bool berth__secure_shakes(const berth_socket *socket);

/* Whether there is input, or its end, that the socket does not have. */
bool berth__secure_owes(const berth_socket *socket);

/* Whether a delivery around this turn or wait has used what the socket was to be settled for. */
bool berth__secure_is_used_up(const berth_socket *socket);

/* Delivers what it owes, as far as it is wanted. Returns whether the connection goes on. */
bool berth__secure_deliver(berth_socket *socket);

/* The socket lets go of its stream. Returns what a send in flight still reads, or NULL. */
berth__chunk *berth__secure_let_go(berth_socket *socket);

/* In a blocking wait, where no timer runs: ends the handshake if that is due. Returns when it wants
 * to be called again. */
uint64_t berth__secure_step(berth_socket *socket);

#endif
