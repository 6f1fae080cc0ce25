/*
 * Counts of servers and loops.
 *
 * Most counts only grow; nothing resets them. Those described with "now" are present numbers.
 * Reading them costs a copy. A program gets those that it was compiled with.
 *
 * For a server this balance always holds, inside its handlers too:
 *
 *     accepted + added = taken + pending + awaiting_header + at_hand + handed_over
 *                        + rejected_address + rejected_call + rejected_shed + rejected_header
 *                        + failed + dropped + closed_pending
 *                        + greeting + handshaking + failed_handshake + rejected_greeting
 *
 * The left side counts connections that came, the right side what became of them. What became of a
 * connection after it was taken is up to the program; closed_first_byte to closed_output count the
 * connections that limits ended, in the queue or after they were taken, and closed_drain those that
 * the end of a drain reset.
 */
#ifndef BERTH_STATISTICS_H
#define BERTH_STATISTICS_H

#include <stdint.h>

#include <berth/export.h>

BERTH_BEGIN_DECLARATIONS

/** Counts of a server, in connections unless described otherwise. Slots may be added at the end. */
typedef struct berth_server_counts {
    uint64_t accepted; /**< accepted from the kernel, including those that were rejected */
    /** added with berth_server_add_pending_connection; and descriptors passed to
     * berth_server_base_incoming_connection outside of the handler incoming_connection */
    uint64_t added;

    uint64_t taken;            /**< returned by berth_server_base_next_pending_connection */
    uint64_t pending;          /**< in the queue now */
    uint64_t handed_over;      /**< kept by the handler incoming_connection, which has returned */
    uint64_t rejected_address; /**< closed by the limit berth_accept_limits.per_address */
    uint64_t rejected_call;    /**< closed by berth_server_reject */
    uint64_t rejected_shed;    /**< closed by berth_accept_limits.shed: no descriptor was left */
    uint64_t failed; /**< closed because memory was short, or the descriptor was invalid */
    /** left the queue because of berth_server_close, berth_socket_free or the deadline of a drain;
     * or awaited their PROXY header or their TLS handshake at such an end; or were closed by
     * berth_server_drop_copies */
    uint64_t dropped;
    uint64_t closed_pending; /**< ended by a limit in the queue; also counted in the next five */

    uint64_t closed_first_byte; /**< ended by berth_connection_limits.first_byte */
    uint64_t closed_idle;       /**< ended by berth_connection_limits.idle */
    uint64_t closed_lifetime;   /**< ended by berth_connection_limits.lifetime */
    uint64_t closed_rate;       /**< ended by berth_connection_limits.minimum_rate */
    uint64_t closed_output;     /**< ended by berth_connection_limits.output */

    uint64_t live;            /**< open now, on sockets of the server */
    uint64_t paced;           /**< times that accepting stopped because of per_second */
    uint64_t accept_failures; /**< accepts that failed for want of descriptors or memory */
    uint64_t exhaustions;     /**< episodes of such failures */

    uint64_t awaiting_header; /**< awaiting their PROXY header now; they count as pending */
    uint64_t rejected_header; /**< closed because no valid PROXY header came in time */
    uint64_t at_hand;         /**< passed to incoming_connection now, which has not decided yet */
    uint64_t lingering;       /**< ended gracefully, and lingering now: see BERTH_MOST_LINGERING */
    uint64_t closed_drain;    /**< ended by the deadline of a drain, also in the queue */

    /* of a server that encrypts (tls.h); else 0 */
    uint64_t greeting;         /**< accepted, and have not begun their TLS handshake now */
    uint64_t handshaking;      /**< in their TLS handshake now */
    uint64_t handshakes;       /**< TLS handshakes that were completed */
    uint64_t failed_handshake; /**< closed because no TLS handshake came of them; each was passed to
                                    the handler handshake_failed */
    /** closed because berth_server_max_greetings had not begun their handshake, or because no
     * descriptor was left: the oldest of those whose ClientHello has not come */
    uint64_t rejected_greeting;
} berth_server_counts;

/** Counts of a loop. Slots may be added at the end. */
typedef struct berth_loop_counts {
    uint64_t turns;        /**< turns of the loop */
    uint64_t waits;        /**< calls of the backend to get events */
    uint64_t accepted;     /**< connections accepted by all servers */
    uint64_t bytes_in;     /**< bytes delivered to sockets */
    uint64_t bytes_out;    /**< bytes of output accepted by the kernel */
    uint64_t live;         /**< connections and listeners now, including those being closed */
    uint64_t limits_ended; /**< connections ended by berth_connection_limits */

    /* io_uring only; 0 with epoll */
    uint64_t buffer_shortages;     /**< receives that found no buffer */
    uint64_t completion_overflows; /**< times that the completion queue was too small */
    uint64_t receives_renewed;     /**< multishot receives that ended early and were restarted */
    uint64_t resets_found;         /**< resets that the kernel had not reported */

    uint64_t lingering; /**< connections that have ended gracefully, and linger now */
    uint64_t
        lingers_cut; /**< lingering connections closed early: too many, or no descriptor left */
} berth_loop_counts;

BERTH_END_DECLARATIONS

#endif
