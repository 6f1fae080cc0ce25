/*
 * The way of a socket to its connection: a name looked up, addresses tried, the first that answers
 * taken.
 *
 *     start -> [lookup] -> attempt, after 250 ms or a failure the next, ... -> the first
 *     connection, or the last error
 *
 * As RFC 8305 has it, attempts overlap: a second address does not have to wait for the first one's
 * time-out. A connector exists from the beginning of a connect until its end and belongs to its
 * socket, to which it reports by berth__socket_connected.
 */
#ifndef BERTH_CONNECTING_H
#define BERTH_CONNECTING_H

#include "socket.h"

/* Begins: a name (not NULL) is looked up or left to the proxy, an address is ready to be tried.
 * Returns an errno or a refusal if it could not begin; the socket has no connector then. */
int berth__connect_start(berth_socket *socket, const char *name, berth_address address,
                         uint16_t port);

/* Begins the attempts; to be called once after berth__connect_start. Does nothing while a name is
 * being looked up. */
void berth__connect_begin(berth_socket *socket);

/* Drops every attempt, without a word. Allowed without a connector. */
void berth__connect_cancel(berth_socket *socket);

/* The loop was inherited by fork, and is the process's own now. Allowed without a connector. */
void berth__connect_renew(berth_socket *socket);

/* In a blocking wait of this socket: one of the attempts that has something to report, or NULL. */
berth__stream *berth__connect_stream(const berth_socket *socket);

/* In a blocking wait of this socket, where no timer runs: does what is due. Returns when it wants
 * to be called again. */
uint64_t berth__connect_step(berth_socket *socket);

#endif
