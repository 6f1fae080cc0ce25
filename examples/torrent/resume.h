/*
 * What was downloaded, kept over a restart: the pieces that are complete, and size and time of each
 * file, which decide whether that is believed.
 *
 * The file has a version and a checksum of its own, is written under a temporary name, synced and
 * renamed. A file of the torrent whose size or time of change differs from what is stored is not
 * believed: the pieces that touch it must be checked.
 *
 * That is enough for a process that was killed. After a loss of power the data of a file may lack
 * though its size and time are there. So the file names the boot of the system that it was made in,
 * and says whether the files of the torrent were synced before. Otherwise it is believed in the
 * same boot only.
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
/* Says in what was encoded that the files of the torrent were synced afterwards. */
void resume_set_synced(void *data, size_t size);
/* `ret_trusted`, which is open for the pieces of the torrent: those that may be believed, of files
 * that have their full length and whose stamps are equal; none if that is of another boot and was
 * not synced. False, and nothing is changed, if the
 * bytes are not a whole resume file of this torrent. */
bool resume_decode(const metainfo *info, const void *data, size_t size, const disk_stamp *stamps,
                   bits *ret_trusted, resume_state *ret_state);

/* Stores in, and loads from, the target folder. False with a line in `error`; a file that does not
 * exist is an empty line. `sync` waits until the device has it: that belongs on a thread without a
 * loop. */
bool resume_store(const char *folder, const metainfo *info, const void *data, size_t size,
                  bool sync, char *error, size_t error_size);
bool resume_load(const char *folder, const metainfo *info, const disk_stamp *stamps,
                 bits *ret_trusted, resume_state *ret_state, char *error, size_t error_size);
void resume_remove(const char *folder, const metainfo *info);

#endif
