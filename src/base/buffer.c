/*
 * Chunks, chains of chunks, and the pool that chunks come from and go back to.
 *
 * The normal course: bytes are appended behind the last byte of the last chunk, in new chunks where
 * they do not fit, and consumed from the first chunk, which is released to the pool with its last
 * byte. The pool keeps a bounded number of free chunks of each size and gives the rest back to the
 * allocator, so that a burst does not become the size of the process. The chunks that it keeps may
 * lie anywhere among those of a burst, and the allocator then keeps the pages between: when nearly
 * all of a burst has gone, it returns them to the system.
 *
 * Where bytes go: what fits behind the last byte goes there. What does not, but fits a small chunk,
 * goes into a second chunk as a whole, so that a message lies in one piece. What is longer, or has
 * two chunks before it, fills the last chunk and then others: large ones for bulk, and for the rest
 * the smallest that holds it or as much as the chain has, so that a queue grows by doubling.
 *
 * The one way to fail is running out of memory while appending: the chain is then as it was,
 * because the new chunks are gathered before the first byte is copied; only at the end of a loan
 * bytes are lost by it. Nothing here calls back.
 */
#include "buffer.h"

#include <assert.h>
#include <string.h>

#include "memory.h"

/* How many free chunks the pool keeps of each size, and how many bytes these are. */
static const unsigned most_free[BERTH__CHUNK_SIZES] = {64, 16, 8, 8, 8, 16};
#define POOL_BYTES ((size_t)64 * 2048 + (size_t)16 * 4096 + (size_t)8 * 57344 + (size_t)16 * 65536)
#define BURST ((size_t)8 << 20) /* bytes beyond which the system has its pages back */

void berth__pool_init(berth__pool *pool)
{
    *pool = (berth__pool){0};
}

BERTH__RARE static void chunk_free(berth__chunk *chunk, berth__pool *pool)
{
    pool->used -= sizeof(*chunk) + chunk->capacity;
    berth__release(chunk);
    if (pool->most < BURST || pool->used > pool->most / 16 + POOL_BYTES)
        return;
    pool->most = pool->used;
    berth__trim();
}

static void free_all(berth__chunk *chunk)
{
    while (chunk) {
        berth__chunk *next = chunk->next;
        berth__release(chunk);
        chunk = next;
    }
}

void berth__pool_clear(berth__pool *pool)
{
    for (int i = 0; i < BERTH__CHUNK_SIZES; i++)
        free_all(pool->chunks[i]);
    *pool = (berth__pool){0};
}

BERTH__RARE static berth__chunk *chunk_new(berth__pool *pool, size_t capacity)
{
    berth__chunk *chunk = berth__allocate(sizeof(*chunk) + capacity);
    if (!chunk)
        return NULL;
    *chunk = (berth__chunk){.bytes = (uint8_t *)(chunk + 1), .capacity = (uint32_t)capacity};
    pool->used += sizeof(*chunk) + capacity;
    pool->most = pool->used > pool->most ? pool->used : pool->most;
    return chunk;
}

static size_t capacity_of(unsigned size)
{
    return ((size_t)2048 << size) - sizeof(berth__chunk);
}

/* The smallest size that holds so many bytes, or the largest. */
static unsigned size_for(size_t bytes)
{
    unsigned size = 0;
    while (size < BERTH__CHUNK_SIZES - 1 && capacity_of(size) < bytes)
        size++;
    return size;
}

static berth__chunk *chunk_acquire(berth__pool *pool, unsigned size)
{
    berth__chunk *chunk = pool->chunks[size];
    if (!chunk)
        return chunk_new(pool, capacity_of(size));
    pool->chunks[size] = chunk->next;
    pool->counts[size]--;
    chunk->next = NULL;
    chunk->start = 0;
    chunk->end = 0;
    return chunk;
}

static inline bool keep(berth__chunk *chunk, berth__pool *pool, unsigned size)
{
    if (pool->counts[size] >= most_free[size])
        return false;
    chunk->next = pool->chunks[size];
    pool->chunks[size] = chunk;
    pool->counts[size]++;
    return true;
}

