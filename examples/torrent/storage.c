/*
 * Files below a folder: see storage.h.
 *
 * A slot is an open descriptor. A thread that uses one holds it (users), so that it is not closed
 * meanwhile; the lock is held only to find, open and give back a slot, not while bytes move.
 */
#define _GNU_SOURCE 1 /* preadv2 */
#include "storage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define NO_SLOT UINT8_MAX

typedef struct slot {
    int descriptor; /* -1: free */
    int unwritable; /* errno of opening it for writing; 0: it can be written to */
    bool fits;      /* it has no more than its length; known once it was written to */
    uint32_t file;
    uint32_t users;
    uint64_t used_at;
} slot;

/* What is known of the last change of a file. */
typedef struct change {
    disk_stamp stamp; /* at the last call of storage_own_stamps */
    bool seen;        /* there was one */
    bool written;     /* by us, since then */
    bool foreign;     /* once it had changed without us */
} change;

struct storage {
    const metainfo *info;
    int folder;
    bool read_only;
    change *changes;  /* for each file */
    bool *made;       /* by storage_new, for each file */
    bool *dirty;      /* written to since storage_sync */
    uint8_t *slot_of; /* for each file; NO_SLOT */
    pthread_mutex_t lock;
    pthread_cond_t freed; /* a slot is not used any more */
    uint64_t clock;
    size_t slot_count;
    slot slots[STORAGE_MOST_OPEN];
};

/* ---- opening --------------------------------------------------------------------------------- */

static int open_below(int folder, const char *path, int flags)
{
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK),
        .mode = flags & O_CREAT ? 0666 : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    return (int)syscall(SYS_openat2, folder, path, &how, sizeof(how));
}

/* Opens a file that is there, only to read it if that is all that may be done. `ret_unwritable`: as
 * in a slot. */
static int open_there(const storage *self, const char *path, int *ret_unwritable)
{
    int descriptor = -1;
    *ret_unwritable = EBADF;
    if (!self->read_only) {
        descriptor = open_below(self->folder, path, O_RDWR);
        *ret_unwritable = descriptor < 0 ? errno : 0;
    }
    if (self->read_only || *ret_unwritable == EROFS || *ret_unwritable == EACCES)
        descriptor = open_below(self->folder, path, O_RDONLY);
    return descriptor;
}

/* Makes the folders of a path, one after the other. */
static bool make_folders(int folder, const char *path)
{
    char part[4096];
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        size_t size = (size_t)(slash - path);
        if (size >= sizeof(part)) {
            errno = ENAMETOOLONG;
            return false;
        }
        memcpy(part, path, size);
        part[size] = '\0';
        /* The parent is opened anew each time, since mkdirat would follow a link in its path. */
        char *name = strrchr(part, '/');
        int parent = folder;
        if (name) {
            *name = '\0';
            parent = open_below(folder, part, O_RDONLY | O_DIRECTORY);
            if (parent < 0)
                return false;
        }
        int made = mkdirat(parent, name ? name + 1 : part, 0777);
        int kept = errno;
        if (name)
            close(parent);
        if (made < 0 && kept != EEXIST) {
            errno = kept;
            return false;
        }
    }
    return true;
}

static void describe(char *to, size_t size, const char *what, const metainfo_file *file)
{
    snprintf(to, size, "cannot %s '%s': %s", what, file->path, strerror(errno));
}

/* Makes a file, or gives it its length. A longer one is cut when it is first written to: as long as
 * nothing else in it is wrong, what is behind may be the user's. */
