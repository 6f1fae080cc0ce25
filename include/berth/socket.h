/*
 * One TCP stream.
 *
 * A socket comes from a server (berth_server_next_pending_connection), adopts a connected
 * descriptor (berth_socket_set_descriptor), or connects (berth_socket_connect_to_address). Reading
 * and writing go through buffers: the functions here take bytes from the input and append bytes to
 * the output without waiting, and the loop receives and sends. Without a running loop the wait
 * functions receive and send.
 *
 *      UNCONNECTED --connect--> HOST_LOOKUP --> CONNECTING --> CONNECTED --> CLOSING
 *        |   |  ^                    ^  |            |           ^   |          |
 *        | bind |                    |  |            |           |   |          |
 *        |   v  |                    |  |            |           |   |          |
 *        | BOUND ------connect-------+  |            |           |   |          |
 *        |      ^                       |            |           |   |          |
 *        |      +------ failure, abort -+------------+           |   |          |
 *        |      +------ abort --------------------------------------+ output sent, abort, limit
 *        +------------- adoption of a descriptor ----------------+
 *
 * CLOSING lasts until all output is sent, or until there is no progress for
 * berth_socket_close_timeout. When only one direction has ended (half-close), the state does not
 * change: see berth_socket_shutdown_send and berth_socket_set_half_close. However an established
 * connection ends, `disconnected` is called exactly once, and last. Afterwards the socket can be
 * used for another connection. Input that was received can still be read.
 *
 * A server owns the sockets of its connections until they are freed or detached: freeing the server
 * frees them.
 *
 * Unless it says otherwise, a function must be called on the thread of the socket's loop. Each may
 * be called in every state and inside every handler, berth_socket_free included.
 */
#ifndef BERTH_SOCKET_H
#define BERTH_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/address.h>
#include <berth/error.h>
#include <berth/export.h>
#include <berth/limits.h>
#include <berth/loop.h>
#include <berth/proxy.h>
#include <berth/rate.h>

BERTH_BEGIN_DECLARATIONS

/** Default of berth_socket_connect_timeout, in milliseconds. */
#define BERTH_DEFAULT_CONNECT_TIMEOUT 30000

/** Default of berth_socket_close_timeout, in milliseconds. */
#define BERTH_DEFAULT_CLOSE_TIMEOUT 60000

/** Socket options. Values outside of the range given here are refused. */
typedef enum berth_socket_option {
    /** TCP_NODELAY, 0 or 1: small writes are sent without delay. */
    BERTH_OPTION_LOW_DELAY = 0,
    /** SO_KEEPALIVE, 0 or 1: the kernel probes the peer of an idle connection, and ends the
     * connection if it does not answer. */
    BERTH_OPTION_KEEP_ALIVE = 1,
    /** TCP_KEEPIDLE, 1 to 32767 seconds: idle time before the first probe. */
    BERTH_OPTION_KEEP_ALIVE_IDLE = 2,
    /** TCP_KEEPINTVL, 1 to 32767 seconds: time between probes. */
    BERTH_OPTION_KEEP_ALIVE_INTERVAL = 3,
    /** TCP_KEEPCNT, 1 to 127: number of unanswered probes that end the connection. */
    BERTH_OPTION_KEEP_ALIVE_COUNT = 4,
    /** 0 to 255: type of service of IPv4, traffic class of IPv6. The kernel controls the two lowest
     * bits. */
    BERTH_OPTION_TYPE_OF_SERVICE = 5,
    /** SO_SNDBUF, bytes: size of the kernel's send buffer. The kernel doubles the value. */
    BERTH_OPTION_SEND_BUFFER_SIZE = 6,
    /** SO_RCVBUF, bytes: size of the kernel's receive buffer. The kernel doubles the value. */
    BERTH_OPTION_RECEIVE_BUFFER_SIZE = 7,
    /** SO_LINGER, -1 to 32767: 0 makes every end a reset; -1 switches the option off. Seconds are
     * kept for code that gets the descriptor. The library never waits in the kernel for them, since
     * that would block the loop. */
    BERTH_OPTION_LINGER = 8,
    /** TCP_USER_TIMEOUT, milliseconds: how long sent bytes or keep-alive probes may remain
     * unacknowledged before the kernel ends the connection; 0 for the system's own limits. */
    BERTH_OPTION_USER_TIMEOUT = 9
} berth_socket_option;

/** A TCP socket. Opaque. */
typedef struct berth_socket berth_socket;

/** State of a socket: see the diagram above. The numbers are those of Qt; LISTENING is not used. */
typedef enum berth_state {
    BERTH_STATE_UNCONNECTED = 0,
    BERTH_STATE_HOST_LOOKUP = 1,
    BERTH_STATE_CONNECTING = 2,
    BERTH_STATE_CONNECTED = 3,
    BERTH_STATE_BOUND = 4,
    BERTH_STATE_LISTENING = 5,
    BERTH_STATE_CLOSING = 6
} berth_state;

struct berth_tls_problem;

/**
 * Handlers of a socket, called on the thread of its loop. Every slot may be NULL. The struct is not
 * copied and must live as long as the socket uses it: make it static const. Slots may be added at
 * the end.
 */
