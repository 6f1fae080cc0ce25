/*
 * Names beyond ASCII as the DNS has them, and names that are left as they are.
 *
 * spec: S6.21
 */
#include <string.h>

#include <check.h>

#include "base/idn.h"

static const struct {
    const char *name;
    const char *ascii;
} names[] = {
    {"host.example", "host.example"},
    {"Host.EXAMPLE", "Host.EXAMPLE"},
    {"a_b.example", "a_b.example"},
    {"", ""},
    {"b\303\274cher.example", "xn--bcher-kva.example"},
    {"B\303\234CHER.Example", "xn--bcher-kva.example"},
    {"bu\314\210cher.example", "xn--bcher-kva.example"},
    {"stra\303\237e.example", "xn--strae-oqa.example"},
    {"\344\276\213\343\201\210.jp", "xn--r8jz45g.jp"},
    /* Not UTF-8; and with an empty label, which is for the lookup to refuse. */
    {"b\374cher.example", "b\374cher.example"},
    {"\303\274..example", "xn--tda..example"},
};

START_TEST(names_are_encoded)
{
    char place[BERTH__ASCII_NAME_SIZE];
    ck_assert_str_eq(berth__ascii_name(names[_i].name, place), names[_i].ascii);
}
END_TEST

START_TEST(names_that_are_too_long_are_left)
{
    char place[BERTH__ASCII_NAME_SIZE], name[1024] = "";
    for (int i = 0; i < 150; i++)
        strcat(name, "\303\274.");
    ck_assert_ptr_eq(berth__ascii_name(name, place), name);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("idn");
    TCase *tests = tcase_create("idn");
    tcase_add_loop_test(tests, names_are_encoded, 0, (int)(sizeof names / sizeof names[0]));
    tcase_add_test(tests, names_that_are_too_long_are_left);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
