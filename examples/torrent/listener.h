/*
 * The port that all torrents share: connections are accepted here, and go to a torrent by the hash
 * in their handshake (peer.h).
 *
 * The library limits connections by address (of IPv6 by /64): --max-peers-per-address times the
 * torrents, and a quarter of all places at most. When the handshake names the torrent, those that
 * it has of one address are counted too (torrent_is_crowded). When all places are taken, a peer of
 * no use makes room; if there is none, the connection is closed.
 */
#ifndef TORRENT_LISTENER_H
#define TORRENT_LISTENER_H

#include "session.h"

/* Listens; on failure prints a line and exits. Through a proxy that only connects, it goes on. */
void listener_open(session *session);
/* Sets the limit of an address, now that the number of torrents is known. */
void listener_limit(session *session);
void listener_close(session *session);

#endif
