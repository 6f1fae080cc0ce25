/*
 * The ready list: the order of a turn, and what a blocking wait finds without a walk. And that
 * io_uring is taken where the kernel has all of it: the tests of a backend that refuses itself are
 * skipped, so none of them would say so.
 */
#include "backend/backend.h"

#include <berth/loop.h>
#include <berth/server.h>
#include <check.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

enum {
    CROWD = 1000
};

static berth__ready_list list;
static berth__stream streams[CROWD];
static int us, others;

static void begin(void)
{
    berth__ready_list_init(&list);
    for (int i = 0; i < CROWD; i++)
        berth__stream_init(&streams[i], NULL, i % 2 == 0 ? &us : &others);
}

static void add(int number)
{
    berth__ready_add(&list, &streams[number].ready, BERTH__READY_RECEIVE);
}

/* As a backend does. */
static void run(berth__ready *ready)
{
    ready->pending = 0;
}

START_TEST(first_come_first_served)
{
    for (int i = 0; i < CROWD; i++) {
        add(i);
        add(i);
    }
    for (int i = 0; i < CROWD; i++)
        ck_assert_ptr_eq(berth__ready_take(&list), &streams[i].ready);
    ck_assert_ptr_null(berth__ready_take(&list));
    ck_assert_uint_eq(list.count, 0);
}
END_TEST

START_TEST(lines_take_turns)
{
    berth__watch watch;
    berth__watch_init(&watch, NULL, NULL); /* every wait's */
    for (int i = 0; i < 10; i++)
        add(i);
    int taken = 0;
    berth__ready_add(&list, &watch.ready, BERTH__READY_FIRED);
    for (int i = 0; i < 10; i++) {
        taken += berth__ready_take(&list) == &watch.ready;
        berth__ready_add(&list, &watch.ready, BERTH__READY_FIRED);
    }
    ck_assert_int_ge(taken, 4); /* one that is always ready shuts nobody out, nor is it shut out */
    ck_assert_int_le(taken, 6);
}
END_TEST

START_TEST(claimed_where_it_is)
{
    for (int i = 0; i < 5; i++)
        add(i);
    ck_assert_ptr_eq(berth__ready_claim(&list, &streams[3]), &streams[3].ready);
    run(&streams[3].ready);
    ck_assert_ptr_null(berth__ready_claim(&list, &streams[3]));
    ck_assert_ptr_null(berth__ready_claim(&list, &streams[7]));
    add(3); /* has its old place */
    for (int i = 0; i < 5; i++)
        ck_assert_ptr_eq(berth__ready_take(&list), &streams[i].ready);
    ck_assert_uint_eq(list.count, 0);
    add(2);
    ck_assert_ptr_eq(berth__ready_claim(&list, &streams[2]), &streams[2].ready);
    ck_assert_uint_eq(list.count, 0); /* the first is taken out at once */
}
END_TEST

START_TEST(swept_up_in_the_end)
{
    for (int i = 0; i < CROWD; i++)
        add(i);
    for (int i = 1; i < CROWD; i += 2) { /* the even ones stay somebody's */
        if (i % 4 == 1)
            run(berth__ready_claim(&list, &streams[i]));
        else
            berth__ready_share(&streams[i].ready);
    }
    int shared = 0;
    for (int calls = 0; calls < CROWD; calls++)
        shared += berth__ready_sweep(&list) != NULL;
    ck_assert_int_eq(shared, CROWD / 4);
    ck_assert_uint_eq(list.count, CROWD / 2);
    for (int i = 0; i < CROWD; i += 2)
        ck_assert_ptr_eq(berth__ready_take(&list), &streams[i].ready);
    ck_assert_ptr_null(berth__ready_take(&list));
    add(1);
    ck_assert_ptr_eq(berth__ready_take_shared(&list), NULL);
}
END_TEST

START_TEST(sweeping_while_others_take)
{
    unsigned seed = 1;
    for (int steps = 0; steps < 20000; steps++) {
        berth__ready *ready = NULL;
        int number = rand_r(&seed) % CROWD;
        switch (rand_r(&seed) % 4) {
        case 0:
            ready = berth__ready_take(&list);
            break;
        case 1:
            ready = berth__ready_sweep(&list);
            break;
        case 2:
            if (streams[number].ready.line == BERTH__LINE_STREAMS)
                ready = berth__ready_claim(&list, &streams[number]);
            break;
        default:
            if (rand_r(&seed) % 50 == 0)
                berth__ready_share(&streams[number].ready);
            add(number);
        }
        if (ready != NULL)
            run(ready);
        size_t count = 0;
        for (int i = 0; i < CROWD && steps % 100 == 0; i++)
            count += streams[i].ready.queued;
        ck_assert(steps % 100 != 0 || count == list.count);
    }
    while (berth__ready_take(&list) != NULL)
        continue;
    ck_assert_uint_eq(list.count, 0);
    ck_assert_uint_eq(list.rare, 0);
}
END_TEST

