/*
 * What a supervisor hears: sd_notify's protocol against sockets of the test, and every
 * NOTIFY_SOCKET that is not right.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#include <berth/notify.h>

#include "base/fault.h"

static int supervisor = -1;

/* Binds a datagram socket and has NOTIFY_SOCKET name it. `path` begins with '@' for an abstract
 * name. */
static void supervise(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(path);
    memcpy(address.sun_path, path, size);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    supervisor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    ck_assert_int_eq(bind(supervisor, (struct sockaddr *)&address, length), 0);
    setenv("NOTIFY_SOCKET", path, 1);
}

static void supervise_abstract(void)
{
    char path[64];
    snprintf(path, sizeof path, "@berth-notify-%d", (int)getpid());
    supervise(path);
}

static void end_supervisor(void)
{
    close(supervisor);
    unsetenv("NOTIFY_SOCKET");
}

static const char *heard(void)
{
    static char text[256];
    ssize_t size = recv(supervisor, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    return text;
}

static void assert_fails(const char *state, int error)
{
    errno = 0;
    ck_assert(!berth_notify(state));
    ck_assert_int_eq(errno, error);
}

START_TEST(without_a_supervisor)
{
    unsetenv("NOTIFY_SOCKET");
    ck_assert(berth_notify("READY=1"));
    ck_assert(berth_notify_reloading());
    setenv("NOTIFY_SOCKET", "", 1);
    ck_assert(berth_notify("READY=1"));
    assert_fails("", EINVAL);
    assert_fails(NULL, EINVAL);
}
END_TEST

START_TEST(abstract_name)
{
    supervise_abstract();
    ck_assert(berth_notify("READY=1\nSTATUS=two sites"));
    ck_assert_str_eq(heard(), "READY=1\nSTATUS=two sites");
    ck_assert(berth_notify("STOPPING=1"));
    ck_assert_str_eq(heard(), "STOPPING=1");
    end_supervisor();
}
END_TEST

START_TEST(path_of_a_file)
{
    char path[] = "/tmp/berth-notify-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(path));
    char file[sizeof path + 8];
    snprintf(file, sizeof file, "%s/socket", path);
    supervise(file);
    ck_assert(berth_notify("READY=1"));
    ck_assert_str_eq(heard(), "READY=1");
    close(supervisor);
    assert_fails("READY=1", ECONNREFUSED);
    unlink(file);
    assert_fails("READY=1", ENOENT);
    rmdir(path);
    unsetenv("NOTIFY_SOCKET");
}
END_TEST

START_TEST(names_that_do_not_fit)
{
    char path[110];
    memset(path, 'x', sizeof path);
    path[109] = '\0';
    path[0] = '/';
    setenv("NOTIFY_SOCKET", path, 1);
    assert_fails("READY=1", ENAMETOOLONG);
    path[108] = '\0';
    setenv("NOTIFY_SOCKET", path, 1);
    assert_fails("READY=1", ENAMETOOLONG);
    path[107] = '\0';
    setenv("NOTIFY_SOCKET", path, 1);
    assert_fails("READY=1", ENOENT);
    static const char *const wrong[] = {"@", "/", "relative", "vsock:2:9999", "./socket"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        setenv("NOTIFY_SOCKET", wrong[i], 1);
        assert_fails("READY=1", EINVAL);
    }
    /* All of an address: 108 bytes, which need no zero in an abstract name. */
    memset(path, 'y', 108);
    path[108] = '\0';
    snprintf(path, 32, "@berth-%d", (int)getpid());
    path[strlen(path)] = 'z';
    ck_assert_uint_eq(strlen(path), 108);
    supervise(path);
    ck_assert(berth_notify("READY=1"));
    ck_assert_str_eq(heard(), "READY=1");
    end_supervisor();
}
END_TEST

START_TEST(full_queue)
{
    supervise_abstract();
    int sent = 0;
    while (sent < 100000 && berth_notify("WATCHDOG=1"))
        sent++;
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_int_gt(sent, 0);
    ck_assert_str_eq(heard(), "WATCHDOG=1");
    ck_assert(berth_notify("READY=1"));
    end_supervisor();
}
END_TEST

/* With errno, and without a descriptor that stays. */
START_TEST(each_system_call_fails)
{
    supervise_abstract();
    int before = dup(supervisor);
    ck_assert_int_ge(before, 0);
    close(before);
    for (long n = 0; n < 2; n++) {
        berth__fault_set_system(n, 1, EMFILE, NULL);
        assert_fails("READY=1", EMFILE);
        berth__fault_clear();
        int after = dup(supervisor);
        ck_assert_int_eq(after, before);
        close(after);
    }
    ck_assert(berth_notify("READY=1"));
    end_supervisor();
}
END_TEST

START_TEST(leaves_no_descriptor)
{
    supervise_abstract();
    int before = dup(supervisor);
    close(before);
    ck_assert(berth_notify("READY=1"));
    setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
    assert_fails("READY=1", ENOENT);
    int after = dup(supervisor);
    ck_assert_int_eq(after, before);
    close(after);
    end_supervisor();
}
END_TEST

START_TEST(reloading_says_when)
{
    supervise_abstract();
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    ck_assert(berth_notify_reloading());
    uint64_t microseconds = 0;
    ck_assert_int_eq(sscanf(heard(), "RELOADING=1\nMONOTONIC_USEC=%" SCNu64, &microseconds), 1);
    ck_assert_uint_ge(microseconds, (uint64_t)now.tv_sec * 1000000);
    end_supervisor();
}
END_TEST

static uint64_t interval(const char *microseconds, const char *process)
{
    if (microseconds != NULL)
        setenv("WATCHDOG_USEC", microseconds, 1);
    else
        unsetenv("WATCHDOG_USEC");
    if (process != NULL)
        setenv("WATCHDOG_PID", process, 1);
    else
        unsetenv("WATCHDOG_PID");
    return berth_notify_watchdog_interval();
}

START_TEST(watchdog)
{
    char own[24];
    snprintf(own, sizeof own, "%d", (int)getpid());
    ck_assert_uint_eq(interval(NULL, NULL), 0);
    ck_assert_uint_eq(interval("30000000", NULL), 15000);
    ck_assert_uint_eq(interval("30000000", own), 15000);
    ck_assert_uint_eq(interval("30000000", "1"), 0);
    ck_assert_uint_eq(interval("1", NULL), 1);
    ck_assert_uint_eq(interval("0", NULL), 0);
    ck_assert_uint_eq(interval("-5", NULL), 0);
    ck_assert_uint_eq(interval("5s", NULL), 0);
    ck_assert_uint_eq(interval("99999999999999999999999999", NULL), 0);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("notify");
    tcase_add_test(cases, without_a_supervisor);
    tcase_add_test(cases, abstract_name);
    tcase_add_test(cases, path_of_a_file);
    tcase_add_test(cases, names_that_do_not_fit);
    tcase_add_test(cases, full_queue);
    tcase_add_test(cases, each_system_call_fails);
    tcase_add_test(cases, leaves_no_descriptor);
    tcase_add_test(cases, reloading_says_when);
    tcase_add_test(cases, watchdog);
    Suite *suite = suite_create("notify");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
