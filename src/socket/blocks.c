/*
 * The life of blocks of output: made, and given back by the loop. See blocks.h.
 */
#include "blocks.h"

#include "base/free_list.h"
#include "loop/loop.h"

#include <errno.h>
#include <stdint.h>

enum {
    MOST_OF_A_FILE = 1 << 30 /* bytes in one block */
};

/* Gives back the first of the list. */
static void give_back(berth_loop *loop)
{
    berth__block *block = (berth__block *)loop->pool.blocks;
    loop->pool.blocks = block->chunk.next;
    berth__block was = *block;
    berth__free_list_give(&loop->blocks, block);
    if (was.closes)
        loop->backend->operations->close_file(loop->backend, was.chunk.file);
    else if (was.release != NULL && !loop->inherited)
        was.release(was.data, was.size, was.user);
}

static bool pending(const berth_loop *loop)
{
    return loop->pool.blocks != NULL;
}

/* Those that are there now: what handlers bring forth is left to the next turn. */
static bool run(berth_loop *loop)
{
    size_t count = 0;
    for (const berth__chunk *chunk = loop->pool.blocks; chunk != NULL; chunk = chunk->next)
        count++;
    bool any = count > 0;
    for (; count > 0 && loop->pool.blocks != NULL; count--)
        give_back(loop);
    return any;
}

static uint64_t step(berth_loop *loop)
{
    (void)run(loop);
    return pending(loop) ? 0 : UINT64_MAX;
}

static void give_all_back(berth_loop *loop)
{
    while (loop->pool.blocks != NULL)
        give_back(loop);
}

static const berth__source blocks_source = {
    .pending = pending,
    .run = run,
    .step = step,
    .release = give_all_back,
    .end = give_all_back,
};

berth__block *berth__block_new(berth_loop *loop, const void *data, size_t size,
                               berth_release_handler release, void *user)
{
    berth__block *block = berth__free_list_take(&loop->blocks, sizeof *block);
    if (block == NULL)
        return NULL;
    berth__source_join(&loop->sources, &blocks_source);
    block->chunk.bytes = (uint8_t *)(uintptr_t)data; /* written to by nobody */
    block->chunk.end = (uint32_t)size;
    block->release = release;
    block->user = user;
    block->data = data;
    block->size = size;
    return block;
}

void berth__block_free(berth_loop *loop, berth__block *block)
{
    berth__free_list_give(&loop->blocks, block);
}

int berth__blocks_open_file(berth_loop *loop, int descriptor, uint64_t offset, size_t *size)
{
    berth__backend *backend = loop->backend;
    uint64_t length;
    int file = backend->operations->open_file(backend, descriptor, &length);
    if (file < 0)
        return file;
    uint64_t left = offset < length ? length - offset : 0;
    if (*size == SIZE_MAX)
        *size = (size_t)left;
    if (offset <= length && *size <= left && *size <= PTRDIFF_MAX)
        return file;
    backend->operations->close_file(backend, file);
    return -ENODATA;
}

bool berth__blocks_append_file(berth_loop *loop, berth__chain *chain, int descriptor,
                               uint64_t offset, size_t size)
{
    berth__block *first = NULL;
    berth__block *last = NULL;
    while (size > 0) {
        size_t part = size < MOST_OF_A_FILE ? size : MOST_OF_A_FILE;
        berth__block *block = berth__block_new(loop, NULL, part, NULL, NULL);
        if (block == NULL) {
            for (; first != NULL; first = last) {
                last = (berth__block *)first->chunk.next;
                berth__block_free(loop, first);
            }
            return false;
        }
        block->chunk.file = descriptor;
        block->chunk.offset = offset;
        if (last != NULL)
            last->chunk.next = &block->chunk;
        else
            first = block;
        last = block;
        offset += part;
        size -= part;
    }
    if (last != NULL)
        last->closes = true;
    for (berth__chunk *chunk = &first->chunk, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        berth__chain_append_block(chain, chunk);
    }
    return true;
}
