/*
 * Subnets as values: what text is taken, what is refused, what lies in which. The forms are those
 * that Qt 5.15 takes; where Berth differs on purpose the line says so.
 *
 * spec: S7.8
 */
#include <string.h>

#include <check.h>

#include <berth/subnet.h>

static const struct {
    const char *text;
    const char *written;
} accepted[] = {
    {"10/8", "10.0.0.0/8"},
    {"10.", "10.0.0.0/8"},
    {"10", "10.0.0.0/8"},
    {"10.1", "10.1.0.0/16"},
    {"10.1.", "10.1.0.0/16"},
    {"10.1.2", "10.1.2.0/24"},
    {"10.1/8", "10.0.0.0/8"},
    {"10./8", "10.0.0.0/8"},
    {"1.2.3.4", "1.2.3.4/32"},
    {"1.2.3.4/0", "0.0.0.0/0"},
    {"192.168.1.1/24", "192.168.1.0/24"},
    {"192.168.1.129/25", "192.168.1.128/25"},
    {"192.168.1.1/255.255.255.0", "192.168.1.0/24"},
    {"1.2.3.4/0.0.0.0", "0.0.0.0/0"},
    {"1.2.3.4/255.255.255.255", "1.2.3.4/32"},
    {"255.255.255.255/255.255.255.254", "255.255.255.254/31"},
    {"0/8", "0.0.0.0/8"},
    {"0.0.0.0/0", "0.0.0.0/0"},
    {"10.0.0.0/08", "10.0.0.0/8"},
    {" 10/8", "10.0.0.0/8"},
    {"10/8 \n", "10.0.0.0/8"},
    {"::1", "::1/128"},
    {"::1/128", "::1/128"},
    {"::/0", "::/0"},
    {"fe80::/10", "fe80::/10"},
    {"febf::1/10", "fe80::/10"},
    {"fe80::1%lo/64", "fe80::%lo/64"},
    {"::ffff:1.2.3.4/120", "::ffff:1.2.3.0/120"},
    {"2001:db8:ffff::/33", "2001:db8:8000::/33"},
};

static const char *const refused[] = {
    "",
    " ",
    "/",
    "10/",
    "10/33",
    "10/-1",
    "10/ 8",
    "10/8/8",
    "10/255",
    "10/255.",
    "10/255.0.0",
    "192.168.1.1/255.0.255.0",
    "192.168.1.1/0.255.255.255",
    "1.2.3.4.",
    "1.2.3.4.5",
    "256/8",
    "10..1/8",
    ".10/8",
    "0x10/8",
    "a/8",
    "10a/8",
    "10/8a",
    "10,/8",
    "::1/129",
    "::1/",
    "::1/x",
    "::1/255.0.0.0",
    ":::/8",
    "4294967306/8",
    "10/4294967304",
    "/8", /* Qt: 0.0.0.0/8 */
    /* Qt: decimal; octal as an address */
    "010/8",
    "10.010.0.0/16",
    "10.0.0.00/8",
    "10/255.000.0.0",
    "1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111",
};

static berth_subnet parsed(const char *text)
{
    berth_subnet subnet;
    ck_assert_msg(berth_subnet_parse(text, &subnet), "'%s' was refused", text);
    return subnet;
}

START_TEST(accepts)
{
    char text[BERTH_SUBNET_TEXT_SIZE];
    berth_subnet subnet = parsed(accepted[_i].text);
    ck_assert_ptr_eq(berth_subnet_format(subnet, text, sizeof text), text);
    ck_assert_str_eq(text, accepted[_i].written);
    berth_subnet again = parsed(text);
    ck_assert(berth_address_equal(again.address, subnet.address));
    ck_assert_uint_eq(again.prefix, subnet.prefix);
    ck_assert(berth_subnet_contains(subnet, subnet.address));
}
END_TEST

START_TEST(refuses)
{
    berth_subnet subnet = {.prefix = 77};
    ck_assert_msg(!berth_subnet_parse(refused[_i], &subnet), "'%s' was taken", refused[_i]);
    ck_assert_uint_eq(subnet.prefix, 77);
    ck_assert(!berth_subnet_parse(NULL, &subnet));
}
END_TEST

