/*
 * Torrent files: what comes out of good ones, the line for each fault, cuts at every byte, and the
 * sizes that real ones reach.
 *
 * Most are written here by a small builder. Those in the folder torrent were made by mktorrent and
 * libtorrent of the same three files; the hashes are those that libtorrent and Transmission show.
 *
 * spec: S8.25 Q21
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <check.h>

/* Allocations fail when this has counted down to 0; not while it is 0. */
static unsigned countdown;

static bool fails(void)
{
    return countdown > 0 && --countdown == 0;
}

static void *failing_malloc(size_t size)
{
    return fails() ? NULL : malloc(size);
}

static void *failing_calloc(size_t count, size_t size)
{
    return fails() ? NULL : calloc(count, size);
}

static void *failing_realloc(void *old, size_t size)
{
    return fails() ? NULL : realloc(old, size);
}

#define malloc failing_malloc
#define calloc failing_calloc
#define realloc failing_realloc
#include "../../examples/torrent/metainfo.c"
#undef malloc
#undef calloc
#undef realloc

static char error[256];

/* ---- a builder ------------------------------------------------------------------------------- */

typedef struct text {
    char *data;
    size_t size;
    size_t room;
} text;

static void add_bytes(text *to, const void *data, size_t size)
{
    if (to->size + size > to->room) {
        to->room = 2 * (to->size + size);
        to->data = realloc(to->data, to->room);
    }
    if (size > 0)
        memcpy(to->data + to->size, data, size);
    to->size += size;
}

__attribute__((format(printf, 2, 3))) static void add(text *to, const char *format, ...)
{
    char line[2048];
    va_list values;
    va_start(values, format);
    int size = vsnprintf(line, sizeof(line), format, values);
    va_end(values);
    ck_assert_int_lt(size, (int)sizeof(line));
    add_bytes(to, line, (size_t)size);
}

static void add_pieces(text *to, size_t count)
{
    add(to, "6:pieces%zu:", count * HASH_SIZE);
    for (size_t i = 0; i < count; i++) {
        uint8_t hash[HASH_SIZE] = {(uint8_t)i, (uint8_t)(i >> 8)};
        add_bytes(to, hash, sizeof(hash));
    }
}

/* A whole torrent of an info dictionary that is given up to its hashes. */
static text torrent_of(const char *info, size_t pieces, const char *behind)
{
    text all = {0};
    add(&all, "d4:infod");
    add_bytes(&all, info, strlen(info));
    add_pieces(&all, pieces);
    add(&all, "%see", behind);
    return all;
}

/* From memory of the exact size, for the sanitizer to see a byte read too many. */
static metainfo *parse_bytes(const void *data, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);
    memcpy(exact, data, size);
    strcpy(error, "");
    metainfo *info = metainfo_parse(exact, size, error, sizeof(error));
    ck_assert((info == NULL) == (error[0] != '\0'));
    free(exact);
    return info;
}

static metainfo *parse(text torrent)
{
    metainfo *info = parse_bytes(torrent.data, torrent.size);
    free(torrent.data);
    return info;
}

static metainfo *parse_good(text torrent)
{
    metainfo *info = parse(torrent);
    ck_assert_msg(info != NULL, "%s", error);
    return info;
}

/* ---- good ones ------------------------------------------------------------------------------- */

START_TEST(a_single_file)
{
    metainfo *info =
        parse_good(torrent_of("6:lengthi100001e4:name5:a\\b.c12:piece lengthi32768e", 4, ""));
    ck_assert_str_eq(info->name, "a\\b.c");
    ck_assert_uint_eq(info->length, 100001);
    ck_assert_uint_eq(info->piece_length, 32768);
    ck_assert_uint_eq(info->piece_count, 4);
    ck_assert_uint_eq(info->file_count, 1);
    ck_assert_str_eq(info->files[0].path, "a\\b.c");
    ck_assert_uint_eq(info->files[0].length, 100001);
    ck_assert_uint_eq(info->files[0].offset, 0);
    ck_assert(!info->files[0].pad && !info->is_private);
    ck_assert_uint_eq(info->tracker_count, 0);
    ck_assert_uint_eq(metainfo_piece_size(info, 0), 32768);
    ck_assert_uint_eq(metainfo_piece_size(info, 3), 1697);
    ck_assert_uint_eq(metainfo_block_count(info, 0), 2);
    ck_assert_uint_eq(metainfo_block_count(info, 3), 1);
    ck_assert_uint_eq(metainfo_block_size(info, 0, 1), 16384);
    ck_assert_uint_eq(metainfo_block_size(info, 3, 0), 1697);
    for (uint32_t i = 0; i < 4; i++)
        ck_assert_uint_eq(metainfo_piece_hash(info, i)[0], i);
    metainfo_free(info);
}
END_TEST

