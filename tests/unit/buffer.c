/*
 * Chains of chunks and their pool: bytes come out as they went in wherever the chunks are cut, the
 * pool stays within its bounds, and every allocation may fail.
 *
 * Lent bytes are read in place, and copied when the loan ends.
 *
 * Beside cases of one situation each, a random walk compares a chain with a plain array, operation
 * by operation.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "base/buffer.h"
#include "base/fault.h"
#include "base/memory.h"

enum {
    MOST = 300000, /* bytes of the longest chain here */
    POOL_SMALL = 64,
    POOL_LARGE = 16
};

static berth__pool pool;
static berth__chain chain;
static uint8_t source[MOST]; /* no two places nearby hold the same bytes */
static uint8_t target[MOST];
static long balance; /* allocations that were not released */

static void *counting_allocate(size_t size)
{
    balance++;
    return malloc(size);
}

static void counting_release(void *memory)
{
    balance--;
    free(memory);
}

static void begin(void)
{
    static const berth_allocator counting = {counting_allocate, realloc, counting_release};
    uint32_t state = 1;
    for (size_t i = 0; i < MOST; i++) {
        state = state * 1664525u + 1013904223u;
        source[i] = (uint8_t)(state >> 24);
    }
    berth_set_allocator(&counting);
    memset(&pool, 0xff, sizeof(pool));
    berth__pool_init(&pool);
    chain = (berth__chain){0};
}

static unsigned free_chunks(void)
{
    unsigned count = 0;
    for (int i = 0; i < BERTH__CHUNK_SIZES; i++)
        count += pool.counts[i];
    return count;
}

static void end(void)
{
    berth__fault_clear();
    berth__chain_clear(&chain, &pool);
    ck_assert_ptr_null(chain.first);
    berth__pool_clear(&pool);
    ck_assert_uint_eq(free_chunks(), 0);
    ck_assert_int_eq(balance, 0);
}

static size_t chunks(void)
{
    size_t count = 0;
    size_t bytes = 0;
    const berth__chunk *last = NULL;
    for (const berth__chunk *chunk = chain.first; chunk; chunk = chunk->next) {
        ck_assert_uint_lt(chunk->start, chunk->end);
        ck_assert_uint_le(chunk->end, chunk->capacity);
        bytes += chunk->end - chunk->start;
        last = chunk;
        count++;
    }
    if (chain.first)
        ck_assert_ptr_eq(chain.first->last, last);
    ck_assert_uint_eq(berth__chain_size(&chain), bytes);
    return count;
}

static void append(const void *data, size_t size)
{
    ck_assert(berth__chain_append(&chain, &pool, data, size));
}

static void consume(size_t size)
{
    ck_assert_uint_eq(berth__chain_consume(&chain, &pool, size), size);
}

/* The whole chain holds these bytes. */
static void expect(const uint8_t *bytes, size_t size)
{
    ck_assert_uint_eq(berth__chain_size(&chain), size);
    ck_assert_uint_eq(berth__chain_copy(&chain, 0, target, MOST), size);
    ck_assert_int_eq(memcmp(target, bytes, size), 0);
    (void)chunks();
}

START_TEST(empty)
{
    size_t size = 7;
    ck_assert_ptr_null(berth__chain_at(&chain, 0, &size));
    ck_assert_uint_eq(size, 0);
    ck_assert_uint_eq(berth__chain_copy(&chain, 0, target, 1), 0);
    ck_assert_uint_eq(berth__chain_consume(&chain, &pool, 1), 0);
    ck_assert_uint_eq(berth__chain_find(&chain, 0, 0), 0);
    ck_assert_ptr_null(berth__chain_detach(&chain));
    berth__chunk_release(NULL, &pool);
    append(NULL, 0);
    ck_assert_uint_eq(chunks(), 0);
    ck_assert_int_eq(balance, 0);
}
END_TEST

/* A message and its answer, over and over: one allocation for all of them, and no memory while
 * idle. */