/* All but a small chunk that the pool keeps. */
BERTH__RARE static void release_other(berth__chunk *chunk, berth__pool *pool)
{
    if (chunk->block)
        berth__pool_put_block(pool, chunk);
    else if (!chunk->lent && !keep(chunk, pool, size_for(chunk->capacity)))
        chunk_free(chunk, pool);
}

void berth__pool_put_block(berth__pool *pool, berth__chunk *block)
{
    block->next = NULL;
    if (pool->blocks)
        pool->last_block->next = block;
    else
        pool->blocks = block;
    pool->last_block = block;
}

static inline void release(berth__chunk *chunk, berth__pool *pool)
{
    if (chunk->lent || chunk->block || chunk->capacity != BERTH__CHUNK_SMALL ||
        !keep(chunk, pool, 0))
        release_other(chunk, pool);
}

void berth__chunk_release(berth__chunk *chunk, berth__pool *pool)
{
    if (chunk)
        release(chunk, pool);
}

/* Copies what still fits behind the chunk's last byte. Returns how much that was. */
static size_t chunk_fill(berth__chunk *chunk, const uint8_t *bytes, size_t size)
{
    assert(chunk != NULL && bytes != NULL); /* gcc's analyser thinks that they might be */
    size_t room = chunk->capacity - chunk->end;
    size_t part = size < room ? size : room;
    memcpy(chunk->bytes + chunk->end, bytes, part);
    chunk->end += (uint32_t)part;
    return part;
}

/* New chunks for that many bytes behind `before` others, linked; NULL and none taken when out of
 * memory. */
static berth__chunk *gather(berth__pool *pool, size_t before, size_t size)
{
    berth__chunk *first = NULL;
    berth__chunk **link = &first;
    while (size > 0) {
        berth__chunk *chunk = chunk_acquire(pool, size_for(size > before ? size : before));
        if (!chunk) {
            berth__chunks_release(first, pool);
            return NULL;
        }
        *link = chunk;
        link = &chunk->next;
        size -= size < chunk->capacity ? size : chunk->capacity;
    }
    return first;
}

/* How much of its own memory the chain has: blocks are none of it. Where a chain doubles, its last
 * chunk is about half of that, so that nobody has to look for the blocks before it. */
static size_t own_memory(const berth__chunk *first)
{
    const berth__chunk *last = first ? first->last : NULL;
    if (!last || last->block)
        return 0;
    size_t most = (size_t)2 * last->capacity;
    return first->size < most ? first->size : most;
}

/* What neither fits behind the last byte nor into a small chunk. Out of line, or else every message
 * would save the registers that this needs. */
BERTH__RARE static bool append_long(berth__chain *chain, berth__pool *pool, const uint8_t *bytes,
                                    size_t size)
{
    berth__chunk *first = chain->first;
    berth__chunk *last = first ? first->last : NULL;
    size_t room = last ? last->capacity - last->end : 0;
    berth__chunk *fresh = gather(pool, own_memory(first), size - room);
    if (!fresh)
        return false;
    if (last) {
        last->next = fresh;
    } else {
        chain->first = first = fresh;
        first->size = first->kept = 0;
        first->searched = NULL;
    }
    first->size += size;
    for (berth__chunk *chunk = room > 0 ? last : fresh; chunk; chunk = chunk->next) {
        size_t part = chunk_fill(chunk, bytes, size);
        bytes += part;
        size -= part;
        first->last = chunk;
    }
    assert(size == 0);
    return true;
}

/* What does not fit behind the last byte: the second chunk begins with a whole message. */
BERTH__RARE static bool append_behind(berth__chain *chain, berth__pool *pool, const uint8_t *bytes,
                                      size_t size)
{
    berth__chunk *first = chain->first;
    if (first->last != first || size > BERTH__CHUNK_SMALL)
        return append_long(chain, pool, bytes, size);
    berth__chunk *second = chunk_acquire(pool, 0);
    if (!second)
        return false;
    first->next = first->last = second;
    first->size += chunk_fill(second, bytes, size);
    return true;
}