/* Qt's example takes the length of the last piece modulo the length of a piece: 0. */
START_TEST(an_exact_multiple)
{
    metainfo *info =
        parse_good(torrent_of("6:lengthi65536e4:name1:a12:piece lengthi32768e", 2, ""));
    ck_assert_uint_eq(info->piece_count, 2);
    ck_assert_uint_eq(metainfo_piece_size(info, 1), 32768);
    ck_assert_uint_eq(metainfo_block_count(info, 1), 2);
    ck_assert_uint_eq(metainfo_block_size(info, 1, 1), 16384);
    metainfo_free(info);
}
END_TEST

/* Pieces whose length is no multiple of a block's. */
START_TEST(odd_pieces)
{
    metainfo *info =
        parse_good(torrent_of("6:lengthi40001e4:name1:a12:piece lengthi20000e", 3, ""));
    ck_assert_uint_eq(metainfo_block_count(info, 0), 2);
    ck_assert_uint_eq(metainfo_block_size(info, 0, 1), 20000 - 16384);
    ck_assert_uint_eq(metainfo_piece_size(info, 2), 1);
    ck_assert_uint_eq(metainfo_block_count(info, 2), 1);
    ck_assert_uint_eq(metainfo_block_size(info, 2, 0), 1);
    metainfo_free(info);
}
END_TEST

START_TEST(many_files)
{
    static const struct {
        const char *path;
        uint64_t length;
        bool pad;
    } files[] = {
        {"t/empty", 0, false},  {"t/a", 10, false},      {"t/.pad/1", 1014, true},
        {"t/d/e/f", 1, false},  {"t/d/empty", 0, false}, {"t/.pad/1", 1023, true},
        {"t/d/g", 1024, false}, {"t/last", 0, false},
    };
    metainfo *info = parse_good(torrent_of("5:filesl"
                                           "d6:lengthi0e4:pathl5:emptyee"
                                           "d6:lengthi10e4:pathl1:aee"
                                           "d4:attr1:p6:lengthi1014e4:pathl4:.pad1:1ee"
                                           "d4:attr1:x6:lengthi1e4:pathl1:d1:e1:fee"
                                           "d4:attr1:l4:pathl4:linke12:symlink pathl2:..2:..ee"
                                           "d6:lengthi0e4:pathl1:d5:emptyee"
                                           "d4:attr2:hp6:lengthi1023e4:pathl4:.pad1:1ee"
                                           "d6:lengthi1024e4:pathl1:d1:gee"
                                           "d6:lengthi0e4:pathl4:lastee"
                                           "e4:name1:t12:piece lengthi1024e",
                                           3, "7:privatei1e"));
    const uint32_t count = sizeof(files) / sizeof(files[0]);
    uint64_t offset = 0;
    ck_assert_uint_eq(info->file_count, count);
    ck_assert(info->is_private);
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_str_eq(info->files[i].path, files[i].path);
        ck_assert_uint_eq(info->files[i].length, files[i].length);
        ck_assert_uint_eq(info->files[i].offset, offset);
        ck_assert(info->files[i].pad == files[i].pad);
        for (uint64_t at = offset; at < offset + files[i].length; at++)
            ck_assert_uint_eq(metainfo_file_at(info, at), i);
        offset += files[i].length;
    }
    ck_assert_uint_eq(info->length, offset);
    ck_assert_uint_eq(metainfo_file_at(info, offset), count);
    ck_assert_uint_eq(metainfo_file_at(info, UINT64_MAX), count);
    metainfo_free(info);
}
END_TEST

