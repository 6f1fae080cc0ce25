/*
 * A TCP server: listens, accepts, and keeps accepted connections in a bounded queue until the
 * program takes them.
 *
 * The course of a connection: the kernel completes it; the loop (or a blocking wait) accepts it, if
 * accepting is not paused and fewer than max_pending_connections wait in the queue;
 * incoming_connection is called with the descriptor, whose base behaviour makes a socket and puts
 * it into the queue; new_connection is called; the program takes the socket with
 * berth_server_next_pending_connection. Peers that are not accepted wait in the kernel's backlog.
 *
 * Accepting stops for three separate reasons and goes on when none holds: the user paused it; the
 * queue is full; the process is out of descriptors or memory. The last raises accept_error once, is
 * retried after 5 ms doubling to 1 s, and ends at once when the library closes a descriptor. Where
 * accepting is forbidden (a sandbox, a firewall), and each try fails though somebody is waiting, it
 * is reported and retried likewise.
 *
 * Another process that holds a copy of the listening socket can shut it down. Nobody can connect to
 * it any more, so accept_error is called once (class UNSUPPORTED_OPERATION), and the server does
 * not listen any more; it may listen again in the handler. A server that does not accept at the
 * time, paused or full, may notice when accepting goes on.
 *
 * Beyond that a server bears whatever comes, unless it is told otherwise: see limits.h for how many
 * connections and of whom, and for how long; and statistics.h for what became of them.
 *
 * A server owns the sockets it made, taken or not: freeing it frees them; berth_socket_detach takes
 * one out. All functions are for the thread of the server's loop; every one may be called in every
 * state and inside every handler, berth_server_free included.
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

/**
 * What a server calls. Every slot may be NULL: for the first two that means silence, for the others
 * the base behaviour. The struct must live as long as the server: make it static const. Slots may
 * be added at the end.
 */
typedef struct berth_server_handlers {
    /** A connection was accepted; called once for each, after incoming_connection, whatever that
     * did with it: berth_server_next_pending_connection may still give NULL. */
    void (*new_connection)(berth_server *server, void *user);

    /** Accepting has failed and has stopped; berth_server_error_string has the text. */
    void (*accept_error)(berth_server *server, berth_error error, void *user);

    /** Takes an accepted descriptor: close-on-exec, blocking, owned by the handler, which serves it
     * on another thread, adopts it, or closes it. NULL: berth_server_base_incoming_connection. */
    void (*incoming_connection)(berth_server *server, int descriptor, void *user);

    /** Answers berth_server_has_pending_connections. NULL:
     * berth_server_base_has_pending_connections. */
    bool (*has_pending_connections)(berth_server *server, void *user);

    /** Answers berth_server_next_pending_connection. NULL:
     * berth_server_base_next_pending_connection. */
    berth_socket *(*next_pending_connection)(berth_server *server, void *user);
} berth_server_handlers;

/** Default of berth_server_max_pending_connections. */
#define BERTH_DEFAULT_MAX_PENDING_CONNECTIONS 30

/** Default of berth_server_listen_backlog_size. */
#define BERTH_DEFAULT_LISTEN_BACKLOG_SIZE 50

/** Default of berth_server_pending_read_limit, in bytes. */
#define BERTH_DEFAULT_PENDING_READ_LIMIT 65536

/**
 * Makes a server that does not listen.
 *
 * @param loop      the loop it belongs to; NULL for this thread's own
 * @param handlers  const berth_server_handlers *, or NULL for none
 * @param user      passed to the handlers
 * @return the server, to be freed with berth_server_free (freeing the loop frees it too); NULL when
 *         out of memory or when this thread's own loop cannot be made, with errno set
 */
#define berth_server_new(loop, handlers, user) \
    berth_server_new_sized((loop), (handlers), sizeof(berth_server_handlers), (user))

/** What berth_server_new calls; `size` is the size of the handlers struct the caller was compiled
 * with. */
BERTH_API berth_server *berth_server_new_sized(berth_loop *loop,
                                               const berth_server_handlers *handlers, size_t size,
                                               void *user);

/** Closes the server as berth_server_close does, frees every socket it owns as berth_socket_free
 * does, and frees it. Legal inside any handler; NULL is ignored. */
BERTH_API void berth_server_free(berth_server *server);

/** The user pointer given with the handlers. */
BERTH_API void *berth_server_user(const berth_server *server);

/** The loop it belongs to. Any thread, as long as the object exists. */
BERTH_API berth_loop *berth_server_loop(const berth_server *server);

