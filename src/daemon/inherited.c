/*
 * Descriptors that other processes have passed: the environment of systemd's protocol, the list,
 * and servers that listen on what is in it. See inherited.h.
 *
 * LISTEN_FDS descriptors begin at 3. A descriptor that came through exec cannot be close-on-exec,
 * and all that the library opens is; so one of those is not what was passed, but something that
 * this process has opened since, in the place of one that was not open.
 *
 * The environment is read by one thread, once, and others wait for it. A child that was forked
 * meanwhile has no such thread, and reads it itself. It is left as it is if there is no memory for
 * the list; the next call reads it then.
 */
#include "inherited.h"

#include "base/memory.h"
#include "base/system.h"
#include "base/text.h"
#include "server/server.h"
#include "workers/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FIRST = 3
};

static const char unknown[] = "unknown";

static atomic_int reader; /* the process whose thread is reading the environment; 0: none */
static atomic_bool was_read;
static const char *_Atomic complaint; /* about the environment; NULL for none */
static _Atomic(berth__batch *) batches;

/* ---- batches --------------------------------------------------------------------------------- */

berth__batch *berth__batch_new(size_t count)
{
    berth__batch *batch = berth__allocate_zero(sizeof *batch + count * sizeof *batch->passed);
    if (batch == NULL)
        return NULL;
    batch->count = count;
    for (size_t i = 0; i < count; i++)
        berth__batch_set(batch, i, -1, "", 0);
    return batch;
}

void berth__batch_set(berth__batch *batch, size_t index, int descriptor, const char *name,
                      size_t size)
{
    berth__passed *passed = &batch->passed[index];
    atomic_store(&passed->descriptor, descriptor);
    passed->number = descriptor;
    memcpy(passed->name, name, size);
    passed->name[size] = '\0';
}

void berth__batch_add(berth__batch *batch)
{
    _Atomic(berth__batch *) *place = &batches;
    berth__batch *other = NULL;
    while (!atomic_compare_exchange_strong(place, &other, batch)) {
        place = &other->next;
        other = NULL;
    }
}

void berth__batch_close(berth__batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        int descriptor = atomic_exchange(&batch->passed[i].descriptor, -1);
        if (descriptor >= 0)
            (void)close(descriptor);
    }
}

void berth__batch_drop(berth__batch *batch)
{
    if (batch == NULL)
        return;
    berth__batch_close(batch);
    berth__release(batch);
}

/* ---- the environment ------------------------------------------------------------------------- */

/* A number in decimal digits, up to `most`; 0 for anything else. */
static unsigned long number_in(const char *text, unsigned long most)
{
    unsigned long number = 0;
    for (; *text >= '0' && *text <= '9' && number <= most; text++)
        number = number * 10 + (unsigned long)(*text - '0');
    return *text == '\0' && number <= most ? number : 0;
}

/* Whether it was there when the program began; then it is close-on-exec. */
static bool keep(int descriptor)
{
    int flags = BERTH__SYSTEM("fcntl", fcntl(descriptor, F_GETFD));
    return flags >= 0 && (flags & FD_CLOEXEC) == 0 &&
           BERTH__SYSTEM("fcntl", fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC)) == 0;
}

/* Whether there are `count` names of good length. */
static bool has_names(const char *names, size_t count)
{
    size_t found = 1;
    for (size_t size; (size = strcspn(names, ":")) <= BERTH_MOST_INHERITED_NAME; found++) {
        names += size;
        if (*names++ == '\0')
            return found == count;
    }
    return false;
}

static void fill(berth__batch *batch, const char *names)
{
    bool named = names != NULL && has_names(names, batch->count);
    if (names != NULL && !named)
        atomic_store(&complaint, "LISTEN_FDNAMES does not have a name for each descriptor");
    for (size_t i = 0; i < batch->count; i++) {
        int descriptor = FIRST + (int)i;
        const char *name = named ? names : unknown;
        size_t size = strcspn(name, ":");
        berth__batch_set(batch, i, keep(descriptor) ? descriptor : -1, name, size);
        if (named)
            names += size + 1;
    }
}

