/* Sets of pieces: counts around a byte, the order of the bits, and sets from outside. */
#include <string.h>

#include <check.h>

#include "../../examples/torrent/bits.c"

static const uint32_t counts[] = {0, 1, 7, 8, 9, 63, 64, 65, 1000, 4096};

START_TEST(adding_and_removing)
{
    uint32_t count = counts[_i];
    bits set;
    ck_assert(bits_open(&set, count));
    for (uint32_t i = 0; i < count; i++) {
        ck_assert(!bits_full(&set));
        ck_assert(!bits_has(&set, i));
        bits_add(&set, i);
        bits_add(&set, i);
        ck_assert(bits_has(&set, i));
        ck_assert_uint_eq(set.set, i + 1);
    }
    ck_assert(bits_full(&set));
    for (uint32_t i = 0; i < count; i++) {
        bits_remove(&set, i);
        bits_remove(&set, i);
        ck_assert(!bits_has(&set, i));
        ck_assert_uint_eq(set.set, count - i - 1);
    }
    bits_close(&set);
}
END_TEST

START_TEST(what_is_no_piece_is_never_there)
{
    uint32_t count = counts[_i];
    bits set;
    ck_assert(bits_open(&set, count));
    bits_fill(&set);
    ck_assert_uint_eq(set.set, count);
    ck_assert(!bits_has(&set, count));
    ck_assert(!bits_has(&set, UINT32_MAX));
    bits_add(&set, count);
    bits_remove(&set, count + 1);
    ck_assert_uint_eq(set.set, count);
    for (size_t bit = count; bit < 8 * bits_size(count); bit++)
        ck_assert_uint_eq(set.bytes[bit / 8] & (0x80u >> bit % 8), 0);
    bits_clear(&set);
    ck_assert_uint_eq(set.set, 0);
    ck_assert(!bits_has(&set, 0));
    bits_close(&set);
}
END_TEST

START_TEST(sets_from_outside)
{
    uint32_t count = counts[_i];
    size_t size = bits_size(count);
    bits from;
    bits to;
    ck_assert(bits_open(&from, count));
    ck_assert(bits_open(&to, count));
    for (uint32_t i = 0; i < count; i += 3)
        bits_add(&from, i);
    ck_assert(bits_read(&to, from.bytes, size));
    ck_assert_uint_eq(to.set, from.set);
    ck_assert_mem_eq(to.bytes, from.bytes, size);
    ck_assert(!bits_read(&to, from.bytes, size + 1));
    if (size > 0)
        ck_assert(!bits_read(&to, from.bytes, size - 1));
    for (size_t bit = count; bit < 8 * size; bit++) {
        from.bytes[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
        ck_assert(!bits_read(&to, from.bytes, size));
        from.bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
    }
    ck_assert_uint_eq(to.set, from.set);
    bits_close(&from);
    bits_close(&to);
}
END_TEST

START_TEST(piece_0_is_the_highest_bit)
{
    bits set;
    ck_assert(bits_open(&set, 10));
    bits_add(&set, 0);
    bits_add(&set, 9);
    ck_assert_uint_eq(set.bytes[0], 0x80);
    ck_assert_uint_eq(set.bytes[1], 0x40);
    bits_close(&set);
}
END_TEST

int main(void)
{
    const int each = (int)(sizeof(counts) / sizeof(counts[0]));
    Suite *suite = suite_create("torrent_bits");
    TCase *tests = tcase_create("torrent_bits");
    tcase_add_loop_test(tests, adding_and_removing, 0, each);
    tcase_add_loop_test(tests, what_is_no_piece_is_never_there, 0, each);
    tcase_add_loop_test(tests, sets_from_outside, 0, each);
    tcase_add_test(tests, piece_0_is_the_highest_bit);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