static const struct {
    const char *subnet;
    const char *address;
    bool inside;
} memberships[] = {
    {"10/8", "10.255.255.255", true},
    {"10/8", "11.0.0.0", false},
    {"10/8", "9.255.255.255", false},
    {"1.2.3.4", "1.2.3.4", true},
    {"1.2.3.4", "1.2.3.5", false},
    {"192.168.1.128/25", "192.168.1.127", false},
    {"192.168.1.128/25", "192.168.1.200", true},
    {"0.0.0.0/0", "1.2.3.4", true},
    {"0.0.0.0/0", "2001:db8::1", false},
    {"::/0", "2001:db8::1", true},
    {"::/0", "1.2.3.4", false},
    {"2001:db8::/33", "2001:db8:7fff::", true},
    {"2001:db8::/33", "2001:db8:8000::", false},
    {"fe80::/10", "fe80::1%lo", true},
    {"fe80::%lo/10", "fe80::1", true},
    {"::1", "::1", true},
    {"::1", "127.0.0.1", false},
    /* Qt: families have to be the same */
    {"10/8", "::ffff:10.1.1.1", true},
    {"10/8", "::ffff:11.1.1.1", false},
    {"10/8", "::10.1.1.1", false},
    {"0.0.0.0/0", "::", false},
    {"::ffff:0.0.0.0/96", "::ffff:10.1.1.1", true},
    {"::ffff:0.0.0.0/96", "10.1.1.1", false},
};

START_TEST(contains)
{
    berth_address address;
    ck_assert(berth_address_parse(memberships[_i].address, &address));
    ck_assert_msg(berth_subnet_contains(parsed(memberships[_i].subnet), address) ==
                      memberships[_i].inside,
                  "%s in %s", memberships[_i].address, memberships[_i].subnet);
}
END_TEST

START_TEST(made_by_hand)
{
    berth_subnet zeroed = {0};
    char text[BERTH_SUBNET_TEXT_SIZE] = "before";
    ck_assert_str_eq(berth_subnet_format(zeroed, text, sizeof text), "");
    ck_assert(!berth_subnet_contains(zeroed, BERTH_ADDRESS_NULL));
    ck_assert(!berth_subnet_contains(zeroed, BERTH_ADDRESS_LOOPBACK));
    /* bits behind the prefix do not count; too long a prefix contains nothing */
    berth_subnet loose = {.address = BERTH_ADDRESS_LOOPBACK, .prefix = 8};
    ck_assert(berth_subnet_contains(loose, berth_address_ipv4(0x7f020304)));
    loose.prefix = 33;
    ck_assert(!berth_subnet_contains(loose, BERTH_ADDRESS_LOOPBACK));
    ck_assert(!berth_subnet_contains(parsed("0.0.0.0/0"), BERTH_ADDRESS_ANY));
    berth_subnet any = {.address = BERTH_ADDRESS_ANY};
    ck_assert(!berth_subnet_contains(any, BERTH_ADDRESS_ANY));
    /* nor may its text be that of everybody */
    ck_assert_str_eq(berth_subnet_format(any, text, sizeof text), "");
}
END_TEST

/* Zeros before the prefix make a text as long as one likes; blanks around it do not count. */
START_TEST(longest_text)
{
    enum {
        LONGEST = BERTH_SUBNET_TEXT_SIZE + 15
    };
    for (size_t length = LONGEST - 1; length <= LONGEST + 1; length++) {
        char text[LONGEST + 8];
        memset(text, '0', sizeof text);
        memcpy(text, "  10/", 5);
        memcpy(text + 2 + length - 1, "8 ", 3);
        berth_subnet subnet;
        ck_assert_int_eq(berth_subnet_parse(text, &subnet), length <= LONGEST);
        if (length <= LONGEST)
            ck_assert_uint_eq(subnet.prefix, 8);
    }
}
END_TEST

START_TEST(format_in_every_size)
{
    const char *whole = "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff/128";
    berth_subnet subnet = parsed(whole);
    for (size_t size = 0; size <= BERTH_SUBNET_TEXT_SIZE; size++) {
        char text[BERTH_SUBNET_TEXT_SIZE + 1];
        memset(text, '#', sizeof text);
        berth_subnet_format(subnet, text, size);
        ck_assert_int_eq(text[size], '#');
        if (size == 0)
            continue;
        ck_assert_uint_eq(strlen(text), size <= strlen(whole) ? size - 1 : strlen(whole));
        ck_assert_int_eq(strncmp(text, whole, strlen(text)), 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("subnet");
    TCase *tests = tcase_create("subnet");
    tcase_add_loop_test(tests, accepts, 0, sizeof accepted / sizeof accepted[0]);
    tcase_add_loop_test(tests, refuses, 0, sizeof refused / sizeof refused[0]);
    tcase_add_loop_test(tests, contains, 0, sizeof memberships / sizeof memberships[0]);
    tcase_add_test(tests, made_by_hand);
    tcase_add_test(tests, longest_text);
    tcase_add_test(tests, format_in_every_size);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
