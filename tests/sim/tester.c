/*
 * The tester: runs seeds in batches, finds out which one has failed, and makes its program short.
 *
 *     sim-tester --first N --seeds N         runs that many
 *     sim-tester --seconds N [--first N]     runs as many as it can
 *     sim-tester --seed N                    runs one and prints every step
 *     sim-tester --find N                    succeeds if one of that many seeds fails; on a real
 *                                            kernel some processes look side by side
 *
 * `--kernel NAME` before them chooses the kernel: sim (the default), epoll or io_uring. The real
 * ones are run in a network of their own, where that is allowed; one that refuses its service ends
 * the tester with 77. Their programs do not run twice in the same way: a shorter one is taken if it
 * fails in one of a few attempts, and shrinking has an end in time.
 *
 * A batch runs in a process of its own, which writes the seed it is at into shared memory before it
 * begins with it; so a crash, a failed assertion, a sanitizer's report and a program that never
 * ends all have their seed. Shrinking leaves out steps, in halves, quarters and so on, as long as
 * the failure stays the same; since each step has its own word, the steps that stay do what they
 * did.
 */
#include "program.h"
#include "world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SKIPPED 77
#define BATCH 500
#define SECONDS_OF_A_SEED 20
#define SECONDS_OF_A_CANDIDATE 5
#define MOST_CANDIDATES 3000

/* On a real kernel, where programs sleep. */
#define REAL_BATCH 20
#define REAL_SECONDS_OF_A_SEED 150
#define REAL_SECONDS_OF_A_CANDIDATE 40
#define REAL_PATIENCE_OF_A_CANDIDATE 5000 /* milliseconds */
#define REAL_ATTEMPTS 3
#define REAL_SECONDS_OF_SHRINKING 180
#define REAL_FINDERS 8

struct shared {
    uint64_t seed;
    struct sim_verdict verdict;
};

static struct shared *shared;
static const char *kernel = "sim";
static uint64_t stride = 1; /* from one seed to the next */

/* ---- one program in a process of its own ----------------------------------------------------- */

/* How a process has failed; an empty text if it has not. */
struct failure {
    char text[240];
};

static struct failure wait_for(pid_t child)
{
    struct failure failure = {""};
    int status;
    if (waitpid(child, &status, 0) < 0)
        perror("waitpid");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return failure;
    if (shared->verdict.reason[0] != '\0')
        snprintf(failure.text, sizeof failure.text, "%s", shared->verdict.reason);
    else if (WIFSIGNALED(status))
        snprintf(failure.text, sizeof failure.text, "%s", strsignal(WTERMSIG(status)));
    else
        snprintf(failure.text, sizeof failure.text, "exit with %d", WEXITSTATUS(status));
    return failure;
}

static struct shared *share(void)
{
    void *memory =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        exit(2);
    return memory;
}

