/*
 * The parser of .torrent files; metainfo.h describes what comes out of it.
 *
 * The course: bencode_read checks the form of the whole file. Then the info dictionary is read:
 * name, length of the pieces, one `length` or many `files`, and the hashes, whose number must be
 * that of the pieces. The files are walked twice, first to check and to measure them, then to store
 * them in memory of the right size. All paths are compared with each other. At last come the
 * trackers, of which those that are no URLs are left out. Every other fault ends the parse with a
 * line that says what is wrong; lines contain no text of the file, which might not be printable.
 */
#include "metainfo.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "bencode.h"
#include "names.h"

#define FILE_MOST (64u << 20) /* bytes of a .torrent file */
#define FILES_MOST 1000000u
#define PATHS_MOST (256u << 20) /* bytes of all paths */
#define PIECE_LEAST 1024
#define PIECE_MOST (256 << 20)
#define TRACKERS_MOST 500u /* what follows is left out */
#define URL_LONGEST 2000u

/* Names of our own files in the target folder begin so: see resume.h. */
static const char own_files[] = ".berth-torrent-";

typedef struct parser {
    metainfo *info;
    bencode info_dictionary;
    bencode name;
    char *error;
    size_t error_size;
} parser;

typedef struct file_entry {
    bencode path; /* a list */
    uint64_t length;
    bool pad;
    bool link; /* symbolic, without bytes */
} file_entry;

__attribute__((format(printf, 2, 3))) static bool refuse(const parser *self, const char *format,
                                                         ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(self->error, self->error_size, format, values);
    va_end(values);
    return false;
}

/* ---- files ----------------------------------------------------------------------------------- */

static bool read_name(parser *self)
{
    bencode name;
    if (!bencode_find_string(self->info_dictionary, "name", &name))
        return refuse(self, "the name is missing");
    const char *fault = names_fault(name.data, name.size);
    if (fault)
        return refuse(self, "the name %s", fault);
    size_t own = sizeof(own_files) - 1;
    if (name.size >= own && memcmp(name.data, own_files, own) == 0)
        return refuse(self, "the name is one of our own files");
    self->name = name;
    return true;
}

static bool has_attribute(bencode attributes, char letter)
{
    return attributes.size > 0 && memchr(attributes.data, letter, attributes.size);
}

static bool read_entry(const parser *self, bencode value, uint32_t number, file_entry *ret_entry)
{
    int64_t length = -1;
    bencode attributes = {NULL, 0};
    bencode_find_string(value, "attr", &attributes);
    *ret_entry = (file_entry){.pad = has_attribute(attributes, 'p')};
    bool known = bencode_find_integer(value, "length", &length);
    ret_entry->link = has_attribute(attributes, 'l') && (!known || length == 0);
    if (ret_entry->link)
        return true;
    if (length < 0)
        return refuse(self, "file %u: the length is missing or negative", number);
    if (!bencode_find(value, "path", &ret_entry->path) ||
        bencode_kind_of(ret_entry->path) != BENCODE_LIST)
        return refuse(self, "file %u: the path is missing", number);
    ret_entry->length = (uint64_t)length;
    return true;
}

/* Checks the parts of a path, and counts its bytes with the name and the zero at its end. */
static bool measure_path(const parser *self, bencode path, uint32_t number, size_t *ret_size)
{
    bencode value;
    bencode part;
    size_t size = self->name.size + 1;
    bencode_walk walk = bencode_begin(path);
    bool any = false;
    for (; bencode_next(&walk, NULL, &value); any = true) {
        if (!bencode_string(value, &part))
            return refuse(self, "file %u: a part of the path is no string", number);
        const char *fault = names_fault(part.data, part.size);
        if (fault)
            return refuse(self, "file %u: a part of the path %s", number, fault);
        size += part.size + 1;
        if (size > NAMES_LONGEST_PATH + 1)
            return refuse(self, "file %u: the path is too long", number);
    }
    *ret_size = size;
    return any || refuse(self, "file %u: the path is empty", number);
}

static char *append(char *to, bencode text, char behind)
{
    memcpy(to, text.data, text.size);
    to[text.size] = behind;
    return to + text.size + 1;
}

static char *write_path(const parser *self, bencode path, char *to)
{
    bencode value;
    bencode part;
    bencode_walk walk = bencode_begin(path);
    to = append(to, self->name, '/');
    while (bencode_next(&walk, NULL, &value)) {
        bencode_string(value, &part);
        to = append(to, part, '/');
    }
    to[-1] = '\0';
    return to;
}

