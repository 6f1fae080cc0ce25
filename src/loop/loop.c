/*
 * The loop's life, its turn, its blocking waits, and its tasks. See loop.h for the phases.
 *
 * Other threads touch three things only: the list of tasks (under its lock), the atomic flags, and
 * the backend's wake. A stop that comes while no run is on the stack is kept for the next one,
 * since a thread that is stopped before it got to run must not run for ever; it is also all that a
 * signal handler needs to do. Each stop ends one run, in their order; more stops than runs
 * change nothing, so that the first says how a run ends.
 *
 * Ways to fail: a loop cannot be made (NULL with errno); a backend whose wait fails marks the loop
 * broken, and run returns -1.
 */
#include "loop.h"

#include "base/memory.h"
#include "base/probe.h"
#include "base/system_error.h"
#include "process.h"
#include "task.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Waits that fail in a row before the backend counts as broken. */
#define MOST_FAILURES 16u

/* A timer that has been due for so long ends a phase; the clock is looked at for every so many
 * records only. */
#define LATE BERTH__MILLISECOND
#define PACE 8u

/* Records that a blocking wait runs before it looks at its time, and before it asks the kernel. */
#define FEW 4u
#define PASS 16u

/* ---- a thread's own loop --------------------------------------------------------------------- */

static pthread_key_t own_key;
static pthread_once_t own_once = PTHREAD_ONCE_INIT;
static bool own_usable;
static _Thread_local berth_loop *own_loop;

static void free_own(void *loop)
{
    own_loop = NULL;
    berth_loop_free(loop);
}

static void make_own_key(void)
{
    own_usable = pthread_key_create(&own_key, free_own) == 0;
}

berth_loop *berth__loop_of_thread(void)
{
    return own_loop;
}

berth_loop *berth_loop_current(void)
{
    if (own_loop != NULL && !own_loop->inherited)
        return own_loop;
    pthread_once(&own_once, make_own_key);
    berth_loop *loop = berth_loop_new(NULL);
    if (loop == NULL)
        return NULL;
    if (!own_usable || pthread_setspecific(own_key, loop) != 0) {
        berth_loop_free(loop);
        errno = ENOMEM;
        return NULL;
    }
    own_loop = loop;
    return loop;
}

berth_loop *berth__loop_or_current(berth_loop *loop)
{
    return loop != NULL ? loop : berth_loop_current();
}

