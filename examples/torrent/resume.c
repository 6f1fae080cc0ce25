/*
 * The resume file; resume.h describes each function.
 *
 * Its form, numbers with the highest byte first:
 *
 *     16  the text "berth resume 2\n" and a zero byte; the 2 is the version
 *     20  the hash of the torrent
 *      4  number of pieces
 *      4  number of files
 *      8  bytes downloaded
 *      8  bytes uploaded
 *      1  1 if the files of the torrent were synced before it was stored
 *     36  the boot of the system, as Linux names it; zeros if it does not
 *      -  the pieces, as a bit field
 *     24  for each file: length, and seconds and nanoseconds of its last change
 *     20  SHA-1 of all before
 *
 * So the torrent determines the size. The checksum finds damage, not forgery: who may write to the
 * folder may also change what was downloaded. But no link is followed there, and only a regular
 * file is read.
 */
#include "resume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#define BOOT 36
#define SYNCED 60 /* place of that byte */
#define HEADER (SYNCED + 1 + BOOT)
#define STAMP 24
#define NAME_ROOM 80

static const char version[16] = "berth resume 2\n";

/* ---- bytes ----------------------------------------------------------------------------------- */

static uint8_t *put(uint8_t *to, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)(number >> 8 * (size - 1 - i));
    return to + size;
}

static uint64_t get(const uint8_t **from, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++)
        number = number << 8 | *(*from)++;
    return number;
}

static size_t whole_size(const metainfo *info)
{
    return HEADER + bits_size(info->piece_count) + (size_t)info->file_count * STAMP + HASH_SIZE;
}

/* All before the numbers that change. */
static uint8_t *put_header(uint8_t *to, const metainfo *info)
{
    memcpy(to, version, sizeof(version));
    memcpy(to + sizeof(version), info->hash, HASH_SIZE);
    to = put(to + sizeof(version) + HASH_SIZE, info->piece_count, 4);
    return put(to, info->file_count, 4);
}

static bool checksum(const void *data, size_t size, uint8_t ret_sum[HASH_SIZE])
{
    return EVP_Digest(data, size, ret_sum, NULL, EVP_sha1(), NULL);
}

static void boot_of_system(char ret_boot[BOOT])
{
    memset(ret_boot, 0, BOOT);
    int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    if (read(file, ret_boot, BOOT) != BOOT)
        memset(ret_boot, 0, BOOT);
    close(file);
}

static bool is_of_this_boot(const uint8_t *stored)
{
    char boot[BOOT];
    boot_of_system(boot);
    return boot[0] != '\0' && memcmp(stored, boot, BOOT) == 0;
}

void *resume_encode(const metainfo *info, const bits *have, const disk_stamp *stamps,
                    const resume_state *state, size_t *ret_size)
{
    size_t size = whole_size(info);
    uint8_t *data = malloc(size);
    if (!data)
        return NULL;
    uint8_t *to = put_header(data, info);
    to = put(to, state->downloaded, 8);
    to = put(to, state->uploaded, 8);
    *to++ = 0;
    boot_of_system((char *)to);
    to += BOOT;
    memcpy(to, have->bytes, bits_size(info->piece_count));
    to += bits_size(info->piece_count);
    for (uint32_t i = 0; i < info->file_count; i++) {
        to = put(to, stamps[i].length, 8);
        to = put(to, (uint64_t)stamps[i].seconds, 8);
        to = put(to, (uint64_t)stamps[i].nanoseconds, 8);
    }
    if (!checksum(data, size - HASH_SIZE, to)) {
        free(data);
        return NULL;
    }
    *ret_size = size;
    return data;
}

void resume_set_synced(void *data, size_t size)
{
    uint8_t *bytes = data;
    bytes[SYNCED] = 1;
    if (!checksum(bytes, size - HASH_SIZE, bytes + size - HASH_SIZE))
        bytes[SYNCED] = 0; /* out of memory; the sum is the one of before */
}

/* Whether the file can be believed: it is whole, and what it was when the stamps were stored. */
static bool same_file(const metainfo_file *file, const disk_stamp *now, const uint8_t *stored)
{
    if (file->pad)
        return true;
    return get(&stored, 8) == now->length && now->length == file->length &&
           get(&stored, 8) == (uint64_t)now->seconds &&
           get(&stored, 8) == (uint64_t)now->nanoseconds;
}

static void distrust(const metainfo *info, const metainfo_file *file, bits *trusted)
{
    if (file->length == 0)
        return;
    uint64_t first = file->offset / info->piece_length;
    uint64_t last = (file->offset + file->length - 1) / info->piece_length;
    for (uint64_t index = first; index <= last; index++)
        bits_remove(trusted, (uint32_t)index);
}

