/*
 * One TCP stream.
 *
 * A socket comes from a server (berth_server_next_pending_connection), adopts a connected
 * descriptor (berth_socket_set_descriptor), or connects (berth_socket_connect_to_address). Reading
 * and writing go through buffers: the loop moves bytes in and out, functions here take and give
 * them without waiting. Or no loop is run at all and the wait functions do the moving.
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
 * CLOSING lasts until all output is sent, or until the peer has taken none of it for as long as
 * berth_socket_close_timeout says. Ending one direction alone, by either side, is no state of its
 * own: see berth_socket_shutdown_send and berth_socket_set_half_close. Whatever way a connection
 * ends, `disconnected` is the last handler called for it, exactly once. After it the socket can be
 * used for another connection; input that was received can still be read.
 *
 * A socket belongs to its server until it is freed or detached: freeing the server frees it. All
 * functions are for the thread of the socket's loop. Every function may be called in every state
 * and inside every handler, berth_socket_free included.
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

BERTH_BEGIN_DECLARATIONS

/** Default of berth_socket_connect_timeout, in milliseconds. */
#define BERTH_DEFAULT_CONNECT_TIMEOUT 30000

/** Default of berth_socket_close_timeout, in milliseconds. */
#define BERTH_DEFAULT_CLOSE_TIMEOUT 60000

/** Options of a connection's descriptor. */
typedef enum berth_socket_option {
    /** TCP_NODELAY: 0 or 1; small writes are not held back */
    BERTH_OPTION_LOW_DELAY = 0,
    /** 0 or 1: silent peers are asked whether they are there */
    BERTH_OPTION_KEEP_ALIVE = 1,
    BERTH_OPTION_KEEP_ALIVE_IDLE = 2,     /**< 1 to 32767 seconds of silence before the first */
    BERTH_OPTION_KEEP_ALIVE_INTERVAL = 3, /**< 1 to 32767 seconds between questions */
    BERTH_OPTION_KEEP_ALIVE_COUNT = 4,    /**< 1 to 127 unanswered ones end the connection */
    /** 0 to 255: IPv4 type of service, IPv6 traffic class; its two lowest bits are the kernel's */
    BERTH_OPTION_TYPE_OF_SERVICE = 5,
    BERTH_OPTION_SEND_BUFFER_SIZE = 6,    /**< bytes of the kernel's; it doubles what is set */
    BERTH_OPTION_RECEIVE_BUFFER_SIZE = 7, /**< bytes of the kernel's; it doubles what is set */
    /** SO_LINGER: 0 makes every end a reset, -1 switches it off. Seconds (up to 32767) are kept for
     * whoever gets the descriptor; the library never waits in the kernel for them, since that would
     * stop all of the loop. */
    BERTH_OPTION_LINGER = 8,
    /** milliseconds that sent bytes, or questions of keep-alive, may stay unanswered until the
     * kernel ends the connection; 0 for the system's own limits */
    BERTH_OPTION_USER_TIMEOUT = 9
} berth_socket_option;

/** A TCP socket. Opaque. */
typedef struct berth_socket berth_socket;

/** State of a socket; see the diagram above. The numbers are Qt's. */
typedef enum berth_state {
    BERTH_STATE_UNCONNECTED = 0,
    BERTH_STATE_HOST_LOOKUP = 1,
    BERTH_STATE_CONNECTING = 2,
    BERTH_STATE_CONNECTED = 3,
    BERTH_STATE_BOUND = 4,
    BERTH_STATE_LISTENING = 5,
    BERTH_STATE_CLOSING = 6
} berth_state;

/**
 * What a socket calls. Every slot may be NULL. The struct must live as long as the socket uses it:
 * make it static const. Slots may be added at the end.
 */