bool berth__chain_append(berth__chain *chain, berth__pool *pool, const void *data, size_t size)
{
    berth__chunk *first = chain->first;
    berth__chunk *last = first ? first->last : NULL;
    if (size == 0)
        return true;
    assert(data && (!last || !last->lent));
    if (!first) {
        if (size > BERTH__CHUNK_SMALL)
            return append_long(chain, pool, data, size);
        first = last = chunk_acquire(pool, 0);
        if (!first)
            return false;
        chain->first = first->last = first;
        first->size = first->kept = 0;
        first->searched = NULL;
    } else if (size > last->capacity - last->end) {
        return append_behind(chain, pool, data, size);
    }
    memcpy(last->bytes + last->end, data, size);
    last->end += (uint32_t)size;
    first->size += size;
    return true;
}

void berth__chain_append_block(berth__chain *chain, berth__chunk *block)
{
    berth__chunk *first = chain->first;
    block->next = NULL;
    block->lent = false;
    block->block = true;
    block->capacity = block->end; /* nothing can be put behind its bytes */
    if (!first) {
        chain->first = block->last = block;
        block->size = block->end - block->start;
        block->kept = 0;
        block->searched = NULL;
        return;
    }
    first->last->next = block;
    first->last = block;
    first->size += block->end - block->start;
}

void berth__chain_join(berth__chain *chain, berth__chain *other)
{
    berth__chunk *first = chain->first;
    berth__chunk *behind = other->first;
    other->first = NULL;
    if (first == NULL || behind == NULL) {
        chain->first = first != NULL ? first : behind;
        return;
    }
    assert(!first->last->lent && behind->kept == 0);
    first->last->next = behind;
    first->last = behind->last;
    first->size += behind->size;
}

bool berth__chain_copy_loan(berth__chain *chain, berth__pool *pool)
{
    berth__chunk *first = chain->first;
    berth__chunk *loan = first->last;
    size_t size = loan->end - loan->start;
    size_t kept = first->kept;
    if (first == loan) {
        chain->first = NULL;
    } else {
        first->last = loan->last;
        first->last->next = NULL;
        first->size -= size;
    }
    bool copied = berth__chain_append(chain, pool, loan->bytes + loan->start, size);
    first = chain->first;
    if (first)
        first->kept = kept < first->size ? kept : first->size;
    return copied;
}

size_t berth__chain_copy(const berth__chain *chain, size_t offset, void *data, size_t size)
{
    uint8_t *target = data;
    size_t done = 0;
    for (const berth__chunk *chunk = chain->first; chunk && done < size; chunk = chunk->next) {
        size_t here = chunk->end - chunk->start;
        if (offset >= here) {
            offset -= here;
            continue;
        }
        size_t part = here - offset;
        if (part > size - done)
            part = size - done;
        memcpy(target + done, chunk->bytes + chunk->start + offset, part);
        done += part;
        offset = 0;
    }
    return done;
}

/* The first chunk goes, and the next has what is known of the chain. */
BERTH__RARE static void move_search(const berth__chunk *first, berth__chunk *next)
{
    next->searched = first->searched;
    next->searched_for = first->searched_for;
    next->searched_end = first->searched_end;
    next->searched_from = first->searched_from - first->end + next->start;
}

static inline berth__chunk *unlink_first(berth__chain *chain)
{
    berth__chunk *chunk = chain->first;
    berth__chunk *next = chunk->next;
    chain->first = next;
    if (next) {
        next->last = chunk->last;
        next->size = chunk->size - (chunk->end - chunk->start);
        next->kept = 0;
        next->searched = NULL;
        if (chunk->searched && chunk->searched != chunk)
            move_search(chunk, next);
    }
    return chunk;
}

BERTH__RARE static size_t consume_more(berth__chain *chain, berth__pool *pool, size_t size)
{
    size_t left = size;
    berth__chunk *first;
    while ((first = chain->first) != NULL && left >= first->end - first->start) {
        left -= first->end - first->start;
        release(unlink_first(chain), pool);
    }
    if (!first)
        return size - left;
    first->start += (uint32_t)left;
    first->size -= left;
    return size;
}

size_t berth__chain_consume(berth__chain *chain, berth__pool *pool, size_t size)
{
    berth__chunk *first = chain->first;
    size_t here = first ? first->end - first->start : 0;
    if (size < here) {
        first->start += (uint32_t)size;
        first->size -= size;
        return size;
    }
    if (!first)
        return 0;
    if (first->next)
        return consume_more(chain, pool, size);
    chain->first = NULL;
    release(first, pool);
    return here;
}

