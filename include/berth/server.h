/*
 * A TCP server: listens, accepts, and keeps accepted connections in a bounded queue until the
 * program takes them.
 *
 * The course of a connection:
 *
 * 1. The kernel completes it and keeps it in its backlog.
 * 2. The loop, or a blocking wait, accepts it.
 * 3. incoming_connection is called with the descriptor. Its base behaviour makes a socket and
 *    appends it to the queue.
 * 4. new_connection is called.
 * 5. The program takes the socket with berth_server_next_pending_connection.
 *
 * If the server encrypts (tls.h), the base behaviour begins a TLS handshake instead, and the socket
 * is queued, and new_connection called, when that is complete.
 *
 * A server that is listening accepts unless one of five reasons prevents it:
 *
 * - paused by the user: berth_server_pause_accepting was called. Ends with
 *   berth_server_resume_accepting.
 * - paused by an error: accepting failed in a way that a retry would only repeat. accept_error is
 *   called. Ends with berth_server_resume_accepting, or when the server listens again.
 * - queue full: berth_server_max_pending_connections connections are pending or await their PROXY
 *   header. Ends when one of them is taken or closed, or when the limit is raised.
 * - rate reached: berth_accept_limits.per_second connections were accepted. Ends with time.
 * - out of resources: the process has no descriptor or memory left. accept_error is called once for
 *   each episode; an episode ends when a connection is accepted. Accepting is retried after 5 ms,
 *   doubling to 1 s, and at once when the library closes a descriptor. Other temporary failures,
 *   among them each accept being forbidden by a sandbox or a firewall, are handled the same way.
 *
 * The reasons are independent of each other: accepting continues when none is left. Meanwhile
 * connections wait in the kernel's backlog. Blocking waits ignore both pauses.
 *
 * Another process that holds a copy of the listening socket can shut it down. Then nobody can
 * connect any more: the server stops listening, and accept_error is called once with class
 * UNSUPPORTED_OPERATION. The handler may listen again. A server that is not accepting at that
 * moment may not notice before it accepts again.
 *
 * Further limits are off by default: see limits.h for limits on connections and statistics.h for
 * what became of each of them.
 *
 * A server that is to end is drained first: see berth_server_drain.
 *
 * A server owns the sockets that it makes, whether they have been taken or not. Freeing the server
 * frees them; berth_socket_detach removes one from its ownership.
 *
 * Unless it says otherwise, a function must be called on the thread of the server's loop. Each may
 * be called in every state and inside every handler, berth_server_free included.
 */
#ifndef BERTH_SERVER_H
#define BERTH_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/address.h>
#include <berth/error.h>
#include <berth/export.h>
#include <berth/limits.h>
#include <berth/loop.h>
#include <berth/proxy.h>
#include <berth/socket.h>
#include <berth/statistics.h>
#include <berth/subnet.h>

BERTH_BEGIN_DECLARATIONS

/** A TCP server. Opaque. */
typedef struct berth_server berth_server;

struct berth_tls;
struct berth_tls_hello;
struct berth_tls_failure;

/**
 * Handlers of a server, called on the thread of its loop. Every slot may be NULL: that means the
 * base behaviour for incoming_connection, has_pending_connections and next_pending_connection, and
 * that nothing is called for the others. The struct is not copied and must live as long as the
 * server: make it static const. Slots may be added at the end.
 */
