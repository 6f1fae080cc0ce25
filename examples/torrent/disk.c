/*
 * The jobs of a torrent's disk: see disk.h.
 *
 * Writing goes by pieces. The blocks of a piece that wait are taken together by one job, which
 * writes them, hashes those that continue what was hashed before, and comes back; meanwhile further
 * blocks wait, so that jobs become longer the more there is to do. A job for each block would cost
 * as much as the block's hash, so a piece gathers some before its job starts; what is gathered in
 * all pieces is bounded. A piece has one job at a time, several pieces have several. So what a job
 * uses of a piece is used by nobody else, and no lock is needed but that of the storage.
 */
#include "disk.h"

#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "resume.h"
#include "storage.h"

#define BUCKETS 256
#define WHY_SIZE 400
#define GATHERED_PIECE (8 * BLOCK_SIZE)
#define GATHERED_MOST (1024 * 1024u)

typedef struct block {
    struct block *next;
    uint8_t *data;
    uint32_t number;
    uint32_t size;
    bool ok;
} block;

typedef struct piece {
    disk *disk;
    struct piece *next; /* in its bucket */
    uint32_t index;
    block *waiting; /* in the order in which they came */
    block **end;
    uint32_t gathered; /* bytes of those, while no job is due */
    block *taken;      /* by the job */
    bool busy;         /* a job has it, or its end is being reported */
    bool hash_wanted;
    bool finishing; /* the job is to hash to the end */
    bool good;
    EVP_MD_CTX *digest;
    uint32_t hashed; /* blocks that are in the digest */
    char why[WHY_SIZE];
} piece;

struct disk {
    berth_loop *loop;
    berth_workers *threads;
    const metainfo *info;
    const disk_handlers *handlers;
    void *user;
    char *folder;
    storage *storage;
    piece *pieces[BUCKETS];
    disk_queue *queue;
    uint32_t jobs;
    atomic_bool closing;
    atomic_bool broken;
    bool reported; /* that it is */

    check *check;          /* under way; counts as a job */
    struct saving *saving; /* under way */
    struct saving *next;   /* to be stored after it */
    bool sync_failed;      /* for the jobs that save, of which there is one at a time */
};

/* ---- jobs in general ------------------------------------------------------------------------- */

static void finish_closing(void *user)
{
    disk *self = user;
    self->handlers->closed(self->user);
    for (size_t i = 0; i < BUCKETS; i++) {
        while (self->pieces[i]) {
            piece *it = self->pieces[i];
            self->pieces[i] = it->next;
            EVP_MD_CTX_free(it->digest);
            free(it);
        }
    }
    storage_free(self->storage);
    free(self->folder);
    free(self);
}

static bool submit(disk *self, berth_job_work work, berth_job_done done, void *user)
{
    if (!berth_workers_submit(self->threads, self->loop, work, done, user))
        return false;
    self->jobs++;
    return true;
}

/* At the end of each job, last. */
static void job_ended(disk *self)
{
    self->jobs--;
    if (self->closing && self->jobs == 0)
        finish_closing(self);
}

static void closing_posted(void *user)
{
    job_ended(user);
}

/* Something could not be done: said once. Only at the end of a job, since nothing else may call a
 * handler. */
static void report(disk *self, const char *why)
{
    atomic_store(&self->broken, true);
    if (self->reported || self->closing)
        return;
    self->reported = true;
    self->handlers->failed(self->user, why);
}

/* ---- writing --------------------------------------------------------------------------------- */

static uint64_t place_of(const disk *self, uint32_t index, uint32_t begin)
{
    return (uint64_t)index * self->info->piece_length + begin;
}

static piece *find_piece(disk *self, uint32_t index, bool make)
{
    piece **link = &self->pieces[index % BUCKETS];
    while (*link && (*link)->index != index)
        link = &(*link)->next;
    if (*link || !make)
        return *link;
    piece *it = calloc(1, sizeof(*it));
    if (!it)
        return NULL;
    it->disk = self;
    it->index = index;
    it->end = &it->waiting;
    *link = it;
    return it;
}

static void forget_piece(disk *self, piece *it)
{
    piece **link = &self->pieces[it->index % BUCKETS];
    while (*link != it)
        link = &(*link)->next;
    *link = it->next;
    EVP_MD_CTX_free(it->digest);
    free(it);
}