static bool make_file(storage *self, uint32_t number, char *error, size_t error_size)
{
    const metainfo_file *file = &self->info->files[number];
    struct stat status;
    if (file->pad)
        return true;
    int unwritable = 0;
    int descriptor = open_there(self, file->path, &unwritable);
    if (descriptor < 0 && errno == ENOENT) {
        if (!make_folders(self->folder, file->path)) {
            describe(error, error_size, "make the folder of", file);
            return false;
        }
        descriptor = open_below(self->folder, file->path, O_RDWR | O_CREAT | O_EXCL);
        unwritable = 0;
        self->made[number] = true;
    }
    if (descriptor < 0) {
        describe(error, error_size, "open", file);
        return false;
    }
    bool good = fstat(descriptor, &status) == 0;
    if (good && !S_ISREG(status.st_mode)) {
        snprintf(error, error_size, "'%s' is there, and is not a file", file->path);
        close(descriptor);
        return false;
    }
    if (good && (uint64_t)status.st_size < file->length) {
        good = ftruncate(descriptor, (off_t)file->length) == 0;
        if (!good && unwritable != 0)
            errno = unwritable;
    }
    if (good && status.st_size == 0)
        self->made[number] = true;
    if (!good)
        describe(error, error_size, "set the length of", file);
    close(descriptor);
    return good;
}

static size_t count_slots(void)
{
    struct rlimit limit;
    size_t most = STORAGE_MOST_OPEN;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 8 < most)
        most = (size_t)limit.rlim_cur / 8;
    return most > 0 ? most : 1;
}

storage *storage_new(const metainfo *info, const char *folder, bool read_only, char *error,
                     size_t error_size)
{
    storage *self = calloc(1, sizeof(*self));
    bool good = self != NULL;
    if (!self) {
        snprintf(error, error_size, "out of memory");
        return NULL;
    }
    self->info = info;
    self->read_only = read_only;
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->freed, NULL);
    self->slot_count = count_slots();
    for (size_t i = 0; i < STORAGE_MOST_OPEN; i++)
        self->slots[i].descriptor = -1;
    self->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    self->changes = calloc(info->file_count, sizeof(*self->changes));
    self->made = calloc(info->file_count, sizeof(*self->made));
    self->dirty = calloc(info->file_count, sizeof(*self->dirty));
    self->slot_of = malloc(info->file_count);
    if (self->folder < 0) {
        snprintf(error, error_size, "cannot open the folder '%s': %s", folder, strerror(errno));
        good = false;
    } else if (!self->changes || !self->made || !self->dirty || !self->slot_of) {
        snprintf(error, error_size, "out of memory");
        good = false;
    } else {
        memset(self->slot_of, NO_SLOT, info->file_count);
    }
    for (uint32_t i = 0; good && !read_only && i < info->file_count; i++)
        good = make_file(self, i, error, error_size);
    if (good)
        return self;
    storage_free(self);
    return NULL;
}

void storage_free(storage *self)
{
    if (!self)
        return;
    for (size_t i = 0; i < STORAGE_MOST_OPEN; i++)
        if (self->slots[i].descriptor >= 0)
            close(self->slots[i].descriptor);
    if (self->folder >= 0)
        close(self->folder);
    pthread_cond_destroy(&self->freed);
    pthread_mutex_destroy(&self->lock);
    free(self->changes);
    free(self->made);
    free(self->dirty);
    free(self->slot_of);
    free(self);
}

/* ---- slots ----------------------------------------------------------------------------------- */

/* All of these are called under the lock. */

static slot *find_free(storage *self)
{
    for (size_t i = 0; i < self->slot_count; i++)
        if (self->slots[i].descriptor < 0)
            return &self->slots[i];
    return NULL;
}

/* Closes the file that was not used for longest; NULL if all are being used. */
static slot *close_one(storage *self)
{
    slot *oldest = NULL;
    for (size_t i = 0; i < self->slot_count; i++) {
        slot *it = &self->slots[i];
        if (it->descriptor >= 0 && it->users == 0 && (!oldest || it->used_at < oldest->used_at))
            oldest = it;
    }
    if (!oldest)
        return NULL;
    close(oldest->descriptor);
    oldest->descriptor = -1;
    self->slot_of[oldest->file] = NO_SLOT;
    return oldest;
}

