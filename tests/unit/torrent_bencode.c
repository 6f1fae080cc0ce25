/*
 * Bencoding: what is accepted and what is refused at which byte, inputs cut at every byte, nesting
 * and lengths of hostile files, keys that are there twice, and views of all kinds.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "../../examples/torrent/bencode.c"

static const char *why;
static size_t where;
static bencode value;

/* From memory of the exact size, for the sanitizer to see a byte read too many. The values that
 * come out live until the next call. */
static bool read_bytes(const void *data, size_t size)
{
    static uint8_t *exact;
    free(exact);
    exact = malloc(size > 0 ? size : 1);
    memcpy(exact, data, size);
    return bencode_read(exact, size, &value, &why, &where);
}

static bool read_text(const char *text)
{
    return read_bytes(text, strlen(text));
}

static const char *const good[] = {
    "i0e",
    "i-1e",
    "i9223372036854775807e",
    "i-9223372036854775808e",
    "0:",
    "4:spam",
    "10:0123456789",
    "le",
    "de",
    "li1eli2ee1:xe",
    "d1:ai1e1:bl1:cd1:dleeee",
    "d0:0:1:a1:ae",
    "d1:b1:x1:a1:ye",        /* not sorted */
    "d2:abi1e1:ai2e1:bi3ee", /* one begins with the other */
};

START_TEST(good_values)
{
    const char *text = good[_i];
    char longer[64];
    ck_assert(read_text(text));
    ck_assert_uint_eq(value.size, strlen(text));
    for (size_t cut = 0; cut < strlen(text); cut++) {
        ck_assert(!read_bytes(text, cut));
        ck_assert_uint_le(where, cut);
    }
    snprintf(longer, sizeof(longer), "%si1e", text);
    ck_assert(read_text(longer));
    ck_assert_uint_eq(value.size, strlen(text));
}
END_TEST

static const struct {
    const char *text;
    size_t where;
} bad[] = {
    {"", 0},
    {"e", 0},
    {"x", 0},
    {"-1:a", 0},
    {"ie", 1},
    {"i-e", 2},
    {"i+1e", 1},
    {"i 1e", 1},
    {"i1 e", 2},
    {"i01e", 2},
    {"i00e", 2},
    {"i-0e", 4},
    {"i-01e", 3},
    {"i--1e", 2},
    {"i0x1e", 2},
    {"i9223372036854775808e", 19},
    {"i-9223372036854775809e", 20},
    {"i99999999999999999999999e", 19},
    {"01:a", 1},
    {"00:", 1},
    {"2:a", 2},
    {"1;a", 1},
    {"1", 1},
    {"2147483648:a", 1},
    {"4294967297:a", 1},
    {"18446744073709551616:a", 2},
    {"18446744073709551617:a", 2},
    {"l", 1},
    {"li1e", 4},
    {"lx", 1},
    {"d1:ae", 4},
    {"d1:a", 4},
    {"di1ei2ee", 1},
    {"dlei2ee", 1},
    {"d1:ai1e1:ai2ee", 10},
    {"d1:ai1e1:bi1e1:ai2ee", 16},
    {"d1:bi1e1:ai1e1:bi2ee", 16},
    {"d0:i1e0:i2ee", 8},
};

START_TEST(bad_values)
{
    ck_assert(!read_text(bad[_i].text));
    ck_assert_ptr_nonnull(why);
    ck_assert_uint_eq(where, bad[_i].where);
}
END_TEST

START_TEST(nesting)
{
    char text[2 * (BENCODE_DEPTH + 1)];
    for (size_t depth = 1; depth <= BENCODE_DEPTH + 1; depth++) {
        memset(text, 'l', depth);
        memset(text + depth, 'e', depth);
        ck_assert(read_bytes(text, 2 * depth) == (depth <= BENCODE_DEPTH));
    }
    ck_assert_uint_eq(where, BENCODE_DEPTH);
    for (size_t i = 0; i < 2; i++) {
        size_t size = 1000000;
        char *hostile = malloc(size);
        for (size_t at = 0; at < size; at++)
            hostile[at] = "lld0:"[i == 0 ? 0 : 2 + at % 3];
        ck_assert(!read_bytes(hostile, size));
        free(hostile);
    }
}
END_TEST

/* The keys of a dictionary, "000" and so on; `odd` is written in the place of key `at`. */
static bool read_keys(unsigned count, unsigned at, unsigned odd)
{
    char text[2048] = "d";
    for (unsigned i = 0; i < count; i++)
        snprintf(text + strlen(text), 16, "3:%03ule", i == at ? odd : i);
    strcat(text, "e");
    return read_text(text);
}

