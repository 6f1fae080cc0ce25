/*
 * Berth: TCP servers in C. Includes every public header.
 *
 *     berth_server        listens, accepts, queues
 *     berth_socket        one TCP stream
 *     berth_loop          one thread's event loop
 *     berth_timer         calls back later
 *     berth_workers       a pool of threads that serve connections
 *     berth_address       a host address, by value
 *     berth_proxy         a proxy, by value
 *     berth_error         classes of errors
 *     limits.h            what servers and connections bear
 *     statistics.h        what servers and loops have done
 */
#ifndef BERTH_BERTH_H
#define BERTH_BERTH_H

#include <berth/address.h>
#include <berth/error.h>
#include <berth/limits.h>
#include <berth/loop.h>
#include <berth/memory.h>
#include <berth/proxy.h>
#include <berth/server.h>
#include <berth/socket.h>
#include <berth/statistics.h>
#include <berth/subnet.h>
#include <berth/timer.h>
#include <berth/version.h>
#include <berth/workers.h>

#endif
