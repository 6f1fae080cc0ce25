/*
 * The speed of the Torrent example against all additions kept in a list, on a false clock.
 *
 * spec: S8.24
 */
#include <string.h>

#include <check.h>

#include "../../examples/torrent/speed.c"

#include "torrent_pieces.h"

START_TEST(known_rates)
{
    speed self = {0};
    ck_assert_uint_eq(speed_average(&self, 0), 0);
    ck_assert_uint_eq(speed_recent(&self, 123456), 0);
    uint64_t now = 1760000000000;
    speed_add(&self, now, 1000);
    ck_assert_uint_eq(speed_recent(&self, now), 1000); /* a beginning counts at once */
    ck_assert_uint_eq(speed_average(&self, now), 0);
    ck_assert_uint_eq(speed_average(&self, now + 1000), 200);
    ck_assert_uint_eq(speed_recent(&self, now + 1999), 1000);
    ck_assert_uint_eq(speed_recent(&self, now + 2000), 0);
    ck_assert_uint_eq(speed_average(&self, now + 5999), 200);
    ck_assert_uint_eq(speed_average(&self, now + 6000), 0);
    ck_assert_uint_eq(self.total, 1000);
}
END_TEST

START_TEST(sums_do_not_wrap)
{
    speed self = {0};
    for (uint64_t now = 0; now < 10000; now += 100)
        speed_add(&self, now, UINT32_MAX);
    ck_assert_uint_eq(speed_recent(&self, 9999), UINT32_MAX);
    ck_assert_uint_eq(speed_average(&self, 10000), UINT32_MAX);
    ck_assert_uint_eq(self.total, 100 * (uint64_t)UINT32_MAX);
}
END_TEST

START_TEST(a_clock_that_goes_back)
{
    speed self = {0};
    speed_add(&self, 10000, 500);
    speed_add(&self, 7000, 500); /* counts in the present second */
    ck_assert_uint_eq(speed_recent(&self, 10999), 1000);
    ck_assert_uint_le(speed_average(&self, 2000), 200);
}
END_TEST

START_TEST(random_additions)
{
    enum {
        SECONDS = 4000
    };
    static uint32_t model[SECONDS];
    uint32_t random = (uint32_t)_i;
    uint64_t now = 0;
    speed self = {0};
    memset(model, 0, sizeof(model));
    for (;;) {
        random = random * 1664525 + 1013904223;
        now += (random >> 8) % ((random >> 4) % 8 == 0 ? 9000 : 400);
        if (now / 1000 >= SECONDS)
            break;
        speed_add(&self, now, random >> 12);
        model[now / 1000] += random >> 12;
        uint64_t later = now + (random >> 9) % 8000;
        uint64_t sum = 0;
        for (uint64_t age = 1; age <= SPEED_SLOTS && age <= later / 1000; age++)
            sum += later / 1000 - age < SECONDS ? model[later / 1000 - age] : 0;
        HOLDS(speed_average(&self, later) == sum / SPEED_SLOTS);
        uint32_t present = later / 1000 < SECONDS ? model[later / 1000] : 0;
        uint32_t last = later >= 1000 && later / 1000 - 1 < SECONDS ? model[later / 1000 - 1] : 0;
        HOLDS(speed_recent(&self, later) == (present > last ? present : last));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torrent_speed");
    TCase *tests = tcase_create("torrent_speed");
    tcase_add_test(tests, known_rates);
    tcase_add_test(tests, sums_do_not_wrap);
    tcase_add_test(tests, a_clock_that_goes_back);
    tcase_add_loop_test(tests, random_additions, 0, 8);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
