/* Names of files that come from a torrent; names.h describes each function. */
#include "names.h"

#include <stdlib.h>
#include <string.h>

const char *names_fault(const void *part, size_t size)
{
    if (size == 0)
        return "is empty";
    if (size > NAMES_LONGEST_PART)
        return "has more than 255 bytes";
    if (memchr(part, '\0', size))
        return "contains a zero byte";
    if (memchr(part, '/', size))
        return "contains a slash";
    if (memcmp(part, "..", size < 2 ? size : 2) == 0 && size <= 2)
        return "is \".\" or \"..\"";
    return NULL;
}

/* '/' sorts below all else but the end, so that what is in the folder "a" follows "a" at once:
 * "a", "a/b", "a.c" and not "a", "a.c", "a/b". */
static int rank(char byte)
{
    if (byte == '\0')
        return 0;
    return byte == '/' ? 1 : 1 + (unsigned char)byte;
}

static int compare_paths(const void *left, const void *right)
{
    const char *a = *(const char *const *)left;
    const char *b = *(const char *const *)right;
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return rank(*a) - rank(*b);
}

names_clash names_compare(const char **paths, size_t count, const char **ret_path)
{
    qsort(paths, count, sizeof(*paths), compare_paths);
    for (size_t i = 1; i < count; i++) {
        size_t size = strlen(paths[i - 1]);
        if (strncmp(paths[i], paths[i - 1], size) != 0)
            continue;
        if (paths[i][size] != '\0' && paths[i][size] != '/')
            continue;
        *ret_path = paths[i - 1];
        return paths[i][size] == '\0' ? NAMES_TWICE : NAMES_ALSO_FOLDER;
    }
    return NAMES_CLEAR;
}