/* The first walk: what there is, and how much. */
static bool measure_files(parser *self, bencode list, size_t *ret_paths)
{
    bencode value;
    file_entry entry;
    size_t size = 0;
    size_t paths = 0;
    bencode_walk walk = bencode_begin(list);
    for (uint32_t number = 1; bencode_next(&walk, NULL, &value); number++) {
        if (!read_entry(self, value, number, &entry))
            return false;
        if (entry.link)
            continue;
        if (self->info->file_count == FILES_MOST)
            return refuse(self, "more than %u files", FILES_MOST);
        if (!measure_path(self, entry.path, number, &size))
            return false;
        paths += size;
        if (paths > PATHS_MOST)
            return refuse(self, "the paths are too long in all");
        if (entry.length > (uint64_t)INT64_MAX - self->info->length)
            return refuse(self, "file %u: the lengths are too large in all", number);
        self->info->length += entry.length;
        self->info->file_count++;
    }
    *ret_paths = paths;
    return true;
}

/* The second walk. Symbolic links (attribute l), which have no bytes, are left out of the torrent:
 * where they point to cannot be trusted. */
static void fill_files(parser *self, bencode list, char *to)
{
    bencode value;
    file_entry entry;
    uint64_t offset = 0;
    metainfo_file *file = self->info->files;
    bencode_walk walk = bencode_begin(list);
    for (uint32_t number = 1; bencode_next(&walk, NULL, &value); number++) {
        read_entry(self, value, number, &entry);
        if (entry.link)
            continue;
        *file++ = (metainfo_file){to, offset, entry.length, entry.pad};
        to = write_path(self, entry.path, to);
        offset += entry.length;
    }
}

/* Pad files are not stored: their names may be the same. */
static bool compare_files(const parser *self)
{
    size_t count = 0;
    const char *path;
    const char **paths = malloc(self->info->file_count * sizeof(*paths));
    if (!paths)
        return refuse(self, "out of memory");
    for (uint32_t i = 0; i < self->info->file_count; i++) {
        if (!self->info->files[i].pad)
            paths[count++] = self->info->files[i].path;
    }
    names_clash clash = names_compare(paths, count, &path);
    free(paths);
    if (clash == NAMES_CLEAR)
        return true;
    uint32_t number = 0;
    while (self->info->files[number++].path != path)
        continue;
    return refuse(self, "file %u: %s", number,
                  clash == NAMES_TWICE ? "two files have this path" : "it is also a folder");
}

/* The name and all paths share one piece of memory, which begins with the name. Returns where the
 * paths go; NULL when out of memory. */
static char *allocate_files(parser *self, size_t paths)
{
    metainfo *info = self->info;
    info->files = calloc(info->file_count, sizeof(*info->files));
    char *texts = malloc(self->name.size + 1 + paths);
    info->name = texts;
    if (!info->files || !texts) {
        refuse(self, "out of memory");
        return NULL;
    }
    return append(texts, self->name, '\0');
}

static bool read_files(parser *self)
{
    bencode list;
    size_t paths = 0;
    int64_t length = -1;
    metainfo *info = self->info;
    bool single = bencode_find_integer(self->info_dictionary, "length", &length);
    bool many = bencode_find(self->info_dictionary, "files", &list);
    if (single == many)
        return refuse(self, single ? "both length and files" : "neither length nor files");
    if (single) {
        if (length < 0)
            return refuse(self, "the length is negative");
        info->file_count = 1;
        info->length = (uint64_t)length;
    } else if (!measure_files(self, list, &paths)) {
        return false;
    }
    if (info->length == 0)
        return refuse(self, "there are no bytes in it");
    char *to = allocate_files(self, paths);
    if (!to)
        return false;
    if (single) {
        info->files[0] = (metainfo_file){info->name, 0, info->length, false};
        return true;
    }
    fill_files(self, list, to);
    return compare_files(self);
}

/* ---- pieces ---------------------------------------------------------------------------------- */