typedef struct berth_socket_handlers {
    /** New bytes can be read. Bytes that the handler does not read are kept, and are not announced
     * again. Not called recursively. */
    void (*ready_read)(berth_socket *socket, void *user);

    /** The kernel has accepted `bytes` bytes of the output, at least 1. Comes before the ready_read
     * of what the peer has answered to them, but for bytes that were sent inside bytes_written, and
     * for the first of those that were encrypted together, while the kernel has no room for the
     * last. Not called recursively: what a turn or a wait inside it sends is not announced. */
    void (*bytes_written)(berth_socket *socket, size_t bytes, void *user);

    /** A connection that this side began is established. */
    void (*connected)(berth_socket *socket, void *user);

    /** The connection has ended. No other handler is called for it. The usual place for
     * berth_socket_free. */
    void (*disconnected)(berth_socket *socket, void *user);

    /** An error occurred; berth_socket_error_string returns the text. When the peer ends the
     * connection the class is REMOTE_HOST_CLOSED: that is how a connection normally ends. */
    void (*error_occurred)(berth_socket *socket, berth_error error, void *user);

    /** The state has changed to `state`. */
    void (*state_changed)(berth_socket *socket, berth_state state, void *user);

    /** No more input will come: the connection has ended, also by a reset, or the peer has ended
     * its direction (see berth_socket_set_half_close). What was not read yet can still be read, in
     * here and later: all has been when berth_socket_peek returns -1. */
    void (*read_channel_finished)(berth_socket *socket, void *user);

    /** The name was resolved, or an address was given: connecting begins. */
    void (*host_found)(berth_socket *socket, void *user);

    /** The output was above the low mark, and has fallen to it: see
     * berth_socket_set_write_marks. */
    void (*drained)(berth_socket *socket, void *user);

    /** The server of this connection is drained and no longer accepts: see berth_server_drain. End
     * the connection as soon as the protocol allows, for example after the present request, or with
     * a farewell and berth_socket_disconnect_from_host. Called once for each connection that is
     * CONNECTED then or is taken later, by the loop. NULL: the server disconnects the connection
     * when it is idle. */
    void (*draining)(berth_socket *socket, void *user);

    /** The TLS handshake is complete: from here on the connection is encrypted. Not called for
     * connections that a server has encrypted: these come into its queue when they are. */
    void (*encrypted)(berth_socket *socket, void *user);

    /** There is a problem with a certificate of the peer; called for each. True ignores it. NULL:
     * none is ignored, and the handshake fails. The handshake stands still until it returns: a wait
     * for it in here does not end before its time-out. */
    bool (*verify_peer)(berth_socket *socket, const struct berth_tls_problem *problem, void *user);
} berth_socket_handlers;

/**
 * Makes an unconnected socket.
 *
 * @param loop      the loop that it belongs to; NULL for the calling thread's own
 * @param handlers  const berth_socket_handlers *, not copied; NULL for none
 * @param user      passed to the handlers
 * @return the socket. Free it with berth_socket_free; freeing the loop frees it too. NULL with
 *         errno set when out of memory or when the thread's own loop cannot be made.
 */
#define berth_socket_new(loop, handlers, user) \
    berth_socket_new_sized((loop), (handlers), sizeof(berth_socket_handlers), (user))

/** The function behind berth_socket_new. `size` is the size of the handlers struct that the caller
 * was compiled with. */
BERTH_API berth_socket *berth_socket_new_sized(berth_loop *loop,
                                               const berth_socket_handlers *handlers, size_t size,
                                               void *user);

/**
 * Ends the connection as berth_socket_abort does, which calls handlers, and frees the socket. No
 * handler is called for it after this function has returned. A pending socket is removed from its
 * server's queue. Allowed inside any handler. NULL is ignored.
 */
BERTH_API void berth_socket_free(berth_socket *socket);

/**
 * berth_socket_free as a handler, for sockets that are not needed after their connection has ended:
 * `.disconnected = berth_socket_free_in_handler`.
 *
 * @param user  ignored
 */
BERTH_API void berth_socket_free_in_handler(berth_socket *socket, void *user);

/**
 * Sets the handlers. May be called at any time. Events that happened before are not announced
 * again: check berth_socket_bytes_available and berth_socket_state.
 *
 * @param handlers  const berth_socket_handlers *, not copied; NULL for none
 * @param user      passed to the handlers
 */
#define berth_socket_set_handlers(socket, handlers, user) \
    berth_socket_set_handlers_sized((socket), (handlers), sizeof(berth_socket_handlers), (user))

/** The function behind berth_socket_set_handlers. `size` is the size of the handlers struct that
 * the caller was compiled with. */
BERTH_API void berth_socket_set_handlers_sized(berth_socket *socket,
                                               const berth_socket_handlers *handlers, size_t size,
                                               void *user);

/** Returns the user pointer that was given with the handlers. */
BERTH_API void *berth_socket_user(const berth_socket *socket);

/** Returns the loop that the socket belongs to. May be called on any thread while the socket
 * exists.
 */
BERTH_API berth_loop *berth_socket_loop(const berth_socket *socket);

/** Removes the socket from its server's ownership: freeing the server no longer frees it. The loop
 * owns it then. */
BERTH_API void berth_socket_detach(berth_socket *socket);

/**
 * Adopts a connected stream descriptor. On success the socket owns it and the state is CONNECTED.
 * state_changed is called inside the call if the state changes; `connected` is not called. A former
 * connection of the socket is dropped with its buffers, without handlers.
 *
 * @return false on failure, with class and text set; the caller still owns the descriptor and the
 *         socket is unchanged. UNSUPPORTED_OPERATION: not an open, connected stream socket of IPv4,
 *         IPv6 or Unix (local.h). OPERATION: a socket or server of the same loop, possibly this
 *         one, uses the descriptor. SOCKET_RESOURCE: out of memory. Also false if state_changed
 *         frees the socket; then the descriptor was adopted and is closed with the socket.
 */
