/*
 * What a .torrent file says: names and lengths of the files, hashes of the pieces, trackers.
 *
 * BEP 3, 12 (tiers), 27 (private), 47 (pad files), and the first version of hybrid torrents (BEP
 * 52). The text comes from strangers: everything is checked here, so that the rest of the program
 * can rely on it. All pieces but the last have piece_length bytes, the last one has what remains,
 * which is never 0: a torrent without bytes is refused.
 *
 * Bounds: 64 MiB for the text, a million files, 64 lists and dictionaries in each other, pieces of
 * 1 KiB to 256 MiB; 500 trackers, whose URLs are printable ASCII without spaces (others, and what
 * follows, are left out).
 */
#ifndef TORRENT_METAINFO_H
#define TORRENT_METAINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_SIZE 20 /* of SHA-1 */
#define BLOCK_SIZE 16384u

typedef struct metainfo_file {
    const char *path; /* below the target folder, parts joined with '/', safe: see names.h. The
                       * first part is the name of the torrent, the only one of a single file. */
    uint64_t offset;  /* in the torrent */
    uint64_t length;
    bool pad; /* zeros that are neither stored nor fetched into a file (BEP 47) */
} metainfo_file;

typedef struct metainfo {
    const char *name;
    uint8_t hash[HASH_SIZE]; /* of the info dictionary, over its bytes as they stand */
    uint64_t length;         /* in all */
    uint32_t piece_length;
    uint32_t piece_count;
    const uint8_t *pieces; /* piece_count hashes */
    metainfo_file *files;
    uint32_t file_count;
    bool is_private;
    char **trackers; /* URLs */
    uint32_t *tiers; /* of each tracker, from 0, ascending */
    uint32_t tracker_count;
} metainfo;

/* Parses. On failure returns NULL and puts one line into `error` (what is wrong, and where). */
metainfo *metainfo_parse(const void *data, size_t size, char *error, size_t error_size);

/* Reads a file and parses it; the line names the file. At most 64 MiB are read. */
metainfo *metainfo_load(const char *path, char *error, size_t error_size);

void metainfo_free(metainfo *self);

/* Whether two torrents can be stored in one folder: none has a file that the other one has too, or
 * has a folder of that name. If not, a line. */
bool metainfo_apart(const metainfo *one, const metainfo *other, char *error, size_t error_size);

/* Bytes of a piece, and its blocks. `index` is below piece_count. */
uint32_t metainfo_piece_size(const metainfo *self, uint32_t index);
uint32_t metainfo_block_count(const metainfo *self, uint32_t index);
uint32_t metainfo_block_size(const metainfo *self, uint32_t index, uint32_t block);
const uint8_t *metainfo_piece_hash(const metainfo *self, uint32_t index);

/* The file that contains the byte at `offset`; files of length 0 are passed over. file_count if
 * `offset` is the length or more. A binary search. */
uint32_t metainfo_file_at(const metainfo *self, uint64_t offset);

#endif