bool berth__loop_is_copy(const berth_loop *loop)
{
    if (!loop->inherited)
        return false;
    errno = ECHILD;
    return true;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void on_descriptor_closed(void *core)
{
    berth_loop *loop = core;
    berth__marks_run(&loop->starving);
}

static bool make_backend(berth_loop *loop, const char *name)
{
    loop->backend = berth__backend_choose(name, &loop->pool, loop->reason, sizeof loop->reason);
    if (loop->backend == NULL)
        return false;
    loop->backend->descriptor_closed = on_descriptor_closed;
    loop->backend->core = loop;
    return true;
}

static bool known_options(const berth_loop_options *options, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)options;
    for (size_t i = sizeof *options; i < size; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

berth_loop *berth_loop_new_sized(const berth_loop_options *options, size_t size)
{
    berth_loop_options known = {0};
    if (options != NULL) {
        if (!known_options(options, size)) {
            errno = EINVAL;
            return NULL;
        }
        memcpy(&known, options, size < sizeof known ? size : sizeof known);
    }
    berth_loop *loop = berth__allocate_zero(sizeof *loop);
    if (loop == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    berth__pool_init(&loop->pool);
    berth__numbers_init(&loop->numbers);
    loop->flush_end = &loop->flush;
    loop->tasks_end = &loop->tasks;
    loop->awaited_end = &loop->awaited;
    loop->linger_time = BERTH_DEFAULT_LINGER_TIME;
    loop->thread = pthread_self();
    if (!make_backend(loop, known.backend)) {
        int error = errno;
        berth__release(loop);
        errno = error;
        return NULL;
    }
    pthread_mutex_init(&loop->lock, NULL);
    if (berth__process_join(loop))
        return loop;
    pthread_mutex_destroy(&loop->lock);
    loop->backend->operations->destroy(loop->backend);
    berth__pool_clear(&loop->pool);
    berth__release(loop);
    errno = ENOMEM;
    return NULL;
}

static bool run_completions(berth_loop *loop);
static void turn(berth_loop *loop, int64_t timeout);

/* Runs all tasks, frees all objects, and gives back their blocks of output. Each may bring forth
 * more of the others. */
static void empty(berth_loop *loop)
{
    do {
        berth__awaited_give_up(loop);
        berth__tasks_run(loop, SIZE_MAX);
        berth__objects_free(&loop->objects);
        (void)berth__sources_run(&loop->sources, loop);
    } while (atomic_load(&loop->tasks_waiting) || loop->objects != NULL ||
             loop->pool.blocks != NULL);
    berth__sources_release(&loop->sources, loop);
}

/* Streams that linger go on to, for the time that the program gives them: closing them now could
 * destroy what a graceful end has left to the peer to read. Tasks are posted meanwhile, and bring
 * forth more: also in the last of these turns. What is awaited, such as a job that runs, takes its
 * time. */
static void see_off(berth_loop *loop)
{
    uint64_t deadline = berth__after(berth__loop_clock(loop), loop->linger_time);
    while ((loop->live > 0 || berth__awaited_count(loop) > 0) && !loop->broken &&
           !loop->inherited) {
        uint64_t now = loop->counts.lingering > 0 ? berth__loop_clock(loop) : 0;
        if (now >= deadline)
            berth__sources_end(&loop->sources, loop);
        turn(loop, loop->counts.lingering > 0 ? (int64_t)(deadline - now) : -1);
        empty(loop);
    }
}

/* What is awaited ends also when the loop cannot be woken any more. */
static void await_without_wakes(berth_loop *loop)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    while (berth__awaited_count(loop) > 0 && !loop->inherited) {
        (void)nanosleep(&pause, NULL);
        empty(loop);
    }
}

static void destroy(berth_loop *loop)
{
    loop->life = BERTH__LOOP_ENDING;
    empty(loop);
    do { /* the last end that came may have begun something new */
        see_off(loop);
        await_without_wakes(loop);
        berth__sources_end(&loop->sources, loop);
        if (loop->inherited)
            while (run_completions(loop))
                continue; /* reports what is closed, and nothing else */
        empty(loop);
    } while (berth__awaited_count(loop) > 0 || atomic_load(&loop->tasks_waiting));
    berth__collect(loop);
    assert(loop->objects == NULL && loop->garbage == NULL && loop->tasks == NULL);
    assert(loop->awaited == NULL);
    while (atomic_load(&loop->stoppers) > 0)
        sched_yield();
    berth__process_leave(loop);
    loop->backend->operations->destroy(loop->backend);
    if (loop->secure_memory != NULL)
        berth__deadlines_unreserve(&loop->deadlines);
    berth__release(loop->secure_memory);
    berth__free_list_clear(&loop->sockets);
    berth__free_list_clear(&loop->streams);
    berth__free_list_clear(&loop->remotes);
    berth__free_list_clear(&loop->free_limits);
    berth__free_list_clear(&loop->blocks);
    berth__numbers_clear(&loop->numbers);
    berth__deadlines_clear(&loop->deadlines);
    berth__pool_clear(&loop->pool);
    pthread_mutex_destroy(&loop->lock);
    berth__release(loop);
}

void berth_loop_free(berth_loop *loop)
{
    if (loop == NULL || loop->life == BERTH__LOOP_ENDING)
        return;
    BERTH__OWN_THREAD(loop);
    if (loop->abandoned)
        return; /* its thread may have been anywhere */
    if (loop == own_loop) {
        own_loop = NULL;
        pthread_setspecific(own_key, NULL);
    }
    if (loop->depth > 0 || loop->frames > 0) {
        loop->life = BERTH__LOOP_FREED;
        berth_loop_stop(loop, 0);
        return;
    }
    destroy(loop);
}

uint32_t berth_loop_linger_time(berth_loop *loop)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL)
        return 0;
    BERTH__OWN_THREAD(loop);
    return loop->linger_time;
}

void berth_loop_set_linger_time(berth_loop *loop, uint32_t milliseconds)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL)
        return;
    BERTH__OWN_THREAD(loop);
    loop->linger_time = milliseconds;
}

void berth__loop_leave(berth_loop *loop)
{
    if (loop->depth > 0)
        return;
    berth__collect(loop);
    if (loop->life != BERTH__LOOP_FREED || loop->frames > 0)
        return;
    destroy(loop);
}

