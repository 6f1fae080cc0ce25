/*
 * Calls about time: limits of sockets, sockets that read all that comes as it comes, and time that
 * passes with somebody else at work.
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

void sim_call_of_time(uint64_t word)
{
    static void (*const calls[])(uint64_t word) = {
        limit_socket, limit_socket, limit_socket, be_patient, be_eager, go_slowly, go_slowly,
    };
    uint32_t chosen = sim_choose(&word, sizeof calls / sizeof calls[0]);
    calls[chosen](word);
}
