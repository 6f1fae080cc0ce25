/*
 * Bencoding and torrent files. A value that is accepted is accepted again alone and cut nowhere
 * before its end; walking through it meets exactly its bytes; and what metainfo returns keeps its
 * promises: files side by side, pieces over all of them, paths that stay below the target folder.
 *
 * Much of the input would be hashes: where the builder is asked for (first byte odd), the rest is
 * the inside of an info dictionary, and a fitting number of pieces is put behind it.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "../../examples/torrent/bencode.h"
#include "../../examples/torrent/metainfo.h"

#define MOST 65536

/* Each value that holds others is walked, from a stack of its own. */
static void check_walks(bencode value)
{
    bencode_walk walks[BENCODE_DEPTH];
    const uint8_t *ends[BENCODE_DEPTH];
    size_t depth = 0;
    bencode key;
    bencode part = value;
    int64_t number;
    do {
        bencode_kind kind = bencode_kind_of(part);
        CHECK(bencode_integer(part, &number) == (kind == BENCODE_INTEGER));
        CHECK(bencode_string(part, &key) == (kind == BENCODE_STRING));
        if (kind == BENCODE_LIST || kind == BENCODE_DICTIONARY) {
            CHECK(depth < BENCODE_DEPTH);
            ends[depth] = part.data + part.size;
            walks[depth++] = bencode_begin(part);
        }
        while (depth > 0 && !bencode_next(&walks[depth - 1], &key, &part)) {
            CHECK(walks[depth - 1].at == ends[depth - 1] - 1);
            depth--;
        }
        if (depth > 0)
            CHECK(part.size > 0 && part.data + part.size < ends[depth - 1]);
    } while (depth > 0);
}

static void check_bencode(const uint8_t *data, size_t size, size_t step)
{
    bencode value;
    bencode again;
    const char *why = NULL;
    size_t where = 0;
    if (!bencode_read(data, size, &value, &why, &where)) {
        CHECK(why && where <= size);
        return;
    }
    CHECK(value.data == data && value.size <= size);
    CHECK(bencode_read(data, value.size, &again, &why, &where) && again.size == value.size);
    for (size_t cut = 0; cut < value.size; cut += step)
        CHECK(!bencode_read(data, cut, &again, &why, &where) && where <= cut);
    check_walks(value);
}

static void check_path(const metainfo *info, const char *path)
{
    size_t name = strlen(info->name);
    CHECK(strlen(path) <= 4095);
    CHECK(strncmp(path, info->name, name) == 0);
    CHECK(path[name] == '/' || (path[name] == '\0' && info->file_count == 1));
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += part > path;
        size_t size = strcspn(part, "/");
        CHECK(size > 0 && size <= 255);
        CHECK(!(size == 1 && part[0] == '.'));
        CHECK(!(size == 2 && part[0] == '.' && part[1] == '.'));
    }
}

static void check_metainfo(const metainfo *info)
{
    uint64_t offset = 0;
    CHECK(info->length > 0 && info->piece_count > 0 && info->file_count > 0);
    for (uint32_t i = 0; i < info->file_count; i++) {
        const metainfo_file *file = &info->files[i];
        CHECK(file->offset == offset);
        check_path(info, file->path);
        if (file->length > 0) {
            CHECK(metainfo_file_at(info, offset) == i);
            CHECK(metainfo_file_at(info, offset + file->length - 1) == i);
        }
        offset += file->length;
    }
    CHECK(offset == info->length && metainfo_file_at(info, offset) == info->file_count);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < info->piece_count; i++) {
        uint32_t blocks = metainfo_block_count(info, i);
        uint32_t last = metainfo_block_size(info, i, blocks - 1);
        CHECK(last > 0 && last <= BLOCK_SIZE);
        CHECK((blocks - 1) * BLOCK_SIZE + last == metainfo_piece_size(info, i));
        CHECK(metainfo_piece_hash(info, i) == info->pieces + (size_t)HASH_SIZE * i);
        sum += metainfo_piece_size(info, i);
    }
    CHECK(sum == info->length);
    for (uint32_t i = 0; i < info->tracker_count; i++) {
        CHECK(info->trackers[i][0] != '\0');
        CHECK(info->tiers[i] - (i > 0 ? info->tiers[i - 1] : 0) <= (i > 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[200] = "";
    if (size < 3 || size > MOST)
        return 0;
    size_t pieces = data[1];
    size_t step = data[2] % 7u + 1;
    bool build = data[0] % 2;
    data += 3;
    size -= 3;
    check_bencode(data, size, step);
    uint8_t *whole = malloc(size + 64 + pieces * HASH_SIZE);
    CHECK(whole);
    size_t end = 0;
    if (build)
        end = (size_t)sprintf((char *)whole, "d4:infod");
    memcpy(whole + end, data, size);
    end += size;
    if (build) {
        end += (size_t)sprintf((char *)whole + end, "6:pieces%zu:", pieces * HASH_SIZE);
        memset(whole + end, 'h', pieces * HASH_SIZE);
        end += pieces * HASH_SIZE;
        whole[end++] = 'e';
        whole[end++] = 'e';
    }
    metainfo *info = metainfo_parse(whole, end, error, sizeof(error));
    CHECK((info == NULL) == (error[0] != '\0'));
    free(whole);
    if (info)
        check_metainfo(info);
    metainfo_free(info);
    return 0;
}