/**
 * Begins to listen. The descriptor is close-on-exec with address reuse. Nothing is accepted inside
 * the call.
 *
 * Through a SOCKS5 proxy (berth/proxy.h tells when one is used) the call waits up to 5000 ms for
 * the proxy. Then berth_server_address and berth_server_port are what the proxy says that it
 * listens on, and there is no descriptor. One BIND of a proxy takes one connection, so each
 * connection is followed by a BIND for the same port; peers that come in between are refused by the
 * proxy. Where the proxy does not give the port again, or ends or refuses a BIND, accept_error is
 * called once and the server does not listen any more; it may listen again in the handler.
 * berth_socket_peer_address of a connection is the peer's as the proxy tells it.
 *
 * @param address  BERTH_ADDRESS_ANY for both families, or one of this host's addresses; IPv6
 *                 addresses other than ANY take IPv6 peers only. A null address is refused.
 * @param port     0 to have the system choose a free one
 * @return false on failure, with class and text set, and not listening: OPERATION (already
 *         listening; nothing changes), ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE (not an address of
 *         this host), SOCKET_ACCESS (privileged port), SOCKET_RESOURCE (no descriptor or memory
 *         left, or none to tell the port that the system chose), UNSUPPORTED_OPERATION (null
 *         address, family missing, scope unknown or missing, proxy that cannot listen); the proxy's
 *         own failures as for berth_socket_set_proxy
 */
BERTH_API bool berth_server_listen(berth_server *server, berth_address address, uint16_t port);

/**
 * Stops listening, closes the descriptor and frees the pending sockets that were not taken (their
 * peers see the end). Sockets taken are untouched. Allowed at any time. Limits, backlog, proxy,
 * pause and error stay.
 */
BERTH_API void berth_server_close(berth_server *server);

/**
 * In a child of fork, before berth_loop_after_fork: closes the child's copies of all connections
 * that nobody has taken yet, those in the queue and those whose PROXY header is awaited. The server
 * goes on listening. They stay the parent's, whose peers notice nothing; no handler is called. For
 * processes that share a listener: what both would read, neither could serve. They count as
 * `dropped` in the child's statistics. To be called on the thread that has forked.
 *
 * @return false elsewhere, with class OPERATION and text, and nothing is closed: once the loop is
 *         this process's own it cannot know which connections are copies, and closing another would
 *         lose it
 */
BERTH_API bool berth_server_drop_copies(berth_server *server);

/** Whether the server listens. */
BERTH_API bool berth_server_is_listening(const berth_server *server);

/** The port listened on; 0 when not listening. */
BERTH_API uint16_t berth_server_port(const berth_server *server);

/** The address listened on, BERTH_ADDRESS_ANY included; null when not listening. */
BERTH_API berth_address berth_server_address(const berth_server *server);

/** The listening descriptor, which stays the server's; -1 when not listening. Connections inherit
 * options that are set on it; set SO_LINGER before the next connection is accepted. */
BERTH_API int berth_server_descriptor(const berth_server *server);

/**
 * Listens on a descriptor made elsewhere (systemd, a parent process), which the server then owns.
 *
 * @return false with class UNSUPPORTED_OPERATION if it is not an open, listening stream socket of
 *         IPv4 or IPv6; OPERATION if already listening, or if a server or socket of the same loop
 *         has that number; SOCKET_RESOURCE when out of memory. The
 *         descriptor then stays the caller's.
 */
BERTH_API bool berth_server_set_descriptor(berth_server *server, int descriptor);

/** Whether berth_server_next_pending_connection would give a socket; asks the handler slot if there
 * is one. */
BERTH_API bool berth_server_has_pending_connections(berth_server *server);

/**
 * Takes the oldest pending connection; asks the handler slot if there is one. Also possible when
 * not listening. If its peer has gone already, what it sent can be read, and the end is announced
 * in the loop, so that handlers set at once hear of it.
 *
 * @return a socket that the server still owns (free it when done, usually in `disconnected`); NULL
 *         if none is pending
 */
BERTH_API berth_socket *berth_server_next_pending_connection(berth_server *server);

/** Puts a socket of the same loop at the end of the queue, past any limit and without
 * new_connection. For use in incoming_connection. A socket that is in a queue already, one of
 * another loop, or NULL, is left alone, with class OPERATION and text. The queue does not own it
 * beyond close and free of the server, which free it; but another server that has accepted it no
 * longer counts it among its live connections. */
BERTH_API void berth_server_add_pending_connection(berth_server *server, berth_socket *socket);

/** The base behaviour of incoming_connection: makes a socket, adopts the descriptor, puts the
 * socket into the queue. A descriptor that is not the one at hand in that handler is checked as
 * berth_socket_set_descriptor does. On failure the descriptor is closed, unless a socket or server
 * of the same loop has it, and class and text are set. */
