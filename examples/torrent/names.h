/*
 * Names of files that come from a torrent: what may become a path below the target folder.
 *
 * Refused is only what can escape from the folder or cannot exist on Linux: an empty part, "." and
 * "..", a NUL or '/' inside a part, a part of more than 255 bytes, a path of more than 4095. All
 * else is a name: control characters, bytes that are no UTF-8, and the backslash, which is a letter
 * like others to Linux (a torrent made on Windows with "a\b" as one part gives one file of that
 * name). Whoever prints a name must make it printable first.
 */
#ifndef TORRENT_NAMES_H
#define TORRENT_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#define NAMES_LONGEST_PART 255
#define NAMES_LONGEST_PATH 4095

/* What is wrong with one part of a path, behind "a part of the path "; NULL if nothing is. */
const char *names_fault(const void *part, size_t size);

typedef enum names_clash {
    NAMES_CLEAR,
    NAMES_TWICE,      /* two paths are equal */
    NAMES_ALSO_FOLDER /* a path is also the folder of another one */
} names_clash;

/* Compares all paths with each other, in O(n log n); changes their order. The parts of a path are
 * joined with '/'. With a clash `ret_path` is one of its two paths. */
names_clash names_compare(const char **paths, size_t count, const char **ret_path);

#endif
