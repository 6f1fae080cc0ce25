/*
 * What the two kernel backends share: socket addresses, making and checking descriptors, accepting
 * in batches.
 *
 * Every system call of the library goes through base/system.h, so that a test can make the n-th one
 * fail. Descriptors made here are close-on-exec. Listening descriptors are made non-blocking, since
 * accept must not wait; stream descriptors stay blocking, because io_uring answers EAGAIN at once
 * for non-blocking ones instead of waiting, and the epoll backend passes MSG_DONTWAIT instead.
 */
#ifndef BERTH_BACKEND_INET_H
#define BERTH_BACKEND_INET_H

#include "backend.h"

#include <sys/socket.h>
#include <sys/uio.h>

/* Returns 0 or an errno: EINVAL for a scope that names no interface, or a null address. ANY becomes
 * "::". */
int berth__inet_to_sockaddr(const berth_address *address, uint16_t port,
                            struct sockaddr_storage *ret_storage, socklen_t *ret_length);

/* The other way; false for a family that is not IPv4, IPv6 or Unix. */
bool berth__inet_from_sockaddr(const struct sockaddr_storage *storage, berth_address *ret_address,
                               uint16_t *ret_port);

/* Makes, binds and listens; ANY falls back to IPv4 where IPv6 sockets cannot be made. Returns an
 * errno; nothing stays open then. */
int berth__inet_listen(const berth__listen_options *options, int *ret_descriptor,
                       berth__listen_step *ret_step);

/* Errno unless the descriptor, which is to be the record's, is an open stream socket of IPv4, IPv6
 * or Unix that listens, resp. is connected. They note what it is, and the second whether its peer
 * has sent bytes, as far as that can be known. */
int berth__inet_check_listener(int descriptor, berth__listener *listener);
int berth__inet_check_stream(int descriptor, berth__stream *stream);

/* Makes a descriptor with a local name, or, given one that was bound with port 0, has its port
 * chosen. Returns an errno; nothing that was made stays open then. */
int berth__inet_bind(const berth_address *address, uint16_t port, const berth__options *options,
                     int *descriptor);

/* Begins to connect without waiting: the descriptor given, or, if that is -1, a new one. Returns 0
 * (connected at once), EINPROGRESS, or an errno; a new descriptor is closed then. */
int berth__inet_connect(const berth_address *address, uint16_t port, const berth__options *options,
                        int *descriptor);

/* Unix sockets, in inet_local.c. Whether it is one; whether receives from it may end before the
 * bytes that there are. */
bool berth__inet_is_local(int descriptor);
bool berth__inet_is_parcelled(int descriptor);

/* Connects, or fails: an errno. *ret_descriptor is written on success only. */
int berth__inet_connect_local(const berth__local_name *name, const berth__options *options,
                              int *ret_descriptor, bool *ret_parcelled);

/* A send has failed with EPIPE. Of a Unix socket the input may go on all the same: it is ended, so
 * that the end is found behind what has come. */
void berth__inet_cut_input(int descriptor);

/* Whether the listener, in which no connection was found, is one that was shut down from outside.
 */
bool berth__inet_was_shut(int descriptor);

/* Sets options of a new descriptor; an errno. */
int berth__inet_set_options(int descriptor, const berth__options *options);

/* Sets or gets an option of a connection; an errno. */
int berth__inet_option(int descriptor, berth_socket_option which, int *value, bool set);

/* The error that the kernel holds for a connection, which is then forgotten there; an errno. */
int berth__inet_error_of(int descriptor);

/* Whether a connection waits at a listener; how many bytes of the peer the kernel holds. */
bool berth__inet_has_connection(int descriptor);
size_t berth__inet_input(int descriptor);

/* Bytes of output that the peer's kernel has not acknowledged, once the direction was ended. */
size_t berth__inet_in_transit(int descriptor);

/* Whether some of it waits in this kernel for the peer to make room. */
bool berth__inet_has_unsent(int descriptor);

/* Takes the time to wait of SO_LINGER away: closing must not stop a loop. Returns what it was in
 * seconds; 0 for an end that resets, which stays; -1 for none. */
int berth__inet_tame_linger(int descriptor);

/* The names behind operations->name_of; a "::" listener without "v6 only" reports ANY. */
int berth__inet_name_of(int descriptor, berth__side side, berth_address *ret_address,
                        uint16_t *ret_port);

/* Accepts while there is credit, at most BERTH__ACCEPT_BUDGET and as many as the last batches
 * promise, calling the listener's events. Returns true if the listener may hold more connections
 * that the backend should come back for (the batch ended before EAGAIN). */
bool berth__inet_accept_batch(berth__listener *listener);

/* Takes the credit away and reports the failure. Returns false if the listener was closed for good
 * inside the event, and may have been freed. */
bool berth__inet_accept_failed(berth__listener *listener, int error);

/* The operations `reserve` and `reject`. */
int berth__inet_reserve(void);
size_t berth__inet_reject(int listener, size_t most, berth__close_mode mode, int *spare);
/* The operations of the same names, in inet_bare.c and inet_send.c. */
int berth__inet_dial(berth__backend *backend, const berth_address *address, uint16_t port,
                     const berth__options *options, int *ret_descriptor);
int berth__inet_dialled(berth__backend *backend, int descriptor);
ptrdiff_t berth__inet_take(berth__backend *backend, int descriptor, void *data, size_t size,
                           bool keep);
ptrdiff_t berth__inet_put(berth__backend *backend, int descriptor, const berth_piece *pieces,
                          size_t count);
ptrdiff_t berth__inet_put_chunks(berth__backend *backend, int descriptor, const berth__chunk *first,
                                 size_t size);
ptrdiff_t berth__inet_read_file(berth__backend *backend, int descriptor, void *data, size_t size,
                                uint64_t offset);
int berth__inet_open_file(berth__backend *backend, int descriptor, uint64_t *ret_size);
int berth__inet_copy(berth__backend *backend, int descriptor);

/* Of those bytes, what lies in so many chunks at most. Returns how many pieces it is. */
enum {
    BERTH__INET_PIECES = 64,       /* of output */
    BERTH__INET_MANY_PIECES = 1024 /* of put: the kernel takes no more */
};
unsigned berth__inet_pieces(const berth__chunk *first, size_t size,
                            struct iovec pieces[BERTH__INET_PIECES]);

/* Whether they come to a chunk of a file. */
bool berth__inet_has_file(const berth__chunk *first, size_t size);

/* As the operation send, without waiting: a count, or a negative errno. `more`: something follows
 * at once. */
ptrdiff_t berth__inet_send(int descriptor, const berth__chunk *first, size_t size, bool more);

/* Ends a connection for its peer in a mode, whoever else holds a copy; the descriptor stays open.
 * `lingers`: SO_LINGER may be on, by a program that has set it. */
void berth__inet_end(int descriptor, berth__close_mode mode, bool lingers);

/* The same, and closes it. A listener is closed as a copy: shutting it down would end it for the
 * other processes that accept from it. */
void berth__inet_close(int descriptor, berth__close_mode mode);

#endif