/* ---- streams --------------------------------------------------------------------------------- */

berth__stream *berth__loop_new_stream(berth_loop *loop, const berth__stream_events *events,
                                      void *object)
{
    berth__stream *stream = berth__free_list_take(&loop->streams, sizeof *stream);
    if (stream == NULL)
        return NULL;
    berth__stream_init(stream, events, object);
    loop->live++;
    return stream;
}

void berth__loop_drop_stream(berth_loop *loop, berth__stream *stream)
{
    loop->live--;
    berth__free_list_give(&loop->streams, stream);
}

/* A stream that its socket has let go of: its owner is the loop, or the chunk of its last send,
 * which knows the loop. Nothing but its end matters. */
static void orphan_received(berth__stream *stream, const void *data, size_t size)
{
    (void)stream;
    (void)data;
    (void)size;
}

static void orphan_ended(berth__stream *stream, int error)
{
    (void)stream;
    (void)error;
}

static void orphan_sent(berth__stream *stream, ptrdiff_t result)
{
    (void)stream;
    (void)result;
}

static void orphan_closed(berth__stream *stream)
{
    berth__loop_drop_stream(stream->ready.owner, stream);
}

static void leasing_closed(berth__stream *stream)
{
    berth__chunk *leased = stream->ready.owner;
    berth_loop *loop = leased->holder;
    berth__chunks_release(leased, &loop->pool);
    berth__loop_drop_stream(loop, stream);
}

static const berth__stream_events orphan_events = {
    .connected = orphan_ended,
    .received = orphan_received,
    .receive_ended = orphan_ended,
    .sent = orphan_sent,
    .closed = orphan_closed,
};

static const berth__stream_events leasing_events = {
    .connected = orphan_ended,
    .received = orphan_received,
    .receive_ended = orphan_ended,
    .sent = orphan_sent,
    .closed = leasing_closed,
};

void berth__loop_orphan_stream(berth_loop *loop, berth__stream *stream, berth__chunk *leased)
{
    stream->events = leased != NULL ? &leasing_events : &orphan_events;
    stream->limited = false;
    stream->ready.owner = leased != NULL ? (void *)leased : loop;
    if (leased != NULL)
        leased->holder = loop;
    /* A program that only uses blocking waits must get rid of it too. */
    berth__ready_share(&stream->ready);
}

void berth__loop_close_stream(berth_loop *loop, berth__stream *stream, berth__chunk *leased,
                              berth__close_mode mode)
{
    berth__loop_orphan_stream(loop, stream, leased);
    if (berth__loop_inherited(loop)) { /* the connection is the parent's, and so are its options */
        mode = BERTH__CLOSE_COPY;
        stream->lingers = false;
    }
    berth__numbers_remove(&loop->numbers, stream->descriptor);
    loop->backend->operations->close(loop->backend, stream, mode);
    /* It may be all that the peer still waits for, and no turn may follow for long. */
    if (mode == BERTH__CLOSE_COPY)
        berth__loop_submit(loop);
    berth__loop_touch(loop);
}

/* ---- one turn -------------------------------------------------------------------------------- */

uint64_t berth__loop_clock(berth_loop *loop)
{
    return loop->backend->operations->now(loop->backend);
}

/* Nanoseconds to wait: `timeout`, or less if a timer is due before. */
static int64_t until_next_timer(berth_loop *loop, int64_t timeout)
{
    uint64_t next;
    if (timeout == 0 || !berth__deadlines_next(&loop->deadlines, &next))
        return timeout;
    uint64_t now = berth__loop_clock(loop);
    if (next <= now)
        return 0;
    uint64_t left = next - now;
    return timeout < 0 || left < (uint64_t)timeout ? (int64_t)left : timeout;
}

/* Servers compute what they may accept here, and not where something below them makes room. */
static void run_marked(berth_loop *loop)
{
    if (loop->marked != NULL && !loop->inherited)
        berth__marks_run(&loop->marked);
}

static void wait_for_news(berth_loop *loop, int64_t timeout, uint64_t deadline)
{
    berth__backend *backend = loop->backend;
    bool limited = loop->limited > 0 && berth__deadlines_next(&loop->deadlines, &backend->due);
    backend->due = limited && backend->due < deadline ? backend->due : deadline;
    loop->counts.waits++;
    int error = backend->operations->wait(backend, timeout);
    if (loop->limited > 0)
        loop->time = berth__loop_clock(loop);
    /* A wait may fail for a moment, for want of memory; one that never succeeds would spin. */
    loop->failures = error != 0 ? loop->failures + 1 : 0;
    loop->broken = loop->failures >= MOST_FAILURES;
}