/* False when out of memory. */
static bool read_environment(void)
{
    const char *process = secure_getenv("LISTEN_PID");
    const char *count_text = secure_getenv("LISTEN_FDS");
    if (process == NULL || count_text == NULL)
        return true;
    if (number_in(process, (unsigned long)getpid()) != (unsigned long)getpid()) {
        atomic_store(&complaint, "LISTEN_PID is not this process");
        return true;
    }
    size_t count = number_in(count_text, BERTH_MOST_INHERITED);
    if (count == 0) {
        atomic_store(&complaint, "LISTEN_FDS is not a number of descriptors");
        return true;
    }
    berth__batch *batch = berth__batch_new(count);
    if (batch == NULL)
        return false;
    fill(batch, secure_getenv("LISTEN_FDNAMES"));
    berth__batch_add(batch);
    return true;
}

/* Whether this thread is to read it. Else it has been read. */
static bool begin_reading(void)
{
    int self = (int)getpid();
    while (!atomic_load(&was_read)) {
        int other = 0;
        if (atomic_compare_exchange_strong(&reader, &other, self))
            return true;
        if (other == self)
            sched_yield();
        else /* a thread of the parent, which this process does not have */
            (void)atomic_compare_exchange_strong(&reader, &other, 0);
    }
    return false;
}

static void look(void)
{
    if (!begin_reading())
        return;
    if (!atomic_load(&was_read) && read_environment()) {
        (void)unsetenv("LISTEN_PID");
        (void)unsetenv("LISTEN_FDS");
        (void)unsetenv("LISTEN_FDNAMES");
        (void)unsetenv("LISTEN_PIDFDID");
        atomic_store(&was_read, true);
    }
    atomic_store(&reader, 0);
}

/* ---- the list -------------------------------------------------------------------------------- */

/* The next of the list after `index`; NULL at its end. */
static berth__passed *passed_at(size_t index)
{
    berth__batch *batch = atomic_load(&batches);
    for (; batch != NULL; batch = atomic_load(&batch->next)) {
        if (index < batch->count)
            return &batch->passed[index];
        index -= batch->count;
    }
    return NULL;
}

static bool is_named(const berth__passed *passed, const char *name)
{
    return name == NULL || name[0] == '\0' || strcmp(passed->name, name) == 0;
}

berth__passed *berth__inherited_take(const char *name, int *ret_descriptor)
{
    look();
    berth__batch *batch = atomic_load(&batches);
    for (; batch != NULL; batch = atomic_load(&batch->next)) {
        for (size_t i = 0; i < batch->count; i++) {
            berth__passed *passed = &batch->passed[i];
            if (!is_named(passed, name) || atomic_load(&passed->descriptor) < 0)
                continue;
            *ret_descriptor = atomic_exchange(&passed->descriptor, -1);
            if (*ret_descriptor >= 0)
                return passed;
        }
    }
    return NULL;
}

void berth__inherited_put_back(berth__passed *passed, int descriptor)
{
    atomic_store(&passed->descriptor, descriptor);
}

const char *berth__inherited_reason(const char *name)
{
    bool open = false;
    bool found = false;
    berth__batch *batch = atomic_load(&batches);
    for (; batch != NULL; batch = atomic_load(&batch->next)) {
        for (size_t i = 0; i < batch->count; i++) {
            found = found || is_named(&batch->passed[i], name);
            open = open || (is_named(&batch->passed[i], name) && batch->passed[i].number >= 0);
        }
    }
    bool any = name == NULL || name[0] == '\0';
    if (open)
        return any ? "all of it is in use" : "all of that name are in use";
    if (found)
        return "what was passed is not open";
    const char *reason = atomic_load(&complaint);
    if (reason != NULL)
        return reason;
    if (!atomic_load(&was_read))
        return "out of memory";
    return any ? "nothing was passed" : "none of that name was passed";
}

void berth__inherited_forget(void)
{
    berth__batch *batch = atomic_exchange(&batches, NULL);
    while (batch != NULL) {
        berth__batch *next = atomic_load(&batch->next);
        berth__batch_drop(batch);
        batch = next;
    }
    atomic_store(&complaint, NULL);
    atomic_store(&was_read, false);
}

