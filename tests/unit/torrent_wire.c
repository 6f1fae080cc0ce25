/*
 * The peer protocol of the Torrent example: every message there and back, each known type with each
 * wrong length, fields at their bounds, input that is cut at every byte.
 *
 * Each input is copied into memory of its exact size, for the sanitizer to see a byte read too
 * many.
 *
 * spec: S8.17 S8.18
 */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "../../examples/torrent/wire.c"

#include "torrent_pieces.h"

/* 11 pieces of 40,000 bytes, the last one of 12,345. */
static metainfo info;
static wire_rules rules;

#define PIECES 11u
#define PIECE 40000u
#define LAST 12345u

static void set_up(void)
{
    info = pieces_of((PIECES - 1) * (uint64_t)PIECE + LAST, PIECE);
    rules = (wire_rules){.info = &info, .fast = true};
}

static wire_result read_exact(const void *data, size_t size, wire_message *message, size_t *whole,
                              const char **why)
{
    static uint8_t *exact;
    free(exact); /* what the last message pointed into */
    exact = malloc(size > 0 ? size : 1);
    if (size > 0)
        memcpy(exact, data, size);
    return wire_read(&rules, exact, size, message, whole, why);
}

/* Reads a message of which `header` bytes decide, cut at every byte. */
static wire_message read_cut(const uint8_t *data, size_t header, size_t size)
{
    wire_message message = {0};
    size_t whole = 0;
    const char *why = NULL;
    for (size_t cut = 0; cut < header; cut++)
        ck_assert_int_eq(read_exact(data, cut, &message, &whole, &why), WIRE_MORE);
    for (size_t cut = header; cut <= header + 8; cut++) {
        message.type = WIRE_UNKNOWN;
        ck_assert_int_eq(read_exact(data, cut, &message, &whole, &why), WIRE_MESSAGE);
        ck_assert_uint_eq(whole, size);
    }
    ck_assert_ptr_null(why);
    return message;
}

/* The same of a message without data. */
static wire_message read_small(const uint8_t *data, size_t size)
{
    return read_cut(data, size, size);
}

/* Broken from some byte on, and never before that by accident a message. */
static void assert_broken(const uint8_t *data, size_t size)
{
    wire_message message;
    size_t whole;
    const char *why = NULL;
    bool broken = false;
    for (size_t cut = 0; cut <= size; cut++) {
        wire_result result = read_exact(data, cut, &message, &whole, &why);
        ck_assert_int_ne(result, WIRE_MESSAGE);
        ck_assert(!broken || result == WIRE_BROKEN);
        broken = result == WIRE_BROKEN;
    }
    ck_assert(broken);
    ck_assert_ptr_nonnull(why);
}

START_TEST(there_and_back)
{
    static const wire_type plain[] = {WIRE_CHOKE,          WIRE_UNCHOKE,  WIRE_INTERESTED,
                                      WIRE_NOT_INTERESTED, WIRE_HAVE_ALL, WIRE_HAVE_NONE};
    static const wire_type of_piece[] = {WIRE_HAVE, WIRE_SUGGEST, WIRE_ALLOWED_FAST};
    static const wire_type of_block[] = {WIRE_REQUEST, WIRE_CANCEL, WIRE_REJECT};
    uint8_t to[32] = {0};
    for (size_t i = 0; i < 6; i++)
        ck_assert_int_eq(read_small(to, wire_plain(to, plain[i])).type, plain[i]);
    for (size_t i = 0; i < 3; i++) {
        wire_message message = read_small(to, wire_have(to, of_piece[i], 10));
        ck_assert_int_eq(message.type, of_piece[i]);
        ck_assert_uint_eq(message.index, 10);
    }
    for (size_t i = 0; i < 3; i++) {
        wire_message message = read_small(to, wire_block(to, of_block[i], 9, 16384, 23616));
        ck_assert_int_eq(message.type, of_block[i]);
        ck_assert_uint_eq(message.index, 9);
        ck_assert_uint_eq(message.begin, 16384);
        ck_assert_uint_eq(message.length, 23616);
    }
    ck_assert_int_eq(read_small(to, wire_keep_alive(to)).type, WIRE_KEEP_ALIVE);
}
END_TEST

START_TEST(messages_with_data)
{
    uint8_t to[32] = {0};
    size_t at = wire_piece_header(to, 10, 5, 12340);
    ck_assert_uint_eq(at, WIRE_PIECE_HEADER);
    wire_message message = read_cut(to, at, at + 12340);
    ck_assert_int_eq(message.type, WIRE_PIECE);
    ck_assert_uint_eq(message.index, 10);
    ck_assert_uint_eq(message.begin, 5);
    ck_assert_uint_eq(message.length, 12340);

    at = wire_bitfield_header(to, 2);
    message = read_cut(to, at, at + 2);
    ck_assert_int_eq(message.type, WIRE_BITFIELD);
    ck_assert_uint_eq(message.length, 2);

    at = wire_extended_header(to, 7, 99);
    message = read_cut(to, at, at + 99);
    ck_assert_int_eq(message.type, WIRE_EXTENDED);
    ck_assert_uint_eq(message.extension, 7);
    ck_assert_uint_eq(message.length, 99);
    ck_assert_uint_eq(read_small(to, wire_extended_header(to, 0, 0)).length, 0);
}
END_TEST

