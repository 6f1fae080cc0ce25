/*
 * Calls about time: timers, limits of sockets, sockets that read all that comes as it comes, and
 * time that passes with somebody else at work.
 */
#include "calls.h"
#include "world.h"

static uint32_t some_time(uint64_t *word)
{
    static const uint32_t most[] = {5, 20, 60, 300, 3000};
    return 1 + sim_choose(word, most[sim_choose(word, 5)]);
}

/* One of them, or any. */
static void limit_socket(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    if (model == NULL || model->queued_in != NULL)
        return;
    uint32_t which = sim_choose(&word, 6);
    uint32_t set = which < 4 ? 1u << which : sim_choose(&word, 16);
    berth_connection_limits limits = {.first_byte = set & 1 ? some_time(&word) : 0,
                                      .idle = set & 2 ? some_time(&word) : 0,
                                      .lifetime = set & 4 ? some_time(&word) : 0,
                                      .minimum_rate = set & 8 ? 10 * some_time(&word) : 0,
                                      .rate_window = some_time(&word)};
    sim_say("socket %zu is limited: first byte %u, idle %u, life %u ms, %u bytes/s in %u ms",
            sim_number_of(model), limits.first_byte, limits.idle, limits.lifetime,
            limits.minimum_rate, limits.rate_window);
    bool heard = model->heard;
    uint64_t now = berth_loop_now(sim.loop);
    if (!berth_socket_set_limits(model->socket, &limits))
        return;
    model->limits = limits;
    sim_limits_begin(model, now);
    model->heard = heard;
    if (sim_choose(&word, 3) == 0)
        berth_socket_set_read_buffer_size(model->socket, 10);
}

/* All of them: one that closes with output left is rare. */
static void be_patient(uint64_t word)
{
    uint32_t connect = sim_choose(&word, 4) == 0 ? 0 : some_time(&word);
    uint32_t close = sim_choose(&word, 4) == 0 ? 0 : some_time(&word);
    sim_say("sockets give a connect %u ms, and an end %u", connect, close);
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        struct socket_model *model = &sim.sockets[i];
        if (model->socket == NULL || model->dying)
            continue;
        berth_socket_set_connect_timeout(model->socket, connect);
        sim_clock_close(model, close);
    }
}

static void be_eager(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    if (model == NULL)
        return;
    model->eager = !model->eager;
    sim_say("socket %zu %s what comes as it comes", sim_number_of(model),
            model->eager ? "reads" : "no longer reads");
}

/* Short steps, so that times are looked at between two turns that are far from each other. */
static void go_slowly(uint64_t word)
{
    if (sim.depth > 0)
        return;
    uint32_t milliseconds = some_time(&word);
    sim_say("the loop is left alone for %u ms", milliseconds);
    sim_let_time_pass(milliseconds);
}

/* A socket is full to its limit for a while, and reads on; nothing more may come then. */
static void hold_up(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    if (model == NULL || sim.depth > 0 || model->queued_in != NULL)
        return;
    berth_socket *socket = model->socket;
    size_t unread = berth_socket_bytes_available(socket);
    berth_connection_limits limits;
    berth_socket_limits(socket, &limits);
    if (unread == 0 || limits.idle == 0)
        return;
    sim_say("socket %zu is held up, with %zu bytes", sim_number_of(model), unread);
    berth_socket_set_read_buffer_size(socket, unread);
    sim_let_time_pass(1 + sim_choose(&word, limits.idle));
    if (sim.leaving || model->socket != socket || berth_socket_bytes_available(socket) == 0)
        return;
    sim_read(model, SIZE_MAX);
    sim_look();
    sim_let_time_pass(1 + sim_choose(&word, limits.idle));
}

/* ---- timers ---------------------------------------------------------------------------------- */

static void start_timer(struct timer_model *model, uint64_t delay, uint64_t repeat)
{
    model->active = true;
    model->repeat = repeat;
    model->due = berth_loop_now(sim.loop) + delay;
    sim_say("timer %td starts: %llu ms, then every %llu ms", model - sim.timers,
            (unsigned long long)delay, (unsigned long long)repeat);
    berth_timer_start(model->timer, delay, repeat);
    /* A real clock has not waited. */
    model->latest = world->is_simulated ? model->due + 1 : berth_loop_now(sim.loop) + delay + 1;
}

/* Many at once, so that the order in which they are due is another than that of their starts. */
static void start_timers(uint64_t word)
{
    for (size_t i = 0; i < SIM_TIMERS; i++) {
        struct timer_model *model = &sim.timers[i];
        if (model->timer == NULL)
            model->timer = berth_timer_new(sim.loop, sim_on_timer, model);
        uint64_t delay = sim_choose(&word, 50);
        if (model->timer != NULL)
            start_timer(model, delay, 0);
    }
}

void sim_use_timer(uint64_t word)
{
    struct timer_model *model = &sim.timers[sim_choose(&word, SIM_TIMERS)];
    if (sim_choose(&word, 2) == 0 && sim_innermost()->timer != NULL)
        model = sim_innermost()->timer;
    if (model->timer == NULL)
        model->timer = berth_timer_new(sim.loop, sim_on_timer, model);
    if (model->timer == NULL)
        return;
    uint32_t what = sim_choose(&word, 7);
    size_t number = (size_t)(model - sim.timers);
    model->active = model->active && what == 6;
    if (what == 6) {
        start_timers(word);
    } else if (what == 4) {
        sim_say("timer %zu stops", number);
        berth_timer_stop(model->timer);
    } else if (what == 5) {
        sim_say("timer %zu is freed", number);
        berth_timer_free(model->timer);
        model->timer = NULL;
    } else {
        uint64_t delay = sim_choose(&word, 50);
        start_timer(model, delay, sim_choose(&word, 3) == 0 ? 1 + sim_choose(&word, 50) : 0);
    }
}

/* ---- the table ----------------------------------------------------------------------------------
 */

void sim_call_of_time(uint64_t word)
{
    static void (*const calls[])(uint64_t word) = {
        limit_socket, limit_socket, limit_socket, be_patient,
        be_eager,     go_slowly,    go_slowly,    hold_up,
    };
    uint32_t chosen = sim_choose(&word, sizeof calls / sizeof calls[0]);
    calls[chosen](word);
}