void berth__loop_submit(berth_loop *loop)
{
    if (loop->depth == 0)
        loop->backend->operations->submit(loop->backend);
}

/* Whether a phase that has done so much has to end, lest timers be late. */
static inline bool is_late(berth_loop *loop, size_t done)
{
    uint64_t next;
    return done % PACE == 0 && berth__deadlines_next(&loop->deadlines, &next) &&
           next + LATE <= berth__loop_clock(loop);
}

/* Runs as many records as are ready now, taking each from the list only when its turn has come: a
 * handler may run a nested wait, which needs to find them there. */
static bool run_completions(berth_loop *loop)
{
    berth__ready_list *list = &loop->backend->ready;
    size_t count = list->count;
    size_t done = 0;
    bool forked = loop->inherited; /* not before: then what is left is for the parent, or later */
    while (done < count && loop->inherited == forked) {
        berth__ready *ready = berth__ready_take(list);
        if (ready == NULL)
            break;
        berth__loop_run_whole(loop, ready);
        if (is_late(loop, ++done))
            break;
    }
    return count > 0;
}

static size_t run_timers(berth_loop *loop)
{
    if (loop->deadlines.count == 0)
        return 0;
    return berth__deadlines_run(&loop->deadlines, berth__loop_clock(loop));
}

void berth__loop_flush_later(berth_loop *loop, berth__flush *flush)
{
    if (flush->link != NULL)
        return;
    flush->next = NULL;
    flush->link = loop->flush_end;
    *loop->flush_end = flush;
    loop->flush_end = &flush->next;
    loop->flush_count++;
    berth__loop_touch(loop);
}

void berth__loop_flush_not(berth_loop *loop, berth__flush *flush)
{
    if (flush->link == NULL)
        return;
    *flush->link = flush->next;
    if (flush->next != NULL)
        flush->next->link = flush->link;
    else
        loop->flush_end = flush->link;
    flush->next = NULL;
    flush->link = NULL;
    loop->flush_count--;
}

/* Those that come meanwhile, such as a socket whose handler writes on each time the kernel takes
 * its output, are for the next turn. Returns whether there was one. */
static bool flush_all(berth_loop *loop, bool whole)
{
    size_t count = loop->flush_count;
    for (size_t done = 0; done < count && loop->flush != NULL && !loop->inherited;) {
        berth__flush *flush = loop->flush;
        berth__loop_flush_not(loop, flush);
        loop->settle(flush);
        if (is_late(loop, ++done) && !whole)
            break;
    }
    return count > 0;
}

void berth__loop_send(berth_loop *loop)
{
    (void)flush_all(loop, false);
    loop->backend->operations->submit(loop->backend);
    loop->last_wait = BERTH__TURN_SKIPS; /* so that the next one asks for news in any case */
}

void berth__loop_list_answer(berth_loop *loop)
{
    berth__flush *answering = loop->answering;
    loop->answering = NULL;
    if (loop->unsent(answering))
        berth__loop_flush_later(loop, answering);
}

static berth__turn_wait choose_wait(const berth_loop *loop)
{
    bool ready = loop->backend->ready.count > 0 || loop->flush != NULL;
    if (ready && loop->last_wait != BERTH__TURN_SKIPS)
        return BERTH__TURN_SKIPS;
    bool hurry =
        ready || atomic_load(&loop->tasks_waiting) || berth__sources_pending(&loop->sources, loop);
    return hurry ? BERTH__TURN_POLLS : BERTH__TURN_SLEEPS;
}

/* One turn, without a look at whether the loop was freed. Returns whether anything ran. `whole`:
 * output must not be left to the next turn, which may be far. */
