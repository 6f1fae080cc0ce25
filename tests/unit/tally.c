/*
 * The tally of addresses.
 */
#include "base/tally.h"

#include "base/fault.h"

#include <check.h>

static berth_address at(const char *text)
{
    berth_address address = BERTH_ADDRESS_NULL;
    ck_assert(berth_address_parse(text, &address));
    return address;
}

static berth__tally_entry *add(berth__tally *tally, const char *text)
{
    return berth__tally_add(tally, at(text), 24, 64);
}

START_TEST(one_network_is_one_entry)
{
    berth__tally tally = {0};
    berth__tally_entry *entry = add(&tally, "192.0.2.1");
    ck_assert_ptr_eq(add(&tally, "192.0.2.200"), entry);
    ck_assert_uint_eq(entry->count, 2);
    ck_assert_ptr_ne(add(&tally, "192.0.3.1"), entry);
    entry = add(&tally, "2001:db8::1");
    ck_assert_ptr_eq(add(&tally, "2001:db8::ffff:1"), entry);
    ck_assert_ptr_ne(add(&tally, "2001:db8:0:1::1"), entry);
    ck_assert_uint_eq(tally.size, 4);
    berth__tally_clear(&tally);
}
END_TEST

START_TEST(prefixes_of_no_whole_bytes)
{
    berth__tally tally = {0};
    berth__tally_entry *entry = berth__tally_add(&tally, at("10.0.0.7"), 29, 1);
    ck_assert_ptr_eq(berth__tally_add(&tally, at("10.0.0.0"), 29, 1), entry);
    ck_assert_ptr_ne(berth__tally_add(&tally, at("10.0.0.8"), 29, 1), entry);
    ck_assert_ptr_ne(berth__tally_add(&tally, at("10.0.0.7"), 30, 1), entry);
    entry = berth__tally_add(&tally, at("::1"), 29, 1);
    ck_assert_ptr_eq(berth__tally_add(&tally, at("7fff::"), 29, 1), entry);
    ck_assert_ptr_ne(berth__tally_add(&tally, at("8000::"), 29, 1), entry);
    berth__tally_clear(&tally);
}
END_TEST

START_TEST(mapped_addresses_are_ipv4)
{
    berth__tally tally = {0};
    berth__tally_entry *entry = add(&tally, "192.0.2.1");
    ck_assert_ptr_eq(add(&tally, "::ffff:192.0.2.9"), entry);
    ck_assert_ptr_ne(add(&tally, "::ffff:192.0.3.9"), entry);
    berth__tally_clear(&tally);
}
END_TEST

START_TEST(entries_go_with_the_last)
{
    berth__tally tally = {0};
    berth__tally_entry *one = add(&tally, "192.0.2.1");
    berth__tally_entry *other = add(&tally, "198.51.100.1");
    add(&tally, "192.0.2.2");
    berth__tally_remove(&tally, one);
    ck_assert_uint_eq(tally.size, 2);
    berth__tally_remove(&tally, one);
    ck_assert_uint_eq(tally.size, 1);
    berth__tally_remove(&tally, other);
    ck_assert_uint_eq(tally.size, 0);
    berth__tally_clear(&tally);
}
END_TEST

START_TEST(many_addresses)
{
    enum {
        MANY = 5000
    };
    berth__tally tally = {0};
    static berth__tally_entry *entries[MANY];
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < MANY; i++) {
            berth_address address = berth_address_ipv4(0x0a000000u + i);
            berth__tally_entry *entry = berth__tally_add(&tally, address, 32, 128);
            ck_assert(round == 0 || entry == entries[i]);
            entries[i] = entry;
        }
    }
    ck_assert_uint_eq(tally.size, MANY);
    ck_assert_uint_ge(tally.capacity, MANY);
    for (uint32_t i = 0; i < 2 * MANY; i++)
        berth__tally_remove(&tally, entries[i % MANY]);
    ck_assert_uint_eq(tally.size, 0);
    berth__tally_clear(&tally);
}
END_TEST

START_TEST(out_of_memory)
{
    berth__tally tally = {0};
    berth__fault_set_memory(0, 1);
    ck_assert_ptr_null(add(&tally, "192.0.2.1"));
    for (uint32_t i = 0; i < 16; i++)
        ck_assert_ptr_nonnull(berth__tally_add(&tally, berth_address_ipv4(i), 32, 128));
    berth__fault_set_memory(0, 1); /* no room for more buckets: the old ones do */
    ck_assert_ptr_nonnull(berth__tally_add(&tally, berth_address_ipv4(99), 32, 128));
    ck_assert_uint_eq(tally.capacity, 16);
    berth__fault_set_memory(1, 1); /* buckets, but no entry */
    ck_assert_ptr_null(berth__tally_add(&tally, berth_address_ipv4(100), 32, 128));
    ck_assert_uint_eq(tally.size, 17);
    berth__fault_clear();
    berth__tally_clear(&tally);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tally");
    TCase *tests = tcase_create("tally");
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
