/*
 * What a program of the scenarios may not leave behind: open descriptors, and memory of the
 * library.
 *
 * account_begin sets the counting allocator, so it comes before any other call of the library. As
 * tests/support/balance.h, but for programs that are no cases: they report, and others judge.
 */
#ifndef BERTH_TESTS_SCENARIOS_ACCOUNT_H
#define BERTH_TESTS_SCENARIOS_ACCOUNT_H

void account_begin(void);
long account_blocks(void);      /* of the library's memory, in use now */
long account_bytes(void);       /* that these have, as the allocator rounds them up */
long account_descriptors(void); /* open now, less those at the beginning */

#endif
