/*
 * The wire format of the Fortune examples: known blocks, both directions, text that is not valid.
 *
 * The expected replacement characters are those of the practice that Unicode recommends, one for
 * each longest piece that could have begun a character; Python's decoder agrees.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "../../examples/fortune_wire.c"

static const struct {
    const char *text;
    const char *block; /* behind the count */
    size_t size;
} pairs[] = {
    {"", "", 0},
    {"Y", "\0Y", 2},
    {"You", "\0Y\0o\0u", 6},
    {"\x7f", "\0\x7f", 2},
    {"\xc2\x80", "\0\x80", 2},
    {"\xc3\xbc", "\0\xfc", 2},
    {"\xdf\xbf", "\x07\xff", 2},
    {"\xe0\xa0\x80", "\x08\0", 2},
    {"\xe4\xb8\x83", "\x4e\x03", 2},
    {"\xed\x9f\xbf", "\xd7\xff", 2},
    {"\xee\x80\x80", "\xe0\0", 2},
    {"\xef\xbf\xbf", "\xff\xff", 2},
    {"\xf0\x90\x80\x80", "\xd8\0\xdc\0", 4},
    {"\xf0\x9f\x9a\xa3.", "\xd8\x3d\xde\xa3\0.", 6},
    {"\xf4\x8f\xbf\xbf", "\xdb\xff\xdf\xff", 4},
};

START_TEST(both_directions)
{
    size_t size;
    size_t length;
    uint32_t count;
    uint8_t *block = fortune_block_new(pairs[_i].text, strlen(pairs[_i].text), &size);
    ck_assert_ptr_nonnull(block);
    ck_assert_uint_eq(size, FORTUNE_HEADER + pairs[_i].size);
    ck_assert(fortune_header_read(block, &count));
    ck_assert_uint_eq(count, pairs[_i].size);
    ck_assert_int_eq(memcmp(block + FORTUNE_HEADER, pairs[_i].block, pairs[_i].size), 0);
    char *text = fortune_text_new(block + FORTUNE_HEADER, count, &length);
    ck_assert_str_eq(text, pairs[_i].text);
    ck_assert_uint_eq(length, strlen(text));
    free(text);
    free(block);
}
END_TEST

/* U+FFFD is shown as '?'. */
static const struct {
    const char *text;
    const char *expected;
} invalid_utf8[] = {
    {"a\x80z", "a?z"},              /* a stray continuation */
    {"\x80\xbf", "??"},             /* two of them */
    {"\xc3", "?"},                  /* cut short at the end */
    {"\xc3z", "?z"},                /* cut short by another character */
    {"\xe4\xb8z", "?z"},            /* two bytes of three */
    {"\xf0\x9f\x9a", "?"},          /* three bytes of four */
    {"\xf0\x9f\x9a\xf0\x9f", "??"}, /* twice */
    {"\xc0\xaf", "??"},             /* longer than needed */
    {"\xc1\xbf", "??"},             /* the same */
    {"\xe0\x80\xaf", "???"},        /* the same in three bytes */
    {"\xf0\x80\x80\xaf", "????"},   /* the same in four */
    {"\xed\xa0\x80", "???"},        /* half a surrogate pair */
    {"\xf4\x90\x80\x80", "????"},   /* beyond U+10FFFF */
    {"\xf5\x80\x80\x80", "????"},   /* the same */
    {"\xfe\xff", "??"},             /* never in UTF-8 */
    {"\xe4\xc3\xbc", "?\xc3\xbc"},  /* what follows is whole */
};

START_TEST(invalid_utf8_is_replaced)
{
    size_t size;
    size_t length;
    char expected[64];
    size_t end = 0;
    for (const char *c = invalid_utf8[_i].expected; *c; c++) {
        memcpy(expected + end, *c == '?' ? "\xef\xbf\xbd" : c, *c == '?' ? 3 : 1);
        end += *c == '?' ? 3 : 1;
    }
    expected[end] = '\0';
    const char *text = invalid_utf8[_i].text;
    char *exact = malloc(strlen(text)); /* for the sanitizer to see a byte read too many */
    memcpy(exact, text, strlen(text));
    uint8_t *block = fortune_block_new(exact, strlen(text), &size);
    char *again = fortune_text_new(block + FORTUNE_HEADER, size - FORTUNE_HEADER, &length);
    ck_assert_str_eq(again, expected);
    free(again);
    free(block);
    free(exact);
}
END_TEST