BERTH_API bool berth_socket_set_descriptor(berth_socket *socket, int descriptor);

/**
 * Returns the descriptor of the connection, for example to set options; -1 without a connection.
 * The socket still owns it. Whether it is blocking is unspecified.
 */
BERTH_API int berth_socket_descriptor(const berth_socket *socket);

/**
 * Gives up the connection and returns its descriptor, which the caller then owns, for use by other
 * code or another process. The descriptor is not closed and the peer notices nothing. For the
 * socket the connection has ended: state_changed (UNCONNECTED), read_channel_finished and
 * `disconnected` are called inside the call. bytes_written is not called any more.
 *
 * No byte is lost. Input that the library has received remains in the socket and can still be read;
 * input that comes later remains in the kernel. Waiting output is passed to the kernel first,
 * followed by the end of berth_socket_shutdown_send. If the kernel does not accept all of it, the
 * call fails: wait for bytes_written and try again.
 *
 * @return the descriptor, blocking and close-on-exec. -1 with class OPERATION and text if the state
 *         is not CONNECTED, if output is left, if the connection is broken or has lost input for
 *         want of memory, or if the socket is pending (take it first); the connection continues.
 */
BERTH_API int berth_socket_release(berth_socket *socket);

/**
 * Starts to connect. Allowed when UNCONNECTED or BOUND. In other states the call fails with class
 * OPERATION, and the present connection continues.
 *
 * The state becomes CONNECTING inside the call. Later either `connected` is called; or, on failure,
 * state_changed (UNCONNECTED) and error_occurred with class CONNECTION_REFUSED, NETWORK,
 * SOCKET_TIMEOUT, SOCKET_ACCESS or ADDRESS_NOT_AVAILABLE. A connection never becomes established
 * inside the call. CONNECTION_REFUSED is also reported when a socket would have connected to
 * itself, which can happen on a port of this host where nobody listens. Class and text are already
 * set in state_changed. If that handler starts the next attempt, error_occurred is not called for
 * the failed one.
 *
 * Inside error_occurred or state_changed of a failed attempt, this function does not fail because
 * of the address: it returns true and the loop reports the failure. So a handler may retry without
 * recursion.
 *
 * @param address  IPv4 or IPv6; a wildcard means this host, BERTH_ADDRESS_ANY by either family
 * @param port     in host order, as all ports
 * @return false if connecting could not be started: class and text are set, and error_occurred was
 *         called, unless the call came from error_occurred itself. The state is UNCONNECTED; after
 *         a call in a wrong state it is unchanged.
 */
BERTH_API bool berth_socket_connect_to_address(berth_socket *socket, berth_address address,
                                               uint16_t port);

/**
 * Starts to connect to a host by name. The name is resolved in the background. Its addresses are
 * tried as RFC 8305 ("Happy Eyeballs") recommends: the families alternate, the next address is
 * tried after 250 ms or as soon as one has failed, and the first connection that is established is
 * used. A numeric address is used as berth_socket_connect_to_address does.
 *
 * @param host  a name or an address; copied. Names beyond ASCII are UTF-8, and are encoded for the
 *              DNS and for proxies (IDNA 2008, as UTS 46 maps them).
 * @param port  in host order
 * @return as berth_socket_connect_to_address. A name that cannot be resolved is reported later:
 *         HOST_NOT_FOUND, or SOCKET_RESOURCE if no descriptor or memory was left to resolve it.
 */
BERTH_API bool berth_socket_connect_to_host(berth_socket *socket, const char *host, uint16_t port);

/**
 * Binds a local address and port before connecting. The state becomes BOUND. Allowed when
 * UNCONNECTED.
 *
 * @param address  of this host, or a wildcard
 * @param port     0 to have the system choose a free port. It is chosen when
 *                 berth_socket_local_port is called, and kept then; otherwise when connecting, and
 *                 then connections to different targets can share a port.
 * @return false on failure, with class and text set: ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE,
 *         SOCKET_ACCESS, UNSUPPORTED_OPERATION, OPERATION (wrong state). error_occurred was called,
 *         unless the call came from error_occurred of another call that could not be started.
 */
BERTH_API bool berth_socket_bind(berth_socket *socket, berth_address address, uint16_t port);

/**
 * Sets the proxy for the next connect. The present connection is not affected. proxy.h describes
 * which proxy is used.
 *
 * Through a proxy a name is not resolved but passed to the proxy: host_found is not called, and the
 * address of the peer is null. The state is CONNECTING already while the name of the proxy is
 * resolved. Credentials are sent when the proxy asks for them. After a connect has failed with
 * PROXY_AUTHENTICATION_REQUIRED, the next one sends those that are set by then with its first
 * request. A bound socket cannot connect through a proxy
 * (UNSUPPORTED_OPERATION). Failures of the proxy itself are reported as PROXY_CONNECTION_REFUSED,
 * PROXY_NOT_FOUND, PROXY_CONNECTION_CLOSED, PROXY_AUTHENTICATION_REQUIRED or PROXY_PROTOCOL. If the
 * proxy does not answer in time the class is SOCKET_TIMEOUT (SOCKS5) or PROXY_CONNECTION_TIMEOUT
 * (HTTP). Failures of the target that the proxy reports have the class that a direct connection
 * would have.
 *
 * @param proxy  copied; NULL sets the default proxy
 * @return false on failure, with class and text set; the proxy is unchanged. UNSUPPORTED_OPERATION:
 *         a text is too long, or the type is not a berth_proxy_type. SOCKET_RESOURCE: out of
 *         memory.
 */
BERTH_API bool berth_socket_set_proxy(berth_socket *socket, const berth_proxy *proxy);

