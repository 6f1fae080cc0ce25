/*
 * The disk of one torrent, seen from the loop: blocks are written, pieces hashed and blocks read on
 * the threads of a pool (berth_workers), and the ends come back as handlers on the loop's thread.
 *
 * About DISK_MOST_WAITING bytes of received blocks wait, over all torrents of a session; disk_full
 * says so, and the peers are then not read until `relieved`. A piece whose blocks arrive in order
 * is hashed while it arrives; otherwise it is read again for that. Files are opened as needed, at
 * most 64 at a time, below the target folder and through no symbolic link.
 *
 * A failure (no space, I/O error, read-only) is reported once by `failed` with a line; after that
 * everything fails. Such a disk is closed, and another one opened when it may work again.
 */
#ifndef TORRENT_DISK_H
#define TORRENT_DISK_H

#include <berth/loop.h>
#include <berth/workers.h>

#include "bits.h"
#include "metainfo.h"

#define DISK_MOST_WAITING (8 * 1024 * 1024u)

typedef struct disk disk;

/* What the torrents of a session share. All zero at the beginning. */
typedef struct disk_queue {
    uint64_t waiting;  /* bytes that are to be written */
    uint64_t gathered; /* of those, the bytes that wait for more of their piece */
    bool full;         /* `relieved` is due, on any of the disks */
} disk_queue;

typedef enum disk_verdict {
    DISK_GOOD,
    DISK_BAD,
    DISK_UNKNOWN /* the disk has failed, or memory is short: nobody is to blame */
} disk_verdict;

/* Called on the loop's thread, never inside a function of the disk. */
typedef struct disk_handlers {
    /* A block was stored (or not). */
    void (*written)(void *user, uint32_t index, uint32_t block, bool ok);
    /* A piece was hashed, or could not be. */
    void (*hashed)(void *user, uint32_t index, disk_verdict verdict);
    /* A block that disk_read asked for. `data` is NULL if it cannot be read; otherwise the receiver
     * owns it and gives it back with disk_give_back, also after disk_close. `context` as given. */
    void (*read)(void *user, void *context, uint32_t index, uint32_t begin, uint32_t length,
                 void *data);
    /* The bytes that wait have fallen below half of the bound, so that the peers of all torrents
     * may be read again. */
    void (*relieved)(void *user);
    void (*failed)(void *user, const char *why);
    void (*saved)(void *user, bool ok, const char *why);
    /* The start check: after each run of pieces, and at its end. */
    void (*checked)(void *user, uint32_t done, uint32_t of);
    void (*check_ended)(void *user, bool ok);
    /* disk_close has finished: the last call. The disk is freed after it; in it, stamps may still
     * be asked for. */
    void (*closed)(void *user);
} disk_handlers;

/* Opens the target folder and makes the folders and files (sparse, of full length, empty ones too).
 * `user` goes to the handlers. On failure NULL and a line in `error`. */
disk *disk_new(berth_loop *loop, berth_workers *threads, const metainfo *info, const char *folder,
               bool read_only, disk_queue *queue, const disk_handlers *handlers, void *user,
               char *error, size_t error_size);

/* Takes no more work; what was begun is finished; then `closed` is called and the disk is freed.
 * When memory is short that does not begin: call it again a little later, until `closed`. */
void disk_close(disk *self);

/* Memory for a block, to be filled and given to disk_write, or to disk_give_back; NULL when out of
 * memory. */
void *disk_block(disk *self);
/* Writes a block, by itself or with others of its piece, at the latest when that is hashed or the
 * disk closed. The disk owns `data`, from disk_block, from now on. False when out of memory: the
 * block is lost, and not reported. */
bool disk_write(disk *self, uint32_t index, uint32_t block, void *data, uint32_t size);
/* Hashes a piece whose blocks were all given to disk_write. False when out of memory: its blocks
 * must come again, and those that have not been written are not reported. */
bool disk_hash(disk *self, uint32_t index);
/* Reads a part of a piece at once if that needs no device (preadv2 with RWF_NOWAIT); else NULL. The
 * receiver owns the bytes as those of `read`. */
void *disk_read_now(disk *self, uint32_t index, uint32_t begin, uint32_t length);
/* Reads a part of a piece. The reads of a torrent that wait are bounded by the caller. */
bool disk_read(disk *self, uint32_t index, uint32_t begin, uint32_t length, void *context);
void disk_give_back(const void *data, size_t size,
                    void *user); /* a berth_release_handler: user ignored */

/* Stores a resume file (resume.h) in a job. The disk owns `data` (from malloc). `saved` is called
 * at its end. `sync`: first has the device store what was written, so that the resume file may be
 * believed after a loss of power; that takes seconds. False when out of memory, or closing. */
bool disk_save(disk *self, void *data, size_t size, bool sync);

/* Checks the pieces that are not in `trusted` (NULL: all) on all threads, and puts the good ones
 * into `ret_have`, which must live until check_ended. False when out of memory. */
bool disk_check(disk *self, const bits *trusted, bits *ret_have);

bool disk_full(const disk *self);

/* Size and time of the last change of each file, for resume.h; length UINT64_MAX where there is
 * none. Called on the loop's thread, quick. */
typedef struct disk_stamp {
    uint64_t length;
    int64_t seconds;
    int64_t nanoseconds;
} disk_stamp;
void disk_stamps(const disk *self, disk_stamp *ret_stamps); /* file_count of them */
/* Those that the resume file may vouch for: see storage_own_stamps. */
void disk_own_stamps(const disk *self, disk_stamp *ret_stamps);

#endif