typedef struct berth_socket_handlers {
    /** New bytes can be read. Called once per arrival; bytes left unread are kept, and not
     * announced again. Not called recursively. */
    void (*ready_read)(berth_socket *socket, void *user);

    /** The kernel has taken bytes of the output: `bytes` > 0; their sum is what was written. Not
     * called recursively. */
    void (*bytes_written)(berth_socket *socket, size_t bytes, void *user);

    /** A connection begun by this side is established. */
    void (*connected)(berth_socket *socket, void *user);

    /** The connection has ended; nothing else will be called for it. The usual place for
     * berth_socket_free. */
    void (*disconnected)(berth_socket *socket, void *user);

    /** Something failed: berth_socket_error_string has the text. When the peer ends the connection
     * the class is REMOTE_HOST_CLOSED, and that is the ordinary end. */
    void (*error_occurred)(berth_socket *socket, berth_error error, void *user);

    /** The state has changed to `state`. */
    void (*state_changed)(berth_socket *socket, berth_state state, void *user);

    /** No further input will come: the connection has ended, or the peer has ended its direction
     * (see berth_socket_set_half_close). */
    void (*read_channel_finished)(berth_socket *socket, void *user);

    /** The addresses of a name were found, or an address was given: connecting begins. */
    void (*host_found)(berth_socket *socket, void *user);

    /** The output has fallen to the low mark after a write was cut at the high mark: see
     * berth_socket_set_write_marks. */
    void (*drained)(berth_socket *socket, void *user);
} berth_socket_handlers;

/**
 * Makes an unconnected socket.
 *
 * @param loop      the loop it belongs to; NULL for this thread's own
 * @param handlers  const berth_socket_handlers *, or NULL for none
 * @param user      passed to the handlers
 * @return the socket, to be freed with berth_socket_free (freeing the loop frees it too); NULL when
 *         out of memory or when this thread's own loop cannot be made, with errno set
 */
#define berth_socket_new(loop, handlers, user) \
    berth_socket_new_sized((loop), (handlers), sizeof(berth_socket_handlers), (user))

/** What berth_socket_new calls; `size` is the size of the handlers struct the caller was compiled
 * with. */
BERTH_API berth_socket *berth_socket_new_sized(berth_loop *loop,
                                               const berth_socket_handlers *handlers, size_t size,
                                               void *user);

/**
 * Ends the connection as berth_socket_abort does, handlers included, and frees the socket. No
 * handler is called for it after this function has returned. Legal inside any handler; NULL is
 * ignored. A socket that is still pending is taken out of its server's queue.
 */
BERTH_API void berth_socket_free(berth_socket *socket);

/**
 * berth_socket_free as a handler, for a socket that is not needed after its connection:
 * `.disconnected = berth_socket_free_in_handler`.
 *
 * @param user  not used
 */
BERTH_API void berth_socket_free_in_handler(berth_socket *socket, void *user);

/**
 * Sets the handlers, at any time. What happened before is not announced again: look at
 * berth_socket_bytes_available and berth_socket_state.
 *
 * @param handlers  const berth_socket_handlers *, or NULL for none
 */
#define berth_socket_set_handlers(socket, handlers, user) \
    berth_socket_set_handlers_sized((socket), (handlers), sizeof(berth_socket_handlers), (user))

/** What berth_socket_set_handlers calls. */
BERTH_API void berth_socket_set_handlers_sized(berth_socket *socket,
                                               const berth_socket_handlers *handlers, size_t size,
                                               void *user);

/** The user pointer given with the handlers. */
BERTH_API void *berth_socket_user(const berth_socket *socket);

/** The loop it belongs to. Any thread, as long as the object exists. */
BERTH_API berth_loop *berth_socket_loop(const berth_socket *socket);

/** Takes the socket out of its server's ownership: freeing the server no longer frees it. It stays
 * with its loop. */
BERTH_API void berth_socket_detach(berth_socket *socket);

/**
 * Adopts a connected stream descriptor, which the socket then owns. A former connection is dropped
 * with its buffers and without handlers. On success the state is CONNECTED (state_changed is called
 * inside if that is a change); `connected` is not called.
 *
 * @return false if it is not an open, connected stream socket of IPv4 or IPv6: class
 *         UNSUPPORTED_OPERATION; the descriptor then stays the caller's, and the socket as it was.
 *         OPERATION if a socket or server of the same loop has that number, this one included.
 *         SOCKET_RESOURCE when out of memory. Also false if state_changed frees the socket inside:
 *         the descriptor was taken then, and is closed with it.
 */
BERTH_API bool berth_socket_set_descriptor(berth_socket *socket, int descriptor);

/**
 * The descriptor of the connection, for options and the like; it stays the socket's. Whether it is
 * blocking is unspecified.
 *
 * @return -1 without a connection
 */
BERTH_API int berth_socket_descriptor(const berth_socket *socket);

