/*
 * Counts by address.
 */
#include "base/address_counts.h"

#include "base/fault.h"

#include <check.h>

static berth_address at(const char *text)
{
    berth_address address = BERTH_ADDRESS_NULL;
    ck_assert(berth_address_parse(text, &address));
    return address;
}

static berth__address_count *add(berth__address_counts *counts, const char *text)
{
    return berth__address_counts_add(counts, at(text), 24, 64);
}

START_TEST(one_network_is_one_entry)
{
    berth__address_counts counts = {0};
    berth__address_count *entry = add(&counts, "192.0.2.1");
    ck_assert_ptr_eq(add(&counts, "192.0.2.200"), entry);
    ck_assert_uint_eq(entry->count, 2);
    ck_assert_ptr_ne(add(&counts, "192.0.3.1"), entry);
    entry = add(&counts, "2001:db8::1");
    ck_assert_ptr_eq(add(&counts, "2001:db8::ffff:1"), entry);
    ck_assert_ptr_ne(add(&counts, "2001:db8:0:1::1"), entry);
    ck_assert_uint_eq(counts.size, 4);
    berth__address_counts_clear(&counts);
}
END_TEST

START_TEST(prefixes_of_no_whole_bytes)
{
    berth__address_counts counts = {0};
    berth__address_count *entry = berth__address_counts_add(&counts, at("10.0.0.7"), 29, 1);
    ck_assert_ptr_eq(berth__address_counts_add(&counts, at("10.0.0.0"), 29, 1), entry);
    ck_assert_ptr_ne(berth__address_counts_add(&counts, at("10.0.0.8"), 29, 1), entry);
    ck_assert_ptr_ne(berth__address_counts_add(&counts, at("10.0.0.7"), 30, 1), entry);
    entry = berth__address_counts_add(&counts, at("::1"), 29, 1);
    ck_assert_ptr_eq(berth__address_counts_add(&counts, at("7fff::"), 29, 1), entry);
    ck_assert_ptr_ne(berth__address_counts_add(&counts, at("8000::"), 29, 1), entry);
    berth__address_counts_clear(&counts);
}
END_TEST

START_TEST(mapped_addresses_are_ipv4)
{
    berth__address_counts counts = {0};
    berth__address_count *entry = add(&counts, "192.0.2.1");
    ck_assert_ptr_eq(add(&counts, "::ffff:192.0.2.9"), entry);
    ck_assert_ptr_ne(add(&counts, "::ffff:192.0.3.9"), entry);
    berth__address_counts_clear(&counts);
}
END_TEST

START_TEST(entries_go_with_the_last)
{
    berth__address_counts counts = {0};
    berth__address_count *one = add(&counts, "192.0.2.1");
    berth__address_count *other = add(&counts, "198.51.100.1");
    add(&counts, "192.0.2.2");
    berth__address_counts_remove(&counts, one);
    ck_assert_uint_eq(counts.size, 2);
    berth__address_counts_remove(&counts, one);
    ck_assert_uint_eq(counts.size, 1);
    berth__address_counts_remove(&counts, other);
    ck_assert_uint_eq(counts.size, 0);
    berth__address_counts_clear(&counts);
}
END_TEST

START_TEST(many_addresses)
{
    enum {
        MANY = 5000
    };
    berth__address_counts counts = {0};
    static berth__address_count *entries[MANY];
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < MANY; i++) {
            berth_address address = berth_address_ipv4(0x0a000000u + i);
            berth__address_count *entry = berth__address_counts_add(&counts, address, 32, 128);
            ck_assert(round == 0 || entry == entries[i]);
            entries[i] = entry;
        }
    }
    ck_assert_uint_eq(counts.size, MANY);
    ck_assert_uint_ge(counts.capacity, MANY);
    for (uint32_t i = 0; i < 2 * MANY; i++)
        berth__address_counts_remove(&counts, entries[i % MANY]);
    ck_assert_uint_eq(counts.size, 0);
    berth__address_counts_clear(&counts);
}
END_TEST

START_TEST(out_of_memory)
{
    berth__address_counts counts = {0};
    berth__fault_set_memory(0, 1);
    ck_assert_ptr_null(add(&counts, "192.0.2.1"));
    for (uint32_t i = 0; i < 16; i++)
        ck_assert_ptr_nonnull(berth__address_counts_add(&counts, berth_address_ipv4(i), 32, 128));
    berth__fault_set_memory(0, 1); /* no room for more buckets: the old ones do */
    ck_assert_ptr_nonnull(berth__address_counts_add(&counts, berth_address_ipv4(99), 32, 128));
    ck_assert_uint_eq(counts.capacity, 16);
    berth__fault_set_memory(1, 1); /* buckets, but no entry */
    ck_assert_ptr_null(berth__address_counts_add(&counts, berth_address_ipv4(100), 32, 128));
    ck_assert_uint_eq(counts.size, 17);
    berth__fault_clear();
    berth__address_counts_clear(&counts);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("counts");
    TCase *tests = tcase_create("counts");
    tcase_add_test(tests, one_network_is_one_entry);
    tcase_add_test(tests, prefixes_of_no_whole_bytes);
    tcase_add_test(tests, mapped_addresses_are_ipv4);
    tcase_add_test(tests, entries_go_with_the_last);
    tcase_add_test(tests, many_addresses);
    tcase_add_test(tests, out_of_memory);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