/* A child that dies is expected here: it leaves no core, and is not let alone for ever. */
static pid_t begin(void)
{
    memset(&shared->verdict, 0, sizeof shared->verdict);
    fflush(NULL);
    pid_t child = fork();
    if (child != 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    sim_program_report_to(&shared->verdict);
    return 0;
}

/* Of the processor's time: a machine that is busy is no failure. But on a real kernel a program can
 * sleep for ever. */
static void bound_seconds(time_t seconds, time_t real_seconds)
{
    const struct itimerval bound = {.it_value = {.tv_sec = seconds}};
    const struct itimerval real_bound = {.it_value = {.tv_sec = real_seconds}};
    setitimer(ITIMER_PROF, &bound, NULL);
    if (!world->is_simulated)
        setitimer(ITIMER_REAL, &real_bound, NULL);
}

static void bound_seed(void)
{
    bound_seconds(SECONDS_OF_A_SEED, REAL_SECONDS_OF_A_SEED);
}

static struct failure try_program(const struct sim_program *program)
{
    pid_t child = begin();
    if (child == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(2);
        bound_seconds(SECONDS_OF_A_CANDIDATE, REAL_SECONDS_OF_A_CANDIDATE);
        sim_program_patience(REAL_PATIENCE_OF_A_CANDIDATE);
        sim_program_run(program);
        _exit(0);
    }
    return wait_for(child);
}

/* ---- shrinking ------------------------------------------------------------------------------- */

/* Numbers in a reason may change while a program shrinks. */
static bool same(const struct failure *a, const struct failure *b)
{
    const char *x = a->text;
    const char *y = b->text;
    for (;; x++, y++) {
        x += strspn(x, "0123456789");
        y += strspn(y, "0123456789");
        if (*x != *y)
            return false;
        if (*x == '\0')
            return true;
    }
}

static bool still_fails(const struct sim_program *program, const struct failure *failure)
{
    int attempts = world->is_simulated ? 1 : REAL_ATTEMPTS;
    for (int i = 0; i < attempts; i++) {
        struct failure found = try_program(program);
        if (same(&found, failure))
            return true;
    }
    return false;
}

static size_t shrink(uint64_t *words, size_t count, const struct failure *failure)
{
    uint64_t candidate[SIM_PROGRAM_WORDS];
    unsigned tries = 0;
    time_t end = time(NULL) + REAL_SECONDS_OF_SHRINKING;
    for (size_t piece = count / 2; piece > 0;) {
        bool shorter = false;
        for (size_t at = 1; at < count && tries < MOST_CANDIDATES;) {
            if (!world->is_simulated && time(NULL) >= end)
                return count;
            size_t gone = piece < count - at ? piece : count - at;
            memcpy(candidate, words, at * sizeof *words);
            memcpy(candidate + at, words + at + gone, (count - at - gone) * sizeof *words);
            struct sim_program program = {candidate, count - gone};
            tries++;
            if (!still_fails(&program, failure)) {
                at += piece;
                continue;
            }
            count -= gone;
            memcpy(words, candidate, count * sizeof *words);
            shorter = true;
        }
        if (!shorter || piece > 1)
            piece /= 2;
    }
    return count;
}

static void tell_program(const struct sim_program *program)
{
    pid_t child = begin();
    if (child == 0) {
        bound_seed();
        sim_program_tell(true);
        sim_program_run(program);
        _exit(0);
    }
    wait_for(child);
}

static void explain(uint64_t seed, const struct failure *failure)
{
    printf("seed %llu fails at step %zu: %s\n", (unsigned long long)seed, shared->verdict.step,
           failure->text);
    uint64_t words[SIM_PROGRAM_WORDS];
    size_t before = sim_words_from_seed(seed, words);
    size_t count = shrink(words, before, failure);
    printf("%zu of its %zu steps are enough:\n", count - 1, before - 1);
    tell_program(&(struct sim_program){words, count});
    printf("all of them: make sim SEED=%llu KERNEL=%s\n", (unsigned long long)seed, kernel);
}

/* ---- seeds ----------------------------------------------------------------------------------- */

static struct failure run_batch(uint64_t first, uint64_t count)
{
    pid_t child = begin();
    if (child == 0) {
        for (uint64_t i = 0; i < count; i++) {
            uint64_t seed = first + i * stride;
            uint64_t words[SIM_PROGRAM_WORDS];
            shared->seed = seed;
            shared->verdict.step = 0;
            bound_seed();
            sim_program_run(&(struct sim_program){words, sim_words_from_seed(seed, words)});
        }
        _exit(0);
    }
    return wait_for(child);
}

static bool run_seeds(uint64_t first, uint64_t count, time_t seconds, bool quiet)
{
    time_t end = time(NULL) + seconds;
    uint64_t done = 0;
    while (done < count && (seconds == 0 || time(NULL) < end)) {
        uint64_t batch = world->is_simulated ? BATCH : REAL_BATCH;
        uint64_t some = count - done < batch ? count - done : batch;
        struct failure failure = run_batch(first + done * stride, some);
        if (failure.text[0] != '\0') {
            bool endless = strcmp(failure.text, strsignal(SIGPROF)) == 0 ||
                           strcmp(failure.text, strsignal(SIGALRM)) == 0;
            if (!quiet) {
                explain(shared->seed, &failure);
                return false;
            }
            printf("seed %llu: %s\n", (unsigned long long)shared->seed, failure.text);
            return endless; /* which is no proof of having found something */
        }
        done += some;
    }
    printf("%llu seeds from %llu on: nothing found\n", (unsigned long long)done,
           (unsigned long long)first);
    return true;
}

/* Those on a real kernel mostly sleep. Each finder has a network of its own, so that none disturbs
 * another's ports, and every REAL_FINDERS-th seed. */
static _Noreturn void look(uint64_t first, uint64_t count)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    shared = share();
    stride = REAL_FINDERS;
    bool nothing = world_choose(kernel) && run_seeds(first, count / REAL_FINDERS, 0, true);
    fflush(NULL);
    _exit(nothing ? EXIT_SUCCESS : EXIT_FAILURE);
}

