/*
 * Resume files. The first bytes make a torrent and the present stamps of its files; the rest is the
 * file itself, or what it differs by from a good one, whose checksum is then made to fit. What is
 * believed is a part of what the file says, and nothing of a file whose stamp differs.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "../../examples/torrent/resume.c"

#define FILES 6
#define PIECE 16

typedef struct input {
    const uint8_t *data;
    size_t size;
} input;

static uint8_t next(input *self)
{
    if (self->size == 0)
        return 0;
    self->size--;
    return *self->data++;
}

static void make(input *from, metainfo *info, metainfo_file *files, disk_stamp *stamps)
{
    memset(info, 0, sizeof(*info));
    info->files = files;
    info->file_count = next(from) % FILES + 1u;
    info->piece_length = PIECE;
    for (uint32_t i = 0; i < info->file_count; i++) {
        uint8_t length = (uint8_t)(next(from) / 2 + (i == 0)); /* there is a byte at least */
        files[i] = (metainfo_file){"x", info->length, length, next(from) % 4 == 0};
        stamps[i] = (disk_stamp){next(from) % 8 == 0 ? UINT64_MAX : length, next(from) % 4, 0};
        info->length += length;
    }
    info->piece_count = (uint32_t)((info->length - 1) / PIECE + 1);
}

/* The same in the slow way: from the byte to its file. */
static bool believed(const metainfo *info, const disk_stamp *stamps, const uint8_t *stored,
                     uint32_t index)
{
    for (uint32_t i = 0; i < info->file_count; i++) {
        const metainfo_file *file = &info->files[i];
        uint64_t first = (uint64_t)index * PIECE;
        if (file->pad || file->length == 0 || file->offset >= first + PIECE ||
            file->offset + file->length <= first)
            continue;
        const uint8_t *at = stored + (size_t)i * STAMP;
        if (get(&at, 8) != file->length || stamps[i].length != file->length)
            return false;
        if ((int64_t)get(&at, 8) != stamps[i].seconds)
            return false;
        if ((int64_t)get(&at, 8) != stamps[i].nanoseconds)
            return false;
    }
    return true;
}

/* A good file, changed by what the input says. */
static uint8_t *changed(const input *from, const metainfo *info, const disk_stamp *stamps,
                        size_t *ret_size)
{
    bits all;
    resume_state state = {1, 2};
    CHECK(bits_open(&all, info->piece_count));
    bits_fill(&all);
    uint8_t *file = resume_encode(info, &all, stamps, &state, ret_size);
    CHECK(file);
    bits_close(&all);
    for (size_t i = 0; i < from->size && HEADER + i < *ret_size; i++)
        file[HEADER + i] ^= from->data[i];
    CHECK(checksum(file, *ret_size - HASH_SIZE, file + *ret_size - HASH_SIZE));
    return file;
}

static uint8_t *copied(const input *from, size_t *ret_size)
{
    uint8_t *file = malloc(from->size + 1);
    CHECK(file);
    if (from->size > 0)
        memcpy(file, from->data, from->size);
    *ret_size = from->size;
    return file;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    metainfo info;
    metainfo_file files[FILES];
    disk_stamp stamps[FILES];
    input from = {data, size};
    bits trusted;
    resume_state state = {7, 7};
    size_t whole;
    bool bare = next(&from) % 8 == 1;
    make(&from, &info, files, stamps);
    uint8_t *file = bare ? copied(&from, &whole) : changed(&from, &info, stamps, &whole);
    CHECK(bits_open(&trusted, info.piece_count));
    bool good = resume_decode(&info, file, whole, stamps, &trusted, &state);
    const uint8_t *said = file + HEADER;
    const uint8_t *stored = said + bits_size(info.piece_count);
    CHECK(good || (trusted.set == 0 && state.downloaded == 7 && state.uploaded == 7));
    bool current = good && (file[SYNCED] == 1 || is_of_this_boot(file + SYNCED + 1));
    uint32_t set = 0;
    for (uint32_t i = 0; good && i < info.piece_count; i++) {
        bool has = bits_has(&trusted, i);
        bool claimed = said[i / 8] & (0x80u >> i % 8);
        CHECK(has == (current && claimed && believed(&info, stamps, stored, i)));
        set += has;
    }
    CHECK(set == trusted.set);
    if (good) { /* and what is written from it is read again */
        uint8_t *again = resume_encode(&info, &trusted, stamps, &state, &size);
        CHECK(again && size == whole);
        CHECK(resume_decode(&info, again, size, stamps, &trusted, &state));
        free(again);
    }
    bits_close(&trusted);
    free(file);
    return 0;
}
