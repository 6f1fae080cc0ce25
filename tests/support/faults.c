/*
 * The walk over the cases, the kinds of faults and n; faults.h says what counts.
 *
 * The n of a kind end where the fault was not reached any more, which the run tells through memory
 * that it shares with its parent. What a run prints goes into a file without a name, and is shown
 * only if the run is a defect.
 */
#include "faults.h"

#include "base/fault.h"
#include "world.h"

#include <check.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_DEFECTS 5 /* of one case and kind that are shown */
#define PATIENCE 4     /* times as long for a second try */
#define DENSE 128      /* n below are all walked; from there on in steps of n / DENSE */

static const struct kind {
    const char *name;
    int error; /* 0: an allocation fails */
} kinds[] = {
    {"memory", 0},
    {"system EINTR", EINTR},
    {"system ENOMEM", ENOMEM},
    {"system EMFILE", EMFILE},
    {"system ECONNRESET", ECONNRESET},
};

#define KINDS (sizeof kinds / sizeof *kinds)

/* Cases that are not walked, by their file or by the beginning of their names, and why. */
static const struct {
    const char *what;
    const char *why;
} left_out[] = {
    {"draining_threads.c", "owns a pool that nobody would free"},
    {"forked_jobs.c", "owns a pool that nobody would free"},
    {"jobs_threads.c", "owns a pool that nobody would free"},
    {"local_threads.c", "owns a pool that nobody would free"},
    {"policies_threads.c", "owns a pool that nobody would free"},
    {"pools_threads.c", "owns a pool that nobody would free"},
    {"without_input.c", "gives its input up, and a fault would leave it so"},
    {"workers_threads.c", "owns a pool that nobody would free"},
    {"calls_", "a hundred lives, each of which another case lives once"},
    {"random_calls_", "thirty lives of random calls"},
    {"thread_", "its threads would outlive it"},
    {"threads_post_", "its threads would outlive it"},
    {"tasks_run_when_the_loop_is_freed", "its threads would outlive it"},
    {"post_ends_a_long_wait", "its threads would outlive it"},
    {"loop_of_a_thread_is_stable", "its threads would outlive it"},
    {"own_loop_is_freed_by_hand", "its threads would outlive it"},
    {"descriptor_is_handed_to_a_thread", "its threads would outlive it"},
    {"wait_big_end", "its threads would outlive it"},
    {"tasks_in_the_last_turn_of_a_loop", "its thread uses a loop that a fault frees earlier"},
    {"stop_from_another_thread", "its threads would outlive it"},
    {"peer_leaves_while_another_thread_forks", "its threads would outlive it"},
    {"connection_ends_just_before_another_", "its threads would outlive it"},
    {"free_the_loop_", "owns a loop that nobody would free"},
    {"loop_freed_", "owns a loop that nobody would free"},
    {"foreign_thread_uses_a_worker", "owns a pool that nobody would free"},
    {"signal_in_each_worker", "owns a pool that nobody would free"},
    {"signal_ends_a_long_wait", "its threads would outlive it"},
    {"storm_of_signals", "its threads would outlive it"},
    {"loops_come_and_go_in_a_storm", "its threads would outlive it"},
    {"child_frees_the_workers", "owns a pool that nobody would free"},
    {"child_frees_workers_", "owns a pool that nobody would free"},
    {"worker_forks_", "owns a pool that nobody would free"},
    {"child_has_a_loop_of_its_own", "owns a loop that nobody would free"},
    {"families_take_turns", "owns a lookup that nobody would cancel"},
    {"every_", "injects faults itself"},
    {"all_allocations_", "injects faults itself"},
    {"no_memory_", "injects faults itself"},
    {"queued_inside_its_own_end", "injects faults itself"},
    {"queued_while_freed", "injects faults itself"},
    {"send_enomem", "injects faults itself"},
    {"file_that_shrinks", "injects faults itself"},
};

struct report {
    long seen;
    long failed;
};

static struct report *report; /* shared with the run */
static FILE *printed;         /* by the run */
static long stride;
static pid_t own;           /* the run's */
static unsigned limit = 55; /* seconds of a run */
static struct {
    unsigned long runs;
    unsigned long spoilt;
    unsigned long inside;
    unsigned long defects;
} total;

static void arm(const struct kind *kind, long n)
{
    berth__fault_clear();
    if (kind->error == 0)
        berth__fault_set_memory(n, 1);
    else
        berth__fault_set_system(n, 1, kind->error, NULL);
}

static _Noreturn void run(const struct test_case *test_case, const struct kind *kind, long n,
                          faults_play *play)
{
    own = getpid();
    arm(kind, n);
    int end = play(test_case);
    /* What was left to the leak checker by a failed expectation is the case's own memory. */
    if (end != FAULTS_PASSED)
        _exit(end);
    exit(end);
}

void faults_stop(void)
{
    bool memory = berth__fault_memory_seen() > 0;
    report->seen = memory ? berth__fault_memory_seen() : berth__fault_system_seen();
    report->failed = berth__fault_memory_failed() + berth__fault_system_failed();
    berth__fault_clear();
}

unsigned faults_limit(void)
{
    return limit;
}

void faults_give_up(void)
{
    if (own == 0 || getpid() != own)
        return;
    if (gettid() == own)
        ck_abort_msg("it never came true");
    faults_stop();
    _exit(FAULTS_INSIDE);
}