/** Returns the proxy as it was set. Its strings are valid until the next berth_socket_set_proxy.
 * Default, also for the sockets of a server: type DEFAULT. */
BERTH_API berth_proxy berth_socket_proxy(const berth_socket *socket);

/**
 * Sets the PROXY header (HAProxy's PROXY protocol) that is sent at the beginning of the next
 * connections. For a program that forwards connections and passes on the client's address. The
 * header is sent before `connected` is called, through a proxy too. bytes_written does not count
 * it.
 *
 * @param header  copied; NULL for none, which is the default
 * @return false on failure, with class and text set; the header is unchanged.
 *         UNSUPPORTED_OPERATION: the version is neither 1 nor 2. SOCKET_RESOURCE: out of memory.
 */
BERTH_API bool berth_socket_set_proxy_header(berth_socket *socket,
                                             const berth_proxy_header *header);

/**
 * Returns a value (TLV) of the PROXY header that this connection began with: see
 * berth_server_set_proxy_protocol.
 *
 * @param type      for example 0x01 for ALPN, or 0x02 for the host name that the client requested.
 *                  Of several values of a type the first is returned.
 * @param ret_size  size of the value in bytes; 0 if there is none
 * @return the value, valid until the next connection of this socket begins; NULL if there is none
 */
BERTH_API const void *berth_socket_proxy_header_value(const berth_socket *socket, uint8_t type,
                                                      size_t *ret_size);

/** Returns the address of the other end of the descriptor itself: the proxy or balancer, if
 * berth_socket_peer_address is the peer behind it; otherwise the same as that. The null address
 * without a connection. Each call queries the kernel. */
BERTH_API berth_address berth_socket_transport_peer_address(const berth_socket *socket);

/** Returns the port of the other end of the descriptor itself; 0 without a connection. */
BERTH_API uint16_t berth_socket_transport_peer_port(const berth_socket *socket);

/** Returns the time limit for connecting, in milliseconds: name resolution, all addresses and a
 * proxy together. Default: BERTH_DEFAULT_CONNECT_TIMEOUT. */
BERTH_API uint32_t berth_socket_connect_timeout(const berth_socket *socket);

/**
 * Sets the time limit for the next connect. If the program was busy for longer than that, the
 * answer that has come meanwhile counts. An attempt that needs one more after it, of a name server,
 * a proxy or a peer, is over: the limit is for all of it.
 *
 * @param milliseconds  0 for no limit but the kernel's
 */
BERTH_API void berth_socket_set_connect_timeout(berth_socket *socket, uint32_t milliseconds);

/** Returns the name or address that was passed to connect; it is kept after the connection has
 * ended. "" if there is none. Valid until the next connect. */
BERTH_API const char *berth_socket_peer_name(const berth_socket *socket);

/**
 * Sets an option. When CONNECTED or CLOSING it applies to that connection only. In other states it
 * is stored in the socket: it applies to every descriptor that a later bind or connect makes, from
 * the beginning, and to those of an attempt in progress. If the system refuses a stored option, the
 * bind or connect fails with class UNSUPPORTED_OPERATION.
 *
 * @param value  see berth_socket_option
 * @return false on failure, with class and text set. UNSUPPORTED_OPERATION: unknown option, value
 *         out of range, or refused by the system. SOCKET_RESOURCE: out of memory.
 */
BERTH_API bool berth_socket_set_option(berth_socket *socket, berth_socket_option which, int value);

/**
 * Gets the value of an option: that of the descriptor or, without one, the stored value.
 *
 * @param ret_value  set on success only
 * @return false on failure, with class and text set: as berth_socket_set_option, and if there is
 *         neither a descriptor nor a stored value
 */
BERTH_API bool berth_socket_get_option(berth_socket *socket, berth_socket_option which,
                                       int *ret_value);

/** Returns the state. */
BERTH_API berth_state berth_socket_state(const berth_socket *socket);

/** Returns whether the connection is open: CONNECTED or CLOSING. */
BERTH_API bool berth_socket_is_valid(const berth_socket *socket);

/** Returns the class of the last error; NONE if there was none since the last connection began. Of
 * NULL, for a socket that could not be made, the class of errno. */
BERTH_API berth_error berth_socket_error(const berth_socket *socket);

/**
 * Returns the text of the last error: what was tried, on what, and why it failed; "" if there was
 * none. Valid until the next call of this function for a socket of the same loop. Of NULL, for a
 * socket that could not be made, it says what errno means.
 */
BERTH_API const char *berth_socket_error_string(const berth_socket *socket);

/**
 * Returns whether the peer has reset the last connection. If so, bytes that either side sent last
 * may be lost. A relay passes a reset on with berth_socket_reset.
 *
 * @return false if the peer ended the connection gracefully, if this side ended it, and after other
 *         errors. (A graceful end and a reset have the same class, REMOTE_HOST_CLOSED.) The result
 *         becomes true when error_occurred announces the reset, even if a write or a flush has met
 *         it before, and remains so until the next connection begins. If a reset follows the peer's
 *         graceful end while output is still being sent, error_occurred is not called again; the
 *         result is then true in `disconnected`.
 */
BERTH_API bool berth_socket_was_reset(const berth_socket *socket);

/** Returns the address of the peer; the null address without a connection. Also available inside
 * `disconnected`, and after a reset. The kernel is queried at the first call only. */
BERTH_API berth_address berth_socket_peer_address(const berth_socket *socket);

/** Returns the port of the peer; 0 without a connection. */
BERTH_API uint16_t berth_socket_peer_port(const berth_socket *socket);