static slot *open_slot(storage *self, uint32_t file)
{
    slot *it = find_free(self);
    if (!it)
        it = close_one(self);
    if (!it)
        return NULL;
    const char *path = self->info->files[file].path;
    it->descriptor = open_there(self, path, &it->unwritable);
    /* The program's descriptors are used up: those here are the ones that can be spared. */
    while (it->descriptor < 0 && (errno == EMFILE || errno == ENFILE) && close_one(self))
        it->descriptor = open_there(self, path, &it->unwritable);
    if (it->descriptor < 0)
        return it;
    it->file = file;
    it->users = 0;
    it->fits = false;
    self->slot_of[file] = (uint8_t)(it - self->slots);
    return it;
}

/* The slot of a file; NULL if all slots are being used. If the file cannot be opened, the slot has
 * no descriptor, and errno is set. */
static slot *slot_for(storage *self, uint32_t file)
{
    uint8_t number = self->slot_of[file];
    return number != NO_SLOT ? &self->slots[number] : open_slot(self, file);
}

/* Cuts what another version of the file has left behind. */
static bool make_fit(storage *self, slot *it)
{
    struct stat status;
    uint64_t length = self->info->files[it->file].length;
    if (it->fits)
        return true;
    it->fits =
        fstat(it->descriptor, &status) == 0 &&
        ((uint64_t)status.st_size <= length || ftruncate(it->descriptor, (off_t)length) == 0);
    return it->fits;
}

/* Holds the slot of a file; NULL with errno set if it cannot be opened, or, unless it may `wait`,
 * if all slots are being used. */
static slot *hold(storage *self, uint32_t file, bool wait, bool write)
{
    slot *it;
    pthread_mutex_lock(&self->lock);
    while (!(it = slot_for(self, file)) && wait)
        pthread_cond_wait(&self->freed, &self->lock);
    if (!it) {
        errno = EAGAIN;
    } else if (it->descriptor < 0 || (write && it->unwritable == 0 && !make_fit(self, it))) {
        it = NULL;
        pthread_cond_signal(&self->freed); /* nobody gives it back, and others may wait for it */
    }
    if (it) {
        it->users++;
        it->used_at = ++self->clock;
        if (write) /* and again in give_back: storage_own_stamps may come in between */
            self->changes[file].written = true;
    }
    pthread_mutex_unlock(&self->lock);
    return it;
}

static void give_back(storage *self, slot *it, bool written)
{
    pthread_mutex_lock(&self->lock);
    it->users--;
    if (written) {
        self->dirty[it->file] = true;
        self->changes[it->file].written = true;
    }
    if (it->users == 0)
        pthread_cond_signal(&self->freed);
    pthread_mutex_unlock(&self->lock);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

typedef enum motion {
    MOTION_READ,
    MOTION_READ_NOW,
    MOTION_WRITE
} motion;

static bool move_in_file(int descriptor, motion how, uint64_t offset, char *data, size_t size)
{
    while (size > 0) {
        struct iovec piece = {data, size};
        ssize_t moved = how == MOTION_WRITE ? pwrite(descriptor, data, size, (off_t)offset)
                                            : preadv2(descriptor, &piece, 1, (off_t)offset,
                                                      how == MOTION_READ_NOW ? RWF_NOWAIT : 0);
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved == 0)
            errno = how == MOTION_WRITE ? ENOSPC : ENODATA; /* the file is shorter now */
        if (moved <= 0)
            return false;
        data += moved;
        offset += (uint64_t)moved;
        size -= (size_t)moved;
    }
    return true;
}

