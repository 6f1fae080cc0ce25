/*
 * What the handshakes have in common: a step, and the rules by which bytes go in and out.
 *
 * A handshake is a struct that its owner keeps, without memory of its own; strings it was begun
 * with are borrowed until it ends. It does no input or output:
 *
 *     begin -> SEND     the owner takes the output and sends all of it
 *           -> RECEIVE  the owner gives input; the handshake says how many bytes it has used
 *           ...
 *           -> DONE     what was not used belongs to the stream
 *              REFUSED  `refusal` says why
 *              AGAIN    HTTP only: the proxy gives this connection up; begin on a new one
 *
 * Input may be cut anywhere. No byte behind the handshake is used, and none is looked at. A step
 * other than RECEIVE uses no input. When the peer ends the connection in any step but DONE the
 * handshake has failed, which its owner says by itself.
 */
#ifndef BERTH_HANDSHAKE_H
#define BERTH_HANDSHAKE_H

typedef enum berth__handshake {
    BERTH__HANDSHAKE_SEND,
    BERTH__HANDSHAKE_RECEIVE,
    BERTH__HANDSHAKE_DONE,
    BERTH__HANDSHAKE_REFUSED,
    BERTH__HANDSHAKE_AGAIN
} berth__handshake;

/* The longest user and the longest password, in bytes: the bound of SOCKS5 (RFC 1929), and ours for
 * HTTP. */
#define BERTH__MOST_CREDENTIAL 255u

/* The longest name of a host, in bytes: the bound of SOCKS5 (RFC 1928), and ours for HTTP. */
#define BERTH__MOST_NAME 255u

#endif