/** Returns the local address; the null address without a connection, unless the socket is bound. */
BERTH_API berth_address berth_socket_local_address(const berth_socket *socket);

/** Returns the local port; 0 without a connection, unless the socket is bound. */
BERTH_API uint16_t berth_socket_local_port(const berth_socket *socket);

/** Returns the number of bytes that can be read now. */
BERTH_API size_t berth_socket_bytes_available(const berth_socket *socket);

/**
 * Reads up to `size` bytes from the input.
 *
 * @return the number of bytes; 0 if none are available now; -1 if none are available and no more
 *         will come
 */
BERTH_API ptrdiff_t berth_socket_read(berth_socket *socket, void *data, size_t size);

/** As berth_socket_read, but the bytes remain in the input. */
BERTH_API ptrdiff_t berth_socket_peek(const berth_socket *socket, void *data, size_t size);

/** As berth_socket_read, but the bytes are discarded. */
BERTH_API ptrdiff_t berth_socket_skip(berth_socket *socket, size_t size);

/**
 * Returns the input without copying it: its first contiguous bytes, at least one if any is
 * available. Remove them with berth_socket_skip after use.
 *
 * @param ret_size  number of bytes; 0 for none. Must not be NULL.
 * @return the bytes; NULL for none. Valid until the input changes, that is until the next read,
 *         skip, unget or commit, and until the handler returns. berth_socket_write does not change
 *         the input: the bytes may be passed to it directly.
 */
BERTH_API const void *berth_socket_view(const berth_socket *socket, size_t *ret_size);

/** Returns whether a complete line with its newline can be read. */
BERTH_API bool berth_socket_can_read_line(const berth_socket *socket);

/**
 * Reads a line with its newline, and appends a zero byte. Reads less if the buffer is full, or if
 * no newline has come yet (see berth_socket_can_read_line).
 *
 * @param size  size of the buffer in bytes, including the zero byte; at least 2
 * @return the number of bytes without the zero byte; 0 if none are available now or `size` is less
 *         than 2; -1 if none are available and no more will come
 */
BERTH_API ptrdiff_t berth_socket_read_line(berth_socket *socket, char *line, size_t size);

/**
 * Puts bytes back at the front of the input: they are read next. Inside a transaction they are
 * inserted behind what was read in it: a rollback gives back both.
 *
 * @return false when out of memory: class SOCKET_RESOURCE, nothing was put back
 */
BERTH_API bool berth_socket_unget(berth_socket *socket, const void *data, size_t size);

/** Starts a transaction: bytes that are read from now on can be put back by a rollback. No effect
 * inside a transaction. */
BERTH_API void berth_socket_start_transaction(berth_socket *socket);

/** Ends a transaction; the bytes that were read are gone. No effect without one. */
BERTH_API void berth_socket_commit_transaction(berth_socket *socket);

/** Ends a transaction; the bytes that were read are in the input again. No effect without one. */
BERTH_API void berth_socket_rollback_transaction(berth_socket *socket);

/** Returns whether a transaction has been started. */
BERTH_API bool berth_socket_in_transaction(const berth_socket *socket);

/** Returns the maximum number of unread bytes; 0 for no limit, which is the default. */
BERTH_API size_t berth_socket_read_buffer_size(const berth_socket *socket);

/**
 * Limits the unread input, inside ready_read too. At the limit the library stops receiving: further
 * bytes remain in the kernel, the peer has to wait, and the end of the connection is not noticed,
 * unless a write has failed. Receiving continues when there is room. Bytes that have been received
 * are never dropped: after the limit was lowered, or after berth_socket_unget, more bytes than the
 * limit can be unread. Small limits cause small deliveries. With io_uring a limited socket costs
 * one system call for each delivery.
 *
 * @param bytes  0 for no limit; more than UINT32_MAX (4 GiB - 1) count as that
 */
BERTH_API void berth_socket_set_read_buffer_size(berth_socket *socket, size_t bytes);

/**
 * Stops receiving until berth_socket_resume_reading, for a program that cannot take more: a relay,
 * for example, whose other side is slow. No byte is delivered and ready_read is not called after
 * this function has returned, also when it is called inside ready_read. Further bytes remain in the
 * kernel or in the loop, none is lost, and the peer has to wait. Input that was delivered before
 * can be read. The end of the peer's direction is announced after the pause, behind the bytes.
 *
 * May be called in every state, also before there is a connection, and lasts until the program ends
 * it: for later connections of the socket, and descriptors that it adopts, too. Calls do not add
 * up. A blocking wait for input ends by its time-out. berth_socket_release adds what the loop has
 * received to the input.
 *
 * During a pause the connection can end in all other ways: by this side, by a limit, or by an error
 * that a write finds, or has found before the pause; input that was not delivered by then is lost.
 * A reset by the peer may be noticed only by a write or after the pause. Of the limits of time, the
 * lifetime runs, idle and the minimum rate run only while output waits that the peer does not take,
 * and the time for the first byte does not run.
 */
BERTH_API void berth_socket_pause_reading(berth_socket *socket);

/** Ends a pause. No handler is called inside the call. No effect without a pause. */
BERTH_API void berth_socket_resume_reading(berth_socket *socket);

/** Returns whether reading is paused. Default: false. */
BERTH_API bool berth_socket_is_reading_paused(const berth_socket *socket);