static bool find_one(uint64_t first, uint64_t count)
{
    sim_program_patience(REAL_PATIENCE_OF_A_CANDIDATE);
    if (world->is_simulated)
        return !run_seeds(first, count, 0, true);
    pid_t finders[REAL_FINDERS];
    for (unsigned i = 0; i < REAL_FINDERS; i++) {
        fflush(NULL);
        finders[i] = fork();
        if (finders[i] == 0)
            look(first + i, count);
    }
    bool found = false;
    for (int status = 0; !found;) {
        pid_t ended = wait(&status);
        if (ended < 0)
            break;
        found = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE;
        for (unsigned i = 0; i < REAL_FINDERS; i++)
            finders[i] = finders[i] == ended ? 0 : finders[i];
    }
    for (unsigned i = 0; i < REAL_FINDERS; i++) {
        if (finders[i] > 0)
            kill(finders[i], SIGKILL);
    }
    return found;
}

static bool run_one(uint64_t seed)
{
    uint64_t words[SIM_PROGRAM_WORDS];
    struct sim_program program = {words, sim_words_from_seed(seed, words)};
    tell_program(&program);
    struct failure failure = try_program(&program);
    if (failure.text[0] != '\0')
        explain(seed, &failure);
    return failure.text[0] == '\0';
}

/* Whether it is there. */
static bool choose_kernel(const char *name)
{
    kernel = name;
    if (!world_choose(name)) {
        printf("there is no kernel %s\n", name);
        return false;
    }
    berth_loop *loop = berth_loop_new(&(berth_loop_options){.backend = name});
    if (loop == NULL)
        printf("%s is refused here\n", name);
    berth_loop_free(loop);
    return loop != NULL;
}

int main(int count, char **arguments)
{
    uint64_t first = 1;
    uint64_t seeds = 0;
    uint64_t find = 0;
    time_t seconds = 0;
    shared = share();
    for (int i = 1; i + 1 < count; i += 2) {
        uint64_t value = strtoull(arguments[i + 1], NULL, 0);
        if (strcmp(arguments[i], "--kernel") == 0 && !choose_kernel(arguments[i + 1]))
            return SKIPPED;
        if (strcmp(arguments[i], "--seed") == 0)
            return run_one(value) ? 0 : 1;
        if (strcmp(arguments[i], "--first") == 0)
            first = value;
        else if (strcmp(arguments[i], "--seeds") == 0)
            seeds = value;
        else if (strcmp(arguments[i], "--seconds") == 0)
            seconds = (time_t)value;
        else if (strcmp(arguments[i], "--find") == 0)
            find = value;
    }
    if (find > 0)
        return find_one(first, find) ? 0 : 1;
    if (seeds == 0)
        seeds = seconds > 0 ? UINT64_MAX : 10000;
    return run_seeds(first, seeds, seconds, false) ? 0 : 1;
}
