/*
 * Where the words of a program come from: a seed or a string of bytes.
 *
 * A seed is spread with the splitmix64 generator, in which every state is as good as any other, so
 * that neighbouring seeds have nothing in common. A string is cut into words of eight bytes, least
 * significant first, the last one filled up with zeros: a mutation of one byte changes one step.
 */
#include "program.h"

static uint64_t spread(uint64_t *state)
{
    uint64_t mixed = *state += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

/* Short programs are common, since they are cheap and most defects need few steps. */
size_t sim_words_from_seed(uint64_t seed, uint64_t words[SIM_PROGRAM_WORDS])
{
    uint64_t state = seed;
    uint64_t size = spread(&state);
    size_t most = (size & 7) == 0 ? SIM_PROGRAM_WORDS : (size & 7) < 4 ? 60 : 150;
    size_t count = 20 + (size_t)((size >> 8) % (most - 20));
    for (size_t i = 0; i < count; i++)
        words[i] = spread(&state);
    return count;
}

size_t sim_words_from_bytes(const uint8_t *bytes, size_t size, uint64_t words[SIM_PROGRAM_WORDS])
{
    size_t count = 0;
    for (size_t used = 0; used < size && count < SIM_PROGRAM_WORDS; count++) {
        words[count] = 0;
        for (unsigned shift = 0; shift < 64 && used < size; shift += 8)
            words[count] |= (uint64_t)bytes[used++] << shift;
    }
    return count;
}

uint32_t sim_choose(uint64_t *word, uint32_t bound)
{
    uint32_t chosen = (uint32_t)(*word % bound);
    *word /= bound;
    return chosen;
}
