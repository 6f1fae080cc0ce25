/*
 * Memory of encrypted connections: a buffer that those of a loop share, and what their engines can
 * give up.
 *
 * An engine keeps buffers of its own while its connection is busy, which would cost an allocation
 * for each record else, and gives them up when it has been quiet for a while (`relax`). Those that
 * have some are in a list, first that which was looked at first, with one deadline for the head of
 * the list. One that was used since it was looked at goes to its end; the second time to that of
 * another list, of those that are busy: these are looked at once a second, which costs little. The
 * others are looked at soon, since most of them say something and are quiet again, and what one has
 * given up is of use to the next.
 *
 * Many may be due at once: they are done in runs, between which the loop turns. What many have
 * given up lies scattered between what they keep, so the allocator is then asked to give it back to
 * the system.
 *
 * The buffer of a loop may be in use further down the stack, lent to the input of a socket whose
 * handler runs. Then there is another for the time.
 */
#include "secure.h"

#include "base/memory.h"

#include <assert.h>

enum {
    SOON = 100,   /* milliseconds between two looks, */
    LATER = 1000, /* at one that is busy */
    RUN = 64,     /* engines that are looked at in one run */
    FEW = 64,     /* that have given up what is not worth a trim, */
    MANY = 1024   /* and what is, while others are busy */
};

typedef struct list {
    berth__secure *first;
    berth__secure **end;
    uint32_t wait; /* milliseconds */
} list;

struct berth__secure_memory {
    berth_loop *loop;
    berth__deadline deadline;
    list fresh;
    list busy;
    unsigned relaxed; /* since the last trim */
    bool in_use;
    uint8_t scratch[BERTH__SECURE_SCRATCH];
};

typedef struct berth__secure_memory secure_memory;

uint8_t *berth__secure_take_scratch(berth_loop *loop)
{
    secure_memory *memory = loop->secure_memory;
    if (memory->in_use)
        return berth__allocate(BERTH__SECURE_SCRATCH);
    memory->in_use = true;
    return memory->scratch;
}

void berth__secure_give_scratch(berth_loop *loop, uint8_t *scratch)
{
    if (scratch == loop->secure_memory->scratch)
        loop->secure_memory->in_use = false;
    else
        berth__release(scratch);
}

/* ---- what can be given up -------------------------------------------------------------------- */

static void append(list *to, berth__secure *secure, uint64_t now)
{
    secure->busy = false;
    secure->since = now;
    secure->next = NULL;
    secure->link = to->end;
    *to->end = secure;
    to->end = &secure->next;
}

static void take_out(secure_memory *memory, berth__secure *secure)
{
    assert(secure->link != NULL);
    *secure->link = secure->next;
    if (secure->next != NULL)
        secure->next->link = secure->link;
    else if (memory->fresh.end == &secure->next)
        memory->fresh.end = secure->link;
    else
        memory->busy.end = secure->link;
    secure->link = NULL;
}

static uint64_t due_of(const list *of)
{
    return of->first != NULL ? berth__after(of->first->since, of->wait) : UINT64_MAX;
}

static void wait_for_first(secure_memory *memory)
{
    berth__deadlines *deadlines = &memory->loop->deadlines;
    uint64_t due = due_of(&memory->fresh);
    uint64_t busy = due_of(&memory->busy);
    due = due < busy ? due : busy;
    if (due == UINT64_MAX)
        berth__deadline_stop(deadlines, &memory->deadline);
    else
        berth__deadline_start(deadlines, &memory->deadline, due);
}

/* Looks at those that are due. */
static void look(secure_memory *memory, const list *at, uint64_t now)
{
    for (unsigned count = 0; count < RUN && due_of(at) <= now; count++) {
        berth__secure *secure = at->first;
        take_out(memory, secure);
        if (secure->busy) {
            append(secure->lasting ? &memory->busy : &memory->fresh, secure, now);
            secure->lasting = true;
        } else {
            secure->tls->operations->relax(secure->engine);
            memory->relaxed++;
        }
    }
}

static bool none_has_any(const secure_memory *memory)
{
    return memory->fresh.first == NULL && memory->busy.first == NULL;
}

static void expired(berth__deadline *deadline)
{
    secure_memory *memory = (secure_memory *)((char *)deadline - offsetof(secure_memory, deadline));
    uint64_t now = berth__loop_clock(memory->loop);
    look(memory, &memory->fresh, now);
    look(memory, &memory->busy, now);
    if (memory->relaxed > MANY || (none_has_any(memory) && memory->relaxed > FEW)) {
        memory->relaxed = 0;
        berth__trim();
    }
    wait_for_first(memory);
}

void berth__secure_is_busy(berth__secure *secure)
{
    berth_loop *loop = secure->socket->object.loop;
    secure_memory *memory = loop->secure_memory;
    secure->busy = true;
    if (secure->link != NULL)
        return;
    bool alone = memory->fresh.first == NULL;
    secure->lasting = false;
    append(&memory->fresh, secure, berth__loop_clock(loop));
    if (alone)
        wait_for_first(memory);
}

void berth__secure_is_gone(berth__secure *secure)
{
    secure_memory *memory = secure->socket->object.loop->secure_memory;
    if (secure->link == NULL)
        return;
    take_out(memory, secure);
    if (none_has_any(memory))
        wait_for_first(memory);
}

bool berth__secure_has_memory(berth_loop *loop)
{
    if (loop->secure_memory != NULL)
        return true;
    secure_memory *memory = berth__allocate(sizeof *memory);
    if (memory == NULL || !berth__deadlines_reserve(&loop->deadlines)) {
        berth__release(memory);
        return false;
    }
    memory->loop = loop;
    memory->deadline = (berth__deadline){.expired = expired};
    memory->fresh = (list){.end = &memory->fresh.first, .wait = SOON};
    memory->busy = (list){.end = &memory->busy.first, .wait = LATER};
    memory->relaxed = 0;
    memory->in_use = false;
    loop->secure_memory = memory;
    return true;
}