static const struct {
    const char *text; /* before the info dictionary */
    const char *expected;
} trackers[] = {
    {"", ""},
    {"8:announce8:http://a", "0 http://a "},
    {"8:announce0:", ""},
    {"8:announcei1e", ""},
    {"8:announce10:http://a b", ""},
    {"8:announce10:http://a\r\n", "0 http://a "},
    {"8:announce11: \thttp://a ", "0 http://a "},
    {"8:announce3: \r\n", ""},
    {"8:announce9:http://\xc3\xbc", ""},
    {"8:announce8:http://a13:announce-listle", "0 http://a "},
    {"8:announce8:http://a13:announce-listllee", "0 http://a "},
    {"8:announce8:http://a13:announce-listi1e", "0 http://a "},
    {"8:announce8:http://a13:announce-listll8:http://bee", "0 http://b "},
    {"13:announce-listll1:a1:bel1:cee", "0 a 0 b 1 c "},
    {"13:announce-listllel1:ael0:el1: ei7el1:b0:i1e1:cee", "0 a 1 b 1 c "},
    {"13:announce-list8:http://a", ""},
};

START_TEST(lists_of_trackers)
{
    char found[256] = "";
    text torrent = {0};
    add(&torrent, "d%s4:infod6:lengthi1e4:name1:a12:piece lengthi1024e", trackers[_i].text);
    add_pieces(&torrent, 1);
    add(&torrent, "ee");
    metainfo *info = parse(torrent);
    ck_assert_msg(info != NULL, "%s", error);
    for (uint32_t i = 0; i < info->tracker_count; i++) {
        size_t size = strlen(found);
        snprintf(found + size, sizeof(found) - size, "%u %s ", info->tiers[i], info->trackers[i]);
    }
    ck_assert_str_eq(found, trackers[_i].expected);
    metainfo_free(info);
}
END_TEST

START_TEST(too_many_trackers)
{
    text torrent = {0};
    add(&torrent, "d13:announce-listl");
    for (int i = 0; i < 100000; i++)
        add(&torrent, "l8:http://ae");
    add(&torrent, "e4:infod6:lengthi1e4:name1:a12:piece lengthi1024e");
    add_pieces(&torrent, 1);
    add(&torrent, "ee");
    metainfo *info = parse_good(torrent);
    ck_assert_uint_eq(info->tracker_count, TRACKERS_MOST);
    ck_assert_uint_eq(info->tiers[TRACKERS_MOST - 1], TRACKERS_MOST - 1);
    metainfo_free(info);
}
END_TEST

/* The hash is that of the bytes, also where another program would write them in another way. */
START_TEST(the_hash_is_of_the_bytes_as_they_stand)
{
    const char *unsorted = "6:lengthi1e12:piece lengthi1024e4:name1:a";
    text torrent = torrent_of(unsorted, 1, "1:zle1:yi-5e");
    uint8_t hash[HASH_SIZE];
    EVP_Digest(torrent.data + 7, torrent.size - 8, hash, NULL, EVP_sha1(), NULL);
    metainfo *info = parse_good(torrent);
    ck_assert_mem_eq(info->hash, hash, HASH_SIZE);
    metainfo_free(info);
}
END_TEST

/* ---- bad ones -------------------------------------------------------------------------------- */

#define NAME "4:name1:a"
#define LENGTH "12:piece lengthi1024e"
#define FILES(list) "5:filesl" list "e" NAME LENGTH
#define ONE_FILE(path) FILES("d6:lengthi1e4:path" path "e")