static bool turn_any(berth_loop *loop, int64_t timeout, bool whole)
{
    if (loop->inherited)
        return false;
    loop->depth++;
    loop->counts.turns++;
    if (loop->answering != NULL)
        berth__loop_list_answer(loop);
    run_marked(loop); /* those of between the turns */
    loop->last_wait = choose_wait(loop);
    if (loop->last_wait != BERTH__TURN_SKIPS) {
        bool polls = loop->last_wait == BERTH__TURN_POLLS;
        wait_for_news(loop, polls ? 0 : until_next_timer(loop, timeout), UINT64_MAX);
    }
    BERTH__PROBE2(turn, loop, loop->backend->ready.count);
    if (loop->awake != NULL)
        loop->awake(loop);
    bool any = run_completions(loop);
    any = berth__sources_run(&loop->sources, loop) || any;
    any = run_timers(loop) > 0 || any;
    any = berth__tasks_run_waiting(loop) || any;
    any = flush_all(loop, whole) || any;
    run_marked(loop);
    BERTH__PROBE1(turn_end, loop);
    loop->depth--;
    berth__collect(loop);
    return any;
}

static void turn(berth_loop *loop, int64_t timeout)
{
    (void)turn_any(loop, timeout, false);
}

/* Inside another event loop nothing may be left that the descriptor does not show. */
static void leave_to_outer(berth_loop *loop)
{
    if (!loop->embedded || loop->depth > 0 || loop->life == BERTH__LOOP_FREED || loop->inherited)
        return;
    /* Also hands over what was started, and may swallow a wake that was meant for a task. */
    wait_for_news(loop, 0, UINT64_MAX);
    if (loop->backend->ready.count > 0 || loop->flush != NULL || loop->marked != NULL ||
        atomic_load(&loop->tasks_waiting) || berth__sources_pending(&loop->sources, loop))
        loop->backend->operations->wake(loop->backend);
}

static int64_t nanoseconds(int milliseconds)
{
    return milliseconds < 0 ? -1 : (int64_t)milliseconds * (int64_t)BERTH__MILLISECOND;
}

bool berth_loop_turn(berth_loop *loop, int milliseconds)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL)
        return false;
    BERTH__OWN_THREAD(loop);
    bool whole = milliseconds == 0 && !loop->embedded;
    bool any = turn_any(loop, nanoseconds(milliseconds), whole);
    (void)berth__loop_is_copy(loop);
    if (milliseconds == 0) /* others are part of a loop, whose next turn brings it along */
        berth__loop_submit(loop);
    leave_to_outer(loop);
    berth__loop_leave(loop);
    return any;
}

/* Keeps a stop, if there is a run (or, without one, the next) that no other ends. */
static void put_stop(berth_loop *loop, int exit_code)
{
    unsigned runs = atomic_load(&loop->runs);
    unsigned most = runs == 0 ? 1 : runs < BERTH__STOPS ? runs : BERTH__STOPS;
    unsigned kept = atomic_load(&loop->stops_kept);
    while (kept < most && !atomic_compare_exchange_weak(&loop->stops_kept, &kept, kept + 1))
        ;
    unsigned number = atomic_fetch_add(&loop->stops_number, 1);
    /* There is a place as long as it is counted, though others may take it or give it back while
     * they are looked through. */
    for (unsigned i = 0; kept < most; i = (i + 1) % BERTH__STOPS) {
        berth__stop *stop = &loop->stops[i];
        int none = 0;
        if (!atomic_compare_exchange_strong(&stop->state, &none, 1))
            continue;
        stop->exit_code = exit_code;
        stop->number = number;
        atomic_store(&stop->state, 2);
        break;
    }
    atomic_store(&loop->stopping, true);
}

/* Takes the first stop there is; one that is being written sets `stopping` again. */
static bool take_stop(berth_loop *loop, int *ret_exit_code)
{
    berth__stop *first = NULL;
    bool others = false;
    atomic_store(&loop->stopping, false);
    for (unsigned i = 0; i < BERTH__STOPS; i++) {
        berth__stop *stop = &loop->stops[i];
        if (atomic_load(&stop->state) != 2)
            continue;
        others = first != NULL;
        if (first == NULL || (int)(stop->number - first->number) < 0)
            first = stop;
    }
    if (first == NULL)
        return false;
    if (others)
        atomic_store(&loop->stopping, true);
    *ret_exit_code = first->exit_code;
    atomic_store(&first->state, 0);
    atomic_fetch_sub(&loop->stops_kept, 1);
    return true;
}

