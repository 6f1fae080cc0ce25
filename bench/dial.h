/*
 * What the load generators share of connecting: sockets with source addresses in turn, which end
 * with a reset.
 *
 * So what one measurement leaves does not meet the next: no pair of addresses runs out of ports,
 * and no TIME_WAIT stays, whose table would fill up, and whose timers would go off on the server's
 * core.
 */
#ifndef BERTH_BENCH_DIAL_H
#define BERTH_BENCH_DIAL_H

#include <netinet/in.h>
#include <stdbool.h>

/* A TCP socket that is bound, not connected; -1 with errno. `flags`: those of socket(). */
int dial_socket(unsigned index, int flags);

/* The same, connected by a call that blocks for ten seconds at most, with TCP_NODELAY. */
int dial(unsigned index, const struct sockaddr_in *server);

bool dial_set_nonblocking(int fd);

/* As many descriptors as the system allows. */
void dial_raise_limit(void);

#endif