START_TEST(steady_state_allocates_nothing)
{
    for (int i = 0; i < 1000; i++) {
        append(source + i, 64);
        ck_assert_uint_eq(chunks(), 1);
        consume(64);
        ck_assert_uint_eq(chunks(), 0);
    }
    ck_assert_int_eq(balance, 1);
    ck_assert_uint_eq(pool.counts[0], 1);
}
END_TEST

START_TEST(small_messages_share_a_chunk)
{
    for (size_t i = 0; i < 10; i++)
        append(source + 64 * i, 64);
    ck_assert_uint_eq(chunks(), 1);
    expect(source, 640);
}
END_TEST

START_TEST(exactly_full_then_one_more)
{
    append(source, BERTH__CHUNK_SMALL);
    ck_assert_uint_eq(chunks(), 1);
    append(source + BERTH__CHUNK_SMALL, 1);
    ck_assert_uint_eq(chunks(), 2);
    append(source + BERTH__CHUNK_SMALL + 1, BERTH__CHUNK_SMALL - 1);
    ck_assert_uint_eq(chunks(), 2);
    append(source + 2 * BERTH__CHUNK_SMALL, 1);
    ck_assert_uint_eq(chunks(), 3);
    expect(source, 2 * BERTH__CHUNK_SMALL + 1);
    consume(2 * BERTH__CHUNK_SMALL + 1);
    append(source, BERTH__CHUNK_LARGE + 1); /* by one call */
    ck_assert_uint_eq(chunks(), 2);
    expect(source, BERTH__CHUNK_LARGE + 1);
}
END_TEST

START_TEST(a_message_that_does_not_fit_goes_whole_into_a_new_chunk)
{
    size_t size;
    append(source, 1500);
    append(source + 1500, 1000);
    ck_assert_uint_eq(chunks(), 2);
    expect(source, 2500);
    consume(1500);
    const uint8_t *front = berth__chain_at(&chain, 0, &size);
    ck_assert_uint_eq(size, 1000);
    ck_assert_int_eq(memcmp(front, source + 1500, 1000), 0);
}
END_TEST

START_TEST(bulk_takes_large_chunks)
{
    append(source, BERTH__CHUNK_LARGE);
    ck_assert_uint_eq(chunks(), 1);
    ck_assert_uint_eq(chain.first->capacity, BERTH__CHUNK_LARGE);
    append(source + BERTH__CHUNK_LARGE, 200000);
    ck_assert_uint_eq(chunks(), 5);
    expect(source, BERTH__CHUNK_LARGE + 200000);
}
END_TEST

/* A chunk is never more than twice as large as what needs it, and a queue doubles. */
START_TEST(chunks_grow_with_what_is_queued)
{
    static const size_t sizes[] = {2048, 2048, 4096, 8192, 16384, 32768, 65536, 65536};
    for (size_t size = 1; size <= BERTH__CHUNK_LARGE; size += 97) {
        append(source, size);
        size_t capacity = chain.first->capacity + sizeof(berth__chunk);
        ck_assert(capacity == 2048 || size + sizeof(berth__chunk) > capacity / 2);
        consume(size);
    }
    for (size_t done = 0; done < 190000; done += 100)
        append(source + done, 100);
    size_t i = 0;
    for (const berth__chunk *chunk = chain.first; chunk; chunk = chunk->next)
        ck_assert_uint_eq(chunk->capacity + sizeof(*chunk), sizes[i++]);
    ck_assert_uint_eq(i, sizeof sizes / sizeof sizes[0]);
    expect(source, 190000);
}
END_TEST

/* Bytes that are elsewhere are no reason for larger chunks. */
START_TEST(chunks_behind_a_block_are_small)
{
    berth__chunk block = {.bytes = source + 10, .end = 200000};
    append(source, 10);
    berth__chain_append_block(&chain, &block);
    append(source + 200010, 3000);
    ck_assert_uint_eq(block.next->capacity + sizeof block, 4096);
    expect(source, 203010);
    consume(203010);
    ck_assert_ptr_eq(pool.blocks, &block);
    pool.blocks = NULL;
}
END_TEST