/**
 * Gives the connection away: its descriptor is not closed and becomes the caller's, to be used by
 * other code or passed to another process. The peer notices nothing. For the socket the connection
 * has ended: state_changed (UNCONNECTED), read_channel_finished and `disconnected` are called
 * inside, and bytes_written is not called any more.
 *
 * No byte is lost. Input that was received already, by the library or for it, stays in the socket
 * and can still be read; what comes later stays in the kernel. Output that waits is handed over
 * first, and the end of berth_socket_shutdown_send behind it; if the kernel does not take all of
 * it, the call fails: wait for bytes_written and try again.
 *
 * @return the descriptor, blocking and close-on-exec; -1 if not CONNECTED, if output is left, or if
 *         the connection has broken: class OPERATION, and the connection goes on. A socket in its
 *         server's queue has to be taken first.
 */
BERTH_API int berth_socket_release(berth_socket *socket);

/**
 * Begins to connect. States: UNCONNECTED or BOUND; in another state the call fails with class
 * OPERATION and the connection at hand goes on. Inside the call the state becomes CONNECTING; what
 * follows is `connected`, or `state_changed` to UNCONNECTED and `error_occurred`:
 * CONNECTION_REFUSED (also where the connection met itself, for want of anybody else on a port of
 * this host), NETWORK, SOCKET_TIMEOUT, SOCKET_ACCESS, ADDRESS_NOT_AVAILABLE. Never
 * connected inside the call. Class and text are set already in `state_changed`; if that begins the
 * next attempt, `error_occurred` is not called for the one that failed.
 *
 * A call made inside error_occurred or state_changed of a connect that has failed does not fail for
 * its address: it returns true, and what is wrong comes from the loop. So a handler may try again
 * as often as it likes without recursion.
 *
 * @param address  IPv4 or IPv6; a wildcard stands for this host, ANY by either family
 * @return false if it could not begin: the state is UNCONNECTED (in the wrong state: as before),
 *         class and text are set, and error_occurred was called, but not inside itself
 */
BERTH_API bool berth_socket_connect_to_address(berth_socket *socket, berth_address address,
                                               uint16_t port);

/**
 * Begins to connect to a host by name. The name is looked up in the background; its addresses are
 * then tried as RFC 8305 has it: families in turn, the next one after 250 ms or as soon as one has
 * failed, and the first that answers is taken. A numeric address is taken as it is, as by
 * berth_socket_connect_to_address.
 *
 * @param host  a name or an address; copied
 * @return false if it could not begin. A name that is not found is reported later: HOST_NOT_FOUND.
 */
BERTH_API bool berth_socket_connect_to_host(berth_socket *socket, const char *host, uint16_t port);

/**
 * Binds a local name before connecting: the state becomes BOUND. States: only UNCONNECTED.
 *
 * @param port  0 to have the system choose a free one. It is chosen when berth_socket_local_port is
 *              called, and stays the socket's then; else by the connect, which can share a port
 * with connections to other targets.
 * @return false with class and text set, and error_occurred called, but not inside that of another
 *         call that could not begin: ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE, SOCKET_ACCESS,
 *         UNSUPPORTED_OPERATION, OPERATION (in another state)
 */
BERTH_API bool berth_socket_bind(berth_socket *socket, berth_address address, uint16_t port);

/**
 * Sets the proxy for the next connect; the connection at hand is not touched. Which proxy is used
 * is told in berth/proxy.h. Through a proxy a name is not looked up but given to it; host_found is
 * then not called and the address of the peer is null. A socket that was bound cannot connect
 * through a proxy (UNSUPPORTED_OPERATION). The proxy's own failures are reported as
 * PROXY_CONNECTION_REFUSED, PROXY_NOT_FOUND, PROXY_CONNECTION_CLOSED, PROXY_AUTHENTICATION_REQUIRED
 * and PROXY_PROTOCOL, its silence as SOCKET_TIMEOUT (SOCKS5) or PROXY_CONNECTION_TIMEOUT (HTTP);
 * what it says of the target as the error that a direct connection would have had.
 *
 * @param proxy  copied; NULL sets the default proxy
 * @return false if a text is too long or the type is none (UNSUPPORTED_OPERATION), or when out of
 *         memory (SOCKET_RESOURCE); the proxy stays as it was
 */
BERTH_API bool berth_socket_set_proxy(berth_socket *socket, const berth_proxy *proxy);

/** The proxy as set, with strings that are valid until the next berth_socket_set_proxy; type
 * DEFAULT at first, and for the sockets of a server. */
