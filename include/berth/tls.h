/*
 * TLS for servers and sockets.
 *
 * A configuration (berth_tls) has certificates, keys and what is allowed. It is made once, is never
 * changed, and may be used by any number of servers and sockets on any thread. A server that has
 * one (berth_server_set_tls) encrypts the connections that it accepts from then on; a socket that
 * has one (berth_socket_set_tls) encrypts the connections that it begins. Everything else of
 * servers and sockets is used as without TLS, and what is read and written is plaintext.
 *
 * To get a new certificate make a new configuration and set it: connections that there are keep
 * theirs.
 *
 * What is encrypted differs in this:
 *
 * - A server puts a connection into its queue, and calls new_connection, when the handshake is
 *   complete. A peer that is silent, or whose handshake fails, is never seen by the program but in
 *   the counts, and by the handler handshake_failed.
 * - A socket that connects is CONNECTED, and calls `connected`, when the TCP connection is
 *   established; it calls `encrypted` when the handshake is complete. Output that was written
 *   before is kept until then. If the handshake fails the connection ends (error_occurred, then
 *   disconnected).
 * - The peer's orderly end (close_notify) is the end of input, as the end of a TCP connection is.
 *   If that comes without the first, berth_socket_tls_was_truncated returns true: somebody may have
 *   cut the connection. See also berth_tls_options.stop_at_truncation. What a peer sends behind its
 *   close_notify is thrown away; more than 1 MiB of it is an error (NETWORK) and a reset.
 * - bytes_written counts plaintext, when the kernel has accepted the record that has it.
 * - A descriptor cannot be released (berth_socket_release) while its connection is encrypted. Hand
 *   it to another thread before the handshake: incoming_connection gets it then.
 *
 * Renegotiation, compression and early data are always off, and so are versions before TLS 1.2.
 *
 * A child of fork may use TLS, its copies of configurations included: fork waits until no other
 * thread is inside OpenSSL, as far as this library has called it. It cannot wait for the program's
 * own calls of OpenSSL: if other threads make such, the child must not use TLS before exec, since
 * it may find OpenSSL's locks held.
 *
 * Configurations are made by a separate library, libberth-tls; link it too (pkg-config
 * berth-tls). It uses OpenSSL 3.
 */
#ifndef BERTH_TLS_H
#define BERTH_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/export.h>
#include <berth/server.h>
#include <berth/socket.h>

BERTH_BEGIN_DECLARATIONS

/** Which side of a connection a configuration is for. */
typedef enum berth_tls_side {
    BERTH_TLS_SERVER, /**< accepted connections; needs a certificate and its key */
    BERTH_TLS_CLIENT  /**< connections that this side begins */
} berth_tls_side;

/** Whether the peer has to show a certificate. */
typedef enum berth_tls_verify {
    BERTH_TLS_VERIFY_DEFAULT,  /**< NONE for servers, REQUIRED for clients */
    BERTH_TLS_VERIFY_NONE,     /**< it is not asked for, and not checked */
    BERTH_TLS_VERIFY_OPTIONAL, /**< asked for, and checked if there is one */
    BERTH_TLS_VERIFY_REQUIRED  /**< without a valid one the handshake fails */
} berth_tls_verify;

/** Versions of the protocol. */
typedef enum berth_tls_version {
    BERTH_TLS_VERSION_NONE, /**< not encrypted; in options: the default */
    BERTH_TLS_VERSION_1_2,
    BERTH_TLS_VERSION_1_3
} berth_tls_version;

/** A configuration. Opaque, counted; any thread may use it. */
typedef struct berth_tls berth_tls;

/** What a configuration is made of. A zeroed value is the default. Nothing of it is kept. Slots may
 * be added at the end. */