/* Also where the block is not the last: they double, as without it. */
START_TEST(chunks_grow_behind_a_block)
{
    static const size_t sizes[] = {2048, 4096, 8192, 16384};
    berth__chunk block = {.bytes = source, .end = 200000};
    berth__chain_append_block(&chain, &block);
    for (size_t done = 200000; done < 230000; done += 100)
        append(source + done, 100);
    size_t i = 0;
    for (const berth__chunk *chunk = block.next; chunk; chunk = chunk->next)
        ck_assert_uint_eq(chunk->capacity + sizeof(*chunk), sizes[i++]);
    ck_assert_uint_eq(i, sizeof sizes / sizeof sizes[0]);
    expect(source, 230000);
    consume(230000);
    ck_assert_ptr_eq(pool.blocks, &block);
    pool.blocks = NULL;
}
END_TEST

START_TEST(detach_all)
{
    append(source, 1500);
    append(source + 1500, 100000);
    berth__chunk *first = berth__chain_detach_all(&chain);
    ck_assert_uint_eq(chunks(), 0);
    ck_assert_int_eq(memcmp(first->bytes, source, 1500), 0);
    ck_assert_ptr_nonnull(first->next);
    append(source, 10);
    expect(source, 10);
    berth__chunks_release(first, &pool);
    berth__chunks_release(NULL, &pool);
}
END_TEST

START_TEST(bulk_fills_the_last_chunk_first_and_ends_in_a_small_one)
{
    append(source, 1000);
    size_t more = BERTH__CHUNK_SMALL - 1000 + BERTH__CHUNK_LARGE + 10;
    append(source + 1000, more);
    ck_assert_uint_eq(chunks(), 3);
    ck_assert_uint_eq(chain.first->end, BERTH__CHUNK_SMALL);
    ck_assert_uint_eq(chain.first->next->capacity, BERTH__CHUNK_LARGE);
    ck_assert_uint_eq(chain.first->last->capacity, BERTH__CHUNK_SMALL);
    expect(source, 1000 + more);
}
END_TEST

START_TEST(copy_from_every_offset)
{
    static const size_t sizes[] = {1500, 1000, 2016, 70000, 3};
    size_t total = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        append(source + total, sizes[i]);
        total += sizes[i];
    }
    consume(700);
    for (size_t offset = 0; offset < total - 700 + 50; offset += 7) {
        for (size_t size = 0; size < 9000; size += 997) {
            size_t left = offset < total - 700 ? total - 700 - offset : 0;
            size_t expected = size < left ? size : left;
            ck_assert_uint_eq(berth__chain_copy(&chain, offset, target, size), expected);
            ck_assert_int_eq(memcmp(target, source + 700 + offset, expected), 0);
        }
    }
    expect(source + 700, total - 700);
}
END_TEST

START_TEST(consume_more_than_there_is)
{
    append(source, 5000);
    append(source, 5000);
    ck_assert_uint_eq(berth__chain_consume(&chain, &pool, SIZE_MAX), 10000);
    ck_assert_uint_eq(chunks(), 0);
}
END_TEST

START_TEST(consume_to_the_edge_of_a_chunk)
{
    append(source, BERTH__CHUNK_SMALL);
    append(source + BERTH__CHUNK_SMALL, 100);
    consume(BERTH__CHUNK_SMALL - 1);
    ck_assert_uint_eq(chunks(), 2);
    consume(1);
    ck_assert_uint_eq(chunks(), 1);
    expect(source + BERTH__CHUNK_SMALL, 100);
}
END_TEST

START_TEST(find_across_chunks)
{
    static uint8_t zeros[5000];
    append(zeros, 1500);
    append(zeros, 1500);
    append(zeros, 5000);
    ck_assert_uint_eq(berth__chain_find(&chain, 0, '\n'), 8000);
    ck_assert_uint_eq(berth__chain_find(&chain, 0, 0), 0);
    append("\n.\n", 3);
    ck_assert_uint_eq(berth__chain_find(&chain, 0, '\n'), 8000);
    ck_assert_uint_eq(berth__chain_find(&chain, 0, '.'), 8001);
    consume(1499);
    ck_assert_uint_eq(berth__chain_find(&chain, 0, '\n'), 6501);
    consume(6502);
    ck_assert_uint_eq(berth__chain_find(&chain, 0, '\n'), 1);
    /* what was consumed is not found, nor what once was in the chunk's memory */
    consume(2);
    ck_assert_uint_eq(berth__chain_size(&chain), 0);
    append("x", 1);
    ck_assert_uint_eq(berth__chain_find(&chain, 0, '\n'), 1);
}
END_TEST

