/*
 * The way of a socket to its connection: a name looked up, addresses tried, the first that answers
 * taken.
 *
 *     start -> [lookup] -> attempt, after 250 ms or a failure the next, ... -> the first
 *     connection, or the last error
 *
 * As RFC 8305 has it, attempts overlap: a second address does not have to wait for the first one's
 * time-out. A connector exists from the beginning of a connect until its end and belongs to its
 * socket, which it tells by berth__socket_connected.
 */
#ifndef BERTH_CONNECT_H
#define BERTH_CONNECT_H

#include "socket.h"

/* Each returns false if it could not begin: out of memory. The socket has no connector then. */
bool berth__connect_name(berth_socket *socket, const char *name, uint16_t port);
bool berth__connect_address(berth_socket *socket, berth_address address, uint16_t port);

/* Begins the attempts at a numeric address; to be called once after berth__connect_address. */
void berth__connect_begin(berth_socket *socket);

/* Drops every attempt, without a word. Allowed without a connector. */
void berth__connect_cancel(berth_socket *socket);

/* In a blocking wait of this socket, where no timer runs: does what is due. Returns when it wants
 * to be called again. */
uint64_t berth__connect_step(berth_socket *socket);

#endif