/* In a job: adds to the digest what continues it. */
static bool digest(piece *it, const void *data, uint32_t size)
{
    if (!it->digest) {
        it->digest = EVP_MD_CTX_new();
        if (!it->digest || !EVP_DigestInit_ex(it->digest, EVP_sha1(), NULL))
            return false;
    }
    it->hashed++;
    return EVP_DigestUpdate(it->digest, data, size) == 1;
}

/* In a job: hashes what is left of the piece, which is read back, and compares. */
static bool finish_digest(piece *it)
{
    disk *self = it->disk;
    uint8_t hash[EVP_MAX_MD_SIZE];
    uint32_t count = metainfo_block_count(self->info, it->index);
    uint8_t *data = it->hashed < count ? malloc(BLOCK_SIZE) : NULL;
    bool good = it->hashed == count || data;
    if (!good)
        snprintf(it->why, sizeof(it->why), "out of memory");
    while (good && it->hashed < count) {
        uint32_t size = metainfo_block_size(self->info, it->index, it->hashed);
        uint64_t place = place_of(self, it->index, it->hashed * BLOCK_SIZE);
        good = storage_read(self->storage, place, data, size, it->why, sizeof(it->why));
        if (good && !digest(it, data, size)) {
            snprintf(it->why, sizeof(it->why), "out of memory");
            good = false;
        }
    }
    free(data);
    it->good = good && EVP_DigestFinal_ex(it->digest, hash, NULL) == 1 &&
               memcmp(hash, metainfo_piece_hash(self->info, it->index), HASH_SIZE) == 0;
    return good;
}

static void work_on_piece(berth_job *job, void *user)
{
    piece *it = user;
    disk *self = it->disk;
    (void)job;
    for (block *at = it->taken; at; at = at->next) {
        if (atomic_load(&self->broken))
            return;
        at->ok = storage_write(self->storage, place_of(self, it->index, at->number * BLOCK_SIZE),
                               at->data, at->size, it->why, sizeof(it->why));
        if (!at->ok) {
            atomic_store(&self->broken, true);
            return;
        }
        if (at->number == it->hashed && !digest(it, at->data, at->size))
            it->hashed = UINT32_MAX; /* out of memory: no block continues it */
    }
    if (it->hashed == UINT32_MAX) {
        it->hashed = 0;
        EVP_MD_CTX_free(it->digest);
        it->digest = NULL;
    }
    if (it->finishing && !finish_digest(it))
        atomic_store(&self->broken, true);
}

static void piece_worked(berth_job *job, bool cancelled, void *user);

static uint32_t bytes_of(const block *at)
{
    uint32_t bytes = 0;
    for (; at; at = at->next)
        bytes += at->size;
    return bytes;
}

/* Whether its blocks can wait for more of them. */
static bool gather(piece *it)
{
    disk_queue *queue = it->disk->queue;
    queue->gathered -= it->gathered;
    it->gathered = bytes_of(it->waiting);
    if (it->hash_wanted || it->disk->closing || it->gathered >= GATHERED_PIECE ||
        queue->gathered + it->gathered > GATHERED_MOST)
        it->gathered = 0;
    queue->gathered += it->gathered;
    return it->gathered > 0;
}

static void take_blocks(piece *it)
{
    it->taken = it->waiting;
    it->waiting = NULL;
    it->end = &it->waiting;
}

/* False when out of memory: its blocks still wait then, and do not count as gathered. */
static bool start_piece(piece *it)
{
    if (it->busy || (!it->waiting && !it->hash_wanted) || gather(it))
        return true;
    block **end = it->end;
    take_blocks(it);
    it->finishing = it->hash_wanted;
    it->busy = submit(it->disk, work_on_piece, piece_worked, it);
    if (!it->busy && it->taken) {
        it->waiting = it->taken;
        it->end = end;
        it->taken = NULL;
    }
    return it->busy;
}

static void relieve(disk *self)
{
    if (!self->queue->full || self->queue->waiting > DISK_MOST_WAITING / 2)
        return;
    self->queue->full = false;
    self->handlers->relieved(self->user);
}

/* Reports the blocks that were taken, and frees them. */
static void settle_blocks(disk *self, piece *it)
{
    block *at = it->taken;
    it->taken = NULL;
    while (at) {
        block *next = at->next;
        self->queue->waiting -= at->size;
        self->handlers->written(self->user, it->index, at->number, at->ok);
        free(at->data);
        free(at);
        at = next;
    }
}