/**
 * Limits how fast bytes are received. While the socket waits for tokens the bytes remain in the
 * kernel, and the peer has to wait; the end of the connection is not noticed before the bytes in
 * front of it. ready_read is called more often, for fewer bytes each. The rate remains for later
 * connections of the socket. While it waits the limits run as during a pause
 * (berth_socket_pause_reading).
 *
 * @param rate  of the socket's loop; shared by all that have it; NULL for none, which is the
 *              default
 * @return false on failure, with class and text set; the rate is unchanged. OPERATION: the rate is
 *         of another loop. SOCKET_RESOURCE: out of memory.
 */
BERTH_API bool berth_socket_set_read_rate(berth_socket *socket, berth_rate *rate);

/** Returns the rate of receiving; NULL for none, or if it was freed. */
BERTH_API berth_rate *berth_socket_read_rate(const berth_socket *socket);

/**
 * Limits how fast output is sent. A write accepts bytes as without a rate, and the output waits for
 * tokens: set marks to bound it. Nothing is passed to the kernel inside a write or
 * berth_socket_flush. The close timeout, and limits of the peer's activity, do not run while the
 * output waits for tokens.
 *
 * @param rate  as in berth_socket_set_read_rate; may be the same one
 * @return as berth_socket_set_read_rate
 */
BERTH_API bool berth_socket_set_write_rate(berth_socket *socket, berth_rate *rate);

/** Returns the rate of sending; NULL for none, or if it was freed. */
BERTH_API berth_rate *berth_socket_write_rate(const berth_socket *socket);

/**
 * Appends bytes to the output. They are copied, and sent when ready_read returns if they are
 * written there, otherwise at the end of the turn or in a blocking wait. Everything written until
 * then is sent together, by one system call where the kernel has room. Long data (16 KiB or more)
 * may be passed to the kernel inside the call, without a copy, together with the output before it.
 * No handler is called inside the call. The bytes count
 * as output until bytes_written has announced them. When CONNECTING they are sent once the
 * connection is established.
 *
 * @return the number of bytes accepted: `size`; or less, possibly 0, if a high mark is set and
 *         reached; or less if memory ran out after the kernel had accepted some (class
 *         SOCKET_RESOURCE). -1 if nothing was accepted: the state does not allow it or this side
 *         has ended its direction (class OPERATION), out of memory (class SOCKET_RESOURCE), or the
 *         limit of output (berth_connection_limits.output) would be exceeded (class
 *         SOCKET_RESOURCE).
 */
BERTH_API ptrdiff_t berth_socket_write(berth_socket *socket, const void *data, size_t size);

/** Some bytes of what berth_socket_write_pieces writes. The layout is fixed. */
typedef struct berth_piece {
    const void *data; /**< may be NULL if `size` is 0 */
    size_t size;      /**< bytes */
} berth_piece;

/**
 * Appends several pieces to the output, one after the other, as one berth_socket_write of all their
 * bytes would: the limit of output and the high mark are applied once, to the total.
 *
 * @param pieces  copied, with their bytes, before the call returns; NULL if `count` is 0
 * @param count   any number
 * @return as berth_socket_write, in bytes of all pieces; less also if memory ran out for one of
 *         them. -1 with class OPERATION also if their total exceeds PTRDIFF_MAX.
 */
BERTH_API ptrdiff_t berth_socket_write_pieces(berth_socket *socket, const berth_piece *pieces,
                                              size_t count);

/**
 * Called when Berth no longer uses memory that berth_socket_write_borrowed has borrowed, with its
 * arguments. Called from the loop or from a blocking wait on the loop's thread, never inside
 * another call of the socket. It may do anything a handler may, including freeing the socket and
 * running the loop.
 */
typedef void (*berth_release_handler)(const void *data, size_t size, void *user);

/**
 * Appends bytes to the output without copying them: they must not change until `release` has been
 * called. Blocks below 16 KiB are copied all the same. The high mark does not cut a block: it is
 * accepted whole if the output is below the mark. Otherwise as berth_socket_write.
 *
 * `release` is called exactly once for each block that was accepted, whether its bytes were sent or
 * the connection ended before, at the latest when the loop is freed. In a program that uses
 * blocking waits only, that may be a later wait than the one in which the connection ended, for any
 * object of the loop. In a child of fork it is called once the child has taken over the loop
 * (berth_loop_after_fork), for the child's copy of the memory; otherwise not.
 *
 * @param size     at most UINT32_MAX (4 GiB - 1)
 * @param release  NULL if nothing is to be called, for constant data
 * @return `size`, and the memory is borrowed; 0 if `size` is 0 or the high mark is reached, or -1
 *         with an error as from berth_socket_write (class OPERATION also if `size` is too large):
 *         the memory is not borrowed then, and `release` is not called
 */
BERTH_API ptrdiff_t berth_socket_write_borrowed(berth_socket *socket, const void *data, size_t size,
                                                berth_release_handler release, void *user);

/**
 * Appends a part of a file to the output. It is sent from the page cache by sendfile(2), without a
 * copy into the process, in order with what is written before and after it, 256 KiB in a turn. What
 * is not in the page cache is read from the device, and the loop waits for that. The high mark does
 * not cut it, as with berth_socket_write_borrowed. The file's bytes count as output for
 * bytes_written, marks, limits and statistics.
 *
 * The bytes are those that the file has when they are sent. If it has become shorter by then, or
 * cannot be read, the connection ends with class OPERATION after the bytes before.
 *
 * @param descriptor  of a regular file that is open for reading. It is duplicated: the caller may
 *                    close it, and its file position is neither used nor changed.
 * @param offset      of the first byte
 * @param size        bytes; SIZE_MAX for all up to the present end of the file
 * @return the number of bytes, which are all accepted; 0 if there are none, or the high mark is
 *         reached; -1 and nothing is accepted: as berth_socket_write; not a regular file, or too
 *         short (class OPERATION); no open descriptor (class UNSUPPORTED_OPERATION); no descriptor
 *         left for the duplicate (class SOCKET_RESOURCE)
 */
