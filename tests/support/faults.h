/*
 * The n-th allocation or system call fails, for every n, in every case: `--faults`.
 *
 * Each run is a process of its own. A fault may well spoil what a case expects, so a failed
 * expectation ends the case in order and is no defect. Defects are: a sanitizer's report, a crash,
 * an assertion of the library, a run without end, memory or a descriptor of the library left
 * behind. A run that has not ended in time is run once more with more time, since the walk may have
 * made the machine busy.
 *
 * Two things cannot be told. An expectation that fails inside a handler leaves calls of the library
 * on the stack; such a run ends at once, and what it would have left is not looked at. And after a
 * failed expectation the descriptors that the case has noted (world_note) do not count, since
 * whether the library had taken them is not known.
 */
#ifndef BERTH_TESTS_FAULTS_H
#define BERTH_TESTS_FAULTS_H

#include "case.h"

/* How a run has ended, as far as it ended by itself. */
enum faults_end {
    FAULTS_PASSED = 0,
    FAULTS_SPOILT = 80, /* an expectation failed, and nothing was left */
    FAULTS_INSIDE,      /* one failed inside a handler */
    FAULTS_HANGS = 83,  /* it has not ended in time */
    FAULTS_SKIPPED = 77
};

/* Plays a case in this process: a faults_end, or another exit status with a reason printed. */
typedef int faults_play(const struct test_case *test_case);

/* How long a run, or a case on its own, may take: seconds. */
unsigned faults_limit(void);

/* Called by `play` when the case itself is over: no more faults. */
void faults_stop(void);

/* What a run has waited for does not come: that is a failed expectation, and on another thread than
 * the case's one inside a handler. Returns if this is no run, or a child of one. */
void faults_give_up(void);

/*
 * Walks through the cases from `first` on, or those of them among the names, and prints a line for
 * each with the defects found. With a stride of 1 that is every n up to a hundred or so, and fewer
 * beyond, since a transfer makes the same calls over and over; with a greater one, a sample.
 * Returns an exit status.
 */
int faults_walk(const struct test_case *first, char *const *names, int count, long stride,
                faults_play *play);

/* One run of a case, in this process, with the fault that a line of the walk names: "memory" or
 * "system EINTR", and n. Does not return, but for a case or a kind that is none. */
int faults_one(const struct test_case *first, const char *name, const char *kind, long n,
               faults_play *play);

#endif