typedef struct berth_server_handlers {
    /** A connection was accepted, and if the server encrypts its TLS handshake is complete. Called
     * once for each, after incoming_connection and whatever that
     * did with it: berth_server_next_pending_connection may return NULL. */
    void (*new_connection)(berth_server *server, void *user);

    /** Accepting failed and has stopped. berth_server_error_string returns the text. */
    void (*accept_error)(berth_server *server, berth_error error, void *user);

    /** Receives an accepted descriptor, which is blocking and close-on-exec. The handler owns it:
     * it hands it to another thread, adopts it, or closes it. NULL:
     * berth_server_base_incoming_connection. */
    void (*incoming_connection)(berth_server *server, int descriptor, void *user);

    /** Called by berth_server_has_pending_connections for its result. NULL:
     * berth_server_base_has_pending_connections. */
    bool (*has_pending_connections)(berth_server *server, void *user);

    /** Called by berth_server_next_pending_connection for its result. NULL:
     * berth_server_base_next_pending_connection. */
    berth_socket *(*next_pending_connection)(berth_server *server, void *user);

    /** The drain that berth_server_drain began is over: the server has no connection any more.
     * `forced` is whether the deadline had to end one. Called once for each drain, unless the
     * program closes or frees the server before. NULL: nothing is called. */
    void (*emptied)(berth_server *server, bool forced, void *user);

    /** Chooses the configuration of a connection of a server that encrypts (berth_server_set_tls):
     * its ClientHello has come, and its handshake is about to begin. Returns a configuration for
     * servers, of which the connection gets a hold of its own, or NULL to refuse the connection:
     * the client gets the alert unrecognized_name, and handshake_failed is called. NULL:
     * berth_server_base_client_hello, which goes by the name that the client asks for.
     *
     * @param hello  valid until the handler returns
     */
    struct berth_tls *(*client_hello)(berth_server *server, const struct berth_tls_hello *hello,
                                      void *user);

    /** No handshake has come of a connection of a server that encrypts: the client was silent for
     * too long, has gone, sent something else, or the handshake has failed. It is closed. Called
     * once for each that berth_server_counts.failed_handshake counts.
     *
     * @param failure  valid until the handler returns
     */
    void (*handshake_failed)(berth_server *server, const struct berth_tls_failure *failure,
                             void *user);

    /** A connection was put into the queue, encrypted or not. Called after new_connection, once for
     * each; not for what berth_server_add_pending_connection and
     * berth_server_base_incoming_connection add outside of the handler incoming_connection, unless
     * they shake hands first. */
    void (*pending_connection_available)(berth_server *server, void *user);
} berth_server_handlers;

/** Default of berth_server_max_pending_connections, in connections. */
#define BERTH_DEFAULT_MAX_PENDING_CONNECTIONS 30

/** Default of berth_server_listen_backlog_size, in connections. */
#define BERTH_DEFAULT_LISTEN_BACKLOG_SIZE 50

/** Default of berth_server_pending_read_limit, in bytes. */
#define BERTH_DEFAULT_PENDING_READ_LIMIT 65536

/**
 * Makes a server that is not listening.
 *
 * @param loop      the loop that it belongs to; NULL for the calling thread's own
 * @param handlers  const berth_server_handlers *, not copied; NULL for none
 * @param user      passed to the handlers
 * @return the server. Free it with berth_server_free; freeing the loop frees it too. NULL with
 *         errno set when out of memory or when the thread's own loop cannot be made.
 */
#define berth_server_new(loop, handlers, user) \
    berth_server_new_sized((loop), (handlers), sizeof(berth_server_handlers), (user))

/** The function behind berth_server_new. `size` is the size of the handlers struct that the caller
 * was compiled with. */
BERTH_API berth_server *berth_server_new_sized(berth_loop *loop,
                                               const berth_server_handlers *handlers, size_t size,
                                               void *user);

/** Closes the server as berth_server_close does, frees every socket that it owns as
 * berth_socket_free does, and frees the server. What handlers that are called meanwhile begin for
 * it ends too, before the call returns. Allowed inside any handler. NULL is ignored. */
BERTH_API void berth_server_free(berth_server *server);

/** Returns the user pointer that was given with the handlers. */
BERTH_API void *berth_server_user(const berth_server *server);

/** Returns the loop that the server belongs to. May be called on any thread while the server
 * exists. */
BERTH_API berth_loop *berth_server_loop(const berth_server *server);