int berth_loop_run(berth_loop *loop)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL)
        return -1;
    BERTH__OWN_THREAD(loop);
    int exit_code = 0;
    bool stopped = false;
    atomic_fetch_add(&loop->runs, 1);
    for (;;) {
        stopped = atomic_load(&loop->stopping) && take_stop(loop, &exit_code);
        if (stopped || loop->broken || loop->inherited)
            break;
        turn(loop, -1);
    }
    atomic_fetch_sub(&loop->runs, 1);
    if (!stopped)
        errno = loop->inherited ? ECHILD : EIO;
    /* The outer runs of a loop that was freed inside, or is a leaving worker's, end as well. */
    if ((loop->life == BERTH__LOOP_FREED || atomic_load(&loop->quitting)) && loop->depth > 0)
        put_stop(loop, exit_code);
    berth__loop_submit(loop);
    leave_to_outer(loop);
    berth__loop_leave(loop);
    return stopped ? exit_code : -1;
}

void berth_loop_stop(berth_loop *loop, int exit_code)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL)
        return;
    /* From the store on the loop's thread may return from its run, and free the loop. No lock, as
     * this may be a signal handler. */
    atomic_fetch_add(&loop->stoppers, 1);
    put_stop(loop, exit_code);
    loop->backend->operations->wake(loop->backend);
    atomic_fetch_sub(&loop->stoppers, 1);
}

void berth_loop_wake(berth_loop *loop)
{
    loop = berth__loop_or_current(loop);
    if (loop != NULL)
        loop->backend->operations->wake(loop->backend);
}

/* ---- blocking waits -------------------------------------------------------------------------- */

static berth__ready *take_own(berth_loop *loop, const berth__wait *wait)
{
    berth__ready_list *list = &loop->backend->ready;
    berth__stream *stream = wait->stream != NULL ? wait->stream(wait->object) : NULL;
    berth__ready *ready = stream != NULL ? berth__ready_claim(list, stream) : NULL;
    if (ready == NULL && wait->owner != NULL)
        ready = berth__ready_take_of(list, wait->owner);
    return ready;
}

/* The next record for a wait that has run so many: its own and shared ones in turn. */
static berth__ready *next_of(berth_loop *loop, const berth__wait *wait, unsigned ran)
{
    berth__ready_list *list = &loop->backend->ready;
    berth__ready *ready = ran % 2 == 0 ? take_own(loop, wait) : berth__ready_take_shared(list);
    if (ready == NULL)
        ready = ran % 2 == 0 ? berth__ready_take_shared(list) : take_own(loop, wait);
    return ready != NULL ? ready : berth__ready_sweep(list);
}

/* Runs what there is for this wait, but not for ever: a peer may send as fast as it is read.
 * Returns whether the wait is over. */
static bool run_of(berth_loop *loop, const berth__wait *wait, uint64_t due)
{
    for (unsigned ran = 0; ran < PASS && !wait->done(wait->object); ran++) {
        if (loop->inherited)
            break;
        if (ran >= FEW && due != UINT64_MAX && berth__loop_clock(loop) >= due)
            break;
        berth__ready *ready = next_of(loop, wait, ran);
        if (ready == NULL)
            break;
        (void)berth__loop_run_record(loop, ready);
    }
    return wait->done(wait->object);
}

/* Nanoseconds until the earlier of both times, UINT64_MAX meaning never. */
static int64_t until(uint64_t now, uint64_t deadline, uint64_t again)
{
    uint64_t next = deadline < again ? deadline : again;
    if (next == UINT64_MAX)
        return -1;
    return next > now ? (int64_t)(next - now) : 0;
}

static uint64_t prepare(const berth__wait *wait)
{
    return wait->prepare != NULL ? wait->prepare(wait->object) : UINT64_MAX;
}

/* Whether there is a record that this wait runs: what `prepare` starts may end at once. */
static bool has_ready(const berth_loop *loop, const berth__wait *wait)
{
    const berth__ready_list *list = &loop->backend->ready;
    return list->lines[BERTH__LINE_SHARED].first != NULL ||
           (wait->stream != NULL && wait->stream(wait->object) != NULL) ||
           (wait->owner != NULL && berth__ready_has(list, wait->owner));
}

