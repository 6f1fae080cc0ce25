/*
 * Berth: TCP servers in C. Includes every public header.
 *
 *     server.h      berth_server: listens, accepts, queues connections
 *     socket.h      berth_socket: one TCP stream
 *     loop.h        berth_loop: the event loop of one thread
 *     timer.h       berth_timer: calls a function later
 *     watch.h       berth_watch: a descriptor of the program's own
 *     signal.h      berth_signal: a signal as an event of a loop
 *     workers.h     berth_workers: a pool of threads that serve connections
 *     inherited.h   listeners that another process has opened, by name
 *     handover.h    berth_handover: hot restart
 *     notify.h      telling systemd or another supervisor
 *     local.h       Unix-domain sockets
 *     address.h     berth_address: a host address, a value
 *     subnet.h      berth_subnet: a block of addresses, a value
 *     tls.h         berth_tls: encryption
 *     proxy.h       berth_proxy: a proxy, a value
 *     rate.h        berth_rate: bytes a second, for sockets that share them
 *     error.h       berth_error: classes of errors
 *     limits.h      limits of servers and connections
 *     statistics.h  counts of servers and loops
 *     memory.h      the allocator
 *     version.h     the version
 *
 * C++ programs may include berth.hpp in its place.
 */
#ifndef BERTH_BERTH_H
#define BERTH_BERTH_H

#include <berth/address.h>
#include <berth/error.h>
#include <berth/handover.h>
#include <berth/inherited.h>
#include <berth/limits.h>
#include <berth/local.h>
#include <berth/loop.h>
#include <berth/memory.h>
#include <berth/notify.h>
#include <berth/proxy.h>
#include <berth/rate.h>
#include <berth/server.h>
#include <berth/signal.h>
#include <berth/socket.h>
#include <berth/statistics.h>
#include <berth/subnet.h>
#include <berth/timer.h>
#include <berth/tls.h>
#include <berth/version.h>
#include <berth/watch.h>
#include <berth/workers.h>

#endif