static bool read_pieces(parser *self)
{
    metainfo *info = self->info;
    bencode pieces;
    int64_t piece_length = 0;
    if (!bencode_find_integer(self->info_dictionary, "piece length", &piece_length))
        return refuse(self, "the piece length is missing");
    if (piece_length < PIECE_LEAST || piece_length > PIECE_MOST)
        return refuse(self, "the piece length is not between %d and %d", PIECE_LEAST, PIECE_MOST);
    if (!bencode_find_string(self->info_dictionary, "pieces", &pieces))
        return refuse(self, "the hashes of the pieces are missing");
    uint64_t count = (info->length - 1) / (uint64_t)piece_length + 1;
    if (pieces.size % HASH_SIZE != 0 || pieces.size / HASH_SIZE != count)
        return refuse(self, "the number of hashes is not that of the pieces");
    uint8_t *hashes = malloc(pieces.size);
    info->pieces = hashes;
    if (!hashes)
        return refuse(self, "out of memory");
    memcpy(hashes, pieces.data, pieces.size);
    info->piece_length = (uint32_t)piece_length;
    info->piece_count = (uint32_t)count;
    return true;
}

/* ---- trackers -------------------------------------------------------------------------------- */

/* Printable ASCII without spaces, since it goes into requests and lines for people. */
static bool is_url(bencode text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    }
    return text.size > 0 && text.size <= URL_LONGEST;
}

/* People paste URLs with blanks and line ends around them. */
static bencode trimmed(bencode text)
{
    for (; text.size > 0 && text.data[0] <= ' '; text.size--)
        text.data++;
    while (text.size > 0 && text.data[text.size - 1] <= ' ')
        text.size--;
    return text;
}

static bool add_tracker(parser *self, bencode value, uint32_t tier)
{
    metainfo *info = self->info;
    bencode url;
    if (!bencode_string(value, &url))
        return true;
    url = trimmed(url);
    if (!is_url(url) || info->tracker_count == TRACKERS_MOST)
        return true;
    char *copy = malloc(url.size + 1);
    if (!copy)
        return refuse(self, "out of memory");
    append(copy, url, '\0');
    info->trackers[info->tracker_count] = copy;
    info->tiers[info->tracker_count++] = tier;
    return true;
}