static const struct {
    const char *info;
    size_t pieces;
    const char *error;
} bad[] = {
    {"6:lengthi1e" LENGTH, 1, "the name is missing"},
    {"6:lengthi1e4:namei1e" LENGTH, 1, "the name is missing"},
    {"6:lengthi1e4:name0:" LENGTH, 1, "the name is empty"},
    {"6:lengthi1e4:name1:." LENGTH, 1, "the name is \".\" or \"..\""},
    {"6:lengthi1e4:name2:.." LENGTH, 1, "the name is \".\" or \"..\""},
    {"6:lengthi1e4:name4:../a" LENGTH, 1, "the name contains a slash"},
    {"6:lengthi1e4:name15:.berth-torrent-" LENGTH, 1, "the name is one of our own files"},
    {NAME LENGTH, 1, "neither length nor files"},
    {"5:filesle6:lengthi1e" NAME LENGTH, 1, "both length and files"},
    {"6:length1:1" NAME LENGTH, 1, "neither length nor files"},
    {"6:lengthi-1e" NAME LENGTH, 1, "the length is negative"},
    {"6:lengthi0e" NAME LENGTH, 0, "there are no bytes in it"},
    {"5:filesle" NAME LENGTH, 0, "there are no bytes in it"},
    {"5:files1:x" NAME LENGTH, 0, "there are no bytes in it"},
    {"6:lengthi1e" NAME, 1, "the piece length is missing"},
    {"6:lengthi1e" NAME "12:piece lengthi0e", 1, "the piece length is not between"},
    {"6:lengthi1e" NAME "12:piece lengthi1e", 1, "the piece length is not between"},
    {"6:lengthi1e" NAME "12:piece lengthi-1024e", 1, "the piece length is not between"},
    {"6:lengthi1e" NAME "12:piece lengthi268435457e", 1, "the piece length is not between"},
    {"6:lengthi1e" NAME "12:piece lengthi1099511627776e", 1, "the piece length is not between"},
    {"6:lengthi1e" NAME "12:piece lengthi4294968320e", 1, "the piece length is not between"},
    {"6:lengthi1024e" NAME LENGTH, 0, "the number of hashes"},
    {"6:lengthi1024e" NAME LENGTH, 2, "the number of hashes"},
    {"6:lengthi1025e" NAME LENGTH, 1, "the number of hashes"},
    {"6:lengthi9223372036854775807e" NAME LENGTH, 1, "the number of hashes"},
    /* 2^32 + 1 pieces: 1 in 32 bits */
    {"6:lengthi4398046512128e" NAME LENGTH, 1, "the number of hashes"},
    {FILES("i1e"), 1, "file 1: the length is missing or negative"},
    {FILES("d4:pathl1:aee"), 1, "file 1: the length is missing or negative"},
    {FILES("d6:lengthi-1e4:pathl1:aee"), 1, "file 1: the length is missing or negative"},
    {FILES("d4:attr1:l6:lengthi-1e4:pathl1:aee"), 1, "file 1: the length is missing or negative"},
    {FILES("d6:lengthi1ee"), 1, "file 1: the path is missing"},
    {ONE_FILE("1:a"), 1, "file 1: the path is missing"},
    {ONE_FILE("le"), 1, "file 1: the path is empty"},
    {ONE_FILE("li1ee"), 1, "file 1: a part of the path is no string"},
    {ONE_FILE("l0:e"), 1, "file 1: a part of the path is empty"},
    {ONE_FILE("l2:..2:..1:xe"), 1, "file 1: a part of the path is \".\" or \"..\""},
    {ONE_FILE("l1:a1:.e"), 1, "file 1: a part of the path is \".\" or \"..\""},
    {ONE_FILE("l4:/etce"), 1, "file 1: a part of the path contains a slash"},
    {ONE_FILE("l4:a/../e"), 1, NULL},
    {FILES("d6:lengthi1e4:pathl1:bee"
           "d6:lengthi9223372036854775807e4:pathl1:cee"),
     1, "file 2: the lengths are too large in all"},
    {FILES("d6:lengthi1e4:pathl1:bee"
           "d6:lengthi1e4:pathl1:cee"
           "d6:lengthi1e4:pathl1:bee"),
     1, "two files have this path"},
    {FILES("d6:lengthi1e4:pathl1:b1:cee"
           "d6:lengthi1e4:pathl1:b2:c.ee"
           "d6:lengthi0e4:pathl1:bee"),
     1, "file 3: it is also a folder"},
};

