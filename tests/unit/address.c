/*
 * Addresses as values: what text is taken and what is refused, how each kind is written, what
 * equals what.
 *
 * The tables hold every form that the specification of the model names, and what Qt 5.15 answers to
 * it; where Berth differs on purpose (an empty scope, a sign in front of a number) the line says
 * so.
 *
 * spec: S7.1 S7.2 S7.3 S7.4 S7.5 S7.6
 */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include <berth/address.h>

static berth_address parsed(const char *text)
{
    berth_address address;
    ck_assert_msg(berth_address_parse(text, &address), "'%s' was refused", text);
    return address;
}

static void expect_text(berth_address address, const char *expected)
{
    char text[BERTH_ADDRESS_TEXT_SIZE];
    ck_assert_ptr_eq(berth_address_format(address, text, sizeof(text)), text);
    ck_assert_str_eq(text, expected);
}

/* ---- reading and writing ---- */

static const struct {
    const char *text;
    const char *written;
} accepted[] = {
    /* IPv4, one to four parts */
    {"127.0.0.1", "127.0.0.1"},
    {"127.1", "127.0.0.1"},
    {"127", "0.0.0.127"},
    {"1.2.3", "1.2.0.3"},
    {"1.2.65535", "1.2.255.255"},
    {"1.16777215", "1.255.255.255"},
    {"4294967295", "255.255.255.255"},
    {"0", "0.0.0.0"},
    {"0.0.0.0", "0.0.0.0"},
    {"255.255.255.255", "255.255.255.255"},
    /* octal and hexadecimal */
    {"010.0.0.1", "8.0.0.1"},
    {"0377.0.0.1", "255.0.0.1"},
    {"0000000000000000377.1", "255.0.0.1"},
    {"0x7f.1", "127.0.0.1"},
    {"0X7F.0x1", "127.0.0.1"},
    {"0xffffffff", "255.255.255.255"},
    {"00.0.0.0", "0.0.0.0"},
    /* blanks around */
    {" 1.2.3.4", "1.2.3.4"},
    {"1.2.3.4\n", "1.2.3.4"},
    {"\t\r\v\f 1.2.3.4 \t", "1.2.3.4"},
    {" ::1 ", "::1"},
    /* IPv6 in full, shortened, in upper case */
    {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
    {"0001:0002:0003:0004:0005:0006:0007:0008", "1:2:3:4:5:6:7:8"},
    {"2001:DB8::ABCD", "2001:db8::abcd"},
    {"::", "::"},
    {"::1", "::1"},
    {"1::", "1::"},
    {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
    {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
    {"1::8", "1::8"},
    {"0:0:0:0:0:0:0:0", "::"},
    {"0:0:0:0:0:0:0:1", "::1"},
    /* the longest run of zeros, the first of several, never a single group */
    {"1:0:0:4:0:0:0:8", "1:0:0:4::8"},
    {"1:0:0:0:5:0:0:8", "1::5:0:0:8"},
    {"0:0:3:4:5:6:0:0", "::3:4:5:6:0:0"},
    {"1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"},
    {"1:0:3:0:5:0:7:0", "1:0:3:0:5:0:7:0"},
    {"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"},
    /* a dotted tail; the mapped and the compatible form are written with one */
    {"::ffff:127.0.0.1", "::ffff:127.0.0.1"},
    {"::ffff:7f00:1", "::ffff:127.0.0.1"},
    {"::ffff:0:0", "::ffff:0.0.0.0"},
    {"::1.2.3.4", "::1.2.3.4"},
    {"::102:304", "::1.2.3.4"},
    {"::0.1.0.0", "::0.1.0.0"},
    {"::0.0.1.0", "::100"},
    {"::0.0.0.1", "::1"},
    {"1:2:3:4:5:6:7.8.9.10", "1:2:3:4:5:6:708:90a"},
    {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
    {"1::ffff:1.2.3.4", "1::ffff:102:304"},
    /* a scope */
    {"fe80::1%eth0", "fe80::1%eth0"},
    {"fe80::1%2", "fe80::1%2"},
    {"FE80::1%Eth0", "fe80::1%Eth0"},
    {"::1.2.3.4%lo", "::1.2.3.4%lo"},
    {"fe80::1%br-0.7@x", "fe80::1%br-0.7@x"},
    {"fe80::1%123456789012345", "fe80::1%123456789012345"},
};

START_TEST(accepts)
{
    berth_address address = parsed(accepted[_i].text);
    expect_text(address, accepted[_i].written);
    berth_address again = parsed(accepted[_i].written);
    ck_assert(berth_address_equal(address, again));
    ck_assert_uint_eq(address.family, again.family);
    ck_assert_str_eq(address.scope, again.scope);
    ck_assert_uint_eq(address.family, strchr(accepted[_i].text, ':') ? BERTH_ADDRESS_FAMILY_IPV6
                                                                     : BERTH_ADDRESS_FAMILY_IPV4);
}
END_TEST

static const char *const refused[] = {
    "",
    " ",
    "\t\n",
    /* IPv4: empty part, part too large, five parts, sign, blank inside, rest, digits of another
       base */
    ".",
    "1.",
    ".1",
    "1..2",
    "1.2.3.4.",
    "1.2.3.4.5",
    "256.1.1.1",
    "1.256.1.1",
    "1.2.256.1",
    "1.2.3.256",
    "1.2.65536",
    "1.16777216",
    "4294967296",
    "99999999999999999999999",
    "0x100000000",
    "-1",
    "+1" /* Qt takes this one */,
    "1.-2.3.4",
    "1. 2.3.4",
    "1 .2.3.4",
    "1.2.3.4 x",
    "10/8",
    "10.0.0.0/8",
    "08",
    "019.1",
    "0x",
    "0x.1",
    "0xg",
    "1.2.3.4x",
    "1e3",
    "0b1",
    /* names, brackets, ports */
    "localhost",
    "example.org",
    "any",
    "*",
    "[::1]",
    "[1.2.3.4]",
    "1.2.3.4:80",
    "[::1]:80",
    "::1]",
    /* IPv6: two "::", five digits, too few or too many groups, single colons at the ends, signs,
       rest */
    "1::2::3",
    ":::",
    "::1::",
    "12345::",
    "00001::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8",
    "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    ":1",
    ":1:2:3:4:5:6:7",
    "1:",
    "1:2:3:4:5:6:7:",
    "::1:",
    ":",
    "g::",
    "::g",
    "::-1",
    "::+1",
    "::0x1",
    ": :1",
    ":: 1",
    "::1/64",
    /* a tail that is not four plain decimal parts, or is not the end */
    "::1.2.3",
    "::1.2.3.4.5",
    "::1.2.3.256",
    "::01.2.3.4",
    "::1.2.3.04",
    "::0x1.2.3.4",
    "::1.2.3.4:5",
    "1:2:3:4:5:6:7:1.2.3.4",
    "1:2:3:4:5:1.2.3.4",
    "::1.2.3.",
    "::.1.2.3",
    "::a.2.3.4",
    "1.2.3.4::",
    /* a scope that is empty (Qt drops the '%') or too long, or on IPv4 */
    "fe80::1%",
    "fe80::1% ",
    "fe80::1%1234567890123456",
    "fe80::1%a%b",
    /* or with bytes that no interface's name has (Qt takes any) */
    "fe80::1%a b",
    "fe80::1%a/b",
    "fe80::1%a:b",
    "fe80::1%a\r\nX: 1",
    "fe80::1%a\x7f",
    "fe80::1%\xc3\xa4",
    "fe80::1%\x1b[2J",
    "%eth0",
    "1.2.3.4%eth0",
    "%",
};

START_TEST(refuses)
{
    berth_address before;
    memset(&before, 0x5a, sizeof(before));
    berth_address address = before;
    ck_assert_msg(!berth_address_parse(refused[_i], &address), "'%s' was taken", refused[_i]);
    ck_assert_mem_eq(&address, &before, sizeof(address));
}
END_TEST

/* A scope that was put into the value by hand. */
START_TEST(writes_no_control_byte)
{
    berth_address address = parsed("fe80::1");
    memcpy(address.scope, "a\r\nX: \x7f/%\xff", 11);
    expect_text(address, "fe80::1%a??X??????");
    memset(address.scope, 'x', sizeof address.scope);
    expect_text(address, "fe80::1%xxxxxxxxxxxxxxx");
}
END_TEST

START_TEST(refuses_null)
{
    berth_address address = BERTH_ADDRESS_LOOPBACK;
    ck_assert(!berth_address_parse(NULL, &address));
    ck_assert(berth_address_equal(address, BERTH_ADDRESS_LOOPBACK));
}
END_TEST

/* The parser reads nothing beyond its text: the copy is as long as the text, for the sanitizer to
 * see. */
START_TEST(every_prefix)
{
    const char *text = accepted[_i].text;
    for (size_t length = 0; length <= strlen(text); length++) {
        char *cut = malloc(length + 1);
        berth_address address;
        memcpy(cut, text, length);
        cut[length] = '\0';
        if (berth_address_parse(cut, &address)) {
            char written[BERTH_ADDRESS_TEXT_SIZE];
            berth_address again;
            berth_address_format(address, written, sizeof(written));
            ck_assert(berth_address_parse(written, &again));
            ck_assert(berth_address_equal(address, again));
        }
        free(cut);
    }
}
END_TEST

/* Every pattern of zero groups, in three flavours of the others. */
START_TEST(round_trips)
{
    static const uint8_t fill[3][2] = {{0x00, 0x01}, {0xff, 0xff}, {0x0a, 0xb0}};
    for (unsigned zeros = 0; zeros < 256; zeros++) {
        uint8_t bytes[16] = {0};
        for (unsigned group = 0; group < 8; group++) {
            if (!(zeros >> group & 1))
                memcpy(bytes + 2 * group, fill[_i], 2);
        }
        char text[BERTH_ADDRESS_TEXT_SIZE];
        berth_address address = berth_address_ipv6(bytes);
        berth_address again = parsed(berth_address_format(address, text, sizeof(text)));
        ck_assert_mem_eq(again.bytes, bytes, sizeof(bytes));
        ck_assert(berth_address_equal(address, again));
    }
}
END_TEST

/* ---- places that are too small ---- */

START_TEST(format_in_every_size)
{
    const char *whole = accepted[_i].written;
    berth_address address = parsed(accepted[_i].text);
    for (size_t size = 0; size <= strlen(whole) + 2; size++) {
        char *text = malloc(size + 1);
        memset(text, '#', size + 1);
        ck_assert_ptr_eq(berth_address_format(address, text, size), text);
        if (size > 0) {
            size_t shown = strlen(whole) < size - 1 ? strlen(whole) : size - 1;
            ck_assert_uint_eq(strlen(text), shown);
            ck_assert_mem_eq(text, whole, shown);
        }
        ck_assert_int_eq(text[size], '#');
        free(text);
    }
}
END_TEST

START_TEST(endpoint)
{
    char text[BERTH_ENDPOINT_TEXT_SIZE];
    berth_endpoint_format(BERTH_ADDRESS_LOOPBACK, 80, text, sizeof(text));
    ck_assert_str_eq(text, "127.0.0.1:80");
    berth_endpoint_format(BERTH_ADDRESS_LOOPBACK_IPV6, 65535, text, sizeof(text));
    ck_assert_str_eq(text, "[::1]:65535");
    berth_endpoint_format(BERTH_ADDRESS_ANY, 0, text, sizeof(text));
    ck_assert_str_eq(text, "0.0.0.0:0");
    berth_endpoint_format(BERTH_ADDRESS_NULL, 1, text, sizeof(text));
    ck_assert_str_eq(text, ":1");
    berth_endpoint_format(parsed("fe80::1%eth0"), 80, text, sizeof(text));
    ck_assert_str_eq(text, "[fe80::1%eth0]:80");
}
END_TEST

START_TEST(endpoint_in_every_size)
{
    static const char whole[] = "[fe80::1%eth0]:8080";
    berth_address address = parsed("fe80::1%eth0");
    for (size_t size = 0; size <= sizeof(whole) + 1; size++) {
        char text[sizeof(whole) + 2];
        memset(text, '#', sizeof(text));
        ck_assert_ptr_eq(berth_endpoint_format(address, 8080, text, size), text);
        if (size > 0)
            ck_assert_int_eq(strncmp(text, whole, size - 1), 0);
        if (size > 0)
            ck_assert_uint_eq(strlen(text), size < sizeof(whole) ? size - 1 : sizeof(whole) - 1);
        ck_assert_int_eq(text[size], '#');
    }
}
END_TEST

/* The sizes promised by the header hold the longest texts there are. */
START_TEST(longest_text)
{
    const char *longest = "1111:2222:3333:4444:5555:6666:7777:8888%123456789012345";
    char text[BERTH_ENDPOINT_TEXT_SIZE];
    ck_assert_uint_lt(strlen(longest), BERTH_ADDRESS_TEXT_SIZE);
    expect_text(parsed(longest), longest);
    berth_endpoint_format(parsed(longest), 65535, text, sizeof(text));
    ck_assert_str_eq(text, "[1111:2222:3333:4444:5555:6666:7777:8888%123456789012345]:65535");
}
END_TEST

/* ---- kinds ---- */

START_TEST(specials)
{
    static const struct {
        berth_special_address which;
        uint8_t family;
        const char *text;
    } all[] = {
        {BERTH_SPECIAL_NULL, BERTH_ADDRESS_FAMILY_NULL, ""},
        {BERTH_SPECIAL_BROADCAST, BERTH_ADDRESS_FAMILY_IPV4, "255.255.255.255"},
        {BERTH_SPECIAL_LOOPBACK, BERTH_ADDRESS_FAMILY_IPV4, "127.0.0.1"},
        {BERTH_SPECIAL_LOOPBACK_IPV6, BERTH_ADDRESS_FAMILY_IPV6, "::1"},
        {BERTH_SPECIAL_ANY, BERTH_ADDRESS_FAMILY_ANY, "0.0.0.0"},
        {BERTH_SPECIAL_ANY_IPV6, BERTH_ADDRESS_FAMILY_IPV6, "::"},
        {BERTH_SPECIAL_ANY_IPV4, BERTH_ADDRESS_FAMILY_IPV4, "0.0.0.0"},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        berth_address address = berth_address_special(all[i].which);
        ck_assert_uint_eq(address.family, all[i].family);
        expect_text(address, all[i].text);
        for (size_t j = 0; j < sizeof(all) / sizeof(all[0]); j++)
            ck_assert(berth_address_equal(address, berth_address_special(all[j].which)) ==
                      (i == j));
    }
    ck_assert(berth_address_is_null(berth_address_special((berth_special_address)99)));
}
END_TEST

START_TEST(null_and_unknown_family)
{
    berth_address zeroed = {0};
    berth_address strange = {.family = 200};
    ck_assert(berth_address_is_null(zeroed));
    ck_assert(berth_address_is_null(strange));
    ck_assert(!berth_address_is_null(BERTH_ADDRESS_ANY));
    ck_assert(!berth_address_is_null(BERTH_ADDRESS_ANY_IPV4));
    ck_assert(berth_address_equal(zeroed, strange));
    ck_assert(!berth_address_equal(zeroed, BERTH_ADDRESS_ANY));
    expect_text(strange, "");
    ck_assert(!berth_address_is_loopback(strange));
}
END_TEST

START_TEST(numbers)
{
    berth_address address = berth_address_ipv4(0x01020304);
    uint32_t number = 7;
    expect_text(address, "1.2.3.4");
    ck_assert(berth_address_to_ipv4(address, &number));
    ck_assert_uint_eq(number, 0x01020304);
    ck_assert(berth_address_to_ipv4(parsed("::ffff:255.254.253.252"), &number));
    ck_assert_uint_eq(number, 0xfffefdfc);
    ck_assert(berth_address_to_ipv4(BERTH_ADDRESS_ANY, &number));
    ck_assert_uint_eq(number, 0);
    number = 7;
    ck_assert(berth_address_to_ipv4(BERTH_ADDRESS_ANY_IPV6, &number));
    ck_assert_uint_eq(number, 0);
    number = 7;
    ck_assert(!berth_address_to_ipv4(BERTH_ADDRESS_NULL, &number));
    ck_assert(!berth_address_to_ipv4(BERTH_ADDRESS_LOOPBACK_IPV6, &number));
    ck_assert(!berth_address_to_ipv4(parsed("::1.2.3.4"), &number));
    ck_assert(!berth_address_to_ipv4(parsed("2001:db8::1"), &number));
    ck_assert_uint_eq(number, 7);
}
END_TEST

START_TEST(equality_is_strict)
{
    ck_assert(!berth_address_equal(parsed("127.0.0.1"), parsed("::ffff:127.0.0.1")));
    ck_assert(!berth_address_equal(parsed("127.0.0.1"), parsed("::1")));
    ck_assert(!berth_address_equal(parsed("1.2.3.4"), parsed("1.2.3.5")));
    ck_assert(!berth_address_equal(parsed("2001:db8::1"), parsed("2001:db8::2")));
    ck_assert(berth_address_equal(parsed("fe80::1%eth0"), parsed("fe80::1%eth1")));
    ck_assert(berth_address_equal(parsed("fe80::1%eth0"), parsed("fe80::1")));
    ck_assert(berth_address_equal(parsed("127.1"), BERTH_ADDRESS_LOOPBACK));
    /* Of those that have no bytes none count. */
    const berth_address any = {.family = BERTH_ADDRESS_FAMILY_ANY, .bytes = {1}};
    const berth_address local[2] = {{.family = BERTH_ADDRESS_FAMILY_LOCAL, .bytes = {1}},
                                    {.family = BERTH_ADDRESS_FAMILY_LOCAL}};
    ck_assert(berth_address_equal(any, BERTH_ADDRESS_ANY));
    ck_assert(berth_address_equal(local[0], local[1]));
    ck_assert(berth_address_equal(parsed("0.0.0.0"), BERTH_ADDRESS_ANY_IPV4));
    ck_assert(berth_address_equal(parsed("::"), BERTH_ADDRESS_ANY_IPV6));
    /* bytes that an IPv4 address does not use do not count */
    berth_address address = BERTH_ADDRESS_LOOPBACK;
    address.bytes[4] = 1;
    ck_assert(berth_address_equal(address, BERTH_ADDRESS_LOOPBACK));
}
END_TEST

int main(void)
{
    const int accepted_count = sizeof(accepted) / sizeof(accepted[0]);
    const int refused_count = sizeof(refused) / sizeof(refused[0]);
    Suite *suite = suite_create("address");
    TCase *tests = tcase_create("address");
    tcase_add_loop_test(tests, accepts, 0, accepted_count);
    tcase_add_loop_test(tests, refuses, 0, refused_count);
    tcase_add_test(tests, refuses_null);
    tcase_add_test(tests, writes_no_control_byte);
    tcase_add_loop_test(tests, every_prefix, 0, accepted_count);
    tcase_add_loop_test(tests, round_trips, 0, 3);
    tcase_add_loop_test(tests, format_in_every_size, 0, accepted_count);
    tcase_add_test(tests, endpoint);
    tcase_add_test(tests, endpoint_in_every_size);
    tcase_add_test(tests, longest_text);
    tcase_add_test(tests, specials);
    tcase_add_test(tests, null_and_unknown_family);
    tcase_add_test(tests, numbers);
    tcase_add_test(tests, equality_is_strict);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
