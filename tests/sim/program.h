/*
 * Random programs over the simulated kernel or a real one: what one is, and how it is run.
 *
 * A program is a list of 64-bit words. The first sets the kernel up (how far events are reordered,
 * delayed and cut into pieces); each of the others is one step: a call of the library, a deed of a
 * peer, or a trap, which is a call that will be made inside a later handler. Every choice within a
 * step is taken from that step's own word, so that any step can be left out or moved without
 * another one changing its meaning. That is what makes shrinking simple.
 *
 * The words come from a seed, or are the bytes of a string, eight to a word: one interpreter serves
 * the tester and a fuzzer.
 *
 *     uint64_t words[SIM_PROGRAM_WORDS];
 *     struct sim_program program = {words, sim_words_from_bytes(data, size, words)};
 *     sim_program_run(&program);
 *
 * sim_program_run leaves nothing behind, so that it can be called again and again in one process.
 * What is wrong is printed, after which the process aborts.
 */
#ifndef BERTH_TESTS_SIM_PROGRAM_H
#define BERTH_TESTS_SIM_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_PROGRAM_WORDS 400

struct sim_program {
    const uint64_t *words;
    size_t count; /* up to SIM_PROGRAM_WORDS */
};

/* Both fill `words` and return how many there are. */
size_t sim_words_from_seed(uint64_t seed, uint64_t words[SIM_PROGRAM_WORDS]);
size_t sim_words_from_bytes(const uint8_t *bytes, size_t size, uint64_t words[SIM_PROGRAM_WORDS]);

/* Takes a number below `bound` out of a word. */
uint32_t sim_choose(uint64_t *word, uint32_t bound);

/* Runs a program and checks it after every step; aborts if a check fails. */
void sim_program_run(const struct sim_program *program);

/* On a real kernel: for how many milliseconds without a movement a program waits at its end for
 * what is on its way, before it fails. */
void sim_program_patience(unsigned milliseconds);

/* Whether each step is printed in words as it is made. */
void sim_program_tell(bool tell);

/* Why the process is about to abort, kept in memory that the caller has given; so that a parent can
 * read it, that is shared. NULL for nowhere. */
struct sim_verdict {
    size_t step;
    char reason[200];
};
void sim_program_report_to(struct sim_verdict *verdict);

#endif