/* Of one without a job. Its blocks are not reported. */
static void drop_piece(disk *self, piece *it)
{
    self->queue->waiting -= bytes_of(it->waiting);
    for (block *at = it->waiting; at; at = it->waiting) {
        it->waiting = at->next;
        free(at->data);
        free(at);
    }
    forget_piece(self, it);
}

static void end_piece(piece *it, disk_verdict verdict)
{
    disk *self = it->disk;
    uint32_t index = it->index;
    forget_piece(self, it);
    self->handlers->hashed(self->user, index, verdict);
}

static void piece_worked(berth_job *job, bool cancelled, void *user)
{
    piece *it = user;
    disk *self = it->disk;
    (void)job;
    if (it->why[0]) /* otherwise another piece's job has failed, and comes back too */
        report(self, it->why);
    settle_blocks(self, it);
    it->busy = false; /* not before: a handler may close the disk, which starts what waits */
    if (it->finishing) {
        end_piece(it, cancelled || atomic_load(&self->broken) ? DISK_UNKNOWN
                      : it->good                              ? DISK_GOOD
                                                              : DISK_BAD);
    } else if (!start_piece(it)) {
        take_blocks(it);
        it->busy = true; /* likewise: its end is here */
        report(self, "out of memory");
        settle_blocks(self, it);
        it->busy = false;
        if (it->finishing)
            end_piece(it, DISK_UNKNOWN);
    }
    relieve(self);
    job_ended(self);
}

void *disk_block(disk *self)
{
    (void)self;
    return malloc(BLOCK_SIZE);
}

void disk_give_back(const void *data, size_t size, void *user)
{
    (void)size;
    (void)user;
    free((void *)data);
}

bool disk_write(disk *self, uint32_t index, uint32_t number, void *data, uint32_t size)
{
    piece *it = self->closing ? NULL : find_piece(self, index, true);
    block *at = it ? calloc(1, sizeof(*at)) : NULL;
    if (!at) {
        free(data);
        return false;
    }
    at->number = number;
    at->data = data;
    at->size = size;
    block **before = it->end;
    *before = at;
    it->end = &at->next;
    if (!start_piece(it)) { /* those that were gathered wait for the next */
        *before = NULL;
        it->end = before;
        free(data);
        free(at);
        return false;
    }
    self->queue->waiting += size;
    if (self->queue->waiting > DISK_MOST_WAITING)
        self->queue->full = true;
    return true;
}

bool disk_hash(disk *self, uint32_t index)
{
    piece *it = self->closing ? NULL : find_piece(self, index, true);
    if (!it)
        return false;
    it->hash_wanted = true;
    if (start_piece(it))
        return true;
    drop_piece(self, it);
    return false;
}

