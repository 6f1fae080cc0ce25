/*
 * A case: one situation, run in a process of its own.
 *
 *     CASE(listen_on_busy_port, "S1.13", "a port that somebody listens on cannot be had") {
 *         ...
 *         ck_assert(...);
 *     }
 *
 * registers itself. The build reads the name from what follows "CASE(" at the beginning of a line.
 * The second argument lists what the case covers (numbers of the behaviour list, laws of the
 * backend contract), the third is the situation in a sentence; --list prints all three.
 *
 * A case needs no clean-up on failure: its process ends. On success nothing may be left: the runner
 * frees the loop of the world, and then compares open descriptors and heap blocks of the library
 * with those before. What is open when the case returns has to be close-on-exec.
 */
#ifndef BERTH_TESTS_CASE_H
#define BERTH_TESTS_CASE_H

#include <check.h>

#include <stdbool.h>

struct test_case {
    const char *name;
    const char *covers;
    const char *situation;
    void (*function)(void);
    const char *file;
    struct test_case *next;
};

void case_register(struct test_case *test_case);

#define CASE(name, covers, situation)                              \
    static void case_##name(void);                                 \
    static struct test_case entry_##name = {                       \
        #name, covers, situation, case_##name, __FILE__, NULL};    \
    __attribute__((constructor)) static void register_##name(void) \
    {                                                              \
        case_register(&entry_##name);                              \
    }                                                              \
    static void case_##name(void)

/* Ends the process as "skipped", saying why. */
_Noreturn void case_skip(const char *reason);

#endif