START_TEST(each_fault_has_its_line)
{
    ck_assert_ptr_null(parse(torrent_of(bad[_i].info, bad[_i].pieces, "")));
    if (bad[_i].error)
        ck_assert_msg(strstr(error, bad[_i].error) != NULL, "%s", error);
}
END_TEST

START_TEST(names_with_zero_bytes_and_long_ones)
{
    for (size_t size = 255; size <= 256; size++) {
        text torrent = {0};
        char part[256];
        memset(part, 'x', sizeof(part));
        add(&torrent, "d4:infod6:lengthi1e4:name%zu:", size);
        add_bytes(&torrent, part, size);
        add(&torrent, LENGTH);
        add_pieces(&torrent, 1);
        add(&torrent, "ee");
        text zero = {0};
        add_bytes(&zero, torrent.data, torrent.size);
        metainfo *info = parse(torrent);
        ck_assert((info != NULL) == (size == 255));
        metainfo_free(info);
        *strchr(zero.data, 'x') = '\0';
        ck_assert_ptr_null(parse(zero));
    }
}
END_TEST

START_TEST(long_paths)
{
    char part[255];
    memset(part, 'x', sizeof(part));
    for (int last = 253; last <= 254; last++) { /* "a" and 15 times "/xxx", then the last */
        text torrent = {0};
        add(&torrent, "d4:infod5:filesld6:lengthi1e4:pathl");
        for (int i = 0; i < 16; i++) {
            int size = i < 15 ? 255 : last;
            add(&torrent, "%d:", size);
            add_bytes(&torrent, part, (size_t)size);
        }
        add(&torrent, "eee" NAME LENGTH);
        add_pieces(&torrent, 1);
        add(&torrent, "ee");
        metainfo *info = parse(torrent);
        ck_assert((info != NULL) == (last == 253));
        if (info)
            ck_assert_uint_eq(strlen(info->files[0].path), NAMES_LONGEST_PATH);
        metainfo_free(info);
    }
}
END_TEST

START_TEST(only_the_second_version)
{
    const char *torrent =
        "d4:infod9:file treede12:meta versioni2e4:name1:a12:piece lengthi16384eee";
    ck_assert_ptr_null(parse_bytes(torrent, strlen(torrent)));
    ck_assert_msg(strstr(error, "second version of BitTorrent") != NULL, "%s", error);
}
END_TEST

