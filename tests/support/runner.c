/*
 * The program around the cases: --list, or --case NAME with the backend that BERTH_BACKEND names.
 *
 * One case is one process, so that a crash, a leak or a changed limit stays where it came from.
 * Check runs it without a fork of its own, which keeps debuggers and sanitizers simple. A case that
 * hangs is ended by SIGALRM.
 */
#include "balance.h"
#include "case.h"
#include "world.h"

#include <berth/loop.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SKIPPED 77
#define LIMIT 55 /* seconds */

static struct test_case *cases;
static const struct test_case *chosen;

void case_register(struct test_case *test_case)
{
    struct test_case **link = &cases;
    while (*link != NULL && strcmp((*link)->name, test_case->name) < 0)
        link = &(*link)->next;
    test_case->next = *link;
    *link = test_case;
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
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(EXIT_FAILURE);
    _exit(EXIT_FAILURE);
}

START_TEST(run_chosen)
{
    signal(SIGALRM, on_alarm);
    alarm(LIMIT);
    balance_begin();
    world_begin();
    chosen->function();
    world_end();
    balance_end();
}
END_TEST

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
    require_backend();

    Suite *suite = suite_create(chosen->name);
    TCase *check_case = tcase_create(chosen->situation);
    tcase_add_test(check_case, run_chosen);
    suite_add_tcase(suite, check_case);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--case") == 0)
        return run_case(argv[2]);
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (const struct test_case *each = cases; each != NULL; each = each->next)
            printf("%-44s %-16s %s\n", each->name, each->covers, each->situation);
        return EXIT_SUCCESS;
    }
    fprintf(stderr, "usage: %s --list | --case NAME\n", argv[0]);
    return EXIT_FAILURE;
}