bool resume_decode(const metainfo *info, const void *data, size_t size, const disk_stamp *stamps,
                   bits *ret_trusted, resume_state *ret_state)
{
    uint8_t expected[HEADER];
    uint8_t sum[HASH_SIZE];
    const uint8_t *at = data;
    size_t pieces = bits_size(info->piece_count);
    if (size != whole_size(info) || !checksum(at, size - HASH_SIZE, sum))
        return false;
    if (memcmp(sum, at + size - HASH_SIZE, HASH_SIZE) != 0)
        return false;
    size_t fixed = (size_t)(put_header(expected, info) - expected);
    if (memcmp(at, expected, fixed) != 0)
        return false;
    at += fixed;
    resume_state state;
    state.downloaded = get(&at, 8);
    state.uploaded = get(&at, 8);
    bool believed = *at == 1 || is_of_this_boot(at + 1);
    at += 1 + BOOT;
    if (ret_trusted->count != info->piece_count || !bits_read(ret_trusted, at, pieces))
        return false;
    at += pieces;
    for (uint32_t i = 0; i < info->file_count; i++, at += STAMP) {
        if (!same_file(&info->files[i], &stamps[i], at))
            distrust(info, &info->files[i], ret_trusted);
    }
    if (!believed)
        bits_clear(ret_trusted);
    *ret_state = state;
    return true;
}

/* ---- the file -------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static bool report(char *error, size_t size,
                                                         const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(error, size, format, values);
    va_end(values);
    return false;
}

void resume_name(const metainfo *info, char *to, size_t size)
{
    char hash[2 * HASH_SIZE + 1];
    for (size_t i = 0; i < HASH_SIZE; i++)
        snprintf(hash + 2 * i, 3, "%02x", info->hash[i]);
    snprintf(to, size, ".berth-torrent-%s", hash);
}

static int open_folder(const char *folder)
{
    return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool write_all(int file, const uint8_t *data, size_t size, bool sync)
{
    while (size > 0) {
        ssize_t written = write(file, data, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        data += written;
        size -= (size_t)written;
    }
    return !sync || fsync(file) == 0;
}

/* What is there under the temporary name is left over from a crash: it is removed, never written
 * through, since it might be a link. */
static bool write_new(int folder, const char *name, const void *data, size_t size, bool sync)
{
    if (unlinkat(folder, name, 0) < 0 && errno != ENOENT)
        return false;
    int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                      S_IRUSR | S_IWUSR);
    if (file < 0)
        return false;
    bool ok = write_all(file, data, size, sync);
    int why = errno;
    if (close(file) < 0 && ok) {
        ok = false;
        why = errno;
    }
    if (!ok)
        unlinkat(folder, name, 0);
    errno = why;
    return ok;
}

bool resume_store(const char *folder, const metainfo *info, const void *data, size_t size,
                  bool sync, char *error, size_t error_size)
{
    char name[NAME_ROOM];
    char temporary[NAME_ROOM + 4];
    resume_name(info, name, sizeof(name));
    snprintf(temporary, sizeof(temporary), "%s.new", name);
    int directory = open_folder(folder);
    if (directory < 0)
        return report(error, error_size, "cannot open %s: %s", folder, strerror(errno));
    /* The folder is synced too: otherwise the old name may be back after a loss of power. */
    bool ok = write_new(directory, temporary, data, size, sync) &&
              renameat(directory, temporary, directory, name) == 0 &&
              (!sync || fsync(directory) == 0);
    if (!ok)
        report(error, error_size, "cannot write %s/%s: %s", folder, name, strerror(errno));
    close(directory);
    return ok;
}

/* Reads a file of exactly this size; with another size, or no regular file, errno is 0. */
static bool read_exactly(int file, uint8_t *data, size_t size)
{
    struct stat status;
    if (fstat(file, &status) < 0)
        return false;
    errno = 0;
    if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size != size)
        return false;
    while (size > 0) {
        ssize_t got = read(file, data, size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        data += got;
        size -= (size_t)got;
    }
    return true;
}

/* NULL with errno as above. O_NONBLOCK, since a pipe of that name would wait for a writer. */
static uint8_t *read_file(const char *folder, const char *name, size_t size)
{
    int directory = open_folder(folder);
    if (directory < 0)
        return NULL;
    uint8_t *data = NULL;
    int file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int why = errno;
    close(directory);
    if (file >= 0) {
        data = malloc(size);
        bool ok = data && read_exactly(file, data, size);
        why = errno;
        close(file);
        if (!ok) {
            free(data);
            data = NULL;
        }
    }
    errno = why;
    return data;
}

bool resume_load(const char *folder, const metainfo *info, const disk_stamp *stamps,
                 bits *ret_trusted, resume_state *ret_state, char *error, size_t error_size)
{
    char name[NAME_ROOM];
    size_t size = whole_size(info);
    resume_name(info, name, sizeof(name));
    uint8_t *data = read_file(folder, name, size);
    if (!data && errno == ENOENT)
        return report(error, error_size, "%s", "");
    if (!data && errno != 0)
        return report(error, error_size, "cannot read %s/%s: %s", folder, name, strerror(errno));
    bool ok = data && resume_decode(info, data, size, stamps, ret_trusted, ret_state);
    free(data);
    return ok || report(error, error_size, "%s/%s is not a whole resume file of this torrent",
                        folder, name);
}

void resume_remove(const char *folder, const metainfo *info)
{
    char name[NAME_ROOM];
    resume_name(info, name, sizeof(name));
    int directory = open_folder(folder);
    if (directory < 0)
        return;
    unlinkat(directory, name, 0);
    close(directory);
}