BERTH_API berth_proxy berth_socket_proxy(const berth_socket *socket);

/**
 * Sets the PROXY header (HAProxy's protocol) that the next connections begin with, for a program
 * that passes connections on and wants to tell whose they are. It is sent before `connected`,
 * through a proxy too, and is not counted by bytes_written.
 *
 * @param header  copied; NULL for none, as at first
 * @return false if the version is neither 1 nor 2 (UNSUPPORTED_OPERATION), or when out of memory
 *         (SOCKET_RESOURCE); it stays as it was
 */
BERTH_API bool berth_socket_set_proxy_header(berth_socket *socket,
                                             const berth_proxy_header *header);

/**
 * A value (TLV) of the PROXY header that this connection has come with; see
 * berth_server_set_proxy_protocol.
 *
 * @param type      such as 0x01 for ALPN or 0x02 for the name of the host that was asked for; the
 *                  first of a type counts
 * @param ret_size  bytes of the value, 0 for none
 * @return the value, valid until the next connection of this socket begins; NULL for none
 */
BERTH_API const void *berth_socket_proxy_header_value(const berth_socket *socket, uint8_t type,
                                                      size_t *ret_size);

/** Address of the far end of the descriptor itself: that of the proxy or balancer where
 * berth_socket_peer_address is that of the peer behind it, else the same. Looked up at each call.
 */
BERTH_API berth_address berth_socket_transport_peer_address(const berth_socket *socket);

/** Port of the far end of the descriptor itself. */
BERTH_API uint16_t berth_socket_transport_peer_port(const berth_socket *socket);

/** How long a connect may take in all, in milliseconds; BERTH_DEFAULT_CONNECT_TIMEOUT at first. */
BERTH_API uint32_t berth_socket_connect_timeout(const berth_socket *socket);

/** Sets that time for the next connect. @param milliseconds  0 for no limit but the kernel's */
BERTH_API void berth_socket_set_connect_timeout(berth_socket *socket, uint32_t milliseconds);

/** What was connected to, as it was given; it stays after the end. "" for none. Valid until the
 * next connect. */
BERTH_API const char *berth_socket_peer_name(const berth_socket *socket);

/**
 * Sets an option. While CONNECTED or CLOSING it is one of that connection alone. In the other
 * states it is kept for the socket: every descriptor that a bind or connect makes from then on has
 * it from its beginning, and those of an attempt at hand get it as well. What only the system can
 * find wrong with a kept one fails the bind or connect, with class UNSUPPORTED_OPERATION.
 *
 * @return false if there is no such option or value, or if the system refuses
 * (UNSUPPORTED_OPERATION), or when out of memory (SOCKET_RESOURCE): class and text are set
 */
BERTH_API bool berth_socket_set_option(berth_socket *socket, berth_socket_option which, int value);

/** Reads an option: the descriptor's, or without one what was kept. @param ret_value  set on
 * success only @return false as berth_socket_set_option, and if there is neither */
BERTH_API bool berth_socket_get_option(berth_socket *socket, berth_socket_option which,
                                       int *ret_value);

/** State of the connection. */
BERTH_API berth_state berth_socket_state(const berth_socket *socket);

/** Whether there is a connection: CONNECTED or CLOSING. */
BERTH_API bool berth_socket_is_valid(const berth_socket *socket);

/** Class of the last error; NONE if there was none since the last connection began. */
BERTH_API berth_error berth_socket_error(const berth_socket *socket);

/**
 * Text of the last error: what was tried, on what, and why it failed; "" for none.
 *
 * @return valid until the next call of this function for a socket of the same loop
 */
BERTH_API const char *berth_socket_error_string(const berth_socket *socket);

/**
 * How the last connection of this socket has ended.
 *
 * @return true if the peer has reset it: what was sent last, by either side, may be lost. False if
 *         the peer has ended it gracefully, if this side has ended it, and after any other failure.
 *         The class is REMOTE_HOST_CLOSED in the first two cases. It is false until error_occurred
 *         announces the reset, also where a write or a flush has met it before, and then stays as
 *         it is until the next connection begins. A reset behind the peer's graceful end, while
 *         output was still to be sent, has no error_occurred of its own: that is known in
 *         disconnected. A relay passes a reset on with berth_socket_reset.
 */
BERTH_API bool berth_socket_was_reset(const berth_socket *socket);