BERTH_API void berth_server_base_incoming_connection(berth_server *server, int descriptor);

/** The base behaviour of has_pending_connections: whether the queue is not empty. */
BERTH_API bool berth_server_base_has_pending_connections(const berth_server *server);

/** The base behaviour of next_pending_connection: takes the oldest of the queue. */
BERTH_API berth_socket *berth_server_base_next_pending_connection(berth_server *server);

/** Most connections that wait in the queue before accepting stops;
 * BERTH_DEFAULT_MAX_PENDING_CONNECTIONS at first. */
BERTH_API int berth_server_max_pending_connections(const berth_server *server);

/** Sets that limit, effective at once; nothing pending is dropped. 0 or less: nothing is accepted.
 */
BERTH_API void berth_server_set_max_pending_connections(berth_server *server, int limit);

/** Most unread bytes kept of a connection while it is pending;
 * BERTH_DEFAULT_PENDING_READ_LIMIT at first, 0 for no limit. */
BERTH_API size_t berth_server_pending_read_limit(const berth_server *server);

/**
 * Sets that limit, for what is pending too. A peer that sends more has to wait until its connection
 * is taken; from then on berth_socket_set_read_buffer_size holds, and a smaller one of those holds
 * before. Bytes already received are kept.
 *
 * @param bytes  0 for no limit: a server that is slow to take then keeps whatever its peers send
 */
BERTH_API void berth_server_set_pending_read_limit(berth_server *server, size_t bytes);

/** Connections the kernel keeps for the server before they are accepted;
 * BERTH_DEFAULT_LISTEN_BACKLOG_SIZE at first. */
BERTH_API int berth_server_listen_backlog_size(const berth_server *server);

/** Sets that size for the next berth_server_listen; the kernel cuts it to its own limit. */
BERTH_API void berth_server_set_listen_backlog_size(berth_server *server, int size);

/** Whether other servers may listen on the same address and port; false at first. */
BERTH_API bool berth_server_reuse_port(const berth_server *server);

/** Sets that (SO_REUSEPORT) for the next berth_server_listen. Every server of an address and port
 * has to have it set, and to run as the same user; the kernel shares out the connections among
 * them, and those in the backlog of one that closes are lost. */
BERTH_API void berth_server_set_reuse_port(berth_server *server, bool reuse);

/** Stops accepting at once, even within a burst; peers wait in the backlog. A switch, not a count.
 * Allowed at any time, remembered until berth_server_resume_accepting. Blocking waits accept all
 * the same. */
BERTH_API void berth_server_pause_accepting(berth_server *server);

/** Ends a pause by the user or by an error that does not end by itself. Accepting goes on from the
 * loop, not inside the call. */
BERTH_API void berth_server_resume_accepting(berth_server *server);

/**
 * Takes connections out of the kernel's backlog and closes them, without a socket, a handler or an
 * allocation. For a server that is full, or pauses, and would rather turn peers away than have them
 * wait. Allowed at any time.
 *
 * @param count  at most; SIZE_MAX for all
 * @return how many were closed; 0 when not listening, when nobody waits, or out of descriptors (but
 *         see berth_accept_limits.shed)
 */
BERTH_API size_t berth_server_reject(berth_server *server, size_t count, berth_reject_mode mode);

/**
 * Limits what is accepted, from now on; connections that stand are not touched. Also when not
 * listening; the limits stay. Blocking waits keep them too.
 *
 * @param limits  const berth_accept_limits *, copied; NULL for none. Prefixes that are too long
 *                count as the longest.
 */
#define berth_server_set_accept_limits(server, limits) \
    berth_server_set_accept_limits_sized((server), (limits), sizeof(berth_accept_limits))

/** What berth_server_set_accept_limits calls; `size` is the size of the limits the caller was
 * compiled with. */
BERTH_API void berth_server_set_accept_limits_sized(berth_server *server,
                                                    const berth_accept_limits *limits, size_t size);

/** The limits as they were set; all zero at first. @param ret_limits  berth_accept_limits * */
#define berth_server_accept_limits(server, ret_limits) \
    berth_server_accept_limits_sized((server), (ret_limits), sizeof(berth_accept_limits))

/** What berth_server_accept_limits calls; writes `size` bytes. */
BERTH_API void berth_server_accept_limits_sized(const berth_server *server,
                                                berth_accept_limits *ret_limits, size_t size);

/**
 * Limits the connections that are accepted from now on, as berth_socket_set_limits does. The limits
 * hold in the queue too: a connection that they end there leaves it, and is freed as by
 * berth_server_close.
 *
 * @param limits  const berth_connection_limits *, copied; NULL for none
 */