/**
 * Starts listening. The descriptor is close-on-exec and has SO_REUSEADDR. Nothing is accepted
 * inside the call.
 *
 * Listening through a SOCKS5 proxy (see proxy.h for when one is used): the call waits up to 5000 ms
 * for the proxy. Afterwards berth_server_address and berth_server_port return what the proxy
 * listens on, and there is no descriptor. One BIND of a proxy serves one connection, so the server
 * sends another BIND for the same port after each connection. The proxy refuses peers that connect
 * in between. If the proxy assigns another port, or ends or refuses a BIND, accept_error is called
 * once and the server stops listening; the handler may listen again. berth_socket_peer_address of a
 * connection returns the peer's address as the proxy reported it.
 *
 * @param address  BERTH_ADDRESS_ANY for both families, or an address of this host. IPv6 addresses
 *                 other than BERTH_ADDRESS_ANY accept IPv6 peers only. The null address is refused.
 * @param port     0 to have the system choose a free port
 * @return false on failure, with class and text set; the server is not listening then, unless it
 *         was before. OPERATION: already listening, or being drained, nothing changes.
 *         ADDRESS_IN_USE. ADDRESS_NOT_AVAILABLE: not an address of this host. SOCKET_ACCESS:
 *         privileged port. SOCKET_RESOURCE: no descriptor or memory left, or none to find out which
 *         port the system chose. UNSUPPORTED_OPERATION: null address, family not available, scope
 *         unknown or missing, or a proxy that cannot listen. Failures of the proxy as for
 *         berth_socket_set_proxy.
 */
BERTH_API bool berth_server_listen(berth_server *server, berth_address address, uint16_t port);

/**
 * Stops listening, closes the descriptor, and frees the pending sockets; their peers see the
 * connection end. Connections that await their PROXY header are closed. Sockets that were taken are
 * not affected. Limits, backlog size, proxy, a pause by the user, and the last error are kept. A
 * drain ends without a call of `emptied`. No effect on a server that is not listening, has no
 * pending connections and is not drained.
 */
BERTH_API void berth_server_close(berth_server *server);

/**
 * Closes the child's copies of all connections that nobody has taken yet: those in the queue and
 * those that await their PROXY header. For processes that share a listener, since a connection must
 * be served by one process only. Call it in a child of fork, on the thread that forked, before
 * berth_loop_after_fork.
 *
 * The connections remain the parent's, and their peers notice nothing. No handler is called, and
 * the server keeps listening. The closed copies count as `dropped` in the child's statistics.
 *
 * @return false anywhere else, with class OPERATION and text. Nothing is closed then: once the loop
 *         is this process's own, copies cannot be distinguished from other connections.
 */
BERTH_API bool berth_server_drop_copies(berth_server *server);

/** Default of berth_drain.idle, in milliseconds. */
#define BERTH_DEFAULT_DRAIN_IDLE 1000

/** How a server is drained. Times are milliseconds. A zeroed value has no grace and no deadline.
 * Slots may be added at the end. */
typedef struct berth_drain {
    /** How long the server goes on accepting, so that balancers notice that it wants to end: see
     * BERTH_DRAIN_GRACE. */
    uint32_t grace;
    /** Time from the call of berth_server_drain, the grace included, after which connections that
     * are left are reset. 0: no deadline. */
    uint32_t deadline;
    /** How long a connection without the handler `draining` must have received nothing to be
     * disconnected; at most a quarter longer. 0: BERTH_DEFAULT_DRAIN_IDLE. */
    uint32_t idle;
} berth_drain;

/** How far the drain of a server has come. */
typedef enum berth_drain_state {
    BERTH_DRAIN_NONE = 0,     /**< it is not drained */
    BERTH_DRAIN_GRACE = 1,    /**< it still accepts; answer probes of readiness with no */
    BERTH_DRAIN_DRAINING = 2, /**< it no longer listens; connections are left */
    BERTH_DRAIN_EMPTY = 3     /**< no connection is left */
} berth_drain_state;

