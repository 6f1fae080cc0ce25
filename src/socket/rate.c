/*
 * Rates: the arithmetic of a bucket, its line, and the public functions.
 *
 * Tokens come with the time that has passed since they were counted last, to the fraction. They are
 * negative for a while where bytes moved that nobody had asked for, as where a rate is set while
 * some are on their way. The line is served when there are tokens for its first; a quantum is half
 * a burst at most, so that a deadline that comes late loses nothing, and large enough that few
 * deadlines are needed. The bucket without a limit, also one that was freed, serves its line in
 * batches, a batch a turn.
 *
 * Failures: none but want of memory, when a rate is made or set.
 */
#include "rate.h"

#include "base/memory.h"
#include "loop/loop.h"

#include <errno.h>

#define SECOND ((uint64_t)1000000000)
#define FASTEST (((uint64_t)1 << 34) - 2) /* bytes a second: times a second they fit 64 bits */

enum {
    SLICES = 100,   /* quanta a second, where these are not smaller than: */
    QUANTUM = 1024, /* bytes */
    BATCH = 64      /* flows */
};

struct berth_rate {
    berth__object object;
    berth__object *nowhere; /* the list that it is in when it was freed */
    berth__deadline deadline;
    uint64_t speed; /* bytes a second; 0: no limit */
    uint64_t burst; /* bytes */
    int64_t tokens;
    uint64_t rest; /* of a token, in its 10^9th parts */
    uint64_t time; /* when they were counted */
    berth__flow *first;
    berth__flow **last;
    size_t users; /* flows */
    bool freed;
};

/* ---- tokens ---------------------------------------------------------------------------------- */

static uint64_t quantum(const berth_rate *rate)
{
    uint64_t slice = rate->speed / SLICES;
    uint64_t most = rate->burst / 2;
    slice = slice < QUANTUM ? QUANTUM : slice;
    slice = slice < most ? slice : most;
    return slice > 0 ? slice : 1;
}

static void fill(berth_rate *rate)
{
    rate->tokens = (int64_t)rate->burst;
    rate->rest = 0;
}

/* Counts the tokens of the time that has passed. */
static void count(berth_rate *rate)
{
    uint64_t now = berth__loop_clock(rate->object.loop);
    uint64_t passed = now - rate->time;
    rate->time = now;
    if (rate->speed == 0)
        return;
    uint64_t lacking = (uint64_t)((int64_t)rate->burst - rate->tokens);
    if (passed / SECOND > lacking / rate->speed) {
        fill(rate);
        return;
    }
    uint64_t parts = passed % SECOND * rate->speed + rate->rest;
    rate->tokens += (int64_t)(passed / SECOND * rate->speed + parts / SECOND);
    rate->rest = parts % SECOND;
    if (rate->tokens >= (int64_t)rate->burst)
        fill(rate);
}

/* Tokens that a flow waits for; the rate may have changed since it began to. */
static int64_t wanted_by(const berth__flow *flow)
{
    uint64_t most = quantum(flow->rate);
    return (int64_t)(flow->wanted < most ? flow->wanted : most);
}

/* Has the deadline come when there will be enough for the first of the line. */
static void schedule(berth_rate *rate)
{
    berth__deadlines *deadlines = &rate->object.loop->deadlines;
    uint64_t due = rate->time;
    if (rate->first == NULL) {
        berth__deadline_stop(deadlines, &rate->deadline);
        return;
    }
    int64_t lacking = wanted_by(rate->first) - rate->tokens;
    if (lacking > UINT32_MAX)
        lacking = UINT32_MAX; /* it is looked at again then */
    if (rate->speed != 0 && lacking > 0)
        due += ((uint64_t)lacking * SECOND - rate->rest + rate->speed - 1) / rate->speed;
    if (rate->deadline.place == 0 || rate->deadline.time != due)
        berth__deadline_start(deadlines, &rate->deadline, due);
}

/* ---- the line -------------------------------------------------------------------------------- */

static void enter_line(berth__flow *flow, uint64_t wanted)
{
    berth_rate *rate = flow->rate;
    flow->wanted = (uint32_t)wanted;
    flow->next = NULL;
    flow->link = rate->last;
    *rate->last = flow;
    rate->last = &flow->next;
    if (rate->first == flow)
        schedule(rate);
}

static void leave_line(berth__flow *flow)
{
    *flow->link = flow->next;
    if (flow->next != NULL)
        flow->next->link = flow->link;
    else
        flow->rate->last = flow->link;
    flow->link = NULL;
}

static void serve(berth_rate *rate)
{
    count(rate);
    for (unsigned i = 0; i < BATCH && rate->first != NULL; i++) {
        berth__flow *flow = rate->first;
        int64_t wanted = wanted_by(flow);
        if (rate->speed != 0 && rate->tokens < wanted)
            break;
        leave_line(flow);
        berth__flow_reserve(flow, (size_t)wanted);
        flow->go_on(flow);
    }
    schedule(rate);
}

static void expired(berth__deadline *deadline)
{
    serve((berth_rate *)((char *)deadline - offsetof(berth_rate, deadline)));
}

size_t berth__flow_take(berth__flow *flow, size_t most)
{
    berth_rate *rate = flow->rate;
    if (rate->speed == 0)
        return most;
    if (flow->granted > 0)
        return most < flow->granted ? most : flow->granted;
    if (flow->link != NULL)
        return 0;
    uint64_t wanted = quantum(rate);
    if (wanted > most)
        wanted = most;
    count(rate);
    if (rate->first != NULL || rate->tokens < (int64_t)wanted) {
        enter_line(flow, wanted);
        return 0;
    }
    return most < (uint64_t)rate->tokens ? most : (size_t)rate->tokens;
}