/* What was searched is not searched again: the bytes of it may be changed. */
START_TEST(find_goes_on)
{
    static const uint8_t zeros[5000];
    for (int i = 0; i < 20; i++) {
        append(zeros, 5000);
        ck_assert_uint_eq(berth__chain_find(&chain, 0, '\n'), (size_t)(i + 1) * 5000);
    }
    chain.first->bytes[10] = '\n'; /* nobody does; it shows that nobody looks */
    ck_assert_uint_eq(berth__chain_find(&chain, 0, '\n'), 100000);
    consume(20);
    ck_assert_uint_eq(berth__chain_find(&chain, 0, '\n'), 99980);
    append("\n", 1);
    consume(70000);
    ck_assert_uint_eq(berth__chain_find(&chain, 0, '\n'), 29980);
    ck_assert_uint_eq(berth__chain_find(&chain, 20000, '\n'), 29980);
    ck_assert_uint_eq(berth__chain_find(&chain, 0, 1), 29981);
    berth__chunk loan;
    berth__chain_lend(&chain, &loan, zeros, 100);
    ck_assert_uint_eq(berth__chain_find(&chain, 0, 1), 30081);
    ck_assert(berth__chain_end_loan(&chain, &pool));
    append("\1", 1);
    ck_assert_uint_eq(berth__chain_find(&chain, 0, 1), 30081);
    ck_assert(berth__chain_insert(&chain, &pool, 0, "\1", 1));
    ck_assert_uint_eq(berth__chain_find(&chain, 0, 1), 0);
}
END_TEST

/* Each search begins at a place of its own, bytes come and go, and some are lent. */
START_TEST(find_at_random)
{
    uint32_t state = 7;
    size_t done = 0, end = 0; /* of `source`, whose bytes the chain holds */
    size_t begun = SIZE_MAX;  /* where the earliest search began */
    memset(source, 0, MOST);
    for (size_t i = 0; i < MOST; i += 9973)
        source[i] = 0xaa;
    for (int step = 0; step < 4000; step++) {
        state = state * 1664525u + 1013904223u;
        size_t size = (state >> 8) % (step % 5 == 0 ? 30000 : 3000);
        size = size < MOST - end ? size : MOST - end;
        berth__chunk loan;
        bool lent = state >> 31 && size > 0;
        if (lent)
            berth__chain_lend(&chain, &loan, source + end, size);
        else
            append(source + end, size);
        end += size;
        size_t place = done + (state >> 4) % 100;
        place = place < end ? place : end;
        if (place < begun)
            berth__chain_forget_search(&chain);
        begun = place;
        const uint8_t *found = memchr(source + place, 0xaa, end - place);
        size_t expected = found ? (size_t)(found - source) : end;
        ck_assert_uint_eq(berth__chain_find(&chain, place - done, 0xaa), expected - done);
        size_t part = state % 3 != 0 ? 0 : (state >> 5) % (end - done + 1);
        consume(part);
        done += part;
        ck_assert(berth__chain_end_loan(&chain, &pool));
        if (end == MOST) {
            berth__chain_clear(&chain, &pool);
            done = end = 0;
            begun = SIZE_MAX;
        }
    }
}
END_TEST

START_TEST(messages_in_a_queue_fill_their_chunks)
{
    for (int i = 0; i < 200; i++)
        append(source, 1000);
    ck_assert_uint_le(chunks(), 200000 / BERTH__CHUNK_SMALL + 2);
}
END_TEST

