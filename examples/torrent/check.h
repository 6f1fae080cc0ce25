/*
 * The start check: which pieces of the files are those of the torrent.
 *
 * It goes by runs of pieces, one job for each, as many at once as there are threads. Pieces whose
 * files were only just made are not read.
 */
#ifndef TORRENT_CHECK_H
#define TORRENT_CHECK_H

#include <berth/workers.h>

#include "bits.h"
#include "metainfo.h"
#include "storage.h"

typedef struct check check;

typedef struct check_handlers {
    void (*checked)(void *user, uint32_t done); /* pieces so far */
    /* The last call; the check is freed then. False: it was cancelled, or memory ran out. */
    void (*ended)(void *user, bool ok);
} check_handlers;

/* Checks the pieces that are not in `trusted` (NULL: all), and puts all that are there into
 * `ret_have`, which must live until `ended`. NULL when out of memory; no handler is called then. */
check *check_new(berth_loop *loop, berth_workers *threads, const metainfo *info, storage *files,
                 const bits *trusted, bits *ret_have, const check_handlers *handlers, void *user);
void check_cancel(check *self); /* `ended` is still called */

#endif
