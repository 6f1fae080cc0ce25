/*
 * What all targets share. A target is one file here, with LLVMFuzzerTestOneInput in it; the build
 * finds it, and its inputs in corpus/TARGET and regressions/TARGET.
 */
#ifndef BERTH_TESTS_FUZZ_CHECK_H
#define BERTH_TESTS_FUZZ_CHECK_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The entry of libFuzzer; replay/main.c calls it too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert: it has to hold in optimised builds too. */
#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                  \
        }                                                                             \
    } while (0)

#endif