bool disk_full(const disk *self)
{
    return self->queue->full;
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct reading {
    disk *disk;
    void *context;
    void *data;
    uint32_t index;
    uint32_t begin;
    uint32_t length;
    bool ok;
    char why[WHY_SIZE];
} reading;

static void work_on_reading(berth_job *job, void *user)
{
    reading *it = user;
    (void)job;
    it->ok = storage_read(it->disk->storage, place_of(it->disk, it->index, it->begin), it->data,
                          it->length, it->why, sizeof(it->why));
}

static void reading_worked(berth_job *job, bool cancelled, void *user)
{
    reading *it = user;
    disk *self = it->disk;
    void *data = it->data;
    (void)job;
    if (!it->ok) {
        free(data);
        data = NULL;
        if (!cancelled && !self->closing)
            report(self, it->why);
    }
    self->handlers->read(self->user, it->context, it->index, it->begin, it->length, data);
    free(it);
    job_ended(self);
}

void *disk_read_now(disk *self, uint32_t index, uint32_t begin, uint32_t length)
{
    void *data = malloc(length);
    if (data && storage_read_now(self->storage, place_of(self, index, begin), data, length))
        return data;
    free(data);
    return NULL;
}

bool disk_read(disk *self, uint32_t index, uint32_t begin, uint32_t length, void *context)
{
    reading *it = calloc(1, sizeof(*it));
    if (!it)
        return false;
    *it = (reading){.disk = self,
                    .context = context,
                    .data = malloc(length),
                    .index = index,
                    .begin = begin,
                    .length = length};
    if (it->data && submit(self, work_on_reading, reading_worked, it))
        return true;
    free(it->data);
    free(it);
    return false;
}

/* ---- the resume file ------------------------------------------------------------------------- */

typedef struct saving {
    disk *disk;
    void *data;
    size_t size;
    bool sync;
    bool ok;
    char why[WHY_SIZE];
} saving;

/* In a job. Once this has failed, a later success says nothing of what was written before. */
static bool sync_files(disk *self)
{
    for (uint32_t i = 0; i < self->info->file_count && !self->sync_failed; i++) {
        if (atomic_load(&self->closing))
            return false; /* the program ends, and does not wait for the device */
        self->sync_failed = !storage_sync(self->storage, i);
    }
    return !self->sync_failed;
}

static void work_on_saving(berth_job *job, void *user)
{
    saving *it = user;
    disk *self = it->disk;
    (void)job;
    bool synced = it->sync && sync_files(self);
    if (synced)
        resume_set_synced(it->data, it->size);
    it->ok = resume_store(self->folder, self->info, it->data, it->size, synced, it->why,
                          sizeof(it->why));
}

static void free_saving(saving *it)
{
    if (it)
        free(it->data);
    free(it);
}

static void saving_worked(berth_job *job, bool cancelled, void *user)
{
    saving *it = user;
    disk *self = it->disk;
    (void)job;
    if (cancelled)
        snprintf(it->why, sizeof(it->why), "the program ends");
    self->handlers->saved(self->user, it->ok, it->why);
    free_saving(it);
    self->saving = self->next;
    self->next = NULL;
    if (self->saving && !submit(self, work_on_saving, saving_worked, self->saving)) {
        free_saving(self->saving);
        self->saving = NULL;
        self->handlers->saved(self->user, false, "out of memory");
    }
    job_ended(self);
}

bool disk_save(disk *self, void *data, size_t size, bool sync)
{
    saving *it = self->closing ? NULL : calloc(1, sizeof(*it));
    if (!it)
        return false;
    *it = (saving){.disk = self, .data = data, .size = size, .sync = sync};
    if (self->saving) { /* two at a time would write to one file */
        free_saving(self->next);
        self->next = it;
        return true;
    }
    if (!submit(self, work_on_saving, saving_worked, it)) {
        free(it);
        return false;
    }
    self->saving = it;
    return true;
}

void disk_stamps(const disk *self, disk_stamp *ret_stamps)
{
    storage_stamps(self->storage, ret_stamps);
}

void disk_own_stamps(const disk *self, disk_stamp *ret_stamps)
{
    storage_own_stamps(self->storage, ret_stamps);
}

/* ---- the start check ------------------------------------------------------------------------- */

static void on_checked(void *user, uint32_t done)
{
    disk *self = user;
    self->handlers->checked(self->user, done, self->info->piece_count);
}

static void on_check_ended(void *user, bool ok)
{
    disk *self = user;
    self->check = NULL;
    if (!self->closing)
        self->handlers->check_ended(self->user, ok);
    job_ended(self);
}

bool disk_check(disk *self, const bits *trusted, bits *ret_have)
{
    static const check_handlers handlers = {.checked = on_checked, .ended = on_check_ended};
    self->check = check_new(self->loop, self->threads, self->info, self->storage, trusted, ret_have,
                            &handlers, self);
    if (self->check)
        self->jobs++;
    return self->check != NULL;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

disk *disk_new(berth_loop *loop, berth_workers *threads, const metainfo *info, const char *folder,
               bool read_only, disk_queue *queue, const disk_handlers *handlers, void *user,
               char *error, size_t error_size)
{
    disk *self = calloc(1, sizeof(*self));
    char *copy = strdup(folder);
    if (!self || !copy) {
        snprintf(error, error_size, "out of memory");
        free(self);
        free(copy);
        return NULL;
    }
    self->loop = loop;
    self->threads = threads;
    self->info = info;
    self->handlers = handlers;
    self->user = user;
    self->folder = copy;
    self->queue = queue;
    self->storage = storage_new(info, folder, read_only, error, error_size);
    if (self->storage)
        return self;
    free(copy);
    free(self);
    return NULL;
}

void disk_close(disk *self)
{
    self->closing = true;
    if (self->check)
        check_cancel(self->check);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (piece *it = self->pieces[i], *next; it; it = next) {
            next = it->next;
            if (!start_piece(it))
                drop_piece(self, it);
        }
    }
    /* `closed` is called at the end of the last job; without any, one is needed. */
    if (self->jobs == 0 && berth_loop_post(self->loop, closing_posted, self))
        self->jobs++;
}
