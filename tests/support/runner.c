/*
 * The program around the cases: --list, --case NAME, or --faults STRIDE [NAME...], which faults.h
 * explains, as it does --fault KIND N NAME; all but the first with the backend that BERTH_BACKEND
 * names.
 *
 * One case is one process, so that a crash, a leak or a changed limit stays where it came from.
 * Check runs it without a fork of its own, which keeps debuggers and sanitizers simple. A case that
 * hangs is ended by SIGALRM.
 */
#include "balance.h"
#include "case.h"
#include "faults.h"
#include "world.h"

#include <berth/loop.h>

#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define SKIPPED 77
#define UNBALANCED 82

static struct test_case *cases;
static const struct test_case *chosen;

/* In no particular order: each process registers a thousand cases, and most run one of them. */
void case_register(struct test_case *test_case)
{
    test_case->next = cases;
    cases = test_case;
}

static void sort_cases(void)
{
    struct test_case *unsorted = cases;
    cases = NULL;
    while (unsorted != NULL) {
        struct test_case *next = unsorted->next;
        struct test_case **link = &cases;
        while (*link != NULL && strcmp((*link)->name, unsorted->name) < 0)
            link = &(*link)->next;
        unsorted->next = *link;
        *link = unsorted;
        unsorted = next;
    }
}

void case_skip(const char *reason)
{
    printf("skipped: %s\n", reason);
    fflush(stdout);
    _exit(SKIPPED);
}

/* Check's own handler would kill the process group, and with it whoever has started us. */
static void on_alarm(int number)
{
    (void)number;
    static const char text[] = "the case hangs\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
    _exit(FAULTS_HANGS);
}

static void begin(void)
{
    signal(SIGALRM, on_alarm);
    alarm(faults_limit());
    balance_begin();
    world_begin();
}

START_TEST(run_chosen)
{
    begin();
    chosen->function();
    balance_assert_private();
    world_end();
    balance_end();
}
END_TEST

/* The same in two halves, so that the end comes also when the first has failed. */
static bool ended;
static bool spoilt = true; /* until the case has come to its end */
static bool kept;

START_TEST(play_chosen)
{
    begin();
    chosen->function();
    spoilt = false;
}
END_TEST

START_TEST(end_chosen)
{
    if (world_is_inside())
        return;
    world_end();
    ended = true;
    if (spoilt)
        world_close_noted();
    char text[9000];
    kept = balance_is_kept(text, sizeof text);
    if (!kept)
        puts(text);
    fflush(stdout);
}
END_TEST

/* Runs tests one after the other in this process; how many have failed. */
static int run_tests(const TTest *const *tests, int count, enum print_output output)
{
    Suite *suite = suite_create(chosen->name);
    for (int i = 0; i < count; i++) {
        TCase *check_case = tcase_create(chosen->situation);
        tcase_add_test(check_case, tests[i]);
        suite_add_tcase(suite, check_case);
    }
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, output);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}

/* If the build asks for it: others' ports come and go. Where it is refused, the case shares them.
 */
static void take_own_network(void)
{
    if (getenv("BERTH_OWN_NETWORK") == NULL)
        return;
    if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return;
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || ioctl(descriptor, SIOCSIFFLAGS, &loopback) < 0)
        perror("the loopback of a network of its own");
    if (descriptor >= 0)
        close(descriptor);
}

static void require_backend(void)
{
    const char *backend = getenv("BERTH_BACKEND");
    if (backend == NULL || backend[0] == '\0')
        setenv("BERTH_BACKEND", backend = "epoll", 1);
    if (strcmp(backend, "io_uring") != 0)
        return;
    char reason[160];
    if (!berth_loop_backend_available("io_uring", reason, sizeof reason))
        case_skip(reason);
}

static int run_case(const char *name)
{
    for (chosen = cases; chosen != NULL && strcmp(chosen->name, name) != 0;)
        chosen = chosen->next;
    if (chosen == NULL) {
        fprintf(stderr, "no case is called %s\n", name);
        return EXIT_FAILURE;
    }
    take_own_network();
    require_backend();

    const TTest *tests[] = {run_chosen};
    return run_tests(tests, 1, CK_NORMAL) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* One run, with a fault armed; what is judged is in faults.h. */
static int play_case(const struct test_case *test_case)
{
    chosen = test_case;
    world_be_impatient();
    const TTest *tests[] = {play_chosen, end_chosen};
    run_tests(tests, 2, CK_SILENT);
    faults_stop();
    if (!ended)
        return FAULTS_INSIDE;
    if (!kept)
        return UNBALANCED;
    return spoilt ? FAULTS_SPOILT : FAULTS_PASSED;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--case") == 0)
        return run_case(argv[2]);
    sort_cases();
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (const struct test_case *each = cases; each != NULL; each = each->next)
            printf("%-44s %-16s %s\n", each->name, each->covers, each->situation);
        return EXIT_SUCCESS;
    }
    if (argc >= 3 && strcmp(argv[1], "--faults") == 0) {
        take_own_network();
        require_backend();
        return faults_walk(cases, argv + 3, argc - 3, strtol(argv[2], NULL, 10), play_case);
    }
    if (argc == 5 && strcmp(argv[1], "--fault") == 0) {
        take_own_network();
        require_backend();
        return faults_one(cases, argv[4], argv[2], strtol(argv[3], NULL, 10), play_case);
    }
    fprintf(stderr,
            "usage: %s --list | --case NAME | --faults STRIDE [NAME...] | --fault KIND N NAME\n",
            argv[0]);
    return EXIT_FAILURE;
}
