/*
 * What a server and a connection bear before they act by themselves.
 *
 * Two values: berth_accept_limits decides which connections a server takes, and how fast;
 * berth_connection_limits decides how long a connection may go on as it does. A zeroed value limits
 * nothing, and that is the default of both. They are set with berth_server_set_accept_limits,
 * berth_server_set_connection_limits (for the connections that a server accepts from then on) and
 * berth_socket_set_limits, at any time. Slots may be added at the end.
 *
 * What the limits did is counted: see statistics.h.
 */
#ifndef BERTH_LIMITS_H
#define BERTH_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/export.h>

BERTH_BEGIN_DECLARATIONS

/** Default of berth_accept_limits.ipv4_prefix: each address by itself. */
#define BERTH_DEFAULT_IPV4_PREFIX 32

/** Default of berth_accept_limits.ipv6_prefix: what one site usually has. */
#define BERTH_DEFAULT_IPV6_PREFIX 64

/** Default of berth_connection_limits.rate_window, in milliseconds. */
#define BERTH_DEFAULT_RATE_WINDOW 10000

/** Milliseconds by which a connection may outlive a limit of time, in a loop that is not busy
 * otherwise. It never ends before. */
#define BERTH_LIMIT_TICK 10

/** Connections that have ended gracefully and linger, at most so many in a loop: beyond that, and
 * when accepting fails for want of descriptors, those that have lingered longest are closed. */
#define BERTH_MOST_LINGERING 4096

/** What accepting is limited by. */
typedef struct berth_accept_limits {
    /** Most live connections of one address; one more is closed as it is accepted. Counted are
     * those that are on sockets of the server, and those of them that have ended gracefully and
     * linger, if they were accepted while this was not 0. The address
     * is what berth_socket_peer_address says: the client's also behind a proxy or a balancer, whose
     * connections are looked at when it has been told. 0: any. */
    uint32_t per_address;
    /** Leading bits that make IPv4 addresses one address for that: 1 to 32; 0:
     * BERTH_DEFAULT_IPV4_PREFIX. IPv4 addresses mapped into IPv6 count as IPv4. */
    uint8_t ipv4_prefix;
    /** The same for IPv6: 1 to 128; 0: BERTH_DEFAULT_IPV6_PREFIX. */
    uint8_t ipv6_prefix;
    /** Connections accepted in a second, on average; more wait in the kernel. 0: any number. */
    uint32_t per_second;
    /** How many may be accepted at once after a silence. 0: as many as in a second. */
    uint32_t burst;
    /** Out of descriptors: close those who wait in the kernel, by means of a descriptor that is
     * kept for it, instead of leaving them there until there are descriptors again. */
    bool shed;
} berth_accept_limits;

/** What a connection is limited by. The times are milliseconds, 0 for no limit; see
 * BERTH_LIMIT_TICK. They run while the connection stands, blocking waits for it included. */
typedef struct berth_connection_limits {
    /** From the connection's beginning, or the setting, to its first byte of input. */
    uint32_t first_byte;
    /** Since the last byte went either way, taken by the kernel or delivered to the socket. A
     * socket that does not take its input (a full read buffer) does not count as idle. */
    uint32_t idle;
    /** From the connection's beginning, or the setting, to its end. */
    uint32_t lifetime;
    /** Bytes a second, both ways together, that have to go in each rate_window. For streams that
     * are to keep going: a silence between two requests is too slow as well. 0: no limit. */
    uint32_t minimum_rate;
    uint32_t rate_window; /**< milliseconds; 0: BERTH_DEFAULT_RATE_WINDOW */
    /** Bytes of output that the kernel has not taken. A write that would go beyond first gives the
     * kernel all that it takes; if too much is left the write fails, and the connection ends in the
     * same turn. 0: no limit. With a lower high mark (berth_socket_set_write_marks) it is never
     * reached. */
    size_t output;
} berth_connection_limits;

/** How connections that nobody takes are ended. */
typedef enum berth_reject_mode {
    BERTH_REJECT_CLOSE = 0, /**< as by close: in order, or by a reset if the peer has sent */
    BERTH_REJECT_RESET = 1  /**< by a reset */
} berth_reject_mode;

BERTH_END_DECLARATIONS

#endif