/** Address of the peer; null without a connection. It stays known inside `disconnected`, after a
 * reset too. Looked up on first use. */
BERTH_API berth_address berth_socket_peer_address(const berth_socket *socket);

/** Port of the peer; 0 without a connection. */
BERTH_API uint16_t berth_socket_peer_port(const berth_socket *socket);

/** Address of this side; null without a connection. */
BERTH_API berth_address berth_socket_local_address(const berth_socket *socket);

/** Port of this side; 0 without a connection. */
BERTH_API uint16_t berth_socket_local_port(const berth_socket *socket);

/** Bytes that can be read now. */
BERTH_API size_t berth_socket_bytes_available(const berth_socket *socket);

/**
 * Takes up to `size` bytes of the input.
 *
 * @return the number of bytes; 0 when there are none now; -1 when there are none and none will come
 */
BERTH_API ptrdiff_t berth_socket_read(berth_socket *socket, void *data, size_t size);

/** As berth_socket_read, but the bytes stay in the input. */
BERTH_API ptrdiff_t berth_socket_peek(const berth_socket *socket, void *data, size_t size);

/** As berth_socket_read, but the bytes are thrown away. */
BERTH_API ptrdiff_t berth_socket_skip(berth_socket *socket, size_t size);

/**
 * The input without copying: its first bytes that lie in one piece, at least one if any is
 * available.
 *
 * Take them out with berth_socket_skip when done.
 *
 * @param ret_size  number of bytes, 0 for none; never NULL
 * @return the bytes; NULL for none. Valid until the input changes: until a call that
 *         takes from it or puts back (read, skip, unget, commit), and until the handler returns.
 *         Writing leaves it alone, so that it can be written straight on.
 */
BERTH_API const void *berth_socket_view(const berth_socket *socket, size_t *ret_size);

/** Whether a whole line, newline included, can be read. */
BERTH_API bool berth_socket_can_read_line(const berth_socket *socket);

/**
 * Takes one line with its newline, or as much of it as fits, or what there is if none has come yet
 * (see berth_socket_can_read_line), and terminates it with a zero byte.
 *
 * @param size  bytes at `line`, the zero byte included; at least 2
 * @return the number of bytes without the zero byte; 0 when there are none now or `size` is less
 *         than 2; -1 when there are none and none will come
 */
BERTH_API ptrdiff_t berth_socket_read_line(berth_socket *socket, char *line, size_t size);

/**
 * Puts bytes back to the front of the input: they are the next to be read.
 *
 * @return false when out of memory: class SOCKET_RESOURCE, nothing was put back
 */
BERTH_API bool berth_socket_unget(berth_socket *socket, const void *data, size_t size);

/** Begins to read on trial: what is read from here on can be given back whole. No effect in a
 * transaction. */
BERTH_API void berth_socket_start_transaction(berth_socket *socket);

/** Ends a transaction: what was read is gone. */
BERTH_API void berth_socket_commit_transaction(berth_socket *socket);

/** Ends a transaction: what was read is there again. */
BERTH_API void berth_socket_rollback_transaction(berth_socket *socket);

/** Whether a transaction is open. */
BERTH_API bool berth_socket_in_transaction(const berth_socket *socket);

/** Most bytes kept unread, 0 for no limit (the default). See berth_socket_set_read_buffer_size. */
BERTH_API size_t berth_socket_read_buffer_size(const berth_socket *socket);

/**
 * Limits the unread input: never are more than `bytes` of it there, while ready_read is called
 * too. What is more stays in the kernel, so that the peer has to wait, and its end is not noticed
 * either. Reading goes on when there is room again. Bytes already received are never dropped: a
 * lowered limit can leave more than the limit until they are read, and so can berth_socket_unget.
 * Small limits make small deliveries; with io_uring a limited socket costs a system call for each.
 *
 * @param bytes  0 for no limit; more than UINT32_MAX (4 GiB - 1) are taken as that
 */
BERTH_API void berth_socket_set_read_buffer_size(berth_socket *socket, size_t bytes);

