/*
 * Who sent the blocks of a piece that failed its hash. No sockets.
 *
 * One contributor: that address is banned. Several: each goes on parole, that is, gets whole pieces
 * alone until one of them is good (it is cleared) or bad (it is banned). Blocks that were stored
 * before this run are nobody's: then nobody is banned.
 */
#ifndef TORRENT_BLAME_H
#define TORRENT_BLAME_H

#include <berth/address.h>

#include "metainfo.h"

typedef struct blame blame;

typedef enum blame_standing {
    BLAME_TRUSTED,
    BLAME_PAROLE,
    BLAME_BANNED
} blame_standing;

blame *blame_new(const metainfo *info);
void blame_free(blame *self);

/* A block was stored that came from an address. False when out of memory: it is nobody's then. */
bool blame_block(blame *self, berth_address from, uint32_t index, uint32_t block);
void blame_old_blocks(blame *self, uint32_t index); /* some are from before this run */

/* The piece was hashed. Returns how many addresses were banned by that, into `ret_banned` at most
 * `most` of them. */
uint32_t blame_result(blame *self, uint32_t index, bool good, berth_address *ret_banned,
                      uint32_t most);

/* A violation of the protocol: the third one of an address bans it. */
blame_standing blame_violation(blame *self, berth_address address);
void blame_ban(blame *self, berth_address address);
blame_standing blame_look_up(const blame *self, berth_address address);

#endif