/* BEP 12: a list of tiers takes the place of the one tracker. */
static bool read_trackers(parser *self, bencode root)
{
    metainfo *info = self->info;
    bencode list;
    bencode tier;
    bencode value;
    info->trackers = calloc(TRACKERS_MOST, sizeof(*info->trackers));
    info->tiers = calloc(TRACKERS_MOST, sizeof(*info->tiers));
    if (!info->trackers || !info->tiers)
        return refuse(self, "out of memory");
    if (bencode_find(root, "announce-list", &list)) {
        bencode_walk tiers = bencode_begin(list);
        uint32_t number = 0;
        while (bencode_next(&tiers, NULL, &tier)) {
            uint32_t before = info->tracker_count;
            bencode_walk urls = bencode_begin(tier);
            while (bencode_next(&urls, NULL, &value)) {
                if (!add_tracker(self, value, number))
                    return false;
            }
            number += info->tracker_count > before;
        }
    }
    if (info->tracker_count > 0 || !bencode_find(root, "announce", &value))
        return true;
    return add_tracker(self, value, 0);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static bool read_info(parser *self)
{
    bencode value;
    int64_t number = 0;
    bencode dictionary = self->info_dictionary;
    if (!bencode_find(dictionary, "pieces", &value) &&
        bencode_find_integer(dictionary, "meta version", &number))
        return refuse(self, "it is for the second version of BitTorrent only, which is not "
                            "supported");
    if (!read_name(self) || !read_files(self) || !read_pieces(self))
        return false;
    number = 0;
    bencode_find_integer(dictionary, "private", &number);
    self->info->is_private = number == 1;
    if (!EVP_Digest(dictionary.data, dictionary.size, self->info->hash, NULL, EVP_sha1(), NULL))
        return refuse(self, "SHA-1 is not available");
    return true;
}

static bool read_root(parser *self, const void *data, size_t size)
{
    bencode root;
    bencode info;
    const char *why;
    size_t where;
    if (size > FILE_MOST)
        return refuse(self, "larger than %u bytes", FILE_MOST);
    if (!bencode_read(data, size, &root, &why, &where))
        return refuse(self, "not a torrent file: byte %zu: %s", where, why);
    if (root.size != size)
        return refuse(self, "not a torrent file: byte %zu: something follows the end", root.size);
    if (!bencode_find(root, "info", &info) || bencode_kind_of(info) != BENCODE_DICTIONARY)
        return refuse(self, "not a torrent file: there is no info dictionary");
    self->info_dictionary = info;
    return read_info(self) && read_trackers(self, root);
}

metainfo *metainfo_parse(const void *data, size_t size, char *error, size_t error_size)
{
    parser self = {0};
    self.error = error;
    self.error_size = error_size;
    self.info = calloc(1, sizeof(*self.info));
    if (self.info && read_root(&self, data, size))
        return self.info;
    if (!self.info)
        refuse(&self, "out of memory");
    metainfo_free(self.info);
    return NULL;
}

/* One byte more than a file may have, so that the parser sees that it is too large. */
static uint8_t *read_stream(FILE *stream, size_t *ret_size)
{
    uint8_t *data = NULL;
    size_t size = 0;
    size_t room = 0;
    do {
        room = room == 0 ? 65536 : 2 * room;
        room = room > FILE_MOST ? FILE_MOST + 1 : room;
        uint8_t *more = realloc(data, room);
        if (!more) {
            free(data);
            return NULL;
        }
        data = more;
        size += fread(data + size, 1, room - size, stream);
    } while (size == room && size <= FILE_MOST);
    if (!ferror(stream)) {
        *ret_size = size;
        return data;
    }
    free(data);
    return NULL;
}

metainfo *metainfo_load(const char *path, char *error, size_t error_size)
{
    char why[256];
    size_t size = 0;
    uint8_t *data = NULL;
    metainfo *info = NULL;
    FILE *stream = fopen(path, "rbe");
    if (stream)
        data = read_stream(stream, &size);
    if (!data)
        snprintf(why, sizeof(why), "cannot be read: %s", strerror(errno));
    else
        info = metainfo_parse(data, size, why, sizeof(why));
    if (!info && snprintf(error, error_size, "%s: %s", path, why) < 0)
        error[0] = '\0'; /* a text that is too long is cut, which gcc -O3 wants considered */
    if (stream)
        fclose(stream);
    free(data);
    return info;
}

void metainfo_free(metainfo *self)
{
    if (!self)
        return;
    for (uint32_t i = 0; i < self->tracker_count; i++)
        free(self->trackers[i]);
    free(self->trackers);
    free(self->tiers);
    free(self->files);
    free((char *)self->name); /* and the paths */
    free((uint8_t *)self->pieces);
    free(self);
}

static size_t add_paths(const metainfo *self, const char **paths, size_t count)
{
    for (uint32_t i = 0; i < self->file_count; i++)
        if (!self->files[i].pad)
            paths[count++] = self->files[i].path;
    return count;
}

bool metainfo_apart(const metainfo *one, const metainfo *other, char *error, size_t error_size)
{
    const char *shared = NULL;
    if (strcmp(one->name, other->name) != 0)
        return true; /* every path begins with the name */
    const char **paths = calloc((size_t)one->file_count + other->file_count, sizeof(*paths));
    if (!paths) {
        snprintf(error, error_size, "out of memory");
        return false;
    }
    size_t count = add_paths(other, paths, add_paths(one, paths, 0));
    bool apart = names_compare(paths, count, &shared) == NAMES_CLEAR;
    if (!apart)
        snprintf(error, error_size, "'%.200s' belongs to another torrent of this run too", shared);
    free(paths);
    return apart;
}

/* ---- questions ------------------------------------------------------------------------------- */

uint32_t metainfo_piece_size(const metainfo *self, uint32_t index)
{
    uint64_t offset = (uint64_t)index * self->piece_length;
    uint64_t rest = self->length - offset;
    return rest < self->piece_length ? (uint32_t)rest : self->piece_length;
}

uint32_t metainfo_block_count(const metainfo *self, uint32_t index)
{
    return (metainfo_piece_size(self, index) - 1) / BLOCK_SIZE + 1;
}

uint32_t metainfo_block_size(const metainfo *self, uint32_t index, uint32_t block)
{
    uint32_t rest = metainfo_piece_size(self, index) - block * BLOCK_SIZE;
    return rest < BLOCK_SIZE ? rest : BLOCK_SIZE;
}

const uint8_t *metainfo_piece_hash(const metainfo *self, uint32_t index)
{
    return self->pieces + (size_t)index * HASH_SIZE;
}

uint32_t metainfo_file_at(const metainfo *self, uint64_t offset)
{
    uint32_t low = 0; /* the first one that begins behind `offset` is in low to high */
    uint32_t high = self->file_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (self->files[middle].offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return offset < self->length ? low - 1 : self->file_count;
}
