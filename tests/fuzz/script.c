/*
 * Bytes as a program: the random programs of tests/sim, from the fuzzer instead of a seed.
 *
 * Eight bytes are a word, and a word is a step; see tests/sim/program.h. The first word sets the
 * simulated kernel up and chooses the topics of calls. What is checked is what the programs check,
 * beside the sanitizers: a failure prints its reason and aborts. `make sim` tells the steps of a
 * seed; of an input, this does if SCRIPT_TELLS is set.
 */
#include "check.h"

#include "../sim/program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t words[SIM_PROGRAM_WORDS];
    const struct sim_program program = {words, sim_words_from_bytes(data, size, words)};
    sim_program_tell(getenv("SCRIPT_TELLS") != NULL);
    sim_program_run(&program);
    return 0;
}