START_TEST(of_one_owner)
{
    berth__watch watches[4];
    for (int i = 0; i < 4; i++) {
        berth__watch_init(&watches[i], i < 2 ? &others : &us, NULL);
        berth__ready_add(&list, &watches[i].ready, BERTH__READY_FIRED);
    }
    ck_assert(berth__ready_has(&list, &us));
    ck_assert_ptr_eq(berth__ready_take_of(&list, &us), &watches[2].ready);
    ck_assert_ptr_eq(berth__ready_take_of(&list, &us), &watches[3].ready);
    ck_assert_ptr_null(berth__ready_take_of(&list, &us));
    berth__ready_share(&watches[1].ready);
    ck_assert_ptr_eq(berth__ready_take_of(&list, &us), &watches[1].ready);
    ck_assert_ptr_eq(berth__ready_take(&list), &watches[0].ready);
    ck_assert_uint_eq(list.rare, 0);
}
END_TEST

/* Whether the kernel gives rings to this process, and is one whose rings do all that Berth needs.
 */
static bool kernel_has_rings(void)
{
    uint8_t parameters[120] = {0};
    struct utsname name;
    int major = 0;
    long ring = syscall(__NR_io_uring_setup, 8, parameters);
    if (ring < 0)
        return false;
    close((int)ring);
    return uname(&name) == 0 && sscanf(name.release, "%d", &major) == 1 && major >= 6;
}

START_TEST(rings_are_taken_where_they_work)
{
    char reason[160] = "";
    bool taken = berth_loop_backend_available("io_uring", reason, sizeof reason);
    if (kernel_has_rings() && strstr(reason, "built") == NULL)
        ck_assert_msg(taken, "io_uring is refused: %s", reason);
}
END_TEST

/* What a program can print that has got no loop. */
static void assert_no_loop(const char *name, const char *expected)
{
    const berth_loop_options options = {.backend = name};
    char reason[160] = "";
    errno = 0;
    ck_assert_ptr_null(berth_loop_new(&options));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert(!berth_loop_backend_available(name, reason, sizeof reason));
    ck_assert_str_eq(reason, expected);
}

START_TEST(misspelt_backend)
{
    setenv("BERTH_BACKEND", "epoll", 1);
    assert_no_loop("e-poll", "unknown backend \"e-poll\" (forced by the program); "
                             "it can be io_uring, epoll or auto");
    errno = EINVAL;
    ck_assert_str_eq(berth_server_error_string(NULL), "invalid for this socket or address");
    setenv("BERTH_BACKEND", "io-uring", 1);
    const char *in_environment = "unknown backend \"io-uring\" (forced by BERTH_BACKEND); "
                                 "it can be io_uring, epoll or auto";
    assert_no_loop(NULL, in_environment);
    assert_no_loop("auto", in_environment);
    ck_assert_ptr_null(berth_server_new(NULL, NULL, NULL));
    ck_assert_str_eq(berth_server_error_string(NULL),
                     "BERTH_BACKEND names no backend; it can be io_uring, epoll or auto");
}
END_TEST

START_TEST(backend_without_a_name)
{
    char reason[160] = "";
    setenv("BERTH_BACKEND", "epoll", 1);
    ck_assert(berth_loop_backend_available(NULL, reason, sizeof reason));
    ck_assert_str_eq(reason, "forced by BERTH_BACKEND");
    unsetenv("BERTH_BACKEND");
    ck_assert(berth_loop_backend_available(NULL, NULL, 0));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backend");
    TCase *tests = tcase_create("backend");
    tcase_add_checked_fixture(tests, begin, NULL);
    tcase_add_test(tests, first_come_first_served);
    tcase_add_test(tests, lines_take_turns);
    tcase_add_test(tests, claimed_where_it_is);
    tcase_add_test(tests, swept_up_in_the_end);
    tcase_add_test(tests, sweeping_while_others_take);
    tcase_add_test(tests, of_one_owner);
    tcase_add_test(tests, rings_are_taken_where_they_work);
    tcase_add_test(tests, misspelt_backend);
    tcase_add_test(tests, backend_without_a_name);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
