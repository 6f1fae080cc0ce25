/*
 * Unix-domain sockets: servers and connections inside one machine, by the name of a file or by an
 * abstract name.
 *
 * A path names a file of the socket's own kind, which berth_server_listen_local makes. A text that
 * begins with '@' is an abstract name, which has no file and which every user of the network
 * namespace may use; "./@name" is a file. Only stream sockets are supported.
 *
 * Servers, sockets and workers are the same objects as for TCP, and every function of them has a
 * meaning here. What differs:
 *
 * - Addresses have the family BERTH_ADDRESS_FAMILY_LOCAL and no bytes, and ports are 0. No subnet
 *   contains such an address. The path of a server is that of berth_server_local_path. What
 *   a connecting program connected to is that of berth_socket_peer_name.
 * - The peer is known by its user: berth_socket_peer_credentials.
 * - berth_accept_limits.per_address counts by the peer's user (uid). With a PROXY header that names
 *   the client it counts by the client's address.
 * - PROXY headers are read only after berth_server_set_local_proxy_protocol.
 * - Options of TCP and IP are refused (UNSUPPORTED_OPERATION): BERTH_OPTION_LOW_DELAY, the four of
 *   keep-alive, TYPE_OF_SERVICE, USER_TIMEOUT and LINGER. SEND_BUFFER_SIZE limits what the peer has
 *   not read; RECEIVE_BUFFER_SIZE has no effect.
 * - Proxies are never used. A socket or server whose own proxy is set is refused
 *   (UNSUPPORTED_OPERATION). That of the application does not count.
 * - The kernel keeps output that it has accepted for the peer, whatever happens to this side: an
 *   end never destroys it. There is no reset. berth_socket_reset is the same as berth_socket_abort:
 *   it drops the output that the kernel has not accepted and ends the connection at once. The peer
 *   reads the rest; then it sees a reset if it had sent bytes that were not read, and else the end.
 * - A connection can be established before the server accepts it. A server whose backlog is full
 *   does not answer: berth_socket_connect_to_local tries again until its time limit expires.
 * - Descriptors that a peer sends along (SCM_RIGHTS) are not accepted: its send fails, or, before
 *   Linux 6.16, they are closed by the kernel. Urgent bytes (MSG_OOB) are not delivered.
 *
 * berth_socket_set_descriptor, berth_server_set_descriptor and berth_workers_hand_over accept Unix
 * stream sockets too, those of socketpair included.
 */
#ifndef BERTH_LOCAL_H
#define BERTH_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/export.h>
#include <berth/server.h>
#include <berth/socket.h>
#include <berth/workers.h>

BERTH_BEGIN_DECLARATIONS

/** Maximum length of a path, and of an abstract name with its '@', in bytes: 107 and 108. This is
 * the size of a buffer for both, terminator included. */
#define BERTH_LOCAL_PATH_SIZE 109

/** How a path is listened on. A zeroed value is the default. For abstract names nothing of it has
 * an effect. Slots may be added at the end. */
typedef struct berth_local_options {
    /** Permissions of the file, 1 to 0777: who may write to it may connect. 0: those that the umask
     * of the process leaves. They are set before anybody can connect. */
    uint32_t mode;
    /** Group of the file, if set_group is true. */
    uint32_t group;
    /** Whether the file gets that group. */
    bool set_group;
    /** Whether a socket file in the place, at which nobody listens any more, is replaced. It is
     * tried by a connection, which a server that does listen there sees begin and end. Starters
     * exclude each other by a lock on an empty file PATH.lock, which is made and left there: all of
     * a path should set this. false: any file in the place is ADDRESS_IN_USE. */
    bool replace_stale;
    /** Whether the file is left when the server stops listening. false: it is removed then, if it
     * is still the one that the server made and this is the process that made it. */
    bool keep_file;
} berth_local_options;

/**
 * Starts to listen on a path or an abstract name. The backlog is that of
 * berth_server_set_listen_backlog_size. The file is made with its permissions before anybody can
 * connect; the umask of the process is not changed.
 *
 * Nothing in the place is ever removed but, with replace_stale, a socket at which nobody listens.
 * When the server stops listening it removes its own file: see keep_file. A relative path means the
 * working directory, at either time.
 *
 * @param path     1 to 107 bytes; or '@' and a name, 2 to 108 bytes
 * @param options  const berth_local_options *, copied; NULL for the default
 * @return false on failure, with class and text set; the server is not listening then, unless it
 *         was before. OPERATION: already listening. ADDRESS_IN_USE: a server listens there or is
 *         being started, or a file exists there that is not replaced. SOCKET_ACCESS: the
 *         directory, the lock or the group is not permitted. ADDRESS_NOT_AVAILABLE: the path cannot
 *         exist, or is too long. SOCKET_RESOURCE: no memory, descriptor or space on the disk.
 *         UNSUPPORTED_OPERATION: the path is empty, the mode is more than 0777, or the server's own
 *         proxy is set.
 */