typedef struct berth_tls_options {
    /** The certificate, with those that lead to its authority behind it: the name of a PEM file; or
     * PEM itself, if the text begins with "-----". NULL: none, which only a client may have. */
    const char *certificate;
    /** Its private key, in the same way, not encrypted. NULL: it is in `certificate` too. */
    const char *key;
    /** Certificates of the authorities that the peer's is checked with: a PEM file, PEM, or a
     * folder (as of openssl-rehash). NULL: those of the system. */
    const char *authorities;
    berth_tls_verify verify;   /**< whether the peer's certificate is needed */
    berth_tls_version lowest;  /**< default: 1.2 */
    berth_tls_version highest; /**< default: 1.3 */
    const char *ciphers;       /**< of TLS 1.2, OpenSSL's words; NULL: those that are safe today */
    const char *suites;        /**< of TLS 1.3, OpenSSL's words; NULL: all three */
    const char *groups;        /**< of key exchange, OpenSSL's words; NULL: its default */
    /** Protocols of the application (ALPN), best first, ended by NULL; each of 1 to 255 bytes.
     * NULL: none. A server that has some refuses a client that offers only others. */
    const char *const *protocols;
    uint8_t tickets; /**< of a server: for resumption, given to each client; 0: 2; 255: none */
    uint32_t ticket_lifetime; /**< seconds, at most 604800; 0: 7200 */
    /** Whether an end without close_notify is an error (NETWORK) instead of an end. */
    bool stop_at_truncation;
} berth_tls_options;

/** Size of the text of a failed berth_tls_new, terminator included. */
#define BERTH_TLS_TEXT_SIZE 256

/**
 * Makes a configuration. Files are read inside the call.
 *
 * @param side      which side of connections it is for
 * @param options   const berth_tls_options *; NULL for the default
 * @param ret_text  if not NULL, BERTH_TLS_TEXT_SIZE bytes for what has failed, on what, and why
 * @return the configuration, held once: berth_tls_release. NULL when it has failed, with errno set:
 *         that of a file that cannot be read; EINVAL for PEM, names and values that are invalid, or
 *         a key that is not the certificate's; ENOTSUP if libberth is of another version than
 *         libberth-tls; ENOMEM.
 */
#define berth_tls_new(side, options, ret_text) \
    berth_tls_new_sized((side), (options), sizeof(berth_tls_options), (ret_text))

/** The function behind berth_tls_new. `size` is the size of the options that the caller was
 * compiled with. */
BERTH_TLS_API berth_tls *berth_tls_new_sized(berth_tls_side side, const berth_tls_options *options,
                                             size_t size, char *ret_text);

/** Holds a configuration once more. Returns it. On any thread. NULL is ignored. */
BERTH_API berth_tls *berth_tls_hold(berth_tls *tls);

/** Gives a hold up; the last one frees it. Servers, sockets and connections that have it hold it
 * too. On any thread. NULL is ignored. */
BERTH_API void berth_tls_release(berth_tls *tls);

/** A key that seals tickets of resumption. The layout is fixed. */
typedef struct berth_tls_ticket_key {
    uint8_t name[16];   /**< not secret: by it the key of a ticket is found */
    uint8_t secret[64]; /**< random */
} berth_tls_ticket_key;

/**
 * Sets the keys of the tickets of a server. Set the same ones in all processes that serve one name,
 * so that each can resume what another has begun; change them once a day or so: the new one first,
 * the last one behind it. Without them a configuration has a random key of its own. May be called
 * at any time, on any thread.
 *
 * @param keys   the first seals; all open
 * @param count  1 to 16
 * @return false with errno EINVAL for another count or a client's configuration
 */
BERTH_TLS_API bool berth_tls_set_ticket_keys(berth_tls *tls, const berth_tls_ticket_key *keys,
                                             size_t count);

/** Protocols of a client that a berth_tls_hello has at most. */
#define BERTH_TLS_MOST_PROTOCOLS 64

/** What a client has asked for, as far as it concerns the choice of a configuration. Made by the
 * library; slots may be added at the end. */
typedef struct berth_tls_hello {
    const char *server_name;      /**< of SNI, in small letters; "" for none or an address */
    const char *const *protocols; /**< of ALPN, in the client's order, ended by NULL; the first
                                       BERTH_TLS_MOST_PROTOCOLS, and none with a zero byte */
    berth_address peer;           /**< the client's address */
    uint16_t peer_port;           /**< its port */
    const char *const *reserved;  /**< NULL */
} berth_tls_hello;

