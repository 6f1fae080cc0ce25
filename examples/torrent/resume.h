/*
 * What was downloaded, kept over a restart: the pieces that are complete, and size and time of each
 * file, which decide whether that is believed.
 *
 * The file has a version and a checksum of its own, is written under a temporary name, synced and
 * renamed. A file of the torrent whose size or time of change differs from what is stored is not
 * believed: the pieces that touch it must be checked.
 *
 * That is enough for a process that was killed. After a loss of power the data of a file may lack
 * though its size and time are there, unless the caller has synced the files of the torrent before
 * it stores the resume file.
 */
#ifndef TORRENT_RESUME_H
#define TORRENT_RESUME_H

#include "bits.h"
#include "disk.h"
#include "metainfo.h"

typedef struct resume_state {
    uint64_t downloaded; /* over all runs */
    uint64_t uploaded;
} resume_state;

/* The name of the file: `.berth-torrent-HASH` in the target folder, of 55 bytes and a zero. No
 * torrent may have a name that begins so. */
void resume_name(const metainfo *info, char *to, size_t size);

/* As bytes; `ret_size`. The caller frees them. NULL when out of memory. */
void *resume_encode(const metainfo *info, const bits *have, const disk_stamp *stamps,
                    const resume_state *state, size_t *ret_size);
/* `ret_trusted`, which is open for the pieces of the torrent: those that may be believed, of files
 * that have their full length and whose stamps are equal. False, and nothing is changed, if the
 * bytes are not a whole resume file of this torrent. */
bool resume_decode(const metainfo *info, const void *data, size_t size, const disk_stamp *stamps,
                   bits *ret_trusted, resume_state *ret_state);

/* Stores in, and loads from, the target folder. False with a line in `error`; a file that does not
 * exist is an empty line. Storing waits for the disk: it belongs on a thread without a loop. */
bool resume_store(const char *folder, const metainfo *info, const void *data, size_t size,
                  char *error, size_t error_size);
bool resume_load(const char *folder, const metainfo *info, const disk_stamp *stamps,
                 bits *ret_trusted, resume_state *ret_state, char *error, size_t error_size);
void resume_remove(const char *folder, const metainfo *info);

#endif