/**
 * Ends serving without breaking connections: the server stops accepting, its connections end as
 * soon as they can, and `emptied` is called when the last has gone. Nothing happens inside the
 * call; the loop does it, and berth_server_wait_for_new_connection as long as the server listens.
 *
 * 1. GRACE: the server accepts as before for berth_drain.grace. Connections that the kernel has
 *    completed by then are accepted too, even if accepting is paused, as far as limits and the
 *    queue allow within one second. Then the server stops listening, as if it had been closed, but
 *    pending connections can still be taken, and those that await their PROXY header go on.
 * 2. DRAINING: the socket handler `draining` is called for each connection. A connection without it
 *    is disconnected gracefully once it has no unread input, no output, and has received nothing
 *    for berth_drain.idle, counted from the call of this function at the earliest. Those that have
 *    been told, and pending ones, are left to the program.
 * 3. At the deadline each connection that is left is reset, pending ones included: error_occurred
 *    is called with SOCKET_TIMEOUT, then `disconnected`. They count as `closed_drain`.
 * 4. EMPTY: `emptied` is called. The server may listen again; that or berth_server_close sets the
 *    state to NONE.
 *
 * Connections count that were accepted by the server, or passed to
 * berth_server_base_incoming_connection, and that are open on sockets that the server owns; and
 * those in its queue. Descriptors that the handler incoming_connection keeps and detached sockets
 * do not count, and neither do connections that have ended gracefully and linger: berth_loop_free
 * waits for these.
 *
 * A call while the server is being drained can only make times shorter. There a deadline or idle
 * time of 0 changes nothing; a deadline of 1 ends all at once. A call in state EMPTY has no effect.
 *
 * A server that is not listening can be drained too.
 *
 * @param plan  const berth_drain *, copied; NULL for a zeroed one
 * @return false in a child of fork before berth_loop_after_fork: class OPERATION and text are set
 */
#define berth_server_drain(server, plan) \
    berth_server_drain_sized((server), (plan), sizeof(berth_drain))

/** The function behind berth_server_drain. `size` is the size of the struct that the caller was
 * compiled with. */
BERTH_API bool berth_server_drain_sized(berth_server *server, const berth_drain *plan, size_t size);

/** Returns how far the drain of the server has come. */
BERTH_API berth_drain_state berth_server_drain_state(const berth_server *server);

/** Called by berth_server_each_socket for each socket. May do anything a handler may. */
typedef void (*berth_socket_visitor)(berth_socket *socket, void *user);

/**
 * Calls a function for each socket that the server owns and that has been taken, in no particular
 * order, inside the call. Sockets whose connection has ended are among them until they are freed;
 * pending ones are not. Sockets that are made or taken meanwhile may be left out. Those that are
 * freed or detached meanwhile are. Ends when the server is freed.
 *
 * @param visitor  called with each socket and `user`
 */
BERTH_API void berth_server_each_socket(berth_server *server, berth_socket_visitor visitor,
                                        void *user);

/** Returns whether the server is listening. */
BERTH_API bool berth_server_is_listening(const berth_server *server);

/** Returns the port that the server listens on; 0 when it is not listening. */
BERTH_API uint16_t berth_server_port(const berth_server *server);

/** Returns the address that the server listens on, which may be BERTH_ADDRESS_ANY; the null address
 * when it is not listening. */
BERTH_API berth_address berth_server_address(const berth_server *server);

/** Returns the listening descriptor, which the server still owns; -1 when there is none: when the
 * server is not listening, or listens through a proxy. Connections inherit options that are set on
 * it. SO_LINGER must be set before the next connection is accepted. */
BERTH_API int berth_server_descriptor(const berth_server *server);

/**
 * Adopts a listening descriptor that was made elsewhere, for example by systemd or a parent
 * process. On success the server owns it.
 *
 * @return false on failure, with class and text set; the caller still owns the descriptor then.
 *         UNSUPPORTED_OPERATION: not an open, listening stream socket of IPv4, IPv6 or Unix
 *         (local.h). OPERATION: already listening, being drained, or a server or socket of the same
 *         loop uses the descriptor. SOCKET_RESOURCE: out of memory.
 */
BERTH_API bool berth_server_set_descriptor(berth_server *server, int descriptor);

/** Returns whether a connection is pending. Calls the handler has_pending_connections if it is set.
 */