/**
 * Puts bytes on the output. They are copied, and sent when ready_read returns, if that is where
 * they are written, else at the end of the loop's turn or in a wait; all that is written until then
 * goes out together. What is long (16 KiB and more) and finds nothing before it may be given to the
 * kernel at once, without a copy. No handler is called inside, and the bytes count as waiting until
 * bytes_written has announced them. In CONNECTING they are sent once connected, in CLOSING before
 * the end.
 *
 * @return how many were taken: `size`; or less, down to 0, if a high mark is set and reached; or
 *         less if memory ran out behind what the kernel took (class SOCKET_RESOURCE); -1 if nothing
 *         was taken: not connected or closed (class OPERATION), or out of memory
 */
BERTH_API ptrdiff_t berth_socket_write(berth_socket *socket, const void *data, size_t size);

/**
 * Bounds the output (berth_socket_bytes_to_write). With a high mark a write takes only as many
 * bytes as keep the output within it, and says how many; `drained` is called when the output has
 * fallen to the low mark. What the kernel has taken counts until bytes_written announces it, so
 * that one connection whose peer reads fast leaves the others their turns. No mark is set at first:
 * every write takes all.
 *
 * @param low   bytes; less than `high`
 * @param high  bytes; 0 for no bound; more than UINT32_MAX (4 GiB - 1) are taken as that
 */
BERTH_API void berth_socket_set_write_marks(berth_socket *socket, size_t low, size_t high);

/** Bytes of the output that bytes_written has not announced yet. Some of them may have left: those
 * of a long write, or after berth_socket_flush. */
BERTH_API size_t berth_socket_bytes_to_write(const berth_socket *socket);

/**
 * Hands output to the kernel inside the call instead of at the end of the turn, as far as it takes
 * it without waiting; bytes_written is called later as usual, at the latest by
 * berth_socket_disconnect_from_host.
 *
 * @return whether there was output to hand over
 */
BERTH_API bool berth_socket_flush(berth_socket *socket);

/**
 * Limits the connection, and those that the socket has later. At a limit error_occurred is called,
 * with class SOCKET_TIMEOUT (SOCKET_RESOURCE for the limit of output) and a text that says which
 * limit it was; then the connection ends: in order, or by a reset if output was left. Times that
 * have a beginning begin anew.
 *
 * Sockets of a server begin with what berth_server_set_connection_limits has set.
 *
 * @param limits  const berth_connection_limits *, copied; NULL for none
 * @return false when out of memory: class SOCKET_RESOURCE, the limits stay as they were
 */
#define berth_socket_set_limits(socket, limits) \
    berth_socket_set_limits_sized((socket), (limits), sizeof(berth_connection_limits))

/** What berth_socket_set_limits calls; `size` is the size of the limits the caller was compiled
 * with. */
BERTH_API bool berth_socket_set_limits_sized(berth_socket *socket,
                                             const berth_connection_limits *limits, size_t size);

/** The limits that hold; all zero at first. @param ret_limits  berth_connection_limits * */
#define berth_socket_limits(socket, ret_limits) \
    berth_socket_limits_sized((socket), (ret_limits), sizeof(berth_connection_limits))

/** What berth_socket_limits calls; writes `size` bytes. */
BERTH_API void berth_socket_limits_sized(const berth_socket *socket,
                                         berth_connection_limits *ret_limits, size_t size);

/**
 * What happens when the peer ends its direction (half-close) while this side may still want to
 * write. By default (false) the connection is ended: error_occurred with REMOTE_HOST_CLOSED, then
 * output that was written by then is sent, then the end. With true only read_channel_finished is
 * called, and the connection stays until this side disconnects or ends its direction too.
 */
BERTH_API void berth_socket_set_half_close(berth_socket *socket, bool allowed);

/**
 * Ends this side's direction only (half-close): output is sent first, then the peer sees the end,
 * and this side goes on reading. Writing gives -1 from here on, class OPERATION.
 *
 * The state stays CONNECTED and no handler is called. When the peer ends its direction too the
 * connection is over: with the handlers of its end, or, if half-close was allowed by
 * berth_socket_set_half_close, with those of berth_socket_disconnect_from_host, that is without an
 * error; inside this call if the peer was first and no output is left. A peer that neither reads
 * nor ends is not timed out; use a timer and berth_socket_abort.
 *
 * While HOST_LOOKUP or CONNECTING it is remembered until connected. In CLOSING it only refuses
 * further output. No effect if not connected, nor a second time.
 */
BERTH_API void berth_socket_shutdown_send(berth_socket *socket);