BERTH_API ptrdiff_t berth_socket_write_file(berth_socket *socket, int descriptor, uint64_t offset,
                                            size_t size);

/**
 * Limits the output (berth_socket_bytes_to_write). With a high mark a write accepts only as many
 * bytes as keep the output within the mark, and returns their number. Whenever the output has been
 * above the low mark and has fallen to it, `drained` is called, whether a write was cut short or
 * not; never inside a write. If the low mark is raised above the present output, that is when
 * bytes are announced next. Bytes that the kernel has accepted count until bytes_written
 * announces them, so that a connection whose peer reads fast does not keep others from their turn.
 * By default no mark is set: a write accepts everything.
 *
 * @param low   bytes; less than `high` unless that is 0
 * @param high  bytes; 0 for no limit, so that with a `low` above 0 there is a low mark alone.
 *              UINT32_MAX (4 GiB - 1) or more is no limit either
 */
BERTH_API void berth_socket_set_write_marks(berth_socket *socket, size_t low, size_t high);

/**
 * Returns how many bytes a write would accept now: the high mark less the output. The limit of
 * output (berth_connection_limits.output) is not considered.
 *
 * @return bytes; 0 at the high mark, and where a write would fail; SIZE_MAX without a high mark
 */
BERTH_API size_t berth_socket_room(const berth_socket *socket);

/** Returns the number of bytes of output that bytes_written has not announced yet. The kernel may
 * have accepted some of them already, after a long write or berth_socket_flush. */
BERTH_API size_t berth_socket_bytes_to_write(const berth_socket *socket);

/**
 * Passes output to the kernel inside the call instead of at the end of the turn, as much as it
 * accepts without waiting. bytes_written is called later as usual, at the latest by
 * berth_socket_disconnect_from_host.
 *
 * @return whether there was output to pass
 */
BERTH_API bool berth_socket_flush(berth_socket *socket);

/**
 * As berth_socket_flush, but what the kernel has accepted is announced inside the call:
 * bytes_written is called, unless the call comes from bytes_written of this socket, and so is
 * `drained`. For programs that wait for the output to shrink without running the loop. A connection
 * that is CLOSING ends inside the call when all of its output is sent. Nothing is received.
 *
 * @return the number of bytes that were announced or would have been, 0 if there are none. -1 if
 *         the connection is broken: the loop reports that behind the input that has come, as it
 *         does after a write; or it has been reported inside the call, if no more input is wanted.
 */
BERTH_API ptrdiff_t berth_socket_flush_and_announce(berth_socket *socket);

/**
 * Sets the limits of this connection and of later connections of the socket. When a limit is
 * reached, error_occurred is called with class SOCKET_TIMEOUT (SOCKET_RESOURCE for the limit of
 * output) and a text that names the limit. Then the connection ends: gracefully, or by a reset if
 * output was left. The end waits for nothing: of an encrypted connection, close_notify and other
 * records of TLS itself that the kernel has no room for (berth_socket_encrypted_bytes_to_write) are
 * lost, and to the peer it is truncated. Setting limits restarts all of their times.
 *
 * Sockets of a server start with the limits of berth_server_set_connection_limits.
 *
 * @param limits  const berth_connection_limits *, copied; NULL for none
 * @return false when out of memory: class SOCKET_RESOURCE, the limits are unchanged
 */
#define berth_socket_set_limits(socket, limits) \
    berth_socket_set_limits_sized((socket), (limits), sizeof(berth_connection_limits))

/** The function behind berth_socket_set_limits. `size` is the size of the struct that the caller
 * was compiled with. */
BERTH_API bool berth_socket_set_limits_sized(berth_socket *socket,
                                             const berth_connection_limits *limits, size_t size);

/**
 * Gets the limits of the socket. Default: all zero, which is no limit.
 *
 * @param ret_limits  berth_connection_limits *
 */
#define berth_socket_limits(socket, ret_limits) \
    berth_socket_limits_sized((socket), (ret_limits), sizeof(berth_connection_limits))

/** The function behind berth_socket_limits. Writes `size` bytes. */
BERTH_API void berth_socket_limits_sized(const berth_socket *socket,
                                         berth_connection_limits *ret_limits, size_t size);

/**
 * Sets what happens when the peer ends its direction (half-close) while this side may still write.
 *
 * @param allowed  false, the default: the connection ends. error_occurred is called with
 *                 REMOTE_HOST_CLOSED, output that has been written by then is sent, then
 *                 `disconnected` is called. true: only read_channel_finished is called, and the
 *                 connection remains open until this side disconnects or ends its direction too.
 */
BERTH_API void berth_socket_set_half_close(berth_socket *socket, bool allowed);

/**
 * Ends this side's direction only (half-close): output is sent, then the peer sees the end. This
 * side can still read. Writing returns -1 from now on, class OPERATION.
 *
 * The state remains CONNECTED and no handler is called. The connection ends when the peer ends its
 * direction too: with the handlers of the peer's end; or, if berth_socket_set_half_close has
 * allowed half-close, with those of berth_socket_disconnect_from_host, that is without an error. If
 * the peer was first and no output is left, it ends inside the call. A peer that neither reads nor
 * ends its direction is not timed out: use berth_connection_limits, or a timer and
 * berth_socket_abort.
 *
 * When HOST_LOOKUP or CONNECTING, it takes effect once connected. When CLOSING, it only refuses
 * further output. No effect when not connected, or when called again.
 */