const uint8_t *berth__chain_past_first(const berth__chain *chain, size_t place, size_t *ret_size)
{
    const berth__chunk *chunk = chain->first;
    while (chunk && place >= chunk->end - chunk->start) {
        place -= chunk->end - chunk->start;
        chunk = chunk->next;
    }
    *ret_size = chunk ? chunk->end - chunk->start - place : 0;
    return chunk ? chunk->bytes + chunk->start + place : NULL;
}

/* Notes that all was searched, but for a loan, whose chunk does not last. */
static void note_search(const berth__chain *chain, uint8_t byte)
{
    berth__chunk *first = chain->first;
    berth__chunk *last = first->last;
    size_t size = first->size;
    if (last->lent) {
        if (last == first)
            return;
        size -= last->end - last->start;
        last = last->last;
    }
    first->searched = last;
    first->searched_for = byte;
    first->searched_end = last->end;
    first->searched_from = first->start + size - (last->end - last->start);
}

size_t berth__chain_find(const berth__chain *chain, size_t place, uint8_t byte)
{
    const berth__chunk *first = chain->first;
    const berth__chunk *chunk = first;
    size_t before = 0; /* bytes before the chunk */
    if (first && first->searched && first->searched_for == byte) {
        chunk = first->searched;
        before = chunk != first ? first->searched_from - first->start : 0;
        size_t here = first->searched_end > chunk->start ? first->searched_end - chunk->start : 0;
        place = place > before + here ? place : before + here;
    }
    for (; chunk; chunk = chunk->next) {
        size_t here = chunk->end - chunk->start;
        size_t skipped = place > before ? place - before : 0;
        const uint8_t *front = chunk->bytes + chunk->start;
        const uint8_t *found = NULL;
        if (skipped < here)
            found = memchr(front + skipped, byte, here - skipped);
        if (found)
            return before + (size_t)(found - front);
        before += here;
    }
    if (first)
        note_search(chain, byte);
    return before;
}

/* Appends a part of another chain; false when out of memory. */
static bool append_part(berth__chain *chain, berth__pool *pool, const berth__chain *from,
                        size_t place, size_t size)
{
    while (size > 0) {
        size_t here;
        const uint8_t *bytes = berth__chain_at(from, place, &here);
        size_t part = here < size ? here : size;
        if (!berth__chain_append(chain, pool, bytes, part))
            return false;
        place += part;
        size -= part;
    }
    return true;
}

bool berth__chain_insert(berth__chain *chain, berth__pool *pool, size_t place, const void *data,
                         size_t size)
{
    berth__chunk *first = chain->first;
    assert(place <= berth__chain_size(chain));
    if (place == 0 && first && first->start >= size && !first->lent) {
        /* What was read before has left room. */
        first->start -= (uint32_t)size;
        first->searched = NULL;
        memcpy(first->bytes + first->start, data, size);
        first->size += size;
        return true;
    }
    berth__chain made = {0};
    if (append_part(&made, pool, chain, 0, place) && berth__chain_append(&made, pool, data, size) &&
        append_part(&made, pool, chain, place, berth__chain_size(chain) - place)) {
        if (first && made.first)
            made.first->kept = first->kept;
        berth__chain_clear(chain, pool);
        *chain = made;
        return true;
    }
    berth__chain_clear(&made, pool);
    return false;
}

berth__chunk *berth__chain_detach(berth__chain *chain)
{
    if (!chain->first)
        return NULL;
    berth__chunk *chunk = unlink_first(chain);
    chunk->next = NULL;
    return chunk;
}

berth__chunk *berth__chain_detach_all(berth__chain *chain)
{
    berth__chunk *first = chain->first;
    chain->first = NULL;
    return first;
}

void berth__chunks_release(berth__chunk *first, berth__pool *pool)
{
    for (berth__chunk *next; first; first = next) {
        next = first->next;
        release(first, pool);
    }
}

void berth__chain_clear(berth__chain *chain, berth__pool *pool)
{
    (void)berth__chain_consume(chain, pool, SIZE_MAX);
    assert(chain->first == NULL);
}