/** A handshake of an accepted connection that has failed. Made by the library; slots may be added
 * at the end. */
typedef struct berth_tls_failure {
    berth_error error;       /**< TLS_HANDSHAKE_FAILED, SOCKET_TIMEOUT, ...; REMOTE_HOST_CLOSED
                                  if the client has ended before its ClientHello was complete */
    const char *text;        /**< why */
    const char *server_name; /**< of SNI; "" if there is none, or it has not come so far */
    berth_address peer;      /**< the client's address */
    uint16_t peer_port;      /**< its port */
} berth_tls_failure;

/** Default of berth_server_handshake_timeout, in milliseconds. */
#define BERTH_DEFAULT_HANDSHAKE_TIMEOUT 5000

/** Default of berth_server_max_handshakes, in connections. */
#define BERTH_DEFAULT_MAX_HANDSHAKES 128

/** Default of berth_server_max_greetings, in connections. */
#define BERTH_DEFAULT_MAX_GREETINGS 4096

/**
 * Sets the configuration of a server: connections that it accepts from now on are encrypted. Those
 * that there are keep theirs, except that one whose handshake has not begun yet gets the new one.
 * Setting another one is how a certificate is renewed.
 *
 * A connection goes this way, and each step ends with its time or when the client goes:
 *
 * 1. It is accepted, and its PROXY header read, as without TLS. It counts for the limit of its
 *    address from then on.
 * 2. Its ClientHello is awaited: the first message, at most 16,389 bytes. Until then it costs about
 *    as much memory as a socket, and a buffer for its bytes, and takes no place in the queue, but
 *    one of berth_server_max_greetings.
 * 3. When it has come, the connection waits until fewer than berth_server_max_handshakes are in
 *    progress and the queue is not full, in the order of the hellos. One hello is answered in
 *    each turn of the loop, or some for a fifth of the time if there is much else to do, but for no
 *    longer than 2 ms; so that other connections are served meanwhile. That a client has left
 *    while it waited is found when it is its turn: then it is not answered.
 * 4. The configuration is chosen: by the handler client_hello if it is set, else by the name that
 *    the client asks for.
 * 5. The handshake. Then the connection is put into the queue, which may exceed its limit by up to
 *    berth_server_max_handshakes - 1 in this way; new_connection and pending_connection_available
 *    are called. Nothing else of a connection is announced before, but client_hello and, if it
 *    comes to nothing, handshake_failed.
 *
 * While the server is paused nobody is heard: the time of a client that has sent something does not
 * run then. In a drain, connections in step 2 have the time that an idle one has, from when the
 * server stops listening or, later, they come; those further on have all of
 * berth_server_handshake_timeout again, from then or, later, from when their ClientHello has come.
 * Closing the server ends them all.
 * berth_server_wait_for_new_connection does all of this, and returns when a handshake is complete.
 *
 * The handler incoming_connection gets the descriptor before all this;
 * berth_server_base_incoming_connection begins with step 2, for a descriptor that was accepted
 * elsewhere too.
 *
 * @param tls  a configuration for servers, which the server holds; NULL: connections that are
 *             accepted from now on are not encrypted, which is the default
 * @return false on failure, with class and text set; nothing changes then. OPERATION: it is one for
 *         clients. SOCKET_RESOURCE: out of memory.
 */
BERTH_API bool berth_server_set_tls(berth_server *server, berth_tls *tls);

/** Returns the configuration of the server, not held for the caller; NULL if it does not encrypt.
 */
BERTH_API berth_tls *berth_server_tls(const berth_server *server);

/**
 * Sets the configuration for clients that ask for a name (SNI), in place of that of
 * berth_server_set_tls, which the server must have too. From the next handshake on. The handler
 * client_hello, if it is set, chooses instead. Looking a name up takes time that grows with the
 * logarithm of the number of names, setting one time that grows with it.
 *
 * @param name  of a host, as "example.org", in letters of either case; or "*.example.org", for all
 *              names with exactly one label more that have no configuration of their own. Letters,
 *              digits, '-', '_' and '.', at most 253 bytes; no address. What is beyond ASCII is
 *              encoded, as in berth_socket_connect_to_host
 * @param tls   a configuration for servers, which the server holds; NULL removes what there is
 * @return false on failure, with class and text set; nothing changes then. OPERATION: the name is
 *         invalid, or the configuration is one for clients. SOCKET_RESOURCE: out of memory.
 */