void berth__flow_reserve(berth__flow *flow, size_t bytes)
{
    berth_rate *rate = flow->rate;
    if (rate->speed == 0)
        return;
    rate->tokens += (int64_t)flow->granted - (int64_t)bytes;
    flow->granted = (uint32_t)bytes;
}

void berth__flow_spend(berth__flow *flow, size_t bytes)
{
    berth_rate *rate = flow->rate;
    if (rate == NULL)
        return;
    bool gives_back = flow->granted > bytes;
    if (rate->speed != 0)
        rate->tokens += (int64_t)flow->granted - (int64_t)bytes;
    flow->granted = 0;
    if (gives_back && rate->first != NULL)
        schedule(rate);
}

void berth__flow_leave(berth__flow *flow, bool unused)
{
    if (flow->rate == NULL)
        return;
    bool first = flow->link != NULL && flow == flow->rate->first;
    if (flow->link != NULL)
        leave_line(flow);
    if (unused && flow->granted > 0)
        berth__flow_spend(flow, 0);
    flow->granted = 0;
    if (first)
        schedule(flow->rate);
}

uint64_t berth__flow_step(berth__flow *flow)
{
    if (!berth__flow_waits(flow))
        return UINT64_MAX;
    berth_rate *rate = flow->rate;
    if (rate->deadline.time > berth__loop_clock(rate->object.loop))
        return rate->deadline.time;
    serve(rate);
    return berth__flow_waits(flow) ? rate->deadline.time : 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void drop(berth_rate *rate)
{
    if (!rate->freed || rate->users > 0)
        return;
    berth__deadlines *deadlines = &rate->object.loop->deadlines;
    berth__deadline_stop(deadlines, &rate->deadline);
    berth__deadlines_unreserve(deadlines);
    berth__release(rate);
}

static void give_up(berth__flow *flow, bool unused)
{
    berth_rate *rate = flow->rate;
    if (rate == NULL)
        return;
    berth__flow_leave(flow, unused);
    flow->rate = NULL;
    rate->users--;
    drop(rate);
}

void berth__flow_set(berth__flow *flow, berth_rate *rate, bool unused)
{
    give_up(flow, unused);
    flow->rate = rate;
    if (rate != NULL)
        rate->users++;
}

berth_rate *berth__flow_rate(const berth__flow *flow)
{
    return flow != NULL && !flow->rate->freed ? flow->rate : NULL;
}

bool berth__flow_is_limited(const berth__flow *flow)
{
    return flow != NULL && flow->rate->speed != 0;
}

berth_loop *berth__rate_loop(const berth_rate *rate)
{
    return rate->object.loop;
}

void berth__rates_end(berth__rates *rates, bool sending)
{
    berth__flow_leave(&rates->flows[BERTH__FLOW_INPUT], true);
    berth__flow_leave(&rates->flows[BERTH__FLOW_OUTPUT], !sending);
}

void berth__rates_free(berth__rates *rates)
{
    give_up(&rates->flows[BERTH__FLOW_INPUT], true);
    give_up(&rates->flows[BERTH__FLOW_OUTPUT], true);
    berth__release(rates);
}

static void free_rate(berth__object *object)
{
    berth_rate_free((berth_rate *)object);
}

static void never_destroyed(berth__object *object)
{
    assert(false && "a rate is never among the garbage");
    (void)object;
}

static const berth__kind rate_kind = {
    .number = BERTH__KIND_RATE, .free = free_rate, .destroy = never_destroyed};

static void set_speed(berth_rate *rate, uint64_t bytes_per_second, uint64_t burst)
{
    rate->speed = bytes_per_second < FASTEST ? bytes_per_second : FASTEST;
    uint64_t least = rate->speed / 100 > 0 ? rate->speed / 100 : 1;
    if (burst == 0)
        burst = rate->speed / 10;
    burst = burst < UINT32_MAX ? burst : UINT32_MAX;
    rate->burst = burst > least ? burst : least;
}

berth_rate *berth_rate_new(berth_loop *loop, uint64_t bytes_per_second, uint64_t burst)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL)
        return NULL;
    BERTH__OWN_THREAD(loop);
    if (berth__loop_is_copy(loop))
        return NULL;
    berth_rate *rate = berth__allocate_zero(sizeof *rate);
    if (rate == NULL)
        return NULL;
    if (!berth__deadlines_reserve(&loop->deadlines)) {
        berth__release(rate);
        errno = ENOMEM;
        return NULL;
    }
    rate->deadline.expired = expired;
    rate->last = &rate->first;
    rate->time = berth__loop_clock(loop);
    set_speed(rate, bytes_per_second, burst);
    fill(rate);
    berth__object_init(&rate->object, &rate_kind, loop, &loop->objects);
    return rate;
}

void berth_rate_free(berth_rate *rate)
{
    if (rate == NULL)
        return;
    BERTH__OWN_THREAD(rate->object.loop);
    if (rate->object.loop->abandoned)
        return;
    berth__object_move(&rate->object, &rate->nowhere);
    rate->speed = 0;
    rate->freed = true;
    count(rate);
    schedule(rate);
    berth__loop_touch(rate->object.loop);
    drop(rate);
}

void berth_rate_set(berth_rate *rate, uint64_t bytes_per_second, uint64_t burst)
{
    BERTH__OWN_THREAD(rate->object.loop);
    bool had_limit = rate->speed != 0;
    count(rate);
    set_speed(rate, bytes_per_second, burst);
    if (!had_limit || rate->tokens > (int64_t)rate->burst)
        fill(rate);
    schedule(rate);
    berth__loop_touch(rate->object.loop);
}
