/*
 * Memory for bytes in transit: chunks, chains of chunks, and the pool of a loop that they come from
 * and go back to.
 *
 * A chain is a queue of bytes. Bytes are appended at its end by copying, and consumed at its front;
 * a chunk that is used up goes back to the pool at once, so that an empty chain holds no memory. It
 * is one pointer in its owner, of which there are many: what is known of the whole chain is in its
 * first chunk, and moves on when that is used up.
 *
 * A chunk may be a block: bytes that somebody else keeps, in memory or in a file, until they are
 * consumed. The last chunk may be a loan: bytes in somebody else's memory, for a while, that are
 * read like all others. What is left of them when the loan ends is copied (berth__chain_end_loan).
 *
 * Chunks come in six sizes, from small ones for messages to large ones for bulk. A chain takes
 * larger ones the more bytes it has, so that little output costs little memory and much output few
 * chunks. The pool keeps a bounded number of each size, so that a steady state allocates nothing.
 *
 * Nothing here is safe for more than one thread, and nothing calls back.
 */
#ifndef BERTH_BUFFER_H
#define BERTH_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One piece of memory; the bytes of [start, end) are in use, at least one in a chain. */
typedef struct berth__chunk {
    struct berth__chunk *next;
    struct berth__chunk *last; /* of the chain, in its first chunk; of a loan behind others, the one
                                  before it */
    size_t size;               /* of the chain in bytes, in its first chunk */
    size_t kept;               /* of these, the owner's: how many at the front it has read already,
                                  but may want again */
    uint8_t *bytes;
    uint32_t start;
    uint32_t end;
    uint32_t capacity;
    uint32_t searched_end; /* of `searched`: up to where */
    union {
        size_t searched_from; /* and where it begins, counted as `start` of this chunk is */
        uint64_t offset;      /* of a chunk of a file: where in it `start` 0 is */
    };
    struct berth__chunk *searched; /* in the first chunk: that in which a search has ended; NULL */
    void *holder;                  /* of a chunk that was taken out of its chain: for its user */
    bool lent;
    bool block; /* its bytes are not the pool's, which puts it into `blocks` when it is released */
    uint8_t searched_for;
    int file; /* where `bytes` is NULL: the descriptor of the file that has the bytes */
} berth__chunk;

#define BERTH__CHUNK_SMALL ((size_t)2048 - sizeof(berth__chunk))
#define BERTH__CHUNK_LARGE ((size_t)65536 - sizeof(berth__chunk))

enum {
    BERTH__CHUNK_SIZES = 6 /* each twice the one before, chunk included */
};

typedef struct berth__pool {
    berth__chunk *chunks[BERTH__CHUNK_SIZES]; /* free ones */
    unsigned counts[BERTH__CHUNK_SIZES];
    berth__chunk *blocks; /* released, and their owner is to be told; linked, first to last */
    berth__chunk *last_block;
    size_t used; /* bytes that it has from the allocator, in chains or free */
    size_t most; /* of these, since memory was last given back to the system */
} berth__pool;

void berth__pool_init(berth__pool *pool);
void berth__pool_clear(berth__pool *pool);

/* A queue of bytes. A zeroed chain is empty. */
typedef struct berth__chain {
    berth__chunk *first; /* NULL: empty */
} berth__chain;

/* How many bytes are in it. */
static inline size_t berth__chain_size(const berth__chain *chain)
{
    return chain->first != NULL ? chain->first->size : 0;
}

/* Appends a copy of the bytes, all or none: false when out of memory. */
bool berth__chain_append(berth__chain *chain, berth__pool *pool, const void *data, size_t size);

/* Appends bytes without copying them, at least one: neither they nor the chunk, which is the
 * caller's too, are released. Nothing else may be appended before berth__chain_end_loan. */
static inline void berth__chain_lend(berth__chain *chain, berth__chunk *loan, const void *data,
                                     size_t size)
{
    berth__chunk *first = chain->first;
    loan->next = NULL;
    loan->last = loan;
    loan->size = size;
    loan->kept = 0;
    loan->searched = NULL;
    loan->bytes = (uint8_t *)(uintptr_t)data; /* written to by nobody */
    loan->start = 0;
    loan->end = loan->capacity = (uint32_t)size;
    loan->lent = true;
    loan->block = false;
    if (first == NULL) {
        chain->first = loan;
        return;
    }
    loan->last = first->last;
    first->last->next = loan;
    first->last = loan;
    first->size += size;
}

bool berth__chain_copy_loan(berth__chain *chain, berth__pool *pool); /* where there is one */

/* Appends a chunk of the caller's with bytes in somebody else's memory, or in a file: it is in the
 * chain until they are consumed, and then in the pool's list. `start` and `end` are set. Such a
 * chain can be appended to, sent and consumed, and nothing else. */
void berth__chain_append_block(berth__chain *chain, berth__chunk *block);

/* Puts a block into the pool's list that is in no chain. */
void berth__pool_put_block(berth__pool *pool, berth__chunk *block);

/* Copies those bytes that were not consumed. Returns false when out of memory, and they are lost.
 * Allowed without a loan. */
static inline bool berth__chain_end_loan(berth__chain *chain, berth__pool *pool)
{
    const berth__chunk *first = chain->first;
    return first == NULL || !first->last->lent || berth__chain_copy_loan(chain, pool);
}

/* Copies up to `size` bytes from `offset` on without consuming them. Returns how many. */
size_t berth__chain_copy(const berth__chain *chain, size_t offset, void *data, size_t size);

/* Moves all bytes of `other` behind those of a chain, neither of which has a loan. */
void berth__chain_join(berth__chain *chain, berth__chain *other);

/* Drops up to `size` bytes at the front. Returns how many. */
size_t berth__chain_consume(berth__chain *chain, berth__pool *pool, size_t size);

/* Puts a copy of the bytes in at a place, at most the size; false when out of memory. */
bool berth__chain_insert(berth__chain *chain, berth__pool *pool, size_t place, const void *data,
                         size_t size);

const uint8_t *berth__chain_past_first(const berth__chain *chain, size_t place, size_t *ret_size);

/* The bytes from a place on that lie in one piece: NULL and 0 at the end or past it. */
static inline const uint8_t *berth__chain_at(const berth__chain *chain, size_t place,
                                             size_t *ret_size)
{
    const berth__chunk *first = chain->first;
    if (first == NULL) {
        *ret_size = 0;
        return NULL;
    }
    if (place >= first->end - first->start)
        return berth__chain_past_first(chain, place, ret_size);
    *ret_size = first->end - first->start - place;
    return first->bytes + first->start + place;
}

/* Where a byte is first found from a place on, or the size of the chain if nowhere; then the next
 * search for it goes on behind what was there, unless it begins at an earlier place: that has to be
 * said by berth__chain_forget_search. */
size_t berth__chain_find(const berth__chain *chain, size_t place, uint8_t byte);

static inline void berth__chain_forget_search(berth__chain *chain)
{
    if (chain->first != NULL)
        chain->first->searched = NULL;
}

/* Takes the first chunk out with its bytes; the caller gives it back with berth__chunk_release.
 * NULL if empty. */
berth__chunk *berth__chain_detach(berth__chain *chain);
void berth__chunk_release(berth__chunk *chunk, berth__pool *pool);

/* Takes out all chunks, which stay linked; berth__chunks_release gives them back. */
berth__chunk *berth__chain_detach_all(berth__chain *chain);
void berth__chunks_release(berth__chunk *first, berth__pool *pool);

void berth__chain_clear(berth__chain *chain, berth__pool *pool);

#endif