/* Moves bytes to or from all files that the range touches. On failure returns the file. */
static const metainfo_file *move(storage *self, motion how, uint64_t offset, char *data,
                                 size_t size)
{
    const metainfo *info = self->info;
    for (uint32_t i = metainfo_file_at(info, offset); size > 0; i++) {
        const metainfo_file *file = &info->files[i];
        uint64_t inside = offset - file->offset;
        size_t part = size;
        if (part > file->length - inside)
            part = (size_t)(file->length - inside);
        if (part == 0)
            continue;
        if (file->pad) {
            if (how != MOTION_WRITE)
                memset(data, 0, part);
        } else {
            slot *it = hold(self, i, how != MOTION_READ_NOW, how == MOTION_WRITE);
            if (!it)
                return file;
            bool good = false;
            if (how == MOTION_WRITE && it->unwritable != 0)
                errno = it->unwritable;
            else
                good = move_in_file(it->descriptor, how, inside, data, part);
            int kept = errno;
            give_back(self, it, how == MOTION_WRITE);
            errno = kept;
            if (!good)
                return file;
        }
        data += part;
        offset += part;
        size -= part;
    }
    return NULL;
}

bool storage_read(storage *self, uint64_t offset, void *data, size_t size, char *why,
                  size_t why_size)
{
    const metainfo_file *file = move(self, MOTION_READ, offset, data, size);
    if (file)
        describe(why, why_size, "read", file);
    return !file;
}

bool storage_write(storage *self, uint64_t offset, const void *data, size_t size, char *why,
                   size_t why_size)
{
    const metainfo_file *file = move(self, MOTION_WRITE, offset, (char *)data, size);
    if (file)
        describe(why, why_size, "write to", file);
    return !file;
}

bool storage_read_now(storage *self, uint64_t offset, void *data, size_t size)
{
    return !move(self, MOTION_READ_NOW, offset, data, size);
}

bool storage_sync(storage *self, uint32_t file)
{
    pthread_mutex_lock(&self->lock);
    bool dirty = self->dirty[file];
    self->dirty[file] = false; /* what is written from now on is not meant */
    pthread_mutex_unlock(&self->lock);
    if (!dirty)
        return true;
    slot *it = hold(self, file, true, false);
    if (!it)
        return false;
    bool good = fdatasync(it->descriptor) == 0;
    give_back(self, it, false);
    return good;
}

bool storage_is_new(const storage *self, uint64_t offset, uint64_t size)
{
    const metainfo *info = self->info;
    for (uint32_t i = metainfo_file_at(info, offset);
         i < info->file_count && info->files[i].offset < offset + size; i++)
        if (info->files[i].length > 0 && !info->files[i].pad && !self->made[i])
            return false;
    return true;
}

static disk_stamp stamp_of(const storage *self, uint32_t number)
{
    const metainfo_file *file = &self->info->files[number];
    struct stat status;
    if (file->pad || fstatat(self->folder, file->path, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(status.st_mode))
        return (disk_stamp){.length = UINT64_MAX};
    return (disk_stamp){.length = (uint64_t)status.st_size,
                        .seconds = status.st_mtim.tv_sec,
                        .nanoseconds = status.st_mtim.tv_nsec};
}

void storage_stamps(storage *self, disk_stamp *ret_stamps)
{
    for (uint32_t i = 0; i < self->info->file_count; i++)
        ret_stamps[i] = stamp_of(self, i);
}

void storage_own_stamps(storage *self, disk_stamp *ret_stamps)
{
    for (uint32_t i = 0; i < self->info->file_count; i++) {
        change *it = &self->changes[i];
        pthread_mutex_lock(&self->lock);
        bool written = it->written;
        it->written = false; /* before the look: a write that it does not see is of the next one */
        pthread_mutex_unlock(&self->lock);
        disk_stamp now = stamp_of(self, i);
        if (it->seen && !written &&
            (now.length != it->stamp.length || now.seconds != it->stamp.seconds ||
             now.nanoseconds != it->stamp.nanoseconds))
            it->foreign = true;
        it->seen = true;
        it->stamp = now;
        ret_stamps[i] = it->foreign ? (disk_stamp){.length = UINT64_MAX} : now;
    }
}