START_TEST(wrong_lengths)
{
    static const struct {
        uint8_t type;
        uint32_t least;
        uint32_t most;
    } types[] = {{0, 1, 1},    {1, 1, 1},   {2, 1, 1},
                 {3, 1, 1},    {4, 5, 5},   {5, 3, 3},
                 {6, 13, 13},  {8, 13, 13}, {7, 10, 9 + WIRE_LONGEST_REQUEST},
                 {13, 5, 5},   {14, 1, 1},  {15, 1, 1},
                 {16, 13, 13}, {17, 5, 5},  {20, 2, 65538}};
    wire_message message;
    size_t whole;
    const char *why;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        for (uint32_t length = 1; length < 140000; length++) {
            uint8_t head[5];
            put_header(head, length, types[i].type);
            wire_result result = read_exact(head, 5, &message, &whole, &why);
            bool good = length >= types[i].least && length <= types[i].most;
            HOLDS((result != WIRE_BROKEN) == good);
        }
    }
}
END_TEST

START_TEST(types_that_are_unknown)
{
    static const uint8_t unknown[] = {9, 10, 11, 12, 18, 19, 21, 99, 255};
    for (size_t i = 0; i < sizeof(unknown); i++) {
        uint8_t data[16] = {0, 0, 0, 3, unknown[i], 0x1a, 0xe1};
        wire_message message = read_cut(data, 5, 7);
        ck_assert_int_eq(message.type, WIRE_UNKNOWN);
        data[3] = 1;
        ck_assert_int_eq(read_small(data, 5).type, WIRE_UNKNOWN);
    }
}
END_TEST

START_TEST(lengths_beyond_all_messages)
{
    static const uint32_t lengths[] = {131082, 200001, 0x7fffffff, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint8_t data[4];
        put_number(data, lengths[i]);
        assert_broken(data, sizeof(data)); /* before any byte of it has come */
    }
    /* The longest bit field decides in a torrent of very many pieces. */
    info = pieces_of(3000000ull * 16384, 16384);
    uint8_t field[5];
    wire_message message;
    size_t whole;
    const char *why;
    wire_bitfield_header(field, 375000);
    ck_assert_int_eq(read_exact(field, 5, &message, &whole, &why), WIRE_MESSAGE);
    ck_assert_uint_eq(whole, 375005);
    wire_bitfield_header(field, 375001);
    assert_broken(field, sizeof(field));
}
END_TEST

START_TEST(pieces_that_are_not_there)
{
    static const uint32_t wrong[] = {PIECES, PIECES + 1, 0x7fffffff, 0xffffffff};
    uint8_t to[32] = {0};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_broken(to, wire_have(to, WIRE_HAVE, wrong[i]));
        assert_broken(to, wire_have(to, WIRE_SUGGEST, wrong[i]));
        assert_broken(to, wire_have(to, WIRE_ALLOWED_FAST, wrong[i]));
        assert_broken(to, wire_block(to, WIRE_REQUEST, wrong[i], 0, 1));
        assert_broken(to, wire_block(to, WIRE_CANCEL, wrong[i], 0, 1));
        assert_broken(to, wire_block(to, WIRE_REJECT, wrong[i], 0, 1));
        assert_broken(to, wire_piece_header(to, wrong[i], 0, 1)); /* before its data */
    }
}
END_TEST

START_TEST(blocks_outside_their_piece)
{
    static const struct {
        uint32_t index;
        uint32_t begin;
        uint32_t length;
        bool good;
    } blocks[] = {
        {0, 0, 0, false},
        {0, 0, 1, true},
        {0, 0, PIECE, true},
        {0, 0, PIECE + 1, false},
        {0, 1, PIECE, false},
        {0, PIECE - 1, 1, true},
        {0, PIECE, 1, false},
        {0, PIECE, 0, false},
        {0, 0xffffffff, 1, false},      /* begin + length is 2^32 */
        {0, 0xffffffff, 0x101, false},  /* a small number, if it wrapped */
        {0, 0xffffc000, 0x4000, false}, /* 0, if it wrapped */
        {0, 0, 131073, false},
        {0, 0, 0xffffffff, false},
        {PIECES - 1, 0, LAST, true},
        {PIECES - 1, 0, LAST + 1, false},
        {PIECES - 1, LAST - 1, 1, true},
        {PIECES - 1, LAST, 1, false},
    };
    uint8_t to[32] = {0};
    wire_message message;
    size_t whole;
    const char *why;
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        uint32_t index = blocks[i].index;
        uint32_t begin = blocks[i].begin;
        uint32_t length = blocks[i].length;
        static const wire_type types[] = {WIRE_REQUEST, WIRE_CANCEL, WIRE_REJECT};
        for (size_t t = 0; t < 3; t++) {
            size_t size = wire_block(to, types[t], index, begin, length);
            if (blocks[i].good)
                read_small(to, size);
            else
                assert_broken(to, size);
        }
        size_t size = wire_piece_header(to, index, begin, length);
        wire_result result = read_exact(to, size, &message, &whole, &why);
        ck_assert_int_eq(result, blocks[i].good ? WIRE_MESSAGE : WIRE_BROKEN);
        ck_assert(!blocks[i].good || whole == size + length);
    }
    /* 128 KiB are the most, and 1 byte less is not more. */
    info = pieces_of(1u << 20, 1u << 20);
    read_small(to, wire_block(to, WIRE_REQUEST, 0, 0, 131072));
    assert_broken(to, wire_block(to, WIRE_REQUEST, 0, 0, 131073));
}
END_TEST

