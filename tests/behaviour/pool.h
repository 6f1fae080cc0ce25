/*
 * A pool whose workers echo, and bare connections to it: what the cases on pools are written with.
 *
 * The workers' threads say what they see in atomic counters; what must not be counts as wrong, and
 * fails the case when it ends the pool. Real kernels only: a simulated one is one loop's.
 */
#ifndef BERTH_TESTS_POOL_H
#define BERTH_TESTS_POOL_H

#include "soon.h"

#include <berth/berth.h>

#include <stdatomic.h>

#define POOL_WORKERS 2

struct pool_seen {
    atomic_uint started;
    atomic_uint stopped;
    atomic_uint served[POOL_WORKERS];
    atomic_uint failed;
    atomic_uint wrong;
};
extern struct pool_seen pool_seen;

/* Counts as wrong unless it holds. */
void pool_must(bool condition);

/* The handlers of such a pool, for cases that have some of their own. */
bool pool_starting(berth_worker *worker, void *user);
void pool_stopping(berth_worker *worker, void *user);
void pool_connection(berth_worker *worker, berth_socket *socket, void *user);
void pool_failed(berth_worker *worker, berth_error error, void *user);
extern const berth_socket_handlers pool_echo;

/* Makes and starts one. */
berth_workers *pool_of(const berth_workers_handlers *handlers);
berth_workers *pool_new(void);
void pool_end(berth_workers *workers);

size_t pool_connections(const berth_workers *workers);
unsigned pool_served(void);
berth_server_counts pool_counts(const berth_workers *workers);

/* ---- blocking peers -------------------------------------------------------------------------- */

int pool_listener(uint16_t *ret_port); /* on 127.0.0.1 */
int pool_client(uint16_t port);
/* A connection that nobody accepts by Berth: the near end for the pool, the far one for the case.
 */
int pool_pair(int *ret_client);
void pool_assert_echo(int client);
void pool_assert_end(int client); /* and closes it */

#endif
