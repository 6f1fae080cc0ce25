/*
 * What a server and a loop have done: counts that only grow, and a few of what there is now.
 *
 * Reading them costs nothing but the copy, and nothing ever sets them back. Slots may be added at
 * the end; a program gets those it was compiled with.
 *
 * The balance of a server, true whenever a program can look, inside every handler too:
 *
 *     accepted + added = taken + pending + awaiting_header + at_hand + handed_over
 *                        + rejected_address + rejected_call + rejected_shed + rejected_header
 *                        + failed + dropped + closed_pending
 *
 * On the left is what came, on the right what became of it. A connection that was taken is the
 * program's; how the server's limits ended it is told by closed_first_byte and those that follow,
 * which count connections of the queue as well.
 */
#ifndef BERTH_STATISTICS_H
#define BERTH_STATISTICS_H

#include <stdint.h>

#include <berth/export.h>

BERTH_BEGIN_DECLARATIONS

/** Counts of a server. */
typedef struct berth_server_counts {
    uint64_t accepted; /**< connections taken out of the kernel, rejected ones included */
    /** put into the queue by berth_server_add_pending_connection, and descriptors given to
     * berth_server_base_incoming_connection outside of the handler incoming_connection */
    uint64_t added;

    uint64_t taken;            /**< given out by berth_server_base_next_pending_connection */
    uint64_t pending;          /**< now in the queue */
    uint64_t handed_over;      /**< kept by the handler incoming_connection, which has returned */
    uint64_t rejected_address; /**< beyond berth_accept_limits.per_address */
    uint64_t rejected_call;    /**< by berth_server_reject */
    uint64_t rejected_shed;    /**< out of descriptors, with berth_accept_limits.shed */
    uint64_t failed;           /**< closed for want of memory, or as they were no connections */
    uint64_t dropped;          /**< left the queue by berth_server_close or berth_socket_free, or
                                    awaited their header until berth_server_close; or were
                                    given up by berth_server_drop_copies */
    uint64_t closed_pending;   /**< of the following, those that were in the queue */

    uint64_t closed_first_byte; /**< connections ended by berth_connection_limits.first_byte */
    uint64_t closed_idle;       /**< by idle */
    uint64_t closed_lifetime;   /**< by lifetime */
    uint64_t closed_rate;       /**< by minimum_rate */
    uint64_t closed_output;     /**< by output */

    uint64_t live;            /**< connections that sockets of the server have now */
    uint64_t paced;           /**< times that accepting has stopped for per_second */
    uint64_t accept_failures; /**< accepts that have failed for want of descriptors or memory */
    uint64_t exhaustions;     /**< episodes of such a want */

    uint64_t awaiting_header; /**< now without their PROXY header; bounded as pending ones are */
    uint64_t rejected_header; /**< closed as no valid PROXY header came in time */
    uint64_t at_hand;         /**< now in the hands of incoming_connection, which decides on it */
    /** connections now that have ended gracefully, and whose peers have not; see
     * BERTH_MOST_LINGERING
     */
    uint64_t lingering;
} berth_server_counts;

/** Counts of a loop. */
typedef struct berth_loop_counts {
    uint64_t turns;
    uint64_t waits;        /**< times that the backend was asked for news */
    uint64_t accepted;     /**< connections, of all its servers */
    uint64_t bytes_in;     /**< delivered to sockets */
    uint64_t bytes_out;    /**< taken by the kernel */
    uint64_t live;         /**< connections and listeners now, those being closed included */
    uint64_t limits_ended; /**< connections ended by berth_connection_limits */

    /* of io_uring; 0 with epoll */
    uint64_t buffer_shortages;     /**< receives that found no buffer */
    uint64_t completion_overflows; /**< times that the queue of completions was too small */
    uint64_t receives_renewed;     /**< receives begun again that should have gone on */
    uint64_t resets_found;         /**< streams whose reset the kernel had not told of */

    uint64_t lingering; /**< connections now that have ended gracefully, and whose peers have not */
    uint64_t lingers_cut; /**< closed before their time: too many, or want of descriptors */
} berth_loop_counts;

BERTH_END_DECLARATIONS

#endif