BERTH_API bool berth_server_set_tls_host(berth_server *server, const char *name, berth_tls *tls);

/**
 * The base behaviour of client_hello: finds the configuration for a name.
 *
 * @param hello  only its server_name is used, in letters of either case
 * @return that of berth_server_set_tls_host for the name, else that of berth_server_set_tls, not
 *         held for the caller; NULL if the server does not encrypt
 */
BERTH_API berth_tls *berth_server_base_client_hello(const berth_server *server,
                                                    const berth_tls_hello *hello);

/** Returns the time that a connection has from being accepted (or from its PROXY header) until its
 * handshake is complete, in milliseconds. Default: BERTH_DEFAULT_HANDSHAKE_TIMEOUT. */
BERTH_API uint32_t berth_server_handshake_timeout(const berth_server *server);

/** Sets that time. A shorter one also applies to those that are on the way. 0 sets the default. */
BERTH_API void berth_server_set_handshake_timeout(berth_server *server, uint32_t milliseconds);

/** Returns the maximum number of handshakes in progress. Default: BERTH_DEFAULT_MAX_HANDSHAKES. */
BERTH_API int berth_server_max_handshakes(const berth_server *server);

/** Sets the maximum number of handshakes in progress, each of which takes tens of kilobytes. Those
 * in progress are kept, also one for which client_hello is called. Less than 1 counts as 1. */
BERTH_API void berth_server_set_max_handshakes(berth_server *server, int limit);

/** Returns the maximum number of connections that have not begun their handshake. Default:
 * BERTH_DEFAULT_MAX_GREETINGS. */
BERTH_API int berth_server_max_greetings(const berth_server *server);

/**
 * Sets the maximum number of connections that have not begun their handshake, with immediate
 * effect. When one more comes, or no descriptor is left to accept one, the oldest of those whose
 * ClientHello has not come is closed (berth_server_counts.rejected_greeting): so silent clients,
 * however many they are, keep nobody out. When all have sent theirs, accepting stops until
 * handshakes begin.
 *
 * @param limit  less than 1 counts as 1
 */
BERTH_API void berth_server_set_max_greetings(berth_server *server, int limit);

/** A problem of a certificate of the peer. Made by the library; slots may be added at the end. */
typedef struct berth_tls_problem {
    int depth;               /**< 0: its own certificate; 1: that which has signed it; and so on */
    int number;              /**< of OpenSSL, X509_V_ERR_... */
    const char *text;        /**< in words */
    const void *certificate; /**< DER; NULL if there is none */
    size_t size;             /**< of it, in bytes */
} berth_tls_problem;

/* ---- sockets --------------------------------------------------------------------------------- */

/**
 * Encrypts the connections that the socket begins from now on; one that is open goes on as it is.
 * `encrypted` is called when the handshake is complete. It is limited by the connect time-out,
 * counted anew from the connection on (berth_socket_set_connect_timeout).
 *
 * @param tls   a client's configuration, held by the socket; NULL: not encrypted (the default)
 * @param name  what the server is asked for (SNI), and what its certificate must be for: a host
 *              name, or an address. What is beyond ASCII is encoded, as in
 *              berth_socket_connect_to_host. NULL: the host or address that is connected to; to a
 *              Unix socket none is asked for then, and the certificate may be for any name
 * @return false with the error set: OPERATION for a server's configuration, or a copy that fork has
 *         made; SOCKET_RESOURCE when out of memory
 */
BERTH_API bool berth_socket_set_tls(berth_socket *socket, berth_tls *tls, const char *name);