START_TEST(half_a_surrogate_pair_is_replaced)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *text;
    } cases[] = {
        {"\xd8\x3d", 2, "\xef\xbf\xbd"},
        {"\xde\xa3", 2, "\xef\xbf\xbd"},
        {"\xd8\x3d\0a", 4,
         "\xef\xbf\xbd"
         "a"},
        {"\xde\xa3\xd8\x3d", 4, "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xd8\x3d\xd8\x3d\xde\xa3", 6, "\xef\xbf\xbd\xf0\x9f\x9a\xa3"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t length;
        uint8_t *exact = malloc(cases[i].size);
        memcpy(exact, cases[i].bytes, cases[i].size);
        char *text = fortune_text_new(exact, cases[i].size, &length);
        ck_assert_str_eq(text, cases[i].text);
        free(text);
        free(exact);
    }
}
END_TEST

START_TEST(zero_characters_stay)
{
    size_t size;
    size_t length;
    uint8_t *block = fortune_block_new("a\0b", 3, &size);
    ck_assert_uint_eq(size, FORTUNE_HEADER + 6);
    char *text = fortune_text_new(block + FORTUNE_HEADER, 6, &length);
    ck_assert_uint_eq(length, 3);
    ck_assert_mem_eq(text, "a\0b", 4);
    free(text);
    free(block);
}
END_TEST

START_TEST(counts)
{
    static const struct {
        uint8_t header[FORTUNE_HEADER];
        bool good;
        uint32_t count;
    } cases[] = {
        {{0, 0, 0, 0}, true, 0},
        {{0, 0, 0, 0x28}, true, 0x28},
        {{0, 0, 0, 1}, false, 0},
        {{0, 0x10, 0, 0}, true, 0x100000},
        {{0, 0x10, 0, 2}, false, 0},
        {{0x7f, 0xff, 0xff, 0xfe}, false, 0},
        {{0x80, 0, 0, 0}, false, 0},
        {{0xff, 0xff, 0xff, 0xfe}, false, 0},
        {{0xff, 0xff, 0xff, 0xff}, true, 0},  /* Qt's null string */
        {{0x48, 0x54, 0x54, 0x50}, false, 0}, /* "HTTP" */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t count;
        ck_assert(fortune_header_read(cases[i].header, &count) == cases[i].good);
        if (cases[i].good)
            ck_assert_uint_eq(count, cases[i].count);
    }
}
END_TEST

START_TEST(longest_text)
{
    size_t size;
    size_t characters = FORTUNE_MOST / 2;
    char *text = malloc(4 * FORTUNE_MOST);
    memset(text, 'x', 4 * FORTUNE_MOST);
    uint8_t *block = fortune_block_new(text, characters, &size);
    ck_assert_uint_eq(size, FORTUNE_HEADER + FORTUNE_MOST);
    free(block);
    ck_assert_ptr_null(fortune_block_new(text, characters + 1, &size));
    ck_assert_int_eq(errno, EMSGSIZE);
    errno = 0;
    ck_assert_ptr_null(fortune_block_new(text, 4 * FORTUNE_MOST, &size));
    ck_assert_int_eq(errno, EMSGSIZE);
    /* three bytes a character: as many characters are allowed */
    for (size_t i = 0; i < characters; i++)
        memcpy(text + 3 * i, "\xe4\xb8\x83", 3);
    block = fortune_block_new(text, 3 * characters, &size);
    ck_assert_uint_eq(size, FORTUNE_HEADER + FORTUNE_MOST);
    free(block);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fortune_wire");
    TCase *tests = tcase_create("fortune_wire");
    tcase_add_loop_test(tests, both_directions, 0, (int)(sizeof(pairs) / sizeof(pairs[0])));
    tcase_add_loop_test(tests, invalid_utf8_is_replaced, 0,
                        (int)(sizeof(invalid_utf8) / sizeof(invalid_utf8[0])));
    tcase_add_test(tests, half_a_surrogate_pair_is_replaced);
    tcase_add_test(tests, zero_characters_stay);
    tcase_add_test(tests, counts);
    tcase_add_test(tests, longest_text);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