BERTH_API bool berth_server_has_pending_connections(berth_server *server);

/**
 * Takes the oldest pending connection. Calls the handler next_pending_connection if it is set. May
 * be called when the server is not listening. If the connection has already ended, by its peer or
 * by a failure (of TLS, of a send, for want of memory), what came before can still be read, and the
 * loop announces the end to the handlers that are set by then.
 *
 * @return a socket that the server still owns: free it when done, usually in `disconnected`. NULL
 *         if no connection is pending.
 */
BERTH_API berth_socket *berth_server_next_pending_connection(berth_server *server);

/**
 * Appends a socket to the queue, regardless of the queue's limit and without calling
 * new_connection. For use in incoming_connection. Closing or freeing the server frees the socket
 * while it is in the queue. A socket that another server accepted no longer counts as one of that
 * server's live connections.
 *
 * On failure nothing happens, and class OPERATION and a text are set.
 *
 * @param socket  of the same loop, and in no queue; NULL is a failure
 */
BERTH_API void berth_server_add_pending_connection(berth_server *server, berth_socket *socket);

/**
 * The base behaviour of incoming_connection: makes a socket, adopts the descriptor, and appends the
 * socket to the queue. A descriptor other than the one that the handler was called with is checked
 * as berth_socket_set_descriptor does.
 *
 * On failure class and text are set, and the descriptor is closed unless a socket or server of the
 * same loop uses it.
 */
BERTH_API void berth_server_base_incoming_connection(berth_server *server, int descriptor);

/** The base behaviour of has_pending_connections: returns whether the queue is not empty. */
BERTH_API bool berth_server_base_has_pending_connections(const berth_server *server);

/** The base behaviour of next_pending_connection: takes the oldest socket from the queue. */
BERTH_API berth_socket *berth_server_base_next_pending_connection(berth_server *server);

/** Returns the maximum number of pending connections. Default:
 * BERTH_DEFAULT_MAX_PENDING_CONNECTIONS. */
BERTH_API int berth_server_max_pending_connections(const berth_server *server);

/**
 * Sets the maximum number of pending connections, with immediate effect. Connections that are
 * pending already are kept. Connections that await their PROXY header count as pending.
 *
 * @param limit  at this number accepting stops (queue full); 0 or less accepts nothing
 */
BERTH_API void berth_server_set_max_pending_connections(berth_server *server, int limit);

/** Returns the maximum number of unread bytes of one pending connection; 0 for no limit. Default:
 * BERTH_DEFAULT_PENDING_READ_LIMIT. */
BERTH_API size_t berth_server_pending_read_limit(const berth_server *server);

/**
 * Sets the maximum number of unread bytes of each pending connection, those that are pending now
 * included. A peer that sends more has to wait until its connection is taken. While a connection is
 * pending, the smaller of this limit and its berth_socket_set_read_buffer_size applies; after it is
 * taken, only the latter. Bytes that have been received already are kept.
 *
 * @param bytes  0 for no limit: a server that takes connections late then keeps all that their
 *               peers send
 */
BERTH_API void berth_server_set_pending_read_limit(berth_server *server, size_t bytes);

/** Returns the size of the kernel's backlog, in connections that have not been accepted. Default:
 * BERTH_DEFAULT_LISTEN_BACKLOG_SIZE. */
BERTH_API int berth_server_listen_backlog_size(const berth_server *server);

/** Sets the size of the backlog for the next berth_server_listen. The kernel reduces it to its own
 * limit (net.core.somaxconn). */
BERTH_API void berth_server_set_listen_backlog_size(berth_server *server, int size);

/** Returns whether other servers may listen on the same address and port. Default: false. */
BERTH_API bool berth_server_reuse_port(const berth_server *server);

/** Sets whether other servers may listen on the same address and port (SO_REUSEPORT), for the next
 * berth_server_listen. It must be set for every server of that address and port, and all must run
 * as the same user. The kernel distributes the connections among them; those in the backlog of a
 * server that closes are lost. */
BERTH_API void berth_server_set_reuse_port(berth_server *server, bool reuse);