/**
 * Ends the connection gracefully: output is sent first. Without output, or when the kernel has
 * taken all of it (see berth_socket_flush), it ends inside the call (state_changed twice, with
 * bytes_written between if that was owed, read_channel_finished, disconnected); else the state is
 * CLOSING and the rest comes from the loop, within berth_socket_close_timeout. While CONNECTING it
 * is remembered until connected. Otherwise no effect if not connected.
 *
 * The last bytes arrive. The peer is shown the end at once, before `disconnected` is called and
 * whoever else holds a copy of the descriptor; one that has ended its own direction and of whose
 * connection nobody has a copy, when the handlers have returned: inside the call too, but in a
 * handler of the loop it may be when the loop waits next. Behind the program's back the loop then
 * keeps the descriptor, if the peer has spoken and may speak on, or has no room yet for all output,
 * and throws away what comes: since a word of the peer that finds the connection closed is answered
 * with a reset, which destroys what has not left. That ends with the peer's own end; or after 2
 * seconds in which it has acknowledged nothing, a minute in all, or 1 MiB thrown away. A peer that
 * is slower than that and speaks after it loses what it has not got by then; and so does one that
 * speaks for the first time after the end, if the network has lost a segment and none was sent
 * again. A program has to let the loop run, or free it: see berth_loop_linger_time.
 */
BERTH_API void berth_socket_disconnect_from_host(berth_socket *socket);

/** How long a CLOSING connection may stand still, in milliseconds; BERTH_DEFAULT_CLOSE_TIMEOUT at
 * first. */
BERTH_API uint32_t berth_socket_close_timeout(const berth_socket *socket);

/**
 * Bounds CLOSING against a peer that does not read. When the kernel has taken no output for that
 * long: error_occurred with SOCKET_TIMEOUT and "cannot send the rest of the output to ...", then
 * UNCONNECTED, read_channel_finished and disconnected; the output is lost. Each byte that goes
 * begins the time anew, so a slow peer gets all of it. The time is kept in turns of the loop and in
 * waits of this socket. Should there be no memory to keep it, the connection ends at once, with
 * class SOCKET_RESOURCE.
 *
 * In CLOSING the new time begins at once. It stays for the next connection.
 *
 * @param milliseconds  0 for no limit
 */
BERTH_API void berth_socket_set_close_timeout(berth_socket *socket, uint32_t milliseconds);

/** As berth_socket_disconnect_from_host; and input is dropped at once, and nothing more can be
 * written. */
BERTH_API void berth_socket_close(berth_socket *socket);

/**
 * Ends the connection now, inside the call: output and input are dropped. The peer sees an end, or
 * a reset if it has sent bytes that were not yet received into the input; whoever else holds a copy
 * of the descriptor. While CONNECTING, `disconnected` is not called. No effect if not connected.
 */
BERTH_API void berth_socket_abort(berth_socket *socket);

/** As berth_socket_abort, but the peer sees a reset in any case. */
BERTH_API void berth_socket_reset(berth_socket *socket);

/**
 * @name Waits
 *
 * Waiting without a loop being run. Handlers of this socket are called inside; those of other
 * objects wait. When bytes have come in a wait and the peer's end behind them, the end is announced
 * by the next wait, or turn of the loop, so that they can be answered before; only
 * berth_socket_wait_for_disconnected takes it at once. `milliseconds`: 0 polls, negative waits
 * without limit. A wait that times out sets class SOCKET_TIMEOUT, calls error_occurred and leaves
 * the connection as it is. All return false at once when UNCONNECTED, and when the socket is freed
 * by a handler inside.
 *
 * @{
 */

/** Waits until connected. @return true if CONNECTED (at once if it is). A time-out ends the
 * attempt. */
BERTH_API bool berth_socket_wait_for_connected(berth_socket *socket, int milliseconds);

/** Waits for new bytes; unread old ones do not count. Output is sent meanwhile. @return whether
 * bytes have come. */
BERTH_API bool berth_socket_wait_for_ready_read(berth_socket *socket, int milliseconds);

/** Waits until the kernel has taken some output; input is received meanwhile. @return false at once
 * if there is no output. */
BERTH_API bool berth_socket_wait_for_bytes_written(berth_socket *socket, int milliseconds);

/** Waits for the end of the connection; output is sent and input received meanwhile. @return
 * whether it has ended. */
BERTH_API bool berth_socket_wait_for_disconnected(berth_socket *socket, int milliseconds);

/** @} */

BERTH_END_DECLARATIONS

#endif
