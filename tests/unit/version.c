/*
 * The version: one text, the same in the header's parts, its string and the library.
 */
#include <stdio.h>

#include <check.h>

#include <berth/version.h>

START_TEST(parts_make_the_string)
{
    char text[64];
    snprintf(text, sizeof(text), "%d.%d.%d", BERTH_VERSION_MAJOR, BERTH_VERSION_MINOR,
             BERTH_VERSION_PATCH);
    ck_assert_str_eq(text, BERTH_VERSION_STRING);
    ck_assert_str_eq(berth_version(), BERTH_VERSION_STRING);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("version");
    TCase *tests = tcase_create("version");
    tcase_add_test(tests, parts_make_the_string);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