/** Stops accepting at once, even in the middle of a burst; connections wait in the backlog. Calls
 * are not counted: one berth_server_resume_accepting ends the pause, and nothing else does. May be
 * called when the server is not listening. Blocking waits accept regardless. */
BERTH_API void berth_server_pause_accepting(berth_server *server);

/** Ends a pause by the user and a pause by an error; retries at once if accepting has stopped for
 * want of resources. Accepting continues in the loop, not inside the call. */
BERTH_API void berth_server_resume_accepting(berth_server *server);

/**
 * Takes connections from the kernel's backlog and closes them, without a socket, a handler or an
 * allocation. For a server that is full or paused and rejects peers instead of letting them wait.
 *
 * @param count  maximum number; SIZE_MAX for all
 * @param mode   how they are closed
 * @return the number of connections closed. 0 when the server is not listening, when the backlog is
 *         empty, and when no descriptor is left (see berth_accept_limits.shed).
 */
BERTH_API size_t berth_server_reject(berth_server *server, size_t count, berth_reject_mode mode);

/**
 * Sets the limits on accepting, with immediate effect. Connections that are open are not affected.
 * May be called when the server is not listening; the limits are kept. They apply in blocking waits
 * too.
 *
 * @param limits  const berth_accept_limits *, copied; NULL for none. Prefixes that are too long
 *                count as the longest.
 */
#define berth_server_set_accept_limits(server, limits) \
    berth_server_set_accept_limits_sized((server), (limits), sizeof(berth_accept_limits))

/** The function behind berth_server_set_accept_limits. `size` is the size of the struct that the
 * caller was compiled with. */
BERTH_API void berth_server_set_accept_limits_sized(berth_server *server,
                                                    const berth_accept_limits *limits, size_t size);

/**
 * Gets the limits on accepting, as they were set. Default: all zero, which is no limit.
 *
 * @param ret_limits  berth_accept_limits *
 */
#define berth_server_accept_limits(server, ret_limits) \
    berth_server_accept_limits_sized((server), (ret_limits), sizeof(berth_accept_limits))

/** The function behind berth_server_accept_limits. Writes `size` bytes. */
BERTH_API void berth_server_accept_limits_sized(const berth_server *server,
                                                berth_accept_limits *ret_limits, size_t size);

/**
 * Sets the limits of the connections that are accepted from now on, as berth_socket_set_limits
 * does. The limits apply in the queue too: a pending connection that reaches one is closed, leaves
 * the queue, and is freed.
 *
 * @param limits  const berth_connection_limits *, copied; NULL for none
 */
#define berth_server_set_connection_limits(server, limits) \
    berth_server_set_connection_limits_sized((server), (limits), sizeof(berth_connection_limits))

/** The function behind berth_server_set_connection_limits. `size` is the size of the struct that
 * the caller was compiled with. */
BERTH_API void berth_server_set_connection_limits_sized(berth_server *server,
                                                        const berth_connection_limits *limits,
                                                        size_t size);

/**
 * Gets the limits that the server sets for its connections, as they were set. Default: all zero,
 * which is no limit.
 *
 * @param ret_limits  berth_connection_limits *
 */
#define berth_server_connection_limits(server, ret_limits) \
    berth_server_connection_limits_sized((server), (ret_limits), sizeof(berth_connection_limits))

/** The function behind berth_server_connection_limits. Writes `size` bytes. */
BERTH_API void berth_server_connection_limits_sized(const berth_server *server,
                                                    berth_connection_limits *ret_limits,
                                                    size_t size);

/**
 * Gets the counts of the server: see statistics.h.
 *
 * @param ret_counts  berth_server_counts *
 */
#define berth_server_statistics(server, ret_counts) \
    berth_server_statistics_sized((server), (ret_counts), sizeof(berth_server_counts))

/** The function behind berth_server_statistics. Writes `size` bytes. */
BERTH_API void berth_server_statistics_sized(const berth_server *server,
                                             berth_server_counts *ret_counts, size_t size);