size_t berth_inherited_count(void)
{
    look();
    size_t count = 0;
    berth__batch *batch = atomic_load(&batches);
    for (; batch != NULL; batch = atomic_load(&batch->next))
        count += batch->count;
    return count;
}

const char *berth_inherited_name(size_t index)
{
    look();
    const berth__passed *passed = passed_at(index);
    return passed != NULL ? passed->name : NULL;
}

size_t berth_inherited_left(const char *name)
{
    look();
    size_t left = 0;
    berth__passed *passed;
    for (size_t i = 0; (passed = passed_at(i)) != NULL; i++)
        left += is_named(passed, name) && atomic_load(&passed->descriptor) >= 0;
    return left;
}

int berth_inherited_take(const char *name)
{
    int descriptor;
    if (berth__inherited_take(name, &descriptor) != NULL)
        return descriptor;
    errno = ENOENT;
    return -1;
}

enum {
    SHOWN_SIZE = 64,
    ASKED_SIZE = SHOWN_SIZE + 16
};

/* What was asked for, in words. */
static const char *asked(const char *name, char text[ASKED_SIZE])
{
    char shown[SHOWN_SIZE];
    if (name == NULL || name[0] == '\0')
        return "what is inherited";
    snprintf(text, ASKED_SIZE, "the inherited \"%s\"", berth__escape(name, shown, sizeof shown));
    return text;
}

bool berth_server_listen_inherited(berth_server *server, const char *name)
{
    BERTH__OWN_THREAD(server->object.loop);
    if (server->object.freed || berth__server_is_copy(server, "listen"))
        return false;
    int descriptor;
    char shown[ASKED_SIZE];
    berth__passed *passed = berth__inherited_take(name, &descriptor);
    if (passed == NULL) {
        berth__server_set_error(server, BERTH_ERROR_ADDRESS_NOT_AVAILABLE,
                                "cannot listen on %s: %s", asked(name, shown),
                                berth__inherited_reason(name));
        return false;
    }
    if (berth_server_set_descriptor(server, descriptor))
        return true;
    berth__inherited_put_back(passed, descriptor);
    char text[BERTH__SERVER_TEXT_SIZE];
    memcpy(text, server->text, sizeof text);
    berth__server_set_error(server, server->error, "%s: %s", asked(passed->name, shown), text);
    return false;
}

/* Those that were taken for a pool. */
typedef struct taken {
    berth__passed *passed;
    int descriptor;
} taken;

static void put_back(const taken *all, size_t count)
{
    for (size_t i = 0; i < count; i++)
        berth__inherited_put_back(all[i].passed, all[i].descriptor);
}

/* Takes up to `most` of them, and notes the descriptors once more by themselves. */
static size_t take_all(const char *name, taken *all, int *descriptors, size_t most)
{
    size_t count = 0;
    while (count < most) {
        all[count].passed = berth__inherited_take(name, &all[count].descriptor);
        if (all[count].passed == NULL)
            break;
        descriptors[count] = all[count].descriptor;
        count++;
    }
    return count;
}

bool berth_workers_listen_inherited(berth_workers *workers, const char *name)
{
    if (berth__workers_is_copy(workers, "listen with the workers") ||
        berth__workers_is_own_thread(workers))
        return false;
    size_t most = berth_inherited_left(name);
    char shown[ASKED_SIZE];
    if (most == 0) {
        berth__workers_set_error(workers, BERTH_ERROR_ADDRESS_NOT_AVAILABLE,
                                 "cannot listen on %s: %s", asked(name, shown),
                                 berth__inherited_reason(name));
        return false;
    }
    taken *all = berth__allocate(most * (sizeof *all + sizeof(int)));
    if (all == NULL) {
        berth__workers_set_error(workers, BERTH_ERROR_SOCKET_RESOURCE,
                                 "cannot listen on what is inherited: out of memory");
        return false;
    }
    int *descriptors = (int *)(all + most);
    size_t count = take_all(name, all, descriptors, most);
    bool listens = berth_workers_set_descriptors(workers, descriptors, count);
    if (!listens) {
        char text[sizeof workers->text];
        memcpy(text, workers->text, sizeof text);
        berth__workers_set_error(workers, workers->error, "%s: %s", asked(name, shown), text);
        put_back(all, count);
    }
    berth__release(all);
    return listens;
}
