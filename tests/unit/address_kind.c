/*
 * What kind of address each is, and which mean the same under which tolerance; held against what Qt
 * 5.15 answers.
 *
 * spec: S7.6 S7.7
 */
#include <string.h>

#include <check.h>

#include <berth/address.h>

static berth_address parsed(const char *text)
{
    berth_address address;
    ck_assert_msg(berth_address_parse(text, &address), "'%s' was refused", text);
    return address;
}

/* One letter for each kind that an address is of. */
static const struct {
    const char *text;
    const char *kinds;
} kinds[] = {
    {"127.0.0.0", "L"},
    {"127.0.0.1", "L"},
    {"127.255.255.255", "L"},
    {"::1", "L"},
    {"::1%lo", "L"},
    {"::ffff:127.0.0.1", "L"},
    {"::ffff:127.9.9.9", "L"},
    {"::127.0.0.1", "G"},
    {"126.255.255.255", "G"},
    {"128.0.0.0", "G"},
    {"::ffff:128.0.0.1", "G"},
    {"1::1", "G"},
    {"224.0.0.0", "M"},
    {"239.255.255.255", "M"},
    {"223.255.255.255", "G"},
    {"::ffff:224.0.0.1", "M"},
    {"ff00::", "M"},
    {"ff02::1%lo", "M"},
    {"feff::1", "SG"},
    {"255.255.255.255", "B"},
    {"::ffff:255.255.255.255", "B"},
    {"255.255.255.254", ""},
    {"169.254.0.0", "l"},
    {"169.254.255.255", "l"},
    {"169.253.255.255", "G"},
    {"169.255.0.0", "G"},
    {"::ffff:169.254.1.1", "l"},
    {"fe80::1", "l"},
    {"febf:ffff::", "l"},
    {"fe7f::1", "G"},
    {"fec0::1", "SG"},
    {"fc00::1", "UG"},
    {"fdff::1", "UG"},
    {"fbff::1", "G"},
    {"fe00::1", "G"},
    {"10.0.0.1", "G"},
    {"192.168.1.1", "G"},
    {"::ffff:10.0.0.1", "G"},
    {"2001:db8::1", "G"},
    {"::2", "G"},
    {"0.0.0.0", ""},
    {"0.1.2.3", ""},
    {"1.0.0.0", "G"},
    {"240.0.0.1", ""},
    {"254.1.1.1", ""},
    {"::", ""},
    {"::ffff:0.0.0.0", ""},
    {"::ffff:240.0.0.1", ""},
};

static void expect_kinds(berth_address address, const char *expected, const char *name)
{
    const struct {
        bool (*is)(berth_address address);
        char letter;
    } questions[] = {
        {berth_address_is_loopback, 'L'},   {berth_address_is_multicast, 'M'},
        {berth_address_is_broadcast, 'B'},  {berth_address_is_link_local, 'l'},
        {berth_address_is_site_local, 'S'}, {berth_address_is_unique_local, 'U'},
        {berth_address_is_global, 'G'},
    };
    char found[8];
    size_t count = 0;
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        if (questions[i].is(address))
            found[count++] = questions[i].letter;
    }
    found[count] = '\0';
    ck_assert_msg(strcmp(found, expected) == 0, "%s is '%s', not '%s'", name, found, expected);
}

START_TEST(kinds_of_addresses)
{
    expect_kinds(parsed(kinds[_i].text), kinds[_i].kinds, kinds[_i].text);
}
END_TEST

START_TEST(wildcards_are_of_no_kind)
{
    berth_address broken = {.family = 9, .bytes = {127, 0, 0, 1}};
    expect_kinds(BERTH_ADDRESS_ANY, "", "the wildcard");
    expect_kinds(BERTH_ADDRESS_NULL, "", "the null address");
    expect_kinds(broken, "", "an unknown family");
}
END_TEST

/* Pairs that are the same under just these rules. */
static const struct {
    const char *a;
    const char *b;
    unsigned rules;
} pairs[] = {
    {"127.0.0.1", "::ffff:127.0.0.1", BERTH_TOLERATE_MAPPED},
    {"127.0.0.1", "::127.0.0.1", BERTH_TOLERATE_COMPATIBLE},
    {"127.0.0.1", "::1", BERTH_TOLERATE_LOOPBACK},
    {"0.0.0.0", "::", BERTH_TOLERATE_UNSPECIFIED | BERTH_TOLERATE_COMPATIBLE},
    {"0.0.0.0", "::ffff:0.0.0.0", BERTH_TOLERATE_MAPPED},
    {"0.0.0.1", "::1", 0},
    {"127.0.0.2", "::1", 0},
    {"127.0.0.2", "127.0.0.1", 0},
    {"::ffff:127.0.0.1", "::1", 0},
    {"::ffff:127.0.0.1", "::127.0.0.1", 0},
    {"::fffe:127.0.0.1", "127.0.0.1", 0},
    {"::1:0:127.0.0.1", "127.0.0.1", 0},
    {"1::ffff:127.0.0.1", "127.0.0.1", 0},
    {"::ffff:127.0.0.2", "127.0.0.1", 0},
};

START_TEST(tolerances)
{
    berth_address a = parsed(pairs[_i].a);
    berth_address b = parsed(pairs[_i].b);
    for (unsigned rules = 0; rules < 16; rules++) {
        bool same = (rules & pairs[_i].rules) != 0;
        ck_assert_msg(berth_address_equal_as(a, b, rules) == same, "%s and %s under %u",
                      pairs[_i].a, pairs[_i].b, rules);
        ck_assert(berth_address_equal_as(b, a, rules) == same);
        ck_assert(berth_address_equal_as(a, a, rules));
    }
    ck_assert(berth_address_equal_as(a, b, BERTH_TOLERATE_ALL) == (pairs[_i].rules != 0));
}
END_TEST

START_TEST(tolerances_of_wildcards)
{
    const char *const unspecified[] = {"0.0.0.0", "::"};
    for (size_t i = 0; i < 2; i++) {
        berth_address address = parsed(unspecified[i]);
        for (unsigned rules = 0; rules < 16; rules++)
            ck_assert(berth_address_equal_as(address, BERTH_ADDRESS_ANY, rules) ==
                      ((rules & BERTH_TOLERATE_UNSPECIFIED) != 0));
        ck_assert(!berth_address_equal_as(address, BERTH_ADDRESS_NULL, BERTH_TOLERATE_ALL));
    }
    ck_assert(berth_address_equal_as(BERTH_ADDRESS_NULL, BERTH_ADDRESS_NULL, 0));
    ck_assert(
        !berth_address_equal_as(BERTH_ADDRESS_ANY, BERTH_ADDRESS_LOOPBACK, BERTH_TOLERATE_ALL));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("address_kind");
    TCase *tests = tcase_create("address_kind");
    tcase_add_loop_test(tests, kinds_of_addresses, 0, sizeof kinds / sizeof kinds[0]);
    tcase_add_test(tests, wildcards_are_of_no_kind);
    tcase_add_loop_test(tests, tolerances, 0, sizeof pairs / sizeof pairs[0]);
    tcase_add_test(tests, tolerances_of_wildcards);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
