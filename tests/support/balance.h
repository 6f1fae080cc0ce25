/*
 * What a case may not leave behind: open descriptors, and memory of the library.
 *
 * balance_begin sets the counting allocator, so it has to come before any other call of the
 * library.
 */
#ifndef BERTH_TESTS_BALANCE_H
#define BERTH_TESTS_BALANCE_H

#include <stdbool.h>
#include <stddef.h>

void balance_begin(void);
/* Whether everything is as it was at the beginning; if not, says what is left. */
bool balance_is_kept(char *ret_text, size_t size);
void balance_end(void); /* fails the case unless it is */

/* Fails the case if a program that it executed would have another descriptor than this one was
 * given: everything of the library, and of the cases, is close-on-exec. */
void balance_assert_private(void);

long balance_blocks(void);            /* of the library's memory that are in use now */
unsigned balance_descriptors(void);   /* open now in this process */
unsigned long balance_requests(void); /* allocations so far */

#endif