#define berth_server_set_connection_limits(server, limits) \
    berth_server_set_connection_limits_sized((server), (limits), sizeof(berth_connection_limits))

/** What berth_server_set_connection_limits calls. */
BERTH_API void berth_server_set_connection_limits_sized(berth_server *server,
                                                        const berth_connection_limits *limits,
                                                        size_t size);

/** The limits as they were set; all zero at first. @param ret_limits  berth_connection_limits * */
#define berth_server_connection_limits(server, ret_limits) \
    berth_server_connection_limits_sized((server), (ret_limits), sizeof(berth_connection_limits))

/** What berth_server_connection_limits calls; writes `size` bytes. */
BERTH_API void berth_server_connection_limits_sized(const berth_server *server,
                                                    berth_connection_limits *ret_limits,
                                                    size_t size);

/** What the server has done so far, see statistics.h. @param ret_counts  berth_server_counts * */
#define berth_server_statistics(server, ret_counts) \
    berth_server_statistics_sized((server), (ret_counts), sizeof(berth_server_counts))

/** What berth_server_statistics calls; writes `size` bytes. */
BERTH_API void berth_server_statistics_sized(const berth_server *server,
                                             berth_server_counts *ret_counts, size_t size);

/**
 * Waits for a connection without a loop being run: accepts what is there, with its handlers called
 * inside the call. Serves only this server.
 *
 * Connections already pending do not end the wait: take them first. True does not promise a pending
 * connection: the queue may be full, or accept_error was called, or a handler closed the server.
 *
 * @param milliseconds   0 polls, negative waits without limit
 * @param ret_timed_out  always set if not NULL: whether the time passed
 * @return whether something arrived; false if not listening (error unchanged), and on time-out:
 *         class SOCKET_TIMEOUT
 */
BERTH_API bool berth_server_wait_for_new_connection(berth_server *server, int milliseconds,
                                                    bool *ret_timed_out);

/** Class of the last failure; no success clears it. NONE if there was none. */
BERTH_API berth_error berth_server_error(const berth_server *server);

/** Text of the last failure: what was tried, on what, and why it failed; "" if there was none.
 * Valid until the next failure of this server. */
BERTH_API const char *berth_server_error_string(const berth_server *server);

/**
 * Sets the proxy for the next berth_server_listen; the running one is not touched.
 *
 * @param proxy  copied; NULL sets the default proxy
 * @return false when out of memory: class SOCKET_RESOURCE, the proxy stays as it was
 */
BERTH_API bool berth_server_set_proxy(berth_server *server, const berth_proxy *proxy);

/** The proxy as set, with strings that are valid until the next berth_server_set_proxy; type
 * DEFAULT at first. */
BERTH_API berth_proxy berth_server_proxy(const berth_server *server);

/** Default of the time that a PROXY header has to come in, in milliseconds. */
#define BERTH_DEFAULT_PROXY_HEADER_TIMEOUT 5000

/** Most bytes of a PROXY header of version 2, its values included; a line of version 1 has at most
 * 107. A longer one is no valid header. */
#define BERTH_MOST_PROXY_HEADER 4096

/**
 * Sets whose connections begin with a PROXY header (HAProxy's protocol, versions 1 and 2): those of
 * balancers, of which nobody else must be believed. Of a connection from one of these the header is
 * read first; then it is handed over like any other, and its socket has the client's address as
 * berth_socket_peer_address, what the client was connected to as berth_socket_local_address, the
 * balancer as berth_socket_transport_peer_address, and the values of the header
 * (berth_socket_proxy_header_value). A header without addresses, such as that of a health check,
 * leaves the names as they are. Without a valid header in time the connection is closed, and only
 * berth_server_error says so. Connections of others are not looked at.
 *
 * Names and values are given to sockets that berth_server_base_incoming_connection makes.
 * Connections whose header is missing count as pending ones, and each of them takes memory for the
 * longest header, BERTH_MOST_PROXY_HEADER bytes. Counts for connections accepted from
 * now on.
 *
 * @param trusted       copied; may be NULL if `count` is 0
 * @param count         0: nobody, as at first
 * @param milliseconds  for the header to come; 0: BERTH_DEFAULT_PROXY_HEADER_TIMEOUT
 * @return false when out of memory: class SOCKET_RESOURCE, all stays as it was
 */
BERTH_API bool berth_server_set_proxy_protocol(berth_server *server, const berth_subnet *trusted,
                                               size_t count, uint32_t milliseconds);

BERTH_END_DECLARATIONS

#endif
