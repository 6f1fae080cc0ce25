/*
 * Output that is not copied: blocks of the program's memory, and parts of files.
 *
 * A block is a chunk of the output chain whose bytes are elsewhere. When they have been sent, or
 * dropped with the connection, the pool has the block in its list, and the loop gives it back in a
 * phase of its turn, as a source: there the program's release handler is called, which may do
 * anything, or the file is closed. So neither happens inside a write.
 */
#ifndef BERTH_SRC_BLOCKS_H
#define BERTH_SRC_BLOCKS_H

#include <berth/socket.h>

#include "base/buffer.h"

struct berth_loop;

typedef struct berth__block {
    berth__chunk chunk; /* first, so that one is the other */
    berth_release_handler release;
    void *user;
    const void *data;
    size_t size;
    bool closes; /* the last of a file: ends the descriptor */
} berth__block;

/* A block of that memory, in no chain. NULL when out of memory. `size` is UINT32_MAX at most. */
berth__block *berth__block_new(struct berth_loop *loop, const void *data, size_t size,
                               berth_release_handler release, void *user);

/* Gives one back that is in no chain, as if it had never been. */
void berth__block_free(struct berth_loop *loop, berth__block *block);

/* Opens a file again and finds how much of it is to be sent, for a size of SIZE_MAX. Returns a
 * descriptor, or a negative errno: ENODATA if it is shorter. */
int berth__blocks_open_file(struct berth_loop *loop, int descriptor, uint64_t offset, size_t *size);

/* Appends a part of a file, whose descriptor (of open_file) is the chain's from then on. False when
 * out of memory, and nothing has changed. */
bool berth__blocks_append_file(struct berth_loop *loop, berth__chain *chain, int descriptor,
                               uint64_t offset, size_t size);

#endif