static void show_defect(const struct test_case *test_case, const struct kind *kind, long n,
                        int status)
{
    total.defects++;
    printf("    DEFECT in %s, %s, n = %ld: ", test_case->name, kind->name, n);
    if (WIFSIGNALED(status))
        printf("signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        printf("exit status %d\n", WEXITSTATUS(status));
    char line[512];
    rewind(printed);
    for (int lines = 0; lines < 60 && fgets(line, sizeof line, printed) != NULL; lines++)
        printf("      %s", line);
}

static int run_in_child(const struct test_case *test_case, const struct kind *kind, long n,
                        faults_play *play)
{
    if (ftruncate(fileno(printed), 0) != 0 || fseek(printed, 0, SEEK_SET) != 0)
        abort();
    *report = (struct report){0};
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (dup2(fileno(printed), STDOUT_FILENO) < 0 || dup2(fileno(printed), STDERR_FILENO) < 0)
            _exit(EXIT_FAILURE);
        run(test_case, kind, n, play);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        abort();
    return status;
}

/* The signal itself ends a run that is over but for its leaks being looked for. */
static bool has_hung(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) == FAULTS_HANGS
                             : WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
}

/* Whether n was reached, so that it makes sense to go on. */
static bool walk_one(const struct test_case *test_case, const struct kind *kind, long n,
                     faults_play *play)
{
    int status = run_in_child(test_case, kind, n, play);
    if (has_hung(status)) {
        limit *= PATIENCE;
        status = run_in_child(test_case, kind, n, play);
        limit /= PATIENCE;
    }
    total.runs++;
    if (!WIFEXITED(status)) {
        show_defect(test_case, kind, n, status);
        return true;
    }
    switch (WEXITSTATUS(status)) {
    case FAULTS_PASSED:
        break;
    case FAULTS_SPOILT:
        total.spoilt++;
        break;
    case FAULTS_INSIDE:
        total.inside++;
        break;
    case FAULTS_SKIPPED:
        return false;
    default:
        show_defect(test_case, kind, n, status);
        return true;
    }
    /* A run that ended early does not tell how many there are. */
    bool whole = stride > 1 && WEXITSTATUS(status) == FAULTS_PASSED;
    return report->failed > 0 && (!whole || n + stride < report->seen);
}

static bool begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

static const char *why_left_out(const struct test_case *test_case)
{
    const char *folder = strrchr(test_case->file, '/');
    const char *file = folder != NULL ? folder + 1 : test_case->file;
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++) {
        if (strcmp(file, left_out[i].what) == 0 || begins_with(test_case->name, left_out[i].what))
            return left_out[i].why;
    }
    return NULL;
}

static void walk_kind(const struct test_case *test_case, const struct kind *kind, long first,
                      faults_play *play)
{
    unsigned long enough = total.defects + MOST_DEFECTS; /* a crash does not tell the last n */
    for (long n = first; walk_one(test_case, kind, n, play) && total.defects < enough;)
        n += stride * (1 + n / DENSE);
}

/* A sample, which is a stride above 1, has one errno a case, and begins at another n for each. */
static void walk_case(const struct test_case *test_case, faults_play *play)
{
    static unsigned long walked;
    unsigned long runs = total.runs;
    long first = (long)(walked * 7 % (unsigned long)stride);
    walk_kind(test_case, &kinds[0], first, play);
    for (unsigned long i = 1; i < KINDS && !world_is_simulated(); i++) {
        if (stride == 1 || i == 1 + walked % (KINDS - 1))
            walk_kind(test_case, &kinds[i], first, play);
    }
    walked++;
    printf("%-44s %lu runs\n", test_case->name, total.runs - runs);
}

static bool is_wanted(const struct test_case *test_case, char *const *names, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(test_case->name, names[i]) == 0)
            return true;
    }
    return count == 0;
}

static bool prepare(void)
{
    printed = tmpfile();
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (printed != NULL && report != MAP_FAILED)
        return true;
    perror("faults");
    return false;
}

int faults_one(const struct test_case *first, const char *name, const char *kind, long n,
               faults_play *play)
{
    for (; first != NULL && strcmp(first->name, name) != 0;)
        first = first->next;
    for (unsigned i = 0; i < KINDS && first != NULL; i++) {
        if (strcmp(kinds[i].name, kind) == 0 && prepare())
            run(first, &kinds[i], n, play);
    }
    fprintf(stderr, "there is no case %s, or no kind %s\n", name, kind);
    return EXIT_FAILURE;
}

int faults_walk(const struct test_case *first, char *const *names, int count, long chosen_stride,
                faults_play *play)
{
    stride = chosen_stride > 0 ? chosen_stride : 1;
    if (!prepare())
        return EXIT_FAILURE;
    for (const struct test_case *each = first; each != NULL; each = each->next) {
        if (!is_wanted(each, names, count))
            continue;
        const char *why = why_left_out(each);
        if (why != NULL)
            printf("%-44s left out: %s\n", each->name, why);
        else
            walk_case(each, play);
    }
    printf("%lu runs: %lu passed in spite of the fault or had none, %lu failed an expectation in "
           "order, %lu inside a handler, %lu defects\n",
           total.runs, total.runs - total.spoilt - total.inside - total.defects, total.spoilt,
           total.inside, total.defects);
    return total.defects == 0 && total.runs > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