START_TEST(fast_messages_that_were_not_agreed_on)
{
    uint8_t to[32] = {0};
    rules.fast = false;
    assert_broken(to, wire_plain(to, WIRE_HAVE_ALL));
    assert_broken(to, wire_plain(to, WIRE_HAVE_NONE));
    assert_broken(to, wire_have(to, WIRE_SUGGEST, 0));
    assert_broken(to, wire_have(to, WIRE_ALLOWED_FAST, 0));
    assert_broken(to, wire_block(to, WIRE_REJECT, 0, 0, 1));
    read_small(to, wire_have(to, WIRE_HAVE, 0));
}
END_TEST

START_TEST(handshakes)
{
    wire_handshake out = {.fast = _i & 1, .extensions = _i & 2};
    wire_handshake in;
    uint8_t bytes[WIRE_HANDSHAKE_SIZE];
    bool has_id;
    const char *why = NULL;
    memcpy(out.hash, "abcdefghijklmnopqrst", HASH_SIZE);
    memcpy(out.peer_id, "-BE0100-0123456789ab", PEER_ID_SIZE);
    wire_write_handshake(bytes, &out);
    for (size_t cut = 0; cut <= sizeof(bytes); cut++) {
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, bytes, cut);
        exact = realloc(exact, cut > 0 ? cut : 1);
        memset(&in, 0, sizeof(in));
        wire_result result = wire_read_handshake(exact, cut, &in, &has_id, &why);
        free(exact);
        ck_assert_int_eq(result, cut < 48 ? WIRE_MORE : WIRE_MESSAGE);
        if (cut < 48)
            continue;
        ck_assert(has_id == (cut == sizeof(bytes)));
        ck_assert(in.fast == out.fast && in.extensions == out.extensions);
        ck_assert_mem_eq(in.hash, out.hash, HASH_SIZE);
        if (has_id)
            ck_assert_mem_eq(in.peer_id, out.peer_id, PEER_ID_SIZE);
    }
    /* Any byte of the protocol's name that is wrong is wrong at once; reserved bits are not. */
    for (size_t i = 0; i < 28; i++) {
        bytes[i] ^= 0x20;
        wire_result result = wire_read_handshake(bytes, i + 1, &in, &has_id, &why);
        ck_assert_int_eq(result, i < 20 ? WIRE_BROKEN : WIRE_MORE);
        bytes[i] ^= 0x20;
    }
}
END_TEST

START_TEST(random_bytes)
{
    uint64_t random = (uint64_t)_i;
    static uint8_t bytes[40];
    wire_message message;
    const char *why;
    for (int round = 0; round < 2000; round++) {
        size_t size = draw_below(&random, sizeof(bytes));
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)(draw_below(&random, 4) ? 0 : draw_below(&random, 24));
        size_t whole = 0;
        wire_result result = read_exact(bytes, size, &message, &whole, &why);
        if (result == WIRE_MESSAGE)
            HOLDS(whole >= 4 && whole <= 5 + 9 + WIRE_LONGEST_REQUEST);
        if (result == WIRE_MORE)
            HOLDS(size < WIRE_SMALL);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torrent_wire");
    TCase *tests = tcase_create("torrent_wire");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, there_and_back);
    tcase_add_test(tests, messages_with_data);
    tcase_add_test(tests, wrong_lengths);
    tcase_add_test(tests, types_that_are_unknown);
    tcase_add_test(tests, lengths_beyond_all_messages);
    tcase_add_test(tests, pieces_that_are_not_there);
    tcase_add_test(tests, blocks_outside_their_piece);
    tcase_add_test(tests, fast_messages_that_were_not_agreed_on);
    tcase_add_loop_test(tests, handshakes, 0, 4);
    tcase_add_loop_test(tests, random_bytes, 0, 4);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