/**
 * Waits for a connection when no loop is being run. Accepts what has come, and calls the handlers
 * inside the call. Serves only this server. Accepts even when accepting is paused.
 *
 * Connections that are pending already do not end the wait: take them first. If the queue is full,
 * the call returns true at once, and does nothing: no limit of a connection runs in it either. A
 * result of true does not guarantee a pending connection: the queue may have been full,
 * accept_error may have been called, a handler may have closed the server, or the grace of a drain
 * has ended.
 *
 * @param milliseconds   0 polls; a negative value waits without limit
 * @param ret_timed_out  always set unless NULL: whether the time expired
 * @return true if a connection or an error came. False if the server is not listening (the error is
 *         unchanged), and on time-out (class SOCKET_TIMEOUT).
 */
BERTH_API bool berth_server_wait_for_new_connection(berth_server *server, int milliseconds,
                                                    bool *ret_timed_out);

/** Returns the class of the last error; NONE if there was none. Success does not clear it. Of NULL,
 * for a server that could not be made, the class of errno. */
BERTH_API berth_error berth_server_error(const berth_server *server);

/** Returns the text of the last error: what was tried, on what, and why it failed; "" if there was
 * none. Valid until the next error of this server. Of NULL, for a server that could not be made, it
 * says what errno means; so one statement reports whatever has failed. */
BERTH_API const char *berth_server_error_string(const berth_server *server);

/**
 * Sets the proxy for the next berth_server_listen. A server that is listening is not affected.
 *
 * @param proxy  copied; NULL sets the default proxy
 * @return false on failure, with class and text set; the proxy is unchanged then.
 *         UNSUPPORTED_OPERATION: a text is too long, or the type is not a berth_proxy_type.
 *         SOCKET_RESOURCE: out of memory.
 */
BERTH_API bool berth_server_set_proxy(berth_server *server, const berth_proxy *proxy);

/** Returns the proxy as it was set. Its strings are valid until the next berth_server_set_proxy.
 * Default: type DEFAULT. */
BERTH_API berth_proxy berth_server_proxy(const berth_server *server);

/** Default of the time in which a PROXY header must arrive, in milliseconds. */
#define BERTH_DEFAULT_PROXY_HEADER_TIMEOUT 5000

/** Maximum size of a PROXY header of version 2 with its values, in bytes. A header of version 1 has
 * at most 107 bytes. Longer headers are invalid. */
#define BERTH_MOST_PROXY_HEADER 4096

/**
 * Sets which peers begin their connections with a PROXY header (HAProxy's PROXY protocol, versions
 * 1 and 2). These are balancers; a header from anybody else must not be trusted.
 *
 * The header of a connection from one of these peers is read first. Then the connection is handed
 * over like any other. For its socket:
 *
 * - berth_socket_peer_address returns the client's address,
 * - berth_socket_local_address returns what the client was connected to,
 * - berth_socket_transport_peer_address returns the balancer's address,
 * - berth_socket_proxy_header_value returns the values of the header.
 *
 * A header without addresses, such as that of a health check, changes no addresses. A connection
 * without a valid header in time is closed; only berth_server_error reports that. Connections of
 * other peers are not examined.
 *
 * Only sockets that berth_server_base_incoming_connection makes have these addresses and values. A
 * connection that awaits its header counts as pending and takes BERTH_MOST_PROXY_HEADER bytes of
 * memory. The setting applies to connections that are accepted from now on; a shorter time also
 * applies to those that await their header.
 *
 * @param trusted       the balancers, copied; may be NULL if `count` is 0
 * @param count         number of subnets; 0 for none, which is the default
 * @param milliseconds  time for the header to arrive; 0 for BERTH_DEFAULT_PROXY_HEADER_TIMEOUT
 * @return false when out of memory: class SOCKET_RESOURCE, nothing changes
 */
BERTH_API bool berth_server_set_proxy_protocol(berth_server *server, const berth_subnet *trusted,
                                               size_t count, uint32_t milliseconds);

BERTH_END_DECLARATIONS

#endif
