/*
 * The start check: see check.h.
 */
#include "check.h"

#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define RUN_BYTES (4 * 1024 * 1024u) /* of the pieces of a job; one piece at least */
#define PART 262144u                 /* read at once */

struct check {
    berth_loop *loop;
    berth_workers *threads;
    const metainfo *info;
    storage *storage;
    const check_handlers *handlers;
    void *user;
    bits trusted;
    bits *have;
    uint32_t next; /* piece that no job has */
    uint32_t done;
    uint32_t jobs;
    bool failed;
    atomic_bool cancelled;
};

typedef struct run {
    check *check;
    uint32_t first;
    uint32_t count;
    uint32_t checked; /* by the job */
    bool good[];
} run;

/* ---- on a thread ----------------------------------------------------------------------------- */

static bool check_piece(check *self, uint32_t index, EVP_MD_CTX *context, uint8_t *data)
{
    char why[256];
    uint8_t hash[EVP_MAX_MD_SIZE];
    uint64_t place = (uint64_t)index * self->info->piece_length;
    uint32_t size = metainfo_piece_size(self->info, index);
    if (storage_is_new(self->storage, place, size) ||
        EVP_DigestInit_ex(context, EVP_sha1(), NULL) != 1)
        return false;
    for (uint32_t begin = 0; begin < size; begin += PART) {
        uint32_t part = size - begin < PART ? size - begin : PART;
        if (!storage_read(self->storage, place + begin, data, part, why, sizeof(why)) ||
            EVP_DigestUpdate(context, data, part) != 1)
            return false;
    }
    return EVP_DigestFinal_ex(context, hash, NULL) == 1 &&
           memcmp(hash, metainfo_piece_hash(self->info, index), HASH_SIZE) == 0;
}

static void work(berth_job *job, void *user)
{
    run *it = user;
    check *self = it->check;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t *data = malloc(PART);
    (void)job;
    for (uint32_t i = 0; context && data && i < it->count; i++) {
        uint32_t index = it->first + i;
        if (atomic_load(&self->cancelled))
            break;
        it->good[i] = (self->trusted.bytes && bits_has(&self->trusted, index)) ||
                      check_piece(self, index, context, data);
        it->checked++;
    }
    free(data);
    EVP_MD_CTX_free(context);
}

/* ---- on the loop's thread -------------------------------------------------------------------- */

static void worked(berth_job *job, bool cancelled, void *user);

/* Submits runs until every thread has one, or all pieces have. */
static void submit(check *self)
{
    uint32_t most = (uint32_t)berth_workers_count(self->threads) + 1; /* one waits */
    uint32_t length = RUN_BYTES / self->info->piece_length;
    if (length == 0)
        length = 1;
    while (!self->failed && self->jobs < most && self->next < self->info->piece_count) {
        uint32_t left = self->info->piece_count - self->next;
        uint32_t count = left < length ? left : length;
        run *it = calloc(1, sizeof(*it) + count * sizeof(it->good[0]));
        if (it)
            *it = (run){.check = self, .first = self->next, .count = count};
        if (!it || !berth_workers_submit(self->threads, self->loop, work, worked, it)) {
            free(it);
            self->failed = true;
            return;
        }
        self->next += count;
        self->jobs++;
    }
}

static void worked(berth_job *job, bool cancelled, void *user)
{
    run *it = user;
    check *self = it->check;
    (void)job;
    for (uint32_t i = 0; i < it->count; i++)
        if (it->good[i])
            bits_add(self->have, it->first + i);
    self->done += it->count;
    if (cancelled || it->checked < it->count)
        self->failed = true;
    free(it);
    self->jobs--;
    submit(self);
    if (!self->failed)
        self->handlers->checked(self->user, self->done);
    if (self->jobs > 0)
        return;
    void (*ended)(void *user, bool ok) = self->handlers->ended;
    void *ended_user = self->user;
    bool ok = !self->failed;
    bits_close(&self->trusted);
    free(self);
    ended(ended_user, ok);
}

check *check_new(berth_loop *loop, berth_workers *threads, const metainfo *info, storage *files,
                 const bits *trusted, bits *ret_have, const check_handlers *handlers, void *user)
{
    check *self = calloc(1, sizeof(*self));
    if (!self)
        return NULL;
    self->loop = loop;
    self->threads = threads;
    self->info = info;
    self->storage = files;
    self->handlers = handlers;
    self->user = user;
    self->have = ret_have;
    if (!trusted || (bits_open(&self->trusted, info->piece_count) &&
                     bits_read(&self->trusted, trusted->bytes, bits_size(trusted->count))))
        submit(self);
    if (self->jobs > 0)
        return self;
    bits_close(&self->trusted);
    free(self);
    return NULL;
}

void check_cancel(check *self)
{
    atomic_store(&self->cancelled, true);
}