/**
 * Encrypts the connection at hand, as the side that asks (STARTTLS). Everything before must have
 * been read and sent: bytes that the peer has sent in the clear cannot follow. Output counts as
 * sent when bytes_written has announced it; berth_socket_flush_and_announce does that in a call.
 *
 * The handshake is limited by the connect time-out (berth_socket_set_connect_timeout), counted from
 * this call on, also on the side that is asked.
 *
 * @param tls   a client's configuration, held by the connection
 * @param name  as in berth_socket_set_tls; NULL: none is asked for, and the certificate may be for
 *              any name
 * @return false with the error set to OPERATION: it is not CONNECTED, it is encrypted already,
 *         there is unread input or output that was not announced, or the configuration is a
 *         server's; or SOCKET_RESOURCE
 */
BERTH_API bool berth_socket_start_client_encryption(berth_socket *socket, berth_tls *tls,
                                                    const char *name);

/** The same as the side that is asked, with a server's configuration. */
BERTH_API bool berth_socket_start_server_encryption(berth_socket *socket, berth_tls *tls);

/**
 * Waits for the handshake to be complete, connecting included. Handlers of this socket are called.
 *
 * @param milliseconds  -1 for no limit
 * @return whether the connection is encrypted. If the time is over the error is SOCKET_TIMEOUT, and
 *         the handshake goes on
 */
BERTH_API bool berth_socket_wait_for_encrypted(berth_socket *socket, int milliseconds);

/** Returns whether the connection is encrypted: the handshake is complete, and the connection not
 * over. */
BERTH_API bool berth_socket_is_encrypted(const berth_socket *socket);

/* The answers below are those of the encrypted connection; without one those in brackets. Texts and
 * memory are valid until the connection ends. */

/** Returns the version of the protocol (NONE). */
BERTH_API berth_tls_version berth_socket_tls_version(const berth_socket *socket);

/** Returns the name of the cipher suite (""). */
BERTH_API const char *berth_socket_tls_cipher(const berth_socket *socket);

/** Returns the protocol of the application that was agreed on by ALPN (""). */
BERTH_API const char *berth_socket_tls_protocol(const berth_socket *socket);

/** Returns the name of the server that the client has asked for, in small letters (""). */
BERTH_API const char *berth_socket_tls_server_name(const berth_socket *socket);

/** Returns whether an earlier session was resumed (false). */
BERTH_API bool berth_socket_tls_was_resumed(const berth_socket *socket);

/** Returns whether the peer has shown a certificate in which no problem was found, not even one
 * that was ignored (false). */
BERTH_API bool berth_socket_is_peer_verified(const berth_socket *socket);

/**
 * Returns the peer's certificate in DER (NULL, if it has shown none).
 *
 * @param ret_size  set to its size in bytes
 */
BERTH_API const void *berth_socket_peer_certificate(const berth_socket *socket, size_t *ret_size);

/** Returns whether the last encrypted connection ended without the peer's close_notify, so that
 * bytes may be missing at its end: also by a damaged record, or an alert. False while it is open,
 * and if this side has ended it. */
BERTH_API bool berth_socket_tls_was_truncated(const berth_socket *socket);

/** Returns how many encrypted bytes the kernel has not accepted yet (0). */
BERTH_API size_t berth_socket_encrypted_bytes_to_write(const berth_socket *socket);

/**
 * Returns what a later connection to the same server can be resumed with; of a client. Servers of
 * TLS 1.3 send it after the handshake, so ask when input has come.
 *
 * @param data  room for it; nothing is written if it does not fit
 * @param size  bytes of room
 * @return its size in bytes; 0: there is none (yet)
 */
BERTH_API size_t berth_socket_tls_session(const berth_socket *socket, void *data, size_t size);

/**
 * Has the next connections that the socket begins resume a session. One that is invalid or that the
 * server does not accept is not an error: the handshake is then a full one.
 *
 * @param session  from berth_socket_tls_session, copied; ignored if `size` is 0
 * @param size     bytes; 0: none
 * @return false with the error set to SOCKET_RESOURCE when out of memory
 */
BERTH_API bool berth_socket_set_tls_session(berth_socket *socket, const void *session, size_t size);

BERTH_END_DECLARATIONS

#endif