START_TEST(detach)
{
    append(source, 1500);
    append(source + 1500, 1500);
    consume(100);
    berth__chunk *first = berth__chain_detach(&chain);
    ck_assert_ptr_null(first->next);
    ck_assert_uint_eq(first->end - first->start, 1400);
    ck_assert_int_eq(memcmp(first->bytes + first->start, source + 100, 1400), 0);
    expect(source + 1500, 1500);
    berth__chunk *last = berth__chain_detach(&chain);
    ck_assert_uint_eq(chunks(), 0);
    append(source, 10);
    expect(source, 10);
    berth__chunk_release(first, &pool);
    berth__chunk_release(last, &pool);
    ck_assert_uint_eq(pool.counts[0], 2);
}
END_TEST

/* A burst leaves no more behind than the pool may keep; what it keeps is used again, and comes back
 * empty. */
START_TEST(pool_is_bounded)
{
    enum {
        MANY = 2 * POOL_SMALL
    };
    for (int i = 0; i < 2; i++) {
        berth__chain chains[MANY] = {{0}};
        for (size_t j = 0; j < MANY; j++)
            ck_assert(berth__chain_append(&chains[j], &pool, source, BERTH__CHUNK_SMALL));
        ck_assert_int_eq(balance, MANY);
        for (size_t j = 0; j < MANY; j++)
            berth__chain_clear(&chains[j], &pool);
        ck_assert_uint_eq(pool.counts[0], POOL_SMALL);
        ck_assert_int_eq(balance, POOL_SMALL);
    }
    berth__pool_clear(&pool);
    for (int i = 0; i < 2; i++) {
        for (size_t j = 0; j < 2 * POOL_LARGE; j++)
            append(source, BERTH__CHUNK_LARGE);
        ck_assert_int_eq(balance, 2 * POOL_LARGE);
        berth__chain_clear(&chain, &pool);
        ck_assert_uint_eq(pool.counts[BERTH__CHUNK_SIZES - 1], POOL_LARGE);
        ck_assert_uint_eq(free_chunks(), POOL_LARGE);
    }
}
END_TEST

#ifdef __GLIBC__
static unsigned trims;

/* In place of the allocator's. */
int malloc_trim(size_t left)
{
    (void)left;
    return (int)++trims;
}

START_TEST(burst_that_has_gone_is_given_back)
{
    for (int round = 1; round <= 2; round++) {
        for (int i = 0; i < 12000; i++)
            append(source, 1000);
        consume(9000 * 1000);
        ck_assert_uint_eq(trims, (unsigned)round - 1);
        consume(3000 * 1000);
        ck_assert_uint_eq(trims, (unsigned)round);
    }
}
END_TEST
#endif

/* Appending 200,000 bytes to a chain with room in it, with each of its allocations failing in turn.
 */
START_TEST(every_allocation_of_an_append_fails)
{
    int failures = 0;
    bool appended = false;
    append(source, 100);
    for (long n = 0; !appended; n++) {
        berth__pool_clear(&pool);
        berth__fault_set_memory(n, 1);
        appended = berth__chain_append(&chain, &pool, source + 100, 200000);
        bool failed = berth__fault_memory_failed() > 0;
        berth__fault_clear();
        ck_assert(appended != failed);
        if (appended)
            break;
        failures++;
        expect(source, 100);
        ck_assert_uint_eq(chunks(), 1);
    }
    ck_assert_int_ge(failures, 4);
    expect(source, 200100);
}
END_TEST

START_TEST(out_of_memory_with_an_empty_chain)
{
    berth__fault_set_memory(0, 1);
    ck_assert(!berth__chain_append(&chain, &pool, source, 1));
    berth__fault_clear();
    ck_assert_uint_eq(chunks(), 0);
    append(source, 1);
    expect(source, 1);
}
END_TEST

/* What fits behind the last byte needs no memory. */
START_TEST(no_allocation_where_there_is_room)
{
    append(source, 10);
    berth__fault_set_memory(0, 1000);
    append(source + 10, BERTH__CHUNK_SMALL - 10);
    ck_assert_int_eq(berth__fault_memory_seen(), 0);
    berth__fault_clear();
    expect(source, BERTH__CHUNK_SMALL);
}
END_TEST

