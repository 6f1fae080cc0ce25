/*
 * The files of a torrent, addressed by their bytes in a row, as the torrent counts them.
 *
 * storage_new makes what is missing: folders, and files of full length without blocks (sparse).
 * Everything is opened below the target folder and through no symbolic link (openat2), so that no
 * name in a torrent and no link that somebody has planted leads elsewhere. At most
 * STORAGE_MOST_OPEN files are open at a time, those used last; and never more than an eighth of
 * what the process may open, since its connections need descriptors too. Files that may only be
 * read, as on a read-only file system, can be served if they have their length. A file that is
 * longer is cut when the first byte is written to it: it is another version, whose rest nobody
 * wants.
 *
 * storage_read, storage_write and storage_read_now may be called on all threads at the same time.
 * Pad files are not stored: they read as zeros, and what is written to them is dropped.
 */
#ifndef TORRENT_STORAGE_H
#define TORRENT_STORAGE_H

#include "disk.h"
#include "metainfo.h"

#define STORAGE_MOST_OPEN 64

typedef struct storage storage;

/* On failure NULL with a line in `error`. `read_only`: makes nothing; a file that is missing cannot
 * be read then. */
storage *storage_new(const metainfo *info, const char *folder, bool read_only, char *error,
                     size_t error_size);
void storage_free(storage *self);

/* Each moves all bytes or fails, with a line in `why`. */
bool storage_read(storage *self, uint64_t offset, void *data, size_t size, char *why,
                  size_t why_size);
bool storage_write(storage *self, uint64_t offset, const void *data, size_t size, char *why,
                   size_t why_size);

/* Reads bytes that are in memory already; false if the device would have to be waited for. */
bool storage_read_now(storage *self, uint64_t offset, void *data, size_t size);

/* Whether a range holds nothing but what storage_new has made: it need not be read to know that the
 * torrent's bytes are not there. */
bool storage_is_new(const storage *self, uint64_t offset, uint64_t size);

/* Waits until the device has what was written to a file before. Any thread. */
bool storage_sync(storage *self, uint32_t file);

/* Of files that are not there, and of pads, the length is UINT64_MAX. */
void storage_stamps(storage *self, disk_stamp *ret_stamps);
/* As that, for the resume file: also of each file that has changed after the first call, though
 * nothing was written to it by storage_write. One thread. */
void storage_own_stamps(storage *self, disk_stamp *ret_stamps);

#endif