static bool wait_until(berth_loop *loop, const berth__wait *wait, uint64_t deadline)
{
    bool last = false;
    if (wait->asks && has_ready(loop, wait))
        wait_for_news(loop, 0, UINT64_MAX);
    for (;;) {
        uint64_t again = prepare(wait);
        if (run_of(loop, wait, again < deadline ? again : deadline))
            return true;
        /* What ran may have brought something to its end that is due only now, such as a lookup. */
        again = prepare(wait);
        if (wait->done(wait->object))
            return true;
        /* The one timer of the library that a program without a loop depends on: else a peer that
         * never closes would keep a descriptor for ever. */
        uint64_t sources = berth__sources_step(&loop->sources, loop);
        again = sources < again ? sources : again;
        if (last || loop->broken || loop->inherited)
            return false;
        run_marked(loop);
        uint64_t now = deadline == UINT64_MAX && again == UINT64_MAX ? 0 : berth__loop_clock(loop);
        /* The kernel is asked once more even when the time has passed: a wait of 0 polls. */
        last = now >= deadline;
        wait_for_news(loop, has_ready(loop, wait) ? 0 : until(now, deadline, again), deadline);
        if (loop->wait_check != NULL && !has_ready(loop, wait) &&
            loop->wait_check(loop->wait_check_user))
            return false;
    }
}

bool berth__loop_wait(berth_loop *loop, const berth__wait *wait, int milliseconds)
{
    uint64_t deadline = UINT64_MAX;
    if (milliseconds >= 0)
        deadline = berth__after(berth__loop_clock(loop), (uint64_t)milliseconds);
    loop->depth++;
    bool done = wait_until(loop, wait, deadline);
    if (done) /* others may end like this, one after the other, and never sleep */
        (void)berth__sources_step(&loop->sources, loop);
    loop->depth--;
    berth__loop_submit(loop);
    leave_to_outer(loop); /* the records of others that were found */
    return done;
}

void berth_loop_set_wait_check(berth_loop *loop, berth_wait_check check, void *user)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL)
        return;
    BERTH__OWN_THREAD(loop);
    loop->wait_check = check;
    loop->wait_check_user = user;
}

/* ---- inside another loop, and questions ------------------------------------------------------ */

void berth__loop_touch(berth_loop *loop)
{
    if (loop->embedded && loop->depth == 0)
        loop->backend->operations->wake(loop->backend);
}

int berth_loop_descriptor(berth_loop *loop)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL)
        return -1;
    BERTH__OWN_THREAD(loop);
    if (berth__loop_is_copy(loop))
        return -1;
    loop->embedded = true;
    /* What was started before must show too; and with io_uring nothing shows, not even a wake, that
     * was never handed over. */
    leave_to_outer(loop);
    berth__loop_touch(loop);
    return loop->backend->operations->descriptor(loop->backend);
}

int berth_loop_timeout(berth_loop *loop)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL)
        return -1;
    BERTH__OWN_THREAD(loop);
    uint64_t next;
    if (!berth__deadlines_next(&loop->deadlines, &next))
        return -1;
    uint64_t now = berth__loop_clock(loop);
    if (next <= now)
        return 0;
    /* From the millisecond that has begun: that is where a loop that counts in whole ones takes its
     * start, and it would wake too early for what is left, and once more. */
    uint64_t left = (next - 1) / BERTH__MILLISECOND + 1 - now / BERTH__MILLISECOND;
    return left > INT32_MAX ? INT32_MAX : (int)left;
}

uint64_t berth_loop_now(berth_loop *loop)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL)
        return 0;
    BERTH__OWN_THREAD(loop);
    return berth__loop_clock(loop) / BERTH__MILLISECOND;
}

const char *berth_loop_backend_name(berth_loop *loop)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL)
        return NULL;
    BERTH__OWN_THREAD(loop);
    const berth__backend *backend = loop->backend;
    return backend->inherited != NULL ? backend->inherited->name : backend->operations->name;
}

const char *berth_loop_backend_reason(berth_loop *loop)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL)
        return NULL;
    BERTH__OWN_THREAD(loop);
    return loop->inherited ? berth__reason_of(ECHILD) : loop->reason;
}

bool berth_loop_backend_available(const char *backend, char *ret_reason, size_t size)
{
    char reason[160] = "";
    berth__pool pool;
    berth__pool_init(&pool);
    berth__backend *made = berth__backend_choose(backend, &pool, reason, sizeof reason);
    if (made != NULL)
        made->operations->destroy(made);
    berth__pool_clear(&pool);
    if (size > 0)
        snprintf(ret_reason, size, "%s", reason);
    return made != NULL;
}

const char *berth__reason_of_none(int error)
{
    if (error == EINVAL && berth__backend_variable_is_wrong())
        return "BERTH_BACKEND names no backend; " BERTH__BACKENDS;
    return berth__reason_of(error);
}