START_TEST(what_is_no_torrent)
{
    static const char *const texts[] = {
        "",   "x",           "<html>",     "i1e",        "le",
        "de", "d4:infoi1ee", "d4:infolee", "l4:infodee", "d4:infode4:infodee",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        ck_assert_ptr_null(parse_bytes(texts[i], strlen(texts[i])));
}
END_TEST

START_TEST(cut_at_every_byte_and_followed_by_one)
{
    text torrent = torrent_of("5:filesld6:lengthi2000e4:pathl1:aeee" NAME LENGTH, 2, "");
    for (size_t cut = 0; cut < torrent.size; cut++)
        ck_assert_ptr_null(parse_bytes(torrent.data, cut));
    metainfo *info = parse_bytes(torrent.data, torrent.size);
    ck_assert_ptr_nonnull(info);
    metainfo_free(info);
    add(&torrent, "\n");
    ck_assert_ptr_null(parse(torrent));
    ck_assert_ptr_nonnull(strstr(error, "something follows"));
}
END_TEST

START_TEST(a_line_that_does_not_fit_is_cut)
{
    char small[8] = "1234567";
    ck_assert_ptr_null(metainfo_parse("x", 1, small, 4));
    ck_assert_str_eq(small, "not");
    ck_assert_uint_eq((unsigned char)small[4], '5');
}
END_TEST

/* ---- sizes ----------------------------------------------------------------------------------- */

static text million(size_t count)
{
    text torrent = {0};
    add(&torrent, "d4:infod5:filesl");
    for (size_t i = 0; i < count; i++)
        add(&torrent, "d6:lengthi1e4:pathl3:%03zu3:%03zuee", i / 1000 % 1000, i % 1000);
    add(&torrent, "e4:name1:a12:piece lengthi1048576e");
    add_pieces(&torrent, 1);
    add(&torrent, "ee");
    return torrent;
}

START_TEST(a_million_files)
{
    clock_t begun = clock();
    metainfo *info = parse_good(million(FILES_MOST));
    ck_assert_uint_eq(info->file_count, FILES_MOST);
    ck_assert_str_eq(info->files[FILES_MOST - 1].path, "a/999/999");
    ck_assert_uint_eq(metainfo_file_at(info, 123456), 123456);
    metainfo_free(info);
    ck_assert_ptr_null(parse(million(FILES_MOST + 1)));
    ck_assert_str_eq(error, "more than 1000000 files");
    /* It takes about a second with sanitizers; what is quadratic takes hours. */
    ck_assert_int_lt((clock() - begun) / CLOCKS_PER_SEC, 120);
}
END_TEST

START_TEST(more_than_64_MiB)
{
    size_t size = ((size_t)64 << 20) + 1;
    uint8_t *data = calloc(1, size);
    ck_assert_ptr_null(metainfo_parse(data, size, error, sizeof(error)));
    ck_assert_str_eq(error, "larger than 67108864 bytes");
    free(data);
    ck_assert_ptr_null(metainfo_load("/dev/zero", error, sizeof(error)));
    ck_assert_str_eq(error, "/dev/zero: larger than 67108864 bytes");
}
END_TEST

/* Small things, as many as fit: no look into them may be quadratic. */
START_TEST(dense_ones)
{
    static const char *const tokens[] = {"le", "de", "0:", "i0e", "d0:lee", "llleee"};
    clock_t begun = clock();
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        text torrent = {0};
        add(&torrent, "d4:infod5:filesl");
        while (torrent.size < 4 << 20)
            add_bytes(&torrent, tokens[i], strlen(tokens[i]));
        add(&torrent, "e4:name1:aee");
        ck_assert_ptr_null(parse(torrent));
    }
    ck_assert_int_lt((clock() - begun) / CLOCKS_PER_SEC, 120);
}
END_TEST

/* ---- files ----------------------------------------------------------------------------------- */

START_TEST(files_that_cannot_be_read)
{
    ck_assert_ptr_null(metainfo_load("/nonexistent", error, sizeof(error)));
    ck_assert_str_eq(error, "/nonexistent: cannot be read: No such file or directory");
    ck_assert_ptr_null(metainfo_load("/", error, sizeof(error)));
    ck_assert_str_eq(error, "/: cannot be read: Is a directory");
    ck_assert_ptr_null(metainfo_load("/dev/null", error, sizeof(error)));
    ck_assert_str_eq(error, "/dev/null: not a torrent file: byte 0: the end is missing");
}
END_TEST

static const struct {
    const char *file;
    const char *hash; /* NULL: it is refused */
    uint64_t length;
    uint32_t pieces;
    uint32_t files;
    uint32_t trackers;
    bool is_private;
} real[] = {
    {"mktorrent", "842da75977e57c2b14b136cd131c48d050e60985", 76899, 3, 3, 3, true},
    {"mktorrent_single", "cbf5a8411d2e4231987216bde1fec00454db48b7", 76800, 3, 1, 1, false},
    {"libtorrent_v1", "228639e5260d9d3cb5bd8d52e17233331078b66d", 76899, 5, 3, 1, false},
    /* with pad files behind the others */
    {"libtorrent_hybrid", "77c498227b57507d52cb396ba22cb6fc2bded444", 98304, 6, 5, 1, false},
    {"libtorrent_v2", NULL, 0, 0, 0, 0, false},
};