#define berth_server_listen_local(server, path, options) \
    berth_server_listen_local_sized((server), (path), (options), sizeof(berth_local_options))

/** The function behind berth_server_listen_local. `size` is the size of the struct that the caller
 * was compiled with. */
BERTH_API bool berth_server_listen_local_sized(berth_server *server, const char *path,
                                               const berth_local_options *options, size_t size);

/** Returns the path or, with '@' in front, the abstract name that the server listens on, also if
 * the descriptor was adopted; "" if it does not listen, or not on a Unix socket. Zero bytes inside
 * an abstract name are shown as '@'. Valid until the server stops listening. */
BERTH_API const char *berth_server_local_path(const berth_server *server);

/**
 * Starts to connect to a path or an abstract name. Allowed when UNCONNECTED. The course is that of
 * berth_socket_connect_to_address, HOST_LOOKUP and host_found included.
 *
 * While the backlog of the server is full, the connect is tried again, until
 * berth_socket_connect_timeout expires (SOCKET_TIMEOUT).
 *
 * @param path  as berth_server_listen_local; copied. berth_socket_peer_name returns it.
 * @return as berth_socket_connect_to_address. Classes of failures: HOST_NOT_FOUND (no such file),
 *         CONNECTION_REFUSED (nobody listens there), SOCKET_ACCESS, ADDRESS_NOT_AVAILABLE (the path
 *         cannot exist, or is too long), SOCKET_TIMEOUT, SOCKET_RESOURCE, UNSUPPORTED_OPERATION
 *         (the path is empty; not a stream socket; the socket is bound, or its own proxy is set; an
 *         option of TCP is set).
 */
BERTH_API bool berth_socket_connect_to_local(berth_socket *socket, const char *path);

/**
 * Makes the workers of a pool listen on a path or an abstract name, as berth_workers_listen does on
 * a port. They share one socket: a connection may wake several workers, of which one gets it. The
 * file is removed as that of a server is, when the pool stops listening.
 *
 * @param path     as berth_server_listen_local
 * @param options  const berth_local_options *, copied; NULL for the default
 * @return false on failure, with class and text set, and no worker listening. OPERATION: not
 *         started, or listening already. Otherwise as berth_server_listen_local.
 */
#define berth_workers_listen_local(workers, path, options) \
    berth_workers_listen_local_sized((workers), (path), (options), sizeof(berth_local_options))

/** The function behind berth_workers_listen_local. `size` is the size of the struct that the caller
 * was compiled with. */
BERTH_API bool berth_workers_listen_local_sized(berth_workers *workers, const char *path,
                                                const berth_local_options *options, size_t size);

/** The peer of a Unix socket. Slots may be added at the end. */
typedef struct berth_credentials {
    int32_t pid;  /**< process; 0 if it is not visible from this one's namespace */
    uint32_t uid; /**< effective user */
    uint32_t gid; /**< effective group */
} berth_credentials;

/**
 * Gets the credentials of the peer, as the kernel noted them when it connected or, for one that was
 * connected to, when it began to listen. The process may have ended since, and its number may be
 * another's. They are those of the other end of the connection, whatever a PROXY header says.
 *
 * @param ret_credentials  berth_credentials *; set on success only
 * @return false, with class UNSUPPORTED_OPERATION and text, without a connection and for TCP
 */
#define berth_socket_peer_credentials(socket, ret_credentials) \
    berth_socket_peer_credentials_sized((socket), (ret_credentials), sizeof(berth_credentials))

/** The function behind berth_socket_peer_credentials. Writes `size` bytes. */
BERTH_API bool berth_socket_peer_credentials_sized(berth_socket *socket,
                                                   berth_credentials *ret_credentials, size_t size);

/**
 * Sets whether peers of a Unix socket begin their connections with a PROXY header, as balancers on
 * the same machine do. See berth_server_set_proxy_protocol, which sets this for subnets; neither
 * changes the other's.
 *
 * @param expected      false is the default: what the peer sends is its own
 * @param milliseconds  time for the header to arrive, shared with
 *                      berth_server_set_proxy_protocol; 0 for BERTH_DEFAULT_PROXY_HEADER_TIMEOUT
 * @return false when out of memory: class SOCKET_RESOURCE, nothing changes
 */
BERTH_API bool berth_server_set_local_proxy_protocol(berth_server *server, bool expected,
                                                     uint32_t milliseconds);

BERTH_END_DECLARATIONS

#endif
