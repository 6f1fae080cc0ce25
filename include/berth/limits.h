/*
 * Limits of servers and connections.
 *
 * berth_accept_limits limits which connections a server accepts, and how fast.
 * berth_connection_limits limits how long a connection may last, how slow it may be, and how much
 * output it may accumulate. A zeroed value has no limits; that is the default of both. They can be
 * set at any time: with berth_server_set_accept_limits, with berth_server_set_connection_limits
 * (for connections that the server accepts from then on), and with berth_socket_set_limits.
 *
 * statistics.h counts what the limits did.
 */
#ifndef BERTH_LIMITS_H
#define BERTH_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/export.h>

BERTH_BEGIN_DECLARATIONS

/** Default of berth_accept_limits.ipv4_prefix: each address is counted separately. */
#define BERTH_DEFAULT_IPV4_PREFIX 32

/** Default of berth_accept_limits.ipv6_prefix: the prefix that one site usually has. */
#define BERTH_DEFAULT_IPV6_PREFIX 64

/** Default of berth_connection_limits.rate_window, in milliseconds. */
#define BERTH_DEFAULT_RATE_WINDOW 10000

/** How late a time limit may end a connection, in milliseconds, in a loop that is not busy
 * otherwise. It never ends one early. */
#define BERTH_LIMIT_TICK 10

/** Maximum number of connections of a loop that have ended gracefully and linger (see
 * berth_socket_disconnect_from_host). Beyond it, and when accepting fails for want of descriptors,
 * those that have lingered longest are closed. */
#define BERTH_MOST_LINGERING 4096

/** Limits on accepting. Slots may be added at the end. */
typedef struct berth_accept_limits {
    /** Maximum number of connections of one address; further ones are closed as they are accepted.
     * Connections count that were accepted while this limit was set, until they have ended and no
     * longer linger. The address is that of berth_socket_peer_address. Behind a proxy or a balancer
     * it is the client's, and a connection is checked when its PROXY header has come. 0: no limit.
     */
    uint32_t per_address;
    /** Prefix length by which IPv4 addresses count as one address: 1 to 32; 0 for
     * BERTH_DEFAULT_IPV4_PREFIX. IPv4-mapped IPv6 addresses count as IPv4. */
    uint8_t ipv4_prefix;
    /** The same for IPv6: 1 to 128; 0 for BERTH_DEFAULT_IPV6_PREFIX. */
    uint8_t ipv6_prefix;
    /** Maximum number of connections accepted in a second, on average; others wait in the kernel.
     * 0: no limit. */
    uint32_t per_second;
    /** Number of connections that may be accepted at once after a pause in traffic; 0 for as many
     * as in one second. */
    uint32_t burst;
    /** What happens when no descriptor is left. false: connections wait in the kernel until there
     * is one. true: they are closed, by means of a descriptor kept for that purpose. */
    bool shed;
} berth_accept_limits;

/** Limits of a connection. Times are milliseconds; 0 is no limit. They run while the connection is
 * open, in blocking waits for it too. See BERTH_LIMIT_TICK for their accuracy. Of an encrypted
 * connection the encrypted output counts, each byte of it, and the decrypted input, which comes
 * record by record. Slots may be added at the end. */
typedef struct berth_connection_limits {
    /** Time from the beginning of the connection, or from setting the limits, to the first byte of
     * its input. Once that has come, setting it has no effect on the connection. */
    uint32_t first_byte;
    /** Time in which no byte is transferred: neither delivered to the socket, nor accepted by the
     * kernel, nor acknowledged by the peer. The kernel is asked for acknowledgements only when the
     * time is over, so a connection whose peer has not acknowledged all output by then, or had not
     * when the limits were set, ends within twice the time. While the socket does not receive
     * because reading is paused, its read buffer is full or its rate has no tokens, the time runs
     * only while output waits that the peer does not take. It then begins when output begins to
     * wait, and again when receiving continues. It does not run while output waits for the tokens
     * of a rate. */
    uint32_t idle;
    /** Time from the beginning of the connection, or from setting the limits, to its end. */
    uint32_t lifetime;
    /** Bytes per second, in both directions together, that must be transferred on average in each
     * rate_window. The next window begins when the loop sees that one is over, so one that the
     * program was too busy to see is longer. No connection is ended as long as input that the loop
     * has not been free to receive makes up for what lacks. Output is transferred when the kernel
     * accepts it or when the peer acknowledges it, whichever is more in the window. For streams
     * that must not stall: a pause between two requests counts as too slow. The window begins anew
     * whenever the time of `idle` would not run; while the socket does not receive, output that
     * waits is therefore judged alone. The first window after that may be granted twice. 0: no
     * limit. */
    uint32_t minimum_rate;
    uint32_t rate_window; /**< milliseconds; 0 for BERTH_DEFAULT_RATE_WINDOW */
    /** Maximum number of bytes of output that the kernel has not accepted. A write that would
     * exceed it first passes to the kernel what that accepts. If too much is left, the write fails
     * and the connection ends in the same turn; if the peer has gone, as after any failed send. 0:
     * no limit. Not reached if a lower high mark is set (berth_socket_set_write_marks). */
    size_t output;
} berth_connection_limits;

/** How berth_server_reject closes connections. */
typedef enum berth_reject_mode {
    BERTH_REJECT_CLOSE = 0, /**< gracefully, or by a reset if the peer has sent bytes */
    BERTH_REJECT_RESET = 1  /**< by a reset */
} berth_reject_mode;
BERTH_END_DECLARATIONS

#endif
