/*
 * How long the calling thread was ready to run, and no processor was free for it. What a program is
 * late by this is the machine's doing, not the library's.
 */
#ifndef BERTH_TESTS_SCENARIOS_PROCESSOR_H
#define BERTH_TESTS_SCENARIOS_PROCESSOR_H

#include <stdint.h>

uint64_t processor_awaited(void); /* microseconds so far; 0 where the kernel does not say */

/* To be called now and then: the longest look back is over 64 calls. */
void processor_note(void);
/* How much since that moment (of CLOCK_MONOTONIC, in microseconds), or a bit before. */
uint64_t processor_awaited_since(uint64_t moment);

#endif