START_TEST(keys_of_long_dictionaries)
{
    for (unsigned count = 1; count < 100; count++) {
        ck_assert(read_keys(count, count, 0));
        ck_assert(read_keys(count, 0, 999) == (count <= BENCODE_UNSORTED + 1));
        for (unsigned at = 1; at < count; at++) {
            ck_assert(!read_keys(count, at, 0));
            ck_assert(!read_keys(count, at, at - 1));
            ck_assert(read_keys(count, at, 999) ==
                      (at == count - 1 || count <= BENCODE_UNSORTED + 1));
        }
    }
}
END_TEST

START_TEST(integers)
{
    static const int64_t numbers[] = {0,          1,         -1,        42,
                                      1000000007, INT64_MAX, INT64_MIN, INT64_MIN + 1};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char text[32];
        int64_t number = 0;
        snprintf(text, sizeof(text), "i%" PRId64 "e", numbers[i]);
        ck_assert(read_text(text));
        ck_assert_int_eq(bencode_kind_of(value), BENCODE_INTEGER);
        ck_assert(bencode_integer(value, &number));
        ck_assert_int_eq(number, numbers[i]);
    }
    int64_t number = 5;
    ck_assert(read_text("1:1"));
    ck_assert(!bencode_integer(value, &number));
    ck_assert_int_eq(number, 5);
}
END_TEST

START_TEST(strings)
{
    bencode bytes;
    ck_assert(read_bytes("5:a\0e:i", 7));
    ck_assert_int_eq(bencode_kind_of(value), BENCODE_STRING);
    ck_assert(bencode_string(value, &bytes));
    ck_assert_uint_eq(bytes.size, 5);
    ck_assert_mem_eq(bytes.data, "a\0e:i", 5);
    ck_assert(!bencode_same(bytes, "a"));
    ck_assert(read_text("0:"));
    ck_assert(bencode_string(value, &bytes));
    ck_assert_uint_eq(bytes.size, 0);
    ck_assert(bencode_same(bytes, ""));
    ck_assert(read_text("i0e"));
    ck_assert(!bencode_string(value, &bytes));
}
END_TEST

START_TEST(walks)
{
    static const char *const parts[] = {"i1e", "l1:eli2eee", "d1:ade1:bi3ee", "3:eee"};
    bencode key;
    bencode part;
    ck_assert(read_text("li1el1:eli2eeed1:ade1:bi3ee3:eeee"));
    ck_assert_int_eq(bencode_kind_of(value), BENCODE_LIST);
    bencode_walk walk = bencode_begin(value);
    for (size_t i = 0; i < 4; i++) {
        ck_assert(bencode_next(&walk, &key, &part));
        ck_assert_uint_eq(key.size, 0);
        ck_assert(bencode_same(part, parts[i]));
    }
    ck_assert(!bencode_next(&walk, &key, &part));
    ck_assert(!bencode_next(&walk, &key, &part));
    ck_assert(read_text("d1:ade1:bi3ee"));
    ck_assert_int_eq(bencode_kind_of(value), BENCODE_DICTIONARY);
    walk = bencode_begin(value);
    ck_assert(bencode_next(&walk, &key, &part));
    ck_assert(bencode_same(key, "a") && bencode_same(part, "de"));
    ck_assert(bencode_next(&walk, NULL, &part));
    ck_assert(bencode_same(part, "i3e"));
    ck_assert(!bencode_next(&walk, &key, &part));
    ck_assert(read_text("i3e"));
    walk = bencode_begin(value);
    ck_assert(!bencode_next(&walk, &key, &part));
}
END_TEST

START_TEST(look_up)
{
    bencode found;
    int64_t number;
    ck_assert(read_text("d3:agei7e4:name1:x3:subd3:inni9eee"));
    ck_assert(bencode_find_integer(value, "age", &number));
    ck_assert_int_eq(number, 7);
    ck_assert(!bencode_find_integer(value, "name", &number));
    ck_assert(bencode_find_string(value, "name", &found) && bencode_same(found, "x"));
    ck_assert(!bencode_find_string(value, "age", &found));
    ck_assert(!bencode_find(value, "inn", &found)); /* only of the dictionary itself */
    ck_assert(!bencode_find(value, "nam", &found));
    ck_assert(!bencode_find(value, "", &found));
    ck_assert(bencode_find(value, "sub", &found));
    ck_assert(bencode_find_integer(found, "inn", &number));
    ck_assert(read_text("l3:age3:agee"));
    ck_assert(!bencode_find(value, "age", &found));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torrent_bencode");
    TCase *tests = tcase_create("torrent_bencode");
    tcase_add_loop_test(tests, good_values, 0, (int)(sizeof(good) / sizeof(good[0])));
    tcase_add_loop_test(tests, bad_values, 0, (int)(sizeof(bad) / sizeof(bad[0])));
    tcase_add_test(tests, nesting);
    tcase_add_test(tests, keys_of_long_dictionaries);
    tcase_add_test(tests, integers);
    tcase_add_test(tests, strings);
    tcase_add_test(tests, walks);
    tcase_add_test(tests, look_up);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