START_TEST(of_other_programs)
{
    char path[1024];
    char hash[2 * HASH_SIZE + 1];
    snprintf(path, sizeof(path), TORRENT_FILES "/%s.torrent", real[_i].file);
    metainfo *info = metainfo_load(path, error, sizeof(error));
    if (!real[_i].hash) {
        ck_assert_ptr_null(info);
        ck_assert_ptr_nonnull(strstr(error, "second version"));
        return;
    }
    ck_assert_msg(info != NULL, "%s", error);
    for (size_t i = 0; i < HASH_SIZE; i++)
        snprintf(hash + 2 * i, 3, "%02x", info->hash[i]);
    ck_assert_str_eq(hash, real[_i].hash);
    ck_assert_uint_eq(info->length, real[_i].length);
    ck_assert_uint_eq(info->piece_count, real[_i].pieces);
    ck_assert_uint_eq(info->file_count, real[_i].files);
    ck_assert_uint_eq(info->tracker_count, real[_i].trackers);
    ck_assert(info->is_private == real[_i].is_private);
    for (uint32_t i = 0; i < info->file_count; i++)
        ck_assert(info->files[i].pad == (strstr(info->files[i].path, "/.pad/") != NULL));
    metainfo_free(info);
}
END_TEST

/* Two that are stored in one folder. */
START_TEST(with_files_of_each_other)
{
    metainfo *one = metainfo_load(TORRENT_FILES "/mktorrent.torrent", error, sizeof(error));
    metainfo *same = metainfo_load(TORRENT_FILES "/libtorrent_v1.torrent", error, sizeof(error));
    metainfo *other =
        metainfo_load(TORRENT_FILES "/mktorrent_single.torrent", error, sizeof(error));
    ck_assert(one && same && other);
    ck_assert_str_eq(one->name, same->name);
    ck_assert(!metainfo_apart(one, same, error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "' belongs to another torrent of this run too"));
    ck_assert(metainfo_apart(one, other, error, sizeof(error)));
    metainfo_free(one);
    metainfo_free(same);
    metainfo_free(other);
}
END_TEST

START_TEST(each_allocation_fails_once)
{
    char path[1024];
    unsigned failed = 0;
    metainfo *info = NULL;
    snprintf(path, sizeof(path), TORRENT_FILES "/mktorrent.torrent");
    for (; info == NULL; failed++) {
        ck_assert_uint_lt(failed, 100);
        countdown = failed + 1;
        errno = ENOMEM;
        info = metainfo_load(path, error, sizeof(error));
        if (!info)
            ck_assert_msg(strstr(error, "emory") != NULL, "%s", error);
    }
    countdown = 0;
    /* the bytes, what is returned, files, texts, comparison, hashes, two for trackers, three URLs
     */
    ck_assert_uint_eq(failed - 1, 11);
    metainfo_free(info);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torrent_metainfo");
    TCase *tests = tcase_create("torrent_metainfo");
    tcase_set_timeout(tests, 200);
    tcase_add_test(tests, a_single_file);
    tcase_add_test(tests, an_exact_multiple);
    tcase_add_test(tests, odd_pieces);
    tcase_add_test(tests, many_files);
    tcase_add_loop_test(tests, lists_of_trackers, 0, (int)(sizeof(trackers) / sizeof(trackers[0])));
    tcase_add_test(tests, too_many_trackers);
    tcase_add_test(tests, the_hash_is_of_the_bytes_as_they_stand);
    tcase_add_loop_test(tests, each_fault_has_its_line, 0, (int)(sizeof(bad) / sizeof(bad[0])));
    tcase_add_test(tests, names_with_zero_bytes_and_long_ones);
    tcase_add_test(tests, long_paths);
    tcase_add_test(tests, only_the_second_version);
    tcase_add_test(tests, what_is_no_torrent);
    tcase_add_test(tests, cut_at_every_byte_and_followed_by_one);
    tcase_add_test(tests, a_line_that_does_not_fit_is_cut);
    tcase_add_test(tests, a_million_files);
    tcase_add_test(tests, more_than_64_MiB);
    tcase_add_test(tests, dense_ones);
    tcase_add_test(tests, files_that_cannot_be_read);
    tcase_add_test(tests, with_files_of_each_other);
    tcase_add_test(tests, each_allocation_fails_once);
    tcase_add_loop_test(tests, of_other_programs, 0, (int)(sizeof(real) / sizeof(real[0])));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