BERTH_API void berth_socket_shutdown_send(berth_socket *socket);

/**
 * Ends the connection gracefully: output is sent first.
 *
 * Without output, or if the kernel has accepted all of it (see berth_socket_flush), the connection
 * ends inside the call: state_changed is called twice, with bytes_written in between if that was
 * due, then read_channel_finished and `disconnected`. Otherwise the state is CLOSING, and the loop
 * does the rest within berth_socket_close_timeout. When HOST_LOOKUP or CONNECTING, it takes effect
 * once connected. When BOUND, the address is given up and the state becomes UNCONNECTED. No effect
 * when UNCONNECTED or CLOSING.
 *
 * The peer sees the end before `disconnected` is called, even if another process holds a copy of
 * the descriptor. Exception: if the peer has ended its direction first and nobody holds a copy, it
 * sees the end when the handlers have returned; from within a handler of the loop that may be when
 * the loop next waits.
 *
 * The last bytes arrive even if the peer is still sending. Data that reaches a closed connection is
 * answered with a reset, and a reset destroys output that has not been delivered. Therefore the
 * loop keeps the descriptor after the end (it lingers) and discards what comes, if the peer has
 * sent before and may send more, or does not have room for all output yet. Lingering ends
 *
 * - when the peer ends its direction,
 * - after 2 seconds in which the peer has acknowledged nothing, and after one minute in any case,
 * - or after 1 MiB of discarded input.
 *
 * A peer that sends after that loses what it has not received by then. So does a peer that sends
 * for the first time after the end, if a lost segment is not retransmitted in time. The program
 * must keep running the loop, or free it: see berth_loop_linger_time.
 */
BERTH_API void berth_socket_disconnect_from_host(berth_socket *socket);

/** Returns how long a CLOSING connection may make no progress, in milliseconds; 0 for no limit.
 * Default: BERTH_DEFAULT_CLOSE_TIMEOUT. */
BERTH_API uint32_t berth_socket_close_timeout(const berth_socket *socket);

/**
 * Limits CLOSING for peers that do not read. When for that long the kernel has accepted no output
 * and the peer has acknowledged none, error_occurred is called with SOCKET_TIMEOUT and "cannot send
 * the rest of the output to ...", then state_changed (UNCONNECTED), read_channel_finished and
 * `disconnected`; the output is lost. Each byte that is accepted or acknowledged restarts the time,
 * so a slow peer receives everything, if the time is enough for what its kernel tells at once: that
 * makes room again by many kilobytes, and not by each byte that the peer reads. The kernel is asked
 * for acknowledgements only when the time is over: if it has accepted output in CLOSING, the
 * connection of a peer that stops reading ends within twice the time. The time is checked in turns
 * of the loop and in blocking waits for this socket. If there is no memory for the timer, the
 * connection ends at once with class SOCKET_RESOURCE.
 *
 * When CLOSING the new time starts at once. It is kept for later connections.
 *
 * @param milliseconds  0 for no limit
 */
BERTH_API void berth_socket_set_close_timeout(berth_socket *socket, uint32_t milliseconds);

/** As berth_socket_disconnect_from_host, but also drops the input at once. Nothing can be written
 * afterwards. */
BERTH_API void berth_socket_close(berth_socket *socket);

/**
 * Ends the connection inside the call and drops output and input. The peer sees the end, even if
 * another process holds a copy of the descriptor; or a reset if it has sent bytes that were not
 * received into the input. When HOST_LOOKUP or CONNECTING the attempt ends and `disconnected` is
 * not called; when BOUND, the address is given up. No effect when UNCONNECTED.
 */
BERTH_API void berth_socket_abort(berth_socket *socket);

/** As berth_socket_abort, but the peer sees a reset in any case. */
BERTH_API void berth_socket_reset(berth_socket *socket);

/**
 * @name Waits
 *
 * Blocking waits, for programs that do not run the loop. Handlers of this socket are called inside
 * the call; events of other objects are kept for later. If bytes and the peer's end come in one
 * wait, the end is announced by the next wait or turn of the loop, so that the bytes can be
 * answered first; only berth_socket_wait_for_disconnected announces it at once.
 *
 * `milliseconds`: 0 polls; a negative value waits without limit. On time-out class SOCKET_TIMEOUT
 * is set, error_occurred is called, and the connection continues. All of these functions return
 * false at once when UNCONNECTED, and when a handler frees the socket.
 *
 * @{
 */

/**
 * Waits until the connection is established. A time-out ends the attempt.
 *
 * @return whether it was established; true at once when CONNECTED
 */
BERTH_API bool berth_socket_wait_for_connected(berth_socket *socket, int milliseconds);

/**
 * Waits for new input; bytes that are unread already do not count. Output is sent meanwhile.
 *
 * @return whether bytes have come; false at once if the input is full (see
 *         berth_socket_set_read_buffer_size) or the peer has ended its direction
 */
BERTH_API bool berth_socket_wait_for_ready_read(berth_socket *socket, int milliseconds);

/**
 * Waits until the kernel has accepted some of the output. Input is received meanwhile.
 *
 * @return whether it has; false at once if there is no output
 */
BERTH_API bool berth_socket_wait_for_bytes_written(berth_socket *socket, int milliseconds);

/**
 * Waits until the connection has ended. Output is sent and input is received meanwhile.
 *
 * @return whether it has ended
 */
BERTH_API bool berth_socket_wait_for_disconnected(berth_socket *socket, int milliseconds);

/** @} */

BERTH_END_DECLARATIONS

#endif
