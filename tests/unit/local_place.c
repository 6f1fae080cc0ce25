/*
 * Whether a process has ended, which is asked of the one whose place another wants, and connecting
 * to it.
 */
#include "base/local_place.h"

#include "base/fault.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LONG_ENOUGH = 60000 /* milliseconds */
};

static void nothing(int number)
{
    (void)number;
}

static void interrupt_every(suseconds_t microseconds)
{
    const struct itimerval interval = {{0, microseconds}, {0, microseconds}};
    ck_assert_int_eq(setitimer(ITIMER_REAL, &interval, NULL), 0);
}

START_TEST(own_process_has_not_ended)
{
    ck_assert(!berth__local_has_ended(getpid(), 0));
}
END_TEST

START_TEST(child_that_lives_has_not_ended)
{
    pid_t child = fork();
    if (child == 0) {
        (void)pause();
        _exit(0);
    }
    ck_assert(!berth__local_has_ended(child, 0));
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert(berth__local_has_ended(child, LONG_ENOUGH));
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}
END_TEST

/* The wait goes on behind a signal, however many come. */
START_TEST(signals_do_not_end_the_wait)
{
    const struct sigaction action = {.sa_handler = nothing};
    ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)poll(NULL, 0, 100);
        _exit(0);
    }
    interrupt_every(2000);
    bool ended = berth__local_has_ended(child, LONG_ENOUGH);
    interrupt_every(0);
    ck_assert(ended);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}
END_TEST

/* An interruption before the call counts for nothing, and one of the call has it repeated. */
START_TEST(connecting_is_repeated_if_interrupted)
{
    berth__local_name name;
    struct sockaddr_un address;
    char text[64];
    snprintf(text, sizeof text, "@berth-unit-%ld", (long)getpid());
    ck_assert_int_eq(berth__local_name_read(text, &name), 0);
    socklen_t size = berth__local_name_address(&name, &address);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)(void *)&address, size), 0);
    ck_assert_int_eq(listen(listener, 2), 0);
    for (int i = 0; i < 2; i++) {
        int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        berth__fault_set_system(0, i, EINTR, "connect");
        errno = EINTR;
        ck_assert_int_eq(berth__local_connect(descriptor, &name), 0);
        ck_assert_int_eq(berth__fault_system_failed(), i);
        close(descriptor);
    }
    berth__fault_clear();
    close(listener);
}
END_TEST

static bool exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

/* One call fails, the first, then the second, until there are no more. What is left of a place that
 * was not taken nobody would remove, and the next to listen there would find it in use. */
START_TEST(failing_leaves_no_file)
{
    const berth_local_options plans[] = {
        {0}, {.mode = 0660}, {.set_group = true, .group = getgid()}};
    berth__local_listen how = {.backlog = 1, .options = plans[_i]};
    char directory[] = "/tmp/berth-unit-XXXXXX";
    char path[64];
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/a", directory);
    ck_assert_int_eq(berth__local_name_read(path, &how.name), 0);
    unsigned failures = 0;
    bool reached = true;
    for (long call = 0; reached; call++) {
        berth__local_file file;
        berth__local_step step;
        int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        berth__fault_set_system(call, 1, ENFILE, NULL);
        int error = berth__local_place_take(descriptor, &how, &file, &step);
        reached = berth__fault_system_failed() > 0;
        berth__fault_clear();
        failures += error != 0;
        ck_assert_int_eq(exists(path), error == 0);
        berth__local_place_leave(&how.name, &file);
        ck_assert(!exists(path));
        close(descriptor);
    }
    ck_assert_uint_gt(failures, 4);
    ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("local_place");
    TCase *tests = tcase_create("local_place");
    tcase_set_timeout(tests, LONG_ENOUGH / 1000);
    tcase_add_test(tests, own_process_has_not_ended);
    tcase_add_test(tests, child_that_lives_has_not_ended);
    tcase_add_test(tests, signals_do_not_end_the_wait);
    tcase_add_test(tests, connecting_is_repeated_if_interrupted);
    tcase_add_loop_test(tests, failing_leaves_no_file, 0, 3);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