/* Lent bytes are read like others, and copied when the loan ends. */
START_TEST(lend_to_an_empty_chain)
{
    berth__chunk loan;
    berth__chain_lend(&chain, &loan, source, 5000);
    ck_assert_int_eq(balance, 0);
    expect(source, 5000);
    consume(1000);
    chain.first->kept = 500;
    ck_assert(berth__chain_end_loan(&chain, &pool));
    ck_assert_uint_eq(chain.first->kept, 500);
    memset(&loan, 0xff, sizeof(loan));
    expect(source + 1000, 4000);
    ck_assert(berth__chain_end_loan(&chain, &pool)); /* there is none */
    expect(source + 1000, 4000);
}
END_TEST

START_TEST(lend_behind_others)
{
    berth__chunk loan;
    append(source, 100);
    append(source + 100, BERTH__CHUNK_SMALL);
    berth__chain_lend(&chain, &loan, source + 100 + BERTH__CHUNK_SMALL, 300);
    ck_assert_uint_eq(chunks(), 3);
    expect(source, BERTH__CHUNK_SMALL + 400);
    ck_assert(berth__chain_end_loan(&chain, &pool));
    memset(&loan, 0xff, sizeof(loan));
    expect(source, BERTH__CHUNK_SMALL + 400);
}
END_TEST

START_TEST(lend_and_consume_all)
{
    berth__chunk loan;
    append(source, 100);
    berth__chain_lend(&chain, &loan, source + 100, 300);
    consume(150);
    expect(source + 150, 250);
    consume(250);
    ck_assert_uint_eq(chunks(), 0);
    ck_assert(berth__chain_end_loan(&chain, &pool));
    ck_assert_uint_eq(chunks(), 0);
    ck_assert_uint_eq(pool.counts[0], 1);
}
END_TEST

/* The room in front of lent bytes is not the chain's to write to. */
START_TEST(insert_before_a_loan)
{
    uint8_t lent[100];
    berth__chunk loan;
    memcpy(lent, source, sizeof lent);
    berth__chain_lend(&chain, &loan, lent, sizeof lent);
    consume(50);
    ck_assert(berth__chain_insert(&chain, &pool, 0, source + 40, 10));
    ck_assert_int_eq(memcmp(lent, source, sizeof lent), 0);
    memset(lent, 0, sizeof lent);
    memset(&loan, 0xff, sizeof(loan));
    ck_assert(berth__chain_end_loan(&chain, &pool));
    expect(source + 40, 60);
}
END_TEST

/* What cannot be copied is lost, and nothing else is. */
START_TEST(out_of_memory_at_the_end_of_a_loan)
{
    berth__chunk loan;
    append(source, BERTH__CHUNK_SMALL);
    berth__chain_lend(&chain, &loan, source + BERTH__CHUNK_SMALL, 300);
    chain.first->kept = BERTH__CHUNK_SMALL + 20;
    berth__fault_set_memory(0, 1);
    ck_assert(!berth__chain_end_loan(&chain, &pool));
    berth__fault_clear();
    ck_assert_uint_eq(chain.first->kept, BERTH__CHUNK_SMALL);
    expect(source, BERTH__CHUNK_SMALL);
    consume(BERTH__CHUNK_SMALL);
    berth__pool_clear(&pool);
    berth__chain_lend(&chain, &loan, source, 300);
    berth__fault_set_memory(0, 1);
    ck_assert(!berth__chain_end_loan(&chain, &pool));
    berth__fault_clear();
    ck_assert_uint_eq(chunks(), 0);
}
END_TEST

static size_t random_size(void)
{
    static const size_t most[] = {4, 100, 3000, 9000, 70000};
    return (size_t)random() % most[(size_t)random() % 5];
}

/* Lends that many bytes, consumes some, and ends the loan, perhaps without memory. The chain holds
 * source[first, last). Returns the new `first`. */
static size_t lend_some(size_t first, size_t *last, size_t size)
{
    berth__chunk loan;
    berth__chain_lend(&chain, &loan, source + *last, size);
    *last += size;
    size_t some = (size_t)random() % (*last - first + 1);
    consume(some);
    first += some;
    expect(source + first, *last - first);
    if (random() % 8 == 0)
        berth__fault_set_memory(random() % 2, 1);
    size_t rest = size < *last - first ? size : *last - first;
    if (!berth__chain_end_loan(&chain, &pool))
        *last -= rest;
    berth__fault_clear();
    return first;
}

START_TEST(random_walk)
{
    size_t first = 0; /* the chain holds source[first, last) */
    size_t last = 0;
    srandom((unsigned)_i + 1);
    for (int step = 0; step < 1500; step++) {
        size_t size = random_size();
        switch (random() % 5) {
        case 0:
        case 1:
            if (last + size > MOST)
                break;
            if (size > 0 && random() % 3 == 0) {
                first = lend_some(first, &last, size);
                break;
            }
            if (random() % 8 == 0)
                berth__fault_set_memory(random() % 2, 1);
            if (berth__chain_append(&chain, &pool, source + last, size))
                last += size;
            berth__fault_clear();
            break;
        case 2:
        case 3:
            if (size > last - first)
                size = last - first;
            consume(size);
            first += size;
            break;
        default: {
            berth__chunk *chunk = berth__chain_detach(&chain);
            if (!chunk)
                break;
            size_t here = chunk->end - chunk->start;
            ck_assert_int_eq(memcmp(chunk->bytes + chunk->start, source + first, here), 0);
            first += here;
            berth__chunk_release(chunk, &pool);
        }
        }
        const uint8_t *found = memchr(source + first, 0xaa, last - first);
        size_t place = found ? (size_t)(found - source) - first : last - first;
        ck_assert_uint_eq(berth__chain_find(&chain, 0, 0xaa), place);
        expect(source + first, last - first);
        ck_assert_uint_le(pool.counts[0], POOL_SMALL);
        ck_assert_uint_le(pool.counts[BERTH__CHUNK_SIZES - 1], POOL_LARGE);
        if (last + 70000 > MOST) {
            berth__chain_clear(&chain, &pool);
            first = last = 0;
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buffer");
    TCase *tests = tcase_create("buffer");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, empty);
    tcase_add_test(tests, chunks_behind_a_block_are_small);
    tcase_add_test(tests, chunks_grow_behind_a_block);
    tcase_add_test(tests, steady_state_allocates_nothing);
    tcase_add_test(tests, small_messages_share_a_chunk);
    tcase_add_test(tests, exactly_full_then_one_more);
    tcase_add_test(tests, a_message_that_does_not_fit_goes_whole_into_a_new_chunk);
    tcase_add_test(tests, bulk_takes_large_chunks);
    tcase_add_test(tests, chunks_grow_with_what_is_queued);
    tcase_add_test(tests, bulk_fills_the_last_chunk_first_and_ends_in_a_small_one);
    tcase_add_test(tests, copy_from_every_offset);
    tcase_add_test(tests, consume_more_than_there_is);
    tcase_add_test(tests, consume_to_the_edge_of_a_chunk);
    tcase_add_test(tests, find_across_chunks);
    tcase_add_test(tests, find_goes_on);
    tcase_add_test(tests, find_at_random);
    tcase_add_test(tests, messages_in_a_queue_fill_their_chunks);
    tcase_add_test(tests, detach);
    tcase_add_test(tests, detach_all);
    tcase_add_test(tests, pool_is_bounded);
#ifdef __GLIBC__
    tcase_add_test(tests, burst_that_has_gone_is_given_back);
#endif
    tcase_add_test(tests, every_allocation_of_an_append_fails);
    tcase_add_test(tests, out_of_memory_with_an_empty_chain);
    tcase_add_test(tests, no_allocation_where_there_is_room);
    tcase_add_test(tests, lend_to_an_empty_chain);
    tcase_add_test(tests, lend_behind_others);
    tcase_add_test(tests, lend_and_consume_all);
    tcase_add_test(tests, insert_before_a_loan);
    tcase_add_test(tests, out_of_memory_at_the_end_of_a_loan);
    tcase_add_loop_test(tests, random_walk, 0, 4);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
